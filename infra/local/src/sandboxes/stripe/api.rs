//! How a request to Stripe's API goes through: key, version, idempotency, operation.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::Value;

use super::errors::{ApiError, ApiResult};
use super::operations::{self, operation_of};
use super::params::Params;
use super::render::API_VERSION;
use super::state::{StoredReply, new_id};
use super::work::Work;
use super::{StripeSandbox, control, page};
use crate::keys;
use crate::sandboxes::call::{Call, Reply};
use crate::sandboxes::gate::{Fault, Party};

/// How long the reply under an idempotency key is kept.
const KEY_LIFETIME_S: i64 = 24 * 3600;
const MAX_KEY_LENGTH: usize = 255;
const MAX_EXPANSION_DEPTH: usize = 4;

/// The properties that can be asked for whole instead of by id.
const EXPANDABLE: [&str; 6] = [
    "charge",
    "customer",
    "latest_charge",
    "payment_intent",
    "payment_method",
    "setup_intent",
];

/// A request that was accepted.
#[derive(Debug)]
struct Accepted {
    request_id: String,
    /// Its idempotency key, which is in use until the request is finished.
    key: Option<String>,
    /// Method, path and parameters.
    request: String,
}

/// Whether a request may be executed, or what the reply is without that.
enum Admission {
    Accepted(Accepted),
    Replied(Reply),
}

impl StripeSandbox {
    /// Checks the key, the version of the API and the idempotency key.
    fn admit(&self, call: &Call) -> Admission {
        let request_id = new_id("req");
        let refuse = |error: ApiError| Admission::Replied(with_request_id(error.into_reply(), &request_id));
        if let Err(error) = authenticate(call).and_then(|()| check_version(call)) {
            return refuse(error);
        }
        let params = match Params::of(call) {
            Ok(params) => params,
            Err(error) => return refuse(error),
        };
        let request = format!(
            "{} {} {} {}",
            call.method,
            call.path,
            call.header("stripe-account").unwrap_or_default(),
            params.fingerprint()
        );
        let key = call
            .header("idempotency-key")
            .filter(|_| call.method == Method::POST)
            .map(str::to_owned);
        let Some(key) = key else {
            return Admission::Accepted(Accepted {
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
            return Admission::Replied(with_request_id(reply, &request_id));
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
            return Admission::Replied(with_request_id(reply, &request_id));
        }
        live.in_use.insert(key.clone());
        Admission::Accepted(Accepted {
            request_id,
            key: Some(key),
            request,
        })
    }

    /// Saves the reply under the request's key, if the request came so far that it was executed.
    fn finish(&self, accepted: Accepted, mut reply: Reply) -> Reply {
        if let Some(key) = accepted.key {
            let mut live = self.lock();
            live.in_use.remove(&key);
            let executed = matches!(reply.status, 200..=299 | 402) || reply.status >= 500;
            if executed {
                let kept = StoredReply {
                    at: self.now(),
                    request: accepted.request,
                    request_id: accepted.request_id.clone(),
                    status: reply.status,
                    body: reply.body.clone(),
                };
                live.state.keys.insert(key.clone(), kept);
                self.changed();
            }
            reply = reply
                .with_header("idempotency-key", key)
                .with_header("original-request", accepted.request_id.clone());
        }
        with_request_id(reply, &accepted.request_id)
    }

    /// Does what an accepted request asks for.
    fn execute(&self, call: &Call, accepted: &Accepted, forced_decline: Option<&str>) -> Reply {
        let done = self.work(|work| {
            work.request_id = Some(accepted.request_id.clone());
            work.idempotency_key.clone_from(&accepted.key);
            work.forced_decline = forced_decline.map(str::to_owned);
            operate(work, call)
        });
        let reply = done.map_or_else(ApiError::into_reply, |body| Reply::ok(&body));
        if reply.status < 300 && call.path.ends_with("/v1/payouts") && call.method == Method::POST {
            self.send_to_the_bank();
        }
        reply
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
    work.account = on_behalf_of(work, operation, call)?;
    let expand = params.list("expand");
    if let Some(deep) = expand
        .iter()
        .find(|path| path.split('.').count() > MAX_EXPANSION_DEPTH)
    {
        return Err(ApiError::invalid(
            None,
            format!("You can expand at most {MAX_EXPANSION_DEPTH} levels of properties: {deep}"),
        ));
    }
    let mut answer = match operation {
        "create_customer" => work.create_customer(params),
        "list_customer_payment_methods" => work.list_payment_methods(id, params),
        "retrieve_payment_method" => retrieve(work, "PaymentMethod", id, params),
        "detach_payment_method" => work.detach_payment_method(id, params),
        "create_checkout_session" => work.create_checkout_session(params),
        "retrieve_checkout_session" => {
            // One whose time is over expires by this at the latest.
            let _ = work.open_session(id);
            retrieve(work, "checkout.session", id, params)
        }
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
        "cancel_payment_intent" => work.cancel_payment_intent(id, params),
        "create_refund" => work.create_refund(params),
        "list_refunds" => work.list_refunds(params),
        _ => work.connect(operation, id, params),
    }?;
    for path in &expand {
        let steps: Vec<&str> = path.split('.').collect();
        expand_path(work, &mut answer, &steps, path)?;
    }
    Ok(answer)
}

/// The connected account that the call is made for; none where it is for our own.
fn on_behalf_of(work: &Work<'_>, operation: &str, call: &Call) -> ApiResult<Option<String>> {
    let Some(account) = call.header("stripe-account") else {
        return Ok(None);
    };
    let known = work.state.connect.accounts.get(account);
    if known.is_none_or(|known| known.is_revoked) {
        return Err(ApiError::account_invalid(account));
    }
    if !operations::is_of_an_account(operation) {
        let message = format!("This sandbox has no {operation} on behalf of a connected account.");
        return Err(ApiError::invalid(None, message));
    }
    Ok(Some(account.to_owned()))
}

/// The object with the id, of this kind and no other.
fn retrieve(work: &Work<'_>, object: &str, id: &str, params: Params) -> ApiResult<Value> {
    params.finish()?;
    let prefix = match object {
        "PaymentMethod" => "pm_",
        "checkout.session" => "cs_test_",
        "setupintent" => "seti_",
        _ => "pi_",
    };
    let found = work.renderer().object(id).filter(|_| id.starts_with(prefix));
    found.ok_or_else(|| ApiError::missing(404, object, id, "id"))
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
    fn operation(&self, call: &Call) -> Option<&'static str> {
        operation_of(call).map(|(name, _)| name)
    }

    fn respond(&self, call: &Call) -> Reply {
        if let Some(reply) = page::answer(self, call) {
            return reply;
        }
        match self.admit(call) {
            Admission::Replied(reply) => reply,
            Admission::Accepted(accepted) => {
                let reply = self.execute(call, &accepted, None);
                self.finish(accepted, reply)
            }
        }
    }

    fn respond_with_decline(&self, call: &Call, reason: &str) -> Reply {
        match self.admit(call) {
            Admission::Replied(reply) => reply,
            Admission::Accepted(accepted) => {
                let reply = self.execute(call, &accepted, Some(reason));
                self.finish(accepted, reply)
            }
        }
    }

    /// A server error belongs to the idempotency key like every other answer, whether the work was done or not.
    fn respond_with_failure(&self, call: &Call, status: u16, done: bool) -> Reply {
        match self.admit(call) {
            Admission::Replied(reply) => reply,
            Admission::Accepted(accepted) => {
                if done {
                    self.execute(call, &accepted, None);
                }
                let reply = self.error(status, "", "An unknown error occurred.");
                self.finish(accepted, reply)
            }
        }
    }

    /// The idempotency key is in use as long as it takes.
    async fn respond_slowly(&self, call: &Call, takes: Duration, done_first: bool) -> Reply {
        match self.admit(call) {
            Admission::Replied(reply) => reply,
            Admission::Accepted(accepted) => {
                let reply = match done_first {
                    true => {
                        let reply = self.execute(call, &accepted, None);
                        tokio::time::sleep(takes).await;
                        reply
                    }
                    false => {
                        tokio::time::sleep(takes).await;
                        self.execute(call, &accepted, None)
                    }
                };
                self.finish(accepted, reply)
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

    fn check_fault(&self, fault: &Fault) -> anyhow::Result<()> {
        match &fault.operation {
            Some(operation) => operations::ensure_known(operation),
            None => Ok(()),
        }
    }

    async fn control(&self, call: &Call) -> anyhow::Result<Option<Value>> {
        control::route(self, call).await
    }
}
