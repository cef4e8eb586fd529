//! The audit log: who did what through an administrator's route. Written in the transaction that did it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use crate::error::PlatformError;
use crate::observability::correlation;
use crate::security::identity::Operator;

/// Records what an administrator does, within the caller's transaction.
///
/// # Errors
/// When the request can't be written as JSON or the database fails.
pub async fn record<T: Serialize>(
    connection: &mut PgConnection,
    operator: &Operator,
    operation: &'static str,
    subject: &str,
    request: &T,
    now: DateTime<Utc>,
) -> Result<(), PlatformError> {
    let correlation_id = correlation::current();
    sqlx::query!(
        "INSERT INTO admin_audit (at, operator, operation, subject, request, correlation_id) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        now,
        operator.as_str(),
        operation,
        subject,
        serde_json::to_value(request)?,
        correlation_id.as_ref(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
