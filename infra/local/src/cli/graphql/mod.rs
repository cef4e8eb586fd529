//! `moneta graphql`: the app's API in GraphQL, made of the HTTP API's description. It writes `infra/schema.graphql`, the
//! table of `infra/app-api/resolver.js`, the lists of `infra/areas/app-api.yaml`, and in the other templates the names of the
//! functions with a field.

mod live;
mod operations;
mod scope;
mod shape;
mod table;
mod types;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;

use self::operations::Operations;
use crate::{
    options::Options,
    progress::{say, warn},
};

/// The lines between which `resolver.js` is written.
const RESOLVER_MARKS: (&str, &str) = ("const OPERATIONS = {\n", "};\n// The end of the table.\n");
/// The lines between which the template's mapping is written.
const MAPPING_MARKS: (&str, &str) = (
    "  # Written by `moneta graphql`: each function's field.\n  Fields:\n",
    "  # The end of the fields.\n",
);
/// The lines between which the template's list of functions is written.
const LIST_MARKS: (&str, &str) = (
    "    # Written by `moneta graphql`: the functions with a field.\n",
    "    # The end of the functions.\n",
);

/// A file as it should be.
struct Output {
    path: PathBuf,
    text: String,
}

pub(super) fn run(root: &Path, check: bool) -> anyhow::Result<bool> {
    let openapi = Options::for_tests(root).openapi();
    let text = read(&openapi)?;
    let document: Value =
        serde_yaml_ng::from_str(&text).with_context(|| format!("{} isn't YAML", openapi.display()))?;
    let operations = Operations::read(&document)?;
    let outputs = outputs(root, &document, &operations)?;
    if check {
        // Each is looked at, so that all that differ are named.
        let stale = outputs.iter().filter(|output| !is_current(output)).count();
        return Ok(stale == 0);
    }
    for output in &outputs {
        std::fs::write(&output.path, &output.text)
            .with_context(|| format!("{} can't be written", output.path.display()))?;
    }
    say(format_args!(
        "{} operations have a field, {} have none",
        operations.with_field.len(),
        operations.left_out.len()
    ));
    Ok(true)
}

fn outputs(root: &Path, document: &Value, operations: &Operations) -> anyhow::Result<Vec<Output>> {
    let infra = root.join("infra");
    let resolver = infra.join("app-api/resolver.js");
    let template = infra.join("areas/app-api.yaml");
    let table = table::of_resolver(document, operations)?;
    let mapping = table::mapping(operations);
    let with_mapping = between(&template, &read(&template)?, MAPPING_MARKS, &mapping)?;
    let list = table::functions(operations);
    let mut outputs = vec![
        Output {
            path: infra.join("schema.graphql"),
            text: types::schema(document, operations)?,
        },
        Output {
            text: between(&resolver, &read(&resolver)?, RESOLVER_MARKS, &table)?,
            path: resolver,
        },
        Output {
            text: between(&template, &with_mapping, LIST_MARKS, &list)?,
            path: template.clone(),
        },
    ];
    outputs.extend(with_names(&infra.join("areas"), &template, operations)?);
    Ok(outputs)
}

/// The templates of the areas, in which each function with a field has the name that its data source calls.
fn with_names(areas: &Path, own: &Path, operations: &Operations) -> anyhow::Result<Vec<Output>> {
    let mut outputs = Vec::new();
    let entries = std::fs::read_dir(areas).with_context(|| format!("{} can't be read", areas.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path != own && path.extension().is_some_and(|extension| extension == "yaml") {
            outputs.push(Output {
                text: named(&read(&path)?, operations),
                path,
            });
        }
    }
    Ok(outputs)
}

fn named(template: &str, operations: &Operations) -> String {
    let mut text = template.to_owned();
    for operation in &operations.with_field {
        let code = format!("      CodeUri: ../../target/lambda/{}/\n", operation.name);
        let id = table::logical_id(&operation.name);
        let both = format!("{code}      FunctionName: !Sub moneta-${{Stage}}-{id}\n");
        if !text.contains(&both) {
            text = text.replace(&code, &both);
        }
    }
    text
}

/// The text with what stands between two marks replaced.
fn between(path: &Path, text: &str, marks: (&str, &str), new: &str) -> anyhow::Result<String> {
    let split = text.split_once(marks.0).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(marks.1)?;
        Some((before, after))
    });
    match split {
        Some((before, after)) => Ok(format!("{before}{}{new}{}{after}", marks.0, marks.1)),
        None => bail!("{}: it lacks the lines\n{}{}", path.display(), marks.0, marks.1),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))
}

/// Says so when a file isn't what it should be.
fn is_current(output: &Output) -> bool {
    let before = std::fs::read_to_string(&output.path).unwrap_or_default();
    let mut lines = before.lines().zip(output.text.lines()).enumerate();
    let first = lines.find(|(_, (before, now))| before != now);
    match first {
        None if before == output.text => true,
        None => {
            warn(format_args!(
                "{}: it has another length; `moneta graphql` writes it",
                output.path.display()
            ));
            false
        }
        Some((index, (_, now))) => {
            warn(format_args!(
                "{}:{}: `moneta graphql` writes: {now}",
                output.path.display(),
                index.saturating_add(1)
            ));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A description with one operation of each kind.
    fn document() -> Value {
        let page = json!({ "$ref": "#/components/schemas/FlowViewPage" });
        let flow = json!({ "$ref": "#/components/schemas/FlowView" });
        let answers =
            |schema: &Value| json!({ "200": { "content": { "application/json": { "schema": schema } } } });
        let operation = |name: &str, scopes: &[&str], answer: &Value| {
            json!({
                "operationId": name,
                "summary": "Does it",
                "description": "Does all of it.",
                "security": [{ "token": scopes }],
                "responses": answers(answer),
            })
        };
        let mut list = operation("list_flows", &[], &page);
        list["parameters"] = json!([
            { "name": "x-correlation-id", "in": "header", "schema": { "type": "string" } },
            { "name": "limit", "in": "query", "description": "At most.", "schema": { "type": "integer", "format": "int32" } },
        ]);
        let mut deposit = operation("deposit", &[], &flow);
        deposit["parameters"] = json!([
            { "name": "account_id", "in": "path", "description": "Which.", "schema": { "type": "integer", "format": "int64" } },
        ]);
        let body = json!({ "schema": { "$ref": "#/components/schemas/FlowRequest" } });
        deposit["requestBody"] = json!({ "content": { "application/json": body } });
        json!({
            "paths": {
                "/trading/flows": { "get": list },
                "/trading/accounts/{account_id}/flows": { "post": deposit },
                "/trading/closed": { "put": operation("close", &["internal"], &flow) },
                "/admin/flows": { "get": operation("list_all", &[], &page) },
            },
            "components": { "schemas": {
                "NotificationView": {
                    "type": "object",
                    "required": ["id", "data"],
                    "properties": {
                        "data": { "type": "object", "additionalProperties": { "type": "string" } },
                        "id": { "type": "string", "description": "Id of the notification" },
                    },
                },
                "MoneyFlowView": {
                    "type": "object",
                    "required": ["id"],
                    "properties": { "id": { "type": "integer", "format": "int64" } },
                },
                "FlowRequest": {
                    "type": "object",
                    "required": ["amount_cents"],
                    "properties": { "amount_cents": { "type": "integer", "format": "int64", "description": "How much." } },
                },
                "FlowView": {
                    "type": "object",
                    "description": "A flow.",
                    "required": ["id", "amount_cents", "at", "status"],
                    "properties": {
                        "id": { "type": "integer", "format": "int64" },
                        "amount_cents": { "type": "integer", "format": "int64", "description": "How much." },
                        "at": { "type": "string", "format": "date-time" },
                        "attempt": { "type": ["integer", "null"], "format": "int32" },
                        "data": { "type": "object", "additionalProperties": { "type": "string" } },
                        "status": { "type": "string", "enum": ["open", "done"] },
                    },
                },
                "FlowViewPage": {
                    "type": "object",
                    "required": ["items", "next_cursor"],
                    "properties": {
                        "items": { "type": "array", "items": { "$ref": "#/components/schemas/FlowView" } },
                        "next_cursor": { "type": ["string", "null"] },
                    },
                },
            } },
        })
    }

    #[test]
    fn an_operation_has_a_field_or_a_reason() {
        let operations = Operations::read(&document()).unwrap();
        let names: Vec<&str> = operations
            .with_field
            .iter()
            .map(|operation| operation.name.as_str())
            .collect();
        assert_eq!(names, ["deposit", "list_flows"]);
        let left_out: Vec<&str> = operations
            .left_out
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(left_out, ["close", "list_all"]);
    }

    #[test]
    fn a_path_that_nobody_decided_on_is_an_error() {
        let mut document = document();
        document["paths"]["/novelties"] = document["paths"]["/trading/flows"].clone();
        let error = Operations::read(&document).unwrap_err().to_string();
        assert!(error.contains("/novelties"), "{error}");
    }

    #[test]
    fn money_is_text_and_times_are_times() {
        let document = document();
        let schema = types::schema(&document, &Operations::read(&document).unwrap()).unwrap();
        let parts = [
            "  list_flows(\n    # At most.\n    limit: Int\n  ): FlowPage\n",
            "    # Which.\n    account_id: ID!\n    # How much. A whole number as text.\n    amount_cents: String!\n",
            "    idempotency_key: String\n  ): Flow\n",
            "# A flow.\ntype Flow {\n",
            "  at: AWSDateTime!\n",
            "  attempt: Int\n",
            "  data: AWSJSON\n",
            "  id: ID!\n",
            "  # One of open, done.\n  status: String!\n",
            "  items: [Flow!]!\n  next_cursor: String\n",
        ];
        for part in parts {
            assert!(schema.contains(part), "{part}\n isn't in\n{schema}");
        }
        assert!(!schema.contains("list_all("), "{schema}");
    }

    #[test]
    fn an_update_is_told_by_a_mutation_of_ours() {
        let document = document();
        let schema = types::schema(&document, &Operations::read(&document).unwrap()).unwrap();
        let parts = [
            "  subscription: Subscription\n",
            "  notification_added: NotificationAdded @aws_subscribe(mutations: [\"publish_notification_added\"])\n",
            "  publish_notification_added(input: NotificationAddedInput!): NotificationAdded @aws_iam\n",
            "type NotificationAdded @aws_iam @aws_oidc {\n  # Whose it is.\n  profile_id: ID!\n  data: AWSJSON!\n  \
             # Id of the notification.\n  id: ID!\n}\n",
            "input MoneyFlowChangedInput {\n  # Whose it is.\n  profile_id: ID!\n  id: ID!\n}\n",
        ];
        for part in parts {
            assert!(schema.contains(part), "{part}\n isn't in\n{schema}");
        }
    }

    #[test]
    fn the_resolver_learns_what_changes_its_kind() {
        let document = document();
        let operations = Operations::read(&document).unwrap();
        let table = table::of_resolver(&document, &operations).unwrap();
        let expected = "  deposit: {\n    route: 'POST /trading/accounts/{account_id}/flows',\n    whole: ['amount_cents'],\n    \
                        counts: ['attempt'],\n    maps: ['data'],\n  },\n  list_flows: {\n    route: 'GET /trading/flows',\n    \
                        counts: ['attempt'],\n    maps: ['data'],\n  },\n";
        assert_eq!(table, expected);
        assert_eq!(
            table::mapping(&operations),
            "    Deposit: {Type: Mutation, Field: deposit}\n    ListFlows: {Type: Query, Field: list_flows}\n"
        );
    }

    #[test]
    fn a_function_with_a_field_has_a_name_once() {
        let operations = Operations::read(&document()).unwrap();
        let template = "      CodeUri: ../../target/lambda/deposit/\n      Timeout: 20\n";
        let expected = "      CodeUri: ../../target/lambda/deposit/\n      FunctionName: !Sub moneta-${Stage}-Deposit\n      \
                        Timeout: 20\n";
        let once = named(template, &operations);
        assert_eq!(once, expected);
        assert_eq!(named(&once, &operations), expected);
        let without_field = "      CodeUri: ../../target/lambda/close/\n";
        assert_eq!(named(without_field, &operations), without_field);
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let path = Path::new("file");
        let text = between(path, "a\n<\nold\n>\nb\n", ("<\n", ">\n"), "new\n").unwrap();
        assert_eq!(text, "a\n<\nnew\n>\nb\n");
        assert!(between(path, "a\n", ("<\n", ">\n"), "new\n").is_err());
    }
}
