//! Marking notifications as read.
//!
//! Marking what is read already changes nothing, and what isn't the caller's is passed over, so that a request can be
//! repeated. Items are marked in small transactions with the counter; a request for all older ones goes on until they are
//! marked or its time is over, and then says that there may be more.

use std::time::Duration;

use domain::ids::ProfileId;
use platform::config::Environment;
use platform::deadline::Deadline;
use serde::{Deserialize, Serialize};
use ulid::Ulid;
use utoipa::ToSchema;

use crate::Error;
use crate::store::feed::Feed;
use crate::store::reading::PER_READ;

/// Notifications that are named in one request.
pub const MAX_IDS: usize = PER_READ;
/// Kept back from the deadline for the answer; a step takes less.
const ANSWERING: Duration = Duration::from_secs(5);

/// The id of a notification: a ULID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$", examples("01M7WNTHQZS2Y2B1PDV1YDDYBG"))]
pub struct NotificationId(Ulid);

/// Not the id of a notification.
#[derive(Debug, thiserror::Error)]
#[error("not the id of a notification (a ULID, 26 characters, as GET /notifications gives it)")]
pub struct NoNotificationId;

impl TryFrom<String> for NotificationId {
    type Error = NoNotificationId;

    fn try_from(id: String) -> Result<Self, NoNotificationId> {
        // Other ways to write the same number aren't how an id is kept.
        let read = Ulid::from_string(&id).ok().filter(|ulid| ulid.to_string() == id);
        read.map(Self).ok_or(NoNotificationId)
    }
}

/// What to mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// These.
    These(Vec<NotificationId>),
    /// This one and all older ones.
    UpTo(NotificationId),
}

impl Which {
    /// Exactly one of the two.
    ///
    /// # Errors
    /// [`Error::Invalid`] for both or none, and for no ids or more than [`MAX_IDS`].
    pub fn of(ids: Option<Vec<NotificationId>>, up_to: Option<NotificationId>) -> Result<Self, Error> {
        let invalid = |message: String| Error::Invalid {
            field: "ids".to_owned(),
            message,
        };
        match (ids, up_to) {
            (Some(ids), None) if (1..=MAX_IDS).contains(&ids.len()) => Ok(Self::These(ids)),
            (Some(ids), None) => Err(invalid(format!(
                "has {} ids; name 1 to {MAX_IDS}, or all older ones by up_to",
                ids.len()
            ))),
            (None, Some(id)) => Ok(Self::UpTo(id)),
            (Some(_), Some(_)) | (None, None) => Err(invalid(
                "give either ids (these notifications) or up_to (this one and all older ones)".to_owned(),
            )),
        }
    }
}

/// What is left after marking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Marked {
    /// Notifications not read yet.
    #[schema(minimum = 0)]
    pub unread: i64,
    /// `false` when time ran out before all were marked: the same request again goes on.
    pub complete: bool,
}

/// What marks notifications.
#[derive(Debug)]
pub struct Reader {
    feed: Feed,
}

impl Reader {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            feed: Feed::read(environment)?,
        })
    }

    /// Marks notifications of the profile.
    ///
    /// # Errors
    /// When DynamoDB fails. What was marked before stays so.
    pub async fn mark(&self, profile: ProfileId, which: Which, deadline: Deadline) -> Result<Marked, Error> {
        let complete = match which {
            Which::These(ids) => {
                self.mark_these(profile, &ids).await?;
                true
            }
            Which::UpTo(id) => self.mark_up_to(profile, id, deadline).await?,
        };
        self.feed.forget_past_days(profile).await?;
        Ok(Marked {
            unread: self.feed.unread(profile).await?,
            complete,
        })
    }

    async fn mark_these(&self, profile: ProfileId, ids: &[NotificationId]) -> Result<(), Error> {
        let mut ids: Vec<String> = ids.iter().map(|id| id.0.to_string()).collect();
        ids.sort();
        ids.dedup();
        let unread = self.feed.unread_of(profile, &ids).await?;
        self.feed.mark_read(profile, &unread).await
    }

    async fn mark_up_to(
        &self,
        profile: ProfileId,
        id: NotificationId,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let (id, until) = (id.0.to_string(), deadline.earlier_by(ANSWERING));
        let mut start = None;
        while !until.left().is_zero() {
            let page = self.feed.unread_up_to(profile, &id, start).await?;
            for step in page.unread.chunks(PER_READ) {
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

    fn id() -> NotificationId {
        NotificationId(Ulid::from_parts(1, 2))
    }

    #[test]
    fn either_these_or_all_older_ones() {
        assert_eq!(
            Which::of(Some(vec![id()]), None).unwrap(),
            Which::These(vec![id()])
        );
        assert_eq!(Which::of(None, Some(id())).unwrap(), Which::UpTo(id()));
        for (ids, up_to) in [
            (None, None),
            (Some(vec![id()]), Some(id())),
            (Some(Vec::new()), None),
            (Some(vec![id(); MAX_IDS + 1]), None),
        ] {
            assert!(Which::of(ids, up_to).is_err());
        }
    }

    #[test]
    fn an_id_is_written_in_one_way() {
        let read = |text: &str| NotificationId::try_from(text.to_owned()).is_ok();
        assert!(read("01M7WNTHQZS2Y2B1PDV1YDDYBG"));
        for text in [
            "",
            "01m7wnthqzs2y2b1pdv1yddybg",
            "01M7WNTHQZS2Y2B1PDV1YDDYB",
            "feed#",
            "ZZZZZZZZZZZZZZZZZZZZZZZZZZ",
        ] {
            assert!(!read(text), "{text}");
        }
    }
}
