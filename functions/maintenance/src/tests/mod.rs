//! What tests of several concepts use.

pub(crate) mod database;
