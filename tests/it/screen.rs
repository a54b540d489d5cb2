//! The built binary in a pseudo-terminal: start, filter, open, resize, leave, hang up; signals, a forced panic, Ctrl-Z;
//! pastes; a ledger that goes away, is replaced, damaged or locked under the screen; what is written while little or
//! nothing happens.

use std::io::{Read as _, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Home, PATIENCE, Serving};

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
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_subledger"));
        command.args(args);
        Self::spawn(home, command, more)
    }

    fn spawn(home: &Home, mut command: CommandBuilder, more: &[(&str, &str)]) -> Self {
        let size = PtySize {
            rows: 24,
            cols: 80,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
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
        self.wait_until(words, |text| text.contains(words));
    }

    /// Waits until the screen does not show `words` any more.
    fn wait_without(&self, words: &str) {
        self.wait_until(&format!("a screen without {words}"), |text| {
            !text.contains(words)
        });
    }

    fn wait_until(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.text()) {
            assert!(
                Instant::now() < deadline,
                "{what:?} never came up:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn pid(&self) -> Pid {
        let id = self.child.process_id().unwrap();
        Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
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

    /// How often the loop went to sleep so far, where the system says.
    fn sleeps(&self) -> Option<u64> {
        let path = format!("/proc/{}/status", self.pid().as_raw_nonzero());
        let status = std::fs::read_to_string(path).ok()?;
        // Numbers may be those of another container.
        status.starts_with("Name:\tsubledger\n").then_some(())?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    }

    /// Waits until the loop has gone round `times` times; `false` where the system does not say.
    fn turns(&self, times: u64) -> bool {
        let Some(first) = self.sleeps() else {
            return false;
        };
        let deadline = Instant::now() + PATIENCE;
        while self.sleeps().is_some_and(|now| now < first + times) {
            assert!(Instant::now() < deadline, "the loop stands still");
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Waits until the loop went round a few times without a byte.
    fn settle(&self) {
        loop {
            let before = self.bytes().len();
            if !self.turns(3) {
                std::thread::sleep(Duration::from_secs(1));
            }
            if self.bytes().len() == before {
                return;
            }
        }
    }

    /// Waits until more than `before` bytes are written.
    fn wait_written(&self, before: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.bytes().len() == before {
            assert!(Instant::now() < deadline, "nothing is drawn");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the last bytes of what ended or stopped are there: everything that was switched on is off again.
    fn wait_restored(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_restored() {
            assert!(
                Instant::now() < deadline,
                "the terminal is not as it was found:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
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

fn seeded() -> (Home, Serving) {
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
    terminal.wait_without("user.signed_in");
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

/// A screen with the two events of `seeded` in sight and no receiver: nothing but the test touches the ledger.
fn alone() -> (Home, Terminal) {
    let (home, serving) = seeded();
    assert_eq!(serving.terminate(), Some(0));
    let mut terminal = Terminal::start(&home, &["tui"], &[]);
    terminal.wait_for("1 Today");
    terminal.press("2");
    terminal.wait_for("user.signed_in");
    terminal.wait_for("not running");
    (home, terminal)
}

#[test]
fn signals_that_end_it_give_the_terminal_back() {
    let (home, _serving) = seeded();
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP] {
        let mut terminal = Terminal::start(&home, &["tui"], &[]);
        terminal.wait_for("1 Today");
        terminal.signal(signal);
        terminal.wait();
        terminal.wait_restored();
    }
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again_in_its_new_size() {
    let (home, _serving) = seeded();
    let mut shell = CommandBuilder::new("sh");
    shell.args([
        "-c",
        r#"set -m; "$0" tui; echo "sto""pped"; read -r line; fg >/dev/null; echo "ba""ck""#,
        env!("CARGO_BIN_EXE_subledger"),
    ]);
    let mut terminal = Terminal::spawn(&home, shell, &[]);
    terminal.wait_for("1 Today");
    terminal.press("\x1a");
    terminal.wait_for("stopped");
    terminal.wait_restored();
    terminal.resize(40, 120);
    terminal.press("\r");
    terminal.wait_until("the foot on the last of 40 lines", |text| {
        text.lines()
            .nth(39)
            .is_some_and(|foot| foot.contains("keys"))
    });
    terminal.wait_for("1 Today");
    terminal.leave();
    terminal.wait_for("back");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn a_stop_from_outside_gives_the_terminal_to_the_shell_too() {
    let (home, _serving) = seeded();
    let mut shell = CommandBuilder::new("sh");
    shell.args([
        "-c",
        r#"set -m; sh -c 'echo $$ >pid; exec "$0" tui' "$0"; echo "sto""pped"; read -r line; fg >/dev/null; echo "ba""ck""#,
        env!("CARGO_BIN_EXE_subledger"),
    ]);
    let mut terminal = Terminal::spawn(&home, shell, &[]);
    terminal.wait_for("1 Today");
    let pid = std::fs::read_to_string(home.path().join("pid")).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    kill_process(pid, Signal::TSTP).unwrap();
    terminal.wait_for("stopped");
    terminal.wait_restored();
    // Going on while the terminal is the shell's, it leaves that alone.
    kill_process(pid, Signal::CONT).unwrap();
    terminal.press("\r");
    terminal.wait_for("1 Today");
    terminal.press("2");
    terminal.wait_for("user.signed_in");
    terminal.leave();
    terminal.wait_for("back");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn whoever_cannot_be_continued_is_not_stopped() {
    // Without a shell in between nobody could continue it.
    let (home, _serving) = seeded();
    let mut terminal = Terminal::start(&home, &["tui"], &[]);
    terminal.wait_for("1 Today");
    terminal.press("\x1a");
    terminal.wait_for("nobody here could continue");
    terminal.press("2");
    terminal.wait_for("user.signed_in");
    terminal.wait_without("nobody here could continue");
    terminal.signal(Signal::TSTP);
    terminal.wait_for("nobody here could continue");
}

#[test]
fn a_paste_is_one_insertion_and_never_keys() {
    let (_home, mut terminal) = alone();
    // `q` would leave, `1` would go to another screen.
    terminal.press("\x1b[200~q1\rq\x1b[201~/\x1b[200~provider:\rzot\x1b[201~");
    terminal.wait_for("/ provider: zot");
    terminal.wait_for("user.signed_in");
    terminal.press("\x15\x1b[200~provider:zotlo\x1b[201~\r");
    terminal.wait_without("user.signed_in");
    terminal.wait_for("user.registered");
}

#[test]
fn a_storm_of_sizes_ends_in_the_last_one() {
    let (_home, mut terminal) = alone();
    for step in 0..80_u16 {
        terminal.resize(5 + step % 40, 20 + (step * 7) % 160);
        if step % 9 == 0 {
            terminal.press("j");
        }
    }
    terminal.resize(30, 100);
    terminal.press("\x0c");
    terminal.wait_until("the foot on the last of 30 lines", |text| {
        text.lines()
            .nth(29)
            .is_some_and(|foot| foot.contains("keys"))
    });
    terminal.wait_for("user.signed_in");
    assert!(!String::from_utf8_lossy(&terminal.bytes()).contains("panicked"));
}

#[test]
fn a_ledger_that_goes_away_is_looked_for_and_comes_back() {
    let (home, mut terminal) = alone();
    let aside = home.path().join("aside.db");
    std::fs::rename(home.ledger(), &aside).unwrap();
    terminal.wait_for("is not there any more");
    terminal.wait_for("user.signed_in");
    terminal.press("3");
    terminal.wait_for("3 Users");
    terminal.press("2");
    std::fs::rename(&aside, home.ledger()).unwrap();
    terminal.wait_without("is not there any more");
    terminal.wait_for("user.signed_in");
}

#[test]
fn another_ledger_in_its_place_is_shown() {
    let (home, terminal) = alone();
    let other = Home::new();
    let serving = other.serve();
    let body = br#"{"userId":"6a0000000000000000000002","email":"mina@example.com"}"#;
    assert_eq!(serving.post("conscent", "login", body).unwrap().0, 200);
    assert_eq!(serving.terminate(), Some(0));
    std::fs::rename(other.ledger(), home.ledger()).unwrap();
    terminal.wait_for("mina@example.com");
    terminal.wait_without("user.registered");
}

#[test]
fn a_file_that_is_no_ledger_any_more_is_said_and_left_alone() {
    let (home, terminal) = alone();
    let aside = home.path().join("aside.db");
    std::fs::rename(home.ledger(), &aside).unwrap();
    std::fs::write(home.ledger(), "shopping list\n".repeat(40)).unwrap();
    terminal.wait_for("no ledger any more");
    assert!(
        std::fs::read_to_string(home.ledger())
            .unwrap()
            .starts_with("shopping list")
    );
    std::fs::rename(&aside, home.ledger()).unwrap();
    terminal.wait_without("no ledger any more");
    terminal.wait_for("user.signed_in");
}

#[test]
fn a_ledger_cut_short_is_called_damaged_and_its_backup_comes_back() {
    let (home, mut terminal) = alone();
    let whole = std::fs::read(home.ledger()).unwrap();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(home.ledger())
        .unwrap();
    file.set_len(8192).unwrap();
    terminal.press("1");
    terminal.wait_for("the ledger is damaged");
    let aside = home.path().join("aside.db");
    std::fs::write(&aside, whole).unwrap();
    std::fs::rename(&aside, home.ledger()).unwrap();
    terminal.wait_without("the ledger is damaged");
    terminal.press("2");
    terminal.wait_for("user.signed_in");
}

#[test]
fn a_ledger_of_a_newer_version_says_what_to_do() {
    let (home, terminal) = alone();
    let known = home.number("pragma user_version");
    let set = |version: i64| {
        home.open()
            .pragma_update(None, "user_version", version)
            .unwrap();
    };
    set(known + 1);
    terminal.wait_for("a newer subledger has upgraded this file");
    terminal.wait_for("user.signed_in");
    set(known);
    terminal.wait_without("a newer subledger has upgraded this file");
    terminal.wait_for("user.signed_in");
}

#[test]
fn a_locked_ledger_is_waited_for() {
    let (home, mut terminal) = alone();
    let aside = home.path().join("aside.db");
    std::fs::rename(home.ledger(), &aside).unwrap();
    terminal.wait_for("is not there any more");
    // Nobody else reads it now, so that all of it can be locked.
    let holder = open_plainly(&aside);
    holder
        .execute_batch("pragma locking_mode = exclusive; begin exclusive")
        .unwrap();
    std::fs::rename(&aside, home.ledger()).unwrap();
    terminal.wait_for("keeps the ledger locked");
    // It stays usable meanwhile.
    terminal.press("3");
    terminal.wait_for("Trying again every second");
    terminal.press("2");
    drop(holder);
    terminal.wait_for("user.signed_in");
    terminal.wait_without("keeps the ledger locked");
}

#[test]
fn a_ledger_that_is_locked_at_the_start_is_waited_for() {
    let (home, serving) = seeded();
    assert_eq!(serving.terminate(), Some(0));
    let holder = open_plainly(&home.ledger());
    holder
        .execute_batch("pragma locking_mode = exclusive; begin exclusive")
        .unwrap();
    let mut terminal = Terminal::start(&home, &["tui"], &[]);
    terminal.wait_for("keeps the ledger locked");
    terminal.press("2");
    terminal.wait_for("Trying again every second");
    drop(holder);
    terminal.wait_for("user.signed_in");
    terminal.wait_without("keeps the ledger locked");
    terminal.leave();
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn a_ledger_that_is_not_there_at_the_start_is_an_error_and_none_is_made() {
    let home = Home::new();
    let mut terminal = Terminal::start(&home, &["tui"], &[]);
    assert_eq!(terminal.wait(), 3);
    assert!(!home.ledger().exists());
}

#[test]
fn what_is_no_ledger_at_the_start_is_an_error_and_no_screen() {
    let home = Home::new();
    std::fs::create_dir_all(home.ledger().parent().unwrap()).unwrap();
    std::fs::write(home.ledger(), "shopping list\n".repeat(40)).unwrap();
    let mut terminal = Terminal::start(&home, &["tui"], &[]);
    assert_eq!(terminal.wait(), 1);
    terminal.wait_for("is not a subledger database");
}

/// Lets this user do so much with a file or folder; `false`, and a word about it, where nothing is forbidden to them.
fn allow(path: &Path, mode: u32) -> bool {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: nothing is forbidden to this user");
        return false;
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(path, mode).unwrap();
    true
}

#[test]
fn a_ledger_that_may_not_be_read_any_more_is_said_and_comes_back() {
    let (home, mut terminal) = alone();
    let folder = home.ledger().parent().unwrap().to_owned();
    if !allow(&folder, 0o000) {
        return;
    }
    terminal.wait_for("cannot be read");
    terminal.wait_for("user.signed_in");
    terminal.press("3");
    terminal.wait_for("3 Users");
    terminal.press("2");
    allow(&folder, 0o700);
    terminal.wait_without("cannot be read");
    terminal.wait_for("user.signed_in");
}

#[test]
fn what_may_not_be_written_any_more_says_so_and_is_read_on() {
    let (home, mut terminal) = alone();
    let folder = home.ledger().parent().unwrap().to_owned();
    for file in std::fs::read_dir(&folder).unwrap() {
        if !allow(&file.unwrap().path(), 0o400) {
            return;
        }
    }
    allow(&folder, 0o500);
    terminal.press("1");
    terminal.wait_for("Since");
    terminal.press("R");
    terminal.wait_for("ermission denied");
    terminal.press("2");
    terminal.wait_for("user.signed_in");
    allow(&folder, 0o700);
    for file in std::fs::read_dir(&folder).unwrap() {
        allow(&file.unwrap().path(), 0o600);
    }
    terminal.press("1");
    terminal.wait_for("Since");
    terminal.press("R");
    terminal.wait_for("reviewed");
}

#[expect(
    clippy::disallowed_methods,
    reason = "as any other program opens it, without the store"
)]
fn open_plainly(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

#[test]
fn a_receiver_that_starts_and_stops_is_seen() {
    let (home, terminal) = alone();
    let serving = home.serve();
    terminal.wait_for("receiving");
    assert_eq!(serving.terminate(), Some(0));
    terminal.wait_for("not running");
}

#[test]
fn a_move_by_one_row_is_less_than_a_kilobyte() {
    let (home, serving) = seeded();
    for n in 0..30 {
        let body =
            format!(r#"{{"userId":"6b00000000000000000000{n:02}","email":"r{n}@example.org"}}"#);
        let (status, _) = serving.post("conscent", "login", body.as_bytes()).unwrap();
        assert_eq!(status, 200);
    }
    assert_eq!(serving.terminate(), Some(0));
    let mut terminal = Terminal::start(&home, &["tui"], &[]);
    terminal.resize(40, 120);
    terminal.wait_for("1 Today");
    terminal.press("2");
    terminal.wait_for("r29@example.org");
    terminal.wait_for("not running");
    terminal.wait_for(" 32");
    terminal.settle();
    for _ in 0..8 {
        let before = terminal.bytes().len();
        terminal.press("j");
        terminal.wait_written(before);
        terminal.settle();
        let written = terminal.bytes().len() - before;
        assert!(written < 1024, "{written} bytes");
        let bytes = terminal.bytes();
        let text = String::from_utf8_lossy(&bytes[before..]).into_owned();
        let (begun, ended) = (text.matches("\x1b[?2026h"), text.matches("\x1b[?2026l"));
        assert_eq!(begun.count(), ended.count(), "{text:?}");
    }
}

#[test]
fn nothing_is_written_while_nothing_happens() {
    // Nothing on this screen grows old.
    let home = Home::new();
    let serving = home.serve();
    assert_eq!(serving.terminate(), Some(0));
    let mut terminal = Terminal::start(&home, &["tui"], &[]);
    terminal.wait_for("not running");
    terminal.press("2");
    terminal.wait_for("Nothing has been received yet");
    terminal.settle();
    let before = terminal.bytes();
    // Written to without any change, so that everything in sight is read again.
    let version = home.number("pragma user_version");
    home.open()
        .pragma_update(None, "user_version", version)
        .unwrap();
    if !terminal.turns(8) {
        eprintln!("skipped: this system does not say how often a process woke up");
    }
    let after = terminal.bytes();
    let more = String::from_utf8_lossy(&after[before.len()..]).into_owned();
    assert!(more.is_empty(), "{more:?}");
}
