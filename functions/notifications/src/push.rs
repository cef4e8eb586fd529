//! Pushing new feed items to the profile's phones, one push per device and notification.
//!
//! What was pushed is recorded on the item after each push: a crash in between repeats a push under the same collapse
//! id, so the phone shows it once, and none is lost.

use domain::ids::ProfileId;
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::stream::{Change, ChangeKind};
use platform::metrics;
use platform::secret::SecretSource;
use providers::firebase::{Firebase, Push, ServiceAccount, UNREGISTERED};
use providers::outcome::Outcome;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use crate::Error;
use crate::store::feed::{Feed, FeedItem, key_of};

/// What pushes notifications.
#[derive(Debug)]
pub struct Pusher {
    feed: Feed,
    base: String,
    project: String,
    account: SecretSource,
    client: OnceCell<Firebase>,
}

impl Pusher {
    /// Reads the table, `FIREBASE_API_BASE`, `FIREBASE_PROJECT_ID` and `FIREBASE_SECRET(_ARN)`.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let feed = Feed::read(environment);
        let base = environment.required("FIREBASE_API_BASE");
        let project = environment.required("FIREBASE_PROJECT_ID");
        let account = SecretSource::read(environment, "FIREBASE_SECRET");
        Some(Self {
            feed: feed?,
            base: base?,
            project: project?,
            account: account?,
            client: OnceCell::new(),
        })
    }

    /// Pushes a new feed item; other changes of the table are none of its business.
    ///
    /// # Errors
    /// Transient when DynamoDB or Firebase doesn't answer.
    pub async fn push(&self, change: Change, deadline: Deadline) -> Result<(), Error> {
        if change.kind != ChangeKind::Inserted {
            return Ok(());
        }
        let Some((profile, id)) = key_of(&change.new)? else {
            return Ok(());
        };
        // The stream's image is as old as its record: the item itself knows what was pushed since.
        let Some((item, pushed)) = self.feed.item_with_pushes(profile, &id).await? else {
            return Ok(());
        };
        for device in self.feed.devices(profile).await? {
            let mark = mark(&device);
            if !pushed.contains(&mark) {
                self.push_to(profile, &item, device, &mark, deadline).await?;
            }
        }
        Ok(())
    }

    async fn push_to(
        &self,
        profile: ProfileId,
        item: &FeedItem,
        device: String,
        mark: &str,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut data = item.data.clone();
        data.insert("notification_id".to_owned(), item.id.clone());
        data.insert("kind".to_owned(), item.kind.clone());
        let push = Push {
            device_token: device,
            title: item.title.clone(),
            body: item.body.clone(),
            data,
            collapse_id: item.id.clone(),
        };
        match self.client().await?.send(&push, deadline.instant()).await {
            Outcome::Done(()) => {
                metrics::count("PushesSent", 1);
                self.feed.mark_pushed(profile, &item.id, mark).await
            }
            Outcome::Declined(decline) if decline.code == UNREGISTERED => {
                metrics::count("DevicesForgotten", 1);
                self.feed.forget_device(profile, &push.device_token).await
            }
            Outcome::Declined(decline) => Err(Error::FirebaseRefused(decline.code)),
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => {
                Err(Error::FirebaseUnavailable(reason.to_string()))
            }
        }
    }

    async fn client(&self) -> Result<&Firebase, Error> {
        self.client
            .get_or_try_init(|| async {
                let account: ServiceAccount = self.account.load().await?;
                Firebase::new(self.base.clone(), self.project.clone(), account)
                    .map_err(|error| Error::FirebaseUnavailable(error.to_string()))
            })
            .await
    }
}

/// How a device is noted on an item: not by its token, which is as good as an address.
fn mark(device: &str) -> String {
    hex::encode(Sha256::digest(device.as_bytes()))
}
