//! Quotes: what a transfer would pay and bring, and what it then does.

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{TimeDelta, Utc};
use end_to_end::wallets::{WalletClient, wallet_rows};
use end_to_end::{Answer, Fixture, Result, Scenario, ensure_eq, scenarios};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        quote_is_what_the_transfer_then_does,
        quote_rounds_for_nobody_who_repeats_it,
        quote_of_one_currency_has_no_rate_to_wait_for,
        quote_needs_a_rate_that_is_young_enough,
        quote_is_refused_as_a_transfer_would_be,
        alone(quote_writes_nothing),
    ]
}

async fn quote(client: &WalletClient, currency: &str, to: &str, amount: &str) -> Result<Answer> {
    let wallet = client.wallet(currency)?;
    let path = client.path(&format!(
        "quotes?wallet_id={wallet}&receiver_currency={to}&{amount}"
    ));
    client.api.get(&path).await
}

async fn set(fixture: &Fixture, pair: &str, body: &Value) -> Result<Answer> {
    let admin = fixture.api(Some(json!({ "groups": ["admin"], "sub": "treasurer" })))?;
    let request = admin.request(Method::PUT, &format!("/exchange-rates/{pair}"));
    admin.send(request.json(body)).await?.expect(201)
}

async fn quote_is_what_the_transfer_then_does(fixture: Arc<Fixture>) -> Result {
    fixture.set_rate("COP", "PEN", "0.00091234").await?;
    let payer = fixture.wallet_client(&[("COP", 1_000_000)]).await?;
    let receiver = fixture.wallet_client(&[("PEN", 0)]).await?;
    let rate = fixture
        .wallets_service()?
        .get("/exchange-rates/COP/PEN")
        .await?
        .expect(200)?;
    for (parameter, body) in [
        ("amount=49500", json!({ "amount": 49_500 })),
        // 45.617 céntimos, which is 45.
        ("amount=50000", json!({ "amount": 50_000 })),
        ("receiver_amount=55", json!({ "receiver_amount": 55 })),
    ] {
        let quoted = quote(&payer, "COP", "PEN", parameter).await?.expect(200)?.body;
        let paid = payer.transfer("COP", &receiver, body).await?.expect(201)?.body;
        ensure_eq!(
            quoted["amount"].as_i64().map(|amount| -amount),
            paid["amount"].as_i64()
        );
        ensure_eq!(quoted["receiver_amount"], paid["partner_amount"]);
        ensure_eq!(quoted["exchange_rate"], paid["exchange_rate"]);
        ensure_eq!(quoted["wallet_id"], paid["wallet_id"]);
        ensure_eq!(
            (quoted["currency"].clone(), quoted["receiver_currency"].clone()),
            (json!("COP"), json!("PEN"))
        );
        for time in ["as_of", "valid_until"] {
            ensure_eq!(quoted[time], rate.body[time], "{time}");
        }
    }
    Ok(())
}

async fn quote_rounds_for_nobody_who_repeats_it(fixture: Arc<Fixture>) -> Result {
    fixture.set_rate("KRW", "QAR", "0.0026").await?;
    fixture.set_rate("QAR", "KRW", "380").await?;
    let client = fixture.wallet_client(&[("KRW", 0), ("QAR", 0)]).await?;
    let amounts = async |from: &str, to: &str, amount: &str| -> Result<(i64, i64)> {
        let body = quote(&client, from, to, amount).await?.expect(200)?.body;
        let of = |field: &str| body[field].as_i64().context("no amount");
        Ok((of("amount")?, of("receiver_amount")?))
    };
    // 7 × 0.26 = 1.82 dirhams; for 2 it takes 7.69 won.
    ensure_eq!(amounts("KRW", "QAR", "amount=7").await?, (7, 1));
    ensure_eq!(amounts("KRW", "QAR", "receiver_amount=2").await?, (8, 2));
    // One dirham is 3.8 won.
    ensure_eq!(amounts("QAR", "KRW", "amount=1").await?, (1, 3));
    ensure_eq!(amounts("QAR", "KRW", "receiver_amount=4").await?, (2, 4));
    quote(&client, "KRW", "QAR", "amount=3")
        .await?
        .expect_problem(422, "amount-converts-to-nothing")?;
    quote(&client, "QAR", "KRW", "amount=9223372036854775807")
        .await?
        .expect_problem(422, "amount-too-large")?;
    Ok(())
}

async fn quote_of_one_currency_has_no_rate_to_wait_for(fixture: Arc<Fixture>) -> Result {
    let client = fixture.wallet_client(&[("USD", 0)]).await?;
    let quoted = quote(&client, "USD", "USD", "receiver_amount=250")
        .await?
        .expect(200)?
        .body;
    ensure_eq!(
        quoted,
        json!({
            "wallet_id": client.wallet("USD")?, "currency": "USD", "amount": 250, "receiver_currency": "USD",
            "receiver_amount": 250, "exchange_rate": "1", "as_of": null, "valid_until": null,
        })
    );
    Ok(())
}

async fn quote_needs_a_rate_that_is_young_enough(fixture: Arc<Fixture>) -> Result {
    let client = fixture.wallet_client(&[("MKD", 1_000)]).await?;
    let serb = fixture.wallet_client(&[("RSD", 0)]).await?;
    let order = json!({ "amount": 100, "receiver_currency": "RSD" });
    quote(&client, "MKD", "RSD", "amount=100")
        .await?
        .expect_problem(422, "no-exchange-rate")?;
    let as_of = (Utc::now() - TimeDelta::days(7) - TimeDelta::seconds(1)).to_rfc3339();
    let rate = set(&fixture, "MKD/RSD", &json!({ "rate": "1.9", "as_of": as_of })).await?;
    let refused = quote(&client, "MKD", "RSD", "amount=100").await?;
    let refused = refused.expect_problem(422, "exchange-rate-too-old")?;
    ensure_eq!(refused.body["errors"][0]["field"], json!("receiver_currency"));
    let as_of = rate.body["as_of"].as_str().context("no time")?;
    for named in ["MKD/RSD", as_of, "7 days"] {
        ensure!(
            refused.text.contains(named),
            "{named} isn't named: {}",
            refused.text
        );
    }
    let as_of = (Utc::now() - TimeDelta::days(7) + TimeDelta::minutes(10)).to_rfc3339();
    let as_a_transfer = client.transfer("MKD", &serb, order.clone()).await?;
    let as_a_transfer = as_a_transfer.expect_problem(422, "exchange-rate-too-old")?;
    ensure_eq!(as_a_transfer.body["detail"], refused.body["detail"]);
    set(&fixture, "MKD/RSD", &json!({ "rate": "1.9", "as_of": as_of })).await?;
    quote(&client, "MKD", "RSD", "amount=100").await?.expect(200)?;
    client.transfer("MKD", &serb, order).await?.expect(201)?;
    Ok(())
}

async fn quote_is_refused_as_a_transfer_would_be(fixture: Arc<Fixture>) -> Result {
    let client = fixture.wallet_client(&[("USD", 1_000)]).await?;
    for (amount, status, code) in [
        ("", 422, "one-amount-needed"),
        ("amount=1&receiver_amount=1", 422, "one-amount-needed"),
        ("amount=0", 422, "amount-not-positive"),
        ("receiver_amount=-5", 422, "amount-not-positive"),
        ("amount=1.5", 400, "malformed-request"),
    ] {
        let answer = quote(&client, "USD", "USD", amount).await?;
        answer
            .expect_problem(status, code)
            .with_context(|| amount.to_owned())?;
    }
    let other = fixture.wallet_client(&[("USD", 0)]).await?;
    let path = |wallet: i64| {
        client.path(&format!(
            "quotes?wallet_id={wallet}&receiver_currency=EUR&amount=1"
        ))
    };
    for wallet in [other.wallet("USD")?, i64::MAX] {
        client
            .api
            .get(&path(wallet))
            .await?
            .expect_problem(404, "wallet-not-found")?;
    }
    Ok(())
}

async fn quote_writes_nothing(fixture: Arc<Fixture>) -> Result {
    let client = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let before = wallet_rows(fixture.database.pool()).await?;
    // More than there is in the wallet, too.
    quote(&client, "USD", "USD", "amount=1000000")
        .await?
        .expect(200)?;
    ensure_eq!(wallet_rows(fixture.database.pool()).await?, before);
    ensure_eq!(client.balance("USD").await?, 1_000);
    Ok(())
}
