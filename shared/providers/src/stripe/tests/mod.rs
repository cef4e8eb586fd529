//! The client against a scripted server, and how it reads Stripe's objects.

mod calls;
mod charges;
mod connect;
mod events;
mod objects;
mod server;

use serde_json::{Value, json};

/// The object with other values in some of its fields.
fn with(mut object: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

fn intent(status: &str) -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "amount": 1234, "amount_capturable": 0, "amount_received": 0,
        "capture_method": "automatic", "client_secret": "pi_1_secret_x", "confirmation_method": "automatic",
        "created": 1_790_000_000, "currency": "usd", "customer": "cus_1", "last_payment_error": null,
        "latest_charge": "ch_1", "livemode": false, "payment_method": "pm_1", "payment_method_types": ["card"],
        "metadata": {"profile_id": "7", "invoice_id": "11", "moneta_attempt": "invoice-11-1"}, "status": status,
    })
}

fn refused_intent(decline_code: &str) -> Value {
    let error = json!({
        "type": "card_error", "code": "card_declined", "decline_code": decline_code,
        "message": "Your card was declined.", "charge": "ch_1",
    });
    let fields = json!({"last_payment_error": error, "payment_method": null});
    with(intent("requires_payment_method"), fields)
}

fn card(id: &str) -> Value {
    json!({
        "id": id, "object": "payment_method", "billing_details": {"email": "a@example.com", "name": "A"},
        "created": 1_790_000_000, "customer": "cus_1", "livemode": false, "metadata": {}, "type": "card",
        "card": {"brand": "visa", "last4": "4242", "exp_month": 4, "exp_year": 2029, "funding": "credit",
            "fingerprint": "fp_1"},
    })
}

fn setup_intent(status: &str) -> Value {
    json!({
        "id": "seti_1", "object": "setup_intent", "created": 1_790_000_000, "customer": "cus_1", "livemode": false,
        "payment_method": "pm_1", "payment_method_types": ["card"], "status": status, "usage": "off_session",
        "metadata": {"profile_id": "7"},
    })
}

fn checkout_session(mode: &str) -> Value {
    json!({
        "id": "cs_test_1", "object": "checkout.session", "automatic_tax": {"enabled": false},
        "created": 1_790_000_000, "custom_fields": [], "custom_text": {}, "expires_at": 1_790_086_400,
        "livemode": false, "mode": mode, "payment_method_types": ["card"], "payment_status": "unpaid",
        "shipping_options": [], "status": "open", "customer": "cus_1", "metadata": {"profile_id": "7"},
        "url": "https://checkout.example.com/c/pay/cs_test_1",
    })
}

fn error(kind: &str, code: Option<&str>) -> Value {
    json!({"error": {"type": kind, "code": code, "message": "It was refused."}})
}

fn list(data: Vec<Value>, has_more: bool) -> Value {
    json!({"object": "list", "url": "/v1/payment_intents", "has_more": has_more, "data": data})
}
