//! The identity check (KYC): the form, its lists of choices, phone codes, documents, and what the broker says of it.

pub mod choices;
pub mod countries;
pub mod document;
pub mod form;
pub mod format;
pub mod phone;
pub mod status;
pub mod verdict;
