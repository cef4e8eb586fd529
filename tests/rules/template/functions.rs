//! What every function has, and the routes that lead to some.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::model::*;
use crate::whole::parameters;

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
            "{name}: add functions/AREA/src/bin/{name}.rs, or take it out of infra/areas"
        ));
    }
    for name in binaries.difference(&functions) {
        wrong.push(format!(
            "{name}: add a function to infra/areas/AREA.yaml, or take out the binary"
        ));
    }
    for function in template.functions() {
        let expected = format!("../../target/lambda/{}/", function.operation());
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
            && settings["Architectures"] == json!(["arm64"])
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
        if !function.skips_build {
            wrong.push(format!(
                "{}: set Metadata: {{SkipBuild: true}}; `make build` builds it",
                function.name
            ));
        }
    }
    assert_eq!(
        parameters()["Architecture"]["AllowedValues"],
        json!(["x86_64", "arm64"])
    );
    nothing_wrong(&wrong);
}

#[test]
fn http_functions_answer_before_the_gateway_gives_up() {
    let mut wrong = Vec::new();
    for function in Template::load().functions() {
        if !function.routes.is_empty() && function.timeout() >= GATEWAY_TIMEOUT {
            wrong.push(format!(
                "{}: set its Timeout below {GATEWAY_TIMEOUT}",
                function.name
            ));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn webhooks_have_a_rate_of_their_own() {
    let template = Template::load();
    let stages: Vec<_> = template.resources("AWS::ApiGatewayV2::Stage").collect();
    let mut wrong = Vec::new();
    for route in template.resources("AWS::ApiGatewayV2::Route") {
        let key = text(&route.properties["RouteKey"]);
        if !key.contains(" /webhooks/") {
            continue;
        }
        for stage in &stages {
            if stage.properties["RouteSettings"][&key]["ThrottlingRateLimit"].is_null() {
                wrong.push(format!(
                    "{key}: give it a ThrottlingRateLimit in RouteSettings of {}",
                    stage.id
                ));
            }
            if !list(&attribute(stage, "DependsOn")).contains(&json!(route.stack)) {
                wrong.push(format!(
                    "{}: it has to depend on {}, which has the route {key}",
                    stage.id, route.stack
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn only_webhooks_are_open_to_everyone() {
    let template = Template::load();
    let mut wrong = Vec::new();
    for route in template.resources("AWS::ApiGatewayV2::Route") {
        let key = text(&route.properties["RouteKey"]);
        let path = key.split_once(' ').map_or("", |(_, path)| path);
        let (authorization, expected) = (
            [
                &route.properties["AuthorizationType"],
                &route.properties["AuthorizerId"],
            ],
            match path.starts_with("/webhooks/") {
                true => [json!("NONE"), Value::Null],
                false => [json!("JWT"), json!("JwtAuthorizer")],
            },
        );
        if authorization != expected.each_ref() {
            wrong.push(format!(
                "{key}: a route has AuthorizationType: NONE if it begins with /webhooks/, and else JWT with \
                 AuthorizerId: !Ref AuthorizerId"
            ));
        }
        if route.properties["ApiId"] != "Api" {
            wrong.push(format!("{key}: set ApiId: !Ref ApiId"));
        }
    }
    nothing_wrong(&wrong);
}

#[test]
fn every_route_reaches_a_function_that_the_api_may_call() {
    let template = Template::load();
    let mut wrong = Vec::new();
    for function in template.functions() {
        let of_function = |kind: &'static str| {
            template
                .resources(kind)
                .filter(|resource| resource.stack == function.stack)
        };
        let arn = format!(":function:{}", function.name);
        let integrations: Vec<_> = of_function("AWS::ApiGatewayV2::Integration")
            .filter(|integration| text(&integration.properties["IntegrationUri"]).ends_with(&arn))
            .collect();
        let permissions: Vec<_> = of_function("AWS::Lambda::Permission")
            .filter(|permission| permission.properties["FunctionName"] == function.name)
            .collect();
        let expected = usize::from(!function.routes.is_empty());
        if integrations.len() != expected || permissions.len() != expected {
            wrong.push(format!(
                "{0}: name it in the list of its stack that makes {0}Integration and {0}Permission if and only if it has \
                 a route",
                function.name
            ));
        }
        for integration in integrations {
            let settings = &integration.properties;
            if settings["ApiId"] != "Api"
                || settings["IntegrationType"] != "AWS_PROXY"
                || settings["PayloadFormatVersion"] != "2.0"
            {
                wrong.push(format!(
                    "{}: make it a proxy of the API with format 2.0",
                    integration.id
                ));
            }
        }
        for permission in permissions {
            let settings = &permission.properties;
            if settings["Principal"] != "apigateway.amazonaws.com"
                || settings["Action"] != "lambda:InvokeFunction"
                || !text(&settings["SourceArn"]).ends_with(":Api/*/*")
            {
                wrong.push(format!(
                    "{}: let our API, and nobody else, call the function",
                    permission.id
                ));
            }
        }
    }
    nothing_wrong(&wrong);
}
