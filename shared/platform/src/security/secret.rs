//! Secrets: read from AWS Secrets Manager by ARN, or given by the environment on a laptop.
//!
//! Setting `DRIVEWEALTH_SECRET` to the secret's text stands in for `DRIVEWEALTH_SECRET_ARN`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::aws;
use crate::config::Environment;
use crate::error::PlatformError;
use crate::error::chain;

/// How long a secret that was read counts as the present one.
const FRESH_FOR: Duration = Duration::from_secs(5 * 60);
/// How long the present client has to do when the secret can't be read.
const RETRY_AFTER_FAILURE: Duration = Duration::from_secs(30);
/// Anybody can send what has a wrong signature, and each read of the secret costs time and money.
const REFETCH_INTERVAL: Duration = Duration::from_secs(30);

/// Where a secret is found.
#[derive(Debug, Clone)]
pub struct SecretSource {
    name: &'static str,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Environment(SecretString),
    SecretsManager { arn: String, ahead: Ahead },
}

impl SecretSource {
    /// The secret behind `name` (its text) or `name_ARN`. One of the two has to be set.
    pub fn read(environment: &mut Environment, name: &'static str) -> Option<Self> {
        let arn_name = format!("{name}_ARN");
        if let Some(text) = environment.optional::<String>(name) {
            return Some(Self {
                name,
                place: Place::Environment(SecretString::from(text)),
            });
        }
        match environment.optional::<String>(&arn_name) {
            Some(arn) => {
                let ahead = Ahead::default();
                let source = Self {
                    name,
                    place: Place::SecretsManager {
                        arn: arn.clone(),
                        ahead: ahead.clone(),
                    },
                };
                let begun = source.clone();
                environment.ahead(async move { ahead.fill(begun.fetch(&arn)).await });
                Some(source)
            }
            None => {
                environment.problem(format!("{arn_name} is not set (or {name}, away from AWS)"));
                None
            }
        }
    }

    /// No secret, where none is needed: it reads as `null`.
    pub fn none(name: &'static str) -> Self {
        Self {
            name,
            place: Place::Environment(SecretString::from("null")),
        }
    }

    /// Reads the secret, a JSON document, into its type.
    ///
    /// # Errors
    /// [`PlatformError::Secret`] when it can't be fetched or doesn't have the shape of `T`.
    pub async fn load<T: DeserializeOwned>(&self) -> Result<T, PlatformError> {
        self.parse(self.text().await?.expose_secret())
    }

    async fn text(&self) -> Result<SecretString, PlatformError> {
        match &self.place {
            Place::Environment(text) => Ok(text.clone()),
            // Boxed, as in `aws`.
            Place::SecretsManager { arn, ahead } => Box::pin(ahead.take_or(self.fetch(arn))).await,
        }
    }

    fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T, PlatformError> {
        // serde_json's message could quote the secret: only its position is reported.
        serde_json::from_str(text).map_err(|error| {
            self.failure(format!(
                "it is not of the expected shape (line {}, column {})",
                error.line(),
                error.column()
            ))
        })
    }

    async fn fetch(&self, arn: &str) -> Result<SecretString, PlatformError> {
        let answer = aws::secrets()
            .await
            .get_secret_value()
            .secret_id(arn)
            .send()
            .await
            .map_err(|error| self.failure(chain(&error)))?;
        answer
            .secret_string
            .map(SecretString::from)
            .ok_or_else(|| self.failure("it holds no text".to_owned()))
    }

    fn failure(&self, reason: String) -> PlatformError {
        PlatformError::Secret {
            name: self.name.to_owned(),
            reason,
        }
    }
}

/// A secret that is read while the function waits for its first event, for whoever needs it first.
#[derive(Debug, Clone, Default)]
struct Ahead(Arc<Mutex<Option<(SecretString, Instant)>>>);

impl Ahead {
    /// Reads it; when that fails, whoever needs it reads it again, and says why.
    async fn fill(&self, reading: impl Future<Output = Result<SecretString, PlatformError>>) {
        let mut place = self.0.lock().await;
        // Boxed, as in `aws`.
        if let Ok(text) = Box::pin(reading).await {
            *place = Some((text, Instant::now()));
        }
    }

    /// What was read ahead, once and not when the instance lay frozen since; otherwise as it is now.
    async fn take_or(
        &self,
        reading: impl Future<Output = Result<SecretString, PlatformError>>,
    ) -> Result<SecretString, PlatformError> {
        let ahead = self.0.lock().await.take();
        match ahead {
            Some((text, read_at)) if read_at.elapsed() < FRESH_FOR => Ok(text),
            _ => reading.await,
        }
    }
}

/// What was made with a secret, a client for instance. A warm instance outlives a rotation: the secret is read
/// again every few minutes, and what was made with another one is made anew.
pub struct Rotating<T> {
    source: SecretSource,
    made: Mutex<Option<Made<T>>>,
    no_refetch_before: Mutex<Option<Instant>>,
}

struct Made<T> {
    value: Arc<T>,
    text: SecretString,
    fresh_until: Instant,
}

impl<T> fmt::Debug for Rotating<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Rotating")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl<T> Rotating<T> {
    /// Reads where the secret `name` is found; the secret itself is read when it is needed.
    pub fn named(name: &'static str) -> impl FnOnce(&mut Environment) -> Option<Self> {
        move |environment| SecretSource::read(environment, name).map(Self::new)
    }

    /// Nothing is read before it is needed.
    pub fn new(source: SecretSource) -> Self {
        Self {
            source,
            made: Mutex::new(None),
            no_refetch_before: Mutex::new(None),
        }
    }

    /// What was made with the present secret, by `make` where the secret is new.
    ///
    /// # Errors
    /// As `make`; or when the secret can't be read and nothing was made before.
    pub async fn get<S, E>(&self, make: impl FnOnce(S) -> Result<T, E>) -> Result<Arc<T>, E>
    where
        S: DeserializeOwned,
        E: From<PlatformError>,
    {
        let mut made = self.made.lock().await;
        match made.as_ref() {
            Some(made) if Instant::now() < made.fresh_until => Ok(made.value.clone()),
            _ => self.renew(&mut made, self.source.text().await, make),
        }
    }

    /// Has the secret read anew before the next use: it was refused, or may have been rotated.
    pub async fn invalidate(&self) {
        if let Some(made) = self.made.lock().await.as_mut() {
            made.fresh_until = Instant::now();
        }
    }

    /// Has the secret read anew because a signature didn't match: it may have been rolled a moment ago. `false` when it was read
    /// for that a moment ago, and there is no other.
    pub async fn refetch(&self) -> bool {
        let mut no_refetch_before = self.no_refetch_before.lock().await;
        if no_refetch_before.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        *no_refetch_before = Some(Instant::now() + REFETCH_INTERVAL);
        self.invalidate().await;
        true
    }

    /// Has it made anew before its next use, with the secret as it is then: what was made is of no use any more.
    pub async fn discard(&self) {
        *self.made.lock().await = None;
    }

    fn renew<S, E>(
        &self,
        made: &mut Option<Made<T>>,
        read: Result<SecretString, PlatformError>,
        make: impl FnOnce(S) -> Result<T, E>,
    ) -> Result<Arc<T>, E>
    where
        S: DeserializeOwned,
        E: From<PlatformError>,
    {
        let text = match (read, made.as_mut()) {
            (Ok(text), Some(old)) if text.expose_secret() == old.text.expose_secret() => {
                return Ok(old.keep_for(FRESH_FOR));
            }
            (Ok(text), _) => text,
            (Err(error), Some(old)) => {
                tracing::warn!(
                    error = chain(&error),
                    "reading the secret failed; the one from before may still be valid"
                );
                return Ok(old.keep_for(RETRY_AFTER_FAILURE));
            }
            (Err(error), None) => return Err(error.into()),
        };
        let value = Arc::new(make(self.source.parse(text.expose_secret())?)?);
        *made = Some(Made {
            value: value.clone(),
            text,
            fresh_until: Instant::now() + FRESH_FOR,
        });
        Ok(value)
    }
}

impl<T> Made<T> {
    fn keep_for(&mut self, time: Duration) -> Arc<T> {
        self.fresh_until = Instant::now() + time;
        self.value.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = Result<SecretString, PlatformError>;

    fn renew(
        rotating: &Rotating<u32>,
        made: &mut Option<Made<u32>>,
        read: Read,
    ) -> Result<u32, PlatformError> {
        rotating
            .renew(made, read, |secret: u32| Ok::<_, PlatformError>(secret))
            .map(|value| *value)
    }

    fn text(text: &str) -> Read {
        Ok(SecretString::from(text))
    }

    #[tokio::test]
    async fn a_changed_secret_makes_a_new_client_and_the_same_one_does_not() {
        let rotating = Rotating::new(SecretSource::none("TEST"));
        let mut made = None;
        assert_eq!(renew(&rotating, &mut made, text("1")).unwrap(), 1);
        let first = made.as_ref().unwrap().value.clone();
        assert_eq!(renew(&rotating, &mut made, text("1")).unwrap(), 1);
        assert!(Arc::ptr_eq(&first, &made.as_ref().unwrap().value));
        assert_eq!(renew(&rotating, &mut made, text("2")).unwrap(), 2);
    }

    #[tokio::test]
    async fn a_client_stays_in_use_while_its_secret_can_not_be_read() {
        let rotating = Rotating::new(SecretSource::none("TEST"));
        let mut made = None;
        assert!(renew(&rotating, &mut made, Err(PlatformError::Sealed)).is_err());
        assert_eq!(renew(&rotating, &mut made, text("1")).unwrap(), 1);
        assert_eq!(
            renew(&rotating, &mut made, Err(PlatformError::Sealed)).unwrap(),
            1
        );
    }

    #[tokio::test]
    async fn a_secret_is_read_once_until_it_is_invalidated() {
        let rotating = Rotating::new(SecretSource::none("TEST"));
        let get = async || {
            let made = rotating.get(|_: Option<u32>| Ok::<_, PlatformError>(7)).await;
            made.unwrap()
        };
        let (first, second) = (get().await, get().await);
        assert!(Arc::ptr_eq(&first, &second));
        rotating.invalidate().await;
        let fresh_until = rotating.made.lock().await.as_ref().unwrap().fresh_until;
        assert!(fresh_until <= Instant::now());
        assert!(Arc::ptr_eq(&first, &get().await), "it has not changed");
    }

    #[tokio::test]
    async fn a_secret_that_was_read_ahead_serves_once_while_it_is_fresh() {
        let read = async |ahead: &Ahead, now: &str| {
            let text = ahead.take_or(async { text(now) }).await;
            text.map(|text| text.expose_secret().to_owned())
        };
        let ahead = Ahead::default();
        ahead.fill(async { text("ahead") }).await;
        assert_eq!(read(&ahead, "now").await.unwrap(), "ahead");
        assert_eq!(
            read(&ahead, "now").await.unwrap(),
            "now",
            "it may have been rotated"
        );

        ahead.fill(async { Err(PlatformError::Sealed) }).await;
        assert_eq!(
            read(&ahead, "now").await.unwrap(),
            "now",
            "a failure is tried again"
        );

        let long_ago = Instant::now().checked_sub(FRESH_FOR).unwrap();
        *ahead.0.lock().await = Some((SecretString::from("ahead"), long_ago));
        assert_eq!(
            read(&ahead, "now").await.unwrap(),
            "now",
            "the instance lay frozen"
        );
    }

    #[tokio::test]
    async fn a_secret_that_is_being_read_is_waited_for() {
        let ahead = Ahead::default();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let filling = ahead.fill(async { text(receiver.await.unwrap()) });
        let taking = ahead.take_or(async { Err(PlatformError::Sealed) });
        let sending = async { sender.send("ahead") };
        let (_, taken, sent) = futures::join!(filling, taking, sending);
        assert!(sent.is_ok());
        assert_eq!(taken.unwrap().expose_secret(), "ahead");
    }

    #[tokio::test]
    async fn wrong_signatures_have_the_secret_read_once_in_a_while() {
        let rotating = Rotating::<u32>::new(SecretSource::none("TEST"));
        assert!(rotating.refetch().await);
        assert!(!rotating.refetch().await, "it was read a moment ago");
        *rotating.no_refetch_before.lock().await = Some(Instant::now());
        assert!(rotating.refetch().await);
    }
}
