//! All calls but charges.

use domain::currency::Currency;
use domain::ids::{
    CheckoutId, ProfileId, StripeCheckoutSessionId, StripeCustomerId, StripePaymentIntentId,
    StripePaymentMethodId, StripeSetupIntentId,
};
use domain::money::Money;
use serde_json::{Value, json};

use super::super::{
    CheckoutKind, CheckoutMode, NewCheckout, NewCustomer, RESOURCE_MISSING, Refund, RefundStatus,
    SetupStatus, Stripe, StripeCredentials,
};
use super::server::{Reply, Server, soon};
use super::{card, checkout_session, error, list, setup_intent, with};
use crate::outcome::Outcome;

fn done<T: std::fmt::Debug>(outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Done(response) => response,
        other => panic!("it isn't done: {other:?}"),
    }
}

fn customer() -> NewCustomer {
    NewCustomer {
        profile_id: ProfileId::new(7).unwrap(),
        email: Some("ada+1@example.com".to_owned()),
        name: "Ada & Co".to_owned(),
    }
}

fn checkout(mode: CheckoutMode) -> NewCheckout {
    NewCheckout {
        customer: StripeCustomerId::parse("cus_1").unwrap(),
        mode,
        profile_id: ProfileId::new(7).unwrap(),
        success_url: "https://app.example.com/done".to_owned(),
        cancel_url: "https://app.example.com/back".to_owned(),
        checkout_id: CheckoutId::new(5).unwrap(),
    }
}

fn fields(request: &str) -> Vec<String> {
    let (_, body) = request.split_once("\n\n").unwrap();
    let mut fields: Vec<String> = body.split('&').map(str::to_owned).collect();
    fields.sort_unstable();
    fields
}

#[tokio::test]
async fn a_customer_is_made_once_for_a_key() {
    let response = json!({"id": "cus_1", "object": "customer", "created": 1_790_000_000, "livemode": false});
    let server = Server::start(vec![Reply::Json(200, response)]).await;
    let id = done(
        server
            .stripe
            .create_customer(&customer(), "customer-7", soon())
            .await,
    );
    assert_eq!(id.as_str(), "cus_1");
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /v1/customers "), "{request}");
    assert!(request.contains("idempotency-key: customer-7\n"), "{request}");
    assert_eq!(
        fields(&request),
        [
            "email=ada%2B1@example.com",
            "metadata[profile_id]=7",
            "name=Ada %26 Co"
        ]
    );
}

#[tokio::test]
async fn a_visit_to_save_a_card() {
    let server = Server::start(vec![Reply::Json(200, checkout_session("setup"))]).await;
    let session = checkout(CheckoutMode::Setup);
    let link = done(
        server
            .stripe
            .create_checkout_session(&session, "c-1", soon())
            .await,
    );
    assert_eq!(link.id.as_str(), "cs_test_1");
    assert_eq!(link.url, "https://checkout.example.com/c/pay/cs_test_1");
    assert_eq!(link.expires_at.timestamp(), 1_790_086_400);
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /v1/checkout/sessions "), "{request}");
    assert_eq!(
        fields(&request),
        [
            "allowed_payment_method_types[0]=card",
            "cancel_url=https://app.example.com/back",
            "currency=usd",
            "customer=cus_1",
            "metadata[moneta_checkout]=5",
            "metadata[profile_id]=7",
            "mode=setup",
            "setup_intent_data[metadata][profile_id]=7",
            "success_url=https://app.example.com/done",
        ]
    );
}

#[tokio::test]
async fn a_visit_to_pay_names_its_price_and_our_record_of_it() {
    let session = checkout(CheckoutMode::Payment {
        price: "price_1".to_owned(),
    });
    let server = Server::start(vec![Reply::Json(200, checkout_session("payment"))]).await;
    let creating = server.stripe.create_checkout_session(&session, "c-1", soon());
    done(creating.await);
    let expected = [
        "cancel_url=https://app.example.com/back",
        "customer=cus_1",
        "line_items[0][price]=price_1",
        "line_items[0][quantity]=1",
        "metadata[moneta_checkout]=5",
        "metadata[profile_id]=7",
        "mode=payment",
        "payment_intent_data[metadata][profile_id]=7",
        "success_url=https://app.example.com/done",
    ];
    assert_eq!(fields(&server.requests().pop().unwrap()), expected);
}

#[tokio::test]
async fn a_visit_tells_the_card_it_has_saved() {
    let setup = with(setup_intent("succeeded"), json!({"payment_method": card("pm_1")}));
    let session = with(
        checkout_session("setup"),
        json!({"status": "complete", "setup_intent": setup, "payment_status": "no_payment_required"}),
    );
    let server = Server::start(vec![Reply::Json(200, session)]).await;
    let id = StripeCheckoutSessionId::parse("cs_test_1").unwrap();
    let reading = done(server.stripe.checkout_session(&id, soon()).await);
    assert_eq!(reading.mode, CheckoutKind::Setup);
    assert!(reading.is_complete && !reading.is_paid);
    assert_eq!(reading.profile_id, ProfileId::new(7));
    assert_eq!(reading.setup_intent.unwrap().as_str(), "seti_1");
    assert_eq!(reading.payment_method.unwrap().name, "visa •••• 4242, 04/29");
    let request = server
        .requests()
        .remove(0)
        .replace("%5B", "[")
        .replace("%5D", "]");
    assert!(
        request.starts_with("GET /v1/checkout/sessions/cs_test_1?expand[0]=setup_intent.payment_method "),
        "{request}"
    );
}

#[tokio::test]
async fn a_lost_reading_is_read_again() {
    let method = || Reply::Json(200, card("pm_1"));
    let id = StripePaymentMethodId::parse("pm_1").unwrap();
    for first in [
        Reply::Json(500, error("api_error", None)),
        Reply::Text(503, "<html>"),
        Reply::Json(409, error("invalid_request_error", None)),
        Reply::Reset,
    ] {
        let server = Server::start(vec![first, method()]).await;
        let reading = done(server.stripe.payment_method(&id, soon()).await);
        assert_eq!(reading.customer.unwrap().as_str(), "cus_1");
    }
    let server = Server::start(vec![Reply::Json(500, error("api_error", None))]).await;
    let outcome = server.stripe.payment_method(&id, soon()).await;
    assert!(matches!(outcome, Outcome::Retryable(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_missing_object_is_declined() {
    let missing = || Reply::Json(404, error("invalid_request_error", Some(RESOURCE_MISSING)));
    let server = Server::start(vec![missing(), missing()]).await;
    let id = StripePaymentIntentId::parse("pi_1").unwrap();
    let outcome = server.stripe.payment_intent(&id, soon()).await;
    assert!(matches!(outcome, Outcome::Declined(decline) if decline.code == RESOURCE_MISSING));
    let id = StripeSetupIntentId::parse("seti_1").unwrap();
    let outcome = server.stripe.setup_intent(&id, soon()).await;
    assert!(matches!(outcome, Outcome::Declined(decline) if decline.status == 404));
}

#[tokio::test]
async fn an_id_can_not_lead_to_another_object() {
    let server = Server::start(vec![Reply::Json(200, checkout_session("setup"))]).await;
    for id in [
        "..",
        "../customers/cus_1",
        "cs_1/line_items",
        "cs_1?expand=x",
        "%2e%2e",
    ] {
        let id = StripeCheckoutSessionId::parse(id).unwrap();
        let outcome = server.stripe.checkout_session(&id, soon()).await;
        assert!(matches!(outcome, Outcome::Declined(decline) if decline.code == RESOURCE_MISSING));
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_setup_tells_whose_method_it_has_saved() {
    let server = Server::start(vec![Reply::Json(200, setup_intent("succeeded"))]).await;
    let id = StripeSetupIntentId::parse("seti_1").unwrap();
    let reading = done(server.stripe.setup_intent(&id, soon()).await);
    assert_eq!(reading.status, SetupStatus::Succeeded);
    assert_eq!(reading.payment_method.unwrap().as_str(), "pm_1");
    assert_eq!(reading.profile_id, ProfileId::new(7));
}

#[tokio::test]
async fn all_methods_of_a_customer_are_listed() {
    let page = |id: &str, has_more| Reply::Json(200, list(vec![card(id)], has_more));
    let server = Server::start(vec![page("pm_2", true), page("pm_1", false)]).await;
    let customer = StripeCustomerId::parse("cus_1").unwrap();
    let methods = done(server.stripe.payment_methods_of(&customer, soon()).await);
    let ids: Vec<&str> = methods.iter().map(|method| method.id.as_str()).collect();
    assert_eq!(ids, ["pm_2", "pm_1"]);
    let requests = server.requests();
    assert!(requests[0].starts_with("GET /v1/customers/cus_1/payment_methods?limit=100 "));
    assert!(requests[1].contains("starting_after=pm_2"));
}

#[tokio::test]
async fn detaching_a_method_that_is_detached_already_is_done() {
    let detached = || with(card("pm_1"), json!({"customer": null}));
    let refusal = || Reply::Json(400, error("invalid_request_error", None));
    let missing = Reply::Json(404, error("invalid_request_error", Some(RESOURCE_MISSING)));
    let id = StripePaymentMethodId::parse("pm_1").unwrap();
    for replies in [
        vec![Reply::Json(200, detached())],
        vec![refusal(), Reply::Json(200, detached())],
        vec![missing],
    ] {
        let server = Server::start(replies).await;
        done(server.stripe.detach_payment_method(&id, soon()).await);
        let request = server.requests().remove(0);
        assert!(
            request.starts_with("POST /v1/payment_methods/pm_1/detach "),
            "{request}"
        );
        assert!(request.contains("idempotency-key: detach-pm_1\n"), "{request}");
    }
    let server = Server::start(vec![refusal(), Reply::Json(200, card("pm_1"))]).await;
    let outcome = server.stripe.detach_payment_method(&id, soon()).await;
    assert!(matches!(outcome, Outcome::Declined(_)), "{outcome:?}");
}

fn refund(status: Value) -> Value {
    json!({"id": "re_1", "object": "refund", "amount": 1234, "created": 1_790_000_000, "currency": "usd",
        "payment_intent": "pi_1", "status": status})
}

#[tokio::test]
async fn a_payment_is_given_back_whole() {
    let id = StripePaymentIntentId::parse("pi_1").unwrap();
    for (status, expected) in [
        (json!("succeeded"), RefundStatus::Succeeded),
        (json!("pending"), RefundStatus::Pending),
        (json!("requires_action"), RefundStatus::RequiresAction),
        (json!("failed"), RefundStatus::Failed),
        (json!("canceled"), RefundStatus::Canceled),
        (
            json!("of_tomorrow"),
            RefundStatus::Unrecognised("of_tomorrow".to_owned()),
        ),
        (Value::Null, RefundStatus::Unrecognised(String::new())),
    ] {
        let server = Server::start(vec![Reply::Json(200, refund(status))]).await;
        let reading = done(server.stripe.refund(&id, "refund-1", soon()).await);
        assert_eq!(reading.status, expected);
        assert_eq!(reading.amount, Money::new(1234, Currency::USD));
        assert_eq!(reading.payment_intent.as_ref(), Some(&id));
        let request = server.requests().remove(0);
        assert!(request.starts_with("POST /v1/refunds "), "{request}");
        assert_eq!(fields(&request), ["payment_intent=pi_1"]);
    }
}

#[tokio::test]
async fn refunds_of_a_payment_are_read_from_all_pages() {
    let id = StripePaymentIntentId::parse("pi_1").unwrap();
    let page = |status: &str, has_more: bool| {
        let page = json!({"object": "list", "url": "/v1/refunds", "has_more": has_more, "data": [refund(json!(status))]});
        Reply::Json(200, page)
    };
    let server = Server::start(vec![page("succeeded", true), page("failed", false)]).await;
    let refunds = done(server.stripe.refunds(&id, soon()).await);
    let given_back: Vec<bool> = refunds.iter().map(Refund::is_given_back).collect();
    assert_eq!(given_back, [true, false]);
    let requests = server.requests();
    assert!(requests[0].contains("payment_intent=pi_1"), "{requests:?}");
    assert!(requests[1].contains("starting_after=re_1"), "{requests:?}");
    // More than can be read is not taken for all.
    let endless = (0..10).map(|_| page("succeeded", true)).collect();
    let server = Server::start(endless).await;
    let outcome = server.stripe.refunds(&id, soon()).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
}

#[test]
fn secrets_and_people_are_not_shown() {
    let credentials: StripeCredentials =
        serde_json::from_str(r#"{"api_key":"sk_live_1","webhook_secrets":["whsec_1","whsec_2"]}"#).unwrap();
    let stripe = Stripe::new("https://api.stripe.com".to_owned(), &credentials).unwrap();
    let shown = format!("{credentials:?} {stripe:?} {:?}", customer());
    for secret in ["sk_live", "whsec", "ada", "Ada"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
