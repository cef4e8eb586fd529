//! The reconciler: finishes flows whose outcome isn't known, and finds what events never told.
//!
//! `due` looks at flows whose look-up is due (5 minutes, 1 hour, 1 day after they were asked for); `all` re-reads the
//! deposits, redemptions and accounts of everybody with open or lately settled flows. What differs goes through the
//! same transitions as events and is reported.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::clock::Clock;
use domain::ids::{DriveWealthUserId, MoneyFlowId};
use domain::trading::money_flow::Direction;
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::chain;
use platform::observability::metrics;
use providers::drivewealth::{Listed, Payment};
use serde::{Deserialize, Serialize};

use crate::broker::answered;
use crate::settlement::{Settled, Settlement};
use crate::store::payments::StoredPayment;
use crate::store::{self, accounts, money_flow, payments};
use crate::{Error, account_state};

/// The most flows that one run looks up.
const MAX_LOOKUPS: u32 = 1_000;
/// The most users that one run compares.
const MAX_USERS: i64 = 10_000;
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
    /// Payments of ours that the broker doesn't list.
    pub missing: u32,
    /// Flows whose look-up failed; it comes again.
    pub failed: u32,
    /// Users and payments that could not be compared; the next run tries again.
    pub not_compared: u32,
    /// Users for whom there was no time; the next run begins with them.
    pub left_over: u32,
}

impl Report {
    /// Counts what a person has to look at.
    fn tell(&self) {
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
        report.tell();
        Ok(report)
    }

    async fn look_up_due(&self, report: &mut Report, deadline: Deadline) -> Result<(), Error> {
        for _ in 0..MAX_LOOKUPS {
            if deadline.left() < RESERVE {
                tracing::warn!("time is short; the next run goes on");
                break;
            }
            let Some(flow) = self.claim_due().await? else {
                break;
            };
            report.looked_up += 1;
            if let Err(error) = self.look_up(flow, deadline).await {
                tracing::warn!(flow = flow.get(), error = chain(&error), "a look-up failed");
                report.failed += 1;
            }
        }
        Ok(())
    }

    async fn claim_due(&self) -> Result<Option<MoneyFlowId>, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        money_flow::claim_due(&mut connection).await
    }

    /// Finds out about one flow: by asking again under the same key while the broker remembers it, or by re-reading
    /// the payment.
    async fn look_up(&self, id: MoneyFlowId, deadline: Deadline) -> Result<(), Error> {
        let flow = {
            let mut connection = self.database.pool().await?.acquire().await?;
            money_flow::load(&mut connection, id).await?
        };
        if flow.provider_state.needs_asking() {
            self.settlement.carry_out(id, None, deadline).await?;
            return Ok(());
        }
        match (flow.direction, &flow.payment_id) {
            (Direction::Withdrawal, Some(payment)) => {
                self.settlement.follow_redemption(payment, None, deadline).await?;
            }
            (Direction::Deposit, Some(payment)) => {
                let client = self.settlement.broker().client().await?;
                let deposit = answered(client.deposit(payment, deadline.instant()).await)?;
                self.settlement.settle(Direction::Deposit, &deposit, None).await?;
            }
            (_, None) => {}
        }
        Ok(())
    }

    /// Looks at users, those first who were looked at longest ago, so that a run which is short of time leaves nobody out
    /// for good.
    async fn compare_all(&self, report: &mut Report, deadline: Deadline) -> Result<(), Error> {
        let mut users = {
            let mut connection = self.database.pool().await?.acquire().await?;
            payments::users_to_reconcile(&mut connection, self.returnable_since(), MAX_USERS)
                .await?
                .into_iter()
        };
        while deadline.left() >= RESERVE {
            let Some(user) = users.next() else { break };
            if let Err(error) = self.compare_user(&user, report, deadline).await {
                tracing::error!(error = chain(&error), "a user could not be compared");
                report.not_compared += 1;
            }
            let mut connection = self.database.pool().await?.acquire().await?;
            payments::set_reconciled(&mut connection, &user).await?;
        }
        report.left_over = u32::try_from(users.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    fn returnable_since(&self) -> DateTime<Utc> {
        SystemClock.now() - RETURN_WINDOW
    }

    async fn compare_user(
        &self,
        user: &DriveWealthUserId,
        report: &mut Report,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let client = self.settlement.broker().client().await?;
        let asked_at = self.time().await?;
        let deposits = answered(client.deposits_of(user, deadline.instant()).await)?;
        let deposits = self
            .with_stored(Direction::Deposit, user, deposits, asked_at)
            .await?;
        self.compare(deposits, report, deadline).await;
        let asked_at = self.time().await?;
        let redemptions = answered(client.redemptions_of(user, deadline.instant()).await)?;
        let redemptions = self
            .with_stored(Direction::Withdrawal, user, redemptions, asked_at)
            .await?;
        self.compare(redemptions, report, deadline).await;
        self.compare_account(user, report, deadline).await
    }

    async fn time(&self) -> Result<DateTime<Utc>, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        Ok(store::time(&mut connection).await?)
    }

    async fn with_stored(
        &self,
        direction: Direction,
        user: &DriveWealthUserId,
        listed: Listed,
        asked_at: DateTime<Utc>,
    ) -> Result<BothSides, Error> {
        let ids: Vec<String> = listed
            .payments
            .iter()
            .map(|payment| payment.id.as_str().to_owned())
            .collect();
        let since = self.returnable_since();
        let mut connection = self.database.pool().await?.acquire().await?;
        let stored = payments::stored(&mut connection, direction, &ids, user, since, asked_at).await?;
        Ok(BothSides {
            direction,
            listed,
            stored,
        })
    }

    /// Takes over payments that stand otherwise at the broker than here, each by itself, and reports what is there on one
    /// side alone.
    async fn compare(&self, both: BothSides, report: &mut Report, deadline: Deadline) {
        for reason in &both.listed.unreadable {
            tracing::error!(reason, "a payment in the broker's list can't be read");
            report.not_compared += 1;
        }
        for missing in both.missing() {
            tracing::error!(
                payment = missing.ref_id,
                "the broker's list lacks a payment of ours"
            );
            report.missing += 1;
        }
        for payment in &both.listed.payments {
            report.compared += 1;
            let known = both.known(payment);
            if known.is_none_or(|known| known.flow.is_none()) {
                let payment = payment.id.as_str();
                tracing::error!(payment, "the broker has a payment that no flow of ours made");
                report.foreign += 1;
            }
            if known.is_some_and(|known| known.agrees(payment)) {
                continue;
            }
            match self.take_over(both.direction, payment, deadline).await {
                Ok(Settled::Changed) => {
                    let (payment, code) = (payment.id.as_str(), payment.status_code);
                    tracing::error!(payment, code, "a difference is taken over");
                    report.differences += 1;
                }
                Ok(_) => {}
                Err(error) => {
                    let payment = payment.id.as_str();
                    tracing::error!(payment, error = chain(&error), "a payment could not be compared");
                    report.not_compared += 1;
                }
            }
        }
    }

    async fn take_over(
        &self,
        direction: Direction,
        payment: &Payment,
        deadline: Deadline,
    ) -> Result<Settled, Error> {
        match direction {
            Direction::Deposit => self.settlement.settle(direction, payment, None).await,
            Direction::Withdrawal => {
                self.settlement
                    .follow_redemption(&payment.id, None, deadline)
                    .await
            }
        }
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
        let as_of = self.time().await?;
        let reading = answered(client.account(&account, deadline.instant()).await)?;
        let cash = answered(client.cash(&account, deadline.instant()).await)?;
        let mut transaction = self.database.begin().await?;
        let kept = account_state::take_over(&mut transaction, &reading).await?;
        accounts::keep_cash(&mut transaction, &account, &cash, as_of).await?;
        transaction.commit().await?;
        if kept.is_some_and(|account| account.has_changed) {
            report.differences += 1;
            tracing::error!(status = %reading.status, "an account's state differed and is taken over");
        }
        Ok(())
    }
}

/// What the broker lists of a user's payments, beside what is stored of them.
struct BothSides {
    direction: Direction,
    listed: Listed,
    stored: Vec<StoredPayment>,
}

impl BothSides {
    fn known(&self, payment: &Payment) -> Option<&StoredPayment> {
        self.stored
            .iter()
            .find(|stored| stored.ref_id == payment.id.as_str())
    }

    /// Stored payments that the broker doesn't list. One that came while it was asked may well be missing, and so may
    /// one that is among those which can't be read.
    fn missing(&self) -> impl Iterator<Item = &StoredPayment> {
        let is_listed = |stored: &StoredPayment| {
            self.listed
                .payments
                .iter()
                .any(|payment| payment.id.as_str() == stored.ref_id)
        };
        let all_readable = self.listed.unreadable.is_empty();
        self.stored
            .iter()
            .filter(move |stored| all_readable && stored.is_older && !is_listed(stored))
    }
}
