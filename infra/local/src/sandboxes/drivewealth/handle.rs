//! The DriveWealth sandbox's handle, for tests and the control routes.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::events::envelope;
use super::managed;
use super::payments::{self, status};
use super::state::{Account, Counters, Decline, Follows, Fund, Holding, Payment, PaymentKind};
use super::{DeliveryModes, DriveWealthSandbox, portfolio};
use crate::sandboxes::numbers::ONE;

/// An account to begin with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedAccount {
    /// The user's id, a UUID.
    pub user_id: String,
    /// The account's id, `<user UUID>.<epoch ms>`.
    pub account_id: String,
    /// The account's number: 4 letters, 6 digits.
    pub account_no: String,
    /// The cash in it, all of which may be withdrawn.
    pub cash_cents: i64,
    /// A bank account of the user.
    pub bank_account_id: String,
    /// The funds by name, with their weights in ten-thousandths; the rest of the weight is the cash's. Their values
    /// follow from the weights and the cash.
    #[serde(default)]
    pub funds: Vec<(String, i64)>,
}

/// The result of seeding an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeededAccount {
    /// The account's id.
    pub account_id: String,
    /// The account's number.
    pub account_no: String,
    /// The id of its portfolio.
    pub portfolio_id: String,
    /// The ids of its funds, in the order given.
    pub fund_ids: Vec<String>,
    /// Whether it is new; an account that exists is left as it is.
    pub created: bool,
}

/// An account as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountState {
    /// The account's id.
    pub id: String,
    /// The account's number.
    pub account_no: String,
    /// The user's id.
    pub user_id: String,
    /// `OPEN`, `FROZEN`, …
    pub status: String,
    /// The id of its portfolio.
    pub portfolio_id: String,
    /// The cash.
    pub cash_cents: i64,
    /// The part of it that may be withdrawn.
    pub withdrawable_cents: i64,
    /// Cash and funds together.
    pub equity_cents: i64,
    /// The cash's target weight, in ten-thousandths.
    pub cash_target: i64,
    /// The funds.
    pub funds: Vec<FundState>,
}

/// A fund in an account's portfolio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FundState {
    /// The fund's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its target weight, in ten-thousandths.
    pub target: i64,
    /// Its value.
    pub value_cents: i64,
    /// What it consists of.
    pub holdings: Vec<HoldingState>,
}

/// An instrument in a fund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldingState {
    /// Its symbol.
    pub symbol: String,
    /// Its target weight in the fund, in ten-thousandths.
    pub target: i64,
    /// Its value.
    pub value_cents: i64,
}

/// Accounts.
impl DriveWealthSandbox {
    /// Makes an open account with a portfolio whose targets are what it holds; one that exists only gains the bank
    /// account.
    pub fn seed_account(&self, seed: SeedAccount) -> anyhow::Result<SeededAccount> {
        let mut live = self.lock();
        let created = !live.state.accounts.contains_key(&seed.account_id);
        if created {
            let other = live.state.account_by_number(&seed.account_no);
            ensure!(other.is_none(), "the account number {} is taken", seed.account_no);
            let account = new_account(&seed, self.time())?;
            let payload =
                json!({ "accountID": account.id, "accountNo": account.number, "userID": account.user_id });
            live.state.accounts.insert(account.id.clone(), account);
            self.emit(&mut live, envelope("accounts.created", payload, self.time()));
        }
        let account = live
            .state
            .accounts
            .get_mut(&seed.account_id)
            .context("the account is gone")?;
        account.bank_accounts.insert(seed.bank_account_id);
        let seeded = SeededAccount {
            account_id: account.id.clone(),
            account_no: account.number.clone(),
            portfolio_id: account.portfolio_id().unwrap_or_default(),
            fund_ids: account.funds.iter().map(|fund| fund.id.clone()).collect(),
            created,
        };
        self.changed();
        Ok(seeded)
    }

    /// All accounts.
    pub fn accounts(&self) -> Vec<AccountState> {
        self.lock().state.accounts.values().map(account_state).collect()
    }

    /// The account as it is now.
    pub fn account(&self, account_id: &str) -> Option<AccountState> {
        let mut live = self.lock();
        managed::proceed(&mut live.state, self.time());
        live.state.accounts.get(account_id).map(account_state)
    }

    /// The account's cash.
    pub fn cash_cents(&self, account_id: &str) -> Option<i64> {
        self.account(account_id).map(|account| account.cash_cents)
    }

    /// The status of the account's portfolio, as `GET /accounts/{id}/portfolio` gives it.
    pub fn portfolio(&self, account_id: &str) -> Option<Value> {
        self.lock().state.accounts.get(account_id).map(portfolio::status)
    }

    /// Sets the account's cash, and what of it may be withdrawn.
    pub fn set_cash(&self, account_id: &str, cash_cents: i64, withdrawable_cents: i64) -> anyhow::Result<()> {
        self.edit(account_id, |account| {
            account.cash_cents = cash_cents;
            account.withdrawable_cents = withdrawable_cents;
            Ok(())
        })
    }

    /// Sets the value of a fund of the account.
    pub fn set_fund_value(&self, account_id: &str, name: &str, value_cents: i64) -> anyhow::Result<()> {
        self.edit(account_id, |account| {
            let fund = account.funds.iter_mut().find(|fund| fund.name == name);
            fund.with_context(|| format!("there is no fund {name}"))?
                .set_value(value_cents);
            Ok(())
        })
    }

    /// Sets the account's status (`OPEN`, `OPEN_NO_NEW_TRADES`, `FROZEN`, `CLOSED`) and sends the event.
    pub fn set_account_status(&self, account_id: &str, status: &str) -> anyhow::Result<()> {
        let previous = self.account(account_id).context("there is no such account")?;
        self.edit(account_id, |account| {
            account.status = status.to_owned();
            Ok(())
        })?;
        let named = |name: &str| json!({ "status": { "name": name, "description": name } });
        let payload = json!({
            "accountID": previous.id,
            "accountNo": previous.account_no,
            "userID": previous.user_id,
            "previous": named(&previous.status),
            "current": named(status),
        });
        self.emit(
            &mut self.lock(),
            envelope("accounts.updated", payload, self.time()),
        );
        Ok(())
    }

    pub(super) fn edit(
        &self,
        account_id: &str,
        edit: impl FnOnce(&mut Account) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut live = self.lock();
        let account = live
            .state
            .accounts
            .get_mut(account_id)
            .context("there is no such account")?;
        edit(account)?;
        account.updated = self.time();
        self.changed();
        Ok(())
    }
}

/// Payments.
impl DriveWealthSandbox {
    /// All deposits, oldest first.
    pub fn deposits(&self) -> Vec<Payment> {
        self.payments(PaymentKind::Deposit)
    }

    /// All redemptions, oldest first.
    pub fn redemptions(&self) -> Vec<Payment> {
        self.payments(PaymentKind::Redemption)
    }

    fn payments(&self, kind: PaymentKind) -> Vec<Payment> {
        let locked = self.lock();
        let payments = locked.state.payments_where(|payment| payment.kind == kind);
        payments.into_iter().cloned().collect()
    }

    /// A payment as it is now.
    pub fn payment(&self, payment_id: &str) -> Option<Payment> {
        self.lock().state.payments.get(payment_id).cloned()
    }

    /// Payments take their next status by themselves after this time; `None`: only by `step` and `advance`.
    pub fn auto_advance(&self, pace: Option<Duration>) {
        let mut live = self.lock();
        live.auto_advance = pace;
        self.follow_all(&live);
    }

    /// Puts a payment into any status, with the cash and the event that go with it.
    pub fn advance(&self, payment_id: &str, status: i32) -> anyhow::Result<Payment> {
        self.fail_with(payment_id, status, "")
    }

    /// Puts a payment into any status, with a comment.
    pub fn fail_with(&self, payment_id: &str, status: i32, comment: &str) -> anyhow::Result<Payment> {
        let mut live = self.lock();
        ensure!(
            self.change(&mut live, payment_id, status, comment, self.time()),
            "there is no payment {payment_id}"
        );
        live.state
            .payments
            .get(payment_id)
            .cloned()
            .context("the payment is gone")
    }

    /// Lets a payment take the next status of its usual way.
    pub fn step(&self, payment_id: &str) -> anyhow::Result<Payment> {
        let mut live = self.lock();
        let payment = live.state.payments.get(payment_id);
        let payment = payment.with_context(|| format!("there is no payment {payment_id}"))?;
        let Some((status, comment)) = payments::next(&live.state, payment) else {
            bail!(
                "payment {payment_id} has no next status of its own after {}",
                payment.status
            );
        };
        self.change(&mut live, payment_id, status, &comment, self.time());
        live.state
            .payments
            .get(payment_id)
            .cloned()
            .context("the payment is gone")
    }

    /// The bank takes a deposit back, or a redemption comes back.
    pub fn return_deposit(&self, payment_id: &str) -> anyhow::Result<Payment> {
        self.fail_with(payment_id, status::RETURNED, "R01 Insufficient funds")
    }

    /// Deposits from the bank account decline from now on.
    pub fn decline_bank_account(&self, bank_account_id: &str, decline: Decline) {
        self.lock()
            .state
            .declines
            .insert(bank_account_id.to_owned(), decline);
        self.changed();
    }

    /// Deposits from the bank account are good again.
    pub fn accept_bank_account(&self, bank_account_id: &str) {
        self.lock().state.declines.remove(bank_account_id);
        self.changed();
    }
}

/// Events.
impl DriveWealthSandbox {
    /// All envelopes made for a payment since the start, oldest first.
    pub fn events_of(&self, payment_id: &str) -> Vec<Value> {
        self.payment(payment_id)
            .map(|payment| payment.events)
            .unwrap_or_default()
    }

    /// Makes an event of any type and sends it, whatever the modes are; gives the envelope.
    pub async fn send_event(&self, kind: &str, payload: Value) -> Value {
        let event = envelope(kind, payload, self.time());
        self.send_envelope(&event).await;
        event
    }

    /// Sends an envelope as it is, for example once more; returns when it is in the queue.
    pub async fn send_envelope(&self, envelope: &Value) {
        self.outbox().send(envelope);
        self.outbox().flush().await;
    }

    /// Makes events without sending them.
    pub fn hold_events(&self, hold: bool) {
        self.outbox().change_modes(|modes| modes.hold = hold);
    }

    /// Sends the events that were held back so far.
    pub async fn release_events(&self) {
        self.outbox().send_held();
        self.outbox().flush().await;
    }

    /// Forgets the events that were held back so far.
    pub fn drop_held_events(&self) {
        self.outbox().drop_held();
    }

    /// Sends every event twice.
    pub fn duplicate_events(&self, duplicate: bool) {
        self.outbox().change_modes(|modes| modes.duplicate = duplicate);
    }

    /// Lets events overtake each other.
    pub fn shuffle_events(&self, shuffle: bool) {
        self.outbox().change_modes(|modes| modes.shuffle = shuffle);
    }

    /// How events are delivered.
    pub fn delivery_modes(&self) -> DeliveryModes {
        self.outbox().modes()
    }

    /// Waits until all events sent so far are in the queue.
    pub async fn flush_events(&self) {
        self.outbox().flush().await;
    }
}

/// Internals for tests.
impl DriveWealthSandbox {
    /// The counters.
    pub fn counters(&self) -> Counters {
        self.lock().state.counters
    }

    /// The tokens of the sessions that last.
    pub fn session_tokens(&self) -> Vec<String> {
        self.lock().state.sessions.keys().cloned().collect()
    }

    /// For how long sessions begun from now on last.
    pub fn session_lifetime(&self, lifetime: Duration) {
        self.lock().session_lifetime = TimeDelta::from_std(lifetime).unwrap_or(TimeDelta::MAX);
    }
}

fn new_account(seed: &SeedAccount, now: DateTime<Utc>) -> anyhow::Result<Account> {
    let weights: i64 = seed.funds.iter().map(|(_, weight)| weight).sum();
    let cash_target = ONE - weights;
    let sound = seed.cash_cents >= 0 && cash_target >= 0 && seed.funds.iter().all(|(_, weight)| *weight >= 0);
    ensure!(
        sound,
        "the cash and the weights must not be negative, nor the weights sum to more than 10000"
    );
    let mut account = Account {
        id: seed.account_id.clone(),
        number: seed.account_no.clone(),
        user_id: seed.user_id.clone(),
        status: "OPEN".to_owned(),
        created: now,
        updated: now,
        bank_accounts: BTreeSet::new(),
        cash_cents: seed.cash_cents,
        withdrawable_cents: seed.cash_cents,
        cash_target,
        funds: Vec::new(),
        follows: Follows::Own,
    };
    for (name, weight) in &seed.funds {
        let fund = Fund {
            id: account.fund_id(name),
            name: name.clone(),
            target: *weight,
            value_cents: fund_value(seed.cash_cents, cash_target, *weight)?,
            holdings: Vec::new(),
        };
        account.funds.push(fund);
    }
    Ok(account)
}

/// The value at which a fund has its weight beside the cash, rounded down.
fn fund_value(cash_cents: i64, cash_target: i64, weight: i64) -> anyhow::Result<i64> {
    if cash_target == 0 {
        return Ok(0);
    }
    let value = i128::from(cash_cents) * i128::from(weight) / i128::from(cash_target);
    i64::try_from(value).context("the fund's value is too large")
}

fn account_state(account: &Account) -> AccountState {
    let holding = |holding: Holding| HoldingState {
        symbol: holding.symbol,
        target: holding.target,
        value_cents: holding.value_cents,
    };
    let fund = |fund: &Fund| FundState {
        id: fund.id.clone(),
        name: fund.name.clone(),
        target: fund.target,
        value_cents: fund.value_cents,
        holdings: fund.holdings().into_iter().map(holding).collect(),
    };
    AccountState {
        id: account.id.clone(),
        account_no: account.number.clone(),
        user_id: account.user_id.clone(),
        status: account.status.clone(),
        portfolio_id: account.portfolio_id().unwrap_or_default(),
        cash_cents: account.cash_cents,
        withdrawable_cents: account.withdrawable_cents,
        equity_cents: account.equity_cents(),
        cash_target: account.cash_target,
        funds: account.funds.iter().map(fund).collect(),
    }
}
