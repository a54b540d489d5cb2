//! The fuzzer's targets without the fuzzer: each over its seeds and over changed ones, and each with something wrong, which
//! it must notice.
//!
//! `fuzz/run` gives the same functions to libFuzzer for as long as one likes.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use subledger::domain::delivery::{Content, Delivery, Reading};
use subledger::domain::event::Event;
use subledger::domain::money::Money;
use subledger::domain::page::{Cell, List};
use subledger::domain::query::Query;
use subledger::providers::door;
use subledger::store::Error;
use subledger::store::project::Read;

use targets::{Held, TARGETS, authenticate, filter, fold, printable, read, sheet};

#[expect(
    unreachable_pub,
    reason = "what is public is for the fuzzer's programs"
)]
#[path = "../../fuzz/src/lib.rs"]
pub(crate) mod targets;

/// So many changed seeds for each target, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 300;

/// So many until something wrong has to be noticed.
const CASES_UNTIL_NOTICED: usize = 300;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The seeds of a target. The bodies that all other tests know are seeds of reading.
pub(crate) fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut folders = vec![root().join("fuzz/seeds").join(target)];
    if target == "read" {
        for provider in subledger::providers::ALL {
            folders.push(root().join("tests/fixtures").join(provider.id()));
            folders.push(root().join("assets/samples").join(provider.id()));
        }
    }
    let files = folders.iter().flat_map(|folder| files(folder));
    let seeds: Vec<Vec<u8>> = files.map(|file| fs::read(file).unwrap()).collect();
    assert!(seeds.len() > 3, "{target} has {} seeds", seeds.len());
    seeds
}

/// The words of a target's dictionary, as libFuzzer reads it: one between quotes on each line, bytes as `\xNN`.
fn words(target: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(root().join(format!("fuzz/{target}.dict"))).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once('"'));
    let words = lines.map(|(_, rest)| unescaped(rest.strip_suffix('"').unwrap().as_bytes()));
    words.collect()
}

fn unescaped(mut text: &[u8]) -> Vec<u8> {
    let mut word = Vec::new();
    loop {
        match text {
            [] => return word,
            [b'\\', b'x', rest @ ..] => {
                let digits = std::str::from_utf8(&rest[..2]).unwrap();
                word.push(u8::from_str_radix(digits, 16).unwrap());
                text = &rest[2..];
            }
            [b'\\', c, rest @ ..] | [c, rest @ ..] => {
                word.push(*c);
                text = rest;
            }
        }
    }
}

/// One thing done to a seed.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Put(Index, Vec<u8>),
    Cut(Index, usize),
    Double(Index, usize),
    /// Goes on as another seed does.
    Cross(Index, Index, Index),
}

fn change(words: Vec<Vec<u8>>) -> impl Strategy<Value = Change> {
    let word = if words.is_empty() {
        prop::collection::vec(any::<u8>(), 1..9).boxed()
    } else {
        prop::sample::select(words).boxed()
    };
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, bits)| Change::Flip(at, bits)),
        (at(), word).prop_map(|(at, word)| Change::Put(at, word)),
        (at(), prop::collection::vec(any::<u8>(), 1..4))
            .prop_map(|(at, some)| Change::Put(at, some)),
        (at(), 1_usize..40).prop_map(|(at, count)| Change::Cut(at, count)),
        (at(), 1_usize..40).prop_map(|(at, count)| Change::Double(at, count)),
        (at(), at(), at()).prop_map(|(at, seed, from)| Change::Cross(at, seed, from)),
    ]
}

fn apply(data: &mut Vec<u8>, change: &Change, seeds: &[Vec<u8>]) {
    let place = |at: &Index, data: &[u8]| at.index(data.len() + 1);
    match change {
        Change::Flip(at, bits) if !data.is_empty() => {
            let at = at.index(data.len());
            data[at] ^= bits;
        }
        Change::Flip(..) => {}
        Change::Put(at, word) => {
            let at = place(at, data);
            data.splice(at..at, word.iter().copied());
        }
        Change::Cut(at, count) => {
            let at = place(at, data);
            data.drain(at..data.len().min(at + count));
        }
        Change::Double(at, count) => {
            let at = place(at, data);
            let part = data[at..data.len().min(at + count)].to_vec();
            data.splice(at..at, part);
        }
        Change::Cross(at, seed, from) => {
            data.truncate(place(at, data));
            let other = &seeds[seed.index(seeds.len())];
            data.extend_from_slice(&other[place(from, other)..]);
        }
    }
}

/// Seeds of a target with up to six changes each.
fn changed(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let seeds = seeds(target);
    let changes = prop::collection::vec(change(words(target)), 0..6);
    (any::<Index>(), changes).prop_map(move |(seed, changes)| {
        let mut data = seeds[seed.index(seeds.len())].clone();
        for change in &changes {
            apply(&mut data, change, &seeds);
        }
        data
    })
}

fn check(target: &str) {
    for seed in seeds(target) {
        targets::run(target, &seed);
    }
    let config = ProptestConfig {
        failure_persistence: None,
        cases: std::env::var_os("PROPTEST_CASES")
            .map_or(CASES, |_| ProptestConfig::default().cases),
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&changed(target), |data| {
            targets::run(target, &data);
            Ok(())
        })
        .unwrap();
}

#[test]
fn exactly_the_right_requests_come_in() {
    check("authenticate");
}

#[test]
fn any_body_is_read_and_kept_to_the_byte() {
    check("read");
    read::settled().unwrap();
}

#[test]
fn any_webhooks_fold_to_the_same_rows_in_any_order() {
    check("fold");
}

#[test]
fn any_filter_shows_itself_and_finds_rows_or_is_refused() {
    check("filter");
}

#[test]
fn any_cells_are_read_back_from_what_is_written() {
    check("sheet");
}

#[test]
fn any_text_is_shown_without_harm() {
    check("printable");
}

#[test]
fn every_character_there_is_is_shown_without_harm() {
    let every: Vec<char> = ('\0'..=char::MAX).collect();
    for some in every.chunks(512) {
        // Apart, so that none joins another.
        let text: String = some.iter().flat_map(|c| [*c, 'a']).collect();
        let shown = (printable::REAL.line)(&text);
        printable::harmless("a line", &shown, "").unwrap();
    }
}

#[test]
fn every_target_is_run_here_has_a_program_and_a_name_of_its_own() {
    let programs = files(&root().join("fuzz/targets"));
    let of = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let programs: BTreeSet<String> = programs.iter().map(of).collect();
    let names: BTreeSet<String> = TARGETS.iter().map(|one| one.name.to_owned()).collect();
    assert_eq!(programs, names);
    assert_eq!(names.len(), TARGETS.len());
    let whole = fs::read_to_string(root().join("tests/it/fuzz.rs")).unwrap();
    for name in names {
        assert!(whole.contains(&format!("check(\"{name}\")")), "{name}");
    }
}

/// A wrong subject is noticed in some hundreds of changed seeds, the same in every run.
#[track_caller]
fn noticed(target: &str, what: &str, check: impl Fn(&[u8]) -> Held) {
    let mut runner = TestRunner::deterministic();
    let changed = changed(target);
    let changed =
        (0..CASES_UNTIL_NOTICED).map(|_| changed.new_tree(&mut runner).unwrap().current());
    let mut inputs = seeds(target).into_iter().chain(changed);
    let fails = |data: &[u8]| {
        let held = catch_unwind(AssertUnwindSafe(|| check(data)));
        held.is_ok_and(|held| held.is_err())
    };
    assert!(
        inputs.any(|data| fails(&data)),
        "{target} does not notice {what}"
    );
}

#[test]
fn a_door_that_lets_the_wrong_in_or_keeps_the_right_out_is_noticed() {
    let real = authenticate::REAL;
    let wrong = authenticate::Subject {
        admit: |door, mut request| {
            // Who names no link at all is given one.
            request.path_key.get_or_insert("k_zotlo_weekly".to_owned());
            door.admit(request).map_err(Box::new)
        },
        ..real
    };
    noticed("authenticate", "a gift", |data| {
        authenticate::check(data, &wrong)
    });
    let wrong = authenticate::Subject {
        admit: |door, mut request| {
            request.body = request.body.trim_ascii_end().to_vec();
            door.admit(request).map_err(Box::new)
        },
        ..real
    };
    noticed("authenticate", "a trimmed body", |data| {
        authenticate::check(data, &wrong)
    });
    let wrong = authenticate::Subject {
        admit: |door, mut request| {
            request.headers.retain(|(name, _)| name != "authorization");
            door.admit(request).map_err(Box::new)
        },
        ..real
    };
    noticed("authenticate", "a password that is not looked at", |data| {
        authenticate::check(data, &wrong)
    });
    let wrong = authenticate::Subject {
        again: |doors, row| {
            let mut row = row.clone();
            row.path_fingerprint = Some(doors.fingerprint(b"k_zotlo_weekly"));
            doors.admit_again(&row)
        },
        ..real
    };
    noticed("authenticate", "a way in through the ring", |data| {
        authenticate::check(data, &wrong)
    });
}

/// What is read out of `delivery`, each event changed.
fn with_events(delivery: &Delivery, change: impl Fn(&mut Event)) -> Reading {
    let mut reading = door::read(delivery);
    if let Content::Events(events) = &mut reading.content {
        events.iter_mut().for_each(change);
    }
    reading
}

#[test]
fn a_reading_that_the_ledger_cannot_hold_is_noticed() {
    let real = read::REAL;
    for (what, read) in [
        (
            "a NUL",
            (|delivery| with_events(delivery, |event| event.plan = Some("a\0b".to_owned())))
                as fn(&Delivery) -> Reading,
        ),
        ("an empty address", |delivery| {
            with_events(delivery, |event| event.subject.email = Some(String::new()))
        }),
        ("a sum of nothing", |delivery| {
            with_events(delivery, |event| {
                event.money = Some(Money::read("1", "EUR"));
            })
        }),
        ("no key", |delivery| Reading {
            keys: Vec::new(),
            ..door::read(delivery)
        }),
    ] {
        let wrong = read::Subject { read, ..real };
        noticed("read", what, |data| read::check(data, &wrong));
    }
    let lossy = read::Subject {
        keep: |delivery| {
            Ok(String::from_utf8_lossy(&delivery.body)
                .into_owned()
                .into_bytes())
        },
        ..real
    };
    noticed("read", "a body made text", |data| read::check(data, &lossy));
}

#[test]
fn a_fold_that_depends_on_batches_or_order_is_noticed() {
    let forgetful = fold::Subject {
        project: |projector, conn, batch, now| {
            // The last of several is left out.
            let count = batch.len().min((batch.len() - 1).max(1));
            projector.project(conn, &batch[..count], now)
        },
    };
    noticed("fold", "a delivery that is lost in a batch", |data| {
        fold::check(data, forgetful)
    });
    let hasty = fold::Subject {
        project: |projector, conn, batch, now| -> Result<(), Error> {
            // Whatever comes last is the newest.
            let newest = batch.iter().map(|read| read.seq).max().unwrap_or_default();
            let known: i64 =
                conn.query_row("select coalesce(max(seq), 0) from events", [], |row| {
                    row.get(0)
                })?;
            let some: Vec<Read<'_>> = batch.iter().copied().filter(|_| newest > known).collect();
            projector.project(conn, &some, now)
        },
    };
    noticed("fold", "a late delivery that is left out", |data| {
        fold::check(data, hasty)
    });
}

#[test]
fn a_filter_that_means_something_else_is_noticed() {
    let real = filter::REAL;
    let bare = filter::Subject {
        show: |query| query.to_string().replace('"', ""),
        ..real
    };
    noticed("filter", "lost quotes", |data| filter::check(data, &bare));
    let wide = filter::Subject {
        parse: |text, words| Ok(Query::parse(text, words).unwrap_or_default()),
        ..real
    };
    noticed("filter", "a slip that shows all", |data| {
        filter::check(data, &wide)
    });
    let blind = filter::Subject {
        find: |reader, list, query| {
            let rows = filter::REAL.find;
            let without = query.to_string().contains('-');
            let all = Query::default();
            rows(reader, list, if without { &all } else { query })
        },
        ..real
    };
    noticed("filter", "a negation that is left out", |data| {
        filter::check(data, &blind)
    });
    let short = filter::Subject {
        find: |reader, list, query| {
            let mut rows = (filter::REAL.find)(reader, list, query)?;
            if list != List::Events {
                rows.pop_last();
            }
            Ok(rows)
        },
        ..real
    };
    noticed("filter", "a row that is never shown", |data| {
        filter::check(data, &short)
    });
}

#[test]
fn a_sheet_with_a_formula_or_a_broken_cell_is_noticed() {
    let bare = sheet::Subject {
        write: |format, heads, rows| {
            let written = (sheet::REAL.write)(format, heads, rows)?;
            let text = String::from_utf8(written).unwrap();
            Ok(text.replace('\'', "").into_bytes())
        },
    };
    noticed("sheet", "a formula", |data| sheet::check(data, bare));
    let split = sheet::Subject {
        write: |format, heads, rows| {
            let written = (sheet::REAL.write)(format, heads, rows)?;
            let text = String::from_utf8(written).unwrap();
            Ok(text.replace(";'", ";").into_bytes())
        },
    };
    noticed("sheet", "a formula behind a semicolon", |data| {
        sheet::check(data, split)
    });
    let unquoted = sheet::Subject {
        write: |format, heads, rows| {
            let written = (sheet::REAL.write)(format, heads, rows)?;
            Ok(String::from_utf8(written)
                .unwrap()
                .replace('"', "")
                .into_bytes())
        },
    };
    noticed("sheet", "a cell in two", |data| {
        sheet::check(data, unquoted)
    });
    let short = sheet::Subject {
        write: |format, heads, rows| {
            let kept = rows
                .iter()
                .filter(|row| !matches!(row[0], Cell::Null))
                .cloned()
                .collect::<Vec<_>>();
            (sheet::REAL.write)(format, heads, &kept)
        },
    };
    noticed("sheet", "a row that is gone", |data| {
        sheet::check(data, short)
    });
}

#[test]
fn text_that_acts_hides_or_is_wider_than_said_is_noticed() {
    let real = printable::REAL;
    for (what, line) in [
        (
            "text as it is",
            (|text| text.to_owned()) as fn(&str) -> String,
        ),
        ("dropped characters", |text| {
            text.chars().filter(|c| !c.is_control()).take(40).collect()
        }),
        ("joiners wherever they come", |text| {
            let parts = text.split('\u{200d}').map(printable::REAL.line);
            parts.collect::<Vec<_>>().join("\u{200d}")
        }),
        ("selectors wherever they come", |text| {
            let parts = text.split('\u{fe0f}').map(printable::REAL.line);
            parts.collect::<Vec<_>>().join("\u{fe0f}")
        }),
        ("controls alone", |text| {
            text.replace(|c: char| c.is_control(), "?")
        }),
    ] {
        let wrong = printable::Subject { line, ..real };
        noticed("printable", what, |data| printable::check(data, &wrong));
    }
    let wrong = printable::Subject {
        width: |text| (printable::REAL.line)(text).chars().count(),
        ..real
    };
    noticed("printable", "characters for cells", |data| {
        printable::check(data, &wrong)
    });
    let wrong = printable::Subject {
        cut: |text, cells| (printable::REAL.line)(text).chars().take(cells).collect(),
        ..real
    };
    noticed("printable", "a cut that says nothing", |data| {
        printable::check(data, &wrong)
    });
    let wrong = printable::Subject {
        json: |text| serde_json::to_string(text).unwrap(),
        ..real
    };
    noticed("printable", "JSON as it is", |data| {
        printable::check(data, &wrong)
    });
}
