//! One HTTP exchange, and what can be said of it when it goes wrong.

use std::sync::Arc;
use std::time::Duration;

use domain::storable::storable_body;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};
use tokio::time::Instant;

/// Longest wait for one response.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Largest response that is read, in bytes.
const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// A response.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum NoResponse {
    /// The request never left.
    NotSent(String),
    /// The request left; its response did not come, or not whole.
    Lost(String),
}

/// The client of this process: TLS by rustls with Mozilla's roots, no redirects, no proxies from the environment.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("moneta/", env!("CARGO_PKG_VERSION")));
    let versions =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    match versions {
        Ok(tls) => builder
            .tls_backend_preconfigured(tls.with_root_certificates(roots).with_no_client_auth())
            .build(),
        Err(error) => {
            tracing::error!(%error, "TLS can't be set up");
            builder.build()
        }
    }
}

/// Sends a request and reads its response whole, within the attempt's time-out and the deadline.
pub(crate) async fn exchange(request: RequestBuilder, deadline: Instant) -> Result<Response, NoResponse> {
    exchange_within(request, ATTEMPT_TIMEOUT, deadline).await
}

/// Sends a request and reads its response whole, within a time-out of its own and the deadline.
pub(crate) async fn exchange_within(
    request: RequestBuilder,
    timeout: Duration,
    deadline: Instant,
) -> Result<Response, NoResponse> {
    let until = deadline.min(Instant::now() + timeout);
    // Boxed: a request's futures stand deep within each other, and the compiler works out no more than so many.
    match tokio::time::timeout_at(until, Box::pin(send(request))).await {
        Ok(outcome) => outcome,
        Err(_) => Err(NoResponse::Lost("no response in time".to_owned())),
    }
}

async fn send(request: RequestBuilder) -> Result<Response, NoResponse> {
    let mut response = request.send().await.map_err(|error| {
        // Addresses may carry ids, so only the kind of failure is reported.
        if error.is_connect() || error.is_builder() {
            NoResponse::NotSent("no connection".to_owned())
        } else {
            NoResponse::Lost("the connection broke".to_owned())
        }
    })?;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_RESPONSE_BYTES => {
                body.extend_from_slice(&chunk)
            }
            Ok(Some(_)) => return Err(NoResponse::Lost("the response is too large".to_owned())),
            Ok(None) => {
                return Ok(Response {
                    status,
                    headers,
                    body: storable_body(&body).into_owned(),
                });
            }
            Err(_) => return Err(NoResponse::Lost("the response broke off".to_owned())),
        }
    }
}

/// Seconds of a `Retry-After` header.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get("retry-after")?
        .to_str()
        .ok()?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

/// The attempts of one request: how far apart they are, and when it is over.
pub(crate) struct Attempts {
    spacing: std::slice::Iter<'static, Duration>,
    deadline: Instant,
}

impl Attempts {
    /// One attempt more than there are spaces between them.
    pub(crate) fn new(spacing: &'static [Duration], deadline: Instant) -> Self {
        Self {
            spacing: spacing.iter(),
            deadline,
        }
    }

    /// Whether there is another attempt, at once.
    pub(crate) fn at_once(&mut self) -> bool {
        self.spacing.next().is_some() && Instant::now() < self.deadline
    }

    /// Waits for the next attempt: at least as long as the other side demands, or about as long as usual. `false` when
    /// there is none, or no time for it.
    pub(crate) async fn later(&mut self, retry_after: Option<Duration>) -> bool {
        let Some(usual) = self.spacing.next() else {
            return false;
        };
        let wait = retry_after
            .unwrap_or(*usual / 2)
            .saturating_add(up_to(*usual / 2));
        // The other side may ask for more than a clock can count.
        match Instant::now().checked_add(wait) {
            Some(end) if end < self.deadline => {
                tokio::time::sleep_until(end).await;
                true
            }
            _ => false,
        }
    }
}

/// A time by chance, so that those who failed together don't come again together.
fn up_to(longest: Duration) -> Duration {
    let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(rand::random_range(0..=longest_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACING: [Duration; 2] = [Duration::from_millis(2); 2];

    #[tokio::test]
    async fn a_requested_wait_is_kept_whole_or_not_begun() {
        let retry_after = Duration::from_millis(40);
        let begun = Instant::now();
        let mut attempts = Attempts::new(&SPACING, begun + Duration::from_secs(5));
        assert!(attempts.later(Some(retry_after)).await);
        assert!(begun.elapsed() >= retry_after);
        let mut attempts = Attempts::new(&SPACING, Instant::now() + Duration::from_millis(20));
        assert!(!attempts.later(Some(retry_after)).await);
        let mut attempts = Attempts::new(&SPACING, Instant::now() + Duration::from_secs(5));
        assert!(!attempts.later(Some(Duration::from_secs(u64::MAX))).await);
    }
}
