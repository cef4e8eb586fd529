//! The counter of unread notifications.
//!
//! It is one item per profile with a number for each day on which unread items expire (`d{days since 1970}`). Items expire
//! at midnight (UTC), so the count of unread ones is the sum over the days to come: an item leaves it at the moment at which
//! it leaves the feed, whenever DynamoDB deletes it, and the deletion needs no handling. Whatever changes whether an item is
//! read changes its day's number in the same transaction.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use chrono::{DateTime, Utc};
use domain::ids::ProfileId;
use platform::aws;

use super::FeedStore;
use crate::Error;
use crate::table::{Item, key, number};

const DAY_SECONDS: i64 = 86_400;

impl FeedStore {
    /// The profile's count of unread items that are not expired at `now`, with all that was recorded before.
    pub(crate) async fn unread(&self, profile: ProfileId, now: DateTime<Utc>) -> Result<i64, Error> {
        let counter = self.table.get(counter_key(profile)).await?.unwrap_or_default();
        let to_come = days(&counter).filter(|(day, _)| !is_past(*day, now));
        Ok(to_come.map(|(_, count)| count).sum())
    }

    /// The write that changes the counter for items that expire at these times (seconds since 1970), each by its number.
    pub(super) fn change_counter(
        &self,
        profile: ProfileId,
        items: impl IntoIterator<Item = (i64, i64)>,
    ) -> Result<TransactWriteItem, Error> {
        let mut changes = BTreeMap::new();
        for (expires_at, change) in items {
            *changes.entry(day_of(expires_at)).or_insert(0) += change;
        }
        let mut update = Update::builder()
            .table_name(&self.table.name)
            .set_key(Some(counter_key(profile)));
        let mut parts = Vec::new();
        for (place, (day, change)) in changes.into_iter().enumerate() {
            parts.push(format!("#d{place} :d{place}"));
            update = update
                .expression_attribute_names(format!("#d{place}"), format!("d{day}"))
                .expression_attribute_values(format!(":d{place}"), number(change));
        }
        let update = update
            .update_expression(format!("ADD {}", parts.join(", ")))
            .build()
            .map_err(|error| Error::dynamodb(&error))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Removes the days that are over from the counter, so that it doesn't grow from year to year.
    pub(crate) async fn remove_past_days(&self, profile: ProfileId, now: DateTime<Utc>) -> Result<(), Error> {
        let counter = self.table.get(counter_key(profile)).await?.unwrap_or_default();
        let past = past_days(&counter, now);
        if past.is_empty() {
            return Ok(());
        }
        let mut update = aws::dynamodb()
            .await
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(counter_key(profile)));
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

fn counter_key(profile: ProfileId) -> Item {
    key(profile, "counter")
}

/// The day that begins when an item expires.
fn day_of(expires_at: i64) -> i64 {
    expires_at.div_euclid(DAY_SECONDS)
}

/// Whether the items of a day have expired.
fn is_past(day: i64, now: DateTime<Utc>) -> bool {
    day.saturating_mul(DAY_SECONDS) <= now.timestamp()
}

/// The numbers of a counter by their days.
fn days(counter: &Item) -> impl Iterator<Item = (i64, i64)> {
    counter.iter().filter_map(|(name, value)| {
        let day = name.strip_prefix('d')?.parse().ok()?;
        Some((day, value.as_n().ok()?.parse().ok()?))
    })
}

/// The days of a counter whose numbers don't count any more.
fn past_days(counter: &Item, now: DateTime<Utc>) -> Vec<i64> {
    let past = days(counter).filter(|(day, _)| is_past(*day, now));
    past.map(|(day, _)| day).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_until_the_midnight_at_which_its_items_expire() {
        let midnight: DateTime<Utc> = "2027-11-27T00:00:00Z".parse().unwrap();
        let day = day_of(midnight.timestamp());
        let mut counter = counter_key(ProfileId::new(1).unwrap());
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
