//! How events are read.

use domain::currency::Currency;
use domain::money::Money;
use serde_json::{Value, json};

use super::super::IntentStatus;
use super::super::webhook::{Change, PayoutStatus, StripeEvent, Unreadable, parse};
use super::{card, checkout_session, intent, refused_intent, setup_intent, with};

fn event(kind: &str, object: Value) -> Result<StripeEvent, Unreadable> {
    let event = json!({
        "id": "evt_1", "object": "event", "api_version": "2026-09-30.endive", "created": 1_790_000_000,
        "data": {"object": object}, "livemode": false, "pending_webhooks": 1, "request": null, "type": kind,
    });
    parse(event.to_string().as_bytes())
}

fn change(kind: &str, object: Value) -> Change {
    event(kind, object).unwrap().change
}

fn charge() -> Value {
    json!({
        "id": "ch_1", "object": "charge", "amount": 1234, "amount_captured": 1234, "amount_refunded": 234,
        "billing_details": {}, "captured": true, "created": 1_790_000_000, "currency": "usd", "disputed": false,
        "livemode": false, "metadata": {}, "paid": true, "payment_intent": "pi_1", "refunded": false,
        "status": "succeeded",
    })
}

fn dispute() -> Value {
    json!({
        "id": "du_1", "object": "dispute", "amount": 1234, "balance_transactions": [], "charge": "ch_1",
        "created": 1_790_000_000, "currency": "usd", "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {"enhanced_eligibility": {}, "has_evidence": false, "past_due": false,
            "submission_count": 0},
        "is_charge_refundable": false, "livemode": false, "metadata": {}, "payment_intent": "pi_1",
        "reason": "fraudulent", "status": "needs_response",
    })
}

fn payout() -> Value {
    json!({
        "id": "po_1", "object": "payout", "amount": 5000, "arrival_date": 1_790_086_400, "automatic": true,
        "created": 1_790_000_000, "currency": "usd", "failure_code": "account_closed", "livemode": false,
        "metadata": {}, "method": "standard", "reconciliation_status": "completed", "source_type": "card",
        "status": "paid", "type": "bank_account",
    })
}

#[test]
fn an_event_has_id_type_time_and_version() {
    let event = event("payment_intent.succeeded", intent("succeeded")).unwrap();
    assert_eq!(event.id.as_str(), "evt_1");
    assert_eq!(event.kind, "payment_intent.succeeded");
    assert_eq!(event.created_at.timestamp(), 1_790_000_000);
    assert_eq!(event.api_version.as_deref(), Some("2026-09-30.endive"));
    assert!(!event.livemode);
}

#[test]
fn an_intent_event_gives_the_status_of_its_type() {
    for (kind, object, expected) in [
        ("succeeded", intent("succeeded"), IntentStatus::Succeeded),
        ("processing", intent("processing"), IntentStatus::Processing),
        (
            "requires_action",
            intent("requires_action"),
            IntentStatus::RequiresAction,
        ),
        (
            "payment_failed",
            refused_intent("insufficient_funds"),
            IntentStatus::Failed,
        ),
        ("canceled", intent("canceled"), IntentStatus::Canceled),
    ] {
        let Change::Intent(payment) = change(&format!("payment_intent.{kind}"), object) else {
            panic!("{kind} is another change");
        };
        assert_eq!(payment.status, expected);
    }
}

#[test]
fn events_of_checkouts_setups_and_methods_are_read() {
    let fields = json!({"status": "complete", "setup_intent": "seti_1"});
    let session = with(checkout_session("setup"), fields);
    let Change::CheckoutCompleted(checkout) = change("checkout.session.completed", session) else {
        panic!("another change");
    };
    assert!(checkout.is_complete);
    assert_eq!(checkout.setup_intent.unwrap().as_str(), "seti_1");
    assert_eq!(checkout.payment_method, None);
    let Change::SetupSucceeded(setup) = change("setup_intent.succeeded", setup_intent("succeeded")) else {
        panic!("another change");
    };
    assert_eq!(setup.payment_method.unwrap().as_str(), "pm_1");
    for kind in ["payment_method.updated", "payment_method.automatically_updated"] {
        let Change::PaymentMethodUpdated(method) = change(kind, card("pm_1")) else {
            panic!("another change");
        };
        assert_eq!(method.name, "visa •••• 4242, 04/29");
    }
    let detached = with(card("pm_1"), json!({"customer": null}));
    let Change::PaymentMethodDetached { id } = change("payment_method.detached", detached) else {
        panic!("another change");
    };
    assert_eq!(id.as_str(), "pm_1");
}

#[test]
fn refunds_and_disputes_give_the_amount_and_the_intent() {
    let whole = with(charge(), json!({"amount_refunded": 1234, "refunded": true}));
    let without_intent = with(charge(), json!({"payment_intent": null}));
    let ours = with(charge(), json!({"metadata": {"moneta_attempt": "invoice-1-1"}}));
    for (object, minor, full, known, key) in [
        (charge(), 234, false, true, None),
        (whole, 1234, true, true, None),
        (without_intent, 234, false, false, None),
        (ours, 234, false, true, Some("invoice-1-1")),
    ] {
        let Change::ChargeRefunded {
            intent,
            attempt_key,
            amount_refunded,
            is_full,
        } = change("charge.refunded", object)
        else {
            panic!("another change");
        };
        assert_eq!(amount_refunded, Money::new(minor, Currency::USD));
        assert_eq!((is_full, intent.is_some()), (full, known));
        assert_eq!(attempt_key.as_deref(), key);
    }
    let Change::DisputeCreated {
        id,
        intent,
        amount,
        reason,
    } = change("charge.dispute.created", dispute())
    else {
        panic!("another change");
    };
    assert_eq!((id.as_str(), intent.unwrap().as_str()), ("du_1", "pi_1"));
    assert_eq!(
        (amount, reason.as_str()),
        (Money::new(1234, Currency::USD), "fraudulent")
    );
    let lost = with(dispute(), json!({"status": "lost"}));
    let Change::DisputeClosed { intent, outcome, .. } = change("charge.dispute.closed", lost) else {
        panic!("another change");
    };
    assert_eq!((intent.unwrap().as_str(), outcome.as_str()), ("pi_1", "lost"));
}

#[test]
fn a_refund_that_failed_gives_the_amount_the_intent_and_why() {
    let refund = json!({
        "id": "re_1", "object": "refund", "amount": 234, "charge": "ch_1", "created": 1_790_000_000, "currency": "usd",
        "failure_reason": "lost_or_stolen_card", "metadata": {}, "payment_intent": "pi_1", "status": "failed",
    });
    let unexplained = with(
        refund.clone(),
        json!({"failure_reason": null, "payment_intent": null}),
    );
    for (object, known, why) in [(refund, true, "lost_or_stolen_card"), (unexplained, false, "")] {
        let Change::RefundFailed {
            id,
            intent,
            amount,
            reason,
        } = change("refund.failed", object)
        else {
            panic!("another change");
        };
        assert_eq!((id.as_str(), intent.is_some()), ("re_1", known));
        assert_eq!((amount, reason.as_str()), (Money::new(234, Currency::USD), why));
    }
}

#[test]
fn a_payout_has_the_status_of_its_event() {
    for (kind, expected) in [
        ("payout.paid", PayoutStatus::Paid),
        ("payout.failed", PayoutStatus::Failed),
        ("payout.canceled", PayoutStatus::Canceled),
    ] {
        let Change::Payout {
            id,
            status,
            amount,
            failure_code,
        } = change(kind, payout())
        else {
            panic!("another change");
        };
        assert_eq!((id.as_str(), status), ("po_1", expected));
        assert_eq!(amount, Money::new(5000, Currency::USD));
        assert_eq!(failure_code.as_deref(), Some("account_closed"));
    }
}

#[test]
fn events_of_other_types_are_not_read() {
    for kind in [
        "customer.created",
        "payment_intent.created",
        "payment_method.attached",
        "",
    ] {
        assert!(matches!(change(kind, json!({"amount": "?"})), Change::Other));
    }
}

#[test]
fn an_unreadable_event_is_refused_with_its_type() {
    for kind in [
        "checkout.session.completed",
        "setup_intent.succeeded",
        "payment_method.updated",
        "payment_method.detached",
        "payment_intent.succeeded",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "charge.refunded",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.closed",
        "payout.paid",
    ] {
        let unreadable = event(kind, json!({"id": "x"})).unwrap_err();
        assert_eq!(unreadable.kind.as_deref(), Some(kind));
        assert!(unreadable.to_string().contains(kind), "{unreadable}");
    }
    let amount = with(charge(), json!({"amount_refunded": 234.0}));
    assert!(event("charge.refunded", amount).is_err());
    for body in ["", "{", "[]", "null", r#"{"id":"evt_1","type":"payout.paid"}"#] {
        let unreadable = parse(body.as_bytes()).unwrap_err();
        assert_eq!(unreadable.kind, None);
        assert!(
            unreadable.to_string().starts_with("the event can't be read: "),
            "{unreadable}"
        );
    }
}

#[test]
fn truncated_and_deeply_nested_bodies_are_refused() {
    let whole = json!({
        "id": "evt_1", "created": 1_790_000_000, "livemode": false, "type": "payment_intent.succeeded",
        "data": {"object": intent("succeeded")},
    });
    let whole = whole.to_string();
    for end in 0..whole.len() {
        assert!(parse(&whole.as_bytes()[..end]).is_err(), "{end}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let with_field = |name: &str| whole.replacen("\"amount\":", &format!("\"{name}\":{deep},\"amount\":"), 1);
    // What isn't read may be anything.
    for name in ["of_tomorrow", "next_action"] {
        assert!(parse(with_field(name).as_bytes()).is_ok(), "{name}");
    }
    for name in [
        "metadata",
        "last_payment_error",
        "customer",
        "payment_method",
        "latest_charge",
    ] {
        assert!(parse(with_field(name).as_bytes()).is_err(), "{name}");
    }
    assert!(parse(&[b"\xff", whole.as_bytes()].concat()).is_err());
}

/// JSON allows a NUL and half of a surrogate pair, which no text of ours can hold.
#[test]
fn an_event_with_escapes_that_no_text_holds_is_read() {
    let mut object = charge();
    object["description"] = json!("HALF");
    object["billing_details"] = json!({ "name": "NUL" });
    let body = json!({
        "id": "evt_1", "object": "event", "api_version": "2026-09-30.endive", "created": 1_790_000_000,
        "data": {"object": object}, "livemode": false, "pending_webhooks": 1, "request": null,
        "type": "charge.refunded",
    });
    let body = body
        .to_string()
        .replace("HALF", r"x\ud83d")
        .replace("NUL", r"A\u0000da");
    assert!(matches!(
        parse(body.as_bytes()).unwrap().change,
        Change::ChargeRefunded { .. }
    ));
}
