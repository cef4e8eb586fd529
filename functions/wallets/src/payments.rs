//! The list of a client's payments.

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, PaymentId, WalletId};
use domain::wallets::payment::{PaymentStatus, PaymentType};
use platform::config::Environment;
use platform::database::Database;
use platform::error::PlatformError;
use platform::pagination::{self, Page};

use crate::Error;
use crate::answer::PaymentView;
use crate::store::clients;
use crate::store::payments::{self, Filter};

/// Which payments to list; what is missing doesn't matter.
#[derive(Debug, Clone, Copy, Default)]
pub struct PaymentFilter {
    /// Made at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Made before this time.
    pub to: Option<DateTime<Utc>>,
    /// Of this type.
    pub payment_type: Option<PaymentType>,
    /// In this status.
    pub payment_status: Option<PaymentStatus>,
    /// Of this wallet.
    pub wallet: Option<WalletId>,
}

/// The payments of clients.
#[derive(Debug)]
pub struct PaymentList {
    database: Database,
}

impl PaymentList {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            database: Database::read(environment)?,
        })
    }

    /// A page of the client's payments, newest first, after the payment `after`.
    ///
    /// # Errors
    /// Not found for an unknown client.
    pub async fn page(
        &self,
        client: ClientId,
        filter: PaymentFilter,
        after: Option<PaymentId>,
        limit: u32,
    ) -> Result<Page<PaymentView>, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        let before = after.map_or(i64::MAX, |payment| payment.get());
        let filter = Filter {
            from: filter.from,
            to: filter.to,
            kind: filter.payment_type,
            status: filter.payment_status,
            wallet: filter.wallet,
        };
        // One more than asked for tells whether there is a next page.
        let found = payments::list(&mut connection, client, &filter, before, i64::from(limit) + 1).await?;
        if found.is_empty() {
            clients::load(&mut connection, client).await?;
        }
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = found.len() > size;
        let items: Vec<PaymentView> = found.iter().take(size).map(PaymentView::from).collect();
        let last = items.last().filter(|_| has_more).map(|payment| payment.id);
        let next_cursor = last
            .map(|id| pagination::encode(&id))
            .transpose()
            .map_err(PlatformError::from)?;
        Ok(Page { items, next_cursor })
    }
}
