//! Recording what Stripe says of a charge, whoever observed it: the function that called, a webhook, or the reconciler. The
//! charge changes through its transition function, and what follows from it (the invoice, the events, the suspension) is
//! written in the same transaction, under the invoice's lock.

use chrono::{DateTime, TimeDelta, Utc};
use domain::commissions::charge::{self, ChargeStatus, StripeChargeState};
use domain::commissions::decline::{self, DeclineKind};
use domain::market::MarketCalendar;
use domain::transition::Transition;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use providers::outcome::Decline;
use providers::stripe::{IDEMPOTENCY_ERROR, IntentStatus, PaymentIntent, RESOURCE_MISSING};
use sqlx::PgConnection;

use super::store::{self, Charge, Recorded};
use crate::Error;
use crate::app_pages::AppPages;
use crate::discrepancy::Discrepancy;
use crate::dunning::{self, DunningRecorder, LockedInvoice};
use crate::events::{self, ConfirmationRequiredPayload};
use crate::review::{self, ReviewedCharge};
use crate::{customer, payment_method};

/// A charge that Stripe is processing, and whose end it hasn't reported, is looked up after this time.
const PROCESSING_LOOKUP: TimeDelta = TimeDelta::hours(20);
/// How long Stripe may work on a charge before it is confirmed.
const BEING_CONFIRMED: TimeDelta = TimeDelta::hours(1);
/// The customer let the time for confirming pass.
const CONFIRMATION_EXPIRED: &str = "confirmation_expired";
/// The charge was called off at Stripe.
const CANCELLED: &str = "canceled";
/// Stripe made a payment of the charge and never tried to take it.
const NOT_ATTEMPTED: &str = "not_attempted";

/// Which operation observed something at Stripe, and the time that retries and deadlines count from: that of the run, and
/// never before the clock's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observation {
    pub(crate) source: &'static str,
    pub(crate) at: DateTime<Utc>,
}

impl Observation {
    /// An observation of a charge counts from the run that made it, also when it is observed before that run has recorded
    /// it.
    fn not_before(self, charge: &Charge) -> Self {
        Self {
            at: self.at.max(charge.run_at),
            ..self
        }
    }
}

/// Records charges.
#[derive(Debug, Clone)]
pub(crate) struct ChargeRecorder {
    database: Database,
    relay: RelayWaker,
    clock: ClockHandle,
    dunning: DunningRecorder,
    pages: AppPages,
}

platform::from_environment!(ChargeRecorder {
    database,
    relay,
    clock,
    dunning,
    pages
});

impl ChargeRecorder {
    /// The same by another clock.
    #[cfg(test)]
    pub(super) fn with_clock(self, clock: ClockHandle) -> Self {
        Self { clock, ..self }
    }

    /// Records the payment of a charge as Stripe has it.
    pub(crate) async fn record(
        &self,
        charge: &Charge,
        intent: &PaymentIntent,
        observation: Observation,
    ) -> Result<(), Error> {
        let recorded = self
            .database
            .transaction(async |connection| match lock(connection, charge).await? {
                Some((invoice, charge)) => {
                    self.apply(connection, &invoice, &charge, intent, observation)
                        .await
                }
                None => Ok(()),
            });
        recorded.await?;
        self.relay.wake().await;
        Ok(())
    }

    /// Records that Stripe refused the charge without making a payment of it.
    pub(crate) async fn record_refusal(
        &self,
        charge: &Charge,
        refusal: &Decline,
        observation: Observation,
    ) -> Result<(), Error> {
        let recorded = self.database.transaction(async |connection| {
            let Some((invoice, charge)) = lock(connection, charge).await? else {
                return Ok::<_, Error>(());
            };
            if charge.status != ChargeStatus::Unknown {
                return Ok(());
            }
            if refusal.code == IDEMPOTENCY_ERROR {
                let found = "the key was used for another charge";
                let discrepancy =
                    Discrepancy::new("idempotency-key", &charge.key, "a charge of this attempt", found);
                return self
                    .needs_review(connection, &charge, discrepancy, observation)
                    .await;
            }
            match Refused::by(refusal) {
                Refused::Customers => {
                    self.refuse(connection, &invoice, &charge, refusal, observation)
                        .await
                }
                Refused::MissingCustomer | Refused::MissingMethod => {
                    self.missing(connection, &charge, refusal, observation).await
                }
                Refused::Ours => {
                    self.ours(connection, &charge, &refusal.code, &refusal.message)
                        .await
                }
            }
        });
        recorded.await?;
        self.relay.wake().await;
        Ok(())
    }

    /// Records that Stripe has no payment of a charge that must not be sent any more: it ends without counting, and the invoice is
    /// looked at anew while it is owed.
    pub(crate) async fn record_unsent(
        &self,
        charge: &Charge,
        code: &str,
        observation: Observation,
    ) -> Result<(), Error> {
        let recorded = self.database.transaction(async |connection| {
            let Some((invoice, charge)) = lock(connection, charge).await? else {
                return Ok::<_, Error>(());
            };
            if charge.status != ChargeStatus::Unknown {
                return Ok(());
            }
            self.withdraw(connection, &charge, code).await?;
            if !invoice.dunning.status.is_owed() {
                return Ok(());
            }
            let at = observation.not_before(&charge).at;
            dunning::publish_due(connection, charge.invoice_id, at).await
        });
        recorded.await?;
        self.relay.wake().await;
        Ok(())
    }

    /// Applies the payment of a charge as Stripe has it. The invoice is locked, and the charge read under its lock.
    pub(crate) async fn apply(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        charge: &Charge,
        intent: &PaymentIntent,
        observation: Observation,
    ) -> Result<(), Error> {
        let observation = observation.not_before(charge);
        if let Some(discrepancy) = conflict(charge, intent) {
            return self
                .needs_review(connection, charge, discrepancy, observation)
                .await;
        }
        let status = match charge.status.after(charge_state(intent, observation.at)) {
            Transition::Applied(ChargeStatus::Failed) if !is_customers(charge, intent) => {
                return self.nobodys(connection, charge, intent, observation).await;
            }
            Transition::Applied(status) => status,
            Transition::AlreadyApplied => return store::save_intent(connection, charge.id, &intent.id).await,
            Transition::Rejected(refusal) => {
                let found = format!("{:?} ({refusal})", intent.status);
                let discrepancy = Discrepancy::new("charge-state", &intent.id, charge.status, found);
                return self
                    .needs_review(connection, charge, discrepancy, observation)
                    .await;
            }
        };
        if status == ChargeStatus::Succeeded
            && let Transition::Rejected(refusal) = invoice.dunning.status.after_payment()
        {
            let expected = format!("no money for an invoice that is {}", invoice.dunning.status);
            let discrepancy = Discrepancy::new("paid-too-much", &intent.id, expected, refusal);
            return self
                .needs_review(connection, charge, discrepancy, observation)
                .await;
        }
        let failure_code = failure_code(charge, intent, status);
        let recorded = Recorded {
            status,
            intent: Some(&intent.id),
            failure_code,
            counts: true,
            response: Some(&intent.kept),
            confirm_until: (status == ChargeStatus::RequiresAction)
                .then(|| charge::confirm_until(observation.at)),
            next_lookup_at: next_lookup(status, observation.at),
            is_cancelled: intent.status == IntentStatus::Canceled,
            at: self.clock.now(),
        };
        store::record(connection, charge.id, &recorded).await?;
        review::charge_outcome_known(connection, charge.id, status.name(), recorded.at).await?;
        count_ended(status);
        let (method, at) = (charge.method_name.as_str(), observation.at);
        match status {
            ChargeStatus::Succeeded => self.dunning.charged(connection, invoice, method, at).await,
            ChargeStatus::Failed => {
                let failure = intent.failure.as_ref();
                let decline_kind = failure.map_or(DeclineKind::Soft, |failure| failure.decline_kind);
                let code = failure_code.unwrap_or(CANCELLED);
                self.dunning
                    .charge_failed(connection, invoice, method, code, decline_kind, at)
                    .await
            }
            ChargeStatus::RequiresAction => {
                self.publish_confirmation_required(connection, invoice, method, at)
                    .await
            }
            ChargeStatus::Unknown | ChargeStatus::Processing => Ok(()),
        }
    }

    /// The payment came to nothing, and the customer isn't to blame: it was called off at Stripe, or it is a fault of ours,
    /// whatever it makes of the payment there.
    async fn nobodys(
        &self,
        connection: &mut PgConnection,
        charge: &Charge,
        intent: &PaymentIntent,
        observation: Observation,
    ) -> Result<(), Error> {
        store::save_intent(connection, charge.id, &intent.id).await?;
        match &intent.failure {
            Some(failure) => {
                let message = failure.message.as_deref().unwrap_or_default();
                self.ours(connection, charge, &failure.code, message).await
            }
            None if intent.status == IntentStatus::Canceled => {
                self.withdraw(connection, charge, CANCELLED).await?;
                store::set_cancelled(connection, charge.id, self.clock.now()).await?;
                dunning::publish_due(connection, charge.invoice_id, observation.at).await
            }
            None => {
                let message = "no attempt was made to take the payment";
                self.ours(connection, charge, NOT_ATTEMPTED, message).await
            }
        }
    }

    async fn refuse(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        charge: &Charge,
        refusal: &Decline,
        observation: Observation,
    ) -> Result<(), Error> {
        let at = observation.not_before(charge).at;
        let recorded = Recorded {
            status: ChargeStatus::Failed,
            intent: None,
            failure_code: Some(&refusal.code),
            counts: true,
            response: None,
            confirm_until: None,
            next_lookup_at: None,
            is_cancelled: true,
            at: self.clock.now(),
        };
        store::record(connection, charge.id, &recorded).await?;
        review::charge_outcome_known(connection, charge.id, recorded.status.name(), recorded.at).await?;
        count_ended(recorded.status);
        let (method, code) = (&charge.method_name, &refusal.code);
        let decline_kind = decline::decline_kind(code);
        self.dunning
            .charge_failed(connection, invoice, method, code, decline_kind, at)
            .await
    }

    /// The charge's customer or payment method isn't there any more: nothing was taken, nobody is to blame, and the invoice is
    /// looked at anew.
    async fn missing(
        &self,
        connection: &mut PgConnection,
        charge: &Charge,
        refusal: &Decline,
        observation: Observation,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        if Refused::by(refusal) == Refused::MissingCustomer {
            customer::set_gone(connection, charge.profile_id, &charge.customer, now).await?;
        } else {
            payment_method::set_detached(connection, &charge.stripe_method, now).await?;
        }
        self.withdraw(connection, charge, &refusal.code).await?;
        let at = observation.not_before(charge).at;
        dunning::publish_due(connection, charge.invoice_id, at).await
    }

    /// Ends a charge of which nothing was taken, without counting it against its customer.
    pub(crate) async fn withdraw(
        &self,
        connection: &mut PgConnection,
        charge: &Charge,
        code: &str,
    ) -> Result<(), Error> {
        let recorded = Recorded {
            status: ChargeStatus::Failed,
            intent: None,
            failure_code: Some(code),
            counts: false,
            response: None,
            confirm_until: None,
            next_lookup_at: None,
            // A payment that was made of it is closed before there is another charge.
            is_cancelled: charge.intent.is_none(),
            at: self.clock.now(),
        };
        store::record(connection, charge.id, &recorded).await?;
        review::charge_outcome_known(connection, charge.id, recorded.status.name(), recorded.at).await
    }

    /// A refusal through a fault of ours: the charge stays open, nobody is told but us, and it is tried again every day.
    async fn ours(
        &self,
        connection: &mut PgConnection,
        charge: &Charge,
        code: &str,
        message: &str,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let Ok(status) = charge.status.after_refusal().or_current(charge.status) else {
            return Ok(());
        };
        tracing::error!(charge_id = %charge.id, key = charge.key, code, "Stripe refuses a charge through a fault of ours");
        metrics::count_with("RefusedCharges", 1, &[("code", code)]);
        let next_lookup_at = MarketCalendar::days_after(now, 1);
        store::set_refused(connection, charge.id, status, code, next_lookup_at).await?;
        review::charge_refused(connection, &reviewed(charge), code, message, now).await
    }

    async fn publish_confirmation_required(
        &self,
        connection: &mut PgConnection,
        invoice: &LockedInvoice,
        payment_method: &str,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let payload = ConfirmationRequiredPayload {
            invoice: invoice.payload(),
            payment_method: payment_method.to_owned(),
            confirm_until: charge::confirm_until(at),
            action_url: self.pages.invoice(invoice.id),
        };
        let kind = events::COMMISSION_CONFIRMATION_REQUIRED;
        events::publish(connection, kind, invoice.profile_id, at, payload).await
    }

    async fn needs_review(
        &self,
        connection: &mut PgConnection,
        charge: &Charge,
        discrepancy: Discrepancy,
        observation: Observation,
    ) -> Result<(), Error> {
        discrepancy
            .of(charge.id)
            .record(connection, observation.source, self.clock.now())
            .await?;
        store::release_lease(connection, charge.id, None).await
    }
}

/// Whose turn it is after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// The customer's: the card was refused.
    Customers,
    /// Nobody's: Stripe has no such customer any more.
    MissingCustomer,
    /// Nobody's: Stripe has no such payment method any more.
    MissingMethod,
    /// Ours.
    Ours,
}

impl Refused {
    fn by(refusal: &Decline) -> Self {
        let is_missing = refusal.code == RESOURCE_MISSING;
        match refusal.field.as_deref() {
            Some("customer") if is_missing => Self::MissingCustomer,
            Some("payment_method") if is_missing => Self::MissingMethod,
            _ if refusal.is_customers => Self::Customers,
            _ => Self::Ours,
        }
    }
}

/// Whether a payment that failed counts against its customer: when the card was refused, and always once the customer had to
/// confirm it.
fn is_customers(charge: &Charge, intent: &PaymentIntent) -> bool {
    charge.status == ChargeStatus::RequiresAction
        || intent
            .failure
            .as_ref()
            .is_some_and(|failure| failure.is_customers)
}

/// A charge as a review shows it.
pub(crate) fn reviewed(charge: &Charge) -> ReviewedCharge<'_> {
    ReviewedCharge {
        id: charge.id,
        invoice: charge.invoice_id,
        profile: charge.profile_id,
        key: &charge.key,
        amount: charge.amount(),
        created_at: charge.created_at,
    }
}

/// Locks the invoice of a charge and reads the charge again.
async fn lock(
    connection: &mut PgConnection,
    charge: &Charge,
) -> Result<Option<(LockedInvoice, Charge)>, Error> {
    let Some(invoice) = dunning::lock(connection, charge.invoice_id).await? else {
        return Ok(None);
    };
    Ok(Some((invoice, store::load(connection, charge.id).await?)))
}

/// Where the payment isn't as we requested it.
fn conflict(charge: &Charge, intent: &PaymentIntent) -> Option<Discrepancy> {
    let differs = |kind, expected: String, found: String| {
        (expected != found).then(|| Discrepancy::new(kind, &intent.id, expected, found))
    };
    let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let amount = charge.amount().to_string();
    let known_intent = charge.intent.as_ref().unwrap_or(&intent.id).to_string();
    differs("payment", known_intent, intent.id.to_string())
        .or_else(|| differs("amount", amount.clone(), intent.amount.to_string()))
        .or_else(|| {
            let customer = intent.customer.as_ref().map(ToString::to_string);
            differs("customer", charge.customer.to_string(), shown(customer))
        })
        .or_else(|| {
            let profile = intent.profile_id.map(|profile| profile.to_string());
            differs("profile", charge.profile_id.to_string(), shown(profile))
        })
        .or_else(|| differs("attempt", charge.key.clone(), shown(intent.attempt_key.clone())))
        .or_else(|| {
            let has_succeeded = intent.status == IntentStatus::Succeeded;
            differs("amount-received", amount, intent.amount_received.to_string()).filter(|_| has_succeeded)
        })
}

/// A payment that isn't confirmed yet may be one that Stripe is still working on; later it never will be.
fn charge_state(intent: &PaymentIntent, now: DateTime<Utc>) -> StripeChargeState {
    match &intent.status {
        IntentStatus::Succeeded => StripeChargeState::Succeeded,
        IntentStatus::Processing => StripeChargeState::Processing,
        IntentStatus::RequiresAction => StripeChargeState::RequiresAction,
        IntentStatus::Unconfirmed if now < intent.created_at + BEING_CONFIRMED => {
            StripeChargeState::Processing
        }
        IntentStatus::Failed | IntentStatus::Unconfirmed => StripeChargeState::Failed,
        IntentStatus::Canceled => StripeChargeState::Cancelled,
        IntentStatus::Unrecognised(_) => StripeChargeState::Unrecognised,
    }
}

fn failure_code<'a>(charge: &Charge, intent: &'a PaymentIntent, status: ChargeStatus) -> Option<&'a str> {
    if status != ChargeStatus::Failed {
        return None;
    }
    match &intent.failure {
        _ if charge.status == ChargeStatus::RequiresAction && intent.status == IntentStatus::Canceled => {
            Some(CONFIRMATION_EXPIRED)
        }
        Some(failure) => Some(&failure.code),
        None => Some(CANCELLED),
    }
}

/// Counts how charges end, for the alarm over the share that fails.
fn count_ended(status: ChargeStatus) {
    match status {
        ChargeStatus::Succeeded => metrics::count("SucceededCharges", 1),
        ChargeStatus::Failed => metrics::count("FailedCharges", 1),
        ChargeStatus::Unknown | ChargeStatus::Processing | ChargeStatus::RequiresAction => {}
    }
}

fn next_lookup(status: ChargeStatus, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match status {
        ChargeStatus::Unknown | ChargeStatus::Processing => Some(at + PROCESSING_LOOKUP),
        ChargeStatus::RequiresAction => Some(charge::confirm_until(at)),
        ChargeStatus::Succeeded | ChargeStatus::Failed => None,
    }
}
