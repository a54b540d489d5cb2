//! What a provider is, and the rule by which a request becomes a delivery.
//!
//! Imports domain and config. Never matches on a provider's id: what differs between providers stands in their own
//! files, and `ALL` is the only list of them.

pub mod door;

pub mod check;

mod body;

mod conscent;
mod expressconsent;
mod klustr;
mod zotlo;

#[cfg(test)]
mod testing;

use crate::config::{Settings, SettingsError};
use crate::domain::delivery::{Delivery, IdentityProof, Reading};
use crate::domain::time::Timestamp;

/// Every provider, in the order of screens and links.
pub const ALL: &[&dyn Provider] = &[
    &conscent::Conscent,
    &klustr::Klustr,
    &expressconsent::ExpressConsent,
    &zotlo::Zotlo,
];

/// A request to a hook, whole, before anything is known of who sent it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The word after the provider in the path.
    pub hook: String,
    /// The last part of the path, if there is one.
    pub path_key: Option<String>,
    /// Header names in lower case and their bytes, in the order sent.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// When it had arrived.
    pub received_at: Timestamp,
    /// The caller, as far as trusted proxies tell.
    pub remote_ip: String,
}

impl Request {
    /// All values of header `name` (lower case).
    pub fn header_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_slice())
    }
}

/// One URL that a provider can be given.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// Last word of the URL.
    pub name: &'static str,
    /// What the provider's dashboard calls it.
    pub title: &'static str,
}

/// One key of a provider's settings.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// What it takes.
    pub shape: SettingShape,
    /// What the provider's dashboard calls it, and what it is good for: one line.
    pub help: &'static str,
    /// The proof that it judges (`basic`, `signature`); `None` where it is no secret.
    pub proof: Option<&'static str>,
}

/// What a settings key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingShape {
    /// A secret, `{ env = ... }`, `{ file = ... }` or a list of those.
    Secret,
    /// A text.
    Text,
    /// A list of texts.
    List,
}

/// One credential found on a request, and what was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// `path_key`, `basic`, `signature`.
    pub name: &'static str,
    /// Right, wrong, or not to be judged.
    pub verdict: Verdict,
}

/// What was made of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It matches the `nth` newest secret, from 0.
    Right(usize),
    /// It does not match: why, in words that hold nothing of it (`user right, password wrong`).
    Wrong(String),
    /// The settings hold nothing to judge it by.
    Unchecked,
}

/// The function of a gate that looks at a request's credentials (path keys aside, which are the same for all).
pub type Prove = Box<dyn Fn(&Request) -> Vec<Proof> + Send + Sync>;

/// The function of a gate that checks the tokens inside a body.
pub type Identify = Box<dyn Fn(&[u8]) -> Option<IdentityProof> + Send + Sync>;

/// One account's way in, its secrets decoded once.
pub struct Gate {
    /// Judges each credential that is present on a request; an absent one is not listed.
    pub prove: Prove,
    /// Checks the tokens inside a body; `None` where the provider has none such.
    pub identify: Identify,
    /// Headers, lower case, whose values are credentials: kept as fingerprints only.
    pub credential_headers: Vec<String>,
    /// Headers, lower case, that are signatures over the body: no secrets, kept as sent in the rejected ring so that
    /// they can be judged again.
    pub signature_headers: Vec<String>,
}

/// A service that talks back by webhook.
pub trait Provider: Sync {
    /// Short lower-case name: path segment, settings table and `provider` column.
    fn id(&self) -> &'static str;

    /// The name on screen.
    fn name(&self) -> &'static str;

    /// The URLs it can be given, `events` first.
    fn hooks(&self) -> &'static [Hook];

    /// Where in its dashboard the URLs are entered, in its own words.
    fn dashboard(&self) -> &'static str;

    /// The settings keys it takes beside `path_key`, `auth`, `expect_every`.
    fn settings(&self) -> &'static [Setting];

    /// Decodes an account's secrets once; wrong ones are refused here, before the port opens.
    fn gate(&self, settings: &Settings) -> Result<Gate, SettingsError>;

    /// Reads a delivery. Pure: needs no secret, no clock and no store, so replay and tests call it freely.
    fn read(&self, delivery: &Delivery) -> Reading;

    /// Named example webhooks, for `send`, tests and the demo.
    fn samples(&self) -> &'static [Sample];

    /// The headers that this provider would send with `body` at `at`, by the newest secrets of `settings`; empty
    /// where a path key is all there is.
    fn sign(&self, settings: &Settings, body: &[u8], at: Timestamp) -> Vec<(String, String)>;

    /// The webhooks by which this provider would tell of a made-up `story`; none where it has no words for it.
    fn tell(&self, story: &Story<'_>) -> Vec<Told>;
}

/// A named example webhook.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Its name on the command line.
    pub name: &'static str,
    /// The hook it goes to.
    pub hook: &'static str,
    /// The body.
    pub body: &'static str,
}

/// A made-up reader.
#[derive(Clone, Debug)]
pub struct Persona {
    /// 0, 1, 2 ...: ids are made from it.
    pub number: u64,
    /// Full name, any script.
    pub name: String,
    /// E-mail.
    pub email: String,
    /// Digits with country code.
    pub phone: String,
    /// ISO 3166 code.
    pub country: &'static str,
    /// City.
    pub city: &'static str,
}

/// Something that happens to a made-up reader, for the demo, tests and benches.
#[derive(Clone, Debug)]
pub struct Story<'a> {
    /// To whom.
    pub who: &'a Persona,
    /// When.
    pub at: Timestamp,
    /// A number that makes ids of this occurrence unique.
    pub nonce: u64,
    /// What.
    pub what: Happening,
}

/// What can happen in a made-up life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The reader registers.
    Registered,
    /// The reader signs in.
    SignedIn,
    /// A trial of so many days begins; then `plan` at `price_minor` (exponent 2) per month.
    TrialStarted {
        /// Days.
        days: u32,
        /// Plan.
        plan: Plan,
    },
    /// A paid subscription begins.
    Started(Plan),
    /// The next period is paid; the subscription began at `since`.
    Renewed(Plan),
    /// Cancelled; access runs to `until`.
    Cancelled {
        /// Plan.
        plan: Plan,
        /// End of the paid period.
        until: Timestamp,
        /// In the reader's words.
        reason: &'static str,
    },
    /// The cancellation is undone.
    Reactivated(Plan),
    /// A charge failed.
    PaymentFailed(Plan),
    /// The failed charge was made good.
    Recovered(Plan),
    /// Ended for non-payment.
    Ended(Plan),
    /// The last payment is given back.
    Refunded(Plan),
    /// One article or pass is bought.
    BoughtOnce {
        /// Minor units.
        price_minor: i64,
        /// Currency.
        currency: &'static str,
    },
    /// Agrees to these purposes and no others, as a whole set.
    Consented(Vec<&'static str>),
    /// Withdraws all.
    Withdrew,
    /// Accepts terms of this version.
    AcceptedTerms(&'static str),
    /// Answers a disclosure.
    Answered {
        /// Yes or no.
        agreed: bool,
        /// The words shown.
        wording: &'static str,
    },
    /// Sees a paywall.
    SawPaywall,
}

/// A plan in a made-up life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub title: &'static str,
    /// Per period, minor units at exponent 2.
    pub price_minor: i64,
    /// Currency.
    pub currency: &'static str,
    /// Calendar months per period.
    pub months: u32,
}

/// One webhook that tells a story.
#[derive(Clone, Debug)]
pub struct Told {
    /// The hook it goes to.
    pub hook: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// Headers other than credentials that belong to it (`svix-id`).
    pub headers: Vec<(String, String)>,
}
