//! Live updates: what a mutation of ours answers is told to whoever subscribed to it, as the filter of the subscription says.

use std::sync::Mutex;

use async_graphql::{Error, Value};
use futures::{Stream, stream};
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::sync::{
    broadcast::{self, Receiver, error::RecvError},
    oneshot,
};

use crate::util::lock;

/// How many updates wait for a slow subscriber; it misses older ones.
const CAPACITY: usize = 1024;

/// Where updates are told.
#[derive(Clone, Debug)]
pub(super) struct Updates(broadcast::Sender<Update>);

/// An update.
#[derive(Clone, Debug)]
pub(super) struct Update {
    /// The mutation that answered it.
    mutation: String,
    value: Json,
}

impl Updates {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }

    /// Tells whoever looks on.
    pub(super) fn publish(&self, mutation: &str, value: Json) {
        let update = Update {
            mutation: mutation.to_owned(),
            value,
        };
        // Nobody looks on: nothing is lost.
        let _ = self.0.send(update);
    }

    /// What is told from now on.
    pub(super) fn listen(&self) -> Receiver<Update> {
        self.0.subscribe()
    }
}

/// The updates of some mutations that pass a filter.
pub(super) fn updates(
    receiver: Receiver<Update>,
    mutations: Vec<String>,
    filter: Filter,
) -> impl Stream<Item = Result<Value, Error>> + Send {
    stream::unfold(
        (receiver, mutations, filter),
        |(mut receiver, mutations, filter)| async move {
            loop {
                match receiver.recv().await {
                    Ok(update) if mutations.contains(&update.mutation) && filter.passes(&update.value) => {
                        let value = Value::from_json(update.value).map_err(Error::from);
                        return Some((value, (receiver, mutations, filter)));
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        },
    )
}

/// A subscription's filter, as AppSync has it: one of the groups passes, all of whose conditions hold.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter {
    filter_group: Vec<Group>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Group {
    filters: Vec<Condition>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Condition {
    field_name: String,
    operator: Operator,
    value: Json,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
enum Operator {
    Eq,
}

impl Filter {
    fn passes(&self, value: &Json) -> bool {
        let holds = |condition: &Condition| match condition.operator {
            Operator::Eq => value.get(&condition.field_name) == Some(&condition.value),
        };
        self.filter_group
            .iter()
            .any(|group| group.filters.iter().all(holds))
    }
}

/// Says once that a subscription holds.
pub(super) struct Started(Mutex<Option<oneshot::Sender<()>>>);

impl Started {
    pub(super) fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Mutex::new(Some(sender))), receiver)
    }

    pub(super) fn say(&self) {
        if let Some(sender) = lock(&self.0).take() {
            // Who asked has gone meanwhile.
            let _ = sender.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use serde_json::json;

    use super::*;

    fn filter(profile: &str) -> Filter {
        let condition = json!({ "fieldName": "profile_id", "operator": "eq", "value": profile });
        serde_json::from_value(json!({ "filterGroup": [{ "filters": [condition] }] })).unwrap()
    }

    #[tokio::test]
    async fn a_subscriber_hears_its_own_and_nothing_else() {
        let updates_of_all = Updates::new();
        let mut heard = Box::pin(updates(
            updates_of_all.listen(),
            vec!["added".to_owned()],
            filter("7"),
        ));
        updates_of_all.publish("added", json!({ "profile_id": "8", "id": "1" }));
        updates_of_all.publish("changed", json!({ "profile_id": "7", "id": "2" }));
        updates_of_all.publish("added", json!({ "id": "3" }));
        updates_of_all.publish("added", json!({ "profile_id": "7", "id": "4" }));
        let first = heard.next().await.unwrap().unwrap().into_json().unwrap();
        assert_eq!(first["id"], "4");
    }

    #[test]
    fn a_filter_that_is_not_known_is_an_error() {
        let condition = json!({ "fieldName": "a", "operator": "beginsWith", "value": "b" });
        let filter = json!({ "filterGroup": [{ "filters": [condition] }] });
        assert!(serde_json::from_value::<Filter>(filter).is_err());
        assert!(serde_json::from_value::<Filter>(json!(null)).is_err());
    }
}
