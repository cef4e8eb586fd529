//! Carrying out the orders of an account, one step a message: plan and push, look after the run, end it (README,
//! Collections).
//!
//! A run is written with its whole target set and the frozen amounts of its versions in one transaction; then the broker is
//! asked. While it is under way, other versions stay pending and a change of cash is remembered. Its end ends its versions
//! and sends another message, which first lets the targets follow the cash, then plans what is pending.
//!
//! A message costs 3 statements for the lease, 4 to read what is pending, and 8 for a plan.

pub mod due;
mod ending;
mod order;
mod plan;
mod push;
mod ruling;
mod store;
mod targets;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::ids::{CollectionId, CollectionVersionId};
use domain::money::Money;
use domain::trading::collection::order::Side;
use domain::trading::collection::rebalancing::NotCarriedOut;
use domain::trading::collection::run::RunState;
use domain::trading::collection::version::{CollectionVersionEvent, CollectionVersionStatus, is_carried_out};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::PlatformError;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::{metrics, telemetry};
use providers::drivewealth::Run;
use sqlx::PgConnection;

use self::ending::{ACCOUNT_ERROR, ACCOUNT_NOT_OPEN, BUYING_SUSPENDED, End, REFUSED_BY_BROKER, RUN_FAILED};
use self::order::PendingOrder;
use self::plan::{Planned, plan_orders};
use self::push::{Pushed, Pusher};
pub(crate) use self::ruling::{Ruling, rule};
use self::store::runs::{self, NewRun, RunRow};
use self::store::versions::{self, Executing};
use crate::Error;
use crate::account_lease::store as leases;
use crate::account_lease::{AccountLeases, Lease};
use crate::broker::{Broker, PARTY};
use crate::collection_version::store::{insert_contents, lock_account};
use crate::events::{self, AccountDue, CollectionVersionEnded};
use crate::portfolio::snapshot::{PortfolioReader, PortfolioSnapshot};
use crate::portfolio::targets::CashTargets;
use crate::review::{self, OverdueRun};

/// A run that has no end by then is for a person.
const OVERDUE_AFTER: TimeDelta = TimeDelta::hours(24);

/// Works on the orders of an account.
#[derive(Debug)]
pub struct AccountWork {
    database: Database,
    broker: Broker,
    leases: AccountLeases,
    reader: PortfolioReader,
    targets: CashTargets,
    pusher: Pusher,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(AccountWork {
    database,
    broker,
    leases,
    reader,
    targets,
    pusher,
    relay,
    clock
});

impl AccountWork {
    /// Does what is next for the account. Done twice, or for nothing, it changes nothing.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond, its figures don't hold together, or somebody else is changing the account.
    pub async fn work(&self, due: &AccountDue, deadline: Deadline) -> Result<(), Error> {
        telemetry::identify(due.profile_id.get());
        let account = &due.drivewealth_account_id;
        self.leases
            .under(account, deadline, async |lease| {
                self.step(lease, due, deadline).await
            })
            .await
    }

    async fn step(&self, lease: &Lease, due: &AccountDue, deadline: Deadline) -> Result<(), Error> {
        let account = lease.account();
        let under_way = self
            .database
            .with(async |connection| runs::under_way(connection, account).await)
            .await?;
        if let Some(run) = &under_way {
            // First of all: whatever the broker refuses to tell or do now, a person is told, and can rule.
            self.report_if_overdue(due, run).await?;
        }
        let run = match under_way {
            Some(run) if run.ruling.is_some() => return self.end_by_ruling(lease, due, &run, deadline).await,
            Some(run) if run.ref_id.is_some() => return self.look_after(lease, due, &run, deadline).await,
            Some(run) => run,
            None => {
                self.follow_cash(lease, deadline).await?;
                match self.plan(lease, due, deadline).await? {
                    Some(run) => run,
                    None => return Ok(()),
                }
            }
        };
        self.push(lease, due, &run, deadline).await
    }

    /// Lets the targets follow a change of cash that was remembered.
    async fn follow_cash(&self, lease: &Lease, deadline: Deadline) -> Result<(), Error> {
        let account = lease.account();
        let now = self.clock.now();
        let changed = self
            .database
            .with(async |connection| leases::cash_change(connection, account).await)
            .await?;
        if changed.is_none() {
            return Ok(());
        }
        let result = self.targets.follow(account, deadline).await?;
        self.database
            .transaction(async |connection| {
                result.save(connection, account).await?;
                leases::forget_cash_change(connection, account, now).await
            })
            .await
    }

    /// Decides what becomes of the pending orders that are due; `None` when no run comes of it. Those that have waited past the close,
    /// for a run or through an outage, wait for `apply_pending_versions` of the next trading day.
    async fn plan(
        &self,
        lease: &Lease,
        due: &AccountDue,
        deadline: Deadline,
    ) -> Result<Option<RunRow>, Error> {
        let now = self.clock.now();
        if !is_carried_out(now) {
            return Ok(None);
        }
        let has_due = self
            .database
            .with(async |connection| versions::has_due(connection, due.trading_account_id, now).await)
            .await?;
        if !has_due {
            return Ok(None);
        }
        let snapshot = match self.reader.read(lease.account(), deadline).await {
            Err(Error::NoPortfolio) => None,
            snapshot => Some(snapshot?),
        };
        let run = self
            .database
            .transaction(async |connection| {
                lease.hold(connection).await?;
                self.plan_within(connection, due, snapshot.as_ref()).await
            })
            .await?;
        self.relay.wake().await;
        Ok(run)
    }

    async fn plan_within(
        &self,
        connection: &mut PgConnection,
        due: &AccountDue,
        snapshot: Option<&PortfolioSnapshot>,
    ) -> Result<Option<RunRow>, Error> {
        let now = self.clock.now();
        let account = lock_account(connection, due.trading_account_id).await?;
        let (orders, instruments) = versions::lock_due(connection, due.trading_account_id, now).await?;
        let collections: BTreeMap<_, _> = orders
            .iter()
            .map(|order| (order.id, order.collection_id))
            .collect();
        let may_buy = account.refuse_suspended().is_ok();
        let (allowed, refused): (Vec<PendingOrder>, _) = match snapshot {
            Some(_) => orders
                .into_iter()
                .partition(|order| may_buy || order.delta.side() == Side::Sell),
            None => (Vec::new(), orders),
        };
        let code = if snapshot.is_some() {
            BUYING_SUSPENDED
        } else {
            ACCOUNT_NOT_OPEN
        };
        let mut failed: Vec<_> = refused.iter().map(|order| (order.id, code.to_owned())).collect();
        let planned = match snapshot {
            Some(snapshot) if !allowed.is_empty() => Some(plan_orders(snapshot, &allowed, &instruments)?),
            _ => None,
        };
        let mut carried_out = Vec::new();
        if let Some(planned) = &planned {
            let (done, not_done) = sorted(planned);
            carried_out = done;
            failed.extend(not_done);
        }
        self.fail(connection, due, &collections, &failed).await?;
        let first = carried_out.iter().map(|(id, _)| *id).min();
        let (Some(planned), Some(first)) = (planned, first) else {
            return Ok(None);
        };
        let contents: Vec<_> = planned
            .contents
            .iter()
            .map(|(id, weights)| (*id, weights))
            .collect();
        insert_contents(connection, &contents).await?;
        let new = NewRun {
            drivewealth_account_id: &due.drivewealth_account_id,
            version_id: first,
            targets: &planned.targets,
        };
        let run = runs::insert(connection, &new, now).await?;
        versions::execute(connection, run.id, &carried_out, now).await?;
        Ok(Some(run))
    }

    /// Fails orders that can't be carried out; they are locked.
    async fn fail(
        &self,
        connection: &mut PgConnection,
        due: &AccountDue,
        collections: &BTreeMap<CollectionVersionId, CollectionId>,
        failed: &[(CollectionVersionId, String)],
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let ended = failed.iter().filter_map(|(id, code)| {
            Some(CollectionVersionEnded {
                collection_version_id: *id,
                profile_id: due.profile_id,
                trading_account_id: due.trading_account_id,
                collection_id: *collections.get(id)?,
                actual_amount_cents: None,
                reason: Some(code.clone()),
            })
        });
        events::publish_collection_versions_ended(connection, now, ended.collect()).await?;
        versions::fail_pending(connection, failed, now).await
    }

    /// Brings the targets to the broker and creates the run there.
    async fn push(
        &self,
        lease: &Lease,
        due: &AccountDue,
        run: &RunRow,
        deadline: Deadline,
    ) -> Result<(), Error> {
        match self.pusher.push(lease, run, due.profile_id, deadline).await? {
            Pushed::Created(created) => {
                let now = self.clock.now();
                self.database
                    .with(async |connection| runs::open(connection, run.id, &created, now).await)
                    .await
            }
            Pushed::Refused(decline) => {
                tracing::error!(run_id = %run.id, code = decline.code, "the broker refused the targets of a run");
                metrics::count("RefusedRuns", 1);
                let end = End::Failed {
                    code: REFUSED_BY_BROKER,
                    reason: decline.code,
                };
                self.end(lease, due, run, RunState::Failed, "", end).await
            }
            Pushed::TooOld => Ok(()),
        }
    }

    /// Asks the broker about the run, and ends it when it has ended.
    async fn look_after(
        &self,
        lease: &Lease,
        due: &AccountDue,
        run: &RunRow,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let Some(ref_id) = &run.ref_id else { return Ok(()) };
        let client = self.broker.client().await?;
        let told = client.run(ref_id, deadline.instant()).await.done(PARTY)?;
        let state = RunState::of(&told.status);
        if !state.has_ended() {
            return self.note(run, state, &told).await;
        }
        self.conclude(
            lease,
            due,
            run,
            (state, &told.status, told.accounts_with_errors),
            deadline,
        )
        .await
    }

    /// Ends a run as a person has ruled.
    async fn end_by_ruling(
        &self,
        lease: &Lease,
        due: &AccountDue,
        run: &RunRow,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let ruling = run.ruling.as_deref().and_then(Ruling::of);
        let ruling = ruling.ok_or(PlatformError::Stored("drivewealth_autopilot_runs.ruling"))?;
        let status = format!("ruled {}", ruling.name());
        self.conclude(lease, due, run, (ruling.end(), &status, 0), deadline)
            .await
    }

    /// Ends a run with what it has traded.
    async fn conclude(
        &self,
        lease: &Lease,
        due: &AccountDue,
        run: &RunRow,
        (state, status, accounts_with_errors): (RunState, &str, u64),
        deadline: Deadline,
    ) -> Result<(), Error> {
        let account = lease.account();
        let client = self.broker.client().await?;
        let versions = self
            .database
            .with(async |connection| versions::executing(connection, run.id).await)
            .await?;
        let end = match state {
            RunState::NothingToTrade => End::without_trades(&versions),
            RunState::Succeeded => {
                let period = (run.created_at, self.clock.now());
                let trades = client
                    .trades(account, period, deadline.instant())
                    .await
                    .done(PARTY)?;
                if accounts_with_errors > 0 {
                    // Its end says that an account has an error, so the account itself is looked at.
                    self.reader.read(account, deadline).await?;
                }
                if accounts_with_errors > 0 && trades.is_empty() {
                    End::Failed {
                        code: ACCOUNT_ERROR,
                        reason: status.to_owned(),
                    }
                } else {
                    End::of_trades(&run.targets, &versions, &trades)?
                }
            }
            _ => End::Failed {
                code: RUN_FAILED,
                reason: status.to_owned(),
            },
        };
        if let End::Complete(_) = &end {
            self.refresh_cash(lease, deadline).await?;
        }
        self.end(lease, due, run, state, status, end).await
    }

    /// The app shows the cash that the run has left. After one that failed the targets follow the cash, which reads it too.
    async fn refresh_cash(&self, lease: &Lease, deadline: Deadline) -> Result<(), Error> {
        let account = lease.account();
        let as_of = self.clock.now();
        let cash = self.broker.cash(account, deadline).await?;
        self.database
            .with(async |connection| {
                crate::account::store::save_cash(connection, account, &cash, as_of).await
            })
            .await
    }

    /// Notes where a run is that goes on.
    async fn note(&self, run: &RunRow, state: RunState, told: &Run) -> Result<(), Error> {
        if state == RunState::Unrecognised {
            tracing::error!(run_id = %run.id, status = told.status, "the broker tells a state of a run that nobody knows");
            metrics::count("UnknownRunStates", 1);
        }
        let now = self.clock.now();
        self.database
            .with(async |connection| runs::note(connection, run.id, &told.status, now).await)
            .await
    }

    /// Leaves a run that has no end for a day to a person, once: nothing is guessed. It is gone on with all the same.
    async fn report_if_overdue(&self, due: &AccountDue, run: &RunRow) -> Result<(), Error> {
        let now = self.clock.now();
        if now - run.created_at < OVERDUE_AFTER {
            return Ok(());
        }
        let overdue = OverdueRun {
            id: run.id,
            profile: due.profile_id,
            created_at: run.created_at,
            ref_id: run.ref_id.as_ref(),
            status: &run.status,
        };
        let is_new = self
            .database
            .transaction(async |connection| {
                let is_new = runs::set_overdue(connection, run.id, now).await?;
                if is_new {
                    review::overdue_run(connection, &overdue, now).await?;
                }
                Ok::<_, Error>(is_new)
            })
            .await?;
        if is_new {
            tracing::error!(run_id = %run.id, "a run has no end");
            metrics::count("OverdueRuns", 1);
        }
        Ok(())
    }

    /// Ends the run and its versions, and lets the account be worked on again.
    async fn end(
        &self,
        lease: &Lease,
        due: &AccountDue,
        run: &RunRow,
        state: RunState,
        status: &str,
        end: End,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                lease.hold(connection).await?;
                if !runs::end(connection, run.id, state, status, now).await? {
                    return Ok(());
                }
                review::settle_overdue_run(connection, run.id, status, now).await?;
                let executing = versions::executing(connection, run.id).await?;
                let ended: Vec<_> = executing
                    .iter()
                    .filter_map(|version| ended(due, version, &end))
                    .collect();
                versions::end(connection, run.id, &ended, failure_reason(&end), now).await?;
                events::publish_collection_versions_ended(connection, now, ended).await?;
                if matches!(end, End::Failed { .. }) {
                    // Its targets would be traded by the next run, or by drift.
                    leases::remember_cash_change(connection, lease.account(), now).await?;
                }
                events::publish_accounts_due(connection, now, vec![due.clone()]).await
            })
            .await?;
        self.relay.wake().await;
        Ok(())
    }
}

/// The orders that are carried out with the cents that they move, and the others with the codes of their reasons.
type Sorted = (
    Vec<(CollectionVersionId, i64)>,
    Vec<(CollectionVersionId, String)>,
);

fn sorted(planned: &Planned) -> Sorted {
    let results: BTreeMap<CollectionVersionId, Result<Money, NotCarriedOut>> =
        planned.plan.orders.iter().copied().collect();
    let carried_out = results
        .iter()
        .filter_map(|(id, result)| Some((*id, result.ok()?.minor())));
    let failed = results.iter().filter_map(|(id, result)| {
        let reason = result.err()?;
        Some((*id, reason.name().replace('_', "-")))
    });
    (carried_out.collect(), failed.collect())
}

/// The end of a version, by its transition; `None` for one that has ended already.
fn ended(due: &AccountDue, version: &Executing, end: &End) -> Option<CollectionVersionEnded> {
    let (event, actual_amount_cents, reason) = match end {
        End::Complete(amounts) => {
            let amount = amounts.get(&version.id).copied().unwrap_or(0);
            (CollectionVersionEvent::Complete, Some(amount), None)
        }
        End::Failed { code, .. } => (CollectionVersionEvent::Fail, None, Some((*code).to_owned())),
    };
    version
        .status
        .after(event)
        .applied()
        .map(|_: CollectionVersionStatus| CollectionVersionEnded {
            collection_version_id: version.id,
            profile_id: due.profile_id,
            trading_account_id: due.trading_account_id,
            collection_id: version.collection_id,
            actual_amount_cents,
            reason,
        })
}

fn failure_reason(end: &End) -> Option<&str> {
    match end {
        End::Complete(_) => None,
        End::Failed { reason, .. } => Some(reason),
    }
}
