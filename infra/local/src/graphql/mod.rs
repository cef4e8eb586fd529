//! The app's API in GraphQL, as AppSync runs it: the schema, the resolver's script and the limits are those of the template.

mod limits;
mod live;
mod resolve;
mod schema;
mod script;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use async_graphql::{
    Request, ServerError, Variables,
    parser::{
        parse_query,
        types::{ExecutableDocument, OperationType},
    },
};
use futures::{StreamExt, stream::BoxStream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub(crate) use self::resolve::{Call, Caller};
use self::{
    limits::Limits,
    live::{Started, Updates},
    resolve::{ERROR_INFO, ERROR_TYPE},
    schema::Scripts,
    script::Script,
};
use crate::template::AppApi;

/// How long AppSync works on a request.
const MAX_TIME: Duration = Duration::from_secs(30);

/// The API, ready to answer.
pub(crate) struct Graphql {
    schema: async_graphql::dynamic::Schema,
    limits: Limits,
}

/// A request as clients send it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Asked {
    query: String,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Option<Value>,
}

/// An answer, and whether the document could be read at all.
pub(crate) struct Answer {
    pub(crate) body: Value,
    pub(crate) readable: bool,
}

/// A subscription.
pub(crate) struct Subscribed {
    /// What it tells; the errors that it can't begin for come as its first answer.
    pub(crate) answers: BoxStream<'static, Value>,
    /// Comes when it has begun.
    pub(crate) started: oneshot::Receiver<()>,
}

impl Graphql {
    /// Reads the schema and the script that the template names.
    pub(crate) fn load(api: &AppApi) -> anyhow::Result<Self> {
        let read = |path: &std::path::Path| {
            std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))
        };
        let live = api.live_resolver.as_deref().map(read).transpose()?;
        let scripts = Scripts {
            of_functions: Script::new(&read(&api.resolver)?),
            live: live.as_deref().map(Script::new),
            updates: Updates::new(),
        };
        let schema = schema::build(api, &read(&api.schema)?, &scripts)
            .with_context(|| format!("{} can't be served", api.schema.display()))?;
        Ok(Self {
            schema,
            limits: Limits {
                depth: api.max_depth,
                resolvers: api.max_resolvers,
                introspection: api.introspection,
            },
        })
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, asked: Asked, call: Call) -> Answer {
        let document = match parse_query(&asked.query) {
            Ok(document) => document,
            Err(error) => {
                return Answer {
                    body: refusal(
                        "MalformedHttpRequestException",
                        &format!("Invalid syntax: {error}"),
                    ),
                    readable: false,
                };
            }
        };
        if let Err(exceeded) = limits::check(&document, self.limits) {
            return Answer::of(refusal(exceeded.error_type(), &exceeded.message()));
        }
        let request = request(asked, call, document);
        match tokio::time::timeout(MAX_TIME, self.schema.execute(request)).await {
            Ok(response) => Answer::of(body(response)),
            Err(_) => Answer::of(refusal(
                "ExecutionTimeout",
                "The request took longer than 30 seconds.",
            )),
        }
    }

    /// Begins a subscription.
    ///
    /// # Errors
    /// With the refusal of a document that is none, or that passes a limit.
    pub(crate) fn subscribe(&self, asked: Asked, call: Call) -> Result<Subscribed, Value> {
        let document = parse_query(&asked.query).map_err(|error| {
            let message = format!("Invalid syntax: {error}");
            refusal("MalformedHttpRequestException", &message)
        })?;
        limits::check(&document, self.limits)
            .map_err(|exceeded| refusal(exceeded.error_type(), &exceeded.message()))?;
        let mut operations = document.operations.iter();
        if !operations.all(|(_, operation)| operation.node.ty == OperationType::Subscription) {
            let message = "Only subscriptions are made over a WebSocket.";
            return Err(refusal("UnsupportedOperation", message));
        }
        let (has_started, started) = Started::new();
        let request = request(asked, call, document).data(has_started);
        Ok(Subscribed {
            answers: self.schema.execute_stream(request).map(body).boxed(),
            started,
        })
    }
}

fn request(asked: Asked, call: Call, document: ExecutableDocument) -> Request {
    let mut request = Request::new(asked.query)
        .variables(Variables::from_json(asked.variables.unwrap_or(Value::Null)))
        .data(Arc::new(call));
    if let Some(name) = asked.operation_name {
        request = request.operation_name(name);
    }
    request.set_parsed_query(document);
    request
}

impl Answer {
    fn of(body: Value) -> Self {
        Self { body, readable: true }
    }

    /// The type of its first error.
    pub(crate) fn error(&self) -> Option<&str> {
        let error = self.body.pointer("/errors/0")?;
        error
            .get(ERROR_TYPE)
            .and_then(Value::as_str)
            .or(Some("ValidationError"))
    }
}

/// An answer without data.
pub(crate) fn refusal(kind: &str, message: &str) -> Value {
    json!({ "data": null, "errors": [{ "errorType": kind, "message": message }] })
}

fn body(response: async_graphql::Response) -> Value {
    let data = response.data.into_json().unwrap_or(Value::Null);
    if response.errors.is_empty() {
        return json!({ "data": data });
    }
    json!({ "data": data, "errors": response.errors.iter().map(error).collect::<Vec<_>>() })
}

/// An error as AppSync writes it: what others have in `extensions` stands beside the message.
fn error(error: &ServerError) -> Value {
    let locations = error.locations.iter();
    let locations =
        locations.map(|place| json!({ "line": place.line, "column": place.column, "sourceName": null }));
    let of_resolver = |name: &str| {
        let value = error
            .extensions
            .as_ref()
            .and_then(|extensions| extensions.get(name));
        value
            .and_then(|value| value.clone().into_json().ok())
            .unwrap_or(Value::Null)
    };
    let mut written = json!({
        "message": error.message,
        "locations": locations.collect::<Vec<_>>(),
        "path": null,
    });
    if !error.path.is_empty() {
        crate::util::set(&mut written, "path", json!(error.path));
        crate::util::set(&mut written, "data", Value::Null);
        crate::util::set(&mut written, ERROR_TYPE, of_resolver(ERROR_TYPE));
        crate::util::set(&mut written, ERROR_INFO, of_resolver(ERROR_INFO));
    }
    written
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::template::{Locals, Template};

    fn api() -> AppApi {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
        Template::load(&path, &Locals::default())
            .unwrap()
            .app_api
            .unwrap()
    }

    #[tokio::test]
    async fn the_schema_of_the_template_is_served() {
        let graphql = Graphql::load(&api()).unwrap();
        let response = graphql
            .schema
            .execute("{ __schema { mutationType { fields { name } } } }")
            .await;
        assert!(response.errors.is_empty(), "{:?}", response.errors);
        let data = response.data.into_json().unwrap();
        let fields = data["__schema"]["mutationType"]["fields"].as_array().unwrap();
        assert!(fields.contains(&json!({ "name": "deposit_funds" })), "{data}");
    }

    #[test]
    fn the_template_says_whether_the_schema_is_told() {
        let graphql = Graphql::load(&AppApi {
            introspection: false,
            ..api()
        });
        let limits = graphql.unwrap().limits;
        let document = parse_query("{ __schema { types { name } } }").unwrap();
        let exceeded = limits::check(&document, limits).unwrap_err();
        assert_eq!(exceeded.error_type(), "IntrospectionDisabled");
    }

    #[test]
    fn an_error_has_what_appsync_writes() {
        let refused = refusal("UnauthorizedException", "No.");
        let expected = json!([{ "errorType": "UnauthorizedException", "message": "No." }]);
        assert_eq!(refused["errors"], expected);
        assert!(refused["data"].is_null());
    }
}
