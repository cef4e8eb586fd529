//! EventBridge's schedule expressions: `rate(5 minutes)`, `cron(0 18 * * ? *)` and `at(2026-11-20T18:00:00)`.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use anyhow::{Context, anyhow, bail};
use chrono::{DateTime, Datelike, Days as DayCount, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// How far ahead a next time is looked for; more than the distance between two leap days.
const LOOK_AHEAD_DAYS: u64 = 9 * 366;
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// When a schedule runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    /// Again and again, this long after the last time.
    Rate(Duration),
    /// At the times of a calendar.
    Cron(Box<Cron>, Tz),
    /// Once.
    At(DateTime<Utc>),
}

/// The six fields of a `cron(…)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cron {
    minutes: BTreeSet<u32>,
    hours: BTreeSet<u32>,
    days: Days,
    months: BTreeSet<u32>,
    years: BTreeSet<u32>,
}

/// Which days of a month.
#[derive(Clone, Debug, PartialEq)]
enum Days {
    OfMonth(BTreeSet<u32>),
    LastOfMonth,
    NearestWeekday(u32),
    OfWeek(BTreeSet<u32>),
    NthOfMonth { weekday: u32, nth: u32 },
    LastWeekdayOfMonth(u32),
}

impl Expression {
    pub(crate) fn parse(text: &str, timezone: &str) -> anyhow::Result<Self> {
        let timezone = Tz::from_str(timezone).map_err(|_| anyhow!("{timezone} isn't a time zone"))?;
        let argument = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = argument("rate") {
            return parse_rate(rate).map(Self::Rate);
        }
        if let Some(cron) = argument("cron") {
            return Cron::parse(cron).map(|cron| Self::Cron(Box::new(cron), timezone));
        }
        if let Some(time) = argument("at") {
            let local =
                NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S").context("at(…) takes a time")?;
            let time = timezone.from_local_datetime(&local).earliest();
            return time
                .map(|time| Self::At(time.to_utc()))
                .ok_or_else(|| anyhow!("there is no such time"));
        }
        bail!("{text} is none of rate(…), cron(…) and at(…)")
    }

    /// The first time after this one.
    pub(crate) fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Rate(rate) => time.checked_add_signed(chrono::Duration::from_std(*rate).ok()?),
            Self::Cron(cron, timezone) => cron.next_after(time, *timezone),
            Self::At(at) => (*at > time).then_some(*at),
        }
    }
}

fn parse_rate(text: &str) -> anyhow::Result<Duration> {
    let (number, unit) = text
        .split_once(' ')
        .ok_or_else(|| anyhow!("rate(…) takes a number and a unit"))?;
    let number: u64 = number.parse().with_context(|| format!("rate({text})"))?;
    let seconds = match (number, unit) {
        (0, _) => bail!("rate({text}): it must be positive"),
        (1, "minute") | (2.., "minutes") => 60,
        (1, "hour") | (2.., "hours") => 60 * 60,
        (1, "day") | (2.., "days") => 24 * 60 * 60,
        _ => bail!("rate({text}): the unit is minute, hour or day, with an s for more than one"),
    };
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(|| anyhow!("rate({text}): too long"))
}

impl Cron {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, day_of_month, months, day_of_week, years] = fields.as_slice() else {
            bail!("cron({text}): there are six fields");
        };
        let days = match (*day_of_month, *day_of_week) {
            (month, "?") => day_of_month_rule(month),
            ("?", week) => day_of_week_rule(week),
            _ => Err(anyhow!("one of day of month and day of week is ?")),
        };
        let field = |text, low, high, names| values(text, low, high, names);
        let cron = || -> anyhow::Result<Self> {
            Ok(Self {
                minutes: field(minutes, 0, 59, &[])?,
                hours: field(hours, 0, 23, &[])?,
                days: days?,
                months: field(months, 1, 12, &MONTHS)?,
                years: field(years, 1970, 2199, &[])?,
            })
        };
        cron().with_context(|| format!("cron({text})"))
    }

    fn next_after(&self, time: DateTime<Utc>, timezone: Tz) -> Option<DateTime<Utc>> {
        let mut date = time.with_timezone(&timezone).date_naive();
        for _ in 0..LOOK_AHEAD_DAYS {
            if self.matches(date) {
                let times = self
                    .hours
                    .iter()
                    .flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
                let next = times
                    .filter_map(|(hour, minute)| NaiveTime::from_hms_opt(hour, minute, 0))
                    // A time that the clock jumps over doesn't happen.
                    .filter_map(|of_day| timezone.from_local_datetime(&date.and_time(of_day)).earliest())
                    .map(|next| next.to_utc())
                    .find(|next| *next > time);
                if next.is_some() {
                    return next;
                }
            }
            date = date.succ_opt()?;
        }
        None
    }

    fn matches(&self, date: NaiveDate) -> bool {
        let year = u32::try_from(date.year()).unwrap_or(0);
        self.years.contains(&year) && self.months.contains(&date.month()) && self.days.matches(date)
    }
}

impl Days {
    fn matches(&self, date: NaiveDate) -> bool {
        let weekday = date.weekday().num_days_from_sunday() + 1;
        let in_last_week = || {
            date.checked_add_days(DayCount::new(7))
                .is_none_or(|next| next.month() != date.month())
        };
        match self {
            Self::OfMonth(days) => days.contains(&date.day()),
            Self::LastOfMonth => date.succ_opt().is_none_or(|next| next.month() != date.month()),
            Self::NearestWeekday(day) => nearest_weekday(date, *day) == Some(date),
            Self::OfWeek(days) => days.contains(&weekday),
            Self::NthOfMonth { weekday: wanted, nth } => weekday == *wanted && date.day0() / 7 + 1 == *nth,
            Self::LastWeekdayOfMonth(wanted) => weekday == *wanted && in_last_week(),
        }
    }
}

/// The weekday nearest to a day of this date's month, without leaving the month.
fn nearest_weekday(date: NaiveDate, day: u32) -> Option<NaiveDate> {
    let wanted = date.with_day(day)?;
    let nearest = match wanted.weekday() {
        chrono::Weekday::Sat => wanted.pred_opt()?,
        chrono::Weekday::Sun => wanted.succ_opt()?,
        _ => wanted,
    };
    match nearest.month() == wanted.month() {
        true => Some(nearest),
        false if nearest < wanted => wanted.checked_add_days(DayCount::new(2)),
        false => wanted.checked_sub_days(DayCount::new(2)),
    }
}

fn day_of_month_rule(text: &str) -> anyhow::Result<Days> {
    if text == "L" {
        return Ok(Days::LastOfMonth);
    }
    match text.strip_suffix('W') {
        Some(day) => Ok(Days::NearestWeekday(single(day, 1, 31, &[])?)),
        None => Ok(Days::OfMonth(values(text, 1, 31, &[])?)),
    }
}

fn day_of_week_rule(text: &str) -> anyhow::Result<Days> {
    if let Some((weekday, nth)) = text.split_once('#') {
        return Ok(Days::NthOfMonth {
            weekday: single(weekday, 1, 7, &WEEKDAYS)?,
            nth: single(nth, 1, 5, &[])?,
        });
    }
    match text.strip_suffix('L') {
        Some("") => Ok(Days::OfWeek(BTreeSet::from([7]))),
        Some(weekday) => Ok(Days::LastWeekdayOfMonth(single(weekday, 1, 7, &WEEKDAYS)?)),
        None => Ok(Days::OfWeek(values(text, 1, 7, &WEEKDAYS)?)),
    }
}

/// A field: values, ranges and steps, with commas between them.
fn values(text: &str, low: u32, high: u32, names: &[&str]) -> anyhow::Result<BTreeSet<u32>> {
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                Some(
                    step.parse::<usize>()
                        .with_context(|| format!("the step of {part}"))?,
                ),
            ),
            None => (part, None),
        };
        let (first, last) = match (range, range.split_once('-')) {
            ("*", _) => (low, high),
            (_, Some((first, last))) => (single(first, low, high, names)?, single(last, low, high, names)?),
            (_, None) => {
                let first = single(range, low, high, names)?;
                (first, if step.is_some() { high } else { first })
            }
        };
        let step = step.unwrap_or(1);
        if step == 0 || first > last {
            bail!("{part} holds no value");
        }
        all.extend((first..=last).step_by(step));
    }
    Ok(all)
}

/// A number, or a name that stands for one; the first name stands for 1.
fn single(text: &str, low: u32, high: u32, names: &[&str]) -> anyhow::Result<u32> {
    let named = (1..)
        .zip(names)
        .find(|(_, name)| name.eq_ignore_ascii_case(text))
        .map(|(number, _)| number);
    let number = named
        .or_else(|| text.parse().ok())
        .ok_or_else(|| anyhow!("{text} isn't a value"))?;
    if (low..=high).contains(&number) {
        Ok(number)
    } else {
        bail!("{number} isn't in {low}–{high}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expression: &str, timezone: &str, after: &str) -> String {
        let expression = Expression::parse(expression, timezone).unwrap();
        let next = expression.next_after(after.parse().unwrap()).unwrap();
        next.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    }

    #[test]
    fn a_rate_counts_from_the_last_time() {
        assert_eq!(
            next("rate(5 minutes)", "UTC", "2026-11-20T10:01:00Z"),
            "2026-11-20T10:06:00Z"
        );
        assert_eq!(
            next("rate(1 day)", "UTC", "2026-11-20T10:01:00Z"),
            "2026-11-21T10:01:00Z"
        );
    }

    #[test]
    fn a_calendar_follows_its_time_zone_through_the_change_of_clocks() {
        let daily = |after| next("cron(0 18 * * ? *)", "America/New_York", after);
        assert_eq!(daily("2026-10-31T10:00:00Z"), "2026-10-31T22:00:00Z");
        assert_eq!(daily("2026-10-31T22:00:00Z"), "2026-11-01T23:00:00Z");
        // 02:30 doesn't exist on 14 March 2027.
        let night = next("cron(30 2 * * ? *)", "America/New_York", "2027-03-13T08:00:00Z");
        assert_eq!(night, "2027-03-15T06:30:00Z");
    }

    #[test]
    fn a_calendar_knows_its_days() {
        let after = "2026-11-20T12:00:00Z";
        for (expression, expected) in [
            ("cron(0/15 * * * ? *)", "2026-11-20T12:15:00Z"),
            ("cron(30 8,20 ? * MON-FRI *)", "2026-11-20T20:30:00Z"),
            ("cron(0 9 L * ? *)", "2026-11-30T09:00:00Z"),
            ("cron(0 9 1W * ? *)", "2026-12-01T09:00:00Z"),
            ("cron(0 9 ? * 6#3 *)", "2026-12-18T09:00:00Z"),
            ("cron(0 9 ? * FRIL *)", "2026-11-27T09:00:00Z"),
            ("cron(0 0 29 FEB ? *)", "2028-02-29T00:00:00Z"),
        ] {
            assert_eq!(next(expression, "UTC", after), expected, "{expression}");
        }
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        for wrong in [
            "every minute",
            "rate(0 minutes)",
            "rate(1 minutes)",
            "rate(5 minute)",
            "cron(0 18 * * * *)",
            "cron(0 18 * * ?)",
            "cron(60 18 * * ? *)",
            "cron(0 18 ? * 8 *)",
        ] {
            assert!(Expression::parse(wrong, "UTC").is_err(), "{wrong}");
        }
        assert!(Expression::parse("rate(1 day)", "Mars/Olympus").is_err());
        let past = Expression::parse("at(2020-01-01T00:00:00)", "UTC").unwrap();
        assert_eq!(past.next_after("2026-11-20T12:00:00Z".parse().unwrap()), None);
    }
}
