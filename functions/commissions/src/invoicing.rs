//! Making the invoices of months that are over: one statement makes them, however many profiles there are. A second run, or one at
//! the same time, adds nothing. Spec "Commissions", Commission and invoices.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::billing::commission::CommissionTerms;
use domain::billing::period::BillingPeriod;
use domain::market::MarketCalendar;
use platform::config::Environment;
use platform::database::Database;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::correlation;
use platform::observability::metrics;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::Error;
use crate::store::invoicing::{self, Made};

/// A month is invoiced until so many days after its end: balances that came late, and runs that didn't come about, are
/// made up for.
const CATCH_UP_DAYS: u64 = 45;

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Months it looked at, the latest first.
    pub periods: Vec<PeriodReport>,
}

/// What a run did for a month.
#[derive(Debug, Serialize)]
pub struct PeriodReport {
    /// The first day.
    pub period_start: NaiveDate,
    /// The last day.
    pub period_end: NaiveDate,
    /// Accounts without an invoice of the month.
    pub accounts: i64,
    /// Invoices made of them.
    pub created: i64,
    /// Accounts that cost nothing.
    pub free: i64,
    /// Accounts that can't be invoiced, because no balance of the month is known.
    pub without_balances: i64,
    /// What the invoices come to, in cents.
    pub total_cents: i64,
}

/// What makes invoices.
#[derive(Debug)]
pub struct Invoicing {
    database: Database,
    terms: CommissionTerms,
    due_after: TimeDelta,
    nudge: RelayWaker,
}

impl Invoicing {
    /// Reads `COMMISSION_YEARLY_RATE`, `COMMISSION_YEARLY_MINIMUM_CENTS`, `COMMISSION_FREE_LIMIT_CENTS` and
    /// `INVOICE_DUE_DAYS`.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let nudge = RelayWaker::read(environment);
        let rate: Option<Decimal> = environment.required("COMMISSION_YEARLY_RATE");
        let minimum: Option<u32> = environment.required("COMMISSION_YEARLY_MINIMUM_CENTS");
        let free_limit: Option<u32> = environment.required("COMMISSION_FREE_LIMIT_CENTS");
        let due_days: Option<u16> = environment.required("INVOICE_DUE_DAYS");
        let due_days = due_days?;
        if due_days == 0 {
            environment
                .problem("INVOICE_DUE_DAYS has to be at least 1: an invoice is due in the future".to_owned());
            return None;
        }
        let terms = match CommissionTerms::new(rate?, minimum?, free_limit?) {
            Ok(terms) => terms,
            Err(error) => {
                environment.problem(format!("COMMISSION_YEARLY_RATE: {error}"));
                return None;
            }
        };
        Some(Self {
            database: database?,
            terms,
            due_after: TimeDelta::days(i64::from(due_days)),
            nudge: nudge?,
        })
    }

    /// Makes the invoices that are missing at a time.
    ///
    /// # Errors
    /// When the database fails; then nothing was made.
    pub async fn run(&self, now: DateTime<Utc>) -> Result<Report, Error> {
        let periods = BillingPeriod::ended_within(MarketCalendar::business_date(now), CATCH_UP_DAYS);
        let id = correlation::current();
        let due_date = now + self.due_after;
        let mut transaction = self.database.begin().await?;
        invoicing::take_time(&mut transaction).await?;
        let made = invoicing::create(&mut transaction, &periods, due_date, &self.terms, now, &id).await?;
        transaction.commit().await?;
        let report = Report {
            periods: made.into_iter().map(PeriodReport::from).collect(),
        };
        report.tell();
        if report.periods.iter().any(|period| period.created > 0) {
            self.nudge.send().await;
        }
        Ok(report)
    }
}

impl Report {
    fn tell(&self) {
        let sum = |count: fn(&PeriodReport) -> i64| -> u64 {
            let counts = self.periods.iter().map(count);
            counts.filter_map(|count| u64::try_from(count).ok()).sum()
        };
        metrics::count("InvoicesCreated", sum(|period| period.created));
        let skipped = sum(|period| period.without_balances);
        if skipped > 0 {
            tracing::warn!(skipped, "accounts without balances are not invoiced");
            metrics::count("AccountsWithoutBalances", skipped);
        }
    }
}

impl From<Made> for PeriodReport {
    fn from(made: Made) -> Self {
        Self {
            period_start: made.period_start,
            period_end: made.period_end,
            accounts: made.accounts,
            created: made.created,
            free: made.free,
            without_balances: made.without_balances,
            total_cents: made.total_cents,
        }
    }
}
