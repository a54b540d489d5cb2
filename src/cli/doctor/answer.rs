//! What an answer on the public address means, and what to do about it. Pure: no network, no ledger.

use std::fmt::Display;

use serde::Deserialize;

use crate::cli::address::Address;

/// So much of an answer is looked at, bytes.
pub(super) const ANSWER_BYTES_MAX: u64 = 4 << 10;

/// What our receiver says in its errors.
const OUR_ERRORS: &[(u16, &str)] = &[
    (400, "malformed_request"),
    (401, "unauthorized"),
    (404, "not_found"),
    (405, "method_not_allowed"),
    (408, "too_slow"),
    (413, "body_too_large"),
    (415, "content_encoding_not_supported"),
    (429, "too_many_failures"),
    (431, "headers_too_large"),
    (500, "internal"),
    (503, "unavailable"),
];

/// One answer, whoever gave it.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// Where it sends the caller instead.
    pub(super) location: Option<String>,
    /// The header `cf-mitigated` is there: Cloudflare shows a challenge.
    pub(super) is_challenge: bool,
    /// The first bytes of the body.
    pub(super) body: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    status: Option<String>,
    error: Option<String>,
    seq: Option<i64>,
}

/// Who answered, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// Our receiver kept it under this number.
    Kept(i64),
    /// Our receiver finds the link right.
    Ready,
    /// Our receiver or one of its health pages says something else.
    Ours,
    /// Somebody else.
    Other,
}

impl Answer {
    /// Whether it is one of our receiver's.
    pub(super) fn voice(&self) -> Voice {
        if self.body.starts_with(b"# TYPE subledger_") {
            return Voice::Ours;
        }
        let Ok(said) = serde_json::from_slice::<Said>(&self.body) else {
            return Voice::Other;
        };
        match (self.status, said.status.as_deref(), said.error, said.seq) {
            (200, Some("stored" | "duplicate" | "quarantined"), None, Some(seq)) => {
                Voice::Kept(seq)
            }
            (200, Some("ready"), None, None) => Voice::Ready,
            (200, Some("alive"), None, None) => Voice::Ours,
            (status, None, Some(error), None) if OUR_ERRORS.contains(&(status, error.as_str())) => {
                Voice::Ours
            }
            _ => Voice::Other,
        }
    }

    /// What an answer that is not a kept delivery means. `key`: the secret end of the link, which is never told.
    pub(super) fn fault(&self, address: &Address, key: &str) -> String {
        match (self.status, self.voice() == Voice::Other) {
            (300..=399, _) => self.redirect(address, key),
            (status, false) => of_ours(status, address),
            (status, true) => self.of_others(status, address),
        }
    }

    fn redirect(&self, address: &Address, key: &str) -> String {
        let status = self.status;
        let Some(location) = self.location.as_deref() else {
            return format!(
                "{status}: a redirection to nowhere; providers follow none: forward /hooks/* instead"
            );
        };
        let to = shown(location, key);
        let target = to.split("/hooks/").next().unwrap_or_default();
        let other = Address::parse(target).filter(|other| {
            let parts = |it: &Address| (it.is_secure, it.host.clone(), it.port, it.prefix.clone());
            parts(other) != parts(address)
        });
        // A redirection to http is none to follow.
        match other.filter(|other| other.is_secure >= address.is_secure && to.contains("/hooks/")) {
            Some(other) => format!(
                "{status}: redirects to {to}; providers follow none: \
                 subledger config set receiver.public_url {}, reload, and paste the links again",
                other.url
            ),
            None => format!(
                "{status}: redirects to {to}; providers follow none: have the proxy forward {}/hooks/* as it comes",
                address.prefix
            ),
        }
    }

    fn of_others(&self, status: u16, address: &Address) -> String {
        let hooks = format!("{}/hooks/*", address.prefix);
        let says: &dyn Display = match status {
            _ if self.is_challenge => {
                return format!(
                    "{status}: Cloudflare asks whether a human calls; providers cannot answer: skip challenges for {hooks}"
                );
            }
            200..=299 => {
                return format!(
                    "{status}, and not from the receiver: providers would take it for received, and the webhook be \
                     lost; have the proxy forward {hooks} to the receiver"
                );
            }
            401 => &"the proxy asks for a password of its own: exempt the path",
            403 => &"the proxy, a firewall or a bot filter forbids it: let POST through",
            404 | 410 => {
                &"another server answers, or the proxy does not forward the path: see `subledger urls --proxy`"
            }
            405 => &"the proxy takes no POST there: it does not forward the path, or only GET",
            408 => &"the proxy did not get the request in time: is the line slow?",
            411 | 413 => &"the proxy's limit of a body is too small: see `subledger urls --proxy`",
            415 => &"the proxy does not take the content: it must pass every body on as it is",
            421 => &"the server does not serve this host name",
            429 => &"the proxy limits how often one may call: exempt the path",
            502 | 521 | 523 => {
                &"the proxy runs and finds no receiver: is `subledger status` well, and does the proxy forward to where it listens?"
            }
            503 => &"the proxy has nowhere to forward to, or is closed for maintenance",
            504 | 522 | 524 => {
                &"the proxy got no answer from the receiver in time: see `subledger status`"
            }
            525 | 526 => &"Cloudflare does not trust the certificate behind it: renew that one",
            530 => &"Cloudflare does not find the tunnel: is cloudflared running?",
            400 => &"the proxy does not take the request: see its error log",
            500..=599 => &"the proxy fails: see its error log",
            _ => &"no answer that a receiver gives: who listens there?",
        };
        format!("{status}, and not from the receiver ({hooks}): {says}")
    }
}

/// What our own receiver means.
fn of_ours(status: u16, address: &Address) -> String {
    let says = match status {
        200 => "it saw another method than POST: the proxy changes it".to_owned(),
        401 => "the receiver does not know the credentials: is it on these settings (`subledger reload`)?".to_owned(),
        404 if address.prefix.is_empty() => {
            "the receiver is reached at another path than was called: the proxy must leave the path as it is".to_owned()
        }
        404 => format!(
            "the receiver is reached with the wrong path: the proxy must take {} off, and only that",
            address.prefix
        ),
        405 => "the method that arrives is not POST: the proxy changes it".to_owned(),
        408 => "the body did not arrive in time: the proxy holds it back".to_owned(),
        413 => "the body arrives longer than it was sent, or receiver.body_limit is very small".to_owned(),
        415 => "the proxy compresses what it forwards: it must pass every body on as it is".to_owned(),
        429 => "too many failures from this caller of late: try again in a minute; if every caller has the proxy's \
                address, set receiver.trusted_proxies"
            .to_owned(),
        503 => "the receiver cannot store now: see `subledger doctor` and its log".to_owned(),
        _ => "the receiver does not take it: see its log".to_owned(),
    };
    format!("{status} from the receiver: {says}")
}

/// A place to be redirected to without anything that could be the secret end of a link.
fn shown(location: &str, key: &str) -> String {
    let plain = location.split(['?', '#']).next().unwrap_or_default();
    match plain.split_once("/hooks/") {
        Some((start, _)) => format!("{start}/hooks/..."),
        // The secret end may stand in it in another spelling.
        None if plain.contains('%') => {
            let origin: Vec<&str> = plain.split('/').take(3).collect();
            format!("{}/...", without(&origin.join("/"), key))
        }
        None => without(plain, key),
    }
}

/// `text` with dots in the place of `secret`.
pub(super) fn without(text: &str, secret: &str) -> String {
    if secret.is_empty() {
        text.to_owned()
    } else {
        text.replace(secret, "...")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            body: body.as_bytes().to_vec(),
            ..Answer::default()
        }
    }

    #[test]
    fn only_the_receiver_speaks_with_its_voice() {
        for (status, body, voice) in [
            (200, r#"{"status":"quarantined","seq":7}"#, Voice::Kept(7)),
            (200, r#"{"status":"ready"}"#, Voice::Ready),
            (200, r#"{"status":"alive"}"#, Voice::Ours),
            (404, r#"{"error":"not_found"}"#, Voice::Ours),
            (404, r#"{"error":"unauthorized"}"#, Voice::Other),
            (201, r#"{"status":"stored","seq":7}"#, Voice::Other),
            (200, r#"{"status":"stored","seq":7,"x":1}"#, Voice::Other),
            (200, r#"{"ok":true}"#, Voice::Other),
            (404, "<html>", Voice::Other),
            (200, "", Voice::Other),
            (
                200,
                "# TYPE subledger_requests_total counter\n",
                Voice::Ours,
            ),
        ] {
            assert_eq!(answer(status, body).voice(), voice, "{status} {body}");
        }
    }

    #[test]
    fn every_answer_of_the_receiver_is_known_here() {
        // As receiver/reply.rs writes them: an error that is missing there or here would be taken for a stranger's.
        let reply = include_str!("../../receiver/reply.rs");
        let written = reply.matches("r#\"{\"error\":").count();
        assert_eq!(written, OUR_ERRORS.len());
        for (_, error) in OUR_ERRORS {
            assert!(
                reply.contains(&format!("{{\"error\":\"{error}\"}}")),
                "{error}"
            );
        }
    }

    #[test]
    fn each_failure_says_what_it_means() {
        let address = Address::parse("https://example.org/in").unwrap();
        let not_ours = "<html></html>";
        for (status, body, says) in [
            (200, not_ours, "would take it for received"),
            (204, "", "would take it for received"),
            (200, r#"{"status":"ready"}"#, "another method than POST"),
            (401, not_ours, "a password of its own"),
            (401, r#"{"error":"unauthorized"}"#, "credentials"),
            (403, not_ours, "a firewall"),
            (404, not_ours, "urls --proxy"),
            (404, r#"{"error":"not_found"}"#, "take /in off"),
            (405, not_ours, "takes no POST"),
            (413, not_ours, "limit of a body"),
            (429, r#"{"error":"too_many_failures"}"#, "in a minute"),
            (502, not_ours, "finds no receiver"),
            (503, not_ours, "nowhere to forward"),
            (503, r#"{"error":"unavailable"}"#, "cannot store"),
            (504, not_ours, "in time"),
            (530, not_ours, "cloudflared"),
            (599, not_ours, "error log"),
            (418, not_ours, "who listens there"),
        ] {
            let fault = answer(status, body).fault(&address, "k_secret");
            assert!(fault.starts_with(&status.to_string()), "{fault}");
            assert!(fault.contains(says), "{fault}");
        }
        let challenge = Answer {
            is_challenge: true,
            ..answer(403, not_ours)
        };
        assert!(challenge.fault(&address, "").contains("human"));
    }

    #[test]
    fn a_redirection_says_where_to_and_keeps_the_secret() {
        let from = "http://example.org/in";
        for (from, location, says) in [
            (
                from,
                "https://example.org/in/hooks/zotlo/events/k_secret",
                "public_url https://example.org/in, reload",
            ),
            (
                from,
                "http://www.example.org/in/hooks/zotlo/events/k_secret",
                "public_url http://www.example.org/in, reload",
            ),
            (
                "https://example.org",
                "http://example.org/hooks/zotlo/events/k_secret",
                "forward /hooks/* as it comes",
            ),
            (
                from,
                "/in/hooks/zotlo/events/k_secret/",
                "forward /in/hooks/* as it comes",
            ),
            (
                from,
                "https://example.net/%2fhooks%2fzotlo%2fevents%2f%6b%5fsecret",
                "redirects to https://example.net/...; ",
            ),
            (
                from,
                "https://example.org/login?next=%2Fhooks%2Fzotlo%2Fevents%2Fk_secret",
                "forward /in/hooks/* as it comes",
            ),
        ] {
            let address = Address::parse(from).unwrap();
            let answer = Answer {
                location: Some(location.to_owned()),
                ..answer(301, "")
            };
            let fault = answer.fault(&address, "k_secret");
            assert!(fault.contains(says), "{fault}");
            assert!(!fault.contains("secret"), "{fault}");
        }
        let nowhere = answer(302, "").fault(&Address::parse(from).unwrap(), "");
        assert!(nowhere.contains("to nowhere"), "{nowhere}");
    }
}
