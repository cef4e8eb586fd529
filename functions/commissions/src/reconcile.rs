//! The reconciler: finds out what came of charges whose outcome isn't known, and holds our record against Stripe's.
//!
//! Attempts in flight whose look-up is due are asked about one by one, and go through the same transitions as if Stripe
//! had told by itself. Then the payments of the last days are listed on both sides: what was paid there and not here, or
//! here and not there, is written down for a person. Nothing is charged or refunded to make the two agree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::billing::charge::AttemptStatus;
use domain::clock::Clock;
use domain::ids::{InvoicePaymentId, StripePaymentIntentId};
use domain::lookup::{LookupSchedule, Next};
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::error::chain;
use platform::observability::metrics;
use providers::stripe::{IntentStatus, PaymentIntent};
use serde::Serialize;

use crate::Error;
use crate::charging::Charging;
use crate::discrepancy::{self, Discrepancy};
use crate::processor::answered;
use crate::settlement::Heard;
use crate::store::attempts::{self, Attempt, Compared};

const SOURCE: &str = "reconcile_billing";
/// The most attempts that one run looks up.
const MAX_LOOKUPS: u32 = 1_000;
/// The most pages of payments that one run compares, of a hundred each.
const MAX_PAGES: u32 = 1_000;
/// Payments are compared for so long after they were made: each by several daily runs.
const WINDOW: TimeDelta = TimeDelta::days(4);
/// What was made a moment ago may still be on its way into one of the two records.
const SETTLING: TimeDelta = TimeDelta::minutes(10);
/// An attempt that is looked up is left alone for so long.
const LOOKUP_LEASE: TimeDelta = TimeDelta::minutes(5);
/// A run ends by itself when less than this is left.
const RESERVE: Duration = Duration::from_secs(15);

/// What a run found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Attempts whose outcome was looked up.
    pub looked_up: u32,
    /// Look-ups that failed; they come again.
    pub failed: u32,
    /// Attempts that are left to a person, because their outcome stayed unknown.
    pub parked: u32,
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
    charging: Charging,
}

impl Reconciler {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            charging: Charging::read(environment)?,
        })
    }

    /// Runs until everything is looked at or time is short.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, now: DateTime<Utc>, deadline: Deadline) -> Result<Report, Error> {
        let mut report = Report::default();
        self.look_up_due(&mut report, now, deadline).await?;
        report.is_complete = self.compare(&mut report, deadline).await?;
        for (name, count) in [
            ("BillingDifferences", report.differences),
            ("ParkedCharges", report.parked),
            ("BillingNotReconciled", u32::from(!report.is_complete)),
        ] {
            if count > 0 {
                metrics::count(name, u64::from(count));
            }
        }
        self.charging.tell().await;
        Ok(report)
    }

    async fn look_up_due(
        &self,
        report: &mut Report,
        now: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        for _ in 0..MAX_LOOKUPS {
            if deadline.left() < RESERVE {
                break;
            }
            let lease = SystemClock.now().max(now) + LOOKUP_LEASE;
            let mut connection = self.charging.database().pool().await?.acquire().await?;
            let Some(attempt) = attempts::claim_due(&mut connection, now, lease).await? else {
                break;
            };
            let attempt = attempts::load(&mut connection, attempt).await?;
            drop(connection);
            report.looked_up += 1;
            if let Err(error) = self.look_up(&attempt, report, now, deadline).await {
                tracing::warn!(key = attempt.key, error = chain(&error), "a look-up failed");
                report.failed += 1;
            }
        }
        Ok(())
    }

    /// Asks how an attempt stands. One that isn't known to have reached Stripe is asked for again, under its own key.
    async fn look_up(
        &self,
        attempt: &Attempt,
        report: &mut Report,
        now: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let outcome = match (attempt.status, &attempt.intent) {
            (AttemptStatus::Processing | AttemptStatus::RequiresAction, Some(intent)) => {
                self.ask(attempt, intent, now, deadline).await
            }
            _ => self.charging.pay(attempt.invoice_id, now, deadline).await,
        };
        let mut connection = self.charging.database().pool().await?.acquire().await?;
        let after = attempts::load(&mut connection, attempt.id).await?;
        if after.status.is_in_flight() {
            let next =
                LookupSchedule::STANDARD.next(after.lookups, after.created_at, SystemClock.now().max(now));
            let at = match next {
                Next::At(at) => Some(at),
                // What Stripe has, or a customer holds, is asked about for as long as it takes.
                Next::GiveUp if after.status != AttemptStatus::Unknown => Some(now + TimeDelta::days(1)),
                Next::GiveUp => None,
            };
            attempts::set_next_lookup(&mut connection, attempt.id, at).await?;
            if at.is_none() {
                report.parked += 1;
                let found = "no answer after all look-ups";
                let discrepancy = Discrepancy::new("outcome-unknown", &attempt.key, "an outcome", found);
                discrepancy::park(&mut connection, &discrepancy.of(attempt.id), SOURCE).await?;
            }
        }
        outcome
    }

    async fn ask(
        &self,
        attempt: &Attempt,
        intent: &StripePaymentIntentId,
        now: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let connected = self.charging.processor().connect().await?;
        let reading = answered(connected.client.payment_intent(intent, deadline.instant()).await)?;
        self.charging
            .record(attempt, &reading, Heard::during(SOURCE, now))
            .await
    }

    /// Holds both records of the last days against each other; `false` when there wasn't time for all.
    async fn compare(&self, report: &mut Report, deadline: Deadline) -> Result<bool, Error> {
        let until = SystemClock.now() - SETTLING;
        let since = until - WINDOW;
        let Some(told) = self.listed(since, until, deadline).await? else {
            return Ok(false);
        };
        let keys: Vec<String> = told.keys().cloned().collect();
        let mut connection = self.charging.database().pool().await?.acquire().await?;
        let recorded = attempts::to_compare(&mut connection, &keys, since + SETTLING, until).await?;
        drop(connection);
        report.compared = u32::try_from(recorded.len().max(told.len())).unwrap_or(u32::MAX);
        for difference in differences(&told, &recorded) {
            report.differences += 1;
            self.tell(difference).await?;
        }
        Ok(true)
    }

    /// Money that was taken is recorded, as if Stripe had told just now; everything else is written down for a person.
    async fn tell(&self, difference: Difference<'_>) -> Result<(), Error> {
        let mut connection = self.charging.database().pool().await?.acquire().await?;
        match difference {
            Difference::Missed { attempt, reading } => {
                tracing::error!(
                    payment = reading.id.as_str(),
                    "a charge succeeded that nobody had told of"
                );
                let attempt = attempts::load(&mut connection, attempt).await?;
                drop(connection);
                self.charging.record(&attempt, reading, Heard::now(SOURCE)).await
            }
            Difference::Disagreement(discrepancy) => {
                discrepancy::park(&mut connection, &discrepancy, SOURCE).await
            }
        }
    }

    /// The payments of our attempts in a span of time, by key.
    async fn listed(
        &self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<Option<Listed>, Error> {
        let connected = self.charging.processor().connect().await?;
        let mut told = Listed::new();
        let mut after = None;
        for _ in 0..MAX_PAGES {
            if deadline.left() < RESERVE {
                return Ok(None);
            }
            let page = connected
                .client
                .payment_intents(since, after.as_ref(), deadline.instant())
                .await;
            let page = answered(page)?;
            after = page.intents.last().map(|last| last.id.clone());
            for intent in page
                .intents
                .into_iter()
                .filter(|intent| intent.created_at < until)
            {
                if let Some(key) = intent.attempt_key.clone() {
                    told.entry(key).or_default().push(intent);
                }
            }
            if !page.has_more {
                return Ok(Some(told));
            }
        }
        Ok(None)
    }
}

/// Stripe's payments of our attempts, by their keys.
type Listed = BTreeMap<String, Vec<PaymentIntent>>;

/// What was paid in one record and not in the other, or more often.
enum Difference<'a> {
    /// Stripe has taken money for an attempt that isn't recorded as successful.
    Missed {
        attempt: InvoicePaymentId,
        reading: &'a PaymentIntent,
    },
    Disagreement(Discrepancy),
}

fn differences<'a>(told: &'a Listed, recorded: &[Compared]) -> Vec<Difference<'a>> {
    let by_key: BTreeMap<&str, &Compared> = recorded.iter().map(|one| (one.key.as_str(), one)).collect();
    let has_succeeded = |payment: &&PaymentIntent| payment.status == IntentStatus::Succeeded;
    let paid_there = || told.values().flatten().filter(has_succeeded);
    let there_only = paid_there().filter_map(|payment| {
        let key = payment.attempt_key.as_deref().unwrap_or_default();
        paid_there_only(payment, by_key.get(key).copied())
    });
    let intents: BTreeSet<&StripePaymentIntentId> = paid_there().map(|payment| &payment.id).collect();
    let is_there = |record: &&Compared| {
        record
            .intent
            .as_ref()
            .is_some_and(|intent| intents.contains(intent))
    };
    let paid_here = recorded
        .iter()
        .filter(|one| one.status == AttemptStatus::Succeeded);
    let here_only = paid_here.filter(|record| !is_there(record)).map(|record| {
        let subject = record
            .intent
            .as_ref()
            .map_or(record.key.clone(), ToString::to_string);
        let expected = format!("{} succeeded (invoice {})", record.key, record.invoice_id);
        Difference::Disagreement(
            Discrepancy::new("paid-here-only", subject, expected, "not paid").of(record.id),
        )
    });
    there_only.chain(here_only).collect()
}

fn paid_there_only<'a>(payment: &'a PaymentIntent, record: Option<&Compared>) -> Option<Difference<'a>> {
    let Some(record) = record else {
        let key = payment.attempt_key.as_deref().unwrap_or_default();
        let discrepancy = Discrepancy::new("paid-at-stripe-only", &payment.id, "no such attempt", key);
        return Some(Difference::Disagreement(discrepancy));
    };
    if record.status != AttemptStatus::Succeeded {
        return Some(Difference::Missed {
            attempt: record.id,
            reading: payment,
        });
    }
    if record.intent.as_ref() == Some(&payment.id) {
        return None;
    }
    let expected = record
        .intent
        .as_ref()
        .map_or("no payment".to_owned(), ToString::to_string);
    let discrepancy = Discrepancy::new("paid-twice", &payment.id, expected, &record.key);
    Some(Difference::Disagreement(discrepancy.of(record.id)))
}
