//! Answers to what the screen asks for, from the store's `Reader`: the one file that turns what the store says into
//! what the screens show.

use std::path::Path;
use std::sync::Arc;

use crate::domain::page::{Cell, Cursor, List, Page, Row};
use crate::domain::remedy::advice;
use crate::domain::time::Timestamp;
use crate::store::query::{Kinds, Reader};
use crate::store::today::backup_words;
use crate::store::{Error, lock};
use crate::tui::LinkCard;
use crate::tui::app::message::{COUNT_MAX, Effect, From, Load, Msg, Opened};
use crate::tui::cell;
use crate::tui::facts::{Arrived, Status};
use crate::tui::lookup;
use crate::tui::picker::KEYS;
use crate::tui::record::{Gone, Raw};
use crate::tui::search::{RANK_MAX, Rank};
use crate::tui::window::Newer;
use crate::tui::{Known, connected, today};

/// So many new rows are counted one by one.
const NEWER_MAX: usize = 99;

/// Takes answers.
pub type Tell<'a> = &'a mut dyn FnMut(Msg) -> Result<(), Error>;

/// What there is to know when a ledger has just been opened; what filters can name only `with_words`, as that is looked
/// for in many places of the file.
pub fn opened(
    reader: &Reader,
    path: &Path,
    now: Timestamp,
    with_words: bool,
) -> Result<Opened, Error> {
    Ok(Opened {
        zone: reader.zone()?,
        mask: reader.mask()?,
        vocabulary: with_words.then(|| reader.vocabulary()).transpose()?,
        last_review: reader.last_review()?,
        status: status(reader, path, now)?,
    })
}

/// The state of the ledger and of whoever writes to it.
pub fn status(reader: &Reader, path: &Path, now: Timestamp) -> Result<Status, Error> {
    let status = reader.status(now)?;
    let behind = status.last_seq.saturating_sub(status.folded_seq);
    let holder = lock::holder(path);
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
        running: holder.is_some(),
        listens: holder
            .filter(|holder| !holder.listen.is_empty())
            .map(|holder| (holder.listen, holder.pid)),
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
        Effect::Weigh {
            ticket,
            list,
            query,
        } => tell(Msg::Weighed {
            ticket: *ticket,
            count: reader.count(*list, query, COUNT_MAX)?,
        }),
        Effect::Raw { list, row, kinds } => tell(Msg::Raw {
            of: (*list, row.key.clone()),
            raw: belongings(reader, *list, row, *kinds)?.map(Box::new),
        }),
        Effect::Choices { .. }
        | Effect::Find { .. }
        | Effect::Rank { .. }
        | Effect::Hiding { .. } => about_filter(reader, effect, tell),
        Effect::Today(period) => tell(Msg::Today(
            period.clone(),
            today::read(reader, path, period, now, known)?,
        )),
        Effect::Connections => {
            let told = connected::read(reader, now, links, &known())?;
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
        Effect::Rank {
            ticket,
            list,
            query,
            order,
            key,
        } => {
            let cursor = Cursor::Before(key.clone());
            let before = reader.light_page_in(*list, query, *order, &cursor, RANK_MAX)?;
            let rank = Rank {
                list: *list,
                key: key.clone(),
                before: (!before.more_before).then_some(before.rows.len()),
                all: reader.count(*list, query, RANK_MAX as u64)?,
            };
            tell(Msg::Ranked {
                ticket: *ticket,
                rank,
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
        Effect::Today(_) | Effect::Connections => Some(Msg::Refused(why.to_owned())),
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
        Some(id) if id < 0 => reader.rejected(-id)?.map(|rejected| {
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
            let text = |name| cell::text_field(List::Deliveries, &rejected.row, name);
            let provider = text("provider").unwrap_or_default();
            let was_valid = reader.let_in(provider, &rejected.path)?.is_some();
            let reason = text("reason");
            Ok(Raw {
                hint: hint(reason.unwrap_or_default(), was_valid, -id, rejected.body.is_some())
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
            })
        }).transpose(),
        Some(seq) => Ok(reader.delivery(seq)?.map(|delivery| {
            Raw {
            hint: match cell::text_field(List::Deliveries, &delivery.row, "outcome") {
                Some("quarantined") => Some(
                    "it is kept whole; r here or `subledger quarantine retry` reads it again, and an upgrade does"
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
fn hint(reason: &str, was_valid: bool, id: i64, is_kept: bool) -> Option<String> {
    let first = advice(reason, was_valid);
    let admit = is_kept.then(|| {
        format!(
            "if it is genuine, a here or `subledger rejected admit {id}` judges it again and takes it in"
        )
    });
    match (first, admit) {
        (Some(first), Some(admit)) => Some(format!("{first}; {admit}")),
        (first, admit) => first.map(str::to_owned).or(admit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_comes_with_what_to_do() {
        let said = hint("secret link wrong", false, 4, true).unwrap();
        assert!(said.starts_with("its secret link") && said.contains("rejected admit 4"));
        let unknown = "nothing is at this path; the nearest is /hooks/zotlo/events";
        let said = hint(unknown, false, 4, false).unwrap();
        assert!(said.contains("correct the link") && !said.contains("admit"));
        let newline = "signature right if the body had no trailing newline";
        assert!(
            hint(newline, false, 4, true)
                .unwrap()
                .contains("line break")
        );
        assert_eq!(hint("odd", false, 4, false), None);
    }
}
