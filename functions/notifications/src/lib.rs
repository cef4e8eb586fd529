//! Notifications: a feed for every profile, pushes to its phones, and mails. The rules are in the README.
//!
//! | operation | concept |
//! |---|---|
//! | `record_notification`, `push_notification`, `mail_notification` | [`delivery`] |
//! | `publish_live_update` | [`live`] |
//! | `list_notifications`, `get_unread_count`, `mark_notifications_read` | [`feed`] |
//! | `register_device`, `unregister_device` | [`device`] |
//! | `get_notification_preferences`, `set_notification_preferences` | [`preference`] |
//!
//! One DynamoDB table, a partition per profile: `feed#{ULID}` items, the `counter` of unread ones, the `preferences` and
//! the `device#{token}` items; and a partition per device that says whose it is. A new kind of notification is a variant of
//! [`kind::Kind`], its content in [`event`] and its texts in `templates/en`.

pub mod delivery;
pub mod device;
pub mod error;
pub mod event;
pub mod feed;
pub mod kind;
pub mod live;
pub mod preference;
pub mod recipient;
mod table;
pub mod text;

pub use error::Error;
