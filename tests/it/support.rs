//! A home of its own for each test: settings, a ledger, a port, and the built binary.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// So long a test waits for something that should happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A path key that every test home uses.
pub(crate) const PATH_KEY: &str = "k_testtesttesttesttesttesttest";

/// All that is folded out of the deliveries.
pub(crate) const FOLDED: [&str; 9] = [
    "events",
    "users",
    "user_aliases",
    "subscriptions",
    "cancellations",
    "consents",
    "consent_changes",
    "payments",
    "daily",
];

/// Sends a signal to a child that has not been waited for.
pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// A disk of its own, in memory, gone when dropped.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// One of `kib` at the folder `path`, made where it is not there; `None`, and a word about it, where this user may
    /// not mount one.
    pub(crate) fn of(path: &Path, kib: usize) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let mounted = Self::mount(&format!("size={kib}k"), path);
        if !mounted {
            eprintln!("skipped: this user may mount no disk of its own");
        }
        mounted.then(|| Self(path.to_owned()))
    }

    /// From here on nothing can be written to it.
    pub(crate) fn close(&self) {
        assert!(Self::mount("remount,ro", &self.0));
    }

    /// It can be written to again.
    pub(crate) fn reopen(&self) {
        assert!(Self::mount("remount,rw", &self.0));
    }

    fn mount(options: &str, path: &Path) -> bool {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(path)
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

/// A home directory with settings for all four providers.
pub(crate) struct Home {
    folder: TempDir,
    /// Where its receiver listens.
    pub(crate) port: u16,
}

impl Home {
    /// A home whose providers have a path key each, and `more` settings at the end of the file.
    pub(crate) fn with_settings(more: &str) -> Self {
        use std::fmt::Write as _;
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut text =
            format!("[receiver]\nlisten = \"127.0.0.1:{port}\"\n[display]\ntimezone = \"UTC\"\n");
        for provider in ["conscent", "klustr", "expressconsent", "zotlo"] {
            writeln!(text, "[providers.{provider}]\npath_key = \"{PATH_KEY}\"").unwrap();
        }
        text.push_str(more);
        let config = folder.path().join("config/subledger");
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("subledger.toml"), text).unwrap();
        std::fs::set_permissions(
            config.join("subledger.toml"),
            std::fs::Permissions::from_mode(0o600),
        )
        .unwrap();
        Self { folder, port }
    }

    /// A home with nothing but path keys.
    pub(crate) fn new() -> Self {
        Self::with_settings("")
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the ledger is or will be.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.path().join("data/subledger/subledger.db")
    }

    /// The built binary in this home.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_subledger")), args)
    }

    /// Another program in this home.
    pub(crate) fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("XDG_DATA_HOME", self.path().join("data"))
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env("TERM", "xterm-256color");
        command
    }

    /// Runs a command with nothing on stdin.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// What a command writes on stdout, which must not fail.
    #[track_caller]
    pub(crate) fn done(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command with these words on stdin.
    pub(crate) fn given(&self, args: &[&str], words: &str) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that refuses at once does not read.
        let _ = child.stdin.take().unwrap().write_all(words.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Starts `serve` and waits until it answers.
    pub(crate) fn serve(&self) -> Serving {
        let child = self
            .command(&["serve"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Serving::wait(child, self.port)
    }

    /// A plain connection to the ledger.
    #[expect(
        clippy::disallowed_methods,
        reason = "as any other program opens it, without the store"
    )]
    pub(crate) fn open(&self) -> Connection {
        Connection::open(self.ledger()).unwrap()
    }

    /// One number out of the ledger.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.open().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// A running receiver, killed when dropped.
pub(crate) struct Serving {
    pub(crate) child: Child,
    pub(crate) port: u16,
}

impl Serving {
    /// `child`, once it answers on `port`.
    pub(crate) fn wait(child: Child, port: u16) -> Self {
        let mut serving = Self { child, port };
        let deadline = Instant::now() + PATIENCE;
        while serving
            .get("/livez")
            .is_none_or(|(status, _)| status != 200)
        {
            assert!(Instant::now() < deadline, "the receiver does not answer");
            if let Some(status) = serving.child.try_wait().unwrap() {
                panic!("the receiver ended: {status}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        serving
    }

    /// Posts `body` to a hook by its path key: status and body of the answer, `None` if none came.
    pub(crate) fn post(&self, provider: &str, hook: &str, body: &[u8]) -> Option<(u16, String)> {
        self.request(
            "POST",
            &format!("/hooks/{provider}/{hook}/{PATH_KEY}"),
            "",
            body,
        )
    }

    /// A GET.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        self.request("GET", path, "", b"")
    }

    /// One request on a connection of its own; `headers` end in CRLF each.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    /// Asks it to stop and waits: its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        signal(&self.child, Signal::TERM);
        self.child.wait().unwrap().code()
    }

    /// `kill -9`, and waits.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
