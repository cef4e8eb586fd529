//! The effect of an event, found out before anything is written: Stripe is called here, outside of any transaction.

use domain::ids::{
    CheckoutId, ProfileId, StripeCheckoutSessionId, StripeCustomerId, StripePaymentIntentId,
    StripePaymentMethodId, StripeRefundId,
};
use domain::money::Money;
use platform::deadline::Deadline;
use platform::observability::metrics;
use providers::outcome::{Outcome, ProviderError};
use providers::stripe::webhook::{Change, PayoutStatus, StripeEvent};
use providers::stripe::{
    ALREADY_REFUNDED, CheckoutKind, CheckoutSession, IntentStatus, PaymentIntent, PaymentMethod,
    RESOURCE_MISSING, Refund, RefundStatus, SetupIntent,
};
use sqlx::PgConnection;

use super::StripeEvents;
use crate::charge::ChargeOfInvoice;
use crate::discrepancy::Discrepancy;
use crate::events::PayoutPayload;
use crate::processor::STRIPE;
use crate::{Error, charge, checkout, customer, payment_method};

/// The effect of an event, to be written.
pub(super) enum Effect {
    Nothing,
    /// It conflicts with our record and needs manual review.
    Conflict(Discrepancy),
    SaveMethod(ProfileId, PaymentMethod),
    RefundedCheckout(CheckoutId, StripeCheckoutSessionId, Refund),
    PaidCheckout(Box<PaidCheckout>),
    RenewMethod(PaymentMethod),
    DetachMethod(StripePaymentMethodId),
    Charge(Box<PaymentIntent>),
    Refunded(Refunds),
    RefundFailed(FailedRefund),
    /// Why, as Stripe names it.
    Disputed(Payment, String),
    /// How, as Stripe names it.
    DisputeClosed(Payment, String),
    Payout(&'static str, PayoutPayload),
}

/// A price that was paid and is kept.
pub(super) struct PaidCheckout {
    pub(super) checkout: CheckoutId,
    pub(super) session: StripeCheckoutSessionId,
    pub(super) profile: ProfileId,
    pub(super) price: String,
    pub(super) amount: Money,
}

/// A payment that something has happened to.
pub(super) struct Payment {
    pub(super) intent: StripePaymentIntentId,
    /// Our key of it, where it is one of ours and its id isn't known here yet.
    pub(super) key: Option<String>,
}

/// What is given back of a charge, as Stripe has it.
pub(super) struct Refunds {
    pub(super) charge: ChargeOfInvoice,
    pub(super) intent: StripePaymentIntentId,
    /// All of it.
    pub(super) amount: Money,
    /// The version of our record that Stripe was asked after.
    pub(super) version: i32,
}

/// A refund that came to nothing: the money is ours again.
pub(super) struct FailedRefund {
    pub(super) id: StripeRefundId,
    /// What else is given back of the charge, if it is one of ours.
    pub(super) refunds: Option<Refunds>,
    pub(super) amount: Money,
    /// Why, as Stripe names it.
    pub(super) reason: String,
}

/// Whose an object of Stripe's is.
enum Owner {
    Profile(ProfileId),
    /// Neither its customer nor its metadata is ours.
    NotOurs,
    Conflict(Discrepancy),
}

impl StripeEvents {
    /// The effect of the event.
    pub(super) async fn effect(&self, event: &StripeEvent, deadline: Deadline) -> Result<Effect, Error> {
        Ok(match &event.change {
            Change::CheckoutCompleted(session) => self.checkout_completed(session, deadline).await?,
            Change::SetupSucceeded(setup) => self.setup_succeeded(setup, deadline).await?,
            Change::PaymentMethodUpdated(method) => self.method_as_it_is(method, deadline).await?,
            Change::PaymentMethodDetached { id } => Effect::DetachMethod(id.clone()),
            Change::Intent(intent) => Effect::Charge(self.intent_as_it_is(intent, deadline).await?),
            Change::ChargeRefunded {
                intent: Some(intent),
                attempt_key,
                amount_refunded,
                ..
            } => {
                let (intent, key) = (intent.clone(), attempt_key.clone());
                let payment = Payment { intent, key };
                let refunds = self.refunds(&payment, *amount_refunded, None, deadline).await?;
                refunds.map_or(Effect::Nothing, Effect::Refunded)
            }
            Change::RefundFailed {
                id,
                intent: Some(intent),
                amount,
                reason,
            } => {
                let payment = self.payment(intent, deadline).await?;
                Effect::RefundFailed(FailedRefund {
                    id: id.clone(),
                    refunds: self.refunds(&payment, *amount, Some(id), deadline).await?,
                    amount: *amount,
                    reason: reason.clone(),
                })
            }
            Change::DisputeCreated {
                intent: Some(intent),
                reason,
                ..
            } => Effect::Disputed(self.payment(intent, deadline).await?, reason.clone()),
            Change::DisputeClosed {
                intent: Some(intent),
                outcome,
                ..
            } => Effect::DisputeClosed(self.payment(intent, deadline).await?, outcome.clone()),
            Change::Payout {
                id,
                status,
                amount,
                failure_code,
            } => {
                let payload = PayoutPayload {
                    payout_id: id.to_string(),
                    amount_cents: amount.minor(),
                    currency: amount.currency().code().to_owned(),
                    failure_code: failure_code.clone(),
                };
                Effect::Payout(payout_kind(*status), payload)
            }
            // Nothing was taken and nothing told: its customer knows from the bank.
            Change::CheckoutPaymentFailed { id } => {
                tracing::info!(session_id = %id, "the payment of a checkout session didn't come");
                Effect::Nothing
            }
            Change::ChargeRefunded { intent: None, .. }
            | Change::RefundFailed { intent: None, .. }
            | Change::DisputeCreated { intent: None, .. }
            | Change::DisputeClosed { intent: None, .. }
            | Change::Other => {
                metrics::count_with("IgnoredStripeEvents", 1, &[("type", &event.kind)]);
                Effect::Nothing
            }
        })
    }

    /// A payment that an object of Stripe's names by its id alone. While that isn't known here, Stripe is asked for our key of it.
    async fn payment(&self, intent: &StripePaymentIntentId, deadline: Deadline) -> Result<Payment, Error> {
        let known = self
            .database
            .with(async |connection| charge::find(connection, intent, None).await)
            .await?;
        let key = if known.is_some() {
            None
        } else {
            let connected = self.processor.connect().await?;
            let fetching = connected.client.payment_intent(intent, deadline.instant());
            match fetching.await {
                Outcome::Declined(decline) if decline.code == RESOURCE_MISSING => None,
                other => other.done(STRIPE)?.attempt_key,
            }
        };
        Ok(Payment {
            intent: intent.clone(),
            key,
        })
    }

    /// What Stripe has given back of a payment of ours; an event alone doesn't say, since one that comes late tells of a
    /// refund that may have failed since. `amount` is the event's, `failed` the refund that it says has failed.
    async fn refunds(
        &self,
        payment: &Payment,
        amount: Money,
        failed: Option<&StripeRefundId>,
        deadline: Deadline,
    ) -> Result<Option<Refunds>, Error> {
        let known = self
            .database
            .with(async |connection| {
                let Some(charge) = charge_of(connection, payment).await? else {
                    return Ok(None);
                };
                let version = charge::refunds_version(connection, charge.id).await?;
                Ok::<_, Error>(Some((charge, version)))
            })
            .await?;
        let Some((charge, version)) = known else {
            return Ok(None);
        };
        let connected = self.processor.connect().await?;
        let refunds = connected.client.refunds(&payment.intent, deadline.instant());
        let mut refunds = refunds.await.done(STRIPE)?.into_iter();
        let nothing = Money::zero(amount.currency());
        let amount = refunds.try_fold(nothing, |sum, refund| {
            match refund.is_given_back() && failed != Some(&refund.id) {
                true => sum.checked_add(refund.amount),
                false => Ok(sum),
            }
        })?;
        Ok(Some(Refunds {
            charge,
            intent: payment.intent.clone(),
            amount,
            version,
        }))
    }

    /// A renewed method as Stripe has it now. Of two events within one second the order can't be told, and the later one may
    /// come first.
    async fn method_as_it_is(&self, method: &PaymentMethod, deadline: Deadline) -> Result<Effect, Error> {
        let known = self
            .database
            .with(async |connection| payment_method::owner(connection, &method.id).await)
            .await?;
        if known.is_none() {
            return Ok(Effect::Nothing);
        }
        let connected = self.processor.connect().await?;
        let fetching = connected.client.payment_method(&method.id, deadline.instant());
        Ok(match fetching.await {
            Outcome::Declined(decline) if decline.code == RESOURCE_MISSING => Effect::Nothing,
            other => match other.done(STRIPE)? {
                // It was detached meanwhile, which has an event of its own.
                method if method.customer.is_none() => Effect::Nothing,
                method => Effect::RenewMethod(method),
            },
        })
    }

    /// A payment as Stripe has it now, unless the event says that it has ended: one that comes late reports a state which
    /// the payment has left, and could take back what came after it.
    async fn intent_as_it_is(
        &self,
        intent: &PaymentIntent,
        deadline: Deadline,
    ) -> Result<Box<PaymentIntent>, Error> {
        let has_ended = matches!(intent.status, IntentStatus::Succeeded | IntentStatus::Canceled);
        // Of payments without our key nothing follows, so nothing has to be asked.
        if has_ended || intent.attempt_key.is_none() {
            return Ok(Box::new(intent.clone()));
        }
        let connected = self.processor.connect().await?;
        let fetching = connected.client.payment_intent(&intent.id, deadline.instant());
        Ok(Box::new(match fetching.await {
            // Whatever the event is about, it is compared with our record.
            Outcome::Declined(decline) if decline.code == RESOURCE_MISSING => intent.clone(),
            other => other.done(STRIPE)?,
        }))
    }

    async fn checkout_completed(
        &self,
        session: &CheckoutSession,
        deadline: Deadline,
    ) -> Result<Effect, Error> {
        let profile = match self
            .owner(session.customer.as_ref(), session.profile_id, &session.id)
            .await?
        {
            Owner::Profile(profile) => profile,
            Owner::NotOurs => return Ok(Effect::Nothing),
            Owner::Conflict(discrepancy) => return Ok(Effect::Conflict(discrepancy)),
        };
        match session.mode {
            CheckoutKind::Setup => {
                let connected = self.processor.connect().await?;
                let fetching = connected.client.checkout_session(&session.id, deadline.instant());
                let fetched = fetching.await.done(STRIPE)?;
                Ok(match fetched.payment_method {
                    Some(method) if method.customer == session.customer => {
                        Effect::SaveMethod(profile, method)
                    }
                    // It was detached again meanwhile.
                    _ => Effect::Nothing,
                })
            }
            CheckoutKind::Payment => self.paid(session, profile, deadline).await,
            CheckoutKind::Unrecognised(_) => Ok(Effect::Nothing),
        }
    }

    /// A payment is given back if it proves a card by our own record, whatever Stripe's says; any other is kept and told.
    async fn paid(
        &self,
        session: &CheckoutSession,
        profile: ProfileId,
        deadline: Deadline,
    ) -> Result<Effect, Error> {
        let (true, Some(intent)) = (session.is_paid, &session.payment_intent) else {
            return Ok(Effect::Nothing);
        };
        let conflict = |expected: &str, found: &str| {
            Ok(Effect::Conflict(Discrepancy::new(
                "refund",
                &session.id,
                expected,
                found,
            )))
        };
        let known = self
            .database
            .with(async |connection| checkout::find(connection, &session.id, session.checkout_id).await)
            .await?;
        let Some(known) = known.filter(|known| known.is_payment && known.profile_id == profile) else {
            return conflict("no payment of this session", "a payment");
        };
        if known.refund_id.is_some() {
            return Ok(Effect::Nothing);
        }
        if !known.is_card_proof {
            return Ok(match session.amount {
                Some(amount) => Effect::PaidCheckout(Box::new(PaidCheckout {
                    checkout: known.id,
                    session: session.id.clone(),
                    profile,
                    price: known.price_id.unwrap_or_default(),
                    amount,
                })),
                None => Effect::Nothing,
            });
        }
        let key = format!("refund-{}", session.id);
        let connected = self.processor.connect().await?;
        let made = match connected.client.refund(intent, &key, deadline.instant()).await {
            Outcome::Done(refund) => Some(refund.id),
            Outcome::Declined(decline) if decline.code == ALREADY_REFUNDED => None,
            Outcome::Declined(decline) => return conflict("a refund", &decline.code),
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => {
                return Err(ProviderError::unavailable(STRIPE, &reason).into());
            }
        };
        // Another refund may be of a part, unless Stripe says that all is given back.
        let counts =
            |refund: &Refund| is_on_its_way(refund) && made.as_ref().is_none_or(|made| *made == refund.id);
        // To a repeated call Stripe repeats its first answer, whatever has come of the refund since.
        let refunds = connected.client.refunds(intent, deadline.instant()).await;
        let mut refunds = refunds.done(STRIPE)?.into_iter();
        Ok(match refunds.find(counts) {
            Some(refund) => Effect::RefundedCheckout(known.id, session.id.clone(), refund),
            None => return conflict("a refund", "none that reaches its customer"),
        })
    }

    async fn setup_succeeded(&self, setup: &SetupIntent, deadline: Deadline) -> Result<Effect, Error> {
        let profile = match self
            .owner(setup.customer.as_ref(), setup.profile_id, &setup.id)
            .await?
        {
            Owner::Profile(profile) => profile,
            Owner::NotOurs => return Ok(Effect::Nothing),
            Owner::Conflict(discrepancy) => return Ok(Effect::Conflict(discrepancy)),
        };
        let Some(method) = &setup.payment_method else {
            return Ok(Effect::Nothing);
        };
        let connected = self.processor.connect().await?;
        let method = match connected.client.payment_method(method, deadline.instant()).await {
            Outcome::Declined(decline) if decline.code == RESOURCE_MISSING => return Ok(Effect::Nothing),
            other => other.done(STRIPE)?,
        };
        Ok(if method.customer == setup.customer {
            Effect::SaveMethod(profile, method)
        } else {
            // It was detached again meanwhile.
            Effect::Nothing
        })
    }

    /// Whose an object is: by its customer, and by the metadata that we wrote. Both have to agree.
    async fn owner(
        &self,
        customer: Option<&StripeCustomerId>,
        in_metadata: Option<ProfileId>,
        subject: &impl ToString,
    ) -> Result<Owner, Error> {
        let of_customer = match customer {
            Some(customer) => {
                self.database
                    .with(async |connection| customer::profile_of(connection, customer).await)
                    .await?
            }
            None => None,
        };
        let shown =
            |profile: Option<ProfileId>| profile.map_or("none".to_owned(), |profile| profile.to_string());
        Ok(match (of_customer, in_metadata) {
            (Some(profile), Some(other)) if profile == other => Owner::Profile(profile),
            (None, None) => Owner::NotOurs,
            _ => Owner::Conflict(Discrepancy::new(
                "owner",
                subject.to_string(),
                shown(of_customer),
                shown(in_metadata),
            )),
        })
    }
}

fn payout_kind(status: PayoutStatus) -> &'static str {
    match status {
        PayoutStatus::Paid => "payout.paid",
        PayoutStatus::Failed => "payout.failed",
        PayoutStatus::Canceled => "payout.canceled",
    }
}

/// Our charge that a payment is of; none where it isn't one of ours.
///
/// # Errors
/// Transient where it is ours and its charge isn't known yet: Stripe sends the event again.
pub(super) async fn charge_of(
    connection: &mut PgConnection,
    payment: &Payment,
) -> Result<Option<ChargeOfInvoice>, Error> {
    let found = charge::find(connection, &payment.intent, payment.key.as_deref()).await?;
    match (found, &payment.key) {
        (None, Some(key)) => Err(Error::OutcomeUnknown { key: key.clone() }),
        (None, None) => Ok(None),
        // A second payment under the charge's key, which has a review, is another than the charge's.
        (Some(found), _) => {
            let known = charge::load(connection, found.id).await?.intent;
            Ok(known.is_none_or(|known| known == payment.intent).then_some(found))
        }
    }
}

/// Whether a refund reaches its customer without anybody doing something more.
fn is_on_its_way(refund: &Refund) -> bool {
    matches!(refund.status, RefundStatus::Succeeded | RefundStatus::Pending)
}
