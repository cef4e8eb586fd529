//! Lists in pages, with opaque cursors.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::error::PlatformError;
use crate::http::Problem;

/// Longest cursor that is read, in characters.
const MAX_CURSOR_LENGTH: usize = 512;

/// Items of a page unless a caller gives another number.
pub const DEFAULT_LIMIT: u32 = 20;
/// Most items of a page.
pub const MAX_LIMIT: u32 = 100;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// `next_cursor` of the page before; nothing for the first page.
    #[schema(max_length = 512)]
    pub cursor: Option<String>,
    /// Entries of a page; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}

impl PageQuery {
    /// The position after which the page begins, and how many entries it is to have.
    ///
    /// # Errors
    /// 400 naming `cursor` or `limit`.
    pub fn read<P: DeserializeOwned>(&self) -> Result<PageRequest<P>, Problem> {
        PageRequest::read(self.cursor.as_deref(), self.limit)
    }
}

/// The page that a caller requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<P> {
    /// The last entry of the page before.
    pub after: Option<P>,
    /// The most entries of the page.
    pub limit: u32,
}

impl<P: DeserializeOwned> PageRequest<P> {
    /// The same as [`PageQuery::read`], for a list whose query has more to it.
    ///
    /// # Errors
    /// 400 naming `cursor` or `limit`.
    pub fn read(cursor: Option<&str>, requested_limit: Option<u32>) -> Result<Self, Problem> {
        Ok(Self {
            limit: limit(requested_limit)?,
            after: cursor.map(decode).transpose()?,
        })
    }
}

impl<P> PageRequest<P> {
    /// How many rows to read: one more than the page has, which shows whether another page follows.
    pub fn rows(&self) -> i64 {
        i64::from(self.limit).saturating_add(1)
    }
}

/// The number of items that a page is to have.
///
/// # Errors
/// 400 naming `limit` when a caller requests none or more than [`MAX_LIMIT`].
pub fn limit(requested: Option<u32>) -> Result<u32, Problem> {
    limit_of(requested, DEFAULT_LIMIT, MAX_LIMIT)
}

/// The same, of a list with a default and a maximum of its own.
///
/// # Errors
/// 400 naming `limit` when a caller requests none or more than `max`.
pub fn limit_of(requested: Option<u32>, default: u32, max: u32) -> Result<u32, Problem> {
    let limit = requested.unwrap_or(default);
    if (1..=max).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::malformed(
        "limit",
        &format!("has to be between 1 and {max}"),
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

impl<T> Page<T> {
    /// The page of rows that were read with one more than its limit ([`PageRequest::rows`]): `view` is what callers see of
    /// a row, `position` what the next page begins after.
    ///
    /// # Errors
    /// When a position can't be written as JSON.
    pub fn from_overfetched<R, P: Serialize>(
        rows: &[R],
        limit: u32,
        view: impl Fn(&R) -> T,
        position: impl Fn(&R) -> P,
    ) -> Result<Self, PlatformError> {
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        let page = rows.get(..size).unwrap_or(rows);
        let last = page.last().filter(|_| rows.len() > size);
        Ok(Self {
            items: page.iter().map(view).collect(),
            next_cursor: last.map(|row| encode(&position(row))).transpose()?,
        })
    }
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
    if cursor.len() > MAX_CURSOR_LENGTH {
        return Err(refused());
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
    serde_json::from_slice(&bytes).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_cursor_only_while_more_follows() {
        let page = |rows: &[i64]| Page::from_overfetched(rows, 2, |row| row * 10, |row| *row).unwrap();
        let first = page(&[5, 4, 3]);
        assert_eq!(first.items, [50, 40]);
        let query = PageQuery {
            cursor: first.next_cursor,
            limit: Some(2),
        };
        let next = query.read::<i64>().unwrap();
        assert_eq!((next.after, next.rows()), (Some(4), 3));
        for rows in [&[2, 1][..], &[1], &[]] {
            assert_eq!(page(rows).next_cursor, None);
            assert_eq!(page(rows).items.len(), rows.len());
        }
    }

    #[test]
    fn a_page_query_is_refused_for_a_foreign_cursor_or_limit() {
        for (cursor, limit, field) in [
            (Some("x"), None, "cursor"),
            (None, Some(0), "limit"),
            (None, Some(101), "limit"),
        ] {
            let cursor = cursor.map(str::to_owned);
            let problem = PageQuery { cursor, limit }.read::<i64>().unwrap_err();
            assert_eq!((problem.status, problem.errors[0].field.as_str()), (400, field));
        }
    }
}
