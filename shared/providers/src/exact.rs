//! Reading decimals from JSON exactly: from the digits of the document, never through a float.
//!
//! The other side may well have counted in floats: what is exact here is what it wrote, and [`without_noise`] takes off
//! what its floats have left.

use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Decimals that are meant. Money has two of them and weights four; a float's error is far behind.
const MEANT_PLACES: u32 = 6;
/// Below ten to the minus this there are no digits in a `Decimal`.
const MIN_EXPONENT: i64 = 28;

/// A number, or a number in a string.
pub(crate) fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    parse(raw.get()).ok_or_else(|| D::Error::custom("a decimal number is expected"))
}

/// A number or null; missing or null is zero.
pub(crate) fn decimal_or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let raw = Option::<Box<RawValue>>::deserialize(deserializer)?;
    match raw {
        None => Ok(Decimal::ZERO),
        Some(raw) => parse(raw.get()).ok_or_else(|| D::Error::custom("a decimal number is expected")),
    }
}

/// The number rounded half-even to what is meant: 0.7999999999999999 is 0.8, and -2.8E-12 is nothing.
pub(crate) fn without_noise(number: Decimal) -> Decimal {
    let rounded = number.round_dp_with_strategy(MEANT_PLACES, RoundingStrategy::MidpointNearestEven);
    if rounded.is_zero() { Decimal::ZERO } else { rounded }
}

/// Beyond 28 decimals, which is more than a `Decimal` holds, digits are rounded off.
fn parse(text: &str) -> Option<Decimal> {
    let text = text.trim().trim_matches('"');
    match text.split_once(['e', 'E']) {
        None => Decimal::from_str(text).ok(),
        Some((digits, exponent)) => scientific(text, digits, exponent),
    }
}

fn scientific(text: &str, digits: &str, exponent: &str) -> Option<Decimal> {
    if let Ok(read) = Decimal::from_scientific_lossy(text) {
        return Some(read);
    }
    let digits = Decimal::from_str(digits).ok()?;
    let exponent: i64 = exponent.parse().ok()?;
    (exponent < -MIN_EXPONENT && digits.abs() < Decimal::TEN).then_some(Decimal::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_kept() {
        let read = |text: &str| parse(text).map(|decimal| decimal.to_string());
        assert_eq!(read("29570.98").as_deref(), Some("29570.98"));
        assert_eq!(read("0.1").as_deref(), Some("0.1"));
        assert_eq!(
            read("9007199254740993.01").as_deref(),
            Some("9007199254740993.01")
        );
        assert_eq!(read("\"-100.0\"").as_deref(), Some("-100.0"));
        assert_eq!(read("1E-4").as_deref(), Some("0.0001"));
        assert_eq!(read("null"), None);
        assert_eq!(read("true"), None);
        assert_eq!(read("1E999"), None);
    }

    #[test]
    fn the_noise_of_floats_is_read_and_removed() {
        let read = |text: &str| without_noise(parse(text).unwrap()).to_string();
        assert_eq!(read("5.551115123125783E-17"), "0");
        assert_eq!(read("-2.8E-12"), "0");
        assert_eq!(read("1E-400"), "0");
        assert_eq!(read("0.7999999999999999"), "0.800000");
        assert_eq!(read("0.30000000000000004440892098500626"), "0.300000");
        assert_eq!(read("29570.98"), "29570.98");
    }
}
