//! What to do about a webhook that was turned away: from the reason that was kept with it.

/// Parts of a reason and what to do about it: the first that stands in the reason counts, the most telling come first.
const REMEDIES: &[(&str, &str)] = &[
    (
        "; the nearest is",
        "correct the link in the provider's dashboard: `subledger urls` and screen 9 show the right ones",
    ),
    (
        "the settings hold nothing to judge by",
        "add to your settings what `subledger urls` and screen 9 show as missing",
    ),
    (
        "no trailing newline",
        "what forwards to subledger adds a line break to the body: have it pass the bytes on as they come",
    ),
    (
        "a trailing newline",
        "what forwards to subledger cuts a line break off the body: have it pass the bytes on as they come",
    ),
    (
        "no space around it",
        "the secret in your settings has a blank or a line break around it that the provider's has not: enter it anew",
    ),
    (
        "was expected",
        "set in your settings how the provider writes its signature",
    ),
    (
        "signed time is no number",
        "the sender does not keep to the scheme that your settings name for it",
    ),
    (
        "s off",
        "a clock is wrong, or it was held up for long: `timedatectl` shows whether this machine's clock is set by the network",
    ),
    (
        "user and password are swapped",
        "exchange the two in the provider's dashboard or in your settings",
    ),
    (
        "user right, password wrong",
        "the account is the right one: copy the password, or API secret, into the dashboard or your settings again, \
         without blanks",
    ),
    (
        "user wrong, password right",
        "the password, or API secret, is right: copy the user, or API key, again",
    ),
    (
        "basic: ",
        "compare user and password (API key and secret) in the dashboard with your settings: they may be another account's",
    ),
    ("secret link wrong", NOT_YOURS),
    // As earlier ledgers say it.
    ("path key wrong", NOT_YOURS),
    (
        "not judged",
        "a header that the signature needs is missing: have what forwards to subledger pass all headers on",
    ),
    (
        "signature",
        "the secret is another than the provider's, or the body was changed on the way: copy the secret into your settings \
         again, and have what forwards to subledger pass the bytes on as they come",
    ),
    (
        "Content-Encoding",
        "have what forwards to subledger pass the body on uncompressed",
    ),
    (
        "receiver.body_limit",
        "raise `receiver.body_limit` if it is the provider that sends so much",
    ),
    (
        "did not arrive in time",
        "the caller's line was too slow: the provider sends it again",
    ),
    (
        "accounts",
        "give each account secrets of its own, in the dashboards and in your settings",
    ),
    (
        "no credential sent",
        "no secret came with it: paste the whole link that `subledger urls` shows, or have the provider sign",
    ),
];

/// What to do about a request that was turned away for `reason`; `None` where nothing more than the reason is known.
pub fn remedy(reason: &str) -> Option<&'static str> {
    let fits = |(part, _): &&(&str, &str)| reason.contains(part);
    REMEDIES.iter().find(fits).map(|(_, words)| *words)
}

/// What to do about a request whose secret link is not known.
const NOT_YOURS: &str = "its secret link is none of yours, perhaps one that was dropped: paste the link that `subledger urls` shows";

/// What to do about a request whose secret link was valid before.
const DROPPED: &str = "its secret link is one of yours that was dropped: paste the link that `subledger urls` and screen 9 show \
     into the provider's dashboard";

/// What to do about a provider that is quiet; `was_refused`: requests of it were turned away since its last webhook.
pub const fn about_quiet(was_refused: bool) -> &'static str {
    if was_refused {
        "it does call, and is turned away: see the reason"
    } else {
        "nothing was turned away since its last webhook: see in its dashboard whether the link is there and switched on, and with \
         `subledger doctor --public` whether it can be reached"
    }
}

/// What to do, where it is known whether the secret link `was_valid` before.
pub fn advice(reason: &str, was_valid: bool) -> Option<&'static str> {
    if was_valid && remedy(reason) == Some(NOT_YOURS) {
        return Some(DROPPED);
    }
    remedy(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_was_dropped_is_told_from_one_that_never_was() {
        let dropped = advice("secret link wrong", true).unwrap();
        assert!(dropped.contains("was dropped"), "{dropped}");
        assert_eq!(advice("path key wrong", true), Some(dropped));
        assert_eq!(
            advice("secret link wrong", false),
            remedy("secret link wrong")
        );
        assert_ne!(about_quiet(true), about_quiet(false));
        let swapped = "basic: user and password are swapped";
        assert_eq!(advice(swapped, true), remedy(swapped));
    }

    #[test]
    fn each_reason_has_its_own_remedy() {
        for (reason, word) in [
            (
                "nothing is at this path; the nearest is /hooks/zotlo/events",
                "correct the link",
            ),
            ("secret link wrong; basic right", "secret link"),
            ("basic: user right, password wrong", "API secret"),
            ("basic: user and password are swapped", "exchange"),
            ("basic: user wrong", "another account's"),
            ("signed time 412 s off", "clock"),
            (
                "signature right if the body had no trailing newline",
                "adds a line break",
            ),
            (
                "signature right if the body had a trailing newline",
                "cuts a line break off",
            ),
            (
                "signature right if the secret had no space around it",
                "enter it anew",
            ),
            (
                "signature right, but in base64 where hex was expected",
                "how the provider writes",
            ),
            (
                "signature not judged: no svix-id header",
                "pass all headers on",
            ),
            ("signature wrong; secret link right", "changed on the way"),
            ("the settings hold nothing to judge by: basic", "as missing"),
            ("no credential sent", "no secret came"),
            (
                "the body is compressed (Content-Encoding): send it as it is",
                "uncompressed",
            ),
            ("the body is over receiver.body_limit", "raise"),
            ("the body did not arrive in time", "too slow"),
            ("credentials of two accounts", "of its own"),
        ] {
            let words = remedy(reason).unwrap();
            assert!(words.contains(word), "{reason:?}: {words}");
        }
        assert_eq!(remedy("something else"), None);
    }

    #[test]
    fn no_remedy_is_hidden_behind_another() {
        for (at, (part, words)) in REMEDIES.iter().enumerate() {
            let before = REMEDIES[..at]
                .iter()
                .find(|(other, _)| part.contains(other));
            assert_eq!(before, None, "{words}");
        }
    }
}
