//! The operations of the HTTP API, and which of them have a field.

use anyhow::{Context, bail};
use serde_json::Value;

use super::scope;

/// All operations.
#[derive(Debug)]
pub(super) struct Operations {
    /// Those with a field, by name.
    pub(super) with_field: Vec<Operation>,
    /// The others by name, each with its reason.
    pub(super) left_out: Vec<(String, String)>,
}

/// An operation that an app calls.
#[derive(Debug)]
pub(super) struct Operation {
    /// Its name, which is the field's.
    pub(super) name: String,
    /// GET, POST, …
    pub(super) method: String,
    /// The path with its parts in braces.
    pub(super) path: String,
    /// What it does.
    pub(super) description: String,
    /// The parts of its path and its query's parameters.
    pub(super) parameters: Vec<Parameter>,
    /// The schema of its body.
    pub(super) body: Option<Value>,
    /// The schema of its answer.
    pub(super) answer: Value,
}

/// A part of the path or a parameter of the query.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) required: bool,
    pub(super) schema: Value,
}

impl Operation {
    /// Whether it only reads.
    pub(super) fn is_query(&self) -> bool {
        self.method == "GET"
    }

    /// The type that its field belongs to.
    pub(super) fn root(&self) -> &'static str {
        if self.is_query() { "Query" } else { "Mutation" }
    }
}

impl Operations {
    pub(super) fn read(document: &Value) -> anyhow::Result<Self> {
        let mut operations = Self {
            with_field: Vec::new(),
            left_out: Vec::new(),
        };
        let paths = document.get("paths").and_then(Value::as_object);
        for (path, methods) in paths.into_iter().flatten() {
            for (method, described) in methods.as_object().into_iter().flatten() {
                operations.add(path, &method.to_uppercase(), described)?;
            }
        }
        operations
            .with_field
            .sort_by(|left, right| left.name.cmp(&right.name));
        operations.left_out.sort();
        Ok(operations)
    }

    fn add(&mut self, path: &str, method: &str, described: &Value) -> anyhow::Result<()> {
        let name = text(described, "operationId");
        let first = path.split('/').nth(1).unwrap_or_default();
        let scopes = described.pointer("/security/0/token").and_then(Value::as_array);
        let scopes: Vec<&str> = scopes.into_iter().flatten().filter_map(Value::as_str).collect();
        if let Some(reason) = scope::left_out(&name, first, &scopes) {
            self.left_out.push((name, reason));
            return Ok(());
        }
        if !scope::OF_APPS.contains(&first) {
            bail!(
                "{method} {path}: say in infra/local/src/cli/graphql/scope.rs whether an app calls what begins with /{first}"
            );
        }
        let read = || {
            Ok::<_, anyhow::Error>(Operation {
                description: format!(
                    "{}. {}",
                    text(described, "summary"),
                    text(described, "description")
                ),
                parameters: parameters(described)?,
                body: json_schema(described.get("requestBody")),
                answer: answer(described).context("it has no answer in JSON")?,
                name: name.clone(),
                method: method.to_owned(),
                path: path.to_owned(),
            })
        };
        let operation = read().with_context(|| format!("{method} {path}"))?;
        self.with_field.push(operation);
        Ok(())
    }
}

fn parameters(described: &Value) -> anyhow::Result<Vec<Parameter>> {
    let mut found = Vec::new();
    let parameters = described.get("parameters").and_then(Value::as_array);
    for parameter in parameters.into_iter().flatten() {
        let (name, place) = (text(parameter, "name"), text(parameter, "in"));
        match (place.as_str(), name.as_str()) {
            ("path" | "query", _) => found.push(Parameter {
                description: text(parameter, "description"),
                required: place == "path" || parameter.get("required") == Some(&Value::Bool(true)),
                schema: parameter.get("schema").cloned().unwrap_or(Value::Null),
                name,
            }),
            ("header", "x-correlation-id" | "Idempotency-Key") => {}
            _ => bail!("the parameter {name} in {place} has no place in GraphQL"),
        }
    }
    Ok(found)
}

/// The schema of the answers of success, which are alike.
fn answer(described: &Value) -> Option<Value> {
    let responses = described.get("responses")?.as_object()?;
    let mut of_success = responses.iter().filter(|(status, _)| status.starts_with('2'));
    of_success.find_map(|(_, response)| json_schema(Some(response)))
}

fn json_schema(described: Option<&Value>) -> Option<Value> {
    described?.pointer("/content/application~1json/schema").cloned()
}

/// A text; empty when there is none.
fn text(value: &Value, name: &str) -> String {
    value
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
