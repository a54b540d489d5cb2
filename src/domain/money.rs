//! Money from the exact token that a provider sent, never through a float.

use std::fmt;
use std::str::FromStr;

use iso_currency::Currency;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// An amount: minor units where they are known beyond doubt, and the token as sent in any case.
///
/// | field | shape |
/// |---|---|
/// | `minor` | minor units; `None` with a `flag` where the token or currency does not tell them |
/// | `currency` | three capital letters as sent; empty if none was sent |
/// | `exponent` | digits after the point of that currency: 2 for EUR, 0 for JPY; `None` if unknown |
/// | `text` | the provider's exact token, with `-` before it for a refund |
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Minor units.
    pub minor: Option<i64>,
    /// ISO 4217 code.
    pub currency: String,
    /// Digits after the point.
    pub exponent: Option<u8>,
    /// The exact token.
    pub text: String,
    /// Why `minor` is absent or not exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<MoneyFlag>,
}

/// Why an amount needs a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoneyFlag {
    /// Within a millionth of a minor unit, rounded half-even: float noise such as `2.9900000000000002`.
    Rounded,
    /// More digits than the currency has.
    Inexact,
    /// No currency was sent.
    NoCurrency,
    /// The currency is not in ISO 4217.
    UnknownCurrency,
    /// Not a decimal number, or more digits than can be held.
    NotANumber,
    /// More than anybody pays: summed with others it could leave the range of a sum.
    TooLarge,
}

impl MoneyFlag {
    /// The words on screen and in `payments.flag`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rounded => "rounded",
            Self::Inexact => "more digits than the currency has",
            Self::NoCurrency => "no currency",
            Self::UnknownCurrency => "unknown currency",
            Self::NotANumber => "not a number",
            Self::TooLarge => "too large to be a price",
        }
    }
}

/// How far from a whole minor unit float noise may lie.
const NOISE_MAX: Decimal = Decimal::from_parts(1, 0, 0, false, 6);

/// The most minor units that are believed: one that fills 64 bits would fail every sum it is in, for SQLite gives up on
/// a query whose sum leaves them. Above any number that a float still tells from its neighbour.
const MINOR_MAX: u64 = 1_000_000_000_000_000_000;

impl Money {
    /// Reads `token` (`289.5`, `"201.00"` without its quotes, `1e2`) as an amount in `currency`.
    pub fn read(token: &str, currency: &str) -> Self {
        let currency = currency.trim().to_ascii_uppercase();
        let known = Currency::from_code(&currency);
        let exponent = known
            .and_then(Currency::exponent)
            .and_then(|digits| u8::try_from(digits).ok());
        let (minor, flag) = match (currency.is_empty(), exponent) {
            (true, _) => (None, Some(MoneyFlag::NoCurrency)),
            (false, None) => (None, Some(MoneyFlag::UnknownCurrency)),
            (false, Some(digits)) => to_minor(token, digits),
        };
        Self {
            minor,
            currency,
            exponent,
            text: token.to_owned(),
            flag,
        }
    }

    /// The same amount going the other way.
    #[must_use]
    pub fn negated(mut self) -> Self {
        self.minor = self.minor.map(|minor| -minor);
        self.text = match self.text.strip_prefix('-') {
            Some(rest) => rest.to_owned(),
            None => format!("-{}", self.text),
        };
        self
    }

    /// The amount in major units, for reading only.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a REAL for reading, never summed or compared"
    )]
    pub fn real(&self) -> Option<f64> {
        Some(self.minor? as f64 / 10_f64.powi(i32::from(self.exponent?)))
    }
}

fn to_minor(token: &str, digits: u8) -> (Option<i64>, Option<MoneyFlag>) {
    let token = token.trim();
    let Some(exact) = decimal(token).and_then(|value| shifted(value, digits)) else {
        return (None, Some(MoneyFlag::NotANumber));
    };
    let part = exact.fract().abs();
    let noise = part.min(Decimal::ONE - part);
    match i64::from_str(&exact.round().to_string()).ok() {
        None => (None, Some(MoneyFlag::NotANumber)),
        Some(minor) if minor.unsigned_abs() > MINOR_MAX => (None, Some(MoneyFlag::TooLarge)),
        minor if noise.is_zero() => (minor, None),
        minor if noise <= NOISE_MAX => (minor, Some(MoneyFlag::Rounded)),
        _ => (None, Some(MoneyFlag::Inexact)),
    }
}

/// The decimal that `token` is, with or without a power of ten; `None` where it has more digits than can be held.
fn decimal(token: &str) -> Option<Decimal> {
    let Some((digits, _)) = token.split_once(['e', 'E']) else {
        return Decimal::from_str_exact(token).ok();
    };
    // Reading a power of ten cuts digits that cannot be held without a word.
    Decimal::from_str_exact(digits).ok()?;
    Decimal::from_scientific(token).ok()
}

/// `value` with its point so many digits further right. Moving the point loses nothing; multiplying what has digits
/// behind it may.
fn shifted(mut value: Decimal, digits: u8) -> Option<Decimal> {
    let digits = u32::from(digits);
    let behind = value.scale();
    value.set_scale(behind.saturating_sub(digits)).ok()?;
    value.checked_mul(Decimal::from(10_u64.pow(digits.saturating_sub(behind))))
}

/// `12,345.60`, grouped by thousands, as the screen shows minor units.
pub fn grouped(minor: impl Into<i128>, exponent: u8) -> String {
    let minor = minor.into();
    let digits = minor.unsigned_abs().to_string();
    let exponent = usize::from(exponent);
    let padded = format!("{digits:0>width$}", width = exponent + 1);
    let (whole, fraction) = padded.split_at(padded.len() - exponent);
    let mut out = String::with_capacity(padded.len() + padded.len() / 3 + 2);
    if minor < 0 {
        out.push('-');
    }
    for (i, digit) in whole.char_indices() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if exponent > 0 {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.minor, self.exponent) {
            (Some(minor), Some(exponent)) => {
                write!(f, "{} {}", grouped(minor, exponent), self.currency)
            }
            _ => write!(f, "{} {}?", self.text, self.currency),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A decimal as its digits alone, read without any arithmetic of numbers.
    struct Written {
        negative: bool,
        digits: String,
        exponent: i32,
    }

    impl Written {
        fn token(&self, point: usize, letter: char) -> String {
            let (whole, part) = self.digits.split_at(point);
            let sign = if self.negative { "-" } else { "" };
            let part = if part.is_empty() {
                String::new()
            } else {
                format!(".{part}")
            };
            let power = match self.exponent {
                0 => String::new(),
                exponent => format!("{letter}{exponent}"),
            };
            format!("{sign}{whole}{part}{power}")
        }

        /// Minor units and what stands behind their point, of a currency with so many digits.
        fn shifted(&self, point: usize, digits: u8) -> (String, String) {
            let places = i32::try_from(point).unwrap() + self.exponent + i32::from(digits);
            let lead = "0".repeat(usize::try_from((-places).max(0)).unwrap());
            let mut all = format!("{lead}{}", self.digits);
            let places = usize::try_from(places.max(0)).unwrap();
            while all.len() < places {
                all.push('0');
            }
            let (units, rest) = all.split_at(places);
            (plain(units), rest.trim_end_matches('0').to_owned())
        }
    }

    /// Without leading zeros.
    fn plain(digits: &str) -> String {
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() { "0" } else { digits }.to_owned()
    }

    /// `digits` and one.
    fn next(digits: &str) -> String {
        let nines = digits.len() - digits.trim_end_matches('9').len();
        let (front, zeros) = (&digits[..digits.len() - nines], "0".repeat(nines));
        match front.as_bytes().last() {
            None => format!("1{zeros}"),
            Some(last) => format!(
                "{}{}{zeros}",
                &front[..front.len() - 1],
                char::from(last + 1)
            ),
        }
    }

    fn check_written(written: &Written, point: usize, letter: char, currency: &str, digits: u8) {
        let token = written.token(point, letter);
        let money = Money::read(&token, currency);
        let (units, rest) = written.shifted(point, digits);
        // Within a millionth of the unit below or above.
        let (near, expected) = match rest.as_str() {
            "" => (true, units),
            rest if rest.starts_with("000000") || rest == "000001" => (true, units),
            rest if rest.starts_with("999999") => (true, next(&units)),
            _ => (false, units),
        };
        assert_eq!(money.exponent, Some(digits));
        let long = written.digits.len() > 18 || expected.len() > 18;
        let Some(minor) = money.minor else {
            assert!(
                money.flag.is_some() && (long || !near),
                "{token}: {money:?}"
            );
            return;
        };
        assert!(near, "{token}: {money:?}");
        assert_eq!(
            money.flag,
            (!rest.is_empty()).then_some(MoneyFlag::Rounded),
            "{token}"
        );
        assert_eq!(minor.unsigned_abs().to_string(), expected, "{token}");
        assert!(minor == 0 || (minor < 0) == written.negative, "{token}");
        let shown = grouped(minor, digits).replace(',', "");
        let split = shown.replace(['.', '-'], "");
        assert_eq!(plain(&split), expected, "{token}");
        assert_eq!(
            shown.find('.').map_or(0, |at| shown.len() - at - 1),
            usize::from(digits)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn minor_units_and_their_text_are_those_of_the_digits_as_written(
            (digits, point) in prop_oneof![
                "[0-9]{1,12}",
                "[0-9]{1,4}(0{6,30}|9{6,30})[0-9]{0,2}",
                "[0-9]{1,40}",
            ].prop_flat_map(|digits| {
                let length = digits.len();
                (Just(digits), 1..=length)
            }),
            exponent in prop_oneof![4 => Just(0), 1 => -8_i32..12],
            (negative, letter) in (any::<bool>(), proptest::sample::select(&['e', 'E'][..])),
            (currency, minor_digits) in proptest::sample::select(
                &[("JPY", 0_u8), ("EUR", 2), ("inr", 2), ("KWD", 3), ("CLF", 4)][..],
            ),
        ) {
            let written = Written { negative, digits, exponent };
            check_written(&written, point, letter, currency, minor_digits);
        }
    }

    #[test]
    fn a_power_of_ten_hides_no_digits() {
        for token in [
            "1.00000000000000000000000000000000001e0",
            "1.00000000000000000000000000000000001e2",
        ] {
            let money = Money::read(token, "EUR");
            assert_eq!(
                (money.minor, money.flag),
                (None, Some(MoneyFlag::NotANumber)),
                "{token}"
            );
        }
    }

    #[test]
    fn tokens_become_minor_units_or_a_visible_flag() {
        let forty = "1234567890123456789012345678901234567890";
        for (token, currency, minor, flag) in [
            ("289.5", "INR", Some(28950), None),
            ("201.00", "INR", Some(20100), None),
            ("13.26", "usd", Some(1326), None),
            ("0", "TRY", Some(0), None),
            (
                "2.9900000000000002",
                "USD",
                Some(299),
                Some(MoneyFlag::Rounded),
            ),
            (
                "147.01999999999998",
                "INR",
                Some(14702),
                Some(MoneyFlag::Rounded),
            ),
            ("1e2", "EUR", Some(10000), None),
            ("500", "JPY", Some(500), None),
            ("1.234", "KWD", Some(1234), None),
            ("1.2345", "CLF", Some(12345), None),
            ("1.234", "EUR", None, Some(MoneyFlag::Inexact)),
            ("10", "", None, Some(MoneyFlag::NoCurrency)),
            ("10", "ZZZ", None, Some(MoneyFlag::UnknownCurrency)),
            (forty, "EUR", None, Some(MoneyFlag::NotANumber)),
            ("1e16", "EUR", Some(1_000_000_000_000_000_000), None),
            (
                "10000000000000000.01",
                "EUR",
                None,
                Some(MoneyFlag::TooLarge),
            ),
            (
                "-92233720368547758.08",
                "EUR",
                None,
                Some(MoneyFlag::TooLarge),
            ),
            ("free", "EUR", None, Some(MoneyFlag::NotANumber)),
        ] {
            let money = Money::read(token, currency);
            assert_eq!(
                (money.minor, money.flag),
                (minor, flag),
                "{token} {currency}"
            );
            assert_eq!(money.text, token);
        }
    }

    #[test]
    fn a_refund_is_negative_in_units_and_token() {
        let money = Money::read("9.99", "USD").negated();
        assert_eq!((money.minor, money.text.as_str()), (Some(-999), "-9.99"));
        assert_eq!(money.to_string(), "-9.99 USD");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(4_821_000, 2), "48,210.00");
        assert_eq!(grouped(-5, 2), "-0.05");
        assert_eq!(grouped(1_234_567, 0), "1,234,567");
        assert_eq!(grouped(999, 3), "0.999");
    }
}
