//! From a user of the broker to an open account with a portfolio: the check's verdict, the account with the trading account
//! over it, the portfolio (all cash), and that the account follows it.
//!
//! Each step is looked for before it is taken: in our record, then in the broker's lists. It is taken under a key that is
//! made from what it belongs to, and recorded. So whoever takes a step again, at the same time or after a crash, finds or
//! gets what was made the first time. An event takes the way on; should it get lost, `next_step_at` does.

mod store;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{DriveWealthAccountId, DriveWealthPortfolioId, DriveWealthUserId};
use domain::trading::account::AccountStatus;
use domain::trading::kyc::status::{KycReport, KycStatus};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::chain;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use providers::drivewealth::{BrokerAccount, BrokerKyc, KEY_MEMORY, NewPortfolio};
use uuid::Uuid;

use self::store::Progress;
use crate::broker::{Broker, OurAdviser, PARTY};
use crate::{Error, account, kyc_status};

/// The trading account's name until its owner gives it another.
const ACCOUNT_NAME: &str = "Autopilot";
/// When a way goes on that no event takes on.
const PAUSE: TimeDelta = TimeDelta::minutes(5);
/// The same while people look at the check or the account.
const PAUSE_OF_PEOPLE: TimeDelta = TimeDelta::hours(1);
/// The most users that one run takes on.
const MAX_USERS: u32 = 1_000;
/// So long before DriveWealth forgets a key it isn't relied upon any more.
const KEY_MARGIN: TimeDelta = TimeDelta::hours(1);
/// A run ends by itself when less than this is left.
const RESERVE: Duration = Duration::from_secs(15);
/// What keys are made in.
const KEYS: Uuid = Uuid::from_u128(0x6d6f_6e65_7461_4b59_8000_6f6e_626f_6172);

/// The key of a step, which is always the same for what it belongs to.
pub(crate) fn key(step: &str, of: &str) -> Uuid {
    Uuid::new_v5(&KEYS, format!("{step}:{of}").as_bytes())
}

/// Takes users to their open accounts.
#[derive(Debug)]
pub struct Onboarding {
    database: Database,
    broker: Broker,
    adviser: OurAdviser,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(Onboarding {
    database,
    broker,
    adviser,
    relay,
    clock
});

impl Onboarding {
    /// Takes a user as far as they come now, if something is left to do. Nothing happens for one that isn't ours.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond, fatal when it refuses; taking the user on again goes on from there.
    pub async fn advance(&self, user: &DriveWealthUserId, deadline: Deadline) -> Result<(), Error> {
        let Some(before) = self.progress(user).await? else {
            return Ok(());
        };
        self.refresh_check(&before, user, deadline).await?;
        let is_left = before.is_under_way || before.account_id.is_none();
        let Some(progress) = self.progress(user).await?.filter(|_| is_left) else {
            return Ok(());
        };
        let next = self.take_steps(user, &progress, deadline).await?;
        self.database
            .with(async |connection| store::set_next_step(connection, user, next).await)
            .await
    }

    /// The same for a user whose way isn't at its end; others are left alone.
    ///
    /// # Errors
    /// As those of [`Self::advance`].
    pub async fn advance_if_under_way(
        &self,
        user: &DriveWealthUserId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        match self.progress(user).await? {
            Some(progress) if progress.is_under_way || progress.account_id.is_none() => {
                self.advance(user, deadline).await
            }
            _ => Ok(()),
        }
    }

    /// Takes on the users whose next step is due; gives how many there were, and how many failed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn advance_due(&self, deadline: Deadline) -> Result<(u32, u32), Error> {
        let (mut taken, mut failed) = (0, 0);
        while taken < MAX_USERS && deadline.left() >= RESERVE {
            let now = self.clock.now();
            let due = self
                .database
                .with(async |connection| store::claim_due(connection, now, now + PAUSE).await)
                .await?;
            let Some(user) = due else { break };
            taken += 1;
            if let Err(error) = self.advance(&user, deadline).await {
                tracing::warn!(drivewealth_user_id = %user, error = chain(&error), "taking a user on failed");
                failed += 1;
            }
        }
        Ok((taken, failed))
    }

    async fn progress(&self, user: &DriveWealthUserId) -> Result<Option<Progress>, Error> {
        self.database
            .with(async |connection| store::progress(connection, user).await)
            .await
    }

    /// Fetches what the broker says of the check, the user and the documents, and records it.
    async fn refresh_check(
        &self,
        progress: &Progress,
        user: &DriveWealthUserId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let client = self.broker.client().await?;
        let asked_at = self.clock.now();
        let kyc = client.kyc(user, deadline.instant()).await.done(PARTY)?;
        let broker_user = client.user(user, deadline.instant()).await.done(PARTY)?;
        let profile = progress.profile_id;
        let has_documents = self
            .database
            .with(async |connection| store::has_documents(connection, profile).await)
            .await?;
        let documents = match has_documents {
            true => client.documents_of(user, deadline.instant()).await.done(PARTY)?,
            false => Vec::new(),
        };
        let report = kyc.and_then(|kyc| report_of(kyc, asked_at));
        let is_new = self
            .database
            .transaction(async |connection| {
                store::save_user(connection, &broker_user).await?;
                store::save_documents(connection, &documents, asked_at).await?;
                match report {
                    Some(report) => kyc_status::record(connection, profile, report, asked_at).await,
                    None => Ok(false),
                }
            })
            .await?;
        if is_new {
            self.relay.wake().await;
        }
        Ok(())
    }

    /// Takes the steps that can be taken; gives when the way goes on, if something is left.
    async fn take_steps(
        &self,
        user: &DriveWealthUserId,
        progress: &Progress,
        deadline: Deadline,
    ) -> Result<Option<DateTime<Utc>>, Error> {
        let now = self.clock.now();
        let account_id = match (&progress.account_id, progress.kyc_status) {
            (Some(known), _) => known.clone(),
            (None, Some(KycStatus::Approved)) => self.open_account(user, progress, deadline).await?,
            (None, Some(KycStatus::ManualReview)) => return Ok(Some(now + PAUSE_OF_PEOPLE)),
            (None, None | Some(KycStatus::Ready | KycStatus::Processing)) => return Ok(Some(now + PAUSE)),
            // The person's turn: submitting the form again, or a document, takes the way on.
            (None, Some(_)) => return Ok(None),
        };
        let account = self.refresh_account(&account_id, deadline).await?;
        match account.status {
            AccountStatus::Open => {
                self.ensure_portfolio(progress, &account, deadline).await?;
                Ok(None)
            }
            AccountStatus::Pending => Ok(Some(now + PAUSE)),
            // It may open yet, and needs its portfolio then.
            AccountStatus::OpenNoNewTrades | AccountStatus::Frozen | AccountStatus::Unrecognised(_) => {
                Ok(Some(now + PAUSE_OF_PEOPLE))
            }
            AccountStatus::Closed => Ok(None),
        }
    }

    async fn open_account(
        &self,
        user: &DriveWealthUserId,
        progress: &Progress,
        deadline: Deadline,
    ) -> Result<DriveWealthAccountId, Error> {
        let client = self.broker.client().await?;
        let listed = client.accounts_of(user, deadline.instant()).await.done(PARTY)?;
        let account = match listed.into_iter().next() {
            Some(found) => found,
            None => {
                let key = key("account", user.as_str());
                let created = client.create_account(user, &self.adviser.0, key, deadline.instant());
                created.await.done(PARTY)?
            }
        };
        let account_no = account.account_no.clone().ok_or(Error::UnreadableAccount)?;
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                let profile = progress.profile_id;
                store::insert_account(
                    connection,
                    profile,
                    user,
                    &account,
                    &account_no,
                    ACCOUNT_NAME,
                    now,
                )
                .await
            })
            .await?;
        tracing::info!(profile_id = %progress.profile_id, drivewealth_account_id = %account.id, "recorded a new account");
        Ok(account.id)
    }

    /// Fetches the account's state and records it; one that is open for the first time is announced.
    async fn refresh_account(
        &self,
        id: &DriveWealthAccountId,
        deadline: Deadline,
    ) -> Result<BrokerAccount, Error> {
        let account = self.broker.account(id, deadline).await?;
        let saved = self
            .database
            .transaction(async |connection| account::apply_broker_state(connection, &account).await)
            .await?;
        if saved.is_some_and(|saved| saved.is_newly_open) {
            self.relay.wake().await;
        }
        Ok(account)
    }

    async fn ensure_portfolio(
        &self,
        progress: &Progress,
        account: &BrokerAccount,
        deadline: Deadline,
    ) -> Result<(), Error> {
        if progress.is_assigned {
            return Ok(());
        }
        if let Some(followed) = &account.portfolio_id {
            return self.record_portfolio(&account.id, followed, true).await;
        }
        let portfolio = match &progress.portfolio_id {
            Some(known) => known.clone(),
            None => self.make_portfolio(progress, account, deadline).await?,
        };
        let client = self.broker.client().await?;
        let assigned = client.assign_portfolio(&account.id, &portfolio, deadline.instant());
        assigned.await.done(PARTY)?;
        self.database
            .with(async |connection| store::set_assigned(connection, &account.id).await)
            .await
    }

    async fn make_portfolio(
        &self,
        progress: &Progress,
        account: &BrokerAccount,
        deadline: Deadline,
    ) -> Result<DriveWealthPortfolioId, Error> {
        let client = self.broker.client().await?;
        let new = NewPortfolio {
            client_id: progress.profile_id.to_string(),
            name: format!("Profile {}", progress.profile_id),
            idempotency_key: key("portfolio", account.id.as_str()),
        };
        let adviser = &self.adviser.0;
        let found = match self.may_be_forgotten(progress) {
            true => {
                let found = client.portfolio_of_client(adviser, &new.client_id, deadline.instant());
                found.await.done(PARTY)?
            }
            false => None,
        };
        let portfolio = match found {
            Some(found) => found,
            None => client
                .create_portfolio(adviser, &new, deadline.instant())
                .await
                .done(PARTY)?,
        };
        self.record_portfolio(&account.id, &portfolio, false).await?;
        Ok(portfolio)
    }

    /// Whether an earlier attempt may have been made under a key that DriveWealth knows no more. Only then its list is read, which
    /// has the portfolios of all customers.
    fn may_be_forgotten(&self, progress: &Progress) -> bool {
        let now = self.clock.now();
        let since = progress.account_since;
        since.is_some_and(|since| now - since >= KEY_MEMORY - KEY_MARGIN)
    }

    async fn record_portfolio(
        &self,
        account: &DriveWealthAccountId,
        portfolio: &DriveWealthPortfolioId,
        is_assigned: bool,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        self.database
            .with(async |connection| {
                store::insert_portfolio(connection, account, portfolio, is_assigned, now).await
            })
            .await
    }
}

/// A report of what the broker says. A state that we don't know changes nothing, and somebody has to look.
fn report_of(kyc: BrokerKyc, asked_at: DateTime<Utc>) -> Option<KycReport> {
    let Some(status) = kyc.status else {
        tracing::error!(
            status = kyc.status_name,
            "the check is in a state that nobody knows"
        );
        metrics::count("RefusedTransitions", 1);
        return None;
    };
    Some(KycReport {
        status,
        as_of: kyc.updated_at.unwrap_or(asked_at),
        errors: kyc.errors,
    })
}
