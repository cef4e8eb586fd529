//! Money and weights as integers inside, as exact decimal numbers in JSON.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::value::RawValue;
use serde_json::{Number, Value};

/// Decimal places of an amount in dollars.
const CENT_PLACES: u32 = 2;
/// Decimal places of a weight.
const WEIGHT_PLACES: u32 = 4;

/// One, in the ten-thousandths of a weight.
pub(super) const ONE: i64 = 10_000;

/// An amount as a JSON number of dollars.
pub(super) fn dollars(cents: i64) -> Value {
    number(cents, CENT_PLACES)
}

/// A weight as a JSON number.
pub(super) fn weight(ten_thousandths: i64) -> Value {
    number(ten_thousandths, WEIGHT_PLACES)
}

/// The JSON number `units` × 10^−`places`, written without a rest.
///
/// A `Value` holds a fraction as a binary number only, but writes the shortest text that means it, which is the decimal
/// we began with as long as that has at most 15 digits; the arithmetic is done on integers.
pub(super) fn number(units: i64, places: u32) -> Value {
    let decimal = Decimal::new(units, places).normalize();
    if let Some(whole) = decimal.is_integer().then(|| decimal.to_i64()).flatten() {
        return Value::from(whole);
    }
    match decimal.to_string().parse() {
        Ok(binary) => Number::from_f64(binary).map_or(Value::Null, Value::Number),
        Err(_) => Value::Null,
    }
}

/// The cents of an amount that a request carries as a JSON number or a string; none if it has fractions of a cent.
pub(super) fn cents_in(raw: &RawValue) -> Option<i64> {
    units_in(raw, CENT_PLACES)
}

/// The ten-thousandths of a weight that a request carries as a JSON number or a string.
pub(super) fn weight_in(raw: &RawValue) -> Option<i64> {
    units_in(raw, WEIGHT_PLACES)
}

fn units_in(raw: &RawValue, places: u32) -> Option<i64> {
    let text = raw.get().trim_matches('"');
    let decimal = Decimal::from_str_exact(text)
        .or_else(|_| Decimal::from_scientific(text))
        .ok()?;
    let units = decimal.checked_mul(Decimal::from(10_i64.pow(places)))?;
    units.is_integer().then(|| units.to_i64()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn every_amount_is_written_as_it_is() {
        for cents in (0..100_000).chain([2_957_098, -10_001, 99_999_999_999_999]) {
            let text = dollars(cents).to_string();
            assert_eq!(cents_in(&raw(&text)), Some(cents), "{text}");
        }
        assert_eq!(dollars(2_957_098).to_string(), "29570.98");
        assert_eq!(weight(9_818).to_string(), "0.9818");
        assert_eq!(dollars(-10_000).to_string(), "-100");
    }

    #[test]
    fn an_amount_is_read_from_a_number_or_a_string_and_never_rounded() {
        assert_eq!(cents_in(&raw("0.29")), Some(29));
        assert_eq!(cents_in(&raw("\"100.10\"")), Some(10_010));
        assert_eq!(cents_in(&raw("0.001")), None);
        assert_eq!(cents_in(&raw("\"ten\"")), None);
        assert_eq!(cents_in(&raw("null")), None);
    }
}
