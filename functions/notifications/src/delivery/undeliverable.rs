//! Deliveries that no further attempt will change: they wait for a person, in the queue that also takes what the stream
//! gives up.

use domain::ids::{ProfileId, UserId};
use platform::aws;
use platform::config::Environment;
use platform::error::{PlatformError, chain};
use platform::observability::metrics;
use serde::Serialize;

use crate::Error;
use crate::feed::NotificationId;
use crate::recipient::Recipient;

/// The queue of one channel's undeliverable notifications.
#[derive(Debug)]
pub(super) struct UndeliverableQueue {
    url: String,
    metric: &'static str,
}

/// A notification that was not delivered. Neither device nor address is named.
#[derive(Debug, Serialize)]
struct Undeliverable {
    profile_id: Option<ProfileId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    notification_id: Option<NotificationId>,
    reason: String,
}

impl UndeliverableQueue {
    /// Pushes: reads `QUEUE_PUSH_FAILURES_URL`.
    pub(super) fn of_pushes(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            url: environment.required("QUEUE_PUSH_FAILURES_URL")?,
            metric: "PushesGivenUp",
        })
    }

    /// Mails: reads `QUEUE_MAIL_FAILURES_URL`.
    pub(super) fn of_mails(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            url: environment.required("QUEUE_MAIL_FAILURES_URL")?,
            metric: "MailsGivenUp",
        })
    }

    /// Sends a delivery that is given up to the queue, with the reason; ids are missing where they can't be read.
    pub(super) async fn send(
        &self,
        recipient: Option<Recipient>,
        notification_id: Option<NotificationId>,
        error: &Error,
    ) -> Result<(), Error> {
        tracing::error!(
            error = chain(error),
            notification_id = notification_id.map(tracing::field::display),
            "giving up the delivery of the notification"
        );
        metrics::count(self.metric, 1);
        let undeliverable = Undeliverable {
            profile_id: recipient.and_then(Recipient::profile),
            user_id: recipient.and_then(Recipient::trader),
            notification_id,
            reason: error.to_string(),
        };
        let body = serde_json::to_string(&undeliverable).map_err(PlatformError::from)?;
        let sending = aws::sqs().await.send_message();
        let sent = sending.queue_url(&self.url).message_body(body).send().await;
        sent.map(|_| ())
            .map_err(|error| PlatformError::Queue(chain(&error)).into())
    }
}
