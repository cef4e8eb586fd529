//! A catcher of text messages: it takes what SNS takes for a phone, and keeps it. `GET /sms` shows them.
//!
//! # By curl
//!
//! Under `/control/sms`: `GET /` or `GET messages` lists the messages; `DELETE messages` forgets them; `GET`, `POST`,
//! `DELETE faults`; `GET`, `DELETE calls`.

use std::fmt::Write;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{Call, Reply};
use super::gate::Party;
use super::html::{self, escape};
use super::sandbox::Sandbox;
use crate::clock::LocalClock;

/// Older messages are dropped.
const MAX_MESSAGES: usize = 10_000;
/// The most messages on the page.
const MAX_LISTED: usize = 200;
const XMLNS: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

/// A handle of the catcher.
pub type SmsSandbox = Sandbox<State>;

/// The messages.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    messages: Vec<CaughtSms>,
}

/// A message that a phone has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaughtSms {
    /// SNS' id of the message.
    pub id: String,
    /// The phone's number.
    pub to: String,
    /// What it says.
    pub text: String,
    /// When it was sent.
    pub at: DateTime<Utc>,
}

impl SmsSandbox {
    pub(super) fn start(file: Option<PathBuf>, clock: LocalClock) -> anyhow::Result<Self> {
        Self::open(file, clock, ())
    }

    /// All messages, oldest first (the newest 10,000).
    pub fn messages(&self) -> Vec<CaughtSms> {
        self.lock().messages.clone()
    }

    /// The messages to a number, oldest first.
    pub fn messages_to(&self, number: &str) -> Vec<CaughtSms> {
        let messages = self.messages().into_iter();
        messages.filter(|message| message.to == number).collect()
    }

    fn publish(&self, call: &Call) -> Reply {
        let Ok(fields) = serde_urlencoded::from_bytes::<Vec<(String, String)>>(&call.body) else {
            return sns_error(400, "MalformedQueryString", "the body can't be read");
        };
        let field = |name: &str| {
            let found = fields.iter().find(|(field, _)| field == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        if field("Action") != "Publish" {
            return sns_error(400, "InvalidAction", "only Publish is played here");
        }
        let (to, text) = (field("PhoneNumber"), field("Message"));
        let is_number = to.strip_prefix('+').is_some_and(|digits| {
            (8..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
        });
        if !is_number || text.is_empty() {
            let message = format!("Invalid parameter: PhoneNumber Reason: {to} is not valid to publish to");
            return sns_error(400, "InvalidParameter", &message);
        }
        let caught = CaughtSms {
            id: Uuid::new_v4().to_string(),
            to: to.to_owned(),
            text: text.to_owned(),
            at: self.time(),
        };
        let body = format!(
            "<PublishResponse xmlns=\"{XMLNS}\"><PublishResult><MessageId>{}</MessageId></PublishResult>\
             <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></PublishResponse>",
            caught.id,
            Uuid::new_v4()
        );
        let mut state = self.lock();
        if state.messages.len() >= MAX_MESSAGES {
            state.messages.remove(0);
        }
        state.messages.push(caught);
        self.changed();
        xml(200, body)
    }
}

impl Party for SmsSandbox {
    fn respond(&self, call: &Call) -> Reply {
        match (&call.method, call.segments().as_slice()) {
            (&Method::POST, []) => self.publish(call),
            _ => sns_error(404, "NotFound", "there is no such path"),
        }
    }

    fn error(&self, status: u16, code: &str, message: &str) -> Reply {
        sns_error(status, code, message)
    }

    /// SNS has no sessions.
    fn expire_sessions(&self) {}

    async fn control(&self, call: &Call) -> anyhow::Result<Option<Value>> {
        Ok(match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", [] | ["messages"]) => Some(json!({ "items": self.messages() })),
            ("DELETE", ["messages"]) => {
                self.lock().messages.clear();
                self.changed();
                Some(json!({}))
            }
            _ => None,
        })
    }
}

/// The page of all messages, if it is asked for.
pub(super) fn page(sandbox: &SmsSandbox, call: &Call) -> Option<Reply> {
    if call.method != Method::GET || !call.segments().is_empty() {
        return None;
    }
    let messages = sandbox.messages();
    let mut items = String::new();
    for message in messages.iter().rev().take(MAX_LISTED) {
        // Writing to a text can't fail.
        let _ = write!(
            items,
            "<li>{}<br><small>{} · to {}</small></li>",
            escape(&message.text),
            message.at.format("%Y-%m-%d %H:%M:%S UTC"),
            escape(&message.to)
        );
    }
    let body = match messages.is_empty() {
        true => "<p>No text message was sent yet.</p>".to_owned(),
        false => format!("<ul class=\"list\">{items}</ul>"),
    };
    Some(html::page(200, "Caught text messages", &body))
}

fn sns_error(status: u16, code: &str, message: &str) -> Reply {
    let kind = if status >= 500 { "Receiver" } else { "Sender" };
    let body = format!(
        "<ErrorResponse xmlns=\"{XMLNS}\"><Error><Type>{kind}</Type><Code>{}</Code><Message>{}</Message></Error>\
         <RequestId>{}</RequestId></ErrorResponse>",
        escape(code),
        escape(message),
        Uuid::new_v4()
    );
    xml(status, body)
}

fn xml(status: u16, body: String) -> Reply {
    Reply::text(status, body).with_header("content-type", "text/xml")
}
