//! One key, one charge.

use futures::future::join_all;

use super::super::IntentStatus;
use super::*;
use crate::sandboxes::{Effect, Fault};

const CREATE: &str = "create_payment_intent";

#[tokio::test]
async fn an_answer_is_repeated_and_nothing_done_again() {
    let shop = Shop::open().await;
    let card = shop.saved_card("4242424242424242").await;
    let first = shop.charge(&card, "invoice-7-1").await;
    let events = shop.stripe.events().len();
    let again = shop.charge(&card, "invoice-7-1").await;
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    assert!(!first.replayed() && again.replayed());
    assert_ne!(first.headers["request-id"], again.headers["request-id"]);
    assert_eq!(first.headers["request-id"], again.headers["original-request"]);
    assert_eq!(shop.stripe.payment_intents().len(), 1);
    assert_eq!(shop.stripe.events().len(), events);

    assert!(shop.stripe.forget_idempotency_key("invoice-7-1"));
    let anew = shop.charge(&card, "invoice-7-1").await;
    assert!(!anew.replayed());
    assert_eq!(shop.stripe.succeeded_intents().len(), 2);
    shop.close().await;
}

#[tokio::test]
async fn a_decline_is_repeated_even_when_the_card_is_good_again() {
    let shop = Shop::open().await;
    let card = shop.saved_card("4242424242424242").await;
    let decline = Some("insufficient_funds");
    shop.stripe.decline_from_now_on(&card.1, decline).unwrap();
    let first = shop.charge(&card, "a").await;
    shop.stripe.decline_from_now_on(&card.1, None).unwrap();
    let again = shop.charge(&card, "a").await;
    assert_eq!((again.status, again.text.as_str()), (402, first.text.as_str()));
    assert!(again.replayed());
    assert_eq!(shop.charge(&card, "b").await.status, 200);
    shop.close().await;
}

#[tokio::test]
async fn a_server_error_is_repeated_whether_it_was_done_or_not() {
    let shop = Shop::open().await;
    let card = shop.saved_card("4242424242424242").await;
    let before = Effect::Refuse {
        status: 500,
        error_code: String::new(),
        message: String::new(),
    };
    for (key, effect, done) in [("a", before, 0), ("b", Effect::FailAfter { status: 500 }, 1)] {
        shop.stripe.fail_operation(CREATE, effect, 1).unwrap();
        let first = shop.charge(&card, key).await;
        let again = shop.charge(&card, key).await;
        assert_eq!((first.status, again.status), (500, 500), "{key}");
        assert_eq!(first.body["error"]["type"], "api_error");
        assert!(again.replayed());
        assert_eq!(shop.stripe.succeeded_intents().len(), done, "{key}");
    }
    // What was done is found by what it was for.
    let listed = shop
        .get(&format!("/v1/payment_intents?customer={}", card.0))
        .await;
    assert_eq!(listed.body["data"][0]["metadata"]["invoice_id"], "7");
    assert_eq!(listed.body["data"][0]["status"], "succeeded");
    shop.close().await;
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let shop = Shop::open().await;
    let (customer, method) = shop.saved_card("4242424242424242").await;
    let card = (customer.as_str(), method.as_str());
    shop.charge_amount("2500", card, "a").await;
    let other = shop.charge_amount("2600", card, "a").await;
    assert_eq!(other.status, 400);
    assert_eq!(other.body["error"]["type"], "idempotency_error");
    let elsewhere = shop.post_with_key("/v1/customers", &[], "a").await;
    assert_eq!(elsewhere.body["error"]["type"], "idempotency_error");
    assert_eq!(shop.stripe.payment_intents().len(), 1);

    // A request that was refused as such has not used its key.
    assert_eq!(shop.charge_amount("1", card, "b").await.status, 400);
    assert_eq!(shop.charge_amount("2500", card, "b").await.status, 200);
    shop.close().await;
}

#[tokio::test]
async fn a_key_is_in_use_while_its_request_is_worked_on() {
    let shop = Shop::open().await;
    let card = shop.saved_card("4242424242424242").await;
    for (key, done_first) in [("a", true), ("b", false)] {
        let slow = Effect::Slow {
            for_ms: 400,
            done_first,
        };
        shop.stripe.fault(Fault::on(CREATE, slow));
        let before = shop.stripe.succeeded_intents().len();
        let first = shop.charge(&card, key);
        let meanwhile = async {
            while shop
                .stripe
                .calls_of(CREATE)
                .last()
                .and_then(|call| call.idempotency_key.clone())
                != Some(key.to_owned())
            {
                tokio::task::yield_now().await;
            }
            let busy = shop.charge(&card, key).await;
            let done = shop.stripe.succeeded_intents().len() > before;
            (busy, done)
        };
        let (first, (busy, done)) = tokio::join!(first, meanwhile);
        assert_eq!((busy.status, busy.code()), (409, "idempotency_key_in_use"));
        assert_eq!(done, done_first);
        assert_eq!(first.status, 200);
        let again = shop.charge(&card, key).await;
        assert_eq!(again.text, first.text);
        assert_eq!(shop.stripe.succeeded_intents().len(), before + 1);
    }
    shop.close().await;
}

#[tokio::test]
async fn many_at_once_are_one_charge() {
    let shop = Shop::open().await;
    let card = shop.saved_card("4242424242424242").await;
    let answers = join_all((0..32).map(|_| shop.charge(&card, "invoice-7-1"))).await;
    let ids: std::collections::BTreeSet<String> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .map(Answer::id)
        .collect();
    assert_eq!(ids.len(), 1);
    assert!(answers.iter().all(|answer| [200, 409].contains(&answer.status)));
    assert_eq!(shop.stripe.succeeded_intents().len(), 1);
    shop.close().await;
}

#[tokio::test]
async fn a_key_outlives_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let options = || SandboxOptions {
        state: Some(state.path().to_owned()),
        ..SandboxOptions::default()
    };
    let shop = Shop::around(Sandboxes::start(options()).await.unwrap());
    let card = shop.saved_card("4242424242424242").await;
    let secret = shop.stripe.rotate_webhook_secret();
    let first = shop.charge(&card, "a").await;
    shop.close().await;

    let shop = Shop::around(Sandboxes::start(options()).await.unwrap());
    let again = shop.charge(&card, "a").await;
    assert!(again.replayed());
    assert_eq!(again.text, first.text);
    assert_eq!(shop.stripe.webhook_secrets()[0], secret);
    assert!(shop.sandboxes.environment()["STRIPE_SECRET"].contains(&secret));
    let intents = shop.stripe.payment_intents();
    assert_eq!(intents[0].status, IntentStatus::Succeeded);
    assert_eq!(intents[0].idempotency_key.as_deref(), Some("a"));
    shop.close().await;
}
