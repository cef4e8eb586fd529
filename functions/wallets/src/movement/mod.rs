//! Money between a wallet and the house: a recharge brings it in, done at once, on the word of a trusted service; a
//! withdrawal takes it out of the balance at once and is pending until it is settled. See README, Recharges and
//! withdrawals.
//!
//! Locks are taken in one order: the request's key, the withdrawal, the wallet.

mod store;

use domain::ids::{TransactionId, WalletId};
use domain::transition::Transition;
use domain::wallets::payment::{PaymentStatus, PaymentType, WithdrawalOutcome};
use platform::clock::ClockHandle;
use platform::idempotency::{IdempotencyKey, Replayable, once};
use platform::messaging::relay_waker::RelayWaker;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::client::access::Mover;
use crate::client::store::{self as clients, Wallet};
use crate::payment::store::Payment;
use crate::payment::view::PaymentView;
use crate::payment_request::{Operation, PaymentRequest};
use crate::placement::Nodes;
use crate::{Error, events};
use store::Movement;

/// Money to bring in or to take out.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MovementRequest {
    /// The client's wallet.
    #[schema(value_type = i64, minimum = 1)]
    pub wallet_id: WalletId,
    /// In minor units of the wallet's currency, above zero; a whole number without a decimal point.
    #[schema(minimum = 1, examples(50_000))]
    pub amount: i64,
}

/// How a withdrawal has ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalSettlementRequest {
    /// `done`: the money has left. `failed`: it hasn't, and goes back into the wallet.
    #[schema(value_type = String, pattern = "^(done|failed)$", examples("done"))]
    pub outcome: WithdrawalOutcome,
}

/// What belongs to a key of a settlement.
#[derive(Serialize)]
struct KeyedSettlement {
    transaction_id: TransactionId,
    outcome: WithdrawalOutcome,
}

/// Recharges and withdrawals.
#[derive(Debug)]
pub struct Movements {
    nodes: Nodes,
    clock: ClockHandle,
    relay: RelayWaker,
}

platform::from_environment!(Movements { nodes, clock, relay });

impl Movements {
    /// Brings money into a wallet, once per key.
    ///
    /// # Errors
    /// Not found for an unknown wallet; rejected for an amount that isn't above zero or doesn't fit the balance. Nothing
    /// is written then.
    pub async fn recharge(
        &self,
        mover: Mover,
        key: &IdempotencyKey,
        recharge: MovementRequest,
    ) -> Result<Replayable<PaymentView>, Error> {
        recharge.check()?;
        let now = self.clock.now();
        let request = PaymentRequest::new(mover, Operation::Recharge, key.as_str(), &recharge, now)?;
        let node = self.nodes.of(mover.client_id);
        let made = once(node, &self.relay, &request, async |connection| {
            let wallet = clients::lock_wallet(connection, mover.client_id, recharge.wallet_id).await?;
            let movement = recharge.into_wallet(&wallet)?;
            let payment = store::insert(connection, &wallet, movement, self.clock.now()).await?;
            events::publish_movement(connection, events::RECHARGE_DONE, &payment).await?;
            Ok(payment)
        });
        Ok(made.await?.map(|payment| PaymentView::from(&payment)))
    }

    /// Takes money out of a wallet, once per key; it is pending until it is settled.
    ///
    /// # Errors
    /// Not found for an unknown wallet, payment required when there isn't enough in it. Nothing is written then.
    pub async fn withdraw(
        &self,
        mover: Mover,
        key: &IdempotencyKey,
        withdrawal: MovementRequest,
    ) -> Result<Replayable<PaymentView>, Error> {
        withdrawal.check()?;
        let now = self.clock.now();
        let request = PaymentRequest::new(mover, Operation::Withdraw, key.as_str(), &withdrawal, now)?;
        let node = self.nodes.of(mover.client_id);
        let made = once(node, &self.relay, &request, async |connection| {
            let wallet = clients::lock_wallet(connection, mover.client_id, withdrawal.wallet_id).await?;
            let movement = withdrawal.out_of_wallet(&wallet)?;
            let payment = store::insert(connection, &wallet, movement, self.clock.now()).await?;
            events::publish_movement(connection, events::WITHDRAWAL_REQUESTED, &payment).await?;
            Ok(payment)
        });
        Ok(made
            .await?
            .map(|payment| PaymentView::from(&as_requested(payment))))
    }

    /// Settles a withdrawal: done, or failed and the money is back. Settling it again in the same way changes nothing.
    ///
    /// # Errors
    /// Not found for an unknown withdrawal; a conflict when it was settled in the opposite way.
    pub async fn settle(
        &self,
        mover: Mover,
        transaction_id: TransactionId,
        key: &IdempotencyKey,
        settlement: WithdrawalSettlementRequest,
    ) -> Result<Replayable<PaymentView>, Error> {
        let outcome = settlement.outcome;
        let input = KeyedSettlement {
            transaction_id,
            outcome,
        };
        let now = self.clock.now();
        let request = PaymentRequest::new(mover, Operation::Settle, key.as_str(), &input, now)?;
        let node = self.nodes.of(mover.client_id);
        let made = once(node, &self.relay, &request, async |connection| {
            let withdrawal = store::lock_withdrawal(connection, mover.client_id, transaction_id).await?;
            let settled = match withdrawal.payment_status.after_settlement(outcome) {
                Transition::AlreadyApplied => return Ok(withdrawal),
                Transition::Rejected(_) => {
                    return Err(Error::SettledOtherwise {
                        status: withdrawal.payment_status.name(),
                    });
                }
                Transition::Applied(PaymentStatus::Failed) => self.give_back(connection, &withdrawal).await?,
                Transition::Applied(_) => store::set_done(connection, &withdrawal, self.clock.now()).await?,
            };
            events::publish_movement(connection, event_of(outcome), &settled).await?;
            Ok(settled)
        });
        Ok(made.await?.map(|payment| PaymentView::from(&payment)))
    }

    /// Puts the money of a failed withdrawal back into its wallet.
    async fn give_back(&self, connection: &mut PgConnection, withdrawal: &Payment) -> Result<Payment, Error> {
        let wallet = clients::lock_wallet(connection, withdrawal.client_id, withdrawal.wallet_id).await?;
        // Its amount is below zero.
        let balance = wallet
            .balance()
            .checked_sub(withdrawal.amount())
            .map_err(|_| Error::BalanceTooLarge)?;
        store::set_failed(connection, withdrawal, &wallet, balance, self.clock.now()).await
    }
}

impl MovementRequest {
    fn check(&self) -> Result<(), Error> {
        if self.amount > 0 {
            Ok(())
        } else {
            Err(Error::AmountNotPositive { field: "amount" })
        }
    }

    fn into_wallet(self, wallet: &Wallet) -> Result<Movement, Error> {
        let amount = wallet.money(self.amount);
        let balance_after = wallet.balance().checked_add(amount);
        Ok(Movement {
            payment_type: PaymentType::Recharge,
            payment_status: PaymentStatus::Done,
            amount,
            balance_after: balance_after.map_err(|_| Error::BalanceTooLarge)?,
        })
    }

    fn out_of_wallet(self, wallet: &Wallet) -> Result<Movement, Error> {
        let amount = wallet.money(self.amount);
        let balance_after = wallet.balance().checked_sub(amount)?;
        if balance_after.is_negative() {
            return Err(Error::InsufficientFunds {
                balance: wallet.balance(),
            });
        }
        Ok(Movement {
            payment_type: PaymentType::Withdraw,
            payment_status: PaymentStatus::Pending,
            amount: amount.checked_neg()?,
            balance_after,
        })
    }
}

/// A withdrawal is pending when it is requested, whatever has become of it since.
fn as_requested(withdrawal: Payment) -> Payment {
    Payment {
        payment_status: PaymentStatus::Pending,
        updated_at: withdrawal.created_at,
        ..withdrawal
    }
}

const fn event_of(outcome: WithdrawalOutcome) -> &'static str {
    match outcome {
        WithdrawalOutcome::Done => events::WITHDRAWAL_DONE,
        WithdrawalOutcome::Failed => events::WITHDRAWAL_FAILED,
    }
}

#[cfg(test)]
mod tests;
