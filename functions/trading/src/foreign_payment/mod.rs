//! Payments at the broker that no flow of ours made: somebody moved a customer's money by hand, or a record of ours is lost.
//! A person says once that one is accounted for.

mod store;

use chrono::{DateTime, Utc};
use domain::ids::{DriveWealthPaymentId, DriveWealthUserId};
use sqlx::PgConnection;

use crate::{Error, review};

/// Opens a review of each of a user's payments that needs one; gives how many. One that may be a flow whose outcome isn't
/// known yet is left to that flow.
pub(crate) async fn report(
    connection: &mut PgConnection,
    user: &DriveWealthUserId,
    payments: &[DriveWealthPaymentId],
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    let foreign = store::unaccounted(connection, user, payments).await?;
    review::foreign_payments(connection, &foreign, now).await?;
    Ok(foreign.len())
}

/// A person has said that the payment is accounted for; `false` when it has a flow or isn't there.
pub(crate) async fn account_for(
    connection: &mut PgConnection,
    payment: &DriveWealthPaymentId,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    store::account_for(connection, payment, now).await
}
