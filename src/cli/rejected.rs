//! `rejected`: why a webhook did not arrive, and how to take it in after all.

use anyhow::Result;

use crate::cli::args::{Global, ListArgs, RejectedCommand};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::lists::{self, Shown, Wording};
use crate::cli::out::Out;
use crate::cli::show::{body_json, fields, headers_and_body, pairs, whole};
use crate::cli::table::json_text;
use crate::cli::tasks;
use crate::cli::upkeep::within;
use crate::domain::count::in_words;
use crate::domain::page::List;
use crate::domain::printable::Printable;
use crate::domain::remedy::advice;
use crate::store::query::Reader;
use crate::store::task::Task;
use crate::tui::cell::text_field;

/// What a table of rejected requests shows, in this order; machine formats have all.
const COLUMNS: &[&str] = &[
    "id",
    "received_at",
    "provider",
    "hook",
    "reason",
    "remote_ip",
    "body_bytes",
];

/// Lists, shows or takes in.
pub fn run(
    global: &Global,
    command: Option<&RejectedCommand>,
    args: &ListArgs,
    out: &mut Out,
) -> Result<()> {
    match command {
        None => list(&Context::look(global, out)?, args, out),
        Some(RejectedCommand::List(args)) => list(&Context::look(global, out)?, args, out),
        Some(RejectedCommand::Show { id }) => show(&Context::look(global, out)?, *id, out),
        Some(RejectedCommand::Admit { ids }) => {
            let context = &Context::read(global)?;
            let report = tasks::submit(context, Task::Admit { ids: ids.clone() })?;
            tasks::report(context, &report, out)?;
            if report.seqs.is_empty() {
                return Err(Failure::silent(crate::cli::failure::FAILED).into());
            }
            Ok(())
        }
    }
}

fn list(context: &Context, args: &ListArgs, out: &mut Out) -> Result<()> {
    let none = if args.query.is_empty() {
        "nothing was turned away in the last 14 days"
    } else {
        "nothing that was turned away fits"
    };
    let args = within("is:rejected", args);
    let shown = Shown::Only(COLUMNS);
    let wording = Wording {
        none,
        rows: "requests turned away",
    };
    lists::list(context, List::Deliveries, &args, shown, Some(wording), out)?;
    let lost = Reader::open(&context.database)?
        .status(context.clock.now())?
        .lost;
    if lost > 0 {
        out.say(format!(
            "{} turned away in the last 14 days and could not be kept, only counted",
            in_words(lost, "more was", "more were")
        ))?;
    }
    Ok(())
}

fn show(context: &Context, id: i64, out: &mut Out) -> Result<()> {
    let reader = Reader::open(&context.database)?;
    let Some(detail) = reader.rejected(id)? else {
        return Err(Failure::failed(format!(
            "there is no rejected request {id}, or none any more: `subledger rejected list` shows them"
        ))
        .into());
    };
    if context.global.json {
        let number =
            |number: Option<i64>| number.map_or("null".to_owned(), |number| number.to_string());
        let sha256 = detail.sha256.as_deref().map(json_text).transpose()?;
        let extra = [
            ("id", id.to_string()),
            ("method", json_text(&detail.method)?),
            ("path", json_text(&detail.path)?),
            ("sha256", sha256.unwrap_or_else(|| "null".to_owned())),
            ("admitted_seq", number(detail.admitted_seq)),
            ("headers", pairs(&detail.headers)?),
            ("body", body_json(detail.body.as_deref())?),
        ];
        out.line(format!("[{}]", whole(&detail.row, &extra)?))?;
        return Ok(out.flush()?);
    }
    out.line(format!(
        "{} {}",
        Printable::line(&detail.method),
        Printable::line(&detail.path)
    ))?;
    fields(&detail.row, reader.zone()?, out)?;
    if let Some(seq) = detail.admitted_seq {
        out.line(format!("taken in as delivery {seq}"))?;
    } else {
        let text = |name| text_field(List::Deliveries, &detail.row, name).unwrap_or_default();
        let was_valid = reader.let_in(text("provider"), &detail.path)?.is_some();
        if let Some(words) = advice(text("reason"), was_valid) {
            out.line(format!("what to do: {words}"))?;
        }
        // Without its body it cannot be judged again.
        if detail.body.is_some() {
            out.line(format!("to take it in: subledger rejected admit {id}"))?;
        }
    }
    headers_and_body(&detail.headers, detail.body.as_deref(), "not kept", out)
}
