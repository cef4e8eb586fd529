//! Payments as they are read.

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, PaymentId, TransactionId, WalletId};
use domain::money::Money;
use domain::wallets::payment::{PaymentStatus, PaymentType};
use platform::error::PlatformError;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{currency, id};
use crate::Error;

/// The other side of a payment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Partner {
    /// None for the house.
    pub(crate) wallet: Option<(ClientId, WalletId)>,
    pub(crate) amount: Money,
}

/// A client's row of a transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payment {
    pub(crate) client: ClientId,
    pub(crate) id: PaymentId,
    pub(crate) transaction: TransactionId,
    pub(crate) kind: PaymentType,
    pub(crate) status: PaymentStatus,
    pub(crate) wallet: WalletId,
    /// Below zero when the client pays.
    pub(crate) amount: Money,
    pub(crate) partner: Partner,
    pub(crate) exchange_rate: Decimal,
    pub(crate) balance_after: Money,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

pub(super) struct PaymentRow {
    pub(super) client_id: i64,
    pub(super) id: i64,
    pub(super) transaction_id: Uuid,
    pub(super) payment_type: i16,
    pub(super) payment_status: i16,
    pub(super) wallet_id: i64,
    pub(super) currency: i16,
    pub(super) amount: i64,
    pub(super) partner_client_id: i64,
    pub(super) partner_wallet_id: i64,
    pub(super) partner_currency: i16,
    pub(super) partner_amount: i64,
    pub(super) exchange_rate: Decimal,
    pub(super) balance_after: i64,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

impl TryFrom<PaymentRow> for Payment {
    type Error = PlatformError;

    fn try_from(row: PaymentRow) -> Result<Self, PlatformError> {
        let own = currency(row.currency)?;
        let partner = match row.partner_client_id {
            0 => None,
            client => Some((id(client)?, id(row.partner_wallet_id)?)),
        };
        Ok(Self {
            client: id(row.client_id)?,
            id: id(row.id)?,
            transaction: row.transaction_id.into(),
            kind: PaymentType::from_number(row.payment_type).ok_or(PlatformError::Stored("payment_type"))?,
            status: PaymentStatus::from_number(row.payment_status)
                .ok_or(PlatformError::Stored("payment_status"))?,
            wallet: id(row.wallet_id)?,
            amount: Money::new(row.amount, own),
            partner: Partner {
                wallet: partner,
                amount: Money::new(row.partner_amount, currency(row.partner_currency)?),
            },
            exchange_rate: row.exchange_rate.normalize(),
            balance_after: Money::new(row.balance_after, own),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A payment of the client.
pub(crate) async fn load(
    connection: &mut PgConnection,
    client: ClientId,
    payment: PaymentId,
) -> Result<Payment, Error> {
    let row = sqlx::query_as!(
        PaymentRow,
        "SELECT client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
         partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, balance_after, \
         created_at, updated_at FROM payments WHERE client_id = $1 AND id = $2",
        client.get(),
        payment.get(),
    )
    .fetch_one(connection)
    .await?;
    Ok(row.try_into()?)
}

/// A withdrawal of the client, locked until the transaction ends.
pub(crate) async fn lock_withdrawal(
    connection: &mut PgConnection,
    client: ClientId,
    transaction: TransactionId,
) -> Result<Payment, Error> {
    let row = sqlx::query_as!(
        PaymentRow,
        "SELECT client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
         partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, balance_after, \
         created_at, updated_at FROM payments \
         WHERE client_id = $1 AND transaction_id = $2 AND payment_type = 2 FOR UPDATE",
        client.get(),
        transaction.as_uuid(),
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::WithdrawalNotFound)?;
    Ok(row.try_into()?)
}

/// Which payments of a client to list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter {
    /// Not before this.
    pub(crate) from: Option<DateTime<Utc>>,
    /// Before this.
    pub(crate) to: Option<DateTime<Utc>>,
    pub(crate) kind: Option<PaymentType>,
    pub(crate) status: Option<PaymentStatus>,
    pub(crate) wallet: Option<WalletId>,
}

/// The client's payments before the id `before`, newest first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    client: ClientId,
    filter: &Filter,
    before: i64,
    limit: i64,
) -> Result<Vec<Payment>, Error> {
    let rows = sqlx::query_as!(
        PaymentRow,
        "SELECT client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
         partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, balance_after, \
         created_at, updated_at FROM payments \
         WHERE client_id = $1 AND id < $2 AND ($3::TIMESTAMPTZ IS NULL OR created_at >= $3) \
           AND ($4::TIMESTAMPTZ IS NULL OR created_at < $4) AND ($5::SMALLINT IS NULL OR payment_type = $5) \
           AND ($6::SMALLINT IS NULL OR payment_status = $6) AND ($7::BIGINT IS NULL OR wallet_id = $7) \
         ORDER BY id DESC LIMIT $8",
        client.get(),
        before,
        filter.from,
        filter.to,
        filter.kind.map(PaymentType::number),
        filter.status.map(PaymentStatus::number),
        filter.wallet.map(|wallet| wallet.get()),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(Payment::try_from)
        .collect::<Result<_, _>>()?)
}
