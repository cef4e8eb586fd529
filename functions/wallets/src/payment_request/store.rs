//! The store of requests for the platform's [`once`](platform::idempotency::once).

use domain::ids::PaymentId;
use platform::error::PlatformError;
use platform::idempotency::RequestStore;
use sqlx::PgConnection;

use super::PaymentRequest;
use crate::Error;
use crate::payment::store::{self as payments, Payment};

impl RequestStore for PaymentRequest {
    type Made = Payment;
    type Error = Error;

    async fn begin(&self, connection: &mut PgConnection) -> Result<Option<Payment>, Error> {
        // A statement of its own: what is read after it was committed before the lock was free.
        let locked = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_xact_lock($1) AS "locked!""#,
            self.lock_number(),
        )
        .fetch_one(&mut *connection)
        .await?;
        if !locked {
            return Err(PlatformError::InFlight.into());
        }
        let before = sqlx::query!(
            r#"SELECT request_hash, payment_id AS "payment_id: PaymentId" FROM payment_requests
                WHERE client_id = $1 AND operation = $2 AND key = $3"#,
            self.client_id as _,
            self.operation.number(),
            self.key,
        )
        .fetch_optional(&mut *connection)
        .await?;
        match before {
            None => Ok(None),
            Some(before) if before.request_hash == self.hash => {
                payments::load(connection, self.client_id, before.payment_id)
                    .await
                    .map(Some)
            }
            Some(_) => Err(PlatformError::KeyReused.into()),
        }
    }

    async fn save(&self, connection: &mut PgConnection, payment: &Payment) -> Result<(), Error> {
        sqlx::query!(
            "INSERT INTO payment_requests (client_id, operation, key, request_hash, payment_id)
             VALUES ($1, $2, $3, $4, $5)",
            self.client_id as _,
            self.operation.number(),
            self.key,
            self.hash,
            payment.id as _,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
