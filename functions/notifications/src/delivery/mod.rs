//! From an event to the feed, the phones and the mailbox.
//!
//! `record_notification` turns an event into a feed item. The table's stream gives each new item to `push_notification` and
//! to `mail_notification`. What they have delivered is recorded on the item, so that an item which comes again is not
//! delivered twice, and one whose delivery failed comes again until it succeeds or is given up.

mod mail;
mod push;
mod record;
mod store;
mod undeliverable;

use domain::ids::ProfileId;
use platform::entry::stream::{Change, ChangeKind};
use platform::observability::telemetry;

pub use mail::Mailer;
pub use push::Pusher;
pub use record::Recorder;

use crate::Error;
use crate::feed::store::{FeedItem, FeedStore, key_of_image};
use undeliverable::UndeliverableQueue;

/// The feed item that a change of the table added, as it is now: the stream's image is as old as its record, the item knows
/// what was delivered since. `None` for other changes, for an item that has expired, and for one that can't be read: that
/// would hold up the stream for hours and be no more readable then, so it is undeliverable at once.
async fn new_item(
    feed: &FeedStore,
    undeliverable: &UndeliverableQueue,
    change: &Change,
) -> Result<Option<(ProfileId, FeedItem)>, Error> {
    if change.kind != ChangeKind::Inserted {
        return Ok(None);
    }
    let (profile, id) = match key_of_image(&change.new) {
        Ok(Some(key)) => key,
        Ok(None) => return Ok(None),
        Err(error) => {
            undeliverable.send(None, None, &error).await?;
            return Ok(None);
        }
    };
    telemetry::identify(profile.get());
    match feed.item(profile, id).await {
        Ok(item) => Ok(item.map(|item| (profile, item))),
        Err(error @ Error::UnreadableItem(_)) => {
            undeliverable.send(Some(profile), Some(id), &error).await?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
