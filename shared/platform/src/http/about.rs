//! What an operation says of itself in its own code.

use domain::currency::Currency;
use serde_json::{Value, json};

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
    pub(crate) method: Method,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) responses: Vec<(u16, &'static str)>,
    pub(super) problems: Vec<(u16, &'static str)>,
    pub(super) path: Vec<Value>,
    pub(super) headers: Vec<Value>,
    pub(super) file: Option<&'static str>,
    pub(crate) needs_idempotency_key: bool,
    pub(crate) key_needed_when: Option<&'static str>,
    pub(super) exclusive: Vec<(&'static str, &'static [&'static str])>,
}

impl About {
    /// An operation, with one line and a paragraph about it.
    pub fn new(method: Method, summary: &'static str, description: &'static str) -> Self {
        Self {
            method,
            summary,
            description,
            responses: Vec::new(),
            problems: vec![
                (400, "The request can't be read; `errors` names the fields."),
                (403, "The token doesn't allow this."),
                (500, "Something broke on our side."),
                (503, "Not possible at the moment; try again."),
            ],
            path: Vec::new(),
            headers: Vec::new(),
            file: None,
            needs_idempotency_key: false,
            key_needed_when: None,
            exclusive: Vec::new(),
        }
    }

    /// A part of the path, the template's `{name}`, with its JSON schema. What doesn't fit the schema is 404.
    #[must_use]
    pub fn path(mut self, name: &'static str, schema: Value, description: &'static str) -> Self {
        self.path.push(json!({
            "name": name, "in": "path", "required": true, "description": description, "schema": schema,
        }));
        if self.problems.iter().any(|(status, _)| *status == 404) {
            return self;
        }
        self.problem(404, "There is nothing of this path, or it is someone else's.")
    }

    /// A part of the path that is the id of a row.
    #[must_use]
    pub fn path_id(self, name: &'static str, description: &'static str) -> Self {
        let schema = json!({"type": "integer", "format": "int64", "minimum": 1});
        self.path(name, schema, description)
    }

    /// A part of the path that is another system's id: so many visible ASCII characters at most.
    #[must_use]
    pub fn path_text(self, name: &'static str, max_length: usize, description: &'static str) -> Self {
        let schema = json!({
            "type": "string", "minLength": 1, "maxLength": max_length, "pattern": r"^[\x21-\x7E]+$",
        });
        self.path(name, schema, description)
    }

    /// A part of the path that is a UUID.
    #[must_use]
    pub fn path_uuid(self, name: &'static str, description: &'static str) -> Self {
        self.path(name, json!({"type": "string", "format": "uuid"}), description)
    }

    /// A part of the path that is a currency's ISO 4217 code.
    #[must_use]
    pub fn path_currency(self, name: &'static str, description: &'static str) -> Self {
        let codes: Vec<&str> = Currency::KNOWN.iter().map(Currency::code).collect();
        self.path(name, json!({"type": "string", "enum": codes}), description)
    }

    /// The response of 200 comes as CSV too ([`Reply::csv`](crate::http::Reply::csv)).
    #[must_use]
    pub fn also_csv(mut self) -> Self {
        self.file = Some("text/csv");
        self
    }

    /// The response of 200 comes as PDF too ([`Reply::pdf`](crate::http::Reply::pdf)), to those who name it in `Accept`.
    #[must_use]
    pub fn also_pdf(mut self) -> Self {
        self.file = Some("application/pdf");
        self
    }

    /// A header that the sender of a webhook gives.
    #[must_use]
    pub fn header(mut self, name: &'static str, description: &'static str) -> Self {
        self.headers.push(json!({
            "name": name, "in": "header", "required": true, "description": description, "schema": {"type": "string"},
        }));
        self
    }

    /// A response of this operation with its output as body.
    #[must_use]
    pub fn response(mut self, status: u16, when: &'static str) -> Self {
        self.responses.push((status, when));
        self
    }

    /// A problem particular to this operation.
    #[must_use]
    pub fn problem(mut self, status: u16, when: &'static str) -> Self {
        self.problems.push((status, when));
        self
    }

    /// The operation requires an `Idempotency-Key` at times, and ignores it at others.
    #[must_use]
    pub fn idempotent_when(mut self, when: &'static str) -> Self {
        self.key_needed_when = Some(when);
        self
    }

    /// The operation requires an `Idempotency-Key`.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.needs_idempotency_key = true;
        self.problem(
            409,
            "The request conflicts with the state of things, or one with the same key is in flight.",
        )
        .problem(
            422,
            "The request is understood and refused, or its key was used for another body.",
        )
    }

    /// Of these fields of a schema exactly one is given.
    #[must_use]
    pub fn one_of(mut self, schema: &'static str, fields: &'static [&'static str]) -> Self {
        self.exclusive.push((schema, fields));
        self
    }

    /// Whether the input is a body.
    pub(super) fn takes_body(&self) -> bool {
        matches!(self.method, Method::Post | Method::Put | Method::Patch)
    }
}
