-- Which e-mail addresses are known to several providers or accounts
select lower(email) as email, count(*) as readers,
  group_concat(provider || '/' || account || ':' || user_id, '  ') as who
from users
where email is not null and test = 0
group by lower(email)
having count(*) > 1
order by readers desc, email
limit 500;
