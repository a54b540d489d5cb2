//! What is told to whoever started the receiver and waits for word of it: systemd's notify protocol. Without
//! `NOTIFY_SOCKET` nothing is told, to nobody.
//!
//! A thread of its own tells it, so that a listener that does not listen keeps nothing waiting.

use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::cli::running;
use crate::domain::count::in_words;
use crate::domain::printable::Printable;
use crate::receiver;
use crate::store::writer::{Health, Writer};

/// So often it is looked whether the first commit has succeeded.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// So often the line about the receiver is looked at, at most.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// So long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// So many signs of life in the time after which one is missed.
const SIGNS: u32 = 4;

/// How the line begins after a start that failed.
pub const DID_NOT_START: &str = "did not start: ";

/// The variables by which systemd speaks to the process that it starts, and to no other.
const VARIABLES: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];

/// The receiver did not start: whoever asks systemd hears why.
pub fn failed(error: &anyhow::Error) {
    let says = Printable::line(&format!("{DID_NOT_START}{error:#}")).to_string();
    // What is wrong comes on stderr, too.
    sd_notify::notify(&[NotifyState::Status(&says)]).ok();
}

/// Keeps from a child of the receiver what was meant for the receiver alone.
pub fn keep_from(child: &mut Command) {
    for name in VARIABLES {
        child.env_remove(name);
    }
}

enum News {
    Reloading,
    Reloaded,
    Stopping,
    Over,
}

/// Tells how the receiver is, until its end.
pub struct Teller {
    news: Option<Sender<News>>,
    thread: Option<JoinHandle<()>>,
}

/// A way to tell of reloads and of the end.
#[derive(Clone)]
pub struct Notice(Option<Sender<News>>);

impl Notice {
    /// The settings are being read again.
    pub fn reloading(&self) {
        self.send(News::Reloading);
    }

    /// They were read, taken or not.
    pub fn reloaded(&self) {
        self.send(News::Reloaded);
    }

    /// No new connection is taken.
    pub fn stopping(&self) {
        self.send(News::Stopping);
    }

    fn send(&self, news: News) {
        if let Some(to) = &self.0 {
            // A thread that has ended has nobody to tell.
            to.send(news).ok();
        }
    }
}

impl Teller {
    /// Begins: ready is told when the first commit has succeeded, so this is called when the port is open.
    pub fn start(writer: Writer) -> Self {
        let nobody = Self {
            news: None,
            thread: None,
        };
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return nobody;
        }
        let (news, heard) = channel();
        let telling = Telling {
            writer,
            heard,
            watchdog: sd_notify::watchdog_enabled(),
            is_ready: false,
            said: String::new(),
            failed: false,
        };
        let thread = std::thread::Builder::new()
            .name("notify".to_owned())
            .spawn(move || telling.live());
        match thread {
            Ok(thread) => Self {
                news: Some(news),
                thread: Some(thread),
            },
            Err(error) => {
                tracing::error!("systemd hears nothing of this receiver: {error}");
                nobody
            }
        }
    }

    /// For telling it more.
    pub fn notice(&self) -> Notice {
        Notice(self.news.clone())
    }

    /// Waits until everything was told, but not long: a listener that does not listen delays no end.
    pub fn end(self) {
        self.notice().send(News::Over);
        if let Some(thread) = self.thread {
            running::wait(LAST_WORDS, || thread.is_finished().then_some(()));
        }
    }
}

struct Telling {
    writer: Writer,
    heard: Receiver<News>,
    /// After so long without a sign of life the receiver is started again; `None`: nobody looks.
    watchdog: Option<Duration>,
    is_ready: bool,
    said: String,
    failed: bool,
}

impl Telling {
    fn live(mut self) {
        let signs = self.watchdog.map(|patience| patience / SIGNS);
        let every = signs.map_or(TELL_EVERY, |signs| signs.min(TELL_EVERY));
        loop {
            let pause = if self.is_ready { every } else { LOOK_EVERY };
            match self.heard.recv_timeout(pause) {
                Ok(News::Over) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(news) => self.pass_on(&news),
                Err(RecvTimeoutError::Timeout) => self.look(),
            }
        }
    }

    fn pass_on(&mut self, news: &News) {
        match news {
            News::Reloading => match NotifyState::monotonic_usec_now() {
                Ok(now) => self.tell(&[NotifyState::Reloading, now]),
                Err(_) => self.tell(&[NotifyState::Reloading]),
            },
            // Before it is ready there is nothing to be ready again for.
            News::Reloaded if self.is_ready => self.tell(&[NotifyState::Ready]),
            News::Reloaded | News::Over => {}
            News::Stopping => {
                let says = NotifyState::Status("answering what was accepted, then stopping");
                self.tell(&[NotifyState::Stopping, says]);
            }
        }
    }

    fn look(&mut self) {
        let is_ready = receiver::is_ready(&self.writer);
        if is_ready && !self.is_ready {
            self.is_ready = true;
            self.tell(&[NotifyState::Ready]);
        }
        // What restarts a receiver that cannot commit is the silence.
        if is_ready && self.watchdog.is_some() {
            self.tell(&[NotifyState::Watchdog]);
        }
        let says = line(&self.writer.health());
        if says != self.said && (self.is_ready || says.starts_with(CANNOT)) {
            self.tell(&[NotifyState::Status(&says)]);
            self.said = says;
        }
    }

    fn tell(&mut self, what: &[NotifyState<'_>]) {
        let told = sd_notify::notify(what);
        // Once is enough: it would be said every few seconds.
        if let Err(error) = &told
            && !self.failed
        {
            tracing::warn!("systemd cannot be told how this receiver is: {error}");
        }
        self.failed = told.is_err();
    }
}

/// How the line begins while nothing can be stored.
const CANNOT: &str = "the ledger cannot be written";

/// The receiver in one line.
fn line(health: &Health) -> String {
    if let Some(why) = &health.failing {
        return format!("{CANNOT}: {}", Printable::line(why));
    }
    let kept = in_words(health.last_seq, "delivery kept", "deliveries kept");
    match health.last_seq.saturating_sub(health.folded_seq) {
        behind if behind > 0 => format!("{kept}, catching up {behind}"),
        _ => kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(last_seq: i64, folded_seq: i64, failing: Option<&str>) -> Health {
        Health {
            last_commit_at: None,
            probe_age: Duration::ZERO,
            queued: 0,
            last_seq,
            folded_seq,
            failing: failing.map(str::to_owned),
            wal_bytes: 0,
            commits: 0,
        }
    }

    #[test]
    fn the_line_says_how_many_are_kept_and_what_is_wrong() {
        assert_eq!(line(&health(7, 7, None)), "7 deliveries kept");
        let behind = line(&health(7, 4, None));
        assert_eq!(behind, "7 deliveries kept, catching up 3");
        let full = line(&health(7, 7, Some("disk\nfull")));
        assert!(full.starts_with(CANNOT) && !full.contains('\n'), "{full}");
    }

    #[test]
    fn a_child_of_the_receiver_does_not_speak_for_it() {
        let mut child = Command::new("true");
        keep_from(&mut child);
        assert_eq!(child.get_envs().count(), VARIABLES.len());
        assert!(child.get_envs().all(|(_, value)| value.is_none()));
    }
}
