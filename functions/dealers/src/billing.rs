//! The Billing client of this instance: its secret is fetched and the client made on first use, and anew within minutes of
//! the secret's rotation.

use std::sync::Arc;

use platform::config::{Environment, FromEnvironment};
use platform::security::secret::Rotating;
use providers::billing::{Billing, BillingCredentials};
use providers::outcome::{Decline, ProviderError};
use serde::Serialize;

use crate::Error;

/// The provider's name in errors.
pub(crate) const BILLING: &str = "Billing";

/// Where Billing is reached. A clone is the same client.
#[derive(Debug, Clone)]
pub struct BillingHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: String,
    connected: Rotating<Billing>,
}

impl FromEnvironment for BillingHandle {
    /// Reads `BILLING_API_BASE` and `BILLING_SECRET(_ARN)`; once, whoever needs it.
    fn read(environment: &mut Environment) -> Option<Self> {
        environment.shared(|environment| {
            let base = environment.required("BILLING_API_BASE");
            let connected = Rotating::named("BILLING_SECRET")(environment);
            Some(Self(Arc::new(Inner {
                base: base?,
                connected: connected?,
            })))
        })
    }
}

impl BillingHandle {
    /// The client made with the present secret.
    pub(crate) async fn connect(&self) -> Result<Arc<Billing>, Error> {
        let make = |credentials: BillingCredentials| {
            Billing::new(self.0.base.clone(), &credentials)
                .map_err(|error| Error::from(ProviderError::unavailable(BILLING, &error)))
        };
        self.0.connected.get(make).await
    }
}

/// What Billing refuses with, as a person has to read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    /// The field of our request that it is about.
    pub(crate) field: Option<String>,
    pub(crate) message: String,
}

impl Refusal {
    /// What Billing has isn't what we have.
    pub(crate) fn of_difference(code: &str, message: String) -> Self {
        Self {
            code: code.to_owned(),
            field: None,
            message,
        }
    }
}

impl From<Decline> for Refusal {
    fn from(decline: Decline) -> Self {
        Self {
            code: decline.code,
            field: decline.field,
            message: decline.message,
        }
    }
}
