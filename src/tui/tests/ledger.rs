//! A ledger in memory that answers like the worker.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::event::{ConsentKind, ConsentState};
use crate::domain::page::{
    Cell, Choice, Column, Count, Cursor, List, Order, Page, Row, RowKey, Shape,
};
use crate::domain::query::{self, Query};
use crate::domain::remedy::remedy;
use crate::domain::time::{DAY_MS, MINUTE_MS, Timestamp};
use crate::store::query::{
    Alias, Around, Difference, Kinds, Money, Past, Standing, UserDetail, columns,
};
use crate::store::task::TaskReport;
use crate::store::today;
use crate::tui::app::message::{Effect, From, Load, Msg};
use crate::tui::curl::Curl;
use crate::tui::facts::{Arrived, Connection, Door, Fact, Status};
use crate::tui::lookup::ReaderPage;
use crate::tui::record::Raw;
use crate::tui::search::Rank;
use crate::tui::tests::reviews::{morning, shown};
use crate::tui::theme::Meaning;
use crate::tui::window::Newer;
use crate::tui::{LinkCard, Missing};

pub(super) fn now() -> Timestamp {
    Timestamp::parse("2026-11-20T06:14:00Z").unwrap()
}

const NAMES: [&str; 6] = [
    "Ada Lovelace",
    "Çiğdem Öz",
    "山田 太郎",
    "مريم",
    "Zoë 👩‍👩‍👧 Ng",
    "\u{1b}[31mEve\u{202e}",
];
const TYPES: [&str; 5] = [
    "payment.succeeded",
    "subscription.cancelled",
    "user.signed_in",
    "consent.withdrawn",
    "subscription.renewed",
];
pub(super) const PROVIDERS: [&str; 4] = ["conscent", "klustr", "expressconsent", "zotlo"];

/// The value of one column of the `i`th row.
fn value(list: List, column: &Column, i: i64, at: Timestamp) -> Cell {
    let pick =
        |words: &[&str]| Cell::Text(words[usize::try_from(i).unwrap() % words.len()].to_owned());
    match column.name {
        "provider" => pick(&PROVIDERS),
        "account" => pick(&["main", "main", "weekly"]),
        "type" => pick(&TYPES),
        "name" | "who" => pick(&NAMES),
        "email" => Cell::Text(format!("reader{i}@example.org")),
        "user_id" => Cell::Text(format!("user-{}", i % 7)),
        "plan" => pick(&["Gold monthly", "Silver yearly"]),
        "purpose" => pick(&["newsletter", "analytics", "offers of partners"]),
        "reason" if list == List::Cancellations => pick(&[
            "too expensive",
            "no time to read",
            "başka bir gazete buldum",
        ]),
        "currency" => pick(&["TRY", "EUR", "JPY"]),
        "exponent" => Cell::Int(if i % 3 == 2 { 0 } else { 2 }),
        "outcome" => pick(&["stored", "duplicate", "quarantined", "rejected"]),
        "status" => pick(&["active", "grace", "expired"]),
        "state" if list == List::Subscriptions => {
            pick(&["renews 14 Dec", "cancelled, ends 14 Dec"])
        }
        "state" | "after_state" => pick(&["given", "withdrawn"]),
        "test" => Cell::Int(i64::from(i % 5 == 4)),
        "seq" if is_rejected(list, i) => Cell::Null,
        "seq" | "id" => Cell::Int(i),
        "erased_at" => Cell::Null,
        "salt" => Cell::Blob(vec![7; 16]),
        _ => match column.shape {
            Shape::Time => Cell::Text(at.to_string()),
            Shape::Day => Cell::Text("2026-11-20".to_owned()),
            Shape::Number | Shape::Minor => Cell::Int(i % 1000 * 100),
            Shape::Flag => Cell::Int(i % 2),
            Shape::Real => Cell::Real(1.5),
            Shape::Text | Shape::Word | Shape::Json | Shape::Body => Cell::Null,
        },
    }
}

/// The `i`th row is one of a webhook that was turned away.
fn is_rejected(list: List, i: i64) -> bool {
    list == List::Deliveries && i % 4 == 3
}

pub(super) fn row(list: List, i: i64) -> Row {
    let at = now().plus_ms(-MINUTE_MS * (100_000 - i));
    Row {
        key: RowKey {
            sort: at.to_string(),
            id: if is_rejected(list, i) { -i } else { i },
        },
        cells: columns(list)
            .iter()
            .map(|column| value(list, column, i, at))
            .collect(),
    }
}

/// A ledger in memory: every list with the same number of rows, a filter that says "nothing" matching none, one that says
/// "newest" the first three.
pub(super) struct Fake {
    pub(super) rows: BTreeMap<List, Vec<Row>>,
    pub(super) status: Status,
    pub(super) today: today::Today,
    /// Of every webhook.
    pub(super) body: Vec<u8>,
}

impl Fake {
    pub(super) fn new(rows: i64) -> Self {
        let list = |list: &List| {
            let newest_first = (1..=rows).rev().map(|i| row(*list, 100_000 - rows + i));
            (*list, newest_first.collect())
        };
        Self {
            body: br#"{"event":"x","amount":1.50,"list":[1,2]}"#.to_vec(),
            rows: List::ALL.iter().map(list).collect(),
            status: Status {
                last_backup: None,
                arrived: if rows > 0 {
                    Arrived::Real
                } else {
                    Arrived::Nothing
                },
                last_received_at: (rows > 0).then(|| now().plus_ms(-MINUTE_MS)),
                behind: 0,
                lost: 0,
                demo: false,
                running: true,
                listens: Some(("127.0.0.1:8484".to_owned(), 7)),
            },
            today: morning(),
        }
    }

    /// So many more rows at the head of every list.
    pub(super) fn grow(&mut self, rows: i64) {
        for (list, all) in &mut self.rows {
            let newest = all.first().map_or(0, |row| row.key.id.abs());
            for i in 1..=rows {
                all.insert(0, row(*list, newest + i));
            }
        }
    }

    fn page(&self, list: List, query: &Query, cursor: &Cursor, limit: usize) -> Page {
        if query.to_string().contains("nothing") {
            return Page::default();
        }
        let mut all = &self.rows[&list][..];
        if query.to_string().contains("newest") {
            all = &all[..all.len().min(3)];
        }
        let after = |key: &RowKey| {
            all.iter()
                .position(|row| row.key < *key)
                .unwrap_or(all.len())
        };
        let from = |key: &RowKey| {
            all.iter()
                .position(|row| row.key <= *key)
                .unwrap_or(all.len())
        };
        let (from, to) = match cursor {
            Cursor::First => (0, limit),
            Cursor::Last => (all.len().saturating_sub(limit), all.len()),
            Cursor::After(key) => (after(key), after(key) + limit),
            Cursor::From(key) => (from(key), from(key) + limit),
            Cursor::Before(key) => (from(key).saturating_sub(limit), from(key)),
            Cursor::At(at) => {
                let from = all
                    .iter()
                    .position(|row| row.key.sort <= *at)
                    .unwrap_or(all.len());
                (from, from + limit)
            }
            Cursor::To(key) => (after(key).saturating_sub(limit), after(key)),
            Cursor::Since(at) => {
                let older = |row: &Row| row.key.sort < *at;
                let to = all.iter().position(older).unwrap_or(all.len());
                (to.saturating_sub(limit), to)
            }
        };
        let to = to.min(all.len());
        let from = from.min(to);
        Page {
            rows: all[from..to].to_vec(),
            more_before: from > 0 && !all.is_empty(),
            more_after: to < all.len(),
        }
    }

    fn load(&self, load: Load) -> Msg {
        let ordered = |cursor: &Cursor, limit| match load.order {
            Order::Newest => self.page(load.list, &load.query, cursor, limit),
            Order::Oldest => self
                .page(load.list, &load.query, &cursor.mirrored(), limit)
                .turned(),
        };
        let page = |cursor: &Cursor| ordered(cursor, load.limit);
        let answer = match &load.from {
            From::Cursor(cursor) => page(cursor),
            From::Id(id) => {
                let found = self.rows[&load.list].iter().find(|row| row.key.id == *id);
                found.map_or_else(Page::default, |row| page(&Cursor::From(row.key.clone())))
            }
        };
        let newer = load.head.map_or_else(Newer::default, |head| {
            let newer = ordered(&Cursor::Before(head), 99);
            Newer {
                rows: newer.rows.len(),
                more: newer.more_before,
            }
        });
        Msg::Page {
            ticket: load.ticket,
            page: Ok(answer),
            newer,
        }
    }

    fn past(&self, of: &str) -> Past {
        Past {
            of: of.to_owned(),
            events: self.rows[&List::Events]
                .iter()
                .step_by(9)
                .take(8)
                .cloned()
                .collect(),
            more: true,
        }
    }

    fn reader(&self, row: &Row, kinds: Kinds) -> ReaderPage {
        let some = |list: List| self.rows[&list].iter().take(3).cloned().collect();
        let mut past = self.past("reader");
        for (place, event) in (0..).zip(&mut past.events) {
            let at = now().plus_ms(-DAY_MS * place * place);
            event.cells[8] = Cell::Text(at.to_string());
        }
        ReaderPage {
            user: UserDetail {
                row: row.clone(),
                aliases: vec![Alias {
                    alias: "other\u{1b}[1m".to_owned(),
                    source: "body.id".to_owned(),
                    seq: 3,
                }],
                also_seen_as: some(List::Users),
                subscriptions: some(List::Subscriptions),
                consents: some(List::Consents),
                changes: some(List::Changes),
                payments: Vec::new(),
            },
            money: vec![Money {
                currency: "TRY".to_owned(),
                exponent: 2,
                paid_minor: 178_800,
                payments: 12,
                refunded_minor: 14_900,
                refunds: 1,
                monthly_minor: 14_900,
            }],
            timeline: past,
            in_all: Some(Count::Exact(31_204)),
            kinds,
        }
    }

    fn raw(&self, list: List, row: &Row, kinds: Kinds) -> Raw {
        Raw {
            hint: (list == List::Deliveries).then(|| "wrong signature \u{1b}[2J".to_owned()),
            notes: vec![("asked for".to_owned(), "POST /hooks/\u{202e}".to_owned())],
            headers: vec![("svix-id".to_owned(), "msg_1\u{7}".to_owned())],
            body: Some(Arc::from(&self.body[..])),
            events: self.rows[&List::Events].iter().take(2).cloned().collect(),
            past: self.past("subscription sub_1\u{202e}"),
            around: matches!(list, List::Consents | List::Changes).then(around),
            reader: (list == List::Users).then(|| Box::new(self.reader(row, kinds))),
            ..Raw::default()
        }
    }

    /// The next row of an id that ends in the digits of the last part, round the list.
    fn find(
        &self,
        list: List,
        query: &Query,
        from: &RowKey,
        newer: bool,
    ) -> Option<(RowKey, bool)> {
        let sought = query.parts().last()?.to_string();
        let fits = |row: &&Row| row.key.id.to_string().ends_with(&sought);
        let rows = self.rows[&list].iter().filter(fits);
        let keys: Vec<&RowKey> = rows.map(|row| &row.key).collect();
        let ahead = if newer {
            keys.iter().rev().find(|key| **key > from)
        } else {
            keys.iter().find(|key| **key < from)
        };
        let around = if newer { keys.last() } else { keys.first() };
        ahead
            .map(|key| ((*key).clone(), false))
            .or_else(|| around.map(|key| ((*key).clone(), true)))
    }

    fn rank(&self, list: List, query: &Query, key: RowKey) -> Rank {
        let sought = query.parts().last().unwrap().to_string();
        let fits = |row: &&Row| row.key.id.to_string().ends_with(&sought);
        let fitting: Vec<_> = self.rows[&list].iter().filter(fits).collect();
        Rank {
            list,
            before: fitting.iter().position(|row| row.key == key),
            all: Count::Exact(fitting.len() as u64),
            key,
        }
    }

    pub(super) fn answer(&self, effect: Effect) -> Vec<Msg> {
        match effect {
            Effect::Load(load) => vec![self.load(load)],
            Effect::Count { ticket, .. } => vec![Msg::Count {
                ticket,
                count: Count::MoreThan(10_000),
            }],
            Effect::Raw { list, row, kinds } => vec![Msg::Raw {
                raw: Some(Box::new(self.raw(list, &row, kinds))),
                of: (list, row.key),
            }],
            Effect::Choices { ticket, .. } => ["provider", "type"]
                .map(|key| Msg::Choices {
                    ticket,
                    key,
                    choices: choices(key),
                })
                .to_vec(),
            Effect::Today(period) => {
                let shown = shown(&self.today, &period);
                vec![Msg::Today(period, shown)]
            }
            Effect::Connections => vec![Msg::Connections(connections())],
            Effect::Status => vec![Msg::Status(self.status.clone())],
            Effect::Task(_) => vec![Msg::Done(Ok(TaskReport {
                summary: "reviewed".to_owned(),
                changed: 1,
                ..TaskReport::default()
            }))],
            Effect::Weigh { ticket, .. } => vec![Msg::Weighed {
                ticket,
                count: Count::Exact(23),
            }],
            Effect::Find {
                ticket,
                list,
                query,
                from,
                newer,
            } => vec![Msg::Found {
                ticket,
                found: self.find(list, &query, &from, newer),
            }],
            Effect::Rank {
                ticket,
                list,
                query,
                key,
                ..
            } => vec![Msg::Ranked {
                ticket,
                rank: self.rank(list, &query, key),
            }],
            Effect::Hiding { ticket, query, .. } => {
                let parts = query.parts().iter();
                let hides = |part: &query::Expr| part.to_string().contains("nothing");
                let mut hiding = parts.enumerate().filter(|(_, part)| hides(part));
                let first = hiding.next().map(|(at, _)| at);
                vec![Msg::Hiding {
                    ticket,
                    part: first.filter(|_| hiding.next().is_none()),
                }]
            }
            Effect::Export(_)
            | Effect::Copy(_)
            | Effect::Keep(_)
            | Effect::Suspend
            | Effect::Redraw
            | Effect::Leave(_) => Vec::new(),
        }
    }
}

fn around() -> Around {
    let standing = |state: ConsentState, version: &str, wording: &str, seq: i64| Standing {
        state,
        since: now().plus_ms(-DAY_MS * seq),
        method: Some("explicit".to_owned()),
        version: Some(version.to_owned()),
        evidence: None,
        wording: Some(wording.to_owned()),
        seq,
        version_seq: None,
    };
    let old = "I agree to receive the newsletter by e-mail.";
    let new = "I agree to receive offers of partners by e-mail.\u{1b}[2J";
    Around {
        kind: ConsentKind::Consent,
        app: "magazine".to_owned(),
        purposes: vec![
            Difference {
                purpose: "analytics".to_owned(),
                before: Some(standing(ConsentState::Given, "v1", old, 3)),
                after: Some(standing(ConsentState::Given, "v1", old, 3)),
            },
            Difference {
                purpose: "marketing\u{202e}".to_owned(),
                before: Some(standing(ConsentState::Given, "v1", old, 3)),
                after: Some(standing(ConsentState::Withdrawn, "v2", new, 1)),
            },
            Difference {
                purpose: "profiling".to_owned(),
                before: None,
                after: Some(standing(ConsentState::Refused, "v2", new, 1)),
            },
        ],
    }
}

pub(super) fn choices(key: &'static str) -> Vec<Choice> {
    let words: &[&str] = if key == "provider" {
        &PROVIDERS
    } else {
        &TYPES
    };
    let choice = |(i, value): (usize, &&str)| Choice {
        key,
        value: (*value).to_owned(),
        count: Count::Exact(1000 / (i as u64 + 1)),
    };
    words.iter().enumerate().map(choice).collect()
}

pub(super) fn connections() -> Vec<Connection> {
    let door = |query: &str| Door {
        list: List::Deliveries,
        query: query.to_owned(),
    };
    let reason = "secret link wrong";
    let zotlo = Connection {
        provider: "zotlo".to_owned(),
        account: "main".to_owned(),
        name: "Zotlo".to_owned(),
        state: ("last webhook 4 min ago on events".to_owned(), Meaning::Good),
        refused: Some("2 days ago on events: secret link wrong".to_owned()),
        hint: remedy(reason),
        old: Vec::new(),
        facts: vec![
            Fact {
                door: Some(door("provider:zotlo account:main")),
                ..Fact::new("last webhook", "4 min ago on events", Meaning::Good)
            },
            Fact {
                hint: remedy(reason),
                door: Some(door(
                    "is:rejected provider:zotlo reason:\"secret link wrong\"",
                )),
                count: Some(4),
                ..Fact::new(
                    "turned away",
                    "4 in 24 hours, last 2 days ago",
                    Meaning::Bad,
                )
            },
            Fact::new("proof in force", "secret link", Meaning::Plain),
        ],
    };
    let gone = Connection {
        provider: "klustr".to_owned(),
        account: "weekly".to_owned(),
        name: "Klustr weekly".to_owned(),
        state: ("quiet for 3 h".to_owned(), Meaning::Warning),
        refused: None,
        hint: None,
        ..zotlo.clone()
    };
    vec![zotlo, gone]
}

pub(super) fn links() -> Vec<LinkCard> {
    [
        ("zotlo", "Zotlo", "events", "Webhook URL"),
        ("klustr", "Klustr", "events", "Endpoint URL"),
    ]
    .map(|(provider, name, hook, title)| {
        let url = format!("http://127.0.0.1:8484/hooks/{provider}/{hook}/k_0123456789abcdef");
        LinkCard {
            provider: provider.to_owned(),
            account: "main".to_owned(),
            hook: hook.to_owned(),
            name: name.to_owned(),
            title: title.to_owned(),
            curl: Curl {
                url: url.clone(),
                body: r#"{"a":1}"#.to_owned(),
            },
            url,
            is_local: true,
            add: vec![Missing {
                setting: format!("providers.{provider}.secret"),
                help: "Signing secret under Endpoints: proves each webhook".to_owned(),
            }],
            unguarded: false,
            several: Vec::new(),
            place: "Developer Tools > Webhooks",
        }
    })
    .to_vec()
}
