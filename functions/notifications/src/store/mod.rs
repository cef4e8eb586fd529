//! The DynamoDB table of notifications, and the view of the profiles' contacts.

pub(crate) mod contacts;
pub(crate) mod devices;
pub(crate) mod feed;
pub(crate) mod preferences;
pub(crate) mod reading;
mod table;
