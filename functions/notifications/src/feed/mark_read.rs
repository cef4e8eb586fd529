//! Marking notifications as read.
//!
//! Marking one that is read already changes nothing, and ids that aren't the caller's are ignored, so that a request can be
//! repeated. Items are marked in small transactions with the counter; a request for all older ones goes on until they are
//! marked or its time is over, and then says that there may be more.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::ids::ProfileId;
use platform::clock::ClockHandle;
use platform::deadline::Deadline;
use serde::Deserialize;
use utoipa::ToSchema;

use super::id::NotificationId;
use super::store::{FeedStore, MAX_KEYS_PER_READ};
use super::view::MarkReadView;
use crate::Error;

/// Notifications that are named in one request.
pub const MAX_IDS: usize = MAX_KEYS_PER_READ;
/// Kept back from the deadline for the response; a step takes less.
const RESPONSE_TIME: Duration = Duration::from_secs(5);

/// Which notifications to mark: either `ids` or `up_to`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkReadRequest {
    /// These notifications.
    #[schema(min_items = 1, max_items = 100)]
    pub ids: Option<Vec<NotificationId>>,
    /// This notification and all older ones.
    #[schema(value_type = Option<String>, pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
    pub up_to: Option<NotificationId>,
}

#[derive(Debug, PartialEq, Eq)]
enum Selection {
    Ids(BTreeSet<NotificationId>),
    /// This one and all older ones.
    UpTo(NotificationId),
}

impl MarkReadRequest {
    fn selection(self) -> Result<Selection, Error> {
        let invalid = |message: String| Error::Invalid {
            field: "ids".to_owned(),
            message,
        };
        match (self.ids, self.up_to) {
            (Some(ids), None) if (1..=MAX_IDS).contains(&ids.len()) => {
                Ok(Selection::Ids(ids.into_iter().collect()))
            }
            (Some(ids), None) => Err(invalid(format!(
                "has {} ids; name 1 to {MAX_IDS}, or all older ones by up_to",
                ids.len()
            ))),
            (None, Some(id)) => Ok(Selection::UpTo(id)),
            (Some(_), Some(_)) | (None, None) => Err(invalid(
                "give either ids (these notifications) or up_to (this one and all older ones)".to_owned(),
            )),
        }
    }
}

/// Marks notifications as read.
#[derive(Debug)]
pub struct ReadMarker {
    feed: FeedStore,
    clock: ClockHandle,
}

platform::from_environment!(ReadMarker { feed, clock });

impl ReadMarker {
    /// Marks notifications of the profile as read.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `ids` unless exactly one of `ids` and `up_to` is given, and for no ids or more than
    /// [`MAX_IDS`]. Transient when DynamoDB fails; what was marked before stays so.
    pub async fn mark(
        &self,
        profile: ProfileId,
        request: MarkReadRequest,
        deadline: Deadline,
    ) -> Result<MarkReadView, Error> {
        let complete = match request.selection()? {
            Selection::Ids(ids) => {
                self.mark_ids(profile, &ids).await?;
                true
            }
            Selection::UpTo(id) => self.mark_up_to(profile, id, deadline).await?,
        };
        let now = self.clock.now();
        self.feed.remove_past_days(profile, now).await?;
        Ok(MarkReadView {
            unread: self.feed.unread(profile, now).await?,
            complete,
        })
    }

    async fn mark_ids(&self, profile: ProfileId, ids: &BTreeSet<NotificationId>) -> Result<(), Error> {
        let unread = self.feed.unread_of(profile, ids, self.clock.now()).await?;
        self.feed.mark_read(profile, &unread).await
    }

    /// `false` when the time is over before all are marked.
    async fn mark_up_to(
        &self,
        profile: ProfileId,
        id: NotificationId,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let until = deadline.earlier_by(RESPONSE_TIME);
        let mut start = None;
        while !until.left().is_zero() {
            let now = self.clock.now();
            let page = self.feed.unread_up_to(profile, id, start, now).await?;
            for step in page.unread.chunks(MAX_KEYS_PER_READ) {
                if until.left().is_zero() {
                    return Ok(false);
                }
                self.feed.mark_read(profile, step).await?;
            }
            start = page.next;
            if start.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_either_ids_or_up_to() {
        let id: NotificationId = "01M7WNTHQZS2Y2B1PDV1YDDYBG".parse().unwrap();
        let select = |ids, up_to| MarkReadRequest { ids, up_to }.selection();
        let one = Selection::Ids(BTreeSet::from([id]));
        assert_eq!(select(Some(vec![id, id]), None).unwrap(), one);
        assert_eq!(select(None, Some(id)).unwrap(), Selection::UpTo(id));
        for (ids, up_to) in [
            (None, None),
            (Some(vec![id]), Some(id)),
            (Some(Vec::new()), None),
            (Some(vec![id; MAX_IDS + 1]), None),
        ] {
            assert!(select(ids, up_to).is_err());
        }
    }
}
