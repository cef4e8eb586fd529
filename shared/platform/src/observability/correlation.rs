//! The correlation id of the work in hand: it comes with a request or message, or is made there, and goes
//! along in the `x-correlation-id` header of HTTP, the `correlation_id` attribute of SQS and header of Kafka.

use std::future::Future;

use domain::ids::CorrelationId;
use uuid::Uuid;

/// Name of the HTTP header, and of the Kafka header.
pub const HEADER: &str = "x-correlation-id";
/// Name of the SQS message attribute.
pub const ATTRIBUTE: &str = "correlation_id";

tokio::task_local! {
    static CURRENT: CorrelationId;
}

/// Runs `work` under the given id.
pub async fn within<F: Future>(id: CorrelationId, work: F) -> F::Output {
    CURRENT.scope(id, work).await
}

/// The id of the work in hand; a new one outside of any.
pub fn current() -> CorrelationId {
    CURRENT.try_with(Clone::clone).unwrap_or_else(|_| new())
}

/// A new id.
pub fn new() -> CorrelationId {
    accept(&Uuid::now_v7().to_string())
}

/// The id a caller sent; a new one where it is missing or not fit to be written to a log.
pub fn accept(sent: &str) -> CorrelationId {
    match CorrelationId::parse(sent) {
        Ok(id) => id,
        Err(_) => new(),
    }
}
