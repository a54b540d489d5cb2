//! What the publisher writes: reviews and saved filters. Outside the chain, kept by a rebuild.

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::page::{List, Order};
use crate::store::Error;
use crate::store::query::views::{ORDER, PIN};
use crate::store::schema::set_meta;
use crate::store::task::{Step, Steps, TaskReport};
use crate::store::thread::Core;

/// A longer name would not fit a line.
const NAME_MAX: usize = 60;

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

pub(crate) fn save_view(name: String, list: List, query: String, order: Order) -> Steps {
    once(move |core| {
        let length = name.trim().chars().count();
        if length == 0 || length > NAME_MAX || name.contains(char::is_control) {
            return Err(Error::Refused(format!(
                "a saved filter needs a name of 1 to {NAME_MAX} characters"
            )));
        }
        core.conn.execute(
            "insert into views (name, list, query, saved_at) values (?1, ?2, ?3, ?4) on conflict (name)
             do update set list = excluded.list, query = excluded.query, saved_at = excluded.saved_at",
            params![name.trim(), list.as_str(), query, core.now().to_string()],
        )?;
        if order == Order::default() {
            forget_order(&core.conn, name.trim())?;
        } else {
            set_meta(
                &core.conn,
                &format!("{ORDER}{}", name.trim()),
                order.as_str(),
            )?;
        }
        Ok(TaskReport::of(format!("saved as {:?}", name.trim()), 1))
    })
}

pub(crate) fn drop_view(name: String) -> Steps {
    once(move |core| {
        let dropped = core
            .conn
            .execute("delete from views where name = ?1", [name.trim()])?;
        if dropped == 0 {
            return Err(unknown(&name));
        }
        forget_view(&core.conn, name.trim())?;
        Ok(TaskReport::of(format!("{:?} is deleted", name.trim()), 1))
    })
}

/// Gives a saved filter the digit that opens it, or takes it away. What had the digit before has none then.
pub(crate) fn pin_view(name: String, digit: Option<u8>) -> Steps {
    once(move |core| {
        let name = name.trim();
        let known: bool = core.conn.query_row(
            "select exists (select 1 from views where name = ?1)",
            [name],
            |row| row.get(0),
        )?;
        if !known {
            return Err(unknown(name));
        }
        unpin(&core.conn, name)?;
        let Some(digit) = digit else {
            return Ok(TaskReport::of(format!("{name:?} has no digit now"), 1));
        };
        if !(1..=9).contains(&digit) {
            return Err(Error::Refused(format!(
                "a saved filter is pinned to a digit from 1 to 9, not {digit}"
            )));
        }
        set_meta(&core.conn, &format!("{PIN}{digit}"), name)?;
        Ok(TaskReport::of(format!("v{digit} opens {name:?}"), 1))
    })
}

/// Takes away what is written down with the name of a saved filter: its digits and its order.
pub(crate) fn forget_view(conn: &Connection, name: &str) -> Result<(), Error> {
    unpin(conn, name)?;
    forget_order(conn, name)
}

fn forget_order(conn: &Connection, name: &str) -> Result<(), Error> {
    conn.execute(
        "delete from meta where key = ?1",
        [format!("{ORDER}{name}")],
    )?;
    Ok(())
}

fn unpin(conn: &Connection, name: &str) -> Result<(), Error> {
    conn.execute(
        "delete from meta where key between 'pin.1' and 'pin.9' and value = ?1",
        [name],
    )?;
    Ok(())
}

fn unknown(name: &str) -> Error {
    Error::Refused(format!("no saved filter is called {:?}", name.trim()))
}
