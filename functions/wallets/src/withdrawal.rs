//! Money that goes out: it leaves the balance at once and waits for its settlement.

use domain::ids::{ClientId, TransactionId};
use domain::money::Money;
use domain::transition::Transition;
use domain::wallets::payment::{PaymentStatus, PaymentType, Settlement};
use platform::config::Environment;
use platform::database::Database;
use platform::idempotency::IdempotencyKey;
use platform::messaging::relay_waker::RelayWaker;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::answer::{Answer, PaymentView};
use crate::recharge::MovementRequest;
use crate::request::{Operation, Request};
use crate::store::payments::Payment;
use crate::store::{clients, movements, payments, requests};
use crate::{Error, events};

/// Withdrawals.
#[derive(Debug)]
pub struct Withdrawals {
    database: Database,
    nudge: RelayWaker,
}

#[derive(Serialize)]
struct SettlementRequest {
    transaction_id: TransactionId,
    outcome: Settlement,
}

impl Withdrawals {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let nudge = RelayWaker::read(environment);
        Some(Self {
            database: database?,
            nudge: nudge?,
        })
    }

    /// Takes money out of a wallet, once per key; it is pending until it is settled.
    ///
    /// # Errors
    /// Not found for an unknown wallet, payment required when there isn't enough in it. Nothing is written then.
    pub async fn withdraw(
        &self,
        client: ClientId,
        key: &IdempotencyKey,
        movement: MovementRequest,
    ) -> Result<Answer<PaymentView>, Error> {
        let movement = movement.checked()?;
        let request = Request::new(client, Operation::Withdraw, key, &movement)?;
        let mut transaction = self.database.begin().await?;
        if let Some(before) = requests::begin(&mut transaction, &request).await? {
            let payment = payments::load(&mut transaction, client, before).await?;
            return Ok(Answer {
                view: PaymentView::from(&as_first_answered(payment)),
                replayed: true,
            });
        }
        let wallet = clients::lock_wallet(&mut transaction, client, movement.wallet_id).await?;
        let amount = Money::new(movement.amount, wallet.balance.currency());
        let balance = wallet.balance.checked_sub(amount)?;
        if balance.is_negative() {
            return Err(Error::InsufficientFunds {
                balance: wallet.balance,
            });
        }
        movements::set_balance(&mut transaction, &wallet, balance, wallet.entries + 1).await?;
        let payment = movements::insert(
            &mut transaction,
            &wallet,
            TransactionId::from_uuid(Uuid::now_v7()),
            PaymentType::Withdraw,
            PaymentStatus::Pending,
            amount.checked_neg()?,
            balance,
        )
        .await?;
        requests::keep(&mut transaction, &request, payment.id).await?;
        events::payment(
            &mut transaction,
            events::WITHDRAWAL_REQUESTED,
            payment.created_at,
            &payment,
        )
        .await?;
        transaction.commit().await?;
        self.nudge.send().await;
        Ok(Answer {
            view: PaymentView::from(&payment),
            replayed: false,
        })
    }

    /// Settles a withdrawal: done, or failed and the money is back. Settling it again in the same way changes nothing.
    ///
    /// # Errors
    /// Not found for an unknown withdrawal; a conflict when it was settled in the opposite way.
    pub async fn settle(
        &self,
        client: ClientId,
        transaction_id: TransactionId,
        key: &IdempotencyKey,
        outcome: Settlement,
    ) -> Result<Answer<PaymentView>, Error> {
        let input = SettlementRequest {
            transaction_id,
            outcome,
        };
        let request = Request::new(client, Operation::Settle, key, &input)?;
        let mut transaction = self.database.begin().await?;
        if let Some(before) = requests::begin(&mut transaction, &request).await? {
            let payment = payments::load(&mut transaction, client, before).await?;
            return Ok(Answer {
                view: PaymentView::from(&payment),
                replayed: true,
            });
        }
        let withdrawal = payments::lock_withdrawal(&mut transaction, client, transaction_id).await?;
        let settled = match withdrawal.status.settled(outcome) {
            Transition::AlreadyApplied => withdrawal,
            Transition::Rejected(_) => {
                return Err(Error::SettledOtherwise {
                    status: withdrawal.status.name(),
                });
            }
            Transition::Applied(PaymentStatus::Failed) => give_back(&mut transaction, &withdrawal).await?,
            Transition::Applied(_) => movements::set_done(&mut transaction, &withdrawal).await?,
        };
        requests::keep(&mut transaction, &request, settled.id).await?;
        if settled.status != withdrawal.status {
            let kind = match outcome {
                Settlement::Done => events::WITHDRAWAL_DONE,
                Settlement::Failed => events::WITHDRAWAL_FAILED,
            };
            events::payment(&mut transaction, kind, settled.updated_at, &settled).await?;
        }
        transaction.commit().await?;
        self.nudge.send().await;
        Ok(Answer {
            view: PaymentView::from(&settled),
            replayed: false,
        })
    }
}

/// A withdrawal is pending when it is asked for, whatever has become of it since.
fn as_first_answered(withdrawal: Payment) -> Payment {
    Payment {
        status: PaymentStatus::Pending,
        updated_at: withdrawal.created_at,
        ..withdrawal
    }
}

/// Puts the money of a failed withdrawal back into its wallet.
async fn give_back(connection: &mut PgConnection, withdrawal: &Payment) -> Result<Payment, Error> {
    let wallet = clients::lock_wallet(connection, withdrawal.client, withdrawal.wallet).await?;
    // Its amount is below zero.
    let balance = wallet
        .balance
        .checked_sub(withdrawal.amount)
        .map_err(|_| Error::BalanceTooLarge)?;
    movements::set_balance(connection, &wallet, balance, wallet.entries + 1).await?;
    movements::set_failed(connection, withdrawal, wallet.entries + 1, balance).await
}
