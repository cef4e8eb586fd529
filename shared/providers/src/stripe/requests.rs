//! The calls that Moneta makes.

use std::collections::HashMap;
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use domain::currency::Currency;
use domain::ids::{
    ProfileId, StripeCheckoutSessionId, StripeCustomerId, StripePaymentIntentId, StripePaymentMethodId,
    StripeSetupIntentId,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionAllowedPaymentMethodTypes, CreateCheckoutSessionLineItems,
    CreateCheckoutSessionPaymentIntentData, CreateCheckoutSessionSetupIntentData, RetrieveCheckoutSession,
};
use stripe_core::customer::{CreateCustomer, ListPaymentMethodsCustomer};
use stripe_core::payment_intent::{
    CancelPaymentIntent, CancelPaymentIntentCancellationReason, CreatePaymentIntent,
    CreatePaymentIntentAutomaticPaymentMethods, CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects,
    CreatePaymentIntentOffSession, ListPaymentIntent, RetrievePaymentIntent,
};
use stripe_core::refund::{CreateRefund, ListRefund};
use stripe_core::setup_intent::RetrieveSetupIntent;
use stripe_payment::payment_method::{DetachPaymentMethod, RetrievePaymentMethod};
use stripe_shared::CheckoutSessionMode;
use stripe_types::{RangeBoundsTs, RangeQueryTs};
use tokio::time::Instant;

use super::answer::{self, List};
use super::call::{Failure, Received};
use super::objects::{
    ChargeOutcome, ChargeRequest, CheckoutLink, CheckoutMode, CheckoutSession, IntentPage, IntentStatus,
    NewCheckout, NewCustomer, PaymentIntent, PaymentMethod, Refund, SetupIntent,
};
use super::{CURRENCY_NOT_SUPPORTED, RESOURCE_MISSING, Stripe, wire};
use crate::outcome::{Outcome, Reason};

/// Objects of a page; Stripe gives no more.
pub(super) const PAGE: i64 = 100;
/// Pages that are read of one list.
pub(super) const MAX_PAGES: usize = 10;
/// How far our clock and Stripe's may be apart.
pub(super) const CLOCK_MARGIN: TimeDelta = TimeDelta::minutes(5);
/// Which cards the payment page offers to save: those that can pay commissions.
const SETUP_CURRENCY: Currency = Currency::USD;

impl Stripe {
    /// Makes a customer (`POST /v1/customers`). The same key gives the same customer for [`super::KEY_MEMORY`]; later there
    /// would be a second one.
    pub async fn create_customer(
        &self,
        customer: &NewCustomer,
        key: &str,
        deadline: Instant,
    ) -> Outcome<StripeCustomerId> {
        let mut request = CreateCustomer::new()
            .name(customer.name.as_str())
            .metadata(of_profile(customer.profile_id));
        if let Some(email) = &customer.email {
            request = request.email(email.as_str());
        }
        read(self.write(&request, key, deadline).await, |response| {
            let customer: &answer::Named = &response.object;
            wire::id(&customer.id)
        })
    }

    /// Creates a checkout session (`POST /v1/checkout/sessions`).
    pub async fn create_checkout_session(
        &self,
        checkout: &NewCheckout,
        key: &str,
        deadline: Instant,
    ) -> Outcome<CheckoutLink> {
        let request = checkout_request(checkout);
        read(self.write(&request, key, deadline).await, |response| {
            wire::link(&response.object)
        })
    }

    /// A checkout session as it is now, with the payment method that it has saved.
    pub async fn checkout_session(
        &self,
        id: &StripeCheckoutSessionId,
        deadline: Instant,
    ) -> Outcome<CheckoutSession> {
        let id = match path_id(id.as_str()) {
            Ok(id) => id,
            Err(failure) => return failure.into(),
        };
        let expanded = vec!["setup_intent.payment_method".to_owned()];
        let request = RetrieveCheckoutSession::new(id).expand(expanded);
        read(self.read(&request, deadline).await, |response| {
            wire::checkout(&response.object)
        })
    }

    /// A payment method as it stands.
    pub async fn payment_method(
        &self,
        id: &StripePaymentMethodId,
        deadline: Instant,
    ) -> Outcome<PaymentMethod> {
        let id = match path_id(id.as_str()) {
            Ok(id) => id,
            Err(failure) => return failure.into(),
        };
        let request = RetrievePaymentMethod::new(id);
        read(self.read(&request, deadline).await, |response| {
            wire::payment_method(&response.object)
        })
    }

    /// All payment methods of a customer, the newest first. `Unknown` when there are more than 1000.
    pub async fn payment_methods_of(
        &self,
        customer: &StripeCustomerId,
        deadline: Instant,
    ) -> Outcome<Vec<PaymentMethod>> {
        let customer = match path_id(customer.as_str()) {
            Ok(customer) => customer,
            Err(failure) => return failure.into(),
        };
        let mut methods: Vec<PaymentMethod> = Vec::new();
        let mut request = ListPaymentMethodsCustomer::new(customer).limit(PAGE);
        for _ in 0..MAX_PAGES {
            let page: List<answer::PaymentMethod> = match self.read(&request, deadline).await {
                Ok(response) => response.object,
                Err(failure) => return failure.into(),
            };
            for method in &page.data {
                match wire::payment_method(method) {
                    Ok(method) => methods.push(method),
                    Err(reason) => return unreadable(&reason),
                }
            }
            match methods.last().filter(|_| page.has_more) {
                Some(last) => request = request.starting_after(last.id.as_str()),
                None => return Outcome::Done(methods),
            }
        }
        too_many("payment methods")
    }

    /// The saving of a payment method as it stands.
    pub async fn setup_intent(&self, id: &StripeSetupIntentId, deadline: Instant) -> Outcome<SetupIntent> {
        let id = match path_id(id.as_str()) {
            Ok(id) => id,
            Err(failure) => return failure.into(),
        };
        let request = RetrieveSetupIntent::new(id);
        read(self.read(&request, deadline).await, |response| {
            wire::setup(&response.object)
        })
    }

    /// Takes a payment method from its customer, for good (`POST /v1/payment_methods/{id}/detach`). One that is nobody's, or
    /// isn't there, is done.
    pub async fn detach_payment_method(&self, id: &StripePaymentMethodId, deadline: Instant) -> Outcome<()> {
        let path = match path_id(id.as_str()) {
            Ok(path) => path,
            Err(failure) => return failure.into(),
        };
        // A detached method can't be attached again, so that one key is enough for all time.
        let key = format!("detach-{path}");
        let request = DetachPaymentMethod::new(path);
        let detached: Result<Received<answer::Named>, _> = self.write(&request, &key, deadline).await;
        let refusal = match detached {
            Ok(_) => return Outcome::Done(()),
            Err(Failure::Declined(refusal)) if refusal.decline.code == RESOURCE_MISSING => {
                return Outcome::Done(());
            }
            Err(Failure::Declined(refusal)) => refusal,
            Err(failure) => return failure.into(),
        };
        // That it is detached already has no code of its own.
        match self.payment_method(id, deadline).await {
            Outcome::Done(method) if method.customer.is_none() => Outcome::Done(()),
            _ => Outcome::Declined(refusal.decline),
        }
    }

    /// Charges a saved payment method (`POST /v1/payment_intents`, off session and confirmed at once).
    ///
    /// A repetition with the same key within [`super::KEY_MEMORY`] is the same charge; what it has come to is then looked up,
    /// so that the response isn't older than the call.
    pub async fn charge(&self, charge: &ChargeRequest, deadline: Instant) -> ChargeOutcome {
        let Some(request) = charge_request(charge) else {
            let message = "Stripe counts the amount's currency in another unit than its minor unit; charge in another one";
            return Failure::declined(CURRENCY_NOT_SUPPORTED, message, 0).into();
        };
        let (reading, is_replayed) = match self.write(&request, &charge.attempt_key, deadline).await {
            Ok(response) => (
                wire::intent(&response.object, &response.text),
                response.is_replayed,
            ),
            Err(Failure::Declined(refusal)) => match &refusal.intent {
                Some(intent) => (read_intent(intent), refusal.is_replayed),
                None => return Outcome::Declined(refusal.decline),
            },
            Err(failure) => return failure.into(),
        };
        match reading {
            Ok(reading) if is_replayed && !is_final(&reading.status) => {
                self.afresh(&reading.id, deadline).await
            }
            Ok(reading) => Outcome::Done(reading),
            Err(reason) => unreadable(&reason),
        }
    }

    /// A payment of which only an old response is there. That response may say that it failed, and the customer may have
    /// confirmed it since.
    async fn afresh(&self, id: &StripePaymentIntentId, deadline: Instant) -> ChargeOutcome {
        match self.payment_intent(id, deadline).await {
            Outcome::Done(reading) => Outcome::Done(reading),
            Outcome::Declined(decline) => Outcome::Unknown(Reason(format!(
                "the payment exists and can't be looked up: {}",
                decline.code
            ))),
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => Outcome::Unknown(Reason(format!(
                "the payment exists and can't be looked up: {reason}"
            ))),
        }
    }

    /// Gives up a payment that isn't in (`POST /v1/payment_intents/{id}/cancel`). One that is, or is given up already, is
    /// declined with [`super::INTENT_UNEXPECTED_STATE`]; [`Stripe::payment_intent`] says which.
    pub async fn cancel_payment_intent(
        &self,
        id: &StripePaymentIntentId,
        key: &str,
        deadline: Instant,
    ) -> Outcome<PaymentIntent> {
        let id = match path_id(id.as_str()) {
            Ok(id) => id,
            Err(failure) => return failure.into(),
        };
        let request = CancelPaymentIntent::new(id)
            .cancellation_reason(CancelPaymentIntentCancellationReason::Abandoned);
        read(self.write(&request, key, deadline).await, |response| {
            wire::intent(&response.object, &response.text)
        })
    }

    /// A payment as it stands.
    pub async fn payment_intent(
        &self,
        id: &StripePaymentIntentId,
        deadline: Instant,
    ) -> Outcome<PaymentIntent> {
        let id = match path_id(id.as_str()) {
            Ok(id) => id,
            Err(failure) => return failure.into(),
        };
        let request = RetrievePaymentIntent::new(id);
        read(self.read(&request, deadline).await, |response| {
            wire::intent(&response.object, &response.text)
        })
    }

    /// Looks for the payment of an attempt among a customer's payments since a time, in the list that shows every payment at
    /// once, which a search doesn't. `None` is certain as long as the request for it isn't still on its way. If a key was
    /// used again after [`super::KEY_MEMORY`] there may be several; the most advanced one is returned. `Unknown` when there are
    /// more than 1000 payments.
    pub async fn find_payment_intent(
        &self,
        customer: &StripeCustomerId,
        attempt_key: &str,
        created_since: DateTime<Utc>,
        deadline: Instant,
    ) -> Outcome<Option<PaymentIntent>> {
        let since = created_since
            .checked_sub_signed(CLOCK_MARGIN)
            .unwrap_or(created_since);
        let mut request = ListPaymentIntent::new()
            .customer(customer.as_str())
            .created(RangeQueryTs::gte(since.timestamp()))
            .limit(PAGE);
        let mut found: Vec<PaymentIntent> = Vec::new();
        for _ in 0..MAX_PAGES {
            let page = match self.read(&request, deadline).await {
                Ok(response) => response,
                Err(failure) => return failure.into(),
            };
            let is_of_attempt = |intent: &answer::PaymentIntent| {
                intent
                    .metadata
                    .get(wire::ATTEMPT)
                    .is_some_and(|key| key == attempt_key)
            };
            match intents(&page, is_of_attempt) {
                Ok(intents) => found.extend(intents),
                Err(reason) => return unreadable(&reason),
            }
            let page = page.object;
            match page.data.last().filter(|_| page.has_more) {
                Some(last) => request = request.starting_after(last.id.as_str()),
                None => return Outcome::Done(most_advanced(found)),
            }
        }
        too_many("payments")
    }

    /// A page of the payments that were made in a span of time, whoever's they are, newest first; `after` is the last of the
    /// page before. Times are cut to the second.
    pub async fn payment_intents(
        &self,
        span: Range<DateTime<Utc>>,
        after: Option<&StripePaymentIntentId>,
        deadline: Instant,
    ) -> Outcome<IntentPage> {
        let created = RangeQueryTs::Bounds(RangeBoundsTs {
            gte: Some(span.start.timestamp()),
            lt: Some(span.end.timestamp()),
            ..RangeBoundsTs::default()
        });
        let mut request = ListPaymentIntent::new().created(created).limit(PAGE);
        if let Some(after) = after {
            request = request.starting_after(after.as_str());
        }
        let page = match self.read(&request, deadline).await {
            Ok(response) => response,
            Err(failure) => return failure.into(),
        };
        match intents(&page, |_| true) {
            Ok(intents) => Outcome::Done(IntentPage {
                intents,
                has_more: page.object.has_more,
            }),
            Err(reason) => unreadable(&reason),
        }
    }

    /// Gives the whole payment back (`POST /v1/refunds`). One that is given back already is declined with
    /// [`super::ALREADY_REFUNDED`].
    pub async fn refund(
        &self,
        intent: &StripePaymentIntentId,
        key: &str,
        deadline: Instant,
    ) -> Outcome<Refund> {
        let request = CreateRefund::new().payment_intent(intent.as_str());
        read(self.write(&request, key, deadline).await, |response| {
            wire::refund(&response.object)
        })
    }

    /// All refunds of a payment, newest first, those that failed among them. `Unknown` when there are more than 1000.
    pub async fn refunds(&self, intent: &StripePaymentIntentId, deadline: Instant) -> Outcome<Vec<Refund>> {
        let mut request = ListRefund::new().payment_intent(intent.as_str()).limit(PAGE);
        let mut refunds = Vec::new();
        for _ in 0..MAX_PAGES {
            let page: List<answer::Refund> = match self.read(&request, deadline).await {
                Ok(response) => response.object,
                Err(failure) => return failure.into(),
            };
            for refund in &page.data {
                match wire::refund(refund) {
                    Ok(refund) => refunds.push(refund),
                    Err(reason) => return unreadable(&reason),
                }
            }
            match page.data.last().filter(|_| page.has_more) {
                Some(last) => request = request.starting_after(last.id.as_str()),
                None => return Outcome::Done(refunds),
            }
        }
        too_many("refunds")
    }
}

fn checkout_request(checkout: &NewCheckout) -> CreateCheckoutSession {
    let mut metadata = of_profile(checkout.profile_id);
    let of_intent = metadata.clone();
    metadata.insert(wire::CHECKOUT.to_owned(), checkout.checkout_id.to_string());
    let request = CreateCheckoutSession::new()
        .customer(checkout.customer.as_str())
        .success_url(checkout.success_url.as_str())
        .cancel_url(checkout.cancel_url.as_str())
        .metadata(metadata);
    match &checkout.mode {
        CheckoutMode::Setup => {
            let mut data = CreateCheckoutSessionSetupIntentData::new();
            data.metadata = Some(of_intent);
            let request = request
                .mode(CheckoutSessionMode::Setup)
                .allowed_payment_method_types(vec![CreateCheckoutSessionAllowedPaymentMethodTypes::Card])
                .setup_intent_data(data);
            match wire::currency(SETUP_CURRENCY) {
                Some(currency) => request.currency(currency),
                None => request,
            }
        }
        CheckoutMode::Payment { price } => {
            let mut item = CreateCheckoutSessionLineItems::new();
            item.price = Some(price.clone());
            item.quantity = Some(1);
            let mut data = CreateCheckoutSessionPaymentIntentData::new();
            data.metadata = Some(of_intent);
            request
                .mode(CheckoutSessionMode::Payment)
                .line_items(vec![item])
                .payment_intent_data(data)
        }
    }
}

/// `None` when the amount can't be given to Stripe.
fn charge_request(charge: &ChargeRequest) -> Option<CreatePaymentIntent> {
    let mut metadata = of_profile(charge.profile_id);
    metadata.insert(wire::INVOICE_ID.to_owned(), charge.invoice_id.to_string());
    metadata.insert(wire::ATTEMPT.to_owned(), charge.attempt_key.clone());
    // Nobody is there to be sent to another page and back.
    let mut methods = CreatePaymentIntentAutomaticPaymentMethods::new(true);
    methods.allow_redirects = Some(CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects::Never);
    let currency = wire::currency(charge.amount.currency())?;
    let request = CreatePaymentIntent::new(charge.amount.minor(), currency)
        .customer(charge.customer.as_str())
        .payment_method(charge.payment_method.as_str())
        .automatic_payment_methods(methods)
        .off_session(CreatePaymentIntentOffSession::Bool(true))
        .confirm(true)
        .description(charge.description.as_str())
        .metadata(metadata);
    Some(request)
}

fn of_profile(profile_id: ProfileId) -> HashMap<String, String> {
    HashMap::from([(wire::PROFILE_ID.to_owned(), profile_id.to_string())])
}

/// An id as a segment of a path. Stripe's are letters, digits and `_`; what is none of them is no object of Stripe's, and
/// might lead to another one.
pub(super) fn path_id(id: &str) -> Result<String, Failure> {
    if id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return Ok(id.to_owned());
    }
    let message = "an id of Stripe is made of letters, digits and underscores; give one that Stripe gave";
    Err(Failure::declined(RESOURCE_MISSING, message, 404))
}

pub(super) fn read<T, U>(
    response: Result<Received<T>, Failure>,
    read: impl FnOnce(Received<T>) -> Result<U, String>,
) -> Outcome<U> {
    match response {
        Ok(response) => Outcome::Done(response).read(read),
        Err(failure) => failure.into(),
    }
}

pub(super) fn unreadable<T>(reason: &str) -> Outcome<T> {
    Outcome::Unknown(Reason(format!("the response can't be read: {reason}")))
}

/// What was created within a time: `from` is in it, `until` isn't.
pub(super) fn between(from: DateTime<Utc>, until: DateTime<Utc>) -> RangeQueryTs {
    RangeQueryTs::Bounds(RangeBoundsTs {
        gte: Some(from.timestamp()),
        lt: Some(until.timestamp()),
        ..RangeBoundsTs::default()
    })
}

pub(super) fn too_many<T>(what: &str) -> Outcome<T> {
    Outcome::Unknown(Reason(format!("there are too many pages of {what}")))
}

fn read_intent(text: &RawValue) -> Result<PaymentIntent, String> {
    let intent: answer::PaymentIntent = wire::object(text.get())?;
    wire::intent(&intent, text.get())
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

/// Payments of a page.
fn intents(
    page: &Received<List<answer::PaymentIntent>>,
    is_wanted: impl Fn(&answer::PaymentIntent) -> bool,
) -> Result<Vec<PaymentIntent>, String> {
    let raw: Page<'_> = serde_json::from_str(&page.text).map_err(|error| wire::position(&error))?;
    let intents = page.object.data.iter().zip(raw.data);
    intents
        .filter(|(intent, _)| is_wanted(intent))
        .map(|(intent, raw)| wire::intent(intent, raw.get()))
        .collect()
}

/// Of several payments of one attempt the one that has most of the money.
fn most_advanced(found: Vec<PaymentIntent>) -> Option<PaymentIntent> {
    if found.len() > 1 {
        let payments = found.len();
        tracing::error!(
            payments,
            "one attempt has several payments at Stripe; refund all but one"
        );
    }
    found.into_iter().min_by_key(|intent| match intent.status {
        IntentStatus::Succeeded => 0,
        IntentStatus::Processing | IntentStatus::Unrecognised(_) => 1,
        IntentStatus::RequiresAction => 2,
        IntentStatus::Unconfirmed | IntentStatus::Failed => 3,
        IntentStatus::Canceled => 4,
    })
}

/// Whether a payment stays as it is.
fn is_final(status: &IntentStatus) -> bool {
    matches!(status, IntentStatus::Succeeded | IntentStatus::Canceled)
}
