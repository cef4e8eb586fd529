//! Exchange rates: set by administrators, refreshed from the European Central Bank, kept when its feed is broken.

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{TimeDelta, Utc};
use end_to_end::{Answer, Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use local_cloud::sandboxes::{Effect, Fault, FeedDefect};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        administrator_sets_a_rate,
        alone(reference_rates_are_refreshed),
        alone(broken_feed_leaves_the_rates_and_raises_the_metric),
    ]
}

async fn put(fixture: &Fixture, path: &str, claims: Value, body: Value) -> Result<Answer> {
    let api = fixture.api(Some(claims))?;
    let request = api.request(Method::PUT, path).json(&body);
    api.send(request).await
}

async fn administrator_sets_a_rate(fixture: Arc<Fixture>) -> Result {
    let admin = || json!({ "groups": ["admin"] });
    let path = "/exchange-rates/GEL/AZN";
    let answer = put(&fixture, path, admin(), json!({ "rate": "0.6200" }))
        .await?
        .expect(201)?;
    ensure_eq!(answer.body["rate"], json!("0.62"));
    let at = answer.body["as_of"].clone();
    let again = put(&fixture, path, admin(), json!({ "rate": "0.62", "as_of": at }))
        .await?
        .expect(200)?;
    ensure_eq!(again.body, answer.body);
    let other = put(&fixture, path, admin(), json!({ "rate": "0.63", "as_of": at })).await?;
    other.expect_problem(409, "rate-is-history")?;
    let future = (Utc::now() + TimeDelta::minutes(5)).to_rfc3339();
    let refused = [
        (
            path,
            json!({ "rate": "0.62", "as_of": future }),
            422,
            "invalid-value",
        ),
        (path, json!({ "rate": "0.1234567890123" }), 422, "invalid-value"),
        (
            "/exchange-rates/GEL/GEL",
            json!({ "rate": "1" }),
            422,
            "invalid-value",
        ),
        (path, json!({ "rate": "0" }), 400, "malformed-request"),
        (path, json!({ "rate": "-1" }), 400, "malformed-request"),
        (path, json!({ "rate": 0.62 }), 400, "malformed-request"),
        (path, json!({ "rate": "1e3" }), 400, "malformed-request"),
        (
            "/exchange-rates/GEL/XXX",
            json!({ "rate": "1" }),
            404,
            "not-found",
        ),
    ];
    for (path, body, status, code) in refused {
        let answer = put(&fixture, path, admin(), body.clone()).await?;
        answer
            .expect_problem(status, code)
            .with_context(|| format!("{path} {body}"))?;
    }
    for claims in [
        json!({ "scope": "wallets" }),
        json!({ "client_id": 1 }),
        json!({ "groups": ["administrators"] }),
    ] {
        put(&fixture, path, claims, json!({ "rate": "1" }))
            .await?
            .expect_problem(403, "denied")?;
    }
    Ok(())
}

async fn run(fixture: &Fixture) -> Result<Value> {
    Ok(fixture.run("refresh_exchange_rates", json!({})).await?.payload)
}

async fn stored(fixture: &Fixture) -> Result<i64> {
    Ok(
        sqlx::query_scalar("SELECT count(*) FROM exchange_rates WHERE source = 'ecb'")
            .fetch_one(fixture.database.pool())
            .await?,
    )
}

async fn reference_rates_are_refreshed(fixture: Arc<Fixture>) -> Result {
    fixture.cloud.ecb().reset();
    let report = run(&fixture).await?;
    ensure_eq!(report["not_refreshed"], json!(null));
    let currencies = i64::try_from(fixture.cloud.ecb().rates().len())? + 1;
    ensure_eq!(report["added"], json!(currencies * (currencies - 1)));
    // Twice on a day adds nothing.
    ensure_eq!(run(&fixture).await?["added"], json!(0));
    // Any two of its currencies meet, by way of the euro.
    let payer = fixture.wallet_client(&[("IDR", 100_000_000)]).await?;
    let receiver = fixture.wallet_client(&[("ZAR", 0)]).await?;
    let answer = payer
        .pay("IDR", &receiver, json!({ "amount": 50_000_000 }))
        .await?
        .expect(201)?;
    ensure!(
        answer.body["partner_amount"].as_i64() > Some(0),
        "{}",
        answer.text
    );
    Ok(())
}

async fn broken_feed_leaves_the_rates_and_raises_the_metric(fixture: Arc<Fixture>) -> Result {
    fixture.cloud.ecb().reset();
    run(&fixture).await?;
    let before = stored(&fixture).await?;
    let defects = [
        FeedDefect::Truncated,
        FeedDefect::Empty,
        FeedDefect::NoRates,
        FeedDefect::ZeroRate,
    ];
    for defect in defects {
        fixture.cloud.ecb().reset();
        // Every attempt of the run meets it.
        fixture.cloud.ecb().break_feed(defect, 10);
        not_refreshed(&fixture, &format!("{defect:?}")).await?;
        fixture.cloud.ecb().clear_faults();
    }
    fixture
        .cloud
        .ecb()
        .fault(Fault::new("GET", "", Effect::FailAfter { status: 500 }).times(10));
    not_refreshed(&fixture, "500").await?;
    fixture.cloud.ecb().clear_faults();
    for days in [-30, 2] {
        fixture
            .cloud
            .ecb()
            .set_date((Utc::now() + TimeDelta::days(days)).date_naive());
        not_refreshed(&fixture, &format!("{days} days from now")).await?;
    }
    fixture.cloud.ecb().reset();
    ensure_eq!(
        stored(&fixture).await?,
        before,
        "the old rates are there, and no others"
    );
    Ok(())
}

async fn not_refreshed(fixture: &Fixture, what: &str) -> Result {
    let is_metric = |line: &str| line.contains("\"ExchangeRatesNotRefreshed\":1");
    let metrics = || fixture.count_logged("refresh_exchange_rates", is_metric);
    let before = metrics();
    let report = run(fixture).await?;
    ensure!(report["not_refreshed"].is_string(), "{what}: {report}");
    // The line comes through a pipe, and often after the answer.
    eventually(&format!("the metric after {what}"), async || {
        ensure_eq!(metrics(), before + 1);
        Ok(())
    })
    .await
}
