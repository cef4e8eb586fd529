//! Feed items, and the counter of those that are unread.

mod counter;
mod mark_read;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use chrono::{DateTime, Utc};
use domain::ids::{CorrelationId, ProfileId};
use platform::aws;
use platform::pagination::PageRequest;
use serde::{Deserialize, Serialize};

pub(super) use mark_read::MAX_KEYS_PER_READ;

use super::id::{Feed, NotificationId};
use crate::Error;
use crate::recipient::Recipient;
use crate::table::{Item, Table, Transacted, from_item, key, number, partition, sort_after, text};

/// Queries that one page may take when most items are filtered out.
const MAX_QUERIES_PER_PAGE: u32 = 10;
/// Items that one query looks at for unread ones, which may lie far apart.
const UNREAD_LOOKED_AT: i32 = 500;

/// A notification as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FeedItem {
    pub(crate) id: NotificationId,
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) data: BTreeMap<String, String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) event_id: String,
    /// The work that caused it: a push is found by the id of its deposit.
    pub(crate) correlation_id: Option<CorrelationId>,
    pub(crate) read: bool,
    /// Whether it is pushed.
    #[serde(default = "yes")]
    pub(crate) push: bool,
    /// Whether it is mailed.
    #[serde(default)]
    pub(crate) mail: bool,
    /// ISO 639-1 code of the language that it is written in.
    #[serde(default)]
    pub(crate) language: String,
    /// The fields of the mail's template, for those that are mailed.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, String>,
    /// Marks of the devices that need no push of it any more.
    #[serde(default, skip_serializing)]
    pub(crate) pushed_to: BTreeSet<String>,
    /// When the mail server took the mail, or refused it for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mail_settled_at: Option<DateTime<Utc>>,
    /// Seconds since 1970, for DynamoDB's TTL: a midnight (UTC).
    pub(crate) expires_at: i64,
}

const fn yes() -> bool {
    true
}

/// A page of items; the next one begins after `last`.
#[derive(Debug)]
pub(crate) struct FeedPage {
    pub(crate) items: Vec<FeedItem>,
    pub(crate) last: Option<NotificationId>,
}

/// The feeds of all profiles.
#[derive(Debug)]
pub(crate) struct FeedStore {
    table: Table,
}

platform::from_environment!(FeedStore { table });

impl FeedStore {
    /// Adds an item and counts it, both or neither; `false` when it is there already. What is mailed only is counted nowhere.
    pub(crate) async fn add(&self, recipient: Recipient, item: &FeedItem) -> Result<bool, Error> {
        let mut stored: Item = serde_dynamo::to_item(item).map_err(|error| Error::item(&error))?;
        stored.extend(feed_key(recipient, item.id));
        let put = Put::builder()
            .table_name(&self.table.name)
            .set_item(Some(stored))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|error| Error::dynamodb(&error))?;
        let mut writes = vec![TransactWriteItem::builder().put(put).build()];
        if let Some(profile) = recipient.profile() {
            writes.push(self.change_counter(profile, [(item.expires_at, 1)])?);
        }
        Ok(self.table.transact(&writes).await? == Transacted::Done)
    }

    /// A page of items that are not expired at `now`, newest first.
    pub(crate) async fn page(
        &self,
        profile: ProfileId,
        unread_only: bool,
        page: PageRequest<Feed>,
        now: DateTime<Utc>,
    ) -> Result<FeedPage, Error> {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        // One more than the page has: it shows whether another page follows.
        let wanted = limit.saturating_add(1);
        let mut items: Vec<FeedItem> = Vec::new();
        let mut start = page.after.map(|id| feed_key(profile, id));
        for _ in 0..MAX_QUERIES_PER_PAGE {
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
                .expression_attribute_values(":now", number(now.timestamp()))
                .scan_index_forward(false)
                .limit(if unread_only {
                    UNREAD_LOOKED_AT
                } else {
                    i32::try_from(wanted.saturating_sub(items.len())).unwrap_or(i32::MAX)
                })
                .set_exclusive_start_key(start.take());
            if unread_only {
                query = query
                    .expression_attribute_names("#read", "read")
                    .expression_attribute_values(":unread", AttributeValue::Bool(false));
            }
            let response = query.send().await.map_err(|error| Error::dynamodb(&error))?;
            for item in response.items.unwrap_or_default() {
                items.push(from_item(item)?);
            }
            start = response.last_evaluated_key;
            if start.is_none() || items.len() >= wanted {
                break;
            }
        }
        let last = if items.len() > limit {
            items.truncate(limit);
            items.last().map(|item| item.id)
        } else {
            start.as_ref().and_then(id_of)
        };
        Ok(FeedPage { items, last })
    }

    /// An item as it is now.
    pub(crate) async fn item(
        &self,
        recipient: Recipient,
        id: NotificationId,
    ) -> Result<Option<FeedItem>, Error> {
        let item = self.table.get(feed_key(recipient, id)).await?;
        item.map(from_item).transpose()
    }

    /// Records that the item needs no push to a device any more.
    pub(crate) async fn record_push(
        &self,
        profile: ProfileId,
        id: NotificationId,
        mark: &str,
    ) -> Result<(), Error> {
        let marks = AttributeValue::Ss(vec![mark.to_owned()]);
        self.update(profile.into(), id, "ADD pushed_to :value", marks)
            .await
    }

    /// Records at `now` that the item needs no mail any more.
    pub(crate) async fn record_mail(
        &self,
        recipient: Recipient,
        id: NotificationId,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let now = serde_dynamo::to_attribute_value(now).map_err(|error| Error::item(&error))?;
        self.update(recipient, id, "SET mail_settled_at = :value", now)
            .await
    }

    /// Updates an item; one that has expired meanwhile stays away.
    async fn update(
        &self,
        recipient: Recipient,
        id: NotificationId,
        update: &str,
        value: AttributeValue,
    ) -> Result<(), Error> {
        let sent = aws::dynamodb()
            .await
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(feed_key(recipient, id)))
            .update_expression(update)
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":value", value)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
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

fn feed_key(recipient: impl Into<Recipient>, id: NotificationId) -> Item {
    key(recipient, &format!("feed#{id}"))
}

/// The id of the notification that an item, or its key, is of.
fn id_of(item: &Item) -> Option<NotificationId> {
    sort_after(item, "feed#")?.parse().ok()
}

/// The recipient and notification that a stream's image is of; `None` for an item that is no notification.
pub(crate) fn key_of_image(image: &serde_dynamo::Item) -> Result<Option<(Recipient, NotificationId)>, Error> {
    let part = |name| match image.get(name) {
        Some(serde_dynamo::AttributeValue::S(text)) => Ok(text.clone()),
        _ => Err(Error::UnreadableItem(format!("{name} is missing"))),
    };
    let (partition, sort) = (part("pk")?, part("sk")?);
    let Some(id) = sort.strip_prefix("feed#") else {
        return Ok(None);
    };
    let recipient = Recipient::of_partition(&partition);
    let recipient = recipient.ok_or_else(|| Error::UnreadableItem("pk is of nobody".to_owned()))?;
    let id = id
        .parse()
        .map_err(|_| Error::UnreadableItem("sk is not of a notification".to_owned()))?;
    Ok(Some((recipient, id)))
}
