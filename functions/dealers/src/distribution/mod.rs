//! Which payment pays which part of which bill: an account's books are read, changed by the rules, and written, under the
//! account's lock and in one transaction.

pub(crate) mod store;

use chrono::{DateTime, Utc};
use domain::dealers::books::{Books, ChangedBill};
use domain::dealers::distribution::TakenBack;
use domain::ids::{BillId, BillingPaymentId};
use domain::money::Money;
use sqlx::PgConnection;

use crate::account::store::Account;
use crate::bill::store::Bill;
use crate::{Error, events};

/// Spends what is left of payments on what is open: a payment that was written down just now, which may name a bill, or what
/// was left before, when there is a new bill.
pub(crate) async fn spend_rests(
    connection: &mut PgConnection,
    account: &Account,
    named: Option<BillId>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let mut books = store::load(connection, account, None).await?;
    books.spend(named)?;
    write(connection, account, &books, now).await
}

/// Takes an amount back from a payment, as much of it as there is.
pub(crate) async fn take_back(
    connection: &mut PgConnection,
    account: &Account,
    payment: &BillingPaymentId,
    amount: Money,
    now: DateTime<Utc>,
) -> Result<TakenBack, Error> {
    let mut books = store::load(connection, account, Some(payment)).await?;
    let parts = store::parts_of(connection, payment).await?;
    let taken = books.take_back(payment, amount, &parts)?;
    store::note_reversed(connection, payment, taken.total()?.minor(), now).await?;
    write(connection, account, &books, now).await?;
    Ok(taken)
}

async fn write(
    connection: &mut PgConnection,
    account: &Account,
    books: &Books,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let changed = books.changed_bills();
    store::save_parts(connection, books).await?;
    store::save_rests(connection, account, books).await?;
    store::save_bills(connection, &changed, now).await?;
    let told: Vec<(&'static str, BillId)> = changed.iter().filter_map(told_of).collect();
    let ids: Vec<BillId> = told.iter().map(|(_, id)| *id).collect();
    let bills = store::bills(connection, &ids).await?;
    let payload = |bill: &Bill| bill.payload(account.dealer());
    let happened = told.iter().filter_map(|(kind, id)| {
        let bill = bills.iter().find(|bill| bill.id == *id)?;
        Some((*kind, payload(bill)))
    });
    events::publish_all(connection, account.dealer_id, now, happened.collect()).await
}

/// What is told of a bill that has changed.
fn told_of(changed: &ChangedBill) -> Option<(&'static str, BillId)> {
    let kind = if changed.is_paid_now() {
        events::BILL_PAID
    } else if changed.is_reopened() {
        events::BILL_REOPENED
    } else {
        return None;
    };
    Some((kind, changed.after.id))
}
