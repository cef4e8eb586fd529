//! Sending to SQS's queues, in batches.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::send_message_batch::{SendMessageBatchError, SendMessageBatchOutput};
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use futures::future::join_all;
use platform::config::{Environment, FromEnvironment};
use platform::error::chain;
use platform::observability::correlation;
use tokio::time::{Instant, timeout_at};

use crate::relay::message::{Message, Outcome};

/// SQS takes this many messages at once,
const MAX_OF_BATCH: usize = 10;
/// and this many bytes of bodies and attributes. One message may be larger where a queue allows it.
const MAX_BYTES_OF_BATCH: usize = 256 * 1024;
/// What attributes add to a body at most.
const MAX_BYTES_OF_ATTRIBUTES: usize = 256;
/// Batches on their way at the same time. A key belongs to one lane, and a lane sends one batch after the other.
const LANES: u64 = 16;

/// Sends to queues, whose URLs it knows by the middle part of their variables: `DOMAIN_EVENTS`.
#[derive(Debug)]
pub(super) struct Queues(BTreeMap<String, String>);

/// Messages with their places among all that are sent.
type Placed<'a> = Vec<(usize, &'a Message)>;

impl FromEnvironment for Queues {
    /// Reads the queues' URLs, `QUEUE_*_URL`.
    fn read(environment: &mut Environment) -> Option<Self> {
        let urls = environment.between("QUEUE_", "_URL");
        if urls.is_empty() {
            environment.problem("no QUEUE_…_URL is set".to_owned());
        }
        Some(Self(urls))
    }
}

impl Queues {
    /// Sends messages to a queue; gives what became of each, in their order.
    pub(super) async fn publish(&self, queue: &str, messages: &[Message], until: Instant) -> Vec<Outcome> {
        let name = queue.to_uppercase().replace('-', "_");
        let Some(url) = self.0.get(&name) else {
            return vec![Outcome::Unreachable(format!("QUEUE_{name}_URL is not set")); messages.len()];
        };
        let mut lanes: BTreeMap<u64, Placed<'_>> = BTreeMap::new();
        for (place, message) in messages.iter().enumerate() {
            lanes.entry(lane_of(message)).or_default().push((place, message));
        }
        let sending = lanes.into_values().map(|lane| send_lane(url, lane, until));
        let mut outcomes = vec![Outcome::NotTried; messages.len()];
        for (place, outcome) in join_all(sending).await.into_iter().flatten() {
            if let Some(slot) = outcomes.get_mut(place) {
                *slot = outcome;
            }
        }
        outcomes
    }
}

fn lane_of(message: &Message) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.ordering_key.hash(&mut hasher);
    hasher.finish() % LANES
}

/// Sends batch after batch; of a key that failed, nothing more.
async fn send_lane(url: &str, lane: Placed<'_>, until: Instant) -> Vec<(usize, Outcome)> {
    let mut outcomes = Vec::with_capacity(lane.len());
    let mut failed_keys: BTreeSet<&str> = BTreeSet::new();
    for batch in batches(lane) {
        let (behind, batch): (Placed<'_>, Placed<'_>) = batch
            .into_iter()
            .partition(|(_, message)| failed_keys.contains(message.ordering_key.as_str()));
        outcomes.extend(behind.into_iter().map(|(place, _)| (place, Outcome::NotTried)));
        for ((place, message), outcome) in send_batch(url, batch, until).await {
            if outcome != Outcome::Published {
                failed_keys.insert(message.ordering_key.as_str());
            }
            outcomes.push((place, outcome));
        }
    }
    outcomes
}

fn batches(lane: Placed<'_>) -> Vec<Placed<'_>> {
    let mut batches: Vec<Placed<'_>> = Vec::new();
    let mut bytes = 0;
    for placed in lane {
        let size = placed.1.payload.as_ref().map_or(0, String::len) + MAX_BYTES_OF_ATTRIBUTES;
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_OF_BATCH && bytes + size <= MAX_BYTES_OF_BATCH => {
                batch.push(placed);
                bytes += size;
            }
            _ => {
                batches.push(vec![placed]);
                bytes = size;
            }
        }
    }
    batches
}

async fn send_batch<'a>(
    url: &str,
    batch: Placed<'a>,
    until: Instant,
) -> Vec<((usize, &'a Message), Outcome)> {
    let is_fifo = url.ends_with(".fifo");
    let mut entries = Vec::with_capacity(batch.len());
    let mut outcomes = vec![Outcome::Published; batch.len()];
    for (id, ((_, message), outcome)) in batch.iter().zip(&mut outcomes).enumerate() {
        match entry(id, message, is_fifo) {
            Ok(entry) => entries.push(entry),
            Err(failure) => *outcome = failure,
        }
    }
    let failures = send(url, entries, until).await;
    for (id, outcome) in outcomes.iter_mut().enumerate() {
        if let Some(failure) = failures.of(id)
            && *outcome == Outcome::Published
        {
            *outcome = failure;
        }
    }
    batch.into_iter().zip(outcomes).collect()
}

/// What SQS didn't take of a batch.
enum Failures {
    Of(BTreeMap<String, Outcome>),
    OfAll(Outcome),
}

impl Failures {
    fn of(&self, id: usize) -> Option<Outcome> {
        match self {
            Self::Of(failures) => failures.get(&id.to_string()).cloned(),
            Self::OfAll(outcome) => Some(outcome.clone()),
        }
    }
}

async fn send(url: &str, entries: Vec<SendMessageBatchRequestEntry>, until: Instant) -> Failures {
    if entries.is_empty() {
        return Failures::Of(BTreeMap::new());
    }
    let is_single = entries.len() == 1;
    let client = platform::aws::sqs().await;
    let sending = client
        .send_message_batch()
        .queue_url(url)
        .set_entries(Some(entries))
        .send();
    // Boxed, as in `platform::aws`.
    match timeout_at(until, Box::pin(sending)).await {
        Ok(Ok(answer)) => Failures::Of(failures_in(answer)),
        Ok(Err(error)) => Failures::OfAll(whole_failure(&error, is_single)),
        Err(_) => Failures::OfAll(Outcome::Unreachable("timed out".to_owned())),
    }
}

fn failures_in(answer: SendMessageBatchOutput) -> BTreeMap<String, Outcome> {
    let failures = answer.failed.into_iter().map(|failure| {
        let reason = format!("{}: {}", failure.code, failure.message.unwrap_or_default());
        let outcome = match failure.sender_fault {
            true => Outcome::Refused(reason),
            false => Outcome::Unreachable(reason),
        };
        (failure.id, outcome)
    });
    failures.collect()
}

/// A message that is larger than a batch may be goes alone, and may be refused for what it is.
fn whole_failure(error: &SdkError<SendMessageBatchError>, is_single: bool) -> Outcome {
    const REFUSALS: [&str; 3] = [
        "BatchRequestTooLong",
        "InvalidParameterValue",
        "InvalidMessageContents",
    ];
    let reason = chain(error);
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    let is_refusal = code.is_some_and(|code| REFUSALS.iter().any(|refusal| code.ends_with(refusal)));
    match is_single && is_refusal {
        true => Outcome::Refused(reason),
        false => Outcome::Unreachable(reason),
    }
}

fn entry(id: usize, message: &Message, is_fifo: bool) -> Result<SendMessageBatchRequestEntry, Outcome> {
    let Some(payload) = &message.payload else {
        return Err(message.without_event());
    };
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(id.to_string())
        .message_body(payload);
    if let Some(correlation_id) = &message.correlation_id {
        let attribute = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(correlation_id)
            .build();
        let attribute = attribute.map_err(|error| Outcome::Refused(error.to_string()))?;
        entry = entry.message_attributes(correlation::ATTRIBUTE, attribute);
    }
    if is_fifo {
        entry = entry
            .message_group_id(&message.ordering_key)
            .message_deduplication_id(message.event_id.to_string());
    }
    entry.build().map_err(|error| Outcome::Refused(error.to_string()))
}
