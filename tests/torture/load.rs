//! Senders that write down every answer they get.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use subledger::demo::{Demo, Fate, Posted};
use subledger::domain::time::Timestamp;

use crate::support::PATH_KEY;

/// A delivery that was answered with 200.
#[derive(Clone)]
pub(crate) struct Acknowledged {
    /// The number in the answer.
    pub(crate) seq: i64,
    pub(crate) body: Vec<u8>,
    /// When the answer was read, nanoseconds of the monotonic clock.
    pub(crate) at_ns: i64,
}

/// What was sent, and what came back.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// How often each body was sent, whether or not it was answered.
    pub(crate) sent: HashMap<Vec<u8>, u32>,
    /// Answers other than 200, by status.
    pub(crate) refused: HashMap<u16, usize>,
    /// Connections that ended before the answer.
    pub(crate) broken: usize,
    /// Of them, those that had been made: when, nanoseconds of the monotonic clock.
    pub(crate) cut: Vec<i64>,
    /// How long each 200 took.
    pub(crate) waits: Vec<Duration>,
}

/// Webhooks of all providers, as a year of them comes, and the ledger of their answers.
pub(crate) struct Load {
    posts: Mutex<Demo>,
    pub(crate) said: Mutex<Said>,
    /// 200s so far.
    pub(crate) count: AtomicUsize,
}

impl Load {
    /// The same webhooks again for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        let until = Timestamp::from_ms(1_790_000_000_000);
        Self {
            posts: Mutex::new(Demo::new(seed, 2_000_000, until)),
            said: Mutex::default(),
            count: AtomicUsize::new(0),
        }
    }

    /// The next webhook that a right credential carries.
    pub(crate) fn next(&self) -> Posted {
        let mut posts = self.posts.lock().unwrap();
        posts
            .find(|post| !matches!(post.fate, Fate::TurnedAway(_)))
            .unwrap()
    }

    /// Sends from `senders` connections to `port` until `stop`.
    pub(crate) fn send(&self, port: u16, senders: usize, stop: &AtomicBool) {
        std::thread::scope(|scope| {
            for _ in 0..senders {
                scope.spawn(|| {
                    let mut sender = Sender::new(port);
                    while !stop.load(Ordering::Relaxed) {
                        self.send_one(&mut sender);
                    }
                });
            }
        });
    }

    /// Sends for a while.
    pub(crate) fn send_for(&self, port: u16, senders: usize, time: Duration) {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| self.send(port, senders, &stop));
            std::thread::sleep(time);
            stop.store(true, Ordering::Relaxed);
        });
    }

    /// Sends the next one and notes what came of it: the status, if there was an answer.
    pub(crate) fn send_one(&self, sender: &mut Sender) -> Option<u16> {
        let post = self.next();
        *self
            .said
            .lock()
            .unwrap()
            .sent
            .entry(post.body.clone())
            .or_default() += 1;
        let begun = Instant::now();
        let answer = sender.post(post.provider, post.hook, &post.body);
        let mut said = self.said.lock().unwrap();
        match answer {
            Some((200, text)) => {
                said.waits.push(begun.elapsed());
                said.acknowledged.push(Acknowledged {
                    seq: seq_in(&text),
                    body: post.body,
                    at_ns: monotonic_ns(),
                });
                self.count.fetch_add(1, Ordering::Relaxed);
                Some(200)
            }
            Some((status, _)) => {
                *said.refused.entry(status).or_default() += 1;
                drop(said);
                std::thread::sleep(Duration::from_millis(5));
                Some(status)
            }
            None => {
                said.broken += 1;
                said.cut.extend(sender.made_ns);
                drop(said);
                std::thread::sleep(Duration::from_millis(5));
                None
            }
        }
    }

    /// The slowest of a hundred 200s, of those after the first `skipped`.
    pub(crate) fn p99(&self, skipped: usize) -> Duration {
        let said = self.said.lock().unwrap();
        let mut waits = said.waits[skipped.min(said.waits.len())..].to_vec();
        waits.sort_unstable();
        waits
            .get(waits.len() * 99 / 100)
            .copied()
            .unwrap_or_default()
    }
}

pub(crate) fn monotonic_ns() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// The number in the body of a 200.
pub(crate) fn seq_in(answer: &str) -> i64 {
    let number = answer.rsplit_once("\"seq\":").map(|(_, number)| number);
    number
        .and_then(|number| number.trim_end_matches('}').parse().ok())
        .unwrap_or_else(|| panic!("no number in {answer:?}"))
}

/// One connection, made again when it ends.
pub(crate) struct Sender {
    port: u16,
    stream: Option<TcpStream>,
    /// When the connection of the last request was made.
    made_ns: Option<i64>,
}

impl Sender {
    pub(crate) const fn new(port: u16) -> Self {
        Self {
            port,
            stream: None,
            made_ns: None,
        }
    }

    /// Posts to a hook by its path key: status and body of the answer, `None` if none came.
    pub(crate) fn post(
        &mut self,
        provider: &str,
        hook: &str,
        body: &[u8],
    ) -> Option<(u16, String)> {
        let mut request = format!(
            "POST /hooks/{provider}/{hook}/{PATH_KEY} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        let answered = self.exchange(&request);
        if answered.is_none() {
            self.stream = None;
        }
        answered
    }

    fn exchange(&mut self, request: &[u8]) -> Option<(u16, String)> {
        if self.stream.is_none() {
            self.made_ns = None;
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
                self.made_ns = Some(monotonic_ns());
                stream.set_nodelay(true).ok()?;
                stream
                    .set_read_timeout(Some(Duration::from_secs(15)))
                    .ok()?;
                stream
                    .set_write_timeout(Some(Duration::from_secs(15)))
                    .ok()?;
                none.insert(stream)
            }
        };
        stream.write_all(request).ok()?;
        let answer = read_answer(stream)?;
        if answer.closes {
            self.stream = None;
        }
        Some((answer.status, answer.body))
    }
}

/// One answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// It says that the connection ends here.
    pub(crate) closes: bool,
}

/// Reads one answer, by its length; `None` where the connection ends before.
pub(crate) fn read_answer(stream: &mut impl Read) -> Option<Answer> {
    let mut read = Vec::with_capacity(256);
    let mut chunk = [0_u8; 1024];
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        // Byte for byte until the head is there: what follows belongs to the next answer.
        match stream.read(&mut chunk[..1]) {
            Ok(1) => read.push(chunk[0]),
            _ => return None,
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    // Whoever is told to come back is told when.
    assert!(status != 503 || head.contains("retry-after: "), "{head}");
    Some(Answer {
        status,
        closes: head.contains("connection: close"),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
