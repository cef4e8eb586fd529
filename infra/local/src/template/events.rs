//! The `Events` of a function: queues, streams, schedules and topics.

use std::time::Duration;

use anyhow::{anyhow, bail};
use serde_json::Value;

use super::{
    Event, KafkaSource, Node, QueueSource, RecordRules, Schedule, StreamSource, name_of_arn,
    table_of_stream_arn,
};

/// EventBridge Scheduler tries 185 times in a day; a laptop has no use for more than these.
const SCHEDULE_RETRIES: u32 = 2;

pub(super) fn read(name: &str, event: &Node) -> anyhow::Result<Event> {
    let properties = event.get("Properties");
    Ok(match event.get("Type").text()?.as_str() {
        "SQS" => Event::Queue(queue(&properties)?),
        "DynamoDB" => Event::Stream(stream(&properties)?),
        "Schedule" => Event::Schedule(schedule(name, &properties, "Schedule")?),
        "ScheduleV2" => Event::Schedule(schedule(name, &properties, "ScheduleExpression")?),
        "SelfManagedKafka" | "MSK" => Event::Kafka(kafka(&properties)?),
        other => bail!("{}: {other} isn't known to the local cloud", event.get("Type")),
    })
}

fn queue(properties: &Node) -> anyhow::Result<QueueSource> {
    Ok(QueueSource {
        queue: name_of_arn(&properties.get("Queue").text()?).to_owned(),
        batch_size: properties.get("BatchSize").number()?.unwrap_or(10),
        batching_window: window(properties)?,
        partial_responses: partial_responses(properties)?,
        enabled: properties.get("Enabled").flag(true)?,
        maximum_concurrency: properties
            .get("ScalingConfig")
            .get("MaximumConcurrency")
            .number()?,
        filters: filters(properties)?,
    })
}

fn stream(properties: &Node) -> anyhow::Result<StreamSource> {
    let arn = properties.get("Stream");
    let text = arn.text()?;
    let table = table_of_stream_arn(&text).ok_or_else(|| anyhow!("{arn}: {text} isn't a table's stream"))?;
    Ok(StreamSource {
        table: table.to_owned(),
        parallelization_factor: properties.get("ParallelizationFactor").number()?.unwrap_or(1),
        records: record_rules(properties)?,
    })
}

fn record_rules(properties: &Node) -> anyhow::Result<RecordRules> {
    let destination = properties
        .get("DestinationConfig")
        .get("OnFailure")
        .get("Destination");
    // Lambda writes -1 for "without end".
    let limit = |name: &str| -> anyhow::Result<Option<u32>> {
        let limit: Option<i64> = properties.get(name).number()?;
        Ok(limit.and_then(|limit| u32::try_from(limit).ok()))
    };
    Ok(RecordRules {
        batch_size: properties.get("BatchSize").number()?.unwrap_or(100),
        batching_window: window(properties)?,
        from_start: properties.get("StartingPosition").text()? == "TRIM_HORIZON",
        bisect: properties.get("BisectBatchOnFunctionError").flag(false)?,
        maximum_retries: limit("MaximumRetryAttempts")?,
        maximum_age: limit("MaximumRecordAgeInSeconds")?.map(|seconds| Duration::from_secs(seconds.into())),
        partial_responses: partial_responses(properties)?,
        failure_queue: destination
            .optional_text()?
            .map(|arn| name_of_arn(&arn).to_owned()),
        enabled: properties.get("Enabled").flag(true)?,
        filters: filters(properties)?,
    })
}

fn schedule(name: &str, properties: &Node, expression: &str) -> anyhow::Result<Schedule> {
    let enabled = match properties.get("State").optional_text()? {
        Some(state) => state == "ENABLED",
        None => properties.get("Enabled").flag(true)?,
    };
    let dead = properties.get("DeadLetterConfig").get("Arn").optional_text()?;
    let expression = properties.get(expression);
    let text = expression.text()?;
    let timezone = properties.get("ScheduleExpressionTimezone").text_or("UTC")?;
    crate::sources::clock::Expression::parse(&text, &timezone)
        .map_err(|problem| anyhow!("{expression}: {problem:#}"))?;
    Ok(Schedule {
        name: properties.get("Name").text_or(name)?,
        expression: text,
        timezone,
        input: properties.get("Input").json()?,
        enabled,
        maximum_retries: properties
            .get("RetryPolicy")
            .get("MaximumRetryAttempts")
            .number()?
            .unwrap_or(SCHEDULE_RETRIES)
            .min(SCHEDULE_RETRIES),
        dead_letter_queue: dead.map(|arn| name_of_arn(&arn).to_owned()),
    })
}

fn kafka(properties: &Node) -> anyhow::Result<KafkaSource> {
    let topics = properties.get("Topics");
    let [topic] = topics
        .texts()?
        .try_into()
        .map_err(|_| anyhow!("{topics}: Lambda takes one topic"))?;
    let mut records = record_rules(properties)?;
    // Lambda waits for half a second where nothing else is said.
    if properties
        .get("MaximumBatchingWindowInSeconds")
        .number::<u64>()?
        .is_none()
    {
        records.batching_window = Duration::from_millis(500);
    }
    Ok(KafkaSource {
        topic,
        consumer_group: properties.get("ConsumerGroupId").optional_text()?,
        records,
    })
}

fn window(properties: &Node) -> anyhow::Result<Duration> {
    Ok(Duration::from_secs(
        properties
            .get("MaximumBatchingWindowInSeconds")
            .number()?
            .unwrap_or(0),
    ))
}

fn partial_responses(properties: &Node) -> anyhow::Result<bool> {
    let mut reports = false;
    let types = properties.get("FunctionResponseTypes");
    for kind in types.texts()? {
        if kind != "ReportBatchItemFailures" {
            bail!("{types}: {kind} isn't one of Lambda's");
        }
        reports = true;
    }
    Ok(reports)
}

fn filters(properties: &Node) -> anyhow::Result<Vec<Value>> {
    let filters = properties.get("FilterCriteria").get("Filters").list();
    let mut patterns = Vec::new();
    for filter in filters {
        patterns.extend(filter.get("Pattern").json()?);
    }
    Ok(patterns)
}
