//! A ledger that everything is written into the way a receiver does it, in a folder in memory where there is one.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;

use rusqlite::Connection;
use subledger::domain::delivery::{Content, Delivery, Origin, Outcome, ProviderId};
use subledger::domain::time::{Clock, Timestamp, Zone};
use subledger::providers::door;
use subledger::store::task::Task;
use subledger::store::upkeep::verify;
use subledger::store::writer::{Options, Store};
use subledger::store::{Mode, connect};
use tempfile::TempDir;

use super::{Held, must};

/// When it is.
pub(super) const NOW: Timestamp = Timestamp::from_ms(1_772_000_000_000);

/// So many deliveries a ledger takes before all it holds is compared and a new one is begun.
const DELIVERIES_MAX: usize = 4_000;

/// Where files are made: in memory if this system has such a place.
pub(super) fn folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// A delivery as it comes from a gate.
pub(super) fn delivery(provider: &'static str, hook: &str, body: &[u8]) -> Delivery {
    Delivery {
        provider: ProviderId::known(provider),
        account: "main".to_owned(),
        hook: hook.to_owned(),
        received_at: NOW,
        headers: Vec::new(),
        body: body.to_vec(),
        credential: "path_key".to_owned(),
        identity_proof: None,
        remote_ip: "192.0.2.7".to_owned(),
        origin: Origin::Live,
        test: false,
    }
}

/// A ledger opened for writing.
pub(super) fn open(path: &Path) -> Result<Store, String> {
    let options = Options {
        read: Arc::new(door::read),
        zone: Zone::UTC,
        clock: Clock::Fixed(NOW),
        listen: String::new(),
    };
    Store::open(path, options).map_err(|error| error.to_string())
}

struct Keeper {
    store: Store,
    conn: Connection,
    taken: usize,
    // Last: it goes when nobody looks into it any more.
    folder: TempDir,
}

thread_local! {
    static KEEPER: RefCell<Option<Keeper>> = const { RefCell::new(None) };
}

impl Keeper {
    fn begin() -> Result<Self, String> {
        let folder = tempfile::tempdir_in(folder()).map_err(|error| error.to_string())?;
        let path = folder.path().join("ledger.db");
        let store = open(&path)?;
        let conn = connect(&path, Mode::Read).map_err(|error| error.to_string())?;
        Ok(Self {
            store,
            conn,
            taken: 0,
            folder,
        })
    }

    /// Takes `delivery` in: the body as the ledger has it.
    fn take(&mut self, delivery: Delivery) -> Result<Vec<u8>, String> {
        let reading = door::read(&delivery);
        let is_readable = matches!(reading.content, Content::Events(_));
        let (reply, answer) = channel();
        let writer = self.store.writer();
        let reply = Box::new(move |ack| drop(reply.send(ack)));
        let queued = writer.append(delivery, reading, reply);
        queued.map_err(|error| error.to_string())?;
        let ack = answer.recv().map_err(|_| "no answer".to_owned())?;
        let ack = ack.map_err(|error| format!("it is not kept: {error}"))?;
        self.taken += 1;
        let fits = match ack.outcome {
            Outcome::Stored => is_readable,
            Outcome::Quarantined => !is_readable,
            Outcome::Duplicate => ack.duplicate_of.is_some(),
        };
        must(fits, || format!("readable: {is_readable}, and {ack:?}"))?;
        let sql = "select cast(body as blob), body_bytes from deliveries where seq = ?1";
        let row = self
            .conn
            .query_row(sql, [ack.seq], |row| Ok((row.get(0)?, row.get(1)?)));
        let (body, bytes): (Vec<u8>, isize) = row.map_err(|error| error.to_string())?;
        must(body.len().cast_signed() == bytes, || {
            format!("{} bytes are said to be {bytes}", body.len())
        })?;
        Ok(body)
    }

    /// All that was folded along the way is what is folded from the start, and the chain holds.
    fn end(self) -> Held {
        let compare = Task::Rebuild { check: true };
        let report = self.store.writer().run(compare, &mut |_| {});
        let report = report.map_err(|error| error.to_string())?;
        must(report.changed == 0, || {
            format!("folded again it differs: {:?}", report.findings)
        })?;
        drop(self.conn);
        self.store.close().map_err(|error| error.to_string())?;
        let found = verify::verify(&self.folder.path().join("ledger.db"));
        let found = found.map_err(|error| error.to_string())?;
        must(found.is_sound(), || format!("{found:?}"))
    }
}

/// Keeps `delivery` in a ledger: its body as it is kept.
pub(super) fn keep(delivery: &Delivery) -> Result<Vec<u8>, String> {
    KEEPER.with_borrow_mut(|kept| {
        let mut keeper = match kept.take() {
            Some(keeper) if keeper.taken >= DELIVERIES_MAX => {
                keeper.end()?;
                Keeper::begin()?
            }
            Some(keeper) => keeper,
            None => Keeper::begin()?,
        };
        let body = keeper.take(delivery.clone());
        *kept = Some(keeper);
        body
    })
}

/// Compares all that this thread has kept with what is folded from the start.
pub(super) fn settled() -> Held {
    KEEPER
        .with_borrow_mut(Option::take)
        .map_or(Ok(()), Keeper::end)
}
