//! Secrets: read from AWS Secrets Manager by ARN, or given by the environment on a laptop.
//!
//! Setting `DRIVEWEALTH_SECRET` to the secret's text stands in for `DRIVEWEALTH_SECRET_ARN`.

use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::aws;
use crate::config::Environment;
use crate::error::PlatformError;

/// A value that never shows in logs or errors.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Hides a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(redacted)")
    }
}

/// Where a secret is found.
#[derive(Debug, Clone)]
pub struct SecretSource {
    name: &'static str,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Environment(Redacted<String>),
    SecretsManager(String),
}

impl SecretSource {
    /// The secret behind `name` (its text) or `name_ARN`. One of the two has to be set.
    pub fn read(environment: &mut Environment, name: &'static str) -> Option<Self> {
        let arn_name = format!("{name}_ARN");
        if let Some(text) = environment.optional::<String>(name) {
            return Some(Self {
                name,
                place: Place::Environment(Redacted::new(text)),
            });
        }
        match environment.optional::<String>(&arn_name) {
            Some(arn) => Some(Self {
                name,
                place: Place::SecretsManager(arn),
            }),
            None => {
                environment.problem(format!("{arn_name} is not set (or {name}, away from AWS)"));
                None
            }
        }
    }

    /// Reads the secret, a JSON document, into its type.
    ///
    /// # Errors
    /// [`PlatformError::Secret`] when it can't be fetched or doesn't have the shape of `T`.
    pub async fn load<T: DeserializeOwned>(&self) -> Result<T, PlatformError> {
        let text = match &self.place {
            Place::Environment(text) => text.reveal().clone(),
            Place::SecretsManager(arn) => self.fetch(arn).await?,
        };
        // serde_json's message could quote the secret: only its position is kept.
        serde_json::from_str(&text).map_err(|error| {
            self.failure(format!(
                "it is not of the expected shape (line {}, column {})",
                error.line(),
                error.column()
            ))
        })
    }

    async fn fetch(&self, arn: &str) -> Result<String, PlatformError> {
        let answer = aws::secrets()
            .await
            .get_secret_value()
            .secret_id(arn)
            .send()
            .await
            .map_err(|error| self.failure(crate::problem::chain(&error)))?;
        answer
            .secret_string
            .ok_or_else(|| self.failure("it holds no text".to_owned()))
    }

    fn failure(&self, reason: String) -> PlatformError {
        PlatformError::Secret {
            name: self.name.to_owned(),
            reason,
        }
    }
}
