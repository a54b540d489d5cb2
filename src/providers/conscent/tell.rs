//! Made-up readers' lives in Conscent's words, for the demo, tests and benches.
//!
//! Readers of an even number are told of in old bodies, the others' money and cancels in envelopes, so that both
//! generations are seen. What Conscent has no words for (a failed charge, a cancel undone) gives nothing.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::domain::time::{DAY_MS, Timestamp};
use crate::providers::check::hex;
use crate::providers::{Happening, Persona, Plan, Story, Told};

/// The publisher's id at Conscent.
const CLIENT: &str = "6a1f00c0ffee00d00d15ea5e";

/// The webhooks that tell `story`.
pub(super) fn tell(story: &Story<'_>) -> Vec<Told> {
    let envelopes = story.who.number % 2 == 1;
    let told = match &story.what {
        Happening::Registered => ("sign-up", person(story.who)),
        Happening::SignedIn => ("login", person(story.who)),
        Happening::TrialStarted { days, plan } => {
            let until = story.at.plus_ms(i64::from(*days).saturating_mul(DAY_MS));
            paid(story, envelopes, Sale::Trial, plan, until)
        }
        Happening::Started(plan) => {
            let until = story.at.plus_months(plan.months);
            paid(story, envelopes, Sale::First, plan, until)
        }
        Happening::Renewed(plan) => {
            let until = story.at.plus_months(plan.months);
            paid(story, envelopes, Sale::Further, plan, until)
        }
        Happening::Cancelled { plan, .. } if envelopes => ("events", cancel_envelope(story, plan)),
        Happening::Cancelled { plan, until, .. } => {
            ("subscription-cancelled", cancel(story, plan, *until))
        }
        Happening::Refunded(plan) => ("events", refund(story, plan)),
        Happening::BoughtOnce {
            price_minor,
            currency,
        } => once(story, *price_minor, currency),
        Happening::SawPaywall => ("events", paywall(story)),
        Happening::Reactivated(_)
        | Happening::PaymentFailed(_)
        | Happening::Recovered(_)
        | Happening::Ended(_)
        | Happening::Consented(_)
        | Happening::Withdrew
        | Happening::AcceptedTerms(_)
        | Happening::Answered { .. } => return Vec::new(),
    };
    let (hook, body) = told;
    vec![Told {
        hook,
        body: body.to_string().into_bytes(),
        headers: Vec::new(),
    }]
}

/// Which charge of a subscription.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sale {
    Trial,
    First,
    Further,
}

/// 24 hex digits, the same for the same thing.
fn id(of: &str, number: u64, what: &str) -> String {
    let mut id = hex(&Sha256::digest(format!("{of}/{number}/{what}")));
    id.truncate(24);
    id
}

fn reader(who: &Persona) -> String {
    id("reader", who.number, "")
}

/// The charge that a refund gives back: a subscription's first.
fn first_charge(who: &Persona, plan: &Plan) -> String {
    id("charge", who.number, plan.title)
}

/// Major units: a whole number where it is one.
fn major(minor: i64) -> Value {
    let sign = if minor < 0 { "-" } else { "" };
    let (whole, rest) = (minor.unsigned_abs() / 100, minor.unsigned_abs() % 100);
    let text = if rest == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{rest:02}")
    };
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// What the publisher keeps of a price, after the provider's share of a twentieth.
const fn net_minor(minor: i64) -> i64 {
    minor - minor / 20
}

fn person(who: &Persona) -> Value {
    json!({
        "userName": who.phone,
        "userId": reader(who),
        "freeTrial": false,
        "phoneNumber": who.phone,
        "email": who.email,
        "country": who.country,
        "name": who.name,
        "city": who.city,
        "os": "Linux",
        "browser": "Firefox",
        "clientSpecificUserId": format!("c-{}", who.number),
    })
}

fn user(who: &Persona) -> Value {
    json!({
        "phoneNumber": who.phone,
        "email": who.email,
        "userId": reader(who),
        "externalUserId": format!("c-{}", who.number),
        "country": who.country,
        "name": who.name,
        "city": who.city,
        "username": who.phone,
    })
}

/// An envelope around `parts`, made at the story's time.
fn envelope(story: &Story<'_>, event: &str, parts: Vec<(&str, Value)>) -> Value {
    let contains: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
    let mut body = json!({
        "entity": "event",
        "user_id": reader(story.who),
        "event": event,
        "contains": contains,
        "client_info": { "deviceType": "desktop" },
        "created_at": story.at.ms().div_euclid(1_000),
    });
    body["payload"] = parts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    body
}

fn paid(
    story: &Story<'_>,
    in_envelope: bool,
    sale: Sale,
    plan: &Plan,
    until: Timestamp,
) -> (&'static str, Value) {
    let who = story.who;
    let mut purchase = subscription(story, sale, plan, until);
    if in_envelope {
        let parts = vec![("purchase", purchase), ("user", user(who))];
        return ("events", envelope(story, "purchase.subscription", parts));
    }
    let mandate = id("mandate", who.number, plan.title);
    let further = [
        ("userId", json!(reader(who))),
        ("userEmail", json!(who.email)),
        ("userPhoneNumber", json!(who.phone)),
        ("userName", json!(who.name)),
        ("clientSpecificUserId", json!(format!("c-{}", who.number))),
        ("renewSubscription", json!(true)),
        ("renewalId", json!(mandate)),
        (
            "renewalDetails",
            json!({ "price": major(plan.price_minor), "currency": plan.currency }),
        ),
        (
            "renewedSubscriptionDetails",
            json!({
                "renewalCount": if sale == Sale::Further { 2 } else { 1 },
                "rzpSubscriptionId": format!("sub_{}", &mandate[..14]),
                "autoRenew": "ACTIVE",
                "price": major(plan.price_minor),
                "currency": plan.currency,
            }),
        ),
    ];
    for (key, value) in further {
        purchase[key] = value;
    }
    ("subscription-payment", purchase)
}

/// A purchase of a subscription, as far as both generations agree.
fn subscription(story: &Story<'_>, sale: Sale, plan: &Plan, until: Timestamp) -> Value {
    let who = story.who;
    let charged = if sale == Sale::Trial {
        0
    } else {
        plan.price_minor
    };
    let charge = match sale {
        Sale::Trial | Sale::First => first_charge(who, plan),
        Sale::Further => id("charge", story.nonce, plan.title),
    };
    json!({
        "_id": id("purchase", story.nonce, plan.title),
        "userAccount": reader(who),
        "clientId": CLIENT,
        "manuallyRenewed": sale == Sale::Further && who.number % 2 == 1,
        "freeTrial": sale == Sale::Trial,
        "migrated": false,
        "bundle": false,
        "availedOffers": [],
        "paymentType": [if sale == Sale::Further { "REPEAT" } else { "NEW" }],
        "buyingPrice": major(net_minor(charged)),
        "price": major(charged),
        "priceDetails": { "price": major(charged), "currency": plan.currency },
        "country": who.country,
        "city": who.city,
        "expiryDate": until.to_string(),
        "type": "SUBSCRIPTION",
        "subscriptionTitle": plan.title,
        "subscriptionId": id("plan", 0, plan.title),
        "tierId": id("tier", 0, plan.title),
        "subscriptionDetails": { "duration": plan.months },
        "transactionId": charge,
        "createdAt": story.at.to_string(),
        "updatedAt": story.at.to_string(),
    })
}

fn cancel(story: &Story<'_>, plan: &Plan, until: Timestamp) -> Value {
    let who = story.who;
    let mandate = id("mandate", who.number, plan.title);
    let price = major(plan.price_minor);
    json!({
        "cancelledSubscriptionDetails": {
            "renewalCount": 1,
            "rzpSubscriptionId": format!("sub_{}", &mandate[..14]),
            "status": "CANCELLED",
            "price": price,
            "currency": plan.currency,
        },
        "userEmail": who.email,
        "userPhoneNumber": who.phone,
        "userId": reader(who),
        "userName": who.name,
        "clientSpecificUserId": format!("c-{}", who.number),
        "subscriptionDetails": {
            "_id": id("plan", 0, plan.title),
            "clientId": CLIENT,
            "title": plan.title,
            "tiers": [{
                "_id": id("tier", 0, plan.title),
                "price": price,
                "currency": plan.currency,
                "duration": plan.months,
            }],
        },
        "lastPurchaseDetails": {
            "clientId": CLIENT,
            "price": price,
            "priceDetails": { "price": price, "currency": plan.currency },
            "expiryDate": until.to_string(),
            "type": "SUBSCRIPTION",
            "subscriptionTitle": plan.title,
            "subscriptionId": id("plan", 0, plan.title),
            "tierId": id("tier", 0, plan.title),
            "renewalId": mandate,
        },
    })
}

fn cancel_envelope(story: &Story<'_>, plan: &Plan) -> Value {
    let mandate = id("mandate", story.who.number, plan.title);
    let renewal = json!({
        "id": mandate,
        "status": "CANCELLED",
        "renewalCount": 1,
        "paymentGatewaySubscriptionId": format!("I-{}", mandate[..12].to_uppercase()),
        "price": major(plan.price_minor),
        "currency": plan.currency,
    });
    let parts = vec![("user", user(story.who)), ("renewal", renewal)];
    envelope(story, "cancelled.subscription", parts)
}

fn refund(story: &Story<'_>, plan: &Plan) -> Value {
    let refund = json!({
        "_id": id("refund", story.nonce, plan.title),
        "paymentGatewayRefundId": format!("rfnd_{}", story.nonce),
        "amount": major(plan.price_minor),
        "currency": plan.currency,
        "cancelAccess": true,
        "userId": reader(story.who),
        "clientId": CLIENT,
        "createdAt": story.at.to_string(),
        "transactionId": first_charge(story.who, plan),
        "updatedAt": story.at.to_string(),
    });
    let parts = vec![("user", user(story.who)), ("refund", refund)];
    envelope(story, "refunded.subscription", parts)
}

/// An article or a pass, by turns.
fn once(story: &Story<'_>, price_minor: i64, currency: &str) -> (&'static str, Value) {
    let who = story.who;
    let pass = story.nonce % 2 == 1;
    let hours = if pass { 7 * 24 } else { 24 };
    let until = story.at.plus_ms(hours * crate::domain::time::HOUR_MS);
    let mut purchase = json!({
        "_id": id("purchase", story.nonce, "once"),
        "userId": reader(who),
        "userAccount": reader(who),
        "userPhoneNumber": who.phone,
        "userName": "",
        "clientId": CLIENT,
        "clientContentId": format!("story-{}", story.nonce % 97),
        "migrated": false,
        "bundle": false,
        "paymentType": ["REPEAT"],
        "buyingPrice": major(net_minor(price_minor)),
        "price": major(price_minor),
        "priceDetails": { "price": major(price_minor), "currency": currency },
        "country": who.country,
        "city": who.city,
        "expiryDate": until.to_string(),
        "type": if pass { "PASS" } else { "CONTENT" },
        "transactionId": id("charge", story.nonce, "once"),
        "createdAt": story.at.to_string(),
        "updatedAt": story.at.to_string(),
    });
    if pass {
        purchase["passTitle"] = json!("Week pass");
        return ("pass-payment", purchase);
    }
    ("micro-payment", purchase)
}

fn paywall(story: &Story<'_>) -> Value {
    let wall = json!({ "_id": id("wall", 0, ""), "name": "story wall" });
    let mut parts = vec![("paywall", wall), ("user", user(story.who))];
    if story.nonce.is_multiple_of(3) {
        let action = json!({ "clickAction": "SUBS", "numCta": 2 });
        parts.insert(0, ("action", action));
        return envelope(story, "paywall.click", parts);
    }
    envelope(story, "paywall.exit", parts)
}
