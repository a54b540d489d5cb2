//! What was seen: a row per question, a column per size of the ledger.

use std::time::Duration;

use crate::record;

/// How long something took, each time it was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn of(took: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = took.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }

    /// All of several.
    pub(crate) fn all<'a>(several: impl IntoIterator<Item = &'a Self>) -> Self {
        let all = several
            .into_iter()
            .flat_map(|times| times.0.iter().copied());
        Self::of(all)
    }

    /// So many of a hundred took no longer.
    pub(crate) fn percentile(&self, of_hundred: usize) -> Duration {
        let place = (self.0.len() * of_hundred).div_ceil(100).max(1) - 1;
        self.0[place.min(self.0.len() - 1)]
    }
}

/// Milliseconds, in so many digits as matter.
pub(crate) fn ms(span: Duration) -> String {
    let ms = span.as_secs_f64() * 1e3;
    match ms {
        ..10.0 => format!("{ms:.2}"),
        ..100.0 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

struct Row {
    what: String,
    /// One per size.
    cells: Vec<String>,
}

/// The table of a run.
#[derive(Default)]
pub(crate) struct Sheet {
    sizes: Vec<u64>,
    rows: Vec<Row>,
}

impl Sheet {
    /// What comes from now on is about a ledger of so many events.
    pub(crate) fn begin(&mut self, events: u64) {
        println!("\n{events} events");
        self.sizes.push(events);
    }

    /// Notes and prints p50 and p95 in milliseconds.
    pub(crate) fn times(&mut self, what: &str, times: &Times) {
        let cell = format!(
            "{} / {} ms",
            ms(times.percentile(50)),
            ms(times.percentile(95))
        );
        self.note(what, cell);
    }

    /// Notes and prints what was seen.
    pub(crate) fn note(&mut self, what: &str, cell: impl Into<String>) {
        let cell = cell.into();
        println!("  {what:<58} {cell}");
        let place = self.rows.iter().position(|row| row.what == what);
        let row = if let Some(place) = place {
            &mut self.rows[place]
        } else {
            self.rows.push(Row {
                what: what.to_owned(),
                cells: Vec::new(),
            });
            self.rows.last_mut().expect("it was just put there")
        };
        row.cells
            .resize(self.sizes.len().saturating_sub(1), String::new());
        row.cells.push(cell);
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let sizes: Vec<String> = self.sizes.iter().map(|&size| grouped(size)).collect();
        let mut heads = vec!["what"];
        heads.extend(sizes.iter().map(String::as_str));
        let rows = self.rows.iter().map(|row| {
            let mut cells = vec![row.what.clone()];
            cells.extend(row.cells.iter().cloned());
            cells.resize(heads.len(), String::new());
            cells
        });
        record::markdown(&heads.clone(), rows)
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
