//! What the machine runs out of, and who else holds the ledger.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::compare::{nothing_lost, verified};
use crate::load::{Load, Sender};
use crate::soak::vitals;
use crate::suite::{Held, Row, Torture, binary, must, root};
use crate::support::{Disk, Home, Serving};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "disk-full",
        what: "a disk of 8 MiB fills up under load, then grows",
        figure: "503 with Retry-After when full; 200 again within 5 s of the room, without a restart; 0 lost",
        run: full,
    },
    Row {
        name: "descriptors",
        what: "80 descriptors and 200 idle connections",
        figure: "no exit, less than half a core, a provider is answered; everyone within 5 s after they are gone; 0 lost",
        run: descriptors,
    },
    Row {
        name: "foreign-writer",
        what: "another program holds the write lock for 8 s",
        figure: "503 within the 5 s of patience and 1 s; 200 after it; 0 lost",
        run: foreign_writer,
    },
    Row {
        name: "long-reader",
        what: "another program reads one snapshot while deliveries arrive for 12 s",
        figure: "acknowledging goes on; the write-ahead log is under 4 MiB within 30 s of its end; 0 lost",
        run: long_reader,
    },
    Row {
        name: "other-programs",
        what: "other programs open, read and close the ledger while it is written; then `kill -9`",
        figure: "10 rounds: 0 lost; the write-ahead log stays; reads never fail",
        run: other_programs,
    },
];

fn eventually(within: Duration, mut holds: impl FnMut() -> bool) -> Option<Duration> {
    let begun = Instant::now();
    while begun.elapsed() < within {
        if holds() {
            return Some(begun.elapsed());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// Stopped, nothing lost, and sound.
fn ends_well(home: &Home, serving: Serving, load: &Load) -> Held {
    assert_eq!(serving.terminate(), Some(0));
    nothing_lost(&home.ledger(), &load.said.lock().unwrap())?;
    verified(home)
}

fn full(torture: &mut Torture) -> Held {
    root()?;
    let home = Home::new();
    let folder = home.ledger().parent().unwrap().to_owned();
    let Some(disk) = Disk::of(&folder, 8 << 10) else {
        return Err(crate::suite::Stop::Skipped(
            "no disk of its own may be mounted".to_owned(),
        ));
    };
    let serving = home.serve();
    let load = Load::new(torture.dice.next());
    let mut sender = Sender::new(home.port);
    let is_full = eventually(Duration::from_secs(60), || {
        (0..50).any(|_| load.send_one(&mut sender) == Some(503))
    });
    must(is_full.is_some(), || "it never became full".to_owned())?;
    let kept = load.count.load(Ordering::Relaxed);
    // What waits finds no room either, and nobody falls over.
    load.send_for(home.port, 4, Duration::from_millis(500));
    let grown = Command::new("mount")
        .args(["-o", "remount,size=160m"])
        .arg(&folder)
        .status()
        .unwrap();
    assert!(grown.success());
    let back = eventually(Duration::from_secs(5), || {
        load.send_one(&mut sender) == Some(200)
    });
    must(back.is_some(), || {
        "it did not recover within 5 s".to_owned()
    })?;
    load.send_for(home.port, 2, Duration::from_millis(200));
    let statuses = load.said.lock().unwrap().refused.clone();
    must(statuses.keys().all(|status| *status == 503), || {
        format!("answers {statuses:?}")
    })?;
    ends_well(&home, serving, &load)?;
    drop(disk);
    Ok(format!(
        "full after {kept}, {} refused, back after {} ms, 0 lost",
        statuses.values().sum::<usize>(),
        back.unwrap_or_default().as_millis()
    ))
}

/// Seconds of processor time that a process has used, in hundredths.
pub(crate) fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn descriptors(torture: &mut Torture) -> Held {
    let home = Home::new();
    let child = home
        .command_of(
            Path::new("/bin/sh"),
            &["-c", "ulimit -n 80; exec \"$0\" serve"],
        )
        .arg(binary())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut serving = Serving::wait(child, home.port);
    let load = Load::new(torture.dice.next());
    let mut crowd = Vec::new();
    for _ in 0..200 {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", home.port)) {
            let _ = stream.write_all(b"POST /hooks/zotlo/events HTTP/1.1\r\nHost: 127.0.0.1\r\n");
            crowd.push(stream);
        }
    }
    let pid = serving.child.id();
    let before = ticks(pid);
    std::thread::sleep(Duration::from_secs(2));
    let used = ticks(pid) - before;
    must(used < 100, || {
        format!("{used} % of a core while nothing happens")
    })?;
    let mut sender = Sender::new(home.port);
    let answered = eventually(Duration::from_secs(10), || {
        load.send_one(&mut sender) == Some(200)
    });
    must(answered.is_some(), || {
        "a provider was not answered".to_owned()
    })?;
    let (_, open) = vitals(&serving);
    crowd.clear();
    let mut sender = Sender::new(home.port);
    let back = eventually(Duration::from_secs(5), || {
        load.send_one(&mut sender) == Some(200)
    });
    must(back.is_some(), || {
        "it did not recover within 5 s".to_owned()
    })?;
    must(serving.child.try_wait().unwrap().is_none(), || {
        "it ended".to_owned()
    })?;
    ends_well(&home, serving, &load)?;
    Ok(format!(
        "{used} hundredths of a second of processor in 2 s, {open} descriptors open, a provider answered after {} ms, 0 lost",
        answered.unwrap_or_default().as_millis()
    ))
}

fn foreign_writer(torture: &mut Torture) -> Held {
    let home = Home::new();
    let serving = home.serve();
    let load = Load::new(torture.dice.next());
    load.send_for(home.port, 2, Duration::from_millis(200));
    let other = home.open();
    other.execute_batch("begin immediate").unwrap();
    let held = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut sender = Sender::new(home.port);
    while held.elapsed() < Duration::from_secs(8) {
        let begun = Instant::now();
        let status = load.send_one(&mut sender);
        slowest = slowest.max(begun.elapsed());
        must(status == Some(503), || {
            format!("{status:?} while it was locked")
        })?;
    }
    other.execute_batch("rollback").unwrap();
    drop(other);
    let back = eventually(Duration::from_secs(5), || {
        load.send_one(&mut sender) == Some(200)
    });
    must(back.is_some(), || {
        "it did not recover within 5 s".to_owned()
    })?;
    must(slowest < Duration::from_millis(6_100), || {
        format!("an answer took {slowest:?}")
    })?;
    load.send_for(home.port, 2, Duration::from_millis(200));
    ends_well(&home, serving, &load)?;
    Ok(format!(
        "slowest 503 after {} ms, 200 again {} ms after the lock, 0 lost",
        slowest.as_millis(),
        back.unwrap_or_default().as_millis()
    ))
}

fn wal_bytes(home: &Home) -> u64 {
    let log = format!("{}-wal", home.ledger().display());
    std::fs::metadata(log).map_or(0, |about| about.len())
}

fn long_reader(torture: &mut Torture) -> Held {
    let home = Home::new();
    let serving = home.serve();
    let load = Load::new(torture.dice.next());
    load.send_for(home.port, 4, Duration::from_millis(300));
    let other = home.open();
    let count = |conn: &Connection| -> i64 {
        let sql = "select count(*) from deliveries";
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    other.execute_batch("begin").unwrap();
    let seen = count(&other);
    let before = load.count.load(Ordering::Relaxed);
    load.send_for(home.port, 8, Duration::from_secs(12));
    let arrived = load.count.load(Ordering::Relaxed) - before;
    must(count(&other) == seen, || "its snapshot moved".to_owned())?;
    let largest = wal_bytes(&home);
    must(arrived > 500, || {
        format!("only {arrived} were acknowledged")
    })?;
    must(largest > 4 << 20, || {
        format!("the log was only {largest} bytes: no burden")
    })?;
    other.execute_batch("rollback").unwrap();
    let small = eventually(Duration::from_secs(30), || wal_bytes(&home) < 4 << 20);
    must(small.is_some(), || {
        format!("the log is still {} bytes", wal_bytes(&home))
    })?;
    drop(other);
    ends_well(&home, serving, &load)?;
    Ok(format!(
        "{arrived} acknowledged meanwhile, the log grew to {} MiB and was small {} ms after, 0 lost",
        largest >> 20,
        small.unwrap_or_default().as_millis()
    ))
}

fn other_programs(torture: &mut Torture) -> Held {
    let home = Home::new();
    let load = Load::new(torture.dice.next());
    let rounds = torture.rounds(10);
    let mut looks = 0;
    for _ in 0..rounds {
        let serving = home.serve();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| load.send(home.port, 3, &stop));
            let end = Instant::now() + torture.dice.ms(600, 1_200);
            while Instant::now() < end {
                home.number("select count(*) from deliveries");
                looks += 1;
                let today = home.command(&["today"]).stdout(Stdio::null()).status();
                assert!(today.unwrap().success());
                if looks % 3 == 0 {
                    let status = home
                        .command(&["rebuild", "--check"])
                        .stdout(Stdio::null())
                        .status();
                    assert!(status.unwrap().success());
                }
            }
            serving.kill();
            stop.store(true, Ordering::Relaxed);
        });
        nothing_lost(&home.ledger(), &load.said.lock().unwrap())?;
    }
    assert_eq!(home.serve().terminate(), Some(0));
    nothing_lost(&home.ledger(), &load.said.lock().unwrap())?;
    verified(&home)?;
    let kept = load.count.load(Ordering::Relaxed);
    Ok(format!(
        "{rounds} rounds, {looks} looks by others, {kept} acknowledged, 0 lost"
    ))
}
