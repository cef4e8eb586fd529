//! Whether a profile may buy: not while invoices are given up, and again as soon as nothing is owed. Selling and
//! withdrawing are always possible. Spec "Commissions", Charging.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::Error;
use crate::events::{self, SuspensionPayload};
use crate::pages::BillingPages;
use crate::store::collection::LockedInvoice;
use crate::store::suspensions;

/// Suspends buying, once, because of an invoice that is given up.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    invoice: &LockedInvoice,
    pages: &BillingPages,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let profile = invoice.profile_id;
    if suspensions::lock(connection, profile).await?.is_some() {
        return Ok(());
    }
    suspensions::set(connection, profile, Some(now)).await?;
    let owed = suspensions::owed(connection, profile, invoice.amount.currency().code()).await?;
    let told = SuspensionPayload::new(profile, owed, pages.payment_methods());
    events::tell(connection, events::TRADING_SUSPENDED, profile, now, told).await
}

/// Lifts the suspension when the invoice that was just paid was the last that was owed.
pub(crate) async fn end_when_settled(
    connection: &mut PgConnection,
    invoice: &LockedInvoice,
    pages: &BillingPages,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let profile = invoice.profile_id;
    if suspensions::lock(connection, profile).await?.is_none() {
        return Ok(());
    }
    let owed = suspensions::owed(connection, profile, invoice.amount.currency().code()).await?;
    if owed.is_positive() {
        return Ok(());
    }
    suspensions::set(connection, profile, None).await?;
    let told = SuspensionPayload::new(profile, invoice.amount, pages.payment_methods());
    events::tell(connection, events::TRADING_RESUMED, profile, now, told).await
}
