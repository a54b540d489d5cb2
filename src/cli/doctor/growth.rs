//! How big the ledger is, how fast it grows, and how long the disk lasts.

use std::path::{Path, PathBuf};

use crate::cli::doctor::{Findings, Level};
use crate::domain::count::in_words;
use crate::domain::size;
use crate::domain::time::{Timestamp, span};
use crate::store::query::{Growth, Reader};
use crate::store::upkeep::retention::{Pruned, Retention};
use crate::store::upkeep::room;

/// With fewer days left the disk must be seen to now.
const DAYS_BAD: u64 = 7;
/// With fewer days left it is time to think of it.
const DAYS_LOW: u64 = 60;
/// Longer than anybody plans.
const DAYS_MANY: u64 = 3_650;

/// Adds a finding each for size, growth and the days that the disk lasts.
pub(super) fn look(database: &Path, reader: &Reader, now: Timestamp, findings: &mut Findings) {
    let growth = match reader.growth(now) {
        Ok(growth) => growth,
        Err(error) => return findings.add("database size", Level::Bad, error.to_string()),
    };
    let bytes = bytes_of(database) + bytes_of(&beside(database, "-wal"));
    findings.add("database size", Level::Ok, size::in_words(bytes));
    let Some(a_day) = growth.bytes_a_day() else {
        let says = "nothing has arrived yet to tell it by";
        return findings.add("growth", Level::Ok, says);
    };
    let Growth { recent, days, .. } = growth;
    let since = if days == 1 {
        "today".to_owned()
    } else {
        format!("in {days} days")
    };
    let says = format!(
        "about {} a day: {} {since}",
        size::in_words(a_day),
        in_words(recent, "delivery", "deliveries")
    );
    findings.add("growth", Level::Ok, says);
    let dir = database.parent().unwrap_or(Path::new("/"));
    if let Some(free) = room::free_bytes(dir) {
        let (level, says) = lasts(free, a_day);
        findings.add("disk lasts", level, says);
    }
}

/// Adds a finding for what is kept how long, what has gone for it, and how large it is what was not understood.
pub(super) fn look_at_kept(
    retention: Retention,
    reader: &Reader,
    now: Timestamp,
    findings: &mut Findings,
) {
    let (due, pruned) = match (reader.due(retention, now), reader.pruned()) {
        (Ok(due), Ok(pruned)) => (due, pruned),
        (Err(error), _) | (_, Err(error)) => {
            return findings.add("kept", Level::Bad, error.to_string());
        }
    };
    let words = |bytes: i64| size::in_words(u64::try_from(bytes).unwrap_or(0));
    if due.quarantine_bytes > 0 {
        let says = format!("{} are kept", words(due.quarantine_bytes));
        findings.add("not understood", Level::Ok, says);
    }
    let mut says = match retention.bodies_ms {
        None => "bodies: for ever".to_owned(),
        Some(ms) => format!("bodies: {}", span(ms)),
    };
    if let Some(bytes) = retention.file_bytes {
        says = format!("{says}, or until {} are in use", words(bytes));
    }
    if due.deliveries + due.quarantined > 0 {
        says = format!(
            "{says}; {} are due: the receiver drops them when it has nothing else to do, or `subledger prune` does",
            due.deliveries + due.quarantined
        );
    }
    if let Some(Pruned {
        at,
        deliveries,
        bytes,
    }) = pruned
    {
        let gone = size::in_words(bytes);
        says = format!("{says}; {deliveries} have gone, {gone}, the last {at}");
    }
    findings.add("kept", Level::Ok, says);
}

/// How long `free` bytes last at `a_day` bytes a day.
fn lasts(free: u64, a_day: u64) -> (Level, String) {
    let days = free.checked_div(a_day).unwrap_or(u64::MAX);
    let says = if days > DAYS_MANY {
        "more than ten years at this rate".to_owned()
    } else {
        let days = in_words(days, "day", "days");
        format!("{days} at this rate, if nothing else writes to it")
    };
    match days {
        0..DAYS_BAD => (Level::Bad, says + ": make room now"),
        DAYS_BAD..DAYS_LOW => (Level::Note, says),
        _ => (Level::Ok, says),
    }
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.to_owned().into_os_string();
    name.push(ending);
    name.into()
}

fn bytes_of(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_lasts_as_long_as_its_free_bytes_at_this_rate() {
        for (free, a_day, level, says) in [
            (1 << 30, 1 << 20, Level::Ok, "1024 days"),
            (30 << 20, 1 << 20, Level::Note, "30 days"),
            (3 << 20, 1 << 20, Level::Bad, "3 days"),
            (0, 1 << 20, Level::Bad, "0 days"),
            (1 << 40, 1, Level::Ok, "more than ten years"),
            (1 << 40, 0, Level::Ok, "more than ten years"),
        ] {
            let (found, text) = lasts(free, a_day);
            assert_eq!(found, level, "{text}");
            assert!(text.starts_with(says), "{text}");
        }
    }
}
