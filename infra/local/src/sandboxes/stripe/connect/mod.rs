//! Connect: accounts of people who are paid, with a page of onboarding; transfers from our balance to theirs, and payouts
//! from theirs to their banks. A payout without the header `Stripe-Account` goes to our own bank, as at Stripe.
//!
//! Stripe's test bank accounts decide how a payout ends. It ends within a moment, unless payouts are held.

mod account;
mod bank;
mod handle;
mod money;
pub(super) mod objects;
pub(super) mod state;

pub(super) use handle::route;
pub use state::{
    BankAccount, ConnectedAccount, OnboardingLink, Payout, PayoutStatus, Transfer, TransferReversal,
};

use serde_json::{Value, json};

use super::errors::{ApiError, ApiResult};
use super::params::Params;
use super::work::Work;

/// Signs the events of connected accounts; other events are signed with another.
pub(super) const WEBHOOK_SECRET: &str = "whsec_local_connect_2c7e91d4a05b48f3b6d8";

impl Work<'_> {
    /// Does an operation of Connect.
    pub(super) fn connect(&mut self, operation: &str, id: &str, mut params: Params) -> ApiResult<Value> {
        match operation {
            "create_account" => self.create_account(params),
            "list_accounts" => self.list_accounts(params),
            "create_account_link" => self.create_account_link(params),
            "create_transfer" => self.create_transfer(params),
            "list_transfers" => self.list_transfers(params),
            "create_transfer_reversal" => self.create_reversal(id, params),
            "create_payout" => self.create_payout(params),
            "list_payouts" => self.list_payouts(params),
            "cancel_payout" => self.cancel_payout(id, params),
            "retrieve_account" => self.retrieve_account(id, params),
            "retrieve_transfer" => {
                params.finish()?;
                self.found(self.state.connect.transfers.contains_key(id), "transfer", id)
            }
            "retrieve_payout" => {
                params.finish()?;
                self.payout_of_caller(id)?;
                Ok(self.render(id))
            }
            _ => {
                params.list("expand");
                params.finish()?;
                Ok(self.balance())
            }
        }
    }

    fn found(&self, is_there: bool, object: &str, id: &str) -> ApiResult<Value> {
        match is_there {
            true => Ok(self.render(id)),
            false => Err(ApiError::missing(404, object, id, "id")),
        }
    }

    /// Makes the event of a connected account, whoever has caused it.
    fn emit_of(&mut self, account: &str, kind: &str, object: &str) {
        let caller = self.account.replace(account.to_owned());
        self.emit(kind, object);
        self.account = caller;
    }

    fn list(&self, url: &str, (ids, has_more): (Vec<String>, bool)) -> Value {
        let data: Vec<Value> = ids.iter().map(|id| self.render(id)).collect();
        json!({ "object": "list", "url": url, "has_more": has_more, "data": data })
    }
}
