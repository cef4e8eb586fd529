//! The broker's portfolio: cash and funds with target and actual weights.
//!
//! The broker's answers are sporadically wrong (negative values, weights that don't sum up), so an answer is
//! checked before anything is decided by it. The rules are in functions/trading/README.md, Cash changes.

use rust_decimal::Decimal;
use thiserror::Error;

use crate::currency::Currency;
use crate::ids::{DriveWealthFundId, DriveWealthInstrumentId};
use crate::money::{Money, MoneyError, Rounding};
use crate::rate::{Weight, WeightError, normalise};

/// How far weights may miss 1: 0.01.
const WEIGHT_TOLERANCE: Decimal = Decimal::from_parts(1, 0, 0, false, 2);
/// How far parts may miss their whole: one dollar.
const VALUE_TOLERANCE: Decimal = Decimal::ONE;
/// A value below zero by less than half a cent is what the broker's arithmetic left of zero.
const NEARLY_ZERO: Decimal = Decimal::from_parts(5, 0, 0, true, 3);

/// A portfolio as the broker tells it, not checked yet. Values are in dollars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerPortfolio {
    /// Value of the whole.
    pub equity: Decimal,
    /// The cash reserve; zeros where the broker leaves it out.
    pub cash: BrokerHolding,
    /// The funds.
    pub funds: Vec<BrokerFund>,
}

/// Weight and value of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerHolding {
    /// What its share of the whole should be.
    pub target: Decimal,
    /// What its share of the whole is.
    pub actual: Decimal,
    /// Its value in dollars.
    pub value: Decimal,
}

/// A fund of the portfolio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerFund {
    /// The broker's id of the fund.
    pub id: DriveWealthFundId,
    /// The fund as a part of the portfolio.
    pub holding: BrokerHolding,
    /// The fund's own parts.
    pub parts: Vec<BrokerPart>,
}

/// An instrument in a fund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerPart {
    /// The instrument.
    pub instrument: DriveWealthInstrumentId,
    /// Its symbol, as the broker writes it.
    pub symbol: String,
    /// The instrument as a part of the fund.
    pub holding: BrokerHolding,
}

/// A portfolio whose answer holds together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portfolio {
    reading: BrokerPortfolio,
    cash_value: Money,
    equity: Money,
}

/// The shares that the broker is told to keep. They sum to exactly 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Share of the cash reserve.
    pub cash: Weight,
    /// Shares of the funds.
    pub funds: Vec<(DriveWealthFundId, Weight)>,
}

/// Why an answer about a portfolio is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidPortfolio {
    /// A value below zero.
    #[error("a value is negative")]
    NegativeValue,
    /// A weight below 0 or above 1.
    #[error("a weight is outside of 0 to 1")]
    WeightOutOfRange,
    /// Weights that don't sum to 1.
    #[error("actual weights sum to {0}")]
    WeightsMissOne(Decimal),
    /// Values of the parts that don't sum to the value of the whole.
    #[error("parts are worth {parts}, the whole {whole}")]
    PartsMissWhole {
        /// Sum of the parts, in dollars.
        parts: Decimal,
        /// The whole, in dollars.
        whole: Decimal,
    },
    /// Another cash than the account's.
    #[error("the portfolio's cash is {portfolio}, the account's {account}")]
    CashDiffers {
        /// What the portfolio says, in dollars.
        portfolio: Decimal,
        /// What the account says, in dollars.
        account: Decimal,
    },
    /// A figure too large to count with.
    #[error("a figure is out of range")]
    OutOfRange,
}

impl From<MoneyError> for InvalidPortfolio {
    fn from(_: MoneyError) -> Self {
        InvalidPortfolio::OutOfRange
    }
}

impl Portfolio {
    /// Checks an answer.
    ///
    /// # Errors
    /// The first reason found not to trust it.
    pub fn check(mut reading: BrokerPortfolio) -> Result<Portfolio, InvalidPortfolio> {
        reading.take_nearly_zero_as_zero();
        let holdings: Vec<BrokerHolding> = std::iter::once(reading.cash)
            .chain(reading.funds.iter().map(|fund| fund.holding))
            .collect();
        check_parts(&holdings, reading.equity)?;
        for fund in &reading.funds {
            let parts: Vec<BrokerHolding> = fund.parts.iter().map(|part| part.holding).collect();
            check_parts(&parts, fund.holding.value)?;
        }
        let dollars = |value| Money::from_decimal(value, Currency::USD, Rounding::HalfEven);
        let (cash_value, equity) = (dollars(reading.cash.value)?, dollars(reading.equity)?);
        Ok(Portfolio {
            reading,
            cash_value,
            equity,
        })
    }

    /// Value of the cash, rounded half-even to a cent.
    pub fn cash_value(&self) -> Money {
        self.cash_value
    }

    /// Value of the whole, rounded half-even to a cent.
    pub fn equity(&self) -> Money {
        self.equity
    }

    /// Value of the cash in dollars, as the broker tells it.
    pub fn exact_cash(&self) -> Decimal {
        self.reading.cash.value
    }

    /// The funds with their parts, as the broker tells them.
    pub fn funds(&self) -> &[BrokerFund] {
        &self.reading.funds
    }

    /// The target of the cash, as the broker tells it.
    pub fn cash_target(&self) -> Decimal {
        self.reading.cash.target
    }

    /// Whether the cash is what another answer says of the account's cash.
    ///
    /// # Errors
    /// When they differ by more than a dollar.
    pub fn agrees_with(&self, cash: Money) -> Result<(), InvalidPortfolio> {
        let difference = self.exact_cash().checked_sub(cash.to_decimal());
        if difference.ok_or(InvalidPortfolio::OutOfRange)?.abs() > VALUE_TOLERANCE {
            return Err(InvalidPortfolio::CashDiffers {
                portfolio: self.exact_cash(),
                account: cash.to_decimal(),
            });
        }
        Ok(())
    }

    /// The funds with their values in dollars, as the broker tells them.
    pub fn fund_values(&self) -> impl Iterator<Item = (&DriveWealthFundId, Decimal)> {
        let funds = self.reading.funds.iter();
        funds.map(|fund| (&fund.id, fund.holding.value))
    }

    /// The targets which leave everything as it is: every target = its actual part of the value. New cash is not
    /// invested by them, and what was withdrawn is not bought again. The broker's own actual weights don't serve: they
    /// are floored to four decimals, and bringing them to a sum of 1 would sell of the smaller part.
    ///
    /// # Errors
    /// When the weights can't be normalised.
    pub fn targets_as_they_are(&self) -> Result<Targets, WeightError> {
        let funds = &self.reading.funds;
        let actuals: Vec<Decimal> = std::iter::once(self.exact_cash())
            .chain(funds.iter().map(|fund| fund.holding.value))
            .collect();
        if actuals.iter().all(Decimal::is_zero) {
            let funds = funds.iter().map(|fund| (fund.id.clone(), Weight::ZERO)).collect();
            return Ok(Targets {
                cash: Weight::ONE,
                funds,
            });
        }
        let mut weights = normalise(&actuals)?.into_iter();
        let cash = weights.next().unwrap_or(Weight::ZERO);
        Ok(Targets {
            cash,
            funds: funds.iter().map(|fund| fund.id.clone()).zip(weights).collect(),
        })
    }
}

impl BrokerPortfolio {
    fn take_nearly_zero_as_zero(&mut self) {
        let parts = self.funds.iter_mut().flat_map(|fund| {
            fund.parts
                .iter_mut()
                .map(|part| &mut part.holding.value)
                .chain([&mut fund.holding.value])
        });
        for value in parts.chain([&mut self.equity, &mut self.cash.value]) {
            if NEARLY_ZERO < *value && *value < Decimal::ZERO {
                *value = Decimal::ZERO;
            }
        }
    }
}

/// Checks a whole against its parts. An empty whole has no shares to sum up.
fn check_parts(parts: &[BrokerHolding], whole: Decimal) -> Result<(), InvalidPortfolio> {
    if whole < Decimal::ZERO || parts.iter().any(|part| part.value < Decimal::ZERO) {
        return Err(InvalidPortfolio::NegativeValue);
    }
    let outside = |weight: Decimal| weight < Decimal::ZERO || weight > Decimal::ONE;
    if parts
        .iter()
        .any(|part| outside(part.target) || outside(part.actual))
    {
        return Err(InvalidPortfolio::WeightOutOfRange);
    }
    let values = checked_sum(parts.iter().map(|part| part.value))?;
    let difference = values.checked_sub(whole).ok_or(InvalidPortfolio::OutOfRange)?;
    if difference.abs() > VALUE_TOLERANCE {
        return Err(InvalidPortfolio::PartsMissWhole { parts: values, whole });
    }
    let weights = checked_sum(parts.iter().map(|part| part.actual))?;
    if !whole.is_zero() && (weights - Decimal::ONE).abs() > WEIGHT_TOLERANCE {
        return Err(InvalidPortfolio::WeightsMissOne(weights));
    }
    Ok(())
}

fn checked_sum(values: impl Iterator<Item = Decimal>) -> Result<Decimal, InvalidPortfolio> {
    values
        .into_iter()
        .try_fold(Decimal::ZERO, |sum, value| sum.checked_add(value))
        .ok_or(InvalidPortfolio::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn holding(target: &str, actual: &str, value: &str) -> BrokerHolding {
        BrokerHolding {
            target: decimal(target),
            actual: decimal(actual),
            value: decimal(value),
        }
    }

    fn part(symbol: &str, weight: &str, value: &str) -> BrokerPart {
        BrokerPart {
            instrument: DriveWealthInstrumentId::parse(symbol).unwrap(),
            symbol: symbol.to_owned(),
            holding: holding(weight, weight, value),
        }
    }

    fn reading() -> BrokerPortfolio {
        BrokerPortfolio {
            equity: decimal("1000.00"),
            cash: holding("0.1", "0.3334", "333.40"),
            funds: vec![BrokerFund {
                id: DriveWealthFundId::parse("fund_1").unwrap(),
                holding: holding("0.9", "0.6667", "666.60"),
                parts: vec![part("AAPL", "0.5", "333.30"), part("MSFT", "0.5", "333.30")],
            }],
        }
    }

    #[test]
    fn targets_become_the_actual_weights_and_sum_to_one() {
        let portfolio = Portfolio::check(reading()).unwrap();
        let targets = portfolio.targets_as_they_are().unwrap();
        let sum: u32 = targets
            .funds
            .iter()
            .map(|(_, weight)| weight.ten_thousandths())
            .sum();
        assert_eq!(targets.cash.ten_thousandths() + sum, 10_000);
        assert_eq!(targets.cash.ten_thousandths(), 3334);
        assert_eq!(portfolio.cash_value(), Money::new(33_340, Currency::USD));
    }

    #[test]
    fn an_empty_portfolio_is_all_cash() {
        let mut empty = reading();
        empty.equity = Decimal::ZERO;
        empty.cash = BrokerHolding::default();
        empty.funds[0].holding = BrokerHolding::default();
        empty.funds[0].parts.clear();
        let targets = Portfolio::check(empty).unwrap().targets_as_they_are().unwrap();
        assert_eq!(targets.cash, Weight::ONE);
        assert_eq!(targets.funds[0].1, Weight::ZERO);
    }

    #[test]
    fn an_answer_that_does_not_hold_together_is_refused() {
        let refused = |change: fn(&mut BrokerPortfolio)| {
            let mut changed = reading();
            change(&mut changed);
            Portfolio::check(changed).unwrap_err()
        };
        assert_eq!(
            refused(|r| r.cash.value = Decimal::NEGATIVE_ONE),
            InvalidPortfolio::NegativeValue
        );
        assert_eq!(
            refused(|r| r.cash.actual = Decimal::TWO),
            InvalidPortfolio::WeightOutOfRange
        );
        assert!(matches!(
            refused(|r| r.cash.actual = Decimal::ZERO),
            InvalidPortfolio::WeightsMissOne(_)
        ));
        assert!(matches!(
            refused(|r| r.funds[0].parts[0].holding.value = Decimal::ONE),
            InvalidPortfolio::PartsMissWhole { .. }
        ));
        assert!(matches!(
            refused(|r| r.equity = Decimal::ONE_HUNDRED),
            InvalidPortfolio::PartsMissWhole { .. }
        ));
    }

    #[test]
    fn a_value_that_is_nearly_zero_is_zero() {
        let mut nearly = reading();
        nearly.equity = decimal("666.60");
        nearly.cash = holding("0.1", "0.3334", "-0.0000000000028");
        let portfolio = Portfolio::check(nearly.clone()).unwrap();
        assert_eq!(portfolio.exact_cash(), Decimal::ZERO);
        nearly.cash.value = decimal("-0.01");
        assert_eq!(Portfolio::check(nearly), Err(InvalidPortfolio::NegativeValue));
    }

    #[test]
    fn targets_are_parts_of_the_value_and_not_the_floored_weights() {
        let real = BrokerPortfolio {
            equity: decimal("29946.88"),
            cash: holding("0.9939", "0.9937", "29758.93"),
            funds: vec![BrokerFund {
                id: DriveWealthFundId::parse("fund_1").unwrap(),
                holding: holding("0.0061", "0.0062", "187.95"),
                parts: vec![part("AAPL", "1", "187.95")],
            }],
        };
        let targets = Portfolio::check(real).unwrap().targets_as_they_are().unwrap();
        assert_eq!(targets.cash.ten_thousandths(), 9_937);
        assert_eq!(targets.funds[0].1.ten_thousandths(), 63);
    }

    #[test]
    fn weights_may_miss_one_by_a_hundredth_and_no_more() {
        let mut edge = reading();
        for (actual, is_taken) in [
            ("0.3232", false),
            ("0.3233", true),
            ("0.3433", true),
            ("0.3434", false),
        ] {
            edge.cash.actual = decimal(actual);
            assert_eq!(Portfolio::check(edge.clone()).is_ok(), is_taken, "{actual}");
        }
    }

    #[test]
    fn cash_may_differ_from_the_accounts_by_a_dollar() {
        let portfolio = Portfolio::check(reading()).unwrap();
        for (cents, agrees) in [(33_240, true), (33_440, true), (33_239, false), (33_441, false)] {
            let cash = Money::new(cents, Currency::USD);
            assert_eq!(portfolio.agrees_with(cash).is_ok(), agrees, "{cents}");
        }
    }

    #[test]
    fn a_fund_is_checked_against_its_parts() {
        let with_parts = |values: [&str; 2], weights: [&str; 2]| {
            let mut changed = reading();
            let parts = values.iter().zip(weights);
            changed.funds[0].parts = parts.map(|(value, weight)| part("AAPL", weight, value)).collect();
            Portfolio::check(changed).is_ok()
        };
        assert!(with_parts(["333.30", "332.30"], ["0.5", "0.5"]));
        assert!(!with_parts(["333.30", "332.29"], ["0.5", "0.5"]));
        assert!(with_parts(["333.30", "333.30"], ["0.5", "0.49"]));
        assert!(!with_parts(["333.30", "333.30"], ["0.5", "0.4899"]));
        let mut empty = reading();
        empty.funds[0].holding = holding("0", "0", "0");
        empty.funds[0].parts = vec![part("AAPL", "0", "0")];
        empty.cash = holding("1", "1", "1000");
        assert!(Portfolio::check(empty).is_ok());
    }

    #[test]
    fn a_dollar_of_difference_is_tolerated() {
        let mut near = reading();
        near.equity = Decimal::from(1001);
        assert!(Portfolio::check(near.clone()).is_ok());
        near.equity = "1001.01".parse().unwrap();
        assert!(Portfolio::check(near).is_err());
    }
}
