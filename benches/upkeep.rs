//! Import, `verify` and `rebuild` of a large ledger through the built program, beside what the machine could do at most.
//!
//! In one run, on one ledger of the demo's year: import of its export, the chain alone, all of `verify`, a rebuild that
//! compares, one that mends, and the answers that a receiver gives meanwhile; beside them SHA-256 over the same bytes
//! and SQLite's own check of the same file. Figures are ratios within the run. `EVENTS=n cargo bench --bench upkeep`
//! says how many events (default 100,000; the promise is about 1,000,000). The ledger is kept under the target directory.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use subledger::store::{Mode, connect};

/// The end of the made-up year: a bench knows no today.
const UNTIL: &str = "2026-06-30T09:00:00Z";
const PATH_KEY: &str = "k_bench_bench_bench_bench";
/// The receiver is sent one webhook after another, this long apart.
const EVERY: Duration = Duration::from_millis(10);

/// A throw-away home with settings, and the files of the run.
struct Place {
    home: PathBuf,
    port: u16,
}

impl Place {
    fn new(home: PathBuf) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let settings = format!(
            "[receiver]\nlisten = \"127.0.0.1:{port}\"\n[display]\ntimezone = \"UTC\"\n\
             [providers.zotlo]\npath_key = \"{PATH_KEY}\"\n"
        );
        fs::create_dir_all(&home).expect("a place for files");
        let file = home.join("settings.toml");
        fs::write(&file, settings).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a file of ours");
        Self { home, port }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// The built program, on the database `db`.
    fn command(&self, db: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_subledger"));
        command
            .env("HOME", &self.home)
            .env("XDG_DATA_HOME", self.home.join("data"))
            .env("XDG_CONFIG_HOME", &self.home)
            .env("XDG_STATE_HOME", &self.home)
            .env("SUBLEDGER_CONFIG", self.file("settings.toml"))
            .env("SUBLEDGER_DB", self.file(db))
            .args(args)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// How long the program takes; it must end well.
    fn took(&self, db: &str, args: &[&str], to: Stdio) -> Duration {
        let begun = Instant::now();
        let status = self.command(db, args).stdout(to).status();
        let took = begun.elapsed();
        assert!(
            status.is_ok_and(|status| status.success()),
            "{args:?} failed"
        );
        took
    }
}

/// Prints one row; the rate.
fn row(name: &str, count: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = count as f64 / took.as_secs_f64();
    println!("{name:<52} {:>8.1} s {rate:>10.0}/s", took.as_secs_f64());
    rate
}

fn remove(path: &Path) {
    for ending in ["", "-wal", "-shm", ".lock", ".sock"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        let _ = fs::remove_file(PathBuf::from(name));
    }
}

/// The year and its export, unless an earlier run left them.
fn make(place: &Place, events: &str) -> u64 {
    let (db, list) = (place.file("year.db"), place.file("year.ndjson"));
    if !list.exists() {
        remove(&db);
        let out = db.display().to_string();
        let args = ["demo", "--events", events, "--until", UNTIL, "--out", &out];
        let took = place.took("none.db", &args, Stdio::null());
        let unfinished = place.file("year.part");
        let to = File::create(&unfinished).expect("a file");
        let exported = place.took("year.db", &["export", "--deliveries"], to.into());
        fs::rename(unfinished, &list).expect("a file");
        let count = count(&db);
        row("made: demo", count, took);
        row("export --deliveries", count, exported);
    }
    count(&db)
}

fn count(db: &Path) -> u64 {
    let conn = connect(db, Mode::Read).expect("a ledger");
    let count: i64 = conn
        .query_row("select count(*) from deliveries", [], |row| row.get(0))
        .expect("a count");
    count.unsigned_abs()
}

/// SHA-256 over every body once, as the chain does at least.
fn hash_bodies(db: &Path) {
    let conn = connect(db, Mode::Read).expect("a ledger");
    let mut statement = conn
        .prepare("select cast(body as blob) from deliveries order by seq")
        .expect("a statement");
    let mut rows = statement.query([]).expect("rows");
    let mut hash = Sha256::new();
    while let Some(row) = rows.next().expect("a row") {
        let body = row.get_ref(0).expect("a body");
        hash.update(body.as_blob_or_null().ok().flatten().unwrap_or_default());
    }
    assert_ne!(hash.finalize()[..], [0; 32]);
}

fn integrity(db: &Path) {
    let conn = connect(db, Mode::Read).expect("a ledger");
    let says: String = conn
        .query_row("pragma integrity_check", [], |row| row.get(0))
        .expect("an answer");
    assert_eq!(says, "ok");
}

/// A running receiver.
struct Serving(Child);

impl Serving {
    fn start(place: &Place) -> Self {
        let child = place
            .command("copy.db", &["serve"])
            .stdout(Stdio::null())
            .spawn();
        let serving = Self(child.expect("the program starts"));
        while post(place.port, 0).is_none() {
            std::thread::sleep(EVERY);
        }
        serving
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// How long the answer to one webhook took; `None` if it is no 200.
fn post(port: u16, number: usize) -> Option<Duration> {
    let body = format!(
        r#"{{"clientUuid":"bench-{number}","country":"TR","storeRegister":false,"subscriberId":"bench{number}@example.org","subscriberName":"Reader","appId":1,"registerDate":"2026-06-01 04:05:06"}}"#
    );
    let request = format!(
        "POST /hooks/zotlo/events/{PATH_KEY} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let begun = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then(|| begun.elapsed())
}

/// Posts one webhook after another until `work` is done, and prints what the answers took.
fn with_posts(place: &Place, name: &str, work: impl FnOnce() -> Duration + Send) -> Duration {
    let done = AtomicBool::new(false);
    let (took, mut answers, refused) = std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            let took = work();
            done.store(true, Ordering::Relaxed);
            took
        });
        let (mut answers, mut refused) = (Vec::new(), 0);
        for number in 1_usize.. {
            if done.load(Ordering::Relaxed) {
                break;
            }
            match post(place.port, number) {
                Some(took) => answers.push(took),
                None => refused += 1,
            }
            std::thread::sleep(EVERY);
        }
        (working.join().expect("it ends"), answers, refused)
    });
    answers.sort_unstable();
    let at = |part: usize| {
        answers
            .get(answers.len() * part / 1000)
            .map_or(0.0, |took| took.as_secs_f64() * 1e3)
    };
    println!(
        "{name:<52} {} answers, {refused} refused; p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
        answers.len(),
        at(500),
        at(990),
        at(999)
    );
    took
}

fn main() {
    let events = std::env::var("EVENTS").unwrap_or_else(|_| "100000".to_owned());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("upkeep-{events}"));
    let place = Place::new(folder);
    let count = make(&place, &events);
    let (list, db) = (place.file("year.ndjson"), place.file("copy.db"));
    remove(&db);
    let list = list.display().to_string();
    let took = place.took("copy.db", &["import", &list], Stdio::null());
    let bytes = fs::metadata(&db).expect("a ledger").len();
    println!(
        "{count} deliveries of about {events} events, {} MiB",
        bytes >> 20
    );
    row("import", count, took);
    let begun = Instant::now();
    hash_bodies(&db);
    let hashed = row("SHA-256 over all bodies", count, begun.elapsed());
    let begun = Instant::now();
    integrity(&db);
    let checked = row("pragma integrity_check", count, begun.elapsed());
    let run = |args: &[&str]| place.took("copy.db", args, Stdio::null());
    let chain = row(
        "verify --deliveries",
        count,
        run(&["verify", "--deliveries"]),
    );
    let whole = row("verify", count, run(&["verify"]));
    row("rebuild --check", count, run(&["rebuild", "--check"]));
    row("rebuild, nothing differs", count, run(&["rebuild"]));
    println!(
        "verify takes {:.1} times SHA-256 and integrity_check together; without the lists {:.1} times",
        (1.0 / whole) / (1.0 / hashed + 1.0 / checked),
        (1.0 / chain) / (1.0 / hashed + 1.0 / checked)
    );
    println!(
        "at this rate a million deliveries are verified in {:.0} s (promised: under 60)",
        1e6 / whole
    );
    let serving = Serving::start(&place);
    with_posts(&place, "answers while nothing else happens", || {
        std::thread::sleep(Duration::from_secs(5));
        Duration::from_secs(5)
    });
    let took = with_posts(&place, "answers during a rebuild", || run(&["rebuild"]));
    row("rebuild by the receiver meanwhile", count, took);
    drop(serving);
}
