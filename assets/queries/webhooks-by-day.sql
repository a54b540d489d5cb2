-- How many webhooks arrived each day, and what became of them
select
  substr(received_at, 1, 10)    as day_utc,
  provider,
  sum(outcome = 'stored')       as stored,
  sum(outcome = 'duplicate')    as repeats,
  sum(outcome = 'quarantined')  as not_understood,
  sum(test)                     as tests
from deliveries
where received_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-90 days')
group by day_utc, provider
order by day_utc desc, provider;
