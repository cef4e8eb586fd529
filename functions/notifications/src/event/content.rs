//! The content of a notification.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::money::Money;

use crate::kind::Kind;
use crate::recipient::Recipient;

/// The content of a notification, before it is put into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Whose notification it is.
    pub recipient: Recipient,
    /// Its kind.
    pub kind: Kind,
    /// Ids with which the app finds what it is about.
    pub data: BTreeMap<String, String>,
    /// The templates' fields: a value for each of [`Kind::fields`].
    pub fields: BTreeMap<&'static str, Field>,
}

/// The value of a template's field; how it reads depends on the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// As it is; empty where there is none.
    Text(String),
    /// Money.
    Amount(Money),
    /// A day.
    Day(NaiveDate),
    /// A moment.
    Time(DateTime<Utc>),
}

/// The parts of [`Content`] that are particular to an event.
pub(super) struct Parts {
    /// Pairs with an empty value are left out of [`Content::data`].
    pub(super) data: Vec<(&'static str, String)>,
    pub(super) fields: Vec<(&'static str, Field)>,
}

/// The payload of an event that makes a notification.
pub(super) trait Describe {
    fn describe(self) -> Parts;
}
