//! `backup`: a verified copy by hand; and the copy that the receiver makes each night.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;

use crate::cli::args::BackupArgs;
use crate::cli::bar::Bar;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::interrupt;
use crate::cli::out::Out;
use crate::cli::table::json_text;
use crate::cli::tasks;
use crate::config::fresh::Fresh;
use crate::config::{BackupSettings, Config};
use crate::domain::count::in_words;
use crate::domain::printable::Printable;
use crate::domain::size;
use crate::domain::time::{Clock, Zone};
use crate::store;
use crate::store::lock;
use crate::store::query::Reader;
use crate::store::task::Task;
use crate::store::upkeep::backup::{self, Failed, Made, Night, Note};
use crate::store::upkeep::copy::{Copied, Existing, Stage, Watch, prepare};
use crate::store::writer::Store;

/// So often is looked whether a copy is due.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// How far the night's copy stands back behind the receiver; 0 is not at all, 19 as far as it goes.
const NICENESS: i32 = 10;

/// Writes the copy, verified, and says what is in it.
pub fn run(context: &Context, args: &BackupArgs, out: &mut Out) -> Result<()> {
    let reader = Reader::open(&context.database)?;
    let file = target(context, &reader, args)?;
    context.refuse_own(&file)?;
    let existing = if args.force {
        Existing::Replace
    } else {
        Existing::Keep
    };
    if args.force && lock::holder(&file).is_some() {
        let says = format!(
            "{} is in use as a database: name another file",
            file.display()
        );
        return Err(Failure::unreachable(says).into());
    }
    let settings = args
        .with_settings
        .then(|| SettingsCopy::begin(context, &file, existing))
        .transpose()?;
    let stop = interrupt::noted()?;
    let bar = Bar::new();
    let ready = prepare(
        &context.database,
        &file,
        existing,
        &mut Watch {
            stop: &stop,
            gentle: false,
            told: &mut |stage| show(&bar, stage),
        },
    );
    drop(bar);
    let copied = ready.map_err(interrupt::told)?.place(existing)?;
    let settings = settings
        .map(|settings| settings.place(existing))
        .transpose()?;
    remember(context, &copied, &file, out)?;
    tell(context, &file, &copied, settings.as_deref(), out)
}

/// The file to write: the one that is named, or one with today's name in the folder that is named.
fn target(context: &Context, reader: &Reader, args: &BackupArgs) -> Result<PathBuf> {
    if args.file.as_os_str() == "-" {
        let says = "a backup cannot go to stdout: it is verified as a file; name one";
        return Err(Failure::usage(says).into());
    }
    let file = crate::config::places::absolute(&args.file);
    if file.is_dir() {
        let zone = reader.zone()?;
        return Ok(file.join(backup::file_name(context.clock.now(), zone)));
    }
    let folder = file.parent().unwrap_or(Path::new("/"));
    if folder.is_dir() {
        return Ok(file);
    }
    let says = format!("there is no folder {}: make it first", folder.display());
    Err(Failure::unreachable(says).into())
}

/// A receiver that runs remembers the copy, so that Today names it; the ledger is not opened for writing for that.
fn remember(context: &Context, copied: &Copied, file: &Path, out: &mut Out) -> Result<()> {
    if lock::holder(&context.database).is_none() {
        return Ok(());
    }
    let made = backup::made(copied, file.to_owned(), context.clock.now());
    let note = Note::ByHand(made);
    if let Err(error) = tasks::submit_quietly(context, Task::NoteBackup { note }) {
        out.say(format!("Today does not know of this backup: {error}"))?;
    }
    Ok(())
}

fn tell(
    context: &Context,
    file: &Path,
    copied: &Copied,
    settings: Option<&Path>,
    out: &mut Out,
) -> Result<()> {
    let Copied {
        bytes, verified, ..
    } = copied;
    if context.global.json {
        let path = |path: &Path| json_text(&path.display().to_string());
        let beside = settings.map_or(Ok("null".to_owned()), path)?;
        out.line(format!(
            "[{{\"file\":{},\"bytes\":{bytes},\"last_seq\":{},\"head\":{},\"verified\":true,\"settings\":{beside}}}]",
            path(file)?,
            verified.last_seq,
            json_text(&verified.head)?,
        ))?;
    } else {
        let file = file.display().to_string();
        out.line(format!(
            "{}: {}, {}, the last is {}, verified",
            Printable::line(&file),
            size::in_words(*bytes),
            in_words(verified.deliveries, "delivery", "deliveries"),
            verified.last_seq,
        ))?;
        if let Some(settings) = settings {
            let to = settings.display().to_string();
            out.line(format!(
                "{}: the settings, secrets among them",
                Printable::line(&to)
            ))?;
        }
    }
    out.flush()?;
    for elsewhere in secrets_elsewhere(&context.config)
        .iter()
        .filter(|_| settings.is_some())
    {
        out.say(format!("not in it, keep it yourself: {elsewhere}"))?;
    }
    Ok(())
}

/// The secrets whose text does not stand in the settings file, with where they come from.
pub fn secrets_elsewhere(config: &Config) -> Vec<String> {
    config
        .shown
        .iter()
        .filter(|shown| shown.value.contains("{ env = ") || shown.value.contains("{ file = "))
        .map(|shown| format!("{} = {}", shown.key, shown.value))
        .collect()
}

/// `FILE.settings.toml`.
pub fn settings_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".settings.toml");
    PathBuf::from(name)
}

/// The settings on their way beside a backup; gone unless they are placed.
struct SettingsCopy {
    fresh: Fresh,
    to: PathBuf,
}

impl SettingsCopy {
    fn begin(context: &Context, file: &Path, existing: Existing) -> Result<Self> {
        let from = &context.settings.path;
        let to = settings_beside(file);
        if !context.settings.exists {
            let says = format!("there are no settings at {} to copy", from.display());
            return Err(Failure::usage(says).into());
        }
        if existing == Existing::Keep && to.symlink_metadata().is_ok() {
            let says = format!(
                "{} is there already: it was left as it is; name another file, or say --force",
                to.display()
            );
            return Err(Failure::failed(says).into());
        }
        let text = fs::read(from)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", from.display())))?;
        let fresh = Fresh::beside(&to)
            .and_then(|fresh| fresh.write(&text))
            .map_err(|error| cannot_write(&to, &error))?;
        Ok(Self { fresh, to })
    }

    /// Gives it its name; which that is.
    fn place(self, existing: Existing) -> Result<PathBuf> {
        let placed = match existing {
            Existing::Keep => self.fresh.put_where_nothing_is(),
            Existing::Replace => self.fresh.put(),
        };
        placed.map_err(|error| cannot_write(&self.to, &error))?;
        Ok(self.to)
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::unreachable(format!("cannot write {}: {error}", path.display()))
}

/// Shows how far a copy has come.
pub fn show(bar: &Bar, stage: Stage) {
    match stage {
        Stage::Copying { done, of } => bar.bytes("copying", done, Some(of)),
        Stage::Checking { done, of } if done < of => {
            bar.count("checking deliveries", done, Some(of));
        }
        Stage::Checking { done, of } => bar.count("checking the file", done, Some(of)),
    }
}

/// What the night's copies go by; reloading the settings changes it.
pub type Asked = Arc<Mutex<BackupSettings>>;

/// What is asked for now.
pub fn asked(settings: &Asked) -> MutexGuard<'_, BackupSettings> {
    settings.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread that makes the night's copies, as long as this is kept.
pub struct Nightly {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Nightly {
    /// Makes a copy of the ledger of `store` whenever one is due, the first time soon after.
    pub fn start(store: &Store, clock: Clock, settings: Asked) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let watchman = Watchman {
            ledger: store.path().to_owned(),
            writer: store.writer(),
            clock,
            settings,
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::Builder::new()
            .name("backup".to_owned())
            .spawn(move || watchman.watch())?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Nightly {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A copy under way ends within a moment; nothing is left of it.
            thread.join().ok();
        }
    }
}

struct Watchman {
    ledger: PathBuf,
    writer: store::writer::Writer,
    clock: Clock,
    settings: Asked,
    stop: Arc<AtomicBool>,
}

impl Watchman {
    fn watch(&self) {
        // On Linux this is about this thread alone; where it cannot be done, copies are only less gentle.
        rustix::process::setpriority_process(None, NICENESS).ok();
        while !self.stop.load(Ordering::Relaxed) {
            if let Err(error) = self.look() {
                tracing::error!("backup: {error}");
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    /// Makes the copy if one is due, and has the ledger remember how it went.
    fn look(&self) -> Result<(), store::Error> {
        let BackupSettings { dir, keep } = asked(&self.settings).clone();
        let reader = Reader::open(&self.ledger)?;
        let (record, zone) = (reader.backups()?, reader.zone()?);
        drop(reader);
        let told = dir
            .as_deref()
            .map_or_else(String::new, |dir| dir.display().to_string());
        if record.dir != told {
            self.note(Note::Asked(told))?;
        }
        let Some(dir) = dir else { return Ok(()) };
        let now = self.clock.now();
        if !record.is_due(&dir, now, zone) {
            return Ok(());
        }
        match self.make(&dir, keep, zone) {
            Ok(made) => {
                tracing::info!(
                    "backup: {}, {}, the last delivery is {}, verified",
                    made.file.display(),
                    size::in_words(made.bytes),
                    made.seq
                );
                self.note(Note::Nightly(made))
            }
            Err(store::Error::Interrupted) => Ok(()),
            Err(error) => {
                tracing::error!("no backup was made: {error}");
                self.note(Note::Failed(Failed {
                    at: now,
                    why: error.to_string(),
                }))
            }
        }
    }

    fn make(&self, dir: &Path, keep: usize, zone: Zone) -> Result<Made, store::Error> {
        let night = Night {
            ledger: &self.ledger,
            dir,
            keep,
            zone,
            now: self.clock.now(),
        };
        night.make(&mut Watch {
            stop: &self.stop,
            gentle: true,
            told: &mut |_| {},
        })
    }

    fn note(&self, note: Note) -> Result<(), store::Error> {
        let task = Task::NoteBackup { note };
        self.writer.run(task, &mut |_| {}).map(drop)
    }
}
