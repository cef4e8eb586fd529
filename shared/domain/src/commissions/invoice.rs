//! An invoice, and when its money is asked for. Spec "Commissions", Charging.

use chrono::{DateTime, TimeDelta, Utc};

use crate::commissions::decline::DeclineKind;
use crate::stored::{named_enum, stored_as_text};
use crate::transition::{Code, Transition};

/// After how many days a soft decline is tried again; after the last one the invoice is uncollectible.
pub const RETRY_DAYS: [i64; 4] = [1, 3, 5, 7];
/// An invoice that can't be retried (no card, or one that is declined for good) is given up when its retries would have
/// been used up.
const GIVEN_UP_AFTER: TimeDelta =
    TimeDelta::days(RETRY_DAYS[0] + RETRY_DAYS[1] + RETRY_DAYS[2] + RETRY_DAYS[3]);

named_enum! {
    /// State of an invoice.
    pub enum InvoiceStatus {
        /// To be paid.
        Open = "open",
        /// Paid.
        Paid = "paid",
        /// Not to be had: all retries failed. It is still owed, and a new payment method is charged.
        Uncollectible = "uncollectible",
        /// Taken back; nothing is owed.
        Void = "void",
    }
}

stored_as_text!(InvoiceStatus);

/// The invoice was taken back; money that comes for it has to be looked at by a person.
pub const INVOICE_IS_VOID: Code = Code::new("invoice_is_void");
/// The invoice is paid; whatever else comes for it is too much.
pub const INVOICE_IS_PAID: Code = Code::new("invoice_is_paid");

impl InvoiceStatus {
    /// Whether its amount is owed.
    pub const fn is_owed(self) -> bool {
        matches!(self, InvoiceStatus::Open | InvoiceStatus::Uncollectible)
    }

    /// What a successful charge makes of it.
    pub const fn after_payment(self) -> Transition<InvoiceStatus> {
        match self {
            InvoiceStatus::Open | InvoiceStatus::Uncollectible => Transition::Applied(InvoiceStatus::Paid),
            InvoiceStatus::Paid => Transition::rejected(INVOICE_IS_PAID),
            InvoiceStatus::Void => Transition::rejected(INVOICE_IS_VOID),
        }
    }

    /// What giving up makes of it.
    pub const fn after_giving_up(self) -> Transition<InvoiceStatus> {
        match self {
            InvoiceStatus::Open => Transition::Applied(InvoiceStatus::Uncollectible),
            InvoiceStatus::Uncollectible => Transition::AlreadyApplied,
            InvoiceStatus::Paid => Transition::rejected(INVOICE_IS_PAID),
            InvoiceStatus::Void => Transition::rejected(INVOICE_IS_VOID),
        }
    }
}

/// How far the collection of an invoice has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collection {
    /// State of the invoice.
    pub status: InvoiceStatus,
    /// From when on its money is asked for.
    pub due_date: DateTime<Utc>,
    /// Attempts that failed.
    pub failed_attempts: u32,
    /// When an attempt first failed, or a payment method was first missing.
    pub first_failed_at: Option<DateTime<Utc>>,
    /// When the same payment method is tried again; nothing when it isn't.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// The payment method that would be charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveMethod {
    /// Since when it is the active one, or was renewed by its bank.
    pub active_since: DateTime<Utc>,
}

/// What to do about an invoice that has no attempt in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionStep {
    /// Charge the active payment method.
    Charge,
    /// Tell the profile that there is no payment method to charge.
    AskForMethod,
    /// Nothing more can be tried.
    GiveUp,
    /// Nothing now.
    Wait,
}

impl Collection {
    /// What to do at a time, with the active payment method and the time of the last attempt.
    pub fn step(
        &self,
        method: Option<ActiveMethod>,
        last_attempt_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> CollectionStep {
        if !self.status.is_owed() || now < self.due_date {
            return CollectionStep::Wait;
        }
        let is_new_method =
            |method: ActiveMethod| last_attempt_at.is_none_or(|last| method.active_since > last);
        if method.is_some_and(is_new_method) {
            return CollectionStep::Charge;
        }
        if self.status == InvoiceStatus::Uncollectible {
            return CollectionStep::Wait;
        }
        let retry_is_due = self.next_attempt_at.is_some_and(|at| at <= now);
        match (method, self.first_failed_at) {
            (Some(_), _) if retry_is_due => CollectionStep::Charge,
            (None, None) => CollectionStep::AskForMethod,
            (_, Some(first)) if self.is_hopeless(method) && now >= first + GIVEN_UP_AFTER => {
                CollectionStep::GiveUp
            }
            _ => CollectionStep::Wait,
        }
    }

    /// Whether no retry is to come by itself.
    const fn is_hopeless(&self, method: Option<ActiveMethod>) -> bool {
        method.is_none() || self.next_attempt_at.is_none()
    }

    /// How far it has come when another attempt has failed at a time.
    #[must_use]
    pub fn after_failure(self, decline_kind: DeclineKind, now: DateTime<Utc>) -> Collection {
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
        Collection {
            status,
            due_date: self.due_date,
            failed_attempts: self.failed_attempts.saturating_add(1),
            first_failed_at: self.first_failed_at.or(Some(now)),
            next_attempt_at: retry
                .filter(|_| is_retried)
                .and_then(|days| now.checked_add_signed(TimeDelta::days(days))),
        }
    }

    /// How far it has come when there was no payment method to charge.
    #[must_use]
    pub fn without_method(self, now: DateTime<Utc>) -> Collection {
        Collection {
            first_failed_at: self.first_failed_at.or(Some(now)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUE: &str = "2026-04-08T04:00:00Z";

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The due date and so many days.
    fn day(days: i64) -> DateTime<Utc> {
        at(DUE) + TimeDelta::days(days)
    }

    fn new() -> Collection {
        Collection {
            status: InvoiceStatus::Open,
            due_date: at(DUE),
            failed_attempts: 0,
            first_failed_at: None,
            next_attempt_at: None,
        }
    }

    fn card(since: DateTime<Utc>) -> Option<ActiveMethod> {
        Some(ActiveMethod { active_since: since })
    }

    #[test]
    fn it_is_charged_from_the_due_date_on() {
        let card = card(day(-30));
        let before = at(DUE) - TimeDelta::seconds(1);
        assert_eq!(new().step(card, None, before), CollectionStep::Wait);
        assert_eq!(new().step(card, None, at(DUE)), CollectionStep::Charge);
    }

    #[test]
    fn soft_declines_are_retried_after_1_3_5_and_7_days_and_then_given_up() {
        let card = card(day(-30));
        let (mut collection, mut now) = (new(), day(0));
        for days in RETRY_DAYS {
            collection = collection.after_failure(DeclineKind::Soft, now);
            let next = now + TimeDelta::days(days);
            assert_eq!(collection.next_attempt_at, Some(next));
            let just_before = next - TimeDelta::seconds(1);
            assert_eq!(
                collection.step(card, Some(now), just_before),
                CollectionStep::Wait
            );
            assert_eq!(collection.step(card, Some(now), next), CollectionStep::Charge);
            assert_eq!(collection.status, InvoiceStatus::Open);
            now = next;
        }
        assert_eq!(now, day(16));
        collection = collection.after_failure(DeclineKind::Soft, now);
        assert_eq!(collection.status, InvoiceStatus::Uncollectible);
        assert_eq!(
            (collection.failed_attempts, collection.next_attempt_at),
            (5, None)
        );
        assert_eq!(collection.step(card, Some(now), day(400)), CollectionStep::Wait);
    }

    #[test]
    fn a_hard_decline_waits_for_another_method() {
        let old = card(day(-30));
        let collection = new().after_failure(DeclineKind::Hard, day(0));
        assert_eq!(collection.next_attempt_at, None);
        assert_eq!(collection.step(old, Some(day(0)), day(15)), CollectionStep::Wait);
        assert_eq!(
            collection.step(card(day(2)), Some(day(0)), day(2)),
            CollectionStep::Charge
        );
        // Nobody changed it while retries would have gone on.
        assert_eq!(
            collection.step(old, Some(day(0)), day(16)),
            CollectionStep::GiveUp
        );
    }

    #[test]
    fn a_new_method_is_charged_even_when_all_was_given_up() {
        let mut collection = new();
        for _ in 0..5 {
            collection = collection.after_failure(DeclineKind::Soft, day(1));
        }
        assert_eq!(collection.status, InvoiceStatus::Uncollectible);
        let changed = card(day(3));
        assert_eq!(
            collection.step(changed, Some(day(1)), day(3)),
            CollectionStep::Charge
        );
        let again = collection.after_failure(DeclineKind::Soft, day(3));
        assert_eq!(again.status, InvoiceStatus::Uncollectible);
        assert_eq!(again.step(changed, Some(day(3)), day(30)), CollectionStep::Wait);
    }

    #[test]
    fn changing_the_method_does_not_begin_the_retries_anew() {
        let mut collection = new();
        for attempt in 0..5 {
            collection = collection.after_failure(DeclineKind::Soft, day(attempt));
        }
        assert_eq!(collection.status, InvoiceStatus::Uncollectible);
    }

    #[test]
    fn without_a_method_the_profile_is_told_once_and_given_up_like_the_others() {
        assert_eq!(new().step(None, None, day(0)), CollectionStep::AskForMethod);
        let told = new().without_method(day(0));
        assert_eq!(told.step(None, None, day(15)), CollectionStep::Wait);
        assert_eq!(told.step(None, None, day(16)), CollectionStep::GiveUp);
        assert_eq!(told.step(card(day(3)), None, day(3)), CollectionStep::Charge);
        // The method was removed after a soft decline.
        let removed = new().after_failure(DeclineKind::Soft, day(0));
        assert_eq!(removed.step(None, Some(day(0)), day(1)), CollectionStep::Wait);
        assert_eq!(removed.step(None, Some(day(0)), day(16)), CollectionStep::GiveUp);
    }

    #[test]
    fn what_is_not_owed_is_never_charged() {
        for status in [InvoiceStatus::Paid, InvoiceStatus::Void] {
            let settled = Collection { status, ..new() };
            assert_eq!(settled.step(card(day(50)), None, day(60)), CollectionStep::Wait);
            assert!(status.after_payment().refusal().is_some());
            assert!(status.after_giving_up().refusal().is_some());
        }
        let paid = InvoiceStatus::Uncollectible.after_payment();
        assert_eq!(paid, Transition::Applied(InvoiceStatus::Paid));
    }

    #[test]
    fn names_are_read_back() {
        for status in InvoiceStatus::ALL {
            assert_eq!(InvoiceStatus::parse(status.name()), Some(status));
        }
        assert_eq!(InvoiceStatus::parse("draft"), None);
    }
}
