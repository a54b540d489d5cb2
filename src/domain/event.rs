//! One fact, in our words: who, what, when, how much.
//!
//! `Facts` holds what folding needs beyond the columns of `events`; it is stored in `events.data` and read back
//! from there, so that an entity can be folded again without reading bodies. MAPPING.md is the contract.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::delivery::words;
use crate::domain::money::Money;
use crate::domain::time::Timestamp;

words! {
    /// The closed list of event types (DESIGN.md section 8), in the order of MAPPING.md rule 11.1: an event of an
    /// earlier type is folded before one of a later type at the same instant.
    EventType {
        /// A reader registered.
        UserRegistered = "user.registered",
        /// A reader signed in.
        UserSignedIn = "user.signed_in",
        /// Facts about a reader changed.
        UserUpdated = "user.updated",
        /// An identity check was passed.
        IdentityVerified = "identity.verified",
        /// An identity check lapsed.
        IdentityRevoked = "identity.revoked",
        /// A reader looked at the last step before buying.
        CheckoutReviewed = "checkout.reviewed",
        /// Something other than a subscription was bought.
        PurchaseCompleted = "purchase.completed",
        /// A subscription began, paid.
        SubscriptionStarted = "subscription.started",
        /// A trial began.
        SubscriptionTrialStarted = "subscription.trial_started",
        /// A trial became a paid subscription.
        SubscriptionTrialConverted = "subscription.trial_converted",
        /// A further period was paid.
        SubscriptionRenewed = "subscription.renewed",
        /// The plan changed.
        SubscriptionPlanChanged = "subscription.plan_changed",
        /// A full state whose cause is not told.
        SubscriptionUpdated = "subscription.updated",
        /// A charge failed, access goes on.
        SubscriptionGraceEntered = "subscription.grace_entered",
        /// The failed charge was made good.
        SubscriptionRecovered = "subscription.recovered",
        /// It will not renew; access runs on.
        SubscriptionCancelled = "subscription.cancelled",
        /// The cancellation was undone.
        SubscriptionReactivated = "subscription.reactivated",
        /// It ended.
        SubscriptionExpired = "subscription.expired",
        /// Money came in.
        PaymentSucceeded = "payment.succeeded",
        /// Money went back.
        PaymentRefunded = "payment.refunded",
        /// A reader agreed to an app for the first time.
        ConsentGiven = "consent.given",
        /// The set of what a reader agreed to changed.
        ConsentUpdated = "consent.updated",
        /// A reader withdrew all.
        ConsentWithdrawn = "consent.withdrawn",
        /// Terms were accepted.
        AgreementAccepted = "agreement.accepted",
        /// Acceptance of terms was taken back.
        AgreementWithdrawn = "agreement.withdrawn",
        /// A reader joined an experiment.
        ExperimentJoined = "experiment.joined",
        /// Something about a membership changed.
        ExperimentUpdated = "experiment.updated",
        /// A reader left an experiment.
        ExperimentLeft = "experiment.left",
        /// Proof of what a reader saw and agreed to was captured.
        ConsentEvidenceCaptured = "consent_evidence.captured",
        /// A paywall was shown, clicked or closed.
        EngagementPaywall = "engagement.paywall",
        /// A meter was shown, clicked or closed.
        EngagementMeter = "engagement.meter",
        /// A popup was shown, clicked or closed.
        EngagementPopup = "engagement.popup",
        /// A landing page was clicked.
        EngagementLandingPage = "engagement.landing_page",
        /// A quiz was answered.
        EngagementQuiz = "engagement.quiz",
        /// An object that names a type we do not know.
        Unknown = "unknown",
    }
}

impl EventType {
    /// The place of this type among events at one instant.
    pub fn rank(self) -> u8 {
        u8::try_from(
            Self::ALL
                .iter()
                .position(|kind| *kind == self)
                .unwrap_or(usize::MAX),
        )
        .unwrap_or(u8::MAX)
    }

    /// The word before the dot: `subscription`, `payment`, `consent`, `unknown`.
    pub fn family(self) -> &'static str {
        let word = self.as_str();
        word.split_once('.').map_or(word, |(family, _)| family)
    }
}

words! {
    /// Where `occurred_at` came from (MAPPING.md rule 8.4).
    OccurredSource {
        /// The body says so.
        Body = "body",
        /// A header says so.
        Header = "header",
        /// Nothing says it: arrival counts.
        None = "none",
        /// The body says something impossible: kept in data, not used.
        Implausible = "implausible",
    }
}

/// When something happened, as far as the provider tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurred {
    /// The instant; `None` where none or nothing plausible is told.
    pub at: Option<Timestamp>,
    /// Who told it.
    pub source: OccurredSource,
}

/// 2000-01-01T00:00:00Z: nothing a provider tells of is older.
const PLAUSIBLE_FROM: Timestamp = Timestamp::from_ms(946_684_800_000);
/// So long after arrival a stated time may lie.
const PLAUSIBLE_AHEAD_MS: i64 = 366 * crate::domain::time::DAY_MS;

impl Occurred {
    /// Nothing says when.
    pub const NOT_TOLD: Self = Self {
        at: None,
        source: OccurredSource::None,
    };

    /// The stated instant `at`, told by `source`, of something that arrived at `received_at`. One before 2000 or
    /// more than 366 days after arrival is implausible (rule 8.4).
    pub fn told(at: Option<Timestamp>, source: OccurredSource, received_at: Timestamp) -> Self {
        match at {
            None => Self::NOT_TOLD,
            Some(at) if at < PLAUSIBLE_FROM || at.ms() - received_at.ms() > PLAUSIBLE_AHEAD_MS => {
                Self {
                    at: None,
                    source: OccurredSource::Implausible,
                }
            }
            Some(_) => Self { at, source },
        }
    }
}

/// One normalised fact read out of a delivery.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub kind: EventType,
    /// What the body calls the app, client or domain; empty if it does not say.
    #[serde(default, skip_serializing_if = "is_default")]
    pub app: String,
    /// When.
    pub occurred: Occurred,
    /// Who.
    pub subject: Subject,
    /// Which subscription (rule 8.7, 8.14).
    #[serde(default, skip_serializing_if = "is_default")]
    pub subscription_id: Option<String>,
    /// The plan, as the publisher named it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub plan: Option<String>,
    /// The amount: of `payment.*` events only (rule 8.3). Refunds are negative.
    #[serde(default, skip_serializing_if = "is_default")]
    pub money: Option<Money>,
    /// What folding needs beyond the columns.
    #[serde(default, skip_serializing_if = "is_default")]
    pub facts: Facts,
    /// What else of the body is worth having at hand, under the provider's own keys.
    #[serde(default, skip_serializing_if = "is_default")]
    pub extra: Map<String, Value>,
}

impl Event {
    /// An event with nothing but its kind, time and subject.
    pub fn new(kind: EventType, occurred: Occurred, subject: Subject) -> Self {
        Self {
            kind,
            app: String::new(),
            occurred,
            subject,
            subscription_id: None,
            plan: None,
            money: None,
            facts: Facts::None,
            extra: Map::new(),
        }
    }
}

/// Who an event is about, as one provider's account knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subject {
    /// The provider's id of the reader, or the one MAPPING.md section 8 builds.
    #[serde(skip_serializing_if = "is_default")]
    pub user_id: Option<String>,
    /// E-mail, as sent.
    #[serde(skip_serializing_if = "is_default")]
    pub email: Option<String>,
    /// Phone, as sent.
    #[serde(skip_serializing_if = "is_default")]
    pub phone: Option<String>,
    /// Name, as sent.
    #[serde(skip_serializing_if = "is_default")]
    pub name: Option<String>,
    /// Country, as sent.
    #[serde(skip_serializing_if = "is_default")]
    pub country: Option<String>,
    /// City, as sent.
    #[serde(skip_serializing_if = "is_default")]
    pub city: Option<String>,
    /// The publisher's own id of the reader.
    #[serde(skip_serializing_if = "is_default")]
    pub client_user_id: Option<String>,
    /// Other ids of the same body: `(alias, source)`, the source naming the field. Never merged on.
    #[serde(skip_serializing_if = "is_default")]
    pub aliases: Vec<(String, String)>,
    /// The id names a session or a record, not a person: no `users` row (rule 8.12).
    #[serde(skip_serializing_if = "is_default")]
    pub anonymous: bool,
}

/// What folding needs beyond the columns of `events`, by family of type. Stored in `events.data`, each under its own
/// key (`subscription`, `payment`, `consent`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Facts {
    /// Nothing more.
    #[default]
    None,
    /// Of `subscription.*`.
    Subscription(SubscriptionFacts),
    /// Of `payment.*`.
    Payment(PaymentFacts),
    /// Of `consent.*`, `agreement.*`, `experiment.*`, `identity.*` and `consent_evidence.captured`.
    Consent(ConsentFacts),
}

/// Which events of a subscription are folded together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// Those of the same `subscription_id`.
    #[default]
    Subscription,
    /// All subscription and payment events of the same reader: a cancel or refund may name none (rule 11.4).
    Reader,
}

/// What one event says of a subscription. `None` means that it does not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscriptionFacts {
    /// What it is folded with.
    #[serde(skip_serializing_if = "is_default")]
    pub grouping: Grouping,
    /// The payment gateway's id of the mandate.
    #[serde(skip_serializing_if = "is_default")]
    pub gateway_id: Option<String>,
    /// The purchase that made or extended it.
    #[serde(skip_serializing_if = "is_default")]
    pub purchase_id: Option<String>,
    /// What a period costs. Not an amount that moved.
    #[serde(skip_serializing_if = "is_default")]
    pub price: Option<Money>,
    /// The length of a period, where the provider states it.
    #[serde(skip_serializing_if = "is_default")]
    pub interval: Option<Interval>,
    /// First and last instant of the paid period, from which the length follows where it is not stated (rule 10.5).
    #[serde(skip_serializing_if = "is_default")]
    pub paid_period: Option<(Timestamp, Timestamp)>,
    /// Access runs to here.
    #[serde(skip_serializing_if = "is_default")]
    pub access_until: Option<Timestamp>,
    /// `access_until` was computed from a duration, not stated.
    #[serde(skip_serializing_if = "is_default")]
    pub access_derived: bool,
    /// Whether it will renew.
    #[serde(skip_serializing_if = "is_default")]
    pub auto_renew: Option<bool>,
    /// When it began, if that is told apart from the event's time.
    #[serde(skip_serializing_if = "is_default")]
    pub started_at: Option<Timestamp>,
    /// The cancellation that this event is or that its snapshot carries.
    #[serde(skip_serializing_if = "is_default")]
    pub cancellation: Option<CancellationFacts>,
    /// The whole state, where the provider sends it with every event.
    #[serde(skip_serializing_if = "is_default")]
    pub snapshot: Option<Snapshot>,
    /// It is known only by being cancelled: nothing here tells plan, price or access (rule 11.3: `pending`).
    #[serde(skip_serializing_if = "is_default")]
    pub stub: bool,
    /// A word for the publisher, such as `several sellers in one bundle`.
    #[serde(skip_serializing_if = "is_default")]
    pub flag: Option<String>,
}

/// A full state sent along with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The agreement to pay, by the provider's word.
    pub status: SnapshotStatus,
    /// A trial, not paid yet.
    pub trial: bool,
    /// It is set to go on after this period, so any earlier cancellation is undone.
    pub running: bool,
}

words! {
    /// A provider's word on the agreement to pay.
    SnapshotStatus {
        /// Paid or on trial.
        Active = "active",
        /// A charge failed.
        Grace = "grace",
        /// Over.
        Passive = "passive",
    }
}

/// What one event says of a cancellation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CancellationFacts {
    /// When it was cancelled, if told apart from the event's time.
    #[serde(skip_serializing_if = "is_default")]
    pub at: Option<Timestamp>,
    /// Why, in the provider's or the reader's words.
    #[serde(skip_serializing_if = "is_default")]
    pub reason: Option<String>,
    /// The provider's code of the reason.
    #[serde(skip_serializing_if = "is_default")]
    pub code: Option<String>,
    /// Who did it.
    #[serde(skip_serializing_if = "is_default")]
    pub actor: Actor,
}

/// Who cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The reader.
    User,
    /// The publisher.
    Merchant,
    /// The provider.
    System,
    /// A charge that failed for good.
    Payment,
    /// Not told.
    #[default]
    Unknown,
}

impl Actor {
    /// The word in `cancellations.actor`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Merchant => "merchant",
            Self::System => "system",
            Self::Payment => "payment",
            Self::Unknown => "unknown",
        }
    }
}

/// The length of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Of what.
    pub unit: IntervalUnit,
    /// How many, at least 1.
    pub count: u32,
}

words! {
    /// The unit of a period.
    IntervalUnit {
        /// Days.
        Day = "day",
        /// Weeks.
        Week = "week",
        /// Calendar months.
        Month = "month",
        /// Years.
        Year = "year",
    }
}

/// What one event says of a payment or refund.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PaymentFacts {
    /// What it is folded with.
    #[serde(skip_serializing_if = "is_default")]
    pub grouping: Grouping,
    /// The payment's id (rule 10.4); `None`: the store calls it `delivery:<seq>` (rule 9.3).
    #[serde(skip_serializing_if = "is_default")]
    pub payment_id: Option<String>,
    /// The transaction, by which a refund finds its payment.
    #[serde(skip_serializing_if = "is_default")]
    pub transaction_id: Option<String>,
    /// What the publisher keeps, in the payment's currency.
    #[serde(skip_serializing_if = "is_default")]
    pub net: Option<Money>,
    /// The provider's word; `None`: succeeded, or refunded.
    #[serde(skip_serializing_if = "is_default")]
    pub status: Option<String>,
    /// A word for the publisher, such as `price of the sale, refund untold`.
    #[serde(skip_serializing_if = "is_default")]
    pub flag: Option<String>,
    /// A refund that ends access at once (rule 11.7).
    #[serde(skip_serializing_if = "is_default")]
    pub cancels_access: bool,
    /// Belongs to a subscription: without one known, it is shown under "needs you" (rule 8.16).
    #[serde(skip_serializing_if = "is_default")]
    pub for_subscription: bool,
}

/// What one event says of consents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentFacts {
    /// Which sort: the same user, app and kind are one entity (rule 11.8).
    pub kind: ConsentKind,
    /// The `app` of the consent rows: `app_id`, `agreement_id` for agreements, else empty (rule 10.1).
    pub app: String,
    /// The list is the whole set: known purposes that are not in it are withdrawn.
    #[serde(default, skip_serializing_if = "is_default")]
    pub whole_set: bool,
    /// Everything is withdrawn, listed or not.
    #[serde(default, skip_serializing_if = "is_default")]
    pub withdraws_all: bool,
    /// What is stated, in the order of the body.
    pub scopes: Vec<Scope>,
}

words! {
    /// The four things kept apart, and evidence of the first.
    ConsentKind {
        /// Consent as a legal basis.
        Consent = "consent",
        /// Terms accepted.
        Agreement = "agreement",
        /// Membership of an experiment.
        Experiment = "experiment",
        /// An identity check.
        Identity = "identity",
        /// What was shown and answered.
        Evidence = "evidence",
    }
}

words! {
    /// The state of one purpose.
    ConsentState {
        /// Agreed.
        Given = "given",
        /// Taken back.
        Withdrawn = "withdrawn",
        /// Asked and declined.
        Refused = "refused",
        /// Ran out.
        Expired = "expired",
    }
}

/// One purpose and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// For what.
    pub purpose: String,
    /// The state it takes.
    pub state: ConsentState,
    /// `implicit`, `explicit` or the provider's word.
    #[serde(default, skip_serializing_if = "is_default")]
    pub method: Option<String>,
    /// Of the wording.
    #[serde(default, skip_serializing_if = "is_default")]
    pub version: Option<String>,
    /// The provider's id of the proof.
    #[serde(default, skip_serializing_if = "is_default")]
    pub evidence: Option<String>,
    /// When it was first given, if told.
    #[serde(default, skip_serializing_if = "is_default")]
    pub given_at: Option<Timestamp>,
    /// When it was taken back, if told.
    #[serde(default, skip_serializing_if = "is_default")]
    pub revoked_at: Option<Timestamp>,
    /// The wording that was shown.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wording: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_survive_the_way_through_data() {
        let facts = Facts::Subscription(SubscriptionFacts {
            grouping: Grouping::Reader,
            auto_renew: Some(false),
            interval: Some(Interval {
                unit: IntervalUnit::Month,
                count: 5,
            }),
            ..SubscriptionFacts::default()
        });
        let text = serde_json::to_string(&facts).unwrap();
        assert_eq!(
            text,
            r#"{"subscription":{"grouping":"reader","interval":{"unit":"month","count":5},"auto_renew":false}}"#
        );
        assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
        assert_eq!(serde_json::to_string(&Facts::None).unwrap(), r#""none""#);
    }

    #[test]
    fn ranks_follow_the_order_of_the_contract() {
        assert_eq!(EventType::UserRegistered.rank(), 0);
        assert!(EventType::SubscriptionCancelled.rank() > EventType::SubscriptionRenewed.rank());
        assert!(
            EventType::SubscriptionReactivated.rank() > EventType::SubscriptionCancelled.rank()
        );
        assert_eq!(EventType::SubscriptionTrialStarted.family(), "subscription");
    }
}
