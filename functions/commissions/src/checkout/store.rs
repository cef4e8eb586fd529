//! `checkout_sessions`.

use chrono::{DateTime, Utc};
use domain::ids::{CheckoutId, ProfileId, StripeCheckoutSessionId, StripeRefundId};
use domain::money::Money;
use sqlx::PgConnection;

use super::request::{CheckoutSessionRequest, Sale};
use crate::Error;

/// A session as our record has it.
#[derive(Debug)]
pub(crate) struct Checkout {
    pub(crate) id: CheckoutId,
    pub(crate) profile_id: ProfileId,
    pub(crate) is_payment: bool,
    /// It proves a card: what is paid is given back.
    pub(crate) is_card_proof: bool,
    pub(crate) price_id: Option<String>,
    pub(crate) refund_id: Option<StripeRefundId>,
}

/// How many sessions a profile has had since a time. Counted by one request of a profile at a time.
pub(crate) async fn count_since(
    connection: &mut PgConnection,
    profile: ProfileId,
    since: DateTime<Utc>,
) -> Result<i64, Error> {
    sqlx::query!(
        "SELECT profile_id FROM stripe_customers WHERE profile_id = $1 FOR UPDATE",
        profile as _
    )
    .fetch_optional(&mut *connection)
    .await?;
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM checkout_sessions WHERE profile_id = $1 AND created_at >= $2"#,
        profile as _,
        since,
    )
    .fetch_one(connection)
    .await?;
    Ok(count)
}

/// Writes a session down, before Stripe is called.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    profile: ProfileId,
    request: &CheckoutSessionRequest,
    sale: &Sale,
    now: DateTime<Utc>,
) -> Result<CheckoutId, Error> {
    let id = sqlx::query_scalar!(
        r#"INSERT INTO checkout_sessions
               (profile_id, mode, price_id, success_url, cancel_url, refund_asked, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id AS "id: CheckoutId""#,
        profile as _,
        request.mode.name(),
        sale.price(),
        request.success_url,
        request.cancel_url,
        sale.is_card_proof(),
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

/// A session of Stripe's, if it is one of ours: by its id, or by ours in its metadata while its id isn't known here, because the
/// response that would have said it was lost.
pub(crate) async fn find(
    connection: &mut PgConnection,
    session: &StripeCheckoutSessionId,
    in_metadata: Option<CheckoutId>,
) -> Result<Option<Checkout>, Error> {
    let checkout = sqlx::query_as!(
        Checkout,
        r#"SELECT id AS "id: _", profile_id AS "profile_id: _", mode = 'payment' AS "is_payment!",
                  refund_asked AS is_card_proof, price_id, refund_id AS "refund_id: _"
           FROM checkout_sessions WHERE ref_id = $1 OR (id = $2 AND ref_id IS NULL)"#,
        session as _,
        in_metadata as _,
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

/// Records that a session's payment was refunded; it is paid and completed then, too.
pub(crate) async fn set_refunded(
    connection: &mut PgConnection,
    checkout: CheckoutId,
    session: &StripeCheckoutSessionId,
    refund: &StripeRefundId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE checkout_sessions SET ref_id = COALESCE(ref_id, $2), refund_id = $3, \
         completed_at = COALESCE(completed_at, $4), paid_at = COALESCE(paid_at, $4) WHERE id = $1",
        checkout as _,
        session as _,
        refund as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that a refund came to nothing; `false` when no session's payment was given back by it.
pub(crate) async fn take_refund_back(
    connection: &mut PgConnection,
    refund: &StripeRefundId,
) -> Result<bool, Error> {
    let updated = sqlx::query!(
        "UPDATE checkout_sessions SET refund_id = NULL WHERE refund_id = $1",
        refund as _,
    )
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Records that a price was paid in a session, which keeps the money; `false` when it was recorded before.
pub(crate) async fn set_paid(
    connection: &mut PgConnection,
    checkout: CheckoutId,
    session: &StripeCheckoutSessionId,
    amount: Money,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let recorded = sqlx::query!(
        "UPDATE checkout_sessions SET ref_id = COALESCE(ref_id, $2), paid_cents = $3, currency = $4, \
         completed_at = COALESCE(completed_at, $5), paid_at = $5 WHERE id = $1 AND paid_at IS NULL",
        checkout as _,
        session as _,
        amount.minor(),
        amount.currency() as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(recorded.rows_affected() == 1)
}
