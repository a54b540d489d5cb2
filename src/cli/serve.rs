//! `serve`: takes the lock, opens the port, receives until it is told to stop.

use std::io::{self, IsTerminal, stderr};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::cli::args::Global;
use crate::cli::context::{Context, create_directory_of};
use crate::cli::failure::Failure;
use crate::cli::links::near_url;
use crate::cli::out::Out;
use crate::cli::running;
use crate::config::{Config, SettingsError};
use crate::domain::time::Clock;
use crate::providers::door::{self, Doors};
use crate::receiver::limits::Limits;
use crate::receiver::peer::Proxies;
use crate::receiver::{self, Live, ReloadHandle, Setup};
use crate::store::writer::{AdmitFn, Options, Store};

/// Serves until SIGTERM or SIGINT. `detached`: a screen started it, and may go away without it.
pub fn run(global: &Global, detached: bool, out: &mut Out) -> Result<()> {
    if detached {
        // The child of a shell's job leads no group yet, so this cannot fail; if it did, only the hang-up would reach us.
        rustix::process::setsid().ok();
    }
    let (context, fresh) = Context::read_or_create(global)?;
    if fresh {
        out.say(format!("wrote the settings: {}", context.settings.path.display()))?;
    }
    log_to_stderr(global);
    for warning in &context.config.warnings {
        tracing::warn!("{warning}");
    }
    // Settings that no provider takes are refused before anything is opened.
    Doors::open(&context.config.accounts, [0; 32])?;
    create_directory_of(&context.database)?;
    let listener = bind(&context)?;
    let listen = listener.local_addr().context("the port has no address")?;
    let store = open_store(&context, listen)?;
    say_where(&context, listen, &store, out)?;
    receive(global, &context, listener, &store)?;
    store.close()?;
    tracing::info!("stopped");
    Ok(())
}

/// The ledger, to be written by this process.
pub fn open_store(context: &Context, listen: SocketAddr) -> Result<Store> {
    let options = Options {
        read: Arc::new(door::read),
        zone: context.zone(),
        clock: context.clock,
        listen: listen.to_string(),
    };
    Ok(Store::open(&context.database, options)?)
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
    let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(colours)
        .with_target(false)
        .try_init()
        .ok();
}

fn bind(context: &Context) -> Result<TcpListener> {
    let listen = context.listen();
    let listener = TcpListener::bind(listen).map_err(|error| cannot_listen(&context.database, listen, &error))?;
    listener.set_nonblocking(true).context("cannot listen")?;
    Ok(listener)
}

fn cannot_listen(database: &Path, listen: SocketAddr, error: &io::Error) -> Failure {
    let port = listen.port();
    if error.kind() != io::ErrorKind::AddrInUse {
        return Failure::unreachable(format!(
            "cannot listen on {listen}: {error}; choose another with `subledger config set receiver.listen ADDRESS:PORT`"
        ));
    }
    match running::receiver(database) {
        Some(running) => Failure::unreachable(format!(
            "a receiver runs on {} already: process {} on {}; `subledger stop` ends it",
            database.display(),
            running.pid,
            running.listen
        )),
        None => Failure::unreachable(format!(
            "port {port} is in use by another program: stop that, or choose another with \
             `subledger config set receiver.listen {}:{}`",
            listen.ip(),
            port.checked_add(1).unwrap_or(8484)
        )),
    }
}

fn say_where(context: &Context, listen: SocketAddr, store: &Store, out: &mut Out) -> Result<()> {
    out.say(format!(
        "receiving on {} into {}, days in {}",
        near_url(listen),
        context.database.display(),
        store.zone().name()
    ))?;
    if let Some(wanted) = context.config.display.zone.filter(|zone| *zone != store.zone()) {
        out.say(format!(
            "the settings name the zone {}, the database keeps {}: days stay as they were counted",
            wanted.name(),
            store.zone().name()
        ))?;
    }
    out.say("the links to paste: subledger urls; the screen: subledger tui; the end: subledger stop")?;
    Ok(())
}

fn receive(global: &Global, context: &Context, listener: TcpListener, store: &Store) -> Result<()> {
    let key = store.fingerprint_key();
    let doors = Doors::open(&context.config.accounts, key)?;
    let handle = ReloadHandle::new(live(&context.config, doors)?);
    store.serve_tasks(admit_by(handle.clone()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let setup = Setup {
            live: handle.clone(),
            writer: store.writer(),
            clock: Clock::Machine,
        };
        let reloading = async {
            while hang_up.recv().await.is_some() {
                reload(global, context, key, &handle);
            }
        };
        tokio::select! {
            result = receiver::serve(listener, setup, asked_to_stop()?) => result,
            () = reloading => Ok(()),
        }
    })?;
    Ok(())
}

/// Judges a rejected request again by the settings of the moment.
fn admit_by(handle: ReloadHandle) -> AdmitFn {
    Arc::new(move |row| {
        let _ = (&handle, row);
        Err(String::new())
    })
}

/// Resolves at SIGTERM or SIGINT.
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let asked = async move |signal: &mut Signal| signal.recv().await;
    Ok(async move {
        tokio::select! {
            _ = asked(&mut terminate) => {}
            _ = asked(&mut interrupt) => {}
        }
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

/// Takes the settings again; those that do not hold leave the old ones in force.
fn reload(global: &Global, context: &Context, key: [u8; 32], handle: &ReloadHandle) {
    let taken = Context::read(global).and_then(|fresh| {
        let doors = Doors::open(&fresh.config.accounts, key)?;
        let live = live(&fresh.config, doors)?;
        Ok((fresh, live))
    });
    match taken {
        Ok((fresh, live)) => {
            handle.set(live);
            tracing::info!("took the settings again");
            if fresh.listen() != context.listen() || fresh.database != context.database {
                tracing::warn!("another address or database holds from the next start on");
            }
            for warning in &fresh.config.warnings {
                tracing::warn!("{warning}");
            }
        }
        Err(error) => tracing::error!("the old settings stay in force: {error:#}"),
    }
}
