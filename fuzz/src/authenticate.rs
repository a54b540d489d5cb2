//! Authentication: whatever is sent, exactly those requests come in that a second, plainer judge lets in, at once and out
//! of the ring; what comes in is the body as sent and holds no credential.
//!
//! The input is a request (`posted`). It is tried as it is, then with the right credentials in place of its own, then with
//! one bit of those changed.

use std::sync::OnceLock;

use subledger::config::{Secret, Settings};
use subledger::domain::delivery::Delivery;
use subledger::providers::door::{Door, Doors, Refused, RejectedAgain};
use subledger::providers::{self, Request};

use super::keeper::NOW;
use super::{Held, judge, must, posted};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Lets a request in, or not.
    pub admit: fn(&Door, Request) -> Result<Delivery, Box<Refused>>,
    /// Lets a request out of the ring in, or not.
    pub again: fn(&Doors, &RejectedAgain) -> Result<Delivery, String>,
}

/// As it is.
pub const REAL: Subject = Subject {
    admit: |door, request| door.admit(request).map_err(Box::new),
    again: Doors::admit_again,
};

/// Accounts, and the doors that their settings make.
struct House {
    name: &'static str,
    accounts: Vec<Settings>,
    doors: Doors,
}

/// Provider, account, keys with secrets (newest first, a space between) and keys with texts.
type Row = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, &'static str)],
);

/// Every credential that each provider can have, old ones too, twice.
const FULL: &[Row] = &[
    (
        "conscent",
        "main",
        &[
            ("path_key", "k_conscent_main_new k_conscent_main_old"),
            ("api_key", "user-new user-old"),
            ("api_secret", "pass:new pass-old"),
            ("webhook_secret", "conscent-hook-secret"),
        ],
        &[],
    ),
    (
        "conscent",
        "weekly",
        &[
            ("path_key", "k_conscent_weekly"),
            ("api_key", "user-weekly"),
            ("api_secret", "pass-weekly"),
            ("webhook_secret", "weekly-new weekly-old"),
        ],
        &[],
    ),
    (
        "klustr",
        "main",
        &[
            ("path_key", "k_klustr_main"),
            ("secret", "whsec_bmV3LWtsdXN0ci1rZXk= b2xkLWtsdXN0ci1rZXk="),
        ],
        &[],
    ),
    (
        "klustr",
        "weekly",
        &[
            ("path_key", "k_klustr_weekly"),
            ("secret", "whsec_d2Vla2x5LWtsdXN0ci1rZXk="),
        ],
        &[],
    ),
    (
        "expressconsent",
        "main",
        &[
            ("path_key", "k_express_main"),
            ("secret", "express-new express-old"),
        ],
        &[
            ("signature_header", "X-Ec-Signature"),
            ("signature_prefix", "sha256="),
        ],
    ),
    (
        "expressconsent",
        "weekly",
        &[
            ("path_key", "k_express_weekly"),
            ("secret", "express-weekly"),
        ],
        &[
            ("signature_header", "X-Ec-Token"),
            ("signature_encoding", "base64"),
            ("signed_content", "timestamp.body"),
            ("timestamp_header", "X-Ec-Time"),
        ],
    ),
    (
        "zotlo",
        "main",
        &[("path_key", "k_zotlo_main_new k_zotlo_main_old")],
        &[],
    ),
    ("zotlo", "weekly", &[("path_key", "k_zotlo_weekly")], &[]),
];

/// The first day: links and nothing else.
const LINKS: &[Row] = &[
    ("conscent", "main", &[("path_key", "k_first_conscent")], &[]),
    ("klustr", "main", &[("path_key", "k_first_klustr")], &[]),
    (
        "expressconsent",
        "main",
        &[("path_key", "k_first_express")],
        &[],
    ),
    ("zotlo", "main", &[("path_key", "k_first_zotlo")], &[]),
];

/// Accounts that have something in common, and providers without any credential.
const SHARED: &[Row] = &[
    (
        "conscent",
        "main",
        &[
            ("path_key", "k_shared_main"),
            ("api_key", "user"),
            ("api_secret", "pass"),
        ],
        &[],
    ),
    (
        "conscent",
        "weekly",
        &[
            ("path_key", "k_shared_weekly"),
            ("api_key", "user"),
            ("api_secret", "pass"),
        ],
        &[],
    ),
    (
        "klustr",
        "main",
        &[("secret", "whsec_c2hhcmVkLWtsdXN0cg==")],
        &[],
    ),
    ("klustr", "weekly", &[("path_key", "k_shared_klustr")], &[]),
];

fn settings(row: &Row) -> Settings {
    let (provider, account, secrets, texts) = row;
    let mut settings = Settings {
        provider: (*provider).to_owned(),
        account: (*account).to_owned(),
        ..Settings::default()
    };
    for (key, all) in *secrets {
        let all = all.split(' ').map(Secret::new).collect();
        settings.secrets.insert((*key).to_owned(), all);
    }
    for (key, text) in *texts {
        settings.texts.insert((*key).to_owned(), (*text).to_owned());
    }
    if (*provider, *account) == ("zotlo", "main") {
        let range = vec!["192.0.2.0/24".to_owned()];
        settings.lists.insert("allow_ips".to_owned(), range);
    }
    settings
}

fn houses() -> &'static [House] {
    static HOUSES: OnceLock<Vec<House>> = OnceLock::new();
    HOUSES.get_or_init(|| {
        let rows = [("full", FULL), ("links", LINKS), ("shared", SHARED)];
        let house = |(name, rows): (&'static str, &[Row])| {
            let accounts: Vec<Settings> = rows.iter().map(settings).collect();
            let doors = Doors::open(&accounts, [7; 32]).expect("these settings can be told apart");
            House {
                name,
                accounts,
                doors,
            }
        };
        rows.map(house).into()
    })
}

/// Looks at `subject` with `data` as a request.
pub fn check(data: &[u8], subject: &Subject) -> Held {
    let posted = posted::parse(data, NOW);
    let named = houses().iter().find(|house| house.name == posted.house);
    let house = named.unwrap_or(&houses()[0]);
    let named = providers::ALL
        .iter()
        .find(|provider| provider.id() == posted.provider);
    let provider = named.unwrap_or(&providers::ALL[data.len() % providers::ALL.len()]);
    let own = house.accounts.iter();
    let own = own.filter(|account| account.provider == provider.id());
    let accounts: Vec<Settings> = own.cloned().collect();
    let trial = Trial {
        subject,
        house,
        provider: provider.id(),
        accounts: &accounts,
    };
    trial.judged(&posted.request)?;
    for account in &accounts {
        let request = signed(account, &posted.request, data.len().is_multiple_of(2));
        let is_in = trial.judged(&request)?;
        let has_any = request.path_key.is_some() || request.headers.len() > bare(&posted.request);
        let is_shared = request.path_key.is_none() && house.name == "shared";
        must(is_in || !has_any || is_shared, || {
            format!("the right credentials are refused: {request:?}")
        })?;
        for nth in [0, data.len()] {
            trial.judged(&spoilt(&request, nth + usize::from(sum(data))))?;
        }
        trial.judged(&Request {
            body: [&request.body[..], b" "].concat(),
            ..request
        })?;
    }
    Ok(())
}

fn sum(data: &[u8]) -> u8 {
    data.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// Names of headers that a credential can be in, here.
const CREDENTIALS: [&str; 11] = [
    "authorization",
    "x-conscent-signature",
    "svix-id",
    "svix-timestamp",
    "svix-signature",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "x-ec-signature",
    "x-ec-token",
    "x-ec-time",
];

/// So many headers of `request` have nothing to do with who sent it.
fn bare(request: &Request) -> usize {
    let names = request.headers.iter().map(|(name, _)| name.as_str());
    names.filter(|name| !CREDENTIALS.contains(name)).count()
}

/// `request` with all credentials of `account`; its link too, if `with_link` or if there is nothing else.
fn signed(account: &Settings, request: &Request, with_link: bool) -> Request {
    let provider = providers::ALL
        .iter()
        .find(|provider| provider.id() == account.provider);
    let headers = provider.map_or_else(Vec::new, |provider| {
        provider.sign(account, &request.body, request.received_at)
    });
    let link = account.secrets("path_key").last();
    let link = link.filter(|_| with_link || headers.is_empty());
    let mut all = request.headers.clone();
    all.retain(|(name, _)| !CREDENTIALS.contains(&name.as_str()));
    let own = headers.into_iter();
    all.extend(own.map(|(name, value)| (name.to_ascii_lowercase(), value.into_bytes())));
    Request {
        path_key: link.map(|link| link.expose().to_owned()),
        headers: all,
        remote_ip: "192.0.2.7".to_owned(),
        ..request.clone()
    }
}

/// `request` with one bit of a credential changed, chosen by `nth`.
fn spoilt(request: &Request, nth: usize) -> Request {
    let mut request = request.clone();
    let mut places: Vec<&mut u8> = Vec::new();
    let mut link = request.path_key.take().map(String::into_bytes);
    places.extend(link.iter_mut().flatten());
    let headers = request.headers.iter_mut();
    let headers = headers.filter(|(name, _)| CREDENTIALS.contains(&name.as_str()));
    places.extend(headers.flat_map(|(_, value)| value));
    let count = places.len().max(1);
    if let Some(byte) = places.get_mut(nth * 31 % count) {
        **byte ^= 1 << (nth % 7);
    }
    request.path_key = link.map(|link| String::from_utf8_lossy(&link).into_owned());
    request
}

struct Trial<'a> {
    subject: &'a Subject,
    house: &'a House,
    provider: &'static str,
    accounts: &'a [Settings],
}

impl Trial<'_> {
    /// Whether `request` comes in, which the plain judge says too.
    fn judged(&self, request: &Request) -> Result<bool, String> {
        let right = judge::account(self.accounts, request);
        let door = self.house.doors.door(self.provider).ok_or("no door")?;
        match ((self.subject.admit)(door, request.clone()), right) {
            (Ok(delivery), Some(account)) => self.kept(request, &delivery, account)?,
            (Err(refused), None) => self.refused(request, &refused)?,
            (Ok(delivery), None) => {
                let by = &delivery.credential;
                return Err(format!("let in by {by}, and should not be: {request:?}"));
            }
            (Err(refused), Some(account)) => {
                let why = &refused.reason;
                return Err(format!("{why}, and is of {account}: {request:?}"));
            }
        }
        self.again(request, right)?;
        let imported = self
            .house
            .doors
            .imported(self.provider, "main", request.clone());
        let imported = imported.ok_or("no provider to import for")?;
        must(imported.body == request.body, || format!("{request:?}"))?;
        self.hidden(request, &imported)?;
        Ok(right.is_some())
    }

    fn kept(&self, request: &Request, delivery: &Delivery, account: &str) -> Held {
        must(delivery.account == account, || {
            format!("it is of {account}, not {}: {request:?}", delivery.account)
        })?;
        let is_whole = delivery.body == request.body
            && delivery.hook == request.hook
            && delivery.received_at == request.received_at
            && delivery.headers.len() == request.headers.len();
        must(is_whole, || format!("{request:?} became {delivery:?}"))?;
        self.hidden(request, delivery)
    }

    fn refused(&self, request: &Request, refused: &Refused) -> Held {
        let same = &refused.request;
        let is_whole = same.body == request.body && same.headers == request.headers;
        must(is_whole && !refused.reason.is_empty(), || {
            format!("{request:?} is given back as {same:?}")
        })?;
        self.secrets().try_for_each(|secret| {
            must(!refused.reason.contains(secret), || {
                format!("the reason tells a secret: {}", refused.reason)
            })
        })
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        let all = self.accounts.iter().flat_map(|one| one.secrets.values());
        let all = all.flatten().map(Secret::expose);
        // Shorter ones are too much like any word to be looked for.
        all.filter(|secret| secret.len() >= 8)
    }

    /// No secret stands in what is kept of the headers.
    fn hidden(&self, request: &Request, delivery: &Delivery) -> Held {
        for (name, value) in &delivery.headers {
            let told = self.secrets().find(|secret| value.contains(secret));
            must(told.is_none(), || {
                format!("{name} tells {told:?}: {request:?}")
            })?;
            let credential = ["authorization", "cookie", "proxy-authorization"];
            let is_print = value
                .strip_prefix("fp:")
                .is_some_and(|rest| rest.len() == 16);
            must(is_print || !credential.contains(&name.as_str()), || {
                format!("{name} is kept as {value:?}")
            })?;
        }
        Ok(())
    }

    /// Out of the ring, by the same settings, nothing comes in that did not at first.
    fn again(&self, request: &Request, right: Option<&str>) -> Held {
        let doors = &self.house.doors;
        let row = RejectedAgain {
            provider: self.provider.to_owned(),
            hook: request.hook.clone(),
            headers: doors.kept_headers(self.provider, &request.headers),
            body: Some(request.body.clone()),
            received_at: request.received_at,
            remote_ip: request.remote_ip.clone(),
            path_fingerprint: request
                .path_key
                .as_ref()
                .map(|key| doors.fingerprint(key.as_bytes())),
        };
        match (self.subject.again)(doors, &row) {
            Ok(delivery) => must(Some(delivery.account.as_str()) == right, || {
                format!(
                    "out of the ring it is of {}, not {right:?}: {request:?}",
                    delivery.account
                )
            }),
            Err(_) => Ok(()),
        }
    }
}
