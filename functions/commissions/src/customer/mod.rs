//! A profile as a customer of Stripe: created once.

mod store;

use domain::ids::{ProfileId, StripeCustomerId};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::idempotency;
use providers::stripe::NewCustomer;

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
                None => contact(connection, profile).await.map(Known::Contact),
            })
            .await?;
        let contact = match found {
            Known::Customer(customer) => return Ok(customer),
            Known::Contact(contact) => contact,
        };
        let new = NewCustomer {
            profile_id: profile,
            email: contact.email,
            name: contact.full_name,
        };
        let key = key(&new)?;
        let connected = self.processor.connect().await?;
        let created = connected.client.create_customer(&new, &key, deadline.instant());
        let created = created.await.done(STRIPE)?;
        self.database
            .with(async |connection| store::save(connection, profile, &created, self.clock.now()).await)
            .await
    }
}

/// A profile as our record has it: a customer already, or how it is reached.
enum Known {
    Customer(StripeCustomerId),
    Contact(Contact),
}

/// Stripe refuses a key that comes with another address than before, so the key says which.
fn key(new: &NewCustomer) -> Result<String, Error> {
    let contact = idempotency::request_hash(&(&new.email, &new.name))?;
    Ok(format!("customer-{}-{}", new.profile_id, hex::encode(contact)))
}
