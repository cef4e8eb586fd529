//! Marking feed items as read, each with its place in the counter in one transaction.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, TransactWriteItem, Update};
use chrono::Utc;
use domain::ids::ProfileId;
use platform::aws;

use super::feed::{Feed, day_of, feed_key, past_days};
use super::table::{Item, Transacted, key, number, partition, sort_after, text};
use crate::Error;

/// Items of one transaction, beside the counter. Few, so that one that meets others costs little.
const PER_TRANSACTION: usize = 25;
/// Items of one query when all older ones are marked, read ones among them.
const PER_QUERY: i32 = 500;
/// Keys of one read, which is DynamoDB's limit.
pub(crate) const PER_READ: usize = 100;
/// Reads of the same keys, when DynamoDB gives only some of them.
const READS: u32 = 10;

/// An unread item: its id and when it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    id: String,
    expires_at: i64,
}

/// Unread items up to a place, and where to go on for more.
#[derive(Debug)]
pub(crate) struct OlderPage {
    pub(crate) unread: Vec<Unread>,
    pub(crate) next: Option<Item>,
}

impl Feed {
    /// Those of the items that are the profile's, unread and not expired.
    pub(crate) async fn unread_of(&self, profile: ProfileId, ids: &[String]) -> Result<Vec<Unread>, Error> {
        let keys: Vec<Item> = ids.iter().map(|id| feed_key(profile, id)).collect();
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .projection_expression("sk, #read, expires_at")
            .expression_attribute_names("#read", "read")
            .build()
            .map_err(|error| Error::dynamodb(&error))?;
        let mut request = Some(HashMap::from([(self.table.name.clone(), wanted)]));
        let mut found = Vec::new();
        for _ in 0..READS {
            let get = aws::dynamodb().await.batch_get_item();
            let answer = get.set_request_items(request.take()).send().await;
            let answer = answer.map_err(|error| Error::dynamodb(&error))?;
            let items = answer.responses.unwrap_or_default().into_values().flatten();
            found.extend(items.filter_map(|item| unread(&item)));
            request = answer.unprocessed_keys.filter(|left| !left.is_empty());
            if request.is_none() {
                return Ok(found);
            }
        }
        let overloaded = "only some of the items were read".to_owned();
        Err(Error::Platform(platform::error::PlatformError::DynamoDb(
            overloaded,
        )))
    }

    /// The profile's unread items up to one, newest first, from a place on.
    pub(crate) async fn unread_up_to(
        &self,
        profile: ProfileId,
        id: &str,
        start: Option<Item>,
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
            .expression_attribute_values(":now", number(Utc::now().timestamp()))
            .scan_index_forward(false)
            .limit(PER_QUERY)
            .set_exclusive_start_key(start);
        let answer = query.send().await.map_err(|error| Error::dynamodb(&error))?;
        let items = answer.items.unwrap_or_default();
        Ok(OlderPage {
            unread: items.iter().filter_map(unread).collect(),
            next: answer.last_evaluated_key,
        })
    }

    /// Marks items as read and takes them from the counter, in steps of [`PER_TRANSACTION`]. Those that somebody else
    /// marks meanwhile are taken from it once.
    pub(crate) async fn mark_read(&self, profile: ProfileId, items: &[Unread]) -> Result<(), Error> {
        for chunk in items.chunks(PER_TRANSACTION) {
            let mut left = chunk.to_vec();
            while !left.is_empty() {
                match self.table.transact(&self.marks(profile, &left)?).await? {
                    Transacted::Done => break,
                    Transacted::Refused(positions) => {
                        let before = left.len();
                        let mut position = 0;
                        left.retain(|_| {
                            position += 1;
                            !positions.contains(&(position - 1))
                        });
                        if left.len() == before {
                            return Err(Error::Item("the counter refuses to be changed".to_owned()));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn marks(&self, profile: ProfileId, items: &[Unread]) -> Result<Vec<TransactWriteItem>, Error> {
        let mut changes = BTreeMap::new();
        let mut writes = Vec::new();
        for item in items {
            *changes.entry(day_of(item.expires_at)).or_insert(0) -= 1;
            let update = Update::builder()
                .table_name(&self.table.name)
                .set_key(Some(feed_key(profile, &item.id)))
                .update_expression("SET #read = :read")
                .condition_expression("#read = :unread")
                .expression_attribute_names("#read", "read")
                .expression_attribute_values(":read", AttributeValue::Bool(true))
                .expression_attribute_values(":unread", AttributeValue::Bool(false))
                .build()
                .map_err(|error| Error::dynamodb(&error))?;
            writes.push(TransactWriteItem::builder().update(update).build());
        }
        writes.push(self.count(profile, &changes)?);
        Ok(writes)
    }

    /// Takes the days that are over out of the counter, so that it doesn't grow from year to year.
    pub(crate) async fn forget_past_days(&self, profile: ProfileId) -> Result<(), Error> {
        let counter = self.table.get(key(profile, "counter")).await?.unwrap_or_default();
        let past = past_days(&counter, Utc::now());
        if past.is_empty() {
            return Ok(());
        }
        let mut update = aws::dynamodb()
            .await
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(key(profile, "counter")));
        let mut names = Vec::new();
        for (place, day) in past.iter().enumerate() {
            names.push(format!("#d{place}"));
            update = update.expression_attribute_names(format!("#d{place}"), format!("d{day}"));
        }
        let update = update.update_expression(format!("REMOVE {}", names.join(", ")));
        update.send().await.map_err(|error| Error::dynamodb(&error))?;
        Ok(())
    }
}

fn unread(item: &Item) -> Option<Unread> {
    let is_read = *item.get("read")?.as_bool().ok()?;
    let expires_at: i64 = item.get("expires_at")?.as_n().ok()?.parse().ok()?;
    let counts = !is_read && expires_at > Utc::now().timestamp();
    let id = sort_after(item, "feed#")?;
    counts.then_some(Unread { id, expires_at })
}
