//! What was asked for on the command line and in the environment.

use std::time::Duration;

use crate::bodies::Set;
use crate::growth;
use crate::record;
use crate::table;

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Subledger,
    Latency,
    Disk,
    Start,
    Nothing,
    Sqlite,
    Postgres,
    Fastapi,
    Webhook,
    Generators,
    Growth,
}

/// Every row, its name and what it does, in the order of a run.
const ROWS: [(Row, &str, &str); 11] = [
    (
        Row::Subledger,
        "subledger",
        "the built receiver under load, then until all is folded",
    ),
    (
        Row::Latency,
        "latency",
        "one delivery at 100 a second, beside a sync",
    ),
    (Row::Disk, "disk", "bytes of the ledger by table and index"),
    (
        Row::Start,
        "start",
        "from the start of the program to its first answer",
    ),
    (
        Row::Nothing,
        "nothing",
        "an axum handler that stores nothing",
    ),
    (Row::Sqlite, "sqlite", "SQLite alone at the same batch size"),
    (Row::Postgres, "postgres", "PostgreSQL by pgbench"),
    (
        Row::Fastapi,
        "fastapi",
        "a receiver written by hand with FastAPI and sqlite3",
    ),
    (
        Row::Webhook,
        "webhook",
        "Debian's webhook and the shell of SQLite",
    ),
    (
        Row::Generators,
        "generators",
        "whether wrk and the built-in generator agree",
    ),
    (
        Row::Growth,
        "growth",
        "the same load on ledgers of SIZES events",
    ),
];

/// The usual seconds under load.
const SECONDS: u64 = 60;
/// A rival is loaded for so long at least, unless all are loaded for less.
const RIVAL_SECONDS_MIN: u64 = 5;

/// What to run.
pub(crate) struct Asked {
    rows: Vec<Row>,
    pub(crate) sets: Vec<Set>,
    pub(crate) seconds: u64,
    pub(crate) sizes: Vec<u64>,
    pub(crate) in_place: Vec<u64>,
    /// Every row.
    pub(crate) is_whole: bool,
    pub(crate) writes: bool,
    pub(crate) lists: bool,
}

impl Asked {
    /// Reads the words after `--`; an error says what was wrong.
    pub(crate) fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut asked = Self {
            rows: Vec::new(),
            sets: Vec::new(),
            seconds: seconds()?,
            sizes: growth::sizes()?,
            in_place: growth::in_place()?,
            is_whole: false,
            writes: false,
            lists: false,
        };
        for word in words {
            let row = ROWS.iter().find(|(_, name, _)| *name == word);
            let set = Set::ALL.into_iter().find(|set| set.name() == word);
            match word.as_str() {
                // What cargo passes to every bench.
                "--bench" => {}
                "--write" => asked.writes = record::is_asked_for(),
                "--list" => asked.lists = true,
                _ => match (row, set) {
                    (Some((row, ..)), _) => asked.rows.push(*row),
                    (_, Some(set)) => asked.sets.push(set),
                    _ => return Err(format!("no row {word:?}: --list tells them")),
                },
            }
        }
        asked.is_whole = asked.rows.is_empty() && asked.sets.is_empty();
        if asked.writes && !asked.is_whole {
            return Err("--write needs every row: leave the names out".to_owned());
        }
        if asked.rows.is_empty() {
            asked.rows = ROWS.iter().map(|(row, ..)| *row).collect();
        }
        if asked.sets.is_empty() {
            asked.sets = Set::ALL.to_vec();
        }
        Ok(asked)
    }

    pub(crate) fn wants(&self, row: Row) -> bool {
        self.rows.contains(&row)
    }

    /// Anything but growth.
    pub(crate) fn wants_contest(&self) -> bool {
        self.rows.iter().any(|row| *row != Row::Growth)
    }

    /// The receiver under load, for itself or for what is to be seen of it afterwards.
    pub(crate) fn wants_receiver(&self) -> bool {
        let rows = [Row::Subledger, Row::Latency, Row::Disk, Row::Start];
        rows.into_iter().any(|row| self.wants(row))
    }

    pub(crate) fn rival_time(&self) -> Duration {
        let least = RIVAL_SECONDS_MIN.min(self.seconds);
        Duration::from_secs((self.seconds / 3).max(least))
    }
}

fn seconds() -> Result<u64, String> {
    let Ok(text) = std::env::var("SECONDS") else {
        return Ok(SECONDS);
    };
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| format!("SECONDS wants a number of seconds such as 60, not {text:?}"))
}

/// The rows by name.
pub(crate) fn list() -> String {
    let rows = ROWS
        .iter()
        .map(|(_, name, what)| vec![(*name).to_owned(), (*what).to_owned()]);
    table::columns(&["row", "what it measures"], &rows.collect::<Vec<_>>())
}
