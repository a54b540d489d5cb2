//! Purchases of both generations: subscriptions, passes, articles and bundles, read by the same rules (MAPPING.md 8.6
//! to 8.11).
//!
//! Imports domain. Money comes from exact tokens: the price is what the reader pays, `buyingPrice` what the publisher
//! keeps, and tax components are parts of the price.

use crate::domain::event::{
    Event, EventType, Facts, Grouping, Interval, IntervalUnit, Occurred, OccurredSource,
    PaymentFacts, Subject, SubscriptionFacts,
};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::providers::conscent::body::{Object, decimal};
use crate::providers::conscent::{Kind, keep};

/// The longest period believed, in months.
const MONTHS_MAX: u32 = 1_200;

/// What is said of a purchase outside of it.
pub(super) struct Frame<'a> {
    /// Who bought.
    pub(super) subject: Subject,
    /// When.
    pub(super) occurred: Occurred,
    /// When the webhook came.
    pub(super) received_at: Timestamp,
    /// `payload.renewal`, if the envelope has one.
    pub(super) renewal: Object<'a>,
}

impl Frame<'_> {
    fn at(&self) -> Timestamp {
        self.occurred.at.unwrap_or(self.received_at)
    }

    fn event(&self, kind: EventType, purchase: &Object<'_>) -> Event {
        let mut event = Event::new(kind, self.occurred, self.subject.clone());
        event.app = purchase.text("clientId").unwrap_or_default();
        event
    }
}

/// Kept beside the first event of a purchase.
const KEPT: &[&str] = &[
    "paymentType",
    "availedOffers",
    "promotional",
    "clientContentId",
    "contentId",
    "paywallId",
    "landingPageId",
    "subscriptionId",
    "tierId",
    "purchaseId",
    "previouslyPurchasedSubscriptionId",
    "proRataAppliedPurchases",
    "discountCouponTemplateId",
    "bundleSubscriptions",
    "utmParameters",
    "cancelAccess",
    "migrated",
    "device",
];

/// The id of a purchase, the same in both generations.
pub(super) fn id(purchase: &Object<'_>) -> Option<String> {
    purchase.text("_id").or_else(|| purchase.text("purchaseId"))
}

/// When a purchase was made: `createdAt`, else the first part's date, else what the envelope says.
pub(super) fn occurred(
    purchase: &Object<'_>,
    received_at: Timestamp,
    envelope: Option<Occurred>,
) -> Occurred {
    let stated = purchase.instant("createdAt").or_else(|| {
        purchase
            .objects("subscriptionsDetail")?
            .first()?
            .instant("purchaseDate")
    });
    match (stated, envelope) {
        (None, Some(envelope)) => envelope,
        _ => Occurred::told(stated, OccurredSource::Body, received_at),
    }
}

/// The events of a purchase, in the order of `n`.
pub(super) fn events(kind: Kind, frame: &Frame<'_>, purchase: &Object<'_>) -> Vec<Event> {
    let mut events = match kind {
        Kind::Bundle => bundle(frame, purchase),
        Kind::Subscription => {
            let state = subscription(frame, purchase);
            let mut payment = payment(frame, purchase);
            payment.plan.clone_from(&state.plan);
            payment.subscription_id.clone_from(&state.subscription_id);
            mark_trial(&mut payment, state.kind);
            vec![state, payment]
        }
        _ => {
            let mut state = frame.event(EventType::PurchaseCompleted, purchase);
            if kind == Kind::Pass {
                state.plan = purchase.trimmed("passTitle");
            }
            keep(&mut state, purchase, &["expiryDate"]);
            let mut payment = payment(frame, purchase);
            payment.plan.clone_from(&state.plan);
            vec![state, payment]
        }
    };
    if purchase.flag("migrated") == Some(true) {
        events.retain(|event| event.kind != EventType::PaymentSucceeded);
    }
    if let Some(first) = events.first_mut() {
        keep(first, purchase, KEPT);
        if first.occurred.source == OccurredSource::Implausible {
            keep(first, purchase, &["createdAt"]);
        }
    }
    events
}

/// A trial's body states the price that a period costs later: whether it was charged now is not told.
fn mark_trial(payment: &mut Event, state: EventType) {
    let charged = payment
        .money
        .as_ref()
        .is_some_and(|money| money.minor != Some(0));
    if let Facts::Payment(facts) = &mut payment.facts {
        facts.for_subscription = true;
        if state == EventType::SubscriptionTrialStarted && charged {
            facts.flag = Some("price of a free trial, perhaps not charged".to_owned());
        }
    }
}

fn state_kind(frame: &Frame<'_>, purchase: &Object<'_>) -> EventType {
    let renewals = purchase
        .object_or_empty("renewedSubscriptionDetails")
        .count("renewalCount")
        .or_else(|| purchase.count("renewalCount"))
        .or_else(|| frame.renewal.count("renewalCount"));
    if purchase.flag("freeTrial") == Some(true) {
        EventType::SubscriptionTrialStarted
    } else if purchase.flag("manuallyRenewed") == Some(true) || renewals >= Some(2) {
        EventType::SubscriptionRenewed
    } else {
        EventType::SubscriptionStarted
    }
}

fn subscription(frame: &Frame<'_>, purchase: &Object<'_>) -> Event {
    let renewed = purchase.object_or_empty("renewedSubscriptionDetails");
    let gateway = gateway_id(&renewed)
        .or_else(|| gateway_id(purchase))
        .or_else(|| gateway_id(&frame.renewal));
    let mut event = frame.event(state_kind(frame, purchase), purchase);
    event.plan = purchase.trimmed("subscriptionTitle");
    event.subscription_id = subscription_id(
        purchase
            .text("renewalId")
            .or_else(|| frame.renewal.text("id")),
        gateway.clone(),
        frame.subject.user_id.as_deref(),
        purchase
            .text("subscriptionId")
            .or_else(|| event.plan.clone()),
    );
    let interval = interval(purchase, &Object::default());
    let access_until = purchase.instant("expiryDate");
    let trial = event.kind == EventType::SubscriptionTrialStarted;
    event.facts = Facts::Subscription(SubscriptionFacts {
        grouping: Grouping::Reader,
        gateway_id: gateway,
        purchase_id: id(purchase),
        price: priced(&purchase.object_or_empty("renewalDetails")).or_else(|| amount(purchase)),
        interval,
        paid_period: match (interval, frame.occurred.at, access_until) {
            (None, Some(from), Some(until)) if !trial && from < until => Some((from, until)),
            _ => None,
        },
        access_until,
        auto_renew: auto_renew(purchase, &renewed),
        ..SubscriptionFacts::default()
    });
    event
}

fn auto_renew(purchase: &Object<'_>, renewed: &Object<'_>) -> Option<bool> {
    purchase.flag("renewSubscription").or_else(|| {
        let word = renewed
            .trimmed("autoRenew")
            .or_else(|| renewed.trimmed("status"));
        match word.map(|word| word.to_ascii_uppercase()).as_deref() {
            Some("ACTIVE") => Some(true),
            Some("CANCELLED" | "CANCELED" | "INACTIVE") => Some(false),
            _ => renewed.flag("autoRenew"),
        }
    })
}

fn payment(frame: &Frame<'_>, purchase: &Object<'_>) -> Event {
    let mut event = frame.event(EventType::PaymentSucceeded, purchase);
    event.money = amount(purchase);
    event.facts = Facts::Payment(PaymentFacts {
        grouping: Grouping::Reader,
        payment_id: id(purchase),
        transaction_id: purchase.text("transactionId"),
        net: net(
            purchase.text("price"),
            purchase.text("buyingPrice"),
            &purchase.object_or_empty("priceDetails"),
        ),
        flag: event.money.is_none().then(|| "no amount told".to_owned()),
        ..PaymentFacts::default()
    });
    event
}

/// One purchase of several subscriptions: one payment, and a subscription for each part. The flat form of 2022 has no
/// parts and is one subscription.
fn bundle(frame: &Frame<'_>, purchase: &Object<'_>) -> Vec<Event> {
    let completed = frame.event(EventType::PurchaseCompleted, purchase);
    let mut paid = payment(frame, purchase);
    let parts = purchase.objects("subscriptionsDetail").unwrap_or_default();
    let details = purchase.object_or_empty("bundlePriceDetails");
    let whole = priced(&details).or_else(|| {
        let of_part = || parts.first()?.text("currency");
        money(
            purchase.text("bundlePrice"),
            details.text("currency").or_else(of_part),
        )
    });
    if whole.is_some() {
        paid.money = whole;
        let kept = net(
            purchase.text("bundlePrice"),
            purchase.text("bundleBuyingPrice"),
            &details,
        );
        set_net(&mut paid, kept);
    }
    let sellers = if parts.is_empty() {
        sellers(
            &purchase.objects("bundleSubscriptions").unwrap_or_default(),
            "clientId",
        )
    } else {
        sellers(&parts, "clientName")
    };
    let flag = (sellers > 1).then(|| "several sellers in one bundle".to_owned());
    if let Facts::Payment(facts) = &mut paid.facts {
        facts.flag = match (&flag, &paid.money) {
            (Some(flag), _) => Some(flag.clone()),
            (None, None) => Some("no amount told".to_owned()),
            (None, Some(_)) => None,
        };
    }
    let states: Vec<Event> = if parts.is_empty() {
        vec![flat_part(frame, purchase)]
    } else {
        (0..)
            .zip(&parts)
            .map(|(index, part)| bundle_part(frame, purchase, index, part))
            .collect()
    };
    let states = states.into_iter().map(|mut state| {
        if let Facts::Subscription(facts) = &mut state.facts {
            facts.flag.clone_from(&flag);
        }
        state
    });
    [completed, paid].into_iter().chain(states).collect()
}

fn set_net(paid: &mut Event, net: Option<Money>) {
    if let Facts::Payment(facts) = &mut paid.facts {
        facts.net = net;
    }
}

fn sellers(parts: &[Object<'_>], key: &str) -> usize {
    let mut names: Vec<String> = parts.iter().filter_map(|part| part.trimmed(key)).collect();
    names.sort_unstable();
    names.dedup();
    names.len()
}

fn part_id(purchase: &Object<'_>, index: usize) -> Option<String> {
    let id = purchase.text("purchaseId").or_else(|| purchase.text("_id"));
    id.map(|id| format!("{id}#{index}"))
}

fn flat_part(frame: &Frame<'_>, purchase: &Object<'_>) -> Event {
    let mut event = subscription(frame, purchase);
    event.subscription_id = part_id(purchase, 0).or(event.subscription_id);
    if let Facts::Subscription(facts) = &mut event.facts {
        facts.auto_renew = facts.auto_renew.or(Some(false));
    }
    event
}

fn bundle_part(frame: &Frame<'_>, purchase: &Object<'_>, index: usize, part: &Object<'_>) -> Event {
    let mut event = frame.event(EventType::SubscriptionStarted, purchase);
    event.plan = part.trimmed("title");
    event.subscription_id = part_id(purchase, index).or_else(|| {
        subscription_id(
            None,
            None,
            frame.subject.user_id.as_deref(),
            event.plan.clone(),
        )
    });
    let months = months(part);
    let stated = part.instant("expiryDate");
    let derived = || months.map(|months| frame.at().plus_months(months));
    event.facts = Facts::Subscription(SubscriptionFacts {
        grouping: Grouping::Reader,
        purchase_id: purchase.text("purchaseId").or_else(|| purchase.text("_id")),
        price: priced(part),
        interval: months.map(in_months),
        access_until: stated.or_else(derived),
        access_derived: stated.is_none() && months.is_some(),
        auto_renew: Some(false),
        ..SubscriptionFacts::default()
    });
    event
}

/// Rule 8.7: never the plan's id alone.
pub(super) fn subscription_id(
    renewal: Option<String>,
    gateway: Option<String>,
    user: Option<&str>,
    plan: Option<String>,
) -> Option<String> {
    renewal
        .or(gateway)
        .or_else(|| Some(format!("{}:{}", user?, plan?)))
}

/// The payment gateway's id of a mandate, by either generation's name.
pub(super) fn gateway_id(details: &Object<'_>) -> Option<String> {
    details
        .text("rzpSubscriptionId")
        .or_else(|| details.text("paymentGatewaySubscriptionId"))
}

/// `price` in the `currency` beside it.
pub(super) fn priced(details: &Object<'_>) -> Option<Money> {
    money(details.text("price"), details.text("currency"))
}

/// What the reader pays for a purchase.
pub(super) fn amount(purchase: &Object<'_>) -> Option<Money> {
    let details = purchase.object_or_empty("priceDetails");
    priced(&details).or_else(|| {
        let currency = details
            .text("currency")
            .or_else(|| purchase.text("currency"));
        money(purchase.text("price"), currency)
    })
}

fn money(token: Option<String>, currency: Option<String>) -> Option<Money> {
    Some(Money::read(token?.trim(), &currency.unwrap_or_default()))
}

/// What the publisher keeps, which has no currency of its own: told only where the plain price is the one in
/// `details`.
fn net(price: Option<String>, bought: Option<String>, details: &Object<'_>) -> Option<Money> {
    let stated = decimal(&details.text("price")?)?;
    if decimal(&price?)? != stated {
        return None;
    }
    money(bought, details.text("currency"))
}

/// The length of a period: of the chosen tier, of the purchase, or of the tier of `sold` that was bought.
pub(super) fn interval(purchase: &Object<'_>, sold: &Object<'_>) -> Option<Interval> {
    let tier_id = purchase.text("tierId");
    let bought = |tier: &Object<'_>| tier_id.is_some() && tier.text("_id") == tier_id;
    months(&purchase.object_or_empty("chosenTier"))
        .or_else(|| months(&purchase.object_or_empty("subscriptionDetails")))
        .or_else(|| months(sold.objects("tiers")?.iter().find(|tier| bought(tier))?))
        .map(in_months)
}

fn months(of: &Object<'_>) -> Option<u32> {
    of.count("duration")
        .or_else(|| of.count("durationMonths"))
        .filter(|months| (1..=MONTHS_MAX).contains(months))
}

const fn in_months(count: u32) -> Interval {
    Interval {
        unit: IntervalUnit::Month,
        count,
    }
}
