//! What Connections says of each account, in the publisher's words, from what the store knows. Each line that counts
//! rows names the list of these rows.

use crate::domain::delivery::MAIN_ACCOUNT;
use crate::domain::page::List;
use crate::domain::query::{Query, Vocabulary, Words, literal_text, value_text};
use crate::domain::remedy::{about_quiet, advice};
use crate::domain::time::{Timestamp, span};
use crate::store::Error;
use crate::store::query::{Connected, Reader, Refusals};
use crate::store::today::Outside;
use crate::tui::LinkCard;
use crate::tui::app::message::COUNT_MAX;
use crate::tui::cell::{self, When};
use crate::tui::facts::{Connection, Door, Fact};
use crate::tui::theme::Meaning;

/// So many reasons for which requests were turned away are told of each provider, the latest.
const REASONS_MAX: usize = 5;

/// What requests are called that name no provider.
const NOBODYS: &str = "Paths that are none of yours";

/// Every account of the settings, then whoever else sent something or was turned away. `outside`: what the publisher
/// calls the providers, and how long each may be silent.
pub fn read(
    reader: &Reader,
    now: Timestamp,
    links: &[LinkCard],
    outside: &Outside,
) -> Result<Vec<Connection>, Error> {
    let wanted: Vec<_> = links
        .iter()
        .map(|card| (card.provider.as_str(), card.account.as_str()))
        .collect();
    let known = reader.connections(now, &wanted, outside)?;
    let mut stored = reader.senders()?;
    for one in &known {
        // Who was only turned away, or never heard from, is no slip of the pen.
        stored.providers.push(one.provider.clone());
        stored.accounts.push(one.account.clone());
    }
    let mut turned_away: Vec<String> = known
        .iter()
        .filter(|one| !one.provider.is_empty() && !one.refusals.is_empty())
        .map(|one| value_text(&one.provider))
        .collect();
    turned_away.dedup();
    let teller = Teller {
        reader,
        links,
        names: &outside.names,
        turned_away,
        when: When {
            now,
            zone: reader.zone()?,
        },
        last_review: reader.last_review()?,
        stored,
    };
    known
        .iter()
        .map(|one| {
            let of_provider = known.iter().filter(|other| other.provider == one.provider);
            teller.connection(one, of_provider.count() > 1)
        })
        .collect()
}

struct Teller<'a> {
    reader: &'a Reader,
    links: &'a [LinkCard],
    names: &'a [(String, String)],
    /// The providers that were turned away, as values of a filter.
    turned_away: Vec<String>,
    when: When,
    last_review: Option<(i64, Timestamp)>,
    stored: Vocabulary,
}

impl Teller<'_> {
    /// `is_shared`: other accounts have the same provider, and whoever is turned away names none of them.
    fn connection(&self, known: &Connected, is_shared: bool) -> Result<Connection, Error> {
        let last = known.refusals.iter().max_by_key(|refusal| refusal.last.1);
        // A webhook that has come through since says that it is well again.
        let through = known.last.as_ref().map(|(_, at, _)| *at);
        let last = last.filter(|last| through.is_none_or(|at| at <= last.last.1));
        let hint = last
            .map(|last| self.hint(known, last))
            .transpose()?
            .flatten();
        let refused = last.map(|last| {
            let ago = self.when.ago(last.last.1);
            format!("{ago}{}: {}", on(&last.hook), told(&last.reason))
        });
        let mut facts = self.traffic(known, refused.is_some());
        let mut refusals = self.refusals(known)?;
        if is_shared {
            for fact in &mut refusals {
                fact.title.push_str(", any account");
            }
        }
        facts.extend(refusals);
        facts.extend(proofs(known, self.when));
        Ok(Connection {
            provider: known.provider.clone(),
            account: known.account.clone(),
            name: self.name(known),
            state: state(known, is_shared, self.when),
            refused,
            hint,
            old: self.old_secrets(known)?,
            facts,
        })
    }

    fn name(&self, known: &Connected) -> String {
        let id = known.provider.as_str();
        let name = match self.names.iter().find(|(one, _)| one == id) {
            _ if id.is_empty() => NOBODYS,
            Some((_, name)) => name,
            None => id,
        };
        match known.account.as_str() {
            "" | MAIN_ACCOUNT => name.to_owned(),
            account => format!("{name} ({account})"),
        }
    }

    /// `was_refused`: requests were turned away since the last webhook.
    fn traffic(&self, known: &Connected, was_refused: bool) -> Vec<Fact> {
        let mut facts = Vec::new();
        let all = format!(
            "provider:{} account:{}",
            value_text(&known.provider),
            value_text(&known.account)
        );
        let door = |query: String| {
            Some(Door {
                list: List::Deliveries,
                query,
            })
        };
        if let Some((_, at, hook)) = &known.last {
            let text = format!("{}{}", self.when.ago(*at), on(hook));
            facts.push(Fact {
                door: door(format!("{all} -is:test")),
                ..Fact::new("last webhook", text, Meaning::Plain)
            });
            let text = format!(
                "{} in 24 hours, {} in all",
                number(known.day),
                number(known.deliveries)
            );
            facts.push(Fact {
                door: door(format!("{all} -is:test since:24h")),
                count: u64::try_from(known.day).ok(),
                ..Fact::new("webhooks", text, Meaning::Plain)
            });
        }
        if known.tests > 0 {
            facts.push(Fact {
                door: door(format!("{all} is:test -is:erased")),
                count: u64::try_from(known.tests).ok(),
                ..Fact::new("tests", number(known.tests), Meaning::Plain)
            });
        }
        if let Some(quiet) = &known.quiet {
            let text = format!("for {}; {}", span(quiet.gap_ms), quiet.than());
            let who = (known.provider.as_str(), known.account.as_str());
            facts.push(Fact {
                door: door(quiet.query(who, self.when.now, self.when.zone)),
                hint: Some(about_quiet(was_refused)),
                ..Fact::new("quiet", text, Meaning::Warning)
            });
        }
        facts
    }

    /// The term for what was turned away of a provider; no value stands for none, so there it is all but the others.
    fn of(&self, provider: &str) -> String {
        match provider {
            "" if self.turned_away.is_empty() => String::new(),
            "" => format!(" -provider:{}", self.turned_away.join(",")),
            id => format!(" provider:{}", value_text(id)),
        }
    }

    /// Counts of each reason since the last review, or in 24 hours where there was none.
    fn refusals(&self, known: &Connected) -> Result<Vec<Fact>, Error> {
        let mut refusals: Vec<_> = known.refusals.iter().collect();
        refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal.last.1));
        let reasons = refusals.len();
        let mut facts = Vec::new();
        for refusal in refusals.into_iter().take(REASONS_MAX) {
            facts.push(self.refusal(known, refusal)?);
        }
        if reasons > REASONS_MAX {
            let text = format!("for {} more reasons", reasons - REASONS_MAX);
            facts.push(Fact {
                door: Some(Door {
                    list: List::Deliveries,
                    query: format!("is:rejected{}", self.of(&known.provider)),
                }),
                ..Fact::new("turned away", text, Meaning::Bad)
            });
        }
        let lost: i64 = known.lost.iter().map(|lost| lost.requests).sum();
        if lost > 0 {
            let text = format!("{} more that could not be kept", number(lost));
            facts.push(Fact::new("turned away", text, Meaning::Bad));
        }
        Ok(facts)
    }

    fn refusal(&self, known: &Connected, refusal: &Refusals) -> Result<Fact, Error> {
        let all = format!(
            "is:rejected{} reason:{}",
            self.of(&known.provider),
            literal_text(&refusal.reason)
        );
        let (since, words) = match self.last_review {
            Some(_) => ("last-review", "since your last review"),
            None => ("24h", "in 24 hours"),
        };
        let recent = format!("{all} since:{since}");
        let (of_all, of_recent) = (self.count(&all)?, self.count(&recent)?);
        let (count, query, words) = match (of_recent, of_all) {
            (0, count) => (count, all, "in 14 days".to_owned()),
            (count, of_all) if count == of_all => (count, recent, words.to_owned()),
            (count, of_all) => {
                let of_all = cell::number(of_all);
                (count, recent, format!("{words}, {of_all} in 14 days"))
            }
        };
        let text = format!(
            "{} {words}, last {}{}: {}",
            cell::number(count),
            self.when.ago(refusal.last.1),
            on(&refusal.hook),
            told(&refusal.reason)
        );
        Ok(Fact {
            hint: self.hint(known, refusal)?,
            door: Some(Door {
                list: List::Deliveries,
                query,
            }),
            count: Some(count),
            ..Fact::new("turned away", text, Meaning::Bad)
        })
    }

    fn hint(&self, known: &Connected, refusal: &Refusals) -> Result<Option<&'static str>, Error> {
        let was_valid = self
            .reader
            .let_in(&known.provider, &refusal.path)?
            .is_some();
        Ok(advice(&refusal.reason, was_valid))
    }

    /// How many deliveries the list behind a line has.
    fn count(&self, query: &str) -> Result<u64, Error> {
        let words = Words {
            now: self.when.now,
            zone: self.when.zone,
            list: List::Deliveries,
            last_review: self.last_review,
            stored: &self.stored,
        };
        let query =
            Query::parse(query, &words).map_err(|error| Error::Refused(error.to_string()))?;
        let count = self.reader.count(List::Deliveries, &query, COUNT_MAX)?;
        Ok(count.number())
    }

    /// What still comes on the old secrets of an account whose secrets are being changed.
    fn old_secrets(&self, known: &Connected) -> Result<Vec<Fact>, Error> {
        let who = (known.provider.as_str(), known.account.as_str());
        let mut cards = self.links.iter();
        let card = cards.find(|card| (card.provider.as_str(), card.account.as_str()) == who);
        let Some(card) = card.filter(|card| !card.several.is_empty()) else {
            return Ok(Vec::new());
        };
        let came = self.reader.came(who.0, who.1, self.when.now)?;
        let said = card
            .several
            .iter()
            .map(|key| key.said(who, &came, self.when));
        Ok(said
            .map(|(title, text, meaning)| Fact::new(&title, text, meaning))
            .collect())
    }
}

fn on(hook: &str) -> String {
    match hook {
        "" => String::new(),
        hook => format!(" on {hook}"),
    }
}

fn number(count: i64) -> String {
    cell::number(u64::try_from(count).unwrap_or(0))
}

fn state(known: &Connected, is_shared: bool, when: When) -> (String, Meaning) {
    let refused: i64 = known.refusals.iter().map(|refusal| refusal.requests).sum();
    match (&known.last, &known.quiet) {
        (Some((_, _, hook)), Some(quiet)) => {
            let gap = span(quiet.gap_ms);
            (
                format!("quiet for {gap}, last{}", on(hook)),
                Meaning::Warning,
            )
        }
        (Some((_, at, hook)), None) => {
            let ago = when.ago(*at);
            (format!("last webhook {ago}{}", on(hook)), Meaning::Good)
        }
        (None, _) if known.provider.is_empty() => {
            (format!("{} turned away", number(refused)), Meaning::Bad)
        }
        (None, _) if refused > 0 && !is_shared => {
            let text = format!("{} turned away, none let in yet", number(refused));
            (text, Meaning::Bad)
        }
        (None, _) if known.tests > 0 => {
            let last = known.last_test.as_ref();
            let last = last.map_or_else(String::new, |(_, at, hook)| {
                format!(", the last {}{}", when.ago(*at), on(hook))
            });
            (format!("only tests so far{last}"), Meaning::Warning)
        }
        (None, _) if !known.checks.is_empty() => {
            ("link tried, no webhook yet".to_owned(), Meaning::Warning)
        }
        (None, _) => ("not connected: no webhook yet".to_owned(), Meaning::Warning),
    }
}

fn proofs(known: &Connected, when: When) -> Vec<Fact> {
    let of_all: i64 = known.proofs.iter().map(|(_, count)| count).sum();
    let mut facts: Vec<_> = known
        .proofs
        .iter()
        .take(3)
        .map(|(credential, count)| {
            let text = if *count == of_all {
                spoken(credential)
            } else {
                let (count, of_all) = (number(*count), number(of_all));
                format!("{} ({count} of the last {of_all})", spoken(credential))
            };
            Fact::new("proof in force", text, Meaning::Plain)
        })
        .collect();
    facts.extend(known.checks.iter().take(3).map(|check| {
        let times = match check.requests {
            1 => "once".to_owned(),
            times => format!("{} times", number(times)),
        };
        let text = format!(
            "{times}{}, last {}",
            on(&check.hook),
            when.ago(check.last_at)
        );
        Fact::new("link tried", text, Meaning::Plain)
    }));
    facts
}

/// A reason as Today and the list of webhooks tell it too; earlier ledgers call the secret link a path key.
fn told(reason: &str) -> String {
    reason.replace("path key", "secret link")
}

/// A credential in the publisher's words: `path_key+basic:unchecked`.
fn spoken(stored: &str) -> String {
    stored
        .replace("path_key", "secret link")
        .replace("basic", "user and password")
        .replace('+', " and ")
        .replace(":unchecked", " (not checked)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_said_in_the_publishers_words() {
        assert_eq!(
            spoken("path_key#2+basic:unchecked"),
            "secret link#2 and user and password (not checked)"
        );
        let reason = "basic: user right, password wrong; path key right";
        let shown = "basic: user right, password wrong; secret link right";
        assert_eq!(told(reason), shown);
    }
}
