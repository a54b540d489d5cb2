//! What is promised and what came of it, and the section of `BENCHMARKS.md`.

use std::time::Duration;

use crate::bodies::Set;
use crate::growth::Grown;
use crate::record::{self, Promise, Verdict};
use crate::table::{self, OURS};
use crate::{Bench, CONNECTIONS, Looked};

/// The row of PostgreSQL.
pub(crate) const POSTGRES: &str = "PostgreSQL, pgbench, no HTTP";
/// What the rows of the FastAPI receiver begin with.
const FASTAPI: &str = "FastAPI";
/// Our rate is at least so many times the FastAPI receiver's.
const FASTAPI_TIMES: f64 = 6.0;
const P99_MAX: Duration = Duration::from_millis(5);
const SYNCS_MAX: f64 = 2.0;
const START_MAX: Duration = Duration::from_millis(50);
const MEMORY_KIB_MAX: u64 = 64 << 10;
const BODY_TIMES_MAX: f64 = 2.2;
/// The sizes between which growth is judged.
const SMALL: u64 = 10_000;
const LARGE: u64 = 10_000_000;
const GROWN_PART_MIN: f64 = 0.7;
const FOLDING_MIN: f64 = 3_000.0;
const NOT_RUN: &str = "not measured in this run";

pub(crate) const SIZE_HEADS: [&str; 3] = ["table or index", "bytes a delivery", "times the body"];

/// Every promise that this run is about.
pub(crate) fn all(bench: &Bench) -> Vec<Promise> {
    let mut promises = Vec::new();
    for set in Set::ALL {
        promises.push(against_postgres(bench, set));
        promises.push(against_fastapi(bench, set));
    }
    for looked in &bench.looked {
        promises.extend(latency(looked));
    }
    promises.extend(growth(&bench.grown));
    promises.extend(memory(bench));
    promises.push(disk(&bench.looked));
    promises.push(start(&bench.looked));
    // Whoever asks for a row is not told of all the others.
    promises.retain(|one| bench.asked.is_whole || one.seen != NOT_RUN);
    promises
}

fn promise(what: &str, figure: &str, seen: Option<(bool, String)>) -> Promise {
    let (verdict, seen) = match seen {
        Some((holds, seen)) => (Verdict::of(holds), seen),
        None => (Verdict::Skipped, NOT_RUN.to_owned()),
    };
    Promise {
        what: what.to_owned(),
        figure: figure.to_owned(),
        seen,
        verdict,
    }
}

/// Ours beside the best of those whose names begin with `rival`, or why there is none.
fn beside(bench: &Bench, set: Set, rival: &str, times: f64) -> Result<(bool, String), String> {
    let mut rows = bench.lines.iter();
    let ours = rows.find(|line| line.set == set && line.name == OURS);
    let is_rival = |line: &&table::Line| line.set == set && line.name.starts_with(rival);
    let rivals: Vec<_> = bench.lines.iter().filter(is_rival).collect();
    let best = rivals.iter().filter_map(|line| line.per_second());
    let best = best.max_by(f64::total_cmp);
    let folded = ours.and_then(|line| line.fared.as_ref().ok()?.folded_per_second);
    match (ours.and_then(table::Line::per_second), best) {
        (Some(ours), Some(best)) => Ok((
            ours >= times * best,
            format!(
                "{:.2} times ({ours:.0} beside {best:.0} a second; with folding to the end {:.0})",
                ours / best,
                folded.unwrap_or_default()
            ),
        )),
        _ => Err(rivals
            .iter()
            .find_map(|line| line.fared.as_ref().err().cloned())
            .unwrap_or_else(|| NOT_RUN.to_owned())),
    }
}

fn judged(what: String, figure: String, beside: Result<(bool, String), String>) -> Promise {
    let (verdict, seen) = match beside {
        Ok((holds, seen)) => (Verdict::of(holds), seen),
        Err(why) => (
            Verdict::Skipped,
            why.trim_start_matches("skipped: ").to_owned(),
        ),
    };
    Promise {
        what,
        figure,
        seen,
        verdict,
    }
}

fn against_postgres(bench: &Bench, set: Set) -> Promise {
    judged(
        format!(
            "acknowledged a second for {} s, {}",
            bench.asked.seconds,
            set.words()
        ),
        "at least PostgreSQL's plain insert rate".to_owned(),
        beside(bench, set, POSTGRES, 1.0),
    )
}

fn against_fastapi(bench: &Bench, set: Set) -> Promise {
    judged(
        format!(
            "acknowledged a second for {} s, {}",
            bench.asked.seconds,
            set.words()
        ),
        format!("{FASTAPI_TIMES} times a FastAPI and sqlite3 receiver"),
        beside(bench, set, FASTAPI, FASTAPI_TIMES),
    )
}

fn latency(looked: &Looked) -> [Promise; 2] {
    let name = looked.set.name();
    let seen = looked.latency.as_ref();
    [
        promise(
            &format!("one delivery at 100 a second, {name}: p99"),
            "under 5 ms",
            seen.map(|seen| (seen.p99 < P99_MAX, table::ms(seen.p99))),
        ),
        promise(
            &format!("one delivery at 100 a second, {name}: p50"),
            "within 2 times a sync",
            seen.map(|seen| {
                let (p50, sync) = (table::ms(seen.p50), table::ms(seen.sync_p50));
                let times = seen.in_syncs();
                (
                    times <= SYNCS_MAX,
                    format!("{times:.2} times ({p50} beside {sync})"),
                )
            }),
        ),
    ]
}

fn growth(grown: &[Grown]) -> [Promise; 2] {
    let seen = |events| {
        let grown = grown.iter().find(|one| one.events == events)?;
        grown.seen.as_ref().ok()
    };
    let appending = seen(SMALL).zip(seen(LARGE)).map(|(small, large)| {
        let rates = [small, large].map(|one| one.received.load.per_second());
        let part = rates[1] / rates[0];
        let text = format!(
            "{:.0} % ({:.0} beside {:.0})",
            part * 100.0,
            rates[1],
            rates[0]
        );
        (part >= GROWN_PART_MIN, text)
    });
    let folding = seen(LARGE).map(|large| {
        let over_all = large.received.folded_per_second();
        let rate = large.received.catching_up_per_second();
        let rate = rate.unwrap_or(over_all);
        (
            rate >= FOLDING_MIN,
            format!("{rate:.0} a second behind the load, {over_all:.0} with it"),
        )
    });
    [
        promise(
            "appending where there are ten million events",
            "at least 70 % of the rate at ten thousand",
            appending,
        ),
        promise(
            "folding where there are ten million events",
            "at least 3000 deliveries a second",
            folding,
        ),
    ]
}

fn memory(bench: &Bench) -> Vec<Promise> {
    let judged = |what: String, kib: u64| {
        let seen = (kib < MEMORY_KIB_MAX, table::mib(kib << 10));
        promise(&what, "under 64 MiB", Some(seen))
    };
    let looked = bench.looked.iter().map(|looked| {
        let (deliveries, name) = (looked.deliveries, looked.set.name());
        let what = format!("memory of the receiver at most, {deliveries} deliveries, {name}");
        judged(what, looked.memory.peak_kib)
    });
    let grown = bench.grown.iter().filter_map(|grown| {
        let seen = grown.seen.as_ref().ok()?;
        let what = format!("memory of the receiver at most, {} events", grown.events);
        Some(judged(what, seen.received.memory.peak_kib))
    });
    looked.chain(grown).collect()
}

fn disk(looked: &[Looked]) -> Promise {
    let of_payments = looked.iter().find(|looked| looked.set == Set::Payment);
    let seen = of_payments.and_then(|looked| {
        let times = looked.sizes.as_ref()?.each() / crate::real(looked.body_bytes.max(1));
        let text = format!("{times:.2} times, bodies of {} bytes", looked.body_bytes);
        Some((times < BODY_TIMES_MAX, text))
    });
    promise(
        "bytes on disk a delivery, all tables and indexes, bodies of 1 KB",
        "under 2.2 times the body",
        seen,
    )
}

fn start(looked: &[Looked]) -> Promise {
    let start = looked.iter().rev().find_map(|looked| looked.start);
    let seen = start.map(|(listening, answering)| {
        (
            answering < START_MAX,
            format!(
                "first answer after {}, connections from {}",
                table::ms(answering),
                table::ms(listening)
            ),
        )
    });
    promise("receiver start to listening", "under 50 ms", seen)
}

/// The section of `BENCHMARKS.md`.
pub(crate) fn section(bench: &Bench, promises: &[Promise]) -> String {
    let mut text = record::table(promises);
    text.extend([format!(
        "\nLoad: {} on the same cores, {CONNECTIONS} connections, subledger {} s and each rival {} s, as often as an answer \
         comes. subledger checks every provider's credential, recognises repeats, keeps the chain, folds and writes a line \
         of log for each delivery; no rival does any of this. PostgreSQL gets the body as the parameter of a prepared \
         statement and its p50 is a mean; SQLite alone has no network, and its times are of commits. A sync is one append \
         of 4 KiB with fdatasync on the same file system, the middle one of 101 just before the row.\n\n{}.\n\n",
        bench.generator.name(),
        bench.asked.seconds,
        bench.asked.rival_time().as_secs(),
        bench.programs()
    )]);
    text.push_str(&table::contest(&bench.lines));
    if let Some(agreement) = bench.agreement {
        text.extend([format!(
            "\nWhere wrk is not installed the built-in generator sends: it sees {:.0} % of what wrk sees.\n",
            agreement * 100.0
        )]);
    }
    for looked in &bench.looked {
        text.push_str(&ledger(looked));
    }
    if !bench.grown.is_empty() {
        text.extend([format!(
            "\n### Growth\n\nThe mixed load for {} s on a copy of each ledger.\n\n",
            bench.asked.rival_time().as_secs()
        )]);
        let rows = table::growth(&bench.grown);
        text.push_str(&record::markdown(&table::GROWTH_HEADS, rows));
    }
    text
}

/// What a ledger of the run looked like.
fn ledger(looked: &Looked) -> String {
    let mut text = format!(
        "\n### A ledger of {} deliveries, {}\n\n{}.\n",
        looked.deliveries,
        looked.set.words(),
        looked.cost
    );
    if let Some(sizes) = &looked.sizes {
        let rows = table::sizes(sizes, looked.body_bytes);
        text.extend([format!(
            "\n{:.0} bytes on disk for each delivery, {:.2} times the body of {} bytes; shares of at least 1 %:\n\n{}",
            sizes.each(),
            sizes.each() / crate::real(looked.body_bytes.max(1)),
            looked.body_bytes,
            record::markdown(&SIZE_HEADS, rows)
        )]);
    }
    text
}
