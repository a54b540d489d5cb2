//! From an older schema to the present one: a checked copy beside the ledger, then every pending step in one
//! transaction.
//!
//! `user_version` counts the steps; the first schema is 1. Whoever upgrades holds the ledger's lock. A process that is
//! killed on the way leaves the ledger as it was or as it will be, and perhaps an unfinished copy, which the next
//! upgrade removes. Never changes a delivery, and never edits a step that was released: a mistake in one is mended by
//! another.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;

use crate::domain::count::word;
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::schema::{self, SCHEMA_VERSION, beside, folder, remove, set_meta};
use crate::store::seal;
use crate::store::upkeep::copy::{Existing, Stage, UNFINISHED, Watch, copy};

/// What a step does, inside the transaction of all of them.
pub(crate) type Step = fn(&Connection) -> Result<(), Error>;

/// The steps in order: the first makes schema 2 out of schema 1. Together they give what `schema.sql` makes at once.
pub(crate) const STEPS: &[Step] = &[second, third, fourth, fifth, sixth];

/// What stands in the name of a copy between the ledger's name and its schema.
const BEFORE: &str = ".before-upgrade-";

/// The version of this program.
pub(crate) const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// So often is said how far the copy is.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// An upgrade that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// The schema before.
    pub from: i64,
    /// The schema now.
    pub to: i64,
    /// The ledger as it was before.
    pub copy: PathBuf,
}

impl Upgraded {
    /// What was done and what is left of it, in a sentence without a full stop.
    pub fn sentence(&self) -> String {
        let Self { from, to, copy } = self;
        let copy = copy.display();
        format!(
            "the database was upgraded from schema {from} to {to}; as it was before it stands in {copy}, for the way back: \
             delete it when you do not need it"
        )
    }
}

/// What a newer version made of the ledger, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upgrade {
    /// When it began.
    pub at: String,
    /// The version of subledger that did it.
    pub program: String,
    /// The ledger as it was before: a file beside it, if the tables changed.
    pub copy: Option<String>,
    /// Webhooks that were not understood before and were read again.
    pub looked_at: i64,
    /// Of them, understood now.
    pub understood: i64,
    /// Understood before, not understood any more.
    pub lost: i64,
    /// What was understood now, where its type was not known before: provider and its own name for it.
    pub types: Vec<String>,
    /// When lists had caught up; absent while they have not.
    pub finished_at: Option<String>,
}

impl Upgrade {
    /// The newest that read webhooks anew; none in a ledger that no newer version has opened.
    pub(crate) fn of_reading(conn: &Connection) -> Result<Option<Self>, Error> {
        let mut statement = conn.prepare_cached(
            "select at, program, copy, looked_at, understood, lost, types, finished_at from upgrades
             where what = 'reading' order by id desc limit 1",
        )?;
        let upgrade = statement.query_row([], |row| {
            let types: String = row.get(6)?;
            Ok(Self {
                at: row.get(0)?,
                program: row.get(1)?,
                copy: row.get(2)?,
                looked_at: row.get(3)?,
                understood: row.get(4)?,
                lost: row.get(5)?,
                types: serde_json::from_str(&types).unwrap_or_default(),
                finished_at: row.get(7)?,
            })
        });
        Ok(upgrade.optional()?)
    }

    /// Whether it changed what is understood, or looked for it.
    pub const fn is_news(&self) -> bool {
        self.looked_at > 0 || self.lost > 0
    }

    /// What it brought, in a sentence without a full stop. The types in it are as the providers say them.
    pub fn sentence(&self) -> String {
        let mut says = format!("upgraded to {}: ", self.program);
        let _ = match (self.looked_at, self.understood) {
            (0, _) => write!(says, "there was no webhook that was not understood"),
            (1, 0) => write!(
                says,
                "the webhook that was not understood is not now either"
            ),
            (1, _) => write!(says, "the webhook that was not understood is now"),
            (of, now) => write!(
                says,
                "{now} of {of} webhooks that were not understood {} now",
                word(now, "is", "are")
            ),
        };
        let _ = match self.types.as_slice() {
            [] => Ok(()),
            [one] => write!(says, ", a new type: {one}"),
            types => write!(says, ", {} new types: {}", types.len(), types.join(", ")),
        };
        let _ = match self.lost {
            0 => Ok(()),
            1 => write!(says, "; 1 that was understood is not any more: it is kept"),
            lost => write!(
                says,
                "; {lost} that were understood are not any more: they are kept"
            ),
        };
        if self.finished_at.is_none() {
            says.push_str("; lists are catching up");
        }
        says
    }
}

/// Schema 2: a place where it is written what an upgrade brought, and a seal for each delivery.
fn second(conn: &Connection) -> Result<(), Error> {
    keep_upgrades(conn)?;
    conn.execute_batch(
        "create table seals (
          seq  integer primary key,
          seal integer not null
        ) strict",
    )?;
    seal::seal_all(conn)
}

fn keep_upgrades(conn: &Connection) -> Result<(), Error> {
    conn.execute_batch(
        "create table upgrades (
          id          integer primary key,
          at          text not null,
          program     text not null,
          what        text not null check (what in ('schema', 'reading')),
          before      integer not null,
          after       integer not null,
          copy        text,
          looked_at   integer not null default 0,
          understood  integer not null default 0,
          lost        integer not null default 0,
          types       text not null default '[]',
          finished_at text
        ) strict",
    )?;
    Ok(())
}

/// Schema 3: a place for what was erased, and for what is left of it.
fn third(conn: &Connection) -> Result<(), Error> {
    conn.execute_batch(
        "create table pruned (
          seq     integer primary key references deliveries (seq),
          seal    integer not null,
          reading blob
        ) strict;
        create table erasures (
          id          integer primary key,
          begun_at    text not null,
          finished_at text,
          last_seq    integer not null,
          looked_seq  integer not null,
          keeps       integer not null check (keeps in (0, 1)),
          sought      text,
          deliveries  integer not null default 0,
          rejected    integer not null default 0
        ) strict;
        create table erasing (
          seq   integer primary key references deliveries (seq),
          noted integer not null default 0
        ) strict;
        create table residue (
          seq          integer not null references deliveries (seq),
          n            integer not null,
          what         text not null check (what in ('event', 'reader', 'subscription', 'cancellation', 'change')),
          place        integer not null default 0,
          why          text not null check (why in ('erased', 'pruned')),
          provider     text not null,
          account      text not null,
          type         text not null,
          day          text not null,
          plan         text,
          amount_minor integer,
          currency     text,
          exponent     integer,
          readers      integer not null default 0,
          kind         text,
          purpose      text,
          before_state text,
          after_state  text,
          actor        text,
          reason       text,
          code         text,
          start_day    text,
          paid_day     text,
          end_day      text,
          ends         integer,
          primary key (seq, n, what, place)
        ) strict, without rowid;
        create table erased_readers (
          hash  blob primary key,
          until text not null,
          seal  integer not null
        ) strict, without rowid;
        create table erased_keys (
          hash blob primary key,
          seq  integer,
          seal integer not null
        ) strict, without rowid;",
    )?;
    Ok(())
}

/// Schema 4: events by account in the indexes of provider and type, the plans of payments, and in one index all that
/// Today says of repeats and of what is not understood.
fn fourth(conn: &Connection) -> Result<(), Error> {
    spell_checks_out(conn)?;
    conn.execute_batch(
        "drop index deliveries_odd;
        create index deliveries_odd on deliveries (outcome, received_at, seq, reason, provider, account, test, erased_at)
          where outcome <> 'stored';
        drop index events_provider;
        create index events_provider on events (provider, account, at, id);
        drop index events_type;
        create index events_type on events (type, provider, account, at, id);
        create index payments_plan on payments (plan) where plan is not null;",
    )?;
    Ok(())
}

/// Schema 5: indexes of when subscriptions began, ended and came back, of trials and of imports, and in one index all
/// that Today asks of registrations.
fn fifth(conn: &Connection) -> Result<(), Error> {
    conn.execute_batch(
        "create index deliveries_imported on deliveries (seq) where origin = 'import';
        create index events_trial on events (provider, account, subscription_id)
          where type = 'subscription.trial_started';
        drop index users_registered;
        create index users_registered on users (registered_at, test) where registered_at is not null;
        create index cancellations_back on cancellations (reactivated_at) where reactivated_at is not null;
        create index subscriptions_started on subscriptions (started_at, status, test);
        -- No webhook brings a time without a year; one that somebody else wrote would not go into the index.
        update subscriptions set access_until = null where access_until not glob '[0-9][0-9][0-9][0-9]-*';
        create index subscriptions_ended on subscriptions (
          case when status = 'revoked' then coalesce(cancelled_at, changed_at)
               when status <> 'expired' then null
               when stated_status = 'expired' or access_until is null then changed_at
               when auto_renew = 0 then access_until
               else strftime('%Y-%m-%dT%H:%M:%fZ', access_until, '+1 day') end, test
        )",
    )?;
    Ok(())
}

/// Schema 6: in one index all that Today asks of what renews and ends, and indexes of what is new among cancellations,
/// of refunds and of events that came late.
fn sixth(conn: &Connection) -> Result<(), Error> {
    conn.execute_batch(
        "drop index subscriptions_ended;
        create index subscriptions_ended on subscriptions (
          case when status = 'revoked' then coalesce(cancelled_at, changed_at)
               when status <> 'expired' then null
               when stated_status = 'expired' or access_until is null then changed_at
               when auto_renew = 0 then access_until
               else strftime('%Y-%m-%dT%H:%M:%fZ', access_until, '+1 day') end, test, provider, account, subscription_id
        ) where status = 'expired' or status = 'revoked';
        create index subscriptions_live on subscriptions (
          provider, account, currency, exponent, price_minor, interval_unit, interval_count, interval_months,
          test, status, has_access, auto_renew, cancelled_at
        ) where has_access = 1 or (status <> 'pending' and status <> 'expired' and status <> 'revoked');
        create index subscriptions_ends on subscriptions (access_until, test)
          where has_access = 1 and (cancelled_at is not null or auto_renew = 0);
        create index subscriptions_converted on subscriptions (converted_at) where converted_at is not null;
        drop index cancellations_at;
        create index cancellations_at on cancellations (cancelled_at, id, actor, test);
        create index cancellations_seq on cancellations (seq, actor, test, provider, account);
        create index cancellations_unpaid on cancellations (provider, account, subscription_id)
          where reactivated_at is null and actor = 'payment';
        create index events_late on events (id, at, provider, account, test)
          where substr(at, 1, 13) < substr(received_at, 1, 13);
        create index events_refunds on events (id) where type = 'payment.refunded'",
    )?;
    Ok(())
}

/// Tables that every webhook writes to.
const CHECKED: [&str; 5] = [
    "deliveries",
    "events",
    "subscriptions",
    "cancellations",
    "consents",
];

/// Has a column compared with one allowed word after the other. As a set of three or more they are put into a table of
/// their own at every insert, which took half of the time of one. What is allowed stays the same, so no row is looked at.
fn spell_checks_out(conn: &Connection) -> Result<(), Error> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
    let done = rewrite_checks(conn);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    done
}

fn rewrite_checks(conn: &Connection) -> Result<(), Error> {
    conn.pragma_update(None, "writable_schema", true)?;
    for table in CHECKED {
        let sql: String = conn.query_row(
            "select sql from sqlite_schema where type = 'table' and name = ?1",
            [table],
            |row| row.get(0),
        )?;
        conn.execute(
            "update sqlite_schema set sql = ?2 where type = 'table' and name = ?1",
            [table, &spelt_out(&sql)],
        )?;
    }
    // It is read anew, and not to be written any more.
    conn.pragma_update(None, "writable_schema", "reset")?;
    Ok(())
}

/// `sql` with `check (a in ('x', 'y', 'z'))` as `check (a = 'x' or a = 'y' or a = 'z')`; shorter sets as they are.
fn spelt_out(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once("check (") {
        out.push_str(before);
        out.push_str("check (");
        rest = after;
        let set = after.split_once("))").and_then(|(set, behind)| {
            let (column, words) = set.split_once(" in (")?;
            let each: Vec<String> = words
                .split(", ")
                .map(|word| format!("{column} = {word}"))
                .collect();
            (each.len() > 2).then(|| (each.join(" or "), behind))
        });
        if let Some((each, behind)) = set {
            out.push_str(&each);
            out.push(')');
            rest = behind;
        }
    }
    out.push_str(rest);
    out
}

/// Brings the ledger at `path`, open as `conn`, from schema `from` through `steps`. `Error::NotUpgraded` leaves it as it
/// was.
pub(crate) fn run(
    conn: &mut Connection,
    path: &Path,
    from: i64,
    steps: &[Step],
    now: Timestamp,
) -> Result<Upgraded, Error> {
    let to = 1 + i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let failed = |cause: Error| Error::NotUpgraded {
        path: path.to_owned(),
        from,
        to,
        cause: Box::new(cause),
    };
    let before = save(path, from, now).map_err(failed)?;
    if let Err(error) = step_through(conn, path, (from, to), steps, now, &before) {
        // The ledger is what it was, so this copy of it is only in the way, most of all on a full disk.
        let _ = remove(&before);
        return Err(failed(schema::judge(path, error)));
    }
    for (_, older) in copies(path) {
        if older != before {
            // One that cannot be removed does no harm.
            let _ = remove(&older);
        }
    }
    tracing::info!(
        "the ledger is upgraded from schema {from} to {to}; as it was before: {}",
        before.display()
    );
    Ok(Upgraded {
        from,
        to,
        copy: before,
    })
}

/// Copies the ledger under a name of its own; nobody else does so while the lock is held.
fn save(path: &Path, from: i64, now: Timestamp) -> Result<PathBuf, Error> {
    for unfinished in unfinished(path) {
        remove(&unfinished)?;
    }
    let to = free_name(path, from, now);
    tracing::info!(
        "upgrading the ledger from schema {from}: copying it to {} first",
        to.display()
    );
    let mut said = Instant::now();
    let mut told = |stage| {
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            match stage {
                Stage::Copying { done, of } => {
                    tracing::info!("copied {} of {} MiB", done >> 20, of >> 20);
                }
                Stage::Checking { done, of } => {
                    tracing::info!("checked {done} of {of} deliveries of the copy");
                }
            }
        }
    };
    let mut watch = Watch {
        stop: &Arc::new(AtomicBool::new(false)),
        gentle: false,
        told: &mut told,
    };
    copy(path, &to, Existing::Keep, &mut watch)?;
    Ok(to)
}

/// `subledger.db.before-upgrade-1-20261120T031000Z`; a number follows where something of that name is there.
fn free_name(path: &Path, from: i64, now: Timestamp) -> PathBuf {
    let time: String = now
        .to_string()
        .chars()
        .take(19)
        .filter(|one| !matches!(one, '-' | ':'))
        .collect();
    let first = beside(path, &format!("{BEFORE}{from}-{time}Z"));
    let mut name = first.clone();
    let mut number = 1;
    while name.symlink_metadata().is_ok() {
        number += 1;
        name = beside(&first, &format!("-{number}"));
    }
    name
}

fn step_through(
    conn: &mut Connection,
    path: &Path,
    (from, to): (i64, i64),
    steps: &[Step],
    now: Timestamp,
    before: &Path,
) -> Result<(), Error> {
    // A step may make a table anew. Whether every reference holds is looked at once, at the end.
    conn.pragma_update(None, "foreign_keys", false)?;
    // Indexes of millions are sorted: in files, not in memory.
    conn.pragma_update(None, "temp_store", "file")?;
    let done = transact(conn, path, (from, to), steps, now, before);
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    done?;
    // What looks at a ledger before SQLite does sees the file alone. Where a reader is in the way, the log says it too.
    conn.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?;
    Ok(())
}

fn transact(
    conn: &mut Connection,
    path: &Path,
    (from, to): (i64, i64),
    steps: &[Step],
    now: Timestamp,
    before: &Path,
) -> Result<(), Error> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let found: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found != from {
        return Err(Error::Refused(format!(
            "its schema became {found} meanwhile: try again"
        )));
    }
    let done = usize::try_from(from - 1).unwrap_or(usize::MAX);
    for step in steps.iter().skip(done) {
        step(&tx)?;
    }
    let dangling = tx.prepare("pragma foreign_key_check")?.exists([])?;
    if dangling {
        return Err(Error::Damaged {
            path: path.to_owned(),
            what: "a row points at one that is not there".to_owned(),
        });
    }
    tx.pragma_update(None, "user_version", to)?;
    set_meta(&tx, "schema_version", &to.to_string())?;
    let at = now.to_string();
    let copy = before.file_name().map(|name| name.to_string_lossy());
    tx.execute(
        "insert into upgrades (at, program, what, before, after, copy, finished_at)
         values (?1, ?2, 'schema', ?3, ?4, ?5, ?1)",
        params![at, PROGRAM, from, to, copy],
    )?;
    Ok(tx.commit()?)
}

/// Brings a copy that nobody sees yet to the present schema, inside the caller's transaction: its way back is the file
/// that it was copied from.
pub(crate) fn in_place(conn: &Connection) -> Result<(), Error> {
    let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(found - 1).unwrap_or(usize::MAX);
    for step in STEPS.iter().skip(done) {
        step(conn)?;
    }
    conn.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    set_meta(conn, "schema_version", &SCHEMA_VERSION.to_string())
}

/// The copies that upgrades of the ledger at `path` left beside it, with the schema of each, oldest first.
fn copies(path: &Path) -> Vec<(i64, PathBuf)> {
    let mut found: Vec<(String, i64, PathBuf)> = named(path)
        .into_iter()
        .filter_map(|(rest, file)| {
            let (schema, time) = rest.split_once('-')?;
            let made = time.split('-').next()?;
            let finished = made.len() == 16 && made.ends_with('Z') && !time.contains('.');
            let schema = schema.parse().ok().filter(|_| finished)?;
            Some((time.to_owned(), schema, file))
        })
        .collect();
    found.sort();
    found
        .into_iter()
        .map(|(_, schema, file)| (schema, file))
        .collect()
}

/// The newest copy beside the ledger at `path` that a program which knows schemas up to `known` can go back to.
pub(crate) fn way_back(path: &Path, known: i64) -> Option<PathBuf> {
    copies(path)
        .into_iter()
        .rfind(|(schema, _)| *schema <= known)
        .map(|(_, file)| file)
}

/// What a killed upgrade left.
fn unfinished(path: &Path) -> Vec<PathBuf> {
    let all = named(path).into_iter();
    all.filter(|(rest, _)| rest.contains(UNFINISHED))
        .map(|(_, file)| file)
        .collect()
}

/// The files whose names begin as those of copies do, with the rest of their names.
fn named(path: &Path) -> Vec<(String, PathBuf)> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Vec::new();
    };
    let begins = format!("{name}{BEFORE}");
    let Ok(entries) = fs::read_dir(folder(path)) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let file = entry.file_name();
            let rest = file.to_str()?.strip_prefix(&begins)?;
            Some((rest.to_owned(), entry.path()))
        })
        .collect()
}
