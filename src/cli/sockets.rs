//! The sockets that the receiver listens on: passed by whoever started it, else opened here.
//!
//! Passed sockets (`LISTEN_FDS`) stay open while the receiver starts again: connections queue there and none is refused.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, Result};
use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::running;

/// What the receiver listens on.
pub struct Sockets {
    /// At least one.
    pub listeners: Vec<TcpListener>,
    /// They were passed.
    pub passed: bool,
}

impl Sockets {
    /// Takes those that were passed, and the variables that said so; none is no failure. Before any thread starts.
    pub fn passed() -> Result<Option<Self>> {
        let mut passed = ListenFd::from_env();
        if passed.len() == 0 {
            return Ok(None);
        }
        let mut listeners = Vec::with_capacity(passed.len());
        for place in 0..passed.len() {
            let wrong = |why: &str| {
                Failure::usage(format!(
                    "socket {place} that was passed {why}: only sockets of ListenStream=ADDRESS:PORT will do, \
                     without Accept=yes"
                ))
            };
            let listener = passed
                .take_tcp_listener(place)
                .ok()
                .flatten()
                .ok_or_else(|| wrong("is no TCP socket"))?;
            if !socket_acceptconn(&listener).unwrap_or(false) {
                return Err(wrong("does not listen").into());
            }
            listeners.push(listener);
        }
        Ok(Some(Self {
            listeners,
            passed: true,
        }))
    }

    /// Opens the one of the settings.
    pub fn open(context: &Context) -> Result<Self> {
        let listen = context.listen();
        let listener = TcpListener::bind(listen)
            .map_err(|error| cannot_listen(&context.database, listen, &error))?;
        Ok(Self {
            listeners: vec![listener],
            passed: false,
        })
    }

    /// Their addresses; at least one.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>> {
        self.listeners
            .iter()
            .map(|listener| listener.local_addr().context("the port has no address"))
            .collect()
    }
}

fn cannot_listen(database: &Path, listen: SocketAddr, error: &io::Error) -> Failure {
    let port = listen.port();
    if error.kind() != io::ErrorKind::AddrInUse {
        return Failure::unreachable(format!(
            "cannot listen on {listen}: {error}; choose another with `subledger config set receiver.listen ADDRESS:PORT`"
        ));
    }
    match running::receiver(database) {
        Some(running) => Failure::unreachable(format!(
            "a receiver runs on {} already: process {} on {}; `subledger stop` ends it",
            database.display(),
            running.pid,
            running.listen
        )),
        None => Failure::unreachable(format!(
            "port {port} is in use by another program: stop that, or choose another with \
             `subledger config set receiver.listen {}:{}`",
            listen.ip(),
            port.checked_add(1).unwrap_or(8484)
        )),
    }
}
