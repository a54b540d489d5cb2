-- How consent was given and withdrawn each week
select
  date(day, 'weekday 0', '-6 days') as week_from,
  kind,
  purpose,
  sum(after_state = 'given')        as given,
  sum(after_state = 'withdrawn')    as withdrawn
from consent_changes
where test = 0
group by week_from, kind, purpose
order by week_from desc, kind, purpose
limit 500;
