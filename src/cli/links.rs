//! The links that a publisher pastes into a provider's dashboard, and a line to try each with.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::config::{Config, Settings};
use crate::domain::delivery::{Content, Delivery, MAIN_ACCOUNT, Origin, ProviderId};
use crate::domain::time::Timestamp;
use crate::providers::{ALL, Happening, Persona, Plan, Provider, SettingShape, Story};
use crate::tui::Missing;
use crate::tui::curl::{Curl, compact};

/// The hook that every provider has.
const EVENTS: &str = "events";

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The provider's id.
    pub provider: &'static str,
    /// Whose credentials.
    pub account: String,
    /// The last word before the path key.
    pub hook: &'static str,
    /// `Conscent: Sign up`, with the account unless it is `main`.
    pub title: String,
    /// What to paste.
    pub url: String,
    /// Sends a sample to this machine's receiver, marked as a test.
    pub curl: Curl,
    /// What the settings lack for this account.
    pub add: Vec<Missing>,
    /// The provider's name, with the account unless it is `main`.
    #[serde(skip)]
    pub name: String,
    /// What the dashboard calls it.
    #[serde(skip)]
    pub hook_title: &'static str,
    /// Where in the dashboard it is pasted.
    #[serde(skip)]
    pub place: &'static str,
    /// The settings let everything in, whoever sends it.
    #[serde(skip)]
    pub unguarded: bool,
}

/// Every link of the settings, by provider, account and hook in the order of their lists. `listen` is where the
/// receiver listens now, `now` when what the samples tell happens.
pub fn links(config: &Config, listen: SocketAddr, now: Timestamp) -> Vec<Link> {
    let near = near_url(listen);
    let far = config.receiver.public_url.as_deref().unwrap_or(&near);
    let mut links = Vec::new();
    for provider in ALL {
        for settings in config
            .accounts
            .iter()
            .filter(|has| has.provider == provider.id())
        {
            for hook in provider.hooks() {
                let tail = tail(settings, hook.name);
                let name = name(*provider, settings);
                links.push(Link {
                    provider: provider.id(),
                    account: settings.account.clone(),
                    hook: hook.name,
                    title: format!("{name}: {}", hook.title),
                    url: format!("{far}{tail}"),
                    curl: Curl {
                        url: format!("{near}{tail}"),
                        body: body(*provider, hook.name, now),
                    },
                    add: add(*provider, settings),
                    name,
                    hook_title: hook.title,
                    place: provider.dashboard(),
                    unguarded: settings.text("auth") == Some("none"),
                });
            }
        }
    }
    links
}

/// `http://` and the address by which this machine reaches a receiver that listens on `listen`.
pub fn near_url(listen: SocketAddr) -> String {
    format!("http://{}", near(listen))
}

/// The address by which this machine reaches a receiver that listens on `listen`: loopback where it listens on all.
pub fn near(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// `/hooks/provider/hook`, and the newest path key if there is one.
pub fn tail(settings: &Settings, hook: &str) -> String {
    let provider = &settings.provider;
    match settings.secrets("path_key").first() {
        Some(key) => format!("/hooks/{provider}/{hook}/{}", percent(key.expose())),
        None => format!("/hooks/{provider}/{hook}"),
    }
}

/// A path key of the publisher's own may hold anything: what is not plain in a path is escaped.
fn percent(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(format!("%{byte:02X}").chars());
        }
    }
    out
}

fn name(provider: &dyn Provider, settings: &Settings) -> String {
    if settings.account == MAIN_ACCOUNT {
        provider.name().to_owned()
    } else {
        format!("{} ({})", provider.name(), settings.account)
    }
}

/// The shortest body that this hook reads something out of: one of the provider's samples or of its own words for
/// something that happens to a made-up reader `at` this time.
fn body(provider: &dyn Provider, hook: &str, at: Timestamp) -> String {
    let samples = provider
        .samples()
        .iter()
        .filter(|sample| sample.hook == hook)
        .map(|sample| compact(sample.body));
    let is_read = |body: &String| {
        let content = provider.read(&delivery(provider, hook, body, at)).content;
        matches!(content, Content::Events(events) if !events.is_empty())
    };
    told(provider, hook, at)
        .into_iter()
        .chain(samples)
        .filter(is_read)
        .min_by_key(String::len)
        .unwrap_or_else(|| "{}".to_owned())
}

/// What happens to a made-up reader, in the provider's words for this hook.
fn told(provider: &dyn Provider, hook: &str, at: Timestamp) -> Vec<String> {
    let plan = Plan {
        title: "Gold monthly",
        price_minor: 14_900,
        currency: "TRY",
        months: 1,
    };
    let happenings = [
        Happening::Registered,
        Happening::SignedIn,
        Happening::Started(plan),
        Happening::Cancelled {
            plan,
            until: at.plus_months(1),
            reason: "too dear",
        },
        Happening::BoughtOnce {
            price_minor: 900,
            currency: "TRY",
        },
        Happening::AcceptedTerms("1.0"),
        Happening::Answered {
            agreed: true,
            wording: "Yes, write to me.",
        },
    ];
    // Fresh ids at each start, so that a line pasted tomorrow is stored again.
    let nonce = u64::try_from(at.ms()).unwrap_or_default();
    let who = Persona {
        number: nonce / 1000 * 2,
        name: "Ada Demir".to_owned(),
        email: "ada@example.org".to_owned(),
        phone: "905550100200".to_owned(),
        country: "TR",
        city: "Izmir",
    };
    let stories = happenings.into_iter().map(|what| Story {
        who: &who,
        at,
        nonce,
        what,
    });
    stories
        .flat_map(|story| provider.tell(&story))
        // `events` takes what the other hooks take too.
        .filter(|told| told.hook == hook || hook == EVENTS)
        .filter_map(|told| String::from_utf8(told.body).ok())
        .collect()
}

fn delivery(provider: &dyn Provider, hook: &str, body: &str, at: Timestamp) -> Delivery {
    Delivery {
        provider: ProviderId::known(provider.id()),
        account: MAIN_ACCOUNT.to_owned(),
        hook: hook.to_owned(),
        received_at: at,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
        credential: String::new(),
        identity_proof: None,
        remote_ip: String::new(),
        origin: Origin::Live,
        test: true,
    }
}

/// What this account could be given beside what it has.
fn add(provider: &dyn Provider, settings: &Settings) -> Vec<Missing> {
    let secrets = || {
        provider
            .settings()
            .iter()
            .filter(|setting| setting.shape == SettingShape::Secret)
    };
    let table = settings.table();
    let missing = |key: &str, help: &str| Missing {
        setting: format!("{}.{key}", table.trim_matches(['[', ']'])),
        help: help.to_owned(),
    };
    let mut add: Vec<_> = secrets()
        .filter(|setting| settings.secrets(setting.key).is_empty())
        .map(|setting| missing(setting.key, setting.help))
        .collect();
    let has_any = secrets().any(|setting| !settings.secrets(setting.key).is_empty());
    if settings.secrets("path_key").is_empty() && !has_any && settings.text("auth").is_none() {
        let help = "nothing can come in without it or a secret";
        add.push(missing("path_key", help));
    }
    add
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hook_has_a_line_that_it_reads_and_most_are_short() {
        let at = Timestamp::parse("2026-11-20T06:14:00Z").unwrap();
        for provider in ALL {
            for hook in provider.hooks() {
                let body = body(*provider, hook.name, at);
                let reading = provider.read(&delivery(*provider, hook.name, &body, at));
                let events = match reading.content {
                    Content::Events(events) => events.len(),
                    Content::Unreadable(why) => panic!("{why}: {body}"),
                };
                assert!(events > 0, "{} {}: {body}", provider.id(), hook.name);
                if hook.name == EVENTS {
                    assert!(body.len() < 500, "{}: {body}", provider.id());
                }
            }
        }
    }

    #[test]
    fn a_path_key_is_plain_in_a_path() {
        assert_eq!(percent("k_a-1"), "k_a-1");
        assert_eq!(percent("a/b é"), "a%2Fb%20%C3%A9");
    }

    #[test]
    fn a_receiver_on_all_addresses_is_reached_by_loopback() {
        let all: SocketAddr = "0.0.0.0:80".parse().unwrap();
        assert_eq!(near_url(all), "http://127.0.0.1:80");
        let six: SocketAddr = "[::]:80".parse().unwrap();
        assert_eq!(near_url(six), "http://[::1]:80");
    }
}
