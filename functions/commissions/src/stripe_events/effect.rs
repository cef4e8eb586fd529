//! The effect of an event, found out before anything is written: Stripe is called here, outside of any transaction.

use domain::ids::{ProfileId, StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId};
use domain::money::Money;
use platform::deadline::Deadline;
use platform::observability::metrics;
use providers::outcome::{Outcome, ProviderError};
use providers::stripe::webhook::{Change, PayoutStatus, StripeEvent};
use providers::stripe::{
    ALREADY_REFUNDED, CheckoutKind, CheckoutSession, PaymentIntent, PaymentMethod, RESOURCE_MISSING, Refund,
    SetupIntent,
};

use super::StripeEvents;
use crate::discrepancy::Discrepancy;
use crate::events::PayoutPayload;
use crate::processor::STRIPE;
use crate::{Error, checkout, customer};

/// The effect of an event, to be written.
pub(super) enum Effect {
    Nothing,
    /// It conflicts with our record and needs manual review.
    Conflict(Discrepancy),
    SaveMethod(ProfileId, PaymentMethod),
    RefundedCheckout(Box<CheckoutSession>, Refund),
    RenewMethod(PaymentMethod),
    DetachMethod(StripePaymentMethodId),
    Charge(Box<PaymentIntent>),
    Refunded(StripePaymentIntentId, Money),
    Disputed(StripePaymentIntentId, String),
    Payout(&'static str, PayoutPayload),
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
            Change::PaymentMethodUpdated(method) => Effect::RenewMethod(method.clone()),
            Change::PaymentMethodDetached { id } => Effect::DetachMethod(id.clone()),
            Change::Intent(intent) => Effect::Charge(intent.clone()),
            Change::ChargeRefunded {
                intent: Some(intent),
                amount_refunded,
                ..
            } => Effect::Refunded(intent.clone(), *amount_refunded),
            Change::DisputeCreated {
                intent: Some(intent),
                reason,
                ..
            } => Effect::Disputed(intent.clone(), reason.clone()),
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
            Change::ChargeRefunded { intent: None, .. }
            | Change::DisputeCreated { intent: None, .. }
            | Change::Other => {
                metrics::count_with("IgnoredStripeEvents", 1, &[("type", &event.kind)]);
                Effect::Nothing
            }
        })
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
            CheckoutKind::Payment => self.refund(session, profile, deadline).await,
            CheckoutKind::Unrecognised(_) => Ok(Effect::Nothing),
        }
    }

    /// Refunds a payment, if and only if its session requests it and our record doesn't say otherwise.
    async fn refund(
        &self,
        session: &CheckoutSession,
        profile: ProfileId,
        deadline: Deadline,
    ) -> Result<Effect, Error> {
        let (true, true, Some(intent)) = (session.refund_asked, session.is_paid, &session.payment_intent)
        else {
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
            .with(async |connection| checkout::find(connection, &session.id).await)
            .await?;
        if let Some(known) = known {
            if known.refund_id.is_some() {
                return Ok(Effect::Nothing);
            }
            if !known.refund_asked || !known.is_payment || known.profile_id != profile {
                return conflict("no refund of this session", "a refund is asked for");
            }
        }
        let key = format!("refund-{}", session.id);
        let connected = self.processor.connect().await?;
        match connected.client.refund(intent, &key, deadline.instant()).await {
            Outcome::Done(refund) => Ok(Effect::RefundedCheckout(Box::new(session.clone()), refund)),
            Outcome::Declined(decline) if decline.code == ALREADY_REFUNDED => Ok(Effect::Nothing),
            Outcome::Declined(decline) => conflict("a refund", &decline.code),
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => {
                Err(ProviderError::unavailable(STRIPE, &reason).into())
            }
        }
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
