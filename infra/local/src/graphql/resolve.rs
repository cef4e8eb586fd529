//! A field of the root: its resolver's script makes the event, the function answers, the script makes the field's value.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::bail;
use async_graphql::{
    Error, ErrorExtensionValues, Name, Value,
    dynamic::{FieldValue, ResolverContext},
    parser::types::{BaseType, Type},
};
use futures::Stream;
use serde_json::{Map, Value as Json, json};

use super::{
    live::{self, Filter, Started, Updates},
    script::{Handled, Outcome, ResolverError, Script},
};
use crate::{
    clock::LocalClock,
    runtime::{Runtime, Throttled, WhenBusy},
};

/// The name of an error's type among its extensions.
pub(super) const ERROR_TYPE: &str = "errorType";
/// The name of what else is said of an error among its extensions.
pub(super) const ERROR_INFO: &str = "errorInfo";

/// The fields of each input type with their types, to look into arguments.
pub(super) type Inputs = BTreeMap<String, BTreeMap<String, Type>>;

/// A field of Query, Mutation or Subscription.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) parent: String,
    pub(super) field: String,
}

/// How a field of the root is resolved.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) root: Root,
    /// The function of its data source; none where what is asked is the answer.
    pub(super) function: Option<String>,
    /// Whether it is for the company's own functions, and for nobody else.
    pub(super) is_ours: bool,
    /// Where such a field's answer is told.
    pub(super) updates: Updates,
    pub(super) script: Script,
    /// The API's variables.
    pub(super) environment: BTreeMap<String, String>,
    /// The types of its arguments.
    pub(super) arguments: BTreeMap<String, Type>,
    pub(super) inputs: Arc<Inputs>,
}

/// What all fields of a request share.
pub(crate) struct Call {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) clock: LocalClock,
    pub(crate) caller: Caller,
    /// The request's headers, names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
}

/// Who asks.
pub(crate) enum Caller {
    /// An app, with the claims of its token.
    App(Json),
    /// A function of the company's, with credentials of AWS.
    Function,
}

impl Resolver {
    /// The field's value; an error is told beside it.
    pub(super) async fn resolve(&self, context: &ResolverContext<'_>) -> Option<FieldValue<'static>> {
        let resolved = match self.arguments(context) {
            Ok(arguments) => self.value(context, arguments).await,
            Err(error) => Err(error),
        };
        match resolved {
            Ok(Value::Null) => None,
            Ok(value) => Some(FieldValue::value(value)),
            Err(error) => {
                let error = error.into_server_error(context.item.pos);
                context.add_error(context.set_error_path(error));
                None
            }
        }
    }

    fn arguments(&self, context: &ResolverContext<'_>) -> Result<Json, Error> {
        let mut arguments = Map::new();
        for (name, value) in context.args.iter() {
            let value = value.as_value();
            if *value == Value::Null && is_of_absent_variable(context, name.as_str()) {
                continue;
            }
            if let Some(kind) = self.arguments.get(name.as_str())
                && let Some(number) = self.beyond_int(kind, value)
            {
                let message = format!(
                    "{name}: {number} is no Int, which ends at {} and {}",
                    i32::MIN,
                    i32::MAX
                );
                return Err(failure("ValidationError", message, Json::Null));
            }
            let value = match self.arguments.get(name.as_str()) {
                Some(kind) => self.coerced(kind, value.clone()),
                None => value.clone(),
            };
            arguments.insert(name.to_string(), value.into_json()?);
        }
        Ok(Json::Object(arguments))
    }

    /// A single item where a list is asked for is a list of it, as GraphQL says; the engine takes it and leaves it single.
    fn coerced(&self, kind: &Type, value: Value) -> Value {
        match (&kind.base, value) {
            (_, Value::Null) => Value::Null,
            (BaseType::List(items), Value::List(values)) => Value::List(
                values
                    .into_iter()
                    .map(|value| self.coerced(items, value))
                    .collect(),
            ),
            (BaseType::List(items), single) => Value::List(vec![self.coerced(items, single)]),
            (BaseType::Named(name), Value::Object(parts)) => {
                let fields = self.inputs.get(name.as_str());
                let coerced = |(part, value): (Name, Value)| match fields
                    .and_then(|fields| fields.get(part.as_str()))
                {
                    Some(kind) => (part, self.coerced(kind, value)),
                    None => (part, value),
                };
                Value::Object(parts.into_iter().map(coerced).collect())
            }
            (BaseType::Named(_), value) => value,
        }
    }

    /// A number in an argument that GraphQL's Int doesn't reach; the engine takes any of 64 bits.
    fn beyond_int(&self, kind: &Type, value: &Value) -> Option<String> {
        match (&kind.base, value) {
            (BaseType::List(items), Value::List(values)) => {
                values.iter().find_map(|value| self.beyond_int(items, value))
            }
            (BaseType::List(items), single) => self.beyond_int(items, single),
            (BaseType::Named(name), Value::Number(number)) if name.as_str() == "Int" => {
                let fits = number
                    .as_i64()
                    .is_some_and(|number| i32::try_from(number).is_ok());
                (!fits).then(|| number.to_string())
            }
            (BaseType::Named(name), Value::Object(parts)) => {
                let fields = self.inputs.get(name.as_str())?;
                let mut parts = parts.iter();
                parts.find_map(|(part, value)| self.beyond_int(fields.get(part.as_str())?, value))
            }
            _ => None,
        }
    }

    async fn value(&self, context: &ResolverContext<'_>, arguments: Json) -> Result<Value, Error> {
        let call = context.data::<Arc<Call>>()?;
        let (value, _) = self.answered(call, arguments).await?;
        if self.is_ours {
            self.updates.publish(&self.root.field, value.clone());
        }
        Ok(Value::from_json(value)?)
    }

    /// What the subscription tells from now on: the answers of these mutations that pass its filter.
    pub(super) async fn subscribe(
        &self,
        context: &ResolverContext<'_>,
        mutations: Vec<String>,
    ) -> Result<impl Stream<Item = Result<Value, Error>> + Send + use<>, Error> {
        let call = context.data::<Arc<Call>>()?;
        // Before the filter is made, so that nothing is missed.
        let receiver = self.updates.listen();
        let (_, filter) = self.answered(call, json!({})).await?;
        let filter: Filter = serde_json::from_value(filter).map_err(|error| self.broken(&error.into()))?;
        context.data::<Started>()?.say();
        Ok(live::updates(receiver, mutations, filter))
    }

    /// The value of the field, and the filter that was set.
    async fn answered(&self, call: &Call, arguments: Json) -> Result<(Json, Json), Error> {
        if matches!(call.caller, Caller::Function) != self.is_ours {
            let Root { parent, field } = &self.root;
            let message = format!("Not Authorized to access {field} on type {parent}");
            return Err(failure("Unauthorized", message, Json::Null));
        }
        match self.run(call, arguments).await {
            Ok(Handled {
                outcome: Outcome::Value(value),
                filter,
            }) => Ok((value, filter)),
            Ok(Handled {
                outcome: Outcome::Error(error),
                ..
            }) => Err(of_resolver(error)),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// A fault of ours, of which a caller sees no more than on AppSync.
    fn broken(&self, error: &anyhow::Error) -> Error {
        tracing::error!(
            field = self.root.field.as_str(),
            "resolving the field failed: {error:#}"
        );
        failure("Code", "Runtime Error".to_owned(), Json::Null)
    }

    async fn run(&self, call: &Call, arguments: Json) -> anyhow::Result<Handled> {
        let mut context = self.context(call, arguments);
        let now = call.clock.now();
        let requested = self.script.run("request", &context, now).await?;
        let Outcome::Value(request) = &requested.outcome else {
            return Ok(requested);
        };
        let Some(payload) = request.get("payload") else {
            bail!("the request has no payload")
        };
        let (result, error) = match &self.function {
            Some(function) => invoke(call, function, payload).await?,
            None => (payload.clone(), Json::Null),
        };
        crate::util::set(&mut context, "result", result);
        if !error.is_null() {
            crate::util::set(&mut context, "error", error);
        }
        self.script.run("response", &context, now).await
    }

    /// What the script is told, as AppSync writes it.
    fn context(&self, call: &Call, arguments: Json) -> Json {
        let claims = match &call.caller {
            Caller::App(claims) => claims,
            Caller::Function => &Json::Null,
        };
        let claim = |name: &str| claims.get(name).cloned().unwrap_or(Json::Null);
        json!({
            "arguments": arguments.clone(),
            "args": arguments,
            "identity": { "sub": claim("sub"), "issuer": claim("iss"), "claims": claims },
            "request": { "headers": call.headers, "domainName": null },
            "info": { "fieldName": self.root.field, "parentTypeName": self.root.parent },
            "env": self.environment,
            "source": null,
            "stash": {},
        })
    }
}

/// What a function gave, and how it failed.
async fn invoke(call: &Call, function: &str, event: &Json) -> anyhow::Result<(Json, Json)> {
    let failed = |kind: &str, message: &str| (Json::Null, json!({ "type": kind, "message": message }));
    match call.runtime.invoke_when(function, event, WhenBusy::Refuse).await {
        Ok(result) => Ok(match result.function_error {
            None => (result.payload, Json::Null),
            Some(message) => failed("Lambda:Unhandled", &message),
        }),
        Err(error) if error.is::<Throttled>() => {
            Ok(failed("Lambda:TooManyRequestsException", "Rate Exceeded."))
        }
        Err(error) => Err(error),
    }
}

/// Whether an argument is a variable that the request doesn't give: then the argument isn't given either, while the engine
/// makes it null.
fn is_of_absent_variable(context: &ResolverContext<'_>, argument: &str) -> bool {
    let given = context.item.node.get_argument(argument);
    // A variable is written with a dollar sign, and a text in quotation marks.
    let written = given.map(|value| value.node.to_string()).unwrap_or_default();
    let variable = written.strip_prefix('$');
    variable.is_some_and(|variable| !context.query_env.variables.contains_key(variable))
}

fn of_resolver(error: ResolverError) -> Error {
    let kind = error.error_type.unwrap_or_else(|| "UnknownError".to_owned());
    failure(&kind, error.message, error.error_info)
}

/// An error with what AppSync says beside its message.
fn failure(kind: &str, message: String, info: Json) -> Error {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set(ERROR_TYPE, kind);
    extensions.set(ERROR_INFO, Value::from_json(info).unwrap_or_default());
    Error {
        message,
        source: None,
        extensions: Some(extensions),
    }
}
