//! Fast buyout: allowed or not, and why.

use std::sync::Arc;

use anyhow::Context;
use end_to_end::dealers::new_deal;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        fast_buyout_says_why_not_and_what_is_lacking,
        overdue_bill_for_a_car_stands_against_fast_buyout,
        price_out_of_range_is_refused,
    ]
}

/// 100,000 ₽ open cars up to 1,000,000 ₽; 300,000 ₽ up to 3,000,000 ₽; 1,000,000 ₽ up to 10,000,000 ₽.
const FIRST_DEPOSIT: i64 = 10_000_000;
const FIRST_PRICE: i64 = 100_000_000;

fn said(answer: &Value) -> (&Value, &Value, &Value) {
    (&answer["is_allowed"], &answer["reasons"], &answer["lacking"])
}

async fn fast_buyout_says_why_not_and_what_is_lacking(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let asked =
        async |price: i64| -> Result<Value> { Ok(dealer.fast_buyout(price).await?.expect(200)?.body) };
    let answer = asked(FIRST_PRICE).await?;
    ensure_eq!(
        said(&answer),
        (
            &json!(false),
            &json!(["fast-buyout-not-added"]),
            &json!(FIRST_DEPOSIT)
        )
    );
    ensure_eq!(answer["deposit"], Value::Null);
    dealer.add_fast_buyout().await?.expect(201)?;
    dealer.account_reaches("DEPOSIT", "ready").await?;
    fixture
        .dealer_pays(&dealer, "DEPOSIT", None, FIRST_DEPOSIT - 1)
        .await?;
    dealer.balance_reaches("DEPOSIT", FIRST_DEPOSIT - 1).await?;
    ensure_eq!(
        said(&asked(FIRST_PRICE).await?),
        (&json!(false), &json!(["deposit-too-low"]), &json!(1))
    );
    fixture.dealer_pays(&dealer, "DEPOSIT", None, 1).await?;
    dealer.balance_reaches("DEPOSIT", FIRST_DEPOSIT).await?;
    ensure_eq!(
        said(&asked(FIRST_PRICE).await?),
        (&json!(true), &json!([]), &json!(0))
    );
    let answer = asked(FIRST_PRICE + 1).await?;
    ensure_eq!(
        said(&answer),
        (
            &json!(false),
            &json!(["deposit-too-low"]),
            &json!(2 * FIRST_DEPOSIT)
        )
    );
    ensure_eq!(answer["required_deposit"], json!(3 * FIRST_DEPOSIT));
    ensure_eq!(
        said(&asked(10 * FIRST_PRICE + 1).await?),
        (&json!(false), &json!(["price-above-segments"]), &json!(0))
    );
    Ok(())
}

async fn overdue_bill_for_a_car_stands_against_fast_buyout(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer_with_fast_buyout().await?;
    fixture
        .dealer_pays(&dealer, "DEPOSIT", None, FIRST_DEPOSIT)
        .await?;
    dealer.balance_reaches("DEPOSIT", FIRST_DEPOSIT).await?;
    let bill = dealer
        .bill_car(&new_deal(), 5_000)
        .await?
        .expect(201)?
        .number("bill_id")?;
    let asked = async || -> Result<Value> { Ok(dealer.fast_buyout(FIRST_PRICE).await?.expect(200)?.body) };
    ensure_eq!(asked().await?["is_allowed"], json!(true));
    // Its last day is over in Moscow since a moment ago.
    let due = "UPDATE bills SET due_at = date_trunc('day', now() AT TIME ZONE 'Europe/Moscow') AT TIME ZONE \
               'Europe/Moscow' WHERE id = $1";
    fixture.database.change(due, bill).await?;
    ensure_eq!(said(&asked().await?).1, &json!(["settlement-overdue"]));
    let shown = dealer.bill(bill).await?;
    ensure_eq!(shown["is_overdue"], json!(true));
    let yesterday = chrono::Utc::now() + chrono::TimeDelta::hours(3) - chrono::TimeDelta::days(1);
    let date = shown["due_date"].as_str().context("no date")?;
    ensure_eq!(date, yesterday.format("%Y-%m-%d").to_string());
    ensure_eq!(dealer.account("SETTLEMENT").await?["overdue"], json!(5_000));
    fixture.dealer_pays(&dealer, "SETTLEMENT", None, 5_000).await?;
    dealer.bill_reaches(bill, "paid").await?;
    ensure_eq!(asked().await?["is_allowed"], json!(true));
    // A commission that is overdue doesn't stand against it.
    let commission = dealer.owes(100).await?;
    fixture.database.change(due, commission).await?;
    ensure_eq!(asked().await?["is_allowed"], json!(true));
    Ok(())
}

async fn price_out_of_range_is_refused(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    for price in [0, -1, 100_000_000_001] {
        let refused = dealer
            .fast_buyout(price)
            .await?
            .expect_problem(400, "malformed-request")?;
        ensure_eq!(refused.body["errors"][0]["field"], json!("price"));
    }
    Ok(())
}
