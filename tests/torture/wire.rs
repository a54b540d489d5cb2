//! What hostile senders do to the wire, and what an honest one notices of it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::compare::{nothing_lost, verified};
use crate::load::{Load, Sender, monotonic_ns, read_answer};
use crate::soak::vitals;
use crate::suite::{Held, Row, Stop, Torture, must, tool};
use crate::support::{Home, PATH_KEY, PATIENCE, Serving};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "slow",
        what: "500 connections that send heads or bodies a byte a second, or do not read their answers",
        figure: "honest p99 under 100 ms; each slow head told so within 10 s, each body within 15 s; 0 lost",
        run: slow,
    },
    Row {
        name: "sizes",
        what: "lengths that lie, a chunked gigabyte, exactly the limit and one more, header floods",
        figure: "413, 431 or 400, memory grows by less than 8 MiB, the limit itself is stored",
        run: sizes,
    },
    Row {
        name: "framing",
        what: "50 pipelined requests, half-closed and aborted ones, HTTP/1.0, an HTTP/2 preface; hostile paths",
        figure: "answers in order; what is cut off is not stored; paths 404 and nothing is touched",
        run: framing,
    },
    Row {
        name: "smuggling",
        what: "every ambiguous form of where a request ends",
        figure: "400 and closed, nothing stored",
        run: smuggling,
    },
    Row {
        name: "smuggling-nginx",
        what: "the same forms through nginx",
        figure: "no hidden request reaches a hook; honest ones are stored",
        run: behind_nginx,
    },
    Row {
        name: "stops",
        what: "SIGTERM under load",
        figure: "50 stops: no connection that was there before the signal is cut off, exit 0 within 5 s, 0 lost",
        run: stops,
    },
    Row {
        name: "scanner",
        what: "a scanner with wrong keys on 4 connections, as fast as it can",
        figure: "a provider from the same address is never refused, p99 under 100 ms; its own rejected webhook is still there",
        run: scanner,
    },
];

/// Honest senders under an attack, at a hundred a second: their p99.
fn honest(load: &Load, port: u16, time: Duration) -> Duration {
    let begun = Instant::now();
    let mut sender = Sender::new(port);
    let mut sent = 0_u32;
    while begun.elapsed() < time {
        load.send_one(&mut sender);
        sent += 1;
        let due = Duration::from_millis(10) * sent;
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    load.p99(0)
}

fn hook() -> String {
    format!("POST /hooks/zotlo/events/{PATH_KEY} HTTP/1.1\r\nHost: 127.0.0.1\r\n")
}

/// A slow sender's life: how it begins, whether it goes on a byte a second, and how long it lasted at most.
fn crawl(port: u16, first: &[u8], trickles: bool, stop: &AtomicBool) -> Option<Duration> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(first).ok()?;
    let begun = Instant::now();
    let mut byte = [0; 1];
    while !stop.load(Ordering::Relaxed) {
        if trickles && stream.write_all(b"x").is_err() {
            return Some(begun.elapsed());
        }
        match stream.read(&mut byte) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // Answers that are not read, but for this byte a second.
            Ok(1) if !trickles => std::thread::sleep(Duration::from_secs(1)),
            // It was told that it is too slow, or closed.
            _ => return Some(begun.elapsed()),
        }
    }
    None
}

fn slow(torture: &mut Torture) -> Held {
    let mut told = Vec::new();
    let head = format!("{}X-Slow: ", hook()).into_bytes();
    let body = format!("{}Content-Length: 100000\r\n\r\n{{", hook()).into_bytes();
    let reads = hook().replace("POST", "GET").into_bytes();
    let unread = [reads.as_slice(), b"\r\n"].concat().repeat(20);
    for (name, begin, trickles, within) in [
        ("heads", head, true, 10),
        ("bodies", body, true, 15),
        ("reads", unread, false, 40),
    ] {
        let home = Home::new();
        let serving = home.serve();
        let load = Load::new(torture.dice.next());
        let stop = AtomicBool::new(false);
        let time = Duration::from_secs(17);
        let (p99, longest) = std::thread::scope(|scope| {
            let crowd: Vec<_> = (0..500)
                .map(|_| scope.spawn(|| crawl(home.port, &begin, trickles, &stop)))
                .collect();
            let p99 = honest(&load, home.port, time);
            stop.store(true, Ordering::Relaxed);
            let ends = crowd.into_iter().filter_map(|one| one.join().unwrap());
            (p99, ends.max().unwrap_or_default())
        });
        let refused = load.said.lock().unwrap().refused.clone();
        must(refused.is_empty(), || {
            format!("slow {name}: honest senders were told {refused:?}")
        })?;
        must(p99 < Duration::from_millis(100), || {
            format!("slow {name}: honest p99 {p99:?}")
        })?;
        must(longest < Duration::from_secs(within + 2), || {
            format!("slow {name}: one lasted {longest:?}")
        })?;
        assert_eq!(serving.terminate(), Some(0));
        nothing_lost(&home.ledger(), &load.said.lock().unwrap())?;
        told.push(format!(
            "{name}: honest p99 {} ms of {}",
            p99.as_millis(),
            load.count.load(Ordering::Relaxed)
        ));
    }
    Ok(told.join("; "))
}

/// Sends bytes and reads what comes until the end or a pause: the statuses, and whether the connection was closed.
fn exchange(port: u16, bytes: &[u8], half_close: bool) -> (Vec<u16>, bool) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(3)))
        .unwrap();
    // It may be closed before everything is sent.
    let _ = stream.write_all(bytes);
    if half_close {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut statuses = Vec::new();
    while let Some(answer) = read_answer(&mut stream) {
        statuses.push(answer.status);
        if answer.closes {
            stream
                .set_read_timeout(Some(Duration::from_secs(3)))
                .unwrap();
        }
    }
    let closed =
        !matches!(stream.read(&mut [0; 1]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    (statuses, closed)
}

fn stored(home: &Home) -> i64 {
    home.number("select count(*) from deliveries")
}

fn sizes(_: &mut Torture) -> Held {
    let home = Home::new();
    let serving = home.serve();
    serving.post("zotlo", "events", b"{}").unwrap();
    let limit = 1 << 20;
    let at_limit = serving.post("zotlo", "events", &vec![b' '; limit]).unwrap();
    must(at_limit.0 == 200, || {
        format!("exactly the limit: {at_limit:?}")
    })?;
    let over = serving
        .post("zotlo", "events", &vec![b' '; limit + 1])
        .unwrap();
    must(over.0 == 413, || format!("one byte more: {over:?}"))?;
    let (before, _) = vitals(&serving);
    // A length of a tebibyte, of which nothing comes, and one that is shorter than what comes.
    let lie = format!("{}Content-Length: 1099511627776\r\n\r\n{{", hook());
    let (told, _) = exchange(home.port, lie.as_bytes(), false);
    must(told == [413], || format!("a tebibyte: {told:?}"))?;
    let short = format!(
        "{}Content-Length: 2\r\n\r\n{{}}trailing rubbish\r\n\r\n",
        hook()
    );
    let (told, closed) = exchange(home.port, short.as_bytes(), false);
    must(told == [200, 400] && closed, || {
        format!("more than it says: {told:?}")
    })?;
    let sent = gigabyte(home.port)?;
    for (name, head) in [
        ("101 headers", "X-A: b\r\n".repeat(101)),
        (
            "a header of 64 KiB",
            format!("X-A: {}\r\n", "b".repeat(64 << 10)),
        ),
    ] {
        let bytes = format!("{}{head}Content-Length: 2\r\n\r\n{{}}", hook());
        let (told, closed) = exchange(home.port, bytes.as_bytes(), false);
        must(told == [431] && closed, || format!("{name}: {told:?}"))?;
    }
    let endless = format!("{}X-A: {}", hook(), "b".repeat(8 << 20));
    let (told, _) = exchange(home.port, endless.as_bytes(), false);
    must(told == [431], || {
        format!("a header without an end: {told:?}")
    })?;
    let (after, _) = vitals(&serving);
    let grown = after.saturating_sub(before);
    must(grown < 8 << 10, || format!("memory grew by {grown} KiB"))?;
    must(stored(&home) == 3, || {
        format!("{} stored, not 3", stored(&home))
    })?;
    assert_eq!(serving.terminate(), Some(0));
    verified(&home)?;
    Ok(format!(
        "a chunked gigabyte was cut off after {} MiB, memory grew by {grown} KiB",
        sent >> 20
    ))
}

/// A body of a gigabyte in chunks: how much of it was taken, bytes.
fn gigabyte(port: u16) -> Result<usize, Stop> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(format!("{}Transfer-Encoding: chunked\r\n\r\n", hook()).as_bytes())
        .unwrap();
    let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 65_536], b"\r\n"].concat();
    let mut sent = 0;
    while sent < 1 << 30 && stream.write_all(&chunk).is_ok() {
        sent += 65_536;
    }
    must(sent < 64 << 20, || {
        format!("{sent} bytes of a gigabyte were taken")
    })?;
    Ok(sent)
}

const PATHS: &[&str] = &[
    "/hooks/zotlo/../../etc/passwd",
    "/hooks/zotlo/%2e%2e%2f%2e%2e%2fetc/passwd",
    "/hooks/zotlo/events%00",
    "/hooks/%7a%6f%74%6c%6f/events",
    "/hooks/__proto__/events",
    "/hooks/ZOTLO/events",
    "/hooks//events",
    "/hooks/zotlo/%252e%252e",
    "/hooks/zotlo/events/%ff%fe",
    "//hooks/zotlo/events",
    "/.env",
    "/subledger.db",
];

fn framing(_: &mut Torture) -> Held {
    let home = Home::new();
    let serving = home.serve();
    let one = |body: &str| format!("{}Content-Length: {}\r\n\r\n{body}", hook(), body.len());
    let many: String = (0..50)
        .map(|number| one(&format!("{{\"n\":{number}}}")))
        .collect();
    let (told, _) = exchange(home.port, many.as_bytes(), true);
    must(told == vec![200; 50], || format!("pipelined: {told:?}"))?;
    let order = "select group_concat(json_extract(body, '$.n')) from (select body from deliveries order by seq)";
    let order: String = home.open().query_row(order, [], |row| row.get(0)).unwrap();
    let wanted: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    must(order == wanted.join(","), || {
        format!("pipelined, stored as {order}")
    })?;
    let (told, _) = exchange(home.port, one("{\"half\":1}").as_bytes(), true);
    must(told == [200], || {
        format!("half-closed after the body: {told:?}")
    })?;
    let old = one("{\"old\":1}").replace("HTTP/1.1", "HTTP/1.0");
    let (told, closed) = exchange(home.port, old.as_bytes(), false);
    must(told == [200] && closed, || format!("HTTP/1.0: {told:?}"))?;
    let before = stored(&home);
    let cut = format!("{}Content-Length: 1000\r\n\r\n{{\"cut\":1}}", hook());
    exchange(home.port, cut.as_bytes(), true);
    drop(
        TcpStream::connect(("127.0.0.1", home.port))
            .map(|mut stream| stream.write_all(cut.as_bytes())),
    );
    let (told, closed) = exchange(home.port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false);
    must(told == [400] && closed, || format!("HTTP/2: {told:?}"))?;
    let long = format!("/hooks/zotlo/{}", "a".repeat(20_000));
    for path in PATHS.iter().copied().chain([long.as_str()]) {
        let bytes =
            format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{{}}");
        let (told, _) = exchange(home.port, bytes.as_bytes(), true);
        let fits = matches!(told.as_slice(), [404 | 401 | 400 | 431]);
        must(fits, || {
            format!("{}: {told:?}", &path[..path.len().min(60)])
        })?;
    }
    must(stored(&home) == before, || {
        "something cut off or astray was stored".to_owned()
    })?;
    let names: Vec<_> = std::fs::read_dir(home.ledger().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("subledger.db"))
        .collect();
    must(names.is_empty(), || format!("files appeared: {names:?}"))?;
    assert_eq!(serving.terminate(), Some(0));
    verified(&home)?;
    Ok(format!(
        "50 in order, {} paths, {before} stored and no more",
        PATHS.len() + 1
    ))
}

/// Headers that leave open where a request ends; LENGTH stands for the right one.
const FORMS: &[(&str, &str)] = &[
    (
        "both lengths",
        "Host: h\r\nContent-Length: LENGTH\r\nTransfer-Encoding: chunked\r\n",
    ),
    (
        "both, the other way",
        "Host: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ),
    (
        "two lengths",
        "Host: h\r\nContent-Length: 5\r\nContent-Length: LENGTH\r\n",
    ),
    (
        "one length twice",
        "Host: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
    ),
    ("a list of lengths", "Host: h\r\nContent-Length: 5, 5\r\n"),
    ("a signed length", "Host: h\r\nContent-Length: +5\r\n"),
    ("a hexadecimal length", "Host: h\r\nContent-Length: 0x5\r\n"),
    ("a negative length", "Host: h\r\nContent-Length: -1\r\n"),
    (
        "an enormous length",
        "Host: h\r\nContent-Length: 18446744073709551621\r\n",
    ),
    ("xchunked", "Host: h\r\nTransfer-Encoding: xchunked\r\n"),
    (
        "chunked twice",
        "Host: h\r\nTransfer-Encoding: chunked, chunked\r\n",
    ),
    (
        "chunked, then identity",
        "Host: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    ),
    (
        "a tab before chunked",
        "Host: h\r\nTransfer-Encoding: \x0bchunked\r\n",
    ),
    (
        "a space before the colon",
        "Host: h\r\nTransfer-Encoding : chunked\r\n",
    ),
    (
        "a folded line",
        "Host: h\r\nTransfer-Encoding:\r\n chunked\r\n",
    ),
    ("a bare line feed", "Host: h\nContent-Length: LENGTH\r\n"),
    (
        "a bare carriage return",
        "Host: h\rContent-Length: LENGTH\r\n",
    ),
    ("no host", "Content-Length: LENGTH\r\n"),
    (
        "two hosts",
        "Host: h\r\nHost: g\r\nContent-Length: LENGTH\r\n",
    ),
    (
        "a zero byte",
        "Host: h\r\nX-A: a\0b\r\nContent-Length: LENGTH\r\n",
    ),
];

/// Heads and bodies of which two readers may think differently; each hides a request to a hook in its body.
fn ambiguous() -> Vec<(&'static str, Vec<u8>)> {
    let line = format!("POST /hooks/zotlo/events/{PATH_KEY} HTTP/1.1\r\n");
    let hidden = format!("{line}Host: h\r\nContent-Length: 12\r\n\r\n{{\"hidden\":1}}");
    let with = |headers: &str| {
        let body = format!("0\r\n\r\n{hidden}");
        format!("{line}{headers}\r\n{body}")
            .replace("LENGTH", &body.len().to_string())
            .into_bytes()
    };
    FORMS
        .iter()
        .map(|(name, headers)| (*name, with(headers)))
        .collect()
}

fn smuggling(_: &mut Torture) -> Held {
    let home = Home::new();
    let serving = home.serve();
    let forms = ambiguous();
    for (name, bytes) in &forms {
        let (told, closed) = exchange(home.port, bytes, false);
        must(told == [400] && closed, || {
            format!("{name}: {told:?}, closed {closed}")
        })?;
    }
    must(stored(&home) == 0, || {
        format!("{} were stored", stored(&home))
    })?;
    assert_eq!(serving.terminate(), Some(0));
    Ok(format!("{} forms, each 400 and closed", forms.len()))
}

/// An nginx of our own before a receiver, ended when dropped.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(nginx: &Path, folder: &Path, to: u16) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let place = folder.display();
        let settings: PathBuf = folder.join("nginx.conf");
        std::fs::write(
            &settings,
            format!(
                "daemon off; master_process off; pid {place}/pid; error_log {place}/errors;\n\
                 events {{}}\n\
                 http {{ access_log off; client_body_temp_path {place}/a; proxy_temp_path {place}/b;\n\
                 fastcgi_temp_path {place}/c; uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;\n\
                 upstream receiver {{ server 127.0.0.1:{to}; keepalive 4; }}\n\
                 server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://receiver; proxy_http_version 1.1;\n\
                 proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
                 proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }} }}\n"
            ),
        )
        .unwrap();
        let child = Command::new(nginx)
            .arg("-c")
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "nginx does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn behind_nginx(torture: &mut Torture) -> Held {
    let nginx = tool("nginx")?;
    let home = Home::new();
    let serving = home.serve();
    let nginx = Nginx::start(&nginx, torture.scratch(), home.port);
    let load = Load::new(torture.dice.next());
    let mut sender = Sender::new(nginx.port);
    let forms = ambiguous();
    for (name, bytes) in &forms {
        // The connection to the receiver is kept: what were hidden in one request would begin the next.
        exchange(nginx.port, bytes, false);
        let status = load.send_one(&mut sender);
        must(status == Some(200), || {
            format!("after {name} an honest sender was told {status:?}")
        })?;
    }
    let hidden = "select count(*) from deliveries where cast(body as text) = '{\"hidden\":1}'";
    must(home.number(hidden) == 0, || {
        "a hidden request was stored".to_owned()
    })?;
    assert_eq!(serving.terminate(), Some(0));
    verified(&home)?;
    Ok(format!(
        "{} forms, 0 hidden requests stored, {} honest ones kept",
        forms.len(),
        forms.len()
    ))
}

fn stops(torture: &mut Torture) -> Held {
    let rounds = torture.rounds(50);
    let home = Home::new();
    let load = Load::new(torture.dice.next());
    let (mut slowest, mut cut, mut late) = (Duration::ZERO, 0, 0);
    for _ in 0..rounds {
        let serving: Serving = home.serve();
        let stop = AtomicBool::new(false);
        let took = std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // A new connection each: one that was let in is answered.
                    while !stop.load(Ordering::Relaxed) {
                        load.send_one(&mut Sender::new(home.port));
                    }
                });
            }
            std::thread::sleep(torture.dice.ms(100, 300));
            let (begun, told_ns) = (Instant::now(), monotonic_ns());
            let code = serving.terminate();
            let mut said = load.said.lock().unwrap();
            // One that is made after may find the listener closing.
            let made_ns = std::mem::take(&mut said.cut);
            let early = made_ns.iter().filter(|made_ns| **made_ns < told_ns);
            cut += early.count();
            late += made_ns.len();
            drop(said);
            stop.store(true, Ordering::Relaxed);
            assert_eq!(code, Some(0));
            begun.elapsed()
        });
        slowest = slowest.max(took);
    }
    must(slowest < Duration::from_secs(5), || {
        format!("a stop took {slowest:?}")
    })?;
    let said = load.said.lock().unwrap();
    must(cut == 0, || {
        format!("{cut} requests were cut off whose connections were made before the stop")
    })?;
    nothing_lost(&home.ledger(), &said)?;
    drop(said);
    verified(&home)?;
    Ok(format!(
        "{rounds} stops, {} answered, 0 cut off ({late} connections came while the listener closed), slowest {} ms",
        load.count.load(Ordering::Relaxed),
        slowest.as_millis()
    ))
}

fn scanner(torture: &mut Torture) -> Held {
    let home = Home::new();
    let serving = home.serve();
    // A provider whose secret is wrong here: what it sent must not be pushed out by what follows.
    let (status, _) = serving
        .request(
            "POST",
            "/hooks/klustr/events/k_mistyped_by_someone",
            "",
            b"{\"mine\":1}",
        )
        .unwrap();
    must(status == 401, || format!("a wrong key: {status}"))?;
    let load = Load::new(torture.dice.next());
    let stop = AtomicBool::new(false);
    let (p99, scans) = std::thread::scope(|scope| {
        let scanners: Vec<_> = (0..4)
            .map(|number| {
                let (stop, home) = (&stop, &home);
                scope.spawn(move || {
                    let mut scans = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let path = format!("/hooks/zotlo/events/k_guess{number}x{scans}");
                        let bytes = format!(
                            "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n{}",
                            "x".repeat(2_000)
                        );
                        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", home.port)) else {
                            continue;
                        };
                        if stream.write_all(bytes.as_bytes()).is_ok() {
                            read_answer(&mut stream);
                        }
                        scans += 1;
                    }
                    scans
                })
            })
            .collect();
        let p99 = honest(&load, home.port, Duration::from_secs(8));
        stop.store(true, Ordering::Relaxed);
        (
            p99,
            scanners
                .into_iter()
                .map(|one| one.join().unwrap())
                .sum::<usize>(),
        )
    });
    let refused = load.said.lock().unwrap().refused.clone();
    must(refused.is_empty(), || {
        format!("the provider was told {refused:?}")
    })?;
    must(p99 < Duration::from_millis(100), || {
        format!("honest p99 {p99:?}")
    })?;
    assert_eq!(serving.terminate(), Some(0));
    let mine = "select count(*) from rejected where cast(body as text) = '{\"mine\":1}'";
    must(home.number(mine) == 1, || {
        "what the provider sent was pushed out".to_owned()
    })?;
    nothing_lost(&home.ledger(), &load.said.lock().unwrap())?;
    verified(&home)?;
    Ok(format!(
        "{scans} scans, honest p99 {} ms, 0 refused, its rejected webhook is kept",
        p99.as_millis()
    ))
}
