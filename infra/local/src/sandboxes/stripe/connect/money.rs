//! Transfers, reversals and payouts.

use serde_json::Value;

use super::bank;
use super::state::{ConnectedAccount, Payout, PayoutStatus, Transfer, TransferReversal};
use crate::sandboxes::stripe::errors::{ApiError, ApiResult};
use crate::sandboxes::stripe::params::Metadata;
use crate::sandboxes::stripe::params::Params;
use crate::sandboxes::stripe::state::new_id;
use crate::sandboxes::stripe::work::{Page, Work};

impl Work<'_> {
    pub(super) fn create_transfer(&mut self, mut params: Params) -> ApiResult<Value> {
        let currency = params.currency()?;
        let amount = params.amount(&currency)?;
        let destination = params.required("destination")?;
        let transfer_group = params.text("transfer_group");
        let metadata = params.metadata()?;
        params.finish()?;
        let account = self.state.connect.accounts.get(&destination);
        let account = account.filter(|account| !account.is_revoked);
        let account =
            account.ok_or_else(|| ApiError::missing(400, "destination", &destination, "destination"))?;
        if !account.is_enabled() {
            let message = "Your destination account needs to have at least one of the following capabilities enabled: transfers";
            return Err(ApiError::invalid(
                Some("insufficient_capabilities_for_transfer"),
                message,
            ));
        }
        let left = self.state.connect.available.saturating_sub(amount);
        if currency != "usd" || left < 0 {
            return Err(insufficient(
                "You have insufficient available funds in your Stripe account.",
            ));
        }
        let arrives = self
            .now
            .saturating_add(self.state.connect.transfers_arrive_after_s);
        self.state.connect.available = left;
        self.connected(&destination)?.arrivals.push((arrives, amount));
        let transfer = Transfer {
            id: new_id("tr"),
            created: self.now,
            amount,
            amount_reversed: 0,
            destination,
            transfer_group,
            metadata,
        };
        let id = transfer.id.clone();
        self.state.connect.transfers.insert(id.clone(), transfer);
        self.emit("transfer.created", &id);
        Ok(self.render(&id))
    }

    pub(super) fn list_transfers(&mut self, mut params: Params) -> ApiResult<Value> {
        let page = Page::of(&mut params)?;
        let (group, destination) = (params.text("transfer_group"), params.text("destination"));
        params.finish()?;
        let fits = |transfer: &&Transfer| {
            (group.is_none() || transfer.transfer_group == group)
                && destination
                    .as_ref()
                    .is_none_or(|destination| transfer.destination == *destination)
        };
        let transfers = self.state.connect.transfers.values().filter(fits);
        let cut = page.cut(transfers.map(|transfer| (transfer.id.as_str(), transfer.created)));
        Ok(self.list("/v1/transfers", cut))
    }

    pub(super) fn create_reversal(&mut self, id: &str, mut params: Params) -> ApiResult<Value> {
        let amount = params.integer("amount")?;
        let metadata = params.metadata()?;
        params.finish()?;
        let now = self.now;
        let transfer = self.state.connect.transfers.get_mut(id);
        let transfer = transfer.ok_or_else(|| ApiError::missing(404, "transfer", id, "id"))?;
        let left = transfer.amount.saturating_sub(transfer.amount_reversed);
        let amount = amount.unwrap_or(left);
        if !(1..=left).contains(&amount) {
            let message = format!("Transfer {id} has only {left} left to be reversed.");
            return Err(ApiError::parameter(
                "transfer_reversal_invalid",
                "amount",
                message,
            ));
        }
        // Money comes back from an account that is disconnected, too.
        let account = self.state.connect.accounts.get_mut(&transfer.destination);
        let account = account.filter(|account| account.available(now) >= amount);
        let account = account
            .ok_or_else(|| insufficient("The connected account has too little available to reverse this."))?;
        account.taken = account.taken.saturating_add(amount);
        transfer.amount_reversed = transfer.amount_reversed.saturating_add(amount);
        let available = self.state.connect.available.saturating_add(amount);
        self.state.connect.available = available;
        let reversal = TransferReversal {
            id: new_id("trr"),
            created: now,
            amount,
            transfer: id.to_owned(),
            metadata,
        };
        let reversed = reversal.id.clone();
        self.state.connect.reversals.insert(reversed.clone(), reversal);
        self.emit("transfer.reversed", id);
        Ok(self.render(&reversed))
    }

    pub(super) fn create_payout(&mut self, mut params: Params) -> ApiResult<Value> {
        let currency = params.currency()?;
        let amount = params.amount(&currency)?;
        let wanted = params.text("destination");
        let metadata = params.metadata()?;
        params.text("statement_descriptor");
        params.one_of("method", &["standard"])?;
        params.finish()?;
        let now = self.now;
        let destination = match self.account.clone() {
            Some(account) => Some(debit(self.connected(&account)?, wanted, amount, &currency, now)?),
            None => {
                let left = self.state.connect.available.saturating_sub(amount);
                if currency != "usd" || left < 0 {
                    return Err(insufficient(
                        "You have insufficient funds in your Stripe account.",
                    ));
                }
                self.state.connect.available = left;
                None
            }
        };
        let payout = Payout {
            id: new_id("po"),
            created: now,
            amount,
            account: self.account.clone(),
            destination,
            status: PayoutStatus::Pending,
            failure_code: None,
            metadata,
        };
        let id = payout.id.clone();
        self.state.connect.payouts.insert(id.clone(), payout);
        self.emit("payout.created", &id);
        Ok(self.render(&id))
    }

    /// A payout that somebody makes in Stripe's dashboard; its id.
    pub(super) fn pay_out_by_hand(
        &mut self,
        account: &str,
        amount: i64,
        metadata: Metadata,
    ) -> ApiResult<String> {
        let known = self.connected(account)?;
        known.taken = known.taken.saturating_add(amount);
        let destination = known.bank.as_ref().map(|bank| bank.id.clone());
        let payout = Payout {
            id: new_id("po"),
            created: self.now,
            amount,
            account: Some(account.to_owned()),
            destination,
            status: PayoutStatus::Pending,
            failure_code: None,
            metadata,
        };
        let id = payout.id.clone();
        self.state.connect.payouts.insert(id.clone(), payout);
        self.emit_of(account, "payout.created", &id);
        Ok(id)
    }

    pub(super) fn list_payouts(&mut self, mut params: Params) -> ApiResult<Value> {
        let page = Page::of(&mut params)?;
        params.finish()?;
        let payouts = self.state.connect.payouts.values();
        let theirs = payouts.filter(|payout| payout.account == self.account);
        let cut = page.cut(theirs.map(|payout| (payout.id.as_str(), payout.created)));
        Ok(self.list("/v1/payouts", cut))
    }

    pub(super) fn cancel_payout(&mut self, id: &str, params: Params) -> ApiResult<Value> {
        params.finish()?;
        if self.payout_of_caller(id)? != PayoutStatus::Pending {
            let message = format!("The payout {id} can't be canceled any more.");
            return Err(ApiError::invalid(Some("payout_not_allowed"), message));
        }
        self.end_payout(id, PayoutStatus::Canceled, None);
        Ok(self.render(id))
    }

    /// The status of a payout of the account that calls; of another account it isn't there.
    pub(super) fn payout_of_caller(&self, id: &str) -> ApiResult<PayoutStatus> {
        let payout = self.state.connect.payouts.get(id);
        let payout = payout.filter(|payout| payout.account == self.account);
        payout
            .map(|payout| payout.status)
            .ok_or_else(|| ApiError::missing(404, "payout", id, "id"))
    }

    /// The payouts that have not ended.
    pub(super) fn payouts_on_their_way(&self) -> Vec<String> {
        let payouts = self.state.connect.payouts.values();
        let on_their_way =
            payouts.filter(|payout| matches!(payout.status, PayoutStatus::Pending | PayoutStatus::InTransit));
        on_their_way.map(|payout| payout.id.clone()).collect()
    }

    /// A payout goes a step on: to the bank, then to the end that its account has. `None` when there is no such payout.
    pub(super) fn advance_payout(&mut self, id: &str) -> Option<PayoutStatus> {
        let payout = self.state.connect.payouts.get_mut(id)?;
        match payout.status {
            PayoutStatus::Pending => {
                payout.status = PayoutStatus::InTransit;
                let account = payout.account.clone();
                self.emit_to(account, "payout.updated", id);
            }
            PayoutStatus::InTransit => match self.ending(id) {
                Some(code) => self.end_payout(id, PayoutStatus::Failed, Some(code)),
                None => self.end_payout(id, PayoutStatus::Paid, None),
            },
            PayoutStatus::Paid | PayoutStatus::Failed | PayoutStatus::Canceled => {}
        }
        self.state.connect.payouts.get(id).map(|payout| payout.status)
    }

    /// Why the payout's bank will give it back.
    fn ending(&self, id: &str) -> Option<&'static str> {
        let account = self.state.connect.payouts.get(id)?.account.as_ref()?;
        let bank = self.state.connect.accounts.get(account)?.bank.as_ref()?;
        bank::ending(&bank.number).ok().flatten()
    }

    /// A payout ends; what comes back is in its balance again, and its bank account is no good any more.
    pub(super) fn end_payout(&mut self, id: &str, status: PayoutStatus, failure_code: Option<&str>) {
        let Some(payout) = self.state.connect.payouts.get_mut(id) else {
            return;
        };
        payout.status = status;
        payout.failure_code = failure_code.map(str::to_owned);
        let payout = payout.clone();
        let kind = format!("payout.{}", status.name());
        if status != PayoutStatus::Paid {
            self.give_back(&payout);
        }
        self.emit_to(payout.account, &kind, id);
    }

    fn give_back(&mut self, payout: &Payout) {
        let Some(id) = &payout.account else {
            self.state.connect.available = self.state.connect.available.saturating_add(payout.amount);
            return;
        };
        let Some(account) = self.state.connect.accounts.get_mut(id) else {
            return;
        };
        account.taken = account.taken.saturating_sub(payout.amount);
        let bank = account.bank.as_mut();
        let bank = bank.filter(|bank| payout.destination.as_ref() == Some(&bank.id));
        if let Some(bank) = bank.filter(|_| payout.status == PayoutStatus::Failed) {
            bank.is_errored = true;
            let bank = bank.id.clone();
            self.emit_of(id, "account.external_account.updated", &bank);
        }
    }

    fn emit_to(&mut self, account: Option<String>, kind: &str, object: &str) {
        match account {
            Some(account) => self.emit_of(&account, kind, object),
            None => self.emit(kind, object),
        }
    }

    pub(super) fn balance(&self) -> Value {
        let account = self.account.as_ref();
        let account = account.and_then(|id| self.state.connect.accounts.get(id));
        let (available, pending) = match account {
            Some(account) => (account.available(self.now), account.pending(self.now)),
            None => (self.state.connect.available, 0),
        };
        super::objects::balance(available, pending)
    }
}

/// Debits an account's balance with a payout; gives the bank account that it goes to.
fn debit(
    account: &mut ConnectedAccount,
    wanted: Option<String>,
    amount: i64,
    currency: &str,
    now: i64,
) -> ApiResult<String> {
    if !account.is_enabled() {
        let message = "Payouts are currently disabled for this account.";
        return Err(ApiError::invalid(Some("payouts_not_allowed"), message));
    }
    let Some(bank) = &account.bank else {
        let message = "There are no external accounts to pay out to.";
        return Err(ApiError::invalid(Some("no_account"), message));
    };
    if let Some(wanted) = wanted.filter(|wanted| *wanted != bank.id) {
        return Err(ApiError::missing(400, "external account", &wanted, "destination"));
    }
    if bank.is_errored {
        let message = "The bank account can't be used: a payout to it has failed. Replace it.";
        return Err(ApiError::invalid(Some("bank_account_unusable"), message));
    }
    if currency != "usd" || account.available(now) < amount {
        return Err(insufficient(
            "You have insufficient funds in your Stripe account for this transfer.",
        ));
    }
    account.taken = account.taken.saturating_add(amount);
    Ok(bank.id.clone())
}

fn insufficient(message: &str) -> ApiError {
    ApiError::invalid(Some("balance_insufficient"), message)
}
