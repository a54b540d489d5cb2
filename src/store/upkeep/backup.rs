//! The verified copy of each night: when it is due, where it goes, which old ones go, and what the ledger says of it.
//!
//! The record stands under one key of `meta`, so it survives a rebuild; it is about the copies of this file, so a
//! restored file begins without one. Never removes a file that is no backup of this very ledger.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{Days, NaiveDate};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::domain::time::{HOUR_MS, Timestamp, Zone};
use crate::store::query::Reader;
use crate::store::schema::{self, Found, folder, meta, set_meta};
use crate::store::task::{Step, Steps, TaskReport};
use crate::store::today::Backup;
use crate::store::today::alerts::{ALERTS, HEARTBEAT};
use crate::store::upkeep::copy::{Copied, Existing, UNFINISHED, Watch, clear_stale, copy};
use crate::store::{Error, Mode, connect};

/// The key in `meta`.
const KEY: &str = "backup";
/// The night's copy is due at this hour and minute of the ledger's zone.
const DUE: (u32, u32) = (3, 10);
/// One that failed is tried again after this.
const AGAIN_MS: i64 = HOUR_MS;

/// What the ledger says of its backups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The folder that the receiver was told to write to; empty: none.
    pub dir: String,
    /// The last copy of a night.
    pub nightly: Option<Made>,
    /// The last one that was asked for while a receiver ran.
    pub by_hand: Option<Made>,
    /// The last night's copy that could not be made, unless one was made since.
    pub failed: Option<Failed>,
}

/// A copy that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// When.
    pub at: Timestamp,
    /// Which file.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The newest delivery in it.
    pub seq: i64,
}

/// A copy that could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// When.
    pub at: Timestamp,
    /// Why, as one clause.
    pub why: String,
}

/// What is written into the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// The receiver is told to write to this folder; empty: none.
    Asked(String),
    /// The night's copy was made.
    Nightly(Made),
    /// One that was asked for was made.
    ByHand(Made),
    /// The night's copy could not be made.
    Failed(Failed),
}

impl Record {
    fn read(conn: &Connection) -> Result<Option<Self>, Error> {
        let text = meta(conn, KEY)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Asked(dir) => {
                if self.dir != dir {
                    self.failed = None;
                }
                self.dir = dir;
            }
            Note::Nightly(made) => {
                // A clock that was ahead is right again: what it dated later is not the newest.
                self.by_hand.take_if(|by_hand| by_hand.at > made.at);
                self.nightly = Some(made);
                self.failed = None;
            }
            Note::ByHand(made) => {
                self.nightly.take_if(|nightly| nightly.at > made.at);
                self.by_hand = Some(made);
            }
            Note::Failed(failed) => self.failed = Some(failed),
        }
    }

    /// The newest copy, whether or not its file is still there.
    fn newest(&self) -> Option<&Made> {
        let made = [&self.nightly, &self.by_hand];
        made.into_iter().flatten().max_by_key(|made| made.at)
    }

    /// The newest copy whose file is still there.
    pub fn last(&self) -> Option<&Made> {
        let made = [&self.nightly, &self.by_hand];
        let there = made
            .into_iter()
            .flatten()
            .filter(|made| made.file.is_file());
        there.max_by_key(|made| made.at)
    }

    /// Whether the night's copy into `dir` should be made now. What lies in the future was written by a clock that was
    /// ahead, and says nothing.
    pub fn is_due(&self, dir: &Path, now: Timestamp, zone: Zone) -> bool {
        let slot = last_slot(now, zone);
        let since_then = |at: Timestamp| slot <= at && at <= now;
        let made = self.nightly.as_ref();
        if made.is_some_and(|made| since_then(made.at) && made.file.parent() == Some(dir)) {
            return false;
        }
        self.failed
            .as_ref()
            .is_none_or(|failed| !since_then(failed.at) || failed.at.plus_ms(AGAIN_MS) <= now)
    }

    /// How backups stand, for what needs the publisher.
    fn standing(&self) -> Backup {
        let last = self.last();
        if let Some(failed) = &self.failed
            && !self.dir.is_empty()
        {
            return Backup::Failed {
                why: failed.why.clone(),
                last: last.map(|made| made.at),
            };
        }
        match (last, self.newest()) {
            (Some(made), _) => Backup::Last(made.at),
            (None, Some(gone)) => Backup::Gone(gone.file.display().to_string()),
            (None, None) if self.dir.is_empty() => Backup::Unset,
            (None, None) => Backup::Never,
        }
    }
}

/// The last time that a night's copy became due.
fn last_slot(now: Timestamp, zone: Zone) -> Timestamp {
    let (hour, minute) = DUE;
    let today = now.utc().with_timezone(&zone.0).date_naive();
    let slot = zone.time_of(today, hour, minute);
    if slot <= now {
        return slot;
    }
    let yesterday = today.checked_sub_days(Days::new(1)).unwrap_or(today);
    zone.time_of(yesterday, hour, minute)
}

impl Reader {
    /// What the ledger says of its backups; nothing is asked for where it says nothing.
    pub fn backups(&self) -> Result<Record, Error> {
        Ok(self.with(Record::read)?.unwrap_or_default())
    }

    /// How backups stand.
    pub fn backup_standing(&self) -> Result<Backup, Error> {
        Ok(self.backups()?.standing())
    }

    /// Which ledger this is, 32 hex digits.
    pub fn ledger_id(&self) -> Result<String, Error> {
        Ok(self
            .with(|conn| meta(conn, "ledger_id"))?
            .unwrap_or_default())
    }
}

pub(crate) fn note(note: Note) -> Steps {
    let mut note = Some(note);
    Box::new(move |core| {
        let Some(note) = note.take() else {
            return Ok(Step::Done(TaskReport::default()));
        };
        let before = Record::read(&core.conn)?;
        let mut record = before.clone().unwrap_or_default();
        record.take(note);
        if before.as_ref() != Some(&record) {
            let text = serde_json::to_string(&record)
                .map_err(|error| Error::Refused(format!("cannot write this down: {error}")))?;
            core.transact(|core| set_meta(&core.conn, KEY, &text))?;
        }
        Ok(Step::Done(TaskReport::of("noted", 1)))
    })
}

/// Takes out of a copy that is to become a ledger of its own what is about the other one: its backups, and what was
/// told of it to whom.
pub(crate) fn forget(path: &Path) -> Result<(), Error> {
    let conn = connect(path, Mode::Fill)?;
    for key in [KEY, ALERTS, HEARTBEAT] {
        conn.execute("delete from meta where key = ?1", [key])?;
    }
    conn.close().map_err(|(_, error)| error.into())
}

/// The name of a backup that is made at `now`: `subledger-2026-11-21.db`.
pub fn file_name(now: Timestamp, zone: Zone) -> String {
    format!("subledger-{}.db", now.day(zone))
}

/// The day that such a name says; `None` for any other name.
fn day_of(name: &str) -> Option<NaiveDate> {
    let day = name.strip_prefix("subledger-")?.strip_suffix(".db")?;
    let read = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?;
    (read.to_string() == day).then_some(read)
}

/// A night's copy.
pub struct Night<'a> {
    /// The ledger.
    pub ledger: &'a Path,
    /// The folder to write to.
    pub dir: &'a Path,
    /// So many copies are kept, at least 1.
    pub keep: usize,
    /// The zone of days.
    pub zone: Zone,
    /// The present moment.
    pub now: Timestamp,
}

impl Night<'_> {
    /// Makes the copy, then removes the oldest ones beyond those to keep.
    pub fn make(&self, watch: &mut Watch<'_>) -> Result<Made, Error> {
        fits(self.dir, self.ledger)?;
        let file = self.dir.join(file_name(self.now, self.zone));
        let ours = Reader::open(self.ledger)?.ledger_id()?;
        if file.symlink_metadata().is_ok() && ledger_of(&file) != Some(ours.clone()) {
            return Err(Error::Refused(format!(
                "{} is no backup of this ledger: give this ledger a folder of its own",
                file.display()
            )));
        }
        let copied = copy(self.ledger, &file, Existing::Replace, watch)?;
        let made = made(&copied, file, self.now);
        if let Err(error) = self.prune(&ours, &made.file) {
            tracing::warn!("old backups stay: {error}");
        }
        Ok(made)
    }

    /// Removes the oldest backups of this ledger, and what crashes left of unfinished ones.
    fn prune(&self, ours: &str, last: &Path) -> Result<(), Error> {
        let mut days = Vec::new();
        for entry in fs::read_dir(self.dir).map_err(|source| io_error(self.dir, source))? {
            let entry = entry.map_err(|source| io_error(self.dir, source))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(day) = day_of(name) {
                days.push((day, entry.path()));
            } else if name.strip_suffix(UNFINISHED).and_then(day_of).is_some() {
                // Another ledger's copy may be under way here: that one is locked, and stays.
                let _ = clear_stale(&entry.path());
            }
        }
        days.sort();
        let own = days
            .into_iter()
            .rev()
            .filter(|(_, path)| ledger_of(path).as_deref() == Some(ours));
        for (_, path) in own.skip(self.keep.max(1)) {
            if path != last {
                schema::remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Whether copies of `ledger` can be kept in the folder `dir`; the error says what to do.
pub fn fits(dir: &Path, ledger: &Path) -> Result<(), Error> {
    let refused = |says: &str| Error::Refused(format!("{} {says}", dir.display()));
    let there = match fs::metadata(dir) {
        Ok(there) => there,
        // It is not made: under a disk that is not mounted, the copies would fill the wrong one.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(refused("is not there: make the folder, or mount its disk"));
        }
        Err(source) => return Err(io_error(dir, source)),
    };
    if !there.is_dir() {
        return Err(refused("is no folder: name one under [backup]"));
    }
    // A ledger that is still to be made has no folder yet.
    let own = fs::metadata(folder(ledger));
    if own.is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino())) {
        return Err(refused(
            "is the ledger's own folder: name another under [backup], best on another disk",
        ));
    }
    Ok(())
}

/// What a finished copy is written down as.
pub fn made(copied: &Copied, file: PathBuf, at: Timestamp) -> Made {
    Made {
        at,
        file,
        bytes: copied.bytes,
        seq: copied.verified.last_seq,
    }
}

/// Which ledger the file at `path` is a copy of; `None` if it is none that can be read.
fn ledger_of(path: &Path) -> Option<String> {
    if schema::look(path).ok()? != Found::Ledger {
        return None;
    }
    let conn = connect(path, Mode::Read).ok()?;
    meta(&conn, "ledger_id").ok()?
}

fn io_error(path: &Path, source: io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        cause: source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_copy_is_due_at_ten_past_three_of_the_ledgers_zone() {
        let istanbul: Zone = "Europe/Istanbul".parse().unwrap();
        for (now, slot) in [
            ("2026-11-21T00:10:00Z", "2026-11-21T00:10:00Z"),
            ("2026-11-21T00:09:59Z", "2026-11-20T00:10:00Z"),
            ("2026-11-21T22:00:00Z", "2026-11-21T00:10:00Z"),
        ] {
            assert_eq!(last_slot(at(now), istanbul), at(slot), "{now}");
        }
        // Clocks jump from three to four: what does not exist is due an hour later.
        let helsinki: Zone = "Europe/Helsinki".parse().unwrap();
        assert_eq!(
            last_slot(at("2026-03-29T12:00:00Z"), helsinki),
            at("2026-03-29T01:10:00Z")
        );
    }

    #[test]
    fn it_is_made_once_a_night_and_tried_again_an_hour_after_it_failed() {
        let dir = Path::new("/mnt/backups");
        let made = |text: &str, dir: &str| Record {
            nightly: Some(Made {
                at: at(text),
                file: Path::new(dir).join("subledger-2026-11-21.db"),
                bytes: 1,
                seq: 1,
            }),
            ..Record::default()
        };
        let failed = |text: &str| Record {
            failed: Some(Failed {
                at: at(text),
                why: "no room".to_owned(),
            }),
            ..Record::default()
        };
        let now = at("2026-11-21T03:30:00Z");
        for (record, due) in [
            (Record::default(), true),
            (made("2026-11-21T03:10:04Z", "/mnt/backups"), false),
            (made("2026-11-21T03:10:04Z", "/mnt/other"), true),
            (made("2026-11-20T03:10:04Z", "/mnt/backups"), true),
            (failed("2026-11-21T03:10:04Z"), false),
            (failed("2026-11-21T02:50:00Z"), true),
            // The clock was a year ahead.
            (made("2027-11-21T03:10:04Z", "/mnt/backups"), true),
            (failed("2027-11-21T03:10:04Z"), true),
        ] {
            assert_eq!(record.is_due(dir, now, Zone::UTC), due, "{record:?}");
        }
        let later = at("2026-11-21T04:10:04Z");
        assert!(failed("2026-11-21T03:10:04Z").is_due(dir, later, Zone::UTC));
    }

    #[test]
    fn what_a_clock_ahead_dated_is_not_the_newest_for_long() {
        let made = |text: &str| Made {
            at: at(text),
            file: PathBuf::from("/mnt/backups/copy.db"),
            bytes: 1,
            seq: 1,
        };
        let (ahead, right) = (made("2027-11-21T03:10:04Z"), made("2026-11-21T03:10:04Z"));
        let mut record = Record::default();
        record.take(Note::ByHand(ahead.clone()));
        record.take(Note::Nightly(right.clone()));
        assert_eq!(record.newest(), Some(&right));
        record.take(Note::Nightly(ahead));
        record.take(Note::ByHand(right.clone()));
        assert_eq!(record.newest(), Some(&right));
    }

    #[test]
    fn only_names_that_it_gives_itself_are_its_own() {
        let name = file_name(at("2026-11-21T22:00:00Z"), "Asia/Kolkata".parse().unwrap());
        assert_eq!(name, "subledger-2026-11-22.db");
        assert!(day_of(&name).is_some());
        for other in [
            "subledger.db",
            "subledger-2026-11-22.db.part",
            "subledger-2026-11-22-before.db",
            "subledger-2026-1-2.db",
            "my-subledger-2026-11-22.db",
        ] {
            assert_eq!(day_of(other), None, "{other}");
        }
    }

    #[test]
    fn how_backups_stand_follows_from_the_record_and_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("subledger-2026-11-21.db");
        let made = Made {
            at: at("2026-11-21T03:10:00Z"),
            file: file.clone(),
            bytes: 1,
            seq: 1,
        };
        let mut record = Record::default();
        assert_eq!(record.standing(), Backup::Unset);
        record.take(Note::Asked("/mnt/backups".to_owned()));
        assert_eq!(record.standing(), Backup::Never);
        record.take(Note::Nightly(made.clone()));
        assert_eq!(record.standing(), Backup::Gone(file.display().to_string()));
        fs::write(&file, "x").unwrap();
        assert_eq!(record.standing(), Backup::Last(made.at));
        record.take(Note::Failed(Failed {
            at: at("2026-11-22T03:10:00Z"),
            why: "no room".to_owned(),
        }));
        let failed = Backup::Failed {
            why: "no room".to_owned(),
            last: Some(made.at),
        };
        assert_eq!(record.standing(), failed);
        record.take(Note::Nightly(made.clone()));
        assert_eq!(record.standing(), Backup::Last(made.at));
    }
}
