//! Maintenance: what keeps the system itself going, and what operators see and decide. Its rules are in its README.
//!
//! | operation | concept |
//! |---|---|
//! | `relay_outbox` | [`relay`] |
//! | `prune_records` | [`pruning`] |
//! | `migrate` | [`migration`] |
//! | `list_reviews`, `get_review`, `decide_review`, `report_reviews` | [`review`] |

pub mod error;
mod kafka;
pub mod migration;
mod nodes;
pub mod pruning;
pub mod relay;
pub mod review;
#[cfg(test)]
mod tests;

pub use error::Error;
