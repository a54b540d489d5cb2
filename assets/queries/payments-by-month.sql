-- What came in and what went back each month, per currency
-- Billions and the rest are summed apart: SQLite gives up on a sum beyond 64 bits. One that is still beyond is rounded.
select
  month,
  currency,
  payments,
  iif(abs(paid_about) < 9e18, paid_billions * 1000000000 + paid_rest, paid_about)             as paid_minor,
  refunds,
  iif(abs(refunded_about) < 9e18, refunded_billions * 1000000000 + refunded_rest, refunded_about) as refunded_minor,
  iif(abs(net_about) < 9e18, net_billions * 1000000000 + net_rest, net_about)                 as net_minor,
  exponent
from (
  select
    substr(day, 1, 7)                                              as month,
    currency,
    sum(kind = 'payment')                                          as payments,
    sum(iif(kind = 'payment', amount_minor / 1000000000, 0))       as paid_billions,
    sum(iif(kind = 'payment', amount_minor % 1000000000, 0))       as paid_rest,
    total(iif(kind = 'payment', amount_minor, 0))                  as paid_about,
    sum(kind = 'refund')                                           as refunds,
    sum(iif(kind = 'refund', amount_minor / 1000000000, 0))        as refunded_billions,
    sum(iif(kind = 'refund', amount_minor % 1000000000, 0))        as refunded_rest,
    total(iif(kind = 'refund', amount_minor, 0))                   as refunded_about,
    sum(amount_minor / 1000000000)                                 as net_billions,
    sum(amount_minor % 1000000000)                                 as net_rest,
    total(amount_minor)                                            as net_about,
    max(exponent)                                                  as exponent
  from payments
  where test = 0
  group by month, currency
)
order by month desc, currency;
