//! The receiver as a service: what it tells systemd, the sockets that systemd passes, and `service` itself against a
//! systemd of one unit, made of shell scripts that note every call.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Home, PATH_KEY, PATIENCE, Serving};

/// Whoever started the receiver and hears what it tells.
struct Ear {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Ear {
    fn new(home: &Home) -> Self {
        let path = home.path().join("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path }
    }

    fn serve(&self, home: &Home) -> Command {
        let mut command = home.command(&["serve"]);
        command
            .env("NOTIFY_SOCKET", &self.path)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let len = self.socket.recv(&mut bytes).expect("nothing was told");
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    }

    /// Everything that is told up to the word that has `wanted` in it.
    fn until(&self, wanted: &str) -> Vec<String> {
        let mut heard = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            heard.push(self.next());
            if heard.last().is_some_and(|last| last.contains(wanted)) {
                return heard;
            }
            assert!(Instant::now() < deadline, "no {wanted}: {heard:?}");
        }
    }

    /// What was told and not heard yet.
    fn rest(&self) -> Vec<String> {
        let mut heard = Vec::new();
        let mut bytes = [0; 4096];
        self.socket.set_nonblocking(true).unwrap();
        while let Ok(len) = self.socket.recv(&mut bytes) {
            heard.push(String::from_utf8(bytes[..len].to_vec()).unwrap());
        }
        self.socket.set_nonblocking(false).unwrap();
        heard
    }
}

fn signal(serving: &Serving, name: &str) {
    let pid = serving.child.id().to_string();
    let sent = Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(sent.success());
}

fn registration(reader: &str) -> Vec<u8> {
    format!(
        r#"{{"clientUuid":"c-{reader}","country":"TR","storeRegister":false,"subscriberId":"{reader}@example.org","subscriberName":"Reader","appId":1,"registerDate":"2026-02-03 04:05:06"}}"#
    )
    .into_bytes()
}

fn settings_of(home: &Home) -> PathBuf {
    home.path().join("config/subledger/subledger.toml")
}

fn stderr_of(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

fn stdout_of(done: &Output) -> String {
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn ready_is_told_when_the_port_is_open_and_a_commit_succeeded() {
    let home = Home::new();
    let ear = Ear::new(&home);
    let child = ear.serve(&home).spawn().unwrap();
    let first = ear.next();
    assert_eq!(first, "READY=1\n");
    assert_eq!(
        home.number("select count(*) from meta where key = 'probe_at'"),
        1
    );
    let serving = Serving::wait(child, home.port);
    assert_eq!(serving.get("/readyz").unwrap().0, 200);
    ear.until("STATUS=0 deliveries kept");
    serving.post("zotlo", "events", &registration("a")).unwrap();
    ear.until("STATUS=1 delivery kept");
    signal(&serving, "-TERM");
    let heard = ear.until("STOPPING=1");
    assert!(
        heard.last().unwrap().contains("STATUS=answering"),
        "{heard:?}"
    );
    assert_eq!(serving.terminate(), Some(0));
}

#[test]
fn a_hang_up_takes_settings_that_hold_and_no_others() {
    let home = Home::new();
    let ear = Ear::new(&home);
    let log = home.path().join("log");
    let child = ear
        .serve(&home)
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    ear.until("READY=1");
    let serving = Serving::wait(child, home.port);
    let good = fs::read_to_string(settings_of(&home)).unwrap();
    let new_key = "k_newnewnewnewnewnewnewnewnewnew";
    let at = |key: &str| format!("/hooks/zotlo/events/{key}");

    fs::write(settings_of(&home), good.replace(PATH_KEY, new_key)).unwrap();
    signal(&serving, "-HUP");
    let heard = ear.until("RELOADING=1");
    assert!(heard.last().unwrap().contains("\nMONOTONIC_USEC="));
    ear.until("READY=1");
    assert_eq!(
        serving.request("GET", &at(new_key), "", b"").unwrap().0,
        200
    );
    assert_ne!(
        serving.request("GET", &at(PATH_KEY), "", b"").unwrap().0,
        200
    );

    fs::write(settings_of(&home), format!("{good}\nnonsense = 1\n")).unwrap();
    signal(&serving, "-HUP");
    ear.until("RELOADING=1");
    ear.until("READY=1");
    assert_eq!(
        serving.request("GET", &at(new_key), "", b"").unwrap().0,
        200
    );
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("the old settings stay in force"), "{log}");
    assert!(log.contains("nonsense"), "{log}");
    assert!(
        !log.contains(new_key) && !log.contains(PATH_KEY),
        "a key in the log"
    );
    // The same over the door beside the database; its failure is the command's.
    let done = home.command(&["reload"]).output().unwrap();
    assert_eq!(done.status.code(), Some(2), "{}", stderr_of(&done));
}

#[test]
fn no_sign_of_life_is_given_while_nothing_can_be_committed() {
    let home = Home::new();
    let ear = Ear::new(&home);
    let child = ear
        .serve(&home)
        .env("WATCHDOG_USEC", "400000")
        .spawn()
        .unwrap();
    ear.until("READY=1");
    ear.until("WATCHDOG=1");
    let serving = Serving::wait(child, home.port);
    let conn = home.open();
    conn.execute_batch("begin immediate").unwrap();
    // Whoever waits for its 200 makes the writer try.
    let (status, _) = serving.post("zotlo", "events", &registration("a")).unwrap();
    assert_eq!(status, 503);
    ear.until("STATUS=the ledger cannot be written");
    let _ = ear.rest();
    let (status, _) = serving.post("zotlo", "events", &registration("a")).unwrap();
    assert_eq!(status, 503);
    let silence = ear.rest();
    assert!(
        !silence.iter().any(|told| told.contains("WATCHDOG")),
        "{silence:?}"
    );
    conn.execute_batch("rollback").unwrap();
    ear.until("WATCHDOG=1");
    assert_eq!(serving.terminate(), Some(0));
}

#[test]
fn a_watchdog_for_another_process_is_none_of_ours() {
    let home = Home::new();
    let ear = Ear::new(&home);
    let child = ear
        .serve(&home)
        .env("WATCHDOG_USEC", "100000")
        .env("WATCHDOG_PID", "1")
        .spawn()
        .unwrap();
    let mut heard = ear.until("READY=1");
    heard.extend(ear.until("STATUS=0 deliveries"));
    let serving = Serving::wait(child, home.port);
    serving.post("zotlo", "events", &registration("a")).unwrap();
    heard.extend(ear.until("STATUS=1 delivery"));
    assert!(
        !heard.iter().any(|told| told.contains("WATCHDOG")),
        "{heard:?}"
    );
}

#[test]
fn whoever_asks_systemd_hears_why_it_did_not_start() {
    let home = Home::with_settings("nonsense = 1\n");
    let ear = Ear::new(&home);
    let status = ear.serve(&home).status().unwrap();
    assert_eq!(status.code(), Some(2));
    let told = ear.next();
    assert!(told.starts_with("STATUS=did not start: "), "{told}");
    assert!(told.contains("nonsense"), "{told}");
    // A listener that is gone keeps nobody from receiving.
    let home = Home::new();
    let child = home
        .command(&["serve"])
        .env("NOTIFY_SOCKET", home.path().join("nobody"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let serving = Serving::wait(child, home.port);
    assert_eq!(serving.terminate(), Some(0));
}

/// Starts `serve` with up to two sockets passed as 3 and 4.
fn serve_on(home: &Home, first: OwnedFd, second: Option<OwnedFd>) -> Child {
    let count = 1 + usize::from(second.is_some());
    let script = format!(
        "exec 3<&0 4<&1 0</dev/null 1>/dev/null; LISTEN_PID=$$ LISTEN_FDS={count} exec \"$0\" serve"
    );
    let serve = home.command(&[]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .arg(serve.get_program())
        .env_clear();
    for (name, value) in serve.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell
        .stdin(Stdio::from(first))
        .stdout(second.map_or_else(Stdio::null, Stdio::from))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn passed(listener: &TcpListener) -> OwnedFd {
    listener.try_clone().unwrap().into()
}

#[test]
fn webhooks_that_come_while_it_starts_again_are_served() {
    let home = Home::new();
    let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = [0, 1].map(|place: usize| sockets[place].local_addr().unwrap().port());
    let start = || {
        let child = serve_on(&home, passed(&sockets[0]), Some(passed(&sockets[1])));
        Serving::wait(child, ports[0])
    };
    let serving = start();
    assert_eq!(
        serving
            .post("zotlo", "events", &registration("a"))
            .unwrap()
            .0,
        200
    );
    let also = TcpStream::connect(("127.0.0.1", ports[1])).unwrap();
    assert_eq!(ask(also, &registration("b")).unwrap(), 200);
    assert!(
        TcpStream::connect(("127.0.0.1", home.port)).is_err(),
        "the settings' own port was opened, too"
    );
    let status = home.command(&["status", "--json"]).output().unwrap();
    let listen = format!("\"listen\":\"127.0.0.1:{}\"", ports[0]);
    assert!(
        stdout_of(&status).contains(&listen),
        "{}",
        stdout_of(&status)
    );

    serving.kill();
    let queued = ports.map(|port| TcpStream::connect(("127.0.0.1", port)).unwrap());
    let senders: Vec<_> = queued
        .into_iter()
        .enumerate()
        .map(|(number, stream)| {
            let body = registration(&format!("killed{number}"));
            std::thread::spawn(move || ask(stream, &body))
        })
        .collect();
    let serving = start();
    for sender in senders {
        assert_eq!(sender.join().unwrap(), Some(200));
    }

    // Told to stop in good order, it leaves what queues to the next one.
    assert_eq!(serving.terminate(), Some(0));
    let stream = TcpStream::connect(("127.0.0.1", ports[0])).unwrap();
    let sender = std::thread::spawn(move || ask(stream, &registration("stopped")));
    let serving = start();
    assert_eq!(sender.join().unwrap(), Some(200));
    assert_eq!(serving.terminate(), Some(0));
    assert_eq!(home.number("select count(*) from deliveries"), 5);
}

/// Posts `body` on a connection that is open: the status.
fn ask(mut stream: TcpStream, body: &[u8]) -> Option<u16> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = format!(
        "POST /hooks/zotlo/events/{PATH_KEY} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

#[test]
fn only_listening_tcp_sockets_are_taken() {
    let home = Home::new();
    let unix = UnixListener::bind(home.path().join("s")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    for (socket, says) in [
        (OwnedFd::from(unix), "is no TCP socket"),
        (OwnedFd::from(connected), "does not listen"),
    ] {
        let done = serve_on(&home, socket, None).wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(2));
        assert!(stderr_of(&done).contains(says), "{}", stderr_of(&done));
        assert!(stderr_of(&done).contains("ListenStream"));
    }
    assert!(!home.ledger().exists(), "something was opened");
}

#[test]
fn a_receiver_that_cannot_start_on_passed_sockets_takes_no_connection_with_it() {
    let home = Home::new();
    let good = fs::read_to_string(settings_of(&home)).unwrap();
    fs::write(settings_of(&home), "nonsense = 1\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let sender = std::thread::spawn(move || ask(stream, &registration("a")));
    let done = serve_on(&home, passed(&listener), None)
        .wait_with_output()
        .unwrap();
    assert_eq!(done.status.code(), Some(2), "{}", stderr_of(&done));
    fs::write(settings_of(&home), good).unwrap();
    let serving = Serving::wait(serve_on(&home, passed(&listener), None), port);
    assert_eq!(sender.join().unwrap(), Some(200));
    assert_eq!(serving.terminate(), Some(0));
}

const SYSTEMCTL: &str = r#"#!/bin/sh
echo "systemctl $*" >> "$FAKE/calls"
[ -e "$FAKE/nobody" ] && { echo 'Failed to connect to bus: No medium found' >&2; exit 1; }
[ "$1" = --user ] || exit 1
shift
unit=$XDG_CONFIG_HOME/systemd/user/subledger.service
alive() { [ -e "$FAKE/pid" ] && kill -0 "$(cat "$FAKE/pid")" 2>/dev/null; }
halt() {
  alive && kill -TERM "$(cat "$FAKE/pid")"
  tries=0
  while alive && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
  rm -f "$FAKE/pid"
}
case $1 in
  show-environment | daemon-reload | reset-failed) ;;
  show)
    if [ -e "$unit" ]; then
      echo LoadState=loaded
      echo "FragmentPath=$unit"
      [ -e "$FAKE/enabled" ] && echo UnitFileState=enabled || echo UnitFileState=disabled
    else
      echo LoadState=not-found
    fi
    echo NRestarts=3
    if alive; then
      echo ActiveState=active
      echo SubState=running
      echo "MainPID=$(cat "$FAKE/pid")"
      echo 'StatusText=7 deliveries kept'
      echo 'ActiveEnterTimestamp=Sat 2026-11-21 06:23:57 UTC'
    else
      echo ActiveState=inactive
      echo SubState=dead
      echo MainPID=0
      [ -e "$FAKE/broken" ] && echo 'StatusText=did not start: port 9 is in use by another program'
    fi
    ;;
  enable) touch "$FAKE/enabled" ;;
  disable) rm -f "$FAKE/enabled"; halt ;;
  stop) halt ;;
  start | restart)
    halt
    [ -e "$FAKE/broken" ] && { echo 'Job for subledger.service failed.' >&2; exit 1; }
    [ -e "$FAKE/interrupted" ] && { kill -INT $PPID; exit 130; }
    start=$(sed -n 's/^ExecStart=//p' "$unit")
    setsid sh -c "echo \$\$ > '$FAKE/pid'; exec $start" < /dev/null > /dev/null 2>&1 &
    ;;
  *) echo "Unknown command verb '$1'." >&2; exit 1 ;;
esac
exit 0
"#;

const LOGINCTL: &str = r#"#!/bin/sh
echo "loginctl $*" >> "$FAKE/calls"
case "$*" in
  show-user*) [ -e "$FAKE/lingers" ] && echo Linger=yes || echo Linger=no ;;
  *enable-linger) [ -e "$FAKE/denied" ] && exit 1; touch "$FAKE/lingers" ;;
esac
exit 0
"#;

const JOURNALCTL: &str = "#!/bin/sh\n\
    printf 'receiving\\n\\033[31mred\\nsubledger: port 9 is in use by another program\\n'\n";

/// A home with a systemd that has room for one unit.
struct Machine {
    home: Home,
    fake: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let home = Home::new();
        let fake = home.path().join("fake");
        fs::create_dir(&fake).unwrap();
        for (name, text) in [
            ("systemctl", SYSTEMCTL),
            ("loginctl", LOGINCTL),
            ("journalctl", JOURNALCTL),
        ] {
            let path = fake.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { home, fake }
    }

    fn run(&self, args: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        self.home
            .command(args)
            .env("PATH", format!("{}:{path}", self.fake.display()))
            .env("FAKE", &self.fake)
            .env("USER", "publisher")
            .output()
            .unwrap()
    }

    /// Installs this build: tests have no other.
    fn install(&self) -> Output {
        self.run(&[
            "service",
            "install",
            "--program",
            env!("CARGO_BIN_EXE_subledger"),
        ])
    }

    /// From here on `name` holds: `nobody`, `broken`, `denied`.
    fn now(&self, name: &str) {
        fs::write(self.fake.join(name), "").unwrap();
    }

    /// What was called and changed something, since last asked.
    fn calls(&self) -> Vec<String> {
        let path = self.fake.join("calls");
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::remove_file(&path).ok();
        text.lines()
            .filter(|line| !line.contains(" show"))
            .map(str::to_owned)
            .collect()
    }

    fn unit(&self) -> PathBuf {
        self.home
            .path()
            .join("config/systemd/user/subledger.service")
    }

    fn pid(&self) -> Option<String> {
        fs::read_to_string(self.fake.join("pid")).ok()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = Command::new("kill").args(["-9", pid.trim()]).status();
        }
    }
}

#[test]
fn a_service_is_installed_asked_stopped_and_uninstalled() {
    let machine = Machine::new();
    let done = machine.install();
    let talk = stderr_of(&done);
    assert_eq!(done.status.code(), Some(0), "{talk}");
    assert!(done.stdout.is_empty());
    let calls = machine.calls();
    assert_eq!(
        calls,
        [
            "systemctl --user daemon-reload",
            "systemctl --user enable subledger.service",
            "systemctl --user restart subledger.service",
            "loginctl --no-ask-password enable-linger",
        ]
    );
    for call in &calls {
        assert!(talk.contains(&format!("$ {call}\n")), "{call} in {talk}");
    }
    assert!(talk.contains(&format!("write {}", machine.unit().display())));
    let unit = fs::read_to_string(machine.unit()).unwrap();
    assert!(unit.contains("Type=notify\n") && unit.contains("RestartPreventExitStatus=2\n"));

    let status = machine.run(&["service", "status"]);
    let says = stdout_of(&status);
    assert_eq!(status.status.code(), Some(0), "{says}");
    for word in [
        "starts with the machine",
        "7 deliveries kept",
        "restarts   3",
        "lingering  yes",
        "\\u{1b}[31mred",
    ] {
        let shown = says.contains(word) || (word.contains("red") && !says.contains('\x1b'));
        assert!(shown, "{word} in {says}");
    }
    let json = stdout_of(&machine.run(&["service", "status", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["installed"], true);
    assert_eq!(json[0]["lingers"], true);
    assert_eq!(json[0]["restarts"], 3);
    let status = stdout_of(&machine.run(&["status"]));
    assert!(status.contains("as a service of this user"), "{status}");
    let doctor = stdout_of(&machine.run(&["doctor"]));
    assert!(doctor.contains("installed, active"), "{doctor}");

    machine.calls();
    let stop = machine.run(&["stop"]);
    assert_eq!(stop.status.code(), Some(0), "{}", stderr_of(&stop));
    assert_eq!(
        machine.calls(),
        ["systemctl --user stop subledger.service"],
        "a signal would have been undone"
    );
    assert!(stderr_of(&stop).contains("systemctl --user start subledger.service"));
    let status = machine.run(&["status"]);
    assert_eq!(status.status.code(), Some(3));
    assert!(stdout_of(&status).contains("the service is inactive"));

    let done = machine.run(&["service", "uninstall"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr_of(&done));
    assert!(!machine.unit().exists());
    assert!(stderr_of(&done).contains("settings and database are left"));
    assert!(stderr_of(&done).contains("loginctl disable-linger"));
    assert!(settings_of(&machine.home).exists() && machine.home.ledger().exists());
    let status = machine.run(&["service", "status"]);
    assert_eq!(status.status.code(), Some(3));
    assert!(stdout_of(&status).contains("no service is installed"));
    let again = machine.run(&["service", "uninstall"]);
    assert_eq!(again.status.code(), Some(0));
    assert!(stderr_of(&again).contains("no service is installed"));
}

#[test]
fn a_second_install_writes_the_unit_again_and_loses_nothing() {
    let machine = Machine::new();
    assert_eq!(machine.install().status.code(), Some(0));
    let first = machine.pid().unwrap();
    let unit = fs::read_to_string(machine.unit()).unwrap();
    fs::write(
        machine.unit(),
        unit.replace("RestartSec=2", "RestartSec=99"),
    )
    .unwrap();
    let done = machine.install();
    assert_eq!(done.status.code(), Some(0), "{}", stderr_of(&done));
    assert!(stderr_of(&done).contains("installed already"));
    assert_eq!(fs::read_to_string(machine.unit()).unwrap(), unit);
    assert_ne!(
        machine.pid().unwrap(),
        first,
        "the receiver was started again"
    );
    // The service of another ledger is not taken over by the way.
    let other = machine.home.path().join("other.db");
    let done = machine.run(&[
        "--db",
        other.to_str().unwrap(),
        "service",
        "install",
        "--program",
        env!("CARGO_BIN_EXE_subledger"),
    ]);
    assert_eq!(done.status.code(), Some(1));
    assert!(stderr_of(&done).contains("another database"));
    assert_eq!(fs::read_to_string(machine.unit()).unwrap(), unit);
}

#[test]
fn the_service_takes_over_from_a_receiver_in_the_background() {
    let machine = Machine::new();
    machine.now("denied");
    let mut serving = machine.home.serve();
    let done = machine.install();
    let talk = stderr_of(&done);
    assert_eq!(done.status.code(), Some(0), "{talk}");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    assert!(talk.contains("has stopped"), "{talk}");
    assert!(
        talk.contains("sudo loginctl enable-linger publisher"),
        "{talk}"
    );
    let doctor = stdout_of(&machine.run(&["doctor"]));
    assert!(doctor.contains("ends when you log out"), "{doctor}");
}

#[test]
fn a_service_that_does_not_start_leaves_everything_as_it_was() {
    let machine = Machine::new();
    machine.now("broken");
    let done = machine.install();
    let talk = stderr_of(&done);
    assert_eq!(done.status.code(), Some(1), "{talk}");
    assert!(
        talk.contains("the service did not start: port 9 is in use"),
        "{talk}"
    );
    assert!(!machine.unit().exists());
    assert!(!machine.fake.join("enabled").exists());

    // Whatever received before receives again, when somebody presses Ctrl-C, too.
    fs::remove_file(machine.fake.join("broken")).unwrap();
    machine.now("interrupted");
    let serving = machine.home.serve();
    let before = serving.child.id();
    let done = machine.install();
    let talk = stderr_of(&done);
    assert_eq!(done.status.code(), Some(130), "{talk}");
    assert!(talk.contains("the receiver goes on without it"), "{talk}");
    assert!(!machine.unit().exists());
    let status = stdout_of(&machine.run(&["status", "--json"]));
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status[0]["running"], true);
    assert_eq!(status[0]["as"], "background");
    assert_ne!(status[0]["pid"], before);
    let stop = machine.run(&["stop"]);
    assert_eq!(stop.status.code(), Some(0), "{}", stderr_of(&stop));
}

#[test]
fn what_cannot_be_installed_is_refused_before_anything_is_done() {
    let machine = Machine::new();
    let refused = |args: &[&str], code: i32, says: &str| {
        let done = machine.run(args);
        let talk = stderr_of(&done);
        assert_eq!(done.status.code(), Some(code), "{args:?}: {talk}");
        assert!(talk.contains(says), "{says} in {talk}");
        assert_eq!(machine.calls(), Vec::<String>::new());
    };
    let program = env!("CARGO_BIN_EXE_subledger");
    let install = ["service", "install", "--program", program];
    refused(&["service", "install"], 1, "no service was installed");
    refused(
        &["service", "install", "--program", "/etc/passwd"],
        2,
        "is no program",
    );
    assert!(!machine.unit().exists());

    fs::create_dir_all(machine.unit().parent().unwrap()).unwrap();
    fs::write(machine.unit(), "[Service]\nExecStart=/bin/true\n").unwrap();
    refused(&install, 1, "left as it is");
    refused(&["service", "uninstall"], 1, "left as it is");
    assert!(
        fs::read_to_string(machine.unit())
            .unwrap()
            .contains("/bin/true")
    );
    fs::remove_file(machine.unit()).unwrap();

    machine.now("nobody");
    refused(&install, 1, "No medium found");
    refused(&["service", "status"], 1, "does not answer");
    assert!(!machine.unit().exists());
    fs::remove_file(machine.fake.join("nobody")).unwrap();

    fs::remove_dir_all(machine.home.path().join("config/systemd")).unwrap();
    fs::write(machine.home.path().join("config/systemd"), "").unwrap();
    refused(&install, 1, "Not a directory");
    fs::remove_file(machine.home.path().join("config/systemd")).unwrap();
    fs::create_dir_all(machine.unit().with_extension("service.part")).unwrap();
    refused(&install, 1, "cannot write the unit");
    fs::remove_dir_all(machine.home.path().join("config/systemd")).unwrap();

    fs::write(settings_of(&machine.home), "nonsense = 1\n").unwrap();
    refused(&install, 2, "nonsense");
    assert!(!machine.unit().exists());
}

#[test]
fn without_systemd_the_way_out_is_named() {
    let home = Home::new();
    for args in [
        [
            "service",
            "install",
            "--program",
            env!("CARGO_BIN_EXE_subledger"),
        ]
        .as_slice(),
        &["service", "status"],
    ] {
        let done = home.command(args).env("PATH", "").output().unwrap();
        let talk = stderr_of(&done);
        assert_eq!(done.status.code(), Some(1), "{talk}");
        assert!(talk.contains("there is no systemctl here"), "{talk}");
    }
    assert!(!home.path().join("config/systemd").exists());
}

/// Whether `sh` can read `script`, and what stands between the first `<<'END'` for `path` and its end.
fn placed(script: &str, path: &str) -> String {
    let mut child = Command::new("sh")
        .arg("-n")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success(), "{script}");
    let head = format!("cat > {path} <<'END'\n");
    let (_, rest) = script.split_once(&head).expect(&head);
    rest.split_once("\nEND\n").unwrap().0.to_owned() + "\n"
}

#[test]
fn printing_prints_a_script_and_does_nothing() {
    let machine = Machine::new();
    let program = env!("CARGO_BIN_EXE_subledger");
    let done = machine.run(&["service", "install", "--print", "--program", program]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr_of(&done));
    let unit = placed(&stdout_of(&done), machine.unit().to_str().unwrap());
    assert!(!machine.unit().exists());
    assert_eq!(machine.calls(), Vec::<String>::new());
    machine.install();
    assert_eq!(fs::read_to_string(machine.unit()).unwrap(), unit);
    machine.calls();
    let done = machine.run(&["service", "uninstall", "--print"]);
    assert!(stdout_of(&done).contains("disable --now"));
    assert!(machine.unit().exists());
    for args in [
        ["service", "install", "--system"],
        ["service", "uninstall", "--system"],
    ] {
        let done = machine.run(&args);
        assert_eq!(done.status.code(), Some(0));
        assert!(stdout_of(&done).starts_with("# Read this"));
    }
    assert_eq!(machine.calls(), Vec::<String>::new());
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    let home = Home::new();
    let program = env!("CARGO_BIN_EXE_subledger");
    let system = home
        .command(&["service", "install", "--system", "--program", program])
        .output()
        .unwrap();
    let system = stdout_of(&system);
    let user = home
        .command(&["service", "install", "--print", "--program", program])
        .output()
        .unwrap();
    let user_path = home.path().join("config/systemd/user/subledger.service");
    let user = placed(&stdout_of(&user), user_path.to_str().unwrap());
    let dir = home.path().join("units");
    fs::create_dir_all(dir.join("user")).unwrap();
    // Where no package put it, the program is to be copied first.
    let place = |name: &str| {
        placed(&system, &format!("/etc/systemd/system/{name}"))
            .replace("/usr/local/bin/subledger", program)
    };
    fs::write(dir.join("subledger.service"), place("subledger.service")).unwrap();
    fs::write(dir.join("subledger.socket"), place("subledger.socket")).unwrap();
    fs::write(dir.join("user/subledger.service"), user).unwrap();
    for (scope, units) in [
        ("--system", &["subledger.service", "subledger.socket"][..]),
        ("--user", &["user/subledger.service"]),
    ] {
        let mut verify = Command::new("systemd-analyze");
        verify
            .args(["verify", "--man=no", scope])
            .env("XDG_RUNTIME_DIR", home.path())
            .args(units.iter().map(|unit| dir.join(unit)));
        let Ok(done) = verify.output() else {
            eprintln!("skipped: there is no systemd-analyze here");
            return;
        };
        let faults: Vec<String> = stderr_of(&done)
            .lines()
            .filter(|line| line.contains("subledger"))
            .map(str::to_owned)
            .collect();
        assert!(faults.is_empty(), "{faults:?}");
    }
    check_exposure(&dir.join("subledger.service"));
}

/// The hardening is worth something: systemd's own figure, 0.0 is best and 10.0 worst.
fn check_exposure(unit: &Path) {
    let done = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(unit)
        .output()
        .unwrap();
    let says = stdout_of(&done);
    if !says.contains("Overall exposure") {
        eprintln!("skipped: this systemd-analyze knows no --offline");
        return;
    }
    assert!(done.status.success(), "{says}");
}

/// Bytes of memory that a process has now.
fn memory(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().split_whitespace().next().unwrap();
    kib.parse::<u64>().unwrap() << 10
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "memory is read from /proc")]
fn bodies_of_strangers_take_little_memory_and_no_room_from_a_provider() {
    let home = Home::new();
    let serving = home.serve();
    let before = memory(&serving.child);
    let most = vec![b' '; (1 << 20) - 1];
    let strangers: Vec<TcpStream> = (0..60)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", home.port)).unwrap();
            let wait = Some(Duration::from_millis(30));
            stream.set_write_timeout(wait).unwrap();
            let head =
                "POST /hooks/zotlo/events HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            // Who does not fit in is not read from.
            let _ = stream.write_all(&most);
            stream
        })
        .collect();
    let large = format!(r#"{{"note":"{}"}}"#, "x".repeat(300_000));
    let (status, answer) = serving.post("zotlo", "events", large.as_bytes()).unwrap();
    assert_eq!(status, 200, "{answer}");
    let grown = memory(&serving.child).saturating_sub(before);
    assert!(
        grown < 32 << 20,
        "{grown} bytes more for 60 MiB of strangers"
    );
    drop(strangers);
}
