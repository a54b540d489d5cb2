//! Work on the ledger: done here if nobody writes to it, else handed to the receiver that does.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::context::Context;
use crate::cli::out::Out;
use crate::cli::serve::admit_again;
use crate::domain::printable::Printable;
use crate::providers::door::{self, Doors};
use crate::store::query::Reader;
use crate::store::task::{Progress, Task, TaskReport, submit_with};
use crate::store::writer::{Options, Store};
use crate::store::{self};

/// Does `task` on the ledger of `context`, showing how far it has come where somebody watches.
pub fn submit(context: &Context, task: Task) -> Result<TaskReport> {
    // A task makes no ledger.
    Reader::open(&context.database)?;
    let accounts = context.config.accounts.clone();
    let key_holder = move |store: &Store| Doors::open(&accounts, store.fingerprint_key());
    if matches!(task, Task::Admit { .. }) {
        crate::cli::settings::check(&context.config)?;
    }
    let bar = Bar::new();
    let report = submit_with(
        &context.database,
        task,
        || open(context, key_holder),
        &mut |progress| bar.show(progress),
    );
    bar.clear();
    Ok(report?)
}

/// The ledger, held by this process for one task.
fn open(
    context: &Context,
    doors: impl FnOnce(&Store) -> Result<Doors, crate::config::SettingsError>,
) -> Result<Store, store::Error> {
    let options = Options {
        read: Arc::new(door::read),
        zone: context.zone(),
        clock: context.clock,
        listen: String::new(),
    };
    let store = Store::open(&context.database, options)?;
    if let Ok(doors) = doors(&store) {
        store.admit_with(Arc::new(move |row| admit_again(&doors, row)));
    }
    Ok(store)
}

/// Writes what a task reports: data on stdout only as JSON.
pub fn report(context: &Context, report: &TaskReport, out: &mut Out) -> Result<()> {
    if context.global.json {
        out.line(crate::cli::table::tame(&serde_json::to_string(&[report])?))?;
    } else {
        out.line(Printable::line(&report.summary))?;
        for finding in &report.findings {
            out.line(format!("  {}", Printable::line(finding)))?;
        }
    }
    Ok(out.flush()?)
}

/// How far a task has come, on stderr where that is a terminal.
pub struct Bar(ProgressBar);

impl Bar {
    /// Shown once a task takes a while.
    pub fn new() -> Self {
        let bar = ProgressBar::no_length();
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// So far.
    pub fn show(&self, progress: &Progress) {
        if let Some(of) = progress.of
            && self.0.length() != Some(of)
        {
            self.0.set_length(of);
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len}") {
                self.0.set_style(style);
            }
        }
        self.0.set_position(progress.done);
    }

    /// Gone without a trace.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}
