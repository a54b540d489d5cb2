//! What the tests of every provider share: deliveries out of bodies, samples with a change, hostile JSON.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use crate::config::{Secret, Settings};
use crate::domain::delivery::{Content, Delivery, MAIN_ACCOUNT, Origin, ProviderId, Reading};
use crate::domain::event::{Event, Facts, PaymentFacts, SubscriptionFacts};
use crate::domain::money::MoneyFlag;
use crate::domain::time::Timestamp;
use crate::providers::{Provider, Request};

/// When every delivery of these tests arrives.
pub(crate) const ARRIVAL: &str = "2026-01-02T03:04:05.678Z";

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

pub(crate) fn delivery(provider: &dyn Provider, body: &[u8], headers: &[(&str, &str)]) -> Delivery {
    Delivery {
        provider: ProviderId::known(provider.id()),
        account: MAIN_ACCOUNT.into(),
        hook: "events".into(),
        received_at: at(ARRIVAL),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.to_vec(),
        credential: "path_key".into(),
        identity_proof: None,
        remote_ip: "203.0.113.1".into(),
        origin: Origin::Live,
        test: false,
    }
}

pub(crate) fn read(provider: &dyn Provider, body: &str) -> Reading {
    provider.read(&delivery(provider, body.as_bytes(), &[]))
}

/// The events of a body, which must be readable.
pub(crate) fn events(provider: &dyn Provider, body: &str) -> Vec<Event> {
    match read(provider, body).content {
        Content::Events(events) => events,
        Content::Unreadable(why) => panic!("{why}: {body}"),
    }
}

/// The one event of a body.
pub(crate) fn event(provider: &dyn Provider, body: &str) -> Event {
    let mut events = events(provider, body);
    assert_eq!(events.len(), 1, "{body}");
    events.remove(0)
}

/// Why a body is not understood.
pub(crate) fn refusal(provider: &dyn Provider, body: &str) -> String {
    match read(provider, body).content {
        Content::Events(events) => panic!("it reads: {events:?}"),
        Content::Unreadable(why) => why,
    }
}

pub(crate) fn subscription(event: &Event) -> SubscriptionFacts {
    match &event.facts {
        Facts::Subscription(facts) => facts.clone(),
        other => panic!("no facts of a subscription: {other:?}"),
    }
}

pub(crate) fn payment(event: &Event) -> PaymentFacts {
    match &event.facts {
        Facts::Payment(facts) => facts.clone(),
        other => panic!("no facts of a payment: {other:?}"),
    }
}

/// Amount in minor units, currency, flag.
pub(crate) fn amount(event: &Event) -> (Option<i64>, &str, Option<&'static str>) {
    let money = event.money.as_ref().unwrap();
    (
        money.minor,
        &money.currency,
        money.flag.map(MoneyFlag::as_str),
    )
}

/// The body of the sample called `name`.
pub(crate) fn sample(provider: &dyn Provider, name: &str) -> &'static str {
    provider
        .samples()
        .iter()
        .find(|sample| sample.name == name)
        .unwrap_or_else(|| panic!("no sample {name}"))
        .body
}

/// `body` with what stands at `pointer` (its parent must be there) replaced; `None` takes it away.
pub(crate) fn with(body: &str, pointer: &str, value: Option<Json>) -> String {
    let mut json: Json = serde_json::from_str(body).unwrap();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let fields = json
        .pointer_mut(parent)
        .and_then(Json::as_object_mut)
        .unwrap_or_else(|| panic!("no object at {parent:?}"));
    match value {
        Some(value) => fields.insert(key.into(), value),
        None => fields.remove(key),
    };
    json.to_string()
}

/// A file of the folder of documented samples that `SUBLEDGER_SAMPLES` names; `None` where it is not set.
pub(crate) fn documented(path: &str) -> Option<String> {
    let folder = PathBuf::from(std::env::var_os("SUBLEDGER_SAMPLES")?);
    Some(fs::read_to_string(folder.join(path)).unwrap())
}

/// The rows of a table written as text: a line each, cells between bars.
pub(crate) fn rows<const N: usize>(table: &str) -> Vec<[&str; N]> {
    table
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            cells.try_into().unwrap()
        })
        .collect()
}

pub(crate) fn settings(provider: &dyn Provider) -> Settings {
    Settings {
        provider: provider.id().into(),
        account: MAIN_ACCOUNT.into(),
        ..Settings::default()
    }
}

pub(crate) fn with_secrets(mut settings: Settings, secrets: &[&str]) -> Settings {
    let secrets = secrets.iter().map(|text| Secret::new(*text)).collect();
    settings.secrets.insert("secret".into(), secrets);
    settings
}

pub(crate) fn with_texts(mut settings: Settings, texts: &[(&str, &str)]) -> Settings {
    for (key, text) in texts {
        settings.texts.insert((*key).into(), (*text).into());
    }
    settings
}

pub(crate) fn request(body: &str, headers: &[(String, String)]) -> Request {
    Request {
        hook: "events".into(),
        path_key: None,
        headers: headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
            .collect(),
        body: body.as_bytes().to_vec(),
        received_at: at(ARRIVAL),
        remote_ip: "203.0.113.1".into(),
    }
}

/// Any JSON, with the scalars that providers and their enemies like.
pub(crate) fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        prop::sample::select(vec![
            "",
            "undefined",
            "0",
            "1",
            "-9.99",
            "1e400",
            "a@b",
            "905555555555",
            "active",
            "passive",
            "0000-00-00 00:00:00",
            "9999-12-31 23:59:59",
            "262143-12-31T23:59:59Z",
            "\0",
        ])
        .prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::btree_map("[a-zA-Z_]{0,9}", inner, 0..5)
                .prop_map(|fields| Json::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A sample of `provider` in which some values are gone or replaced by anything.
pub(crate) fn mutated(provider: &'static dyn Provider) -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), prop::option::of(any_json()));
    (
        prop::sample::select(provider.samples()),
        prop::collection::vec(change, 1..6),
    )
        .prop_map(|(sample, changes)| {
            let mut json: Json = serde_json::from_str(sample.body).unwrap();
            for (index, change) in changes {
                let paths = paths(&json);
                if paths.is_empty() {
                    break;
                }
                alter(&mut json, &paths[index.index(paths.len())], change);
            }
            json.to_string()
        })
}

/// The pointers of every field of every object in `json`.
fn paths(json: &Json) -> Vec<String> {
    let inside = |key: String, value: &Json| {
        let below = paths(value);
        let deeper = below
            .into_iter()
            .map(|path| format!("/{key}{path}"))
            .collect::<Vec<_>>();
        std::iter::once(format!("/{key}")).chain(deeper)
    };
    match json {
        Json::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| inside(key.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Json::Array(values) => values
            .iter()
            .enumerate()
            .flat_map(|(place, value)| inside(place.to_string(), value))
            .collect(),
        _ => Vec::new(),
    }
}

fn alter(json: &mut Json, path: &str, change: Option<Json>) {
    let (parent, key) = path.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    match (json.pointer_mut(parent), change) {
        (Some(Json::Object(fields)), Some(value)) => {
            fields.insert(key, value);
        }
        (Some(Json::Object(fields)), None) => {
            fields.remove(&key);
        }
        (Some(Json::Array(values)), change) => {
            values[key.parse::<usize>().unwrap()] = change.unwrap_or(Json::Null);
        }
        _ => unreachable!("every path has a parent"),
    }
}

/// What holds of every reading, whatever the body: facts survive the way through `data`, amounts are of payments
/// only, a key is there wherever something was read.
pub(crate) fn holds(provider: &dyn Provider, body: &[u8]) {
    let reading = provider.read(&delivery(provider, body, &[]));
    for event in reading.events() {
        let text = serde_json::to_string(&event.facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), event.facts);
        let extra = serde_json::to_string(&event.extra).unwrap();
        serde_json::from_str::<Json>(&extra).unwrap();
        assert_eq!(event.money.is_some(), event.kind.family() == "payment");
        let columns = [
            &event.subject.user_id,
            &event.subject.email,
            &event.subject.name,
            &event.subscription_id,
            &event.plan,
        ];
        for text in columns.into_iter().flatten() {
            assert!(!text.contains('\0') && !text.is_empty(), "{text:?}");
        }
        assert!(!reading.keys.is_empty());
    }
}
