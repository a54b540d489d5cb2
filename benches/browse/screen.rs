//! The built program in a terminal of 120x40: how long after a key its answer stands there, how much is written and how
//! much memory that takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{Advice, fadvise};

use crate::ledger::UNTIL;
use crate::sheet::{Sheet, Times, ms};
use crate::terminal::{ROWS, Terminal};

/// How often each key is pressed.
const ROUNDS: usize = 30;
/// How often it is started.
const STARTS: usize = 10;
/// The keys of an hour: one every two seconds.
const HOUR_KEYS: usize = 1800;
/// So they are pressed here.
const HOUR_PAUSE: Duration = Duration::from_millis(34);
/// So long nothing is pressed.
const IDLE: Duration = Duration::from_secs(20);

/// All lines, and those below the two at the top (places; name, count and state) and above the one of keys.
const ALL: std::ops::Range<u16> = 0..ROWS;
const BODY: std::ops::Range<u16> = 2..ROWS - 1;

const PAGE_DOWN: &str = "\x1b[6~";

/// What a key is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What must come within a frame.
    Key,
    /// Words.
    Words,
    /// Whatever else.
    Other,
}

/// A question: keys that lead to it, and those whose answers are timed, each after others of its own.
struct Ask {
    what: &'static str,
    kind: Kind,
    before: &'static [&'static str],
    each: &'static [(&'static [&'static str], &'static str)],
}

/// Filters: each is typed in the place of the one before, and its time runs from Enter.
macro_rules! typed {
    ($($text:literal),+) => {
        &[$((&[concat!("/\x15", $text)], "\r")),+]
    };
}

/// Every question.
const ASKS: &[Ask] = &[
    Ask {
        what: "a row further in events",
        kind: Kind::Key,
        before: &["2"],
        each: &[(&[], "j")],
    },
    Ask {
        what: "a page further in events",
        kind: Kind::Key,
        before: &["2"],
        each: &[(&[], PAGE_DOWN)],
    },
    Ask {
        what: "first and last row of events",
        kind: Kind::Key,
        before: &["2"],
        each: &[(&[], "G"), (&[], "g")],
    },
    Ask {
        what: "another screen",
        kind: Kind::Key,
        before: &["2"],
        each: &[
            (&[], "3"),
            (&[], "4"),
            (&[], "5"),
            (&[], "6"),
            (&[], "7"),
            (&[], "2"),
        ],
    },
    Ask {
        what: "events by provider",
        kind: Kind::Key,
        before: &["2"],
        each: typed!(
            "provider:zotlo",
            "provider:conscent",
            "provider:klustr",
            "provider:expressconsent"
        ),
    },
    Ask {
        what: "events by account",
        kind: Kind::Key,
        before: &["2"],
        each: typed!("account:weekly", "account:main"),
    },
    Ask {
        what: "events by type",
        kind: Kind::Key,
        before: &["2"],
        each: typed!(
            "type:cancel",
            "type:payment",
            "type:refund",
            "type:user.signed_in"
        ),
    },
    Ask {
        what: "events by time",
        kind: Kind::Key,
        before: &["2"],
        each: typed!(
            "since:7d",
            "until:2026-01-01",
            "since:2026-03-01 until:2026-03-08",
            "day:2025-12-24"
        ),
    },
    Ask {
        what: "events by provider, type and time",
        kind: Kind::Key,
        before: &["2"],
        each: typed!(
            "provider:zotlo type:payment since:30d",
            "provider:conscent type:user.signed_in until:2026-02-01"
        ),
    },
    Ask {
        what: "events at a time",
        kind: Kind::Key,
        before: &["2", "/\x15\r"],
        each: &[
            (&["@2026-01-05"], "\r"),
            (&["@2025-08-01"], "\r"),
            (&["@2026-05-17 12:00"], "\r"),
        ],
    },
    Ask {
        what: "Today of another period",
        kind: Kind::Other,
        before: &["1"],
        each: &[(&["p", "j"], "\r"), (&["p", "k"], "\r")],
    },
    Ask {
        what: "a reader opened",
        kind: Kind::Key,
        before: &["3"],
        each: &[(&["\x1b", "j"], "\r")],
    },
    Ask {
        what: "a webhook opened",
        kind: Kind::Key,
        before: &["7"],
        each: &[(&["\x1b", "j"], "\r")],
    },
    Ask {
        what: "words in users",
        kind: Kind::Words,
        before: &["3", "\x1b"],
        each: typed!("ayse", "müller", "xyzzy", "kaya zeynep", "example.org"),
    },
    Ask {
        what: "words in subscriptions",
        kind: Kind::Words,
        before: &["4"],
        each: typed!("ayse", "gold", "xyzzy", "yearly kaya"),
    },
    Ask {
        what: "words in events",
        kind: Kind::Other,
        before: &["2"],
        each: typed!("ayse", "gold", "xyzzy", "kaya zeynep"),
    },
];

/// What section 13 promises something about.
pub(crate) struct Seen {
    pub(crate) cold: Times,
    pub(crate) keys: Times,
    /// The slowest kind of key, and its p95.
    pub(crate) slowest: (String, Duration),
    pub(crate) words: Times,
    pub(crate) unindexed: Unindexed,
    /// Bytes; `None` where the system does not say.
    pub(crate) memory: Option<u64>,
    pub(crate) move_bytes: usize,
    pub(crate) idle_bytes: usize,
}

/// A filter that no index helps.
pub(crate) struct Unindexed {
    /// Until rows, or how far it is, stood there.
    pub(crate) said: Option<Duration>,
    /// Until a key had all rows back.
    pub(crate) freed: Option<Duration>,
}

/// A throw-away home with settings.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().expect("a place for files");
        let file = home.path().join("settings.toml");
        let mut text = "[display]\ntimezone = \"UTC\"\n".to_owned();
        for provider in ["conscent", "klustr", "expressconsent", "zotlo"] {
            text.extend(["[providers.", provider, "]\npath_key = \"k_bench_bench\"\n"]);
        }
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a file of ours");
        Self(home)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// `program` in this home and nothing else of ours.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("XDG_CONFIG_HOME", self.path())
            .env("SUBLEDGER_CONFIG", self.path().join("settings.toml"))
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .current_dir(self.path());
        command
    }

    /// The built program on `ledger`.
    pub(crate) fn subledger(&self, ledger: &Path, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_subledger"));
        command.arg("--db").arg(ledger).args(args);
        command
    }

    fn screen(&self, ledger: &Path) -> Terminal {
        Terminal::start(
            &self.subledger(ledger, &["tui", "--now", UNTIL]),
            is_waiting,
        )
    }
}

/// Measures the screen on `ledger` and notes what it sees.
pub(crate) fn measure(ledger: &Path, sheet: &mut Sheet) -> Seen {
    let home = Home::new();
    let (cold, how) = start(&home, ledger, forget);
    sheet.times(&format!("start to the whole first screen, {how}"), &cold);
    let (warm, how) = start(&home, ledger, |_| "what it reads cached");
    sheet.times(&format!("start to the whole first screen, {how}"), &warm);
    let mut terminal = home.screen(ledger);
    assert!(terminal.first(&ALL).changed, "no screen came up");
    let (mut keys, mut words) = (Vec::new(), Vec::new());
    let mut slowest = (String::new(), Duration::ZERO);
    let mut move_bytes = 0;
    for ask in ASKS {
        let (took, bytes) = asked(&mut terminal, ask, sheet);
        match ask.kind {
            Kind::Key => {
                if took.percentile(95) > slowest.1 {
                    slowest = (ask.what.to_owned(), took.percentile(95));
                }
                keys.push(took);
            }
            Kind::Words => words.push(took),
            Kind::Other => {}
        }
        if move_bytes == 0 {
            move_bytes = bytes;
        }
    }
    let unindexed = unindexed(&mut terminal, sheet);
    let memory = memory(&mut terminal, sheet);
    drop(terminal);
    sheet.note(
        "bytes written by a move of one row, at most",
        format!("{move_bytes}"),
    );
    let idle_bytes = idle(&home, ledger);
    sheet.note(
        &format!("bytes written in {} s without a key", IDLE.as_secs()),
        format!("{idle_bytes}"),
    );
    Seen {
        cold,
        keys: Times::all(&keys),
        slowest,
        words: Times::all(&words),
        unindexed,
        memory,
        move_bytes,
        idle_bytes,
    }
}

/// Presses the keys of `ask`: how long each answer took, and how many bytes it was at most.
fn asked(terminal: &mut Terminal, ask: &Ask, sheet: &mut Sheet) -> (Times, usize) {
    for keys in ask.before {
        terminal.press(keys);
    }
    let mut bytes = 0;
    let mut whole = Vec::new();
    let times = Times::of((0..ROUNDS).map(|round| {
        let (before, key) = ask.each[round % ask.each.len()];
        for keys in before {
            terminal.press(keys);
        }
        let answer = terminal.answer(key, &BODY);
        assert!(
            answer.changed,
            "{}: {key:?} after {before:?} changed nothing:\n{}",
            ask.what,
            terminal.text()
        );
        bytes = bytes.max(answer.bytes);
        whole.push(answer.whole);
        answer.took
    }));
    sheet.times(ask.what, &times);
    sheet.times(&format!("{}, counts and all", ask.what), &Times::of(whole));
    (times, bytes)
}

/// How long a start takes until nothing changes any more after what `before` did to the system's memory, in its words.
fn start(home: &Home, ledger: &Path, before: fn(&Path) -> &'static str) -> (Times, &'static str) {
    let mut how = "";
    let times = Times::of((0..STARTS).map(|_| {
        how = before(ledger);
        let mut terminal = home.screen(ledger);
        let answer = terminal.first(&ALL);
        assert!(answer.changed, "no screen came up");
        answer.took
    }));
    (times, how)
}

/// Lets the system forget what it read, as far as this user may say so.
fn forget(ledger: &Path) -> &'static str {
    rustix::fs::sync();
    if fs::write("/proc/sys/vm/drop_caches", "3").is_ok() {
        return "nothing cached";
    }
    let files: Vec<PathBuf> = ["", "-wal", "-shm"]
        .iter()
        .map(|ending| PathBuf::from(format!("{}{ending}", ledger.display())))
        .collect();
    for file in files.iter().filter_map(|path| fs::File::open(path).ok()) {
        // Advice may be left aside: the row then says what is known.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
    }
    "program cached, ledger not (not root)"
}

/// What no index finds: rows or how far it is, and Esc.
fn unindexed(terminal: &mut Terminal, sheet: &mut Sheet) -> Unindexed {
    // Esc goes back to all rows then.
    for keys in ["2", "/\x15\r", "/\x15amount:>=987654321"] {
        terminal.press(keys);
    }
    // Rows, or that there are none, or a figure of how far it is.
    let is_answered = |text: &str| text.contains("nothing matches") || is_full(text);
    let is_said = |text: &str| is_answered(text) || says_how_far(text);
    let said = terminal.until("\r", is_said);
    let still = !is_answered(&terminal.text());
    // Esc ends the looking; where it has ended there is only a filter to drop.
    let (key, name) = if still { ("\x1b", "Esc") } else { ("x", "x") };
    let freed = terminal.until(key, is_full);
    terminal.press("");
    let shown = |span: Option<Duration>| {
        span.map_or("nothing came".to_owned(), |span| format!("{} ms", ms(span)))
    };
    let what = if still {
        "said how far it is after"
    } else {
        "answered after"
    };
    sheet.note(
        "a filter without index, nothing found",
        format!("{what} {}", shown(said)),
    );
    sheet.note(&format!("all rows again after {name}"), shown(freed));
    Unindexed { said, freed }
}

/// Whether the screen says that something is on its way: rows, a record, a count, the ledger itself.
fn is_waiting(text: &str) -> bool {
    let counts = text.lines().nth(1).is_some_and(|head| head.contains('…'));
    counts || text.contains("looking") || text.contains("opening")
}

/// Whether rows stand on nearly every line, and nothing is typed.
fn is_full(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    let rows = lines.iter().skip(3).filter(|line| !line.trim().is_empty());
    rows.count() > 30 && !lines.iter().any(|line| line.starts_with(" /"))
}

/// Whether it is still looked for, and a figure says how far that is.
fn says_how_far(text: &str) -> bool {
    text.split_once("still looking … ")
        .is_some_and(|(_, so_far)| so_far.starts_with(|c: char| c.is_ascii_digit()))
}

/// What memory it had at most, before and after the keys of an hour.
fn memory(terminal: &mut Terminal, sheet: &mut Sheet) -> Option<u64> {
    sheet.note(
        "memory at most, after all of this",
        mib(terminal.memory_peak()),
    );
    let keys = [
        "2", "j", "j", "j", PAGE_DOWN, PAGE_DOWN, "\r", "j", "\x1b", "G", "k", "g", "3", PAGE_DOWN,
        "j", "\r", "\x1b", "6", "j", "\r", "\x1b", "7", "\r", "\x1b", PAGE_DOWN, "1", "j", "4",
        PAGE_DOWN, "5", "j", "\x1b",
    ];
    terminal.type_all(keys.iter().copied().cycle().take(HOUR_KEYS), HOUR_PAUSE);
    let after = terminal.memory_peak();
    sheet.note(
        &format!("memory at most, after {HOUR_KEYS} keys more"),
        mib(after),
    );
    after
}

/// Bytes, in words.
pub(crate) fn mib(bytes: Option<u64>) -> String {
    bytes.map_or("not said by this system".to_owned(), |bytes| {
        format!("{} MiB", bytes.div_ceil(1 << 20))
    })
}

/// What is written while nothing happens, by the machine's clock.
fn idle(home: &Home, ledger: &Path) -> usize {
    let mut terminal = Terminal::start(
        &home.subledger(ledger, &["tui", "--list", "events"]),
        is_waiting,
    );
    terminal.first(&ALL);
    terminal.press("j");
    terminal.idle(IDLE)
}
