//! The state of an identity check.

use chrono::{DateTime, Utc};

use crate::stored::{named_enum, stored_as_text};

named_enum! {
    /// State of the identity check.
    pub enum KycStatus {
        /// Not submitted, or something is missing.
        NotReady = "not_ready",
        /// About to begin.
        Ready = "ready",
        /// Under way.
        Processing = "processing",
        /// The identity is confirmed.
        Approved = "approved",
        /// Answers didn't match; corrected ones begin it anew.
        InfoRequired = "info_required",
        /// A document is wanted; it begins the check anew.
        DocRequired = "doc_required",
        /// The broker's people look.
        ManualReview = "manual_review",
        /// It failed; it may be submitted again.
        Denied = "denied",
    }
}

stored_as_text!(KycStatus);

impl KycStatus {
    /// Whether the form may be changed and submitted in this state.
    pub const fn may_be_submitted(self) -> bool {
        matches!(
            self,
            KycStatus::NotReady | KycStatus::InfoRequired | KycStatus::DocRequired | KycStatus::Denied
        )
    }

    /// What the state says to the person.
    pub const fn message(self) -> &'static str {
        match self {
            KycStatus::NotReady => "Fill in the form and submit it.",
            KycStatus::Ready | KycStatus::Processing => {
                "Your details are being checked. This takes seconds, at most a quarter of an hour."
            }
            KycStatus::Approved => "Your identity is confirmed.",
            KycStatus::InfoRequired => {
                "Some details could not be confirmed. Correct them and submit the form again."
            }
            KycStatus::DocRequired => "A document is needed. Upload it, and the check goes on.",
            KycStatus::ManualReview => "Somebody looks at your details. There is nothing to do but wait.",
            KycStatus::Denied => {
                "Your identity could not be confirmed. Correct your details and submit the form again, or contact support."
            }
        }
    }

    /// Of two reports of the same time the one that is further on counts.
    const fn rank(self) -> u8 {
        match self {
            KycStatus::NotReady => 0,
            KycStatus::Ready => 1,
            KycStatus::Processing => 2,
            KycStatus::InfoRequired | KycStatus::DocRequired | KycStatus::ManualReview => 3,
            KycStatus::Denied => 4,
            KycStatus::Approved => 5,
        }
    }
}

/// A report of the check's state, at a time of the broker's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KycReport {
    /// The state.
    pub status: KycStatus,
    /// When it came into it.
    pub as_of: DateTime<Utc>,
    /// The errors by their names; unknown ones as the broker wrote them.
    pub errors: Vec<String>,
}

impl KycReport {
    /// Whether this report replaces one that is known: it is newer by the broker's time. An older word replaces nothing,
    /// whichever comes last here.
    pub fn replaces(&self, known: Option<&KycReport>) -> bool {
        let Some(known) = known else { return true };
        let key = |report: &KycReport| (report.as_of, report.status.rank());
        if key(self) == key(known) {
            return self.errors != known.errors && self.status == known.status;
        }
        key(self) > key(known)
    }

    /// The state that counts for us: somebody who waits for the broker's people although errors are named is better off
    /// with correcting them.
    #[must_use]
    pub fn normalised(mut self) -> KycReport {
        self.errors.sort();
        self.errors.dedup();
        if self.status == KycStatus::ManualReview && !self.errors.is_empty() {
            self.status = KycStatus::InfoRequired;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(status: KycStatus, second: i64, errors: &[&str]) -> KycReport {
        KycReport {
            status,
            as_of: DateTime::from_timestamp(1_795_000_000 + second, 0).unwrap(),
            errors: errors.iter().map(|error| (*error).to_owned()).collect(),
        }
    }

    #[test]
    fn reports_in_any_order_and_twice_end_in_the_newest() {
        let reports = [
            report(KycStatus::Processing, 0, &[]),
            report(KycStatus::InfoRequired, 1, &["ADDRESS_NOT_MATCH"]),
            report(KycStatus::Approved, 2, &[]),
        ];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut known: Option<KycReport> = None;
            for index in order.into_iter().chain(order) {
                let new = &reports[index];
                if new.replaces(known.as_ref()) {
                    known = Some(new.clone());
                }
            }
            assert_eq!(known.as_ref(), Some(&reports[2]), "{order:?}");
        }
    }

    #[test]
    fn a_newer_word_counts_even_against_an_approval() {
        let approved = report(KycStatus::Approved, 2, &[]);
        assert!(!report(KycStatus::Denied, 1, &[]).replaces(Some(&approved)));
        assert!(!report(KycStatus::Denied, 2, &[]).replaces(Some(&approved)));
        assert!(report(KycStatus::Denied, 3, &[]).replaces(Some(&approved)));
        assert!(!approved.replaces(Some(&approved)));
    }

    #[test]
    fn a_manual_review_with_errors_asks_for_corrections() {
        let status = |errors: &[&str]| report(KycStatus::ManualReview, 0, errors).normalised().status;
        assert_eq!(status(&[]), KycStatus::ManualReview);
        assert_eq!(status(&["SSN_NOT_MATCH"]), KycStatus::InfoRequired);
    }

    #[test]
    fn a_form_is_submitted_only_when_nobody_looks_at_it() {
        let may: Vec<KycStatus> = KycStatus::ALL
            .into_iter()
            .filter(|status| status.may_be_submitted())
            .collect();
        use KycStatus::{Denied, DocRequired, InfoRequired, NotReady};
        assert_eq!(may, [NotReady, InfoRequired, DocRequired, Denied]);
    }
}
