//! Transfers between two currencies: the rate of the moment, and how amounts are rounded.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::wallets::new_key;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, scenarios};
use serde_json::json;

use crate::transfers::{mirrored, sides};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        transfer_between_currencies_uses_the_rate_of_the_moment,
        amounts_with_0_2_and_3_decimals_convert_and_are_rounded_down,
        receiver_amount_is_given_exactly_and_covered_by_the_least_amount,
        nobody_gains_by_converting_in_slices,
        rate_older_than_seven_days_does_not_convert,
    ]
}

async fn transfer_between_currencies_uses_the_rate_of_the_moment(fixture: Arc<Fixture>) -> Result {
    fixture.set_rate("CAD", "CHF", "0.6412").await?;
    let alice = fixture.wallet_client(&[("CAD", 10_000)]).await?;
    let clara = fixture.wallet_client(&[("CHF", 0)]).await?;
    let answer = alice
        .transfer("CAD", &clara, json!({ "amount": 1_000 }))
        .await?
        .expect(201)?;
    let (payer, receiver) = sides(&alice, &clara, &answer.body["transaction_id"]).await?;
    mirrored(&payer, &receiver)?;
    // 10.00 CAD × 0.6412 = 6.412 CHF, 641 rappen.
    ensure_eq!(
        (payer["amount"].clone(), receiver["amount"].clone()),
        (json!(-1_000), json!(641))
    );
    ensure_eq!(receiver["exchange_rate"], json!("0.6412"));
    // A newer rate counts from now on; what was paid keeps the rate it was paid at.
    fixture.set_rate("CAD", "CHF", "0.7").await?;
    let newer = alice
        .transfer("CAD", &clara, json!({ "amount": 1_000 }))
        .await?
        .expect(201)?;
    ensure_eq!(newer.body["partner_amount"], json!(700));
    let (before, _) = sides(&alice, &clara, &answer.body["transaction_id"]).await?;
    ensure_eq!(before["exchange_rate"], json!("0.6412"));
    ensure_eq!(clara.balance("CHF").await?, 1_341);
    Ok(())
}

async fn amounts_with_0_2_and_3_decimals_convert_and_are_rounded_down(fixture: Arc<Fixture>) -> Result {
    let rates = [
        ("USD", "JPY", "151.235"),
        ("KWD", "USD", "3.2564"),
        ("JPY", "KWD", "0.0020365"),
        ("NZD", "AUD", "0.5"),
    ];
    for (base, quote, rate) in rates {
        fixture.set_rate(base, quote, rate).await?;
    }
    // Each by hand: major units times the rate, in the receiver's minor units, rounded down.
    let cases = [
        // 10.00 × 151.235 = 1512.35 yen.
        ("USD", "JPY", 1_000, 1_512),
        // 1.000 × 3.2564 = 3.2564 dollars, 325.64 cents.
        ("KWD", "USD", 1_000, 325),
        // 1000 × 0.0020365 = 2.0365 dinars, 2036.5 fils.
        ("JPY", "KWD", 1_000, 2_036),
        // 3000 × 0.0020365 = 6.1095 dinars, 6109.5 fils.
        ("JPY", "KWD", 3_000, 6_109),
        // 1.5 cents, 2.5, 3.5.
        ("NZD", "AUD", 3, 1),
        ("NZD", "AUD", 5, 2),
        ("NZD", "AUD", 7, 3),
    ];
    for (from, to, paid, received) in cases {
        let payer = fixture.wallet_client(&[(from, 100_000)]).await?;
        let receiver = fixture.wallet_client(&[(to, 0)]).await?;
        let answer = payer
            .transfer(from, &receiver, json!({ "amount": paid }))
            .await?
            .expect(201)?;
        ensure_eq!(
            answer.body["partner_amount"],
            json!(received),
            "{paid} {from} in {to}"
        );
        ensure_eq!(receiver.balance(to).await?, received);
        ensure_eq!(payer.balance(from).await?, 100_000 - paid);
    }
    // Half a cent is nothing.
    let payer = fixture.wallet_client(&[("NZD", 100)]).await?;
    let receiver = fixture.wallet_client(&[("AUD", 0)]).await?;
    let order = json!({ "amount": 1, "receiver_currency": "AUD" });
    let answer = payer.transfer("NZD", &receiver, order).await?;
    answer.expect_problem(422, "amount-converts-to-nothing")?;
    Ok(())
}

async fn receiver_amount_is_given_exactly_and_covered_by_the_least_amount(fixture: Arc<Fixture>) -> Result {
    fixture.set_rate("SEK", "NOK", "0.9217").await?;
    fixture.set_rate("SEK", "ISK", "13.5").await?;
    let payer = fixture.wallet_client(&[("SEK", 100_000)]).await?;
    let norwegian = fixture.wallet_client(&[("NOK", 0)]).await?;
    let icelander = fixture.wallet_client(&[("ISK", 0)]).await?;
    let answer = payer
        .transfer("SEK", &norwegian, json!({ "receiver_amount": 9_217 }))
        .await?
        .expect(201)?;
    ensure_eq!(
        (
            answer.body["amount"].clone(),
            answer.body["partner_amount"].clone()
        ),
        (json!(-10_000), json!(9_217))
    );
    // One krona more or less is 0.135 of an Icelandic one, so every whole one can be paid: 100 ISK is 7.41 SEK.
    let answer = payer
        .transfer("SEK", &icelander, json!({ "receiver_amount": 100 }))
        .await?
        .expect(201)?;
    ensure_eq!(answer.body["amount"], json!(-741));
    // At a rate of 150 for a cent, what can't be given exactly takes a cent more, and brings no more.
    fixture.set_rate("SEK", "HUF", "150").await?;
    let hungarian = fixture.wallet_client(&[("HUF", 0)]).await?;
    let answer = payer
        .transfer("SEK", &hungarian, json!({ "receiver_amount": 15_001 }))
        .await?
        .expect(201)?;
    ensure_eq!(answer.body["amount"], json!(-101));
    ensure_eq!(answer.body["partner_amount"], json!(15_001));
    let answer = payer
        .transfer("SEK", &hungarian, json!({ "receiver_amount": 15_000 }))
        .await?
        .expect(201)?;
    ensure_eq!(answer.body["amount"], json!(-100));
    Ok(())
}

/// By a client's own token, in slices and back: rounding to the nearest made 1,606 of 1,000.
async fn nobody_gains_by_converting_in_slices(fixture: Arc<Fixture>) -> Result {
    fixture.set_rate("KRW", "NZD", "0.0066").await?;
    fixture.set_rate("NZD", "KRW", "151.51").await?;
    let alice = fixture.wallet_client(&[("KRW", 1_000), ("NZD", 0)]).await?;
    let refused = alice
        .transfer("KRW", &alice, json!({ "amount": 1, "receiver_currency": "NZD" }))
        .await?;
    refused.expect_problem(422, "amount-converts-to-nothing")?;
    for _ in 0..20 {
        alice
            .transfer("KRW", &alice, json!({ "amount": 2, "receiver_currency": "NZD" }))
            .await?
            .expect(201)?;
        alice
            .transfer(
                "NZD",
                &alice,
                json!({ "receiver_amount": 1, "receiver_currency": "KRW" }),
            )
            .await?
            .expect(201)?;
    }
    ensure_eq!(
        (alice.balance("KRW").await?, alice.balance("NZD").await?),
        (980, 0)
    );
    Ok(())
}

async fn rate_older_than_seven_days_does_not_convert(fixture: Arc<Fixture>) -> Result {
    let admin = fixture.api(Some(json!({ "groups": ["admin"] })))?;
    let set = async |days: i64| {
        let as_of = chrono::Utc::now() - chrono::TimeDelta::days(days);
        let request = admin.request(reqwest::Method::PUT, "/exchange-rates/ZAR/INR");
        let body = json!({ "rate": "4.9", "as_of": as_of.to_rfc3339() });
        admin.send(request.json(&body)).await?.expect(201)
    };
    let payer = fixture.wallet_client(&[("ZAR", 1_000)]).await?;
    let receiver = fixture.wallet_client(&[("INR", 0)]).await?;
    let order = json!({ "amount": 100, "receiver_currency": "INR" });
    set(8).await?;
    let refused = payer.transfer("ZAR", &receiver, order.clone()).await?;
    let refused = refused.expect_problem(422, "exchange-rate-too-old")?;
    let detail = refused.body["detail"].as_str().unwrap_or_default();
    ensure!(
        detail.contains("ZAR/INR") && detail.contains("7 days"),
        "{detail}"
    );
    let mut item = payer.order("ZAR", &receiver, order.clone())?;
    item["client_id"] = json!(payer.id);
    let batch = json!({ "mode": "each", "transfers": [item] });
    let key = new_key();
    for _ in 0..2 {
        let answer = payer
            .service
            .post("/transfers/batch", &key, &batch)
            .await?
            .expect(200)?;
        let problem = &answer.body["items"][0]["problem"];
        ensure_eq!(problem["code"], json!("exchange-rate-too-old"));
        ensure_eq!(problem["detail"], json!(detail));
    }
    set(6).await?;
    let paid = payer.transfer("ZAR", &receiver, order).await?.expect(201)?;
    ensure_eq!(paid.body["partner_amount"], json!(490));
    Ok(())
}
