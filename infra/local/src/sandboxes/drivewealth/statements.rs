//! An account's documents: monthly statements, trade confirmations and tax forms, with files that open. A link to a file is
//! good for five minutes.

use anyhow::Context;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::events::envelope;
use super::replies::{BAD_PATH, error};
use super::state::{Document, DocumentKind, Link, State};
use super::{DriveWealthSandbox, Live};
use crate::sandboxes::billing::pdf;
use crate::sandboxes::call::{Call, Reply};

/// For how long a link is good.
const LINK_LIFETIME: TimeDelta = TimeDelta::minutes(5);

impl DriveWealthSandbox {
    /// Makes a document of an account and sends its event.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn make_document(&self, account: &str, kind: DocumentKind, name: &str) -> anyhow::Result<Document> {
        let mut live = self.lock();
        let now = self.time();
        let owner = live
            .state
            .accounts
            .get(account)
            .with_context(|| format!("there is no account {account}"))?;
        let (number, user) = (owner.number.clone(), owner.user_id.clone());
        let documents = live.state.documents.by_account.entry(account.to_owned());
        let documents = documents.or_default();
        let document = Document {
            kind,
            file_key: format!("{}{:02}", now.format("%Y%m%d"), documents.len() + 1),
            display_name: name.to_owned(),
            day: now.date_naive(),
        };
        documents.push(document.clone());
        let (event, field) = kind.event();
        let payload = json!({
            field: { "displayName": document.display_name, "fileKey": document.file_key },
            "accountID": account,
            "accountNo": number,
            "userID": user,
        });
        self.emit(&mut live, envelope(event, payload, now));
        Ok(document)
    }

    /// The files that links lead to are there without a session.
    pub(super) fn file(&self, call: &Call) -> Option<Reply> {
        let segments = call.segments();
        let ("GET", ["files", token]) = (call.method.as_str(), segments.as_slice()) else {
            return None;
        };
        let live = self.lock();
        let link = live.state.documents.links.get(*token);
        let link = link.filter(|link| link.expires > self.time());
        let found = link.and_then(|link| {
            let document = document_of(&live.state, &link.account, &link.file_key)?;
            Some((link, document))
        });
        Some(match found {
            None => error(403, "AccessDenied", "the link has expired"),
            Some((link, document)) => {
                let lines = [
                    document.display_name.clone(),
                    format!("Account: {}", link.account),
                    format!("Day: {}", document.day),
                ];
                Reply::text(200, pdf::of_lines(&lines)).with_header("content-type", "application/pdf")
            }
        })
    }

    /// The answer to a call of documents; none for any other.
    pub(super) fn statements(&self, live: &mut Live, call: &Call, now: DateTime<Utc>) -> Option<Reply> {
        let segments = call.segments();
        match (call.method.as_str(), segments.as_slice()) {
            ("GET", ["accounts", account, list]) => {
                let kind = DocumentKind::of_list(list)?;
                if !live.state.accounts.contains_key(*account) {
                    return Some(error(404, BAD_PATH, &format!("account {account} not found")));
                }
                Some(listed(&live.state, account, kind, &call.query))
            }
            ("GET", ["statements", account, file_key]) => {
                Some(self.link(live, call, (account, file_key), now))
            }
            _ => None,
        }
    }

    fn link(
        &self,
        live: &mut Live,
        call: &Call,
        (account, file_key): (&str, &str),
        now: DateTime<Utc>,
    ) -> Reply {
        if document_of(&live.state, account, file_key).is_none() {
            return error(404, BAD_PATH, &format!("file {file_key} not found"));
        }
        let token = Uuid::new_v4().to_string();
        let link = Link {
            account: account.to_owned(),
            file_key: file_key.to_owned(),
            expires: now + LINK_LIFETIME,
        };
        let links = &mut live.state.documents.links;
        links.retain(|_, link| link.expires > now);
        links.insert(token.clone(), link);
        self.changed();
        let host = call.header("host").unwrap_or("localhost");
        Reply::ok(&json!({ "url": format!("http://{host}/drivewealth/files/{token}") }))
    }
}

fn document_of<'a>(state: &'a State, account: &str, file_key: &str) -> Option<&'a Document> {
    let documents = state.documents.by_account.get(account)?;
    documents.iter().find(|document| document.file_key == file_key)
}

/// The documents of a kind, between the days that the query names.
fn listed(state: &State, account: &str, kind: DocumentKind, query: &str) -> Reply {
    let day = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
        values.next().and_then(|value| value.parse::<NaiveDate>().ok())
    };
    let (Some(from), Some(to)) = (day("from"), day("to")) else {
        return error(400, BAD_PATH, "from and to have to be days");
    };
    let documents = state.documents.by_account.get(account);
    let listed = documents
        .into_iter()
        .flatten()
        .filter(|document| document.kind == kind && (from..=to).contains(&document.day));
    let items: Vec<Value> = listed
        .map(|document| json!({ "displayName": document.display_name, "fileKey": document.file_key }))
        .collect();
    Reply::ok(&Value::Array(items))
}
