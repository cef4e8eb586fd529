//! Access to the DynamoDB table that all stores share: keys, single reads, and transactions.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use platform::aws;
use platform::config::{Environment, FromEnvironment};
use platform::error::PlatformError;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::recipient::Recipient;

/// Attempts of a transaction that conflicts with others on the same item.
const MAX_ATTEMPTS: u32 = 10;
/// The longest wait after the first conflict; it doubles with each, up to [`MAX_WAIT_MS`].
const MIN_WAIT_MS: u64 = 20;
const MAX_WAIT_MS: u64 = 1_000;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
}

/// The outcome of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Transacted {
    /// All of it was written.
    Done,
    /// None of it was: the conditions of the writes at these positions don't hold.
    ConditionFailed(Vec<usize>),
}

impl FromEnvironment for Table {
    /// Reads `TABLE_NOTIFICATIONS`.
    fn read(environment: &mut Environment) -> Option<Self> {
        environment.ahead(async {
            aws::dynamodb().await;
        });
        Some(Self {
            name: environment.required("TABLE_NOTIFICATIONS")?,
        })
    }
}

impl Table {
    /// An item as it is now.
    pub(crate) async fn get(&self, key: Item) -> Result<Option<Item>, Error> {
        let get = aws::dynamodb().await.get_item().table_name(&self.name);
        let response = get.set_key(Some(key)).consistent_read(true).send().await;
        Ok(response.map_err(|error| Error::dynamodb(&error))?.item)
    }

    /// Writes all or nothing. A transaction that conflicts with another on the same item is tried again after a random
    /// wait, so that the two don't meet again.
    pub(crate) async fn transact(&self, writes: &[TransactWriteItem]) -> Result<Transacted, Error> {
        for attempt in 0..MAX_ATTEMPTS {
            let transaction = aws::dynamodb().await.transact_write_items();
            let sent = transaction.set_transact_items(Some(writes.to_vec())).send().await;
            match sent {
                Ok(_) => return Ok(Transacted::Done),
                Err(error) => match cancellation(error.as_service_error()) {
                    Some(Cancelled::ConditionFailed(positions)) => {
                        return Ok(Transacted::ConditionFailed(positions));
                    }
                    Some(Cancelled::Conflict) => tokio::time::sleep(wait(attempt)).await,
                    None => return Err(Error::dynamodb(&error)),
                },
            }
        }
        let contended = "too many transactions on the same items".to_owned();
        Err(Error::Platform(PlatformError::DynamoDb(contended)))
    }
}

fn wait(attempt: u32) -> Duration {
    let longest = MIN_WAIT_MS
        .saturating_mul(1_u64.checked_shl(attempt).unwrap_or(u64::MAX))
        .min(MAX_WAIT_MS);
    Duration::from_millis(rand::random_range(1..=longest))
}

enum Cancelled {
    ConditionFailed(Vec<usize>),
    Conflict,
}

/// Why a transaction was cancelled, unless that is a failure of DynamoDB.
fn cancellation(error: Option<&TransactWriteItemsError>) -> Option<Cancelled> {
    match error? {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            let reasons = cancelled.cancellation_reasons();
            let at = |code| {
                let found = reasons.iter().enumerate();
                found
                    .filter(|(_, reason)| reason.code() == Some(code))
                    .map(|(position, _)| position)
                    .collect::<Vec<_>>()
            };
            let failed = at("ConditionalCheckFailed");
            if !failed.is_empty() {
                return Some(Cancelled::ConditionFailed(failed));
            }
            let conflicts = !at("TransactionConflict").is_empty();
            conflicts.then_some(Cancelled::Conflict)
        }
        other if other.code() == Some("TransactionInProgressException") => Some(Cancelled::Conflict),
        _ => None,
    }
}

/// The key of an item in a recipient's partition.
pub(crate) fn key(recipient: impl Into<Recipient>, sort: &str) -> Item {
    key_of(&partition(recipient), sort)
}

/// The key of an item in any partition.
pub(crate) fn key_of(partition: &str, sort: &str) -> Item {
    HashMap::from([("pk".to_owned(), text(partition)), ("sk".to_owned(), text(sort))])
}

/// The partition of a recipient's items.
pub(crate) fn partition(recipient: impl Into<Recipient>) -> String {
    recipient.into().to_string()
}

pub(crate) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(crate) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// An item read into its type.
pub(crate) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(|error| Error::item(&error))
}

/// The end of the item's sort key, after this prefix.
pub(crate) fn sort_after(item: &Item, prefix: &str) -> Option<String> {
    Some(item.get("sk")?.as_s().ok()?.strip_prefix(prefix)?.to_owned())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::CancellationReason;
    use aws_sdk_dynamodb::types::error::TransactionCanceledException;

    use super::*;

    /// The cancellation of a transaction for these reasons, one for each write.
    fn cancelled(codes: &[&str]) -> Option<Cancelled> {
        let reasons = codes
            .iter()
            .map(|code| CancellationReason::builder().code(*code).build());
        let error = TransactionCanceledException::builder().set_cancellation_reasons(Some(reasons.collect()));
        cancellation(Some(&TransactWriteItemsError::TransactionCanceledException(
            error.build(),
        )))
    }

    #[test]
    fn a_failed_condition_is_an_outcome_and_a_conflict_is_tried_again() {
        let failed = cancelled(&[
            "None",
            "ConditionalCheckFailed",
            "TransactionConflict",
            "ConditionalCheckFailed",
        ]);
        assert!(matches!(failed, Some(Cancelled::ConditionFailed(positions)) if positions == [1, 3]));
        assert!(matches!(
            cancelled(&["None", "TransactionConflict"]),
            Some(Cancelled::Conflict)
        ));
        assert!(cancelled(&["None", "ThrottlingError"]).is_none());
        assert!(cancellation(None).is_none());
    }

    #[test]
    fn waits_grow_up_to_a_second() {
        for attempt in 0..MAX_ATTEMPTS {
            let longest = (20_u64 << attempt).min(1_000);
            assert!(wait(attempt) <= Duration::from_millis(longest));
        }
        assert!(wait(u32::MAX) <= Duration::from_secs(1));
    }
}
