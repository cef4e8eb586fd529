//! The live state: what the engine says is shown and recorded, whatever comes late, twice or wrong, and whatever is out of
//! reach.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::funded::{POSITIONS, flat, open};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        snapshot_is_shown_and_recorded,
        late_and_repeated_snapshots_come_to_the_same,
        accounts_in_one_batch_stay_apart,
        snapshot_that_cannot_be_is_parked_and_the_next_one_counts,
        alone(record_is_served_while_the_live_state_is_out_of_reach),
        alone(lost_stream_record_is_made_up_by_the_sweep),
    ]
}

async fn snapshot_is_shown_and_recorded(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    fixture
        .engine_says(&[open(trader.account, 1, 10_100_000, 50_000)])
        .await?;
    let seen = trader.sees_balance(10_100_000).await?;
    ensure_eq!(seen["account"]["equity_cents"], json!(10_150_000));
    ensure_eq!(seen["account"]["peak_balance_cents"], json!(10_150_000));
    ensure_eq!(
        seen["positions"],
        json!([{"symbol": "EURUSD", "side": "long", "quantity": "0.5", "market_value_cents": 540_000,
                "risk_at_stop_cents": 10_000}])
    );
    // 80 % of what is realised: open profit can't be withdrawn.
    ensure_eq!(seen["withdrawable_cents"], json!(80_000));
    let is_recorded = |record: &Value| {
        record["current_balance_cents"] == 10_100_000
            && record["unrealized_pnl_cents"] == 50_000
            && record["peak_balance_cents"] == 10_150_000
    };
    trader
        .is_recorded("the snapshot is recorded", is_recorded)
        .await?;
    // The engine took a withdrawal from the balance: it is added back, and no rule has moved.
    let mut debited = flat(trader.account, 2, 10_000_000);
    debited["cumulativePayouts"] = json!(150_000);
    fixture.engine_says(&[debited]).await?;
    let seen = trader.sees_balance(10_150_000).await?;
    ensure_eq!(seen["rules"][0]["value"], "0");
    Ok(())
}

async fn late_and_repeated_snapshots_come_to_the_same(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    let (first, peak, last) = (
        flat(trader.account, 1, 10_000_000),
        open(trader.account, 2, 10_000_000, 400_000),
        flat(trader.account, 3, 10_200_000),
    );
    let order = [last.clone(), first.clone(), last, peak.clone(), first, peak];
    fixture.engine_says(&order).await?;
    let is_so = |seen: &Value| seen["account"]["peak_balance_cents"] == 10_400_000;
    let seen = trader.sees("the late peak counts", is_so).await?;
    ensure_eq!(seen["account"]["current_balance_cents"], json!(10_200_000));
    ensure_eq!(seen["positions"], json!([]));
    let is_so = |record: &Value| {
        record["peak_balance_cents"] == 10_400_000 && record["current_balance_cents"] == 10_200_000
    };
    trader.is_recorded("the late peak is recorded", is_so).await?;
    Ok(())
}

async fn accounts_in_one_batch_stay_apart(fixture: Arc<Fixture>) -> Result {
    let (first, second) = (fixture.trader().await?, fixture.trader().await?);
    let mut snapshots = Vec::new();
    for sequence in 1..=20 {
        snapshots.push(flat(first.account, sequence, 10_000_000 + sequence));
        snapshots.push(open(second.account, sequence, 20_000_000 + sequence, -sequence));
    }
    fixture.engine_says(&snapshots).await?;
    let seen = first.sees_balance(10_000_020).await?;
    ensure_eq!(
        (&seen["positions"], &seen["account"]["peak_balance_cents"]),
        (&json!([]), &json!(10_000_020))
    );
    let seen = second.sees_balance(20_000_020).await?;
    ensure_eq!(seen["account"]["unrealized_pnl_cents"], json!(-20));
    ensure_eq!(seen["account"]["peak_balance_cents"], json!(20_000_000));
    Ok(())
}

async fn snapshot_that_cannot_be_is_parked_and_the_next_one_counts(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    let good = flat(trader.account, 1, 10_000_000);
    let mut other = good.clone();
    other["balance"] = json!(10_500_000);
    let tick = flat(trader.account, 2, 100_000_001);
    let mut no_positions = flat(trader.account, 3, 10_300_000);
    if let Some(fields) = no_positions.as_object_mut() {
        fields.remove("positions");
    }
    let mut too_many = flat(trader.account, 4, 10_300_000);
    too_many["positions"] = json!(vec![open(trader.account, 4, 0, 0)["positions"][0].clone(); 501]);
    let negative = flat(trader.account, -1, 10_300_000);
    let unknown = flat(999_999, 1, 10_300_000);
    let mut records: Vec<(String, String)> = [good, other, tick, no_positions, too_many, negative, unknown]
        .iter()
        .map(|one| (trader.account.to_string(), one.to_string()))
        .collect();
    records.push((trader.account.to_string(), "no JSON".to_owned()));
    records.push((
        trader.account.to_string(),
        flat(trader.account, 9, 10_700_000).to_string(),
    ));
    fixture.send_records(POSITIONS, &records).await?;
    let seen = trader.sees_balance(10_700_000).await?;
    ensure_eq!(seen["account"]["peak_balance_cents"], json!(10_700_000));
    eventually("all of them are parked with their reasons", async || {
        let waiting = fixture.waiting_in("position-records-dead").await?;
        let mut reasons: Vec<_> = waiting
            .iter()
            .map(|one| one["reason"].as_str().unwrap_or_default())
            .collect();
        reasons.sort_unstable();
        ensure_eq!(
            reasons,
            [
                "funded-account-not-found",
                "snapshot-differs",
                "snapshot-implausible",
                "snapshot-invalid",
                "snapshot-invalid",
                "unreadable",
                "unreadable"
            ]
        );
        Ok(())
    })
    .await
}

async fn record_is_served_while_the_live_state_is_out_of_reach(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    fixture
        .engine_says(&[open(trader.account, 1, 10_100_000, 50_000)])
        .await?;
    let is_so = |record: &Value| record["current_balance_cents"] == 10_100_000;
    trader.is_recorded("the snapshot is recorded", is_so).await?;
    for function in ["get_funded_account", "apply_position_update"] {
        fixture.cloud.set_function_environment(
            function,
            "AWS_ENDPOINT_URL_DYNAMODB",
            "http://127.0.0.1:9",
        )?;
        fixture.cloud.kill(function).await?;
    }
    let seen = trader
        .sees("the record is served", |seen| seen["source"] == "record")
        .await?;
    ensure_eq!(seen["account"]["current_balance_cents"], json!(10_100_000));
    ensure_eq!(seen["positions"], json!(null));
    ensure_eq!(seen["rules"][0]["status"], "safe");
    fixture
        .engine_says(&[flat(trader.account, 2, 10_200_000)])
        .await?;
    let status = fixture.api(None)?.get("/local/status").await?.expect(200)?.body;
    let endpoint = status["addresses"]["AWS_ENDPOINT_URL_DYNAMODB"]
        .as_str()
        .context("no address")?;
    for function in ["get_funded_account", "apply_position_update"] {
        fixture
            .cloud
            .set_function_environment(function, "AWS_ENDPOINT_URL_DYNAMODB", endpoint)?;
        fixture.cloud.kill(function).await?;
    }
    // Nothing is lost: what the engine said meanwhile is applied.
    let seen = trader.sees_balance(10_200_000).await?;
    ensure_eq!(seen["source"], "live");
    Ok(())
}

async fn lost_stream_record_is_made_up_by_the_sweep(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    let sweep = async || fixture.run("sweep_funded_accounts", json!({})).await;
    let live = fixture.cloud.table("funded-accounts")?;
    let key = trader.account.to_string();
    let item = fixture
        .cloud
        .dynamodb()
        .get_item()
        .table_name(&live)
        .key("pk", aws_sdk_dynamodb::types::AttributeValue::S(key))
        .send()
        .await?;
    ensure!(item.item.is_some(), "there is no live state");
    // The record falls behind, as if its record of the stream had never come.
    let behind = "UPDATE funded_virtual_accounts SET live_version = 0, current_balance_cents = 1 WHERE funded_account_id = $1";
    ensure_eq!(fixture.database.change(behind, trader.account).await?, 1);
    let report = sweep().await?.payload;
    ensure!(report["recorded"].as_u64() >= Some(1), "{report}");
    let is_so = |record: &Value| record["current_balance_cents"] == 10_000_000;
    trader.is_recorded("the record has caught up", is_so).await?;
    ensure_eq!(sweep().await?.payload["recorded"], json!(0));
    // Thresholds that a person changed are held to.
    let stricter = "UPDATE funded_accounts SET rules = rules || '{\"max_drawdown\": \"0.02\"}' WHERE id = $1";
    ensure_eq!(fixture.database.change(stricter, trader.account).await?, 1);
    ensure_eq!(sweep().await?.payload["thresholds"], json!(1));
    let seen = trader.see().await?;
    ensure_eq!(seen["rules"][0]["threshold"], "0.02");
    Ok(())
}
