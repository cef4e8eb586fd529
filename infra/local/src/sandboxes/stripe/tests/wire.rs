//! async-stripe calls the sandbox with what it sends, and reads every answer.

use std::collections::HashMap;
use std::fmt::Display;

use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionPaymentIntentData,
    CreateCheckoutSessionSetupIntentData, RetrieveCheckoutSession,
};
use stripe_client_core::{CustomizedStripeRequest, StripeClient, StripeClientErr, StripeMethod};
use stripe_core::customer::{CreateCustomer, ListPaymentMethodsCustomer};
use stripe_core::payment_intent::{
    CancelPaymentIntent, CreatePaymentIntent, CreatePaymentIntentOffSession, ListPaymentIntent,
    RetrievePaymentIntent,
};
use stripe_core::refund::{CreateRefund, ListRefund};
use stripe_core::setup_intent::RetrieveSetupIntent;
use stripe_payment::payment_method::{DetachPaymentMethod, RetrievePaymentMethod};
use stripe_shared::version::VERSION;
use stripe_types::{Currency, RangeBoundsTs, RangeQueryTs};

use super::*;
use crate::sandboxes::stripe::render::API_VERSION;

/// Sends async-stripe's requests as its own client does.
struct Client<'a>(&'a Shop);

#[derive(Debug)]
struct Failed {
    status: u16,
    text: String,
}

impl StripeClientErr for Failed {
    fn deserialize_err(message: impl Display) -> Self {
        Self {
            status: 0,
            text: message.to_string(),
        }
    }
}

impl Failed {
    fn error(&self) -> Box<stripe_shared::ApiErrors> {
        miniserde::json::from_str::<stripe_shared::Error>(&self.text)
            .unwrap_or_else(|_| panic!("no error of Stripe's: {}", self.text))
            .error
    }
}

impl StripeClient for Client<'_> {
    type Err = Failed;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<bytes::Bytes, Failed> {
        let (request, options) = request.into_pieces();
        let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
        let url = self.0.url(&format!("/v1{}{query}", request.path));
        let mut sent = match request.method {
            StripeMethod::Get => self.0.http.get(url),
            StripeMethod::Post => self.0.http.post(url),
            StripeMethod::Delete => self.0.http.delete(url),
        }
        .header("stripe-version", VERSION.as_str());
        if let Some(body) = request.body {
            sent = sent
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body);
        }
        let key = options.request_strategy.and_then(|strategy| strategy.get_key());
        if let Some(key) = key {
            sent = sent.header("idempotency-key", key.as_str());
        }
        let answer = self.0.send(sent).await;
        match answer.status {
            200 => Ok(answer.text.into()),
            status => Err(Failed {
                status,
                text: answer.text,
            }),
        }
    }
}

fn metadata(key: &str, value: &str) -> HashMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

fn expand(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

#[test]
fn api_version_is_that_of_async_stripe() {
    assert_eq!(VERSION.as_str(), API_VERSION);
}

#[tokio::test]
async fn customers_and_sessions_are_read() {
    let shop = Shop::open().await;
    let client = Client(&shop);
    let customer = CreateCustomer::new()
        .name("Ada")
        .email("ada@example.com")
        .metadata(metadata("profile_id", "7"))
        .send(&client)
        .await
        .unwrap();
    assert_eq!(customer.metadata.unwrap()["profile_id"], "7");

    let session = CreateCheckoutSession::new()
        .mode(stripe_shared::CheckoutSessionMode::Setup)
        .currency(Currency::USD)
        .customer(customer.id.as_str())
        .success_url("https://app.example/done?session={CHECKOUT_SESSION_ID}")
        .cancel_url("https://app.example/cancel")
        .client_reference_id("7")
        .metadata(metadata("profile_id", "7"))
        .setup_intent_data(CreateCheckoutSessionSetupIntentData {
            metadata: Some(metadata("profile_id", "7")),
            ..CreateCheckoutSessionSetupIntentData::new()
        })
        .send(&client)
        .await
        .unwrap();
    assert!(
        session
            .url
            .as_ref()
            .unwrap()
            .starts_with(&shop.url("/pay/cs_test_"))
    );
    assert_eq!(session.status.unwrap().as_str(), "open");
    shop.stripe
        .complete_checkout(session.id.as_str(), "4242424242424242")
        .unwrap();
    let session = RetrieveCheckoutSession::new(session.id)
        .expand(expand(&["setup_intent.payment_method", "customer", "line_items"]))
        .send(&client)
        .await
        .unwrap();
    assert_eq!(session.status.unwrap().as_str(), "complete");
    let setup = session.setup_intent.as_ref().unwrap().as_object().unwrap();
    assert_eq!(setup.status.as_str(), "succeeded");
    assert_eq!(setup.metadata.as_ref().unwrap()["profile_id"], "7");
    let method = setup.payment_method.as_ref().unwrap().as_object().unwrap();
    assert_eq!(method.card.as_ref().unwrap().last4, "4242");
    assert_eq!(
        method.customer.as_ref().unwrap().id().as_str(),
        customer.id.as_str()
    );
    RetrieveSetupIntent::new(setup.id.clone())
        .send(&client)
        .await
        .unwrap();

    let session = CreateCheckoutSession::new()
        .mode(stripe_shared::CheckoutSessionMode::Payment)
        .customer(customer.id.as_str())
        .success_url("https://app.example/done")
        .line_items(vec![CreateCheckoutSessionLineItems {
            price: Some("price_basic".to_owned()),
            quantity: Some(2),
            ..CreateCheckoutSessionLineItems::new()
        }])
        .payment_intent_data(CreateCheckoutSessionPaymentIntentData {
            metadata: Some(metadata("refund", "true")),
            ..CreateCheckoutSessionPaymentIntentData::new()
        })
        .send(&client)
        .await
        .unwrap();
    assert_eq!(session.amount_total, Some(2_000));
    shop.stripe
        .complete_checkout(session.id.as_str(), "5555555555554444")
        .unwrap();
    let session = RetrieveCheckoutSession::new(session.id)
        .expand(expand(&["payment_intent.latest_charge", "line_items"]))
        .send(&client)
        .await
        .unwrap();
    assert_eq!(session.payment_status.as_str(), "paid");
    assert_eq!(session.line_items.unwrap().data[0].amount_total, 2_000);
    let intent = session.payment_intent.as_ref().unwrap().as_object().unwrap();
    assert_eq!(intent.metadata["refund"], "true");
    assert!(intent.latest_charge.as_ref().unwrap().as_object().unwrap().paid);
    shop.close().await;
}

#[tokio::test]
async fn payments_and_refunds_are_read() {
    let shop = Shop::open().await;
    let client = Client(&shop);
    let (customer, method) = shop.saved_card("4242424242424242").await;
    let create = |method: &str| {
        CreatePaymentIntent::new(2_500_i64, Currency::USD)
            .customer(customer.as_str())
            .payment_method(method)
            .off_session(CreatePaymentIntentOffSession::Bool(true))
            .confirm(true)
            .description("Commission of October")
            .metadata(metadata("invoice_id", "7"))
            .expand(expand(&["latest_charge", "payment_method"]))
    };
    let intent = create(&method).send(&client).await.unwrap();
    assert_eq!((intent.amount, intent.amount_received), (2_500, 2_500));
    assert_eq!(intent.status.as_str(), "succeeded");
    let charge = intent.latest_charge.as_ref().unwrap().as_object().unwrap();
    assert_eq!((charge.amount_captured, charge.captured), (2_500, true));

    let failed = create("pm_card_visa_chargeDeclinedInsufficientFunds")
        .send(&client)
        .await
        .unwrap_err();
    assert_eq!(failed.status, 402);
    let error = failed.error();
    assert_eq!(error.code.as_ref().unwrap().as_str(), "card_declined");
    assert_eq!(error.decline_code.as_deref(), Some("insufficient_funds"));
    assert_eq!(error.type_.as_str(), "card_error");
    let declined = error.payment_intent.as_ref().unwrap();
    assert_eq!(declined.status.as_str(), "requires_payment_method");
    let last = declined.last_payment_error.as_ref().unwrap();
    assert_eq!(last.decline_code.as_deref(), Some("insufficient_funds"));
    assert_eq!(error.charge.as_deref(), last.charge.as_deref());
    assert!(error.payment_method.is_some());

    let canceled = CancelPaymentIntent::new(declined.id.clone())
        .send(&client)
        .await
        .unwrap();
    assert_eq!(canceled.status.as_str(), "canceled");

    let listed = ListPaymentIntent::new()
        .customer(customer.as_str())
        .created(RangeQueryTs::Bounds(RangeBoundsTs {
            gte: Some(intent.created),
            ..RangeBoundsTs::default()
        }))
        .limit(1_i64)
        .expand(expand(&["data.latest_charge"]))
        .send(&client)
        .await
        .unwrap();
    assert_eq!(listed.data[0].id, declined.id);
    assert!(listed.has_more);
    let listed = ListPaymentIntent::new()
        .customer(customer.as_str())
        .starting_after(declined.id.as_str())
        .send(&client)
        .await
        .unwrap();
    assert_eq!(listed.data[0].id, intent.id);
    assert!(!listed.has_more);
    RetrievePaymentIntent::new(intent.id.clone())
        .send(&client)
        .await
        .unwrap();

    let refund = CreateRefund::new()
        .payment_intent(intent.id.as_str())
        .amount(1_000_i64)
        .metadata(metadata("why", "test"))
        .send(&client)
        .await
        .unwrap();
    assert_eq!(
        (refund.amount, refund.status.as_deref()),
        (1_000, Some("succeeded"))
    );
    shop.stripe
        .fail_refund(refund.id.as_str(), "expired_or_canceled_card")
        .unwrap();
    let listed = ListRefund::new()
        .payment_intent(intent.id.as_str())
        .send(&client)
        .await
        .unwrap();
    let failed = &listed.data[0];
    assert_eq!(
        (&failed.id, failed.status.as_deref()),
        (&refund.id, Some("failed"))
    );
    assert_eq!(failed.failure_reason.as_deref(), Some("expired_or_canceled_card"));
    shop.close().await;
}

#[tokio::test]
async fn saved_cards_are_read() {
    let shop = Shop::open().await;
    let client = Client(&shop);
    let (customer, saved) = shop.saved_card("378282246310005").await;
    let id = stripe_shared::CustomerId::from(customer.as_str());
    let theirs = ListPaymentMethodsCustomer::new(id).send(&client).await.unwrap();
    assert_eq!(theirs.data[0].id.as_str(), saved);
    let method = RetrievePaymentMethod::new(saved).send(&client).await.unwrap();
    assert_eq!(method.card.as_ref().unwrap().brand, "amex");
    let method = DetachPaymentMethod::new(method.id).send(&client).await.unwrap();
    assert!(method.customer.is_none());
    shop.close().await;
}

#[tokio::test]
async fn refusals_have_stripes_codes() {
    let shop = Shop::open().await;
    let unknown = shop.post("/v1/customers", &[("nickname", "x")]).await;
    assert_eq!((unknown.status, unknown.code()), (400, "parameter_unknown"));
    assert_eq!(unknown.body["error"]["param"], "nickname");
    let missing = shop.post("/v1/payment_intents", &[("currency", "usd")]).await;
    assert_eq!((missing.status, missing.code()), (400, "parameter_missing"));
    let small = [("currency", "usd"), ("amount", "49")];
    assert_eq!(
        shop.post("/v1/payment_intents", &small).await.code(),
        "amount_too_small"
    );
    let nobody = shop.get("/v1/payment_methods/pm_1").await;
    assert_eq!((nobody.status, nobody.code()), (404, "resource_missing"));
    let customer = shop.customer().await;
    let wrong_kind = shop.get(&format!("/v1/payment_intents/{customer}")).await;
    assert_eq!((wrong_kind.status, wrong_kind.code()), (404, "resource_missing"));
    assert_eq!(shop.get("/v1/elsewhere").await.status, 404);
    let amount = [("currency", "usd"), ("amount", "500")];
    let intent = shop.post("/v1/payment_intents", &amount).await.id();
    let expanded = shop
        .get(&format!("/v1/payment_intents/{intent}?expand[]=currency"))
        .await;
    assert_eq!(expanded.status, 400);

    let url = shop.url("/v1/payment_intents");
    for request in [
        shop.http.get(&url),
        shop.http.get(&url).bearer_auth("sk_test_other"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 401);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["type"], "invalid_request_error");
    }
    let basic = shop.http.get(&url).basic_auth(STRIPE_API_KEY, Some(""));
    assert_eq!(basic.send().await.unwrap().status().as_u16(), 200);
    let old = shop.http.get(&url).header("stripe-version", "2020-08-27");
    assert_eq!(shop.send(old).await.status, 400);
    shop.close().await;
}
