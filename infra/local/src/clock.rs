//! The local cloud's clock: the machine's, moved ahead so that days and months can be played in seconds.
//!
//! Everything that stands in for somebody goes by it: schedules, functions, the gateway's authorizer and tokens, the sandboxes.
//! The database, the queues and the time limits of functions go by the machine's.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Days, Months, SecondsFormat, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// The variable with which functions learn of it; `platform::clock` reads it.
pub(crate) const OFFSET_VARIABLE: &str = "CLOCK_OFFSET_MS";
/// The file that keeps it beside what is dated by it.
const FILE: &str = "clock";
/// How far it can be moved in all: cards of the tests and rules about the past end somewhere.
const MAX_AHEAD: TimeDelta = TimeDelta::days(3_653);

/// The clock. A clone is the same clock; the default one is the machine's until it is moved.
#[derive(Clone, Debug, Default)]
pub struct LocalClock(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ahead_ms: AtomicI64,
    file: Option<PathBuf>,
}

impl LocalClock {
    /// The clock of a state, as it was left.
    pub(crate) fn open(state: &Path) -> anyhow::Result<Self> {
        let file = state.join(FILE);
        let ahead_ms = match std::fs::read_to_string(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            read => read
                .map_err(anyhow::Error::from)
                .and_then(|text| Ok(text.trim().parse()?))
                .with_context(|| format!("cannot read {}, by how much the clock is ahead", file.display()))?,
        };
        Ok(Self(Arc::new(Inner {
            ahead_ms: AtomicI64::new(ahead_ms),
            file: Some(file),
        })))
    }

    /// The time that it shows.
    pub fn now(&self) -> DateTime<Utc> {
        let now = Utc::now();
        now.checked_add_signed(self.ahead()).unwrap_or(now)
    }

    /// By how much it is ahead of the machine's.
    pub fn ahead(&self) -> TimeDelta {
        TimeDelta::milliseconds(self.ahead_ms())
    }

    fn ahead_ms(&self) -> i64 {
        self.0.ahead_ms.load(Ordering::SeqCst)
    }

    /// The value of the variable; empty while it shows the machine's time.
    pub(crate) fn variable(&self) -> String {
        match self.ahead_ms() {
            0 => String::new(),
            ahead_ms => ahead_ms.to_string(),
        }
    }

    /// Makes it show a time, or the machine's again.
    pub(crate) fn set(&self, time: Option<DateTime<Utc>>) -> anyhow::Result<()> {
        let ahead_ms = time.map_or(0, |time| (time - Utc::now()).num_milliseconds().max(0));
        self.0.ahead_ms.store(ahead_ms, Ordering::SeqCst);
        match (&self.0.file, ahead_ms) {
            (Some(file), 0) if !file.exists() => Ok(()),
            (Some(file), ahead_ms) => std::fs::write(file, ahead_ms.to_string())
                .with_context(|| format!("cannot keep by how much the clock is ahead in {}", file.display())),
            (None, _) => Ok(()),
        }
    }

    /// What is to be seen of it.
    pub fn view(&self) -> ClockView {
        ClockView {
            now: self.now().trunc_subsecs(3),
            ahead_seconds: self.ahead().num_seconds(),
        }
    }
}

/// The clock as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClockView {
    /// The time that it shows.
    pub now: DateTime<Utc>,
    /// By how many seconds it is ahead of the machine's.
    pub ahead_seconds: i64,
}

/// How the clock is to be moved: exactly one of `advance`, `to` and `reset`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockMove {
    /// By a duration of ISO 8601, on the calendar of UTC: `P1M`, `P3D`, `PT90M`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advance: Option<String>,
    /// To a time that is still to come, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
    /// Back to the machine's time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reset: bool,
    /// The schedules to run at their times on the way; all of them, or none, as the local cloud runs schedules by itself, when
    /// nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedules: Option<SchedulesToRun>,
}

/// Which schedules run while the clock is moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SchedulesToRun {
    /// All of them, or none.
    All(bool),
    /// Those of these functions.
    Of(Vec<String>),
}

impl ClockMove {
    /// Moves it to a time.
    pub fn to(time: DateTime<Utc>) -> Self {
        Self {
            to: Some(time),
            ..Self::default()
        }
    }

    /// Moves it by a duration of ISO 8601.
    pub fn by(duration: &str) -> Self {
        Self {
            advance: Some(duration.to_owned()),
            ..Self::default()
        }
    }

    /// Runs the schedules of these functions on the way.
    #[must_use]
    pub fn running(self, functions: &[&str]) -> Self {
        let functions = functions.iter().map(|function| (*function).to_owned());
        Self {
            schedules: Some(SchedulesToRun::Of(functions.collect())),
            ..self
        }
    }

    /// The time to move to; none means back to the machine's.
    pub(crate) fn target(&self, now: DateTime<Utc>) -> anyhow::Result<Option<DateTime<Utc>>> {
        let target = match (&self.advance, self.to, self.reset) {
            (None, None, true) => return Ok(None),
            (Some(duration), None, false) => after(now, duration)?,
            (None, Some(to), false) => to,
            _ => bail!("the clock is moved by exactly one of advance, to and reset"),
        };
        ensure!(
            target >= now,
            "the clock shows {} and is moved forward only, not to {}; reset takes it back to the machine's time",
            shown(now),
            shown(target)
        );
        let limit = Utc::now() + MAX_AHEAD;
        ensure!(
            target <= limit,
            "the clock can be moved ten years ahead, to {} and not to {}",
            shown(limit),
            shown(target)
        );
        Ok(Some(target))
    }
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The time a duration of ISO 8601 after another: years and months on the calendar, where the 31st of a shorter month is its
/// last day.
fn after(now: DateTime<Utc>, duration: &str) -> anyhow::Result<DateTime<Utc>> {
    let unreadable =
        || format!("advance is a duration of ISO 8601 such as P1M, P3D or PT90M, not {duration:?}");
    let text = duration.strip_prefix('P').with_context(unreadable)?;
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    ensure!(!date.is_empty() || !time.is_empty(), unreadable());
    ensure!(!text.ends_with('T'), unreadable());
    let mut moved = Some(now);
    for (number, unit) in parts(date).with_context(unreadable)? {
        moved = moved.and_then(|moved| match unit {
            'Y' => moved.checked_add_months(Months::new(number.checked_mul(12)?)),
            'M' => moved.checked_add_months(Months::new(number)),
            'W' => moved.checked_add_days(Days::new(u64::from(number).checked_mul(7)?)),
            'D' => moved.checked_add_days(Days::new(u64::from(number))),
            _ => None,
        });
    }
    for (number, unit) in parts(time).with_context(unreadable)? {
        let seconds = match unit {
            'H' => 3_600,
            'M' => 60,
            'S' => 1,
            _ => bail!(unreadable()),
        };
        let delta = TimeDelta::try_seconds(i64::from(number) * seconds);
        moved = moved.and_then(|moved| moved.checked_add_signed(delta?));
    }
    moved.with_context(unreadable)
}

/// The numbers and units of `1M10D`.
fn parts(text: &str) -> Option<Vec<(u32, char)>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|character: char| !character.is_ascii_digit())?;
        let (number, unit) = rest.split_at_checked(end)?;
        let unit_char = unit.chars().next()?;
        parts.push((number.parse().ok()?, unit_char));
        rest = unit.strip_prefix(unit_char)?;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn durations_follow_the_calendar() {
        let now = at("2027-01-31T10:00:00Z");
        for (duration, expected) in [
            ("P1M", "2027-02-28T10:00:00Z"),
            ("P1Y2M3DT4H5M6S", "2028-04-03T14:05:06Z"),
            ("P2W", "2027-02-14T10:00:00Z"),
            ("PT90M", "2027-01-31T11:30:00Z"),
            ("P0D", "2027-01-31T10:00:00Z"),
        ] {
            assert_eq!(after(now, duration).unwrap(), at(expected), "{duration}");
        }
        for wrong in [
            "",
            "P",
            "PT",
            "1M",
            "P1",
            "PM",
            "P1H",
            "PT1D",
            "P1DT",
            "P-1D",
            "P1.5D",
            "+1month",
            "P99999999Y",
        ] {
            let error = after(now, wrong).unwrap_err().to_string();
            assert!(error.contains("ISO 8601"), "{wrong}: {error}");
        }
    }

    #[test]
    fn it_is_moved_forward_only_and_in_one_way() {
        let now = Utc::now();
        let read = |text: &str| serde_json::from_str::<ClockMove>(text).unwrap().target(now);
        assert_eq!(read(r#"{"reset":true}"#).unwrap(), None);
        assert_eq!(
            read(r#"{"advance":"P1D"}"#).unwrap(),
            Some(now + TimeDelta::days(1))
        );
        for (wrong, says) in [
            (r#"{"to":"2020-01-01T00:00:00Z"}"#, "forward only"),
            (r#"{"advance":"P20Y"}"#, "ten years"),
            (r#"{"advance":"P1D","reset":true}"#, "exactly one"),
            ("{}", "exactly one"),
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains(says), "{wrong}: {error}");
        }
        assert!(serde_json::from_str::<ClockMove>(r#"{"forward":"P1D"}"#).is_err());
    }

    #[test]
    fn it_is_as_it_was_left_after_a_restart() {
        let state = tempfile::tempdir().unwrap();
        let day = TimeDelta::days(1);
        let clock = LocalClock::open(state.path()).unwrap();
        assert_eq!(clock.variable(), "");
        clock.set(Some(Utc::now() + day)).unwrap();
        let again = LocalClock::open(state.path()).unwrap();
        assert_eq!(again.ahead(), clock.ahead());
        assert!((again.ahead() - day).abs() < TimeDelta::minutes(1));
        again.set(None).unwrap();
        assert_eq!(LocalClock::open(state.path()).unwrap().ahead(), TimeDelta::zero());
    }
}
