//! Opaque cursors of lists.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::http::Problem;

/// Longest cursor that is read, in characters.
const MAX_LENGTH: usize = 512;

/// Items of a page unless a caller asks for another number.
pub const DEFAULT_LIMIT: u32 = 20;
/// Most items of a page.
pub const MAX_LIMIT: u32 = 100;

/// The number of items that a page is to have.
///
/// # Errors
/// 400 naming `limit` when a caller asks for none or for more than [`MAX_LIMIT`].
pub fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    limit_of(asked, DEFAULT_LIMIT, MAX_LIMIT)
}

/// The same, of a list with a usual and a largest number of its own.
///
/// # Errors
/// 400 naming `limit` when a caller asks for none or for more than `largest`.
pub fn limit_of(asked: Option<u32>, usual: u32, largest: u32) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(usual);
    if (1..=largest).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::malformed(
        "limit",
        &format!("has to be between 1 and {largest}"),
    ))
}

/// A page of a list.
#[derive(Debug, Clone, Serialize)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Give it as `cursor` to get the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// By hand, because a derived schema has the same name for a page of anything.
impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let items = ArrayBuilder::new()
            .items(Ref::from_schema_name(T::name()))
            .description(Some("The items of this page."));
        let next_cursor = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some(
                "Give it as `cursor` to get the next page; null on the last.",
            ));
        ObjectBuilder::new()
            .description(Some("A page of a list."))
            .property("items", items)
            .required("items")
            .property("next_cursor", next_cursor)
            .required("next_cursor")
            .into()
    }
}

/// Writes a position as a cursor.
///
/// # Errors
/// Where the position can't be written as JSON.
pub fn encode<T: Serialize>(position: &T) -> Result<String, serde_json::Error> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(position)?))
}

/// Reads the position back.
///
/// # Errors
/// 400 naming `cursor` for anything that [`encode`] didn't write.
pub fn decode<T: DeserializeOwned>(cursor: &str) -> Result<T, Problem> {
    let refused = || {
        Problem::malformed(
            "cursor",
            "is not a cursor of this list; leave it out to start anew",
        )
    };
    if cursor.len() > MAX_LENGTH {
        return Err(refused());
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
    serde_json::from_slice(&bytes).map_err(|_| refused())
}
