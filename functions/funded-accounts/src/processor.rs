//! The Stripe client of this instance, made with the key that may pay connected accounts: its secret is fetched on first
//! use, and anew within minutes of its rotation.

use std::sync::Arc;

use platform::config::{Environment, FromEnvironment};
use platform::security::secret::Rotating;
use providers::outcome::ProviderError;
use providers::stripe::{Stripe, StripeCredentials};

use crate::Error;

/// The provider's name in errors.
pub(crate) const STRIPE: &str = "Stripe";

/// The processor of payouts. A clone is the same client.
#[derive(Debug, Clone)]
pub(crate) struct Processor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: String,
    connected: Rotating<Connected>,
}

platform::from_environment!(Inner {
    base: |environment: &mut Environment| environment.required("STRIPE_API_BASE"),
    connected: Rotating::named("STRIPE_CONNECT_SECRET"),
});

/// A client, and the credentials it was made with, which also hold the secrets of the endpoint of connected accounts.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) client: Stripe,
    pub(crate) credentials: StripeCredentials,
}

impl FromEnvironment for Processor {
    /// Reads `STRIPE_API_BASE` and `STRIPE_CONNECT_SECRET(_ARN)`; once, whoever needs it.
    fn read(environment: &mut Environment) -> Option<Self> {
        environment.shared(|environment| Inner::read(environment).map(Arc::new).map(Self))
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
        self.0.connected.refetch().await
    }
}
