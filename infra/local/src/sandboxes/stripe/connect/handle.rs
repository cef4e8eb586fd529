//! What tests, and people under `/control/stripe`, can do about Connect.

use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::{ConnectedAccount, Payout, PayoutStatus, Transfer, TransferReversal};
use crate::sandboxes::call::Call;
use crate::sandboxes::stripe::StripeSandbox;
use crate::sandboxes::stripe::errors::{ApiError, ApiResult};
use crate::sandboxes::stripe::webhooks;

/// How long a bank takes for a step of a payout.
const STEP: Duration = Duration::from_millis(100);

fn refused(error: ApiError) -> anyhow::Error {
    anyhow::Error::msg(error.message())
}

impl StripeSandbox {
    /// The person sends the page of onboarding with one of Stripe's test accounts; again to change the bank account.
    ///
    /// # Errors
    /// When there is no such account, or the number is none of Stripe's.
    pub fn onboard(&self, account: &str, number: &str) -> anyhow::Result<()> {
        self.on(account, |work| work.onboard(account, number))
    }

    /// Stripe stops an account for a reason, or wants something; none and nothing make it whole again.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn restrict(&self, account: &str, reason: Option<&str>, due: &[&str]) -> anyhow::Result<()> {
        let due = due.iter().map(|due| (*due).to_owned()).collect();
        self.on(account, |work| {
            work.restrict(account, reason.map(str::to_owned), due)
        })
    }

    /// The person disconnects the account from ours.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn revoke(&self, account: &str) -> anyhow::Result<()> {
        self.on(account, |work| work.revoke(account))
    }

    fn on(
        &self,
        account: &str,
        change: impl FnOnce(&mut crate::sandboxes::stripe::work::Work<'_>) -> ApiResult<()>,
    ) -> anyhow::Result<()> {
        self.work(change)
            .map_err(refused)
            .with_context(|| format!("account {account}"))
    }

    /// The bank gives a payout back, also long after it was paid.
    ///
    /// # Errors
    /// When there is no such payout, or it came back before.
    pub fn fail_payout(&self, payout: &str, failure_code: &str) -> anyhow::Result<()> {
        let known = self.payout(payout).context("there is no such payout")?;
        let has_ended = matches!(known.status, PayoutStatus::Failed | PayoutStatus::Canceled);
        anyhow::ensure!(!has_ended, "the payout is {}", known.status.name());
        self.work(|work| work.end_payout(payout, PayoutStatus::Failed, Some(failure_code)));
        Ok(())
    }

    /// Somebody calls a payout back by hand, while its bank hasn't got it.
    ///
    /// # Errors
    /// When there is no such payout, or the bank has it.
    pub fn cancel_payout(&self, payout: &str) -> anyhow::Result<()> {
        let known = self.payout(payout).context("there is no such payout")?;
        let waits = matches!(known.status, PayoutStatus::Pending);
        anyhow::ensure!(waits, "the payout is {}", known.status.name());
        self.work(|work| work.end_payout(payout, PayoutStatus::Canceled, None));
        Ok(())
    }

    /// A payout goes a step on: to the bank, and then to the end that its bank account has.
    ///
    /// # Errors
    /// When there is no such payout.
    pub fn advance_payout(&self, payout: &str) -> anyhow::Result<PayoutStatus> {
        let status = self.work(|work| work.advance_payout(payout));
        status.context("there is no such payout")
    }

    /// Whether payouts wait for [`advance_payout`](Self::advance_payout).
    pub fn hold_payouts(&self, on: bool) {
        self.work(|work| work.state.connect.hold_payouts = on);
    }

    /// After how many seconds transfers can be paid out.
    pub fn transfers_arrive_after(&self, seconds: i64) {
        self.work(|work| work.state.connect.transfers_arrive_after_s = seconds);
    }

    /// What was transferred can be paid out now, however late it would be.
    pub fn transfers_have_arrived(&self) {
        self.work(|work| {
            let now = work.now;
            for account in work.state.connect.accounts.values_mut() {
                for (at, _) in &mut account.arrivals {
                    *at = now.min(*at);
                }
            }
        });
    }

    /// Somebody pays out of an account by hand, with this metadata; the payout's id. It is taken from what isn't there.
    ///
    /// # Errors
    /// When there is no such account, or it has no bank account.
    pub fn pay_out_outside(
        &self,
        account: &str,
        amount: i64,
        metadata: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let metadata = metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let payout = self
            .work(|work| work.pay_out_by_hand(account, amount, metadata))
            .map_err(refused)?;
        self.send_to_the_bank();
        Ok(payout)
    }

    /// What we have at Stripe, in cents of USD.
    pub fn available(&self) -> i64 {
        self.lock().state.connect.available
    }

    /// Changes what we have at Stripe.
    pub fn set_available(&self, cents: i64) {
        self.work(|work| work.state.connect.available = cents);
    }

    /// The connected accounts, oldest first.
    pub fn connected_accounts(&self) -> Vec<ConnectedAccount> {
        self.lock().state.connect.accounts.values().cloned().collect()
    }

    /// The transfers, oldest first.
    pub fn transfers(&self) -> Vec<Transfer> {
        self.lock().state.connect.transfers.values().cloned().collect()
    }

    /// The reversals, oldest first.
    pub fn reversals(&self) -> Vec<TransferReversal> {
        self.lock().state.connect.reversals.values().cloned().collect()
    }

    /// The payouts, oldest first, those to our own bank among them.
    pub fn payouts(&self) -> Vec<Payout> {
        self.lock().state.connect.payouts.values().cloned().collect()
    }

    fn payout(&self, id: &str) -> Option<Payout> {
        self.lock().state.connect.payouts.get(id).cloned()
    }

    /// The header for an event of a connected account that is sent now.
    pub fn sign_now_for_connect(&self, payload: &str) -> String {
        webhooks::signature_header(payload, &[super::WEBHOOK_SECRET.to_owned()], self.now())
    }

    /// The banks take the payouts that are on their way, step by step, unless they are held.
    pub(in crate::sandboxes::stripe) fn send_to_the_bank(&self) {
        let sandbox = self.downgrade();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(STEP).await;
                let Some(alive) = sandbox.upgrade() else {
                    return;
                };
                let are_held = alive.lock().state.connect.hold_payouts;
                let left = alive.work(|work| work.payouts_on_their_way());
                if are_held || left.is_empty() {
                    return;
                }
                for id in left {
                    alive.work(|work| work.advance_payout(&id));
                }
            }
        });
    }
}

#[derive(Deserialize)]
struct Bank {
    number: String,
}

#[derive(Deserialize)]
struct Restriction {
    disabled_reason: Option<String>,
    #[serde(default)]
    currently_due: Vec<String>,
}

#[derive(Deserialize)]
struct Failure {
    failure_code: String,
}

#[derive(Deserialize)]
struct Balance {
    available: i64,
}

#[derive(Deserialize)]
struct Modes {
    hold_payouts: Option<bool>,
    transfers_arrive_after_s: Option<i64>,
}

/// The control routes of Connect.
pub(in crate::sandboxes::stripe) fn route(
    sandbox: &StripeSandbox,
    call: &Call,
) -> anyhow::Result<Option<Value>> {
    match call.segments().as_slice() {
        ["accounts", id, "onboard"] => sandbox.onboard(id, &call.read::<Bank>()?.number)?,
        ["accounts", id, "restrict"] => {
            let restriction: Restriction = call.read()?;
            let due: Vec<&str> = restriction.currently_due.iter().map(String::as_str).collect();
            sandbox.restrict(id, restriction.disabled_reason.as_deref(), &due)?;
        }
        ["accounts", id, "revoke"] => sandbox.revoke(id)?,
        ["payouts", id, "fail"] => sandbox.fail_payout(id, &call.read::<Failure>()?.failure_code)?,
        ["payouts", id, "advance"] => {
            let status = sandbox.advance_payout(id)?;
            return Ok(Some(json!({ "status": status })));
        }
        ["balance"] => sandbox.set_available(call.read::<Balance>()?.available),
        ["connect"] => {
            let modes: Modes = call.read()?;
            if let Some(on) = modes.hold_payouts {
                sandbox.hold_payouts(on);
            }
            if let Some(seconds) = modes.transfers_arrive_after_s {
                sandbox.transfers_arrive_after(seconds);
            }
        }
        _ => return Ok(None),
    }
    Ok(Some(json!({})))
}
