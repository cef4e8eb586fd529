//! One item of a batch: its failure, panic or slowness stays its own.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use domain::ids::CorrelationId;
use domain::lane::{Lane, Laned};
use domain::storable::storable_body;
use futures::FutureExt;
use lambda_runtime::Context;
use serde::de::DeserializeOwned;
use tracing::{Instrument, Span};

use crate::deadline::Deadline;
use crate::error::chain;
use crate::observability::correlation;
use crate::observability::metrics;
use crate::observability::telemetry;

/// An item that was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ItemFailed {
    /// The reason, as a stable code.
    pub(crate) code: &'static str,
    /// Whether no other attempt will do it.
    pub(crate) is_final: bool,
}

/// The invocation that a batch came with.
#[derive(Debug)]
pub(crate) struct Invocation {
    request_id: String,
    /// When all items have to be done.
    pub(crate) deadline: Deadline,
}

impl Invocation {
    pub(crate) fn of(context: &Context) -> Self {
        Self {
            request_id: context.request_id.clone(),
            deadline: Deadline::of(context),
        }
    }

    #[cfg(test)]
    pub(crate) fn for_tests(time: std::time::Duration) -> Self {
        Self {
            request_id: "test".to_owned(),
            deadline: Deadline::after(time),
        }
    }

    /// An item of the batch, and the work it belongs to.
    pub(crate) fn item(&self, name: &str, correlation_id: CorrelationId) -> Item {
        Item {
            span: telemetry::item_span(&self.request_id, name, correlation_id.as_ref()),
            correlation_id,
            deadline: self.deadline,
        }
    }
}

/// An item of a batch.
#[derive(Debug)]
pub(crate) struct Item {
    span: Span,
    correlation_id: CorrelationId,
    deadline: Deadline,
}

impl Item {
    /// Reads the item's JSON and handles it.
    pub(crate) async fn run_message<M, E, F>(
        self,
        text: Option<&str>,
        handle: impl FnOnce(M) -> F,
    ) -> Result<(), ItemFailed>
    where
        M: DeserializeOwned,
        E: Laned,
        F: Future<Output = Result<(), E>>,
    {
        let message = self.span.in_scope(|| decode(text))?;
        self.run(handle(message)).await
    }

    /// Does the item's work.
    pub(crate) async fn run<E, F>(self, work: F) -> Result<(), ItemFailed>
    where
        E: Laned,
        F: Future<Output = Result<(), E>>,
    {
        let guarded = AssertUnwindSafe(correlation::within(self.correlation_id, work)).catch_unwind();
        let outcome = tokio::time::timeout_at(self.deadline.instant(), guarded)
            .instrument(self.span.clone())
            .await;
        let _entered = self.span.enter();
        match outcome {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(report(&error)),
            Ok(Err(_)) => Err(failed("panicked", true)),
            Err(_) => Err(failed("deadline-passed", false)),
        }
    }
}

fn decode<T: DeserializeOwned>(text: Option<&str>) -> Result<T, ItemFailed> {
    let text = text.ok_or_else(|| unreadable("", "no text"))?;
    let text = storable_body(text.as_bytes());
    let mut deserializer = serde_json::Deserializer::from_slice(&text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        // Only where and what kind: the value itself may be somebody's data.
        let category = format!("{:?}", error.inner().classify());
        unreadable(&error.path().to_string(), &category)
    })?;
    // What follows may be a second message, which would be lost without a word.
    deserializer
        .end()
        .map_err(|_| unreadable("", "something after the JSON"))?;
    Ok(value)
}

fn unreadable(field: &str, category: &str) -> ItemFailed {
    tracing::error!(field, category, "reading the item failed");
    metrics::count("UnreadableItems", 1);
    ItemFailed {
        code: "unreadable",
        is_final: true,
    }
}

fn report<E: Laned>(error: &E) -> ItemFailed {
    match error.lane() {
        Lane::Transient => tracing::warn!(
            error = chain(error),
            code = error.code(),
            "handling the item failed; it comes again"
        ),
        _ => tracing::error!(
            error = chain(error),
            code = error.code(),
            "handling the item failed"
        ),
    }
    metrics::count("FailedItems", 1);
    ItemFailed {
        code: error.code(),
        is_final: error.lane() != Lane::Transient,
    }
}

fn failed(code: &'static str, is_final: bool) -> ItemFailed {
    tracing::error!(code, "handling the item failed");
    metrics::count("FailedItems", 1);
    ItemFailed { code, is_final }
}
