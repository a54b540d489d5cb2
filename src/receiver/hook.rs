//! The one handler: a request to a hook becomes an answer, and never a 200 before the commit.
//!
//! Knows no provider: doors decide who comes in and how it reads. Limits of DESIGN.md section 7 are met in its order:
//! place, method, encoding, size, time, credentials, writer.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::request::Parts;
use axum::http::{Method, Response};
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::domain::delivery::{Delivery, Reading};
use crate::domain::printable::Printable;
use crate::providers;
use crate::providers::door::{Door, Doors, Refused, read};
use crate::receiver::reply::Reply;
use crate::receiver::room::FREE_BYTES;
use crate::receiver::wire::Link;
use crate::receiver::{Live, Shared, hex};
use crate::store::writer::Rejected;

/// What the path of every hook begins with.
const HOOKS: &[u8] = b"/hooks/";
/// From so many bytes on, judging and reading a body leave the network's threads.
const LARGE_BODY_BYTES: usize = 64 << 10;
/// A path part of up to so many bytes may be a word; a longer one is shown as a fingerprint.
const WORD_BYTES_MAX: usize = 32;
/// A shorter word in a header is not looked up among the path keys.
const KEY_BYTES_MIN: usize = 8;
/// Why a failure beyond its address's share is counted only.
const FLOOD_REASON: &str = "too many failures from one address";
/// A part with so many digits is no word.
const DIGITS_MAX: usize = 3;
/// Parts of an unknown path that are kept.
const PARTS_MAX: usize = 6;
/// A provider's own name with more digits than this could be a telephone number.
const LABEL_DIGITS_MAX: usize = 4;
/// Cells of a provider's own name in a log line.
const LABEL_CELLS_MAX: usize = 60;

/// Answers everything that is not a health page.
pub(crate) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let live = shared.live.get();
    let (parts, body) = request.into_parts();
    let Some(link) = parts.extensions.get::<Arc<Link>>().cloned() else {
        return Reply::Panic.response(true);
    };
    let caller = live.trusted_proxies.caller(link.peer, &parts.headers);
    let mut visit = Visit {
        has_body: !body.is_end_stream(),
        room: None,
        shared,
        live,
        link,
        caller,
        parts,
    };
    let (live, uri) = (Arc::clone(&visit.live), visit.parts.uri.clone());
    let reply = match Place::find(&live.doors, uri.path()) {
        Place::Hook { door, hook, key } => {
            if visit.parts.method == Method::POST {
                visit.post(door, hook, key, body).await
            } else {
                visit.look(door, hook, key)
            }
        }
        Place::Unknown {
            provider,
            hook,
            path,
            nearest,
        } => {
            let reason = format!("nothing is at this path; the nearest is {nearest}");
            let turned_away = TurnedAway::without_body(reason, path);
            visit.fail(Reply::NotFound, provider, &hook, Some(turned_away))
        }
        Place::Elsewhere => visit.fail(Reply::NotFound, "", "", None),
    };
    visit.finish(reply)
}

/// Where a path leads.
enum Place<'a> {
    /// To a hook.
    Hook {
        door: &'a Door,
        hook: &'static str,
        key: Option<&'a str>,
    },
    /// Under `/hooks/`, to none of ours.
    Unknown {
        provider: &'static str,
        hook: String,
        /// As it may be kept.
        path: String,
        nearest: String,
    },
    /// Anywhere else.
    Elsewhere,
}

impl<'a> Place<'a> {
    fn find(doors: &'a Doors, path: &'a str) -> Self {
        let Some(rest) = path.strip_prefix("/hooks/") else {
            return Self::Elsewhere;
        };
        let parts: Vec<&str> = rest.strip_suffix('/').unwrap_or(rest).split('/').collect();
        let (provider, hook, key) = match parts[..] {
            [provider, hook] => (provider, hook, None),
            [provider, hook, key] if !key.is_empty() => (provider, hook, Some(key)),
            _ => return Self::unknown(doors, &parts),
        };
        let found = doors.door(provider).and_then(|door| {
            let hooks = door.provider().hooks();
            hooks
                .iter()
                .find(|known| known.name == hook)
                .map(|hook| (door, hook.name))
        });
        match found {
            Some((door, hook)) => Self::Hook { door, hook, key },
            None => Self::unknown(doors, &parts),
        }
    }

    fn unknown(doors: &Doors, parts: &[&str]) -> Self {
        let kept = kept_parts(doors, parts);
        let provider = parts
            .first()
            .and_then(|first| doors.door(first))
            .map_or("", |door| door.provider().id());
        let asked = kept[..kept.len().min(2)].join("/");
        let nearest = providers::ALL
            .iter()
            .flat_map(|known| known.hooks().iter().map(|hook| (known.id(), hook.name)))
            // Among equals the first wins: `events` of the first provider.
            .map(|(id, hook)| format!("{id}/{hook}"))
            .min_by_key(|known| strsim::damerau_levenshtein(known, &asked))
            .unwrap_or_default();
        Self::Unknown {
            provider,
            hook: kept.get(1).cloned().unwrap_or_default(),
            path: format!("/hooks/{}", kept.join("/")),
            nearest: format!("/hooks/{nearest}"),
        }
    }
}

fn kept_parts(doors: &Doors, parts: &[&str]) -> Vec<String> {
    let parts = parts.iter().take(PARTS_MAX).enumerate();
    parts
        .map(|(place, part)| kept_part(doors, place, part))
        .collect()
}

/// A header's value as it may be kept: proxies write the path of the request into headers of their own.
fn kept_value(doors: &Doors, value: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.windows(HOOKS.len()).position(|part| part == HOOKS) {
        let (before, path) = rest.split_at(at + HOOKS.len());
        let is_end = |byte: &u8| !byte.is_ascii_graphic() || b"\"'<>,;?#".contains(byte);
        let (path, after) = path.split_at(path.iter().position(is_end).unwrap_or(path.len()));
        let path = String::from_utf8_lossy(path);
        let parts: Vec<&str> = path.split('/').collect();
        kept.extend_from_slice(before);
        kept.extend_from_slice(kept_parts(doors, &parts).join("/").as_bytes());
        rest = after;
    }
    kept.extend_from_slice(rest);
    without_path_keys(doors, &kept)
}

/// `value` with every word in it that is a path key as its fingerprint: proxies and scripts copy keys around.
fn without_path_keys(doors: &Doors, value: &[u8]) -> Vec<u8> {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let mut kept = Vec::with_capacity(value.len());
    for word in value.chunk_by(|a, b| is_inside(*a) == is_inside(*b)) {
        let is_key = word.len() >= KEY_BYTES_MIN
            && std::str::from_utf8(word).is_ok_and(|word| {
                providers::ALL
                    .iter()
                    .filter_map(|provider| doors.door(provider.id()))
                    .any(|door| door.path_key(word).is_some())
            });
        if is_key {
            kept.extend_from_slice(doors.fingerprint(word).as_bytes());
        } else {
            kept.extend_from_slice(word);
        }
    }
    kept
}

/// What stands in `path` where a path key belongs, be it right or not.
fn path_key(path: &str) -> Option<&str> {
    path.strip_prefix("/hooks/")?.split('/').nth(2)
}

/// A part of a path as it may be kept: a word stays, whatever could be a path key becomes its fingerprint.
fn kept_part(doors: &Doors, place: usize, part: &str) -> String {
    let is_word = place < 2
        && part.len() <= WORD_BYTES_MAX
        && !part.starts_with("k_")
        && part.bytes().filter(u8::is_ascii_digit).count() < DIGITS_MAX
        && part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && providers::ALL
            .iter()
            .filter_map(|provider| doors.door(provider.id()))
            .all(|door| door.path_key(part).is_none());
    if is_word || part.is_empty() {
        part.to_owned()
    } else {
        doors.fingerprint(part.as_bytes())
    }
}

/// One request on its way to an answer.
struct Visit {
    shared: Arc<Shared>,
    live: Arc<Live>,
    link: Arc<Link>,
    caller: IpAddr,
    parts: Parts,
    /// Whether the body has not been read to its end.
    has_body: bool,
    /// What is held for it until the answer.
    room: Option<OwnedSemaphorePermit>,
}

/// What the ring keeps of a request beside its head.
struct TurnedAway {
    reason: String,
    path: String,
    body: Option<Vec<u8>>,
    body_bytes: u64,
}

impl TurnedAway {
    fn without_body(reason: String, path: String) -> Self {
        Self {
            reason,
            path,
            body: None,
            body_bytes: 0,
        }
    }
}

/// Why a body was not read to its end.
#[derive(Clone, Copy)]
enum Unread {
    /// It is over the limit: bytes announced or counted so far.
    TooLarge(u64),
    /// Time ran out after so many bytes.
    TooSlow(u64),
    /// So many others were being read that it did not fit in beside them, in time.
    NoRoom,
    /// Its framing broke, or the sender is gone.
    Broken,
}

impl Visit {
    /// GET, HEAD and OPTIONS with the right path key show that a link works.
    fn look(&self, door: &Door, hook: &'static str, key: Option<&str>) -> Reply {
        let provider = door.provider().id();
        let Some(account) = key.and_then(|key| door.path_key(key)) else {
            return self.fail(Reply::WrongMethod { allow: "POST" }, provider, hook, None);
        };
        match self.parts.method {
            Method::GET | Method::HEAD | Method::OPTIONS => {
                // A look of our own, after a key was changed, tells nothing of the provider.
                let test = self.parts.headers.get("subledger-test");
                if test.is_none_or(|value| value != "1") {
                    self.shared.ledger.checked(provider, account, hook);
                }
                self.count(provider, Reply::Ready)
            }
            _ => {
                let allow = "POST, GET, HEAD, OPTIONS";
                self.count(provider, Reply::WrongMethod { allow })
            }
        }
    }

    async fn post(
        &mut self,
        door: &Door,
        hook: &'static str,
        key: Option<&str>,
        body: Body,
    ) -> Reply {
        let began = Instant::now();
        let provider = door.provider().id();
        let path = self.kept_path(provider, hook, key);
        if self.is_encoded() {
            let reason = "the body is compressed (Content-Encoding): send it as it is";
            let turned_away = TurnedAway::without_body(reason.to_owned(), path);
            return self.fail(Reply::Encoded, provider, hook, Some(turned_away));
        }
        let is_known = key.is_some_and(|key| door.path_key(key).is_some());
        let body = match self.read_body(body, is_known).await {
            Ok(body) => body,
            Err(unread) => return self.unread(unread, provider, hook, path),
        };
        let request = self.request(hook, key, body);
        match self.judge(provider, request).await {
            Ok((delivery, reading)) => {
                self.link.protect();
                let credential = delivery.credential.clone();
                let line = Line::new(&self.shared, provider, &reading.label, began);
                let reply = self.store(delivery, reading, line).await;
                if matches!(reply, Reply::Kept(..)) {
                    self.shared.counters.let_in(provider, &credential);
                } else {
                    self.link.release();
                }
                reply
            }
            Err(refused) => {
                let body = refused.request.body;
                let turned_away = TurnedAway {
                    reason: refused.reason,
                    path,
                    body_bytes: body.len() as u64,
                    body: Some(body),
                };
                self.fail(Reply::Unauthorized, provider, hook, Some(turned_away))
            }
        }
    }

    fn kept_path(&self, provider: &str, hook: &str, key: Option<&str>) -> String {
        match key {
            Some(key) => {
                let fingerprint = self.live.doors.fingerprint(key.as_bytes());
                format!("/hooks/{provider}/{hook}/{fingerprint}")
            }
            None => format!("/hooks/{provider}/{hook}"),
        }
    }

    fn is_encoded(&self) -> bool {
        let values = self.parts.headers.get_all(CONTENT_ENCODING);
        values
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
    }

    /// The whole body, if it keeps to the limits of size and time. Waiting for room is not the sender's time.
    async fn read_body(&mut self, mut body: Body, is_known: bool) -> Result<Vec<u8>, Unread> {
        let limits = self.live.limits;
        let bytes_max = limits.body_bytes_max as u64;
        let announced = self
            .parts
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if let Some(bytes) = announced.filter(|bytes| *bytes > bytes_max) {
            return Err(Unread::TooLarge(bytes));
        }
        let whole = announced.unwrap_or(bytes_max).try_into().unwrap_or(0);
        let mut until = Instant::now() + limits.body_timeout;
        let mut read = Vec::with_capacity(whole.min(FREE_BYTES));
        loop {
            match timeout_at(until, body.frame()).await {
                Ok(None) => break,
                Ok(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    let bytes = read.len() as u64 + data.len() as u64;
                    if bytes > bytes_max {
                        return Err(Unread::TooLarge(bytes));
                    }
                    if self.room.is_none() && bytes > FREE_BYTES as u64 {
                        let room = self.shared.room.take(is_known, whole);
                        self.room = timeout_at(until, room).await.map_err(|_| Unread::NoRoom)?;
                        until = Instant::now() + limits.body_timeout;
                    }
                    read.extend_from_slice(&data);
                }
                Ok(Some(Err(_))) => return Err(Unread::Broken),
                Err(_) => return Err(Unread::TooSlow(read.len() as u64)),
            }
        }
        self.has_body = false;
        Ok(read)
    }

    fn unread(&self, unread: Unread, provider: &'static str, hook: &str, path: String) -> Reply {
        // The size stands in a column of its own: equal reasons are counted together where the ring is full.
        let (reply, reason, body_bytes) = match unread {
            Unread::TooLarge(bytes) => (
                Reply::TooLarge,
                "the body is over receiver.body_limit",
                bytes,
            ),
            Unread::TooSlow(bytes) => (Reply::TooSlow, "the body did not arrive in time", bytes),
            Unread::NoRoom => return self.count(provider, Reply::Busy),
            Unread::Broken => return self.count(provider, Reply::Malformed),
        };
        let turned_away = TurnedAway {
            body_bytes,
            ..TurnedAway::without_body(reason.to_owned(), path)
        };
        self.fail(reply, provider, hook, Some(turned_away))
    }

    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let headers = self.parts.headers.iter();
        let doors = &self.live.doors;
        let own_key = path_key(self.parts.uri.path()).unwrap_or_default();
        headers
            .map(|(name, value)| {
                let value = kept_value(doors, value.as_bytes());
                let value = doors.masked(value, own_key.as_bytes());
                (name.as_str().to_owned(), value)
            })
            .collect()
    }

    fn request(&self, hook: &str, key: Option<&str>, body: Vec<u8>) -> providers::Request {
        providers::Request {
            hook: hook.to_owned(),
            path_key: key.map(str::to_owned),
            headers: self.headers(),
            body,
            received_at: self.shared.clock.now(),
            remote_ip: self.caller.to_string(),
        }
    }

    /// Authenticates, then reads: both pure, and long only for long bodies.
    async fn judge(
        &self,
        provider: &'static str,
        request: providers::Request,
    ) -> Result<(Delivery, Reading), Box<Refused>> {
        let live = Arc::clone(&self.live);
        let is_large = request.body.len() > LARGE_BODY_BYTES;
        let judge = move || {
            let door = live
                .doors
                .door(provider)
                .expect("this door was found when the path was");
            door.admit(request).map_err(Box::new).map(|delivery| {
                let reading = read_or_quarantine(&delivery, read);
                (delivery, reading)
            })
        };
        if !is_large {
            return judge();
        }
        match tokio::task::spawn_blocking(judge).await {
            Ok(judged) => judged,
            Err(error) => resume_unwind(match error.try_into_panic() {
                Ok(panic) => panic,
                Err(error) => Box::new(error.to_string()),
            }),
        }
    }

    /// Hands over to the writer and waits for the commit. What the writer does not say in time is a 503: should the
    /// delivery be stored after all, its retry is a duplicate.
    async fn store(&self, delivery: Delivery, reading: Reading, mut line: Line) -> Reply {
        let (tell, told) = oneshot::channel();
        let reply = Box::new(move |outcome| {
            // Nobody listens any more if the connection is gone.
            let _ = tell.send(outcome);
        });
        let reply = if self.shared.ledger.append(delivery, reading, reply).is_err() {
            tracing::warn!("a webhook was not taken: the queue is full");
            Reply::Busy
        } else {
            match timeout(self.live.limits.stall_timeout, told).await {
                Ok(Ok(Ok(ack))) => Reply::Kept(ack.outcome, ack.seq),
                Ok(Ok(Err(error))) => {
                    tracing::error!(
                        "a webhook was not stored: {}",
                        Printable::line(&error.to_string())
                    );
                    Reply::Busy
                }
                Ok(Err(_)) => Reply::Busy,
                Err(_) => {
                    tracing::error!("a webhook was not stored in time: the writer is stalled");
                    Reply::Busy
                }
            }
        };
        line.outcome = Some(reply);
        if let Reply::Kept(_, seq) = reply {
            self.link.answered(seq);
        }
        reply
    }

    /// Counts a failure against its address: kept in the ring and answered as it is, or too many of them and told to
    /// wait. What cannot be judged without its whole body keeps its own answer.
    fn fail(
        &self,
        reply: Reply,
        provider: &'static str,
        hook: &str,
        turned_away: Option<TurnedAway>,
    ) -> Reply {
        let limits = self.live.limits;
        let is_allowed = self.shared.flood.allows(
            self.caller,
            Instant::now(),
            limits.failures_burst,
            limits.failures_per_s,
        );
        let reason = turned_away.as_ref().map(|it| it.reason.as_str());
        let counted = if is_allowed { reply } else { Reply::Flood };
        self.shared.counters.turned_away(provider, counted, reason);
        if !is_allowed {
            self.shared.counters.unkept();
            let now = self.shared.clock.now();
            self.shared.ledger.lose(now, provider, FLOOD_REASON);
            let is_judged = matches!(
                reply,
                Reply::Unauthorized | Reply::NotFound | Reply::WrongMethod { .. }
            );
            return self.count(provider, if is_judged { Reply::Flood } else { reply });
        }
        if let Some(turned_away) = turned_away {
            tracing::info!(provider, outcome = reply.word(), "turned away");
            self.shared
                .ledger
                .reject(self.rejected(provider, hook, turned_away));
        }
        self.count(provider, reply)
    }

    fn rejected(&self, provider: &str, hook: &str, turned_away: TurnedAway) -> Rejected {
        let body = turned_away.body.as_ref();
        let sha256 = body.map(|body| hex(&Sha256::digest(body)));
        Rejected {
            received_at: self.shared.clock.now(),
            provider: provider.to_owned(),
            hook: hook.to_owned(),
            path: turned_away.path,
            reason: turned_away.reason,
            remote_ip: self.caller.to_string(),
            method: self.parts.method.to_string(),
            headers: self.live.doors.kept_headers(provider, &self.headers()),
            body: turned_away.body,
            body_bytes: turned_away.body_bytes,
            sha256,
        }
    }

    fn count(&self, provider: &str, reply: Reply) -> Reply {
        self.shared.counters.answered(provider, reply);
        reply
    }

    fn finish(&self, reply: Reply) -> Response<Body> {
        let is_draining = self.link.is_draining.load(Ordering::Relaxed);
        reply.response(is_draining || self.has_body)
    }
}

/// What `read` makes of a delivery; a reader that panics has met something it does not understand, and the delivery
/// is kept all the same.
fn read_or_quarantine(delivery: &Delivery, read: impl Fn(&Delivery) -> Reading) -> Reading {
    catch_unwind(AssertUnwindSafe(|| read(delivery))).unwrap_or_else(|_| {
        Reading::unreadable(
            "",
            "subledger stumbled over this body: that is a bug of ours, please report it",
        )
    })
}

/// The one log line of a delivery, written when it is dropped, so that a sender that hangs up has one too.
struct Line {
    shared: Arc<Shared>,
    provider: &'static str,
    label: Printable,
    began: Instant,
    /// `None` until answered.
    outcome: Option<Reply>,
}

impl Line {
    fn new(shared: &Arc<Shared>, provider: &'static str, label: &str, began: Instant) -> Self {
        Self {
            shared: Arc::clone(shared),
            provider,
            label: Printable::line(logged(label)).cut(LABEL_CELLS_MAX),
            began,
            outcome: None,
        }
    }
}

/// A provider's own name for an event, if it is the kind of word that such a name is: a sender can write anything
/// there, a reader's address too.
fn logged(label: &str) -> &str {
    let is_name = label
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
        && label.bytes().filter(u8::is_ascii_digit).count() <= LABEL_DIGITS_MAX;
    if is_name { label } else { "(not a name)" }
}

impl Drop for Line {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        if let Some(reply) = self.outcome {
            self.shared.counters.answered(self.provider, reply);
            self.shared.counters.took(took);
        }
        tracing::info!(
            provider = self.provider,
            label = %self.label,
            outcome = self.outcome.map_or("hung_up", Reply::word),
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "webhook"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::{Content, Origin, ProviderId};
    use crate::domain::time::Timestamp;

    #[test]
    fn only_names_of_events_are_logged() {
        for name in [
            "",
            "user.app.consent.create",
            "SubscriberUpdate/cancel",
            "meter_banner.click",
        ] {
            assert_eq!(logged(name), name);
        }
        for name in ["a@b.example", "905555555555", "two words", "\u{1b}[2J"] {
            assert_eq!(logged(name), "(not a name)");
        }
    }

    #[test]
    fn a_reader_that_panics_quarantines() {
        let delivery = Delivery {
            provider: ProviderId::known("zotlo"),
            account: "main".to_owned(),
            hook: "events".to_owned(),
            received_at: Timestamp::from_ms(0),
            headers: Vec::new(),
            body: Vec::new(),
            credential: "path_key".to_owned(),
            identity_proof: None,
            remote_ip: "127.0.0.1".to_owned(),
            origin: Origin::Live,
            test: false,
        };
        let reading = read_or_quarantine(&delivery, |_| panic!("an odd body"));
        assert!(matches!(reading.content, Content::Unreadable(why) if why.contains("bug")));
    }
}
