//! The cards a profile has saved: listing, choosing, deleting and adding them. See README, Payment methods.

mod add;
mod store;
mod view;

use domain::ids::{PaymentMethodId, ProfileId};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use sqlx::PgConnection;

use crate::Error;
use crate::processor::{Processor, STRIPE};
pub(crate) use add::save;
pub use add::{AddPaymentMethod, AddPaymentMethodRequest, AddedPaymentMethod};
pub(crate) use store::{active, owner, renew, set_detached};
pub use view::{PaymentMethodList, PaymentMethodView};

/// Payment methods as our record has them.
#[derive(Debug)]
pub struct PaymentMethods {
    database: Database,
    clock: ClockHandle,
}

platform::from_environment!(PaymentMethods { database, clock });

impl PaymentMethods {
    /// The profile's payment methods.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self, profile: ProfileId) -> Result<PaymentMethodList, Error> {
        let list = async |connection: &mut PgConnection| store::list(connection, profile).await;
        Ok(PaymentMethodList {
            items: self.database.with(list).await?,
        })
    }

    /// Charges invoices to this method from now on.
    ///
    /// # Errors
    /// Not found for a method that isn't the profile's.
    pub async fn set_active(
        &self,
        profile: ProfileId,
        method: PaymentMethodId,
    ) -> Result<PaymentMethodView, Error> {
        self.database
            .transaction(async |connection| {
                if !store::set_active(connection, profile, method, self.clock.now()).await? {
                    return Err(Error::PaymentMethodNotFound);
                }
                store::find(connection, profile, method).await
            })
            .await
    }
}

/// Deletes payment methods, here and at Stripe.
#[derive(Debug)]
pub struct DeletePaymentMethod {
    database: Database,
    processor: Processor,
    clock: ClockHandle,
}

platform::from_environment!(DeletePaymentMethod {
    database,
    processor,
    clock
});

impl DeletePaymentMethod {
    /// Deletes a method here and detaches it at Stripe. Once it is deleted here no charge to it is sent that isn't on its way
    /// already; a deletion that was interrupted before Stripe detached it is completed by the same request.
    ///
    /// # Errors
    /// Not found for a method that isn't the profile's; a conflict when it is the last and an invoice is open.
    pub async fn delete(
        &self,
        profile: ProfileId,
        method: PaymentMethodId,
        deadline: Deadline,
    ) -> Result<PaymentMethodList, Error> {
        let to_detach = self
            .database
            .transaction(async |connection| {
                let found = store::lock(connection, profile, method).await?;
                let found = found.ok_or(Error::PaymentMethodNotFound)?;
                if found.is_detached {
                    return Err(Error::PaymentMethodNotFound);
                }
                if !found.is_deleted {
                    if found.is_last && found.owes {
                        return Err(Error::LastPaymentMethod);
                    }
                    store::set_deleted(connection, method, self.clock.now()).await?;
                }
                Ok(found.stripe_id)
            })
            .await?;
        let connected = self.processor.connect().await?;
        let detaching = connected
            .client
            .detach_payment_method(&to_detach, deadline.instant());
        detaching.await.done(STRIPE)?;
        self.database
            .with(async |connection| {
                set_detached(connection, &to_detach, self.clock.now()).await?;
                Ok(PaymentMethodList {
                    items: store::list(connection, profile).await?,
                })
            })
            .await
    }
}
