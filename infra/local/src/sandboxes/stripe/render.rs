//! Stripe's objects as JSON, as the API returns them and events carry them.

use serde_json::{Value, json};

use super::cards::{self, Decline};
use super::connect::objects;
use super::defaults::{charge_defaults, payment_intent_defaults, session_defaults, with_defaults};
use super::errors::failure;
use super::state::{
    Charge, ChargeStatus, CheckoutSession, Customer, Dispute, Event, FailedTry, IntentStatus, PaymentIntent,
    PaymentMethod, Price, Refund, SessionMode, SessionStatus, SetupIntent, State,
};

/// The version of the API that the objects are of.
pub(super) const API_VERSION: &str = "2026-09-30.endive";

/// How long a dispute can be answered.
const DISPUTE_S: i64 = 7 * 24 * 3600;

/// Renders what is in the state; pages are below the base.
#[derive(Debug, Clone, Copy)]
pub(super) struct Renderer<'a> {
    pub(super) state: &'a State,
    pub(super) base: &'a str,
}

impl Renderer<'_> {
    /// The object with the id.
    pub(super) fn object(&self, id: &str) -> Option<Value> {
        let state = self.state;
        let (prefix, _) = id.rsplit_once('_')?;
        match prefix {
            "cus" => state.customers.get(id).map(customer),
            "pm" => state.methods.get(id).map(payment_method),
            "cs_test" => state.sessions.get(id).map(|session| self.session(session)),
            "seti" => state.setups.get(id).map(|setup| self.setup_intent(setup)),
            "pi" => state.intents.get(id).map(|intent| self.payment_intent(intent)),
            "ch" => state.charges.get(id).map(|charge| self.charge(charge)),
            "re" => state.refunds.get(id).map(refund),
            "du" => state.disputes.get(id).map(|dispute| self.dispute(dispute)),
            "evt" => state.events.get(id).map(event),
            "acct" | "tr" | "trr" | "po" | "ba" => objects::object(&state.connect, id),
            _ => None,
        }
    }

    pub(super) fn session(&self, session: &CheckoutSession) -> Value {
        let open = session.status == SessionStatus::Open;
        let paid = session
            .payment_intent
            .as_ref()
            .and_then(|id| self.state.intents.get(id))
            .is_some_and(|intent| intent.status == IntentStatus::Succeeded);
        let payment_status = match session.mode {
            SessionMode::Setup => "no_payment_required",
            SessionMode::Payment if paid => "paid",
            SessionMode::Payment => "unpaid",
        };
        let customer = session
            .customer
            .as_ref()
            .and_then(|id| self.state.customers.get(id));
        let details = customer.map(|customer| {
            json!({
                "address": null,
                "business_name": null,
                "email": customer.email,
                "individual_name": null,
                "name": customer.name,
                "phone": customer.phone,
                "tax_exempt": "none",
                "tax_ids": [],
            })
        });
        let totals = session
            .amount
            .map(|_| json!({ "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 }));
        with_defaults(
            json!({
                "id": session.id,
                "object": "checkout.session",
                "amount_subtotal": session.amount,
                "amount_total": session.amount,
                "cancel_url": session.cancel_url,
                "client_reference_id": session.client_reference_id,
                "created": session.created,
                "currency": session.currency,
                "customer": session.customer,
                "customer_details": details,
                "expires_at": session.expires_at,
                "metadata": session.metadata,
                "mode": session.mode,
                "payment_intent": session.payment_intent,
                "payment_status": payment_status,
                "setup_intent": session.setup_intent,
                "status": session.status,
                "success_url": session.success_url,
                "total_details": totals,
                "url": open.then(|| format!("{}/pay/{}", self.base, session.id)),
            }),
            session_defaults(),
        )
    }

    /// The lines of a checkout session.
    pub(super) fn session_lines(&self, session: &CheckoutSession) -> Value {
        let lines = session
            .lines
            .iter()
            .zip(1_u32..)
            .filter_map(|((id, quantity), number)| {
                let found = self.state.prices.get(id)?;
                let amount = found.amount.saturating_mul(*quantity);
                Some(json!({
                    "id": format!("li_{}_{number}", session.id.trim_start_matches("cs_test_")),
                    "object": "item",
                    "adjustable_quantity": null,
                    "amount_discount": 0,
                    "amount_subtotal": amount,
                    "amount_tax": 0,
                    "amount_total": amount,
                    "currency": found.currency,
                    "description": found.product,
                    "metadata": {},
                    "price": price(found),
                    "quantity": quantity,
                }))
            });
        list(
            &format!("/v1/checkout/sessions/{}/line_items", session.id),
            lines.collect(),
            false,
        )
    }

    pub(super) fn setup_intent(&self, setup: &SetupIntent) -> Value {
        json!({
            "id": setup.id,
            "object": "setup_intent",
            "application": null,
            "automatic_payment_methods": null,
            "cancellation_reason": null,
            "client_secret": client_secret(&setup.id),
            "created": setup.created,
            "customer": setup.customer,
            "description": setup.description,
            "excluded_payment_method_types": null,
            "flow_directions": null,
            "last_setup_error": setup.last_error.as_ref().map(|failed| self.failed_try(failed)),
            "latest_attempt": null,
            "livemode": false,
            "mandate": null,
            "metadata": setup.metadata,
            "next_action": null,
            "on_behalf_of": null,
            "payment_method": setup.payment_method,
            "payment_method_configuration_details": null,
            "payment_method_options": { "card": { "request_three_d_secure": "automatic" } },
            "payment_method_types": ["card"],
            "single_use_mandate": null,
            "status": setup.status,
            "usage": "off_session",
        })
    }

    pub(super) fn payment_intent(&self, intent: &PaymentIntent) -> Value {
        let received = match intent.status {
            IntentStatus::Succeeded => intent.amount,
            _ => 0,
        };
        let processing = (intent.status == IntentStatus::Processing).then(|| {
            json!({
                "type": "card",
                "card": { "customer_notification": { "approval_requested": false, "completes_at": null } },
            })
        });
        with_defaults(
            json!({
                "id": intent.id,
                "object": "payment_intent",
                "amount": intent.amount,
                "amount_received": received,
                "canceled_at": intent.canceled_at,
                "cancellation_reason": intent.cancellation_reason,
                "client_secret": client_secret(&intent.id),
                "created": intent.created,
                "currency": intent.currency,
                "customer": intent.customer,
                "description": intent.description,
                "last_payment_error": intent.last_error.as_ref().map(|failed| self.failed_try(failed)),
                "latest_charge": intent.latest_charge,
                "metadata": intent.metadata,
                "next_action": self.next_action(intent),
                "payment_method": intent.payment_method,
                "processing": processing,
                "setup_future_usage": intent.saves_card.then_some("off_session"),
                "status": intent.status,
            }),
            payment_intent_defaults(),
        )
    }

    fn next_action(&self, intent: &PaymentIntent) -> Option<Value> {
        if intent.status != IntentStatus::RequiresAction {
            return None;
        }
        let url = format!("{}/authenticate/{}", self.base, intent.id);
        Some(match &intent.return_url {
            Some(back) => json!({
                "type": "redirect_to_url",
                "redirect_to_url": { "return_url": back, "url": url },
            }),
            None => json!({
                "type": "use_stripe_sdk",
                "use_stripe_sdk": { "type": "three_d_secure_redirect", "stripe_js": url },
            }),
        })
    }

    fn failed_try(&self, failed: &FailedTry) -> Value {
        let mut properties = failure(&failed.decline);
        properties.retain(|_, value| !value.is_null());
        let method = self.state.methods.get(&failed.payment_method).map(payment_method);
        properties.insert("payment_method".to_owned(), json!(method));
        if let Some(charge) = &failed.charge {
            properties.insert("charge".to_owned(), json!(charge));
        }
        Value::Object(properties)
    }

    pub(super) fn charge(&self, charge: &Charge) -> Value {
        let method = self.state.methods.get(&charge.payment_method);
        let succeeded = charge.status == ChargeStatus::Succeeded;
        let details = method.map(|method| {
            let mut card = card(method);
            crate::util::set(&mut card, "amount_authorized", json!(charge.amount));
            crate::util::set(&mut card, "network", json!(brand(method)));
            json!({ "type": "card", "card": card })
        });
        with_defaults(
            json!({
                "id": charge.id,
                "billing_details": billing_details(method),
                "object": "charge",
                "amount": charge.amount,
                "amount_captured": if succeeded { charge.amount } else { 0 },
                "amount_refunded": charge.amount_refunded,
                "captured": succeeded,
                "created": charge.created,
                "currency": charge.currency,
                "customer": charge.customer,
                "description": charge.description,
                "disputed": charge.disputed,
                "failure_code": charge.decline.as_ref().map(|decline| &decline.code),
                "failure_message": charge.decline.as_ref().map(|decline| &decline.message),
                "metadata": charge.metadata,
                "outcome": outcome(charge.decline.as_ref()),
                "paid": succeeded,
                "payment_intent": charge.payment_intent,
                "payment_method": charge.payment_method,
                "payment_method_details": details,
                "refunded": succeeded && charge.amount_refunded == charge.amount,
                "status": charge.status,
            }),
            charge_defaults(),
        )
    }

    pub(super) fn dispute(&self, dispute: &Dispute) -> Value {
        let due_by = dispute.created.saturating_add(DISPUTE_S);
        json!({
            "id": dispute.id,
            "object": "dispute",
            "amount": dispute.amount,
            "balance_transactions": [],
            "charge": dispute.charge,
            "created": dispute.created,
            "currency": dispute.currency,
            "enhanced_eligibility_types": [],
            "evidence": { "enhanced_evidence": {} },
            "evidence_details": {
                "due_by": due_by,
                "enhanced_eligibility": {},
                "has_evidence": false,
                "past_due": false,
                "submission_count": 0,
            },
            "is_charge_refundable": false,
            "livemode": false,
            "metadata": {},
            "network_reason_code": null,
            "payment_intent": dispute.payment_intent,
            "reason": "fraudulent",
            "status": "needs_response",
        })
    }
}

/// A list as the API returns it.
pub(super) fn list(url: &str, data: Vec<Value>, has_more: bool) -> Value {
    json!({ "object": "list", "url": url, "has_more": has_more, "data": data })
}

/// The secret with which a browser confirms an intent: the id and a part that nobody can guess from it at Stripe.
fn client_secret(id: &str) -> String {
    format!("{id}_secret_local")
}

fn customer(customer: &Customer) -> Value {
    json!({
        "id": customer.id,
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": customer.created,
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": customer.description,
        "email": customer.email,
        "invoice_prefix": "MONETA",
        "invoice_settings": {
            "custom_fields": null,
            "default_payment_method": null,
            "footer": null,
            "rendering_options": null,
        },
        "livemode": false,
        "metadata": customer.metadata,
        "name": customer.name,
        "next_invoice_sequence": 1,
        "phone": customer.phone,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    })
}

fn price(price: &Price) -> Value {
    json!({
        "id": price.id,
        "object": "price",
        "active": true,
        "billing_scheme": "per_unit",
        "created": 0,
        "currency": price.currency,
        "custom_unit_amount": null,
        "livemode": false,
        "lookup_key": null,
        "metadata": {},
        "nickname": null,
        "product": price.product,
        "recurring": null,
        "tax_behavior": "unspecified",
        "tiers_mode": null,
        "transform_quantity": null,
        "type": "one_time",
        "unit_amount": price.amount,
        "unit_amount_decimal": price.amount.to_string(),
    })
}

/// A payment method.
pub(super) fn payment_method(method: &PaymentMethod) -> Value {
    json!({
        "id": method.id,
        "object": "payment_method",
        "allow_redisplay": "limited",
        "billing_details": billing_details(Some(method)),
        "card": card(method),
        "created": method.created,
        "customer": method.customer,
        "customer_account": null,
        "livemode": false,
        "metadata": method.metadata,
        "type": "card",
    })
}

fn billing_details(method: Option<&PaymentMethod>) -> Value {
    json!({
        "address": {
            "city": null,
            "country": null,
            "line1": null,
            "line2": null,
            "postal_code": null,
            "state": null,
        },
        "email": null,
        "name": method.and_then(|method| method.name.as_ref()),
        "phone": null,
        "tax_id": null,
    })
}

fn brand(method: &PaymentMethod) -> &'static str {
    cards::by_number(&method.number).map_or("unknown", |card| card.brand)
}

fn card(method: &PaymentMethod) -> Value {
    let test_card = cards::by_number(&method.number);
    json!({
        "brand": brand(method),
        "checks": {
            "address_line1_check": null,
            "address_postal_code_check": null,
            "cvc_check": "pass",
        },
        "country": "US",
        "display_brand": brand(method),
        "exp_month": method.exp_month,
        "exp_year": method.exp_year,
        "fingerprint": format!("fp_{}", method.number),
        "funding": test_card.map_or("unknown", |card| card.funding),
        "generated_from": null,
        "last4": test_card.map_or("", cards::TestCard::last4),
        "networks": { "available": [brand(method)], "preferred": null },
        "regulated_status": "unregulated",
        "three_d_secure_usage": { "supported": true },
        "wallet": null,
    })
}

fn outcome(decline: Option<&Decline>) -> Value {
    let (network_status, reason, seller_message, kind) = match decline {
        None => ("approved_by_network", None, "Payment complete.", "authorized"),
        Some(decline) => (
            "declined_by_network",
            decline.decline_code.as_ref().or(Some(&decline.code)),
            "The bank did not return any further details with this decline.",
            "issuer_declined",
        ),
    };
    json!({
        "advice_code": null,
        "network_advice_code": null,
        "network_decline_code": null,
        "network_status": network_status,
        "reason": reason,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": seller_message,
        "type": kind,
    })
}

fn refund(refund: &Refund) -> Value {
    let mut rendered = json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": null,
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency,
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": refund.metadata,
        "payment_intent": refund.payment_intent,
        "reason": refund.reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": "succeeded",
        "transfer_reversal": null,
    });
    if let Some(reason) = &refund.failure_reason {
        crate::util::set(&mut rendered, "status", json!("failed"));
        crate::util::set(&mut rendered, "failure_reason", json!(reason));
    }
    rendered
}

/// An event, as it is sent too.
pub(super) fn event(event: &Event) -> Value {
    let mut data = json!({ "object": event.object });
    if let Some(previous) = &event.previous_attributes {
        crate::util::set(&mut data, "previous_attributes", previous.clone());
    }
    let pending = event.delivery == super::state::DeliveryStatus::Pending;
    let mut rendered = json!({
        "id": event.id,
        "object": "event",
        "api_version": API_VERSION,
        "created": event.created,
        "data": data,
        "livemode": false,
        "pending_webhooks": i32::from(pending),
        "request": { "id": event.request, "idempotency_key": event.idempotency_key },
        "type": event.kind,
    });
    if let Some(account) = &event.account {
        crate::util::set(&mut rendered, "account", json!(account));
    }
    rendered
}
