//! Bills: put on a dealer's account for a deal, taken back while nothing is paid on them, and shown.
//!
//! A bill is written down at once and proxied to Billing afterwards ([`issuing`]). There is one live bill for each operation
//! and deal, by a unique index, however many requests come at once.

pub mod issuing;
mod request;
pub(crate) mod store;
mod view;

use chrono::{DateTime, Utc};
use domain::dealers::account::ProvisioningStatus;
use domain::dealers::bill::{BillChange, IssuingEvent, IssuingStatus};
use domain::dealers::kopecks;
use domain::ids::{BillId, CmeClientId};
use domain::transition::Transition;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::idempotency::Replayable;
use platform::messaging::relay_waker::RelayWaker;
use platform::pagination::Page;
use sqlx::PgConnection;

use crate::account::store::{self as accounts, Account};
use crate::dealer::store as dealers;
use crate::{Error, distribution, events};
pub use request::{BillsPage, BillsQuery, CreateBillRequest, VoidBillRequest};
pub(crate) use request::{Charge, MAX_AMOUNT, Terms};
use store::{Bill, NewBill};
pub use view::{BillTotalsView, BillView, BillWithPaymentsView, BillsView, PaidPartView};

/// Puts bills on accounts and takes them back.
#[derive(Debug)]
pub struct Bills {
    database: Database,
    terms: Terms,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(Bills {
    database,
    terms,
    relay,
    clock
});

impl Bills {
    /// Puts a bill on a dealer's account; the one there is for the deal is given again (`replayed`).
    ///
    /// # Errors
    /// Rejected for an unknown dealer, an account that isn't open, an amount out of range, and a deal that is billed with
    /// another amount or to another dealer.
    pub async fn create(
        &self,
        name: &CmeClientId,
        request: &CreateBillRequest,
    ) -> Result<Replayable<BillView>, Error> {
        let now = self.clock.now();
        let charge = request.charge(&self.terms, now)?;
        let created = self
            .database
            .transaction(async |connection| create_in(connection, name, request, &charge, now).await)
            .await?;
        if !created.replayed {
            self.relay.wake().await;
        }
        Ok(created.map(|bill| BillView::new(&bill, now)))
    }
}

/// Puts a bill on an account, in the caller's transaction.
pub(crate) async fn create_in(
    connection: &mut PgConnection,
    name: &CmeClientId,
    request: &CreateBillRequest,
    charge: &Charge,
    now: DateTime<Utc>,
) -> Result<Replayable<Bill>, Error> {
    let dealer = dealers::load(connection, name).await?;
    let account = accounts::lock(connection, dealer.id, request.operation.account_type()).await?;
    let account = account.ok_or(Error::AccountNotOpened)?;
    let new = NewBill {
        dealer_id: dealer.id,
        operation: request.operation,
        deal_id: &request.deal_id,
        deal_price: charge.rate.map(|_| charge.given),
        commission_rate: charge.rate,
        common: charge.common,
        due_at: charge.due_at,
    };
    let Some(id) = store::insert(connection, &new, now).await? else {
        return billed_before(connection, &account, request, charge).await;
    };
    let bill = load(connection, id).await?;
    let payload = bill.payload(account.dealer());
    events::publish(connection, events::BILL_CREATED, dealer.id, now, payload).await?;
    // A balance pays it at once.
    distribution::spend_rests(connection, &account, None, now).await?;
    if account.provisioning_status == ProvisioningStatus::Ready {
        events::issue(connection, now, &[id]).await?;
    }
    Ok(Replayable::new(load(connection, id).await?))
}

/// The bill that the deal has, if it is the one that is asked for.
async fn billed_before(
    connection: &mut PgConnection,
    account: &Account,
    request: &CreateBillRequest,
    charge: &Charge,
) -> Result<Replayable<Bill>, Error> {
    let bill = store::live(connection, request.operation, &request.deal_id).await?;
    let bill = bill.ok_or_else(|| Error::BeingWorkedOn(format!("deal {}", request.deal_id)))?;
    if bill.dealer_id != account.dealer_id {
        return Err(Error::DealBilledToAnother);
    }
    if !charge.is_of(&bill) {
        return Err(Error::DealBilledOtherwise {
            amount: bill.common(),
            bill: bill.id.get(),
        });
    }
    Ok(Replayable::replayed(bill))
}

/// Takes bills back.
#[derive(Debug)]
pub struct BillVoiding {
    database: Database,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(BillVoiding {
    database,
    relay,
    clock
});

impl BillVoiding {
    /// Takes a bill back while nothing is paid on it; Billing takes it back too. One that was taken back is given again.
    ///
    /// # Errors
    /// Not found when it is another dealer's; rejected when something is paid on it.
    pub async fn void(
        &self,
        name: &CmeClientId,
        bill: BillId,
        request: &VoidBillRequest,
    ) -> Result<Replayable<BillView>, Error> {
        let now = self.clock.now();
        let reason = request.check()?;
        let voided = self
            .database
            .transaction(async |connection| void_in(connection, name, bill, reason, now).await)
            .await?;
        if !voided.replayed {
            self.relay.wake().await;
        }
        Ok(voided.map(|bill| BillView::new(&bill, now)))
    }
}

/// Takes a bill back, in the caller's transaction.
pub(crate) async fn void_in(
    connection: &mut PgConnection,
    name: &CmeClientId,
    id: BillId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Replayable<Bill>, Error> {
    let dealer = dealers::load(connection, name).await?;
    let found = store::load(connection, id).await?;
    let found = found
        .filter(|bill| bill.dealer_id == dealer.id)
        .ok_or(Error::BillNotFound)?;
    let account = accounts::lock(connection, dealer.id, found.account_type).await?;
    let account = account.ok_or(Error::BillNotFound)?;
    let mut bill = load(connection, id).await?;
    match bill.status.after(BillChange::Voided) {
        Transition::Applied(status) => bill.status = status,
        Transition::AlreadyApplied => return Ok(Replayable::replayed(bill)),
        Transition::Rejected(_) => {
            return Err(Error::BillPaidOn {
                paid: kopecks(bill.paid_sum),
            });
        }
    }
    bill.voided_at = Some(now);
    bill.void_reason = Some(reason.to_owned());
    if bill.issuing_status == IssuingStatus::Pending {
        // Billing was never asked for it, and won't be.
        let before = bill.issuing_status;
        bill.issuing_status = before.after(IssuingEvent::Withdrawn).or_current(before)?;
    } else {
        events::issue(connection, now, &[id]).await?;
    }
    store::save(connection, &bill).await?;
    let payload = bill.payload(account.dealer());
    events::publish(connection, events::BILL_VOIDED, dealer.id, now, payload).await?;
    Ok(Replayable::new(bill))
}

async fn load(connection: &mut PgConnection, id: BillId) -> Result<Bill, Error> {
    store::load(connection, id).await?.ok_or(Error::BillNotFound)
}

/// Shows bills.
#[derive(Debug)]
pub struct BillReader {
    database: Database,
    clock: ClockHandle,
}

platform::from_environment!(BillReader { database, clock });

impl BillReader {
    /// One of a dealer's bills, with the payments that paid it.
    ///
    /// # Errors
    /// Not found when it is another dealer's.
    pub async fn get(&self, name: &CmeClientId, id: BillId) -> Result<BillWithPaymentsView, Error> {
        let (bill, parts) = self
            .database
            .with(async |connection| {
                let dealer = dealers::load(connection, name).await?;
                let bill = store::load(connection, id).await?;
                let bill = bill
                    .filter(|bill| bill.dealer_id == dealer.id)
                    .ok_or(Error::BillNotFound)?;
                let parts = store::parts(connection, id).await?;
                Ok::<_, Error>((bill, parts))
            })
            .await?;
        Ok(BillWithPaymentsView {
            bill: BillView::new(&bill, self.clock.now()),
            payments: parts.into_iter().map(PaidPartView::from).collect(),
        })
    }

    /// A page of a dealer's bills, oldest first, with the sums over all of them.
    ///
    /// # Errors
    /// Not found for an unknown dealer.
    pub async fn page(&self, name: &CmeClientId, asked: BillsPage) -> Result<BillsView, Error> {
        let now = self.clock.now();
        let BillsPage { filter, page } = asked;
        let (rows, totals) = self
            .database
            .with(async |connection| {
                let dealer = dealers::load(connection, name).await?;
                let rows = store::page(connection, dealer.id, filter, page.after, page.rows()).await?;
                let totals = store::totals(connection, dealer.id, now).await?;
                Ok::<_, Error>((rows, totals))
            })
            .await?;
        let page = Page::from_overfetched(&rows, &page, |bill| BillView::new(bill, now), |bill| bill.id)?;
        Ok(BillsView {
            items: page.items,
            next_cursor: page.next_cursor,
            totals: totals.into(),
        })
    }
}
