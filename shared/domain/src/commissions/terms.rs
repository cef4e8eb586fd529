//! The terms by which commission is charged.

use std::collections::BTreeMap;
use std::str::FromStr;

use rust_decimal::Decimal;
use thiserror::Error;

use crate::currency::Currency;

/// Rates have at most six decimals, so that every product below is exact.
pub const RATE_MAX_DECIMALS: u32 = 6;

/// The terms of the yearly commission, in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommissionTerms {
    yearly_rate: Decimal,
    yearly_minimum_cents: u32,
    free_limit_cents: u32,
}

/// The smallest amount of each currency that can be charged, in its minor unit. What is below waits for the next invoice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmallestCharges(BTreeMap<String, u32>);

/// Why a list of smallest charges can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("write the smallest charges as CURRENCY=MINOR_UNITS with commas between, for instance USD=50,JPY=50")]
pub struct InvalidSmallestCharges;

impl SmallestCharges {
    /// By the currencies' codes; a currency that isn't among them has none.
    pub const fn as_map(&self) -> &BTreeMap<String, u32> {
        &self.0
    }
}

impl FromStr for SmallestCharges {
    type Err = InvalidSmallestCharges;

    fn from_str(text: &str) -> Result<SmallestCharges, InvalidSmallestCharges> {
        let pair = |pair: &str| {
            let (code, amount) = pair.trim().split_once('=')?;
            let currency = Currency::parse(code).ok()?;
            Some((currency.code().to_owned(), amount.parse().ok()?))
        };
        let pairs: Option<BTreeMap<String, u32>> = text.split(',').map(pair).collect();
        pairs.map(SmallestCharges).ok_or(InvalidSmallestCharges)
    }
}

/// Why terms can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidTerms {
    /// The rate is below zero, above one, or too precise.
    #[error("the yearly rate has to be between 0 and 1 with at most 6 decimals")]
    Rate,
}

impl CommissionTerms {
    /// Terms of a yearly rate, the yearly minimum in cents, and the average up to which nothing is charged, in cents.
    ///
    /// # Errors
    /// For a rate outside of 0 to 1, or with more than six decimals.
    pub fn new(
        yearly_rate: Decimal,
        yearly_minimum_cents: u32,
        free_limit_cents: u32,
    ) -> Result<CommissionTerms, InvalidTerms> {
        let yearly_rate = yearly_rate.normalize();
        let in_range = yearly_rate >= Decimal::ZERO && yearly_rate <= Decimal::ONE;
        if !in_range || yearly_rate.scale() > RATE_MAX_DECIMALS {
            return Err(InvalidTerms::Rate);
        }
        Ok(CommissionTerms {
            yearly_rate,
            yearly_minimum_cents,
            free_limit_cents,
        })
    }

    /// The yearly rate, for instance 0.0096.
    pub const fn yearly_rate(&self) -> Decimal {
        self.yearly_rate
    }

    /// The least that a year costs above the free limit, in cents.
    pub const fn yearly_minimum_cents(&self) -> u32 {
        self.yearly_minimum_cents
    }

    /// The average equity up to which nothing is charged, in cents.
    pub const fn free_limit_cents(&self) -> u32 {
        self.free_limit_cents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smallest_charges_are_read_by_currency() {
        let smallest: SmallestCharges = "USD=50, JPY=50".parse().unwrap();
        assert_eq!(smallest.as_map().get("USD"), Some(&50));
        assert_eq!(smallest.as_map().get("JPY"), Some(&50));
        for wrong in ["", "USD", "USD=", "USD=-1", "USD=0.5", "dollars=50", "USD=50,"] {
            assert!(wrong.parse::<SmallestCharges>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn terms_have_a_rate_from_zero_to_one_with_six_decimals() {
        for rate in ["0", "0.0096", "1", "0.000001", "0.00960000"] {
            assert!(
                CommissionTerms::new(rate.parse().unwrap(), 0, 0).is_ok(),
                "{rate}"
            );
        }
        for rate in ["-0.01", "1.000001", "0.0000001"] {
            assert!(
                CommissionTerms::new(rate.parse().unwrap(), 0, 0).is_err(),
                "{rate}"
            );
        }
    }
}
