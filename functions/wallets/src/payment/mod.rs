//! Payments of a client: one row for each side of a transfer, one for a recharge or a withdrawal. Here they are listed;
//! `movement` and `transfer` make them.

pub(crate) mod store;
pub mod view;

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, PaymentId, WalletId};
use domain::wallets::payment::{PaymentStatus, PaymentType};
use platform::database::Database;
use platform::http::{Problem, optional_time};
use platform::pagination::{Page, PageRequest};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{Error, client};
use view::PaymentView;

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
    pub fn page(&self) -> Result<PageRequest<PaymentId>, Problem> {
        PageRequest::read(self.cursor.as_deref(), self.limit)
    }
}

/// The payments of clients.
#[derive(Debug)]
pub struct Payments {
    database: Database,
}

platform::from_environment!(Payments { database });

impl Payments {
    /// A page of the client's payments, newest first.
    ///
    /// # Errors
    /// Not found for an unknown client.
    pub async fn list(
        &self,
        client_id: ClientId,
        query: &PaymentsQuery,
        page: PageRequest<PaymentId>,
    ) -> Result<Page<PaymentView>, Error> {
        let payments = self
            .database
            .with(async |connection| {
                let payments = store::list(connection, client_id, query, &page).await?;
                if payments.is_empty() {
                    client::store::load(connection, client_id).await?;
                }
                Ok::<_, Error>(payments)
            })
            .await?;
        Ok(Page::from_overfetched(
            &payments,
            page.limit,
            |payment| PaymentView::from(payment),
            |payment| payment.id,
        )?)
    }
}
