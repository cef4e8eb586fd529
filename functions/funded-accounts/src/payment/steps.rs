//! The saga of a withdrawal: judged for the last time, moved to the trader's account at Stripe, paid out of it when it can be,
//! recorded. What was asked for before is looked for before it is asked for again; nothing is undone blindly, and nothing once
//! it is completed.

use domain::currency::Currency;
use domain::funded::saga::Saga;
use domain::funded::withdrawal::{NotAllowed, WithdrawalStatus, reasons_against};
use domain::ids::{FundedAccountId, StripeAccountId, WithdrawalId};
use domain::money::Money;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::observability::metrics;
use providers::outcome::{Decline, Outcome};
use providers::stripe::connect::{BALANCE_INSUFFICIENT, NewPayout, NewTransfer, Payout, Transfer};

use super::bank::Bank;
use super::reported::record_reported;
use super::store::{self, Payment};
use crate::live::store::LiveTable;
use crate::processor::STRIPE;
use crate::saga::Steps;
use crate::withdrawal::facts::{self, LiveFacts};
use crate::withdrawal::store as withdrawals;
use crate::{Error, events};

/// Refusals that only the trader can do something about.
const TRADERS: [&str; 10] = [
    "account_invalid",
    "bank_account_declined",
    "bank_account_unusable",
    "capability_not_active",
    "insufficient_capabilities_for_transfer",
    "no_account",
    "payouts_not_allowed",
    "resource_missing",
    "transfers_not_allowed",
    "invalid_currency",
];

/// A step of a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is judged for the last time: from here on its money may be on its way.
    Release,
    /// Its money is in the trader's account at Stripe.
    Transfer,
    /// It can be paid out of there.
    Arrival,
    /// Stripe has taken the payout.
    Payout,
    /// It is recorded, and others hear of it.
    Completion,
}

/// Where the live states of accounts are read.
pub(super) trait LiveReader {
    /// What of an account's state counts for its withdrawals.
    async fn read(&self, id: FundedAccountId) -> Result<LiveFacts, Error>;
}

impl LiveReader for LiveTable {
    async fn read(&self, id: FundedAccountId) -> Result<LiveFacts, Error> {
        let live = self.get(id).await?;
        live.map(|live| LiveFacts::from(&live))
            .ok_or(Error::LiveStateUnknown)
    }
}

/// The payment of one withdrawal.
#[derive(Debug)]
pub(super) struct Paying<'a, B, L> {
    pub(super) database: &'a Database,
    pub(super) bank: &'a B,
    pub(super) live: &'a L,
    pub(super) clock: &'a ClockHandle,
    pub(super) id: WithdrawalId,
}

impl<B: Bank, L: LiveReader> Steps for Paying<'_, B, L> {
    type Step = Step;
    const SAGA: Saga<Step> = Saga {
        name: "withdrawal",
        steps: &[
            Step::Release,
            Step::Transfer,
            Step::Arrival,
            Step::Payout,
            Step::Completion,
        ],
    };

    async fn run(&self, step: Step) -> Result<(), Error> {
        let payment = self.load().await?;
        if payment.status == WithdrawalStatus::Completed {
            return Ok(());
        }
        match step {
            Step::Release => self.release(&payment).await,
            Step::Transfer => self.transfer(&payment).await,
            Step::Arrival => self.arrival(&payment).await,
            Step::Payout => self.pay_out(&payment).await,
            Step::Completion => self.complete().await,
        }
    }

    async fn undo(&self, step: Step) -> Result<(), Error> {
        let payment = self.load().await?;
        if payment.status == WithdrawalStatus::Completed {
            return Ok(());
        }
        match step {
            Step::Release => {
                self.with(async |connection| store::hold(connection, self.id).await)
                    .await
            }
            Step::Transfer => self.take_back(&payment).await,
            Step::Payout => self.call_back(&payment).await,
            // The money lies where it lay, and a completion is one transaction: there is nothing of one that failed.
            Step::Arrival | Step::Completion => Ok(()),
        }
    }
}

impl<B: Bank, L: LiveReader> Paying<'_, B, L> {
    async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&mut sqlx::PgConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.database.with(work).await
    }

    async fn load(&self) -> Result<Payment, Error> {
        self.with(async |connection| store::load(connection, self.id).await)
            .await
    }

    /// Judges it by the live state. What passes by itself is waited for.
    async fn release(&self, payment: &Payment) -> Result<(), Error> {
        if payment.released_at.is_some() {
            return Ok(());
        }
        let live = self.live.read(payment.funded_account_id).await?;
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                withdrawals::lock_trader(connection, payment.user_id).await?;
                let account = payment.funded_account_id;
                let terms = facts::terms(connection, account, Some(self.id)).await?;
                let terms = terms.ok_or(Error::AccountNotFound)?;
                let facts = facts::facts(connection, account, &terms, &live).await?;
                let mut against = reasons_against(payment.amount_cents, &facts, now);
                against.extend(terms.reason_against_bank());
                if against.is_empty() {
                    return store::release(connection, self.id, &terms, now).await;
                }
                match against.iter().all(|reason| reason.passes()) {
                    true => Err(Error::WithdrawalWaits(words(&against))),
                    false => Err(Error::NotAllowed(against)),
                }
            })
            .await
    }

    async fn transfer(&self, payment: &Payment) -> Result<(), Error> {
        if payment.transfer.is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        let was_intended = self
            .with(async |connection| store::intend_transfer(connection, self.id, now).await)
            .await?;
        let found = if was_intended { self.moved().await? } else { None };
        let transfer = match found {
            Some(transfer) => transfer,
            None => self.ask_for_transfer(payment).await?,
        };
        self.with(async |connection| store::record_transfer(connection, self.id, &transfer.id).await)
            .await
    }

    /// What of the withdrawal's money was moved and isn't back.
    async fn moved(&self) -> Result<Option<Transfer>, Error> {
        let transfers = looked_up(self.bank.transfers(self.id).await?)?;
        Ok(transfers.into_iter().find(|transfer| !transfer.is_reversed))
    }

    async fn ask_for_transfer(&self, payment: &Payment) -> Result<Transfer, Error> {
        let new = NewTransfer {
            withdrawal: self.id,
            attempt: payment.transfer_attempt,
            amount: amount(payment),
            destination: account(payment)?.clone(),
        };
        let key = format!("withdrawal-{}-transfer-{}", self.id, new.attempt);
        match self.bank.transfer(&new, &key).await? {
            Outcome::Declined(decline) => {
                // Nothing was moved: until it is, its account may close or lose the profit. Its key would only bring the refusal
                // again.
                self.with(async |connection| store::decline_transfer(connection, self.id, new.attempt).await)
                    .await?;
                if decline.code == BALANCE_INSUFFICIENT {
                    self.tell_missing(payment).await;
                    return Err(Error::WithdrawalWaits(
                        "our balance at Stripe is too low".to_owned(),
                    ));
                }
                Err(refusal(decline))
            }
            other => Ok(other.done(STRIPE)?),
        }
    }

    /// Rings, and tells how much is missing where Stripe says what our balance is.
    async fn tell_missing(&self, payment: &Payment) {
        let ours = match self.bank.ours().await {
            Ok(Outcome::Done(cents)) => Some(cents),
            _ => None,
        };
        let amount_cents = payment.amount_cents;
        let missing_cents = ours.map(|ours| amount_cents.saturating_sub(ours).max(0));
        tracing::error!(withdrawal_id = %self.id, amount_cents, missing_cents, "our balance at Stripe is too low");
        metrics::count("PayoutFundsMissing", 1);
    }

    /// The money was moved; it may take a while until it can be paid out.
    async fn arrival(&self, payment: &Payment) -> Result<(), Error> {
        if payment.payout_intended_at.is_some() {
            return Ok(());
        }
        let available = self.bank.available(account(payment)?).await?;
        match available {
            Outcome::Declined(decline) => Err(refusal(decline)),
            other if other.clone().done(STRIPE)? >= payment.amount_cents => Ok(()),
            _ => Err(Error::WithdrawalWaits(
                "the money can't be paid out yet".to_owned(),
            )),
        }
    }

    async fn pay_out(&self, payment: &Payment) -> Result<(), Error> {
        if payment.payout.is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        let was_intended = self
            .with(async |connection| store::intend_payout(connection, self.id, now).await)
            .await?;
        let found = if was_intended {
            self.paid_out(payment).await?
        } else {
            None
        };
        let payout = match found {
            Some(payout) => payout,
            None => self.ask_for_payout(payment).await?,
        };
        if payout.state.has_come_back() {
            return self.came_back(account(payment)?, &payout).await;
        }
        self.with(async |connection| {
            store::record_payout(connection, self.id, payment.attempt, &payout).await
        })
        .await
    }

    /// The bank gave it back before it was found, and the event about it may be lost.
    async fn came_back(&self, account: &StripeAccountId, payout: &Payout) -> Result<(), Error> {
        let now = self.clock.now();
        self.database
            .transaction(async |connection| record_reported(connection, account, self.id, payout, now).await)
            .await?;
        Err(Error::WithdrawalWaits("its payout has come back".to_owned()))
    }

    /// The payout of the present attempt.
    async fn paid_out(&self, payment: &Payment) -> Result<Option<Payout>, Error> {
        let Some(since) = payment.payout_intended_at else {
            return Ok(None);
        };
        let payouts = looked_up(self.bank.payouts(account(payment)?, since).await?)?;
        Ok(payouts
            .into_iter()
            .find(|payout| payout.withdrawal == Some(self.id) && payout.attempt == Some(payment.attempt)))
    }

    async fn ask_for_payout(&self, payment: &Payment) -> Result<Payout, Error> {
        let destination = payment.bank.clone();
        let new = NewPayout {
            withdrawal: self.id,
            attempt: payment.attempt,
            amount: amount(payment),
            destination: destination.ok_or_else(|| Error::Unpayable("no_account".to_owned()))?,
        };
        let key = format!("withdrawal-{}-payout-{}", self.id, new.attempt);
        match self.bank.pay_out(account(payment)?, &new, &key).await? {
            Outcome::Declined(decline) => {
                self.with(async |connection| store::forget_payout(connection, self.id).await)
                    .await?;
                if decline.code == BALANCE_INSUFFICIENT {
                    return Err(Error::WithdrawalWaits(
                        "the money can't be paid out yet".to_owned(),
                    ));
                }
                Err(refusal(decline))
            }
            other => Ok(other.done(STRIPE)?),
        }
    }

    async fn complete(&self) -> Result<(), Error> {
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                let withdrawal = withdrawals::lock(connection, self.id).await?;
                let withdrawal = withdrawal.ok_or(Error::WithdrawalNotFound)?;
                if !store::complete(connection, self.id, now).await? {
                    return Err(Error::WithdrawalWaits("its payout has come back".to_owned()));
                }
                store::sum_up(connection, withdrawal.funded_account_id).await?;
                events::publish_withdrawal(connection, events::WITHDRAWAL_COMPLETED, &withdrawal, None, now)
                    .await
            })
            .await
    }

    /// Takes the transfer back; that it was is known before anything is forgotten.
    async fn take_back(&self, payment: &Payment) -> Result<(), Error> {
        if payment.transfer_intended_at.is_none() {
            return Ok(());
        }
        let mut reversal = None;
        if let Some(transfer) = self.moved().await? {
            let key = self.undo_key(payment, "reversal", payment.transfer_attempt);
            reversal = match self.bank.reverse(&transfer.id, &key).await? {
                Outcome::Declined(decline) => return Err(self.not_undone(payment, decline).await?),
                other => Some(other.done(STRIPE)?),
            };
        }
        self.with(async |connection| store::forget_transfer(connection, self.id, reversal.as_ref()).await)
            .await
    }

    /// Calls the payout back, while the bank hasn't got it.
    async fn call_back(&self, payment: &Payment) -> Result<(), Error> {
        if payment.payout_intended_at.is_none() {
            return Ok(());
        }
        let found = self.paid_out(payment).await?;
        if let Some(payout) = found.filter(|payout| !payout.state.has_come_back()) {
            let key = self.undo_key(payment, "cancel", payment.attempt);
            match self.bank.cancel(account(payment)?, &payout.id, &key).await? {
                Outcome::Declined(decline) => return Err(self.not_undone(payment, decline).await?),
                other => other.done(STRIPE)?,
            };
        }
        self.with(async |connection| store::forget_payout(connection, self.id).await)
            .await
    }

    /// The key under which something is taken back: another one after each refusal, which Stripe would repeat for a day.
    fn undo_key(&self, payment: &Payment, what: &str, attempt: i64) -> String {
        let key = format!("withdrawal-{}-{what}-{attempt}", self.id);
        match payment.undo_refusals {
            0 => key,
            refusals => format!("{key}-{refusals}"),
        }
    }

    /// What follows from a refusal to take something back: it is as it was, and may be asked for anew.
    async fn not_undone(&self, payment: &Payment, decline: Decline) -> Result<Error, Error> {
        self.with(async |connection| store::count_refusal(connection, payment).await)
            .await?;
        Ok(Error::RefusedByStripe(decline.code))
    }
}

fn amount(payment: &Payment) -> Money {
    Money::new(payment.amount_cents, Currency::USD)
}

fn account(payment: &Payment) -> Result<&StripeAccountId, Error> {
    let account = payment.account.as_ref();
    account.ok_or_else(|| Error::Unpayable("no_account".to_owned()))
}

/// Whose turn a refusal makes it: the trader's, or ours.
fn refusal(decline: Decline) -> Error {
    match TRADERS.contains(&decline.code.as_str()) {
        true => Error::Unpayable(decline.code),
        false => Error::RefusedByStripe(decline.code),
    }
}

/// What a look-up has found. One that is refused says nothing of what was done: a person looks.
fn looked_up<T>(found: Outcome<T>) -> Result<T, Error> {
    match found {
        Outcome::Declined(decline) => Err(Error::RefusedByStripe(decline.code)),
        other => Ok(other.done(STRIPE)?),
    }
}

fn words(reasons: &[NotAllowed]) -> String {
    let all: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    all.join("; ")
}
