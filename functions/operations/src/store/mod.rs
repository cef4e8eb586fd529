//! The SQL of operations.

pub(crate) mod outbox;
