//! SQS queues, standard and FIFO.
//!
//! Each message is decoded and handled by itself; those that failed are reported, and SQS gives them again until
//! they land in the dead-letter queue. On a FIFO queue, what follows a failed message of the same group is
//! reported too, so that the group keeps its order.

use std::collections::BTreeSet;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use domain::lane::Laned;
use lambda_runtime::LambdaEvent;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::FromEnvironment;
use crate::deadline::Deadline;
use crate::entry::item::{Invocation, ItemFailed};
use crate::observability::correlation;

/// A function that consumes a queue.
pub trait QueueConsumer: Sized + 'static {
    /// What does the work; read from the environment once, at start.
    type UseCase: FromEnvironment + 'static;
    /// The body of a message, as JSON.
    type Message: DeserializeOwned + Send;
    /// Why a message wasn't handled.
    type Error: Laned;

    /// Handles one message before the deadline. It may come twice, late, and out of order.
    fn handle(
        use_case: &Self::UseCase,
        message: Self::Message,
        deadline: Deadline,
    ) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Runs the function.
pub fn serve<C: QueueConsumer>() -> ExitCode {
    super::serve(answer::<C>)
}

async fn answer<C: QueueConsumer>(
    use_case: Arc<C::UseCase>,
    event: LambdaEvent<SqsEvent>,
) -> Result<Value, lambda_runtime::Error> {
    let invocation = Invocation::of(&event.context);
    let failed = handle_batch::<C>(&use_case, event.payload.records, &invocation).await?;
    Ok(
        json!({ "batchItemFailures": failed.iter().map(|id| json!({"itemIdentifier": id})).collect::<Vec<_>>() }),
    )
}

/// Handles a batch; gives the ids of the messages that have to come again.
///
/// # Errors
/// When a message has no id: an empty id in the answer would make SQS repeat the whole batch as well.
pub(crate) async fn handle_batch<C: QueueConsumer>(
    use_case: &C::UseCase,
    messages: Vec<SqsMessage>,
    invocation: &Invocation,
) -> Result<Vec<String>, lambda_runtime::Error> {
    let mut failed = Vec::new();
    let mut stopped_groups = BTreeSet::new();
    for message in messages {
        let id = message
            .message_id
            .clone()
            .filter(|id| !id.is_empty())
            .ok_or("a message has no id")?;
        let group = fifo_group(&message);
        let waits = group.as_ref().is_some_and(|group| stopped_groups.contains(group));
        if waits
            || handle_message::<C>(use_case, &id, message, invocation)
                .await
                .is_err()
        {
            failed.push(id);
            stopped_groups.extend(group);
        }
    }
    Ok(failed)
}

async fn handle_message<C: QueueConsumer>(
    use_case: &C::UseCase,
    id: &str,
    message: SqsMessage,
    invocation: &Invocation,
) -> Result<(), ItemFailed> {
    let correlation_id = message
        .message_attributes
        .get(correlation::ATTRIBUTE)
        .and_then(|attribute| attribute.string_value.as_deref())
        .map_or_else(correlation::new, correlation::accept);
    let item = invocation.item(id, correlation_id);
    item.run_message(message.body.as_deref(), |body| {
        C::handle(use_case, body, invocation.deadline)
    })
    .await
}

/// The message's group on a FIFO queue; groups on a standard queue (fair queues) order nothing.
fn fifo_group(message: &SqsMessage) -> Option<String> {
    let is_fifo = message
        .event_source_arn
        .as_deref()
        .is_some_and(|arn| arn.ends_with(".fifo"));
    is_fifo.then(|| {
        message
            .attributes
            .get("MessageGroupId")
            .cloned()
            .unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;
    use crate::config::Environment;
    use crate::error::PlatformError;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<String>>);

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Message {
        text: String,
    }

    impl FromEnvironment for Recorder {
        fn read(_: &mut Environment) -> Option<Self> {
            Some(Self::default())
        }
    }

    impl QueueConsumer for Recorder {
        type UseCase = Self;
        type Message = Message;
        type Error = PlatformError;

        async fn handle(recorder: &Self, message: Message, _: Deadline) -> Result<(), PlatformError> {
            match message.text.as_str() {
                "panic" => panic!("on purpose"),
                "hang" => std::future::pending().await,
                "refuse" => Err(PlatformError::InFlight),
                text => {
                    recorder.0.lock().unwrap().push(text.to_owned());
                    Ok(())
                }
            }
        }
    }

    fn message(id: &str, body: &str, fifo_group: Option<&str>) -> SqsMessage {
        let queue = if fifo_group.is_some() { "q.fifo" } else { "q" };
        serde_json::from_value(json!({
            "messageId": id,
            "body": body,
            "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
            "attributes": fifo_group.map(|group| json!({"MessageGroupId": group})).unwrap_or(json!({})),
        }))
        .unwrap()
    }

    async fn run(messages: Vec<SqsMessage>) -> (Vec<String>, Vec<String>) {
        let recorder = Recorder::default();
        let failed = handle_batch::<Recorder>(
            &recorder,
            messages,
            &Invocation::for_tests(Duration::from_millis(200)),
        )
        .await
        .unwrap();
        (failed, recorder.0.into_inner().unwrap())
    }

    #[tokio::test]
    async fn exactly_what_failed_is_reported() {
        let (failed, done) = run(vec![
            message("1", r#"{"text":"a"}"#, None),
            message("2", "not json", None),
            message("3", r#"{"txt":"b"}"#, None),
            message("4", r#"{"text":"panic"}"#, None),
            message("5", r#"{"text":"refuse"}"#, None),
            message("6", "{\"text\":\"c\"} \n", None),
            message("7", r#"{"text":"d"}{"text":"e"}"#, None),
            message("8", r#"{"text":"f"}]"#, None),
        ])
        .await;
        assert_eq!(failed, ["2", "3", "4", "5", "7", "8"]);
        assert_eq!(done, ["a", "c"]);
    }

    #[tokio::test]
    async fn a_slow_message_is_given_back_at_the_deadline() {
        let (failed, done) = run(vec![
            message("1", r#"{"text":"a"}"#, None),
            message("2", r#"{"text":"hang"}"#, None),
        ])
        .await;
        assert_eq!(failed, ["2"]);
        assert_eq!(done, ["a"]);
    }

    #[tokio::test]
    async fn a_fifo_group_stops_at_its_first_failure_and_others_go_on() {
        let (failed, done) = run(vec![
            message("1", r#"{"text":"a1"}"#, Some("a")),
            message("2", "poison", Some("a")),
            message("3", r#"{"text":"b1"}"#, Some("b")),
            message("4", r#"{"text":"a3"}"#, Some("a")),
            message("5", r#"{"text":"b2"}"#, Some("b")),
        ])
        .await;
        assert_eq!(failed, ["2", "4"]);
        assert_eq!(done, ["a1", "b1", "b2"]);
    }

    #[tokio::test]
    async fn a_message_without_id_fails_the_batch_as_a_whole() {
        let recorder = Recorder::default();
        let mut nameless = message("1", "{}", None);
        nameless.message_id = None;
        assert!(
            handle_batch::<Recorder>(
                &recorder,
                vec![nameless],
                &Invocation::for_tests(Duration::from_secs(1))
            )
            .await
            .is_err()
        );
    }
}
