//! Rows of `users` and `user_aliases`: what is known of a reader.
//!
//! Imports domain. An event is folded onto its reader's row. For one that came late it is looked up whether a later one
//! says otherwise. All of a reader's events are folded again where a test becomes a reader, where a delivery is read after
//! ones that arrived behind it, and where events go or are marked. Either way the row is the same (MAPPING.md rule 11.2).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use crate::domain::delivery::IdentityProof;
use crate::domain::event::{Actor, CancellationFacts, EventType, Facts, SubscriptionFacts};
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::project::events::{Fresh, Person};
use crate::store::project::order::{
    Cell, Data, Place, Scope, counted, facts, instant, instant_maybe, is_cell, is_row, json, kind,
    number, text, word, word_maybe,
};

/// Who: an id within one account at one provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct UserKey {
    /// The account.
    pub(super) scope: Scope,
    /// The provider's id of the reader.
    pub(super) user_id: String,
}

/// What one event says of its reader.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Where it stands.
    pub(super) place: Place,
    /// What happened.
    pub(super) kind: EventType,
    /// Of a test delivery.
    pub(super) test: bool,
    /// Whether the reader did it.
    pub(super) acted: bool,
    /// What the delivery proves of an address.
    pub(super) proof: Option<IdentityProof>,
    /// E-mail.
    pub(super) email: Option<String>,
    /// Phone.
    pub(super) phone: Option<String>,
    /// Name.
    pub(super) name: Option<String>,
    /// Country.
    pub(super) country: Option<String>,
    /// City.
    pub(super) city: Option<String>,
    /// The publisher's own id.
    pub(super) client_user_id: Option<String>,
    /// Other ids and where they stood.
    pub(super) aliases: Vec<(String, String)>,
}

/// How many facts there are of which the latest statement wins.
const FACTS: usize = 7;

/// What a reader's events add up to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    email: Option<String>,
    phone: Option<String>,
    name: Option<String>,
    country: Option<String>,
    city: Option<String>,
    client_user_id: Option<String>,
    registered_at: Option<Timestamp>,
    first_seen_at: Timestamp,
    last_seen_at: Timestamp,
    sign_ins: i64,
    identity_proof: Option<String>,
    folded_to: Timestamp,
}

impl State {
    const fn begun(at: Timestamp) -> Self {
        Self {
            email: None,
            phone: None,
            name: None,
            country: None,
            city: None,
            client_user_id: None,
            registered_at: None,
            first_seen_at: at,
            last_seen_at: at,
            sign_ins: 0,
            identity_proof: None,
            folded_to: at,
        }
    }

    /// Adds one event that stands after all that were added before.
    fn add(&mut self, said: &Said) {
        let at = said.place.at;
        for (known, told) in self.latest().into_iter().zip(said.latest()) {
            if let Some(told) = told {
                *known = Some(told.to_owned());
            }
        }
        if said.kind == EventType::UserRegistered && self.registered_at.is_none() {
            self.registered_at = Some(at);
        }
        if said.kind == EventType::UserSignedIn {
            self.sign_ins += 1;
        }
        if said.acted {
            self.last_seen_at = at;
        }
        self.folded_to = at;
    }

    /// Adds one event that stands among or before those that were added, and are all in `past`.
    fn add_late(&mut self, said: &Said, past: &Past<'_>) -> Result<(), Error> {
        let at = said.place.at;
        let told = said.latest();
        let differs = |known: &Option<String>, told: Option<&str>| {
            told.is_some_and(|told| known.as_deref().is_some_and(|known| known != told))
        };
        let mut open = [false; FACTS];
        for (open, (known, told)) in open.iter_mut().zip(self.latest().into_iter().zip(told)) {
            *open = differs(known, told);
        }
        let overruled = past.overrules(&said.place, open)?;
        for ((known, told), overruled) in self.latest().into_iter().zip(told).zip(overruled) {
            if let Some(told) = told.filter(|_| !overruled) {
                *known = Some(told.to_owned());
            }
        }
        if said.kind == EventType::UserRegistered {
            let earliest = self.registered_at.map_or(at, |known| known.min(at));
            self.registered_at = Some(earliest);
        }
        if said.kind == EventType::UserSignedIn {
            self.sign_ins += 1;
        }
        if at < self.first_seen_at {
            // Who never acted was seen last when they were seen first.
            if self.last_seen_at == self.first_seen_at && !past.acts_at(self.first_seen_at)? {
                self.last_seen_at = at;
            }
            self.first_seen_at = at;
        } else if said.acted {
            self.last_seen_at = self.last_seen_at.max(at);
        }
        Ok(())
    }

    /// The facts of which the latest statement wins, in the order of `Said::latest`.
    const fn latest(&mut self) -> [&mut Option<String>; FACTS] {
        [
            &mut self.email,
            &mut self.phone,
            &mut self.name,
            &mut self.country,
            &mut self.city,
            &mut self.client_user_id,
            &mut self.identity_proof,
        ]
    }

    /// The columns that stand in an index or seldom change.
    fn same_facts(&self, other: &Self) -> bool {
        let seen = Self {
            last_seen_at: other.last_seen_at,
            sign_ins: other.sign_ins,
            folded_to: other.folded_to,
            ..self.clone()
        };
        seen == *other
    }
}

/// Folds events in their order; `None` of none.
pub(super) fn fold(events: &[Said]) -> Option<State> {
    let mut state = State::begun(events.first()?.place.at);
    for said in events {
        state.add(said);
    }
    Some(state)
}

/// The other ids of a reader, each with the field and delivery of the first event that has it.
fn aliases(events: &[Said]) -> BTreeMap<String, (String, i64)> {
    let mut all = BTreeMap::new();
    for said in events {
        for (alias, source) in &said.aliases {
            all.entry(alias.clone())
                .or_insert_with(|| (source.clone(), said.place.seq));
        }
    }
    all
}

/// Whether deliveries of events of this type carry tokens about the reader's address (rule 7.1).
fn proves(kind: EventType) -> bool {
    matches!(kind.family(), "user" | "checkout")
}

/// Whether an event of this type is something that the reader did, as `last_seen_at` counts it. Renewals, expiries and
/// refunds happen without them, and so does a cancellation unless the reader is named as who cancelled.
fn is_act(kind: EventType, cancelled_by: Actor) -> bool {
    match kind {
        EventType::SubscriptionStarted
        | EventType::SubscriptionTrialStarted
        | EventType::SubscriptionReactivated
        | EventType::IdentityVerified => true,
        EventType::SubscriptionCancelled => cancelled_by == Actor::User,
        _ => matches!(
            kind.family(),
            "user"
                | "checkout"
                | "purchase"
                | "consent"
                | "agreement"
                | "experiment"
                | "consent_evidence"
                | "engagement"
        ),
    }
}

fn actor(cancellation: Option<&CancellationFacts>) -> Actor {
    cancellation.map_or(Actor::Unknown, |cancellation| cancellation.actor)
}

impl Said {
    /// What it says of the facts of which the latest statement wins.
    fn latest(&self) -> [Option<&str>; FACTS] {
        let proof = self
            .proof
            .filter(|proof| *proof != IdentityProof::Absent && proves(self.kind));
        let [email, phone, name, country, city, client_user_id] = [
            &self.email,
            &self.phone,
            &self.name,
            &self.country,
            &self.city,
            &self.client_user_id,
        ]
        .map(|told| told.as_deref().filter(|told| !told.is_empty()));
        let proof = proof.map(IdentityProof::as_str);
        [email, phone, name, country, city, client_user_id, proof]
    }

    /// What a fresh event says, exactly as it will be read back.
    fn fresh(fresh: &Fresh<'_>) -> Self {
        let subject = &fresh.event.subject;
        let first = fresh.read.reading.events().first();
        // What the columns do not hold stands once per delivery: see `events::data`.
        let more = fresh.place.n == 0 || first.map(|first| &first.subject) != Some(subject);
        let own = |value: &Option<String>| value.as_deref().map(|value| text(value).into_owned());
        let once = |value: &Option<String>| own(value).filter(|_| more);
        let cancelled_by = match &fresh.event.facts {
            Facts::Subscription(facts) => actor(facts.cancellation.as_ref()),
            _ => Actor::Unknown,
        };
        Self {
            place: fresh.place.clone(),
            kind: fresh.event.kind,
            test: fresh.is_test(),
            acted: is_act(fresh.event.kind, cancelled_by),
            proof: fresh.read.delivery.identity_proof,
            email: own(&subject.email),
            phone: own(&subject.phone),
            name: own(&subject.name),
            country: once(&subject.country),
            city: once(&subject.city),
            client_user_id: once(&subject.client_user_id),
            aliases: subject
                .aliases
                .iter()
                .filter(|_| more)
                .map(|(alias, source)| (text(alias).into_owned(), text(source).into_owned()))
                .collect(),
        }
    }
}

/// What `said` reads of each event of a reader, and more columns behind it.
macro_rules! of_reader {
    ($more:literal, $which:literal) => {
        concat!(
            "select e.seq, e.n, e.type, e.at, e.test, e.email, e.phone, e.name, e.data, d.dedupe_key, d.identity_proof",
            $more,
            " from events e cross join deliveries d on d.seq = e.seq where ",
            $which
        )
    };
}

pub(super) const SAID: &str = of_reader!("", "e.users_id = ?1");

/// The same, and whose event it is, and of which day.
const WHOSE: &str = of_reader!(
    ", e.provider, e.account, e.user_id, e.day",
    "e.users_id = ?1"
);

/// Those of one delivery.
const IN_DELIVERY: &str = of_reader!(
    "",
    "e.users_id = ?1 and e.id >= ?2 * 10000 and e.id < (?2 + 1) * 10000"
);

/// Those of a reader, by name, from a time on, the last first.
pub(super) const SINCE: &str = of_reader!(
    "",
    "e.provider = ?1 and e.account = ?2 and e.user_id = ?3 and e.at >= ?4 and e.users_id is not null order by e.at desc"
);

/// The same at one instant.
const AT: &str = of_reader!(
    "",
    "e.provider = ?1 and e.account = ?2 and e.user_id = ?3 and e.at = ?4 and e.users_id is not null"
);

fn said(row: &Row<'_>) -> rusqlite::Result<Said> {
    let kind = kind(row, 2)?;
    let data: Data<'_> = json(8, row.get_ref(8)?.as_str()?)?;
    let person: Person = facts(8, data.subject)?;
    let cancelled_by = if kind == EventType::SubscriptionCancelled {
        let told: SubscriptionFacts = facts(8, data.subscription)?;
        actor(told.cancellation.as_ref())
    } else {
        Actor::Unknown
    };
    Ok(Said {
        place: Place {
            at: instant(row, 3)?,
            rank: kind.rank(),
            key: row.get::<_, Option<String>>(9)?.unwrap_or_default(),
            n: row.get(1)?,
            seq: row.get(0)?,
        },
        kind,
        test: row.get(4)?,
        acted: is_act(kind, cancelled_by),
        proof: row
            .get_ref(10)?
            .as_str_or_null()?
            .and_then(IdentityProof::from_word),
        email: row.get(5)?,
        phone: row.get(6)?,
        name: row.get(7)?,
        country: person.country,
        city: person.city,
        client_user_id: person.client_user_id,
        aliases: person.aliases,
    })
}

/// A row as it stands.
#[derive(Clone)]
struct Stored {
    id: i64,
    state: State,
    active_subscriptions: i64,
    consents_given: i64,
    test: bool,
}

const FIND: &str = "\
select id, email, phone, name, country, city, client_user_id, registered_at, first_seen_at, last_seen_at, sign_ins,
  identity_proof, active_subscriptions, consents_given, test, folded_to
from users where provider = ?1 and account = ?2 and user_id = ?3";

/// A text; what is left of it where damage has made it none, so that the row can be folded and erased.
fn told(row: &Row<'_>, place: usize) -> rusqlite::Result<Option<String>> {
    let bytes = row.get_ref(place)?.as_bytes_or_null()?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get(0)?,
        state: State {
            email: told(row, 1)?,
            phone: told(row, 2)?,
            name: told(row, 3)?,
            country: told(row, 4)?,
            city: told(row, 5)?,
            client_user_id: told(row, 6)?,
            registered_at: instant_maybe(row, 7)?,
            first_seen_at: instant(row, 8)?,
            last_seen_at: instant(row, 9)?,
            sign_ins: row.get(10)?,
            identity_proof: row.get(11)?,
            folded_to: instant(row, 15)?,
        },
        active_subscriptions: row.get(12)?,
        consents_given: row.get(13)?,
        test: row.get(14)?,
    })
}

#[derive(Default)]
struct Slot {
    stored: Option<Stored>,
    said: Vec<Said>,
    /// Fold all events again.
    refold: bool,
    /// Count subscriptions and consents again.
    recount: bool,
    /// Count consents again.
    recount_consents: bool,
    /// Subscriptions with access, more or fewer: those that are no tests, and tests.
    with_access: [i64; 2],
}

/// The readers that one batch is about.
#[derive(Default)]
pub(super) struct Readers {
    slots: HashMap<UserKey, Slot>,
}

impl Readers {
    fn slot(&mut self, conn: &Connection, key: &UserKey) -> Result<&mut Slot, Error> {
        if !self.slots.contains_key(key) {
            let stored = conn
                .prepare_cached(FIND)?
                .query_row(
                    params![key.scope.provider, key.scope.account, key.user_id],
                    stored,
                )
                .optional()?;
            let slot = Slot {
                stored,
                ..Slot::default()
            };
            self.slots.insert(key.clone(), slot);
        }
        Ok(self.slots.get_mut(key).expect("it was put there"))
    }

    /// The reader's row, if there is one.
    pub(super) fn id(&mut self, conn: &Connection, key: &UserKey) -> Result<Option<i64>, Error> {
        Ok(self
            .slot(conn, key)?
            .stored
            .as_ref()
            .map(|stored| stored.id))
    }

    /// The time of the latest event that counts and that was folded before this batch; `None` if there is none.
    pub(super) fn folded_to(
        &mut self,
        conn: &Connection,
        key: &UserKey,
    ) -> Result<Option<Timestamp>, Error> {
        let slot = self.slot(conn, key)?;
        let real = slot.stored.as_ref().filter(|stored| !stored.test);
        Ok(real.map(|stored| stored.state.folded_to))
    }

    /// Has the reader's events folded again from the beginning.
    pub(super) fn refold(&mut self, conn: &Connection, key: &UserKey) -> Result<(), Error> {
        self.slot(conn, key)?.refold = true;
        Ok(())
    }

    /// Has the reader's consents counted again.
    pub(super) fn recount_consents(
        &mut self,
        conn: &Connection,
        key: &UserKey,
    ) -> Result<(), Error> {
        self.slot(conn, key)?.recount_consents = true;
        Ok(())
    }

    /// Counts the reader's subscriptions with access up or down.
    pub(super) fn count_access(
        &mut self,
        conn: &Connection,
        key: &UserKey,
        test: bool,
        change: i64,
    ) -> Result<(), Error> {
        self.slot(conn, key)?.with_access[usize::from(test)] += change;
        Ok(())
    }

    /// Takes note of a fresh event, before it is stored.
    pub(super) fn hear(&mut self, conn: &Connection, fresh: &Fresh<'_>) -> Result<(), Error> {
        let Some(user_id) = fresh.user_id.as_ref().filter(|_| fresh.is_person()) else {
            return Ok(());
        };
        let key = UserKey {
            scope: fresh.scope.clone(),
            user_id: user_id.clone(),
        };
        self.slot(conn, &key)?.said.push(Said::fresh(fresh));
        Ok(())
    }

    /// Makes rows for new readers, which events then point at, and folds later events of known ones onto theirs.
    pub(super) fn greet(&mut self, conn: &Connection) -> Result<(), Error> {
        for (key, slot) in &mut self.slots {
            let said = std::mem::take(&mut slot.said);
            let Some(id) = said.iter().map(|said| said.place.id()).min() else {
                continue;
            };
            match &mut slot.stored {
                None => {
                    slot.stored = Some(greet_new(conn, key, id, said)?);
                    slot.recount = true;
                }
                Some(stored) => slot.refold |= !greet_known(conn, key, stored, id, said)?,
            }
        }
        Ok(())
    }

    /// Folds again whoever needs it: to be called when events stand as they shall.
    pub(super) fn fold(&mut self, conn: &Connection) -> Result<(), Error> {
        for (key, slot) in &mut self.slots {
            if std::mem::take(&mut slot.refold) {
                refold(conn, key, slot)?;
            }
        }
        Ok(())
    }

    /// Counts again whom it concerns: to be called when subscriptions and consents stand as they shall.
    pub(super) fn count(&mut self, conn: &Connection) -> Result<(), Error> {
        for (key, slot) in &mut self.slots {
            count(conn, key, slot)?;
        }
        Ok(())
    }
}

fn greet_new(conn: &Connection, key: &UserKey, id: i64, said: Vec<Said>) -> Result<Stored, Error> {
    let (mut said, test) = counted(said, |said| said.test);
    said.sort_by(|a, b| a.place.cmp(&b.place));
    let stored = Stored {
        id,
        state: fold(&said).expect("a reader is met by an event"),
        active_subscriptions: 0,
        consents_given: 0,
        test,
    };
    insert(conn, key, &stored)?;
    conn.prepare_cached(CLAIM)?.execute(params![
        key.scope.provider,
        key.scope.account,
        key.user_id,
        id
    ])?;
    add_aliases(conn, key, &aliases(&said))?;
    Ok(stored)
}

/// The events of a reader that stand in the ledger and count, for what comes late.
struct Past<'a> {
    conn: &'a Connection,
    key: &'a UserKey,
    id: i64,
    /// The reader is made of tests only.
    test: bool,
}

impl Past<'_> {
    /// Which of the facts that are `open` are told by an event behind `place`.
    fn overrules(&self, place: &Place, mut open: [bool; FACTS]) -> Result<[bool; FACTS], Error> {
        let mut overruled = [false; FACTS];
        if !open.contains(&true) {
            return Ok(overruled);
        }
        self.each(SINCE, place.at, |later| {
            if later.place > *place {
                for (fact, told) in later.latest().iter().enumerate() {
                    overruled[fact] |= open[fact] && told.is_some();
                    open[fact] &= told.is_none();
                }
            }
            open.contains(&true)
        })?;
        Ok(overruled)
    }

    /// Whether the reader did something at this instant.
    fn acts_at(&self, at: Timestamp) -> Result<bool, Error> {
        let mut acts = false;
        self.each(AT, at, |said| {
            acts = said.acted;
            !acts
        })?;
        Ok(acts)
    }

    /// Gives events to `next` until it wants no more.
    fn each(
        &self,
        sql: &str,
        at: Timestamp,
        mut next: impl FnMut(&Said) -> bool,
    ) -> Result<(), Error> {
        let Scope { provider, account } = &self.key.scope;
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows =
            statement.query(params![provider, account, self.key.user_id, at.to_string()])?;
        while let Some(row) = rows.next()? {
            let said = said(row)?;
            if (self.test || !said.test) && !next(&said) {
                break;
            }
        }
        Ok(())
    }

    /// Where the first event of a delivery stands that tells of `alias`.
    fn tells(&self, alias: &str, seq: i64) -> Result<Option<Place>, Error> {
        let mut statement = self.conn.prepare_cached(IN_DELIVERY)?;
        let mut rows = statement.query([self.id, seq])?;
        let mut first: Option<Place> = None;
        while let Some(row) = rows.next()? {
            let said = said(row)?;
            let tells = said.aliases.iter().any(|(other, _)| other == alias);
            if tells && first.as_ref().is_none_or(|first| said.place < *first) {
                first = Some(said.place);
            }
        }
        Ok(first)
    }

    /// Writes the other ids down that `said`, in their order, tell first.
    fn add_aliases(&self, said: &[Said]) -> Result<(), Error> {
        for (alias, (source, seq)) in aliases(said) {
            let Scope { provider, account } = &self.key.scope;
            let known: Option<i64> = self
                .conn
                .prepare_cached(ALIAS)?
                .query_row(params![provider, account, self.key.user_id, alias], |row| {
                    row.get(0)
                })
                .optional()?;
            let tells = |said: &&Said| said.aliases.iter().any(|(other, _)| *other == alias);
            let place = said.iter().find(tells).map(|said| &said.place);
            let first = match known {
                Some(known) => self.tells(&alias, known)?,
                None => None,
            };
            if first.is_none_or(|first| place.is_some_and(|place| *place < first)) {
                self.conn.prepare_cached(PUT_ALIAS)?.execute(params![
                    provider,
                    account,
                    self.key.user_id,
                    alias,
                    source,
                    seq
                ])?;
            }
        }
        Ok(())
    }
}

/// Folds onto the row; false if that cannot be done.
fn greet_known(
    conn: &Connection,
    key: &UserKey,
    stored: &mut Stored,
    id: i64,
    mut said: Vec<Said>,
) -> Result<bool, Error> {
    if id < stored.id || (stored.test && said.iter().any(|said| !said.test)) {
        return Ok(false);
    }
    said.retain(|said| stored.test || !said.test);
    said.sort_by(|a, b| a.place.cmp(&b.place));
    let before = stored.state.clone();
    let (late, later): (Vec<_>, Vec<_>) = said
        .into_iter()
        .partition(|said| said.place.at <= before.folded_to);
    let past = Past {
        conn,
        key,
        id: stored.id,
        test: stored.test,
    };
    for said in &late {
        stored.state.add_late(said, &past)?;
    }
    for said in &later {
        stored.state.add(said);
    }
    write(conn, stored, &before)?;
    past.add_aliases(&late)?;
    add_aliases(conn, key, &aliases(&later))?;
    Ok(true)
}

fn refold(conn: &Connection, key: &UserKey, slot: &mut Slot) -> Result<(), Error> {
    let Some(before) = slot.stored.take() else {
        return Ok(());
    };
    let mut statement = conn.prepare_cached(SAID)?;
    let all: Vec<Said> = statement
        .query_map([before.id], said)?
        .collect::<Result<_, _>>()?;
    let id = all.iter().map(|said| said.place.id()).min();
    let (mut all, test) = counted(all, |said| said.test);
    all.sort_by(|a, b| a.place.cmp(&b.place));
    replace_aliases(conn, key, &aliases(&all))?;
    let (Some(id), Some(state)) = (id, fold(&all)) else {
        conn.prepare_cached(LEAVE)?.execute([before.id])?;
        conn.prepare_cached(DELETE)?.execute([before.id])?;
        return Ok(());
    };
    if id != before.id {
        move_to(conn, before.id, id)?;
    }
    let after = Stored {
        id,
        state,
        test,
        ..before.clone()
    };
    if before.test != test {
        conn.prepare_cached(MARK)?.execute(params![id, test])?;
        slot.recount = true;
    }
    write(conn, &after, &before.state)?;
    slot.stored = Some(after);
    Ok(())
}

/// The columns, in the order of `row`.
macro_rules! columns {
    () => {
        "id, provider, account, user_id, email, phone, name, country, city, client_user_id, registered_at, first_seen_at,
  last_seen_at, sign_ins, identity_proof, active_subscriptions, consents_given, test, folded_to"
    };
}

const INSERT: &str = concat!(
    "insert into users (",
    columns!(),
    ") values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)"
);

/// Rows by their ids from `?1` to before `?2`, as `row` has them.
pub(super) const ROWS: &str = concat!(
    "select ",
    columns!(),
    " from users where id >= ?1 and id < ?2 order by id"
);

fn row<'a>(key: &'a UserKey, stored: &'a Stored) -> [Cell<'a>; 19] {
    let state = &stored.state;
    [
        number(stored.id),
        word(&key.scope.provider),
        word(&key.scope.account),
        word(&key.user_id),
        word_maybe(state.email.as_deref()),
        word_maybe(state.phone.as_deref()),
        word_maybe(state.name.as_deref()),
        word_maybe(state.country.as_deref()),
        word_maybe(state.city.as_deref()),
        word_maybe(state.client_user_id.as_deref()),
        word_maybe(state.registered_at.map(|at| at.to_string())),
        word(state.first_seen_at.to_string()),
        word(state.last_seen_at.to_string()),
        number(state.sign_ins),
        word_maybe(state.identity_proof.as_deref()),
        number(stored.active_subscriptions),
        number(stored.consents_given),
        number(stored.test),
        word(state.folded_to.to_string()),
    ]
}

fn insert(conn: &Connection, key: &UserKey, stored: &Stored) -> Result<(), Error> {
    conn.prepare_cached(INSERT)?
        .execute(params_from_iter(row(key, stored)))?;
    Ok(())
}

const UPDATE_FOLDED: &str = "update users set folded_to = ?2 where id = ?1";

const UPDATE_SEEN: &str =
    "update users set last_seen_at = ?2, sign_ins = ?3, folded_to = ?4 where id = ?1";

const UPDATE: &str = "\
update users set email = ?2, phone = ?3, name = ?4, country = ?5, city = ?6, client_user_id = ?7, registered_at = ?8,
  first_seen_at = ?9, last_seen_at = ?10, sign_ins = ?11, identity_proof = ?12, folded_to = ?13
where id = ?1";

/// Writes what differs from `before`, with the statement that touches the fewest indexes.
fn write(conn: &Connection, stored: &Stored, before: &State) -> Result<(), Error> {
    let state = &stored.state;
    if state == before {
        return Ok(());
    }
    if !state.same_facts(before) {
        conn.prepare_cached(UPDATE)?.execute(params![
            stored.id,
            state.email,
            state.phone,
            state.name,
            state.country,
            state.city,
            state.client_user_id,
            state.registered_at.map(|at| at.to_string()),
            state.first_seen_at.to_string(),
            state.last_seen_at.to_string(),
            state.sign_ins,
            state.identity_proof,
            state.folded_to.to_string(),
        ])?;
    } else if state.last_seen_at == before.last_seen_at && state.sign_ins == before.sign_ins {
        conn.prepare_cached(UPDATE_FOLDED)?
            .execute(params![stored.id, state.folded_to.to_string()])?;
    } else {
        conn.prepare_cached(UPDATE_SEEN)?.execute(params![
            stored.id,
            state.last_seen_at.to_string(),
            state.sign_ins,
            state.folded_to.to_string(),
        ])?;
    }
    Ok(())
}

const MARK: &str = "update users set test = ?2 where id = ?1";

const DELETE: &str = "delete from users where id = ?1";

/// The same id may have named a session before it named a person.
const CLAIM: &str = "\
update subscriptions set users_id = ?4
where provider = ?1 and account = ?2 and user_id = ?3 and users_id is null";

const LEAVE: &str = "update subscriptions set users_id = null where users_id = ?1";

const MOVE: [&str; 4] = [
    "update users set id = ?2 where id = ?1",
    "update events set users_id = ?2 where users_id = ?1",
    "update subscriptions set users_id = ?2 where users_id = ?1",
    "update payments set users_id = ?2 where users_id = ?1",
];

/// Gives a row another id, with all that points at it.
fn move_to(conn: &Connection, from: i64, to: i64) -> Result<(), Error> {
    for sql in MOVE {
        conn.prepare_cached(sql)?.execute([from, to])?;
    }
    Ok(())
}

const ADD_ALIAS: &str = "\
insert into user_aliases (provider, account, user_id, alias, source, seq) values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict do nothing";

fn add_aliases(
    conn: &Connection,
    key: &UserKey,
    aliases: &BTreeMap<String, (String, i64)>,
) -> Result<(), Error> {
    for (alias, (source, seq)) in aliases {
        conn.prepare_cached(ADD_ALIAS)?.execute(params![
            key.scope.provider,
            key.scope.account,
            key.user_id,
            alias,
            source,
            seq
        ])?;
    }
    Ok(())
}

const PUT_ALIAS: &str = "\
insert into user_aliases (provider, account, user_id, alias, source, seq) values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict do update set source = excluded.source, seq = excluded.seq";

const ALIAS: &str = "select seq from user_aliases where provider = ?1 and account = ?2 and user_id = ?3 and alias = ?4";

const ALIASES: &str = "\
select alias, source, seq from user_aliases where provider = ?1 and account = ?2 and user_id = ?3";

const DELETE_ALIASES: &str =
    "delete from user_aliases where provider = ?1 and account = ?2 and user_id = ?3";

fn stored_aliases(
    conn: &Connection,
    key: &UserKey,
) -> Result<BTreeMap<String, (String, i64)>, Error> {
    let who = params![key.scope.provider, key.scope.account, key.user_id];
    let mut statement = conn.prepare_cached(ALIASES)?;
    let rows = statement.query_map(who, |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn replace_aliases(
    conn: &Connection,
    key: &UserKey,
    aliases: &BTreeMap<String, (String, i64)>,
) -> Result<(), Error> {
    if stored_aliases(conn, key)? == *aliases {
        return Ok(());
    }
    let who = params![key.scope.provider, key.scope.account, key.user_id];
    conn.prepare_cached(DELETE_ALIASES)?.execute(who)?;
    add_aliases(conn, key, aliases)
}

const COUNT_SUBSCRIPTIONS: &str = "\
select count(*) from subscriptions
where provider = ?1 and account = ?2 and user_id = ?3 and has_access = 1 and test = ?4";

const COUNT_CONSENTS: &str = "\
select count(*) from consents
where provider = ?1 and account = ?2 and user_id = ?3 and kind in ('consent', 'evidence') and state = 'given'
  and test = ?4";

const UPDATE_COUNTS: &str =
    "update users set active_subscriptions = ?2, consents_given = ?3 where id = ?1";

fn count_of(conn: &Connection, sql: &str, key: &UserKey, test: bool) -> Result<i64, Error> {
    let Scope { provider, account } = &key.scope;
    let mut statement = conn.prepare_cached(sql)?;
    Ok(
        statement.query_row(params![provider, account, key.user_id, test], |row| {
            row.get(0)
        })?,
    )
}

fn count(conn: &Connection, key: &UserKey, slot: &mut Slot) -> Result<(), Error> {
    let all = std::mem::take(&mut slot.recount);
    let consents = std::mem::take(&mut slot.recount_consents);
    let with_access = std::mem::take(&mut slot.with_access);
    let Some(stored) = &mut slot.stored else {
        return Ok(());
    };
    let count = |sql| count_of(conn, sql, key, stored.test);
    let mut counts = (stored.active_subscriptions, stored.consents_given);
    if all {
        counts.0 = count(COUNT_SUBSCRIPTIONS)?;
    } else {
        counts.0 += with_access[usize::from(stored.test)];
    }
    if all || consents {
        counts.1 = count(COUNT_CONSENTS)?;
    }
    if counts != (stored.active_subscriptions, stored.consents_given) {
        (stored.active_subscriptions, stored.consents_given) = counts;
        conn.prepare_cached(UPDATE_COUNTS)?
            .execute(params![stored.id, counts.0, counts.1])?;
    }
    Ok(())
}

/// What stands of a reader, where it is what their events fold into.
pub(super) struct Settled {
    /// Events about them.
    pub(super) events: u64,
    /// Rows of `user_aliases`.
    pub(super) aliases: u64,
    /// The days on which they count, by type.
    pub(super) days: BTreeSet<(String, String)>,
}

/// Folds the events of the reader in a row of `ROWS` again and looks whether the row is what that gives, with what
/// hangs on it; `None` if not. Writes nothing.
pub(super) fn stands(conn: &Connection, row: &Row<'_>) -> Result<Option<Settled>, Error> {
    let key = UserKey {
        scope: Scope {
            provider: row.get(1)?,
            account: row.get(2)?,
        },
        user_id: row.get(3)?,
    };
    let mut statement = conn.prepare_cached(WHOSE)?;
    let mut rows = statement.query([row.get::<_, i64>(0)?])?;
    let (mut all, mut days) = (Vec::new(), BTreeSet::new());
    let who = [
        word(&key.scope.provider),
        word(&key.scope.account),
        word(&key.user_id),
    ];
    while let Some(event) = rows.next()? {
        let said = said(event)?;
        for (place, cell) in (11..).zip(&who) {
            if !is_cell(event.get_ref(place)?, cell) {
                return Ok(None);
            }
        }
        if !said.test {
            days.insert((event.get(14)?, event.get(2)?));
        }
        all.push(said);
    }
    let events = all.len() as u64;
    let id = all.iter().map(|said| said.place.id()).min();
    let (mut all, test) = counted(all, |said| said.test);
    all.sort_by(|a, b| a.place.cmp(&b.place));
    let (Some(id), Some(state)) = (id, fold(&all)) else {
        return Ok(None);
    };
    let aliases = aliases(&all);
    let stored = Stored {
        id,
        state,
        active_subscriptions: count_of(conn, COUNT_SUBSCRIPTIONS, &key, test)?,
        consents_given: count_of(conn, COUNT_CONSENTS, &key, test)?,
        test,
    };
    let stands = is_row(row, &self::row(&key, &stored))? && stored_aliases(conn, &key)? == aliases;
    Ok(stands.then_some(Settled {
        events,
        aliases: aliases.len() as u64,
        days,
    }))
}

/// Every statement here that looks rows up, for the test of query plans.
#[cfg(test)]
pub(super) const LOOKUPS: &[&str] = &[
    SAID,
    WHOSE,
    IN_DELIVERY,
    SINCE,
    AT,
    ALIAS,
    ROWS,
    FIND,
    UPDATE,
    UPDATE_SEEN,
    UPDATE_FOLDED,
    MARK,
    DELETE,
    CLAIM,
    LEAVE,
    MOVE[0],
    MOVE[1],
    MOVE[2],
    MOVE[3],
    ALIASES,
    DELETE_ALIASES,
    COUNT_SUBSCRIPTIONS,
    COUNT_CONSENTS,
    UPDATE_COUNTS,
];
