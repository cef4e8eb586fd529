//! When the broker fails, loses its answers, contradicts itself, or ends a run badly.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use end_to_end::collections::Investor;
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, eventually, scenarios};
use local_cloud::sandboxes::{Effect, Fault, PortfolioDefect};
use serde_json::{Value, json};

/// The review of a run without an end.
const OVERDUE: &str = "autopilot-run-overdue";

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(answers_that_are_lost_make_nothing_twice),
        alone(run_that_was_made_is_found_though_its_targets_would_be_refused_by_now),
        alone(retry_pushes_the_same_targets_whatever_the_account_is_worth_by_then),
        alone(runs_end_as_their_states_say),
        alone(account_with_an_error_of_its_own_is_looked_at),
        alone(figures_that_make_no_sense_are_not_used),
        alone(order_that_the_broker_refuses_fails_and_leaves_things_as_they_are),
        alone(symbol_that_is_not_traded_any_more_is_dropped),
        alone(run_without_an_end_is_reported_once),
        alone(overdue_run_ends_as_a_person_rules),
        alone(overdue_run_that_nothing_can_be_done_with_is_left_to_a_person),
    ]
}

/// The message that the order has sent is handled, or was tried often enough to be seen failing.
async fn settled(fixture: &Fixture, tester: &Tester, order: i64, status: &str) -> Result<Value> {
    fixture.order_reaches(tester, order, status).await
}

fn runs(fixture: &Fixture, investor: &Investor) -> usize {
    let account = &investor.tester.customer.drivewealth_account_id;
    fixture.cloud.drivewealth().runs_of(account).len()
}

async fn answers_that_are_lost_make_nothing_twice(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let drivewealth = fixture.cloud.drivewealth();
    let steps = [
        ("POST", "/managed/funds"),
        ("PATCH", "/managed/funds"),
        ("PATCH", "/managed/portfolios"),
        ("POST", "/managed/autopilot"),
    ];
    for (method, path) in steps {
        // Once: the call itself is repeated. Four times: the message comes again.
        for times in [1, 4] {
            let investor = fixture.investor().await?;
            let tester = &investor.tester;
            let new = fixture.collection(&[("AAPL", 6_000), ("MSFT", 4_000)]).await?;
            let lost = Effect::Reset { after_doing: true };
            drivewealth.fault(Fault::new(method, path, lost).times(times));
            let order = tester.order_amount(new, 50_000).await?;
            let done = settled(&fixture, tester, order, "complete").await;
            let done = done.with_context(|| format!("{method} {path}, lost {times} times"))?;
            drivewealth.clear_faults();
            ensure_eq!(done["actual_amount_cents"], 50_000, "{method} {path}");
            ensure_eq!(runs(&fixture, &investor), 1, "{method} {path}");
            let name = format!("{}_{new}", tester.customer.profile_id);
            ensure_eq!(drivewealth.funds_named(&name), 1, "{method} {path}");
        }
    }
    Ok(())
}

/// A symbol of the fund isn't traded any more when the message comes again, while the run is under way.
async fn run_that_was_made_is_found_though_its_targets_would_be_refused_by_now(
    fixture: Arc<Fixture>,
) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let tester = &investor.tester;
    let drivewealth = fixture.cloud.drivewealth();
    let lost = Effect::Reset { after_doing: true };
    drivewealth.fault(Fault::new("POST", "/managed/autopilot", lost).times(4));
    let funds = u32::try_from(fixture.account_of(tester)?.funds.len())?;
    for (path, first_attempt) in [("/managed/funds", funds), ("/managed/portfolios", 1)] {
        let taken = Effect::Slow {
            for_ms: 1,
            done_first: true,
        };
        let refused = Effect::Refuse {
            status: 400,
            error_code: "E032".to_owned(),
            message: "the instrument is inactive".to_owned(),
        };
        drivewealth.fault(Fault::new("PATCH", path, taken).times(first_attempt));
        drivewealth.fault(Fault::new("PATCH", path, refused).times(100));
    }
    let order = tester.order_amount(investor.first, 50_000).await?;
    let done = settled(&fixture, tester, order, "complete").await;
    drivewealth.clear_faults();
    ensure_eq!(done?["actual_amount_cents"], 50_000);
    ensure_eq!(runs(&fixture, &investor), 1);
    Ok(())
}

/// V20: the portfolio was pushed, then the function died.
async fn retry_pushes_the_same_targets_whatever_the_account_is_worth_by_then(
    fixture: Arc<Fixture>,
) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let tester = &investor.tester;
    let drivewealth = fixture.cloud.drivewealth();
    let refused = Effect::Gateway {
        status: 502,
        after_doing: false,
    };
    drivewealth.fault(Fault::new("POST", "/managed/autopilot", refused).times(100));
    let body = json!({ "relative_amount_delta_percent": -50 });
    let order = tester
        .reconfigure(investor.first, &body)
        .await?
        .expect(202)?
        .number("id")?;
    let targets = async || {
        let account = fixture.account_of(tester)?;
        Ok::<_, anyhow::Error>(account.funds.iter().map(|fund| fund.target).collect::<Vec<_>>())
    };
    eventually("the portfolio is pushed", async || {
        ensure_eq!(targets().await?, [1_750, 2_500]);
        Ok(())
    })
    .await?;
    // Half of half would be a quarter; and the price has moved.
    drivewealth.set_fund_value(&tester.customer.drivewealth_account_id, "First", 700_000)?;
    drivewealth.clear_faults();
    drivewealth.run_pace(None);
    settled(&fixture, tester, order, "executing").await?;
    eventually("the run is made", async || {
        fixture.work_on(tester).await?;
        ensure_eq!(runs(&fixture, &investor), 1);
        Ok(())
    })
    .await?;
    ensure_eq!(targets().await?, [1_750, 2_500]);
    drivewealth.run_pace(Some(Duration::from_millis(20)));
    let done = settled(&fixture, tester, order, "complete").await?;
    ensure_eq!(done["planned_amount_cents"], -175_000);
    Ok(())
}

/// V31.
async fn runs_end_as_their_states_say(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let drivewealth = fixture.cloud.drivewealth();
    let cases = [
        ("REBALANCE_NO_ORDERS_GENERATED", "complete", json!(0), Value::Null),
        (
            "REBALANCE_REVIEW_COMPLETED",
            "failed",
            Value::Null,
            json!("run-failed"),
        ),
        ("ALLOCATION_TIMEDOUT", "failed", Value::Null, json!("run-failed")),
        ("REBALANCE_ABORTED", "failed", Value::Null, json!("run-failed")),
    ];
    for (end, status, amount, code) in cases {
        let investor = fixture.investor().await?;
        drivewealth.runs_end_with(Some(end));
        let order = investor.tester.order_amount(investor.first, 100_000).await?;
        let order = settled(&fixture, &investor.tester, order, status).await;
        drivewealth.runs_end_with(None);
        let order = order.context(end)?;
        ensure_eq!(
            (&order["actual_amount_cents"], &order["failure_code"]),
            (&amount, &code),
            "{end}"
        );
        let kind = format!(
            "collection-version.{}",
            if status == "failed" { "failed" } else { "completed" }
        );
        let sql = "SELECT count(*) FROM outbox_messages WHERE kind = 'collection-version.failed' \
                   AND (payload -> 'data' ->> 'profile_id')::BIGINT = $1";
        let failed = fixture
            .database
            .count(sql, investor.tester.customer.profile_id)
            .await?;
        ensure_eq!(
            failed,
            if status == "failed" { 2 } else { 0 },
            "{kind} to the topic and the queue"
        );
        // Targets that were not reached don't stay, or the next run would trade for them.
        if status == "failed" {
            eventually("the targets are as things are", async || {
                fixture.work_on(&investor.tester).await?;
                ensure_eq!(fixture.account_of(&investor.tester)?.cash_target, 4_000, "{end}");
                Ok(())
            })
            .await?;
        }
    }
    let investor = fixture.investor().await?;
    drivewealth.runs_end_with(Some("FOO"));
    let order = investor.tester.order_amount(investor.first, 100_000).await?;
    settled(&fixture, &investor.tester, order, "executing").await?;
    eventually("the run is FOO", async || {
        let runs = drivewealth.runs_of(&investor.tester.customer.drivewealth_account_id);
        ensure_eq!(runs.first().map(|run| run.status.as_str()), Some("FOO"));
        Ok(())
    })
    .await?;
    drivewealth.runs_end_with(None);
    ensure_eq!(fixture.work_on(&investor.tester).await?, Vec::<usize>::new());
    ensure_eq!(
        investor.tester.order(order).await?["status"],
        "executing",
        "nothing follows from it"
    );
    Ok(())
}

async fn account_with_an_error_of_its_own_is_looked_at(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let account = investor.tester.customer.drivewealth_account_id.clone();
    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.fail_account(&account, true);
    let order = investor.tester.order_amount(investor.first, 100_000).await?;
    let order = settled(&fixture, &investor.tester, order, "failed").await;
    drivewealth.fail_account(&account, false);
    ensure_eq!(order?["failure_code"], "account-error");
    ensure_eq!(drivewealth.trades_of(&account).len(), 0);
    Ok(())
}

/// V26 to V30, from outside: the domain's own tests have the figures.
async fn figures_that_make_no_sense_are_not_used(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let drivewealth = fixture.cloud.drivewealth();
    let investor = fixture.investor().await?;
    let tester = &investor.tester;
    let account = tester.customer.drivewealth_account_id.clone();
    let path = format!("/accounts/{account}/portfolio");
    let nonsense = |times| {
        let defect = PortfolioDefect::Negative;
        Fault::new("GET", &path, Effect::InvalidPortfolio { defect }).times(times)
    };
    // Nothing is kept yet.
    drivewealth.fault(nonsense(1));
    let refused = tester
        .reconfigure(investor.first, &json!({ "absolute_amount_delta_cents": 1_000 }))
        .await?;
    refused.expect(503)?;
    // The newest valid one serves while it is less than an hour old.
    tester.holdings(investor.first).await?;
    let age = "UPDATE drivewealth_portfolios SET as_of = as_of - make_interval(mins => 50) \
               WHERE drivewealth_account_id = (SELECT ref_id FROM drivewealth_accounts WHERE trading_account_id = $1)";
    fixture
        .database
        .change(age, tester.customer.trading_account_id)
        .await?;
    drivewealth.fault(nonsense(1));
    let holdings = tester.holdings(investor.first).await?;
    ensure_eq!(holdings["amount_cents"], 350_000);
    fixture
        .database
        .change(age, tester.customer.trading_account_id)
        .await?;
    drivewealth.fault(nonsense(1));
    let stale = tester
        .api
        .get(&format!("/trading/collections/{}/holdings", investor.first))
        .await?;
    stale.expect(503)?;
    // Nor does one whose cash isn't the account's.
    tester.holdings(investor.first).await?;
    drivewealth.set_cash(&account, 500_000, 500_000)?;
    drivewealth.fault(nonsense(1));
    let other = tester
        .api
        .get(&format!("/trading/collections/{}/holdings", investor.first))
        .await?;
    other.expect(503)?;
    Ok(())
}

async fn order_that_the_broker_refuses_fails_and_leaves_things_as_they_are(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let drivewealth = fixture.cloud.drivewealth();
    let refused = Effect::Refuse {
        status: 400,
        error_code: "E032".to_owned(),
        message: "no".to_owned(),
    };
    drivewealth.fault(Fault::new("POST", "/managed/autopilot", refused));
    let order = investor.tester.order_amount(investor.first, 100_000).await?;
    let order = settled(&fixture, &investor.tester, order, "failed").await?;
    ensure_eq!(order["failure_code"], "refused-by-broker");
    eventually("the targets are as things are", async || {
        fixture.work_on(&investor.tester).await?;
        ensure_eq!(fixture.account_of(&investor.tester)?.cash_target, 4_000);
        Ok(())
    })
    .await?;
    ensure_eq!(runs(&fixture, &investor), 0);
    Ok(())
}

async fn symbol_that_is_not_traded_any_more_is_dropped(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let tester = &investor.tester;
    let drivewealth = fixture.cloud.drivewealth();
    let new = fixture.collection(&[("TSLA", 5_000), ("GOOGL", 5_000)]).await?;
    let untraded = |symbols: &[&str], status: &str| {
        for symbol in symbols {
            drivewealth.set_instrument_status(symbol, status);
        }
    };
    untraded(&["TSLA"], "INACTIVE");
    fixture.run("refresh_instruments", json!({})).await?;
    let order = tester.order_amount(new, 100_000).await?;
    let done = settled(&fixture, tester, order, "complete").await?;
    ensure_eq!(done["weights"], json!([{ "symbol": "GOOGL", "weight": "1" }]));
    untraded(&["GOOGL"], "INACTIVE");
    fixture.run("refresh_instruments", json!({})).await?;
    let buy = tester.order_amount(new, 10_000).await?;
    let failed = settled(&fixture, tester, buy, "failed").await?;
    ensure_eq!(failed["failure_code"], "nothing-tradable");
    let sale = tester.order_amount(new, -50_000).await?;
    settled(&fixture, tester, sale, "complete").await?;
    untraded(&["TSLA", "GOOGL"], "ACTIVE");
    fixture.run("refresh_instruments", json!({})).await?;
    Ok(())
}

async fn run_without_an_end_is_reported_once(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let order = overdue(&fixture, &investor).await?;
    ensure_eq!(overdue_runs(&fixture, &investor).await?, 1);
    let subject = subject_of(&fixture, &investor).await?;
    let review = fixture.review_reaches(OVERDUE, &subject, "open").await?;
    ensure_eq!(review["seen"], json!(1));
    fixture
        .cloud
        .drivewealth()
        .run_pace(Some(Duration::from_millis(20)));
    settled(&fixture, &investor.tester, order, "complete").await?;
    let review = fixture.review_reaches(OVERDUE, &subject, "applied").await?;
    ensure!(
        review["decided_by"].is_null(),
        "it was settled by itself: {review}"
    );
    Ok(())
}

/// What the review of the investor's run is about.
async fn subject_of(fixture: &Fixture, investor: &Investor) -> Result<String> {
    let sql = "SELECT max(run.id) FROM drivewealth_autopilot_runs AS run JOIN drivewealth_accounts AS account \
               ON account.ref_id = run.drivewealth_account_id WHERE trading_account_id = $1";
    let run = fixture
        .database
        .count(sql, investor.tester.customer.trading_account_id)
        .await?;
    Ok(format!("autopilot-run-{run}"))
}

/// An operator has found out at the broker what became of a run of which we hear no end.
async fn overdue_run_ends_as_a_person_rules(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    for (action, status, code, traded) in [
        ("end-as-traded", "complete", Value::Null, json!(100_000)),
        ("end-as-failed", "failed", json!("run-failed"), Value::Null),
    ] {
        let investor = fixture.investor().await?;
        let order = overdue(&fixture, &investor).await?;
        if !traded.is_null() {
            until_traded(&fixture, &investor)?;
        }
        let subject = subject_of(&fixture, &investor).await?;
        let review = fixture.review_reaches(OVERDUE, &subject, "open").await?;
        fixture
            .decide("ada", &review, action, json!({}))
            .await?
            .expect(202)?;
        fixture.review_reaches(OVERDUE, &subject, "applied").await?;
        let ended = settled(&fixture, &investor.tester, order, status).await?;
        ensure_eq!(ended["failure_code"], code, "{action}: {ended}");
        ensure_eq!(ended["actual_amount_cents"], traded, "{action}: {ended}");
        // The account is worked on again.
        fixture
            .cloud
            .drivewealth()
            .run_pace(Some(Duration::from_millis(20)));
        let next = investor.tester.order_amount(investor.second, 50_000).await?;
        settled(&fixture, &investor.tester, next, "complete").await?;
    }
    Ok(())
}

/// Lets the investor's run trade, and no further.
fn until_traded(fixture: &Fixture, investor: &Investor) -> Result {
    let drivewealth = fixture.cloud.drivewealth();
    let account = &investor.tester.customer.drivewealth_account_id;
    let run = drivewealth
        .runs_of(account)
        .into_iter()
        .next()
        .context("no run")?;
    while drivewealth.trades_of(account).is_empty() {
        drivewealth.step_run(&run.id)?;
    }
    Ok(())
}

/// It can't be made, isn't told of, or has ended and the account's cash can't be read.
async fn overdue_run_that_nothing_can_be_done_with_is_left_to_a_person(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let drivewealth = fixture.cloud.drivewealth();
    let down = Effect::Gateway {
        status: 502,
        after_doing: false,
    };
    let refused = Effect::Refuse {
        status: 400,
        error_code: "E032".to_owned(),
        message: "no".to_owned(),
    };
    let cases = [
        ("POST", "/managed/autopilot", down),
        ("GET", "/managed/autopilot", refused.clone()),
        ("GET", "/accounts/*/summary/money", refused),
    ];
    for (method, path, effect) in cases {
        let investor = fixture.investor().await?;
        let fault = Fault::new(method, path, effect).times(10_000);
        let order = match method {
            "POST" => {
                drivewealth.fault(fault);
                let order = investor.tester.order_amount(investor.first, 100_000).await?;
                settled(&fixture, &investor.tester, order, "executing").await?;
                order
            }
            _ => {
                let order = standing(&fixture, &investor).await?;
                drivewealth.fault(fault);
                order
            }
        };
        drivewealth.run_pace(Some(Duration::from_millis(20)));
        age(&fixture, &investor).await?;
        eventually("the run is left to a person", async || {
            fixture.work_on(&investor.tester).await?;
            ensure_eq!(overdue_runs(&fixture, &investor).await?, 1, "{method} {path}");
            Ok(())
        })
        .await?;
        let subject = subject_of(&fixture, &investor).await?;
        let review = fixture.review_reaches(OVERDUE, &subject, "open").await?;
        fixture
            .decide("ada", &review, "end-as-failed", json!({}))
            .await?
            .expect(202)?;
        let ended = settled(&fixture, &investor.tester, order, "failed").await;
        drivewealth.clear_faults();
        let ended = ended.with_context(|| format!("{method} {path}"))?;
        ensure_eq!(ended["failure_code"], "run-failed", "{method} {path}");
    }
    Ok(())
}

async fn overdue_runs(fixture: &Fixture, investor: &Investor) -> Result<i64> {
    let sql = "SELECT count(*) FROM drivewealth_autopilot_runs WHERE overdue_at IS NOT NULL AND drivewealth_account_id = \
               (SELECT ref_id FROM drivewealth_accounts WHERE trading_account_id = $1)";
    let account = investor.tester.customer.trading_account_id;
    fixture.database.count(sql, account).await
}

/// An order whose run stands still, and has no end for a day.
async fn overdue(fixture: &Fixture, investor: &Investor) -> Result<i64> {
    let order = standing(fixture, investor).await?;
    age(fixture, investor).await?;
    for _ in 0..2 {
        ensure_eq!(fixture.work_on(&investor.tester).await?, Vec::<usize>::new());
    }
    Ok(order)
}

/// An order whose run stands still.
async fn standing(fixture: &Fixture, investor: &Investor) -> Result<i64> {
    fixture.cloud.drivewealth().run_pace(None);
    let order = investor.tester.order_amount(investor.first, 100_000).await?;
    settled(fixture, &investor.tester, order, "executing").await?;
    eventually("the run is open", async || {
        fixture.work_on(&investor.tester).await?;
        ensure_eq!(runs(fixture, investor), 1);
        Ok(())
    })
    .await?;
    Ok(order)
}

/// The investor's run began a day ago.
async fn age(fixture: &Fixture, investor: &Investor) -> Result {
    let old = "UPDATE drivewealth_autopilot_runs SET created_at = created_at - make_interval(hours => 24) \
               WHERE drivewealth_account_id = (SELECT ref_id FROM drivewealth_accounts WHERE trading_account_id = $1)";
    let account = investor.tester.customer.trading_account_id;
    fixture.database.change(old, account).await?;
    Ok(())
}
