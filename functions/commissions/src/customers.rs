//! A profile as a customer of Stripe: made once.

use domain::ids::{ProfileId, StripeCustomerId};
use platform::database::Database;
use platform::deadline::Deadline;
use platform::idempotency;
use providers::stripe::NewCustomer;

use crate::Error;
use crate::processor::{Processor, answered};
use crate::store::customers;

/// The profile's customer. Whoever comes first makes it; those who come at the same time ask under the same key, so that
/// Stripe makes one and gives it to all of them.
pub(crate) async fn customer_of(
    database: &Database,
    processor: &Processor,
    profile: ProfileId,
    deadline: Deadline,
) -> Result<StripeCustomerId, Error> {
    let mut connection = database.pool().await?.acquire().await?;
    if let Some(customer) = customers::of_profile(&mut connection, profile).await? {
        return Ok(customer);
    }
    let contact = customers::contact(&mut connection, profile).await?;
    // Nothing is held while Stripe is asked.
    drop(connection);
    let connected = processor.connect().await?;
    let new = NewCustomer {
        profile_id: profile,
        email: contact.email,
        name: contact.full_name,
    };
    let key = key(&new)?;
    let made = connected
        .client
        .create_customer(&new, &key, deadline.instant())
        .await;
    let made = answered(made)?;
    let mut connection = database.pool().await?.acquire().await?;
    customers::keep(&mut connection, profile, &made).await
}

/// Stripe refuses a key that comes with another address than before, so the key says which.
fn key(new: &NewCustomer) -> Result<String, Error> {
    let contact = idempotency::request_hash(&(&new.email, &new.name))?;
    Ok(format!("customer-{}-{}", new.profile_id, hex::encode(contact)))
}
