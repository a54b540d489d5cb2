//! Rows of `events`: what was read out of a delivery, as stored.
//!
//! Imports domain. Never folds.

use std::borrow::Cow;

use rusqlite::{Connection, params, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::event::{Event, EventType, Facts, OccurredSource, Subject};
use crate::domain::money::Money;
use crate::domain::time::{Timestamp, Zone};
use crate::store::Error;
use crate::store::project::Read;
use crate::store::project::order::{
    Cell, EVENTS_MAX, Place, Scope, kind, number, number_maybe, real, text, word, word_maybe,
};

/// An event that is about to be stored.
pub(super) struct Fresh<'a> {
    /// Where it stands in a fold.
    pub(super) place: Place,
    /// Whose it is.
    pub(super) scope: Scope,
    /// The calendar day of its time.
    pub(super) day: String,
    /// The reader, without NUL.
    pub(super) user_id: Option<String>,
    /// The subscription, without NUL.
    pub(super) subscription_id: Option<String>,
    /// The delivery and its reading.
    pub(super) read: &'a Read<'a>,
    /// What was read.
    pub(super) event: &'a Event,
}

impl Fresh<'_> {
    /// Whether its subject is a person, who gets a row in `users`.
    pub(super) const fn is_person(&self) -> bool {
        self.user_id.is_some() && !self.event.subject.anonymous
    }

    /// Whether it is of a test delivery.
    pub(super) const fn is_test(&self) -> bool {
        self.read.delivery.test
    }
}

/// What the columns of `events` do not hold of a subject, under the key `subject` of `data`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Person {
    /// Country, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) country: Option<String>,
    /// City, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) city: Option<String>,
    /// The publisher's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_user_id: Option<String>,
    /// Other ids and the fields they stood in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) aliases: Vec<(String, String)>,
    /// Not a person.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) anonymous: bool,
}

impl Person {
    fn of(subject: &Subject) -> Self {
        Self {
            country: subject.country.clone(),
            city: subject.city.clone(),
            client_user_id: subject.client_user_id.clone(),
            aliases: subject.aliases.clone(),
            anonymous: subject.anonymous,
        }
    }
}

/// The events of `batch`, ready to be stored and folded.
///
/// Fails with `Refused` if a delivery gives more events than there are ids for: a reader makes such a delivery
/// unreadable, so that this cannot be met with.
pub(super) fn prepare<'a>(zone: Zone, batch: &'a [Read<'a>]) -> Result<Vec<Fresh<'a>>, Error> {
    let mut fresh = Vec::with_capacity(batch.len());
    for read in batch {
        let delivery = read.delivery;
        for (n, event) in (0_i64..).zip(read.reading.events()) {
            if n >= EVENTS_MAX {
                return Err(Error::Refused(format!(
                    "delivery {} gives more than {EVENTS_MAX} events",
                    read.seq
                )));
            }
            let at = event.occurred.at.unwrap_or(delivery.received_at);
            fresh.push(Fresh {
                place: Place {
                    at,
                    rank: event.kind.rank(),
                    key: read.dedupe_key.unwrap_or_default().to_owned(),
                    n,
                    seq: read.seq,
                },
                scope: Scope {
                    provider: delivery.provider.as_str().to_owned(),
                    account: delivery.account.clone(),
                },
                day: at.day(zone),
                user_id: owned(event.subject.user_id.as_deref()),
                subscription_id: owned(event.subscription_id.as_deref()),
                read,
                event,
            });
        }
    }
    Ok(fresh)
}

fn owned(value: Option<&str>) -> Option<String> {
    value.map(|value| text(value).into_owned())
}

/// The columns, in the order of `row`.
macro_rules! columns {
    () => {
        "id, seq, n, provider, account, app, type, provider_type, at, day, occurred_at, occurred_at_source, received_at,
  user_id, users_id, email, phone, name, subscription_id, plan, amount_minor, currency, exponent, amount, amount_text,
  test, data"
    };
}

const INSERT: &str = concat!(
    "insert into events (",
    columns!(),
    ") values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
  ?24, ?25, ?26, ?27)"
);

/// The events of deliveries, by their ids from `?1` to before `?2`, as `row` has them.
pub(super) const ROWS: &str = concat!(
    "select ",
    columns!(),
    " from events where id >= ?1 and id < ?2 order by id"
);

/// The place of `users_id` in a row.
pub(super) const USERS_ID: usize = 14;

/// One event as stored; `users_id` is the row of its reader.
pub(super) fn row<'a>(fresh: &'a Fresh<'_>, users_id: Option<i64>) -> [Cell<'a>; 27] {
    let Fresh { event, read, .. } = fresh;
    let subject = &event.subject;
    let money = event.money.as_ref();
    let first = read.reading.events().first().map(|first| &first.subject);
    let at = fresh.place.at.to_string();
    let stated = event.occurred.at.is_some();
    [
        number(fresh.place.id()),
        number(fresh.place.seq),
        number(fresh.place.n),
        word(&fresh.scope.provider),
        word(&fresh.scope.account),
        word(text(&event.app)),
        word(event.kind.as_str()),
        word(text(&read.reading.label)),
        word(at.clone()),
        word(&fresh.day),
        word_maybe(stated.then_some(at)),
        word(source(event).as_str()),
        word(read.delivery.received_at.to_string()),
        word_maybe(fresh.user_id.as_deref()),
        number_maybe(users_id),
        word_maybe(subject.email.as_deref().map(text)),
        word_maybe(subject.phone.as_deref().map(text)),
        word_maybe(subject.name.as_deref().map(text)),
        word_maybe(fresh.subscription_id.as_deref()),
        word_maybe(event.plan.as_deref().map(text)),
        number_maybe(money.and_then(|money| money.minor)),
        word_maybe(money.and_then(currency)),
        number_maybe(money.and_then(|money| money.exponent)),
        real(money.and_then(Money::real)),
        word_maybe(money.map(|money| text(&money.text))),
        number(fresh.is_test()),
        word(data(event, fresh.place.n == 0 || first != Some(subject))),
    ]
}

/// Stores one event; `users_id` is the row of its reader, which stands already.
pub(super) fn insert(
    conn: &Connection,
    fresh: &Fresh<'_>,
    users_id: Option<i64>,
) -> Result<(), Error> {
    conn.prepare_cached(INSERT)?
        .execute(params_from_iter(row(fresh, users_id)))?;
    Ok(())
}

/// The currency as a column takes it: nothing where none was sent.
pub(super) fn currency(money: &Money) -> Option<Cow<'_, str>> {
    (!money.currency.is_empty()).then(|| text(&money.currency))
}

const fn source(event: &Event) -> OccurredSource {
    event.occurred.source
}

/// The object in `events.data`: our facts, the subject where it is new, then the provider's own keys. A provider's key
/// that would stand in the place of ours gets `body_` before it.
fn data(event: &Event, with_subject: bool) -> String {
    let mut out = String::from("{");
    if event.facts != Facts::None {
        let facts = encode(&event.facts);
        out.push_str(&facts[1..facts.len() - 1]);
    }
    if with_subject {
        let person = Person::of(&event.subject);
        if person != Person::default() {
            push(&mut out, "subject", &encode(&person));
        }
    }
    for (key, value) in &event.extra {
        let value = encode(value);
        if is_ours(event.kind, key) {
            push(&mut out, &format!("body_{key}"), &value);
        } else {
            push(&mut out, key, &value);
        }
    }
    out.push('}');
    if out.contains("\\u0000")
        && let Ok(value) = serde_json::from_str::<Value>(&out)
    {
        return encode(&without_nul(value));
    }
    out
}

fn is_ours(kind: EventType, key: &str) -> bool {
    match key {
        "subject" => true,
        "subscription" | "payment" => kind.family() == key,
        "consent" => crate::store::project::consents::kind_of(kind).is_some(),
        _ => false,
    }
}

fn push(out: &mut String, key: &str, value: &str) {
    if out.len() > 1 {
        out.push(',');
    }
    out.push_str(&encode(&key));
    out.push(':');
    out.push_str(value);
}

fn encode(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain values with text keys are always JSON")
}

fn without_nul(value: Value) -> Value {
    match value {
        Value::String(value) => Value::String(text(&value).into_owned()),
        Value::Array(values) => values.into_iter().map(without_nul).collect(),
        Value::Object(entries) => entries
            .into_iter()
            .map(|(key, value)| (text(&key).into_owned(), without_nul(value)))
            .collect(),
        other => other,
    }
}

/// What taking a stored event away, or its test mark, touches.
pub(super) struct Stored {
    /// The event.
    pub(super) id: i64,
    /// Whose it is.
    pub(super) scope: Scope,
    /// What happened.
    pub(super) kind: EventType,
    /// The word of the type, also one that this version does not know.
    pub(super) word: String,
    /// When.
    pub(super) at: Timestamp,
    /// The calendar day of that.
    pub(super) day: String,
    /// The reader.
    pub(super) user_id: Option<String>,
    /// The reader's row.
    pub(super) users_id: Option<i64>,
    /// The subscription.
    pub(super) subscription_id: Option<String>,
    /// Of a test delivery.
    pub(super) test: bool,
    /// Facts, as stored.
    pub(super) data: String,
}

const OF_DELIVERY: &str = "\
select id, provider, account, type, at, day, user_id, users_id, subscription_id, test, data
from events where id >= ?1 and id < ?2 order by id";

/// The events of delivery `seq`.
pub(super) fn of_delivery(conn: &Connection, seq: i64) -> Result<Vec<Stored>, Error> {
    let mut statement = conn.prepare_cached(OF_DELIVERY)?;
    let rows = statement.query_map([seq * EVENTS_MAX, (seq + 1) * EVENTS_MAX], |row| {
        Ok(Stored {
            id: row.get(0)?,
            scope: Scope {
                provider: row.get(1)?,
                account: row.get(2)?,
            },
            kind: kind(row, 3)?,
            word: row.get(3)?,
            at: crate::store::project::order::instant(row, 4)?,
            day: row.get(5)?,
            user_id: row.get(6)?,
            users_id: row.get(7)?,
            subscription_id: row.get(8)?,
            test: row.get(9)?,
            data: row.get(10)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const DELETE: &str = "delete from events where id = ?1";

/// Takes one event away.
pub(super) fn delete(conn: &Connection, id: i64) -> Result<(), Error> {
    conn.prepare_cached(DELETE)?.execute([id])?;
    Ok(())
}

const MARK: &str = "update events set test = ?2 where id = ?1";

/// Sets one event's test mark.
pub(super) fn mark(conn: &Connection, id: i64, test: bool) -> Result<(), Error> {
    conn.prepare_cached(MARK)?.execute(params![id, test])?;
    Ok(())
}

/// Every statement here that looks rows up, for the test of query plans.
#[cfg(test)]
pub(super) const LOOKUPS: &[&str] = &[OF_DELIVERY, ROWS, DELETE, MARK];
