//! The ways a caller proves itself: path key, Basic, HMAC over the body, Svix and Standard Webhooks.
//!
//! Imports domain and config, and knows no provider. Every comparison of a secret goes through `equal`. Reasons are
//! for the publisher and hold nothing of a credential or a body. Signed times are judged against the request's own
//! arrival, so that one that was turned away can be judged again later.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::Secret;
use crate::providers::{Proof, Request, Verdict};

/// So far a signed time may lie from the arrival, in either direction.
const SIGNED_TIME_TOLERANCE_S: i128 = 300;

/// Base64 of the standard alphabet, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How the bytes of a signature are written in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Two digits a byte, either case.
    Hex,
    /// Standard alphabet, padding optional.
    Base64,
}

impl Encoding {
    const fn other(self) -> Self {
        match self {
            Self::Hex => Self::Base64,
            Self::Base64 => Self::Hex,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }

    fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Hex => unhex(text),
            Self::Base64 => BASE64.decode(text).ok(),
        }
    }
}

/// Judges `Authorization: Basic` by any of `users` with any of `passwords`, each newest first; the proof is called
/// `basic`. `None` if the request has no such header. Where only users are known, a right one proves nothing and is
/// unchecked; where only passwords are, the password decides.
pub fn basic(request: &Request, users: &[Secret], passwords: &[Secret]) -> Option<Proof> {
    let mut values = request.header_all("authorization");
    let value = values.next()?;
    let verdict = if users.is_empty() && passwords.is_empty() {
        Verdict::Unchecked
    } else if values.next().is_some() {
        wrong("basic: the Authorization header was sent twice")
    } else {
        match basic_pair(value) {
            Ok((user, password)) => judge_pair(&user, &password, users, passwords),
            Err(why) => wrong(why),
        }
    };
    Some(Proof {
        name: "basic",
        verdict,
    })
}

fn basic_pair(value: &[u8]) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    let value = value.trim_ascii();
    let end = value
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return Err("basic: the Authorization header has another scheme");
    }
    let pair = BASE64
        .decode(rest.trim_ascii())
        .map_err(|_| "basic: not base64")?;
    let colon = pair
        .iter()
        .position(|byte| *byte == b':')
        .ok_or("basic: no colon between user and password")?;
    Ok((pair[..colon].to_vec(), pair[colon + 1..].to_vec()))
}

fn judge_pair(user: &[u8], password: &[u8], users: &[Secret], passwords: &[Secret]) -> Verdict {
    let user_nth = nth(user, users);
    let password_nth = nth(password, passwords);
    match (users.is_empty(), passwords.is_empty()) {
        (true, _) => password_nth.map_or_else(|| wrong("basic: password wrong"), Verdict::Right),
        (false, true) => match user_nth {
            Some(_) => Verdict::Unchecked,
            None => wrong("basic: user wrong"),
        },
        (false, false) => match (user_nth, password_nth) {
            (Some(user), Some(password)) => Verdict::Right(user.max(password)),
            (Some(_), None) => wrong("basic: user right, password wrong"),
            (None, Some(_)) => wrong("basic: user wrong, password right"),
            (None, None) if nth(password, users).is_some() && nth(user, passwords).is_some() => {
                wrong("basic: user and password are swapped")
            }
            (None, None) => wrong("basic: user wrong"),
        },
    }
}

/// Judges `header` (lower case), which holds an HMAC-SHA256 in `encoding`, perhaps behind `prefix`, over what `signed`
/// makes of the request; `None` from `signed` means that the request lacks a part of it. The proof is called
/// `signature`; without secrets it is unchecked. `None` if the request has no such header.
pub fn hmac_header(
    request: &Request,
    header: &str,
    prefix: &str,
    encoding: Encoding,
    secrets: &[Secret],
    signed: &dyn Fn(&Request) -> Option<Vec<u8>>,
) -> Option<Proof> {
    let mut values = request.header_all(header);
    let value = values.next()?.trim_ascii();
    let verdict = if secrets.is_empty() {
        Verdict::Unchecked
    } else if values.next().is_some() {
        wrong("signature header sent twice")
    } else {
        let keys: Vec<&[u8]> = secrets.iter().map(|key| key.expose().as_bytes()).collect();
        let value = value.strip_prefix(prefix.as_bytes()).unwrap_or(value);
        judge_hmac(request, value, encoding, &keys, signed)
    };
    Some(Proof {
        name: "signature",
        verdict,
    })
}

fn judge_hmac(
    request: &Request,
    value: &[u8],
    encoding: Encoding,
    keys: &[&[u8]],
    signed: &dyn Fn(&Request) -> Option<Vec<u8>>,
) -> Verdict {
    let Some(message) = signed(request) else {
        return wrong("signature not judged: a part of what is signed is missing");
    };
    let given: Vec<Vec<u8>> = encoding.decode(value).into_iter().collect();
    if let Some(nth) = signing_key(&given, &message, keys) {
        return Verdict::Right(nth);
    }
    let other: Vec<Vec<u8>> = encoding.other().decode(value).into_iter().collect();
    if signing_key(&other, &message, keys).is_some() {
        return Verdict::Wrong(format!(
            "signature right, but in {} where {} was expected",
            encoding.other().word(),
            encoding.word()
        ));
    }
    if given.is_empty() {
        return Verdict::Wrong(format!("signature wrong: not {}", encoding.word()));
    }
    wrong(nearly_right(request, &given, keys, signed))
}

/// Judges the signature headers of Svix (`svix-id`, `svix-timestamp`, `svix-signature`) or of Standard Webhooks
/// (`webhook-*`) by `keys`, newest first, and their time by the request's arrival, five minutes either way. The proof
/// is called `signature`; without keys it is unchecked. `None` if the request has neither signature header. Where both
/// are present, both must be right.
pub fn svix(request: &Request, keys: &[Vec<u8>]) -> Option<Proof> {
    let verdicts: Vec<Verdict> = [
        ["svix-id", "svix-timestamp", "svix-signature"],
        ["webhook-id", "webhook-timestamp", "webhook-signature"],
    ]
    .into_iter()
    .filter(|names| request.header_all(names[2]).next().is_some())
    .map(|names| judge_svix(request, names, keys))
    .collect();
    let first = verdicts.first()?;
    let verdict = verdicts
        .iter()
        .find(|verdict| matches!(verdict, Verdict::Wrong(_)))
        .unwrap_or(first)
        .clone();
    Some(Proof {
        name: "signature",
        verdict,
    })
}

/// The key in a Svix secret: base64 behind an optional `whsec_`. `None` if it is not that, or empty.
pub fn svix_key(secret: &Secret) -> Option<Vec<u8>> {
    let text = secret.expose().trim();
    let key = BASE64
        .decode(text.strip_prefix("whsec_").unwrap_or(text))
        .ok()?;
    (!key.is_empty()).then_some(key)
}

fn judge_svix(request: &Request, names: [&str; 3], keys: &[Vec<u8>]) -> Verdict {
    if keys.is_empty() {
        return Verdict::Unchecked;
    }
    let [id, time, entries] = match names.map(|name| only(request, name)) {
        [Ok(id), Ok(time), Ok(entries)] => [id, time, entries],
        [id, time, entries] => {
            let why = [id, time, entries].into_iter().find_map(Result::err);
            return Verdict::Wrong(why.unwrap_or_default());
        }
    };
    let given: Vec<Vec<u8>> = entries
        .split(u8::is_ascii_whitespace)
        .filter_map(|entry| BASE64.decode(entry.strip_prefix(b"v1,")?).ok())
        .collect();
    if given.is_empty() {
        return wrong("signature wrong: no v1 entry");
    }
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let signed = |request: &Request| Some([id, b".", time, b".", &request.body].concat());
    let message = signed(request).unwrap_or_default();
    let Some(nth) = signing_key(&given, &message, &keys) else {
        return wrong(nearly_right(request, &given, &keys, &signed));
    };
    match seconds_off(request, time) {
        None => wrong("signed time is no number of seconds"),
        Some(off) if off > SIGNED_TIME_TOLERANCE_S => {
            Verdict::Wrong(format!("signed time {off} s off"))
        }
        Some(_) => Verdict::Right(nth),
    }
}

/// The one value of a header that must be there once.
fn only<'a>(request: &'a Request, name: &'a str) -> Result<&'a [u8], String> {
    let mut values = request.header_all(name);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.trim_ascii()),
        (None, _) => Err(format!("signature not judged: no {name} header")),
        (Some(_), Some(_)) => Err(format!("signature not judged: {name} sent twice")),
    }
}

/// How far the signed time lies from the arrival, in seconds; `None` if it is no number. Wide enough for any `i64`.
fn seconds_off(request: &Request, time: &[u8]) -> Option<i128> {
    let signed: i64 = std::str::from_utf8(time).ok()?.parse().ok()?;
    let arrived = request.received_at.ms().div_euclid(1_000);
    Some((i128::from(arrived) - i128::from(signed)).abs())
}

/// Judges the last part of a path by `keys`, newest first; without keys it is unchecked.
pub fn path_key(key: &str, keys: &[Secret]) -> Verdict {
    if keys.is_empty() {
        return Verdict::Unchecked;
    }
    nth(key.as_bytes(), keys).map_or_else(|| wrong("secret link wrong"), Verdict::Right)
}

/// HMAC-SHA256 of `message`.
#[expect(
    clippy::missing_panics_doc,
    reason = "it cannot: HMAC takes a key of any length"
)]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Lower-case hex digits, two a byte.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Whether `a` and `b` are the same bytes, in a time that tells neither where they differ nor how long they are.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    Sha256::digest(a).ct_eq(&Sha256::digest(b)).into()
}

/// The place of the first of `secrets` that `given` is; each is compared, whichever it is.
fn nth(given: &[u8], secrets: &[Secret]) -> Option<usize> {
    first_true(
        secrets
            .iter()
            .map(|secret| equal(given, secret.expose().as_bytes())),
    )
}

/// The place of the first key under which any of `given` signs `message`.
fn signing_key(given: &[Vec<u8>], message: &[u8], keys: &[&[u8]]) -> Option<usize> {
    first_true(keys.iter().map(|key| {
        let right = hmac_sha256(key, message);
        given
            .iter()
            .fold(false, |found, given| found | equal(given, &right))
    }))
}

/// Looks at all of `answers`, so that the time taken does not tell which was true.
fn first_true(answers: impl Iterator<Item = bool>) -> Option<usize> {
    answers
        .enumerate()
        .fold(None, |first, (place, yes)| match first {
            None if yes => Some(place),
            other => other,
        })
}

/// What would have made a wrong signature right, where something on the way changed the end of the body or a key was
/// pasted with space around it.
fn nearly_right(
    request: &Request,
    given: &[Vec<u8>],
    keys: &[&[u8]],
    signed: &dyn Fn(&Request) -> Option<Vec<u8>>,
) -> &'static str {
    let signs = |body: &[u8], keys: &[&[u8]]| {
        let other = Request {
            body: body.to_vec(),
            ..request.clone()
        };
        signed(&other).is_some_and(|message| signing_key(given, &message, keys).is_some())
    };
    let body = request.body.as_slice();
    let cut = body
        .strip_suffix(b"\r\n")
        .or_else(|| body.strip_suffix(b"\n"));
    if cut.is_some_and(|body| signs(body, keys)) {
        return "signature right if the body had no trailing newline";
    }
    if cut.is_none() && signs(&[body, b"\n"].concat(), keys) {
        return "signature right if the body had a trailing newline";
    }
    let trimmed: Vec<&[u8]> = keys.iter().map(|key| key.trim_ascii()).collect();
    if trimmed != keys && signs(body, &trimmed) {
        return "signature right if the secret had no space around it";
    }
    "signature wrong"
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn wrong(why: &str) -> Verdict {
    Verdict::Wrong(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn request(headers: &[(&str, &str)], body: &str, received_s: i64) -> Request {
        Request {
            hook: "events".to_owned(),
            path_key: None,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
            body: body.as_bytes().to_vec(),
            received_at: Timestamp::from_ms(received_s.saturating_mul(1000)),
            remote_ip: "192.0.2.1".to_owned(),
        }
    }

    fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret::new(*text)).collect()
    }

    fn authorization(value: &str, users: &[&str], passwords: &[&str]) -> Verdict {
        basic(
            &request(&[("authorization", value)], "", 0),
            &secrets(users),
            &secrets(passwords),
        )
        .unwrap()
        .verdict
    }

    fn pair(user: &str, password: &str) -> String {
        format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
    }

    fn why(verdict: Verdict) -> String {
        match verdict {
            Verdict::Wrong(why) => why,
            other => panic!("not wrong: {other:?}"),
        }
    }

    #[test]
    fn the_documented_basic_header_is_right_in_any_case_of_its_scheme() {
        for scheme in ["Basic", "basic", "BASIC"] {
            let value = format!("{scheme} ZXhhbXBsZS1hcGkta2V5OmV4YW1wbGUtYXBpLXNlY3JldA==");
            assert_eq!(
                authorization(&value, &["example-api-key"], &["example-api-secret"]),
                Verdict::Right(0)
            );
        }
    }

    #[test]
    fn a_password_may_hold_colons() {
        let value = pair("key", "a:b:c");
        assert_eq!(
            authorization(&value, &["key"], &["a:b:c"]),
            Verdict::Right(0)
        );
        assert_eq!(
            why(authorization(&value, &["key:a"], &["b:c"])),
            "basic: user wrong"
        );
    }

    #[test]
    fn a_wrong_basic_header_says_which_half() {
        let judged = |value: &str| why(authorization(value, &["key"], &["secret"]));
        for (value, reason) in [
            (pair("key", "x"), "basic: user right, password wrong"),
            (pair("x", "secret"), "basic: user wrong, password right"),
            (pair("x", "y"), "basic: user wrong"),
            (
                pair("secret", "key"),
                "basic: user and password are swapped",
            ),
            ("Basic !!".to_owned(), "basic: not base64"),
            (
                "Basic a2V5".to_owned(),
                "basic: no colon between user and password",
            ),
            (
                "Basic".to_owned(),
                "basic: no colon between user and password",
            ),
            (
                "Bearer abc".to_owned(),
                "basic: the Authorization header has another scheme",
            ),
        ] {
            assert_eq!(judged(&value), reason);
        }
    }

    #[test]
    fn an_older_password_is_right_and_told_apart() {
        let value = pair("key", "old");
        assert_eq!(
            authorization(&value, &["key"], &["new", "old"]),
            Verdict::Right(1)
        );
    }

    #[test]
    fn what_the_settings_cannot_judge_is_unchecked() {
        let value = pair("key", "secret");
        assert_eq!(authorization(&value, &[], &[]), Verdict::Unchecked);
        assert_eq!(authorization("Bearer x", &[], &[]), Verdict::Unchecked);
        assert_eq!(authorization(&value, &["key"], &[]), Verdict::Unchecked);
        assert_eq!(why(authorization(&value, &["x"], &[])), "basic: user wrong");
        assert_eq!(authorization(&value, &[], &["secret"]), Verdict::Right(0));
        assert_eq!(basic(&request(&[], "", 0), &[], &secrets(&["s"])), None);
    }

    #[test]
    fn a_basic_header_sent_twice_is_wrong_even_if_both_are_right() {
        let value = pair("key", "secret");
        let twice = request(
            &[("authorization", &value), ("authorization", &value)],
            "",
            0,
        );
        let proof = basic(&twice, &secrets(&["key"]), &secrets(&["secret"])).unwrap();
        assert_eq!(
            why(proof.verdict),
            "basic: the Authorization header was sent twice"
        );
    }

    const BODY: &str = r#"{"entity":"event","event":"cancelled.subscription"}"#;
    const SIGNATURE: &str = "746c80e5fc64c45145220e026ea0705f9576e8ce30d0776b5afe078004773717";

    fn over_body(headers: &[(&str, &str)], body: &str, keys: &[&str]) -> Option<Verdict> {
        hmac_header(
            &request(headers, body, 0),
            "x-signature",
            "sha256=",
            Encoding::Hex,
            &secrets(keys),
            &|request| Some(request.body.clone()),
        )
        .map(|proof| proof.verdict)
    }

    #[test]
    fn the_documented_body_signature_is_right() {
        let upper = SIGNATURE.to_uppercase();
        let prefixed = format!("sha256={SIGNATURE}");
        for value in [SIGNATURE, &upper, &prefixed] {
            assert_eq!(
                over_body(&[("x-signature", value)], BODY, &["example-webhook-secret"]),
                Some(Verdict::Right(0))
            );
        }
        assert_eq!(
            over_body(
                &[("x-signature", SIGNATURE)],
                BODY,
                &["newer", "example-webhook-secret"]
            ),
            Some(Verdict::Right(1))
        );
        assert_eq!(over_body(&[], BODY, &["example-webhook-secret"]), None);
        assert_eq!(
            over_body(&[("x-signature", SIGNATURE)], BODY, &[]),
            Some(Verdict::Unchecked)
        );
    }

    #[test]
    fn a_wrong_signature_says_what_would_have_made_it_right() {
        let key = "example-webhook-secret";
        let bytes = hmac_sha256(key.as_bytes(), BODY.as_bytes());
        let in_base64 = BASE64.encode(bytes);
        let with_newline = hex(&hmac_sha256(key.as_bytes(), format!("{BODY}\n").as_bytes()));
        let short = &SIGNATURE[..62];
        for (value, body, keys, reason) in [
            (
                SIGNATURE,
                format!("{BODY}\n"),
                key,
                "signature right if the body had no trailing newline",
            ),
            (
                SIGNATURE,
                format!("{BODY}\r\n"),
                key,
                "signature right if the body had no trailing newline",
            ),
            (
                &with_newline,
                BODY.to_owned(),
                key,
                "signature right if the body had a trailing newline",
            ),
            (
                SIGNATURE,
                BODY.to_owned(),
                " example-webhook-secret ",
                "signature right if the secret had no space around it",
            ),
            (
                &in_base64,
                BODY.to_owned(),
                key,
                "signature right, but in base64 where hex was expected",
            ),
            (SIGNATURE, BODY.to_owned(), "other", "signature wrong"),
            (short, BODY.to_owned(), key, "signature wrong"),
            ("zz", BODY.to_owned(), key, "signature wrong: not hex"),
        ] {
            let verdict = over_body(&[("x-signature", value)], &body, &[keys]).unwrap();
            assert_eq!(why(verdict), reason);
        }
    }

    #[test]
    fn a_signature_sent_twice_or_over_a_missing_part_is_wrong() {
        let twice = [("x-signature", SIGNATURE), ("x-signature", SIGNATURE)];
        let verdict = over_body(&twice, BODY, &["example-webhook-secret"]).unwrap();
        assert_eq!(why(verdict), "signature header sent twice");
        let missing = hmac_header(
            &request(&[("x-signature", SIGNATURE)], BODY, 0),
            "x-signature",
            "",
            Encoding::Hex,
            &secrets(&["k"]),
            &|_| None,
        );
        assert_eq!(
            why(missing.unwrap().verdict),
            "signature not judged: a part of what is signed is missing"
        );
    }

    const SVIX_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SVIX_BODY: &str = r#"{"event_type":"user.app.consent.delete","data":{"id":"3c3b2e0f5e8b9a7d1c4f6a2b8d9e0f11"}}"#;
    const SVIX_ENTRY: &str = "v1,EgeJYSjEGCbV546frjmL2nqOl5R8LZcvfSvU1fdfskY=";

    fn svix_at(family: &str, time: &str, entries: &str, received_s: i64) -> Verdict {
        let names = ["id", "timestamp", "signature"].map(|part| format!("{family}-{part}"));
        let headers = [
            (names[0].as_str(), "msg_example0001"),
            (names[1].as_str(), time),
            (names[2].as_str(), entries),
        ];
        let keys = [svix_key(&Secret::new(SVIX_SECRET)).unwrap()];
        svix(&request(&headers, SVIX_BODY, received_s), &keys)
            .unwrap()
            .verdict
    }

    #[test]
    fn the_documented_svix_vector_is_right_under_both_names() {
        let among = format!("v1a,AAAA v2,xx v1,AAAA {SVIX_ENTRY}");
        for family in ["svix", "webhook"] {
            for entries in [SVIX_ENTRY, &among] {
                assert_eq!(
                    svix_at(family, "1700000000", entries, 1_700_000_000),
                    Verdict::Right(0)
                );
            }
        }
    }

    #[test]
    fn a_signed_time_is_good_for_five_minutes_either_way() {
        for (received_s, reason) in [
            (1_700_000_300, None),
            (1_699_999_700, None),
            (1_700_000_301, Some("signed time 301 s off")),
            (1_699_999_588, Some("signed time 412 s off")),
        ] {
            let verdict = svix_at("svix", "1700000000", SVIX_ENTRY, received_s);
            match reason {
                None => assert_eq!(verdict, Verdict::Right(0)),
                Some(reason) => assert_eq!(why(verdict), reason),
            }
        }
    }

    #[test]
    fn the_ends_of_time_are_wrong_and_never_panic() {
        let key = svix_key(&Secret::new(SVIX_SECRET)).unwrap();
        for time in [
            i64::MIN.to_string(),
            i64::MAX.to_string(),
            "9".repeat(40),
            "soon".to_owned(),
        ] {
            let message = format!("msg_example0001.{time}.{SVIX_BODY}");
            let entry = format!(
                "v1,{}",
                BASE64.encode(hmac_sha256(&key, message.as_bytes()))
            );
            for received_s in [i64::MIN, 0, i64::MAX] {
                assert!(why(svix_at("svix", &time, &entry, received_s)).starts_with("signed time"));
            }
        }
    }

    #[test]
    fn an_incomplete_or_doubled_svix_request_is_wrong() {
        let keys = [svix_key(&Secret::new(SVIX_SECRET)).unwrap()];
        let judged = |headers: &[(&str, &str)]| {
            svix(&request(headers, SVIX_BODY, 1_700_000_000), &keys).map(|proof| why(proof.verdict))
        };
        let id = ("svix-id", "msg_example0001");
        let time = ("svix-timestamp", "1700000000");
        let entry = ("svix-signature", SVIX_ENTRY);
        assert_eq!(judged(&[id, time]), None);
        assert_eq!(
            judged(&[id, entry]).unwrap(),
            "signature not judged: no svix-timestamp header"
        );
        assert_eq!(
            judged(&[id, time, entry, entry]).unwrap(),
            "signature not judged: svix-signature sent twice"
        );
        assert_eq!(
            judged(&[id, time, ("svix-signature", "v1a,AAAA")]).unwrap(),
            "signature wrong: no v1 entry"
        );
        assert_eq!(
            judged(&[id, time, entry, ("webhook-signature", "v1,AAAA")]).unwrap(),
            "signature not judged: no webhook-id header"
        );
    }

    #[test]
    fn a_svix_secret_is_base64_behind_an_optional_prefix() {
        let key = svix_key(&Secret::new(SVIX_SECRET));
        assert_eq!(
            key,
            svix_key(&Secret::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
        );
        assert_eq!(svix_key(&Secret::new("whsec_not base64")), None);
        assert_eq!(svix_key(&Secret::new("whsec_")), None);
    }

    #[test]
    fn a_path_key_is_right_wrong_or_not_to_be_judged() {
        let keys = secrets(&["k_new", "k_old"]);
        assert_eq!(path_key("k_new", &keys), Verdict::Right(0));
        assert_eq!(path_key("k_old", &keys), Verdict::Right(1));
        assert_eq!(why(path_key("k_ne", &keys)), "secret link wrong");
        assert_eq!(path_key("k_new", &[]), Verdict::Unchecked);
    }

    proptest::proptest! {
        #[test]
        fn any_headers_are_survived_and_none_is_right(
            values in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..40), 7),
            received_ms: i64,
        ) {
            let names = [
                "svix-id", "svix-timestamp", "svix-signature", "webhook-signature", "webhook-timestamp",
                "x-signature", "authorization",
            ];
            let mut request = request(&[], "{}", 0);
            request.received_at = Timestamp::from_ms(received_ms);
            request.headers = names.iter().map(|name| (*name).to_owned()).zip(values).collect();
            let key = secrets(&["key"]);
            let body = |request: &Request| Some(request.body.clone());
            let judged = [
                svix(&request, &[b"key".to_vec()]),
                basic(&request, &key, &key),
                hmac_header(&request, "x-signature", "", Encoding::Hex, &key, &body),
                hmac_header(&request, "x-signature", "v=", Encoding::Base64, &key, &body),
            ];
            for proof in judged.into_iter().flatten() {
                proptest::prop_assert!(matches!(proof.verdict, Verdict::Wrong(_)));
            }
        }
    }
}
