//! What an order asks for, and whether it may be asked.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::currency::Currency;
use crate::money::{Money, MoneyError, Rounding};
use crate::stored::stored_as;

/// An order below this part of the account's equity moves no target: weights have four decimals, and half of the last
/// one is rounded away.
const SMALLEST_PART: Decimal = Decimal::from_parts(5, 0, 0, false, 5);
/// What a sale may be above the fund's value and still sell all of it: one cent, which its rounding may have added.
const SELLS_ALL_WITHIN_CENTS: i64 = 1;

/// A part in whole percent, from −100 to 100, not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Percent(i64);

/// Why a number isn't a part in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("has to be from -100 to 100, and not 0")]
pub struct InvalidPercent;

impl Percent {
    /// The whole of it, sold.
    pub const SELL_ALL: Percent = Percent(-100);

    /// The number, from −100 to 100.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The part without its sign, as a number from 0 to 1.
    fn part(self) -> Decimal {
        Decimal::new(self.0, 2).abs()
    }
}

impl TryFrom<i64> for Percent {
    type Error = InvalidPercent;

    fn try_from(percent: i64) -> Result<Percent, InvalidPercent> {
        if percent != 0 && (-100..=100).contains(&percent) {
            Ok(Percent(percent))
        } else {
            Err(InvalidPercent)
        }
    }
}

impl From<Percent> for i64 {
    fn from(percent: Percent) -> i64 {
        percent.0
    }
}

stored_as!(Percent, i64, |percent: &Percent| percent.0, Percent::try_from);

/// By how much an order changes what is held of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta {
    /// So much money is put in, above zero, or taken out, below zero.
    Amount(Money),
    /// A part of the account's cash is put in, above zero, or a part of what is held taken out, below zero.
    Relative(Percent),
    /// Nothing: what is held gets other weights.
    Reweight,
}

/// Whether an order puts money in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It takes money out.
    Sell,
    /// It puts money in, or trades within what is held.
    Buy,
}

impl Delta {
    /// Which side of the market it is on. Giving other weights buys.
    pub const fn side(self) -> Side {
        match self {
            Delta::Amount(amount) if amount.is_negative() => Side::Sell,
            Delta::Relative(Percent(percent)) if percent < 0 => Side::Sell,
            _ => Side::Buy,
        }
    }

    /// How much is asked for, without its sign, where the order takes a part of `base`: of the cash for what buys, of
    /// the holding for what sells. A part is rounded down to a cent; all of it is all.
    ///
    /// # Errors
    /// When the figure is out of range.
    pub fn asked_of(self, base: Money) -> Result<Money, MoneyError> {
        match self {
            Delta::Amount(amount) => amount.checked_abs(),
            Delta::Relative(percent) => base.times(percent.part(), Rounding::Down),
            Delta::Reweight => Ok(Money::zero(base.currency())),
        }
    }

    /// Whether it asks for all there is, to the last fraction of a cent.
    pub const fn is_all(self) -> bool {
        matches!(self, Delta::Relative(Percent(-100 | 100)))
    }
}

/// What an account has for an order to take, when it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available {
    /// The value of the whole account.
    pub equity: Money,
    /// The value of its cash.
    pub cash: Money,
    /// Cash that is promised: open withdrawals and open invoices.
    pub promised: Money,
    /// The value of what is held of the collection.
    pub holding: Money,
    /// Orders of the account that put money in and are pending, by id, whatever the collection.
    pub pending_buys: Vec<Delta>,
    /// Orders of this collection that take money out and are pending, by id.
    pub pending_sales: Vec<Delta>,
}

/// Why an order isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RefusedOrder {
    /// It puts in more than there is to put in.
    #[error("insufficient funds: {available} can be invested")]
    NotEnoughCash {
        /// What there is.
        available: Money,
    },
    /// It takes out more than is held.
    #[error("insufficient funds: {available} can be sold")]
    NotEnoughHeld {
        /// What is held and not being sold yet.
        available: Money,
    },
    /// It moves no target.
    #[error("the order is too small to change anything: the least amount is {least}")]
    TooSmall {
        /// What would move one.
        least: Money,
    },
    /// A figure too large to count with.
    #[error(transparent)]
    OutOfRange(#[from] MoneyError),
}

impl Available {
    /// Whether an order may be taken. What earlier orders will take counts as taken, in their order; what they will
    /// free doesn't count.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, delta: Delta) -> Result<(), RefusedOrder> {
        match delta.side() {
            Side::Buy => self.check_buy(delta),
            Side::Sell => self.check_sale(delta),
        }
    }

    fn check_buy(&self, delta: Delta) -> Result<(), RefusedOrder> {
        if delta == Delta::Reweight {
            return if self.holding.is_positive() {
                Ok(())
            } else {
                Err(RefusedOrder::NotEnoughHeld {
                    available: self.holding,
                })
            };
        }
        let available = investable(self.cash, self.promised, &self.pending_buys)?;
        let asked = delta.asked_of(available)?;
        if !available.is_positive() || asked.minor() > available.minor() {
            return Err(RefusedOrder::NotEnoughCash { available });
        }
        self.refuse_too_small(asked)
    }

    fn check_sale(&self, delta: Delta) -> Result<(), RefusedOrder> {
        let available = after(self.holding, &self.pending_sales)?;
        let asked = delta.asked_of(available)?;
        let limit = available.minor().saturating_add(SELLS_ALL_WITHIN_CENTS);
        if !available.is_positive() || asked.minor() > limit {
            return Err(RefusedOrder::NotEnoughHeld { available });
        }
        // All of a small rest may always be sold.
        if asked.minor() >= available.minor() {
            return Ok(());
        }
        self.refuse_too_small(asked)
    }

    fn refuse_too_small(&self, asked: Money) -> Result<(), RefusedOrder> {
        let smallest = self.equity.times(SMALLEST_PART, Rounding::Up)?;
        let least = Money::new(smallest.minor().max(1), smallest.currency());
        if asked.minor() < least.minor() {
            return Err(RefusedOrder::TooSmall { least });
        }
        Ok(())
    }
}

/// What of the cash an order may put in: what is promised elsewhere, and what earlier orders will take, is left out. Never
/// below zero.
///
/// # Errors
/// When figures are out of range.
pub fn investable(cash: Money, promised: Money, pending_buys: &[Delta]) -> Result<Money, MoneyError> {
    let unpromised = at_least_zero(cash.checked_sub(promised)?);
    after(unpromised, pending_buys)
}

/// What is left of an amount after orders that each take a sum or a part of the rest.
fn after(amount: Money, orders: &[Delta]) -> Result<Money, MoneyError> {
    orders.iter().try_fold(amount, |left, order| {
        let taken = order.asked_of(left)?;
        Ok(at_least_zero(left.checked_sub(taken)?))
    })
}

fn at_least_zero(money: Money) -> Money {
    if money.is_negative() {
        Money::zero(money.currency())
    } else {
        money
    }
}

/// Dollars of so many cents.
pub(crate) fn dollars(cents: Money) -> Decimal {
    debug_assert_eq!(
        cents.currency(),
        Currency::USD,
        "DriveWealth's accounts are in dollars"
    );
    cents.to_decimal()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cents(cents: i64) -> Money {
        Money::new(cents, Currency::USD)
    }

    fn amount(minor: i64) -> Delta {
        Delta::Amount(cents(minor))
    }

    fn percent(percent: i64) -> Delta {
        Delta::Relative(Percent::try_from(percent).unwrap())
    }

    /// The vectors' first portfolio: equity 10,000.00, cash 4,000.00, what is held of the collection 3,500.00.
    fn available() -> Available {
        Available {
            equity: cents(1_000_000),
            cash: cents(400_000),
            promised: cents(0),
            holding: cents(350_000),
            pending_buys: Vec::new(),
            pending_sales: Vec::new(),
        }
    }

    #[test]
    fn percent_is_a_whole_number_within_a_hundred_and_not_zero() {
        for refused in [0, 101, -101, i64::MAX, i64::MIN] {
            assert_eq!(Percent::try_from(refused), Err(InvalidPercent), "{refused}");
        }
        assert_eq!(Percent::try_from(-100), Ok(Percent::SELL_ALL));
    }

    #[test]
    fn order_puts_in_no_more_than_the_cash() {
        assert_eq!(available().check(amount(400_000)), Ok(()));
        let not_enough = RefusedOrder::NotEnoughCash {
            available: cents(400_000),
        };
        assert_eq!(available().check(amount(400_001)), Err(not_enough));
        assert_eq!(available().check(amount(i64::MAX)), Err(not_enough));
        let mut promised = available();
        promised.promised = cents(150_000);
        assert_eq!(
            promised.check(amount(250_001)),
            Err(RefusedOrder::NotEnoughCash {
                available: cents(250_000)
            })
        );
        assert_eq!(promised.check(amount(250_000)), Ok(()));
        promised.promised = cents(500_000);
        assert_eq!(
            promised.check(percent(100)),
            Err(RefusedOrder::NotEnoughCash { available: cents(0) })
        );
    }

    #[test]
    fn order_counts_what_pending_orders_will_take_and_not_what_they_will_free() {
        let mut busy = available();
        busy.pending_buys = vec![amount(300_000)];
        busy.pending_sales = vec![amount(-100_000)];
        assert_eq!(
            busy.check(amount(200_000)),
            Err(RefusedOrder::NotEnoughCash {
                available: cents(100_000)
            })
        );
        assert_eq!(
            busy.check(amount(-250_002)),
            Err(RefusedOrder::NotEnoughHeld {
                available: cents(250_000)
            })
        );
        busy.pending_buys = vec![percent(50), percent(50)];
        assert_eq!(busy.check(amount(100_000)), Ok(()));
        assert!(busy.check(amount(100_001)).is_err());
    }

    #[test]
    fn order_takes_out_no_more_than_is_held_and_a_cent_more_sells_all() {
        assert_eq!(available().check(amount(-350_000)), Ok(()));
        assert_eq!(available().check(amount(-350_001)), Ok(()));
        assert!(available().check(amount(-350_002)).is_err());
        let mut nothing = available();
        nothing.holding = cents(0);
        for order in [amount(-10_000), percent(-50), Delta::Reweight] {
            assert_eq!(
                nothing.check(order),
                Err(RefusedOrder::NotEnoughHeld { available: cents(0) })
            );
        }
    }

    #[test]
    fn order_that_moves_no_target_is_too_small() {
        let too_small = Err(RefusedOrder::TooSmall { least: cents(50) });
        assert_eq!(available().check(amount(49)), too_small);
        assert_eq!(available().check(amount(-49)), too_small);
        assert_eq!(available().check(amount(50)), Ok(()));
        let mut dust = available();
        dust.holding = cents(3);
        assert_eq!(dust.check(percent(-100)), Ok(()));
        assert_eq!(dust.check(amount(-3)), Ok(()));
        let mut empty = available();
        (empty.equity, empty.cash) = (cents(0), cents(0));
        assert_eq!(
            empty.check(amount(1)),
            Err(RefusedOrder::NotEnoughCash { available: cents(0) })
        );
    }
}
