//! Pushing new feed items to the profile's phones, one push per device and notification.
//!
//! What was pushed is recorded on the item after each push: a crash in between repeats a push under the same collapse
//! id, so the phone shows it once, and none is lost. An item comes again until each of its devices has its push or is
//! given up; the devices don't wait for each other.

use std::time::Duration;

use domain::ids::ProfileId;
use futures::future::join_all;
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::stream::Change;
use platform::error::chain;
use platform::observability::metrics;
use platform::security::secret::Rotating;
use providers::firebase::{
    Firebase, INVALID_TOKEN, Push, ServiceAccount, THIRD_PARTY_AUTH_ERROR, UNREGISTERED,
};
use providers::outcome::{Decline, Outcome, ProviderError};
use sha2::{Digest, Sha256};

use super::new_item;
use super::undeliverable::UndeliverableQueue;
use crate::Error;
use crate::device::DeviceToken;
use crate::device::store::DeviceStore;
use crate::feed::store::{FeedItem, FeedStore};

const PROVIDER: &str = "Firebase";
/// Refusals of this message to this device. Others, of rights or of the project, are mended by a person, and then
/// everything goes through.
///
/// A device of another sender is not removed: with a wrong service account all of them would be.
const PERMANENT: [&str; 3] = ["INVALID_ARGUMENT", "SENDER_ID_MISMATCH", THIRD_PARTY_AUTH_ERROR];
/// Kept back from the deadline for recording the outcome of a push.
const RECORDING_TIME: Duration = Duration::from_secs(2);

/// Pushes notifications.
#[derive(Debug)]
pub struct Pusher {
    feed: FeedStore,
    devices: DeviceStore,
    undeliverable: UndeliverableQueue,
    base: String,
    project: String,
    clock: ClockHandle,
    client: Rotating<Firebase>,
}

platform::from_environment!(Pusher {
    feed,
    devices,
    undeliverable: UndeliverableQueue::of_pushes,
    base: |environment: &mut Environment| environment.required("FIREBASE_API_BASE"),
    project: |environment: &mut Environment| environment.required("FIREBASE_PROJECT_ID"),
    clock,
    client: Rotating::named("FIREBASE_SECRET"),
});

impl Pusher {
    /// Pushes a new feed item to each of the profile's devices; other changes of the table are ignored.
    ///
    /// # Errors
    /// When DynamoDB or Firebase can't be reached, or Firebase refuses everything: the item has to come again.
    pub async fn push(&self, change: &Change, deadline: Deadline) -> Result<(), Error> {
        let Some((recipient, item)) = new_item(&self.feed, &self.undeliverable, change).await? else {
            return Ok(());
        };
        let Some(profile) = recipient.profile().filter(|_| item.push) else {
            return Ok(());
        };
        let mut devices = self.devices.of(profile).await?;
        devices.retain(|device| !item.pushed_to.contains(&mark(&device.token)));
        if devices.is_empty() {
            return Ok(());
        }
        let client = self.client.get(|account| self.connect(account)).await?;
        let pushes = devices
            .into_iter()
            .map(|device| self.push_to(&client, profile, &item, device.token, deadline));
        let failures: Vec<Error> = join_all(pushes)
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect();
        for error in &failures {
            tracing::warn!(
                notification_id = %item.id,
                error = chain(error),
                "pushing the notification to a device failed; it comes again"
            );
        }
        failures.into_iter().next().map_or(Ok(()), Err)
    }

    async fn push_to(
        &self,
        client: &Firebase,
        profile: ProfileId,
        item: &FeedItem,
        device: DeviceToken,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let push = message(item, &device);
        let until = deadline.earlier_by(RECORDING_TIME).instant();
        match client.send(&push, until).await {
            Outcome::Done(()) => {
                metrics::count("PushesSent", 1);
                self.record(profile, item, &device).await
            }
            Outcome::Declined(decline) => self.declined(profile, item, &device, decline).await,
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => {
                // A service account's key that was replaced fails like this too.
                self.client.invalidate().await;
                Err(ProviderError::unavailable(PROVIDER, &reason).into())
            }
        }
    }

    async fn declined(
        &self,
        profile: ProfileId,
        item: &FeedItem,
        device: &DeviceToken,
        decline: Decline,
    ) -> Result<(), Error> {
        let code = decline.code;
        if [UNREGISTERED, INVALID_TOKEN].contains(&code.as_str()) {
            // A device that has become another profile's meanwhile is removed by its own next push.
            if self.devices.remove(profile, device).await? {
                metrics::count("DevicesForgotten", 1);
            }
            return Ok(());
        }
        let is_permanent = PERMANENT.contains(&code.as_str());
        let error = Error::PushRefused(code);
        if !is_permanent {
            return Err(error);
        }
        self.undeliverable
            .send(Some(profile.into()), Some(item.id), &error)
            .await?;
        self.record(profile, item, device).await
    }

    /// Records that the item needs no push to the device any more.
    async fn record(&self, profile: ProfileId, item: &FeedItem, device: &DeviceToken) -> Result<(), Error> {
        self.feed.record_push(profile, item.id, &mark(device)).await
    }

    fn connect(&self, account: ServiceAccount) -> Result<Firebase, Error> {
        Firebase::new(
            self.base.clone(),
            self.project.clone(),
            account,
            self.clock.clone().into(),
        )
        .map_err(|error| ProviderError::unavailable(PROVIDER, &error).into())
    }
}

fn message(item: &FeedItem, device: &DeviceToken) -> Push {
    let mut data = item.data.clone();
    data.insert("notification_id".to_owned(), item.id.to_string());
    data.insert("kind".to_owned(), item.kind.clone());
    Push {
        device_token: device.secret().clone(),
        title: item.title.clone(),
        body: item.body.clone(),
        data,
        collapse_id: item.id.to_string(),
    }
}

/// The mark of a device on an item: not its token, which is as good as an address.
fn mark(device: &DeviceToken) -> String {
    hex::encode(Sha256::digest(device.expose().as_bytes()))
}
