//! `moneta openapi`: one description of the whole HTTP API. The template says which routes there are and who may
//! call them; each function's binary, run with `--openapi`, describes its own operation.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::process::Command;

use super::{build, up};
use crate::{
    options::Options,
    progress::{say, warn},
    template::{Event, Function, HttpRoute, Locals, Template},
};

const HEADER: &str =
    "# Written by `moneta openapi`; don't edit. The parts come from the functions and from template.yaml.\n";
const SECURITY_SCHEME: &str = "token";

/// What a function says of itself.
#[derive(Deserialize)]
struct Description {
    operation: Value,
    #[serde(default)]
    components: Components,
}

#[derive(Default, Deserialize)]
struct Components {
    #[serde(default)]
    schemas: BTreeMap<String, Value>,
}

pub(super) async fn run(root: &Path, check: bool, no_build: bool) -> anyhow::Result<bool> {
    let options = Options::for_tests(root);
    let template = Template::load(&options.template, &Locals::default())?;
    let functions: Vec<&Function> = template
        .functions
        .iter()
        .filter(|function| has_route(function))
        .collect();
    if no_build {
        build::check(&options, functions.iter().map(|function| function.binary.clone()))?;
    } else {
        up::prepare(&options, false).await?;
    }
    let mut descriptions = BTreeMap::new();
    for function in functions {
        descriptions.insert(
            function.binary.clone(),
            describe(&options, &function.binary).await?,
        );
    }
    let document = merge(&template, &descriptions)?;
    let path = options.openapi();
    if check {
        return compare(&path, &document);
    }
    let text = format!("{HEADER}{}", serde_yaml_ng::to_string(&document)?);
    std::fs::write(&path, text).with_context(|| format!("{} can't be written", path.display()))?;
    say(format_args!(
        "{}: {} operations",
        path.display(),
        descriptions.len()
    ));
    Ok(true)
}

fn has_route(function: &Function) -> bool {
    function
        .events
        .iter()
        .any(|event| matches!(event, Event::Http(_)))
}

async fn describe(options: &Options, binary: &str) -> anyhow::Result<Description> {
    let path = options.binaries.join(binary);
    let output = Command::new(&path)
        .arg("--openapi")
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("{} can't be started", path.display()))?;
    if !output.status.success() {
        bail!(
            "{binary} --openapi failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{binary} --openapi doesn't print its operation as JSON"))
}

fn merge(template: &Template, descriptions: &BTreeMap<String, Description>) -> anyhow::Result<Value> {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    let mut areas = BTreeSet::new();
    for function in &template.functions {
        let Some(description) = descriptions.get(&function.binary) else {
            continue;
        };
        for (name, schema) in &description.components.schemas {
            match schemas.insert(name.clone(), schema.clone()) {
                Some(other) if other != *schema => bail!(
                    "{}: its schema {name} differs from another function's of that name",
                    function.binary
                ),
                _ => {}
            }
        }
        for event in &function.events {
            if let Event::Http(route) = event {
                check_path(function, route, &description.operation)?;
                areas.insert(area(route).to_owned());
                let operation = operation(function, route, &description.operation);
                paths
                    .entry(route.path.clone())
                    .or_default()
                    .insert(route.method.to_lowercase(), operation);
            }
        }
    }
    schemas
        .entry("GatewayMessage".to_owned())
        .or_insert_with(gateway_message);
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Moneta",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The money back end of a trading company. Money is in minor units of its \
                            currency (cents), times are RFC 3339 in UTC.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "Whoever serves this description: the local cloud." }, {
            "url": "https://{api}.execute-api.{region}.amazonaws.com",
            "description": "A deployed stage; the stack's output ApiUrl has the address.",
            "variables": { "api": { "default": "a1b2c3d4e5" }, "region": { "default": "us-east-1" } },
        }],
        "tags": areas.into_iter().map(|area| json!({ "name": area })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                SECURITY_SCHEME: { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
            },
        },
    }))
}

/// The path says what has to be in it twice, in the template and in the function: both have to agree.
fn check_path(function: &Function, route: &HttpRoute, described: &Value) -> anyhow::Result<()> {
    let named = route.path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(name.trim_end_matches('+'))
    });
    let parameters = described.get("parameters").and_then(Value::as_array);
    let described = parameters
        .into_iter()
        .flatten()
        .filter(|parameter| parameter.get("in").is_some_and(|place| place == "path"))
        .filter_map(|parameter| parameter.get("name")?.as_str());
    let (named, described): (BTreeSet<&str>, BTreeSet<&str>) = (named.collect(), described.collect());
    if named != described {
        bail!(
            "{}: the path {} has the parts {named:?}, its description has {described:?}",
            function.binary,
            route.path
        );
    }
    Ok(())
}

/// A function's operation with what the gateway adds to it.
fn operation(function: &Function, route: &HttpRoute, described: &Value) -> Value {
    let mut operation = described.as_object().cloned().unwrap_or_default();
    operation.insert("operationId".to_owned(), json!(function.binary));
    operation.entry("tags").or_insert_with(|| json!([area(route)]));
    let scopes = &route.scopes;
    let security = if route.authorized {
        json!([{ SECURITY_SCHEME: scopes }])
    } else {
        json!([])
    };
    operation.insert("security".to_owned(), security);
    if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        for (status, description) in gateway_answers(route) {
            let answer = responses
                .entry(status)
                .or_insert_with(|| json!({ "description": description }));
            let schema = json!({ "$ref": "#/components/schemas/GatewayMessage" });
            set(answer, "content", "application/json", json!({ "schema": schema }));
            if status == "401" {
                let header =
                    json!({ "description": "The kind of token wanted.", "schema": { "type": "string" } });
                set(answer, "headers", "www-authenticate", header);
            }
        }
    }
    Value::Object(operation)
}

/// What the gateway answers before, or instead of, the function.
fn gateway_answers(route: &HttpRoute) -> Vec<(&'static str, String)> {
    let mut answers = vec![
        ("429", "Too many requests; try again.".to_owned()),
        ("500", "Something broke on our side.".to_owned()),
        ("503", "Not possible at the moment; try again.".to_owned()),
    ];
    if ["POST", "PUT", "PATCH", "ANY"].contains(&route.method.as_str()) {
        answers.push(("413", "The body is too large.".to_owned()));
    }
    if route.authorized {
        answers.push(("401", "No token, or one that isn't good.".to_owned()));
    }
    if !route.scopes.is_empty() {
        answers.push((
            "403",
            format!("The token has none of the scopes {}.", route.scopes.join(", ")),
        ));
    }
    answers
}

/// The first segment of the path.
fn area(route: &HttpRoute) -> &str {
    route.path.split('/').nth(1).unwrap_or_default()
}

/// Sets `response[part][name]`.
fn set(response: &mut Value, part: &str, name: &str, value: Value) {
    let Some(response) = response.as_object_mut() else {
        return;
    };
    let part = response.entry(part).or_insert_with(|| json!({}));
    if let Some(part) = part.as_object_mut() {
        part.insert(name.to_owned(), value);
    }
}

fn gateway_message() -> Value {
    json!({
        "type": "object",
        "description": "An answer of the gateway itself.",
        "required": ["message"],
        "properties": { "message": { "type": "string" } },
        "additionalProperties": false,
    })
}

/// Says in which operations the file differs from what the functions describe now.
fn compare(path: &Path, document: &Value) -> anyhow::Result<bool> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} can't be read; `moneta openapi` writes it", path.display()))?;
    let file: Value =
        serde_yaml_ng::from_str(&text).with_context(|| format!("{} isn't YAML", path.display()))?;
    let differences = differences(&file, document);
    for difference in &differences {
        warn(format_args!("{}: {difference}", path.display()));
    }
    if !differences.is_empty() {
        warn("`moneta openapi` brings it up to date");
    }
    Ok(differences.is_empty())
}

fn differences(file: &Value, now: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    for (what, part) in [("", "/paths"), ("schema ", "/components/schemas")] {
        let (before, after) = (parts(file, part), parts(now, part));
        for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            match (before.get(name), after.get(name)) {
                (None, _) => differences.push(format!("{what}{name} is missing")),
                (_, None) => differences.push(format!("{what}{name} is no more")),
                (before, after) if before != after => differences.push(format!("{what}{name} has changed")),
                _ => {}
            }
        }
    }
    if differences.is_empty() && file != now {
        differences.push("its head has changed".to_owned());
    }
    differences
}

/// Operations as `POST /path`, schemas by name.
fn parts(document: &Value, pointer: &str) -> BTreeMap<String, Value> {
    let entries = document
        .pointer(pointer)
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    if pointer != "/paths" {
        return entries
            .map(|(name, schema)| (name.clone(), schema.clone()))
            .collect();
    }
    let operations = entries.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods
            .map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation.clone()))
    });
    operations.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"
Resources:
  Pay: {Type: "AWS::Serverless::Function", Properties: {CodeUri: pay}}
  Integration: {Type: "AWS::ApiGatewayV2::Integration", Properties: {IntegrationUri: !GetAtt Pay.Arn}}
  Post:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      {RouteKey: "POST /wallets/pay", Target: !Sub "integrations/${Integration}",
       AuthorizationType: JWT, AuthorizerId: jwt, AuthorizationScopes: [wallets]}
  Hook: {Type: "AWS::ApiGatewayV2::Route", Properties: {RouteKey: "POST /hook", Target: !Sub "integrations/${Integration}"}}
"#;

    fn document(summary: &str) -> Value {
        let operation = json!({ "summary": summary, "responses": { "200": { "description": "Paid" } } });
        merged(TEMPLATE, operation).unwrap()
    }

    fn merged(template: &str, operation: Value) -> anyhow::Result<Value> {
        let template = Template::parse(template, &Locals::default()).unwrap();
        let description = json!({
            "operation": operation,
            "components": { "schemas": { "Payment": { "type": "object" } } },
        });
        let descriptions = [("pay".to_owned(), serde_json::from_value(description).unwrap())].into();
        merge(&template, &descriptions)
    }

    #[test]
    fn the_gateway_adds_security_and_its_own_answers() {
        let document = document("Pays");
        let pay = &document["paths"]["/wallets/pay"]["post"];
        assert_eq!(pay["operationId"], "pay");
        assert_eq!(pay["security"], json!([{ "token": ["wallets"] }]));
        let answers: Vec<&String> = pay["responses"].as_object().unwrap().keys().collect();
        assert_eq!(answers, ["200", "401", "403", "413", "429", "500", "503"]);
        assert_eq!(document["paths"]["/hook"]["post"]["security"], json!([]));
        assert!(document["components"]["schemas"].get("Payment").is_some());
    }

    #[test]
    fn the_parts_of_a_path_are_those_of_the_description() {
        let template = TEMPLATE
            .replace("/wallets/pay", "/clients/{client_id}/wallets/{wallet_id}")
            .replace("/hook", "/{wallet_id}/{client_id+}");
        let operation = |names: &[&str]| {
            let path = names.iter().map(|name| json!({ "name": name, "in": "path" }));
            let query = json!({ "name": "wallet_id", "in": "query" });
            json!({ "parameters": path.chain([query]).collect::<Vec<_>>() })
        };
        let merged = |names: &[&str]| merged(&template, operation(names));
        assert!(merged(&["wallet_id", "client_id"]).is_ok());
        for (names, listed) in [
            (vec!["client_id"], r#"{"client_id"}"#),
            (
                vec!["client_id", "wallet_id", "id"],
                r#"{"client_id", "id", "wallet_id"}"#,
            ),
        ] {
            let error = merged(&names).unwrap_err().to_string();
            let expected = format!(
                "pay: the path /clients/{{client_id}}/wallets/{{wallet_id}} has the parts {{\"client_id\", \"wallet_id\"}}, \
                 its description has {listed}"
            );
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_check_names_what_differs() {
        assert!(differences(&document("Pays"), &document("Pays")).is_empty());
        let changed = differences(&document("Pays"), &document("Pays more"));
        assert_eq!(
            changed,
            ["POST /hook has changed", "POST /wallets/pay has changed"]
        );
        let missing = differences(&json!({}), &document("Pays"));
        assert!(
            missing.contains(&"POST /hook is missing".to_owned()),
            "{missing:?}"
        );
    }
}
