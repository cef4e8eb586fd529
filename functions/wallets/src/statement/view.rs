//! What callers see of a statement; as CSV it is the same page.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{ClientId, PaymentId, TransactionId, WalletId};
use domain::wallets::payment::PaymentType;
use serde::Serialize;
use utoipa::ToSchema;

use super::store::Entry;
use crate::payment::view::type_schema;

/// A page of a wallet's statement: `opening_balance` and the lines' amounts add up to `closing_balance`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StatementView {
    /// Whose it is.
    #[schema(value_type = i64, minimum = 1)]
    pub client_id: ClientId,
    /// The wallet.
    #[schema(value_type = i64, minimum = 1)]
    pub wallet_id: WalletId,
    /// The wallet's currency, an ISO 4217 code; all amounts but the partner's are in its minor units.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// The balance before the first line.
    #[schema(minimum = 0)]
    pub opening_balance: i64,
    /// The entries, oldest first.
    pub lines: Vec<StatementLineView>,
    /// What the lines brought in, above zero or zero.
    #[schema(minimum = 0)]
    pub credit_turnover: i64,
    /// What the lines took out, below zero or zero.
    #[schema(maximum = 0)]
    pub debit_turnover: i64,
    /// The balance after the last line.
    #[schema(minimum = 0)]
    pub closing_balance: i64,
    /// Give it as `cursor` to get the next page, whose opening balance is this one's closing balance; null on the last.
    pub next_cursor: Option<String>,
}

/// An entry of a wallet.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StatementLineView {
    /// Its number among the wallet's entries, from 1 without gaps.
    #[schema(minimum = 1)]
    pub entry: i64,
    /// When it was made (RFC 3339, UTC).
    pub at: DateTime<Utc>,
    /// The payment.
    #[schema(value_type = i64, minimum = 1)]
    pub payment_id: PaymentId,
    /// The transaction.
    #[schema(value_type = uuid::Uuid)]
    pub transaction_id: TransactionId,
    /// What the payment is.
    #[schema(schema_with = type_schema)]
    pub payment_type: PaymentType,
    /// Whether the money of a failed withdrawal comes back.
    pub is_return: bool,
    /// The other client; null for the house.
    #[schema(value_type = Option<i64>, minimum = 1)]
    pub partner_client_id: Option<ClientId>,
    /// The currency of the other side.
    #[schema(value_type = String)]
    pub partner_currency: Currency,
    /// In minor units of the other side's currency, with the other sign.
    pub partner_amount: i64,
    /// Payer's currency to receiver's currency, a decimal.
    pub exchange_rate: String,
    /// Below zero when money leaves the wallet.
    pub amount: i64,
    /// The balance after this line.
    #[schema(minimum = 0)]
    pub balance: i64,
}

impl From<&Entry> for StatementLineView {
    fn from(entry: &Entry) -> Self {
        Self {
            entry: entry.number,
            at: entry.at,
            payment_id: entry.payment_id,
            transaction_id: entry.transaction_id,
            payment_type: entry.payment_type,
            is_return: entry.is_return,
            partner_client_id: entry.partner_client_id,
            partner_currency: entry.partner_currency.0,
            partner_amount: entry.partner_amount,
            exchange_rate: entry.exchange_rate.normalize().to_string(),
            amount: entry.amount,
            balance: entry.balance_after,
        }
    }
}
