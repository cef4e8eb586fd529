//! The control routes of the DriveWealth sandbox; the table is in the module above.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{DocumentKind, DriveWealthSandbox};
use crate::sandboxes::call::Call;

#[derive(Deserialize)]
struct Cash {
    cash_cents: i64,
    withdrawable_cents: Option<i64>,
}

#[derive(Deserialize)]
struct AccountStatus {
    status: String,
}

#[derive(Deserialize)]
struct Check {
    status: String,
    #[serde(default)]
    errors: Vec<String>,
}

#[derive(Deserialize)]
struct NewDocument {
    kind: DocumentKind,
    name: String,
}

#[derive(Deserialize)]
struct FundValue {
    name: String,
    value_cents: i64,
}

#[derive(Deserialize)]
struct Advance {
    status: i32,
    #[serde(default)]
    comment: String,
}

#[derive(Deserialize)]
struct NewEvent {
    #[serde(rename = "type")]
    kind: String,
    payload: Value,
}

#[derive(Deserialize)]
struct Modes {
    /// Missing leaves it; null stops the payments.
    #[serde(default, deserialize_with = "given")]
    auto_advance_ms: Option<Option<u64>>,
    hold: Option<bool>,
    duplicate: Option<bool>,
    shuffle: Option<bool>,
    session_lifetime_s: Option<u64>,
}

/// Distinguishes null from missing.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

pub(super) async fn route(sandbox: &DriveWealthSandbox, call: &Call) -> anyhow::Result<Option<Value>> {
    if let Some(body) = super::managed::control(sandbox, call)? {
        return Ok(Some(body));
    }
    let body = match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", []) => overview(sandbox),
        ("GET", ["accounts"]) => json!({ "items": sandbox.accounts() }),
        ("POST", ["accounts"]) => json!(sandbox.seed_account(call.read()?)?),
        ("POST", ["accounts", id, change]) => return change_account(sandbox, call, id, change),
        ("GET", ["users"]) => json!({ "items": sandbox.users(), "portfolios": sandbox.portfolios() }),
        ("POST", ["users", id, "decide"]) => json!(sandbox.decide(id)?),
        ("POST", ["users", id, "kyc"]) => {
            let check: Check = call.read()?;
            let errors: Vec<&str> = check.errors.iter().map(String::as_str).collect();
            json!(sandbox.set_kyc(id, &check.status, &errors)?)
        }
        ("GET", ["payments"]) => {
            json!({ "deposits": sandbox.deposits(), "redemptions": sandbox.redemptions() })
        }
        ("GET", ["payments", id]) => return Ok(sandbox.payment(id).map(|payment| json!(payment))),
        ("GET", ["payments", id, "events"]) => json!({ "items": sandbox.events_of(id) }),
        ("POST", ["payments", id, "advance"]) => {
            let advance: Advance = call.read()?;
            json!(sandbox.fail_with(id, advance.status, &advance.comment)?)
        }
        ("POST", ["payments", id, "step"]) => json!(sandbox.step(id)?),
        ("POST", ["payments", id, "return"]) => json!(sandbox.return_deposit(id)?),
        ("POST", ["bank-accounts", id, "decline"]) => {
            sandbox.decline_bank_account(id, call.read()?);
            json!({})
        }
        ("DELETE", ["bank-accounts", id, "decline"]) => {
            sandbox.accept_bank_account(id);
            json!({})
        }
        ("POST", ["events"]) => {
            let event: NewEvent = call.read()?;
            sandbox.send_event(&event.kind, event.payload).await
        }
        ("POST", ["events", "send"]) => {
            let envelope: Value = call.read()?;
            sandbox.send_envelope(&envelope).await;
            envelope
        }
        ("POST", ["events", "release"]) => {
            sandbox.release_events().await;
            json!({})
        }
        ("POST", ["modes"]) => {
            change_modes(sandbox, call.read()?);
            overview(sandbox)
        }
        _ => return Ok(None),
    };
    Ok(Some(body))
}

fn change_account(
    sandbox: &DriveWealthSandbox,
    call: &Call,
    id: &str,
    change: &str,
) -> anyhow::Result<Option<Value>> {
    match change {
        "cash" => {
            let cash: Cash = call.read()?;
            let withdrawable_cents = cash.withdrawable_cents.unwrap_or(cash.cash_cents);
            sandbox.set_cash(id, cash.cash_cents, withdrawable_cents)?;
        }
        "status" => sandbox.set_account_status(id, &call.read::<AccountStatus>()?.status)?,
        "documents" => {
            let new: NewDocument = call.read()?;
            return Ok(Some(json!(sandbox.make_document(id, new.kind, &new.name)?)));
        }
        "funds" => {
            let fund: FundValue = call.read()?;
            sandbox.set_fund_value(id, &fund.name, fund.value_cents)?;
        }
        _ => return Ok(None),
    }
    Ok(sandbox.account(id).map(|account| json!(account)))
}

fn change_modes(sandbox: &DriveWealthSandbox, modes: Modes) {
    if let Some(pace) = modes.auto_advance_ms {
        sandbox.auto_advance(pace.map(Duration::from_millis));
    }
    if let Some(lifetime) = modes.session_lifetime_s {
        sandbox.session_lifetime(Duration::from_secs(lifetime));
    }
    sandbox.outbox().change_modes(|present| {
        present.hold = modes.hold.unwrap_or(present.hold);
        present.duplicate = modes.duplicate.unwrap_or(present.duplicate);
        present.shuffle = modes.shuffle.unwrap_or(present.shuffle);
    });
}

fn overview(sandbox: &DriveWealthSandbox) -> Value {
    let auto_advance = sandbox.lock().auto_advance;
    json!({
        "accounts": sandbox.accounts(),
        "deposits": sandbox.deposits(),
        "redemptions": sandbox.redemptions(),
        "counters": sandbox.counters(),
        "auto_advance_ms": auto_advance.map(|pace| u64::try_from(pace.as_millis()).unwrap_or(u64::MAX)),
        "delivery": sandbox.delivery_modes(),
    })
}
