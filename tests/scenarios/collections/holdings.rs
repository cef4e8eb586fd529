//! What is held of a collection, as the app sees it.

use std::sync::Arc;

use end_to_end::{Fixture, Result, Scenario, ensure_eq, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        holdings_have_weights_that_sum_to_one,
        holdings_of_what_was_never_bought_are_none,
    ]
}

fn ten_thousandths(weight: &Value) -> i64 {
    let text = weight.as_str().unwrap_or_default();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<4}").parse().unwrap_or(-1)
}

async fn holdings_have_weights_that_sum_to_one(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let account = fixture.account_of(&investor.tester)?;
    let first = account.funds.iter().find(|fund| fund.name == "First");
    let fund = anyhow::Context::context(first, "no fund")?.id.clone();
    for (symbol, cents) in [("ENPH", 100_001), ("FSLR", 100_000), ("NEE", 100_000)] {
        fixture
            .cloud
            .drivewealth()
            .set_holding_value(&account.id, &fund, symbol, cents)?;
    }
    let holdings = investor.tester.holdings(investor.first).await?;
    ensure_eq!(holdings["amount_cents"], 300_001, "{holdings}");
    ensure_eq!(holdings["currency"], "USD");
    let items = holdings["holdings"].as_array().cloned().unwrap_or_default();
    ensure_eq!(items.len(), 3, "{holdings}");
    for name in ["target_weight", "actual_weight"] {
        let sum: i64 = items.iter().map(|item| ten_thousandths(&item[name])).sum();
        ensure_eq!(sum, 10_000, "{name} in {holdings}");
    }
    ensure_eq!(items[0]["target_weight"], "0.5");
    ensure_eq!(items[0]["value_cents"], 100_001);
    Ok(())
}

async fn holdings_of_what_was_never_bought_are_none(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let new = fixture.collection(&[("AAPL", 10_000)]).await?;
    let holdings = investor.tester.holdings(new).await?;
    ensure_eq!(
        (&holdings["amount_cents"], &holdings["holdings"]),
        (&json!(0), &json!([]))
    );
    let unknown = investor
        .tester
        .api
        .get("/trading/collections/999999/holdings")
        .await?;
    unknown.expect_problem(404, "collection-not-found")?;
    let nobody = fixture.api(Some(json!({ "profile_id": i64::MAX })))?;
    let path = format!("/trading/collections/{new}/holdings");
    nobody
        .get(&path)
        .await?
        .expect_problem(404, "no-trading-account")?;
    Ok(())
}
