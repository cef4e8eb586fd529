//! Making invoices.

use chrono::{DateTime, NaiveDate, Utc};
use domain::billing::commission::CommissionTerms;
use domain::billing::period::BillingPeriod;
use domain::ids::CorrelationId;
use sqlx::PgConnection;

use crate::Error;

/// What a run did for a period.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) period_start: NaiveDate,
    pub(crate) period_end: NaiveDate,
    pub(crate) accounts: i64,
    pub(crate) created: i64,
    pub(crate) free: i64,
    pub(crate) without_balances: i64,
    pub(crate) total_cents: i64,
}

/// Lets this transaction's statements take as long as a job may, instead of a request: for all invoices of a month. The
/// connection belongs to this transaction until it ends, also behind RDS Proxy, which is what a daily job may ask for.
pub(crate) async fn take_time(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!(
        "SELECT set_config('statement_timeout', '240s', true) AS statement_timeout, \
         set_config('lock_timeout', '240s', true) AS lock_timeout"
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// Makes the invoices of some periods that aren't there yet, with their events, in one statement.
pub(crate) async fn create(
    connection: &mut PgConnection,
    periods: &[BillingPeriod],
    due_date: DateTime<Utc>,
    terms: &CommissionTerms,
    now: DateTime<Utc>,
    correlation_id: &CorrelationId,
) -> Result<Vec<Made>, Error> {
    let starts: Vec<NaiveDate> = periods.iter().map(BillingPeriod::start).collect();
    let ends: Vec<NaiveDate> = periods.iter().map(BillingPeriod::end).collect();
    let made = sqlx::query_as!(
        Made,
        r#"SELECT period.period_start AS "period_start!", period.period_end AS "period_end!",
                  made.accounts AS "accounts!", made.created AS "created!", made.free AS "free!",
                  made.without_balances AS "without_balances!", made.total_cents AS "total_cents!"
           FROM unnest($1::DATE[], $2::DATE[]) AS period (period_start, period_end)
           CROSS JOIN LATERAL create_invoices(period.period_start, period.period_end, $3, $4, $5, $6, $7, $8) AS made"#,
        &starts,
        &ends,
        due_date,
        terms.yearly_rate(),
        i64::from(terms.yearly_minimum_cents()),
        i64::from(terms.free_limit_cents()),
        now,
        correlation_id.as_ref(),
    )
    .fetch_all(connection)
    .await?;
    Ok(made)
}
