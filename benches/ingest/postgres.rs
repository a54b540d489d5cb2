//! PostgreSQL as it is installed: a new cluster with default settings, which syncs every commit, on a private socket; 64
//! clients of `pgbench` insert the same bodies.
//!
//! The body goes over as the parameter of a prepared statement, which costs it least. No HTTP, no key, no parsing.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::load::Load;
use crate::processes::{Folder, Running, first_line, program};
use crate::rivals::{Absent, Contest, Fared};

/// Where Debian keeps the programs, one folder a version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// A script for every body; pgbench takes at most 128.
const SCRIPTS_MAX: usize = 64;
const TABLE: &str = "create table deliveries (seq bigint generated always as identity primary key, \
    received_at timestamptz not null default now(), body text not null)";
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The folder with `initdb` and the others.
fn programs() -> Option<PathBuf> {
    let has_all = |folder: &PathBuf| {
        let all = ["initdb", "postgres", "psql", "pgbench"];
        all.iter().all(|name| folder.join(name).is_file())
    };
    let on_path = program("initdb").and_then(|initdb| initdb.parent().map(Path::to_owned));
    if on_path.as_ref().is_some_and(has_all) {
        return on_path;
    }
    let version = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        name.parse::<u32>().ok()
    };
    let found = fs::read_dir(VERSIONS).ok()?;
    let folders = found.flatten().map(|entry| entry.path());
    let whole = folders.filter(|path| has_all(&path.join("bin")));
    let newest = whole.max_by_key(|path| version(path))?;
    Some(newest.join("bin"))
}

/// What it says of itself.
pub(crate) fn version() -> Option<String> {
    let said = first_line(Command::new(programs()?.join("postgres")).arg("--version"));
    Some(said.replace("postgres (PostgreSQL)", "PostgreSQL"))
}

/// Whom the server runs as: it refuses root.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Nobody else, or where this is root, `postgres` or else `nobody`.
    fn found() -> Result<Option<Self>, Absent> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let named = |name: &str| {
            let prefix = format!("{name}:");
            let line = users.lines().find(|line| line.starts_with(&prefix))?;
            let mut fields = line.split(':').skip(2);
            Some(Self {
                uid: fields.next()?.parse().ok()?,
                gid: fields.next()?.parse().ok()?,
            })
        };
        let user = named("postgres").or_else(|| named("nobody"));
        user.map(Some).ok_or_else(|| {
            Absent::Skipped("PostgreSQL refuses root, and there is no other user".to_owned())
        })
    }
}

/// A cluster that runs.
struct Cluster {
    programs: PathBuf,
    user: Option<User>,
    socket: Folder,
    folder: PathBuf,
}

impl Cluster {
    /// A folder for it in `folder`, and one for its socket, whose path must be short.
    fn new(folder: &Path) -> Result<Self, Absent> {
        let programs = programs().ok_or_else(|| Absent::not_installed("PostgreSQL"))?;
        let cluster = Self {
            programs,
            user: User::found()?,
            socket: Folder::new(&std::env::temp_dir(), "subledger-pg"),
            folder: folder.join("postgres"),
        };
        fs::create_dir_all(&cluster.folder)?;
        for folder in [&cluster.folder, cluster.socket.path()] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
            if let Some(user) = cluster.user {
                chown(folder, Some(user.uid), Some(user.gid))?;
            }
        }
        Ok(cluster)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
            .current_dir("/")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// A client's, which speaks to the server.
    fn client(&self, name: &str) -> Command {
        let mut command = self.command(name);
        command
            .env("PGHOST", self.socket.path())
            .env("PGUSER", "bench")
            .env("PGDATABASE", "postgres");
        command
    }

    fn start(&self) -> Result<Running, Absent> {
        let mut initdb = self.command("initdb");
        initdb
            .args([
                "--auth",
                "trust",
                "--username",
                "bench",
                "--encoding",
                "UTF8",
            ])
            .arg("--pgdata")
            .arg(&self.folder)
            .stderr(Stdio::piped());
        let made = initdb.output()?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr).trim().to_owned();
            return Err(Absent::Skipped(format!(
                "no cluster can be made for it here: {said}"
            )));
        }
        let mut server = self.command("postgres");
        server
            .arg("-D")
            .arg(&self.folder)
            .arg("-k")
            .arg(self.socket.path())
            .args(["-c", "listen_addresses="]);
        let server = Running::start_ended_by(&mut server, Signal::QUIT)?;
        let deadline = Instant::now() + PATIENCE;
        while !self.client("psql").args(["-c", TABLE]).status()?.success() {
            if Instant::now() > deadline {
                return Err(Absent::Failed("PostgreSQL does not answer".to_owned()));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(server)
    }
}

/// Rows per second of `pgbench` with as many clients as the contest has connections.
pub(crate) fn postgres(contest: &Contest<'_>) -> Fared {
    let cluster = Cluster::new(contest.folder)?;
    let server = cluster.start()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut bench = cluster.client("pgbench");
    bench
        .args(["--no-vacuum", "--protocol", "prepared"])
        .args(["--client", &contest.connections.to_string()])
        .args(["--jobs", &cores.to_string()])
        .args(["--time", &contest.time.as_secs().to_string()])
        .stdout(Stdio::piped());
    // Neither an argument nor its text can hold a zero.
    let bodies = contest.requests.samples.iter();
    let bodies = bodies.filter(|body| !body.contains(&0)).take(SCRIPTS_MAX);
    for (number, body) in bodies.enumerate() {
        let script = cluster.socket.path().join(format!("insert-{number}.sql"));
        fs::write(
            &script,
            format!("insert into deliveries (body) values (:body{number})\n"),
        )?;
        let body = String::from_utf8_lossy(body);
        bench.arg("--file").arg(script);
        bench.arg(format!("--define=body{number}={body}"));
    }
    let (said, status) = Running::start(&mut bench)?.finish()?;
    server.end();
    read(&said)
        .ok_or_else(|| Absent::Failed(format!("pgbench ended with {status} and said {said:?}")))
}

/// The figures that pgbench prints; it knows no median, so its mean stands for it.
fn read(said: &str) -> Option<Load> {
    let after = |word: &str| {
        let rest = said.lines().find_map(|line| line.strip_prefix(word))?;
        rest.split_whitespace().next()?.parse::<f64>().ok()
    };
    let answered = after("number of transactions actually processed: ")?;
    let per_second = after("tps = ")?;
    let failed = after("number of failed transactions: ").unwrap_or(0.0);
    let mean = Duration::try_from_secs_f64(after("latency average = ")? / 1e3).ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts, as pgbench prints them"
    )]
    Some(Load {
        answered: answered as u64,
        refused: failed as u64,
        broken: 0,
        took: Duration::try_from_secs_f64(answered / per_second).ok()?,
        p50: mean,
        p99: Duration::ZERO,
    })
}
