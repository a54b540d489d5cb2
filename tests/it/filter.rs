//! Every key, operator and word of the grammar on every list, against a plain loop over the rows of a made-up year.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::Value;
use rust_decimal::Decimal;
use subledger::demo::Demo;
use subledger::domain::page::{Cursor, List};
use subledger::domain::query::{
    Bounds, Expr, Is, Key, Query, Span, Term, Test, Words, caseless, folded, literal_text,
};
use subledger::domain::time::{Clock, DAY_MS, Timestamp, Zone};
use subledger::providers::door;
use subledger::store::query::Reader;
use subledger::store::writer::{Options, Store};
use subledger::store::{Mode, connect};

use crate::queries::generated::Dice;

const ZONE: &str = "Europe/Istanbul";

fn until() -> Timestamp {
    Timestamp::parse("2026-11-04T09:00:00Z").unwrap()
}

/// A year that went through the writer, with some requests turned away.
fn year(path: &Path, seed: u64, events: u64) {
    let store = Store::open(
        path,
        Options {
            read: Arc::new(door::read),
            zone: ZONE.parse().unwrap(),
            clock: Clock::Fixed(until()),
            listen: String::new(),
        },
    )
    .unwrap();
    let writer = store.writer();
    for webhook in Demo::new(seed, events, until()).filter(|posted| posted.rejected().is_none()) {
        let delivery = webhook.into_delivery();
        let reading = door::read(&delivery);
        while writer.health().queued > 500 {
            std::thread::yield_now();
        }
        let taken = writer.append(delivery, reading, Box::new(|ack| assert!(ack.is_ok())));
        assert!(taken.is_ok());
    }
    store.close().unwrap();
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(
        "insert into rejected (received_at, provider, hook, path, reason, remote_ip, method, headers, body_bytes) values
           ('2026-11-02T10:00:00.000Z', 'zotlo', 'events', '/hooks/zotlo/events', 'no credential', '192.0.2.7', 'POST', '[]', 2),
           ('2026-11-03T10:00:00.000Z', 'acme', '', '/hooks/acme/x', 'unknown provider', '192.0.2.8', 'POST', '[]', 0);",
    )
    .unwrap();
}

type Row = HashMap<String, Value>;

/// Every row of every relation, as it is stored.
struct World {
    rows: BTreeMap<List, Vec<Row>>,
    rejected: Vec<Row>,
    users: HashMap<[String; 3], usize>,
    aliases: HashMap<[String; 3], Vec<String>>,
    deliveries: HashMap<i64, usize>,
    events: HashMap<i64, Vec<usize>>,
}

fn relation(list: List) -> &'static str {
    match list {
        List::Changes => "consent_changes",
        other => other.as_str(),
    }
}

fn text<'r>(row: &'r Row, name: &str) -> Option<&'r str> {
    match row.get(name) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn int(row: &Row, name: &str) -> Option<i64> {
    match row.get(name) {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    }
}

fn rows(conn: &Connection, relation: &str) -> Vec<Row> {
    let mut statement = conn.prepare(&format!("select * from {relation}")).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let rows = statement.query_map([], |row| {
        let cells = names.iter().enumerate();
        cells
            .map(|(at, name)| Ok((name.clone(), row.get(at)?)))
            .collect()
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn person(row: &Row) -> [String; 3] {
    ["provider", "account", "user_id"].map(|name| text(row, name).unwrap_or_default().to_owned())
}

impl World {
    fn read(path: &Path) -> Self {
        let conn = connect(path, Mode::Read).unwrap();
        let all: BTreeMap<List, Vec<Row>> = List::ALL
            .iter()
            .map(|list| (*list, rows(&conn, relation(*list))))
            .collect();
        let mut aliases: HashMap<_, Vec<String>> = HashMap::new();
        for row in rows(&conn, "user_aliases") {
            let alias = text(&row, "alias").unwrap().to_owned();
            aliases.entry(person(&row)).or_default().push(alias);
        }
        let by = |list: List| all[&list].iter().enumerate();
        let mut events: HashMap<i64, Vec<usize>> = HashMap::new();
        for (at, row) in by(List::Events) {
            events.entry(int(row, "seq").unwrap()).or_default().push(at);
        }
        Self {
            users: by(List::Users).map(|(at, row)| (person(row), at)).collect(),
            deliveries: by(List::Deliveries)
                .map(|(at, row)| (int(row, "seq").unwrap(), at))
                .collect(),
            events,
            aliases,
            rejected: rows(&conn, "rejected"),
            rows: all,
        }
    }

    /// The ids of the rows of `list` that meet `query`, as lists show them.
    fn ids(&self, list: List, query: &Query) -> Vec<i64> {
        let id = if list == List::Deliveries {
            "seq"
        } else {
            "id"
        };
        let meets = |row: &&Row| {
            Judge {
                world: self,
                list,
                row,
                is_rejected: false,
            }
            .meets(query.root())
        };
        let mut ids: Vec<i64> = self.rows[&list]
            .iter()
            .filter(meets)
            .map(|row| int(row, id).unwrap())
            .collect();
        if list == List::Deliveries {
            let meets = |row: &&Row| {
                Judge {
                    world: self,
                    list,
                    row,
                    is_rejected: true,
                }
                .meets(query.root())
            };
            ids.extend(
                self.rejected
                    .iter()
                    .filter(meets)
                    .map(|row| -int(row, "id").unwrap()),
            );
        }
        ids.sort_unstable();
        ids
    }
}

fn judge<'w>(world: &'w World, list: List, row: &'w Row) -> Judge<'w> {
    Judge {
        world,
        list,
        row,
        is_rejected: false,
    }
}

struct Judge<'w> {
    world: &'w World,
    list: List,
    row: &'w Row,
    is_rejected: bool,
}

impl<'w> Judge<'w> {
    fn text(&self, name: &str) -> Option<&'w str> {
        text(self.row, name)
    }

    fn meets(&self, expr: &Expr) -> bool {
        match expr {
            Expr::All(parts) => parts.iter().all(|part| self.meets(part)),
            Expr::Any(parts) => parts.iter().any(|part| self.meets(part)),
            Expr::Not(inner) => !self.meets(inner),
            Expr::Term(Term::Word(word)) => self.word(word),
            Expr::Term(Term::Field { key, values }) => {
                values.iter().any(|value| self.value(*key, &value.test))
            }
        }
    }

    fn user(&self) -> Option<&'w Row> {
        if self.list == List::Users {
            return Some(self.row);
        }
        let at = self.world.users.get(&person(self.row))?;
        Some(&self.world.rows[&List::Users][*at])
    }

    fn delivery(&self) -> Option<&'w Row> {
        let at = self.world.deliveries.get(&self.seq()?)?;
        Some(&self.world.rows[&List::Deliveries][*at])
    }

    fn events(&self) -> impl Iterator<Item = &'w Row> {
        let events = self.seq().and_then(|seq| self.world.events.get(&seq));
        let rows = &self.world.rows[&List::Events];
        events.into_iter().flatten().map(move |at| &rows[*at])
    }

    fn seq(&self) -> Option<i64> {
        match self.list {
            List::Users | List::Subscriptions => Some(int(self.row, "id")? / 10_000),
            _ => int(self.row, "seq"),
        }
    }

    fn sort(&self) -> Option<&'w str> {
        self.text(match self.list {
            List::Events | List::Changes | List::Payments => "at",
            List::Users => "last_seen_at",
            List::Subscriptions => "changed_at",
            List::Cancellations => "cancelled_at",
            List::Consents => "since",
            List::Deliveries => "received_at",
        })
    }

    /// The text that a key compares.
    fn column(&self, key: Key) -> Option<&'w str> {
        let user = |name: &str| self.user().and_then(|user| text(user, name));
        match (key, self.list) {
            (Key::Email, _) => user("email"),
            (Key::Name, _) => user("name"),
            (Key::Country, _) => user("country"),
            (Key::State | Key::Consent, List::Changes) => self.text("after_state"),
            (Key::State | Key::Consent, _) => self.text("state"),
            (Key::Was, _) => self.text("before_state"),
            (Key::Reason, List::Subscriptions) => self.text("cancel_reason"),
            (Key::Proof, _) => self.text("identity_proof"),
            (Key::Outcome, _) if self.is_rejected => Some("rejected"),
            (key, _) => self.text(key.as_str()),
        }
    }

    fn value(&self, key: Key, test: &Test) -> bool {
        match (key, test) {
            (Key::Status, Test::Equal(word)) if word == "cancelled" => self.is(Is::Ending),
            (Key::Email, Test::Equal(address)) => self
                .column(Key::Email)
                .is_some_and(|email| email.eq_ignore_ascii_case(address)),
            (Key::Phone, Test::Holds(digits)) => self
                .user()
                .and_then(|user| text(user, "phone"))
                .is_some_and(|phone| dialled(phone).contains(digits)),
            (Key::User, Test::Equal(id)) => {
                self.list != List::Deliveries
                    && (self.text("user_id") == Some(id) || self.aliases().contains(id))
            }
            (Key::Id, Test::Equal(id)) => self.id(id),
            (Key::Purpose | Key::Consent, test) if self.list == List::Users => {
                self.world.rows[&List::Consents].iter().any(|consent| {
                    let counts = matches!(text(consent, "kind"), Some("consent" | "evidence"));
                    person(consent) == person(self.row)
                        && match key {
                            Key::Purpose => fits(test, text(consent, "purpose")),
                            _ => counts && fits(test, text(consent, "state")),
                        }
                })
            }
            (
                Key::Type,
                Test::Types {
                    types,
                    provider_types,
                },
            ) => {
                let own = self.text("provider_type");
                let named = provider_types.iter().any(|name| own == Some(name));
                let is_one = |row: &Row| {
                    types
                        .iter()
                        .any(|kind| text(row, "type") == Some(kind.as_str()))
                };
                named
                    || match self.list {
                        List::Deliveries => self.events().any(is_one),
                        _ => is_one(self.row),
                    }
            }
            (Key::Seq, Test::Number(bounds)) => {
                int(self.row, "seq").is_some_and(|seq| within(*bounds, seq.into()))
            }
            (Key::Amount, Test::Number(bounds)) => self.money("amount_minor", *bounds),
            (Key::Price, Test::Number(bounds)) => self.money("price_minor", *bounds),
            (_, Test::Time(span)) => self.time(key).is_some_and(|at| during(*span, &at)),
            (_, Test::Is(word)) => self.is(*word),
            (_, Test::After { is, seq, at }) => self.after(*is, *seq, *at),
            (Key::Email | Key::Name, Test::Like(pattern)) => {
                let value = self.column(key).map(folded);
                fits(&Test::Like(folded(pattern)), value.as_deref())
            }
            (key, test) => fits(test, self.column(key)),
        }
    }

    fn aliases(&self) -> Vec<String> {
        self.world
            .aliases
            .get(&person(self.row))
            .cloned()
            .unwrap_or_default()
    }

    fn id(&self, id: &str) -> bool {
        let columns: &[&str] = match self.list {
            List::Events => &["user_id", "subscription_id"],
            List::Users => &["user_id", "client_user_id"],
            List::Subscriptions => &["subscription_id", "gateway_id", "purchase_id", "user_id"],
            List::Cancellations => &["subscription_id", "gateway_id", "user_id"],
            List::Consents => &["user_id", "evidence"],
            List::Changes => &["user_id"],
            List::Payments => &["payment_id", "transaction_id", "subscription_id", "user_id"],
            List::Deliveries if self.is_rejected => &[],
            List::Deliveries => &["dedupe_key"],
        };
        let number = if self.list == List::Deliveries && !self.is_rejected {
            "seq"
        } else {
            "id"
        };
        columns.iter().any(|column| self.text(column) == Some(id))
            || id
                .parse()
                .is_ok_and(|id: i64| int(self.row, number) == Some(id))
    }

    fn money(&self, column: &str, bounds: Bounds) -> bool {
        let Some((minor, digits)) = int(self.row, column).zip(int(self.row, "exponent")) else {
            return false;
        };
        within(bounds, Decimal::new(minor, u32::try_from(digits).unwrap()))
    }

    fn time(&self, key: Key) -> Option<String> {
        let found = match key {
            Key::Received => match self.list {
                List::Events | List::Deliveries => self.text("received_at"),
                _ => self.delivery().and_then(|row| text(row, "received_at")),
            },
            Key::Registered => self.text("registered_at"),
            Key::Started => self.text("started_at"),
            Key::Ends => self.text("access_until"),
            Key::Ended => return self.ended(),
            _ => self.sort(),
        };
        found.map(str::to_owned)
    }

    fn ended(&self) -> Option<String> {
        let stated = self.text("stated_status") == Some("expired");
        match (self.text("status")?, self.text("access_until")) {
            ("revoked", _) => self
                .text("cancelled_at")
                .or(self.text("changed_at"))
                .map(str::to_owned),
            ("expired", None) => self.text("changed_at").map(str::to_owned),
            ("expired", _) if stated => self.text("changed_at").map(str::to_owned),
            ("expired", Some(access)) if int(self.row, "auto_renew") == Some(0) => {
                Some(access.to_owned())
            }
            ("expired", Some(access)) => {
                Some(Timestamp::parse(access)?.plus_ms(DAY_MS).to_string())
            }
            _ => None,
        }
    }

    fn after(&self, is: Is, seq: i64, at: Option<Timestamp>) -> bool {
        let at = at.map(|at| at.to_string());
        if self.is_rejected {
            return at.is_none_or(|at| self.text("received_at") > Some(&at));
        }
        let delivery = match self.list {
            List::Deliveries => Some(self.row),
            _ => self.delivery(),
        };
        let import = delivery.is_some_and(|row| text(row, "origin") == Some("import"));
        let late = || at.is_some_and(|at| self.sort() < Some(&at));
        self.seq().is_some_and(|own| own > seq) && !import && (is == Is::New || late())
    }

    fn is(&self, word: Is) -> bool {
        let one = |name: &str| int(self.row, name) == Some(1);
        let has = |name: &str| !matches!(self.row.get(name), None | Some(Value::Null));
        let status = self.text("status").unwrap_or_default();
        let outcome = self.text("outcome").unwrap_or_default();
        match word {
            Is::Test => one("test"),
            Is::Stored | Is::Duplicate | Is::Quarantined => outcome == word.as_str(),
            Is::Rejected => self.is_rejected && !has("admitted_seq"),
            Is::Differing => {
                outcome == "duplicate" && self.text("reason") == Some("same id, other content")
            }
            Is::Erased => has("erased_at"),
            Is::Active if self.list == List::Users => {
                int(self.row, "active_subscriptions") > Some(0)
            }
            Is::Active => matches!(status, "trialing" | "active" | "grace") && one("has_access"),
            Is::Trial => status == "trialing",
            Is::Cancelled => has("cancelled_at"),
            Is::Ending => has("cancelled_at") && one("has_access"),
            Is::Renewing => {
                matches!(status, "active" | "grace")
                    && one("has_access")
                    && !has("cancelled_at")
                    && int(self.row, "auto_renew") != Some(0)
            }
            Is::Priced => {
                ["price_minor", "currency", "exponent", "interval_months"]
                    .into_iter()
                    .all(has)
                    && !matches!(self.row["interval_months"], Value::Real(months) if months <= 0.0)
            }
            Is::Fixed => {
                one("has_access") && int(self.row, "auto_renew") == Some(0) && !has("cancelled_at")
            }
            Is::Refunded => status == "revoked",
            other => self.is_of_one_list(other),
        }
    }

    fn is_of_one_list(&self, word: Is) -> bool {
        let one = |name: &str| int(self.row, name) == Some(1);
        let has = |name: &str| !matches!(self.row.get(name), None | Some(Value::Null));
        match word {
            Is::Asked => self.text("actor") != Some("payment"),
            Is::Involuntary if self.list == List::Cancellations => {
                self.text("actor") == Some("payment")
            }
            Is::Involuntary => self.world.rows[&List::Cancellations].iter().any(|row| {
                let same = |name| text(row, name) == self.text(name);
                same("provider")
                    && same("account")
                    && same("subscription_id")
                    && text(row, "reactivated_at").is_none()
                    && text(row, "actor") == Some("payment")
            }),
            Is::Reactivated => has("reactivated_at"),
            Is::Refund | Is::Payment if self.list == List::Payments => {
                self.text("kind") == Some(word.as_str())
            }
            Is::Refund => self.text("type") == Some("payment.refunded"),
            Is::Payment => self.text("type") == Some("payment.succeeded"),
            Is::Flagged => has("flag"),
            Is::Unannounced => {
                self.text("kind") == Some("payment")
                    && one("for_subscription")
                    && !self.world.rows[&List::Subscriptions].iter().any(|row| {
                        let same =
                            |name| text(row, name) == self.text(name) && text(row, name).is_some();
                        same("provider") && same("account") && same("subscription_id")
                    })
            }
            Is::Unrevoked => {
                let data: serde_json::Value =
                    serde_json::from_str(self.text("data").unwrap_or("{}")).unwrap();
                self.text("type") == Some("payment.refunded")
                    && data["payment"]["cancels_access"] == serde_json::Value::Bool(true)
                    && !self.world.rows[&List::Subscriptions].iter().any(|row| {
                        person(row) == person(self.row)
                            && text(row, "stated_status") == Some("revoked")
                    })
            }
            Is::Registered => has("registered_at"),
            Is::Paying => self
                .user()
                .is_some_and(|user| int(user, "active_subscriptions") > Some(0)),
            other => panic!("{other} is a position, or has no oracle"),
        }
    }

    fn word(&self, word: &str) -> bool {
        let needle = folded(word);
        let holds =
            |value: Option<&str>| value.is_some_and(|value| folded(value).contains(&needle));
        let any = |row: &Row, names: &[&str]| names.iter().any(|name| holds(text(row, name)));
        if self.is_rejected {
            return any(self.row, &["hook", "reason", "path", "remote_ip"]);
        }
        let own: &[&str] = match self.list {
            List::Events | List::Users => &[],
            List::Subscriptions => &["plan", "subscription_id", "gateway_id", "purchase_id"],
            List::Cancellations => &["plan", "subscription_id", "gateway_id"],
            List::Payments => &["plan", "subscription_id", "payment_id", "transaction_id"],
            List::Consents | List::Changes => &["purpose"],
            List::Deliveries => &["hook", "reason", "provider_type", "dedupe_key"],
        };
        let of_person = |user: &Row| {
            let aliases = self.world.aliases.get(&person(user));
            any(user, &["email", "name", "user_id", "client_user_id"])
                || aliases
                    .into_iter()
                    .flatten()
                    .any(|alias| holds(Some(alias)))
                || is_number(word)
                    && text(user, "phone")
                        .is_some_and(|phone| dialled(phone).contains(&dialled(word)))
        };
        let users = &self.world.rows[&List::Users];
        match self.list {
            List::Events => {
                let plan = holds(self.text("plan")) && self.world.knows_plan(self.text("plan"));
                plan || self.text("subscription_id") == Some(word)
                    || self.user().is_some_and(of_person)
            }
            List::Deliveries => {
                any(self.row, own)
                    || self.events().any(|event| {
                        let user = self.world.users.get(&person(event));
                        user.is_some_and(|at| of_person(&users[*at]))
                    })
            }
            _ => any(self.row, own) || self.user().is_some_and(of_person),
        }
    }
}

impl World {
    /// Plans are those of subscriptions and payments.
    fn knows_plan(&self, plan: Option<&str>) -> bool {
        [List::Subscriptions, List::Payments]
            .iter()
            .any(|list| self.rows[list].iter().any(|row| text(row, "plan") == plan))
    }
}

fn dialled(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

fn is_number(word: &str) -> bool {
    dialled(word).len() >= 3
        && word
            .chars()
            .all(|c| c.is_ascii_digit() || "+-()/. ".contains(c))
}

fn fits(test: &Test, value: Option<&str>) -> bool {
    let Some(value) = value else { return false };
    match test {
        Test::Equal(wanted) => value == wanted,
        Test::Holds(part) => folded(value).contains(&folded(part)),
        Test::Like(pattern) => {
            // The samples below have no escaped star.
            let pattern = caseless(pattern);
            let parts: Vec<&str> = pattern.split('*').collect();
            let value = caseless(value);
            match parts[..] {
                [whole] => value == whole,
                [first, ref between @ .., last] => {
                    let Some(mut rest) = value.strip_prefix(first) else {
                        return false;
                    };
                    for part in between {
                        match rest.split_once(part) {
                            Some((_, after)) => rest = after,
                            None => return false,
                        }
                    }
                    rest.ends_with(last)
                }
                [] => false,
            }
        }
        other => panic!("{other:?}"),
    }
}

fn within(bounds: Bounds, number: Decimal) -> bool {
    let low = |(low, itself)| number > low || itself && number == low;
    let high = |(high, itself)| number < high || itself && number == high;
    bounds.low.is_none_or(low) && bounds.high.is_none_or(high)
}

fn during(span: Span, at: &str) -> bool {
    let at = Timestamp::parse(at).unwrap();
    span.from.is_none_or(|from| at >= from) && span.to.is_none_or(|to| at < to)
}

/// Of a key of numbers or times: every operator.
fn ordered_terms(key: Key) -> Vec<String> {
    const SEQS: &str = "=40 >40 >=40 <300 <=300 40..300 40.. ..300 7,9";
    const MONEY: &str = "=129 >50 >=49.9 <0 <=99.99 10..200.5 -50.. ..0";
    const EDGES: &str = "7d mon 2026-10-25 2026-09 last-review >=2026-10-01";
    const TIMES: &str = "yesterday 28d 2026-10-01..2026-10-20 ..2026-08-01 >2026-09-01T10:00 \
                         <=2026-10-25 2026-10 last-review..";
    let tests = match key {
        Key::Seq => SEQS,
        Key::Amount | Key::Price => MONEY,
        Key::Since | Key::Until => EDGES,
        _ => TIMES,
    };
    let tests = tests.split_whitespace();
    tests.map(|test| format!("{key}:{test}")).collect()
}

/// Terms with every key of `list`, of values that its rows have, with every operator that the key takes.
fn terms(world: &World, list: List, key: Key, dice: &mut Dice) -> Vec<String> {
    let rows = &world.rows[&list];
    // A row that has something there, if there is one.
    let from = dice.below(rows.len());
    let has = |row: &&Row| {
        judge(world, list, row)
            .column(key)
            .is_some_and(|value| !value.trim().is_empty())
    };
    let row = rows[from..]
        .iter()
        .chain(rows)
        .find(has)
        .unwrap_or(&rows[from]);
    let quoted = literal_text;
    if let Some(words) = key.words(list) {
        let one = words[dice.below(words.len())];
        return vec![format!("{key}:{one}"), format!("{key}:{}", words.join(","))];
    }
    match key {
        Key::Is => Is::of(list).map(|word| format!("is:{word}")).collect(),
        Key::Seq
        | Key::Amount
        | Key::Price
        | Key::Since
        | Key::Until
        | Key::At
        | Key::Day
        | Key::Received
        | Key::Registered
        | Key::Started
        | Key::Ended
        | Key::Ends => ordered_terms(key),
        Key::Phone => vec!["phone:555".to_owned(), "phone:+90".to_owned()],
        Key::User => {
            let ids = [text(row, "user_id").unwrap_or("nobody").to_owned()];
            let aliases = world.aliases.values().flatten().take(1).cloned();
            ids.into_iter()
                .chain(aliases)
                .map(|id| format!("user:{}", quoted(&id)))
                .collect()
        }
        Key::Id => {
            let own = text(row, "subscription_id")
                .or(text(row, "user_id"))
                .unwrap_or("nothing");
            let number = int(
                row,
                if list == List::Deliveries {
                    "seq"
                } else {
                    "id"
                },
            )
            .unwrap();
            vec![format!("id:{}", quoted(own)), format!("id:{number}")]
        }
        Key::Type => [
            "cancel",
            "payment",
            "subscription.renewed,user",
            "signed_in",
        ]
        .map(|word| format!("type:{word}"))
        .to_vec(),
        _ => text_terms(key, judge(world, list, row).column(key)),
    }
}

/// Of a key of text: the whole value, part of it, and a pattern.
fn text_terms(key: Key, value: Option<&str>) -> Vec<String> {
    let value = value.filter(|value| !value.trim().is_empty());
    let value = value.unwrap_or("xyz");
    let whole = literal_text(value);
    if matches!(
        key,
        Key::Provider | Key::Account | Key::Hook | Key::Currency
    ) {
        return vec![format!("{key}:{whole}")];
    }
    let begin: String = value.chars().take(2).filter(|c| *c != '\\').collect();
    let part = literal_text(&format!("{begin}x"));
    let pattern = begin.replace(|c: char| !c.is_alphanumeric(), "*");
    vec![
        format!("{key}:{whole}"),
        format!("{key}:{whole},{part}"),
        format!("{key}:{pattern}*"),
    ]
}

struct Bench {
    _folder: tempfile::TempDir,
    world: World,
    reader: Reader,
    review: (i64, Timestamp),
}

fn bench(seed: u64) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    year(&path, seed, 250);
    let last =
        i64::try_from(rows(&connect(&path, Mode::Read).unwrap(), "deliveries").len()).unwrap();
    Bench {
        world: World::read(&path),
        reader: Reader::open(&path).unwrap(),
        review: (last * 9 / 10, until().plus_ms(-20 * DAY_MS)),
        _folder: folder,
    }
}

impl Bench {
    fn parse(&self, list: List, text: &str) -> Query {
        let stored = self.reader.vocabulary().unwrap();
        let words = Words {
            now: until(),
            zone: ZONE.parse::<Zone>().unwrap(),
            list,
            last_review: Some(self.review),
            stored: &stored,
        };
        Query::parse(text, &words).unwrap_or_else(|error| panic!("{list} {text}: {error}"))
    }

    /// How many rows were found, by the store and by the plain loop alike.
    fn check(&self, list: List, text: &str) -> usize {
        let query = self.parse(list, text);
        assert_eq!(self.parse(list, &query.to_string()), query, "{list} {text}");
        let page = self
            .reader
            .page(list, &query, &Cursor::First, 100_000)
            .unwrap();
        let mut found: Vec<i64> = page.rows.iter().map(|row| row.key.id).collect();
        found.sort_unstable();
        let wanted = self.world.ids(list, &query);
        assert_eq!(found, wanted, "{list} {text}");
        found.len()
    }
}

#[test]
fn every_key_of_every_list_finds_what_a_plain_loop_finds() {
    let bench = bench(11);
    let mut dice = Dice::new(7);
    for list in List::ALL.iter().copied() {
        let mut all = Vec::new();
        let mut met = 0;
        for key in Key::of(list) {
            let found = terms(&bench.world, list, key, &mut dice);
            for term in &found {
                met += usize::from(bench.check(list, term) > 0);
                bench.check(list, &format!("-{term}"));
            }
            all.extend(found);
        }
        for word in [
            "a",
            "555",
            "gold",
            "sub",
            "EXAMPLE",
            "ş",
            "gunes",
            "MULLER",
            "events",
            "credential",
            "\"no such thing\"",
        ] {
            bench.check(list, word);
            bench.check(list, &format!("-{word}"));
        }
        for _ in 0..24 {
            let mut pick = || all[dice.below(all.len())].clone();
            let text = match (pick(), pick(), pick()) {
                (a, b, c) if a.len() % 2 == 0 => format!("{a} ({b} OR -{c})"),
                (a, b, c) => format!("-({a} {b}) OR {c}"),
            };
            bench.check(list, &text);
        }
        assert!(
            met * 3 > all.len(),
            "{list}: {met} of {} terms met a row",
            all.len()
        );
    }
}
