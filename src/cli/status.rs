//! `status`, `stop`, `reload`: the receiver that runs on this database.

use anyhow::Result;
use rustix::process::Signal;

use crate::cli::context::Context;
use crate::cli::failure::{Failure, UNREACHABLE};
use crate::cli::links::near_url;
use crate::cli::out::Out;
use crate::cli::running::{self, Running};
use crate::cli::table::{json_text, local};
use crate::cli::{settings, start};
use crate::store::query::Reader;

/// Whether a receiver runs, and what the database has. Exit code 3 if none runs.
pub fn run(context: &Context, out: &mut Out) -> Result<()> {
    let reader = Reader::open(&context.database)?;
    let status = reader.status(context.clock.now())?;
    let zone = reader.zone()?;
    let running = running::receiver(&context.database);
    let live = running.as_ref().is_some_and(|running| running::is_live(running.listen));
    let last = status.last_received_at.map(|at| at.to_string());
    if context.global.json {
        let text = |text: Option<String>| text.map_or(Ok("null".to_owned()), |text| json_text(&text));
        out.line(format!(
            "[{{\"running\":{live},\"pid\":{},\"listen\":{},\"started_at\":{},\"database\":{},\"last_seq\":{},\
             \"folded_seq\":{},\"last_received_at\":{}}}]",
            running.as_ref().map_or("null".to_owned(), |running| running.pid.to_string()),
            text(running.as_ref().map(|running| running.listen.to_string()))?,
            text(running.as_ref().map(|running| running.started_at.clone()))?,
            json_text(&context.database.display().to_string())?,
            status.last_seq,
            status.folded_seq,
            text(last)?,
        ))?;
    } else {
        match &running {
            Some(Running { pid, listen, started_at }) => {
                let word = if live { "receiving on" } else { "does not answer on" };
                let since = local(started_at, zone);
                out.line(format!("process {pid} {word} {} since {since} {}", near_url(*listen), zone.name()))?;
            }
            None => out.line("no receiver runs: start one with `subledger serve`")?,
        }
        out.line(format!("database {}", context.database.display()))?;
        let last = last.map_or("none yet".to_owned(), |at| local(&at, zone));
        out.line(format!("{} deliveries, last {last}", status.last_seq))?;
        let behind = status.last_seq - status.folded_seq;
        if behind > 0 {
            out.line(format!("catching up {behind}"))?;
        }
    }
    out.flush()?;
    if live { Ok(()) } else { Err(Failure::silent(UNREACHABLE).into()) }
}

/// Stops the receiver; what was accepted is answered first. Nothing to stop is no failure.
pub fn stop(context: &Context, out: &mut Out) -> Result<()> {
    match running::receiver(&context.database) {
        Some(running) => start::stop(context, &running, None, out),
        None => Ok(out.say(format!("no receiver runs on {}", context.database.display()))?),
    }
}

/// Has the receiver take the settings again. Settings that do not hold are refused here and the old stay in force.
pub fn reload(context: &Context, out: &mut Out) -> Result<()> {
    settings::check(&context.config)?;
    let Some(running) = running::receiver(&context.database) else {
        let path = context.database.display();
        return Err(Failure::unreachable(format!("no receiver runs on {path}: it takes the settings when it starts")).into());
    };
    running::signal(&running, Signal::HUP)?;
    out.say(format!("process {} takes the settings again", running.pid))?;
    if running.listen.port() != context.listen().port() && context.listen().port() != 0 {
        out.say("another listen address holds from the next start on")?;
    }
    Ok(())
}
