-- How many subscriptions have access now, by plan
select
  coalesce(plan, '(not told)') as plan,
  currency,
  count(*)                     as subscriptions,
  sum(status = 'trialing')     as on_trial,
  sum(cancelled_at is not null) as ending
from subscriptions
where has_access = 1 and status in ('trialing', 'active', 'grace') and test = 0
group by plan, currency
order by subscriptions desc, plan;
