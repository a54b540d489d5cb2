//! When a provider is called quiet: nights, week-ends, new and dead providers, imports, tests, clocks.

use std::path::PathBuf;

use rusqlite::params;
use subledger::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp, span};
use subledger::store::query::Reader;
use subledger::store::today::{Outside, Rule};
use tempfile::TempDir;

use crate::queries::generated::{Dice, empty, now};

/// Deliveries of Zotlo, and when one asks.
struct Heard {
    _dir: TempDir,
    path: PathBuf,
}

/// One delivery: when, how it came, and whether it is a test.
type One = (Timestamp, &'static str, bool);

fn live(at: Timestamp) -> One {
    (at, "live", false)
}

impl Heard {
    fn of(ones: impl IntoIterator<Item = One>) -> Self {
        Self::in_zone("UTC", ones)
    }

    fn in_zone(zone: &str, ones: impl IntoIterator<Item = One>) -> Self {
        let (dir, path, conn) = empty();
        conn.execute("update meta set value = ?1 where key = 'zone'", [zone])
            .unwrap();
        conn.execute_batch("begin").unwrap();
        for (i, (at, origin, test)) in ones.into_iter().enumerate() {
            conn.execute(
                "insert into deliveries (seq, received_at, provider, account, hook, outcome, credential, remote_ip, \
                 origin, test, provider_type, reader_version, body_bytes, commitment, link, headers) values \
                 (?1, ?2, 'zotlo', 'main', 'events', 'stored', 'path_key', '::1', ?3, ?4, 'x', 1, 2, x'00', x'00', '[]')",
                params![i64::try_from(i).unwrap() + 1, at.to_string(), origin, test],
            )
            .unwrap();
        }
        conn.execute_batch("commit").unwrap();
        Self { _dir: dir, path }
    }

    /// What is said of Zotlo's silence at `at`.
    fn at(&self, at: Timestamp) -> Option<String> {
        self.with(at, &Outside::default())
    }

    fn with(&self, at: Timestamp, outside: &Outside) -> Option<String> {
        let reader = Reader::open(&self.path).unwrap();
        let needs = reader.needs(at, outside).unwrap();
        let quiet = needs.into_iter().find(|need| need.rule == Rule::Quiet);
        let known = reader.connections(at, &[], outside).unwrap();
        let connected = known.iter().find_map(|one| one.quiet).map(|quiet| {
            let gap = span(quiet.gap_ms);
            format!("zotlo quiet for {gap}; {}", quiet.than())
        });
        let said = quiet.as_ref().map(|need| need.sentence.clone());
        assert_eq!(connected, said, "Connections and Today");
        let quiet = quiet?;
        assert_eq!(quiet.provider.as_deref(), Some("zotlo"));
        Some(quiet.sentence)
    }
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Every half hour of `days` days from `first` on, where `open` says so by day and hour.
fn half_hours(first: &str, days: i64, open: impl Fn(i64, i64) -> bool) -> Vec<One> {
    let first = time(first);
    (0..days * 48)
        .filter(|slot| open(slot / 48, slot % 48 / 2))
        .map(|slot| live(first.plus_ms(slot * 30 * MINUTE_MS)))
        .collect()
}

#[test]
fn nights_are_not_quiet_once_one_of_them_is_known() {
    let heard = Heard::of(half_hours("2026-10-01T00:00:00Z", 10, |_, hour| {
        (7..23).contains(&hour)
    }));
    let night = |first_days: i64, at: &str| {
        let upto = half_hours("2026-10-01T00:00:00Z", first_days, |_, hour| {
            (7..23).contains(&hour)
        });
        Heard::of(upto).at(time(at))
    };
    let first = night(1, "2026-10-02T03:00:00Z").unwrap();
    assert_eq!(
        first,
        "zotlo quiet for 4 h 30 m; its longest gap in 28 days was 30 m"
    );
    for days in 2..10 {
        for clock in ["01:00", "04:30", "06:59", "07:00"] {
            let at = format!("2026-10-{:02}T{clock}:00Z", days + 1);
            assert_eq!(night(days, &at), None, "{at}");
        }
    }
    let late = heard.at(time("2026-10-11T07:31:00Z")).unwrap();
    assert_eq!(
        late,
        "zotlo quiet for 9 h 01 m; its longest gap in 28 days was 8 h 30 m"
    );
}

#[test]
fn week_ends_are_not_quiet_once_one_of_them_is_known() {
    // 2026-10-05 is a Monday.
    let weeks = |days| {
        half_hours("2026-10-05T00:00:00Z", days, |day, hour| {
            day % 7 < 5 && (9..17).contains(&hour)
        })
    };
    let first = Heard::of(weeks(5));
    assert!(first.at(time("2026-10-10T12:00:00Z")).is_some());
    for days in [12, 19, 26, 33] {
        let friday = time("2026-10-05T00:00:00Z").plus_ms(days * DAY_MS);
        let heard = Heard::of(weeks(days));
        for hours in [12, 24, 36, 48, 56] {
            assert_eq!(heard.at(friday.plus_ms(hours * HOUR_MS)), None, "{days}");
        }
        let tuesday = friday.plus_ms(3 * DAY_MS);
        assert!(heard.at(tuesday).is_some(), "{days}");
    }
}

#[test]
fn a_new_provider_is_not_quiet_before_its_habits_are_known() {
    let few = |count: i64| {
        let ones = (0..count).map(|i| live(now().plus_ms((i - count) * HOUR_MS - 5 * HOUR_MS)));
        Heard::of(ones).at(now())
    };
    assert_eq!(few(0), None);
    assert_eq!(few(1), None);
    assert_eq!(few(19), None);
    assert_eq!(
        few(20).as_deref(),
        Some("zotlo quiet for 6 h 00 m; its longest gap in 28 days was 1 h 00 m")
    );
}

#[test]
fn a_dead_provider_stays_quiet_until_told_that_nothing_is_expected_of_it() {
    let heard = Heard::of(half_hours("2026-01-01T00:00:00Z", 3, |_, _| true));
    for (at, gap) in [
        ("2026-01-04T00:00:00Z", "30 m"),
        ("2026-01-05T00:00:00Z", "24 h 30 m"),
        ("2026-02-05T00:00:00Z", "32 days"),
        ("2027-02-05T00:00:00Z", "397 days"),
    ] {
        let says = heard.at(time(at));
        if gap == "30 m" {
            assert_eq!(says, None);
        } else {
            let wanted = format!("zotlo quiet for {gap}; its longest gap in 28 days was 30 m");
            assert_eq!(says.as_deref(), Some(wanted.as_str()), "{at}");
        }
    }
    let never = Outside {
        unexpected: vec![("zotlo".into(), "main".into())],
        ..Outside::default()
    };
    assert_eq!(heard.with(time("2027-02-05T00:00:00Z"), &never), None);
}

#[test]
fn what_was_imported_or_is_a_test_says_nothing_of_a_silence() {
    let steady = half_hours("2026-10-01T00:00:00Z", 5, |_, _| true);
    let asked = time("2026-10-07T00:00:00Z");
    let said = Heard::of(steady.clone()).at(asked);
    assert!(said.is_some());
    for (origin, test) in [("import", false), ("live", true), ("import", true)] {
        let more = (0..40).map(|i| (asked.plus_ms(-i * HOUR_MS), origin, test));
        let heard = Heard::of(steady.iter().copied().chain(more));
        assert_eq!(heard.at(asked), said, "{origin} {test}");
        let alone = (0..40).map(|i| (asked.plus_ms(-i * MINUTE_MS - DAY_MS), origin, test));
        let heard = Heard::of(alone);
        assert_eq!(heard.at(asked), None, "{origin} {test}: never heard from");
        let expected = Outside {
            expected: vec![("zotlo".into(), "main".into(), HOUR_MS)],
            ..Outside::default()
        };
        assert_eq!(
            heard.with(asked, &expected),
            None,
            "not connected, never quiet"
        );
    }
    // What was filled in later does not hide that there was a gap.
    let gap = half_hours("2026-10-01T00:00:00Z", 5, |day, _| day != 2);
    let filled = half_hours("2026-10-03T00:00:00Z", 1, |_, _| true)
        .into_iter()
        .map(|(at, ..)| (at, "import", false));
    let heard = Heard::of(gap.into_iter().chain(filled));
    assert_eq!(heard.at(time("2026-10-06T20:00:00Z")), None);
}

#[test]
fn clocks_that_jump_call_nobody_quiet() {
    let steady = half_hours("2026-10-01T00:00:00Z", 5, |_, _| true);
    // Ahead for a while, and put right: the last delivery seems to lie in the future.
    let ahead = live(time("2031-01-01T00:00:00Z"));
    let heard = Heard::of(steady.iter().copied().chain([ahead]));
    assert_eq!(heard.at(time("2026-10-09T00:00:00Z")), None);
    assert_eq!(Heard::of(steady).at(Timestamp::from_ms(0)), None);
}

#[test]
fn a_night_that_an_hour_was_added_to_is_as_long_as_others() {
    // In Berlin clocks are put back at 03:00 on 25 October 2026. Open from 07:00 to 22:30 local time.
    let local = |slot: i64| {
        let utc = time("2026-10-10T00:00:00Z").plus_ms(slot * 30 * MINUTE_MS);
        let ahead = if utc < time("2026-10-25T01:00:00Z") {
            2
        } else {
            1
        };
        (
            utc,
            utc.plus_ms(ahead * HOUR_MS).ms().rem_euclid(DAY_MS) / HOUR_MS,
        )
    };
    let upto = |end: Timestamp| {
        let ones = (0..20 * 48)
            .map(local)
            .filter(|(at, hour)| (7..23).contains(hour) && *at < end)
            .map(|(at, _)| live(at));
        Heard::in_zone("Europe/Berlin", ones)
    };
    let morning = time("2026-10-25T05:59:00Z");
    assert_eq!(
        upto(morning).at(morning),
        None,
        "06:59 after the long night"
    );
    let late = time("2026-10-25T06:31:00Z");
    let says = upto(morning).at(late).unwrap();
    assert_eq!(
        says,
        "zotlo quiet for 10 h 01 m; its longest gap in 28 days was 8 h 30 m"
    );
}

#[test]
fn the_longest_gap_is_the_one_that_reading_every_delivery_gives() {
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let mut at = now().plus_ms(-45 * DAY_MS);
        let mut times = Vec::new();
        while at < now().plus_ms(-2 * HOUR_MS) && times.len() < 1_500 {
            times.push(at);
            let longest = [3, 40, 400][dice.below(3)];
            let minutes = 1 + i64::try_from(dice.below(longest)).unwrap();
            at = at.plus_ms(minutes * MINUTE_MS);
        }
        let last = *times.last().unwrap();
        let asked = last.plus_ms(i64::try_from(dice.below(600)).unwrap() * MINUTE_MS);
        let known: Vec<i64> = times
            .iter()
            .filter(|at| at.ms() >= last.ms() - 28 * DAY_MS)
            .map(|at| at.ms())
            .collect();
        let longest = known.windows(2).map(|two| two[1] - two[0]).max().unwrap();
        let gap = asked.ms() - last.ms();
        let reader = Heard::of(times.into_iter().map(live));
        let found = Reader::open(&reader.path)
            .unwrap()
            .connections(asked, &[], &Outside::default())
            .unwrap()[0]
            .quiet
            .map(|quiet| (quiet.gap_ms, quiet.longest_ms));
        let wanted =
            (gap >= 10 * MINUTE_MS && gap > longest && known.len() >= 20).then_some((gap, longest));
        assert_eq!(found, wanted, "seed {seed}");
    }
}
