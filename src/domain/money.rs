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
    let parsed = Decimal::from_str_exact(token).or_else(|_| Decimal::from_scientific(token));
    let Some(exact) = parsed
        .ok()
        .and_then(|value| value.checked_mul(Decimal::from(10_u64.pow(u32::from(digits)))))
    else {
        return (None, Some(MoneyFlag::NotANumber));
    };
    let whole = exact.round();
    let minor = i64::from_str(&whole.to_string()).ok();
    match (minor, (exact - whole).abs()) {
        (None, _) => (None, Some(MoneyFlag::NotANumber)),
        (Some(minor), _) if minor.unsigned_abs() > MINOR_MAX => (None, Some(MoneyFlag::TooLarge)),
        (minor, noise) if noise.is_zero() => (minor, None),
        (minor, noise) if noise <= NOISE_MAX => (minor, Some(MoneyFlag::Rounded)),
        _ => (None, Some(MoneyFlag::Inexact)),
    }
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
    use super::*;

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
