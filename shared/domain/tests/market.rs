//! What holds for every time of the market, not only for the examples beside the code.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc, Weekday};
use domain::market::MarketCalendar;
use proptest::prelude::*;

/// Any second from 1998, when today's holidays began, to 2099.
fn times() -> impl Strategy<Value = DateTime<Utc>> {
    (883_612_800_i64..4_102_444_800)
        .prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap_or_default())
}

/// Seconds in the week around a change of clocks in New York: second Sunday of March, first of November.
fn times_around_a_change_of_clocks() -> impl Strategy<Value = DateTime<Utc>> {
    (2007_i32..2090, any::<bool>(), -300_000_i64..300_000).prop_filter_map(
        "no such day",
        |(year, spring, seconds)| {
            let (month, which) = if spring { (3, 2) } else { (11, 1) };
            let sunday = NaiveDate::from_weekday_of_month_opt(year, month, Weekday::Sun, which)?;
            Some(sunday.and_hms_opt(7, 0, 0)?.and_utc() + TimeDelta::seconds(seconds))
        },
    )
}

fn any_times() -> impl Strategy<Value = DateTime<Utc>> {
    prop_oneof![times(), times_around_a_change_of_clocks()]
}

proptest! {
    #[test]
    fn the_next_opening_is_open_and_nothing_opens_before_it(at in any_times()) {
        let open = MarketCalendar::next_open(at);
        prop_assert!(open >= at);
        prop_assert!(open - at < TimeDelta::days(6));
        prop_assert!(MarketCalendar::is_open(open));
        prop_assert!(!MarketCalendar::is_open(open - TimeDelta::microseconds(1)));
        prop_assert_eq!(MarketCalendar::next_open(open), open);
        let dates = MarketCalendar::business_date(at).iter_days();
        let dates = dates.take_while(|date| *date < MarketCalendar::business_date(open));
        for (opening, _) in dates.filter_map(MarketCalendar::session) {
            prop_assert!(opening < at);
        }
    }

    #[test]
    fn the_business_date_never_goes_back(at in any_times(), seconds in 0_i64..200_000) {
        let later = at + TimeDelta::seconds(seconds);
        let (date, later_date) = (MarketCalendar::business_date(at), MarketCalendar::business_date(later));
        prop_assert!(date <= later_date);
        // New York is four or five hours behind.
        prop_assert!((at - TimeDelta::hours(5)).date_naive() <= date);
        prop_assert!(date <= (at - TimeDelta::hours(4)).date_naive());
    }

    #[test]
    fn a_session_is_on_its_own_date_and_of_usual_length(at in any_times()) {
        let date = MarketCalendar::business_date(at);
        let Some((open, close)) = MarketCalendar::session(date) else {
            prop_assert!(!MarketCalendar::is_trading_day(date));
            prop_assert!(!MarketCalendar::is_open(at));
            return Ok(());
        };
        prop_assert!(MarketCalendar::is_trading_day(date));
        prop_assert_eq!(MarketCalendar::business_date(open), date);
        prop_assert_eq!(MarketCalendar::business_date(close), date);
        let minutes = if MarketCalendar::closes_early(date) { 210 } else { 390 };
        prop_assert_eq!(close - open, TimeDelta::minutes(minutes));
        prop_assert_eq!(MarketCalendar::is_open(at), open <= at && at < close);
    }

    #[test]
    fn holidays_are_weekdays_in_order_within_the_year(year in 1998_i32..2100) {
        let holidays = MarketCalendar::holidays(year);
        prop_assert!(holidays.is_sorted_by(|earlier, later| earlier < later));
        prop_assert!((8..=10).contains(&holidays.len()));
        for holiday in holidays {
            prop_assert_eq!(holiday.year(), year);
            prop_assert!(!matches!(holiday.weekday(), Weekday::Sat | Weekday::Sun));
        }
    }

    #[test]
    fn no_date_makes_it_panic(
        year in any::<i32>(),
        days in -100_000_000_i32..100_000_000,
        milliseconds in -8_400_000_000_000_000_i64..8_400_000_000_000_000,
    ) {
        MarketCalendar::holidays(year);
        if let Some(date) = NaiveDate::from_num_days_from_ce_opt(days) {
            MarketCalendar::session(date);
        }
        if let Some(at) = DateTime::from_timestamp_millis(milliseconds) {
            MarketCalendar::next_open(at);
            MarketCalendar::is_open(at);
        }
    }
}
