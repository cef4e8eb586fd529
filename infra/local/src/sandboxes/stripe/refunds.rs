//! Refunds and payouts.

use serde_json::{Value, json};

use super::errors::{ApiError, ApiResult};
use super::params::{Params, missing};
use super::render::list;
use super::state::{Payout, PayoutStatus, Refund, new_id};
use super::work::{Page, Work};

impl Work<'_> {
    pub(super) fn create_refund(&mut self, mut params: Params) -> ApiResult<Value> {
        let intent = params.text("payment_intent");
        let charge = params.text("charge");
        let amount = params.integer("amount")?;
        let reasons = ["duplicate", "fraudulent", "requested_by_customer"];
        let reason = params.one_of("reason", &reasons)?;
        let metadata = params.metadata()?;
        params.finish()?;
        let charge = match (intent, charge) {
            (Some(intent), _) => {
                if !self.state.intents.contains_key(&intent) {
                    return Err(ApiError::missing(
                        404,
                        "payment_intent",
                        &intent,
                        "payment_intent",
                    ));
                }
                let charge = self.state.charge_of(&intent);
                let none = || {
                    ApiError::invalid(
                        Some("payment_intent_unexpected_state"),
                        format!("This PaymentIntent ({intent}) does not have a successful charge to refund."),
                    )
                };
                charge.ok_or_else(none)?.id.clone()
            }
            (None, Some(charge)) => charge,
            (None, None) => return Err(missing("payment_intent")),
        };
        let id = self.refund(&charge, amount, reason, metadata)?;
        Ok(self.render(&id))
    }

    /// Gives money of a charge back, all that is left unless an amount is given; the refund's id.
    pub(super) fn refund(
        &mut self,
        charge: &str,
        amount: Option<i64>,
        reason: Option<String>,
        metadata: super::state::Metadata,
    ) -> ApiResult<String> {
        let now = self.now;
        let Some(charge) = self.state.charges.get_mut(charge) else {
            return Err(ApiError::missing(404, "charge", charge, "charge"));
        };
        let left = charge.amount.saturating_sub(charge.amount_refunded);
        let amount = amount.unwrap_or(left);
        if charge.disputed {
            return Err(ApiError::invalid(
                Some("charge_disputed"),
                format!(
                    "Charge {} has been charged back; cannot issue a refund.",
                    charge.id
                ),
            ));
        }
        if left == 0 {
            return Err(ApiError::invalid(
                Some("charge_already_refunded"),
                format!("Charge {} has already been refunded.", charge.id),
            ));
        }
        if !(1..=left).contains(&amount) {
            let message = match amount {
                ..=0 => "Invalid positive integer".to_owned(),
                _ => format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"),
            };
            return Err(ApiError::invalid(None, message).with("param", "amount".into()));
        }
        let previous = json!({
            "amount_refunded": charge.amount_refunded,
            "refunded": false,
        });
        charge.amount_refunded = charge.amount_refunded.saturating_add(amount);
        let refund = Refund {
            id: new_id("re"),
            created: now,
            amount,
            currency: charge.currency.clone(),
            charge: charge.id.clone(),
            payment_intent: charge.payment_intent.clone(),
            reason,
            metadata,
        };
        let charge = charge.id.clone();
        let id = refund.id.clone();
        self.state.refunds.insert(id.clone(), refund);
        self.emit("refund.created", &id);
        self.emit_change("charge.refunded", &charge, Some(previous));
        Ok(id)
    }

    pub(super) fn list_refunds(&self, mut params: Params) -> ApiResult<Value> {
        let page = Page::of(&mut params)?;
        let intent = params.text("payment_intent");
        let charge = params.text("charge");
        params.finish()?;
        let wanted = |refund: &&Refund| {
            intent
                .as_ref()
                .is_none_or(|intent| refund.payment_intent == *intent)
                && charge.as_ref().is_none_or(|charge| refund.charge == *charge)
        };
        let refunds = self.state.refunds.values().filter(wanted);
        let (ids, has_more) = page.cut(refunds.map(|refund| (refund.id.as_str(), refund.created)));
        let data = ids.iter().map(|id| self.render(id)).collect();
        Ok(list("/v1/refunds", data, has_more))
    }

    pub(super) fn create_payout(&mut self, mut params: Params) -> ApiResult<Value> {
        let currency = params.currency()?;
        let amount = params.integer("amount")?.ok_or_else(|| missing("amount"))?;
        let description = params.text("description");
        let metadata = params.metadata()?;
        params.one_of("method", &["standard"])?;
        params.finish()?;
        if amount <= 0 {
            return Err(ApiError::parameter(
                "parameter_invalid_integer",
                "amount",
                "This value must be greater than or equal to 1.",
            ));
        }
        let payout = Payout {
            id: new_id("po"),
            created: self.now,
            amount,
            currency,
            description,
            metadata,
            status: PayoutStatus::Pending,
            failure_code: None,
            idempotency_key: self.idempotency_key.clone(),
        };
        let id = payout.id.clone();
        self.state.payouts.insert(id.clone(), payout);
        self.emit("payout.created", &id);
        Ok(self.render(&id))
    }

    pub(super) fn list_payouts(&self, mut params: Params) -> ApiResult<Value> {
        let page = Page::of(&mut params)?;
        params.finish()?;
        let payouts = self.state.payouts.values();
        let (ids, has_more) = page.cut(payouts.map(|payout| (payout.id.as_str(), payout.created)));
        let data = ids.iter().map(|id| self.render(id)).collect();
        Ok(list("/v1/payouts", data, has_more))
    }

    pub(super) fn cancel_payout(&mut self, id: &str, params: Params) -> ApiResult<Value> {
        params.finish()?;
        if !self.state.payouts.contains_key(id) {
            return Err(ApiError::missing(404, "payout", id, "payout"));
        }
        match self.end_payout(id, PayoutStatus::Canceled, None) {
            true => Ok(self.render(id)),
            false => Err(ApiError::invalid(
                Some("payout_not_allowed"),
                "Payouts can only be canceled while they are pending.",
            )),
        }
    }

    /// Ends a payout; says whether it could. A paid one can still fail: banks send money back days later.
    pub(super) fn end_payout(&mut self, id: &str, status: PayoutStatus, failure_code: Option<&str>) -> bool {
        let Some(payout) = self.state.payouts.get_mut(id) else {
            return false;
        };
        let event = match (payout.status, status) {
            (PayoutStatus::Pending, PayoutStatus::Paid) => "payout.paid",
            (PayoutStatus::Pending, PayoutStatus::Canceled) => "payout.canceled",
            (PayoutStatus::Pending | PayoutStatus::Paid, PayoutStatus::Failed) => "payout.failed",
            _ => return false,
        };
        payout.status = status;
        payout.failure_code =
            (status == PayoutStatus::Failed).then(|| failure_code.unwrap_or("could_not_process").to_owned());
        self.emit(event, id);
        true
    }
}
