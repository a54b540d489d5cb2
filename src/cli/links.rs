//! The links that a publisher pastes into a provider's dashboard, and a line to try each with.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::config::{Config, Settings};
use crate::domain::delivery::MAIN_ACCOUNT;
use crate::providers::{ALL, Provider, SettingShape};

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
    /// A line for a POSIX shell that sends a sample to this machine's receiver, marked as a test.
    pub curl: String,
    /// What the settings lack for this account, one sentence each.
    pub add: Vec<String>,
}

/// Every link of the settings, by provider, account and hook in the order of their lists. `listen` is where the
/// receiver listens now.
pub fn links(config: &Config, listen: SocketAddr) -> Vec<Link> {
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
                links.push(Link {
                    provider: provider.id(),
                    account: settings.account.clone(),
                    hook: hook.name,
                    title: title(*provider, settings, hook.title),
                    url: format!("{far}{tail}"),
                    curl: curl(*provider, hook.name, &format!("{near}{tail}")),
                    add: add(*provider, settings),
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

fn title(provider: &dyn Provider, settings: &Settings, hook: &str) -> String {
    if settings.account == MAIN_ACCOUNT {
        format!("{}: {hook}", provider.name())
    } else {
        format!("{} ({}): {hook}", provider.name(), settings.account)
    }
}

/// The first sample of this hook on one line: JSON does not mind its line breaks as blanks.
fn curl(provider: &dyn Provider, hook: &str, url: &str) -> String {
    let sample = provider
        .samples()
        .iter()
        .find(|sample| sample.hook == hook)
        .map_or("{}", |sample| sample.body);
    let body = serde_json::from_str::<Box<serde_json::value::RawValue>>(sample)
        .map_or_else(|_| sample.to_owned(), |raw| one_line(raw.get()));
    format!(
        "curl -sS {} -H 'Content-Type: application/json' -H 'Subledger-Test: 1' --data-binary {}",
        quoted(url),
        quoted(&body)
    )
}

/// Valid JSON without the blanks between its tokens; what stands within strings is left as it is.
fn one_line(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut within = false;
    let mut escaped = false;
    for c in json.chars() {
        if within {
            out.push(c);
            within = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if !c.is_ascii_whitespace() {
            out.push(c);
            within = c == '"';
        }
    }
    out
}

/// One word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// What this account could be given beside what it has.
fn add(provider: &dyn Provider, settings: &Settings) -> Vec<String> {
    let mut add = Vec::new();
    let secrets = || {
        provider
            .settings()
            .iter()
            .filter(|setting| setting.shape == SettingShape::Secret)
    };
    for setting in secrets() {
        if settings.secrets(setting.key).is_empty() {
            add.push(format!(
                "{} under {}: {}",
                setting.key,
                settings.table(),
                setting.help
            ));
        }
    }
    let has_any = secrets().any(|setting| !settings.secrets(setting.key).is_empty());
    if settings.secrets("path_key").is_empty() && !has_any && settings.text("auth").is_none() {
        add.push(format!(
            "path_key under {}: nothing can come in without it or a secret",
            settings.table()
        ));
    }
    add
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_the_line_as_one_word_each() {
        assert_eq!(quoted("it's $HOME `x`"), "'it'\\''s $HOME `x`'");
        assert_eq!(
            one_line("{\n \"a b\": \"c \\\" d\\\\\" ,\n\"e\": 1 }"),
            "{\"a b\":\"c \\\" d\\\\\",\"e\":1}"
        );
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
