//! Senders that wait for each answer before the next request: `wrk` where it is installed, else senders of our own.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bodies::{Records, Requests};
use crate::processes::{Running, program};

/// What sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Generator {
    /// `wrk`, here.
    Wrk(PathBuf),
    /// Tasks of this process.
    BuiltIn,
}

impl Generator {
    /// `wrk` if it is there.
    pub(crate) fn found() -> Self {
        program("wrk").map_or(Self::BuiltIn, Self::Wrk)
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Wrk(_) => "wrk",
            Self::BuiltIn => "the built-in generator",
        }
    }

    /// Sends `requests` to `port` over so many connections for so long.
    pub(crate) fn send(
        &self,
        port: u16,
        requests: &Requests,
        connections: usize,
        time: Duration,
    ) -> io::Result<Load> {
        match self {
            Self::Wrk(wrk) => {
                let mut command = Command::new(wrk);
                command
                    .args(["--threads", "1", "--timeout", "20s"])
                    .args(["--connections", &connections.to_string()])
                    .args(["--duration", &format!("{}s", time.as_secs())])
                    .args(["--script", &script()])
                    .arg(format!("http://127.0.0.1:{port}/"))
                    .arg("--")
                    .arg(&requests.path)
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped());
                let (said, status) = Running::start(&mut command)?.finish()?;
                read(&said).ok_or_else(|| {
                    io::Error::other(format!("wrk ended with {status} and said {said:?}"))
                })
            }
            Self::BuiltIn => {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_all()
                    .build()?;
                runtime.block_on(send(port, requests.open()?, connections, time))
            }
        }
    }
}

/// What came of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// 200s.
    pub(crate) answered: u64,
    /// Other answers.
    pub(crate) refused: u64,
    /// Requests that came to no answer.
    pub(crate) broken: u64,
    pub(crate) took: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        crate::real(self.answered) / self.took.as_secs_f64()
    }
}

fn script() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/benches/ingest/post.lua").to_owned()
}

/// The line that the script prints.
fn read(said: &str) -> Option<Load> {
    let line = said.lines().find_map(|line| line.strip_prefix("load "))?;
    let numbers: Result<Vec<u64>, _> = line.split(' ').map(str::parse).collect();
    let [answers, took, refused, broken, p50, p99] = numbers.ok()?[..] else {
        return None;
    };
    Some(Load {
        answered: answers.saturating_sub(refused),
        refused,
        broken,
        took: Duration::from_micros(took),
        p50: Duration::from_micros(p50),
        p99: Duration::from_micros(p99),
    })
}

async fn send(port: u16, records: Records, connections: usize, time: Duration) -> io::Result<Load> {
    let records = Arc::new(Mutex::new(records));
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let mut senders = Vec::new();
    for _ in 0..connections {
        let (stop, records) = (Arc::clone(&stop), Arc::clone(&records));
        senders.push(tokio::spawn(sender(port, records, stop)));
    }
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let (mut took, mut refused, mut broken) = (Vec::new(), 0, 0);
    for sender in senders {
        let sent = sender.await.map_err(io::Error::other)?;
        took.extend(sent.took);
        refused += sent.refused;
        broken += u64::from(sent.is_broken);
    }
    let whole = begun.elapsed();
    took.sort_unstable();
    let at = |part: usize| {
        let place = took.len() * part / 100;
        took.get(place).copied().unwrap_or_default()
    };
    Ok(Load {
        answered: took.len() as u64,
        refused,
        broken,
        took: whole,
        p50: at(50),
        p99: at(99),
    })
}

/// What one connection saw.
#[derive(Default)]
struct Sent {
    took: Vec<Duration>,
    refused: u64,
    is_broken: bool,
}

/// One connection, until it is told to stop or breaks.
async fn sender(port: u16, records: Arc<Mutex<Records>>, stop: Arc<AtomicBool>) -> Sent {
    let mut sent = Sent::default();
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        sent.is_broken = true;
        return sent;
    };
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let request = records.lock().expect("no sender panics").next();
        let request = request.expect("a file of requests");
        let begun = Instant::now();
        let written = stream.write_all(&request).await;
        match written.and(answer(&mut stream, &mut buffer).await) {
            Ok(true) => sent.took.push(begun.elapsed()),
            Ok(false) => sent.refused += 1,
            Err(_) => {
                sent.is_broken = true;
                break;
            }
        }
    }
    sent
}

/// Reads one answer with a Content-Length; whether it was a 200.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.clear();
    let mut chunk = [0_u8; 1024];
    loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.extend_from_slice(&chunk[..read]);
        if let Some(is_good) = whole_answer(buffer) {
            return Ok(is_good);
        }
    }
}

/// Whether an answer is a 200; `None` while it is not whole.
pub(crate) fn whole_answer(read: &[u8]) -> Option<bool> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    (read.len() >= end + 4 + length).then(|| head.starts_with("http/1.1 200"))
}
