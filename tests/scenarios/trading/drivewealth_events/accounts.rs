//! Events about accounts: a hint each, after which the broker is asked.

use std::sync::Arc;

use anyhow::ensure;
use chrono::{DateTime, Utc};
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, scenarios};
use serde_json::{Value, json};
use uuid::Uuid;

use super::apply;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        by_hand(accounts_that_are_not_ours_are_harmless),
        by_hand(frozen_account_takes_no_deposits_until_it_is_open_again),
        by_hand(account_that_is_opened_again_is_billed_again),
        by_hand(account_opened_for_the_first_time_is_announced_once),
    ]
}

fn account_event(account_id: &str, status: &str) -> Value {
    json!({
        "id": format!("event_{}", Uuid::now_v7()),
        "type": "accounts.updated",
        "timestamp": Utc::now(),
        "payload": { "accountID": account_id, "current": { "status": { "name": status } } },
    })
}

async fn accounts_that_are_not_ours_are_harmless(fixture: Arc<Fixture>) -> Result {
    let user = Uuid::new_v4().to_string();
    let account_id = format!("{user}.1700000000000");
    fixture.by_hand();
    fixture
        .cloud
        .drivewealth()
        .seed_account(local_cloud::sandboxes::drivewealth::SeedAccount {
            user_id: user,
            account_id: account_id.clone(),
            account_no: "ZZZZ000003".to_owned(),
            cash_cents: 0,
            bank_account_id: "bank_of_somebody".to_owned(),
            funds: Vec::new(),
        })?;
    let event = account_event(&account_id, "FROZEN");
    apply(&fixture, std::slice::from_ref(&event)).await?;
    let kept = fixture
        .database
        .inbox(event["id"].as_str().unwrap_or_default())
        .await?;
    ensure!(kept.is_some(), "the event isn't kept");
    Ok(())
}

async fn account_status(tester: &Tester) -> Result<Value> {
    Ok(tester.profile().await?["account_status"].clone())
}

async fn account_that_is_opened_again_is_billed_again(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let profile = tester.customer.profile_id;
    let account = &tester.customer.drivewealth_account_id;
    let becomes = async |status: &str| {
        fixture.cloud.drivewealth().set_account_status(account, status)?;
        apply(&fixture, &[account_event(account, status)]).await
    };
    let closed = "SELECT count(*) FROM trading_accounts WHERE profile_id = $1 AND closed_at IS NOT NULL";
    becomes("CLOSED").await?;
    ensure_eq!(fixture.database.count(closed, profile).await?, 1);
    let earlier =
        "UPDATE trading_accounts SET closed_at = closed_at - interval '9 days' WHERE profile_id = $1";
    fixture.database.change(earlier, profile).await?;
    becomes("OPEN").await?;
    ensure_eq!(fixture.database.count(closed, profile).await?, 0);
    // It was worth nothing while it was closed: not what it was worth before.
    let nothing = "SELECT count(*) FROM trading_account_balances JOIN trading_accounts ON id = trading_account_id \
                   WHERE profile_id = $1 AND trading_account_balances.equity_cents = 0";
    ensure_eq!(fixture.database.count(nothing, profile).await?, 1);
    // The same again changes nothing.
    becomes("OPEN").await?;
    ensure_eq!(fixture.database.count(nothing, profile).await?, 1);
    Ok(())
}

async fn frozen_account_takes_no_deposits_until_it_is_open_again(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let account = &tester.customer.drivewealth_account_id;
    fixture
        .cloud
        .drivewealth()
        .set_account_status(account, "FROZEN")?;
    let freezing = account_event(account, "FROZEN");
    apply(&fixture, std::slice::from_ref(&freezing)).await?;
    ensure_eq!(account_status(&tester).await?, json!("frozen"));
    tester
        .deposit(100)
        .await?
        .expect_problem(409, "trading-account-not-open")?;

    fixture.cloud.drivewealth().set_account_status(account, "OPEN")?;
    // The broker is asked, so that an event that tells of the frost again, and comes late, thaws.
    let late = account_event(account, "FROZEN");
    apply(&fixture, &[late, freezing]).await?;
    ensure_eq!(account_status(&tester).await?, json!("open"));
    tester.deposit(100).await?.expect(201)?;

    // And an answer that is older than what is known changes nothing.
    let newer = "UPDATE drivewealth_accounts SET status = 'frozen', status_updated_at = now() + interval '1 hour' \
                 WHERE trading_account_id = $1";
    fixture
        .database
        .change(newer, tester.customer.trading_account_id)
        .await?;
    apply(&fixture, &[account_event(account, "OPEN")]).await?;
    ensure_eq!(account_status(&tester).await?, json!("frozen"));
    // It was open before: nobody is told of it again.
    let told = fixture
        .database
        .outbox_of_key(&format!("profile-{}", tester.customer.profile_id))
        .await?;
    ensure!(
        told.iter().all(|row| row.kind != "trading-account.opened"),
        "told {told:?}"
    );
    Ok(())
}

async fn account_opened_for_the_first_time_is_announced_once(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let pending = "WITH account AS (UPDATE trading_accounts SET opened_at = NULL WHERE id = $1) \
                   UPDATE drivewealth_accounts SET status = 'pending', status_updated_at = now() - interval '1 day' \
                   WHERE trading_account_id = $1";
    fixture
        .database
        .change(pending, tester.customer.trading_account_id)
        .await?;
    tester
        .deposit(100)
        .await?
        .expect_problem(409, "trading-account-not-open")?;

    let account = &tester.customer.drivewealth_account_id;
    let events = [account_event(account, "OPEN"), account_event(account, "OPEN")];
    apply(&fixture, &events).await?;
    apply(&fixture, &events).await?;
    // Closed for a while, and open again: that isn't the first time.
    for status in ["FROZEN", "OPEN"] {
        fixture.cloud.drivewealth().set_account_status(account, status)?;
        apply(&fixture, &[account_event(account, status)]).await?;
    }
    let told = fixture
        .database
        .outbox_of_key(&format!("profile-{}", tester.customer.profile_id))
        .await?;
    let told: Vec<&str> = told
        .iter()
        .filter(|row| row.kind == "trading-account.opened")
        .map(|row| row.destination.as_str())
        .collect();
    ensure_eq!(told, ["trading.events", "domain-events"]);
    let opened_at = tester.profile().await?["opened_at"].clone();
    ensure!(
        opened_at
            .as_str()
            .is_some_and(|at| at.parse::<DateTime<Utc>>().is_ok()),
        "opened_at is {opened_at}"
    );
    tester.deposit(100).await?.expect(201)?;
    Ok(())
}
