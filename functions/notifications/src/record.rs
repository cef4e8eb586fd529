//! Turning a domain event into a notification, once per event.

use chrono::{DateTime, TimeDelta, Utc};
use domain::clock::Clock;
use domain::ids::ProfileId;
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::database::Database;
use platform::observability::telemetry;
use ulid::Ulid;

use crate::Error;
use crate::events::{DomainEvent, news};
use crate::preferences::Preferences;
use crate::store::contacts;
use crate::store::feed::{Feed, FeedItem};
use crate::text::{Language, words};

/// Feed items are kept for a year, and to the end of its last day.
const RETENTION: TimeDelta = TimeDelta::days(365);

/// What records notifications.
#[derive(Debug)]
pub struct Recorder {
    feed: Feed,
    preferences: Preferences,
    database: Database,
}

impl Recorder {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let feed = Feed::read(environment);
        let preferences = Preferences::read(environment);
        let database = Database::read(environment);
        Some(Self {
            feed: feed?,
            preferences: preferences?,
            database: database?,
        })
    }

    /// Writes the notification of an event, in the profile's language, and counts it as unread, both or neither. The
    /// item's key is made from the event's id, so a second delivery finds it there. A kind that the profile has switched
    /// off in the feed is not recorded.
    ///
    /// # Errors
    /// Transient when DynamoDB or the database doesn't answer; fatal for an event that can't be read.
    pub async fn record(&self, event: &DomainEvent) -> Result<(), Error> {
        let Some(news) = news(event)? else {
            tracing::debug!(kind = event.kind, "nobody is told of this event");
            return Ok(());
        };
        telemetry::identify(news.profile.get());
        let channels = self.preferences.of_kind(news.profile, news.kind).await?;
        if !channels.feed {
            tracing::info!(
                kind = news.kind.name(),
                "the profile doesn't want to hear of this kind"
            );
            return Ok(());
        }
        let words = words(&news, self.language(news.profile).await?)?;
        let item = FeedItem {
            id: Ulid::from(event.id.as_uuid()).to_string(),
            kind: news.kind.name().to_owned(),
            title: words.title,
            body: words.body,
            data: news.data,
            created_at: event.occurred_at,
            event_id: event.id.to_string(),
            correlation_id: Some(event.correlation_id.clone()),
            read: false,
            push: channels.push,
            mail: channels.mail,
            language: words.language.code().to_owned(),
            fields: if channels.mail {
                words.fields
            } else {
                Default::default()
            },
            mail_settled_at: None,
            expires_at: expiry(event.occurred_at, SystemClock.now()),
        };
        let is_new = self.feed.add(news.profile, &item).await?;
        tracing::info!(kind = item.kind, is_new, "a notification is recorded");
        Ok(())
    }

    async fn language(&self, profile: ProfileId) -> Result<Language, Error> {
        let code = contacts::language(&self.database, profile).await?;
        Ok(Language::of(code.as_deref().unwrap_or_default()))
    }
}

/// The midnight (UTC) at which it expires: what is older than a year already is kept for this day.
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
