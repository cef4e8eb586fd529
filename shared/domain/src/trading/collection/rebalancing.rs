//! How pending orders of an account become one set of targets.
//!
//! The working copy holds values and not weights: the broker floors its weights to four decimals, so that they miss
//! their sum, and a value loses nothing when an order moves money from the cash to a fund or back. Weights are made of
//! the values once, at the end.

use rust_decimal::Decimal;
use thiserror::Error;

use crate::currency::Currency;
use crate::ids::{CollectionId, CollectionVersionId, DriveWealthFundId};
use crate::money::{Money, MoneyError, Rounding};
use crate::rate::{Weight, WeightError, normalise};
use crate::stored::{named_enum, stored_as_text};
use crate::trading::collection::order::{Delta, Side, dollars};
use crate::trading::portfolio::Portfolio;

/// A fund that is there, or one that an order makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fund {
    /// The broker's fund.
    Held(DriveWealthFundId),
    /// A fund of this collection that the broker doesn't have yet.
    New(CollectionId),
}

/// An order that is carried out with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The collection version.
    pub id: CollectionVersionId,
    /// The fund of its collection.
    pub fund: Fund,
    /// What it asks for.
    pub delta: Delta,
    /// Whether its collection has a symbol left that can be traded.
    pub is_tradable: bool,
}

named_enum! {
    /// Why an order wasn't carried out.
    pub enum NotCarriedOut {
        /// There was less cash than it puts in.
        InsufficientFunds = "insufficient_funds",
        /// Nothing is held of the collection.
        NothingHeld = "nothing_held",
        /// No symbol of the collection can be traded.
        NothingTradable = "nothing_tradable",
    }
}

stored_as_text!(NotCarriedOut);

/// What became of the orders of an account, and where they lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Share of the cash reserve.
    pub cash: Weight,
    /// Shares of the funds, those of zero too. With the cash they sum to exactly 1.
    pub funds: Vec<(Fund, Weight)>,
    /// Each order with the money it moves into the fund (below zero: out of it), or why it isn't carried out; in the
    /// order in which they were carried out: sales by id, then the others by id.
    pub orders: Vec<(CollectionVersionId, Result<Money, NotCarriedOut>)>,
}

/// Figures that can't be counted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Uncountable {
    /// An amount out of range.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// Weights that can't be made of the values.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// A sum out of range.
    #[error("a value is out of range")]
    Value,
}

/// Carries out orders on a portfolio: sales by id, then what buys, by id. An order that can't be carried out changes
/// nothing, and the others go on.
///
/// # Errors
/// When figures are out of range.
pub fn plan(portfolio: &Portfolio, mut orders: Vec<Order>) -> Result<Plan, Uncountable> {
    let mut copy = WorkingCopy::of(portfolio);
    orders.sort_by_key(|order| (order.delta.side() == Side::Buy, order.id));
    let mut carried_out = Vec::with_capacity(orders.len());
    for order in &orders {
        carried_out.push((order.id, copy.carry_out(order)?));
    }
    let (cash, funds) = copy.weights()?;
    Ok(Plan {
        cash,
        funds,
        orders: carried_out,
    })
}

/// What the account is worth while orders are carried out, in dollars.
struct WorkingCopy {
    cash: Decimal,
    funds: Vec<(Fund, Decimal)>,
}

impl WorkingCopy {
    fn of(portfolio: &Portfolio) -> WorkingCopy {
        let held = portfolio.fund_values();
        WorkingCopy {
            cash: portfolio.exact_cash(),
            funds: held.map(|(id, value)| (Fund::Held(id.clone()), value)).collect(),
        }
    }

    fn carry_out(&mut self, order: &Order) -> Result<Result<Money, NotCarriedOut>, Uncountable> {
        let held = self.value_of(&order.fund);
        match (order.delta.side(), order.delta) {
            (Side::Sell, delta) if held > Decimal::ZERO => self.sell(&order.fund, held, delta).map(Ok),
            (Side::Buy, Delta::Reweight) if held > Decimal::ZERO => Ok(if order.is_tradable {
                Ok(Money::zero(Currency::USD))
            } else {
                Err(NotCarriedOut::NothingTradable)
            }),
            (Side::Sell, _) | (Side::Buy, Delta::Reweight) => Ok(Err(NotCarriedOut::NothingHeld)),
            (Side::Buy, _) if !order.is_tradable => Ok(Err(NotCarriedOut::NothingTradable)),
            (Side::Buy, delta) => self.buy(&order.fund, delta),
        }
    }

    /// Takes money out of a fund: no more than it is worth.
    fn sell(&mut self, fund: &Fund, held: Decimal, delta: Delta) -> Result<Money, Uncountable> {
        let whole_cents = cents(held)?;
        let asked = delta.asked_of(whole_cents)?;
        // Whoever sells every whole cent of it sells the fraction too, or dust would stay.
        let is_all = delta.is_all() || asked.minor() >= whole_cents.minor();
        let taken = if is_all { held } else { dollars(asked) };
        self.move_into(fund, -taken)?;
        // What is told is never more than what was there.
        Ok(cents(taken)?.checked_neg()?)
    }

    /// Puts money into a fund, if there is enough.
    fn buy(&mut self, fund: &Fund, delta: Delta) -> Result<Result<Money, NotCarriedOut>, Uncountable> {
        let asked = delta.asked_of(cents(self.cash)?)?;
        let put_in = if delta.is_all() { self.cash } else { dollars(asked) };
        if put_in > self.cash || put_in <= Decimal::ZERO {
            return Ok(Err(NotCarriedOut::InsufficientFunds));
        }
        self.move_into(fund, put_in)?;
        Ok(Ok(cents(put_in)?))
    }

    /// Moves money from the cash into a fund, or back where it is below zero.
    fn move_into(&mut self, fund: &Fund, amount: Decimal) -> Result<(), Uncountable> {
        self.cash = self.cash.checked_sub(amount).ok_or(Uncountable::Value)?;
        match self.funds.iter_mut().find(|(there, _)| there == fund) {
            Some((_, value)) => *value = value.checked_add(amount).ok_or(Uncountable::Value)?,
            None => self.funds.push((fund.clone(), amount)),
        }
        Ok(())
    }

    fn value_of(&self, fund: &Fund) -> Decimal {
        let there = self.funds.iter().find(|(there, _)| there == fund);
        there.map_or(Decimal::ZERO, |(_, value)| *value)
    }

    /// The values as weights that sum to exactly 1; all of nothing is cash.
    fn weights(self) -> Result<(Weight, Vec<(Fund, Weight)>), Uncountable> {
        let values: Vec<Decimal> = std::iter::once(self.cash)
            .chain(self.funds.iter().map(|(_, value)| *value))
            .collect();
        let mut weights = if values.iter().all(Decimal::is_zero) {
            let mut all_cash = vec![Weight::ZERO; values.len()];
            all_cash.iter_mut().take(1).for_each(|cash| *cash = Weight::ONE);
            all_cash
        } else {
            normalise(&values)?
        }
        .into_iter();
        let cash = weights.next().unwrap_or(Weight::ONE);
        let funds = self.funds.into_iter().map(|(fund, _)| fund);
        Ok((cash, funds.zip(weights).collect()))
    }
}

/// Dollars as cents, rounded down: nobody is told of more than there is.
fn cents(dollars: Decimal) -> Result<Money, MoneyError> {
    Money::from_decimal(dollars, Currency::USD, Rounding::Down)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::DriveWealthInstrumentId;
    use crate::trading::collection::order::Percent;
    use crate::trading::portfolio::{BrokerFund, BrokerHolding, BrokerPart, BrokerPortfolio};

    const A: &str = "fund_a";
    const B: &str = "fund_b";

    fn fund(id: &str) -> Fund {
        Fund::Held(DriveWealthFundId::parse(id).unwrap())
    }

    fn amount(minor: i64) -> Delta {
        Delta::Amount(Money::new(minor, Currency::USD))
    }

    fn percent(percent: i64) -> Delta {
        Delta::Relative(Percent::try_from(percent).unwrap())
    }

    fn order(id: i64, fund: Fund, delta: Delta) -> Order {
        Order {
            id: CollectionVersionId::new(id).unwrap(),
            fund,
            delta,
            is_tradable: true,
        }
    }

    /// A portfolio of cash and funds by their values in dollars.
    fn portfolio(cash: &str, funds: &[(&str, &str)]) -> Portfolio {
        let values = std::iter::once(&cash).chain(funds.iter().map(|(_, value)| value));
        let values: Vec<Decimal> = values.map(|value| value.parse().unwrap()).collect();
        let equity: Decimal = values.iter().sum();
        let actuals = if equity.is_zero() {
            vec![Weight::ZERO; values.len()]
        } else {
            normalise(&values).unwrap()
        };
        let holding = |index: usize| BrokerHolding {
            target: Decimal::ZERO,
            actual: actuals[index].as_decimal(),
            value: values[index],
        };
        let funds = funds.iter().enumerate().map(|(index, (id, _))| BrokerFund {
            id: DriveWealthFundId::parse(id).unwrap(),
            holding: holding(index + 1),
            parts: vec![BrokerPart {
                instrument: DriveWealthInstrumentId::parse(id).unwrap(),
                symbol: "AAPL".to_owned(),
                holding: BrokerHolding {
                    target: Decimal::ONE,
                    actual: Decimal::ONE,
                    value: values[index + 1],
                },
            }],
        });
        let reading = BrokerPortfolio {
            equity,
            cash: holding(0),
            funds: funds.collect(),
        };
        Portfolio::check(reading).unwrap()
    }

    /// The vectors' first portfolio.
    fn p1() -> Portfolio {
        portfolio("4000.00", &[(A, "3500.00"), (B, "2500.00")])
    }

    fn weights(plan: &Plan) -> Vec<u32> {
        let funds = plan.funds.iter().map(|(_, weight)| weight.ten_thousandths());
        std::iter::once(plan.cash.ten_thousandths())
            .chain(funds)
            .collect()
    }

    fn moved(plan: &Plan) -> Vec<(i64, Result<i64, NotCarriedOut>)> {
        let orders = plan.orders.iter();
        orders
            .map(|(id, moved)| (id.get(), moved.map(|money| money.minor())))
            .collect()
    }

    #[test]
    fn order_moves_a_part_of_the_whole_between_cash_and_its_fund() {
        for (fund_id, delta, expected) in [
            (A, amount(100_000), [3_000, 4_500, 2_500]),
            (A, amount(400_000), [0, 7_500, 2_500]),
            (B, amount(-100_000), [5_000, 3_500, 1_500]),
            (A, percent(50), [2_000, 5_500, 2_500]),
            (A, percent(100), [0, 7_500, 2_500]),
            (A, percent(33), [2_680, 4_820, 2_500]),
            (A, percent(-50), [5_750, 1_750, 2_500]),
            (A, percent(-100), [7_500, 0, 2_500]),
            (A, percent(-33), [5_155, 2_345, 2_500]),
            (A, Delta::Reweight, [4_000, 3_500, 2_500]),
        ] {
            let plan = plan(&p1(), vec![order(1, fund(fund_id), delta)]).unwrap();
            assert_eq!(weights(&plan), expected, "{delta:?}");
        }
    }

    #[test]
    fn order_of_more_cash_than_there_is_fails_and_the_others_go_on() {
        let orders = vec![
            order(1, fund(A), amount(450_000)),
            order(2, fund(B), amount(100_000)),
        ];
        let plan = plan(&p1(), orders).unwrap();
        assert_eq!(weights(&plan), [3_000, 3_500, 3_500]);
        assert_eq!(
            moved(&plan),
            [(1, Err(NotCarriedOut::InsufficientFunds)), (2, Ok(100_000))]
        );
    }

    #[test]
    fn order_of_a_collection_that_is_not_held_makes_its_fund_or_has_nothing_to_sell() {
        let new = Fund::New(CollectionId::new(7).unwrap());
        let bought = plan(&p1(), vec![order(1, new.clone(), amount(50_000))]).unwrap();
        assert_eq!(weights(&bought), [3_500, 3_500, 2_500, 500]);
        for delta in [amount(-10_000), percent(-50), Delta::Reweight] {
            let refused = plan(&p1(), vec![order(1, new.clone(), delta)]).unwrap();
            assert_eq!(weights(&refused), [4_000, 3_500, 2_500]);
            assert_eq!(moved(&refused), [(1, Err(NotCarriedOut::NothingHeld))]);
        }
    }

    #[test]
    fn orders_sell_first_and_then_buy_by_id() {
        let orders = vec![
            order(1, fund(A), amount(100_000)),
            order(2, fund(B), amount(-250_000)),
            order(3, fund(B), amount(50_000)),
        ];
        let plan = plan(&p1(), orders).unwrap();
        assert_eq!(weights(&plan), [5_000, 4_500, 500]);
        assert_eq!(
            moved(&plan),
            [(2, Ok(-250_000)), (1, Ok(100_000)), (3, Ok(50_000))]
        );
    }

    #[test]
    fn orders_for_a_part_take_a_part_of_what_the_earlier_ones_left() {
        let halves = vec![order(1, fund(A), percent(-50)), order(2, fund(A), percent(-50))];
        let halved = plan(&p1(), halves).unwrap();
        assert_eq!(weights(&halved), [6_625, 875, 2_500]);
        assert_eq!(moved(&halved), [(1, Ok(-175_000)), (2, Ok(-87_500))]);
        let again = vec![
            order(1, fund(A), percent(-100)),
            order(2, fund(A), amount(100_000)),
        ];
        let bought_again = plan(&p1(), again).unwrap();
        assert_eq!(weights(&bought_again), [6_500, 1_000, 2_500]);
        assert_eq!(moved(&bought_again), [(1, Ok(-350_000)), (2, Ok(100_000))]);
        let both = vec![
            order(1, fund(A), amount(300_000)),
            order(2, fund(B), amount(200_000)),
        ];
        let short = plan(&p1(), both).unwrap();
        assert_eq!(weights(&short), [1_000, 6_500, 2_500]);
        assert_eq!(
            moved(&short),
            [(1, Ok(300_000)), (2, Err(NotCarriedOut::InsufficientFunds))]
        );
    }

    #[test]
    fn orders_of_a_real_answer_keep_its_cents() {
        let real = || portfolio("29758.93", &[(A, "187.95")]);
        for (delta, expected) in [
            (amount(2_975_893), [0, 10_000]),
            (amount(-18_600), [9_999, 1]),
            (amount(1_000), [9_934, 66]),
        ] {
            let plan = plan(&real(), vec![order(1, fund(A), delta)]).unwrap();
            assert_eq!(weights(&plan), expected, "{delta:?}");
        }
        let second = plan(
            &portfolio("1000.00", &[(A, "234.56")]),
            vec![order(1, fund(A), amount(10_000))],
        );
        assert_eq!(weights(&second.unwrap()), [7_290, 2_710]);
    }

    #[test]
    fn weights_of_thirds_sum_to_one() {
        let thirds = || portfolio("0", &[(A, "1000"), (B, "1000"), ("fund_c", "1000")]);
        assert_eq!(
            weights(&plan(&thirds(), Vec::new()).unwrap()),
            [0, 3_334, 3_333, 3_333]
        );
        let sold = plan(&thirds(), vec![order(1, fund(B), amount(-10_000))]).unwrap();
        assert_eq!(weights(&sold), [334, 3_333, 3_000, 3_333]);
        let cent = plan(&thirds(), vec![order(1, fund(B), amount(-1))]).unwrap();
        assert_eq!(weights(&cent), [0, 3_334, 3_333, 3_333]);
    }

    #[test]
    fn account_without_cash_or_without_anything_is_counted_with() {
        let invested = || portfolio("0", &[(A, "1000.00")]);
        let short = plan(&invested(), vec![order(1, fund(A), amount(1))]).unwrap();
        assert_eq!(moved(&short), [(1, Err(NotCarriedOut::InsufficientFunds))]);
        let sold = plan(&invested(), vec![order(1, fund(A), amount(-25_000))]).unwrap();
        assert_eq!(weights(&sold), [2_500, 7_500]);
        let empty = plan(&portfolio("0", &[]), vec![order(1, fund(A), amount(1))]).unwrap();
        assert_eq!(weights(&empty), [10_000]);
        let part = plan(&portfolio("0", &[]), vec![order(1, fund(A), percent(100))]).unwrap();
        assert_eq!(moved(&part), [(1, Err(NotCarriedOut::InsufficientFunds))]);
    }

    #[test]
    fn order_without_a_symbol_that_can_be_traded_fails_where_it_buys_and_goes_on_where_it_sells() {
        let untradable = |delta| Order {
            is_tradable: false,
            ..order(1, fund(A), delta)
        };
        for delta in [amount(100), Delta::Reweight] {
            let refused = plan(&p1(), vec![untradable(delta)]).unwrap();
            assert_eq!(moved(&refused), [(1, Err(NotCarriedOut::NothingTradable))]);
        }
        let sold = plan(&p1(), vec![untradable(percent(-100))]).unwrap();
        assert_eq!(weights(&sold), [7_500, 0, 2_500]);
    }

    fn any_delta() -> impl Strategy<Value = Delta> {
        prop_oneof![
            (-700_000_i64..700_000)
                .prop_filter("not zero", |minor| *minor != 0)
                .prop_map(amount),
            (-100_i64..=100)
                .prop_filter("not zero", |part| *part != 0)
                .prop_map(percent),
            Just(Delta::Reweight),
        ]
    }

    proptest! {
        #[test]
        fn plan_sums_to_one_moves_what_it_says_and_never_more_than_there_is(
            cash in 0_i64..500_000,
            held in prop::collection::vec(0_i64..400_000, 1..5),
            deltas in prop::collection::vec((0_usize..5, any_delta()), 0..6),
        ) {
            let dollars = |minor: i64| Decimal::new(minor, 2).to_string();
            let ids: Vec<String> = (0..held.len()).map(|index| format!("fund_{index}")).collect();
            let values: Vec<String> = held.iter().map(|minor| dollars(*minor)).collect();
            let funds: Vec<(&str, &str)> = ids.iter().map(String::as_str).zip(values.iter().map(String::as_str)).collect();
            let account = portfolio(&dollars(cash), &funds);
            let orders: Vec<Order> = deltas
                .iter()
                .enumerate()
                .map(|(index, (of, delta))| order(i64::try_from(index).unwrap() + 1, fund(&ids[of % ids.len()]), *delta))
                .collect();
            let first = plan(&account, orders.clone()).unwrap();
            prop_assert_eq!(weights(&first).iter().sum::<u32>(), 10_000);
            prop_assert_eq!(&first, &plan(&account, orders.clone()).unwrap());
            let mut left = cash;
            let mut rest = held.clone();
            for (id, result) in moved(&first) {
                let Ok(minor) = result else { continue };
                let index = usize::try_from(id - 1).unwrap();
                left -= minor;
                let place = deltas[index].0 % rest.len();
                rest[place] += minor;
                prop_assert!(left >= 0 && rest[place] >= 0, "more than there is");
            }
            prop_assert_eq!(left + rest.iter().sum::<i64>(), cash + held.iter().sum::<i64>());
        }

        #[test]
        fn order_that_fails_changes_no_other(minor in 400_001_i64..i64::MAX, other in any_delta()) {
            let alone = plan(&p1(), vec![order(2, fund(B), other)]).unwrap();
            let both = plan(&p1(), vec![order(3, fund(A), amount(minor.max(700_001))), order(2, fund(B), other)]).unwrap();
            prop_assert_eq!(weights(&alone), weights(&both));
        }
    }
}
