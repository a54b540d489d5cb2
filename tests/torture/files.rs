//! Damage to the files themselves, whatever stands in their place, and clocks that jump.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::types::Value;
use subledger::store::upkeep::verify::verify;

use crate::compare::{nothing_lost, verified};
use crate::load::{Load, Sender};
use crate::states::drifted;
use crate::suite::{Dice, Held, Row, Stop, Torture, binary, must, tool};
use crate::support::{Home, Serving};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "flips",
        what: "one bit of the database flipped, anywhere",
        figure: "500 flips: whatever changes a row that the ledger vouches for is found by `verify`; no panic",
        run: flips,
    },
    Row {
        name: "files",
        what: "garbage, truncated, missing and hard-linked databases and write-ahead logs, in the place of a ledger",
        figure: "a clear error with exit code 1 or 3 and not a byte changed, or a start without what the log alone had; never a new ledger over an old log",
        run: files,
    },
    Row {
        name: "clock",
        what: "the clock jumps under load: an hour back, 1970, ten years ahead, and back (libfaketime)",
        figure: "every webhook 200, numbers ascend, less than half a core at rest, verify passes",
        run: clock,
    },
];

/// A home with some of everything in its ledger, stopped or killed.
fn filled(dice: &mut Dice, deliveries: usize, kill: bool) -> (Home, Load) {
    let home = Home::new();
    let serving = home.serve();
    let load = Load::new(dice.next());
    let mut sender = Sender::new(home.port);
    for _ in 0..deliveries {
        assert_eq!(load.send_one(&mut sender), Some(200));
    }
    if kill {
        serving.kill();
    } else {
        assert_eq!(serving.terminate(), Some(0));
    }
    (home, load)
}

/// The rows of every relation that the ledger vouches for; `None` where one cannot be read.
fn rows(path: &Path) -> Option<BTreeMap<&'static str, Vec<Vec<Value>>>> {
    let conn = Connection::open(path).ok()?;
    let mut all = BTreeMap::new();
    for table in [
        "deliveries",
        "events",
        "users",
        "user_aliases",
        "subscriptions",
        "cancellations",
        "consents",
        "consent_changes",
        "payments",
        "daily",
    ] {
        let mut statement = conn.prepare(&format!("select * from {table}")).ok()?;
        let columns = statement.column_count();
        let found = statement
            .query_map([], |row| {
                (0..columns).map(|column| row.get(column)).collect()
            })
            .ok()?
            .collect::<Result<_, _>>()
            .ok()?;
        all.insert(table, found);
    }
    Some(all)
}

fn flips(torture: &mut Torture) -> Held {
    let (home, _) = filled(&mut torture.dice, 300, false);
    let whole = fs::read(home.ledger()).unwrap();
    let folder = torture.scratch().join("flipped");
    let path = folder.join("subledger.db");
    let fresh = |bytes: &[u8]| {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        fs::write(&path, bytes).unwrap();
    };
    fresh(&whole);
    let before = rows(&path).unwrap();
    let (rounds, mut found, mut harmless) = (torture.rounds(500), 0, 0);
    for _ in 0..rounds {
        let mut bytes = whole.clone();
        let at = torture.dice.below(bytes.len());
        let bit = torture.dice.below(8);
        bytes[at] ^= 1 << bit;
        fresh(&bytes);
        if !verify(&path).is_ok_and(|verified| verified.is_sound()) {
            found += 1;
            continue;
        }
        if rows(&path).as_ref() == Some(&before) {
            harmless += 1;
            continue;
        }
        must(drifted(&folder).is_some(), || {
            format!("bit {bit} of byte {at} changed a row and was not found")
        })?;
        found += 1;
    }
    Ok(format!(
        "{rounds} flips: {found} found, {harmless} changed no row, 0 missed"
    ))
}

/// What is put in place of a ledger, and whether a start must refuse it.
type Bad = (&'static str, fn(&Path), bool);

fn log_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

fn cut(path: &Path, of: u64, parts: u64) {
    let bytes = fs::metadata(path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(bytes * of / parts + 7).unwrap();
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut dice = Dice::new(9);
    (0..bytes)
        .map(|_| dice.below(256).try_into().unwrap())
        .collect()
}

const BAD: &[Bad] = &[
    (
        "garbage",
        |path| fs::write(path, noise(40_000)).unwrap(),
        true,
    ),
    (
        "a text",
        |path| fs::write(path, "no database\n".repeat(500)).unwrap(),
        true,
    ),
    (
        "zeros",
        |path| fs::write(path, vec![0; 40_960]).unwrap(),
        true,
    ),
    (
        "fifty bytes",
        |path| fs::write(path, &fs::read(path).unwrap()[..50]).unwrap(),
        true,
    ),
    (
        "half a database",
        |path| {
            fs::remove_file(log_of(path)).unwrap();
            cut(path, 1, 2);
        },
        true,
    ),
    (
        "a folder",
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        true,
    ),
    (
        "no database beside its log",
        |path| fs::remove_file(path).unwrap(),
        true,
    ),
    (
        "an empty database beside its log",
        |path| fs::write(path, "").unwrap(),
        true,
    ),
    (
        "no log",
        |path| fs::remove_file(log_of(path)).unwrap(),
        false,
    ),
    (
        "garbage for a log",
        |path| fs::write(log_of(path), noise(9_000)).unwrap(),
        false,
    ),
    ("half a log", |path| cut(&log_of(path), 1, 2), false),
    (
        "garbage for shared memory",
        |path| {
            fs::write(format!("{}-shm", path.display()), noise(32_768)).unwrap();
        },
        false,
    ),
];

fn bytes(path: &Path) -> [Option<Vec<u8>>; 2] {
    [fs::read(path).ok(), fs::read(log_of(path)).ok()]
}

fn files(torture: &mut Torture) -> Held {
    for (what, put, refused) in BAD {
        let (home, load) = filled(&mut torture.dice, 60, true);
        let log = fs::metadata(log_of(&home.ledger())).unwrap().len();
        must(log > 4_096, || {
            "the log of a killed receiver holds nothing".to_owned()
        })?;
        put(&home.ledger());
        let before = bytes(&home.ledger());
        if !refused {
            assert_eq!(home.serve().terminate(), Some(0), "{what}");
            verified(&home)?;
            let kept = home.number("select count(*) from deliveries");
            must(*what != "garbage for shared memory" || kept == 60, || {
                format!("{what}: {kept} of 60")
            })?;
            continue;
        }
        // One that starts all the same is ended.
        let timed = ["10", binary().to_str().unwrap(), "serve"];
        let output = home.command_of(&tool("timeout")?, &timed).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        must(matches!(output.status.code(), Some(1 | 3)), || {
            format!("{what}: {said}")
        })?;
        must(
            !said.contains("panicked") && said.lines().count() == 1,
            || format!("{what}: {said}"),
        )?;
        must(bytes(&home.ledger()) == before, || {
            format!("{what}: something was changed")
        })?;
        drop(load);
    }
    linked(torture)?;
    Ok(format!(
        "{} cases and a second name of a running ledger",
        BAD.len()
    ))
}

/// A second name of a ledger that is being written: SQLite's own locks tell nobody of it.
fn linked(torture: &mut Torture) -> Result<(), Stop> {
    let (home, load) = filled(&mut torture.dice, 5, false);
    let other = home.path().join("other.db");
    fs::hard_link(home.ledger(), &other).unwrap();
    let serving = home.serve();
    let mut sender = Sender::new(home.port);
    load.send_one(&mut sender);
    let output = home
        .command(&["--db", other.to_str().unwrap(), "tests", "clear"])
        .output()
        .unwrap();
    must(output.status.code() == Some(3), || {
        format!(
            "a second name was opened for writing: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    load.send_one(&mut sender);
    assert_eq!(serving.terminate(), Some(0));
    fs::remove_file(other).unwrap();
    nothing_lost(&home.ledger(), &load.said.lock().unwrap())?;
    verified(&home)?;
    Ok(())
}

/// Where Debian and others put it.
fn faketime() -> Result<PathBuf, Stop> {
    let arch = std::env::consts::ARCH;
    [
        format!("/usr/lib/{arch}-linux-gnu/faketime/libfaketimeMT.so.1"),
        "/usr/lib64/faketime/libfaketimeMT.so.1".to_owned(),
        "/usr/lib/faketime/libfaketimeMT.so.1".to_owned(),
    ]
    .map(PathBuf::from)
    .into_iter()
    .find(|path| path.is_file())
    .ok_or_else(|| Stop::Skipped("there is no libfaketime here".to_owned()))
}

fn clock(torture: &mut Torture) -> Held {
    let library = faketime()?;
    let home = Home::new();
    let setting = torture.scratch().join("clock");
    fs::write(&setting, "+0\n").unwrap();
    let child = home
        .command(&["serve"])
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &setting)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let serving = Serving::wait(child, home.port);
    let load = Load::new(torture.dice.next());
    let mut sender = Sender::new(home.port);
    let (mut jumps, mut busiest, mut years) = (0, 0, Vec::new());
    for to in [
        "+0",
        "-1h",
        "1970-01-01 00:00:01",
        "+10y",
        "-30d",
        "2038-01-19 03:14:06",
        "+0",
    ] {
        fs::write(&setting, format!("{to}\n")).unwrap();
        jumps += 1;
        for _ in 0..40 {
            let status = load.send_one(&mut sender);
            must(status == Some(200), || {
                format!("{status:?} with the clock at {to}")
            })?;
        }
        years.push(home.number(
            "select cast(substr(received_at, 1, 4) as integer) from deliveries order by seq desc limit 1",
        ));
        let before = crate::disks::ticks(serving.child.id());
        let begun = Instant::now();
        std::thread::sleep(Duration::from_millis(1_500));
        let used = crate::disks::ticks(serving.child.id()) - before;
        busiest = busiest.max(used * 1_000 / u64::try_from(begun.elapsed().as_millis()).unwrap());
    }
    must(years[3] > years[0] && years[5] == 2038, || {
        format!("the clock did not jump: {years:?}")
    })?;
    must(years[2] == years[0], || {
        format!("a clock of 1970 was believed: {years:?}")
    })?;
    must(busiest < 50, || format!("{busiest} % of a core at rest"))?;
    let is_ascending = {
        let said = load.said.lock().unwrap();
        said.acknowledged
            .windows(2)
            .all(|two| two[0].seq < two[1].seq)
    };
    must(is_ascending, || "numbers do not ascend".to_owned())?;
    assert_eq!(serving.terminate(), Some(0));
    nothing_lost(&home.ledger(), &load.said.lock().unwrap())?;
    verified(&home)?;
    Ok(format!(
        "{jumps} jumps, 280 of 280 kept, {busiest} % of a core at rest"
    ))
}
