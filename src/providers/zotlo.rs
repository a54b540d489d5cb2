//! Zotlo: registrations, subscriptions, payments, refunds and quiz answers.
//!
//! Contract: docs.zotlo.com /integrating-zotlo/webhooks/ (today), /integrations/webhooks/ (before) and
//! /v/tr/entegrasyonlar/webhook-servisi/ (2020), and the response classes of its public PHP client; as stored in 2024.
//! Authenticates by nothing: the path key, and the caller's address where `allow_ips` is set. The event is told by
//! `queue.type` and `queue.eventType`; registrations and quizzes have no envelope and are told by their keys. A
//! delivery is known by `queue.requestID` or, for money, by `transaction_id`, `is_refund` and `refund_date`;
//! registrations and quizzes by their bytes. Time is `queue.createDate`, of a refund `refund_date`; no zone means UTC.
//!
//! Undocumented or easily missed:
//! - bodies of 2020 have no `eventType` and no `requestID`, and a refund under `TransactionInsert` with the id of its
//!   payment (`events.refund-legacy-2020.json`);
//! - ids, prices and flags are texts or numbers at will; floats carry noise (`events.subscriber-update-legacy-2020.json`);
//! - `profile.status` stays `active` after a cancellation until `expireDate`; `realStatus` turns at once, and a
//!   `cancellation` in any body is one;
//! - a transaction of 0 with the status `trial` is a start; `consumable` is no subscription;
//! - an empty PHP array stands where an object is absent (`events.subscriber-update-empty-lists.json`).
//!
//! Imports domain, config and the neighbours every provider shares. Never reads the store or the clock.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value as Json, json};

use crate::config::{Settings, SettingsError};
use crate::domain::delivery::{Content, Delivery, DeliveryKey, KeyRule, Reading};
use crate::domain::event::{
    Actor, CancellationFacts, Event, EventType, Facts, Occurred, OccurredSource, PaymentFacts,
    Snapshot, SnapshotStatus, Subject, SubscriptionFacts,
};
use crate::domain::money::Money;
use crate::domain::time::{DAY_MS, Timestamp, Zone};
use crate::providers::body::{Body, Object, Value, is_email, key_of, sha256_hex};
use crate::providers::{
    Gate, Happening, Hook, Plan, Proof, Provider, Sample, Setting, SettingShape, Story, Told,
    Verdict,
};

/// See the head of this file.
pub(crate) struct Zotlo;

/// So many answers of a quiz are worth having at hand; the body holds the rest.
const ANSWERS_SHOWN_MAX: usize = 50;

const HOOKS: &[Hook] = &[Hook {
    name: "events",
    title: "Developer Tools > Webhooks, the same URL for every type",
}];

const SETTINGS: &[Setting] = &[Setting {
    key: "allow_ips",
    shape: SettingShape::List,
    help: "Addresses or CIDRs that may call; Zotlo publishes none, so leave it empty unless you know them",
    proof: None,
}];

macro_rules! samples {
    ($($name:literal),+ $(,)?) => {
        &[$(Sample {
            name: $name,
            hook: "events",
            body: include_str!(concat!("../../assets/samples/zotlo/", $name, ".json")),
        }),+]
    };
}

const SAMPLES: &[Sample] = samples![
    "registered-users",
    "subscriber-update-newSubscriber",
    "subscriber-update-cancel",
    "subscriber-update-renewal",
    "transaction",
    "transaction-legacy-2020",
    "refund",
    "quiz-responses",
];

impl Provider for Zotlo {
    fn id(&self) -> &'static str {
        "zotlo"
    }

    fn name(&self) -> &'static str {
        "Zotlo"
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn dashboard(&self) -> &'static str {
        "Developer Tools > Webhooks; Send Test Webhook there tries it"
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn gate(&self, settings: &Settings) -> Result<Gate, SettingsError> {
        let allowed = settings
            .list("allow_ips")
            .iter()
            .map(|text| range(text, settings))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Gate {
            prove: Box::new(move |request| judge_address(&request.remote_ip, &allowed)),
            identify: Box::new(|_| None),
            credential_headers: Vec::new(),
            signature_headers: Vec::new(),
        })
    }

    fn read(&self, delivery: &Delivery) -> Reading {
        match Body::new(&delivery.body) {
            Err(why) => Reading::unreadable("", why),
            Ok(body) => match body.object() {
                Err(why) => Reading::unreadable("", why),
                Ok(root) => read_object(delivery, &root),
            },
        }
    }

    fn samples(&self) -> &'static [Sample] {
        SAMPLES
    }

    fn sign(&self, _: &Settings, _: &[u8], _: Timestamp) -> Vec<(String, String)> {
        Vec::new()
    }

    fn tell(&self, story: &Story<'_>) -> Vec<Told> {
        tell(story)
            .into_iter()
            .map(|body| Told {
                hook: "events",
                body: body.to_string().into_bytes(),
                headers: Vec::new(),
            })
            .collect()
    }
}

fn range(text: &str, settings: &Settings) -> Result<IpNet, SettingsError> {
    let text = text.trim();
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| {
            SettingsError(format!(
                "allow_ips {text:?} under {} is neither an address nor a CIDR such as 203.0.113.0/24",
                settings.table()
            ))
        })
}

/// An address is no credential: the right one proves nothing, another one is wrong.
fn judge_address(remote_ip: &str, allowed: &[IpNet]) -> Vec<Proof> {
    let caller = remote_ip.trim().parse::<IpAddr>();
    let is_in = |caller: IpAddr| {
        allowed
            .iter()
            .any(|range| range.contains(&caller) || range.contains(&caller.to_canonical()))
    };
    if allowed.is_empty() || caller.is_ok_and(is_in) {
        return Vec::new();
    }
    vec![Proof {
        name: "address",
        verdict: Verdict::Wrong("the caller's address is not in allow_ips".into()),
    }]
}

/// A word without case and the marks that words are joined by.
fn plain_word(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

fn read_object(delivery: &Delivery, root: &Object<'_>) -> Reading {
    if !root.object("queue").is_empty() || !root.object("parameters").is_empty() {
        return read_envelope(delivery, root);
    }
    let is_quiz = !root.object("client").is_empty()
        && (root.value("questions").is_some() || root.value("answers").is_some());
    let is_registration = root.value("registerDate").is_some()
        || (root.value("clientUuid").is_some() && root.value("subscriberId").is_some());
    let (label, content) = if is_quiz {
        ("quiz", read_quiz(delivery, root))
    } else if is_registration {
        ("registeredUser", read_registration(delivery, root))
    } else {
        let why = "nothing says what this is: no queue, no registerDate, no quiz";
        return Reading::unreadable("", why);
    };
    Reading {
        label: label.to_owned(),
        keys: vec![DeliveryKey {
            key: key_of(&[label, &sha256_hex(&delivery.body)]),
            rule: KeyRule::Natural,
        }],
        content,
    }
}

/// Names a reader (rule 8.14): an e-mail or phone is the same person in every app, anything else is of `app`.
fn person(subscriber: Option<String>, app: &str) -> Subject {
    let Some(id) = subscriber else {
        return Subject::default();
    };
    if is_email(&id) {
        return Subject {
            user_id: Some(id.to_lowercase()),
            email: Some(id),
            ..Subject::default()
        };
    }
    let number = id.strip_prefix('+').unwrap_or(&id);
    if (8..=15).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Subject {
            user_id: Some(number.to_owned()),
            phone: Some(id),
            ..Subject::default()
        };
    }
    Subject {
        user_id: Some(format!("{app}:{id}")),
        ..Subject::default()
    }
}

/// Fills what the id itself did not say; without an id, e-mail or phone names the reader.
fn complete(subject: &mut Subject, email: Option<String>, phone: Option<String>) {
    subject.email = subject.email.take().or(email);
    subject.phone = subject.phone.take().or(phone);
    if subject.user_id.is_none() {
        let stated = subject.email.clone().or_else(|| subject.phone.clone());
        subject.user_id = person(stated, "").user_id;
    }
}

fn is_nobody(subject: &Subject) -> bool {
    subject.user_id.is_none() && subject.email.is_none() && subject.phone.is_none()
}

const NOBODY: &str = "it names neither a record nor a reader";

fn read_registration(delivery: &Delivery, root: &Object<'_>) -> Content {
    let app = root.text("appId").unwrap_or_default();
    let mut subject = person(root.text("subscriberId"), &app);
    subject.name = root.text("subscriberName");
    subject.country = root.text("country");
    subject.client_user_id = root.text("clientUuid");
    if is_nobody(&subject) {
        return Content::Unreadable(NOBODY.into());
    }
    let at = root.value("registerDate").and_then(instant);
    let occurred = Occurred::told(at, OccurredSource::Body, delivery.received_at);
    let mut event = Event::new(EventType::UserRegistered, occurred, subject);
    event.app = app;
    event.extra = root.extra(&[
        "flowId",
        "siteId",
        "language",
        "storeRegister",
        "registerOtpStatus",
    ]);
    if occurred.source == OccurredSource::Implausible {
        event.extra.extend(root.extra(&["registerDate"]));
    }
    Content::Events(vec![event])
}

fn read_quiz(delivery: &Delivery, root: &Object<'_>) -> Content {
    let client = root.object("client");
    let mut subject = person(client.text("subscriberId"), "");
    complete(&mut subject, client.text("email"), None);
    subject.name = client.text("subscriberName");
    subject.country = client.text("country");
    subject.client_user_id = client.text("uuid");
    if is_nobody(&subject) {
        return Content::Unreadable(NOBODY.into());
    }
    let answers = entries(root.value("answers"));
    let at = answers
        .iter()
        .filter_map(|(_, answer)| answer.value("answerDate").and_then(instant))
        .max();
    let occurred = Occurred::told(at, OccurredSource::Body, delivery.received_at);
    let mut event = Event::new(EventType::EngagementQuiz, occurred, subject);
    event.extra = client.extra(&["isPayer", "paymentModule", "flowId", "siteId"]);
    let questions = entries(root.value("questions"));
    let shown = shown_answers(&answers, &questions);
    event.extra.insert("answers".into(), Json::Object(shown));
    Content::Events(vec![event])
}

/// Objects by their key, or by their place where PHP made a list of them.
fn entries(value: Option<Value<'_>>) -> Vec<(String, Object<'_>)> {
    let Some(value) = value else {
        return Vec::new();
    };
    let listed = value.list().unwrap_or_default();
    let placed = listed
        .into_iter()
        .enumerate()
        .map(|(place, value)| (place.to_string(), value));
    let object = value.object().unwrap_or_default();
    let named = object
        .fields()
        .map(|(key, value)| (key.to_owned(), value))
        .collect::<Vec<_>>();
    named
        .into_iter()
        .chain(placed)
        .filter_map(|(key, value)| Some((key, value.object()?)))
        .collect()
}

fn shown_answers(
    answers: &[(String, Object<'_>)],
    questions: &[(String, Object<'_>)],
) -> Map<String, Json> {
    answers
        .iter()
        .take(ANSWERS_SHOWN_MAX)
        .map(|(id, answer)| {
            let question = questions
                .iter()
                .find(|(key, _)| key == id)
                .and_then(|(_, fields)| fields.text("questionName"))
                .unwrap_or_else(|| id.clone());
            let chosen: Vec<String> = entries(answer.value("answerOptions"))
                .iter()
                .filter_map(|(_, option)| option.text("name"))
                .chain(answer.text("answer"))
                .take(ANSWERS_SHOWN_MAX)
                .collect();
            (question, json!(chosen))
        })
        .collect()
}

/// A moment as PHP writes it: a text, or `{date, timezone}`. No zone, or one unheard of, is UTC.
fn instant(value: Value<'_>) -> Option<Timestamp> {
    let Some(fields) = value.object() else {
        return value.time();
    };
    let date = fields.text("date")?;
    let utc = Timestamp::parse(&date)?;
    let Some(zone) = fields.text("timezone") else {
        return Some(utc);
    };
    if chrono::DateTime::parse_from_rfc3339(&date).is_ok() {
        return Some(utc);
    }
    if let Ok(Zone(zone)) = zone.parse::<Zone>() {
        let local = utc.utc().naive_utc().and_local_timezone(zone);
        return Some(
            local
                .earliest()
                .map_or(utc, |at| Timestamp::from_ms(at.timestamp_millis())),
        );
    }
    let with_offset = format!("{}{zone}", date.replacen(' ', "T", 1));
    Some(Timestamp::parse(&with_offset).unwrap_or(utc))
}

/// The text of a moment, for keys.
fn instant_text(value: Value<'_>) -> Option<String> {
    value.text().or_else(|| value.object()?.text("date"))
}

/// Which of the bodies in an envelope it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Topic {
    Subscriber,
    Transaction,
    Other,
}

/// `queue` and `parameters`, and what every body in them is read for.
struct Envelope<'a> {
    delivery: &'a Delivery,
    label: String,
    topic: Topic,
    /// `queue.eventType` without case and joints; empty in bodies of 2020.
    event_type: String,
    refund_type: bool,
    app: String,
    request_id: Option<String>,
    created: Option<Value<'a>>,
    parameters: Object<'a>,
}

fn read_envelope<'a>(delivery: &'a Delivery, root: &Object<'a>) -> Reading {
    let queue = root.object("queue");
    let parameters = root.object("parameters");
    let named = queue.text("type");
    let kind = named
        .clone()
        .or_else(|| told_by_shape(&parameters).map(str::to_owned));
    let Some(kind) = kind else {
        return Reading::unreadable("", "nothing says what this is: no queue.type");
    };
    let event_type = queue.text("eventType");
    let label = match &event_type {
        Some(event_type) => format!("{kind}/{event_type}"),
        None => kind.clone(),
    };
    let plain = plain_word(&kind);
    let envelope = Envelope {
        delivery,
        label,
        topic: match plain.as_str() {
            "subscriberupdate" => Topic::Subscriber,
            "transactioninsert" | "transactionrefund" => Topic::Transaction,
            _ => Topic::Other,
        },
        event_type: plain_word(&event_type.unwrap_or_default()),
        refund_type: plain == "transactionrefund",
        app: queue.text("appId").unwrap_or_default(),
        request_id: queue.text("requestID"),
        created: queue.value("createDate"),
        parameters,
    };
    envelope.read()
}

fn told_by_shape(parameters: &Object<'_>) -> Option<&'static str> {
    if !parameters.object("profile").is_empty() {
        Some("SubscriberUpdate")
    } else if parameters.text("transaction_id").is_some() {
        Some("TransactionInsert")
    } else {
        None
    }
}

impl Envelope<'_> {
    fn read(self) -> Reading {
        let (keys, content) = match self.topic {
            Topic::Subscriber => self.subscriber(),
            Topic::Transaction => self.transaction(),
            Topic::Other => self.unknown(),
        };
        Reading {
            label: self.label,
            keys,
            content,
        }
    }

    fn occurred(&self, at: Option<Timestamp>) -> Occurred {
        Occurred::told(at, OccurredSource::Body, self.delivery.received_at)
    }

    fn created_at(&self) -> Option<Timestamp> {
        self.created.and_then(instant)
    }

    fn event(&self, kind: EventType, occurred: Occurred, subject: Subject) -> Event {
        let mut event = Event::new(kind, occurred, subject);
        event.app.clone_from(&self.app);
        if let Some(id) = &self.request_id {
            event.extra.insert("requestID".into(), json!(id));
        }
        if let (OccurredSource::Implausible, Some(created)) = (occurred.source, self.created) {
            event.extra.insert("createDate".into(), created.json());
        }
        event
    }

    /// The key of a body that has neither id nor time of its own.
    fn bytes_key(&self) -> DeliveryKey {
        DeliveryKey {
            key: key_of(&[&self.label, &sha256_hex(&self.delivery.body)]),
            rule: KeyRule::Bytes,
        }
    }

    fn unknown(&self) -> (Vec<DeliveryKey>, Content) {
        let profile = self.parameters.object("profile");
        let id = profile
            .text("subscriberId")
            .or_else(|| self.parameters.text("subscriber_id"));
        let subject = person(id, &self.app);
        let key = match &self.request_id {
            Some(id) => DeliveryKey {
                key: key_of(&["request", &self.label, id]),
                rule: KeyRule::Id,
            },
            None => self.bytes_key(),
        };
        let occurred = self.occurred(self.created_at());
        let event = self.event(EventType::Unknown, occurred, subject);
        (vec![key], Content::Events(vec![event]))
    }

    /// `originalTransactionId`, else the app's own number of the subscription.
    fn subscription_id(&self, original: Option<String>, own: Option<String>) -> Option<String> {
        original.or_else(|| own.map(|id| format!("{}:{id}", self.app)))
    }
}

/// A state of a subscription.
impl Envelope<'_> {
    fn subscriber(&self) -> (Vec<DeliveryKey>, Content) {
        let nested = self.parameters.object("profile");
        let profile = if nested.is_empty() {
            self.parameters.clone()
        } else {
            nested
        };
        let subject = self.subscriber_subject(&profile);
        let subscription = self.subscription_id(
            profile.text("originalTransactionId"),
            profile.text("subscriptionId"),
        );
        let keys = self.subscriber_keys(subscription.as_deref(), &subject);
        if subscription.is_none() && is_nobody(&subject) {
            return (keys, Content::Unreadable(NOBODY.into()));
        }
        let occurred = self.occurred(self.created_at());
        let package = self.parameters.object("package");
        let cancellation = cancellation(profile.value("cancellation"));
        let kind = subscriber_kind(&self.event_type, &profile, cancellation.is_some());
        let mut event = self.event(kind, occurred, subject);
        event.subscription_id = subscription;
        event.plan = ["package", "packageId"]
            .iter()
            .find_map(|key| profile.text(key))
            .or_else(|| package.text("packageId"));
        event.extra.extend(subscriber_extra(&profile));
        event.extra.extend(self.parameters.extra(&["newPackage"]));
        let facts = self.subscription_facts(&event, &profile, cancellation);
        event.facts = Facts::Subscription(facts);
        (keys, Content::Events(vec![event]))
    }

    fn subscriber_subject(&self, profile: &Object<'_>) -> Subject {
        let customer = self.parameters.object("customer");
        let mut subject = person(profile.text("subscriberId"), &self.app);
        let email = customer.text("email").filter(|text| is_email(text));
        complete(&mut subject, email, profile.text("phoneNumber"));
        let names = [customer.text("firstname"), customer.text("lastname")];
        let name = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
        subject.name = (!name.is_empty()).then_some(name);
        subject.country = profile.text("country").or_else(|| customer.text("country"));
        subject.client_user_id = profile.object("customParameters").text("clientUuid");
        subject
    }

    fn subscriber_keys(&self, subscription: Option<&str>, subject: &Subject) -> Vec<DeliveryKey> {
        let whose = subscription
            .or(subject.user_id.as_deref())
            .unwrap_or_default();
        let mut keys = Vec::new();
        if let Some(id) = &self.request_id {
            keys.push(DeliveryKey {
                key: key_of(&["request", &self.label, whose, id]),
                rule: KeyRule::Id,
            });
        }
        if let Some(created) = self.created.and_then(instant_text) {
            keys.push(DeliveryKey {
                key: key_of(&["created", &self.label, whose, &created]),
                rule: KeyRule::Natural,
            });
        }
        if keys.is_empty() {
            keys.push(self.bytes_key());
        }
        keys
    }

    fn subscription_facts(
        &self,
        event: &Event,
        profile: &Object<'_>,
        cancellation: Option<CancellationFacts>,
    ) -> SubscriptionFacts {
        let package = self.parameters.object("package");
        let started_at = profile.value("startDate").and_then(instant);
        let access_until = profile.value("expireDate").and_then(instant);
        let paid_from = match event.kind {
            EventType::SubscriptionStarted => started_at,
            EventType::SubscriptionRenewed => event.occurred.at,
            _ => None,
        };
        let standing = Standing::of(profile, cancellation.is_some());
        SubscriptionFacts {
            price: package
                .text("price")
                .map(|token| Money::read(&token, &package.text("currency").unwrap_or_default())),
            paid_period: period(paid_from, access_until),
            access_until,
            auto_renew: standing.auto_renew(event.kind),
            started_at,
            snapshot: standing.snapshot(event.kind),
            cancellation: self.cancellation_of(event.kind, cancellation),
            ..SubscriptionFacts::default()
        }
    }

    /// The cancellation that the event is or carries. One undone is none; one for non-payment states itself.
    fn cancellation_of(
        &self,
        kind: EventType,
        stated: Option<CancellationFacts>,
    ) -> Option<CancellationFacts> {
        match kind {
            EventType::SubscriptionReactivated => None,
            EventType::SubscriptionCancelled => Some(stated.unwrap_or_default()),
            EventType::SubscriptionExpired if self.event_type == "gracetopassive" => stated
                .or_else(|| {
                    Some(CancellationFacts {
                        reason: Some("non-payment".into()),
                        actor: Actor::Payment,
                        ..CancellationFacts::default()
                    })
                }),
            _ => stated,
        }
    }
}

/// What a profile says of where its subscription stands.
#[derive(Clone, Copy)]
struct Standing {
    status: Option<SnapshotStatus>,
    real: Option<SnapshotStatus>,
    trial: bool,
    cancelled: bool,
}

impl Standing {
    fn of(profile: &Object<'_>, cancelled: bool) -> Self {
        let word = |key: &str| SnapshotStatus::from_word(&profile.text(key)?.to_lowercase());
        Self {
            status: word("status"),
            real: word("realStatus"),
            trial: is_trial(profile),
            cancelled,
        }
    }

    fn auto_renew(self, kind: EventType) -> Option<bool> {
        let passive = Some(SnapshotStatus::Passive);
        match kind {
            EventType::SubscriptionCancelled | EventType::SubscriptionExpired => Some(false),
            EventType::SubscriptionReactivated => Some(true),
            _ if self.cancelled || self.real == passive || self.status == passive => Some(false),
            EventType::SubscriptionTrialStarted
            | EventType::SubscriptionStarted
            | EventType::SubscriptionRenewed
            | EventType::SubscriptionGraceEntered
            | EventType::SubscriptionRecovered => Some(true),
            _ => self.real.or(self.status).map(|_| true),
        }
    }

    fn snapshot(self, kind: EventType) -> Option<Snapshot> {
        let runs = self.real.or(self.status) == Some(SnapshotStatus::Active) && !self.cancelled;
        Some(Snapshot {
            status: self.status?,
            trial: self.trial,
            running: runs || kind == EventType::SubscriptionReactivated,
        })
    }
}

fn is_trial(profile: &Object<'_>) -> bool {
    profile
        .text("subscriptionType")
        .is_some_and(|word| word.eq_ignore_ascii_case("trial"))
}

fn subscriber_kind(event_type: &str, profile: &Object<'_>, cancelled: bool) -> EventType {
    match event_type {
        "newsubscriber" if is_trial(profile) => EventType::SubscriptionTrialStarted,
        "newsubscriber" => EventType::SubscriptionStarted,
        "renewal" => EventType::SubscriptionRenewed,
        "activetograce" => EventType::SubscriptionGraceEntered,
        "gracetoactive" => EventType::SubscriptionRecovered,
        "gracetopassive" => EventType::SubscriptionExpired,
        "cancel" => EventType::SubscriptionCancelled,
        "reactivate" => EventType::SubscriptionReactivated,
        "packageupdate" | "packageupgrade" | "packagedowngrade" | "changepackage" => {
            EventType::SubscriptionPlanChanged
        }
        _ => match Standing::of(profile, cancelled).status {
            Some(SnapshotStatus::Passive) => EventType::SubscriptionExpired,
            _ if cancelled => EventType::SubscriptionCancelled,
            Some(SnapshotStatus::Grace) => EventType::SubscriptionGraceEntered,
            _ => EventType::SubscriptionUpdated,
        },
    }
}

/// `None` where nothing is stated: null, an empty list, an object whose every value is empty or a zero date.
fn cancellation(value: Option<Value<'_>>) -> Option<CancellationFacts> {
    let value = value?;
    let Some(fields) = value.object() else {
        let stated = value.flag() == Some(true) || value.text().is_some();
        return (stated && value.flag() != Some(false)).then(|| CancellationFacts {
            reason: value.text().filter(|_| value.flag().is_none()),
            ..CancellationFacts::default()
        });
    };
    let facts = CancellationFacts {
        at: fields.value("date").and_then(instant),
        reason: fields.text("reason"),
        code: fields.text("code"),
        actor: Actor::Unknown,
    };
    (facts != CancellationFacts::default()).then_some(facts)
}

fn subscriber_extra(profile: &Object<'_>) -> Map<String, Json> {
    let mut extra = profile.extra(&[
        "realStatus",
        "subscriptionId",
        "lastTransactionId",
        "renewalDate",
        "freezeEndDate",
    ]);
    let custom = profile.object("customParameters");
    extra.extend(custom.object("dataWarehouse").extra(&["acceptPolicy"]));
    extra
}

/// A paid period that has a length.
fn period(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<(Timestamp, Timestamp)> {
    from.zip(to).filter(|(from, to)| from < to)
}

/// Money that moved.
impl Envelope<'_> {
    fn transaction(&self) -> (Vec<DeliveryKey>, Content) {
        let parameters = &self.parameters;
        let is_refund = self.is_refund();
        let subject = self.payer();
        let transaction = parameters.text("transaction_id");
        let keys = vec![self.transaction_key(transaction.as_deref(), is_refund)];
        if transaction.is_none() && is_nobody(&subject) {
            return (keys, Content::Unreadable(NOBODY.into()));
        }
        let at = if is_refund {
            let refunded = parameters.value("refund_date").and_then(instant);
            refunded.or_else(|| self.created_at())
        } else {
            self.created_at()
        };
        let occurred = self.occurred(at);
        let events = if is_refund {
            vec![self.refund(occurred, subject)]
        } else {
            self.payment(occurred, &subject)
        };
        (keys, Content::Events(events))
    }

    /// In bodies of 2020 a refund comes under the name of a payment.
    fn is_refund(&self) -> bool {
        let stated = self.parameters.flag("is_refund");
        self.refund_type
            || self.event_type == "refund"
            || stated == Some(true)
            || (stated.is_none() && self.parameters.text("refund_date").is_some())
    }

    fn is_consumable(&self) -> bool {
        ["status", "payment_type"].iter().any(|key| {
            let word = self.parameters.text(key);
            word.is_some_and(|word| word.eq_ignore_ascii_case("consumable"))
        })
    }

    fn status(&self) -> Option<String> {
        self.parameters.text("status")
    }

    fn payer(&self) -> Subject {
        let mut subject = person(self.parameters.text("subscriber_id"), &self.app);
        subject.country = self.parameters.text("country");
        let custom = self.parameters.object("custom_parameters");
        subject.client_user_id = custom.text("clientUuid");
        subject
    }

    /// The refund's own date, else the webhook's: two partial refunds of one sale differ in nothing else.
    fn refund_date(&self) -> String {
        let stated = self.parameters.value("refund_date").and_then(instant_text);
        stated
            .or_else(|| self.created.and_then(instant_text))
            .unwrap_or_default()
    }

    fn transaction_key(&self, transaction: Option<&str>, is_refund: bool) -> DeliveryKey {
        let Some(id) = transaction else {
            return self.bytes_key();
        };
        let key = if is_refund {
            key_of(&["tx", id, "1", &self.refund_date()])
        } else {
            key_of(&["tx", id, "0"])
        };
        DeliveryKey {
            key,
            rule: KeyRule::Natural,
        }
    }

    fn money(&self, key: &str) -> Option<Money> {
        let token = self.parameters.text(key)?;
        Some(Money::read(&token, &self.currency()))
    }

    fn currency(&self) -> String {
        self.parameters.text("currency").unwrap_or_default()
    }

    fn money_event(&self, kind: EventType, occurred: Occurred, subject: Subject) -> Event {
        let mut event = self.event(kind, occurred, subject);
        event.subscription_id = self.subscription_id(
            self.parameters.text("original_transaction_id"),
            self.parameters.text("subscription_id"),
        );
        event.plan = self.parameters.text("package_id");
        event.extra.extend(self.parameters.extra(&[
            "id",
            "status",
            "payment_type",
            "provider_name",
            "refund_reason",
            "expire_date",
            "coupon_campaign",
        ]));
        event
    }

    fn payment_facts(&self) -> PaymentFacts {
        let kind = self.parameters.text("payment_type");
        PaymentFacts {
            transaction_id: self.parameters.text("transaction_id"),
            for_subscription: !self.is_consumable()
                && kind.is_none_or(|word| word.eq_ignore_ascii_case("subscription")),
            ..PaymentFacts::default()
        }
    }

    fn refund(&self, occurred: Occurred, subject: Subject) -> Event {
        let mut event = self.money_event(EventType::PaymentRefunded, occurred, subject);
        let mut facts = self.payment_facts();
        facts.payment_id = facts
            .transaction_id
            .as_ref()
            .map(|id| format!("{id}/refund/{}", self.refund_date()));
        let stated = self.money("refund_price");
        if stated.is_none() {
            facts.flag = Some("price of the sale, refund untold".into());
        }
        let money = stated
            .or_else(|| self.money("price"))
            .unwrap_or_else(|| Money::read("", &self.currency()));
        event.money = Some(if money.text.starts_with('-') {
            money
        } else {
            money.negated()
        });
        event.facts = Facts::Payment(facts);
        event
    }

    fn payment(&self, occurred: Occurred, subject: &Subject) -> Vec<Event> {
        let mut events = Vec::new();
        let status = self.status().map(|word| plain_word(&word));
        if self.is_consumable() {
            let kind = EventType::PurchaseCompleted;
            events.push(self.money_event(kind, occurred, subject.clone()));
        }
        if status.as_deref() == Some("trialtopaid") {
            events.push(self.conversion(occurred, subject.clone()));
        }
        let mut payment = self.money_event(EventType::PaymentSucceeded, occurred, subject.clone());
        let mut facts = self.payment_facts();
        facts.payment_id.clone_from(&facts.transaction_id);
        facts.status = self.status();
        payment.facts = Facts::Payment(facts);
        let money = self.money("price");
        payment.money = Some(money.unwrap_or_else(|| Money::read("", &self.currency())));
        events.push(payment);
        events
    }

    /// The price is the plan's where it is told: what was charged may be less a coupon.
    fn conversion(&self, occurred: Occurred, subject: Subject) -> Event {
        let kind = EventType::SubscriptionTrialConverted;
        let mut event = self.money_event(kind, occurred, subject);
        let is_priced = |money: &Money| money.minor.is_some_and(|minor| minor > 0);
        let date = |key: &str| self.parameters.value(key).and_then(instant);
        let access_until = date("expire_date");
        event.facts = Facts::Subscription(SubscriptionFacts {
            price: self
                .money("package_price")
                .filter(is_priced)
                .or_else(|| self.money("price")),
            paid_period: period(date("purchase_date"), access_until),
            access_until,
            ..SubscriptionFacts::default()
        });
        event
    }
}

/// The app of made-up readers.
const TOLD_APP: u32 = 2_204;

fn tell(story: &Story<'_>) -> Vec<Json> {
    let at = story.at;
    let paid = |plan: &Plan| at.plus_months(plan.months);
    match &story.what {
        Happening::Registered => vec![told_registration(story)],
        Happening::TrialStarted { days, plan } => {
            let until = at.plus_ms(i64::from(*days) * DAY_MS);
            let mut update = told_update(story, "newSubscriber", plan, Some(until));
            update["parameters"]["profile"]["subscriptionType"] = json!("trial");
            vec![update, told_money(story, "trial", plan, 0, until)]
        }
        Happening::Started(plan) => told_paid(story, "newSubscriber", "start_paid", plan),
        Happening::Renewed(plan) => told_paid(story, "renewal", "renewal", plan),
        Happening::Recovered(plan) => told_paid(story, "graceToActive", "reactive", plan),
        Happening::PaymentFailed(plan) => {
            let mut update = told_update(story, "activeToGrace", plan, Some(at));
            update["parameters"]["profile"]["status"] = json!("grace");
            vec![update]
        }
        Happening::Ended(plan) => {
            let mut update = told_update(story, "graceToPassive", plan, Some(at));
            update["parameters"]["profile"]["status"] = json!("passive");
            update["parameters"]["profile"]["realStatus"] = json!("passive");
            vec![update]
        }
        Happening::Cancelled {
            plan,
            until,
            reason,
        } => {
            let mut update = told_update(story, "cancel", plan, Some(*until));
            update["parameters"]["profile"]["realStatus"] = json!("passive");
            update["parameters"]["profile"]["cancellation"] =
                json!({"date": told_date(at), "reason": reason, "code": "CU00003"});
            vec![update]
        }
        Happening::Reactivated(plan) => vec![told_update(story, "reactivate", plan, None)],
        Happening::Refunded(plan) => vec![told_refund(story, plan)],
        Happening::BoughtOnce {
            price_minor,
            currency,
        } => {
            let article = Plan {
                title: "single_issue",
                price_minor: *price_minor,
                currency,
                months: 0,
            };
            vec![told_money(
                story,
                "consumable",
                &article,
                *price_minor,
                paid(&article),
            )]
        }
        _ => Vec::new(),
    }
}

fn told_paid(story: &Story<'_>, event_type: &str, status: &str, plan: &Plan) -> Vec<Json> {
    let until = story.at.plus_months(plan.months);
    vec![
        told_update(story, event_type, plan, Some(until)),
        told_money(story, status, plan, plan.price_minor, until),
    ]
}

fn told_registration(story: &Story<'_>) -> Json {
    json!({
        "clientUuid": told_id(story, "client"),
        "clientIp": "198.51.100.7",
        "country": story.who.country,
        "language": "en",
        "storeRegister": false,
        "subscriberId": story.who.email,
        "subscriberName": story.who.name,
        "appId": TOLD_APP,
        "registerDate": told_date(story.at),
        "registerOtpStatus": true,
    })
}

fn told_queue(story: &Story<'_>, kind: &str, event_type: &str) -> Json {
    json!({
        "type": kind,
        "eventType": event_type,
        "requestID": told_id(story, &format!("{kind} {event_type} {}", story.nonce)),
        "createDate": {
            "date": story.at.utc().format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
            "timezone_type": 3,
            "timezone": "UTC",
        },
        "appId": TOLD_APP,
    })
}

fn told_update(story: &Story<'_>, event_type: &str, plan: &Plan, until: Option<Timestamp>) -> Json {
    let who = story.who;
    let (first, last) = who.name.split_once(' ').unwrap_or((&who.name, ""));
    let mut profile = json!({
        "status": "active",
        "realStatus": "active",
        "subscriberId": who.email,
        "subscriptionId": who.number,
        "subscriptionType": "paid",
        "package": plan.title,
        "country": who.country,
        "phoneNumber": who.phone,
        "language": "en",
        "originalTransactionId": told_id(story, "subscription"),
        "lastTransactionId": told_transaction(story),
        "subscriptionPackageType": "single",
        "cancellation": null,
        "customParameters": {"clientUuid": told_id(story, "client")},
        "quantity": 1,
    });
    if event_type == "newSubscriber" {
        profile["startDate"] = json!(told_date(story.at));
    }
    if let Some(until) = until {
        profile["expireDate"] = json!(told_date(until));
        profile["renewalDate"] = json!(told_date(until));
    }
    json!({
        "queue": told_queue(story, "SubscriberUpdate", event_type),
        "parameters": {
            "profile": profile,
            "package": {
                "packageId": plan.title,
                "price": told_price(plan.price_minor),
                "currency": plan.currency,
                "packageType": "subscription",
                "name": plan.title,
            },
            "newPackage": null,
            "customer": {
                "id": who.number,
                "country": who.country,
                "firstname": first,
                "lastname": last,
                "email": who.email,
            },
            "card": null,
        },
    })
}

fn told_money(
    story: &Story<'_>,
    status: &str,
    plan: &Plan,
    price_minor: i64,
    until: Timestamp,
) -> Json {
    let date = told_date(story.at);
    let payment_type = if status == "consumable" {
        "consumable"
    } else {
        "subscription"
    };
    json!({
        "queue": told_queue(story, "TransactionInsert", "transaction"),
        "parameters": {
            "id": story.nonce.to_string(),
            "payment_type": payment_type,
            "original_transaction_id": told_id(story, "subscription"),
            "transaction_id": told_transaction(story),
            "package_id": plan.title,
            "app_id": TOLD_APP,
            "status": status,
            "create_date": date,
            "purchase_date": date,
            "price": told_price(price_minor),
            "currency": plan.currency,
            "country": story.who.country,
            "expire_date": told_date(until),
            "subscriber_id": story.who.email,
            "refund_price": null,
            "refund_date": null,
            "refund_reason": null,
            "is_refund": "0",
            "provider_name": "Credit Card",
            "quantity": 1,
            "package_price": told_price(plan.price_minor),
            "subscription_id": story.who.number.to_string(),
            "custom_parameters": {"clientUuid": told_id(story, "client")},
        },
    })
}

/// Gives back the payment that was told with the same nonce.
fn told_refund(story: &Story<'_>, plan: &Plan) -> Json {
    let mut body = told_money(story, "start_paid", plan, plan.price_minor, story.at);
    body["queue"] = told_queue(story, "TransactionRefund", "refund");
    body["parameters"]["is_refund"] = json!(1);
    body["parameters"]["refund_price"] = json!(told_price(plan.price_minor));
    body["parameters"]["refund_date"] = json!(told_date(story.at));
    body["parameters"]["refund_reason"] = json!("");
    body
}

fn told_transaction(story: &Story<'_>) -> String {
    told_id(story, &format!("transaction {}", story.nonce))
}

/// An id of this reader for `what`, in the form of a UUID.
fn told_id(story: &Story<'_>, what: &str) -> String {
    let hex = sha256_hex(format!("{} {what}", story.who.number).as_bytes());
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..32],
    ];
    parts.join("-")
}

fn told_date(at: Timestamp) -> String {
    at.utc().format("%Y-%m-%d %H:%M:%S").to_string()
}

fn told_price(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

#[cfg(test)]
mod tests;
