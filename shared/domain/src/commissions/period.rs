//! The periods that are invoiced: calendar months of New York.

use chrono::{Datelike, Days, Months, NaiveDate};

/// A calendar month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BillingPeriod {
    start: NaiveDate,
    end: NaiveDate,
}

impl BillingPeriod {
    /// The month that a date is in; `None` at the end of the calendar.
    pub fn of(date: NaiveDate) -> Option<BillingPeriod> {
        let start = date.with_day(1)?;
        let end = start
            .checked_add_months(Months::new(1))?
            .checked_sub_days(Days::new(1))?;
        Some(BillingPeriod { start, end })
    }

    /// The months that are over on a date and ended at most `days` before it, the latest first.
    pub fn ended_within(today: NaiveDate, days: u64) -> Vec<BillingPeriod> {
        let oldest = today.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN);
        let before = |period: &BillingPeriod| BillingPeriod::of(period.start.pred_opt()?);
        let this_month = BillingPeriod::of(today);
        let ended = std::iter::successors(this_month.as_ref().and_then(before), before);
        ended.take_while(|period| period.end >= oldest).collect()
    }

    /// The first day.
    pub const fn start(&self) -> NaiveDate {
        self.start
    }

    /// The last day.
    pub const fn end(&self) -> NaiveDate {
        self.end
    }

    /// The days that are charged to an account: from the day it was opened, or the first of the month, to the day it was
    /// closed, or the last of the month. `None` when it wasn't open then.
    pub fn billable_days(&self, opened_on: NaiveDate, closed_on: Option<NaiveDate>) -> Option<BillableDays> {
        let first = opened_on.max(self.start);
        let last = closed_on.map_or(self.end, |closed| closed.min(self.end));
        let count = u32::try_from((last - first).num_days() + 1).ok()?;
        (count > 0).then_some(BillableDays { first, last, count })
    }
}

/// The days of a period that an account is charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillableDays {
    first: NaiveDate,
    last: NaiveDate,
    count: u32,
}

impl BillableDays {
    /// The first of them.
    pub const fn first(&self) -> NaiveDate {
        self.first
    }

    /// The last of them.
    pub const fn last(&self) -> NaiveDate {
        self.last
    }

    /// How many there are, at least one.
    pub const fn count(&self) -> u32 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn months(today: &str, days: u64) -> Vec<String> {
        let periods = BillingPeriod::ended_within(day(today), days);
        let shown = |period: &BillingPeriod| format!("{}..{}", period.start(), period.end());
        periods.iter().map(shown).collect()
    }

    #[test]
    fn a_month_is_over_on_the_first_of_the_next() {
        assert_eq!(months("2026-03-01", 10), ["2026-02-01..2026-02-28"]);
        assert_eq!(months("2026-03-31", 10), Vec::<String>::new());
        assert_eq!(months("2026-03-31", 31), ["2026-02-01..2026-02-28"]);
        assert_eq!(
            months("2024-03-10", 45),
            ["2024-02-01..2024-02-29", "2024-01-01..2024-01-31"]
        );
        assert_eq!(months("2026-01-01", 1), ["2025-12-01..2025-12-31"]);
    }

    #[test]
    fn days_count_from_the_day_the_account_was_opened() {
        let march = BillingPeriod::of(day("2026-03-15")).unwrap();
        let count = |opened| {
            let days = march.billable_days(day(opened), None);
            days.map(|days| (days.first(), days.count()))
        };
        assert_eq!(count("2020-01-01"), Some((day("2026-03-01"), 31)));
        assert_eq!(count("2026-03-01"), Some((day("2026-03-01"), 31)));
        assert_eq!(count("2026-03-21"), Some((day("2026-03-21"), 11)));
        assert_eq!(count("2026-03-31"), Some((day("2026-03-31"), 1)));
        assert_eq!(count("2026-04-01"), None);
    }

    #[test]
    fn days_count_to_the_day_the_account_was_closed() {
        let march = BillingPeriod::of(day("2026-03-15")).unwrap();
        let count = |closed| {
            let days = march.billable_days(day("2026-03-11"), Some(day(closed)));
            days.map(|days| days.count())
        };
        assert_eq!(count("2026-03-10"), None);
        assert_eq!(count("2026-03-11"), Some(1));
        assert_eq!(count("2026-03-20"), Some(10));
        assert_eq!(count("2026-04-20"), Some(21));
    }
}
