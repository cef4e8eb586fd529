//! Tiers: put by services, listed to traders.

use std::sync::Arc;

use anyhow::Context;
use end_to_end::funded::tier;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        tier_is_put_changed_and_listed,
        tier_with_a_number_that_it_cannot_have_is_refused,
    ]
}

async fn tier_is_put_changed_and_listed(fixture: Arc<Fixture>) -> Result {
    let put = fixture.put_tier("probe-1", &tier()).await?.expect(201)?;
    ensure_eq!(
        put.body["funded_max_drawdown"],
        json!("0.1"),
        "5 points more than the assessment's"
    );
    ensure_eq!(put.body["funded_max_risk_per_trade"], json!("0.05"));
    let mut changed = tier();
    changed["max_drawdown"] = json!("0.08");
    changed["payout_cap_cents"] = json!(500_000);
    fixture.put_tier("probe-1", &changed).await?.expect(200)?;
    fixture.put_tier("probe-2", &tier()).await?.expect(201)?;
    let trader = fixture.api(Some(json!({ "user_id": 900_001 })))?;
    let mut found = Vec::new();
    let mut path = "/tiers?limit=1".to_owned();
    loop {
        let page = trader.get(&path).await?.expect(200)?;
        found.extend(page.body["items"].as_array().context("no items")?.clone());
        let Some(cursor) = page.body["next_cursor"].as_str() else {
            break;
        };
        path = format!("/tiers?limit=1&cursor={cursor}");
    }
    let ids: Vec<_> = found
        .iter()
        .map(|tier| tier["id"].as_str().unwrap_or_default())
        .collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    ensure_eq!(ids, sorted);
    let seen = found
        .iter()
        .find(|tier| tier["id"] == "probe-1")
        .context("probe-1 isn't listed")?;
    ensure_eq!(seen["funded_max_drawdown"], json!("0.13"));
    ensure_eq!(seen["payout_cap_cents"], json!(500_000));
    Ok(())
}

async fn tier_with_a_number_that_it_cannot_have_is_refused(fixture: Arc<Fixture>) -> Result {
    let with = |field: &str, value: Value| {
        let mut tier = tier();
        tier[field] = value;
        tier
    };
    let refused = [
        ("starting_balance_cents", json!(0), 422),
        ("profit_split", json!("0"), 422),
        ("profit_split", json!("1.1"), 400),
        ("profit_split", json!(0.8), 400),
        ("drawdown_kind", json!("none"), 400),
        ("payout_cycle_days", json!(0), 422),
        ("name", json!(" "), 422),
        ("daily_reset_zone", json!("Mars/Olympus"), 422),
    ];
    for (field, value, status) in refused {
        let answer = fixture.put_tier("refused", &with(field, value.clone())).await?;
        ensure_eq!(answer.status, status, "{field} {value}: {}", answer.text);
        ensure_eq!(answer.body["errors"][0]["field"], field, "{}", answer.text);
    }
    for rule in [
        with("daily_loss_limit_cents", json!(1)),
        with("drawdown_kind", json!("trailing-end-of-day")),
    ] {
        let answer = fixture
            .put_tier("refused", &rule)
            .await?
            .expect_problem(422, "invalid-value")?;
        ensure_eq!(answer.body["errors"][0]["field"], "daily_reset_zone");
    }
    fixture
        .put_tier("Upper", &tier())
        .await?
        .expect_problem(404, "not-found")?;
    Ok(())
}
