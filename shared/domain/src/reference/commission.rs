//! What the managed value costs, as the database's `calculate_commission` computes it for all invoices of a period in one
//! statement.

use chrono::NaiveDate;
use thiserror::Error;

use crate::commissions::period::BillableDays;
use crate::commissions::terms::CommissionTerms;

/// Commissions are yearly; a year is 365 days in leap years too.
const DAYS_PER_YEAR: u128 = 365;

/// What a period costs one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commission {
    /// Average of the daily equity in cents, half-even: for showing, nothing is computed from it.
    pub average_equity_cents: i64,
    /// The commission of a whole year on that average in cents, half-even: for showing.
    pub yearly_cents: i64,
    /// What the period costs in cents: the exact yearly commission × days ÷ 365, rounded half-even once.
    pub amount_cents: i64,
}

/// The commission is larger than an amount can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the commission is too large")]
pub struct CommissionOverflow;

/// The commission on so much equity, summed over so many days.
///
/// With the sum S over n days the average is S ÷ n. Up to the free limit the commission is 0; else the yearly one is
/// the larger of S ÷ n × rate and the minimum, and n days of it cost S × rate ÷ 365 or minimum × n ÷ 365. The days
/// cancel out, so there is one division and one rounding.
///
/// # Errors
/// When a result isn't an amount.
pub fn commission(terms: &CommissionTerms, equity_sum: EquitySum) -> Result<Commission, CommissionOverflow> {
    let EquitySum { cents: sum, days } = equity_sum;
    let days = u128::from(days.max(1));
    let average_equity_cents = divide_half_even(sum, days)?;
    let free_up_to = u128::from(terms.free_limit_cents()) * days;
    if sum <= free_up_to {
        return Ok(Commission {
            average_equity_cents,
            yearly_cents: 0,
            amount_cents: 0,
        });
    }
    let (numerator, denominator) = (
        terms.yearly_rate().mantissa().unsigned_abs(),
        10_u128.pow(terms.yearly_rate().scale()),
    );
    let by_rate = sum.checked_mul(numerator).ok_or(CommissionOverflow)?;
    let minimum = u128::from(terms.yearly_minimum_cents()) * days * denominator;
    let charged = by_rate.max(minimum);
    Ok(Commission {
        average_equity_cents,
        yearly_cents: divide_half_even(charged, denominator * days)?,
        amount_cents: divide_half_even(charged, denominator * DAYS_PER_YEAR)?,
    })
}

/// Daily equity summed over the days of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EquitySum {
    cents: u128,
    days: u32,
}

impl EquitySum {
    /// A sum in cents over a number of days.
    pub const fn new(cents: u128, days: u32) -> EquitySum {
        EquitySum { cents, days }
    }

    /// The sum of an account's figures over its days: a day without a figure has that of the day before, and 0 before the
    /// first. `None` when no figure is from one of the days: nothing is charged at a guess.
    ///
    /// `figures` are dates with cents, in any order, one a date.
    pub fn carried_forward(figures: &[(NaiveDate, u64)], days: BillableDays) -> Option<EquitySum> {
        let is_billable = |date: NaiveDate| days.first() <= date && date <= days.last();
        if !figures.iter().any(|(date, _)| is_billable(*date)) {
            return None;
        }
        let before = figures.iter().filter(|(date, _)| *date < days.first()).max();
        let mut current = before.map_or(0, |(_, cents)| *cents);
        let mut sum = 0_u128;
        for date in days.first().iter_days().take_while(|date| is_billable(*date)) {
            if let Some((_, cents)) = figures.iter().find(|(told, _)| *told == date) {
                current = *cents;
            }
            sum += u128::from(current);
        }
        Some(EquitySum::new(sum, days.count()))
    }
}

fn divide_half_even(dividend: u128, divisor: u128) -> Result<i64, CommissionOverflow> {
    let quotient = dividend.checked_div(divisor).ok_or(CommissionOverflow)?;
    let remainder = dividend - quotient * divisor;
    let up = match (remainder * 2).cmp(&divisor) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => quotient % 2,
        std::cmp::Ordering::Greater => 1,
    };
    i64::try_from(quotient + up).map_err(|_| CommissionOverflow)
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;

    use crate::commissions::period::BillingPeriod;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// The terms of the specification: 0.96 % a year, at least $96, nothing up to $100.
    fn terms() -> CommissionTerms {
        CommissionTerms::new("0.0096".parse().unwrap(), 9_600, 10_000).unwrap()
    }

    /// What `average` cents on each of `days` days cost.
    fn amount(average: u128, days: u32) -> i64 {
        let sum = EquitySum::new(average * u128::from(days), days);
        commission(&terms(), sum).unwrap().amount_cents
    }

    #[test]
    fn figures_of_the_specification() {
        // $20,000 × 0.0096 = $192 a year; × 31 ÷ 365 = $16.306849… → $16.31.
        assert_eq!(amount(2_000_000, 31), 1_631);
        // The whole year: $192.
        assert_eq!(amount(2_000_000, 365), 19_200);
        // A leap year has 366 days and costs 366 ÷ 365 of it: $192.526027… → $192.53.
        assert_eq!(amount(2_000_000, 366), 19_253);
        // February of a leap year: $192 × 29 ÷ 365 = $15.254794… → $15.25; of another: × 28 = $14.728767… → $14.73.
        assert_eq!(amount(2_000_000, 29), 1_525);
        assert_eq!(amount(2_000_000, 28), 1_473);
    }

    #[test]
    fn the_minimum_holds_above_the_free_limit_only() {
        // At the free limit of $100 nothing is charged; a cent above, the minimum: $96 × 31 ÷ 365 = $8.153424… → $8.15.
        assert_eq!(amount(10_000, 31), 0);
        assert_eq!(amount(10_001, 31), 815);
        // $10,000 × 0.0096 is just the minimum of $96; one dollar more is $96.0096, × 31 ÷ 365 = $8.154240… → $8.15.
        assert_eq!(amount(1_000_000, 31), 815);
        assert_eq!(amount(1_000_100, 31), 815);
        // $10,100 × 0.0096 = $96.96, × 31 ÷ 365 = $8.234958… → $8.23.
        assert_eq!(amount(1_010_000, 31), 823);
        // The average decides, not a day: 30 days of nothing and one of $3,100.31 average $100.01; the minimum: $8.15.
        let mostly_empty = EquitySum::new(310_031, 31);
        assert_eq!(commission(&terms(), mostly_empty).unwrap().amount_cents, 815);
        // A cent less, and the average is $100.00967… still above; $3,100.00 average exactly $100: nothing.
        let at_limit = EquitySum::new(310_000, 31);
        assert_eq!(commission(&terms(), at_limit).unwrap().amount_cents, 0);
    }

    #[test]
    fn an_account_that_was_opened_in_the_period_pays_from_that_day() {
        // $50,000 × 0.0096 = $480 a year. Opened on 21 March: 11 days, × 11 ÷ 365 = $14.465753… → $14.47.
        let march = BillingPeriod::of(day("2026-03-01")).unwrap();
        let days = march.billable_days(day("2026-03-21"), None).unwrap();
        let sum = EquitySum::carried_forward(&[(day("2026-03-21"), 5_000_000)], days).unwrap();
        assert_eq!(commission(&terms(), sum).unwrap().amount_cents, 1_447);
        // Opened on the last day: one day, $480 ÷ 365 = $1.315068… → $1.32.
        let days = march.billable_days(day("2026-03-31"), None).unwrap();
        let sum = EquitySum::carried_forward(&[(day("2026-03-31"), 5_000_000)], days).unwrap();
        assert_eq!(commission(&terms(), sum).unwrap().amount_cents, 132);
    }

    #[test]
    fn missing_days_have_the_figure_before_them() {
        let march = BillingPeriod::of(day("2026-03-01")).unwrap();
        let days = march.billable_days(day("2026-01-10"), None).unwrap();
        let sum = |figures: &[(&str, u64)]| {
            let figures: Vec<_> = figures.iter().map(|(date, cents)| (day(date), *cents)).collect();
            EquitySum::carried_forward(&figures, days)
        };
        // $100 from February on the 1st to 10th, $400 on the 11th to 31st: 10 × 100 + 21 × 400 = $9,400.
        let carried = sum(&[("2026-02-27", 10_000), ("2026-03-11", 40_000)]);
        assert_eq!(carried, Some(EquitySum::new(940_000, 31)));
        // Without a figure before, 0 on the 1st to 10th: 21 × 400 = $8,400.
        assert_eq!(sum(&[("2026-03-11", 40_000)]), Some(EquitySum::new(840_000, 31)));
        // A zero is a figure: 10 × 100 + 21 × 0.
        assert_eq!(
            sum(&[("2026-03-01", 10_000), ("2026-03-11", 0)]),
            Some(EquitySum::new(100_000, 31))
        );
        // Figures of other months alone are no ground for an invoice.
        assert_eq!(sum(&[("2026-02-28", 10_000), ("2026-04-01", 10_000)]), None);
        assert_eq!(sum(&[]), None);
    }

    #[test]
    fn half_a_cent_goes_to_the_even_cent() {
        // A rate of 0.73 makes $1.00 × 0.73 ÷ 365 = 0.2 cents a day. Summed equity of $2.50 → 0.5 cents → 0; $7.50 → 1.5
        // → 2; $12.50 → 2.5 → 2.
        let terms = CommissionTerms::new("0.73".parse().unwrap(), 0, 0).unwrap();
        let amount = |sum| commission(&terms, EquitySum::new(sum, 1)).unwrap().amount_cents;
        assert_eq!([amount(250), amount(750), amount(1_250)], [0, 2, 2]);
        assert_eq!([amount(249), amount(251)], [0, 1]);
    }

    #[test]
    fn what_is_shown_is_rounded_and_nothing_is_computed_from_it() {
        // $10,000.01 and $10,000.00 over two days: the average of $10,000.005 shows as $10,000.00 (half-even); the year
        // costs 1,000,000.5 × 0.0096 = 9,600.0048 cents → $96.00.
        let commission = commission(&terms(), EquitySum::new(2_000_001, 2)).unwrap();
        assert_eq!(commission.average_equity_cents, 1_000_000);
        assert_eq!(commission.yearly_cents, 9_600);
    }

    #[test]
    fn a_commission_that_is_no_amount_is_refused() {
        let huge = EquitySum::new(u128::from(i64::MAX.unsigned_abs()) * 366, 366);
        assert!(commission(&terms(), huge).is_ok());
        let all = CommissionTerms::new(Decimal::ONE, 0, 0).unwrap();
        assert_eq!(
            commission(&all, EquitySum::new(u128::MAX, 1)),
            Err(CommissionOverflow)
        );
    }
}
