//! The page of a checkout session.

use super::super::{SessionStatus, SetupStatus};
use super::*;

fn browser() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

async fn setup_session(shop: &Shop, customer: &str) -> (String, String) {
    let form = [
        ("mode", "setup"),
        ("currency", "usd"),
        ("customer", customer),
        ("success_url", "https://app.example/done?id={CHECKOUT_SESSION_ID}"),
        ("cancel_url", "https://app.example/<cancel>"),
        ("metadata[profile_id]", "7"),
    ];
    let session = shop.post("/v1/checkout/sessions", &form).await;
    (session.id(), session.body["url"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_card_is_saved_on_the_page() {
    let shop = Shop::open().await;
    let browser = browser();
    let customer = shop.customer().await;
    let (session, url) = setup_session(&shop, &customer).await;
    let page = browser.get(&url).send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let page = page.text().await.unwrap();
    assert!(
        page.contains("<form") && page.contains("&lt;cancel&gt;"),
        "{page}"
    );

    let submit = async |number: &str, expiry: &str, authentication: &str| {
        let form = [
            ("number", number),
            ("expiry", expiry),
            ("cvc", "123"),
            ("authentication", authentication),
        ];
        let answer = browser.post(&url).form(&form).send().await.unwrap();
        let location = answer.headers().get("location").cloned();
        let status = answer.status().as_u16();
        (
            status,
            location.map(|location| location.to_str().unwrap().to_owned()),
            answer.text().await.unwrap(),
        )
    };
    let (status, _, page) = submit("4000000000009995", "12/34", "").await;
    assert_eq!(status, 402);
    assert!(page.contains("insufficient_funds"), "{page}");
    assert_eq!(submit("4242 4242 4242 4242", "soon", "").await.0, 400);
    let (status, _, page) = submit("4242424242424242", "01/20", "").await;
    assert_eq!(status, 402);
    assert!(page.contains("expired"), "{page}");
    assert_eq!(submit("4242424242424241", "12/34", "").await.0, 402);
    // The bank asks first, and the customer fails.
    let (status, _, page) = submit("4000002500003155", "12/34", "").await;
    assert_eq!(status, 200);
    assert!(page.contains("value=\"succeed\""), "{page}");
    assert_eq!(submit("4000002500003155", "12/34", "fail").await.0, 402);
    assert!(shop.stripe.payment_methods(&customer).is_empty());

    let (status, location, _) = submit("4000002500003155", "04/29", "succeed").await;
    assert_eq!(status, 303);
    assert_eq!(
        location.unwrap(),
        format!("https://app.example/done?id={session}")
    );
    let saved = shop.stripe.payment_methods(&customer);
    assert_eq!((saved.len(), saved[0].exp_month, saved[0].exp_year), (1, 4, 2029));
    assert_eq!(
        shop.stripe.checkout_session(&session).unwrap().status,
        SessionStatus::Complete
    );
    // The page is closed.
    assert_eq!(submit("4242424242424242", "12/34", "").await.0, 404);
    assert_eq!(shop.stripe.payment_methods(&customer).len(), 1);
    assert_eq!(
        shop.kinds(),
        [
            "customer.created",
            "setup_intent.setup_failed",
            "setup_intent.setup_failed",
            "payment_method.attached",
            "setup_intent.succeeded",
            "checkout.session.completed",
        ]
    );
    shop.close().await;
}

#[tokio::test]
async fn something_is_paid_on_the_page() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    shop.stripe.set_price("price_yearly", 9_600, "USD");
    let form = [
        ("mode", "payment"),
        ("customer", customer.as_str()),
        ("success_url", "https://app.example/done"),
        ("line_items[0][price]", "price_yearly"),
        ("line_items[0][quantity]", "1"),
        ("payment_intent_data[metadata][refund]", "true"),
    ];
    let session = shop.post("/v1/checkout/sessions", &form).await;
    assert_eq!(session.body["amount_total"], 9_600);
    let page = shop.http.get(session.body["url"].as_str().unwrap()).send().await;
    assert!(page.unwrap().text().await.unwrap().contains("Pay 96.00 USD"));
    let id = session.id();
    let declined = shop
        .stripe
        .complete_checkout(&id, "4000000000009987")
        .unwrap_err();
    assert!(declined.to_string().ends_with("(lost_card)"), "{declined}");
    shop.stripe.complete_checkout(&id, "4242424242424242").unwrap();
    // The same intent, tried twice.
    let intents = shop.stripe.payment_intents();
    assert_eq!((intents.len(), intents[0].amount), (1, 9_600));
    assert_eq!(intents[0].metadata["refund"], "true");
    assert_eq!(shop.stripe.charges().len(), 2);
    let session = shop
        .get(&format!("/v1/checkout/sessions/{id}?expand[]=payment_intent"))
        .await;
    assert_eq!(session.body["payment_status"], "paid");
    assert_eq!(session.body["payment_intent"]["status"], "succeeded");
    // It was for this time only.
    assert!(shop.stripe.payment_methods(&customer).is_empty());

    let form = [
        ("mode", "setup"),
        ("currency", "usd"),
        ("success_url", "https://app.example/done"),
        ("setup_intent_data[transfer][amount]", "1"),
    ];
    let unknown = shop.post("/v1/checkout/sessions", &form).await;
    assert_eq!(unknown.body["error"]["param"], form[3].0);
    let form = [
        ("mode", "payment"),
        ("success_url", "https://app.example/done"),
        ("line_items[0][price]", "price_none"),
    ];
    let missing = shop.post("/v1/checkout/sessions", &form).await;
    assert_eq!((missing.status, missing.code()), (400, "resource_missing"));
    shop.close().await;
}

#[tokio::test]
async fn an_expired_session_saves_nothing() {
    let shop = Shop::open().await;
    let customer = shop.customer().await;
    let (session, url) = setup_session(&shop, &customer).await;
    shop.stripe.expire_checkout(&session).unwrap();
    assert!(shop.stripe.expire_checkout(&session).is_err());
    assert!(
        shop.stripe
            .complete_checkout(&session, "4242424242424242")
            .is_err()
    );
    assert_eq!(shop.http.get(&url).send().await.unwrap().status().as_u16(), 404);
    let setup = shop.lock_setup(&session);
    assert_eq!(setup, SetupStatus::Canceled);
    assert_eq!(shop.kinds(), ["customer.created", "checkout.session.expired"]);

    // One that nobody expires does so when its time is over.
    let (session, _) = setup_session(&shop, &customer).await;
    shop.stripe.work(|work| {
        let now = work.now;
        work.state.sessions.get_mut(&session).unwrap().expires_at = now;
    });
    let late = shop.get(&format!("/v1/checkout/sessions/{session}")).await;
    assert_eq!(late.body["status"], "expired");
    shop.close().await;
}

impl Shop {
    fn lock_setup(&self, session: &str) -> SetupStatus {
        let session = self.stripe.checkout_session(session).unwrap();
        let live = self.stripe.lock();
        live.state.setups[&session.setup_intent.unwrap()].status
    }
}
