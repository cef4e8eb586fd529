//! The parameters of a request: form-encoded, with nested names.

use std::collections::BTreeMap;

use super::errors::{ApiError, ApiResult};
use crate::sandboxes::call::Call;

const MAX_METADATA: usize = 50;
const MAX_METADATA_KEY_LENGTH: usize = 40;
const MAX_METADATA_VALUE_LENGTH: usize = 500;

/// Metadata of an object.
pub type Metadata = BTreeMap<String, String>;

/// The parameters that an operation has not taken yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Params {
    values: BTreeMap<String, String>,
    /// The name that these are nested in; empty for the outermost.
    within: String,
}

impl Params {
    /// Those of the query and of the body.
    pub(super) fn of(call: &Call) -> ApiResult<Self> {
        let mut values = BTreeMap::new();
        for part in [call.query.as_bytes(), &call.body] {
            let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(part).map_err(|error| {
                ApiError::invalid(None, format!("The parameters are not form-encoded: {error}"))
            })?;
            for (name, value) in pairs {
                let name = match name.strip_suffix("[]") {
                    // As if the caller had counted.
                    Some(list) => (0..)
                        .map(|number: u32| format!("{list}[{number}]"))
                        .find(|name| !values.contains_key(name))
                        .unwrap_or_default(),
                    None => name,
                };
                values.insert(name, value);
            }
        }
        Ok(Self {
            values,
            within: String::new(),
        })
    }

    /// All of them in one order, to compare requests.
    pub(super) fn fingerprint(&self) -> String {
        serde_urlencoded::to_string(&self.values).unwrap_or_default()
    }

    /// A parameter; one that is empty counts as missing.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.values.remove(name).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub(super) fn required(&mut self, name: &str) -> ApiResult<String> {
        self.text(name).ok_or_else(|| missing(name))
    }

    pub(super) fn integer(&mut self, name: &str) -> ApiResult<Option<i64>> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let invalid = |_| {
            ApiError::parameter(
                "parameter_invalid_integer",
                name,
                format!("Invalid integer: {text}"),
            )
        };
        text.parse().map(Some).map_err(invalid)
    }

    pub(super) fn flag(&mut self, name: &str) -> ApiResult<bool> {
        match self.text(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(ApiError::parameter(
                "parameter_invalid_boolean",
                name,
                format!("Invalid boolean: {other}"),
            )),
        }
    }

    /// A parameter that must be one of these, if it is there.
    pub(super) fn one_of(&mut self, name: &str, choices: &[&str]) -> ApiResult<Option<String>> {
        let value = self.text(name);
        if let Some(value) = &value
            && !choices.contains(&value.as_str())
        {
            let message = format!("Invalid {name}: must be one of {}", choices.join(", "));
            return Err(ApiError::invalid(None, message).with("param", name.into()));
        }
        Ok(value)
    }

    /// A list: `name[0]`, `name[1]`, ….
    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        let counted = (0..).map(|number: u32| format!("{name}[{number}]"));
        counted.map_while(|name| self.values.remove(&name)).collect()
    }

    /// The parameters nested in a name.
    pub(super) fn nested(&mut self, name: &str) -> Self {
        let begin = format!("{name}[");
        let mut nested = BTreeMap::new();
        self.values.retain(|key, value| {
            let Some((first, rest)) = key.strip_prefix(&begin).and_then(|rest| rest.split_once(']')) else {
                return true;
            };
            nested.insert(format!("{first}{rest}"), std::mem::take(value));
            false
        });
        Self {
            values: nested,
            within: name.to_owned(),
        }
    }

    pub(super) fn metadata(&mut self) -> ApiResult<Metadata> {
        self.metadata_in("metadata")
    }

    /// The metadata under another name.
    pub(super) fn metadata_in(&mut self, name: &str) -> ApiResult<Metadata> {
        let mut metadata = self.nested(name).values;
        metadata.retain(|_, value| !value.is_empty());
        let invalid = |message: String| Err(ApiError::invalid(None, message).with("param", name.into()));
        if metadata.len() > MAX_METADATA {
            return invalid(format!(
                "Metadata can only have {MAX_METADATA} keys; {} are given",
                metadata.len()
            ));
        }
        for (key, value) in &metadata {
            if key.chars().count() > MAX_METADATA_KEY_LENGTH {
                return invalid(format!(
                    "Metadata keys can have up to {MAX_METADATA_KEY_LENGTH} characters: {key}"
                ));
            }
            if value.chars().count() > MAX_METADATA_VALUE_LENGTH {
                return invalid(format!(
                    "Metadata values can have up to {MAX_METADATA_VALUE_LENGTH} characters: {key}"
                ));
            }
        }
        Ok(metadata)
    }

    /// An amount in minor units that can be charged.
    pub(super) fn amount(&mut self, currency: &str) -> ApiResult<i64> {
        let amount = self.integer("amount")?.ok_or_else(|| missing("amount"))?;
        let refuse = |code, message: &str| Err(ApiError::parameter(code, "amount", message));
        match amount {
            ..=0 => refuse(
                "parameter_invalid_integer",
                "This value must be greater than or equal to 1.",
            ),
            1..=49 if ["usd", "eur"].contains(&currency) => refuse(
                "amount_too_small",
                &format!("Amount must be at least 0.50 {currency}"),
            ),
            100_000_000.. => refuse("amount_too_large", "Amount must be no more than 999,999.99"),
            _ => Ok(amount),
        }
    }

    /// A currency, in small letters.
    pub(super) fn currency(&mut self) -> ApiResult<String> {
        let currency = self.required("currency")?.to_ascii_lowercase();
        match domain::currency::Currency::parse(&currency.to_ascii_uppercase()) {
            Ok(_) => Ok(currency),
            Err(_) => Err(ApiError::invalid(None, format!("Invalid currency: {currency}"))
                .with("param", "currency".into())),
        }
    }

    /// Refuses what the operation doesn't know.
    pub(super) fn finish(self) -> ApiResult<()> {
        let Some(name) = self.values.keys().next() else {
            return Ok(());
        };
        let name = match (self.within.as_str(), name.split_once('[')) {
            ("", _) => name.clone(),
            (within, None) => format!("{within}[{name}]"),
            (within, Some((first, rest))) => format!("{within}[{first}][{rest}"),
        };
        let message = format!("Received unknown parameter: {name}");
        Err(ApiError::parameter("parameter_unknown", &name, message))
    }
}

pub(super) fn missing(name: &str) -> ApiError {
    ApiError::parameter(
        "parameter_missing",
        name,
        format!("Missing required param: {name}."),
    )
}
