//! Exchange rates, and the weights of a portfolio.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::exact;

/// How many major units of one currency there are for one of another: more than zero. In JSON a text:
/// `"1.0845"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(Decimal);

/// Why something isn't a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RateError {
    /// The text isn't a plain decimal of at most 28 digits.
    #[error("not a decimal, such as \"1.0845\"")]
    Malformed,
    /// Zero or less.
    #[error("a rate must be more than zero")]
    NotPositive,
    /// The other way round it would be too large or too small to be a rate.
    #[error("the rate has no inverse")]
    NoInverse,
}

impl Rate {
    /// One for one.
    pub const ONE: Rate = Rate(Decimal::ONE);

    /// A rate of a positive number.
    pub fn new(rate: Decimal) -> Result<Rate, RateError> {
        if rate > Decimal::ZERO {
            Ok(Rate(rate.normalize()))
        } else {
            Err(RateError::NotPositive)
        }
    }

    /// Reads a plain decimal.
    pub fn parse(text: &str) -> Result<Rate, RateError> {
        Rate::new(exact::parse_decimal(text).ok_or(RateError::Malformed)?)
    }

    /// The number.
    pub const fn as_decimal(&self) -> Decimal {
        self.0
    }

    /// The rate of the opposite direction: the nearest decimal with at most 28 places.
    pub fn inverse(&self) -> Result<Rate, RateError> {
        let inverse = Decimal::ONE.checked_div(self.0).ok_or(RateError::NoInverse)?;
        Rate::new(inverse).map_err(|_| RateError::NoInverse)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Rate, RateError> {
        Rate::parse(text)
    }
}

impl TryFrom<String> for Rate {
    type Error = RateError;

    fn try_from(text: String) -> Result<Rate, RateError> {
        Rate::parse(&text)
    }
}

impl TryFrom<Decimal> for Rate {
    type Error = RateError;

    fn try_from(rate: Decimal) -> Result<Rate, RateError> {
        Rate::new(rate)
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> String {
        rate.to_string()
    }
}

/// A part of a whole, from 0 to 1 in steps of 0.0001 (a hundredth of a percent). In JSON a text: `"0.25"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Weight {
    ten_thousandths: u16,
}

/// Why something isn't a weight, or why weights can't be made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WeightError {
    /// The text isn't a plain decimal.
    #[error("not a decimal, such as \"0.25\"")]
    Malformed,
    /// Below zero or above one.
    #[error("a weight must be from 0 to 1")]
    OutOfRange,
    /// More than four decimals.
    #[error("a weight has at most four decimals")]
    TooPrecise,
    /// The numbers are empty, all zero, hold a negative one, or need more than 37 digits at one scale.
    #[error("the weights must be non-negative and not all zero")]
    NothingToWeigh,
}

/// Ten-thousandths in one.
const WHOLE: u16 = 10_000;

/// Decimals of a weight.
const WEIGHT_SCALE: u32 = 4;

impl Weight {
    /// Nothing.
    pub const ZERO: Weight = Weight { ten_thousandths: 0 };

    /// The whole.
    pub const ONE: Weight = Weight {
        ten_thousandths: WHOLE,
    };

    /// A weight of so many ten-thousandths: 2500 for 0.25.
    pub fn from_ten_thousandths(ten_thousandths: u32) -> Result<Weight, WeightError> {
        match u16::try_from(ten_thousandths) {
            Ok(ten_thousandths) if ten_thousandths <= WHOLE => Ok(Weight { ten_thousandths }),
            _ => Err(WeightError::OutOfRange),
        }
    }

    /// A weight of a number from 0 to 1 with at most four decimals.
    pub fn from_decimal(weight: Decimal) -> Result<Weight, WeightError> {
        if weight < Decimal::ZERO || weight > Decimal::ONE {
            return Err(WeightError::OutOfRange);
        }
        let weight = weight.normalize();
        let missing = WEIGHT_SCALE
            .checked_sub(weight.scale())
            .ok_or(WeightError::TooPrecise)?;
        let digits = u32::try_from(weight.mantissa()).map_err(|_| WeightError::OutOfRange)?;
        let ten_thousandths = digits
            .checked_mul(10_u32.pow(missing))
            .ok_or(WeightError::OutOfRange)?;
        Weight::from_ten_thousandths(ten_thousandths)
    }

    /// Reads a plain decimal from 0 to 1 with at most four decimals.
    pub fn parse(text: &str) -> Result<Weight, WeightError> {
        Weight::from_decimal(exact::parse_decimal(text).ok_or(WeightError::Malformed)?)
    }

    /// The weight in ten-thousandths.
    pub fn ten_thousandths(&self) -> u32 {
        u32::from(self.ten_thousandths)
    }

    /// The weight as a number from 0 to 1.
    pub fn as_decimal(&self) -> Decimal {
        Decimal::new(i64::from(self.ten_thousandths), WEIGHT_SCALE).normalize()
    }

    /// The weight in percent: 25 for 0.25.
    pub fn percent(&self) -> Decimal {
        Decimal::new(i64::from(self.ten_thousandths), WEIGHT_SCALE - 2).normalize()
    }

    /// Whether it is nothing.
    pub const fn is_zero(&self) -> bool {
        self.ten_thousandths == 0
    }

    /// The sum, unless it is more than the whole.
    pub fn checked_add(&self, other: Weight) -> Result<Weight, WeightError> {
        Weight::from_ten_thousandths(self.ten_thousandths() + other.ten_thousandths())
    }

    /// The difference, unless it is less than nothing.
    pub fn checked_sub(&self, other: Weight) -> Result<Weight, WeightError> {
        let difference = self.ten_thousandths.checked_sub(other.ten_thousandths);
        difference
            .map(|ten_thousandths| Weight { ten_thousandths })
            .ok_or(WeightError::OutOfRange)
    }

    /// What is missing to the whole.
    pub const fn complement(&self) -> Weight {
        Weight {
            ten_thousandths: WHOLE.saturating_sub(self.ten_thousandths),
        }
    }
}

/// Turns non-negative numbers into weights in their proportion that sum to exactly one. What rounding leaves
/// over goes to the largest remainders, ties to the earlier: each weight is within 0.0001 of its exact part,
/// and a zero stays zero. A number of less than 0.0001 of the sum may become zero.
pub fn normalise(weights: &[Decimal]) -> Result<Vec<Weight>, WeightError> {
    let parts = exact::apportion(u64::from(WHOLE), weights).ok_or(WeightError::NothingToWeigh)?;
    let weight = |part: u64| {
        let ten_thousandths = u16::try_from(part).map_err(|_| WeightError::OutOfRange)?;
        Ok(Weight { ten_thousandths })
    };
    parts.into_iter().map(weight).collect()
}

impl fmt::Display for Weight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_decimal().fmt(formatter)
    }
}

impl FromStr for Weight {
    type Err = WeightError;

    fn from_str(text: &str) -> Result<Weight, WeightError> {
        Weight::parse(text)
    }
}

impl TryFrom<String> for Weight {
    type Error = WeightError;

    fn try_from(text: String) -> Result<Weight, WeightError> {
        Weight::parse(&text)
    }
}

impl TryFrom<Decimal> for Weight {
    type Error = WeightError;

    fn try_from(weight: Decimal) -> Result<Weight, WeightError> {
        Weight::from_decimal(weight)
    }
}

impl From<Weight> for String {
    fn from(weight: Weight) -> String {
        weight.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_rate_is_a_positive_decimal() {
        assert_eq!(Rate::parse("1.0850").unwrap().to_string(), "1.085");
        assert_eq!(Rate::parse("0"), Err(RateError::NotPositive));
        assert_eq!(Rate::parse("-1"), Err(RateError::NotPositive));
        assert_eq!(Rate::parse("1e2"), Err(RateError::Malformed));
        assert_eq!(Rate::parse("4").unwrap().inverse(), Rate::parse("0.25"));
        assert_eq!(
            Rate::new(Decimal::MAX).unwrap().inverse(),
            Err(RateError::NoInverse)
        );
    }

    #[test]
    fn a_weight_is_from_nothing_to_the_whole_in_four_decimals() {
        assert_eq!(Weight::parse("0.9939").unwrap().ten_thousandths(), 9_939);
        assert_eq!(Weight::parse("1.00000"), Ok(Weight::ONE));
        assert_eq!(Weight::parse("0"), Ok(Weight::ZERO));
        assert_eq!(Weight::parse("1.0001"), Err(WeightError::OutOfRange));
        assert_eq!(Weight::parse("-0.0001"), Err(WeightError::OutOfRange));
        assert_eq!(Weight::parse("0.00001"), Err(WeightError::TooPrecise));
        assert_eq!(Weight::parse("½"), Err(WeightError::Malformed));
        assert_eq!(Weight::from_ten_thousandths(10_001), Err(WeightError::OutOfRange));
        assert_eq!(
            Weight::from_ten_thousandths(u32::MAX),
            Err(WeightError::OutOfRange)
        );
    }

    #[test]
    fn weights_add_up_within_the_whole() {
        let quarter = Weight::parse("0.25").unwrap();
        assert_eq!(quarter.complement().checked_add(quarter), Ok(Weight::ONE));
        assert_eq!(Weight::ONE.checked_add(quarter), Err(WeightError::OutOfRange));
        assert_eq!(quarter.checked_sub(quarter), Ok(Weight::ZERO));
        assert_eq!(quarter.checked_sub(Weight::ONE), Err(WeightError::OutOfRange));
        assert_eq!(quarter.percent(), decimal("25"));
        assert_eq!(
            Weight::from_ten_thousandths(1).unwrap().percent(),
            decimal("0.01")
        );
    }

    #[test]
    fn normalises_by_largest_remainder() {
        let normalised = |texts: &[&str]| -> Vec<u32> {
            let numbers: Vec<Decimal> = texts.iter().map(|text| decimal(text)).collect();
            normalise(&numbers)
                .unwrap()
                .iter()
                .map(Weight::ten_thousandths)
                .collect()
        };
        assert_eq!(normalised(&["1", "1", "1"]), [3_334, 3_333, 3_333]);
        assert_eq!(normalised(&["0", "2", "0.00"]), [0, 10_000, 0]);
        assert_eq!(normalised(&["0.6", "0.6"]), [5_000, 5_000]);
        assert_eq!(normalised(&["0.00001", "0.99999"]), [0, 10_000]);
        assert_eq!(normalise(&[]), Err(WeightError::NothingToWeigh));
        assert_eq!(normalise(&[Decimal::ZERO]), Err(WeightError::NothingToWeigh));
        assert_eq!(
            normalise(&[decimal("1"), decimal("-0.1")]),
            Err(WeightError::NothingToWeigh)
        );
    }

    #[test]
    fn json_is_text() {
        let weight = Weight::parse("0.9939").unwrap();
        assert_eq!(serde_json::to_string(&weight).unwrap(), "\"0.9939\"");
        assert_eq!(serde_json::from_str::<Weight>("\"0.9939\"").unwrap(), weight);
        assert_eq!(
            serde_json::from_str::<Rate>("\"150.25\"").unwrap(),
            Rate::parse("150.25").unwrap()
        );
        for json in ["0.25", "1", "null", "\"1.5e-1\"", "\"2\"", "\"\""] {
            assert!(serde_json::from_str::<Weight>(json).is_err(), "{json}");
        }
        for json in ["150.25", "1", "null", "\"0\"", "\"-1\"", "\"NaN\""] {
            assert!(serde_json::from_str::<Rate>(json).is_err(), "{json}");
        }
    }
}
