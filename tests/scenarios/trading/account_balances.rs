//! Every account's worth, once per New York day: as the schedule and its queue take it, twice, late, and while the broker
//! fails for one of them.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::market::MarketCalendar;
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, eventually, is_soak, scenarios};
use local_cloud::sandboxes::drivewealth::SeedAccount;
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::{Value, json};
use uuid::Uuid;

const JOB: &str = "update_account_balances";
const CONSUMER: &str = "update_account_balance";
const QUEUE: &str = "account-balances";
const DEAD: &str = "account-balances-dead";
const GRACE_PERIOD: &str = "BALANCE_PATIENCE_HOURS";
/// Accounts that are fanned out at once.
const MANY: i64 = 1_000;

pub(crate) fn scenarios() -> Vec<Scenario> {
    // Each run takes the balance of everybody, so that the scenarios with one run alone.
    scenarios![
        alone(account_has_one_balance_a_day_however_often_it_is_recorded),
        alone(business_day_begins_and_ends_in_new_york),
        alone(account_that_the_broker_fails_for_stops_no_other),
        alone(account_that_is_not_open_has_no_balance),
        alone(thousand_accounts_are_found_by_one_statement),
        newer_of_two_balances_is_kept,
        message_that_is_too_late_is_dropped_and_counted,
        day_that_has_not_begun_has_no_balance,
        figures_that_are_impossible_are_refused,
        alone(cash_that_moves_during_the_request_is_requested_again),
        views_for_commissions_show_what_they_count_by,
    ]
}

/// A balance as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct Row {
    business_date: NaiveDate,
    equity_cents: i64,
    cash_cents: i64,
    currency: String,
    as_of: DateTime<Utc>,
}

async fn balances(fixture: &Fixture, tester: &Tester) -> Result<Vec<Row>> {
    let sql = "SELECT business_date, equity_cents, cash_cents, currency, as_of FROM trading_account_balances \
               WHERE trading_account_id = $1 ORDER BY business_date";
    let rows = sqlx::query_as(sql).bind(tester.customer.trading_account_id);
    Ok(rows.fetch_all(fixture.database.pool()).await?)
}

/// The account's only balance.
async fn balance(fixture: &Fixture, tester: &Tester) -> Result<Row> {
    let rows = balances(fixture, tester).await?;
    match rows.as_slice() {
        [row] => Ok(row.clone()),
        _ => anyhow::bail!("the balances are {rows:?}"),
    }
}

fn today() -> NaiveDate {
    MarketCalendar::business_date(Utc::now())
}

fn due(tester: &Tester, business_date: NaiveDate) -> Value {
    json!({ "trading_account_id": tester.customer.trading_account_id, "business_date": business_date })
}

/// Records an account's balance of a day through a message of its own; gives whether that worked.
async fn record_balance(fixture: &Fixture, tester: &Tester, business_date: NaiveDate) -> Result<bool> {
    let failed = fixture.deliver(CONSUMER, &[due(tester, business_date)]).await?;
    Ok(failed.is_empty())
}

/// Runs the schedule at a time, or now, and waits until everything that it sent is done.
async fn run(fixture: &Fixture, scheduled_time: Option<&str>) -> Result<Value> {
    let input = scheduled_time.map(|time| json!({ "scheduled_time": time }));
    let result = fixture.cloud.run_schedule(JOB, input).await?;
    ensure!(result.function_error.is_none(), "{}", result.payload);
    fixture.queue_reaches(QUEUE, 0).await?;
    Ok(result.payload)
}

fn set_cash(fixture: &Fixture, tester: &Tester, cents: i64) -> Result {
    let id = &tester.customer.drivewealth_account_id;
    fixture.cloud.drivewealth().set_cash(id, cents, cents)
}

/// How often a function has counted something.
fn counted(fixture: &Fixture, metric: &str) -> usize {
    let lines = fixture.cloud.logs(CONSUMER);
    let name = format!("\"Name\":\"{metric}\"");
    lines.iter().filter(|line| line.contains(&name)).count()
}

async fn account_has_one_balance_a_day_however_often_it_is_recorded(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (fixture.customer().await?, fixture.customer().await?);
    set_cash(&fixture, &other, 12_345)?;
    let before = today();
    let report = run(&fixture, None).await?;
    ensure!(
        [before, today()]
            .map(|date| json!(date))
            .contains(&report["business_date"]),
        "{report}"
    );
    let first = balance(&fixture, &tester).await?;
    // $1,000.00 in cash and $4,000.00 in two funds.
    ensure_eq!((first.equity_cents, first.cash_cents), (500_000, 100_000));
    ensure_eq!(first.currency, "USD");
    ensure_eq!(balance(&fixture, &other).await?.equity_cents, 412_345);
    ensure_eq!(report["business_date"], json!(first.business_date));
    set_cash(&fixture, &tester, 70_000)?;
    // The same day once more, by a time that is on it in New York as well: two runs at once, and one message by itself.
    let again = json!({ "scheduled_time": format!("{}T12:00:00Z", first.business_date) });
    let runs = [fixture.run(JOB, again.clone()), fixture.run(JOB, again)];
    futures::future::try_join_all(runs).await?;
    fixture.queue_reaches(QUEUE, 0).await?;
    ensure!(
        record_balance(&fixture, &tester, first.business_date).await?,
        "it failed"
    );
    let second = balance(&fixture, &tester).await?;
    ensure_eq!((second.equity_cents, second.cash_cents), (470_000, 70_000));
    ensure!(second.as_of > first.as_of, "{first:?} {second:?}");
    ensure_eq!(fixture.held_by(DEAD).await?, 0);

    // The app shows it too.
    let profile = tester.profile().await?;
    ensure_eq!(
        (&profile["equity_cents"], &profile["cash_cents"]),
        (&json!(470_000), &json!(70_000)),
    );
    Ok(())
}

/// The clocks went forward on 9 March 2025 and back on 2 November.
async fn business_day_begins_and_ends_in_new_york(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    // The days are long past: here the consumer waits for longer.
    fixture
        .cloud
        .set_function_environment(CONSUMER, GRACE_PERIOD, "1000000")?;
    let mut seen = BTreeSet::new();
    let outcome: Result = async {
        for (scheduled_time, date) in [
            ("2025-03-08T22:00:00Z", "2025-03-08"),
            ("2025-03-09T21:00:00Z", "2025-03-09"),
            ("2025-03-10T03:59:59Z", "2025-03-09"),
            ("2025-03-10T04:00:00Z", "2025-03-10"),
            ("2025-11-01T21:00:00Z", "2025-11-01"),
            ("2025-11-02T22:00:00Z", "2025-11-02"),
            ("2025-11-03T04:59:59Z", "2025-11-02"),
            ("2025-11-03T05:00:00Z", "2025-11-03"),
        ] {
            let report = run(&fixture, Some(scheduled_time)).await?;
            ensure_eq!(report["business_date"], json!(date), "{scheduled_time}");
            seen.insert(date.parse()?);
            let dates = balances(&fixture, &tester).await?;
            let dates: BTreeSet<NaiveDate> = dates.iter().map(|row| row.business_date).collect();
            ensure_eq!(dates, seen, "{scheduled_time}");
        }
        Ok(())
    }
    .await;
    fixture
        .cloud
        .set_function_environment(CONSUMER, GRACE_PERIOD, "24")?;
    outcome
}

async fn account_that_the_broker_fails_for_stops_no_other(fixture: Arc<Fixture>) -> Result {
    let (broken, sound) = (fixture.customer().await?, fixture.customer().await?);
    let refuse = Effect::Refuse {
        status: 400,
        error_code: "E030".to_owned(),
        message: "account not found".to_owned(),
    };
    let path = format!(
        "/accounts/{}/summary/positions",
        broken.customer.drivewealth_account_id
    );
    let fault = Fault::new("GET", &path, refuse);
    fixture.cloud.drivewealth().fault(fault.clone().times(2));
    run(&fixture, None).await?;
    for tester in [&broken, &sound] {
        ensure_eq!(balance(&fixture, tester).await?.equity_cents, 500_000);
    }

    // For longer than a message lives: it waits for a person, who sends it back.
    let (broken, sound) = (fixture.customer().await?, fixture.customer().await?);
    let path = format!(
        "/accounts/{}/summary/positions",
        broken.customer.drivewealth_account_id
    );
    fixture
        .cloud
        .drivewealth()
        .fault(Fault { path, ..fault }.times(1_000));
    run(&fixture, None).await?;
    fixture.queue_reaches(DEAD, 1).await?;
    ensure_eq!(balance(&fixture, &sound).await?.equity_cents, 500_000);
    ensure_eq!(balances(&fixture, &broken).await?, []);
    fixture.cloud.drivewealth().clear_faults();
    ensure_eq!(fixture.cloud.redrive(DEAD).await?, 1);
    eventually("the balance is taken", async || {
        ensure_eq!(balance(&fixture, &broken).await?.equity_cents, 500_000);
        Ok(())
    })
    .await
}

async fn account_that_is_not_open_has_no_balance(fixture: Arc<Fixture>) -> Result {
    let set = "UPDATE drivewealth_accounts SET status = split_part($1, ' ', 2) \
               WHERE trading_account_id = split_part($1, ' ', 1)::BIGINT";
    let mut testers = Vec::new();
    for (status, has_balance) in [
        ("open", true),
        ("open_no_new_trades", true),
        ("frozen", true),
        ("SOMETHING_NEW", true),
        ("pending", false),
        ("closed", false),
    ] {
        let tester = fixture.customer().await?;
        let statement = sqlx::query(set).bind(format!("{} {status}", tester.customer.trading_account_id));
        statement.execute(fixture.database.pool()).await?;
        testers.push((tester, status, has_balance));
    }
    run(&fixture, None).await?;
    for (tester, status, has_balance) in &testers {
        ensure_eq!(
            balances(&fixture, tester).await?.is_empty(),
            !has_balance,
            "{status}"
        );
        // A message that is older than the account's state finds the same.
        ensure!(record_balance(&fixture, tester, today()).await?, "{status}");
        ensure_eq!(
            balances(&fixture, tester).await?.is_empty(),
            !has_balance,
            "{status}"
        );
    }
    Ok(())
}

async fn thousand_accounts_are_found_by_one_statement(fixture: Arc<Fixture>) -> Result {
    let prefix = Uuid::new_v4().simple().to_string();
    let rows = "WITH profile AS (INSERT INTO profiles (email) \
                    SELECT $1 || '-' || n || '@example.com' FROM generate_series(1, $2) AS n RETURNING id), \
                account AS (INSERT INTO trading_accounts (profile_id, name, opened_at) \
                    SELECT id, 'Autopilot', now() FROM profile RETURNING id, profile_id), \
                broker_user AS (INSERT INTO drivewealth_users (ref_id, profile_id, status) \
                    SELECT $1 || '-user-' || id, id, 'APPROVED' FROM profile RETURNING ref_id, profile_id) \
                INSERT INTO drivewealth_accounts \
                    (ref_id, drivewealth_user_id, trading_account_id, account_no, status, status_updated_at) \
                SELECT $1 || '.' || account.id, broker_user.ref_id, account.id, $1 || account.id, 'open', now() \
                FROM account JOIN broker_user USING (profile_id) RETURNING ref_id";
    let ids: Vec<String> = sqlx::query_scalar(rows)
        .bind(&prefix)
        .bind(MANY)
        .fetch_all(fixture.database.pool())
        .await?;
    for (number, id) in ids.iter().enumerate() {
        fixture.cloud.drivewealth().seed_account(SeedAccount {
            user_id: format!("user of {id}"),
            account_id: id.clone(),
            account_no: format!("MANY{number:06}"),
            cash_cents: i64::try_from(number)?,
            bank_account_id: format!("bank of {id}"),
            funds: Vec::new(),
        })?;
    }
    let all =
        "SELECT count(*) FROM drivewealth_accounts WHERE status NOT IN ('pending', 'closed') AND $1 > 0";
    let all = fixture.database.count(all, MANY).await?;
    fixture.cloud.pause_event_source(QUEUE, true).await?;
    let sent = fixture.run(JOB, json!({})).await?.payload;
    let held = fixture.held_by(QUEUE).await?;
    // That all have been found is what counts; in a usual run the balances of a fifth are a sample of theirs.
    let taken_of = if is_soak() { MANY } else { MANY / 5 };
    if !is_soak() {
        only_these(&fixture, ids.iter().take(usize::try_from(taken_of)?)).await?;
    }
    fixture.cloud.pause_event_source(QUEUE, false).await?;
    ensure_eq!((&sent["accounts"], &sent["pages"]), (&json!(all), &json!(1)));
    ensure_eq!(held, u64::try_from(all)?);
    let taken = "SELECT count(*), sum(equity_cents)::BIGINT FROM trading_account_balances \
                 JOIN drivewealth_accounts USING (trading_account_id) WHERE ref_id LIKE $1 || '.%'";
    eventually("every account has its balance", async || {
        let seen: (i64, Option<i64>) = sqlx::query_as(taken)
            .bind(&prefix)
            .fetch_one(fixture.database.pool())
            .await?;
        ensure_eq!(seen, (taken_of, Some(taken_of * (taken_of - 1) / 2)));
        Ok(())
    })
    .await?;
    // They have nothing to do with the scenarios that follow.
    let close = "UPDATE drivewealth_accounts SET status = 'closed' WHERE ref_id LIKE $1 || '.%'";
    let closing = sqlx::query(close).bind(&prefix);
    closing.execute(fixture.database.pool()).await?;
    Ok(())
}

/// Leaves the messages of these accounts in the queue, by their ids at the broker, and no others.
async fn only_these(fixture: &Fixture, ids: impl Iterator<Item = &String>) -> Result {
    let url = fixture.cloud.queue_url(QUEUE)?;
    fixture.cloud.sqs().purge_queue().queue_url(url).send().await?;
    fixture.queue_reaches(QUEUE, 0).await?;
    for id in ids {
        let (_, account) = id.split_once('.').context("no account's id")?;
        let account: i64 = account.parse()?;
        let due = json!({ "trading_account_id": account, "business_date": today() });
        fixture.send(QUEUE, &due.to_string()).await?;
    }
    Ok(())
}

async fn newer_of_two_balances_is_kept(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let date = today();
    ensure!(record_balance(&fixture, &tester, date).await?, "it failed");
    let newer = "UPDATE trading_account_balances SET as_of = now() + interval '1 hour', equity_cents = 1 \
                 WHERE trading_account_id = $1";
    let account = tester.customer.trading_account_id;
    ensure_eq!(fixture.database.change(newer, account).await?, 1);
    ensure!(record_balance(&fixture, &tester, date).await?, "it failed");
    ensure_eq!(balance(&fixture, &tester).await?.equity_cents, 1);
    let older =
        "UPDATE trading_account_balances SET as_of = now() - interval '1 hour' WHERE trading_account_id = $1";
    ensure_eq!(fixture.database.change(older, account).await?, 1);
    let copies = vec![due(&tester, date); 3];
    ensure_eq!(fixture.deliver(CONSUMER, &copies).await?, Vec::<usize>::new());
    ensure_eq!(balance(&fixture, &tester).await?.equity_cents, 500_000);
    Ok(())
}

async fn message_that_is_too_late_is_dropped_and_counted(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let before = counted(&fixture, "MissedBalances");
    let past = today().checked_sub_days(Days::new(2)).context("no such day")?;
    ensure!(
        record_balance(&fixture, &tester, past).await?,
        "it is not dropped"
    );
    ensure_eq!(balances(&fixture, &tester).await?, []);
    eventually("the missed balance is counted", async || {
        ensure!(counted(&fixture, "MissedBalances") > before, "it is not");
        Ok(())
    })
    .await
}

async fn day_that_has_not_begun_has_no_balance(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let ahead = today().checked_add_days(Days::new(2)).context("no such day")?;
    ensure!(!record_balance(&fixture, &tester, ahead).await?, "it is taken");
    ensure_eq!(balances(&fixture, &tester).await?, []);
    let input = json!({ "scheduled_time": format!("{ahead}T22:00:00Z") });
    let result = fixture.cloud.invoke(JOB, input).await?;
    ensure!(result.function_error.is_some(), "{}", result.payload);
    ensure!(
        result.payload.to_string().contains("business-date-ahead"),
        "{}",
        result.payload
    );
    // Nor does a misspelt input mean now.
    let result = fixture
        .cloud
        .invoke(JOB, json!({ "business_date": "2025-03-08" }))
        .await?;
    ensure!(result.function_error.is_some(), "{}", result.payload);
    Ok(())
}

async fn figures_that_are_impossible_are_refused(fixture: Arc<Fixture>) -> Result {
    let (poor, foreign) = (fixture.customer().await?, fixture.customer().await?);
    let before = counted(&fixture, "InvalidBalances");
    set_cash(&fixture, &poor, -400_001)?;
    let in_euros = "UPDATE trading_accounts SET currency = 'EUR' WHERE id = $1";
    let account = foreign.customer.trading_account_id;
    ensure_eq!(fixture.database.change(in_euros, account).await?, 1);
    for tester in [&poor, &foreign] {
        ensure!(!record_balance(&fixture, tester, today()).await?, "it is taken");
        ensure_eq!(balances(&fixture, tester).await?, []);
    }
    eventually("the refusals are counted", async || {
        ensure!(counted(&fixture, "InvalidBalances") >= before + 2, "they are not");
        Ok(())
    })
    .await?;
    // Debt that the funds make up for is a balance.
    set_cash(&fixture, &poor, -400_000)?;
    ensure!(record_balance(&fixture, &poor, today()).await?, "it failed");
    let row = balance(&fixture, &poor).await?;
    ensure_eq!((row.equity_cents, row.cash_cents), (0, -400_000));
    // It has no more part in the runs of other scenarios than one whose currency is right.
    let in_dollars = "UPDATE trading_accounts SET currency = 'USD' WHERE id = $1";
    ensure_eq!(fixture.database.change(in_dollars, account).await?, 1);
    Ok(())
}

async fn cash_that_moves_during_the_request_is_requested_again(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let path = format!(
        "/accounts/{}/summary/positions",
        tester.customer.drivewealth_account_id
    );
    let hang = Effect::Hang {
        for_ms: 1_000,
        after_doing: false,
    };
    fixture.cloud.drivewealth().fault(Fault::new("GET", &path, hang));
    let date = today();
    let buys = async {
        eventually("the positions are asked for", async || {
            let calls = fixture.cloud.drivewealth().calls();
            ensure!(calls.iter().any(|call| call.path == path), "not yet");
            Ok(())
        })
        .await?;
        set_cash(&fixture, &tester, 60_000)
    };
    let (taken, bought) = futures::future::join(record_balance(&fixture, &tester, date), buys).await;
    bought?;
    ensure!(!taken?, "figures of different times are taken");
    ensure_eq!(balances(&fixture, &tester).await?, []);
    ensure!(record_balance(&fixture, &tester, date).await?, "it failed");
    ensure_eq!(balance(&fixture, &tester).await?.equity_cents, 460_000);
    Ok(())
}

async fn views_for_commissions_show_what_they_count_by(fixture: Arc<Fixture>) -> Result {
    let (tester, applied_for) = (fixture.customer().await?, fixture.customer().await?);
    let account = tester.customer.trading_account_id;
    // Still the day before in New York.
    let opened = "UPDATE trading_accounts SET opened_at = '2025-03-10T03:30:00Z' WHERE id = $1";
    ensure_eq!(fixture.database.change(opened, account).await?, 1);
    let not_opened = "UPDATE trading_accounts SET opened_at = NULL WHERE id = $1";
    let never = applied_for.customer.trading_account_id;
    ensure_eq!(fixture.database.change(not_opened, never).await?, 1);
    let billable =
        "SELECT profile_id, currency, opened_on FROM billable_accounts WHERE trading_account_id = $1";
    let seen = |account: i64| {
        sqlx::query_as::<_, (i64, String, NaiveDate)>(billable)
            .bind(account)
            .fetch_optional(fixture.database.pool())
    };
    ensure_eq!(
        seen(account).await?,
        Some((
            tester.customer.profile_id,
            "USD".to_owned(),
            "2025-03-09".parse()?
        ))
    );
    ensure_eq!(seen(never).await?, None);

    let date = today();
    ensure!(record_balance(&fixture, &tester, date).await?, "it failed");
    let equity = "SELECT business_date, equity_cents FROM daily_account_equity WHERE trading_account_id = $1";
    let equity: Vec<(NaiveDate, i64)> = sqlx::query_as(equity)
        .bind(account)
        .fetch_all(fixture.database.pool())
        .await?;
    ensure_eq!(equity, [(date, 500_000)]);
    Ok(())
}
