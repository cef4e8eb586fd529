//! The local cloud: stands in for AWS on a laptop and in tests.
//!
//! It reads `infra/template.yaml`, the same file that is deployed, and runs the very binaries that are deployed, over
//! the Lambda Runtime API. See [`LocalCloud::start`].

pub mod backends;
pub mod cli;
mod cloud;
mod gateway;
mod held_file;
mod http_client;
mod json;
pub mod keys;
mod logs;
mod options;
mod prerequisites;
pub mod progress;
mod running;
mod runtime;
pub mod sandboxes;
mod sources;
mod sync;
pub mod template;

pub use cloud::LocalCloud;
pub use http_client::http_client;
pub use keys::TokenOptions;
pub use logs::LogLine;
pub use options::{DEFAULT_PORT, External, Options};
pub use runtime::InvocationResult;
pub use sources::queues::{QueueStatus, SeenMessage};
