//! `serve`: takes the lock, opens the port, receives until it is told to stop.

use std::fmt::{self, Debug};
use std::io::{self, IsTerminal, stderr};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tracing::Subscriber;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format;

use crate::cli::alerts::{self, Alerting};
use crate::cli::args::Global;
use crate::cli::backup::{Asked, Nightly, asked};
use crate::cli::context::{Context, create_directory_of};
use crate::cli::links::near_url;
use crate::cli::notify::{self, Notice, Teller};
use crate::cli::out::Out;
use crate::cli::settings;
use crate::cli::sockets::Sockets;
use crate::cli::tasks::{self, open_store};
use crate::config::{Config, SettingsError};
use crate::domain::delivery::Delivery;
use crate::domain::printable::Printable;
use crate::providers::door::{Doors, RejectedAgain};
use crate::receiver::limits::Limits;
use crate::receiver::listeners::Listeners;
use crate::receiver::peer::Proxies;
use crate::receiver::{self, Live, ReloadHandle, Setup};
use crate::store::ring::RejectedRow;
use crate::store::task::Task;
use crate::store::writer::{Store, Writer};

/// Who passes sockets starts a receiver that ended with the next connection at once: one that cannot start takes its time.
const PAUSE: Duration = Duration::from_secs(3);

/// Serves until SIGTERM or SIGINT. `detached`: a screen started it, and may go away without it.
pub fn run(global: &Global, detached: bool, out: &mut Out) -> Result<()> {
    // First of all: it takes variables out of the environment.
    let passed = Sockets::passed()?;
    let was_passed = passed.is_some();
    let ready = prepare(global, detached, passed, out);
    if let Err(error) = &ready {
        notify::failed(error);
        if was_passed {
            std::thread::sleep(PAUSE);
        }
    }
    let (context, sockets, store) = ready?;
    receive(global, &context, sockets, &store, out)?;
    store.stop()?;
    tracing::info!("stopped");
    Ok(())
}

/// Everything up to the point from which webhooks are answered.
fn prepare(
    global: &Global,
    detached: bool,
    passed: Option<Sockets>,
    out: &mut Out,
) -> Result<(Context, Sockets, Store)> {
    if detached {
        // The child of a shell's job leads no group yet, so this cannot fail; if it did, only the hang-up would reach us.
        rustix::process::setsid().ok();
    }
    let (context, fresh) = Context::read_or_create(global)?;
    if fresh {
        out.say(format!(
            "wrote the settings: {}",
            context.settings.path.display()
        ))?;
    }
    log_to_stderr(global);
    for warning in &context.config.warnings {
        tracing::warn!("{warning}");
    }
    // Settings that no provider takes are refused before anything is opened; those that let nothing in are not, as
    // what is turned away can be taken in afterwards.
    settings::check(&context.config)?;
    if let Err(error) = settings::lets_something_in(&context) {
        tracing::warn!("{error}");
    }
    create_directory_of(&context.database)?;
    let sockets = match passed {
        Some(sockets) => sockets,
        None => Sockets::open(&context)?,
    };
    let addresses = sockets.addresses()?;
    if sockets.passed && !addresses.contains(&context.listen()) {
        tracing::warn!(
            "receiver.listen = \"{}\" is not used: whoever started this receiver passed its sockets",
            context.listen()
        );
    }
    // The one that others on this machine are told to speak to.
    let listen = addresses.first().copied().unwrap_or(context.listen());
    let store = open_store(&context, listen.to_string())?;
    tasks::say_upgraded(&store, out)?;
    Ok((context, sockets, store))
}

fn log_to_stderr(global: &Global) {
    let level = match global.verbose {
        0 => "warn,subledger=info",
        1 => "info,subledger=debug",
        _ => "trace",
    };
    let filter = std::env::var("SUBLEDGER_LOG")
        .ok()
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(level));
    let colours =
        stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    let log = log_to(filter, stderr, colours);
    // Whoever runs this within a program of their own has a log already.
    tracing::subscriber::set_global_default(log).ok();
}

fn log_to<W>(filter: EnvFilter, to: W, colours: bool) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(to)
        .with_ansi(colours)
        .with_target(false)
        .fmt_fields(format::debug_fn(field).delimited(" "))
        .finish()
}

/// One field of a log line: on one line, and nothing in it acts on a terminal, whoever wrote it.
fn field(to: &mut format::Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let value = format!("{value:?}");
    let value = Printable::line(&value);
    match field.name() {
        "message" => write!(to, "{value}"),
        name => write!(to, "{name}={value}"),
    }
}

fn say_where(context: &Context, listen: SocketAddr, store: &Store, out: &mut Out) -> Result<()> {
    out.say(format!(
        "receiving on {} into {}, days in {}",
        near_url(listen),
        context.database.display(),
        store.zone().name()
    ))?;
    Ok(())
}

fn receive(
    global: &Global,
    context: &Context,
    sockets: Sockets,
    store: &Store,
    out: &mut Out,
) -> Result<()> {
    let key = store.fingerprint_key();
    let doors = Doors::open(&context.config.accounts, key)?;
    let handle = ReloadHandle::new(live(&context.config, doors)?);
    let alerting = Alerting::start(context, &store.writer())?;
    let teller = Teller::start(store.writer());
    let notice = teller.notice();
    let backup = Arc::new(Mutex::new(context.config.backup.clone()));
    let reloader = Arc::new(Reloader {
        global: global.clone(),
        listen: context.listen(),
        database: context.database.clone(),
        key,
        handle: handle.clone(),
        alerts: alerting.handle(),
        notice: notice.clone(),
        backup: Arc::clone(&backup),
        writer: store.writer(),
    });
    let stop = Arc::new(Notify::new());
    let (stopping, reloading) = (Arc::clone(&stop), Arc::clone(&reloader));
    store.writer().retain(tasks::retention(&context.config));
    store.on_stop(move || stopping.notify_one());
    store.on_reload(move || reloading.take());
    store.serve_tasks(Arc::new({
        let handle = handle.clone();
        move |row| admit_again(&handle.get().doors, row)
    }))?;
    for address in sockets.addresses()? {
        say_where(context, address, store, out)?;
    }
    out.say(
        "the links to paste: subledger urls; the screen: subledger tui; the end: subledger stop",
    )?;
    count_days_in(context, store);
    let nightly = Nightly::start(store, context.clock, backup)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start")?;
    let setup = Setup {
        live: handle,
        writer: store.writer(),
        clock: context.clock,
    };
    runtime.block_on(async {
        let listeners = Listeners::new(sockets.listeners, sockets.passed)?;
        let hang_up = signal(SignalKind::hangup())?;
        tokio::spawn(reload_on(hang_up, reloader));
        receiver::serve(listeners, setup, asked_to_stop(stop, notice)?).await
    })?;
    alerting.stop();
    teller.end();
    drop(nightly);
    Ok(())
}

async fn reload_on(mut hang_up: Signal, reloader: Arc<Reloader>) {
    while hang_up.recv().await.is_some() {
        let reloader = Arc::clone(&reloader);
        tokio::task::spawn_blocking(move || reloader.take().ok())
            .await
            .ok();
    }
}

/// Where the settings name another zone than the ledger keeps, days are counted again, behind everything else.
fn count_days_in(context: &Context, store: &Store) {
    let Some(zone) = context
        .config
        .display
        .zone
        .filter(|zone| *zone != store.zone())
    else {
        return;
    };
    tracing::info!("counting days in {} from now on", zone.name());
    let writer = store.writer();
    std::thread::spawn(move || {
        let task = Task::SetZone {
            zone: zone.name().to_owned(),
        };
        match writer.run(task, &mut |_| {}) {
            Ok(report) => tracing::info!("{}", report.summary),
            Err(error) => tracing::error!("days are still counted as before: {error}"),
        }
    });
}

/// Judges a request out of the ring again. Its path holds the fingerprint of the path key, if there was one.
pub fn admit_again(doors: &Doors, row: &RejectedRow) -> Result<Delivery, String> {
    let rejected = &row.rejected;
    let last = rejected.path.rsplit('/').next();
    doors.admit_again(&RejectedAgain {
        provider: rejected.provider.clone(),
        hook: rejected.hook.clone(),
        headers: rejected.headers.clone(),
        body: rejected.body.clone(),
        received_at: rejected.received_at,
        remote_ip: rejected.remote_ip.clone(),
        path_fingerprint: last
            .filter(|last| last.starts_with("fp:"))
            .map(str::to_owned),
    })
}

/// Resolves at SIGTERM, SIGINT or when another process asks.
fn asked_to_stop(asked: Arc<Notify>, notice: Notice) -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = asked.notified() => {}
        }
        notice.stopping();
        tracing::info!("stopping: answering what was accepted");
    })
}

fn live(config: &Config, doors: Doors) -> Result<Live, SettingsError> {
    Ok(Live {
        doors: Arc::new(doors),
        trusted_proxies: Proxies::parse(&config.receiver.trusted_proxies)?,
        limits: Limits {
            body_bytes_max: config.receiver.body_bytes_max,
            ..Limits::default()
        },
        metrics: config.receiver.metrics,
    })
}

/// Takes the settings again while the receiver runs.
struct Reloader {
    global: Global,
    listen: SocketAddr,
    database: PathBuf,
    key: [u8; 32],
    handle: ReloadHandle,
    alerts: alerts::Handle,
    notice: Notice,
    backup: Asked,
    writer: Writer,
}

impl Reloader {
    /// What was taken over; settings that do not hold leave the old ones in force.
    fn take(&self) -> Result<String, String> {
        self.notice.reloading();
        let taken = self.take_and_say();
        self.notice.reloaded();
        taken
    }

    fn take_and_say(&self) -> Result<String, String> {
        match self.try_take() {
            Ok(fresh) => {
                for warning in &fresh.config.warnings {
                    tracing::warn!("{warning}");
                }
                let mut says = "took the settings again".to_owned();
                if fresh.listen() != self.listen || fresh.database != self.database {
                    says.push_str("; another address or database holds from the next start on");
                }
                tracing::info!("{says}");
                Ok(says)
            }
            Err(error) => {
                let says = format!("the old settings stay in force: {error:#}");
                tracing::error!("{says}");
                Err(says)
            }
        }
    }

    fn try_take(&self) -> Result<Context> {
        let fresh = Context::read(&self.global)?;
        // A file that is being written, or is gone, must not shut everybody out.
        settings::lets_something_in(&fresh)?;
        let doors = Doors::open(&fresh.config.accounts, self.key)?;
        self.handle.set(live(&fresh.config, doors)?);
        // The ledger that is open stays the one that is looked at.
        self.alerts.set(Context {
            database: self.database.clone(),
            ..fresh.clone()
        });
        *asked(&self.backup) = fresh.config.backup.clone();
        self.writer.retain(tasks::retention(&fresh.config));
        Ok(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_log_line_acts_on_a_terminal() {
        #[derive(Clone, Default)]
        struct Log(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Log {
            fn write(&mut self, line: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(line);
                Ok(line.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let log = Log::default();
        let to = log.clone();
        let subscriber = log_to(EnvFilter::new("info"), move || to.clone(), false);
        tracing::subscriber::with_default(subscriber, || {
            let name = "a\u{1b}[2J\u{9b}\u{202e}\nb";
            tracing::info!(file = %name, said = name, "cannot open {name}");
        });
        let line = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let shown = "a\\x1b[2J<U+009B><U+202E>\\nb";
        assert!(
            line.contains(&format!("cannot open {shown} file={shown} said=")),
            "{line}"
        );
        assert!(!line.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{line:?}");
        assert_eq!(line.lines().count(), 1, "{line:?}");
    }
}
