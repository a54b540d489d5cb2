-- How every purpose stands now
select kind, purpose,
  sum(state = 'given')     as given,
  sum(state = 'withdrawn') as withdrawn,
  sum(state = 'refused')   as refused,
  sum(state = 'expired')   as expired
from consents
where test = 0
group by kind, purpose
order by kind, purpose;
