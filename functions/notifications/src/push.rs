//! Pushing new feed items to the profile's phones, one push per device and notification.
//!
//! What was pushed is recorded on the item after each push: a crash in between repeats a push under the same collapse
//! id, so the phone shows it once, and none is lost. An item comes again until each of its devices has its push or is
//! given up; the devices don't wait for each other.

use std::time::Duration;

use domain::ids::ProfileId;
use futures::future::join_all;
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::stream::{Change, ChangeKind};
use platform::error::chain;
use platform::observability::metrics;
use platform::observability::telemetry;
use platform::security::secret::{Rotating, SecretSource};
use providers::firebase::{Firebase, INVALID_TOKEN, Push, ServiceAccount, UNREGISTERED};
use providers::outcome::{Decline, Outcome};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::given_up::GivenUp;
use crate::store::devices::Devices;
use crate::store::feed::{Feed, FeedItem, key_of};

/// Refusals of this message to this device. Others, of rights or of the project, are mended by a person, and then
/// everything goes through.
///
/// A device of another sender is not forgotten: with a wrong service account all of them would be.
const PERMANENT: [&str; 2] = ["INVALID_ARGUMENT", "SENDER_ID_MISMATCH"];
/// Kept back from the deadline for recording what came of a push.
const RECORDING: Duration = Duration::from_secs(2);

/// What pushes notifications.
#[derive(Debug)]
pub struct Pusher {
    feed: Feed,
    devices: Devices,
    given_up: GivenUp,
    base: String,
    project: String,
    client: Rotating<Firebase>,
}

impl Pusher {
    /// Reads the table, the queue of failures, `FIREBASE_API_BASE`, `FIREBASE_PROJECT_ID` and `FIREBASE_SECRET(_ARN)`.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let feed = Feed::read(environment);
        let devices = Devices::read(environment);
        let given_up = GivenUp::of_pushes(environment);
        let base = environment.required("FIREBASE_API_BASE");
        let project = environment.required("FIREBASE_PROJECT_ID");
        let account = SecretSource::read(environment, "FIREBASE_SECRET");
        Some(Self {
            feed: feed?,
            devices: devices?,
            given_up: given_up?,
            base: base?,
            project: project?,
            client: Rotating::new(account?),
        })
    }

    /// Pushes a new feed item; other changes of the table are none of its business.
    ///
    /// # Errors
    /// When DynamoDB or Firebase doesn't answer, or Firebase refuses everything: the item has to come again.
    pub async fn push(&self, change: Change, deadline: Deadline) -> Result<(), Error> {
        if change.kind != ChangeKind::Inserted {
            return Ok(());
        }
        match key_of(&change.new) {
            Ok(Some((profile, id))) => self.push_item(profile, &id, deadline).await,
            Ok(None) => Ok(()),
            // It would hold up the stream for hours and be no more readable then.
            Err(error) => self.given_up.add(None, None, &error).await,
        }
    }

    async fn push_item(&self, profile: ProfileId, id: &str, deadline: Deadline) -> Result<(), Error> {
        telemetry::identify(profile.get());
        // The stream's image is as old as its record: the item itself knows what was pushed since.
        let (item, pushed) = match self.feed.item_with_pushes(profile, id).await {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(()),
            Err(error @ Error::Item(_)) => return self.given_up.add(Some(profile), Some(id), &error).await,
            Err(error) => return Err(error),
        };
        if !item.push {
            return Ok(());
        }
        let devices = self.devices.of(profile).await?.into_iter();
        let mut devices: Vec<String> = devices.map(|device| device.token).collect();
        devices.retain(|device| !pushed.contains(&mark(device)));
        if devices.is_empty() {
            return Ok(());
        }
        let client = self.client.get(|account| self.connect(account)).await?;
        let push_to = |device| self.push_to(&client, profile, &item, device, deadline);
        let pushes = join_all(devices.into_iter().map(push_to)).await;
        let failures: Vec<Error> = pushes.into_iter().filter_map(Result::err).collect();
        for error in &failures {
            tracing::warn!(error = chain(error), "a device waits for its push");
        }
        failures.into_iter().next().map_or(Ok(()), Err)
    }

    async fn push_to(
        &self,
        client: &Firebase,
        profile: ProfileId,
        item: &FeedItem,
        device: String,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let push = message(item, device);
        let until = deadline.earlier_by(RECORDING).instant();
        match client.send(&push, until).await {
            Outcome::Done(()) => {
                metrics::count("PushesSent", 1);
                self.done_with(profile, item, &push).await
            }
            Outcome::Declined(decline) => self.declined(profile, item, &push, decline).await,
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => {
                // A key that was replaced looks like this too.
                self.client.look_again().await;
                Err(Error::FirebaseUnavailable(reason.to_string()))
            }
        }
    }

    async fn declined(
        &self,
        profile: ProfileId,
        item: &FeedItem,
        push: &Push,
        decline: Decline,
    ) -> Result<(), Error> {
        let code = decline.code;
        if [UNREGISTERED, INVALID_TOKEN].contains(&code.as_str()) {
            // One that has become another's meanwhile is theirs to lose.
            if self.devices.forget(profile, &push.device_token).await? {
                metrics::count("DevicesForgotten", 1);
            }
            return Ok(());
        }
        let is_for_good = PERMANENT.contains(&code.as_str());
        let error = Error::FirebaseRefused(code);
        if !is_for_good {
            return Err(error);
        }
        self.given_up.add(Some(profile), Some(&item.id), &error).await?;
        self.done_with(profile, item, push).await
    }

    async fn done_with(&self, profile: ProfileId, item: &FeedItem, push: &Push) -> Result<(), Error> {
        self.feed
            .mark_pushed(profile, &item.id, &mark(&push.device_token))
            .await
    }

    fn connect(&self, account: ServiceAccount) -> Result<Firebase, Error> {
        Firebase::new(self.base.clone(), self.project.clone(), account)
            .map_err(|error| Error::FirebaseUnavailable(error.to_string()))
    }
}

fn message(item: &FeedItem, device_token: String) -> Push {
    let mut data = item.data.clone();
    data.insert("notification_id".to_owned(), item.id.clone());
    data.insert("kind".to_owned(), item.kind.clone());
    Push {
        device_token,
        title: item.title.clone(),
        body: item.body.clone(),
        data,
        collapse_id: item.id.clone(),
    }
}

/// How a device is noted on an item: not by its token, which is as good as an address.
fn mark(device: &str) -> String {
    hex::encode(Sha256::digest(device.as_bytes()))
}
