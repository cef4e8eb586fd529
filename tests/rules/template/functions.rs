//! What every function has, and the routes that lead to some.

use std::collections::BTreeSet;

use serde_json::json;

use crate::model::*;

/// API Gateway answers 503 after 30 seconds, whatever the function is doing.
const GATEWAY_TIMEOUT: u64 = 30;

#[test]
fn every_function_is_a_binary_and_every_binary_a_function() {
    let template = Template::load();
    let mut wrong = Vec::new();
    let mut binaries = BTreeSet::new();
    for area in std::fs::read_dir(root().join("functions")).expect("functions/ can be read") {
        let folder = area.expect("functions/ can be read").path().join("src/bin");
        let Ok(files) = std::fs::read_dir(&folder) else {
            continue;
        };
        let files = files.map(|file| file.expect("a folder can be read").path());
        binaries.extend(files.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())));
    }
    let functions: BTreeSet<String> = template.functions().iter().map(Function::operation).collect();
    for name in functions.difference(&binaries) {
        wrong.push(format!(
            "{name}: add functions/AREA/src/bin/{name}.rs, or take it out of infra/template.yaml"
        ));
    }
    for name in binaries.difference(&functions) {
        wrong.push(format!(
            "{name}: add a function to infra/template.yaml, or take out the binary"
        ));
    }
    for function in template.functions() {
        let expected = format!("../target/lambda/{}/", function.operation());
        if function.properties["CodeUri"] != json!(expected) {
            wrong.push(format!("{}: its CodeUri must be {expected}", function.name));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn every_function_runs_on_al2023_of_the_chosen_architecture() {
    let template = Template::load();
    let mut wrong = Vec::new();
    for function in template.functions() {
        let settings = &function.properties;
        let as_expected = settings["Runtime"] == "provided.al2023"
            && settings["Handler"] == "bootstrap"
            && settings["Architectures"] == json!([{"Ref": "Architecture"}])
            && settings["Tracing"] == "Active";
        if !as_expected {
            wrong.push(format!(
                "{}: leave Runtime, Handler, Architectures and Tracing to Globals",
                function.name
            ));
        }
        if !(1..=900).contains(&function.timeout()) || settings["Timeout"].is_null() {
            wrong.push(format!(
                "{}: set a Timeout of its own, at most 900",
                function.name
            ));
        }
        let skips_build = template.at(&format!("/Resources/{}/Metadata/SkipBuild", function.name));
        if skips_build != json!(true) {
            wrong.push(format!(
                "{}: set Metadata: {{SkipBuild: true}}; `make build` builds it",
                function.name
            ));
        }
    }
    assert_eq!(
        template.at("/Parameters/Architecture/AllowedValues"),
        json!(["x86_64", "arm64"])
    );
    nothing_wrong(&wrong);
}

#[test]
fn http_functions_answer_before_the_gateway_gives_up() {
    let mut wrong = Vec::new();
    for function in Template::load().functions() {
        if !function.events_of("HttpApi").is_empty() && function.timeout() >= GATEWAY_TIMEOUT {
            wrong.push(format!(
                "{}: set its Timeout below {GATEWAY_TIMEOUT}",
                function.name
            ));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn only_webhooks_are_open_to_everyone() {
    let template = Template::load();
    assert!(
        template
            .at("/Resources/Api/Properties/Auth/DefaultAuthorizer")
            .is_string(),
        "give Api.Auth a DefaultAuthorizer, so that a new route is closed unless it says otherwise"
    );
    let mut wrong = Vec::new();
    for function in template.functions() {
        for event in function.events_of("HttpApi") {
            let path = event.properties["Path"].as_str().unwrap_or_default();
            let open = event.properties["Auth"]["Authorizer"] == "NONE";
            if open != path.starts_with("/webhooks/") {
                wrong.push(format!(
                    "{path}: a route has Authorizer: NONE if and only if it begins with /webhooks/"
                ));
            }
            if target(&event.properties["ApiId"]).as_deref() != Some("Api") {
                wrong.push(format!(
                    "{path}: set ApiId: !Ref Api, or SAM makes a second API without an authorizer"
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}
