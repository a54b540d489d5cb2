-- How many cancelled each month: asked, for want of payment, came back
select
  substr(day, 1, 7)               as month,
  sum(actor <> 'payment')         as asked,
  sum(actor = 'payment')          as payment_failed,
  sum(reactivated_at is not null) as came_back
from cancellations
where test = 0
group by month
order by month desc;
