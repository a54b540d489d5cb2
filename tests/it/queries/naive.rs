//! What a query means, as a plain loop over rows: the oracle for its SQL.

use rust_decimal::Decimal;
use subledger::domain::query::{Bounds, Expr, Is, Key, Query, Span, Term, Test, caseless, folded};
use subledger::domain::time::Timestamp;

use crate::queries::generated::{EventRow, Ledger, UserRow};

/// The ids of the events that meet `query`, newest first.
pub(crate) fn events(ledger: &Ledger, query: &Query) -> Vec<i64> {
    let plans: Vec<&str> = ledger
        .events
        .iter()
        .filter(|event| event.kind == "payment.succeeded")
        .filter_map(|event| event.plan)
        .collect();
    let judge = Judge { ledger, plans };
    let mut rows: Vec<&EventRow> = ledger
        .events
        .iter()
        .filter(|event| judge.meets(event, query.root()))
        .collect();
    rows.sort_by(|a, b| (&b.at, b.id).cmp(&(&a.at, a.id)));
    rows.into_iter().map(|event| event.id).collect()
}

struct Judge<'a> {
    ledger: &'a Ledger,
    plans: Vec<&'a str>,
}

impl Judge<'_> {
    fn meets(&self, event: &EventRow, expr: &Expr) -> bool {
        match expr {
            Expr::All(parts) => parts.iter().all(|part| self.meets(event, part)),
            Expr::Any(parts) => parts.iter().any(|part| self.meets(event, part)),
            Expr::Not(inner) => !self.meets(event, inner),
            Expr::Term(Term::Word(word)) => self.word(event, word),
            Expr::Term(Term::Field { key, values }) => values
                .iter()
                .any(|value| self.value(event, *key, &value.test)),
        }
    }

    fn user(&self, event: &EventRow) -> Option<&UserRow> {
        self.ledger.users.iter().find(|user| {
            user.provider == event.provider
                && user.account == event.account
                && Some(&user.user_id) == event.user_id.as_ref()
        })
    }

    fn word(&self, event: &EventRow, word: &str) -> bool {
        let needle = folded(word);
        let holds = |text: &str| folded(text).contains(&needle);
        let digits: String = needle.chars().filter(char::is_ascii_digit).collect();
        let number = digits.len() >= 3
            && needle
                .chars()
                .all(|c| c.is_ascii_digit() || "+-()/. ".contains(c));
        let by_user = self.user(event).is_some_and(|user| {
            holds(&user.user_id)
                || user.email.as_deref().is_some_and(holds)
                || user.name.is_some_and(holds)
                || user.alias.as_deref().is_some_and(holds)
                || (number
                    && user
                        .phone
                        .as_deref()
                        .is_some_and(|phone| dialled(phone).contains(&digits)))
        });
        let by_plan = event
            .plan
            .is_some_and(|plan| self.plans.contains(&plan) && holds(plan));
        by_user || by_plan || event.subscription_id.as_deref() == Some(word)
    }

    fn value(&self, event: &EventRow, key: Key, test: &Test) -> bool {
        let user = self.user(event);
        match (key, test) {
            (
                Key::Type,
                Test::Types {
                    types,
                    provider_types,
                },
            ) => {
                types.iter().any(|kind| kind.as_str() == event.kind)
                    || provider_types
                        .iter()
                        .any(|name| name == event.provider_type)
            }
            (Key::Seq, Test::Number(bounds)) => within(*bounds, Decimal::from(event.seq)),
            (Key::Amount, Test::Number(bounds)) => match (event.minor, event.exponent) {
                (Some(minor), Some(exponent)) => within(
                    *bounds,
                    Decimal::new(minor, u32::try_from(exponent).unwrap()),
                ),
                _ => false,
            },
            (Key::Received, Test::Time(span)) => during(*span, &event.received_at),
            (_, Test::Time(span)) => during(*span, &event.at),
            (_, Test::After { is, seq, at }) => {
                let import = self.ledger.deliveries[usize::try_from(event.seq).unwrap() - 1].import;
                let late = at.is_some_and(|at| Timestamp::parse(&event.at).unwrap() < at);
                event.seq > *seq && !import && (*is == Is::New || late)
            }
            (_, Test::Is(Is::Test)) => event.test,
            (_, Test::Is(Is::Refund)) => event.kind == "payment.refunded",
            (_, Test::Is(Is::Payment)) => event.kind == "payment.succeeded",
            (Key::Provider, test) => text(test, Some(event.provider)),
            (Key::Account, test) => text(test, Some(event.account)),
            (Key::App, test) => text(test, Some(event.app)),
            (Key::Plan, test) => text(test, event.plan),
            (Key::Currency, test) => text(test, event.currency),
            (Key::User, Test::Equal(id)) => {
                event.user_id.as_ref() == Some(id)
                    || user.is_some_and(|user| user.alias.as_ref() == Some(id))
            }
            (Key::Id, Test::Equal(id)) => {
                event.user_id.as_ref() == Some(id)
                    || event.subscription_id.as_ref() == Some(id)
                    || id.parse() == Ok(event.id)
            }
            (Key::Email, Test::Equal(address)) => user
                .and_then(|user| user.email.as_deref())
                .is_some_and(|email| email.eq_ignore_ascii_case(address)),
            (Key::Email, test) => searched(test, user.and_then(|user| user.email.as_deref())),
            (Key::Name, test) => searched(test, user.and_then(|user| user.name)),
            (Key::Phone, Test::Holds(digits)) => user
                .and_then(|user| user.phone.as_deref())
                .is_some_and(|phone| dialled(phone).contains(digits)),
            other => panic!("no oracle for {other:?}"),
        }
    }
}

fn dialled(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

/// As `text`, of people: without marks.
fn searched(test: &Test, value: Option<&str>) -> bool {
    let value = value.map(folded);
    match test {
        Test::Like(pattern) => text(&Test::Like(folded(pattern)), value.as_deref()),
        test => text(test, value.as_deref()),
    }
}

fn text(test: &Test, value: Option<&str>) -> bool {
    let Some(value) = value else { return false };
    match test {
        Test::Equal(wanted) => value == wanted,
        Test::Holds(part) => folded(value).contains(&folded(part)),
        Test::Like(pattern) => {
            let pattern: Vec<char> = caseless(pattern).chars().collect();
            let value: Vec<char> = caseless(value).chars().collect();
            like(&pattern, &value)
        }
        other => panic!("{other:?}"),
    }
}

fn like(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|from| like(rest, &text[from..])),
        Some((c, rest)) => text.first() == Some(c) && like(rest, &text[1..]),
    }
}

fn within(bounds: Bounds, number: Decimal) -> bool {
    bounds
        .low
        .is_none_or(|(low, itself)| number > low || (itself && number == low))
        && bounds
            .high
            .is_none_or(|(high, itself)| number < high || (itself && number == high))
}

fn during(span: Span, at: &str) -> bool {
    let at = Timestamp::parse(at).unwrap();
    span.from.is_none_or(|from| at >= from) && span.to.is_none_or(|to| at < to)
}
