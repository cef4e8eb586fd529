//! What an account is worth on each New York day. Commissions count by it, so a figure that is not of the day, or that
//! can't be right, is no figure.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use thiserror::Error;

use crate::currency::Currency;
use crate::market::{MarketCalendar, new_york};
use crate::money::{Money, MoneyError};

/// The hour in New York at which a day's balances are due: an hour after the close, on every calendar day.
const DUE_HOUR: u32 = 17;

/// Cash and worth of an account, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    cash: Money,
    equity: Money,
}

/// Why what the broker reported of an account is not its balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidBalance {
    /// The account is worth less than nothing.
    #[error("cash and positions come to less than nothing")]
    NegativeEquity,
    /// The figures are in another currency than the account.
    #[error("the figures are in {reported}, the account is in {account}")]
    OtherCurrency {
        /// The account's currency.
        account: Currency,
        /// The one of the figures.
        reported: Currency,
    },
    /// A figure too large to count with.
    #[error("a figure is out of range")]
    OutOfRange,
}

impl Balance {
    /// The balance of an account in `currency`: its worth is its cash and the value of its positions. Cash may be below
    /// zero, as long as the positions make up for it. Nothing is converted.
    ///
    /// # Errors
    /// When one of the figures is in another currency, or they come to less than nothing.
    pub fn check(currency: Currency, cash: Money, positions: Money) -> Result<Balance, InvalidBalance> {
        for reported in [cash.currency(), positions.currency()] {
            if reported != currency {
                return Err(InvalidBalance::OtherCurrency {
                    account: currency,
                    reported,
                });
            }
        }
        let equity = cash
            .checked_add(positions)
            .map_err(|_: MoneyError| InvalidBalance::OutOfRange)?;
        if equity.is_negative() {
            return Err(InvalidBalance::NegativeEquity);
        }
        Ok(Balance { cash, equity })
    }

    /// The cash; below zero while the account owes some.
    pub fn cash(&self) -> Money {
        self.cash
    }

    /// Cash and positions together; never below zero.
    pub fn equity(&self) -> Money {
        self.equity
    }
}

/// Whether what an account is worth at some time is its balance of a business date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// The day has not begun.
    TooEarly,
    /// It is.
    InTime,
    /// The day's figure can't be had any more: the account may be worth something else by now.
    Missed,
}

/// Whether the balance of `business_date` may be taken `at` a time: from the beginning of the day in New York until
/// `patience` after 17:00 there, when it is due. The next day's is due 24 hours later, an hour more or less when clocks
/// change.
pub fn timing(business_date: NaiveDate, at: DateTime<Utc>, patience: TimeDelta) -> Timing {
    if MarketCalendar::business_date(at) < business_date {
        return Timing::TooEarly;
    }
    let last = new_york(business_date, DUE_HOUR, 0).and_then(|due| due.checked_add_signed(patience));
    match last {
        Some(last) if at >= last => Timing::Missed,
        _ => Timing::InTime,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: TimeDelta = TimeDelta::hours(24);

    fn usd(cents: i64) -> Money {
        Money::new(cents, Currency::USD)
    }

    fn timing_of(date: &str, at: &str) -> Timing {
        timing(date.parse().unwrap(), at.parse().unwrap(), DAY)
    }

    #[test]
    fn an_account_is_worth_its_cash_and_positions() {
        let balance = Balance::check(Currency::USD, usd(-1_000), usd(250_099)).unwrap();
        assert_eq!((balance.cash(), balance.equity()), (usd(-1_000), usd(249_099)));
        assert!(Balance::check(Currency::USD, usd(-5), usd(5)).is_ok());
        assert_eq!(
            Balance::check(Currency::USD, usd(-6), usd(5)),
            Err(InvalidBalance::NegativeEquity)
        );
        assert_eq!(
            Balance::check(Currency::USD, usd(i64::MAX), usd(1)),
            Err(InvalidBalance::OutOfRange)
        );
    }

    #[test]
    fn a_balance_stays_in_the_accounts_currency() {
        let euros = |cents| Money::new(cents, Currency::EUR);
        let balance = Balance::check(Currency::EUR, euros(1), euros(2)).unwrap();
        assert_eq!(balance.equity(), euros(3));
        for (cash, positions) in [(usd(1), euros(2)), (euros(1), usd(2))] {
            assert_eq!(
                Balance::check(Currency::EUR, cash, positions),
                Err(InvalidBalance::OtherCurrency {
                    account: Currency::EUR,
                    reported: Currency::USD
                })
            );
        }
    }

    #[test]
    fn a_balance_is_taken_from_the_days_beginning_until_the_next_one_is_due() {
        for (at, expected) in [
            ("2026-03-03T04:59:59Z", Timing::TooEarly),
            ("2026-03-03T05:00:00Z", Timing::InTime),
            ("2026-03-03T22:00:00Z", Timing::InTime),
            ("2026-03-04T21:59:59Z", Timing::InTime),
            ("2026-03-04T22:00:00Z", Timing::Missed),
            ("2027-03-03T22:00:00Z", Timing::Missed),
        ] {
            assert_eq!(timing_of("2026-03-03", at), expected, "{at}");
        }
    }

    #[test]
    fn days_on_which_clocks_change_have_one_balance_as_well() {
        // The clocks go forward on 8 March 2026 and back on 1 November.
        for (date, at, expected) in [
            ("2026-03-07", "2026-03-08T04:59:59Z", Timing::InTime),
            ("2026-03-08", "2026-03-08T04:59:59Z", Timing::TooEarly),
            ("2026-03-08", "2026-03-08T21:00:00Z", Timing::InTime),
            ("2026-03-08", "2026-03-09T21:00:00Z", Timing::Missed),
            ("2026-11-01", "2026-11-01T03:59:59Z", Timing::TooEarly),
            ("2026-11-01", "2026-11-01T22:00:00Z", Timing::InTime),
            ("2026-11-01", "2026-11-02T22:00:00Z", Timing::Missed),
        ] {
            assert_eq!(timing_of(date, at), expected, "{date} {at}");
        }
    }

    #[test]
    fn the_ends_of_time_have_an_answer() {
        let first: DateTime<Utc> = DateTime::<Utc>::MIN_UTC;
        assert_eq!(timing(NaiveDate::MAX, first, DAY), Timing::TooEarly);
        assert_eq!(
            timing(NaiveDate::MIN, DateTime::<Utc>::MAX_UTC, DAY),
            Timing::Missed
        );
        assert_eq!(
            timing(NaiveDate::MAX, DateTime::<Utc>::MAX_UTC, TimeDelta::MAX),
            Timing::InTime
        );
    }
}
