//! One call with everything around it: session, retries, deadline, classification of what came back.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::clock::Clock;
use reqwest::{Client, Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::Credentials;
use super::session::{Session, SessionStore};
use crate::http::{self, Attempts, NoResponse, Response, exchange};
use crate::outcome::{Decline, Outcome, Reason};

/// Three attempts, spaced as DriveWealth suggests.
const SPACING: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// How often a waiting instance looks for the session that another one renews.
const RENEWAL_POLL: Duration = Duration::from_millis(150);
/// Its tries; together a little longer than a claim on the renewal lasts.
const RENEWAL_TRIES: u32 = 100;
/// The session has expired.
const SESSION_EXPIRED: &str = "L025";

/// The client.
#[derive(Debug)]
pub struct DriveWealth<S> {
    http: Client,
    base: String,
    credentials: Credentials,
    store: S,
    pub(super) clock: Arc<dyn Clock>,
    session: Mutex<Option<Session>>,
}

/// A request, repeatable as a whole.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) idempotency_key: Option<Uuid>,
    /// Whether it may move money: then a refusal counts only when it is beyond doubt.
    pub(super) moves_money: bool,
}

impl Request {
    pub(super) fn get(path: String) -> Self {
        Self::new(Method::GET, path, None)
    }

    /// Changes what is there; twice is the same as once.
    pub(super) fn change(path: String, body: Value) -> Self {
        Self::new(Method::PATCH, path, Some(body))
    }

    /// Makes something that isn't money. A refusal counts, also after a lost response: the key leads to the first answer.
    pub(super) fn create(path: &str, body: Value, key: Uuid) -> Self {
        Self {
            idempotency_key: Some(key),
            ..Self::new(Method::POST, path.to_owned(), Some(body))
        }
    }

    pub(super) fn delete(path: String) -> Self {
        Self::new(Method::DELETE, path, None)
    }

    fn new(method: Method, path: String, body: Option<Value>) -> Self {
        Self {
            method,
            path,
            body,
            idempotency_key: None,
            moves_money: false,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignInResponse {
    auth_token: String,
    expires_at: DateTime<Utc>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ErrorBody {
    error_code: String,
    message: String,
}

/// What one attempt has shown.
enum Attempt {
    Received(Vec<u8>),
    Declined(Decline),
    SessionRefused,
    /// Surely not done.
    NotDone(String, Option<Duration>),
    /// Possibly done.
    Doubtful(String),
}

impl<S: SessionStore> DriveWealth<S> {
    /// A client of the API at `base`, without a slash at its end.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        base: String,
        credentials: Credentials,
        store: S,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: http::client()?,
            base,
            credentials,
            store,
            clock,
            session: Mutex::new(None),
        })
    }

    /// Sends a request until there is a response or no more time.
    pub(super) async fn call(&self, request: Request, deadline: Instant) -> Outcome<Vec<u8>> {
        let reads_only = request.method == Method::GET;
        // A repetition says when the request was made first.
        let asked_at = self.clock.now();
        let mut attempts = Attempts::new(&SPACING, deadline);
        let mut stale = None;
        let mut doubt: Option<String> = None;
        let last = loop {
            let session = match self.session(stale, deadline).await {
                Ok(session) => session,
                Err(reason) => break reason,
            };
            let (reason, goes_on) = match self.attempt(&request, &session, asked_at, deadline).await {
                Attempt::Received(body) => return Outcome::Done(body),
                // An earlier attempt may have gone through, and be what this one is refused for.
                Attempt::Declined(decline) if doubt.is_some() && request.moves_money => {
                    break format!("refused with code {} after a lost response", decline.code);
                }
                Attempt::Declined(decline) => return Outcome::Declined(decline),
                Attempt::SessionRefused => {
                    stale = Some(session.version);
                    ("the session was refused".to_owned(), attempts.at_once())
                }
                Attempt::NotDone(reason, wait) => (reason, attempts.later(wait).await),
                Attempt::Doubtful(reason) => {
                    doubt = Some(reason.clone());
                    (reason, attempts.later(None).await)
                }
            };
            if !goes_on {
                break reason;
            }
        };
        match doubt {
            Some(reason) if !reads_only => Outcome::Unknown(Reason(reason)),
            _ => Outcome::Retryable(Reason(last)),
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        session: &Session,
        asked_at: DateTime<Utc>,
        deadline: Instant,
    ) -> Attempt {
        let mut sending = self
            .request(request.method.clone(), &request.path, asked_at)
            .header("dw-auth-token", &session.token);
        if let Some(key) = request.idempotency_key {
            sending = sending.header("Idempotency-Key", key.to_string());
        }
        if let Some(body) = &request.body {
            sending = sending.json(body);
        }
        match exchange(sending, deadline).await {
            Ok(response) => classify(request, response),
            Err(NoResponse::NotSent(reason)) => Attempt::NotDone(reason, None),
            Err(NoResponse::Lost(reason)) => Attempt::Doubtful(reason),
        }
    }

    fn request(&self, method: Method, path: &str, asked_at: DateTime<Utc>) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .header("dw-client-app-key", self.credentials.app_key.expose_secret())
            .header("dw-request-timestamp", asked_at.to_rfc3339())
    }

    /// A usable session. Within the instance the lock lets one task renew; between instances the store does.
    async fn session(&self, stale: Option<i64>, deadline: Instant) -> Result<Session, String> {
        let mut cached = self.session.lock().await;
        if let Some(session) = cached
            .as_ref()
            .filter(|session| session.is_usable(self.clock.now(), stale))
        {
            return Ok(session.clone());
        }
        for _ in 0..RENEWAL_TRIES {
            let (shared, version) = self.store.load().await?;
            if let Some(session) = shared.filter(|session| session.is_usable(self.clock.now(), stale)) {
                return Ok(cached.insert(session).clone());
            }
            if self.store.claim_renewal(version).await? {
                let session = self.sign_in(version + 1, deadline).await?;
                self.store.save(&session).await?;
                return Ok(cached.insert(session).clone());
            }
            if Instant::now() + RENEWAL_POLL >= deadline {
                break;
            }
            tokio::time::sleep(RENEWAL_POLL).await;
        }
        Err("no session could be had in time".to_owned())
    }

    async fn sign_in(&self, version: i64, deadline: Instant) -> Result<Session, String> {
        let Credentials {
            username, password, ..
        } = &self.credentials;
        let body = json!({"appTypeID": 4, "username": username, "password": password.expose_secret()});
        let request = self.request(Method::POST, "/auth", self.clock.now());
        let response = exchange(request.json(&body), deadline).await;
        let response = response.map_err(|error| format!("signing in failed: {error:?}"))?;
        if response.status >= 300 {
            return Err(format!("signing in was refused with status {}", response.status));
        }
        let read: SignInResponse = serde_json::from_slice(&response.body)
            .map_err(|_| "the response to signing in can't be read".to_owned())?;
        Ok(Session {
            token: read.auth_token,
            expires_at: read.expires_at,
            version,
        })
    }
}

fn classify(request: &Request, response: Response) -> Attempt {
    let method = &request.method;
    let request_id = response
        .headers
        .get("dw-request-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    tracing::info!(%method, status = response.status, dw_request_id = request_id, "received the response of DriveWealth");
    match response.status {
        // A deletion has nothing to say.
        200..=299 if response.body.is_empty() && request.method == Method::DELETE => {
            Attempt::Received(b"null".to_vec())
        }
        200..=299 if serde_json::from_slice::<&serde_json::value::RawValue>(&response.body).is_ok() => {
            Attempt::Received(response.body)
        }
        200..=299 => Attempt::Doubtful("the response is not JSON".to_owned()),
        401 => unauthorized(request, &response),
        429 => Attempt::NotDone(
            "too many requests".to_owned(),
            http::retry_after(&response.headers),
        ),
        status => match refusal(request, &response) {
            Some(decline) => Attempt::Declined(decline),
            None => Attempt::Doubtful(format!("status {status}")),
        },
    }
}

/// A session that has expired is renewed. Whatever else is wrong with our signing in, a new session doesn't mend it.
fn unauthorized(request: &Request, response: &Response) -> Attempt {
    let ErrorBody { error_code, message } = serde_json::from_slice(&response.body).unwrap_or_default();
    match error_code.as_str() {
        "" | SESSION_EXPIRED => Attempt::SessionRefused,
        _ if request.moves_money => Attempt::NotDone(format!("unauthorized with code {error_code}"), None),
        _ => Attempt::Declined(Decline::new(error_code, message, response.status)),
    }
}

/// DriveWealth's own refusal, in its own form. Gateways on the way respond with statuses of the 400s too, and 409 may be
/// about another attempt of the same payment, so that neither says that no money moves.
fn refusal(request: &Request, response: &Response) -> Option<Decline> {
    let is_refusal = if request.moves_money {
        matches!(response.status, 400 | 422)
    } else {
        (400..=499).contains(&response.status) && response.status != 408
    };
    let ErrorBody { error_code, message } = serde_json::from_slice(&response.body).ok()?;
    (is_refusal && !error_code.is_empty()).then(|| Decline::new(error_code, message, response.status))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    fn is_declined(request: &Request, status: u16, body: &str) -> bool {
        let response = Response {
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        matches!(classify(request, response), Attempt::Declined(_))
    }

    #[test]
    fn a_payment_is_declined_by_a_plain_refusal_of_drivewealth_alone() {
        let payment = Request {
            method: Method::POST,
            path: "/funding/deposits".to_owned(),
            body: None,
            idempotency_key: Some(Uuid::nil()),
            moves_money: true,
        };
        let refusal = r#"{"errorCode":"E032","message":"account not found"}"#;
        for status in [400, 422] {
            assert!(is_declined(&payment, status, refusal), "{status}");
            for body in ["<html>Bad Request</html>", "{}", r#"{"errorCode":""}"#, "null"] {
                assert!(!is_declined(&payment, status, body), "{status} {body}");
            }
        }
        for status in [401, 403, 404, 408, 409, 429, 500, 502] {
            assert!(!is_declined(&payment, status, refusal), "{status}");
        }
    }

    #[test]
    fn a_creation_is_declined_by_any_refusal_of_drivewealth() {
        let creation = Request::create("/users", json!({}), Uuid::nil());
        let refusal = r#"{"errorCode":"A035","message":"fields are missing"}"#;
        for status in [400, 403, 404, 409, 422] {
            assert!(is_declined(&creation, status, refusal), "{status}");
            assert!(
                !is_declined(&creation, status, "<html>Forbidden</html>"),
                "{status}"
            );
        }
        for status in [408, 429, 500] {
            assert!(!is_declined(&creation, status, refusal), "{status}");
        }
    }

    #[test]
    fn a_session_is_renewed_only_when_it_has_expired() {
        let read = Request::get("/accounts/a".to_owned());
        assert!(!is_declined(
            &read,
            401,
            r#"{"errorCode":"L025","message":"expired"}"#
        ));
        assert!(!is_declined(&read, 401, ""));
        assert!(is_declined(
            &read,
            401,
            r#"{"errorCode":"L004","message":"wrong key"}"#
        ));
    }

    #[test]
    fn a_read_is_declined_by_drivewealth_and_not_by_a_gateway() {
        let read = Request::get("/accounts/a".to_owned());
        let refusal = r#"{"errorCode":"E030","message":"account not found"}"#;
        for status in [400, 403, 404] {
            assert!(is_declined(&read, status, refusal), "{status}");
            assert!(!is_declined(&read, status, "<html>Forbidden</html>"), "{status}");
        }
        assert!(!is_declined(&read, 408, refusal));
        assert!(!is_declined(&read, 500, refusal));
    }
}
