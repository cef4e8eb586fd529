//! The Stripe sandbox's handle, for tests.

use std::time::Duration;

use anyhow::{Context, bail};
use uuid::Uuid;

use super::checkout::{PageStep, TypedCard};
use super::errors::ApiError;
use super::state::{
    Charge, CheckoutSession, Customer, DeliveryStatus, Event, IntentStatus, Overrides, PaymentIntent,
    PaymentMethod, Price, Refund, SigningSecret,
};
use super::webhooks::{self, ReleaseOrder, WebhookDelivery, WebhookModes};
use super::work::Work;
use super::{StripeSandbox, operations};
use crate::sandboxes::gate::{CallRecord, Effect, Fault};

/// How long an old signing secret goes on signing.
const ROTATION_S: i64 = 24 * 3600;

fn refused(error: ApiError) -> anyhow::Error {
    anyhow::Error::msg(error.message())
}

/// The customer's and the bank's part.
impl StripeSandbox {
    /// Makes a price that checkout sessions can sell, or changes it; the amount in minor units. `price_basic` ($10)
    /// and `price_premium` ($25) exist from the beginning.
    pub fn set_price(&self, id: &str, amount: i64, currency: &str) {
        self.work(|work| {
            let price = Price {
                id: id.to_owned(),
                product: id.replacen("price", "prod", 1),
                amount,
                currency: currency.to_ascii_lowercase(),
            };
            work.state.prices.insert(id.to_owned(), price);
        });
    }

    /// The customer sends the page of a checkout session with this test card, and authenticates if the bank asks.
    ///
    /// # Errors
    /// When the session isn't open, and when the card is declined: the text ends with the reason in brackets.
    pub fn complete_checkout(&self, session_id: &str, card_number: &str) -> anyhow::Result<CheckoutSession> {
        let typed = TypedCard {
            number: card_number.to_owned(),
            exp_month: 12,
            exp_year: 2034,
            authenticates: Some(true),
        };
        match self
            .work(|work| work.submit(session_id, &typed))
            .map_err(refused)?
        {
            PageStep::Declined(error) => Err(refused(error)),
            PageStep::Authenticate => bail!("the bank has asked for authentication twice"),
            PageStep::Done { .. } => self.checkout_session(session_id).context("the session is gone"),
        }
    }

    /// A checkout session's time is over.
    ///
    /// # Errors
    /// When the session isn't open.
    pub fn expire_checkout(&self, session_id: &str) -> anyhow::Result<()> {
        let expired = self.work(|work| work.expire_checkout_session(session_id));
        expired.map_err(refused)
    }

    /// The customer comes to authenticate a payment that is `requires_action`, or that was declined with
    /// `authentication_required`, and does (the card then decides) or fails to.
    ///
    /// # Errors
    /// When there is no such payment, or it doesn't wait for the customer.
    pub fn customer_confirms(&self, intent_id: &str, succeeds: bool) -> anyhow::Result<PaymentIntent> {
        let waited = self
            .work(|work| work.customer_confirms(intent_id, succeeds))
            .map_err(refused)?;
        if !waited {
            bail!("the payment intent {intent_id} doesn't wait for its customer");
        }
        self.payment_intent(intent_id).context("the intent is gone")
    }

    /// The bank ends a payment that is `processing`.
    ///
    /// # Errors
    /// When there is no such payment, or it isn't `processing`.
    pub fn settle_processing(&self, intent_id: &str, succeeds: bool) -> anyhow::Result<PaymentIntent> {
        let settled = self
            .work(|work| work.settle_processing(intent_id, succeeds))
            .map_err(refused)?;
        if !settled {
            bail!("the payment intent {intent_id} is not processing");
        }
        self.payment_intent(intent_id).context("the intent is gone")
    }

    /// Declines every charge of a payment method with this code (`insufficient_funds`, `expired_card`, …); `None` heals
    /// it.
    ///
    /// # Errors
    /// When there is no such payment method.
    pub fn decline_from_now_on(
        &self,
        payment_method_id: &str,
        decline_code: Option<&str>,
    ) -> anyhow::Result<()> {
        let decline = decline_code.map(str::to_owned);
        self.override_method(payment_method_id, |overrides| overrides.decline = decline)
    }

    /// Every charge of a payment method needs the customer, or none; `None` is as its card has it.
    ///
    /// # Errors
    /// When there is no such payment method.
    pub fn needs_authentication(
        &self,
        payment_method_id: &str,
        needed: impl Into<Option<bool>>,
    ) -> anyhow::Result<()> {
        let needed = needed.into();
        self.override_method(payment_method_id, |overrides| {
            overrides.needs_authentication = needed
        })
    }

    /// Every charge of a payment method is `processing` until [`settle_processing`](Self::settle_processing).
    ///
    /// # Errors
    /// When there is no such payment method.
    pub fn goes_processing(&self, payment_method_id: &str, on: bool) -> anyhow::Result<()> {
        self.override_method(payment_method_id, |overrides| overrides.goes_processing = on)
    }

    fn override_method(
        &self,
        payment_method_id: &str,
        change: impl FnOnce(&mut Overrides),
    ) -> anyhow::Result<()> {
        self.work(|work| {
            let method = work.state.methods.get_mut(payment_method_id);
            change(&mut method.context("there is no such payment method")?.overrides);
            Ok(())
        })
    }

    /// The bank has renewed a card; sends `payment_method.automatically_updated`. A card whose month is over declines
    /// with `expired_card`.
    ///
    /// # Errors
    /// When there is no such payment method.
    pub fn update_card(&self, payment_method_id: &str, exp_month: i64, exp_year: i64) -> anyhow::Result<()> {
        let known = self.work(|work| work.renew_card(payment_method_id, exp_month, exp_year));
        known.then_some(()).context("there is no such payment method")
    }

    /// Somebody deletes a customer in Stripe's dashboard, and the payment methods with it.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn delete_customer(&self, customer_id: &str) -> anyhow::Result<()> {
        self.work(|work| {
            for method in work.state.methods.values_mut() {
                if method.customer.as_deref() == Some(customer_id) {
                    method.customer = None;
                }
            }
            let deleted = work.state.customers.remove(customer_id);
            deleted.map(drop).context("there is no such customer")
        })
    }

    /// Somebody removes a card in Stripe's dashboard.
    ///
    /// # Errors
    /// When no customer has such a payment method.
    pub fn detach_outside(&self, payment_method_id: &str) -> anyhow::Result<()> {
        self.work(|work| work.detach(payment_method_id)).map_err(refused)
    }

    /// Somebody refunds what is left of a payment in Stripe's dashboard; the refund's id.
    ///
    /// # Errors
    /// When the payment has not succeeded, or nothing is left.
    pub fn refund_outside(&self, intent_id: &str) -> anyhow::Result<String> {
        self.work(|work| {
            let charge = charge_of(work, intent_id)?;
            work.refund(&charge, None, None, Default::default())
                .map_err(refused)
        })
    }

    /// The bank gives a refund back, as it may days after it was made.
    ///
    /// # Errors
    /// When there is no such refund, or it has failed before.
    pub fn fail_refund(&self, refund_id: &str, reason: &str) -> anyhow::Result<()> {
        self.work(|work| work.fail_refund(refund_id, reason))
            .map_err(refused)
    }

    /// The customer disputes a payment; the dispute's id.
    ///
    /// # Errors
    /// When the payment has not succeeded.
    pub fn dispute(&self, intent_id: &str) -> anyhow::Result<String> {
        self.work(|work| {
            let charge = charge_of(work, intent_id)?;
            work.dispute(&charge).context("the charge is gone")
        })
    }
}

fn charge_of(work: &Work<'_>, intent_id: &str) -> anyhow::Result<String> {
    let charge = work.state.charge_of(intent_id);
    Ok(charge.context("the payment has not succeeded")?.id.clone())
}

/// Its state, oldest first.
impl StripeSandbox {
    /// The customers.
    pub fn customers(&self) -> Vec<Customer> {
        self.lock().state.customers.values().cloned().collect()
    }

    /// A checkout session.
    pub fn checkout_session(&self, id: &str) -> Option<CheckoutSession> {
        self.lock().state.sessions.get(id).cloned()
    }

    /// The checkout sessions.
    pub fn checkout_sessions(&self) -> Vec<CheckoutSession> {
        self.lock().state.sessions.values().cloned().collect()
    }

    /// A payment method.
    pub fn payment_method(&self, id: &str) -> Option<PaymentMethod> {
        self.lock().state.methods.get(id).cloned()
    }

    /// The payment methods that the customer has.
    pub fn payment_methods(&self, customer_id: &str) -> Vec<PaymentMethod> {
        let live = self.lock();
        let methods = live.state.methods.values();
        let theirs = methods.filter(|method| method.customer.as_deref() == Some(customer_id));
        theirs.cloned().collect()
    }

    /// A payment intent.
    pub fn payment_intent(&self, id: &str) -> Option<PaymentIntent> {
        self.lock().state.intents.get(id).cloned()
    }

    /// The payment intents.
    pub fn payment_intents(&self) -> Vec<PaymentIntent> {
        self.lock().state.intents.values().cloned().collect()
    }

    /// The payment intents whose money was taken.
    pub fn succeeded_intents(&self) -> Vec<PaymentIntent> {
        let mut intents = self.payment_intents();
        intents.retain(|intent| intent.status == IntentStatus::Succeeded);
        intents
    }

    /// The charges, those that failed among them.
    pub fn charges(&self) -> Vec<Charge> {
        self.lock().state.charges.values().cloned().collect()
    }

    /// The refunds.
    pub fn refunds(&self) -> Vec<Refund> {
        self.lock().state.refunds.values().cloned().collect()
    }

    /// The events.
    pub fn events(&self) -> Vec<Event> {
        self.lock().state.events.values().cloned().collect()
    }

    /// Forgets an idempotency key, as after 24 hours; says whether it was known.
    pub fn forget_idempotency_key(&self, key: &str) -> bool {
        self.work(|work| work.state.keys.remove(key).is_some())
    }
}

/// Webhooks.
impl StripeSandbox {
    /// Where webhooks go; what has happened before and is not delivered is sent now. Four are under way at a time, so
    /// that one can overtake another, as at Stripe; one that isn't accepted is sent again five times within eight
    /// seconds.
    pub fn set_webhook_endpoint(&self, url: &str) {
        self.webhooks()
            .change_modes(|modes| modes.endpoint = Some(url.to_owned()));
        self.send_waiting();
    }

    /// Where the events of connected accounts go; like [`set_webhook_endpoint`](Self::set_webhook_endpoint).
    pub fn set_connect_webhook_endpoint(&self, url: &str) {
        self.webhooks()
            .change_modes(|modes| modes.connect_endpoint = Some(url.to_owned()));
        self.send_waiting();
    }

    fn send_waiting(&self) {
        let held = self.webhooks().held();
        self.work(|work| {
            let waits =
                |event: &&Event| event.delivery == DeliveryStatus::Pending && !held.contains(&event.id);
            let waiting = work.state.events.values().filter(waits);
            work.events = waiting.map(|event| event.id.clone()).collect();
        });
    }

    /// The kinds of events that the endpoint gets from now on; all when `None`.
    pub fn limit_webhooks(&self, kinds: Option<&[&str]>) {
        let wanted = kinds.map(|kinds| kinds.iter().map(|kind| (*kind).to_owned()).collect());
        self.webhooks().change_modes(|modes| modes.wanted = wanted);
    }

    /// Holds back what happens from now on.
    pub fn hold_webhooks(&self) {
        self.webhooks().change_modes(|modes| modes.hold = true);
    }

    /// The events held back, oldest first.
    pub fn held_webhooks(&self) -> Vec<Event> {
        let held = self.webhooks().held();
        let live = self.lock();
        let events = held.iter().filter_map(|id| live.state.events.get(id));
        events.cloned().collect()
    }

    /// Sends the events held back, one after another, each when the endpoint has answered the one before. One that it
    /// doesn't accept is sent again later, but not one of [`ReleaseOrder::Exactly`].
    ///
    /// # Errors
    /// When an event isn't held back.
    pub async fn release_webhooks(&self, order: &ReleaseOrder) -> anyhow::Result<()> {
        self.webhooks().release(self, order).await
    }

    /// Forgets the events held back, as if they got lost; says how many there were.
    pub fn drop_held_webhooks(&self) -> usize {
        let lost = self.webhooks().take_held();
        for id in &lost {
            self.set_delivery(id, DeliveryStatus::GivenUp);
        }
        lost.len()
    }

    /// Webhooks as they begin: each is sent once, at once, and none is held back; those held back are lost.
    pub fn reset_webhooks(&self) {
        self.drop_held_webhooks();
        self.webhooks().change_modes(|modes| {
            modes.hold = false;
            modes.repeat = 0;
            modes.delay_ms = 0;
            modes.wanted = None;
        });
    }

    /// Sends every event this often besides the first time.
    pub fn repeat_webhooks(&self, times: u32) {
        self.webhooks().change_modes(|modes| modes.repeat = times);
    }

    /// Sends every event this much later.
    pub fn delay_webhooks(&self, delay: Duration) {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.webhooks().change_modes(|modes| modes.delay_ms = delay_ms);
    }

    /// How webhooks are sent.
    pub fn webhook_modes(&self) -> WebhookModes {
        self.webhooks().modes()
    }

    /// Sends an event once more, and gives the status of the endpoint's response.
    ///
    /// # Errors
    /// When there is no such event, no endpoint, or no response.
    pub async fn redeliver(&self, event_id: &str) -> anyhow::Result<u16> {
        let sent = webhooks::send_once(self, event_id).await;
        sent.context("there is no such event, no endpoint, or no response")
    }

    /// Waits until nothing is under way to the endpoint, what is to be sent again included.
    pub async fn webhooks_settled(&self) {
        self.webhooks().settled().await;
    }

    /// Whether something is under way to the endpoint.
    pub(crate) fn webhooks_are_under_way(&self) -> bool {
        self.webhooks().are_under_way()
    }

    /// The deliveries so far, oldest first (the newest 10,000).
    pub fn webhook_deliveries(&self) -> Vec<WebhookDelivery> {
        self.webhooks().deliveries()
    }

    /// The secrets that sign, the newest first.
    pub fn webhook_secrets(&self) -> Vec<String> {
        self.lock().state.signing_secrets(self.now())
    }

    /// Makes a new signing secret and gives it; the present ones go on signing for a day, beside it.
    pub fn rotate_webhook_secret(&self) -> String {
        let secret = format!("whsec_{}", Uuid::new_v4().simple());
        self.work(|work| {
            let until = work.now.saturating_add(ROTATION_S);
            for present in &mut work.state.secrets {
                present.until = present.until.or(Some(until));
            }
            work.state.secrets.push(SigningSecret {
                secret: secret.clone(),
                until: None,
            });
        });
        secret
    }

    /// The rotation is over: only the newest secret signs.
    pub fn end_rotation(&self) {
        self.work(|work| work.state.secrets.retain(|secret| secret.until.is_none()));
    }

    /// The header `Stripe-Signature` of a payload, as the sandbox itself makes it; the timestamp in seconds since 1970.
    pub fn sign(payload: &str, secret: &str, timestamp: i64) -> String {
        webhooks::signature_header(payload, &[secret.to_owned()], timestamp)
    }

    /// The header for a payload that is sent now, with the secrets in use.
    pub fn sign_now(&self, payload: &str) -> String {
        webhooks::signature_header(payload, &self.webhook_secrets(), self.now())
    }
}

/// Faults and calls.
impl StripeSandbox {
    /// Lets the next calls of an operation (`create_payment_intent`) fail in this way.
    ///
    /// # Errors
    /// When there is no such operation.
    pub fn fail_operation(&self, operation: &str, effect: Effect, times: u32) -> anyhow::Result<()> {
        operations::ensure_known(operation)?;
        self.fault(Fault::on(operation, effect).times(times));
        Ok(())
    }

    /// The calls of an operation so far.
    pub fn calls_of(&self, operation: &str) -> Vec<CallRecord> {
        let mut calls = self.calls();
        calls.retain(|call| call.operation == Some(operation));
        calls
    }
}
