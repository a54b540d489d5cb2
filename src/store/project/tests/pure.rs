//! What the folds hold by themselves, without a database.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::domain::event::{ConsentState, EventType, PaymentFacts};
use crate::domain::time::{HOUR_MS, Timestamp, Zone};
use crate::store::project::clock::view;
use crate::store::project::consents;
use crate::store::project::daily::is_new_day;
use crate::store::project::order::Place;
use crate::store::project::subscriptions::{Phase, Standing, Sum, Told};
use crate::store::project::tests::generated::{consent_facts, instant, subscription_facts};
use crate::store::project::tests::zone;

/// Zones, and times when their clocks went back over midnight, skipped it, had a day twice or not at all.
const CLOCKS: [(&str, &str); 9] = [
    ("America/St_Johns", "2010-11-07T02:31:00Z"),
    ("America/Sao_Paulo", "2017-10-15T03:00:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Pacific/Kwajalein", "1969-09-30T13:00:00Z"),
    ("America/Juneau", "1867-10-19T00:30:00Z"),
    ("America/Toronto", "1919-03-31T04:30:00Z"),
    ("Asia/Gaza", "2023-10-27T23:00:00Z"),
    ("Asia/Kolkata", "2026-01-01T00:00:00Z"),
];

fn place(at: Timestamp, kind: EventType, index: usize) -> Place {
    Place {
        at,
        rank: kind.rank(),
        key: format!("key-{}", index * 7 % 13),
        n: 0,
        seq: i64::try_from(index).unwrap() + 1,
    }
}

fn told() -> impl Strategy<Value = Vec<Told>> {
    let kinds: Vec<EventType> = EventType::ALL
        .iter()
        .copied()
        .filter(|kind| kind.family() == "subscription" || *kind == EventType::PaymentRefunded)
        .collect();
    let one = (
        proptest::sample::select(kinds),
        instant(),
        subscription_facts(),
        proptest::option::of(proptest::sample::select(&["s1", "s2"][..])),
        any::<bool>(),
    );
    proptest::collection::vec(one, 1..12).prop_map(|all| {
        let events = all.into_iter().enumerate();
        let told = events.map(|(index, (kind, at, facts, id, cancels_access))| Told {
            place: place(at, kind, index),
            kind,
            test: false,
            app: String::new(),
            user_id: Some("ada".into()),
            email: None,
            name: None,
            subscription_id: id.map(str::to_owned),
            plan: None,
            facts,
            refund: PaymentFacts {
                cancels_access,
                ..PaymentFacts::default()
            },
        });
        told.collect()
    })
}

fn standings(events: Vec<Told>) -> Vec<Standing> {
    let sum = Sum::of(events, &[]);
    let found = ["s1", "s2"].into_iter().filter_map(|id| sum.standing(id));
    found.cloned().collect()
}

proptest! {
    #[test]
    fn a_subscription_has_at_most_one_open_cancellation_and_ends_with_one(events in told()) {
        let standings = standings(events);
        let mut ids = BTreeSet::new();
        for standing in &standings {
            let (last, earlier) = match standing.spells.split_last() {
                Some((last, earlier)) => (Some(last), earlier),
                None => (None, &[][..]),
            };
            prop_assert!(earlier.iter().all(|spell| spell.reactivated_at.is_some()));
            prop_assert!(standing.spells.iter().all(|spell| ids.insert(spell.id)));
            let is_open = last.is_some_and(|spell| spell.reactivated_at.is_none());
            let is_over = matches!(standing.phase, Phase::Expired | Phase::Revoked);
            prop_assert!(is_open || !is_over);
            prop_assert_eq!(is_over, standing.ended.is_some());
            prop_assert!(standing.phase != Phase::Pending || standing.access_until.is_none());
        }
    }

    #[test]
    fn a_day_is_new_only_where_nothing_before_was_on_it(
        (name, around) in proptest::sample::select(&CLOCKS[..]),
        mut hours in proptest::array::uniform3(-60.0..60.0),
    ) {
        let zone: Zone = name.parse().unwrap();
        hours.sort_by(f64::total_cmp);
        let around = Timestamp::parse(around).unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "under 60 hours")]
        let [before, to, at] = hours.map(|hours| around.plus_ms((hours * 3_600_000.0) as i64));
        let is_new = is_new_day(zone, to, at);
        for earlier in [before, to] {
            prop_assert!(!is_new || earlier.day(zone) != at.day(zone));
        }
        prop_assert!(is_new || at.ms() - to.ms() < 49 * HOUR_MS);
    }

    #[test]
    fn nothing_changes_by_the_clock_before_it_says_so(
        events in told(),
        now in instant(),
        part in 0_u32..1000,
    ) {
        for standing in &standings(events) {
            let seen = view(standing, now, zone());
            if seen.has_access == Some(true) {
                prop_assert!(["trialing", "active", "grace"].contains(&seen.status));
            }
            let Some(clock_at) = seen.clock_at else {
                let end = now.plus_ms(i64::from(part) * 86_400_000 * 30);
                prop_assert_eq!(view(standing, end, zone()), seen);
                continue;
            };
            prop_assert!(clock_at > now);
            let span = clock_at.ms() - now.ms() - 1;
            let before = now.plus_ms(span / 1000 * i64::from(part));
            prop_assert_eq!(&view(standing, before, zone()), &seen);
            prop_assert_eq!(&view(standing, now.plus_ms(span), zone()), &seen);
            prop_assert_ne!(&view(standing, clock_at, zone()), &seen);
        }
    }

    #[test]
    fn a_history_of_consent_has_no_gap_and_ends_in_the_present(
        facts in proptest::collection::vec((consent_facts(), instant()), 1..12),
        withdrawn in any::<bool>(),
    ) {
        let mut events: Vec<consents::Told> = facts
            .into_iter()
            .enumerate()
            .map(|(index, (facts, at))| consents::Told {
                place: place(at, EventType::ConsentUpdated, index),
                test: false,
                email: None,
                facts,
            })
            .collect();
        events.sort_by(|a, b| a.place.cmp(&b.place));
        if let Some(last) = events.last_mut() {
            last.facts.withdraws_all |= withdrawn;
        }
        let state = consents::fold(&events);
        let mut known: BTreeMap<&str, ConsentState> = BTreeMap::new();
        for change in &state.changes {
            prop_assert_eq!(known.insert(&change.purpose, change.after), change.before);
            prop_assert_ne!(Some(change.after), change.before);
        }
        for (purpose, present) in &state.purposes {
            prop_assert_eq!(known.remove(purpose.as_str()), Some(present.state));
            prop_assert!(!withdrawn || present.state == ConsentState::Withdrawn);
        }
        prop_assert!(known.is_empty());
    }
}
