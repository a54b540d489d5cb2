//! `service`: the receiver as something that systemd starts with the machine and starts again when it fails.
//!
//! A unit of this user is placed and started here; the machine's own, hardened and with a socket, is only printed, as
//! placing it takes root. Every command is shown before it is run. Never runs sudo.

pub mod systemd;
pub mod unit;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use signal_hook::consts::SIGINT;

use crate::cli::args::{Global, ServiceCommand};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, UNREACHABLE};
use crate::cli::links::near_url;
use crate::cli::out::Out;
use crate::cli::running::{self, Running};
use crate::cli::service::systemd::{Scope, State, systemctl};
use crate::cli::service::unit::{Found, NAME, SOCKET, Unit};
use crate::cli::table::json_text;
use crate::cli::{notify, settings, start};
use crate::domain::printable::Printable;

/// So long the service may take to answer once systemd calls it started.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Installs, looks or uninstalls.
pub fn run(global: &Global, command: &ServiceCommand, out: &mut Out) -> Result<()> {
    match command {
        ServiceCommand::Install {
            print,
            system,
            program,
        } => {
            let program = program.as_deref();
            if *system {
                return print_system(&Context::read(global)?, program, out);
            }
            if *print {
                let context = Context::read(global)?;
                let unit = Unit::of(&context, program)?;
                write!(out.data(), "{}", unit::script(&unit))?;
                return Ok(out.flush()?);
            }
            // A unit that cannot be is no reason to write settings.
            Unit::of(&Context::read(global)?, program)?;
            let (context, fresh) = Context::read_or_create(global)?;
            if fresh {
                let path = context.settings.path.display();
                out.say(format!("wrote the settings: {path}"))?;
            }
            install(&context, program, None, out)
        }
        ServiceCommand::Status { system } => {
            let scope = if *system { Scope::System } else { Scope::User };
            status(global, scope, out)
        }
        ServiceCommand::Uninstall { system: true, .. } => {
            write!(out.data(), "{}", unit::system_removal())?;
            Ok(out.flush()?)
        }
        ServiceCommand::Uninstall { print, .. } => uninstall(*print, out),
    }
}

fn print_system(context: &Context, program: Option<&Path>, out: &mut Out) -> Result<()> {
    let program = match program {
        Some(program) => unit::named_program(program)?,
        None => unit::this_program()?,
    };
    let settings = &context.settings;
    let script = unit::system_script(
        &program,
        settings.exists.then_some(settings.path.as_path()),
        context.listen(),
    )?;
    write!(out.data(), "{script}")?;
    Ok(out.flush()?)
}

/// Has systemd start the receiver from now on. One that runs is stopped first; it goes on, and nothing is left behind,
/// where the service cannot be had. `child`: the receiver that runs is this process's own.
pub fn install(
    context: &Context,
    program: Option<&Path>,
    child: Option<Child>,
    out: &mut Out,
) -> Result<()> {
    let done = place_and_start(context, program, child, out);
    let Err(error) = done else {
        return Ok(());
    };
    match running::receiver(&context.database) {
        Some(running) => {
            let pid = running.pid;
            Err(error.context(format!("the receiver goes on without it (process {pid})")))
        }
        None => Err(error),
    }
}

fn place_and_start(
    context: &Context,
    program: Option<&Path>,
    child: Option<Child>,
    out: &mut Out,
) -> Result<()> {
    settings::check(&context.config)?;
    let unit = Unit::of(context, program)?;
    let before = match unit::look(&unit.path)? {
        Found::Nothing => None,
        Found::Ours(text) if unit.is_for_the_same_as(&text) => Some(text),
        Found::Ours(_) => {
            return Err(Failure::failed(format!(
                "{} is for other settings or another database: `subledger service uninstall` first",
                unit.path.display()
            ))
            .into());
        }
        Found::Foreign => return Err(unit::foreign(&unit.path).into()),
    };
    systemd::reach(out)?;
    let running = running::receiver(&context.database);
    let keeper = running.as_ref().and_then(|it| systemd::keeper(it.pid));
    if let Some((Scope::System, _)) = keeper {
        return Err(Failure::failed(
            "the machine's own service receives into this database already: subledger service status --system",
        )
        .into());
    }
    // The service itself is started again by systemd; any other receiver makes room.
    let other = running.filter(|_| keeper.is_none());
    let had_other = other.is_some();
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&interrupted))
        .context("cannot watch for Ctrl-C")?;
    out.say(format!("write {}", unit.path.display()))?;
    unit.write()?;
    if let Err(error) = start_up(context, other.as_ref(), child, &interrupted, out) {
        let error = uninterrupted(&interrupted).err().unwrap_or(error);
        take_back(&unit, before.as_deref(), out)?;
        if had_other && running::receiver(&context.database).is_none() {
            start::start(context, out)?;
        }
        return Err(error);
    }
    if before.is_some() {
        out.say("the service was installed already: its unit was written again and the receiver started again")?;
    } else {
        out.say("the service is installed: the receiver starts with the machine, and again when it fails")?;
    }
    ensure_lingering(out)
}

fn start_up(
    context: &Context,
    other: Option<&Running>,
    child: Option<Child>,
    interrupted: &AtomicBool,
    out: &mut Out,
) -> Result<()> {
    systemctl(Scope::User, &["daemon-reload"], out)?;
    systemctl(Scope::User, &["enable", NAME], out)?;
    if let Some(other) = other {
        uninterrupted(interrupted)?;
        start::stop(context, other, child, out)?;
    }
    uninterrupted(interrupted)?;
    systemctl(Scope::User, &["restart", NAME], out).map_err(why)?;
    let up = running::wait(START_TIMEOUT, || {
        running::receiver(&context.database).filter(|running| running::is_live(running.listen))
    });
    let Some(up) = up else {
        let says = format!("the service does not answer: systemctl --user status {NAME}");
        return Err(why(Failure::failed(says).into()));
    };
    out.say(format!(
        "the service receives on {} (process {})",
        near_url(up.listen),
        up.pid
    ))?;
    Ok(())
}

/// Ctrl-C ends what is under way here, so that it can be taken back.
fn uninterrupted(interrupted: &AtomicBool) -> Result<()> {
    if interrupted.load(Ordering::Relaxed) {
        return Err(Failure::interrupted().into());
    }
    Ok(())
}

/// `error`, or what the receiver itself said of its end.
fn why(error: anyhow::Error) -> anyhow::Error {
    let state = systemd::state(Scope::User).unwrap_or_default();
    match state.says.strip_prefix(notify::DID_NOT_START) {
        Some(said) => Failure::failed(format!("the service did not start: {said}")).into(),
        None => error,
    }
}

/// As it was before the unit was written; what fails on the way back is told and no reason to stop.
fn take_back(unit: &Unit, before: Option<&str>, out: &mut Out) -> Result<()> {
    if let Some(text) = before {
        out.say(format!("write {} as it was", unit.path.display()))?;
        let back = unit::put(&unit.path, text)
            .and_then(|()| systemctl(Scope::User, &["daemon-reload"], out));
        if let Err(error) = back {
            out.say(format!("{error:#}"))?;
        }
        return Ok(());
    }
    if let Err(error) = systemctl(Scope::User, &["disable", "--now", NAME], out) {
        out.say(format!("{error:#}"))?;
    }
    out.say(format!("remove {}", unit.path.display()))?;
    let removed = remove(&unit.path);
    for done in [
        removed,
        systemctl(Scope::User, &["daemon-reload"], out),
        forget_failure(out),
    ] {
        if let Err(error) = done {
            out.say(format!("{error:#}"))?;
        }
    }
    Ok(())
}

/// A unit that failed and is gone would be listed for ever.
fn forget_failure(out: &mut Out) -> Result<()> {
    let state = systemd::state(Scope::User);
    if state.is_some_and(|state| state.active == "failed") {
        systemctl(Scope::User, &["reset-failed", NAME], out)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))
}

/// Without lingering a user's services end when they log out.
fn ensure_lingering(out: &mut Out) -> Result<()> {
    if systemd::lingers() == Some(true) || systemd::linger(out)? {
        out.say("it goes on when you log out (lingering is on)")?;
    } else {
        let line = systemd::linger_line();
        out.say(format!(
            "it ends when you log out until an administrator runs once: {line}"
        ))?;
    }
    Ok(())
}

/// How the service stands. Exit code 3 if it is not active.
fn status(global: &Global, scope: Scope, out: &mut Out) -> Result<()> {
    let Some(state) = systemd::state(scope) else {
        if scope == Scope::User {
            systemd::reach(out)?;
        }
        return Err(
            Failure::failed("systemd does not answer: is this machine started by it?").into(),
        );
    };
    let lingers = (scope == Scope::User).then(systemd::lingers).flatten();
    let lines = systemd::last_lines(scope);
    if global.json {
        let list: Vec<String> = lines
            .iter()
            .map(|line| json_text(line))
            .collect::<Result<_, _>>()?;
        out.line(format!(
            "[{{\"installed\":{},\"unit\":{},\"enabled\":{},\"active\":{},\"pid\":{},\"since\":{},\"restarts\":{},\
             \"lingers\":{},\"says\":{},\"last_lines\":[{}]}}]",
            is_installed(&state),
            json_text(&state.path)?,
            json_text(&state.enabled)?,
            json_text(&state.active)?,
            state.pid.map_or("null".to_owned(), |pid| pid.to_string()),
            json_text(&state.since)?,
            state.restarts.parse().unwrap_or(0_u64),
            lingers.map_or("null", |lingers| if lingers { "true" } else { "false" }),
            json_text(&state.says)?,
            list.join(","),
        ))?;
    } else {
        write_status(&state, scope, lingers, &lines, out)?;
    }
    out.flush()?;
    if state.active == "active" {
        Ok(())
    } else {
        Err(Failure::silent(UNREACHABLE).into())
    }
}

fn write_status(
    state: &State,
    scope: Scope,
    lingers: Option<bool>,
    lines: &[String],
    out: &mut Out,
) -> Result<()> {
    if !is_installed(state) {
        out.line("no service is installed: subledger service install")?;
        return Ok(());
    }
    out.line(format!("unit       {}", state.path))?;
    let enabled = match state.enabled.as_str() {
        "enabled" => "yes: it starts with the machine".to_owned(),
        other => format!("{other}: {} enable {NAME}", scope.words()),
    };
    out.line(format!("enabled    {enabled}"))?;
    let active = match (state.active.as_str(), state.pid) {
        ("active", Some(pid)) => format!("yes: process {pid} since {}", state.since),
        ("active", None) => "yes".to_owned(),
        (active, _) => format!("{active} ({}, {})", state.sub, state.result),
    };
    out.line(format!("active     {active}"))?;
    // Of one that was stopped the last words are about stopping.
    if !state.says.is_empty() && state.active != "inactive" {
        out.line(format!("says       {}", state.says))?;
    }
    out.line(format!("restarts   {}", state.restarts))?;
    match lingers {
        Some(true) => out.line("lingering  yes: it goes on when you log out")?,
        Some(false) => {
            let line = systemd::linger_line();
            out.line(format!("lingering  no: it ends when you log out; {line}"))?;
        }
        None if scope == Scope::User => out.line("lingering  unknown: loginctl does not answer")?,
        None => {}
    }
    for line in lines {
        out.line(format!("log        {line}"))?;
    }
    Ok(())
}

fn is_installed(state: &State) -> bool {
    !state.path.is_empty() && state.load != "not-found"
}

/// Stops the service and removes what `install` wrote; with `print` it is only told.
fn uninstall(print: bool, out: &mut Out) -> Result<()> {
    let path = unit::path()?;
    match unit::look(&path)? {
        Found::Nothing => {
            let path = path.display();
            return Ok(out.say(format!("no service is installed: there is no {path}"))?);
        }
        Found::Foreign => return Err(unit::foreign(&path).into()),
        Found::Ours(_) => {}
    }
    if print {
        out.line(format!(
            "systemctl --user disable --now {NAME}\nrm {}\nsystemctl --user daemon-reload",
            crate::config::places::quoted(&path)
        ))?;
        return Ok(out.flush()?);
    }
    systemd::reach(out)?;
    systemctl(Scope::User, &["disable", "--now", NAME], out)?;
    out.say(format!("remove {}", path.display()))?;
    remove(&path)?;
    systemctl(Scope::User, &["daemon-reload"], out)?;
    forget_failure(out)?;
    out.say("the service is uninstalled, its receiver has stopped; settings and database are left as they are")?;
    if systemd::lingers() == Some(true) {
        out.say("lingering is left on, other services may need it: loginctl disable-linger")?;
    }
    Ok(())
}

/// Stops the receiver that is the service of `scope`: asked in any other way, it might be started again.
pub fn stop(
    context: &Context,
    running: &Running,
    scope: Scope,
    state: &State,
    out: &mut Out,
) -> Result<()> {
    let units: &[&str] = if state.socket.is_empty() {
        &["stop", NAME]
    } else {
        // The socket would start it again with the next webhook.
        &["stop", SOCKET, NAME]
    };
    if scope == Scope::System && !rustix::process::getuid().is_root() {
        return Err(Failure::failed(format!(
            "process {} is the machine's service and was not stopped: sudo systemctl {}",
            running.pid,
            units.join(" ")
        ))
        .into());
    }
    systemctl(scope, units, out)?;
    start::stopped(context, running, None, out)?;
    let words = scope.words();
    out.say(format!(
        "it was the service: {words} start {NAME} starts it, and so does the next start of the machine"
    ))?;
    Ok(())
}

/// What to say where no receiver runs.
pub fn absent() -> String {
    let installed = |scope| {
        let state = systemd::state(scope).filter(is_installed)?;
        Some((scope, state))
    };
    match installed(Scope::User).or_else(|| installed(Scope::System)) {
        Some((scope, state)) => format!(
            "no receiver runs: the service is {}; {} start {NAME} starts it",
            state.active,
            scope.words()
        ),
        None => "no receiver runs: start one with `subledger serve`".to_owned(),
    }
}

/// One line about the service for `doctor`; true: something should be done.
pub fn brief() -> (bool, String) {
    let installed = |scope| systemd::state(scope).filter(is_installed);
    if let Some(state) = installed(Scope::User) {
        let active = Printable::line(&state.active).to_string();
        if state.enabled != "enabled" {
            let says = format!(
                "installed, {active}, but does not start with the machine: systemctl --user enable {NAME}"
            );
            return (true, says);
        }
        return match systemd::lingers() {
            Some(false) => {
                let line = systemd::linger_line();
                (
                    true,
                    format!("installed, {active}, but it ends when you log out: {line}"),
                )
            }
            _ => (active != "active", format!("installed, {active}")),
        };
    }
    if let Some(state) = installed(Scope::System) {
        return (
            state.active != "active",
            format!("the machine's own, {}", state.active),
        );
    }
    let says = "none: the receiver does not start with the machine; subledger service install";
    (true, says.to_owned())
}
