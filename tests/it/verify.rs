//! What `verify` and `rebuild` find in a ledger that was damaged or tampered with, and what they leave alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rusqlite::types::Value;
use subledger::store::task::Task;
use subledger::store::upkeep::verify::verify;
use subledger::store::writer::Store;
use subledger::store::{Error, Mode, connect};

use crate::support::{Home, Said};
use crate::upgrade::{fill, open};

/// Flips that fall in live rows.
const FLIPS: usize = 500;
/// Tables that nothing vouches for: see the head of `verify.rs`.
const UNPROVEN: &[&str] = &[
    "checks",
    "delivery_keys",
    "erasures",
    "meta",
    "rejected",
    "rejected_lost",
    "reviews",
    "unconfirmed",
    "upgrades",
    "upkeep",
    "views",
];

/// Every value of every table, and the statements of the schema without their comments; `None` for what cannot be read.
type Dump = BTreeMap<String, Option<Vec<Vec<Value>>>>;

fn rows(conn: &rusqlite::Connection, sql: &str) -> Option<Vec<Vec<Value>>> {
    let mut statement = conn.prepare(sql).ok()?;
    let width = statement.column_count();
    let rows = statement
        .query_map([], |row| (0..width).map(|place| row.get(place)).collect())
        .ok()?;
    rows.collect::<rusqlite::Result<_>>().ok()
}

fn dump(path: &Path) -> Dump {
    let mut dump = Dump::new();
    let Ok(conn) = connect(path, Mode::Read) else {
        return dump;
    };
    let schema = rows(
        &conn,
        "select name, sql, tbl_name, type, rootpage from sqlite_schema order by 1",
    );
    let schema = schema.map(|schema| {
        let bare = |value: &Value| match value {
            Value::Text(text) => {
                let lines = text.lines().map(|line| line.split("--").next().unwrap());
                Value::Text(lines.collect::<String>().split_whitespace().collect())
            }
            other => other.clone(),
        };
        let bared = |row: &Vec<Value>| row.iter().map(bare).collect();
        schema.iter().map(bared).collect::<Vec<Vec<Value>>>()
    });
    let tables: Vec<String> = schema
        .iter()
        .flatten()
        .filter(|row| row[3] == Value::Text("table".to_owned()))
        .filter_map(|row| match &row[0] {
            Value::Text(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    for table in tables {
        let read = rows(&conn, &format!("select * from \"{table}\" not indexed"));
        dump.insert(table, read);
    }
    dump.insert("schema".to_owned(), schema);
    dump
}

/// A generator whose seed is printed where a test fails.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// The file of a small ledger with something of everything.
fn small_ledger(folder: &Path) -> Vec<u8> {
    let path = folder.join("whole.db");
    let store = open(&path);
    fill(&store);
    store.close().unwrap();
    fs::read(&path).unwrap()
}

/// What is wrong with the ledger at `path`, by everything that `verify` does; `None` if it finds nothing.
fn found(path: &Path) -> Option<Vec<Option<i64>>> {
    match verify(path) {
        Ok(verified) if verified.is_sound() => {}
        Ok(verified) => return Some(verified.damage.iter().map(|one| one.seq).collect()),
        Err(Error::Absent(_) | Error::Interrupted) => return None,
        Err(_) => return Some(Vec::new()),
    }
    let compared = || -> Result<u64, Error> {
        let store = Store::open(path, crate::upgrade::options())?;
        let report = store
            .writer()
            .run(Task::Rebuild { check: true }, &mut |_| {})?;
        let _ = store.close();
        Ok(report.changed)
    };
    match compared() {
        Ok(0) => None,
        Ok(_) | Err(_) => Some(Vec::new()),
    }
}

#[test]
fn five_hundred_flipped_bits_in_live_rows_are_all_found() {
    let folder = tempfile::tempdir().unwrap();
    let whole = small_ledger(folder.path());
    let path = folder.path().join("flipped.db");
    fs::write(&path, &whole).unwrap();
    let before = dump(&path);
    assert_eq!(found(&path), None, "the ledger is not sound to begin with");
    fs::write(&path, &whole).unwrap();
    let mut dice = Dice(0x005e_ed0f_5ab1_ed9e);
    let (mut live, mut unused, mut unproven, mut named, mut missed) = (0, 0, 0, 0, Vec::new());
    while live < FLIPS {
        let (place, bit) = (dice.below(whole.len()), dice.below(8));
        flip(&path, &whole, place, 1 << bit);
        let after = dump(&path);
        let changed: Vec<&String> = before
            .keys()
            .filter(|table| before.get(*table) != after.get(*table))
            .collect();
        if changed.is_empty() {
            // What no query shows may still be seen by SQLite's own check; it must only never be a panic.
            let _ = verify(&path);
            unused += 1;
        } else if changed
            .iter()
            .all(|table| UNPROVEN.contains(&table.as_str()))
        {
            let _ = verify(&path);
            unproven += 1;
        } else {
            live += 1;
            match found(&path) {
                None => missed.push(format!("byte {place} bit {bit}: {changed:?}")),
                Some(seqs) => named += usize::from(seqs.iter().any(Option::is_some)),
            }
        }
        for ending in ["-wal", "-shm", ".lock", ".sock"] {
            let _ = fs::remove_file(format!("{}{ending}", path.display()));
        }
        fs::write(&path, &whole).unwrap();
    }
    eprintln!(
        "{live} in live rows, {named} of them with a seq; {unproven} beside; {unused} in unused bytes"
    );
    assert!(missed.is_empty(), "not found: {missed:#?}");
}

fn flip(path: &Path, whole: &[u8], place: usize, mask: u8) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[whole[place] ^ mask], place as u64)
        .unwrap();
}

#[test]
fn no_damage_makes_verify_panic() {
    let folder = tempfile::tempdir().unwrap();
    let whole = small_ledger(folder.path());
    let path = folder.path().join("damaged.db");
    let pages = whole.len() / 4096;
    let mut dice = Dice(0x0dda_11a9_e500);
    let mut noticed = 0;
    let mut look = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        noticed += usize::from(!verify(&path).is_ok_and(|verified| verified.is_sound()));
    };
    for page in 0..pages {
        look(&whole[..page * 4096]);
        look(&whole[..page * 4096 + 100]);
        let mut zeroed = whole.clone();
        zeroed[page * 4096..][..4096].fill(0);
        look(&zeroed);
        let mut swapped = whole.clone();
        let other = dice.below(pages);
        for byte in 0..4096 {
            swapped.swap(page * 4096 + byte, other * 4096 + byte);
        }
        look(&swapped);
    }
    for _ in 0..200 {
        let mut damaged = whole.clone();
        for _ in 0..40 {
            let place = dice.below(whole.len());
            damaged[place] = u8::try_from(dice.below(256)).unwrap();
        }
        look(&damaged);
    }
    assert!(
        noticed > 3 * pages,
        "{noticed} of {} noticed",
        4 * pages + 200
    );
}

/// A home with a ledger of something of everything.
fn home() -> Home {
    let home = Home::new();
    fs::create_dir_all(home.ledger().parent().unwrap()).unwrap();
    let store = open(&home.ledger());
    fill(&store);
    store.close().unwrap();
    home
}

const COMMANDS: [&[&str]; 4] = [
    &["verify"],
    &["verify", "--deliveries"],
    &["rebuild"],
    &["rebuild", "--check"],
];

/// What stands at the ledger's place, the exit code and a word of the line that says so.
type Bad = (&'static str, fn(&Path), i32, &'static str);

fn newer(path: &Path) {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.execute_batch("pragma user_version = 99").unwrap();
}

fn foreign(path: &Path) {
    fs::remove_file(path).unwrap();
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.execute_batch("create table theirs (a); insert into theirs values (1)")
        .unwrap();
}

fn cut_off(path: &Path) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(4096 * 3 + 17).unwrap();
}

fn zeros(path: &Path) {
    let bytes = fs::metadata(path).unwrap().len();
    fs::write(path, vec![0; usize::try_from(bytes).unwrap()]).unwrap();
}

fn header(path: &Path) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0xa5; 40], 16).unwrap();
}

fn page_size(path: &Path) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0, 7], 16).unwrap();
}

const BAD: &[Bad] = &[
    (
        "absent",
        |path| fs::remove_file(path).unwrap(),
        3,
        "there is no ledger",
    ),
    (
        "empty",
        |path| fs::write(path, "").unwrap(),
        3,
        "there is no ledger",
    ),
    (
        "a text",
        |path| fs::write(path, "not a database\n".repeat(40)).unwrap(),
        1,
        "is not a subledger database",
    ),
    ("foreign", foreign, 1, "is not a subledger database"),
    ("newer", newer, 1, "newer subledger"),
    ("cut off", cut_off, 1, ""),
    ("zeros", zeros, 1, "is not a subledger database"),
    ("a damaged header", header, 1, ""),
    ("a page size of nobody", page_size, 1, ""),
];

#[test]
fn whatever_stands_in_the_place_of_a_ledger_is_told_and_left_alone() {
    for (what, put, code, word) in BAD {
        let home = home();
        put(&home.ledger());
        let before = fs::read(home.ledger()).ok();
        for args in COMMANDS {
            let Said {
                code: found,
                out,
                err,
            } = home.says(args);
            assert_eq!(found, *code, "{what} {args:?}: {out}{err}");
            let said = format!("{out}{err}");
            assert!(said.contains(word), "{what} {args:?}: {said}");
            assert!(!said.contains("panicked"), "{what} {args:?}: {said}");
            assert_eq!(fs::read(home.ledger()).ok(), before, "{what} {args:?}");
            assert!(!home.ledger().with_extension("db.check").exists());
        }
    }
}

#[test]
fn the_end_of_the_chain_can_be_noted_and_looked_for() {
    let home = home();
    let Said { code, out, .. } = home.says(&["verify"]);
    assert_eq!(code, 0, "{out}");
    let end = out
        .lines()
        .find_map(|line| line.strip_prefix("its end: "))
        .unwrap();
    let noted = ["verify", "--deliveries", "--noted", end];
    assert_eq!(home.says(&noted).code, 0);
    let line = format!("its end: {end}");
    assert_eq!(home.says(&["verify", "--noted", &line]).code, 0);
    let Said { code, err, .. } = home.says(&["verify", "--noted", "12"]);
    assert_eq!(code, 2);
    assert!(err.contains("`12` is no end of a chain"), "{err}");
    // The newest one, taken away with everything that tells of it, is missed only by whoever noted it.
    let (seq, _) = end.split_once(':').unwrap();
    home.open()
        .execute_batch(&format!(
            "pragma foreign_keys = off; drop trigger deliveries_no_delete;
             delete from deliveries where seq = {seq}; delete from seals where seq = {seq};
             delete from events where seq = {seq}; delete from unconfirmed where seq = {seq};"
        ))
        .unwrap();
    let Said { code, out, .. } = home.says(&noted);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains(&format!("{seq}: is missing")), "{out}");
    assert!(out.contains("trigger deliveries_no_delete"), "{out}");
}

#[test]
fn a_rebuild_under_a_running_receiver_loses_nothing() {
    let home = home();
    let serving = home.serve();
    home.open()
        .execute_batch(
            "update users set email = 'forged@example.org'; update daily set events = events + 1",
        )
        .unwrap();
    let before = home.number("select count(*) from deliveries");
    let mut rebuild = home
        .command(&["rebuild"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut sent = 0;
    while sent < 20 || rebuild.try_wait().unwrap().is_none() {
        sent += 1;
        let body =
            format!(r#"{{"event_type":"visitor.greeted","data":{{"visitor_id":"v{sent}"}}}}"#);
        let (status, says) = serving.post("klustr", "events", body.as_bytes()).unwrap();
        assert_eq!(status, 200, "{says}");
    }
    let done = rebuild.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert_eq!(
        home.number("select count(*) from deliveries"),
        before + sent
    );
    let forged = "select count(*) from users where email = 'forged@example.org'";
    assert_eq!(home.number(forged), 0);
    let Said { code, out, err } = home.says(&["verify"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(serving.terminate(), Some(0));
}

#[test]
fn what_a_killed_comparison_left_is_gone_at_the_next_start() {
    let home = home();
    let left =
        ["check", "check-wal"].map(|ending| home.ledger().with_extension(format!("db.{ending}")));
    for file in &left {
        fs::write(file, "half").unwrap();
    }
    home.serve().kill();
    assert!(left.iter().all(|file| !file.exists()), "{left:?}");
    let Said { code, out, err } = home.says(&["rebuild", "--check"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(left.iter().all(|file| !file.exists()), "{left:?}");
}

/// Statements that change a projection behind the program's back, one for each.
const TAMPERED: &[(&str, &str)] = &[
    (
        "cancellations",
        "update cancellations set reason = 'forged' where id = (select min(id) from cancellations)",
    ),
    (
        "consent_changes",
        "delete from consent_changes where id = (select min(id) from consent_changes)",
    ),
    (
        "consents",
        "update consents set state = iif(state = 'given', 'withdrawn', 'given')",
    ),
    ("daily", "update daily set events = events + 1"),
    (
        "events",
        "update events set plan = 'forged' where id = (select min(id) from events)",
    ),
    (
        "payments",
        "update payments set amount_minor = amount_minor + 1 where amount_minor is not null",
    ),
    (
        "subscriptions",
        "update subscriptions set price_minor = 1 where id = (select min(id) from subscriptions)",
    ),
    ("user_aliases", "delete from user_aliases"),
    (
        "users",
        "update users set email = 'forged@example.org' where id = (select min(id) from users)",
    ),
    // No text at all, in a value and in a key.
    (
        "users",
        "update users set email = cast(x'ff41' as text) where id = (select min(id) from users)",
    ),
    (
        "user_aliases",
        "update user_aliases set alias = cast(x'ff41' as text) where alias = (select min(alias) from user_aliases)",
    ),
];

#[test]
fn what_is_left_of_the_erased_must_not_contradict_itself() {
    let home = home();
    for changed in [
        "type = 'user.registered'",
        "day = '2020-02-02'",
        "readers = 1",
    ] {
        let whole = fs::read(home.ledger()).unwrap();
        let sql = format!("update residue set {changed} where what = 'subscription'");
        assert!(home.open().execute(&sql, []).unwrap() > 0);
        let Said { code, out, .. } = home.says(&["verify", "--deliveries"]);
        assert_eq!(code, 1, "{changed}: {out}");
        assert!(out.contains("what is left of it"), "{out}");
        fs::write(home.ledger(), whole).unwrap();
    }
    let whole = fs::read(home.ledger()).unwrap();
    let beside = "insert into residue (seq, n, what, why, provider, account, type, day)
        select min(seq), 9, 'event', 'erased', provider, account, 'user.registered', '2026-01-01'
        from deliveries where erased_at is null";
    assert_eq!(home.open().execute(beside, []).unwrap(), 1);
    let Said { code, out, .. } = home.says(&["verify", "--deliveries"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("something is left in its place"), "{out}");
    fs::write(home.ledger(), whole).unwrap();
    assert_eq!(home.says(&["verify"]).code, 0);
}

#[test]
fn whatever_is_tampered_with_is_found_and_mended() {
    let home = home();
    // The clock of the program is not that of the test: what it changes is brought up to it.
    let done = home.command(&["verify"]).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let before = dump(&home.ledger());
    for (table, sql) in TAMPERED {
        let rows = home.open().execute(sql, []).unwrap();
        assert!(rows > 0, "{table}: nothing to tamper with");
        for args in [&["rebuild", "--check"][..], &["verify"]] {
            let done = home.command(args).output().unwrap();
            let says = String::from_utf8(done.stdout).unwrap();
            assert_eq!(done.status.code(), Some(1), "{table} {args:?}: {says}");
            assert!(says.contains(&format!("  {table} ")), "{table}: {says}");
            assert!(!says.contains("forged@"), "{says}");
        }
        let done = home.command(&["rebuild"]).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{table}: {done:?}");
        let after = dump(&home.ledger());
        assert_eq!(before.get(*table), after.get(*table), "{table}");
    }
    let done = home.command(&["verify"]).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
}
