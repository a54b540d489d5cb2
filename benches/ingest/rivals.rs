//! What else could receive webhooks: a handler that stores nothing, SQLite by itself, a receiver written by hand with
//! FastAPI, and Debian's `webhook` with the shell of SQLite. PostgreSQL has a file of its own.
//!
//! None of them verifies a signature, recognises a repeat or folds anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use subledger::demo::ACCOUNTS;
use subledger::providers;

use crate::bodies::{Requests, path_key};
use crate::load::{Generator, Load};
use crate::processes::{Running, first_line, free_port, program};

/// How a rival fared, or why it could not be asked.
pub(crate) type Fared = Result<Load, Absent>;

/// Why a rival did not run.
pub(crate) enum Absent {
    /// It is not there: the sentence says what.
    Skipped(String),
    /// It is there and failed.
    Failed(String),
}

impl From<io::Error> for Absent {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Absent {
    pub(crate) fn not_installed(name: &str) -> Self {
        Self::Skipped(format!("{name} is not installed"))
    }
}

/// A load of a rival: with what, of what, for how long.
#[derive(Clone, Copy)]
pub(crate) struct Contest<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) generator: &'a Generator,
    pub(crate) requests: &'a Requests,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
}

impl Contest<'_> {
    fn send(&self, port: u16) -> Fared {
        let load = self
            .generator
            .send(port, self.requests, self.connections, self.time)?;
        if load.answered > 0 {
            return Ok(load);
        }
        Err(Absent::Failed(format!(
            "no 200, {} refused, {} broken",
            load.refused, load.broken
        )))
    }

    /// Loads a program that should listen on `port`.
    fn run(&self, command: &mut Command, port: u16) -> Fared {
        let said = self.folder.join("said");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said)?);
        let mut running = Running::start(command)?;
        if !running.listens(port) {
            let said = fs::read_to_string(&said).unwrap_or_default();
            return Err(Absent::Failed(format!("it does not listen: {said}")));
        }
        let load = self.send(port);
        running.end();
        load
    }
}

/// An axum handler that reads the body and stores nothing.
pub(crate) fn nothing_stored(contest: &Contest<'_>) -> Fared {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let app = Router::new().fallback(|body: Bytes| async move { format!("{}", body.len()) });
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let port = listener.local_addr()?.port();
    runtime.spawn(async move {
        let service = TowerToHyperService::new(app);
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    let load = contest.send(port);
    runtime.shutdown_background();
    load
}

/// Rows of the same bodies into one table, so many to a commit, with the same engine settings and no network.
#[expect(
    clippy::disallowed_methods,
    reason = "the engine by itself, without the store"
)]
pub(crate) fn sqlite_alone(contest: &Contest<'_>, batch: u64) -> Fared {
    let failed = |error: rusqlite::Error| Absent::Failed(error.to_string());
    let path = contest.folder.join("alone.db");
    let mut conn = rusqlite::Connection::open(&path).map_err(failed)?;
    conn.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full; create table bodies (seq integer primary key, body text);",
    )
    .map_err(failed)?;
    let mut records = contest.requests.open()?;
    let (begun, mut rows, mut commits) = (Instant::now(), 0, Vec::new());
    while begun.elapsed() < contest.time {
        let first = Instant::now();
        let tx = conn.transaction().map_err(failed)?;
        {
            let mut insert = tx
                .prepare_cached("insert into bodies (body) values (?1)")
                .map_err(failed)?;
            for _ in 0..batch {
                insert.execute([records.next_body()?]).map_err(failed)?;
            }
        }
        tx.commit().map_err(failed)?;
        rows += batch;
        commits.push(first.elapsed());
    }
    let took = begun.elapsed();
    commits.sort_unstable();
    let at = |part: usize| {
        let place = commits.len() * part / 100;
        commits.get(place).copied().unwrap_or_default()
    };
    Ok(Load {
        answered: rows,
        refused: 0,
        broken: 0,
        took,
        p50: at(50),
        p99: at(99),
    })
}

/// A Python with FastAPI and uvicorn in it: `PYTHON` names one, else `python3`.
pub(crate) fn python() -> Option<PathBuf> {
    let named = std::env::var_os("PYTHON").map(PathBuf::from);
    let python = named.or_else(|| program("python3"))?;
    let mut command = Command::new(&python);
    let has_both = command
        .args(["-c", "import fastapi, uvicorn"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    has_both
        .is_ok_and(|status| status.success())
        .then_some(python)
}

/// What of that Python.
pub(crate) fn python_versions() -> Option<String> {
    const SAYS: &str = "import fastapi, platform, uvicorn\n\
        print(f'Python {platform.python_version()}, FastAPI {fastapi.__version__}, uvicorn {uvicorn.__version__}')";
    Some(first_line(Command::new(python()?).args(["-c", SAYS])))
}

/// How the FastAPI receiver is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handler {
    /// The event loop commits.
    Async,
    /// A pool of threads does.
    Threads,
}

impl Handler {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Threads => "threads",
        }
    }
}

/// A receiver written by hand with FastAPI and sqlite3, in so many processes.
pub(crate) fn fastapi(contest: &Contest<'_>, handler: Handler, workers: usize) -> Fared {
    let python = python().ok_or_else(|| Absent::not_installed("FastAPI with uvicorn"))?;
    let port = free_port();
    let mut keys = serde_json::Map::new();
    for (provider, account) in ACCOUNTS {
        let known = keys.entry(provider).or_insert_with(|| json!([]));
        if let Some(known) = known.as_array_mut() {
            known.push(path_key(provider, account).into());
        }
    }
    let mut command = Command::new(python);
    command
        .args(["-m", "uvicorn", "fastapi_receiver:app", "--app-dir"])
        .arg(rivals())
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .args(["--workers", &workers.to_string()])
        .args(["--no-access-log", "--log-level", "warning"])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("RECEIVER_DB", contest.folder.join("fastapi.db"))
        .env("RECEIVER_HANDLER", handler.name())
        .env("RECEIVER_KEYS", json!(keys).to_string());
    contest.run(&mut command, port)
}

/// Debian's `webhook`, which runs the shell of SQLite for each request.
pub(crate) fn webhook(contest: &Contest<'_>) -> Fared {
    let webhook = program("webhook").ok_or_else(|| Absent::not_installed("webhook"))?;
    let sqlite3 = program("sqlite3").ok_or_else(|| Absent::not_installed("sqlite3"))?;
    let db = contest.folder.join("webhook.db");
    let made = Command::new(sqlite3)
        .arg(&db)
        .arg("pragma journal_mode = wal; create table deliveries (id integer primary key, body text not null)")
        .stdout(Stdio::null())
        .status()?;
    if !made.success() {
        return Err(Absent::Failed(format!("sqlite3 ended with {made}")));
    }
    let hooks = contest.folder.join("webhook.json");
    fs::write(&hooks, webhook_hooks().to_string())?;
    let port = free_port();
    let mut command = Command::new(webhook);
    command
        .args(["-ip", "127.0.0.1", "-port", &port.to_string(), "-hooks"])
        .arg(hooks)
        .env("RECEIVER_DB", db);
    contest.run(&mut command, port)
}

/// A hook for every URL; its answer waits for the script.
fn webhook_hooks() -> serde_json::Value {
    let accounts = ACCOUNTS.iter().flat_map(|&(provider, account)| {
        let known = providers::ALL.iter().find(|one| one.id() == provider);
        let hooks = known.map_or(&[][..], |provider| provider.hooks());
        let key = path_key(provider, account);
        hooks.iter().map(move |hook| {
            json!({
                "id": format!("{provider}/{}/{key}", hook.name),
                "execute-command": rivals().join("webhook_store.sh"),
                "include-command-output-in-response": true,
                "http-methods": ["POST"],
                "pass-environment-to-command": [{ "source": "entire-payload", "envname": "BODY" }],
            })
        })
    });
    accounts.collect()
}

/// Where the programs of rivals stand.
fn rivals() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rivals")
}
