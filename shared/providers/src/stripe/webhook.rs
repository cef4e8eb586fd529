//! Stripe's events, whose signature [`verify`] has checked.

use chrono::{DateTime, Utc};
use domain::ids::{
    StripeCheckoutSessionId, StripeDisputeId, StripeEventId, StripePaymentIntentId, StripePaymentMethodId,
    StripePayoutId, StripeRefundId,
};
use domain::money::Money;
use domain::storable::storable_body;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::answer;
use super::wire;
use super::{CheckoutSession, PaymentIntent, PaymentMethod, SetupIntent};

pub use super::signature::{InvalidSignature, TOLERANCE, verify};

/// An event.
#[derive(Debug, Clone)]
pub struct StripeEvent {
    /// Its id: the same however often it is delivered.
    pub id: StripeEventId,
    /// Its type, as Stripe names it.
    pub kind: String,
    /// When it happened. Events come in any order.
    pub created_at: DateTime<Utc>,
    /// The version its object is written in.
    pub api_version: Option<String>,
    /// Whether real money moves.
    pub livemode: bool,
    /// The connected account it is about; none for our own.
    pub account: Option<String>,
    /// What has happened.
    pub change: Change,
}

/// The change that an event reports. Objects are as they were then, not as they are now.
#[derive(Debug, Clone)]
pub enum Change {
    /// A customer has completed a checkout session, or its payment, which takes days, has come (`checkout.session.completed`,
    /// `checkout.session.async_payment_succeeded`).
    CheckoutCompleted(CheckoutSession),
    /// The payment of a completed checkout session didn't come (`checkout.session.async_payment_failed`).
    CheckoutPaymentFailed {
        /// The session.
        id: StripeCheckoutSessionId,
    },
    /// A payment method was saved (`setup_intent.succeeded`).
    SetupSucceeded(SetupIntent),
    /// A payment method was changed, by us or by its issuer (`payment_method.updated`,
    /// `payment_method.automatically_updated`).
    PaymentMethodUpdated(PaymentMethod),
    /// A payment method is nobody's any more (`payment_method.detached`).
    PaymentMethodDetached {
        /// The method.
        id: StripePaymentMethodId,
    },
    /// A payment has moved (`payment_intent.succeeded`, `payment_failed`, `processing`, `requires_action`, `canceled`).
    Intent(Box<PaymentIntent>),
    /// Money was given back (`charge.refunded`).
    ChargeRefunded {
        /// The payment.
        intent: Option<StripePaymentIntentId>,
        /// Our key of the payment, where it is one of ours.
        attempt_key: Option<String>,
        /// All that was given back of it so far.
        amount_refunded: Money,
        /// Whether that is all of it.
        is_full: bool,
    },
    /// Money that was given back didn't reach the customer, and is ours again (`refund.failed`).
    RefundFailed {
        /// The refund.
        id: StripeRefundId,
        /// The payment.
        intent: Option<StripePaymentIntentId>,
        /// How much.
        amount: Money,
        /// Why, as Stripe names it; empty where it doesn't.
        reason: String,
    },
    /// A customer disputes a charge at the bank (`charge.dispute.created`).
    DisputeCreated {
        /// The dispute.
        id: StripeDisputeId,
        /// The payment.
        intent: Option<StripePaymentIntentId>,
        /// How much is disputed.
        amount: Money,
        /// Why, as Stripe names it.
        reason: String,
    },
    /// A dispute has ended (`charge.dispute.closed`).
    DisputeClosed {
        /// The dispute.
        id: StripeDisputeId,
        /// The payment.
        intent: Option<StripePaymentIntentId>,
        /// How, as Stripe names it: `won`, `lost`, `warning_closed`.
        outcome: String,
    },
    /// A payout of our balance has ended (`payout.paid`, `payout.failed`, `payout.canceled`). A paid one may still fail.
    Payout {
        /// The payout.
        id: StripePayoutId,
        /// How.
        status: PayoutStatus,
        /// How much; below zero where Stripe takes it from our bank.
        amount: Money,
        /// Why it failed.
        failure_code: Option<String>,
    },
    /// Nothing of ours.
    Other,
}

/// How a payout has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayoutStatus {
    /// The bank has it, as far as Stripe knows.
    Paid,
    /// The bank has refused it.
    Failed,
    /// It was called back.
    Canceled,
}

/// The event can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the event{}can't be read: {what}", .kind.as_ref().map_or(" ".to_owned(), |kind| format!(" of type {kind} ")))]
pub struct Unreadable {
    /// Its type, where that can be read.
    pub kind: Option<String>,
    /// What is wrong.
    pub what: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    created: i64,
    #[serde(default)]
    api_version: Option<String>,
    livemode: bool,
    #[serde(default)]
    account: Option<String>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
}

/// Reads an event whose signature was checked.
///
/// # Errors
/// When it isn't an event, or is of a type that concerns us and its object can't be read.
pub fn parse(body: &[u8]) -> Result<StripeEvent, Unreadable> {
    let body = storable_body(body);
    let envelope: Envelope<'_> = serde_json::from_slice(&body).map_err(|error| Unreadable {
        kind: None,
        what: wire::position(&error),
    })?;
    let kind = envelope.kind.clone();
    read(envelope).map_err(|what| Unreadable {
        kind: Some(kind),
        what,
    })
}

fn read(envelope: Envelope<'_>) -> Result<StripeEvent, String> {
    Ok(StripeEvent {
        id: wire::id(&envelope.id)?,
        created_at: wire::time(envelope.created)?,
        api_version: envelope.api_version,
        livemode: envelope.livemode,
        account: envelope.account,
        change: change(&envelope.kind, envelope.data.object)?,
        kind: envelope.kind,
    })
}

fn change(kind: &str, object: &RawValue) -> Result<Change, String> {
    let text = object.get();
    match kind {
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
            let session: answer::CheckoutSession = wire::object(text)?;
            wire::checkout(&session).map(Change::CheckoutCompleted)
        }
        "checkout.session.async_payment_failed" => {
            let session: answer::CheckoutSession = wire::object(text)?;
            let id = wire::id(&session.id)?;
            Ok(Change::CheckoutPaymentFailed { id })
        }
        "setup_intent.succeeded" => {
            let setup: answer::SetupIntent = wire::object(text)?;
            wire::setup(&setup).map(Change::SetupSucceeded)
        }
        "payment_method.updated" | "payment_method.automatically_updated" => {
            let method: answer::PaymentMethod = wire::object(text)?;
            wire::payment_method(&method).map(Change::PaymentMethodUpdated)
        }
        "payment_method.detached" => {
            let method: answer::PaymentMethod = wire::object(text)?;
            let id = wire::id(&method.id)?;
            Ok(Change::PaymentMethodDetached { id })
        }
        "payment_intent.succeeded"
        | "payment_intent.payment_failed"
        | "payment_intent.processing"
        | "payment_intent.requires_action"
        | "payment_intent.canceled" => {
            let intent: answer::PaymentIntent = wire::object(text)?;
            let reading = wire::intent(&intent, text)?;
            Ok(Change::Intent(Box::new(reading)))
        }
        "charge.refunded" => refunded(&wire::object(text)?),
        "refund.failed" => refund_failed(&wire::object(text)?),
        "charge.dispute.created" => disputed(&wire::object(text)?),
        "charge.dispute.closed" => dispute_closed(&wire::object(text)?),
        "payout.paid" => payout(&wire::object(text)?, PayoutStatus::Paid),
        "payout.failed" => payout(&wire::object(text)?, PayoutStatus::Failed),
        "payout.canceled" => payout(&wire::object(text)?, PayoutStatus::Canceled),
        _ => Ok(Change::Other),
    }
}

fn refunded(charge: &answer::Charge) -> Result<Change, String> {
    Ok(Change::ChargeRefunded {
        intent: wire::reference(charge.payment_intent.as_ref())?,
        attempt_key: wire::metadata(charge.metadata.as_ref(), wire::ATTEMPT),
        amount_refunded: wire::money(charge.amount_refunded, &charge.currency)?,
        is_full: charge.refunded,
    })
}

fn refund_failed(refund: &answer::Refund) -> Result<Change, String> {
    let reason = refund.failure_reason.clone().unwrap_or_default();
    let refund = wire::refund(refund)?;
    Ok(Change::RefundFailed {
        id: refund.id,
        intent: refund.payment_intent,
        amount: refund.amount,
        reason,
    })
}

fn disputed(dispute: &answer::Dispute) -> Result<Change, String> {
    Ok(Change::DisputeCreated {
        id: wire::id(&dispute.id)?,
        intent: wire::reference(dispute.payment_intent.as_ref())?,
        amount: wire::money(dispute.amount, &dispute.currency)?,
        reason: dispute.reason.clone(),
    })
}

fn dispute_closed(dispute: &answer::Dispute) -> Result<Change, String> {
    Ok(Change::DisputeClosed {
        id: wire::id(&dispute.id)?,
        intent: wire::reference(dispute.payment_intent.as_ref())?,
        outcome: dispute.status.clone(),
    })
}

/// The event's type says how it has ended: by the time it is delivered the object may say more.
fn payout(payout: &answer::Payout, status: PayoutStatus) -> Result<Change, String> {
    Ok(Change::Payout {
        id: wire::id(&payout.id)?,
        status,
        amount: wire::money(payout.amount, &payout.currency)?,
        failure_code: payout.failure_code.clone(),
    })
}
