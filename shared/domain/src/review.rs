//! A review: something that waits for a person's decision.

use crate::stored::{named_enum, stored_as_text};
use crate::transition::{Code, Transition};

named_enum! {
    /// Where a review stands.
    pub enum ReviewState {
        /// It waits for a person.
        Open = "open",
        /// A person has decided, and the area hasn't applied that yet.
        Decided = "decided",
        /// The decision was applied, or nothing was left to decide.
        Applied = "applied",
        /// The decision came too late: what it was about had been settled otherwise.
        Refused = "refused",
    }
}

stored_as_text!(ReviewState);

/// Somebody has decided it before.
pub const REVIEW_IS_DECIDED: Code = Code::new("review_is_decided");
/// Nobody has decided anything that could be applied.
pub const REVIEW_IS_NOT_DECIDED: Code = Code::new("review_is_not_decided");

/// What became of a decision in its area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionOutcome {
    /// It was applied.
    Applied,
    /// It can't be applied; another one may be.
    CantBeApplied,
    /// There is nothing to decide any more.
    Superseded,
}

impl ReviewState {
    /// Whether it isn't at its end.
    pub const fn is_waiting(self) -> bool {
        matches!(self, ReviewState::Open | ReviewState::Decided)
    }

    /// What a person's decision makes of it.
    pub const fn after_decision(self) -> Transition<ReviewState> {
        match self {
            ReviewState::Open => Transition::Applied(ReviewState::Decided),
            ReviewState::Decided | ReviewState::Applied | ReviewState::Refused => {
                Transition::rejected(REVIEW_IS_DECIDED)
            }
        }
    }

    /// What the area's word on the decision makes of it.
    pub const fn after_outcome(self, outcome: DecisionOutcome) -> Transition<ReviewState> {
        match (self, outcome) {
            (ReviewState::Decided, DecisionOutcome::Applied) => Transition::Applied(ReviewState::Applied),
            (ReviewState::Decided, DecisionOutcome::CantBeApplied) => Transition::Applied(ReviewState::Open),
            (ReviewState::Decided, DecisionOutcome::Superseded) => Transition::Applied(ReviewState::Refused),
            (ReviewState::Open, _) => Transition::rejected(REVIEW_IS_NOT_DECIDED),
            (ReviewState::Applied | ReviewState::Refused, _) => Transition::AlreadyApplied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for state in ReviewState::ALL {
            assert_eq!(ReviewState::parse(state.name()), Some(state));
        }
    }

    #[test]
    fn review_is_decided_once() {
        assert_eq!(
            ReviewState::Open.after_decision(),
            Transition::Applied(ReviewState::Decided)
        );
        for state in [ReviewState::Decided, ReviewState::Applied, ReviewState::Refused] {
            assert_eq!(
                state.after_decision(),
                Transition::rejected(REVIEW_IS_DECIDED),
                "{state}"
            );
        }
    }

    #[test]
    fn decision_that_cannot_be_applied_leaves_the_review_open() {
        let open = ReviewState::Decided.after_outcome(DecisionOutcome::CantBeApplied);
        assert_eq!(open, Transition::Applied(ReviewState::Open));
        let outcomes = [
            DecisionOutcome::Applied,
            DecisionOutcome::CantBeApplied,
            DecisionOutcome::Superseded,
        ];
        for outcome in outcomes {
            assert!(!ReviewState::Open.after_outcome(outcome).is_applied());
            for state in [ReviewState::Applied, ReviewState::Refused] {
                assert_eq!(state.after_outcome(outcome), Transition::AlreadyApplied);
            }
        }
    }
}
