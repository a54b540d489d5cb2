//! The public address: what `doctor --public` makes of servers that are right and wrong, and the blocks of
//! `urls --proxy` in Caddy and nginx themselves, where they are installed.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Home, PATH_KEY, PATIENCE};

/// A link that every home has, behind the public address.
const LINK: &str = "/hooks/zotlo/events/";

/// A caller whom nobody knows.
const FAR: &str = "203.0.113.7";

/// One request as a server reads it.
struct Asked {
    method: String,
    path: String,
    /// Name and value, as written.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Asked {
    /// A whole request with a length; `None` when the caller is gone.
    fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut part = [0; 16 << 10];
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            match stream.read(&mut part).ok()? {
                0 => return None,
                read => bytes.extend_from_slice(&part[..read]),
            }
        };
        let mut body = bytes.split_off(end + 4);
        let head = String::from_utf8(bytes).ok()?;
        let mut lines = head.trim_end().split("\r\n");
        let mut first = lines.next()?.split(' ');
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| value.parse().unwrap());
        while body.len() < length {
            match stream.read(&mut part).ok()? {
                0 => return None,
                read => body.extend_from_slice(&part[..read]),
            }
        }
        Some(Self {
            method: first.next()?.to_owned(),
            path: first.next()?.to_owned(),
            headers,
            body,
        })
    }

    fn drop_header(&mut self, gone: &str) {
        self.headers.retain(|(name, _)| name != gone);
    }

    /// Passed on to `port`: the bytes of the answer.
    fn pass_on(mut self, port: u16) -> Vec<u8> {
        for own in ["content-length", "connection"] {
            self.drop_header(own);
        }
        let mut head = format!(
            "{} {} HTTP/1.1\r\ncontent-length: {}\r\nconnection: close\r\n",
            self.method,
            self.path,
            self.body.len()
        );
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head += "\r\n";
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&self.body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }
}

/// What stands before the receiver: takes a request, gives the bytes to answer.
type Front = dyn Fn(Asked) -> Vec<u8> + Send + Sync;

/// A server on a port of its own that answers by `front` until the test ends.
fn front(front: impl Fn(Asked) -> Vec<u8> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let front: Arc<Front> = Arc::new(front);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let front = Arc::clone(&front);
            thread::spawn(move || {
                if let Some(asked) = Asked::read(&mut stream) {
                    // Whoever does not wait for the answer misses it.
                    let _ = stream.write_all(&front(asked));
                }
            });
        }
    });
    port
}

fn page(status: &str, headers: &str) -> Vec<u8> {
    let body = "<html><body>somebody else</body></html>";
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A proxy as it should be: `prefix/hooks/*` and nothing else, after `change`.
fn proxy(
    receiver: u16,
    prefix: &'static str,
    change: impl Fn(&mut Asked) + Send + Sync + 'static,
) -> u16 {
    front(move |mut asked| {
        let path = asked.path.strip_prefix(prefix).map(str::to_owned);
        let Some(path) = path.filter(|path| path.starts_with("/hooks/")) else {
            return page("404 Not Found", "");
        };
        asked.path = path;
        asked.drop_header("x-forwarded-for");
        let caller = ("x-forwarded-for".to_owned(), FAR.to_owned());
        asked.headers.push(caller);
        change(&mut asked);
        asked.pass_on(receiver)
    })
}

fn set(home: &Home, pairs: &[&str]) {
    let args: Vec<&str> = ["config", "set"].iter().chain(pairs).copied().collect();
    let done = home.command(&args).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// What `doctor --public` finds.
struct Found {
    code: Option<i32>,
    findings: Vec<Value>,
    out: String,
}

impl Found {
    /// How the last finding of this name stands, and what it says.
    fn of(&self, check: &str) -> (&str, &str) {
        let one = self.findings.iter().rfind(|one| one["check"] == check);
        let one = one.unwrap_or_else(|| panic!("no {check}: {}", self.out));
        (
            one["level"].as_str().unwrap(),
            one["says"].as_str().unwrap(),
        )
    }

    /// It says that `check` is bad, and so does the exit code.
    #[track_caller]
    fn is_bad(&self, check: &str, says: &str) {
        let (level, text) = self.of(check);
        assert!(level == "bad" && text.contains(says), "{level} {text}");
        assert_eq!(self.code, Some(1));
    }
}

/// `doctor --public` for Zotlo, with this public address.
fn doctor(home: &Home, url: &str) -> Found {
    set(home, &["receiver.public_url", url]);
    let args = ["doctor", "--public", "zotlo", "--json"];
    let done = home.command(&args).output().unwrap();
    let out = String::from_utf8(done.stdout).unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(!out.contains(PATH_KEY) && !said.contains(PATH_KEY), "{out}");
    Found {
        code: done.status.code(),
        findings: serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{said}")),
        out,
    }
}

#[test]
fn a_proxy_as_it_should_be_is_found_so() {
    let home = Home::new();
    let _serving = home.serve();
    let port = proxy(home.port, "/in", |_| {});
    let found = doctor(&home, &format!("http://127.0.0.1:{port}/in"));
    assert_eq!(found.code, Some(0), "{}", found.out);
    for (check, says) in [
        ("receiver", "process"),
        ("connection", "127.0.0.1"),
        ("zotlo events", "kept as 1 in"),
        ("zotlo body", "20480 odd bytes, unchanged"),
        ("zotlo mark", "arrived"),
        ("caller", FAR),
        ("slash at the end", "no harm"),
        ("other pages", "not the receiver's"),
    ] {
        let (level, text) = found.of(check);
        assert!(level == "ok" && text.contains(says), "{check}: {text}");
    }
    assert_eq!(found.of("public address").0, "note");
    assert_eq!(
        home.number("select count(*) from deliveries where test = 1"),
        1
    );
    let said = home.command(&["tests", "clear"]).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    assert_eq!(
        home.number("select count(*) from deliveries where body is not null"),
        0
    );
}

#[test]
fn every_account_is_tried_unless_one_is_named() {
    let home = Home::with_settings("[providers.zotlo.accounts.weekly]\npath_key = \"k_weekly\"\n");
    let _serving = home.serve();
    let port = proxy(home.port, "", |_| {});
    set(
        &home,
        &["receiver.public_url", &format!("http://127.0.0.1:{port}")],
    );
    let done = home.command(&["doctor", "--public"]).output().unwrap();
    let out = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{out}");
    for check in [
        "conscent events",
        "klustr body",
        "expressconsent mark",
        "zotlo/weekly events",
    ] {
        assert!(out.contains(check), "{out}");
    }
    assert_eq!(home.number("select count(*) from deliveries"), 5);
    let args = ["doctor", "--public", "zotlo", "--account", "weekly"];
    assert!(home.command(&args).output().unwrap().status.success());
    assert_eq!(home.number("select count(*) from deliveries"), 6);
    for wrong in [&["doctor", "--public", "zotle"][..], &["doctor", "zotlo"]] {
        assert_eq!(home.command(wrong).output().unwrap().status.code(), Some(2));
    }
}

#[test]
fn being_turned_away_for_the_address_is_no_fault() {
    let home = Home::with_settings("allow_ips = [\"198.51.100.0/24\"]\n");
    let _serving = home.serve();
    let port = proxy(home.port, "", |_| {});
    let found = doctor(&home, &format!("http://127.0.0.1:{port}"));
    let (level, says) = found.of("zotlo events");
    assert!(level == "note" && says.contains("as it should"), "{says}");
    assert_eq!(found.code, Some(0), "{}", found.out);
}

#[test]
fn what_a_proxy_changes_is_found() {
    let home = Home::new();
    let _serving = home.serve();
    let shorter = proxy(home.port, "", |asked| {
        let text: Vec<u8> = asked
            .body
            .iter()
            .copied()
            .filter(|byte| *byte != 0)
            .collect();
        asked.body = text;
    });
    let found = doctor(&home, &format!("http://127.0.0.1:{shorter}"));
    found.is_bad("zotlo body", "changed on the way");

    let unmarked = proxy(home.port, "", |asked| asked.drop_header("subledger-test"));
    let found = doctor(&home, &format!("http://127.0.0.1:{unmarked}"));
    found.is_bad("zotlo mark", "tests mark 2");

    let believing = front({
        let receiver = home.port;
        move |asked| asked.pass_on(receiver)
    });
    let found = doctor(&home, &format!("http://127.0.0.1:{believing}"));
    found.is_bad("caller", "made up");
    found.is_bad("other pages", "/readyz");

    let unstripped = proxy(home.port, "/in", |asked| asked.path.insert_str(0, "/in"));
    let found = doctor(&home, &format!("http://127.0.0.1:{unstripped}/in"));
    found.is_bad("zotlo events", "take /in off");

    let packed = proxy(home.port, "", |asked| {
        asked
            .headers
            .push(("content-encoding".to_owned(), "gzip".to_owned()));
    });
    let found = doctor(&home, &format!("http://127.0.0.1:{packed}"));
    found.is_bad("zotlo events", "compresses");

    let keyless = proxy(home.port, "", |asked| {
        asked.path = asked.path.replace(PATH_KEY, &PATH_KEY.to_uppercase());
    });
    let found = doctor(&home, &format!("http://127.0.0.1:{keyless}"));
    found.is_bad("zotlo events", "rejected show");
    found.is_bad("zotlo events", "secret link");
}

#[test]
fn what_a_wrong_server_answers_is_explained() {
    let home = Home::new();
    let _serving = home.serve();
    for (status, headers, says) in [
        ("404 Not Found", "", "does not forward the path"),
        ("200 OK", "", "the webhook be lost"),
        ("502 Bad Gateway", "", "finds no receiver"),
        ("403 Forbidden", "", "a firewall"),
        ("403 Forbidden", "cf-mitigated: challenge\r\n", "a human"),
        (
            "301 Moved Permanently",
            "location: https://www.example.org/hooks/zotlo/events/k_testtesttesttesttesttesttest\r\n",
            "receiver.public_url https://www.example.org, reload",
        ),
    ] {
        let port = front(move |_| page(status, headers));
        let found = doctor(&home, &format!("http://127.0.0.1:{port}"));
        found.is_bad("zotlo events", says);
    }
    let only_get = front({
        let receiver = home.port;
        move |asked| match asked.method.as_str() {
            "GET" => asked.pass_on(receiver),
            _ => page("405 Method Not Allowed", ""),
        }
    });
    let found = doctor(&home, &format!("http://127.0.0.1:{only_get}"));
    found.is_bad("zotlo events", "it is POST that is held back");

    let closing = front(|_| Vec::new());
    let found = doctor(&home, &format!("http://127.0.0.1:{closing}"));
    found.is_bad("zotlo events", "closed without an answer");

    assert_eq!(found.of("the rest").0, "note");

    let no_http = front(|_| b"SSH-2.0-OpenSSH\r\n".to_vec());
    let found = doctor(&home, &format!("http://127.0.0.1:{no_http}"));
    found.is_bad("zotlo events", "no HTTP");
    assert_eq!(home.number("select count(*) from deliveries"), 0);
}

#[test]
fn the_receiver_of_another_ledger_is_found_out() {
    let (home, other) = (Home::new(), Home::new());
    let (_here, _there) = (home.serve(), other.serve());
    let port = proxy(other.port, "", |_| {});
    let url = format!("http://127.0.0.1:{port}");
    doctor(&home, &url).is_bad("zotlo body", "another receiver");
    let own = proxy(home.port, "", |_| {});
    let own = doctor(&home, &format!("http://127.0.0.1:{own}"));
    assert_eq!(own.code, Some(0), "{}", own.out);
    // The next number of the other one is taken here too.
    let found = doctor(&other, &url);
    assert_eq!(found.code, Some(0), "{}", found.out);
    let found = doctor(&home, &url);
    found.is_bad("zotlo body", "another receiver");
}

#[test]
fn an_address_that_cannot_be_reached_says_why() {
    let home = Home::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let found = doctor(&home, &format!("http://127.0.0.1:{port}"));
    found.is_bad("connection", "nothing listens there");
    let found = doctor(&home, "http://no..name");
    found.is_bad("name", "has no address");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            // As web servers answer to a greeting in TLS.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&page("400 Bad Request", ""));
        }
    });
    let found = doctor(&home, &format!("https://127.0.0.1:{plain}"));
    found.is_bad("certificate", "speaks no TLS");
}

#[test]
fn without_a_public_address_it_is_said_how_to_set_one() {
    let home = Home::new();
    for args in [&["doctor", "--public"][..], &["urls", "--proxy", "caddy"]] {
        let done = home.command(args).output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(2), "{said}");
        assert!(
            said.contains("config set receiver.public_url https://"),
            "{said}"
        );
        assert!(done.stdout.is_empty());
    }
    let done = home
        .command(&["urls", "--proxy", "haproxy"])
        .output()
        .unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2));
    for known in ["caddy", "nginx", "cloudflared", "tailscale"] {
        assert!(said.contains(known), "{said}");
    }
}

#[test]
fn size_growth_and_days_of_disk_are_told() {
    let home = Home::new();
    let serving = home.serve();
    let growth = || {
        let done = home.command(&["doctor", "--json"]).output().unwrap();
        let findings: Vec<Value> = serde_json::from_slice(&done.stdout).unwrap();
        let of = |check: &str| {
            let one = findings.iter().find(|one| one["check"] == check);
            one.map(|one| one["says"].as_str().unwrap().to_owned())
        };
        ["database size", "growth", "disk lasts"].map(of)
    };
    let [size, nothing, lasts] = growth();
    assert!(size.is_some() && lasts.is_none());
    assert!(nothing.unwrap().contains("nothing has arrived"));
    for n in 0..3 {
        let body = format!("{{\"n\":{n}}}");
        assert_eq!(
            serving.post("zotlo", "events", body.as_bytes()).unwrap().0,
            200
        );
    }
    let [_, growth, lasts] = growth();
    assert!(growth.unwrap().ends_with("3 deliveries today"));
    assert!(lasts.unwrap().contains("at this rate"));
}

/// Caddy or nginx with the block that `urls --proxy` writes, killed when dropped.
struct Installed {
    child: Child,
    port: u16,
    prefix: &'static str,
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Installed {
    /// `None`, with a word, where it is not installed.
    fn start(home: &Home, name: &str, prefix: &'static str) -> Option<Self> {
        if Command::new(name)
            .arg(if name == "nginx" { "-v" } else { "version" })
            .output()
            .is_err()
        {
            eprintln!("skipped: {name} is not installed");
            return None;
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        set(
            home,
            &[
                "receiver.public_url",
                &format!("http://127.0.0.1:{port}{prefix}"),
            ],
        );
        let done = home.command(&["urls", "--proxy", name]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        let block = String::from_utf8(done.stdout).unwrap();
        let dir = home.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let is_caddy = name == "caddy";
        let mut command = if is_caddy {
            caddy(&dir, &block)
        } else {
            nginx(&dir, &block, port)
        };
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self {
            child,
            port,
            prefix,
        };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                Instant::now() < deadline,
                "{name} does not start with\n{block}"
            );
            thread::sleep(Duration::from_millis(20));
        }
        Some(started)
    }

    fn link(&self) -> String {
        format!("{}{LINK}{PATH_KEY}", self.prefix)
    }

    /// A request as `head` (lines end in CRLF) and `body` make it: status and body of the answer.
    fn ask(&self, method: &str, path: &str, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = self.connect();
        let start = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n",
            self.port
        );
        stream.write_all(start.as_bytes()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"Connection: close\r\n\r\n").unwrap();
        // A proxy that has said no may not read on.
        let _ = stream.write_all(body);
        answered(&mut stream)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn post(&self, head: &str, body: &[u8]) -> (u16, String) {
        let head = format!("Content-Length: {}\r\n{head}", body.len());
        self.ask("POST", &self.link(), &head, body)
    }
}

fn answered(stream: &mut TcpStream) -> (u16, String) {
    let mut answer = Vec::new();
    // What came before a reset is the answer.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or(0), body.to_owned())
}

fn caddy(dir: &Path, block: &str) -> Command {
    let around = "{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}\n";
    std::fs::write(dir.join("Caddyfile"), format!("{around}{block}")).unwrap();
    let mut command = Command::new("caddy");
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(dir.join("Caddyfile"))
        .env("HOME", dir)
        .env("XDG_DATA_HOME", dir)
        .env("XDG_CONFIG_HOME", dir);
    command
}

fn nginx(dir: &Path, block: &str, port: u16) -> Command {
    std::fs::write(dir.join("hooks.conf"), block).unwrap();
    let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {}/{what};", dir.display()))
        .join(" ");
    let conf = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log warn;\nevents {{}}\n\
         http {{ access_log off; {temps}\n server {{ listen 127.0.0.1:{port}; server_name 127.0.0.1;\n \
         include {dir}/hooks.conf;\n location / {{ return 404; }} }} }}\n",
        dir = dir.display()
    );
    std::fs::write(dir.join("nginx.conf"), conf).unwrap();
    let mut command = Command::new("nginx");
    command
        .arg("-p")
        .arg(dir)
        .arg("-e")
        .arg(dir.join("error.log"))
        .arg("-c")
        .arg(dir.join("nginx.conf"));
    command
}

/// Bytes of every value, so many.
fn odd(bytes: usize, seed: u8) -> Vec<u8> {
    let mut body = vec![seed, 0, 0xff, b'\r', b'\n', b'%', b'2', b'F'];
    body.extend((0..=u8::MAX).rev().cycle().take(bytes - body.len()));
    body
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in body.chunks(7_001) {
        out.extend(format!("{:x}\r\n", part.len()).bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// Everything that a block promises.
fn keeps_its_promises(name: &str, prefix: &'static str) {
    let home = Home::new();
    let Some(proxy) = Installed::start(&home, name, prefix) else {
        return;
    };
    let serving = home.serve();
    let found = doctor(&home, &format!("http://127.0.0.1:{}{prefix}", proxy.port));
    assert_eq!(found.code, Some(0), "{}", found.out);
    bodies_are_kept_to_the_byte(&home, &proxy);
    if name == "nginx" {
        let log = std::fs::read_to_string(home.path().join("nginx/error.log")).unwrap();
        assert!(!log.contains("temporary file"), "{log}");
    }
    a_forged_caller_is_not_believed(&home, &proxy);
    nothing_else_is_reached(&proxy);
    too_long_is_told(&home, &proxy);
    a_slow_sender_holds_nobody_up(&proxy);
    serving.kill();
    let found = doctor(&home, &format!("http://127.0.0.1:{}{prefix}", proxy.port));
    found.is_bad("zotlo events", "finds no receiver");
    found.is_bad("receiver", "none runs");
}

fn bodies_are_kept_to_the_byte(home: &Home, proxy: &Installed) {
    for (seed, bytes) in [(1, 9), (2, 70_000), (3, 900 << 10)] {
        let body = odd(bytes, seed);
        let head = format!("Content-Length: {bytes}\r\n");
        let whole = proxy.ask("POST", &proxy.link(), &head, &body);
        let in_parts = odd(bytes, seed + 100);
        let head = "Transfer-Encoding: chunked\r\n";
        let parts = proxy.ask("POST", &proxy.link(), head, &chunked(&in_parts));
        for ((status, said), body) in [(whole, body), (parts, in_parts)] {
            assert_eq!(status, 200, "{said}");
            // In the order sent.
            let answer: Value =
                serde_json::from_str(said.trim_matches(|c| c != '{' && c != '}')).unwrap();
            let kept: Vec<u8> = home
                .open()
                .query_row(
                    "select cast(body as blob) from deliveries where seq = ?1",
                    [answer["seq"].as_i64()],
                    |row| row.get(0),
                )
                .unwrap();
            assert!(kept == body, "{bytes} bytes came as {}", kept.len());
        }
    }
}

fn a_forged_caller_is_not_believed(home: &Home, proxy: &Installed) {
    let last = "select seq from deliveries order by seq desc limit 1";
    let before = home.number(last);
    for (n, head) in [
        "X-Forwarded-For: 203.0.113.66\r\n",
        "X-Forwarded-For: 203.0.113.66, 127.0.0.1\r\n",
        "X-Forwarded-For: 203.0.113.66\r\nX-Forwarded-For: 127.0.0.1\r\n",
        "x_forwarded_for: 203.0.113.66\r\nX-Real-IP: 203.0.113.66\r\n",
        "Forwarded: for=203.0.113.66\r\n",
        "Connection: X-Forwarded-For\r\nX-Forwarded-For: 203.0.113.66\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let (status, said) = proxy.post(head, format!("{{\"forged\":{n}}}").as_bytes());
        assert_eq!(status, 200, "{said}");
    }
    let seen = format!("select count(*) from deliveries where seq > {before}");
    assert_eq!(home.number(&seen), 6);
    assert_eq!(
        home.number(&format!("{seen} and remote_ip = '127.0.0.1'")),
        6
    );
}

fn nothing_else_is_reached(proxy: &Installed) {
    let prefix = proxy.prefix;
    for path in [
        "/",
        "/readyz",
        "/livez",
        "/metrics",
        "/hooks",
        "/hooks/../readyz",
        "/hooks/%2e%2e/readyz",
        "/hooks/..%2freadyz",
        "//readyz",
        "/hooks//../livez",
    ] {
        for head in ["", "X-Forwarded-For:\r\n"] {
            let (status, said) = proxy.ask("GET", &format!("{prefix}{path}"), head, b"");
            assert_ne!(status, 200, "{path}: {said}");
        }
    }
    if !prefix.is_empty() {
        let (_, said) = proxy.ask(
            "POST",
            &format!("{LINK}{PATH_KEY}"),
            "Content-Length: 2\r\n",
            b"{}",
        );
        assert!(!said.contains("stored"), "without the prefix: {said}");
    }
    let (status, said) = proxy.ask("GET", &proxy.link(), "", b"");
    assert!(status == 200 && said.contains("ready"), "{said}");
}

fn too_long_is_told(home: &Home, proxy: &Installed) {
    let over = vec![b' '; (1 << 20) + 1];
    assert_eq!(proxy.post("", &over).0, 413);
    let far_over = vec![b' '; 3 << 20];
    assert_eq!(proxy.post("", &far_over).0, 413);
    let kept =
        "select count(*) from rejected where body_bytes = 1048577 and reason like '%body_limit%'";
    let deadline = Instant::now() + PATIENCE;
    while home.number(kept) == 0 {
        assert!(Instant::now() < deadline, "the reason of a 413 is not kept");
        thread::sleep(Duration::from_millis(20));
    }
}

fn a_slow_sender_holds_nobody_up(proxy: &Installed) {
    let body = odd(40_000, 9);
    let (early, late) = body.split_at(100);
    let mut slow = proxy.connect();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        proxy.link(),
        proxy.port,
        body.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    slow.write_all(early).unwrap();
    assert_eq!(proxy.post("", b"{\"meanwhile\":1}").0, 200);
    slow.write_all(late).unwrap();
    assert_eq!(answered(&mut slow).0, 200);
}

#[test]
fn caddy_keeps_what_its_block_promises() {
    keeps_its_promises("caddy", "");
}

#[test]
fn caddy_keeps_what_its_block_promises_under_a_path() {
    keeps_its_promises("caddy", "/in/here");
}

#[test]
fn nginx_keeps_what_its_block_promises() {
    keeps_its_promises("nginx", "");
}

#[test]
fn nginx_keeps_what_its_block_promises_under_a_path() {
    keeps_its_promises("nginx", "/in/here");
}
