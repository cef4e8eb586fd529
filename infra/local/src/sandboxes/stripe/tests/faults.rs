//! Faults, by the operation's name.

use std::time::Duration;

use super::*;
use crate::sandboxes::{Effect, Fault};

const CREATE: &str = "create_payment_intent";

/// A charge whose answer may not come.
async fn try_charge(shop: &Shop, card: &(String, String), key: &str) -> Option<u16> {
    let form = [
        ("amount", "2500"),
        ("currency", "usd"),
        ("customer", card.0.as_str()),
        ("payment_method", card.1.as_str()),
        ("off_session", "true"),
        ("confirm", "true"),
        ("metadata[invoice_id]", "7"),
    ];
    let request = shop
        .http
        .post(shop.url("/v1/payment_intents"))
        .form(&form)
        .timeout(Duration::from_millis(200))
        .bearer_auth(STRIPE_API_KEY)
        .header("idempotency-key", key);
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    response.bytes().await.ok().map(|_| status)
}

#[tokio::test]
async fn a_lost_answer_is_one_charge_when_the_key_is_repeated() {
    let shop = Shop::open().await;
    let card = shop.saved_card("4242424242424242").await;
    for (number, effect, done) in [
        (1, Effect::Reset { after_doing: false }, false),
        (2, Effect::Reset { after_doing: true }, true),
        (
            3,
            Effect::Hang {
                for_ms: 400,
                after_doing: false,
            },
            false,
        ),
        (
            4,
            Effect::Hang {
                for_ms: 400,
                after_doing: true,
            },
            true,
        ),
        (5, Effect::Truncate, true),
    ] {
        let key = format!("invoice-{number}");
        shop.stripe.fault(Fault::on(CREATE, effect.clone()));
        assert_eq!(try_charge(&shop, &card, &key).await, None, "{effect:?}");
        let charged = shop.stripe.succeeded_intents().len();
        assert_eq!(charged, if done { number } else { number - 1 }, "{effect:?}");
        let again = shop.charge(&card, &key).await;
        assert_eq!((again.status, again.replayed()), (200, done), "{effect:?}");
        assert_eq!(shop.stripe.succeeded_intents().len(), number);
    }
    shop.close().await;
}

#[tokio::test]
async fn a_gateway_on_the_way_doesnt_spoil_the_key() {
    let shop = Shop::open().await;
    let card = shop.saved_card("4242424242424242").await;
    let gateway = Effect::Gateway {
        status: 502,
        after_doing: true,
    };
    shop.stripe.fail_operation(CREATE, gateway, 1).unwrap();
    assert_eq!(try_charge(&shop, &card, "a").await, Some(502));
    let again = shop.charge(&card, "a").await;
    assert_eq!((again.status, again.replayed()), (200, true));

    let limit = Effect::RateLimit { retry_after_s: 2 };
    shop.stripe.fail_operation(CREATE, limit, 1).unwrap();
    let limited = shop.charge(&card, "b").await;
    assert_eq!((limited.status, limited.code()), (429, "rate_limit"));
    assert_eq!(limited.headers["retry-after"], "2");
    assert!(!shop.charge(&card, "b").await.replayed());
    assert_eq!(shop.stripe.succeeded_intents().len(), 2);
    shop.close().await;
}

#[tokio::test]
async fn a_fault_hits_its_operation_only_and_as_often_as_told() {
    let shop = Shop::open().await;
    let card = shop.saved_card("4242424242424242").await;
    let decline = Effect::Decline {
        decline_code: "do_not_honor".to_owned(),
    };
    shop.stripe.fail_operation(CREATE, decline, 2).unwrap();
    assert_eq!(shop.get("/v1/payment_intents").await.status, 200);
    for key in ["a", "b"] {
        let declined = shop.charge(&card, key).await;
        assert_eq!(declined.body["error"]["decline_code"], "do_not_honor");
    }
    assert_eq!(shop.charge(&card, "c").await.status, 200);
    let calls = shop.stripe.calls_of(CREATE);
    let statuses: Vec<_> = calls.iter().map(|call| call.status.unwrap()).collect();
    assert_eq!(statuses, [402, 402, 200]);
    assert_eq!(calls[0].idempotency_key.as_deref(), Some("a"));
    shop.close().await;
}
