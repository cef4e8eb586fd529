//! Notifications: a feed for every profile, pushes to its phones, and mails.
//!
//! | operation | use case |
//! |---|---|
//! | `record_notification` | [`record`] |
//! | `list_notifications`, `get_unread_count` | [`feed`] |
//! | `mark_notifications_read` | [`reading`] |
//! | `register_device`, `unregister_device` | [`devices`] |
//! | `get_notification_preferences`, `set_notification_preferences` | [`preferences`] |
//! | `push_notification` | [`push`] |
//! | `mail_notification` | [`mail`] |
//!
//! One DynamoDB table, a partition per profile: `feed#{ULID}` items, the `counter` of unread ones, the `preferences` and
//! the `device#{token}` items; and a partition per device that says whose it is. A new kind of notification is a variant of
//! [`kind::Kind`], its data in [`events`] and its words in `templates/en`.

pub mod devices;
pub mod error;
pub mod events;
pub mod feed;
mod given_up;
pub mod kind;
pub mod mail;
pub mod preferences;
pub mod push;
pub mod reading;
pub mod record;
mod store;
pub mod text;

pub use error::Error;
