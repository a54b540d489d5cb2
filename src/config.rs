//! Settings: the TOML file of DESIGN.md section 6, and what each provider's account was given.
//!
//! Imports domain only. Never shows a secret: `Secret` has no way to be printed.

use std::collections::BTreeMap;
use std::fmt;

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
