//! A query as SQL: fixed fragments and bound values, never a value in the text.
//!
//! A condition that no row of a source can meet is the text `0`, so that the source is not read at all.

use std::collections::HashMap;
use std::rc::Rc;

use rusqlite::types::Value as Sql;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::domain::event::EventType;
use crate::domain::query::{
    Bounds, Expr, Is, Key, Span, Term, Test, Value, caseless, folded, folded_pattern,
};
use crate::store::query::functions::digits;
use crate::store::query::lists::Source;
use crate::store::query::plan::{self, Wanted};

/// No row.
pub(super) const NEVER: &str = "0";

/// The values of a statement under way: each is named by its number, so that a fragment may stand in it twice.
#[derive(Debug, Default)]
pub(super) struct Bound {
    values: Vec<Sql>,
}

impl Bound {
    /// The name of `value` in the text.
    pub(super) fn add(&mut self, value: impl Into<Sql>) -> String {
        let value = value.into();
        if let Some(place) = self.values.iter().position(|known| *known == value) {
            return format!("?{}", place + 1);
        }
        self.values.push(value);
        format!("?{}", self.values.len())
    }

    /// `values` as a list in parentheses.
    pub(super) fn list<'v>(&mut self, values: impl Iterator<Item = &'v str>) -> String {
        let names: Vec<String> = values.map(|value| self.add(value.to_owned())).collect();
        format!("({})", names.join(", "))
    }

    /// The values, in the order of their numbers.
    pub(super) fn values(&self) -> &[Sql] {
        &self.values
    }
}

/// Builds the conditions of one statement.
pub(super) struct Filter<'a> {
    /// The values named so far.
    pub(super) bound: &'a mut Bound,
    /// Every plan of a subscription or payment: a word finds events by those that hold it.
    pub(super) plans: &'a [String],
    /// The readers who hold a word, as a JSON array of ids, of the words that few hold.
    pub(super) held: &'a HashMap<&'a str, Rc<str>>,
    /// What the rows are wanted for.
    pub(super) wanted: Wanted,
    /// The index of imports as statements name it; empty where the ledger has none yet.
    pub(super) imports: &'static str,
}

/// How a reader's aliases are looked through for a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aliases {
    /// Those of each reader that is looked at.
    OfEach,
    /// All before the first reader: every reader is looked at.
    AtOnce,
}

impl Filter<'_> {
    /// The condition that rows of `source`, called `r`, must meet.
    pub(super) fn condition(&mut self, source: Source, expr: &Expr) -> String {
        match expr {
            Expr::All(parts) if parts.is_empty() => "1".to_owned(),
            Expr::All(parts) => {
                let parts: Vec<String> = parts.iter().map(|p| self.condition(source, p)).collect();
                if parts.iter().any(|part| part == NEVER) {
                    return NEVER.to_owned();
                }
                format!("({})", parts.join(" and "))
            }
            Expr::Any(parts) => {
                let parts = parts.iter().map(|p| self.condition(source, p)).collect();
                any(parts)
            }
            // A missing field is not the value: null counts as no.
            Expr::Not(inner) => format!("({}) is not true", self.condition(source, inner)),
            Expr::Term(Term::Word(word)) => self.word(source, word),
            Expr::Term(Term::Field { key, values }) => self.field(source, *key, values),
        }
    }

    fn field(&mut self, source: Source, key: Key, values: &[Value]) -> String {
        if let Some(column) = column(source, key) {
            let equal: Option<Vec<&str>> = values.iter().map(|value| equal(&value.test)).collect();
            if let Some(words) =
                equal.filter(|_| !(key == Key::Status && source == Source::Subscriptions))
            {
                return match words[..] {
                    [word] => format!("{column} = {}", self.bound.add(word.to_owned())),
                    _ => format!("{column} in {}", self.bound.list(words.into_iter())),
                };
            }
        }
        let parts = values
            .iter()
            .map(|value| self.value(source, key, &value.test))
            .collect();
        any(parts)
    }

    fn value(&mut self, source: Source, key: Key, test: &Test) -> String {
        match (key, test) {
            (Key::Status, Test::Equal(word)) if word == "cancelled" => is(source, Is::Ending),
            (Key::Email | Key::Phone | Key::Name | Key::Country, _) => {
                let found = self.of_reader(key, test, person(source));
                reader(source, &found)
            }
            (Key::User, Test::Equal(id)) => self.user(source, id),
            (Key::Id, Test::Equal(id)) => self.id(source, id),
            (Key::Outcome, Test::Equal(word)) => match (source, word.as_str()) {
                (Source::Rejected, "rejected") => "1".to_owned(),
                (Source::Rejected, _) | (_, "rejected") => NEVER.to_owned(),
                _ => format!("r.outcome = {}", self.bound.add(word.clone())),
            },
            (Key::Purpose | Key::Consent, test) if source == Source::Users => {
                let (column, kinds) = match key {
                    Key::Purpose => ("c.purpose", ""),
                    _ => ("c.state", " and c.kind in ('consent', 'evidence')"),
                };
                let found = self.text(column, test);
                format!(
                    "exists (select 1 from consents c where c.provider = r.provider \
                     and c.account = r.account and c.user_id = r.user_id{kinds} and {found})"
                )
            }
            (
                Key::Type,
                Test::Types {
                    types,
                    provider_types,
                },
            ) => self.types(source, types, provider_types),
            (Key::Seq, Test::Number(bounds)) => self.seqs(source, *bounds),
            (Key::Amount, Test::Number(bounds)) => self.money("r.amount_minor", *bounds),
            (Key::Price, Test::Number(bounds)) => self.money("r.price_minor", *bounds),
            (_, Test::Time(span)) => self.time(source, key, *span),
            (_, Test::Is(word)) => is(source, *word),
            (_, Test::After { is, seq, at }) => {
                self.after(source, *is, *seq, at.map(|at| at.to_string()))
            }
            _ => match column(source, key) {
                Some(column) => self.text(column, test),
                None => NEVER.to_owned(),
            },
        }
    }

    fn text(&mut self, column: &str, test: &Test) -> String {
        match test {
            Test::Equal(word) => format!("{column} = {}", self.bound.add(word.clone())),
            Test::Like(word) => format!("resembles({}, {column})", self.bound.add(caseless(word))),
            Test::Holds(word) => format!("holds({}, {column})", self.bound.add(folded(word))),
            _ => NEVER.to_owned(),
        }
    }

    /// What `key` asks of the reader whose row is called `person`.
    pub(super) fn of_reader(&mut self, key: Key, test: &Test, person: &str) -> String {
        match (key, test) {
            (Key::Email, Test::Equal(address)) => {
                let address = self.bound.add(address.clone());
                format!("{person}.email = {address} collate nocase")
            }
            (Key::Phone, Test::Holds(wanted)) => {
                let wanted = self.bound.add(wanted.clone());
                format!("digits_hold({wanted}, {person}.phone)")
            }
            // Of people whatever is searched for, of all else what is named.
            (Key::Email | Key::Name, Test::Like(pattern)) => {
                let pattern = self.bound.add(folded_pattern(pattern));
                format!("resembles_folded({pattern}, {person}.{key})")
            }
            _ => self.text(&format!("{person}.{key}"), test),
        }
    }

    /// Rows of one account, by its provider and name.
    pub(super) fn of_account(&mut self, (provider, account): (String, String)) -> String {
        let [provider, account] = [provider, account].map(|text| self.bound.add(text));
        format!("r.provider = {provider} and r.account = {account}")
    }

    /// What a word asks of the reader whose row is called `person`.
    pub(super) fn word_of_reader(&mut self, word: &str, person: &str, aliases: Aliases) -> String {
        let needle = self.bound.add(folded(word));
        let phone = match dialled(word) {
            Some(wanted) => {
                let wanted = self.bound.add(wanted);
                format!(" or digits_hold({wanted}, {person}.phone)")
            }
            None => String::new(),
        };
        let alias = match aliases {
            Aliases::OfEach => format!(
                "exists (select 1 from user_aliases a where a.provider = {person}.provider \
                 and a.account = {person}.account and a.user_id = {person}.user_id \
                 and holds({needle}, a.alias))"
            ),
            Aliases::AtOnce => format!(
                "({person}.provider, {person}.account, {person}.user_id) in \
                 (select a.provider, a.account, a.user_id from user_aliases a \
                 where holds({needle}, a.alias))"
            ),
        };
        format!(
            "(holds({needle}, {person}.email, {person}.name, {person}.user_id, \
             {person}.client_user_id){phone} or {alias})"
        )
    }

    /// What a word asks of the row itself, its reader aside.
    pub(super) fn word_of_row(&mut self, source: Source, word: &str) -> String {
        let needle = self.bound.add(folded(word));
        match source {
            Source::Events => {
                let id = self.bound.add(word.to_owned());
                let of_id = format!("r.subscription_id = {id}");
                let plans = self.plans_with(word);
                if plans.is_empty() {
                    return of_id;
                }
                let plans = serde_json::to_string(&plans).unwrap_or_default();
                let plans = self.bound.add(plans);
                format!("({of_id} or r.plan in (select value from json_each({plans})))")
            }
            Source::Users => NEVER.to_owned(),
            Source::Subscriptions => {
                format!("holds({needle}, r.plan, r.subscription_id, r.gateway_id, r.purchase_id)")
            }
            Source::Cancellations => {
                format!("holds({needle}, r.plan, r.subscription_id, r.gateway_id)")
            }
            Source::Payments => format!(
                "holds({needle}, r.plan, r.subscription_id, r.payment_id, r.transaction_id)"
            ),
            Source::Consents | Source::Changes => format!("holds({needle}, r.purpose)"),
            Source::Deliveries => {
                format!("holds({needle}, r.hook, r.reason, r.provider_type, r.dedupe_key)")
            }
            Source::Rejected => format!("holds({needle}, r.hook, r.reason, r.path, r.remote_ip)"),
        }
    }

    /// The plans that hold `word`.
    pub(super) fn plans_with(&self, word: &str) -> Vec<String> {
        let needle = folded(word);
        self.plans
            .iter()
            .filter(|plan| folded(plan).contains(&needle))
            .cloned()
            .collect()
    }

    fn word(&mut self, source: Source, word: &str) -> String {
        let row = self.word_of_row(source, word);
        if matches!(source, Source::Rejected) {
            return row;
        }
        let person = match self.held.get(word) {
            Some(ids) => {
                let ids = self.bound.add(ids.to_string());
                format!(
                    "{}.id in (select value from json_each({ids}))",
                    person(source)
                )
            }
            None => self.word_of_reader(word, person(source), Aliases::OfEach),
        };
        let person = match source {
            Source::Deliveries => format!(
                "exists (select 1 from events e join users w on w.provider = e.provider \
                 and w.account = e.account and w.user_id = e.user_id \
                 where e.id between r.seq * 10000 and r.seq * 10000 + 9999 and {person})"
            ),
            _ => reader(source, &person),
        };
        any(vec![row, person])
    }

    fn user(&mut self, source: Source, id: &str) -> String {
        if matches!(source, Source::Deliveries | Source::Rejected) {
            return NEVER.to_owned();
        }
        let id = self.bound.add(id.to_owned());
        format!(
            "(r.user_id = {id} or exists (select 1 from user_aliases a where a.alias = {id} \
             and a.provider = r.provider and a.account = r.account and a.user_id = r.user_id))"
        )
    }

    fn id(&mut self, source: Source, id: &str) -> String {
        let columns: &[&str] = match source {
            Source::Events => &["r.user_id", "r.subscription_id"],
            Source::Users => &["r.user_id", "r.client_user_id"],
            Source::Subscriptions => &[
                "r.subscription_id",
                "r.gateway_id",
                "r.purchase_id",
                "r.user_id",
            ],
            Source::Cancellations => &["r.subscription_id", "r.gateway_id", "r.user_id"],
            Source::Consents => &["r.user_id", "r.evidence"],
            Source::Changes => &["r.user_id"],
            Source::Payments => &[
                "r.payment_id",
                "r.transaction_id",
                "r.subscription_id",
                "r.user_id",
            ],
            Source::Deliveries => &["r.dedupe_key"],
            Source::Rejected => &[],
        };
        let name = self.bound.add(id.to_owned());
        let mut parts: Vec<String> = columns
            .iter()
            .map(|column| format!("{column} = {name}"))
            .collect();
        if let Ok(number) = id.parse::<i64>() {
            parts.push(format!("{} = {}", source.id(), self.bound.add(number)));
        }
        any(parts)
    }

    fn types(&mut self, source: Source, types: &[EventType], names: &[String]) -> String {
        let mut parts = Vec::new();
        let types =
            (!types.is_empty()).then(|| self.bound.list(types.iter().map(|kind| kind.as_str())));
        match source {
            Source::Events => parts.extend(types.map(|list| format!("r.type in {list}"))),
            Source::Deliveries => parts.extend(types.map(|list| {
                format!(
                    "exists (select 1 from events e where e.id between r.seq * 10000 \
                     and r.seq * 10000 + 9999 and e.type in {list})"
                )
            })),
            _ => return NEVER.to_owned(),
        }
        if !names.is_empty() {
            let names = self.bound.list(names.iter().map(String::as_str));
            parts.push(format!("r.provider_type in {names}"));
        }
        any(parts)
    }

    /// By id where ids are made from seqs, so that a range is one stretch of the table.
    pub(super) fn seqs(&mut self, source: Source, bounds: Bounds) -> String {
        let Some((low, high)) = whole(bounds) else {
            return NEVER.to_owned();
        };
        let (column, per_seq) = match source.ids_per_seq() {
            Some(per_seq) => (source.id(), per_seq),
            None if source == Source::Rejected => return NEVER.to_owned(),
            None => ("r.seq", 1),
        };
        let low = low.saturating_mul(per_seq);
        let high = high.saturating_mul(per_seq).saturating_add(per_seq - 1);
        format!(
            "({column} >= {} and {column} <= {})",
            self.bound.add(low),
            self.bound.add(high)
        )
    }

    /// Major units against minor ones, exactly, for each number of digits that a currency can have.
    fn money(&mut self, column: &str, bounds: Bounds) -> String {
        let mut parts = Vec::new();
        for (edge, low) in [(bounds.low, true), (bounds.high, false)] {
            let Some((value, inclusive)) = edge else {
                continue;
            };
            let sign = if low { ">=" } else { "<=" };
            let cases: Vec<String> = (0..=4)
                .map(|exponent| {
                    let minor = minor_edge(value, exponent, low, inclusive);
                    format!("when {exponent} then {}", self.bound.add(minor))
                })
                .collect();
            let cases = cases.join(" ");
            parts.push(format!("{column} {sign} case r.exponent {cases} end"));
        }
        if parts.is_empty() {
            return "1".to_owned();
        }
        format!("({})", parts.join(" and "))
    }

    fn time(&mut self, source: Source, key: Key, span: Span) -> String {
        if let Some(column) = time_column(source, key) {
            return self.within(&self.beside_order(source, column), span);
        }
        if key == Key::Received {
            let within = self.within("d.received_at", span);
            return format!("exists (select 1 from deliveries d where d.seq = r.seq and {within})");
        }
        NEVER.to_owned()
    }

    /// `column` such that no index is entered by it, if a page's place bounds it: an index takes one bound at each end.
    fn beside_order(&self, source: Source, column: &str) -> String {
        let is_placed = self.wanted == Wanted::Page && plan::ordered(source);
        let plus = if is_placed && column == source.sort() {
            "+"
        } else {
            ""
        };
        format!("{plus}{column}")
    }

    /// `column` within `span`.
    pub(super) fn within(&mut self, column: &str, span: Span) -> String {
        let mut parts = vec![];
        if let Some(from) = span.from {
            parts.push(format!("{column} >= {}", self.bound.add(from.to_string())));
        }
        if let Some(to) = span.to {
            parts.push(format!("{column} < {}", self.bound.add(to.to_string())));
        }
        if parts.is_empty() {
            return format!("{column} is not null");
        }
        format!("({})", parts.join(" and "))
    }

    /// New and late: by position, imports excepted.
    fn after(&mut self, source: Source, is: Is, seq: i64, at: Option<String>) -> String {
        if source == Source::Rejected {
            return match at {
                Some(at) => format!("r.received_at > {}", self.bound.add(at)),
                None => "1".to_owned(),
            };
        }
        let late = match (is, at) {
            (Is::Late, Some(at)) => {
                let sort = self.beside_order(source, source.sort());
                format!(" and {sort} < {}", self.bound.add(at))
            }
            (Is::Late, None) => return NEVER.to_owned(),
            _ => String::new(),
        };
        let greater = self.seqs(
            source,
            Bounds {
                low: Some((Decimal::from(seq), false)),
                high: None,
            },
        );
        let own_seq = match source {
            Source::Users | Source::Subscriptions => "r.id / 10000",
            _ => "r.seq",
        };
        let origin = match source {
            Source::Deliveries => "r.origin <> 'import'".to_owned(),
            _ => format!(
                "not exists (select 1 from deliveries d {} where d.seq = {own_seq} \
                 and d.origin = 'import')",
                self.imports
            ),
        };
        format!("({greater} and {origin}{late})")
    }
}

/// When a subscription was over, for those that are: the time that the provider told it, else the end of access, a
/// day later where it might have renewed.
pub(crate) const ENDED_AT: &str = "case \
    when r.status = 'revoked' then coalesce(r.cancelled_at, r.changed_at) \
    when r.status <> 'expired' then null \
    when r.stated_status = 'expired' or r.access_until is null then r.changed_at \
    when r.auto_renew = 0 then r.access_until \
    else strftime('%Y-%m-%dT%H:%M:%fZ', r.access_until, '+1 day') end";

/// Subscriptions that are over; the index of when they were holds these alone.
pub(super) const OVER: &str = "(r.status = 'expired' or r.status = 'revoked')";

/// Subscriptions that count for something still, or may again; the index of what they are worth holds these alone.
pub(super) const LIVE: &str = "(r.has_access = 1 \
    or (r.status <> 'pending' and r.status <> 'expired' and r.status <> 'revoked'))";

/// Paid, with access, and not known to stop.
pub(super) const RENEWING: &str = "(r.status in ('active', 'grace') and r.has_access = 1 \
    and r.cancelled_at is null and r.auto_renew is not 0)";

/// What it is worth a month can be told.
pub(super) const PRICED: &str = "(r.price_minor is not null and r.currency is not null \
    and r.exponent is not null and r.interval_months > 0)";

/// The time that `key` filters, where the row itself has it.
pub(super) fn time_column(source: Source, key: Key) -> Option<&'static str> {
    Some(match (key, source) {
        (Key::At | Key::Day | Key::Since | Key::Until, _) => source.sort(),
        (Key::Received, Source::Events | Source::Deliveries | Source::Rejected) => "r.received_at",
        (Key::Registered, Source::Users) => "r.registered_at",
        (Key::Started, Source::Subscriptions) => "r.started_at",
        (Key::Ended, Source::Subscriptions) => ENDED_AT,
        (Key::Ends, Source::Subscriptions | Source::Cancellations) => "r.access_until",
        _ => return None,
    })
}

fn equal(test: &Test) -> Option<&str> {
    match test {
        Test::Equal(word) => Some(word),
        _ => None,
    }
}

fn any(parts: Vec<String>) -> String {
    let mut parts: Vec<String> = parts.into_iter().filter(|part| part != NEVER).collect();
    match parts.len() {
        0 => NEVER.to_owned(),
        1 => parts.swap_remove(0),
        _ => format!("({})", parts.join(" or ")),
    }
}

/// What the reader's row is called in a condition on `source`.
const fn person(source: Source) -> &'static str {
    match source {
        Source::Users => "r",
        _ => "w",
    }
}

/// `found`, a condition on the reader called `w`, as a condition on `r`.
fn reader(source: Source, found: &str) -> String {
    match source {
        Source::Users => found.to_owned(),
        Source::Deliveries | Source::Rejected => NEVER.to_owned(),
        Source::Events | Source::Subscriptions | Source::Payments => {
            format!("exists (select 1 from users w where w.id = r.users_id and {found})")
        }
        _ => format!(
            "exists (select 1 from users w where w.provider = r.provider \
             and w.account = r.account and w.user_id = r.user_id and {found})"
        ),
    }
}

/// The digits of `word`, if it can be (part of) a phone number.
fn dialled(word: &str) -> Option<String> {
    let word = folded(word);
    let number = word
        .chars()
        .all(|c| c.is_ascii_digit() || "+-()/. ".contains(c));
    let wanted = digits(&word);
    (number && wanted.len() >= 3).then_some(wanted)
}

/// The column that a key of text compares, where that is all there is to it.
fn column(source: Source, key: Key) -> Option<&'static str> {
    use Source::{
        Cancellations, Changes, Consents, Deliveries, Events, Payments, Rejected, Subscriptions,
        Users,
    };
    Some(match (key, source) {
        (Key::Provider, _) => "r.provider",
        (Key::Account, source) if source != Rejected => "r.account",
        (Key::App, Events | Subscriptions | Consents | Changes) => "r.app",
        (Key::Status, Subscriptions | Payments) => "r.status",
        (Key::Plan, Events | Subscriptions | Cancellations | Payments) => "r.plan",
        (Key::Currency, Events | Subscriptions | Cancellations | Payments) => "r.currency",
        (Key::Purpose, Consents | Changes) => "r.purpose",
        (Key::Kind, Consents | Changes | Payments) => "r.kind",
        (Key::State | Key::Consent, Consents) => "r.state",
        (Key::State | Key::Consent, Changes) => "r.after_state",
        (Key::Was, Changes) => "r.before_state",
        (Key::Reason, Subscriptions) => "r.cancel_reason",
        (Key::Reason, Cancellations | Deliveries | Rejected) => "r.reason",
        (Key::Code, Cancellations) => "r.code",
        (Key::Actor, Cancellations) => "r.actor",
        (Key::Hook, Deliveries | Rejected) => "r.hook",
        (Key::Origin, Deliveries) => "r.origin",
        (Key::Proof, Users | Deliveries) => "r.identity_proof",
        _ => return None,
    })
}

/// The condition of a word after `is:` that no review enters into.
fn is(source: Source, word: Is) -> String {
    use Source::{Cancellations, Deliveries, Events, Payments, Rejected, Subscriptions, Users};
    match (word, source) {
        (Is::Test, source) if source != Rejected => "r.test = 1",
        (Is::Stored, Deliveries) => "r.outcome = 'stored'",
        (Is::Duplicate, Deliveries) => "r.outcome = 'duplicate'",
        (Is::Quarantined, Deliveries) => "r.outcome = 'quarantined'",
        (Is::Rejected, Rejected) => "r.admitted_seq is null",
        (Is::Differing, Deliveries) => {
            "(r.outcome = 'duplicate' and r.reason = 'same id, other content')"
        }
        (Is::Erased, Deliveries) => "r.erased_at is not null",
        (Is::Active, Users) => "r.active_subscriptions > 0",
        (Is::Active, Subscriptions) => {
            "(r.status in ('trialing', 'active', 'grace') and r.has_access = 1)"
        }
        (Is::Trial, Subscriptions) => "r.status = 'trialing'",
        (Is::Cancelled, Subscriptions) => "r.cancelled_at is not null",
        (Is::Ending, Subscriptions) => "(r.cancelled_at is not null and r.has_access = 1)",
        (Is::Renewing, Subscriptions) => RENEWING,
        (Is::Priced, Subscriptions) => PRICED,
        (Is::Fixed, Subscriptions) => {
            "(r.has_access = 1 and r.auto_renew = 0 and r.cancelled_at is null)"
        }
        (Is::Refunded, Subscriptions) => "r.status = 'revoked'",
        (Is::Asked, Cancellations) => "r.actor <> 'payment'",
        (Is::Involuntary, Cancellations) => "r.actor = 'payment'",
        (Is::Involuntary, Subscriptions) => {
            "exists (select 1 from cancellations x where x.provider = r.provider \
             and x.account = r.account and x.subscription_id = r.subscription_id \
             and x.reactivated_at is null and x.actor = 'payment')"
        }
        (Is::Reactivated, Cancellations) => "r.reactivated_at is not null",
        (Is::Refund, Events) => "r.type = 'payment.refunded'",
        (Is::Payment, Events) => "r.type = 'payment.succeeded'",
        (Is::Refund, Payments) => "r.kind = 'refund'",
        (Is::Payment, Payments) => "r.kind = 'payment'",
        (Is::Flagged, Payments | Subscriptions) => "r.flag is not null",
        (Is::Unannounced, Payments) => {
            "(r.kind = 'payment' and r.for_subscription = 1 and not exists (\
             select 1 from subscriptions s where s.provider = r.provider \
             and s.account = r.account and s.subscription_id = r.subscription_id))"
        }
        (Is::Unrevoked, Events) => {
            "(r.type = 'payment.refunded' and json_extract(r.data, '$.payment.cancels_access') \
             and not exists (select 1 from subscriptions s where s.provider = r.provider \
             and s.account = r.account and s.user_id = r.user_id \
             and s.stated_status = 'revoked'))"
        }
        (Is::Registered, Users) => "r.registered_at is not null",
        (Is::Paying, Source::Consents | Source::Changes) => {
            "exists (select 1 from users w where w.provider = r.provider \
             and w.account = r.account and w.user_id = r.user_id and w.active_subscriptions > 0)"
        }
        _ => NEVER,
    }
    .to_owned()
}

/// The least and the greatest whole number within `bounds`.
pub(super) fn whole(bounds: Bounds) -> Option<(i64, i64)> {
    let edge = |edge: Option<(Decimal, bool)>, low| {
        edge.map(|(value, inclusive)| minor_edge(value, 0, low, inclusive))
    };
    let low = edge(bounds.low, true).unwrap_or(i64::MIN);
    let high = edge(bounds.high, false).unwrap_or(i64::MAX);
    (low <= high).then_some((low, high))
}

/// The least (`low`) or greatest number of minor units within the edge `value`.
fn minor_edge(value: Decimal, exponent: u32, low: bool, inclusive: bool) -> i64 {
    let beyond = if value.is_sign_negative() {
        i64::MIN
    } else {
        i64::MAX
    };
    let Some(exact) = value.checked_mul(Decimal::from(10_u64.pow(exponent))) else {
        return beyond;
    };
    let (rounded, step) = if low {
        (exact.ceil(), 1)
    } else {
        (exact.floor(), -1)
    };
    let within = rounded.to_i64().unwrap_or(beyond);
    if !inclusive && rounded == exact {
        return within.saturating_add(step);
    }
    within
}
