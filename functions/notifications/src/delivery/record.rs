//! Turning a domain event into a notification, once per event.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::ProfileId;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::messaging::event::Envelope;
use platform::messaging::queue::Queue;
use platform::observability::telemetry;

use super::store;
use crate::Error;
use crate::event::{Content, DomainEvent, content};
use crate::feed::store::{FeedItem, FeedStore};
use crate::feed::{NotificationId, NotificationView};
use crate::kind::{Channels, Kind, MAIL_ONLY};
use crate::live::{NOTIFICATION_ADDED, NotificationAdded};
use crate::preference::Preferences;
use crate::recipient::Recipient;
use crate::text::{Language, notification_text};

/// Feed items are kept for a year, and to the end of its last day.
const RETENTION: TimeDelta = TimeDelta::days(365);

/// Records notifications.
#[derive(Debug)]
pub struct Recorder {
    feed: FeedStore,
    preferences: Preferences,
    database: Database,
    clock: ClockHandle,
    live: Queue,
}

platform::from_environment!(Recorder {
    feed,
    preferences,
    database,
    clock,
    live: Queue::named("LIVE_UPDATES"),
});

impl Recorder {
    /// Writes the notification of an event, in the profile's language, and counts it as unread, both or neither. The
    /// item's key is made from the event's id, so a second delivery finds it there. A kind that the profile has switched
    /// off in the feed is not recorded.
    ///
    /// # Errors
    /// Transient when DynamoDB or the database fails; fatal for an event that can't be read.
    pub async fn record(&self, event: &DomainEvent) -> Result<(), Error> {
        let Some(content) = content(event)? else {
            tracing::debug!(event_id = %event.id, kind = event.kind, "ignored the event: its type makes no notification");
            return Ok(());
        };
        if let Some(profile) = content.recipient.profile() {
            telemetry::identify(profile.get());
        }
        let channels = self.channels(content.recipient, content.kind).await?;
        if !channels.feed {
            tracing::info!(
                event_id = %event.id,
                kind = content.kind.name(),
                "ignored the event: the profile has switched its kind off"
            );
            return Ok(());
        }
        let recipient = content.recipient;
        let language = self.language(recipient).await?;
        let item = feed_item(event, content, channels, language, self.clock.now())?;
        let is_new = self.feed.add(recipient, &item).await?;
        tracing::info!(notification_id = %item.id, kind = item.kind, is_new, "recorded the notification");
        match recipient {
            Recipient::Profile(profile) => self.publish(profile, item).await,
            Recipient::Trader(_) => Ok(()),
        }
    }

    /// Tells the profile's apps that look on, also when the item was there before: whoever recorded it may have failed here.
    async fn publish(&self, profile: ProfileId, item: FeedItem) -> Result<(), Error> {
        let (key, at) = (item.id.to_string(), item.created_at);
        let added = NotificationAdded {
            profile_id: profile,
            notification: NotificationView::from(item),
        };
        let update = Envelope::new(NOTIFICATION_ADDED, key, at, added);
        Ok(self.live.send_all(&[update]).await?)
    }

    async fn channels(&self, recipient: Recipient, kind: Kind) -> Result<Channels, Error> {
        match recipient {
            Recipient::Profile(profile) => self.preferences.of_kind(profile, kind).await,
            Recipient::Trader(_) => Ok(MAIL_ONLY),
        }
    }

    async fn language(&self, recipient: Recipient) -> Result<Language, Error> {
        let Some(profile) = recipient.profile() else {
            return Ok(Language::of(""));
        };
        let code = self
            .database
            .with(async |connection| store::language(connection, profile).await)
            .await?;
        Ok(Language::of(code.as_deref().unwrap_or_default()))
    }
}

fn feed_item(
    event: &DomainEvent,
    content: Content,
    channels: Channels,
    language: Language,
    now: DateTime<Utc>,
) -> Result<FeedItem, Error> {
    let text = notification_text(&content, language)?;
    Ok(FeedItem {
        id: NotificationId::of_event(event.id),
        kind: content.kind.name().to_owned(),
        title: text.title,
        body: text.body,
        data: content.data,
        created_at: event.occurred_at,
        event_id: event.id.to_string(),
        correlation_id: Some(event.correlation_id.clone()),
        read: false,
        push: channels.push,
        mail: channels.mail,
        language: text.language.code().to_owned(),
        fields: if channels.mail {
            text.fields
        } else {
            Default::default()
        },
        pushed_to: Default::default(),
        mail_settled_at: None,
        expires_at: expiry(event.occurred_at, now),
    })
}

/// The midnight (UTC) at which an item expires; one of an event that is a year old already is kept for this day.
fn expiry(occurred_at: DateTime<Utc>, now: DateTime<Utc>) -> i64 {
    const DAY_SECONDS: i64 = 86_400;
    let last = occurred_at.max(now - RETENTION) + RETENTION;
    (last.timestamp().div_euclid(DAY_SECONDS) + 1) * DAY_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_expires_at_the_midnight_after_a_year() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-11-26T10:00:00Z");
        for (occurred, expires) in [
            ("2026-11-26T09:00:00Z", "2027-11-27T00:00:00Z"),
            ("2026-11-26T00:00:00Z", "2027-11-27T00:00:00Z"),
            ("2020-01-01T00:00:00Z", "2026-11-27T00:00:00Z"),
        ] {
            assert_eq!(expiry(at(occurred), now), at(expires).timestamp(), "{occurred}");
        }
    }
}
