//! What is done to subledger so that it need not be taken on trust: crashes, power cuts, bad disks, hostile senders.
//!
//! `cargo test --locked --release --test torture` runs every row, prints a table, writes it to `RELIABILITY.md` and
//! exits with 1 where a row is missed. After `--`: names of rows run only those, `--rounds N` sets how often a row does
//! what it does many times, `--seed S` repeats a run, `--list` tells the rows, `--soak MINUTES` runs the one that is
//! too long for every day. A row that needs root or a tool that is not there is skipped and says so: that is not a pass.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it prints its table"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the plain shell's view of a ledger, and the day of the run"
)]

#[expect(dead_code, reason = "the normal suite uses more of it")]
#[path = "../it/support.rs"]
mod support;

#[path = "../../benches/record/machine.rs"]
mod machine;

mod suite;

mod report;

mod load;

mod compare;

mod crash;

mod power;

mod states;

mod faults;

mod disks;

mod files;

mod wire;

mod content;

mod fuzz;

mod soak;

use std::process::ExitCode;

use suite::{Asked, Row};

/// Every row, in the order of the table.
const ROWS: &[&[Row]] = &[
    crash::ROWS,
    power::ROWS,
    states::ROWS,
    faults::ROWS,
    disks::ROWS,
    files::ROWS,
    wire::ROWS,
    content::ROWS,
    fuzz::ROWS,
    soak::ROWS,
];

fn main() -> ExitCode {
    let asked = match Asked::read(std::env::args().skip(1), ROWS.concat()) {
        Ok(asked) => asked,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(2);
        }
    };
    if asked.list {
        for row in &asked.rows {
            println!("{:<18} {}", row.name, row.what);
        }
        return ExitCode::SUCCESS;
    }
    let results = asked.run();
    report::print(&results);
    if asked.is_whole {
        report::write(&asked, &results).unwrap();
    }
    if results.iter().any(suite::Result::is_missed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
