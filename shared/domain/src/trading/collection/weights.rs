//! What a collection should consist of: the weights of its symbols.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::exact::parse_decimal;
use crate::rate::{Weight, WeightError, normalise};
use crate::trading::collection::symbol::Symbol;

/// How far given weights may miss 1: 0.01.
pub const WEIGHTS_TOLERANCE: Decimal = Decimal::from_parts(1, 0, 0, false, 2);
/// The most symbols of a collection.
pub const MAX_SYMBOLS: usize = 500;

/// A weight as somebody gave it: a plain decimal, in JSON a text. Together with others it becomes [`TargetWeights`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GivenWeight(Decimal);

/// Why a text isn't a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("has to be a decimal such as \"0.25\"")]
pub struct MalformedWeight;

impl GivenWeight {
    /// The number.
    pub const fn as_decimal(self) -> Decimal {
        self.0
    }
}

impl TryFrom<String> for GivenWeight {
    type Error = MalformedWeight;

    fn try_from(text: String) -> Result<GivenWeight, MalformedWeight> {
        parse_decimal(&text).map(GivenWeight).ok_or(MalformedWeight)
    }
}

impl From<GivenWeight> for String {
    fn from(weight: GivenWeight) -> String {
        weight.0.normalize().to_string()
    }
}

/// The weights of a collection's symbols: each above zero, each symbol once, in sum exactly 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetWeights(Vec<(Symbol, Weight)>);

/// Why given weights aren't taken. The position is that of the weight in the list, from 0.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidWeights {
    /// None, or more than [`MAX_SYMBOLS`].
    #[error("has to have 1 to {MAX_SYMBOLS} symbols")]
    Count,
    /// A weight of zero or less.
    #[error("has to be above 0")]
    NotPositive {
        /// Which one.
        position: usize,
    },
    /// A symbol that stands there already, perhaps written otherwise.
    #[error("{symbol} is there twice")]
    Repeated {
        /// Which one.
        position: usize,
        /// The symbol.
        symbol: Symbol,
    },
    /// Weights that miss 1 by more than 0.01.
    #[error("sum to {0}, which misses 1 by more than 0.01")]
    MissOne(Decimal),
    /// A weight so small that nothing is left of it at four decimals.
    #[error("is less than 0.0001 of the whole, which is the smallest weight")]
    TooSmall {
        /// Which one.
        position: usize,
    },
    /// Figures too large to count with.
    #[error("are out of range")]
    OutOfRange,
}

impl InvalidWeights {
    /// The position of the weight that is wrong, if one is.
    pub const fn position(&self) -> Option<usize> {
        match self {
            InvalidWeights::NotPositive { position }
            | InvalidWeights::Repeated { position, .. }
            | InvalidWeights::TooSmall { position } => Some(*position),
            InvalidWeights::Count | InvalidWeights::MissOne(_) | InvalidWeights::OutOfRange => None,
        }
    }
}

impl TargetWeights {
    /// Weights as somebody gave them, brought to a sum of exactly 1 by largest remainder.
    ///
    /// # Errors
    /// The first reason not to take them.
    pub fn of_request(given: &[(Symbol, Decimal)]) -> Result<TargetWeights, InvalidWeights> {
        if given.is_empty() || given.len() > MAX_SYMBOLS {
            return Err(InvalidWeights::Count);
        }
        if let Some(position) = given.iter().position(|(_, weight)| *weight <= Decimal::ZERO) {
            return Err(InvalidWeights::NotPositive { position });
        }
        refuse_repeated(given)?;
        let sum = given
            .iter()
            .try_fold(Decimal::ZERO, |sum, (_, weight)| sum.checked_add(*weight))
            .ok_or(InvalidWeights::OutOfRange)?;
        if (sum - Decimal::ONE).abs() > WEIGHTS_TOLERANCE {
            return Err(InvalidWeights::MissOne(sum));
        }
        let weights = TargetWeights::in_proportion(given).map_err(|_| InvalidWeights::OutOfRange)?;
        match weights.0.iter().position(|(_, weight)| weight.is_zero()) {
            Some(position) => Err(InvalidWeights::TooSmall { position }),
            None => Ok(weights),
        }
    }

    /// Weights of a model over those of its symbols that can be traded: renormalised, without what becomes nothing.
    /// `None` if none of them can be traded.
    pub fn of_model(
        model: &[(Symbol, Decimal)],
        tradable: impl Fn(&Symbol) -> bool,
    ) -> Option<TargetWeights> {
        let kept: Vec<(Symbol, Decimal)> = model
            .iter()
            .filter(|(symbol, weight)| *weight > Decimal::ZERO && tradable(symbol))
            .cloned()
            .collect();
        let weights = TargetWeights::in_proportion(&kept).ok()?;
        Some(TargetWeights(
            weights
                .0
                .into_iter()
                .filter(|(_, weight)| !weight.is_zero())
                .collect(),
        ))
    }

    /// The same without the symbols that can't be traded any more, renormalised; `None` if nothing is left.
    pub fn tradable(&self, tradable: impl Fn(&Symbol) -> bool) -> Option<TargetWeights> {
        let weights: Vec<(Symbol, Decimal)> = self
            .0
            .iter()
            .map(|(symbol, weight)| (symbol.clone(), weight.as_decimal()))
            .collect();
        TargetWeights::of_model(&weights, tradable)
    }

    /// The symbols with their weights, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&Symbol, Weight)> {
        self.0.iter().map(|(symbol, weight)| (symbol, *weight))
    }

    fn in_proportion(numbers: &[(Symbol, Decimal)]) -> Result<TargetWeights, WeightError> {
        let weights = normalise(&numbers.iter().map(|(_, number)| *number).collect::<Vec<_>>())?;
        let symbols = numbers.iter().map(|(symbol, _)| symbol.clone());
        Ok(TargetWeights(symbols.zip(weights).collect()))
    }
}

fn refuse_repeated(given: &[(Symbol, Decimal)]) -> Result<(), InvalidWeights> {
    let mut seen = BTreeSet::new();
    for (position, (symbol, _)) in given.iter().enumerate() {
        if !seen.insert(symbol) {
            let symbol = symbol.clone();
            return Err(InvalidWeights::Repeated { position, symbol });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn given(weights: &[(&str, &str)]) -> Result<TargetWeights, InvalidWeights> {
        let weights: Vec<(Symbol, Decimal)> = weights
            .iter()
            .map(|(symbol, weight)| (symbol.parse().unwrap(), weight.parse().unwrap()))
            .collect();
        TargetWeights::of_request(&weights)
    }

    #[test]
    fn weights_may_miss_one_by_a_hundredth() {
        assert_eq!(
            given(&[("A", "0.4899"), ("B", "0.5")]),
            Err(InvalidWeights::MissOne("0.9899".parse().unwrap()))
        );
        assert!(matches!(
            given(&[("A", "0.5101"), ("B", "0.5")]),
            Err(InvalidWeights::MissOne(_))
        ));
        for near in ["0.49", "0.51"] {
            let weights = given(&[("A", near), ("B", "0.5")]).unwrap();
            let sum: u32 = weights.iter().map(|(_, weight)| weight.ten_thousandths()).sum();
            assert_eq!(sum, 10_000);
        }
    }

    #[test]
    fn weights_of_nothing_of_less_and_of_the_same_twice_are_refused() {
        assert_eq!(given(&[]), Err(InvalidWeights::Count));
        assert_eq!(
            given(&[("A", "1"), ("B", "0")]),
            Err(InvalidWeights::NotPositive { position: 1 })
        );
        assert_eq!(
            given(&[("A", "-0.5"), ("B", "1.5")]),
            Err(InvalidWeights::NotPositive { position: 0 })
        );
        for (one, other) in [("AAPL", "aapl"), ("BRK.B", "BRK-B")] {
            assert!(matches!(
                given(&[(one, "0.5"), (other, "0.5")]),
                Err(InvalidWeights::Repeated { position: 1, .. })
            ));
        }
        assert_eq!(
            given(&[("A", "0.99996"), ("B", "0.00004")]),
            Err(InvalidWeights::TooSmall { position: 1 })
        );
    }

    #[test]
    fn weights_without_what_cannot_be_traded_are_renormalised() {
        let weights = given(&[("A", "0.25"), ("B", "0.25"), ("C", "0.5")]).unwrap();
        let left = weights.tradable(|symbol| symbol.as_str() != "C").unwrap();
        assert_eq!(left, given(&[("A", "0.5"), ("B", "0.5")]).unwrap());
        assert_eq!(weights.tradable(|_| false), None);
    }

    proptest! {
        #[test]
        fn weights_taken_sum_to_one_and_none_is_nothing(numbers in prop::collection::vec(1_u32..10_000, 1..40)) {
            let sum: u32 = numbers.iter().sum();
            let weights: Vec<(Symbol, Decimal)> = numbers
                .iter()
                .enumerate()
                .map(|(index, number)| {
                    let symbol = format!("S{index}").parse().unwrap();
                    (symbol, Decimal::from(*number) / Decimal::from(sum))
                })
                .collect();
            if let Ok(weights) = TargetWeights::of_request(&weights) {
                prop_assert_eq!(weights.iter().map(|(_, weight)| weight.ten_thousandths()).sum::<u32>(), 10_000);
                prop_assert!(weights.iter().all(|(_, weight)| !weight.is_zero()));
            }
        }
    }
}
