//! The errors of funded accounts, each with its class: lane, code and field.

use domain::funded::live::StillViolated;
use domain::funded::snapshot::SnapshotRefused;
use domain::funded::withdrawal::{NotAllowed, WithdrawalStatus};
use domain::lane::{Class, Laned, Rejection};
use platform::error::PlatformError;
use providers::outcome::ProviderError;

/// A failure of funded accounts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such account, or another trader's.
    #[error("there is no such funded account")]
    AccountNotFound,
    /// An assessment was taken for a tier that isn't there.
    #[error("there is no tier {0}; put it, then send the event again")]
    TierNotFound(String),
    /// An assessment is told to be passed without a time.
    #[error("an assessment that is passed has to have a time at which it was completed")]
    AssessmentNotCompleted,
    /// An assessment of this id is another trader's.
    #[error("the assessment is another trader's")]
    AssessmentOfAnother,
    /// A field is outside of what it may be.
    #[error("{message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong and which values are allowed.
        message: String,
    },
    /// The engine's snapshot can't be taken; the account stays as it is.
    #[error("the snapshot is refused: {0}")]
    Snapshot(#[from] SnapshotRefused),
    /// Only an account that a rule has closed is opened again.
    #[error("the account is not closed")]
    NotClosed,
    /// Without the snapshots that were named, another one violates a rule.
    #[error("the account would be closed again: {0}")]
    StillViolated(#[from] StillViolated),
    /// Others changed the live state at the same moment, again and again.
    #[error("the account's live state kept changing")]
    Contended,
    /// An item doesn't have the shape it was written in.
    #[error("a stored item can't be read: {0}")]
    UnreadableItem(String),
    /// Whom we don't know can't be paid.
    #[error("you have not taken an assessment")]
    TraderNotFound,
    /// Stripe pays nobody there.
    #[error("payouts to your country ({0}) are not possible")]
    CountryNotSupported(String),
    /// What is open isn't known.
    #[error("the account's live state isn't there")]
    LiveStateUnknown,
    /// A withdrawal isn't allowed, for every one of these reasons.
    #[error("the withdrawal is not possible: {}", listed(.0))]
    NotAllowed(Vec<NotAllowed>),
    /// No such withdrawal, or another trader's.
    #[error("there is no such withdrawal")]
    WithdrawalNotFound,
    /// It waits for nobody any more.
    #[error("the withdrawal is {0}: only a pending one can be approved, rejected or canceled")]
    WithdrawalNotPending(WithdrawalStatus),
    /// It goes on by itself, later.
    #[error("the withdrawal waits: {0}")]
    WithdrawalWaits(String),
    /// Stripe can't pay the trader, who alone can do something about it.
    #[error("Stripe refuses the withdrawal with {0}")]
    Unpayable(String),
    /// Stripe refuses what it should accept: a person has to look, and nothing is undone meanwhile.
    #[error("Stripe refuses with {0} what it should accept")]
    RefusedByStripe(String),
    /// A webhook that isn't signed by Stripe, or not now.
    #[error("the signature is missing, wrong or too old")]
    InvalidSignature,
    /// An event of Stripe's can't be read.
    #[error("{0}")]
    UnreadableEvent(String),
    /// Stripe gives no usable response.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The platform failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Platform(PlatformError::Database(error))
    }
}

impl Error {
    /// A failure of DynamoDB.
    pub(crate) fn dynamodb<E: std::error::Error>(error: &E) -> Self {
        Self::Platform(PlatformError::DynamoDb(platform::error::chain(error)))
    }

    /// An item that can't be read from DynamoDB or written to it.
    pub(crate) fn item<E: std::error::Error>(error: &E) -> Self {
        Self::UnreadableItem(error.to_string())
    }
}

impl Laned for Error {
    fn class(&self) -> Class<'_> {
        use Rejection::{Conflict, Malformed, NotFound, Unprocessable};
        match self {
            Self::AccountNotFound => {
                Class::rejected(NotFound, "funded-account-not-found").at("funded_account_id")
            }
            Self::TierNotFound(_) => Class::rejected(NotFound, "tier-not-found").at("tierId"),
            Self::AssessmentNotCompleted => {
                Class::rejected(Unprocessable, "assessment-not-completed").at("completedAt")
            }
            Self::AssessmentOfAnother => {
                Class::rejected(Conflict, "assessment-of-another-trader").at("assessmentId")
            }
            Self::Invalid { field, .. } => Class::rejected(Unprocessable, "invalid-value").at(field),
            Self::Snapshot(SnapshotRefused::PlaceTaken) => {
                Class::rejected(Conflict, "snapshot-differs").at("sequence")
            }
            Self::Snapshot(SnapshotRefused::TooLate) => {
                Class::rejected(Conflict, "snapshot-too-late").at("sequence")
            }
            Self::Snapshot(SnapshotRefused::ImplausiblePeak) => {
                Class::rejected(Unprocessable, "snapshot-implausible").at("balance")
            }
            Self::Snapshot(_) => Class::rejected(Unprocessable, "snapshot-invalid"),
            Self::NotClosed => Class::rejected(Conflict, "funded-account-not-closed"),
            Self::StillViolated(_) => Class::rejected(Conflict, "rule-still-violated").at("sequences"),
            Self::TraderNotFound => Class::rejected(NotFound, "trader-not-found"),
            Self::CountryNotSupported(_) => Class::rejected(Conflict, "payout-country-not-supported"),
            Self::InvalidSignature => Class::rejected(Malformed, "invalid-signature").at("Stripe-Signature"),
            Self::UnreadableEvent(_) => Class::rejected(Malformed, "unreadable-event").at("body"),
            Self::Provider(error) => error.class(),
            Self::LiveStateUnknown => Class::transient("live-state-unknown"),
            Self::NotAllowed(_) => Class::rejected(Conflict, "withdrawal-not-allowed"),
            Self::WithdrawalNotFound => Class::rejected(NotFound, "withdrawal-not-found").at("withdrawal_id"),
            Self::WithdrawalNotPending(_) => Class::rejected(Conflict, "withdrawal-not-pending"),
            Self::WithdrawalWaits(_) => Class::transient("withdrawal-waits"),
            Self::Unpayable(_) => Class::rejected(Unprocessable, "payout-refused"),
            // Transient, so that a saga leaves everything as it is.
            Self::RefusedByStripe(_) => Class::transient("payout-refused-by-stripe"),
            Self::Contended => Class::transient("unavailable"),
            Self::UnreadableItem(_) => Class::fatal("unreadable-item"),
            Self::Platform(error) => error.class(),
        }
    }
}

fn listed(reasons: &[NotAllowed]) -> String {
    let all: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    all.join("; ")
}
