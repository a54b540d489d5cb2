//! The table, on the screen and beside the README.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::machine::machine;
use crate::suite::{Asked, Result, Stop};

fn verdict(result: &Result) -> (&'static str, &str) {
    match &result.held {
        Ok(figures) => ("held", figures),
        Err(Stop::Skipped(why)) => ("skipped", why),
        Err(Stop::Missed(why)) => ("MISSED", why),
    }
}

/// Prints a line a row, and how many held.
pub(crate) fn print(results: &[Result]) {
    println!();
    for result in results {
        let (verdict, figures) = verdict(result);
        let took = result.took.as_secs();
        println!(
            "{verdict:<8} {:<16} {took:>4} s  {figures}",
            result.row.name
        );
    }
    println!("{}", sum(results));
}

fn sum(results: &[Result]) -> String {
    let count = |word: &str| results.iter().filter(|one| verdict(one).0 == word).count();
    let took: Duration = results.iter().map(|one| one.took).sum();
    format!(
        "{} held, {} missed, {} skipped, in {} min {} s",
        count("held"),
        count("MISSED"),
        count("skipped"),
        took.as_secs() / 60,
        took.as_secs() % 60
    )
}

/// Writes `RELIABILITY.md` beside the README.
pub(crate) fn write(asked: &Asked, results: &[Result]) -> std::io::Result<()> {
    let mut page = format!(
        "# What was done to it\n\n\
         Written by `cargo test --locked --release --test torture`, not by hand. The last whole run: {}, subledger {}, \
         {}, seed {}; {}.\n\n\
         A row that needs root or a tool that was not there is skipped, which is no pass. A *control* is a build that \
         breaks the promise on purpose: the row must catch it. None of this shows that a drive does what it says: one \
         that calls data written before it is loses what any program gives it.\n\n\
         | row | what is done | must hold | this run | s |\n|---|---|---|---|---|\n",
        chrono::Utc::now().format("%Y-%m-%d"),
        env!("CARGO_PKG_VERSION"),
        machine(),
        asked.seed,
        sum(results),
    );
    for result in results {
        let (verdict, figures) = verdict(result);
        let row = &result.row;
        let figures = figures.replace(['\n', '|'], " ");
        writeln!(
            page,
            "| {} | {} | {} | **{verdict}**: {figures} | {} |",
            row.name,
            row.what,
            row.figure,
            result.took.as_secs()
        )
        .map_err(std::io::Error::other)?;
    }
    std::fs::write(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("RELIABILITY.md"),
        page,
    )
}
