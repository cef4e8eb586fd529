//! Withdrawals as traders ask for them: judged at once, reserved, approved by itself or left to a person.

pub(crate) mod facts;
pub(crate) mod outcome;
pub mod request;
pub(crate) mod row;
pub(crate) mod store;
pub mod view;

use chrono::{DateTime, TimeDelta, Utc};
use domain::funded::withdrawal::{
    WithdrawalEvent, WithdrawalStatus, gross_cents, reasons_against, reasons_for_review,
};
use domain::ids::{FundedAccountId, UserId, WithdrawalId};
use domain::transition::Transition;
use platform::clock::ClockHandle;
use platform::config::{Environment, FromEnvironment};
use platform::database::Database;
use platform::idempotency::{self, IdempotencyKey, KeyedRequest, Progress, Replayable, StoredResponse};
use platform::messaging::relay_waker::RelayWaker;
use platform::pagination::{Page, PageRequest};
use sqlx::PgConnection;

use crate::account::store as accounts;
use crate::live::store::LiveTable;
use crate::{Error, events, review};
use facts::LiveFacts;
use request::WithdrawalRequest;
use row::Withdrawal;
use store::{NewWithdrawal, WithdrawalList};
use view::WithdrawalView;

/// Over how long what nobody had to approve is summed up.
const A_DAY: TimeDelta = TimeDelta::hours(24);

/// Withdrawals of traders.
#[derive(Debug)]
pub struct Withdrawals {
    database: Database,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(Withdrawals {
    database,
    relay,
    clock,
});

/// Takes requests for withdrawals.
#[derive(Debug)]
pub struct WithdrawalRequests {
    withdrawals: Withdrawals,
    table: LiveTable,
}

impl FromEnvironment for WithdrawalRequests {
    fn read(environment: &mut Environment) -> Option<Self> {
        let withdrawals = Withdrawals::read(environment);
        let table = LiveTable::read(environment);
        Some(Self {
            withdrawals: withdrawals?,
            table: table?,
        })
    }
}

impl WithdrawalRequests {
    /// Asks for a withdrawal, once per key: judged, its profit reserved, and approved where nobody has to look at it.
    ///
    /// # Errors
    /// Invalid for what can't be an amount, not found for an account that isn't the trader's, a conflict with every reason
    /// against it.
    pub async fn request(
        &self,
        user: UserId,
        account: FundedAccountId,
        key: IdempotencyKey,
        request: &WithdrawalRequest,
    ) -> Result<Replayable<StoredResponse>, Error> {
        let amount_cents = request.amount_cents()?;
        let keyed = KeyedRequest::of_user(user, "request_withdrawal", key, &(account, request))?;
        let Withdrawals {
            database,
            relay,
            clock,
        } = &self.withdrawals;
        let live = match idempotency::find::<WithdrawalId>(database, &keyed).await? {
            Some(Progress::Answered(response)) => return Ok(Replayable::replayed(response)),
            Some(Progress::Intended(_)) => None,
            // No connection is held meanwhile.
            None => self.table.get(account).await?.map(|live| LiveFacts::from(&live)),
        };
        let now = clock.now();
        let intended = idempotency::intend(database, &keyed, async |connection| {
            store::lock_trader(connection, user).await?;
            store::hold_account(connection, account).await?;
            let owned = accounts::find(connection, user, account).await?;
            let owned = owned.ok_or(Error::AccountNotFound)?;
            let live = live.ok_or(Error::LiveStateUnknown)?;
            let new = judge(connection, user, owned.id, &live, amount_cents, now).await?;
            self.withdrawals.write(connection, &new, now).await
        });
        let id: WithdrawalId = match intended.await? {
            Progress::Answered(response) => return Ok(Replayable::replayed(response)),
            Progress::Intended(id) => id,
        };
        let response = database
            .transaction(async |connection| {
                let withdrawal = store::find(connection, id)
                    .await?
                    .ok_or(Error::WithdrawalNotFound)?;
                let view = WithdrawalView::from(&withdrawal);
                Ok::<_, Error>(idempotency::store_response(connection, &keyed, 201, &view).await?)
            })
            .await?;
        relay.wake().await;
        Ok(Replayable::new(response))
    }
}

/// What is to be written for a request; every reason against it otherwise.
async fn judge(
    connection: &mut PgConnection,
    user: UserId,
    account: FundedAccountId,
    live: &LiveFacts,
    amount_cents: i64,
    now: DateTime<Utc>,
) -> Result<NewWithdrawal, Error> {
    let terms = facts::terms(connection, account, None).await?;
    let terms = terms.ok_or(Error::AccountNotFound)?;
    let facts = facts::facts(connection, account, &terms, live).await?;
    let against = reasons_against(amount_cents, &facts, now);
    let gross_cents = gross_cents(amount_cents, terms.profit_split).filter(|_| against.is_empty());
    let gross_cents = gross_cents.ok_or(Error::NotAllowed(against))?;
    let (of_account, of_user) = store::approved_automatically(connection, account, user, now - A_DAY).await?;
    let reasons = reasons_for_review(amount_cents, of_account, of_user, terms.is_bank_known);
    Ok(NewWithdrawal {
        account,
        user,
        amount_cents,
        gross_cents,
        profit_split: terms.profit_split,
        status: if reasons.is_empty() {
            WithdrawalStatus::Approved
        } else {
            WithdrawalStatus::Pending
        },
        reasons,
        bank: terms.bank,
    })
}

impl Withdrawals {
    async fn write(
        &self,
        connection: &mut PgConnection,
        new: &NewWithdrawal,
        now: DateTime<Utc>,
    ) -> Result<WithdrawalId, Error> {
        let id = store::insert(connection, new, now).await?;
        let withdrawal = store::find(connection, id)
            .await?
            .ok_or(Error::WithdrawalNotFound)?;
        events::publish_withdrawal(connection, events::WITHDRAWAL_REQUESTED, &withdrawal, None, now).await?;
        match new.status {
            WithdrawalStatus::Approved => outcome::approved(connection, &withdrawal, now).await?,
            _ => review::withdrawal_waits(connection, &withdrawal, now).await?,
        }
        Ok(id)
    }

    /// Calls a withdrawal back that nobody has approved yet. One that was called back before stays so.
    ///
    /// # Errors
    /// Not found for a withdrawal that isn't the trader's; a conflict for one that is approved or has ended.
    pub async fn cancel(&self, user: UserId, id: WithdrawalId) -> Result<WithdrawalView, Error> {
        let now = self.clock.now();
        let withdrawal = self
            .database
            .transaction(async |connection| {
                let withdrawal = store::lock(connection, id).await?;
                let withdrawal = withdrawal
                    .filter(|withdrawal| withdrawal.user_id == user)
                    .ok_or(Error::WithdrawalNotFound)?;
                match withdrawal.status.after(WithdrawalEvent::Cancel, false) {
                    Transition::Applied(_) => {}
                    Transition::AlreadyApplied => return Ok(withdrawal),
                    Transition::Rejected(_) => return Err(Error::WithdrawalNotPending(withdrawal.status)),
                }
                store::cancel(connection, id, now).await?;
                review::withdrawal_settled(connection, &withdrawal, "its trader called it back", now).await?;
                let withdrawal = store::find(connection, id)
                    .await?
                    .ok_or(Error::WithdrawalNotFound)?;
                events::publish_withdrawal(connection, events::WITHDRAWAL_CANCELED, &withdrawal, None, now)
                    .await?;
                Ok(withdrawal)
            })
            .await?;
        self.relay.wake().await;
        Ok(WithdrawalView::from(&withdrawal))
    }
}

/// Withdrawals as their traders see them.
#[derive(Debug)]
pub struct AccountWithdrawals {
    database: Database,
}

platform::from_environment!(AccountWithdrawals { database });

impl AccountWithdrawals {
    /// A page of the account's withdrawals, newest first.
    ///
    /// # Errors
    /// Not found for an account that isn't the trader's.
    pub async fn list(
        &self,
        user: UserId,
        account: FundedAccountId,
        page: PageRequest<WithdrawalList>,
    ) -> Result<Page<WithdrawalView>, Error> {
        let withdrawals = self
            .database
            .with(async |connection| {
                let owned = accounts::find(connection, user, account).await?;
                let owned = owned.ok_or(Error::AccountNotFound)?;
                store::list(connection, owned.id, &page).await
            })
            .await?;
        let position = |withdrawal: &Withdrawal| withdrawal.id;
        Ok(Page::from_overfetched(
            &withdrawals,
            &page,
            |withdrawal| WithdrawalView::from(withdrawal),
            position,
        )?)
    }
}
