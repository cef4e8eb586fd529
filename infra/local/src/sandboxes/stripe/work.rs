//! A change of the state, and the helpers that all operations use.

use serde_json::Value;

use super::cards;
use super::errors::{ApiError, ApiResult};
use super::params::Params;
use super::render::Renderer;
use super::state::{DeliveryStatus, Event, PaymentMethod, State, new_id};

/// The year that cards expire in unless it is said otherwise: some years from now.
const DEFAULT_EXP_YEAR: i64 = 2034;

/// One change of the state, by a request or from outside.
#[derive(Debug)]
pub(super) struct Work<'a> {
    pub(super) state: &'a mut State,
    pub(super) base: &'a str,
    /// Seconds since 1970.
    pub(super) now: i64,
    /// The request's id, if it is one of the API.
    pub(super) request_id: Option<String>,
    pub(super) idempotency_key: Option<String>,
    /// The connected account that the request is made for.
    pub(super) account: Option<String>,
    /// The reason why a charge is declined, whatever the card.
    pub(super) forced_decline: Option<String>,
    /// The events made, in order.
    pub(super) events: Vec<String>,
}

impl Work<'_> {
    pub(super) fn renderer(&self) -> Renderer<'_> {
        Renderer {
            state: self.state,
            base: self.base,
        }
    }

    /// The object with the id as the API answers it.
    pub(super) fn render(&self, id: &str) -> Value {
        self.renderer().object(id).unwrap_or_default()
    }

    /// Makes the event about the object as it is now.
    pub(super) fn emit(&mut self, kind: &str, object: &str) {
        self.emit_change(kind, object, None);
    }

    /// Makes the event about a change of the object's properties.
    pub(super) fn emit_change(&mut self, kind: &str, object: &str, previous_attributes: Option<Value>) {
        let event = Event {
            id: new_id("evt"),
            created: self.now,
            kind: kind.to_owned(),
            object: self.render(object),
            previous_attributes,
            request: self.request_id.clone(),
            idempotency_key: self.idempotency_key.clone(),
            account: self.account.clone(),
            delivery: DeliveryStatus::Pending,
        };
        self.events.push(event.id.clone());
        self.state.events.insert(event.id.clone(), event);
    }

    /// Refuses a customer that doesn't exist.
    pub(super) fn known_customer(&self, id: &str) -> ApiResult<()> {
        match self.state.customers.contains_key(id) {
            true => Ok(()),
            false => Err(ApiError::missing(400, "customer", id, "customer")),
        }
    }

    /// The payment method with the id, or a new one of the test card that the id stands for.
    pub(super) fn method_or_token(&mut self, id: &str) -> ApiResult<String> {
        if self.state.methods.contains_key(id) {
            return Ok(id.to_owned());
        }
        match cards::by_token(id) {
            Some(card) => Ok(self.new_method(card.number, 12, DEFAULT_EXP_YEAR)),
            None => Err(ApiError::missing(400, "PaymentMethod", id, "payment_method")),
        }
    }

    /// Makes a payment method without a customer.
    pub(super) fn new_method(&mut self, number: &str, exp_month: i64, exp_year: i64) -> String {
        let method = PaymentMethod {
            id: new_id("pm"),
            created: self.now,
            customer: None,
            number: number.to_owned(),
            exp_month,
            exp_year,
            name: None,
            metadata: Default::default(),
            set_up: false,
            spent: false,
            overrides: Default::default(),
        };
        let id = method.id.clone();
        self.state.methods.insert(id.clone(), method);
        id
    }
}

/// The part of a list that a request wants, besides its filters.
#[derive(Debug)]
pub(super) struct Page {
    limit: usize,
    starting_after: Option<String>,
    ending_before: Option<String>,
    created_gt: Option<i64>,
    created_gte: Option<i64>,
    created_lt: Option<i64>,
    created_lte: Option<i64>,
}

const DEFAULT_LIMIT: i64 = 10;
const MAX_LIMIT: i64 = 100;

impl Page {
    pub(super) fn of(params: &mut Params) -> ApiResult<Self> {
        let limit = params.integer("limit")?.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ApiError::parameter(
                "parameter_invalid_integer",
                "limit",
                format!("This value must be between 1 and {MAX_LIMIT}."),
            ));
        }
        let exactly = params.integer("created")?;
        Ok(Self {
            limit: usize::try_from(limit).unwrap_or_default(),
            starting_after: params.text("starting_after"),
            ending_before: params.text("ending_before"),
            created_gt: params.integer("created[gt]")?,
            created_gte: params.integer("created[gte]")?.or(exactly),
            created_lt: params.integer("created[lt]")?,
            created_lte: params.integer("created[lte]")?.or(exactly),
        })
    }

    /// The page of the objects' ids, which come oldest first and are answered newest first, and whether there are more.
    pub(super) fn cut<'a>(
        &self,
        objects: impl DoubleEndedIterator<Item = (&'a str, i64)>,
    ) -> (Vec<String>, bool) {
        let fits = |(id, created): &(&str, i64)| {
            self.created_gt.is_none_or(|after| *created > after)
                && self.created_gte.is_none_or(|from| *created >= from)
                && self.created_lt.is_none_or(|before| *created < before)
                && self.created_lte.is_none_or(|to| *created <= to)
                && self.starting_after.as_deref().is_none_or(|after| *id < after)
                && self.ending_before.as_deref().is_none_or(|before| *id > before)
        };
        let id = |(id, _): (&str, i64)| id.to_owned();
        let objects = objects.filter(fits);
        // Before an object come the ones next to it, not the newest of all.
        let backwards = self.ending_before.is_some();
        let mut ids: Vec<String> = match backwards {
            true => objects.take(self.limit.saturating_add(1)).map(id).collect(),
            false => objects.rev().take(self.limit.saturating_add(1)).map(id).collect(),
        };
        let has_more = ids.len() > self.limit;
        ids.truncate(self.limit);
        if backwards {
            ids.reverse();
        }
        (ids, has_more)
    }
}
