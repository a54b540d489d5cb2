//! The receiver: webhooks in, answers out.
//!
//! Imports domain, config, providers and store. Never knows a provider by name, never answers before the commit, never
//! talks to the screen: they meet at the database.
//!
//! ```text
//! listeners where connections come in
//! limits    accept, caps, stopping        one task a connection
//! wire      bytes: framing, deadlines     what is wrong becomes a request of our own
//! hyper     HTTP/1                        one request at a time, answers in order
//! hook      the one handler               doors -> Delivery -> writer -> 200
//! ```

mod framing;

mod wire;

mod flood;

mod room;

mod reply;

pub mod peer;

pub mod limits;

pub mod listeners;

mod hook;

mod health;

mod metrics;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use axum::routing::any;
use hyper::body::Incoming;
use tower::ServiceExt as _;

use crate::domain::delivery::{Delivery, Reading};
use crate::domain::time::{Clock, Timestamp};
use crate::providers::door::Doors;
use crate::receiver::flood::Flood;
use crate::receiver::health::Pulse;
use crate::receiver::limits::{Crowd, Limits};
use crate::receiver::listeners::Listeners;
use crate::receiver::metrics::Counters;
use crate::receiver::peer::Proxies;
use crate::receiver::reply::Reply;
use crate::receiver::room::Room;
use crate::receiver::wire::{Link, Nonce};
use crate::store::vitals::Figures;
use crate::store::writer::{Overloaded, Rejected, Reply as Tell, Writer};

/// What may change while the receiver runs.
pub struct Live {
    /// Who comes in.
    pub doors: Arc<Doors>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Proxies,
    /// How much, how long, how many.
    pub limits: Limits,
    /// Whether `/metrics` is there.
    pub metrics: bool,
}

/// By which settings are changed while the receiver runs: clones point at the same settings.
#[derive(Clone)]
pub struct ReloadHandle(Arc<RwLock<Arc<Live>>>);

impl ReloadHandle {
    /// The settings to begin with.
    pub fn new(live: Live) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(live))))
    }

    /// Requests that come from here on are judged by `live`; limits of time and head hold for new connections.
    pub fn set(&self, live: Live) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
    }

    /// The settings of this moment.
    pub fn get(&self) -> Arc<Live> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a receiver is made of.
pub struct Setup {
    /// Settings, and the handle by which they change.
    pub live: ReloadHandle,
    /// Where deliveries go.
    pub writer: Writer,
    /// When they came.
    pub clock: Clock,
}

/// Whether deliveries can be stored now, as `/readyz` answers: a commit succeeded in the last seconds and none has failed
/// since.
pub fn is_ready(writer: &Writer) -> bool {
    Ledger::pulse(writer).is_ready()
}

/// Receives on `listeners` until `shutdown` resolves, then answers every request that has begun and returns; what takes
/// longer than `Limits::drain_timeout` is cut off. The error is the system's, when it has no random bytes.
pub async fn serve(
    listeners: impl Into<Listeners>,
    setup: Setup,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    receive(
        listeners.into(),
        setup.live,
        Arc::new(setup.writer),
        setup.clock,
        shutdown,
    )
    .await
}

async fn receive(
    listeners: Listeners,
    live: ReloadHandle,
    ledger: Arc<dyn Ledger>,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let shared = Arc::new(Shared {
        live,
        ledger,
        clock,
        flood: Flood::default(),
        counters: Counters::new(),
        crowd: Arc::default(),
        nonce: Nonce::random()?,
        room: Room::default(),
    });
    limits::run(listeners, shared, shutdown).await;
    Ok(())
}

/// What the receiver asks of the store. Behind a trait so that tests can have a writer that stalls, refuses or panics
/// on demand.
pub(crate) trait Ledger: Send + Sync {
    fn append(&self, delivery: Delivery, reading: Reading, reply: Tell) -> Result<(), Overloaded>;
    fn confirm(&self, seq: i64);
    fn reject(&self, rejected: Rejected);
    fn lose(&self, at: Timestamp, provider: &str, reason: &str);
    fn checked(&self, provider: &str, account: &str, hook: &str);
    fn pulse(&self) -> Pulse;
    fn figures(&self) -> Figures;
}

impl Ledger for Writer {
    fn append(&self, delivery: Delivery, reading: Reading, reply: Tell) -> Result<(), Overloaded> {
        Writer::append(self, delivery, reading, reply)
    }

    fn confirm(&self, seq: i64) {
        Writer::confirm(self, seq);
    }

    fn reject(&self, rejected: Rejected) {
        Writer::reject(self, rejected);
    }

    fn lose(&self, at: Timestamp, provider: &str, reason: &str) {
        Writer::lose(self, at, provider, reason);
    }

    fn checked(&self, provider: &str, account: &str, hook: &str) {
        Writer::checked(self, provider, account, hook);
    }

    fn pulse(&self) -> Pulse {
        let health = self.health();
        Pulse {
            committed: health.last_commit_at.map(|_| health.probe_age),
            is_failing: health.failing.is_some(),
            queued: health.queued as u64,
            last_seq: health.last_seq,
            folded_seq: health.folded_seq,
        }
    }

    fn figures(&self) -> Figures {
        Writer::figures(self)
    }
}

/// What every request shares.
pub(crate) struct Shared {
    pub(crate) live: ReloadHandle,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Clock,
    pub(crate) flood: Flood,
    pub(crate) counters: Counters,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) nonce: Nonce,
    pub(crate) room: Room,
}

/// The answer to one request of a connection.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    router: Router,
    link: Arc<Link>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if let Some(fault) = shared.nonce.fault(request.headers()) {
        let reply = Reply::from(fault);
        shared.counters.answered("", reply);
        return Ok(reply.response(true));
    }
    request.extensions_mut().insert(link);
    if let Some(answered) = calm(router.oneshot(request.map(Body::new))).await {
        return answered;
    }
    shared.counters.answered("", Reply::Panic);
    Ok(Reply::Panic.response(true))
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/livez", any(health::live))
        .route("/readyz", any(health::ready))
        .route("/metrics", any(health::metrics))
        .fallback(hook::answer)
        .with_state(shared)
}

/// What `work` gives; `None` if it panicked.
async fn calm<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        },
    )
    .await
}

/// `bytes` as lower-case digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
