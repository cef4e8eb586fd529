//! The reconciler: looks up charges whose outcome is unknown, and compares our record with Stripe's. See README,
//! Reconciliation.
//!
//! Charges in flight whose look-up is due are looked up one by one, and go through the same transitions as if Stripe had
//! sent an event. Then the payments of the last days are listed on both sides: what was paid at Stripe and not here, or
//! here and not at Stripe, is recorded for manual review. Nothing is charged or refunded to make the two agree.

mod comparison;
mod store;

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::commissions::charge::ChargeStatus;
use domain::ids::StripePaymentIntentId;
use domain::lookup::{LookupSchedule, Next};
use domain::market::MarketCalendar;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::entry::schedule::ScheduledRun;
use platform::error::chain;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use providers::outcome::Outcome;
use providers::stripe::IntentStatus;
use serde::Serialize;
use sqlx::PgConnection;

use self::comparison::{Difference, ListedPayments, differences, paid_here_only};
use self::store::RecordedCharge;
use crate::Error;
use crate::charge::{self, Charge, ChargeRecorder, Charger, Observation};
use crate::discrepancy::Discrepancy;
use crate::dunning::DueInvoice;
use crate::processor::{Processor, STRIPE};
use crate::review;

/// The operation that records.
const SOURCE: &str = "reconcile_billing";
/// The most charges that one run looks up.
const MAX_LOOKUPS: u32 = 1_000;
/// Charges that are compared at once; a run that is short of time has compared those before them.
const MAX_CHARGES: i64 = 2_000;
/// Payments are compared for so long after they were made: each by several daily runs.
const WINDOW: TimeDelta = TimeDelta::days(4);
/// A payment that was made a moment ago may still be on its way into one of the two records.
const SETTLING: TimeDelta = TimeDelta::minutes(10);
/// A charge that is looked up is left alone for so long.
const LOOKUP_LEASE: TimeDelta = TimeDelta::minutes(5);
/// A run ends by itself when less than this is left.
const RESERVE: Duration = Duration::from_secs(15);

/// The findings of a run.
#[derive(Debug, Default, Serialize)]
pub struct ReconciliationReport {
    /// Charges that were looked up.
    pub looked_up: u32,
    /// Look-ups that failed; they come again.
    pub failed: u32,
    /// Charges that are left to manual review, because their outcome stayed unknown.
    #[serde(rename = "parked")]
    pub needs_review: u32,
    /// Payments of the last days that were compared.
    pub compared: u32,
    /// Payments that are known in one record, or differently in both.
    pub differences: u32,
    /// Whether there was time for all of it; the next run goes on.
    pub is_complete: bool,
}

/// The reconciler.
#[derive(Debug)]
pub struct Reconciler {
    database: Database,
    processor: Processor,
    charger: Charger,
    recorder: ChargeRecorder,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(Reconciler {
    database,
    processor,
    charger,
    recorder,
    relay,
    clock
});

impl Reconciler {
    /// Runs until everything is compared or time is short.
    ///
    /// # Errors
    /// When the database fails, or Stripe doesn't list its payments.
    pub async fn run(&self, run: ScheduledRun, deadline: Deadline) -> Result<ReconciliationReport, Error> {
        let run_at = run.executed_at(&self.clock);
        let mut report = ReconciliationReport::default();
        self.look_up_due(&mut report, run_at, deadline).await?;
        report.is_complete = self.compare(&mut report, deadline).await?;
        report.emit_metrics();
        self.relay.wake().await;
        Ok(report)
    }

    async fn look_up_due(
        &self,
        report: &mut ReconciliationReport,
        run_at: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        for _ in 0..MAX_LOOKUPS {
            if deadline.left() < RESERVE {
                break;
            }
            let Some(charge) = self.claim(run_at).await? else {
                break;
            };
            report.looked_up += 1;
            if let Err(error) = self.look_up(&charge, report, run_at, deadline).await {
                tracing::warn!(charge_id = %charge.id, key = charge.key, error = chain(&error), "looking up charge failed");
                report.failed += 1;
            }
        }
        Ok(())
    }

    /// The next charge whose look-up is due.
    async fn claim(&self, run_at: DateTime<Utc>) -> Result<Option<Charge>, Error> {
        let now = self.clock.now();
        let until = now.max(run_at) + LOOKUP_LEASE;
        self.database
            .with(
                async |connection| match store::claim_due(connection, run_at, now, until).await? {
                    Some(claimed) => charge::load(connection, claimed).await.map(Some),
                    None => Ok(None),
                },
            )
            .await
    }

    /// Looks up a charge. One that may not have reached Stripe is requested again, under its own key.
    async fn look_up(
        &self,
        charge: &Charge,
        report: &mut ReconciliationReport,
        run_at: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let outcome = match (charge.status, &charge.intent) {
            (ChargeStatus::Processing | ChargeStatus::RequiresAction, Some(intent)) => {
                self.fetch(charge, intent, run_at, deadline).await
            }
            _ => {
                let due = DueInvoice {
                    invoice_id: charge.invoice_id,
                    as_of: run_at,
                };
                self.charger.pay(&due, deadline).await
            }
        };
        let needs_review = self
            .database
            .transaction(async |connection| self.schedule_next(connection, charge, run_at).await)
            .await?;
        report.needs_review += u32::from(needs_review);
        outcome
    }

    /// Says when a charge that is still in flight is looked up next; gives whether it is left to manual review instead.
    async fn schedule_next(
        &self,
        connection: &mut PgConnection,
        charge: &Charge,
        run_at: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let charge = charge::load(connection, charge.id).await?;
        if !charge.status.is_in_flight() {
            return Ok(false);
        }
        let now = self.clock.now();
        let lookups = charge.lookups.unsigned_abs();
        let next = match LookupSchedule::STANDARD.next(lookups, charge.created_at, now.max(run_at)) {
            Next::At(at) => Some(at),
            // A charge that Stripe is processing, or a customer has to confirm, is looked up for as long as it takes: by the
            // next day's run, though that may execute some seconds earlier in the day.
            // So is one that Stripe refuses through a fault of ours, until that is mended.
            Next::GiveUp if charge.status != ChargeStatus::Unknown || charge.refusal_code.is_some() => {
                Some(MarketCalendar::days_after(run_at, 1))
            }
            Next::GiveUp => None,
        };
        store::set_next_lookup(connection, charge.id, next).await?;
        if next.is_none() {
            let found = "no answer after all look-ups";
            let discrepancy = Discrepancy::new("outcome-unknown", &charge.key, "an outcome", found);
            discrepancy.of(charge.id).record(connection, SOURCE, now).await?;
            review::charge_outcome_unknown(connection, &charge::reviewed(&charge), now).await?;
        }
        Ok(next.is_none())
    }

    /// Fetches the payment of a charge and records it.
    async fn fetch(
        &self,
        charge: &Charge,
        intent: &StripePaymentIntentId,
        run_at: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let connected = self.processor.connect().await?;
        let fetching = connected.client.payment_intent(intent, deadline.instant());
        let intent = fetching.await.done(STRIPE)?;
        let observation = Observation {
            source: SOURCE,
            at: run_at.max(self.clock.now()),
        };
        self.recorder.record(charge, &intent, observation).await
    }

    /// Compares both records of the last days, oldest first, or of what the last run had no time for; `false` when this one
    /// had no time for all, and the next goes on.
    async fn compare(&self, report: &mut ReconciliationReport, deadline: Deadline) -> Result<bool, Error> {
        let until = self.clock.now() - SETTLING;
        let (mut since, times) = self
            .database
            .with(async |connection| {
                let since = store::compared_until(connection).await?;
                let since = since.unwrap_or(until - WINDOW);
                let times = store::parting_times(connection, since..until, MAX_CHARGES).await?;
                Ok::<_, Error>((since, times))
            })
            .await?;
        for end in times.into_iter().chain([until]) {
            if !self.compare_slice(report, since..end, until, deadline).await? {
                return Ok(false);
            }
            since = end;
            let reached = Some(end).filter(|reached| *reached < until);
            self.database
                .with(async |connection| store::set_compared_until(connection, reached).await)
                .await?;
        }
        Ok(true)
    }

    /// Compares the charges and payments that were made in a span of time; `false` when there wasn't time for all.
    async fn compare_slice(
        &self,
        report: &mut ReconciliationReport,
        made: Range<DateTime<Utc>>,
        finished: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let Some(listed) = self.list(made.clone(), deadline).await? else {
            return Ok(false);
        };
        let keys: Vec<String> = listed.keys().cloned().collect();
        let recorded = self
            .database
            .with(async |connection| store::recorded(connection, &keys, made, finished).await)
            .await?;
        let compared = u32::try_from(recorded.len().max(listed.len())).unwrap_or(u32::MAX);
        report.compared = report.compared.saturating_add(compared);
        for difference in differences(&listed, &recorded) {
            if deadline.left() < RESERVE {
                return Ok(false);
            }
            report.differences += u32::from(self.report_difference(difference, deadline).await?);
        }
        Ok(true)
    }

    /// Money that was taken is recorded, as if Stripe had sent its event just now; everything else is recorded for manual
    /// review. Gives whether it is a difference.
    async fn report_difference(&self, difference: Difference<'_>, deadline: Deadline) -> Result<bool, Error> {
        let now = self.clock.now();
        let discrepancy = match difference {
            Difference::Missed { charge, intent } => {
                tracing::error!(charge_id = %charge, payment_intent_id = %intent.id, "recording a charge whose success was missed");
                let charge = self
                    .database
                    .with(async |connection| charge::load(connection, charge).await)
                    .await?;
                let observation = Observation {
                    source: SOURCE,
                    at: now,
                };
                self.recorder.record(&charge, intent, observation).await?;
                return Ok(true);
            }
            Difference::Conflict(discrepancy) => discrepancy,
            Difference::NotListed(charge) if self.is_paid(charge, deadline).await? => return Ok(false),
            Difference::NotListed(charge) => paid_here_only(charge),
        };
        self.database
            .with(async |connection| discrepancy.record(connection, SOURCE, now).await)
            .await?;
        Ok(true)
    }

    /// Whether Stripe has the payment that a charge names.
    async fn is_paid(&self, charge: &RecordedCharge, deadline: Deadline) -> Result<bool, Error> {
        let Some(intent) = &charge.intent else {
            return Ok(false);
        };
        let connected = self.processor.connect().await?;
        match connected.client.payment_intent(intent, deadline.instant()).await {
            Outcome::Declined(_) => Ok(false),
            answered => Ok(answered.done(STRIPE)?.status == IntentStatus::Succeeded),
        }
    }

    /// Stripe's payments of our charges that were made in a span of time, by key; `None` when there wasn't time for all.
    async fn list(
        &self,
        made: Range<DateTime<Utc>>,
        deadline: Deadline,
    ) -> Result<Option<ListedPayments>, Error> {
        let connected = self.processor.connect().await?;
        let mut listed = ListedPayments::new();
        let mut after = None;
        loop {
            if deadline.left() < RESERVE {
                return Ok(None);
            }
            let listing = connected
                .client
                .payment_intents(made.clone(), after.as_ref(), deadline.instant());
            let page = listing.await.done(STRIPE)?;
            after = page.intents.last().map(|last| last.id.clone());
            for intent in page.intents {
                if let Some(key) = intent.attempt_key.clone() {
                    listed.entry(key).or_default().push(intent);
                }
            }
            if !page.has_more {
                return Ok(Some(listed));
            }
        }
    }
}

impl ReconciliationReport {
    fn emit_metrics(&self) {
        for (name, count) in [
            ("BillingDifferences", self.differences),
            ("ParkedCharges", self.needs_review),
            ("BillingNotReconciled", u32::from(!self.is_complete)),
        ] {
            if count > 0 {
                metrics::count(name, u64::from(count));
            }
        }
    }
}
