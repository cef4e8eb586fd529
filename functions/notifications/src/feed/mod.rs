//! A profile's feed of notifications: reading it, and marking notifications as read.

mod id;
mod mark_read;
pub(crate) mod store;
mod view;

use domain::ids::ProfileId;
use platform::clock::ClockHandle;
use platform::error::PlatformError;
use platform::http::Problem;
use platform::pagination::{self, Page, PageRequest};
use serde::Deserialize;
use utoipa::ToSchema;

pub use id::{Feed, InvalidNotificationId, NotificationId};
pub use mark_read::{MAX_IDS, MarkReadRequest, ReadMarker};
pub use view::{MarkReadView, NotificationView, UnreadCountView};

use crate::Error;
use store::FeedStore;

/// Which page of the feed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedQuery {
    /// `true` for unread notifications only.
    pub unread: Option<bool>,
    /// `next_cursor` of the page before; nothing for the newest.
    #[schema(max_length = 512)]
    pub cursor: Option<String>,
    /// Notifications of a page; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}

impl FeedQuery {
    /// The notification after which the page begins, and how many it is to have.
    ///
    /// # Errors
    /// 400 naming `cursor` or `limit`.
    pub fn page(&self) -> Result<PageRequest<Feed>, Problem> {
        PageRequest::read(self.cursor.as_deref(), self.limit)
    }
}

/// Reads feeds.
#[derive(Debug)]
pub struct FeedReader {
    feed: FeedStore,
    clock: ClockHandle,
}

platform::from_environment!(FeedReader { feed, clock });

impl FeedReader {
    /// A page of the profile's notifications, newest first; of the unread ones only where that is asked for.
    ///
    /// # Errors
    /// Transient when DynamoDB fails; fatal for an item that can't be read.
    pub async fn page(
        &self,
        profile: ProfileId,
        unread_only: bool,
        page: PageRequest<Feed>,
    ) -> Result<Page<NotificationView>, Error> {
        let now = self.clock.now();
        let found = self.feed.page(profile, unread_only, page, now).await?;
        let next_cursor = found.last.map(|id| pagination::encode::<Feed>(&id)).transpose();
        Ok(Page {
            items: found.items.into_iter().map(NotificationView::from).collect(),
            next_cursor: next_cursor.map_err(PlatformError::from)?,
        })
    }

    /// How many of the profile's notifications are unread: one item read, never a scan.
    ///
    /// # Errors
    /// Transient when DynamoDB fails.
    pub async fn unread(&self, profile: ProfileId) -> Result<UnreadCountView, Error> {
        let unread = self.feed.unread(profile, self.clock.now()).await?;
        Ok(UnreadCountView { unread })
    }
}
