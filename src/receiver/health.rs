//! Whether the receiver lives, can store, and where what it has counted is looked at.
//!
//! `/readyz` and `/metrics` are for this machine only: anything that a proxy passed on finds nothing there.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response};

use crate::receiver::Shared;
use crate::receiver::reply::Reply;
use crate::receiver::wire::Link;

/// A probe commit older than this is no sign of life.
const PROBE_AGE_MAX: Duration = Duration::from_secs(10);
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
}

impl Pulse {
    /// Whether a commit succeeded in the last seconds and none has failed since.
    pub(crate) fn is_ready(&self) -> bool {
        self.committed.is_some_and(|age| age < PROBE_AGE_MAX) && !self.is_failing
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
    let (pulse, figures) = (shared.ledger.pulse(), shared.ledger.figures());
    let text = shared.counters.text(&pulse, &figures, shared.crowd.len());
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
