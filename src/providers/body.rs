//! A body as JSON, read with patience: exact number tokens, the last of equal keys, any depth, broken escapes.
//!
//! Imports domain. Never knows a provider's field names. Numbers stay the text that was sent, so no amount passes
//! through a float; what is not looked at is never decoded, so one odd value spoils nothing else.

use std::borrow::Cow;
use std::fmt;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::domain::time::Timestamp;

/// Deeper values go into `extra` as their text: what is stored must be readable again inside another object.
const EXTRA_DEPTH_MAX: usize = 64;

/// Longer keys are told apart by their hash.
const KEY_BYTES_MAX: usize = 400;

/// A body as text, ready to be read.
pub(crate) struct Body<'a>(Cow<'a, str>);

impl<'a> Body<'a> {
    /// Takes the bytes as sent: a byte order mark is skipped, an escape of half a surrogate pair reads as U+FFFD.
    /// The error says in words for the publisher why that cannot be, and holds nothing of the body.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(bytes).map_err(|_| "the body is not UTF-8 text")?;
        Ok(Self(mended(text.strip_prefix('\u{feff}').unwrap_or(text))))
    }

    /// As `new`, with U+FFFD for what is not UTF-8.
    pub(crate) fn lossy(bytes: &'a [u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Self(match String::from_utf8_lossy(bytes) {
            Cow::Borrowed(text) => mended(text),
            Cow::Owned(text) => Cow::Owned(mended(&text).into_owned()),
        })
    }

    /// The object that the body is. The error is as above.
    pub(crate) fn object(&self) -> Result<Object<'_>, &'static str> {
        let raw: &RawValue =
            serde_json::from_str(&self.0).map_err(|_| "the body is not valid JSON")?;
        Value(raw.get())
            .object()
            .ok_or("the body is JSON, but not an object")
    }
}

/// `text` with the escapes of lone surrogates replaced by that of U+FFFD, which has the same length.
fn mended(text: &str) -> Cow<'_, str> {
    let mut lone = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(step) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += step;
        match escaped_unit(bytes, at) {
            Some(0xd800..=0xdbff)
                if matches!(escaped_unit(bytes, at + 6), Some(0xdc00..=0xdfff)) =>
            {
                at += 12;
            }
            Some(0xd800..=0xdfff) => {
                lone.push(at);
                at += 6;
            }
            _ => at = (at + 2).min(bytes.len()),
        }
    }
    if lone.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for at in lone {
        out.push_str(&text[from..at]);
        out.push_str("\\ufffd");
        from = at + 6;
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// The UTF-16 unit that `\uXXXX` at `at` stands for.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0_u16, |unit, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some((unit << 4) | u16::try_from(value).ok()?)
    })
}

/// One JSON value, by its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    /// The JSON text as sent.
    pub(crate) fn raw(self) -> &'a str {
        self.0
    }

    /// A string exactly as sent; `None` for anything else.
    pub(crate) fn string(self) -> Option<String> {
        self.0
            .starts_with('"')
            .then(|| serde_json::from_str(self.0).ok())?
    }

    /// A string without the space around it, or the token of a number. Absent: an empty string, the text
    /// `undefined`, anything else. U+0000 reads as U+FFFD.
    pub(crate) fn text(self) -> Option<String> {
        let text = match self.0.bytes().next()? {
            b'"' => self.string()?,
            b'-' | b'0'..=b'9' => self.0.to_owned(),
            _ => return None,
        };
        let text = text.trim();
        (!text.is_empty() && text != "undefined").then(|| text.replace('\0', "\u{fffd}"))
    }

    /// `true`, `"true"`, `1`, `"1"` and their opposites.
    pub(crate) fn flag(self) -> Option<bool> {
        let text = self.text();
        match text.as_deref().unwrap_or(self.0) {
            "1" => Some(true),
            "0" => Some(false),
            word if word.eq_ignore_ascii_case("true") => Some(true),
            word if word.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// `true` or `false` and nothing like them.
    pub(crate) fn boolean(self) -> Option<bool> {
        self.0.parse().ok()
    }

    /// An instant in text.
    pub(crate) fn time(self) -> Option<Timestamp> {
        Timestamp::parse(&self.text()?)
    }

    /// An instant in text or in milliseconds since 1970.
    pub(crate) fn time_or_ms(self) -> Option<Timestamp> {
        let text = self.text()?;
        Timestamp::parse(&text).or_else(|| {
            Decimal::from_str_exact(&text)
                .or_else(|_| Decimal::from_scientific(&text))
                .ok()?
                .to_i64()
                .map(Timestamp::from_ms)
        })
    }

    /// The object that this is.
    pub(crate) fn object(self) -> Option<Object<'a>> {
        self.0.starts_with('{').then(|| {
            serde_json::from_str::<Fields<'a>>(self.0)
                .ok()
                .map(|fields| Object {
                    raw: self.0,
                    fields: fields.0,
                })
        })?
    }

    /// The values of the list that this is.
    pub(crate) fn list(self) -> Option<Vec<Value<'a>>> {
        self.0.starts_with('[').then(|| {
            serde_json::from_str::<Vec<&'a RawValue>>(self.0)
                .ok()
                .map(|values| values.into_iter().map(|raw| Value(raw.get())).collect())
        })?
    }

    /// This value for `extra`; where it is too deep or too large for that, its text.
    pub(crate) fn json(self) -> serde_json::Value {
        let shallow = depth(self.0) <= EXTRA_DEPTH_MAX;
        shallow
            .then(|| serde_json::from_str(self.0).ok())
            .flatten()
            .unwrap_or_else(|| serde_json::Value::String(self.0.to_owned()))
    }

    /// Neither an object nor a list.
    pub(crate) fn is_plain(self) -> bool {
        !self.0.starts_with(['{', '['])
    }
}

/// How deep the brackets of a JSON text are nested.
fn depth(json: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' if !in_string => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// One JSON object. The one without fields stands for an absent one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object<'a> {
    raw: &'a str,
    fields: Vec<(String, Value<'a>)>,
}

impl<'a> Object<'a> {
    /// The JSON text as sent; empty for an absent one.
    pub(crate) fn raw(&self) -> &'a str {
        self.raw
    }

    /// Nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// What stands under `key`, the last if it is there twice; `None` also for `null`.
    pub(crate) fn value(&self, key: &str) -> Option<Value<'a>> {
        self.fields
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| *value)
            .filter(|value| value.0 != "null")
    }

    /// The text or number under `key`.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.value(key)?.text()
    }

    /// The yes or no under `key`.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        self.value(key)?.flag()
    }

    /// The instant under `key`.
    pub(crate) fn time(&self, key: &str) -> Option<Timestamp> {
        self.value(key)?.time()
    }

    /// The object under `key`; an empty one if there is none.
    pub(crate) fn object(&self, key: &str) -> Object<'a> {
        self.value(key).and_then(Value::object).unwrap_or_default()
    }

    /// Every field, in the order sent.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, Value<'a>)> {
        self.fields
            .iter()
            .map(|(key, value)| (key.as_str(), *value))
    }

    /// Those of `keys` that are there, for `extra`.
    pub(crate) fn extra(&self, keys: &[&str]) -> serde_json::Map<String, serde_json::Value> {
        keys.iter()
            .filter_map(|key| Some(((*key).to_owned(), self.value(key)?.json())))
            .collect()
    }
}

struct Fields<'a>(Vec<(String, Value<'a>)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((key, raw)) = map.next_entry::<String, &'de RawValue>()? {
                    fields.push((key, Value(raw.get())));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// SHA-256 of `bytes`, 64 hexadecimal digits.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Two lower-case digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The text of a delivery key: `parts` joined by `:`, or their hash where they are long.
pub(crate) fn key_of(parts: &[&str]) -> String {
    let key = parts.join(":");
    if key.len() <= KEY_BYTES_MAX {
        return key;
    }
    format!("sha256:{}", sha256_hex(key.as_bytes()))
}

/// One `@` with something before and behind it, and no space.
pub(crate) fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && !host.is_empty()
            && !host.contains('@')
            && !text.contains(char::is_whitespace)
    })
}

/// The digits in `text`.
pub(crate) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, look: impl FnOnce(&Object<'_>)) {
        look(&Body::new(json.as_bytes()).unwrap().object().unwrap());
    }

    #[test]
    fn number_tokens_stay_as_sent() {
        read(
            r#"{"a":2.9900000000000002,"b":"9.99","c":1e400,"d":0}"#,
            |object| {
                assert_eq!(object.text("a").as_deref(), Some("2.9900000000000002"));
                assert_eq!(object.text("b").as_deref(), Some("9.99"));
                assert_eq!(object.text("c").as_deref(), Some("1e400"));
                assert_eq!(object.text("d").as_deref(), Some("0"));
                assert_eq!(object.value("c").unwrap().json(), "1e400");
            },
        );
    }

    #[test]
    fn the_last_of_equal_keys_counts_and_null_is_absent() {
        read(r#"{"a":1,"a":2,"b":3,"b":null}"#, |object| {
            assert_eq!(object.text("a").as_deref(), Some("2"));
            assert!(object.value("b").is_none());
        });
    }

    #[test]
    fn empty_undefined_and_nul_are_nothing_and_a_visible_mark() {
        read(
            r#"{"a":"","b":"undefined","c":"  ","d":"x\u0000y"}"#,
            |object| {
                assert_eq!(object.text("a"), None);
                assert_eq!(object.text("b"), None);
                assert_eq!(object.text("c"), None);
                assert_eq!(object.text("d").as_deref(), Some("x\u{fffd}y"));
            },
        );
    }

    #[test]
    fn half_a_surrogate_pair_spoils_nothing_else() {
        read(
            r#"{"\ud800":1,"a":"x\uD83Dy","b":"\ud83d\ude00","c":"\\ud800","d":"\udc00\ud800"}"#,
            |object| {
                assert_eq!(object.text("\u{fffd}").as_deref(), Some("1"));
                assert_eq!(object.text("a").as_deref(), Some("x\u{fffd}y"));
                assert_eq!(object.text("b").as_deref(), Some("😀"));
                assert_eq!(object.text("c").as_deref(), Some("\\ud800"));
                assert_eq!(object.text("d").as_deref(), Some("\u{fffd}\u{fffd}"));
            },
        );
    }

    #[test]
    fn any_depth_is_read_around_and_kept_as_text() {
        let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
        read(&format!(r#"{{"a":{deep},"b":"x"}}"#), |object| {
            assert_eq!(object.text("b").as_deref(), Some("x"));
            assert_eq!(object.value("a").unwrap().json(), *deep);
        });
        read(r#"{"a":[["]]]"]]}"#, |object| {
            assert!(object.value("a").unwrap().json().is_array());
        });
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        read("\u{feff}{\"a\":1}", |object| {
            assert_eq!(object.text("a").as_deref(), Some("1"));
        });
    }

    #[test]
    fn what_is_no_object_says_why() {
        let why = |bytes: &[u8]| match Body::new(bytes) {
            Err(why) => why,
            Ok(body) => body.object().err().unwrap(),
        };
        assert_eq!(why(b"\xff{}"), "the body is not UTF-8 text");
        assert_eq!(why(b"{"), "the body is not valid JSON");
        assert_eq!(why(b""), "the body is not valid JSON");
        assert_eq!(why(b"[{}]"), "the body is JSON, but not an object");
    }

    #[test]
    fn yes_and_no_come_in_many_forms() {
        read(
            r#"{"a":"0","b":1,"c":true,"d":"False","e":2,"f":{}}"#,
            |object| {
                assert_eq!(object.flag("a"), Some(false));
                assert_eq!(object.flag("b"), Some(true));
                assert_eq!(object.flag("c"), Some(true));
                assert_eq!(object.flag("d"), Some(false));
                assert_eq!(object.flag("e"), None);
                assert_eq!(object.flag("f"), None);
            },
        );
    }

    #[test]
    fn milliseconds_come_as_numbers_texts_or_instants() {
        read(
            r#"{"a":1738600000000,"b":"1738600000000","c":1.7386e12,"d":"2025-02-03T16:26:40.000Z","e":1e400}"#,
            |object| {
                for key in ["a", "b", "c", "d"] {
                    let at = object.value(key).unwrap().time_or_ms();
                    assert_eq!(at, Some(Timestamp::from_ms(1_738_600_000_000)), "{key}");
                }
                assert_eq!(object.value("e").unwrap().time_or_ms(), None);
            },
        );
    }

    #[test]
    fn long_keys_become_hashes_of_themselves() {
        assert_eq!(key_of(&["tx", "1", "0"]), "tx:1:0");
        let long = key_of(&["tx", &"x".repeat(5_000)]);
        assert!(long.starts_with("sha256:") && long.len() == 71);
    }
}
