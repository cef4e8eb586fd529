//! The control routes of the Stripe sandbox; the table is in the module above.

use serde::Deserialize;
use serde_json::{Value, json};

use super::webhooks::ReleaseOrder;
use super::{StripeSandbox, operations};
use crate::sandboxes::call::Call;

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
struct RefundFailure {
    failure_reason: String,
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
struct Modes {
    endpoint: Option<String>,
    /// Missing leaves it; null wants all.
    #[serde(default, deserialize_with = "given")]
    wanted: Option<Option<Vec<String>>>,
    repeat: Option<u32>,
    delay_ms: Option<u64>,
    hold: Option<bool>,
}

/// Distinguishes null from missing.
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

pub(super) async fn route(sandbox: &StripeSandbox, call: &Call) -> anyhow::Result<Option<Value>> {
    let body = match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", []) => overview(sandbox),
        ("POST", ["prices"]) => {
            let price: NewPrice = call.read()?;
            sandbox.set_price(&price.id, price.amount, &price.currency);
            json!({})
        }
        ("POST", ["checkout", id, "complete"]) => {
            json!(sandbox.complete_checkout(id, &call.read::<Card>()?.number)?)
        }
        ("POST", ["checkout", id, "expire"]) => {
            sandbox.expire_checkout(id)?;
            json!(sandbox.checkout_session(id))
        }
        ("POST", ["intents", id, change]) => return change_intent(sandbox, call, id, change),
        ("POST", ["refunds", id, "fail"]) => {
            sandbox.fail_refund(id, &call.read::<RefundFailure>()?.failure_reason)?;
            json!({})
        }
        ("POST", ["methods", id, change]) => return change_method(sandbox, call, id, change),
        ("POST", ["accounts" | "payouts" | "balance" | "connect", ..]) => {
            return super::connect::route(sandbox, call);
        }
        ("DELETE", ["idempotency-keys", key]) => json!({ "known": sandbox.forget_idempotency_key(key) }),
        ("POST", ["webhooks"]) => {
            change_modes(sandbox, call.read()?);
            json!(sandbox.webhook_modes())
        }
        ("GET", ["webhooks", "held"]) => json!({ "items": sandbox.held_webhooks() }),
        ("POST", ["webhooks", "release"]) => {
            sandbox.release_webhooks(&call.read::<Release>()?.order).await?;
            json!({})
        }
        ("POST", ["webhooks", "drop"]) => json!({ "dropped": sandbox.drop_held_webhooks() }),
        ("POST", ["webhooks", "rotate"]) => json!({ "secret": sandbox.rotate_webhook_secret() }),
        ("GET", ["webhooks", "deliveries"]) => json!({ "items": sandbox.webhook_deliveries() }),
        ("POST", ["events", id, "redeliver"]) => json!({ "status": sandbox.redeliver(id).await? }),
        ("POST", ["sign"]) => {
            let sign: ToSign = call.read()?;
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
        "authenticate" => json!(sandbox.customer_confirms(id, call.read::<Outcome>()?.succeeds)?),
        "settle" => json!(sandbox.settle_processing(id, call.read::<Outcome>()?.succeeds)?),
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
        "decline" => sandbox.decline_from_now_on(id, call.read::<Declines>()?.decline_code.as_deref())?,
        "authentication" => sandbox.needs_authentication(id, call.read::<Authentication>()?.needed)?,
        "processing" => sandbox.goes_processing(id, call.read::<Switch>()?.on)?,
        "expiry" => {
            let expiry: Expiry = call.read()?;
            sandbox.update_card(id, expiry.exp_month, expiry.exp_year)?;
        }
        "detach" => sandbox.detach_outside(id)?,
        _ => return Ok(None),
    }
    Ok(Some(json!(sandbox.payment_method(id))))
}

fn change_modes(sandbox: &StripeSandbox, given: Modes) {
    sandbox.webhooks().change_modes(|modes| {
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
        "connect": state.connect,
        "events": state.events,
        "webhooks": sandbox.webhook_modes(),
        "operations": operations::names(),
    })
}
