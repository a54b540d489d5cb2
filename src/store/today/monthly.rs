//! What subscriptions are worth a month (MAPPING.md rule 11.9): summed exactly, rounded once.

use rust_decimal::Decimal;

/// Subscriptions of one price and period.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PeriodPrice {
    /// Minor units per period.
    pub(crate) price_minor: i64,
    /// `day`, `week`, `month` or `year`.
    pub(crate) unit: Option<String>,
    /// How many of it.
    pub(crate) count: Option<i64>,
    /// Months, where unit and count are not told.
    pub(crate) months: f64,
    /// How many subscriptions.
    pub(crate) subscriptions: i64,
}

/// Minor units a month, half to even.
pub(crate) fn value(periods: &[PeriodPrice]) -> i128 {
    let sum = periods.iter().try_fold(Fraction::ZERO, |sum, period| {
        let (months, per) = months(period)?;
        let paid = i128::from(period.price_minor).checked_mul(period.subscriptions.into())?;
        sum.plus(Fraction::new(paid.checked_mul(per)?, months)?)
    });
    match sum {
        Some(sum) => sum.rounded(),
        // Beyond what i128 holds: so many periods of unlike length that their common measure overflows.
        None => approximate(periods),
    }
}

/// The length of a period in months as a fraction: a week is 84/365.25 of a month, a day 12/365.25.
fn months(period: &PeriodPrice) -> Option<(i128, i128)> {
    let count = i128::from(period.count.unwrap_or(1).max(1));
    Some(match period.unit.as_deref() {
        Some("month") => (count, 1),
        Some("year") => (12 * count, 1),
        Some("week") => (112 * count, 487),
        Some("day") => (16 * count, 487),
        _ => {
            let months = Decimal::from_f64_retain(period.months)?
                .round_dp(9)
                .normalize();
            (months.mantissa(), 10_i128.checked_pow(months.scale())?)
        }
    })
}

fn approximate(periods: &[PeriodPrice]) -> i128 {
    let sum: Decimal = periods
        .iter()
        .filter_map(|period| {
            let (months, per) = months(period)?;
            let months = Decimal::try_from_i128_with_scale(months, 0).ok()?
                / Decimal::from(i64::try_from(per).ok()?);
            Decimal::from(period.price_minor)
                .checked_mul(period.subscriptions.into())?
                .checked_div(months)
        })
        .sum();
    sum.round().mantissa()
}

#[derive(Clone, Copy)]
struct Fraction {
    over: i128,
    under: i128,
}

impl Fraction {
    const ZERO: Self = Self { over: 0, under: 1 };

    /// `None` for nothing under, which no period is.
    fn new(over: i128, under: i128) -> Option<Self> {
        let common = divisor(over, under);
        (common != 0 && under != 0).then(|| Self {
            over: over / common,
            under: under / common,
        })
    }

    fn plus(self, other: Self) -> Option<Self> {
        let over = self
            .over
            .checked_mul(other.under)?
            .checked_add(other.over.checked_mul(self.under)?)?;
        Self::new(over, self.under.checked_mul(other.under)?)
    }

    fn rounded(self) -> i128 {
        let whole = self.over.div_euclid(self.under);
        let rest = self.over.rem_euclid(self.under);
        let up = match (2 * rest).cmp(&self.under) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => whole.rem_euclid(2),
            std::cmp::Ordering::Greater => 1,
        };
        whole + up
    }
}

fn divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(price_minor: i64, unit: &str, count: i64, subscriptions: i64) -> PeriodPrice {
        PeriodPrice {
            price_minor,
            unit: Some(unit.to_owned()),
            count: Some(count),
            months: 0.0,
            subscriptions,
        }
    }

    #[test]
    fn a_year_is_twelve_months_and_a_week_a_part_of_one() {
        assert_eq!(value(&[period(12_000, "year", 1, 1)]), 1_000);
        assert_eq!(value(&[period(30_000, "month", 5, 2)]), 12_000);
        // 100 a week is 100 * 365.25 / 84 a month.
        assert_eq!(value(&[period(100, "week", 1, 1)]), 435);
        assert_eq!(value(&[period(100, "day", 1, 1)]), 3_044);
        assert_eq!(value(&[]), 0);
    }

    #[test]
    fn thirds_add_up_before_rounding_and_halves_go_to_even() {
        let third = period(1, "month", 3, 1);
        assert_eq!(value(&[third.clone(), third.clone(), third.clone()]), 1);
        assert_eq!(value(&[third.clone(), period(1, "month", 6, 1)]), 0);
        assert_eq!(value(&[period(3, "month", 2, 1)]), 2);
        assert_eq!(value(&[period(5, "month", 2, 1)]), 2);
    }

    #[test]
    fn a_length_in_months_alone_is_enough() {
        let told = PeriodPrice {
            unit: None,
            count: None,
            months: 5.0,
            ..period(30_000, "", 1, 1)
        };
        assert_eq!(value(&[told]), 6_000);
    }

    #[test]
    fn odd_lengths_without_a_common_measure_are_still_summed() {
        let many: Vec<PeriodPrice> = (1..200).map(|days| period(1_000, "day", days, 3)).collect();
        let wanted: f64 = (1..200)
            .map(|days| 3_000.0 * 365.25 / 12.0 / f64::from(days))
            .sum();
        let found = f64::from(i32::try_from(value(&many)).unwrap());
        assert!((found - wanted).abs() < 1.0, "{found} {wanted}");
    }
}
