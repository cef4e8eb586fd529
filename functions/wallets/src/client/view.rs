//! What callers see of clients and wallets.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{ClientId, WalletId};
use serde::Serialize;
use utoipa::ToSchema;

use super::store::{Client, Wallet};

/// A client with its wallets.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ClientView {
    /// Id of the client.
    #[schema(value_type = i64, minimum = 1)]
    pub client_id: ClientId,
    /// The service's own name of the client; null where it gave none.
    pub external_ref: Option<String>,
    /// When it was registered (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
    /// Its wallets, in the order in which they were opened.
    pub wallets: Vec<WalletView>,
}

/// A wallet.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WalletView {
    /// Id of the wallet.
    #[schema(value_type = i64, minimum = 1)]
    pub wallet_id: WalletId,
    /// Whose it is.
    #[schema(value_type = i64, minimum = 1)]
    pub client_id: ClientId,
    /// ISO 4217 code.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// What is in it, in minor units of the currency.
    #[schema(minimum = 0)]
    pub balance: i64,
    /// When it was opened (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
}

impl ClientView {
    pub(crate) fn new(client: Client, wallets: &[Wallet]) -> Self {
        Self {
            client_id: client.id,
            external_ref: client.external_ref,
            created_at: client.created_at,
            wallets: wallets.iter().map(WalletView::from).collect(),
        }
    }
}

impl From<&Wallet> for WalletView {
    fn from(wallet: &Wallet) -> Self {
        Self {
            wallet_id: wallet.id,
            client_id: wallet.client_id,
            currency: wallet.currency.0,
            balance: wallet.balance,
            created_at: wallet.created_at,
        }
    }
}
