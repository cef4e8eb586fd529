//! Webhooks: signed, again until accepted, and in the order they are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::StatusCode;
use ring::digest;
use stripe_webhook::{EventObject, Webhook};
use tokio::net::TcpListener;

use super::super::{DeliveryStatus, ReleaseOrder};
use super::*;

/// What has come to the endpoint, and how many it refuses first.
#[derive(Clone, Default)]
struct Endpoint {
    got: Arc<Mutex<Vec<(String, String)>>>,
    refuses: Arc<Mutex<u32>>,
}

async fn take(State(endpoint): State<Endpoint>, headers: HeaderMap, body: String) -> StatusCode {
    let mut refuses = endpoint.refuses.lock().unwrap();
    if *refuses > 0 {
        *refuses -= 1;
        return StatusCode::NOT_FOUND;
    }
    let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
    endpoint.got.lock().unwrap().push((signature, body));
    StatusCode::OK
}

impl Endpoint {
    async fn open() -> (Self, String) {
        let endpoint = Self::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/webhooks/stripe", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/webhooks/stripe", post(take))
            .with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (endpoint, url)
    }

    fn got(&self) -> Vec<(String, String)> {
        self.got.lock().unwrap().clone()
    }

    fn ids(&self) -> Vec<String> {
        let id = |body: &str| {
            serde_json::from_str::<Value>(body).unwrap()["id"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        self.got().iter().map(|(_, body)| id(body)).collect()
    }
}

/// HMAC-SHA256 as RFC 2104 writes it down, in hexadecimal.
fn hmac(secret: &str, message: &str) -> String {
    let mut key = [0_u8; 64];
    key[..secret.len()].copy_from_slice(secret.as_bytes());
    let hash = |pad: u8, message: &[u8]| {
        let padded = key.map(|byte| byte ^ pad);
        digest::digest(&digest::SHA256, &[&padded, message].concat())
    };
    let inner = hash(0x36, message.as_bytes());
    let outer = hash(0x5c, inner.as_ref());
    outer.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn every_event_is_signed_and_read_by_async_stripe() {
    let shop = Shop::open().await;
    let card = shop.saved_card("4242424242424242").await;
    let intent = shop.charge(&card, "a").await.id();
    // Nothing was sent before; now all of it is.
    let (endpoint, url) = Endpoint::open().await;
    shop.stripe.set_webhook_endpoint(&url);
    let stripe = &shop.stripe;
    stripe.refund_outside(&intent).unwrap();
    stripe.update_card(&card.1, 4, 2030).unwrap();
    stripe.decline_from_now_on(&card.1, Some("lost_card")).unwrap();
    shop.charge(&card, "b").await;
    stripe.decline_from_now_on(&card.1, None).unwrap();
    stripe.goes_processing(&card.1, true).unwrap();
    shop.charge(&card, "c").await;
    stripe.goes_processing(&card.1, false).unwrap();
    let disputed = shop.charge(&card, "d").await.id();
    stripe.dispute(&disputed).unwrap();
    let open = shop
        .post("/v1/payment_intents", &[("amount", "500"), ("currency", "usd")])
        .await;
    let cancel = format!("/v1/payment_intents/{}/cancel", open.id());
    shop.post(&cancel, &[]).await;
    let action = [
        ("amount", "500"),
        ("currency", "usd"),
        ("payment_method", "pm_card_authenticationRequired"),
        ("confirm", "true"),
    ];
    shop.post("/v1/payment_intents", &action).await;
    stripe.detach_outside(&card.1).unwrap();
    stripe.webhooks_settled().await;

    let got = endpoint.got();
    assert_eq!(got.len(), stripe.events().len());
    let secret = &stripe.webhook_secrets()[0];
    for (signature, body) in &got {
        let (time, rest) = signature.split_once(",v1=").unwrap();
        let time = time.strip_prefix("t=").unwrap();
        assert_eq!(rest, hmac(secret, &format!("{time}.{body}")));
        let event = Webhook::construct_event(body, signature, secret)
            .unwrap_or_else(|error| panic!("{error}: {body}"));
        assert!(
            !matches!(event.data.object, EventObject::Unknown(_)),
            "an event that async-stripe doesn't know: {body}"
        );
        assert_eq!(event.pending_webhooks, 1);
    }
    let events = stripe.events();
    let delivered = |event: &super::super::Event| event.delivery == DeliveryStatus::Delivered;
    assert!(events.iter().all(delivered));
    let failed = events
        .iter()
        .find(|event| event.kind == "payment_intent.payment_failed")
        .unwrap();
    assert_eq!(failed.idempotency_key.as_deref(), Some("b"));
    assert_eq!(failed.object["last_payment_error"]["decline_code"], "lost_card");
    let renewed = events
        .iter()
        .find(|event| event.kind == "payment_method.automatically_updated")
        .unwrap();
    assert_eq!(renewed.request, None);
    assert_eq!(
        renewed.previous_attributes.as_ref().unwrap()["card"]["exp_year"],
        2034
    );
    shop.close().await;
}

#[tokio::test]
async fn an_event_that_is_refused_comes_again_and_not_for_ever() {
    let shop = Shop::open().await;
    let (endpoint, url) = Endpoint::open().await;
    *endpoint.refuses.lock().unwrap() = 2;
    shop.stripe.set_webhook_endpoint(&url);
    shop.customer().await;
    shop.stripe.webhooks_settled().await;
    assert_eq!(endpoint.got().len(), 1);
    let statuses = |shop: &Shop| -> Vec<Option<u16>> {
        let deliveries = shop.stripe.webhook_deliveries();
        deliveries.iter().map(|delivery| delivery.status).collect()
    };
    assert_eq!(statuses(&shop), [Some(404), Some(404), Some(200)]);

    *endpoint.refuses.lock().unwrap() = u32::MAX;
    shop.customer().await;
    shop.stripe.webhooks_settled().await;
    assert_eq!(statuses(&shop).len(), 3 + 6);
    let lost = shop.stripe.events().pop().unwrap();
    assert_eq!(lost.delivery, DeliveryStatus::GivenUp);
    *endpoint.refuses.lock().unwrap() = 0;
    assert_eq!(shop.stripe.redeliver(&lost.id).await.unwrap(), 200);
    assert_eq!(endpoint.ids().last(), Some(&lost.id));
    assert_eq!(
        shop.stripe.events().pop().unwrap().delivery,
        DeliveryStatus::Delivered
    );
    assert!(shop.stripe.redeliver("evt_none").await.is_err());
    shop.close().await;
}

#[tokio::test]
async fn events_are_held_back_and_sent_in_any_order() {
    let shop = Shop::open().await;
    let (endpoint, url) = Endpoint::open().await;
    shop.stripe.set_webhook_endpoint(&url);
    shop.stripe.hold_webhooks();
    for _ in 0..4 {
        shop.customer().await;
    }
    let held: Vec<String> = shop
        .stripe
        .held_webhooks()
        .into_iter()
        .map(|event| event.id)
        .collect();
    assert_eq!((held.len(), endpoint.got().len()), (4, 0));
    let order = vec![held[2].clone(), held[0].clone(), held[2].clone()];
    let release = ReleaseOrder::Exactly(order.clone());
    shop.stripe.release_webhooks(&release).await.unwrap();
    assert_eq!(endpoint.ids(), order);
    assert!(shop.stripe.release_webhooks(&release).await.is_err());
    shop.stripe
        .release_webhooks(&ReleaseOrder::NewestFirst)
        .await
        .unwrap();
    assert_eq!(endpoint.ids()[3..], [held[3].clone(), held[1].clone()]);

    // Holding has ended.
    shop.customer().await;
    shop.stripe.webhooks_settled().await;
    assert_eq!(endpoint.got().len(), 6);
    shop.stripe.hold_webhooks();
    shop.customer().await;
    assert_eq!(shop.stripe.drop_held_webhooks(), 1);
    shop.stripe
        .release_webhooks(&ReleaseOrder::OldestFirst)
        .await
        .unwrap();
    assert_eq!(endpoint.got().len(), 6);
    shop.close().await;
}

#[tokio::test]
async fn events_come_twice_and_late_and_only_those_wanted() {
    let shop = Shop::open().await;
    let (endpoint, url) = Endpoint::open().await;
    shop.stripe.set_webhook_endpoint(&url);
    shop.stripe.limit_webhooks(Some(&["payment_intent.succeeded"]));
    shop.stripe.repeat_webhooks(2);
    shop.stripe.delay_webhooks(Duration::from_millis(50));
    let card = shop.saved_card("4242424242424242").await;
    shop.charge(&card, "a").await;
    assert_eq!(endpoint.got().len(), 0);
    shop.stripe.webhooks_settled().await;
    let ids = endpoint.ids();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]));
    shop.close().await;
}

#[tokio::test]
async fn the_old_secret_signs_beside_the_new_one_for_a_while() {
    let shop = Shop::open().await;
    let (endpoint, url) = Endpoint::open().await;
    shop.stripe.set_webhook_endpoint(&url);
    let old = shop.stripe.webhook_secrets();
    let new = shop.stripe.rotate_webhook_secret();
    assert_eq!(shop.stripe.webhook_secrets(), [new.clone(), old[0].clone()]);
    shop.customer().await;
    shop.stripe.webhooks_settled().await;
    let (signature, body) = endpoint.got().remove(0);
    for secret in [&old[0], &new] {
        Webhook::construct_event(&body, &signature, secret).unwrap();
    }
    shop.stripe.end_rotation();
    assert_eq!(shop.stripe.webhook_secrets(), std::slice::from_ref(&new));
    let header = StripeSandbox::sign("{}", &old[0], 1_790_000_000);
    let expected = hmac(&old[0], "1790000000.{}");
    assert_eq!(header, format!("t=1790000000,v1={expected}"));
    shop.close().await;
}
