//! Ids of notifications.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;
use utoipa::ToSchema;

platform::list! {
    /// The notifications of a profile, newest first.
    pub Feed: NotificationId = "notifications"
}

/// The id of a notification: a ULID, in the order of what happened. It is made of the id of the event, so that an event that
/// comes twice makes one notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$", examples("01M7WNTHQZS2Y2B1PDV1YDDYBG"))]
pub struct NotificationId(Ulid);

/// Not the id of a notification.
#[derive(Debug, thiserror::Error)]
#[error("not the id of a notification (a ULID, 26 characters, as GET /notifications gives it)")]
pub struct InvalidNotificationId;

impl NotificationId {
    /// The id of the notification of an event.
    pub fn of_event(event: domain::ids::EventId) -> Self {
        Self(Ulid::from(event.as_uuid()))
    }
}

impl FromStr for NotificationId {
    type Err = InvalidNotificationId;

    fn from_str(id: &str) -> Result<Self, InvalidNotificationId> {
        // Other ways to write the same number (lower case) aren't how ids are stored.
        let read = Ulid::from_string(id).ok().filter(|ulid| ulid.to_string() == id);
        read.map(Self).ok_or(InvalidNotificationId)
    }
}

impl TryFrom<String> for NotificationId {
    type Error = InvalidNotificationId;

    fn try_from(id: String) -> Result<Self, InvalidNotificationId> {
        id.parse()
    }
}

impl From<NotificationId> for String {
    fn from(id: NotificationId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for NotificationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_in_one_way() {
        let read = |text: &str| text.parse::<NotificationId>().is_ok();
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
