//! Every fixture through the real receiver, authenticated as its provider would, and its reading as a snapshot.
//!
//! A fixture is `tests/fixtures/<provider>/<hook>.<case>.json`; a case that begins with `unreadable` is quarantined.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use subledger::config::{Secret, Settings};
use subledger::domain::delivery::{Content, Delivery, Origin, ProviderId, Reading};
use subledger::domain::time::{Clock, Timestamp};
use subledger::providers::{self, Provider, door};

use crate::support::{Home, PATH_KEY, Serving};

/// Settings that give every provider all the credentials it can have.
fn home() -> Home {
    let home = Home::new();
    let file = home.path().join("config/subledger/subledger.toml");
    let mut text = fs::read_to_string(&file).unwrap();
    for provider in providers::ALL {
        let settings = settings(*provider);
        let mut lines = String::new();
        for (key, values) in &settings.secrets {
            if key != "path_key" {
                writeln!(lines, "{key} = \"{}\"", values[0].expose()).unwrap();
            }
        }
        for (key, value) in &settings.texts {
            writeln!(lines, "{key} = \"{value}\"").unwrap();
        }
        let table = format!("[providers.{}]\n", provider.id());
        text = text.replace(&table, &format!("{table}{lines}"));
    }
    fs::write(&file, text).unwrap();
    home
}

fn settings(provider: &dyn Provider) -> Settings {
    let mut settings = Settings {
        provider: provider.id().to_owned(),
        account: "main".to_owned(),
        ..Settings::default()
    };
    settings
        .secrets
        .insert("path_key".to_owned(), vec![Secret::new(PATH_KEY)]);
    let secrets: &[(&str, &str)] = match provider.id() {
        "conscent" => &[
            ("api_key", "key-of-the-test"),
            ("api_secret", "secret:with:colons"),
            ("webhook_secret", "webhook-secret"),
        ],
        "klustr" => &[("secret", "whsec_c3VibGVkZ2VyLXRlc3Qtc2VjcmV0LWtleQ==")],
        "expressconsent" => &[("secret", "express-secret")],
        _ => &[],
    };
    for (key, value) in secrets {
        settings
            .secrets
            .insert((*key).to_owned(), vec![Secret::new(*value)]);
    }
    if provider.id() == "expressconsent" {
        settings
            .texts
            .insert("signature_header".to_owned(), "X-Ec-Signature".to_owned());
    }
    settings
}

fn fixtures(provider: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(provider);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let hook = name.split('.').next().unwrap().to_owned();
            (file, hook)
        })
        .collect()
}

fn post(serving: &Serving, provider: &dyn Provider, hook: &str, body: &[u8]) -> (u16, String) {
    let signed = provider.sign(&settings(provider), body, Clock::Machine.now());
    let mut headers = String::new();
    for (name, value) in &signed {
        write!(headers, "{name}: {value}\r\n").unwrap();
    }
    // A signature is enough by itself; who has none comes by the secret link.
    let path = if signed.is_empty() {
        format!("/hooks/{}/{hook}/{PATH_KEY}", provider.id())
    } else {
        format!("/hooks/{}/{hook}", provider.id())
    };
    serving
        .request("POST", &path, &headers, body)
        .expect("an answer")
}

#[test]
fn every_fixture_is_kept_to_the_byte_whatever_it_holds() {
    let home = home();
    let serving = home.serve();
    for provider in providers::ALL {
        for (file, hook) in fixtures(provider.id()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let body = fs::read(&file).unwrap();
            let (status, answer) = post(&serving, *provider, &hook, &body);
            assert_eq!(status, 200, "{name}: {answer}");
            let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
            let expected = if name.contains(".unreadable") {
                "quarantined"
            } else {
                "stored"
            };
            assert_eq!(answer["status"], expected, "{name}");
            let stored: Vec<u8> = home
                .open()
                .query_row(
                    "select cast(body as blob) from deliveries where seq = ?1",
                    [answer["seq"].as_i64()],
                    |row| row.get(0),
                )
                .unwrap();
            assert_eq!(stored, body, "{name}");
        }
    }
}

/// A reading as text, one line per fact.
fn shown(name: &str, reading: &Reading) -> String {
    let mut out = format!("== {name}\nlabel {}\n", reading.label);
    for key in &reading.keys {
        writeln!(out, "key {} {:?}", key.key, key.rule).unwrap();
    }
    match &reading.content {
        Content::Unreadable(why) => writeln!(out, "unreadable: {why}").unwrap(),
        Content::Events(events) => {
            for event in events {
                let at = event
                    .occurred
                    .at
                    .map_or("-".to_owned(), |at| at.to_string());
                writeln!(out, "{} at {at} ({})", event.kind, event.occurred.source).unwrap();
                writeln!(out, "  {:?}", event.subject).unwrap();
                writeln!(
                    out,
                    "  subscription {:?} plan {:?} app {:?}",
                    event.subscription_id, event.plan, event.app
                )
                .unwrap();
                if let Some(money) = &event.money {
                    writeln!(out, "  money {money:?}").unwrap();
                }
                writeln!(
                    out,
                    "  facts {}",
                    serde_json::to_string(&event.facts).unwrap()
                )
                .unwrap();
                writeln!(
                    out,
                    "  extra {}",
                    serde_json::to_string(&event.extra).unwrap()
                )
                .unwrap();
            }
        }
    }
    out
}

#[test]
fn readings_are_as_before() {
    for provider in providers::ALL {
        let mut all = String::new();
        for (file, hook) in fixtures(provider.id()) {
            let delivery = Delivery {
                provider: ProviderId::known(provider.id()),
                account: "main".to_owned(),
                hook,
                received_at: Timestamp::parse("2026-03-01T08:00:00Z").unwrap(),
                headers: Vec::new(),
                body: fs::read(&file).unwrap(),
                credential: "path_key".to_owned(),
                identity_proof: None,
                remote_ip: String::new(),
                origin: Origin::Live,
                test: false,
            };
            all.push_str(&shown(
                &file.file_name().unwrap().to_string_lossy(),
                &door::read(&delivery),
            ));
        }
        insta::assert_snapshot!(format!("readings_{}", provider.id()), all);
    }
}
