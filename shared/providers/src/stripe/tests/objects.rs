//! How objects are read.

use domain::currency::Currency;
use domain::ids::{InvoiceId, ProfileId};
use domain::money::Money;
use serde_json::{Value, json};

use super::super::{CheckoutKind, CheckoutSession, IntentStatus, PaymentIntent, SetupStatus, wire};
use super::{card, checkout_session, intent, refused_intent, setup_intent, with};

fn read_intent(object: &Value) -> Result<PaymentIntent, String> {
    let text = object.to_string();
    wire::intent(&wire::object(&text)?, &text)
}

fn read_checkout(object: &Value) -> CheckoutSession {
    wire::checkout(&wire::object(&object.to_string()).unwrap()).unwrap()
}

#[test]
fn a_payment_has_the_status_of_its_intent() {
    for (object, expected) in [
        (intent("succeeded"), IntentStatus::Succeeded),
        (intent("processing"), IntentStatus::Processing),
        (intent("requires_capture"), IntentStatus::Processing),
        (intent("requires_action"), IntentStatus::RequiresAction),
        (intent("requires_confirmation"), IntentStatus::RequiresAction),
        (intent("requires_payment_method"), IntentStatus::Unconfirmed),
        (refused_intent("generic_decline"), IntentStatus::Failed),
        (
            refused_intent("authentication_required"),
            IntentStatus::RequiresAction,
        ),
        (
            with(
                intent("requires_payment_method"),
                json!({"last_payment_error": {"type": "card_error", "code": "authentication_required"}}),
            ),
            IntentStatus::RequiresAction,
        ),
        (intent("canceled"), IntentStatus::Canceled),
        (
            intent("of_tomorrow"),
            IntentStatus::Unrecognised("of_tomorrow".to_owned()),
        ),
    ] {
        assert_eq!(read_intent(&object).unwrap().status, expected, "{object}");
    }
}

#[test]
fn a_payment_is_read_with_its_amounts_and_ids() {
    let payment = read_intent(&with(intent("succeeded"), json!({"amount_received": 1234}))).unwrap();
    assert_eq!(payment.amount, Money::new(1234, Currency::USD));
    assert_eq!(payment.amount_received, payment.amount);
    assert_eq!(payment.customer.unwrap().as_str(), "cus_1");
    assert_eq!(payment.payment_method.unwrap().as_str(), "pm_1");
    assert_eq!(payment.attempt_key.as_deref(), Some("invoice-11-1"));
    assert_eq!(payment.profile_id, ProfileId::new(7));
    assert_eq!(payment.invoice_id, InvoiceId::new(11));
    assert_eq!(payment.latest_charge.unwrap().as_str(), "ch_1");
    assert_eq!(payment.client_secret.as_deref(), Some("pi_1_secret_x"));
    assert_eq!(payment.created_at.timestamp(), 1_790_000_000);
    assert_eq!(payment.failure, None);
}

#[test]
fn what_is_stored_of_a_payment_is_named_and_has_no_secret() {
    let text = intent("succeeded").to_string();
    let text = text.replacen(
        '{',
        r#"{"of_tomorrow":"an address","receipt_email":"ada@example.com","#,
        1,
    );
    let payment = wire::intent(&wire::object(&text).unwrap(), &text).unwrap();
    let kept = payment.kept.get();
    for left_out in [
        "secret",
        "of_tomorrow",
        "example.com",
        "metadata",
        "payment_method",
    ] {
        assert!(!kept.contains(left_out), "{kept}");
    }
    assert!(kept.contains(r#""status":"succeeded""#), "{kept}");
    assert!(!format!("{payment:?}").contains("secret"));
}

#[test]
fn metadata_in_another_form_gives_no_ids() {
    for metadata in [json!({}), json!({"profile_id": "-7", "invoice_id": "011"})] {
        let payment = read_intent(&with(intent("succeeded"), json!({ "metadata": metadata }))).unwrap();
        assert_eq!((payment.profile_id, payment.invoice_id), (None, None));
        assert_eq!(payment.attempt_key, None);
    }
}

#[test]
fn amounts_are_whole_minor_units_of_a_known_currency() {
    let read = |fields: Value| read_intent(&with(intent("succeeded"), fields)).map(|payment| payment.amount);
    assert_eq!(
        read(json!({"currency": "jpy"})),
        Ok(Money::new(1234, Currency::JPY))
    );
    assert_eq!(
        read(json!({"amount": 9_007_199_254_740_993_i64})),
        Ok(Money::new(9_007_199_254_740_993, Currency::USD))
    );
    for fields in [
        json!({"amount": 12.0}),
        json!({"amount": "12"}),
        json!({"amount": null}),
        json!({"amount": 9_223_372_036_854_775_808_u64}),
        json!({"currency": "isk"}),
        json!({"currency": "mga"}),
        json!({"currency": "ugx"}),
        json!({"currency": "doubloon"}),
    ] {
        assert!(read(fields.clone()).is_err(), "{fields}");
    }
}

#[test]
fn the_name_of_a_method_has_no_data_of_its_owner() {
    let bank = json!({"type": "us_bank_account", "card": null,
        "us_bank_account": {"bank_name": "First Bank", "last4": "6789"}});
    let link = json!({"type": "link", "card": null, "link": {"email": "a@example.com"}});
    let century =
        json!({"brand": "amex", "last4": "0005", "exp_month": 12, "exp_year": 2100, "funding": "credit"});
    for (fields, expected) in [
        (json!({}), "visa •••• 4242, 04/29"),
        (json!({ "card": century }), "amex •••• 0005, 12/00"),
        (bank, "First Bank •••• 6789"),
        (link, "link"),
    ] {
        let object = with(card("pm_1"), fields).to_string();
        let method = wire::payment_method(&wire::object(&object).unwrap()).unwrap();
        assert_eq!(method.name, expected);
    }
}

#[test]
fn a_checkout_session_is_read_with_its_mode_payment_and_our_record_of_it() {
    let paid = json!({"status": "complete", "payment_status": "paid", "payment_intent": "pi_1",
        "amount_total": 500, "currency": "usd"});
    let session = read_checkout(&with(checkout_session("payment"), paid.clone()));
    assert_eq!(session.mode, CheckoutKind::Payment);
    assert!(session.is_complete && session.is_paid);
    assert_eq!(session.amount, Some(Money::new(500, Currency::USD)));
    assert_eq!(session.payment_intent.unwrap().as_str(), "pi_1");
    let open = read_checkout(&checkout_session("payment"));
    assert!(!open.is_complete && !open.is_paid);
    let other = read_checkout(&checkout_session("subscription"));
    assert_eq!(other.mode, CheckoutKind::Unrecognised("subscription".to_owned()));
    for (metadata, expected) in [
        (json!({"moneta_checkout": "5"}), Some(5)),
        (json!({"moneta_checkout": "0"}), None),
        (json!({"moneta_checkout": "five"}), None),
        // Whoever writes metadata at Stripe has nothing refunded.
        (json!({"refund": "true"}), None),
        (json!({}), None),
        (Value::Null, None),
    ] {
        let object = with(
            with(checkout_session("payment"), paid.clone()),
            json!({ "metadata": metadata }),
        );
        let ours = read_checkout(&object).checkout_id.map(|id| id.get());
        assert_eq!(ours, expected, "{object}");
    }
}

#[test]
fn a_setup_has_the_status_of_its_intent() {
    for (status, expected) in [
        ("succeeded", SetupStatus::Succeeded),
        ("processing", SetupStatus::Processing),
        ("requires_action", SetupStatus::RequiresAction),
        ("requires_confirmation", SetupStatus::RequiresAction),
        ("requires_payment_method", SetupStatus::RequiresPaymentMethod),
        ("canceled", SetupStatus::Canceled),
        ("of_tomorrow", SetupStatus::Unrecognised("of_tomorrow".to_owned())),
    ] {
        let object = setup_intent(status).to_string();
        let setup = wire::setup(&wire::object(&object).unwrap()).unwrap();
        assert_eq!(setup.status, expected);
    }
}
