//! When an unknown outcome is looked up again.
//!
//! A call whose answer never came may have happened. It isn't repeated and nothing is guessed: what became of
//! it is looked up at growing intervals, and after the last look-up it is left for manual review.

use chrono::{DateTime, TimeDelta, Utc};

/// How long after an outcome became unknown each look-up comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupSchedule {
    steps: &'static [TimeDelta],
}

/// What to do next about an unknown outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Look it up at this time.
    At(DateTime<Utc>),
    /// Stop: it needs manual review.
    GiveUp,
}

impl LookupSchedule {
    /// After 5 minutes, 1 hour and 1 day.
    pub const STANDARD: LookupSchedule = LookupSchedule {
        steps: &[TimeDelta::minutes(5), TimeDelta::hours(1), TimeDelta::days(1)],
    };

    /// What comes after `attempts` look-ups that found nothing, when the outcome is unknown since `since`. A look-up
    /// that is late isn't followed by the next one at once: the other side may be down for all of them.
    pub fn next(&self, attempts: u32, since: DateTime<Utc>, now: DateTime<Utc>) -> Next {
        let step = usize::try_from(attempts)
            .ok()
            .and_then(|attempts| self.steps.get(attempts));
        let planned = step.and_then(|step| since.checked_add_signed(*step));
        let soonest = self
            .steps
            .first()
            .and_then(|first| now.checked_add_signed(*first));
        match (planned, soonest) {
            (Some(planned), Some(soonest)) => Next::At(planned.max(soonest)),
            _ => Next::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_outcome_is_looked_up_three_times_and_then_reviewed() {
        let since: DateTime<Utc> = "2026-03-08T06:30:00Z".parse().unwrap();
        let at = |text: &str| Next::At(text.parse().unwrap());
        let next = |attempts| LookupSchedule::STANDARD.next(attempts, since, since);
        assert_eq!(next(0), at("2026-03-08T06:35:00Z"));
        assert_eq!(next(1), at("2026-03-08T07:30:00Z"));
        assert_eq!(next(2), at("2026-03-09T06:30:00Z"));
        for attempts in [3, 4, u32::MAX] {
            assert_eq!(next(attempts), Next::GiveUp);
        }
        let end = DateTime::<Utc>::MAX_UTC;
        assert_eq!(LookupSchedule::STANDARD.next(0, end, end), Next::GiveUp);
    }

    #[test]
    fn late_look_ups_do_not_follow_each_other_at_once() {
        let since: DateTime<Utc> = "2026-03-08T06:30:00Z".parse().unwrap();
        let now: DateTime<Utc> = "2026-03-10T00:00:00Z".parse().unwrap();
        let soonest = Next::At("2026-03-10T00:05:00Z".parse().unwrap());
        for attempts in 0..3 {
            assert_eq!(LookupSchedule::STANDARD.next(attempts, since, now), soonest);
        }
        assert_eq!(LookupSchedule::STANDARD.next(3, since, now), Next::GiveUp);
    }
}
