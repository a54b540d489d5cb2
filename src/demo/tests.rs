//! The demo: the same seed gives the same bytes, and what it tells is what was meant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::demo::{ACCOUNTS, CHANGES_OF_MIND_MS, Demo, Fate, Posted, SILENCE_MS};
use crate::domain::delivery::{Content, Reading};
use crate::domain::event::{ConsentState, EventType, Facts};
use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use crate::providers::door;

fn until() -> Timestamp {
    Timestamp::parse("2026-03-10T09:30:00Z").unwrap()
}

fn demo(seed: u64, events: u64) -> Demo {
    Demo::new(seed, events, until())
}

/// One year that several tests look at, each webhook with its reading.
static YEAR: LazyLock<Vec<(Posted, Reading)>> = LazyLock::new(|| {
    demo(1, 20_000)
        .map(|posted| {
            let reading = reading(&posted);
            (posted, reading)
        })
        .collect()
});

fn reading(posted: &Posted) -> Reading {
    door::read(&posted.clone().into_delivery())
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let first: Vec<Posted> = demo(7, 1_000).collect();
    let second: Vec<Posted> = demo(7, 1_000).collect();
    assert!(first == second);
    let other: Vec<Posted> = demo(8, 1_000).collect();
    assert!(first != other);
}

#[test]
fn every_body_is_readable_but_those_that_are_meant_not_to_be() {
    let mut unreadable = 0;
    for (posted, reading) in YEAR.iter() {
        let is_read = matches!(reading.content, Content::Events(_));
        assert_eq!(is_read, posted.fate != Fate::Unreadable, "{posted:?}");
        unreadable += u32::from(!is_read);
    }
    assert!(unreadable >= 3, "{unreadable}");
}

#[test]
fn webhooks_arrive_in_order_within_the_year() {
    let mut last = until().plus_ms(-365 * DAY_MS);
    for (posted, _) in YEAR.iter() {
        assert!(posted.at >= last && posted.at < until());
        last = posted.at;
    }
    assert!(until().ms() - last.ms() < 3 * HOUR_MS);
}

#[test]
fn about_as_many_events_come_as_were_wanted() {
    for wanted in [300_u64, 6_000] {
        let read: usize = demo(3, wanted)
            .filter(|posted| posted.fate == Fate::Kept)
            .map(|posted| reading(&posted).events().len())
            .sum();
        let read = u64::try_from(read).unwrap();
        let off = read.abs_diff(wanted);
        assert!(off * 20 <= wanted + 400, "{read} of {wanted}");
    }
}

#[test]
fn every_account_kind_of_event_and_currency_has_its_part() {
    let mut accounts = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    let mut currencies = BTreeSet::new();
    for (posted, reading) in YEAR.iter().filter(|(posted, _)| posted.fate == Fate::Kept) {
        accounts.insert((posted.provider, posted.account));
        for event in reading.events() {
            kinds.insert(event.kind.as_str());
            if let Some(money) = &event.money {
                assert!(money.minor.is_some() && money.flag.is_none(), "{money:?}");
                currencies.insert(money.currency.clone());
            }
        }
    }
    assert_eq!(accounts, BTreeSet::from(ACCOUNTS));
    let currencies: Vec<&str> = currencies.iter().map(String::as_str).collect();
    assert_eq!(currencies, ["EUR", "INR", "JPY", "TRY", "USD"]);
    for kind in [
        EventType::UserRegistered,
        EventType::UserSignedIn,
        EventType::PurchaseCompleted,
        EventType::SubscriptionTrialStarted,
        EventType::SubscriptionStarted,
        EventType::SubscriptionRenewed,
        EventType::SubscriptionGraceEntered,
        EventType::SubscriptionRecovered,
        EventType::SubscriptionCancelled,
        EventType::SubscriptionReactivated,
        EventType::SubscriptionExpired,
        EventType::PaymentSucceeded,
        EventType::PaymentRefunded,
        EventType::ConsentGiven,
        EventType::ConsentUpdated,
        EventType::ConsentWithdrawn,
        EventType::AgreementAccepted,
        EventType::ConsentEvidenceCaptured,
        EventType::EngagementPaywall,
    ] {
        assert!(kinds.contains(kind.as_str()), "{kind}");
    }
}

#[test]
fn a_provider_falls_silent_and_its_last_webhooks_are_turned_away() {
    let quiet_since = until().plus_ms(-SILENCE_MS);
    let mut turned_away = 0;
    let mut others = 0;
    for (posted, reading) in YEAR.iter().filter(|(posted, _)| posted.at > quiet_since) {
        match (posted.provider, posted.rejected()) {
            ("klustr", Some(reason)) => {
                assert_eq!(reason, "signature wrong");
                turned_away += 1;
            }
            ("klustr", None) => {
                // What was late or repeated when it fell silent may still come in.
                let told = reading.events().first().and_then(|event| event.occurred.at);
                assert!(told.is_none_or(|at| at <= quiet_since), "{posted:?}");
            }
            _ => others += 1,
        }
    }
    assert!((1..=4).contains(&turned_away), "{turned_away}");
    assert!(others > 20, "{others}");
}

/// Readers whose last answer within a day of the end is a no, after a yes to another wording: the wording before, and
/// after.
fn changes_of_mind(demo: Demo) -> Vec<(String, String)> {
    let review = until().plus_ms(-DAY_MS);
    let mut agreed: BTreeMap<String, String> = BTreeMap::new();
    let mut changed = Vec::new();
    for posted in demo.filter(|posted| posted.fate == Fate::Kept) {
        for event in reading(&posted).events() {
            let Facts::Consent(facts) = &event.facts else {
                continue;
            };
            let reader = event.subject.user_id.clone().unwrap_or_default();
            for scope in &facts.scopes {
                let Some(wording) = scope.wording.clone() else {
                    continue;
                };
                if scope.state == ConsentState::Given {
                    agreed.insert(reader.clone(), wording);
                } else if let Some(before) = agreed.remove(&reader)
                    && posted.at > review
                    && before != wording
                {
                    changed.push((before, wording));
                }
            }
        }
    }
    changed
}

#[test]
fn on_the_last_day_a_reader_takes_back_a_yes_and_both_wordings_are_told() {
    for (seed, events) in [(1, 20_000), (1, 4_000), (2, 4_000), (3, 6_000)] {
        let changed = changes_of_mind(demo(seed, events));
        assert!(changed.len() >= CHANGES_OF_MIND_MS.len(), "{changed:?}");
    }
}

#[test]
fn a_repeat_has_a_key_of_what_came_before() {
    let mut known = BTreeSet::new();
    let (mut repeats, mut other_bytes) = (0, 0);
    let mut bodies = BTreeMap::new();
    for (posted, reading) in YEAR
        .iter()
        .filter(|(posted, _)| posted.rejected().is_none())
    {
        let of = (posted.provider, posted.account);
        if posted.fate == Fate::Repeated {
            repeats += 1;
            let first = reading
                .keys
                .iter()
                .find(|key| known.contains(&(of, key.key.clone())))
                .unwrap_or_else(|| panic!("never seen: {posted:?}"));
            let before = bodies.get(&(of, first.key.clone()));
            other_bytes += u32::from(before != Some(&&posted.body));
        }
        for key in &reading.keys {
            known.insert((of, key.key.clone()));
            bodies.insert((of, key.key.clone()), &posted.body);
        }
    }
    assert!(repeats > 100, "{repeats}");
    assert!(
        other_bytes > 0 && other_bytes < repeats / 10,
        "{other_bytes}"
    );
}

#[test]
fn weekends_and_nights_are_quieter() {
    let mut by_weekday = [0_u32; 7];
    let mut by_hour = [0_u32; 24];
    for (posted, _) in YEAR.iter() {
        let at = posted.at.ms();
        by_weekday[usize::try_from((at.div_euclid(DAY_MS) + 3).rem_euclid(7)).unwrap()] += 1;
        by_hour[usize::try_from(at.rem_euclid(DAY_MS) / HOUR_MS).unwrap()] += 1;
    }
    assert!(by_weekday[5] * 4 < by_weekday[1] * 3, "{by_weekday:?}");
    assert!(by_hour[2] * 4 < by_hour[18], "{by_hour:?}");
}

#[test]
fn names_come_in_many_scripts() {
    let mut names = BTreeSet::new();
    for (_, reading) in YEAR.iter() {
        for event in reading.events() {
            names.extend(event.subject.name.clone());
        }
    }
    let any = |range: std::ops::RangeInclusive<char>| {
        names
            .iter()
            .any(|name| name.chars().any(|c| range.contains(&c)))
    };
    assert!(any('一'..='龯') && any('א'..='ת') && any('ا'..='ي') && any('🌀'..='🫿'));
}

#[test]
fn what_waits_stays_small_however_long_it_runs() {
    let mut demo = demo(11, 60_000);
    let mut most = 0;
    while let Some(posted) = demo.next() {
        most = most.max(demo.waiting.len());
        assert!(demo.lives.len() <= 5_000);
        assert!(posted.body.len() < 4_096);
    }
    assert!(most < 100, "{most}");
}

#[test]
fn a_handful_of_events_and_none_are_fine() {
    assert!(demo(12, 1).count() < 40);
    assert!(demo(12, 0).count() < 40);
    let late = demo(13, 200)
        .filter(|posted| until().ms() - posted.at.ms() < 30 * 24 * 60 * MINUTE_MS)
        .count();
    assert!(late > 5);
}
