//! What every function stands on. It knows no area.
//!
//! | module | holds |
//! |---|---|
//! | [`entry`], [`http`] | the entry points for the five kinds of events; requests, replies, problems, the API's description |
//! | [`messaging`] | events, outbox, inbox, queues, and waking the relay and other jobs |
//! | [`database`], [`idempotency`], [`pagination`] | PostgreSQL; requests that are done once; pages of lists |
//! | [`review`], [`audit`] | what waits for a person, and how an area applies what was decided; who did what as an administrator
//! | [`security`] | identity, secrets, values sealed at rest |
//! | [`observability`] | logs, metrics, correlation ids |
//! | [`config`], [`clock`], [`deadline`], [`aws`], [`error`] | configuration, time, AWS clients, failures of the platform |
//!
//! A function's `main` is one call into [`http`] or [`entry`]; what is the same for all functions happens here once.

pub mod audit;
pub mod aws;
pub mod clock;
pub mod config;
pub mod database;
pub mod deadline;
pub mod entry;
pub mod error;
pub mod http;
pub mod idempotency;
pub mod messaging;
pub mod observability;
pub mod pagination;
pub mod prelude;
pub mod review;
pub mod security;
