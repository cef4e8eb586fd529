//! The request for a list of payments.

use chrono::{DateTime, Utc};
use domain::ids::{PaymentId, WalletId};
use domain::wallets::payment::{PaymentStatus, PaymentType};
use platform::http::{Problem, optional_time};
use platform::pagination::PageRequest;
use serde::Deserialize;
use utoipa::ToSchema;

platform::list! {
    /// The payments of a client, newest first.
    pub PaymentList: PaymentId = "payments"
}

/// Which payments to list; a filter that is missing leaves everything in.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentsQuery {
    /// Made at this time or later (RFC 3339).
    #[serde(default, deserialize_with = "optional_time")]
    pub from: Option<DateTime<Utc>>,
    /// Made before this time (RFC 3339).
    #[serde(default, deserialize_with = "optional_time")]
    pub to: Option<DateTime<Utc>>,
    /// Of this type: `recharge`, `withdraw` or `transfer`.
    #[serde(rename = "type")]
    #[schema(value_type = Option<String>, pattern = "^(recharge|withdraw|transfer)$")]
    pub payment_type: Option<PaymentType>,
    /// In this status: `pending`, `done` or `failed`.
    #[schema(value_type = Option<String>, pattern = "^(pending|done|failed)$")]
    pub status: Option<PaymentStatus>,
    /// Of this wallet.
    #[schema(value_type = Option<i64>, minimum = 1)]
    pub wallet_id: Option<WalletId>,
    /// `next_cursor` of the page before; nothing for the newest.
    #[schema(max_length = 512)]
    pub cursor: Option<String>,
    /// Payments of a page; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}

impl PaymentsQuery {
    /// Which page of the list.
    ///
    /// # Errors
    /// 400 naming `cursor` or `limit`.
    pub fn page(&self) -> Result<PageRequest<PaymentList>, Problem> {
        PageRequest::read(self.cursor.as_deref(), self.limit)
    }
}
