//! A profile as a customer of Stripe: created once.

mod store;

use chrono::{DateTime, Utc};
use domain::ids::{ProfileId, StripeCustomerId};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::idempotency;
use providers::outcome::Outcome;
use providers::stripe::{EMAIL_INVALID, NewCustomer};
use sqlx::PgConnection;

use crate::Error;
use crate::processor::{Processor, STRIPE};
pub(crate) use store::{Contact, contact, of_profile, profile_of};

/// The profiles' customers at Stripe.
#[derive(Debug, Clone)]
pub struct Customers {
    database: Database,
    processor: Processor,
    clock: ClockHandle,
}

platform::from_environment!(Customers {
    database,
    processor,
    clock
});

impl Customers {
    /// The profile's customer, created when there is none. Concurrent requests call Stripe under the same key, so that it
    /// creates one and gives it to all of them.
    pub(crate) async fn get_or_create(
        &self,
        profile: ProfileId,
        deadline: Deadline,
    ) -> Result<StripeCustomerId, Error> {
        let found = self
            .database
            .with(async |connection| match of_profile(connection, profile).await? {
                Some(customer) => Ok::<_, Error>(Known::Customer(customer)),
                None => {
                    let gone = store::gone(connection, profile).await?;
                    Ok(Known::Contact(contact(connection, profile).await?, gone))
                }
            })
            .await?;
        let (contact, gone) = match found {
            Known::Customer(customer) => return Ok(customer),
            Known::Contact(contact, gone) => (contact, gone),
        };
        let new = NewCustomer {
            profile_id: profile,
            email: Some(contact.email),
            name: contact.full_name,
        };
        let created = self.create(new, gone.as_ref(), deadline).await?;
        self.database
            .with(async |connection| store::save(connection, profile, &created, self.clock.now()).await)
            .await
    }

    /// Creates the customer at Stripe; without an address where Stripe takes it for none.
    async fn create(
        &self,
        mut new: NewCustomer,
        gone: Option<&StripeCustomerId>,
        deadline: Deadline,
    ) -> Result<StripeCustomerId, Error> {
        let connected = self.processor.connect().await?;
        loop {
            let key = key(&new, gone)?;
            let creating = connected.client.create_customer(&new, &key, deadline.instant());
            match creating.await {
                Outcome::Declined(decline) if decline.code == EMAIL_INVALID && new.email.is_some() => {
                    tracing::warn!("Stripe takes an address for none; creating the customer without it");
                    new.email = None;
                }
                other => return Ok(other.done(STRIPE)?),
            }
        }
    }
}

/// A profile as our record has it: a customer already, or how it is reached, and the customer it was that Stripe has no more.
enum Known {
    Customer(StripeCustomerId),
    Contact(Contact, Option<StripeCustomerId>),
}

/// Records that Stripe has no such customer any more, nor any of its payment methods.
pub(crate) async fn set_gone(
    connection: &mut PgConnection,
    profile: ProfileId,
    customer: &StripeCustomerId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    tracing::warn!(customer = %customer, "Stripe has no such customer any more; another one is created when it is needed");
    store::set_gone(connection, profile, customer, now).await
}

/// Stripe refuses a key that comes with another address than before, so the key says which; and it gives the customer that is
/// gone again for the same key.
fn key(new: &NewCustomer, gone: Option<&StripeCustomerId>) -> Result<String, Error> {
    let contact = idempotency::request_hash(&(&new.email, &new.name, gone))?;
    Ok(format!("customer-{}-{}", new.profile_id, hex::encode(contact)))
}
