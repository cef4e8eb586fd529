//! Marking feed items as read, each with its place in the counter in one transaction.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, TransactWriteItem, Update};
use chrono::{DateTime, Utc};
use domain::ids::ProfileId;
use platform::aws;
use platform::error::PlatformError;

use super::{FeedStore, feed_key, id_of};
use crate::Error;
use crate::feed::id::NotificationId;
use crate::table::{Item, Transacted, number, partition, text};

/// Items of one transaction, beside the counter. Few, so that one that conflicts with others costs little.
const MAX_PER_TRANSACTION: usize = 25;
/// Items of one query when all older ones are marked, read ones among them.
const MAX_PER_QUERY: i32 = 500;
/// Keys of one read, which is DynamoDB's limit.
pub(crate) const MAX_KEYS_PER_READ: usize = 100;
/// Reads of the same keys, when DynamoDB returns only some of them.
const MAX_READS: u32 = 10;

/// An unread item: its id and when it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    id: NotificationId,
    expires_at: i64,
}

/// Unread items up to one, and where to go on for more.
#[derive(Debug)]
pub(crate) struct OlderPage {
    pub(crate) unread: Vec<Unread>,
    pub(crate) next: Option<Item>,
}

impl FeedStore {
    /// Those of the items that are the profile's, unread and not expired at `now`. At most [`MAX_KEYS_PER_READ`] ids.
    pub(crate) async fn unread_of(
        &self,
        profile: ProfileId,
        ids: &BTreeSet<NotificationId>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Unread>, Error> {
        let keys: Vec<Item> = ids.iter().map(|id| feed_key(profile, *id)).collect();
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .projection_expression("sk, #read, expires_at")
            .expression_attribute_names("#read", "read")
            .build()
            .map_err(|error| Error::dynamodb(&error))?;
        let mut request = Some(HashMap::from([(self.table.name.clone(), wanted)]));
        let mut found = Vec::new();
        for _ in 0..MAX_READS {
            let get = aws::dynamodb().await.batch_get_item();
            let response = get.set_request_items(request.take()).send().await;
            let response = response.map_err(|error| Error::dynamodb(&error))?;
            let items = response.responses.unwrap_or_default().into_values().flatten();
            found.extend(items.filter_map(|item| unread(&item, now)));
            request = response.unprocessed_keys.filter(|left| !left.is_empty());
            if request.is_none() {
                return Ok(found);
            }
        }
        let overloaded = "only some of the items were read".to_owned();
        Err(Error::Platform(PlatformError::DynamoDb(overloaded)))
    }

    /// The profile's unread items up to one that are not expired at `now`, newest first, from `start` on.
    pub(crate) async fn unread_up_to(
        &self,
        profile: ProfileId,
        id: NotificationId,
        start: Option<Item>,
        now: DateTime<Utc>,
    ) -> Result<OlderPage, Error> {
        let query = aws::dynamodb()
            .await
            .query()
            .table_name(&self.table.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :oldest AND :newest")
            .filter_expression("#read = :unread AND expires_at > :now")
            .expression_attribute_names("#read", "read")
            .expression_attribute_values(":pk", text(&partition(profile)))
            .expression_attribute_values(":oldest", text("feed#"))
            .expression_attribute_values(":newest", text(&format!("feed#{id}")))
            .expression_attribute_values(":unread", AttributeValue::Bool(false))
            .expression_attribute_values(":now", number(now.timestamp()))
            .scan_index_forward(false)
            .limit(MAX_PER_QUERY)
            .set_exclusive_start_key(start);
        let response = query.send().await.map_err(|error| Error::dynamodb(&error))?;
        let items = response.items.unwrap_or_default();
        Ok(OlderPage {
            unread: items.iter().filter_map(|item| unread(item, now)).collect(),
            next: response.last_evaluated_key,
        })
    }

    /// Marks items as read and subtracts them from the counter, in steps of [`MAX_PER_TRANSACTION`]. Those that another
    /// request marks meanwhile are subtracted once.
    pub(crate) async fn mark_read(&self, profile: ProfileId, items: &[Unread]) -> Result<(), Error> {
        for step in items.chunks(MAX_PER_TRANSACTION) {
            let mut left = step.to_vec();
            while !left.is_empty() {
                match self.table.transact(&self.marks(profile, &left)?).await? {
                    Transacted::Done => break,
                    Transacted::ConditionFailed(positions) => {
                        let before = left.len();
                        let mut position = 0;
                        left.retain(|_| {
                            position += 1;
                            !positions.contains(&(position - 1))
                        });
                        if left.len() == before {
                            return Err(Error::UnreadableItem(
                                "the counter's write has no condition that could fail".to_owned(),
                            ));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn marks(&self, profile: ProfileId, items: &[Unread]) -> Result<Vec<TransactWriteItem>, Error> {
        let mut writes = Vec::new();
        for item in items {
            let update = Update::builder()
                .table_name(&self.table.name)
                .set_key(Some(feed_key(profile, item.id)))
                .update_expression("SET #read = :read")
                .condition_expression("#read = :unread")
                .expression_attribute_names("#read", "read")
                .expression_attribute_values(":read", AttributeValue::Bool(true))
                .expression_attribute_values(":unread", AttributeValue::Bool(false))
                .build()
                .map_err(|error| Error::dynamodb(&error))?;
            writes.push(TransactWriteItem::builder().update(update).build());
        }
        let read = items.iter().map(|item| (item.expires_at, -1));
        writes.push(self.change_counter(profile, read)?);
        Ok(writes)
    }
}

/// The item, if it is unread and not expired at `now`.
fn unread(item: &Item, now: DateTime<Utc>) -> Option<Unread> {
    let is_read = *item.get("read")?.as_bool().ok()?;
    let expires_at: i64 = item.get("expires_at")?.as_n().ok()?.parse().ok()?;
    let counts = !is_read && expires_at > now.timestamp();
    let id = id_of(item)?;
    counts.then_some(Unread { id, expires_at })
}
