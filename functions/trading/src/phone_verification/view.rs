//! What callers see of a code, which is never the code itself.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// A code that was sent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PhoneCodeView {
    /// Where it was sent.
    pub phone_number: String,
    /// Until when it is good (RFC 3339, UTC).
    pub expires_at: DateTime<Utc>,
    /// From when on another one may be sent (RFC 3339, UTC).
    pub next_code_at: DateTime<Utc>,
}

/// A number that is proved.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct VerifiedPhoneView {
    /// The number.
    pub phone_number: String,
    /// When it was proved (RFC 3339, UTC).
    pub verified_at: DateTime<Utc>,
}
