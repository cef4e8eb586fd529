//! Checkout sessions, and what the customer does on their page.

use chrono::{DateTime, Datelike};
use serde_json::Value;

use super::cards::{self, Authentication, TestCard};
use super::errors::{ApiError, ApiResult};
use super::intents::{Circumstances, only_cards};
use super::params::{Params, missing};
use super::state::{
    CheckoutSession, FailedTry, IntentStatus, PaymentIntent, SessionMode, SessionStatus, SetupIntent,
    SetupStatus, new_id,
};
use super::work::Work;

const LIFETIME_S: i64 = 24 * 3600;
const MIN_LIFETIME_S: i64 = 30 * 60;
const MAX_LINES: u32 = 100;

/// A card as the customer types it in.
#[derive(Debug)]
pub(super) struct TypedCard {
    pub(super) number: String,
    pub(super) exp_month: i64,
    pub(super) exp_year: i64,
    /// Whether the customer authenticates, if the card requires it; none until it was required.
    pub(super) authenticates: Option<bool>,
}

/// The next step of the page.
#[derive(Debug)]
pub(super) enum PageStep {
    /// The customer goes back to the caller's page.
    Done { success_url: String },
    /// The bank wants to know whether it is the customer.
    Authenticate,
    /// The card was declined.
    Declined(ApiError),
}

impl Work<'_> {
    pub(super) fn create_checkout_session(&mut self, mut params: Params) -> ApiResult<Value> {
        let modes = ["setup", "payment", "subscription"];
        let mode = match params.one_of("mode", &modes)?.as_deref() {
            Some("setup") => SessionMode::Setup,
            Some("payment") => SessionMode::Payment,
            Some(_) => {
                return Err(ApiError::invalid(None, "This sandbox knows no subscriptions.")
                    .with("param", "mode".into()));
            }
            None => return Err(missing("mode")),
        };
        let expires_at = params.integer("expires_at")?;
        let mut intent_data = params.nested("payment_intent_data");
        let mut setup_data = params.nested("setup_intent_data");
        let mut session = CheckoutSession {
            id: new_id("cs_test"),
            created: self.now,
            expires_at: expires_at.unwrap_or(self.now.saturating_add(LIFETIME_S)),
            mode,
            status: SessionStatus::Open,
            customer: params.text("customer"),
            success_url: params.required("success_url")?,
            cancel_url: params.text("cancel_url"),
            client_reference_id: params.text("client_reference_id"),
            metadata: params.metadata()?,
            lines: lines(&mut params)?,
            amount: None,
            currency: params.text("currency"),
            intent_metadata: intent_data.metadata()?,
            intent_description: intent_data.text("description"),
            saves_card: intent_data
                .one_of("setup_future_usage", &["off_session", "on_session"])?
                .is_some(),
            setup_intent: None,
            payment_intent: None,
        };
        let setup_metadata = setup_data.metadata()?;
        let setup_description = setup_data.text("description");
        let types_given = only_cards(&mut params)?;
        params.one_of("ui_mode", &["hosted", "hosted_page"])?;
        params.one_of("customer_creation", &["always", "if_required"])?;
        params.text("locale");
        intent_data.finish()?;
        setup_data.finish()?;
        params.finish()?;

        if let Some(customer) = &session.customer {
            self.known_customer(customer)?;
        }
        let lifetimes = MIN_LIFETIME_S..=LIFETIME_S;
        if expires_at.is_some_and(|at| !lifetimes.contains(&at.saturating_sub(self.now))) {
            return Err(ApiError::invalid(
                None,
                "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.",
            )
            .with("param", "expires_at".into()));
        }
        let id = session.id.clone();
        match mode {
            SessionMode::Setup => {
                if !session.lines.is_empty() {
                    return Err(
                        ApiError::invalid(None, "You can not pass `line_items` in `setup` mode.")
                            .with("param", "line_items".into()),
                    );
                }
                if session.currency.is_none() && !types_given {
                    return Err(missing("currency"));
                }
                let setup = SetupIntent {
                    id: new_id("seti"),
                    created: self.now,
                    customer: session.customer.clone(),
                    description: setup_description,
                    metadata: setup_metadata,
                    payment_method: None,
                    status: SetupStatus::RequiresPaymentMethod,
                    last_error: None,
                };
                session.setup_intent = Some(setup.id.clone());
                self.state.setups.insert(setup.id.clone(), setup);
            }
            SessionMode::Payment => {
                let (amount, currency) = self.total(&session.lines)?;
                session.amount = Some(amount);
                session.currency = Some(currency);
            }
        }
        self.state.sessions.insert(id.clone(), session);
        Ok(self.render(&id))
    }

    /// The sum of the lines.
    fn total(&self, lines: &[(String, i64)]) -> ApiResult<(i64, String)> {
        let mut total = None;
        for (id, quantity) in lines {
            let price = self.state.prices.get(id);
            let price = price.ok_or_else(|| ApiError::missing(400, "price", id, "line_items[0][price]"))?;
            let amount = price.amount.saturating_mul(*quantity);
            total = match total {
                None => Some((amount, price.currency.clone())),
                Some((sum, currency)) if currency == price.currency => {
                    Some((amount.saturating_add(sum), currency))
                }
                Some(_) => {
                    return Err(ApiError::invalid(
                        None,
                        "All line items must have the same currency.",
                    ));
                }
            };
        }
        total.ok_or_else(|| missing("line_items"))
    }

    pub(super) fn expire_checkout_session(&mut self, id: &str) -> ApiResult<()> {
        if self.session(id)?.status != SessionStatus::Open {
            return Err(ApiError::invalid(
                None,
                "Only Checkout Sessions with a status in [\"open\"] can be expired.",
            ));
        }
        self.expire(id);
        Ok(())
    }

    fn expire(&mut self, id: &str) {
        let Some(session) = self.state.sessions.get_mut(id) else {
            return;
        };
        session.status = SessionStatus::Expired;
        let (setup, intent) = (session.setup_intent.clone(), session.payment_intent.clone());
        if let Some(setup) = setup.and_then(|setup| self.state.setups.get_mut(&setup)) {
            setup.status = SetupStatus::Canceled;
        }
        if let Some(intent) = intent {
            // The intent of a session that was never paid goes with it.
            let _ = self.cancel_payment_intent(&intent, Params::default());
        }
        self.emit("checkout.session.expired", id);
    }

    pub(super) fn session(&self, id: &str) -> ApiResult<&CheckoutSession> {
        let session = self.state.sessions.get(id);
        session.ok_or_else(|| ApiError::missing(404, "checkout.session", id, "session"))
    }

    /// An open session; one whose time is over expires.
    pub(super) fn open_session(&mut self, id: &str) -> ApiResult<CheckoutSession> {
        let session = self.session(id)?.clone();
        if session.status == SessionStatus::Open && session.expires_at <= self.now {
            self.expire(id);
        }
        match self.session(id)?.status {
            SessionStatus::Open => Ok(session),
            SessionStatus::Complete => Err(ApiError::invalid(
                None,
                "This Checkout Session was completed already.",
            )),
            SessionStatus::Expired => Err(ApiError::invalid(None, "This Checkout Session has expired.")),
        }
    }

    /// The customer sends the page's form.
    pub(super) fn submit(&mut self, id: &str, typed: &TypedCard) -> ApiResult<PageStep> {
        let session = self.open_session(id)?;
        let refuse = |reason: &str| Ok(PageStep::Declined(ApiError::declined(&cards::decline(reason))));
        let Some(card) = cards::by_number(&typed.number) else {
            return refuse("incorrect_number");
        };
        if self.is_over(typed.exp_month, typed.exp_year) {
            return refuse("expired_card");
        }
        let asks = matches!(
            card.authentication,
            Authentication::Always | Authentication::UnlessSetUp | Authentication::OnSession
        );
        if asks && typed.authenticates.is_none() {
            return Ok(PageStep::Authenticate);
        }
        let failed = match session.mode {
            SessionMode::Setup => self.save_card(&session, card, typed),
            SessionMode::Payment => self.pay(&session, card, typed),
        };
        if let Err(error) = failed {
            return Ok(PageStep::Declined(error));
        }
        if let Some(session) = self.state.sessions.get_mut(id) {
            session.status = SessionStatus::Complete;
        }
        self.emit("checkout.session.completed", id);
        Ok(PageStep::Done {
            success_url: session.success_url.replace("{CHECKOUT_SESSION_ID}", id),
        })
    }

    /// Whether a card's last month is over, or is none.
    pub(super) fn is_over(&self, exp_month: i64, exp_year: i64) -> bool {
        let today = DateTime::from_timestamp(self.now, 0).unwrap_or_default();
        let month = (i64::from(today.year()), i64::from(today.month()));
        !(1..=12).contains(&exp_month) || (exp_year, exp_month) < month
    }

    fn save_card(&mut self, session: &CheckoutSession, card: &TestCard, typed: &TypedCard) -> ApiResult<()> {
        let Some(id) = session.setup_intent.clone() else {
            return Err(missing("setup_intent"));
        };
        let method = self.new_method(card.number, typed.exp_month, typed.exp_year);
        let decline = match (card.attaches, card.declines) {
            _ if typed.authenticates == Some(false) => Some(cards::failed_authentication(
                "setup_intent_authentication_failure",
            )),
            (false, Some(reason)) => Some(cards::decline(reason)),
            _ => None,
        };
        if let Some(decline) = decline {
            if let Some(setup) = self.state.setups.get_mut(&id) {
                setup.last_error = Some(FailedTry {
                    decline: decline.clone(),
                    charge: None,
                    payment_method: method,
                });
            }
            self.emit("setup_intent.setup_failed", &id);
            return Err(ApiError::declined(&decline));
        }
        if let Some(method) = self.state.methods.get_mut(&method) {
            method.set_up = true;
        }
        if let Some(customer) = &session.customer {
            self.attach(&method, customer)?;
        }
        if let Some(setup) = self.state.setups.get_mut(&id) {
            setup.status = SetupStatus::Succeeded;
            setup.payment_method = Some(method);
            setup.last_error = None;
        }
        self.emit("setup_intent.succeeded", &id);
        Ok(())
    }

    fn pay(&mut self, session: &CheckoutSession, card: &TestCard, typed: &TypedCard) -> ApiResult<()> {
        let id = match &session.payment_intent {
            Some(id) => id.clone(),
            None => self.intent_of(session),
        };
        let method = self.new_method(card.number, typed.exp_month, typed.exp_year);
        if let Some(intent) = self.state.intents.get_mut(&id) {
            intent.payment_method = Some(method);
        }
        if typed.authenticates == Some(false) {
            let decline = cards::failed_authentication(cards::FAILED_AUTHENTICATION);
            return Err(self.fail_without_charge(&id, &decline, None));
        }
        let circumstances = Circumstances {
            off_session: false,
            no_action: false,
            authenticated: typed.authenticates == Some(true),
        };
        self.try_to_take(&id, circumstances)
    }

    /// Makes the payment intent of a session.
    fn intent_of(&mut self, session: &CheckoutSession) -> String {
        let intent = PaymentIntent {
            id: new_id("pi"),
            created: self.now,
            amount: session.amount.unwrap_or_default(),
            currency: session.currency.clone().unwrap_or_default(),
            customer: session.customer.clone(),
            payment_method: None,
            description: session.intent_description.clone(),
            metadata: session.intent_metadata.clone(),
            status: IntentStatus::RequiresPaymentMethod,
            latest_charge: None,
            last_error: None,
            return_url: None,
            saves_card: session.saves_card,
            canceled_at: None,
            cancellation_reason: None,
            idempotency_key: None,
        };
        let id = intent.id.clone();
        self.state.intents.insert(id.clone(), intent);
        if let Some(session) = self.state.sessions.get_mut(&session.id) {
            session.payment_intent = Some(id.clone());
        }
        self.emit("payment_intent.created", &id);
        id
    }
}

/// The prices and how many of each.
fn lines(params: &mut Params) -> ApiResult<Vec<(String, i64)>> {
    let mut lines = Vec::new();
    for number in 0..MAX_LINES {
        let name = format!("line_items[{number}][price]");
        let Some(price) = params.text(&name) else {
            break;
        };
        let name = format!("line_items[{number}][quantity]");
        let quantity = params.integer(&name)?.unwrap_or(1);
        if quantity < 1 {
            return Err(ApiError::parameter(
                "parameter_invalid_integer",
                &name,
                "This value must be greater than or equal to 1.",
            ));
        }
        lines.push((price, quantity));
    }
    Ok(lines)
}
