//! Who may come in, written down a second time and as plainly as it can be: for each account what is right and what is
//! wrong, by comparing with every credential that it has. Takes its time, and knows no provider but by these tables.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use subledger::config::{Secret, Settings};
use subledger::providers::{Request, check};

/// What one account makes of the credentials of a request.
#[derive(Debug, Default)]
struct Judged {
    rights: Vec<&'static str>,
    is_wrong: bool,
}

impl Judged {
    /// Notes a credential that can be judged.
    fn note(&mut self, name: &'static str, is_right: bool) {
        if is_right {
            self.rights.push(name);
        } else {
            self.is_wrong = true;
        }
    }
}

/// The account of `accounts` that `request` belongs to: something is right for it, nothing is wrong, and nothing is
/// right for another that is not for it.
pub(super) fn account<'a>(accounts: &'a [Settings], request: &Request) -> Option<&'a str> {
    let judged: Vec<Judged> = accounts.iter().map(|one| judge(one, request)).collect();
    let mut fits = accounts.iter().zip(&judged).filter(|(_, one)| {
        let mut others = judged.iter().flat_map(|other| &other.rights);
        !one.rights.is_empty() && !one.is_wrong && others.all(|name| one.rights.contains(name))
    });
    match (fits.next(), fits.next()) {
        (Some((account, _)), None) => Some(&account.account),
        _ => None,
    }
}

fn judge(account: &Settings, request: &Request) -> Judged {
    let mut judged = Judged::default();
    let links = account.secrets("path_key");
    let key = request.path_key.as_deref().unwrap_or_default();
    if !key.is_empty() && !links.is_empty() {
        judged.note("path_key", links.iter().any(|link| link.expose() == key));
    }
    match account.provider.as_str() {
        "conscent" => conscent(account, request, &mut judged),
        "klustr" => klustr(account, request, &mut judged),
        "expressconsent" => expressconsent(account, request, &mut judged),
        "zotlo" => {
            // The only range that the settings of these tests name.
            let allowed = account.list("allow_ips");
            let ip = request.remote_ip.trim();
            let ip = ip.strip_prefix("::ffff:").unwrap_or(ip);
            let address = ip.parse::<std::net::Ipv4Addr>();
            judged.is_wrong |= !allowed.is_empty()
                && !address.is_ok_and(|address| address.octets()[..3] == [192, 0, 2]);
        }
        _ => {}
    }
    judged
}

/// The values of a header, without space around them.
fn values<'a>(request: &'a Request, name: &str) -> Vec<&'a [u8]> {
    let own = request.headers.iter().filter(|(key, _)| key == name);
    own.map(|(_, value)| value.trim_ascii()).collect()
}

/// Whether `given` is `bytes` in base64, with or without the signs at the end.
fn is_base64(given: &[u8], bytes: &[u8]) -> bool {
    let bare = STANDARD_NO_PAD.encode(bytes);
    let whole = STANDARD.encode(bytes);
    (bare.len()..=whole.len()).any(|end| given == &whole.as_bytes()[..end])
}

fn is_hex(given: &[u8], bytes: &[u8]) -> bool {
    given.eq_ignore_ascii_case(check::hex(bytes).as_bytes())
}

fn conscent(account: &Settings, request: &Request, judged: &mut Judged) {
    let users = account.secrets("api_key");
    if let ([first, more @ ..], false) = (&values(request, "authorization")[..], users.is_empty()) {
        let pairs = users.iter().flat_map(|user| {
            let passwords = account.secrets("api_secret").iter();
            passwords.map(move |password| format!("{}:{}", user.expose(), password.expose()))
        });
        let space = first.iter().position(u8::is_ascii_whitespace);
        let (scheme, rest) = first.split_at(space.unwrap_or(first.len()));
        let is_basic = scheme.eq_ignore_ascii_case(b"basic");
        let mut pairs = pairs.map(|pair| is_base64(rest.trim_ascii(), pair.as_bytes()));
        judged.note("basic", more.is_empty() && is_basic && pairs.any(|is| is));
    }
    let secrets = account.secrets("webhook_secret");
    if let ([first, more @ ..], false) = (
        &values(request, "x-conscent-signature")[..],
        secrets.is_empty(),
    ) {
        let signed = |secret: &Secret| {
            is_hex(
                first,
                &check::hmac_sha256(secret.expose().as_bytes(), &request.body),
            )
        };
        judged.note("signature", more.is_empty() && secrets.iter().any(signed));
    }
}

fn klustr(account: &Settings, request: &Request, judged: &mut Judged) {
    let keys = account.secrets("secret").iter();
    let keys: Vec<Vec<u8>> = keys.filter_map(check::svix_key).collect();
    let mut is_right = true;
    let mut is_there = false;
    for family in ["svix", "webhook"] {
        let all = ["id", "timestamp", "signature"].map(|part| format!("{family}-{part}"));
        let all = all.map(|name| values(request, &name));
        if keys.is_empty() || all[2].is_empty() {
            continue;
        }
        is_there = true;
        is_right &= match all.each_ref().map(Vec::as_slice) {
            [[id], [time], [entries]] => {
                let message = [id, &b"."[..], time, b".", &request.body].concat();
                let arrived = i128::from(request.received_at.ms().div_euclid(1_000));
                let near = std::str::from_utf8(time)
                    .ok()
                    .and_then(|time| time.parse::<i64>().ok())
                    .is_some_and(|time| (arrived - i128::from(time)).abs() <= 300);
                let mut entries = entries.split(u8::is_ascii_whitespace);
                near && entries.any(|entry| {
                    let given = entry.strip_prefix(b"v1,");
                    given.is_some_and(|given| {
                        keys.iter()
                            .any(|key| is_base64(given, &check::hmac_sha256(key, &message)))
                    })
                })
            }
            _ => false,
        };
    }
    if is_there {
        judged.note("signature", is_right);
    }
}

fn expressconsent(account: &Settings, request: &Request, judged: &mut Judged) {
    let secrets = account.secrets("secret");
    let Some(header) = account
        .text("signature_header")
        .filter(|_| !secrets.is_empty())
    else {
        return;
    };
    let given = values(request, &header.to_ascii_lowercase());
    let [first, more @ ..] = &given[..] else {
        return;
    };
    let prefix = account.text("signature_prefix").unwrap_or_default();
    let first = first.strip_prefix(prefix.as_bytes()).unwrap_or(first);
    let message = match account.text("timestamp_header") {
        None => Some(request.body.clone()),
        Some(name) => values(request, &name.to_ascii_lowercase())
            .first()
            .map(|time| [time, &b"."[..], &request.body].concat()),
    };
    let is_right = message.is_some_and(|message| {
        secrets.iter().any(|secret| {
            let right = check::hmac_sha256(secret.expose().as_bytes(), &message);
            match account.text("signature_encoding") {
                Some("base64") => is_base64(first, &right),
                _ => is_hex(first, &right),
            }
        })
    });
    judged.note("signature", more.is_empty() && is_right);
}
