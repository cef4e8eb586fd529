//! The Stripe client of this instance, made with the key that may pay connected accounts: its secret is fetched on first
//! use, and anew within minutes of its rotation.

use std::sync::Arc;
use std::time::Duration;

use platform::config::{Environment, FromEnvironment};
use platform::security::secret::Rotating;
use providers::outcome::ProviderError;
use providers::stripe::{Stripe, StripeCredentials};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Error;

/// The provider's name in errors.
pub(crate) const STRIPE: &str = "Stripe";
/// Anybody can send what isn't signed, and each fetch of the secret costs time and money.
const SECRET_REFETCH_INTERVAL: Duration = Duration::from_secs(30);

/// The processor of payouts. A clone is the same client.
#[derive(Debug, Clone)]
pub(crate) struct Processor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: String,
    connected: Rotating<Connected>,
    no_refetch_before: Mutex<Option<Instant>>,
}

/// A client, and the credentials it was made with, which also hold the secrets of the endpoint of connected accounts.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) client: Stripe,
    pub(crate) credentials: StripeCredentials,
}

impl FromEnvironment for Processor {
    /// Reads `STRIPE_API_BASE` and `STRIPE_CONNECT_SECRET(_ARN)`; once, whoever needs it.
    fn read(environment: &mut Environment) -> Option<Self> {
        environment.shared(|environment| {
            let base = environment.required("STRIPE_API_BASE");
            let connected = Rotating::named("STRIPE_CONNECT_SECRET")(environment);
            Some(Self(Arc::new(Inner {
                base: base?,
                connected: connected?,
                no_refetch_before: Mutex::new(None),
            })))
        })
    }
}

impl Processor {
    /// The client made with the present secret.
    pub(crate) async fn connect(&self) -> Result<Arc<Connected>, Error> {
        let make = |credentials: StripeCredentials| {
            let client = Stripe::new(self.0.base.clone(), &credentials)
                .map_err(|error| ProviderError::unavailable(STRIPE, &error))?;
            Ok(Connected { client, credentials })
        };
        self.0.connected.get(make).await
    }

    /// Has the secret fetched anew because a signature didn't match: it may have been rolled a moment ago. `false` when it was
    /// fetched a moment ago, and there is no other.
    pub(crate) async fn refetch_secret(&self) -> bool {
        let mut no_refetch_before = self.0.no_refetch_before.lock().await;
        if no_refetch_before.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        *no_refetch_before = Some(Instant::now() + SECRET_REFETCH_INTERVAL);
        self.0.connected.invalidate().await;
        true
    }
}
