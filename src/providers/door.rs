//! The rule by which a request becomes a delivery: DESIGN.md section 7, for all providers alike.
//!
//! Imports domain and config. Past a door the type differs: a `Delivery` holds no credential, only fingerprints. Never
//! looks inside a body, and never says in a reason what a credential was.

use crate::config::{Secret, Settings, SettingsError};
use crate::domain::delivery::{Delivery, MAIN_ACCOUNT, Origin, ProviderId, Reading};
use crate::domain::time::Timestamp;
use crate::providers::{ALL, Gate, Proof, Provider, Request, SettingShape, Verdict, check};

/// The settings that every provider takes beside its own.
const COMMON_SETTINGS: [(&str, SettingShape); 3] = [
    ("path_key", SettingShape::Secret),
    ("auth", SettingShape::Text),
    ("expect_every", SettingShape::Text),
];

/// Headers that hold credentials, whoever sends them.
const CREDENTIAL_HEADERS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// So many combinations of old and new secrets are tried where a credential is known by its fingerprint only.
const COMBINATIONS_MAX: usize = 64;

/// The instant at which accounts are tried against each other when settings are taken: any will do.
const TRIAL_AT: Timestamp = Timestamp::from_ms(1_700_000_000_000);

/// The ways in of every provider.
pub struct Doors {
    doors: Vec<Door>,
    fingerprint_key: [u8; 32],
}

/// The ways in of one provider: one per account.
pub struct Door {
    provider: &'static dyn Provider,
    accounts: Vec<Account>,
    fingerprint_key: [u8; 32],
}

/// One account's way in.
struct Account {
    settings: Settings,
    gate: Gate,
    /// `auth = "none"`.
    open: bool,
}

/// A request that was not let in.
pub struct Refused {
    /// Why, for the publisher.
    pub reason: String,
    /// The request, for the ring.
    pub request: Request,
}

/// A request out of the rejected ring, to be judged again by today's secrets.
#[derive(Clone, Debug)]
pub struct RejectedAgain {
    /// The provider's id.
    pub provider: String,
    /// The last word of the URL.
    pub hook: String,
    /// As the ring keeps them: credentials as `fp:...`, signatures as sent.
    pub headers: Vec<(String, String)>,
    /// The exact bytes; `None` where they were not kept.
    pub body: Option<Vec<u8>>,
    /// When it first came: signed times are judged by this.
    pub received_at: Timestamp,
    /// The caller.
    pub remote_ip: String,
    /// The path key's fingerprint (`fp:...`), if there was one.
    pub path_fingerprint: Option<String>,
}

impl Doors {
    /// Decodes the secrets of all accounts, one `Settings` each. A provider that has none gets account `main`, which
    /// lets nothing in. Refused: keys that a provider does not take, secrets that cannot be decoded, and accounts that
    /// nothing can tell apart.
    pub fn open(settings: &[Settings], fingerprint_key: [u8; 32]) -> Result<Self, SettingsError> {
        Self::open_among(ALL, settings, fingerprint_key)
    }

    fn open_among(
        providers: &[&'static dyn Provider],
        settings: &[Settings],
        fingerprint_key: [u8; 32],
    ) -> Result<Self, SettingsError> {
        for account in settings {
            if !providers.iter().any(|known| known.id() == account.provider) {
                let ids = providers.iter().map(|known| known.id());
                return Err(SettingsError(format!(
                    "no provider is called {:?}{}",
                    account.provider,
                    nearest(&account.provider, ids)
                )));
            }
        }
        let doors = providers
            .iter()
            .map(|provider| Door::open(*provider, settings, fingerprint_key))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            doors,
            fingerprint_key,
        })
    }

    /// The door of `provider`, if there is such a provider.
    pub fn door(&self, provider: &str) -> Option<&Door> {
        self.doors
            .iter()
            .find(|door| door.provider.id() == provider)
    }

    /// What stands for a credential wherever it is kept or shown: `fp:` and 16 hex digits, the same for the same value
    /// in one ledger.
    pub fn fingerprint(&self, value: &[u8]) -> String {
        fingerprint(&self.fingerprint_key, value)
    }

    /// `headers` as they may be kept: credentials of `provider`, known or not, as fingerprints, other bytes that are
    /// not UTF-8 spelt out as `\xNN`.
    pub fn kept_headers(
        &self,
        provider: &str,
        headers: &[(String, Vec<u8>)],
    ) -> Vec<(String, String)> {
        let accounts = self.door(provider).map_or(&[][..], |door| &door.accounts);
        kept(&self.fingerprint_key, accounts, headers)
    }

    /// Judges a rejected request again by today's secrets: signatures and signed times as of its first arrival, Basic
    /// and path key by their fingerprints. The error says why it still cannot come in.
    pub fn admit_again(&self, row: &RejectedAgain) -> Result<Delivery, String> {
        let door = self
            .door(&row.provider)
            .ok_or_else(|| format!("no provider is called {:?}", row.provider))?;
        let hooks = door.provider.hooks();
        if !hooks.iter().any(|hook| hook.name == row.hook) {
            let names = hooks.iter().map(|hook| hook.name);
            return Err(format!(
                "{} has no hook {:?}{}",
                door.provider.name(),
                row.hook,
                nearest(&row.hook, names)
            ));
        }
        let body = row.body.clone().ok_or("its body was not kept")?;
        let (request, unknown) = door.restored(row, body);
        match door.admit(request) {
            Ok(delivery) => Ok(Delivery {
                origin: Origin::Admitted,
                ..delivery
            }),
            Err(refused) if unknown.is_empty() => Err(refused.reason),
            Err(refused) => Err(format!(
                "{} (known by fingerprint only, and none of today's secrets: {})",
                refused.reason,
                unknown.join(", ")
            )),
        }
    }
}

impl Door {
    fn open(
        provider: &'static dyn Provider,
        settings: &[Settings],
        fingerprint_key: [u8; 32],
    ) -> Result<Self, SettingsError> {
        let mut own: Vec<Settings> = settings
            .iter()
            .filter(|account| account.provider == provider.id())
            .cloned()
            .collect();
        if own.is_empty() {
            own.push(Settings {
                provider: provider.id().to_owned(),
                account: MAIN_ACCOUNT.to_owned(),
                ..Settings::default()
            });
        }
        let accounts = own
            .into_iter()
            .map(|settings| Account::open(provider, settings))
            .collect::<Result<Vec<_>, _>>()?;
        let door = Self {
            provider,
            accounts,
            fingerprint_key,
        };
        door.tell_apart()?;
        Ok(door)
    }

    /// The provider behind this door.
    pub fn provider(&self) -> &'static dyn Provider {
        self.provider
    }

    /// The account whose path key `key` is. Takes the same time whichever it is.
    pub fn path_key(&self, key: &str) -> Option<&str> {
        self.accounts.iter().fold(None, |found, account| {
            match check::path_key(key, account.settings.secrets("path_key")) {
                Verdict::Right(_) => found.or(Some(account.settings.account.as_str())),
                Verdict::Wrong(_) | Verdict::Unchecked => found,
            }
        })
    }

    /// Lets `request` in if exactly one account is named by its credentials: at least one is right, none that can be
    /// judged is wrong, and none belongs to another account. Otherwise an account with `auth = "none"`, if there is
    /// one, takes it.
    pub fn admit(&self, request: Request) -> Result<Delivery, Refused> {
        match self.judge(&request) {
            Ok((account, credential)) => Ok(self.delivery(account, credential, request)),
            Err(reason) => Err(Refused { reason, request }),
        }
    }

    /// The account that `request` belongs to and what proves it, or why it belongs to none.
    fn judge(&self, request: &Request) -> Result<(&Account, String), String> {
        let judged: Vec<Judged<'_>> = self
            .accounts
            .iter()
            .map(|account| account.judge(request))
            .collect();
        let sound: Vec<&Judged<'_>> = judged.iter().filter(|one| one.sound()).collect();
        let named: Vec<&&Judged<'_>> = sound
            .iter()
            .filter(|one| judged.iter().all(|other| one.covers(other)))
            .collect();
        match named.as_slice() {
            [one] => return Ok((one.account, one.credential())),
            [] => {}
            several => {
                let names: Vec<&str> = several.iter().map(|one| one.name()).collect();
                return Err(format!(
                    "credentials fit several accounts: {}",
                    names.join(", ")
                ));
            }
        }
        if !sound.is_empty() || torn(&judged) {
            return Err("credentials of two accounts".to_owned());
        }
        match judged.iter().find(|one| one.account.open) {
            Some(open) => Ok((open.account, "none".to_owned())),
            None => Err(why_none(&judged)),
        }
    }

    fn delivery(&self, account: &Account, credential: String, request: Request) -> Delivery {
        let test = request
            .header_all("subledger-test")
            .any(|value| value.trim_ascii() == b"1");
        Delivery {
            provider: ProviderId::known(self.provider.id()),
            account: account.settings.account.clone(),
            identity_proof: (account.gate.identify)(&request.body),
            test,
            headers: kept(&self.fingerprint_key, &self.accounts, &request.headers),
            hook: request.hook,
            received_at: request.received_at,
            body: request.body,
            credential,
            remote_ip: request.remote_ip,
            origin: Origin::Live,
        }
    }

    /// Refuses accounts that nothing can tell apart: a request with all credentials of one must not fit another.
    fn tell_apart(&self) -> Result<(), SettingsError> {
        let open: Vec<&Account> = self.accounts.iter().filter(|one| one.open).collect();
        if let [one, other, ..] = open.as_slice() {
            return Err(alike(one, other, "both have auth = \"none\""));
        }
        for (place, account) in self.accounts.iter().enumerate() {
            for other in self.accounts.iter().skip(place + 1) {
                if shares_path_key(account, other) {
                    return Err(alike(account, other, "they have a path_key in common"));
                }
            }
            for request in account.own_requests(self.provider) {
                let covered = account.judge(&request);
                let twin = self.accounts.iter().find(|other| {
                    let judged = other.judge(&request);
                    !std::ptr::eq(*other, account) && judged.sound() && judged.covers(&covered)
                });
                if let Some(twin) = twin {
                    return Err(alike(account, twin, "give each a path_key of its own"));
                }
            }
        }
        Ok(())
    }

    /// The request that `row` was, its fingerprints replaced by those of today's secrets that have them, and the names
    /// of those for which there is none.
    fn restored(&self, row: &RejectedAgain, body: Vec<u8>) -> (Request, Vec<String>) {
        let mut unknown = Vec::new();
        let known = self.known_credentials(&body, row.received_at);
        let path_key = row.path_fingerprint.as_ref().map(|print| {
            let secrets = self
                .accounts
                .iter()
                .flat_map(|account| account.settings.secrets("path_key"));
            match find_print(&self.fingerprint_key, print, secrets.map(Secret::expose)) {
                Some(key) => key.to_owned(),
                None => {
                    unknown.push("path key".to_owned());
                    print.clone()
                }
            }
        });
        let headers = row
            .headers
            .iter()
            .map(|(name, value)| {
                if !value.starts_with("fp:") {
                    return (name.clone(), value.clone().into_bytes());
                }
                let own = known.iter().filter(|(known, _)| known == name);
                let own = own.map(|(_, value)| value.as_str());
                match find_print(&self.fingerprint_key, value, own) {
                    Some(value) => (name.clone(), value.as_bytes().to_vec()),
                    None => {
                        unknown.push(name.clone());
                        (name.clone(), value.clone().into_bytes())
                    }
                }
            })
            .collect();
        let request = Request {
            hook: row.hook.clone(),
            path_key,
            headers,
            body,
            received_at: row.received_at,
            remote_ip: row.remote_ip.clone(),
        };
        (request, unknown)
    }

    /// The credential headers that today's secrets make, in the spellings that callers use.
    fn known_credentials(&self, body: &[u8], at: Timestamp) -> Vec<(String, String)> {
        let mut known = Vec::new();
        for account in &self.accounts {
            for settings in combinations(&account.settings) {
                for (name, value) in self.provider.sign(&settings, body, at) {
                    let name = name.to_ascii_lowercase();
                    if let Some((scheme, rest)) = value.split_once(' ') {
                        known.push((name.clone(), format!("{} {rest}", scheme.to_lowercase())));
                        known.push((name.clone(), format!("{} {rest}", scheme.to_uppercase())));
                    }
                    known.push((name, value));
                }
            }
        }
        known
    }
}

impl Account {
    fn open(provider: &dyn Provider, settings: Settings) -> Result<Self, SettingsError> {
        check_keys(provider, &settings)?;
        let open = match settings.text("auth") {
            None => false,
            Some("none") => true,
            Some(other) => {
                return Err(SettingsError(format!(
                    "auth = {other:?} under {}: the only value is \"none\", which lets everything in; leave it out otherwise",
                    settings.table()
                )));
            }
        };
        let fits_path = |key: &Secret| {
            key.expose()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        if !settings.secrets("path_key").iter().all(fits_path) {
            return Err(SettingsError(format!(
                "path_key under {} does not fit into a link: use letters, digits, - . _ ~ only",
                settings.table()
            )));
        }
        Ok(Self {
            gate: provider.gate(&settings)?,
            settings,
            open,
        })
    }

    fn judge(&self, request: &Request) -> Judged<'_> {
        let mut proofs: Vec<Proof> = request
            .path_key
            .iter()
            .filter(|key| !key.is_empty())
            .map(|key| Proof {
                name: "path_key",
                verdict: check::path_key(key, self.settings.secrets("path_key")),
            })
            .collect();
        proofs.extend((self.gate.prove)(request));
        Judged {
            account: self,
            proofs,
        }
    }

    /// Requests that carry all credentials of this account, one for each combination of old and new secrets.
    fn own_requests(&self, provider: &dyn Provider) -> Vec<Request> {
        combinations(&self.settings)
            .into_iter()
            .map(|settings| Request {
                hook: "events".to_owned(),
                path_key: settings
                    .secrets("path_key")
                    .first()
                    .map(|key| key.expose().to_owned()),
                headers: provider
                    .sign(&settings, b"{}", TRIAL_AT)
                    .into_iter()
                    .map(|(name, value)| (name.to_ascii_lowercase(), value.into_bytes()))
                    .collect(),
                body: b"{}".to_vec(),
                received_at: TRIAL_AT,
                remote_ip: String::new(),
            })
            .collect()
    }
}

/// What one account makes of a request.
struct Judged<'a> {
    account: &'a Account,
    proofs: Vec<Proof>,
}

impl Judged<'_> {
    fn name(&self) -> &str {
        &self.account.settings.account
    }

    fn rights(&self) -> impl Iterator<Item = &'static str> {
        self.proofs
            .iter()
            .filter(|proof| matches!(proof.verdict, Verdict::Right(_)))
            .map(|proof| proof.name)
    }

    fn wrongs(&self) -> impl Iterator<Item = &str> {
        self.proofs.iter().filter_map(|proof| match &proof.verdict {
            Verdict::Wrong(why) => Some(why.as_str()),
            Verdict::Right(_) | Verdict::Unchecked => None,
        })
    }

    /// At least one is right and none is wrong.
    fn sound(&self) -> bool {
        self.rights().next().is_some() && self.wrongs().next().is_none()
    }

    /// Whatever is right for `other` is right here too.
    fn covers(&self, other: &Self) -> bool {
        other
            .rights()
            .all(|name| self.rights().any(|own| own == name))
    }

    /// `path_key#2+basic:unchecked`.
    fn credential(&self) -> String {
        let words: Vec<String> = self
            .proofs
            .iter()
            .map(|proof| match proof.verdict {
                Verdict::Right(0) => proof.name.to_owned(),
                Verdict::Right(nth) => format!("{}#{}", proof.name, nth + 1),
                Verdict::Unchecked | Verdict::Wrong(_) => format!("{}:unchecked", proof.name),
            })
            .collect();
        words.join("+")
    }

    /// Why this account does not take the request.
    fn why(&self) -> String {
        let mut words: Vec<String> = self.wrongs().map(str::to_owned).collect();
        if !words.is_empty() {
            words.extend(self.rights().map(|name| format!("{} right", spoken(name))));
            return words.join("; ");
        }
        let unchecked: Vec<&str> = self.proofs.iter().map(|proof| spoken(proof.name)).collect();
        if unchecked.is_empty() {
            "no credential sent".to_owned()
        } else {
            format!(
                "the settings hold nothing to judge by: {}",
                unchecked.join(", ")
            )
        }
    }
}

/// Whether different accounts have different credentials right.
fn torn(judged: &[Judged<'_>]) -> bool {
    judged.iter().any(|one| {
        judged
            .iter()
            .any(|other| !one.covers(other) && !other.covers(one))
    })
}

/// Why no account takes a request: of those that have something right, if there are any.
fn why_none(judged: &[Judged<'_>]) -> String {
    let near = |one: &&Judged<'_>| one.rights().next().is_some();
    let some_near = judged.iter().any(|one| near(&one));
    let mut reasons: Vec<(&str, String)> = judged
        .iter()
        .filter(|one| !some_near || near(one))
        .map(|one| (one.name(), one.why()))
        .collect();
    if reasons.iter().all(|(_, why)| *why == reasons[0].1) {
        return reasons.swap_remove(0).1;
    }
    let words: Vec<String> = reasons
        .into_iter()
        .map(|(name, why)| format!("account {name}: {why}"))
        .collect();
    words.join("; ")
}

/// A proof's name in a sentence.
fn spoken(name: &str) -> &str {
    match name {
        "path_key" => "path key",
        other => other,
    }
}

/// Reads a delivery by its provider. One whose provider this version does not know is unreadable.
pub fn read(delivery: &Delivery) -> Reading {
    ALL.iter()
        .find(|provider| provider.id() == delivery.provider.as_str())
        .map_or_else(
            || Reading::unreadable("", "this version does not know its provider"),
            |provider| provider.read(delivery),
        )
}

fn fingerprint(key: &[u8; 32], value: &[u8]) -> String {
    let mut out = String::from("fp:");
    for byte in &check::hmac_sha256(key, value)[..8] {
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

fn find_print<'a>(
    key: &[u8; 32],
    print: &str,
    mut values: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    values.find(|value| {
        check::equal(
            fingerprint(key, value.as_bytes()).as_bytes(),
            print.as_bytes(),
        )
    })
}

fn kept(
    key: &[u8; 32],
    accounts: &[Account],
    headers: &[(String, Vec<u8>)],
) -> Vec<(String, String)> {
    let is_credential = |name: &str| {
        CREDENTIAL_HEADERS.contains(&name)
            || accounts.iter().any(|account| {
                let own = &account.gate.credential_headers;
                own.iter().any(|own| own == name)
            })
    };
    headers
        .iter()
        .map(|(name, value)| {
            let value = if is_credential(name) {
                fingerprint(key, value)
            } else {
                visible(value)
            };
            (name.clone(), value)
        })
        .collect()
}

/// Text as it is, other bytes as `\xNN`.
fn visible(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

fn check_keys(provider: &dyn Provider, settings: &Settings) -> Result<(), SettingsError> {
    let own = provider
        .settings()
        .iter()
        .map(|setting| (setting.key, setting.shape));
    let known: Vec<(&str, SettingShape)> = own.chain(COMMON_SETTINGS).collect();
    let given = [
        (
            SettingShape::Secret,
            settings.secrets.keys().collect::<Vec<_>>(),
        ),
        (SettingShape::Text, settings.texts.keys().collect()),
        (SettingShape::List, settings.lists.keys().collect()),
    ];
    for (shape, key) in given
        .iter()
        .flat_map(|(shape, keys)| keys.iter().map(move |key| (*shape, key.as_str())))
    {
        match known.iter().find(|(name, _)| *name == key) {
            Some((_, expected)) if *expected == shape => {}
            Some((_, expected)) => {
                return Err(SettingsError(format!(
                    "{key} under {} takes {}",
                    settings.table(),
                    match expected {
                        SettingShape::Secret => "a secret",
                        SettingShape::Text => "a text",
                        SettingShape::List => "a list of texts",
                    }
                )));
            }
            None => {
                return Err(SettingsError(format!(
                    "unknown key {key:?} under {}{}",
                    settings.table(),
                    nearest(key, known.iter().map(|(name, _)| *name))
                )));
            }
        }
    }
    Ok(())
}

/// `: did you mean "api_key"?`, or what there is if nothing is near.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    known
        .clone()
        .max_by(|a, b| strsim::jaro_winkler(word, a).total_cmp(&strsim::jaro_winkler(word, b)))
        .filter(|best| strsim::jaro_winkler(word, best) > 0.7)
        .map_or_else(
            || format!(": there are {}", known.collect::<Vec<_>>().join(", ")),
            |best| format!(": did you mean {best:?}?"),
        )
}

fn alike(one: &Account, other: &Account, why: &str) -> SettingsError {
    SettingsError(format!(
        "nothing can tell {} from {}: {why}",
        one.settings.table(),
        other.settings.table()
    ))
}

fn shares_path_key(one: &Account, other: &Account) -> bool {
    one.settings.secrets("path_key").iter().any(|key| {
        matches!(
            check::path_key(key.expose(), other.settings.secrets("path_key")),
            Verdict::Right(_)
        )
    })
}

/// `settings` with one secret per key, for every choice among old and new ones, up to `COMBINATIONS_MAX`.
fn combinations(settings: &Settings) -> Vec<Settings> {
    let mut all = vec![Settings {
        secrets: std::collections::BTreeMap::new(),
        ..settings.clone()
    }];
    for (key, secrets) in settings.secrets.iter().filter(|(_, all)| !all.is_empty()) {
        all = secrets
            .iter()
            .flat_map(|secret| {
                all.iter().map(|one| {
                    let mut one = one.clone();
                    one.secrets.insert(key.clone(), vec![secret.clone()]);
                    one
                })
            })
            .take(COMBINATIONS_MAX)
            .collect();
    }
    all
}
