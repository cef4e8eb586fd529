//! The trading days and hours of the New York Stock Exchange.
//!
//! Holidays follow the exchange's rule 7.2, early closes its practice: 13:00 on the day after Thanksgiving,
//! on 24 December and on 3 July, when those are trading days. Days on which the exchange closes for another
//! reason are listed in [`EXTRAORDINARY_CLOSURES`] as they become known. The rules are today's: right from
//! 1998 on, apart from closures older than the list.

use chrono::{
    DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc, Weekday,
};
use chrono_tz::America::New_York;

/// The calendar of the market whose dates are our business dates.
#[derive(Clone, Copy, Debug)]
pub struct MarketCalendar;

/// Days on which the exchange was closed beside its holidays, as year, month and day.
pub const EXTRAORDINARY_CLOSURES: [(i32, u32, u32); 4] = [
    // Hurricane Sandy.
    (2012, 10, 29),
    (2012, 10, 30),
    // Mourning for George H. W. Bush.
    (2018, 12, 5),
    // Mourning for Jimmy Carter.
    (2025, 1, 9),
];

/// The first year in which Juneteenth was a holiday of the exchange.
const FIRST_JUNETEENTH: i32 = 2022;

/// More days than the exchange is ever closed in a row; the search for an open one ends there.
const CLOSED_DAYS_MAX: usize = 14;

impl MarketCalendar {
    /// The date in New York at a time: what a business date means here.
    pub fn business_date(at: DateTime<Utc>) -> NaiveDate {
        Self::local(at).date()
    }

    /// The date and time in New York at a time, as people there read it.
    pub fn local(at: DateTime<Utc>) -> NaiveDateTime {
        let utc = at.naive_utc();
        let offset = New_York.offset_from_utc_datetime(&utc).fix().local_minus_utc();
        // Only within hours of the first and last time there is does the local one not exist.
        let local = utc.checked_add_signed(TimeDelta::seconds(i64::from(offset)));
        local.unwrap_or(utc)
    }

    /// The first moment of a date in New York. At the very ends of the calendar, where there is none, it is the one in
    /// London.
    pub fn start_of(date: NaiveDate) -> DateTime<Utc> {
        new_york(date, 0, 0).unwrap_or_else(|| date.and_time(NaiveTime::MIN).and_utc())
    }

    /// The first moment of the New York day so many days after the one that a time is on: whatever is due in some days is
    /// due from then on, however late on its day it was promised, and whether or not clocks change on the way. The end of
    /// the calendar is never reached.
    pub fn days_after(at: DateTime<Utc>, days: u64) -> DateTime<Utc> {
        let date = Self::business_date(at).checked_add_days(Days::new(days));
        date.map_or(DateTime::<Utc>::MAX_UTC, Self::start_of)
    }

    /// The first moment of the trading day that lies so many before the day of a time, in New York. That day itself isn't one
    /// of them.
    pub fn trading_days_before(at: DateTime<Utc>, days: usize) -> DateTime<Utc> {
        let mut date = Self::business_date(at);
        for _ in 0..days {
            let before = date.pred_opt().unwrap_or(date);
            let mut earlier = std::iter::successors(Some(before), NaiveDate::pred_opt).take(CLOSED_DAYS_MAX);
            date = earlier.find(|date| Self::is_trading_day(*date)).unwrap_or(before);
        }
        Self::start_of(date)
    }

    /// Whether the market opens on a date.
    pub fn is_trading_day(date: NaiveDate) -> bool {
        let weekend = matches!(date.weekday(), Weekday::Sat | Weekday::Sun);
        let extraordinary = EXTRAORDINARY_CLOSURES.contains(&(date.year(), date.month(), date.day()));
        !weekend && !extraordinary && !Self::holidays(date.year()).contains(&date)
    }

    /// The weekdays of a year on which the market is closed for a holiday, in order. A holiday on a Sunday is
    /// kept on Monday, one on a Saturday on Friday; only New Year's Day isn't moved to the year before.
    pub fn holidays(year: i32) -> Vec<NaiveDate> {
        let new_year = date(year, 1, 1)
            .filter(|day| day.weekday() != Weekday::Sat)
            .and_then(observed);
        let juneteenth = if year >= FIRST_JUNETEENTH {
            date(year, 6, 19).and_then(observed)
        } else {
            None
        };
        let days = [
            new_year,
            NaiveDate::from_weekday_of_month_opt(year, 1, Weekday::Mon, 3),
            NaiveDate::from_weekday_of_month_opt(year, 2, Weekday::Mon, 3),
            easter(year).and_then(|easter| easter.checked_sub_days(Days::new(2))),
            last_monday_of_may(year),
            juneteenth,
            date(year, 7, 4).and_then(observed),
            NaiveDate::from_weekday_of_month_opt(year, 9, Weekday::Mon, 1),
            thanksgiving(year),
            date(year, 12, 25).and_then(observed),
        ];
        days.into_iter().flatten().collect()
    }

    /// Whether the market closes at 13:00 on a date.
    pub fn closes_early(date: NaiveDate) -> bool {
        let day_after_thanksgiving = thanksgiving(date.year()).and_then(|day| day.succ_opt()) == Some(date);
        let eve = matches!((date.month(), date.day()), (12, 24) | (7, 3));
        (day_after_thanksgiving || eve) && Self::is_trading_day(date)
    }

    /// When the market opens and closes on a date, if it opens.
    pub fn session(date: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        if !Self::is_trading_day(date) {
            return None;
        }
        let close_hour = if Self::closes_early(date) { 13 } else { 16 };
        Some((new_york(date, 9, 30)?, new_york(date, close_hour, 0)?))
    }

    /// Whether the market is open at a time: from the opening on, and no more at the close.
    pub fn is_open(at: DateTime<Utc>) -> bool {
        let session = Self::session(Self::business_date(at));
        session.is_some_and(|(open, close)| open <= at && at < close)
    }

    /// The first opening at or after a time; while the market is open that is the next session's. If the
    /// calendar ends before it opens again, the last time there is.
    pub fn next_open(at: DateTime<Utc>) -> DateTime<Utc> {
        let days = Self::business_date(at).iter_days().take(CLOSED_DAYS_MAX);
        let mut openings = days.filter_map(Self::session).map(|(open, _)| open);
        openings
            .find(|open| *open >= at)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// The weekday on which a holiday is kept.
fn observed(holiday: NaiveDate) -> Option<NaiveDate> {
    match holiday.weekday() {
        Weekday::Sat => holiday.pred_opt(),
        Weekday::Sun => holiday.succ_opt(),
        _ => Some(holiday),
    }
}

fn thanksgiving(year: i32) -> Option<NaiveDate> {
    NaiveDate::from_weekday_of_month_opt(year, 11, Weekday::Thu, 4)
}

fn last_monday_of_may(year: i32) -> Option<NaiveDate> {
    let last = date(year, 5, 31)?;
    last.checked_sub_days(Days::new(u64::from(last.weekday().num_days_from_monday())))
}

/// Easter Sunday of the Gregorian calendar, by the algorithm of Meeus, Jones and Butcher.
pub(crate) fn easter(year: i32) -> Option<NaiveDate> {
    let golden = year.rem_euclid(19);
    let (century, of_century) = (year.div_euclid(100), year.rem_euclid(100));
    let correction = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - correction + 15).rem_euclid(30);
    let weekday = (32 + 2 * (century % 4) + 2 * (of_century / 4) - epact - of_century % 4).rem_euclid(7);
    let late = (golden + 11 * epact + 22 * weekday) / 451;
    let days = epact + weekday - 7 * late + 114;
    date(
        year,
        u32::try_from(days / 31).ok()?,
        u32::try_from(days % 31 + 1).ok()?,
    )
}

fn date(year: i32, month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month, day)
}

/// A time of the day in New York. Clocks change there at two in the night, so every time of a session, and every one
/// after it, exists once.
pub(crate) fn new_york(date: NaiveDate, hour: u32, minute: u32) -> Option<DateTime<Utc>> {
    let time = date.and_time(NaiveTime::from_hms_opt(hour, minute, 0)?);
    New_York
        .from_local_datetime(&time)
        .single()
        .map(|time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The weekdays of a year on which there is no session, as month-day.
    fn closed_weekdays(year: i32) -> Vec<String> {
        let weekdays = date(year, 1, 1)
            .unwrap()
            .iter_days()
            .take_while(|day| day.year() == year);
        weekdays
            .filter(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun))
            .filter(|day| MarketCalendar::session(*day).is_none())
            .map(|day| day.format("%m-%d").to_string())
            .collect()
    }

    fn early_closes(year: i32) -> Vec<String> {
        let days = date(year, 1, 1)
            .unwrap()
            .iter_days()
            .take_while(|day| day.year() == year);
        days.filter(|day| MarketCalendar::closes_early(*day))
            .map(|day| day.format("%m-%d").to_string())
            .collect()
    }

    #[test]
    fn closed_days_as_published() {
        let published = [
            (
                2018,
                "01-01 01-15 02-19 03-30 05-28 07-04 09-03 11-22 12-05 12-25",
            ),
            (2020, "01-01 01-20 02-17 04-10 05-25 07-03 09-07 11-26 12-25"),
            (2021, "01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24"),
            (2022, "01-17 02-21 04-15 05-30 06-20 07-04 09-05 11-24 12-26"),
            (
                2023,
                "01-02 01-16 02-20 04-07 05-29 06-19 07-04 09-04 11-23 12-25",
            ),
            (
                2024,
                "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25",
            ),
            (
                2025,
                "01-01 01-09 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25",
            ),
            (
                2026,
                "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
            ),
            (
                2027,
                "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24",
            ),
            (2028, "01-17 02-21 04-14 05-29 06-19 07-04 09-04 11-23 12-25"),
        ];
        for (year, days) in published {
            assert_eq!(closed_weekdays(year).join(" "), days, "{year}");
        }
    }

    #[test]
    fn early_closes_as_published() {
        let published = [
            (2022, "11-25"),
            (2023, "07-03 11-24"),
            (2024, "07-03 11-29 12-24"),
            (2025, "07-03 11-28 12-24"),
            (2026, "11-27 12-24"),
            (2027, "11-26"),
        ];
        for (year, days) in published {
            assert_eq!(early_closes(year).join(" "), days, "{year}");
        }
    }

    #[test]
    fn easter_as_published() {
        for text in [
            "1961-04-02",
            "1999-04-04",
            "2000-04-23",
            "2008-03-23",
            "2019-04-21",
            "2038-04-25",
            "2100-03-28",
        ] {
            assert_eq!(easter(day(text).year()), Some(day(text)));
        }
    }

    #[test]
    fn sessions_follow_the_clocks_of_new_york() {
        let session = |text| MarketCalendar::session(day(text)).unwrap();
        // Clocks change on 8 March and 1 November 2026, both Sundays.
        assert_eq!(
            session("2026-03-06"),
            (at("2026-03-06T14:30:00Z"), at("2026-03-06T21:00:00Z"))
        );
        assert_eq!(
            session("2026-03-09"),
            (at("2026-03-09T13:30:00Z"), at("2026-03-09T20:00:00Z"))
        );
        assert_eq!(
            session("2026-10-30"),
            (at("2026-10-30T13:30:00Z"), at("2026-10-30T20:00:00Z"))
        );
        assert_eq!(
            session("2026-11-02"),
            (at("2026-11-02T14:30:00Z"), at("2026-11-02T21:00:00Z"))
        );
        assert_eq!(
            session("2026-11-27"),
            (at("2026-11-27T14:30:00Z"), at("2026-11-27T18:00:00Z"))
        );
        assert_eq!(MarketCalendar::session(day("2026-03-08")), None);
    }

    #[test]
    fn business_dates_begin_at_midnight_in_new_york() {
        for (time, date) in [
            ("2026-01-15T04:59:59Z", "2026-01-14"),
            ("2026-01-15T05:00:00Z", "2026-01-15"),
            ("2026-07-15T03:59:59Z", "2026-07-14"),
            ("2026-07-15T04:00:00Z", "2026-07-15"),
            ("2026-03-08T04:59:59Z", "2026-03-07"),
            ("2026-03-09T03:59:59Z", "2026-03-08"),
            ("2026-03-09T04:00:00Z", "2026-03-09"),
        ] {
            assert_eq!(MarketCalendar::business_date(at(time)), day(date), "{time}");
        }
    }

    #[test]
    fn days_are_counted_on_the_calendar_of_new_york_also_when_clocks_change() {
        for (time, days, start) in [
            ("2026-12-01T12:45:07Z", 0, "2026-12-01T05:00:00Z"),
            ("2026-12-01T12:45:07Z", 1, "2026-12-02T05:00:00Z"),
            // The last and the first moment of a day there.
            ("2026-12-02T04:59:59.999999Z", 1, "2026-12-02T05:00:00Z"),
            ("2026-12-02T05:00:00Z", 1, "2026-12-03T05:00:00Z"),
            // 1 November has 25 hours: 24 hours after its beginning it is still the same day.
            ("2026-10-31T12:45:00Z", 1, "2026-11-01T04:00:00Z"),
            ("2026-11-01T04:30:00Z", 1, "2026-11-02T05:00:00Z"),
            // 14 March 2027 has 23: 24 hours after half past eleven in the evening before, it is over.
            ("2027-03-14T04:30:00Z", 1, "2027-03-14T05:00:00Z"),
            ("2027-03-14T05:00:00Z", 1, "2027-03-15T04:00:00Z"),
            ("2027-03-07T12:45:00Z", 16, "2027-03-23T04:00:00Z"),
        ] {
            assert_eq!(MarketCalendar::days_after(at(time), days), at(start), "{time}");
        }
        assert_eq!(
            MarketCalendar::days_after(at("2026-12-01T12:45:07Z"), u64::MAX),
            DateTime::<Utc>::MAX_UTC
        );
        for end in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert_eq!(
                MarketCalendar::start_of(end.date_naive()).date_naive(),
                end.date_naive()
            );
        }
    }

    #[test]
    fn open_from_the_opening_to_the_close() {
        for (time, open) in [
            ("2026-03-09T13:29:59.999999Z", false),
            ("2026-03-09T13:30:00Z", true),
            ("2026-03-09T19:59:59.999999Z", true),
            ("2026-03-09T20:00:00Z", false),
            ("2026-12-24T17:59:59Z", true),
            ("2026-12-24T18:00:00Z", false),
            ("2026-12-25T15:00:00Z", false),
            ("2026-03-08T15:00:00Z", false),
        ] {
            assert_eq!(MarketCalendar::is_open(at(time)), open, "{time}");
        }
    }

    #[test]
    fn trading_days_are_counted_back_over_weekends_and_holidays() {
        for (time, days, start) in [
            ("2026-11-30T17:00:00Z", 0, "2026-11-30T05:00:00Z"),
            ("2026-11-30T17:00:00Z", 1, "2026-11-27T05:00:00Z"),
            // Thanksgiving is none of them.
            ("2026-11-30T17:00:00Z", 3, "2026-11-24T05:00:00Z"),
            ("2026-11-29T17:00:00Z", 3, "2026-11-24T05:00:00Z"),
            // Clocks went back on the first of November.
            ("2026-11-03T17:00:00Z", 3, "2026-10-29T04:00:00Z"),
        ] {
            let found = MarketCalendar::trading_days_before(at(time), days);
            assert_eq!(found, at(start), "{time}, {days} days");
        }
    }

    #[test]
    fn finds_the_next_opening() {
        for (time, open) in [
            ("2026-03-09T13:30:00Z", "2026-03-09T13:30:00Z"),
            ("2026-03-09T13:30:01Z", "2026-03-10T13:30:00Z"),
            ("2026-03-06T21:00:00Z", "2026-03-09T13:30:00Z"),
            ("2026-03-10T01:00:00Z", "2026-03-10T13:30:00Z"),
            ("2026-07-02T20:00:00Z", "2026-07-06T13:30:00Z"),
            ("2012-10-26T20:00:00Z", "2012-10-31T13:30:00Z"),
        ] {
            assert_eq!(MarketCalendar::next_open(at(time)), at(open), "{time}");
        }
        let end = DateTime::<Utc>::MAX_UTC;
        assert_eq!(MarketCalendar::next_open(end), end);
        assert!(MarketCalendar::next_open(DateTime::<Utc>::MIN_UTC) > DateTime::<Utc>::MIN_UTC);
    }
}
