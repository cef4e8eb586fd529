//! The app's API in GraphQL as an app sees it, and whether it says what the HTTP API says.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{Answer, Api, Fixture, Result};

const INTROSPECTION: &str = "{ __schema { types { kind name fields { name args { name type { ...T } } type { ...T } } \
                             inputFields { name type { ...T } } } } } \
                             fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

impl Api {
    /// Sends a document with its variables.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn graphql(&self, query: &str, variables: &Value) -> Result<Answer> {
        let body = json!({ "query": query, "variables": variables });
        self.send(self.request(Method::POST, "/graphql").json(&body))
            .await
    }

    /// Sends a document that has to go through, and gives its data.
    ///
    /// # Errors
    /// With the answer, if it doesn't.
    pub async fn graphql_data(&self, query: &str, variables: &Value) -> Result<Value> {
        let answer = self.graphql(query, variables).await?.expect(200)?;
        ensure!(answer.body["errors"].is_null(), "{}", answer.text);
        Ok(answer.body["data"].clone())
    }

    /// Sends a document one of whose fields has to fail with this error, and gives the error.
    ///
    /// # Errors
    /// With the answer, if it doesn't.
    pub async fn graphql_error(&self, query: &str, variables: &Value, kind: &str) -> Result<Value> {
        let answer = self.graphql(query, variables).await?.expect(200)?;
        let error = answer.body["errors"][0].clone();
        ensure!(error["errorType"] == kind, "expected {kind}: {}", answer.text);
        Ok(error)
    }
}

/// Sends what the event file of a function asks for over GraphQL and over HTTP, and says how the answers differ. None where
/// they don't, or where the function has no field.
///
/// # Errors
/// When there is no answer.
pub async fn difference(fixture: &Fixture, function: &str, event: &Value) -> Result<Option<String>> {
    let api = fixture.cloud.template().app_api.as_ref();
    let fields = api.map(|api| api.fields.clone()).unwrap_or_default();
    let field = fields.into_iter().find(|(_, binary)| binary == function);
    let Some(((root, field), _)) = field else {
        return Ok(None);
    };
    let api = fixture.api(Some(claims(event)))?;
    let schema = Schema::ask(&api).await?;
    let definition = schema.field(&root, &field)?;
    let (document, variables) = schema.call(&root, &field, definition, event)?;
    let before = send(&api, event).await?;
    let over_graphql = api.graphql(&document, &variables).await?.expect(200)?;
    let after = send(&api, event).await?;
    let error = &over_graphql.body["errors"][0];
    let seen = match error.is_null() {
        true => schema.seen(&definition["type"], &over_graphql.body["data"][&field])?,
        false => error["errorInfo"].clone(),
    };
    let expected = |answer: &Answer| match answer.status {
        200..300 => schema.expected(&definition["type"], &answer.body),
        _ => Ok(answer.body.clone()),
    };
    let agrees = agrees(&seen, &expected(&before)?, &expected(&after)?);
    Ok((!agrees).then(|| {
        format!(
            "{field}: over GraphQL {}, over HTTP {}",
            over_graphql.text, after.text
        )
    }))
}

/// Whether an answer says what those before and after it say; what differs between them is the time that passed.
fn agrees(seen: &Value, before: &Value, after: &Value) -> bool {
    match (seen, before, after) {
        (Value::Object(seen), Value::Object(before), Value::Object(after)) => {
            seen.len() == before.len()
                && before.iter().all(|(name, before)| {
                    let pair = seen.get(name).zip(after.get(name));
                    pair.is_some_and(|(seen, after)| agrees(seen, before, after))
                })
        }
        (Value::Array(seen), Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            let mut items = seen.iter().zip(before).zip(after);
            seen.len() == before.len() && items.all(|((seen, before), after)| agrees(seen, before, after))
        }
        _ => before != after || seen == before,
    }
}

/// The claims that a token can be made with.
fn claims(event: &Value) -> Value {
    let claims = &event["requestContext"]["authorizer"]["jwt"]["claims"];
    let mut claims = claims.as_object().cloned().unwrap_or_default();
    for name in ["aud", "exp", "iat", "iss"] {
        claims.remove(name);
    }
    Value::Object(claims)
}

/// Sends the request of the event over HTTP.
async fn send(api: &Api, event: &Value) -> Result<Answer> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let method: Method = text(&event["requestContext"]["http"]["method"]).parse()?;
    let query = text(&event["rawQueryString"]);
    let separator = if query.is_empty() { "" } else { "?" };
    let path = format!("{}{separator}{query}", text(&event["rawPath"]));
    let mut request = api.request(method, &path);
    if let Some(key) = event["headers"]["idempotency-key"].as_str() {
        request = request.header("Idempotency-Key", key);
    }
    if let Some(body) = event["body"].as_str() {
        let body: Value = serde_json::from_str(body)?;
        request = request.json(&body);
    }
    api.send(request).await
}

/// The schema as introspection tells it: its types by name.
struct Schema(BTreeMap<String, Value>);

impl Schema {
    async fn ask(api: &Api) -> Result<Self> {
        let data = api.graphql_data(INTROSPECTION, &json!({})).await?;
        let types = data["__schema"]["types"]
            .as_array()
            .context("the schema has no types")?;
        let named = types
            .iter()
            .map(|kind| (kind["name"].as_str().unwrap_or_default().to_owned(), kind.clone()));
        Ok(Self(named.collect()))
    }

    fn named(&self, name: &str) -> Result<&Value> {
        self.0
            .get(name)
            .with_context(|| format!("the schema has no type {name}"))
    }

    fn field(&self, parent: &str, name: &str) -> Result<&Value> {
        let fields = self.named(parent)?["fields"].as_array().into_iter().flatten();
        let mut found = fields.filter(|field| field["name"] == name);
        found
            .next()
            .with_context(|| format!("{parent} has no field {name}"))
    }

    /// A document that calls the field with what the event has, and asks for all that it gives.
    fn call(&self, root: &str, name: &str, field: &Value, event: &Value) -> Result<(String, Value)> {
        let given = given(event)?;
        let mut variables = Map::new();
        let (mut declared, mut passed) = (Vec::new(), Vec::new());
        for argument in field["args"].as_array().into_iter().flatten() {
            let argument_name = argument["name"].as_str().unwrap_or_default();
            let kind = &argument["type"];
            let value = match given.get(argument_name) {
                Some(value) => self.input(kind, value)?,
                // What only GraphQL wants; the ids of the files are 1.
                None if kind["kind"] == "NON_NULL" => json!(1),
                None => continue,
            };
            declared.push(format!("${argument_name}: {}", written(kind)));
            passed.push(format!("{argument_name}: ${argument_name}"));
            variables.insert(argument_name.to_owned(), value);
        }
        let in_parentheses = |parts: &[String]| match parts {
            [] => String::new(),
            parts => format!("({})", parts.join(", ")),
        };
        let document = format!(
            "{} Once{} {{ {name}{} {} }}",
            root.to_lowercase(),
            in_parentheses(&declared),
            in_parentheses(&passed),
            self.selection(&field["type"])?,
        );
        Ok((document, Value::Object(variables)))
    }

    /// Everything that a type has.
    fn selection(&self, kind: &Value) -> Result<String> {
        let kind = named(kind);
        if kind["kind"] != "OBJECT" {
            return Ok(String::new());
        }
        let mut parts = Vec::new();
        let object = self.named(kind["name"].as_str().unwrap_or_default())?;
        for field in object["fields"].as_array().into_iter().flatten() {
            let name = field["name"].as_str().unwrap_or_default();
            parts.push(format!("{name} {}", self.selection(&field["type"])?));
        }
        Ok(format!("{{ {} }}", parts.join(" ")))
    }

    /// A value of a request as an argument of this type.
    fn input(&self, kind: &Value, value: &Value) -> Result<Value> {
        let kind = nullable(kind);
        if kind["kind"] == "LIST" {
            let items = value.as_array().context("a list is expected")?;
            let items: Result<Vec<Value>> = items
                .iter()
                .map(|item| self.input(&kind["ofType"], item))
                .collect();
            return Ok(Value::Array(items?));
        }
        let name = kind["name"].as_str().unwrap_or_default();
        Ok(match (name, value) {
            ("String" | "ID", Value::Number(number)) => json!(number.to_string()),
            ("Int" | "Float" | "Boolean", Value::String(text)) => serde_json::from_str(text)?,
            (_, Value::Object(parts)) => {
                let mut converted = Map::new();
                let fields = self.named(name)?["inputFields"].as_array().into_iter().flatten();
                for field in fields {
                    let part = field["name"].as_str().unwrap_or_default();
                    if let Some(value) = parts.get(part) {
                        converted.insert(part.to_owned(), self.input(&field["type"], value)?);
                    }
                }
                ensure!(converted.len() == parts.len(), "{name} lacks a part of {value}");
                Value::Object(converted)
            }
            _ => value.clone(),
        })
    }

    /// What the HTTP API answered as this type has it: every number but an Int as text, what is missing as null.
    fn expected(&self, kind: &Value, value: &Value) -> Result<Value> {
        self.converted(kind, value, &|name, value| {
            Ok(match value {
                Value::Number(number) if name != "Int" => json!(number.to_string()),
                _ => value.clone(),
            })
        })
    }

    /// What GraphQL answered, with JSON instead of text of JSON.
    fn seen(&self, kind: &Value, value: &Value) -> Result<Value> {
        self.converted(kind, value, &|name, value| {
            Ok(match value {
                Value::String(text) if name == "AWSJSON" => serde_json::from_str(text)?,
                _ => value.clone(),
            })
        })
    }

    fn converted(
        &self,
        kind: &Value,
        value: &Value,
        scalar: &dyn Fn(&str, &Value) -> Result<Value>,
    ) -> Result<Value> {
        let kind = nullable(kind);
        if value.is_null() {
            return Ok(Value::Null);
        }
        if kind["kind"] == "LIST" {
            let items = value.as_array().context("a list is expected")?;
            let items = items
                .iter()
                .map(|item| self.converted(&kind["ofType"], item, scalar));
            return Ok(Value::Array(items.collect::<Result<_>>()?));
        }
        let name = kind["name"].as_str().unwrap_or_default();
        if kind["kind"] != "OBJECT" {
            return scalar(name, value);
        }
        let (mut parts, taken) = (Map::new(), Value::Bool(true));
        for field in self.named(name)?["fields"].as_array().into_iter().flatten() {
            let part = field["name"].as_str().unwrap_or_default();
            // Of a field with a signature of its own the answer stands beside `result`.
            let of_http = value.get("result").is_none() && self.field(name, "result").is_ok();
            let value = match (of_http, part) {
                (false, _) => &value[part],
                (true, "result") => &taken,
                (true, _) => value,
            };
            parts.insert(part.to_owned(), self.converted(&field["type"], value, scalar)?);
        }
        Ok(Value::Object(parts))
    }
}

/// What the event has for arguments.
fn given(event: &Value) -> Result<Map<String, Value>> {
    let mut given = Map::new();
    let body: Value = match event["body"].as_str() {
        Some(body) => serde_json::from_str(body)?,
        None => Value::Null,
    };
    for part in [&event["pathParameters"], &event["queryStringParameters"], &body] {
        given.extend(part.as_object().cloned().unwrap_or_default());
    }
    let key = &event["headers"]["idempotency-key"];
    if key.is_string() {
        given.insert("idempotency_key".to_owned(), key.clone());
    }
    if event["isBase64Encoded"] == true {
        bail!("the event's body is encoded")
    }
    Ok(given)
}

/// A type without its mark.
fn nullable(kind: &Value) -> &Value {
    if kind["kind"] == "NON_NULL" {
        &kind["ofType"]
    } else {
        kind
    }
}

/// The type that lists and marks are about.
fn named(kind: &Value) -> &Value {
    match kind["kind"].as_str() {
        Some("NON_NULL" | "LIST") => named(&kind["ofType"]),
        _ => kind,
    }
}

/// A type as it is written.
fn written(kind: &Value) -> String {
    match kind["kind"].as_str() {
        Some("NON_NULL") => format!("{}!", written(&kind["ofType"])),
        Some("LIST") => format!("[{}]", written(&kind["ofType"])),
        _ => kind["name"].as_str().unwrap_or_default().to_owned(),
    }
}
