-- Why readers cancel
select
  coalesce(reason, '(no reason told)')   as reason,
  actor,
  count(*)                               as cancellations,
  sum(reactivated_at is not null)        as came_back
from cancellations
where test = 0
group by reason, actor
order by cancellations desc, reason;
