//! `apply_dealers_review`: what an operator has decided, through the same transitions as everything else.

use domain::dealers::bill::IssuingEvent;
use domain::ids::BillId;
use domain::transition::Transition;
use platform::clock::ClockHandle;
use platform::review::{Decision, Reviewer, Verdict};
use sqlx::PgConnection;

use crate::account::store as accounts;
use crate::bill::{issuing, store as bills};
use crate::review::{ACCOUNT_REFUSED, ACKNOWLEDGE, BILL_REFUSED, ISSUE_AGAIN, PROVISION_AGAIN, account_of};
use crate::{Error, events};

/// Applies decisions about accounts, bills and payments.
#[derive(Debug)]
pub struct DealersReviewer {
    clock: ClockHandle,
}

platform::from_environment!(DealersReviewer { clock });

impl Reviewer for DealersReviewer {
    type Error = Error;

    async fn apply(&self, connection: &mut PgConnection, decision: &Decision) -> Result<Verdict, Error> {
        match (decision.kind.as_str(), decision.action.as_str()) {
            (ACCOUNT_REFUSED, PROVISION_AGAIN) => self.provision_again(connection, decision).await,
            (BILL_REFUSED, ISSUE_AGAIN) => self.issue_again(connection, decision).await,
            (_, ACKNOWLEDGE) => Ok(Verdict::Applied),
            _ => Ok(Verdict::unknown_action(decision)),
        }
    }
}

impl DealersReviewer {
    async fn provision_again(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
    ) -> Result<Verdict, Error> {
        let Some((dealer, account_type)) = account_of(&decision.subject) else {
            return Ok(Verdict::unknown_subject(decision));
        };
        let Some(mut account) = accounts::lock(connection, dealer, account_type).await? else {
            return Ok(Verdict::unknown_subject(decision));
        };
        let now = self.clock.now();
        // One that is ready has an older requisite at Billing.
        if account.resume()? {
            accounts::save(connection, &account, now).await?;
        }
        events::provision(connection, now, &[account.to_provision()]).await?;
        Ok(Verdict::Applied)
    }

    async fn issue_again(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
    ) -> Result<Verdict, Error> {
        let Some(id) = decision.subject_id::<BillId>("bill") else {
            return Ok(Verdict::unknown_subject(decision));
        };
        let Some((_, mut bill)) = issuing::lock(connection, id).await? else {
            return Ok(Verdict::unknown_subject(decision));
        };
        let event = IssuingEvent::Resumed {
            is_issued: bill.billing_bill_id.is_some(),
        };
        match bill.issuing_status.after(event) {
            Transition::Applied(status) => bill.issuing_status = status,
            Transition::AlreadyApplied | Transition::Rejected(_) => {
                return Ok(Verdict::Superseded(format!(
                    "the bill is {} at Billing",
                    bill.issuing_status
                )));
            }
        }
        bills::save(connection, &bill).await?;
        events::issue(connection, self.clock.now(), &[id]).await?;
        Ok(Verdict::Applied)
    }
}
