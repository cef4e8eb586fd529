//! All that has moved somebody's money, in one list.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::sync::Arc;

use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        history_has_all_kinds_newest_first_and_each_by_itself,
        history_in_pages_is_the_whole_though_times_are_the_same,
        history_of_somebody_new_is_empty,
    ]
}

async fn page(tester: &Tester, query: &str) -> Result<Value> {
    let path = format!("/trading/history{query}");
    Ok(tester.api.get(&path).await?.expect(200)?.body)
}

fn kinds(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().into_iter().flatten();
    items.filter_map(|item| item["kind"].as_str()).collect()
}

/// A customer with one entry of each kind, the commission's newest.
async fn customer_with_history(fixture: &Fixture) -> Result<Tester> {
    let tester = fixture.customer().await?;
    let deposit = tester.deposit(10_000).await?.expect(201)?.number("id")?;
    tester.flow_reaches(deposit, "success").await?;
    let withdrawal = tester.withdraw(2_500).await?.expect(201)?.number("id")?;
    tester.flow_reaches(withdrawal, "success").await?;
    let collection = fixture.collection(&[("AAPL", 10_000)]).await?;
    fixture.ended_order(&tester, collection, "complete").await?;
    fixture.invoice(&tester, 800).await?;
    Ok(tester)
}

async fn history_has_all_kinds_newest_first_and_each_by_itself(fixture: Arc<Fixture>) -> Result {
    let tester = customer_with_history(&fixture).await?;
    let whole = page(&tester, "").await?;
    let mut times: Vec<&str> = Vec::new();
    for item in whole["items"].as_array().into_iter().flatten() {
        times.push(item["created_at"].as_str().unwrap_or_default());
    }
    ensure_eq!(times.len(), 4, "{whole}");
    let mut sorted = times.clone();
    sorted.sort_unstable();
    sorted.reverse();
    ensure_eq!(times, sorted);
    for (kind, amount, status) in [
        ("deposit", 10_000, "success"),
        ("rebalancing", 10_000, "complete"),
        ("commission", 800, "open"),
    ] {
        let found = page(&tester, &format!("?kind={kind}")).await?;
        ensure_eq!(kinds(&found), [kind]);
        let entry = &found["items"][0];
        ensure_eq!(
            (&entry["amount_cents"], &entry["status"], &entry["currency"]),
            (&json!(amount), &json!(status), &json!("USD")),
            "{entry}"
        );
    }
    let withdrawal = page(&tester, "?kind=withdrawal").await?;
    ensure_eq!(withdrawal["items"][0]["amount_cents"], 2_500, "{withdrawal}");
    let refused = tester.api.get("/trading/history?kind=all").await?;
    refused.expect(400)?;
    Ok(())
}

async fn history_in_pages_is_the_whole_though_times_are_the_same(fixture: Arc<Fixture>) -> Result {
    let tester = customer_with_history(&fixture).await?;
    let profile = tester.customer.profile_id;
    for same in [
        "UPDATE trading_money_flow SET created_at = '2026-01-01T00:00:00Z' WHERE profile_id = $1",
        "UPDATE trading_collection_versions SET created_at = '2026-01-01T00:00:00Z' WHERE profile_id = $1",
        "UPDATE invoices SET created_at = '2026-01-01T00:00:00Z' WHERE profile_id = $1",
    ] {
        fixture.database.change(same, profile).await?;
    }
    let whole = page(&tester, "").await?;
    ensure_eq!(kinds(&whole).len(), 4);
    let mut paged = Vec::new();
    let mut query = "?limit=1".to_owned();
    loop {
        let one = page(&tester, &query).await?;
        paged.extend(one["items"].as_array().cloned().unwrap_or_default());
        let Some(cursor) = one["next_cursor"].as_str() else {
            break;
        };
        query = format!("?limit=1&cursor={cursor}");
    }
    ensure_eq!(json!(paged), whole["items"]);
    Ok(())
}

async fn history_of_somebody_new_is_empty(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    ensure_eq!(page(&tester, "").await?["items"], json!([]));
    ensure_eq!(page(&tester, "").await?["next_cursor"], Value::Null);
    Ok(())
}
