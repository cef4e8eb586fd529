//! DynamoDB streams.
//!
//! A stream keeps its order, so the batch ends at the first record that fails; Lambda goes on from there. A consumer that
//! takes a batch's changes together does all of them or none: a batch that fails comes again as a whole.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use domain::ids::CorrelationId;
use domain::lane::Laned;
use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};

use crate::config::FromEnvironment;
use crate::deadline::Deadline;
use crate::entry::item::Invocation;
use crate::observability::correlation;

/// A change of an item in a table.
#[derive(Debug, Clone)]
pub struct Change {
    /// What happened to the item.
    pub kind: ChangeKind,
    /// The item after the change; empty for a removed one.
    pub new: serde_dynamo::Item,
    /// The item before the change; empty for a new one.
    pub old: serde_dynamo::Item,
}

/// What happened to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Inserted,
    /// It has changed.
    Modified,
    /// It is gone.
    Removed,
}

/// A function that consumes a table's stream.
pub trait StreamConsumer: Sized + 'static {
    /// What does the work; read from the environment once, at start.
    type UseCase: FromEnvironment + 'static;
    /// Why a change wasn't handled.
    type Error: Laned;

    /// Handles one change before the deadline. It may come twice.
    fn handle(
        use_case: &Self::UseCase,
        change: Change,
        deadline: Deadline,
    ) -> impl Future<Output = Result<(), Self::Error>>;
}

/// A function that consumes the changes of a batch together, for instance in one statement.
pub trait StreamBatchConsumer: Sized + 'static {
    /// What does the work; read from the environment once, at start.
    type UseCase: FromEnvironment + 'static;
    /// Why the changes weren't handled.
    type Error: Laned;

    /// Handles changes, in their order, before the deadline: all or none. They may come twice, and with others.
    fn handle(
        use_case: &Self::UseCase,
        changes: &[Change],
        deadline: Deadline,
    ) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Runs the function.
pub fn serve<C: StreamConsumer>() -> ExitCode {
    super::serve(answer::<C>)
}

/// Runs a function that consumes batches.
pub fn serve_batches<C: StreamBatchConsumer>() -> ExitCode {
    super::serve(answer_batch::<C>)
}

async fn answer<C: StreamConsumer>(
    use_case: Arc<C::UseCase>,
    event: LambdaEvent<Event>,
) -> Result<Value, lambda_runtime::Error> {
    let invocation = Invocation::of(&event.context);
    for record in event.payload.records {
        let number = number(&record)?;
        let change = change(record);
        let item = invocation.item(&number, correlation_of(&change));
        if item
            .run(C::handle(&use_case, change, invocation.deadline))
            .await
            .is_err()
        {
            return Ok(json!({ "batchItemFailures": [{"itemIdentifier": number}] }));
        }
    }
    Ok(json!({ "batchItemFailures": [] }))
}

async fn answer_batch<C: StreamBatchConsumer>(
    use_case: Arc<C::UseCase>,
    event: LambdaEvent<Event>,
) -> Result<Value, lambda_runtime::Error> {
    let invocation = Invocation::of(&event.context);
    let Some(first) = event.payload.records.first() else {
        return Ok(json!({ "batchItemFailures": [] }));
    };
    let number = number(first)?;
    let changes: Vec<Change> = event.payload.records.into_iter().map(change).collect();
    let correlation_id = changes.first().map_or_else(correlation::new, correlation_of);
    let item = invocation.item(
        &format!("{number} and {} more", changes.len() - 1),
        correlation_id,
    );
    let failures = match item
        .run(C::handle(&use_case, &changes, invocation.deadline))
        .await
    {
        Ok(()) => json!([]),
        Err(_) => json!([{"itemIdentifier": number}]),
    };
    Ok(json!({ "batchItemFailures": failures }))
}

fn number(record: &EventRecord) -> Result<String, lambda_runtime::Error> {
    let number = record.change.sequence_number.clone();
    let number = number.filter(|number| !number.is_empty());
    Ok(number.ok_or("a stream record has no sequence number")?)
}

/// The work that wrote the item, where the item keeps it in `correlation_id`.
fn correlation_of(change: &Change) -> CorrelationId {
    match change.new.get("correlation_id") {
        Some(serde_dynamo::AttributeValue::S(id)) => correlation::accept(id),
        _ => correlation::new(),
    }
}

fn change(record: EventRecord) -> Change {
    let kind = match record.event_name.as_str() {
        "INSERT" => ChangeKind::Inserted,
        "REMOVE" => ChangeKind::Removed,
        _ => ChangeKind::Modified,
    };
    Change {
        kind,
        new: record.change.new_image,
        old: record.change.old_image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::error::PlatformError;

    struct FailsOn(&'static str);

    impl FromEnvironment for FailsOn {
        fn read(_: &mut Environment) -> Option<Self> {
            None
        }
    }

    impl StreamConsumer for FailsOn {
        type UseCase = Self;
        type Error = PlatformError;

        async fn handle(fails_on: &Self, change: Change, _: Deadline) -> Result<(), PlatformError> {
            let key = change.new.get("sk").and_then(|value| match value {
                serde_dynamo::AttributeValue::S(text) => Some(text.clone()),
                _ => None,
            });
            if key.as_deref() == Some(fails_on.0) {
                Err(PlatformError::InFlight)
            } else {
                Ok(())
            }
        }
    }

    fn event(keys: &[&str]) -> LambdaEvent<Event> {
        let records: Vec<Value> = keys
            .iter()
            .map(|key| {
                json!({
                    "awsRegion": "us-east-1", "eventID": key, "eventName": "INSERT",
                    "dynamodb": {"NewImage": {"sk": {"S": key}}, "SequenceNumber": key, "SizeBytes": 1},
                })
            })
            .collect();
        let mut context = lambda_runtime::Context::default();
        context.deadline = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap() + 5000;
        LambdaEvent::new(
            serde_json::from_value(json!({ "Records": records })).unwrap(),
            context,
        )
    }

    #[tokio::test]
    async fn the_batch_ends_at_the_first_failure() {
        let outcome = answer::<FailsOn>(Arc::new(FailsOn("2")), event(&["1", "2", "3"]))
            .await
            .unwrap();
        assert_eq!(outcome, json!({"batchItemFailures": [{"itemIdentifier": "2"}]}));
    }

    impl StreamBatchConsumer for FailsOn {
        type UseCase = Self;
        type Error = PlatformError;

        async fn handle(
            fails_on: &Self,
            changes: &[Change],
            deadline: Deadline,
        ) -> Result<(), PlatformError> {
            for change in changes {
                <Self as StreamConsumer>::handle(fails_on, change.clone(), deadline).await?;
            }
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_batch_that_is_taken_together_comes_again_as_a_whole() {
        let outcome = answer_batch::<FailsOn>(Arc::new(FailsOn("2")), event(&["1", "2", "3"]));
        let failed = json!({"batchItemFailures": [{"itemIdentifier": "1"}]});
        assert_eq!(outcome.await.unwrap(), failed);
        for keys in [&["1", "3"][..], &[]] {
            let outcome = answer_batch::<FailsOn>(Arc::new(FailsOn("2")), event(keys));
            assert_eq!(outcome.await.unwrap(), json!({"batchItemFailures": []}));
        }
    }

    #[test]
    fn a_change_belongs_to_the_work_that_its_item_names() {
        let record = event(&["1"]).payload.records.remove(0);
        let mut change = change(record);
        assert_ne!(correlation_of(&change), correlation_of(&change), "a new one each");
        let id = serde_dynamo::AttributeValue::S("deposit-1".to_owned());
        change.new.insert("correlation_id".to_owned(), id);
        assert_eq!(correlation_of(&change).as_ref(), "deposit-1");
    }

    #[tokio::test]
    async fn a_whole_batch_passes() {
        let outcome = answer::<FailsOn>(Arc::new(FailsOn("9")), event(&["1", "2"]))
            .await
            .unwrap();
        assert_eq!(outcome, json!({"batchItemFailures": []}));
    }
}
