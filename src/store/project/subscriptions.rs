//! What the events of subscriptions add up to: rows of `subscriptions`, and their cancellations.
//!
//! Imports domain. Pure: knows no database, no clock and no zone; MAPPING.md rules 11.3 to 11.7 and 10.5.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::event::{
    Actor, CancellationFacts, EventType, Grouping, Interval, IntervalUnit, PaymentFacts,
    SnapshotStatus, SubscriptionFacts,
};
use crate::domain::money::Money;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::store::project::order::{EVENTS_MAX, Place};
use crate::store::project::{long, weight};

/// What one event says, of a subscription or of a refund.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Where it stands.
    pub(super) place: Place,
    /// What happened: `subscription.*` or `payment.refunded`.
    pub(super) kind: EventType,
    /// Of a test delivery.
    pub(super) test: bool,
    /// As the body says; empty if it does not.
    pub(super) app: String,
    /// The reader.
    pub(super) user_id: Option<String>,
    /// E-mail.
    pub(super) email: Option<String>,
    /// Name.
    pub(super) name: Option<String>,
    /// The subscription, as far as the event names it.
    pub(super) subscription_id: Option<String>,
    /// The plan.
    pub(super) plan: Option<String>,
    /// Of a subscription event.
    pub(super) facts: SubscriptionFacts,
    /// Of a refund.
    pub(super) refund: PaymentFacts,
}

impl Told {
    /// Has words stand for long texts that are only handed on.
    pub(super) fn shorten(&mut self) {
        let id = self.place.id();
        let Self { facts, .. } = self;
        for text in [
            &mut self.email,
            &mut self.name,
            &mut self.plan,
            &mut facts.purchase_id,
            &mut facts.flag,
        ] {
            long::shorten(text, id);
        }
        if let Some(why) = &mut facts.cancellation {
            long::shorten(&mut why.reason, id);
            long::shorten(&mut why.code, id);
        }
        // Of a refund nothing else is folded.
        self.refund = PaymentFacts {
            grouping: self.refund.grouping,
            transaction_id: self.refund.transaction_id.take(),
            cancels_access: self.refund.cancels_access,
            ..PaymentFacts::default()
        };
    }

    /// About the bytes that it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let (facts, refund) = (&self.facts, &self.refund);
        let why = facts.cancellation.as_ref();
        size_of::<Self>()
            + weight::text(&self.place.key)
            + weight::text(&self.app)
            + weight::texts([
                &self.user_id,
                &self.email,
                &self.name,
                &self.subscription_id,
                &self.plan,
                &facts.gateway_id,
                &facts.purchase_id,
                &facts.flag,
                &refund.payment_id,
                &refund.transaction_id,
                &refund.status,
                &refund.flag,
            ])
            + weight::money(facts.price.as_ref())
            + weight::money(refund.net.as_ref())
            + why.map_or(0, |why| weight::texts([&why.reason, &why.code]))
    }

    /// What it is folded with.
    pub(super) fn grouping(&self) -> Grouping {
        if self.kind == EventType::PaymentRefunded {
            self.refund.grouping
        } else {
            self.facts.grouping
        }
    }
}

/// A payment that a refund may give back.
#[derive(Clone, Debug)]
pub(super) struct Paid {
    /// What refunds find it by.
    pub(super) transaction_id: String,
    /// Its delivery.
    pub(super) seq: i64,
    /// The subscription it paid for; `None` for a bundle, a pass, an article.
    pub(super) subscription_id: Option<String>,
    /// Of a test delivery.
    pub(super) test: bool,
}

/// What the events say a subscription is, whatever the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Known by a cancel alone, which tells no date.
    Pending,
    /// Not paid yet.
    Trialing,
    /// Paid.
    Active,
    /// A charge failed.
    Grace,
    /// Over.
    Expired,
    /// Taken away with a refund.
    Revoked,
}

impl Phase {
    /// The word in `subscriptions.stated_status`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::Grace => "grace",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// How a cancellation found its subscription (rule 10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matched {
    /// By its id.
    Exact,
    /// By the payment gateway's id.
    Gateway,
    /// It was the only one that it could mean.
    Only,
    /// Not at all.
    None,
}

impl Matched {
    /// The word in `cancellations.matched`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Gateway => "gateway",
            Self::Only => "only",
            Self::None => "none",
        }
    }
}

/// One cancellation, from when it was cancelled until it came back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spell {
    /// The event that opened it; negative for the further parts of a bundle that one refund revoked.
    pub(super) id: i64,
    /// The delivery of that.
    pub(super) seq: i64,
    /// When.
    pub(super) cancelled_at: Timestamp,
    /// Why.
    pub(super) reason: Option<String>,
    /// The provider's code of that.
    pub(super) code: Option<String>,
    /// Who.
    pub(super) actor: Actor,
    /// How it found its subscription.
    pub(super) matched: Matched,
    /// How the subscription stood.
    pub(super) gateway_id: Option<String>,
    /// The reader.
    pub(super) user_id: Option<String>,
    /// E-mail.
    pub(super) email: Option<String>,
    /// Name.
    pub(super) name: Option<String>,
    /// The plan.
    pub(super) plan: Option<String>,
    /// Until when there is access.
    pub(super) access_until: Option<Timestamp>,
    /// What a period cost.
    pub(super) price: Option<Money>,
    /// When it came back.
    pub(super) reactivated_at: Option<Timestamp>,
}

impl Spell {
    /// About the bytes that it takes in memory.
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + weight::texts([
                &self.reason,
                &self.code,
                &self.gateway_id,
                &self.user_id,
                &self.email,
                &self.name,
                &self.plan,
            ])
            + weight::money(self.price.as_ref())
    }
}

/// How a subscription ended, as an event tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// When.
    pub(super) at: Timestamp,
    /// After a failed charge, which is later than `access_until`.
    pub(super) in_grace: bool,
}

/// What the events of one subscription add up to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standing {
    /// Of its first event received.
    pub(super) id: i64,
    /// Made of tests only.
    pub(super) test: bool,
    /// As the body says.
    pub(super) app: String,
    /// The gateway's id of the mandate.
    pub(super) gateway_id: Option<String>,
    /// The latest purchase.
    pub(super) purchase_id: Option<String>,
    /// The reader.
    pub(super) user_id: Option<String>,
    /// E-mail.
    pub(super) email: Option<String>,
    /// Name, for cancellations.
    name: Option<String>,
    /// The plan.
    pub(super) plan: Option<String>,
    /// What it is.
    pub(super) phase: Phase,
    /// Whether it renews.
    pub(super) auto_renew: Option<bool>,
    /// Until when there is access.
    pub(super) access_until: Option<Timestamp>,
    /// That was computed.
    pub(super) access_derived: bool,
    /// When it began.
    pub(super) started_at: Option<Timestamp>,
    /// When it was last extended.
    pub(super) renewed_at: Option<Timestamp>,
    /// When the trial became paid.
    pub(super) converted_at: Option<Timestamp>,
    /// When it expired or was revoked.
    pub(super) ended: Option<End>,
    /// What a period costs.
    pub(super) price: Option<Money>,
    /// How long a period is.
    pub(super) interval: Option<Interval>,
    /// A word for the publisher.
    pub(super) flag: Option<String>,
    /// Time of the latest event.
    pub(super) changed_at: Timestamp,
    /// Something other than a cancel told of it.
    known: bool,
    /// Its cancellations, in their order.
    pub(super) spells: Vec<Spell>,
}

impl Standing {
    fn begun(told: &Told) -> Self {
        Self {
            id: told.place.id(),
            test: told.test,
            app: String::new(),
            gateway_id: None,
            purchase_id: None,
            user_id: None,
            email: None,
            name: None,
            plan: None,
            phase: Phase::Pending,
            auto_renew: None,
            access_until: None,
            access_derived: false,
            started_at: None,
            renewed_at: None,
            converted_at: None,
            ended: None,
            price: None,
            interval: None,
            flag: None,
            changed_at: told.place.at,
            known: false,
            spells: Vec::new(),
        }
    }

    /// About the bytes that it takes in memory beside its own place.
    fn bytes(&self) -> usize {
        let spells = self.spells.iter().map(Spell::bytes);
        weight::text(&self.app)
            + weight::texts([
                &self.gateway_id,
                &self.purchase_id,
                &self.user_id,
                &self.email,
                &self.name,
                &self.plan,
                &self.flag,
            ])
            + weight::money(self.price.as_ref())
            + spells.sum::<usize>()
    }

    /// The cancellation that is in force.
    pub(super) fn open_spell(&self) -> Option<&Spell> {
        self.spells
            .last()
            .filter(|spell| spell.reactivated_at.is_none())
    }

    /// Adds one event that stands after all that were added before.
    fn add(&mut self, told: &Told, matched: Matched) {
        let was = self.phase;
        self.note(told);
        self.extend(told);
        self.time(told);
        self.turn(told, was);
        self.cancel(told, was, matched);
        self.ended = matches!(self.phase, Phase::Expired | Phase::Revoked).then(|| {
            self.ended.unwrap_or(End {
                at: told.place.at,
                in_grace: was == Phase::Grace,
            })
        });
        self.known |= told.kind != EventType::SubscriptionCancelled;
    }

    /// Takes what the event states; its latest statement wins.
    fn note(&mut self, told: &Told) {
        let facts = &told.facts;
        self.id = self.id.min(told.place.id());
        self.changed_at = told.place.at;
        if !told.app.is_empty() {
            self.app.clone_from(&told.app);
        }
        // A cancel may name another of the reader's ids; the purchase says whose it is.
        if told.kind != EventType::SubscriptionCancelled || !self.known {
            latest(&mut self.user_id, told.user_id.as_ref());
        }
        latest(&mut self.email, told.email.as_ref());
        latest(&mut self.name, told.name.as_ref());
        latest(&mut self.plan, told.plan.as_ref());
        latest(&mut self.gateway_id, facts.gateway_id.as_ref());
        latest(&mut self.purchase_id, facts.purchase_id.as_ref());
        latest(&mut self.price, facts.price.as_ref());
        latest(&mut self.flag, facts.flag.as_ref());
        let on_trial = told.kind == EventType::SubscriptionTrialStarted
            || facts.snapshot.is_some_and(|snapshot| snapshot.trial);
        let span = facts.paid_period.filter(|_| !on_trial);
        let interval = facts
            .interval
            .or_else(|| span.and_then(|(from, to)| period(from, to)));
        self.interval = interval.or(self.interval);
        self.auto_renew = facts.auto_renew.or(self.auto_renew);
    }

    /// Access runs to the latest statement, which an extension never lowers.
    fn extend(&mut self, told: &Told) {
        let Some(until) = told.facts.access_until else {
            return;
        };
        let extends = matches!(
            told.kind,
            EventType::SubscriptionStarted
                | EventType::SubscriptionTrialStarted
                | EventType::SubscriptionTrialConverted
                | EventType::SubscriptionRenewed
                | EventType::SubscriptionRecovered
        );
        if extends && self.access_until.is_some_and(|known| known > until) {
            return;
        }
        self.access_until = Some(until);
        self.access_derived = told.facts.access_derived;
    }

    fn time(&mut self, told: &Told) {
        let at = told.place.at;
        match told.kind {
            EventType::SubscriptionStarted | EventType::SubscriptionTrialStarted => {
                if self.known {
                    self.renewed_at = Some(at);
                } else {
                    self.started_at = told.facts.started_at.or(Some(at));
                }
            }
            EventType::SubscriptionRenewed => self.renewed_at = Some(at),
            EventType::SubscriptionTrialConverted => self.converted_at = Some(at),
            _ => {}
        }
        self.started_at = self.started_at.or(told.facts.started_at);
    }

    fn turn(&mut self, told: &Told, was: Phase) {
        let stated = told.facts.snapshot.map(|snapshot| match snapshot.status {
            SnapshotStatus::Active if snapshot.trial => Phase::Trialing,
            SnapshotStatus::Active => Phase::Active,
            SnapshotStatus::Grace => Phase::Grace,
            SnapshotStatus::Passive => Phase::Expired,
        });
        self.phase = match told.kind {
            EventType::SubscriptionStarted
            | EventType::SubscriptionRenewed
            | EventType::SubscriptionTrialConverted
            | EventType::SubscriptionRecovered => Phase::Active,
            EventType::SubscriptionTrialStarted => Phase::Trialing,
            EventType::SubscriptionGraceEntered => Phase::Grace,
            EventType::SubscriptionExpired => Phase::Expired,
            kind => stated.unwrap_or(match (kind, was) {
                (EventType::SubscriptionCancelled, Phase::Pending) => {
                    if self.access_until.is_some() {
                        Phase::Active
                    } else {
                        Phase::Pending
                    }
                }
                (EventType::SubscriptionReactivated, Phase::Trialing) => Phase::Trialing,
                (EventType::SubscriptionReactivated, _) | (_, Phase::Pending) => Phase::Active,
                (_, was) => was,
            }),
        };
    }

    /// Opens, fills and closes cancellations (rule 11.5).
    fn cancel(&mut self, told: &Told, was: Phase, matched: Matched) {
        let facts = &told.facts;
        // A full state that still carries the cancellation of the open spell undoes nothing.
        let carried = facts
            .cancellation
            .as_ref()
            .filter(|_| facts.snapshot.is_some());
        let is_same = carried
            .zip(self.open_spell())
            .is_some_and(|(carried, open)| carried.at == Some(open.cancelled_at));
        if returns(told, carried.is_some()) && !is_same {
            self.close(told);
        }
        if told.kind == EventType::SubscriptionCancelled
            || carried.is_some()
            || self.phase == Phase::Expired
        {
            self.open(told, matched, &why(told, was));
        }
    }

    fn close(&mut self, told: &Told) {
        let is_open = self.open_spell().is_some();
        if is_open && let Some(open) = self.spells.last_mut() {
            open.reactivated_at = Some(told.place.at);
        }
        if (is_open || told.kind == EventType::SubscriptionReactivated)
            && told.facts.auto_renew.is_none()
        {
            let renews = matches!(
                told.kind,
                EventType::SubscriptionReactivated | EventType::SubscriptionRecovered
            ) || told.facts.snapshot.is_some_and(|snapshot| snapshot.running);
            self.auto_renew = renews.then_some(true);
        }
    }

    /// Opens a spell, or fills what the open one lacks.
    fn open(&mut self, told: &Told, matched: Matched, why: &CancellationFacts) {
        self.auto_renew = Some(false);
        if self.open_spell().is_none() {
            self.spells.push(Spell {
                id: told.place.id(),
                seq: told.place.seq,
                cancelled_at: why.at.unwrap_or(told.place.at),
                reason: None,
                code: None,
                actor: why.actor,
                matched,
                gateway_id: None,
                user_id: None,
                email: None,
                name: None,
                plan: None,
                access_until: None,
                price: None,
                reactivated_at: None,
            });
        }
        let Some(open) = self.spells.last_mut() else {
            return;
        };
        // Who gave money back, or did not pay, later in the spell is not who asked.
        if open.actor == Actor::Unknown && told.kind == EventType::SubscriptionCancelled {
            open.actor = why.actor;
        }
        fill(&mut open.reason, why.reason.as_ref());
        fill(&mut open.code, why.code.as_ref());
        fill(&mut open.gateway_id, self.gateway_id.as_ref());
        fill(&mut open.user_id, self.user_id.as_ref());
        fill(&mut open.email, self.email.as_ref());
        fill(&mut open.name, self.name.as_ref());
        fill(&mut open.plan, self.plan.as_ref());
        fill(&mut open.access_until, self.access_until.as_ref());
        fill(&mut open.price, self.price.as_ref());
    }

    /// A refund takes access away.
    fn revoke(&mut self, told: &Told, matched: Matched) {
        let at = told.place.at;
        self.changed_at = at;
        self.phase = Phase::Revoked;
        self.ended = Some(End {
            at,
            in_grace: false,
        });
        let why = CancellationFacts {
            at: Some(at),
            reason: Some("refund".to_owned()),
            code: None,
            actor: Actor::Merchant,
        };
        self.open(told, matched, &why);
        // Else a later, shorter purchase would run as long as what was given back.
        self.access_until = self.access_until.map(|until| until.min(at));
    }

    fn has_access(&self, at: Timestamp) -> bool {
        matches!(self.phase, Phase::Trialing | Phase::Active | Phase::Grace)
            && self.access_until.is_some_and(|until| until > at)
    }
}

fn latest<T: Clone>(known: &mut Option<T>, told: Option<&T>) {
    if let Some(told) = told {
        *known = Some(told.clone());
    }
}

fn fill<T: Clone>(known: &mut Option<T>, told: Option<&T>) {
    if known.is_none() {
        *known = told.cloned();
    }
}

/// Whether an event undoes a cancellation.
fn returns(told: &Told, carries_cancellation: bool) -> bool {
    match told.kind {
        EventType::SubscriptionReactivated
        | EventType::SubscriptionRecovered
        | EventType::SubscriptionStarted
        | EventType::SubscriptionTrialStarted
        | EventType::SubscriptionRenewed
        | EventType::SubscriptionTrialConverted => true,
        EventType::SubscriptionCancelled | EventType::SubscriptionExpired => false,
        _ => !carries_cancellation && told.facts.snapshot.is_some_and(|snapshot| snapshot.running),
    }
}

/// What an event says of why it ended. One that ended in grace, untold, ended because nobody paid.
fn why(told: &Told, was: Phase) -> CancellationFacts {
    let mut why = told.facts.cancellation.clone().unwrap_or_default();
    let untold = told.facts.cancellation.is_none();
    if untold && was == Phase::Grace && told.kind != EventType::SubscriptionCancelled {
        why.actor = Actor::Payment;
    }
    if why.actor == Actor::Payment && why.reason.is_none() {
        why.reason = Some("non-payment".to_owned());
    }
    why
}

/// The length of a paid period, from its ends (rule 10.5); `None` if they are less than half a day apart.
pub(super) fn period(from: Timestamp, to: Timestamp) -> Option<Interval> {
    let days = to.ms().checked_sub(from.ms())?.checked_add(DAY_MS / 2)? / DAY_MS;
    // 1461 days are 48 months.
    let months = (days * 48 + 1461 / 2) / 1461;
    let (unit, count) = match days {
        ..1 => return None,
        7 => (IntervalUnit::Week, 1),
        365 | 366 => (IntervalUnit::Year, 1),
        28..=31 => (IntervalUnit::Month, 1),
        _ if months >= 2 && (days * 48 - months * 1461).abs() <= 3 * 48 => {
            (IntervalUnit::Month, months)
        }
        _ => (IntervalUnit::Day, days),
    };
    let count = u32::try_from(count).ok()?;
    Some(Interval { unit, count })
}

/// The length in months (rule 10.5), for monthly figures.
pub(super) fn months(interval: Interval) -> f64 {
    let count = f64::from(interval.count);
    match interval.unit {
        IntervalUnit::Day => count * 12.0 / 365.25,
        IntervalUnit::Week => count * 84.0 / 365.25,
        IntervalUnit::Month => count,
        IntervalUnit::Year => count * 12.0,
    }
}

/// What a group of events adds up to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Folded {
    /// By subscription id.
    pub(super) standings: BTreeMap<String, Standing>,
    /// The subscription of each refund, by the id of its event.
    pub(super) refunds: BTreeMap<i64, Option<String>>,
}

/// The events of one group, folded. Those of tests are folded by themselves, and a row of theirs stands where no other
/// has its id.
#[derive(Debug, Default)]
pub(super) struct Sum {
    real: Group,
    tests: Group,
}

impl Sum {
    /// Folds all events of a group.
    pub(super) fn of(events: Vec<Told>, paid: &[Paid]) -> Self {
        let mut sum = Self::default();
        for (events, group) in sum.halves(events) {
            let paid: Vec<&Paid> = paid.iter().filter(|paid| paid.test == group.test).collect();
            // Nothing was decided before that could have been decided otherwise.
            let _ = group.learn(&events);
            group.fold(&events, &paid);
        }
        sum
    }

    /// Adds events; the subscriptions that this is about. `None` if all of the group must be folded again: an event
    /// stands before one that was folded, or bears on what was decided by then.
    pub(super) fn add(&mut self, events: Vec<Told>) -> Option<BTreeSet<String>> {
        for (events, group) in self.halves(events) {
            let is_later = match (&group.last, events.first()) {
                (Some(last), Some(first)) => *last < first.place,
                _ => true,
            };
            let refunds = events
                .iter()
                .any(|told| told.kind == EventType::PaymentRefunded);
            if !is_later || refunds || !group.learn(&events) {
                return None;
            }
            group.fold(&events, &[]);
        }
        let met = std::mem::take(&mut self.real.met);
        let of_tests = std::mem::take(&mut self.tests.met);
        let tests = &self.tests.folded.standings;
        if met.iter().any(|id| tests.contains_key(id)) {
            return None;
        }
        let real = &self.real.folded.standings;
        let shown = of_tests.into_iter().filter(|id| !real.contains_key(id));
        Some(met.into_iter().chain(shown).collect())
    }

    /// The subscriptions that are shown otherwise in the two.
    pub(super) fn differs(&self, other: &Self) -> BTreeSet<String> {
        let halves = [&self.real, &self.tests, &other.real, &other.tests];
        let ids = halves
            .iter()
            .flat_map(|group| group.folded.standings.keys());
        let changed = ids.filter(|id| self.standing(id) != other.standing(id));
        changed.cloned().collect()
    }

    /// What is to be shown of the subscription `id`.
    pub(super) fn standing(&self, id: &str) -> Option<&Standing> {
        let real = self.real.folded.standings.get(id);
        real.or_else(|| self.tests.folded.standings.get(id))
    }

    /// The subscription of each refund, by the id of its event.
    pub(super) fn refunds(&self) -> impl Iterator<Item = (i64, Option<&str>)> {
        let real = self.real.folded.refunds.iter();
        real.chain(&self.tests.folded.refunds)
            .map(|(id, subscription_id)| (*id, subscription_id.as_deref()))
    }

    /// Lets go of what no later event can change: all but the latest cancellation of these subscriptions, and what
    /// refunds gave back.
    pub(super) fn settle<'a>(&mut self, ids: impl Iterator<Item = &'a String>) {
        for id in ids {
            for group in [&mut self.real, &mut self.tests] {
                if let Some(standing) = group.folded.standings.get_mut(id) {
                    let settled = standing.spells.len().saturating_sub(1);
                    standing.spells.drain(..settled);
                }
            }
        }
        for group in [&mut self.real, &mut self.tests] {
            group.folded.refunds.clear();
            group.met.clear();
        }
    }

    /// About the bytes that it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.real.bytes() + self.tests.bytes()
    }

    fn halves(&mut self, events: Vec<Told>) -> [(Vec<Told>, &mut Group); 2] {
        self.tests.test = true;
        let (mut tests, mut real): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|told| told.test);
        for events in [&mut tests, &mut real] {
            events.sort_by(|a, b| a.place.cmp(&b.place));
        }
        [(real, &mut self.real), (tests, &mut self.tests)]
    }
}

/// One half of a group: all its tests, or all the rest.
#[derive(Debug, Default)]
struct Group {
    test: bool,
    /// Where the latest event stands.
    last: Option<Place>,
    /// Ids that something other than a cancel names.
    purchases: BTreeSet<String>,
    /// The ids of purchases by their gateway's id.
    gateways: BTreeMap<String, BTreeSet<String>>,
    /// Ids of cancels that were not among the purchases, and gateways that cancels were looked for by: what joins
    /// either of them later decides anew.
    missed: BTreeSet<String>,
    searched: BTreeSet<String>,
    /// Where cancels of an id that no purchase has went.
    attached: BTreeMap<String, (String, Matched)>,
    /// How many cancellations an event opened.
    opened: BTreeMap<i64, i64>,
    /// Subscriptions that events were added to.
    met: BTreeSet<String>,
    folded: Folded,
}

impl Group {
    /// About the bytes that it takes in memory beside its own place.
    fn bytes(&self) -> usize {
        let Folded { standings, refunds } = &self.folded;
        weight::text(self.last.as_ref().map_or("", |last| &last.key))
            + weight::set(&self.purchases)
            + weight::map(&self.gateways, |id, ids| {
                weight::text(id) + weight::set(ids)
            })
            + weight::set(&self.missed)
            + weight::set(&self.searched)
            + weight::map(&self.attached, |id, (to, _)| {
                weight::text(id) + weight::text(to)
            })
            + weight::map(&self.opened, |_, _| 0)
            + weight::set(&self.met)
            + weight::map(standings, |id, standing| {
                weight::text(id) + standing.bytes()
            })
            + weight::map(refunds, |_, to| weight::texts([to]))
    }

    /// Takes in what cancels are told by, wherever in the order it stands; false if what was decided before would have
    /// been decided otherwise.
    fn learn(&mut self, events: &[Told]) -> bool {
        let mut holds = true;
        for told in events {
            if matches!(
                told.kind,
                EventType::SubscriptionCancelled | EventType::PaymentRefunded
            ) {
                continue;
            }
            let Some(id) = &told.subscription_id else {
                continue;
            };
            if self.purchases.insert(id.clone()) {
                holds &= !self.missed.contains(id);
            }
            if let Some(gateway) = &told.facts.gateway_id {
                let ids = self.gateways.entry(gateway.clone()).or_default();
                if ids.insert(id.clone()) {
                    holds &= !self.searched.contains(gateway);
                }
            }
        }
        holds
    }

    /// Folds events in their order, which stand after all that were folded before.
    fn fold(&mut self, events: &[Told], paid: &[&Paid]) {
        for told in events {
            match told.kind {
                EventType::PaymentRefunded => self.refund(told, events, paid),
                EventType::SubscriptionCancelled => {
                    if let Some((id, matched)) = self.find(told) {
                        self.add(id, told, matched);
                    }
                }
                _ => {
                    if let Some(id) = told.subscription_id.clone() {
                        self.add(id, told, Matched::Exact);
                    }
                }
            }
            self.opened.clear();
        }
        if let Some(last) = events.last() {
            self.last = Some(last.place.clone());
        }
    }

    fn add(&mut self, id: String, told: &Told, matched: Matched) {
        self.met.insert(id.clone());
        let standing = self
            .folded
            .standings
            .entry(id)
            .or_insert_with(|| Standing::begun(told));
        let spells = standing.spells.len();
        standing.add(told, matched);
        if standing.spells.len() > spells {
            name(&mut self.opened, standing);
        }
    }

    /// The subscription that a cancel is of (rule 11.4).
    fn find(&mut self, told: &Told) -> Option<(String, Matched)> {
        let own = told.subscription_id.as_deref();
        if let Some(id) = own
            && (told.facts.grouping == Grouping::Subscription || self.purchases.contains(id))
        {
            return Some((id.to_owned(), Matched::Exact));
        }
        self.missed.extend(own.map(str::to_owned));
        if let Some(found) = own.and_then(|id| self.attached.get(id)) {
            return Some(found.clone());
        }
        self.searched.extend(told.facts.gateway_id.clone());
        let found = self
            .by_gateway(told)
            .map(|id| (id, Matched::Gateway))
            .or_else(|| self.only(told).map(|id| (id, Matched::Only)));
        if let (Some(own), Some(found)) = (own, &found) {
            self.attached.insert(own.to_owned(), found.clone());
        }
        found.or_else(|| own.map(|id| (id.to_owned(), Matched::None)))
    }

    fn by_gateway(&self, told: &Told) -> Option<String> {
        let gateway = told.facts.gateway_id.as_deref()?;
        let learnt = self.folded.standings.iter().filter(|(id, standing)| {
            standing.gateway_id.as_deref() == Some(gateway)
                && told.subscription_id.as_ref() != Some(id)
        });
        let mut found: BTreeSet<&str> = learnt.map(|(id, _)| id.as_str()).collect();
        let stated = self.gateways.get(gateway).into_iter().flatten();
        found.extend(stated.map(String::as_str));
        sole(found.into_iter()).map(str::to_owned)
    }

    /// The only row of the reader that is not cancelled, may renew and costs the same. A cancel that tells until when
    /// there is access is a row of its own, and another mandate's row is not meant.
    fn only(&self, told: &Told) -> Option<String> {
        if !told.facts.stub && told.facts.access_until.is_some() {
            return None;
        }
        let price = told.facts.price.as_ref()?;
        price.minor?;
        let reader = told.user_id.as_ref()?;
        let candidates = self.folded.standings.iter().filter(|(_, standing)| {
            standing.user_id.as_ref() == Some(reader)
                && standing.open_spell().is_none()
                && standing.auto_renew != Some(false)
                && standing.price.as_ref().is_some_and(|known| {
                    known.minor == price.minor && known.currency == price.currency
                })
                && told
                    .facts
                    .gateway_id
                    .as_ref()
                    .zip(standing.gateway_id.as_ref())
                    .is_none_or(|(told, known)| told == known)
        });
        sole(candidates.map(|(id, _)| id.clone()))
    }

    fn refund(&mut self, told: &Told, events: &[Told], paid: &[&Paid]) {
        let (mut shown, mut meant, mut matched) = refunded(told, events, paid);
        if meant.is_none() && told.refund.cancels_access {
            let at = told.place.at;
            let with_access = self.folded.standings.iter().filter(|(_, standing)| {
                standing.user_id == told.user_id && standing.has_access(at)
            });
            shown = sole(with_access.map(|(id, _)| id.clone()));
            meant = shown.clone().map(|id| vec![id]);
            matched = Matched::Only;
        }
        self.folded.refunds.insert(told.place.id(), shown);
        if !told.refund.cancels_access {
            return;
        }
        for id in meant.into_iter().flatten() {
            let Some(standing) = self.folded.standings.get_mut(&id) else {
                continue;
            };
            self.met.insert(id);
            let spells = standing.spells.len();
            standing.revoke(told, matched);
            if standing.spells.len() > spells {
                name(&mut self.opened, standing);
            }
        }
    }
}

/// What a refund gives back: the subscription to show, and those it may revoke; `None` if its payment is unknown. The
/// payment of a bundle has no subscription, its delivery has.
fn refunded(
    told: &Told,
    events: &[Told],
    paid: &[&Paid],
) -> (Option<String>, Option<Vec<String>>, Matched) {
    if let Some(id) = &told.subscription_id {
        return (Some(id.clone()), Some(vec![id.clone()]), Matched::Exact);
    }
    let transaction = told.refund.transaction_id.as_deref();
    let mut mine = paid
        .iter()
        .filter(|paid| Some(paid.transaction_id.as_str()) == transaction);
    let Some(first) = mine.next() else {
        return (None, None, Matched::None);
    };
    let shown = first
        .subscription_id
        .clone()
        .or_else(|| mine.find_map(|paid| paid.subscription_id.clone()));
    let meant = match &shown {
        Some(id) => vec![id.clone()],
        None => events
            .iter()
            .filter(|event| event.place.seq == first.seq)
            .filter_map(|event| event.subscription_id.clone())
            .collect(),
    };
    (shown, Some(meant), Matched::Exact)
}

/// Gives the newest spell an id that no other has: a refund may revoke several parts of a bundle at once. The further
/// ones are negative, where no event is.
fn name(opened: &mut BTreeMap<i64, i64>, standing: &mut Standing) {
    if let Some(spell) = standing.spells.last_mut() {
        let parts = opened.entry(spell.id).or_default();
        if *parts > 0 {
            spell.id = -(spell.id * EVENTS_MAX + *parts);
        }
        *parts += 1;
    }
}

fn sole<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    all.next().filter(|_| all.next().is_none())
}
