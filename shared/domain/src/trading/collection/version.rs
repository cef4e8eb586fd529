//! A collection version: one order to change what a profile holds of a collection.

use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::market::{MarketCalendar, new_york};
use crate::stored::{named_enum, stored_as_text};
use crate::transition::{Code, Transition};

named_enum! {
    /// State of a collection version.
    pub enum CollectionVersionStatus {
        /// Waits for its time, or for the account's open run to end.
        Pending = "pending",
        /// Its targets are decided and go to the broker; a run carries them out.
        Executing = "executing",
        /// The run has ended well.
        Complete = "complete",
        /// It was not carried out, or not whole.
        Failed = "failed",
        /// Its owner took it back before it was carried out.
        Cancelled = "cancelled",
    }
}

stored_as_text!(CollectionVersionStatus);

/// What happens to a collection version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionVersionEvent {
    /// Its owner takes it back.
    Cancel,
    /// Its targets are decided.
    Execute,
    /// Its run has ended well.
    Complete,
    /// It can't be carried out, or its run has ended badly.
    Fail,
}

/// Only what is pending can be cancelled.
pub const NOT_PENDING: Code = Code::new("collection_version_not_pending");
/// What has ended stays as it is.
pub const HAS_ENDED: Code = Code::new("collection_version_has_ended");

impl CollectionVersionStatus {
    /// Whether nothing happens to it any more.
    pub const fn has_ended(self) -> bool {
        !matches!(
            self,
            CollectionVersionStatus::Pending | CollectionVersionStatus::Executing
        )
    }

    /// The status after an event.
    pub fn after(self, event: CollectionVersionEvent) -> Transition<CollectionVersionStatus> {
        use CollectionVersionStatus::{Cancelled, Complete, Executing, Failed, Pending};
        let next = match event {
            CollectionVersionEvent::Cancel => Cancelled,
            CollectionVersionEvent::Execute => Executing,
            CollectionVersionEvent::Complete => Complete,
            CollectionVersionEvent::Fail => Failed,
        };
        match (self, next) {
            (before, next) if before == next => Transition::AlreadyApplied,
            (Pending, Cancelled | Executing | Failed) | (Executing, Complete | Failed) => {
                Transition::Applied(next)
            }
            (_, Cancelled) | (Pending, _) => Transition::rejected(NOT_PENDING),
            _ => Transition::rejected(HAS_ENDED),
        }
    }
}

/// When a version of this moment is carried out: at once from 09:25 New York to the close of a trading day, otherwise at
/// 09:25 of the next one. Until then it may be cancelled.
pub fn carried_out_at(requested_at: DateTime<Utc>) -> DateTime<Utc> {
    let today = MarketCalendar::business_date(requested_at);
    let session = |date: NaiveDate| {
        let (_, close) = MarketCalendar::session(date)?;
        Some((new_york(date, 9, 25)?, close))
    };
    match session(today) {
        Some((begin, close)) if begin <= requested_at && requested_at < close => requested_at,
        Some((begin, _)) if requested_at < begin => begin,
        _ => {
            let tomorrow = today.checked_add_days(Days::new(1)).map(MarketCalendar::start_of);
            let opening = MarketCalendar::next_open(tomorrow.unwrap_or(requested_at));
            session(MarketCalendar::business_date(opening)).map_or(opening, |(begin, _)| begin)
        }
    }
}

/// Whether what waits is carried out at a time: when a version of that moment would be. What has waited past a close waits for the
/// next trading day.
pub fn is_carried_out(at: DateTime<Utc>) -> bool {
    carried_out_at(at) == at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_goes_one_way() {
        use CollectionVersionEvent::{Cancel, Complete, Execute, Fail};
        use CollectionVersionStatus::{Cancelled, Executing, Failed, Pending};
        assert_eq!(Pending.after(Execute), Transition::Applied(Executing));
        assert_eq!(Executing.after(Execute), Transition::AlreadyApplied);
        assert_eq!(Pending.after(Cancel), Transition::Applied(Cancelled));
        assert_eq!(Executing.after(Cancel), Transition::rejected(NOT_PENDING));
        assert_eq!(
            Executing.after(Complete),
            Transition::Applied(CollectionVersionStatus::Complete)
        );
        assert_eq!(Pending.after(Complete), Transition::rejected(NOT_PENDING));
        assert_eq!(
            CollectionVersionStatus::Complete.after(Fail),
            Transition::rejected(HAS_ENDED)
        );
        assert_eq!(Failed.after(Execute), Transition::rejected(HAS_ENDED));
        assert_eq!(Cancelled.after(Execute), Transition::rejected(HAS_ENDED));
    }

    #[test]
    fn version_is_carried_out_from_five_minutes_before_the_opening_to_the_close() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        for (requested, carried_out) in [
            // Monday before, within and after the session of a winter's day.
            ("2026-11-23T14:24:59Z", "2026-11-23T14:25:00Z"),
            ("2026-11-23T14:25:00Z", "2026-11-23T14:25:00Z"),
            ("2026-11-23T20:59:59Z", "2026-11-23T20:59:59Z"),
            ("2026-11-23T21:00:00Z", "2026-11-24T14:25:00Z"),
            // Past midnight UTC it is still Monday in New York.
            ("2026-11-24T02:00:00Z", "2026-11-24T14:25:00Z"),
            // Thanksgiving, the short day after it, and the weekend.
            ("2026-11-26T15:00:00Z", "2026-11-27T14:25:00Z"),
            ("2026-11-27T18:00:00Z", "2026-11-30T14:25:00Z"),
            // In summer.
            ("2026-07-06T13:25:00Z", "2026-07-06T13:25:00Z"),
            ("2026-07-06T13:24:00Z", "2026-07-06T13:25:00Z"),
        ] {
            assert_eq!(carried_out_at(at(requested)), at(carried_out), "{requested}");
            assert_eq!(
                is_carried_out(at(requested)),
                requested == carried_out,
                "{requested}"
            );
        }
    }
}
