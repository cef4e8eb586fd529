//! The time as an input. The clock that follows the real time belongs to the platform.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// Something that knows what time it is.
pub trait Clock: Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;
}

/// A clock that stands still until it is moved: for tests, in any crate.
///
/// It counts whole microseconds, as the database does, so that a time comes back from there as it went in.
#[derive(Debug)]
pub struct ManualClock {
    microseconds: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub const fn new(now: DateTime<Utc>) -> ManualClock {
        ManualClock {
            microseconds: AtomicI64::new(now.timestamp_micros()),
        }
    }

    /// Makes the clock show `now`.
    pub fn set(&self, now: DateTime<Utc>) {
        self.microseconds.store(now.timestamp_micros(), Ordering::SeqCst);
    }

    /// Moves the clock, back if `by` is negative, and tells the time it shows then. It stops at the first and
    /// the last time there is.
    pub fn advance(&self, by: TimeDelta) -> DateTime<Utc> {
        let end = if by < TimeDelta::zero() {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        };
        let moved = |microseconds| {
            let now = time(microseconds).checked_add_signed(by).unwrap_or(end);
            Some(now.timestamp_micros())
        };
        // The closure never refuses, so both answers are the time before.
        let (Ok(before) | Err(before)) =
            self.microseconds
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
        moved(before).map_or(end, time)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        time(self.microseconds.load(Ordering::SeqCst))
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }
}

/// The time of a count that came from a time.
fn time(microseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(microseconds).unwrap_or(DateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_still_until_moved() {
        let start: DateTime<Utc> = "2026-03-08T06:59:59.123456Z".parse().unwrap();
        let clock = Arc::new(ManualClock::new(start));
        assert_eq!((clock.now(), clock.now()), (start, start));
        assert_eq!(
            clock.advance(TimeDelta::seconds(1)),
            start + TimeDelta::seconds(1)
        );
        assert_eq!(
            clock.advance(TimeDelta::seconds(-2)),
            start - TimeDelta::seconds(1)
        );
        clock.set(start);
        assert_eq!(Clock::now(&clock), start);
    }

    #[test]
    fn stops_at_the_ends_of_time() {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        let last = clock.advance(TimeDelta::MAX);
        assert_eq!(
            last.timestamp_micros(),
            DateTime::<Utc>::MAX_UTC.timestamp_micros()
        );
        assert_eq!(clock.advance(TimeDelta::seconds(1)), last);
        assert_eq!(clock.now(), last);
        assert_eq!(clock.advance(TimeDelta::MIN), clock.now());
        clock.set(DateTime::<Utc>::MIN_UTC);
        assert_eq!(clock.now(), DateTime::<Utc>::MIN_UTC);
    }
}
