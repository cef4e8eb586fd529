//! The store of requests for the platform's [`once`](platform::idempotency::once).

use chrono::TimeDelta;
use domain::ids::PaymentId;
use platform::error::PlatformError;
use platform::idempotency::RequestStore;
use sqlx::PgConnection;
use uuid::Uuid;

use super::PaymentRequest;
use crate::Error;
use crate::payment::store::{self as payments, Payment};

/// For how many days a key from before callers were kept counts, for whoever sends the same request.
const EARLIER_KEYS_COUNT: TimeDelta = TimeDelta::days(30);

impl RequestStore for PaymentRequest {
    type Made = Payment;
    type Error = Error;

    async fn begin(&self, connection: &mut PgConnection) -> Result<Option<Payment>, Error> {
        // A statement of its own: what is read after it was committed before the lock was free.
        let locked = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_xact_lock($1) AS "locked!""#,
            self.name().lock,
        )
        .fetch_one(&mut *connection)
        .await?;
        if !locked {
            return Err(PlatformError::InFlight.into());
        }
        let before = sqlx::query!(
            r#"SELECT request_hash, payment_id AS "payment_id: PaymentId" FROM payment_requests
                WHERE client_id = $1 AND operation = $2 AND key = $3
                  AND (caller = $4 OR caller = $5 AND request_hash = $6 AND created_at > $7)
                ORDER BY caller = $4 DESC LIMIT 1"#,
            self.client_id as _,
            self.operation.number(),
            self.key,
            self.caller.as_uuid(),
            Uuid::nil(),
            self.hash,
            self.asked_at - EARLIER_KEYS_COUNT,
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
            "INSERT INTO payment_requests (client_id, operation, key, caller, request_hash, payment_id, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            self.client_id as _,
            self.operation.number(),
            self.key,
            self.caller.as_uuid(),
            self.hash,
            payment.id as _,
            self.asked_at,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
