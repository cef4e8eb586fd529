//! What SQS's protocol says: which operation a request asks for, and how an error is phrased.

use http::HeaderMap;

const TARGET: &str = "x-amz-target";
const SERVICE: &str = "AmazonSQS.";

/// An error as SQS phrases it.
#[derive(Debug)]
pub(super) struct SqsError {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl SqsError {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<anyhow::Error> for SqsError {
    fn from(error: anyhow::Error) -> Self {
        Self::new("InternalFailure", format!("{error:#}"))
    }
}

/// An operation that rustack lacks, or answers as no SDK understands.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Start,
    List,
    Cancel,
    ListSources,
}

impl Operation {
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let target = headers.get(TARGET)?.to_str().ok()?;
        match target.strip_prefix(SERVICE)? {
            "StartMessageMoveTask" => Some(Self::Start),
            "ListMessageMoveTasks" => Some(Self::List),
            "CancelMessageMoveTask" => Some(Self::Cancel),
            "ListDeadLetterSourceQueues" => Some(Self::ListSources),
            _ => None,
        }
    }
}
