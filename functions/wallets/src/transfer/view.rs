//! What callers see of a batch of transfers. A single one is a payment.

use platform::http::Problem;
use platform::idempotency::Replayable;
use serde::Serialize;
use utoipa::ToSchema;

use super::batch::Results;
use crate::Error;
use crate::payment::view::PaymentView;

/// What the transfers of a batch came to, in their order.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BatchView {
    /// One for each transfer.
    pub items: Vec<BatchItemView>,
}

/// What one transfer came to: either a payment or a problem.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BatchItemView {
    /// The payer's side of the transfer; null when it was refused.
    pub payment: Option<PaymentView>,
    /// Whether it was done before, under the same key.
    pub replayed: bool,
    /// Why it was refused; null when it is done. Nothing was written of it.
    pub problem: Option<Problem>,
}

impl BatchView {
    /// The view of what was done and refused.
    pub fn of(outcomes: Results) -> Self {
        Self {
            items: outcomes.into_iter().map(BatchItemView::of).collect(),
        }
    }
}

impl BatchItemView {
    fn of(outcome: Result<Replayable<PaymentView>, Error>) -> Self {
        match outcome {
            Ok(made) => Self {
                payment: Some(made.value),
                replayed: made.replayed,
                problem: None,
            },
            Err(error) => Self {
                payment: None,
                replayed: false,
                problem: Some(Problem::of(&error)),
            },
        }
    }
}
