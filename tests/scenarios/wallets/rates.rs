//! Exchange rates: set by administrators, refreshed from the European Central Bank, kept when its feed is broken.

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use domain::currency::Currency;
use end_to_end::{Answer, Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use local_cloud::sandboxes::{Effect, Fault, FeedDefect};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        administrator_sets_a_rate,
        newest_rate_is_shown_with_its_age,
        rate_that_gains_with_the_opposite_one_is_refused,
        rates_that_are_set_at_once_gain_nothing_together,
        alone(reference_rates_are_refreshed),
        alone(corrected_file_counts),
        alone(what_a_file_lacks_or_can_not_be_is_named_and_the_rest_counts),
        alone(file_of_an_earlier_day_changes_nothing),
        alone(broken_feed_leaves_the_rates_and_raises_the_metric),
    ]
}

async fn put(fixture: &Fixture, path: &str, claims: Value, body: Value) -> Result<Answer> {
    let api = fixture.api(Some(claims))?;
    let request = api.request(Method::PUT, path).json(&body);
    api.send(request).await
}

async fn administrator_sets_a_rate(fixture: Arc<Fixture>) -> Result {
    let admin = || json!({ "groups": ["admin"], "sub": "treasurer" });
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

async fn newest(fixture: &Fixture, pair: &str) -> Result<Answer> {
    fixture
        .wallets_service()?
        .get(&format!("/exchange-rates/{pair}"))
        .await
}

async fn newest_rate_is_shown_with_its_age(fixture: Arc<Fixture>) -> Result {
    newest(&fixture, "GEL/AMD")
        .await?
        .expect_problem(404, "exchange-rate-not-found")?;
    let set = async |rate: &str, days: i64| {
        let as_of = Utc::now() - TimeDelta::days(days);
        let body = json!({ "rate": rate, "as_of": as_of.to_rfc3339() });
        put(
            &fixture,
            "/exchange-rates/GEL/AMD",
            json!({ "groups": ["admin"], "sub": "treasurer" }),
            body,
        )
        .await
    };
    // Older than the limit: it is there and doesn't convert.
    let set_long_ago = set("140.5", 8).await?.expect(201)?;
    ensure_eq!(set_long_ago.body["status"], json!("expired"));
    let shown = newest(&fixture, "GEL/AMD").await?.expect(200)?;
    ensure_eq!(shown.body, set_long_ago.body);
    ensure_eq!(shown.body["source"], json!("admin"));
    set("141.25", 6).await?.expect(201)?;
    let shown = newest(&fixture, "GEL/AMD").await?.expect(200)?;
    ensure_eq!(
        (shown.body["rate"].clone(), shown.body["status"].clone()),
        (json!("141.25"), json!("counts"))
    );
    let time = |field: &str| -> Result<DateTime<Utc>> {
        Ok(shown.body[field].as_str().context("no time")?.parse()?)
    };
    ensure_eq!(time("valid_until")? - time("as_of")?, TimeDelta::days(7));
    // What is added behind it is history.
    let behind = set("139", 7).await?.expect(201)?;
    ensure_eq!(behind.body["status"], json!("superseded"));
    ensure_eq!(newest(&fixture, "GEL/AMD").await?.body, shown.body);
    // The opposite direction is a pair of its own.
    newest(&fixture, "AMD/GEL").await?.expect(404)?;
    Ok(())
}

async fn rate_that_gains_with_the_opposite_one_is_refused(fixture: Arc<Fixture>) -> Result {
    let set = async |pair: &str, rate: &str| {
        let path = format!("/exchange-rates/{pair}");
        put(
            &fixture,
            &path,
            json!({ "groups": ["admin"], "sub": "treasurer" }),
            json!({ "rate": rate }),
        )
        .await
    };
    set("KES/UGX", "28.5").await?.expect(201)?;
    // 28.5 × 0.0351 = 1.00035
    let refused = set("UGX/KES", "0.0351").await?;
    let problem = refused.expect_problem(422, "exchange-rate-gains")?;
    ensure_eq!(problem.body["errors"][0]["field"], json!("rate"));
    ensure!(problem.text.contains("KES/UGX of 28.5"), "{}", problem.text);
    newest(&fixture, "UGX/KES").await?.expect(404)?;
    // A millionth more is what rates are rounded by: 28.5 × 0.035087754 = 1.000000989
    set("UGX/KES", "0.035087754").await?.expect(201)?;
    // Now the first can't go up, and can go down.
    set("KES/UGX", "28.6")
        .await?
        .expect_problem(422, "exchange-rate-gains")?;
    set("KES/UGX", "28.4").await?.expect(201)?;
    Ok(())
}

/// Each passes by itself, and both would double what is exchanged there and back.
async fn rates_that_are_set_at_once_gain_nothing_together(fixture: Arc<Fixture>) -> Result {
    for pair in [("BBD", "BMD"), ("BSD", "BWP"), ("BYN", "BZD"), ("CDF", "CLP")] {
        let set = async |base: &str, quote: &str| {
            let path = format!("/exchange-rates/{base}/{quote}");
            let body = json!({ "rate": "1.5" });
            put(
                &fixture,
                &path,
                json!({ "groups": ["admin"], "sub": "treasurer" }),
                body,
            )
            .await
        };
        let (there, back) = tokio::try_join!(set(pair.0, pair.1), set(pair.1, pair.0))?;
        let mut statuses = [there.status, back.status];
        statuses.sort_unstable();
        ensure_eq!(statuses, [201, 422], "{pair:?}: {} {}", there.text, back.text);
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
    ensure_eq!(
        (report["not_refreshed"].clone(), report["left_out"].clone()),
        (json!(null), json!([]))
    );
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

async fn corrected_file_counts(fixture: Arc<Fixture>) -> Result {
    let ecb = fixture.cloud.ecb();
    ecb.reset();
    run(&fixture).await?;
    let before = newest(&fixture, "EUR/ZAR").await?.expect(200)?;
    ensure_eq!(before.body["rate"], json!("19.238"));
    ensure_eq!(before.body["source"], json!("ecb"));
    ecb.set_rate(Currency::ZAR, "19.3380");
    let report = run(&fixture).await?;
    // Both directions to each of the other currencies.
    ensure_eq!(report["added"], json!(2 * ecb.rates().len()));
    ensure_eq!(report["left_out"], json!([]));
    let after = newest(&fixture, "EUR/ZAR").await?.expect(200)?;
    ensure_eq!(after.body["rate"], json!("19.338"));
    ensure_eq!(after.body["as_of"], before.body["as_of"]);
    ensure_eq!(run(&fixture).await?["added"], json!(0), "once");
    // A correction may be taken back.
    ecb.reset();
    run(&fixture).await?;
    let back = newest(&fixture, "EUR/ZAR").await?.expect(200)?;
    ensure_eq!(back.body["rate"], json!("19.238"));
    // A transfer goes by what counts.
    let payer = fixture.wallet_client(&[("EUR", 10_000)]).await?;
    let receiver = fixture.wallet_client(&[("ZAR", 0)]).await?;
    let paid = payer
        .pay("EUR", &receiver, json!({ "amount": 1_000 }))
        .await?
        .expect(201)?;
    ensure_eq!(paid.body["exchange_rate"], json!("19.238"));
    Ok(())
}

async fn what_a_file_lacks_or_can_not_be_is_named_and_the_rest_counts(fixture: Arc<Fixture>) -> Result {
    let ecb = fixture.cloud.ecb();
    ecb.reset();
    run(&fixture).await?;
    let kept = newest(&fixture, "EUR/TRY").await?.expect(200)?;
    // Half a file, which is well-formed.
    let listed = ecb.rates();
    let (_, rest) = listed.split_at(listed.len() / 2);
    for lost in rest {
        ecb.remove_rate(lost.currency);
    }
    ecb.set_rate(Currency::GBP, "0.84405");
    let report = metric_and_report(&fixture, "half a file").await?;
    ensure_eq!(report["not_refreshed"], json!(null));
    ensure_eq!(
        report["added"],
        json!(2 * listed.len()),
        "the pound's to the others, and back, also to those that are lost: all come from one rate to the euro of each"
    );
    let lost = |currency: &Currency| json!({ "reason": "left-the-file", "currency": currency });
    let mut expected: Vec<Value> = rest.iter().map(|listed| lost(&listed.currency)).collect();
    let mut named = report["left_out"].as_array().context("nothing named")?.clone();
    named.sort_by_key(Value::to_string);
    expected.sort_by_key(Value::to_string);
    ensure_eq!(named, expected);
    ecb.reset();
    // More digits than a rate can have; the run is not "unavailable" for it.
    ecb.set_rate(Currency::TRY, "37189400000000000000");
    let report = metric_and_report(&fixture, "a rate that doesn't fit").await?;
    let unfit = json!({ "reason": "does-not-fit", "currency": "TRY", "rate": "37189400000000000000" });
    ensure_eq!(report["left_out"], json!([unfit]));
    ensure_eq!(
        newest(&fixture, "EUR/TRY").await?.body,
        kept.body,
        "the old one counts"
    );
    ecb.reset();
    run(&fixture).await?;
    Ok(())
}

async fn file_of_an_earlier_day_changes_nothing(fixture: Arc<Fixture>) -> Result {
    let ecb = fixture.cloud.ecb();
    ecb.reset();
    run(&fixture).await?;
    let before = newest(&fixture, "EUR/USD").await?.expect(200)?;
    ecb.set_date(ecb.date() - TimeDelta::days(1));
    ecb.set_rate(Currency::USD, "1.0745");
    let rows = stored(&fixture).await?;
    not_refreshed(&fixture, "an earlier file").await?;
    ensure_eq!(stored(&fixture).await?, rows);
    ensure_eq!(newest(&fixture, "EUR/USD").await?.body, before.body);
    ecb.reset();
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
    let report = metric_and_report(fixture, what).await?;
    ensure!(report["not_refreshed"].is_string(), "{what}: {report}");
    Ok(())
}

/// Runs the refresh, which has to raise the metric once; gives its report.
async fn metric_and_report(fixture: &Fixture, what: &str) -> Result<Value> {
    let is_metric = |line: &str| line.contains("\"ExchangeRatesNotRefreshed\":1");
    let metrics = || fixture.count_logged("refresh_exchange_rates", is_metric);
    let before = metrics();
    let report = run(fixture).await?;
    // The line comes through a pipe, and often after the answer.
    eventually(&format!("the metric after {what}"), async || {
        ensure_eq!(metrics(), before + 1);
        Ok(())
    })
    .await?;
    Ok(report)
}
