-- How many subscriptions started each day
select day, provider, sum(events) as started
from daily
where type in ('subscription.started', 'subscription.trial_started')
group by day, provider
order by day desc, provider
limit 200;
