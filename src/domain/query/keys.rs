//! The keys of the grammar and the words after `is:`, and the lists that each applies to.

use crate::domain::delivery::words;
use crate::domain::page::List;

words! {
    /// What stands before the colon.
    Key {
        /// Who sent it.
        Provider = "provider",
        /// Which of the publisher's accounts.
        Account = "account",
        /// App, client or domain, as the body says.
        App = "app",
        /// A type, a family of types, a word of one, or a provider's own name.
        Type = "type",
        /// Of a subscription or a payment.
        Status = "status",
        /// A reader by a provider's id or an alias.
        User = "user",
        /// Part of an e-mail, or a whole one.
        Email = "email",
        /// Digits of a phone number.
        Phone = "phone",
        /// Part of a name.
        Name = "name",
        /// Any id of the row.
        Id = "id",
        /// The plan.
        Plan = "plan",
        /// Three letters.
        Currency = "currency",
        /// Of the reader, as sent.
        Country = "country",
        /// Of a consent.
        Purpose = "purpose",
        /// Of a consent or a payment.
        Kind = "kind",
        /// The state of a consent; of users: has one in that state.
        Consent = "consent",
        /// The state that a consent is in or took.
        State = "state",
        /// The state that a consent had before a change.
        Was = "was",
        /// Part of the reason.
        Reason = "reason",
        /// The provider's code of the reason.
        Code = "code",
        /// Who cancelled.
        Actor = "actor",
        /// The last word of the URL.
        Hook = "hook",
        /// What became of a delivery.
        Outcome = "outcome",
        /// How a delivery came here.
        Origin = "origin",
        /// What a token proves of an address.
        Proof = "proof",
        /// Number of the delivery.
        Seq = "seq",
        /// Money moved, in major units; refunds are negative.
        Amount = "amount",
        /// Price of a period, in major units.
        Price = "price",
        /// The time that the list is ordered by.
        At = "at",
        /// The same, by day.
        Day = "day",
        /// Not before.
        Since = "since",
        /// Not after.
        Until = "until",
        /// When it arrived.
        Received = "received",
        /// When a reader registered.
        Registered = "registered",
        /// When a subscription started.
        Started = "started",
        /// When a subscription was over.
        Ended = "ended",
        /// When access runs out; `7d` looks ahead.
        Ends = "ends",
        /// One of some words.
        Is = "is",
    }
}

words! {
    /// The words after `is:`.
    Is {
        /// Arrived after the last review, imports excepted.
        New = "new",
        /// Arrived after the last review, happened before it.
        Late = "late",
        /// Made to try things.
        Test = "test",
        /// Kept and read.
        Stored = "stored",
        /// The same thing was here before.
        Duplicate = "duplicate",
        /// Kept, not understood.
        Quarantined = "quarantined",
        /// Turned away.
        Rejected = "rejected",
        /// A duplicate with other content.
        Differing = "differing",
        /// Its body is gone.
        Erased = "erased",
        /// Has access.
        Active = "active",
        /// On trial.
        Trial = "trial",
        /// Cancelled, whether access is left or not.
        Cancelled = "cancelled",
        /// Cancelled, access left.
        Ending = "ending",
        /// Paid, has access, not known to stop.
        Renewing = "renewing",
        /// Price and length of a period are known.
        Priced = "priced",
        /// Has access, never renews, was never cancelled.
        Fixed = "fixed",
        /// Access taken back with the money.
        Refunded = "refunded",
        /// Cancelled by somebody, not for want of payment.
        Asked = "asked",
        /// Ended for want of payment.
        Involuntary = "involuntary",
        /// Cancelled, and came back.
        Reactivated = "reactivated",
        /// Money that went back.
        Refund = "refund",
        /// Money that came in.
        Payment = "payment",
        /// Needs a look.
        Flagged = "flagged",
        /// Money for a subscription that was never announced.
        Unannounced = "unannounced",
        /// A refund that should have ended a subscription and found none.
        Unrevoked = "unrevoked",
        /// Has registered.
        Registered = "registered",
        /// Of a reader with an active subscription.
        Paying = "paying",
    }
}

use List::{Cancellations, Changes, Consents, Deliveries, Events, Payments, Subscriptions, Users};

const READERS: &[List] = &[
    Events,
    Users,
    Subscriptions,
    Cancellations,
    Consents,
    Changes,
    Payments,
];

impl Key {
    /// The lists whose rows have this.
    pub const fn lists(self) -> &'static [List] {
        match self {
            Self::Provider
            | Self::Account
            | Self::Id
            | Self::At
            | Self::Day
            | Self::Since
            | Self::Until
            | Self::Is => List::ALL,
            Self::User | Self::Email | Self::Phone | Self::Name | Self::Country => READERS,
            Self::App => &[Events, Subscriptions, Consents, Changes],
            Self::Type => &[Events, Deliveries],
            Self::Status => &[Subscriptions, Payments],
            Self::Plan | Self::Currency => &[Events, Subscriptions, Cancellations, Payments],
            Self::Purpose | Self::Consent => &[Users, Consents, Changes],
            Self::Kind => &[Consents, Changes, Payments],
            Self::State => &[Consents, Changes],
            Self::Was => &[Changes],
            Self::Reason => &[Subscriptions, Cancellations, Deliveries],
            Self::Code | Self::Actor => &[Cancellations],
            Self::Hook | Self::Outcome | Self::Origin => &[Deliveries],
            Self::Proof => &[Users, Deliveries],
            Self::Seq | Self::Received => &[
                Events,
                Cancellations,
                Consents,
                Changes,
                Payments,
                Deliveries,
            ],
            Self::Amount => &[Events, Payments],
            Self::Price | Self::Ends => &[Subscriptions, Cancellations],
            Self::Registered => &[Users],
            Self::Started | Self::Ended => &[Subscriptions],
        }
    }

    /// The keys of `list`.
    pub fn of(list: List) -> impl Iterator<Item = Self> {
        Self::ALL
            .iter()
            .copied()
            .filter(move |key| key.lists().contains(&list))
    }

    /// What it filters by, in a few words for whoever chooses a key.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Provider => "who sent it",
            Self::Account => "which of your accounts",
            Self::App => "app, client or domain",
            Self::Type => "what happened: cancel, refund, payment",
            Self::Status => "how it stands",
            Self::User => "a reader's id",
            Self::Email => "an e-mail, or part of one",
            Self::Phone => "digits of a phone number",
            Self::Name => "part of a name",
            Self::Id => "any id of the row",
            Self::Plan => "the plan; * stands for any text",
            Self::Currency => "TRY, EUR",
            Self::Country => "the reader's country",
            Self::Purpose => "what the consent is for",
            Self::Kind => "which kind",
            Self::Consent => "given, withdrawn, refused, expired",
            Self::State => "the state that it took",
            Self::Was => "the state that it had before",
            Self::Reason => "part of the reason",
            Self::Code => "the provider's code of the reason",
            Self::Actor => "who cancelled",
            Self::Hook => "the last word of the link",
            Self::Outcome => "stored, duplicate, quarantined, rejected",
            Self::Origin => "live, import, admitted, demo",
            Self::Proof => "what proves the address",
            Self::Seq => "the delivery's number: 120, >500, 10..20",
            Self::Amount => "money: 100, >=100, <0, 10..20",
            Self::Price => "price: 100, >=100, 10..20",
            Self::At => "when: yesterday, mon, 2026-11, 7d..",
            Self::Day => "the day: today, mon, 2026-11-20",
            Self::Since => "not before: 7d, 24h, mon, last-review",
            Self::Until => "not after: yesterday, 2026-11-20",
            Self::Received => "when it arrived",
            Self::Registered => "when the reader registered",
            Self::Started => "when it started",
            Self::Ended => "when it was over",
            Self::Ends => "when access runs out: 7d, 30d",
            Self::Is => "new, test and other words",
        }
    }

    /// The words that it takes on `list`, where there are no others.
    pub fn words(self, list: List) -> Option<&'static [&'static str]> {
        Some(match (self, list) {
            (Self::Status, Subscriptions) => &[
                "pending",
                "trialing",
                "active",
                "grace",
                "on_hold",
                "paused",
                "expired",
                "revoked",
                "cancelled",
            ],
            (Self::Kind, Payments) => &["payment", "refund"],
            (Self::Kind, _) => &["consent", "agreement", "experiment", "identity", "evidence"],
            (Self::Consent | Self::State | Self::Was, _) => {
                &["given", "withdrawn", "refused", "expired"]
            }
            (Self::Actor, _) => &["user", "merchant", "system", "payment", "unknown"],
            (Self::Outcome, _) => &["stored", "duplicate", "quarantined", "rejected"],
            (Self::Origin, _) => &["live", "import", "admitted", "demo"],
            (Self::Proof, _) => &["verified", "mismatch", "unverifiable", "absent"],
            _ => return None,
        })
    }

    /// What people read where its words stand, with the word that is written: screens say `ending`, filters
    /// `status:cancelled`.
    pub const fn spoken(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Status => &[("ending", "cancelled"), ("payment failed", "grace")],
            Self::Outcome => &[
                ("kept, not understood", "quarantined"),
                ("turned away", "rejected"),
                ("repeat", "duplicate"),
            ],
            _ => &[],
        }
    }
}

impl Is {
    /// The lists whose rows can be this.
    pub const fn lists(self) -> &'static [List] {
        match self {
            Self::New | Self::Test => List::ALL,
            Self::Late => &[Events, Cancellations, Changes, Payments],
            Self::Stored
            | Self::Duplicate
            | Self::Quarantined
            | Self::Rejected
            | Self::Differing
            | Self::Erased => &[Deliveries],
            Self::Active => &[Users, Subscriptions],
            Self::Trial
            | Self::Cancelled
            | Self::Ending
            | Self::Renewing
            | Self::Priced
            | Self::Fixed
            | Self::Refunded => &[Subscriptions],
            Self::Asked | Self::Reactivated => &[Cancellations],
            Self::Involuntary => &[Subscriptions, Cancellations],
            Self::Refund | Self::Payment => &[Events, Payments],
            Self::Flagged => &[Subscriptions, Payments],
            Self::Unannounced => &[Payments],
            Self::Unrevoked => &[Events],
            Self::Registered => &[Users],
            Self::Paying => &[Consents, Changes],
        }
    }

    /// The words of `list`.
    pub fn of(list: List) -> impl Iterator<Item = Self> {
        Self::ALL
            .iter()
            .copied()
            .filter(move |word| word.lists().contains(&list))
    }
}
