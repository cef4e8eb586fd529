//! Requests under an `Idempotency-Key`.

use domain::ids::PaymentId;
use platform::error::PlatformError;
use sqlx::PgConnection;

use super::id;
use crate::Error;
use crate::request::Request;

/// Begins the work on a request, within the caller's transaction; gives the payment that it made before.
///
/// # Errors
/// In flight (409) while another copy of it is worked on; reused (422) when the key belongs to another request.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    request: &Request,
) -> Result<Option<PaymentId>, Error> {
    let locked = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock($1) AS "locked!""#,
        request.lock_number(),
    )
    .fetch_one(&mut *connection)
    .await?;
    if !locked {
        return Err(PlatformError::InFlight.into());
    }
    let before = sqlx::query!(
        "SELECT request_hash, payment_id FROM payment_requests WHERE client_id = $1 AND operation = $2 AND key = $3",
        request.client.get(),
        request.operation.number(),
        request.key,
    )
    .fetch_optional(connection)
    .await?;
    match before {
        None => Ok(None),
        Some(before) if before.request_hash == request.hash => Ok(Some(id(before.payment_id)?)),
        Some(_) => Err(PlatformError::KeyReused.into()),
    }
}

/// Keeps the request with the payment that it made.
pub(crate) async fn keep(
    connection: &mut PgConnection,
    request: &Request,
    payment: PaymentId,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO payment_requests (client_id, operation, key, request_hash, payment_id) VALUES ($1, $2, $3, $4, $5)",
        request.client.get(),
        request.operation.number(),
        request.key,
        request.hash,
        payment.get(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
