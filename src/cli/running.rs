//! Whether a receiver runs on this database, and how to speak to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::links::near;
use crate::cli::service::systemd::{self, Scope};
use crate::store;
use crate::store::lock::{Holder, holder, is_open_in};
use crate::store::task::{Task, submit};

/// So long `/livez` may take.
const LIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// So often is looked again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A receiver that runs on this database.
#[derive(Clone, Debug)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Since when, as stored.
    pub started_at: String,
}

/// Who keeps a receiver running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// systemd, which starts it again.
    Service(Scope),
    /// Nobody: a process without a terminal.
    Background,
    /// Whoever typed `subledger serve`.
    Hand,
}

impl Keeper {
    /// For scripts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Service(Scope::User) => "service",
            Self::Service(Scope::System) => "system-service",
            Self::Background => "background",
            Self::Hand => "hand",
        }
    }

    /// For people.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Service(Scope::User) => {
                "as a service of this user: subledger service status tells more"
            }
            Self::Service(Scope::System) => {
                "as the machine's service: subledger service status --system tells more"
            }
            Self::Background => {
                "in the background: it does not start with the machine; subledger service install"
            }
            Self::Hand => {
                "started by hand: it does not start with the machine; subledger service install"
            }
        }
    }
}

/// Who keeps the receiver of process `pid` running.
pub fn keeper(pid: u32) -> Keeper {
    if let Some((scope, _)) = systemd::keeper(pid) {
        return Keeper::Service(scope);
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A receiver that a screen started leads a session of its own.
    if session(&stat) == Some(pid) {
        Keeper::Background
    } else {
        Keeper::Hand
    }
}

/// The session of a process, of its `/proc/PID/stat`. It is 0, and nothing that getsid(2) may give, where the
/// session began outside this container.
fn session(stat: &str) -> Option<u32> {
    // The name before it may hold blanks and brackets.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(3)?.parse().ok()
}

/// The receiver that runs on the database at `path`, if one does.
pub fn receiver(path: &Path) -> Option<Running> {
    of(&holder(path)?)
}

fn of(holder: &Holder) -> Option<Running> {
    Some(Running {
        pid: holder.pid,
        listen: holder.listen.parse().ok()?,
        started_at: holder.started_at.clone(),
    })
}

/// Where the receiver listens, else where it is told to.
pub fn listen(context: &Context) -> SocketAddr {
    receiver(&context.database).map_or(context.listen(), |running| running.listen)
}

/// Whether a subledger answers at `listen`.
pub fn is_live(listen: SocketAddr) -> bool {
    live(near(listen)).unwrap_or(false)
}

fn live(address: SocketAddr) -> std::io::Result<bool> {
    get(address, "/livez")
}

/// Whether the receiver at `listen` takes the link that ends in `tail`. It is not counted as tried.
pub fn takes(listen: SocketAddr, tail: &str) -> bool {
    get(near(listen), tail).unwrap_or(false)
}

/// Whether a GET is answered with 200.
fn get(address: SocketAddr, path: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, LIVE_TIMEOUT)?;
    stream.set_read_timeout(Some(LIVE_TIMEOUT))?;
    stream.set_write_timeout(Some(LIVE_TIMEOUT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nsubledger-test: 1\r\nconnection: close\r\n\r\n"
    )?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    Ok(start.ends_with(b" 200"))
}

/// Looks until `wanted` gives something, at most for `limit`.
pub fn wait<T>(limit: Duration, mut wanted: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = wanted() {
            return Some(found);
        }
        if started.elapsed() > limit {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Tells the receiver on `database` to stop, in the name of `running` or of whoever holds the lock there.
///
/// What the lock file says is not believed: after a crash, or from within a container, its number may be that of a
/// process that has nothing to do with it. Only one that has the lock open is signalled; else the holder is asked.
pub fn ask_to_stop(database: &Path, running: Option<&Running>) -> Result<()> {
    let pid = running.map(|running| running.pid);
    let holds = pid.and_then(|pid| is_open_in(database, pid));
    if let (Some(pid), Some(true)) = (pid, holds) {
        return terminate(pid);
    }
    let gone = || Err(store::Error::Refused("it has just gone".to_owned()));
    match (submit(database, Task::Stop, gone), pid) {
        (Ok(_), _) => Ok(()),
        // It does not answer, and nothing says that the number is another's.
        (Err(store::Error::Locked { .. }), Some(pid)) if holds.is_none() => terminate(pid),
        (Err(store::Error::Locked { .. }), _) => Err(Failure::unreachable(format!(
            "the lock of {} is held by a process that does not answer, and the lock file does not name it: nothing was \
             stopped",
            database.display()
        ))
        .into()),
        (Err(error), _) => Err(error.into()),
    }
}

fn terminate(pid: u32) -> Result<()> {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(process) = raw else {
        return Err(Failure::unreachable("the lock file names no process").into());
    };
    kill_process(process, Signal::TERM).map_err(|error| {
        Failure::unreachable(format!("cannot reach process {pid}: {error}")).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_when_there_is_nothing_to_come() {
        let mut looks = 0;
        let found = wait(Duration::from_secs(5), || {
            looks += 1;
            (looks == 2).then_some(looks)
        });
        assert_eq!(found, Some(2));
        assert_eq!(wait(Duration::ZERO, || None::<()>), None);
    }

    #[test]
    fn the_session_is_read_after_the_name() {
        assert_eq!(session("42 (a) b) (c)) S 7 42 41 0 -1"), Some(41));
        assert_eq!(session("1 (subledger) S 0 1 0 0 -1"), Some(0));
        assert_eq!(session(""), None);
        let own = std::process::id();
        let stat = std::fs::read_to_string(format!("/proc/{own}/stat")).unwrap();
        assert!(session(&stat).is_some());
    }

    #[test]
    fn nobody_answers_on_a_closed_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(!is_live(address));
    }
}
