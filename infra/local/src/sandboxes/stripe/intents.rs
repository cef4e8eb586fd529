//! Payment intents and their charges.

use serde_json::{Value, json};

use super::cards::{self, Authentication, Decline};
use super::customers::spent;
use super::errors::{ApiError, ApiResult};
use super::params::Params;
use super::render::list;
use super::state::{
    Charge, ChargeStatus, Dispute, FailedTry, IntentStatus, PaymentIntent, PaymentMethod, new_id,
};
use super::work::{Page, Work};

const AUTHENTICATION_REQUIRED: &str = "authentication_required";

/// The circumstances of a try to take money.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    /// The customer isn't there.
    pub(super) off_session: bool,
    /// The caller can't bring the customer.
    pub(super) no_action: bool,
    /// The customer has authenticated it.
    pub(super) authenticated: bool,
}

/// The outcome of a try to take money.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Succeeds,
    Pends,
    NeedsCustomer,
    Fails(Decline),
}

fn verdict(method: &PaymentMethod, circumstances: Circumstances, forced: Option<&str>) -> Verdict {
    if let Some(reason) = forced {
        return Verdict::Fails(cards::decline(reason));
    }
    let card = cards::by_number(&method.number);
    let by_card = match card.map(|card| card.authentication) {
        None | Some(Authentication::Never) => false,
        Some(Authentication::Always) => true,
        Some(Authentication::OnSession) => !circumstances.off_session,
        Some(Authentication::UnlessSetUp) => !(circumstances.off_session && method.set_up),
    };
    let needs_customer = method.overrides.needs_authentication.unwrap_or(by_card);
    if needs_customer && !circumstances.authenticated {
        return match circumstances.off_session || circumstances.no_action {
            true => Verdict::Fails(cards::decline(AUTHENTICATION_REQUIRED)),
            false => Verdict::NeedsCustomer,
        };
    }
    let reason = method.overrides.decline.as_deref();
    match reason.or(card.and_then(|card| card.declines)) {
        Some(reason) => Verdict::Fails(cards::decline(reason)),
        None if method.overrides.goes_processing => Verdict::Pends,
        None => Verdict::Succeeds,
    }
}

impl Work<'_> {
    pub(super) fn create_payment_intent(&mut self, mut params: Params) -> ApiResult<Value> {
        let currency = params.currency()?;
        let amount = params.amount(&currency)?;
        let confirm = params.flag("confirm")?;
        let circumstances = circumstances(&mut params)?;
        let method = params.text("payment_method");
        let saves_card = params
            .one_of("setup_future_usage", &["off_session", "on_session"])?
            .is_some();
        let mut intent = PaymentIntent {
            id: new_id("pi"),
            created: self.now,
            amount,
            currency,
            customer: params.text("customer"),
            payment_method: None,
            description: params.text("description"),
            metadata: params.metadata()?,
            status: IntentStatus::RequiresPaymentMethod,
            latest_charge: None,
            last_error: None,
            return_url: params.text("return_url"),
            saves_card,
            canceled_at: None,
            cancellation_reason: None,
            idempotency_key: self.idempotency_key.clone(),
        };
        params.one_of("capture_method", &["automatic", "automatic_async"])?;
        params.one_of("confirmation_method", &["automatic"])?;
        params.flag("automatic_payment_methods[enabled]")?;
        params.one_of("automatic_payment_methods[allow_redirects]", &["always", "never"])?;
        only_cards(&mut params)?;
        params.finish()?;
        if circumstances.off_session && !confirm {
            return Err(ApiError::invalid(
                None,
                "You cannot provide `off_session` when `confirm` is not true.",
            )
            .with("param", "off_session".into()));
        }
        if let Some(customer) = &intent.customer {
            self.known_customer(customer)?;
        }
        if confirm && method.is_none() {
            return Err(no_method());
        }
        if let Some(method) = method {
            intent.payment_method = Some(self.method_for(&method, intent.customer.as_deref())?);
            intent.status = IntentStatus::RequiresConfirmation;
        }
        let id = intent.id.clone();
        self.state.intents.insert(id.clone(), intent);
        self.emit("payment_intent.created", &id);
        if confirm {
            self.try_to_take(&id, circumstances)?;
        }
        Ok(self.render(&id))
    }

    pub(super) fn cancel_payment_intent(&mut self, id: &str, mut params: Params) -> ApiResult<Value> {
        let reasons = ["duplicate", "fraudulent", "requested_by_customer", "abandoned"];
        let reason = params.one_of("cancellation_reason", &reasons)?;
        params.finish()?;
        let ended = [
            IntentStatus::Succeeded,
            IntentStatus::Canceled,
            IntentStatus::Processing,
        ];
        if ended.contains(&self.intent(id)?.status) {
            return Err(self.not_cancelable(id));
        }
        let now = self.now;
        if let Some(intent) = self.state.intents.get_mut(id) {
            intent.status = IntentStatus::Canceled;
            intent.canceled_at = Some(now);
            intent.cancellation_reason = reason;
        }
        self.emit("payment_intent.canceled", id);
        Ok(self.render(id))
    }

    pub(super) fn list_payment_intents(&self, mut params: Params) -> ApiResult<Value> {
        let page = Page::of(&mut params)?;
        let customer = params.text("customer");
        params.finish()?;
        let wanted = |intent: &&PaymentIntent| customer.is_none() || intent.customer == customer;
        let intents = self.state.intents.values().filter(wanted);
        let (ids, has_more) = page.cut(intents.map(|intent| (intent.id.as_str(), intent.created)));
        let data = ids.iter().map(|id| self.render(id)).collect();
        Ok(list("/v1/payment_intents", data, has_more))
    }

    /// Tries to take an intent's money with its payment method. An error is a declined card; the intent is changed.
    pub(super) fn try_to_take(&mut self, id: &str, circumstances: Circumstances) -> ApiResult<()> {
        let intent = self.intent(id)?;
        let method = intent.payment_method.as_ref().ok_or_else(no_method)?;
        let method = self.method(method)?;
        let verdict = match self.is_over(method.exp_month, method.exp_year) {
            true => Verdict::Fails(cards::decline("expired_card")),
            false => verdict(method, circumstances, self.forced_decline.as_deref()),
        };
        match verdict {
            Verdict::Succeeds => self.take(id, ChargeStatus::Succeeded),
            Verdict::Pends => self.take(id, ChargeStatus::Pending),
            Verdict::NeedsCustomer => self.set_status(id, IntentStatus::RequiresAction),
            Verdict::Fails(decline) => return Err(self.fail(id, &decline)),
        }
        Ok(())
    }

    /// Makes the charge of an intent that isn't declined.
    fn take(&mut self, id: &str, status: ChargeStatus) {
        let Some(charge) = self.new_charge(id, status, None) else {
            return;
        };
        let Some(intent) = self.state.intents.get_mut(id) else {
            return;
        };
        intent.latest_charge = Some(charge.clone());
        intent.last_error = None;
        match status {
            ChargeStatus::Pending => self.set_status(id, IntentStatus::Processing),
            _ => self.succeed(id, &charge),
        }
    }

    fn succeed(&mut self, id: &str, charge: &str) {
        let Some(intent) = self.state.intents.get_mut(id) else {
            return;
        };
        intent.status = IntentStatus::Succeeded;
        let (method, customer) = (intent.payment_method.clone(), intent.customer.clone());
        let saves_card = intent.saves_card;
        self.emit("charge.succeeded", charge);
        if let Some(method) = method {
            self.save_or_spend(&method, customer.filter(|_| saves_card).as_deref());
        }
        self.emit("payment_intent.succeeded", id);
        let number = self.card_of(id);
        if number.is_some_and(|card| card.disputed) {
            self.dispute(charge);
        }
    }

    /// Saves a card that a payment was to save; one without a customer can't be used again.
    fn save_or_spend(&mut self, method: &str, customer: Option<&str>) {
        if let Some(customer) = customer {
            // A card of somebody else was refused before.
            let _ = self.attach(method, customer);
        }
        if let Some(method) = self.state.methods.get_mut(method) {
            method.set_up |= customer.is_some();
            method.spent |= method.customer.is_none();
        }
    }

    fn card_of(&self, intent: &str) -> Option<&'static cards::TestCard> {
        let method = self.state.intents.get(intent)?.payment_method.as_ref()?;
        cards::by_number(&self.state.methods.get(method)?.number)
    }

    /// Makes the failed charge of an intent; the error is for the caller.
    fn fail(&mut self, id: &str, decline: &Decline) -> ApiError {
        let charge = self.new_charge(id, ChargeStatus::Failed, Some(decline));
        if let Some(charge) = &charge {
            self.emit("charge.failed", charge);
        }
        self.fail_without_charge(id, decline, charge)
    }

    /// Sets an intent back to where it waits for another payment method.
    pub(super) fn fail_without_charge(
        &mut self,
        id: &str,
        decline: &Decline,
        charge: Option<String>,
    ) -> ApiError {
        let mut error = ApiError::declined(decline);
        if let Some(intent) = self.state.intents.get_mut(id) {
            let method = intent.payment_method.take().unwrap_or_default();
            intent.status = IntentStatus::RequiresPaymentMethod;
            intent.latest_charge = charge.clone().or(intent.latest_charge.take());
            intent.last_error = Some(FailedTry {
                decline: decline.clone(),
                charge: charge.clone(),
                payment_method: method.clone(),
            });
            error = error.with("payment_method", self.render(&method));
        }
        self.emit("payment_intent.payment_failed", id);
        if let Some(charge) = charge {
            error = error.with("charge", json!(charge));
        }
        error.with("payment_intent", self.render(id))
    }

    fn new_charge(&mut self, id: &str, status: ChargeStatus, decline: Option<&Decline>) -> Option<String> {
        let intent = self.state.intents.get(id)?;
        let charge = Charge {
            id: new_id("ch"),
            created: self.now,
            amount: intent.amount,
            amount_refunded: 0,
            currency: intent.currency.clone(),
            customer: intent.customer.clone(),
            payment_intent: intent.id.clone(),
            payment_method: intent.payment_method.clone()?,
            description: intent.description.clone(),
            metadata: intent.metadata.clone(),
            status,
            decline: decline.cloned(),
            disputed: false,
        };
        let id = charge.id.clone();
        self.state.charges.insert(id.clone(), charge);
        Some(id)
    }

    fn set_status(&mut self, id: &str, status: IntentStatus) {
        if let Some(intent) = self.state.intents.get_mut(id) {
            intent.status = status;
            if status == IntentStatus::RequiresAction {
                intent.last_error = None;
            }
        }
        match status {
            IntentStatus::RequiresAction => self.emit("payment_intent.requires_action", id),
            IntentStatus::Processing => self.emit("payment_intent.processing", id),
            _ => {}
        }
    }

    /// The customer comes to authenticate an intent, and does or doesn't; says whether it waited for that.
    pub(super) fn customer_confirms(&mut self, id: &str, succeeds: bool) -> ApiResult<bool> {
        let intent = self.intent(id)?;
        if intent.status != IntentStatus::RequiresAction {
            // Without the customer it was declined; with them it starts again, with the same card.
            let declined = intent
                .last_error
                .as_ref()
                .filter(|failed| failed.decline.code == AUTHENTICATION_REQUIRED)
                .filter(|_| intent.status == IntentStatus::RequiresPaymentMethod)
                .map(|failed| failed.payment_method.clone());
            let Some(method) = declined else {
                return Ok(false);
            };
            if let Some(intent) = self.state.intents.get_mut(id) {
                intent.payment_method = Some(method);
            }
            self.set_status(id, IntentStatus::RequiresAction);
        }
        if succeeds {
            let circumstances = Circumstances {
                off_session: false,
                no_action: false,
                authenticated: true,
            };
            // The customer sees a decline; the caller learns of it by event.
            let _ = self.try_to_take(id, circumstances);
        } else {
            let decline = cards::failed_authentication(cards::FAILED_AUTHENTICATION);
            let _ = self.fail_without_charge(id, &decline, None);
        }
        Ok(true)
    }

    /// The bank says what became of an intent that is `processing`; says whether it was.
    pub(super) fn settle_processing(&mut self, id: &str, succeeds: bool) -> ApiResult<bool> {
        let intent = self.intent(id)?;
        if intent.status != IntentStatus::Processing {
            return Ok(false);
        }
        let Some(charge) = intent.latest_charge.clone() else {
            return Ok(false);
        };
        let decline = (!succeeds).then(|| cards::decline("generic_decline"));
        if let Some(charge) = self.state.charges.get_mut(&charge) {
            charge.decline.clone_from(&decline);
            charge.status = match succeeds {
                true => ChargeStatus::Succeeded,
                false => ChargeStatus::Failed,
            };
        }
        match decline {
            None => self.succeed(id, &charge),
            Some(decline) => {
                self.emit("charge.failed", &charge);
                let _ = self.fail_without_charge(id, &decline, Some(charge));
            }
        }
        Ok(true)
    }

    /// The customer disputes a charge.
    pub(super) fn dispute(&mut self, charge: &str) -> Option<String> {
        let now = self.now;
        let disputed = self.state.charges.get_mut(charge)?;
        disputed.disputed = true;
        let dispute = Dispute {
            id: new_id("du"),
            created: now,
            amount: disputed.amount,
            currency: disputed.currency.clone(),
            charge: disputed.id.clone(),
            payment_intent: disputed.payment_intent.clone(),
        };
        let id = dispute.id.clone();
        self.state.disputes.insert(id.clone(), dispute);
        self.emit("charge.dispute.created", &id);
        Some(id)
    }

    pub(super) fn intent(&self, id: &str) -> ApiResult<&PaymentIntent> {
        let intent = self.state.intents.get(id);
        intent.ok_or_else(|| ApiError::missing(404, "payment_intent", id, "intent"))
    }

    fn method(&self, id: &str) -> ApiResult<&PaymentMethod> {
        let method = self.state.methods.get(id);
        method.ok_or_else(|| ApiError::missing(400, "PaymentMethod", id, "payment_method"))
    }

    /// The payment method with the id, if it may be used for the customer.
    fn method_for(&mut self, id: &str, customer: Option<&str>) -> ApiResult<String> {
        let id = self.method_or_token(id)?;
        let method = self.method(&id)?;
        let message = match (&method.customer, customer) {
            _ if method.spent => return Err(spent()),
            (None, _) => return Ok(id),
            (Some(owner), Some(customer)) if owner == customer => return Ok(id),
            (Some(_), Some(_)) => {
                format!(
                    "The payment method supplied ({id}) does not belong to a Customer associated with this \
                     PaymentIntent. Please use a different payment method or the Customer it belongs to."
                )
            }
            (Some(_), None) => {
                format!(
                    "The payment method supplied ({id}) belongs to a customer. Please include the Customer in the \
                     `customer` parameter on the PaymentIntent."
                )
            }
        };
        Err(ApiError::invalid(None, message).with("param", "payment_method".into()))
    }

    fn not_cancelable(&self, id: &str) -> ApiError {
        let status = self.state.intents.get(id).map(|intent| json!(intent.status));
        let status = status.as_ref().and_then(Value::as_str).unwrap_or_default();
        ApiError::invalid(
            Some("payment_intent_unexpected_state"),
            format!("You cannot cancel this PaymentIntent because it has a status of {status}."),
        )
        .with("payment_intent", self.render(id))
    }
}

fn circumstances(params: &mut Params) -> ApiResult<Circumstances> {
    Ok(Circumstances {
        off_session: off_session(params)?,
        no_action: params.flag("error_on_requires_action")?,
        authenticated: false,
    })
}

/// Whether the customer isn't there: `true`, or how often they won't be.
fn off_session(params: &mut Params) -> ApiResult<bool> {
    let choices = ["true", "false", "one_off", "recurring"];
    let choice = params.one_of("off_session", &choices)?;
    Ok(choice.is_some_and(|choice| choice != "false"))
}

/// Refuses every other type of payment method.
pub(super) fn only_cards(params: &mut Params) -> ApiResult<bool> {
    let mut types = params.list("payment_method_types");
    types.extend(params.list("allowed_payment_method_types"));
    match types.iter().find(|kind| *kind != "card") {
        None => Ok(!types.is_empty()),
        Some(other) => Err(ApiError::invalid(
            None,
            format!("The payment method type provided: {other} is invalid."),
        )
        .with("param", "payment_method_types".into())),
    }
}

fn no_method() -> ApiError {
    ApiError::invalid(
        Some("payment_intent_unexpected_state"),
        "You cannot confirm this PaymentIntent because it's missing a payment method. Update the PaymentIntent with a \
         payment method and then confirm it again.",
    )
}
