-- How many readers registered each week
select
  date(registered_at, 'weekday 0', '-6 days') as week_from,
  count(*)                                     as readers,
  count(distinct provider)                     as providers
from users
where registered_at is not null and test = 0
group by week_from
order by week_from desc
limit 52;
