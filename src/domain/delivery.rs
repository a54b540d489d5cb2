//! One webhook as it is kept, and what could be read out of it.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::event::Event;
use crate::domain::time::Timestamp;

/// A provider's short lower-case name: path segment, settings table and `provider` column are this one string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderId(Cow<'static, str>);

impl ProviderId {
    /// The id of a provider known when this was compiled.
    pub const fn known(id: &'static str) -> Self {
        Self(Cow::Borrowed(id))
    }

    /// An id read from a ledger, which may have been written by a later version.
    pub fn stored(id: String) -> Self {
        Self(Cow::Owned(id))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The account that is meant where none is named.
pub const MAIN_ACCOUNT: &str = "main";

/// One authenticated request, kept as received. Fresh ones come only from a gate, old ones only from the store.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Who sent it.
    pub provider: ProviderId,
    /// Whose credential matched: `main` unless named.
    pub account: String,
    /// The last word of the URL that the provider was given.
    pub hook: String,
    /// When the whole request had arrived, by our clock.
    pub received_at: Timestamp,
    /// Header names in lower case and values, in the order sent; credentials are fingerprints already.
    pub headers: Vec<(String, String)>,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// Which proofs were right and which could not be judged: `path_key`, `path_key#2` for the second newest,
    /// `basic:unchecked`, joined by `+`: `domain::credential`.
    pub credential: String,
    /// What the tokens inside the body prove of an address.
    pub identity_proof: Option<IdentityProof>,
    /// The caller, as far as trusted proxies tell.
    pub remote_ip: String,
    /// How it came here.
    pub origin: Origin,
    /// Made to try things; in no figure.
    pub test: bool,
}

impl Delivery {
    /// The first value of header `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every value, in the order written.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in the database, on screen and in filters.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value that `word` names.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
                Self::from_word(&word)
                    .ok_or_else(|| serde::de::Error::custom(format!("unknown word {word:?}")))
            }
        }
    };
}
pub(crate) use words;

words! {
    /// How a delivery came into the ledger.
    Origin {
        /// Over HTTP, now.
        Live = "live",
        /// From a file.
        Import = "import",
        /// Out of the rejected ring, after all.
        Admitted = "admitted",
        /// Made up by `subledger demo`.
        Demo = "demo",
    }
}

words! {
    /// What became of an authentic delivery.
    Outcome {
        /// Kept and read.
        Stored = "stored",
        /// Kept; the same thing was here before, so it gives no events.
        Duplicate = "duplicate",
        /// Kept, not understood.
        Quarantined = "quarantined",
    }
}

words! {
    /// What a token in the body proves of an address (MAPPING.md rule 7.1).
    IdentityProof {
        /// Signature right, payload equal to the field.
        Verified = "verified",
        /// A three-part HS256 token whose signature or payload is wrong.
        Mismatch = "mismatch",
        /// Not three parts, another algorithm, no secret set, or the field is missing.
        Unverifiable = "unverifiable",
        /// No token.
        Absent = "absent",
    }
}

words! {
    /// How sure a duplicate decision is.
    Confidence {
        /// The provider's own id says so.
        Certain = "certain",
        /// The same fact told twice in different words.
        Likely = "likely",
        /// Same bytes, no id, no time: a retry as far as can be told.
        Ambiguous = "ambiguous",
    }
}

/// One way to recognise a delivery that was here before (MAPPING.md section 9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryKey {
    /// What is looked up, within provider and account: `purchase:65d4…`, `sign-up:sha256:…`.
    pub key: String,
    /// When a second delivery with this key is a duplicate.
    pub rule: KeyRule,
}

/// When an equal key means a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRule {
    /// Policy 1: the provider's own delivery or event id. Always.
    Id,
    /// Policy 2: a natural key. Always.
    Natural,
    /// Policy 2, for so many milliseconds after the last stored one: the body holds no time.
    NaturalWithin(i64),
    /// Policy 3: neither id nor time. Within 2 seconds of the last stored one, or within 24 hours while that one's
    /// answer is unconfirmed (rule 9.3).
    Bytes,
    /// The same fact from the other generation of a provider's webhooks, arrivals under 60 seconds apart (rule
    /// 9.4). The value names the generation: only a different one is a duplicate.
    OtherGeneration(u8),
}

impl KeyRule {
    /// The number in `dedupe_policy`.
    pub const fn policy(self) -> u8 {
        match self {
            Self::Id => 1,
            Self::Natural | Self::NaturalWithin(_) => 2,
            Self::Bytes | Self::OtherGeneration(_) => 3,
        }
    }

    /// How sure a duplicate found by this rule is.
    pub const fn confidence(self) -> Confidence {
        match self {
            Self::Id | Self::Natural | Self::NaturalWithin(_) => Confidence::Certain,
            Self::OtherGeneration(_) => Confidence::Likely,
            Self::Bytes => Confidence::Ambiguous,
        }
    }
}

/// What was read out of a delivery. Reading is pure: body, hook and kept headers decide, never the store. As JSON it is
/// kept for deliveries whose body was dropped for its age.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// The provider's own name of what this is (`provider_type`), as DESIGN.md section 8 says; empty if untold.
    pub label: String,
    /// What tells it from others, the one for the `dedupe_key` column first. Empty: it is never a duplicate.
    pub keys: Vec<DeliveryKey>,
    /// The events, or why there are none.
    pub content: Content,
}

/// What a delivery says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// One event or more, in the order of `n`.
    Events(Vec<Event>),
    /// It could not be read: the reason, in words for the publisher, without any of the body.
    Unreadable(String),
}

impl Reading {
    /// A reading that only says why nothing could be read.
    pub fn unreadable(label: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            keys: Vec::new(),
            content: Content::Unreadable(why.into()),
        }
    }

    /// The events, none if unreadable.
    pub fn events(&self) -> &[Event] {
        match &self.content {
            Content::Events(events) => events,
            Content::Unreadable(_) => &[],
        }
    }
}
