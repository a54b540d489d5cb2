//! Folding: whatever webhooks come, one by one, in batches, backwards, with restarts or after something was taken away,
//! the rows are those of folding everything at once.
//!
//! The input chooses: which samples, which of their values are replaced by what, when they arrive.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;
use subledger::domain::delivery::{Delivery, IdentityProof};
use subledger::domain::time::{DAY_MS, Timestamp};
use subledger::providers;
use subledger::store::project::Projector;

use super::draw::Draw;
use super::keeper;
use super::ledger::{self, Ledger, Project};
use super::{Held, must};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Folds a batch of deliveries.
    pub project: Project,
}

/// As it is.
pub const REAL: Subject = Subject {
    project: Projector::project,
};

/// 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp::from_ms(1_767_225_600_000);

const DELIVERIES_MAX: usize = 10;

/// Values for any place, as JSON.
const VALUES: [&str; 40] = [
    "null",
    "true",
    "false",
    "0",
    "-1",
    "\"\"",
    "\"undefined\"",
    "\"a\\u0000b\"",
    "\"x\\ud800y\"",
    "[]",
    "{}",
    "[\"a\",1,null,{}]",
    "1e400",
    "\"9.99\"",
    "12.5",
    "\"1234567890123456789012345678.5\"",
    "\"USD\"",
    "\"TRY\"",
    "\"JPY\"",
    "\"u-1\"",
    "\"u-2\"",
    "\"ada@example.org\"",
    "\"+90 555 000 0000\"",
    "\"2026-01-05T10:00:00Z\"",
    "\"2026-01-05T10:00:00.001Z\"",
    "\"2026-02-05 10:00:00\"",
    "\"2025-12-31 23:59:59\"",
    "\"0000-00-00 00:00:00\"",
    "\"9999-12-31T23:59:59Z\"",
    "1767657600",
    "1767657600000",
    "-62135596800",
    "\"active\"",
    "\"passive\"",
    "\"cancelled\"",
    "\"grace\"",
    "\"trial\"",
    "\"1\"",
    "\"gold\"",
    "\"P1M\"",
];

/// A sample, and where it goes.
struct Sample {
    provider: &'static str,
    hook: &'static str,
    body: Value,
    /// Where its values stand.
    places: Vec<String>,
}

/// Every sample of every provider, and by the name of its field what values stand there in any of them.
struct Known {
    samples: Vec<Sample>,
    values: BTreeMap<String, Vec<Value>>,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut known = Known {
            samples: Vec::new(),
            values: BTreeMap::new(),
        };
        for provider in providers::ALL {
            for sample in provider.samples() {
                let Ok(body) = serde_json::from_str::<Value>(sample.body) else {
                    continue;
                };
                let mut places = Vec::new();
                leaves(&body, "", &mut places);
                for place in &places {
                    let value = body.pointer(place).cloned().unwrap_or_default();
                    let values = known.values.entry(field(place).to_owned()).or_default();
                    if !values.contains(&value) {
                        values.push(value);
                    }
                }
                known.samples.push(Sample {
                    provider: provider.id(),
                    hook: sample.hook,
                    body,
                    places,
                });
            }
        }
        known
    })
}

/// The name at the end of a pointer.
fn field(place: &str) -> &str {
    place.rsplit_once('/').map_or(place, |(_, name)| name)
}

/// The pointers of everything in `value`, what is within before what it is in.
fn leaves(value: &Value, at: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                leaves(inner, &format!("{at}/{key}"), places);
            }
        }
        Value::Array(values) => {
            for (place, inner) in values.iter().enumerate() {
                leaves(inner, &format!("{at}/{place}"), places);
            }
        }
        _ => {}
    }
    if !at.is_empty() {
        places.push(at.to_owned());
    }
}

/// A sample with some of its values replaced.
fn changed(draw: &mut Draw<'_>, sample: &Sample) -> String {
    let known = known();
    let mut body = sample.body.clone();
    let mut marked = Vec::new();
    for number in 0..draw.below(6) {
        let place = draw.of(&sample.places);
        let choice = draw.below(VALUES.len() * 3);
        let Some(value) = body.pointer_mut(place) else {
            continue;
        };
        match VALUES.get(choice) {
            // Not every value there can be is one to this reader of JSON.
            Some(raw) => {
                let mark = format!("@@{number}@@");
                *value = Value::from(mark.clone());
                marked.push((format!("\"{mark}\""), *raw));
            }
            None => *value = draw.of(&known.values[field(place)]).clone(),
        }
    }
    let text = body.to_string();
    marked
        .iter()
        .fold(text, |text, (mark, raw)| text.replace(mark, raw))
}

/// Webhooks in the order of their arrival.
fn drawn(draw: &mut Draw<'_>) -> Vec<Delivery> {
    let samples = &known().samples;
    let mut all: Vec<Delivery> = Vec::new();
    let mut arrives = START.plus_ms(40 * DAY_MS);
    while !draw.is_over() && all.len() < DELIVERIES_MAX {
        let sample = draw.of(samples);
        let body = match draw.below(16) {
            0 => {
                let count = draw.below(300);
                draw.bytes(count).to_vec()
            }
            _ => changed(draw, sample).into_bytes(),
        };
        let mut one = keeper::delivery(sample.provider, sample.hook, &body);
        arrives = arrives.plus_ms(i64::from(draw.byte()) * 60_000);
        one.received_at = arrives;
        let marks = draw.byte();
        one.test = marks % 8 == 1;
        if marks % 16 > 12 {
            "weekly".clone_into(&mut one.account);
        }
        one.identity_proof = IdentityProof::ALL.get(usize::from(marks >> 4)).copied();
        all.push(one);
    }
    all
}

/// Looks at `subject` with webhooks that `data` chooses.
pub fn check(data: &[u8], subject: Subject) -> Held {
    let mut draw = Draw::new(data);
    let now = START.plus_ms((30 + i64::from(draw.byte())) * DAY_MS);
    let later = now.plus_ms(i64::from(draw.byte()) * 4 * DAY_MS);
    let size = 1 + draw.below(4);
    let taken_away = draw.byte();
    let kept = ledger::kept(drawn(&mut draw));
    let all: Vec<usize> = (0..kept.len()).collect();
    ledger::with(&kept, subject.project, |ledger| {
        for place in &all {
            ledger.fold(&[*place], now)?;
        }
        let live = ledger.rows()?;
        again(ledger, &all, now, "at once", &live)?;
        ledger.clear()?;
        for batch in all.chunks(size) {
            ledger.fold(batch, now)?;
            ledger.restart()?;
        }
        same(&live, &ledger.rows()?, "in batches, with restarts")?;
        ledger.clear()?;
        for place in all.iter().rev() {
            ledger.fold(&[*place], now)?;
        }
        same(&live, &ledger.rows()?, "backwards")?;
        ledger.tick(later)?;
        let ticked = ledger.rows()?;
        again(ledger, &all, later, "later", &ticked)?;
        let bit = |place: &&usize| taken_away >> (*place % 8) & 1 == 1;
        let (some, rest): (Vec<usize>, Vec<usize>) = all.iter().partition(bit);
        ledger.retract(&some, later)?;
        let left = ledger.rows()?;
        again(ledger, &rest, later, "of what was left", &left)?;
        ledger.retract(&rest, later)?;
        same(&[], &ledger.rows()?, "of nothing")
    })
}

/// Folds these at once from nothing, which must give `rows`.
fn again(
    ledger: &mut Ledger<'_>,
    places: &[usize],
    now: Timestamp,
    how: &str,
    rows: &[String],
) -> Held {
    ledger.clear()?;
    ledger.fold(places, now)?;
    same(rows, &ledger.rows()?, how)
}

fn same(live: &[String], other: &[String], how: &str) -> Held {
    must(live == other, || {
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            let missing = these.iter().filter(|row| !those.contains(row));
            missing.cloned().collect()
        };
        format!(
            "folded {how} it differs: as it was {:#?}, now {:#?}",
            only(live, other),
            only(other, live)
        )
    })
}
