//! The redrive of dead-letter queues as SQS offers it: `StartMessageMoveTask`, `ListMessageMoveTasks` and
//! `CancelMessageMoveTask`. A task moves as many messages as waited when it was started.

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use aws_sdk_sqs::{Client, types::QueueAttributeName};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::Utc;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    protocol::{Operation, SqsError},
    transfer,
};
use crate::util::{lock, set};

/// How long a message that a task holds is hidden from others, in seconds.
const HELD_S: i32 = 30;
const MAX_RATE: u64 = 500;
const MAX_LISTED: u64 = 10;
/// Older tasks are forgotten.
const MAX_REMEMBERED: usize = 100;

pub(super) struct MoveTasks {
    client: Client,
    tasks: Mutex<Vec<Arc<Task>>>,
    /// Itself, for the tasks that run by themselves.
    own: Weak<Self>,
}

struct Task {
    handle: String,
    source_arn: String,
    destination_arn: Option<String>,
    /// Messages per second.
    rate: Option<u64>,
    started_ms: i64,
    to_move: u64,
    moved: AtomicU64,
    is_cancelled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Clone, PartialEq, Eq)]
enum State {
    Running,
    Completed,
    Cancelled,
    Failed(String),
}

impl MoveTasks {
    pub(super) fn new(client: Client) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            client,
            tasks: Mutex::default(),
            own: own.clone(),
        })
    }

    pub(super) async fn answer(&self, operation: Operation, input: &Value) -> Result<Value, SqsError> {
        match operation {
            Operation::Start => self.start(input).await,
            Operation::List => self.list(input).await,
            Operation::Cancel => self.cancel(input),
            Operation::ListSources => self.list_sources(input).await,
        }
    }

    async fn start(&self, input: &Value) -> Result<Value, SqsError> {
        let source_arn = required(input, "SourceArn")?;
        let destination_arn = input.get("DestinationArn").and_then(Value::as_str);
        let rate = rate(input)?;
        let source = self.url(source_arn, "SourceArn").await?;
        if let Some(arn) = destination_arn {
            self.url(arn, "DestinationArn").await?;
        }
        if self.queues_before(&source).await?.is_empty() {
            return Err(SqsError::new(
                "InvalidParameterValue",
                "Source queue must be configured as a Dead Letter Queue.",
            ));
        }
        let to_move = transfer::count(&self.client, &source).await?;
        let id = Uuid::new_v4();
        let task = Arc::new(Task {
            handle: STANDARD.encode(json!({ "taskId": id, "sourceArn": source_arn }).to_string()),
            source_arn: source_arn.to_owned(),
            destination_arn: destination_arn.map(str::to_owned),
            rate,
            started_ms: Utc::now().timestamp_millis(),
            to_move,
            moved: AtomicU64::new(0),
            is_cancelled: AtomicBool::new(false),
            state: Mutex::new(State::Running),
        });
        self.remember(&task)?;
        if let Some(own) = self.own.upgrade() {
            let task = Arc::clone(&task);
            tokio::spawn(async move { own.run(&task, &source).await });
        }
        Ok(json!({ "TaskHandle": task.handle }))
    }

    /// Puts a task on the list, unless another one of its source runs.
    fn remember(&self, task: &Arc<Task>) -> Result<(), SqsError> {
        let mut tasks = lock(&self.tasks);
        let runs = |other: &Arc<Task>| other.source_arn == task.source_arn && other.state() == State::Running;
        if tasks.iter().any(runs) {
            return Err(SqsError::new(
                "InvalidParameterValue",
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
            ));
        }
        if tasks.len() >= MAX_REMEMBERED {
            tasks.remove(0);
        }
        tasks.push(Arc::clone(task));
        Ok(())
    }

    async fn list(&self, input: &Value) -> Result<Value, SqsError> {
        let source_arn = required(input, "SourceArn")?;
        self.url(source_arn, "SourceArn").await?;
        let wanted = input.get("MaxResults").and_then(Value::as_u64).unwrap_or(1);
        if !(1..=MAX_LISTED).contains(&wanted) {
            return Err(SqsError::new(
                "InvalidParameterValue",
                format!(
                    "Value {wanted} for parameter MaxResults is invalid. Reason: Must be between 1 and {MAX_LISTED}."
                ),
            ));
        }
        let tasks = lock(&self.tasks);
        let of_source = tasks.iter().rev().filter(|task| task.source_arn == source_arn);
        let shown: Vec<Value> = of_source
            .take(usize::try_from(wanted).unwrap_or(1))
            .map(|task| task.show())
            .collect();
        Ok(json!({ "Results": shown }))
    }

    fn cancel(&self, input: &Value) -> Result<Value, SqsError> {
        let handle = required(input, "TaskHandle")?;
        let tasks = lock(&self.tasks);
        let Some(task) = tasks.iter().find(|task| task.handle == handle) else {
            return Err(SqsError::new("ResourceNotFoundException", "Task does not exist."));
        };
        if task.state() != State::Running {
            return Err(SqsError::new(
                "AWS.SimpleQueueService.UnsupportedOperation",
                "Only active tasks can be cancelled.",
            ));
        }
        task.is_cancelled.store(true, Ordering::SeqCst);
        Ok(json!({ "ApproximateNumberOfMessagesMoved": task.moved.load(Ordering::SeqCst) }))
    }

    async fn run(&self, task: &Task, source: &str) {
        let state = match self.move_all(task, source).await {
            Ok(()) if task.is_cancelled.load(Ordering::SeqCst) => State::Cancelled,
            Ok(()) => State::Completed,
            Err(error) => State::Failed(format!("{error:#}")),
        };
        *lock(&task.state) = state;
    }

    async fn move_all(&self, task: &Task, source: &str) -> anyhow::Result<()> {
        while task.moved.load(Ordering::SeqCst) < task.to_move {
            let messages = transfer::receive(&self.client, source, HELD_S).await?;
            if messages.is_empty() {
                return Ok(());
            }
            for message in messages {
                let is_over = task.is_cancelled.load(Ordering::SeqCst)
                    || task.moved.load(Ordering::SeqCst) >= task.to_move;
                if is_over {
                    transfer::show_again(&self.client, source, message.receipt_handle).await?;
                    continue;
                }
                let destination = self.destination(task, source, &message).await?;
                transfer::move_message(&self.client, source, &destination, message).await?;
                task.moved.fetch_add(1, Ordering::SeqCst);
                if let Some(rate) = task.rate {
                    tokio::time::sleep(Duration::from_secs(1) / u32::try_from(rate).unwrap_or(1)).await;
                }
            }
            if task.is_cancelled.load(Ordering::SeqCst) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The queue that a message is moved to: the one that was asked for, or the one that it came from.
    async fn destination(
        &self,
        task: &Task,
        source: &str,
        message: &aws_sdk_sqs::types::Message,
    ) -> anyhow::Result<String> {
        let name = match &task.destination_arn {
            Some(arn) => arn.rsplit(':').next(),
            None => transfer::given_up_in(message),
        };
        if let Some(name) = name {
            return self.url_of(name).await;
        }
        let before = self.queues_before(source).await?;
        match before.as_slice() {
            [only] => Ok(only.clone()),
            _ => bail!("CouldNotDetermineMessageSource"),
        }
    }

    /// The queues whose dead-letter queue this is.
    async fn queues_before(&self, url: &str) -> anyhow::Result<Vec<String>> {
        let arn = self.attribute(url, QueueAttributeName::QueueArn).await?;
        let all = self.client.list_queues().send().await?;
        let mut before = Vec::new();
        for other in all.queue_urls.unwrap_or_default() {
            let policy = self.attribute(&other, QueueAttributeName::RedrivePolicy).await?;
            let policy: Option<Value> = policy.and_then(|policy| serde_json::from_str(&policy).ok());
            let target = policy
                .as_ref()
                .and_then(|policy| policy.get("deadLetterTargetArn")?.as_str());
            if target.is_some() && target == arn.as_deref() {
                before.push(other);
            }
        }
        Ok(before)
    }

    async fn attribute(&self, url: &str, name: QueueAttributeName) -> anyhow::Result<Option<String>> {
        let attributes = self
            .client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(name.clone());
        let attributes = attributes.send().await?.attributes.unwrap_or_default();
        Ok(attributes.get(&name).cloned())
    }

    /// `ListDeadLetterSourceQueues`: rustack answers it with a field's name that no SDK reads.
    async fn list_sources(&self, input: &Value) -> Result<Value, SqsError> {
        let url = required(input, "QueueUrl")?;
        Ok(json!({ "queueUrls": self.queues_before(url).await? }))
    }

    async fn url(&self, arn: &str, parameter: &str) -> Result<String, SqsError> {
        let missing = || {
            SqsError::new(
                "ResourceNotFoundException",
                format!("The resource that you specified for the {parameter} parameter doesn't exist."),
            )
        };
        let name = arn
            .strip_prefix("arn:aws:sqs:")
            .and_then(|rest| rest.rsplit(':').next());
        self.url_of(name.ok_or_else(missing)?)
            .await
            .map_err(|_| missing())
    }

    async fn url_of(&self, name: &str) -> anyhow::Result<String> {
        let found = self.client.get_queue_url().queue_name(name).send().await?;
        found.queue_url.context("the queue has no URL")
    }
}

impl Task {
    fn state(&self) -> State {
        lock(&self.state).clone()
    }

    fn show(&self) -> Value {
        let (status, failure, handle) = match self.state() {
            State::Running if self.is_cancelled.load(Ordering::SeqCst) => ("CANCELLING", None, None),
            State::Running => ("RUNNING", None, Some(&self.handle)),
            State::Completed => ("COMPLETED", None, None),
            State::Cancelled => ("CANCELLED", None, None),
            State::Failed(reason) => ("FAILED", Some(reason), None),
        };
        let mut shown = json!({
            "Status": status,
            "SourceArn": self.source_arn,
            "ApproximateNumberOfMessagesMoved": self.moved.load(Ordering::SeqCst),
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": self.started_ms,
        });
        // What isn't known isn't there.
        let known = [
            ("TaskHandle", handle.map(|handle| json!(handle))),
            (
                "DestinationArn",
                self.destination_arn.as_ref().map(|arn| json!(arn)),
            ),
            ("MaxNumberOfMessagesPerSecond", self.rate.map(|rate| json!(rate))),
            ("FailureReason", failure.map(|reason| json!(reason))),
        ];
        for (name, value) in known {
            if let Some(value) = value {
                set(&mut shown, name, value);
            }
        }
        shown
    }
}

fn required<'a>(input: &'a Value, name: &str) -> Result<&'a str, SqsError> {
    let value = input.get(name).and_then(Value::as_str);
    value.ok_or_else(|| {
        SqsError::new(
            "MissingParameter",
            format!("The request must contain the parameter {name}."),
        )
    })
}

fn rate(input: &Value) -> Result<Option<u64>, SqsError> {
    let Some(rate) = input.get("MaxNumberOfMessagesPerSecond") else {
        return Ok(None);
    };
    match rate.as_u64() {
        Some(rate) if (1..=MAX_RATE).contains(&rate) => Ok(Some(rate)),
        _ => Err(SqsError::new(
            "InvalidParameterValue",
            format!(
                "Value {rate} for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 and {MAX_RATE}."
            ),
        )),
    }
}
