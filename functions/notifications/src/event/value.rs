//! Values in payloads of other areas, checked before they are shown or stored.

use domain::currency::Currency;
use domain::money::Money;
use serde::Deserialize;
use serde_json::Value;

use super::content::Field;

/// Longest name of a customer's own that is shown, in characters.
const MAX_NAME_LENGTH: usize = 80;
/// Longest code or id of another area, in bytes.
const MAX_CODE_LENGTH: usize = 64;
/// Longest link, in bytes.
const MAX_LINK_LENGTH: usize = 2048;

/// An id or a code of another area: letters, digits and what joins them.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Code(pub(super) String);

impl TryFrom<Value> for Code {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, &'static str> {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) if number.is_i64() => number.to_string(),
            _ => return Err("neither a text nor a whole number"),
        };
        let fits = !text.is_empty()
            && text.len() <= MAX_CODE_LENGTH
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
        fits.then_some(Self(text)).ok_or("not an id or a code")
    }
}

/// A code that only chooses among texts of ours: whatever isn't a code is as good as none.
#[derive(Default, Deserialize)]
#[serde(from = "Value")]
pub(super) struct Choice(pub(super) String);

impl From<Value> for Choice {
    fn from(value: Value) -> Self {
        Code::try_from(value).map_or_else(|_| Self::default(), |code| Self(code.0))
    }
}

/// A name that the customer knows: of a bank account, of a card.
#[derive(Default, Deserialize)]
#[serde(from = "Option<String>")]
pub(super) struct Name(pub(super) String);

impl From<Option<String>> for Name {
    fn from(name: Option<String>) -> Self {
        Self(printable(&name.unwrap_or_default()))
    }
}

/// A text that a customer wrote, without control characters and cut to a length that fits a line.
pub(crate) fn printable(text: &str) -> String {
    let printed = text.chars().filter(|character| !character.is_control());
    let short: String = printed.take(MAX_NAME_LENGTH).collect();
    short.trim().to_owned()
}

/// Where the customer can act on it. What is no web address over TLS counts as none; the notification is made all the same.
#[derive(Default, Deserialize)]
#[serde(from = "Option<String>")]
pub(super) struct Link(pub(super) String);

impl From<Option<String>> for Link {
    fn from(link: Option<String>) -> Self {
        let fits = |link: &String| {
            link.starts_with("https://")
                && link.len() <= MAX_LINK_LENGTH
                && link.bytes().all(|byte| byte.is_ascii_graphic())
        };
        Self(link.filter(fits).unwrap_or_default())
    }
}

/// An amount of money, in two fields of the payload.
#[derive(Deserialize)]
pub(super) struct Amount {
    amount_cents: i64,
    currency: Currency,
}

impl Amount {
    /// The amount for the templates.
    pub(super) fn field(&self) -> Field {
        Field::Amount(Money::new(self.amount_cents, self.currency))
    }
}
