//! Codes that prove a phone number: six digits by SMS.

use chrono::{DateTime, TimeDelta, Utc};

/// Digits of a code.
pub const CODE_DIGITS: usize = 6;
/// How long a code is good.
pub const CODE_LIFETIME: TimeDelta = TimeDelta::seconds(300);
/// The least time from one code to the next.
pub const PAUSE_BETWEEN_CODES: TimeDelta = TimeDelta::seconds(30);
/// The most codes that a profile gets in [`CODES_WINDOW`]: each costs money, and its receiver's patience.
pub const MAX_CODES: i64 = 10;
/// The time within which codes are counted.
pub const CODES_WINDOW: TimeDelta = TimeDelta::hours(24);
/// The most tries of one code.
pub const MAX_TRIES: i32 = 5;

/// A code as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentCode {
    /// When.
    pub sent_at: DateTime<Utc>,
    /// Wrong tries so far.
    pub tries: i32,
    /// Whether it has been used.
    pub is_used: bool,
}

/// What a try comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Try {
    /// It is the code: the number is proved, and the code used.
    Right,
    /// It isn't; so many tries are left.
    Wrong {
        /// Tries that are left.
        left: i32,
    },
    /// The code's time is over.
    Expired,
    /// The code has been used before.
    Used,
    /// There were too many wrong tries.
    Exhausted,
}

impl SentCode {
    /// What a try at a time comes to. The code is looked at last: who is late or out of tries learns nothing of it.
    pub fn tried(&self, is_right: bool, now: DateTime<Utc>) -> Try {
        if self.is_used {
            return Try::Used;
        }
        if now - self.sent_at >= CODE_LIFETIME {
            return Try::Expired;
        }
        if self.tries >= MAX_TRIES {
            return Try::Exhausted;
        }
        if is_right {
            return Try::Right;
        }
        Try::Wrong {
            left: MAX_TRIES - self.tries - 1,
        }
    }
}

/// How long to wait for the next code: until the pause after the last one is over, or the window has room again. `oldest`
/// is when the first of the last [`MAX_CODES`] codes within the window was sent, where there are so many.
pub fn wait_for_next(
    last: Option<DateTime<Utc>>,
    oldest: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> TimeDelta {
    let after_last = last.map_or(TimeDelta::zero(), |last| last + PAUSE_BETWEEN_CODES - now);
    let after_oldest = oldest.map_or(TimeDelta::zero(), |oldest| oldest + CODES_WINDOW - now);
    after_last.max(after_oldest).max(TimeDelta::zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
    }

    fn sent(tries: i32, is_used: bool) -> SentCode {
        SentCode {
            sent_at: at(0),
            tries,
            is_used,
        }
    }

    #[test]
    fn a_code_is_good_once_for_five_tries_and_300_seconds() {
        assert_eq!(sent(0, false).tried(true, at(299)), Try::Right);
        assert_eq!(sent(0, false).tried(true, at(300)), Try::Expired);
        assert_eq!(sent(0, true).tried(true, at(1)), Try::Used);
        assert_eq!(sent(0, false).tried(false, at(1)), Try::Wrong { left: 4 });
        assert_eq!(sent(4, false).tried(false, at(1)), Try::Wrong { left: 0 });
        assert_eq!(sent(5, false).tried(true, at(1)), Try::Exhausted);
    }

    #[test]
    fn codes_are_thirty_seconds_apart_and_ten_a_day() {
        let wait = |last, oldest, now| wait_for_next(last, oldest, at(now)).num_seconds();
        assert_eq!(wait(None, None, 0), 0);
        assert_eq!(wait(Some(at(0)), None, 29), 1);
        assert_eq!(wait(Some(at(0)), None, 30), 0);
        assert_eq!(wait(Some(at(100)), Some(at(0)), 1_000), 86_400 - 1_000);
        assert_eq!(wait(Some(at(0)), Some(at(0)), 100_000), 0);
    }
}
