//! Stripe's events. A delivery is trusted for its signature alone; each event is recorded once, in the transaction of its
//! effect; and what it says of money is compared with our record before anything moves. See README, Stripe's events.

mod apply;
mod effect;

use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::inbox::{self, Arrival};
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use providers::stripe::api_version;
use providers::stripe::webhook::{self, InvalidSignature, StripeEvent, Unreadable};
use serde_json::json;
use serde_json::value::to_raw_value;

use crate::Error;
use crate::charge::ChargeRecorder;
use crate::processor::Processor;

/// The operation that records.
const SOURCE: &str = "stripe_webhook";
/// So often Stripe is asked anew when what it said was out of date before it could be recorded; after that, by the event that
/// comes again.
const MAX_TRIES: u32 = 3;
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
    origin: Origin,
}

platform::from_environment!(StripeEvents {
    database,
    processor,
    recorder,
    relay,
    clock,
    origin
});

/// Which events are ours: of which mode, and of which account.
#[derive(Debug, Clone)]
struct Origin {
    livemode: bool,
    /// Ours, where events name it.
    account: Option<String>,
}

platform::from_environment!(Origin {
    livemode: |environment: &mut Environment| environment.required("STRIPE_LIVEMODE"),
    account: |environment: &mut Environment| Some(environment.optional("STRIPE_ACCOUNT_ID")),
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
        metrics::count("VerifiedWebhooks", 1);
        let event = webhook::parse(body).map_err(|error| unreadable(&error))?;
        tracing::info!(event_id = %event.id, kind = event.kind, "handling Stripe's event");
        self.check_origin(&event)?;
        if inbox::was_recorded(&self.database, INBOX, event.id.as_str()).await? {
            return Ok(());
        }
        let mut tries = MAX_TRIES;
        let is_new = loop {
            match self.record(&event, deadline).await {
                Err(Error::RefundsChanged { .. }) if tries > 1 => tries -= 1,
                recorded => break recorded?,
            }
        };
        if is_new {
            self.relay.wake().await;
        }
        Ok(())
    }

    /// Records the event with its effect; `false` when it was recorded before.
    async fn record(&self, event: &StripeEvent, deadline: Deadline) -> Result<bool, Error> {
        let effect = self.effect(event, deadline).await?;
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
            self.apply(connection, event, effect).await
        });
        Ok(apply.await?.is_some())
    }

    /// Refuses what another mode or account has sent through an endpoint with our secret, and says so where an event is written
    /// in another version of the API than ours.
    fn check_origin(&self, event: &StripeEvent) -> Result<(), Error> {
        let is_ours = event.livemode == self.origin.livemode
            && (event.account.is_none() || event.account == self.origin.account);
        if !is_ours {
            tracing::error!(event_id = %event.id, livemode = event.livemode, account = event.account, "refusing an event of another mode or account");
            metrics::count("ForeignWebhooks", 1);
            return Err(Error::ForeignEvent);
        }
        if event
            .api_version
            .as_deref()
            .is_some_and(|version| version != api_version())
        {
            tracing::warn!(event_id = %event.id, api_version = event.api_version, "handling an event of another API version");
            metrics::count("WebhooksOfAnotherVersion", 1);
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

/// An event that Stripe has signed and we can't read: Stripe sends it again, and somebody has to look meanwhile.
fn unreadable(error: &Unreadable) -> Error {
    tracing::error!(%error, "reading Stripe's event failed");
    metrics::count("UnreadableWebhooks", 1);
    Error::UnreadableEvent(error.to_string())
}
