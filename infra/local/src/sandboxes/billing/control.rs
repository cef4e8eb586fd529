//! What a person does with the sandbox, under `/control/billing`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{BillingSandbox, NewPayment};
use crate::sandboxes::call::Call;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaymentOrder {
    client_id: String,
    bill_id: Option<String>,
    amount: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReversalOrder {
    amount: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BillAmount {
    amount: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Messages {
    hold: Option<bool>,
    repeat: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMessage {
    key: String,
    text: String,
}

impl BillingSandbox {
    pub(super) async fn control_route(&self, call: &Call) -> anyhow::Result<Option<Value>> {
        let body = match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", []) => json!(*self.lock()),
            ("POST", ["payments"]) => {
                let PaymentOrder {
                    client_id,
                    bill_id,
                    amount,
                } = call.read()?;
                let new = NewPayment {
                    client_id,
                    bill_id,
                    amount,
                };
                json!(self.pay(new).await?)
            }
            ("POST", ["payments", id, "reverse"]) => {
                let order: ReversalOrder = call.read()?;
                json!(self.reverse(id, order.amount).await?)
            }
            ("POST", ["bills", id, "amount"]) => {
                self.change_bill(id, call.read::<BillAmount>()?.amount)?;
                json!({})
            }
            ("POST", ["messages"]) => {
                let Messages { hold, repeat } = call.read()?;
                if let Some(hold) = hold {
                    self.hold_messages(hold);
                }
                if let Some(repeat) = repeat {
                    self.repeat_messages(repeat);
                }
                json!({})
            }
            ("POST", ["messages", "release"]) => {
                self.hold_messages(false);
                let held = self.take_held();
                for payment in &held {
                    self.publish(payment).await?;
                }
                json!({ "items": held })
            }
            ("POST", ["messages", "raw"]) => {
                let RawMessage { key, text } = call.read()?;
                self.publish_raw(&key, &text).await?;
                json!({})
            }
            _ => return Ok(None),
        };
        Ok(Some(body))
    }
}
