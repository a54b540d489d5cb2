//! Work on the ledger: done here if nobody writes to it, else handed to the receiver that does.

use std::cell::Cell;
use std::sync::Arc;

use anyhow::Result;

use crate::cli::bar::Bar;
use crate::cli::context::Context;
use crate::cli::interrupt;
use crate::cli::out::Out;
use crate::cli::serve::admit_again;
use crate::cli::settings;
use crate::config::Config;
use crate::domain::printable::Printable;
use crate::providers::door::{self, Doors};
use crate::store;
use crate::store::query::Reader;
use crate::store::task::{Progress, Task, TaskReport, submit_with};
use crate::store::upgrade::Upgraded;
use crate::store::upkeep::again::clean_beside;
use crate::store::upkeep::retention::Retention;
use crate::store::writer::{Options, Store};

/// Does `task` on the ledger of `context`, showing how far it has come where somebody watches.
pub fn submit(context: &Context, task: Task) -> Result<TaskReport> {
    submit_watched(context, task, None)
}

/// `submit` for a task that may be left halfway: the process ends once it is asked to, and says what is `left`.
pub fn submit_until(context: &Context, task: Task, left: &str) -> Result<TaskReport> {
    interrupt::noted()?;
    submit_watched(context, task, Some(left))
}

fn submit_watched(context: &Context, task: Task, left: Option<&str>) -> Result<TaskReport> {
    // A task makes no ledger.
    Reader::open(&context.database)?;
    if matches!(task, Task::Admit { .. }) {
        settings::check(&context.config)?;
    }
    let bar = Bar::new();
    let mut upgraded = None;
    let is_own = Cell::new(false);
    let opened = || {
        let store = open(context)?;
        is_own.set(true);
        upgraded = store.upgraded().map(Upgraded::sentence);
        Ok(store)
    };
    let report = submit_with(&context.database, task, opened, &mut |progress| {
        bar.count("", progress.done, progress.of);
        if let Some(left) = left.filter(|_| interrupt::is_asked()) {
            if is_own.get() {
                // What stays is removed at the next start.
                let _ = clean_beside(&context.database);
            }
            interrupt::end(left);
        }
    });
    drop(bar);
    let mut report = report?;
    report.findings.extend(upgraded);
    Ok(report)
}

/// Says where the ledger stands as it was before, if opening it upgraded it.
pub fn say_upgraded(store: &Store, out: &mut Out) -> Result<()> {
    match store.upgraded() {
        Some(upgraded) => Ok(out.say(upgraded.sentence())?),
        None => Ok(()),
    }
}

/// Does `task` without a word.
pub fn submit_quietly(context: &Context, task: Task) -> Result<TaskReport, store::Error> {
    submit_with(&context.database, task, || open(context), &mut |_| {})
}

/// Does `task` for the screen, which may have been open for long: what is judged is judged by the settings of now.
pub fn submit_from_screen(
    context: &Context,
    task: Task,
    progress: &mut dyn FnMut(&Progress),
) -> Result<TaskReport> {
    let fresh = match task {
        Task::Admit { .. } => {
            let config = Context::read(&context.global)?.config;
            settings::check(&config)?;
            // The ledger is the one on screen, whatever the settings name now.
            Some(Context {
                config,
                ..context.clone()
            })
        }
        _ => None,
    };
    let context = fresh.as_ref().unwrap_or(context);
    let opened = || open(context);
    Ok(submit_with(&context.database, task, opened, progress)?)
}

/// The ledger, held by this process for one task. It receives nothing.
fn open(context: &Context) -> Result<Store, store::Error> {
    let store = open_store(context, String::new())?;
    // Settings that do not hold let nothing in, and everything else can be done without them.
    if let Ok(doors) = Doors::open(&context.config.accounts, store.fingerprint_key()) {
        store.admit_with(Arc::new(move |row| admit_again(&doors, row)));
    }
    Ok(store)
}

/// The ledger, to be written by this process, which receives on `listen` if that is not empty.
pub fn open_store(context: &Context, listen: String) -> Result<Store, store::Error> {
    let options = Options {
        read: Arc::new(door::read),
        zone: context.zone(),
        clock: context.clock,
        listen,
    };
    Store::open(&context.database, options)
}

/// What the settings keep how long.
pub fn retention(config: &Config) -> Retention {
    let keep = config.keep;
    Retention {
        bodies_ms: keep.bodies_ms,
        file_bytes: keep.file_bytes,
        quarantine_ms: keep.quarantine_ms,
        quarantine_bytes: keep.quarantine_bytes,
    }
}

/// Writes what a task reports: data on stdout only as JSON.
pub fn report(context: &Context, report: &TaskReport, out: &mut Out) -> Result<()> {
    if context.global.json {
        out.line(crate::cli::table::tame(&serde_json::to_string(&[report])?))?;
    } else {
        out.line(Printable::line(&report.summary))?;
        for (list, rows) in &report.counts {
            out.line(format!("  {list}: {rows}"))?;
        }
        for finding in &report.findings {
            out.line(format!("  {}", Printable::line(finding)))?;
        }
    }
    Ok(out.flush()?)
}
