//! The same load on ledgers that are there already: what a delivery costs where there are millions.
//!
//! The ledgers are those that `benches/browse` keeps. A copy is loaded and thrown away; `IN_PLACE=N` loads the one of N
//! events itself, which then holds more.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bodies::{self, Requests, Set};
use crate::disk::Sizes;
use crate::latency::{self, Latency, PER_SECOND};
use crate::load::Generator;
use crate::receiver::{self, Home, Received};

/// Free on the disk beyond the copy itself, at least.
const ROOM_BYTES: u64 = 4 << 30;
/// Seed of the first ledger's load; the ledgers themselves have 1.
const SEED: u64 = 20;

/// One size and what was seen there.
pub(crate) struct Grown {
    /// Events that the ledger had, about.
    pub(crate) events: u64,
    pub(crate) seen: Result<Seen, String>,
}

/// What was seen at one size.
pub(crate) struct Seen {
    pub(crate) received: Received,
    pub(crate) latency: Latency,
    /// After it.
    pub(crate) sizes: Sizes,
}

/// How each size is loaded.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) generator: &'a Generator,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// The sizes whose ledgers are loaded themselves.
    pub(crate) in_place: &'a [u64],
    /// Requests for so many a second are made.
    pub(crate) requests_per_second: u64,
}

/// The sizes that are asked for: `SIZES=10000,1000000`.
pub(crate) fn sizes() -> Result<Vec<u64>, String> {
    numbers("SIZES", "10000,1000000,10000000")
}

/// The sizes whose ledgers are loaded themselves: `IN_PLACE=10000000`.
pub(crate) fn in_place() -> Result<Vec<u64>, String> {
    numbers("IN_PLACE", "")
}

fn numbers(variable: &str, usual: &str) -> Result<Vec<u64>, String> {
    let text = std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    words
        .map(|word| {
            let wrong = |_| format!("{variable} wants numbers such as 10000,1000000, not {word:?}");
            word.parse().map_err(wrong)
        })
        .collect()
}

/// Loads the ledger of about `events` events.
pub(crate) fn measure(plan: &Plan<'_>, place: u64, events: u64) -> io::Result<Grown> {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("browse-{events}"));
    let folder = plan.folder.join(format!("grown-{events}"));
    let ledger = kept.join("ledger.db");
    let skipped = |why: String| {
        Ok(Grown {
            events,
            seen: Err(why),
        })
    };
    if !kept.join("complete").exists() {
        return skipped(format!(
            "there is no ledger of {events} events: `EVENTS={events} cargo bench --bench browse` makes it"
        ));
    }
    fs::create_dir_all(&folder)?;
    let db = if plan.in_place.contains(&events) {
        ledger
    } else {
        let bytes = fs::metadata(&ledger)?.len();
        if free_bytes(&folder)? < bytes + ROOM_BYTES {
            let gib = bytes >> 30;
            return skipped(format!(
                "no room for a copy of {gib} GiB: `IN_PLACE={events}` loads the ledger itself"
            ));
        }
        copy(&ledger, &folder)?
    };
    let home = Home::new(folder.clone(), db)?;
    let serving = home.serve()?;
    let first_seed = SEED + 2 * place;
    let count = plan.time.as_secs() / 2 * u64::from(PER_SECOND);
    let steady = bodies::requests(Set::Mixed, first_seed, count.max(500));
    let latency = latency::measure(&folder, home.port(), &steady)?;
    let count = plan.time.as_secs() * plan.requests_per_second;
    let requests = Requests::write(&folder, Set::Mixed, first_seed + 1, count)?;
    let received = receiver::load(
        &home,
        &serving,
        plan.generator,
        &requests,
        plan.connections,
        plan.time,
    )?;
    serving.end();
    let sizes = Sizes::of(home.db())?;
    // The next copy needs the room.
    fs::remove_dir_all(&folder)?;
    let seen = Ok(Seen {
        received,
        latency,
        sizes,
    });
    Ok(Grown { events, seen })
}

fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail * disk.f_frsize)
}

/// A copy down to the disk, so that its writing is over. A log beside the ledger is part of it.
fn copy(ledger: &Path, folder: &Path) -> io::Result<PathBuf> {
    let to = folder.join("ledger.db");
    for ending in ["", "-wal"] {
        let beside = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let (from, to) = (beside(ledger), beside(&to));
        if from.exists() {
            fs::copy(from, &to)?;
            File::open(&to)?.sync_all()?;
        }
    }
    Ok(to)
}
