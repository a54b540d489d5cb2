//! Whom an erasure means, and what it takes: looked at by whoever asks before, and by the erasure itself.
//!
//! A delivery is erased whole if an event of it is about the reader, if it repeats one that is, or if it names the
//! reader and is about nobody else. One that names them and is about another reader stays, and is told of.

use std::borrow::Cow;
use std::collections::BTreeSet;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::store::Error;
use crate::store::query::Reader;
use crate::store::query::who::{
    Match, Needles, Who, deliveries_of, matches, naming_deliveries, naming_rejected, similar, text,
    told_by,
};
use crate::store::upkeep::erase::is_pending;
use crate::store::upkeep::erasures::{self, Line, Sealer};
use crate::store::upkeep::reapply;

/// Who is sought, as it is written down until the erasure is finished.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sought {
    provider: Option<String>,
    account: Option<String>,
    text: String,
    /// Provider, account and id of everyone meant.
    readers: Vec<[String; 3]>,
    /// What their bodies are recognised by.
    words: BTreeSet<String>,
}

impl Sought {
    pub(crate) fn of(conn: &Connection, who: &Who, found: &[Match]) -> Result<Self, Error> {
        let mut words = BTreeSet::from([who.text.clone()]);
        for one in found {
            words.extend(told_by(conn, one)?);
        }
        Ok(Self {
            provider: who.provider.clone(),
            account: who.account.clone(),
            text: who.text.clone(),
            readers: found
                .iter()
                .map(|one| {
                    [
                        one.provider.clone(),
                        one.account.clone(),
                        one.user_id.clone(),
                    ]
                })
                .collect(),
            words,
        })
    }

    pub(crate) fn needles(&self) -> Needles {
        Needles::of_texts(self.words.iter().map(String::as_str))
    }

    /// Hashes of what nothing may bring back: every id and alias in its account, and what was asked for.
    pub(crate) fn marks(
        &self,
        conn: &Connection,
        sealer: &Sealer,
        until: &str,
    ) -> Result<Vec<Line>, Error> {
        let mut marks = Vec::new();
        let who = self.who();
        // Of an account without a provider, only the readers' own places are meant, never everywhere.
        let has_a_place = who.provider.is_some() || who.account.is_none();
        if has_a_place {
            marks.push(Line::reader(
                &sealer.reader(asked_at(&who), &self.text),
                until,
            ));
        }
        for [provider, account, user_id] in &self.readers {
            let place = Some((provider.as_str(), account.as_str()));
            if !has_a_place {
                marks.push(Line::reader(&sealer.reader(place, &self.text), until));
            }
            marks.push(Line::reader(&sealer.reader(place, user_id), until));
            let mut aliases = conn.prepare_cached(
                "select alias from user_aliases where provider = ?1 and account = ?2 and user_id = ?3",
            )?;
            let mut rows = aliases.query([provider, account, user_id])?;
            while let Some(row) = rows.next()? {
                let alias = text(row, 0)?;
                marks.push(Line::reader(&sealer.reader(place, &alias), until));
            }
        }
        Ok(marks)
    }

    /// Whether an event of delivery `seq` is about somebody else.
    fn is_about_others(&self, conn: &Connection, seq: i64) -> Result<bool, Error> {
        let people = people(conn, seq)?;
        Ok(!people.is_empty() && people.iter().all(|person| !self.readers.contains(person)))
    }

    /// Why delivery `seq`, which names the reader, stays all the same; `None` if it goes.
    pub(crate) fn stays(&self, conn: &Connection, seq: i64) -> Result<Option<Stays>, Error> {
        if self.is_about_others(conn, seq)? {
            return Ok(Some(Stays::AboutOthers));
        }
        let who = self.who();
        let is_meant = conn
            .prepare_cached("select provider, account from deliveries where seq = ?1")?
            .query_row([seq], |row| Ok(who.admits(&text(row, 0)?, &text(row, 1)?)))?;
        Ok((!is_meant && people(conn, seq)?.is_empty()).then_some(Stays::Elsewhere))
    }

    /// Whether a request that was turned away at `provider`, in whatever account, is meant.
    pub(crate) fn is_at(&self, provider: &str) -> bool {
        self.provider.as_deref().is_none_or(|own| own == provider)
    }

    fn who(&self) -> Who {
        Who {
            provider: self.provider.clone(),
            account: self.account.clone(),
            text: self.text.clone(),
        }
    }
}

/// Why a delivery that names the reader stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stays {
    /// It is about other readers.
    AboutOthers,
    /// It came to a provider or account that was not named, and is about nobody known.
    Elsewhere,
}

/// Everyone whom an event of delivery `seq` is about, or of the one that it repeats.
fn people(conn: &Connection, seq: i64) -> Result<Vec<[String; 3]>, Error> {
    let mut statement = conn.prepare_cached(
        "select e.provider, e.account, e.user_id from deliveries d
         cross join events e on e.id >= coalesce(d.duplicate_of, d.seq) * 10000
           and e.id < (coalesce(d.duplicate_of, d.seq) + 1) * 10000
         where d.seq = ?1 and e.users_id is not null",
    )?;
    let people = statement.query_map([seq], |row| {
        Ok([text(row, 0)?, text(row, 1)?, text(row, 2)?].map(Cow::into_owned))
    })?;
    Ok(people.collect::<rusqlite::Result<_>>()?)
}

/// Where what was asked for holds: everywhere, or at one provider, or in one account of it.
fn asked_at(who: &Who) -> erasures::Place<'_> {
    let provider = who.provider.as_deref()?;
    Some((provider, who.account.as_deref().unwrap_or_default()))
}

/// What an erasure takes, before it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Everyone meant.
    pub readers: Vec<Match>,
    /// Deliveries and events of each, in the same order.
    pub counts: Vec<(i64, i64)>,
    /// Deliveries that are erased.
    pub deliveries: BTreeSet<i64>,
    /// Events that stay as a residue.
    pub events: i64,
    /// Requests that were turned away and name them.
    pub rejected: Vec<i64>,
    /// Saved filters that name them.
    pub views: Vec<String>,
    /// Deliveries that name them and are about others: they stay.
    pub others: Vec<i64>,
    /// Deliveries that name them at providers and accounts that were not named, about nobody known: they stay.
    pub elsewhere: Vec<i64>,
    /// Readers who may be meant and were not named: they stay.
    pub similar: Vec<Match>,
    /// Of the deliveries that are erased, those that are about others too.
    pub shared: Vec<i64>,
    /// Ids too short to be looked for in bodies.
    pub too_short: BTreeSet<String>,
}

impl Reach {
    /// There is nothing to erase.
    pub fn is_empty(&self) -> bool {
        self.readers.is_empty()
            && self.deliveries.is_empty()
            && self.rejected.is_empty()
            && self.views.is_empty()
    }
}

impl Reader {
    /// What erasing `who` would take; `told` hears how many deliveries were looked through.
    pub fn erasure(&self, who: &Who, told: &mut dyn FnMut(i64)) -> Result<Reach, Error> {
        self.with(|conn| reach(conn, who, told))
    }

    /// Whether an erasure was begun that is not finished.
    pub fn erasure_pending(&self) -> Result<bool, Error> {
        self.with(|conn| {
            let schema: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok(schema >= reapply::SINCE && is_pending(conn)?)
        })
    }

    /// Up to when everything about `who` was erased, by the hash that is kept of what was asked for.
    pub fn erased_until(&self, who: &Who) -> Result<Option<String>, Error> {
        self.with(|conn| {
            let has_a_place = who.provider.is_some() || who.account.is_none();
            let Some(sealer) = Sealer::load(conn)?.filter(|_| has_a_place) else {
                return Ok(None);
            };
            erasures::erased_until(conn, &sealer.reader(asked_at(who), &who.text))
        })
    }
}

fn reach(conn: &Connection, who: &Who, told: &mut dyn FnMut(i64)) -> Result<Reach, Error> {
    let readers = matches(conn, who)?;
    let sought = Sought::of(conn, who, &readers)?;
    let needles = sought.needles();
    let mut reach = Reach {
        similar: similar(conn, who)?,
        ..Reach::default()
    };
    for one in &readers {
        let own = deliveries_of(conn, one)?;
        let events = conn.query_row(
            "select count(*) from events indexed by events_user where provider = ?1 and account = ?2 and user_id = ?3",
            [&one.provider, &one.account, &one.user_id],
            |row| row.get(0),
        )?;
        reach
            .counts
            .push((i64::try_from(own.len()).unwrap_or(i64::MAX), events));
        reach.deliveries.extend(own);
    }
    reach.readers = readers;
    let mut after = 0;
    while !needles.is_empty() {
        let named = naming_deliveries(conn, &needles, after)?;
        for seq in named.found {
            if reach.deliveries.contains(&seq) || is_erased(conn, seq)? {
                continue;
            }
            match sought.stays(conn, seq)? {
                Some(Stays::AboutOthers) => reach.others.push(seq),
                Some(Stays::Elsewhere) => reach.elsewhere.push(seq),
                None => {
                    reach.deliveries.insert(seq);
                }
            }
        }
        let Some(to) = named.to else { break };
        after = to;
        told(after);
    }
    for seq in &reach.deliveries {
        let people = people(conn, *seq)?;
        if people.iter().any(|person| !sought.readers.contains(person)) {
            reach.shared.push(*seq);
        }
        let events: i64 = conn
            .prepare_cached("select count(*) from events where id >= ?1 * 10000 and id < (?1 + 1) * 10000 and test = 0")?
            .query_row([seq], |row| row.get(0))?;
        reach.events += events;
    }
    let mut after = 0;
    while !needles.is_empty() {
        let named = naming_rejected(conn, &needles, after)?;
        for id in named.found {
            if sought.is_at(&rejected_at(conn, id)?) {
                reach.rejected.push(id);
            }
        }
        let Some(to) = named.to else { break };
        after = to;
    }
    reach.views = views(conn, &needles)?
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    reach.too_short = needles.too_short;
    Ok(reach)
}

/// The provider of request `id`, which was turned away.
pub(crate) fn rejected_at(conn: &Connection, id: i64) -> Result<String, Error> {
    Ok(conn
        .prepare_cached("select provider from rejected where id = ?1")?
        .query_row([id], |row| text(row, 0).map(Cow::into_owned))?)
}

/// Whether delivery `seq` was erased before.
pub(crate) fn is_erased(conn: &Connection, seq: i64) -> Result<bool, Error> {
    Ok(conn
        .prepare_cached("select 1 from deliveries where seq = ?1 and erased_at is not null")?
        .exists([seq])?)
}

/// Names and texts of the saved filters that name the reader.
pub(crate) fn views(conn: &Connection, needles: &Needles) -> Result<Vec<(String, String)>, Error> {
    let mut statement = conn.prepare_cached("select name, query from views")?;
    let all = statement.query_map([], |row| {
        Ok((text(row, 0)?.into_owned(), text(row, 1)?.into_owned()))
    })?;
    let all: Vec<(String, String)> = all.collect::<rusqlite::Result<_>>()?;
    let names = |text: &str| needles.are_in(text.as_bytes());
    Ok(all
        .into_iter()
        .filter(|(name, query)| names(name) || names(query))
        .collect())
}
