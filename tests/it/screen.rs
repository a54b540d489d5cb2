//! The built binary in a pseudo-terminal: start, filter, open, resize, leave, hang up, and a forced panic.

use std::io::{Read as _, Write};
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::support::{Home, PATIENCE};

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}

/// A terminal with the binary in it.
pub(crate) struct Terminal {
    pub(crate) master: Option<Box<dyn MasterPty + Send>>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    unwanted: Arc<AtomicBool>,
}

impl Terminal {
    pub(crate) fn start(home: &Home, args: &[&str], more: &[(&str, &str)]) -> Self {
        let size = PtySize {
            rows: 24,
            cols: 80,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_subledger"));
        command.args(args);
        command.env_clear();
        command.cwd(home.path());
        for (key, value) in home.command(&[]).get_envs() {
            command.env(key, value.unwrap_or_default());
        }
        for (key, value) in more {
            command.env(key, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(24), cells(80), 0)));
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let keys = pair.master.take_writer().unwrap();
        let unwanted = Arc::new(AtomicBool::new(false));
        let reader = {
            let (screen, bytes) = (Arc::clone(&screen), Arc::clone(&bytes));
            let unwanted = Arc::clone(&unwanted);
            std::thread::spawn(move || {
                let mut chunk = [0_u8; 4096];
                while let Ok(read) = reader.read(&mut chunk) {
                    if read == 0 || unwanted.load(Ordering::SeqCst) {
                        break;
                    }
                    screen.lock().unwrap().process(&chunk[..read]);
                    bytes.lock().unwrap().extend_from_slice(&chunk[..read]);
                }
            })
        };
        Self {
            reader: Some(reader),
            unwanted,
            master: Some(pair.master),
            keys,
            child,
            screen,
            bytes,
        }
    }

    /// Everything that was written to it so far.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    pub(crate) fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until the screen shows `words`.
    pub(crate) fn wait_for(&self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.text().contains(words) {
            assert!(
                Instant::now() < deadline,
                "{words:?} never came up:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn resize(&self, rows: u16, cols: u16) {
        self.screen
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(cells(rows), cells(cols));
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        self.master.as_ref().unwrap().resize(size).unwrap();
    }

    /// Closes what is open and the screen, a key at a time: two that are read together are one key with Alt.
    pub(crate) fn leave(&mut self) {
        for keys in ["\x1b", "q", "\x1b", "q", "\x1b", "q"] {
            // It may have ended with the key before.
            let _ = self.keys.write_all(keys.as_bytes());
            let _ = self.keys.flush();
            std::thread::sleep(Duration::from_millis(300));
            if self.child.try_wait().unwrap().is_some() {
                return;
            }
        }
    }

    pub(crate) fn wait(&mut self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(
                Instant::now() < deadline,
                "it does not end:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Closes the terminal as a lost connection does: no handle on it is left.
    fn hang_up(&mut self) {
        self.unwanted.store(true, Ordering::SeqCst);
        // The reader holds a handle while it waits: what the screen writes next wakes it.
        self.press("\x0c");
        self.reader.take().unwrap().join().unwrap();
        self.keys = Box::new(std::io::sink());
        drop(self.master.take());
    }

    /// Whether everything that was switched on was switched off again.
    fn is_restored(&self) -> bool {
        let bytes = String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned();
        let last = |on: &str, off: &str| bytes.rfind(off) > bytes.rfind(on);
        last("\x1b[?1049h", "\x1b[?1049l")
            && last("\x1b[?2004h", "\x1b[?2004l")
            && last("\x1b[?25l", "\x1b[?25h")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// Stops the receiver that a home's screen left behind.
fn stop(home: &Home) {
    let _ = home.command(&["stop"]).output();
}

fn seeded() -> (Home, crate::support::Serving) {
    let home = Home::new();
    let serving = home.serve();
    for (provider, hook, body) in [
        (
            "zotlo",
            "events",
            r#"{"clientUuid":"u1","country":"TR","subscriberId":"ayla@example.org","subscriberName":"Ayla Demir","appId":1,"registerDate":"2026-02-03 04:05:06"}"#,
        ),
        (
            "conscent",
            "login",
            r#"{"userId":"6a0000000000000000000001","email":"noor@example.org","name":"Noor"}"#,
        ),
    ] {
        assert_eq!(
            serving.post(provider, hook, body.as_bytes()).unwrap().0,
            200
        );
    }
    (home, serving)
}

#[test]
fn a_morning_on_the_screen() {
    let (home, _serving) = seeded();
    let mut terminal = Terminal::start(&home, &[], &[]);
    terminal.wait_for("1 Today");
    terminal.press("2");
    terminal.wait_for("user.registered");
    terminal.wait_for("user.signed_in");
    terminal.press("/provider:zotlo\r");
    terminal.wait_for("provider:zotlo");
    let deadline = Instant::now() + PATIENCE;
    while terminal.text().contains("user.signed_in") {
        assert!(
            Instant::now() < deadline,
            "the filter does not narrow:\n{}",
            terminal.text()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    terminal.press("\r");
    terminal.wait_for("ayla@example.org");
    terminal.resize(40, 120);
    terminal.wait_for("ayla@example.org");
    terminal.resize(6, 30);
    terminal.resize(24, 80);
    terminal.wait_for("1 Today");
    terminal.leave();
    assert_eq!(terminal.wait(), 0);
    assert!(
        terminal.is_restored(),
        "the terminal is left as it was found"
    );
    assert!(!String::from_utf8_lossy(&terminal.bytes.lock().unwrap()).contains("panicked"));
}

#[test]
fn a_term_that_does_not_parse_keeps_the_rows_and_offers_the_nearest() {
    let (home, _serving) = seeded();
    let mut terminal = Terminal::start(&home, &["tui"], &[]);
    terminal.wait_for("1 Today");
    terminal.press("2");
    terminal.wait_for("user.registered");
    terminal.press("/providr:zotlo\r");
    terminal.wait_for("provider");
    terminal.wait_for("user.signed_in");
    terminal.press("\x1b");
}

#[test]
fn a_fresh_home_opens_connections_and_a_hang_up_leaves_the_receiver_running() {
    let home = Home::new();
    let mut terminal = Terminal::start(&home, &[], &[]);
    terminal.wait_for("/hooks/");
    terminal.hang_up();
    terminal.wait();
    let answer = home.command(&["status"]).output().unwrap();
    assert!(
        answer.status.success(),
        "{}",
        String::from_utf8_lossy(&answer.stderr)
    );
    assert!(
        std::net::TcpStream::connect(("127.0.0.1", home.port)).is_ok(),
        "the receiver goes on"
    );
    let again = Terminal::start(&home, &[], &[]);
    again.wait_for("9 Connect");
    drop(again);
    stop(&home);
}

#[test]
fn a_panic_gives_the_terminal_back() {
    let (home, _serving) = seeded();
    let mut terminal = Terminal::start(&home, &["tui"], &[("SUBLEDGER_PANIC_ON", "2")]);
    terminal.wait_for("1 Today");
    terminal.press("2");
    assert_ne!(terminal.wait(), 0);
    assert!(
        terminal.is_restored(),
        "the terminal is left as it was found"
    );
}
