//! What the publisher writes: reviews and saved filters. Outside the chain, kept by a rebuild.

use rusqlite::{OptionalExtension, params};

use crate::domain::page::List;
use crate::store::Error;
use crate::store::task::{Step, Steps, TaskReport};
use crate::store::thread::Core;

fn once(work: impl Fn(&mut Core) -> Result<TaskReport, Error> + Send + 'static) -> Steps {
    Box::new(move |core| core.transact(|core| work(core)).map(Step::Done))
}

pub(crate) fn mark_reviewed(seq: i64) -> Steps {
    once(move |core| {
        let last = core.head.seq;
        if !(0..=last).contains(&seq) {
            return Err(Error::Refused(format!(
                "delivery {seq} is not here, so nobody has reviewed it: the last is {last}"
            )));
        }
        core.conn.execute(
            "insert into reviews (reviewed_at, seq) values (?1, ?2)",
            params![core.now().to_string(), seq],
        )?;
        Ok(TaskReport::of("reviewed", 1))
    })
}

pub(crate) fn undo_review() -> Steps {
    once(|core| {
        let last: Option<i64> = core
            .conn
            .query_row(
                "select id from reviews where undone_at is null order by id desc limit 1",
                [],
                |row| row.get(0),
            )
            .optional()?;
        let Some(last) = last else {
            return Err(Error::Refused("there is no review to undo".to_owned()));
        };
        core.conn.execute(
            "update reviews set undone_at = ?2 where id = ?1",
            params![last, core.now().to_string()],
        )?;
        Ok(TaskReport::of("the last review is undone", 1))
    })
}

pub(crate) fn save_view(name: String, list: List, query: String) -> Steps {
    once(move |core| {
        if name.trim().is_empty() {
            return Err(Error::Refused("a saved filter needs a name".to_owned()));
        }
        core.conn.execute(
            "insert into views (name, list, query, saved_at) values (?1, ?2, ?3, ?4) on conflict (name)
             do update set list = excluded.list, query = excluded.query, saved_at = excluded.saved_at",
            params![name.trim(), list.as_str(), query, core.now().to_string()],
        )?;
        Ok(TaskReport::of("saved", 1))
    })
}

pub(crate) fn drop_view(name: String) -> Steps {
    once(move |core| {
        let dropped = core
            .conn
            .execute("delete from views where name = ?1", [name.trim()])?;
        if dropped == 0 {
            return Err(Error::Refused(format!(
                "no saved filter is called {:?}",
                name.trim()
            )));
        }
        Ok(TaskReport::of("dropped", 1))
    })
}
