-- Who pays and has not been seen for 60 days
select last_seen_at, provider, account, user_id, coalesce(name, email, phone) as who, active_subscriptions
from users
where active_subscriptions > 0 and test = 0
  and last_seen_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-60 days')
order by last_seen_at
limit 500;
