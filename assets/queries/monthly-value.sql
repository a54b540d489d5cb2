-- What the renewing subscriptions are worth a month, per currency
select
  currency,
  count(*) as priced,
  printf('%.*f', max(exponent),
    sum(price_minor / interval_months) / power_of_ten) as monthly
from (
  select *,
    case exponent when 0 then 1.0 when 2 then 100.0 when 3 then 1000.0 else 10000.0 end as power_of_ten
  from subscriptions
  where status in ('active', 'grace') and has_access = 1 and cancelled_at is null and auto_renew is not 0
    and price_minor is not null and currency is not null and exponent is not null and interval_months > 0
    and test = 0
)
group by currency, power_of_ten
order by currency;
