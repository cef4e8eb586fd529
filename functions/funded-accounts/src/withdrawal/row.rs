//! A withdrawal as it is written down.

use chrono::{DateTime, Utc};
use domain::funded::withdrawal::WithdrawalStatus;
use domain::ids::{FundedAccountId, ProfileId, UserId, WithdrawalId};
use sqlx::types::Json;

/// A withdrawal.
#[derive(Debug, Clone)]
pub(crate) struct Withdrawal {
    pub(crate) id: WithdrawalId,
    pub(crate) funded_account_id: FundedAccountId,
    pub(crate) user_id: UserId,
    pub(crate) profile_id: Option<ProfileId>,
    pub(crate) amount_cents: i64,
    pub(crate) gross_cents: i64,
    pub(crate) status: WithdrawalStatus,
    pub(crate) review_reasons: Json<Vec<String>>,
    pub(crate) requested_at: DateTime<Utc>,
    pub(crate) approved_at: Option<DateTime<Utc>>,
    pub(crate) reviewed_by: Option<String>,
    pub(crate) completed_at: Option<DateTime<Utc>>,
    pub(crate) paid_at: Option<DateTime<Utc>>,
    pub(crate) rejected_at: Option<DateTime<Utc>>,
    pub(crate) failed_at: Option<DateTime<Utc>>,
    pub(crate) canceled_at: Option<DateTime<Utc>>,
    pub(crate) arrives_at: Option<DateTime<Utc>>,
    pub(crate) returned_at: Option<DateTime<Utc>>,
    pub(crate) rejection_reason: Option<String>,
    pub(crate) failure_code: Option<String>,
}
