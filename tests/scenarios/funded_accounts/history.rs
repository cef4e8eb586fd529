//! The history of an account's equity.

use std::sync::Arc;

use anyhow::ensure;
use chrono::{DateTime, TimeDelta, Utc};
use end_to_end::funded::flat;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        history_has_a_point_a_minute_and_is_thinned_to_its_extremes,
        history_of_a_period_without_points_is_empty,
    ]
}

async fn history_has_a_point_a_minute_and_is_thinned_to_its_extremes(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    let begin: DateTime<Utc> = "2026-11-02T15:00:00Z".parse()?;
    // A snapshot a minute for ten minutes, and in three of them another one; in one is a dip, in another a spike.
    for minute in 0..10_i64 {
        let balances = match minute {
            1 => vec![10_000_001, 10_000_002],
            4 => vec![9_400_000, 9_450_000],
            7 => vec![10_900_000, 10_900_001],
            _ => vec![10_000_001 + minute],
        };
        for (part, balance) in (0..).zip(balances) {
            let mut snapshot = flat(trader.account, 2 * minute + part, balance);
            snapshot["at"] = json!(begin + TimeDelta::minutes(minute) + TimeDelta::seconds(30 * part));
            fixture.engine_says(std::slice::from_ref(&snapshot)).await?;
            // Each is recorded by itself: of several in one batch the newest is.
            let is_so = |record: &Value| record["current_balance_cents"] == balance;
            trader.is_recorded("the snapshot is recorded", is_so).await?;
        }
    }
    let path = |points: u32| {
        format!(
            "/funded-accounts/{}/equity?from=2026-11-02T15:00:00Z&to=2026-11-02T15:10:00Z&points={points}",
            trader.account
        )
    };
    let whole = trader.api.get(&path(1_000)).await?.expect(200)?.body;
    let whole: Vec<_> = whole["items"].as_array().into_iter().flatten().cloned().collect();
    ensure_eq!(whole.len(), 10);
    ensure_eq!(
        whole[1]["equity_cents"],
        json!(10_000_002),
        "the newest of its minute"
    );
    let thinned = trader.api.get(&path(6)).await?.expect(200)?.body;
    let thinned: Vec<_> = thinned["items"]
        .as_array()
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    ensure!(thinned.len() <= 6, "{} points", thinned.len());
    let equities: Vec<_> = thinned
        .iter()
        .filter_map(|point| point["equity_cents"].as_i64())
        .collect();
    ensure!(
        equities.contains(&9_450_000) && equities.contains(&10_900_001),
        "{equities:?}"
    );
    let dip = thinned.iter().find(|point| point["equity_cents"] == 9_450_000);
    ensure_eq!(
        dip.map(|dip| &dip["drawdown"]),
        Some(&json!("0.06")),
        "the largest of its minute, from the peak of $100,000.04"
    );
    Ok(())
}

async fn history_of_a_period_without_points_is_empty(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    let get = async |query: &str| {
        let path = format!("/funded-accounts/{}/equity?{query}", trader.account);
        trader.api.get(&path).await
    };
    for points in [1, 1_001] {
        let refused = get(&format!("points={points}")).await?.expect(400)?;
        ensure_eq!(refused.body["errors"][0]["field"], "points");
    }
    let none = get("from=2026-11-02T15:00:00Z&to=2026-11-02T15:00:00Z")
        .await?
        .expect(200)?;
    ensure_eq!(none.body["items"], json!([]));
    get("from=today").await?.expect(400)?;
    eventually("the account begins with no points", async || {
        let answer = get("").await?.expect(200)?;
        ensure_eq!(answer.body["items"], json!([]));
        Ok(())
    })
    .await
}
