//! What must hold in `infra/template.yaml` and the stacks that it nests, and no linter checks. Each failure says what to do.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at what it can't read"
)]

mod alarms;
mod events;
mod functions;
mod model;
mod queues;
mod rights;
mod schedule;
mod whole;
