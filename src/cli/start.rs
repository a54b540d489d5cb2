//! `subledger` without a command, and `tui`: what is missing is started, then the screen.

use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::io::{Read, Seek, SeekFrom, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cli::args::{Global, TuiArgs};
use crate::cli::context::Context;
use crate::cli::failure::{FAILED, Failure};
use crate::cli::out::Out;
use crate::cli::running::{self, Running};
use crate::cli::screen::{self, Beside};
use crate::cli::{notify, serve, service, settings};
use crate::config::edit::create_private_dir;
use crate::domain::page::Order;
use crate::domain::printable::Printable;
use crate::domain::time::Clock;
use crate::store::query::Reader;
use crate::tui::Leave;

/// So long a receiver may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// So often is said that it is upgrading.
const UPGRADE_WORD: Duration = Duration::from_secs(60);

/// So long a receiver may take to stop: what it accepted is answered first.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// So much of the end of a log is looked at for the reason of a failure, bytes.
const LOG_TAIL_BYTES: u64 = 4 << 10;

/// Receiver and screen: what is missing is started.
pub fn run(global: &Global, out: &mut Out) -> Result<()> {
    if !stdout().is_terminal() {
        out.say("no terminal on stdout: running as `subledger serve`")?;
        return serve::run(global, false, out);
    }
    let (context, fresh) = Context::read_or_create(global)?;
    settings::check(&context.config)?;
    if fresh {
        out.say(format!(
            "wrote the settings: {}",
            context.settings.path.display()
        ))?;
    }
    let (running, child) = match running::receiver(&context.database) {
        Some(running) => (running, None),
        None => start(&context, out)?,
    };
    let beside = Beside {
        running: &running,
        ours: child.is_some(),
    };
    let leave = screen::open(&context, None, Some(beside), false)?;
    leaving(&context, leave, &running, child, out)
}

/// The screen alone: nothing is made, nothing is started.
pub fn screen(mut context: Context, args: &TuiArgs) -> Result<()> {
    if !stdout().is_terminal() {
        return Err(Failure::usage(
            "the screen needs a terminal; without one: subledger today, subledger events",
        )
        .into());
    }
    context.clock = args.now.map_or(context.clock, Clock::Fixed);
    let TuiArgs { list, at, sort, .. } = *args;
    let query = args.query.join(" ");
    let is_named = list.is_some() || at.is_some() || !query.trim().is_empty();
    let first = if is_named || sort.is_some_and(|order| order != Order::default()) {
        Some(screen::first(&context, &query, list, sort, at)?)
    } else {
        None
    };
    let running = running::receiver(&context.database);
    let beside = running.as_ref().map(|running| Beside {
        running,
        ours: false,
    });
    screen::open(&context, first, beside, args.redact).map(drop)
}

/// Starts a receiver in a session of its own and waits until it answers.
pub fn start(context: &Context, out: &mut Out) -> Result<(Running, Option<Child>)> {
    let log = context.places.log()?;
    let (file, from) = open_log(&log)?;
    let mut receiver = Command::new(std::env::current_exe().context("cannot find this program")?);
    // Where systemd started the screen, it waits for no word of this one.
    notify::keep_from(&mut receiver);
    let mut child = receiver
        .arg("serve")
        .arg("--detached")
        .arg("--config")
        .arg(&context.settings.path)
        .arg("--db")
        .arg(&context.database)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .context("cannot start the receiver")?;
    let pid = child.id();
    out.say(format!(
        "starting the receiver on {}; its log: {}",
        context.listen(),
        log.display()
    ))?;
    let mut ended: Option<ExitStatus> = None;
    let mut look = || {
        ended = child.try_wait().ok().flatten();
        let up =
            running::receiver(&context.database).filter(|running| running::is_live(running.listen));
        (up.is_some() || ended.is_some()).then_some(up)
    };
    let mut found = running::wait(START_TIMEOUT, &mut look);
    // It copies and upgrades the ledger before it answers, which takes as long as the disk takes.
    while found.is_none() && upgrades(&context.database, pid) {
        out.say("the receiver is upgrading the database; its log says how far it is")?;
        found = running::wait(UPGRADE_WORD, &mut look);
    }
    match (found.flatten(), ended) {
        (Some(running), None) => Ok((running, Some(child))),
        // Another process was quicker: its receiver is as good.
        (Some(running), Some(_)) => Ok((running, None)),
        (None, ended) => {
            let code = ended.and_then(|status| u8::try_from(status.code()?).ok());
            child.kill().ok();
            let said = last_words(&log, from).unwrap_or_else(|| format!("see {}", log.display()));
            Err(Failure {
                code: code.filter(|code| *code > 0).unwrap_or(FAILED),
                message: format!("the receiver did not start: {said}"),
            }
            .into())
        }
    }
}

/// Whether process `pid` holds a ledger that is not upgraded yet.
fn upgrades(database: &Path, pid: u32) -> bool {
    Reader::open(database).is_ok_and(|reader| reader.older_writer() == Some(pid))
}

fn open_log(log: &Path) -> Result<(File, u64)> {
    let cannot = |error: std::io::Error| {
        Failure::unreachable(format!("cannot write the log {}: {error}", log.display()))
    };
    create_private_dir(log.parent().unwrap_or(Path::new("/"))).map_err(cannot)?;
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(log)
        .map_err(cannot)?;
    let from = file.seek(SeekFrom::End(0)).map_err(cannot)?;
    Ok((file, from))
}

/// What the receiver said last, since the log was `from` bytes long.
fn last_words(log: &Path, from: u64) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let len = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(
        from.max(len.saturating_sub(LOG_TAIL_BYTES)),
    ))
    .ok()?;
    let mut tail = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    let line = tail.lines().rev().find(|line| !line.trim().is_empty())?;
    let line = line.strip_prefix("subledger: ").unwrap_or(line);
    Some(Printable::line(line).into())
}

/// What becomes of the receiver now that the screen is closed.
fn leaving(
    context: &Context,
    leave: Leave,
    running: &Running,
    child: Option<Child>,
    out: &mut Out,
) -> Result<()> {
    match leave {
        Leave::StopReceiver => stop(context, running, child, out),
        Leave::InstallService => service::install(context, None, child, out),
        Leave::HangUp => Ok(()),
        Leave::Quit if child.is_none() => Ok(()),
        _ => {
            out.say(format!(
                "the receiver goes on in the background (process {}, {}): `subledger` opens the screen again, \
                 `subledger stop` ends it",
                running.pid, running.listen
            ))?;
            Ok(())
        }
    }
}

/// Stops the receiver and waits until it has answered everything.
pub fn stop(
    context: &Context,
    running: &Running,
    child: Option<Child>,
    out: &mut Out,
) -> Result<()> {
    running::ask_to_stop(&context.database, Some(running))?;
    stopped(context, running, child, out)
}

/// Waits until the receiver, which was asked to stop, has answered everything.
pub fn stopped(
    context: &Context,
    running: &Running,
    child: Option<Child>,
    out: &mut Out,
) -> Result<()> {
    // A child that is not waited for stays in the table of processes.
    if let Some(mut child) = child {
        running::wait(STOP_TIMEOUT, || child.try_wait().ok().flatten());
    }
    let gone = running::wait(STOP_TIMEOUT, || {
        let still = running::receiver(&context.database).is_some_and(|now| now.pid == running.pid);
        (!still).then_some(())
    });
    match gone {
        Some(()) => Ok(out.say(format!(
            "the receiver (process {}) has stopped",
            running.pid
        ))?),
        None => Err(Failure::unreachable(format!(
            "process {} does not stop: it may be writing; try again in a moment",
            running.pid
        ))
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_those_of_this_start() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("x.log");
        std::fs::write(&log, "subledger: long ago\n").unwrap();
        let (mut file, from) = open_log(&log).unwrap();
        assert_eq!(last_words(&log, from), None);
        std::io::Write::write_all(&mut file, b"receiving\nsubledger: port 1 is in use\n\n")
            .unwrap();
        assert_eq!(last_words(&log, from).as_deref(), Some("port 1 is in use"));
    }
}
