//! Reading decimals from JSON exactly: from the digits of the document, never through a float.

use rust_decimal::Decimal;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

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

fn parse(text: &str) -> Option<Decimal> {
    let text = text.trim().trim_matches('"');
    if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()
    } else {
        Decimal::from_str_exact(text).ok()
    }
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
    }
}
