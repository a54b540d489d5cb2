//! What a run starts and makes, so that nothing of it is left behind: not by a panic, not by Ctrl-C.
//!
//! Every program runs in a process group of its own, which is ended as a whole; every folder is removed.

use std::io::{self, Read as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// So long a program may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// What is to be ended and removed.
struct Left {
    /// Leaders of process groups, and what each is ended by.
    groups: Vec<(Pid, Signal)>,
    folders: Vec<PathBuf>,
}

static LEFT: Mutex<Left> = Mutex::new(Left {
    groups: Vec::new(),
    folders: Vec::new(),
});

/// A signal has come: its thread cleans up and ends the process.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

fn left() -> MutexGuard<'static, Left> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As `left`, for whoever is about to add to it: nothing begins once a signal has come.
fn left_to_add() -> MutexGuard<'static, Left> {
    loop {
        let held = left();
        // The signal's thread says so before it looks at what there is.
        if !IS_ENDING.load(Ordering::SeqCst) {
            return held;
        }
        drop(held);
        give_way();
    }
}

/// From here on a signal ends everything that is running, removes every folder, and then this process.
pub(crate) fn clean_up_on_signals() {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).expect("signals can be caught");
    std::thread::spawn(move || {
        let Some(signal) = signals.forever().next() else {
            return;
        };
        IS_ENDING.store(true, Ordering::SeqCst);
        end_all();
        std::process::exit(128 + signal);
    });
    // What a program says that was ended is no news.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !IS_ENDING.load(Ordering::SeqCst) {
            usual(panic);
        }
    }));
}

/// Leaves the end of this process to the signal that has come, if one has.
pub(crate) fn give_way() {
    while IS_ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

fn end_all() {
    let (groups, folders) = {
        let left = left();
        (left.groups.clone(), left.folders.clone())
    };
    for (group, signal) in &groups {
        let _ = kill_process_group(*group, *signal);
    }
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && groups.iter().any(|(leader, _)| is_running(*leader)) {
        std::thread::sleep(LOOK_AGAIN);
    }
    for (group, _) in &groups {
        let _ = kill_process_group(*group, Signal::KILL);
    }
    for folder in &folders {
        remove(folder);
    }
}

/// Whether a process is there and has not ended.
fn is_running(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Removes a folder; what is ending may still write into it.
fn remove(folder: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while std::fs::remove_dir_all(folder).is_err() && folder.exists() && Instant::now() < deadline {
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// A folder that is removed with everything in it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A new one inside `place`, for this process alone.
    pub(crate) fn new(place: &Path, name: &str) -> Self {
        let path = place.join(format!("{name}-{}", std::process::id()));
        let mut left = left_to_add();
        std::fs::create_dir_all(&path).expect("a place for files");
        left.folders.push(path.clone());
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.0);
        left().folders.retain(|folder| *folder != self.0);
    }
}

/// A program that runs, ended with all that it started.
pub(crate) struct Running {
    child: Child,
    ends_by: Signal,
}

impl Running {
    /// Starts it in a group of its own.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        Self::start_ended_by(command, Signal::TERM)
    }

    /// As `start`, for what ends well by another signal than SIGTERM.
    pub(crate) fn start_ended_by(command: &mut Command, ends_by: Signal) -> io::Result<Self> {
        // Nobody cleans up between the start and the note of it.
        let mut left = left_to_add();
        let child = command.process_group(0).spawn()?;
        let running = Self { child, ends_by };
        left.groups.push((running.leader(), ends_by));
        Ok(running)
    }

    fn leader(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Its number, by which `/proc` knows it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end: what it wrote to the pipe of its standard output, and how it ended.
    pub(crate) fn finish(mut self) -> io::Result<(String, ExitStatus)> {
        let mut said = String::new();
        if let Some(mut out) = self.child.stdout.take() {
            out.read_to_string(&mut said)?;
        }
        Ok((said, self.child.wait()?))
    }

    /// Waits until something listens on `port`; false where the program ended before or takes too long.
    pub(crate) fn listens(&mut self, port: u16) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return true;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        false
    }

    /// Ends it and waits until it has ended.
    pub(crate) fn end(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let leader = self.leader();
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(leader, self.ends_by);
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        let _ = kill_process_group(leader, Signal::KILL);
        let _ = self.child.wait();
        left().groups.retain(|(group, _)| *group != leader);
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

/// Where the program `name` is on the path, if it is.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let places = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&places).map(|place| place.join(name));
    found.find(|path| path.is_file())
}

/// The first line that a program says of itself.
pub(crate) fn first_line(command: &mut Command) -> String {
    let said = command.output().map(|output| output.stdout);
    let said = String::from_utf8(said.unwrap_or_default()).unwrap_or_default();
    said.lines().next().unwrap_or_default().trim().to_owned()
}
