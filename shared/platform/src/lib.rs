//! What every function stands on: the entry points for the five kinds of events, identity, problems,
//! configuration, idempotency, inbox and outbox, PostgreSQL and DynamoDB, telemetry.
//!
//! A function's `main` is one call into [`http`] or [`entry`]; everything that is the same for all functions
//! happens here once. This crate knows no area.

pub mod aws;
pub mod clock;
pub mod config;
pub mod correlation;
pub mod cursor;
pub mod database;
pub mod deadline;
pub mod entry;
pub mod error;
pub mod event;
pub mod http;
pub mod idempotency;
pub mod identity;
pub mod inbox;
pub mod metrics;
pub mod nudge;
pub mod outbox;
pub mod problem;
pub mod queue;
pub mod sealed;
pub mod secret;
pub mod telemetry;
