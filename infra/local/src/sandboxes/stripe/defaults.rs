//! The many properties of Stripe's larger objects that are always the same here.

use serde_json::{Value, json};

/// An object with the properties that all of its kind have alike.
pub(super) fn with_defaults(mut object: Value, defaults: Value) -> Value {
    if let (Value::Object(object), Value::Object(defaults)) = (&mut object, defaults) {
        object.extend(defaults);
    }
    object
}

/// The properties that all checkout sessions have alike.
pub(super) fn session_defaults() -> Value {
    json!({
        "adaptive_pricing": null,
        "after_expiration": null,
        "allow_promotion_codes": null,
        "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
        "billing_address_collection": null,
        "client_secret": null,
        "consent": null,
        "consent_collection": null,
        "currency_conversion": null,
        "custom_fields": [],
        "custom_text": {
            "after_submit": null,
            "shipping_address": null,
            "submit": null,
            "terms_of_service_acceptance": null,
        },
        "customer_creation": null,
        "customer_email": null,
        "discounts": [],
        "invoice": null,
        "invoice_creation": null,
        "livemode": false,
        "locale": null,
        "payment_link": null,
        "payment_method_collection": "always",
        "payment_method_configuration_details": null,
        "payment_method_options": { "card": { "request_three_d_secure": "automatic" } },
        "payment_method_types": ["card"],
        "permissions": null,
        "phone_number_collection": { "enabled": false },
        "recovered_from": null,
        "shipping_address_collection": null,
        "shipping_cost": null,
        "shipping_options": [],
        "submit_type": null,
        "subscription": null,
        "ui_mode": "hosted_page",
        "wallet_options": null,
    })
}

/// The properties that all payment intents have alike.
pub(super) fn payment_intent_defaults() -> Value {
    json!({
        "amount_capturable": 0,
        "amount_details": { "tip": {} },
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": null,
        "capture_method": "automatic_async",
        "confirmation_method": "automatic",
        "customer_account": null,
        "excluded_payment_method_types": null,
        "livemode": false,
        "on_behalf_of": null,
        "payment_method_configuration_details": null,
        "payment_method_options": { "card": { "request_three_d_secure": "automatic" } },
        "payment_method_types": ["card"],
        "receipt_email": null,
        "review": null,
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "transfer_data": null,
        "transfer_group": null,
    })
}

/// The properties that all charges have alike.
pub(super) fn charge_defaults() -> Value {
    json!({
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": null,
        "calculated_statement_descriptor": "MONETA",
        "failure_balance_transaction": null,
        "fraud_details": {},
        "livemode": false,
        "on_behalf_of": null,
        "receipt_email": null,
        "receipt_number": null,
        "receipt_url": null,
        "review": null,
        "shipping": null,
        "source": null,
        "source_transfer": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "transfer_data": null,
        "transfer_group": null,
    })
}
