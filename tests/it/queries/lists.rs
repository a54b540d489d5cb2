//! Pages against the oracle, keyset walks, index use, counts, choices, one record.

use std::collections::BTreeMap;

use rusqlite::Connection;
use subledger::domain::page::{Cell, Count, Cursor, List, Order, Row, RowKey};
use subledger::domain::query::{Key, Query};
use subledger::domain::time::DAY_MS;
use subledger::store::Error;
use subledger::store::query::{Kinds, Reader, columns};
use subledger::store::today::Outside;
use subledger::tui::lookup;

use crate::queries::generated::{Dice, Ledger, UserRow, empty, ledger, now, query, reader, review};
use crate::queries::naive;

const TERMS: &[&str] = &[
    "provider:zotlo",
    "provider:klustr,conscent",
    "account:weekly",
    "app:app*",
    "app:\"app 2\"",
    "type:cancel",
    "type:payment,signed_in",
    "type:subscription",
    "type:sign-up",
    "type:SubscriberUpdate/cancel,unknown",
    "plan:gold*",
    "plan:SILVER",
    "plan:weekly_",
    "currency:try,jpy",
    "amount:>=10",
    "amount:<0",
    "amount:0.5..20.25",
    "amount:0",
    "seq:>30",
    "seq:10..20,40",
    "since:7d",
    "at:yesterday",
    "at:2026-10-01..2026-10-20",
    "until:2026-10-15T10:00",
    "received:28d",
    "received:2026-10-20",
    "user:u3",
    "user:u1,alias-2",
    "id:sub-1",
    "id:100000",
    "email:reader3@EXAMPLE.com",
    "email:example",
    "email:*1@*",
    "phone:555-000",
    "name:yilmaz",
    "name:ISI*",
    "name:jörg*ss",
    "plan:*ı*",
    "name:\"%_\"",
    "is:test",
    "is:new",
    "is:late",
    "is:refund,payment",
    "gold",
    "u1",
    "READER",
    "işik",
    "isik",
    "gross",
    "\"AYSE yilm\"",
    "５５５0002",
    "5550002",
    "sub-2",
    "alias",
    "\"nobody at all\"",
];

fn random_text(dice: &mut Dice, depth: usize) -> String {
    let terms = 1 + dice.below(3);
    let parts: Vec<String> = (0..terms)
        .map(|_| {
            let part = if depth < 2 && dice.one_in(4) {
                format!(
                    "({} OR {})",
                    random_text(dice, depth + 1),
                    random_text(dice, depth + 1)
                )
            } else {
                dice.pick(TERMS).to_owned()
            };
            if dice.one_in(4) {
                format!("-{part}")
            } else {
                part
            }
        })
        .collect();
    parts.join(" ")
}

fn ids(rows: &[Row]) -> Vec<i64> {
    rows.iter().map(|row| row.key.id).collect()
}

fn all(reader: &Reader, list: List, query: &Query) -> Vec<Row> {
    reader
        .page(list, query, &Cursor::First, 100_000)
        .unwrap()
        .rows
}

#[test]
fn a_filter_finds_what_a_plain_loop_finds() {
    let mut matched = 0;
    for seed in 0..6 {
        let ledger = ledger(seed, 160);
        let reader = reader(&ledger);
        let last = Some(review(&ledger));
        let mut dice = Dice::new(seed + 1_000);
        let single = TERMS.iter().map(|term| (*term).to_owned());
        let negated = TERMS.iter().map(|term| format!("-{term}"));
        let random: Vec<String> = (0..150).map(|_| random_text(&mut dice, 0)).collect();
        for text in single.chain(negated).chain(random) {
            let query = query(
                List::Events,
                &text,
                if dice.one_in(8) { None } else { last },
            );
            let wanted = naive::events(&ledger, &query);
            let found = all(&reader, List::Events, &query);
            assert_eq!(ids(&found), wanted, "seed {seed}: {text}");
            let count = reader.count(List::Events, &query, 1_000_000).unwrap();
            assert_eq!(
                count,
                Count::Exact(wanted.len() as u64),
                "seed {seed}: {text}"
            );
            matched += wanted.len();
        }
    }
    assert!(
        matched > 10_000,
        "the queries found next to nothing: {matched}"
    );
}

/// Walks `list` in windows of `limit`, forward and then back, in both orders, and compares with one long page.
fn walk(reader: &Reader, list: List, query: &Query, limit: usize) {
    let whole = all(reader, list, query);
    let mut sorted = whole.clone();
    sorted.sort_by(|a, b| b.key.cmp(&a.key));
    assert_eq!(whole, sorted, "{list} {query}");
    walk_in(Order::Newest, reader, list, query, limit, &whole);
    sorted.reverse();
    walk_in(Order::Oldest, reader, list, query, limit, &sorted);
}

fn walk_in(order: Order, reader: &Reader, list: List, query: &Query, limit: usize, whole: &[Row]) {
    let mut forward = Vec::new();
    let mut cursor = Cursor::First;
    loop {
        let page = reader.page_in(list, query, order, &cursor, limit).unwrap();
        assert_eq!(page.more_before, !forward.is_empty(), "{list} {query}");
        forward.extend(page.rows.clone());
        match page.rows.last().filter(|_| page.more_after) {
            Some(lowest) => cursor = Cursor::After(lowest.key.clone()),
            None => break,
        }
    }
    assert_eq!(forward, whole, "{list} {query} forward");
    let mut back: Vec<Row> = Vec::new();
    let mut cursor = Cursor::Last;
    loop {
        let page = reader.page_in(list, query, order, &cursor, limit).unwrap();
        assert_eq!(page.more_after, !back.is_empty(), "{list} {query}");
        back.splice(0..0, page.rows.clone());
        match page.rows.first().filter(|_| page.more_before) {
            Some(first) => cursor = Cursor::Before(first.key.clone()),
            None => break,
        }
    }
    assert_eq!(back, whole, "{list} {query} back");
}

#[test]
fn windows_walked_either_way_are_the_whole_list_with_ties() {
    let ledger = ledger(7, 200);
    let reader = reader(&ledger);
    let last = Some(review(&ledger));
    for limit in [1, 7, 50] {
        for text in [
            "",
            "provider:zotlo",
            "type:payment,cancel",
            "u1",
            "user:u3",
            "-is:test since:20d",
            "is:new",
        ] {
            walk(
                &reader,
                List::Events,
                &query(List::Events, text, last),
                limit,
            );
        }
        for text in [
            "",
            "provider:zotlo,klustr",
            "is:rejected",
            "is:duplicate",
            "outcome:rejected,quarantined",
            "-is:stored",
            "is:new",
        ] {
            walk(
                &reader,
                List::Deliveries,
                &query(List::Deliveries, text, last),
                limit,
            );
        }
        walk(&reader, List::Users, &Query::default(), limit);
        walk(&reader, List::Payments, &Query::default(), limit);
    }
}

#[test]
fn a_jump_starts_at_the_time_or_the_row_that_was_named() {
    let ledger = ledger(3, 120);
    let reader = reader(&ledger);
    let whole = all(&reader, List::Events, &Query::default());
    let middle = &whole[whole.len() / 2].key;
    let page = reader
        .page(
            List::Events,
            &Query::default(),
            &Cursor::From(middle.clone()),
            5,
        )
        .unwrap();
    assert_eq!(page.rows[..], whole[whole.len() / 2..][..5]);
    assert!(page.more_before && page.more_after);
    let at = Cursor::At(middle.sort.clone());
    let page = reader
        .page(List::Events, &Query::default(), &at, 5)
        .unwrap();
    let first = whole
        .iter()
        .position(|row| row.key.sort <= middle.sort)
        .unwrap();
    assert_eq!(page.rows[..], whole[first..][..5]);
    let before_all = Cursor::At("1990".to_owned());
    let page = reader
        .page(List::Events, &Query::default(), &before_all, 5)
        .unwrap();
    assert!(page.rows.is_empty() && page.more_before && !page.more_after);
}

#[test]
fn a_list_turned_round_starts_at_the_time_or_the_row_too() {
    let ledger = ledger(3, 120);
    let reader = reader(&ledger);
    for list in [List::Events, List::Deliveries, List::Users] {
        let mut whole = all(&reader, list, &Query::default());
        whole.reverse();
        let half = whole.len() / 2;
        let page = |cursor: &Cursor| {
            let found = reader.light_page_in(list, &Query::default(), Order::Oldest, cursor, 5);
            let found = found.unwrap();
            let keys: Vec<RowKey> = found.rows.iter().map(|row| row.key.clone()).collect();
            (keys, found.more_before, found.more_after)
        };
        let keys = |from: usize| -> Vec<RowKey> {
            let rows = whole[from..].iter().take(5);
            rows.map(|row| row.key.clone()).collect()
        };
        let middle = &whole[half].key;
        let shown = page(&Cursor::From(middle.clone()));
        assert_eq!(shown, (keys(half), true, true), "{list}");
        let first = whole.iter().position(|row| row.key.sort >= middle.sort);
        let shown = page(&Cursor::At(middle.sort.clone()));
        assert_eq!(shown, (keys(first.unwrap()), true, true), "{list}");
        let shown = page(&Cursor::From(whole[0].key.clone()));
        assert_eq!(shown, (keys(0), false, true), "{list}");
        let shown = page(&Cursor::At("2999".to_owned()));
        assert_eq!(shown, (Vec::new(), true, false), "{list}");
    }
}

#[test]
fn deliveries_are_stored_and_rejected_newest_first() {
    let ledger = ledger(5, 100);
    let reader = reader(&ledger);
    let mut wanted: Vec<RowKey> = ledger
        .deliveries
        .iter()
        .map(|row| RowKey {
            sort: row.received_at.clone(),
            id: row.seq,
        })
        .chain(ledger.rejected.iter().map(|row| RowKey {
            sort: row.received_at.clone(),
            id: -row.id,
        }))
        .collect();
    wanted.sort_by(|a, b| b.cmp(a));
    let rows = all(&reader, List::Deliveries, &Query::default());
    let keys: Vec<RowKey> = rows.iter().map(|row| row.key.clone()).collect();
    assert_eq!(keys, wanted);
    let light = reader
        .light_page(List::Deliveries, &Query::default(), &Cursor::First, 3)
        .unwrap();
    let body = columns(List::Deliveries)
        .iter()
        .position(|column| column.name == "body")
        .unwrap();
    assert!(light.rows.iter().all(|row| row.cells[body] == Cell::Null));
    assert!(rows[..3].iter().all(|row| row.cells[body] != Cell::Null));
}

#[test]
fn deliveries_are_filtered_by_what_became_of_them() {
    let ledger = ledger(5, 100);
    let reader = reader(&ledger);
    for (text, count) in [
        (
            "is:rejected reason:signature",
            ledger
                .rejected
                .iter()
                .filter(|row| row.reason == "wrong signature")
                .count(),
        ),
        (
            "is:quarantined provider:zotlo",
            ledger
                .deliveries
                .iter()
                .filter(|row| row.outcome == "quarantined" && row.provider == "zotlo")
                .count(),
        ),
        (
            "provider:klustr",
            ledger
                .deliveries
                .iter()
                .filter(|row| row.provider == "klustr")
                .count()
                + ledger
                    .rejected
                    .iter()
                    .filter(|row| row.provider == "klustr")
                    .count(),
        ),
        (
            "-outcome:stored",
            ledger
                .deliveries
                .iter()
                .filter(|row| row.outcome != "stored")
                .count()
                + ledger.rejected.len(),
        ),
        (
            "origin:import",
            ledger.deliveries.iter().filter(|row| row.import).count(),
        ),
    ] {
        let found = reader
            .count(
                List::Deliveries,
                &query(List::Deliveries, text, None),
                10_000,
            )
            .unwrap();
        assert_eq!(found, Count::Exact(count as u64), "{text}");
    }
}

#[test]
fn every_key_and_word_of_every_list_runs() {
    let ledger = ledger(2, 60);
    let reader = reader(&ledger);
    for list in List::ALL.iter().copied() {
        let words = subledger::domain::query::Is::of(list).map(|is| format!("is:{is}"));
        for text in Key::of(list)
            .map(|key| sample(list, key))
            .chain(words)
            .chain(["word".into()])
        {
            for text in [
                text.clone(),
                format!("-{text}"),
                format!("({text} OR seq_or_word)"),
            ] {
                let query = query(list, &text, Some(review(&ledger)));
                let rows = all(&reader, list, &query);
                let counted = reader.count(list, &query, 1_000_000).unwrap();
                assert_eq!(counted, Count::Exact(rows.len() as u64), "{list} {text}");
            }
        }
    }
}

fn sample(list: List, key: Key) -> String {
    match key {
        Key::Is => "is:new,test".to_owned(),
        Key::Type => "type:cancel,sign-up".to_owned(),
        Key::Phone => "phone:555".to_owned(),
        Key::Currency => "currency:eur".to_owned(),
        Key::Seq | Key::Amount | Key::Price => format!("{key}:>=1.5"),
        Key::At
        | Key::Day
        | Key::Received
        | Key::Registered
        | Key::Started
        | Key::Ended
        | Key::Ends => format!("{key}:2026-10-20..2026-11-01"),
        Key::Since | Key::Until => format!("{key}:2026-10-20"),
        _ => match key.words(list) {
            Some(words) => format!("{key}:{}", words.join(",")),
            None => format!("{key}:a*"),
        },
    }
}

#[test]
fn every_page_without_filter_or_with_one_uses_an_index() {
    let ledger = ledger(4, 60);
    let reader = reader(&ledger);
    for list in List::ALL.iter().copied() {
        let words = subledger::domain::query::Is::of(list).map(|is| format!("is:{is}"));
        let keys = Key::of(list).map(|key| sample(list, key));
        for text in
            keys.chain(words)
                .chain([String::new(), "word".to_owned(), "type:payment".to_owned()])
        {
            if text.starts_with("type:") && !Key::Type.lists().contains(&list) {
                continue;
            }
            let query = query(list, &text, Some(review(&ledger)));
            for cursor in [
                Cursor::First,
                Cursor::Last,
                Cursor::After(RowKey {
                    sort: "2026-10-20".into(),
                    id: 5,
                }),
                Cursor::Before(RowKey {
                    sort: "2026-10-20".into(),
                    id: 5,
                }),
                Cursor::At("2026-10-20".into()),
                Cursor::Since("2026-10-20".into()),
                Cursor::To(RowKey {
                    sort: "2026-10-20".into(),
                    id: 5,
                }),
            ] {
                for step in reader.explain(list, &query, &cursor, 50).unwrap() {
                    let step = step.as_str();
                    let reads_table = [
                        "events",
                        "users",
                        "subscriptions",
                        "cancellations",
                        "consents",
                        "consent_changes",
                        "payments",
                        "deliveries",
                        "rejected",
                        "r",
                        "m",
                        "w",
                        "u",
                        "t",
                    ]
                    .iter()
                    .any(|name| step == format!("SCAN {name}"));
                    // Where no plan holds a word, hardly a subscription does.
                    let by_word = list == List::Subscriptions && text == "word";
                    assert!(
                        !reads_table || by_word,
                        "{list} {text:?} {cursor:?}: {step}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_order_of_the_list_comes_from_the_index() {
    let ledger = ledger(4, 60);
    let reader = reader(&ledger);
    for (list, text, index) in [
        (List::Events, "", "events_at"),
        (List::Events, "provider:zotlo", "events_provider"),
        (List::Events, "type:payment", "events_type"),
        (List::Events, "account:main", "events_provider"),
        (List::Events, "-account:main", "events_at"),
        (List::Events, "since:7d", "events_at"),
        (List::Deliveries, "", "deliveries_received"),
        (List::Deliveries, "provider:zotlo", "deliveries_provider"),
        (List::Deliveries, "is:quarantined", "deliveries_odd"),
        (List::Users, "", "users_seen"),
        (List::Subscriptions, "", "subscriptions_changed"),
        (List::Cancellations, "", "cancellations_at"),
        (List::Consents, "", "consents_since"),
        (List::Changes, "", "consent_changes_at"),
        (List::Payments, "", "payments_at"),
    ] {
        let query = query(list, text, None);
        for cursor in [
            Cursor::First,
            Cursor::Before(RowKey {
                sort: "2026-10-20".into(),
                id: 5,
            }),
        ] {
            let steps = reader.explain(list, &query, &cursor, 50).unwrap();
            assert!(
                steps.iter().any(|step| step.contains(index)),
                "{list} {text}: {steps:#?}"
            );
            // The few rows of several branches may be sorted, never what an index walk gives.
            for pair in steps.windows(2) {
                let sorted = pair[0].contains(index) && pair[1].contains("TEMP B-TREE");
                assert!(!sorted, "{list} {text}: {steps:#?}");
            }
        }
    }
}

#[test]
fn counts_say_how_sure_they_are() {
    let ledger = ledger(9, 200);
    let reader = reader(&ledger);
    let text = |text: &str| query(List::Events, text, None);
    let total = ledger.events.len() as u64;
    let real = ledger.events.iter().filter(|event| !event.test).count() as u64;
    assert_eq!(
        reader.count(List::Events, &text(""), total).unwrap(),
        Count::Exact(total)
    );
    assert_eq!(
        reader.count(List::Events, &text(""), 10).unwrap(),
        Count::About(real)
    );
    let zotlo = ledger
        .events
        .iter()
        .filter(|event| event.provider == "zotlo" && !event.test)
        .count() as u64;
    assert_eq!(
        reader
            .count(
                List::Events,
                &text("provider:zotlo -is:test since:2026-09-01"),
                10
            )
            .unwrap(),
        Count::About(zotlo)
    );
    assert_eq!(
        reader
            .count(List::Events, &text("-provider:zotlo"), 10)
            .unwrap(),
        Count::MoreThan(10)
    );
}

#[test]
fn choices_leave_their_own_key_out_and_add_up() {
    let ledger = ledger(11, 200);
    let reader = reader(&ledger);
    let choices = |text: &str, key: &str| -> BTreeMap<String, Count> {
        reader
            .choices(List::Events, &query(List::Events, text, None), key)
            .unwrap()
            .into_iter()
            .map(|choice| (choice.value, choice.count))
            .collect()
    };
    let counted = |meets: &dyn Fn(&crate::queries::generated::EventRow) -> bool| {
        ledger.events.iter().filter(|event| meets(event)).count() as u64
    };
    let found = choices("provider:zotlo gold OR plan:gold*", "provider");
    assert!(
        found
            .keys()
            .all(|provider| ["conscent", "klustr", "zotlo"].contains(&provider.as_str()))
    );
    let found = choices("provider:zotlo is:test", "provider");
    for provider in ["conscent", "klustr", "zotlo"] {
        assert_eq!(
            found[provider],
            Count::Exact(counted(&|event| event.provider == provider && event.test)),
            "{provider}"
        );
    }
    let found = choices("provider:zotlo", "type");
    assert_eq!(
        found["user.registered"],
        Count::About(counted(&|event| event.provider == "zotlo"
            && event.kind == "user.registered"
            && !event.test))
    );
    assert_eq!(
        found["sign-up"],
        Count::Exact(counted(
            &|event| event.provider == "zotlo" && event.provider_type == "sign-up"
        ))
    );
    let found = choices("is:test", "day");
    let all: u64 = found
        .values()
        .map(|count| {
            if let Count::Exact(n) = count {
                *n
            } else {
                panic!()
            }
        })
        .sum();
    assert_eq!(all, counted(&|event| event.test));
    assert!(
        reader
            .choices(List::Users, &Query::default(), "type")
            .unwrap()
            .is_empty()
    );
    assert!(
        !reader
            .choices(List::Users, &Query::default(), "day")
            .unwrap()
            .is_empty()
    );
}

#[test]
fn columns_begin_with_those_of_the_contract() {
    for (list, first) in [
        (
            List::Events,
            "id seq n provider account app type provider_type at day occurred_at occurred_at_source received_at user_id email phone name subscription_id plan amount_minor currency exponent amount amount_text test data",
        ),
        (
            List::Users,
            "id provider account user_id email phone name country city client_user_id registered_at first_seen_at last_seen_at sign_ins identity_proof active_subscriptions consents_given test",
        ),
        (
            List::Subscriptions,
            "id provider account app subscription_id gateway_id user_id email plan status state auto_renew has_access access_until started_at renewed_at cancelled_at cancel_reason price_minor currency exponent price interval_unit interval_count interval_months test",
        ),
        (
            List::Cancellations,
            "id seq provider account subscription_id gateway_id user_id email name plan cancelled_at day reason code actor matched access_until price_minor currency exponent price reactivated_at test",
        ),
        (
            List::Consents,
            "provider account app user_id kind purpose state since method version evidence seq",
        ),
        (
            List::Changes,
            "id seq at day provider account app user_id email kind purpose before_state after_state method version",
        ),
        (
            List::Payments,
            "id seq provider account payment_id transaction_id user_id subscription_id at day kind amount_minor net_minor currency exponent amount amount_text status plan flag test",
        ),
        (
            List::Deliveries,
            "seq received_at provider account hook outcome duplicate_of reason dedupe_policy dedupe_key confidence credential identity_proof remote_ip headers body body_bytes origin test salt commitment link erased_at",
        ),
    ] {
        let names: Vec<&str> = columns(list).iter().map(|column| column.name).collect();
        let first: Vec<&str> = first.split(' ').collect();
        assert_eq!(names[..first.len()], first[..], "{list}");
        let narrow: u16 = columns(list)
            .iter()
            .filter(|column| (1..=2).contains(&column.priority))
            .map(|column| column.width_min + 1)
            .sum();
        assert!(narrow <= 80, "{list} {narrow}");
    }
}

#[test]
fn one_delivery_shows_headers_body_and_its_events() {
    let ledger = ledger(6, 80);
    let reader = reader(&ledger);
    let seq = ledger.events[ledger.events.len() / 2].seq;
    let detail = reader.delivery(seq).unwrap().unwrap();
    assert_eq!(detail.headers, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(detail.body.as_deref(), Some(&b"{}"[..]));
    let wanted: Vec<i64> = ledger
        .events
        .iter()
        .filter(|event| event.seq == seq)
        .map(|event| event.id)
        .collect();
    assert_eq!(ids(&detail.events), wanted);
    assert!(reader.delivery(1_000_000).unwrap().is_none());
    let rejected = reader.rejected(3).unwrap().unwrap();
    assert_eq!(
        (rejected.method.as_str(), rejected.row.key.id),
        ("POST", -3)
    );
    assert!(reader.rejected(1_000_000).unwrap().is_none());
}

#[test]
fn a_readers_page_holds_their_rows_and_nobody_elses() {
    let ledger = ledger(8, 150);
    let reader = reader(&ledger);
    for user in &ledger.users {
        let detail = reader.user(user.id).unwrap().unwrap();
        let mut wanted: Vec<i64> = ledger
            .events
            .iter()
            .filter(|event| {
                event.provider == user.provider
                    && event.account == user.account
                    && event.user_id.as_ref() == Some(&user.user_id)
            })
            .map(|event| event.id)
            .collect();
        let all = reader.timeline(List::Users, &detail.row, Kinds::All, 1_000);
        let mut found = ids(&all.unwrap().events);
        wanted.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, wanted, "{}", user.user_id);
        assert_eq!(detail.aliases.len(), usize::from(user.alias.is_some()));
    }
}

#[test]
fn what_is_no_ledger_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    assert!(matches!(Reader::open(&path), Err(Error::Absent(_))));
    assert!(!path.exists());
    std::fs::write(&path, "hello").unwrap();
    assert!(matches!(Reader::open(&path), Err(Error::Foreign(_))));
    assert!(matches!(Reader::open(dir.path()), Err(Error::Foreign(_))));
    let (_dir, path, conn) = empty();
    assert!(Reader::open(&path).is_ok());
    conn.pragma_update(None, "user_version", 99).unwrap();
    conn.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))
        .unwrap();
    drop(conn);
    assert!(matches!(
        Reader::open(&path),
        Err(Error::Newer { found: 99, .. })
    ));
}

#[test]
fn status_and_connections_tell_what_is_stored() {
    let ledger: Ledger = ledger(12, 100);
    let reader = reader(&ledger);
    let status = reader.status(now()).unwrap();
    assert_eq!(status.last_seq, 100);
    assert!(status.connected && !status.demo && status.last_review.is_none());
    let connections = reader.connections(now(), &[], &Outside::default()).unwrap();
    let month: i64 = connections.iter().map(|connection| connection.month).sum();
    let from = now().plus_ms(-28 * DAY_MS).to_string();
    let recent = ledger
        .deliveries
        .iter()
        .filter(|row| row.received_at >= from)
        .count();
    let tests: i64 = connections.iter().map(|connection| connection.tests).sum();
    let month = usize::try_from(month).unwrap();
    let with_tests = month + usize::try_from(tests).unwrap();
    assert!(month <= recent && recent <= with_tests, "tests aside");
    let all: i64 = connections
        .iter()
        .map(|connection| connection.deliveries + connection.tests)
        .sum();
    assert_eq!(all, 100);
    let zotlo = connections
        .iter()
        .find(|connection| connection.provider == "zotlo")
        .unwrap();
    let refused: i64 = zotlo.refusals.iter().map(|refusal| refusal.requests).sum();
    assert_eq!(
        refused,
        i64::try_from(
            ledger
                .rejected
                .iter()
                .filter(|row| row.provider == "zotlo")
                .count()
        )
        .unwrap()
    );
}

#[test]
fn the_vocabulary_is_what_is_stored() {
    let ledger = ledger(13, 120);
    let stored = reader(&ledger).vocabulary().unwrap();
    assert_eq!(stored.providers, ["conscent", "klustr", "zotlo"]);
    assert_eq!(stored.accounts, ["main", "weekly"]);
    assert!(
        stored
            .provider_types
            .contains(&"SubscriberUpdate/cancel".to_owned())
    );
    assert!(stored.plans.contains(&"gold plan".to_owned()));
}

#[test]
fn a_readers_page_is_the_same_where_it_is_read_by_several_at_once() {
    let ledger = ledger(8, 400);
    let pages = || -> Vec<_> {
        let reader = reader(&ledger);
        let page = |user: &UserRow| {
            let row = reader.user(user.id).unwrap().unwrap().row;
            let found = lookup::complete(&reader, List::Users, &row, Kinds::All, None);
            let page = found.unwrap().unwrap().reader.unwrap();
            let did: Vec<_> = page
                .timeline
                .events
                .into_iter()
                .map(|event| event.key.sort)
                .collect();
            (did, page.in_all, page.user.consents.len(), page.money.len())
        };
        ledger.users.iter().map(page).collect()
    };
    let small = pages();
    assert!(small.iter().any(|(did, ..)| did.len() > 16), "{small:?}");
    // As if each event had come with a webhook of its own among millions.
    let conn = Connection::open(&ledger.path).unwrap();
    conn.execute_batch(
        "pragma foreign_keys = off; update events set id = -100000 * id; \
         update events set id = -id; insert into deliveries (seq, received_at, provider, account, \
         hook, outcome, credential, remote_ip, origin, test, provider_type, reader_version, \
         body_bytes, commitment, link, headers) select 2000000, received_at, provider, account, \
         hook, outcome, credential, remote_ip, origin, test, provider_type, reader_version, \
         body_bytes, commitment, link, headers from deliveries where seq = 1",
    )
    .unwrap();
    assert_eq!(pages(), small);
}
