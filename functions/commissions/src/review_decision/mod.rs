//! `apply_commissions_review`: what an operator has decided, through the same transitions as everything else.

use domain::commissions::charge::ChargeStatus;
use domain::ids::{ChargeId, InvoiceId};
use domain::transition::Transition;
use platform::clock::ClockHandle;
use platform::review::{Decision, Reviewer, Verdict};
use sqlx::PgConnection;

use crate::dunning::{self, DunningRecorder};
use crate::review::{CHARGE_OUTCOME_UNKNOWN, INVOICE_UNCOLLECTIBLE, KEEP_OWED, LOOK_UP_AGAIN, VOID_INVOICE};
use crate::{Error, charge};

/// Applies decisions about charges and invoices.
#[derive(Debug)]
pub struct CommissionsReviewer {
    dunning: DunningRecorder,
    clock: ClockHandle,
}

platform::from_environment!(CommissionsReviewer { dunning, clock });

impl Reviewer for CommissionsReviewer {
    type Error = Error;

    async fn apply(&self, connection: &mut PgConnection, decision: &Decision) -> Result<Verdict, Error> {
        match (decision.kind.as_str(), decision.action.as_str()) {
            (CHARGE_OUTCOME_UNKNOWN, LOOK_UP_AGAIN) => self.look_up_again(connection, decision).await,
            (INVOICE_UNCOLLECTIBLE, VOID_INVOICE) => self.void_invoice(connection, decision).await,
            (INVOICE_UNCOLLECTIBLE, KEEP_OWED) => Ok(Verdict::Applied),
            (kind, action) => Ok(Verdict::CantBeApplied(format!(
                "{action} is nothing that can be done about {kind}"
            ))),
        }
    }
}

impl CommissionsReviewer {
    /// Puts the invoice on the queue of `pay_invoice`, which looks the charge up before anything else.
    async fn look_up_again(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
    ) -> Result<Verdict, Error> {
        let Some(id) = decision.subject_id::<ChargeId>("charge") else {
            return Ok(unknown_subject(decision));
        };
        let invoice = charge::load(connection, id).await?.invoice_id;
        dunning::lock(connection, invoice).await?;
        let charge = charge::load(connection, id).await?;
        if charge.status != ChargeStatus::Unknown {
            return Ok(Verdict::Superseded(format!("the charge is {}", charge.status)));
        }
        let now = self.clock.now();
        charge::look_up_from(connection, id, now).await?;
        dunning::publish_due(connection, invoice, now).await?;
        Ok(Verdict::Applied)
    }

    async fn void_invoice(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
    ) -> Result<Verdict, Error> {
        let Some(id) = decision.subject_id::<InvoiceId>("invoice") else {
            return Ok(unknown_subject(decision));
        };
        let Some(invoice) = dunning::lock(connection, id).await? else {
            return Ok(unknown_subject(decision));
        };
        if charge::is_in_flight(connection, id).await? {
            return Ok(Verdict::CantBeApplied(
                "a charge of the invoice is in flight: decide again when it has ended".to_owned(),
            ));
        }
        let at = self.clock.now();
        match invoice.dunning.status.after_voiding() {
            Transition::Applied(_) => {
                self.dunning.voided(connection, &invoice, at).await?;
                Ok(Verdict::Applied)
            }
            Transition::AlreadyApplied => Ok(Verdict::Superseded("the invoice is void".to_owned())),
            Transition::Rejected(_) => Ok(Verdict::Superseded(format!(
                "the invoice is {}",
                invoice.dunning.status
            ))),
        }
    }
}

fn unknown_subject(decision: &Decision) -> Verdict {
    Verdict::CantBeApplied(format!("there is nothing of the name {}", decision.subject))
}
