//! Alerts: what needs the publisher is told to a program of theirs, and a heartbeat to another machine.
//!
//! Two threads of the receiver's process. Neither can hold up a webhook: they read by a connection of their own, write
//! through the queue's notes, and the one that counts has the lowest priority and rests most of the time. Nothing of a
//! reader is told; what the program says is foreign text.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender as To, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group, nice};

use crate::cli::context::Context;
use crate::cli::table::tame;
use crate::cli::{running, today};
use crate::config::Secret;
use crate::config::alerts::AlertCommand;
use crate::domain::printable::Printable;
use crate::domain::time::Timestamp;
use crate::store::query::Reader;
use crate::store::today::alerts::{Alerts, Heartbeat, Sender, trial};
use crate::store::today::{Backup, Outside};
use crate::store::writer::Writer;

/// So often is looked at what needs the publisher.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// A look that took long is followed by a rest this many times as long.
const REST: u32 = 20;
/// So long the program may take.
const RUN_MAX: Duration = Duration::from_secs(30);
/// So long it may take when the receiver is stopping.
const RUN_MAX_STOPPING: Duration = Duration::from_secs(2);
/// So often is looked whether it has ended.
const LOOK_AT_CHILD: Duration = Duration::from_millis(20);
/// So much of what it says is kept, bytes.
const SAID_BYTES_MAX: usize = 4 << 10;
/// So many lines of it are logged.
const SAID_LINES_MAX: usize = 20;
/// So often a heartbeat is sent.
const BEAT_EVERY: Duration = Duration::from_secs(300);
/// One that did not arrive is followed by another after this.
const BEAT_FAILED: Duration = Duration::from_secs(60);
/// While the ledger cannot be written it is looked again after this.
const BEAT_AGAIN: Duration = Duration::from_secs(5);
/// So long one may take.
const BEAT_MAX: Duration = Duration::from_secs(20);
/// A commit older than this is no sign of life.
const COMMIT_AGE_MAX: Duration = Duration::from_secs(10);
/// How much lower the priority is than the receiver's.
const NICENESS: i32 = 15;

/// What the program gets of our environment: nothing that a secret of ours may stand in.
const PASSED_ON: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "DBUS_SESSION_BUS_ADDRESS",
];
/// And everything that begins with one of these.
const PASSED_ON_BEGINNINGS: [&str; 2] = ["LC_", "XDG_"];

/// The threads that tell.
pub struct Alerting {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// By which the settings change while they run.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    context: Arc<Context>,
    stopping: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn context(&self) -> Arc<Context> {
        Arc::clone(&self.state().context)
    }

    fn is_stopping(&self) -> bool {
        self.state().stopping
    }

    /// Waits so long, or until the end; whether it goes on.
    fn rest(&self, pause: Duration) -> bool {
        let (state, _) = self
            .wake
            .wait_timeout_while(self.state(), pause, |state| !state.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        !state.stopping
    }
}

impl Handle {
    /// Holds from the next look on.
    pub fn set(&self, context: Context) {
        self.0.state().context = Arc::new(context);
    }
}

impl Alerting {
    /// Begins to look.
    pub fn start(context: &Context, writer: &Writer) -> Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                context: Arc::new(context.clone()),
                stopping: false,
            }),
            wake: Condvar::new(),
        });
        let mut threads = Vec::new();
        for (name, work) in [
            ("alerts", watch as fn(&Shared, Writer)),
            ("heartbeat", beat as fn(&Shared, Writer)),
        ] {
            let (shared, writer) = (Arc::clone(&shared), writer.clone());
            let thread = std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || work(&shared, writer));
            threads.push(thread.with_context(|| format!("cannot start the thread for {name}"))?);
        }
        Ok(Self { shared, threads })
    }

    /// By which the settings change.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// Ends both; what was not told is told after the next start.
    pub fn stop(self) {
        self.shared.state().stopping = true;
        self.shared.wake.notify_all();
        // A heartbeat or a look under way is not waited for, a program that runs for as long as it may.
        running::wait(RUN_MAX_STOPPING * 2, || {
            let watch = self.threads.first();
            watch.is_none_or(JoinHandle::is_finished).then_some(())
        });
    }
}

fn watch(shared: &Shared, writer: Writer) {
    // Without it, it is as urgent as the rest, and still rests most of the time.
    nice(NICENESS).ok();
    let mut watch = Watch::new(writer);
    loop {
        let context = shared.context();
        let begun = Instant::now();
        watch.turn(&context, context.clock.now(), &|| shared.is_stopping());
        if !shared.rest(LOOK_EVERY.max(begun.elapsed() * REST)) {
            return;
        }
    }
}

/// What is followed from look to look.
pub struct Watch {
    writer: Writer,
    reader: Option<Reader>,
    alerts: Option<Alerts>,
    /// What went wrong last, so that it is logged once.
    trouble: Option<String>,
}

impl Watch {
    /// Nothing is known yet; `writer` keeps what was told.
    pub const fn new(writer: Writer) -> Self {
        Self {
            writer,
            reader: None,
            alerts: None,
            trouble: None,
        }
    }

    /// One look at `now`, and the telling of what is due. `is_stopping` says that there is no time left.
    pub fn turn(&mut self, context: &Context, now: Timestamp, is_stopping: &dyn Fn() -> bool) {
        match self.look(context, now, is_stopping) {
            Ok(()) => self.trouble = None,
            Err(error) => {
                // Opened anew: the file may have been replaced.
                self.reader = None;
                let says = format!("alerts cannot be looked for: {error:#}");
                if self.trouble.as_ref() != Some(&says) {
                    tracing::warn!("{}", Printable::line(&says));
                }
                self.trouble = Some(says);
            }
        }
    }

    fn look(
        &mut self,
        context: &Context,
        now: Timestamp,
        is_stopping: &dyn Fn() -> bool,
    ) -> Result<()> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => Reader::open(&context.database)?,
        };
        let reader = self.reader.insert(reader);
        let mut alerts = match self.alerts.take() {
            Some(alerts) => alerts,
            None => reader.alerts()?,
        };
        let Some(command) = &context.config.alerts.command else {
            if alerts != Alerts::default() {
                alerts = Alerts::default();
                self.writer.keep_alerts(&alerts);
            }
            self.alerts = Some(alerts);
            return Ok(());
        };
        let found = needs(reader, context, now);
        let mut is_news = match &found {
            Ok((needs, behind)) => alerts.take_in(needs, *behind, now),
            Err(_) => false,
        };
        if alerts.is_due(now) && !is_stopping() {
            tell(command, context, &mut alerts, now, is_stopping)?;
            is_news = true;
        }
        if is_news {
            self.writer.keep_alerts(&alerts);
        }
        self.alerts = Some(alerts);
        found.map(drop)
    }
}

/// What needs the publisher, and whether folding lags behind.
fn needs(
    reader: &Reader,
    context: &Context,
    now: Timestamp,
) -> Result<(Vec<crate::store::today::Need>, bool)> {
    let outside = Outside {
        receiving: Some(true),
        backup: known(reader.backup_standing()?, context),
        ..today::by_settings(context)
    };
    // Figures are taken away and folded again by a rebuild, which may begin or end meanwhile.
    let is_behind = || reader.status(now).map(|it| it.folded_seq < it.last_seq);
    let before = is_behind()?;
    let needs = reader.needs(now, &outside)?;
    Ok((needs, before || is_behind()?))
}

/// How backups stand. A receiver that has just begun may not have written yet that they are asked for.
fn known(standing: Backup, context: &Context) -> Option<Backup> {
    let is_asked = context.config.backup.dir.is_some();
    (standing != Backup::Unset || !is_asked).then_some(standing)
}

fn sender(context: &Context) -> Sender {
    Sender {
        ledger: context.database.display().to_string(),
        public_url: context.config.receiver.public_url.clone(),
    }
}

fn tell(
    command: &AlertCommand,
    context: &Context,
    alerts: &mut Alerts,
    now: Timestamp,
    is_stopping: &dyn Fn() -> bool,
) -> Result<()> {
    let was_failing = alerts.last.as_ref().and_then(|last| last.failing.clone());
    let object = alerts.message(&sender(context), now)?;
    let ran = run(command, context, &object, RUN_MAX, is_stopping);
    for line in ran.said.lines().take(SAID_LINES_MAX) {
        tracing::info!("the alert command says: {}", Printable::line(line));
    }
    match ran.failed {
        None => {
            alerts.told(now);
            tracing::info!("an alert was told; {} things need you", alerts.open());
        }
        // It was cut short, and waits for the next start.
        Some(_) if is_stopping() => {}
        Some(why) => {
            if was_failing.is_none_or(|(_, known)| known != why) {
                tracing::warn!("an alert reached nobody, tried again each minute: {why}");
            }
            alerts.failed(now, &why);
        }
    }
    Ok(())
}

/// How the program ended.
pub struct Ran {
    /// What it wrote, the first of it; foreign text.
    pub said: String,
    /// Why nobody was told; `None` if it ended with 0.
    pub failed: Option<String>,
}

/// Runs the program with a test for its object.
pub fn try_out(command: &AlertCommand, context: &Context) -> Result<Ran> {
    let object = trial(&sender(context), context.clock.now())?;
    Ok(run(command, context, &object, RUN_MAX, &|| false))
}

/// Runs the program in a process group of its own, `object` on its stdin, until it ends or has taken `run_max`.
fn run(
    command: &AlertCommand,
    context: &Context,
    object: &str,
    run_max: Duration,
    is_stopping: &dyn Fn() -> bool,
) -> Ran {
    let program = Printable::line(&command.program);
    let mut child = match prepared(command, context).spawn() {
        Ok(child) => child,
        Err(error) => {
            return Ran {
                said: String::new(),
                failed: Some(format!("cannot run {program}: {error}")),
            };
        }
    };
    let (said, ends) = converse(&mut child, format!("{}\n", tame(object)));
    let status = wait(&mut child, &ends, run_max, is_stopping);
    let said = String::from_utf8_lossy(&held(&said)).into_owned();
    let why = match status {
        Some(status) if status.success() => None,
        Some(status) => Some(format!("{program} ended with {}", ending(status))),
        None => Some(format!(
            "{program} took longer than {} s and was killed",
            run_max.as_secs()
        )),
    };
    let last = said.trim_end().lines().next_back().unwrap_or_default();
    let failed = why.map(|why| match last {
        "" => why,
        last => format!("{why}: {}", Printable::line(last).cut(120)),
    });
    Ran { said, failed }
}

fn prepared(command: &AlertCommand, context: &Context) -> Command {
    let mut prepared = Command::new(&command.program);
    prepared
        .args(command.args.iter().map(Secret::expose))
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| {
            name.to_str().is_some_and(|name| {
                PASSED_ON.contains(&name)
                    || PASSED_ON_BEGINNINGS
                        .iter()
                        .any(|head| name.starts_with(head))
            })
        }))
        .env("SUBLEDGER_DB", &context.database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if context.settings.exists {
        prepared.env("SUBLEDGER_CONFIG", &context.settings.path);
    }
    prepared
}

type Said = Arc<Mutex<Vec<u8>>>;

fn held(said: &Said) -> MutexGuard<'_, Vec<u8>> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes `object` and reads what is said, on threads that end when the program and its children let go of their ends.
/// The receiver is closed when all of it was read.
fn converse(child: &mut Child, object: String) -> (Said, Receiver<()>) {
    let said = Said::default();
    let (to, ends) = channel();
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever does not want to read it all need not.
        std::thread::spawn(move || stdin.write_all(object.as_bytes()).ok());
    }
    if let Some(stdout) = child.stdout.take() {
        listen(stdout, &said, &to);
    }
    if let Some(stderr) = child.stderr.take() {
        listen(stderr, &said, &to);
    }
    (said, ends)
}

fn listen(mut from: impl Read + Send + 'static, said: &Said, until: &To<()>) {
    let (said, until) = (Arc::clone(said), until.clone());
    std::thread::spawn(move || {
        let mut chunk = [0; 1024];
        while let Ok(count) = from.read(&mut chunk) {
            if count == 0 {
                break;
            }
            let mut said = held(&said);
            let room = SAID_BYTES_MAX.saturating_sub(said.len());
            said.extend_from_slice(&chunk[..count.min(room)]);
        }
        drop(until);
    });
}

/// Waits for the end of the program and of what it says; kills its group when that takes too long. `None` if it had to.
fn wait(
    child: &mut Child,
    ends: &Receiver<()>,
    run_max: Duration,
    is_stopping: &dyn Fn() -> bool,
) -> Option<ExitStatus> {
    let mut until = Instant::now() + run_max;
    let mut silent = false;
    loop {
        let status = child.try_wait().ok().flatten();
        if status.is_some() && silent {
            return status;
        }
        if is_stopping() {
            until = until.min(Instant::now() + RUN_MAX_STOPPING);
        }
        if Instant::now() >= until {
            let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            // Gone already, if not.
            group.map(|group| kill_process_group(group, Signal::KILL));
            return status.or_else(|| child.wait().ok().and(None));
        }
        if silent {
            std::thread::sleep(LOOK_AT_CHILD);
        } else {
            let heard = ends.recv_timeout(LOOK_AT_CHILD);
            silent = heard == Err(RecvTimeoutError::Disconnected);
        }
    }
}

fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

fn beat(shared: &Shared, writer: Writer) {
    let mut heart = Heart::new(writer);
    loop {
        let context = shared.context();
        let pause = match heart.turn(&context, context.clock.now()) {
            Some(true) => BEAT_EVERY,
            Some(false) => BEAT_FAILED,
            None => BEAT_AGAIN,
        };
        if !shared.rest(pause) {
            return;
        }
    }
}

/// The heartbeat from one to the next.
pub struct Heart {
    writer: Writer,
    last: Option<Heartbeat>,
}

impl Heart {
    /// Nothing was sent yet.
    pub const fn new(writer: Writer) -> Self {
        Self { writer, last: None }
    }

    /// Sends one at `now` if the settings ask for it and the ledger can be written; whether it arrived, `None` if none
    /// was sent.
    pub fn turn(&mut self, context: &Context, now: Timestamp) -> Option<bool> {
        let health = self.writer.health();
        let is_alive = health.failing.is_none()
            && health.last_commit_at.is_some()
            && health.probe_age < COMMIT_AGE_MAX;
        let Some(url) = context.config.alerts.heartbeat_url.as_ref() else {
            self.last = None;
            return None;
        };
        if !is_alive {
            return None;
        }
        let failed = fetch(url.expose()).err();
        let last = self.last.get_or_insert_with(|| {
            let kept = Reader::open(&context.database).and_then(|reader| reader.heartbeat());
            kept.unwrap_or_default()
        });
        if last.take_in(now, failed.as_deref()) {
            if let Some(why) = &failed {
                tracing::warn!("the heartbeat does not arrive: {why}");
            } else {
                tracing::info!("the heartbeat arrives again");
            }
        }
        self.writer.keep_heartbeat(last);
        Some(failed.is_none())
    }
}

/// Fetches `url`; an error in words that do not hold it. Redirects are not followed: they could lead anywhere.
pub fn fetch(url: &str) -> Result<(), String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(BEAT_MAX))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("subledger/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let answer = agent.get(url).call().map_err(|error| match error {
        ureq::Error::HostNotFound => "its host is not found".to_owned(),
        ureq::Error::Timeout(_) => format!("no answer within {} s", BEAT_MAX.as_secs()),
        ureq::Error::Io(error) => format!("no connection: {}", error.kind()),
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
            "its certificate or encryption does not hold".to_owned()
        }
        // Others quote addresses.
        _ => "it cannot be fetched".to_owned(),
    })?;
    match answer.status().as_u16() {
        200..300 => Ok(()),
        status @ 300..400 => Err(format!(
            "it answered {status}, and redirects are not followed: name the address that it leads to"
        )),
        status => Err(format!("it answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Global;

    fn context() -> Context {
        let global = Global {
            db: Some("/nowhere/at/all.db".into()),
            config: Some("/dev/null".into()),
            ..Global::default()
        };
        let mut context = Context::read(&global).unwrap();
        context.settings.exists = false;
        context
    }

    fn ran(script: &str, object: &str, run_max: Duration) -> Ran {
        let command = AlertCommand {
            program: "sh".to_owned(),
            args: ["-c", script].map(Secret::new).to_vec(),
        };
        run(&command, &context(), object, run_max, &|| false)
    }

    #[test]
    fn a_backup_that_the_settings_ask_for_is_not_missed_before_the_ledger_knows() {
        let mut context = context();
        assert_eq!(known(Backup::Unset, &context), Some(Backup::Unset));
        context.config.backup.dir = Some("/mnt/backups".into());
        assert_eq!(known(Backup::Unset, &context), None);
        assert_eq!(known(Backup::Never, &context), Some(Backup::Never));
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn the_object_arrives_whole_and_unread_is_no_error() {
        let long = "x".repeat(300_000);
        let read = ran("wc -c", &long, LONG);
        assert_eq!(read.failed, None);
        assert_eq!(read.said.trim(), "300001");
        assert_eq!(ran("exec <&-; exit 0", &long, LONG).failed, None);
        assert_eq!(ran("exit 0", &long, LONG).failed, None);
    }

    #[test]
    fn what_it_says_is_bounded_and_its_end_is_told() {
        let flood = ran(
            "yes | head -c 1000000; echo gone wrong >&2; exit 3",
            "",
            LONG,
        );
        assert!(flood.said.len() <= SAID_BYTES_MAX, "{}", flood.said.len());
        assert!(
            flood
                .failed
                .unwrap()
                .starts_with("sh ended with exit code 3")
        );
        let says = ran("printf '\\033[31mno such box' >&2; exit 1", "", LONG).failed;
        assert_eq!(
            says.as_deref(),
            Some("sh ended with exit code 1: \\x1b[31mno such box")
        );
        let killed = ran("kill -9 $$", "", LONG).failed.unwrap();
        assert!(killed.ends_with("signal 9"), "{killed}");
    }

    #[test]
    fn what_hangs_is_killed_with_all_its_children() {
        let begun = Instant::now();
        let hung = ran(
            "sleep 300 & echo $!; sleep 300",
            "",
            Duration::from_millis(300),
        );
        assert!(begun.elapsed() < LONG);
        assert!(hung.failed.unwrap().contains("was killed"));
        let child = hung.said.trim().to_owned();
        let ended = running::wait(LONG, || {
            let state = std::fs::read_to_string(format!("/proc/{child}/stat"));
            state
                .map_or(true, |stat| stat.contains(") Z "))
                .then_some(())
        });
        assert!(ended.is_some(), "process {child} goes on");
        // It ended well, and what it left behind keeps its output open.
        let left = ran("sleep 300 & echo told", "", Duration::from_millis(300));
        assert_eq!(left.failed, None);
    }

    #[test]
    fn a_stopping_receiver_does_not_wait_long() {
        let command = AlertCommand {
            program: "sleep".to_owned(),
            args: vec![Secret::new("300")],
        };
        let begun = Instant::now();
        let ran = run(&command, &context(), "", Duration::from_secs(300), &|| true);
        assert!(ran.failed.is_some() && begun.elapsed() < LONG);
    }

    #[test]
    fn a_program_that_cannot_be_run_is_named() {
        for program in [
            "/nowhere/at/all",
            "/etc/passwd",
            "/etc",
            "no-such-program-here",
        ] {
            let command = AlertCommand {
                program: program.to_owned(),
                args: Vec::new(),
            };
            let why = run(&command, &context(), "", LONG, &|| false)
                .failed
                .unwrap();
            assert!(why.starts_with(&format!("cannot run {program}: ")), "{why}");
        }
    }

    #[test]
    fn a_heartbeat_is_told_apart_from_answers_and_its_address_never_said() {
        for (answer, says) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", None),
            ("HTTP/1.1 204 No Content\r\n\r\n", None),
            (
                "HTTP/1.1 301 M\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
                Some("answered 301"),
            ),
            (
                "HTTP/1.1 500 E\r\ncontent-length: 0\r\n\r\n",
                Some("answered 500"),
            ),
            ("no HTTP at all\r\n\r\n", Some("")),
            ("", Some("")),
        ] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let served = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = [0; 4096];
                let count = stream.read(&mut head).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8_lossy(&head[..count]).into_owned()
            });
            let failed = fetch(&format!("http://127.0.0.1:{port}/token-of-mine")).err();
            assert!(
                served
                    .join()
                    .unwrap()
                    .starts_with("GET /token-of-mine HTTP/1.1")
            );
            assert_eq!(failed.is_some(), says.is_some(), "{answer} {failed:?}");
            let failed = failed.unwrap_or_default();
            assert!(failed.contains(says.unwrap_or_default()), "{failed}");
            assert!(!failed.contains("token"), "{failed}");
        }
        let closed = fetch("http://127.0.0.1:1/token-of-mine").unwrap_err();
        assert_eq!(closed, "no connection: connection refused");
    }
}
