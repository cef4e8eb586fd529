//! A checkout session as callers see it.

use chrono::{DateTime, Utc};
use domain::ids::StripeCheckoutSessionId;
use serde::Serialize;
use utoipa::ToSchema;

/// The way to the payment page.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CheckoutView {
    /// Id of the session at Stripe.
    #[schema(value_type = String)]
    pub stripe_session_id: StripeCheckoutSessionId,
    /// Address of the page; for this customer alone.
    pub url: String,
    /// When the page ends (RFC 3339, UTC).
    pub expires_at: DateTime<Utc>,
}
