//! The schema of `infra/schema.graphql` as a schema that runs: fields of the root call the resolver, all others take what
//! their parent has under their name.

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use async_graphql::{
    Value,
    dynamic::{
        Field, FieldFuture, FieldValue, InputObject, InputValue, Object, Scalar, Schema, Subscription,
        SubscriptionField, SubscriptionFieldFuture, TypeRef,
    },
    parser::{
        parse_schema,
        types::{
            BaseType, ConstDirective, FieldDefinition, InputValueDefinition, ServiceDocument, Type,
            TypeDefinition, TypeKind, TypeSystemDefinition,
        },
    },
};
use chrono::{DateTime, NaiveDate};
use serde_json::json;

use super::{
    live::Updates,
    resolve::{Inputs, Resolver, Root},
    script::Script,
};
use crate::template::AppApi;

const QUERY: &str = "Query";
const MUTATION: &str = "Mutation";
const SUBSCRIPTION: &str = "Subscription";
/// Marks a field of Mutation that only the company's own functions may ask for.
const OURS: &str = "aws_iam";
/// Says which mutations a field of Subscription tells of.
const SUBSCRIBES: &str = "aws_subscribe";

/// What resolves the fields of the roots.
pub(super) struct Scripts {
    /// Those that a function is behind.
    pub(super) of_functions: Script,
    /// Those of live updates, where there are any.
    pub(super) live: Option<Script>,
    pub(super) updates: Updates,
}

/// Builds the schema of an API.
pub(super) fn build(api: &AppApi, sdl: &str, scripts: &Scripts) -> anyhow::Result<Schema> {
    let document = parse_schema(with_descriptions(sdl)).map_err(|error| anyhow!("{error}"))?;
    let definitions = types(document);
    let roots = Roots {
        api,
        scripts,
        inputs: Arc::new(inputs(&definitions)),
    };
    let has = |name: &str| definitions.iter().any(|definition| definition.name.node == name);
    let (mutation, subscription) = (
        has(MUTATION).then_some(MUTATION),
        has(SUBSCRIPTION).then_some(SUBSCRIPTION),
    );
    let mut builder = Schema::build(QUERY, mutation, subscription).disable_suggestions();
    if !api.introspection {
        builder = builder.disable_introspection();
    }
    for scalar in scalars() {
        builder = builder.register(scalar);
    }
    for definition in definitions {
        let name = definition.name.node.to_string();
        let description = definition.description.map(|description| description.node);
        match definition.kind {
            TypeKind::Object(object) if name == SUBSCRIPTION => {
                let mut built = Subscription::new(name);
                for field in object.fields {
                    built = built.field(roots.subscription(field.node)?);
                }
                builder = builder.register(built);
            }
            TypeKind::Object(object) => {
                let mut built = Object::new(name.clone());
                if let Some(description) = description {
                    built = built.description(description);
                }
                for field in object.fields {
                    built = built.field(roots.field(&name, field.node)?);
                }
                builder = builder.register(built);
            }
            TypeKind::InputObject(input) => {
                let mut built = InputObject::new(name);
                if let Some(description) = description {
                    built = built.description(description);
                }
                for field in input.fields {
                    built = built.field(input_value(field.node));
                }
                builder = builder.register(built);
            }
            _ => bail!("the type {name} is of a kind that the local cloud doesn't know"),
        }
    }
    builder.finish().context("the schema isn't whole")
}

fn types(document: ServiceDocument) -> Vec<TypeDefinition> {
    let definitions = document.definitions.into_iter();
    let types = definitions.filter_map(|definition| match definition {
        TypeSystemDefinition::Type(definition) => Some(definition.node),
        _ => None,
    });
    types.collect()
}

fn inputs(definitions: &[TypeDefinition]) -> Inputs {
    let mut inputs = Inputs::new();
    for definition in definitions {
        if let TypeKind::InputObject(input) = &definition.kind {
            let fields = input.fields.iter();
            let fields = fields.map(|field| (field.node.name.node.to_string(), field.node.ty.node.clone()));
            inputs.insert(definition.name.node.to_string(), fields.collect());
        }
    }
    inputs
}

/// What fields of the roots are made with.
struct Roots<'a> {
    api: &'a AppApi,
    scripts: &'a Scripts,
    inputs: Arc<Inputs>,
}

impl Roots<'_> {
    fn field(&self, parent: &str, definition: FieldDefinition) -> anyhow::Result<Field> {
        let name = definition.name.node.to_string();
        let kind = type_ref(&definition.ty.node);
        let mut field = if parent == QUERY || parent == MUTATION {
            let resolver = Arc::new(self.resolver(parent, &definition)?);
            Field::new(name, kind, move |context| {
                let resolver = Arc::clone(&resolver);
                FieldFuture::new(async move { Ok(resolver.resolve(&context).await) })
            })
        } else {
            let key = name.clone();
            Field::new(name, kind, move |context| {
                FieldFuture::from_value(part(context.parent_value, &key))
            })
        };
        if let Some(description) = definition.description {
            field = field.description(description.node);
        }
        for argument in definition.arguments {
            field = field.argument(input_value(argument.node));
        }
        Ok(field)
    }

    fn subscription(&self, definition: FieldDefinition) -> anyhow::Result<SubscriptionField> {
        let name = definition.name.node.to_string();
        let kind = type_ref(&definition.ty.node);
        let resolver = Arc::new(self.resolver(SUBSCRIPTION, &definition)?);
        let directive = directive(&definition, SUBSCRIBES);
        let mutations = directive.and_then(|directive| directive.get_argument("mutations"));
        let mutations = match mutations.map(|argument| &argument.node) {
            Some(Value::List(names)) => names.iter().filter_map(text).collect(),
            _ => bail!("{name}: say @{SUBSCRIBES}(mutations: […])"),
        };
        let mutations: Vec<String> = mutations;
        let mut field = SubscriptionField::new(name, kind, move |context| {
            let (resolver, mutations) = (Arc::clone(&resolver), mutations.clone());
            SubscriptionFieldFuture::new(async move { resolver.subscribe(&context, mutations).await })
        });
        if let Some(description) = definition.description {
            field = field.description(description.node);
        }
        Ok(field)
    }

    fn resolver(&self, parent: &str, definition: &FieldDefinition) -> anyhow::Result<Resolver> {
        let name = definition.name.node.to_string();
        let place = (parent.to_owned(), name.clone());
        let function = self.api.fields.get(&place).cloned();
        let live = self.scripts.live.as_ref();
        let script = match live.filter(|_| self.api.live_fields.contains(&place)) {
            Some(live) => live,
            None if function.is_some() => &self.scripts.of_functions,
            None => bail!("{parent}.{name} has no resolver in the template"),
        };
        let types = definition.arguments.iter();
        let types =
            types.map(|argument| (argument.node.name.node.to_string(), argument.node.ty.node.clone()));
        Ok(Resolver {
            root: Root {
                parent: parent.to_owned(),
                field: name,
            },
            function,
            is_ours: directive(definition, OURS).is_some(),
            updates: self.scripts.updates.clone(),
            script: script.clone(),
            environment: self.api.environment.clone(),
            arguments: types.collect(),
            inputs: Arc::clone(&self.inputs),
        })
    }
}

fn directive<'a>(definition: &'a FieldDefinition, name: &str) -> Option<&'a ConstDirective> {
    let mut directives = definition.directives.iter();
    let found = directives.find(|directive| directive.node.name.node == name)?;
    Some(&found.node)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// What an object has under a name.
fn part(parent: &FieldValue<'_>, name: &str) -> Option<Value> {
    match parent.as_value()? {
        Value::Object(parts) => parts.get(name).filter(|part| **part != Value::Null).cloned(),
        _ => None,
    }
}

fn input_value(definition: InputValueDefinition) -> InputValue {
    let value = InputValue::new(definition.name.node.to_string(), type_ref(&definition.ty.node));
    match definition.description {
        Some(description) => value.description(description.node),
        None => value,
    }
}

fn type_ref(kind: &Type) -> TypeRef {
    let base = match &kind.base {
        BaseType::Named(name) => TypeRef::named(name.to_string()),
        BaseType::List(items) => TypeRef::List(Box::new(type_ref(items))),
    };
    if kind.nullable {
        base
    } else {
        TypeRef::NonNull(Box::new(base))
    }
}

/// AppSync's own scalars that the schema uses.
fn scalars() -> [Scalar; 3] {
    [
        Scalar::new("AWSDate")
            .description("A date, such as 2026-11-28.")
            .validator(move |value| text(value).is_some_and(|text| text.parse::<NaiveDate>().is_ok())),
        Scalar::new("AWSDateTime")
            .description("A time with its zone, such as 2026-11-28T12:00:00Z.")
            .validator(move |value| {
                text(value).is_some_and(|text| DateTime::parse_from_rfc3339(&text).is_ok())
            }),
        Scalar::new("AWSJSON")
            .description("JSON as text.")
            .validator(move |value| {
                text(value).is_some_and(|text| serde_json::from_str::<serde_json::Value>(&text).is_ok())
            }),
    ]
}

/// The schema with the comments before its definitions as descriptions, which is what AppSync takes them for.
fn with_descriptions(sdl: &str) -> String {
    let mut text = String::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in sdl.lines() {
        let trimmed = line.trim();
        if let Some(said) = trimmed.strip_prefix('#') {
            comment.push(said.trim());
            continue;
        }
        if !trimmed.is_empty() && !comment.is_empty() {
            // A text of JSON is one of GraphQL.
            text.push_str(&json!(comment.join("\n")).to_string());
            text.push('\n');
        }
        comment.clear();
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_descriptions() {
        let text = with_descriptions(
            "# A header.\n\n# A type\n# of mine.\ntype A {\n  # A \"\"\"part\"\"\".\n  a: ID\n}\n",
        );
        let document = parse_schema(&text).unwrap();
        let definition = types(document).remove(0);
        assert_eq!(definition.description.unwrap().node, "A type\nof mine.");
        let TypeKind::Object(object) = definition.kind else {
            panic!("no object");
        };
        let description = object.fields[0].node.description.clone().unwrap().node;
        assert_eq!(description, "A \"\"\"part\"\"\".");
    }

    #[test]
    fn types_keep_their_marks() {
        let kind = type_ref(&Type::new("[Flow!]!").unwrap());
        assert_eq!(kind.to_string(), "[Flow!]!");
    }
}
