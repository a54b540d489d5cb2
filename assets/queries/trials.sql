-- How many trials became paid subscriptions, by plan
select
  coalesce(plan, '(not told)')                             as plan,
  count(*)                                                 as trials,
  sum(converted_at is not null)                            as converted,
  sum(status = 'trialing')                                 as still_on_trial,
  round(100.0 * sum(converted_at is not null) / count(*), 1) as percent
from subscriptions s
where test = 0 and (status = 'trialing' or converted_at is not null or exists (
  select 1 from events e
  where e.provider = s.provider and e.account = s.account and e.subscription_id = s.subscription_id
    and e.type = 'subscription.trial_started'))
group by plan
order by trials desc, plan;
