//! A resolved part of the template that knows where it stands, so that an error can say so.

use anyhow::{Context, bail};
use serde_json::Value;

/// A value and its place, like `resource Orders, property QueueName`.
#[derive(Clone, Debug)]
pub(super) struct Node {
    value: Value,
    place: String,
}

impl Node {
    pub(super) fn new(value: Value, place: impl Into<String>) -> Self {
        Self {
            value,
            place: place.into(),
        }
    }

    /// A property; `Null` where there is none.
    pub(super) fn get(&self, name: &str) -> Self {
        let value = self.value.get(name).cloned().unwrap_or(Value::Null);
        let separator = if self.place.contains("property ") {
            "."
        } else {
            ", property "
        };
        Self {
            value,
            place: format!("{}{separator}{name}", self.place),
        }
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn exists(&self) -> bool {
        !self.value.is_null()
    }

    pub(super) fn text(&self) -> anyhow::Result<String> {
        match self.optional_text()? {
            Some(text) => Ok(text),
            None => bail!("{}: is missing", self.place),
        }
    }

    pub(super) fn optional_text(&self) -> anyhow::Result<Option<String>> {
        Ok(match &self.value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            other => bail!("{}: {other} isn't a text", self.place),
        })
    }

    pub(super) fn text_or(&self, default: &str) -> anyhow::Result<String> {
        Ok(self.optional_text()?.unwrap_or_else(|| default.to_owned()))
    }

    pub(super) fn number<T: std::str::FromStr>(&self) -> anyhow::Result<Option<T>> {
        match self.optional_text()? {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => bail!("{}: {text} isn't a number that fits", self.place),
            },
        }
    }

    pub(super) fn flag(&self, default: bool) -> anyhow::Result<bool> {
        match self.optional_text()?.as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => bail!("{}: {other} is neither true nor false", self.place),
        }
    }

    /// The entries of a list; a single value is a list of one, as CloudFormation takes it.
    pub(super) fn list(&self) -> Vec<Self> {
        match &self.value {
            Value::Null => Vec::new(),
            Value::Array(values) => values
                .iter()
                .enumerate()
                .map(|(index, value)| Self::new(value.clone(), format!("{}[{index}]", self.place)))
                .collect(),
            single => vec![Self::new(single.clone(), self.place.clone())],
        }
    }

    pub(super) fn texts(&self) -> anyhow::Result<Vec<String>> {
        self.list().iter().map(Self::text).collect()
    }

    /// The entries of a mapping, in the template's order of names.
    pub(super) fn entries(&self) -> anyhow::Result<Vec<(String, Self)>> {
        match &self.value {
            Value::Null => Ok(Vec::new()),
            Value::Object(entries) => Ok(entries
                .keys()
                .map(|name| (name.clone(), self.get(name)))
                .collect()),
            _ => bail!("{}: isn't a mapping", self.place),
        }
    }

    /// A JSON document in a text.
    pub(super) fn json(&self) -> anyhow::Result<Option<Value>> {
        match &self.value {
            Value::Null => Ok(None),
            Value::String(text) => serde_json::from_str(text)
                .map(Some)
                .with_context(|| format!("{}: {text} isn't JSON", self.place)),
            other => Ok(Some(other.clone())),
        }
    }
}

impl std::fmt::Display for Node {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.place)
    }
}
