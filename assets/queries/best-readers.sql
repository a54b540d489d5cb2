-- Who paid most, per currency
-- Billions and the rest are summed apart: SQLite gives up on a sum beyond 64 bits. One that is still beyond is rounded.
select
  provider, account, user_id, currency,
  iif(abs(about) < 9e18, billions * 1000000000 + rest, about) as paid_minor,
  exponent, payments
from (
  select
    provider, account, user_id, currency,
    sum(amount_minor / 1000000000) as billions,
    sum(amount_minor % 1000000000) as rest,
    total(amount_minor)            as about,
    max(exponent)                  as exponent,
    count(*)                       as payments
  from payments
  where test = 0 and user_id is not null and amount_minor is not null
  group by provider, account, user_id, currency
)
order by paid_minor desc
limit 100;
