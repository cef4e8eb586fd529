//! What the local cloud answers itself, beside the template's routes: Lambda's invocations, the issuer's keys, queues, and
//! the guard before them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Fixture, client, send, start, wait_for_messages};

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_invoked_as_lambda_does_it() {
    let Fixture {
        cloud,
        folder: _folder,
    } = start(|_| {}).await;
    let invoke = |name: &str, kind: Option<&str>, body: &str| {
        let url = format!("{}/2015-03-31/functions/{name}/invocations", cloud.url());
        let request = client().post(url).body(body.to_owned());
        match kind {
            Some(kind) => request.header("x-amz-invocation-type", kind),
            None => request,
        }
        .send()
    };
    let answered = invoke("tiny", None, r#"{"hello":1}"#).await.unwrap();
    assert_eq!(answered.status(), 200);
    assert!(answered.headers().contains_key("x-amz-request-id"));
    assert!(!answered.headers().contains_key("x-amz-function-error"));
    assert_eq!(answered.json::<Value>().await.unwrap(), json!({ "hello": 1 }));

    let arn = "arn:aws:lambda:us-east-1:000000000000:function:tiny:$LATEST";
    let failed = invoke(arn, Some("RequestResponse"), r#"{"action":"fail"}"#)
        .await
        .unwrap();
    assert_eq!(failed.status(), 200);
    assert_eq!(failed.headers()["x-amz-function-error"], "Unhandled");
    let failure: Value = failed.json().await.unwrap();
    assert_eq!(failure["errorMessage"], "as asked");

    assert_eq!(invoke("tiny", Some("DryRun"), "").await.unwrap().status(), 204);
    assert_eq!(
        invoke("tiny", Some("Event"), r#"{"action":"fail"}"#)
            .await
            .unwrap()
            .status(),
        202
    );
    let failures = || {
        let lines = cloud.logs("tiny");
        lines.iter().filter(|line| line.contains("as asked")).count()
    };
    while failures() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for (name, kind, body, status, error) in [
        ("nobody", None, "{}", 404, "ResourceNotFoundException"),
        ("tiny", Some("Later"), "{}", 400, "InvalidParameterValueException"),
        ("tiny", None, "{", 400, "InvalidRequestContentException"),
    ] {
        let refused = invoke(name, kind, body).await.unwrap();
        assert_eq!(refused.status(), status);
        assert_eq!(refused.headers()["x-amzn-errortype"], error);
        let body: Value = refused.json().await.unwrap();
        assert_eq!(body["Type"], "User");
    }
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_verified_by_discovery() {
    let Fixture {
        cloud,
        folder: _folder,
    } = start(|_| {}).await;
    let token = cloud.mint_token(json!({ "profile_id": 7 })).unwrap();
    let read = async |url: String| -> Value { client().get(url).send().await.unwrap().json().await.unwrap() };

    // As any verifier does it, which knows the issuer alone.
    let unverified = jsonwebtoken::dangerous::insecure_decode::<Value>(&token).unwrap();
    let issuer = unverified.claims["iss"].as_str().unwrap();
    assert_eq!(issuer, cloud.url());
    let discovered = read(format!("{issuer}/.well-known/openid-configuration")).await;
    assert_eq!(discovered["issuer"], issuer);
    let keys = read(discovered["jwks_uri"].as_str().unwrap().to_owned()).await;
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(keys).unwrap();
    let key = keys.find(unverified.header.kid.as_deref().unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&["moneta"]);
    let key = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
    let verified = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
    assert_eq!(verified.claims["profile_id"], 7);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_can_do_nothing() {
    let Fixture {
        cloud,
        folder: _folder,
    } = start(|_| {}).await;
    let url = cloud.url();
    let sandboxes = cloud.sandboxes_url();
    let own = url.strip_prefix("http://").unwrap();
    for place in [
        format!("{url}/local/tokens"),
        format!("{url}/local/invoke/tiny"),
        format!("{url}/2015-03-31/functions/tiny/invocations"),
        format!("{sandboxes}/control/mail/faults"),
        format!("{sandboxes}/plaid/accounts/balance/get"),
    ] {
        let post = async |header: &str, value: &str| {
            let request = client().post(&place).header(header, value);
            request.body("{}").send().await.unwrap().status().as_u16()
        };
        assert_eq!(post("origin", "http://evil.example").await, 403, "{place}");
        assert_eq!(post("origin", "null").await, 403, "{place}");
        assert_eq!(post("host", "evil.example").await, 421, "{place}");
        assert_eq!(post("host", "127.0.0.1.evil.example:9400").await, 421, "{place}");
    }
    let own_page = client()
        .post(format!("{url}/local/tokens"))
        .header("origin", format!("http://{own}"));
    assert_eq!(own_page.send().await.unwrap().status(), 200);
    // The deployed API has its tokens, and pages of any origin may call it as they may call API Gateway.
    let api = client()
        .get(format!("{url}/open"))
        .header("origin", "http://app.example");
    assert_eq!(api.send().await.unwrap().status(), 200);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_everybody_may_see_has_no_password() {
    let Fixture {
        cloud,
        folder: _folder,
    } = start(|_| {}).await;
    let password = cloud.database_url().split([':', '@']).nth(2).unwrap().to_owned();
    assert!(password.len() > 20);
    for path in ["/local/status", "/local/functions/tiny/environment"] {
        let response = client()
            .get(format!("{}{path}", cloud.url()))
            .send()
            .await
            .unwrap();
        let text = response.text().await.unwrap();
        assert!(text.contains("postgres://moneta@127.0.0.1:"), "{text}");
        assert!(!text.contains(&password), "{text}");
    }
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_deleted_one_by_one_or_all_at_once() {
    let Fixture {
        cloud,
        folder: _folder,
    } = start(|_| {}).await;
    let url = cloud.queue_url("jobs-dead").unwrap();
    for body in ["a", "b", "c"] {
        let send = cloud.sqs().send_message().queue_url(&url);
        send.message_body(body).send().await.unwrap();
    }
    wait_for_messages(&cloud, "jobs-dead", 3).await;
    let messages = format!("{}/local/queues/jobs-dead/messages", cloud.url());
    let seen: Value = client()
        .get(&messages)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let id = seen["items"][1]["message_id"].as_str().unwrap();
    let delete = async |url: String| {
        let response = client().delete(url).send().await.unwrap();
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    assert_eq!(
        delete(format!("{messages}/{id}")).await,
        (200, json!({ "deleted": 1 }))
    );
    wait_for_messages(&cloud, "jobs-dead", 2).await;
    let (status, problem) = delete(format!("{messages}/{id}")).await;
    assert_eq!(status, 404);
    assert!(problem["detail"].as_str().unwrap().contains(id), "{problem}");
    assert_eq!(delete(messages).await, (200, json!({ "deleted": 2 })));
    wait_for_messages(&cloud, "jobs-dead", 0).await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_at_work_when_the_local_cloud_stops_reports_no_failure() {
    let state = tempfile::tempdir().unwrap();
    let Fixture {
        cloud,
        folder: _folder,
    } = start(|options| {
        options.state = state.path().to_owned();
        options.keep_state = true;
    })
    .await;
    let taken = state.path().join("taken");
    send(&cloud, taken.to_str().unwrap()).await;
    for _ in 0..1_000 {
        if taken.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(taken.exists(), "nobody works on the message");
    cloud.stop().await;
    let log = std::fs::read_to_string(state.path().join("logs/worker.log")).unwrap_or_default();
    assert!(!log.contains("the process ended"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_outlive_a_stop_of_the_local_cloud() {
    let state = tempfile::tempdir().unwrap();
    let keep = |options: &mut local_cloud::Options| {
        options.state = state.path().join("state");
        options.keep_state = true;
    };
    let first = start(keep).await;
    first.cloud.pause_event_source("jobs", true).await.unwrap();
    send(&first.cloud, "poison").await;
    wait_for_messages(&first.cloud, "jobs", 1).await;
    first.cloud.stop().await;

    let second = start(keep).await;
    // Given up again and again until it is in the dead-letter queue: it was there, and was worked on.
    wait_for_messages(&second.cloud, "jobs-dead", 1).await;
    second.cloud.stop().await;

    let third = start(keep).await;
    wait_for_messages(&third.cloud, "jobs-dead", 1).await;
    third.cloud.stop().await;
}
