//! The limits of rates, which are configuration.

use domain::wallets::rates::{RateMaxAge, RateMaxJump};
use platform::config::Environment;

/// Reads `EXCHANGE_RATE_MAX_AGE_DAYS`, for how many days a rate converts.
pub(crate) fn read_max_age(environment: &mut Environment) -> Option<RateMaxAge> {
    environment.required("EXCHANGE_RATE_MAX_AGE_DAYS")
}

/// Reads `EXCHANGE_RATE_MAX_JUMP_PERCENT`, by how much a rate may change at once.
pub(crate) fn read_max_jump(environment: &mut Environment) -> Option<RateMaxJump> {
    environment.required("EXCHANGE_RATE_MAX_JUMP_PERCENT")
}
