-- Whose access ends in the next 30 days and does not renew
select access_until, provider, account, user_id, email, plan, state
from subscriptions
where has_access = 1 and (cancelled_at is not null or auto_renew = 0) and test = 0
  and access_until < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+30 days')
order by access_until;
