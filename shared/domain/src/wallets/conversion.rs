//! Amounts of a transfer between two currencies: which one is fixed, and why they may not meet.

use thiserror::Error;

/// Decimals of a rate, as it is stored: `NUMERIC(28, 12)`.
pub const RATE_SCALE: u32 = 12;

/// The amount that a transfer fixes, in minor units above zero; the other follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedAmount {
    /// What the payer pays.
    Payer(i64),
    /// What the receiver gets.
    Receiver(i64),
}

/// Why two currencies can't meet in an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConversionRefusal {
    /// What is received would be less than a minor unit.
    #[error("it is too small: nothing is left of it in the other currency")]
    ConvertsToNothing,
    /// One of the amounts is larger than an amount can be.
    #[error("it is too large for the other currency")]
    TooLarge,
}
