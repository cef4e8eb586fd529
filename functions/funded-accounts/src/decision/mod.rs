//! What operators decide about withdrawals that wait: here by routes of their own, and through the same rules by a
//! [review](crate::review_decision).

pub mod request;
mod store;
pub mod view;

use chrono::{DateTime, Utc};
use domain::funded::withdrawal::{NotAllowed, WithdrawalStatus, reasons_against};
use domain::ids::WithdrawalId;
use platform::clock::ClockHandle;
use platform::config::{Environment, FromEnvironment};
use platform::database::Database;
use platform::messaging::relay_waker::RelayWaker;
use platform::pagination::{Page, PageRequest};
use platform::security::identity::Operator;
use sqlx::PgConnection;

use crate::live::store::LiveTable;
use crate::withdrawal::facts::{self, LiveFacts};
use crate::withdrawal::row::Withdrawal;
use crate::withdrawal::view::WithdrawalView;
use crate::withdrawal::{outcome, store as withdrawals};
use crate::{Error, review};
use request::RejectionRequest;
use store::{Pending, PendingWithdrawalList};
use view::PendingWithdrawalView;

/// What waits for operators.
#[derive(Debug)]
pub struct PendingWithdrawals {
    database: Database,
}

platform::from_environment!(PendingWithdrawals { database });

impl PendingWithdrawals {
    /// A page of the withdrawals that wait, the one that waits longest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(
        &self,
        page: PageRequest<PendingWithdrawalList>,
    ) -> Result<Page<PendingWithdrawalView>, Error> {
        let pending = self
            .database
            .with(async |connection| store::pending(connection, &page).await)
            .await?;
        let position = |pending: &Pending| pending.id;
        Ok(Page::from_overfetched(
            &pending,
            &page,
            |pending| PendingWithdrawalView::from(pending),
            position,
        )?)
    }
}

/// Carries out what operators decide.
#[derive(Debug)]
pub struct WithdrawalDecisions {
    database: Database,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(WithdrawalDecisions {
    database,
    relay,
    clock,
});

/// Carries out approvals, for which the live state is asked.
#[derive(Debug)]
pub struct WithdrawalApprovals {
    decisions: WithdrawalDecisions,
    table: LiveTable,
}

impl FromEnvironment for WithdrawalApprovals {
    fn read(environment: &mut Environment) -> Option<Self> {
        let decisions = WithdrawalDecisions::read(environment);
        let table = LiveTable::read(environment);
        Some(Self {
            decisions: decisions?,
            table: table?,
        })
    }
}

impl WithdrawalApprovals {
    /// Approves a withdrawal that waits, judged by the live state. The same operator's approval again changes nothing.
    ///
    /// # Errors
    /// Not found for no withdrawal; a conflict for one that somebody else has decided, that has ended, or that isn't allowed
    /// any more.
    pub async fn approve(&self, operator: &Operator, id: WithdrawalId) -> Result<WithdrawalView, Error> {
        let WithdrawalDecisions {
            database,
            relay,
            clock,
        } = &self.decisions;
        let known = database
            .with(async |connection| withdrawals::find(connection, id).await)
            .await?
            .ok_or(Error::WithdrawalNotFound)?;
        // No connection is held meanwhile.
        let live = self.table.get(known.funded_account_id).await?;
        let live = live
            .map(|live| LiveFacts::from(&live))
            .ok_or(Error::LiveStateUnknown)?;
        let now = clock.now();
        let approved = database
            .transaction(async |connection| {
                let withdrawal = withdrawals::lock(connection, id).await?;
                let withdrawal = withdrawal.ok_or(Error::WithdrawalNotFound)?;
                if withdrawal.is_decided_by(operator, WithdrawalStatus::Approved) {
                    return Ok(withdrawal);
                }
                approve(connection, &withdrawal, Some(&live), operator.as_str(), now).await?;
                decided(connection, &withdrawal, operator, now).await
            })
            .await?;
        relay.wake().await;
        Ok(WithdrawalView::from(&approved))
    }
}

impl WithdrawalDecisions {
    /// Rejects a withdrawal that waits. The same operator's rejection again changes nothing.
    ///
    /// # Errors
    /// Not found for no withdrawal; a conflict for one that somebody else has decided, or that has ended.
    pub async fn reject(
        &self,
        operator: &Operator,
        id: WithdrawalId,
        request: &RejectionRequest,
    ) -> Result<WithdrawalView, Error> {
        let reason = request.reason()?;
        let now = self.clock.now();
        let rejected = self
            .database
            .transaction(async |connection| {
                let withdrawal = withdrawals::lock(connection, id).await?;
                let withdrawal = withdrawal.ok_or(Error::WithdrawalNotFound)?;
                if withdrawal.is_decided_by(operator, WithdrawalStatus::Rejected) {
                    return Ok(withdrawal);
                }
                if withdrawal.status != WithdrawalStatus::Pending {
                    return Err(Error::WithdrawalNotPending(withdrawal.status));
                }
                outcome::reject(connection, &withdrawal, operator.as_str(), reason, now).await?;
                decided(connection, &withdrawal, operator, now).await
            })
            .await?;
        self.relay.wake().await;
        Ok(WithdrawalView::from(&rejected))
    }
}

impl Withdrawal {
    /// Whether this operator has decided it so before: an approved one may have gone on meanwhile.
    fn is_decided_by(&self, operator: &Operator, status: WithdrawalStatus) -> bool {
        let went_on = status == WithdrawalStatus::Approved && self.status == WithdrawalStatus::Completed;
        self.reviewed_by.as_deref() == Some(operator.as_str()) && (self.status == status || went_on)
    }
}

/// Approves a withdrawal that waits, judged by the live state, or by the record for whoever can't ask for that: whoever sends
/// the money judges once more. What passes by itself is waited for there.
pub(crate) async fn approve(
    connection: &mut PgConnection,
    withdrawal: &Withdrawal,
    live: Option<&LiveFacts>,
    operator: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if withdrawal.status != WithdrawalStatus::Pending {
        return Err(Error::WithdrawalNotPending(withdrawal.status));
    }
    let account = withdrawal.funded_account_id;
    let terms = facts::terms(connection, account, Some(withdrawal.id)).await?;
    let terms = terms.ok_or(Error::AccountNotFound)?;
    let recorded = terms.recorded(now);
    let facts = facts::facts(connection, account, &terms, live.unwrap_or(&recorded)).await?;
    let against = reasons_against(withdrawal.amount_cents, &facts, now);
    let against: Vec<NotAllowed> = against.into_iter().filter(|reason| !reason.passes()).collect();
    if !against.is_empty() {
        return Err(Error::NotAllowed(against));
    }
    withdrawals::approve(connection, withdrawal.id, terms.bank.as_ref(), operator, now).await?;
    outcome::approved(connection, withdrawal, now).await
}

/// The withdrawal as it was decided; nobody has to look at it any more.
async fn decided(
    connection: &mut PgConnection,
    withdrawal: &Withdrawal,
    operator: &Operator,
    now: DateTime<Utc>,
) -> Result<Withdrawal, Error> {
    let reason = format!("decided by {}", operator.as_str());
    review::withdrawal_settled(connection, withdrawal, &reason, now).await?;
    withdrawals::find(connection, withdrawal.id)
        .await?
        .ok_or(Error::WithdrawalNotFound)
}
