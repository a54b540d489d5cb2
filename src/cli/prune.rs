//! `prune`: bodies that are older than the settings keep them.

use anyhow::Result;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::out::Out;
use crate::cli::tasks;
use crate::domain::size;
use crate::domain::time::span;
use crate::store::query::Reader;
use crate::store::task::Task;
use crate::store::upkeep::retention::{Due, Retention, YOUNG_MS};

/// What is said when it is interrupted.
const LEFT: &str =
    "what is dropped is dropped; a running receiver, or the next `subledger prune`, goes on";

/// Drops what is due, or says what would go.
pub fn run(context: &Context, dry_run: bool, out: &mut Out) -> Result<()> {
    let retention = tasks::retention(&context.config);
    let reader = Reader::open(&context.database)?;
    if retention.is_none() {
        let says = "the settings keep everything for ever: say how long under [store], such as keep_bodies = \"400d\"";
        return Err(Failure::usage(says).into());
    }
    if !dry_run {
        drop(reader);
        let report = tasks::submit_until(context, Task::Prune { retention }, LEFT)?;
        return tasks::report(context, &report, out);
    }
    let due = reader.due(retention, context.clock.now())?;
    if context.global.json {
        out.line(format!(
            "[{{\"deliveries\":{},\"bytes\":{},\"quarantined\":{},\"quarantine_bytes\":{},\"file_bytes\":{}}}]",
            due.deliveries, due.bytes, due.quarantined, due.quarantine_bytes, due.file_bytes
        ))?;
    } else {
        for line in lines(retention, due) {
            out.line(line)?;
        }
    }
    Ok(out.flush()?)
}

/// What would go, a line for each thing that the settings say.
fn lines(retention: Retention, due: Due) -> Vec<String> {
    let words = |bytes: i64| size::in_words(u64::try_from(bytes).unwrap_or(0));
    let mut lines = Vec::new();
    if let Some(ms) = retention.bodies_ms {
        lines.push(format!(
            "{} bodies older than {} would go, {}",
            due.deliveries,
            span(ms),
            words(due.bytes)
        ));
    }
    if let Some(bytes) = retention.file_bytes {
        let (has, may) = (words(due.file_bytes), words(bytes));
        lines.push(if due.file_bytes > bytes {
            let young = span(YOUNG_MS);
            format!(
                "{has} are in use, {may} may be: the oldest bodies would go, but none of the last {young}"
            )
        } else {
            format!("{has} are in use, {may} may be: nothing would go for that")
        });
    }
    if let Some(ms) = retention.quarantine_ms {
        lines.push(format!(
            "{} bodies that were not understood and are older than {} would go",
            due.quarantined,
            span(ms)
        ));
    }
    if let Some(bytes) = retention.quarantine_bytes {
        let (has, may) = (words(due.quarantine_bytes), words(bytes));
        lines.push(if due.quarantine_bytes > bytes {
            format!("{has} were not understood, {may} are kept: the oldest would go")
        } else {
            format!("{has} were not understood, {may} are kept: nothing would go for that")
        });
    }
    lines
}
