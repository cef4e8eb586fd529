//! What a schema of the HTTP API is in GraphQL.

use anyhow::{Context, bail};
use serde_json::{Map, Value};

use super::scope;

/// The longest list of a value's words that is shown.
const MAX_WORDS: usize = 20;

/// The schemas of the HTTP API by name.
pub(super) struct Schemas<'a>(pub(super) Option<&'a Map<String, Value>>);

/// What a value is.
pub(super) enum Shape<'a> {
    /// A scalar of this name.
    Scalar(&'static str),
    /// A whole number that GraphQL has as this kind of text.
    NumberAsText(&'static str),
    /// Names with values: JSON as text.
    Map,
    /// An object; its name is that of the schema.
    Object(String, &'a Value),
    /// A list.
    List(Box<Kind<'a>>),
}

/// A shape, and whether it may be null.
pub(super) struct Kind<'a> {
    pub(super) shape: Shape<'a>,
    pub(super) nullable: bool,
}

impl<'a> Schemas<'a> {
    pub(super) fn of(document: &'a Value) -> Self {
        Self(document.pointer("/components/schemas").and_then(Value::as_object))
    }

    /// What a schema is; `name` is that of the property it belongs to.
    pub(super) fn kind(&self, schema: &'a Value, name: &str) -> anyhow::Result<Kind<'a>> {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let (referred, target) = self.referred(target)?;
            if is_object(target) {
                return Ok(Kind {
                    shape: Shape::Object(referred.to_owned(), target),
                    nullable: false,
                });
            }
            return self.kind(target, name);
        }
        for choice in ["oneOf", "anyOf", "allOf"] {
            if let Some(schemas) = schema.get(choice).and_then(Value::as_array) {
                return self.one_of(schemas, name);
            }
        }
        let (kinds, nullable) = types(schema);
        let shape = match kinds.as_slice() {
            ["boolean"] => Shape::Scalar("Boolean"),
            ["integer"] => whole_number(schema, name),
            ["string"] | [] if schema.get("enum").is_some() || kinds == ["string"] => {
                Shape::Scalar(text(schema, name))
            }
            ["array"] => {
                let items = schema.get("items").context("a list without items")?;
                Shape::List(Box::new(self.kind(items, name)?))
            }
            ["object"] if schema.get("additionalProperties").is_some_and(Value::is_object) => Shape::Map,
            ["object"] => bail!("{name}: give this object a name (derive ToSchema for a type of its own)"),
            _ => bail!("{name}: GraphQL has nothing for {kinds:?}; a decimal is text"),
        };
        Ok(Kind { shape, nullable })
    }

    /// The schema of this name.
    pub(super) fn named(&self, name: &str) -> anyhow::Result<&'a Value> {
        let found = self.0.and_then(|schemas| schemas.get(name));
        found.with_context(|| format!("the HTTP API has no schema {name}"))
    }

    /// The object that a reference leads to.
    pub(super) fn object(&self, schema: &'a Value) -> anyhow::Result<(String, &'a Value)> {
        match self.kind(schema, "body")?.shape {
            Shape::Object(name, schema) => Ok((name, schema)),
            _ => bail!("an object is expected"),
        }
    }

    fn one_of(&self, schemas: &'a [Value], name: &str) -> anyhow::Result<Kind<'a>> {
        let is_null = |schema: &&Value| schema.get("type").is_some_and(|kind| kind == "null");
        let nullable = schemas.iter().any(|schema| is_null(&schema));
        let others: Vec<&Value> = schemas.iter().filter(|schema| !is_null(schema)).collect();
        let [only] = others.as_slice() else {
            bail!(
                "{name}: GraphQL has nothing for a choice of {} schemas",
                others.len()
            )
        };
        let kind = self.kind(only, name)?;
        Ok(Kind {
            nullable: nullable || kind.nullable,
            ..kind
        })
    }

    fn referred(&self, target: &'a str) -> anyhow::Result<(&'a str, &'a Value)> {
        let name = target.rsplit('/').next().unwrap_or_default();
        let found = self.0.and_then(|schemas| schemas.get(name));
        Ok((name, found.with_context(|| format!("{target} leads nowhere"))?))
    }
}

/// The properties of an object, each with whether it has to be there.
pub(super) fn properties(object: &Value) -> Vec<(&str, &Value, bool)> {
    let required = object.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|names| names.iter().any(|required| required == name));
    let properties = object.get("properties").and_then(Value::as_object);
    let properties = properties.into_iter().flatten();
    properties
        .map(|(name, schema)| (name.as_str(), schema, is_required(name)))
        .collect()
}

/// What is said of a value, with the words that it may be.
pub(super) fn description(schema: &Value, kind: &Kind<'_>) -> String {
    let own = schema.get("description").and_then(Value::as_str);
    let of_choice = schema.get("oneOf").and_then(Value::as_array);
    let of_choice = of_choice
        .into_iter()
        .flatten()
        .find_map(|choice| choice.get("description")?.as_str());
    let mut sentences: Vec<String> = own.or(of_choice).map(sentence).into_iter().collect();
    // A list of all currencies would say less than the field's own words.
    let words = schema.get("enum").and_then(Value::as_array);
    if let Some(words) = words.filter(|words| words.len() <= MAX_WORDS) {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        sentences.push(format!("One of {}.", words.join(", ")));
    }
    if matches!(kind.shape, Shape::NumberAsText("String")) {
        sentences.push("A whole number as text.".to_owned());
    }
    sentences.join(" ")
}

/// A description as comments, which is how AppSync takes them.
pub(super) fn comment(indent: &str, text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| format!("{indent}# {line}\n")).collect()
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    let ends = text.ends_with(['.', '!', '?', ':']);
    if ends { text.to_owned() } else { format!("{text}.") }
}

fn is_object(schema: &Value) -> bool {
    let is_map = schema.get("additionalProperties").is_some_and(Value::is_object);
    types(schema).0 == ["object"] && !is_map
}

/// The types that a value may have, and whether it may be null.
fn types(schema: &Value) -> (Vec<&str>, bool) {
    let all: Vec<&str> = match schema.get("type") {
        Some(Value::String(only)) => vec![only.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let nullable = all.contains(&"null");
    (all.into_iter().filter(|kind| *kind != "null").collect(), nullable)
}

fn whole_number(schema: &Value, name: &str) -> Shape<'static> {
    let is_small =
        schema.get("format").is_some_and(|format| format == "int32") || scope::SMALL.contains(&name);
    if is_small {
        Shape::Scalar("Int")
    } else if is_id(name) {
        Shape::NumberAsText("ID")
    } else {
        Shape::NumberAsText("String")
    }
}

fn text(schema: &Value, name: &str) -> &'static str {
    match schema.get("format").and_then(Value::as_str) {
        Some("date") => "AWSDate",
        Some("date-time") => "AWSDateTime",
        _ if is_id(name) => "ID",
        _ => "String",
    }
}

fn is_id(name: &str) -> bool {
    ["id", "ids"].contains(&name) || name.ends_with("_id") || name.ends_with("_ids")
}
