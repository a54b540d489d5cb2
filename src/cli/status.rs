//! `status`, `stop`, `reload`: the receiver that runs on this database.

use anyhow::Result;

use crate::cli::context::Context;
use crate::cli::failure::{Failure, UNREACHABLE};
use crate::cli::links::near_url;
use crate::cli::out::Out;
use crate::cli::running::{self, Running};
use crate::cli::table::{json_text, local};
use crate::cli::{lists, service, settings, start, today};
use crate::domain::count::{in_words, word};
use crate::domain::page::List;
use crate::domain::printable::Printable;
use crate::domain::time::Zone;
use crate::store;
use crate::store::lock::holder;
use crate::store::query::Reader;
use crate::store::task::{Task, submit};

/// Whether a receiver runs, and what the database has. Exit code 3 if none runs.
pub fn run(context: &Context, out: &mut Out) -> Result<()> {
    let reader = Reader::open(&context.database)?;
    let status = reader.status(context.clock.now())?;
    let zone = reader.zone()?;
    let running = running::receiver(&context.database);
    let live = running
        .as_ref()
        .is_some_and(|running| running::is_live(running.listen));
    let keeper = running.as_ref().map(|running| running::keeper(running.pid));
    let last = status.last_received_at.map(|at| at.to_string());
    let overwrite_since = reader.overwrite_since()?;
    let quarantine_bytes = reader.quarantine_bytes()?;
    if context.global.json {
        let text =
            |text: Option<String>| text.map_or(Ok("null".to_owned()), |text| json_text(&text));
        out.line(format!(
            "[{{\"running\":{live},\"pid\":{},\"listen\":{},\"started_at\":{},\"as\":{},\"database\":{},\"last_seq\":{},\
             \"folded_seq\":{},\"last_received_at\":{},\"overwrite_since\":{},\"quarantine_bytes\":{quarantine_bytes}}}]",
            running.as_ref().map_or("null".to_owned(), |running| running.pid.to_string()),
            text(running.as_ref().map(|running| running.listen.to_string()))?,
            text(running.as_ref().map(|running| running.started_at.clone()))?,
            text(keeper.map(|keeper| keeper.word().to_owned()))?,
            json_text(&context.database.display().to_string())?,
            status.last_seq,
            status.folded_seq,
            text(last)?,
            text(overwrite_since)?,
        ))?;
    } else {
        match &running {
            Some(Running {
                pid,
                listen,
                started_at,
            }) => {
                let word = if live {
                    "receiving on"
                } else {
                    "does not answer on"
                };
                let since = local(started_at, zone);
                out.line(format!(
                    "process {pid} {word} {} since {since} {}",
                    near_url(*listen),
                    zone.name()
                ))?;
                if let Some(keeper) = keeper {
                    out.line(keeper.says())?;
                }
            }
            None => out.line(service::absent())?,
        }
        out.line(format!("database {}", context.database.display()))?;
        out.line(come(status.last_seq, last.as_deref(), zone))?;
        let behind = status.last_seq - status.folded_seq;
        if behind > 0 {
            out.line(format!("catching up {behind}"))?;
        }
        not_understood(context, &reader, out)?;
        disk(overwrite_since.as_deref(), zone, out)?;
        versions(&reader, out)?;
    }
    out.flush()?;
    if live {
        Ok(())
    } else {
        Err(Failure::silent(UNREACHABLE).into())
    }
}

/// How many deliveries there are, and when the last one came.
fn come(deliveries: i64, last: Option<&str>, zone: Zone) -> String {
    let all = in_words(deliveries, "delivery", "deliveries");
    match last {
        Some(at) => format!("{all}, last {}", local(at, zone)),
        None if deliveries == 0 => "no delivery yet".to_owned(),
        None => all,
    }
}

/// How many webhooks were not understood, tests aside, and of whom: those that `quarantine` lists.
fn not_understood(context: &Context, reader: &Reader, out: &mut Out) -> Result<()> {
    let query = ["is:quarantined -is:test".to_owned()];
    let query = lists::parse(context, reader, List::Deliveries, &query)?;
    let names = today::names();
    let mut of: Vec<(String, u64)> = Vec::new();
    for share in reader.shares(List::Deliveries, &query)? {
        let name = names.iter().find(|(id, _)| *id == share.provider);
        let name = name.map_or(share.provider, |(_, name)| name.clone());
        match of.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += share.count,
            None => of.push((name, share.count)),
        }
    }
    if let Some(line) = kept(&of) {
        out.line(Printable::line(&line))?;
    }
    Ok(())
}

/// `3 webhooks are kept and not understood (Klustr 2, Zotlo 1): ...`; nothing where there is none.
fn kept(of: &[(String, u64)]) -> Option<String> {
    let all: u64 = of.iter().map(|(_, count)| count).sum();
    let whose = match of {
        [] => return None,
        [(name, _)] => format!("of {name}"),
        several => {
            let each = several
                .iter()
                .map(|(name, count)| format!("{name} {count}"));
            format!("({})", each.collect::<Vec<_>>().join(", "))
        }
    };
    let verb = word(all, "is", "are");
    let webhooks = in_words(all, "webhook", "webhooks");
    Some(format!(
        "{webhooks} {whose} {verb} kept and not understood: `subledger quarantine` lists {}",
        word(all, "it", "them")
    ))
}

/// Whether something that was deleted is still on disk.
fn disk(overwrite_since: Option<&str>, zone: Zone, out: &mut Out) -> Result<()> {
    if let Some(since) = overwrite_since {
        out.line(format!(
            "what was deleted since {} is being overwritten on disk: done when the receiver is idle and no program reads \
             for long",
            local(since, zone)
        ))?;
    }
    Ok(())
}

/// Whether an older version writes, and what the newest upgrade brought.
fn versions(reader: &Reader, out: &mut Out) -> Result<()> {
    if let Some(pid) = reader.older_writer() {
        out.line(format!(
            "process {pid} is an older version: `subledger stop`, then start it again"
        ))?;
    }
    if let Some(upgrade) = reader.upgrade()? {
        out.line(Printable::line(&upgrade.sentence()))?;
    }
    Ok(())
}

/// Stops the receiver; what was accepted is answered first. Nothing to stop is no failure.
pub fn stop(context: &Context, out: &mut Out) -> Result<()> {
    match running::receiver(&context.database) {
        Some(running) => match service::systemd::keeper(running.pid) {
            Some((scope, state)) => service::stop(context, &running, scope, &state, out),
            None => start::stop(context, &running, None, out),
        },
        // An import or the like that holds it says so, and is no receiver.
        None if holder(&context.database).is_some_and(|holder| holder.pid == 0) => {
            nameless(context, out)
        }
        None => Ok(out.say(format!(
            "no receiver runs on {}",
            context.database.display()
        ))?),
    }
}

/// Stops a receiver of which the lock file says nothing: the disk was full when it started.
fn nameless(context: &Context, out: &mut Out) -> Result<()> {
    running::ask_to_stop(&context.database, None)?;
    let gone = || holder(&context.database).is_none().then_some(());
    if running::wait(start::STOP_TIMEOUT, gone).is_some() {
        return Ok(out.say("the receiver has stopped")?);
    }
    let says = "the receiver does not stop: it may be writing; try again in a moment";
    Err(Failure::unreachable(says).into())
}

/// Has the receiver take the settings again. Settings that do not hold leave the old in force.
pub fn reload(context: &Context, out: &mut Out) -> Result<()> {
    settings::check(&context.config)?;
    if running::receiver(&context.database).is_none() {
        let path = context.database.display();
        let says = format!("no receiver runs on {path}: it takes the settings when it starts");
        return Err(Failure::unreachable(says).into());
    }
    let nobody = || {
        Err(store::Error::Refused(
            "the receiver has just gone".to_owned(),
        ))
    };
    let report = submit(&context.database, Task::Reload, nobody)?;
    Ok(out.say(Printable::line(&report.summary))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_understood_is_counted_and_named() {
        let of = |parts: &[(&str, u64)]| {
            let parts = parts
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count));
            kept(&parts.collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(
            of(&[("Klustr", 1)]).unwrap(),
            "1 webhook of Klustr is kept and not understood: `subledger quarantine` lists it"
        );
        assert_eq!(
            of(&[("Klustr", 2), ("Zotlo", 1)]).unwrap(),
            "3 webhooks (Klustr 2, Zotlo 1) are kept and not understood: `subledger quarantine` lists them"
        );
    }
}
