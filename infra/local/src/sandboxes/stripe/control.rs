//! The control routes of the Stripe sandbox; the table is in the module above.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::state::PayoutStatus;
use super::webhooks::ReleaseOrder;
use super::{StripeSandbox, api, handle};
use crate::sandboxes::call::{Call, Reply};
use crate::sandboxes::gate::{Fault, control_gate};

pub(super) async fn answer(sandbox: &StripeSandbox, call: &Call) -> Reply {
    if let Err(error) = check_fault(call) {
        return Reply::control_error(400, format!("{error:#}"));
    }
    if let Some(reply) = control_gate(&sandbox.inner.gate, call) {
        return reply;
    }
    match route(sandbox, call).await {
        Ok(Some(body)) => Reply::ok(&body),
        Ok(None) => Reply::control_error(404, "there is no such route"),
        Err(error) => Reply::control_error(400, format!("{error:#}")),
    }
}

/// Refuses a fault of an operation that doesn't exist, as it would never hit.
fn check_fault(call: &Call) -> anyhow::Result<()> {
    if (call.method.as_str(), call.segments().as_slice()) != ("POST", &["faults"]) {
        return Ok(());
    }
    match read::<Fault>(call)?.operation {
        Some(operation) => handle::known_operation(&operation),
        None => Ok(()),
    }
}

#[derive(Deserialize)]
struct NewPrice {
    id: String,
    amount: i64,
    #[serde(default = "dollars")]
    currency: String,
}

fn dollars() -> String {
    "usd".to_owned()
}

#[derive(Deserialize)]
struct Card {
    number: String,
}

#[derive(Deserialize)]
struct Outcome {
    succeeds: bool,
}

#[derive(Deserialize)]
struct Declines {
    decline_code: Option<String>,
}

#[derive(Deserialize)]
struct Authentication {
    needed: Option<bool>,
}

#[derive(Deserialize)]
struct Switch {
    on: bool,
}

#[derive(Deserialize)]
struct Expiry {
    exp_month: i64,
    exp_year: i64,
}

#[derive(Deserialize)]
struct PayoutEnd {
    status: PayoutStatus,
    failure_code: Option<String>,
}

#[derive(Deserialize)]
struct Modes {
    endpoint: Option<String>,
    /// Missing leaves it; null wants all.
    #[serde(default, deserialize_with = "given")]
    wanted: Option<Option<Vec<String>>>,
    repeat: Option<u32>,
    delay_ms: Option<u64>,
    hold: Option<bool>,
}

/// Tells null from missing.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Vec<String>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct Release {
    order: ReleaseOrder,
}

#[derive(Deserialize)]
struct ToSign {
    payload: String,
    secret: String,
    timestamp: i64,
}

async fn route(sandbox: &StripeSandbox, call: &Call) -> anyhow::Result<Option<Value>> {
    let body = match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", []) => overview(sandbox),
        ("POST", ["prices"]) => {
            let price: NewPrice = read(call)?;
            sandbox.set_price(&price.id, price.amount, &price.currency);
            json!({})
        }
        ("POST", ["checkout", id, "complete"]) => {
            json!(sandbox.complete_checkout(id, &read::<Card>(call)?.number)?)
        }
        ("POST", ["checkout", id, "expire"]) => {
            sandbox.expire_checkout(id)?;
            json!(sandbox.checkout_session(id))
        }
        ("POST", ["intents", id, change]) => return change_intent(sandbox, call, id, change),
        ("POST", ["methods", id, change]) => return change_method(sandbox, call, id, change),
        ("POST", ["payouts", id, "end"]) => {
            let end: PayoutEnd = read(call)?;
            sandbox.end_payout(id, end.status, end.failure_code.as_deref())?;
            json!({})
        }
        ("DELETE", ["idempotency-keys", key]) => json!({ "known": sandbox.forget_idempotency_key(key) }),
        ("POST", ["webhooks"]) => {
            change_modes(sandbox, read(call)?);
            json!(sandbox.webhook_modes())
        }
        ("GET", ["webhooks", "held"]) => json!({ "items": sandbox.held_webhooks() }),
        ("POST", ["webhooks", "release"]) => {
            sandbox.release_webhooks(&read::<Release>(call)?.order).await?;
            json!({})
        }
        ("POST", ["webhooks", "drop"]) => json!({ "dropped": sandbox.drop_held_webhooks() }),
        ("POST", ["webhooks", "rotate"]) => json!({ "secret": sandbox.rotate_webhook_secret() }),
        ("GET", ["webhooks", "deliveries"]) => json!({ "items": sandbox.webhook_deliveries() }),
        ("POST", ["events", id, "redeliver"]) => json!({ "status": sandbox.redeliver(id).await? }),
        ("POST", ["sign"]) => {
            let sign: ToSign = read(call)?;
            json!({ "header": StripeSandbox::sign(&sign.payload, &sign.secret, sign.timestamp) })
        }
        _ => return Ok(None),
    };
    Ok(Some(body))
}

fn change_intent(
    sandbox: &StripeSandbox,
    call: &Call,
    id: &str,
    change: &str,
) -> anyhow::Result<Option<Value>> {
    let body = match change {
        "authenticate" => json!(sandbox.customer_confirms(id, read::<Outcome>(call)?.succeeds)?),
        "settle" => json!(sandbox.settle_processing(id, read::<Outcome>(call)?.succeeds)?),
        "refund" => json!({ "refund": sandbox.refund_outside(id)? }),
        "dispute" => json!({ "dispute": sandbox.dispute(id)? }),
        _ => return Ok(None),
    };
    Ok(Some(body))
}

fn change_method(
    sandbox: &StripeSandbox,
    call: &Call,
    id: &str,
    change: &str,
) -> anyhow::Result<Option<Value>> {
    match change {
        "decline" => sandbox.decline_from_now_on(id, read::<Declines>(call)?.decline_code.as_deref())?,
        "authentication" => sandbox.needs_authentication(id, read::<Authentication>(call)?.needed)?,
        "processing" => sandbox.goes_processing(id, read::<Switch>(call)?.on)?,
        "expiry" => {
            let expiry: Expiry = read(call)?;
            sandbox.update_card(id, expiry.exp_month, expiry.exp_year)?;
        }
        "detach" => sandbox.detach_outside(id)?,
        _ => return Ok(None),
    }
    Ok(Some(json!(sandbox.payment_method(id))))
}

fn change_modes(sandbox: &StripeSandbox, given: Modes) {
    sandbox.inner.webhooks.change_modes(|modes| {
        if let Some(wanted) = given.wanted {
            modes.wanted = wanted;
        }
        modes.repeat = given.repeat.unwrap_or(modes.repeat);
        modes.delay_ms = given.delay_ms.unwrap_or(modes.delay_ms);
        modes.hold = given.hold.unwrap_or(modes.hold);
    });
    if let Some(endpoint) = given.endpoint {
        sandbox.set_webhook_endpoint(&endpoint);
    }
}

fn overview(sandbox: &StripeSandbox) -> Value {
    let live = sandbox.lock();
    let state = &live.state;
    json!({
        "customers": state.customers,
        "prices": state.prices,
        "checkout_sessions": state.sessions,
        "setup_intents": state.setups,
        "payment_methods": state.methods,
        "payment_intents": state.intents,
        "charges": state.charges,
        "refunds": state.refunds,
        "disputes": state.disputes,
        "payouts": state.payouts,
        "events": state.events,
        "webhooks": sandbox.webhook_modes(),
        "operations": api::operations().as_slice(),
    })
}

fn read<T: DeserializeOwned>(call: &Call) -> anyhow::Result<T> {
    call.json().map_err(anyhow::Error::msg)
}
