//! Bringing the targets of a run to the broker, and creating the run there.
//!
//! What is pushed is what was kept with the run, so that an attempt after a crash or a lost answer pushes the same. Funds and
//! portfolios are set, which twice is the same as once. A fund is made under a key of the run's and found again by the name
//! that we know it by. A run is made under a key of its own: DriveWealth answers a repetition with the first answer, and its
//! list of runs doesn't say which accounts they are for.
//!
//! Once the run may have been made, nothing is set again: nobody else changes the targets of an account whose run is under way,
//! and a refusal to set what is set would be taken for the end of a run that trades.

use chrono::TimeDelta;
use domain::ids::{DriveWealthFundId, DriveWealthUserId, ProfileId};
use domain::rate::Weight;
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::PlatformError;
use providers::drivewealth::{KEY_MEMORY, NewFund, Run};
use providers::outcome::{Decline, Outcome, ProviderError};
use uuid::Uuid;

use super::store::runs::{self, RunRow};
use super::targets::{KeptFund, KeptOrder, KeptTargets};
use crate::Error;
use crate::account_lease::Lease;
use crate::broker::{Broker, Client, PARTY};

/// So long before it forgets a key DriveWealth isn't asked under it any more.
const KEY_MARGIN: TimeDelta = TimeDelta::hours(1);
/// What our keys for the broker are made in.
const KEY_SPACE: Uuid = Uuid::from_u128(0x9f3c_0c5e_61f7_4c0b_8d4b_2f6f_7f0a_51d3);

/// Pushes targets.
#[derive(Debug)]
pub(super) struct Pusher {
    database: Database,
    broker: Broker,
    adviser: DriveWealthUserId,
    clock: ClockHandle,
}

platform::from_environment!(Pusher {
    database,
    broker,
    // The user of the adviser that we are at DriveWealth.
    adviser: |environment: &mut Environment| environment.required("DRIVEWEALTH_RIA_USER_ID"),
    clock,
});

/// What an attempt came to.
#[derive(Debug)]
pub(super) enum Pushed {
    /// The run is under way.
    Created(Run),
    /// The broker refuses a part of it.
    Refused(Decline),
    /// The run is too old to be created under its key.
    TooOld,
}

/// A part that the broker refuses, or a failure.
enum Stop {
    Refused(Decline),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Pusher {
    /// Pushes the targets of a planned run and creates it.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond, or the outcome of a call isn't known: the next attempt does it again.
    pub(super) async fn push(
        &self,
        lease: &Lease,
        run: &RunRow,
        profile: ProfileId,
        deadline: Deadline,
    ) -> Result<Pushed, Error> {
        if self.clock.now() - run.created_at >= KEY_MEMORY - KEY_MARGIN {
            return Ok(Pushed::TooOld);
        }
        let now = self.clock.now();
        let attempt = self
            .database
            .with(async |connection| runs::begin_attempt(connection, run.id, now).await)
            .await?;
        match self.try_push(lease, run, profile, attempt, deadline).await {
            Ok(created) => Ok(Pushed::Created(created)),
            Err(Stop::Refused(decline)) => Ok(Pushed::Refused(decline)),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn try_push(
        &self,
        lease: &Lease,
        run: &RunRow,
        profile: ProfileId,
        attempt: i32,
        deadline: Deadline,
    ) -> Result<Run, Stop> {
        let client = self.broker.client().await?;
        if run.creation_asked_at.is_none() {
            self.set_targets(&client, run, profile, attempt, deadline).await?;
            let now = self.clock.now();
            self.database
                .with(async |connection| runs::set_creation_asked(connection, run.id, now).await)
                .await?;
        }
        let key = Uuid::new_v5(&KEY_SPACE, format!("run {}", run.id).as_bytes());
        let account = lease.account();
        let created = client
            .create_run(&self.adviser, account, key, deadline.instant())
            .await;
        allowed(created)
    }

    /// Makes or sets the funds, then sets the portfolio.
    async fn set_targets(
        &self,
        client: &Client,
        run: &RunRow,
        profile: ProfileId,
        attempt: i32,
        deadline: Deadline,
    ) -> Result<(), Stop> {
        let mut funds = Vec::with_capacity(run.targets.funds.len());
        for fund in run.targets.funds.iter().filter(|fund| !fund.weight.is_zero()) {
            let id = self
                .push_fund(client, run, profile, fund, attempt, deadline)
                .await?;
            funds.push((id, fund.weight));
        }
        self.push_portfolio(client, &run.targets, &funds, deadline).await
    }

    /// Makes a fund, or sets what it consists of.
    async fn push_fund(
        &self,
        client: &Client,
        run: &RunRow,
        profile: ProfileId,
        fund: &KeptFund,
        attempt: i32,
        deadline: Deadline,
    ) -> Result<DriveWealthFundId, Stop> {
        let id = match (&fund.fund_id, &fund.order) {
            (Some(id), _) => id.clone(),
            (None, Some(order)) => {
                let known = self.known_fund(profile, order).await?;
                match known {
                    Some(id) => id,
                    None => {
                        return self
                            .make_fund(client, run, profile, (fund, order), attempt, deadline)
                            .await;
                    }
                }
            }
            (None, None) => {
                return Err(Error::from(PlatformError::Stored("drivewealth_autopilot_runs.targets")).into());
            }
        };
        if !fund.holdings.is_empty() {
            allowed(client.set_fund(&id, &fund.holdings(), deadline.instant()).await)?;
        }
        Ok(id)
    }

    async fn known_fund(
        &self,
        profile: ProfileId,
        order: &KeptOrder,
    ) -> Result<Option<DriveWealthFundId>, Error> {
        self.database
            .with(async |connection| runs::find_fund(connection, profile, order.collection_id).await)
            .await
    }

    /// Makes a fund that we don't know. A second attempt looks first whether the one before has made it.
    async fn make_fund(
        &self,
        client: &Client,
        run: &RunRow,
        profile: ProfileId,
        (fund, order): (&KeptFund, &KeptOrder),
        attempt: i32,
        deadline: Deadline,
    ) -> Result<DriveWealthFundId, Stop> {
        let collection = order.collection_id;
        let name = format!("{profile}_{collection}");
        let found = match attempt {
            ..=1 => None,
            _ => allowed(client.find_fund(&self.adviser, &name, deadline.instant()).await)?,
        };
        let id = match found {
            Some(id) => {
                allowed(client.set_fund(&id, &fund.holdings(), deadline.instant()).await)?;
                id
            }
            None => {
                let new = NewFund {
                    idempotency_key: Uuid::new_v5(&KEY_SPACE, format!("fund {name} {}", run.id).as_bytes()),
                    client_fund_id: name,
                    name: order.collection_name.clone(),
                    holdings: fund.holdings(),
                };
                allowed(client.create_fund(&self.adviser, &new, deadline.instant()).await)?
            }
        };
        let now = self.clock.now();
        self.database
            .with(async |connection| runs::insert_fund(connection, profile, order, &id, now).await)
            .await?;
        Ok(id)
    }

    async fn push_portfolio(
        &self,
        client: &Client,
        targets: &KeptTargets,
        funds: &[(DriveWealthFundId, Weight)],
        deadline: Deadline,
    ) -> Result<(), Stop> {
        let set = client
            .set_portfolio(&targets.portfolio_id, targets.cash, funds, deadline.instant())
            .await;
        allowed(set)
    }
}

/// The response, where a refusal stops the run and anything else the attempt.
fn allowed<T>(outcome: Outcome<T>) -> Result<T, Stop> {
    match outcome {
        Outcome::Done(response) => Ok(response),
        Outcome::Declined(decline) => Err(Stop::Refused(decline)),
        Outcome::Retryable(reason) | Outcome::Unknown(reason) => {
            Err(Stop::Failed(ProviderError::unavailable(PARTY, &reason).into()))
        }
    }
}
