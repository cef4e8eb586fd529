//! Refunds.

use serde_json::{Value, json};

use super::errors::{ApiError, ApiResult};
use super::params::{Params, missing};
use super::state::{Refund, new_id};
use super::work::Work;

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
