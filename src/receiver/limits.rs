//! The listener: how many may connect, for how long, and how it all ends.
//!
//! No connection is refused for its address. When there is no room, the one that has waited longest without anything
//! right makes it: a slow attacker, an idle keep-alive, never a delivery on its way to disk.

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::receiver::listeners::Listeners;
use crate::receiver::wire::{Link, Wire};
use crate::receiver::{Shared, answer, router};

/// Every limit of the receiver. A change by reload holds for connections accepted after it; the connection caps are
/// those of the start.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes_max: usize,
    /// Bytes of a head, request line included.
    pub header_bytes_max: usize,
    /// Header lines of a request.
    pub headers_max: usize,
    /// For a head, from its first byte; for the first of a connection, from its being accepted.
    pub header_timeout: Duration,
    /// For a whole body.
    pub body_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// For a sender to take what is written.
    pub write_timeout: Duration,
    /// For the writer to commit.
    pub stall_timeout: Duration,
    /// After the last answer of a connection, what still comes is read for so long.
    pub linger: Duration,
    /// When stopping, a connection at rest may still begin a request for so long: it may be on its way.
    pub drain_grace: Duration,
    /// When stopping, everything is over after so long.
    pub drain_timeout: Duration,
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once from one address from which nothing right is being stored; trusted proxies are exempt.
    pub connections_per_ip_max: usize,
    /// A connection may wait so long before it has to make room.
    pub eviction_age: Duration,
    /// Failures in a row before an address is told to wait.
    pub failures_burst: u32,
    /// Failures a second that are forgiven.
    pub failures_per_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 1 << 20,
            header_bytes_max: 32 << 10,
            headers_max: 64,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(5),
            linger: Duration::from_secs(1),
            drain_grace: Duration::from_millis(250),
            drain_timeout: Duration::from_secs(5),
            connections_max: 512,
            connections_per_ip_max: 32,
            eviction_age: Duration::from_secs(1),
            failures_burst: 600,
            failures_per_s: 10,
        }
    }
}

/// Descriptors left to the database, the screen and everything else.
const FILES_KEPT: u64 = 32;
/// Connections there must be room for, whatever the system says.
const CONNECTIONS_MIN: usize = 16;
/// One address may have so many times its cap of connections that it has just opened.
const FRESH_TIMES: usize = 4;
/// A pause after a failed accept, and between looks for room.
const PAUSE: Duration = Duration::from_millis(50);
/// hyper's own buffer, above our limit of a head: a head reaches it whole.
const HYPER_BUFFER_BYTES_MIN: usize = 64 << 10;

/// All open connections.
#[derive(Default)]
pub(crate) struct Crowd {
    links: Mutex<Vec<Arc<Link>>>,
}

impl Crowd {
    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.links
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    pub(crate) fn enter(self: Arc<Self>, link: &Arc<Link>) -> Seat {
        self.links
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(link));
        Seat {
            crowd: self,
            link: Arc::clone(link),
        }
    }

    /// Closes whichever has waited longest, and for `age` at least, among those that `among` names. False if none has.
    fn evict(&self, age: Duration, among: impl Fn(&Link) -> bool) -> bool {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = links
            .iter()
            .enumerate()
            .filter(|(_, link)| among(link))
            .filter_map(|(place, link)| Some((link.waiting_since()?, place)))
            .min();
        match oldest {
            Some((since, place)) if since.elapsed() >= age => {
                links.swap_remove(place).evicted.notify_one();
                true
            }
            _ => false,
        }
    }

    /// Comes back when there is room for one more.
    async fn room(&self, connections_max: usize, age: Duration) {
        while self.len() >= connections_max && !self.evict(age, |_| true) {
            sleep(PAUSE).await;
        }
    }

    /// Keeps those of `ip` that only wait under its cap, as far as they have waited long; and however short under so many
    /// times as much, or fresh ones alone would fill the crowd.
    pub(crate) fn thin(&self, ip: IpAddr, max: usize, age: Duration) {
        let waiting = self
            .links
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|link| link.peer == ip && link.waiting_since().is_some())
            .count();
        for over in (max..waiting).rev() {
            let age = if over >= FRESH_TIMES * max {
                Duration::ZERO
            } else {
                age
            };
            if !self.evict(age, |link| link.peer == ip) {
                return;
            }
        }
    }
}

/// A place in the crowd, given up when dropped.
pub(crate) struct Seat {
    crowd: Arc<Crowd>,
    link: Arc<Link>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut links = self
            .crowd
            .links
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = links.iter().position(|link| Arc::ptr_eq(link, &self.link)) {
            links.swap_remove(place);
        }
    }
}

/// Accepts until `shutdown`, then finishes what has begun. Returns when every request begun was answered, or
/// `drain_timeout` later.
pub(crate) async fn run(
    mut listeners: Listeners,
    shared: Arc<Shared>,
    shutdown: impl Future<Output = ()>,
) {
    let limits = shared.live.get().limits;
    let connections_max = limits.connections_max.min(connections_by_files());
    let (drain, draining) = watch::channel(false);
    let router = router(Arc::clone(&shared));
    let mut tasks = JoinSet::new();
    let mut spare = spare_file();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            if spare.is_none() {
                // The descriptor that comes free is not for the next connection: it is the writer's.
                shared.crowd.evict(Duration::ZERO, |_| true);
                sleep(PAUSE).await;
                spare = spare_file();
                return None;
            }
            shared
                .crowd
                .room(connections_max, limits.eviction_age)
                .await;
            Some(listeners.accept().await)
        };
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = tasks.join_next() => {}
            accepted = accepted => match accepted {
                Some(Ok((stream, peer))) => {
                    tasks.spawn(hold(stream, peer.ip(), &shared, &router, draining.clone()));
                }
                Some(Err(error)) if is_lack(&error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    spare = None;
                }
                Some(Err(_)) | None => {}
            },
        }
    }
    // What the system has accepted for us is accepted: closing the listener would reset it. What queues at a socket that
    // was passed is for whoever comes next.
    if listeners.outlive_us() {
        drop(listeners);
    } else {
        for (stream, peer) in listeners.close() {
            tasks.spawn(hold(stream, peer.ip(), &shared, &router, draining.clone()));
        }
    }
    drain.send_replace(true);
    let until = Instant::now() + limits.drain_timeout;
    while let Ok(Some(_)) = timeout_at(until, tasks.join_next()).await {}
    if !tasks.is_empty() {
        tracing::warn!("{} connections were cut off when stopping", tasks.len());
    }
    tasks.shutdown().await;
}

/// How many connections the limit of open files leaves room for.
fn connections_by_files() -> usize {
    getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |files| {
            usize::try_from(files.saturating_sub(FILES_KEPT)).unwrap_or(usize::MAX)
        })
        .max(CONNECTIONS_MIN)
}

fn spare_file() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Whether an accept failed for want of descriptors or memory; otherwise a connection broke before it was taken, which
/// is nothing.
fn is_lack(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// One connection from its first byte to its last.
fn hold(
    stream: TcpStream,
    peer: IpAddr,
    shared: &Arc<Shared>,
    router: &Router,
    mut draining: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + use<> {
    let live = shared.live.get();
    let limits = live.limits;
    let link = Arc::new(Link::new(peer.to_canonical()));
    if !live.trusted_proxies.trusts(peer) && !link.peer.is_loopback() {
        // One more is about to enter.
        let max = limits.connections_per_ip_max.saturating_sub(1);
        shared.crowd.thin(link.peer, max, limits.eviction_age);
    }
    let seat = Arc::clone(&shared.crowd).enter(&link);
    shared.counters.connected();
    let (shared, router) = (Arc::clone(shared), router.clone());
    async move {
        let _seat = seat;
        // A small answer must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let ledger = Arc::clone(&shared.ledger);
        let confirm = Box::new(move |seq| ledger.confirm(seq));
        let nonce = shared.nonce.clone();
        let wire = Wire::new(stream, Arc::clone(&link), nonce, limits, confirm);
        let service = {
            let link = Arc::clone(&link);
            service_fn(move |request| {
                answer(
                    Arc::clone(&shared),
                    router.clone(),
                    Arc::clone(&link),
                    request,
                )
            })
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // The wire keeps the time of heads; hyper's clock is a second rope.
            .header_read_timeout(limits.idle_timeout + 2 * limits.header_timeout)
            .max_headers(limits.headers_max + 1)
            .max_buf_size(HYPER_BUFFER_BYTES_MIN.max(2 * limits.header_bytes_max))
            .half_close(true)
            .serve_connection(TokioIo::new(wire), service);
        let mut connection = pin!(connection);
        loop {
            tokio::select! {
                ended = &mut connection => {
                    if let Err(error) = ended {
                        tracing::debug!("a connection broke: {error}");
                    }
                    return;
                }
                () = link.evicted.notified() => return,
                // Polled again, the wire sees the mark.
                _ = draining.wait_for(|is_draining| *is_draining),
                    if !link.is_draining.load(Ordering::Relaxed) =>
                {
                    link.is_draining.store(true, Ordering::Relaxed);
                }
            }
        }
    }
}
