//! Requests to Stripe and its objects, in our own terms.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::commissions::decline::DeclineKind;
use domain::ids::{
    CheckoutId, InvoiceId, ProfileId, StripeChargeId, StripeCheckoutSessionId, StripeCustomerId,
    StripePaymentIntentId, StripePaymentMethodId, StripeRefundId, StripeSetupIntentId,
};
use domain::money::Money;
use serde_json::value::RawValue;

use crate::outcome::Outcome;

/// Whom to make a customer.
#[derive(Clone)]
pub struct NewCustomer {
    /// The profile, in the customer's metadata.
    pub profile_id: ProfileId,
    /// Where Stripe writes to, unless Stripe takes the address for none.
    pub email: Option<String>,
    /// The name as people read it.
    pub name: String,
}

impl fmt::Debug for NewCustomer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("NewCustomer");
        shown
            .field("profile_id", &self.profile_id)
            .finish_non_exhaustive()
    }
}

/// What a checkout session is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckoutMode {
    /// To save a card for later charges.
    Setup,
    /// To pay one piece of a price.
    Payment {
        /// Stripe's id of the price (`price_`).
        price: String,
    },
}

/// A checkout session to create: a visit to Stripe's own payment page.
#[derive(Debug, Clone)]
pub struct NewCheckout {
    /// Who comes.
    pub customer: StripeCustomerId,
    /// What for.
    pub mode: CheckoutMode,
    /// The profile, in the metadata of the session and of what comes of it.
    pub profile_id: ProfileId,
    /// Where the browser goes afterwards; `{CHECKOUT_SESSION_ID}` in it is replaced by the session's id.
    pub success_url: String,
    /// Where the browser goes when the customer turns back.
    pub cancel_url: String,
    /// Our record of it, in the session's metadata.
    pub checkout_id: CheckoutId,
}

/// The way to Stripe's payment page.
#[derive(Clone)]
pub struct CheckoutLink {
    /// The session.
    pub id: StripeCheckoutSessionId,
    /// Address of the page. Whoever has it can use it, so it isn't logged.
    pub url: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for CheckoutLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("CheckoutLink");
        shown.field("id", &self.id).field("expires_at", &self.expires_at);
        shown.finish_non_exhaustive()
    }
}

/// What a session is for, as Stripe names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckoutKind {
    /// A payment method is saved.
    Setup,
    /// Something is paid.
    Payment,
    /// Anything else, as Stripe names it: none of ours.
    Unrecognised(String),
}

/// A session of the payment page.
#[derive(Debug, Clone)]
pub struct CheckoutSession {
    /// The session.
    pub id: StripeCheckoutSessionId,
    /// What it is for.
    pub mode: CheckoutKind,
    /// Whether the customer has come to its end.
    pub is_complete: bool,
    /// Whether the payment is in. Never for a setup.
    pub is_paid: bool,
    /// Who came.
    pub customer: Option<StripeCustomerId>,
    /// The profile in its metadata.
    pub profile_id: Option<ProfileId>,
    /// Our record of it, in its metadata.
    pub checkout_id: Option<CheckoutId>,
    /// The saving of a method that came of it.
    pub setup_intent: Option<StripeSetupIntentId>,
    /// The saved method, where it was requested and is there: never in an event.
    pub payment_method: Option<PaymentMethod>,
    /// The payment that came of it.
    pub payment_intent: Option<StripePaymentIntentId>,
    /// The whole price. None for a setup.
    pub amount: Option<Money>,
}

/// A payment method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentMethod {
    /// Its id.
    pub id: StripePaymentMethodId,
    /// Whose it is; nobody's when it is detached.
    pub customer: Option<StripeCustomerId>,
    /// Its name for people: `visa •••• 4242, 04/29`.
    pub name: String,
    /// The same for the same card, however often it is saved.
    pub fingerprint: Option<String>,
    /// When it was saved, in whole seconds.
    pub created_at: DateTime<Utc>,
}

/// Where the saving of a payment method stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetupStatus {
    /// Saved.
    Succeeded,
    /// Under way.
    Processing,
    /// The customer has to confirm it.
    RequiresAction,
    /// There is no method, or it was refused.
    RequiresPaymentMethod,
    /// Given up.
    Canceled,
    /// A state that isn't known, as Stripe names it.
    Unrecognised(String),
}

/// The saving of a payment method.
#[derive(Debug, Clone)]
pub struct SetupIntent {
    /// Its id.
    pub id: StripeSetupIntentId,
    /// Where it stands.
    pub status: SetupStatus,
    /// Whose it is.
    pub customer: Option<StripeCustomerId>,
    /// The method.
    pub payment_method: Option<StripePaymentMethodId>,
    /// The profile in its metadata.
    pub profile_id: Option<ProfileId>,
}

/// A charge of a saved payment method, without its owner at hand.
#[derive(Debug, Clone)]
pub struct ChargeRequest {
    /// Whom.
    pub customer: StripeCustomerId,
    /// By which of the customer's methods.
    pub payment_method: StripePaymentMethodId,
    /// How much.
    pub amount: Money,
    /// What for, as the customer reads it in Stripe's receipts.
    pub description: String,
    /// The invoice, in the metadata.
    pub invoice_id: InvoiceId,
    /// The same for every repetition of one attempt, another for the next: the idempotency key, also in the metadata as
    /// `moneta_attempt`. At most 255 characters.
    pub attempt_key: String,
    /// The profile, in the metadata.
    pub profile_id: ProfileId,
}

/// What came of a charge. `Done` is the payment with its state, which may be [`IntentStatus::Failed`] or
/// [`IntentStatus::RequiresAction`]; `Declined` is a refusal that made no payment at all; after `Unknown` the same attempt
/// is repeated with the same key within [`super::KEY_MEMORY`], or looked for.
pub type ChargeOutcome = Outcome<PaymentIntent>;

/// Where a payment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentStatus {
    /// The money is in.
    Succeeded,
    /// Under way: neither in nor refused yet.
    Processing,
    /// The customer has to confirm it; until then it may still come in.
    RequiresAction,
    /// The last attempt was refused; none is under way. Whoever has the client secret can still make another, so the
    /// payment is given up before the same is charged anew.
    Failed,
    /// No attempt was made, and none is under way.
    Unconfirmed,
    /// Given up for good.
    Canceled,
    /// A state that isn't known, as Stripe names it.
    Unrecognised(String),
}

/// Why an attempt was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeFailure {
    /// The decline code, or the error code where there is none.
    pub code: String,
    /// Stripe's message. For errors of a card it is meant for customers.
    pub message: Option<String>,
    /// Whether the same method can still be charged later.
    pub decline_kind: DeclineKind,
    /// It is the customer's: the card was refused, not our request.
    pub is_customers: bool,
}

/// A payment.
#[derive(Clone)]
pub struct PaymentIntent {
    /// Its id.
    pub id: StripePaymentIntentId,
    /// Where it stands.
    pub status: IntentStatus,
    /// How much it is for.
    pub amount: Money,
    /// How much of it is in.
    pub amount_received: Money,
    /// Who pays.
    pub customer: Option<StripeCustomerId>,
    /// The method; none after a refusal.
    pub payment_method: Option<StripePaymentMethodId>,
    /// Our attempt, from its metadata.
    pub attempt_key: Option<String>,
    /// The profile in its metadata.
    pub profile_id: Option<ProfileId>,
    /// The invoice in its metadata.
    pub invoice_id: Option<InvoiceId>,
    /// Why the last attempt was refused.
    pub failure: Option<ChargeFailure>,
    /// With it the customer's app confirms the payment. Not to be logged, nor shown to anybody else.
    pub client_secret: Option<String>,
    /// The last attempt at Stripe.
    pub latest_charge: Option<StripeChargeId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What is stored of the object.
    pub kept: Box<RawValue>,
}

impl fmt::Debug for PaymentIntent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("PaymentIntent");
        shown
            .field("id", &self.id)
            .field("status", &self.status)
            .field("amount", &self.amount)
            .field("attempt_key", &self.attempt_key)
            .field("failure", &self.failure)
            .field("created_at", &self.created_at);
        shown.finish_non_exhaustive()
    }
}

/// A page of payments.
#[derive(Debug)]
pub struct IntentPage {
    /// The payments, newest first.
    pub intents: Vec<PaymentIntent>,
    /// Whether older ones follow.
    pub has_more: bool,
}

/// Where a refund stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundStatus {
    /// Done, as far as Stripe is concerned.
    Succeeded,
    /// Under way.
    Pending,
    /// The customer has to do something.
    RequiresAction,
    /// It couldn't be done; the money is with us again.
    Failed,
    /// Given up.
    Canceled,
    /// A state that isn't known, as Stripe names it; empty where it has none.
    Unrecognised(String),
}

/// A refund.
#[derive(Debug, Clone)]
pub struct Refund {
    /// Its id.
    pub id: StripeRefundId,
    /// Where it stands.
    pub status: RefundStatus,
    /// How much.
    pub amount: Money,
    /// The payment.
    pub payment_intent: Option<StripePaymentIntentId>,
}

impl Refund {
    /// Whether its money has left us, or is about to: it hasn't failed, nor was it given up.
    pub fn is_given_back(&self) -> bool {
        !matches!(self.status, RefundStatus::Failed | RefundStatus::Canceled)
    }
}
