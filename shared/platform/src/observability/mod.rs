//! What can be seen of a running function: logs, metrics, and the correlation id that joins the work of one request.

pub mod correlation;
pub mod metrics;
pub mod telemetry;
