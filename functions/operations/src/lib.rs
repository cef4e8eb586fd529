//! Operations: what keeps the system itself going.
//!
//! | operation | use case |
//! |---|---|
//! | `relay_outbox` | [`relay`] |
//! | `migrate` | [`migrations`] |

pub mod error;
pub mod migrations;
mod publish;
pub mod relay;
mod store;

pub use error::Error;
