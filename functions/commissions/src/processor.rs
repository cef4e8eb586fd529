//! Stripe, ready to be asked: its secret is fetched and its client made on first use, and anew within minutes of the
//! secret's rotation.

use std::sync::Arc;
use std::time::Duration;

use platform::config::Environment;
use platform::security::secret::{Rotating, SecretSource};
use providers::outcome::{Decline, Outcome};
use providers::stripe::{Stripe, StripeCredentials};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Error;

const PARTY: &str = "Stripe";
/// Anybody can send what isn't signed, and each fetching of the secret costs time and money.
const SECRET_REFETCH_INTERVAL: Duration = Duration::from_secs(30);

/// The card processor.
#[derive(Debug)]
pub struct Processor {
    base: String,
    connected: Rotating<Connected>,
    next_look: Mutex<Option<Instant>>,
}

/// A client, and the secrets of the webhooks that come from the same account.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) client: Stripe,
    pub(crate) webhook_secrets: WebhookSecrets,
}

/// What Stripe signs its events with: two while they are rolled.
pub(crate) struct WebhookSecrets(pub(crate) Vec<String>);

impl std::fmt::Debug for WebhookSecrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("WebhookSecrets(redacted)")
    }
}

impl Processor {
    /// Reads `STRIPE_API_BASE` and `STRIPE_SECRET(_ARN)`.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let base = environment.required("STRIPE_API_BASE");
        let credentials = SecretSource::read(environment, "STRIPE_SECRET");
        Some(Self {
            base: base?,
            connected: Rotating::new(credentials?),
            next_look: Mutex::new(None),
        })
    }

    pub(crate) async fn connect(&self) -> Result<Arc<Connected>, Error> {
        let make = |credentials: StripeCredentials| {
            let client = Stripe::new(self.base.clone(), &credentials).map_err(|error| unavailable(&error))?;
            Ok(Connected {
                client,
                webhook_secrets: WebhookSecrets(credentials.webhook_secrets),
            })
        };
        self.connected.get(make).await
    }

    /// Has the secret fetched anew, when what is signed doesn't match: it may have been rolled a moment ago. `false` when that
    /// was done a moment ago, and the one at hand is what there is.
    pub(crate) async fn look_again(&self) -> bool {
        let mut next_look = self.next_look.lock().await;
        if next_look.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        *next_look = Some(Instant::now() + SECRET_REFETCH_INTERVAL);
        self.connected.look_again().await;
        true
    }
}

/// The answer, where anything but an answer is a failure.
pub(crate) fn answered<T>(outcome: Outcome<T>) -> Result<T, Error> {
    match outcome {
        Outcome::Done(answer) => Ok(answer),
        Outcome::Declined(decline) => Err(refused(decline)),
        Outcome::Retryable(reason) | Outcome::Unknown(reason) => Err(unavailable(&reason)),
    }
}

pub(crate) fn refused(decline: Decline) -> Error {
    Error::Refused {
        party: PARTY,
        code: decline.code,
        status: decline.status,
    }
}

pub(crate) fn unavailable(reason: &impl ToString) -> Error {
    Error::Unavailable {
        party: PARTY,
        reason: reason.to_string(),
    }
}
