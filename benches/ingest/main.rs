//! Durable deliveries per second through the built receiver, beside what else could receive webhooks on this machine.
//!
//! `cargo bench --locked --bench ingest` runs every row and ends with a verdict on each promise; exit code 1 where one is
//! missed. After `--`: names of rows (`--list` tells them) run only those, `mixed` or `payment` only those bodies, and
//! `--write` puts the section into `BENCHMARKS.md`, which needs every row. SECONDS=n (60) loads subledger for so long and
//! each rival for a third of it. `SIZES=10000,1000000` says on which ledgers of `benches/browse` growth is measured.
//! `PYTHON` names a Python with FastAPI and uvicorn. What is not installed is a row that says so.
//!
//! The receiver does everything it does at a publisher's: credentials of all providers, repeats, the chain, folding,
//! a line of log for each delivery. Load comes from `wrk` on the same cores.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints its table"
)]

#[path = "../record/mod.rs"]
mod record;

mod asked;

mod processes;

mod bodies;

mod load;

mod disk;

mod receiver;

mod rivals;

mod postgres;

mod latency;

mod growth;

mod table;

mod verdicts;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use asked::{Asked, Row};
use bodies::{Requests, Set};
use disk::Sizes;
use growth::Grown;
use latency::{Latency, PER_SECOND};
use load::Generator;
use processes::{Folder, first_line};
use receiver::{Home, Memory};
use record::Verdict;
use rivals::{Contest, Fared, Handler};
use table::{Figures, Line, OURS};

/// Senders at a time.
const CONNECTIONS: usize = 64;
/// Requests for so many a second are made: more than anything durable takes here.
const REQUESTS_PER_SECOND: u64 = 15_000;
/// Starts of which the middle one counts.
const STARTS: usize = 11;
/// Rows to a commit where the receiver has not shown how many it takes.
const BATCH: u64 = 64;
/// Seed of what is sent at a steady pace.
const STEADY_SEED: u64 = 7;

/// A count for a rate or a ratio.
#[expect(clippy::cast_precision_loss, reason = "rates and ratios")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

fn main() -> ExitCode {
    let asked = match Asked::read(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(2);
        }
    };
    if asked.lists {
        print!("{}", asked::list());
        return ExitCode::SUCCESS;
    }
    processes::clean_up_on_signals();
    let done = catch_unwind(AssertUnwindSafe(|| {
        let mut bench = Bench::new(asked);
        bench.run()?;
        bench.end()
    }));
    processes::give_way();
    match done {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            eprintln!("ingest: {error}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}

/// What was seen of one ledger after its load.
pub(crate) struct Looked {
    set: Set,
    body_bytes: u64,
    deliveries: u64,
    sizes: Option<Sizes>,
    cost: String,
    memory: Memory,
    latency: Option<Latency>,
    /// From the start to the first connection and to the first answer, the middle ones.
    start: Option<(Duration, Duration)>,
}

/// A run.
pub(crate) struct Bench {
    asked: Asked,
    folder: Folder,
    generator: Generator,
    lines: Vec<Line>,
    looked: Vec<Looked>,
    /// What the built-in senders saw as parts of what `wrk` saw.
    agreement: Option<f64>,
    grown: Vec<Grown>,
}

impl Bench {
    fn new(asked: Asked) -> Self {
        let generator = Generator::found();
        if generator == Generator::BuiltIn {
            println!("wrk is not installed: the built-in generator sends");
        }
        Self {
            asked,
            folder: Folder::new(Path::new(env!("CARGO_TARGET_TMPDIR")), "ingest"),
            generator,
            lines: Vec::new(),
            looked: Vec::new(),
            agreement: None,
            grown: Vec::new(),
        }
    }

    fn run(&mut self) -> io::Result<()> {
        for set in self.asked.sets.clone() {
            self.contest(set)?;
        }
        if self.asked.wants(Row::Growth) {
            self.growth()?;
        }
        Ok(())
    }

    /// All rows of one set of bodies.
    fn contest(&mut self, set: Set) -> io::Result<()> {
        if !self.asked.wants_contest() {
            return Ok(());
        }
        let count = self.asked.seconds * REQUESTS_PER_SECOND;
        let requests = Requests::write(self.folder.path(), set, 1, count)?;
        println!(
            "\n{}: {} requests, {} bytes of body on average; {CONNECTIONS} connections, {} s, rivals {} s, {}",
            set.words(),
            requests.count,
            requests.body_bytes_each(),
            self.asked.seconds,
            self.asked.rival_time().as_secs(),
            self.generator.name()
        );
        let mut batch = BATCH;
        if self.asked.wants_receiver() {
            batch = self.ours(&requests)?;
        }
        self.rivals(&requests, batch)?;
        if self.asked.wants(Row::Generators) && self.generator != Generator::BuiltIn {
            self.generators(&requests)?;
        }
        std::fs::remove_file(&requests.path)
    }

    /// The receiver under load and what is to be seen of it afterwards; deliveries to a commit.
    fn ours(&mut self, requests: &Requests) -> io::Result<u64> {
        let sync = self.sync()?;
        let folder = Folder::new(self.folder.path(), "home");
        let home = Home::new(folder.path().to_owned(), folder.path().join("ledger.db"))?;
        let serving = home.serve()?;
        let time = Duration::from_secs(self.asked.seconds);
        let generator = &self.generator;
        let received = receiver::load(&home, &serving, generator, requests, CONNECTIONS, time)?;
        self.add(Line {
            set: requests.set,
            name: OURS.to_owned(),
            fared: Ok(Figures {
                load: received.load,
                folded_per_second: Some(received.folded_per_second()),
            }),
            sync,
        });
        let cost = table::cost(&received);
        println!(
            "  {} deliveries, {} to fold when the last was answered, folded in {:.1} s. {cost}",
            received.deliveries,
            received.behind,
            received.folded_in.as_secs_f64()
        );
        if received.deliveries > requests.count {
            println!(
                "  more than the {} requests there were: those from the beginning again are repeats, which cost less",
                requests.count
            );
        }
        let batch = (received.deliveries / received.commits.max(1)).clamp(1, BATCH);
        let mut looked = Looked {
            set: requests.set,
            body_bytes: requests.body_bytes_each(),
            deliveries: received.deliveries,
            sizes: None,
            cost,
            memory: received.memory,
            latency: None,
            start: None,
        };
        if self.asked.wants(Row::Latency) {
            looked.latency = Some(self.latency(requests.set, &home)?);
        }
        serving.end();
        if self.asked.wants(Row::Disk) {
            looked.sizes = Some(disk_use(&home, looked.body_bytes)?);
        }
        if self.asked.wants(Row::Start) {
            looked.start = Some(starts(&home)?);
        }
        self.looked.push(looked);
        Ok(batch)
    }

    fn latency(&self, set: Set, home: &Home) -> io::Result<Latency> {
        let count = (self.asked.seconds / 2).max(5) * u64::from(PER_SECOND);
        let steady = bodies::requests(set, STEADY_SEED, count);
        let seen = latency::measure(self.folder.path(), home.port(), &steady)?;
        println!(
            "  {} at {PER_SECOND} a second: p50 {} ({:.2} times a sync of {}), p99 {}, worst {}; the senders themselves were late by {}",
            seen.count,
            table::ms(seen.p50),
            seen.in_syncs(),
            table::ms(seen.sync_p50),
            table::ms(seen.p99),
            table::ms(seen.worst),
            table::ms(seen.sender_late_p99)
        );
        Ok(seen)
    }

    /// What the others do with the same bodies.
    fn rivals(&mut self, requests: &Requests, batch: u64) -> io::Result<()> {
        for (row, name, rival) in contestants(batch) {
            if !self.asked.wants(row) {
                continue;
            }
            let sync = self.sync()?;
            let folder = Folder::new(self.folder.path(), "rival");
            let fared = rival(&Contest {
                folder: folder.path(),
                generator: &self.generator,
                requests,
                connections: CONNECTIONS,
                time: self.asked.rival_time(),
            });
            let fared = fared.map(|load| Figures {
                load,
                folded_per_second: None,
            });
            self.add(Line {
                set: requests.set,
                name,
                fared: fared.map_err(table::reason),
                sync,
            });
        }
        Ok(())
    }

    /// Both generators, one after the other, on a new ledger each.
    fn generators(&mut self, requests: &Requests) -> io::Result<()> {
        let mut rates = Vec::new();
        for generator in [&self.generator, &Generator::BuiltIn] {
            let folder = Folder::new(self.folder.path(), "generator");
            let home = Home::new(folder.path().to_owned(), folder.path().join("ledger.db"))?;
            let serving = home.serve()?;
            let load =
                generator.send(home.port(), requests, CONNECTIONS, self.asked.rival_time())?;
            serving.end();
            rates.push(load.per_second());
        }
        let agreement = rates[1] / rates[0];
        println!(
            "  the built-in generator sees {:.0}/s where wrk sees {:.0}/s: {:.0} %",
            rates[1],
            rates[0],
            agreement * 100.0
        );
        self.agreement = Some(agreement);
        Ok(())
    }

    fn growth(&mut self) -> io::Result<()> {
        println!(
            "\nthe same load on ledgers that are there already, {} s each",
            self.asked.rival_time().as_secs()
        );
        for (place, events) in (0..).zip(self.asked.sizes.clone()) {
            let plan = growth::Plan {
                folder: self.folder.path(),
                generator: &self.generator,
                connections: CONNECTIONS,
                time: self.asked.rival_time(),
                in_place: &self.asked.in_place,
                requests_per_second: REQUESTS_PER_SECOND,
            };
            self.grown.push(growth::measure(&plan, place, events)?);
        }
        print!(
            "{}",
            table::columns(&table::GROWTH_HEADS, &table::growth(&self.grown))
        );
        Ok(())
    }

    /// The middle one of some syncs: how the disk is at this moment.
    fn sync(&self) -> io::Result<Duration> {
        let syncs = disk::syncs(self.folder.path(), 101, Duration::ZERO)?;
        Ok(syncs[syncs.len() / 2])
    }

    fn add(&mut self, line: Line) {
        // What a signal ended has not failed.
        processes::give_way();
        println!("{}", line.text());
        self.lines.push(line);
    }

    /// The verdicts, and the section where it was asked for.
    fn end(&self) -> io::Result<ExitCode> {
        let promises = verdicts::all(self);
        let ratios = table::ratios(&self.lines);
        if !ratios.is_empty() {
            println!("\nsubledger is\n{ratios}");
        }
        print!("{}", record::lines(&promises));
        if self.asked.writes {
            let body = verdicts::section(self, &promises);
            let path = record::write("ingest", "Receiving", &body)?;
            println!("wrote {}", path.display());
        }
        let missed = promises.iter().any(|one| one.verdict == Verdict::Missed);
        Ok(if missed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    /// What it was measured with.
    fn programs(&self) -> String {
        let mut all = Vec::new();
        if let Generator::Wrk(wrk) = &self.generator {
            let said = first_line(Command::new(wrk).arg("--version"));
            all.push(said.split(" [").next().unwrap_or("wrk").to_owned());
        }
        all.push(format!("SQLite {}", rusqlite::version()));
        all.extend(postgres::version());
        all.extend(rivals::python_versions());
        if let Some(webhook) = processes::program("webhook") {
            all.push(first_line(Command::new(webhook).arg("-version")));
        }
        all.join(", ")
    }
}

/// Runs a rival.
type Rival = Box<dyn Fn(&Contest<'_>) -> Fared>;

/// Every rival, its row and its name.
fn contestants(batch: u64) -> Vec<(Row, String, Rival)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all: Vec<(Row, String, Rival)> = vec![
        (
            Row::Nothing,
            "an axum handler that stores nothing".to_owned(),
            Box::new(rivals::nothing_stored),
        ),
        (
            Row::Sqlite,
            format!("SQLite alone, {batch} rows a commit, no network"),
            Box::new(move |contest| rivals::sqlite_alone(contest, batch)),
        ),
        (
            Row::Postgres,
            verdicts::POSTGRES.to_owned(),
            Box::new(postgres::postgres),
        ),
    ];
    // Which is fastest depends on the machine: the best of them is who we are compared with.
    for handler in [Handler::Async, Handler::Threads] {
        let counts = if cores > 1 { vec![1, cores] } else { vec![1] };
        all.extend(counts.into_iter().map(|count| -> (Row, String, Rival) {
            let name = handler.name();
            (
                Row::Fastapi,
                format!("FastAPI and sqlite3, {name}, processes: {count}"),
                Box::new(move |contest| rivals::fastapi(contest, handler, count)),
            )
        }));
    }
    all.push((
        Row::Webhook,
        "webhook and the shell of SQLite".to_owned(),
        Box::new(rivals::webhook),
    ));
    all
}

fn disk_use(home: &Home, body_bytes: u64) -> io::Result<Sizes> {
    let sizes = Sizes::of(home.db())?;
    println!(
        "  on disk {} for {} deliveries, {} of them repeats: {:.0} bytes each, {:.2} times the body",
        table::mib(sizes.file_bytes),
        sizes.deliveries,
        sizes.duplicates,
        sizes.each(),
        sizes.each() / real(body_bytes.max(1))
    );
    let rows = table::sizes(&sizes, body_bytes);
    print!("{}", table::columns(&verdicts::SIZE_HEADS, &rows));
    Ok(sizes)
}

/// From the start to the first connection and to the first answer, the middle ones of some starts.
fn starts(home: &Home) -> io::Result<(Duration, Duration)> {
    let (mut listening, mut answering) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let serving = home.serve()?;
        listening.push(serving.listening);
        answering.push(serving.answering);
        serving.end();
    }
    listening.sort_unstable();
    answering.sort_unstable();
    let start = (listening[STARTS / 2], answering[STARTS / 2]);
    println!(
        "  a start: listening after {}, the first answer after {}, the middle one of {STARTS}",
        table::ms(start.0),
        table::ms(start.1)
    );
    Ok(start)
}
