//! Deliveries that no further try will change: they wait, like what a stream gives up, for a person to look at them.

use domain::ids::ProfileId;
use platform::aws;
use platform::config::Environment;
use platform::error::PlatformError;
use platform::error::chain;
use platform::observability::metrics;
use serde::Serialize;

use crate::Error;

/// The queue of what was given up on one way.
#[derive(Debug)]
pub(crate) struct GivenUp {
    queue_url: String,
    metric: &'static str,
}

/// A delivery that was given up. Neither device nor address is named.
#[derive(Debug, Serialize)]
struct Lost<'a> {
    profile_id: Option<ProfileId>,
    notification_id: Option<&'a str>,
    reason: String,
}

impl GivenUp {
    /// Pushes: reads `QUEUE_PUSH_FAILURES_URL`.
    pub(crate) fn of_pushes(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            queue_url: environment.required("QUEUE_PUSH_FAILURES_URL")?,
            metric: "PushesGivenUp",
        })
    }

    /// Mails: reads `QUEUE_MAIL_FAILURES_URL`.
    pub(crate) fn of_mails(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            queue_url: environment.required("QUEUE_MAIL_FAILURES_URL")?,
            metric: "MailsGivenUp",
        })
    }

    /// Sets a delivery aside, and says why.
    pub(crate) async fn add(
        &self,
        profile_id: Option<ProfileId>,
        notification_id: Option<&str>,
        error: &Error,
    ) -> Result<(), Error> {
        tracing::error!(error = chain(error), notification_id, "a delivery is given up");
        metrics::count(self.metric, 1);
        let lost = Lost {
            profile_id,
            notification_id,
            reason: error.to_string(),
        };
        let body = serde_json::to_string(&lost).map_err(PlatformError::from)?;
        let sending = aws::sqs()
            .await
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(body)
            .send();
        sending
            .await
            .map(|_| ())
            .map_err(|error| PlatformError::Queue(chain(&error)).into())
    }
}
