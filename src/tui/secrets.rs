//! What is said of the secrets of an account while they are changed: does anything still come on an old one.

use crate::domain::credential::{Came, Used, used};
use crate::domain::delivery::MAIN_ACCOUNT;
use crate::tui::cell::{When, number};
use crate::tui::theme::Meaning;

/// A key of the settings that several secrets stand under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Several {
    /// The key: `path_key`, `api_secret`.
    pub key: String,
    /// The proof that it judges.
    pub proof: String,
    /// What its secrets are known by in the ledger, newest first.
    pub marks: Vec<String>,
}

impl Several {
    /// How the newest was used by what `came`, and how the older ones were, together.
    pub fn used(&self, came: &[Came]) -> (Used, Used) {
        let mut all = used(&self.proof, &self.marks, came).into_iter();
        let newest = all.next().unwrap_or_default();
        (newest, all.fold(Used::default(), Used::and))
    }

    /// A title, a phrase and how it looks, by what `came` in 7 days.
    pub fn said(&self, who: (&str, &str), came: &[Came], when: When) -> (String, String, Meaning) {
        let (newest, old) = self.used(came);
        let title = format!("old {}", spoken(&self.key));
        let (text, meaning) = match (old.last_at, newest.last_at) {
            (Some(at), _) => {
                let count = number(u64::try_from(old.deliveries).unwrap_or(0));
                let ago = when.ago(at);
                (
                    format!("{count} in the last 7 days, last {ago}"),
                    Meaning::Warning,
                )
            }
            (None, None) => {
                let text = "nothing in the last 7 days, and nothing on the new one yet";
                (text.to_owned(), Meaning::Warning)
            }
            (None, Some(_)) => {
                let command = drop_command(who, &self.key);
                (format!("not used any more: {command}"), Meaning::Good)
            }
        };
        (title, text, meaning)
    }
}

/// A key of the settings in the publisher's words.
pub fn spoken(key: &str) -> &str {
    match key {
        "path_key" => "secret link",
        other => other,
    }
}

/// The command that drops the older secrets of `key`.
pub fn drop_command((provider, account): (&str, &str), key: &str) -> String {
    let mut command = format!("subledger keys drop {provider}");
    if key != "path_key" {
        command.extend([" ", key]);
    }
    if account != MAIN_ACCOUNT {
        command.extend([" --account ", account]);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::{HOUR_MS, Timestamp, Zone};

    #[test]
    fn an_old_secret_is_told_until_nothing_comes_on_it() {
        let now = Timestamp::from_ms(1_795_000_000_000);
        let when = When {
            now,
            zone: Zone::UTC,
        };
        let came = |credential: &str, deliveries| Came {
            credential: credential.to_owned(),
            deliveries,
            last_at: now.plus_ms(-3 * HOUR_MS),
        };
        let several = |key: &str, proof: &str| Several {
            key: key.to_owned(),
            proof: proof.to_owned(),
            marks: vec!["aa".to_owned(), "bb".to_owned()],
        };
        let link = several("path_key", "path_key");
        let said = |came: &[Came]| link.said(("zotlo", "weekly"), came, when).1;
        assert_eq!(
            said(&[came("path_key#2@bb", 12), came("path_key@aa", 1)]),
            "12 in the last 7 days, last 3 h ago"
        );
        assert_eq!(
            said(&[came("path_key@aa", 1)]),
            "not used any more: subledger keys drop zotlo --account weekly"
        );
        assert!(said(&[]).contains("nothing on the new one yet"));
        let secret = several("api_secret", "basic");
        let (title, text, _) = secret.said(("conscent", "main"), &[came("basic@aa", 1)], when);
        assert_eq!(title, "old api_secret");
        assert!(text.ends_with("subledger keys drop conscent api_secret"));
    }
}
