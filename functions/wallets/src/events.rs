//! What the wallets tell others, on the topic `wallets.events`. Events of one client's payments come in order; a transfer
//! is told under its payer. `transfer.done` is written by the database's transfer functions (migration 0007).

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, PaymentId, TransactionId, WalletId};
use platform::messaging::event::Envelope;
use platform::messaging::outbox::{self, Destination};
use serde::Serialize;
use sqlx::PgConnection;

use crate::Error;
use crate::store::payments::Payment;

/// Money was brought in.
pub const RECHARGE_DONE: &str = "recharge.done";
/// Money was taken out of the balance; its settlement is told by one of the next two.
pub const WITHDRAWAL_REQUESTED: &str = "withdrawal.requested";
/// The money of a withdrawal has left.
pub const WITHDRAWAL_DONE: &str = "withdrawal.done";
/// The money of a withdrawal is back in the wallet.
pub const WITHDRAWAL_FAILED: &str = "withdrawal.failed";
/// The reconciliation has found a difference.
pub const WALLET_DIFFERS: &str = "wallet.differs";

const TOPIC: [Destination; 1] = [Destination::Topic("wallets.events")];

/// A recharge or a withdrawal.
#[derive(Debug, Clone, Serialize)]
struct PaymentPayload {
    transaction_id: TransactionId,
    payment_id: PaymentId,
    client_id: ClientId,
    wallet_id: WalletId,
    currency: String,
    /// In minor units, above zero in either direction.
    amount: i64,
}

/// A difference between a wallet and its payments, or between the two sides of a transfer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DifferencePayload {
    pub(crate) client_id: ClientId,
    pub(crate) wallet_id: WalletId,
    pub(crate) payment_id: Option<PaymentId>,
    pub(crate) kind: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// Tells of a recharge or a withdrawal.
pub(crate) async fn payment(
    connection: &mut PgConnection,
    kind: &str,
    at: DateTime<Utc>,
    payment: &Payment,
) -> Result<(), Error> {
    let told = PaymentPayload {
        transaction_id: payment.transaction,
        payment_id: payment.id,
        client_id: payment.client,
        wallet_id: payment.wallet,
        currency: payment.amount.currency().code().to_owned(),
        amount: payment.amount.checked_abs()?.minor(),
    };
    let event = Envelope::new(kind, client_key(payment.client), at, told);
    Ok(outbox::publish(connection, &event, &TOPIC).await?)
}

/// Tells of differences.
pub(crate) async fn differences(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    differences: Vec<DifferencePayload>,
) -> Result<(), Error> {
    let events: Vec<Envelope<DifferencePayload>> = differences
        .into_iter()
        .map(|told| Envelope::new(WALLET_DIFFERS, client_key(told.client_id), at, told))
        .collect();
    Ok(outbox::publish_all(connection, &events, &TOPIC).await?)
}

fn client_key(client: ClientId) -> String {
    format!("client-{client}")
}
