//! The clock of a running function. A use case has a [`ClockHandle`] and never asks the machine or the database for the
//! time, so that tests can move it.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use domain::clock::{Clock, ManualClock};

use crate::config::{Environment, FromEnvironment};

/// The machine's own clock, in whole microseconds as the database stores them: a time comes back as it went in.
#[derive(Debug, Clone, Copy, Default)]
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}

/// The clock that a use case goes by. A clone is the same clock.
#[derive(Clone)]
pub struct ClockHandle(Arc<dyn Clock>);

impl ClockHandle {
    /// The machine's own clock.
    pub fn system() -> Self {
        Self(Arc::new(SystemClock))
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

/// A clock that a test moves.
impl From<Arc<ManualClock>> for ClockHandle {
    fn from(clock: Arc<ManualClock>) -> Self {
        Self(clock)
    }
}

impl FromEnvironment for ClockHandle {
    /// The machine's own clock: a running function has no other.
    fn read(_: &mut Environment) -> Option<Self> {
        Some(Self::system())
    }
}

impl fmt::Debug for ClockHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ClockHandle({})", self.now())
    }
}
