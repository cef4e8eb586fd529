//! Checkout sessions: visits to Stripe's own payment page, to save a card or to pay a price.

mod request;
mod return_address;
mod store;
mod view;

use domain::ids::{CheckoutId, ProfileId};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::idempotency::{self, IdempotencyKey, KeyedRequest, Progress, Replayable, StoredResponse};
use providers::outcome::Outcome;
use providers::stripe::{CheckoutLink, CheckoutMode, NewCheckout, RESOURCE_MISSING};

use self::return_address::ReturnHosts;
use crate::Error;
use crate::customer::Customers;
use crate::processor::{Processor, STRIPE};
pub use request::{CheckoutSessionRequest, Mode};
pub(crate) use store::{complete, find, set_refunded};
pub use view::CheckoutView;

/// Creates checkout sessions.
#[derive(Debug)]
pub struct CheckoutSessions {
    database: Database,
    processor: Processor,
    customers: Customers,
    return_hosts: ReturnHosts,
    clock: ClockHandle,
}

platform::from_environment!(CheckoutSessions {
    database,
    processor,
    customers,
    return_hosts,
    clock
});

impl CheckoutSessions {
    /// Creates a session, once per key.
    ///
    /// # Errors
    /// Rejected for a return address that isn't allowed, or a price that doesn't exist or fit.
    pub async fn create(
        &self,
        profile: ProfileId,
        key: IdempotencyKey,
        request: &CheckoutSessionRequest,
        deadline: Deadline,
    ) -> Result<Replayable<StoredResponse>, Error> {
        self.return_hosts.check("success_url", &request.success_url)?;
        self.return_hosts.check("cancel_url", &request.cancel_url)?;
        request.check_price()?;
        let keyed = KeyedRequest::of_profile(profile, "create_checkout_session", key, request)?;
        let customer = self.customers.get_or_create(profile, deadline).await?;
        let intended = idempotency::intend(&self.database, &keyed, async |connection| {
            store::insert(connection, profile, request, self.clock.now()).await
        });
        let checkout: CheckoutId = match intended.await? {
            Progress::Answered(response) => return Ok(Replayable::replayed(response)),
            Progress::Intended(checkout) => checkout,
        };
        // The key covers the whole request, so that an earlier copy has intended the very same.
        let new = NewCheckout {
            customer,
            mode: request
                .price_id
                .clone()
                .map_or(CheckoutMode::Setup, |price| CheckoutMode::Payment { price }),
            profile_id: profile,
            success_url: request.success_url.clone(),
            cancel_url: request.cancel_url.clone(),
            refund: request.refund,
        };
        let link = self.call(checkout, &new, deadline).await?;
        self.record(checkout, &keyed, link).await
    }

    /// Creates the session at Stripe.
    async fn call(
        &self,
        checkout: CheckoutId,
        new: &NewCheckout,
        deadline: Deadline,
    ) -> Result<CheckoutLink, Error> {
        let key = format!("checkout-{checkout}");
        let connected = self.processor.connect().await?;
        let creating = connected
            .client
            .create_checkout_session(new, &key, deadline.instant());
        match creating.await {
            Outcome::Declined(decline) if decline.code == RESOURCE_MISSING => Err(Error::PriceNotFound),
            other => Ok(other.done(STRIPE)?),
        }
    }

    async fn record(
        &self,
        checkout: CheckoutId,
        keyed: &KeyedRequest,
        link: CheckoutLink,
    ) -> Result<Replayable<StoredResponse>, Error> {
        let view = CheckoutView {
            stripe_session_id: link.id,
            url: link.url,
            expires_at: link.expires_at,
        };
        let stored = self
            .database
            .transaction(async |connection| {
                store::set_session(connection, checkout, &view.stripe_session_id).await?;
                Ok::<_, Error>(idempotency::store_response(connection, keyed, 201, &view).await?)
            })
            .await?;
        Ok(Replayable::new(stored))
    }
}
