//! `apply_funded_accounts_review`: what an operator has decided about a withdrawal, through the same transitions as
//! everything else.

use domain::funded::withdrawal::{WithdrawalEvent, WithdrawalStatus};
use domain::ids::WithdrawalId;
use domain::transition::Transition;
use platform::clock::ClockHandle;
use platform::review::{Decision, Reviewer, Verdict};
use sqlx::PgConnection;

use crate::Error;
use crate::decision;
use crate::payment::store as payments;
use crate::review::{
    APPROVE, CLOSE, GIVE_UP, PAYOUT_DISCREPANCY, REJECT, TRY_AGAIN, WITHDRAWAL_APPROVAL, WITHDRAWAL_REFUSED,
};
use crate::withdrawal::row::Withdrawal;
use crate::withdrawal::{outcome, store};

/// Applies decisions about withdrawals.
#[derive(Debug)]
pub struct FundedAccountsReviewer {
    clock: ClockHandle,
}

platform::from_environment!(FundedAccountsReviewer { clock });

impl Reviewer for FundedAccountsReviewer {
    type Error = Error;

    async fn apply(&self, connection: &mut PgConnection, decision: &Decision) -> Result<Verdict, Error> {
        let known = (decision.kind.as_str(), decision.action.as_str());
        if known == (PAYOUT_DISCREPANCY, CLOSE) {
            return Ok(Verdict::Applied);
        }
        let Some(id) = decision.subject_id::<WithdrawalId>("withdrawal") else {
            return Ok(Verdict::unknown_subject(decision));
        };
        let Some(withdrawal) = store::lock(connection, id).await? else {
            return Ok(Verdict::unknown_subject(decision));
        };
        match known {
            (WITHDRAWAL_APPROVAL, APPROVE) => self.approve(connection, &withdrawal, decision).await,
            (WITHDRAWAL_APPROVAL, REJECT) => self.reject(connection, &withdrawal, decision).await,
            (WITHDRAWAL_REFUSED, TRY_AGAIN) => self.go_on(connection, &withdrawal, false).await,
            (WITHDRAWAL_REFUSED, GIVE_UP) => self.go_on(connection, &withdrawal, true).await,
            _ => Ok(Verdict::unknown_action(decision)),
        }
    }
}

impl FundedAccountsReviewer {
    /// Judged by the record: whoever sends the money judges once more, by the live state.
    async fn approve(
        &self,
        connection: &mut PgConnection,
        withdrawal: &Withdrawal,
        decision: &Decision,
    ) -> Result<Verdict, Error> {
        if let Err(superseded) = pending(withdrawal, WithdrawalEvent::Approve) {
            return Ok(superseded);
        }
        let operator = &decision.decided_by;
        match decision::approve(connection, withdrawal, None, operator, self.clock.now()).await {
            Err(Error::NotAllowed(against)) => {
                Ok(Verdict::CantBeApplied(Error::NotAllowed(against).to_string()))
            }
            other => other.map(|()| Verdict::Applied),
        }
    }

    async fn reject(
        &self,
        connection: &mut PgConnection,
        withdrawal: &Withdrawal,
        decision: &Decision,
    ) -> Result<Verdict, Error> {
        if let Err(superseded) = pending(withdrawal, WithdrawalEvent::Reject) {
            return Ok(superseded);
        }
        let (operator, reason) = (&decision.decided_by, &decision.reason);
        outcome::reject(connection, withdrawal, operator, reason, self.clock.now()).await?;
        Ok(Verdict::Applied)
    }

    /// Takes a withdrawal up again that Stripe refused, to its end or to its beginning.
    async fn go_on(
        &self,
        connection: &mut PgConnection,
        withdrawal: &Withdrawal,
        gives_up: bool,
    ) -> Result<Verdict, Error> {
        let now = self.clock.now();
        if !payments::take_up(connection, withdrawal.id, gives_up, now).await? {
            return Ok(Verdict::Superseded(format!(
                "the withdrawal is {}",
                withdrawal.status
            )));
        }
        crate::events::publish_step(connection, withdrawal, now).await?;
        Ok(Verdict::Applied)
    }
}

/// Whether the withdrawal still waits for this.
fn pending(withdrawal: &Withdrawal, event: WithdrawalEvent) -> Result<WithdrawalStatus, Verdict> {
    match withdrawal.status.after(event, false) {
        Transition::Applied(status) if withdrawal.status == WithdrawalStatus::Pending => Ok(status),
        _ => Err(Verdict::Superseded(format!(
            "the withdrawal is {}",
            withdrawal.status
        ))),
    }
}
