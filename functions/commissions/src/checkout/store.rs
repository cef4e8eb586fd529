//! `checkout_sessions`.

use chrono::{DateTime, Utc};
use domain::ids::{CheckoutId, ProfileId, StripeCheckoutSessionId, StripeRefundId};
use sqlx::PgConnection;

use super::request::CheckoutSessionRequest;
use crate::Error;

/// A session as our record has it.
#[derive(Debug)]
pub(crate) struct Checkout {
    pub(crate) profile_id: ProfileId,
    pub(crate) is_payment: bool,
    pub(crate) refund_asked: bool,
    pub(crate) refund_id: Option<StripeRefundId>,
}

/// Writes a session down, before Stripe is called.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    profile: ProfileId,
    request: &CheckoutSessionRequest,
    now: DateTime<Utc>,
) -> Result<CheckoutId, Error> {
    let id = sqlx::query_scalar!(
        r#"INSERT INTO checkout_sessions
               (profile_id, mode, price_id, success_url, cancel_url, refund_asked, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id AS "id: CheckoutId""#,
        profile as _,
        request.mode.name(),
        request.price_id,
        request.success_url,
        request.cancel_url,
        request.refund,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(id)
}

/// Records which session Stripe created.
pub(crate) async fn set_session(
    connection: &mut PgConnection,
    checkout: CheckoutId,
    session: &StripeCheckoutSessionId,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE checkout_sessions SET ref_id = $2 WHERE id = $1",
        checkout as _,
        session as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A session of Stripe's, if it is one of ours.
pub(crate) async fn find(
    connection: &mut PgConnection,
    session: &StripeCheckoutSessionId,
) -> Result<Option<Checkout>, Error> {
    let checkout = sqlx::query_as!(
        Checkout,
        r#"SELECT profile_id AS "profile_id: _", mode = 'payment' AS "is_payment!", refund_asked,
                  refund_id AS "refund_id: _"
           FROM checkout_sessions WHERE ref_id = $1"#,
        session as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(checkout)
}

/// Records that the customer has completed the session, if it is one of ours.
pub(crate) async fn complete(
    connection: &mut PgConnection,
    session: &StripeCheckoutSessionId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE checkout_sessions SET completed_at = $2 WHERE ref_id = $1 AND completed_at IS NULL",
        session as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that the session's payment was refunded, if it is one of ours; it is completed then, too.
pub(crate) async fn set_refunded(
    connection: &mut PgConnection,
    session: &StripeCheckoutSessionId,
    refund: &StripeRefundId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE checkout_sessions SET refund_id = $2, completed_at = COALESCE(completed_at, $3) WHERE ref_id = $1",
        session as _,
        refund as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
