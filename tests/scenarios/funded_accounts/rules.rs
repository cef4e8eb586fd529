//! The rules: warnings told once, a violation that closes the account, whatever comes behind it.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::funded::{flat, open, tier};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        warning_and_danger_are_told_once_a_day,
        violation_closes_the_account_and_is_told_once,
        violation_between_two_good_snapshots_counts_in_any_order,
        account_of_a_customer_is_told_in_the_feed,
        alone(violation_whose_stream_record_is_lost_is_carried_out_by_the_sweep),
    ]
}

/// The events of an account about its rules, as `kind level rule`, in their order.
async fn told(fixture: &Fixture, account: i64) -> Result<Vec<String>> {
    let rows = fixture
        .database
        .outbox_of_key(&format!("funded-account-{account}"))
        .await?;
    let of_topics = rows.iter().filter(|row| row.destination == row.kind);
    let shown = of_topics.map(|row| {
        let text = |name: &str| row.payload["data"][name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", row.kind, text("level"), text("rule"))
    });
    Ok(shown
        .filter(|line| !line.contains(".created") && !line.contains(".activated"))
        .collect())
}

async fn warning_and_danger_are_told_once_a_day(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    let expected = [
        "funded-account.warned warning drawdown",
        "funded-account.warned danger drawdown",
    ];
    // 8 % and 9 % of 10 %, back and forth.
    for (sequence, balance, count) in [
        (1, 9_190_000, 1),
        (2, 9_080_000, 2),
        (3, 9_400_000, 2),
        (4, 9_190_000, 2),
        (5, 9_050_000, 2),
    ] {
        fixture
            .engine_says(&[flat(trader.account, sequence, balance)])
            .await?;
        trader.sees_balance(balance).await?;
        eventually("what has to be told is told", async || {
            ensure_eq!(told(&fixture, trader.account).await?, &expected[..count]);
            Ok(())
        })
        .await?;
    }
    let seen = trader.see().await?;
    ensure_eq!(seen["rules"][0]["status"], "danger");
    ensure_eq!(seen["rules"][0]["room_cents"], json!(50_000));
    Ok(())
}

async fn violation_closes_the_account_and_is_told_once(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    let snapshots = [
        flat(trader.account, 1, 10_500_000),
        open(trader.account, 2, 10_000_000, -600_000),
    ];
    fixture.engine_says(&snapshots).await?;
    let is_closed = |record: &Value| record["status"] == "closed";
    let record = trader.is_recorded("the record is closed", is_closed).await?;
    ensure_eq!(record["closure_reason"], "drawdown");
    // A better snapshot changes nothing, and the same ones again neither.
    let better = flat(trader.account, 3, 11_000_000);
    fixture
        .engine_says(&[better, snapshots[1].clone(), snapshots[0].clone()])
        .await?;
    let other = fixture.trader().await?;
    fixture.engine_says(&[flat(other.account, 1, 10_000_001)]).await?;
    other.sees_balance(10_000_001).await?;
    let seen = trader.see().await?;
    ensure_eq!(seen["account"]["status"], "closed");
    ensure_eq!(seen["account"]["current_balance_cents"], json!(10_000_000));
    // 11,000 of 105,000.
    ensure_eq!(seen["breach"]["value"], "0.104762");
    ensure_eq!(seen["breach"]["sequence"], json!(2));
    ensure_eq!(seen["breach"]["equity_cents"], json!(9_400_000));
    ensure_eq!(seen["breach"]["peak_cents"], json!(10_500_000));
    ensure_eq!(seen["positions"], json!(null));
    ensure_eq!(seen["withdrawable_cents"], json!(0));
    ensure_eq!(
        told(&fixture, trader.account).await?,
        [
            "rules.violation-detected  drawdown",
            "funded-account.closed  drawdown"
        ]
    );
    Ok(())
}

async fn violation_between_two_good_snapshots_counts_in_any_order(fixture: Arc<Fixture>) -> Result {
    let orders: [[usize; 3]; 3] = [[0, 1, 2], [2, 1, 0], [0, 2, 1]];
    for order in orders {
        let trader = fixture.trader().await?;
        let snapshots = [
            flat(trader.account, 6, 10_000_000),
            flat(trader.account, 7, 8_900_000),
            flat(trader.account, 8, 10_400_000),
        ];
        fixture
            .engine_says(&order.map(|index| snapshots[index].clone()))
            .await?;
        let is_closed = |seen: &Value| seen["account"]["status"] == "closed";
        let seen = trader.sees("the account is closed", is_closed).await?;
        ensure_eq!(seen["breach"]["sequence"], json!(7), "{order:?}");
        ensure_eq!(
            seen["account"]["current_balance_cents"],
            json!(8_900_000),
            "{order:?}"
        );
        ensure_eq!(
            seen["account"]["peak_balance_cents"],
            json!(10_000_000),
            "{order:?}"
        );
    }
    Ok(())
}

async fn account_of_a_customer_is_told_in_the_feed(fixture: Arc<Fixture>) -> Result {
    fixture.put_tier("for-customers", &tier()).await?;
    let customer = fixture.customer().await?;
    let mut passed = end_to_end::funded::passed(900_030, "for-customers");
    passed["profileId"] = json!(customer.customer.profile_id);
    fixture.assessment_ends(&passed).await?;
    let api = fixture.api(Some(json!({ "user_id": 900_030 })))?;
    let account = eventually("the account is there", async || {
        let accounts = api.get("/funded-accounts").await?.expect(200)?.body;
        let id = accounts["items"][0]["id"].as_i64();
        id.ok_or_else(|| anyhow::anyhow!("the accounts are {accounts}"))
    })
    .await?;
    fixture
        .engine_says(&[flat(account, 1, 9_150_000), flat(account, 2, 8_000_000)])
        .await?;
    let feed = customer.feed_reaches(2).await?;
    let kinds: Vec<_> = feed
        .iter()
        .map(|item| item["kind"].as_str().unwrap_or_default())
        .collect();
    ensure_eq!(kinds, ["funded-account.closed", "funded-account.warned"]);
    ensure!(
        feed[0]["body"]
            .as_str()
            .is_some_and(|body| body.contains("largest drawdown")),
        "{feed:?}"
    );
    Ok(())
}

async fn violation_whose_stream_record_is_lost_is_carried_out_by_the_sweep(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    fixture.engine_says(&[flat(trader.account, 1, 8_000_000)]).await?;
    let is_closed = |record: &Value| record["status"] == "closed";
    trader.is_recorded("the record is closed", is_closed).await?;
    let lost = "UPDATE funded_accounts SET status = 'active', closed_at = NULL, closure_reason = NULL, breach = NULL WHERE id = $1";
    ensure_eq!(fixture.database.change(lost, trader.account).await?, 1);
    let report = fixture.run("sweep_funded_accounts", json!({})).await?.payload;
    ensure_eq!(report["closures"], json!(1));
    trader.is_recorded("the record is closed", is_closed).await?;
    ensure_eq!(
        fixture.run("sweep_funded_accounts", json!({})).await?.payload["closures"],
        json!(0)
    );
    Ok(())
}
