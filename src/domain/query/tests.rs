//! What the grammar takes, what it refuses, and that text and query are one.

use proptest::prelude::*;

use super::*;
use crate::domain::time::DAY_MS;

fn vocabulary() -> Vocabulary {
    Vocabulary {
        providers: vec!["conscent".into(), "klustr".into(), "zotlo".into()],
        accounts: vec!["main".into(), "weekly".into()],
        provider_types: vec!["SubscriberUpdate/cancel".into(), "sign-up".into()],
        plans: vec!["gold plan".into()],
        currencies: vec!["TRY".into(), "EUR".into()],
        ..Vocabulary::default()
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn parsed(list: List, text: &str) -> Result<Query, QueryError> {
    let stored = vocabulary();
    Query::parse(
        text,
        &Words {
            // A Wednesday, 12:00 in Berlin.
            now: at("2026-11-04T11:00:00Z"),
            zone: "Europe/Berlin".parse().unwrap(),
            list,
            last_review: Some((500, at("2026-11-03T08:00:00Z"))),
            stored: &stored,
        },
    )
}

fn one(list: List, text: &str) -> Test {
    match parsed(list, text).unwrap().root() {
        Expr::Term(Term::Field { values, .. }) => values[0].test.clone(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn the_example_of_the_contract_parses() {
    let query = parsed(
        List::Events,
        r#"provider:zotlo type:cancel,refund since:7d -is:test amount:>=100 "gold plan""#,
    )
    .unwrap();
    assert_eq!(query.parts().len(), 6);
    assert_eq!(
        query.to_string(),
        r#"provider:zotlo type:cancel,refund since:7d -is:test amount:>=100 "gold plan""#
    );
}

#[test]
fn a_type_is_whole_a_family_a_word_or_its_beginning_or_the_providers_own() {
    let types = |text: &str| match one(List::Events, &format!("type:{text}")) {
        Test::Types { types, .. } => types.iter().map(|t| t.as_str()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(types("subscription.cancelled"), ["subscription.cancelled"]);
    assert_eq!(types("cancel"), ["subscription.cancelled"]);
    assert_eq!(types("payment"), ["payment.succeeded", "payment.refunded"]);
    assert_eq!(
        types("trial"),
        ["subscription.trial_started", "subscription.trial_converted"]
    );
    assert_eq!(
        types("started"),
        ["subscription.started", "subscription.trial_started"]
    );
    assert_eq!(
        one(List::Events, "type:subscriberupdate/CANCEL"),
        Test::Types {
            types: vec![],
            provider_types: vec!["SubscriberUpdate/cancel".into()]
        }
    );
    let error = parsed(List::Events, "type:refnd").unwrap_err();
    assert_eq!(error.suggestion.as_deref(), Some("type:refunded"));
}

const TIMES: &[(&str, &str, &str)] = &[
    (
        "at:today",
        "2026-11-03T23:00:00.000Z",
        "2026-11-04T23:00:00.000Z",
    ),
    ("since:yesterday", "2026-11-02T23:00:00.000Z", ""),
    ("until:yesterday", "", "2026-11-03T23:00:00.000Z"),
    (
        "at:mon",
        "2026-11-01T23:00:00.000Z",
        "2026-11-02T23:00:00.000Z",
    ),
    (
        "at:wed",
        "2026-11-03T23:00:00.000Z",
        "2026-11-04T23:00:00.000Z",
    ),
    ("since:24h", "2026-11-03T11:00:00.000Z", ""),
    ("since:30m", "2026-11-04T10:30:00.000Z", ""),
    // The clocks went back on 25 October: two weeks ago it was also noon, an hour earlier in UTC.
    ("since:2w", "2026-10-21T10:00:00.000Z", ""),
    (
        "at:2026-10-25",
        "2026-10-24T22:00:00.000Z",
        "2026-10-25T23:00:00.000Z",
    ),
    (
        "at:2026-11-01T10:00",
        "2026-11-01T09:00:00.000Z",
        "2026-11-01T09:01:00.000Z",
    ),
    // Shown twice by the clocks: both are meant.
    (
        "at:2026-10-25T02:30",
        "2026-10-25T00:30:00.000Z",
        "2026-10-25T01:31:00.000Z",
    ),
    // Skipped by the clocks: the first minute after.
    ("since:2026-03-29T02:30", "2026-03-29T01:00:00.000Z", ""),
    (
        "at:2026-11-01..2026-11-07",
        "2026-10-31T23:00:00.000Z",
        "2026-11-07T23:00:00.000Z",
    ),
    (
        "at:2026-10",
        "2026-09-30T22:00:00.000Z",
        "2026-10-31T23:00:00.000Z",
    ),
    ("at:..2026-11-01", "", "2026-11-01T23:00:00.000Z"),
    ("since:last-review", "2026-11-03T08:00:00.000Z", ""),
    ("at:<2026-11-01", "", "2026-10-31T23:00:00.000Z"),
    ("at:>2026-11-01", "2026-11-01T23:00:00.000Z", ""),
    (
        "at:2026-11-01T09:00:00.000Z",
        "2026-11-01T09:00:00.000Z",
        "2026-11-01T09:00:00.001Z",
    ),
];

#[test]
fn times_are_in_the_ledgers_zone() {
    let span = |text: &str| match one(List::Events, text) {
        Test::Time(Span { from, to }) => (
            from.map(|at| at.to_string()).unwrap_or_default(),
            to.map(|at| at.to_string()).unwrap_or_default(),
        ),
        other => panic!("{other:?}"),
    };
    for (text, from, to) in TIMES.iter().copied() {
        assert_eq!(span(text), (from.to_owned(), to.to_owned()), "{text}");
    }
    let ends = one(List::Subscriptions, "ends:7d");
    assert_eq!(
        ends,
        Test::Time(Span {
            from: Some(at("2026-11-04T11:00:00Z")),
            to: Some(at("2026-11-11T11:00:00Z")),
        })
    );
}

#[test]
fn what_does_not_parse_is_an_error_that_names_the_nearest() {
    for (list, text, at, suggestion) in [
        (List::Events, "provder:zotlo", 0..13, Some("provider:zotlo")),
        (
            List::Events,
            "x provider:zotlo,klust",
            17..22,
            Some("provider:zotlo,klustr"),
        ),
        (
            List::Events,
            "since:yesterdy",
            6..14,
            Some("since:yesterday"),
        ),
        (List::Events, "is:tset", 3..7, Some("is:test")),
        (List::Users, "is:reg", 3..6, Some("is:registered")),
        (List::Events, "is:ending", 3..9, None),
        (List::Events, "status:active", 0..13, None),
        (
            List::Subscriptions,
            "status:actve",
            7..12,
            Some("status:active"),
        ),
        (
            List::Subscriptions,
            "status:ending",
            7..13,
            Some("status:cancelled"),
        ),
        (
            List::Subscriptions,
            "status:\"payment failed\"",
            7..23,
            Some("status:grace"),
        ),
        (
            List::Deliveries,
            "outcome:repeat",
            8..14,
            Some("outcome:duplicate"),
        ),
        (List::Events, "amount:many", 7..11, None),
        (List::Events, "amount>=100", 0..11, Some("amount:>=100")),
        (List::Events, "amount:", 0..7, None),
        (List::Events, "12:30", 0..5, Some("\"12:30\"")),
        (List::Events, "\"open", 0..5, None),
        (List::Events, "(a", 0..1, None),
        (List::Events, "a)", 1..2, None),
        (List::Events, "a OR", 3..4, None),
        (List::Events, "-", 0..1, None),
        (List::Events, "since:1d..2d", 6..12, None),
        (List::Events, "seq:0x10", 4..8, None),
        (List::Events, "at:1066-10-14", 3..13, None),
        (List::Events, "currency:euro", 9..13, Some("currency:EUR")),
    ] {
        let error = parsed(list, text).unwrap_err();
        assert_eq!(
            (error.at.clone(), error.suggestion.as_deref()),
            (at, suggestion),
            "{text}: {error}"
        );
        assert!(!error.message.is_empty());
        if let Some(better) =
            suggestion.filter(|better| !text.starts_with("x ") && better.contains(':'))
        {
            assert!(parsed(list, better).is_ok(), "{better}");
        }
    }
}

#[test]
fn hostile_text_neither_panics_nor_blows_the_stack() {
    for text in [
        "(".repeat(4_000),
        "-".repeat(4_000),
        "a ".repeat(2_000),
        format!("is:{}", "new,".repeat(1_000)),
        "x".repeat(5_000),
        "\u{301}:\u{202e}".to_owned(),
    ] {
        assert!(parsed(List::Events, &text).is_err(), "{text:.20}");
    }
}

#[test]
fn or_binds_weaker_than_side_by_side() {
    let query = parsed(List::Events, "a b OR c -(d OR e f)").unwrap();
    assert_eq!(query.to_string(), "a b OR c -(d OR e f)");
    let Expr::Any(parts) = query.root() else {
        panic!("{query:?}")
    };
    assert_eq!(parts.len(), 2);
    assert!(parsed(List::Events, "").unwrap().is_empty());
}

#[test]
fn a_keys_own_choice_can_be_left_out() {
    let query = parsed(
        List::Events,
        "provider:zotlo -provider:klustr type:cancel gold",
    )
    .unwrap();
    assert_eq!(
        query.without(&[Key::Provider]).to_string(),
        "type:cancel gold"
    );
    let both = query
        .without(&[Key::Provider])
        .and(&parsed(List::Events, "a OR b").unwrap());
    assert_eq!(both.to_string(), "type:cancel gold (a OR b)");
}

#[test]
fn a_stretch_of_time_is_written_as_a_person_would() {
    let zone = "Europe/Istanbul".parse().unwrap();
    for (from, to, text) in [
        ("2026-10-31T21:00:00Z", "2026-11-30T21:00:00Z", "2026-11"),
        ("2026-11-19T21:00:00Z", "2026-11-20T21:00:00Z", "2026-11-20"),
        (
            "2026-10-31T21:00:00Z",
            "2026-11-07T21:00:00Z",
            "2026-11-01..2026-11-07",
        ),
        (
            "2026-10-31T21:00:00Z",
            "2026-11-20T06:30:00Z",
            "2026-11-01..2026-11-20T09:29",
        ),
        (
            "2026-10-31T21:00:01Z",
            "2026-11-20T06:30:00.120Z",
            "2026-11-01T00:00:01..2026-11-20T06:30:00.119Z",
        ),
    ] {
        assert_eq!(stretch(at(from), at(to), zone), text);
    }
}

#[test]
fn offers_complete_keys_and_values() {
    let stored = vocabulary();
    let words = Words {
        now: at("2026-11-04T11:00:00Z"),
        zone: Zone::UTC,
        list: List::Events,
        last_review: None,
        stored: &stored,
    };
    let offers = |text: &str| completions(text, text.len(), &words);
    assert_eq!(offers("is:test pro"), ["provider:"]);
    assert_eq!(offers("(-provider:z"), ["-provider:zotlo"]);
    assert_eq!(offers("provider:zotlo,k"), ["provider:zotlo,klustr"]);
    assert_eq!(offers("plan:go"), ["plan:\"gold plan\""]);
    assert_eq!(offers("plan:\"gold p"), ["plan:\"gold plan\""]);
    assert_eq!(offers("type:subsc")[0], "type:subscription");
    assert!(offers("status:").is_empty());
    assert!(offers("nonsense:x").is_empty());
    let of_subscriptions = |text: &str| {
        let list = List::Subscriptions;
        completions(text, text.len(), &Words { list, ..words })
    };
    assert_eq!(
        of_subscriptions("status:end"),
        ["status:cancelled", "status:pending"]
    );
    assert_eq!(of_subscriptions("status:ca"), ["status:cancelled"]);
}

fn texts() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-zçğış@.0-9]{1,8}".prop_filter("OR", |word| word != "OR"),
        "[ -~]{1,10}"
            .prop_map(|text| format!("\"{}\"", text.replace('\\', "").replace('"', "\\\"")))
            .prop_filter("blank", |text| text.trim_matches('"').trim() != ""),
        prop::sample::select(vec![
            "provider:zotlo",
            "provider:zotlo,klustr",
            "type:cancel,payment",
            "type:sign-up",
            "amount:>=100.50",
            "amount:-5..7",
            "seq:<9",
            "since:7d",
            "at:2026-11-01..2026-11-07",
            "until:last-review",
            "is:new",
            "is:late,test",
            "email:a@b.example",
            "phone:+90-555",
            "plan:\"gold, plan*\"",
            "name:\"a \\\"b\\\" \\\\c\"",
            "currency:try",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.join(" ")),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("({})", parts.join(" OR "))),
            inner.prop_map(|part| format!("-({part})")),
        ]
    })
}

proptest! {
    #[test]
    fn a_query_shown_and_read_again_is_the_same(text in texts()) {
        let query = parsed(List::Events, &text).unwrap();
        let shown = query.to_string();
        prop_assert_eq!(parsed(List::Events, &shown).unwrap(), query, "{} -> {}", text, shown);
    }

    #[test]
    fn a_stretch_is_written_short_and_means_the_same(
        day in 0i64..30_000, minutes in 0i64..3_000, unit in 0..4usize, length in 1i64..100_000,
        zone in prop::sample::select(vec!["UTC", "Europe/Istanbul", "America/New_York", "Asia/Kolkata",
            "Australia/Lord_Howe", "Africa/Casablanca"]),
    ) {
        let zone: Zone = zone.parse().unwrap();
        let unit = [DAY_MS, 60_000, 1_000, 1][unit];
        let from = Timestamp::from_ms(day * DAY_MS + minutes * 60_000);
        let from = if unit == DAY_MS { zone.day_start(from.day(zone).parse().unwrap()) } else { from };
        let to = from.plus_ms(length % 1_000 * unit + 1 + length % 2);
        let to = if unit == DAY_MS { zone.day_start(to.day(zone).parse().unwrap()) } else { to.plus_ms(-1) };
        prop_assume!(from < to);
        let words = Words {
            now: at("2026-11-20T09:14:00Z"),
            zone,
            list: List::Events,
            last_review: None,
            stored: &Vocabulary::default(),
        };
        let text = format!("at:{}", stretch(from, to, zone));
        let exact = format!("at:{from}..{}", to.plus_ms(-1));
        let span = |text: &str| {
            let query = Query::parse(text, &words).unwrap();
            match query.root() {
                Expr::Term(Term::Field { values, .. }) => values[0].test.clone(),
                other => panic!("{other:?}"),
            }
        };
        prop_assert_eq!(span(&text), span(&exact), "{}", text);
        prop_assert!(text.len() <= exact.len());
    }

    #[test]
    fn any_text_parses_or_is_refused_within_its_bounds(text in "\\PC{0,60}") {
        if let Err(error) = parsed(List::Events, &text) {
            prop_assert!(error.at.end <= text.len() && error.at.start <= error.at.end, "{error:?}");
            prop_assert!(text.get(error.at.clone()).is_some(), "{error:?}");
        }
        let stored = vocabulary();
        let words = Words { now: at("2026-11-04T11:00:00Z"), zone: Zone::UTC, list: List::Users, last_review: None, stored: &stored };
        completions(&text, text.len() / 2, &words);
    }
}

#[test]
fn a_word_is_widened_by_what_else_shows_it_but_not_one_that_is_left_out() {
    let list = List::Cancellations;
    let also = |word: &str| vec![Query::anywhere(list, &format!("reason:{word}"))];
    let widened = |text: &str| Query::anywhere(list, text).with_words(&also).to_string();
    assert_eq!(widened("technical"), "technical OR reason:technical");
    assert_eq!(
        widened("gold dear provider:zotlo"),
        "(gold OR reason:gold) (dear OR reason:dear) provider:zotlo"
    );
    assert_eq!(widened("-gold actor:user"), "-gold actor:user");
}
