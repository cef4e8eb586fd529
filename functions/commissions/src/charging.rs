//! Charging invoices: `pay_invoices` picks those that are due and puts a message for each on a queue; `pay_invoice` does
//! what is to be done about one, however often and in how many copies it is asked to.
//!
//! Each attempt goes intend → ask → record. Before there is another attempt, what the last one came to is known, and it
//! is closed at Stripe, so that nobody can confirm it any more. Spec "Commissions", Charging.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::billing::charge::{self, AttemptStatus};
use domain::billing::invoice::{ActiveMethod, CollectionStep};
use domain::clock::Clock;
use domain::ids::{InvoiceId, InvoicePaymentId};
use domain::lookup::{LookupSchedule, Next};
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::event::Envelope;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::correlation;
use platform::observability::metrics;
use providers::outcome::{Decline, Outcome};
use providers::stripe::{ChargeRequest, IDEMPOTENCY_ERROR, PaymentIntent};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::Error;
use crate::discrepancy::{self, Discrepancy};
use crate::processor::{Processor, answered, unavailable};
use crate::settlement::{Heard, Settlement};
use crate::store::attempts::{self, Attempt, NewAttempt};
use crate::store::collection::{self, LockedInvoice};
use crate::store::payment_methods::{self, Method};

/// Kept back from the deadline for recording what came of a call.
const RECORDING: Duration = Duration::from_secs(3);
/// Closing an old attempt, and then asking for a new one; more is a sign of a circle.
const MAX_STEPS: u32 = 4;
/// Who records.
const SOURCE: &str = "pay_invoice";

/// An invoice about which something may be to do.
pub type PaymentDue = Envelope<DueInvoice>;

/// The message's data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DueInvoice {
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// The time of the run that picked it.
    pub as_of: DateTime<Utc>,
}

/// What a run of `pay_invoices` did.
#[derive(Debug, Serialize)]
pub struct Picked {
    /// Invoices put on the queue.
    pub invoices: u64,
}

/// Picks what is due.
#[derive(Debug)]
pub struct Picker {
    database: Database,
    nudge: RelayWaker,
}

impl Picker {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let nudge = RelayWaker::read(environment);
        Some(Self {
            database: database?,
            nudge: nudge?,
        })
    }

    /// Puts every invoice that is due at a time on the queue, in one statement.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pick(&self, now: DateTime<Utc>) -> Result<Picked, Error> {
        let id = correlation::current();
        let invoices = self
            .database
            .lend(async |connection| collection::publish_due(connection, now, &id).await)
            .await?;
        if invoices > 0 {
            self.nudge.send().await;
        }
        Ok(Picked { invoices })
    }
}

/// What is to be done about an invoice now.
enum Step {
    Nothing,
    /// Somebody else is asking, and may die before recording what came of it.
    Busy {
        key: String,
    },
    /// Something was recorded that others are told of.
    Told,
    Ask {
        attempt: InvoicePaymentId,
        /// Somebody has asked before, and what came of it isn't known.
        is_doubtful: bool,
    },
    Close(Box<Attempt>),
}

/// What charges invoices.
#[derive(Debug)]
pub struct Charging {
    database: Database,
    processor: Processor,
    settlement: Settlement,
    nudge: RelayWaker,
}

impl Charging {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let processor = Processor::read(environment);
        let settlement = Settlement::read(environment);
        let nudge = RelayWaker::read(environment);
        Some(Self {
            database: database?,
            processor: processor?,
            settlement: settlement?,
            nudge: nudge?,
        })
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn processor(&self) -> &Processor {
        &self.processor
    }

    pub(crate) async fn tell(&self) {
        self.nudge.send().await;
    }

    /// Does what is to be done about an invoice at the time of a run.
    ///
    /// # Errors
    /// Transient when Stripe doesn't answer, or what came of a charge isn't known: the message has to come again.
    pub async fn pay(&self, invoice: InvoiceId, run: DateTime<Utc>, deadline: Deadline) -> Result<(), Error> {
        let heard = Heard::during(SOURCE, run);
        for _ in 0..MAX_STEPS {
            match self.next(invoice, heard, deadline).await? {
                Step::Nothing => return Ok(()),
                Step::Busy { key } => return Err(Error::OutcomeUnknown { key }),
                Step::Told => {
                    self.nudge.send().await;
                    return Ok(());
                }
                Step::Ask { attempt, is_doubtful } => {
                    return self.ask(attempt, is_doubtful, heard, deadline).await;
                }
                Step::Close(attempt) => self.close(&attempt, heard, deadline).await?,
            }
        }
        Err(unavailable(&"an earlier attempt can't be closed"))
    }

    /// Decides under the invoice's lock, and writes an attempt down before anybody is asked.
    async fn next(&self, invoice: InvoiceId, heard: Heard, deadline: Deadline) -> Result<Step, Error> {
        let mut transaction = self.database.begin().await?;
        let Some(invoice) = collection::lock(&mut transaction, invoice).await? else {
            tracing::warn!(invoice = invoice.get(), "there is no such invoice");
            return Ok(Step::Nothing);
        };
        platform::observability::telemetry::identify(invoice.profile_id.get());
        let last = attempts::last(&mut transaction, invoice.id).await?;
        let step = match last {
            Some(attempt) if attempt.status == AttemptStatus::Unknown => {
                let has_turn =
                    attempts::begin_asking(&mut transaction, attempt.id, lease_ms(deadline)).await?;
                if has_turn {
                    Step::Ask {
                        attempt: attempt.id,
                        is_doubtful: true,
                    }
                } else {
                    Step::Busy { key: attempt.key }
                }
            }
            Some(attempt) if attempt.status == AttemptStatus::RequiresAction => match attempt.confirm_until {
                Some(until) if until <= heard.at => Step::Close(Box::new(attempt)),
                _ => Step::Nothing,
            },
            Some(attempt) if attempt.status != AttemptStatus::Failed => Step::Nothing,
            last => {
                self.begin(&mut transaction, &invoice, last, heard, deadline)
                    .await?
            }
        };
        transaction.commit().await?;
        Ok(step)
    }

    /// What is to be done when no attempt is in flight.
    async fn begin(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        last: Option<Attempt>,
        heard: Heard,
        deadline: Deadline,
    ) -> Result<Step, Error> {
        let method = payment_methods::active(connection, invoice.profile_id).await?;
        let active = method.as_ref().map(|method| ActiveMethod {
            active_since: active_since(method),
        });
        let last_attempt_at = last.as_ref().map(|attempt| attempt.created_at);
        match (invoice.collection.step(active, last_attempt_at, heard.at), method) {
            (CollectionStep::Charge, Some(method)) => match last {
                Some(last) if !last.is_cancelled => Ok(Step::Close(Box::new(last))),
                last => intend(connection, invoice, &method, last.as_ref(), heard, deadline).await,
            },
            (CollectionStep::AskForMethod, _) => {
                self.settlement.miss_method(connection, invoice, heard.at).await?;
                Ok(Step::Told)
            }
            (CollectionStep::GiveUp, _) => {
                self.settlement.give_up(connection, invoice, heard.at).await?;
                Ok(Step::Told)
            }
            (CollectionStep::Wait | CollectionStep::Charge, _) => Ok(Step::Nothing),
        }
    }

    /// Asks Stripe for an attempt and records what it says. In doubt the payment is looked for first: Stripe forgets keys
    /// after a day, and answers a repeated key with an error of its own for as long.
    async fn ask(
        &self,
        attempt: InvoicePaymentId,
        is_doubtful: bool,
        heard: Heard,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        let asked = attempts::load(&mut connection, attempt).await?;
        let invoice = asked.invoice_id;
        let description = crate::store::invoices::description(&mut connection, invoice).await?;
        // Nothing is held while Stripe is asked.
        drop(connection);
        let outcome = self.charge(&asked, description, is_doubtful, deadline).await;
        match outcome {
            Outcome::Done(reading) => self.record(&asked, &reading, heard).await,
            Outcome::Declined(refusal) => self.refuse(&asked, &refusal, heard).await,
            Outcome::Retryable(reason) => {
                self.give_back(&asked, None).await?;
                Err(unavailable(&reason))
            }
            Outcome::Unknown(reason) => {
                metrics::count_with("UnknownOutcomes", 1, &[("provider", "stripe")]);
                tracing::warn!(key = asked.key, %reason, "what came of a charge isn't known");
                self.give_back(&asked, Some(next_lookup(&asked))).await?;
                Err(Error::OutcomeUnknown { key: asked.key })
            }
        }
    }

    async fn charge(
        &self,
        attempt: &Attempt,
        description: String,
        is_doubtful: bool,
        deadline: Deadline,
    ) -> Outcome<PaymentIntent> {
        let until = deadline.earlier_by(RECORDING).instant();
        let connected = match self.processor.connect().await {
            Ok(connected) => connected,
            Err(error) => return Outcome::Retryable(providers::outcome::Reason(error.to_string())),
        };
        if is_doubtful {
            let found = find(&connected.client, attempt, until).await;
            match found {
                Outcome::Done(None) => {}
                Outcome::Done(Some(reading)) => return Outcome::Done(reading),
                Outcome::Declined(refusal) => {
                    return Outcome::Retryable(providers::outcome::Reason(refusal.code));
                }
                Outcome::Retryable(reason) | Outcome::Unknown(reason) => return Outcome::Retryable(reason),
            }
        }
        let request = ChargeRequest {
            customer: attempt.customer.clone(),
            payment_method: attempt.stripe_method.clone(),
            amount: attempt.amount,
            description,
            invoice_id: attempt.invoice_id,
            attempt_key: attempt.key.clone(),
            profile_id: attempt.profile_id,
        };
        connected.client.charge(&request, until).await
    }

    /// Records how the payment of an attempt stands.
    pub(crate) async fn record(
        &self,
        asked: &Attempt,
        reading: &PaymentIntent,
        heard: Heard,
    ) -> Result<(), Error> {
        let mut transaction = self.database.begin().await?;
        let Some((invoice, attempt)) = lock(&mut transaction, asked).await? else {
            return Ok(());
        };
        self.settlement
            .apply(&mut transaction, &invoice, &attempt, reading, heard)
            .await?;
        transaction.commit().await?;
        self.nudge.send().await;
        Ok(())
    }

    async fn refuse(&self, asked: &Attempt, refusal: &Decline, heard: Heard) -> Result<(), Error> {
        let mut transaction = self.database.begin().await?;
        let Some((invoice, attempt)) = lock(&mut transaction, asked).await? else {
            return Ok(());
        };
        if refusal.code == IDEMPOTENCY_ERROR {
            let found = "the key was used for another charge";
            let discrepancy =
                Discrepancy::new("idempotency-key", &attempt.key, "a charge of this attempt", found);
            discrepancy::park(&mut transaction, &discrepancy.of(attempt.id), heard.source).await?;
            attempts::end_asking(&mut transaction, attempt.id, None).await?;
        } else {
            self.settlement
                .refuse(&mut transaction, &invoice, &attempt, refusal, heard)
                .await?;
        }
        transaction.commit().await?;
        self.nudge.send().await;
        Ok(())
    }

    async fn give_back(&self, asked: &Attempt, next_lookup_at: Option<DateTime<Utc>>) -> Result<(), Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        attempts::end_asking(&mut connection, asked.id, next_lookup_at).await
    }

    /// Closes an attempt at Stripe; one that has succeeded meanwhile is recorded as such.
    async fn close(&self, attempt: &Attempt, heard: Heard, deadline: Deadline) -> Result<(), Error> {
        let Some(intent) = &attempt.intent else {
            // It never became a payment.
            let mut connection = self.database.pool().await?.acquire().await?;
            return attempts::set_cancelled(&mut connection, attempt.id).await;
        };
        let connected = self.processor.connect().await?;
        let until = deadline.earlier_by(RECORDING).instant();
        let key = format!("cancel-{}", attempt.key);
        let reading = match connected.client.cancel_payment_intent(intent, &key, until).await {
            // It can't be cancelled: it is, or it has succeeded, or is on its way.
            Outcome::Declined(_) => answered(connected.client.payment_intent(intent, until).await)?,
            other => answered(other)?,
        };
        let is_cancelled = reading.status == providers::stripe::IntentStatus::Canceled;
        self.record(attempt, &reading, heard).await?;
        if is_cancelled {
            let mut connection = self.database.pool().await?.acquire().await?;
            attempts::set_cancelled(&mut connection, attempt.id).await?;
        }
        Ok(())
    }
}

/// Locks the invoice of an attempt and reads the attempt again.
async fn lock(
    connection: &mut PgConnection,
    asked: &Attempt,
) -> Result<Option<(LockedInvoice, Attempt)>, Error> {
    let Some(invoice) = collection::lock(connection, asked.invoice_id).await? else {
        return Ok(None);
    };
    let attempt = attempts::load(connection, asked.id).await?;
    Ok(Some((invoice, attempt)))
}

/// Writes the next attempt down.
async fn intend(
    connection: &mut PgConnection,
    invoice: &LockedInvoice,
    method: &Method,
    last: Option<&Attempt>,
    heard: Heard,
    deadline: Deadline,
) -> Result<Step, Error> {
    let number = last.map_or(1, |last| last.number.saturating_add(1));
    let key = charge::idempotency_key(invoice.id, number);
    let now = SystemClock.now();
    let next_lookup_at = match LookupSchedule::STANDARD.next(0, now, now) {
        Next::At(at) => at,
        Next::GiveUp => now,
    };
    let new = NewAttempt {
        method: method.id,
        number,
        key: &key,
        run_at: heard.at,
        lease_ms: lease_ms(deadline),
        next_lookup_at,
    };
    let attempt = attempts::insert(connection, invoice, &new).await?;
    Ok(Step::Ask {
        attempt,
        is_doubtful: false,
    })
}

/// Looks for the payment of an attempt whose answer was lost.
pub(crate) async fn find(
    client: &providers::stripe::Stripe,
    attempt: &Attempt,
    until: tokio::time::Instant,
) -> Outcome<Option<PaymentIntent>> {
    client
        .find_payment_intent(&attempt.customer, &attempt.key, attempt.created_at, until)
        .await
}

/// Since when the method may be charged: since it was chosen, or its bank renewed it.
fn active_since(method: &Method) -> DateTime<Utc> {
    method
        .renewed_at
        .map_or(method.set_active_at, |renewed| renewed.max(method.set_active_at))
}

/// Nobody else asks until the function that asks has ended for sure.
fn lease_ms(deadline: Deadline) -> i64 {
    let lease = deadline.left() + Duration::from_secs(2);
    i64::try_from(lease.as_millis()).unwrap_or(i64::MAX)
}

fn next_lookup(attempt: &Attempt) -> DateTime<Utc> {
    let now = SystemClock.now();
    match LookupSchedule::STANDARD.next(attempt.lookups, attempt.created_at, now) {
        Next::At(at) => at,
        Next::GiveUp => now,
    }
}
