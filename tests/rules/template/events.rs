//! Each function has an event to try it with, and each schedule is one.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use local_cloud::template::HttpRoute;
use serde_json::{Value, json};

use crate::model::*;
use crate::schedule;

/// What EventBridge Scheduler replaces with the time at which the run was due.
const SCHEDULED_TIME: &str = "<aws.scheduler.scheduled-time>";

#[test]
fn every_function_has_an_event_that_fits_its_trigger() {
    let template = Template::load();
    let mut wrong = Vec::new();
    for function in template.functions() {
        let path = format!("events/{}.json", function.operation());
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else {
            wrong.push(format!("{path}: add a real event for {}", function.name));
            continue;
        };
        let event: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let of_route = function.routes.iter().any(|route| is_of_route(&event, route));
        let of_trigger = function.events.iter().any(|trigger| fits(&event, trigger));
        let is_triggered = !function.routes.is_empty() || !function.events.is_empty();
        if is_triggered && !of_route && !of_trigger {
            wrong.push(format!(
                "{path}: it is none of what triggers {} in the template",
                function.name
            ));
        }
    }
    let expected: BTreeSet<String> = template.functions().iter().map(Function::operation).collect();
    for file in std::fs::read_dir(root().join("events")).expect("events/ can be read") {
        let path = file.expect("events/ can be read").path();
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        if !expected.contains(name) {
            wrong.push(format!(
                "{}: take it out, no function has this name",
                path.display()
            ));
        }
    }
    nothing_wrong(&wrong);
}

fn is_of_route(event: &Value, route: &HttpRoute) -> bool {
    event["version"] == "2.0" && event["routeKey"] == json!(format!("{} {}", route.method, route.path))
}

fn fits(event: &Value, trigger: &Trigger) -> bool {
    let settings = &trigger.properties;
    let record = &event["Records"][0];
    match trigger.kind.as_str() {
        "SQS" => {
            let name = queue_of(&settings["Queue"]).unwrap_or_default();
            let name = name.replace(&name_prefix(), "moneta-dev-");
            record["eventSourceARN"]
                .as_str()
                .is_some_and(|arn| arn.ends_with(&format!(":{name}")))
        }
        "DynamoDB" => record["eventSource"] == "aws:dynamodb" && record["dynamodb"]["NewImage"].is_object(),
        "SelfManagedKafka" => {
            let topic = format!("{}-", text(&settings["Topics"][0]));
            let partitions = event["records"].as_object();
            event["eventSource"] == "SelfManagedKafka"
                && partitions
                    .is_some_and(|all| !all.is_empty() && all.keys().all(|one| one.starts_with(&topic)))
        }
        "ScheduleV2" => input(settings).is_some_and(|input| arrives_as(&input, event)),
        _ => false,
    }
}

/// Whether a schedule's input arrives like this: with a time in the place of its keyword.
fn arrives_as(input: &Value, event: &Value) -> bool {
    let time = event["scheduled_time"].as_str().unwrap_or_default();
    let is_time = time.parse::<DateTime<Utc>>().is_ok();
    let mut arrives = input.clone();
    if is_time && input["scheduled_time"] == SCHEDULED_TIME {
        arrives["scheduled_time"] = json!(time);
    }
    arrives == *event
}

/// What a schedule gives its function.
fn input(schedule: &Value) -> Option<Value> {
    serde_json::from_str(schedule["Input"].as_str()?)
        .ok()
        .filter(Value::is_object)
}

#[test]
fn every_schedule_is_valid_and_its_failures_are_kept() {
    let mut wrong = Vec::new();
    for function in Template::load().functions() {
        for event in function.events_of("ScheduleV2") {
            let (settings, name) = (&event.properties, format!("{}.{}", function.name, event.name));
            let expression = settings["ScheduleExpression"].as_str().unwrap_or_default();
            if let Err(reason) = schedule::check(expression) {
                wrong.push(format!("{name}: {expression:?}: {reason}"));
            }
            if input(settings).is_none() {
                wrong.push(format!(
                    "{name}: set Input to a JSON object; without one AWS sends an envelope of its own"
                ));
            }
            if queue_of(&settings["DeadLetterConfig"]["Arn"]).is_none() || settings["RetryPolicy"].is_null() {
                wrong.push(format!(
                    "{name}: give it DeadLetterConfig: {{Arn: a queue}} and a RetryPolicy"
                ));
            }
            if !text(&settings["Name"]).starts_with(&name_prefix()) {
                wrong.push(format!(
                    "{name}: give it a Name with moneta-${{Stage}}-; SAM's own is the same in every stage"
                ));
            }
            let on_failure =
                &function.properties["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"];
            if queue_of(on_failure).is_none() {
                wrong.push(format!(
                    "{}: set EventInvokeConfig with OnFailure; the schedule only hands over",
                    function.name
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}
