//! What the screen asks of the store, without the screen.

use std::path::Path;
use std::time::Instant;

use subledger::domain::page::{Cursor, List};
use subledger::domain::query::{Query, Words};
use subledger::domain::time::{DAY_MS, Zone};
use subledger::store::query::Reader;

use crate::ledger::until;
use crate::sheet::{Sheet, Times};

/// Rows of one screen at 120x40, twice over: so many are asked for at a time.
const SCREEN: usize = 72;
/// How often each question is asked.
const ROUNDS: usize = 40;

fn asked(mut ask: impl FnMut(usize)) -> Times {
    Times::of((0..ROUNDS).map(|round| {
        let begun = Instant::now();
        ask(round);
        begun.elapsed()
    }))
}

/// Asks each question and notes how long it took.
pub(crate) fn measure(path: &Path, sheet: &mut Sheet) {
    let opened = asked(|_| drop(Reader::open(path).expect("a ledger")));
    sheet.times("store: open the file", &opened);
    let reader = Reader::open(path).expect("a ledger");
    let everything = Query::default();
    let first = |list, query: &Query| {
        asked(|_| {
            reader
                .light_page(list, query, &Cursor::First, SCREEN)
                .expect("rows");
        })
    };
    for list in List::ALL {
        let times = first(*list, &everything);
        sheet.times(&format!("store: first page of {list}"), &times);
    }
    let mut at = Cursor::First;
    let next = asked(|_| {
        let page = reader
            .light_page(List::Events, &everything, &at, SCREEN)
            .expect("rows");
        let last = page.rows.last();
        at = last.map_or(Cursor::First, |row| Cursor::After(row.key.clone()));
    });
    sheet.times("store: next page of events", &next);
    let jump = asked(|round| {
        let back = i64::try_from(round * 9).expect("a small number") * DAY_MS;
        let cursor = Cursor::At(until().plus_ms(-back).to_string());
        reader
            .light_page(List::Events, &everything, &cursor, SCREEN)
            .expect("rows");
    });
    sheet.times("store: events at a time", &jump);
    let stored = reader.vocabulary().expect("words");
    for (list, text) in [
        (List::Events, "provider:zotlo"),
        (List::Events, "type:cancel"),
        (List::Events, "provider:zotlo type:payment since:30d"),
        (List::Events, "account:weekly"),
        (List::Events, "demir"),
        (List::Events, "-provider:zotlo type:refund"),
        (List::Users, "ayse"),
        (List::Users, "xyzzy"),
        (List::Subscriptions, "ayse"),
        (List::Subscriptions, "gold"),
        (List::Subscriptions, "xyzzy"),
    ] {
        let words = Words {
            now: until(),
            zone: Zone::UTC,
            list,
            last_review: None,
            stored: &stored,
        };
        let query = Query::parse(text, &words).expect("a query");
        let times = first(list, &query);
        sheet.times(&format!("store: {list} `{text}`"), &times);
        let counted = asked(|_| {
            reader.count(list, &query, 10_000).expect("a count");
        });
        sheet.times(&format!("store: count of {list} `{text}`"), &counted);
    }
    let choices = asked(|_| {
        let choices = reader.choices(List::Events, &everything, "type");
        choices.expect("counts");
    });
    sheet.times("store: choices of type in events", &choices);
}
