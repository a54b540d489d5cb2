//! Answers to what the screen asks for, from the store's `Reader`: the one file that turns what the store says into
//! what the screens show.

use std::path::Path;
use std::sync::Arc;

use crate::domain::page::{Cell, Cursor, List, Page, Row};
use crate::domain::remedy::remedy;
use crate::domain::time::{Timestamp, span};
use crate::store::query::{Connected, Kinds, Reader};
use crate::store::today::backup_words;
use crate::store::{Error, lock};
use crate::tui::LinkCard;
use crate::tui::app::message::{COUNT_MAX, Effect, From, Load, Msg, Opened};
use crate::tui::cell::{self, When};
use crate::tui::facts::{Arrived, Connection, Status};
use crate::tui::lookup;
use crate::tui::picker::KEYS;
use crate::tui::record::{Gone, Raw};
use crate::tui::theme::Meaning;
use crate::tui::window::Newer;
use crate::tui::{Known, today};

/// So many new rows are counted one by one.
const NEWER_MAX: usize = 99;

/// Takes answers.
pub type Tell<'a> = &'a mut dyn FnMut(Msg) -> Result<(), Error>;

/// What there is to know when a ledger has just been opened.
pub fn opened(reader: &Reader, path: &Path, now: Timestamp) -> Result<Opened, Error> {
    Ok(Opened {
        zone: reader.zone()?,
        mask: reader.mask()?,
        vocabulary: reader.vocabulary()?,
        last_review: reader.last_review()?,
        status: status(reader, path, now)?,
    })
}

/// The state of the ledger and of whoever writes to it.
pub fn status(reader: &Reader, path: &Path, now: Timestamp) -> Result<Status, Error> {
    let status = reader.status(now)?;
    let behind = status.last_seq.saturating_sub(status.folded_seq);
    let last_backup = match reader.backup_standing()?.last() {
        Some(at) => Some(backup_words(at, now, reader.zone()?)),
        None => None,
    };
    Ok(Status {
        arrived: match status.last_seq {
            _ if status.connected || status.demo => Arrived::Real,
            1.. => Arrived::Tests,
            _ => Arrived::Nothing,
        },
        demo: status.demo,
        last_received_at: status.last_received_at,
        behind: u64::try_from(behind).unwrap_or(0),
        lost: u64::try_from(status.lost).unwrap_or(0),
        running: lock::holder(path).is_some(),
        last_backup,
    })
}

/// Answers one request, perhaps with several messages. `Error::Interrupted` where it was not wanted any more.
pub fn answer(
    reader: &Reader,
    path: &Path,
    now: Timestamp,
    links: &[LinkCard],
    known: &Known,
    effect: &Effect,
    tell: Tell<'_>,
) -> Result<(), Error> {
    match effect {
        Effect::Load(load) => {
            let (page, newer) = rows(reader, load)?;
            tell(Msg::Page {
                ticket: load.ticket,
                page: Ok(page),
                newer,
            })
        }
        Effect::Count {
            ticket,
            list,
            query,
        } => tell(Msg::Count {
            ticket: *ticket,
            count: reader.count(*list, query, COUNT_MAX)?,
        }),
        Effect::Raw { list, row, kinds } => tell(Msg::Raw {
            of: (*list, row.key.clone()),
            raw: belongings(reader, *list, row, *kinds)?.map(Box::new),
        }),
        Effect::Choices { .. } | Effect::Find { .. } | Effect::Hiding { .. } => {
            about_filter(reader, effect, tell)
        }
        Effect::Today(period) => tell(Msg::Today(
            period.clone(),
            today::read(reader, path, period, now, known)?,
        )),
        Effect::Connections => {
            let when = When {
                now,
                zone: reader.zone()?,
            };
            let mut told = Vec::new();
            for known in reader.connections(now)? {
                let old = old_secrets(reader, &known, links, when)?;
                told.push(connection(known, old, when));
            }
            tell(Msg::Connections(told))
        }
        Effect::Status => {
            tell(Msg::Words(reader.vocabulary()?, reader.last_review()?))?;
            tell(Msg::Views(reader.views()?))?;
            tell(Msg::Status(status(reader, path, now)?))
        }
        Effect::Export(_)
        | Effect::Task(_)
        | Effect::Copy(_)
        | Effect::Keep(_)
        | Effect::Suspend
        | Effect::Redraw
        | Effect::Leave(_) => Ok(()),
    }
}

/// What can be chosen, found or dropped.
fn about_filter(reader: &Reader, effect: &Effect, tell: Tell<'_>) -> Result<(), Error> {
    match effect {
        Effect::Choices {
            ticket,
            list,
            query,
        } => {
            for (key, name, _) in KEYS {
                let choices = if key.lists().contains(list) {
                    reader.choices(*list, query, name)?
                } else {
                    Vec::new()
                };
                tell(Msg::Choices {
                    ticket: *ticket,
                    key: name,
                    choices,
                })?;
            }
            Ok(())
        }
        Effect::Find {
            ticket,
            list,
            query,
            from,
            newer,
        } => {
            let found = reader.next_match(*list, query, from, *newer)?;
            tell(Msg::Found {
                ticket: *ticket,
                found: found.map(|found| (found.row.key, found.wrapped)),
            })
        }
        Effect::Hiding {
            ticket,
            list,
            query,
        } => tell(Msg::Hiding {
            ticket: *ticket,
            part: reader.hiding_part(*list, query)?,
        }),
        _ => Ok(()),
    }
}

/// What to say where a request cannot be answered for what it asks; `None` where nothing waits for it.
pub fn refused(effect: &Effect, why: &str) -> Option<Msg> {
    match effect {
        Effect::Load(load) => Some(Msg::Page {
            ticket: load.ticket,
            page: Err(why.to_owned()),
            newer: Newer::default(),
        }),
        Effect::Today(_) | Effect::Connections => Some(Msg::Done(Err(why.to_owned()))),
        _ => None,
    }
}

fn rows(reader: &Reader, load: &Load) -> Result<(Page, Newer), Error> {
    let page = |cursor: &Cursor, limit| {
        reader.light_page_in(load.list, &load.query, load.order, cursor, limit)
    };
    let found = match &load.from {
        From::Cursor(cursor) => page(cursor, load.limit)?,
        From::Id(id) => match reader.key_of(load.list, *id)? {
            Some(key) => page(&Cursor::From(key), load.limit)?,
            // Gone, or never there: what is there is shown from the newest.
            None => page(&Cursor::First, load.limit)?,
        },
    };
    let newer = match &load.head {
        None => Newer::default(),
        Some(head) => {
            let newer = page(&Cursor::Before(head.clone()), NEWER_MAX)?;
            Newer {
                rows: newer.rows.len(),
                more: newer.more_before,
            }
        }
    };
    Ok((found, newer))
}

/// All that belongs to a row.
fn belongings(reader: &Reader, list: List, row: &Row, kinds: Kinds) -> Result<Option<Raw>, Error> {
    lookup::complete(reader, list, row, kinds, raw(reader, list, row)?)
}

/// The webhook behind a row, if it is one alone.
fn raw(reader: &Reader, list: List, row: &Row) -> Result<Option<Raw>, Error> {
    let seq = match list {
        List::Deliveries => Some(row.key.id),
        _ => cell::field(list, row, "seq").and_then(Cell::as_int),
    };
    match seq {
        Some(id) if id < 0 => Ok(reader.rejected(-id)?.map(|rejected| {
            let mut notes = vec![(
                "asked for".to_owned(),
                format!("{} {}", rejected.method, rejected.path),
            )];
            if let Some(seq) = rejected.admitted_seq {
                notes.push((
                    "taken in".to_owned(),
                    format!("after all, as delivery {seq}"),
                ));
            }
            let reason = cell::text_field(List::Deliveries, &rejected.row, "reason");
            Raw {
                hint: hint(reason.unwrap_or_default(), -id, rejected.body.is_some())
                    .filter(|_| rejected.admitted_seq.is_none()),
                notes,
                headers: rejected.headers,
                gone: match cell::field(List::Deliveries, &rejected.row, "body_bytes") {
                    Some(Cell::Int(bytes)) if rejected.body.is_none() => {
                        Some(Gone::NotKept(*bytes))
                    }
                    _ => None,
                },
                body: rejected.body.map(Arc::from),
                ..Raw::default()
            }
        })),
        Some(seq) => Ok(reader.delivery(seq)?.map(|delivery| {
            Raw {
            hint: match cell::text_field(List::Deliveries, &delivery.row, "outcome") {
                Some("quarantined") => Some(
                    "it is kept whole; `subledger quarantine retry` reads it again after an upgrade"
                        .to_owned(),
                ),
                _ => None,
            },
            headers: delivery.headers,
            gone: delivery.body.is_none().then(|| {
                let at = cell::text_field(List::Deliveries, &delivery.row, "erased_at");
                Gone::Erased(at.and_then(Timestamp::parse))
            }),
            body: delivery.body.map(Arc::from),
            events: delivery.events,
            ..Raw::default()
        }
        })),
        None => Ok(None),
    }
}

/// What to do about a request that was turned away for `reason`; one whose body was not kept cannot be taken in.
fn hint(reason: &str, id: i64, is_kept: bool) -> Option<String> {
    let first = remedy(reason);
    let admit = is_kept.then(|| {
        format!("if it is genuine, `subledger rejected admit {id}` judges it again and takes it in")
    });
    match (first, admit) {
        (Some(first), Some(admit)) => Some(format!("{first}; {admit}")),
        (first, admit) => first.map(str::to_owned).or(admit),
    }
}

/// What still comes on the old secrets of an account whose secrets are being changed.
fn old_secrets(
    reader: &Reader,
    known: &Connected,
    links: &[LinkCard],
    when: When,
) -> Result<Vec<Said>, Error> {
    let who = (known.provider.as_str(), known.account.as_str());
    let mut cards = links.iter();
    let Some(card) = cards.find(|card| (card.provider.as_str(), card.account.as_str()) == who)
    else {
        return Ok(Vec::new());
    };
    if card.several.is_empty() {
        return Ok(Vec::new());
    }
    let came = reader.came(who.0, who.1, when.now)?;
    let several = card.several.iter();
    Ok(several.map(|key| key.said(who, &came, when)).collect())
}

fn connection(known: Connected, old: Vec<Said>, when: When) -> Connection {
    let mut lines = traffic(&known, when);
    lines.extend(refusals(&known, when));
    lines.extend(proofs(&known, when));
    Connection {
        old,
        state: state(&known, when),
        refused: turned_away(&known, when),
        lines,
        provider: known.provider,
        account: known.account,
    }
}

fn state(known: &Connected, when: When) -> (String, Meaning) {
    match (&known.last, &known.quiet) {
        (Some((_, _, hook)), Some(quiet)) => {
            let gap = span(quiet.gap_ms);
            (format!("quiet for {gap}, last on {hook}"), Meaning::Warning)
        }
        (Some((_, at, hook)), None) => {
            let ago = when.ago(*at);
            (format!("last webhook {ago} on {hook}"), Meaning::Good)
        }
        (None, _) if !known.checks.is_empty() => {
            ("link tried, no webhook yet".to_owned(), Meaning::Warning)
        }
        (None, _) => ("not connected: no webhook yet".to_owned(), Meaning::Warning),
    }
}

/// What was turned away last, unless a webhook has come through since.
fn turned_away(known: &Connected, when: When) -> Option<String> {
    let last = known.refusals.iter().max_by_key(|refusal| refusal.last.1)?;
    let through = known
        .last
        .as_ref()
        .is_some_and(|(_, at, _)| *at > last.last.1);
    (!through).then(|| {
        format!(
            "{} on {}, {}",
            when.ago(last.last.1),
            last.hook,
            proof_words(&last.reason)
        )
    })
}

type Said = (String, String, Meaning);

fn said(title: &str, text: String, meaning: Meaning) -> Said {
    (title.to_owned(), text, meaning)
}

fn counted(count: i64) -> String {
    cell::number(u64::try_from(count).unwrap_or(0))
}

fn traffic(known: &Connected, when: When) -> Vec<Said> {
    let mut lines = Vec::new();
    if let Some((_, at, hook)) = &known.last {
        let text = format!("{} on {hook}", when.ago(*at));
        lines.push(said("last webhook", text, Meaning::Plain));
        let (day, all) = (counted(known.day), counted(known.deliveries));
        let text = format!("{day} in 24 hours, {all} in all");
        lines.push(said("webhooks", text, Meaning::Plain));
    }
    if let Some(quiet) = &known.quiet {
        let (gap, longest) = (span(quiet.gap_ms), span(quiet.longest_ms));
        let text = format!("for {gap}; its longest gap in 28 days was {longest}");
        lines.push(said("quiet", text, Meaning::Warning));
    }
    lines
}

fn refusals(known: &Connected, when: When) -> Vec<Said> {
    let mut refusals: Vec<_> = known.refusals.iter().collect();
    refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal.last.1));
    let mut lines: Vec<_> = refusals
        .into_iter()
        .take(3)
        .map(|refusal| {
            let text = format!(
                "{} on {}, {}, last {}",
                counted(refusal.requests),
                refusal.hook,
                proof_words(&refusal.reason),
                when.ago(refusal.last.1)
            );
            said("turned away", text, Meaning::Bad)
        })
        .collect();
    let lost: i64 = known.lost.iter().map(|lost| lost.requests).sum();
    if lost > 0 {
        let text = format!("{} more that could not be kept", counted(lost));
        lines.push(said("turned away", text, Meaning::Bad));
    }
    lines
}

fn proofs(known: &Connected, when: When) -> Vec<Said> {
    let of_all: i64 = known.proofs.iter().map(|(_, count)| count).sum();
    let mut lines: Vec<_> = known
        .proofs
        .iter()
        .take(3)
        .map(|(credential, count)| {
            let text = if *count == of_all {
                proof_words(credential)
            } else {
                let (count, of_all) = (counted(*count), counted(of_all));
                format!("{} ({count} of the last {of_all})", proof_words(credential))
            };
            said("proof in force", text, Meaning::Plain)
        })
        .collect();
    lines.extend(known.checks.iter().take(3).map(|check| {
        let times = match check.requests {
            1 => "once".to_owned(),
            times => format!("{} times", counted(times)),
        };
        let text = format!(
            "{times} on {}, last {}",
            check.hook,
            when.ago(check.last_at)
        );
        said("link tried", text, Meaning::Plain)
    }));
    lines
}

/// `path_key+basic:unchecked` in the publisher's words.
fn proof_words(credential: &str) -> String {
    credential
        .replace("path_key", "secret link")
        .replace("path key", "secret link")
        .replace("basic", "API key")
        .replace('+', " and ")
        .replace(":unchecked", " (not checked)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_said_in_the_publishers_words() {
        assert_eq!(
            proof_words("path_key#2+basic:unchecked"),
            "secret link#2 and API key (not checked)"
        );
    }

    #[test]
    fn a_reason_comes_with_what_to_do() {
        let said = hint("path key wrong", 4, true).unwrap();
        assert!(said.starts_with("its secret link") && said.contains("rejected admit 4"));
        let unknown = "nothing is at this path; the nearest is /hooks/zotlo/events";
        let said = hint(unknown, 4, false).unwrap();
        assert!(said.contains("correct the link") && !said.contains("admit"));
        let newline = "signature right if the body had no trailing newline";
        assert!(hint(newline, 4, true).unwrap().contains("line break"));
        assert_eq!(hint("odd", 4, false), None);
    }
}
