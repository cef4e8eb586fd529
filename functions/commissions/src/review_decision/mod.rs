//! `apply_commissions_review`: what an operator has decided, through the same transitions as everything else.

use domain::commissions::charge::ChargeStatus;
use domain::ids::{ChargeId, InvoiceId};
use domain::transition::Transition;
use platform::clock::ClockHandle;
use platform::review::{Decision, Reviewer, Verdict};
use sqlx::PgConnection;

use crate::charge::{Charge, ChargeRecorder};
use crate::dunning::{self, DunningRecorder};
use crate::review::{
    CHARGE_ANEW, CHARGE_OUTCOME_UNKNOWN, CHARGE_REFUSED, CLOSE, DISCREPANCY, INVOICE_UNCOLLECTIBLE,
    KEEP_OWED, LOOK_UP_AGAIN, RECORD_NOT_CHARGED, TRY_AGAIN, VOID_INVOICE,
};
use crate::{Error, charge, discrepancy};

/// An operator has found that nothing was taken.
const NOT_CHARGED: &str = "not_charged";

/// Applies decisions about charges and invoices.
#[derive(Debug)]
pub struct CommissionsReviewer {
    dunning: DunningRecorder,
    recorder: ChargeRecorder,
    clock: ClockHandle,
}

platform::from_environment!(CommissionsReviewer {
    dunning,
    recorder,
    clock
});

impl Reviewer for CommissionsReviewer {
    type Error = Error;

    async fn apply(&self, connection: &mut PgConnection, decision: &Decision) -> Result<Verdict, Error> {
        match (decision.kind.as_str(), decision.action.as_str()) {
            (CHARGE_OUTCOME_UNKNOWN, LOOK_UP_AGAIN) | (CHARGE_REFUSED, TRY_AGAIN) => {
                self.look_up_again(connection, decision).await
            }
            (CHARGE_OUTCOME_UNKNOWN, RECORD_NOT_CHARGED) | (CHARGE_REFUSED, CHARGE_ANEW) => {
                self.charge_anew(connection, decision).await
            }
            (INVOICE_UNCOLLECTIBLE, VOID_INVOICE) => self.void_invoice(connection, decision).await,
            (INVOICE_UNCOLLECTIBLE, KEEP_OWED) => Ok(Verdict::Applied),
            (DISCREPANCY, CLOSE) => self.close_discrepancy(connection, decision).await,
            _ => Ok(Verdict::unknown_action(decision)),
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
            return Ok(Verdict::unknown_subject(decision));
        };
        let charge = match self.in_doubt(connection, id).await? {
            Ok(charge) => charge,
            Err(superseded) => return Ok(superseded),
        };
        let now = self.clock.now();
        charge::look_up_from(connection, id, now).await?;
        dunning::publish_due(connection, charge.invoice_id, now).await?;
        Ok(Verdict::Applied)
    }

    /// Ends a charge of which nothing was taken, without counting it, and has the invoice charged anew.
    async fn charge_anew(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
    ) -> Result<Verdict, Error> {
        let Some(id) = decision.subject_id::<ChargeId>("charge") else {
            return Ok(Verdict::unknown_subject(decision));
        };
        let charge = match self.in_doubt(connection, id).await? {
            Ok(charge) => charge,
            Err(superseded) => return Ok(superseded),
        };
        let now = self.clock.now();
        if charge.is_leased(now) {
            return Ok(Verdict::CantBeApplied(
                "Stripe is being called for the charge right now: decide again in a minute".to_owned(),
            ));
        }
        let code = charge.refusal_code.as_deref().unwrap_or(NOT_CHARGED);
        self.recorder.withdraw(connection, &charge, code).await?;
        dunning::publish_due(connection, charge.invoice_id, now).await?;
        Ok(Verdict::Applied)
    }

    /// A charge of which nobody knows whether it took money, under its invoice's lock; or that there is no doubt any more.
    async fn in_doubt(
        &self,
        connection: &mut PgConnection,
        id: ChargeId,
    ) -> Result<Result<Charge, Verdict>, Error> {
        let invoice = charge::load(connection, id).await?.invoice_id;
        dunning::lock(connection, invoice).await?;
        let charge = charge::load(connection, id).await?;
        Ok(match charge.status {
            ChargeStatus::Unknown => Ok(charge),
            status => Err(Verdict::Superseded(format!("the charge is {status}"))),
        })
    }

    async fn close_discrepancy(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
    ) -> Result<Verdict, Error> {
        let Some((kind, subject)) = decision.subject.split_once(' ') else {
            return Ok(Verdict::unknown_subject(decision));
        };
        let is_closed = discrepancy::close(connection, kind, subject, self.clock.now()).await?;
        Ok(if is_closed {
            Verdict::Applied
        } else {
            Verdict::Superseded("it is closed".to_owned())
        })
    }

    async fn void_invoice(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
    ) -> Result<Verdict, Error> {
        let Some(id) = decision.subject_id::<InvoiceId>("invoice") else {
            return Ok(Verdict::unknown_subject(decision));
        };
        let Some(invoice) = dunning::lock(connection, id).await? else {
            return Ok(Verdict::unknown_subject(decision));
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
