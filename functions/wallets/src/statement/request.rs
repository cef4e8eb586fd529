//! The request for a statement.

use chrono::{DateTime, Utc};
use platform::http::{Problem, optional_time};
use platform::pagination;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

platform::list! {
    /// The lines of a wallet's statement, oldest first.
    pub(super) StatementLines: Position = "wallet-statement"
}

/// Most lines of a page: what fits a response of Lambda, which is six megabytes, with room to spare.
const MAX_LINES: u32 = 10_000;
/// Lines of a page unless a caller wants another number.
const DEFAULT_LINES: u32 = 1_000;

/// Which statement.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatementQuery {
    /// Entries of this time or later (RFC 3339); from the first on unless given.
    #[serde(default, deserialize_with = "optional_time")]
    pub from: Option<DateTime<Utc>>,
    /// Entries before this time (RFC 3339); up to now unless given.
    #[serde(default, deserialize_with = "optional_time")]
    pub to: Option<DateTime<Utc>>,
    /// `json` unless given, or `csv`.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(json|csv)$")]
    pub format: Format,
    /// `next_cursor` of the page before; `from` and `to` don't matter then.
    #[schema(max_length = 512)]
    pub cursor: Option<String>,
    /// Lines of a page; 1,000 unless given.
    #[schema(minimum = 1, maximum = 10_000)]
    pub limit: Option<u32>,
}

/// How a statement is written.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As JSON.
    #[default]
    Json,
    /// As CSV.
    Csv,
}

/// A page of a statement to read.
#[derive(Debug, Clone, Copy)]
pub struct StatementPage {
    pub(super) part: Part,
    pub(super) limit: u32,
}

/// Which part of a statement.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// The first page of a period.
    Period {
        /// Entries of this time or later; from the first one on when missing.
        from: Option<DateTime<Utc>>,
        /// Entries before this time; up to the newest one when missing.
        to: Option<DateTime<Utc>>,
    },
    /// The page that a cursor leads to.
    Next(Position),
}

/// Where a page begins, and where the statement ends: the number of its first entry, and that behind its last.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) first: i64,
    pub(super) end: i64,
}

impl StatementQuery {
    /// Which page.
    ///
    /// # Errors
    /// 400 naming `cursor` or `limit`.
    pub fn page(&self) -> Result<StatementPage, Problem> {
        let limit = pagination::limit_of(self.limit, DEFAULT_LINES, MAX_LINES)?;
        let part = match self.cursor.as_deref() {
            Some(cursor) => Part::Next(pagination::decode::<StatementLines>(cursor)?),
            None => Part::Period {
                from: self.from,
                to: self.to,
            },
        };
        Ok(StatementPage { part, limit })
    }
}
