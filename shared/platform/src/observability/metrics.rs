//! Metrics in CloudWatch's embedded metric format: a JSON line on standard output, which CloudWatch turns
//! into metrics of namespace `Moneta`, by stage, and by stage and function.

use std::io::Write;

use serde_json::{Map, Value, json};

/// Namespace of all metrics.
pub const NAMESPACE: &str = "Moneta";

/// Adds `count` to the metric `name`.
pub fn count(name: &str, count: u64) {
    emit(name, "Count", count, &[]);
}

/// Adds `count` to the metric `name`, with one more property (not a dimension) in the log line.
pub fn count_with(name: &str, count: u64, properties: &[(&str, &str)]) {
    emit(name, "Count", count, properties);
}

/// Reports a figure in whole seconds.
pub fn seconds(name: &str, seconds: u64) {
    emit(name, "Seconds", seconds, &[]);
}

/// Reports a duration in milliseconds.
pub fn milliseconds(name: &str, milliseconds: u64) {
    emit(name, "Milliseconds", milliseconds, &[]);
}

fn emit(name: &str, unit: &str, value: u64, properties: &[(&str, &str)]) {
    let line = line(
        name,
        unit,
        value,
        properties,
        &variable("STAGE"),
        &variable("AWS_LAMBDA_FUNCTION_NAME"),
    );
    let mut out = std::io::stdout().lock();
    // A metric that can't be written is no reason to fail the work it counts.
    let _ = writeln!(out, "{line}");
}

fn line(
    name: &str,
    unit: &str,
    value: u64,
    properties: &[(&str, &str)],
    stage: &str,
    function: &str,
) -> Value {
    let mut fields = Map::new();
    for (key, property) in properties {
        fields.insert((*key).to_owned(), json!(property));
    }
    fields.insert("Stage".to_owned(), json!(stage));
    fields.insert("Function".to_owned(), json!(function));
    fields.insert(name.to_owned(), json!(value));
    fields.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": chrono::Utc::now().timestamp_millis(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Stage"], ["Stage", "Function"]],
                "Metrics": [{"Name": name, "Unit": unit}],
            }],
        }),
    );
    Value::Object(fields)
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_declares_its_metric() {
        let line = line(
            "UnknownOutcomes",
            "Count",
            1,
            &[("provider", "drivewealth")],
            "dev",
            "deposit_funds",
        );
        assert_eq!(line["UnknownOutcomes"], 1);
        assert_eq!(line["Function"], "deposit_funds");
        assert_eq!(line["provider"], "drivewealth");
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"],
            "UnknownOutcomes"
        );
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Moneta");
    }
}
