//! Transfers between wallets: one call of the database each, with everything that belongs to it (the two payments, the
//! balances, the event, the idempotency record), or one call for many.

use domain::currency::Currency;
use domain::ids::{ClientId, EventId, TransactionId, WalletId};
use domain::wallets::conversion::FixedAmount;
use platform::config::Environment;
use platform::database::Database;
use platform::error::PlatformError;
use platform::idempotency::{IdempotencyKey, request_hash};
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::correlation;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Error;
use crate::answer::{Answer, PaymentView};
use crate::request::{Operation, Request};
use crate::store::transfers::{self, Made, Order};

/// Most transfers of a batch.
pub const MAX_BATCH_SIZE: usize = 500;
/// How often a transfer is asked for whose balance went down at the same moment. Every time somebody else's payment got
/// through, so a wallet that many pay from at once gets there.
const ATTEMPTS: usize = 10;

/// A transfer to make.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct TransferRequest {
    /// The payer's wallet.
    pub wallet_id: WalletId,
    /// Who gets the money.
    pub receiver_client_id: ClientId,
    /// Into which wallet; unless it is named, the one of the payer's currency, or the only one.
    pub receiver_currency: Option<Currency>,
    /// What the payer pays, in minor units of the payer's wallet.
    pub amount: Option<i64>,
    /// What the receiver gets, in minor units of the receiver's wallet.
    pub receiver_amount: Option<i64>,
}

/// A transfer of a batch.
#[derive(Debug, Clone)]
pub struct BatchItem {
    /// Who pays.
    pub client: ClientId,
    /// The transfer's own key; made from the batch's and its position unless given.
    pub key: Option<IdempotencyKey>,
    /// The transfer.
    pub transfer: TransferRequest,
}

/// Whether the transfers of a batch depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchMode {
    /// All or none.
    Atomic,
    /// Each by itself.
    Each,
}

impl TransferRequest {
    fn fixed_amount(&self) -> Result<FixedAmount, Error> {
        let (amount, field) = match (self.amount, self.receiver_amount) {
            (Some(amount), None) => (FixedAmount::Payer(amount), "amount"),
            (None, Some(amount)) => (FixedAmount::Receiver(amount), "receiver_amount"),
            _ => return Err(Error::OneAmountNeeded),
        };
        match amount {
            FixedAmount::Payer(minor) | FixedAmount::Receiver(minor) if minor <= 0 => {
                Err(Error::AmountNotPositive { field })
            }
            amount => Ok(amount),
        }
    }
}

/// Transfers.
#[derive(Debug)]
pub struct Transfers {
    database: Database,
    nudge: Option<RelayWaker>,
}

impl Transfers {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let nudge = RelayWaker::read(environment);
        Some(Self {
            database: database?,
            nudge: Some(nudge?),
        })
    }

    /// Transfers in a database, without the nudge that makes their events fast: for tests and benchmarks.
    pub fn at(database: Database) -> Self {
        Self {
            database,
            nudge: None,
        }
    }

    /// Moves money from the client's wallet to the receiver's, once per key.
    ///
    /// # Errors
    /// Not found for unknown wallets, payment required when there isn't enough, rejected for amounts and currencies that
    /// don't meet. Nothing is written then.
    pub async fn transfer(
        &self,
        client: ClientId,
        key: &IdempotencyKey,
        transfer: TransferRequest,
    ) -> Result<Answer<PaymentView>, Error> {
        let order = order(client, key.as_str().to_owned(), transfer)?;
        let correlation = correlation::current();
        let mut attempt = 1;
        let made = loop {
            let asked = self
                .database
                .lend(async |connection| transfers::transfer(connection, &order, correlation.as_str()).await);
            match asked.await {
                // The balance went down between the look at it and the lock; what it is now decides.
                Err(Error::Contended) if attempt < ATTEMPTS => attempt += 1,
                made => break made?,
            }
        };
        let answer = answer(made)?;
        if !answer.replayed {
            self.wake_relay().await;
        }
        Ok(answer)
    }

    /// Makes many transfers in their order, in one call of the database. A transfer whose key was used before is
    /// answered as then. Where each counts by itself, a refused one has its refusal in its place.
    ///
    /// # Errors
    /// Rejected for an empty or too large batch, and in [`BatchMode::Atomic`] with the refusal of the first that was
    /// refused; nothing is written then.
    pub async fn batch(
        &self,
        key: &IdempotencyKey,
        mode: BatchMode,
        items: Vec<BatchItem>,
    ) -> Result<Vec<Result<Answer<PaymentView>, Error>>, Error> {
        if items.is_empty() || items.len() > MAX_BATCH_SIZE {
            return Err(Error::Invalid {
                field: "transfers",
                message: format!(
                    "has to hold 1 to {MAX_BATCH_SIZE} transfers; it holds {}",
                    items.len()
                ),
            });
        }
        let checked: Vec<Result<Order, Error>> = items
            .into_iter()
            .enumerate()
            .map(|(position, item)| {
                let own = item.key.map(|key| key.as_str().to_owned());
                let key = own.unwrap_or_else(|| format!("{}#{position}", key.as_str()));
                order(item.client, key, item.transfer)
            })
            .collect();
        let refused = checked.iter().position(Result::is_err);
        let mut places = Vec::with_capacity(checked.len());
        let mut orders = Vec::with_capacity(checked.len());
        for (position, order) in checked.into_iter().enumerate() {
            match order {
                Ok(order) => {
                    orders.push(order);
                    places.push(None);
                }
                Err(error) if mode == BatchMode::Atomic && refused == Some(position) => {
                    return Err(error.of_batch(position));
                }
                Err(error) => places.push(Some(error)),
            }
        }
        let made = self.make(mode, &orders).await?;
        let mut made = made.into_iter();
        let answers: Vec<Result<Answer<PaymentView>, Error>> = places
            .into_iter()
            .map(|refusal| match refusal {
                Some(error) => Err(error),
                None => made
                    .next()
                    .ok_or(PlatformError::Stored("transfer_batch").into())
                    .and_then(answer),
            })
            .collect();
        if answers.iter().flatten().any(|answer| !answer.replayed) {
            self.wake_relay().await;
        }
        Ok(answers)
    }

    async fn make(&self, mode: BatchMode, orders: &[Order]) -> Result<Vec<Made>, Error> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let atomic = mode == BatchMode::Atomic;
        let correlation = correlation::current();
        let asked = self.database.lend(async |connection| {
            transfers::transfer_batch(connection, orders, correlation.as_str(), atomic).await
        });
        let mut made = asked.await?;
        let refused = made.iter().position(|made| matches!(made, Made::Refused(_)));
        match refused {
            Some(position) if atomic => match made.swap_remove(position) {
                Made::Refused(error) => Err(error.of_batch(position)),
                _ => Err(PlatformError::Stored("transfer_batch").into()),
            },
            _ => Ok(made),
        }
    }

    async fn wake_relay(&self) {
        if let Some(nudge) = &self.nudge {
            nudge.send().await;
        }
    }
}

fn order(client: ClientId, key: String, transfer: TransferRequest) -> Result<Order, Error> {
    let amount = transfer.fixed_amount()?;
    Ok(Order {
        request: Request {
            client,
            operation: Operation::Transfer,
            key,
            hash: request_hash(&transfer)?,
        },
        wallet: transfer.wallet_id,
        receiver: transfer.receiver_client_id,
        receiver_currency: transfer.receiver_currency,
        amount,
        transaction: TransactionId::from_uuid(Uuid::now_v7()),
        event: EventId::from_uuid(Uuid::now_v7()),
    })
}

fn answer(made: Made) -> Result<Answer<PaymentView>, Error> {
    match made {
        Made::New(payment) => Ok(Answer {
            view: PaymentView::from(&payment),
            replayed: false,
        }),
        Made::Before(payment) => Ok(Answer {
            view: PaymentView::from(&payment),
            replayed: true,
        }),
        Made::Refused(error) => Err(error),
        Made::NotDone => Err(PlatformError::Stored("transfer_batch").into()),
    }
}
