//! Visits to Stripe's payment page.

use domain::ids::{CheckoutId, ProfileId, StripeCheckoutSessionId, StripeRefundId};
use sqlx::PgConnection;

use super::{id, outside_id};
use crate::Error;

/// A visit as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Checkout {
    pub(crate) profile_id: ProfileId,
    /// The price to pay; nothing when a card is only saved.
    pub(crate) price_id: Option<String>,
    pub(crate) success_url: String,
    pub(crate) cancel_url: String,
    pub(crate) refund_asked: bool,
}

/// A visit that Stripe tells of.
#[derive(Debug)]
pub(crate) struct KnownCheckout {
    pub(crate) id: CheckoutId,
    pub(crate) profile_id: ProfileId,
    pub(crate) is_payment: bool,
    pub(crate) refund_asked: bool,
    pub(crate) refund_id: Option<StripeRefundId>,
}

/// Writes a visit down, before Stripe is asked.
pub(crate) async fn insert(connection: &mut PgConnection, checkout: &Checkout) -> Result<CheckoutId, Error> {
    let mode = if checkout.price_id.is_some() {
        "payment"
    } else {
        "setup"
    };
    let row = sqlx::query_scalar!(
        "INSERT INTO checkout_sessions (profile_id, mode, price_id, success_url, cancel_url, refund_asked) \
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        checkout.profile_id.get(),
        mode,
        checkout.price_id,
        checkout.success_url,
        checkout.cancel_url,
        checkout.refund_asked,
    )
    .fetch_one(connection)
    .await?;
    Ok(id(row)?)
}

/// A visit as it was asked for.
pub(crate) async fn load(connection: &mut PgConnection, checkout: CheckoutId) -> Result<Checkout, Error> {
    let row = sqlx::query!(
        "SELECT profile_id, price_id, success_url, cancel_url, refund_asked FROM checkout_sessions WHERE id = $1",
        checkout.get(),
    )
    .fetch_one(connection)
    .await?;
    Ok(Checkout {
        profile_id: id(row.profile_id)?,
        price_id: row.price_id,
        success_url: row.success_url,
        cancel_url: row.cancel_url,
        refund_asked: row.refund_asked,
    })
}

/// Records which session Stripe made for the visit.
pub(crate) async fn set_session(
    connection: &mut PgConnection,
    checkout: CheckoutId,
    session: &StripeCheckoutSessionId,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE checkout_sessions SET ref_id = $2 WHERE id = $1",
        checkout.get(),
        session.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The visit of a session, if it is one of ours.
pub(crate) async fn of_session(
    connection: &mut PgConnection,
    session: &StripeCheckoutSessionId,
) -> Result<Option<KnownCheckout>, Error> {
    let row = sqlx::query!(
        r#"SELECT id, profile_id, mode = 'payment' AS "is_payment!", refund_asked, refund_id
           FROM checkout_sessions WHERE ref_id = $1"#,
        session.as_str(),
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(KnownCheckout {
        id: id(row.id)?,
        profile_id: id(row.profile_id)?,
        is_payment: row.is_payment,
        refund_asked: row.refund_asked,
        refund_id: row.refund_id.map(outside_id).transpose()?,
    }))
}

/// Notes that the customer has come to the end.
pub(crate) async fn complete(connection: &mut PgConnection, checkout: CheckoutId) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE checkout_sessions SET completed_at = now() WHERE id = $1 AND completed_at IS NULL",
        checkout.get(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records the refund of the visit's payment.
pub(crate) async fn set_refund(
    connection: &mut PgConnection,
    checkout: CheckoutId,
    refund: &StripeRefundId,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE checkout_sessions SET refund_id = $2 WHERE id = $1",
        checkout.get(),
        refund.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
