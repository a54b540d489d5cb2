//! Where connections come in: one address or several, opened by us or passed by whoever started us.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

use tokio::net::{TcpListener, TcpStream};

/// What the system queues is taken up to so many when the sockets are closed.
const QUEUED_MAX: usize = 4_096;

/// Sockets that are listened on; each has its turn.
pub struct Listeners {
    sockets: Vec<TcpListener>,
    passed: bool,
    next: usize,
}

impl From<TcpListener> for Listeners {
    fn from(listener: TcpListener) -> Self {
        Self {
            sockets: vec![listener],
            passed: false,
            next: 0,
        }
    }
}

impl Listeners {
    /// `sockets`, within the runtime that is to serve them. `passed`: somebody else holds them open, too. The error is
    /// that of a socket that cannot be waited for.
    pub fn new(sockets: Vec<std::net::TcpListener>, passed: bool) -> io::Result<Self> {
        let own = |socket: std::net::TcpListener| {
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket)
        };
        Ok(Self {
            sockets: sockets.into_iter().map(own).collect::<io::Result<_>>()?,
            passed,
            next: 0,
        })
    }

    /// Whether they stay open when this is dropped.
    pub(crate) fn outlive_us(&self) -> bool {
        self.passed
    }

    /// The next connection of any of them. Nothing is lost if this is dropped unfinished.
    pub(crate) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| {
            let count = self.sockets.len();
            for turn in 0..count {
                let place = (self.next + turn) % count;
                if let Poll::Ready(accepted) = self.sockets[place].poll_accept(cx) {
                    self.next = (place + 1) % count;
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Closes the sockets and hands over what queued at them to the last: the system itself is asked, as the runtime may
    /// not have heard yet of what came a moment ago.
    pub(crate) fn close(self) -> Vec<(TcpStream, SocketAddr)> {
        let mut queued = Vec::new();
        for socket in self.sockets {
            let Ok(socket) = socket.into_std() else {
                continue;
            };
            while queued.len() < QUEUED_MAX
                && let Ok((stream, peer)) = socket.accept()
            {
                if stream.set_nonblocking(true).is_ok()
                    && let Ok(stream) = TcpStream::from_std(stream)
                {
                    queued.push((stream, peer));
                }
            }
        }
        queued
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_address_does_not_keep_the_others_waiting() {
        let sockets: Vec<_> = (0..3)
            .map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let addresses: Vec<_> = sockets
            .iter()
            .map(|socket| socket.local_addr().unwrap())
            .collect();
        let mut listeners = Listeners::new(sockets, true).unwrap();
        let mut held = Vec::new();
        for address in [0, 0, 0, 2, 1, 0].map(|place| addresses[place]) {
            held.push(std::net::TcpStream::connect(address).unwrap());
        }
        let mut seen = Vec::new();
        for _ in 0..held.len() {
            let (stream, _) = listeners.accept().await.unwrap();
            seen.push(stream.local_addr().unwrap());
        }
        for address in &addresses[1..] {
            let place = seen.iter().position(|it| it == address).unwrap();
            assert!(place < 4, "{seen:?}");
        }
        assert!(listeners.outlive_us());
    }
}
