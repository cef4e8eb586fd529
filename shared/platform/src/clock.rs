//! The clock of a running function. A use case has a [`ClockHandle`] and never asks the machine or the database for the
//! time, so that tests can move it.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use domain::clock::{Clock, ManualClock};

use crate::config::{Environment, FromEnvironment};

/// By how many milliseconds the local cloud's clock is ahead of the machine's. A function of any other stage that finds it
/// doesn't start.
pub const CLOCK_OFFSET: &str = "CLOCK_OFFSET_MS";
/// The stage of the local cloud.
const LOCAL_STAGE: &str = "local";

/// The machine's own clock, in whole microseconds as the database stores them: a time comes back as it went in.
#[derive(Debug, Clone, Copy, Default)]
struct SystemClock {
    /// Nothing but in the local cloud.
    ahead: TimeDelta,
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        let now = Utc::now().trunc_subsecs(6);
        now.checked_add_signed(self.ahead).unwrap_or(now)
    }
}

/// The clock that a use case goes by. A clone is the same clock.
#[derive(Clone)]
pub struct ClockHandle(Arc<dyn Clock>);

impl ClockHandle {
    /// The machine's own clock.
    pub fn system() -> Self {
        Self(Arc::new(SystemClock::default()))
    }

    /// The time now.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }
}

impl Clock for ClockHandle {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }
}

/// For what isn't the platform's, such as a provider's client.
impl From<ClockHandle> for Arc<dyn Clock> {
    fn from(clock: ClockHandle) -> Self {
        clock.0
    }
}

/// A clock that a test moves.
impl From<Arc<ManualClock>> for ClockHandle {
    fn from(clock: Arc<ManualClock>) -> Self {
        Self(clock)
    }
}

impl FromEnvironment for ClockHandle {
    /// The machine's own clock; in the local cloud, ahead of it by `CLOCK_OFFSET_MS`.
    fn read(environment: &mut Environment) -> Option<Self> {
        if !environment.has(CLOCK_OFFSET) {
            return Some(Self::system());
        }
        let stage: Option<String> = environment.optional("STAGE");
        if stage.as_deref() != Some(LOCAL_STAGE) {
            environment.problem(format!(
                "{CLOCK_OFFSET} is set, which only the stage `{LOCAL_STAGE}` may have: remove it, elsewhere the time is the machine's"
            ));
            return None;
        }
        let ahead = TimeDelta::try_milliseconds(environment.required(CLOCK_OFFSET)?);
        if ahead.is_none() {
            environment.problem(format!("{CLOCK_OFFSET} is out of range"));
        }
        Some(Self(Arc::new(SystemClock { ahead: ahead? })))
    }
}

impl fmt::Debug for ClockHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ClockHandle({})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<ClockHandle, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut environment = Environment::of(variables.iter().map(owned));
        let clock = ClockHandle::read(&mut environment);
        environment.finish(clock).map_err(|error| error.to_string())
    }

    #[test]
    fn the_clock_of_the_local_cloud_is_ahead_by_what_it_was_moved() {
        let day_ms = "86400000";
        let moved = read(&[("STAGE", "local"), (CLOCK_OFFSET, day_ms)]).unwrap();
        let ahead = moved.now() - Utc::now();
        assert!(
            (ahead - TimeDelta::days(1)).abs() < TimeDelta::minutes(1),
            "{ahead}"
        );
        for unmoved in [
            &[("STAGE", "local")][..],
            &[("STAGE", "prod"), (CLOCK_OFFSET, "")],
            &[],
        ] {
            let ahead = read(unmoved).unwrap().now() - Utc::now();
            assert!(ahead.abs() < TimeDelta::minutes(1), "{ahead}");
        }
    }

    #[test]
    fn a_clock_that_is_moved_in_another_stage_ends_the_start() {
        for stage in [
            &[("STAGE", "dev")][..],
            &[("STAGE", "prod")],
            &[("STAGE", "Local")],
            &[],
        ] {
            let mut variables = stage.to_vec();
            variables.push((CLOCK_OFFSET, "1"));
            let error = read(&variables).unwrap_err();
            assert!(error.contains("only the stage `local`"), "{error}");
        }
        let error = read(&[("STAGE", "local"), (CLOCK_OFFSET, "tomorrow")]).unwrap_err();
        assert!(error.contains(CLOCK_OFFSET), "{error}");
    }
}
