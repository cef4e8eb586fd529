//! Charging invoices: `pay_invoice` does what has to be done for an invoice, however often and in how many copies it runs.
//!
//! Each charge goes intend → call → record. Before there is another charge, the outcome of the last one is known, and it is
//! closed at Stripe, so that nobody can confirm it any more. See README, Charging.

mod record;
mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::commissions::charge::{self, ChargeStatus};
use domain::commissions::dunning::{ActiveMethod, DunningStep};
use domain::ids::InvoiceId;
use domain::lookup::{LookupSchedule, Next};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::{metrics, telemetry};
use providers::outcome::{Outcome, ProviderError, Reason};
use providers::stripe::{ChargeRequest, IntentStatus, PaymentIntent, Stripe};
use sqlx::PgConnection;

use self::store::NewCharge;
use crate::dunning::{self, DueInvoice, DunningRecorder, LockedInvoice};
use crate::processor::{Processor, STRIPE};
use crate::{Error, payment_method};
pub(crate) use record::{ChargeRecorder, Observation, reviewed};
pub(crate) use store::{
    Charge, ChargeOfInvoice, find, is_in_flight, load, look_up_from, refunds_version, set_dispute_outcome,
    set_disputed, set_refunded,
};

/// Left of the deadline for recording the outcome of a call.
const RECORDING: Duration = Duration::from_secs(3);
/// A lease outlives the function that has it by so much, so that it has ended for sure.
const LEASE_MARGIN: Duration = Duration::from_secs(2);
/// No function runs for longer.
const MAX_LEASE: TimeDelta = TimeDelta::minutes(15);
/// Closing an old charge, and then making a new one; more is a sign of a circle.
const MAX_STEPS: u32 = 4;
/// Whatever Stripe was sent has arrived there this long after, and is found.
const ON_ITS_WAY: TimeDelta = TimeDelta::minutes(5);
/// The invoice was settled before the charge was sent.
const NOT_OWED: &str = "not_owed";
/// The payment method was deleted before the charge was sent.
const METHOD_DELETED: &str = "payment_method_deleted";
/// The operation that records.
const SOURCE: &str = "pay_invoice";

/// The next step for an invoice.
#[derive(Debug)]
enum Step {
    Nothing,
    /// Another function has the charge leased, and may die before recording its outcome.
    Leased {
        key: String,
    },
    /// Something was recorded and published.
    Published,
    Call {
        charge: Box<Charge>,
        /// Stripe may have been called before, with an unknown outcome.
        previous_call_unknown: bool,
    },
    /// It may have been sent, and must not be sent any more.
    LookUp {
        charge: Box<Charge>,
        /// Why it mustn't.
        code: &'static str,
    },
    Close(Box<Charge>),
}

/// Charges invoices.
#[derive(Debug)]
pub struct Charger {
    database: Database,
    processor: Processor,
    recorder: ChargeRecorder,
    dunning: DunningRecorder,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(Charger {
    database,
    processor,
    recorder,
    dunning,
    relay,
    clock
});

impl Charger {
    /// Does what has to be done for an invoice at the time of a run.
    ///
    /// # Errors
    /// Transient when Stripe is not available, or the outcome of a charge is unknown: the message has to come again.
    pub async fn pay(&self, due: &DueInvoice, deadline: Deadline) -> Result<(), Error> {
        let observation = Observation {
            source: SOURCE,
            at: due.as_of.max(self.clock.now()),
        };
        for _ in 0..MAX_STEPS {
            match self.next_step(due.invoice_id, observation.at, deadline).await? {
                Step::Nothing => return Ok(()),
                Step::Leased { key } => return Err(Error::OutcomeUnknown { key }),
                Step::Published => {
                    self.relay.wake().await;
                    return Ok(());
                }
                Step::Call {
                    charge,
                    previous_call_unknown,
                } => {
                    return self
                        .charge(&charge, previous_call_unknown, observation, deadline)
                        .await;
                }
                Step::LookUp { charge, code } => {
                    return self.look_up(&charge, code, observation, deadline).await;
                }
                Step::Close(charge) => self.close(&charge, observation, deadline).await?,
            }
        }
        Err(ProviderError::unavailable(STRIPE, &"an earlier charge can't be closed").into())
    }

    /// Decides under the invoice's lock, and writes a charge down before Stripe is called.
    async fn next_step(
        &self,
        invoice: InvoiceId,
        at: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<Step, Error> {
        self.database
            .transaction(async |connection| {
                let Some(invoice) = dunning::lock(connection, invoice).await? else {
                    tracing::warn!(invoice_id = %invoice, "ignoring a message about an unknown invoice");
                    return Ok(Step::Nothing);
                };
                telemetry::identify(invoice.profile_id.get());
                match store::last(connection, invoice.id).await? {
                    Some(charge) if charge.status == ChargeStatus::Unknown => {
                        self.lease(connection, &invoice, charge, deadline).await
                    }
                    Some(charge) if charge.status == ChargeStatus::RequiresAction => {
                        Ok(match charge.confirm_until {
                            Some(until) if until <= at => Step::Close(Box::new(charge)),
                            _ => Step::Nothing,
                        })
                    }
                    Some(charge) if charge.status != ChargeStatus::Failed => Ok(Step::Nothing),
                    last => self.begin(connection, &invoice, last, at, deadline).await,
                }
            })
            .await
    }

    /// Leases a charge whose outcome is unknown.
    async fn lease(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        charge: Charge,
        deadline: Deadline,
    ) -> Result<Step, Error> {
        let now = self.clock.now();
        if !store::try_lease(connection, charge.id, now, lease_until(now, deadline)).await? {
            return Ok(Step::Leased { key: charge.key });
        }
        let charge = Box::new(charge);
        Ok(match not_to_be_sent(invoice, &charge) {
            Some(code) => Step::LookUp { charge, code },
            None => Step::Call {
                charge,
                previous_call_unknown: true,
            },
        })
    }

    /// The next step when no charge is in flight.
    async fn begin(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        last: Option<Charge>,
        at: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<Step, Error> {
        let method = payment_method::active(connection, invoice.profile_id).await?;
        let active = method.as_ref().map(|method| ActiveMethod {
            id: method.id,
            renewed_at: method.renewed_at,
        });
        // Those that don't count are as good as none.
        let last_attempt = store::last_that_counts(connection, invoice.id).await?;
        match (invoice.dunning.step(active, last_attempt, at), method) {
            (DunningStep::Charge, Some(method)) => match last {
                Some(last) if !last.is_cancelled => Ok(Step::Close(Box::new(last))),
                last => {
                    let attempt = last.map_or(1, |last| last.attempt.saturating_add(1));
                    let now = self.clock.now();
                    let new = NewCharge {
                        method: method.id,
                        attempt,
                        key: &charge::idempotency_key(invoice.id, attempt.unsigned_abs()),
                        run_at: at,
                        lease_until: lease_until(now, deadline),
                        next_lookup_at: lookup_at(0, now, now),
                        created_at: now,
                    };
                    Ok(Step::Call {
                        charge: Box::new(store::insert(connection, invoice, &new).await?),
                        previous_call_unknown: false,
                    })
                }
            },
            (DunningStep::AskForMethod, _) => {
                self.dunning.method_missing(connection, invoice, at).await?;
                Ok(Step::Published)
            }
            (DunningStep::GiveUp, _) => {
                self.dunning.give_up(connection, invoice, at).await?;
                Ok(Step::Published)
            }
            (DunningStep::Wait | DunningStep::Charge, _) => Ok(Step::Nothing),
        }
    }

    /// Calls Stripe for a charge and records the outcome.
    async fn charge(
        &self,
        charge: &Charge,
        previous_call_unknown: bool,
        observation: Observation,
        deadline: Deadline,
    ) -> Result<(), Error> {
        match self.call(charge, previous_call_unknown, deadline).await {
            Outcome::Done(intent) => self.recorder.record(charge, &intent, observation).await,
            Outcome::Declined(refusal) => self.recorder.record_refusal(charge, &refusal, observation).await,
            Outcome::Retryable(reason) => {
                self.release_lease(charge, None).await?;
                Err(ProviderError::unavailable(STRIPE, &reason).into())
            }
            Outcome::Unknown(reason) => {
                metrics::count_with("UnknownOutcomes", 1, &[("provider", "stripe")]);
                tracing::warn!(charge_id = %charge.id, key = charge.key, %reason, "charging an invoice has an unknown outcome");
                let next = lookup_at(charge.lookups.unsigned_abs(), charge.created_at, self.clock.now());
                self.release_lease(charge, Some(next)).await?;
                Err(Error::OutcomeUnknown {
                    key: charge.key.clone(),
                })
            }
        }
    }

    /// Calls Stripe for a charge. After a call with an unknown outcome the payment is looked up first: Stripe forgets keys
    /// after a day, and for as long it may repeat an error that it first gave to the key.
    async fn call(
        &self,
        charge: &Charge,
        previous_call_unknown: bool,
        deadline: Deadline,
    ) -> Outcome<PaymentIntent> {
        let until = deadline.earlier_by(RECORDING).instant();
        let connected = match self.processor.connect().await {
            Ok(connected) => connected,
            Err(error) => return Outcome::Retryable(Reason(error.to_string())),
        };
        if previous_call_unknown {
            match find_payment(&connected.client, charge, deadline).await {
                Ok(None) => {}
                Ok(Some(intent)) => return Outcome::Done(intent),
                Err(reason) => return Outcome::Retryable(reason),
            }
        }
        let request = ChargeRequest {
            customer: charge.customer.clone(),
            payment_method: charge.stripe_method.clone(),
            amount: charge.amount(),
            description: charge.description.clone(),
            invoice_id: charge.invoice_id,
            attempt_key: charge.key.clone(),
            profile_id: charge.profile_id,
        };
        connected.client.charge(&request, until).await
    }

    /// Looks up a charge that must not be sent any more; where Stripe has none, it ends without counting.
    async fn look_up(
        &self,
        charge: &Charge,
        code: &str,
        observation: Observation,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let found = match self.processor.connect().await {
            Ok(connected) => find_payment(&connected.client, charge, deadline).await,
            Err(error) => Err(Reason(error.to_string())),
        };
        match found {
            Ok(Some(intent)) => self.recorder.record(charge, &intent, observation).await,
            Ok(None) if self.clock.now() >= charge.created_at + ON_ITS_WAY => {
                self.recorder.record_unsent(charge, code, observation).await
            }
            // Stripe may still be at it.
            Ok(None) => {
                self.release_lease(charge, None).await?;
                Err(Error::OutcomeUnknown {
                    key: charge.key.clone(),
                })
            }
            Err(reason) => {
                self.release_lease(charge, None).await?;
                Err(ProviderError::unavailable(STRIPE, &reason).into())
            }
        }
    }

    async fn release_lease(
        &self,
        charge: &Charge,
        next_lookup_at: Option<DateTime<Utc>>,
    ) -> Result<(), Error> {
        self.database
            .with(async |connection| store::release_lease(connection, charge.id, next_lookup_at).await)
            .await
    }

    /// Closes a charge at Stripe; one that has succeeded meanwhile is recorded as such.
    async fn close(
        &self,
        charge: &Charge,
        observation: Observation,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let Some(intent) = &charge.intent else {
            // It never became a payment.
            return self.set_cancelled(charge).await;
        };
        let connected = self.processor.connect().await?;
        let until = deadline.earlier_by(RECORDING).instant();
        let key = format!("cancel-{}", charge.key);
        let cancelling = connected.client.cancel_payment_intent(intent, &key, until);
        let intent = match cancelling.await {
            // It can't be cancelled: it is, or it has succeeded, or is on its way.
            Outcome::Declined(_) => connected.client.payment_intent(intent, until).await,
            other => other,
        };
        let intent = intent.done(STRIPE)?;
        self.recorder.record(charge, &intent, observation).await?;
        if intent.status == IntentStatus::Canceled {
            self.set_cancelled(charge).await?;
        }
        Ok(())
    }

    async fn set_cancelled(&self, charge: &Charge) -> Result<(), Error> {
        self.database
            .with(async |connection| store::set_cancelled(connection, charge.id, self.clock.now()).await)
            .await
    }
}

/// Why a charge that may not have been sent yet must not be sent any more.
fn not_to_be_sent(invoice: &LockedInvoice, charge: &Charge) -> Option<&'static str> {
    if !invoice.dunning.status.is_owed() {
        Some(NOT_OWED)
    } else if charge.is_method_deleted {
        Some(METHOD_DELETED)
    } else {
        None
    }
}

/// The payment that Stripe has of a charge. Looking changes nothing, so that whatever goes wrong may be repeated.
async fn find_payment(
    stripe: &Stripe,
    charge: &Charge,
    deadline: Deadline,
) -> Result<Option<PaymentIntent>, Reason> {
    let until = deadline.earlier_by(RECORDING).instant();
    let finding = stripe.find_payment_intent(&charge.customer, &charge.key, charge.created_at, until);
    match finding.await {
        Outcome::Done(found) => Ok(found),
        Outcome::Declined(refusal) => Err(Reason(refusal.code)),
        Outcome::Retryable(reason) | Outcome::Unknown(reason) => Err(reason),
    }
}

/// When a lease that is taken now ends.
fn lease_until(now: DateTime<Utc>, deadline: Deadline) -> DateTime<Utc> {
    let lease = TimeDelta::from_std(deadline.left() + LEASE_MARGIN);
    now + lease.unwrap_or(MAX_LEASE)
}

/// When a charge whose outcome is unknown is looked up next; at once where no look-up is left, for the reconciler to leave it
/// to manual review.
fn lookup_at(lookups: u32, since: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    match LookupSchedule::STANDARD.next(lookups, since, now) {
        Next::At(at) => at,
        Next::GiveUp => now,
    }
}
