//! Which filters are read from an index that holds what they ask for: what DESIGN.md section 13 promises as fast at any
//! size is entered by its own column, and what is not yet stands here by name. An account of few rows, as each of this
//! ledger, is entered by its rows, which are then sorted; where it has many the list itself finds them at once.

use subledger::domain::page::{Cursor, List};
use subledger::domain::query::Key;
use subledger::store::query::Reader;

use crate::queries::generated::{ledger, query, reader};

/// Provider, account, type and time: the keys that are to cost the same in a ledger of any size.
const PROMISED: [Key; 12] = [
    Key::Provider,
    Key::Account,
    Key::Type,
    Key::At,
    Key::Day,
    Key::Since,
    Key::Until,
    Key::Received,
    Key::Registered,
    Key::Started,
    Key::Ended,
    Key::Ends,
];

/// Of those, what is found by going through the list in its own order, however long that takes.
const WALKED: &[(Key, List)] = &[
    (Key::Type, List::Deliveries),
    (Key::Received, List::Consents),
    (Key::Ends, List::Subscriptions),
    (Key::Ends, List::Cancellations),
];

fn text(key: Key) -> String {
    match key {
        Key::Provider => "provider:zotlo".to_owned(),
        Key::Account => "account:main".to_owned(),
        Key::Type => "type:cancel".to_owned(),
        Key::Since | Key::Until => format!("{key}:2026-10-20"),
        _ => format!("{key}:2026-10-20..2026-10-21"),
    }
}

/// Whether every part of the page enters an index, or a stretch of the table, by what the filter asks for rather than
/// going through the list. The ring of rejected ones, of 10,000 rows at most, may be gone through.
fn is_entered(reader: &Reader, list: List, text: &str) -> bool {
    let query = query(list, text, None);
    [Cursor::First, Cursor::Last].iter().all(|cursor| {
        let steps = reader.explain(list, &query, cursor, 50).unwrap();
        let walked = |step: &String| step.starts_with("SCAN r") && !step.contains("rejected_at");
        assert!(steps.iter().any(|step| step.contains(" r ")), "{steps:#?}");
        !steps.iter().any(walked)
    })
}

#[test]
fn what_is_promised_as_fast_enters_an_index_or_is_written_down() {
    let ledger = ledger(4, 60);
    let reader = reader(&ledger);
    for list in List::ALL.iter().copied() {
        assert!(
            !is_entered(&reader, list, ""),
            "{list}: the check sees no walk"
        );
        for key in PROMISED
            .into_iter()
            .filter(|key| key.lists().contains(&list))
        {
            let text = text(key);
            let is_written_down = WALKED.contains(&(key, list));
            assert_eq!(
                is_entered(&reader, list, &text),
                !is_written_down,
                "{text} on {list}: {:#?}",
                reader
                    .explain(list, &query(list, &text, None), &Cursor::First, 50)
                    .unwrap()
            );
        }
    }
    for (key, list) in WALKED {
        assert!(key.lists().contains(list), "{key} is no key of {list}");
    }
}
