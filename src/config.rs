//! Settings: the TOML file of DESIGN.md section 6, and what each provider's account was given.
//!
//! Imports domain only: what keys a provider takes is handed in. Never shows a secret: `Secret` has no way to be
//! printed.

pub mod alerts;

pub mod edit;

pub mod fresh;

pub mod places;

pub mod read;

pub mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::alerts::AlertSettings;
use crate::domain::time::Zone;

/// One provider as the settings file knows it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its id, the name of its table.
    pub provider: &'static str,
    /// Its name on screen, for comments.
    pub name: &'static str,
    /// The keys it takes beside the common ones.
    pub keys: Vec<KnownKey>,
}

/// One key of a provider's table.
#[derive(Clone, Copy, Debug)]
pub struct KnownKey {
    /// The key.
    pub key: &'static str,
    /// What it takes.
    pub shape: KeyShape,
    /// One line for the publisher.
    pub help: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyShape {
    /// A secret: text, `{ env = "NAME" }`, `{ file = "PATH" }`, or a list of those, newest first.
    Secret,
    /// A text.
    Text,
    /// A list of texts.
    List,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number,
}

/// Keys that every provider's table takes.
pub const COMMON_KEYS: &[KnownKey] = &[
    KnownKey {
        key: "path_key",
        shape: KeyShape::Secret,
        help: "the secret part of the link; \"\" for none",
    },
    KnownKey {
        key: "auth",
        shape: KeyShape::Text,
        help: "\"none\" accepts everything: for tests on a private network",
    },
    KnownKey {
        key: "expect_every",
        shape: KeyShape::Text,
        help: "\"2h\": call it quiet after that; \"never\": never",
    },
];

/// All settings, checked; what the file does not say is as the commented template says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The receiver.
    pub receiver: ReceiverSettings,
    /// Where the database is, if the file says so; absolute.
    pub store_path: Option<PathBuf>,
    /// What is kept how long.
    pub keep: KeepSettings,
    /// The screen.
    pub display: Display,
    /// The copies of each night.
    pub backup: BackupSettings,
    /// Who is told.
    pub alerts: AlertSettings,
    /// What each account was given, `main` of every provider among them.
    pub accounts: Vec<Settings>,
    /// Things that work but deserve a word: one sentence each.
    pub warnings: Vec<String>,
    /// Every key with its value as text (secrets as `[secret]`) and where it comes from, in the template's order.
    pub shown: Vec<Shown>,
}

impl Config {
    /// Whether any account has something to come in by.
    pub fn lets_something_in(&self) -> bool {
        self.accounts
            .iter()
            .any(|account| !account.secrets.is_empty() || account.text("auth").is_some())
    }
}

/// One key as `config print` shows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Shown {
    /// `receiver.listen`.
    pub key: String,
    /// As it would stand in the file; a secret is only said to be there.
    pub value: String,
    /// `default`, or the line of the file.
    pub origin: String,
}

/// `[receiver]`.
#[derive(Clone, Debug)]
pub struct ReceiverSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What links begin with, without a slash at the end; `None`: the listening address.
    pub public_url: Option<String>,
    /// Whose `X-Forwarded-For` is believed: `loopback`, addresses, networks.
    pub trusted_proxies: Vec<String>,
    /// Longest body, bytes.
    pub body_bytes_max: usize,
    /// Whether `/metrics` answers.
    pub metrics: bool,
}

/// `[store]`: what is kept how long. `None`: for ever, whatever the size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepSettings {
    /// Bodies of webhooks, milliseconds since arrival; at least a day.
    pub bodies_ms: Option<i64>,
    /// Bytes of the database in use, above which the oldest bodies go.
    pub file_bytes: Option<i64>,
    /// Bodies of webhooks that were not understood, milliseconds since arrival; at least a day.
    pub quarantine_ms: Option<i64>,
    /// Bytes of such bodies, above which the oldest go.
    pub quarantine_bytes: Option<i64>,
}

/// `[display]`.
#[derive(Clone, Debug)]
pub struct Display {
    /// The zone that days are counted in; `None`: the machine's.
    pub zone: Option<Zone>,
    /// Name of the theme.
    pub theme: String,
    /// What closing the screen means.
    pub on_quit: OnQuit,
}

/// `[backup]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSettings {
    /// Where a verified copy is written each night, absolute; `None`: none is.
    pub dir: Option<PathBuf>,
    /// So many are kept, at least 1.
    pub keep: usize,
}

/// What closing the screen means when this process is also the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnQuit {
    /// Ask.
    #[default]
    Ask,
    /// The receiver goes on.
    Keep,
    /// The receiver stops.
    Stop,
}

/// A password, key or path key. Printed as `[secret]`, whatever asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes `text` into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, to check a credential with or to write a link that the publisher asked for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Something in the settings that cannot be: the sentence names the key and says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

/// What one account at one provider was given: `[providers.<id>]` is account `main`,
/// `[providers.<id>.accounts.<name>]` another.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The provider's id.
    pub provider: String,
    /// The account's name.
    pub account: String,
    /// Secrets by key (`path_key`, `api_secret`, ...), newest first; env and file forms are resolved already, and
    /// empty ones are left out.
    pub secrets: BTreeMap<String, Vec<Secret>>,
    /// Plain values by key (`signature_header`, `auth`, `expect_every`, ...); empty ones are left out.
    pub texts: BTreeMap<String, String>,
    /// Lists by key (`allow_ips`).
    pub lists: BTreeMap<String, Vec<String>>,
}

impl Settings {
    /// The secrets under `key`, newest first; none if it is not set.
    pub fn secrets(&self, key: &str) -> &[Secret] {
        self.secrets.get(key).map_or(&[], Vec::as_slice)
    }

    /// The text under `key`, if it is set.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.texts.get(key).map(String::as_str)
    }

    /// The list under `key`; empty if it is not set.
    pub fn list(&self, key: &str) -> &[String] {
        self.lists.get(key).map_or(&[], Vec::as_slice)
    }

    /// The table in the settings file, for messages: `[providers.zotlo.accounts.weekly]`.
    pub fn table(&self) -> String {
        if self.account == crate::domain::delivery::MAIN_ACCOUNT {
            format!("[providers.{}]", self.provider)
        } else {
            format!("[providers.{}.accounts.{}]", self.provider, self.account)
        }
    }
}
