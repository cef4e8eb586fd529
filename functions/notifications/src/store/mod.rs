//! The DynamoDB access of notifications.

pub(crate) mod feed;
