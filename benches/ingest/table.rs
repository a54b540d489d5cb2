//! The rows of a run, on the screen and as Markdown.

use std::time::Duration;

use crate::bodies::Set;
use crate::disk::Sizes;
use crate::growth::{Grown, Seen};
use crate::load::Load;
use crate::receiver::Received;
use crate::record;
use crate::rivals::Absent;

/// Whose row: the rate of the first is what the others are compared with.
pub(crate) const OURS: &str = "subledger, everything on";

/// One row of the contest.
pub(crate) struct Line {
    pub(crate) set: Set,
    pub(crate) name: String,
    pub(crate) fared: Result<Figures, String>,
    /// The middle one of the syncs just before.
    pub(crate) sync: Duration,
}

/// What a row shows.
pub(crate) struct Figures {
    pub(crate) load: Load,
    /// With folding to the end.
    pub(crate) folded_per_second: Option<f64>,
}

/// The reason in the place of figures.
pub(crate) fn reason(absent: Absent) -> String {
    match absent {
        Absent::Skipped(why) => format!("skipped: {why}"),
        Absent::Failed(why) => format!("failed: {why}"),
    }
}

impl Line {
    pub(crate) fn per_second(&self) -> Option<f64> {
        let figures = self.fared.as_ref().ok()?;
        Some(figures.load.per_second())
    }

    /// As it is printed when it is there.
    pub(crate) fn text(&self) -> String {
        let name = &self.name;
        match &self.fared {
            Err(why) => format!("{name:<44} {why}"),
            Ok(figures) => {
                let mut text = format!(
                    "{name:<44} {:>8.0}/s   p50 {:>8}   p99 {:>8}   a sync {:>8}",
                    figures.load.per_second(),
                    ms(figures.load.p50),
                    ms(figures.load.p99),
                    ms(self.sync)
                );
                if let Some(rate) = figures.folded_per_second {
                    text.extend([format!("   folded to the end {rate:.0}/s")]);
                }
                text.push_str(&failures(&figures.load));
                text
            }
        }
    }
}

/// What was not answered with 200, if anything.
fn failures(load: &Load) -> String {
    let mut text = String::new();
    if load.refused > 0 {
        text.extend([format!("   {} refused", load.refused)]);
    }
    if load.broken > 0 {
        text.extend([format!("   {} broken", load.broken)]);
    }
    text
}

/// Milliseconds; nothing where nothing was measured.
pub(crate) fn ms(time: Duration) -> String {
    if time.is_zero() {
        "-".to_owned()
    } else {
        format!("{:.2} ms", time.as_secs_f64() * 1e3)
    }
}

pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", crate::real(bytes) / crate::real(1 << 20))
}

/// How often the rate of `line` goes into ours of the same bodies.
fn ratio(lines: &[Line], line: &Line) -> Option<f64> {
    let ours = rate(lines, line.set, OURS)?;
    Some(ours / line.per_second()?)
}

/// The rate of a row.
pub(crate) fn rate(lines: &[Line], set: Set, name: &str) -> Option<f64> {
    let is_it = |line: &&Line| line.set == set && line.name == name;
    lines.iter().find(is_it)?.per_second()
}

/// Our rate as parts of the others', a line each.
pub(crate) fn ratios(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines.iter().filter(|line| line.name != OURS) {
        if let Some(ratio) = ratio(lines, line) {
            text.extend([format!(
                "  {}: {ratio:.2} times {}\n",
                line.set.name(),
                line.name
            )]);
        }
    }
    text
}

/// The contest as Markdown.
pub(crate) fn contest(lines: &[Line]) -> String {
    let heads = [
        "bodies",
        "who",
        "200s a second",
        "folded to the end",
        "p50",
        "p99",
        "a sync before",
        "subledger is",
    ];
    let rows = lines.iter().map(|line| {
        let ratio = ratio(lines, line).filter(|_| line.name != OURS);
        let mut cells = vec![line.set.name().to_owned(), line.name.clone()];
        match &line.fared {
            Err(why) => {
                cells.push(why.clone());
                cells.resize(heads.len(), String::new());
            }
            Ok(figures) => cells.extend([
                format!(
                    "{:.0}{}",
                    figures.load.per_second(),
                    failures(&figures.load)
                ),
                figures
                    .folded_per_second
                    .map_or_else(String::new, |rate| format!("{rate:.0}")),
                ms(figures.load.p50),
                ms(figures.load.p99),
                ms(line.sync),
                ratio.map_or_else(String::new, |ratio| format!("{ratio:.2} times")),
            ]),
        }
        cells
    });
    record::markdown(&heads, rows)
}

/// Bytes for each delivery by table and index, those of at least one byte in a hundred.
pub(crate) fn sizes(sizes: &Sizes, body_bytes: u64) -> Vec<Vec<String>> {
    let shares = sizes.shares.iter();
    let shares = shares.filter(|share| share.bytes * 100 >= sizes.file_bytes);
    let shown: u64 = shares.clone().map(|share| share.bytes).sum();
    let rest = sizes.file_bytes.saturating_sub(shown + sizes.free_bytes);
    let each = |bytes: u64| crate::real(bytes) / crate::real(sizes.deliveries.max(1));
    shares
        .map(|share| {
            let name = if share.name == share.table {
                share.name.clone()
            } else {
                format!("{} (index of {})", share.name, share.table)
            };
            size_row(name, each(share.bytes), body_bytes)
        })
        .chain([
            size_row("everything else".to_owned(), each(rest), body_bytes),
            size_row("free".to_owned(), each(sizes.free_bytes), body_bytes),
        ])
        .collect()
}

fn size_row(name: String, each: f64, body_bytes: u64) -> Vec<String> {
    let times = each / crate::real(body_bytes.max(1));
    vec![name, format!("{each:.0}"), format!("{times:.2}")]
}

/// What one load of a receiver cost beside time.
pub(crate) fn cost(received: &Received) -> String {
    let each = |bytes: u64| crate::real(bytes) / crate::real(received.deliveries.max(1));
    let us = |time: Duration| time.as_secs_f64() * 1e6 / crate::real(received.deliveries.max(1));
    format!(
        "For each delivery, folding included: processor {:.0} µs in the writer and {:.0} µs elsewhere, {:.0} bytes of \
         write-ahead log, {:.0} bytes to the disk in all; {:.1} deliveries a commit; memory {} KiB at most, {} KiB at the end",
        us(received.processor.writer),
        us(received.processor.others),
        each(received.wal_bytes),
        each(received.disk_bytes),
        crate::real(received.deliveries) / crate::real(received.commits.max(1)),
        received.memory.peak_kib,
        received.memory.now_kib
    )
}

/// Growth as rows of text.
pub(crate) fn growth(all: &[Grown]) -> Vec<Vec<String>> {
    let first = all.iter().find_map(|grown| grown.seen.as_ref().ok());
    let rows = all.iter().map(|grown| {
        let mut cells = vec![grown.events.to_string()];
        match &grown.seen {
            Err(why) => {
                cells.push(format!("skipped: {why}"));
                cells.resize(GROWTH_HEADS.len(), String::new());
            }
            Ok(seen) => cells.extend(grown_cells(seen, first)),
        }
        cells
    });
    rows.collect()
}

pub(crate) const GROWTH_HEADS: [&str; 10] = [
    "events before",
    "200s a second",
    "of the smallest",
    "folding alone",
    "folded to the end",
    "p50 / p99 at 100 a second",
    "processor a delivery",
    "log a delivery",
    "file a delivery",
    "memory",
];

fn grown_cells(seen: &Seen, first: Option<&Seen>) -> Vec<String> {
    let received = &seen.received;
    let rate = received.load.per_second();
    let part = first.map_or(1.0, |first| rate / first.received.load.per_second());
    let catching_up = received.catching_up_per_second();
    let spent = received.processor.writer + received.processor.others;
    vec![
        format!("{rate:.0}{}", failures(&received.load)),
        format!("{:.0} %", part * 100.0),
        catching_up.map_or_else(|| "never behind".to_owned(), |rate| format!("{rate:.0}/s")),
        format!("{:.0}/s", received.folded_per_second()),
        format!("{} / {}", ms(seen.latency.p50), ms(seen.latency.p99)),
        format!(
            "{:.0} µs",
            spent.as_secs_f64() * 1e6 / crate::real(received.deliveries.max(1))
        ),
        format!(
            "{:.0}",
            crate::real(received.wal_bytes) / crate::real(received.deliveries.max(1))
        ),
        format!("{:.0}", seen.sizes.each()),
        mib(received.memory.peak_kib << 10),
    ]
}

/// Rows under heads as columns of text.
pub(crate) fn columns(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        // A reason instead of figures widens nothing.
        let figures = rows
            .iter()
            .filter(|row| row.last().is_some_and(|cell| !cell.is_empty()));
        let cells = figures.filter_map(|row| row.get(column));
        let cells = cells.map(|cell| cell.chars().count());
        cells
            .chain([heads[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let cells = cells.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        format!("  {}\n", cells.join("  ").trim_end())
    };
    let mut text = line(heads.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}
