//! An account's documents: monthly statements, trade confirmations and tax forms. DriveWealth keeps the files, and gives a link
//! to one that is good for a short time.

use chrono::{DateTime, Utc};
use domain::ids::DriveWealthAccountId;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::call::{DriveWealth, Request};
use super::requests::segment;
use super::session::SessionStore;
use super::wire::parse;
use crate::outcome::Outcome;

/// What a document is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// What an account held and did in a month.
    Monthly,
    /// Trades of a day.
    TradeConfirmation,
    /// A form for the tax office.
    Tax,
}

impl StatementKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Monthly, Self::TradeConfirmation, Self::Tax];

    /// The kind of an event's type; none for an event of anything else.
    pub fn of_event(kind: &str) -> Option<Self> {
        match kind {
            "statements.created" => Some(Self::Monthly),
            "tradeconfirms.created" => Some(Self::TradeConfirmation),
            "taxforms.created" => Some(Self::Tax),
            _ => None,
        }
    }

    /// Its list, in an account's path.
    fn list(self) -> &'static str {
        match self {
            Self::Monthly => "statements",
            Self::TradeConfirmation => "confirms",
            Self::Tax => "taxforms",
        }
    }
}

/// A document of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it is about.
    pub kind: StatementKind,
    /// DriveWealth's name of the file; it begins with the document's day, `yyyymmdd`.
    pub file_key: String,
    /// Its name for people.
    pub display_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatementObject {
    file_key: String,
    #[serde(default)]
    display_name: Option<String>,
}

impl StatementObject {
    fn read(self, kind: StatementKind) -> Result<Statement, String> {
        if self.file_key.is_empty() {
            return Err("a document without a file".to_owned());
        }
        Ok(Statement {
            kind,
            display_name: self.display_name.unwrap_or_else(|| self.file_key.clone()),
            file_key: self.file_key,
        })
    }
}

impl<S: SessionStore> DriveWealth<S> {
    /// The documents of a kind that an account has got from one time to another.
    pub async fn statements(
        &self,
        account: &DriveWealthAccountId,
        kind: StatementKind,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        deadline: Instant,
    ) -> Outcome<Vec<Statement>> {
        let path = format!(
            "/accounts/{}/{}?from={}&to={}",
            segment(account.as_str()),
            kind.list(),
            from.format("%Y-%m-%d"),
            to.format("%Y-%m-%d"),
        );
        let listed = self.call(Request::get(path), deadline).await;
        listed.read(|body| {
            let objects: Vec<StatementObject> = parse(&body)?;
            objects.into_iter().map(|object| object.read(kind)).collect()
        })
    }

    /// A link to a document's file, good for a short time.
    pub async fn statement_link(
        &self,
        account: &DriveWealthAccountId,
        file_key: &str,
        deadline: Instant,
    ) -> Outcome<String> {
        #[derive(Deserialize)]
        struct Link {
            url: String,
        }
        let path = format!("/statements/{}/{}", segment(account.as_str()), segment(file_key));
        let linked = self.call(Request::get(path), deadline).await;
        linked.read(|body| Ok(parse::<Link>(&body)?.url))
    }
}

/// The account and the document of a `statements.created`, `tradeconfirms.created` or `taxforms.created` event.
///
/// # Errors
/// When the payload names none.
pub fn statement_of_event(
    kind: StatementKind,
    payload: &RawValue,
) -> Result<(DriveWealthAccountId, Statement), String> {
    #[derive(Deserialize)]
    struct StatementEvent {
        #[serde(rename = "accountID")]
        account_id: DriveWealthAccountId,
        #[serde(alias = "tradeConfirm", alias = "taxForm")]
        statement: StatementObject,
    }
    let event: StatementEvent = parse(payload.get().as_bytes())?;
    Ok((event.account_id, event.statement.read(kind)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn event_of_each_kind_names_its_account_and_its_document() {
        let of = |name: &str, kind| {
            let payload = format!(
                r#"{{"{name}":{{"displayName":"October","fileKey":"2026103101"}},"accountID":"u.1","accountNo":"MNTA000001"}}"#
            );
            statement_of_event(kind, &raw(&payload)).unwrap()
        };
        for (name, event) in [
            ("statement", "statements.created"),
            ("tradeConfirm", "tradeconfirms.created"),
            ("taxForm", "taxforms.created"),
        ] {
            let kind = StatementKind::of_event(event).unwrap();
            let (account, statement) = of(name, kind);
            assert_eq!(account.as_str(), "u.1");
            assert_eq!(
                (statement.kind, statement.file_key.as_str()),
                (kind, "2026103101")
            );
        }
        assert_eq!(StatementKind::of_event("orders.created"), None);
    }

    #[test]
    fn document_without_a_file_is_none_and_one_without_a_name_has_its_files() {
        let kind = StatementKind::Tax;
        let nameless = raw(r#"{"taxForm":{"fileKey":"2026010101"},"accountID":"u.1"}"#);
        assert_eq!(
            statement_of_event(kind, &nameless).unwrap().1.display_name,
            "2026010101"
        );
        let fileless = raw(r#"{"taxForm":{"displayName":"1099","fileKey":""},"accountID":"u.1"}"#);
        assert!(statement_of_event(kind, &fileless).is_err());
    }
}
