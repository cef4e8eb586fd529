//! Who moves the money: Stripe, or in tests a bank in memory.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{
    StripeAccountId, StripePayoutId, StripeTransferId, StripeTransferReversalId, WithdrawalId,
};
use platform::deadline::Deadline;
use providers::outcome::Outcome;
use providers::stripe::connect::{NewPayout, NewTransfer, Payout, Transfer};

use crate::Error;
use crate::processor::Processor;

/// What a withdrawal asks of whoever moves money.
pub(super) trait Bank {
    /// Every transfer of a withdrawal.
    async fn transfers(&self, withdrawal: WithdrawalId) -> Result<Outcome<Vec<Transfer>>, Error>;
    /// Moves money to a trader's account.
    async fn transfer(&self, new: &NewTransfer, key: &str) -> Result<Outcome<Transfer>, Error>;
    /// Takes a transfer back.
    async fn reverse(
        &self,
        id: &StripeTransferId,
        key: &str,
    ) -> Result<Outcome<StripeTransferReversalId>, Error>;
    /// What can be transferred of our balance, in cents of USD.
    async fn ours(&self) -> Result<Outcome<i64>, Error>;
    /// What can be paid out of an account, in cents of USD.
    async fn available(&self, account: &StripeAccountId) -> Result<Outcome<i64>, Error>;
    /// Every payout of an account since a time.
    async fn payouts(
        &self,
        account: &StripeAccountId,
        since: DateTime<Utc>,
    ) -> Result<Outcome<Vec<Payout>>, Error>;
    /// Pays money out of an account.
    async fn pay_out(
        &self,
        account: &StripeAccountId,
        new: &NewPayout,
        key: &str,
    ) -> Result<Outcome<Payout>, Error>;
    /// Calls a payout back.
    async fn cancel(
        &self,
        account: &StripeAccountId,
        id: &StripePayoutId,
        key: &str,
    ) -> Result<Outcome<Payout>, Error>;
}

/// Stripe, until a deadline.
#[derive(Debug)]
pub(super) struct AtStripe<'a> {
    pub(super) processor: &'a Processor,
    pub(super) deadline: Deadline,
}

impl Bank for AtStripe<'_> {
    async fn transfers(&self, withdrawal: WithdrawalId) -> Result<Outcome<Vec<Transfer>>, Error> {
        let connected = self.processor.connect().await?;
        Ok(connected
            .client
            .transfers_of(withdrawal, self.deadline.instant())
            .await)
    }

    async fn transfer(&self, new: &NewTransfer, key: &str) -> Result<Outcome<Transfer>, Error> {
        let connected = self.processor.connect().await?;
        Ok(connected.client.transfer(new, key, self.deadline.instant()).await)
    }

    async fn reverse(
        &self,
        id: &StripeTransferId,
        key: &str,
    ) -> Result<Outcome<StripeTransferReversalId>, Error> {
        let connected = self.processor.connect().await?;
        Ok(connected
            .client
            .reverse_transfer(id, key, self.deadline.instant())
            .await)
    }

    async fn ours(&self) -> Result<Outcome<i64>, Error> {
        let connected = self.processor.connect().await?;
        let available = connected.client.available(Currency::USD, self.deadline.instant());
        Ok(available.await.read(|money| Ok(money.minor())))
    }

    async fn available(&self, account: &StripeAccountId) -> Result<Outcome<i64>, Error> {
        let connected = self.processor.connect().await?;
        let theirs = connected.client.on_behalf_of(account);
        let available = theirs.available(Currency::USD, self.deadline.instant()).await;
        Ok(available.read(|money| Ok(money.minor())))
    }

    async fn payouts(
        &self,
        account: &StripeAccountId,
        since: DateTime<Utc>,
    ) -> Result<Outcome<Vec<Payout>>, Error> {
        let connected = self.processor.connect().await?;
        let theirs = connected.client.on_behalf_of(account);
        Ok(theirs.payouts_since(since, self.deadline.instant()).await)
    }

    async fn pay_out(
        &self,
        account: &StripeAccountId,
        new: &NewPayout,
        key: &str,
    ) -> Result<Outcome<Payout>, Error> {
        let connected = self.processor.connect().await?;
        let theirs = connected.client.on_behalf_of(account);
        Ok(theirs.pay_out(new, key, self.deadline.instant()).await)
    }

    async fn cancel(
        &self,
        account: &StripeAccountId,
        id: &StripePayoutId,
        key: &str,
    ) -> Result<Outcome<Payout>, Error> {
        let connected = self.processor.connect().await?;
        let theirs = connected.client.on_behalf_of(account);
        Ok(theirs.cancel_payout(id, key, self.deadline.instant()).await)
    }
}
