//! The days on which the European Central Bank sets reference rates: those of the payment system TARGET, which rests on
//! weekends and six holidays.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Utc, Weekday};
use chrono_tz::Europe::Berlin;

use crate::market::easter;

/// When a day's rates should be there, in Frankfurt: the bank publishes them at about 16:00.
const DUE: Option<NaiveTime> = NaiveTime::from_hms_opt(17, 0, 0);
/// More days than the bank ever rests in a row.
const MAX_DAYS_OF_REST: usize = 14;

/// The newest day whose rates should be there at a time.
pub fn due(at: DateTime<Utc>) -> Option<NaiveDate> {
    let local = at.with_timezone(&Berlin);
    let today = local.date_naive();
    let newest = if local.time() < DUE? {
        today.pred_opt()?
    } else {
        today
    };
    let mut days = newest.iter_days().rev().take(MAX_DAYS_OF_REST);
    days.find(|day| is_working_day(*day))
}

fn is_working_day(day: NaiveDate) -> bool {
    let weekend = matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
    let fixed = matches!((day.month(), day.day()), (1, 1) | (5, 1) | (12, 25) | (12, 26));
    let of_easter = easter(day.year()).is_some_and(|sunday| {
        let good_friday = sunday.checked_sub_days(Days::new(2));
        [good_friday, sunday.succ_opt()].contains(&Some(day))
    });
    !weekend && !fixed && !of_easter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due_at(time: &str) -> String {
        due(time.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_days_rates_are_due_at_five_in_frankfurt() {
        // In winter that is 16:00 in London, in summer 15:00.
        assert_eq!(due_at("2026-11-24T15:59:59Z"), "2026-11-23");
        assert_eq!(due_at("2026-11-24T16:00:00Z"), "2026-11-24");
        assert_eq!(due_at("2026-07-01T14:59:59Z"), "2026-06-30");
        assert_eq!(due_at("2026-07-01T15:00:00Z"), "2026-07-01");
    }

    #[test]
    fn the_bank_rests_on_weekends_and_holidays() {
        for (time, day) in [
            // Sunday, and Monday before five.
            ("2026-11-29T20:00:00Z", "2026-11-27"),
            ("2026-11-30T10:00:00Z", "2026-11-27"),
            // Easter of 2026 is on 5 April.
            ("2026-04-03T20:00:00Z", "2026-04-02"),
            ("2026-04-06T20:00:00Z", "2026-04-02"),
            ("2026-04-07T20:00:00Z", "2026-04-07"),
            ("2026-05-01T20:00:00Z", "2026-04-30"),
            // A Friday and a Saturday.
            ("2026-12-28T10:00:00Z", "2026-12-24"),
            ("2027-01-01T20:00:00Z", "2026-12-31"),
        ] {
            assert_eq!(due_at(time), day, "{time}");
        }
    }
}
