//! `Fn::ForEach` of the transform `AWS::LanguageExtensions`, written out before anything is resolved.

use anyhow::{Context, bail};
use serde_yaml_ng::{Mapping, Value as Yaml, value::TaggedValue};

use super::intrinsics::plain_text;

const LOOP: &str = "Fn::ForEach::";

/// The value with an entry for every item of every loop in it.
pub(super) fn expand(value: Yaml) -> anyhow::Result<Yaml> {
    Ok(match value {
        Yaml::Mapping(entries) => Yaml::Mapping(expand_mapping(entries)?),
        Yaml::Sequence(values) => {
            Yaml::Sequence(values.into_iter().map(expand).collect::<anyhow::Result<_>>()?)
        }
        Yaml::Tagged(tagged) => Yaml::Tagged(Box::new(TaggedValue {
            tag: tagged.tag,
            value: expand(tagged.value)?,
        })),
        plain => plain,
    })
}

fn expand_mapping(entries: Mapping) -> anyhow::Result<Mapping> {
    let mut expanded = Mapping::new();
    for (name, value) in entries {
        let entries = match name.as_str().and_then(|name| name.strip_prefix(LOOP)) {
            Some(loop_name) => iterations(value).with_context(|| format!("loop {loop_name}"))?,
            None => Mapping::from_iter([(name, expand(value)?)]),
        };
        for (name, value) in entries {
            insert(&mut expanded, name, value)?;
        }
    }
    Ok(expanded)
}

fn insert(into: &mut Mapping, name: Yaml, value: Yaml) -> anyhow::Result<()> {
    if into.contains_key(&name) {
        bail!("{} stands twice", plain_text(&name).unwrap_or_default());
    }
    into.insert(name, value);
    Ok(())
}

/// What a loop `[identifier, [item, …], {name: body}]` stands for.
fn iterations(parts: Yaml) -> anyhow::Result<Mapping> {
    let parts = parts.as_sequence().map(Vec::as_slice).unwrap_or_default();
    let [
        Yaml::String(identifier),
        Yaml::Sequence(items),
        Yaml::Mapping(body),
    ] = parts
    else {
        bail!("Fn::ForEach takes an identifier, a list and a mapping");
    };
    let mut written_out = Mapping::new();
    for item in items {
        let item = plain_text(item).context("an item isn't a text")?;
        for (name, value) in body {
            let name = replace(name, identifier, &item);
            insert(&mut written_out, name, replace(value, identifier, &item))?;
        }
    }
    expand_mapping(written_out)
}

/// The value with `item` for `${identifier}`, `&{identifier}` and a `Ref` of the identifier.
fn replace(value: &Yaml, identifier: &str, item: &str) -> Yaml {
    let inside = |value: &Yaml| replace(value, identifier, item);
    match value {
        Yaml::String(text) => Yaml::String(replace_text(text, identifier, item)),
        Yaml::Tagged(tagged) if tagged.tag == "!Ref" && tagged.value.as_str() == Some(identifier) => {
            Yaml::String(item.to_owned())
        }
        Yaml::Tagged(tagged) => Yaml::Tagged(Box::new(TaggedValue {
            tag: tagged.tag.clone(),
            value: inside(&tagged.value),
        })),
        Yaml::Mapping(entries)
            if entries.len() == 1 && value.get("Ref").and_then(Yaml::as_str) == Some(identifier) =>
        {
            Yaml::String(item.to_owned())
        }
        Yaml::Mapping(entries) => Yaml::Mapping(
            entries
                .iter()
                .map(|(name, value)| (inside(name), inside(value)))
                .collect(),
        ),
        Yaml::Sequence(values) => Yaml::Sequence(values.iter().map(inside).collect()),
        plain => plain.clone(),
    }
}

fn replace_text(text: &str, identifier: &str, item: &str) -> String {
    let alphanumeric: String = item.chars().filter(char::is_ascii_alphanumeric).collect();
    text.replace(&format!("${{{identifier}}}"), item)
        .replace(&format!("&{{{identifier}}}"), &alphanumeric)
}
