//! What an operation says of itself for the API's description (OpenAPI 3.1).
//!
//! Routes stand in the template alone; `moneta openapi` joins them with what each function prints here.

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::correlation;
use crate::http::HttpOperation;
use crate::problem::Problem;

/// The HTTP method; it decides where the input is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Input from the query.
    Get,
    /// Input from the query.
    Delete,
    /// Input from the body.
    Post,
    /// Input from the body.
    Put,
    /// Input from the body.
    Patch,
}

/// The description of an operation.
#[derive(Debug, Clone)]
pub struct About {
    pub(super) method: Method,
    summary: &'static str,
    description: &'static str,
    answers: Vec<(u16, &'static str)>,
    problems: Vec<(u16, &'static str)>,
    pub(super) needs_idempotency_key: bool,
}

impl About {
    /// An operation, with one line and a paragraph about it.
    pub fn new(method: Method, summary: &'static str, description: &'static str) -> Self {
        Self {
            method,
            summary,
            description,
            answers: Vec::new(),
            problems: vec![
                (400, "The request can't be read; `errors` names the fields."),
                (403, "The token doesn't allow this."),
                (500, "Something broke on our side."),
                (503, "Not possible at the moment; try again."),
            ],
            needs_idempotency_key: false,
        }
    }

    /// An answer of this operation with its output as body.
    #[must_use]
    pub fn answer(mut self, status: u16, when: &'static str) -> Self {
        self.answers.push((status, when));
        self
    }

    /// A refusal particular to this operation.
    #[must_use]
    pub fn refusal(mut self, status: u16, when: &'static str) -> Self {
        self.problems.push((status, when));
        self
    }

    /// The operation asks for an `Idempotency-Key`.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.needs_idempotency_key = true;
        self.refusal(
            409,
            "The request conflicts with the state of things, or one with the same key is in flight.",
        )
        .refusal(
            422,
            "The request is understood and refused, or its key was used for another body.",
        )
    }

    fn takes_body(&self) -> bool {
        matches!(self.method, Method::Post | Method::Put | Method::Patch)
    }
}

/// Prints the operation as JSON: `{"operation": …, "components": {"schemas": …}}`.
pub(super) fn print<O: HttpOperation>() -> ExitCode {
    let text = describe::<O>().to_string();
    match writeln!(std::io::stdout().lock(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn describe<O: HttpOperation>() -> Value {
    let about = O::about();
    let mut parameters = vec![json!({
        "name": correlation::HEADER, "in": "header", "required": false,
        "description": "Names this request in the logs; one that can't be written there is replaced.",
        "schema": {"type": "string"},
    })];
    if about.needs_idempotency_key {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "A unique key of this request. The same key with the same body is done once and answered the same.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[\\x21-\\x7E]+$"},
        }));
    }
    if !about.takes_body() {
        parameters.extend(query_parameters(&to_json(&O::Input::schema())));
    }
    let mut operation = Map::new();
    operation.insert("summary".to_owned(), json!(about.summary));
    operation.insert("description".to_owned(), json!(about.description));
    operation.insert("parameters".to_owned(), json!(parameters));
    if about.takes_body() {
        operation.insert(
            "requestBody".to_owned(),
            json!({"required": true, "content": {"application/json": {"schema": reference::<O::Input>()}}}),
        );
    }
    operation.insert("responses".to_owned(), responses::<O>(&about));
    json!({ "operation": operation, "components": {"schemas": schemas::<O>(&about)} })
}

fn responses<O: HttpOperation>(about: &About) -> Value {
    let mut responses = Map::new();
    for (status, when) in &about.answers {
        let mut answer = response(when, "application/json", reference::<O::Output>());
        if about.needs_idempotency_key {
            add_header(&mut answer, "idempotency-replayed", replayed());
        }
        responses.insert(status.to_string(), answer);
    }
    let of_bodies = [(413, "The body is too large."), (415, "The body is not JSON.")];
    let of_bodies = of_bodies.iter().filter(|_| about.takes_body());
    for (status, when) in about.problems.iter().chain(of_bodies) {
        let mut answer = response(when, "application/problem+json", reference::<Problem>());
        if about.needs_idempotency_key && *status == 422 {
            add_header(&mut answer, "idempotency-replayed", replayed());
        }
        if *status == 503 {
            add_header(&mut answer, "retry-after", retry_after());
        }
        responses.insert(status.to_string(), answer);
    }
    Value::Object(responses)
}

fn response(when: &str, content_type: &str, schema: Value) -> Value {
    let correlation_id = json!({
        "description": "Names this request in the logs: the caller's own, or a new one.",
        "schema": {"type": "string"},
    });
    json!({
        "description": when,
        "headers": {correlation::HEADER: correlation_id},
        "content": {content_type: {"schema": schema}},
    })
}

fn replayed() -> Value {
    json!({
        "description": "`true` when this answers a repetition; the request was done before.",
        "schema": {"type": "string", "enum": ["true"]},
    })
}

fn retry_after() -> Value {
    json!({
        "description": "Seconds after which to ask again.",
        "schema": {"type": "integer", "minimum": 0},
    })
}

fn add_header(response: &mut Value, name: &str, header: Value) {
    if let Some(headers) = response.get_mut("headers").and_then(Value::as_object_mut) {
        headers.insert(name.to_owned(), header);
    }
}

fn schemas<O: HttpOperation>(about: &About) -> Value {
    let mut all: Vec<(String, RefOr<Schema>)> = vec![
        (O::Output::name().into_owned(), O::Output::schema()),
        (Problem::name().into_owned(), Problem::schema()),
    ];
    if about.takes_body() {
        all.push((O::Input::name().into_owned(), O::Input::schema()));
        O::Input::schemas(&mut all);
    }
    O::Output::schemas(&mut all);
    Problem::schemas(&mut all);
    Value::Object(
        all.iter()
            .map(|(name, schema)| (name.clone(), to_json(schema)))
            .collect(),
    )
}

/// The fields of the input, as parameters of the query.
fn query_parameters(schema: &Value) -> Vec<Value> {
    let required = |name: &str| {
        schema
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|names| names.iter().any(|n| n == name))
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, field)| {
            let mut field = field.clone();
            let description = field
                .as_object_mut()
                .and_then(|field| field.remove("description"));
            drop_null(&mut field);
            json!({"name": name, "in": "query", "required": required(name),
                   "description": description, "schema": field})
        })
        .collect()
}

/// A parameter that may be left out is not one that may be null.
fn drop_null(schema: &mut Value) {
    let kinds = schema.get("type").and_then(Value::as_array);
    let kept: Option<Value> = kinds
        .and_then(|kinds| kinds.iter().find(|kind| *kind != "null"))
        .cloned();
    if let (Some(kept), Some(schema)) = (kept, schema.as_object_mut()) {
        schema.insert("type".to_owned(), kept);
    }
}

fn reference<T: ToSchema>() -> Value {
    json!({"$ref": format!("#/components/schemas/{}", T::name())})
}

fn to_json(schema: &RefOr<Schema>) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}
