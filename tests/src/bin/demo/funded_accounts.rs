//! Funded accounts: a trader passes, trades into profit, withdraws, and then trades too far down; the account is closed at
//! the very snapshot.

use chrono::{DateTime, TimeDelta, Utc};
use end_to_end::{
    Fixture, Result,
    funded::{TIER, Trader, flat, open},
};
use local_cloud::progress::say;
use serde_json::{Value, json};

use super::{
    checks::{Checks, event_about, until},
    payouts::{self, BALANCE},
};

/// A trading day, as balance and open profit in cents, a minute apart: up, back, and down to where it hurts.
const MORNING: [(i64, i64); 6] = [
    (10_000_000, 40_000),
    (10_060_000, 0),
    (10_060_000, 150_000),
    (10_180_000, -20_000),
    (10_250_000, 0),
    (10_250_000, 0),
];

/// Plays the chapter.
pub(crate) async fn play(fixture: &Fixture, checks: &mut Checks) -> Result {
    let trader = begin(fixture, checks).await?;
    trade(fixture, &trader, checks).await?;
    let waiting = payouts::play(fixture, &trader, 7, checks).await?;
    lose(fixture, &trader, checks).await?;
    payouts::closed(fixture, &trader, waiting, checks).await
}

async fn begin(fixture: &Fixture, checks: &mut Checks) -> Result<Trader> {
    say("\n19. A trader passes an assessment and trades $100,000 of the company's");
    let trader = fixture.trader().await?;
    let seen = trader.see().await?;
    checks.that(
        "the account is active, with its tier's numbers and a more lenient drawdown",
        seen["account"]["status"] == "active"
            && seen["account"]["tier_id"] == TIER
            && seen["rules"][0]["threshold"] == "0.1",
    );
    let activated = event_about(
        fixture,
        "funded-account.activated",
        "funded_account_id",
        trader.account,
    )
    .await?;
    checks.that(
        "others hear of it on its topic",
        activated["data"]["user_id"] == trader.user_id,
    );
    Ok(trader)
}

async fn trade(fixture: &Fixture, trader: &Trader, checks: &mut Checks) -> Result {
    let begin: DateTime<Utc> = "2026-11-02T14:30:00Z".parse()?;
    let numbered = MORNING.iter().zip(1_i64..);
    let mut snapshots: Vec<Value> = numbered
        .map(|((balance, profit), sequence)| {
            let mut snapshot = match profit {
                0 => flat(trader.account, sequence, *balance),
                profit => open(trader.account, sequence, *balance, *profit),
            };
            snapshot["at"] = json!(begin + TimeDelta::minutes(sequence));
            snapshot
        })
        .collect();
    // The network isn't kind: one comes late, and all come twice.
    snapshots.swap(2, 4);
    fixture.engine_says(&snapshots).await?;
    fixture.engine_says(&snapshots).await?;
    let is_in_profit = until(async || {
        let seen = trader.see().await?;
        let account = &seen["account"];
        Ok(account["current_balance_cents"] == 10_250_000 && account["peak_balance_cents"] == 10_250_000)
    });
    checks.that(
        "snapshots late and twice come to the balance and the peak of the day",
        is_in_profit.await,
    );
    checks.that(
        "80 % of the $2,500.00 profit could be withdrawn",
        trader.see().await?["withdrawable_cents"] == 200_000,
    );
    let path = format!(
        "/funded-accounts/{}/equity?from=2026-11-02T14:00:00Z&to=2026-11-02T15:00:00Z",
        trader.account
    );
    let has_history = until(async || {
        let history = trader.api.get(&path).await?.expect(200)?.body;
        Ok(history["items"].as_array().is_some_and(|items| !items.is_empty()))
    });
    checks.that("the chart has its points", has_history.await);
    Ok(())
}

async fn lose(fixture: &Fixture, trader: &Trader, checks: &mut Checks) -> Result {
    say("\n    He trades on, and loses");
    fixture
        .engine_says(&[open(trader.account, 52, BALANCE, -966_000)])
        .await?;
    let warned = event_about(
        fixture,
        "funded-account.warned",
        "funded_account_id",
        trader.account,
    )
    .await?;
    checks.that(
        "at 84 % of what may be lost the trader is warned",
        warned["data"]["level"] == "warning",
    );
    fixture
        .engine_says(&[open(trader.account, 53, BALANCE, -1_060_000)])
        .await?;
    let is_in_danger = until(async || {
        let seen = trader.see().await?;
        Ok(seen["rules"][0]["status"] == "danger")
    });
    checks.that("at 92 % he is in danger", is_in_danger.await);
    let (beyond, recovered) = (
        open(trader.account, 54, BALANCE, -1_160_000),
        flat(trader.account, 55, 11_600_000),
    );
    // The recovery comes first, in the same batch.
    fixture.engine_says(&[recovered, beyond]).await?;
    let closed = event_about(
        fixture,
        "funded-account.closed",
        "funded_account_id",
        trader.account,
    )
    .await?;
    let seen = trader.see().await?;
    checks.that(
        "beyond it the account is closed, whatever came behind, and the snapshot is named",
        seen["account"]["status"] == "closed"
            && seen["breach"]["sequence"] == 54
            && seen["breach"]["equity_cents"] == 10_340_000
            && closed["data"]["rule"] == "drawdown",
    );
    let is_recorded = until(async || {
        let accounts = trader.api.get("/funded-accounts").await?.expect(200)?.body;
        Ok(accounts["items"][0]["status"] == "closed"
            && accounts["items"][0]["current_balance_cents"] == BALANCE)
    });
    checks.that("the record says the same, to the cent", is_recorded.await);
    Ok(())
}
