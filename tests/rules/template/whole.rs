//! Tables, the size of the stacks, and the stages it is deployed to.

use serde_json::{Value, json};

use crate::model::*;

/// CloudFormation stops at 500 resources in a stack.
const MAX_RESOURCES: usize = 400;
/// So many operations may an area come to have.
const MAX_OPERATIONS: usize = 40;
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
fn every_stack_stays_within_cloudformations_limit() {
    let template = Template::load();
    let mut wrong = Vec::new();
    for (stack, count) in template.deployed_resources() {
        let operations = template
            .functions()
            .iter()
            .filter(|function| function.stack == stack)
            .count();
        let more = if stack.is_empty() {
            0
        } else {
            MAX_OPERATIONS.saturating_sub(operations)
        };
        let expected = count + more * RESOURCES_OF_AN_OPERATION;
        println!("stack {stack:?}: {count} resources, {expected} with {MAX_OPERATIONS} operations");
        if expected > MAX_RESOURCES {
            wrong.push(format!(
                "stack {stack}: {count} resources with {operations} operations, {expected} with {MAX_OPERATIONS}: split it"
            ));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn every_stage_gives_every_parameter_that_has_no_default() {
    let parameters = parameters();
    let samconfig = read("samconfig.toml");
    let mut wrong = Vec::new();
    for stage in ["dev", "staging", "prod"] {
        let head = format!("[{stage}.deploy.parameters]");
        let section = samconfig
            .split_once(&head)
            .map(|(_, rest)| rest.split("\n[").next().unwrap_or_default());
        let Some(section) = section else {
            wrong.push(format!("samconfig.toml: add {head}"));
            continue;
        };
        let given = |name: &str| section.contains(&format!("\"{name}="));
        for (name, parameter) in parameters.as_object().expect("Parameters is a mapping") {
            if parameter["Default"].is_null() && !given(name) {
                wrong.push(format!("samconfig.toml: {head} lacks {name}"));
            }
        }
        for line in section.lines().filter_map(|line| line.trim().strip_prefix('"')) {
            let name = line.split('=').next().unwrap_or_default();
            if parameters[name].is_null() {
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
