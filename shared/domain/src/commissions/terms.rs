//! The terms by which commission is charged.

use rust_decimal::Decimal;
use thiserror::Error;

/// Rates have at most six decimals, so that every product below is exact.
pub const RATE_MAX_DECIMALS: u32 = 6;

/// The terms of the yearly commission, in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommissionTerms {
    yearly_rate: Decimal,
    yearly_minimum_cents: u32,
    free_limit_cents: u32,
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
