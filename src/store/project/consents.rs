//! Rows of `consents` and `consent_changes`: what a reader agreed to, and how that came about.
//!
//! Imports domain. One entity is one reader, kind and app (MAPPING.md rule 11.8); the kind follows the type of event.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row, ToSql, params, params_from_iter};

use crate::domain::event::{ConsentFacts, ConsentKind, ConsentState, EventType, Scope as Stated};
use crate::domain::time::{Timestamp, Zone};
use crate::store::Error;
use crate::store::project::order::{
    Cell, Data, EVENTS_MAX, Place, Scope, counted, instant, is_row, json, kind, number, word,
    word_maybe,
};
use crate::store::project::recent::Recent;
use crate::store::project::weight;

/// One entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Entity {
    /// Whose it is.
    pub(super) scope: Scope,
    /// The reader.
    pub(super) user_id: String,
    /// Which of the five.
    pub(super) kind: ConsentKind,
    /// The app; the agreement; else empty.
    pub(super) app: String,
}

impl Entity {
    /// About the bytes that it takes in memory.
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + weight::text(&self.scope.provider)
            + weight::text(&self.scope.account)
            + weight::text(&self.user_id)
            + weight::text(&self.app)
    }
}

/// The kind of consent that an event of this type is about.
pub(super) fn kind_of(kind: EventType) -> Option<ConsentKind> {
    match kind.family() {
        "consent" => Some(ConsentKind::Consent),
        "agreement" => Some(ConsentKind::Agreement),
        "experiment" => Some(ConsentKind::Experiment),
        "identity" => Some(ConsentKind::Identity),
        "consent_evidence" => Some(ConsentKind::Evidence),
        _ => None,
    }
}

pub(super) const fn family(kind: ConsentKind) -> &'static str {
    match kind {
        ConsentKind::Consent => "consent",
        ConsentKind::Agreement => "agreement",
        ConsentKind::Experiment => "experiment",
        ConsentKind::Identity => "identity",
        ConsentKind::Evidence => "consent_evidence",
    }
}

/// What one event says.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Where it stands.
    pub(super) place: Place,
    /// Of a test delivery.
    pub(super) test: bool,
    /// The reader's e-mail, as told along.
    pub(super) email: Option<String>,
    /// The purposes.
    pub(super) facts: ConsentFacts,
}

impl Told {
    /// About the bytes that it takes in memory.
    fn bytes(&self) -> usize {
        let scopes = self.facts.scopes.iter().map(|stated| {
            size_of::<Stated>()
                + weight::text(&stated.purpose)
                + weight::texts([
                    &stated.method,
                    &stated.version,
                    &stated.evidence,
                    &stated.wording,
                ])
        });
        size_of::<Self>()
            + weight::text(&self.place.key)
            + weight::texts([&self.email])
            + weight::text(&self.facts.app)
            + scopes.sum::<usize>()
    }
}

/// The present state of one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Purpose {
    /// What it is.
    pub(super) state: ConsentState,
    /// Since when.
    pub(super) since: Timestamp,
    /// How it was told, in the provider's word.
    pub(super) method: Option<String>,
    /// Of the wording.
    pub(super) version: Option<String>,
    /// The provider's id of the proof.
    pub(super) evidence: Option<String>,
    /// The delivery that brought it.
    pub(super) seq: i64,
    /// Event id * 10000 + place in it.
    pub(super) id: i64,
}

/// One change of one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Event id * 10000 + place in it.
    pub(super) id: i64,
    /// The delivery that brought it.
    pub(super) seq: i64,
    /// When.
    pub(super) at: Timestamp,
    email: Option<String>,
    /// Of what.
    pub(super) purpose: String,
    /// From what; `None`: not known before.
    pub(super) before: Option<ConsentState>,
    /// To what.
    pub(super) after: ConsentState,
    /// How it was told, in the provider's word.
    pub(super) method: Option<String>,
    /// Of the wording.
    pub(super) version: Option<String>,
}

/// What an entity's events add up to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// By purpose.
    pub(super) purposes: BTreeMap<String, Purpose>,
    /// In their order.
    pub(super) changes: Vec<Change>,
}

/// Folds events in their order.
pub(super) fn fold(events: &[Told]) -> State {
    let mut state = State::default();
    for told in events {
        state.add(told);
    }
    state
}

impl State {
    /// About the bytes that its present takes in memory beside its own place.
    pub(super) fn bytes(&self) -> usize {
        weight::map(&self.purposes, |purpose, now| {
            weight::text(purpose) + weight::texts([&now.method, &now.version, &now.evidence])
        })
    }

    pub(super) fn add(&mut self, told: &Told) {
        let facts = &told.facts;
        let mut place = 0;
        for stated in &facts.scopes {
            let after = if facts.withdraws_all {
                ConsentState::Withdrawn
            } else {
                stated.state
            };
            self.take(told, stated, after, &mut place);
        }
        if facts.whole_set || facts.withdraws_all {
            let listed: BTreeSet<&str> = facts
                .scopes
                .iter()
                .map(|stated| stated.purpose.as_str())
                .collect();
            let gone: Vec<Stated> = self
                .purposes
                .keys()
                .filter(|purpose| !listed.contains(purpose.as_str()))
                .map(|purpose| left_out(purpose))
                .collect();
            for stated in gone {
                self.take(told, &stated, ConsentState::Withdrawn, &mut place);
            }
        }
    }

    /// One purpose takes a state; a change where it had another.
    fn take(&mut self, told: &Told, stated: &Stated, after: ConsentState, place: &mut i64) {
        let known = self.purposes.get_mut(&stated.purpose);
        let before = known.as_ref().map(|known| known.state);
        let (method, version, evidence) = known.as_ref().map_or_else(
            || {
                (
                    stated.method.clone(),
                    stated.version.clone(),
                    stated.evidence.clone(),
                )
            },
            |known| {
                (
                    stated.method.clone().or_else(|| known.method.clone()),
                    stated.version.clone().or_else(|| known.version.clone()),
                    stated.evidence.clone().or_else(|| known.evidence.clone()),
                )
            },
        );
        if let Some(known) = known
            && known.state == after
        {
            (known.method, known.version, known.evidence) = (method, version, evidence);
            return;
        }
        let id = told.place.id() * EVENTS_MAX + *place;
        let since = since(told.place.at, before, after, stated);
        // There is no id for a change beyond the last place; the state is right without its row of history.
        if *place < EVENTS_MAX {
            self.changes.push(Change {
                id,
                seq: told.place.seq,
                at: since,
                email: told.email.clone(),
                purpose: stated.purpose.clone(),
                before,
                after,
                method: method.clone(),
                version: version.clone(),
            });
        }
        *place += 1;
        let purpose = Purpose {
            state: after,
            since,
            method,
            version,
            evidence,
            seq: told.place.seq,
            id,
        };
        self.purposes.insert(stated.purpose.clone(), purpose);
    }
}

fn left_out(purpose: &str) -> Stated {
    Stated {
        purpose: purpose.to_owned(),
        state: ConsentState::Withdrawn,
        method: None,
        version: None,
        evidence: None,
        given_at: None,
        revoked_at: None,
        wording: None,
    }
}

/// When a state began: as stated for a first given and a withdrawal, unless that is later than the event itself.
fn since(
    at: Timestamp,
    before: Option<ConsentState>,
    after: ConsentState,
    stated: &Stated,
) -> Timestamp {
    let told = match (before, after) {
        (None, ConsentState::Given) => stated.given_at,
        (_, ConsentState::Withdrawn) => stated.revoked_at,
        _ => None,
    };
    told.filter(|told| *told <= at).unwrap_or(at)
}

pub(super) const TOLD: &str = "\
select e.seq, e.n, e.type, e.at, e.test, e.email, e.data, d.dedupe_key
from events e cross join deliveries d on d.seq = e.seq
where e.provider = ?1 and e.account = ?2 and e.user_id = ?3 and e.type >= ?4 and e.type < ?5
  and (substr(e.type, 1, 4) in ('subs', 'cons', 'agre', 'expe', 'iden') or e.type = 'payment.refunded')";

pub(super) fn told(row: &Row<'_>) -> rusqlite::Result<Option<Told>> {
    let Some(facts) = facts_of(6, row.get_ref(6)?.as_str()?)? else {
        return Ok(None);
    };
    Ok(Some(Told {
        place: Place {
            at: instant(row, 3)?,
            rank: kind(row, 2)?.rank(),
            key: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
            n: row.get(1)?,
            seq: row.get(0)?,
        },
        test: row.get(4)?,
        email: row.get(5)?,
        facts,
    }))
}

/// The consent facts in the text of `events.data`, column `index`.
pub(super) fn facts_of(index: usize, data: &str) -> rusqlite::Result<Option<ConsentFacts>> {
    let data: Data<'_> = json(index, data)?;
    data.consent.map(|raw| json(index, raw.get())).transpose()
}

const ONE: &str = "\
select e.seq, e.n, e.type, e.at, e.test, e.email, e.data, d.dedupe_key
from events e cross join deliveries d on d.seq = e.seq
where e.id = ?1";

/// An entity of so many events is kept in memory once it has been folded: fewer are read again as fast. Tests
/// keep every one, so that short streams take the same path.
const KEPT_FROM: usize = if cfg!(test) { 1 } else { 16 };

/// Entities that were folded lately, so that later events are added to what there is.
#[derive(Debug)]
pub(super) struct Kept(Recent<Entity, Present>);

impl Kept {
    /// Keeps so many bytes; an entity that takes more than half of them is not kept.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self(Recent::new(bytes_max))
    }

    fn put(&mut self, entity: &Entity, mut present: Present) {
        let mut bytes = entity.bytes() + present.bytes();
        if bytes > self.0.weight_max() && present.told.take().is_some() {
            bytes = entity.bytes() + present.bytes();
        }
        self.0.put(entity.clone(), present, bytes);
    }
}

/// An entity as far as it has been folded; its changes stand in their table alone.
#[derive(Debug)]
struct Present {
    state: State,
    /// Made of tests only.
    test: bool,
    /// Where the latest event that counts stands.
    last: Place,
    /// All events that count, in their order, where one came late and they are not too large.
    told: Option<Vec<Told>>,
}

impl Present {
    /// About the bytes that it takes in memory.
    fn bytes(&self) -> usize {
        let told = self.told.as_deref().map_or(0, bytes_of);
        size_of::<Self>() + weight::text(&self.last.key) + self.state.bytes() + told
    }

    /// Adds events, in their order, behind all that there are; what changed.
    fn add(&mut self, events: Vec<Told>) -> Vec<Change> {
        for told in &events {
            self.state.add(told);
            self.last.clone_from(&told.place);
        }
        if let Some(told) = &mut self.told {
            told.extend(events);
        }
        std::mem::take(&mut self.state.changes)
    }

    /// Adds events, in their order, among those that there are: the changes before and after. `None` if those are not
    /// kept.
    fn add_late(&mut self, events: &[Told]) -> Option<[Vec<Change>; 2]> {
        let mut told = self.told.take()?;
        let before = fold(&told).changes;
        told.extend_from_slice(events);
        told.sort_by(|a, b| a.place.cmp(&b.place));
        self.state = fold(&told);
        if let Some(last) = told.last() {
            self.last.clone_from(&last.place);
        }
        self.told = Some(told);
        Some([before, std::mem::take(&mut self.state.changes)])
    }
}

fn bytes_of(events: &[Told]) -> usize {
    events.iter().map(Told::bytes).sum()
}

/// Folds an entity on which the events `fresh` bear and writes what differs; whether it did.
pub(super) fn fold_on(
    conn: &Connection,
    zone: Zone,
    entity: &Entity,
    fresh: &BTreeSet<i64>,
    kept: &mut Kept,
) -> Result<bool, Error> {
    let Some(mut present) = kept.0.take(entity) else {
        return refold(conn, zone, entity, false, kept);
    };
    let mut events = Vec::new();
    for id in fresh {
        events.extend(conn.prepare_cached(ONE)?.query_row([id], told)?);
    }
    if present.test && events.iter().any(|told| !told.test) {
        return refold(conn, zone, entity, false, kept);
    }
    events.retain(|told| present.test || !told.test);
    events.sort_by(|a, b| a.place.cmp(&b.place));
    let before = present.state.purposes.clone();
    let is_late = events
        .first()
        .is_some_and(|told| told.place <= present.last);
    let (gone, new) = if is_late {
        let Some([was, is]) = present.add_late(&events) else {
            return refold(conn, zone, entity, true, kept);
        };
        differences(was, is)
    } else {
        (Vec::new(), present.add(events))
    };
    for id in &gone {
        conn.prepare_cached(DELETE_CHANGE)?.execute([id])?;
    }
    for change in &new {
        put_change(conn, zone, entity, change, present.test)?;
    }
    let mut wrote = !gone.is_empty() || !new.is_empty();
    for (purpose, now) in &present.state.purposes {
        if before.get(purpose) != Some(now) {
            put_purpose(conn, entity, purpose, now, present.test)?;
            wrote = true;
        }
    }
    kept.put(entity, present);
    Ok(wrote)
}

/// The ids of changes that are no more, or not as they were, and the changes that are new, or not as they were.
fn differences(was: Vec<Change>, is: Vec<Change>) -> (Vec<i64>, Vec<Change>) {
    let mut was: BTreeMap<i64, Change> = was.into_iter().map(|one| (one.id, one)).collect();
    let new = is
        .into_iter()
        .filter(|one| {
            let same = was.get(&one.id) == Some(one);
            if same {
                was.remove(&one.id);
            }
            !same
        })
        .collect();
    (was.into_keys().collect(), new)
}

/// Folds an entity again and writes what differs; whether it did.
/// Where an event came late, others will: the events are kept for them.
fn refold(
    conn: &Connection,
    zone: Zone,
    entity: &Entity,
    was_late: bool,
    kept: &mut Kept,
) -> Result<bool, Error> {
    let (events, test) = match gather(conn, entity, kept.0.weight_max())? {
        Gathered::All(events) => counted(events, |told| told.test),
        Gathered::Places(places) => return fold_one_by_one(conn, zone, entity, places, kept),
    };
    let mut state = fold(&events);
    let history = write_changes(conn, zone, entity, &state.changes, test)?;
    let present = write_purposes(conn, entity, &state.purposes, test)?;
    if let Some(last) = events.last().filter(|_| events.len() >= KEPT_FROM) {
        state.changes = Vec::new();
        let last = last.place.clone();
        let told = was_late.then_some(events);
        let present = Present {
            state,
            test,
            last,
            told,
        };
        kept.put(entity, present);
    }
    Ok(history | present)
}

/// The events of an entity in their order, or where each stands and whether it is a test, if all would take too much
/// memory.
enum Gathered {
    All(Vec<Told>),
    Places(Vec<(Place, bool)>),
}

fn gather(conn: &Connection, entity: &Entity, bytes_max: usize) -> Result<Gathered, Error> {
    let Scope { provider, account } = &entity.scope;
    let word = family(entity.kind);
    let mut statement = conn.prepare_cached(TOLD)?;
    let mut rows = statement.query(params![
        provider,
        account,
        entity.user_id,
        format!("{word}."),
        format!("{word}/")
    ])?;
    let (mut events, mut bytes, mut places) = (Vec::new(), 0, Vec::new());
    while let Some(row) = rows.next()? {
        let Some(told) = told(row)?.filter(|told| told.facts.app == entity.app) else {
            continue;
        };
        bytes += told.bytes();
        if bytes > bytes_max {
            let read = events.drain(..).chain([told]);
            places.extend(read.map(|told: Told| (told.place, told.test)));
        } else {
            events.push(told);
        }
    }
    if bytes > bytes_max {
        places.sort();
        return Ok(Gathered::Places(places));
    }
    events.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(Gathered::All(events))
}

const CHANGE_IDS: &str = "\
select id from consent_changes where provider = ?1 and account = ?2 and user_id = ?3 and kind = ?4 and app = ?5";

const CHANGE: &str = "\
select id, seq, at, email, purpose, before_state, after_state, method, version, test from consent_changes
where id = ?1";

/// Folds an entity again of whose events only one is in memory at a time, and writes what differs; whether it did.
fn fold_one_by_one(
    conn: &Connection,
    zone: Zone,
    entity: &Entity,
    places: Vec<(Place, bool)>,
    kept: &mut Kept,
) -> Result<bool, Error> {
    let (places, test) = counted(places, |(_, test)| *test);
    let Scope { provider, account } = &entity.scope;
    let (user_id, kind, app) = (&entity.user_id, entity.kind.as_str(), &entity.app);
    let mut gone: BTreeSet<i64> = conn
        .prepare_cached(CHANGE_IDS)?
        .query_map(params![provider, account, user_id, kind, app], |row| {
            row.get(0)
        })?
        .collect::<Result<_, _>>()?;
    let mut state = State::default();
    let mut wrote = false;
    for (place, _) in &places {
        if let Some(told) = conn.prepare_cached(ONE)?.query_row([place.id()], told)? {
            state.add(&told);
        }
        for now in std::mem::take(&mut state.changes) {
            if gone.remove(&now.id) {
                let (_, stored) = conn.prepare_cached(CHANGE)?.query_row([now.id], change)?;
                if stored == (Some(now.clone()), test) {
                    continue;
                }
                conn.prepare_cached(DELETE_CHANGE)?.execute([now.id])?;
            }
            put_change(conn, zone, entity, &now, test)?;
            wrote = true;
        }
    }
    for id in &gone {
        conn.prepare_cached(DELETE_CHANGE)?.execute([id])?;
        wrote = true;
    }
    wrote |= write_purposes(conn, entity, &state.purposes, test)?;
    if let Some((last, _)) = places.into_iter().next_back() {
        let present = Present {
            state,
            test,
            last,
            told: None,
        };
        kept.put(entity, present);
    }
    Ok(wrote)
}

const PURPOSES: &str = "\
select purpose, state, since, method, version, evidence, seq, id, test from consents
where provider = ?1 and account = ?2 and user_id = ?3 and kind = ?4 and app = ?5";

const DELETE_PURPOSE: &str = "\
delete from consents
where provider = ?1 and account = ?2 and user_id = ?3 and kind = ?4 and app = ?5 and purpose = ?6";

/// The columns of `consents`, in the order of `purpose_row`.
macro_rules! purpose_columns {
    () => {
        "provider, account, user_id, kind, app, purpose, state, since, method, version, evidence, seq, id, test"
    };
}

const PUT_PURPOSE: &str = concat!(
    "insert into consents (",
    purpose_columns!(),
    ") values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
on conflict do update set state = excluded.state, since = excluded.since, method = excluded.method,
  version = excluded.version, evidence = excluded.evidence, seq = excluded.seq, id = excluded.id, test = excluded.test"
);

/// A reader's present states, as `purpose_row` has them.
const PURPOSE_ROWS: &str = concat!(
    "select ",
    purpose_columns!(),
    " from consents where provider = ?1 and account = ?2 and user_id = ?3 order by kind, app, purpose"
);

/// One purpose as stored.
fn purpose_row<'a>(
    entity: &'a Entity,
    purpose: &'a str,
    now: &'a Purpose,
    test: bool,
) -> [Cell<'a>; 14] {
    [
        word(&entity.scope.provider),
        word(&entity.scope.account),
        word(&entity.user_id),
        word(entity.kind.as_str()),
        word(&entity.app),
        word(purpose),
        word(now.state.as_str()),
        word(now.since.to_string()),
        word_maybe(now.method.as_deref()),
        word_maybe(now.version.as_deref()),
        word_maybe(now.evidence.as_deref()),
        number(now.seq),
        number(now.id),
        number(test),
    ]
}

fn purpose(row: &Row<'_>) -> rusqlite::Result<(String, (Option<Purpose>, bool))> {
    let known = match ConsentState::from_word(row.get_ref(1)?.as_str()?) {
        Some(state) => Some(Purpose {
            state,
            since: instant(row, 2)?,
            method: row.get(3)?,
            version: row.get(4)?,
            evidence: row.get(5)?,
            seq: row.get(6)?,
            id: row.get(7)?,
        }),
        None => None,
    };
    Ok((row.get(0)?, (known, row.get(8)?)))
}

fn put_purpose(
    conn: &Connection,
    entity: &Entity,
    purpose: &str,
    now: &Purpose,
    test: bool,
) -> Result<(), Error> {
    conn.prepare_cached(PUT_PURPOSE)?
        .execute(params_from_iter(purpose_row(entity, purpose, now, test)))?;
    Ok(())
}

fn write_purposes(
    conn: &Connection,
    entity: &Entity,
    purposes: &BTreeMap<String, Purpose>,
    test: bool,
) -> Result<bool, Error> {
    let Scope { provider, account } = &entity.scope;
    let (user_id, kind, app) = (&entity.user_id, entity.kind.as_str(), &entity.app);
    let mut statement = conn.prepare_cached(PURPOSES)?;
    let mut before: BTreeMap<String, (Option<Purpose>, bool)> = statement
        .query_map(params![provider, account, user_id, kind, app], purpose)?
        .collect::<Result<_, _>>()?;
    let mut wrote = false;
    for (purpose, now) in purposes {
        let same = before
            .remove(purpose)
            .is_some_and(|(stored, marked)| stored.as_ref() == Some(now) && marked == test);
        if same {
            continue;
        }
        wrote = true;
        put_purpose(conn, entity, purpose, now, test)?;
    }
    for purpose in before.keys() {
        wrote = true;
        conn.prepare_cached(DELETE_PURPOSE)?
            .execute(params![provider, account, user_id, kind, app, purpose])?;
    }
    Ok(wrote)
}

const CHANGES: &str = "\
select id, seq, at, email, purpose, before_state, after_state, method, version, test from consent_changes
where provider = ?1 and account = ?2 and user_id = ?3 and kind = ?4 and app = ?5";

const DELETE_CHANGE: &str = "delete from consent_changes where id = ?1";

/// The columns of `consent_changes`, in the order of `change_row`.
macro_rules! change_columns {
    () => {
        "id, seq, at, day, provider, account, app, user_id, email, kind, purpose, before_state, after_state, method,
  version, test"
    };
}

const PUT_CHANGE: &str = concat!(
    "insert into consent_changes (",
    change_columns!(),
    ") values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
);

/// A reader's changes, as `change_row` has them.
const CHANGE_ROWS: &str = concat!(
    "select ",
    change_columns!(),
    " from consent_changes where provider = ?1 and account = ?2 and user_id = ?3 order by id"
);

/// One change as stored.
fn change_row<'a>(zone: Zone, entity: &'a Entity, now: &'a Change, test: bool) -> [Cell<'a>; 16] {
    [
        number(now.id),
        number(now.seq),
        word(now.at.to_string()),
        word(now.at.day(zone)),
        word(&entity.scope.provider),
        word(&entity.scope.account),
        word(&entity.app),
        word(&entity.user_id),
        word_maybe(now.email.as_deref()),
        word(entity.kind.as_str()),
        word(&now.purpose),
        word_maybe(now.before.map(ConsentState::as_str)),
        word(now.after.as_str()),
        word_maybe(now.method.as_deref()),
        word_maybe(now.version.as_deref()),
        number(test),
    ]
}

fn change(row: &Row<'_>) -> rusqlite::Result<(i64, (Option<Change>, bool))> {
    let state = |index| -> rusqlite::Result<Option<ConsentState>> {
        Ok(row
            .get_ref(index)?
            .as_str_or_null()?
            .and_then(ConsentState::from_word))
    };
    let id = row.get(0)?;
    let known = match state(6)? {
        Some(after) => Some(Change {
            id,
            seq: row.get(1)?,
            at: instant(row, 2)?,
            email: row.get(3)?,
            purpose: row.get(4)?,
            before: state(5)?,
            after,
            method: row.get(7)?,
            version: row.get(8)?,
        }),
        None => None,
    };
    Ok((id, (known, row.get(9)?)))
}

fn put_change(
    conn: &Connection,
    zone: Zone,
    entity: &Entity,
    now: &Change,
    test: bool,
) -> Result<(), Error> {
    conn.prepare_cached(PUT_CHANGE)?
        .execute(params_from_iter(change_row(zone, entity, now, test)))?;
    Ok(())
}

fn write_changes(
    conn: &Connection,
    zone: Zone,
    entity: &Entity,
    changes: &[Change],
    test: bool,
) -> Result<bool, Error> {
    let Scope { provider, account } = &entity.scope;
    let (user_id, kind, app) = (&entity.user_id, entity.kind.as_str(), &entity.app);
    let mut statement = conn.prepare_cached(CHANGES)?;
    let mut before: BTreeMap<i64, (Option<Change>, bool)> = statement
        .query_map(params![provider, account, user_id, kind, app], change)?
        .collect::<Result<_, _>>()?;
    let mut wanted = Vec::new();
    for now in changes {
        let same = before
            .get(&now.id)
            .is_some_and(|(stored, marked)| stored.as_ref() == Some(now) && *marked == test);
        if same {
            before.remove(&now.id);
        } else {
            wanted.push(now);
        }
    }
    for id in before.keys() {
        conn.prepare_cached(DELETE_CHANGE)?.execute([id])?;
    }
    for now in &wanted {
        put_change(conn, zone, entity, now, test)?;
    }
    Ok(!before.is_empty() || !wanted.is_empty())
}

/// How many rows a reader has of each table, where they are what their events fold into.
pub(super) struct Settled {
    /// Of `consents`.
    pub(super) purposes: u64,
    /// Of `consent_changes`.
    pub(super) changes: u64,
}

/// A reader's events of all kinds of consent.
const TOLD_OF_READER: &str = "\
select e.seq, e.n, e.type, e.at, e.test, e.email, e.data, d.dedupe_key
from events e cross join deliveries d on d.seq = e.seq
where e.provider = ?1 and e.account = ?2 and e.user_id = ?3 and substr(e.type, 1, 4) in ('cons', 'agre', 'expe', 'iden')
  and (substr(e.type, 1, 4) in ('subs', 'cons', 'agre', 'expe', 'iden') or e.type = 'payment.refunded')";

/// Folds everything that a reader agreed to again and looks whether the rows are what that gives; `None` if not. Writes
/// nothing.
pub(super) fn stands(
    conn: &Connection,
    zone: Zone,
    scope: &Scope,
    user_id: &str,
) -> Result<Option<Settled>, Error> {
    let who = params![scope.provider, scope.account, user_id];
    let mut statement = conn.prepare_cached(TOLD_OF_READER)?;
    let mut rows = statement.query(who)?;
    let mut entities: BTreeMap<(&str, String), (Entity, Vec<Told>)> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let Some((kind, told)) = kind_of(kind(row, 2)?).zip(told(row)?) else {
            continue;
        };
        let entity = || Entity {
            scope: scope.clone(),
            user_id: user_id.to_owned(),
            kind,
            app: told.facts.app.clone(),
        };
        let place = (kind.as_str(), told.facts.app.clone());
        let events = &mut entities
            .entry(place)
            .or_insert_with(|| (entity(), Vec::new()))
            .1;
        events.push(told);
    }
    let mut purposes = Vec::new();
    let mut changes = BTreeMap::new();
    let folded: Vec<(Entity, State, bool)> = entities
        .into_values()
        .map(|(entity, events)| {
            let (mut events, test) = counted(events, |told| told.test);
            events.sort_by(|a, b| a.place.cmp(&b.place));
            (entity, fold(&events), test)
        })
        .collect();
    for (entity, state, test) in &folded {
        for (purpose, now) in &state.purposes {
            purposes.push(purpose_row(entity, purpose, now, *test));
        }
        for change in &state.changes {
            changes.insert(change.id, change_row(zone, entity, change, *test));
        }
    }
    let changes: Vec<_> = changes.into_values().collect();
    let stand = are_rows(conn, PURPOSE_ROWS, who, &purposes)?
        && are_rows(conn, CHANGE_ROWS, who, &changes)?;
    Ok(stand.then_some(Settled {
        purposes: purposes.len() as u64,
        changes: changes.len() as u64,
    }))
}

/// Whether a statement gives these rows and no others.
fn are_rows<const WIDTH: usize>(
    conn: &Connection,
    sql: &str,
    who: &[&dyn ToSql],
    wanted: &[[Cell<'_>; WIDTH]],
) -> Result<bool, Error> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(who)?;
    let mut wanted = wanted.iter();
    while let Some(row) = rows.next()? {
        match wanted.next() {
            Some(cells) if is_row(row, cells)? => {}
            _ => return Ok(false),
        }
    }
    Ok(wanted.next().is_none())
}

/// Every statement here that looks rows up, for the test of query plans.
#[cfg(test)]
pub(super) const LOOKUPS: &[&str] = &[
    TOLD,
    TOLD_OF_READER,
    PURPOSE_ROWS,
    CHANGE_ROWS,
    ONE,
    CHANGE_IDS,
    CHANGE,
    PURPOSES,
    DELETE_PURPOSE,
    CHANGES,
    DELETE_CHANGE,
];
