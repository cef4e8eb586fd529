//! From nothing to a customer: a profile, the form of the identity check, a phone that is proved.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

pub(crate) mod documents;
pub(crate) mod doubt;
pub(crate) mod form;
pub(crate) mod phone;
pub(crate) mod submission;
