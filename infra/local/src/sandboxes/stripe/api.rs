//! The routes of Stripe's API, and how a request goes through: key, version, idempotency, operation.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::Value;

use super::errors::{ApiError, ApiResult};
use super::params::Params;
use super::render::{API_VERSION, list};
use super::state::{Event, KeptAnswer, new_id};
use super::work::{Page, Work};
use super::{StripeSandbox, control, page};
use crate::keys;
use crate::sandboxes::call::{Call, Reply, segments};
use crate::sandboxes::gate::{Gate, Party};

/// How long the answer under an idempotency key is kept.
const KEY_LIFETIME_S: i64 = 24 * 3600;
const MAX_KEY_LENGTH: usize = 255;
const DEEPEST_EXPANSION: usize = 4;

/// The operations: name, method, path; `*` is the id.
const OPERATIONS: [(&str, Method, &str); 29] = [
    ("create_customer", Method::POST, "/v1/customers"),
    ("list_customers", Method::GET, "/v1/customers"),
    ("retrieve_customer", Method::GET, "/v1/customers/*"),
    (
        "list_customer_payment_methods",
        Method::GET,
        "/v1/customers/*/payment_methods",
    ),
    ("list_payment_methods", Method::GET, "/v1/payment_methods"),
    ("retrieve_payment_method", Method::GET, "/v1/payment_methods/*"),
    ("update_payment_method", Method::POST, "/v1/payment_methods/*"),
    (
        "attach_payment_method",
        Method::POST,
        "/v1/payment_methods/*/attach",
    ),
    (
        "detach_payment_method",
        Method::POST,
        "/v1/payment_methods/*/detach",
    ),
    ("create_checkout_session", Method::POST, "/v1/checkout/sessions"),
    (
        "retrieve_checkout_session",
        Method::GET,
        "/v1/checkout/sessions/*",
    ),
    (
        "expire_checkout_session",
        Method::POST,
        "/v1/checkout/sessions/*/expire",
    ),
    ("retrieve_setup_intent", Method::GET, "/v1/setup_intents/*"),
    ("create_payment_intent", Method::POST, "/v1/payment_intents"),
    ("list_payment_intents", Method::GET, "/v1/payment_intents"),
    ("retrieve_payment_intent", Method::GET, "/v1/payment_intents/*"),
    (
        "confirm_payment_intent",
        Method::POST,
        "/v1/payment_intents/*/confirm",
    ),
    (
        "cancel_payment_intent",
        Method::POST,
        "/v1/payment_intents/*/cancel",
    ),
    ("list_charges", Method::GET, "/v1/charges"),
    ("retrieve_charge", Method::GET, "/v1/charges/*"),
    ("create_refund", Method::POST, "/v1/refunds"),
    ("list_refunds", Method::GET, "/v1/refunds"),
    ("retrieve_refund", Method::GET, "/v1/refunds/*"),
    ("create_payout", Method::POST, "/v1/payouts"),
    ("list_payouts", Method::GET, "/v1/payouts"),
    ("retrieve_payout", Method::GET, "/v1/payouts/*"),
    ("cancel_payout", Method::POST, "/v1/payouts/*/cancel"),
    ("list_events", Method::GET, "/v1/events"),
    ("retrieve_event", Method::GET, "/v1/events/*"),
];

/// The properties that can be asked for whole instead of by id.
const EXPANDABLE: [&str; 6] = [
    "charge",
    "customer",
    "latest_charge",
    "payment_intent",
    "payment_method",
    "setup_intent",
];

/// The operation that a call is for, and the id in its path.
fn operation_of(call: &Call) -> Option<(&'static str, String)> {
    let path = call.segments();
    OPERATIONS.iter().find_map(|(name, method, pattern)| {
        let pattern = segments(pattern);
        let fits = *method == call.method
            && pattern.len() == path.len()
            && pattern
                .iter()
                .zip(&path)
                .all(|(wanted, found)| *wanted == "*" || wanted == found);
        let id = pattern.iter().zip(&path).find(|(wanted, _)| **wanted == "*");
        fits.then(|| (*name, id.map(|(_, id)| (*id).to_owned()).unwrap_or_default()))
    })
}

/// A request that was let in.
#[derive(Debug)]
struct Ticket {
    request_id: String,
    /// Its idempotency key, which is in use until the ticket is given back.
    key: Option<String>,
    /// Method, path and parameters.
    request: String,
}

/// A request is let in, or answered at the door.
enum Door {
    In(Ticket),
    Answered(Reply),
}

impl StripeSandbox {
    /// Checks the key, the version of the API and the idempotency key.
    fn enter(&self, call: &Call) -> Door {
        let request_id = new_id("req");
        let refuse = |error: ApiError| Door::Answered(with_request_id(error.into_reply(), &request_id));
        if let Err(error) = authenticate(call).and_then(|()| check_version(call)) {
            return refuse(error);
        }
        let params = match Params::of(call) {
            Ok(params) => params,
            Err(error) => return refuse(error),
        };
        let request = format!("{} {} {}", call.method, call.path, params.fingerprint());
        let key = call
            .header("idempotency-key")
            .filter(|_| call.method == Method::POST)
            .map(str::to_owned);
        let Some(key) = key else {
            return Door::In(Ticket {
                request_id,
                key: None,
                request,
            });
        };
        if key.is_empty() || key.len() > MAX_KEY_LENGTH {
            let message = format!("Idempotency keys have between 1 and {MAX_KEY_LENGTH} characters.");
            return refuse(ApiError::invalid(None, message));
        }
        let now = self.now();
        let mut live = self.lock();
        live.state
            .keys
            .retain(|_, kept| now.saturating_sub(kept.at) < KEY_LIFETIME_S);
        if live.in_use.contains(&key) {
            let message = format!(
                "There is currently another in-progress request using this Idempotent Key (that probably means you \
                 submitted twice, and the other request is still going through): {key}"
            );
            let code = Some("idempotency_key_in_use");
            let error = ApiError::new(409, "idempotency_error", code, message);
            let reply = error.into_reply().with_header("stripe-should-retry", "true");
            return Door::Answered(with_request_id(reply, &request_id));
        }
        if let Some(kept) = live.state.keys.get(&key) {
            if kept.request != request {
                let message = format!(
                    "Keys for idempotent requests can only be used with the same parameters they were first used \
                     with. Try using a key other than '{key}' if you meant to execute a different request."
                );
                return refuse(ApiError::new(400, "idempotency_error", None, message));
            }
            let reply = Reply::text(kept.status, kept.body.clone())
                .with_header("idempotency-key", key.clone())
                .with_header("idempotent-replayed", "true")
                .with_header("original-request", kept.request_id.clone());
            return Door::Answered(with_request_id(reply, &request_id));
        }
        live.in_use.insert(key.clone());
        Door::In(Ticket {
            request_id,
            key: Some(key),
            request,
        })
    }

    /// Keeps the answer under the request's key, if the request came so far that it was executed.
    fn leave(&self, ticket: Ticket, mut reply: Reply) -> Reply {
        if let Some(key) = ticket.key {
            let mut live = self.lock();
            live.in_use.remove(&key);
            let executed = matches!(reply.status, 200..=299 | 402) || reply.status >= 500;
            if executed {
                let kept = KeptAnswer {
                    at: self.now(),
                    request: ticket.request,
                    request_id: ticket.request_id.clone(),
                    status: reply.status,
                    body: reply.body.clone(),
                };
                live.state.keys.insert(key.clone(), kept);
                self.inner.changes.changed();
            }
            reply = reply
                .with_header("idempotency-key", key)
                .with_header("original-request", ticket.request_id.clone());
        }
        with_request_id(reply, &ticket.request_id)
    }

    /// Does what was let in.
    fn execute(&self, call: &Call, ticket: &Ticket, forced_decline: Option<&str>) -> Reply {
        let done = self.work(|work| {
            work.request_id = Some(ticket.request_id.clone());
            work.idempotency_key.clone_from(&ticket.key);
            work.forced_decline = forced_decline.map(str::to_owned);
            operate(work, call)
        });
        done.map_or_else(ApiError::into_reply, |body| Reply::ok(&body))
    }
}

fn with_request_id(reply: Reply, request_id: &str) -> Reply {
    reply
        .with_header("request-id", request_id)
        .with_header("stripe-version", API_VERSION)
}

/// The API key as bearer token, or as the user name of basic authentication.
fn authenticate(call: &Call) -> ApiResult<()> {
    let Some(authorization) = call.header("authorization") else {
        return Err(ApiError::new(
            401,
            "invalid_request_error",
            None,
            "You did not provide an API key. You need to provide your API key in the Authorization header, using \
             Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        ));
    };
    let key = match authorization.split_once(' ') {
        Some(("Bearer", key)) => Some(key.trim().to_owned()),
        Some(("Basic", encoded)) => STANDARD
            .decode(encoded.trim())
            .ok()
            .and_then(|decoded| String::from_utf8(decoded).ok())
            .and_then(|pair| pair.split_once(':').map(|(user, _)| user.to_owned())),
        _ => None,
    };
    match key.as_deref() {
        Some(keys::STRIPE_API_KEY) => Ok(()),
        _ => Err(ApiError::new(
            401,
            "invalid_request_error",
            None,
            "Invalid API Key provided.",
        )),
    }
}

/// Without a version the account's own counts, which is the same.
fn check_version(call: &Call) -> ApiResult<()> {
    match call.header("stripe-version") {
        None | Some(API_VERSION) => Ok(()),
        Some(other) => Err(ApiError::invalid(
            None,
            format!("Invalid Stripe API version: {other}; this sandbox speaks {API_VERSION}."),
        )),
    }
}

fn operate(work: &mut Work<'_>, call: &Call) -> ApiResult<Value> {
    let Some((operation, id)) = operation_of(call) else {
        return Err(ApiError::new(
            404,
            "invalid_request_error",
            None,
            format!("Unrecognized request URL ({}: {}).", call.method, call.path),
        ));
    };
    let id = id.as_str();
    let mut params = Params::of(call)?;
    let expand = params.list("expand");
    if let Some(deep) = expand
        .iter()
        .find(|path| path.split('.').count() > DEEPEST_EXPANSION)
    {
        return Err(ApiError::invalid(
            None,
            format!("You can expand at most {DEEPEST_EXPANSION} levels of properties: {deep}"),
        ));
    }
    let mut answer = match operation {
        "create_customer" => work.create_customer(params),
        "list_customers" => work.list_customers(params),
        "retrieve_customer" => retrieve(work, "customer", id, params),
        "list_customer_payment_methods" => work.list_payment_methods(Some(id), params),
        "list_payment_methods" => work.list_payment_methods(None, params),
        "retrieve_payment_method" => retrieve(work, "PaymentMethod", id, params),
        "update_payment_method" => work.update_payment_method(id, params),
        "attach_payment_method" => work.attach_payment_method(id, params),
        "detach_payment_method" => work.detach_payment_method(id, params),
        "create_checkout_session" => work.create_checkout_session(params),
        "retrieve_checkout_session" => {
            // One whose time is over expires by this at the latest.
            let _ = work.open_session(id);
            retrieve(work, "checkout.session", id, params)
        }
        "expire_checkout_session" => work.expire_checkout_session(id, params),
        "retrieve_setup_intent" => {
            params.text("client_secret");
            retrieve(work, "setupintent", id, params)
        }
        "create_payment_intent" => work.create_payment_intent(params),
        "list_payment_intents" => work.list_payment_intents(params),
        "retrieve_payment_intent" => {
            params.text("client_secret");
            retrieve(work, "payment_intent", id, params)
        }
        "confirm_payment_intent" => work.confirm_payment_intent(id, params),
        "cancel_payment_intent" => work.cancel_payment_intent(id, params),
        "list_charges" => work.list_charges(params),
        "retrieve_charge" => retrieve(work, "charge", id, params),
        "create_refund" => work.create_refund(params),
        "list_refunds" => work.list_refunds(params),
        "retrieve_refund" => retrieve(work, "refund", id, params),
        "create_payout" => work.create_payout(params),
        "list_payouts" => work.list_payouts(params),
        "retrieve_payout" => retrieve(work, "payout", id, params),
        "cancel_payout" => work.cancel_payout(id, params),
        "list_events" => list_events(work, params),
        _ => retrieve(work, "event", id, params),
    }?;
    for path in &expand {
        let steps: Vec<&str> = path.split('.').collect();
        expand_path(work, &mut answer, &steps, path)?;
    }
    Ok(answer)
}

/// The object with the id, of this kind and no other.
fn retrieve(work: &Work<'_>, object: &str, id: &str, params: Params) -> ApiResult<Value> {
    params.finish()?;
    let prefix = match object {
        "customer" => "cus_",
        "PaymentMethod" => "pm_",
        "checkout.session" => "cs_test_",
        "setupintent" => "seti_",
        "payment_intent" => "pi_",
        "charge" => "ch_",
        "refund" => "re_",
        "payout" => "po_",
        _ => "evt_",
    };
    let found = work.renderer().object(id).filter(|_| id.starts_with(prefix));
    found.ok_or_else(|| ApiError::missing(404, object, id, "id"))
}

fn list_events(work: &Work<'_>, mut params: Params) -> ApiResult<Value> {
    let page = Page::of(&mut params)?;
    let mut kinds: BTreeSet<String> = params.list("types").into_iter().collect();
    kinds.extend(params.text("type"));
    params.finish()?;
    let wanted = |event: &&Event| kinds.is_empty() || kinds.contains(&event.kind);
    let events = work.state.events.values().filter(wanted);
    let (ids, has_more) = page.cut(events.map(|event| (event.id.as_str(), event.created)));
    let data = ids.iter().map(|id| work.render(id)).collect();
    Ok(list("/v1/events", data, has_more))
}

/// Puts the object in the place of its id, along the path; in a list, in each of its objects.
fn expand_path(work: &Work<'_>, place: &mut Value, steps: &[&str], path: &str) -> ApiResult<()> {
    let Some((step, rest)) = steps.split_first() else {
        return Ok(());
    };
    if let Value::Array(items) = place {
        return items
            .iter_mut()
            .try_for_each(|item| expand_path(work, item, steps, path));
    }
    let refuse = || ApiError::invalid(None, format!("This property cannot be expanded ({path})."));
    let Value::Object(object) = place else {
        // Nothing is there; what isn't can't be wrong.
        return match place {
            Value::Null => Ok(()),
            _ => Err(refuse()),
        };
    };
    if *step == "line_items" {
        let session = object.get("id").and_then(Value::as_str);
        let session = session
            .and_then(|id| work.state.sessions.get(id))
            .ok_or_else(refuse)?;
        let lines = work.renderer().session_lines(session);
        object.insert("line_items".to_owned(), lines);
        return Ok(());
    }
    let value = object.get_mut(*step).ok_or_else(refuse)?;
    if let Value::String(id) = &*value
        && EXPANDABLE.contains(step)
    {
        *value = work.renderer().object(id).ok_or_else(refuse)?;
    } else if value.is_string() {
        return Err(refuse());
    }
    expand_path(work, value, rest, path)
}

impl Party for StripeSandbox {
    fn gate(&self) -> &Gate {
        &self.inner.gate
    }

    fn operation(&self, call: &Call) -> Option<&'static str> {
        operation_of(call).map(|(name, _)| name)
    }

    fn answer(&self, call: &Call) -> Reply {
        if let Some(reply) = page::answer(self, call) {
            return reply;
        }
        match self.enter(call) {
            Door::Answered(reply) => reply,
            Door::In(ticket) => {
                let reply = self.execute(call, &ticket, None);
                self.leave(ticket, reply)
            }
        }
    }

    fn answer_declined(&self, call: &Call, reason: &str) -> Reply {
        match self.enter(call) {
            Door::Answered(reply) => reply,
            Door::In(ticket) => {
                let reply = self.execute(call, &ticket, Some(reason));
                self.leave(ticket, reply)
            }
        }
    }

    /// A server error belongs to the idempotency key like every other answer, whether the work was done or not.
    fn answer_failing(&self, call: &Call, status: u16, done: bool) -> Reply {
        match self.enter(call) {
            Door::Answered(reply) => reply,
            Door::In(ticket) => {
                if done {
                    self.execute(call, &ticket, None);
                }
                let reply = self.error(status, "", "An unknown error occurred.");
                self.leave(ticket, reply)
            }
        }
    }

    /// The idempotency key is in use as long as it takes.
    async fn answer_slowly(&self, call: &Call, takes: Duration, done_first: bool) -> Reply {
        match self.enter(call) {
            Door::Answered(reply) => reply,
            Door::In(ticket) => {
                let reply = match done_first {
                    true => {
                        let reply = self.execute(call, &ticket, None);
                        tokio::time::sleep(takes).await;
                        reply
                    }
                    false => {
                        tokio::time::sleep(takes).await;
                        self.execute(call, &ticket, None)
                    }
                };
                self.leave(ticket, reply)
            }
        }
    }

    fn error(&self, status: u16, code: &str, message: &str) -> Reply {
        let (kind, code) = match status {
            402 => ("card_error", Some(code)),
            429 => ("invalid_request_error", Some("rate_limit")),
            500.. => ("api_error", None),
            _ => ("invalid_request_error", Some(code)),
        };
        let code = code.filter(|code| !code.is_empty());
        with_request_id(
            ApiError::new(status, kind, code, message).into_reply(),
            &new_id("req"),
        )
    }

    /// Stripe has no sessions.
    fn expire_sessions(&self) {}

    async fn control(&self, call: &Call) -> Reply {
        control::answer(self, call).await
    }
}

/// The operations' names, for whoever sets faults.
pub(super) fn operations() -> [&'static str; OPERATIONS.len()] {
    OPERATIONS.map(|(name, ..)| name)
}
