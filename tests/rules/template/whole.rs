//! Tables, the size of the stack, and the stages it is deployed to.

use serde_json::json;

use crate::model::*;

/// CloudFormation stops at 500; the rest is room for one more area while the stack is being split.
const MAX_RESOURCES: usize = 450;

#[test]
fn tables_can_be_restored_and_outlive_the_stack() {
    let template = Template::load();
    let mut wrong = Vec::new();
    for table in template.resources("AWS::DynamoDB::Table") {
        if table.properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] != json!(true) {
            wrong.push(format!("{}: turn point-in-time recovery on", table.name));
        }
        // A table that a failed first deploy leaves behind has the name that the second one needs.
        let policies = [
            ("DeletionPolicy", "RetainExceptOnCreate"),
            ("UpdateReplacePolicy", "Retain"),
        ];
        for (policy, expected) in policies {
            if template.at(&format!("/Resources/{}/{policy}", table.name)) != expected {
                wrong.push(format!("{}: set {policy}: {expected}", table.name));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn the_stack_stays_within_cloudformations_limit() {
    let count = Template::load().deployed_resources();
    assert!(
        count < MAX_RESOURCES,
        "{count} resources of 500: move an area into a stack of its own"
    );
}

#[test]
fn every_stage_gives_every_parameter_that_has_no_default() {
    let template = Template::load();
    let parameters = template.at("/Parameters");
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
