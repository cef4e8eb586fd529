//! Tables, the size of the stacks, and the stages it is deployed to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::*;

/// The stages of `samconfig.toml`.
const STAGES: [&str; 3] = ["dev", "staging", "prod"];
/// CloudFormation stops at 500 resources in a stack.
const MAX_RESOURCES: usize = 400;
/// So many operations may an area come to have.
const MAX_OPERATIONS: usize = 40;
/// So many operations may have a field in GraphQL, each with a role, a data source and a resolver.
const MAX_FIELDS: usize = 100;
const RESOURCES_OF_A_FIELD: usize = 3;
/// An operation is a function with its role and alarm, and three resources more for its route, or for its schedule.
const RESOURCES_OF_AN_OPERATION: usize = 6;

/// The parameters of the root, as they are written.
pub(crate) fn parameters() -> Value {
    let root: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(&read("infra/template.yaml")).expect("infra/template.yaml is YAML");
    let parameters = root.get("Parameters").expect("the root has parameters");
    serde_json::to_value(parameters).expect("parameters are plain")
}

#[test]
fn tables_can_be_restored_and_outlive_the_stack() {
    let template = Template::load();
    let mut wrong = Vec::new();
    for table in template.resources("AWS::DynamoDB::Table") {
        if table.properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] != json!(true) {
            wrong.push(format!("{}: turn point-in-time recovery on", table.id));
        }
        if table.properties["DeletionProtectionEnabled"] != json!(true) {
            wrong.push(format!("{}: set DeletionProtectionEnabled", table.id));
        }
        // A table that a failed first deploy leaves behind has the name that the second one needs.
        let policies = [
            ("DeletionPolicy", "RetainExceptOnCreate"),
            ("UpdateReplacePolicy", "Retain"),
        ];
        for (policy, expected) in policies {
            if attribute(table, policy) != expected {
                wrong.push(format!("{}: set {policy}: {expected}", table.id));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn addresses_of_others_are_https() {
    let mut wrong = Vec::new();
    for (name, parameter) in parameters().as_object().expect("Parameters is a mapping") {
        let is_address = ["ApiBase", "FeedUrl", "Endpoint"]
            .iter()
            .any(|end| name.ends_with(end));
        if is_address && !text(&parameter["AllowedPattern"]).starts_with("https://") {
            wrong.push(format!("{name}: an AllowedPattern that begins with https://"));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn every_stack_stays_within_cloudformations_limit() {
    let template = Template::load();
    let mut wrong = Vec::new();
    for (stack, count) in template.deployed_resources() {
        let operations = template
            .functions()
            .iter()
            .filter(|function| function.stack == stack)
            .count();
        let fields = template.resources("AWS::AppSync::Resolver");
        let fields = fields.filter(|resolver| resolver.stack == stack).count();
        let more = match (stack.as_str(), fields) {
            ("", _) => 0,
            (_, 0) => MAX_OPERATIONS.saturating_sub(operations) * RESOURCES_OF_AN_OPERATION,
            (_, fields) => MAX_FIELDS.saturating_sub(fields) * RESOURCES_OF_A_FIELD,
        };
        let expected = count + more;
        println!("stack {stack:?}: {count} resources, {expected} with all operations");
        if expected > MAX_RESOURCES {
            wrong.push(format!(
                "stack {stack}: {count} resources with {operations} operations, {expected} with {MAX_OPERATIONS}: split it"
            ));
        }
    }
    nothing_wrong(&wrong);
}

/// The parameters that a stage gives in `samconfig.toml`; none when there is no such stage.
fn given_by(stage: &str) -> Option<BTreeMap<String, String>> {
    let samconfig = read("samconfig.toml");
    let (_, rest) = samconfig.split_once(&format!("[{stage}.deploy.parameters]"))?;
    let section = rest.split("\n[").next().unwrap_or_default();
    let lines = section.lines().filter_map(|line| line.trim().strip_prefix('"'));
    let pair = |line: &str| {
        let (name, value) = line.trim_end_matches(',').trim_end_matches('"').split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    Some(lines.filter_map(pair).collect())
}

#[test]
fn every_stage_resolves_with_and_without_kafka() {
    let mut wrong = Vec::new();
    for stage in STAGES {
        let given = given_by(stage).expect("the stage is in samconfig.toml");
        for brokers in ["broker:9096", ""] {
            let mut parameters = given.clone();
            parameters.insert("KafkaBrokers".to_owned(), brokers.to_owned());
            let template = match Template::with(parameters) {
                Ok(template) => template,
                Err(error) => {
                    wrong.push(format!("{stage}, KafkaBrokers={brokers}: {error}"));
                    continue;
                }
            };
            for function in template.functions() {
                let is_told = function.variables().contains_key("KAFKA_BROKERS");
                let is_called = !function.events_of("SelfManagedKafka").is_empty();
                if brokers.is_empty() && (is_told || is_called) {
                    wrong.push(format!(
                        "{}: without Kafka leave it out (Condition: HasKafka), or its variables",
                        function.name
                    ));
                }
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn every_stage_gives_every_parameter_that_has_no_default() {
    let parameters = parameters();
    let mut wrong = Vec::new();
    for stage in STAGES {
        let head = format!("[{stage}.deploy.parameters]");
        let Some(given) = given_by(stage) else {
            wrong.push(format!("samconfig.toml: add {head}"));
            continue;
        };
        for (name, parameter) in parameters.as_object().expect("Parameters is a mapping") {
            if parameter["Default"].is_null() && !given.contains_key(name) {
                wrong.push(format!("samconfig.toml: {head} lacks {name}"));
            }
        }
        for name in given.keys() {
            if parameters[name.as_str()].is_null() {
                wrong.push(format!(
                    "samconfig.toml: {head} gives {name}, which the template doesn't know"
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn names_translate_as_the_checks_assume() {
    assert_eq!(snake_case("ApplyDrivewealthEvent"), "apply_drivewealth_event");
}
