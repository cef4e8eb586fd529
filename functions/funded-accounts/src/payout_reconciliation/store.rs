//! The withdrawals whose money should be at Stripe, or with a bank.

use chrono::{DateTime, Utc};
use domain::funded::withdrawal::WithdrawalStatus;
use domain::ids::{StripeAccountId, StripePayoutId, StripeTransferId, WithdrawalId};
use sqlx::PgConnection;

use crate::Error;

/// A withdrawal as Stripe should know it.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) id: WithdrawalId,
    pub(super) status: WithdrawalStatus,
    pub(super) amount_cents: i64,
    pub(super) account: Option<StripeAccountId>,
    pub(super) transfer: Option<StripeTransferId>,
    pub(super) payout: Option<StripePayoutId>,
}

/// The withdrawals that were asked for since a time and are completed or on their way, and those of these ids, whatever became of
/// them. Each part has its index: what was asked for since a time was completed since.
pub(super) async fn since(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
    named: &[i64],
) -> Result<Vec<Expected>, Error> {
    let all = sqlx::query_as!(
        Expected,
        r#"SELECT id AS "id: _", status AS "status: _", amount_cents, stripe_account_id AS "account: _",
               stripe_transfer_id AS "transfer: _", stripe_payout_id AS "payout: _"
           FROM withdrawals WHERE id IN (
               SELECT id FROM withdrawals WHERE status = 'completed' AND completed_at >= $1 AND requested_at >= $1
               UNION SELECT id FROM withdrawals WHERE status = 'approved' AND requested_at >= $1
               UNION SELECT named FROM unnest($2::BIGINT[]) AS named)"#,
        since,
        named,
    );
    Ok(all.fetch_all(connection).await?)
}
