//! ExpressConsent: proof of what a reader saw and agreed to.
//!
//! Contract: expressconsent.com /docs/webhooks (snapshots, the older product) and app.expressconsent.com
//! /docs/webhooks (certified digital records), both as stored in 2025. Authenticates by an HMAC whose header,
//! encoding and signed bytes the public text does not name: all of it is a setting, and nothing is assumed. The event
//! is told by `event`; a snapshot has none and is known by `transactionId`. A delivery is known by `webhookId`, a
//! record by `cdrId` with its answers, a snapshot by `transactionId`. Time is `createdAt`: milliseconds in a record, text
//! in a snapshot.
//!
//! Undocumented or easily missed:
//! - there is no reader in either body but what the site put into `customMetadata`, under any key, nested
//!   (`events.nested-metadata.json`), as text or number;
//! - `agreed` may be false, which is a refusal and no consent (`events.mixed-answers.json`);
//! - download links (`downloadURL`, `downloadUrl`) open the record to whoever holds them, so they are never taken out
//!   of the body;
//! - `anuraData` is a verdict on fraud, not a consent.
//!
//! Imports domain, config and the neighbours every provider shares. Never reads the store or the clock.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use crate::config::{Secret, Settings, SettingsError};
use crate::domain::delivery::{Content, Delivery, DeliveryKey, KeyRule, Reading};
use crate::domain::event::{
    ConsentFacts, ConsentKind, ConsentState, Event, EventType, Facts, Occurred, OccurredSource,
    Scope, Subject,
};
use crate::domain::time::Timestamp;
use crate::providers::body::{Body, Object, Value, digits, hex, is_email, key_of, sha256_hex};
use crate::providers::check::Encoding;
use crate::providers::{
    Gate, Happening, Hook, Proof, Provider, Request, Sample, Setting, SettingShape, Story, Told,
    check,
};

/// See the head of this file.
pub(crate) struct ExpressConsent;

/// A record may hold so many answers: places in it are four digits of an id.
const ANSWERS_MAX: usize = 9_999;

/// So deep `customMetadata` is searched for a reader.
const METADATA_DEPTH_MAX: usize = 4;

/// Fewer digits are no phone number.
const PHONE_DIGITS_MIN: usize = 5;

const HOOKS: &[Hook] = &[Hook {
    name: "events",
    title: "Webhook URL",
}];

const SETTINGS: &[Setting] = &[
    Setting {
        key: "secret",
        shape: SettingShape::Secret,
        help: "Webhook secret (Organization > Settings, generate secret): needs signature_header",
        proof: Some("signature"),
    },
    Setting {
        key: "signature_header",
        shape: SettingShape::Text,
        help: "Name of the header that holds the signature, as your dashboard's Signature verification says",
        proof: None,
    },
    Setting {
        key: "signature_encoding",
        shape: SettingShape::Text,
        help: "How the signature is written: hex (the default) or base64",
        proof: None,
    },
    Setting {
        key: "signature_prefix",
        shape: SettingShape::Text,
        help: "What stands before the signature in its header, such as sha256=",
        proof: None,
    },
    Setting {
        key: "signed_content",
        shape: SettingShape::Text,
        help: "What is signed: body (the default), or timestamp.body together with timestamp_header",
        proof: None,
    },
    Setting {
        key: "timestamp_header",
        shape: SettingShape::Text,
        help: "Name of the header that holds the time, where timestamp.body is signed",
        proof: None,
    },
];

const SAMPLES: &[Sample] = &[
    Sample {
        name: "cdr.completed",
        hook: "events",
        body: include_str!("../../assets/samples/expressconsent/cdr.completed.json"),
    },
    Sample {
        name: "snapshot-v1",
        hook: "events",
        body: include_str!("../../assets/samples/expressconsent/snapshot-v1.json"),
    },
];

impl Provider for ExpressConsent {
    fn id(&self) -> &'static str {
        "expressconsent"
    }

    fn name(&self) -> &'static str {
        "ExpressConsent"
    }

    fn hooks(&self) -> &'static [Hook] {
        HOOKS
    }

    fn dashboard(&self) -> &'static str {
        "Settings > Webhooks; in the newer dashboard Organization > Settings"
    }

    fn settings(&self) -> &'static [Setting] {
        SETTINGS
    }

    fn gate(&self, settings: &Settings) -> Result<Gate, SettingsError> {
        let scheme = Scheme::from_settings(settings)?;
        let secrets = settings.secrets("secret").to_vec();
        if scheme.header.is_none() && !secrets.is_empty() {
            return Err(SettingsError(format!(
                "secret under {} has no signature_header: add the header's name, as the dashboard's \
                 \"Signature verification\" section gives it",
                settings.table()
            )));
        }
        let signature_headers = scheme.header.iter().cloned().collect();
        Ok(Gate {
            prove: Box::new(move |request| scheme.prove(request, &secrets)),
            identify: Box::new(|_| None),
            credential_headers: Vec::new(),
            signature_headers,
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

    fn sign(&self, settings: &Settings, body: &[u8], at: Timestamp) -> Vec<(String, String)> {
        let secret = settings.secrets("secret").first();
        let (Ok(scheme), Some(secret)) = (Scheme::from_settings(settings), secret) else {
            return Vec::new();
        };
        scheme.sign(secret, body, at)
    }

    fn tell(&self, story: &Story<'_>) -> Vec<Told> {
        let Happening::Answered { agreed, wording } = story.what else {
            return Vec::new();
        };
        vec![Told {
            hook: "events",
            body: told_record(story, agreed, wording).to_string().into_bytes(),
            headers: Vec::new(),
        }]
    }
}

/// How this account's deliveries are signed, as the settings say.
struct Scheme {
    /// Lower case.
    header: Option<String>,
    prefix: String,
    encoding: Encoding,
    /// The header whose value stands before the body in what is signed, lower case.
    timestamp_header: Option<String>,
}

impl Scheme {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        let refuse = |why: String| Err(SettingsError(format!("{why} under {}", settings.table())));
        let encoding = match settings.text("signature_encoding") {
            None | Some("hex") => Encoding::Hex,
            Some("base64") => Encoding::Base64,
            Some(word) => {
                return refuse(format!(
                    "signature_encoding {word:?} is neither \"hex\" nor \"base64\""
                ));
            }
        };
        let timestamp_header = header_name(settings, "timestamp_header")?;
        let timestamp_header = match settings.text("signed_content") {
            None | Some("body") => None,
            Some("timestamp.body") if timestamp_header.is_some() => timestamp_header,
            Some("timestamp.body") => {
                return refuse("signed_content \"timestamp.body\" needs timestamp_header".into());
            }
            Some(word) => {
                return refuse(format!(
                    "signed_content {word:?} is neither \"body\" nor \"timestamp.body\""
                ));
            }
        };
        Ok(Self {
            header: header_name(settings, "signature_header")?,
            prefix: settings
                .text("signature_prefix")
                .unwrap_or_default()
                .to_owned(),
            encoding,
            timestamp_header,
        })
    }

    fn prove(&self, request: &Request, secrets: &[Secret]) -> Vec<Proof> {
        let signed = |request: &Request| match &self.timestamp_header {
            None => Some(request.body.clone()),
            Some(name) => {
                let time = request.header_all(name).next()?.trim_ascii();
                Some([time, b".", &request.body].concat())
            }
        };
        let Some(header) = &self.header else {
            return Vec::new();
        };
        check::hmac_header(
            request,
            header,
            &self.prefix,
            self.encoding,
            secrets,
            &signed,
        )
        .into_iter()
        .collect()
    }

    fn sign(&self, secret: &Secret, body: &[u8], at: Timestamp) -> Vec<(String, String)> {
        let Some(header) = &self.header else {
            return Vec::new();
        };
        let time = at.ms().to_string();
        let mut headers = Vec::new();
        let message = match &self.timestamp_header {
            None => body.to_vec(),
            Some(name) => {
                headers.push((name.clone(), time.clone()));
                [time.as_bytes(), b".", body].concat()
            }
        };
        let mac = check::hmac_sha256(secret.expose().as_bytes(), &message);
        let written = match self.encoding {
            Encoding::Hex => hex(&mac),
            Encoding::Base64 => STANDARD.encode(mac),
        };
        headers.push((header.clone(), format!("{}{written}", self.prefix)));
        headers
    }
}

/// The header name under `key`, in lower case.
fn header_name(settings: &Settings, key: &str) -> Result<Option<String>, SettingsError> {
    let Some(name) = settings.text(key) else {
        return Ok(None);
    };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(SettingsError(format!(
            "{key} {name:?} under {} is no header name: give it without colon and value",
            settings.table()
        )));
    }
    Ok(Some(name.to_ascii_lowercase()))
}

/// Which of the two generations a body is of, if any.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Generation {
    Snapshot,
    Record,
    Other,
}

fn read_object(delivery: &Delivery, root: &Object<'_>) -> Reading {
    let named = root.text("event");
    let (label, generation) = match named {
        Some(name) if name.eq_ignore_ascii_case("cdr.completed") => (name, Generation::Record),
        Some(name) => (name, Generation::Other),
        None if root.text("cdrId").is_some() => ("cdr.completed".to_owned(), Generation::Record),
        None if is_snapshot(root) => ("snapshot".to_owned(), Generation::Snapshot),
        None => {
            return Reading::unreadable(
                "",
                "nothing says what this is: no event and no transactionId",
            );
        }
    };
    let keys = keys(delivery, root, &label, generation);
    let content = read_content(delivery, root, generation);
    Reading {
        label,
        keys,
        content,
    }
}

fn is_snapshot(root: &Object<'_>) -> bool {
    ["transactionId", "leadValidationId"]
        .iter()
        .any(|key| root.text(key).is_some())
        || (root.text("domain").is_some() && root.value("customMetadata").is_some())
}

fn record_id(root: &Object<'_>, generation: Generation) -> Option<String> {
    match generation {
        Generation::Snapshot => root.text("transactionId"),
        Generation::Record | Generation::Other => root.text("cdrId"),
    }
}

fn keys(
    delivery: &Delivery,
    root: &Object<'_>,
    label: &str,
    generation: Generation,
) -> Vec<DeliveryKey> {
    let key = |parts: &[&str], rule| DeliveryKey {
        key: key_of(parts),
        rule,
    };
    let mut keys = Vec::new();
    if let Some(id) = root.text("webhookId") {
        keys.push(key(&["webhook", &id], KeyRule::Id));
    }
    match (generation, record_id(root, generation)) {
        (Generation::Snapshot, Some(id)) => {
            keys.push(key(&["snapshot", &id], KeyRule::Natural));
        }
        (Generation::Record, Some(id)) => {
            let hash = sha256_hex(answers_text(root).as_bytes());
            keys.push(key(&["cdr", &id, &hash], KeyRule::Natural));
        }
        _ if keys.is_empty() => {
            let hash = sha256_hex(&delivery.body);
            keys.push(key(&[label, &hash], KeyRule::Bytes));
        }
        _ => {}
    }
    keys
}

/// What makes a second webhook about one record an event of its own.
fn answers_text(root: &Object<'_>) -> String {
    let raw = |key: &str| root.value(key).map_or("", Value::raw);
    format!("{}\n{}", raw("disclosures"), raw("customMetadata"))
}

fn read_content(delivery: &Delivery, root: &Object<'_>, generation: Generation) -> Content {
    let subject = subject(root, generation);
    if generation == Generation::Other {
        let occurred = occurred(delivery, root);
        return Content::Events(vec![event(EventType::Unknown, occurred, subject, root)]);
    }
    if subject.user_id.is_none() {
        return Content::Unreadable("it names neither a record nor a reader nor a session".into());
    }
    let scopes = answers(root);
    if scopes.len() > ANSWERS_MAX {
        return Content::Unreadable(format!("it states more than {ANSWERS_MAX} answers"));
    }
    let mut event = event(
        EventType::ConsentEvidenceCaptured,
        occurred(delivery, root),
        subject,
        root,
    );
    if generation == Generation::Record && !scopes.is_empty() {
        event.facts = Facts::Consent(ConsentFacts {
            kind: ConsentKind::Evidence,
            app: String::new(),
            whole_set: false,
            withdraws_all: false,
            scopes,
        });
    }
    Content::Events(vec![event])
}

fn occurred(delivery: &Delivery, root: &Object<'_>) -> Occurred {
    let at = root.value("createdAt").and_then(Value::time_or_ms);
    Occurred::told(at, OccurredSource::Body, delivery.received_at)
}

fn event(kind: EventType, occurred: Occurred, subject: Subject, root: &Object<'_>) -> Event {
    let mut event = Event::new(kind, occurred, subject);
    event.app = ["domain", "domainId"]
        .iter()
        .find_map(|key| root.text(key))
        .unwrap_or_default();
    event.extra = root.extra(&[
        "cdrId",
        "transactionId",
        "orgId",
        "sessionId",
        "leadValidationId",
        "subGroupIds",
        "anuraData",
    ]);
    if occurred.source == OccurredSource::Implausible {
        event.extra.extend(root.extra(&["createdAt"]));
    }
    if let Some(metadata) = root.value("customMetadata") {
        let mut shown = metadata.json();
        let links: Vec<String> = root
            .fields()
            .filter(|(key, _)| is_link(key))
            .filter_map(|(_, value)| value.text())
            .collect();
        if strip_links(&mut shown, &links) {
            event.extra.insert("customMetadata".into(), shown);
        }
    }
    event
}

fn is_link(key: &str) -> bool {
    plain_key(key).starts_with("download")
}

/// Takes out of `value` whatever opens a record to whoever holds it; false if nothing of it may stay.
fn strip_links(value: &mut Json, links: &[String]) -> bool {
    match value {
        Json::String(text) => !links.iter().any(|link| text.contains(link.as_str())),
        Json::Array(values) => {
            values.retain_mut(|value| strip_links(value, links));
            true
        }
        Json::Object(fields) => {
            let kept: Map<String, Json> = std::mem::take(fields)
                .into_iter()
                .filter(|(key, _)| !is_link(key))
                .filter_map(|(key, mut value)| {
                    strip_links(&mut value, links).then_some((key, value))
                })
                .collect();
            *fields = kept;
            true
        }
        _ => true,
    }
}

/// What the site put into `customMetadata` about the reader.
#[derive(Default)]
struct Contact {
    email: Option<String>,
    phone: Option<String>,
    name: Option<String>,
    lead: Option<String>,
}

/// A key without case and the marks that words are joined by.
fn plain_key(key: &str) -> String {
    key.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

impl Contact {
    /// The nearest to the top counts; each level is read before the ones below it.
    fn find(metadata: Object<'_>) -> Self {
        let mut contact = Self::default();
        let mut level = vec![metadata];
        for _ in 0..METADATA_DEPTH_MAX {
            for object in &level {
                contact.take(object);
            }
            level = level.iter().flat_map(children).collect();
        }
        contact
    }

    fn take(&mut self, object: &Object<'_>) {
        let fields: Vec<(String, Value<'_>)> = object
            .fields()
            .map(|(key, value)| (plain_key(key), value))
            .collect();
        let pick = |keys: &[&str]| {
            keys.iter().find_map(|wanted| {
                fields
                    .iter()
                    .filter(|(key, _)| key == wanted)
                    .find_map(|(_, value)| value.text())
            })
        };
        self.email = self.email.take().or_else(|| {
            pick(&["email", "emailaddress", "mail", "useremail", "leademail"])
                .filter(|text| is_email(text))
        });
        self.phone = self.phone.take().or_else(|| {
            pick(&[
                "phone",
                "phonenumber",
                "mobile",
                "mobilephone",
                "mobilenumber",
                "telephone",
                "tel",
                "cell",
                "cellphone",
                "userphone",
                "leadphone",
            ])
            .filter(|text| digits(text).len() >= PHONE_DIGITS_MIN)
        });
        self.name = self.name.take().or_else(|| {
            pick(&["name", "fullname"]).or_else(|| {
                let parts = [pick(&["firstname"]), pick(&["lastname"])];
                let name = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
                (!name.is_empty()).then_some(name)
            })
        });
        self.lead = self.lead.take().or_else(|| pick(&["userid", "leadid"]));
    }
}

/// The objects inside `object`, those in its lists too.
fn children<'a>(object: &Object<'a>) -> Vec<Object<'a>> {
    object
        .fields()
        .filter(|(_, value)| !value.is_plain())
        .flat_map(|(_, value)| value.list().unwrap_or_else(|| vec![value]))
        .filter_map(Value::object)
        .collect()
}

/// Who it is about: the first of e-mail, phone, lead, session, record (rule 8.12). The other names of a person become
/// aliases; a session or a record is nobody.
fn subject(root: &Object<'_>, generation: Generation) -> Subject {
    let contact = Contact::find(root.object("customMetadata"));
    let mut persons = Vec::new();
    if let Some(email) = &contact.email {
        persons.push((email.to_lowercase(), "customMetadata e-mail"));
    }
    if let Some(phone) = &contact.phone {
        persons.push((digits(phone), "customMetadata phone"));
    }
    if let Some(lead) = &contact.lead {
        persons.push((format!("lead:{lead}"), "customMetadata lead"));
    }
    let anonymous = persons.is_empty();
    let mut persons = persons.into_iter();
    let user_id = persons.next().map(|(id, _)| id);
    Subject {
        user_id: user_id.or_else(|| nobody(root, generation)),
        email: contact.email,
        phone: contact.phone,
        name: contact.name,
        aliases: persons.map(|(id, from)| (id, from.to_owned())).collect(),
        anonymous,
        ..Subject::default()
    }
}

fn nobody(root: &Object<'_>, generation: Generation) -> Option<String> {
    let session = ["sessionId", "leadValidationId"]
        .iter()
        .find_map(|key| root.text(key));
    if let Some(session) = session {
        return Some(format!("session:{session}"));
    }
    let kind = match generation {
        Generation::Snapshot => "snapshot",
        Generation::Record | Generation::Other => "cdr",
    };
    Some(format!("{kind}:{}", record_id(root, generation)?))
}

/// Each disclosure that was plainly answered.
fn answers(root: &Object<'_>) -> Vec<Scope> {
    let listed = root.value("disclosures").and_then(Value::list);
    let evidence = root.text("cdrId");
    listed
        .unwrap_or_default()
        .into_iter()
        .filter_map(Value::object)
        .filter_map(|disclosure| answer(&disclosure, evidence.as_ref()))
        .collect()
}

fn answer(disclosure: &Object<'_>, evidence: Option<&String>) -> Option<Scope> {
    let state = if disclosure.value("agreed")?.boolean()? {
        ConsentState::Given
    } else {
        ConsentState::Refused
    };
    let wording = disclosure
        .value("language")
        .and_then(Value::string)
        .filter(|text| !text.trim().is_empty());
    let version = wording
        .as_ref()
        .map(|text| sha256_hex(text.as_bytes())[..12].to_owned());
    let purpose = disclosure.text("key").unwrap_or_else(|| {
        version
            .as_ref()
            .map_or_else(|| "disclosure".into(), |hash| format!("wording:{hash}"))
    });
    Some(Scope {
        purpose,
        state,
        method: None,
        version,
        evidence: evidence.cloned(),
        given_at: None,
        revoked_at: None,
        wording: wording.map(|text| text.replace('\0', "\u{fffd}")),
    })
}

fn told_record(story: &Story<'_>, agreed: bool, wording: &str) -> Json {
    let who = story.who;
    let hash = sha256_hex(format!("record {} {}", who.number, story.nonce).as_bytes());
    json!({
        "event": "cdr.completed",
        "orgId": "cid_demo",
        "cdrId": format!("cdr_{}", &hash[..16]),
        "domainId": "signup.demo.example",
        "domain": "signup.demo.example",
        "createdAt": story.at.ms(),
        "ip": "198.51.100.7",
        "userAgent": "Mozilla/5.0",
        "customMetadata": {"email": who.email, "name": who.name},
        "sessionId": format!("session_{}", &hash[16..28]),
        "disclosures": [{"key": "newsletter", "language": wording, "agreed": agreed}],
        "webhookId": format!("wh_{}", &hash[28..44]),
        "timestamp": story.at.ms() + 4_000,
    })
}

#[cfg(test)]
mod tests;
