-- Which payments were refunded, and what they were for
select r.at, r.provider, r.account, r.user_id, r.plan, r.amount, r.currency, p.at as paid_at, p.amount as paid, r.flag
from payments r
left join payments p
  on p.provider = r.provider and p.account = r.account and p.transaction_id = r.transaction_id and p.kind = 'payment'
where r.kind = 'refund' and r.test = 0
order by r.at desc
limit 500;
