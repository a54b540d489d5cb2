//! Looks on every core whether the lists are what the deliveries say, without writing anything.
//!
//! Each thread has a connection of its own on one and the same state of the ledger. Pieces of the work are handed out
//! in the order in which they stand in the file; deliveries come first, whatever their number, then readers, then
//! groups of subscriptions, then consents.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, available_parallelism};

use rusqlite::Connection;

use crate::domain::delivery::Content;
use crate::domain::time::{Timestamp, Zone};
use crate::store::append::stored_some;
use crate::store::fold::{Unfolded, unfolded};
use crate::store::project::left::{Left, Names};
use crate::store::project::same::{Apart, Entry, Look, Reader, Seen, agreeing, entries};
use crate::store::{Error, Mode, ReadFn, connect};

/// So many deliveries, or names, are looked at in one piece.
const PIECE: i64 = 512;
const NAMES: usize = 128;
/// Bodies read at once have so many bytes together; one may always be.
const BYTES: usize = 1 << 20;
/// Threads beyond that would only wait for the file.
const THREADS_MAX: usize = 8;

/// Connections on one state of the ledger.
pub(super) struct Threads(Vec<Connection>);

impl Threads {
    /// Opens the ledger at `path` once for each thread and once more; to be called where nothing is written meanwhile.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let threads = available_parallelism().map_or(1, NonZero::get);
        let open = |_| {
            let conn = connect(path, Mode::Read)?;
            conn.execute_batch("begin")?;
            // The state is taken by the first read.
            conn.query_row("select max(seq) from deliveries", [], |_| Ok(()))?;
            Ok(conn)
        };
        (0..=threads.min(THREADS_MAX))
            .map(open)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// As of when, and what ends it.
pub(super) struct Terms<'a> {
    pub(super) zone: Zone,
    pub(super) now: Timestamp,
    pub(super) reader: &'a ReadFn,
    /// The latest delivery.
    pub(super) end: i64,
    pub(super) stop: &'a AtomicBool,
    /// How far it is, of `end`.
    pub(super) done: &'a AtomicI64,
}

/// A part of the work.
enum Piece {
    /// After, and up to.
    Deliveries(i64, i64),
    Readers(i64, i64),
    Groups(Vec<Entry>),
    Consents(Vec<Reader>),
}

/// Whether nothing differs. What cannot be told is no: the whole comparison says why.
pub(super) fn is_same(threads: Threads, terms: &Terms<'_>) -> Result<bool, Error> {
    let Threads(mut conns) = threads;
    let Some(first) = conns.pop() else {
        return Ok(false);
    };
    let mut all = Seen::default();
    let left = Left::of(&first, terms.zone, terms.end)?;
    let looked = run(
        &first,
        &mut conns,
        &left.names,
        &mut all,
        terms,
        |_, _, give| {
            spans(terms.end).all(|(after, to)| give(Piece::Deliveries(after, to)));
            Ok(())
        },
    );
    let looked = looked.and_then(|()| {
        run(
            &first,
            &mut conns,
            &left.names,
            &mut all,
            terms,
            |conn, seen, give| people(conn, seen, terms.end, give),
        )
    });
    match looked.and_then(|()| all.accounts_for_all(&first, &left)) {
        Ok(()) => Ok(true),
        Err(_) if terms.stop.load(Ordering::Relaxed) => Err(Error::Interrupted),
        Err(apart) => {
            // Of use to whoever finds that it always fails.
            if let Apart::Failed(error) = apart {
                tracing::debug!(%error, "the lists are compared row by row");
            }
            Ok(false)
        }
    }
}

/// Gives a piece to whoever is free; false where nobody wants more.
type Give<'a> = &'a dyn Fn(Piece) -> bool;

fn people(conn: &Connection, seen: &mut Seen, end: i64, give: Give<'_>) -> Result<(), Error> {
    spans(end).all(|(after, to)| give(Piece::Readers(after, to)));
    let lone = seen.take_lone();
    lone.chunks(NAMES)
        .all(|some| give(Piece::Groups(some.to_vec())));
    entries(conn, NAMES, &mut |some| give(Piece::Groups(some)))?;
    agreeing(conn, NAMES, &mut |some| give(Piece::Consents(some)))
}

/// The numbers up to `end`, a piece at a time: after, and up to.
fn spans(end: i64) -> impl Iterator<Item = (i64, i64)> {
    std::iter::successors(Some(0), |after| Some(after + PIECE))
        .take_while(move |after| *after < end)
        .map(move |after| (after, (after + PIECE).min(end)))
}

/// Has every piece looked at that `stage` gives.
fn run(
    first: &Connection,
    conns: &mut [Connection],
    left: &Names,
    all: &mut Seen,
    terms: &Terms<'_>,
    stage: impl FnOnce(&Connection, &mut Seen, Give<'_>) -> Result<(), Error>,
) -> Result<(), Apart> {
    let (to, pieces) = sync_channel(conns.len() * 2);
    let pieces = Mutex::new(pieces);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (pieces, over) = (&pieces, &over);
        let started = conns.iter_mut().map(|conn| {
            let thread = Builder::new().name("look".to_owned());
            thread.spawn_scoped(scope, move || {
                let look = Look::new(conn, left, terms.zone, terms.now);
                work(look, conn, pieces, over, terms)
            })
        });
        let threads: Vec<_> = started.filter_map(Result::ok).collect();
        if threads.is_empty() {
            return Err(Apart::Differs);
        }
        let give = |piece| !over.load(Ordering::Relaxed) && to.send(piece).is_ok();
        let given = stage(first, all, &give);
        drop(to);
        for thread in threads {
            all.join(thread.join().unwrap_or(Err(Apart::Differs))?);
        }
        Ok(given?)
    })
}

/// Looks at one piece after the other, until there are no more. Once something differs the rest is only taken.
fn work<'a>(
    mut look: Look<'a>,
    conn: &'a Connection,
    pieces: &Mutex<Receiver<Piece>>,
    over: &AtomicBool,
    terms: &Terms<'_>,
) -> Result<Seen, Apart> {
    let next = || {
        let pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.recv().ok()
    };
    let mut outcome = Ok(());
    while let Some(piece) = next() {
        if over.load(Ordering::Relaxed) {
            continue;
        }
        // Whoever panics here would leave the pieces to nobody.
        outcome = catch_unwind(AssertUnwindSafe(|| at(&mut look, conn, piece, terms)))
            .unwrap_or(Err(Apart::Differs));
        if outcome.is_err() || terms.stop.load(Ordering::Relaxed) {
            over.store(true, Ordering::Relaxed);
            break;
        }
    }
    while next().is_some() {}
    outcome.map(|()| look.seen)
}

fn at(
    look: &mut Look<'_>,
    conn: &Connection,
    piece: Piece,
    terms: &Terms<'_>,
) -> Result<(), Apart> {
    match piece {
        Piece::Deliveries(after, to) => {
            span(look, conn, after, to, terms)?;
            // Reading and comparing deliveries is some two thirds of the work.
            terms
                .done
                .fetch_add((to - after) * 2 / 3, Ordering::Relaxed);
        }
        Piece::Readers(after, to) => {
            look.readers(after, to)?;
            terms.done.fetch_add((to - after) / 6, Ordering::Relaxed);
        }
        Piece::Groups(entries) => look.groups(&entries)?,
        Piece::Consents(readers) => look.consents(&readers)?,
    }
    Ok(())
}

fn span(
    look: &mut Look<'_>,
    conn: &Connection,
    mut after: i64,
    to: i64,
    terms: &Terms<'_>,
) -> Result<(), Apart> {
    while after < to {
        let mut rows = stored_some(conn, after, to - after, BYTES)?;
        rows.retain(|row| row.seq <= to);
        let last = rows.last().map_or(to, |row| row.seq);
        let read = rows
            .into_iter()
            .filter_map(|row| unfolded(terms.reader, row));
        let read: Vec<Unfolded> = read.collect();
        // What was understood once and is not any more is for the whole comparison.
        if read
            .iter()
            .any(|one| matches!(one.reading.content, Content::Unreadable(_)))
        {
            return Err(Apart::Differs);
        }
        let batch: Vec<_> = read.iter().map(Unfolded::read).collect();
        look.deliveries(&batch, after, last)?;
        after = last;
    }
    Ok(())
}
