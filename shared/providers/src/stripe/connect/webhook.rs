//! Events of connected accounts. They come to an endpoint of their own, signed with a secret of its own.

use chrono::{DateTime, Utc};
use domain::ids::{StripeAccountId, StripeEventId, StripePayoutId};
use domain::storable::storable_body;
use serde::Deserialize;

use crate::stripe::webhook::Unreadable;
use crate::stripe::wire;

/// An event of a connected account.
#[derive(Debug, Clone)]
pub struct ConnectEvent {
    /// Its id: the same however often it is delivered.
    pub id: StripeEventId,
    /// Its type, as Stripe names it.
    pub kind: String,
    /// When it happened. Events come in any order.
    pub created_at: DateTime<Utc>,
    /// The version its object is written in.
    pub api_version: Option<String>,
    /// Whether real money moves. An endpoint of real money also gets the events of tests.
    pub livemode: bool,
    /// The account; none where the event is about our own.
    pub account: Option<StripeAccountId>,
    /// What has happened.
    pub change: ConnectChange,
}

/// The change that an event reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectChange {
    /// The account may stand otherwise than before; how, is asked: events come late, and in any order (`account.updated`,
    /// `account.external_account.…`, `account.application.deauthorized`, `capability.updated`).
    Account,
    /// A payout may stand otherwise than before; how, is asked (`payout.…`).
    Payout {
        /// The payout.
        id: StripePayoutId,
    },
    /// Nothing of ours.
    Other,
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    created: i64,
    #[serde(default)]
    api_version: Option<String>,
    livemode: bool,
    #[serde(default)]
    account: Option<String>,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    id: Option<String>,
}

/// Reads an event whose signature was checked.
///
/// # Errors
/// When it isn't an event.
pub fn parse(body: &[u8]) -> Result<ConnectEvent, Unreadable> {
    let body = storable_body(body);
    let envelope: Envelope = serde_json::from_slice(&body).map_err(|error| Unreadable {
        kind: None,
        what: wire::position(&error),
    })?;
    let kind = envelope.kind.clone();
    read(envelope).map_err(|what| Unreadable {
        kind: Some(kind),
        what,
    })
}

fn read(envelope: Envelope) -> Result<ConnectEvent, String> {
    let change = match (envelope.kind.split('.').next(), &envelope.data.object.id) {
        (Some("account" | "capability"), _) => ConnectChange::Account,
        (Some("payout"), Some(id)) => ConnectChange::Payout { id: wire::id(id)? },
        _ => ConnectChange::Other,
    };
    Ok(ConnectEvent {
        id: wire::id(&envelope.id)?,
        created_at: wire::time(envelope.created)?,
        api_version: envelope.api_version,
        livemode: envelope.livemode,
        account: envelope.account.as_deref().map(wire::id).transpose()?,
        change,
        kind: envelope.kind,
    })
}
