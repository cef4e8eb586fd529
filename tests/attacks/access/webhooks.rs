//! The routes of outside parties, which have no tokens: they sign what they send, and whatever isn't signed by them is
//! refused, whoever sends it.

use std::sync::Arc;

use anyhow::Context;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use end_to_end::{
    Fixture, Result, Scenario, ensure_eq, scenarios,
    traces::{Traces, no_function_has_died},
};
use local_cloud::sandboxes::{plaid::NewWebhook, stripe::StripeSandbox};
use reqwest::Method;
use serde_json::json;

use crate::{Request, owner, path_of};

/// The only routes without the authorizer.
pub(crate) const ROUTES: [&str; 3] = [
    "POST /webhooks/plaid",
    "POST /webhooks/stripe",
    "POST /webhooks/stripe/connect",
];
const STRIPE: &str = "POST /webhooks/stripe";
const CONNECT: &str = "POST /webhooks/stripe/connect";
const PLAID: &str = "POST /webhooks/plaid";

/// Seconds after which Stripe's signature is too old, or before which it is too young.
const TOLERANCE_S: i64 = 300;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(webhook_is_accepted_for_its_signature_only),
        alone(plaid_webhook_is_accepted_for_its_signature_only),
        alone(webhook_of_connected_accounts_has_a_secret_of_its_own),
    ]
}

/// A call of the route.
pub(crate) fn request(route: &'static str) -> Request {
    Request {
        route,
        path: path_of(route).to_owned(),
        body: Some(json!({})),
    }
}

async fn webhook_is_accepted_for_its_signature_only(fixture: Arc<Fixture>) -> Result {
    let owner = owner::Owner::register(&fixture).await?;
    let stripe = fixture.cloud.stripe();
    let now = chrono::Utc::now().timestamp();
    let card = owner.stripe_method(&fixture).await?;
    let detached = |number: i64| {
        let method = json!({
            "id": card, "object": "payment_method", "billing_details": {}, "created": now, "customer": null,
            "livemode": false, "metadata": {}, "type": "card",
        });
        let event = json!({
            "id": format!("evt_forged{number}"), "object": "event", "api_version": "2026-09-30.endive", "created": now,
            "livemode": false, "pending_webhooks": 1, "type": "payment_method.detached", "data": { "object": method },
        });
        event.to_string()
    };
    let (event, another) = (detached(1), detached(2));
    let secrets = stripe.webhook_secrets();
    let secret = secrets.first().context("no secret")?;
    let sign = |text: &str, time: i64| StripeSandbox::sign(text, secret, time);
    let good = sign(&event, now);
    let (time, scheme) = good.split_once(',').context("no scheme")?;
    let signatures = [
        ("none", None),
        ("an empty one", Some(String::new())),
        ("garbage", Some("garbage".to_owned())),
        (
            "another secret",
            Some(StripeSandbox::sign(&event, "whsec_another", now)),
        ),
        ("no secret", Some(StripeSandbox::sign(&event, "", now))),
        ("another body", Some(sign(&another, now))),
        ("too old", Some(sign(&event, now - TOLERANCE_S - 60))),
        ("too young", Some(sign(&event, now + TOLERANCE_S + 60))),
        ("another time", Some(format!("t={},{scheme}", now + 1))),
        ("no time", Some(scheme.to_owned())),
        ("no signature", Some(time.to_owned())),
        ("an older scheme", Some(good.replace("v1=", "v0="))),
        ("a byte less", good.get(..good.len() - 2).map(str::to_owned)),
        ("a time before 1970", Some(good.replace("t=", "t=-"))),
    ];
    // A token is no signature, not even one of somebody who may do everything.
    let everything = json!({ "profile_id": 1, "scope": "wallets dealers internal", "groups": ["admin"] });
    let before = Traces::take(&fixture).await?;
    for api in [fixture.api(None)?, fixture.api(Some(everything))?] {
        for (what, signature) in &signatures {
            let mut request = api
                .request(Method::POST, path_of(STRIPE))
                .header("Content-Type", "application/json");
            if let Some(signature) = signature {
                request = request.header("Stripe-Signature", signature);
            }
            let answer = api.send(request.body(event.clone())).await?;
            answer
                .expect_problem(400, "invalid-signature")
                .with_context(|| format!("signed with: {what}"))?;
        }
    }
    before.still(&fixture).await?;
    // With a good one it is taken, so that the signatures alone were wrong.
    let api = fixture.api(None)?;
    let request = api
        .request(Method::POST, path_of(STRIPE))
        .header("Content-Type", "application/json")
        .header("Stripe-Signature", &good);
    api.send(request.body(event)).await?.expect(200)?;
    ensure_eq!(owner.methods().await?, 0, "cards that are left");
    no_function_has_died(&fixture).await
}

async fn plaid_webhook_is_accepted_for_its_signature_only(fixture: Arc<Fixture>) -> Result {
    let plaid = fixture.cloud.plaid();
    let now = chrono::Utc::now();
    let ago = |seconds: i64| now - chrono::TimeDelta::seconds(seconds);
    let body = NewWebhook::new("an-item", "ITEM", "NEW_ACCOUNTS_AVAILABLE").body();
    let good = plaid.sign(&body, now)?;
    let parts: Vec<&str> = good.split('.').collect();
    let [head, claims, signature] = parts[..] else {
        anyhow::bail!("{good} has not three parts");
    };
    // {"alg":"none"}, and {"alg":"HS256","kid":"1"}
    let (none, hs256) = ("eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiIsImtpZCI6IjEifQ");
    let tokens = [
        ("nothing", String::new()),
        ("garbage", "garbage".to_owned()),
        ("another body", plaid.sign("{}", now)?),
        (
            "the body written anew",
            plaid.sign(&body.replace(':', ": "), now)?,
        ),
        ("five minutes and a bit", plaid.sign(&body, ago(302))?),
        ("too far ahead", plaid.sign(&body, ago(-90))?),
        ("no signature", format!("{head}.{claims}.")),
        ("algorithm none", format!("{none}.{claims}.")),
        ("another algorithm", format!("{hs256}.{claims}.{signature}")),
        ("four parts", format!("{good}.{signature}")),
        (
            "another signature",
            format!("{head}.{claims}.{}", "A".repeat(signature.len())),
        ),
    ];
    let everything = json!({ "profile_id": 1, "scope": "wallets dealers internal", "groups": ["admin"] });
    let send = async |api: &end_to_end::Api, token: &str| {
        let request = api
            .request(Method::POST, path_of(PLAID))
            .header("Content-Type", "application/json")
            .header("Plaid-Verification", token);
        api.send(request.body(body.clone())).await
    };
    for api in [fixture.api(None)?, fixture.api(Some(everything))?] {
        for (what, token) in &tokens {
            let answer = send(&api, token).await?;
            let answer = answer.expect_problem(400, "invalid-signature");
            answer.with_context(|| format!("signed with: {what}"))?;
        }
    }
    let api = fixture.api(None)?;
    for age in [0, 295] {
        send(&api, &plaid.sign(&body, ago(age))?).await?.expect(200)?;
    }
    // A retired key is refused, and the new one found.
    let before = plaid.sign(&body, now)?;
    plaid.rotate_key()?;
    send(&api, &plaid.sign(&body, chrono::Utc::now())?)
        .await?
        .expect(200)?;
    send(&api, &before).await?;
    // Ids of keys that there aren't cause few calls.
    plaid.clear_calls();
    for number in 0..100 {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": format!("forged-{number}") });
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let forged = format!("{header}.{claims}.{signature}");
        send(&api, &forged)
            .await?
            .expect_problem(400, "invalid-signature")?;
    }
    let looked_up = plaid.calls().len();
    anyhow::ensure!(looked_up <= 3, "{looked_up} keys were looked up");
    no_function_has_died(&fixture).await
}

async fn webhook_of_connected_accounts_has_a_secret_of_its_own(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let event = json!({
        "id": "evt_of_nobody", "object": "event", "account": "acct_of_nobody", "api_version": "2026-09-30.endive",
        "created": chrono::Utc::now().timestamp(), "livemode": false, "pending_webhooks": 1, "type": "account.updated",
        "data": { "object": { "id": "acct_of_nobody", "object": "account" } },
    })
    .to_string();
    let send = async |route: &'static str, signature: &str| {
        let api = fixture.api(None)?;
        let request = api
            .request(Method::POST, path_of(route))
            .header("Content-Type", "application/json")
            .header("Stripe-Signature", signature);
        api.send(request.body(event.clone())).await
    };
    let (ours, of_accounts) = (stripe.sign_now(&event), stripe.sign_now_for_connect(&event));
    let before = Traces::take(&fixture).await?;
    for (route, others) in [(STRIPE, &of_accounts), (CONNECT, &ours)] {
        send(route, others)
            .await?
            .expect_problem(400, "invalid-signature")
            .with_context(|| route)?;
    }
    before.still(&fixture).await?;
    send(CONNECT, &of_accounts).await?.expect(200)?;
    no_function_has_died(&fixture).await
}
