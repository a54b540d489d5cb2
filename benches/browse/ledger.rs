//! The ledgers that are looked at: the demo's year in so many events, through the real writer, kept under the target
//! directory, so that a second run measures at once. One that is not whole is made again.

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use subledger::demo::Demo;
use subledger::domain::page::{Cursor, List};
use subledger::domain::query::Query;
use subledger::domain::time::{Clock, DAY_MS, Timestamp, Zone};
use subledger::providers::door;
use subledger::store::query::Reader;
use subledger::store::task::Task;
use subledger::store::writer::{Options, Store};

/// The end of the made-up year: a bench knows no today.
pub(crate) const UNTIL: &str = "2026-06-30T09:00:00Z";
/// Deliveries under way to the writer at a time.
const WAITING: usize = 256;

/// The end of the year.
pub(crate) fn until() -> Timestamp {
    Timestamp::parse(UNTIL).expect("a time")
}

/// The ledger of so many events; made, if it is not there.
pub(crate) fn ledger(events: u64) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("browse-{events}"));
    let path = folder.join("ledger.db");
    if !folder.join("complete").exists() {
        println!(
            "making a ledger of {events} events first, kept in {}",
            folder.display()
        );
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a place for files");
        make(&path, events);
        std::fs::write(folder.join("complete"), "").expect("a file");
    }
    review(&path);
    path
}

fn open(path: &Path, now: Timestamp) -> Store {
    let options = Options {
        read: Arc::new(door::read),
        zone: Zone::UTC,
        clock: Clock::Fixed(now),
        listen: String::new(),
    };
    Store::open(path, options).expect("a ledger")
}

fn make(path: &Path, events: u64) {
    let store = open(path, until());
    let (begun, writer) = (Instant::now(), store.writer());
    let mut count = 0_u64;
    // So many may wait for their commit at a time: each answer frees a place.
    let (take, free) = sync_channel(WAITING);
    let free = Arc::new(Mutex::new(free));
    for posted in Demo::new(1, events, until()).filter(|posted| posted.rejected().is_none()) {
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
    println!("made {count} deliveries at {rate:.0}/s, read and folded");
}

/// Everything but the last day was reviewed: Today then shows a morning. A ledger of an older version is upgraded.
fn review(path: &Path) {
    let reviewed_at = until().plus_ms(-DAY_MS);
    let last = {
        let reader = Reader::open(path);
        let reader = reader.expect("a ledger: remove its folder if it cannot be opened");
        if reader.last_review().expect("reviews").is_some() {
            return;
        }
        let at = Cursor::At(reviewed_at.to_string());
        let page = reader.light_page(List::Deliveries, &Query::default(), &at, 1);
        let rows = page.expect("deliveries").rows;
        rows.first().map_or(0, |row| row.key.id)
    };
    let store = open(path, reviewed_at);
    let marked = Task::MarkReviewed { seq: last };
    store.writer().run(marked, &mut |_| {}).expect("a review");
    store.close().expect("a clean end");
    // What the clock changes is as of the end of the year again.
    open(path, until()).close().expect("a clean end");
}
