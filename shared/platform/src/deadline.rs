//! The moment at which a function has to have answered, a little before the Lambda service would kill it.

use std::time::Duration;

use lambda_runtime::Context;
use tokio::time::Instant;

/// Subtracted from Lambda's own limit, so that a response still gets out.
const MARGIN: Duration = Duration::from_millis(700);

/// The moment at which work has to end.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline of an invocation.
    pub fn of(context: &Context) -> Self {
        let now_ms = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap_or(0);
        let left = Duration::from_millis(context.deadline.saturating_sub(now_ms));
        Self::after(left.saturating_sub(MARGIN))
    }

    /// A deadline in `time` from now.
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// The same deadline, `time` earlier: leaves time for what has to be done after a call.
    #[must_use]
    pub fn earlier_by(self, time: Duration) -> Self {
        Self(self.0.checked_sub(time).unwrap_or(self.0))
    }

    /// The instant itself.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// The time that is left; zero when it is over.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}
