//! Payments, as Billing tells them on the topic `billing.payments` and lists them for the reconciliation: each is applied
//! once, in one transaction, whoever brings it, however often and in which order.
//!
//! A reversal that comes before its payment waits for it. What can't be booked at all (an unknown client, another currency,
//! nothing) fails, and goes to the topic's failure queue with its reason.

pub(crate) mod store;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::dealers::{CURRENCY, kopecks};
use domain::ids::{BillId, BillingPaymentId};
use domain::money::Money;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::messaging::relay_waker::RelayWaker;
pub use providers::billing::PaymentMessage;
use sqlx::PgConnection;

use crate::account::store::{self as accounts, Account};
use crate::events::{self, ReversalPayload};
use crate::{Error, distribution, review};
use store::FirstMessage;

/// More than anybody has: ten trillion rubles.
const MAX_PAYMENT: i64 = 1_000_000_000_000_000;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It was applied just now.
    Now,
    /// It was applied before.
    Before,
    /// It says something else than the first message of its id; a review is open.
    Conflicts,
}

/// Applies payments.
#[derive(Debug)]
pub struct Payments {
    database: Database,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(Payments {
    database,
    relay,
    clock
});

impl Payments {
    /// Applies a payment or a reversal, once.
    ///
    /// # Errors
    /// Fatal for what can't be booked; it is kept in the failure queue. Transient when the database is out of reach.
    pub async fn apply(&self, message: &PaymentMessage) -> Result<Applied, Error> {
        check(message)?;
        let now = self.clock.now();
        let applied = self
            .database
            .transaction(async |connection| apply_in(connection, message, now).await)
            .await?;
        if applied != Applied::Before {
            self.relay.wake().await;
        }
        Ok(applied)
    }
}

/// Passes what can be booked.
pub(crate) fn check(message: &PaymentMessage) -> Result<(), Error> {
    if Currency::parse(&message.currency) != Ok(CURRENCY) {
        return Err(Error::CurrencyNotSupported(shortened(&message.currency)));
    }
    if !(1..=MAX_PAYMENT).contains(&message.amount) {
        return Err(Error::PaymentOutOfRange(message.amount));
    }
    Ok(())
}

/// As much of a text as a log line needs.
fn shortened(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).take(8).collect()
}

/// Applies a message in the caller's transaction.
pub(crate) async fn apply_in(
    connection: &mut PgConnection,
    message: &PaymentMessage,
    now: DateTime<Utc>,
) -> Result<Applied, Error> {
    let client = &message.billing_client_id;
    let unknown = || Error::UnknownBillingClient(client.to_string());
    let found = accounts::find_by_client(connection, client)
        .await?
        .ok_or_else(unknown)?;
    let account = accounts::lock(connection, found.dealer_id, found.account_type).await?;
    let account = account.ok_or_else(unknown)?;
    if !store::insert(connection, &account, message, now).await? {
        return told_before(connection, &account, message, now).await;
    }
    match &message.reversal_of {
        None => {
            // One that couldn't be booked before.
            review::records_agree(connection, &message.payment_id, "it was booked", now).await?;
            pay(connection, &account, message, now).await?;
        }
        Some(payment) => {
            let amount = kopecks(message.amount);
            reverse(connection, &account, payment, &message.payment_id, amount, now).await?;
        }
    }
    Ok(Applied::Now)
}

/// The same again changes nothing; something else under the same id is left to a person.
async fn told_before(
    connection: &mut PgConnection,
    account: &Account,
    message: &PaymentMessage,
    now: DateTime<Utc>,
) -> Result<Applied, Error> {
    let says = FirstMessage {
        dealer_id: account.dealer_id,
        account_type: account.account_type,
        amount: message.amount,
        reversal_of: message.reversal_of.clone(),
    };
    let Some(first) = store::first_message(connection, &message.payment_id).await? else {
        return Err(Error::BeingWorkedOn(format!("payment {}", message.payment_id)));
    };
    if first == says {
        return Ok(Applied::Before);
    }
    review::payment_conflicts(connection, account, &first, message, now).await?;
    Ok(Applied::Conflicts)
}

async fn pay(
    connection: &mut PgConnection,
    account: &Account,
    message: &PaymentMessage,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let named = named_bill(connection, account, message, now).await?;
    distribution::spend_rests(connection, account, named, now).await?;
    for waiting in store::waiting_for(connection, &message.payment_id).await? {
        let (payment, reversal, amount) = (&message.payment_id, &waiting.reversal, kopecks(waiting.amount));
        if (waiting.dealer_id, waiting.account_type) == (account.dealer_id, account.account_type) {
            take_back(connection, account, payment, reversal, amount, now).await?;
        } else {
            // Another account's reversal takes nothing of this one's.
            note_taken(connection, reversal, 0, now).await?;
            review::reversal_uncovered(connection, account, payment, reversal, amount, amount, now).await?;
        }
    }
    Ok(())
}

/// The bill that the payer named; one of another client, or one that was taken back, counts as unnamed and is reported.
async fn named_bill(
    connection: &mut PgConnection,
    account: &Account,
    message: &PaymentMessage,
    now: DateTime<Utc>,
) -> Result<Option<BillId>, Error> {
    let Some(named) = &message.bill_id else {
        return Ok(None);
    };
    let found = store::payable_bill(connection, account, named).await?;
    if found.is_none() {
        review::payment_names_no_bill(connection, account, message, now).await?;
    }
    Ok(found)
}

/// Takes back what a reversal asks for, or lets it wait for its payment.
async fn reverse(
    connection: &mut PgConnection,
    account: &Account,
    payment: &BillingPaymentId,
    reversal: &BillingPaymentId,
    amount: Money,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let Some(first) = store::first_message(connection, payment).await? else {
        tracing::warn!(reversal_id = %reversal, payment_id = %payment, "keeping a reversal until its payment comes");
        return Ok(());
    };
    let is_own = (first.dealer_id, first.account_type) == (account.dealer_id, account.account_type);
    if !is_own || first.reversal_of.is_some() {
        note_taken(connection, reversal, 0, now).await?;
        return review::reversal_uncovered(connection, account, payment, reversal, amount, amount, now).await;
    }
    take_back(connection, account, payment, reversal, amount, now).await
}

/// Ends a reversal, with what it has taken back.
async fn note_taken(
    connection: &mut PgConnection,
    reversal: &BillingPaymentId,
    amount: i64,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    store::note_taken(connection, reversal, amount, now).await?;
    review::records_agree(connection, reversal, "its payment came", now).await
}

async fn take_back(
    connection: &mut PgConnection,
    account: &Account,
    payment: &BillingPaymentId,
    reversal: &BillingPaymentId,
    amount: Money,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let taken = distribution::take_back(connection, account, payment, amount, now).await?;
    let total = taken.total()?;
    note_taken(connection, reversal, total.minor(), now).await?;
    if total.is_positive() {
        let payload = ReversalPayload {
            dealer: account.dealer(),
            account_type: account.account_type,
            payment_id: payment.clone(),
            reversal_id: reversal.clone(),
            amount: total.minor(),
            currency: CURRENCY.code(),
        };
        events::publish(
            connection,
            events::PAYMENT_REVERSED,
            account.dealer_id,
            now,
            payload,
        )
        .await?;
    }
    if taken.uncovered.is_positive() {
        let uncovered = taken.uncovered;
        review::reversal_uncovered(connection, account, payment, reversal, amount, uncovered, now).await?;
    }
    Ok(())
}
