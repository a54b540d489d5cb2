//! The door between processes: a Unix socket beside the ledger, open to its owner only.
//!
//! One JSON line in, the task. Lines out: `{"progress":…}` at least every other second, then one `{"report":…}` or
//! `{"failed":…}`. Served by the process that holds the ledger's lock.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::store::Error;
use crate::store::schema::beside;
use crate::store::task::{Progress, Task, TaskReport};
use crate::store::writer::Writer;

/// A holder that says nothing for this long does not answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A task is no longer than this: a review, a filter, a list of ids, or one delivery of the greatest size that settings
/// allow, in base64.
const TASK_BYTES_MAX: u64 = 96 << 20;
/// So many tasks wait at once.
const CALLERS_MAX: usize = 16;
/// All that wait are no longer than this together: one of the longest, and many of the usual ones beside it.
const WAITING_BYTES_MAX: u64 = TASK_BYTES_MAX + (16 << 20);
/// A task is there whole after this long, or is not waited for.
const ARRIVAL: Duration = Duration::from_secs(60);
/// Longer socket paths do not fit everywhere.
const NAME_BYTES_MAX: usize = 100;

/// `<database>.sock`.
pub fn socket_path(path: &Path) -> PathBuf {
    beside(path, ".sock")
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Progress(Progress),
    Report(TaskReport),
    Failed { kind: Kind, what: String },
}

/// The errors that a caller acts differently on.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Busy,
    Full,
    Unwritable,
    Refused,
}

impl Line {
    fn failed(error: &Error) -> Self {
        let (kind, what) = match error {
            Error::Busy => (Kind::Busy, String::new()),
            Error::Full(what) => (Kind::Full, what.clone()),
            Error::Unwritable(what) => (Kind::Unwritable, what.clone()),
            other => (Kind::Refused, other.to_string()),
        };
        Self::Failed { kind, what }
    }
}

/// The socket while it is served; dropping this ends it.
pub(crate) struct Served {
    path: PathBuf,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn start(ledger: &Path, writer: Writer) -> Result<Self, Error> {
        let path = socket_path(ledger);
        let failed = |source| Error::Io {
            path: path.clone(),
            cause: source,
        };
        let listener = bind(&path).map_err(failed)?;
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let thread = std::thread::Builder::new()
            .name("tasks".to_owned())
            .spawn(move || accept(&listener, &writer, &ended))
            .map_err(failed)?;
        Ok(Self {
            path,
            over,
            thread: Some(thread),
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let woken = short(&self.path, UnixStream::connect).is_ok();
        // A socket that somebody removed cannot be woken; the thread ends with the process then.
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.path);
    }
}

/// A socket at `path` that nobody but its owner could ever reach: it is made in a folder that is closed to others, and
/// appears once it is closed to them itself. The one of a holder that is gone makes way, as this process has the lock;
/// anything else that stands there stays.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "this is no socket of subledger's, and was left as it is: move it away",
            ));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let folder = beside(path, ".new");
    // Under its own name: one that is too long for whoever calls is too long here too.
    let made = folder.join(path.file_name().unwrap_or_default());
    if fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir()) {
        // One that a crash has left.
        let _ = fs::remove_file(&made);
        let _ = fs::remove_dir(&folder);
    }
    DirBuilder::new().mode(0o700).create(&folder)?;
    let bound = short(&made, UnixListener::bind).and_then(|listener| {
        fs::set_permissions(&made, Permissions::from_mode(0o600))?;
        fs::rename(&made, path)?;
        Ok(listener)
    });
    let _ = fs::remove_file(&made);
    let _ = fs::remove_dir(&folder);
    bound
}

/// Runs `work` on a name of `path` that fits a socket address.
fn short<T>(path: &Path, work: impl FnOnce(PathBuf) -> io::Result<T>) -> io::Result<T> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return work(path.to_owned());
    };
    if path.as_os_str().len() <= NAME_BYTES_MAX || !cfg!(target_os = "linux") {
        return work(path.to_owned());
    }
    let folder = File::open(parent)?;
    work(Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}

fn accept(listener: &UnixListener, writer: &Writer, over: &AtomicBool) {
    let callers = Arc::new(AtomicUsize::new(0));
    let waiting = Arc::new(AtomicU64::new(0));
    for stream in listener.incoming() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else {
            // Out of descriptors, most likely: they come back.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        if callers.fetch_add(1, Ordering::Relaxed) >= CALLERS_MAX {
            callers.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let writer = writer.clone();
        let left = Arc::clone(&callers);
        let room = Room::of(&waiting, WAITING_BYTES_MAX);
        let spawned = std::thread::Builder::new()
            .name("task".to_owned())
            .spawn(move || {
                // Whoever asked may have gone away.
                let _ = serve(&stream, &writer, room);
                left.fetch_sub(1, Ordering::Relaxed);
            });
        if spawned.is_err() {
            callers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What one caller's task takes of the room that all share; given back when this is dropped.
struct Room {
    taken: Arc<AtomicU64>,
    own: u64,
    limit: u64,
}

impl Room {
    fn of(taken: &Arc<AtomicU64>, limit: u64) -> Self {
        Self {
            taken: Arc::clone(taken),
            own: 0,
            limit,
        }
    }

    /// Takes room for so many bytes more; `false` if there is none.
    fn take(&mut self, bytes: u64) -> bool {
        let free = |taken: u64| taken.checked_add(bytes).filter(|all| *all <= self.limit);
        let is_taken = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, free)
            .is_ok();
        self.own += if is_taken { bytes } else { 0 };
        is_taken
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.own, Ordering::Relaxed);
    }
}

/// The line that a caller sends. `Error::Busy` where it does not fit beside what others send, or does not end in time.
fn arrived(
    from: impl Read,
    room: &mut Room,
    patience: Duration,
) -> io::Result<Result<Vec<u8>, Error>> {
    let begun = Instant::now();
    let mut from = BufReader::new(from).take(TASK_BYTES_MAX);
    let mut line = Vec::new();
    loop {
        let piece = from.fill_buf()?;
        let end = piece.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(piece.len(), |end| end + 1);
        if !room.take(length as u64) || begun.elapsed() > patience {
            return Ok(Err(Error::Busy));
        }
        line.extend_from_slice(&piece[..length]);
        from.consume(length);
        if end.is_some() || length == 0 {
            return Ok(Ok(line));
        }
    }
}

fn serve(stream: &UnixStream, writer: &Writer, mut room: Room) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let line = arrived(stream, &mut room, ARRIVAL)?;
    let mut out = stream;
    let line = match line {
        Ok(line) => line,
        Err(error) => return say(&mut out, &Line::failed(&error)),
    };
    let task = match serde_json::from_slice::<Task>(&line) {
        Ok(task) => task,
        Err(error) => {
            let what =
                format!("this task is not known here ({error}): is the other subledger as new?");
            return say(&mut out, &Line::failed(&Error::Refused(what)));
        }
    };
    say(&mut out, &Line::Progress(Progress::default()))?;
    let done = writer.run(task, &mut |progress| {
        // The task goes on without a listener.
        let _ = say(&mut out, &Line::Progress(progress.clone()));
    });
    match done {
        Ok(report) => say(&mut out, &Line::Report(report)),
        Err(error) => say(&mut out, &Line::failed(&error)),
    }
}

fn say(out: &mut impl Write, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    out.write_all(&text)
}

/// Hands `task` to the process that holds the lock of the ledger at `path`, and waits for it. `Error::Locked` if it
/// does not answer.
pub(crate) fn ask(
    path: &Path,
    task: &Task,
    progress: &mut dyn FnMut(&Progress),
) -> Result<TaskReport, Error> {
    let silent = || Error::Locked {
        path: path.to_owned(),
        holder: "unknown".to_owned(),
    };
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let stream = short(&socket_path(&real), UnixStream::connect).map_err(|_| silent())?;
    let mut line = serde_json::to_vec(task).map_err(|error| Error::Refused(error.to_string()))?;
    line.push(b'\n');
    stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| (&stream).write_all(&line))
        .map_err(|_| silent())?;
    for text in BufReader::new(&stream).lines() {
        let text = text.map_err(|_| silent())?;
        match serde_json::from_str(&text).map_err(|_| silent())? {
            Line::Progress(news) => progress(&news),
            Line::Report(report) => return Ok(report),
            Line::Failed { kind, what } => {
                return Err(match kind {
                    Kind::Busy => Error::Busy,
                    Kind::Full => Error::Full(what),
                    Kind::Unwritable => Error::Unwritable(what),
                    Kind::Refused => Error::Refused(what),
                });
            }
        }
    }
    Err(silent())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_share_a_room_and_give_it_back() {
        let taken = Arc::new(AtomicU64::new(0));
        let room = || Room::of(&taken, 100);
        let read = |text: &str, room: &mut Room| arrived(text.as_bytes(), room, ARRIVAL).unwrap();
        let mut half = room();
        // The caller went away: what came of it is judged as it is.
        assert_eq!(read(&"a".repeat(60), &mut half).unwrap().len(), 60);
        let mut other = room();
        assert!(matches!(
            read(&"b".repeat(60), &mut other),
            Err(Error::Busy)
        ));
        let mut small = room();
        assert_eq!(read("{}\nmore", &mut small).unwrap(), b"{}\n");
        drop(half);
        assert_eq!(read(&"b".repeat(60), &mut other).unwrap().len(), 60);
        drop((other, small));
        assert_eq!(taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_socket_appears_closed_to_others_and_takes_the_place_of_a_dead_one_only() {
        let dir = tempfile::tempdir().unwrap();
        // Longer than what fits a socket's address.
        let dir = dir.path().join("l".repeat(120));
        let path = dir.join("a.db.sock");
        fs::create_dir_all(beside(&path, ".new")).unwrap();
        for _ in 0..2 {
            let listener = bind(&path).unwrap();
            let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert!(short(&path, UnixStream::connect).is_ok());
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
            drop(listener);
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        let error = bind(&path).unwrap_err().to_string();
        assert!(error.contains("move it away"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_task_that_does_not_end_is_given_up() {
        struct Drip;
        impl Read for Drip {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                to[0] = b'x';
                Ok(1)
            }
        }
        let taken = Arc::new(AtomicU64::new(0));
        let mut room = Room::of(&taken, u64::MAX);
        let given_up = arrived(Drip, &mut room, Duration::ZERO).unwrap();
        assert!(matches!(given_up, Err(Error::Busy)));
    }
}
