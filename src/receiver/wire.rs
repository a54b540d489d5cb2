//! One connection's bytes, between the socket and hyper: framing judged, deadlines kept, answers confirmed.
//!
//! What is wrong on the wire is not answered here: hyper is fed a request of our own in its place, so that the answer
//! takes its turn behind those to earlier requests and is written like any other.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use crate::receiver::framing::{Fault, HeadLimits, Parser, Step};
use crate::receiver::hex;
use crate::receiver::limits::Limits;

/// Bytes read from the socket at a time.
const READ_BYTES: usize = 8 << 10;
/// Bytes swallowed after the answer, at most.
const LINGER_BYTES_MAX: usize = 16 << 20;

/// The header by which a fault is told to the router.
const FAULT_HEADER: HeaderName = HeaderName::from_static("subledger-fault");

/// A word that nobody outside this process knows: it makes the requests that stand for faults.
#[derive(Clone)]
pub(crate) struct Nonce(Arc<str>);

impl Nonce {
    /// A fresh one; the error is the system's, when it has no random bytes.
    pub(crate) fn random() -> io::Result<Self> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(hex(&bytes).into()))
    }

    fn request(&self, fault: Fault) -> Bytes {
        let word = match fault {
            Fault::Malformed => "malformed",
            Fault::TooLarge => "too-large",
            Fault::TooSlow => "too-slow",
        };
        let nonce = &self.0;
        format!(
            "GET / HTTP/1.1\r\nhost: localhost\r\n{FAULT_HEADER}: {nonce}:{word}\r\nconnection: close\r\n\r\n"
        )
        .into()
    }

    /// The fault that a request stands for, if it is one of ours.
    pub(crate) fn fault(&self, headers: &HeaderMap) -> Option<Fault> {
        let value = headers.get(FAULT_HEADER)?.to_str().ok()?;
        match value.strip_prefix(&*self.0)? {
            ":malformed" => Some(Fault::Malformed),
            ":too-large" => Some(Fault::TooLarge),
            ":too-slow" => Some(Fault::TooSlow),
            _ => None,
        }
    }
}

/// What a connection, its requests and the accept loop tell each other.
pub(crate) struct Link {
    /// The other end.
    pub(crate) peer: std::net::IpAddr,
    /// Set when the receiver is stopping: what has begun is finished, nothing else is begun.
    pub(crate) is_draining: AtomicBool,
    /// Told when this connection must make room for another.
    pub(crate) evicted: Notify,
    waiting_since: Mutex<Option<Instant>>,
    answered: Mutex<Vec<i64>>,
}

impl Link {
    /// A connection from `peer` that nothing is known of yet.
    pub(crate) fn new(peer: std::net::IpAddr) -> Self {
        Self {
            peer,
            is_draining: AtomicBool::new(false),
            evicted: Notify::new(),
            waiting_since: Mutex::new(Some(Instant::now())),
            answered: Mutex::new(Vec::new()),
        }
    }

    /// Since when nothing right has come from here; `None` while an authentic delivery is being stored and answered.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        *self
            .waiting_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// From here to its answer this connection is not closed to make room.
    pub(crate) fn protect(&self) {
        *self
            .waiting_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A request begins, its answer is out, or it failed: the wait begins anew.
    pub(crate) fn release(&self) {
        *self
            .waiting_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The 200 for `seq` is about to be written: its confirmation waits for the flush. To be called in the same poll
    /// that gives hyper the answer.
    pub(crate) fn answered(&self, seq: i64) {
        self.answered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(seq);
    }

    fn take_answered(&self) -> Vec<i64> {
        std::mem::take(&mut *self.answered.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is called with a delivery's seq when its 200 was written out and the sender was still there.
pub(crate) type Confirm = Box<dyn Fn(i64) + Send>;

/// The stream that hyper sees.
pub(crate) struct Wire {
    io: TcpStream,
    link: Arc<Link>,
    nonce: Nonce,
    confirm: Confirm,
    parser: Parser,
    limits: Limits,
    /// From the socket, the first `passed` bytes judged.
    inbox: Vec<u8>,
    passed: usize,
    /// A request of our own, after what has passed.
    fault: Bytes,
    /// Whether nothing more is read for hyper.
    is_ended: bool,
    /// Whether the other end has closed its side.
    is_eof: bool,
    wait: Wait,
    deadline: Pin<Box<Sleep>>,
    /// Set while the other end does not take what is written.
    stuck: Option<Pin<Box<Sleep>>>,
    linger: Option<Linger>,
}

/// What the deadline is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// The first head of a connection, from its being accepted.
    First,
    /// A further head, no byte of it here yet.
    Idle,
    /// The rest of a head, from its first byte.
    Head,
    /// The first byte of a head, while stopping.
    Drain,
    /// Nothing: bodies have their deadline in the handler.
    Body,
}

struct Linger {
    until: Pin<Box<Sleep>>,
    swallowed: usize,
}

impl Wire {
    /// A connection just accepted.
    pub(crate) fn new(
        io: TcpStream,
        link: Arc<Link>,
        nonce: Nonce,
        limits: Limits,
        confirm: Confirm,
    ) -> Self {
        let parser = Parser::new(HeadLimits {
            bytes_max: limits.header_bytes_max,
            lines_max: limits.headers_max,
        });
        Self {
            io,
            link,
            nonce,
            confirm,
            parser,
            inbox: Vec::new(),
            passed: 0,
            fault: Bytes::new(),
            is_ended: false,
            is_eof: false,
            wait: Wait::First,
            deadline: Box::pin(tokio::time::sleep(limits.header_timeout)),
            stuck: None,
            linger: None,
            limits,
        }
    }

    /// Judges what is in the inbox; `None` if more must be read first.
    fn judge(&mut self, in_head: bool) -> Option<io::Result<()>> {
        match self.parser.step(&self.inbox) {
            Step::Pass(n) => self.passed = n,
            Step::Skip(n) => drop(self.inbox.drain(..n)),
            Step::More => return None,
            Step::Broken(fault) if !in_head => {
                self.is_ended = true;
                return Some(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("framing of a body: {fault:?}"),
                )));
            }
            Step::Broken(fault) => self.end_with(fault),
        }
        if self.passed > 0 {
            self.wait = Wait::Body;
            if in_head {
                // A whole head has come: from here on it is the body that is waited for.
                self.link.release();
            }
        }
        Some(Ok(()))
    }

    fn end_with(&mut self, fault: Fault) {
        self.fault = self.nonce.request(fault);
        self.is_ended = true;
    }

    /// Sets the deadline that fits what is waited for.
    fn await_head(&mut self) {
        let is_begun = !self.inbox.is_empty();
        let is_draining = self.link.is_draining.load(Ordering::Relaxed);
        let (wait, timeout) = match self.wait {
            Wait::First | Wait::Idle | Wait::Body if is_draining && !is_begun => {
                (Wait::Drain, self.limits.drain_grace)
            }
            Wait::Idle | Wait::Drain | Wait::Body if is_begun => {
                (Wait::Head, self.limits.header_timeout)
            }
            Wait::Body => (Wait::Idle, self.limits.idle_timeout),
            Wait::First | Wait::Idle | Wait::Head | Wait::Drain => return,
        };
        self.wait = wait;
        self.reset_deadline(timeout);
    }

    fn reset_deadline(&mut self, timeout: Duration) {
        self.deadline.as_mut().reset(Instant::now() + timeout);
    }

    /// Reads from the socket into the inbox; 0 is the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let len = self.inbox.len();
        self.inbox.resize(len + READ_BYTES, 0);
        let mut buf = ReadBuf::new(&mut self.inbox[len..]);
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut buf);
        let read = buf.filled().len();
        self.inbox.truncate(len + read);
        ready!(polled)?;
        self.is_eof |= read == 0;
        Poll::Ready(Ok(read))
    }

    /// Nothing can be read now: has the wait for a head been too long?
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.wait == Wait::Body {
            return Poll::Pending;
        }
        ready!(self.deadline.as_mut().poll(cx));
        match self.wait {
            Wait::First | Wait::Head => self.end_with(Fault::TooSlow),
            Wait::Idle | Wait::Drain | Wait::Body => self.is_ended = true,
        }
        Poll::Ready(())
    }

    /// Gives hyper what has passed, then what stands for a fault.
    fn hand_over(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if self.passed > 0 {
            let n = self.passed.min(buf.remaining());
            buf.put_slice(&self.inbox[..n]);
            self.inbox.drain(..n);
            self.passed -= n;
            if self.inbox.is_empty() {
                self.inbox.shrink_to(READ_BYTES);
            }
            return true;
        }
        if !self.fault.is_empty() {
            let n = self.fault.len().min(buf.remaining());
            buf.put_slice(&self.fault.split_to(n));
            return true;
        }
        self.is_ended
    }

    /// Everything written so far is with the system: confirms the answers among it, unless the other end is gone.
    fn settle(&mut self, cx: &mut Context<'_>) {
        let answered = self.link.take_answered();
        if answered.is_empty() {
            return;
        }
        self.link.release();
        if self.inbox.is_empty() && !self.is_eof {
            self.inbox.resize(READ_BYTES, 0);
            let read = self.io.try_read(&mut self.inbox);
            self.inbox.truncate(*read.as_ref().unwrap_or(&0));
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(n) if n > 0 => cx.waker().wake_by_ref(),
                Ok(_) | Err(_) => {
                    self.is_eof = true;
                    cx.waker().wake_by_ref();
                }
            }
        }
        if !self.is_eof {
            for seq in answered {
                (self.confirm)(seq);
            }
        }
    }

    /// Reads on for a moment after the last answer: closing on unread bytes would reset the connection, and the other
    /// end might never see the answer.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limits = self.limits;
        let linger = self.linger.get_or_insert_with(|| Linger {
            until: Box::pin(tokio::time::sleep(limits.linger)),
            swallowed: 0,
        });
        self.inbox.resize(READ_BYTES, 0);
        while !self.is_eof && linger.swallowed < LINGER_BYTES_MAX {
            if linger.until.as_mut().poll(cx).is_ready() {
                break;
            }
            let mut buf = ReadBuf::new(&mut self.inbox);
            let Ok(()) = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf)) else {
                break;
            };
            linger.swallowed += buf.filled().len();
            self.is_eof = buf.filled().is_empty();
        }
        Poll::Ready(())
    }

    /// Nothing could be written now: for too long already?
    fn poll_stuck(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let timeout = self.limits.write_timeout;
        let stuck = self
            .stuck
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        loop {
            if wire.hand_over(buf) {
                return Poll::Ready(Ok(()));
            }
            // A body may have ended with the bytes just handed over.
            let in_head = wire.parser.in_head();
            if let Some(judged) = wire.judge(in_head) {
                judged?;
                continue;
            }
            if in_head {
                wire.await_head();
            }
            match wire.poll_fill(cx)? {
                Poll::Ready(0) if in_head && !wire.inbox.is_empty() => {
                    wire.end_with(Fault::Malformed);
                }
                Poll::Ready(0) => wire.is_ended = true,
                Poll::Ready(_) => {}
                Poll::Pending => ready!(wire.poll_deadline(cx)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wire = &mut *self;
        match Pin::new(&mut wire.io).poll_write(cx, buf) {
            Poll::Pending => wire.poll_stuck(cx).map(Err),
            written @ Poll::Ready(_) => written,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = &mut *self;
        match Pin::new(&mut wire.io).poll_write_vectored(cx, bufs) {
            Poll::Pending => wire.poll_stuck(cx).map(Err),
            written @ Poll::Ready(_) => written,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper flushes only when its own buffer is empty, so all that was answered is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        ready!(Pin::new(&mut wire.io).poll_flush(cx))?;
        wire.stuck = None;
        wire.settle(cx);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        if wire.linger.is_none() {
            ready!(Pin::new(&mut wire.io).poll_shutdown(cx))?;
        }
        ready!(wire.poll_linger(cx));
        Poll::Ready(Ok(()))
    }
}
