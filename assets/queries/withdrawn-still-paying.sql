-- Who withdrew a consent and still has a subscription
select c.since, c.provider, c.account, c.user_id, u.email, c.purpose, u.active_subscriptions
from consents c
join users u on u.provider = c.provider and u.account = c.account and u.user_id = c.user_id
where c.state = 'withdrawn' and c.kind = 'consent' and u.active_subscriptions > 0 and c.test = 0
order by c.since desc
limit 500;
