//! Whether the receiver lives, can store, and what it has counted.
//!
//! `/readyz` and `/metrics` are for this machine only: anything that a proxy passed on finds nothing there. Labels are
//! from closed sets: never a path, an address or a word out of a body.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response};

use crate::providers;
use crate::receiver::Shared;
use crate::receiver::reply::Reply;
use crate::receiver::wire::Link;

/// A probe commit older than this is no sign of life.
const PROBE_AGE_MAX: Duration = Duration::from_secs(10);
/// Upper bounds of the histogram of answers, milliseconds.
const BOUNDS_MS: [u64; 10] = [1, 2, 5, 10, 25, 50, 100, 500, 1_000, 5_000];
/// What health pages say to anything but a look.
const WRONG_METHOD: Reply = Reply::WrongMethod { allow: "GET, HEAD" };
/// Headers by which proxies say for whom they speak.
const FORWARDING_HEADERS: [&str; 11] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
];

/// What the writer says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pulse {
    /// How long ago a commit succeeded; `None` if none did.
    pub(crate) committed: Option<Duration>,
    /// Whether the last commit failed.
    pub(crate) is_failing: bool,
    /// Deliveries waiting.
    pub(crate) queued: u64,
    /// The last delivery's number.
    pub(crate) last_seq: i64,
    /// The last folded delivery's number.
    pub(crate) folded_seq: i64,
    /// Size of the write-ahead log, as far as it is known.
    pub(crate) wal_bytes: u64,
}

impl Pulse {
    /// Whether a commit succeeded in the last seconds and none has failed since.
    pub(crate) fn is_ready(&self) -> bool {
        self.committed.is_some_and(|age| age < PROBE_AGE_MAX) && !self.is_failing
    }
}

/// Counters since the start, one per provider and answer.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Rows: the providers of `ALL`, then everything else.
    answers: Vec<[AtomicU64; Reply::WORDS.len()]>,
    unkept: AtomicU64,
    connections: AtomicU64,
    /// One per bound, then those beyond the last.
    took: [AtomicU64; BOUNDS_MS.len() + 1],
    took_us: AtomicU64,
}

impl Counters {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let zeros = |_| std::array::from_fn(|_| AtomicU64::new(0));
        Self {
            answers: (0..=providers::ALL.len()).map(zeros).collect(),
            unkept: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            took: std::array::from_fn(|_| AtomicU64::new(0)),
            took_us: AtomicU64::new(0),
        }
    }

    /// `reply` was given to a request for `provider`; any other word than a provider's id is `none`.
    pub(crate) fn answered(&self, provider: &str, reply: Reply) {
        let row = providers::ALL
            .iter()
            .position(|known| known.id() == provider)
            .unwrap_or(providers::ALL.len());
        self.answers[row][reply.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// A failure was too many for its address: not kept in the ring.
    pub(crate) fn unkept(&self) {
        self.unkept.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was accepted.
    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// An authentic delivery was answered after so long.
    pub(crate) fn took(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS_MS.iter().position(|bound| us <= bound * 1_000);
        self.took[place.unwrap_or(BOUNDS_MS.len())].fetch_add(1, Ordering::Relaxed);
        self.took_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Prometheus text.
    fn text(&self, pulse: &Pulse, open: usize) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out, pulse, open);
        out
    }

    fn write(&self, out: &mut String, pulse: &Pulse, open: usize) -> std::fmt::Result {
        writeln!(out, "# TYPE subledger_requests_total counter")?;
        let ids = providers::ALL.iter().map(|provider| provider.id());
        for (id, row) in ids.chain(["none"]).zip(&self.answers) {
            for (word, count) in Reply::WORDS.iter().zip(row) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    writeln!(
                        out,
                        "subledger_requests_total{{provider=\"{id}\",outcome=\"{word}\"}} {count}"
                    )?;
                }
            }
        }
        writeln!(out, "# TYPE subledger_answer_seconds histogram")?;
        let mut below = 0;
        for (bound, count) in BOUNDS_MS.iter().zip(&self.took) {
            below += count.load(Ordering::Relaxed);
            let s = Duration::from_millis(*bound).as_secs_f64();
            writeln!(out, "subledger_answer_seconds_bucket{{le=\"{s}\"}} {below}")?;
        }
        let all = below + self.took[BOUNDS_MS.len()].load(Ordering::Relaxed);
        writeln!(out, "subledger_answer_seconds_bucket{{le=\"+Inf\"}} {all}")?;
        let sum = Duration::from_micros(self.took_us.load(Ordering::Relaxed)).as_secs_f64();
        writeln!(out, "subledger_answer_seconds_sum {sum}")?;
        writeln!(out, "subledger_answer_seconds_count {all}")?;
        for (name, count) in [
            ("rejected_unkept_total", &self.unkept),
            ("connections_total", &self.connections),
        ] {
            let count = count.load(Ordering::Relaxed);
            writeln!(
                out,
                "# TYPE subledger_{name} counter\nsubledger_{name} {count}"
            )?;
        }
        let lag = pulse.last_seq.saturating_sub(pulse.folded_seq);
        for (name, value) in [
            ("connections_open", i64::try_from(open).unwrap_or(i64::MAX)),
            (
                "queue_depth",
                i64::try_from(pulse.queued).unwrap_or(i64::MAX),
            ),
            (
                "wal_bytes",
                i64::try_from(pulse.wal_bytes).unwrap_or(i64::MAX),
            ),
            ("last_seq", pulse.last_seq),
            ("projection_lag_deliveries", lag),
            ("writer_failing", i64::from(pulse.is_failing)),
        ] {
            writeln!(
                out,
                "# TYPE subledger_{name} gauge\nsubledger_{name} {value}"
            )?;
        }
        Ok(())
    }
}

/// `/livez`: the process runs.
pub(crate) async fn live(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let reply = if is_look(request.method()) {
        Reply::Alive
    } else {
        WRONG_METHOD
    };
    shared.counters.answered("", reply);
    reply.response(is_last(&request))
}

/// `/readyz`: a commit succeeded in the last seconds.
pub(crate) async fn ready(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let is_last = is_last(&request);
    let (parts, _) = request.into_parts();
    let reply = if !is_local(&parts) {
        Reply::NotFound
    } else if !is_look(&parts.method) {
        WRONG_METHOD
    } else if shared.ledger.pulse().is_ready() {
        Reply::Ready
    } else {
        Reply::Busy
    };
    shared.counters.answered("", reply);
    reply.response(is_last)
}

/// `/metrics`, where it is on.
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let is_last = is_last(&request);
    let (parts, _) = request.into_parts();
    if !shared.live.get().metrics || !is_local(&parts) {
        shared.counters.answered("", Reply::NotFound);
        return Reply::NotFound.response(is_last);
    }
    if !is_look(&parts.method) {
        shared.counters.answered("", WRONG_METHOD);
        return WRONG_METHOD.response(is_last);
    }
    let text = shared
        .counters
        .text(&shared.ledger.pulse(), shared.crowd.len());
    let mut response = Reply::Ready.response(is_last);
    *response.body_mut() = Body::from(text);
    let prometheus = HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(CONTENT_TYPE, prometheus);
    response
}

fn is_last(request: &Request) -> bool {
    let link = request.extensions().get::<Arc<Link>>();
    !request.body().is_end_stream()
        || link.is_some_and(|link| link.is_draining.load(Ordering::Relaxed))
}

const fn is_look(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether a request came from this machine and was passed on by nobody. A name in `Host` is only the sender's word, so
/// the connection itself must be local too.
fn is_local(parts: &Parts) -> bool {
    let peer = parts.extensions.get::<Arc<Link>>().map(|link| link.peer);
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    peer.is_some_and(|peer| peer.to_canonical().is_loopback())
        && host.is_some_and(is_loopback_host)
        && parts.uri.host().is_none_or(is_loopback_host)
        && !FORWARDING_HEADERS
            .iter()
            .any(|name| parts.headers.contains_key(*name))
}

fn is_loopback_host(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in [
            "localhost",
            "LOCALHOST:8484",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:8484",
        ] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "[2001:db8::1]",
            "example.com",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
