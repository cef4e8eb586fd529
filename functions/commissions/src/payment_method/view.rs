//! Payment methods as callers see them.

use chrono::{DateTime, Utc};
use domain::ids::PaymentMethodId;
use serde::Serialize;
use utoipa::ToSchema;

/// A payment method.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PaymentMethodView {
    /// Its id.
    #[schema(value_type = i64, minimum = 1)]
    pub id: PaymentMethodId,
    /// Its name: brand, last four digits, expiry.
    #[schema(examples("visa •••• 4242, 04/29"))]
    pub name: String,
    /// Whether invoices are charged to it.
    pub active: bool,
    /// When it was last chosen (RFC 3339, UTC); the newest is the active one.
    pub set_active_at: DateTime<Utc>,
    /// When it was saved (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
}

/// All payment methods of a profile.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PaymentMethodList {
    /// The active one first.
    pub items: Vec<PaymentMethodView>,
}
