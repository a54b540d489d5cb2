-- Who paid most, per currency
select provider, account, user_id, currency, sum(amount_minor) as paid_minor, max(exponent) as exponent, count(*) as payments
from payments
where test = 0 and user_id is not null and amount_minor is not null
group by provider, account, user_id, currency
order by paid_minor desc
limit 100;
