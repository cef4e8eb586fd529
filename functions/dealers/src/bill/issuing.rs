//! `issue_bill`: has Billing make a bill, once, also when its answer was lost; and has it take back one that was voided.
//!
//! Billing is asked under our external id: intend (the bill is `unknown` from before the call) → call → record. Where it may
//! have been asked before, it is looked up first. What it answers is compared with our record before anything moves.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::dealers::account::ProvisioningStatus;
use domain::dealers::bill::{BillChange, BillOperation, BillStatus, IssuingEvent, IssuingStatus};
use domain::ids::{BillId, BillingClientId, BillingContractId};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::event::Envelope;
use platform::observability::metrics;
use providers::billing::{FoundBill, NewBill, is_conflict};
use providers::outcome::{Outcome, ProviderError};
use sqlx::PgConnection;

use super::store::{self, Bill};
use crate::account::store::{self as accounts, Account};
use crate::billing::{BILLING, BillingHandle, Refusal};
pub use crate::events::BillToIssue;
use crate::{Error, review};

/// A message about a bill.
pub type IssuingMessage = Envelope<BillToIssue>;

/// Left of the deadline for recording what a call came to.
const RECORDING: Duration = Duration::from_secs(3);
/// A lease outlives the function that has it by so much.
const LEASE_MARGIN: TimeDelta = TimeDelta::seconds(2);
/// No function runs for longer.
const MAX_LEASE: TimeDelta = TimeDelta::minutes(15);
/// Issuing, and then taking back what was voided meanwhile; more is a sign of a circle.
const MAX_STEPS: u32 = 4;

/// The next step for a bill.
enum Step {
    Issue {
        bill: Box<Bill>,
        client: BillingClientId,
        contract: BillingContractId,
        /// Billing may have been asked before.
        may_be_there: bool,
    },
    /// It was voided.
    Withdraw { bill: Box<Bill> },
}

/// What a step came to.
enum Found {
    Bill(FoundBill),
    Withdrawn,
    /// Billing refuses, or says something else than our record.
    Refused(Refusal),
}

/// Has bills issued.
#[derive(Debug)]
pub struct Issuer {
    database: Database,
    billing: BillingHandle,
    clock: ClockHandle,
}

platform::from_environment!(Issuer {
    database,
    billing,
    clock
});

impl Issuer {
    /// Does what is left to do for a bill, however often and in how many copies it runs.
    ///
    /// # Errors
    /// Transient while Billing is out of reach, its answer was lost, or another function works on the bill.
    pub async fn issue(&self, id: BillId, deadline: Deadline) -> Result<(), Error> {
        let until = self.lease_until(deadline);
        for step in 0..MAX_STEPS {
            let Some(step) = self.next_step(id, until, step == 0).await? else {
                return Ok(());
            };
            let outcome = match self.carry_out(step, deadline).await {
                Ok(found) => self.record(id, found).await,
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                self.release(id).await?;
                return Err(error);
            }
        }
        Err(Error::BeingWorkedOn(external_id(id)))
    }

    fn lease_until(&self, deadline: Deadline) -> DateTime<Utc> {
        let left = TimeDelta::from_std(deadline.left()).unwrap_or(MAX_LEASE);
        self.clock.now() + left.min(MAX_LEASE) + LEASE_MARGIN
    }

    /// Decides under the account's lock, and writes down that Billing is about to be asked.
    async fn next_step(
        &self,
        id: BillId,
        until: DateTime<Utc>,
        is_first: bool,
    ) -> Result<Option<Step>, Error> {
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                let Some((account, mut bill)) = lock(connection, id).await? else {
                    tracing::warn!(bill_id = %id, "ignoring a message about an unknown bill");
                    return Ok(None);
                };
                let Some(step) = decide(&account, &bill) else {
                    return Ok(None);
                };
                if is_first && bill.asked_until.is_some_and(|other| other > now) {
                    return Err(Error::BeingWorkedOn(external_id(id)));
                }
                if let Step::Issue { .. } = step {
                    bill.issuing_status = issuing_after(&bill, IssuingEvent::Asked)?;
                }
                bill.asked_until = Some(until);
                store::save(connection, &bill).await?;
                Ok(Some(step))
            })
            .await
    }

    /// Carries out a step in Billing, with no connection held.
    async fn carry_out(&self, step: Step, deadline: Deadline) -> Result<Found, Error> {
        let billing = self.billing.connect().await?;
        let until = deadline.earlier_by(RECORDING).instant();
        match step {
            Step::Issue {
                bill,
                client,
                contract,
                may_be_there,
            } => {
                let external_id = external_id(bill.id);
                if may_be_there {
                    match settled(bill.id, billing.find_bill(&external_id, until).await)? {
                        Ok(Some(found)) => return Ok(compared(&bill, &client, found)),
                        Ok(None) => {}
                        Err(refused) => return Ok(refused),
                    }
                }
                let new = NewBill {
                    external_id: &external_id,
                    client: &client,
                    contract: &contract,
                    amount: bill.common(),
                    due_at: bill.due_at,
                    purpose: &purpose(&bill),
                };
                match settled(bill.id, billing.create_bill(&new, until).await)? {
                    Ok(found) => Ok(compared(&bill, &client, found)),
                    Err(refused) => Ok(refused),
                }
            }
            Step::Withdraw { bill } => {
                let id = match bill.billing_bill_id.clone() {
                    Some(id) => id,
                    None => match settled(bill.id, billing.find_bill(&external_id(bill.id), until).await)? {
                        Ok(Some(found)) => found.id,
                        Ok(None) => return Ok(Found::Withdrawn),
                        Err(refused) => return Ok(refused),
                    },
                };
                let reason = bill.void_reason.as_deref().unwrap_or("voided");
                match settled(bill.id, billing.void_bill(&id, reason, until).await)? {
                    Ok(_) => Ok(Found::Withdrawn),
                    Err(refused) => Ok(refused),
                }
            }
        }
    }

    /// Records what a step came to.
    async fn record(&self, id: BillId, found: Found) -> Result<(), Error> {
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                let Some((account, mut bill)) = lock(connection, id).await? else {
                    return Ok(());
                };
                bill.asked_until = None;
                match found {
                    Found::Bill(found) => note_issued(&mut bill, &found)?,
                    Found::Withdrawn => {
                        bill.issuing_status = issuing_after(&bill, IssuingEvent::Withdrawn)?;
                    }
                    Found::Refused(refusal) => {
                        bill.issuing_status = issuing_after(&bill, IssuingEvent::Refused)?;
                        review::bill_refused(connection, &account, &bill, &refusal, now).await?;
                    }
                }
                store::save(connection, &bill).await
            })
            .await
    }

    async fn release(&self, id: BillId) -> Result<(), Error> {
        self.database
            .transaction(async |connection| {
                if let Some((_, mut bill)) = lock(connection, id).await? {
                    bill.asked_until = None;
                    store::save(connection, &bill).await?;
                }
                Ok(())
            })
            .await
    }
}

/// A bill and its account, which is locked until the transaction ends.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    id: BillId,
) -> Result<Option<(Account, Bill)>, Error> {
    let Some(found) = store::load(connection, id).await? else {
        return Ok(None);
    };
    let Some(account) = accounts::lock(connection, found.dealer_id, found.account_type).await? else {
        return Ok(None);
    };
    // As it is under the lock.
    Ok(store::load(connection, id).await?.map(|bill| (account, bill)))
}

/// What is left to do; nothing also while the account isn't ready, whose provisioning has its bills issued.
fn decide(account: &Account, bill: &Bill) -> Option<Step> {
    let is_voided = bill.status == BillStatus::Voided;
    match bill.issuing_status {
        IssuingStatus::Withdrawn | IssuingStatus::Parked => None,
        IssuingStatus::Issued | IssuingStatus::Unknown | IssuingStatus::Pending if is_voided => {
            Some(Step::Withdraw {
                bill: Box::new(bill.clone()),
            })
        }
        IssuingStatus::Issued => None,
        IssuingStatus::Pending | IssuingStatus::Unknown => {
            if account.provisioning_status != ProvisioningStatus::Ready {
                return None;
            }
            Some(Step::Issue {
                client: account.billing_client_id.clone()?,
                contract: account.billing_contract_id.clone()?,
                may_be_there: bill.issuing_status == IssuingStatus::Unknown,
                bill: Box::new(bill.clone()),
            })
        }
    }
}

fn issuing_after(bill: &Bill, event: IssuingEvent) -> Result<IssuingStatus, Error> {
    Ok(bill.issuing_status.after(event).or_current(bill.issuing_status)?)
}

/// Billing has the bill. One that was voided meanwhile is taken back by the next step.
fn note_issued(bill: &mut Bill, found: &FoundBill) -> Result<(), Error> {
    bill.billing_bill_id = Some(found.id.clone());
    bill.url = Some(found.url.clone());
    bill.issuing_status = issuing_after(bill, IssuingEvent::Found)?;
    bill.status = bill.status.after(BillChange::Issued).or_current(bill.status)?;
    Ok(())
}

/// What Billing has, if it goes with our record.
fn compared(bill: &Bill, client: &BillingClientId, found: FoundBill) -> Found {
    let wrong = if found.amount != bill.common() {
        format!("Billing has it with {}", found.amount)
    } else if found.client != *client {
        format!("Billing has it for the client {}", found.client)
    } else if found.is_voided {
        "Billing has taken it back".to_owned()
    } else {
        return Found::Bill(found);
    };
    Found::Refused(Refusal::of_difference("bill-differs", wrong))
}

/// What a call gave: an answer, a refusal, or a reason to come again.
fn settled<T>(id: BillId, outcome: Outcome<T>) -> Result<Result<T, Found>, Error> {
    match outcome {
        Outcome::Done(found) => Ok(Ok(found)),
        // Another body under our external id: what Billing has is looked up and compared by the next attempt.
        Outcome::Declined(decline) if is_conflict(&decline) => Err(Error::OutcomeUnknown(external_id(id))),
        Outcome::Declined(decline) => Ok(Err(Found::Refused(decline.into()))),
        Outcome::Retryable(reason) => Err(ProviderError::unavailable(BILLING, &reason).into()),
        Outcome::Unknown(reason) => {
            metrics::count_with("UnknownOutcomes", 1, &[("provider", "billing")]);
            tracing::warn!(bill_id = %id, %reason, "asking Billing about a bill has an unknown outcome");
            Err(Error::OutcomeUnknown(external_id(id)))
        }
    }
}

/// Our id of a bill in Billing.
pub(crate) fn external_id(id: BillId) -> String {
    format!("moneta-bill-{id}")
}

fn purpose(bill: &Bill) -> String {
    match bill.operation {
        BillOperation::GetReward => format!("Commission for deal {}", bill.deal_id),
        BillOperation::GetSettlement => format!("Car of deal {}", bill.deal_id),
    }
}
