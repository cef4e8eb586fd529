//! Checkout sessions: visits to Stripe's own payment page, to save a card or to pay a price.

mod request;
mod return_address;
mod store;
mod view;

use domain::ids::{CheckoutId, ProfileId, StripeCustomerId};
use domain::market::MarketCalendar;
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::idempotency::{self, IdempotencyKey, KeyedRequest, Progress, Replayable, StoredResponse};
use providers::outcome::{Outcome, ProviderError};
use providers::stripe::{CheckoutLink, CheckoutMode, NewCheckout, RESOURCE_MISSING};

use self::request::{PriceList, Sale};
use self::return_address::ReturnHosts;
use crate::Error;
use crate::customer::{self, Customers};
use crate::processor::{Processor, STRIPE};
pub use request::{CheckoutSessionRequest, Mode};
pub(crate) use store::{complete, find, set_paid, set_refunded, take_refund_back};
pub use view::CheckoutView;

/// Creates checkout sessions.
#[derive(Debug)]
pub struct CheckoutSessions {
    database: Database,
    processor: Processor,
    customers: Customers,
    return_hosts: ReturnHosts,
    prices: PriceList,
    clock: ClockHandle,
    daily_limit: i64,
}

platform::from_environment!(CheckoutSessions {
    database,
    processor,
    customers,
    return_hosts,
    prices,
    clock,
    // Sessions of a profile on one day of New York: each costs a call of Stripe, and may be a payment that is given back.
    daily_limit: |environment: &mut Environment| environment.required("CHECKOUT_DAILY_LIMIT"),
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
        let sale = self.prices.sale(request)?;
        let keyed = KeyedRequest::of_profile(profile, "create_checkout_session", key, request)?;
        let customer = self.customers.get_or_create(profile, deadline).await?;
        let intended = idempotency::intend(&self.database, &keyed, async |connection| {
            let now = self.clock.now();
            let since = MarketCalendar::start_of(MarketCalendar::business_date(now));
            if store::count_since(connection, profile, since).await? >= self.daily_limit {
                return Err(Error::TooManyCheckouts {
                    limit: self.daily_limit,
                });
            }
            store::insert(connection, profile, request, &sale, now).await
        });
        let checkout: CheckoutId = match intended.await? {
            Progress::Answered(response) => return Ok(Replayable::replayed(response)),
            Progress::Intended(checkout) => checkout,
        };
        // The key covers the whole request, so that an earlier copy has intended the very same.
        let mut new = NewCheckout {
            customer,
            checkout_id: checkout,
            mode: sale
                .price()
                .map_or(CheckoutMode::Setup, |price| CheckoutMode::Payment {
                    price: price.to_owned(),
                }),
            profile_id: profile,
            success_url: request.success_url.clone(),
            cancel_url: request.cancel_url.clone(),
        };
        let key = format!("checkout-{checkout}");
        let link = match self.call(&key, &new, &sale, deadline).await? {
            Some(link) => link,
            None => {
                new.customer = self.another_customer(&new, deadline).await?;
                let key = format!("{key}-{}", new.customer);
                let link = self.call(&key, &new, &sale, deadline).await?;
                link.ok_or_else(|| ProviderError::unavailable(STRIPE, &"a new customer isn't there"))?
            }
        };
        self.record(checkout, &keyed, link).await
    }

    /// Creates the session at Stripe; `None` when Stripe has no such customer any more.
    async fn call(
        &self,
        key: &str,
        new: &NewCheckout,
        sale: &Sale,
        deadline: Deadline,
    ) -> Result<Option<CheckoutLink>, Error> {
        let connected = self.processor.connect().await?;
        let creating = connected
            .client
            .create_checkout_session(new, key, deadline.instant());
        match creating.await {
            Outcome::Declined(decline)
                if decline.code == RESOURCE_MISSING && decline.field.as_deref() == Some("customer") =>
            {
                Ok(None)
            }
            // The caller has named no other price: that Stripe lacks that of the card proof is a fault of ours.
            Outcome::Declined(decline)
                if decline.code == RESOURCE_MISSING && matches!(sale, Sale::Price(_)) =>
            {
                Err(Error::PriceNotFound)
            }
            other => Ok(Some(other.done(STRIPE)?)),
        }
    }

    /// The profile's customer after the one of a session that can't be.
    async fn another_customer(
        &self,
        new: &NewCheckout,
        deadline: Deadline,
    ) -> Result<StripeCustomerId, Error> {
        self.database
            .transaction(async |connection| {
                customer::set_gone(connection, new.profile_id, &new.customer, self.clock.now()).await
            })
            .await?;
        self.customers.get_or_create(new.profile_id, deadline).await
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
