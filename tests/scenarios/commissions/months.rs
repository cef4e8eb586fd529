//! Months that pass: the local cloud's clock is moved, and everything happens on its day. It has a local cloud of its own.

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Utc};
use domain::market::MarketCalendar;
use end_to_end::billing::{DECLINES_LATER, VISA};
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, eventually, scenarios};
use local_cloud::{ClockMove, ClockMoved};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(clock_moves_tokens_functions_and_sandboxes_together),
        alone(clock_goes_back_only_to_the_machines_time),
        alone(two_months_pass_with_invoice_decline_retries_suspension_and_another_card),
    ]
}

/// The schedules that commissions live on.
const DAILY: [&str; 3] = ["update_account_balances", "create_invoices", "pay_invoices"];

/// The same customer with a token of the present time.
fn at_this_time(fixture: &Fixture, tester: &Tester) -> Result<Tester> {
    let api = fixture.api(Some(json!({ "profile_id": tester.customer.profile_id })))?;
    Ok(Tester {
        api,
        ..tester.clone()
    })
}

async fn clock_moves_tokens_functions_and_sandboxes_together(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    tester.profile().await?;
    let before = fixture.cloud.now();
    let moved = fixture.cloud.move_clock(&ClockMove::by("P40D")).await?;
    ensure!(
        moved.runs.is_empty(),
        "schedules ran though nobody asked for them: {moved:?}"
    );
    let now = fixture.cloud.now();
    ensure!(
        (now - before - TimeDelta::days(40)).abs() < TimeDelta::minutes(1),
        "it shows {now}"
    );
    // The authorizer: a token of before has expired, one that is made now is good.
    tester.api.get("/trading/profile").await?.expect(401)?;
    let tester = at_this_time(&fixture, &tester)?;
    let is_now = |time: &Value| {
        let time: DateTime<Utc> = serde_json::from_value(time.clone())?;
        ensure!(
            (time - now).abs() < TimeDelta::minutes(5),
            "{time} instead of {now}"
        );
        anyhow::Ok(())
    };
    // A function, and a broker whose sessions and payments are of the same time.
    let deposit = tester.deposit(5_000).await?.expect(201)?;
    is_now(&deposit.body["created_at"])?;
    tester.flow_reaches(deposit.number("id")?, "success").await?;
    let at_broker = fixture.deposits_of(&tester).pop().context("no deposit")?;
    is_now(&json!(at_broker.created))?;
    // Stripe, whose signatures have a time that the webhook holds against its own.
    tester.save_card(&fixture, VISA).await?;
    fixture.cloud.stripe().webhooks_settled().await;
    let deliveries = fixture.cloud.stripe().webhook_deliveries();
    ensure!(
        !deliveries.is_empty() && deliveries.iter().all(|delivery| delivery.status == Some(200)),
        "{deliveries:?}"
    );
    is_now(&json!(deliveries.last().context("no webhook")?.at))?;
    is_now(&tester.methods().await?[0]["created_at"])?;
    // Firebase, where a function signs in with a time of its own, and the bank's rates.
    eventually("the deposit is pushed", async || {
        let pushed = fixture
            .cloud
            .firebase()
            .messages_to(&tester.customer.device_token);
        is_now(&json!(pushed.last().context("no push")?.at))
    })
    .await?;
    let days = (now.date_naive() - fixture.cloud.ecb().date()).num_days();
    ensure!((0..=3).contains(&days), "rates of {days} days ago");
    Ok(())
}

async fn clock_goes_back_only_to_the_machines_time(fixture: Arc<Fixture>) -> Result {
    let forward = ClockMove::by("P40D");
    fixture.cloud.move_clock(&forward).await?;
    let now = fixture.cloud.now();
    let back = ClockMove::to(now - TimeDelta::days(1));
    let refusal = fixture
        .cloud
        .move_clock(&back)
        .await
        .err()
        .context("it went back")?;
    ensure!(refusal.to_string().contains("forward only"), "{refusal}");
    let unknown = ClockMove::by("P1D").running(&["deposit_funds"]);
    let refusal = fixture
        .cloud
        .move_clock(&unknown)
        .await
        .err()
        .context("it has no schedule")?;
    ensure!(
        refusal.to_string().contains("deposit_funds has no schedule"),
        "{refusal}"
    );
    ensure!(
        fixture.cloud.now() - now < TimeDelta::minutes(1),
        "a refused move has moved it"
    );
    // What was made later is still there, and of then.
    let tester = fixture.customer().await?;
    let deposit = tester.deposit(5_000).await?.expect(201)?;
    let reset = ClockMove {
        reset: true,
        ..ClockMove::default()
    };
    let moved = fixture.cloud.move_clock(&reset).await?;
    ensure_eq!(moved.clock.ahead_seconds, 0);
    tester.api.get("/trading/profile").await?.expect(401)?;
    let tester = at_this_time(&fixture, &tester)?;
    let flow = tester.flow_reaches(deposit.number("id")?, "success").await?;
    let created: DateTime<Utc> = serde_json::from_value(flow["created_at"].clone())?;
    ensure!(created > Utc::now() + TimeDelta::days(30), "{created}");
    Ok(())
}

/// The first of the month after a time.
fn next_month(now: DateTime<Utc>) -> Result<NaiveDate> {
    let first = now.date_naive().with_day(1).context("no first")?;
    Ok(first + Months::new(1))
}

fn at(day: NaiveDate, hour: u32, minute: u32) -> Result<DateTime<Utc>> {
    Ok(day
        .and_hms_opt(hour, minute, 0)
        .context("no such time")?
        .and_utc())
}

async fn play(fixture: &Fixture, until: DateTime<Utc>, schedules: &[&str]) -> Result<ClockMoved> {
    let moved = fixture
        .cloud
        .move_clock(&ClockMove::to(until).running(schedules))
        .await?;
    let failed: Vec<_> = moved.runs.iter().filter(|run| run.error.is_some()).collect();
    ensure!(failed.is_empty(), "{failed:?}");
    ensure_eq!(moved.restless, 0, "something waited when the clock moved on");
    let times: Vec<_> = moved.runs.iter().map(|run| run.scheduled_time).collect();
    ensure!(times.is_sorted(), "not in order: {times:?}");
    Ok(moved)
}

async fn two_months_pass_with_invoice_decline_retries_suspension_and_another_card(
    fixture: Arc<Fixture>,
) -> Result {
    let first = next_month(fixture.cloud.now())?;
    let (second, third) = (first + Months::new(1), first + Months::new(2));
    fixture
        .cloud
        .move_clock(&ClockMove::to(at(first, 12, 0)?))
        .await?;
    let tester = fixture.customer().await?;
    tester.save_card(&fixture, DECLINES_LATER).await?;

    // A month with a balance each day, and its invoice on the first of the next.
    play(&fixture, at(second, 12, 0)?, &DAILY[..1]).await?;
    let days: Vec<NaiveDate> = first.iter_days().take_while(|day| *day < second).collect();
    ensure_eq!(balance_days(&fixture, &tester).await?, days);
    let created = play(&fixture, at(second, 12, 40)?, &DAILY).await?;
    ensure_eq!(created.runs.len(), 1, "{created:?}");
    let invoice = newest_invoice(&fixture, &tester).await?;
    ensure_eq!(invoice["period_start"], json!(first));
    ensure_eq!(invoice["calculation"]["days_with_balance"], json!(days.len()));
    let due = second + Days::new(7);
    ensure_eq!(new_york_day(&invoice["due_date"])?, due);

    // The card is declined on the day it is due, and on days 1, 4, 9 and 16 after that, as it was told each time.
    play(&fixture, at(due + Days::new(17), 12, 0)?, &DAILY).await?;
    let invoice = newest_invoice(&fixture, &tester).await?;
    let attempts = invoice["attempts"].as_array().context("no attempts")?;
    let attempted: Vec<NaiveDate> = attempts
        .iter()
        .map(|attempt| new_york_day(&attempt["created_at"]))
        .collect::<Result<_>>()?;
    let expected = [0, 1, 4, 9, 16].map(|day| due + Days::new(day));
    ensure_eq!(attempted, expected);
    ensure_eq!(retries_told(&fixture, &tester).await?, expected[1..].to_vec());
    ensure_eq!(invoice["status"], json!("uncollectible"));
    let since = suspended_since(&fixture, &tester).await?;
    ensure_eq!(new_york_day(&since)?, expected[4]);
    ensure_eq!(balance_days(&fixture, &tester).await?.len(), days.len() + 24);

    // Another card pays with the next run, and buying is possible again.
    at_this_time(&fixture, &tester)?.save_card(&fixture, VISA).await?;
    fixture.cloud.stripe().webhooks_settled().await;
    play(&fixture, at(due + Days::new(17), 13, 0)?, &DAILY).await?;
    let invoice = newest_invoice(&fixture, &tester).await?;
    ensure_eq!(invoice["status"], json!("paid"));
    ensure_eq!(new_york_day(&invoice["paid_at"])?, due + Days::new(17));
    ensure_eq!(suspended_since(&fixture, &tester).await?, Value::Null);
    let id = invoice["id"].as_i64().context("no id")?;
    ensure_eq!(fixture.charged(id), 1);

    // The second month ends in an invoice, too.
    play(&fixture, at(third, 12, 40)?, &DAILY).await?;
    let tester = at_this_time(&fixture, &tester)?;
    let listed = tester.api.get("/billing/invoices").await?.expect(200)?;
    let items = listed.body["items"].as_array().context("no invoices")?;
    let months: Vec<_> = items
        .iter()
        .map(|invoice| (&invoice["period_start"], &invoice["status"]))
        .collect();
    ensure_eq!(
        months,
        [(&json!(second), &json!("open")), (&json!(first), &json!("paid"))]
    );
    Ok(())
}

fn new_york_day(time: &Value) -> Result<NaiveDate> {
    let read = serde_json::from_value(time.clone());
    let time: DateTime<Utc> = read.with_context(|| format!("{time} is no time"))?;
    Ok(MarketCalendar::business_date(time))
}

async fn newest_invoice(fixture: &Fixture, tester: &Tester) -> Result<Value> {
    let tester = at_this_time(fixture, tester)?;
    let listed = tester.api.get("/billing/invoices?limit=1").await?.expect(200)?;
    Ok(listed.body["items"][0].clone())
}

async fn suspended_since(fixture: &Fixture, tester: &Tester) -> Result<Value> {
    let profile = at_this_time(fixture, tester)?.profile().await?;
    Ok(profile["buying_suspended_since"].clone())
}

/// The days with a balance of the customer's account.
async fn balance_days(fixture: &Fixture, tester: &Tester) -> Result<Vec<NaiveDate>> {
    let sql = "SELECT business_date FROM trading_account_balances WHERE trading_account_id = $1 ORDER BY 1";
    let days = sqlx::query_scalar(sql).bind(tester.customer.trading_account_id);
    Ok(days.fetch_all(fixture.database.pool()).await?)
}

/// The days that the customer was told for the next attempts.
async fn retries_told(fixture: &Fixture, tester: &Tester) -> Result<Vec<NaiveDate>> {
    let sql = "SELECT (payload -> 'data' ->> 'next_attempt_on')::DATE FROM outbox_messages \
               WHERE kind = 'commission.charge-failed' AND destination_kind = 'queue' AND ordering_key = $1 \
                 AND payload -> 'data' ->> 'next_attempt_on' IS NOT NULL ORDER BY id";
    let told = sqlx::query_scalar(sql).bind(format!("profile-{}", tester.customer.profile_id));
    Ok(told.fetch_all(fixture.database.pool()).await?)
}
