//! What input is made of where a type by itself would take more than its description says.

use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use utoipa::ToSchema;

/// The input of an operation that takes none: an empty object, or a query without parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A JSON object inside of another document. serde would read an array too, as the fields' values in their order.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Reads a time that may be missing, with `#[serde(default, deserialize_with = "…")]`: RFC 3339 and nothing else. chrono
/// by itself takes years that the database can't store.
///
/// # Errors
/// For any other text.
pub fn optional_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse_time(&text)).transpose()
}

/// Reads a time that has to be there, with `#[serde(deserialize_with = "…")]`, as [`optional_time`] does.
///
/// # Errors
/// For any other text.
pub fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    parse_time(&String::deserialize(deserializer)?)
}

fn parse_time<E: Error>(text: &str) -> Result<DateTime<Utc>, E> {
    let read = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    read.map_err(|_| E::custom("not a time of RFC 3339, such as \"2026-11-24T09:30:00Z\""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        items: Vec<Object<Item>>,
        #[serde(default, deserialize_with = "optional_time")]
        from: Option<DateTime<Utc>>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Item {
        id: i64,
    }

    fn read(items: &serde_json::Value, from: &serde_json::Value) -> Result<Input, String> {
        let text = json!({"items": items, "from": from}).to_string();
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| error.to_string())
    }

    #[test]
    fn an_object_is_no_array() {
        let input = read(&json!([{"id": 7}]), &json!(null)).unwrap();
        assert_eq!(input.items[0].0.id, 7);
        for (items, place) in [
            (json!([[7]]), "items[0]: "),
            (json!([7]), "items[0]: "),
            (json!([{"id": "7"}]), "items[0].id: "),
            (json!([{"id": 7, "more": 1}]), "items[0].more: "),
        ] {
            let error = read(&items, &json!(null)).unwrap_err();
            assert!(error.starts_with(place), "{items}: {error}");
        }
    }

    #[test]
    fn a_time_has_a_year_of_four_digits() {
        let from = |text: &str| read(&json!([]), &json!(text)).map(|input| input.from);
        let expected: DateTime<Utc> = "2026-11-24T09:30:00Z".parse().unwrap();
        assert_eq!(from("2026-11-24T10:30:00+01:00"), Ok(Some(expected)));
        for text in [
            "",
            "2026-11-24",
            "2026-11-24T09:30:00",
            "-5000-01-01T00:00:00Z",
            "+12026-01-01T00:00:00Z",
            "1795512600",
        ] {
            assert!(from(text).is_err(), "{text}");
        }
        let missing: Input = serde_json::from_str(r#"{"items":[]}"#).unwrap();
        assert_eq!(missing.from, None);
    }
}
