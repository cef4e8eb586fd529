//! What traders see of a withdrawal.

use chrono::{DateTime, TimeDelta, Utc};
use domain::funded::withdrawal::WithdrawalStatus;
use domain::ids::{FundedAccountId, WithdrawalId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::row::Withdrawal;

/// How long it takes, from the request to the bank: two banking days, and two more where a person looks at it.
const BY_ITSELF: TimeDelta = TimeDelta::days(3);
const WITH_REVIEW: TimeDelta = TimeDelta::days(5);

/// A withdrawal of a trader's share of the profit.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WithdrawalView {
    /// Its id.
    #[schema(value_type = i64, minimum = 1)]
    pub id: WithdrawalId,
    /// The account.
    #[schema(value_type = i64, minimum = 1)]
    pub funded_account_id: FundedAccountId,
    /// What the trader gets, in cents.
    #[schema(minimum = 1)]
    pub amount_cents: i64,
    /// The profit that it uses up, in cents: the amount is the trader's share of it.
    #[schema(minimum = 1)]
    pub gross_cents: i64,
    /// Always USD.
    pub currency: &'static str,
    /// `pending` until a person has looked at it; `approved` on its way, or come back from the bank; `completed` once it
    /// was handed to the bank; `rejected` by a person or the account's closure; `failed` when it can't be paid; `canceled` by
    /// the trader.
    #[schema(schema_with = status_schema)]
    pub status: WithdrawalStatus,
    /// Whether a person has to look at it.
    pub needs_review: bool,
    /// When it was asked for (RFC 3339, UTC).
    pub requested_at: DateTime<Utc>,
    /// When it was approved.
    pub approved_at: Option<DateTime<Utc>>,
    /// When it was handed to the bank. It may still come back, for days.
    pub completed_at: Option<DateTime<Utc>>,
    /// When the bank had it.
    pub paid_at: Option<DateTime<Utc>>,
    /// When it was rejected, has failed or was called back.
    pub ended_at: Option<DateTime<Utc>>,
    /// When the bank is expected to have it; null once it has, or will not.
    pub estimated_completion: Option<DateTime<Utc>>,
    /// Why it was rejected.
    pub rejection_reason: Option<String>,
    /// Why the bank gave it back, or why it can't be paid: Stripe's code. With `approved`: name another bank account.
    pub failure_code: Option<String>,
}

impl From<&Withdrawal> for WithdrawalView {
    fn from(withdrawal: &Withdrawal) -> Self {
        Self {
            id: withdrawal.id,
            funded_account_id: withdrawal.funded_account_id,
            amount_cents: withdrawal.amount_cents,
            gross_cents: withdrawal.gross_cents,
            currency: "USD",
            status: withdrawal.status,
            needs_review: withdrawal.status == WithdrawalStatus::Pending,
            requested_at: withdrawal.requested_at,
            approved_at: withdrawal.approved_at,
            completed_at: withdrawal.completed_at,
            paid_at: withdrawal.paid_at,
            ended_at: withdrawal
                .rejected_at
                .or(withdrawal.failed_at)
                .or(withdrawal.canceled_at),
            estimated_completion: estimated(withdrawal),
            rejection_reason: withdrawal.rejection_reason.clone(),
            failure_code: withdrawal.failure_code.clone(),
        }
    }
}

fn estimated(withdrawal: &Withdrawal) -> Option<DateTime<Utc>> {
    let after = match withdrawal.status {
        _ if withdrawal.paid_at.is_some() || withdrawal.returned_at.is_some() => return None,
        WithdrawalStatus::Completed => return withdrawal.arrives_at,
        WithdrawalStatus::Approved => BY_ITSELF,
        WithdrawalStatus::Pending => WITH_REVIEW,
        WithdrawalStatus::Rejected | WithdrawalStatus::Failed | WithdrawalStatus::Canceled => return None,
    };
    withdrawal.requested_at.checked_add_signed(after)
}

fn status_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Where it stands."))
        .enum_values(Some(WithdrawalStatus::ALL.map(|status| status.name())))
        .build()
}
