//! `infra/schema.graphql`. AppSync takes descriptions as comments only, and knows its own scalars without a declaration.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use anyhow::{Context, bail};
use serde_json::Value;

use super::{
    live,
    operations::{Operation, Operations},
    scope,
    shape::{Kind, Schemas, Shape, comment, description, properties},
};

const HEADER: &str = "# Written by `moneta graphql` from infra/openapi.yaml; don't edit.
#
# Money and other large whole numbers are text, since GraphQL's Int ends at 2,147,483,647; decimals are text with a point.
# A status is text too, so that an app goes on that was built before a new one. Every list comes in pages: `next_cursor`
# is the `cursor` of the next one, and null on the last.
";
const KEY_DESCRIPTION: &str = "Makes a repetition safe: the same key for the same request, a new one for a new request. Unless \
                               given the request's header Idempotency-Key counts; without both a repetition isn't recognised.";

const ROOTS: [&str; 3] = ["Query", "Mutation", "Subscription"];

/// The whole schema.
pub(super) fn schema(document: &Value, operations: &Operations) -> anyhow::Result<String> {
    let mut types = Types {
        schemas: Schemas::of(document),
        written: BTreeMap::new(),
    };
    let mut roots: BTreeMap<&str, String> = BTreeMap::new();
    for operation in &operations.with_field {
        let field = types
            .field(operation)
            .with_context(|| format!("operation {}", operation.name))?;
        roots.entry(operation.root()).or_default().push_str(&field);
    }
    for live in &scope::LIVE {
        let written = live::write(&types.schemas, live)?;
        roots.entry("Mutation").or_default().push_str(&written.mutation);
        roots
            .entry("Subscription")
            .or_default()
            .push_str(&written.subscription);
        for (name, text) in [written.kind, written.input] {
            types.insert_text(&format!("update {name}"), &name, &text)?;
        }
    }
    write(operations, &roots, &types.written).context("writing the schema failed")
}

fn write(
    operations: &Operations,
    roots: &BTreeMap<&str, String>,
    types: &BTreeMap<String, Written>,
) -> Result<String, fmt::Error> {
    let mut text = HEADER.to_owned();
    writeln!(
        text,
        "#\n# Operations of the HTTP API without a field here, and why:"
    )?;
    for (name, reason) in &operations.left_out {
        writeln!(text, "#   {name}: {reason}")?;
    }
    writeln!(text, "\nschema {{")?;
    for name in ROOTS.iter().filter(|name| roots.contains_key(**name)) {
        writeln!(text, "  {}: {name}", name.to_lowercase())?;
    }
    writeln!(text, "}}")?;
    for name in ROOTS {
        if let Some(fields) = roots.get(name) {
            write!(text, "\ntype {name} {{\n{fields}}}\n")?;
        }
    }
    for written in types.values() {
        write!(text, "\n{}", written.text)?;
    }
    Ok(text)
}

/// A type as it stands in the schema.
struct Written {
    text: String,
    /// The schema that it was made of.
    of: String,
}

/// Whether a type is an answer's or an argument's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

struct Types<'a> {
    schemas: Schemas<'a>,
    written: BTreeMap<String, Written>,
}

/// An argument: its name, type and description.
type Argument = (String, String, String);

impl<'a> Types<'a> {
    /// The field of an operation.
    fn field(&mut self, operation: &'a Operation) -> anyhow::Result<String> {
        let kind = self.schemas.kind(&operation.answer, "answer")?;
        let Shape::Object(of, schema) = kind.shape else {
            bail!("its answer is no object")
        };
        let answer = self.object(&of, schema, Way::Out)?;
        let special = scope::special(&operation.name);
        let (mut arguments, answer) = match special {
            None => (self.arguments(operation)?, answer),
            Some(special) => {
                let (input, text) = special.inputs;
                self.insert_text(input, input, text)?;
                (given(special), self.payload(special, &answer)?)
            }
        };
        if !operation.is_query() {
            arguments.push((
                "idempotency_key".to_owned(),
                "String".to_owned(),
                KEY_DESCRIPTION.to_owned(),
            ));
        }
        let mut text = comment("  ", &operation.description);
        let name = &operation.name;
        if arguments.is_empty() {
            text.push_str(&format!("  {name}: {answer}\n"));
            return Ok(text);
        }
        text.push_str(&format!("  {name}(\n"));
        for (name, kind, description) in arguments {
            text.push_str(&comment("    ", &description));
            text.push_str(&format!("    {name}: {kind}\n"));
        }
        text.push_str(&format!("  ): {answer}\n"));
        Ok(text)
    }

    /// The arguments made of the request: the parts of the path, the query's parameters, the body's properties.
    fn arguments(&mut self, operation: &'a Operation) -> anyhow::Result<Vec<Argument>> {
        let mut arguments: Vec<Argument> = Vec::new();
        for parameter in &operation.parameters {
            let kind = self.schemas.kind(&parameter.schema, &parameter.name)?;
            let described = description(&parameter.schema, &kind);
            let description = [parameter.description.as_str(), described.as_str()];
            let description = description.iter().filter(|text| !text.is_empty()).copied();
            let description: Vec<&str> = description.collect();
            let written = self.written_type(&kind, parameter.required, Way::In)?;
            arguments.push((parameter.name.clone(), written, description.join(" ")));
        }
        if let Some(body) = &operation.body {
            let (_, object) = self.schemas.object(body)?;
            for (name, schema, required) in properties(object) {
                if arguments.iter().any(|(other, ..)| other == name) {
                    bail!("the body's {name} is also a parameter")
                }
                let kind = self.schemas.kind(schema, name)?;
                let written = self.written_type(&kind, required, Way::In)?;
                arguments.push((name.to_owned(), written, description(schema, &kind)));
            }
        }
        Ok(arguments)
    }

    /// The type around the answer of a field whose signature is given.
    fn payload(&mut self, special: &scope::Special, answer: &str) -> anyhow::Result<String> {
        let (field, name) = special.answer;
        let text = format!(
            "# What {} came to.\ntype {name} {{\n  # Whether it was taken; otherwise there is an error instead.\n  result: Boolean!\n  \
             # What was made.\n  {field}: {answer}!\n}}\n",
            special.operation
        );
        self.insert_text(&format!("payload {name}"), name, &text)?;
        Ok(name.to_owned())
    }

    /// How a type is written where it is used.
    fn written_type(&mut self, kind: &Kind<'a>, required: bool, way: Way) -> anyhow::Result<String> {
        let name = match &kind.shape {
            Shape::Scalar(name) | Shape::NumberAsText(name) => (*name).to_owned(),
            Shape::Map => "AWSJSON".to_owned(),
            Shape::Object(of, schema) => self.object(of, schema, way)?,
            Shape::List(items) => format!("[{}]", self.written_type(items, true, way)?),
        };
        let mark = if required && !kind.nullable { "!" } else { "" };
        Ok(format!("{name}{mark}"))
    }

    /// Writes the type of an object once, and gives its name.
    fn object(&mut self, of: &str, schema: &'a Value, way: Way) -> anyhow::Result<String> {
        let name = name(of, way);
        let known = self.written.get(&name);
        if known.is_some_and(|written| written.of == of) {
            return Ok(name);
        }
        // Before its parts, so that one that contains itself ends.
        self.insert_text(of, &name, "")?;
        let word = if way == Way::In { "input" } else { "type" };
        let own = schema
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let mut text = format!("{}{word} {name} {{\n", comment("", own));
        for (property, schema, required) in properties(schema) {
            let within = || format!("{of}.{property}");
            let kind = self.schemas.kind(schema, property).with_context(within)?;
            let written = self.written_type(&kind, required, way).with_context(within)?;
            text.push_str(&comment("  ", &description(schema, &kind)));
            text.push_str(&format!("  {property}: {written}\n"));
        }
        text.push_str("}\n");
        self.written.insert(
            name.clone(),
            Written {
                text,
                of: of.to_owned(),
            },
        );
        Ok(name)
    }

    fn insert_text(&mut self, of: &str, name: &str, text: &str) -> anyhow::Result<()> {
        let written = Written {
            text: text.to_owned(),
            of: of.to_owned(),
        };
        match self.written.insert(name.to_owned(), written) {
            Some(other) if other.of != of => bail!("{of} and {} would both be called {name}", other.of),
            _ => Ok(()),
        }
    }
}

fn given(special: &scope::Special) -> Vec<Argument> {
    let arguments = special.arguments.iter();
    arguments
        .map(|(name, kind, description)| ((*name).to_owned(), (*kind).to_owned(), (*description).to_owned()))
        .collect()
}

/// The name of a type: that of the schema without what says which way it goes.
fn name(of: &str, way: Way) -> String {
    if way == Way::In {
        return format!(
            "{}Input",
            of.trim_end_matches("Request").trim_end_matches("Input")
        );
    }
    match of.strip_suffix("ViewPage") {
        Some(listed) => format!("{listed}Page"),
        None => of.strip_suffix("View").unwrap_or(of).to_owned(),
    }
}
