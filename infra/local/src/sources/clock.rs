//! EventBridge's schedule expressions: `rate(5 minutes)`, `cron(0 18 * * ? *)` and `at(2026-11-20T18:00:00)`.

use std::{str::FromStr, time::Duration};

use anyhow::{Context, anyhow, bail, ensure};
use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

/// The last value of each field of a `cron(…)`: minutes, hours, days, months, weekdays, years.
const LAST_VALUES: [&str; 6] = ["59", "23", "31", "12", "7", "2199"];
const SATURDAY: &str = "7";

/// When a schedule runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    /// Again and again, this long after the last time.
    Rate(Duration),
    /// At the times of a calendar, on the wall clock of a time zone.
    Cron(Box<Cron>, Tz),
    /// Once.
    At(DateTime<Utc>),
}

impl Expression {
    pub(crate) fn parse(text: &str, timezone: &str) -> anyhow::Result<Self> {
        let timezone = Tz::from_str(timezone).map_err(|_| anyhow!("{timezone} isn't a time zone"))?;
        let argument = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = argument("rate") {
            return parse_rate(rate).map(Self::Rate);
        }
        if let Some(cron) = argument("cron") {
            let cron = parse_cron(cron).with_context(|| text.to_owned())?;
            return Ok(Self::Cron(Box::new(cron), timezone));
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
            Self::Cron(cron, timezone) => next_of_cron(cron, *timezone, time),
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

/// Reads the six fields, with weekdays from 1 (Sunday) to 7.
fn parse_cron(text: &str) -> anyhow::Result<Cron> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [_, _, day_of_month, _, day_of_week, _] = fields.as_slice() else {
        bail!("there are six fields");
    };
    ensure!(
        (*day_of_month == "?") != (*day_of_week == "?"),
        "one of day of month and day of week is ?"
    );
    let mut pattern = "0".to_owned();
    for (position, (field, last)) in fields.iter().zip(LAST_VALUES).enumerate() {
        let is_last_weekday = position == 4 && *field == "L";
        pattern.push(' ');
        pattern.push_str(&match is_last_weekday {
            true => SATURDAY.to_owned(),
            false => with_ranges(field, last),
        });
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        .alternative_weekdays(true)
        .build();
    Ok(parser.parse(&pattern)?)
}

/// A field whose steps have a range to go through: EventBridge's `5/15` is `5-59/15`.
fn with_ranges(field: &str, last: &str) -> String {
    let parts = field.split(',').map(|part| match part.split_once('/') {
        Some((first, step)) if first != "*" && !first.contains('-') => format!("{first}-{last}/{step}"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(",")
}

/// Follows the wall clock: a time that it jumps over doesn't happen, one that it shows twice happens the first time.
fn next_of_cron(cron: &Cron, timezone: Tz, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let wall_clock = time.with_timezone(&timezone).naive_local().and_utc();
    cron.iter_after(wall_clock)
        .filter_map(|next| timezone.from_local_datetime(&next.naive_utc()).earliest())
        .map(|next| next.to_utc())
        .find(|next| *next > time)
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
            ("cron(0 9 ? * 1 *)", "2026-11-22T09:00:00Z"),
            ("cron(0 9 ? * L *)", "2026-11-21T09:00:00Z"),
            ("cron(0 9 2/7 * ? 2027)", "2027-01-02T09:00:00Z"),
            ("cron(0 0 29 FEB ? *)", "2028-02-29T00:00:00Z"),
        ] {
            assert_eq!(next(expression, "UTC", after), expected, "{expression}");
        }
    }

    #[test]
    fn expressions_that_aws_refuses_are_refused() {
        for wrong in [
            "every minute",
            "rate(0 minutes)",
            "rate(1 minutes)",
            "rate(5 minute)",
            "cron(0 18 * * * *)",
            "cron(0 18 ? * ? *)",
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
