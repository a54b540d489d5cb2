//! A made-up year of readers: the same seed gives the same bytes.
//!
//! Imports domain and providers. Never reads the store or the clock: when it ends is given. Readers live their lives
//! in the words of each provider (`Provider::tell`); what else a real year holds is added: retries, late arrivals,
//! wrong signatures, bodies nobody can read, and a provider that falls silent before the end.
//!
//! A reader is a number: name, provider and plan follow from it and the seed, and only where their life stands is
//! kept. So memory depends on the readers, of whom there are at most 100,000, and not on the events.

mod cast;
mod rng;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::demo::cast::{Account, Cast, Member};
use crate::demo::rng::Rng;
use crate::domain::delivery::{Delivery, Origin, ProviderId};
use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use crate::providers::{Happening, Provider, Story, Told};

pub use crate::demo::cast::ACCOUNTS;

/// How long the made-up time is.
const SPAN_MS: i64 = 365 * DAY_MS;

/// The step in which it is made.
const SLOT_MS: i64 = 15 * MINUTE_MS;

/// Steps in the whole.
const SLOTS: i64 = SPAN_MS / SLOT_MS;

/// About so many events come of one reader where there is room for that few.
const EVENTS_PER_READER: u64 = 12;

/// At most so many readers: more events mean more active ones.
const READERS_MAX: u64 = 100_000;

/// How long before the end the silent provider was last heard.
const SILENCE_MS: i64 = 26 * HOUR_MS;

/// How long before the end its wrong signatures begin, and how many are shown.
const TURNED_AWAY_MS: i64 = 3 * HOUR_MS;
const TURNED_AWAY: u32 = 4;

/// How long before the end a reader who had said yes says no to another wording: within the day that Today shows.
const CHANGES_OF_MIND_MS: [i64; 2] = [15 * HOUR_MS, 3 * HOUR_MS];

/// So many readers who said yes are remembered for it.
const AGREED_MAX: usize = 8;

/// So many readers are asked whether they visit.
const VISIT_TRIES: u32 = 8;

/// Out of 10,000 webhooks so many are sent again, come late, are turned away at first, are not readable.
const REPEATED: u64 = 150;
const LATE: u64 = 30;
const REFUSED: u64 = 25;
const UNREADABLE: u64 = 8;

/// How busy each day of the week is, Monday first, and each hour of a day, UTC.
const WEEKDAYS: [u64; 7] = [23, 24, 22, 22, 20, 14, 17];
const HOURS: [u64; 24] = [
    4, 3, 3, 4, 8, 15, 24, 30, 32, 31, 29, 30, 33, 31, 29, 30, 33, 37, 40, 41, 36, 27, 16, 8,
];

/// What becomes of a webhook of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Arrives and is read.
    Kept,
    /// Has arrived before.
    Repeated,
    /// Is authentic and cannot be read.
    Unreadable,
    /// Fails authentication, for this reason.
    TurnedAway(&'static str),
}

/// One webhook of the demo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Who sends it.
    pub provider: &'static str,
    /// Whose credential it carries.
    pub account: &'static str,
    /// The hook it goes to.
    pub hook: &'static str,
    /// Headers other than credentials.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When it arrives.
    pub at: Timestamp,
    /// What becomes of it.
    pub fate: Fate,
}

impl Posted {
    /// Why it was turned away, if it was.
    pub const fn rejected(&self) -> Option<&'static str> {
        match self.fate {
            Fate::TurnedAway(reason) => Some(reason),
            _ => None,
        }
    }

    /// It as it is kept, unless it was turned away.
    pub fn into_delivery(self) -> Delivery {
        Delivery {
            provider: ProviderId::known(self.provider),
            account: self.account.to_owned(),
            hook: self.hook.to_owned(),
            received_at: self.at,
            headers: self.headers,
            body: self.body,
            credential: "path_key".to_owned(),
            identity_proof: None,
            remote_ip: "198.51.100.7".to_owned(),
            origin: Origin::Demo,
            test: false,
        }
    }
}

/// Where a reader's life stands: what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Arrives,
    BuysOnce,
    Subscribes,
    Renews,
    Recovers,
    Refunded,
    Cancels,
    Reactivates,
    Returns,
    Consents,
    AcceptsTerms,
    Withdraws,
    Over,
}

/// One reader's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    /// When the next thing happens.
    at: Timestamp,
    number: u64,
    stage: Stage,
    /// The end of the period that is paid or on trial.
    until: Timestamp,
    /// Of the last payment.
    nonce: u64,
}

impl Ord for Life {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Life {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A webhook that has still to arrive; what is sent first is first among equals.
struct Waiting {
    place: u64,
    posted: Posted,
}

impl Waiting {
    const fn key(&self) -> (Timestamp, u64) {
        (self.posted.at, self.place)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The year, in order of arrival.
pub struct Demo {
    cast: Cast,
    rng: Rng,
    since: Timestamp,
    until: Timestamp,
    wanted: u64,
    /// Events told of so far.
    made: u64,
    readers_wanted: u64,
    readers: u64,
    slot: i64,
    weight_done: u64,
    weight_all: u64,
    nonce: u64,
    placed: u64,
    turned_away: u32,
    /// Whether one of the first so many readers ever comes back for a visit.
    has_visitor: bool,
    looked_for_visitors: u64,
    /// A few who said yes to the first of `WORDINGS` and nothing since.
    agreed: Vec<u64>,
    lives: BinaryHeap<Reverse<Life>>,
    waiting: BinaryHeap<Reverse<Waiting>>,
}

impl Demo {
    /// The year before `until` with about `events` events in it.
    pub fn new(seed: u64, events: u64, until: Timestamp) -> Self {
        let since = until.plus_ms(-SPAN_MS);
        Self {
            cast: Cast::new(seed),
            rng: Rng::new(seed),
            since,
            until,
            wanted: events,
            made: 0,
            readers_wanted: (events / EVENTS_PER_READER).clamp(1, READERS_MAX),
            readers: 0,
            slot: 0,
            weight_done: 0,
            weight_all: (0..SLOTS).map(|slot| weight(since, slot)).sum(),
            nonce: 0,
            placed: 0,
            turned_away: 0,
            has_visitor: false,
            looked_for_visitors: 0,
            agreed: Vec::new(),
            lives: BinaryHeap::new(),
            waiting: BinaryHeap::new(),
        }
    }

    fn slot_start(&self, slot: i64) -> Timestamp {
        self.since.plus_ms(slot * SLOT_MS)
    }

    /// Makes what happens in the next step.
    fn advance(&mut self) {
        let (start, end) = (self.slot_start(self.slot), self.slot_start(self.slot + 1));
        self.weight_done += weight(self.since, self.slot);
        self.slot += 1;
        while self.readers < self.readers_due() {
            let at = start.plus_ms(self.rng.between(0, SLOT_MS - 1));
            self.lives.push(Reverse(Life {
                at,
                number: self.readers,
                stage: Stage::Arrives,
                until: at,
                nonce: 0,
            }));
            self.readers += 1;
        }
        while let Some(Reverse(life)) = self.lives.peek().copied() {
            if life.at >= end {
                break;
            }
            self.lives.pop();
            self.live(life);
        }
        let due = share(self.wanted, self.weight_done, self.weight_all);
        // A reader whose provider is silent gives nothing, so the tries are counted, not what comes of them.
        let finds_visitor = self.finds_visitor();
        for _ in 0..due.saturating_sub(self.made) {
            let at = start.plus_ms(self.rng.between(0, SLOT_MS - 1));
            if finds_visitor {
                self.visit(at);
            } else {
                // What comes later stays as it is for this seed.
                for _ in 0..VISIT_TRIES {
                    let _ = self.rng.below(self.readers.max(1));
                }
            }
        }
        for before_end in CHANGES_OF_MIND_MS {
            let at = self.until.plus_ms(-before_end);
            if start <= at && at < end {
                self.change_of_mind(at);
            }
        }
    }

    /// A reader who had said yes says no to the new wording. No lots are drawn for it and nothing is counted: the rest of
    /// the year stays as it is.
    fn change_of_mind(&mut self, at: Timestamp) {
        let Some(number) = self.agreed.pop() else {
            return;
        };
        let member = self.cast.member(number);
        let what = Happening::Answered {
            agreed: false,
            wording: NEW_WORDING,
        };
        for posted in told(&member, at, u64::MAX - number, what) {
            self.wait(posted);
        }
    }

    /// A quarter of the readers come in the first weeks, the others over the year.
    fn readers_due(&self) -> u64 {
        let opening = self.weight_all / 25;
        let early = self.readers_wanted.div_ceil(4);
        let late = self.readers_wanted - early;
        let done = self.weight_done;
        share(early, done.min(opening), opening)
            + share(
                late,
                done.saturating_sub(opening),
                self.weight_all - opening,
            )
    }

    /// Whether anybody who is there already can visit. Of a handful of readers perhaps nobody ever does, and making up who
    /// each of them is, at every step of the year, takes long.
    fn finds_visitor(&mut self) -> bool {
        while !self.has_visitor && self.looked_for_visitors < self.readers.max(1) {
            let member = self.cast.member(self.looked_for_visitors);
            self.has_visitor = matches!(member.account, Account::Conscent | Account::Klustr);
            self.looked_for_visitors += 1;
        }
        self.has_visitor
    }

    /// Someone who is there already signs in or meets a paywall.
    fn visit(&mut self, at: Timestamp) {
        for _ in 0..VISIT_TRIES {
            let number = self.rng.below(self.readers.max(1));
            let member = self.cast.member(number);
            let what = match member.account {
                Account::Conscent if self.rng.chance(400) => Happening::SawPaywall,
                Account::Conscent | Account::Klustr => Happening::SignedIn,
                _ => continue,
            };
            self.nonce += 1;
            self.tell(&member, at, self.nonce, what);
            return;
        }
    }

    /// Lets happen what is next in `life`, and plans what follows.
    fn live(&mut self, mut life: Life) {
        let member = self.cast.member(life.number);
        let at = life.at;
        self.nonce += 1;
        let what = match member.account {
            Account::Conscent | Account::Zotlo | Account::ZotloWeekly => {
                self.buy(&mut life, &member)
            }
            Account::Klustr => self.consent(&mut life),
            Account::ExpressConsent => self.answer(&mut life),
        };
        let nonce = if matches!(what, Happening::Refunded(_)) {
            life.nonce
        } else {
            self.nonce
        };
        self.tell(&member, at, nonce, what);
        if life.stage != Stage::Over && life.at < self.until {
            life.at = life.at.max(at.plus_ms(SECOND_MS));
            self.lives.push(Reverse(life));
        }
    }

    fn buy(&mut self, life: &mut Life, member: &Member) -> Happening {
        let plan = member.plan;
        let at = life.at;
        let zotlo = member.account != Account::Conscent;
        match life.stage {
            Stage::Arrives => {
                self.first_steps(life);
                Happening::Registered
            }
            Stage::BuysOnce => {
                let again = [Stage::BuysOnce, Stage::Subscribes, Stage::Over, Stage::Over];
                life.stage = again[self.rng.index(again.len())];
                life.at = self.human_hour(at, 5, 40);
                Happening::BoughtOnce {
                    price_minor: plan.price_minor / 4,
                    currency: plan.currency,
                }
            }
            Stage::Subscribes if self.rng.chance(400) => {
                life.until = at.plus_ms(7 * DAY_MS);
                self.renew_or_cancel(life, 300);
                Happening::TrialStarted { days: 7, plan }
            }
            Stage::Subscribes | Stage::Returns => {
                self.paid(life, member, true);
                Happening::Started(plan)
            }
            Stage::Renews if zotlo && self.rng.chance(60) => {
                life.stage = Stage::Recovers;
                life.at = at.plus_ms(self.rng.between(DAY_MS, 7 * DAY_MS));
                Happening::PaymentFailed(plan)
            }
            Stage::Renews => {
                self.paid(life, member, false);
                Happening::Renewed(plan)
            }
            Stage::Recovers if self.rng.chance(620) => {
                self.paid(life, member, false);
                Happening::Recovered(plan)
            }
            Stage::Recovers => {
                life.stage = Stage::Over;
                Happening::Ended(plan)
            }
            Stage::Refunded => {
                life.stage = if zotlo { Stage::Cancels } else { Stage::Over };
                life.at = at.plus_ms(10 * MINUTE_MS);
                Happening::Refunded(plan)
            }
            Stage::Reactivates => {
                life.stage = Stage::Renews;
                life.at = life.until;
                Happening::Reactivated(plan)
            }
            _ => self.cancel(life, member),
        }
    }

    fn first_steps(&mut self, life: &mut Life) {
        (life.stage, life.at) = match self.rng.below(100) {
            0..=44 => (Stage::Subscribes, self.human_hour(life.at, 0, 10)),
            45..=59 => (Stage::BuysOnce, self.human_hour(life.at, 0, 20)),
            _ => (Stage::Over, life.at),
        };
    }

    /// After a payment the period runs on; now and then it is given back or cancelled.
    fn paid(&mut self, life: &mut Life, member: &Member, first: bool) {
        life.until = life.at.plus_months(member.plan.months);
        life.nonce = self.nonce;
        // Conscent's refunds are told of a subscription's first charge.
        let refundable = first || member.account != Account::Conscent;
        if refundable && self.rng.chance(30) {
            life.stage = Stage::Refunded;
            life.at = self.human_hour(life.at, 1, 5);
        } else {
            self.renew_or_cancel(life, 70);
        }
    }

    fn renew_or_cancel(&mut self, life: &mut Life, cancels_permille: u64) {
        if self.rng.chance(cancels_permille) {
            life.stage = Stage::Cancels;
            life.at = life.at.plus_ms(
                self.rng
                    .between(HOUR_MS, life.until.ms() - life.at.ms() - 1),
            );
        } else {
            life.stage = Stage::Renews;
            life.at = life.until;
        }
    }

    /// A cancellation; some think better of it while access runs, where the provider has a word for that, and some
    /// come back later.
    fn cancel(&mut self, life: &mut Life, member: &Member) -> Happening {
        let (at, until) = (life.at, life.until);
        let time_left = until.ms() - at.ms();
        let zotlo = member.account != Account::Conscent;
        (life.stage, life.at) = match self.rng.below(100) {
            0..=14 if zotlo && time_left > HOUR_MS => {
                let later = self.rng.between(MINUTE_MS, time_left - MINUTE_MS);
                (Stage::Reactivates, at.plus_ms(later))
            }
            15..=26 => (Stage::Returns, self.human_hour(until.max(at), 5, 60)),
            _ => (Stage::Over, at),
        };
        Happening::Cancelled {
            plan: member.plan,
            until,
            reason: REASONS[self.rng.index(REASONS.len())],
        }
    }

    fn consent(&mut self, life: &mut Life) -> Happening {
        let at = life.at;
        match life.stage {
            Stage::Arrives => {
                life.stage = Stage::Consents;
                life.at = at.plus_ms(self.rng.between(MINUTE_MS, 20 * MINUTE_MS));
                Happening::Registered
            }
            Stage::Consents => {
                let purposes = PURPOSES
                    .iter()
                    .copied()
                    .filter(|_| self.rng.chance(550))
                    .collect();
                (life.stage, life.at) = match self.rng.below(100) {
                    0..=39 => (
                        Stage::AcceptsTerms,
                        at.plus_ms(self.rng.between(SECOND_MS, 5 * MINUTE_MS)),
                    ),
                    40..=79 => (Stage::Consents, self.human_hour(at, 10, 90)),
                    80..=89 => (Stage::Withdraws, self.human_hour(at, 5, 120)),
                    _ => (Stage::Over, at),
                };
                Happening::Consented(purposes)
            }
            Stage::AcceptsTerms => {
                life.stage = Stage::Consents;
                life.at = self.human_hour(at, 20, 120);
                let half = self.since.plus_ms(SPAN_MS / 2);
                Happening::AcceptedTerms(if at < half { "2.0.0" } else { "2.1.0" })
            }
            _ => {
                life.stage = Stage::Over;
                Happening::Withdrew
            }
        }
    }

    fn answer(&mut self, life: &mut Life) -> Happening {
        life.stage = if self.rng.chance(300) {
            Stage::Consents
        } else {
            Stage::Over
        };
        life.at = self.human_hour(life.at, 20, 200);
        let agreed = self.rng.chance(860);
        let wording = WORDINGS[self.rng.index(WORDINGS.len())];
        self.agreed.retain(|number| *number != life.number);
        if agreed && wording == WORDINGS[0] && self.agreed.len() < AGREED_MAX {
            self.agreed.push(life.number);
        }
        Happening::Answered { agreed, wording }
    }

    /// A moment so many days after `at`, in the hours in which people are awake.
    fn human_hour(&mut self, at: Timestamp, days_min: i64, days_max: i64) -> Timestamp {
        let day = at.ms().div_euclid(DAY_MS) + self.rng.between(days_min, days_max);
        let hour = i64::try_from(self.rng.weighted(&HOURS)).unwrap_or(0);
        let moment = day * DAY_MS + hour * HOUR_MS + self.rng.between(0, HOUR_MS - 1);
        let soonest = at.plus_ms(self.rng.between(MINUTE_MS, HOUR_MS));
        Timestamp::from_ms(moment).max(soonest)
    }

    /// Has `member`'s provider tell of `what`.
    fn tell(&mut self, member: &Member, at: Timestamp, nonce: u64, what: Happening) {
        let silent = member.account == Account::Klustr && at.plus_ms(SILENCE_MS) >= self.until;
        let events = member.account.events_of(&what);
        let told = told(member, at, nonce, what);
        if told.is_empty() {
            return;
        }
        let mut arrival = at;
        for mut posted in told {
            arrival = arrival.plus_ms(self.rng.between(250, 2_500));
            posted.at = arrival;
            if silent {
                self.turn_away_at_the_end(posted);
            } else {
                self.post(posted);
            }
        }
        if !silent {
            self.made += events;
        }
    }

    /// The silent provider's last sign of life: a few webhooks that nobody could take in.
    fn turn_away_at_the_end(&mut self, mut posted: Posted) {
        let shown = posted.at.plus_ms(TURNED_AWAY_MS) >= self.until;
        if shown && self.turned_away < TURNED_AWAY {
            self.turned_away += 1;
            posted.fate = Fate::TurnedAway("signature wrong");
            self.wait(posted);
        }
    }

    /// Sends a webhook on its way, with the accidents of a real one.
    fn post(&mut self, mut posted: Posted) {
        if self.rng.out_of_myriad(UNREADABLE) {
            let odd = self.unreadable(&posted);
            self.wait(odd);
        }
        if self.rng.out_of_myriad(LATE) {
            posted.at = posted.at.plus_ms(self.rng.between(HOUR_MS, 30 * HOUR_MS));
        }
        if self.rng.out_of_myriad(REFUSED) {
            let mut refused = posted.clone();
            refused.fate = Fate::TurnedAway(reason(posted.provider));
            self.wait(refused);
            posted.at = posted.at.plus_ms(5 * MINUTE_MS);
        }
        if self.rng.out_of_myriad(REPEATED) {
            let again = self.again(&posted);
            self.wait(again);
        }
        self.wait(posted);
    }

    /// The same webhook a second time. Conscent's old bodies hold neither id nor time, so for those only what comes at
    /// once is a repeat; of the others a few come back with other bytes.
    fn again(&mut self, posted: &Posted) -> Posted {
        let mut again = posted.clone();
        again.fate = Fate::Repeated;
        let timeless = matches!(posted.hook, "sign-up" | "login" | "subscription-cancelled");
        let delay = if timeless {
            self.rng.between(100, 1_500)
        } else {
            self.rng.between(2 * SECOND_MS, 2 * HOUR_MS)
        };
        again.at = posted.at.plus_ms(delay);
        if posted.provider == "klustr" && self.rng.chance(30) {
            again.body.push(b'\n');
        }
        again
    }

    /// What a broken sender or a half-written body looks like, on the way of `like`.
    fn unreadable(&mut self, like: &Posted) -> Posted {
        let half = like.body[..like.body.len() / 2].to_vec();
        let forms = [half, b"[]".to_vec(), b"{}".to_vec(), b"\xff\xfe{".to_vec()];
        // Conscent's URLs alone say what a body is, so an empty object is something there only on a shape's own hook.
        let form = self.rng.index(forms.len());
        let body = match &forms[form] {
            body if body.as_slice() == b"{}" && like.provider == "conscent" => &forms[1],
            body => body,
        };
        Posted {
            hook: "events",
            headers: Vec::new(),
            body: body.clone(),
            fate: Fate::Unreadable,
            ..like.clone()
        }
    }

    fn wait(&mut self, posted: Posted) {
        self.placed += 1;
        self.waiting.push(Reverse(Waiting {
            place: self.placed,
            posted,
        }));
    }
}

impl Iterator for Demo {
    type Item = Posted;

    fn next(&mut self) -> Option<Posted> {
        loop {
            let made_until = self.slot_start(self.slot);
            let due = self
                .waiting
                .peek()
                .is_some_and(|Reverse(first)| first.posted.at < made_until);
            if due {
                return self.waiting.pop().map(|Reverse(first)| first.posted);
            }
            if self.slot == SLOTS {
                return None;
            }
            self.advance();
        }
    }
}

const REASONS: [&str; 7] = [
    "too expensive",
    "no time to read",
    "found another paper",
    "technical problems",
    "moving abroad",
    "başka bir gazete buldum",
    "読む時間がない",
];

const PURPOSES: [&str; 4] = ["newsletter", "analytics", "ads.personalised", "location"];

const WORDINGS: [&str; 3] = [
    "Yes, send me the weekly letter. I can stop it at any time.",
    "You may call me about my subscription.",
    "Evet, haftalık bülteni almak istiyorum.",
];

/// What the first of them became: no longer the weekly letter alone.
const NEW_WORDING: &str =
    "Yes, send me the weekly letter and offers of your partners. I can stop it at any time.";

/// The webhooks in which `member`'s provider tells of `what`, as if they arrived at once.
fn told(member: &Member, at: Timestamp, nonce: u64, what: Happening) -> Vec<Posted> {
    let Some(provider) = provider(member.account.provider()) else {
        return Vec::new();
    };
    let story = Story {
        who: &member.who,
        at,
        nonce,
        what,
    };
    let posted = |webhook: Told| Posted {
        provider: provider.id(),
        account: member.account.name(),
        hook: webhook.hook,
        headers: webhook.headers,
        body: webhook.body,
        at,
        fate: Fate::Kept,
    };
    provider.tell(&story).into_iter().map(posted).collect()
}

/// What a gate would say of a wrong credential of this provider.
fn reason(provider: &str) -> &'static str {
    match provider {
        "conscent" => "basic: user right, password wrong",
        "zotlo" => "secret link wrong",
        _ => "signature wrong",
    }
}

fn provider(id: &str) -> Option<&'static dyn Provider> {
    crate::providers::ALL
        .iter()
        .copied()
        .find(|provider| provider.id() == id)
}

/// How much happens in a step: by weekday, by hour, and a little more each month.
fn weight(since: Timestamp, slot: i64) -> u64 {
    let at = since.ms() + slot * SLOT_MS;
    // 1970-01-01 was a Thursday, the fourth day of a week.
    let weekday = (at.div_euclid(DAY_MS) + 3).rem_euclid(7);
    let hour = at.rem_euclid(DAY_MS) / HOUR_MS;
    let of = |list: &[u64], place: i64| {
        usize::try_from(place)
            .ok()
            .and_then(|place| list.get(place))
            .copied()
            .unwrap_or(1)
    };
    let growth = u64::try_from(SLOTS + slot).unwrap_or(1);
    of(&WEEKDAYS, weekday) * of(&HOURS, hour) * growth
}

/// `all * part / whole`, exactly.
fn share(all: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(all) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
