//! The table of feeds: `pk` = `profile#{id}`; `sk` = `feed#{ULID}`, `counter` or `device#{token}`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use chrono::{DateTime, Utc};
use domain::ids::{CorrelationId, ProfileId};
use platform::aws;
use platform::config::Environment;
use serde::{Deserialize, Serialize};

use crate::Error;

/// How often a write is repeated that met another one on the same counter.
const CONFLICT_TRIES: u32 = 8;
/// Queries that one page may take when most items are filtered out.
const QUERIES_PER_PAGE: u32 = 10;

type Item = HashMap<String, AttributeValue>;

/// A notification as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FeedItem {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) data: BTreeMap<String, String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) event_id: String,
    /// The work that caused it: a push is found by the id of its deposit.
    pub(crate) correlation_id: Option<CorrelationId>,
    pub(crate) read: bool,
    /// Seconds since 1970, for TTL.
    pub(crate) expires_at: i64,
}

/// A page of items; `last` is the id to go on after.
#[derive(Debug)]
pub(crate) struct FeedPage {
    pub(crate) items: Vec<FeedItem>,
    pub(crate) last: Option<String>,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Feed {
    table: String,
}

impl Feed {
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            table: environment.required("TABLE_NOTIFICATIONS")?,
        })
    }

    /// Adds an item and counts it, both or neither; `false` when it is there already.
    pub(crate) async fn add(&self, profile: ProfileId, item: &FeedItem) -> Result<bool, Error> {
        let mut stored: Item = serde_dynamo::to_item(item).map_err(|error| Error::Item(error.to_string()))?;
        stored.extend(key(profile, &format!("feed#{}", item.id)));
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(stored))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|error| Error::dynamodb(&error))?;
        let count = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(profile, "counter")))
            .update_expression("ADD unread :one")
            .expression_attribute_values(":one", number(1))
            .build()
            .map_err(|error| Error::dynamodb(&error))?;
        for attempt in 0..CONFLICT_TRIES {
            let outcome = aws::dynamodb()
                .await
                .transact_write_items()
                .transact_items(TransactWriteItem::builder().put(put.clone()).build())
                .transact_items(TransactWriteItem::builder().update(count.clone()).build())
                .send()
                .await;
            match outcome {
                Ok(_) => return Ok(true),
                Err(error) => match cancellation(error.as_service_error()) {
                    Some(Cancelled::ItemExists) => return Ok(false),
                    Some(Cancelled::Conflict) => {
                        tokio::time::sleep(Duration::from_millis(20 << attempt)).await
                    }
                    None => return Err(Error::dynamodb(&error)),
                },
            }
        }
        Err(Error::Platform(platform::error::PlatformError::DynamoDb(
            "the counter is contended".to_owned(),
        )))
    }

    /// A page of items that are not expired, newest first.
    pub(crate) async fn page(
        &self,
        profile: ProfileId,
        unread_only: bool,
        after: Option<String>,
        limit: u32,
    ) -> Result<FeedPage, Error> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut items: Vec<FeedItem> = Vec::new();
        let mut start = after.map(|id| key(profile, &format!("feed#{id}")));
        for _ in 0..QUERIES_PER_PAGE {
            let filter = if unread_only {
                "expires_at > :now AND #read = :unread"
            } else {
                "expires_at > :now"
            };
            let mut query = aws::dynamodb()
                .await
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND begins_with(sk, :feed)")
                .filter_expression(filter)
                .expression_attribute_values(":pk", text(&partition(profile)))
                .expression_attribute_values(":feed", text("feed#"))
                .expression_attribute_values(":now", number(Utc::now().timestamp()))
                .scan_index_forward(false)
                .limit(i32::try_from(limit - items.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start.take());
            if unread_only {
                query = query
                    .expression_attribute_names("#read", "read")
                    .expression_attribute_values(":unread", AttributeValue::Bool(false));
            }
            let answer = query.send().await.map_err(|error| Error::dynamodb(&error))?;
            for item in answer.items.unwrap_or_default() {
                items.push(from_item(item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() || items.len() >= limit {
                break;
            }
        }
        let last = start.as_ref().and_then(|key| feed_id(key.get("sk")?));
        Ok(FeedPage { items, last })
    }

    /// The profile's count of unread items, with all that was recorded before.
    pub(crate) async fn unread(&self, profile: ProfileId) -> Result<i64, Error> {
        let answer = aws::dynamodb()
            .await
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(profile, "counter")))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Error::dynamodb(&error))?;
        let count = answer
            .item
            .as_ref()
            .and_then(|item| item.get("unread")?.as_n().ok()?.parse().ok());
        Ok(count.unwrap_or(0))
    }

    /// An item as it is now, with the marks of the devices that have it.
    pub(crate) async fn item_with_pushes(
        &self,
        profile: ProfileId,
        id: &str,
    ) -> Result<Option<(FeedItem, BTreeSet<String>)>, Error> {
        let answer = aws::dynamodb()
            .await
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(profile, &format!("feed#{id}"))))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Error::dynamodb(&error))?;
        let Some(item) = answer.item else { return Ok(None) };
        let pushed = item
            .get("pushed_to")
            .and_then(|marks| marks.as_ss().ok())
            .cloned()
            .unwrap_or_default();
        Ok(Some((from_item(item)?, pushed.into_iter().collect())))
    }

    /// The tokens of the profile's devices.
    pub(crate) async fn devices(&self, profile: ProfileId) -> Result<Vec<String>, Error> {
        let pages: Result<Vec<_>, _> = aws::dynamodb()
            .await
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :device)")
            .expression_attribute_values(":pk", text(&partition(profile)))
            .expression_attribute_values(":device", text("device#"))
            .into_paginator()
            .items()
            .send()
            .collect()
            .await;
        let items = pages.map_err(|error| Error::dynamodb(&error))?;
        let token = |item: &Item| Some(item.get("sk")?.as_s().ok()?.strip_prefix("device#")?.to_owned());
        Ok(items.iter().filter_map(token).collect())
    }

    /// Notes that the item needs no push to a device any more.
    pub(crate) async fn mark_pushed(&self, profile: ProfileId, id: &str, mark: &str) -> Result<(), Error> {
        aws::dynamodb()
            .await
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(profile, &format!("feed#{id}"))))
            .update_expression("ADD pushed_to :mark")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":mark", AttributeValue::Ss(vec![mark.to_owned()]))
            .send()
            .await
            .map_err(|error| Error::dynamodb(&error))?;
        Ok(())
    }

    /// Forgets a device.
    pub(crate) async fn forget_device(&self, profile: ProfileId, token: &str) -> Result<(), Error> {
        aws::dynamodb()
            .await
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(profile, &format!("device#{token}"))))
            .send()
            .await
            .map_err(|error| Error::dynamodb(&error))?;
        Ok(())
    }
}

/// The profile and feed id of a stream's image; `None` for items that are no notification.
pub(crate) fn key_of(item: &serde_dynamo::Item) -> Result<Option<(ProfileId, String)>, Error> {
    let part = |name| match item.get(name) {
        Some(serde_dynamo::AttributeValue::S(text)) => Ok(text.clone()),
        _ => Err(Error::Item(format!("{name} is missing"))),
    };
    let (partition, sort) = (part("pk")?, part("sk")?);
    let Some(id) = sort.strip_prefix("feed#") else {
        return Ok(None);
    };
    let profile = partition.strip_prefix("profile#").and_then(|id| id.parse().ok());
    let profile = profile.ok_or_else(|| Error::Item("pk is not of a profile".to_owned()))?;
    Ok(Some((profile, id.to_owned())))
}

enum Cancelled {
    ItemExists,
    Conflict,
}

/// Why a transaction was cancelled, where that is an answer and no failure.
fn cancellation(error: Option<&TransactWriteItemsError>) -> Option<Cancelled> {
    match error? {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            let reasons = cancelled.cancellation_reasons();
            let has = |code| reasons.iter().any(|reason| reason.code() == Some(code));
            if has("ConditionalCheckFailed") {
                Some(Cancelled::ItemExists)
            } else if has("TransactionConflict") {
                Some(Cancelled::Conflict)
            } else {
                None
            }
        }
        other if other.code() == Some("TransactionInProgressException") => Some(Cancelled::Conflict),
        _ => None,
    }
}

fn from_item(item: Item) -> Result<FeedItem, Error> {
    serde_dynamo::from_item(item).map_err(|error| Error::Item(error.to_string()))
}

fn feed_id(sort: &AttributeValue) -> Option<String> {
    Some(sort.as_s().ok()?.strip_prefix("feed#")?.to_owned())
}

fn key(profile: ProfileId, sort: &str) -> Item {
    HashMap::from([
        ("pk".to_owned(), text(&partition(profile))),
        ("sk".to_owned(), text(sort)),
    ])
}

fn partition(profile: ProfileId) -> String {
    format!("profile#{profile}")
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
