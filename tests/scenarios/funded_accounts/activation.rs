//! Activation: a passed assessment becomes an account, once.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::funded::{ASSESSMENTS, TIER, passed, tier};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use serde_json::json;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        passed_assessment_becomes_an_account_with_its_tiers_numbers,
        failed_assessment_becomes_no_account,
        changed_tier_leaves_its_accounts_as_they_are,
        assessment_of_an_unknown_tier_waits_for_it_and_leaves_nothing_behind,
    ]
}

async fn passed_assessment_becomes_an_account_with_its_tiers_numbers(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    let seen = trader.see().await?;
    let account = &seen["account"];
    ensure_eq!(account["status"], "active");
    ensure_eq!(account["tier_id"], TIER);
    ensure_eq!(account["starting_balance_cents"], json!(10_000_000));
    ensure_eq!(account["current_balance_cents"], json!(10_000_000));
    ensure_eq!(seen["source"], "live");
    ensure_eq!(seen["positions"], json!([]));
    ensure_eq!(seen["withdrawable_cents"], json!(0));
    ensure_eq!(seen["rules"][0]["threshold"], "0.1");
    ensure_eq!(seen["rules"][0]["room_cents"], json!(1_000_000));
    // The same event again, and another assessment of the same trader.
    let again = passed(trader.user_id, TIER);
    let mut second = again.clone();
    second["assessmentId"] = json!(format!("second-of-{}", trader.user_id));
    fixture.assessment_ends(&again).await?;
    fixture.assessment_ends(&second).await?;
    eventually("the second account is there", async || {
        let accounts = trader.api.get("/funded-accounts").await?.expect(200)?.body;
        let ids: Vec<_> = accounts["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| &one["id"])
            .collect();
        ensure!(
            ids.len() == 2 && ids[1] == trader.account,
            "the accounts are {ids:?}"
        );
        Ok(())
    })
    .await?;
    let key = format!("funded-account-{}", trader.account);
    let told: Vec<String> = fixture
        .database
        .outbox_of_key(&key)
        .await?
        .iter()
        .map(|row| format!("{} → {}", row.kind, row.destination))
        .collect();
    ensure_eq!(
        told,
        [
            "funded-account.created → funded-account.created",
            "funded-account.activated → funded-account.activated"
        ]
    );
    Ok(())
}

async fn failed_assessment_becomes_no_account(fixture: Arc<Fixture>) -> Result {
    fixture.put_tier(TIER, &tier()).await?;
    let mut failed = passed(900_010, TIER);
    failed["status"] = json!("failed");
    // The one behind it on the same partition shows that it was handled.
    let mut passed = passed(900_010, TIER);
    passed["assessmentId"] = json!("behind-the-failed-one");
    let records = [failed, passed].map(|one| ("900010".to_owned(), one.to_string()));
    fixture.send_records(ASSESSMENTS, &records).await?;
    let api = fixture.api(Some(json!({ "user_id": 900_010 })))?;
    eventually("the account behind it is there", async || {
        let accounts = api.get("/funded-accounts").await?.expect(200)?.body;
        let found: Vec<_> = accounts["items"].as_array().into_iter().flatten().collect();
        ensure!(
            found.len() == 1 && found[0]["assessment_id"] == "behind-the-failed-one",
            "the accounts are {found:?}"
        );
        Ok(())
    })
    .await
}

async fn changed_tier_leaves_its_accounts_as_they_are(fixture: Arc<Fixture>) -> Result {
    fixture.put_tier("changing", &tier()).await?;
    let before = fixture.trader_of("changing").await?;
    let mut stricter = tier();
    stricter["profit_split"] = json!("0.5");
    stricter["starting_balance_cents"] = json!(5_000_000);
    fixture.put_tier("changing", &stricter).await?.expect(200)?;
    let after = fixture.trader_of("changing").await?;
    for (trader, split, start) in [(before, "0.8", 10_000_000), (after, "0.5", 5_000_000)] {
        let seen = trader.see().await?;
        ensure_eq!(seen["account"]["profit_split"], split);
        ensure_eq!(seen["account"]["starting_balance_cents"], json!(start));
    }
    Ok(())
}

async fn assessment_of_an_unknown_tier_waits_for_it_and_leaves_nothing_behind(
    fixture: Arc<Fixture>,
) -> Result {
    fixture
        .assessment_ends(&passed(900_020, "tier-of-tomorrow"))
        .await?;
    let given_up = || async { fixture.waiting_in("assessment-records-dead").await };
    eventually("the assessment is given up", async || {
        let waiting = given_up().await?;
        ensure!(
            waiting.len() == 1 && waiting[0]["reason"] == "tier-not-found",
            "{waiting:?}"
        );
        Ok(())
    })
    .await?;
    let left = "SELECT count(*) FROM funded_accounts WHERE user_id = $1";
    ensure_eq!(fixture.database.count(left, 900_020).await?, 0);
    fixture.put_tier("tier-of-tomorrow", &tier()).await?.expect(201)?;
    fixture.cloud.redrive("assessment-records-dead").await?;
    let api = fixture.api(Some(json!({ "user_id": 900_020 })))?;
    eventually("the account is there", async || {
        let accounts = api.get("/funded-accounts").await?.expect(200)?.body;
        ensure!(
            accounts["items"][0]["status"] == "active",
            "the accounts are {accounts}"
        );
        Ok(())
    })
    .await
}
