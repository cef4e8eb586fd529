//! Creating the invoices of months that have ended: one statement creates them, however many profiles there are. A second
//! run, or one at the same time, adds nothing. See README, Invoices.

use domain::commissions::period::BillingPeriod;
use domain::commissions::terms::{CommissionTerms, SmallestCharges};
use domain::market::MarketCalendar;
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::entry::schedule::ScheduledRun;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::{correlation, metrics};
use rust_decimal::Decimal;

use super::report::{InvoicingReport, PeriodReport};
use super::store;
use crate::Error;

/// A month is invoiced until so many days after its end: balances that came late, and runs that were missed, are made up
/// for.
const CATCH_UP_DAYS: u64 = 45;

/// Creates invoices.
#[derive(Debug)]
pub struct InvoiceCreation {
    database: Database,
    relay: RelayWaker,
    clock: ClockHandle,
    terms: CommissionTerms,
    smallest: SmallestCharges,
    due_after_days: u64,
}

platform::from_environment!(InvoiceCreation {
    database,
    relay,
    clock,
    terms: read_terms,
    // Below it Stripe takes no charge, and the amount waits for the next month: USD=50, with commas between.
    smallest: |environment: &mut Environment| environment.required("COMMISSION_SMALLEST_CHARGES"),
    due_after_days: read_due_after_days,
});

/// Reads `COMMISSION_YEARLY_RATE`, `COMMISSION_YEARLY_MINIMUM_CENTS` and `COMMISSION_FREE_LIMIT_CENTS`.
fn read_terms(environment: &mut Environment) -> Option<CommissionTerms> {
    let rate: Option<Decimal> = environment.required("COMMISSION_YEARLY_RATE");
    let minimum: Option<u32> = environment.required("COMMISSION_YEARLY_MINIMUM_CENTS");
    let free_limit: Option<u32> = environment.required("COMMISSION_FREE_LIMIT_CENTS");
    match CommissionTerms::new(rate?, minimum?, free_limit?) {
        Ok(terms) => Some(terms),
        Err(error) => {
            environment.problem(format!("COMMISSION_YEARLY_RATE: {error}"));
            None
        }
    }
}

/// Reads `INVOICE_DUE_DAYS`.
fn read_due_after_days(environment: &mut Environment) -> Option<u64> {
    let days: u16 = environment.required("INVOICE_DUE_DAYS")?;
    if days == 0 {
        environment
            .problem("INVOICE_DUE_DAYS has to be at least 1: an invoice is due in the future".to_owned());
        return None;
    }
    Some(u64::from(days))
}

impl InvoiceCreation {
    /// The same by another clock.
    #[cfg(test)]
    pub(crate) fn with_clock(self, clock: ClockHandle) -> Self {
        Self { clock, ..self }
    }

    /// Creates the invoices that are missing on the day that a run works for. They are of the day on which it executes, and due
    /// some days after that, however late it is.
    ///
    /// # Errors
    /// When the database fails; then nothing was created.
    pub async fn run(&self, run: ScheduledRun) -> Result<InvoicingReport, Error> {
        let worked_for = MarketCalendar::business_date(run.due_at(&self.clock));
        let periods = BillingPeriod::ended_within(worked_for, CATCH_UP_DAYS);
        let now = run.executed_at(&self.clock);
        let due_date = MarketCalendar::days_after(now, self.due_after_days);
        let id = correlation::current();
        let created = self.database.transaction(async |connection| {
            store::extend_timeouts(connection).await?;
            store::create(
                connection,
                &periods,
                due_date,
                &self.terms,
                &self.smallest,
                now,
                &id,
            )
            .await
        });
        let report = InvoicingReport {
            periods: created.await?,
        };
        report.emit_metrics();
        if report.periods.iter().any(|period| period.created > 0) {
            self.relay.wake().await;
        }
        Ok(report)
    }
}

impl InvoicingReport {
    fn emit_metrics(&self) {
        let sum = |count: fn(&PeriodReport) -> i64| -> u64 {
            let counts = self.periods.iter().map(count);
            counts.filter_map(|count| u64::try_from(count).ok()).sum()
        };
        metrics::count("InvoicesCreated", sum(|period| period.created));
        let skipped = sum(|period| period.without_balances);
        if skipped > 0 {
            tracing::warn!(skipped, "skipping accounts without balances");
            metrics::count("AccountsWithoutBalances", skipped);
        }
    }
}
