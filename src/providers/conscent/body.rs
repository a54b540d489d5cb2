//! A body of Conscent's: what it takes for a time, a count, a blank, on top of how every provider's body is read.
//!
//! Imports domain and `providers::body`. Knows no field name.

use std::str::FromStr as _;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde_json::Value;

use crate::domain::time::Timestamp;
use crate::providers::body;

/// Numbers above this are milliseconds since the epoch, others seconds: the year 5138 in seconds.
const SECONDS_MAX: i64 = 100_000_000_000;

/// An object; a key that comes twice has its last value.
#[derive(Clone, Default)]
pub(super) struct Object<'a>(body::Object<'a>);

impl<'a> Object<'a> {
    /// The object that `body` is; `None` if it is anything else.
    pub(super) fn of(body: &'a body::Body<'_>) -> Option<Self> {
        body.object().ok().map(Self)
    }

    /// The value of `key` as written; null is absent.
    pub(super) fn raw(&self, key: &str) -> Option<&'a str> {
        Some(self.0.value(key)?.raw())
    }

    /// Whether `key` says something: not null, blank text or the word `undefined`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.raw(key)
            .is_some_and(|raw| !raw.starts_with('"') || self.exact_text(key).is_some())
    }

    /// The object under `key`.
    pub(super) fn object(&self, key: &str) -> Option<Self> {
        self.0.value(key)?.object().map(Self)
    }

    /// The object under `key`, or one that says nothing.
    pub(super) fn object_or_empty(&self, key: &str) -> Self {
        Self(self.0.object(key))
    }

    /// The values of the list under `key`, objects only, in order.
    pub(super) fn objects(&self, key: &str) -> Option<Vec<Self>> {
        let values = self.0.value(key)?.list()?.into_iter();
        let objects = values.map(|value| value.object().map(Self).unwrap_or_default());
        Some(objects.collect())
    }

    /// A text or number under `key`, as sent. Blank text and the word `undefined` are absent.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let text = self.exact_text(key)?;
        Some(text.replace('\0', "\u{fffd}"))
    }

    /// As `text`, with NUL left as it is: for comparing with what was signed.
    pub(super) fn exact_text(&self, key: &str) -> Option<String> {
        let value = self.0.value(key)?;
        // A number is text as well, true and false are none.
        value.text()?;
        Some(value.string().unwrap_or_else(|| value.raw().to_owned()))
    }

    /// As `text`, without space around it.
    pub(super) fn trimmed(&self, key: &str) -> Option<String> {
        self.text(key).map(|text| text.trim().to_owned())
    }

    /// true or false under `key`, be it a boolean, a text or 1 and 0. Anything else is absent.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.0.flag(key)
    }

    /// A whole number of at least 0 under `key`, `12` or `"12"` or `12.0`.
    pub(super) fn count(&self, key: &str) -> Option<u32> {
        let number = decimal(&self.text(key)?)?;
        (number.fract().is_zero()).then(|| number.to_u32())?
    }

    /// An instant under `key`: ISO 8601, or seconds or milliseconds since the epoch.
    pub(super) fn instant(&self, key: &str) -> Option<Timestamp> {
        let text = self.text(key)?;
        let Some(number) = decimal(text.trim()) else {
            return Timestamp::parse(&text);
        };
        let ms = if number.abs() > Decimal::from(SECONDS_MAX) {
            number
        } else {
            number.checked_mul(Decimal::ONE_THOUSAND)?
        };
        ms.trunc().to_i64().map(Timestamp::from_ms)
    }

    /// The value of `key` for keeping beside an event: numbers that would lose a digit as their text. `None` where it
    /// says nothing (null, false, empty) or is over `bytes_max`.
    pub(super) fn value(&self, key: &str, bytes_max: usize) -> Option<Value> {
        let raw = self.raw(key)?;
        if raw.len() > bytes_max || matches!(raw, "false" | "[]" | "{}") {
            return None;
        }
        if raw.starts_with(['{', '[']) {
            return serde_json::from_str(raw).ok();
        }
        if raw == "true" {
            return Some(Value::Bool(true));
        }
        let text = self.text(key)?;
        match serde_json::from_str::<serde_json::Number>(raw) {
            Ok(number) if lossless(&number, raw) => Some(Value::Number(number)),
            _ => Some(Value::String(text)),
        }
    }
}

fn lossless(number: &serde_json::Number, raw: &str) -> bool {
    let written = number.to_string();
    written == raw
}

/// Reads a decimal token, plain or with an exponent.
pub(super) fn decimal(token: &str) -> Option<Decimal> {
    let token = token.trim();
    Decimal::from_str(token)
        .or_else(|_| Decimal::from_scientific(token))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::body::Body;

    #[test]
    fn what_is_odd_elsewhere_does_no_harm() {
        let deep = "[".repeat(20_000) + &"]".repeat(20_000);
        let text = format!(
            r#"{{"deep":{deep},"huge":1e400,"lone":"\ud800x","a\udc00":1,"twice":1,"twice":2,"nul":"a\u0000b"}}"#
        );
        let body = Body::lossy(text.as_bytes());
        let object = Object::of(&body).unwrap();
        assert_eq!(object.text("huge").unwrap(), "1e400");
        assert_eq!(object.text("twice").unwrap(), "2");
        assert!(object.text("lone").unwrap().ends_with('x'));
        assert_eq!(object.text("nul").unwrap(), "a\u{fffd}b");
        assert_eq!(object.value("deep", 1 << 20), None);
        assert_eq!(object.value("huge", 100), Some(Value::from("1e400")));
        assert_eq!(object.instant("huge"), None);
        assert_eq!(object.count("huge"), None);
    }

    #[test]
    fn only_one_object_is_an_object() {
        for text in [
            "",
            "[]",
            "1",
            "null",
            "{",
            "{} {}",
            "{}x",
            r#"{"a":}"#,
            "{\"a\":1}\0",
        ] {
            assert!(
                Object::of(&Body::lossy(text.as_bytes())).is_none(),
                "{text}"
            );
        }
        for bytes in [&b" {}\r\n"[..], b"\xef\xbb\xbf{}", b"{\"a\":\"\xff\"}"] {
            assert!(Object::of(&Body::lossy(bytes)).is_some());
        }
    }

    #[test]
    fn blank_text_and_the_word_undefined_are_absent() {
        let body = Body::lossy(br#"{"a":"","b":" ","c":"undefined","d":null,"e":7,"f":true}"#);
        let object = Object::of(&body).unwrap();
        for key in ["a", "b", "c", "d", "f", "missing"] {
            assert_eq!(object.text(key), None, "{key}");
        }
        assert_eq!(object.text("e").unwrap(), "7");
    }

    #[test]
    fn flags_counts_and_instants_come_in_many_shapes() {
        let body = Body::lossy(
            br#"{"yes":true,"one":1,"no":"false","object":{"enabled":true},"dozen":"12","point":12.0,
                "half":0.5,"s":1709189670,"ms":1709189670000,"iso":"2024-02-29T06:54:30Z","end":1e300}"#,
        );
        let object = Object::of(&body).unwrap();
        assert_eq!(object.flag("yes"), Some(true));
        assert_eq!(object.flag("one"), Some(true));
        assert_eq!(object.flag("no"), Some(false));
        assert_eq!(object.flag("object"), None);
        assert_eq!(object.count("dozen"), Some(12));
        assert_eq!(object.count("point"), Some(12));
        assert_eq!(object.count("half"), None);
        for key in ["s", "ms", "iso"] {
            assert_eq!(object.instant(key).unwrap().ms(), 1_709_189_670_000);
        }
        assert_eq!(object.instant("end"), None);
    }
}
