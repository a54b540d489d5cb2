//! A program in a pseudo-terminal, and when it wrote what: how long after a key the frame that answers it stood there.
//!
//! What is written is cut at the frames' ends, and each frame is noted with the moment at which its last byte came. Only
//! once nothing comes any more are the frames looked at: the answer is the first after which the lines in question did
//! not change again. An echo, a line that says that rows are on their way, or the old rows with a new frame round them
//! are not taken for it.

use std::io::{Read as _, Write};
use std::num::NonZero;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

pub(crate) const ROWS: u16 = 40;
pub(crate) const COLS: u16 = 120;

/// So long nothing comes before everything is said to have come: whatever the screen still waits for, it says how far
/// that is more often than this.
const QUIET: Duration = Duration::from_millis(320);

/// The same where nothing is timed, and a screen that waits is waited for.
const SETTLED: Duration = Duration::from_millis(130);

/// Nothing takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was written, and when each piece of it ended.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    pieces: Vec<(Instant, usize)>,
    ended: bool,
}

/// A program in a terminal of its own.
pub(crate) struct Terminal {
    _master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    written: Arc<Mutex<Written>>,
    begun: Instant,
    screen: vt100::Parser,
    /// How many pieces the screen shows.
    shown: usize,
    /// Whether a screen that says this waits for something.
    is_busy: fn(&str) -> bool,
}

/// The answer to a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// From the key to the frame after which the lines in question did not change any more.
    pub(crate) took: Duration,
    /// From the key to the last byte.
    pub(crate) whole: Duration,
    /// Written in all.
    pub(crate) bytes: usize,
    /// The lines in question, and where the cursor is, are others than before.
    pub(crate) changed: bool,
}

/// What some lines look like.
#[derive(PartialEq)]
struct Look {
    lines: Vec<String>,
    cursor: (u16, u16),
}

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).expect("a terminal has cells")
}

impl Terminal {
    /// Starts `command`, its environment included.
    pub(crate) fn start(command: &Command, is_busy: fn(&str) -> bool) -> Self {
        let size = PtySize {
            rows: ROWS,
            cols: COLS,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let mut built = CommandBuilder::new(command.get_program());
        built.args(command.get_args());
        built.env_clear();
        for (key, value) in command.get_envs() {
            built.env(key, value.unwrap_or_default());
        }
        built.cwd(command.get_current_dir().unwrap_or(Path::new("/")));
        let mut reader = pair.master.try_clone_reader().expect("its output");
        let keys = pair.master.take_writer().expect("its keyboard");
        let written = Arc::new(Mutex::new(Written::default()));
        let begun = Instant::now();
        let child = pair.slave.spawn_command(built).expect("it starts");
        drop(pair.slave);
        let into = Arc::clone(&written);
        std::thread::spawn(move || {
            let mut chunk = vec![0_u8; 1 << 16];
            loop {
                let read = reader.read(&mut chunk).unwrap_or(0);
                let now = Instant::now();
                let mut written = into.lock().expect("nobody panics with it");
                if read == 0 {
                    written.ended = true;
                    break;
                }
                written.bytes.extend_from_slice(&chunk[..read]);
                let end = written.bytes.len();
                written.pieces.push((now, end));
            }
        });
        Self {
            _master: pair.master,
            keys,
            child,
            written,
            begun,
            screen: vt100::Parser::new(cells(ROWS), cells(COLS), 0),
            shown: 0,
            is_busy,
        }
    }

    /// Presses `keys` at once and waits until everything that they cause has come.
    pub(crate) fn press(&mut self, keys: &str) {
        let begun = Instant::now();
        self.write(keys);
        self.quiet(begun, SETTLED);
        self.show_all();
        while (self.is_busy)(&self.text()) && begun.elapsed() < PATIENCE && !self.has_ended() {
            self.quiet(Instant::now(), SETTLED);
            self.show_all();
        }
    }

    fn write(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it listens");
        self.keys.flush().expect("it listens");
    }

    /// Presses `key` and says when the answer to it stood in `lines`.
    pub(crate) fn answer(&mut self, key: &str, lines: &Range<u16>) -> Answer {
        let before = self.look(lines);
        let begun = Instant::now();
        self.write(key);
        self.until_quiet(begun, &before, lines)
    }

    /// When, after the start, the first whole screen stood there: its `lines`.
    pub(crate) fn first(&mut self, lines: &Range<u16>) -> Answer {
        let before = self.look(lines);
        while self.length() == 0 && !self.has_ended() && self.begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.until_quiet(self.begun, &before, lines)
    }

    fn until_quiet(&mut self, begun: Instant, before: &Look, lines: &Range<u16>) -> Answer {
        let mut answer = Answer {
            took: Duration::ZERO,
            whole: Duration::ZERO,
            bytes: 0,
            changed: false,
        };
        let mut last = self.look(lines);
        loop {
            self.quiet(begun, QUIET);
            while let Some((at, bytes)) = self.show_next() {
                answer.whole = at - begun;
                answer.bytes += bytes;
                let look = self.look(lines);
                if look != last {
                    answer.took = answer.whole;
                    last = look;
                }
            }
            if begun.elapsed() > PATIENCE || self.has_ended() || !(self.is_busy)(&self.text()) {
                break;
            }
        }
        answer.changed = last != *before;
        answer
    }

    /// Presses `key`; how long it takes until a frame says what is asked for, `None` if none does before it is quiet. The
    /// frames after it are left for later.
    pub(crate) fn until(&mut self, key: &str, holds: impl Fn(&str) -> bool) -> Option<Duration> {
        let begun = Instant::now();
        self.write(key);
        self.seen(begun, holds)
    }

    /// How long after the start a frame says what is asked for.
    pub(crate) fn until_first(&mut self, holds: impl Fn(&str) -> bool) -> Option<Duration> {
        self.seen(self.begun, holds)
    }

    fn seen(&mut self, begun: Instant, holds: impl Fn(&str) -> bool) -> Option<Duration> {
        while begun.elapsed() < PATIENCE {
            while let Some((at, _)) = self.show_next() {
                if holds(&self.text()) {
                    return Some(at - begun);
                }
            }
            if self.has_ended() {
                break;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        None
    }

    /// What is on the screen.
    pub(crate) fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// So many bytes are written within `span` while no key is pressed.
    pub(crate) fn idle(&mut self, span: Duration) -> usize {
        let before = self.length();
        std::thread::sleep(span);
        let written = self.length() - before;
        self.show_all();
        written
    }

    /// Bytes of memory that it had at most so far, where the system says.
    pub(crate) fn memory_peak(&self) -> Option<u64> {
        let path = format!("/proc/{}/status", self.child.process_id()?);
        let status = std::fs::read_to_string(path).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib << 10)
    }

    /// Presses keys a person's way, one after the other, without looking.
    pub(crate) fn type_all<'a>(&mut self, keys: impl Iterator<Item = &'a str>, pause: Duration) {
        for key in keys {
            self.write(key);
            std::thread::sleep(pause);
            // What was shown is not kept.
            self.show_all();
            let mut written = self.written.lock().expect("nobody panics with it");
            written.bytes.clear();
            written.pieces.clear();
            self.shown = 0;
        }
        self.press("");
    }

    fn quiet(&self, since: Instant, span: Duration) {
        let begun = Instant::now();
        loop {
            let last = {
                let written = self.written.lock().expect("nobody panics with it");
                if written.ended {
                    return;
                }
                written
                    .pieces
                    .last()
                    .map_or(since, |(at, _)| (*at).max(since))
            };
            let still = last.elapsed();
            if still >= span || begun.elapsed() > PATIENCE {
                return;
            }
            std::thread::sleep(span.saturating_sub(still));
        }
    }

    fn has_ended(&self) -> bool {
        self.written.lock().expect("nobody panics with it").ended
    }

    fn length(&self) -> usize {
        let written = self.written.lock().expect("nobody panics with it");
        written.bytes.len()
    }

    fn show_all(&mut self) {
        while self.show_next().is_some() {}
    }

    /// Shows one more piece: when it came, and how long it is.
    fn show_next(&mut self) -> Option<(Instant, usize)> {
        let written = self.written.lock().expect("nobody panics with it");
        let (at, end) = *written.pieces.get(self.shown)?;
        let start = match self.shown {
            0 => 0,
            n => written.pieces[n - 1].1,
        };
        self.screen.process(&written.bytes[start..end]);
        self.shown += 1;
        Some((at, end - start))
    }

    fn look(&self, lines: &Range<u16>) -> Look {
        let screen = self.screen.screen();
        let all: Vec<String> = screen.rows_formatted(0, COLS).collect();
        Look {
            lines: all[usize::from(lines.start)..usize::from(lines.end)].to_vec(),
            cursor: screen.cursor_position(),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
