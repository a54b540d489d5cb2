//! Rows, what they need, and what became of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// One line of the table.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// By which it is asked for.
    pub(crate) name: &'static str,
    /// What is done.
    pub(crate) what: &'static str,
    /// What must come of it.
    pub(crate) figure: &'static str,
    /// Does it: the figures of this run.
    pub(crate) run: fn(&mut Torture) -> Held,
}

/// What a row found.
pub(crate) type Held = std::result::Result<String, Stop>;

/// Why a row did not hold. Panics count as missed.
pub(crate) enum Stop {
    /// Something that must hold does not.
    Missed(String),
    /// It needs what is not here.
    Skipped(String),
}

/// Ends a row as missed unless something holds.
pub(crate) fn must(holds: bool, what: impl FnOnce() -> String) -> std::result::Result<(), Stop> {
    if holds {
        Ok(())
    } else {
        Err(Stop::Missed(what()))
    }
}

/// What became of a row.
pub(crate) struct Result {
    pub(crate) row: Row,
    pub(crate) held: Held,
    pub(crate) took: Duration,
}

impl Result {
    pub(crate) const fn is_missed(&self) -> bool {
        matches!(self.held, Err(Stop::Missed(_)))
    }
}

/// What was asked for on the command line.
pub(crate) struct Asked {
    pub(crate) rows: Vec<Row>,
    pub(crate) seed: u64,
    pub(crate) list: bool,
    /// Every row, each as often as it should be.
    pub(crate) is_whole: bool,
    rounds: Option<usize>,
    soak: Option<u64>,
}

impl Asked {
    /// Reads the words after `--`; an error says what was wrong.
    pub(crate) fn read(
        mut words: impl Iterator<Item = String>,
        all: Vec<Row>,
    ) -> std::result::Result<Self, String> {
        let mut asked = Self {
            rows: Vec::new(),
            seed: u64::from(std::process::id()) ^ 0x5eed_0000,
            list: false,
            is_whole: false,
            rounds: None,
            soak: None,
        };
        while let Some(word) = words.next() {
            let mut number = || {
                let value = words.next().unwrap_or_default();
                let wrong = |_| format!("{word} needs a number, not \"{value}\"");
                value.parse::<u64>().map_err(wrong)
            };
            match word.as_str() {
                "--list" => asked.list = true,
                "--seed" => asked.seed = number()?,
                "--rounds" => asked.rounds = usize::try_from(number()?).ok(),
                "--soak" => asked.soak = Some(number()?),
                name => match all.iter().find(|row| row.name == name) {
                    Some(row) => asked.rows.push(*row),
                    None => return Err(format!("no row \"{name}\": --list tells them")),
                },
            }
        }
        asked.is_whole = asked.rows.is_empty() && asked.rounds.is_none() && asked.soak.is_none();
        if asked.rows.is_empty() {
            let is_soak = |row: &Row| row.name == SOAK;
            let wanted = |row: &Row| asked.list || is_soak(row) == asked.soak.is_some();
            asked.rows = all.into_iter().filter(wanted).collect();
        }
        Ok(asked)
    }

    /// Runs what was asked for, one row after the other.
    pub(crate) fn run(&self) -> Vec<Result> {
        eprintln!("seed {}", self.seed);
        let mut results = Vec::new();
        for row in &self.rows {
            eprintln!("{}: {}", row.name, row.what);
            let mut torture = Torture {
                dice: Dice::new(self.seed ^ name_hash(row.name)),
                rounds: self.rounds,
                soak: self.soak,
                scratch: tempfile::tempdir().unwrap(),
            };
            let begun = Instant::now();
            let run = catch_unwind(AssertUnwindSafe(|| (row.run)(&mut torture)));
            let held = run.unwrap_or_else(|panic| Err(Stop::Missed(words_of(&*panic))));
            let took = begun.elapsed();
            let seed = self.seed;
            match &held {
                Ok(figures) => eprintln!("  held in {} s: {figures}", took.as_secs()),
                Err(Stop::Skipped(why)) => eprintln!("  skipped: {why}"),
                Err(Stop::Missed(why)) => eprintln!("  MISSED with --seed {seed}: {why}"),
            }
            results.push(Result {
                row: *row,
                held,
                took,
            });
        }
        results
    }
}

/// The row that is not run unless asked for.
pub(crate) const SOAK: &str = "soak";

fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

/// What a row works with.
pub(crate) struct Torture {
    pub(crate) dice: Dice,
    rounds: Option<usize>,
    soak: Option<u64>,
    scratch: TempDir,
}

impl Torture {
    /// How often, unless `--rounds` says otherwise.
    pub(crate) fn rounds(&self, usual: usize) -> usize {
        self.rounds.unwrap_or(usual).max(1)
    }

    /// Minutes to soak.
    pub(crate) fn soak_minutes(&self) -> u64 {
        self.soak.unwrap_or(10)
    }

    /// A folder of this row's own.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Compiles `source` of `tests/torture`, with these further arguments.
    pub(crate) fn compile(
        &self,
        source: &str,
        output: &str,
        args: &[&str],
    ) -> std::result::Result<PathBuf, Stop> {
        let compiler = tool("cc")?;
        let output = self.scratch().join(output);
        let status = Command::new(compiler)
            .args(["-O2", "-Wall", "-Werror", "-o"])
            .arg(&output)
            .arg(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("tests/torture")
                    .join(source),
            )
            .args(args)
            .status()
            .unwrap();
        must(status.success(), || format!("{source} does not compile"))?;
        Ok(output)
    }
}

/// Where the tool `name` is, or the row is skipped.
pub(crate) fn tool(name: &str) -> std::result::Result<PathBuf, Stop> {
    let places = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&places).chain(["/usr/sbin".into(), "/sbin".into()]);
    let mut found = places.map(|place| place.join(name));
    let found = found.find(|path| path.is_file());
    found.ok_or_else(|| Stop::Skipped(format!("there is no {name} here")))
}

/// Goes on only as root.
pub(crate) fn root() -> std::result::Result<(), Stop> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(Stop::Skipped("it needs root".to_owned()))
    }
}

/// The binary under test.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_subledger"))
}

/// A binary that breaks what it is told to break, built where nobody else builds. It takes minutes the first time.
pub(crate) fn control() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Beside `target/release` or wherever this was built.
    let target = binary().parent().unwrap().parent().unwrap().join("control");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--locked",
            "--quiet",
            "--bin",
            "subledger",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(root)
        .env("RUSTFLAGS", "--cfg subledger_control")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "the control cannot be built");
    target.join("debug/subledger")
}

/// Numbers that are the same again for the same seed.
#[derive(Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (`SplitMix64`).
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    /// A time between two, in milliseconds.
    pub(crate) fn ms(&mut self, from: usize, to: usize) -> Duration {
        Duration::from_millis((from + self.below(to - from)) as u64)
    }
}
