//! The table in `infra/app-api/resolver.js`, and the fields and functions in `infra/areas/app-api.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use serde_json::Value;

use super::{
    operations::{Operation, Operations},
    scope,
    shape::{Kind, Schemas, Shape, properties},
};

/// How long a line of the list of functions may be.
const MAX_LINE_LENGTH: usize = 120;

/// The entries of the resolver's table.
pub(super) fn of_resolver(document: &Value, operations: &Operations) -> anyhow::Result<String> {
    let schemas = Schemas::of(document);
    let mut text = String::new();
    for operation in &operations.with_field {
        let entry = entry(&schemas, operation).with_context(|| format!("operation {}", operation.name))?;
        text.push_str(&entry);
    }
    Ok(text)
}

fn entry<'a>(schemas: &Schemas<'a>, operation: &'a Operation) -> anyhow::Result<String> {
    let special = scope::special(&operation.name);
    let mut sent = Names::default();
    if special.is_none()
        && let Some(body) = &operation.body
    {
        sent.survey(
            schemas,
            &schemas.kind(body, "body")?,
            "body",
            &mut BTreeSet::new(),
        )?;
    }
    let mut answered = Names::default();
    let answer = schemas.kind(&operation.answer, "answer")?;
    answered.survey(schemas, &answer, "answer", &mut BTreeSet::new())?;
    let mut text = format!(
        "  {}: {{\n    route: '{} {}',\n",
        operation.name, operation.method, operation.path
    );
    let decimals = special.map(|special| special.decimals).unwrap_or_default();
    let lists = [
        ("whole", sent.of("text")),
        (
            "decimals",
            decimals.iter().map(|name| (*name).to_owned()).collect(),
        ),
        ("counts", answered.of("Int")),
        ("maps", answered.of("map")),
    ];
    for (list, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
        let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
        text.push_str(&format!("    {list}: [{}],\n", names.join(", ")));
    }
    if let Some(special) = special {
        text.push_str(&format!("    result: '{}',\n", special.answer.0));
    }
    text.push_str("  },\n");
    Ok(text)
}

/// The names of a request or an answer whose values are numbers or maps, with what they are: the resolver tells by the
/// name alone.
#[derive(Default)]
struct Names(BTreeMap<String, &'static str>);

impl Names {
    fn of(&self, what: &str) -> Vec<String> {
        let names = self.0.iter().filter(|(_, kind)| **kind == what);
        names.map(|(name, _)| name.clone()).collect()
    }

    fn survey<'a>(
        &mut self,
        schemas: &Schemas<'a>,
        kind: &Kind<'a>,
        name: &str,
        seen: &mut BTreeSet<String>,
    ) -> anyhow::Result<()> {
        match &kind.shape {
            Shape::NumberAsText(_) => self.add(name, "text"),
            Shape::Scalar("Int") => self.add(name, "Int"),
            Shape::Scalar(_) => Ok(()),
            Shape::Map => self.add(name, "map"),
            Shape::List(items) => self.survey(schemas, items, name, seen),
            Shape::Object(of, schema) => {
                if !seen.insert(of.clone()) {
                    return Ok(());
                }
                for (property, schema, _) in properties(schema) {
                    self.survey(schemas, &schemas.kind(schema, property)?, property, seen)?;
                }
                Ok(())
            }
        }
    }

    fn add(&mut self, name: &str, what: &'static str) -> anyhow::Result<()> {
        match self.0.insert(name.to_owned(), what) {
            Some(other) if other != what => {
                bail!("{name} is of two kinds in it, {other} and {what}: rename one")
            }
            _ => Ok(()),
        }
    }
}

/// Each function's field, as entries of a mapping.
pub(super) fn mapping(operations: &Operations) -> String {
    let entries = operations.with_field.iter().map(|operation| {
        format!(
            "    {}: {{Type: {}, Field: {}}}\n",
            logical_id(&operation.name),
            operation.root(),
            operation.name
        )
    });
    entries.collect()
}

/// The functions' logical ids, as a list in lines.
pub(super) fn functions(operations: &Operations) -> String {
    let mut lines = vec!["    - [".to_owned()];
    for (index, operation) in operations.with_field.iter().enumerate() {
        let id = logical_id(&operation.name);
        let separator = if index == 0 { "" } else { ", " };
        let fits = |line: &String| line.len().saturating_add(id.len()).saturating_add(3) <= MAX_LINE_LENGTH;
        match lines.last_mut().filter(|line| fits(line)) {
            Some(line) => line.push_str(&format!("{separator}{id}")),
            None => {
                if let Some(line) = lines.last_mut() {
                    line.push(',');
                }
                lines.push(format!("       {id}"));
            }
        }
    }
    format!("{}]\n", lines.join("\n"))
}

/// The function's name in its template: `deposit_funds` is `DepositFunds`.
pub(super) fn logical_id(operation: &str) -> String {
    let words = operation.split('_').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}
