//! Documents of accounts, and the links to their files.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// What a document is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// A month of an account.
    Statement,
    /// Trades of a day.
    TradeConfirm,
    /// A form for the tax office.
    TaxForm,
}

impl DocumentKind {
    pub(crate) fn of_list(list: &str) -> Option<Self> {
        match list {
            "statements" => Some(Self::Statement),
            "confirms" => Some(Self::TradeConfirm),
            "taxforms" => Some(Self::TaxForm),
            _ => None,
        }
    }

    /// The type of its event, and its name in the event's payload.
    pub(crate) fn event(self) -> (&'static str, &'static str) {
        match self {
            Self::Statement => ("statements.created", "statement"),
            Self::TradeConfirm => ("tradeconfirms.created", "tradeConfirm"),
            Self::TaxForm => ("taxforms.created", "taxForm"),
        }
    }
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What it is about.
    pub kind: DocumentKind,
    /// The file's name, `yyyymmddNN`.
    pub file_key: String,
    /// Its name for people.
    pub display_name: String,
    pub(crate) day: NaiveDate,
}

/// Everything of it that outlives a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Documents {
    pub(crate) by_account: BTreeMap<String, Vec<Document>>,
    pub(crate) links: BTreeMap<String, Link>,
}

/// A link to a file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) account: String,
    pub(crate) file_key: String,
    pub(crate) expires: DateTime<Utc>,
}
