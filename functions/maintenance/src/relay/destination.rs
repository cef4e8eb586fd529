//! Where messages go.

/// A Kafka topic or an SQS queue by its short name (`trading.events`, `domain-events`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    /// As it is stored: `topic` or `queue`.
    pub(super) kind: String,
    pub(super) name: String,
}

impl Destination {
    pub(super) fn is_topic(&self) -> bool {
        self.kind == "topic"
    }
}
