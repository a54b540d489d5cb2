//! The screen at 10 thousand, 1 million and 10 million events: start, key to frame, words, memory, bytes; beside it what
//! the store needs for it, the `sqlite3` shell for the same page, and lnav on the same million events.
//!
//! `cargo bench --locked --bench browse` makes the ledgers it does not have (kept under the target directory; ten million
//! events take an hour and 22 GB) and prints a table and what came of the promises. `EVENTS=10000,1000000` says which
//! sizes; after `--`, `screen`, `store` or `rivals` look at that alone, and `--write` puts the table of a whole run into
//! BENCHMARKS.md. What is not installed is skipped with a line.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod ledger;

mod reader;

#[path = "../record/mod.rs"]
mod record;

mod rivals;

mod screen;

mod sheet;

mod terminal;

use std::time::Duration;

use record::{Promise, Verdict};
use screen::Seen;
use sheet::{Sheet, grouped, ms};

/// The sizes, in events.
const SIZES: &str = "10000,1000000,10000000";
/// The size that the figures are promised for.
const PROMISED: u64 = 10_000_000;

fn main() {
    let sizes = std::env::var("EVENTS").unwrap_or_else(|_| SIZES.to_owned());
    let sizes: Vec<u64> = sizes
        .split(',')
        .map(|size| {
            let size = size.trim().replace('_', "");
            size.parse().unwrap_or_else(|_| {
                panic!("EVENTS is numbers with commas between them, not {size:?}")
            })
        })
        .collect();
    let mut sheet = Sheet::default();
    let mut promises = Vec::new();
    for &size in &sizes {
        let path = ledger::ledger(size);
        sheet.begin(size);
        if is_wanted("screen") {
            let seen = screen::measure(&path, &mut sheet);
            promises = judged(size, &seen);
        }
        if is_wanted("store") {
            reader::measure(&path, &mut sheet);
        }
        if is_wanted("rivals") {
            rivals::measure(&path, size, &mut sheet);
        }
    }
    println!("\n{}", record::lines(&promises));
    if sizes.last() != Some(&PROMISED) {
        println!(
            "these figures are promised for {} events",
            grouped(PROMISED)
        );
    }
    if record::is_asked_for() {
        assert!(
            PARTS.iter().all(|part| is_wanted(part)),
            "only a whole run is written: leave {PARTS:?} out"
        );
        let body = format!(
            "p50 / p95 of 30, in a terminal of 120x40, from the key to the frame after which the rows did not change \
             again; *counts and all*: to the last byte. The figures are promised for ten million events.\n\n{}\n{}",
            record::table(&promises),
            sheet.markdown()
        );
        let path = record::write("browse", "The screen", &body).expect("a page");
        println!("written: {}", path.display());
    }
}

/// The parts of a run.
const PARTS: [&str; 3] = ["screen", "store", "rivals"];

/// Whether `part` is asked for, by name or because none is.
fn is_wanted(part: &str) -> bool {
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    named.is_empty() || named.iter().any(|name| name == part)
}

/// What was promised, against what was seen at `size` events.
fn judged(size: u64, seen: &Seen) -> Vec<Promise> {
    let at = |what: &str| format!("{what}, {} events", grouped(size));
    let within = |what: &str, limit: u64, took: Option<Duration>, seen: String| Promise {
        what: at(what),
        figure: format!("under {limit} ms"),
        seen,
        verdict: Verdict::of(took.is_some_and(|took| took < Duration::from_millis(limit))),
    };
    let unsaid =
        |took: Option<Duration>| took.map_or("never".to_owned(), |took| format!("{} ms", ms(took)));
    let (cold, keys, words) = (
        seen.cold.percentile(50),
        seen.keys.percentile(95),
        seen.words.percentile(95),
    );
    let (slow, slow_took) = &seen.slowest;
    let mut promises = vec![
        within(
            "cold start to the first full frame, median",
            100,
            Some(cold),
            format!("{} ms", ms(cold)),
        ),
        within(
            "key to frame, p95 of each kind of key",
            16,
            Some(*slow_took),
            format!(
                "{} ms, that of `{slow}`; {} ms over all",
                ms(*slow_took),
                ms(keys)
            ),
        ),
        within(
            "words over users and plans, p95",
            50,
            Some(words),
            format!("{} ms", ms(words)),
        ),
        within(
            "any other filter: rows, or how far it is",
            100,
            seen.unindexed.said,
            unsaid(seen.unindexed.said),
        ),
        within(
            "and interrupted at once",
            50,
            seen.unindexed.freed,
            unsaid(seen.unindexed.freed),
        ),
    ];
    promises.extend(quantities(seen).map(|promise| Promise {
        what: at(&promise.what),
        ..promise
    }));
    promises
}

/// What is promised in bytes.
fn quantities(seen: &Seen) -> [Promise; 3] {
    [
        Promise {
            what: "memory of the screen".to_owned(),
            figure: "under 64 MiB".to_owned(),
            seen: screen::mib(seen.memory),
            verdict: seen
                .memory
                .map_or(Verdict::Skipped, |bytes| Verdict::of(bytes < 64 << 20)),
        },
        Promise {
            what: "a move by one row, written".to_owned(),
            figure: "under 1,024 bytes".to_owned(),
            seen: format!("{} bytes at most", seen.move_bytes),
            verdict: Verdict::of(seen.move_bytes < 1024),
        },
        Promise {
            what: "nothing happens, written".to_owned(),
            figure: "0 bytes".to_owned(),
            seen: format!("{} bytes", seen.idle_bytes),
            verdict: Verdict::of(seen.idle_bytes == 0),
        },
    ]
}
