//! Reading a profile's feed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::ids::ProfileId;
use platform::config::Environment;
use platform::error::PlatformError;
use platform::pagination::{self, Page};
use serde::{Deserialize, Serialize};
use ulid::Ulid;
use utoipa::ToSchema;

use crate::Error;
use crate::store::feed::{Feed, FeedItem};

/// A notification.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Notification {
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

/// How many notifications are unread.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct UnreadCount {
    /// Notifications not read yet.
    #[schema(minimum = 0)]
    pub unread: i64,
}

impl From<FeedItem> for Notification {
    fn from(item: FeedItem) -> Self {
        Self {
            id: item.id,
            kind: item.kind,
            title: item.title,
            body: item.body,
            data: item.data,
            read: item.read,
            created_at: item.created_at,
        }
    }
}

/// A place in a feed: the id of the notification before it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct FeedPosition(Ulid);

impl TryFrom<String> for FeedPosition {
    type Error = ulid::DecodeError;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        Ulid::from_string(&id).map(Self)
    }
}

/// The feed, for reading.
#[derive(Debug)]
pub struct FeedReader {
    feed: Feed,
}

impl FeedReader {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            feed: Feed::read(environment)?,
        })
    }

    /// A page of the profile's notifications after a place in it, newest first.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn page(
        &self,
        profile: ProfileId,
        unread_only: bool,
        after: Option<FeedPosition>,
        limit: u32,
    ) -> Result<Page<Notification>, Error> {
        let after = after.map(|position| position.0.to_string());
        let page = self.feed.page(profile, unread_only, after, limit).await?;
        let next_cursor = page
            .last
            .map(|id| pagination::encode(&id))
            .transpose()
            .map_err(PlatformError::from)?;
        Ok(Page {
            items: page.items.into_iter().map(Notification::from).collect(),
            next_cursor,
        })
    }

    /// How many of the profile's notifications are unread: one item read, never a scan.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn unread(&self, profile: ProfileId) -> Result<UnreadCount, Error> {
        Ok(UnreadCount {
            unread: self.feed.unread(profile).await?,
        })
    }
}
