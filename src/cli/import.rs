//! `import`: deliveries from a file, through the same path as live ones.
//!
//! One thread reads and judges lines; this one hands them over, a bounded lot at a time, to whoever writes the ledger.
//! What is here already is left as it is, so a second run goes on where the first one ended. Lines that cannot be taken
//! in go to a side file, and the rest is taken.

mod line;
mod pieces;
mod rejects;
mod source;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::cli::args::ImportArgs;
use crate::cli::bar::Bar;
use crate::cli::context::{Context, create_directory_of};
use crate::cli::failure::{FAILED, Failure, INTERRUPTED};
use crate::cli::import::line::{Bare, Line, Lines};
use crate::cli::import::pieces::Pieces;
use crate::cli::import::rejects::{Bad, Rejects};
use crate::cli::import::source::Source;
use crate::cli::interrupt;
use crate::cli::out::Out;
use crate::cli::{table, tasks};
use crate::domain::count::in_words;
use crate::domain::delivery::Delivery;
use crate::domain::printable::Printable;
use crate::domain::time::Timestamp;
use crate::providers::door::{self, Doors};
use crate::store;
use crate::store::task::{Task, submit_with};
use crate::store::upkeep::import::{Ground, Imported, Parcel, Preview, ground};
use crate::store::writer::Store;

/// So many lines, and bytes of deliveries, are handed over at once; one delivery may always be.
const LOT_LINES: usize = 2_000;
const LOT_BYTES: usize = 1 << 20;

/// So many bad lines are shown; the side file has all.
const SHOWN: u64 = 5;

/// So often it is looked whether somebody wants to stop, while the file keeps us waiting.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Takes the deliveries of a file in.
pub fn run(context: &Context, args: &ImportArgs, out: &mut Out) -> Result<()> {
    let bare = bare(context, args)?;
    let source = Source::open(&args.file)?;
    let mut rejects = if args.dry_run {
        Rejects::nowhere()
    } else {
        Rejects::new(args.rejects.as_deref(), &source.name)?
    };
    let (ground, made) = prepare(context, args.dry_run, out)?;
    let doors = Doors::open(&context.config.accounts, ground.fingerprint_key)?;
    let lines = Lines {
        doors: Arc::new(doors),
        bare,
        account: context.global.account.clone(),
        body_bytes_max: context.config.receiver.body_bytes_max,
        clock: context.clock,
    };
    interrupt::noted()?;
    let sink = match made {
        Some(store) => Sink::own(context, ground.last_seq, store),
        None => Sink::new(context, args.dry_run, ground.last_seq, out)?,
    };
    let mut run = Run {
        sink,
        bar: Bar::new(),
        bytes: source.bytes,
        total: Total::new(args.dry_run),
        rejects: &mut rejects,
    };
    let ended = run.take_all(&lots(source, lines)?, out);
    let Run {
        sink,
        bar,
        mut total,
        ..
    } = run;
    total.interrupted = ended.is_ok() && interrupt::is_asked() && !total.is_whole;
    let ended = ended.and(sink.end(total.interrupted).map_err(Into::into));
    drop(bar);
    total.rejects = rejects.path().map(|path| path.display().to_string());
    total.tell(context, out)?;
    ended?;
    match &total {
        Total {
            interrupted: true, ..
        } => Err(Failure::silent(INTERRUPTED).into()),
        Total { rejected: 0, .. } => Ok(()),
        _ => Err(Failure::silent(FAILED).into()),
    }
}

/// What `--provider`, `--hook` and `--as-of` say of bare bodies.
fn bare(context: &Context, args: &ImportArgs) -> Result<Option<Bare>> {
    let (Some(provider), Some(hook), Some(as_of)) = (&args.provider, &args.hook, &args.as_of)
    else {
        return Ok(None);
    };
    line::known(provider, hook).map_err(Failure::usage)?;
    let received_at = Timestamp::parse(as_of).ok_or_else(|| {
        Failure::usage(format!(
            "--as-of wants a time such as 2026-11-01 or 2026-11-01T09:00:00Z, not {as_of:?}"
        ))
    })?;
    if received_at > context.clock.now() {
        return Err(Failure::usage(format!("--as-of {as_of} is in the future")).into());
    }
    Ok(Some(Bare {
        provider: provider.clone(),
        hook: hook.clone(),
        received_at,
    }))
}

/// The ledger as it is; made, and then open, if there is none and this is no dry run.
fn prepare(context: &Context, dry_run: bool, out: &mut Out) -> Result<(Ground, Option<Store>)> {
    let path = &context.database;
    if let Some(ground) = ground(path)? {
        return Ok((ground, None));
    }
    if dry_run {
        let nothing = Ground {
            last_seq: 0,
            fingerprint_key: [0; 32],
        };
        return Ok((nothing, None));
    }
    create_directory_of(path)?;
    let store = tasks::open_store(context, String::new())?;
    out.say(format!("made a ledger: {}", path.display()))?;
    let ground = ground(path)?.ok_or_else(|| store::Error::Absent(path.clone()))?;
    Ok((ground, Some(store)))
}

/// Some lines, judged.
#[derive(Default)]
struct Lot {
    /// What can be taken in, each with the number of its line.
    deliveries: Vec<(u64, Delivery, Option<Timestamp>)>,
    bad: Vec<Bad>,
    /// Lines whose bodies were erased where they come from.
    erased: u64,
    lines: u64,
    bytes: usize,
    /// How much of the file is behind, and up to which line.
    offset: u64,
    last: u64,
}

/// Reads `source` on a thread of its own. An error of the file ends the lots.
fn lots(source: Source, lines: Lines) -> Result<Receiver<Result<Lot>>> {
    let (to, lots) = sync_channel(1);
    std::thread::Builder::new()
        .name("lines".to_owned())
        .spawn(move || {
            let name = source.name.clone();
            let read = Cutter::new(source, lines).cut_all(&to);
            if let Err(error) = read {
                let error = Failure::failed(format!("cannot read {}: {error}", name.display()));
                // Nobody listens any more if the import has failed.
                let _ = to.send(Err(error.into()));
            }
        })?;
    Ok(lots)
}

/// Cuts a file into lots.
struct Cutter {
    pieces: Pieces<Box<dyn std::io::BufRead + Send>>,
    lines: Lines,
    lot: Lot,
}

impl Cutter {
    fn new(source: Source, lines: Lines) -> Self {
        Self {
            pieces: Pieces::new(source.from, lines.bytes_max()),
            lines,
            lot: Lot::default(),
        }
    }

    fn cut_all(mut self, to: &SyncSender<Result<Lot>>) -> std::io::Result<()> {
        while let Some(piece) = self.pieces.next()? {
            match self.lines.read(&piece) {
                Ok(Line::Delivery(delivery, repeats_at)) => {
                    let bytes = Parcel::bytes_of(&delivery);
                    if self.lot.bytes + bytes > LOT_BYTES && !self.lot.deliveries.is_empty() {
                        self.send(to);
                    }
                    self.lot.bytes += bytes;
                    self.lot
                        .deliveries
                        .push((piece.number, *delivery, repeats_at));
                }
                Ok(Line::Erased) => self.lot.erased += 1,
                Err(reason) => {
                    self.lot.bytes += piece.bytes.len();
                    self.lot.bad.push(Bad {
                        unit: if self.pieces.is_array() {
                            "element"
                        } else {
                            "line"
                        },
                        number: piece.number,
                        reason,
                        source: piece.bytes,
                    });
                }
            }
            self.lot.lines += 1;
            self.lot.last = piece.number;
            self.lot.offset = self.pieces.offset();
            let is_full = self.lot.lines >= LOT_LINES as u64 || self.lot.bytes >= LOT_BYTES;
            if is_full && !self.send(to) {
                return Ok(());
            }
        }
        self.send(to);
        Ok(())
    }

    /// Whether anybody took it.
    fn send(&mut self, to: &SyncSender<Result<Lot>>) -> bool {
        to.send(Ok(std::mem::take(&mut self.lot))).is_ok()
    }
}

/// Where deliveries go.
enum Sink<'a> {
    Ledger {
        context: &'a Context,
        /// The newest delivery when this import began.
        before: i64,
        /// The ledger itself, held to the end, where nobody else held it at first.
        own: Option<Store>,
    },
    /// Nowhere: only what would happen is told.
    Dry(Preview),
}

impl<'a> Sink<'a> {
    fn new(context: &'a Context, dry_run: bool, before: i64, out: &mut Out) -> Result<Self> {
        Ok(if dry_run {
            Self::Dry(Preview::open(&context.database)?)
        } else {
            let own = match tasks::open_store(context, String::new()) {
                Ok(store) => {
                    tasks::say_upgraded(&store, out)?;
                    Some(store)
                }
                // A receiver runs: it is handed over.
                Err(store::Error::Locked { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            Self::Ledger {
                context,
                before,
                own,
            }
        })
    }

    /// Into a ledger that this process has just made.
    const fn own(context: &'a Context, before: i64, store: Store) -> Self {
        Self::Ledger {
            context,
            before,
            own: Some(store),
        }
    }

    /// Lets go of the ledger once what was taken in is folded; after `interrupted` the next process goes on with that.
    fn end(self, interrupted: bool) -> Result<(), store::Error> {
        match self {
            Self::Ledger {
                own: Some(store), ..
            } if interrupted => store.stop(),
            Self::Ledger {
                own: Some(store), ..
            } => store.close(),
            _ => Ok(()),
        }
    }

    /// The places in `failed` are those in `deliveries`.
    fn take(
        &mut self,
        deliveries: &[(u64, Delivery, Option<Timestamp>)],
    ) -> Result<Imported, store::Error> {
        let mut imported = Imported::default();
        match self {
            Self::Dry(preview) => {
                for (_, delivery, _) in deliveries {
                    preview.judge(delivery, &door::read(delivery), &mut imported)?;
                }
            }
            Self::Ledger {
                context,
                before,
                own,
            } if !deliveries.is_empty() => {
                let parcels = deliveries
                    .iter()
                    .map(|(_, delivery, at)| Parcel::from(delivery).repeating(*at));
                let task = Task::Import {
                    parcels: parcels.collect(),
                    before: *before,
                };
                let report = if let Some(store) = own {
                    store.writer().run(task, &mut |_| {})?
                } else {
                    let local = || tasks::open_store(context, String::new());
                    submit_with(&context.database, task, local, &mut |_| {})?
                };
                // A receiver of an earlier version tells in words only.
                imported = report.import.ok_or_else(|| {
                    store::Error::Refused(
                        "the receiver is of another version: restart it, then import again"
                            .to_owned(),
                    )
                })?;
            }
            Self::Ledger { .. } => {}
        }
        Ok(imported)
    }
}

/// An import under way.
struct Run<'a> {
    sink: Sink<'a>,
    bar: Bar,
    /// How long the file is, if that is known.
    bytes: Option<u64>,
    total: Total,
    rejects: &'a mut Rejects,
}

impl Run<'_> {
    /// Takes lots until there are no more, or somebody wants to stop.
    fn take_all(&mut self, lots: &Receiver<Result<Lot>>, out: &mut Out) -> Result<()> {
        while !interrupt::is_asked() {
            match lots.recv_timeout(LOOK_EVERY) {
                Ok(lot) => self.take(lot?, out)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.total.is_whole = true;
                    break;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, mut lot: Lot, out: &mut Out) -> Result<()> {
        let mut imported = self.sink.take(&lot.deliveries)?;
        for (place, reason) in std::mem::take(&mut imported.failed) {
            let number = lot.deliveries.get(place).map_or(0, |(number, ..)| *number);
            lot.bad.push(Bad {
                unit: "line",
                number,
                reason,
                source: Vec::new(),
            });
        }
        let total = &mut self.total;
        imported.erased += lot.erased;
        total.imported.add(imported);
        total.lines += lot.lines;
        total.last_line = lot.last.max(total.last_line);
        for bad in &lot.bad {
            total.rejected += 1;
            if total.rejected <= SHOWN {
                let Bad {
                    unit,
                    number,
                    reason,
                    ..
                } = bad;
                let line = format!("{unit} {number}: {}", Printable::line(reason));
                self.bar.suspend(|| out.say(line))?;
            }
        }
        self.rejects.add(&lot.bad)?;
        let lines = in_words(total.lines, "line,", "lines,");
        self.bar.bytes(lines, lot.offset, self.bytes);
        Ok(())
    }
}

/// What became of a file.
#[derive(Debug, Serialize)]
struct Total {
    lines: u64,
    #[serde(flatten)]
    imported: Imported,
    rejected: u64,
    rejects: Option<String>,
    last_line: u64,
    dry_run: bool,
    interrupted: bool,
    #[serde(skip)]
    is_whole: bool,
}

impl Total {
    fn new(dry_run: bool) -> Self {
        Self {
            lines: 0,
            imported: Imported::default(),
            rejected: 0,
            rejects: None,
            last_line: 0,
            dry_run,
            interrupted: false,
            is_whole: false,
        }
    }

    /// One sentence on stderr, or one object on stdout.
    fn tell(&self, context: &Context, out: &mut Out) -> Result<()> {
        if context.global.json {
            out.line(table::tame(&serde_json::to_string(&[self])?))?;
            out.flush()?;
        } else {
            out.say(self.sentence())?;
        }
        if !self.is_whole {
            let last = self.last_line;
            out.say(format!(
                "stopped behind line {last}: what was taken in stays, and the same command goes on from there"
            ))?;
        }
        Ok(())
    }

    fn sentence(&self) -> String {
        let Imported {
            stored,
            repeats,
            quarantined,
            present,
            erased,
            ..
        } = &self.imported;
        let would = if self.dry_run { "would be " } else { "" };
        let mut sentence = format!(
            "{}: {would}{stored} stored, {}, {quarantined} not understood, {present} here already",
            in_words(self.lines, "line", "lines"),
            in_words(*repeats, "repeat", "repeats")
        );
        if *erased > 0 {
            sentence = format!("{sentence}, {erased} erased");
        }
        if self.rejected > 0 {
            sentence = format!("{sentence}; {} cannot be taken in", self.rejected);
        }
        if let Some(path) = &self.rejects {
            sentence = format!("{sentence}: see {}", Printable::line(path));
        }
        sentence
    }
}
