//! Queues, their dead letters, and the functions that queues and streams feed.

use serde_json::json;

use crate::model::*;

/// Messages that take over a batch's time, retries and throttles included, must not come back meanwhile (AWS's advice).
const VISIBILITY_FACTOR: u64 = 6;
/// So many seconds may a provider or the database be out of reach without a message being given up for it.
const OUTAGE: u64 = 15 * 60;
/// So many seconds does a table's stream keep its records.
const STREAM_RETENTION: u64 = 24 * 60 * 60;

#[test]
fn every_queue_has_a_dead_letter_queue() {
    let template = Template::load();
    let (queues, given_up) = (template.queues(), template.final_queues());
    let mut wrong = Vec::new();
    for (name, queue) in queues.iter().filter(|(name, _)| !given_up.contains(*name)) {
        let redrive = &queue["RedrivePolicy"];
        let Some(dead_name) = queue_of(&redrive["deadLetterTargetArn"]) else {
            wrong.push(format!(
                "{name}: give it RedrivePolicy.deadLetterTargetArn with a queue {name}-dead"
            ));
            continue;
        };
        let receives = redrive["maxReceiveCount"].as_u64().unwrap_or_default();
        let hidden = queue["VisibilityTimeout"].as_u64().unwrap_or(30);
        if !(3..=10).contains(&receives) || hidden * (receives - 1) <= OUTAGE {
            wrong.push(format!(
                "{name}: set RedrivePolicy.maxReceiveCount between 3 and 10, and so that the last receive is more than \
                 {OUTAGE} s after the first"
            ));
        }
        let Some(dead) = queues.get(&dead_name).filter(|_| &dead_name != name) else {
            wrong.push(format!(
                "{name}: its dead-letter queue must be another queue of the template, not {dead_name}"
            ));
            continue;
        };
        if dead["MessageRetentionPeriod"].as_u64() < queue["MessageRetentionPeriod"].as_u64() {
            wrong.push(format!(
                "{dead_name}: keep messages at least as long as {name}; the age of a message goes along"
            ));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn a_dead_letter_queue_accepts_only_its_own_source() {
    let template = Template::load();
    let queues = template.queues();
    let mut wrong = Vec::new();
    for (name, queue) in &queues {
        let Some(dead) = queue_of(&queue["RedrivePolicy"]["deadLetterTargetArn"]) else {
            continue;
        };
        let allow = &queues[&dead]["RedriveAllowPolicy"];
        let named: Vec<String> = list(&allow["sourceQueueArns"]).iter().map(text).collect();
        let expected = format!(":{}", text(&queue["QueueName"]));
        if allow["redrivePermission"] != "byQueue" || named.len() != 1 || !named[0].ends_with(&expected) {
            wrong.push(format!(
                "{dead}: its RedriveAllowPolicy must be byQueue and name the ARN of {name} only"
            ));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn the_dead_letter_queue_of_a_fifo_queue_is_fifo() {
    let template = Template::load();
    let queues = template.queues();
    let mut wrong = Vec::new();
    for (name, queue) in &queues {
        let fifo = queue["FifoQueue"] == json!(true);
        if fifo != text(&queue["QueueName"]).ends_with(".fifo") {
            wrong.push(format!(
                "{name}: FifoQueue: true and a QueueName with .fifo at its end go together"
            ));
        }
        let dead = queue_of(&queue["RedrivePolicy"]["deadLetterTargetArn"]);
        if dead.is_some_and(|dead| (queues[&dead]["FifoQueue"] == json!(true)) != fifo) {
            wrong.push(format!(
                "{name}: make it and its dead-letter queue both FIFO, or neither"
            ));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn a_message_stays_hidden_for_six_times_its_consumers_timeout() {
    let template = Template::load();
    let queues = template.queues();
    let mut wrong = Vec::new();
    for function in template.functions() {
        for event in function.events_of("SQS") {
            let name = queue_of(&event.properties["Queue"]).expect("Queue is an ARN");
            let hidden = queues[&name]["VisibilityTimeout"].as_u64().unwrap_or(30);
            let least = VISIBILITY_FACTOR * function.timeout();
            if hidden < least {
                wrong.push(format!(
                    "{name}: VisibilityTimeout {hidden} is under {least}, which {} needs",
                    function.name
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}

/// A throttled receive counts as one, and the message is hidden for the whole visibility timeout.
#[test]
fn a_function_has_a_place_for_whatever_calls_it() {
    let mut wrong = Vec::new();
    for function in Template::load().functions() {
        let queues = function.events_of("SQS");
        let Some(reserved) = function.properties["ReservedConcurrentExecutions"].as_u64() else {
            continue;
        };
        let from_queues = queues
            .iter()
            .map(|event| event.properties["ScalingConfig"]["MaximumConcurrency"].as_u64());
        let from_queues: Option<u64> = from_queues.sum();
        let from_schedules = u64::try_from(function.events_of("ScheduleV2").len()).expect("few");
        if !queues.is_empty() && from_queues.is_none_or(|queues| queues + from_schedules > reserved) {
            wrong.push(format!(
                "{}: reserve a place for each of its queues' MaximumConcurrency and of its schedules",
                function.name
            ));
        }
    }
    nothing_wrong(&wrong);
}

/// Those that wait behind a failed message of their group are reported with it, and so received as often as it.
#[test]
fn a_message_does_not_die_of_the_one_before_it() {
    let template = Template::load();
    let queues = template.queues();
    let mut wrong = Vec::new();
    for function in template.functions() {
        for event in function.events_of("SQS") {
            let queue = queue_of(&event.properties["Queue"]).expect("Queue is an ARN");
            let is_fifo = queues[&queue]["FifoQueue"] == json!(true);
            if is_fifo && event.properties["BatchSize"] != json!(1) {
                wrong.push(format!(
                    "{}.{}: set BatchSize: 1, {queue} is FIFO",
                    function.name, event.name
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn every_queue_is_encrypted_and_carries_its_stage() {
    let mut wrong = Vec::new();
    for (name, queue) in Template::load().queues() {
        if queue["SqsManagedSseEnabled"] != json!(true) {
            wrong.push(format!("{name}: set SqsManagedSseEnabled: true"));
        }
        if !text(&queue["QueueName"]).starts_with(&name_prefix()) {
            wrong.push(format!("{name}: let its QueueName begin with moneta-${{Stage}}-"));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn batches_report_their_failed_items() {
    let mut wrong = Vec::new();
    for function in Template::load().functions() {
        for event in sources(&function) {
            if event.properties["FunctionResponseTypes"] != json!(["ReportBatchItemFailures"]) {
                let event = format!("{}.{}", function.name, event.name);
                wrong.push(format!(
                    "{event}: set FunctionResponseTypes: [ReportBatchItemFailures], spelled like this"
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn a_stream_gives_up_into_a_queue_and_does_not_block_for_ever() {
    let mut wrong = Vec::new();
    for function in Template::load().functions() {
        for event in function.events_of("DynamoDB") {
            let settings = &event.properties;
            let name = format!("{}.{}", function.name, event.name);
            if settings["BisectBatchOnFunctionError"] != json!(true) {
                wrong.push(format!("{name}: set BisectBatchOnFunctionError: true"));
            }
            let age = settings["MaximumRecordAgeInSeconds"].as_u64().unwrap_or_default();
            if !(OUTAGE..STREAM_RETENTION).contains(&age) || settings["MaximumRetryAttempts"] != json!(-1) {
                wrong.push(format!(
                    "{name}: set MaximumRecordAgeInSeconds from {OUTAGE} to what the stream keeps, {STREAM_RETENTION}, \
                     and MaximumRetryAttempts: -1; tries are used up long before an outage ends"
                ));
            }
            if queue_of(&settings["DestinationConfig"]["OnFailure"]["Destination"]).is_none() {
                wrong.push(format!("{name}: set DestinationConfig.OnFailure to a queue"));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn a_topic_gives_up_into_a_queue_and_through_the_function_alone() {
    let mut wrong = Vec::new();
    for function in Template::load().functions() {
        for event in function.events_of("SelfManagedKafka") {
            let settings = &event.properties;
            let name = format!("{}.{}", function.name, event.name);
            if settings["BisectBatchOnFunctionError"] != json!(true)
                || settings["MaximumRetryAttempts"] != json!(-1)
            {
                wrong.push(format!(
                    "{name}: set BisectBatchOnFunctionError: true and MaximumRetryAttempts: -1; an outage gives up nothing"
                ));
            }
            let destination = queue_of(&settings["DestinationConfig"]["OnFailure"]["Destination"]);
            let of_function = function.variables().remove("QUEUE_TOPIC_FAILURES_URL");
            if destination.is_none() || destination != of_function.and_then(|url| queue_of(&json!(url))) {
                wrong.push(format!(
                    "{name}: set DestinationConfig.OnFailure and QUEUE_TOPIC_FAILURES_URL to one queue"
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn a_queue_that_holds_what_was_given_up_feeds_no_function() {
    let template = Template::load();
    let given_up = template.final_queues();
    let mut wrong = Vec::new();
    for function in template.functions() {
        for event in function.events_of("SQS") {
            let queue = queue_of(&event.properties["Queue"]).expect("Queue is an ARN");
            if given_up.contains(&queue) {
                wrong.push(format!(
                    "{}: {queue} is for people to look at; redrive it into its source",
                    function.name
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}

fn sources(function: &Function) -> Vec<Trigger> {
    let kinds = ["SQS", "DynamoDB", "SelfManagedKafka"];
    kinds.map(|kind| function.events_of(kind)).concat()
}
