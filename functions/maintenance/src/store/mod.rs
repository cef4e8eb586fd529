//! The SQL of operations.

pub(crate) mod old_records;
pub(crate) mod outbox;
