//! Notifications: a feed for every profile, and pushes to its phones.
//!
//! | operation | use case |
//! |---|---|
//! | `record_notification` | [`record`] |
//! | `list_notifications`, `get_unread_count` | [`feed`] |
//! | `push_notification` | [`push`] |
//!
//! One DynamoDB table, a partition per profile: `feed#{ULID}` items, the `counter` and `device#{token}` items.

pub mod error;
pub mod events;
pub mod feed;
mod given_up;
pub mod push;
pub mod record;
mod store;
pub mod text;

pub use error::Error;
