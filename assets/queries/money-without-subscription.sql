-- Which payments are for a subscription that was never announced
select p.at, p.provider, p.account, p.user_id, p.subscription_id, p.plan, p.amount, p.currency
from payments p
where p.for_subscription = 1 and p.kind = 'payment' and p.test = 0 and not exists (
  select 1 from subscriptions s
  where s.provider = p.provider and s.account = p.account and s.subscription_id = p.subscription_id)
order by p.at desc
limit 500;
