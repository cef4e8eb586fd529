//! Events of traders' accounts at Stripe. A delivery is trusted for its signature alone. What an event says of an account or a
//! payout may be old by the time it comes: it is asked for anew. A payout of our own balance is none of this area's.

use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::inbox::{self, Arrival};
use platform::observability::metrics;
use providers::stripe::api_version;
use providers::stripe::connect::webhook::{ConnectChange, ConnectEvent, parse};
use providers::stripe::webhook::{InvalidSignature, Unreadable, verify};
use serde_json::json;
use serde_json::value::to_raw_value;

use crate::Error;
use crate::payee::{Payees, store};
use crate::payment::PayoutReports;
use crate::processor::Processor;

/// The sender in the inbox.
const INBOX: &str = "stripe-connect";

/// Handles events of connected accounts.
#[derive(Debug)]
pub struct ConnectEvents {
    database: Database,
    processor: Processor,
    payees: Payees,
    payouts: PayoutReports,
    clock: ClockHandle,
    livemode: bool,
}

platform::from_environment!(ConnectEvents {
    database,
    processor,
    payees,
    payouts,
    clock,
    livemode: |environment: &mut Environment| environment.required("STRIPE_LIVEMODE"),
});

impl ConnectEvents {
    /// Handles a delivery: checks its signature and mode, asks Stripe what it doesn't say for certain, and records the event
    /// with its effect, once.
    ///
    /// # Errors
    /// Rejected when it isn't Stripe's; transient when it has to be delivered again.
    pub async fn handle(
        &self,
        signature: Option<&str>,
        body: &[u8],
        deadline: Deadline,
    ) -> Result<(), Error> {
        self.verify(signature, body).await?;
        metrics::count("VerifiedWebhooks", 1);
        let event = parse(body).map_err(|error| unreadable(&error))?;
        tracing::info!(event_id = %event.id, kind = event.kind, "handling Stripe's event");
        self.check_version(&event);
        // An endpoint of real money also gets the events of tests, and there is nothing wrong about that.
        if event.livemode != self.livemode {
            ignore(&event);
            return Ok(());
        }
        if inbox::was_recorded(&self.database, INBOX, event.id.as_str()).await? {
            return Ok(());
        }
        match (&event.change, &event.account) {
            (ConnectChange::Account, Some(account)) => {
                let is_known = self
                    .database
                    .with(async |connection| store::is_known(connection, account).await)
                    .await?;
                match is_known {
                    true => self.payees.refresh(account, deadline).await?,
                    false => ignore(&event),
                }
            }
            (ConnectChange::Payout { id }, Some(account)) => {
                if !self.payouts.look(account, id, deadline).await? {
                    ignore(&event);
                }
            }
            _ => ignore(&event),
        }
        self.record(&event).await
    }

    /// What came of it was done before, and may be done twice.
    async fn record(&self, event: &ConnectEvent) -> Result<(), Error> {
        let payload = json!({"id": event.id, "type": event.kind, "api_version": event.api_version});
        let payload = to_raw_value(&payload).map_err(|error| Error::UnreadableEvent(error.to_string()))?;
        let arrival = Arrival {
            source: INBOX,
            event_id: event.id.as_str(),
            kind: &event.kind,
            occurred_at: event.created_at,
            received_at: self.clock.now(),
            payload: &payload,
        };
        self.database
            .with(async |connection| inbox::record(connection, &arrival).await.map(drop))
            .await
            .map_err(Error::from)
    }

    fn check_version(&self, event: &ConnectEvent) {
        if event
            .api_version
            .as_deref()
            .is_some_and(|version| version != api_version())
        {
            tracing::warn!(event_id = %event.id, api_version = event.api_version, "handling an event of another API version");
            metrics::count("WebhooksOfAnotherVersion", 1);
        }
    }

    /// Checks the signature; a secret may have been rolled a moment ago.
    async fn verify(&self, signature: Option<&str>, body: &[u8]) -> Result<(), Error> {
        let now = self.clock.now();
        let connected = self.processor.connect().await?;
        let mut verified = verify(signature, body, &connected.credentials.webhook_secrets, now);
        if verified == Err(InvalidSignature::WrongSignature) && self.processor.refetch_secret().await {
            let connected = self.processor.connect().await?;
            verified = verify(signature, body, &connected.credentials.webhook_secrets, now);
        }
        verified.map_err(|reason| {
            tracing::warn!(%reason, "refusing a delivery that Stripe hasn't signed");
            metrics::count("ForgedWebhooks", 1);
            Error::InvalidSignature
        })
    }
}

fn ignore(event: &ConnectEvent) {
    tracing::info!(event_id = %event.id, livemode = event.livemode, kind = event.kind, "nothing of ours");
    metrics::count("IgnoredStripeEvents", 1);
}

/// An event that Stripe has signed and we can't read: Stripe sends it again, and somebody has to look meanwhile.
fn unreadable(error: &Unreadable) -> Error {
    tracing::error!(%error, "reading Stripe's event failed");
    metrics::count("UnreadableWebhooks", 1);
    Error::UnreadableEvent(error.to_string())
}
