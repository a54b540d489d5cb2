//! Everything that is folded out of deliveries: `events` and what they add up to.
//!
//! Imports domain. Works inside the caller's transaction. What it leaves depends on the deliveries alone and on the
//! present moment: one by one, in batches or all at once, live or rebuilt, the rows are the same. An entity is folded
//! from its stored events, never from bodies, and only where something touched it; rows that stay the same are not
//! written. What was folded lately is kept in memory, within bounds: an event that stands after all of it is added to
//! it. Where events come late they are kept too and folded again; a refund, and what there was no room for, has
//! everything of its entity read again.
//!
//! ```text
//! Read -> events -> users, user_aliases
//!                -> payments -> groups (subscriptions, cancellations)
//!                -> consents, consent_changes
//!                -> daily
//! ```

mod clock;
mod consents;
mod daily;
mod events;
mod groups;
pub(crate) mod left;
mod long;
mod order;
mod payments;
mod recent;
pub(crate) mod residue;
pub(crate) mod same;
pub(crate) mod standing;
mod subscriptions;
#[cfg(test)]
mod tests;
mod users;
mod weight;

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::domain::delivery::{Delivery, Reading};
use crate::domain::event::{EventType, Facts, Grouping};
use crate::domain::time::{Timestamp, Zone};
use crate::store::Error;
use crate::store::project::consents::Entity;
use crate::store::project::daily::{Counted, Daily};
use crate::store::project::events::{Fresh, Stored};
use crate::store::project::groups::{Moment, Seed, Seeds};
use crate::store::project::order::Scope;
use crate::store::project::users::{Readers, UserKey};

/// A stored delivery and what was read out of it.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// Its place in the order of record; the row in `deliveries` stands already.
    pub seq: i64,
    /// As received.
    pub delivery: &'a Delivery,
    /// As read.
    pub reading: &'a Reading,
    /// The column `dedupe_key`.
    pub dedupe_key: Option<&'a str>,
}

/// Bytes of memory for what was folded lately of subscriptions, and as many for consents.
const KEPT_BYTES_MAX: usize = 5 << 20;

/// Folds deliveries into every other relation of facts.
#[derive(Debug)]
pub struct Projector {
    zone: Zone,
    kept_bytes_max: usize,
    groups: groups::Kept,
    consents: consents::Kept,
    met: daily::Kept,
}

impl Projector {
    /// One for a ledger whose days are counted in `zone`.
    pub fn new(zone: Zone) -> Self {
        Self::keeping(zone, KEPT_BYTES_MAX)
    }

    /// One that keeps so many bytes in memory of what it folded lately, and as many again.
    fn keeping(zone: Zone, kept_bytes_max: usize) -> Self {
        Self {
            zone,
            kept_bytes_max,
            groups: groups::Kept::new(kept_bytes_max),
            consents: consents::Kept::new(kept_bytes_max),
            met: daily::Kept::default(),
        }
    }

    /// Lets go of what is kept in memory: events that it was folded from are about to change.
    fn forget(&mut self) {
        *self = Self::keeping(self.zone, self.kept_bytes_max);
    }

    /// Stores the events of `batch` and folds what they touch, as of `now`. Deliveries may be given once each, in any
    /// order; those that could not be read give nothing.
    pub fn project(
        &mut self,
        conn: &Connection,
        batch: &[Read<'_>],
        now: Timestamp,
    ) -> Result<(), Error> {
        let fresh = events::prepare(self.zone, batch)?;
        if fresh.is_empty() {
            return Ok(());
        }
        let mut readers = Readers::default();
        let mut known = Vec::with_capacity(fresh.len());
        for fresh in &fresh {
            known.push(self.is_first(conn, fresh, &mut readers)?);
            readers.hear(conn, fresh)?;
        }
        readers.greet(conn)?;
        let mut daily = Daily::default();
        let mut touched = Touched::default();
        let met = &mut self.met;
        for (fresh, is_first) in fresh.iter().zip(known) {
            let users_id = match reader_of(fresh) {
                Some(key) => readers.id(conn, &key)?,
                None => None,
            };
            if !fresh.is_test() {
                daily.add(conn, counted(fresh, users_id), is_first, met)?;
            }
            events::insert(conn, fresh, users_id)?;
            touched.note(conn, fresh, users_id)?;
        }
        daily.write(conn)?;
        self.settle(conn, &mut touched, &mut readers, now)?;
        Ok(())
    }

    /// Applies what the clock alone changes by `now` to at most `limit` subscriptions; how many rows changed. Nothing
    /// is left to do when it is 0.
    pub fn tick(
        &mut self,
        conn: &Connection,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize, Error> {
        let mut touched = Touched {
            seeds: groups::due(conn, now, limit)?,
            ..Touched::default()
        };
        self.settle(conn, &mut touched, &mut Readers::default(), now)
    }

    /// Looks at `limit` subscriptions behind the row `after` by the clock as it is now, which may say less than when they
    /// were folded: the last one's id, `None` behind the last.
    pub fn tick_again(
        &mut self,
        conn: &Connection,
        now: Timestamp,
        after: i64,
        limit: usize,
    ) -> Result<Option<i64>, Error> {
        let (seeds, last) = groups::after(conn, after, limit)?;
        let mut touched = Touched {
            seeds,
            ..Touched::default()
        };
        self.settle(conn, &mut touched, &mut Readers::default(), now)?;
        Ok(last)
    }

    /// Writes down what will be left of these deliveries when they are erased.
    pub(crate) fn note_residue(&self, conn: &Connection, seqs: &[i64]) -> Result<(), Error> {
        seqs.iter()
            .try_for_each(|seq| residue::note(conn, self.zone, *seq))
    }

    /// Folds what is left of erased deliveries after `after`, up to `to`: it never changes and touches nothing else.
    pub(crate) fn stand_in(&self, conn: &Connection, after: i64, to: i64) -> Result<(), Error> {
        residue::stand_in(conn, self.zone, after, to)
    }

    /// Takes the events of these deliveries away and folds what they touched, so that the rows are as if the deliveries
    /// had never given any. A residue that is written down remembers by which of them a reader counted on a day.
    pub fn retract(
        &mut self,
        conn: &Connection,
        seqs: &[i64],
        now: Timestamp,
    ) -> Result<(), Error> {
        self.forget();
        let mut readers = Readers::default();
        let mut daily = Daily::default();
        let mut touched = Touched::default();
        let mut gone = Vec::new();
        for seq in seqs {
            gone.extend(events::of_delivery(conn, *seq)?);
        }
        for stored in &gone {
            touched.note_stored(conn, stored, &mut readers)?;
        }
        for stored in &gone {
            payments::delete(conn, stored.id)?;
            events::delete(conn, stored.id)?;
        }
        for stored in gone.iter().filter(|stored| !stored.test) {
            if daily.remove(conn, counted_stored(stored))? {
                residue::count_reader(conn, stored.id)?;
            }
        }
        daily.write(conn)?;
        self.settle(conn, &mut touched, &mut readers, now)?;
        Ok(())
    }

    /// Sets the test mark of these deliveries' events and folds what they touched.
    pub fn retest(
        &mut self,
        conn: &Connection,
        seqs: &[i64],
        test: bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.forget();
        let mut readers = Readers::default();
        let mut daily = Daily::default();
        let mut touched = Touched::default();
        let mut changed = Vec::new();
        for seq in seqs {
            let stored = events::of_delivery(conn, *seq)?;
            changed.extend(stored.into_iter().filter(|stored| stored.test != test));
        }
        for stored in &changed {
            touched.note_stored(conn, stored, &mut readers)?;
            if !test {
                daily.add(conn, counted_stored(stored), false, &mut self.met)?;
            }
        }
        for stored in &changed {
            events::mark(conn, stored.id, test)?;
            payments::mark(conn, stored.id, test)?;
        }
        for stored in changed.iter().filter(|_| test) {
            daily.remove(conn, counted_stored(stored))?;
        }
        daily.write(conn)?;
        self.settle(conn, &mut touched, &mut readers, now)?;
        Ok(())
    }

    /// Takes at most `limit` rows of the projections away, inside the caller's transaction, to be folded again from the
    /// deliveries; how many it took. They are empty when it is 0.
    pub fn clear(&mut self, conn: &Connection, limit: u32) -> Result<u32, Error> {
        self.forget();
        let mut taken = 0;
        for (table, few) in CLEAR {
            let sql = format!("delete from {table} where {few}");
            let rows = conn.prepare_cached(&sql)?.execute([limit - taken])?;
            taken += u32::try_from(rows).unwrap_or(limit).min(limit - taken);
            if taken == limit {
                break;
            }
        }
        Ok(taken)
    }

    /// Folds all that was touched; how many rows of `subscriptions` changed.
    fn settle(
        &mut self,
        conn: &Connection,
        touched: &mut Touched,
        readers: &mut Readers,
        now: Timestamp,
    ) -> Result<usize, Error> {
        readers.fold(conn)?;
        for (scope, transaction_id) in &touched.transactions {
            for reader in payments::check(conn, scope, transaction_id)? {
                let entry = (scope.clone(), Seed::Reader(reader));
                self.groups.forget(&entry);
                touched.seeds.entry(entry).or_default();
            }
        }
        let moment = Moment {
            now,
            zone: self.zone,
        };
        let changed = groups::refold(conn, moment, &touched.seeds, &mut self.groups, readers)?;
        for (entity, fresh) in &touched.consents {
            if consents::fold_on(conn, self.zone, entity, fresh, &mut self.consents)? {
                let key = UserKey {
                    scope: entity.scope.clone(),
                    user_id: entity.user_id.clone(),
                };
                readers.recount_consents(conn, &key)?;
            }
        }
        readers.count(conn)?;
        Ok(changed)
    }

    /// Whether the reader is known to have nothing on the event's day from before this batch.
    fn is_first(
        &self,
        conn: &Connection,
        fresh: &Fresh<'_>,
        readers: &mut Readers,
    ) -> Result<bool, Error> {
        let Some(key) = reader_of(fresh) else {
            return Ok(true);
        };
        let folded_to = readers.folded_to(conn, &key)?;
        Ok(folded_to.is_none_or(|to| daily::is_new_day(self.zone, to, fresh.place.at)))
    }
}

/// Every projection and the statement that takes at most `?1` of its rows away, what points at others first.
pub(super) const CLEAR: [(&str, &str); 9] = [
    (
        "daily",
        "(day, provider, account, type) in (select day, provider, account, type from daily limit ?1)",
    ),
    ("payments", "id in (select id from payments limit ?1)"),
    (
        "cancellations",
        "id in (select id from cancellations limit ?1)",
    ),
    (
        "subscriptions",
        "id in (select id from subscriptions limit ?1)",
    ),
    (
        "consent_changes",
        "id in (select id from consent_changes limit ?1)",
    ),
    (
        "consents",
        "(provider, account, user_id, kind, app, purpose) in
         (select provider, account, user_id, kind, app, purpose from consents limit ?1)",
    ),
    (
        "user_aliases",
        "(provider, account, user_id, alias) in (select provider, account, user_id, alias from user_aliases limit ?1)",
    ),
    ("events", "id in (select id from events limit ?1)"),
    ("users", "id in (select id from users limit ?1)"),
];

fn reader_of(fresh: &Fresh<'_>) -> Option<UserKey> {
    let user_id = fresh.user_id.clone().filter(|_| fresh.is_person())?;
    Some(UserKey {
        scope: fresh.scope.clone(),
        user_id,
    })
}

fn counted<'a>(fresh: &'a Fresh<'_>, users_id: Option<i64>) -> Counted<'a> {
    Counted {
        day: &fresh.day,
        scope: &fresh.scope,
        kind: fresh.event.kind.as_str(),
        at: fresh.place.at,
        reader: fresh.user_id.as_deref().zip(users_id),
    }
}

fn counted_stored(stored: &Stored) -> Counted<'_> {
    Counted {
        day: &stored.day,
        scope: &stored.scope,
        kind: &stored.word,
        at: stored.at,
        reader: stored.user_id.as_deref().zip(stored.users_id),
    }
}

/// What has to be folded again.
#[derive(Default)]
struct Touched {
    transactions: BTreeSet<(Scope, String)>,
    seeds: Seeds,
    consents: BTreeMap<Entity, BTreeSet<i64>>,
}

impl Touched {
    /// Stores the payment that a fresh event is, and notes what the event touches.
    fn note(
        &mut self,
        conn: &Connection,
        fresh: &Fresh<'_>,
        users_id: Option<i64>,
    ) -> Result<(), Error> {
        let event = fresh.event;
        let transaction_id = payments::insert(conn, fresh, users_id)?;
        let scope = || fresh.scope.clone();
        let fresh_id = fresh.place.id();
        self.transactions
            .extend(transaction_id.map(|id| (scope(), id)));
        for seed in Self::seeds(fresh).into_iter().flatten() {
            let entry = self.seeds.entry((scope(), seed)).or_default();
            entry.insert(fresh_id);
        }
        if let (Facts::Consent(facts), Some(kind), Some(user_id)) =
            (&event.facts, consents::kind_of(event.kind), &fresh.user_id)
        {
            let entity = Entity {
                scope: scope(),
                user_id: user_id.clone(),
                kind,
                app: order::text(&facts.app).into_owned(),
            };
            self.consents.entry(entity).or_default().insert(fresh_id);
        }
        Ok(())
    }

    /// Where the group of subscriptions is entered that a fresh event is folded with.
    fn seeds(fresh: &Fresh<'_>) -> [Option<Seed>; 2] {
        let event = fresh.event;
        let (is_told, with_reader) = match &event.facts {
            Facts::Payment(facts) => (
                event.kind == EventType::PaymentRefunded
                    && (facts.cancels_access || facts.grouping == Grouping::Reader),
                facts.grouping == Grouping::Reader,
            ),
            Facts::Subscription(facts) => (true, facts.grouping == Grouping::Reader),
            _ => (event.kind.family() == "subscription", false),
        };
        if !is_told {
            return [None, None];
        }
        let reader = fresh.user_id.clone().filter(|_| with_reader);
        [
            fresh.subscription_id.clone().map(Seed::Id),
            reader.map(Seed::Reader),
        ]
    }

    /// Notes what a stored event touches that is about to go or to change its mark.
    fn note_stored(
        &mut self,
        conn: &Connection,
        stored: &Stored,
        readers: &mut Readers,
    ) -> Result<(), Error> {
        let scope = || stored.scope.clone();
        if let (Some(user_id), Some(_)) = (&stored.user_id, stored.users_id) {
            let key = UserKey {
                scope: scope(),
                user_id: user_id.clone(),
            };
            readers.refold(conn, &key)?;
        }
        let family = stored.kind.family();
        if family == "payment" {
            let transaction_id = payments::transaction(conn, stored.id)?;
            self.transactions
                .extend(transaction_id.map(|id| (scope(), id)));
        }
        if family == "subscription" || stored.kind == EventType::PaymentRefunded {
            let (id, reader) = (stored.subscription_id.clone(), stored.user_id.clone());
            for seed in [id.map(Seed::Id), reader.map(Seed::Reader)]
                .into_iter()
                .flatten()
            {
                self.seeds.entry((scope(), seed)).or_default();
            }
        }
        if let (Some(kind), Some(user_id)) = (consents::kind_of(stored.kind), &stored.user_id)
            && let Some(facts) = consents::facts_of(0, &stored.data)?
        {
            let entity = Entity {
                scope: scope(),
                user_id: user_id.clone(),
                kind,
                app: facts.app,
            };
            self.consents.entry(entity).or_default();
        }
        Ok(())
    }
}
