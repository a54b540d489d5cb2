//! Every state that a power cut could leave, made from a record of what the receiver did to its files.
//!
//! What was synced stays. Of what was not, any sector of 512 bytes of any write may be there or not, a cut of a file may
//! have happened or not, and names changed in order up to any one. A ledger in such a state must verify and hold
//! everything that had been answered with 200 at that moment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use subledger::domain::time::{Clock, Zone};
use subledger::providers::door;
use subledger::store::task::Task;
use subledger::store::upkeep::verify::verify;
use subledger::store::writer::{Options, Store};

use crate::load::{Load, Sender};
use crate::suite::{Dice, Held, Row, Stop, Torture, binary, control, must};
use crate::support::{Home, Serving};

pub(crate) const ROWS: &[Row] = &[Row {
    name: "states",
    what: "crash states made from a recorded run (an upgrade, load, checkpoints, an erasure, a rebuild), unsynced sectors kept at random",
    figure: "20,000 states: 0 lost, 0 damaged, lists equal a rebuild in a sample; the control (`synchronous=NORMAL`) loses some",
    run: states,
}];

const SECTOR: usize = 512;
/// In one of so many states, the lists are compared with a rebuild.
const SAMPLE: usize = 100;
const ERASED: &str = "gone@example.org";

/// One thing that the receiver did.
struct Deed {
    kind: u8,
    file: u64,
    a: u64,
    bytes: Vec<u8>,
}

/// What the receiver did, on what, and what came of it.
struct Recording {
    before: Vec<u8>,
    before_inode: u64,
    deeds: Vec<Deed>,
    /// By seq at the end: the commitment, and whether a body is there.
    after: BTreeMap<i64, (Vec<u8>, bool)>,
}

/// A file, whatever its name is.
#[derive(Default)]
struct Thing {
    synced: Vec<u8>,
    /// Deeds since.
    unsynced: Vec<usize>,
}

#[derive(Clone)]
enum Naming {
    Made(String, usize),
    Removed(String),
    Renamed(String, String),
}

/// The disk at one moment of a recording.
struct Disk<'r> {
    recording: &'r Recording,
    things: Vec<Thing>,
    by_inode: BTreeMap<u64, usize>,
    names: BTreeMap<String, usize>,
    namings: Vec<Naming>,
    /// The newest delivery that was answered, and whether the erasure was.
    acknowledged: i64,
    erased: bool,
}

impl<'r> Disk<'r> {
    fn new(recording: &'r Recording) -> Self {
        let before = Thing {
            synced: recording.before.clone(),
            unsynced: Vec::new(),
        };
        Self {
            recording,
            things: vec![before],
            by_inode: BTreeMap::from([(recording.before_inode, 0)]),
            names: BTreeMap::from([("subledger.db".to_owned(), 0)]),
            namings: Vec::new(),
            acknowledged: 0,
            erased: false,
        }
    }

    /// Does the deed at `place`.
    fn step(&mut self, place: usize) {
        let deed = &self.recording.deeds[place];
        let text = || String::from_utf8(deed.bytes.clone()).unwrap();
        match deed.kind {
            b'C' => {
                let thing = self.things.len();
                self.things.push(Thing::default());
                self.by_inode.insert(deed.file, thing);
                self.namings.push(Naming::Made(text(), thing));
            }
            b'W' | b'T' => {
                let thing = self.by_inode[&deed.file];
                self.things[thing].unsynced.push(place);
            }
            b'S' => {
                let thing = &mut self.things[self.by_inode[&deed.file]];
                for place in std::mem::take(&mut thing.unsynced) {
                    apply(&mut thing.synced, &self.recording.deeds[place], &mut |_| {
                        true
                    });
                }
            }
            b'U' => self.namings.push(Naming::Removed(text())),
            b'R' => {
                let both = text();
                let (from, to) = both.split_once('\0').unwrap();
                self.namings
                    .push(Naming::Renamed(from.to_owned(), to.to_owned()));
            }
            b'D' => {
                for naming in std::mem::take(&mut self.namings) {
                    name(&mut self.names, naming);
                }
            }
            b'A' => {
                let seq = text()
                    .rsplit_once("\"seq\":")
                    .map(|(_, seq)| seq.trim_end_matches('}').parse::<i64>().unwrap());
                self.acknowledged = self.acknowledged.max(seq.unwrap_or(0));
            }
            b'E' => self.erased = true,
            kind => panic!("a record of kind {kind}"),
        }
    }

    /// One of the states that a cut at this moment could leave, in `folder`.
    fn fall(&self, dice: &mut Dice, folder: &Path) {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir(folder).unwrap();
        let mut names = self.names.clone();
        let kept = dice.below(self.namings.len() + 1);
        for naming in &self.namings[..kept] {
            name(&mut names, naming.clone());
        }
        for (name, thing) in names {
            let thing = &self.things[thing];
            let mut bytes = thing.synced.clone();
            let mood = dice.below(5);
            let first = dice.below(thing.unsynced.len() + 1);
            for (number, place) in thing.unsynced.iter().enumerate() {
                let deed = &self.recording.deeds[*place];
                let whole = dice.below(2) == 0;
                match mood {
                    0 => {}
                    1 => apply(&mut bytes, deed, &mut |_| true),
                    2 => apply(&mut bytes, deed, &mut |_| dice.below(2) == 0),
                    3 => apply(&mut bytes, deed, &mut |_| whole),
                    // In order up to one, which is torn.
                    _ => apply(&mut bytes, deed, &mut |_| {
                        number < first || (number == first && dice.below(2) == 0)
                    }),
                }
            }
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
}

fn name(names: &mut BTreeMap<String, usize>, naming: Naming) {
    match naming {
        Naming::Made(name, thing) => {
            names.insert(name, thing);
        }
        Naming::Removed(name) => {
            names.remove(&name);
        }
        Naming::Renamed(from, to) => {
            if let Some(thing) = names.remove(&from) {
                names.insert(to, thing);
            }
        }
    }
}

/// Does to `bytes` what `deed` did, those sectors that `is_kept` says.
fn apply(bytes: &mut Vec<u8>, deed: &Deed, is_kept: &mut dyn FnMut(usize) -> bool) {
    let at = usize::try_from(deed.a).unwrap();
    if deed.kind == b'T' {
        if is_kept(at) {
            bytes.resize(at, 0);
        }
        return;
    }
    let mut from = 0;
    while from < deed.bytes.len() {
        let to = deed.bytes.len().min(from + SECTOR - (at + from) % SECTOR);
        if is_kept(at + from) {
            if bytes.len() < at + to {
                bytes.resize(at + to, 0);
            }
            bytes[at + from..at + to].copy_from_slice(&deed.bytes[from..to]);
        }
        from = to;
    }
}

fn read_deeds(path: &Path) -> Vec<Deed> {
    let record = std::fs::read(path).unwrap();
    let mut deeds = Vec::new();
    let mut at = 0;
    let number = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
    while at < record.len() {
        let length = usize::try_from(number(at + 17)).unwrap();
        deeds.push(Deed {
            kind: record[at],
            file: number(at + 1),
            a: number(at + 9),
            bytes: record[at + 25..at + 25 + length].to_vec(),
        });
        at += 25 + length;
    }
    deeds
}

/// What is stored: by seq the commitment, and whether a body is there.
fn stored(path: &Path) -> rusqlite::Result<BTreeMap<i64, (Vec<u8>, bool)>> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut rows =
        conn.prepare("select seq, cast(commitment as blob), body is not null from deliveries")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    rows.collect()
}

/// Runs `program` on a ledger of an earlier version, and records it.
fn record(torture: &mut Torture, program: &Path, control: &str) -> Result<Recording, Stop> {
    use std::os::unix::fs::MetadataExt as _;
    let library = torture.compile("record.c", "record.so", &["-shared", "-fPIC", "-ldl"])?;
    let home = Home::new();
    let folder = home.ledger().parent().unwrap().to_owned();
    std::fs::create_dir_all(&folder).unwrap();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ledgers/v1.db");
    std::fs::copy(old, home.ledger()).unwrap();
    let before = std::fs::read(home.ledger()).unwrap();
    let before_inode = std::fs::metadata(home.ledger()).unwrap().ino();
    let log = torture.scratch().join("record");
    std::fs::write(&log, "").unwrap();
    let child = home
        .command_of(program, &["serve"])
        .env("SUBLEDGER_CONTROL", control)
        .env("LD_PRELOAD", &library)
        .env("TORTURE_RECORD", &log)
        .env("TORTURE_FOLDER", &folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let serving = Serving::wait(child, home.port);
    act(torture, &home, &log)?;
    assert_eq!(serving.terminate(), Some(0));
    let after = stored(&home.ledger()).unwrap();
    Ok(Recording {
        before,
        before_inode,
        deeds: read_deeds(&log),
        after,
    })
}

/// What is done while it is recorded.
fn act(torture: &mut Torture, home: &Home, log: &Path) -> Result<(), Stop> {
    let load = Load::new(torture.dice.next());
    let mut sender = Sender::new(home.port);
    // The write-ahead log is emptied after a second of rest.
    let rest = || std::thread::sleep(Duration::from_millis(1_400));
    for _ in 0..40 {
        load.send_one(&mut sender);
    }
    rest();
    for number in 0..3 {
        let body = format!(
            r#"{{"subscriberId":"{ERASED}","appId":1,"registerDate":"2026-02-0{} 04:05:06"}}"#,
            number + 1
        );
        let answer = sender.post("zotlo", "events", body.as_bytes());
        must(matches!(answer, Some((200, _))), || "no answer".to_owned())?;
    }
    load.send_for(home.port, 3, Duration::from_millis(150));
    let done = |args: &[&str]| {
        let output = home.command(args).output().unwrap();
        must(output.status.success(), || {
            format!("{args:?}: {}", String::from_utf8_lossy(&output.stderr))
        })
    };
    done(&["user", "erase", ERASED, "--yes"])?;
    let mut end = vec![b'E'];
    end.extend([0; 24]);
    std::io::Write::write_all(
        &mut std::fs::OpenOptions::new().append(true).open(log).unwrap(),
        &end,
    )
    .unwrap();
    load.send_for(home.port, 3, Duration::from_millis(100));
    done(&["rebuild"])?;
    rest();
    load.send_for(home.port, 3, Duration::from_millis(100));
    Ok(())
}

/// What is wrong with the ledger in `folder`, in a state of `disk`.
fn wrong(disk: &Disk<'_>, folder: &Path) -> Option<Wrong> {
    let path = folder.join("subledger.db");
    match verify(&path) {
        Ok(verified) if verified.is_sound() => {}
        Ok(verified) => return Some(Wrong::Damaged(format!("{:?}", verified.damage))),
        Err(error) => return Some(Wrong::Damaged(error.to_string())),
    }
    let stored = match stored(&path) {
        Ok(stored) => stored,
        Err(error) => return Some(Wrong::Damaged(error.to_string())),
    };
    let newest = stored.keys().next_back().copied().unwrap_or(0);
    if newest < disk.acknowledged {
        return Some(Wrong::Lost(format!(
            "{} was answered, {newest} is the newest",
            disk.acknowledged
        )));
    }
    for (seq, (commitment, has_body)) in &stored {
        let (known, kept) = &disk.recording.after[seq];
        if known != commitment || (*kept && !has_body) {
            return Some(Wrong::Lost(format!("{seq} is not what it was")));
        }
        if disk.erased && !kept && *has_body {
            return Some(Wrong::Damaged(format!("{seq} was erased and is back")));
        }
    }
    None
}

enum Wrong {
    Lost(String),
    Damaged(String),
}

/// What a rebuild finds to differ in the ledger in `folder`, after an open for writing.
pub(crate) fn drifted(folder: &Path) -> Option<String> {
    let options = Options {
        read: Arc::new(door::read),
        zone: Zone::UTC,
        clock: Clock::Machine,
        listen: String::new(),
    };
    let path = folder.join("subledger.db");
    let store = match Store::open(&path, options) {
        Ok(store) => store,
        Err(error) => return Some(error.to_string()),
    };
    let report = store
        .writer()
        .run(Task::Rebuild { check: true }, &mut |_| {});
    let closed = store.close();
    match (report, closed) {
        (Ok(report), Ok(())) if report.changed == 0 => None,
        (Ok(report), Ok(())) => Some(format!("{} rows differ from a rebuild", report.changed)),
        (Err(error), _) | (_, Err(error)) => Some(error.to_string()),
    }
}

/// What was found in many states.
#[derive(Default)]
struct Found {
    states: usize,
    compared: usize,
    lost: Vec<String>,
    damaged: Vec<String>,
}

/// Looks at `count` states, at moments at random.
fn explore(recording: &Recording, count: usize, mut dice: Dice, folder: &Path) -> Found {
    let deeds = recording.deeds.len();
    let mut moments: Vec<usize> = (0..count).map(|_| dice.below(deeds + 1)).collect();
    moments.sort_unstable();
    let mut disk = Disk::new(recording);
    let (mut done, mut found) = (0, Found::default());
    for moment in moments {
        for place in done..moment {
            disk.step(place);
        }
        done = moment;
        disk.fall(&mut dice, folder);
        found.states += 1;
        match wrong(&disk, folder) {
            Some(Wrong::Lost(what)) => found.lost.push(format!("after deed {moment}: {what}")),
            Some(Wrong::Damaged(what)) => {
                found.damaged.push(format!("after deed {moment}: {what}"));
            }
            None if found.states.is_multiple_of(SAMPLE) => {
                found.compared += 1;
                if let Some(what) = drifted(folder) {
                    found.damaged.push(format!("after deed {moment}: {what}"));
                }
            }
            None => {}
        }
    }
    found
}

/// `explore` on two threads.
fn explored(torture: &mut Torture, recording: &Recording, count: usize) -> Found {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    }
    .unwrap();
    let halves: Vec<(Dice, PathBuf)> = ["a", "b"]
        .map(|half| (Dice::new(torture.dice.next()), folder.path().join(half)))
        .to_vec();
    std::thread::scope(|scope| {
        let threads: Vec<_> = halves
            .into_iter()
            .map(|(dice, half)| scope.spawn(move || explore(recording, count / 2, dice, &half)))
            .collect();
        let mut all = Found::default();
        for thread in threads {
            let found = thread.join().unwrap();
            all.states += found.states;
            all.compared += found.compared;
            all.lost.extend(found.lost);
            all.damaged.extend(found.damaged);
        }
        all
    })
}

fn states(torture: &mut Torture) -> Held {
    let recording = record(torture, binary(), "")?;
    let synced = recording
        .deeds
        .iter()
        .filter(|deed| deed.kind == b'S')
        .count();
    let found = explored(torture, &recording, torture.rounds(20_000));
    must(found.lost.is_empty() && found.damaged.is_empty(), || {
        let first = found.lost.first().or(found.damaged.first()).unwrap();
        format!(
            "of {} states {} lost, {} damaged: {first}",
            found.states,
            found.lost.len(),
            found.damaged.len()
        )
    })?;
    let weak = record(torture, &control(), "sync-normal")?;
    let broken = explored(torture, &weak, 1_000);
    must(!broken.lost.is_empty(), || {
        "the control loses nothing: this row finds nothing".to_owned()
    })?;
    Ok(format!(
        "{} states of {} deeds with {synced} syncs and {} deliveries: 0 lost, 0 damaged, {} compared with a rebuild; \
         control lost in {} of {}",
        found.states,
        recording.deeds.len(),
        recording.after.len(),
        found.compared,
        broken.lost.len(),
        broken.states
    ))
}
