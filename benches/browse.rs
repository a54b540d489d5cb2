//! What the screen asks of the ledger, at 10 thousand and 1 million events: page, screen, filter, counts, search.
//!
//! The ledger is the demo's year, written through the real writer and kept under the target directory, so that a
//! second run measures at once. `EVENTS=10000,1000000 cargo bench --bench browse` says how many.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use subledger::demo::Demo;
use subledger::domain::page::{Cursor, List};
use subledger::domain::query::{Query, Words};
use subledger::domain::time::{Clock, DAY_MS, Timestamp, Zone};
use subledger::providers::door;
use subledger::store::query::Reader;
use subledger::store::writer::{Options, Store};

/// The end of the made-up year: a bench knows no today.
const UNTIL: &str = "2026-06-30T09:00:00Z";
/// Rows of one screen at 80x24.
const SCREEN: usize = 20;
/// Deliveries under way to the writer at a time.
const WAITING: usize = 256;
/// How often each question is asked.
const ROUNDS: usize = 40;

fn ledger(events: u64) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("browse-{events}"));
    let path = folder.join("ledger.db");
    if folder.join("complete").exists() {
        return path;
    }
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a place for files");
    let until = Timestamp::parse(UNTIL).expect("a time");
    let store = Store::open(
        &path,
        Options {
            read: Arc::new(door::read),
            zone: Zone::UTC,
            clock: Clock::Fixed(until),
            listen: String::new(),
        },
    )
    .expect("a new ledger");
    let (begun, writer) = (Instant::now(), store.writer());
    let mut count = 0_u64;
    // So many may wait for their commit at a time: each answer frees a place.
    let (take, free) = sync_channel(WAITING);
    let free = Arc::new(Mutex::new(free));
    for posted in Demo::new(1, events, until).filter(|posted| posted.rejected().is_none()) {
        let delivery = posted.into_delivery();
        let reading = door::read(&delivery);
        take.send(()).expect("the answers are heard");
        let free = Arc::clone(&free);
        let taken = writer.append(
            delivery,
            reading,
            Box::new(move |ack| {
                ack.expect("a row");
                let _ = free.lock().expect("no answer panics").recv();
            }),
        );
        assert!(taken.is_ok(), "the queue is full");
        count += 1;
    }
    store.close().expect("a clean end");
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    println!("made {count} deliveries for {events} events at {rate:.0}/s, read and folded");
    std::fs::write(folder.join("complete"), "").expect("a file");
    path
}

/// Asks `ROUNDS` times and prints the 50th and 95th percentile.
fn measure(name: &str, mut ask: impl FnMut(usize)) {
    let mut took: Vec<Duration> = (0..ROUNDS)
        .map(|round| {
            let begun = Instant::now();
            ask(round);
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    println!(
        "  {name:<44} p50 {:>9.3} ms   p95 {:>9.3} ms",
        took[ROUNDS / 2].as_secs_f64() * 1e3,
        took[ROUNDS * 95 / 100].as_secs_f64() * 1e3
    );
}

fn browse(path: &Path) {
    let now = Timestamp::parse(UNTIL).expect("a time");
    measure("open the file", |_| {
        drop(Reader::open(path).expect("a ledger"));
    });
    let reader = Reader::open(path).expect("a ledger");
    let stored = reader.vocabulary().expect("words");
    let parse = |list, text: &str| {
        let words = Words {
            now,
            zone: Zone::UTC,
            list,
            last_review: None,
            stored: &stored,
        };
        Query::parse(text, &words).expect("a query")
    };
    let everything = Query::default();
    for list in List::ALL {
        measure(&format!("first screen of {list}"), |_| {
            reader
                .page(*list, &everything, &Cursor::First, SCREEN)
                .expect("rows");
        });
    }
    let mut at = Cursor::First;
    measure("next screen of events", |_| {
        let page = reader
            .page(List::Events, &everything, &at, SCREEN)
            .expect("rows");
        at = page
            .rows
            .last()
            .map_or(Cursor::First, |row| Cursor::After(row.key.clone()));
    });
    measure("jump to a time in events", |round| {
        let back = i64::try_from(round * 9).expect("a small number") * DAY_MS;
        let cursor = Cursor::At(now.plus_ms(-back).to_string());
        reader
            .page(List::Events, &everything, &cursor, SCREEN)
            .expect("rows");
    });
    for text in [
        "provider:zotlo",
        "type:cancel",
        "provider:zotlo type:payment since:30d",
        "account:weekly",
        "demir",
        "-provider:zotlo type:refund",
    ] {
        let query = parse(List::Events, text);
        measure(&format!("events {text}"), |_| {
            reader
                .page(List::Events, &query, &Cursor::First, SCREEN)
                .expect("rows");
        });
        measure("count of that, to 10,000", |_| {
            reader.count(List::Events, &query, 10_000).expect("a count");
        });
    }
    let query = parse(List::Users, "ayse");
    measure("users ayse", |_| {
        reader
            .page(List::Users, &query, &Cursor::First, SCREEN)
            .expect("rows");
    });
    measure("choices of type in events", |_| {
        reader
            .choices(List::Events, &everything, "type")
            .expect("counts");
    });
}

fn main() {
    let sizes = std::env::var("EVENTS").unwrap_or_else(|_| "10000,1000000".to_owned());
    for size in sizes.split(',').filter_map(|size| size.trim().parse().ok()) {
        println!("{size} events");
        browse(&ledger(size));
    }
    println!(
        "promised at 10 million events: key to frame p95 under 16 ms, words p95 under 50 ms to the first page"
    );
}
