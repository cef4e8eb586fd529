//! An account that a wrong tick has closed is opened again.

use std::sync::Arc;

use end_to_end::funded::{Trader, flat};
use end_to_end::{Answer, Fixture, Result, Scenario, ensure_eq, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        account_closed_by_a_wrong_tick_is_opened_again,
        account_stays_closed_while_another_snapshot_violates_a_rule,
        account_that_is_open_or_not_there_cannot_be_restored,
    ]
}

async fn restore(fixture: &Fixture, account: i64, body: Value) -> Result<Answer> {
    let admin = fixture.api(Some(json!({ "groups": ["admin"] })))?;
    let path = format!("/admin/funded-accounts/{account}/restore");
    admin
        .send(admin.request(reqwest::Method::POST, &path).json(&body))
        .await
}

async fn closed(fixture: &Fixture, balances: &[i64]) -> Result<Trader> {
    let trader = fixture.trader().await?;
    let numbered = balances.iter().zip(1_i64..);
    let snapshots: Vec<Value> = numbered
        .map(|(balance, sequence)| flat(trader.account, sequence, *balance))
        .collect();
    fixture.engine_says(&snapshots).await?;
    trader
        .is_recorded("the record is closed", |record| record["status"] == "closed")
        .await?;
    Ok(trader)
}

async fn account_closed_by_a_wrong_tick_is_opened_again(fixture: Arc<Fixture>) -> Result {
    let trader = closed(&fixture, &[10_100_000, 100]).await?;
    let restored = restore(
        &fixture,
        trader.account,
        json!({ "reason": "A price of another symbol" }),
    )
    .await?
    .expect(200)?;
    ensure_eq!(restored.body["account"]["status"], "active");
    ensure_eq!(
        restored.body["account"]["current_balance_cents"],
        json!(10_100_000)
    );
    ensure_eq!(
        restored.body["positions"],
        json!(null),
        "not known before the next snapshot"
    );
    trader
        .is_recorded("the record is open", |record| record["status"] == "active")
        .await?;
    // The closure's record of the stream comes once more: it is over.
    let report = fixture.run("sweep_funded_accounts", json!({})).await?.payload;
    ensure_eq!(report["closures"], json!(0));
    fixture
        .engine_says(&[flat(trader.account, 3, 10_120_000)])
        .await?;
    let seen = trader.sees_balance(10_120_000).await?;
    ensure_eq!(seen["account"]["peak_balance_cents"], json!(10_120_000));
    ensure_eq!(seen["positions"], json!([]));
    // Another violation closes it again.
    fixture.engine_says(&[flat(trader.account, 4, 5_000_000)]).await?;
    trader
        .is_recorded("the record is closed", |record| record["status"] == "closed")
        .await?;
    Ok(())
}

async fn account_stays_closed_while_another_snapshot_violates_a_rule(fixture: Arc<Fixture>) -> Result {
    // The second is wrong; the third, which is right, closes the account.
    let trader = closed(&fixture, &[10_100_000, 30_000_000, 10_100_000]).await?;
    let body = json!({ "reason": "A price of another symbol", "sequences": [1] });
    restore(&fixture, trader.account, body)
        .await?
        .expect_problem(409, "rule-still-violated")?;
    ensure_eq!(trader.see().await?["account"]["status"], "closed");
    let body = json!({ "reason": "A price of another symbol", "sequences": [2] });
    let restored = restore(&fixture, trader.account, body).await?.expect(200)?;
    ensure_eq!(restored.body["account"]["peak_balance_cents"], json!(10_100_000));
    Ok(())
}

async fn account_that_is_open_or_not_there_cannot_be_restored(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    let body = json!({ "reason": "None" });
    restore(&fixture, trader.account, body.clone())
        .await?
        .expect_problem(409, "funded-account-not-closed")?;
    restore(&fixture, 999_999, body)
        .await?
        .expect_problem(404, "funded-account-not-found")?;
    let refused = restore(&fixture, trader.account, json!({ "reason": " " })).await?;
    refused.expect_problem(422, "invalid-value")?;
    Ok(())
}
