//! The built program as a receiver, in a home of its own.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bodies::{self, Requests};
use crate::disk::WalWatch;
use crate::load::{Generator, Load};
use crate::processes::{Running, free_port};

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(20);
/// Upgrading a ledger of ten million deliveries may take so long.
const START_PATIENCE: Duration = Duration::from_secs(1800);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Between two tries to connect, where it is timed.
const TRY_AGAIN: Duration = Duration::from_micros(200);

/// Settings, a ledger and a port.
pub(crate) struct Home {
    folder: PathBuf,
    db: PathBuf,
    port: u16,
}

impl Home {
    /// One in `folder`, with path keys for every account and the secrets of those that sign; its ledger is `db`.
    pub(crate) fn new(folder: PathBuf, db: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let port = free_port();
        let mut text = format!(
            "[receiver]\nlisten = \"127.0.0.1:{port}\"\nmetrics = true\n[display]\ntimezone = \"UTC\"\n"
        );
        for account in bodies::settings() {
            let table = match account.account.as_str() {
                "main" => account.provider.clone(),
                name => format!("{}.accounts.{name}", account.provider),
            };
            // Nothing fails when a String is written to.
            let _ = writeln!(text, "[providers.{table}]");
            for (key, secrets) in &account.secrets {
                let _ = writeln!(text, "{key} = {:?}", secrets[0].expose());
            }
            for (key, value) in &account.texts {
                let _ = writeln!(text, "{key} = {value:?}");
            }
        }
        let home = Self { folder, db, port };
        fs::write(home.settings(), text)?;
        fs::set_permissions(home.settings(), fs::Permissions::from_mode(0o600))?;
        Ok(home)
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("subledger.toml")
    }

    pub(crate) fn db(&self) -> &Path {
        &self.db
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// `serve`, with its log in a file, as whoever runs it keeps it.
    fn start(&self) -> io::Result<Running> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_subledger"));
        command
            .env_clear()
            .env("HOME", &self.folder)
            .args(["serve", "--config"])
            .arg(self.settings())
            .arg("--db")
            .arg(&self.db)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Running::start(&mut command)
    }

    /// Starts it and waits until it answers.
    pub(crate) fn serve(&self) -> io::Result<Serving> {
        let begun = Instant::now();
        let running = self.start()?;
        let mut listening = None;
        while begun.elapsed() < START_PATIENCE {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                let listening = *listening.get_or_insert_with(|| begun.elapsed());
                if get(&mut stream, "/livez").is_ok() {
                    return Ok(Serving {
                        running,
                        port: self.port,
                        listening,
                        answering: begun.elapsed(),
                    });
                }
            }
            if fs::metadata(format!("/proc/{}/exe", running.pid())).is_err() {
                break;
            }
            std::thread::sleep(TRY_AGAIN);
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        Err(io::Error::other(format!(
            "the receiver does not answer: {log}"
        )))
    }
}

/// A receiver that runs.
pub(crate) struct Serving {
    running: Running,
    port: u16,
    /// From its start until somebody could connect.
    pub(crate) listening: Duration,
    /// From its start until it had answered.
    pub(crate) answering: Duration,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Deliveries kept.
    pub(crate) last_seq: u64,
    /// Of them, those that are not folded.
    pub(crate) behind: u64,
    pub(crate) commits: u64,
}

/// Processor time of a receiver.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Processor {
    /// Of the thread that appends and folds.
    pub(crate) writer: Duration,
    /// Of all others: network, credentials, reading.
    pub(crate) others: Duration,
}

/// Memory of a process, KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// At most so far.
    pub(crate) peak_kib: u64,
    /// Now.
    pub(crate) now_kib: u64,
}

impl Serving {
    pub(crate) fn progress(&self) -> io::Result<Progress> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let text = get(&mut stream, "/metrics")?;
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse::<u64>().ok())
                .ok_or_else(|| io::Error::other(format!("no {name} in /metrics")))
        };
        Ok(Progress {
            last_seq: number("subledger_last_seq ")?,
            behind: number("subledger_projection_lag_deliveries ")?,
            commits: number("subledger_commit_seconds_count ")?,
        })
    }

    pub(crate) fn memory(&self) -> io::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running.pid()))?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        Ok(Memory {
            peak_kib: kib("VmHWM:"),
            now_kib: kib("VmRSS:"),
        })
    }

    /// Bytes that it had written to the disk, the whole process.
    fn written_bytes(&self) -> u64 {
        let io = fs::read_to_string(format!("/proc/{}/io", self.running.pid()));
        let io = io.unwrap_or_default();
        let line = io
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes:"));
        line.and_then(|number| number.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Processor time so far.
    fn processor(&self) -> Processor {
        let mut processor = Processor::default();
        let threads = fs::read_dir(format!("/proc/{}/task", self.running.pid()));
        for thread in threads.into_iter().flatten().flatten() {
            let text = |name| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            // The first number is nanoseconds on a processor.
            let schedule = text("schedstat");
            let ns = schedule.split(' ').next().and_then(|ns| ns.parse().ok());
            let took = Duration::from_nanos(ns.unwrap_or(0));
            if text("comm").trim() == "writer" {
                processor.writer += took;
            } else {
                processor.others += took;
            }
        }
        processor
    }

    /// Waits until everything is folded: how long that took.
    fn fold_all(&self) -> io::Result<Duration> {
        let begun = Instant::now();
        while self.progress()?.behind > 0 {
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(begun.elapsed())
    }

    pub(crate) fn end(self) {
        self.running.end();
    }
}

/// What a receiver did with a load.
pub(crate) struct Received {
    pub(crate) load: Load,
    /// Deliveries kept.
    pub(crate) deliveries: u64,
    /// Of them, not folded when the last answer was given.
    pub(crate) behind: u64,
    /// Until they were.
    pub(crate) folded_in: Duration,
    pub(crate) commits: u64,
    pub(crate) wal_bytes: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) processor: Processor,
    pub(crate) memory: Memory,
}

impl Received {
    /// Deliveries kept and folded per second, from the first until all were.
    pub(crate) fn folded_per_second(&self) -> f64 {
        crate::real(self.deliveries) / (self.load.took + self.folded_in).as_secs_f64()
    }

    /// How fast what was left was folded, if that was enough to tell.
    pub(crate) fn catching_up_per_second(&self) -> Option<f64> {
        let tells = self.behind >= 1_000 && self.folded_in > Duration::from_millis(100);
        tells.then(|| crate::real(self.behind) / self.folded_in.as_secs_f64())
    }
}

/// Loads a receiver for so long, and waits until all is folded.
pub(crate) fn load(
    home: &Home,
    serving: &Serving,
    generator: &Generator,
    requests: &Requests,
    connections: usize,
    time: Duration,
) -> io::Result<Received> {
    serving.fold_all()?;
    let (before, disk_bytes) = (serving.progress()?, serving.written_bytes());
    let processor = serving.processor();
    let wal = WalWatch::start(home.db())?;
    let load = generator.send(home.port(), requests, connections, time)?;
    let behind = serving.progress()?.behind;
    let folded_in = serving.fold_all()?;
    let after = serving.progress()?;
    let spent = serving.processor();
    Ok(Received {
        load,
        deliveries: after.last_seq - before.last_seq,
        behind,
        folded_in,
        commits: after.commits - before.commits,
        wal_bytes: wal.end(),
        disk_bytes: serving.written_bytes() - disk_bytes,
        processor: Processor {
            writer: spent.writer.saturating_sub(processor.writer),
            others: spent.others.saturating_sub(processor.others),
        },
        memory: serving.memory()?,
    })
}

/// The body of the answer to a GET that is a 200.
fn get(stream: &mut TcpStream, path: &str) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(io::Error::other(format!("GET {path}: {answer:?}"))),
    }
}
