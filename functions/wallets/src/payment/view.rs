//! What callers see of a payment.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{ClientId, PaymentId, TransactionId, WalletId};
use domain::wallets::payment::{PaymentStatus, PaymentType};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::store::Payment;

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
    #[schema(value_type = String)]
    pub currency: Currency,
    /// In minor units of the currency.
    pub amount: i64,
    /// The other client; null for the house, where money is brought in from and taken out to.
    #[schema(value_type = Option<i64>, minimum = 1)]
    pub partner_client_id: Option<ClientId>,
    /// The other client's wallet; null for the house.
    #[schema(value_type = Option<i64>, minimum = 1)]
    pub partner_wallet_id: Option<WalletId>,
    /// The currency of the other side.
    #[schema(value_type = String)]
    pub partner_currency: Currency,
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

impl From<&Payment> for PaymentView {
    fn from(payment: &Payment) -> Self {
        Self {
            id: payment.id,
            transaction_id: payment.transaction_id,
            payment_type: payment.payment_type,
            payment_status: payment.payment_status,
            client_id: payment.client_id,
            wallet_id: payment.wallet_id,
            currency: payment.currency.0,
            amount: payment.amount,
            partner_client_id: payment.partner_client_id,
            partner_wallet_id: payment.partner_wallet_id,
            partner_currency: payment.partner_currency.0,
            partner_amount: payment.partner_amount,
            exchange_rate: payment.exchange_rate.normalize().to_string(),
            balance_after: payment.balance_after,
            created_at: payment.created_at,
            updated_at: payment.updated_at,
        }
    }
}

/// The types, for the API's description.
pub(crate) fn type_schema() -> Object {
    names("What it is.", PaymentType::ALL)
}

fn status_schema() -> Object {
    names(
        "Where it stands; a withdrawal or a transfer may wait, and fail.",
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
