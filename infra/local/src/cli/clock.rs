//! `moneta clock`.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, bail};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};

use super::Client;
use crate::{
    clock::{ClockMove, ClockView, SchedulesToRun},
    progress::{say, warn},
    sources::playing::ClockMoved,
};

/// How often it is shown where the clock stands while it is moved.
const SHOW_EVERY: Duration = Duration::from_secs(3);
const RESET: &str = "reset";
/// How a unit is written in a duration of ISO 8601: what stands before and after its number.
const UNITS: [(&str, &str, &str); 6] = [
    ("minute", "PT", "M"),
    ("hour", "PT", "H"),
    ("day", "P", "D"),
    ("week", "P", "W"),
    ("month", "P", "M"),
    ("year", "P", "Y"),
];

pub(super) async fn run(client: &Client, to: Option<&str>, no_schedules: bool) -> anyhow::Result<bool> {
    let Some(to) = to else {
        show(&client.get("/local/clock").await?);
        return Ok(true);
    };
    let mut request = parse(to)?;
    request.schedules = no_schedules.then_some(SchedulesToRun::All(false));
    let is_reset = request.reset;
    let body = serde_json::to_value(&request)?;
    let moving = client.post("/local/clock", Some(&body));
    tokio::pin!(moving);
    let moved: ClockMoved = loop {
        tokio::select! {
            moved = &mut moving => break moved?,
            () = tokio::time::sleep(SHOW_EVERY) => {
                let clock: ClockView = client.get("/local/clock").await?;
                warn(format_args!("  {}", shown(clock.now)));
            }
        }
    };
    show(&moved.clock);
    if is_reset {
        say(
            "What is dated later than this stays, and comes when its time comes: `moneta up --fresh` begins anew.",
        );
    }
    Ok(show_runs(&moved))
}

/// Whether all went well.
fn show_runs(moved: &ClockMoved) -> bool {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for run in &moved.runs {
        *counts.entry(&run.function).or_default() += 1;
    }
    for (function, count) in counts {
        let times = if count == 1 { "once" } else { "times" };
        match count {
            1 => say(format_args!("  {function:<26} {times}")),
            _ => say(format_args!("  {function:<26} {count} {times}")),
        }
    }
    if moved.restless > 0 {
        warn(format_args!(
            "The clock moved on {} times although messages still waited: `moneta queues` shows them",
            moved.restless
        ));
    }
    let failed: Vec<_> = moved
        .runs
        .iter()
        .filter_map(|run| Some((run, run.error.as_ref()?)))
        .collect();
    for (run, error) in &failed {
        warn(format_args!(
            "{} of {} failed: {error}",
            run.function,
            shown(run.scheduled_time)
        ));
    }
    failed.is_empty()
}

fn show(clock: &ClockView) {
    let ahead = Duration::from_secs(clock.ahead_seconds.unsigned_abs());
    match clock.ahead_seconds {
        0 => say(format_args!("{} (the machine's time)", shown(clock.now))),
        _ => say(format_args!(
            "{} ({} ahead of the machine's time)",
            shown(clock.now),
            in_days(ahead)
        )),
    }
}

fn in_days(duration: Duration) -> String {
    // What has gone by since it was moved isn't worth a minute less.
    let minutes = (duration.as_secs() + 30) / 60;
    let (days, hours) = (minutes / (24 * 60), minutes / 60 % 24);
    format!("{days} d {hours} h {} min", minutes % 60)
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `+3days`, a time, or `reset`.
fn parse(text: &str) -> anyhow::Result<ClockMove> {
    if text == RESET {
        return Ok(ClockMove {
            reset: true,
            ..ClockMove::default()
        });
    }
    if let Some(span) = text.strip_prefix('+') {
        return duration(span).map(|duration| ClockMove::by(&duration));
    }
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let time =
        time.or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").map(|time| time.and_utc()));
    let time =
        time.or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").map(|time| time.and_utc()));
    let time = time.or_else(|_| {
        text.parse::<NaiveDate>()
            .map(|date| date.and_time(NaiveTime::MIN).and_utc())
    });
    let time = time.ok().with_context(|| {
        format!("{text} is none of +3days, +1month, a time such as 2026-12-25T09:00 (UTC) and reset")
    })?;
    Ok(ClockMove::to(time))
}

fn duration(span: &str) -> anyhow::Result<String> {
    let end = span
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(span.len());
    let (number, unit) = span.split_at_checked(end).unwrap_or((span, ""));
    let singular = unit.strip_suffix('s').unwrap_or(unit);
    match UNITS.iter().find(|(name, ..)| *name == singular) {
        Some((_, before, after)) if !number.is_empty() => Ok(format!("{before}{number}{after}")),
        _ => bail!("+{span} isn't a number of minutes, hours, days, weeks, months or years, such as +3days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_read_as_people_write_them() {
        for (text, advance) in [
            ("+1month", "P1M"),
            ("+3days", "P3D"),
            ("+90minutes", "PT90M"),
            ("+1hour", "PT1H"),
            ("+2weeks", "P2W"),
        ] {
            assert_eq!(parse(text).unwrap().advance.as_deref(), Some(advance));
        }
        for (text, time) in [
            ("2026-12-25T09:00", "2026-12-25T09:00:00Z"),
            ("2026-12-25", "2026-12-25T00:00:00Z"),
            ("2026-12-25T09:00:00-05:00", "2026-12-25T14:00:00Z"),
        ] {
            assert_eq!(parse(text).unwrap().to, Some(time.parse().unwrap()), "{text}");
        }
        assert!(parse("reset").unwrap().reset);
        for wrong in [
            "+",
            "+3",
            "+days",
            "+1fortnight",
            "tomorrow",
            "-1day",
            "2026-13-01",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
