//! Conscent (also spelled ConsCent): both generations of its webhooks.
//!
//! Imports domain and config. Never touches the store, the clock or the network.
//!
//! Written at docs.conscent.ai, `/old-webhooks/*` and `/new-webhooks/*`, read November 2026; the rules are those of
//! MAPPING.md 8.6 to 8.11.
//!
//! | | old | envelope |
//! |---|---|---|
//! | authenticates | Basic (API key and secret), `X-Conscent-Signature` over the raw body | the same, as far as seen |
//! | event is told by | the shape of the body, or only by the URL (sign-up, login) | `event` |
//! | delivery is identified by | a purchase's `_id`; sign-up, login, cancel and review by nothing | no id either: main object's id, or the bytes |
//! | states its time | purchases, `createdAt`; the others not at all | `created_at`, Unix seconds |
//!
//! Observed, undocumented: prices are numbers or texts (`"201.00"`), `postcode` is a number, a text or missing,
//! `freeTrial` is a boolean, an object (of a plan) or a number (of a user), a cancelled mandate says `status` or
//! `autoRenew`, and a missing part may be the text `"undefined"`. `subscriptionDetails` means three things: the plan
//! as sold (cancel), price and duration (payment of 2024), the plan looked at (review).

mod body;

mod sale;

mod tell;

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use sha2::{Digest as _, Sha256};

use crate::config::{Secret, Settings, SettingsError};
use crate::domain::delivery::{Content, Delivery, DeliveryKey, IdentityProof, KeyRule, Reading};
use crate::domain::event::{
    Actor, CancellationFacts, Event, EventType, Facts, Grouping, Occurred, OccurredSource,
    PaymentFacts, Subject, SubscriptionFacts,
};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::providers::body::Body;
use crate::providers::check::hex;
use crate::providers::conscent::body::Object;
use crate::providers::{
    Gate, Hook, Provider, Request, Sample, Setting, SettingShape, Story, Told, check,
};

/// The header that signs the raw body.
const SIGNATURE_HEADER: &str = "x-conscent-signature";

/// The old generation and the envelope, in `KeyRule::OtherGeneration`.
const OLD: u8 = 0;
const ENVELOPE: u8 = 1;

/// What is kept beside an event may have so many bytes a key.
const EXTRA_BYTES_MAX: usize = 4_096;

/// So many events may come of one delivery: their ids have four digits for it.
const EVENTS_MAX: usize = 9_999;

/// Conscent.
pub(crate) struct Conscent;

impl Provider for Conscent {
    fn id(&self) -> &'static str {
        "conscent"
    }

    fn name(&self) -> &'static str {
        "Conscent"
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn dashboard(&self) -> &'static str {
        "Webhook page of the client dashboard, a URL for each type"
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn gate(&self, settings: &Settings) -> Result<Gate, SettingsError> {
        gate(settings)
    }

    fn read(&self, delivery: &Delivery) -> Reading {
        let text = Body::lossy(&delivery.body);
        let Some(body) = Object::of(&text) else {
            return Reading::unreadable("", "the body is not one JSON object");
        };
        match body.text("event") {
            Some(event) => Envelope::new(delivery, &body, event).read(),
            None => read_old(delivery, &body),
        }
    }

    fn samples(&self) -> &'static [Sample] {
        SAMPLES
    }

    fn sign(&self, settings: &Settings, body: &[u8], _at: Timestamp) -> Vec<(String, String)> {
        let newest = |key| settings.secrets(key).first().map(Secret::expose);
        let mut headers = Vec::new();
        if let (Some(user), Some(password)) = (newest("api_key"), newest("api_secret")) {
            let pair = STANDARD.encode(format!("{user}:{password}"));
            headers.push(("Authorization".to_owned(), format!("Basic {pair}")));
        }
        if let Some(secret) = newest("webhook_secret") {
            let signature = hex(&check::hmac_sha256(secret.as_bytes(), body));
            headers.push(("X-Conscent-Signature".to_owned(), signature));
        }
        headers
    }

    fn tell(&self, story: &Story<'_>) -> Vec<Told> {
        tell::tell(story)
    }
}

const HOOKS: &[Hook] = &[
    Hook {
        name: "events",
        title: "New webhooks, any event",
    },
    Hook {
        name: "sign-up",
        title: "Sign up",
    },
    Hook {
        name: "login",
        title: "Login",
    },
    Hook {
        name: "subscription-payment",
        title: "Subscription payment",
    },
    Hook {
        name: "subscription-cancelled",
        title: "Subscription cancelled",
    },
    Hook {
        name: "pass-payment",
        title: "Pass payment",
    },
    Hook {
        name: "bundle-payment",
        title: "Subscription bundle payment",
    },
    Hook {
        name: "review-subscription",
        title: "Review subscription",
    },
    Hook {
        name: "micro-payment",
        title: "Micro payment",
    },
];

const SETTINGS: &[Setting] = &[
    Setting {
        key: "api_key",
        shape: SettingShape::Secret,
        help: "API Key on the SDK/Integration page: the user of the Basic header on every webhook",
        proof: Some("basic"),
    },
    Setting {
        key: "api_secret",
        shape: SettingShape::Secret,
        help: "API Secret on the same page: the Basic password, and proof of readers' addresses",
        proof: Some("basic"),
    },
    Setting {
        key: "webhook_secret",
        shape: SettingShape::Secret,
        help: "Secret on the Webhook page: signs each body in X-Conscent-Signature",
        proof: Some("signature"),
    },
];

macro_rules! samples {
    ($($name:literal on $hook:literal),+ $(,)?) => {
        &[$(Sample {
            name: $name,
            hook: $hook,
            body: include_str!(concat!("../../assets/samples/conscent/", $name, ".json")),
        }),+]
    };
}

const SAMPLES: &[Sample] = samples![
    "sign-up" on "sign-up",
    "login" on "login",
    "subscription-payment" on "subscription-payment",
    "subscription-payment-2024" on "subscription-payment",
    "subscription-cancelled" on "subscription-cancelled",
    "pass-payment" on "pass-payment",
    "bundle-payment" on "bundle-payment",
    "review-subscription" on "review-subscription",
    "micro-payment" on "micro-payment",
    "purchase.subscription" on "events",
    "purchase.pass" on "events",
    "refunded.pay_per_use" on "events",
    "refunded.subscription" on "events",
    "cancelled.subscription" on "events",
    "subscription_review.view" on "events",
    "sub_landing_page.click" on "events",
    "meter_banner.click" on "events",
    "meter_banner.close" on "events",
    "paywall.click" on "events",
    "paywall.exit" on "events",
];

fn gate(settings: &Settings) -> Result<Gate, SettingsError> {
    let users = settings.secrets("api_key").to_vec();
    let passwords = settings.secrets("api_secret").to_vec();
    if passwords.is_empty() && !users.is_empty() {
        return Err(SettingsError(format!(
            "no api_secret for provider \"conscent\": add it beside api_key under {}",
            settings.table()
        )));
    }
    let token_keys = passwords.clone();
    let signing = settings.secrets("webhook_secret").to_vec();
    Ok(Gate {
        prove: Box::new(move |request| {
            // The secret alone also serves the tokens: Basic is judged once its user is known.
            let passwords = if users.is_empty() {
                &[][..]
            } else {
                &passwords
            };
            let body = |request: &Request| Some(request.body.clone());
            let proofs = [
                check::basic(request, &users, passwords),
                check::hmac_header(
                    request,
                    SIGNATURE_HEADER,
                    "",
                    check::Encoding::Hex,
                    &signing,
                    &body,
                ),
            ];
            proofs.into_iter().flatten().collect()
        }),
        identify: Box::new(move |body| Some(identify(body, &token_keys))),
        credential_headers: vec!["authorization".to_owned()],
        signature_headers: vec![SIGNATURE_HEADER.to_owned()],
    })
}

/// What the tokens of a body prove (rule 7.1).
fn identify(body: &[u8], secrets: &[Secret]) -> IdentityProof {
    let text = Body::lossy(body);
    let Some(body) = Object::of(&text) else {
        return IdentityProof::Absent;
    };
    let user = body.object_or_empty("payload").object_or_empty("user");
    let judged: Vec<IdentityProof> = [&body, &user]
        .into_iter()
        .flat_map(|place| {
            [
                ("hashedEmail", "email"),
                ("hashedPhoneNumber", "phoneNumber"),
            ]
            .map(|(token, field)| (place.exact_text(token), place.exact_text(field)))
        })
        .filter_map(|(token, field)| Some(judge_token(&token?, field.as_deref(), secrets)))
        .collect();
    [
        IdentityProof::Mismatch,
        IdentityProof::Verified,
        IdentityProof::Unverifiable,
    ]
    .into_iter()
    .find(|result| judged.contains(result))
    .unwrap_or(IdentityProof::Absent)
}

/// The payload of these tokens is the bare address, no claims: only the low-level check fits.
fn judge_token(token: &str, field: Option<&str>, secrets: &[Secret]) -> IdentityProof {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return IdentityProof::Unverifiable;
    };
    let algorithm = URL_SAFE_NO_PAD.decode(header).ok().and_then(|header| {
        let header = String::from_utf8(header).ok()?;
        Object::of(&Body::lossy(header.as_bytes()))?.text("alg")
    });
    let (Some("HS256"), Some(field)) = (algorithm.as_deref(), field) else {
        return IdentityProof::Unverifiable;
    };
    if secrets.is_empty() {
        return IdentityProof::Unverifiable;
    }
    let message = format!("{header}.{payload}");
    let signed = secrets.iter().any(|secret| {
        let key = DecodingKey::from_secret(secret.expose().as_bytes());
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::HS256)
            .unwrap_or(false)
    });
    let same = URL_SAFE_NO_PAD
        .decode(payload)
        .is_ok_and(|payload| check::equal(&payload, field.as_bytes()));
    if signed && same {
        IdentityProof::Verified
    } else {
        IdentityProof::Mismatch
    }
}

/// What an old body is, or what a purchase in an envelope is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    SignUp,
    Login,
    Subscription,
    Cancelled,
    Pass,
    Bundle,
    Review,
    Content,
}

impl Kind {
    /// Rule 8.6. `None`: it names a type that we do not know.
    fn of_old(body: &Object<'_>, hook: &str) -> Option<Self> {
        if body.has("cancelledSubscriptionDetails") {
            return Some(Self::Cancelled);
        }
        if body.has("subscriptionsDetail") || body.has("bundleBuyingPrice") {
            return Some(Self::Bundle);
        }
        if let Some(kind) = Self::of_type(body) {
            return Some(kind);
        }
        if body.object("subscriptionDetails").is_some() && body.raw("username").is_some() {
            return Some(Self::Review);
        }
        match Self::of_hook(hook) {
            Some(kind) => Some(kind),
            None if body.has("type") => None,
            None => Some(Self::Login),
        }
    }

    /// By `type`, flat bundles apart.
    fn of_type(purchase: &Object<'_>) -> Option<Self> {
        match purchase.trimmed("type")?.to_ascii_uppercase().as_str() {
            "SUBSCRIPTION" if purchase.flag("bundle") == Some(true) => Some(Self::Bundle),
            "SUBSCRIPTION" => Some(Self::Subscription),
            "PASS" => Some(Self::Pass),
            "CONTENT" => Some(Self::Content),
            _ => None,
        }
    }

    fn of_hook(hook: &str) -> Option<Self> {
        [
            Self::SignUp,
            Self::Login,
            Self::Subscription,
            Self::Cancelled,
            Self::Pass,
            Self::Bundle,
            Self::Review,
            Self::Content,
        ]
        .into_iter()
        .find(|kind| kind.hook() == hook)
    }

    const fn hook(self) -> &'static str {
        match self {
            Self::SignUp => "sign-up",
            Self::Login => "login",
            Self::Subscription => "subscription-payment",
            Self::Cancelled => "subscription-cancelled",
            Self::Pass => "pass-payment",
            Self::Bundle => "bundle-payment",
            Self::Review => "review-subscription",
            Self::Content => "micro-payment",
        }
    }
}

fn read_old(delivery: &Delivery, body: &Object<'_>) -> Reading {
    let subject = subject_of_old(body);
    let Some(kind) = Kind::of_old(body, &delivery.hook) else {
        let label = body.text("type").unwrap_or_default();
        let event = Event::new(EventType::Unknown, Occurred::NOT_TOLD, subject);
        let keys = vec![key_of_bytes(&label, delivery, KeyRule::Bytes)];
        return reading(label, keys, true, vec![event]);
    };
    let label = kind.hook().to_owned();
    match kind {
        Kind::SignUp => untimed(
            delivery,
            label,
            "registered",
            user_event(EventType::UserRegistered, body, subject),
        ),
        Kind::Login => untimed(
            delivery,
            label,
            "signed_in",
            user_event(EventType::UserSignedIn, body, subject),
        ),
        Kind::Review => untimed(delivery, label, "reviewed", review_event(body, subject)),
        Kind::Cancelled => untimed(delivery, label, "cancelled", old_cancel(body, subject)),
        Kind::Subscription | Kind::Pass | Kind::Bundle | Kind::Content => {
            let frame = sale::Frame {
                subject,
                occurred: sale::occurred(body, delivery.received_at, None),
                received_at: delivery.received_at,
                renewal: Object::default(),
            };
            let fallback = key_of_bytes(&label, delivery, KeyRule::Bytes);
            sale_reading(label, fallback, kind, &frame, body)
        }
    }
}

/// A reading of an old body that has neither id nor time.
fn untimed(delivery: &Delivery, label: String, fact: &str, event: Event) -> Reading {
    let mut keys = vec![key_of_bytes(&label, delivery, KeyRule::Bytes)];
    keys.extend(fact_key(fact, &event.subject, OLD));
    let has_id = event.subscription_id.is_some();
    reading(label, keys, has_id, vec![event])
}

/// `fallback` is the key of a purchase without an id.
fn sale_reading(
    label: String,
    fallback: DeliveryKey,
    kind: Kind,
    frame: &sale::Frame<'_>,
    purchase: &Object<'_>,
) -> Reading {
    let id = sale::id(purchase);
    let key = match &id {
        Some(id) => natural(format!("purchase:{id}")),
        None => fallback,
    };
    let events = sale::events(kind, frame, purchase);
    reading(label, vec![key], id.is_some(), events)
}

/// Quarantines what names nobody: no id of its own and no reader (rule 8.2), or more than can be numbered.
fn reading(label: String, keys: Vec<DeliveryKey>, has_id: bool, events: Vec<Event>) -> Reading {
    let named = has_id || events.iter().any(|event| event.subject.user_id.is_some());
    let content = if !named {
        Content::Unreadable("it has no id and names no reader".to_owned())
    } else if events.len() > EVENTS_MAX {
        Content::Unreadable(format!("it holds more than {EVENTS_MAX} events"))
    } else {
        Content::Events(events)
    };
    Reading {
        label,
        keys,
        content,
    }
}

fn user_event(kind: EventType, body: &Object<'_>, subject: Subject) -> Event {
    let mut event = Event::new(kind, Occurred::NOT_TOLD, subject);
    event.app = body.text("clientId").unwrap_or_default();
    keep(
        &mut event,
        body,
        &["freeTrial", "clientTierId", "os", "browser"],
    );
    event
}

fn review_event(body: &Object<'_>, subject: Subject) -> Event {
    let mut event = user_event(EventType::CheckoutReviewed, body, subject);
    event.plan = body.object_or_empty("subscriptionDetails").trimmed("title");
    keep(&mut event, body, &["subscriptionDetails"]);
    event
}

/// An old cancel tells the plan as sold and the last purchase, and no time of its own.
fn old_cancel(body: &Object<'_>, subject: Subject) -> Event {
    let details = body.object_or_empty("cancelledSubscriptionDetails");
    let last = body.object_or_empty("lastPurchaseDetails");
    let sold = body.object_or_empty("subscriptionDetails");
    let gateway_id = sale::gateway_id(&details);
    let plan = last
        .trimmed("subscriptionTitle")
        .or_else(|| sold.trimmed("title"));
    let plan_id = last.text("subscriptionId").or_else(|| sold.text("_id"));
    let access_until = last.instant("expiryDate");
    let price = sale::priced(&details)
        .or_else(|| sale::priced(&last.object_or_empty("renewalDetails")))
        .or_else(|| sale::amount(&last));
    let mut event = Event::new(
        EventType::SubscriptionCancelled,
        Occurred::NOT_TOLD,
        subject,
    );
    event.app = last
        .text("clientId")
        .or_else(|| sold.text("clientId"))
        .unwrap_or_default();
    event.subscription_id = sale::subscription_id(
        last.text("renewalId"),
        gateway_id.clone(),
        event.subject.user_id.as_deref(),
        plan_id.or_else(|| plan.clone()),
    );
    event.plan = plan;
    event.facts = Facts::Subscription(SubscriptionFacts {
        grouping: Grouping::Reader,
        gateway_id,
        purchase_id: sale::id(&last),
        price,
        interval: sale::interval(&last, &sold),
        access_until,
        auto_renew: Some(false),
        cancellation: Some(CancellationFacts {
            actor: Actor::User,
            ..CancellationFacts::default()
        }),
        stub: access_until.is_none(),
        ..SubscriptionFacts::default()
    });
    keep(&mut event, &details, &["renewalCount", "status"]);
    keep(
        &mut event,
        &last,
        &["paymentType", "tierId", "subscriptionId"],
    );
    event
}

/// One body of the newer generation.
struct Envelope<'a> {
    delivery: &'a Delivery,
    event: String,
    /// `event` in lower case, for matching.
    name: String,
    payload: Object<'a>,
    subject: Subject,
    /// By `created_at`.
    occurred: Occurred,
    /// `created_at` as sent.
    created_at: Option<String>,
}

impl<'a> Envelope<'a> {
    fn new(delivery: &'a Delivery, body: &Object<'a>, event: String) -> Self {
        let payload = body.object_or_empty("payload");
        Self {
            delivery,
            name: event.trim().to_ascii_lowercase(),
            event,
            subject: subject_of_envelope(body, &payload),
            occurred: Occurred::told(
                body.instant("created_at"),
                OccurredSource::Body,
                delivery.received_at,
            ),
            created_at: body.trimmed("created_at"),
            payload,
        }
    }

    /// Refund, cancel and purchase are known by what the payload holds, the rest by name (rules 8.6, 8.9).
    fn read(self) -> Reading {
        if !self.failed() {
            if let Some(refund) = self.payload.object("refund") {
                return self.refund(&refund);
            }
            if let Some(renewal) = self.payload.object("renewal")
                && self.name.contains("cancel")
            {
                return self.cancel(&renewal);
            }
            if let Some(purchase) = self.payload.object("purchase")
                && !self.tells_no_sale()
            {
                return self.purchase(&purchase);
            }
        }
        match self.kind_by_name() {
            EventType::UserRegistered => self.fact(EventType::UserRegistered, "registered"),
            EventType::UserSignedIn => self.fact(EventType::UserSignedIn, "signed_in"),
            EventType::CheckoutReviewed => self.fact(EventType::CheckoutReviewed, "reviewed"),
            EventType::UserUpdated => {
                let event = self.plain(EventType::UserUpdated);
                reading(
                    self.event.clone(),
                    vec![self.key_of_bytes()],
                    false,
                    vec![event],
                )
            }
            kind => {
                let event = self.plain(kind);
                reading(
                    self.event.clone(),
                    vec![self.key_of_bytes()],
                    true,
                    vec![event],
                )
            }
        }
    }

    /// What did not come about is neither a purchase nor a refund nor a cancel.
    fn failed(&self) -> bool {
        ["fail", "declin", "abandon"]
            .iter()
            .any(|word| self.name.contains(word))
    }

    /// A view, a cancel or a refund may name the purchase it is about, and is none itself.
    fn tells_no_sale(&self) -> bool {
        let undone = ["cancel", "refund"]
            .iter()
            .any(|word| self.name.contains(word));
        undone || self.family().is_some()
    }

    /// The marketing family that the name begins with.
    fn family(&self) -> Option<EventType> {
        let families = [
            ("meter_banner", EventType::EngagementMeter),
            ("paywall", EventType::EngagementPaywall),
            ("popup", EventType::EngagementPopup),
            ("sub_landing_page", EventType::EngagementLandingPage),
            ("subscription_review", EventType::CheckoutReviewed),
        ];
        families
            .into_iter()
            .find_map(|(family, kind)| self.name.starts_with(family).then_some(kind))
    }

    fn kind_by_name(&self) -> EventType {
        let name = self.name.as_str();
        if let Some(kind) = self.family() {
            return kind;
        }
        let has = |word: &str| name.contains(word);
        if has("transaction") || has("payment") || self.failed() {
            EventType::Unknown
        } else if has("signup") || has("sign_up") || has("sign-up") {
            EventType::UserRegistered
        } else if has("login") {
            EventType::UserSignedIn
        } else if name.starts_with("user") && has("update") {
            EventType::UserUpdated
        } else if has("review") {
            EventType::CheckoutReviewed
        } else {
            EventType::Unknown
        }
    }

    fn refund(self, refund: &Object<'_>) -> Reading {
        let id = refund.text("_id");
        let of_subscription = self.name.contains("subscription");
        let mut event = self.plain(EventType::PaymentRefunded);
        event.app = refund.text("clientId").unwrap_or(event.app);
        event.money = refund.text("amount").map(|token| {
            let currency = refund.text("currency").unwrap_or_default();
            let money = Money::read(&token, &currency);
            if token.trim_start().starts_with('-') {
                money
            } else {
                money.negated()
            }
        });
        event.facts = Facts::Payment(PaymentFacts {
            grouping: Grouping::Reader,
            payment_id: id.clone(),
            transaction_id: refund.text("transactionId"),
            flag: event.money.is_none().then(|| "no amount told".to_owned()),
            cancels_access: of_subscription && refund.flag("cancelAccess") == Some(true),
            for_subscription: of_subscription,
            ..PaymentFacts::default()
        });
        keep(
            &mut event,
            refund,
            &["paymentGatewayRefundId", "cancelAccess"],
        );
        let key = match &id {
            Some(id) => natural(format!("refund:{id}")),
            None => self.key_of_bytes(),
        };
        reading(self.event, vec![key], id.is_some(), vec![event])
    }

    fn cancel(self, renewal: &Object<'_>) -> Reading {
        let id = renewal.text("id").or_else(|| renewal.text("_id"));
        let gateway_id = sale::gateway_id(renewal);
        let sold = self.payload.object_or_empty("subscription");
        let last = self.payload.object_or_empty("purchase");
        let access_until = renewal
            .instant("expiryDate")
            .or_else(|| last.instant("expiryDate"));
        let mut event = self.plain(EventType::SubscriptionCancelled);
        event.plan = last.trimmed("subscriptionTitle").or(event.plan);
        event.subscription_id = sale::subscription_id(
            id.clone(),
            gateway_id.clone(),
            event.subject.user_id.as_deref(),
            sold.text("_id").or_else(|| event.plan.clone()),
        );
        event.facts = Facts::Subscription(SubscriptionFacts {
            grouping: Grouping::Reader,
            gateway_id,
            purchase_id: sale::id(&last),
            price: sale::priced(renewal),
            interval: sale::interval(&last, &sold),
            access_until,
            auto_renew: Some(false),
            cancellation: Some(CancellationFacts::default()),
            stub: access_until.is_none(),
            ..SubscriptionFacts::default()
        });
        keep(
            &mut event,
            renewal,
            &["renewalCount", "status", "paymentGatewayPlanId"],
        );
        let key = match (&id, &self.created_at) {
            (Some(id), Some(at)) => natural(format!("cancel:{id}:{at}")),
            _ => self.key_of_bytes(),
        };
        let mut keys = vec![key];
        keys.extend(fact_key("cancelled", &event.subject, ENVELOPE));
        let has_id = event.subscription_id.is_some();
        reading(self.event, keys, has_id, vec![event])
    }

    fn purchase(self, purchase: &Object<'a>) -> Reading {
        let kind = if purchase.has("subscriptionsDetail") || purchase.has("bundleBuyingPrice") {
            Kind::Bundle
        } else {
            Kind::of_type(purchase).unwrap_or(match self.name.as_str() {
                name if name.contains("subscription") => Kind::Subscription,
                name if name.contains("pass") => Kind::Pass,
                _ => Kind::Content,
            })
        };
        let fallback = self.key_of_bytes();
        let frame = sale::Frame {
            subject: self.subject,
            occurred: sale::occurred(purchase, self.delivery.received_at, Some(self.occurred)),
            received_at: self.delivery.received_at,
            renewal: self.payload.object_or_empty("renewal"),
        };
        sale_reading(self.event, fallback, kind, &frame, purchase)
    }

    /// A reading of a fact that the old generation tells too.
    fn fact(self, kind: EventType, fact: &str) -> Reading {
        let event = self.plain(kind);
        let mut keys = vec![self.key_of_bytes()];
        keys.extend(fact_key(fact, &event.subject, ENVELOPE));
        reading(self.event, keys, false, vec![event])
    }

    /// An event with what any payload may hold.
    fn plain(&self, kind: EventType) -> Event {
        let payload = &self.payload;
        let subscription = payload.object_or_empty("subscription");
        let mut event = Event::new(kind, self.occurred, self.subject.clone());
        event.app = ["subscription", "paywall", "landingPage", "purchase"]
            .into_iter()
            .find_map(|key| payload.object(key)?.text("clientId"))
            .unwrap_or_default();
        event.plan = subscription.trimmed("title");
        if let (OccurredSource::Implausible, Some(told)) = (self.occurred.source, &self.created_at)
        {
            let told = serde_json::Value::from(told.clone());
            event.extra.insert("created_at".to_owned(), told);
        }
        keep(&mut event, payload, &["action", "tier"]);
        for (key, name) in [
            ("paywall", "name"),
            ("meteringBanner", "name"),
            ("popup", "name"),
            ("landingPage", "title"),
        ] {
            let Some(shown) = payload.object(key) else {
                continue;
            };
            let brief = ["_id", name]
                .into_iter()
                .filter_map(|key| Some((key.to_owned(), shown.value(key, EXTRA_BYTES_MAX)?)))
                .collect();
            event.extra.insert(key.to_owned(), brief);
        }
        event
    }

    /// The bytes tell it from others for good where they hold a time.
    fn key_of_bytes(&self) -> DeliveryKey {
        let rule = match self.occurred.source {
            OccurredSource::None => KeyRule::Bytes,
            _ => KeyRule::Natural,
        };
        key_of_bytes(&self.event, self.delivery, rule)
    }
}

fn subject_of_old(body: &Object<'_>) -> Subject {
    let last = body.object_or_empty("lastPurchaseDetails");
    let ids = [
        ("userId", body.text("userId")),
        ("userAccount", body.text("userAccount")),
        ("lastPurchaseDetails.userAccount", last.text("userAccount")),
    ];
    let contact = Contact {
        email: body.text("email").or_else(|| body.text("userEmail")),
        phone: body
            .text("phoneNumber")
            .or_else(|| body.text("userPhoneNumber")),
        name: body.text("name"),
        user_name: body.text("userName").or_else(|| body.text("username")),
    };
    Subject {
        country: body.text("country"),
        city: body.text("city"),
        client_user_id: body.text("clientSpecificUserId"),
        ..contact.subject(ids)
    }
}

fn subject_of_envelope(body: &Object<'_>, payload: &Object<'_>) -> Subject {
    let user = payload.object_or_empty("user");
    let purchase = payload.object_or_empty("purchase");
    let refund = payload.object_or_empty("refund");
    let ids = [
        ("user_id", body.text("user_id")),
        ("payload.user.userId", user.text("userId")),
        ("payload.purchase.userId", purchase.text("userId")),
        ("payload.purchase.userAccount", purchase.text("userAccount")),
        ("payload.refund.userId", refund.text("userId")),
    ];
    let contact = Contact {
        email: user.text("email").or_else(|| purchase.text("userEmail")),
        phone: user
            .text("phoneNumber")
            .or_else(|| purchase.text("userPhoneNumber")),
        name: user.text("name"),
        user_name: user.text("username").or_else(|| purchase.text("userName")),
    };
    Subject {
        country: user.text("country").or_else(|| purchase.text("country")),
        city: user.text("city").or_else(|| purchase.text("city")),
        client_user_id: user
            .text("externalUserId")
            .or_else(|| user.text("clientSpecificUserId"))
            .or_else(|| purchase.text("clientSpecificUserId")),
        ..contact.subject(ids)
    }
}

/// How a body names a reader beside ids.
struct Contact {
    email: Option<String>,
    phone: Option<String>,
    name: Option<String>,
    /// A name, the phone or the e-mail.
    user_name: Option<String>,
}

impl Contact {
    /// The first of `ids` is the reader's, the others are aliases; without any, the e-mail or phone stands for it
    /// (rule 8.10).
    fn subject<const N: usize>(self, ids: [(&'static str, Option<String>); N]) -> Subject {
        let mut named = ids
            .into_iter()
            .filter_map(|(source, id)| Some((source, id?)));
        let own = named.next().map(|(_, id)| id);
        let mut aliases: Vec<(String, String)> = Vec::new();
        for (source, id) in named {
            let known = own.as_ref() == Some(&id) || aliases.iter().any(|(alias, _)| *alias == id);
            if !known {
                aliases.push((id, source.to_owned()));
            }
        }
        let user_id = own
            .or_else(|| {
                Some(format!(
                    "email:{}",
                    self.email.as_ref()?.trim().to_lowercase()
                ))
            })
            .or_else(|| {
                let digits = digits(self.phone.as_ref()?);
                (!digits.is_empty()).then(|| format!("phone:{digits}"))
            });
        let user_name = self.user_name.filter(|name| {
            let address = name.contains('@') && !name.contains(char::is_whitespace);
            !address && !looks_like_phone(name) && self.phone.as_ref() != Some(name)
        });
        Subject {
            user_id,
            email: self.email,
            phone: self.phone,
            name: self.name.or(user_name),
            aliases,
            ..Subject::default()
        }
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn looks_like_phone(name: &str) -> bool {
    digits(name).len() >= 7
        && name
            .chars()
            .all(|c| c.is_ascii_digit() || " +-().".contains(c))
}

/// Puts `keys` of `object`, where they say something, beside `event`.
fn keep(event: &mut Event, object: &Object<'_>, keys: &[&str]) {
    for key in keys {
        if let Some(value) = object.value(key, EXTRA_BYTES_MAX) {
            event.extra.insert((*key).to_owned(), value);
        }
    }
}

fn natural(key: String) -> DeliveryKey {
    DeliveryKey {
        key,
        rule: KeyRule::Natural,
    }
}

fn key_of_bytes(label: &str, delivery: &Delivery, rule: KeyRule) -> DeliveryKey {
    DeliveryKey {
        key: format!("{label}:{}", hex(&Sha256::digest(&delivery.body))),
        rule,
    }
}

/// The key by which the same fact in the other generation is known (rule 9.4).
fn fact_key(fact: &str, subject: &Subject, generation: u8) -> Option<DeliveryKey> {
    let user = subject.user_id.as_ref()?;
    Some(DeliveryKey {
        key: format!("fact:{fact}:{user}"),
        rule: KeyRule::OtherGeneration(generation),
    })
}
