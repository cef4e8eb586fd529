//! A device belongs to the person who last signed in on it.

use std::sync::Arc;

use anyhow::{Context, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use end_to_end::{Answer, Fixture, Result, Scenario, Tester, ensure_eq, eventually, scenarios};
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::{add_device, arrival, devices, pushes_reach, record, stream_passes};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        device_is_registered_and_removed,
        device_moves_to_the_profile_that_signs_in,
        device_belongs_to_one_of_many_who_sign_in_at_once,
        device_unused_longest_makes_room,
        device_of_another_profile_is_not_forgotten,
        device_without_a_token_or_platform_is_refused,
    ]
}

fn new_token() -> String {
    format!("device:{}", Uuid::new_v4().simple())
}

async fn put(tester: &Tester, token: &str, body: &serde_json::Value) -> Result<Answer> {
    let path = format!("/notifications/devices/{token}");
    tester
        .api
        .send(tester.api.request(Method::PUT, &path).json(body))
        .await
}

async fn register(tester: &Tester, token: &str) -> Result<Answer> {
    put(tester, token, &json!({ "platform": "ios" })).await
}

async fn unregister(tester: &Tester, token: &str) -> Result<Answer> {
    let path = format!("/notifications/devices/{token}");
    tester.api.send(tester.api.request(Method::DELETE, &path)).await
}

/// The profile that the token's owner item names.
async fn owner(fixture: &Fixture, token: &str) -> Result<Option<i64>> {
    let get = fixture
        .cloud
        .dynamodb()
        .get_item()
        .table_name(fixture.cloud.table("notifications")?);
    let answer = get
        .key("pk", AttributeValue::S(format!("device#{token}")))
        .key("sk", AttributeValue::S("owner".to_owned()))
        .send()
        .await?;
    let Some(item) = answer.item else { return Ok(None) };
    let id = item.get("profile_id").and_then(|id| id.as_n().ok());
    Ok(Some(id.context("no owner")?.parse()?))
}

async fn device_is_registered_and_removed(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (fixture.customer().await?, fixture.customer().await?);
    let token = new_token();
    let answer = register(&tester, &token).await?.expect(201)?;
    ensure_eq!(answer.body["platform"], json!("ios"));
    let again = put(&tester, &token, &json!({ "platform": "web" }))
        .await?
        .expect(200)?;
    ensure_eq!(again.body["platform"], json!("web"));
    ensure!(
        devices(&fixture, &tester).await?.contains(&token),
        "it is not there"
    );

    unregister(&other, &token)
        .await?
        .expect_problem(404, "device-not-found")?;
    ensure_eq!(owner(&fixture, &token).await?, Some(tester.customer.profile_id));
    let taken = unregister(&tester, &token).await?.expect(200)?;
    ensure_eq!(taken.body["platform"], json!("web"));
    unregister(&tester, &token)
        .await?
        .expect_problem(404, "device-not-found")?;
    ensure_eq!(owner(&fixture, &token).await?, None);
    ensure!(
        !devices(&fixture, &tester).await?.contains(&token),
        "it is still there"
    );
    register(&other, &token).await?.expect(201)?;
    for function in ["register_device", "unregister_device"] {
        let logged = fixture.logs_reach(function, 1, |_| true).await;
        logged.with_context(|| format!("{function} has no log"))?;
        let lines = fixture.cloud.logs(function);
        ensure!(
            !lines.iter().any(|line| line.contains(&token)),
            "{function} logs a token"
        );
    }
    Ok(())
}

async fn device_moves_to_the_profile_that_signs_in(fixture: Arc<Fixture>) -> Result {
    let (first, second) = (fixture.customer().await?, fixture.customer().await?);
    let phone = first.customer.device_token.clone();
    register(&second, &phone).await?.expect(201)?;
    ensure_eq!(devices(&fixture, &first).await?, Vec::<String>::new());
    record(&fixture, &[arrival(&first), arrival(&second)]).await?;
    pushes_reach(&fixture, &second.customer.device_token, 1).await?;
    stream_passes(&fixture).await?;
    // What is on the phone is the second's alone.
    pushes_reach(&fixture, &phone, 1).await?;
    let own = second.feed().await?.pop().context("no feed")?;
    let pushed = fixture.cloud.firebase().messages_to(&phone);
    let message = &pushed.first().context("no push")?.message;
    ensure_eq!(message["data"]["notification_id"], own["id"]);
    unregister(&first, &phone)
        .await?
        .expect_problem(404, "device-not-found")?;
    Ok(())
}

async fn device_belongs_to_one_of_many_who_sign_in_at_once(fixture: Arc<Fixture>) -> Result {
    let testers = try_join_all((0..6).map(|_| fixture.customer())).await?;
    let token = new_token();
    for _ in 0..4 {
        let answers = try_join_all(testers.iter().map(|tester| register(tester, &token))).await?;
        for answer in answers {
            ensure!([200, 201].contains(&answer.status), "{}", answer.text);
        }
        let mut holders = Vec::new();
        for tester in &testers {
            if devices(&fixture, tester).await?.contains(&token) {
                holders.push(tester.customer.profile_id);
            }
        }
        let owner = owner(&fixture, &token).await?;
        ensure_eq!(holders, owner.into_iter().collect::<Vec<_>>());
    }
    // Everybody signs in and out at once: whoever is left, it is one or nobody.
    let both = testers.iter().map(async |tester| {
        register(tester, &token).await?;
        unregister(tester, &token).await
    });
    try_join_all(both).await?;
    let mut holders = Vec::new();
    for tester in &testers {
        if devices(&fixture, tester).await?.contains(&token) {
            holders.push(tester.customer.profile_id);
        }
    }
    ensure_eq!(
        holders,
        owner(&fixture, &token).await?.into_iter().collect::<Vec<_>>()
    );
    Ok(())
}

async fn device_unused_longest_makes_room(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let tokens: Vec<String> = (0..21).map(|_| new_token()).collect();
    for token in &tokens {
        register(&tester, token).await?.expect(201)?;
    }
    let mut expected: Vec<String> = tokens.iter().skip(1).cloned().collect();
    expected.sort();
    // The customer's own phone came before them.
    ensure_eq!(devices(&fixture, &tester).await?, expected);
    ensure_eq!(owner(&fixture, &tester.customer.device_token).await?, None);
    let first = tokens.first().context("no token")?;
    ensure_eq!(owner(&fixture, first).await?, None);
    Ok(())
}

/// A push that was on its way to a device which became another's: that Firebase doesn't know it any more takes it from
/// neither.
async fn device_of_another_profile_is_not_forgotten(fixture: Arc<Fixture>) -> Result {
    let (first, second) = (fixture.customer().await?, fixture.customer().await?);
    let token = new_token();
    add_device(&second, &token).await?;
    let put = fixture
        .cloud
        .dynamodb()
        .put_item()
        .table_name(fixture.cloud.table("notifications")?);
    let profile = format!("profile#{}", first.customer.profile_id);
    put.item("pk", AttributeValue::S(profile))
        .item("sk", AttributeValue::S(format!("device#{token}")))
        .item("platform", AttributeValue::S("ios".to_owned()))
        .send()
        .await?;
    fixture.cloud.firebase().unregister(&token);
    record(&fixture, &[arrival(&first)]).await?;
    pushes_reach(&fixture, &first.customer.device_token, 1).await?;
    stream_passes(&fixture).await?;
    ensure_eq!(owner(&fixture, &token).await?, Some(second.customer.profile_id));
    ensure!(
        devices(&fixture, &second).await?.contains(&token),
        "it is forgotten"
    );

    record(&fixture, &[arrival(&second)]).await?;
    eventually("its owner loses it", async || {
        ensure_eq!(owner(&fixture, &token).await?, None);
        ensure!(
            !devices(&fixture, &second).await?.contains(&token),
            "it is still there"
        );
        Ok(())
    })
    .await
}

async fn device_without_a_token_or_platform_is_refused(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    for body in [
        json!({}),
        json!({ "platform": "windows" }),
        json!({ "platform": "ios", "owner": 1 }),
    ] {
        let answer = put(&tester, &new_token(), &body).await?;
        answer.expect_problem(400, "malformed-request")?;
    }
    for token in [
        "short",
        &"x".repeat(901),
        "with%20space-1234567890",
        "slash%2Fslash-1234567890",
    ] {
        register(&tester, token).await?.expect(404)?;
        unregister(&tester, token).await?.expect(404)?;
    }
    Ok(())
}
