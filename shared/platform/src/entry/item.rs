//! One item of a batch: its failure, panic or slowness stays its own.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use domain::ids::CorrelationId;
use domain::lane::{Lane, Laned};
use futures::FutureExt;
use serde::de::DeserializeOwned;
use tracing::Instrument;

use crate::correlation;
use crate::deadline::Deadline;
use crate::metrics;
use crate::problem::chain;

/// An item that was not done and has to come again.
#[derive(Debug)]
pub(crate) struct ItemFailed;

/// Runs the work of one item under its correlation id.
pub(crate) async fn run<E, F>(
    item: &str,
    id: CorrelationId,
    deadline: Deadline,
    work: F,
) -> Result<(), ItemFailed>
where
    E: Laned,
    F: Future<Output = Result<(), E>>,
{
    let span = tracing::info_span!("item", item, correlation_id = %id, profile_id = tracing::field::Empty);
    let guarded = AssertUnwindSafe(correlation::within(id, work)).catch_unwind();
    let outcome = tokio::time::timeout_at(deadline.instant(), guarded)
        .instrument(span.clone())
        .await;
    let _entered = span.enter();
    match outcome {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(report(&error)),
        Ok(Err(_)) => Err(failed("the handler panicked")),
        Err(_) => Err(failed("the deadline passed")),
    }
}

/// Reads an item's JSON.
pub(crate) fn decode<T: DeserializeOwned>(item: &str, text: &str) -> Result<T, ItemFailed> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        // Only where and what kind: the value itself may be somebody's data.
        let field = error.path().to_string();
        let category = format!("{:?}", error.inner().classify());
        tracing::error!(item, field, category, "an item can't be read");
        metrics::count("UnreadableItems", 1);
        ItemFailed
    })
}

fn report<E: Laned>(error: &E) -> ItemFailed {
    match error.lane() {
        Lane::Transient => tracing::warn!(
            error = chain(error),
            code = error.code(),
            "the item will be tried again"
        ),
        _ => tracing::error!(error = chain(error), code = error.code(), "the item failed"),
    }
    metrics::count("FailedItems", 1);
    ItemFailed
}

fn failed(reason: impl fmt::Display) -> ItemFailed {
    tracing::error!(%reason, "the item failed");
    metrics::count("FailedItems", 1);
    ItemFailed
}
