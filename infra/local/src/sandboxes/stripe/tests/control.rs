//! The sandbox driven by HTTP.

use serde_json::json;

use super::*;
use crate::sandboxes::tests::answer;

#[tokio::test]
async fn control_routes_do_what_the_handle_does() {
    let shop = Shop::open().await;
    let control = |path: &str| format!("{}/control/stripe{path}", shop.sandboxes.url());
    let post = |path: &str, body: Value| answer(shop.http.post(control(path)).json(&body));
    let (customer, method) = shop.saved_card("4242424242424242").await;
    let card = (customer, method.clone());

    let price = json!({ "id": "price_x", "amount": 700 });
    assert_eq!(post("/prices", price).await.0, 200);
    let decline = format!("/methods/{method}/decline");
    let lost = json!({ "decline_code": "lost_card" });
    assert_eq!(post(&decline, lost).await.1["overrides"]["decline"], "lost_card");
    assert_eq!(shop.charge(&card, "a").await.status, 402);
    assert_eq!(post(&decline, json!({ "decline_code": null })).await.0, 200);
    let processing = format!("/methods/{method}/processing");
    assert_eq!(post(&processing, json!({ "on": true })).await.0, 200);
    let intent = shop.charge(&card, "b").await.id();
    let settle = format!("/intents/{intent}/settle");
    let settled = post(&settle, json!({ "succeeds": true })).await;
    assert_eq!(settled.1["status"], "succeeded");
    assert_eq!(post(&settle, json!({ "succeeds": true })).await.0, 400);
    let expiry = json!({ "exp_month": 4, "exp_year": 2030 });
    let renewed = post(&format!("/methods/{method}/expiry"), expiry).await;
    assert_eq!(renewed.1["exp_year"], 2030);
    let forgotten = answer(shop.http.delete(control("/idempotency-keys/b"))).await;
    assert_eq!(forgotten.1["known"], true);

    let hold = json!({ "hold": true, "wanted": ["charge.refunded"], "repeat": 1 });
    assert_eq!(post("/webhooks", hold).await.1["hold"], true);
    let refunded = post(&format!("/intents/{intent}/refund"), json!({})).await;
    assert!(refunded.1["refund"].as_str().unwrap().starts_with("re_"));
    let held = answer(shop.http.get(control("/webhooks/held"))).await.1;
    assert_eq!(held["items"][0]["kind"], "charge.refunded");
    let release = json!({ "order": "shuffled" });
    assert_eq!(post("/webhooks/release", release).await.0, 200);
    let sign = json!({ "payload": "{}", "secret": "whsec_x", "timestamp": 1 });
    let signed = post("/sign", sign).await.1;
    assert_eq!(signed["header"], StripeSandbox::sign("{}", "whsec_x", 1));

    let fault =
        json!({ "operation": "create_payment_intent", "effect": { "kind": "fail_after", "status": 500 } });
    assert_eq!(post("/faults", fault).await.0, 200);
    let nowhere = json!({ "operation": "create_intent", "effect": { "kind": "truncate" } });
    assert_eq!(post("/faults", nowhere).await.0, 400);
    assert_eq!(shop.charge(&card, "c").await.status, 500);
    let (_, all) = answer(shop.http.get(control(""))).await;
    assert_eq!(all["payment_intents"].as_object().unwrap().len(), 3);
    assert_eq!(post("/elsewhere", json!({})).await.0, 404);
    let same = format!("{}/stripe/control/webhooks/held", shop.sandboxes.url());
    assert_eq!(answer(shop.http.get(same)).await.0, 200);
    shop.close().await;
}
