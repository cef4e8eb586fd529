//! Lists in pages, with opaque cursors. A cursor carries its list's name, so that another list refuses it.

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

/// A list that is read in pages; [`list!`](crate::list) declares one.
pub trait List {
    /// The list's name in its cursors.
    const NAME: &'static str;
    /// What a page begins after: an entry's id, or what the list is ordered by.
    type Position: Serialize + DeserializeOwned;
}

/// Declares a [`List`]: its type, its position, its name.
///
/// ```
/// platform::list! {
///     /// The invoices of a profile, newest first.
///     pub Invoices: i64 = "invoices"
/// }
/// ```
#[macro_export]
macro_rules! list {
    ($(#[$attribute:meta])* $visible:vis $List:ident: $Position:ty = $name:literal) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visible enum $List {}

        impl $crate::pagination::List for $List {
            const NAME: &'static str = $name;
            type Position = $Position;
        }
    };
}

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
    pub fn read<L: List>(&self) -> Result<PageRequest<L>, Problem> {
        PageRequest::read(self.cursor.as_deref(), self.limit)
    }
}

/// The page of a list that a caller requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<L: List> {
    /// The last entry of the page before.
    pub after: Option<L::Position>,
    /// The most entries of the page.
    pub limit: u32,
}

impl<L: List> PageRequest<L> {
    /// The same as [`PageQuery::read`], for a list whose query has more to it.
    ///
    /// # Errors
    /// 400 naming `cursor` or `limit`.
    pub fn read(cursor: Option<&str>, requested_limit: Option<u32>) -> Result<Self, Problem> {
        Ok(Self {
            limit: limit(requested_limit)?,
            after: cursor.map(decode::<L>).transpose()?,
        })
    }

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
    /// The page of rows that were read with one more than was asked for ([`PageRequest::rows`]): `view` is what callers
    /// see of a row, `position` what the next page begins after.
    ///
    /// # Errors
    /// When a position can't be written as JSON.
    pub fn from_overfetched<R, L: List>(
        rows: &[R],
        asked: &PageRequest<L>,
        view: impl Fn(&R) -> T,
        position: impl Fn(&R) -> L::Position,
    ) -> Result<Self, PlatformError> {
        Self::from_part(rows, None, asked, view, position)
    }

    /// The same of a list that was read only so far, up to `read_to`, because a page takes no more than so much reading: then it
    /// may have fewer items than asked for, or none, and the next page goes on from there.
    ///
    /// # Errors
    /// When a position can't be written as JSON.
    pub fn from_part<R, L: List>(
        rows: &[R],
        read_to: Option<L::Position>,
        asked: &PageRequest<L>,
        view: impl Fn(&R) -> T,
        position: impl Fn(&R) -> L::Position,
    ) -> Result<Self, PlatformError> {
        let size = usize::try_from(asked.limit).unwrap_or(usize::MAX);
        let page = rows.get(..size).unwrap_or(rows);
        let last = page.last().filter(|_| rows.len() > size);
        Ok(Self {
            items: page.iter().map(view).collect(),
            next_cursor: last
                .map(position)
                .or(read_to)
                .map(|position| encode::<L>(&position))
                .transpose()?,
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

/// Writes a position of a list as a cursor.
///
/// # Errors
/// Where the position can't be written as JSON.
pub fn encode<L: List>(position: &L::Position) -> Result<String, serde_json::Error> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&(L::NAME, position))?))
}

/// Reads the position back.
///
/// # Errors
/// 400 naming `cursor` for anything that [`encode`] didn't write for this list.
pub fn decode<L: List>(cursor: &str) -> Result<L::Position, Problem> {
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
    let (list, position): (String, L::Position) = serde_json::from_slice(&bytes).map_err(|_| refused())?;
    if list == L::NAME {
        Ok(position)
    } else {
        Err(refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::list!(Invoices: i64 = "invoices");
    crate::list!(Bills: i64 = "bills");

    #[test]
    fn a_cursor_is_of_one_list() {
        let cursor = encode::<Invoices>(&7).unwrap();
        assert_eq!(decode::<Invoices>(&cursor).unwrap(), 7);
        assert_eq!(decode::<Bills>(&cursor).unwrap_err().errors[0].field, "cursor");
    }

    #[test]
    fn a_page_has_a_cursor_only_while_more_follows() {
        let asked = PageRequest::<Invoices> {
            after: None,
            limit: 2,
        };
        let page = |rows: &[i64]| Page::from_overfetched(rows, &asked, |row| row * 10, |row| *row).unwrap();
        let first = page(&[5, 4, 3]);
        assert_eq!(first.items, [50, 40]);
        let query = PageQuery {
            cursor: first.next_cursor,
            limit: Some(2),
        };
        let next = query.read::<Invoices>().unwrap();
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
            let problem = PageQuery { cursor, limit }.read::<Invoices>().unwrap_err();
            assert_eq!((problem.status, problem.errors[0].field.as_str()), (400, field));
        }
    }
}
