//! The outcomes of a charge.

use super::super::{ChargeStatus, IntentStatus};
use super::*;

#[tokio::test]
async fn every_declining_card_has_its_code() {
    let shop = Shop::open().await;
    for (token, code, decline_code) in [
        (
            "pm_card_visa_chargeDeclined",
            "card_declined",
            Some("generic_decline"),
        ),
        (
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "card_declined",
            Some("insufficient_funds"),
        ),
        (
            "pm_card_visa_chargeDeclinedLostCard",
            "card_declined",
            Some("lost_card"),
        ),
        (
            "pm_card_visa_chargeDeclinedStolenCard",
            "card_declined",
            Some("stolen_card"),
        ),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
    ] {
        let form = [
            ("amount", "2500"),
            ("currency", "usd"),
            ("payment_method", token),
            ("confirm", "true"),
        ];
        let declined = shop.post("/v1/payment_intents", &form).await;
        let error = &declined.body["error"];
        assert_eq!((declined.status, declined.code()), (402, code), "{token}");
        assert_eq!(error["decline_code"].as_str(), decline_code, "{token}");
        assert_eq!(error["type"], "card_error");
        assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
        assert_eq!(error["payment_intent"]["latest_charge"], error["charge"]);
        assert_eq!(error["payment_intent"]["payment_method"], Value::Null);
    }
    assert!(shop.stripe.succeeded_intents().is_empty());
    shop.close().await;
}

#[tokio::test]
async fn a_saved_card_can_decline_later() {
    let shop = Shop::open().await;
    let card = shop.saved_card("4000000000000341").await;
    assert_eq!(shop.charge(&card, "a").await.code(), "card_declined");

    let card = shop.saved_card("4242424242424242").await;
    assert_eq!(shop.charge(&card, "b").await.status, 200);
    shop.stripe
        .decline_from_now_on(&card.1, Some("lost_card"))
        .unwrap();
    let declined = shop.charge(&card, "c").await;
    assert_eq!(declined.body["error"]["decline_code"], "lost_card");
    shop.stripe.decline_from_now_on(&card.1, None).unwrap();
    shop.stripe.update_card(&card.1, 1, 2020).unwrap();
    assert_eq!(shop.charge(&card, "expired").await.code(), "expired_card");
    shop.stripe.update_card(&card.1, 1, 2034).unwrap();
    assert_eq!(shop.charge(&card, "d").await.status, 200);
    assert_eq!(shop.stripe.succeeded_intents().len(), 2);
    shop.close().await;
}

#[tokio::test]
async fn a_charge_without_the_customer_can_need_them() {
    let shop = Shop::open().await;
    let card = shop.saved_card("4000002760003184").await;
    let refused = shop.charge(&card, "a").await;
    let error = &refused.body["error"];
    assert_eq!((refused.status, refused.code()), (402, "authentication_required"));
    assert_eq!(error["decline_code"], "authentication_required");
    assert_eq!(error["type"], "card_error");
    let intent = &error["payment_intent"];
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(
        intent["last_payment_error"]["payment_method"]["id"],
        card.1.as_str()
    );
    let id = intent["id"].as_str().unwrap();

    let failed = shop.stripe.customer_confirms(id, false).unwrap();
    assert_eq!(failed.status, IntentStatus::RequiresPaymentMethod);
    assert_eq!(
        failed.last_error.unwrap().decline.code,
        "payment_intent_authentication_failure"
    );
    // Then it no longer waits for the customer.
    assert!(shop.stripe.customer_confirms(id, true).is_err());

    let again = shop.charge(&card, "b").await;
    let id = again.body["error"]["payment_intent"]["id"].as_str().unwrap();
    let paid = shop.stripe.customer_confirms(id, true).unwrap();
    assert_eq!(paid.status, IntentStatus::Succeeded);
    assert_eq!(paid.payment_method.as_deref(), Some(card.1.as_str()));
    assert_eq!(shop.stripe.succeeded_intents().len(), 1);
    shop.close().await;
}

#[tokio::test]
async fn the_customer_confirms_on_the_page_of_the_bank() {
    let shop = Shop::open().await;
    let form = [
        ("amount", "2500"),
        ("currency", "usd"),
        ("payment_method", "pm_card_authenticationRequired"),
        ("confirm", "true"),
        ("return_url", "https://app.example/back"),
    ];
    let waiting = shop.post("/v1/payment_intents", &form).await;
    assert_eq!(waiting.body["status"], "requires_action");
    let page = waiting.body["next_action"]["redirect_to_url"]["url"]
        .as_str()
        .unwrap();
    let no_redirects = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    assert!(no_redirects.get(page).send().await.unwrap().status().is_success());
    let answer = no_redirects
        .post(page)
        .form(&[("authentication", "succeed")])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 303);
    assert_eq!(answer.headers()["location"], "https://app.example/back");
    let paid = shop.stripe.payment_intent(&waiting.id()).unwrap();
    assert_eq!(paid.status, IntentStatus::Succeeded);

    // The caller who can't bring the customer is refused instead.
    let form = [
        ("amount", "2500"),
        ("currency", "usd"),
        ("payment_method", "pm_card_authenticationRequired"),
        ("confirm", "true"),
        ("error_on_requires_action", "true"),
    ];
    let refused = shop.post("/v1/payment_intents", &form).await;
    assert_eq!((refused.status, refused.code()), (402, "authentication_required"));
    shop.close().await;
}

#[tokio::test]
async fn a_card_set_up_for_it_is_charged_without_the_customer() {
    let shop = Shop::open().await;
    for number in ["4000002500003155", "4000003800000446"] {
        let card = shop.saved_card(number).await;
        assert_eq!(shop.charge(&card, number).await.status, 200, "{number}");
    }
    // Attached only, it was never set up.
    let customer = shop.customer().await;
    let method = shop.stripe.work(|work| {
        let method = work.method_or_token("pm_card_authenticationRequiredOnSetup");
        let method = method.unwrap();
        work.attach(&method, &customer).unwrap();
        method
    });
    let card = (customer, method);
    assert_eq!(shop.charge(&card, "a").await.code(), "authentication_required");
    shop.stripe.needs_authentication(&card.1, false).unwrap();
    assert_eq!(shop.charge(&card, "b").await.status, 200);
    shop.stripe.needs_authentication(&card.1, true).unwrap();
    assert_eq!(shop.charge(&card, "c").await.code(), "authentication_required");
    shop.close().await;
}

#[tokio::test]
async fn a_payment_can_be_processing_first() {
    let shop = Shop::open().await;
    let card = shop.saved_card("4242424242424242").await;
    shop.stripe.goes_processing(&card.1, true).unwrap();
    let first = shop.charge(&card, "a").await;
    assert_eq!(first.body["status"], "processing");
    let cancel = format!("/v1/payment_intents/{}/cancel", first.id());
    assert_eq!(
        shop.post(&cancel, &[]).await.code(),
        "payment_intent_unexpected_state"
    );
    let settled = shop.stripe.settle_processing(&first.id(), true).unwrap();
    assert_eq!(settled.status, IntentStatus::Succeeded);
    assert!(shop.stripe.settle_processing(&first.id(), true).is_err());

    let second = shop.charge(&card, "b").await;
    let settled = shop.stripe.settle_processing(&second.id(), false).unwrap();
    assert_eq!(settled.status, IntentStatus::RequiresPaymentMethod);
    let statuses: Vec<ChargeStatus> = shop.stripe.charges().iter().map(|charge| charge.status).collect();
    assert_eq!(statuses, [ChargeStatus::Succeeded, ChargeStatus::Failed]);
    shop.close().await;
}

#[tokio::test]
async fn a_card_is_used_by_its_customer_only_and_not_after_it_was_removed() {
    let shop = Shop::open().await;
    let (customer, method) = shop.saved_card("4242424242424242").await;
    let other = shop.customer().await;
    let refused = shop.charge(&(other, method.clone()), "a").await;
    assert_eq!(refused.status, 400);
    shop.stripe.detach_outside(&method).unwrap();
    let card = (customer, method.clone());
    assert_eq!(shop.charge(&card, "b").await.status, 400);
    let detach = format!("/v1/payment_methods/{method}/detach");
    assert_eq!(shop.post(&detach, &[]).await.status, 400);
    assert!(shop.stripe.payment_intents().is_empty());
    shop.close().await;
}

#[tokio::test]
async fn no_more_is_given_back_than_was_taken() {
    let shop = Shop::open().await;
    let card = shop.saved_card("4242424242424242").await;
    let intent = shop.charge(&card, "a").await.id();
    let refund = |amount: &'static str| {
        let (shop, intent) = (&shop, intent.clone());
        async move {
            let form = [("payment_intent", intent.as_str()), ("amount", amount)];
            shop.post("/v1/refunds", &form).await
        }
    };
    assert_eq!(refund("2501").await.status, 400);
    assert_eq!(refund("1000").await.status, 200);
    assert_eq!(refund("1501").await.status, 400);
    shop.stripe.refund_outside(&intent).unwrap();
    assert_eq!(refund("1").await.code(), "charge_already_refunded");
    let sum: i64 = shop.stripe.refunds().iter().map(|refund| refund.amount).sum();
    assert_eq!(sum, 2_500);
    // What the bank gives back can be given back anew.
    let failed = shop.stripe.refunds().remove(0);
    shop.stripe
        .fail_refund(&failed.id, "lost_or_stolen_card")
        .unwrap();
    assert!(
        shop.stripe
            .fail_refund(&failed.id, "lost_or_stolen_card")
            .is_err()
    );
    assert_eq!(refund("1000").await.status, 200);

    let second = shop.charge(&card, "b").await.id();
    shop.stripe.dispute(&second).unwrap();
    let disputed = shop.post("/v1/refunds", &[("payment_intent", &second)]).await;
    assert_eq!(disputed.code(), "charge_disputed");
    shop.close().await;
}
