//! What follows from what a withdrawal comes to, in the transaction that writes it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::row::Withdrawal;
use super::store;
use crate::{Error, events, review};

/// Why a withdrawal of a closed account is rejected.
pub(crate) const ACCOUNT_CLOSED: &str = "account-closed";

/// It is approved: others hear of it, and its first step is due.
pub(crate) async fn approved(
    connection: &mut PgConnection,
    withdrawal: &Withdrawal,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    events::publish_withdrawal(connection, events::WITHDRAWAL_APPROVED, withdrawal, None, now).await?;
    events::publish_step(connection, withdrawal, now).await
}

/// It is rejected by a person, for this reason.
pub(crate) async fn reject(
    connection: &mut PgConnection,
    withdrawal: &Withdrawal,
    operator: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    store::reject(connection, withdrawal.id, Some(operator), reason, now).await?;
    // What a person wrote is for the trader to ask about, not for a push on somebody's screen.
    events::publish_withdrawal(
        connection,
        events::WITHDRAWAL_REJECTED,
        withdrawal,
        Some("other"),
        now,
    )
    .await
}

/// The accounts are closed: what of their withdrawals hasn't been released is rejected.
pub(crate) async fn accounts_closed(
    connection: &mut PgConnection,
    accounts: &[i64],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let rejected = store::reject_of_closed(connection, accounts, ACCOUNT_CLOSED, now).await?;
    if rejected.is_empty() {
        return Ok(());
    }
    review::withdrawals_settled(connection, &rejected, "the account was closed", now).await?;
    events::publish_withdrawals(
        connection,
        events::WITHDRAWAL_REJECTED,
        &rejected,
        Some(ACCOUNT_CLOSED),
        now,
    )
    .await
}
