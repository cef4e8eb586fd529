//! The local cloud: stands in for AWS on a laptop and in tests.
//!
//! It reads `infra/template.yaml`, the same file that is deployed, and runs the very binaries that are deployed, over
//! the Lambda Runtime API. See [`LocalCloud::start`].

pub mod backends;
pub mod cli;
mod clock;
mod cloud;
mod gateway;
mod graphql;
mod guard;
pub mod keys;
mod options;
mod ports;
pub mod progress;
mod running;
mod runtime;
pub mod sandboxes;
mod sources;
pub mod template;
mod util;

pub use clock::{ClockMove, ClockView, LocalClock, SchedulesToRun};
pub use cloud::LocalCloud;
pub use keys::TokenOptions;
pub use options::{DEFAULT_PORT, External, Options};
pub use runtime::{InvocationResult, Level, LogLine};
pub use sources::playing::{ClockMoved, PlayedRun};
pub use sources::queues::{QueueStatus, SeenMessage};
pub use util::http_client;
