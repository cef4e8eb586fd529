//! Orders that are carried out: what is pushed to the broker, what is traded, and what becomes of the order. The vectors are
//! those that were worked out by hand.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use end_to_end::collections::{FIRST, Investor, weight};
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, eventually, scenarios};
use futures::future::try_join_all;
use local_cloud::sandboxes::drivewealth::AccountState;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        order_moves_a_part_between_cash_and_its_fund,
        order_of_a_new_collection_makes_its_fund_once,
        order_leaves_what_has_drifted_in_other_funds,
        order_without_weights_keeps_the_ones_last_given,
        weights_alone_trade_within_the_fund,
        collection_that_was_sold_can_be_bought_again,
        real_answers_floored_weights_cost_no_cent,
        order_of_odd_values_comes_out_to_the_ten_thousandth,
        copies_at_the_same_time_make_one_run,
        alone(change_of_cash_waits_for_the_run),
        alone(orders_wait_for_the_run_before),
        alone(schedule_asks_about_runs),
    ]
}

/// Targets in ten-thousandths: the cash, the first fund, the second, and whatever others there are.
fn targets(account: &AccountState) -> Vec<i64> {
    let of = |name: &str| {
        account
            .funds
            .iter()
            .find(|fund| fund.name == name)
            .map_or(0, |fund| fund.target)
    };
    let others = account
        .funds
        .iter()
        .filter(|fund| !["First", "Second"].contains(&fund.name.as_str()));
    [account.cash_target, of("First"), of("Second")]
        .into_iter()
        .chain(others.map(|fund| fund.target))
        .collect()
}

/// Carries an order out, and checks what was traded for it.
async fn carry_out(fixture: &Fixture, investor: &Investor, body: &Value, cents: i64) -> Result<AccountState> {
    let before = fixture.account_of(&investor.tester)?;
    let order = investor
        .tester
        .reconfigure(investor.first, body)
        .await?
        .expect(202)?;
    let order = fixture
        .order_reaches(&investor.tester, order.number("id")?, "complete")
        .await?;
    ensure_eq!(order["planned_amount_cents"], cents, "{body}");
    ensure_eq!(order["actual_amount_cents"], cents, "{body}");
    let after = fixture.account_of(&investor.tester)?;
    ensure_eq!(
        after.cash_cents,
        before.cash_cents - cents,
        "the cash after {body}"
    );
    ensure_eq!(after.equity_cents, before.equity_cents, "nothing is lost");
    Ok(after)
}

/// V1, V2, V6 and V7.
async fn order_moves_a_part_between_cash_and_its_fund(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let amount = |cents: i64| json!({ "absolute_amount_delta_cents": cents });
    let percent = |percent: i64| json!({ "relative_amount_delta_percent": percent });
    let cases = [
        (amount(100_000), 100_000, [3_000, 4_500, 2_500]),
        (amount(400_000), 400_000, [0, 7_500, 2_500]),
        (amount(-100_000), -100_000, [5_000, 2_500, 2_500]),
        (percent(50), 200_000, [2_000, 5_500, 2_500]),
        (percent(100), 400_000, [0, 7_500, 2_500]),
        (percent(33), 132_000, [2_680, 4_820, 2_500]),
        (percent(-50), -175_000, [5_750, 1_750, 2_500]),
        (percent(-100), -350_000, [7_500, 0, 2_500]),
        (percent(-33), -115_500, [5_155, 2_345, 2_500]),
    ];
    let checks = cases.map(|(body, cents, expected)| {
        let fixture = &fixture;
        async move {
            let investor = fixture.investor().await?;
            let after = carry_out(fixture, &investor, &body, cents).await?;
            ensure_eq!(targets(&after), expected, "{body}");
            let runs = fixture.cloud.drivewealth().runs_of(&after.id);
            ensure_eq!(runs.len(), 1, "{body}: {runs:?}");
            anyhow::ensure!(
                runs.iter().all(|run| !run.is_of_all && run.accounts.len() == 1),
                "{runs:?}"
            );
            anyhow::Ok(())
        }
    });
    try_join_all(checks).await?;
    Ok(())
}

/// V9.
async fn order_of_a_new_collection_makes_its_fund_once(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let tester = &investor.tester;
    let new = fixture.collection(&[("AAPL", 6_000), ("MSFT", 4_000)]).await?;
    let order = tester.order_amount(new, 50_000).await?;
    fixture.order_reaches(tester, order, "complete").await?;
    ensure_eq!(targets(&fixture.account_of(tester)?), [3_500, 3_500, 2_500, 500]);
    let trades = fixture
        .cloud
        .drivewealth()
        .trades_of(&tester.customer.drivewealth_account_id);
    let mut trades: Vec<_> = trades
        .iter()
        .map(|trade| (trade.symbol.as_str(), trade.amount_cents))
        .collect();
    trades.sort_unstable();
    ensure_eq!(trades, [("AAPL", 30_000), ("MSFT", 20_000)]);
    let order = tester.order_amount(new, 50_000).await?;
    fixture.order_reaches(tester, order, "complete").await?;
    let name = format!("{}_{new}", tester.customer.profile_id);
    ensure_eq!(fixture.cloud.drivewealth().funds_named(&name), 1);
    let holdings = tester.holdings(new).await?;
    ensure_eq!(holdings["amount_cents"], 100_000, "{holdings}");
    Ok(())
}

async fn order_leaves_what_has_drifted_in_other_funds(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let account = fixture.account_of(&investor.tester)?;
    let second = account
        .funds
        .iter()
        .find(|fund| fund.name == "Second")
        .context("no fund")?;
    // ISRG was $1,250.00 and is $250.00 less now, IRBT as much more: the fund has drifted from 50:50.
    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.set_holding_value(&account.id, &second.id, "ISRG", 100_000)?;
    drivewealth.set_holding_value(&account.id, &second.id, "IRBT", 150_000)?;
    let order = investor.tester.order_amount(investor.first, 100_000).await?;
    fixture.order_reaches(&investor.tester, order, "complete").await?;
    let trades = drivewealth.trades_of(&account.id);
    anyhow::ensure!(
        trades
            .iter()
            .all(|trade| FIRST.iter().any(|(symbol, _)| *symbol == trade.symbol)),
        "another fund was traded: {trades:?}"
    );
    ensure_eq!(
        trades.iter().map(|trade| trade.amount_cents).sum::<i64>(),
        100_000
    );
    Ok(())
}

async fn order_without_weights_keeps_the_ones_last_given(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let tester = &investor.tester;
    let new = fixture.collection(&[("AAPL", 5_000), ("MSFT", 5_000)]).await?;
    let given = json!({
        "weights": [weight(&("AAPL", 9_000)), weight(&("NVDA", 1_000))], "absolute_amount_delta_cents": 100_000,
    });
    let order = tester.reconfigure(new, &given).await?.expect(202)?.number("id")?;
    fixture.order_reaches(tester, order, "complete").await?;
    // An empty list is none given.
    let more = json!({ "weights": [], "absolute_amount_delta_cents": 100_000 });
    let order = tester.reconfigure(new, &more).await?.expect(202)?.number("id")?;
    let done = fixture.order_reaches(tester, order, "complete").await?;
    ensure_eq!(
        done["weights"],
        given["weights"],
        "the weights that it was carried out with"
    );
    let holdings = tester.holdings(new).await?;
    ensure_eq!(holdings["holdings"][0]["value_cents"], 180_000, "{holdings}");
    Ok(())
}

async fn weights_alone_trade_within_the_fund(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let body = json!({ "weights": [weight(&("ENPH", 10_000))] });
    let after = carry_out(&fixture, &investor, &body, 0).await?;
    ensure_eq!(targets(&after), [4_000, 3_500, 2_500]);
    let first = after
        .funds
        .iter()
        .find(|fund| fund.name == "First")
        .context("no fund")?;
    let held: Vec<_> = first
        .holdings
        .iter()
        .map(|held| (held.symbol.as_str(), held.value_cents))
        .collect();
    ensure_eq!(held, [("ENPH", 350_000)]);
    Ok(())
}

async fn collection_that_was_sold_can_be_bought_again(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let all = json!({ "relative_amount_delta_percent": -100 });
    carry_out(&fixture, &investor, &all, -350_000).await?;
    let again = investor.tester.reconfigure(investor.first, &all).await?;
    again.expect_problem(409, "insufficient-funds")?;
    let after = carry_out(
        &fixture,
        &investor,
        &json!({ "absolute_amount_delta_cents": 100_000 }),
        100_000,
    )
    .await?;
    ensure_eq!(targets(&after), [6_500, 1_000, 2_500]);
    Ok(())
}

/// V12, V13 and V14: the broker says .9937 and .0062 of $29,946.88.
async fn real_answers_floored_weights_cost_no_cent(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    for (cents, expected) in [
        (1_000, [9_934, 66, 0]),
        (-18_600, [9_999, 1, 0]),
        (2_975_893, [0, 10_000, 0]),
    ] {
        let investor = fixture.investor().await?;
        let account = fixture.account_of(&investor.tester)?;
        let drivewealth = fixture.cloud.drivewealth();
        drivewealth.set_cash(&account.id, 2_975_893, 2_975_893)?;
        drivewealth.set_fund_value(&account.id, "First", 18_795)?;
        drivewealth.set_fund_value(&account.id, "Second", 0)?;
        let order = investor.tester.order_amount(investor.first, cents).await?;
        fixture.order_reaches(&investor.tester, order, "complete").await?;
        ensure_eq!(
            targets(&fixture.account_of(&investor.tester)?),
            expected,
            "{cents}"
        );
    }
    Ok(())
}

/// An investor whose cash and two funds are worth so many cents.
async fn worth(fixture: &Fixture, [cash, first, second]: [i64; 3]) -> Result<Investor> {
    let investor = fixture.investor().await?;
    let account = fixture.account_of(&investor.tester)?;
    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.set_cash(&account.id, cash, cash)?;
    drivewealth.set_fund_value(&account.id, "First", first)?;
    drivewealth.set_fund_value(&account.id, "Second", second)?;
    Ok(investor)
}

/// V5, V21, V22 and V23.
async fn order_of_odd_values_comes_out_to_the_ten_thousandth(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = worth(&fixture, [400_000, 350_000, 250_000]).await?;
    let order = investor.tester.order_amount(investor.second, -100_000).await?;
    fixture.order_reaches(&investor.tester, order, "complete").await?;
    ensure_eq!(
        targets(&fixture.account_of(&investor.tester)?),
        [5_000, 3_500, 1_500]
    );

    let investor = worth(&fixture, [100_000, 23_456, 0]).await?;
    let order = investor.tester.order_amount(investor.first, 10_000).await?;
    fixture.order_reaches(&investor.tester, order, "complete").await?;
    ensure_eq!(targets(&fixture.account_of(&investor.tester)?), [7_290, 2_710, 0]);

    // Without cash nothing is bought, and what is sold becomes cash.
    let investor = worth(&fixture, [0, 100_000, 0]).await?;
    let bought = json!({ "absolute_amount_delta_cents": 1 });
    let bought = investor.tester.reconfigure(investor.first, &bought).await?;
    bought.expect_problem(409, "insufficient-funds")?;
    let order = investor.tester.order_amount(investor.first, -25_000).await?;
    fixture.order_reaches(&investor.tester, order, "complete").await?;
    ensure_eq!(targets(&fixture.account_of(&investor.tester)?), [2_500, 7_500, 0]);

    // Thirds, of which no set of weights in ten-thousandths is exact.
    let investor = worth(&fixture, [100_000, 100_000, 100_000]).await?;
    let third = fixture.collection(&[("AAPL", 6_000), ("MSFT", 4_000)]).await?;
    let order = investor.tester.order_amount(third, 100_000).await?;
    fixture.order_reaches(&investor.tester, order, "complete").await?;
    let thirds = targets(&fixture.account_of(&investor.tester)?);
    ensure_eq!(thirds, [0, 3_334, 3_333, 3_333]);
    let order = investor.tester.order_amount(investor.second, -10_000).await?;
    fixture.order_reaches(&investor.tester, order, "complete").await?;
    ensure_eq!(
        targets(&fixture.account_of(&investor.tester)?),
        [334, 3_333, 3_000, 3_333]
    );
    Ok(())
}

async fn copies_at_the_same_time_make_one_run(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investors = try_join_all((0..3).map(|_| fixture.investor())).await?;
    for investor in &investors {
        investor.tester.order_amount(investor.first, 100_000).await?;
    }
    let workers = (0..8)
        .flat_map(|_| &investors)
        .map(|investor| fixture.work_on(&investor.tester));
    // One that finds the account taken for too long is given its message again.
    try_join_all(workers).await?;
    for investor in &investors {
        let tester = &investor.tester;
        let order = tester
            .orders()
            .await?
            .first()
            .and_then(|order| order["id"].as_i64())
            .context("no order")?;
        fixture.order_reaches(tester, order, "complete").await?;
        let account = &tester.customer.drivewealth_account_id;
        ensure_eq!(fixture.cloud.drivewealth().runs_of(account).len(), 1);
        ensure_eq!(targets(&fixture.account_of(tester)?), [3_000, 4_500, 2_500]);
    }
    Ok(())
}

/// Lets the account's runs stand still until they are stepped on.
async fn standing_run(fixture: &Fixture, investor: &Investor, cents: i64) -> Result<(i64, String)> {
    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.run_pace(None);
    let order = investor.tester.order_amount(investor.first, cents).await?;
    fixture
        .order_reaches(&investor.tester, order, "executing")
        .await?;
    let account = &investor.tester.customer.drivewealth_account_id;
    let run = eventually("there is a run", async || {
        drivewealth.runs_of(account).pop().context("there is no run")
    })
    .await?;
    Ok((order, run.id))
}

async fn change_of_cash_waits_for_the_run(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let tester = &investor.tester;
    let (order, _) = standing_run(&fixture, &investor, 100_000).await?;
    let pushed = targets(&fixture.account_of(tester)?);
    ensure_eq!(pushed, [3_000, 4_500, 2_500]);
    let flow = tester.deposit(100_000).await?.expect(201)?.number("id")?;
    tester.flow_reaches(flow, "success").await?;
    fixture.queue_reaches("portfolio-changes", 0).await?;
    ensure_eq!(
        targets(&fixture.account_of(tester)?),
        pushed,
        "the run's targets stay"
    );
    fixture
        .cloud
        .drivewealth()
        .run_pace(Some(Duration::from_millis(20)));
    fixture.order_reaches(tester, order, "complete").await?;
    eventually("the targets follow the cash", async || {
        fixture.work_on(tester).await?;
        let account = fixture.account_of(tester)?;
        let cash = account.cash_cents * 10_000 / account.equity_cents;
        anyhow::ensure!((account.cash_target - cash).abs() <= 1, "{account:?}");
        Ok(())
    })
    .await
}

async fn orders_wait_for_the_run_before(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let tester: &Tester = &investor.tester;
    let (first, run) = standing_run(&fixture, &investor, 300_000).await?;
    // What is being bought is spent already.
    let more = tester
        .reconfigure(
            investor.second,
            &json!({ "absolute_amount_delta_cents": 100_001 }),
        )
        .await?;
    more.expect_problem(409, "insufficient-funds")?;
    let second = tester.order_amount(investor.second, 100_000).await?;
    for _ in 0..3 {
        ensure_eq!(fixture.work_on(tester).await?, Vec::<usize>::new());
    }
    ensure_eq!(tester.order(second).await?["status"], "pending");
    let not_any_more = tester.cancel_order(investor.first, first).await?;
    not_any_more.expect_problem(409, "collection-version-not-pending")?;
    let third = tester.order_amount(investor.second, -100_000).await?;
    let cancelled = tester.cancel_order(investor.second, third).await?.expect(200)?;
    ensure_eq!(cancelled.body["status"], "cancelled");
    let account = &tester.customer.drivewealth_account_id;
    ensure_eq!(fixture.cloud.drivewealth().runs_of(account).len(), 1);
    ensure_eq!(fixture.cloud.drivewealth().step_run(&run)?.status, "REBALANCE_50");
    fixture
        .cloud
        .drivewealth()
        .run_pace(Some(Duration::from_millis(20)));
    for order in [first, second] {
        fixture.order_reaches(tester, order, "complete").await?;
    }
    ensure_eq!(fixture.cloud.drivewealth().runs_of(account).len(), 2);
    ensure_eq!(targets(&fixture.account_of(tester)?), [0, 6_500, 3_500]);
    Ok(())
}

async fn schedule_asks_about_runs(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let (order, _) = standing_run(&fixture, &investor, 100_000).await?;
    fixture
        .cloud
        .drivewealth()
        .run_pace(Some(Duration::from_millis(20)));
    let in_a_minute = fixture.cloud.now() + chrono::TimeDelta::minutes(1);
    let event = json!({ "scheduled_time": in_a_minute });
    eventually("the run has ended", async || {
        let account = &investor.tester.customer.drivewealth_account_id;
        let runs = fixture.cloud.drivewealth().runs_of(account);
        anyhow::ensure!(runs.iter().all(|run| run.status == "SUCCESS"), "{runs:?}");
        Ok(())
    })
    .await?;
    let report = fixture.run("poll_autopilot_runs", event.clone()).await?.payload;
    anyhow::ensure!(report["accounts"].as_i64() >= Some(1), "{report}");
    let again = fixture.run("poll_autopilot_runs", event).await?.payload;
    ensure_eq!(again["accounts"], 0, "it was just asked about");
    eventually("the order is complete", async || {
        let seen = investor.tester.order(order).await?;
        ensure_eq!(seen["status"], "complete");
        Ok(())
    })
    .await
}
