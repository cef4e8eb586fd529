//! Maintenance: what keeps the system itself going. Its rules are in its README.
//!
//! | operation | concept |
//! |---|---|
//! | `relay_outbox` | [`relay`] |
//! | `prune_records` | [`pruning`] |
//! | `migrate` | [`migration`] |

pub mod error;
pub mod migration;
pub mod pruning;
pub mod relay;
#[cfg(test)]
mod test_database;

pub use error::Error;
