//! Structured logs: one JSON object a line on standard output, with the ids of the work in hand.

use tracing::Span;
use tracing_subscriber::EnvFilter;

/// Sets the process's logging up, once.
///
/// `RUST_LOG` chooses what is logged (`info` unless it says otherwise).
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // A second call (a test that starts two functions in one process) leaves the first as it is.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_env_filter(filter)
        .with_writer(std::io::stdout)
        .try_init();
}

/// The span of one invocation; [`identify`] fills what is known later.
pub fn invocation_span(request_id: &str, correlation_id: &str) -> Span {
    tracing::info_span!(
        "invocation",
        function = function(),
        request_id,
        correlation_id,
        profile_id = tracing::field::Empty,
    )
}

/// The span of one item of a batch. It repeats the invocation's id, because a line shows its innermost span only.
pub fn item_span(request_id: &str, item: &str, correlation_id: &str) -> Span {
    tracing::info_span!(
        "item",
        function = function(),
        request_id,
        item,
        correlation_id,
        profile_id = tracing::field::Empty,
    )
}

/// The name of this function: the functions of an area share a log group.
fn function() -> String {
    std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| "unknown".to_owned())
}

/// Adds the profile to the span of the work in hand.
pub fn identify(profile_id: i64) {
    Span::current().record("profile_id", profile_id);
}
