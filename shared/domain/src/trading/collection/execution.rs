//! What a run has traded for each of its orders.
//!
//! The broker makes one order per symbol and side, whichever funds the symbol is in, and its fills are told by symbol. So a
//! symbol's fills are divided over the funds by what each was expected to trade of it, and a fund's over its orders by
//! what each was to move.

use rust_decimal::Decimal;

use crate::currency::Currency;
use crate::ids::CollectionVersionId;
use crate::money::{Money, Rounding};
use crate::trading::collection::rebalancing::Uncountable;
use crate::trading::collection::symbol::Symbol;

/// What a fund was expected to trade of a symbol: dollars, above zero where it buys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedTrade<F> {
    /// The fund.
    pub fund: F,
    /// The symbol.
    pub symbol: Symbol,
    /// The dollars.
    pub amount: Decimal,
}

/// What was traded of a symbol: dollars, above zero where it was bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The symbol.
    pub symbol: Symbol,
    /// The dollars.
    pub amount: Decimal,
}

/// What an order was to move into its fund, below zero out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned<F> {
    /// The collection version.
    pub id: CollectionVersionId,
    /// The fund of its collection.
    pub fund: F,
    /// The money.
    pub amount: Money,
}

/// The money that a run moved for each order, rounded half-even to a cent.
///
/// # Errors
/// When figures are out of range.
pub fn executed<F: PartialEq>(
    expected: &[ExpectedTrade<F>],
    fills: &[Fill],
    planned: &[Planned<F>],
) -> Result<Vec<(CollectionVersionId, Money)>, Uncountable> {
    let mut amounts = Vec::with_capacity(planned.len());
    for order in planned {
        let moved = moved_into(&order.fund, expected, fills)?;
        let of_fund = planned.iter().filter(|other| other.fund == order.fund);
        let whole = sum(of_fund.map(|other| other.amount.to_decimal()))?;
        let amount = part(order.amount.to_decimal(), whole, moved)?;
        amounts.push((
            order.id,
            Money::from_decimal(amount, Currency::USD, Rounding::HalfEven)?,
        ));
    }
    Ok(amounts)
}

/// What the fills moved into a fund.
fn moved_into<F: PartialEq>(
    fund: &F,
    expected: &[ExpectedTrade<F>],
    fills: &[Fill],
) -> Result<Decimal, Uncountable> {
    let own = expected.iter().filter(|trade| trade.fund == *fund);
    own.map(|trade| {
        let of_symbol = expected.iter().filter(|other| other.symbol == trade.symbol);
        let whole = sum(of_symbol.map(|other| other.amount))?;
        let filled = fills.iter().filter(|fill| fill.symbol == trade.symbol);
        part(trade.amount, whole, sum(filled.map(|fill| fill.amount))?)
    })
    .try_fold(Decimal::ZERO, |moved, of_symbol| {
        moved.checked_add(of_symbol?).ok_or(Uncountable::Value)
    })
}

/// The part of what was `done` that belongs to `own` of the `whole` that was to be done. Where what was to be bought and sold
/// cancels out, nothing has to be traded for it, and each has its own.
fn part(own: Decimal, whole: Decimal, done: Decimal) -> Result<Decimal, Uncountable> {
    if whole.is_zero() {
        return Ok(if done.is_zero() { own } else { Decimal::ZERO });
    }
    let share = own.checked_div(whole).ok_or(Uncountable::Value)?;
    // Above 1 where others go the other way: a rest that was traded between them says little of each then.
    if share > Decimal::ONE || share < Decimal::ZERO {
        let ratio = done.checked_div(whole).ok_or(Uncountable::Value)?;
        let ratio = ratio.clamp(Decimal::ZERO, Decimal::ONE);
        return own.checked_mul(ratio).ok_or(Uncountable::Value);
    }
    done.checked_mul(share).ok_or(Uncountable::Value)
}

fn sum(mut amounts: impl Iterator<Item = Decimal>) -> Result<Decimal, Uncountable> {
    amounts
        .try_fold(Decimal::ZERO, |sum, amount| sum.checked_add(amount))
        .ok_or(Uncountable::Value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(fund: &'static str, symbol: &str, cents: i64) -> ExpectedTrade<&'static str> {
        ExpectedTrade {
            fund,
            symbol: symbol.parse().unwrap(),
            amount: Decimal::new(cents, 2),
        }
    }

    fn fill(symbol: &str, cents: i64) -> Fill {
        Fill {
            symbol: symbol.parse().unwrap(),
            amount: Decimal::new(cents, 2),
        }
    }

    fn order(id: i64, fund: &'static str, cents: i64) -> Planned<&'static str> {
        Planned {
            id: CollectionVersionId::new(id).unwrap(),
            fund,
            amount: Money::new(cents, Currency::USD),
        }
    }

    fn amounts(
        expected: &[ExpectedTrade<&'static str>],
        fills: &[Fill],
        planned: &[Planned<&'static str>],
    ) -> Vec<i64> {
        let executed = executed(expected, fills, planned).unwrap();
        executed.into_iter().map(|(_, amount)| amount.minor()).collect()
    }

    #[test]
    fn order_alone_has_all_fills_of_its_fund() {
        let expected = [trade("a", "AAPL", 60_000), trade("a", "MSFT", 40_000)];
        let planned = [order(1, "a", 100_000)];
        assert_eq!(
            amounts(&expected, &[fill("AAPL", 60_000), fill("MSFT", 40_000)], &planned),
            [100_000]
        );
        assert_eq!(amounts(&expected, &[fill("AAPL", 60_000)], &planned), [60_000]);
        assert_eq!(amounts(&expected, &[], &planned), [0]);
    }

    #[test]
    fn symbol_of_two_funds_is_divided_by_what_each_was_to_trade() {
        let expected = [trade("a", "AAPL", 30_000), trade("b", "AAPL", 10_000)];
        let planned = [order(1, "a", 30_000), order(2, "b", 10_000)];
        assert_eq!(
            amounts(&expected, &[fill("AAPL", 20_000)], &planned),
            [15_000, 5_000]
        );
    }

    #[test]
    fn symbol_that_one_fund_sells_to_the_other_needs_no_fill() {
        let expected = [trade("a", "AAPL", 30_000), trade("b", "AAPL", -30_000)];
        let planned = [order(1, "a", 30_000), order(2, "b", -30_000)];
        assert_eq!(amounts(&expected, &[], &planned), [30_000, -30_000]);
    }

    #[test]
    fn orders_of_one_fund_share_its_fills_by_what_each_was_to_move() {
        let expected = [trade("a", "AAPL", -262_500)];
        let planned = [order(1, "a", -175_000), order(2, "a", -87_500)];
        assert_eq!(
            amounts(&expected, &[fill("AAPL", -262_500)], &planned),
            [-175_000, -87_500]
        );
        let sold_and_bought = [order(1, "a", -350_000), order(2, "a", 100_000)];
        let rest = [trade("a", "AAPL", -250_000)];
        assert_eq!(
            amounts(&rest, &[fill("AAPL", -250_000)], &sold_and_bought),
            [-350_000, 100_000]
        );
    }

    #[test]
    fn order_that_only_gives_other_weights_has_moved_nothing() {
        let expected = [trade("a", "AAPL", -10_000), trade("a", "MSFT", 10_000)];
        let fills = [fill("AAPL", -10_000), fill("MSFT", 10_000)];
        assert_eq!(amounts(&expected, &fills, &[order(1, "a", 0)]), [0]);
    }
}
