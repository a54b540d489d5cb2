//! Klustr: consents of readers to apps, agreements, experiments, and identity checks.
//!
//! Contract: docs.klustr.io, "Realtime integration via webhooks" (event names only), and the public source of its
//! API (shapes, read from its classes); both as stored in 2024. Authenticates by Svix or Standard Webhooks headers.
//! The event is told by `event_type`. A delivery is known by `svix-id`, but every registered endpoint gets a copy of
//! its own id for every other, so `event_type`, `data.id`, the time and the hash of `data` recognise it too. Time is
//! `timestamp`, for agreements and experiments `last_seen_date`; identity checks and profiles state none.
//!
//! Observed in the source, not documented:
//! - a scope that was removed is simply absent from the next update (`events.removed-scope.json`), while a second consent
//!   with fewer scopes lists the dropped ones as revoked;
//! - `delete` forces every scope to revoked and may leave `date_revoked` out (`events.delete-without-dates.json`);
//! - empty lists are left out, so no `scopes` means none (`events.no-scopes.json`);
//! - `scopes` are texts in `user.consent`, objects everywhere else;
//! - documented and coded names differ in their last segment (`created` and `create`).
//!
//! Imports domain, config and the neighbours every provider shares. Never reads the store or the clock.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use crate::config::{Settings, SettingsError};
use crate::domain::delivery::{Content, Delivery, DeliveryKey, KeyRule, Reading};
use crate::domain::event::{
    ConsentFacts, ConsentKind, ConsentState, Event, EventType, Facts, Occurred, OccurredSource,
    Scope, Subject,
};
use crate::domain::time::{MINUTE_MS, Timestamp};
use crate::providers::body::{Body, Object, Value, key_of, sha256_hex};
use crate::providers::{
    Gate, Happening, Hook, Provider, Sample, Setting, SettingShape, Story, Told, check,
};

/// See the head of this file.
pub(crate) struct Klustr;

/// A consent event may state so many scopes: places in it are four digits of an id.
const SCOPES_MAX: usize = 9_999;

/// So long a body without a time is taken for a repeat of the last one like it.
const TIMELESS_REPEAT_MS: i64 = 10 * MINUTE_MS;

const HOOKS: &[Hook] = &[Hook {
    name: "events",
    title: "Webhook callback URL",
}];

const SETTINGS: &[Setting] = &[Setting {
    key: "secret",
    shape: SettingShape::Secret,
    help: "Webhook secret (whsec_...), set when the endpoint is created: proves each delivery",
    proof: Some("signature"),
}];

macro_rules! samples {
    ($($name:literal),+ $(,)?) => {
        &[$(Sample {
            name: $name,
            hook: "events",
            body: include_str!(concat!("../../assets/samples/klustr/", $name, ".json")),
        }),+]
    };
}

const SAMPLES: &[Sample] = samples![
    "user.app.consent.create",
    "user.app.consent.update",
    "user.app.consent.delete",
    "user.consent",
    "user.agreement.consent.created",
    "user.agreement.consent.deleted",
    "user.experiment.consent.update",
    "user.experiment.consent.updated",
    "user.experiment.consent.revoked",
    "user.ekyc.verified",
    "user.ekyc.revoked",
    "user.profile.update",
];

impl Provider for Klustr {
    fn id(&self) -> &'static str {
        "klustr"
    }

    fn name(&self) -> &'static str {
        "Klustr"
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn dashboard(&self) -> &'static str {
        "Webhooks of your project in the console; set the secret there when you add it"
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn gate(&self, settings: &Settings) -> Result<Gate, SettingsError> {
        let keys = settings
            .secrets("secret")
            .iter()
            .map(check::svix_key)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| {
                SettingsError(format!(
                    "secret under {} is not base64: paste it whole, as Klustr shows it (whsec_...)",
                    settings.table()
                ))
            })?;
        Ok(Gate {
            prove: Box::new(move |request| check::svix(request, &keys).into_iter().collect()),
            identify: Box::new(|_| None),
            credential_headers: Vec::new(),
            signature_headers: vec!["svix-signature".into(), "webhook-signature".into()],
        })
    }

    fn read(&self, delivery: &Delivery) -> Reading {
        let header_key = message_id(delivery).map(|id| DeliveryKey {
            key: key_of(&["svix", id]),
            rule: KeyRule::Id,
        });
        let mut reading = match Body::new(&delivery.body) {
            Err(why) => Reading::unreadable("", why),
            Ok(body) => match body.object() {
                Err(why) => Reading::unreadable("", why),
                Ok(root) => read_object(delivery, &root),
            },
        };
        reading.keys.extend(header_key);
        reading
    }

    fn samples(&self) -> &'static [Sample] {
        SAMPLES
    }

    fn sign(&self, settings: &Settings, body: &[u8], at: Timestamp) -> Vec<(String, String)> {
        let Some(key) = settings.secrets("secret").first().and_then(check::svix_key) else {
            return Vec::new();
        };
        let mut headers = message_headers(body, at);
        let signed = [
            headers[0].1.as_bytes(),
            b".",
            headers[1].1.as_bytes(),
            b".",
            body,
        ]
        .concat();
        let mac = STANDARD.encode(check::hmac_sha256(&key, &signed));
        headers.push(("svix-signature".into(), format!("v1,{mac}")));
        headers
    }

    fn tell(&self, story: &Story<'_>) -> Vec<Told> {
        tell(story)
            .into_iter()
            .map(|body| {
                let body = body.to_string().into_bytes();
                Told {
                    hook: "events",
                    headers: message_headers(&body, story.at),
                    body,
                }
            })
            .collect()
    }
}

/// The engine's id of a message, the same on every attempt.
fn message_id(delivery: &Delivery) -> Option<&str> {
    ["svix-id", "webhook-id"]
        .iter()
        .find_map(|name| delivery.header(name))
        .map(str::trim)
        .filter(|id| !id.is_empty())
}

/// When the engine sent it, in whole seconds.
fn message_time(delivery: &Delivery) -> Option<Timestamp> {
    ["svix-timestamp", "webhook-timestamp"]
        .iter()
        .find_map(|name| delivery.header(name))
        .and_then(|text| text.trim().parse().ok())
        .and_then(Timestamp::from_s)
}

/// Id and time as the engine would send them; the same body has the same id.
fn message_headers(body: &[u8], at: Timestamp) -> Vec<(String, String)> {
    let hash = sha256_hex(body);
    vec![
        ("svix-id".into(), format!("msg_{}", &hash[..24])),
        (
            "svix-timestamp".into(),
            at.ms().div_euclid(1_000).to_string(),
        ),
    ]
}

/// What a name says was done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Update,
    Delete,
    Revoke,
    Verify,
    Other,
}

/// What a name is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Topic {
    App,
    SignIn,
    Agreement,
    Experiment,
    Identity,
    Profile,
    Other,
}

fn classify(label: &str) -> (Topic, Verb) {
    let name = label.trim().to_ascii_lowercase();
    if name == "user.consent" {
        return (Topic::SignIn, Verb::Other);
    }
    let (head, last) = name.rsplit_once('.').unwrap_or((&name, ""));
    let verb = match last {
        "create" | "created" => Verb::Create,
        "update" | "updated" => Verb::Update,
        "delete" | "deleted" => Verb::Delete,
        "revoke" | "revoked" => Verb::Revoke,
        "verify" | "verified" => Verb::Verify,
        _ => Verb::Other,
    };
    let topic = match (head, verb) {
        ("user.ekyc", Verb::Verify | Verb::Revoke) => Topic::Identity,
        ("user.profile", Verb::Update) => Topic::Profile,
        (_, Verb::Other | Verb::Verify) => Topic::Other,
        ("user.app.consent", _) => Topic::App,
        ("user.agreement.consent", _) => Topic::Agreement,
        ("user.experiment.consent", _) => Topic::Experiment,
        _ => Topic::Other,
    };
    (topic, verb)
}

/// One body whose name is known.
struct Notice<'a> {
    verb: Verb,
    data: Object<'a>,
    occurred: Occurred,
    subject: Subject,
}

fn read_object(delivery: &Delivery, root: &Object<'_>) -> Reading {
    let Some(label) = ["event_type", "event", "type"]
        .iter()
        .find_map(|key| root.text(key))
    else {
        return Reading::unreadable("", "nothing says which event this is: no event_type");
    };
    let wrapped = root.object("data");
    let data = if wrapped.is_empty() {
        root.clone()
    } else {
        wrapped
    };
    let stated = ["timestamp", "last_seen_date"]
        .into_iter()
        .find(|key| data.time(key).is_some());
    let (topic, verb) = classify(&label);
    let notice = Notice {
        verb,
        occurred: occurred(delivery, &data, stated),
        subject: Subject {
            user_id: data.text("subject_id"),
            ..Subject::default()
        },
        data,
    };
    let time = stated.and_then(|key| notice.data.text(key));
    Reading {
        keys: vec![content_key(&label, &notice.data, time.as_deref())],
        content: read_topic(topic, &notice),
        label,
    }
}

fn occurred(delivery: &Delivery, data: &Object<'_>, stated: Option<&str>) -> Occurred {
    let told = |at, source| Occurred::told(at, source, delivery.received_at);
    match stated {
        Some(key) => told(data.time(key), OccurredSource::Body),
        None => told(message_time(delivery), OccurredSource::Header),
    }
}

fn content_key(label: &str, data: &Object<'_>, time: Option<&str>) -> DeliveryKey {
    let id = data.text("id").unwrap_or_default();
    let hash = sha256_hex(data.raw().as_bytes());
    DeliveryKey {
        key: key_of(&[label, &id, time.unwrap_or_default(), &hash]),
        rule: match time {
            Some(_) => KeyRule::Natural,
            None => KeyRule::NaturalWithin(TIMELESS_REPEAT_MS),
        },
    }
}

fn read_topic(topic: Topic, notice: &Notice<'_>) -> Content {
    let own_id = match topic {
        Topic::Identity | Topic::Profile => None,
        _ => notice.data.text("id"),
    };
    if topic != Topic::Other && own_id.is_none() && notice.subject.user_id.is_none() {
        return Content::Unreadable("it names neither a record nor a reader".into());
    }
    let events = match topic {
        Topic::App => notice.app(),
        Topic::SignIn => vec![notice.event(EventType::UserSignedIn)],
        Topic::Agreement => vec![notice.agreement()],
        Topic::Experiment => vec![notice.experiment()],
        Topic::Identity => vec![notice.identity()],
        Topic::Profile => vec![notice.event(EventType::UserUpdated)],
        Topic::Other => vec![notice.event(EventType::Unknown)],
    };
    let too_many = events.iter().any(
        |event| matches!(&event.facts, Facts::Consent(facts) if facts.scopes.len() > SCOPES_MAX),
    );
    if too_many {
        return Content::Unreadable(format!("it states more than {SCOPES_MAX} scopes"));
    }
    Content::Events(events)
}

impl Notice<'_> {
    fn event(&self, kind: EventType) -> Event {
        let mut event = Event::new(kind, self.occurred, self.subject.clone());
        event.app = self.data.text("app_id").unwrap_or_default();
        event.extra = self.extra();
        event
    }

    /// The scalar keys that tell one record from another, and for a sign-in what was asked; where the stated time is
    /// not used, that too. Agent and address stay in the body.
    fn extra(&self) -> Map<String, Json> {
        let mut extra = self.data.extra(&[
            "id",
            "client_id",
            "session_id",
            "impressions",
            "skipped",
            "experiments",
            "status",
        ]);
        if self.occurred.source == OccurredSource::Implausible {
            extra.extend(self.data.extra(&["timestamp", "last_seen_date"]));
        }
        extra
    }

    fn with(&self, kind: EventType, facts: ConsentFacts) -> Event {
        let mut event = self.event(kind);
        event.facts = Facts::Consent(facts);
        event
    }

    fn app(&self) -> Vec<Event> {
        let ends = matches!(self.verb, Verb::Delete | Verb::Revoke);
        let listed = self.data.value("scopes");
        let facts = ConsentFacts {
            kind: ConsentKind::Consent,
            app: self.data.text("app_id").unwrap_or_default(),
            whole_set: listed.is_none_or(|value| !value.is_plain()),
            withdraws_all: ends,
            scopes: scopes(listed)
                .iter()
                .filter_map(|scope| read_scope(*scope, ends))
                .collect(),
        };
        match self.verb {
            Verb::Create => vec![
                self.event(EventType::UserRegistered),
                self.with(EventType::ConsentGiven, facts),
            ],
            _ if ends => vec![self.with(EventType::ConsentWithdrawn, facts)],
            _ => vec![self.with(EventType::ConsentUpdated, facts)],
        }
    }

    /// The state that name and `status` give an agreement or a membership, whatever its scopes say.
    fn membership(&self) -> ConsentState {
        let status = self.data.text("status").map(|word| word.to_lowercase());
        match status.as_deref() {
            Some("expired") => ConsentState::Expired,
            _ if matches!(self.verb, Verb::Delete | Verb::Revoke) => ConsentState::Withdrawn,
            None | Some("active") => ConsentState::Given,
            Some(_) => ConsentState::Withdrawn,
        }
    }

    fn agreement(&self) -> Event {
        let state = self.membership();
        let agreement = self.data.text("agreement_id");
        let version = self.data.text("version_number");
        let mut stated: Vec<Scope> = scopes(self.data.value("scopes"))
            .iter()
            .filter_map(|scope| scope_of(*scope, state))
            .collect();
        if stated.is_empty() {
            let purpose = agreement.clone().or_else(|| self.data.text("id"));
            stated.push(bare_scope(
                purpose.unwrap_or_else(|| "agreement".into()),
                state,
            ));
        }
        for scope in &mut stated {
            scope.version.clone_from(&version);
        }
        let kind = match state {
            ConsentState::Given => EventType::AgreementAccepted,
            _ => EventType::AgreementWithdrawn,
        };
        let facts = consent(ConsentKind::Agreement, agreement, stated);
        self.with(kind, facts)
    }

    fn experiment(&self) -> Event {
        let state = self.membership();
        let first = self.data.time("first_seen_date");
        let kind = match state {
            ConsentState::Given if self.verb == Verb::Create => EventType::ExperimentJoined,
            ConsentState::Given if first.is_some() && first == self.data.time("last_seen_date") => {
                EventType::ExperimentJoined
            }
            ConsentState::Given => EventType::ExperimentUpdated,
            _ => EventType::ExperimentLeft,
        };
        let purpose = ["experiment_id", "id"]
            .iter()
            .find_map(|key| self.data.text(key))
            .unwrap_or_else(|| "experiment".into());
        let scopes = vec![bare_scope(purpose, state)];
        let app = self.data.text("app_id");
        self.with(kind, consent(ConsentKind::Experiment, app, scopes))
    }

    fn identity(&self) -> Event {
        let (kind, state) = match self.verb {
            Verb::Verify => (EventType::IdentityVerified, ConsentState::Given),
            _ => (EventType::IdentityRevoked, ConsentState::Withdrawn),
        };
        let scopes = vec![bare_scope("ekyc".into(), state)];
        let app = self.data.text("app_id");
        self.with(kind, consent(ConsentKind::Identity, app, scopes))
    }
}

fn consent(kind: ConsentKind, app: Option<String>, scopes: Vec<Scope>) -> ConsentFacts {
    ConsentFacts {
        kind,
        app: app.unwrap_or_default(),
        whole_set: false,
        withdraws_all: false,
        scopes,
    }
}

/// The scopes of a list, or the one that stands there by itself.
fn scopes(listed: Option<Value<'_>>) -> Vec<Value<'_>> {
    let Some(value) = listed else {
        return Vec::new();
    };
    value.list().unwrap_or_else(|| {
        if value.is_plain() {
            Vec::new()
        } else {
            vec![value]
        }
    })
}

/// One scope of an app consent. One whose status is a word we do not know states nothing; silence is never taken
/// for a consent, but a scope listed without any status is part of the set that was agreed to.
fn read_scope(scope: Value<'_>, ends: bool) -> Option<Scope> {
    if ends {
        return scope_of(scope, ConsentState::Withdrawn);
    }
    let fields = scope.object().unwrap_or_default();
    let status = fields.text("status").map(|word| word.to_lowercase());
    let state = match status.as_deref() {
        Some("active") => ConsentState::Given,
        Some("revoked") => ConsentState::Withdrawn,
        Some("expired") => ConsentState::Expired,
        Some("refused" | "denied" | "declined") => ConsentState::Refused,
        None if fields.text("date_revoked").is_some() => ConsentState::Withdrawn,
        None if fields.value("status").is_none() => ConsentState::Given,
        _ => return None,
    };
    scope_of(scope, state)
}

/// A scope, told by an object or by its name alone, in `state`; `None` if it has no name.
fn scope_of(scope: Value<'_>, state: ConsentState) -> Option<Scope> {
    let Some(fields) = scope.object() else {
        return Some(bare_scope(scope.text()?, state));
    };
    Some(Scope {
        method: fields.text("consent_method"),
        given_at: fields.time("date_created"),
        revoked_at: fields.time("date_revoked"),
        ..bare_scope(fields.text("id")?, state)
    })
}

fn bare_scope(purpose: String, state: ConsentState) -> Scope {
    Scope {
        purpose,
        state,
        method: None,
        version: None,
        evidence: None,
        given_at: None,
        revoked_at: None,
        wording: None,
    }
}

/// The app, agreement and organisation of made-up readers.
const TOLD_APP: &str = "6f0c2d1e-8b7a-4956-9d3c-2a1b0c9d8e7f";
const TOLD_AGREEMENT: &str = "0e9d8c7b-6a59-4483-b2c1-d0e1f2a3b4c5";
const TOLD_ORG: &str = "4b5c6d7e-8f90-41a2-93b4-c5d6e7f8091a";

fn tell(story: &Story<'_>) -> Option<Json> {
    let date = json!(story.at.utc().format("%Y-%m-%dT%H:%M:%SZ").to_string());
    let (name, own) = match &story.what {
        Happening::Registered => {
            let scopes = told_scopes(&["openid"], "active", &date);
            ("user.app.consent.create", told_app(story, &date, &scopes))
        }
        Happening::Consented(purposes) => {
            let set: Vec<&str> = ["openid"].iter().chain(purposes).copied().collect();
            let scopes = told_scopes(&set, "active", &date);
            ("user.app.consent.update", told_app(story, &date, &scopes))
        }
        Happening::Withdrew => {
            let scopes = told_scopes(&["openid"], "revoked", &date);
            ("user.app.consent.delete", told_app(story, &date, &scopes))
        }
        Happening::SignedIn => {
            let mut own = told_app(story, &date, &json!(["openid"]));
            own["id"] = json!(told_id(&format!("sign-in {}", story.nonce)));
            own["skipped"] = json!(true);
            ("user.consent", own)
        }
        Happening::AcceptedTerms(version) => {
            let own = json!({
                "id": told_id(&format!("terms of {}", story.who.number)),
                "subject_id": told_subject(story),
                "scopes": told_scopes(&["tos"], "active", &date),
                "org_id": TOLD_ORG,
                "agreement_id": TOLD_AGREEMENT,
                "version_number": version,
                "first_seen_date": date,
                "last_seen_date": date,
                "status": "active",
            });
            ("user.agreement.consent.created", own)
        }
        _ => return None,
    };
    Some(json!({"event_type": name, "data": own}))
}

fn told_app(story: &Story<'_>, date: &Json, scopes: &Json) -> Json {
    json!({
        "id": told_id(&format!("app of {}", story.who.number)),
        "org_id": TOLD_ORG,
        "app_id": TOLD_APP,
        "subject_id": told_subject(story),
        "client_id": "reader-app",
        "timestamp": date,
        "last_seen_date": date,
        "scopes": scopes,
        "ip": "198.51.100.7",
    })
}

fn told_scopes(names: &[&str], status: &str, date: &Json) -> Json {
    names
        .iter()
        .map(|name| {
            let method = if *name == "openid" {
                "implicit"
            } else {
                "explicit"
            };
            let mut scope = json!({"id": name, "status": status, "consent_method": method});
            let when = if status == "revoked" {
                "date_revoked"
            } else {
                "date_created"
            };
            scope[when] = date.clone();
            scope
        })
        .collect()
}

fn told_id(what: &str) -> String {
    sha256_hex(what.as_bytes())[..32].to_owned()
}

fn told_subject(story: &Story<'_>) -> String {
    let hex = told_id(&format!("subject {}", story.who.number));
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

#[cfg(test)]
mod tests;
