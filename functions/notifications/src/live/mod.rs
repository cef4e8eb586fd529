//! Telling the apps that look on what has just changed, by the subscriptions of the app's API in GraphQL.
//!
//! A subscription there tells what a mutation answers. These mutations may only be called with this function's rights, and
//! answer what they are given. Whoever looks on may hear of the same change twice, and of two changes in the other order.

use domain::ids::ProfileId;
use platform::aws;
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::observability::metrics;
use providers::appsync::AppSync;
use providers::outcome::{Outcome, ProviderError};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::Error;
use crate::event::DomainEvent;
use crate::feed::NotificationView;

/// A notification is new in a profile's feed.
pub(crate) const NOTIFICATION_ADDED: &str = "notification.added";
/// A money flow is another one than its owner has seen.
const MONEY_FLOW_CHANGED: &str = "money-flow.changed";
const PARTY: &str = "AppSync";

/// A subscription tells no more of an object than its mutation asks for.
const ADD_NOTIFICATION: &str = "mutation($input: NotificationAddedInput!) { publish_notification_added(input: $input) \
                                { profile_id id kind title body data read created_at } }";
const CHANGE_MONEY_FLOW: &str = "mutation($input: MoneyFlowChangedInput!) { publish_money_flow_changed(input: $input) \
                                 { profile_id id direction trading_account_id bank_account_id amount_cents currency status \
                                 failure_code under_review created_at updated_at } }";

/// What is told of a new notification.
#[derive(Debug, Serialize)]
pub(crate) struct NotificationAdded {
    /// Whose it is.
    pub(crate) profile_id: ProfileId,
    #[serde(flatten)]
    pub(crate) notification: NotificationView,
}

/// Publishes live updates.
#[derive(Debug)]
pub struct LiveUpdates {
    url: String,
    client: OnceCell<AppSync>,
}

platform::from_environment!(LiveUpdates {
    url: |environment: &mut Environment| environment.required("GRAPHQL_URL"),
    client: |_: &mut Environment| Some(OnceCell::new()),
});

impl LiveUpdates {
    /// Tells whoever looks on.
    ///
    /// # Errors
    /// Transient when AppSync can't be reached; fatal when it refuses the update, or the event can't be read.
    pub async fn publish(&self, event: &DomainEvent, deadline: Deadline) -> Result<(), Error> {
        let document = match event.kind.as_str() {
            NOTIFICATION_ADDED => ADD_NOTIFICATION,
            MONEY_FLOW_CHANGED => CHANGE_MONEY_FLOW,
            _ => return Err(unreadable(event)),
        };
        let Value::Object(data) = &event.data else {
            return Err(unreadable(event));
        };
        let variables = json!({ "input": input(data) });
        let client = self.client.get_or_try_init(|| self.connect()).await?;
        match client.send(document, &variables, deadline.instant()).await {
            Outcome::Done(()) => {
                metrics::count("LiveUpdatesPublished", 1);
                Ok(())
            }
            Outcome::Declined(decline) => Err(ProviderError::refused(PARTY, decline).into()),
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => {
                Err(ProviderError::unavailable(PARTY, &reason).into())
            }
        }
    }

    async fn connect(&self) -> Result<AppSync, Error> {
        let config = aws::config().await;
        let Some((region, credentials)) = config.region().zip(config.credentials_provider()) else {
            return Err(ProviderError::unavailable(PARTY, &"no region or credentials").into());
        };
        let client = AppSync::new(self.url.clone(), region.to_string(), credentials);
        client.map_err(|error| ProviderError::unavailable(PARTY, &error).into())
    }
}

fn unreadable(event: &DomainEvent) -> Error {
    Error::UnreadableEvent {
        kind: event.kind.clone(),
    }
}

/// The update as GraphQL has it: numbers and what has names of its own as text.
fn input(data: &Map<String, Value>) -> Value {
    let part = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Number(number) => Value::String(number.to_string()),
            Value::Object(_) => Value::String(value.to_string()),
            other => other.clone(),
        };
        (name.clone(), value)
    };
    Value::Object(data.iter().map(part).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_maps_are_text() {
        let data = json!({ "id": 7, "read": false, "data": { "a": "b" }, "code": null, "title": "T" });
        let expected =
            json!({ "id": "7", "read": false, "data": "{\"a\":\"b\"}", "code": null, "title": "T" });
        assert_eq!(input(data.as_object().unwrap()), expected);
    }
}
