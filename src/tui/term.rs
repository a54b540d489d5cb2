//! The terminal: taking it, giving it back, one write per frame, the clipboard.
//!
//! Never leaves the terminal raw: it is given back on drop, on a panic, before a suspend and on every signal that
//! ends us. Nothing else of this program writes to the terminal while it is taken.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::ResetColor;
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::Terminal;
use rustix::process::{Signal, getpgrp, getpid, getsid, kill_process};

use crate::tui::app::App;
use crate::tui::exact::Exact;
use crate::tui::view;

/// So many bytes at most are handed to the terminal for its clipboard: several terminals drop more than 74,994
/// bytes of Base64.
pub const COPY_BYTES_MAX: usize = 74_994 / 4 * 3;

/// Whether the terminal is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What the backend writes of one frame, until it is sent in one go.
#[derive(Clone, Default)]
struct Frame(Rc<RefCell<Vec<u8>>>);

impl Frame {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.borrow_mut())
    }
}

impl Write for Frame {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    // The backend flushes several times a frame; a frame is sent once, by `Term::send`.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The terminal, taken until this is dropped.
pub struct Term {
    terminal: Terminal<Exact<Frame>>,
    frame: Frame,
    out: File,
    synchronised: bool,
}

impl Term {
    /// Takes the terminal on stdout. `synchronised` asks it to show each frame at once; dumb terminals are not asked.
    pub fn take(synchronised: bool) -> io::Result<Self> {
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        give_back_on_panic();
        let frame = Frame::default();
        let backend = Exact::new(frame.clone());
        take(&out)?;
        // The guard stands before the first thing that can fail with the terminal taken.
        let guard = GiveBack;
        let terminal = Terminal::new(backend)?;
        std::mem::forget(guard);
        Ok(Self {
            terminal,
            frame,
            out,
            synchronised,
        })
    }

    /// Draws `app`; only what differs from the last frame is written, and nothing if nothing does. Whether anything was.
    pub fn draw(&mut self, app: &App) -> io::Result<bool> {
        self.terminal.draw(|frame| view::draw(frame, app))?;
        let drawn = self.frame.take();
        if drawn.is_empty() {
            return Ok(false);
        }
        if self.synchronised {
            queue!(self.frame, BeginSynchronizedUpdate)?;
        }
        self.frame.write_all(&drawn)?;
        if self.synchronised {
            queue!(self.frame, EndSynchronizedUpdate)?;
        }
        self.send()?;
        Ok(true)
    }

    /// Forgets what is on the terminal, so that the next frame is written whole.
    pub fn forget(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    /// Hands `text` to the terminal's clipboard (OSC 52), which works over SSH too. Whether the terminal took it
    /// cannot be known.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        queue!(self.frame, CopyToClipboard::to_clipboard_from(text))?;
        self.send()
    }

    /// Gives the terminal back and stops this process; returns when it goes on, and the signal that says so comes too. The
    /// terminal is then to be taken again.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // The gentler signal is caught by us, and nothing else is stopped by it.
        Ok(kill_process(getpid(), Signal::STOP)?)
    }

    /// Takes the terminal again after something else had it.
    pub fn retake(&mut self) -> io::Result<()> {
        take(&self.out)?;
        self.forget()
    }

    fn send(&mut self) -> io::Result<()> {
        let bytes = self.frame.take();
        // After a panic on another thread the terminal is not ours any more.
        if !TAKEN.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.out.write_all(&bytes)
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        give_back();
    }
}

/// Whether a shell looks after this process that could continue it once it stopped: each of its jobs is a group of its
/// own, and only its own group is that of the session.
pub fn can_be_continued() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}

struct GiveBack;

impl Drop for GiveBack {
    fn drop(&mut self) {
        give_back();
    }
}

fn take(mut out: &File) -> io::Result<()> {
    // Whoever stopped us from outside may have changed the terminal behind our back: what is believed of it goes first.
    disable_raw_mode()?;
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(out, EnterAlternateScreen, EnableBracketedPaste)
}

/// Gives the terminal back if it is ours; a terminal that is gone is not told.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let told = execute!(
            out,
            EndSynchronizedUpdate,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            ResetColor,
            Show
        );
        // Nobody is left to tell if either fails: the terminal went away.
        drop((told, disable_raw_mode()));
    }
}

fn give_back_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
    });
}
