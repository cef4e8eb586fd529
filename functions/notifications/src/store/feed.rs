//! Feed items, and the counter of those that are unread.
//!
//! The counter is one item per profile with a number for each day on which unread items expire (`d{days since 1970}`).
//! Items expire at midnight (UTC), so the count of unread ones is the sum over the days to come: an item leaves it at the
//! moment at which it leaves the feed, whenever its deletion comes, and nobody has to be told of the deletion. Whatever
//! changes an item's being read changes its day's number in the same transaction.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use chrono::{DateTime, Utc};
use domain::ids::{CorrelationId, ProfileId};
use platform::aws;
use platform::config::Environment;
use serde::{Deserialize, Serialize};

use super::table::{Item, Table, Transacted, from_item, key, number, partition, sort_after, text};
use crate::Error;

/// Queries that one page may take when most items are filtered out.
const QUERIES_PER_PAGE: u32 = 10;
const DAY_SECONDS: i64 = 86_400;

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
    /// Whether it goes to the phones.
    #[serde(default = "yes")]
    pub(crate) push: bool,
    /// Whether it is mailed.
    #[serde(default)]
    pub(crate) mail: bool,
    /// The language that it is written in.
    #[serde(default)]
    pub(crate) language: String,
    /// What the mail tells, for those that are mailed.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, String>,
    /// When the mail was handed over, or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mail_settled_at: Option<DateTime<Utc>>,
    /// Seconds since 1970, for TTL: a midnight.
    pub(crate) expires_at: i64,
}

const fn yes() -> bool {
    true
}

/// A page of items; `last` is the id to go on after.
#[derive(Debug)]
pub(crate) struct FeedPage {
    pub(crate) items: Vec<FeedItem>,
    pub(crate) last: Option<String>,
}

/// The feeds.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(super) table: Table,
}

impl Feed {
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            table: Table::read(environment)?,
        })
    }

    /// Adds an item and counts it, both or neither; `false` when it is there already.
    pub(crate) async fn add(&self, profile: ProfileId, item: &FeedItem) -> Result<bool, Error> {
        let mut stored: Item = serde_dynamo::to_item(item).map_err(|error| Error::Item(error.to_string()))?;
        stored.extend(feed_key(profile, &item.id));
        let put = Put::builder()
            .table_name(&self.table.name)
            .set_item(Some(stored))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|error| Error::dynamodb(&error))?;
        let count = self.count(profile, &BTreeMap::from([(day_of(item.expires_at), 1)]))?;
        let writes = [TransactWriteItem::builder().put(put).build(), count];
        Ok(self.table.transact(&writes).await? == Transacted::Done)
    }

    /// The write that changes the counter by these numbers, by the day on which the items expire.
    pub(super) fn count(
        &self,
        profile: ProfileId,
        changes: &BTreeMap<i64, i64>,
    ) -> Result<TransactWriteItem, Error> {
        let mut update = Update::builder()
            .table_name(&self.table.name)
            .set_key(Some(key(profile, "counter")));
        let mut parts = Vec::new();
        for (place, (day, change)) in changes.iter().enumerate() {
            parts.push(format!("#d{place} :d{place}"));
            update = update
                .expression_attribute_names(format!("#d{place}"), format!("d{day}"))
                .expression_attribute_values(format!(":d{place}"), number(*change));
        }
        let update = update
            .update_expression(format!("ADD {}", parts.join(", ")))
            .build()
            .map_err(|error| Error::dynamodb(&error))?;
        Ok(TransactWriteItem::builder().update(update).build())
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
        let mut start = after.map(|id| feed_key(profile, &id));
        for _ in 0..QUERIES_PER_PAGE {
            let filter = if unread_only {
                "expires_at > :now AND #read = :unread"
            } else {
                "expires_at > :now"
            };
            let mut query = aws::dynamodb()
                .await
                .query()
                .table_name(&self.table.name)
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
        let last = start.as_ref().and_then(|key| sort_after(key, "feed#"));
        Ok(FeedPage { items, last })
    }

    /// The profile's count of unread items, with all that was recorded before.
    pub(crate) async fn unread(&self, profile: ProfileId) -> Result<i64, Error> {
        let counter = self.table.get(key(profile, "counter")).await?.unwrap_or_default();
        let now = Utc::now().timestamp();
        let days = days(&counter);
        Ok(days
            .filter(|(day, _)| day.saturating_mul(DAY_SECONDS) > now)
            .map(|(_, count)| count)
            .sum())
    }

    /// An item as it is now, with the marks of the devices that have it.
    pub(crate) async fn item_with_pushes(
        &self,
        profile: ProfileId,
        id: &str,
    ) -> Result<Option<(FeedItem, BTreeSet<String>)>, Error> {
        let Some(item) = self.table.get(feed_key(profile, id)).await? else {
            return Ok(None);
        };
        let pushed = item
            .get("pushed_to")
            .and_then(|marks| marks.as_ss().ok())
            .cloned()
            .unwrap_or_default();
        Ok(Some((from_item(item)?, pushed.into_iter().collect())))
    }

    /// Notes that the item needs no push to a device any more.
    pub(crate) async fn mark_pushed(&self, profile: ProfileId, id: &str, mark: &str) -> Result<(), Error> {
        let marks = AttributeValue::Ss(vec![mark.to_owned()]);
        self.note(profile, id, "ADD pushed_to :value", marks).await
    }

    /// Notes that the item needs no mail any more.
    pub(crate) async fn mark_mail_settled(&self, profile: ProfileId, id: &str) -> Result<(), Error> {
        let now =
            serde_dynamo::to_attribute_value(Utc::now()).map_err(|error| Error::Item(error.to_string()))?;
        self.note(profile, id, "SET mail_settled_at = :value", now).await
    }

    async fn note(
        &self,
        profile: ProfileId,
        id: &str,
        update: &str,
        value: AttributeValue,
    ) -> Result<(), Error> {
        let sent = aws::dynamodb()
            .await
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(feed_key(profile, id)))
            .update_expression(update)
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":value", value)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            // It has expired meanwhile: nobody will ask.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(Error::dynamodb(&error)),
        }
    }
}

pub(super) fn feed_key(profile: ProfileId, id: &str) -> Item {
    key(profile, &format!("feed#{id}"))
}

/// The day that begins when an item expires.
pub(super) fn day_of(expires_at: i64) -> i64 {
    expires_at.div_euclid(DAY_SECONDS)
}

/// The numbers of a counter by their days.
fn days(counter: &Item) -> impl Iterator<Item = (i64, i64)> {
    counter.iter().filter_map(|(name, value)| {
        let day = name.strip_prefix('d')?.parse().ok()?;
        Some((day, value.as_n().ok()?.parse().ok()?))
    })
}

/// The days of a counter that are over by now: their numbers don't count any more.
pub(super) fn past_days(counter: &Item, now: DateTime<Utc>) -> Vec<i64> {
    let past = days(counter).filter(|(day, _)| day.saturating_mul(DAY_SECONDS) <= now.timestamp());
    past.map(|(day, _)| day).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_until_the_midnight_at_which_its_items_expire() {
        let midnight: DateTime<Utc> = "2027-11-27T00:00:00Z".parse().unwrap();
        let day = day_of(midnight.timestamp());
        let mut counter = key(ProfileId::new(1).unwrap(), "counter");
        counter.insert(format!("d{day}"), number(3));
        counter.insert(format!("d{}", day - 400), number(-1));
        assert_eq!(days(&counter).map(|(_, count)| count).sum::<i64>(), 2);
        let second_before = midnight - chrono::TimeDelta::seconds(1);
        assert_eq!(past_days(&counter, second_before), [day - 400]);
        let mut past = past_days(&counter, midnight);
        past.sort_unstable();
        assert_eq!(past, [day - 400, day]);
    }
}
