//! From Stripe's objects to ours. Statuses are mapped here and nowhere else.

use std::collections::HashMap;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use domain::commissions::decline::{DeclineKind, decline_kind, is_customers};
use domain::currency::Currency;
use domain::ids::InvalidId;
use domain::money::Money;
use serde::de::DeserializeOwned;
use stripe_client_core::VERSION;

use super::answer::{self, ApiError, Expandable, Identified};
use super::objects::{
    ChargeFailure, CheckoutKind, CheckoutLink, CheckoutSession, IntentStatus, PaymentIntent, PaymentMethod,
    Refund, RefundStatus, SetupIntent, SetupStatus,
};
use crate::kept::kept;

/// Keys of metadata.
pub(super) const PROFILE_ID: &str = "profile_id";
pub(super) const INVOICE_ID: &str = "invoice_id";
pub(super) const ATTEMPT: &str = "moneta_attempt";
pub(super) const CHECKOUT: &str = "moneta_checkout";

/// The error code, and the decline code, of a charge that its customer has to confirm.
const AUTHENTICATION_REQUIRED: &str = "authentication_required";

/// What is stored of a payment: how it stands and why it failed. Not the secret by which it is confirmed, nor who pays from where.
const KEPT_OF_INTENTS: [&str; 17] = [
    "id",
    "object",
    "status",
    "amount",
    "amount_received",
    "currency",
    "created",
    "livemode",
    "latest_charge",
    "canceled_at",
    "cancellation_reason",
    "last_payment_error.type",
    "last_payment_error.code",
    "last_payment_error.decline_code",
    "last_payment_error.advice_code",
    "last_payment_error.network_decline_code",
    "next_action.type",
];

/// Reads an object of Stripe.
pub(super) fn object<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let position = position(&error);
        format!("the object isn't as of Stripe's version {VERSION}: {position}")
    })
}

/// What serde_json found wrong, without quoting what was read.
pub(super) fn position(error: &serde_json::Error) -> String {
    format!("{:?} error at column {}", error.classify(), error.column())
}

pub(super) fn id<T: FromStr<Err = InvalidId>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: InvalidId| error.to_string())
}

/// The id in a field that holds an object or its id.
pub(super) fn reference<T, I>(field: Option<&Expandable<T>>) -> Result<Option<I>, String>
where
    T: Identified,
    I: FromStr<Err = InvalidId>,
{
    field.map(|field| id(field.id())).transpose()
}

pub(super) fn time(seconds: i64) -> Result<DateTime<Utc>, String> {
    DateTime::from_timestamp(seconds, 0).ok_or_else(|| "a time is beyond all calendars".to_owned())
}

/// Whether Stripe counts a currency in its minor unit. It has no cents of the ariary, and cents of the Icelandic króna and
/// of the Ugandan shilling (<https://docs.stripe.com/currencies#special-cases>).
fn is_in_minor_units(currency: Currency) -> bool {
    ![Currency::ISK, Currency::MGA, Currency::UGX].contains(&currency)
}

/// The currency as Stripe writes it, if amounts of it can be given.
pub(super) fn currency(currency: Currency) -> Option<stripe_types::Currency> {
    let known = Some(currency).filter(|currency| is_in_minor_units(*currency))?;
    known.code().to_ascii_lowercase().parse().ok()
}

pub(super) fn money(amount: i64, currency: &str) -> Result<Money, String> {
    let code = currency.to_ascii_uppercase();
    let currency = Currency::parse(&code).map_err(|error| format!("the currency is {error}"))?;
    if !is_in_minor_units(currency) {
        return Err(format!(
            "Stripe counts {currency} in another unit than its minor unit"
        ));
    }
    Ok(Money::new(amount, currency))
}

/// A value of metadata, which anybody with access to Stripe may have changed: what can't be read isn't there.
pub(super) fn metadata<T: FromStr>(metadata: Option<&HashMap<String, String>>, key: &str) -> Option<T> {
    metadata?.get(key)?.parse().ok()
}

pub(super) fn intent(intent: &answer::PaymentIntent, text: &str) -> Result<PaymentIntent, String> {
    let error = intent.last_payment_error.as_ref();
    Ok(PaymentIntent {
        id: id(&intent.id)?,
        status: intent_status(&intent.status, error),
        amount: money(intent.amount, &intent.currency)?,
        amount_received: money(intent.amount_received, &intent.currency)?,
        customer: reference(intent.customer.as_ref())?,
        payment_method: reference(intent.payment_method.as_ref())?,
        attempt_key: intent.metadata.get(ATTEMPT).cloned(),
        profile_id: metadata(Some(&intent.metadata), PROFILE_ID),
        invoice_id: metadata(Some(&intent.metadata), INVOICE_ID),
        failure: error.map(failure),
        client_secret: intent.client_secret.clone(),
        latest_charge: reference(intent.latest_charge.as_ref())?,
        created_at: time(intent.created)?,
        kept: kept(text, &KEPT_OF_INTENTS),
    })
}

fn intent_status(status: &str, error: Option<&ApiError>) -> IntentStatus {
    match status {
        "succeeded" => IntentStatus::Succeeded,
        "processing" | "requires_capture" => IntentStatus::Processing,
        "requires_action" | "requires_confirmation" => IntentStatus::RequiresAction,
        "requires_payment_method" => match error {
            Some(error) if needs_authentication(error) => IntentStatus::RequiresAction,
            Some(_) => IntentStatus::Failed,
            None => IntentStatus::Unconfirmed,
        },
        "canceled" => IntentStatus::Canceled,
        other => IntentStatus::Unrecognised(other.to_owned()),
    }
}

fn needs_authentication(error: &ApiError) -> bool {
    [error.code.as_deref(), error.decline_code.as_deref()].contains(&Some(AUTHENTICATION_REQUIRED))
}

fn failure(error: &ApiError) -> ChargeFailure {
    let error_code = error.code.as_deref();
    let code = error
        .decline_code
        .as_deref()
        .or(error_code)
        .unwrap_or(&error.kind);
    // The issuer's own code, where it gives one, beside the code it chose.
    let is_final = error.advice_code.as_deref() == Some("do_not_try_again");
    ChargeFailure {
        code: code.to_owned(),
        message: error.message.clone(),
        decline_kind: if is_final {
            DeclineKind::Hard
        } else {
            decline_kind(code)
        },
        is_customers: is_customers(&error.kind, error_code.unwrap_or_default()),
    }
}

pub(super) fn payment_method(method: &answer::PaymentMethod) -> Result<PaymentMethod, String> {
    let card = method.card.as_ref();
    let bank = method.us_bank_account.as_ref();
    let fingerprint = card
        .and_then(|card| card.fingerprint.clone())
        .or_else(|| bank?.fingerprint.clone());
    Ok(PaymentMethod {
        id: id(&method.id)?,
        customer: reference(method.customer.as_ref())?,
        name: name(method),
        fingerprint,
        created_at: time(method.created)?,
    })
}

/// The name without anything that belongs to the person: no owner, no address.
fn name(method: &answer::PaymentMethod) -> String {
    let kind = method.kind.as_str();
    if let Some(card) = &method.card {
        let (brand, last4) = (&card.brand, &card.last4);
        return format!(
            "{brand} •••• {last4}, {:02}/{:02}",
            card.exp_month,
            card.exp_year.rem_euclid(100)
        );
    }
    match &method.us_bank_account {
        Some(bank) => {
            let name = bank.bank_name.as_deref().unwrap_or(kind);
            let last4 = bank.last4.as_deref().unwrap_or("••••");
            format!("{name} •••• {last4}")
        }
        None => kind.to_owned(),
    }
}

pub(super) fn setup(setup: &answer::SetupIntent) -> Result<SetupIntent, String> {
    Ok(SetupIntent {
        id: id(&setup.id)?,
        status: setup_status(&setup.status),
        customer: reference(setup.customer.as_ref())?,
        payment_method: reference(setup.payment_method.as_ref())?,
        profile_id: metadata(setup.metadata.as_ref(), PROFILE_ID),
    })
}

fn setup_status(status: &str) -> SetupStatus {
    match status {
        "succeeded" => SetupStatus::Succeeded,
        "processing" => SetupStatus::Processing,
        "requires_action" | "requires_confirmation" => SetupStatus::RequiresAction,
        "requires_payment_method" => SetupStatus::RequiresPaymentMethod,
        "canceled" => SetupStatus::Canceled,
        other => SetupStatus::Unrecognised(other.to_owned()),
    }
}

pub(super) fn checkout(session: &answer::CheckoutSession) -> Result<CheckoutSession, String> {
    let mode = match session.mode.as_str() {
        "setup" => CheckoutKind::Setup,
        "payment" => CheckoutKind::Payment,
        other => CheckoutKind::Unrecognised(other.to_owned()),
    };
    let amount = match (session.amount_total, &session.currency) {
        (Some(amount), Some(currency)) if mode != CheckoutKind::Setup => Some(money(amount, currency)?),
        _ => None,
    };
    let setup = session.setup_intent.as_ref().and_then(Expandable::object);
    let method = setup
        .and_then(|setup| setup.payment_method.as_ref())
        .and_then(Expandable::object);
    Ok(CheckoutSession {
        id: id(&session.id)?,
        is_complete: session.status.as_deref() == Some("complete"),
        is_paid: mode == CheckoutKind::Payment && session.payment_status == "paid",
        customer: reference(session.customer.as_ref())?,
        profile_id: metadata(session.metadata.as_ref(), PROFILE_ID),
        checkout_id: metadata(session.metadata.as_ref(), CHECKOUT),
        setup_intent: reference(session.setup_intent.as_ref())?,
        payment_method: method.map(payment_method).transpose()?,
        payment_intent: reference(session.payment_intent.as_ref())?,
        amount,
        mode,
    })
}

pub(super) fn link(session: &answer::CheckoutSession) -> Result<CheckoutLink, String> {
    Ok(CheckoutLink {
        id: id(&session.id)?,
        url: session.url.clone().ok_or("the session has no address")?,
        expires_at: time(session.expires_at)?,
    })
}

pub(super) fn refund(refund: &answer::Refund) -> Result<Refund, String> {
    Ok(Refund {
        id: id(&refund.id)?,
        status: refund_status(refund.status.as_deref().unwrap_or_default()),
        amount: money(refund.amount, &refund.currency)?,
        payment_intent: reference(refund.payment_intent.as_ref())?,
    })
}

fn refund_status(status: &str) -> RefundStatus {
    match status {
        "succeeded" => RefundStatus::Succeeded,
        "pending" => RefundStatus::Pending,
        "requires_action" => RefundStatus::RequiresAction,
        "failed" => RefundStatus::Failed,
        "canceled" => RefundStatus::Canceled,
        other => RefundStatus::Unrecognised(other.to_owned()),
    }
}
