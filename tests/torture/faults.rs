//! System calls that fail: errors, interruptions and short writes put under the release binary.

use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::compare::{nothing_lost, verified};
use crate::load::{Load, Sender};
use crate::suite::{Held, Row, Stop, Torture, binary, must, tool};
use crate::support::{Home, PATIENCE, Serving};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "errors",
        what: "EIO, ENOSPC and EINTR from every 7th sync, 97th write or 2nd cut of a file (strace), and short writes (a preloaded library)",
        figure: "only 200 or 503; 0 lost; the next start is clean; interruptions and short writes refuse nothing",
        run: errors,
    },
    Row {
        name: "read-only",
        what: "the file system turns read-only under load and back (EROFS from every call for a while)",
        figure: "503 with Retry-After meanwhile, `/readyz` 503, `/livez` 200; 200 again within 5 s without a restart; 0 lost",
        run: read_only,
    },
];

/// What a receiver is put under: a word for the figures, and how strace is told.
const INJECTIONS: &[(&str, &str, &str)] = &[
    ("EIO of syncs", "fdatasync,fsync", "error=EIO:when=20+7"),
    ("EIO of writes", "pwrite64,write", "error=EIO:when=90+97"),
    ("ENOSPC of writes", "pwrite64", "error=ENOSPC:when=90+97"),
    ("EIO of cuts", "ftruncate", "error=EIO:when=2+2"),
    ("EINTR of writes", "pwrite64", "error=EINTR:when=90+7"),
];
const LOAD: Duration = Duration::from_millis(1_500);

/// A receiver under `strace` that does what `injection` says to `calls` on the ledger and its log; other files, and what
/// senders are answered, are left alone.
fn traced(home: &Home, strace: &std::path::Path, calls: &str, injection: &str) -> Serving {
    let child = home
        .command_of(strace, &["-f", "-qq", "-o", "/dev/null"])
        .args(["-P", home.ledger().to_str().unwrap()])
        .args(["-P", &format!("{}-wal", home.ledger().display())])
        .args(["-e", &format!("trace={calls}")])
        .args(["-e", &format!("inject={calls}:{injection}")])
        .arg(binary())
        .arg("serve")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Serving::wait(child, home.port)
}

/// Ends a receiver that is not our child but strace's.
fn stop(home: &Home, mut serving: Serving) {
    let told = home
        .command(&["stop"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(told.is_ok());
    let deadline = Instant::now() + PATIENCE;
    while serving.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it does not stop");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn errors(torture: &mut Torture) -> Held {
    let strace = tool("strace")?;
    traceable(&strace)?;
    let mut told = Vec::new();
    for (name, calls, injection) in INJECTIONS {
        let home = Home::new();
        // The ledger is made before anything fails.
        assert_eq!(home.serve().terminate(), Some(0));
        let serving = traced(&home, &strace, calls, injection);
        let load = Load::new(torture.dice.next());
        load.send_for(home.port, 4, LOAD);
        stop(&home, serving);
        told.push(judged(&home, &load, name)?);
    }
    let library = torture.compile("short.c", "short.so", &["-shared", "-fPIC", "-ldl"])?;
    let home = Home::new();
    let child = home
        .command(&["serve"])
        .env("LD_PRELOAD", library)
        .env("SHORT_EVERY", "3")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let serving = Serving::wait(child, home.port);
    let load = Load::new(torture.dice.next());
    load.send_for(home.port, 4, LOAD);
    assert_eq!(serving.terminate(), Some(0));
    told.push(judged(&home, &load, "short writes")?);
    Ok(told.join("; "))
}

/// Whether this user may trace at all: some containers allow nobody to.
fn traceable(strace: &std::path::Path) -> Result<(), Stop> {
    let status = Command::new(strace)
        .args(["-qq", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Stop::Skipped("strace may trace nothing here".to_owned())),
    }
}

fn judged(home: &Home, load: &Load, name: &str) -> Held {
    // A clean start folds what was left.
    assert_eq!(home.serve().terminate(), Some(0));
    let said = load.said.lock().unwrap();
    nothing_lost(&home.ledger(), &said)?;
    verified(home)?;
    let (good, bad) = (
        said.acknowledged.len(),
        said.refused.values().sum::<usize>(),
    );
    must(said.refused.keys().all(|status| *status == 503), || {
        format!("{name}: answers {:?}", said.refused)
    })?;
    must(good > 20, || {
        format!("{name}: only {good} were acknowledged")
    })?;
    let is_felt =
        name.starts_with("EIO of s") || name.starts_with("EIO of w") || name.starts_with("ENOSPC");
    must((bad > 0) == is_felt, || {
        format!("{name}: {bad} were refused of {}", good + bad)
    })?;
    Ok(format!("{name}: {good} kept, {bad} refused, 0 lost"))
}

fn read_only(torture: &mut Torture) -> Held {
    let strace = tool("strace")?;
    traceable(&strace)?;
    let home = Home::new();
    assert_eq!(home.serve().terminate(), Some(0));
    let calls = "pwrite64,write,ftruncate,fdatasync,fsync";
    let serving = traced(&home, &strace, calls, "error=EROFS:when=200..2000");
    let load = Load::new(torture.dice.next());
    let mut sender = Sender::new(home.port);
    let (mut refused, mut ready, mut alive) = (0, Vec::new(), Vec::new());
    let begun = Instant::now();
    let (mut failing_since, mut back) = (None, None);
    while back.is_none() && begun.elapsed() < Duration::from_secs(90) {
        match load.send_one(&mut sender) {
            Some(200) if failing_since.is_some() => back = Some(Instant::now()),
            Some(200) => {}
            _ => {
                failing_since.get_or_insert_with(Instant::now);
                refused += 1;
                if refused % 50 == 10 {
                    ready.extend(serving.get("/readyz").map(|answer| answer.0));
                    alive.extend(serving.get("/livez").map(|answer| answer.0));
                }
            }
        }
    }
    must(failing_since.is_some(), || {
        "it was never read-only".to_owned()
    })?;
    must(back.is_some(), || "it never came back".to_owned())?;
    load.send_for(home.port, 2, Duration::from_millis(300));
    stop(&home, serving);
    assert_eq!(home.serve().terminate(), Some(0));
    nothing_lost(&home.ledger(), &load.said.lock().unwrap())?;
    verified(&home)?;
    must(
        ready.iter().all(|status| *status == 503) && !ready.is_empty(),
        || format!("/readyz {ready:?}"),
    )?;
    must(alive.iter().all(|status| *status == 200), || {
        format!("/livez {alive:?}")
    })?;
    Ok(format!(
        "{refused} refused while it was, {} kept around it, 0 lost, no restart",
        load.count.load(Ordering::Relaxed)
    ))
}
