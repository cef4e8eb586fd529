//! The events that commissions publish. Events of one profile come in order. `invoice.created` is written by the database's
//! `create_invoices`.

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{CheckoutId, InvoiceId, PaymentMethodId, ProfileId};
use domain::money::Money;
use platform::messaging::event::Envelope;
use platform::messaging::outbox::{self, Destination};
use serde::Serialize;
use sqlx::PgConnection;

use crate::Error;

/// An invoice was paid.
pub const COMMISSION_CHARGED: &str = "commission.charged";
/// Money of a charge was given back.
pub const COMMISSION_REFUNDED: &str = "commission.refunded";
/// A charge was declined, or there was nothing to charge.
pub const COMMISSION_CHARGE_FAILED: &str = "commission.charge-failed";
/// A charge waits for its customer.
pub const COMMISSION_CONFIRMATION_REQUIRED: &str = "commission.confirmation-required";
/// All retries of an invoice failed.
pub const INVOICE_UNCOLLECTIBLE: &str = "invoice.uncollectible";
/// An invoice was taken back.
pub const INVOICE_VOIDED: &str = "invoice.voided";
/// Something may have to be done for an invoice: a message for `pay_invoice`, no event.
const PAYMENT_DUE: &str = "invoice.payment-due";
/// A payment method was saved.
pub const PAYMENT_METHOD_ADDED: &str = "payment-method.added";
/// A price was paid on Stripe's page, and is kept.
pub const CHECKOUT_PAID: &str = "checkout.paid";
/// Buying is suspended until nothing is owed.
pub const TRADING_SUSPENDED: &str = "trading.suspended";
/// Buying is possible again.
pub const TRADING_RESUMED: &str = "trading.resumed";

/// The reason of a suspension.
pub const COMMISSIONS_UNPAID: &str = "commissions-unpaid";

const ALL_SUBSCRIBERS: [Destination; 2] = [
    Destination::Topic("commissions.events"),
    Destination::Queue("domain-events"),
];
const TOPIC: [Destination; 1] = [Destination::Topic("commissions.events")];
const INVOICE_PAYMENTS: [Destination; 1] = [Destination::Queue("invoice-payments")];

/// An invoice, as every event about one has it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct InvoicePayload {
    pub(crate) invoice_id: InvoiceId,
    pub(crate) profile_id: ProfileId,
    pub(crate) amount_cents: i64,
    pub(crate) currency: String,
    pub(crate) period_start: NaiveDate,
    pub(crate) period_end: NaiveDate,
}

/// The charge of an invoice.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChargedPayload {
    #[serde(flatten)]
    pub(crate) invoice: InvoicePayload,
    pub(crate) payment_method: String,
    pub(crate) charged_at: DateTime<Utc>,
}

/// Money of an invoice's charge that was given back.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RefundedPayload {
    #[serde(flatten)]
    pub(crate) invoice: InvoicePayload,
    pub(crate) payment_method: String,
    /// How much this time; a charge may be given back in parts.
    pub(crate) refunded_cents: i64,
    pub(crate) refunded_at: DateTime<Utc>,
}

/// The failed charge of an invoice.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChargeFailedPayload {
    #[serde(flatten)]
    pub(crate) invoice: InvoicePayload,
    /// Nothing where there was none.
    pub(crate) payment_method: Option<String>,
    /// One of `domain::commissions::decline::reason_for_customers`, or `no_payment_method`: it goes to their phones.
    pub(crate) reason: String,
    /// When the same method is tried again (New York); nothing when it isn't.
    pub(crate) next_attempt_on: Option<NaiveDate>,
    /// Where the payment method is changed.
    pub(crate) action_url: String,
}

/// A charge that waits for its customer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ConfirmationRequiredPayload {
    #[serde(flatten)]
    pub(crate) invoice: InvoicePayload,
    pub(crate) payment_method: String,
    pub(crate) confirm_until: DateTime<Utc>,
    /// Where the charge is confirmed.
    pub(crate) action_url: String,
}

/// A payment method that was saved.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PaymentMethodAddedPayload {
    pub(crate) payment_method_id: PaymentMethodId,
    pub(crate) profile_id: ProfileId,
    pub(crate) name: String,
}

/// A price that was paid on Stripe's page.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CheckoutPaidPayload {
    pub(crate) checkout_id: CheckoutId,
    pub(crate) profile_id: ProfileId,
    pub(crate) price_id: String,
    pub(crate) amount_cents: i64,
    pub(crate) currency: String,
}

/// The beginning or end of a suspension.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SuspensionPayload {
    pub(crate) profile_id: ProfileId,
    pub(crate) reason: &'static str,
    /// What is owed, or was paid.
    pub(crate) amount_cents: i64,
    pub(crate) currency: String,
    pub(crate) action_url: String,
}

/// A payout of our balance at Stripe, for whoever requested it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PayoutPayload {
    pub(crate) payout_id: String,
    pub(crate) amount_cents: i64,
    pub(crate) currency: String,
    pub(crate) failure_code: Option<String>,
}

impl SuspensionPayload {
    pub(crate) fn new(profile_id: ProfileId, amount: Money, action_url: String) -> Self {
        Self {
            profile_id,
            reason: COMMISSIONS_UNPAID,
            amount_cents: amount.minor(),
            currency: amount.currency().code().to_owned(),
            action_url,
        }
    }
}

/// Publishes something that happened to a profile, to all subscribers.
pub(crate) async fn publish<T: Serialize>(
    connection: &mut PgConnection,
    kind: &str,
    profile: ProfileId,
    at: DateTime<Utc>,
    payload: T,
) -> Result<(), Error> {
    let event = Envelope::new(kind, format!("profile-{profile}"), at, payload);
    Ok(outbox::publish(connection, &event, &ALL_SUBSCRIBERS).await?)
}

/// Publishes something that happened to a profile, for whoever reads the topic; the profile isn't told.
pub(crate) async fn publish_to_topic<T: Serialize>(
    connection: &mut PgConnection,
    kind: &str,
    profile: ProfileId,
    at: DateTime<Utc>,
    payload: T,
) -> Result<(), Error> {
    let event = Envelope::new(kind, format!("profile-{profile}"), at, payload);
    Ok(outbox::publish(connection, &event, &TOPIC).await?)
}

/// Sends a message about an invoice to `pay_invoice`.
pub(crate) async fn publish_due<T: Serialize>(
    connection: &mut PgConnection,
    invoice: InvoiceId,
    at: DateTime<Utc>,
    payload: T,
) -> Result<(), Error> {
    let event = Envelope::new(PAYMENT_DUE, format!("invoice-{invoice}"), at, payload);
    Ok(outbox::publish(connection, &event, &INVOICE_PAYMENTS).await?)
}

/// Publishes how a payout ended, for whoever requested it.
pub(crate) async fn publish_payout(
    connection: &mut PgConnection,
    kind: &str,
    at: DateTime<Utc>,
    payload: PayoutPayload,
) -> Result<(), Error> {
    let event = Envelope::new(kind, format!("payout-{}", payload.payout_id), at, payload);
    Ok(outbox::publish(connection, &event, &TOPIC).await?)
}
