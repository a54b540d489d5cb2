-- What came in and what went back each month, per currency
select
  substr(day, 1, 7)                                          as month,
  currency,
  sum(kind = 'payment')                                      as payments,
  sum(iif(kind = 'payment', amount_minor, 0))                as paid_minor,
  sum(kind = 'refund')                                       as refunds,
  sum(iif(kind = 'refund', amount_minor, 0))                 as refunded_minor,
  sum(amount_minor)                                          as net_minor,
  max(exponent)                                              as exponent
from payments
where test = 0
group by month, currency
order by month desc, currency;
