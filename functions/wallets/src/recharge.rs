//! Money that comes in: done at once, on the word of a trusted service.

use domain::ids::{ClientId, TransactionId, WalletId};
use domain::money::Money;
use domain::wallets::payment::{PaymentStatus, PaymentType};
use platform::config::Environment;
use platform::database::Database;
use platform::idempotency::IdempotencyKey;
use platform::messaging::relay_waker::RelayWaker;
use serde::Serialize;
use uuid::Uuid;

use crate::answer::{Answer, PaymentView};
use crate::request::{Operation, Request};
use crate::store::{clients, movements, payments, requests};
use crate::{Error, events};

/// An amount of a wallet, to bring in or to take out.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct MovementRequest {
    /// The wallet.
    pub wallet_id: WalletId,
    /// In minor units of the wallet's currency.
    pub amount: i64,
}

impl MovementRequest {
    /// The amount in the wallet's currency.
    pub(crate) fn checked(self) -> Result<Self, Error> {
        if self.amount > 0 {
            Ok(self)
        } else {
            Err(Error::AmountNotPositive { field: "amount" })
        }
    }
}

/// Recharges.
#[derive(Debug)]
pub struct Recharges {
    database: Database,
    nudge: RelayWaker,
}

impl Recharges {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let nudge = RelayWaker::read(environment);
        Some(Self {
            database: database?,
            nudge: nudge?,
        })
    }

    /// Brings money into a wallet, once per key.
    ///
    /// # Errors
    /// Not found for an unknown wallet; rejected for an amount that isn't above zero or doesn't fit the balance. Nothing
    /// is written then.
    pub async fn recharge(
        &self,
        client: ClientId,
        key: &IdempotencyKey,
        movement: MovementRequest,
    ) -> Result<Answer<PaymentView>, Error> {
        let movement = movement.checked()?;
        let request = Request::new(client, Operation::Recharge, key, &movement)?;
        let mut transaction = self.database.begin().await?;
        if let Some(before) = requests::begin(&mut transaction, &request).await? {
            let payment = payments::load(&mut transaction, client, before).await?;
            return Ok(Answer {
                view: PaymentView::from(&payment),
                replayed: true,
            });
        }
        let wallet = clients::lock_wallet(&mut transaction, client, movement.wallet_id).await?;
        let amount = Money::new(movement.amount, wallet.balance.currency());
        let balance = wallet
            .balance
            .checked_add(amount)
            .map_err(|_| Error::BalanceTooLarge)?;
        movements::set_balance(&mut transaction, &wallet, balance, wallet.entries + 1).await?;
        let payment = movements::insert(
            &mut transaction,
            &wallet,
            TransactionId::from_uuid(Uuid::now_v7()),
            PaymentType::Recharge,
            PaymentStatus::Done,
            amount,
            balance,
        )
        .await?;
        requests::keep(&mut transaction, &request, payment.id).await?;
        events::payment(
            &mut transaction,
            events::RECHARGE_DONE,
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
}
