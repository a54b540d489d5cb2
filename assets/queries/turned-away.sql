-- Which requests were turned away, by provider and reason
select provider, hook, reason, count(*) as requests, min(received_at) as first, max(received_at) as last
from rejected
where admitted_seq is null
group by provider, hook, reason
order by last desc;
