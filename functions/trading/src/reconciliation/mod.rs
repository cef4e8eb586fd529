//! The reconciler: finishes flows whose outcome isn't known, and finds what no event has reported.
//!
//! `due` looks up flows whose look-up is due (5 minutes, 1 hour, 1 day after they were requested); `all` compares the
//! deposits, redemptions, accounts and documents of every user with open or lately settled flows. Differences go through the same
//! transitions as events, and are reported.

mod compare;
mod store;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{DriveWealthUserId, MoneyFlowId};
use domain::trading::money_flow::Direction;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::chain;
use platform::observability::metrics;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::broker::Broker;
use crate::drivewealth_events::DriveWealthEvents;
use crate::kyc_submission::KycSubmissions;
use crate::money_flow::{PaymentExecutor, PaymentRecorder};
use crate::onboarding::Onboarding;

/// The most flows that one run looks up.
const MAX_LOOKUPS: u32 = 1_000;
/// The most users that one run compares.
const MAX_USERS: i64 = 10_000;
/// A bank may return a deposit this long after it settled.
const RETURN_WINDOW: TimeDelta = TimeDelta::days(60);
/// A flow that is being looked up isn't due again before this.
const LOOKUP_PAUSE: TimeDelta = TimeDelta::minutes(5);
/// A run ends by itself when less than this is left.
const RESERVE: Duration = Duration::from_secs(15);

/// The scope of a run.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Flows whose look-up is due.
    #[default]
    Due,
    /// These, and everything the broker has of users with open or lately settled flows.
    All,
}

/// The input of a run.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconcileInput {
    /// `due` or `all`.
    pub scope: Scope,
}

/// The findings of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Flows whose outcome was looked up.
    pub looked_up: u32,
    /// Submissions, users on their way to an account, and kept events that were taken on.
    pub taken_on: u32,
    /// Payments compared with the broker's.
    pub compared: u32,
    /// Differences that were found and applied.
    pub differences: u32,
    /// Payments at the broker that belong to no flow of ours, and that nobody has accounted for.
    pub foreign: u32,
    /// Payments of ours that the broker doesn't list.
    pub missing: u32,
    /// Flows whose look-up failed, and what could not be taken on; it comes again.
    pub failed: u32,
    /// Users and payments that could not be compared; the next run tries again.
    pub not_compared: u32,
    /// Users for whom there was no time; the next run begins with them.
    pub left_over: u32,
}

impl Report {
    /// Counts what a person has to look into.
    fn emit_metrics(&self) {
        for (name, count) in [
            ("ReconciliationDifferences", self.differences),
            ("ForeignPayments", self.foreign),
            ("MissingPayments", self.missing),
            ("NotReconciled", self.not_compared.saturating_add(self.left_over)),
        ] {
            if count > 0 {
                metrics::count(name, u64::from(count));
            }
        }
    }
}

/// The reconciler.
#[derive(Debug)]
pub struct Reconciler {
    database: Database,
    broker: Broker,
    executor: PaymentExecutor,
    payments: PaymentRecorder,
    submissions: KycSubmissions,
    onboarding: Onboarding,
    events: DriveWealthEvents,
    clock: ClockHandle,
}

platform::from_environment!(Reconciler {
    database,
    broker,
    executor,
    payments,
    submissions,
    onboarding,
    events,
    clock
});

impl Reconciler {
    /// Runs until everything in scope is done or time is short.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, scope: Scope, deadline: Deadline) -> Result<Report, Error> {
        let mut report = Report::default();
        self.look_up_due(&mut report, deadline).await?;
        self.take_on_due(&mut report, deadline).await?;
        if matches!(scope, Scope::All) {
            self.compare_all(&mut report, deadline).await?;
        }
        report.emit_metrics();
        Ok(report)
    }

    async fn look_up_due(&self, report: &mut Report, deadline: Deadline) -> Result<(), Error> {
        for _ in 0..MAX_LOOKUPS {
            if deadline.left() < RESERVE {
                tracing::warn!("left look-ups to the next run: time is short");
                break;
            }
            let Some(flow) = self.claim_due().await? else {
                break;
            };
            report.looked_up += 1;
            if let Err(error) = self.look_up(flow, deadline).await {
                tracing::warn!(money_flow_id = %flow, error = chain(&error), "looking up a money flow failed");
                report.failed += 1;
            }
        }
        Ok(())
    }

    /// Finishes submissions of the identity check's form whose answer was lost, takes users on whose way to an account
    /// waits, and handles events that were only kept before.
    async fn take_on_due(&self, report: &mut Report, deadline: Deadline) -> Result<(), Error> {
        let submissions = self.submissions.finish_open(deadline).await?;
        let users = self.onboarding.advance_due(deadline).await?;
        let events = self.events.replay(deadline).await?;
        for (taken, failed) in [submissions, users, events] {
            report.taken_on = report.taken_on.saturating_add(taken);
            report.failed = report.failed.saturating_add(failed);
        }
        Ok(())
    }

    async fn claim_due(&self) -> Result<Option<MoneyFlowId>, Error> {
        let now = self.clock.now();
        self.database
            .with(async |connection| store::claim_due(connection, now, now + LOOKUP_PAUSE).await)
            .await
    }

    /// Looks one flow up: by asking again under the same key while the broker remembers it, or by fetching the payment.
    async fn look_up(&self, id: MoneyFlowId, deadline: Deadline) -> Result<(), Error> {
        let flow = self
            .database
            .with(async |connection| crate::money_flow::store::load(connection, id).await)
            .await?;
        if flow.provider_state.needs_call() {
            self.executor.execute(id, None, deadline).await?;
            return Ok(());
        }
        match (flow.direction, &flow.payment_id) {
            (Direction::Withdrawal, Some(payment)) => {
                self.payments.refresh_redemption(payment, None, deadline).await?;
            }
            (Direction::Deposit, Some(payment)) => {
                let deposit = self.broker.deposit(payment, deadline).await?;
                self.payments.record(Direction::Deposit, &deposit, None).await?;
            }
            (_, None) => {}
        }
        Ok(())
    }

    /// Compares users, those first who were compared longest ago, so that a run which is short of time leaves nobody out
    /// for good.
    async fn compare_all(&self, report: &mut Report, deadline: Deadline) -> Result<(), Error> {
        let since = self.returnable_since();
        let users = self
            .database
            .with(async |connection| store::users_to_compare(connection, since, MAX_USERS).await)
            .await?;
        let mut users = users.into_iter();
        while deadline.left() >= RESERVE {
            let Some(user) = users.next() else { break };
            if let Err(error) = self.compare_user(&user, report, deadline).await {
                tracing::error!(drivewealth_user_id = %user, error = chain(&error), "comparing a user failed");
                report.not_compared += 1;
            }
            self.set_compared(&user).await?;
        }
        report.left_over = u32::try_from(users.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    async fn set_compared(&self, user: &DriveWealthUserId) -> Result<(), Error> {
        let now = self.clock.now();
        self.database
            .with(async |connection| store::set_compared(connection, user, now).await)
            .await
    }

    fn returnable_since(&self) -> DateTime<Utc> {
        self.clock.now() - RETURN_WINDOW
    }
}
