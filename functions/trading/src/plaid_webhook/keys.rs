//! The keys that Plaid signs with: fetched when they are met, and kept by the instance. What isn't found is remembered too, and
//! for a while no other is looked for, so that forged ids cause few calls.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use platform::config::{Environment, FromEnvironment};
use platform::deadline::Deadline;
use providers::outcome::Outcome;
use providers::plaid::WebhookKey;
use providers::plaid::webhook::key_id;
use tokio::sync::Mutex;

use crate::Error;
use crate::bank_account::{Bank, PLAID};

/// A key is fetched anew after this: it may have been retired.
const FRESH_FOR: TimeDelta = TimeDelta::minutes(10);
/// After a key that isn't there, none is looked for.
const PAUSE_AFTER_MISS: TimeDelta = TimeDelta::seconds(30);

/// The keys of this instance.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    bank: Bank,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<String, (WebhookKey, DateTime<Utc>)>,
    last_miss: Option<DateTime<Utc>>,
}

impl FromEnvironment for Keys {
    fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            bank: Bank::read(environment)?,
            known: Arc::default(),
        })
    }
}

impl Keys {
    /// The key that a webhook says it is signed with; none for one that isn't Plaid's.
    ///
    /// # Errors
    /// Transient when Plaid doesn't respond.
    pub(super) async fn of(
        &self,
        token: &str,
        now: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<Option<WebhookKey>, Error> {
        let Some(id) = key_id(token) else {
            return Ok(None);
        };
        let mut known = self.known.lock().await;
        if let Some((key, fetched_at)) = known.keys.get(&id) {
            if now - *fetched_at < FRESH_FOR {
                return Ok(Some(key.clone()));
            }
        } else if known.last_miss.is_some_and(|at| now - at < PAUSE_AFTER_MISS) {
            return Ok(None);
        }
        let client = self.bank.client().await?;
        match client.webhook_key(&id, deadline.instant()).await {
            Outcome::Done(key) => {
                known.keys.insert(id, (key.clone(), now));
                Ok(Some(key))
            }
            Outcome::Declined(_) => {
                known.keys.remove(&id);
                known.last_miss = Some(now);
                Ok(None)
            }
            outcome => Ok(Some(outcome.done(PLAID)?)),
        }
    }
}
