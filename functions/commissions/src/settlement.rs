//! Recording what Stripe says of a charge, whoever heard it: the function that asked, a webhook, or the reconciler. The
//! attempt changes through its transition function, and what follows from it (the invoice, the events, the suspension)
//! is written in the same transaction, under the invoice's lock.

use chrono::{DateTime, TimeDelta, Utc};
use domain::billing::charge::{AttemptStatus, CONFIRMATION_TIME, ChargeState};
use domain::billing::decline::{self, DeclineKind};
use domain::billing::invoice::{Collection, InvoiceStatus};
use domain::clock::Clock;
use domain::market::MarketCalendar;
use domain::transition::Transition;
use platform::clock::SystemClock;
use platform::config::Environment;
use providers::outcome::Decline;
use providers::stripe::{IntentStatus, PaymentIntent};
use sqlx::PgConnection;

use crate::Error;
use crate::discrepancy::{self, Discrepancy};
use crate::events::{self, ChargeFailed, Charged, ConfirmationRequired};
use crate::pages::BillingPages;
use crate::store::attempts::{self, Attempt, Recorded};
use crate::store::collection::{self, LockedInvoice};
use crate::suspension;

/// A charge that Stripe has, and whose end it hasn't told, is asked about after this time.
const PROCESSING_LOOKUP: TimeDelta = TimeDelta::hours(20);
/// How long Stripe may work on a charge before it is confirmed.
const BEING_CONFIRMED: TimeDelta = TimeDelta::hours(1);
/// The customer let the time for confirming pass.
const CONFIRMATION_EXPIRED: &str = "confirmation_expired";
/// The charge was called off at Stripe.
const CANCELLED: &str = "canceled";
/// There was nothing to charge.
const NO_PAYMENT_METHOD: &str = "no_payment_method";

/// Who heard it, and when it counts as heard: the time of the run, which is never before the clock's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    pub(crate) source: &'static str,
    pub(crate) at: DateTime<Utc>,
}

impl Heard {
    /// Heard just now.
    pub(crate) fn now(source: &'static str) -> Self {
        Self::during(source, SystemClock.now())
    }

    /// A word about an attempt counts from the run that made it, also when it is heard before that run has recorded it.
    fn not_before(self, attempt: &Attempt) -> Self {
        Self {
            at: self.at.max(attempt.run_at),
            ..self
        }
    }

    /// Heard during a run of a time.
    pub(crate) fn during(source: &'static str, run: DateTime<Utc>) -> Self {
        Self {
            source,
            at: run.max(SystemClock.now()),
        }
    }
}

/// What a word made of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is this now.
    Changed(AttemptStatus),
    /// Nothing new.
    Unchanged,
    /// It disagrees with our record and was set aside for a person.
    Parked,
}

/// What records charges.
#[derive(Debug, Clone)]
pub struct Settlement {
    pages: BillingPages,
}

impl Settlement {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            pages: BillingPages::read(environment)?,
        })
    }

    /// Takes over how Stripe's payment stands. The invoice is locked, and the attempt read under its lock.
    pub(crate) async fn apply(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        attempt: &Attempt,
        reading: &PaymentIntent,
        heard: Heard,
    ) -> Result<Settled, Error> {
        let heard = heard.not_before(attempt);
        if let Some(discrepancy) = disagreement(attempt, reading) {
            return parked(connection, attempt, discrepancy, heard).await;
        }
        let status = match attempt.status.after(charge_state(reading, heard.at)) {
            Transition::Applied(status) => status,
            Transition::AlreadyApplied => {
                attempts::keep_intent(connection, attempt.id, &reading.id).await?;
                return Ok(Settled::Unchanged);
            }
            Transition::Rejected(refusal) => {
                let found = format!("{:?} ({refusal})", reading.status);
                let discrepancy = Discrepancy::new("charge-state", &reading.id, attempt.status, found);
                return parked(connection, attempt, discrepancy, heard).await;
            }
        };
        if status == AttemptStatus::Succeeded
            && let Transition::Rejected(refusal) = invoice.collection.status.after_payment()
        {
            let expected = format!("no money for an invoice that is {}", invoice.collection.status);
            let discrepancy = Discrepancy::new("paid-too-much", &reading.id, expected, refusal);
            return parked(connection, attempt, discrepancy, heard).await;
        }
        let code = failure_code(attempt, reading, status);
        let recorded = Recorded {
            status,
            intent: Some(&reading.id),
            failure_code: code,
            response: Some(&reading.raw),
            confirm_until: (status == AttemptStatus::RequiresAction).then(|| heard.at + CONFIRMATION_TIME),
            next_lookup_at: next_lookup(status, heard.at),
        };
        attempts::record(connection, attempt.id, &recorded).await?;
        if reading.status == IntentStatus::Canceled {
            attempts::set_cancelled(connection, attempt.id).await?;
        }
        match status {
            AttemptStatus::Succeeded => self.charged(connection, invoice, attempt, heard.at).await?,
            AttemptStatus::Failed => {
                let decline_kind = reading
                    .failure
                    .as_ref()
                    .map_or(DeclineKind::Soft, |failure| failure.decline_kind);
                let code = code.unwrap_or(CANCELLED);
                self.failed(connection, invoice, attempt, code, decline_kind, heard.at)
                    .await?;
            }
            AttemptStatus::RequiresAction => {
                self.waits(connection, invoice, attempt, heard.at).await?;
            }
            AttemptStatus::Unknown | AttemptStatus::Processing => {}
        }
        Ok(Settled::Changed(status))
    }

    /// Records that Stripe refused the charge without making a payment of it.
    pub(crate) async fn refuse(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        attempt: &Attempt,
        refusal: &Decline,
        heard: Heard,
    ) -> Result<Settled, Error> {
        if attempt.status != AttemptStatus::Unknown {
            return Ok(Settled::Unchanged);
        }
        let heard = heard.not_before(attempt);
        let recorded = Recorded {
            status: AttemptStatus::Failed,
            intent: None,
            failure_code: Some(&refusal.code),
            response: None,
            confirm_until: None,
            next_lookup_at: None,
        };
        attempts::record(connection, attempt.id, &recorded).await?;
        attempts::set_cancelled(connection, attempt.id).await?;
        let decline_kind = decline::decline_kind(&refusal.code);
        self.failed(
            connection,
            invoice,
            attempt,
            &refusal.code,
            decline_kind,
            heard.at,
        )
        .await?;
        Ok(Settled::Changed(AttemptStatus::Failed))
    }

    /// Records that there is nothing to charge, and tells the profile, once.
    pub(crate) async fn miss_method(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let collection = invoice.collection.without_method(at);
        collection::set_collection(connection, invoice.id, &collection).await?;
        self.tell_failure(connection, invoice, None, NO_PAYMENT_METHOD, &collection, at)
            .await
    }

    /// Gives the invoice up: its profile can't buy until it is paid.
    pub(crate) async fn give_up(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let status = invoice.collection.status.after_giving_up();
        let Transition::Applied(status) = status else {
            return Ok(());
        };
        let collection = Collection {
            status,
            next_attempt_at: None,
            ..invoice.collection
        };
        collection::set_collection(connection, invoice.id, &collection).await?;
        self.given_up(connection, invoice, at).await
    }

    async fn charged(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        attempt: &Attempt,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        collection::set_paid(connection, invoice.id, at).await?;
        let told = Charged {
            invoice: invoice.told(),
            payment_method: attempt.method_name.clone(),
            charged_at: at,
        };
        events::tell(
            connection,
            events::COMMISSION_CHARGED,
            invoice.profile_id,
            at,
            told,
        )
        .await?;
        suspension::end_when_settled(connection, invoice, &self.pages, at).await
    }

    async fn failed(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        attempt: &Attempt,
        code: &str,
        decline_kind: DeclineKind,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        if !invoice.collection.status.is_owed() {
            return Ok(());
        }
        let collection = invoice.collection.after_failure(decline_kind, at);
        collection::set_collection(connection, invoice.id, &collection).await?;
        let reason = decline::reason(code);
        self.tell_failure(connection, invoice, Some(attempt), reason, &collection, at)
            .await?;
        let is_given_up = collection.status == InvoiceStatus::Uncollectible
            && invoice.collection.status != InvoiceStatus::Uncollectible;
        if is_given_up {
            self.given_up(connection, invoice, at).await?;
        }
        Ok(())
    }

    async fn tell_failure(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        attempt: Option<&Attempt>,
        reason: &str,
        collection: &Collection,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let told = ChargeFailed {
            invoice: invoice.told(),
            payment_method: attempt.map(|attempt| attempt.method_name.clone()),
            reason: reason.to_owned(),
            next_attempt_on: collection.next_attempt_at.map(MarketCalendar::business_date),
            action_url: self.pages.payment_methods(),
        };
        events::tell(
            connection,
            events::COMMISSION_CHARGE_FAILED,
            invoice.profile_id,
            at,
            told,
        )
        .await
    }

    async fn waits(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        attempt: &Attempt,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let told = ConfirmationRequired {
            invoice: invoice.told(),
            payment_method: attempt.method_name.clone(),
            confirm_until: at + CONFIRMATION_TIME,
            action_url: self.pages.invoice(invoice.id),
        };
        let kind = events::COMMISSION_CONFIRMATION_REQUIRED;
        events::tell(connection, kind, invoice.profile_id, at, told).await
    }

    async fn given_up(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let kind = events::INVOICE_UNCOLLECTIBLE;
        events::tell(connection, kind, invoice.profile_id, at, invoice.told()).await?;
        suspension::begin(connection, invoice, &self.pages, at).await
    }
}

async fn parked(
    connection: &mut PgConnection,
    attempt: &Attempt,
    discrepancy: Discrepancy,
    heard: Heard,
) -> Result<Settled, Error> {
    discrepancy::park(connection, &discrepancy.of(attempt.id), heard.source).await?;
    attempts::end_asking(connection, attempt.id, None).await?;
    Ok(Settled::Parked)
}

/// What of the payment isn't as we asked for it.
fn disagreement(attempt: &Attempt, reading: &PaymentIntent) -> Option<Discrepancy> {
    let differs = |kind, expected: String, found: String| {
        (expected != found).then(|| Discrepancy::new(kind, &reading.id, expected, found))
    };
    let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let intent = attempt
        .intent
        .as_ref()
        .map_or(reading.id.to_string(), ToString::to_string);
    differs("payment", intent, reading.id.to_string())
        .or_else(|| differs("amount", attempt.amount.to_string(), reading.amount.to_string()))
        .or_else(|| {
            let customer = reading.customer.as_ref().map(ToString::to_string);
            differs("customer", attempt.customer.to_string(), shown(customer))
        })
        .or_else(|| {
            let profile = reading.profile_id.map(|profile| profile.to_string());
            differs("profile", attempt.profile_id.to_string(), shown(profile))
        })
        .or_else(|| differs("attempt", attempt.key.clone(), shown(reading.attempt_key.clone())))
        .or_else(|| {
            let has_succeeded = reading.status == IntentStatus::Succeeded;
            let received = reading.amount_received.to_string();
            differs("amount-received", attempt.amount.to_string(), received).filter(|_| has_succeeded)
        })
}

/// A payment that nobody has confirmed yet may be one that Stripe is still working on; later it never will be.
fn charge_state(reading: &PaymentIntent, now: DateTime<Utc>) -> ChargeState {
    match &reading.status {
        IntentStatus::Succeeded => ChargeState::Succeeded,
        IntentStatus::Processing => ChargeState::Processing,
        IntentStatus::RequiresAction => ChargeState::RequiresAction,
        IntentStatus::Unconfirmed if now < reading.created_at + BEING_CONFIRMED => ChargeState::Processing,
        IntentStatus::Failed | IntentStatus::Unconfirmed => ChargeState::Failed,
        IntentStatus::Canceled => ChargeState::Cancelled,
        IntentStatus::Unrecognised(_) => ChargeState::Unrecognised,
    }
}

fn failure_code<'a>(attempt: &Attempt, reading: &'a PaymentIntent, status: AttemptStatus) -> Option<&'a str> {
    if status != AttemptStatus::Failed {
        return None;
    }
    match &reading.failure {
        _ if attempt.status == AttemptStatus::RequiresAction && reading.status == IntentStatus::Canceled => {
            Some(CONFIRMATION_EXPIRED)
        }
        Some(failure) => Some(&failure.code),
        None => Some(CANCELLED),
    }
}

fn next_lookup(status: AttemptStatus, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match status {
        AttemptStatus::Unknown | AttemptStatus::Processing => Some(at + PROCESSING_LOOKUP),
        AttemptStatus::RequiresAction => Some(at + CONFIRMATION_TIME),
        AttemptStatus::Succeeded | AttemptStatus::Failed => None,
    }
}
