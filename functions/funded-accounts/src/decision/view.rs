//! What operators see of a withdrawal that waits.

use chrono::{DateTime, Utc};
use domain::funded::FundedAccountStatus;
use domain::funded::share::Share;
use domain::funded::withdrawable::withdrawable_cents;
use domain::ids::{FundedAccountId, TierId, UserId, WithdrawalId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::store::Pending;

/// A withdrawal that waits for an operator. Amounts are cents of USD.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PendingWithdrawalView {
    /// Its id.
    #[schema(value_type = i64, minimum = 1)]
    pub id: WithdrawalId,
    /// What the trader asks for.
    #[schema(minimum = 1)]
    pub amount_cents: i64,
    /// The profit that it uses up.
    #[schema(minimum = 1)]
    pub gross_cents: i64,
    /// Always USD.
    pub currency: &'static str,
    /// When it was asked for (RFC 3339, UTC).
    pub requested_at: DateTime<Utc>,
    /// Why it isn't approved by itself: `large`, `accounts-day`, `users-day`, `new-bank-account`; or, of one that was approved
    /// and came back before it was sent, what has changed, in words.
    pub review_reasons: Vec<String>,
    /// Who asks.
    pub trader: PendingTraderView,
    /// Of which account.
    pub account: PendingAccountView,
    /// What became of the trader's other withdrawals, of all accounts.
    pub history: WithdrawalHistoryView,
}

/// Who asks for a withdrawal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PendingTraderView {
    /// Id of the user.
    #[schema(value_type = i64, minimum = 1)]
    pub user_id: UserId,
    /// The address that the assessment system told.
    pub email: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// The country, as two letters.
    pub country: String,
    /// The end of the number of the bank account that is paid; null while there is none.
    pub bank_last4: Option<String>,
    /// Since when it is that one.
    pub bank_since: Option<DateTime<Utc>>,
}

/// The account of a withdrawal that waits, as it was recorded last.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PendingAccountView {
    /// Its id.
    #[schema(value_type = i64, minimum = 1)]
    pub id: FundedAccountId,
    /// Its tier.
    #[schema(value_type = String)]
    pub tier_id: TierId,
    /// Whether it is traded.
    #[schema(schema_with = status_schema)]
    pub status: FundedAccountStatus,
    /// When it began (RFC 3339, UTC).
    pub activated_at: DateTime<Utc>,
    /// The trader's share of the profit.
    #[schema(value_type = String)]
    pub profit_split: Share,
    /// What it began with.
    pub starting_balance_cents: i64,
    /// The starting balance and all realised profit and loss.
    pub current_balance_cents: i64,
    /// What could be withdrawn if this withdrawal weren't there.
    #[schema(minimum = 0)]
    pub withdrawable_cents: i64,
}

/// What became of a trader's other withdrawals.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WithdrawalHistoryView {
    /// How many were paid.
    #[schema(minimum = 0)]
    pub completed: i64,
    /// What was paid.
    #[schema(minimum = 0)]
    pub completed_cents: i64,
    /// When the last was.
    pub last_completed_at: Option<DateTime<Utc>>,
    /// How many were rejected.
    #[schema(minimum = 0)]
    pub rejected: i64,
    /// How many couldn't be paid.
    #[schema(minimum = 0)]
    pub failed: i64,
    /// How many the trader called back.
    #[schema(minimum = 0)]
    pub canceled: i64,
}

impl From<&Pending> for PendingWithdrawalView {
    fn from(pending: &Pending) -> Self {
        Self {
            id: pending.id,
            amount_cents: pending.amount_cents,
            gross_cents: pending.gross_cents,
            currency: "USD",
            requested_at: pending.requested_at,
            review_reasons: pending.review_reasons.0.clone(),
            trader: trader(pending),
            account: account(pending),
            history: WithdrawalHistoryView {
                completed: pending.completed,
                completed_cents: pending.completed_cents,
                last_completed_at: pending.last_completed_at,
                rejected: pending.rejected,
                failed: pending.failed,
                canceled: pending.canceled,
            },
        }
    }
}

fn trader(pending: &Pending) -> PendingTraderView {
    PendingTraderView {
        user_id: pending.user_id,
        email: pending.email.clone(),
        first_name: pending.first_name.clone(),
        last_name: pending.last_name.clone(),
        country: pending.country.clone(),
        bank_last4: pending.bank_last4.clone(),
        bank_since: pending.bank_since,
    }
}

fn account(pending: &Pending) -> PendingAccountView {
    PendingAccountView {
        id: pending.funded_account_id,
        tier_id: pending.tier_id.clone(),
        status: pending.account_status,
        activated_at: pending.activated_at,
        profit_split: pending.profit_split,
        starting_balance_cents: pending.starting_balance_cents,
        current_balance_cents: pending.current_balance_cents,
        withdrawable_cents: withdrawable_cents(
            pending.profit_split,
            pending.current_balance_cents,
            pending.starting_balance_cents,
            pending.used_up_cents,
        ),
    }
}

fn status_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Whether it is traded."))
        .enum_values(Some(FundedAccountStatus::ALL.map(|status| status.name())))
        .build()
}
