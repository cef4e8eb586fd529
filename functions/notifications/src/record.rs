//! Turning a domain event into a notification, once per event.

use chrono::{DateTime, TimeDelta, Utc};
use domain::clock::Clock;
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::telemetry;
use ulid::Ulid;

use crate::Error;
use crate::events::{DomainEvent, news};
use crate::store::feed::{Feed, FeedItem};
use crate::text::words;

/// Feed items are kept for a year.
const RETENTION: TimeDelta = TimeDelta::days(365);

/// What records notifications.
#[derive(Debug)]
pub struct Recorder {
    feed: Feed,
}

impl Recorder {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            feed: Feed::read(environment)?,
        })
    }

    /// Writes the notification of an event and counts it as unread, both or neither. The item's key is made from the
    /// event's id, so a second delivery finds it there.
    ///
    /// # Errors
    /// Transient when DynamoDB doesn't answer; fatal for an event that can't be read.
    pub async fn record(&self, event: &DomainEvent) -> Result<(), Error> {
        let Some((profile, news)) = news(event)? else {
            tracing::debug!(kind = event.kind, "nobody is told of this event");
            return Ok(());
        };
        telemetry::identify(profile.get());
        let words = words(&news);
        let item = FeedItem {
            id: Ulid::from(event.id.as_uuid()).to_string(),
            kind: words.kind.to_owned(),
            title: words.title,
            body: words.body,
            data: words.data,
            created_at: event.occurred_at,
            event_id: event.id.to_string(),
            correlation_id: Some(event.correlation_id.clone()),
            read: false,
            expires_at: expiry(event.occurred_at),
        };
        let is_new = self.feed.add(profile, &item).await?;
        tracing::info!(kind = item.kind, is_new, "a notification is recorded");
        Ok(())
    }
}

fn expiry(occurred_at: DateTime<Utc>) -> i64 {
    let from = occurred_at.max(SystemClock.now() - RETENTION);
    (from + RETENTION).timestamp()
}
