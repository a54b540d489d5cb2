//! The receiver over real sockets, against a writer that does what a test says.

mod framing;

mod limits;

mod table;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::config::{Secret, Settings};
use crate::domain::delivery::{Content, Delivery, Outcome, Reading};
use crate::domain::time::{Clock, Timestamp};
use crate::providers::ALL;
use crate::providers::door::Doors;
use crate::receiver::health::Pulse;
use crate::receiver::limits::Limits;
use crate::receiver::peer::Proxies;
use crate::receiver::{Ledger, Live, ReloadHandle, receive};
use crate::store::Error;
use crate::store::append::Ack;
use crate::store::vitals::Figures;
use crate::store::writer::{Overloaded, Rejected, Reply};

/// The path key of Zotlo in these tests, and its URL.
const KEY: &str = "k_canary0123456789abcdef";
const URL: &str = "/hooks/zotlo/events/k_canary0123456789abcdef";

/// What the writer does with a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Commit,
    /// Holds every reply until `Fake::release`.
    Hold,
    Full,
    Fail,
    Panic,
}

#[derive(Default)]
struct Desk {
    mode: Mode,
    kept: Vec<Delivery>,
    confirmed: Vec<i64>,
    rejected: Vec<Rejected>,
    lost: Vec<(String, String)>,
    checked: Vec<(String, String, String)>,
    held: Vec<(Reply, Ack)>,
    pulse: Pulse,
    figures: Figures,
}

/// A writer in memory: equal bodies are duplicates.
#[derive(Default)]
struct Fake(Mutex<Desk>);

impl Fake {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap()
    }

    fn release(&self) {
        let held = std::mem::take(&mut self.desk().held);
        for (reply, ack) in held {
            reply(Ok(ack));
        }
    }
}

impl Ledger for Fake {
    fn append(&self, delivery: Delivery, reading: Reading, reply: Reply) -> Result<(), Overloaded> {
        let mode = self.desk().mode;
        match mode {
            Mode::Full => return Err(Overloaded),
            Mode::Panic => panic!("a writer that panics"),
            Mode::Fail => {
                reply(Err(Error::Unwritable("no room".to_owned())));
                return Ok(());
            }
            Mode::Commit | Mode::Hold => {}
        }
        let mut desk = self.desk();
        let first = desk.kept.iter().position(|kept| kept.body == delivery.body);
        let outcome = match reading.content {
            Content::Unreadable(_) => Outcome::Quarantined,
            Content::Events(_) if first.is_some() => Outcome::Duplicate,
            Content::Events(_) => Outcome::Stored,
        };
        desk.kept.push(delivery);
        let ack = Ack {
            outcome,
            seq: i64::try_from(desk.kept.len()).unwrap(),
            duplicate_of: None,
        };
        if mode == Mode::Hold {
            desk.held.push((reply, ack));
        } else {
            drop(desk);
            reply(Ok(ack));
        }
        Ok(())
    }

    fn confirm(&self, seq: i64) {
        self.desk().confirmed.push(seq);
    }

    fn reject(&self, rejected: Rejected) {
        self.desk().rejected.push(rejected);
    }

    fn lose(&self, _: Timestamp, provider: &str, reason: &str) {
        let lost = (provider.to_owned(), reason.to_owned());
        self.desk().lost.push(lost);
    }

    fn checked(&self, provider: &str, account: &str, hook: &str) {
        let check = (provider.to_owned(), account.to_owned(), hook.to_owned());
        self.desk().checked.push(check);
    }

    fn pulse(&self) -> Pulse {
        self.desk().pulse
    }

    fn figures(&self) -> Figures {
        self.desk().figures.clone()
    }
}

/// A receiver on a port of its own.
struct Server {
    at: SocketAddr,
    fake: Arc<Fake>,
    live: ReloadHandle,
    stop: Option<oneshot::Sender<()>>,
    done: JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start() -> Self {
        Self::with(short()).await
    }

    async fn with(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let fake = Arc::new(Fake::default());
        let live = ReloadHandle::new(live(limits, KEY));
        let (stop, stopped) = oneshot::channel();
        let clock = Clock::Fixed(Timestamp::from_ms(1_700_000_000_000));
        let ledger = Arc::clone(&fake) as Arc<dyn Ledger>;
        let stopped = async move { drop(stopped.await) };
        let done = tokio::spawn(receive(
            listener.into(),
            live.clone(),
            ledger,
            clock,
            stopped,
        ));
        Self {
            at,
            fake,
            live,
            stop: Some(stop),
            done,
        }
    }

    async fn connect(&self) -> Client {
        Client {
            stream: TcpStream::connect(self.at).await.unwrap(),
            inbox: Vec::new(),
        }
    }

    /// The answer to one request on a connection of its own.
    async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut client = self.connect().await;
        client.send(request).await;
        client.answer().await.unwrap()
    }

    fn begin_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    async fn stopped(self) {
        timeout(Duration::from_secs(5), self.done)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

fn live(limits: Limits, key: &str) -> Live {
    let settings = ["zotlo", "conscent"].map(|provider| Settings {
        provider: provider.to_owned(),
        account: "main".to_owned(),
        secrets: [(
            "path_key".to_owned(),
            vec![Secret::new(format!("{key}{}", &provider[5..]))],
        )]
        .into(),
        ..Settings::default()
    });
    Live {
        doors: Arc::new(Doors::open(&settings, [7; 32]).unwrap()),
        trusted_proxies: Proxies::parse(&["loopback".to_owned()]).unwrap(),
        limits,
        metrics: true,
    }
}

/// The limits of DESIGN.md with times that a test can wait for.
fn short() -> Limits {
    Limits {
        body_bytes_max: 4096,
        header_timeout: Duration::from_millis(200),
        body_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_millis(200),
        stall_timeout: Duration::from_millis(200),
        linger: Duration::from_millis(100),
        drain_grace: Duration::from_millis(100),
        ..Limits::default()
    }
}

/// An answer as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// A sender who may send anything.
struct Client {
    stream: TcpStream,
    inbox: Vec<u8>,
}

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A receiver that has answered already may refuse the rest.
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// The next answer; `None` at the end of the connection.
    async fn answer(&mut self) -> Option<Answer> {
        let answer = async {
            loop {
                if let Some(answer) = self.cut() {
                    return Some(answer);
                }
                if self.stream.read_buf(&mut self.inbox).await.ok()? == 0 {
                    assert!(self.inbox.is_empty(), "half an answer");
                    return None;
                }
            }
        };
        timeout(Duration::from_secs(5), answer)
            .await
            .expect("an answer within 5 s")
    }

    fn cut(&mut self) -> Option<Answer> {
        let end = self.inbox.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(self.inbox[..end].to_vec()).unwrap();
        let mut answer = Answer {
            status: head[9..12].parse().unwrap(),
            head,
            body: String::new(),
        };
        let length = answer
            .header("content-length")
            .map_or(0, |n| n.parse().unwrap());
        let body = self.inbox.get(end + 4..end + 4 + length)?;
        answer.body = String::from_utf8(body.to_vec()).unwrap();
        self.inbox.drain(..end + 4 + length);
        Some(answer)
    }

    /// Waits for the other end to close without a further answer.
    async fn closed(&mut self) {
        assert_eq!(self.answer().await, None);
    }
}

/// A webhook that Zotlo documents.
fn sample() -> &'static str {
    let zotlo = ALL.iter().find(|known| known.id() == "zotlo").unwrap();
    zotlo.samples()[0].body
}

fn post(url: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {url} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

/// Waits for something that happens on another thread.
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..400 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}
