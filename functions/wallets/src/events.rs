//! Events that the wallets publish, on the topic `wallets.events`. Events of one client's payments come in order; a
//! transfer's has its payer's key. `transfer.done` is written by the database's transfer functions (migration 0007).

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{ClientId, PaymentId, TransactionId, WalletId};
use platform::messaging::event::Envelope;
use platform::messaging::outbox::{self, Destination};
use serde::Serialize;
use sqlx::PgConnection;

use crate::Error;
use crate::payment::store::Payment;
use crate::reconciliation::store::Difference;

/// Money was brought in.
pub const RECHARGE_DONE: &str = "recharge.done";
/// Money was taken out of the balance; one of the next two says how the withdrawal ended.
pub const WITHDRAWAL_REQUESTED: &str = "withdrawal.requested";
/// The money of a withdrawal has left.
pub const WITHDRAWAL_DONE: &str = "withdrawal.done";
/// The money of a withdrawal is back in the wallet.
pub const WITHDRAWAL_FAILED: &str = "withdrawal.failed";
/// The reconciliation has found a difference.
pub const WALLET_DIFFERS: &str = "wallet.differs";

const TOPIC: [Destination; 1] = [Destination::Topic("wallets.events")];

/// A recharge or a withdrawal.
#[derive(Debug, Serialize)]
struct MovementPayload {
    transaction_id: TransactionId,
    payment_id: PaymentId,
    client_id: ClientId,
    wallet_id: WalletId,
    currency: Currency,
    /// In minor units, above zero in either direction.
    amount: i64,
}

/// Publishes what has happened to a recharge or a withdrawal, as of the time of its last change.
pub(crate) async fn publish_movement(
    connection: &mut PgConnection,
    kind: &str,
    payment: &Payment,
) -> Result<(), Error> {
    let payload = MovementPayload {
        transaction_id: payment.transaction_id,
        payment_id: payment.id,
        client_id: payment.client_id,
        wallet_id: payment.wallet_id,
        currency: payment.currency.0,
        amount: payment.amount().checked_abs()?.minor(),
    };
    let event = Envelope::new(kind, client_key(payment.client_id), payment.updated_at, payload);
    Ok(outbox::publish(connection, &event, &TOPIC).await?)
}

/// Publishes differences.
pub(crate) async fn publish_differences(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    differences: &[Difference],
) -> Result<(), Error> {
    let events: Vec<Envelope<&Difference>> = differences
        .iter()
        .map(|difference| Envelope::new(WALLET_DIFFERS, client_key(difference.client_id), at, difference))
        .collect();
    Ok(outbox::publish_all(connection, &events, &TOPIC).await?)
}

fn client_key(client: ClientId) -> String {
    format!("client-{client}")
}
