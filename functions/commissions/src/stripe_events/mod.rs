//! Stripe's events. A delivery is trusted for its signature alone; each event is recorded once, in the transaction of its
//! effect; and what it says of money is compared with our record before anything moves. See README, Stripe's events.

mod apply;
mod effect;

use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::inbox::{self, Arrival};
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use providers::stripe::webhook::{self, InvalidSignature};
use serde_json::json;
use serde_json::value::to_raw_value;

use crate::Error;
use crate::charge::ChargeRecorder;
use crate::processor::Processor;

/// The operation that records.
const SOURCE: &str = "stripe_webhook";
/// The sender in the inbox.
const INBOX: &str = "stripe";

/// Handles Stripe's events.
#[derive(Debug)]
pub struct StripeEvents {
    database: Database,
    processor: Processor,
    recorder: ChargeRecorder,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(StripeEvents {
    database,
    processor,
    recorder,
    relay,
    clock
});

impl StripeEvents {
    /// Handles a delivery: checks its signature, calls Stripe where the event alone doesn't say enough, and records the event
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
        let event = webhook::parse(body).map_err(|error| Error::UnreadableEvent(error.to_string()))?;
        tracing::info!(event_id = %event.id, kind = event.kind, "handling Stripe's event");
        if inbox::was_recorded(&self.database, INBOX, event.id.as_str()).await? {
            return Ok(());
        }
        let effect = self.effect(&event, deadline).await?;
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
        let apply = inbox::once(&self.database, &arrival, async |connection| {
            self.apply(connection, &event, effect).await
        });
        if apply.await?.is_some() {
            self.relay.wake().await;
        }
        Ok(())
    }

    /// Checks the signature; a secret may have been rolled a moment ago.
    async fn verify(&self, signature: Option<&str>, body: &[u8]) -> Result<(), Error> {
        let now = self.clock.now();
        let connected = self.processor.connect().await?;
        let mut verified = webhook::verify(signature, body, &connected.credentials.webhook_secrets, now);
        if verified == Err(InvalidSignature::WrongSignature) && self.processor.refetch_secret().await {
            let connected = self.processor.connect().await?;
            verified = webhook::verify(signature, body, &connected.credentials.webhook_secrets, now);
        }
        verified.map_err(|reason| {
            tracing::warn!(%reason, "refusing a delivery that Stripe hasn't signed");
            metrics::count("ForgedWebhooks", 1);
            Error::InvalidSignature
        })
    }
}
