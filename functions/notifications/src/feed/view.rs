//! Notifications as callers see them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::store::FeedItem;

/// A notification.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NotificationView {
    /// Id of the notification (ULID).
    pub id: String,
    /// Its kind, for instance `money-flow.succeeded`.
    pub kind: String,
    /// Headline.
    pub title: String,
    /// Text.
    pub body: String,
    /// Ids of what it is about.
    pub data: BTreeMap<String, String>,
    /// Whether it was read.
    pub read: bool,
    /// When it happened (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
}

impl From<FeedItem> for NotificationView {
    fn from(item: FeedItem) -> Self {
        Self {
            id: item.id.to_string(),
            kind: item.kind,
            title: item.title,
            body: item.body,
            data: item.data,
            read: item.read,
            created_at: item.created_at,
        }
    }
}

/// How many notifications are unread.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct UnreadCountView {
    /// Notifications not read yet.
    #[schema(minimum = 0)]
    pub unread: i64,
}

/// What is left after marking notifications as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct MarkReadView {
    /// Notifications not read yet.
    #[schema(minimum = 0)]
    pub unread: i64,
    /// `false` when time ran out before all were marked: the same request again goes on.
    pub complete: bool,
}
