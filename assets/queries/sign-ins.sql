-- Which readers sign in most, and when they were last seen
select provider, account, user_id, coalesce(name, email, phone) as who, sign_ins, last_seen_at
from users
where sign_ins > 0 and test = 0
order by sign_ins desc, last_seen_at desc
limit 100;
