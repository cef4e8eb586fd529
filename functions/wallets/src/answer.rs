//! What callers see of clients, wallets and payments.

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, PaymentId, TransactionId, WalletId};
use domain::money::Money;
use domain::wallets::payment::{PaymentStatus, PaymentType};
use platform::http::Problem;
use platform::http::Reply;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::store::clients::{Client, Wallet};
use crate::store::payments::Payment;

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
    pub currency: String,
    /// What is in it, in minor units of the currency.
    #[schema(minimum = 0)]
    pub balance: i64,
    /// When it was opened (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
}

/// A client's side of a transaction. What the client pays is below zero, what it gets above; the partner's amount has the
/// other sign.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PaymentView {
    /// Id of the payment.
    #[schema(value_type = i64, minimum = 1)]
    pub id: PaymentId,
    /// The transaction: the same in the partner's payment.
    #[schema(value_type = uuid::Uuid)]
    pub transaction_id: TransactionId,
    /// What it is.
    #[schema(schema_with = type_schema)]
    pub payment_type: PaymentType,
    /// Where it stands.
    #[schema(schema_with = status_schema)]
    pub payment_status: PaymentStatus,
    /// Whose payment it is.
    #[schema(value_type = i64, minimum = 1)]
    pub client_id: ClientId,
    /// The client's wallet.
    #[schema(value_type = i64, minimum = 1)]
    pub wallet_id: WalletId,
    /// The wallet's currency, an ISO 4217 code.
    pub currency: String,
    /// In minor units of the currency.
    pub amount: i64,
    /// The other client; null for the house, where money is brought in from and taken out to.
    #[schema(value_type = Option<i64>, minimum = 1)]
    pub partner_client_id: Option<ClientId>,
    /// The other client's wallet; null for the house.
    #[schema(value_type = Option<i64>, minimum = 1)]
    pub partner_wallet_id: Option<WalletId>,
    /// The currency of the other side.
    pub partner_currency: String,
    /// In minor units of the other side's currency.
    pub partner_amount: i64,
    /// Payer's currency to receiver's currency at the moment of the transaction, a decimal; "1" for one currency.
    pub exchange_rate: String,
    /// What was in the wallet after it, in minor units.
    #[schema(minimum = 0)]
    pub balance_after: i64,
    /// When it was made (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
    /// When its status last changed (RFC 3339, UTC).
    pub updated_at: DateTime<Utc>,
}

/// An answer, and whether it was given before to the same request.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    /// The answer.
    pub view: T,
    /// Whether this repeats an earlier answer.
    pub replayed: bool,
}

impl Answer<PaymentView> {
    /// The answer to a request that makes a payment: 201, the first time and every time after it.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn into_reply(self) -> Result<Reply<PaymentView>, Problem> {
        Ok(Reply::with_status(201, &self.view)?.replayed(self.replayed))
    }
}

/// The types, for the API's description.
pub(crate) fn type_schema() -> Object {
    names("What it is.", PaymentType::ALL)
}

/// The statuses, for the API's description.
pub(crate) fn status_schema() -> Object {
    names(
        "Where it stands; only a withdrawal waits, or fails.",
        PaymentStatus::ALL,
    )
}

fn names(description: &str, names: impl IntoIterator<Item = impl ToString>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(names.into_iter().map(|name| name.to_string())))
        .build()
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
            client_id: wallet.client,
            currency: code(wallet.balance),
            balance: wallet.balance.minor(),
            created_at: wallet.created_at,
        }
    }
}

impl From<&Payment> for PaymentView {
    fn from(payment: &Payment) -> Self {
        Self {
            id: payment.id,
            transaction_id: payment.transaction,
            payment_type: payment.kind,
            payment_status: payment.status,
            client_id: payment.client,
            wallet_id: payment.wallet,
            currency: code(payment.amount),
            amount: payment.amount.minor(),
            partner_client_id: payment.partner.wallet.map(|(client, _)| client),
            partner_wallet_id: payment.partner.wallet.map(|(_, wallet)| wallet),
            partner_currency: code(payment.partner.amount),
            partner_amount: payment.partner.amount.minor(),
            exchange_rate: payment.exchange_rate.to_string(),
            balance_after: payment.balance_after.minor(),
            created_at: payment.created_at,
            updated_at: payment.updated_at,
        }
    }
}

pub(crate) fn code(money: Money) -> String {
    money.currency().code().to_owned()
}
