//! Refunds.

use serde_json::{Value, json};

use super::errors::{ApiError, ApiResult};
use super::params::{Params, missing};
use super::render::list;
use super::state::{Refund, new_id};
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

    pub(super) fn list_refunds(&self, mut params: Params) -> ApiResult<Value> {
        let page = Page::of(&mut params)?;
        let intent = params.text("payment_intent");
        let charge = params.text("charge");
        params.finish()?;
        if let Some(intent) = intent.as_ref().filter(|id| !self.state.intents.contains_key(*id)) {
            return Err(ApiError::missing(404, "payment_intent", intent, "payment_intent"));
        }
        let wanted = |refund: &&Refund| {
            intent.as_ref().is_none_or(|id| *id == refund.payment_intent)
                && charge.as_ref().is_none_or(|id| *id == refund.charge)
        };
        let refunds = self.state.refunds.values().filter(wanted);
        let (ids, has_more) = page.cut(refunds.map(|refund| (refund.id.as_str(), refund.created)));
        let data = ids.iter().map(|id| self.render(id)).collect();
        Ok(list("/v1/refunds", data, has_more))
    }

    /// The bank gives back what a refund sent: it is ours again, and can be given back anew.
    pub(super) fn fail_refund(&mut self, id: &str, reason: &str) -> ApiResult<()> {
        let Some(refund) = self.state.refunds.get_mut(id) else {
            return Err(ApiError::missing(404, "refund", id, "refund"));
        };
        if refund.failure_reason.is_some() {
            return Err(ApiError::invalid(
                None,
                format!("Refund {id} has failed already."),
            ));
        }
        refund.failure_reason = Some(reason.to_owned());
        let amount = refund.amount;
        if let Some(charge) = self.state.charges.get_mut(&refund.charge) {
            charge.amount_refunded = charge.amount_refunded.saturating_sub(amount);
        }
        let previous = json!({ "status": "succeeded" });
        self.emit_change("refund.updated", id, Some(previous.clone()));
        self.emit_change("refund.failed", id, Some(previous));
        Ok(())
    }

    /// Gives money of a charge back, all that is left unless an amount is given; the refund's id.
    pub(super) fn refund(
        &mut self,
        charge: &str,
        amount: Option<i64>,
        reason: Option<String>,
        metadata: super::params::Metadata,
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
            failure_reason: None,
            metadata,
        };
        let charge = charge.id.clone();
        let id = refund.id.clone();
        self.state.refunds.insert(id.clone(), refund);
        self.emit("refund.created", &id);
        self.emit_change("charge.refunded", &charge, Some(previous));
        Ok(id)
    }
}
