//! The cards a profile has saved: listing, choosing and deleting them.

use chrono::{DateTime, Utc};
use domain::clock::Clock;
use domain::ids::{PaymentMethodId, ProfileId};
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use providers::stripe::PaymentMethod;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::Error;
use crate::events::{self, MethodAdded};
use crate::processor::{Processor, answered};
use crate::store::payment_methods::{self, Method, Saved};

/// A payment method.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PaymentMethodView {
    /// Its id.
    #[schema(value_type = i64, minimum = 1)]
    pub id: PaymentMethodId,
    /// Its name: brand, last four digits, expiry.
    #[schema(examples("visa •••• 4242, 04/29"))]
    pub name: String,
    /// Whether invoices are charged to it.
    pub active: bool,
    /// When it was last chosen (RFC 3339, UTC); the newest is the active one.
    pub set_active_at: DateTime<Utc>,
    /// When it was saved (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
}

/// All payment methods of a profile.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PaymentMethodList {
    /// The active one first.
    pub items: Vec<PaymentMethodView>,
}

/// Payment methods, without Stripe.
#[derive(Debug)]
pub struct PaymentMethods {
    database: Database,
}

impl PaymentMethods {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            database: Database::read(environment)?,
        })
    }

    /// The profile's payment methods.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self, profile: ProfileId) -> Result<PaymentMethodList, Error> {
        let list = async |connection: &mut PgConnection| views(connection, profile).await;
        Ok(PaymentMethodList {
            items: self.database.lend(list).await?,
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
        let mut transaction = self.database.begin().await?;
        if !payment_methods::set_active(&mut transaction, profile, method).await? {
            return Err(Error::PaymentMethodNotFound);
        }
        let view = view(&mut transaction, profile, method).await?;
        transaction.commit().await?;
        Ok(view)
    }
}

/// Deleting payment methods.
#[derive(Debug)]
pub struct MethodDeleting {
    database: Database,
    processor: Processor,
}

impl MethodDeleting {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let processor = Processor::read(environment);
        Some(Self {
            database: database?,
            processor: processor?,
        })
    }

    /// Deletes a method here and detaches it at Stripe. From the first moment on it isn't charged any more; a deletion
    /// whose second half didn't come about is finished by the same request.
    ///
    /// # Errors
    /// Not found for a method that isn't the profile's; a conflict when it is the last and an invoice is open.
    pub async fn delete(
        &self,
        profile: ProfileId,
        method: PaymentMethodId,
        deadline: Deadline,
    ) -> Result<PaymentMethodList, Error> {
        let mut transaction = self.database.begin().await?;
        let found = payment_methods::lock(&mut transaction, profile, method).await?;
        let to_delete = found.ok_or(Error::PaymentMethodNotFound)?;
        if to_delete.is_detached {
            return Err(Error::PaymentMethodNotFound);
        }
        if !to_delete.is_deleted {
            if to_delete.is_last && to_delete.owes {
                return Err(Error::LastPaymentMethod);
            }
            payment_methods::delete(&mut transaction, method).await?;
        }
        transaction.commit().await?;
        let connected = self.processor.connect().await?;
        let detached = connected
            .client
            .detach_payment_method(&to_delete.stripe_id, deadline.instant())
            .await;
        answered(detached)?;
        let mut connection = self.database.pool().await?.acquire().await?;
        payment_methods::set_detached(&mut connection, &to_delete.stripe_id).await?;
        Ok(PaymentMethodList {
            items: views(&mut connection, profile).await?,
        })
    }
}

/// Saves a method that Stripe has saved, and tells of it when it is new.
pub(crate) async fn save(
    connection: &mut PgConnection,
    profile: ProfileId,
    method: &PaymentMethod,
) -> Result<Saved, Error> {
    let saved = payment_methods::save(connection, profile, &method.id, &method.name).await?;
    if saved.is_new {
        let told = MethodAdded {
            payment_method_id: saved.id,
            profile_id: profile,
            name: method.name.clone(),
        };
        let kind = events::PAYMENT_METHOD_ADDED;
        events::tell(connection, kind, profile, SystemClock.now(), told).await?;
    }
    Ok(saved)
}

/// One of the profile's methods.
pub(crate) async fn view(
    connection: &mut PgConnection,
    profile: ProfileId,
    method: PaymentMethodId,
) -> Result<PaymentMethodView, Error> {
    let views = views(connection, profile).await?;
    let view = views.into_iter().find(|view| view.id == method);
    view.ok_or(Error::PaymentMethodNotFound)
}

async fn views(connection: &mut PgConnection, profile: ProfileId) -> Result<Vec<PaymentMethodView>, Error> {
    let methods = payment_methods::list(connection, profile).await?;
    let view = |(place, method): (usize, Method)| PaymentMethodView {
        id: method.id,
        name: method.name,
        active: place == 0,
        set_active_at: method.set_active_at,
        created_at: method.created_at,
    };
    Ok(methods.into_iter().enumerate().map(view).collect())
}
