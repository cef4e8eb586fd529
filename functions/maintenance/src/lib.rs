//! Maintenance: what keeps the system itself going.
//!
//! | operation | use case |
//! |---|---|
//! | `relay_outbox` | [`relay`] |
//! | `prune_records` | [`pruning`] |
//! | `migrate` | [`migrations`] |

pub mod error;
pub mod migrations;
pub mod pruning;
mod publish;
pub mod relay;
mod store;

pub use error::Error;
