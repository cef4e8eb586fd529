//! The reconciler: finishes flows whose outcome isn't known, and finds what events never told.
//!
//! `due` looks at flows whose look-up is due (5 minutes, 1 hour, 1 day after they were asked for); `all` re-reads the
//! deposits, redemptions and accounts of everybody with open or lately settled flows. What differs goes through the
//! same transitions as events and is reported.

use std::time::Duration;

use chrono::TimeDelta;
use domain::clock::Clock;
use domain::ids::{DriveWealthUserId, MoneyFlowId};
use domain::trading::money_flow::{Direction, ProviderState};
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::metrics;
use platform::problem::chain;
use providers::drivewealth::{KEY_MEMORY, Payment};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::Error;
use crate::broker::expect;
use crate::settlement::{Settled, Settlement, give_up};
use crate::store::{accounts, money_flow, payments};

/// Flows that one run looks at.
const BATCH: i64 = 100;
/// A bank may return a deposit this long after it settled.
const RETURN_WINDOW: TimeDelta = TimeDelta::days(60);
/// A run ends by itself when less than this is left.
const RESERVE: Duration = Duration::from_secs(15);

/// What a run looks at.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Flows whose look-up is due.
    #[default]
    Due,
    /// These, and everything the broker has of users with open or lately settled flows.
    All,
}

/// What a run found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Flows whose outcome was looked up.
    pub looked_up: u32,
    /// Payments compared with the broker's.
    pub compared: u32,
    /// Differences that were found and taken over.
    pub differences: u32,
    /// Payments at the broker that belong to no flow of ours.
    pub foreign: u32,
    /// Flows or users that could not be looked at; the next run does.
    pub failed: u32,
}

/// The reconciler.
#[derive(Debug)]
pub struct Reconciler {
    database: Arc<Database>,
    settlement: Settlement,
}

impl Reconciler {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment).map(Arc::new);
        let settlement = Settlement::read(environment, database.as_ref());
        Some(Self {
            database: database?,
            settlement: settlement?,
        })
    }

    /// Runs until everything is looked at or time is short.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, scope: Scope, deadline: Deadline) -> Result<Report, Error> {
        let mut report = Report::default();
        self.look_up_due(&mut report, deadline).await?;
        if matches!(scope, Scope::All) {
            self.compare_all(&mut report, deadline).await?;
        }
        if report.differences > 0 {
            metrics::count("ReconciliationDifferences", u64::from(report.differences));
        }
        Ok(report)
    }

    async fn look_up_due(&self, report: &mut Report, deadline: Deadline) -> Result<(), Error> {
        loop {
            let due = {
                let mut connection = self.database.pool().await?.acquire().await?;
                money_flow::claim_due(&mut connection, BATCH).await?
            };
            if due.is_empty() {
                return Ok(());
            }
            for flow in due {
                if deadline.left() < RESERVE {
                    tracing::warn!("time is short; the next run goes on");
                    return Ok(());
                }
                report.looked_up += 1;
                if let Err(error) = self.look_up(flow, deadline).await {
                    tracing::warn!(flow = flow.get(), error = chain(&error), "a look-up failed");
                    report.failed += 1;
                }
            }
        }
    }

    /// Finds out about one flow: by asking again under the same key while the broker remembers it, or by re-reading
    /// the payment.
    async fn look_up(&self, id: MoneyFlowId, deadline: Deadline) -> Result<(), Error> {
        let flow = {
            let mut connection = self.database.pool().await?.acquire().await?;
            money_flow::load(&mut connection, id).await?
        };
        if flow.provider_state.needs_asking() {
            if SystemClock.now() - flow.created_at >= KEY_MEMORY {
                let mut connection = self.database.pool().await?.acquire().await?;
                return give_up(&mut connection, id, "the broker has forgotten the request's key").await;
            }
            self.settlement.carry_out(id, None, deadline).await?;
            return Ok(());
        }
        match (flow.direction, &flow.payment_id) {
            (Direction::Withdrawal, Some(payment)) => {
                self.settlement.follow_redemption(payment, None, deadline).await?;
            }
            (Direction::Deposit, Some(payment)) => {
                let client = self.settlement.broker().client().await?;
                let deposit = expect(client.deposit(payment, deadline.instant()).await)?;
                self.settlement.settle(Direction::Deposit, &deposit, None).await?;
                let mut connection = self.database.pool().await?.acquire().await?;
                money_flow::set_provider_state(&mut connection, id, ProviderState::Accepted, None).await?;
            }
            (_, None) => {}
        }
        Ok(())
    }

    async fn compare_all(&self, report: &mut Report, deadline: Deadline) -> Result<(), Error> {
        let users = {
            let mut connection = self.database.pool().await?.acquire().await?;
            payments::users_to_reconcile(&mut connection, SystemClock.now() - RETURN_WINDOW).await?
        };
        for user in users {
            if deadline.left() < RESERVE {
                tracing::warn!("time is short; the next run goes on");
                return Ok(());
            }
            if let Err(error) = self.compare_user(&user, report, deadline).await {
                tracing::warn!(error = chain(&error), "a user could not be compared");
                report.failed += 1;
            }
        }
        Ok(())
    }

    async fn compare_user(
        &self,
        user: &DriveWealthUserId,
        report: &mut Report,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let client = self.settlement.broker().client().await?;
        let deposits = expect(client.deposits_of(user, deadline.instant()).await)?;
        self.compare(Direction::Deposit, &deposits, report, deadline)
            .await?;
        let redemptions = expect(client.redemptions_of(user, deadline.instant()).await)?;
        self.compare(Direction::Withdrawal, &redemptions, report, deadline)
            .await?;
        self.compare_account(user, report, deadline).await
    }

    /// Takes over payments that stand otherwise at the broker than here.
    async fn compare(
        &self,
        direction: Direction,
        listed: &[Payment],
        report: &mut Report,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let ids: Vec<String> = listed
            .iter()
            .map(|payment| payment.id.as_str().to_owned())
            .collect();
        let stored = {
            let mut connection = self.database.pool().await?.acquire().await?;
            payments::stored(&mut connection, direction, &ids).await?
        };
        for payment in listed {
            report.compared += 1;
            let known = stored.iter().find(|stored| stored.ref_id == payment.id.as_str());
            if known.is_none_or(|known| !known.is_linked) {
                report.foreign += 1;
                tracing::error!(
                    payment = payment.id.as_str(),
                    "the broker has a payment that no flow of ours made"
                );
            }
            if known.is_some_and(|known| known.status_code == payment.status_code) {
                continue;
            }
            let settled = match direction {
                Direction::Deposit => self.settlement.settle(direction, payment, None).await?,
                Direction::Withdrawal => {
                    self.settlement
                        .follow_redemption(&payment.id, None, deadline)
                        .await?
                }
            };
            if settled == Settled::Changed {
                report.differences += 1;
                tracing::error!(
                    payment = payment.id.as_str(),
                    code = payment.status_code,
                    "a difference is taken over"
                );
            }
        }
        Ok(())
    }

    async fn compare_account(
        &self,
        user: &DriveWealthUserId,
        report: &mut Report,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let account = {
            let mut connection = self.database.pool().await?.acquire().await?;
            accounts::of_user(&mut connection, user).await?
        };
        let Some(account) = account else {
            return Ok(());
        };
        let client = self.settlement.broker().client().await?;
        let as_of = SystemClock.now();
        let reading = expect(client.account(&account, deadline.instant()).await)?;
        let cash = expect(client.cash(&account, deadline.instant()).await)?;
        let mut transaction = self.database.begin().await?;
        let kept = accounts::keep_status(&mut transaction, &reading).await?;
        accounts::keep_cash(&mut transaction, &account, &cash, as_of).await?;
        transaction.commit().await?;
        if kept.is_some_and(|account| account.has_changed) {
            report.differences += 1;
            tracing::error!(status = %reading.status, "an account's state differed and is taken over");
        }
        Ok(())
    }
}
