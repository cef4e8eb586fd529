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

use platform::entry::stream::{Change, ChangeKind};
use platform::observability::telemetry;

pub use mail::Mailer;
pub use push::Pusher;
pub use record::Recorder;

use crate::Error;
use crate::feed::store::{FeedItem, FeedStore, key_of_image};
use crate::recipient::Recipient;
use undeliverable::UndeliverableQueue;

/// The feed item that a change of the table added, as it is now: the stream's image is as old as its record, the item knows
/// what was delivered since. `None` for other changes, for an item that has expired, and for one that can't be read: that
/// would hold up the stream for hours and be no more readable then, so it is undeliverable at once.
async fn new_item(
    feed: &FeedStore,
    undeliverable: &UndeliverableQueue,
    change: &Change,
) -> Result<Option<(Recipient, FeedItem)>, Error> {
    if change.kind != ChangeKind::Inserted {
        return Ok(None);
    }
    let (recipient, id) = match key_of_image(&change.new) {
        Ok(Some(key)) => key,
        Ok(None) => return Ok(None),
        Err(error) => {
            undeliverable.send(None, None, &error).await?;
            return Ok(None);
        }
    };
    if let Some(profile) = recipient.profile() {
        telemetry::identify(profile.get());
    }
    match feed.item(recipient, id).await {
        Ok(item) => Ok(item.map(|item| (recipient, item))),
        Err(error @ Error::UnreadableItem(_)) => {
            undeliverable.send(Some(recipient), Some(id), &error).await?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
