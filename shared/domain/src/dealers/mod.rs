//! Rules of the dealers' bills: whom a bill is for, who pays what, and who may buy at once. All amounts are rubles.

pub mod account;
pub mod bill;
pub mod books;
pub mod calendar;
pub mod distribution;
pub mod fast_buyout;
pub mod requisite;

use crate::currency::Currency;
use crate::money::Money;

/// The currency of all bills and payments.
pub const CURRENCY: Currency = Currency::RUB;

/// So many kopecks.
pub const fn kopecks(amount: i64) -> Money {
    Money::new(amount, CURRENCY)
}
