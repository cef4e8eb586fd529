//! Making invoices: the arithmetic in the database as in the domain, one invoice per profile and month, and nothing at a
//! guess.

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::commissions::period::BillingPeriod;
use domain::commissions::terms::CommissionTerms;
use domain::market::MarketCalendar;
use domain::reference::commission::{EquitySum, commission};
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, eventually, scenarios};
use futures::future::try_join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rust_decimal::Decimal;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        database_computes_commissions_as_the_domain_does,
        // Each run makes the invoices of everybody.
        alone(ended_month_is_invoiced_once_by_eight_runs_at_once),
        alone(random_accounts_are_invoiced_as_the_domain_says),
        alone(account_without_balances_is_skipped_and_reported),
        alone(free_account_or_unfinished_month_has_no_invoice),
        alone(account_pays_for_the_days_it_was_open),
        alone(invoices_are_listed_by_pages_with_how_they_came_about),
    ]
}

fn day(text: &str) -> Result<NaiveDate> {
    Ok(text.parse()?)
}

fn at(text: &str) -> Result<DateTime<Utc>> {
    Ok(text.parse()?)
}

fn terms() -> Result<CommissionTerms> {
    Ok(CommissionTerms::new("0.0096".parse()?, 9_600, 10_000)?)
}

/// A customer whose account was opened on a day.
async fn opened(fixture: &Fixture, on: &str) -> Result<Tester> {
    let tester = fixture.customer().await?;
    set_opened(fixture, &tester, day(on)?).await?;
    Ok(tester)
}

async fn set_opened(fixture: &Fixture, tester: &Tester, on: NaiveDate) -> Result {
    sqlx::query("UPDATE trading_accounts SET opened_at = ($2::DATE + time '12:00') AT TIME ZONE 'America/New_York' WHERE id = $1")
        .bind(tester.customer.trading_account_id)
        .bind(on)
        .execute(fixture.database.pool())
        .await?;
    Ok(())
}

async fn set_equity(fixture: &Fixture, tester: &Tester, figures: &[(NaiveDate, i64)]) -> Result {
    let (days, cents): (Vec<NaiveDate>, Vec<i64>) = figures.iter().copied().unzip();
    let sql = "INSERT INTO trading_account_balances (trading_account_id, business_date, equity_cents, cash_cents, currency, as_of) \
               SELECT $1, business_date, cents, 0, 'USD', now() FROM unnest($2::DATE[], $3::BIGINT[]) AS told (business_date, cents)";
    sqlx::query(sql)
        .bind(tester.customer.trading_account_id)
        .bind(days)
        .bind(cents)
        .execute(fixture.database.pool())
        .await?;
    Ok(())
}

/// The amounts of the profile's invoices of a month.
async fn amounts(fixture: &Fixture, tester: &Tester, month: &str) -> Result<Vec<i64>> {
    let sql = "SELECT amount_cents FROM invoices WHERE profile_id = $1 AND period_start = $2";
    let rows = sqlx::query_scalar(sql)
        .bind(tester.customer.profile_id)
        .bind(day(month)?);
    Ok(rows.fetch_all(fixture.database.pool()).await?)
}

async fn database_computes_commissions_as_the_domain_does(fixture: Arc<Fixture>) -> Result {
    const CASES: usize = 5_000;
    let mut random = StdRng::seed_from_u64(96);
    let terms = terms()?;
    let (mut sums, mut days) = (Vec::new(), Vec::new());
    for case in 0..CASES {
        let count: i32 = random.random_range(1..=31);
        // Around the free limit, around the minimum, half cents, and anything.
        let sum: i64 = match case % 4 {
            0 => i64::from(count) * 10_000 + random.random_range(-2..=2),
            1 => i64::from(count) * 1_000_000 + random.random_range(-500..=500),
            2 => random.random_range(1..=40_000) * 365 * 625 / 12,
            _ => random.random_range(0..=9_000_000_000_000_000),
        };
        sums.push(Decimal::from(sum.max(0)));
        days.push(count);
    }
    let sql = "SELECT commission.average_cents, commission.yearly_cents, commission.amount_cents \
               FROM unnest($1::NUMERIC[], $2::INTEGER[]) WITH ORDINALITY AS given (equity_sum, days, place) \
               CROSS JOIN LATERAL calculate_commission(equity_sum, days, 0.0096, 9600, 10000) AS commission ORDER BY place";
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(sql)
        .bind(&sums)
        .bind(&days)
        .fetch_all(fixture.database.pool())
        .await?;
    ensure_eq!(rows.len(), CASES);
    for ((sum, days), row) in sums.iter().zip(&days).zip(rows) {
        let sum_cents = u128::try_from(sum.mantissa())?;
        let expected = commission(&terms, EquitySum::new(sum_cents, u32::try_from(*days)?))?;
        let expected = (
            expected.average_equity_cents,
            expected.yearly_cents,
            expected.amount_cents,
        );
        ensure_eq!(row, expected, "{sum} over {days} days");
    }
    Ok(())
}

async fn ended_month_is_invoiced_once_by_eight_runs_at_once(fixture: Arc<Fixture>) -> Result {
    let tester = opened(&fixture, "2025-01-10").await?;
    // $20,000 on all 31 days of March: $192 × 31 ÷ 365 = $16.306849… → $16.31.
    set_equity(
        &fixture,
        &tester,
        &[(day("2025-02-20")?, 2_000_000), (day("2025-03-01")?, 2_000_000)],
    )
    .await?;
    let run = at("2025-04-01T12:30:00Z")?;
    let began = Utc::now();
    let reports =
        try_join_all((0..8).map(|_| fixture.run("create_invoices", json!({"scheduled_time": run})))).await?;
    let created = |report: &Value| -> i64 {
        let periods = report["periods"].as_array().into_iter().flatten();
        periods.filter_map(|period| period["created"].as_i64()).sum()
    };
    let by_all: i64 = reports.iter().map(|report| created(&report.payload)).sum();
    ensure_eq!(amounts(&fixture, &tester, "2025-03-01").await?, [1_631]);
    let again = fixture.bill("create_invoices", run).await?;
    ensure_eq!(created(&again), 0, "a second run");
    let mine = "SELECT count(*) FROM invoices WHERE profile_id = $1";
    let of_mine = fixture.database.count(mine, tester.customer.profile_id).await?;
    ensure!(by_all >= of_mine, "{by_all} were reported");
    // Told once, on the topic's way.
    let told = fixture.event_kinds_of(&tester).await?;
    ensure_eq!(
        told.iter().filter(|kind| *kind == "invoice.created").count(),
        usize::try_from(of_mine)?
    );
    let rows = fixture
        .database
        .outbox_of_key(&format!("profile-{}", tester.customer.profile_id))
        .await?;
    ensure_eq!(rows[0].payload["data"]["amount_cents"], json!(1_631));
    ensure_eq!(rows[0].payload["id"], json!(rows[0].event_id));
    eventually("the event is published", async || {
        let rows = fixture
            .database
            .outbox_of_key(&format!("profile-{}", tester.customer.profile_id))
            .await?;
        ensure!(rows.iter().all(|row| row.published_at.is_some()), "not published");
        Ok(())
    })
    .await?;
    let sql = "SELECT due_date FROM invoices WHERE profile_id = $1 AND period_start = '2025-03-01'";
    let due: DateTime<Utc> = sqlx::query_scalar(sql)
        .bind(tester.customer.profile_id)
        .fetch_one(fixture.database.pool())
        .await?;
    // The run is months late: the invoice is due after it, and not after the time at which it should have run.
    let since = [began, Utc::now()].map(|at| MarketCalendar::days_after(at, 7));
    ensure!(since.contains(&due), "due on {due}");
    Ok(())
}

async fn random_accounts_are_invoiced_as_the_domain_says(fixture: Arc<Fixture>) -> Result {
    const ACCOUNTS: usize = 40;
    let mut random = StdRng::seed_from_u64(2024);
    let terms = terms()?;
    // A February of 29 days.
    let month = BillingPeriod::of(day("2024-02-10")?).context("no month")?;
    let mut expected = Vec::new();
    for _ in 0..ACCOUNTS {
        let tester = fixture.customer().await?;
        let opened_on = day("2024-01-15")? + TimeDelta::days(random.random_range(0..45));
        set_opened(&fixture, &tester, opened_on).await?;
        let mut figures = Vec::new();
        for offset in 0..60 {
            if random.random_range(0..3) > 0 {
                let equity = if random.random_bool(0.3) {
                    random.random_range(0..30_000)
                } else {
                    random.random_range(0..9_000_000)
                };
                figures.push((day("2024-01-10")? + TimeDelta::days(offset), equity));
            }
        }
        set_equity(&fixture, &tester, &figures).await?;
        let told: Vec<(NaiveDate, u64)> = figures
            .iter()
            .map(|(date, cents)| Ok((*date, u64::try_from(*cents)?)))
            .collect::<Result<_>>()?;
        let sum = month
            .billable_days(opened_on, None)
            .and_then(|days| EquitySum::carried_forward(&told, days));
        let amount = sum
            .map(|sum| commission(&terms, sum))
            .transpose()?
            .map(|commission| commission.amount_cents);
        expected.push((tester, amount.filter(|amount| *amount > 0)));
    }
    fixture
        .bill("create_invoices", at("2024-03-02T12:30:00Z")?)
        .await?;
    for (tester, amount) in expected {
        let seen = amounts(&fixture, &tester, "2024-02-01").await?;
        ensure_eq!(
            seen,
            Vec::from_iter(amount),
            "account {}",
            tester.customer.trading_account_id
        );
    }
    Ok(())
}

/// The report of a run about one month.
fn of_month<'a>(report: &'a Value, month: &str) -> Result<&'a Value> {
    let mut periods = report["periods"].as_array().into_iter().flatten();
    periods
        .find(|period| period["period_start"] == json!(month))
        .context("no such period")
}

async fn account_without_balances_is_skipped_and_reported(fixture: Arc<Fixture>) -> Result {
    let run = at("2025-06-02T12:30:00Z")?;
    let before = fixture.bill("create_invoices", run).await?;
    let skipped = |report: &Value| anyhow::Ok(of_month(report, "2025-05-01")?["without_balances"].as_i64());
    let missing = opened(&fixture, "2025-01-10").await?;
    // A figure of another month is no ground for an invoice.
    set_equity(
        &fixture,
        &missing,
        &[(day("2025-04-30")?, 2_000_000), (day("2025-06-01")?, 2_000_000)],
    )
    .await?;
    let report = fixture.bill("create_invoices", run).await?;
    ensure_eq!(skipped(&report)?, skipped(&before)?.map(|count| count + 1));
    ensure!(
        amounts(&fixture, &missing, "2025-05-01").await?.is_empty(),
        "invoiced at a guess"
    );
    let rings = |line: &str| line.contains("AccountsWithoutBalances");
    fixture
        .logs_reach("create_invoices", 1, rings)
        .await
        .context("no alarm")?;
    // The balance comes late, and so does the invoice. The days before it have April's figure: $20,000 on all 31 days,
    // $192 × 31 ÷ 365 = $16.306849… → $16.31.
    set_equity(&fixture, &missing, &[(day("2025-05-11")?, 2_000_000)]).await?;
    fixture.bill("create_invoices", run).await?;
    ensure_eq!(amounts(&fixture, &missing, "2025-05-01").await?, [1_631]);
    Ok(())
}

async fn free_account_or_unfinished_month_has_no_invoice(fixture: Arc<Fixture>) -> Result {
    let (free, going_on) = (
        opened(&fixture, "2025-01-10").await?,
        opened(&fixture, "2025-07-01").await?,
    );
    // An average of exactly the free limit of $100.
    set_equity(&fixture, &free, &[(day("2025-06-01")?, 10_000)]).await?;
    set_equity(&fixture, &going_on, &[(day("2025-07-01")?, 5_000_000)]).await?;
    // 1 July, 03:00 UTC is still 30 June in New York.
    fixture
        .bill("create_invoices", at("2025-07-01T03:00:00Z")?)
        .await?;
    ensure!(
        amounts(&fixture, &free, "2025-06-01").await?.is_empty(),
        "June isn't over in New York"
    );
    fixture
        .bill("create_invoices", at("2025-07-01T12:30:00Z")?)
        .await?;
    ensure!(
        amounts(&fixture, &free, "2025-06-01").await?.is_empty(),
        "it is free"
    );
    ensure!(
        amounts(&fixture, &going_on, "2025-07-01").await?.is_empty(),
        "July goes on"
    );
    Ok(())
}

async fn account_pays_for_the_days_it_was_open(fixture: Arc<Fixture>) -> Result {
    let (new, closed) = (
        opened(&fixture, "2025-08-21").await?,
        opened(&fixture, "2025-01-10").await?,
    );
    let figures = [(day("2025-08-01")?, 5_000_000), (day("2025-08-21")?, 5_000_000)];
    set_equity(&fixture, &new, &figures).await?;
    set_equity(&fixture, &closed, &figures).await?;
    let close = "UPDATE trading_accounts SET closed_at = '2025-08-11T16:00:00Z' WHERE id = $1";
    fixture
        .database
        .change(close, closed.customer.trading_account_id)
        .await?;
    fixture
        .bill("create_invoices", at("2025-09-01T12:30:00Z")?)
        .await?;
    // Eleven days of $480 a year: × 11 ÷ 365 = $14.465753… → $14.47; from the 21st on, and up to the 11th.
    ensure_eq!(amounts(&fixture, &new, "2025-08-01").await?, [1_447]);
    ensure_eq!(amounts(&fixture, &closed, "2025-08-01").await?, [1_447]);
    fixture
        .bill("create_invoices", at("2025-10-01T12:30:00Z")?)
        .await?;
    ensure!(
        amounts(&fixture, &closed, "2025-09-01").await?.is_empty(),
        "a closed account goes on paying"
    );
    Ok(())
}

async fn invoices_are_listed_by_pages_with_how_they_came_about(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (opened(&fixture, "2025-10-01").await?, fixture.customer().await?);
    for month in ["2025-10-01", "2025-11-01", "2025-12-01"] {
        set_equity(&fixture, &tester, &[(day(month)?, 2_000_000)]).await?;
    }
    for run in ["2025-11-01", "2025-12-01", "2026-01-01"] {
        fixture
            .bill("create_invoices", at(&format!("{run}T12:30:00Z"))?)
            .await?;
    }
    let first = tester
        .api
        .get("/billing/invoices?limit=2")
        .await?
        .expect(200)?
        .body;
    let months = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().into_iter().flatten();
        items
            .filter_map(|item| item["period_start"].as_str().map(str::to_owned))
            .collect()
    };
    ensure_eq!(months(&first), ["2025-12-01", "2025-11-01"]);
    let cursor = first["next_cursor"].as_str().context("no next page")?;
    let second = tester
        .api
        .get(&format!("/billing/invoices?limit=2&cursor={cursor}"))
        .await?
        .expect(200)?
        .body;
    ensure_eq!(months(&second), ["2025-10-01"]);
    ensure_eq!(second["next_cursor"], Value::Null);
    let calculation = &first["items"][0]["calculation"];
    ensure_eq!(
        calculation,
        &json!({
            "average_equity_cents": 2_000_000, "billable_days": 31, "days_with_balance": 1,
            "yearly_commission_cents": 19_200, "yearly_rate": "0.0096",
        })
    );
    let id = first["items"][0]["id"].as_i64().context("no id")?;
    other
        .api
        .get(&format!("/billing/invoices/{id}"))
        .await?
        .expect_problem(404, "invoice-not-found")?;
    ensure!(
        other.api.get("/billing/invoices").await?.expect(200)?.body["items"] == json!([]),
        "another's invoices"
    );
    Ok(())
}
