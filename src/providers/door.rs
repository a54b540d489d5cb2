//! The rule by which a request becomes a delivery: DESIGN.md section 7, for all providers alike.
//!
//! Imports domain and config. Past a door the type differs: a `Delivery` holds no credential, only fingerprints. Never
//! looks inside a body, and never says in a reason what a credential was.

use crate::config::{Secret, Settings, SettingsError};
use crate::domain::credential;
use crate::domain::delivery::{Delivery, MAIN_ACCOUNT, Origin, ProviderId, Reading};
use crate::domain::time::Timestamp;
use crate::providers::{ALL, Gate, Proof, Provider, Request, SettingShape, Verdict, check};

/// The settings that every provider takes beside its own.
const COMMON_SETTINGS: [(&str, SettingShape); 3] = [
    ("path_key", SettingShape::Secret),
    ("auth", SettingShape::Text),
    ("expect_every", SettingShape::Text),
];

/// A header with one of these in its name holds a credential, whoever sends it: those of proxies too.
const CREDENTIAL_WORDS: [&str; 9] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "passwd",
    "credential",
    "jwt",
    "apikey",
];

/// A `-key` is one with one of these before it: others, such as those that tell repeats, are none.
const KEY_WORDS: [&str; 8] = [
    "api",
    "access",
    "auth",
    "private",
    "shared",
    "subscription",
    "functions",
    "account",
];

/// What a value begins with that is a credential under any name, in lower case.
const CREDENTIAL_SCHEMES: [&[u8]; 2] = [b"bearer ", b"basic "];

/// A shorter secret is too much like any word to be looked for in text.
const MASKED_BYTES_MIN: usize = 8;

/// What a fingerprint begins with.
const PRINT: &str = "fp:";

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
    /// For each key with several secrets the proof that it judges, and the marks of its secrets, newest first.
    marks: Vec<(&'static str, Vec<String>)>,
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

    /// `headers` as they may be kept: credentials of `provider`, known or not, and any account's secrets in other
    /// values as fingerprints, other bytes that are not UTF-8 spelt out as `\xNN`.
    pub fn kept_headers(
        &self,
        provider: &str,
        headers: &[(String, Vec<u8>)],
    ) -> Vec<(String, String)> {
        let accounts = self.door(provider).map_or(&[][..], |door| &door.accounts);
        let every = self.doors.iter().flat_map(|door| &door.accounts);
        let secrets: Vec<&Secret> = every.flat_map(Account::secrets).collect();
        kept(&self.fingerprint_key, accounts, &secrets, headers)
    }

    /// `value` with a fingerprint in the place of `secret`, wherever it stands; a very short one is left as it is.
    pub fn masked(&self, value: Vec<u8>, secret: &[u8]) -> Vec<u8> {
        masked(&self.fingerprint_key, value, secret)
    }

    /// `request` out of a file, as a delivery of `account`: credentials in its headers as fingerprints (those that are
    /// some already stay), the tokens in its body judged by today's secrets of that account. `None`: there is no such
    /// provider.
    pub fn imported(&self, provider: &str, account: &str, request: Request) -> Option<Delivery> {
        let door = self.door(provider)?;
        let mut accounts = door.accounts.iter();
        let own = accounts.find(|own| own.settings.account == account);
        let unset = || {
            door.provider.gate(&Settings {
                provider: provider.to_owned(),
                account: account.to_owned(),
                ..Settings::default()
            })
        };
        let identity_proof = own.map_or_else(
            || unset().ok().and_then(|gate| (gate.identify)(&request.body)),
            |own| (own.gate.identify)(&request.body),
        );
        let kept = self.kept_headers(provider, &request.headers);
        let headers = kept.into_iter().zip(&request.headers);
        Some(Delivery {
            provider: ProviderId::known(door.provider.id()),
            account: account.to_owned(),
            test: is_marked(&request),
            headers: headers
                .map(|((name, now), (_, sent))| match std::str::from_utf8(sent) {
                    Ok(sent) if is_whole_print(sent) => (name, sent.to_owned()),
                    _ => (name, now),
                })
                .collect(),
            hook: request.hook,
            received_at: request.received_at,
            body: request.body,
            credential: Origin::Import.as_str().to_owned(),
            identity_proof,
            remote_ip: request.remote_ip,
            origin: Origin::Import,
        })
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
                headers: delivery
                    .headers
                    .iter()
                    .zip(&row.headers)
                    .map(|(now, then)| if is_print(&then.1) { then } else { now })
                    .cloned()
                    .collect(),
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
            .map(|settings| Account::open(provider, settings, &fingerprint_key))
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
    #[expect(
        clippy::result_large_err,
        reason = "a refused request goes back whole, for the ring"
    )]
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
                let accounts: Vec<&str> = several.iter().map(|one| one.name()).collect();
                return Err(format!(
                    "credentials fit several accounts: {}",
                    accounts.join(", ")
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
        let test = is_marked(&request);
        Delivery {
            provider: ProviderId::known(self.provider.id()),
            account: account.settings.account.clone(),
            identity_proof: (account.gate.identify)(&request.body),
            test,
            headers: self.kept(&request.headers),
            hook: request.hook,
            received_at: request.received_at,
            body: request.body,
            credential,
            remote_ip: request.remote_ip,
            origin: Origin::Live,
        }
    }

    fn kept(&self, headers: &[(String, Vec<u8>)]) -> Vec<(String, String)> {
        let secrets: Vec<&Secret> = self.accounts.iter().flat_map(Account::secrets).collect();
        kept(&self.fingerprint_key, &self.accounts, &secrets, headers)
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
            let key = find_print(&self.fingerprint_key, print, secrets.map(Secret::expose));
            if key.is_none() {
                unknown.push("secret link".to_owned());
            }
            key.unwrap_or(print).to_owned()
        });
        let headers = row
            .headers
            .iter()
            .map(|(name, value)| {
                if !is_print(value) {
                    return (name.clone(), value.clone().into_bytes());
                }
                let own = known.iter().filter(|(known, _)| known == name);
                let own = own.map(|(_, value)| value.as_str());
                let sent = find_print(&self.fingerprint_key, value, own);
                // What proxies prove themselves by decides nothing here.
                if sent.is_none() && self.accounts.iter().any(|one| one.judges(name)) {
                    unknown.push(name.clone());
                }
                (name.clone(), sent.unwrap_or(value).as_bytes().to_vec())
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
    fn open(
        provider: &dyn Provider,
        settings: Settings,
        fingerprint_key: &[u8; 32],
    ) -> Result<Self, SettingsError> {
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
            marks: several(provider, &settings)
                .map(|(_, proof, secrets)| (proof, marks(fingerprint_key, secrets)))
                .collect(),
            settings,
            open,
        })
    }

    fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.settings.secrets.values().flatten()
    }

    /// Whether its provider proves itself by this header.
    fn judges(&self, header: &str) -> bool {
        let gate = &self.gate;
        let mut own = gate
            .credential_headers
            .iter()
            .chain(&gate.signature_headers);
        own.any(|own| own == header)
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

    /// `path_key#2@0f1e2d3c4b5a6978+basic:unchecked`.
    fn credential(&self) -> String {
        let words: Vec<String> = self
            .proofs
            .iter()
            .map(|proof| match proof.verdict {
                Verdict::Right(nth) => {
                    credential::written(proof.name, Some(nth), &self.marks(proof.name, nth))
                }
                Verdict::Unchecked | Verdict::Wrong(_) => {
                    credential::written(proof.name, None, &[])
                }
            })
            .collect();
        words.join("+")
    }

    /// The marks of the secrets behind a right proof. One that two keys judge together (Basic) tells only the older of
    /// two places: the shorter list counts as used up to its end, so that no old secret ever seems idle that is not.
    fn marks(&self, proof: &str, nth: usize) -> Vec<String> {
        let of_proof = self.account.marks.iter().filter(|(name, _)| *name == proof);
        of_proof
            .filter_map(|(_, marks)| marks.get(nth.min(marks.len() - 1)))
            .cloned()
            .collect()
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
        "path_key" => "secret link",
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

/// Every secret of an account that is not alone under its key: the key, the proof that it judges, newest first.
pub fn several<'a>(
    provider: &dyn Provider,
    settings: &'a Settings,
) -> impl Iterator<Item = (&'static str, &'static str, &'a [Secret])> {
    secret_keys(provider)
        .map(|(key, proof)| (key, proof, settings.secrets(key)))
        .filter(|(_, _, secrets)| secrets.len() > 1)
}

/// The keys of a provider's secrets, with the proof that each judges: the path key first.
pub fn secret_keys(
    provider: &dyn Provider,
) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
    let own = provider.settings().iter();
    std::iter::once(("path_key", "path_key"))
        .chain(own.filter_map(|setting| Some((setting.key, setting.proof?))))
}

/// What each of these secrets is known by in the `credential` column of one ledger: 16 hex digits.
pub fn marks(fingerprint_key: &[u8; 32], secrets: &[Secret]) -> Vec<String> {
    secrets
        .iter()
        .map(|secret| {
            let print = fingerprint(fingerprint_key, secret.expose().as_bytes());
            print[PRINT.len()..].to_owned()
        })
        .collect()
}

fn fingerprint(key: &[u8; 32], value: &[u8]) -> String {
    let digest = check::hmac_sha256(key, value);
    format!("{PRINT}{}", check::hex(&digest[..8]))
}

/// Whether whoever sent this said that it is a test.
fn is_marked(request: &Request) -> bool {
    request
        .header_all("subledger-test")
        .any(|value| value.trim_ascii() == b"1")
}

/// Nothing but a fingerprint.
fn is_whole_print(value: &str) -> bool {
    value
        .strip_prefix(PRINT)
        .is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_print(value: &str) -> bool {
    value.starts_with(PRINT)
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
    secrets: &[&Secret],
    headers: &[(String, Vec<u8>)],
) -> Vec<(String, String)> {
    let names = |name: &str, own: fn(&Gate) -> &[String]| {
        accounts
            .iter()
            .any(|account| own(&account.gate).iter().any(|own| own == name))
    };
    let is_credential = |name: &str, value: &[u8]| {
        names(name, |gate| &gate.credential_headers)
            || (has_credential(name, value) && !names(name, |gate| &gate.signature_headers))
    };
    headers
        .iter()
        .map(|(name, value)| {
            let value = if is_credential(name, value) {
                fingerprint(key, value)
            } else {
                let value = secrets.iter().fold(value.clone(), |value, secret| {
                    masked(key, value, secret.expose().as_bytes())
                });
                visible(&value)
            };
            (name.clone(), value)
        })
        .collect()
}

/// Whether a header is a credential by its name or its value, whatever it is for. What tells repeats is none.
fn has_credential(name: &str, value: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    if name.contains("idempotency") {
        return false;
    }
    let has_scheme = CREDENTIAL_SCHEMES.iter().any(|scheme| {
        let begins = value.get(..scheme.len());
        begins.is_some_and(|begins| begins.eq_ignore_ascii_case(scheme))
    });
    let mut words = name.split(['-', '_', '.']).peekable();
    let has_key = std::iter::from_fn(|| words.next().map(|word| (word, words.peek().copied())))
        .any(|(word, next)| next == Some("key") && KEY_WORDS.contains(&word));
    has_scheme || has_key || CREDENTIAL_WORDS.iter().any(|word| name.contains(word))
}

/// Proxies write paths, and people write keys, into headers of any name.
fn masked(key: &[u8; 32], value: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    if secret.len() < MASKED_BYTES_MIN {
        return value;
    }
    let found = |rest: &[u8]| rest.windows(secret.len()).position(|part| part == secret);
    let Some(mut at) = found(&value) else {
        return value;
    };
    let print = fingerprint(key, secret);
    let (mut out, mut rest) = (Vec::with_capacity(value.len()), value.as_slice());
    loop {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(print.as_bytes());
        rest = &rest[at + secret.len()..];
        match found(rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    out.extend_from_slice(rest);
    out
}

/// Text as it is, other bytes as `\xNN`.
fn visible(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str("\\x");
            out.push_str(&check::hex(&[*byte]));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::{Content, IdentityProof};
    use crate::providers::{Hook, Sample, Setting, Story, Told};

    const KEY: [u8; 32] = [7; 32];
    const AT: Timestamp = Timestamp::from_ms(1_772_000_000_000);

    /// A provider with signed times and an address list, for what Conscent has not.
    struct Signed;

    impl Provider for Signed {
        fn id(&self) -> &'static str {
            "signed"
        }

        fn name(&self) -> &'static str {
            "Signed"
        }

        fn hooks(&self) -> &'static [Hook] {
            &[Hook {
                name: "events",
                title: "Events",
            }]
        }

        fn dashboard(&self) -> &'static str {
            ""
        }

        fn settings(&self) -> &'static [Setting] {
            &[
                Setting {
                    key: "secret",
                    shape: SettingShape::Secret,
                    help: "",
                    proof: Some("signature"),
                },
                Setting {
                    key: "allow",
                    shape: SettingShape::List,
                    help: "",
                    proof: None,
                },
            ]
        }

        fn gate(&self, settings: &Settings) -> Result<Gate, SettingsError> {
            let keys: Vec<Vec<u8>> = settings
                .secrets("secret")
                .iter()
                .filter_map(check::svix_key)
                .collect();
            let allow = settings.list("allow").to_vec();
            Ok(Gate {
                prove: Box::new(move |request| {
                    let address =
                        (!allow.is_empty() && !allow.contains(&request.remote_ip)).then(|| Proof {
                            name: "address",
                            verdict: Verdict::Wrong("address not allowed".to_owned()),
                        });
                    check::svix(request, &keys)
                        .into_iter()
                        .chain(address)
                        .collect()
                }),
                identify: Box::new(|_| None),
                credential_headers: vec!["x-api-key".to_owned()],
                signature_headers: vec!["svix-signature".to_owned()],
            })
        }

        fn read(&self, _: &Delivery) -> Reading {
            Reading::unreadable("", "")
        }

        fn samples(&self) -> &'static [Sample] {
            &[]
        }

        fn sign(&self, settings: &Settings, body: &[u8], at: Timestamp) -> Vec<(String, String)> {
            let Some(key) = settings.secrets("secret").first().and_then(check::svix_key) else {
                return Vec::new();
            };
            let time = at.ms().div_euclid(1_000).to_string();
            let message = [b"m.".as_slice(), time.as_bytes(), b".", body].concat();
            let signature = base64::Engine::encode(
                &base64::engine::general_purpose::STANDARD,
                check::hmac_sha256(&key, &message),
            );
            vec![
                ("svix-id".to_owned(), "m".to_owned()),
                ("svix-timestamp".to_owned(), time),
                ("svix-signature".to_owned(), format!("v1,{signature}")),
            ]
        }

        fn tell(&self, _: &Story<'_>) -> Vec<Told> {
            Vec::new()
        }
    }

    static PROVIDERS: [&dyn Provider; 2] = [&crate::providers::conscent::Conscent, &Signed];

    /// Settings of `provider/account`; several secrets are parted by a space, newest first.
    fn account(name: &str, secrets: &[(&str, &str)]) -> Settings {
        let (provider, account) = name.split_once('/').unwrap_or((name, MAIN_ACCOUNT));
        let split = |all: &str| all.split(' ').map(Secret::new).collect();
        Settings {
            provider: provider.to_owned(),
            account: account.to_owned(),
            secrets: secrets
                .iter()
                .map(|(key, all)| ((*key).to_owned(), split(all)))
                .collect(),
            ..Settings::default()
        }
    }

    fn with_text(mut settings: Settings, key: &str, text: &str) -> Settings {
        settings.texts.insert(key.to_owned(), text.to_owned());
        settings
    }

    fn open(settings: &[Settings]) -> Doors {
        Doors::open_among(&PROVIDERS, settings, KEY).unwrap()
    }

    fn refused_settings(settings: &[Settings]) -> String {
        match Doors::open_among(&PROVIDERS, settings, KEY) {
            Err(error) => error.0,
            Ok(_) => panic!("taken"),
        }
    }

    fn basic(user: &str, password: &str) -> String {
        let settings = account("conscent", &[("api_key", user), ("api_secret", password)]);
        let mut headers = crate::providers::conscent::Conscent.sign(&settings, b"", AT);
        headers.remove(0).1
    }

    fn request(path_key: Option<&str>, headers: &[(&str, &str)]) -> Request {
        Request {
            hook: "login".to_owned(),
            path_key: path_key.map(str::to_owned),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
            body: b"{}".to_vec(),
            received_at: AT,
            remote_ip: "192.0.2.7".to_owned(),
        }
    }

    /// Account and credential, or the reason, in words.
    fn ask(doors: &Doors, path_key: Option<&str>, headers: &[(&str, &str)]) -> String {
        let door = doors.door("conscent").unwrap();
        match door.admit(request(path_key, headers)) {
            Ok(delivery) => let_in(
                &delivery.account,
                &credential::without_marks(&delivery.credential),
            ),
            Err(refused) => turned_away(&refused.reason),
        }
    }

    fn let_in(account: &str, credential: &str) -> String {
        format!("{account} by {credential}")
    }

    fn turned_away(reason: &str) -> String {
        format!("refused: {reason}")
    }

    #[test]
    fn while_a_secret_is_changed_each_delivery_says_which_one_it_came_on() {
        let credential = |keys: &str, users: &str, key: &str, user: &str| {
            let doors = open(&[account(
                "conscent",
                &[("path_key", keys), ("api_key", users), ("api_secret", "pw")],
            )]);
            let header = basic(user, "pw");
            let door = doors.door("conscent").unwrap();
            let request = request(Some(key), &[("authorization", header.as_str())]);
            door.admit(request).ok().unwrap().credential
        };
        let mark = |secret: &str| marks(&KEY, &[Secret::new(secret)])[0].clone();
        let (one, two, old) = (mark("k_1"), mark("k_2"), mark("old"));
        assert_eq!(mark("k_1").len(), 16);
        assert_eq!(credential("k_1", "me", "k_1", "me"), "path_key+basic");
        assert_eq!(
            credential("k_2 k_1", "me", "k_2", "me"),
            format!("path_key@{two}+basic")
        );
        // The place moves with each change, the mark stays.
        assert_eq!(
            credential("k_2 k_1", "me", "k_1", "me"),
            format!("path_key#2@{one}+basic")
        );
        assert_eq!(
            credential("k_3 k_2 k_1", "me", "k_1", "me"),
            format!("path_key#3@{one}+basic")
        );
        assert_eq!(
            credential("k_1", "new old", "k_1", "old"),
            format!("path_key+basic#2@{old}")
        );
    }

    #[test]
    fn a_right_path_key_is_enough_where_basic_cannot_be_judged() {
        let doors = open(&[account("conscent", &[("path_key", "k_new k_old")])]);
        let header = basic("any", "thing");
        let basic = [("authorization", header.as_str())];
        assert_eq!(
            ask(&doors, Some("k_new"), &basic),
            let_in("main", "path_key+basic:unchecked")
        );
        assert_eq!(
            ask(&doors, Some("k_old"), &[]),
            let_in("main", "path_key#2")
        );
        assert_eq!(
            ask(&doors, None, &basic),
            turned_away("the settings hold nothing to judge by: basic")
        );
        assert_eq!(
            ask(&doors, Some("k_no"), &basic),
            turned_away("secret link wrong")
        );
        assert_eq!(ask(&doors, None, &[]), turned_away("no credential sent"));
        assert_eq!(
            ask(&doors, Some(""), &[]),
            turned_away("no credential sent")
        );
    }

    #[test]
    fn one_wrong_credential_outweighs_any_right_one() {
        let doors = open(&[account(
            "conscent",
            &[
                ("path_key", "k_1"),
                ("api_key", "user"),
                ("api_secret", "pass"),
            ],
        )]);
        let (right, wrong) = (basic("user", "pass"), basic("user", "x"));
        assert_eq!(
            ask(&doors, Some("k_1"), &[("authorization", &wrong)]),
            turned_away("basic: user right, password wrong; secret link right")
        );
        assert_eq!(
            ask(&doors, Some("k_2"), &[("authorization", &right)]),
            turned_away("secret link wrong; basic right")
        );
        assert_eq!(
            ask(&doors, None, &[("authorization", &right)]),
            let_in("main", "basic")
        );
        assert_eq!(
            ask(&doors, Some("k_1"), &[("authorization", &right)]),
            let_in("main", "path_key+basic")
        );
        let bad_signature = [
            ("authorization", right.as_str()),
            ("x-conscent-signature", "00"),
        ];
        assert_eq!(
            ask(&doors, None, &bad_signature),
            let_in("main", "basic+signature:unchecked")
        );
    }

    #[test]
    fn a_path_key_cannot_be_judged_where_none_is_set() {
        let doors = open(&[account(
            "conscent",
            &[("api_key", "user"), ("api_secret", "pass")],
        )]);
        let right = basic("user", "pass");
        assert_eq!(
            ask(&doors, Some("whatever"), &[("authorization", &right)]),
            let_in("main", "path_key:unchecked+basic")
        );
        assert_eq!(
            ask(&doors, Some("whatever"), &[]),
            turned_away("the settings hold nothing to judge by: secret link")
        );
    }

    #[test]
    fn the_credential_names_the_account() {
        let doors = open(&[
            account(
                "conscent",
                &[("path_key", "k_1"), ("api_key", "u1"), ("api_secret", "p1")],
            ),
            account(
                "conscent/weekly",
                &[("path_key", "k_2"), ("api_key", "u2"), ("api_secret", "p2")],
            ),
        ]);
        let (one, two) = (basic("u1", "p1"), basic("u2", "p2"));
        assert_eq!(ask(&doors, Some("k_2"), &[]), let_in("weekly", "path_key"));
        assert_eq!(
            ask(&doors, None, &[("authorization", &two)]),
            let_in("weekly", "basic")
        );
        assert_eq!(
            ask(&doors, Some("k_1"), &[("authorization", &one)]),
            let_in("main", "path_key+basic")
        );
        assert_eq!(
            ask(&doors, Some("k_1"), &[("authorization", &two)]),
            turned_away("credentials of two accounts")
        );
        let wrong = basic("u2", "x");
        assert_eq!(
            ask(&doors, Some("k_2"), &[("authorization", &wrong)]),
            turned_away("basic: user right, password wrong; secret link right")
        );
        assert_eq!(
            ask(&doors, Some("k_3"), &[]),
            turned_away("secret link wrong")
        );
        let door = doors.door("conscent").unwrap();
        assert_eq!(door.path_key("k_2"), Some("weekly"));
        assert_eq!(door.path_key("k_3"), None);
    }

    #[test]
    fn a_credential_of_another_account_is_a_conflict_even_if_nothing_here_judges_it() {
        let doors = open(&[
            account("conscent", &[("path_key", "k_1")]),
            account(
                "conscent/weekly",
                &[("api_key", "u2"), ("api_secret", "p2")],
            ),
        ]);
        let two = basic("u2", "p2");
        assert_eq!(
            ask(&doors, Some("k_1"), &[("authorization", &two)]),
            turned_away("credentials of two accounts")
        );
    }

    #[test]
    fn a_credential_that_two_accounts_share_needs_another_beside_it() {
        let shared = |name, key| {
            account(
                name,
                &[("path_key", key), ("api_key", "u"), ("api_secret", "p")],
            )
        };
        let doors = open(&[shared("conscent", "k_1"), shared("conscent/weekly", "k_2")]);
        let header = basic("u", "p");
        assert_eq!(
            ask(&doors, Some("k_2"), &[("authorization", &header)]),
            let_in("weekly", "path_key+basic")
        );
        assert_eq!(
            ask(&doors, None, &[("authorization", &header)]),
            turned_away("credentials fit several accounts: main, weekly")
        );
    }

    #[test]
    fn without_authentication_everything_comes_in_and_a_credential_still_names_its_account() {
        let doors = open(&[
            with_text(account("conscent", &[("path_key", "k_1")]), "auth", "none"),
            account("conscent/weekly", &[("path_key", "k_2")]),
        ]);
        assert_eq!(ask(&doors, None, &[]), let_in("main", "none"));
        assert_eq!(ask(&doors, Some("wrong"), &[]), let_in("main", "none"));
        assert_eq!(ask(&doors, Some("k_1"), &[]), let_in("main", "path_key"));
        assert_eq!(ask(&doors, Some("k_2"), &[]), let_in("weekly", "path_key"));
    }

    #[test]
    fn a_wrong_address_refuses_a_right_path_key() {
        let mut settings = account("signed", &[("path_key", "k_1")]);
        settings
            .lists
            .insert("allow".to_owned(), vec!["192.0.2.1".to_owned()]);
        let doors = open(&[settings]);
        let door = doors.door("signed").unwrap();
        let refused = door.admit(request(Some("k_1"), &[])).err().unwrap();
        assert_eq!(refused.reason, "address not allowed; secret link right");
        assert_eq!(refused.request.path_key.as_deref(), Some("k_1"));
    }

    #[test]
    fn a_delivery_holds_no_credential() {
        let doors = open(&[account("signed", &[("path_key", "k_1")])]);
        let mut request = request(
            Some("k_1"),
            &[
                ("authorization", "Basic c2VjcmV0"),
                ("cookie", "session=1"),
                ("proxy-authorization", "x"),
                ("x-api-key", "key"),
                ("content-type", "application/json"),
                ("subledger-test", "1"),
            ],
        );
        request
            .headers
            .push(("x-odd".to_owned(), b"a\xffb".to_vec()));
        let headers = request.headers.clone();
        let delivery = doors.door("signed").unwrap().admit(request).ok().unwrap();
        assert_eq!(delivery.headers, doors.kept_headers("signed", &headers));
        for name in [
            "authorization",
            "cookie",
            "proxy-authorization",
            "x-api-key",
        ] {
            let value = delivery.header(name).unwrap();
            assert!(value.starts_with("fp:") && value.len() == 19, "{value}");
        }
        assert_eq!(
            delivery.header("authorization"),
            Some(doors.fingerprint(b"Basic c2VjcmV0").as_str())
        );
        assert_eq!(delivery.header("content-type"), Some("application/json"));
        assert_eq!(delivery.header("x-odd"), Some("a\\xffb"));
        assert!(delivery.test);
        assert_eq!(
            (delivery.origin, delivery.identity_proof),
            (Origin::Live, None)
        );
        assert!(
            !doors.kept_headers("nobody", &headers)[0]
                .1
                .contains("Basic")
        );
    }

    #[test]
    fn what_is_a_credential_is_told_by_name_or_value() {
        for (name, value) in [
            ("proxy-authorization", "x"),
            ("set-cookie", "x"),
            ("x-auth-token", "x"),
            ("x-amz-security-token", "x"),
            ("x-amzn-oidc-accesstoken", "x"),
            ("cf-access-jwt-assertion", "x"),
            ("cf-access-client-secret", "x"),
            ("x-apikey", "x"),
            ("x-api-key", "x"),
            ("x-access-key-id", "x"),
            ("ocp-apim-subscription-key", "x"),
            ("x-password", "x"),
            ("x-vercel-proxy-signature", "Bearer x"),
            ("x-odd", "BASIC x"),
        ] {
            assert!(has_credential(name, value.as_bytes()), "{name}: {value}");
        }
        for (name, value) in [
            ("svix-id", "msg_1"),
            ("svix-timestamp", "1"),
            ("svix-signature", "v1,x"),
            ("webhook-id", "basic"),
            ("webhook-signature", "v1,x"),
            ("x-conscent-signature", "x"),
            ("idempotency-key", "x"),
            ("x-idempotency-token", "x"),
            ("sec-websocket-key", "x"),
            ("x-monkey", "x"),
            ("x-key", "x"),
            ("x-odd", "bearer"),
            ("user-agent", "Basically/1.0"),
        ] {
            assert!(!has_credential(name, value.as_bytes()), "{name}: {value}");
        }
    }

    #[test]
    fn a_signature_under_a_name_like_a_secret_is_kept_and_comes_in_again() {
        let mut settings = account("expressconsent", &[("secret", "s3cr3ts3cr3t")]);
        for (key, value) in [
            ("signature_header", "x-webhook-token"),
            ("signature_prefix", "Bearer "),
        ] {
            settings = with_text(settings, key, value);
        }
        let before = Doors::open(
            &[with_text(settings.clone(), "signature_prefix", "Basic ")],
            KEY,
        )
        .unwrap();
        let after = Doors::open(&[settings.clone()], KEY).unwrap();
        let mut request = request(None, &[("x-api-key", "k")]);
        request.hook = "events".to_owned();
        let signed =
            after
                .door("expressconsent")
                .unwrap()
                .provider()
                .sign(&settings, &request.body, AT);
        let sent = signed[0].1.clone();
        assert_eq!(signed[0].0, "x-webhook-token");
        request.headers.extend(
            signed
                .into_iter()
                .map(|(name, value)| (name, value.into_bytes())),
        );
        assert!(
            before
                .door("expressconsent")
                .unwrap()
                .admit(request.clone())
                .is_err()
        );
        let row = rejected(&before, "expressconsent", &request);
        assert_eq!(row.headers[1].1, sent);
        assert!(row.headers[0].1.starts_with("fp:"));
        let why = before.admit_again(&row).unwrap_err();
        assert!(!why.contains("x-api-key"), "{why}");
        assert_eq!(after.admit_again(&row).unwrap().credential, "signature");
    }

    #[test]
    fn fingerprints_differ_from_ledger_to_ledger() {
        let other = Doors::open_among(&PROVIDERS, &[], [8; 32]).unwrap();
        let doors = open(&[]);
        assert_eq!(doors.fingerprint(b"x"), doors.fingerprint(b"x"));
        assert_ne!(doors.fingerprint(b"x"), other.fingerprint(b"x"));
    }

    #[test]
    fn a_provider_without_settings_lets_nothing_in() {
        let doors = open(&[]);
        assert_eq!(
            ask(&doors, Some("k"), &[]),
            turned_away("the settings hold nothing to judge by: secret link")
        );
        assert!(doors.door("nobody").is_none());
    }

    #[test]
    fn a_wrong_settings_key_is_refused_with_the_nearest() {
        for (settings, words) in [
            (
                account("conscent", &[("api_keys", "x")]),
                "did you mean \"api_key\"?",
            ),
            (
                account("conscent/b", &[("pathkey", "x")]),
                "did you mean \"path_key\"?",
            ),
            (
                account("conscent/b", &[("pathkey", "x")]),
                "[providers.conscent.accounts.b]",
            ),
            (account("concent", &[]), "did you mean \"conscent\"?"),
            (account("conscent", &[("zzzzz", "x")]), "there are api_key"),
            (
                with_text(account("conscent", &[]), "api_key", "x"),
                "api_key under [providers.conscent] takes a secret",
            ),
            (
                with_text(account("conscent", &[]), "auth", "off"),
                "auth = \"off\"",
            ),
            (
                account("conscent", &[("path_key", "a/b")]),
                "does not fit into a link",
            ),
            (account("conscent", &[("api_key", "x")]), "no api_secret"),
        ] {
            let error = refused_settings(&[settings]);
            assert!(error.contains(words), "{error}");
        }
        open(&[with_text(account("conscent", &[]), "expect_every", "2h")]);
    }

    #[test]
    fn accounts_that_nothing_can_tell_apart_are_refused() {
        let basic = |name, key: &str| {
            let mut all = vec![("api_key", "u"), ("api_secret", "p")];
            if !key.is_empty() {
                all.push(("path_key", key));
            }
            account(name, &all)
        };
        let none = |name| with_text(account(name, &[]), "auth", "none");
        for pair in [
            [
                account("conscent", &[("path_key", "k")]),
                account("conscent/b", &[("path_key", "n k")]),
            ],
            [basic("conscent", ""), basic("conscent/b", "")],
            [basic("conscent", "k_1"), basic("conscent/b", "")],
            [none("conscent"), none("conscent/b")],
            [
                account("signed", &[("secret", "c2VjcmV0")]),
                account("signed/b", &[("secret", "bmV3 c2VjcmV0")]),
            ],
        ] {
            let error = refused_settings(&pair);
            assert!(error.starts_with("nothing can tell [providers."), "{error}");
        }
        open(&[basic("conscent", "k_1"), basic("conscent/b", "k_2")]);
        open(&[
            account("conscent", &[("path_key", "k")]),
            account("signed", &[("path_key", "k")]),
        ]);
        open(&[account("conscent", &[]), account("conscent/b", &[])]);
    }

    fn rejected(doors: &Doors, provider: &str, request: &Request) -> RejectedAgain {
        RejectedAgain {
            provider: provider.to_owned(),
            hook: request.hook.clone(),
            headers: doors.kept_headers(provider, &request.headers),
            body: Some(request.body.clone()),
            received_at: request.received_at,
            remote_ip: request.remote_ip.clone(),
            path_fingerprint: request
                .path_key
                .as_ref()
                .map(|key| doors.fingerprint(key.as_bytes())),
        }
    }

    #[test]
    fn a_rejected_request_comes_in_once_the_settings_are_right() {
        let header = basic("user", "pass");
        let request = request(
            Some("k_1"),
            &[("authorization", &header), ("accept", "*/*")],
        );
        let before = open(&[account("conscent", &[("path_key", "k_0")])]);
        assert!(
            before
                .door("conscent")
                .unwrap()
                .admit(request.clone())
                .is_err()
        );
        let row = rejected(&before, "conscent", &request);
        assert!(row.headers[0].1.starts_with("fp:"));
        assert_eq!(
            before.admit_again(&row).unwrap_err(),
            "secret link wrong (known by fingerprint only, and none of today's secrets: secret link, authorization)"
        );
        let after = open(&[account(
            "conscent",
            &[
                ("path_key", "k_2 k_1"),
                ("api_key", "user"),
                ("api_secret", "new pass"),
            ],
        )]);
        let delivery = after.admit_again(&row).unwrap();
        assert_eq!(
            credential::without_marks(&delivery.credential),
            "path_key#2+basic#2"
        );
        assert_eq!(delivery.origin, Origin::Admitted);
        assert_eq!(delivery.received_at, AT);
        assert_eq!(delivery.headers, row.headers);
        assert_eq!(delivery.identity_proof, Some(IdentityProof::Absent));
        let first_day = open(&[account("conscent", &[("path_key", "k_1")])]);
        let unchecked = first_day.admit_again(&row).unwrap();
        assert_eq!(unchecked.credential, "path_key+basic:unchecked");
        assert_eq!(unchecked.headers, row.headers, "kept as it was");
        let lower = Request {
            headers: vec![(
                "authorization".to_owned(),
                header.replace("Basic", "basic").into_bytes(),
            )],
            ..request
        };
        assert!(
            after
                .admit_again(&rejected(&after, "conscent", &lower))
                .is_ok()
        );
    }

    #[test]
    fn signatures_are_judged_as_of_the_first_arrival() {
        let settings = account("signed", &[("secret", "c2VjcmV0c2VjcmV0")]);
        let doors = open(std::slice::from_ref(&settings));
        let mut request = request(None, &[]);
        request.hook = "events".to_owned();
        let headers = Signed.sign(&settings, &request.body, AT);
        request.headers = headers
            .into_iter()
            .map(|(name, value)| (name, value.into_bytes()))
            .collect();
        let row = rejected(&doors, "signed", &request);
        assert_eq!(doors.admit_again(&row).unwrap().credential, "signature");
        let late = RejectedAgain {
            received_at: AT.plus_ms(412_000),
            ..row
        };
        assert_eq!(
            doors.admit_again(&late).unwrap_err(),
            "signed time 412 s off"
        );
    }

    #[test]
    fn what_cannot_come_in_again_says_why() {
        let doors = open(&[account("conscent", &[("path_key", "k_1")])]);
        let row = rejected(&doors, "conscent", &request(Some("k_1"), &[]));
        let changed = |change: &dyn Fn(&mut RejectedAgain)| {
            let mut row = row.clone();
            change(&mut row);
            doors.admit_again(&row).unwrap_err()
        };
        assert!(changed(&|row| row.body = None).contains("body was not kept"));
        assert!(changed(&|row| row.hook = "logins".to_owned()).contains("did you mean \"login\"?"));
        assert!(changed(&|row| row.provider = "x".to_owned()).contains("no provider"));
    }

    #[test]
    fn reading_goes_to_the_provider_of_the_delivery() {
        let doors = open(&[account("conscent", &[("path_key", "k_1")])]);
        let mut request = request(Some("k_1"), &[]);
        request.body = br#"{"userId":"u1"}"#.to_vec();
        let delivery = doors.door("conscent").unwrap().admit(request).ok().unwrap();
        assert_eq!(read(&delivery).label, "login");
        let strange = Delivery {
            provider: ProviderId::known("later"),
            ..delivery
        };
        assert!(matches!(read(&strange).content, Content::Unreadable(_)));
    }
}
