//! Tests of what all sandboxes share, of Plaid and of Firebase.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::keys;

pub(super) async fn sandboxes() -> Sandboxes {
    Sandboxes::start(SandboxOptions::default()).await.unwrap()
}

/// A client without TLS, as all of this is on the loopback interface.
pub(super) fn client() -> reqwest::Client {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

pub(super) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn balance(sandboxes: &Sandboxes, access_token: &str, account: &str) -> (u16, Value) {
    let body = json!({
        "client_id": keys::PLAID_CLIENT_ID,
        "secret": keys::PLAID_SECRET,
        "access_token": access_token,
        "options": { "account_ids": [account] },
    });
    let url = format!(
        "{}/accounts/balance/get",
        sandboxes.environment()["PLAID_API_BASE"]
    );
    answer(client().post(url).json(&body)).await
}

#[tokio::test]
async fn plaid_gives_the_balance_that_was_set() {
    let sandboxes = sandboxes().await;
    let plaid = sandboxes.plaid();
    assert!(plaid.seed_item("access-1", "checking", 12_345, 20_000));
    assert!(!plaid.seed_item("access-1", "checking", 1, 1));
    let (status, body) = balance(&sandboxes, "access-1", "checking").await;
    assert_eq!(status, 200);
    assert_eq!(body["accounts"][0]["balances"]["available"].to_string(), "123.45");
    assert_eq!(body["accounts"][0]["balances"]["current"].to_string(), "200");

    plaid.set_balance("access-1", "checking", None, 5).unwrap();
    let (_, body) = balance(&sandboxes, "access-1", "checking").await;
    assert_eq!(body["accounts"][0]["balances"]["available"], Value::Null);
    sandboxes.stop().await;
}

#[tokio::test]
async fn plaid_fails_in_its_own_words() {
    let sandboxes = sandboxes().await;
    let plaid = sandboxes.plaid();
    plaid.seed_item("access-1", "checking", 1, 1);
    let code = |answer: (u16, Value)| (answer.0, answer.1["error_code"].as_str().unwrap().to_owned());
    assert_eq!(
        code(balance(&sandboxes, "other", "checking").await),
        (400, "INVALID_ACCESS_TOKEN".to_owned())
    );
    assert_eq!(
        code(balance(&sandboxes, "access-1", "other").await),
        (400, "INVALID_ACCOUNT_ID".to_owned())
    );
    plaid
        .set_item_error("access-1", Some("ITEM_LOGIN_REQUIRED"))
        .unwrap();
    let (status, body) = balance(&sandboxes, "access-1", "checking").await;
    assert_eq!((status, body["error_type"].as_str()), (400, Some("ITEM_ERROR")));
    plaid.set_item_error("access-1", None).unwrap();
    plaid.fail_with("RATE_LIMIT", 1);
    assert_eq!(
        code(balance(&sandboxes, "access-1", "checking").await),
        (429, "RATE_LIMIT".to_owned())
    );
    assert_eq!(balance(&sandboxes, "access-1", "checking").await.0, 200);
    assert_eq!(plaid.calls().len(), 5);
    sandboxes.stop().await;
}

#[tokio::test]
async fn faults_are_set_by_http_too_and_break_the_connection() {
    let sandboxes = sandboxes().await;
    sandboxes.plaid().seed_item("access-1", "checking", 1, 1);
    let faults = format!("{}/control/plaid/faults", sandboxes.url());
    for effect in [
        json!({ "kind": "reset", "after_doing": false }),
        json!({ "kind": "truncate" }),
        json!({ "kind": "hang", "for_ms": 1, "after_doing": true }),
    ] {
        let (status, _) = answer(client().post(&faults).json(&json!({ "effect": effect }))).await;
        assert_eq!(status, 200);
        let url = format!("{}/plaid/accounts/balance/get", sandboxes.url());
        let body = json!({ "client_id": keys::PLAID_CLIENT_ID, "secret": keys::PLAID_SECRET, "access_token": "access-1" });
        let broken = match client().post(url).json(&body).send().await {
            Ok(response) => response.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(broken, "{effect}");
    }
    let (_, left) = answer(client().get(&faults)).await;
    assert_eq!(left["items"], json!([]));
    let index = client()
        .get(sandboxes.url())
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(index.contains("/control/drivewealth"));
    sandboxes.stop().await;
}

/// Signs in at the Firebase sandbox with the claims a function would make, changed by `edit`.
async fn sign_in(sandboxes: &Sandboxes, edit: impl FnOnce(&mut Value)) -> (u16, Value) {
    let secret: Value = serde_json::from_str(&sandboxes.environment()["FIREBASE_SECRET"]).unwrap();
    let now = chrono::Utc::now().timestamp();
    let mut claims = json!({
        "iss": secret["client_email"],
        "aud": secret["token_uri"],
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "iat": now,
        "exp": now + 3600,
    });
    edit(&mut claims);
    let key = EncodingKey::from_rsa_pem(secret["private_key"].as_str().unwrap().as_bytes()).unwrap();
    let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap();
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", &assertion),
    ];
    answer(client().post(secret["token_uri"].as_str().unwrap()).form(&form)).await
}

async fn push(sandboxes: &Sandboxes, bearer: &str, project: &str, message: Value) -> (u16, Value) {
    let base = &sandboxes.environment()["FIREBASE_API_BASE"];
    let url = format!("{base}/v1/projects/{project}/messages:send");
    answer(
        client()
            .post(url)
            .bearer_auth(bearer)
            .json(&json!({ "message": message })),
    )
    .await
}

#[tokio::test]
async fn firebase_delivers_in_order_to_devices_that_are_registered() {
    let sandboxes = sandboxes().await;
    let (status, token) = sign_in(&sandboxes, |_| ()).await;
    assert_eq!(status, 200, "{token}");
    let bearer = token["access_token"].as_str().unwrap();
    for title in ["one", "two"] {
        let message = json!({ "token": "phone", "notification": { "title": title } });
        assert_eq!(
            push(&sandboxes, bearer, firebase::PROJECT_ID, message).await.0,
            200
        );
    }
    let firebase = sandboxes.firebase();
    let titles: Vec<Value> = firebase
        .messages_to("phone")
        .iter()
        .map(|message| message.message["notification"]["title"].clone())
        .collect();
    assert_eq!(titles, ["one", "two"]);

    firebase.unregister("phone");
    let (status, body) = push(
        &sandboxes,
        bearer,
        firebase::PROJECT_ID,
        json!({ "token": "phone" }),
    )
    .await;
    assert_eq!(status, 404);
    assert_eq!(body["error"]["details"][0]["errorCode"], "UNREGISTERED");
    sandboxes.stop().await;
}

#[tokio::test]
async fn firebase_checks_who_sends_what_where() {
    let sandboxes = sandboxes().await;
    let refused = |answer: (u16, Value)| {
        (
            answer.0,
            answer.1["error"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let invalid = (400, "invalid_grant".to_owned());
    assert_eq!(
        refused(sign_in(&sandboxes, |claims| claims["aud"] = json!("elsewhere")).await),
        invalid
    );
    assert_eq!(
        refused(sign_in(&sandboxes, |claims| claims["scope"] = json!("email")).await),
        invalid
    );
    assert_eq!(
        refused(sign_in(&sandboxes, |claims| claims["exp"] = json!(1)).await),
        invalid
    );
    assert_eq!(
        refused(sign_in(&sandboxes, |claims| claims["iss"] = json!("somebody")).await),
        invalid
    );

    let (_, token) = sign_in(&sandboxes, |_| ()).await;
    let bearer = token["access_token"].as_str().unwrap();
    let message = json!({ "token": "phone", "data": { "id": "1" } });
    assert_eq!(
        push(&sandboxes, "other", firebase::PROJECT_ID, message.clone())
            .await
            .0,
        401
    );
    assert_eq!(push(&sandboxes, bearer, "another-project", message).await.0, 403);
    let number = json!({ "token": "phone", "data": { "id": 1 } });
    assert_eq!(
        push(&sandboxes, bearer, firebase::PROJECT_ID, number).await.0,
        400
    );
    assert!(sandboxes.firebase().messages().is_empty());
    sandboxes.stop().await;
}

#[tokio::test]
async fn state_outlives_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let options = || SandboxOptions {
        state: Some(state.path().to_owned()),
        ..SandboxOptions::default()
    };
    let sandboxes = Sandboxes::start(options()).await.unwrap();
    sandboxes.plaid().seed_item("access-1", "checking", 7, 8);
    sandboxes.firebase().unregister("phone");
    sandboxes.stop().await;

    let sandboxes = Sandboxes::start(options()).await.unwrap();
    assert_eq!(
        sandboxes
            .plaid()
            .balance("access-1", "checking")
            .unwrap()
            .current_cents,
        8
    );
    sandboxes.stop().await;
}
