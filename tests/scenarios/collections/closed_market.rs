//! Orders while the market is closed: they wait for the next trading day, can be cancelled, and are carried out together:
//! sales first, in one run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use domain::market::MarketCalendar;
use end_to_end::collections::Investor;
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, eventually, scenarios};
use local_cloud::ClockMove;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(orders_wait_for_the_next_trading_day_and_are_carried_out_together),
        alone(order_is_cancelled_once_and_never_carried_out),
        alone(order_that_waited_past_the_close_is_carried_out_the_next_morning),
        alone(profile_counts_what_orders_under_way_will_take),
    ]
}

/// Moves the clock to a time at which the market has been closed for long.
async fn close_market(fixture: &Fixture) -> Result<DateTime<Utc>> {
    let opening = MarketCalendar::next_open(fixture.cloud.now() + TimeDelta::hours(8));
    fixture
        .cloud
        .move_clock(&ClockMove::to(opening - TimeDelta::hours(6)))
        .await?;
    fixture.list_instruments().await?;
    Ok(opening)
}

/// The same customer with a token of the present time.
fn at_this_time(fixture: &Fixture, investor: &Investor) -> Result<Tester> {
    let api = fixture.api(Some(json!({ "profile_id": investor.tester.customer.profile_id })))?;
    Ok(Tester {
        api,
        ..investor.tester.clone()
    })
}

fn targets(fixture: &Fixture, tester: &Tester) -> Result<Vec<i64>> {
    let account = fixture.account_of(tester)?;
    let of = |name: &str| {
        account
            .funds
            .iter()
            .find(|fund| fund.name == name)
            .map_or(0, |fund| fund.target)
    };
    Ok(vec![account.cash_target, of("First"), of("Second")])
}

/// V15, V17, V18 and V19.
async fn orders_wait_for_the_next_trading_day_and_are_carried_out_together(fixture: Arc<Fixture>) -> Result {
    type Orders = &'static [(bool, &'static str, i64)];
    let opening = close_market(&fixture).await?;
    let (amount, percent) = ("absolute_amount_delta_cents", "relative_amount_delta_percent");
    let cases: [(Orders, [i64; 3], &[&str]); 4] = [
        (
            &[(true, "a", 100_000), (false, "a", -250_000), (false, "a", 50_000)],
            [5_000, 4_500, 500],
            &["complete", "complete", "complete"],
        ),
        (
            &[(true, "p", -50), (true, "p", -50)],
            [6_625, 875, 2_500],
            &["complete", "complete"],
        ),
        (
            &[(true, "p", -100), (true, "a", 100_000)],
            [6_500, 1_000, 2_500],
            &["complete", "complete"],
        ),
        // Cash that is gone when they are carried out.
        (
            &[(true, "a", 390_000), (false, "a", 10_000)],
            [2_865, 4_094, 3_041],
            &["failed", "complete"],
        ),
    ];
    let mut placed = Vec::new();
    for (orders, expected, ends) in cases {
        let investor = fixture.investor().await?;
        let mut ids = Vec::new();
        for (is_first, kind, figure) in orders {
            let collection = if *is_first {
                investor.first
            } else {
                investor.second
            };
            let mut body = json!({});
            body[if *kind == "a" { amount } else { percent }] = json!(figure);
            let order = investor
                .tester
                .reconfigure(collection, &body)
                .await?
                .expect(202)?;
            let applies_at: DateTime<Utc> = serde_json::from_value(order.body["applies_at"].clone())?;
            ensure_eq!(applies_at, opening - TimeDelta::minutes(5), "{}", order.text);
            ids.push(order.number("id")?);
        }
        ensure_eq!(fixture.work_on(&investor.tester).await?, Vec::<usize>::new());
        for id in &ids {
            ensure_eq!(investor.tester.order(*id).await?["status"], "pending");
        }
        placed.push((investor, ids, expected, ends));
    }
    // In the last case most of the cash leaves before the morning.
    let last = &placed
        .last()
        .context("no case")?
        .0
        .tester
        .customer
        .drivewealth_account_id;
    fixture.cloud.drivewealth().set_cash(last, 255_000, 255_000)?;

    let early = opening - TimeDelta::minutes(6);
    fixture.cloud.move_clock(&ClockMove::to(early)).await?;
    let report = fixture.run("apply_pending_versions", json!({})).await?.payload;
    ensure_eq!(report["accounts"], 0, "it isn't time yet");
    let morning = ClockMove::to(opening - TimeDelta::minutes(4)).running(&["apply_pending_versions"]);
    fixture.cloud.move_clock(&morning).await?;
    for (investor, ids, expected, ends) in placed {
        let tester = at_this_time(&fixture, &investor)?;
        for (id, end) in ids.iter().zip(ends) {
            let order = fixture.order_reaches(&tester, *id, end).await?;
            if *end == "failed" {
                ensure_eq!(order["failure_code"], "insufficient-funds");
            }
        }
        ensure_eq!(targets(&fixture, &tester)?, expected);
        let account = &tester.customer.drivewealth_account_id;
        ensure_eq!(
            fixture.cloud.drivewealth().runs_of(account).len(),
            1,
            "one run for all of them"
        );
    }
    Ok(())
}

async fn order_is_cancelled_once_and_never_carried_out(fixture: Arc<Fixture>) -> Result {
    let opening = close_market(&fixture).await?;
    let investor = fixture.investor().await?;
    let tester = &investor.tester;
    let order = tester.order_amount(investor.first, 300_000).await?;
    let other = fixture
        .investor()
        .await?
        .tester
        .cancel_order(investor.first, order)
        .await?;
    other.expect_problem(404, "collection-version-not-found")?;
    let elsewhere = tester.cancel_order(investor.second, order).await?;
    elsewhere.expect_problem(404, "collection-version-not-found")?;
    for _ in 0..2 {
        let cancelled: Value = tester
            .cancel_order(investor.first, order)
            .await?
            .expect(200)?
            .body;
        ensure_eq!(cancelled["status"], "cancelled");
    }
    // What it would have taken is free again.
    let second = tester.order_amount(investor.second, 400_000).await?;
    tester.cancel_order(investor.second, second).await?.expect(200)?;
    let morning = ClockMove::to(opening + TimeDelta::minutes(1)).running(&["apply_pending_versions"]);
    fixture.cloud.move_clock(&morning).await?;
    let tester = at_this_time(&fixture, &investor)?;
    ensure_eq!(fixture.work_on(&tester).await?, Vec::<usize>::new());
    let account = &tester.customer.drivewealth_account_id;
    ensure_eq!(fixture.cloud.drivewealth().runs_of(account).len(), 0);
    let complete = tester
        .api
        .get("/trading/history/rebalancings")
        .await?
        .expect(200)?;
    let shown = complete.body["items"].as_array().map(Vec::len);
    ensure_eq!(shown, Some(2), "cancelled ones are not shown unless asked for");
    let cancelled = tester
        .api
        .get("/trading/history/rebalancings?status=cancelled")
        .await?
        .expect(200)?;
    ensure_eq!(cancelled.body["items"].as_array().map(Vec::len), Some(2));
    tester
        .api
        .get("/trading/history/rebalancings?status=open")
        .await?
        .expect(400)?;
    Ok(())
}

/// The run before it ends after the close.
async fn order_that_waited_past_the_close_is_carried_out_the_next_morning(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.run_pace(None);
    let first = investor.tester.order_amount(investor.first, 100_000).await?;
    fixture
        .order_reaches(&investor.tester, first, "executing")
        .await?;
    let waits = investor.tester.order_amount(investor.second, 50_000).await?;
    let taken_back = investor.tester.order_amount(investor.second, 20_000).await?;
    let today = MarketCalendar::business_date(fixture.cloud.now());
    let (_, close) = MarketCalendar::session(today).context("the market is closed")?;
    let evening = ClockMove::to(close + TimeDelta::minutes(10)).running(&[]);
    fixture.cloud.move_clock(&evening).await?;
    drivewealth.run_pace(Some(Duration::from_millis(20)));
    let tester = at_this_time(&fixture, &investor)?;
    fixture.order_reaches(&tester, first, "complete").await?;
    ensure_eq!(fixture.work_on(&tester).await?, Vec::<usize>::new());
    for order in [waits, taken_back] {
        ensure_eq!(tester.order(order).await?["status"], "pending", "after the close");
    }
    tester
        .cancel_order(investor.second, taken_back)
        .await?
        .expect(200)?;
    let opening = MarketCalendar::next_open(fixture.cloud.now());
    let morning = ClockMove::to(opening - TimeDelta::minutes(4)).running(&["apply_pending_versions"]);
    fixture.cloud.move_clock(&morning).await?;
    let tester = at_this_time(&fixture, &investor)?;
    eventually("the schedule has the order carried out", async || {
        let order = tester.order(waits).await?;
        ensure!(order["status"] != "pending", "it is {order}");
        Ok(())
    })
    .await?;
    fixture.order_reaches(&tester, waits, "complete").await?;
    ensure_eq!(tester.order(taken_back).await?["status"], "cancelled");
    Ok(())
}

/// What waits takes its part of the buying power, in the order in which it was asked for.
async fn profile_counts_what_orders_under_way_will_take(fixture: Arc<Fixture>) -> Result {
    close_market(&fixture).await?;
    let investor = fixture.investor().await?;
    let tester = &investor.tester;
    let reported =
        "UPDATE trading_accounts SET cash_balance_cents = 400000, balances_as_of = now() WHERE id = $1";
    let account = tester.customer.trading_account_id;
    fixture.database.change(reported, account).await?;
    let seen = async || -> Result<(Value, Value)> {
        let profile = tester.profile().await?;
        Ok((
            profile["pending_orders"].clone(),
            profile["buying_power_cents"].clone(),
        ))
    };
    ensure_eq!(seen().await?, (json!(0), json!(400_000)));
    let first = tester.order_amount(investor.first, 100_000).await?;
    ensure_eq!(seen().await?, (json!(1), json!(300_000)));
    let half = json!({ "relative_amount_delta_percent": 50 });
    let half = tester.reconfigure(investor.second, &half).await?.expect(202)?;
    let sale = tester.order_amount(investor.first, -50_000).await?;
    ensure_eq!(
        seen().await?,
        (json!(3), json!(150_000)),
        "a sale frees nothing yet"
    );
    tester.cancel_order(investor.first, first).await?.expect(200)?;
    ensure_eq!(seen().await?, (json!(2), json!(200_000)));
    // Nothing is due in another scenario's morning.
    for (collection, order) in [(investor.second, half.number("id")?), (investor.first, sale)] {
        tester.cancel_order(collection, order).await?.expect(200)?;
    }
    ensure_eq!(seen().await?, (json!(0), json!(400_000)));
    Ok(())
}
