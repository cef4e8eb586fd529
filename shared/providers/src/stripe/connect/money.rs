//! Money to people: a transfer from our balance to theirs, then a payout from theirs to their bank.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{
    StripeAccountId, StripePayoutId, StripeTransferId, StripeTransferReversalId, WithdrawalId,
};
use domain::money::Money;
use stripe_connect::transfer::{CreateTransfer, ListTransfer};
use stripe_connect::transfer_reversal::CreateIdTransferReversal;
use stripe_core::balance::RetrieveForMyAccountBalance;
use stripe_core::payout::{CancelPayout, CreatePayout, ListPayout, RetrievePayout};
use stripe_types::RangeQueryTs;
use tokio::time::Instant;

use super::objects::{NewPayout, NewTransfer, Payout, PayoutState, Transfer};
use crate::outcome::Outcome;
use crate::stripe::answer::{self, List};
use crate::stripe::call::Failure;
use crate::stripe::requests::{CLOCK_MARGIN, MAX_PAGES, PAGE, between, path_id, read, too_many, unreadable};
use crate::stripe::{CURRENCY_NOT_SUPPORTED, Stripe, wire};

/// Pages that are read of the transfers of a time.
const MAX_PAGES_OF_A_TIME: usize = 100;
/// Keys of metadata.
const WITHDRAWAL_ID: &str = "withdrawal_id";
const ATTEMPT: &str = "attempt";

/// Calls on behalf of a connected account. What moves a person's money is asked of this type alone: the same request for our
/// own account would pay our own bank.
#[derive(Debug, Clone, Copy)]
pub struct OnBehalf<'a> {
    stripe: &'a Stripe,
    account: &'a StripeAccountId,
}

/// What joins everything that is sent for a withdrawal.
fn group(withdrawal: WithdrawalId) -> String {
    format!("withdrawal-{withdrawal}")
}

impl Stripe {
    /// The calls on behalf of a person's account.
    pub fn on_behalf_of<'a>(&'a self, account: &'a StripeAccountId) -> OnBehalf<'a> {
        OnBehalf {
            stripe: self,
            account,
        }
    }

    /// Moves money from our balance to a person's (`POST /v1/transfers`), once for a key within [`crate::stripe::KEY_MEMORY`].
    pub async fn transfer(&self, new: &NewTransfer, key: &str, deadline: Instant) -> Outcome<Transfer> {
        let Some(currency) = wire::currency(new.amount.currency()) else {
            return not_supported();
        };
        let request = CreateTransfer::new(currency, new.destination.as_str())
            .amount(new.amount.minor())
            .transfer_group(group(new.withdrawal))
            .metadata(metadata(new.withdrawal, new.attempt));
        read(self.write(&request, key, deadline).await, |response| {
            to_transfer(&response.object)
        })
    }

    /// The transfers of a withdrawal, those that were taken back among them.
    pub async fn transfers_of(&self, withdrawal: WithdrawalId, deadline: Instant) -> Outcome<Vec<Transfer>> {
        let request = ListTransfer::new().transfer_group(group(withdrawal));
        self.transfers(request, MAX_PAGES, deadline).await
    }

    /// The transfers within a time, all of them: `from` is in it, `until` isn't. `Unknown` when there are more than 10,000.
    pub async fn transfers_between(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        deadline: Instant,
    ) -> Outcome<Vec<Transfer>> {
        let request = ListTransfer::new().created(between(from, until));
        self.transfers(request, MAX_PAGES_OF_A_TIME, deadline).await
    }

    async fn transfers(
        &self,
        request: ListTransfer,
        max_pages: usize,
        deadline: Instant,
    ) -> Outcome<Vec<Transfer>> {
        let mut request = request.limit(PAGE);
        let mut all = Vec::new();
        for _ in 0..max_pages {
            let page: List<answer::Transfer> = match self.read(&request, deadline).await {
                Ok(response) => response.object,
                Err(failure) => return failure.into(),
            };
            for transfer in &page.data {
                match to_transfer(transfer) {
                    Ok(transfer) => all.push(transfer),
                    Err(reason) => return unreadable(&reason),
                }
            }
            match page.data.last().filter(|_| page.has_more) {
                Some(last) => request = request.starting_after(last.id.as_str()),
                None => return Outcome::Done(all),
            }
        }
        too_many("transfers")
    }

    /// What of a currency can be transferred from our balance now (`GET /v1/balance`).
    pub async fn available(&self, currency: Currency, deadline: Instant) -> Outcome<Money> {
        let request = RetrieveForMyAccountBalance::new();
        read(self.read(&request, deadline).await, |response| {
            Ok(available_of(&response.object, currency))
        })
    }

    /// Takes a transfer back, all of it (`POST /v1/transfers/{id}/reversals`).
    pub async fn reverse_transfer(
        &self,
        id: &StripeTransferId,
        key: &str,
        deadline: Instant,
    ) -> Outcome<StripeTransferReversalId> {
        let id = match path_id(id.as_str()) {
            Ok(id) => id,
            Err(failure) => return failure.into(),
        };
        let request = CreateIdTransferReversal::new(id);
        read(self.write(&request, key, deadline).await, |response| {
            let reversal: answer::Named = response.object;
            wire::id(&reversal.id)
        })
    }
}

impl OnBehalf<'_> {
    /// What of a currency can be paid out of the account now (`GET /v1/balance`).
    pub async fn available(&self, currency: Currency, deadline: Instant) -> Outcome<Money> {
        let request = RetrieveForMyAccountBalance::new();
        read(
            self.stripe.read_for(&request, self.account, deadline).await,
            |response| Ok(available_of(&response.object, currency)),
        )
    }

    /// Pays money out of the account to the person's bank (`POST /v1/payouts`), once for a key within
    /// [`crate::stripe::KEY_MEMORY`].
    pub async fn pay_out(&self, new: &NewPayout, key: &str, deadline: Instant) -> Outcome<Payout> {
        let Some(currency) = wire::currency(new.amount.currency()) else {
            return not_supported();
        };
        let request = CreatePayout::new(new.amount.minor(), currency)
            .destination(new.destination.as_str())
            .metadata(metadata(new.withdrawal, new.attempt));
        let written = self.stripe.write_for(&request, key, self.account, deadline).await;
        read(written, |response| to_payout(&response.object))
    }

    /// A payout of the account as it stands.
    pub async fn payout(&self, id: &StripePayoutId, deadline: Instant) -> Outcome<Payout> {
        let id = match path_id(id.as_str()) {
            Ok(id) => id,
            Err(failure) => return failure.into(),
        };
        let request = RetrievePayout::new(id);
        read(
            self.stripe.read_for(&request, self.account, deadline).await,
            |response| to_payout(&response.object),
        )
    }

    /// The account's payouts since a time. `Unknown` when there are more than 1000.
    pub async fn payouts_since(&self, since: DateTime<Utc>, deadline: Instant) -> Outcome<Vec<Payout>> {
        let since = since.checked_sub_signed(CLOCK_MARGIN).unwrap_or(since);
        let mut request = ListPayout::new()
            .created(RangeQueryTs::gte(since.timestamp()))
            .limit(PAGE);
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let response = self.stripe.read_for(&request, self.account, deadline).await;
            let page: List<answer::Payout> = match response {
                Ok(response) => response.object,
                Err(failure) => return failure.into(),
            };
            for payout in &page.data {
                match to_payout(payout) {
                    Ok(payout) => all.push(payout),
                    Err(reason) => return unreadable(&reason),
                }
            }
            match page.data.last().filter(|_| page.has_more) {
                Some(last) => request = request.starting_after(last.id.as_str()),
                None => return Outcome::Done(all),
            }
        }
        too_many("payouts")
    }

    /// Calls a payout back that the bank hasn't got yet (`POST /v1/payouts/{id}/cancel`).
    pub async fn cancel_payout(&self, id: &StripePayoutId, key: &str, deadline: Instant) -> Outcome<Payout> {
        let id = match path_id(id.as_str()) {
            Ok(id) => id,
            Err(failure) => return failure.into(),
        };
        let written = self
            .stripe
            .write_for(&CancelPayout::new(id), key, self.account, deadline)
            .await;
        read(written, |response| to_payout(&response.object))
    }
}

fn not_supported<T>() -> Outcome<T> {
    let message =
        "Stripe counts the amount's currency in another unit than its minor unit; pay in another one";
    Failure::declined(CURRENCY_NOT_SUPPORTED, message, 0).into()
}

fn available_of(balance: &answer::Balance, currency: Currency) -> Money {
    let code = currency.code().to_ascii_lowercase();
    let of_currency = balance.available.iter().filter(|amount| amount.currency == code);
    let sum = of_currency
        .map(|amount| amount.amount)
        .fold(0_i64, i64::saturating_add);
    Money::new(sum, currency)
}

fn metadata(withdrawal: WithdrawalId, attempt: i64) -> HashMap<String, String> {
    HashMap::from([
        (WITHDRAWAL_ID.to_owned(), withdrawal.to_string()),
        (ATTEMPT.to_owned(), attempt.to_string()),
    ])
}

fn read_metadata<T: std::str::FromStr>(metadata: Option<&HashMap<String, String>>, key: &str) -> Option<T> {
    metadata?.get(key)?.parse().ok()
}

fn to_transfer(transfer: &answer::Transfer) -> Result<Transfer, String> {
    Ok(Transfer {
        id: wire::id(&transfer.id)?,
        amount: wire::money(transfer.amount, &transfer.currency)?,
        amount_reversed: wire::money(transfer.amount_reversed, &transfer.currency)?,
        is_reversed: transfer.reversed,
        destination: wire::reference(transfer.destination.as_ref())?,
        withdrawal: read_metadata(Some(&transfer.metadata), WITHDRAWAL_ID),
        attempt: read_metadata(Some(&transfer.metadata), ATTEMPT),
    })
}

/// A payout as the API and its events carry it.
pub(super) fn to_payout(payout: &answer::Payout) -> Result<Payout, String> {
    Ok(Payout {
        id: wire::id(&payout.id)?,
        amount: wire::money(payout.amount, &payout.currency)?,
        state: match payout.status.as_str() {
            "paid" => PayoutState::Paid,
            "failed" => PayoutState::Failed,
            "canceled" => PayoutState::Canceled,
            _ => PayoutState::OnItsWay,
        },
        failure_code: payout.failure_code.clone(),
        withdrawal: read_metadata(payout.metadata.as_ref(), WITHDRAWAL_ID),
        attempt: read_metadata(payout.metadata.as_ref(), ATTEMPT),
        arrives_at: wire::time(payout.arrival_date)?,
    })
}
