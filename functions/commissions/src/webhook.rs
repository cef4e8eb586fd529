//! What Stripe tells by itself. A delivery is believed for its signature alone; each event is taken once, in the
//! transaction of its effect; and what it says of money is compared with our record before anything moves.

use domain::clock::Clock;
use domain::ids::{ProfileId, StripeCustomerId, StripePaymentIntentId};
use domain::money::Money;
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::inbox::{self, Arrival};
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use providers::outcome::Outcome;
use providers::stripe::webhook::{self, Change, InvalidSignature, PayoutStatus, StripeEvent};
use providers::stripe::{
    ALREADY_REFUNDED, CheckoutKind, CheckoutSession, PaymentIntent, PaymentMethod, RESOURCE_MISSING, Refund,
    SetupIntent,
};
use serde_json::json;
use serde_json::value::to_raw_value;
use sqlx::PgConnection;

use crate::Error;
use crate::discrepancy::{self, Discrepancy};
use crate::events::{self, PayoutPayload};
use crate::payment_methods;
use crate::processor::{Processor, answered, refused, unavailable};
use crate::settlement::{Heard, Settlement};
use crate::store::{attempts, checkouts, collection, customers, payment_methods as stored_methods};

const SOURCE: &str = "stripe_webhook";
const INBOX: &str = "stripe";

/// What takes Stripe's events.
#[derive(Debug)]
pub struct StripeEvents {
    database: Database,
    processor: Processor,
    settlement: Settlement,
    nudge: RelayWaker,
}

/// What is to be written for an event, after everybody outside has been asked.
enum Effect {
    Nothing,
    Park(Discrepancy),
    SaveMethod(ProfileId, PaymentMethod),
    Refund(Box<CheckoutSession>, Refund),
    RenewMethod(PaymentMethod),
    DetachMethod(domain::ids::StripePaymentMethodId),
    Charge(Box<PaymentIntent>),
    Refunded(StripePaymentIntentId, Money),
    Disputed(StripePaymentIntentId, String),
    Payout(&'static str, PayoutPayload),
}

impl StripeEvents {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let processor = Processor::read(environment);
        let settlement = Settlement::read(environment);
        let nudge = RelayWaker::read(environment);
        Some(Self {
            database: database?,
            processor: processor?,
            settlement: settlement?,
            nudge: nudge?,
        })
    }

    /// Takes a delivery.
    ///
    /// # Errors
    /// Rejected when it isn't Stripe's; transient when it has to be delivered again.
    pub async fn take(&self, signature: Option<&str>, body: &[u8], deadline: Deadline) -> Result<(), Error> {
        self.verify(signature, body).await?;
        let event = webhook::parse(body).map_err(|error| Error::Event(error.to_string()))?;
        tracing::info!(event = event.id.as_str(), kind = event.kind, "an event of Stripe");
        if self.was_taken(&event).await? {
            return Ok(());
        }
        let effect = self.effect(&event, deadline).await?;
        let mut transaction = self.database.begin().await?;
        let payload = json!({"id": event.id, "type": event.kind, "api_version": event.api_version});
        let payload = to_raw_value(&payload).map_err(|error| Error::Event(error.to_string()))?;
        let arrival = Arrival {
            source: INBOX,
            event_id: event.id.as_str(),
            kind: &event.kind,
            occurred_at: event.created_at,
            payload: &payload,
        };
        if !inbox::take(&mut transaction, &arrival).await? {
            return Ok(());
        }
        self.write(&mut transaction, &event, effect).await?;
        transaction.commit().await?;
        self.nudge.send().await;
        Ok(())
    }

    /// Checks the signature; a secret may have been rolled a moment ago.
    async fn verify(&self, signature: Option<&str>, body: &[u8]) -> Result<(), Error> {
        let now = SystemClock.now();
        let connected = self.processor.connect().await?;
        let mut verified = webhook::verify(signature, body, &connected.webhook_secrets.0, now);
        if verified == Err(InvalidSignature::WrongSignature) && self.processor.look_again().await {
            let connected = self.processor.connect().await?;
            verified = webhook::verify(signature, body, &connected.webhook_secrets.0, now);
        }
        verified.map_err(|forgery| {
            tracing::warn!(reason = %forgery, "a delivery isn't signed by Stripe");
            metrics::count("ForgedWebhooks", 1);
            Error::Forged
        })
    }

    async fn was_taken(&self, event: &StripeEvent) -> Result<bool, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        Ok(inbox::was_taken(&mut connection, INBOX, event.id.as_str()).await?)
    }

    /// Asks whoever has to be asked, outside of any transaction.
    async fn effect(&self, event: &StripeEvent, deadline: Deadline) -> Result<Effect, Error> {
        Ok(match &event.change {
            Change::CheckoutCompleted(reading) => self.checkout_completed(reading, deadline).await?,
            Change::SetupSucceeded(reading) => self.setup_succeeded(reading, deadline).await?,
            Change::PaymentMethodUpdated(method) => Effect::RenewMethod(method.clone()),
            Change::PaymentMethodDetached { id } => Effect::DetachMethod(id.clone()),
            Change::Intent(reading) => Effect::Charge(reading.clone()),
            Change::ChargeRefunded {
                intent: Some(intent),
                amount_refunded,
                ..
            } => Effect::Refunded(intent.clone(), *amount_refunded),
            Change::DisputeCreated {
                intent: Some(intent),
                reason,
                ..
            } => Effect::Disputed(intent.clone(), reason.clone()),
            Change::Payout {
                id,
                status,
                amount,
                failure_code,
            } => {
                let told = PayoutPayload {
                    payout_id: id.to_string(),
                    amount_cents: amount.minor(),
                    currency: amount.currency().code().to_owned(),
                    failure_code: failure_code.clone(),
                };
                Effect::Payout(payout_kind(*status), told)
            }
            Change::ChargeRefunded { intent: None, .. }
            | Change::DisputeCreated { intent: None, .. }
            | Change::Other => {
                metrics::count_with("IgnoredStripeEvents", 1, &[("type", &event.kind)]);
                Effect::Nothing
            }
        })
    }

    async fn checkout_completed(
        &self,
        reading: &CheckoutSession,
        deadline: Deadline,
    ) -> Result<Effect, Error> {
        let profile = match self
            .owner(reading.customer.as_ref(), reading.profile_id, &reading.id)
            .await?
        {
            Owner::Profile(profile) => profile,
            Owner::NotOurs => return Ok(Effect::Nothing),
            Owner::Disputed(discrepancy) => return Ok(Effect::Park(discrepancy)),
        };
        match reading.mode {
            CheckoutKind::Setup => {
                let connected = self.processor.connect().await?;
                let session = answered(
                    connected
                        .client
                        .checkout_session(&reading.id, deadline.instant())
                        .await,
                )?;
                Ok(match session.payment_method {
                    Some(method) if method.customer == reading.customer => {
                        Effect::SaveMethod(profile, method)
                    }
                    // It was detached again meanwhile.
                    _ => Effect::Nothing,
                })
            }
            CheckoutKind::Payment => self.refund(reading, profile, deadline).await,
            CheckoutKind::Unrecognised(_) => Ok(Effect::Nothing),
        }
    }

    /// Gives a payment back, if and only if its session asks for it and our record doesn't say otherwise.
    async fn refund(
        &self,
        reading: &CheckoutSession,
        profile: ProfileId,
        deadline: Deadline,
    ) -> Result<Effect, Error> {
        let (true, true, Some(intent)) = (reading.refund_asked, reading.is_paid, &reading.payment_intent)
        else {
            return Ok(Effect::Nothing);
        };
        let mut connection = self.database.pool().await?.acquire().await?;
        let known = checkouts::of_session(&mut connection, &reading.id).await?;
        drop(connection);
        if let Some(known) = known {
            if known.refund_id.is_some() {
                return Ok(Effect::Nothing);
            }
            if !known.refund_asked || !known.is_payment || known.profile_id != profile {
                let expected = "no refund of this session";
                return Ok(Effect::Park(Discrepancy::new(
                    "refund",
                    &reading.id,
                    expected,
                    "a refund is asked for",
                )));
            }
        }
        let connected = self.processor.connect().await?;
        let key = format!("refund-{}", reading.id);
        match connected.client.refund(intent, &key, deadline.instant()).await {
            Outcome::Done(refund) => Ok(Effect::Refund(Box::new(reading.clone()), refund)),
            Outcome::Declined(decline) if decline.code == ALREADY_REFUNDED => Ok(Effect::Nothing),
            Outcome::Declined(decline) => {
                let found = decline.code;
                Ok(Effect::Park(Discrepancy::new(
                    "refund",
                    &reading.id,
                    "a refund",
                    found,
                )))
            }
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => Err(unavailable(&reason)),
        }
    }

    async fn setup_succeeded(&self, reading: &SetupIntent, deadline: Deadline) -> Result<Effect, Error> {
        let profile = match self
            .owner(reading.customer.as_ref(), reading.profile_id, &reading.id)
            .await?
        {
            Owner::Profile(profile) => profile,
            Owner::NotOurs => return Ok(Effect::Nothing),
            Owner::Disputed(discrepancy) => return Ok(Effect::Park(discrepancy)),
        };
        let Some(method) = &reading.payment_method else {
            return Ok(Effect::Nothing);
        };
        let connected = self.processor.connect().await?;
        Ok(
            match connected.client.payment_method(method, deadline.instant()).await {
                Outcome::Done(method) if method.customer == reading.customer => {
                    Effect::SaveMethod(profile, method)
                }
                // It was detached again meanwhile.
                Outcome::Done(_) => Effect::Nothing,
                Outcome::Declined(decline) if decline.code == RESOURCE_MISSING => Effect::Nothing,
                Outcome::Declined(decline) => return Err(refused(decline)),
                Outcome::Retryable(reason) | Outcome::Unknown(reason) => return Err(unavailable(&reason)),
            },
        )
    }

    /// Whose something is: by its customer, and by what we wrote on it. Both have to agree.
    async fn owner(
        &self,
        customer: Option<&StripeCustomerId>,
        told: Option<ProfileId>,
        subject: &impl ToString,
    ) -> Result<Owner, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        let ours = match customer {
            Some(customer) => customers::profile_of(&mut connection, customer).await?,
            None => None,
        };
        let shown =
            |profile: Option<ProfileId>| profile.map_or("none".to_owned(), |profile| profile.to_string());
        Ok(match (ours, told) {
            (Some(profile), Some(told)) if profile == told => Owner::Profile(profile),
            (None, None) => Owner::NotOurs,
            _ => Owner::Disputed(Discrepancy::new(
                "owner",
                subject.to_string(),
                shown(ours),
                shown(told),
            )),
        })
    }

    async fn write(
        &self,
        connection: &mut PgConnection,
        event: &StripeEvent,
        effect: Effect,
    ) -> Result<(), Error> {
        match effect {
            Effect::Nothing => Ok(()),
            Effect::Park(discrepancy) => discrepancy::park(connection, &discrepancy, SOURCE).await,
            Effect::SaveMethod(profile, method) => {
                complete(connection, event).await?;
                let saved = payment_methods::save(connection, profile, &method).await?;
                if saved.profile_id != profile {
                    let discrepancy = Discrepancy::new("owner", &method.id, saved.profile_id, profile);
                    return discrepancy::park(connection, &discrepancy, SOURCE).await;
                }
                Ok(())
            }
            Effect::Refund(session, refund) => {
                if let Some(known) = checkouts::of_session(connection, &session.id).await? {
                    checkouts::complete(connection, known.id).await?;
                    checkouts::set_refund(connection, known.id, &refund.id).await?;
                }
                Ok(())
            }
            Effect::RenewMethod(method) => renew(connection, event, &method).await,
            Effect::DetachMethod(method) => {
                stored_methods::set_detached(connection, &method).await?;
                Ok(())
            }
            Effect::Charge(reading) => self.charge(connection, &reading).await,
            Effect::Refunded(intent, amount) => refunded(connection, &intent, amount).await,
            Effect::Disputed(intent, reason) => disputed(connection, event, &intent, &reason).await,
            Effect::Payout(kind, told) => events::tell_payout(connection, kind, event.created_at, told).await,
        }
    }

    async fn charge(&self, connection: &mut PgConnection, reading: &PaymentIntent) -> Result<(), Error> {
        let found = attempts::find(connection, &reading.id, reading.attempt_key.as_deref()).await?;
        let Some((attempt, invoice)) = found else {
            return match &reading.attempt_key {
                Some(key) => {
                    let discrepancy = Discrepancy::new("attempt", &reading.id, "an attempt of ours", key);
                    discrepancy::park(connection, &discrepancy, SOURCE).await
                }
                None => Ok(()),
            };
        };
        let Some(invoice) = collection::lock(connection, invoice).await? else {
            return Ok(());
        };
        platform::observability::telemetry::identify(invoice.profile_id.get());
        let attempt = attempts::load(connection, attempt).await?;
        self.settlement
            .apply(connection, &invoice, &attempt, reading, Heard::now(SOURCE))
            .await?;
        Ok(())
    }
}

/// Whose something at Stripe is.
enum Owner {
    Profile(ProfileId),
    /// Neither its customer nor its metadata is ours.
    NotOurs,
    Disputed(Discrepancy),
}

/// Notes that a visit has come to its end.
async fn complete(connection: &mut PgConnection, event: &StripeEvent) -> Result<(), Error> {
    if let Change::CheckoutCompleted(reading) = &event.change
        && let Some(known) = checkouts::of_session(connection, &reading.id).await?
    {
        checkouts::complete(connection, known.id).await?;
    }
    Ok(())
}

async fn renew(
    connection: &mut PgConnection,
    event: &StripeEvent,
    method: &PaymentMethod,
) -> Result<(), Error> {
    let Some(owner) = stored_methods::owner(connection, &method.id).await? else {
        return Ok(());
    };
    let told = match &method.customer {
        Some(customer) => customers::profile_of(connection, customer).await?,
        None => None,
    };
    if told != Some(owner) {
        let found = told.map_or("none".to_owned(), |profile| profile.to_string());
        let discrepancy = Discrepancy::new("owner", &method.id, owner, found);
        return discrepancy::park(connection, &discrepancy, SOURCE).await;
    }
    stored_methods::renew(connection, &method.id, &method.name, event.created_at).await?;
    Ok(())
}

async fn refunded(
    connection: &mut PgConnection,
    intent: &StripePaymentIntentId,
    amount: Money,
) -> Result<(), Error> {
    let Some((attempt, _)) = attempts::find(connection, intent, None).await? else {
        return Ok(());
    };
    let charged = attempts::load(connection, attempt).await?.amount;
    if amount.currency() != charged.currency() || amount.minor() > charged.minor() {
        let expected = format!("at most {charged}");
        let discrepancy = Discrepancy::new("refunded-amount", intent, expected, amount).of(attempt);
        return discrepancy::park(connection, &discrepancy, SOURCE).await;
    }
    attempts::set_refunded(connection, attempt, amount.minor()).await
}

async fn disputed(
    connection: &mut PgConnection,
    event: &StripeEvent,
    intent: &StripePaymentIntentId,
    reason: &str,
) -> Result<(), Error> {
    let Some((attempt, invoice)) = attempts::find(connection, intent, None).await? else {
        return Ok(());
    };
    tracing::error!(
        invoice = invoice.get(),
        reason,
        "a customer disputes a charge at the bank"
    );
    metrics::count("DisputedCharges", 1);
    attempts::set_disputed(connection, attempt, event.created_at).await
}

fn payout_kind(status: PayoutStatus) -> &'static str {
    match status {
        PayoutStatus::Paid => "payout.paid",
        PayoutStatus::Failed => "payout.failed",
        PayoutStatus::Canceled => "payout.canceled",
    }
}
