//! Dunning: when an invoice is charged, when a failed charge is retried, and when nothing more is tried.
//!
//! Days are those of New York. What is due on a day is due from its first moment: runs come once a day, some seconds or hours
//! after the time of their schedule, so a time of the day would put off by a day whatever is due a second later.

use chrono::{DateTime, Utc};

use crate::commissions::decline::DeclineKind;
use crate::commissions::invoice::InvoiceStatus;
use crate::ids::PaymentMethodId;
use crate::market::MarketCalendar;

/// After how many days a soft decline is tried again; after the last one the invoice is uncollectible.
const RETRY_DAYS: [u64; 4] = [1, 3, 5, 7];
/// An invoice that can't be retried (no card, or one that is declined for good) is given up when its retries would have
/// been used up.
const GIVEN_UP_AFTER_DAYS: u64 = RETRY_DAYS[0] + RETRY_DAYS[1] + RETRY_DAYS[2] + RETRY_DAYS[3];

/// The times that a statement compares with those of invoices, to find the ones for which something may have to be done
/// today: all that [`Dunning::step`] acts on are among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueToday {
    /// What is due or retried before this.
    pub due_before: DateTime<Utc>,
    /// What failed for the first time before this, and is given up where it isn't retried.
    pub failed_before: DateTime<Utc>,
}

impl DueToday {
    /// On the New York day of a time.
    pub fn at(now: DateTime<Utc>) -> DueToday {
        let given_up = MarketCalendar::business_date(now)
            .checked_sub_days(chrono::Days::new(GIVEN_UP_AFTER_DAYS))
            .and_then(|date| date.succ_opt());
        DueToday {
            due_before: MarketCalendar::days_after(now, 1),
            failed_before: given_up.map_or(DateTime::<Utc>::MIN_UTC, MarketCalendar::start_of),
        }
    }
}

/// How far the dunning of an invoice has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dunning {
    /// State of the invoice.
    pub status: InvoiceStatus,
    /// From which day on its money is charged.
    pub due_date: DateTime<Utc>,
    /// Attempts that failed.
    pub failed_attempts: u32,
    /// When an attempt first failed, or a payment method was first missing.
    pub first_failed_at: Option<DateTime<Utc>>,
    /// From when on the same payment method is tried again: the first moment of a day. Nothing when it isn't.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// The payment method that would be charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveMethod {
    /// Which it is.
    pub id: PaymentMethodId,
    /// When its bank last renewed it.
    pub renewed_at: Option<DateTime<Utc>>,
}

/// The last attempt that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastAttempt {
    /// The payment method that it charged.
    pub method: PaymentMethodId,
    /// When.
    pub at: DateTime<Utc>,
}

impl ActiveMethod {
    /// Whether an attempt says nothing of it: the attempt charged another one, or this one before it was renewed. When either
    /// was chosen doesn't matter: one that was saved long ago may not have been tried, and one that is chosen again has been.
    fn is_untried(self, last: LastAttempt) -> bool {
        self.id != last.method || self.renewed_at.is_some_and(|renewed| renewed > last.at)
    }
}

/// What to do about an invoice that has no attempt in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DunningStep {
    /// Charge the active payment method.
    Charge,
    /// Tell the profile that there is no payment method to charge.
    AskForMethod,
    /// Nothing more can be tried.
    GiveUp,
    /// Nothing now.
    Wait,
}

impl Dunning {
    /// What to do at a time, with the active payment method and the last attempt that counts.
    pub fn step(
        &self,
        method: Option<ActiveMethod>,
        last_attempt: Option<LastAttempt>,
        now: DateTime<Utc>,
    ) -> DunningStep {
        let today = DueToday::at(now);
        if !self.status.is_owed() || self.due_date >= today.due_before {
            return DunningStep::Wait;
        }
        let is_untried = |method: ActiveMethod| last_attempt.is_none_or(|last| method.is_untried(last));
        if method.is_some_and(is_untried) {
            return DunningStep::Charge;
        }
        if self.status == InvoiceStatus::Uncollectible {
            return DunningStep::Wait;
        }
        let retry_is_due = self.next_attempt_at.is_some_and(|at| at < today.due_before);
        match (method, self.first_failed_at) {
            (Some(_), _) if retry_is_due => DunningStep::Charge,
            (None, None) => DunningStep::AskForMethod,
            (_, Some(first)) if self.has_no_retry(method) && first < today.failed_before => {
                DunningStep::GiveUp
            }
            _ => DunningStep::Wait,
        }
    }

    /// Whether no retry is to come by itself.
    const fn has_no_retry(&self, method: Option<ActiveMethod>) -> bool {
        method.is_none() || self.next_attempt_at.is_none()
    }

    /// How far it has come when another attempt has failed at a time.
    #[must_use]
    pub fn after_failure(self, decline_kind: DeclineKind, now: DateTime<Utc>) -> Dunning {
        let retry = usize::try_from(self.failed_attempts)
            .ok()
            .and_then(|failed_before| RETRY_DAYS.get(failed_before).copied());
        let status = match retry {
            Some(_) => self.status,
            None => self
                .status
                .after_giving_up()
                .or_current(self.status)
                .unwrap_or(self.status),
        };
        let is_retried = decline_kind == DeclineKind::Soft && status == InvoiceStatus::Open;
        Dunning {
            status,
            due_date: self.due_date,
            failed_attempts: self.failed_attempts.saturating_add(1),
            first_failed_at: self.first_failed_at.or(Some(now)),
            next_attempt_at: retry
                .filter(|_| is_retried)
                .map(|days| MarketCalendar::days_after(now, days)),
        }
    }

    /// How far it has come when there was no payment method to charge.
    #[must_use]
    pub fn without_method(self, now: DateTime<Utc>) -> Dunning {
        Dunning {
            first_failed_at: self.first_failed_at.or(Some(now)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::transition::Transition;

    const DUE: &str = "2026-04-08T04:00:00Z";

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The due date and so many days.
    fn day(days: i64) -> DateTime<Utc> {
        at(DUE) + TimeDelta::days(days)
    }

    fn new() -> Dunning {
        Dunning {
            status: InvoiceStatus::Open,
            due_date: at(DUE),
            failed_attempts: 0,
            first_failed_at: None,
            next_attempt_at: None,
        }
    }

    fn id(id: i64) -> PaymentMethodId {
        PaymentMethodId::new(id).unwrap()
    }

    /// A card that its bank never renewed.
    fn card(card: i64) -> Option<ActiveMethod> {
        Some(ActiveMethod {
            id: id(card),
            renewed_at: None,
        })
    }

    /// The last attempt charged the first card.
    fn tried(at: DateTime<Utc>) -> Option<LastAttempt> {
        Some(LastAttempt { method: id(1), at })
    }

    #[test]
    fn an_invoice_is_charged_from_the_due_date_on() {
        let card = card(1);
        let before = at(DUE) - TimeDelta::seconds(1);
        assert_eq!(new().step(card, None, before), DunningStep::Wait);
        assert_eq!(new().step(card, None, at(DUE)), DunningStep::Charge);
    }

    #[test]
    fn soft_declines_are_retried_after_1_3_5_and_7_days_and_then_given_up() {
        let card = card(1);
        let (mut dunning, mut now) = (new(), day(0));
        for days in RETRY_DAYS {
            // Late in the evening there: the retry is due from the first moment of its day on all the same.
            dunning = dunning.after_failure(DeclineKind::Soft, now + TimeDelta::hours(23));
            let next = now + TimeDelta::days(i64::try_from(days).unwrap());
            assert_eq!(dunning.next_attempt_at, Some(next));
            let just_before = next - TimeDelta::seconds(1);
            assert_eq!(dunning.step(card, tried(now), just_before), DunningStep::Wait);
            assert_eq!(dunning.step(card, tried(now), next), DunningStep::Charge);
            assert_eq!(dunning.status, InvoiceStatus::Open);
            now = next;
        }
        assert_eq!(now, day(16));
        dunning = dunning.after_failure(DeclineKind::Soft, now);
        assert_eq!(dunning.status, InvoiceStatus::Uncollectible);
        assert_eq!((dunning.failed_attempts, dunning.next_attempt_at), (5, None));
        assert_eq!(dunning.step(card, tried(now), day(400)), DunningStep::Wait);
    }

    /// Runs at their daily time, each some seconds later than it, over the change of clocks in November or in March.
    #[test]
    fn daily_runs_retry_on_days_1_4_9_and_16_however_many_seconds_they_are_late() {
        for first_run in [
            "2026-10-20T12:45:00Z",
            "2026-10-31T12:45:00Z",
            "2027-03-05T12:45:00Z",
        ] {
            let (card, mut last) = (card(1), None);
            let (mut dunning, mut attempts) = (
                Dunning {
                    due_date: at(first_run),
                    ..new()
                },
                Vec::new(),
            );
            for day in 0..=20 {
                let late = TimeDelta::seconds((20 - day) * 13 % 60);
                let now = at(first_run) + TimeDelta::days(day) + late;
                if dunning.step(card, last, now) == DunningStep::Charge {
                    // The outcome comes a moment after the decision.
                    dunning = dunning.after_failure(DeclineKind::Soft, now + TimeDelta::seconds(5));
                    last = tried(now);
                    attempts.push(day);
                }
            }
            assert_eq!(attempts, [0, 1, 4, 9, 16], "from {first_run}");
        }
    }

    #[test]
    fn an_invoice_is_given_up_on_the_16th_day_after_its_first_failure_whatever_the_time() {
        let failed = new().without_method(at("2026-10-20T12:45:30Z"));
        assert_eq!(
            failed.step(None, None, at("2026-11-05T04:59:59Z")),
            DunningStep::Wait
        );
        assert_eq!(
            failed.step(None, None, at("2026-11-05T05:00:00Z")),
            DunningStep::GiveUp
        );
    }

    #[test]
    fn a_hard_decline_waits_for_another_method() {
        let (stolen, other) = (card(1), card(2));
        let dunning = new().after_failure(DeclineKind::Hard, day(0));
        assert_eq!(dunning.next_attempt_at, None);
        assert_eq!(dunning.step(stolen, tried(day(0)), day(15)), DunningStep::Wait);
        assert_eq!(dunning.step(other, tried(day(0)), day(2)), DunningStep::Charge);
        // Nobody changed it while retries would have gone on.
        assert_eq!(dunning.step(stolen, tried(day(0)), day(16)), DunningStep::GiveUp);
        assert_eq!(dunning.step(other, tried(day(0)), day(16)), DunningStep::Charge);
    }

    #[test]
    fn a_card_that_was_renewed_after_its_decline_is_charged_again() {
        let dunning = new().after_failure(DeclineKind::Hard, day(0));
        let renewed = |at| {
            Some(ActiveMethod {
                id: id(1),
                renewed_at: Some(at),
            })
        };
        assert_eq!(
            dunning.step(renewed(day(-1)), tried(day(0)), day(2)),
            DunningStep::Wait
        );
        assert_eq!(
            dunning.step(renewed(day(0)), tried(day(0)), day(2)),
            DunningStep::Wait,
            "the attempt had it as it was renewed"
        );
        assert_eq!(
            dunning.step(renewed(day(1)), tried(day(0)), day(2)),
            DunningStep::Charge
        );
    }

    #[test]
    fn a_new_method_is_charged_even_when_all_was_given_up() {
        let mut dunning = new();
        for _ in 0..5 {
            dunning = dunning.after_failure(DeclineKind::Soft, day(1));
        }
        assert_eq!(dunning.status, InvoiceStatus::Uncollectible);
        let other = card(2);
        assert_eq!(dunning.step(other, tried(day(1)), day(3)), DunningStep::Charge);
        let again = dunning.after_failure(DeclineKind::Soft, day(3));
        assert_eq!(again.status, InvoiceStatus::Uncollectible);
        let last = Some(LastAttempt {
            method: id(2),
            at: day(3),
        });
        assert_eq!(again.step(other, last, day(30)), DunningStep::Wait);
    }

    #[test]
    fn changing_the_method_does_not_begin_the_retries_anew() {
        let mut dunning = new();
        for attempt in 0..5 {
            dunning = dunning.after_failure(DeclineKind::Soft, day(attempt));
        }
        assert_eq!(dunning.status, InvoiceStatus::Uncollectible);
    }

    #[test]
    fn an_invoice_without_a_method_notifies_once_and_is_given_up_like_others() {
        assert_eq!(new().step(None, None, day(0)), DunningStep::AskForMethod);
        let told = new().without_method(day(0));
        assert_eq!(told.step(None, None, day(15)), DunningStep::Wait);
        assert_eq!(told.step(None, None, day(16)), DunningStep::GiveUp);
        assert_eq!(told.step(card(1), None, day(3)), DunningStep::Charge);
        // The method was removed after a soft decline.
        let removed = new().after_failure(DeclineKind::Soft, day(0));
        assert_eq!(removed.step(None, tried(day(0)), day(1)), DunningStep::Wait);
        assert_eq!(removed.step(None, tried(day(0)), day(16)), DunningStep::GiveUp);
    }

    #[test]
    fn an_invoice_that_is_not_owed_is_never_charged() {
        for status in [InvoiceStatus::Paid, InvoiceStatus::Void] {
            let settled = Dunning { status, ..new() };
            assert_eq!(settled.step(card(1), None, day(60)), DunningStep::Wait);
            assert!(status.after_payment().refusal().is_some());
            assert!(status.after_giving_up().refusal().is_some());
        }
        let paid = InvoiceStatus::Uncollectible.after_payment();
        assert_eq!(paid, Transition::Applied(InvoiceStatus::Paid));
    }
}
