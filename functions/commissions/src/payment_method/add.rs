//! Adding the card that was saved in a checkout session, by the client's request or by Stripe's event, whichever is first.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{ProfileId, StripeCheckoutSessionId};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::relay_waker::RelayWaker;
use providers::outcome::Outcome;
use providers::stripe::{CheckoutKind, PaymentMethod, RESOURCE_MISSING};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::store::{self, Saved};
use super::view::PaymentMethodView;
use crate::events::{self, PaymentMethodAddedPayload};
use crate::processor::{Processor, STRIPE};
use crate::{Error, checkout, customer};

/// A payment method to add.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentMethodRequest)]
pub struct AddPaymentMethodRequest {
    /// The checkout session in mode `setup` that the customer has completed.
    #[schema(value_type = String, min_length = 1, max_length = 128, examples("cs_test_a1b2c3"))]
    pub stripe_session_id: StripeCheckoutSessionId,
}

/// A payment method that was added.
#[derive(Debug)]
pub struct AddedPaymentMethod {
    /// The method.
    pub method: PaymentMethodView,
    /// Whether this request added it; `false` when it was added before.
    pub is_new: bool,
}

/// Adds the card of a completed checkout session.
#[derive(Debug)]
pub struct AddPaymentMethod {
    database: Database,
    processor: Processor,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(AddPaymentMethod {
    database,
    processor,
    relay,
    clock
});

impl AddPaymentMethod {
    /// Adds the card that the profile saved in a session; the webhook may have been faster, and nothing changes then.
    ///
    /// # Errors
    /// Not found for a session that isn't the profile's; a conflict while it isn't completed.
    pub async fn add(
        &self,
        profile: ProfileId,
        request: &AddPaymentMethodRequest,
        deadline: Deadline,
    ) -> Result<AddedPaymentMethod, Error> {
        let session = &request.stripe_session_id;
        let method = self.saved_in(profile, session, deadline).await?;
        let added = self
            .database
            .transaction(async |connection| {
                let now = self.clock.now();
                checkout::complete(connection, session, now).await?;
                let saved = save(connection, profile, &method, now).await?;
                Ok::<_, Error>(AddedPaymentMethod {
                    method: store::find(connection, profile, saved.id).await?,
                    is_new: saved.is_new,
                })
            })
            .await?;
        if added.is_new {
            self.relay.wake().await;
        }
        Ok(added)
    }

    /// The card that the profile saved in a session.
    async fn saved_in(
        &self,
        profile: ProfileId,
        session: &StripeCheckoutSessionId,
        deadline: Deadline,
    ) -> Result<PaymentMethod, Error> {
        let customer = self
            .database
            .with(async |connection| customer::of_profile(connection, profile).await)
            .await?
            .ok_or(Error::CheckoutNotFound)?;
        let connected = self.processor.connect().await?;
        let found = connected.client.checkout_session(session, deadline.instant());
        let found = match found.await {
            Outcome::Declined(decline) if decline.code == RESOURCE_MISSING => {
                return Err(Error::CheckoutNotFound);
            }
            other => other.done(STRIPE)?,
        };
        // Stripe says twice whose it is: by customer, and by the metadata that we wrote.
        if found.customer.as_ref() != Some(&customer) || found.profile_id != Some(profile) {
            return Err(Error::CheckoutNotFound);
        }
        if !found.is_complete || found.mode != CheckoutKind::Setup {
            return Err(Error::CheckoutNotCompleted);
        }
        found.payment_method.ok_or(Error::CheckoutNotCompleted)
    }
}

/// Stripe's times are whole seconds: of what was chosen within the second in which a card was saved, the card counts.
fn active_from(saved_at: DateTime<Utc>) -> DateTime<Utc> {
    let end = TimeDelta::seconds(1) - TimeDelta::microseconds(1);
    saved_at.checked_add_signed(end).unwrap_or(saved_at)
}

/// Saves a method that Stripe has saved, and publishes it when it is new.
pub(crate) async fn save(
    connection: &mut PgConnection,
    profile: ProfileId,
    method: &PaymentMethod,
    now: DateTime<Utc>,
) -> Result<Saved, Error> {
    let active_from = active_from(method.created_at).min(now);
    let saved = store::save(connection, profile, &method.id, &method.name, active_from, now).await?;
    if saved.is_new {
        let payload = PaymentMethodAddedPayload {
            payment_method_id: saved.id,
            profile_id: profile,
            name: method.name.clone(),
        };
        events::publish(connection, events::PAYMENT_METHOD_ADDED, profile, now, payload).await?;
    }
    Ok(saved)
}
