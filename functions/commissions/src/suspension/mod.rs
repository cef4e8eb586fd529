//! Whether a profile may buy: not while an invoice is uncollectible, and again as soon as nothing is owed. Selling and
//! withdrawing are always possible. See README, Suspension.

mod store;

use chrono::{DateTime, Utc};
use domain::ids::ProfileId;
use domain::money::Money;
use sqlx::PgConnection;

use crate::Error;
use crate::app_pages::AppPages;
use crate::events::{self, SuspensionPayload};

/// Suspends buying, once, because an invoice of the amount `invoiced` became uncollectible.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    profile: ProfileId,
    invoiced: Money,
    pages: &AppPages,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if store::lock(connection, profile).await?.is_some() {
        return Ok(());
    }
    store::set(connection, profile, Some(now)).await?;
    let owed = store::owed(connection, profile, invoiced.currency()).await?;
    let payload = SuspensionPayload::new(profile, owed, pages.payment_methods());
    events::publish(connection, events::TRADING_SUSPENDED, profile, now, payload).await
}

/// Lifts the suspension when the invoice that was just paid was the last that was owed.
pub(crate) async fn end_when_nothing_is_owed(
    connection: &mut PgConnection,
    profile: ProfileId,
    paid: Money,
    pages: &AppPages,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if store::lock(connection, profile).await?.is_none() {
        return Ok(());
    }
    let owed = store::owed(connection, profile, paid.currency()).await?;
    if owed.is_positive() {
        return Ok(());
    }
    store::set(connection, profile, None).await?;
    let payload = SuspensionPayload::new(profile, paid, pages.payment_methods());
    events::publish(connection, events::TRADING_RESUMED, profile, now, payload).await
}
