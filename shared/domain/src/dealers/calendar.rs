//! Business dates of the dealers: those of Moscow.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Europe::Moscow;

/// The date in Moscow at a time.
pub fn business_date(at: DateTime<Utc>) -> NaiveDate {
    let utc = at.naive_utc();
    let offset = Moscow.offset_from_utc_datetime(&utc).fix().local_minus_utc();
    // Only within hours of the first and last time there is does the local one not exist.
    let local = utc.checked_add_signed(TimeDelta::seconds(i64::from(offset)));
    local.unwrap_or(utc).date()
}

/// The first moment of a date in Moscow. At the very ends of the calendar, where there is none, it is the one in London.
pub fn start_of(date: NaiveDate) -> DateTime<Utc> {
    let midnight = date.and_time(NaiveTime::MIN);
    let local = Moscow.from_local_datetime(&midnight).earliest();
    local.map_or_else(|| midnight.and_utc(), |local| local.with_timezone(&Utc))
}

/// From when on a bill that is put at a time is overdue: the day on which it is put, `days` more, and the whole of the last
/// one are left to pay it. The end of the calendar is never reached.
pub fn due_at(put_at: DateTime<Utc>, days: u32) -> DateTime<Utc> {
    let after = Days::new(u64::from(days).saturating_add(1));
    let first_late = business_date(put_at).checked_add_days(after);
    first_late.map_or(DateTime::<Utc>::MAX_UTC, start_of)
}

/// The last date on which a bill that is due at a time is paid in time.
pub fn last_date(due_at: DateTime<Utc>) -> NaiveDate {
    let first_late = business_date(due_at);
    first_late.pred_opt().unwrap_or(first_late)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_begins_at_nine_in_the_evening_of_utc() {
        assert_eq!(
            business_date(at("2026-11-30T20:59:59Z")).to_string(),
            "2026-11-30"
        );
        assert_eq!(
            business_date(at("2026-11-30T21:00:00Z")).to_string(),
            "2026-12-01"
        );
        assert_eq!(
            start_of("2026-12-01".parse().unwrap()),
            at("2026-11-30T21:00:00Z")
        );
    }

    #[test]
    fn a_bill_may_be_paid_until_the_last_day_is_over() {
        for put_at in ["2026-11-30T21:00:00Z", "2026-12-01T20:59:59Z"] {
            let due = due_at(at(put_at), 5);
            assert_eq!(due, at("2026-12-06T21:00:00Z"), "{put_at}");
            assert_eq!(last_date(due).to_string(), "2026-12-06");
        }
        assert_eq!(due_at(at("2026-12-01T10:00:00Z"), 0), at("2026-12-01T21:00:00Z"));
        assert_eq!(
            due_at(DateTime::<Utc>::MAX_UTC, u32::MAX),
            DateTime::<Utc>::MAX_UTC
        );
    }

    #[test]
    fn the_ends_of_the_calendar_are_no_panic() {
        for date in [NaiveDate::MIN, NaiveDate::MAX] {
            let _ = start_of(date);
        }
        let _ = last_date(DateTime::<Utc>::MIN_UTC);
        let _ = business_date(DateTime::<Utc>::MAX_UTC);
    }
}
