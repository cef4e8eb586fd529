//! Collection versions: an order to change what a profile holds of a collection. Here they are taken, taken back and
//! listed; [`rebalancing`](crate::rebalancing) carries them out (README, Collections).
//!
//! An order is checked against the account's portfolio as it is now, then written in one transaction with the message that
//! lets it be carried out. The account's row is locked meanwhile, so that two orders can't pass on the same money.

mod request;
pub(crate) mod store;
mod view;

use std::collections::BTreeSet;

use domain::currency::Currency;
use domain::ids::{CollectionId, CollectionVersionId, DriveWealthFundId, ProfileId};
use domain::money::{Money, Rounding};
use domain::trading::account::AccountStatus;
use domain::trading::collection::order::{Available, Delta, Side};
use domain::trading::collection::symbol::Symbol;
use domain::trading::collection::version::{CollectionVersionEvent, CollectionVersionStatus, carried_out_at};
use domain::trading::collection::weights::TargetWeights;
use domain::transition::Transition;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::PlatformError;
use platform::idempotency::{self, IdempotencyKey, KeyedRequest, Progress, Replayable, StoredResponse};
use platform::messaging::relay_waker::RelayWaker;
use platform::pagination::{Page, PageRequest};
use sqlx::PgConnection;

pub use self::request::ReconfigureRequest;
pub use self::view::{CollectionVersionView, HistoryQuery, VersionList};

use self::request::KeyedReconfigure;
use self::store::{NewVersion, OrderAccount};
use crate::collection::{self, target_weights};
use crate::events::{self, AccountDue};
use crate::money_flow::store as money_flows;
use crate::portfolio::snapshot::{PortfolioReader, PortfolioSnapshot};
use crate::{Error, instrument};

/// The answer to an order that was taken.
const ACCEPTED: u16 = 202;

/// Takes orders.
#[derive(Debug)]
pub struct Orders {
    database: Database,
    reader: PortfolioReader,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(Orders {
    database,
    reader,
    relay,
    clock
});

/// An order that has been read.
struct NewOrder<'a> {
    profile: ProfileId,
    collection: CollectionId,
    delta: Delta,
    weights: Option<TargetWeights>,
    request: &'a ReconfigureRequest,
}

impl Orders {
    /// Takes an order, once per key. It is carried out at once while the market is open, and otherwise on the next trading
    /// day; until then it can be cancelled.
    ///
    /// # Errors
    /// Rejected for what can't be asked for, or not now; nothing is written then.
    pub async fn place(
        &self,
        profile: ProfileId,
        collection: CollectionId,
        key: IdempotencyKey,
        request: &ReconfigureRequest,
        deadline: Deadline,
    ) -> Result<Replayable<StoredResponse>, Error> {
        let named = KeyedReconfigure {
            collection_id: collection,
            request,
        };
        let keyed = KeyedRequest::of_profile(profile, "reconfigure_ttf_holdings", key, &named)?;
        if let Some(answered) = self.answered(&keyed).await? {
            return Ok(Replayable::replayed(answered));
        }
        let order = NewOrder {
            profile,
            collection,
            delta: request.delta()?,
            weights: request.weights().map(target_weights).transpose()?,
            request,
        };
        let account = self.look_up(&order).await?;
        let snapshot = self
            .reader
            .read(&account.drivewealth_account_id, deadline)
            .await?;
        idempotency::intend(&self.database, &keyed, async |connection| {
            self.write(connection, &keyed, &order, &account, &snapshot).await
        })
        .await?;
        self.relay.wake().await;
        let answered = self.answered(&keyed).await?;
        Ok(Replayable::new(answered.ok_or(PlatformError::InFlight)?))
    }

    async fn answered(&self, keyed: &KeyedRequest) -> Result<Option<StoredResponse>, Error> {
        let progress = idempotency::find::<CollectionVersionId>(&self.database, keyed).await?;
        Ok(match progress {
            Some(Progress::Answered(response)) => Some(response),
            Some(Progress::Intended(_)) | None => None,
        })
    }

    /// Finds the account and the collection, and refuses symbols that can't be traded, before the broker is asked.
    async fn look_up(&self, order: &NewOrder<'_>) -> Result<OrderAccount, Error> {
        self.database
            .with(async |connection| {
                let account =
                    store::find_account(connection, order.profile, order.request.account_id).await?;
                let account = account.ok_or(match order.request.account_id {
                    Some(_) => Error::OrderAccountNotFound,
                    None => Error::NoTradingAccount,
                })?;
                let collection = collection::store::load(connection, order.collection).await?;
                collection.ok_or(Error::CollectionNotFound)?;
                if let Some(weights) = &order.weights {
                    refuse_untradable(connection, weights).await?;
                }
                Ok(account)
            })
            .await
    }

    /// Checks the order under the account's lock and writes it, with its answer.
    async fn write(
        &self,
        connection: &mut PgConnection,
        keyed: &KeyedRequest,
        order: &NewOrder<'_>,
        account: &OrderAccount,
        snapshot: &PortfolioSnapshot,
    ) -> Result<CollectionVersionId, Error> {
        let now = self.clock.now();
        let state = store::lock_account(connection, account.id).await?;
        if state.status != AccountStatus::Open {
            let status = state.status.to_string();
            return Err(Error::OrderAccountNotOpen { status });
        }
        if order.delta.side() == Side::Buy {
            state.refuse_suspended()?;
        }
        let fund = store::find_fund(connection, order.profile, order.collection).await?;
        let pending = store::pending_orders(connection, account.id).await?;
        // What settles after the figures were asked for isn't sure to be in them.
        let withdrawn = money_flows::reserved(connection, account.id, snapshot.as_of, Currency::USD).await?;
        let owed = store::open_invoices(connection, order.profile).await?;
        let promised = withdrawn.checked_add(Money::new(owed, Currency::USD))?;
        let checked = available(order, snapshot, fund.as_ref(), &pending, promised)?.check(order.delta);
        checked.map_err(|refused| Error::Order {
            field: order.request.figure(),
            refused,
        })?;
        let version = NewVersion {
            profile_id: order.profile,
            trading_account_id: account.id,
            collection_id: order.collection,
            delta: order.delta,
            has_weights: order.weights.is_some(),
            applies_at: carried_out_at(now),
        };
        let id = store::insert(connection, &version, now).await?;
        if let Some(weights) = &order.weights {
            store::insert_contents(connection, &[(id, weights)]).await?;
        }
        if version.applies_at <= now {
            let due = AccountDue {
                drivewealth_account_id: account.drivewealth_account_id.clone(),
                trading_account_id: account.id,
                profile_id: order.profile,
            };
            events::publish_accounts_due(connection, now, vec![due]).await?;
        }
        let written = store::load(connection, order.profile, id).await?;
        let view = CollectionVersionView::from(
            written.ok_or(PlatformError::Stored("trading_collection_versions.id"))?,
        );
        idempotency::store_response(connection, keyed, ACCEPTED, &view).await?;
        Ok(id)
    }
}

async fn refuse_untradable(connection: &mut PgConnection, weights: &TargetWeights) -> Result<(), Error> {
    let symbols: Vec<String> = weights.iter().map(|(symbol, _)| symbol.to_string()).collect();
    let tradable = instrument::store::tradable(connection, &symbols).await?;
    let tradable: BTreeSet<Symbol> = tradable.into_iter().map(|one| one.symbol).collect();
    let untradable = weights
        .iter()
        .enumerate()
        .find(|(_, (symbol, _))| !tradable.contains(*symbol));
    match untradable {
        Some((position, (symbol, _))) => Err(Error::NotTradable {
            field: format!("weights[{position}].symbol"),
            symbol: symbol.clone(),
        }),
        None => Ok(()),
    }
}

/// What the account has for the order to take.
fn available(
    order: &NewOrder<'_>,
    snapshot: &PortfolioSnapshot,
    fund: Option<&DriveWealthFundId>,
    pending: &[(CollectionId, Delta)],
    promised: Money,
) -> Result<Available, Error> {
    let portfolio = &snapshot.portfolio;
    let held = fund.and_then(|fund| portfolio.fund_values().find(|(id, _)| *id == fund));
    let holding = match held {
        Some((_, value)) => Money::from_decimal(value, Currency::USD, Rounding::Down)?,
        None => Money::zero(Currency::USD),
    };
    let of_side = |side| pending.iter().filter(move |(_, delta)| delta.side() == side);
    Ok(Available {
        equity: portfolio.equity(),
        cash: portfolio.cash_value(),
        promised,
        holding,
        pending_buys: of_side(Side::Buy).map(|(_, delta)| *delta).collect(),
        pending_sales: of_side(Side::Sell)
            .filter(|(collection, _)| *collection == order.collection)
            .map(|(_, delta)| *delta)
            .collect(),
    })
}

/// Takes orders back.
#[derive(Debug)]
pub struct Cancellations {
    database: Database,
    clock: ClockHandle,
}

platform::from_environment!(Cancellations { database, clock });

impl Cancellations {
    /// Takes an order back that is pending; one that was taken back stays so.
    ///
    /// # Errors
    /// Not found for another's; a conflict once it is being carried out, or has ended.
    pub async fn cancel(
        &self,
        profile: ProfileId,
        collection: CollectionId,
        id: CollectionVersionId,
    ) -> Result<CollectionVersionView, Error> {
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                let version = store::lock(connection, profile, id).await?;
                let version = version
                    .filter(|version| version.collection_id == collection)
                    .ok_or(Error::CollectionVersionNotFound)?;
                match version.status.after(CollectionVersionEvent::Cancel) {
                    Transition::Applied(CollectionVersionStatus::Cancelled) => {
                        store::cancel(connection, id, now).await?;
                    }
                    Transition::Applied(_) | Transition::AlreadyApplied => {}
                    Transition::Rejected(_) => {
                        let status = version.status;
                        return Err(Error::CollectionVersionNotPending { status });
                    }
                }
                let cancelled = store::load(connection, profile, id).await?;
                Ok(CollectionVersionView::from(
                    cancelled.ok_or(Error::CollectionVersionNotFound)?,
                ))
            })
            .await
    }
}

/// The list of a profile's orders.
#[derive(Debug)]
pub struct RebalancingHistory {
    database: Database,
}

platform::from_environment!(RebalancingHistory { database });

impl RebalancingHistory {
    /// A page of the profile's orders in a status, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(
        &self,
        profile: ProfileId,
        status: Option<CollectionVersionStatus>,
        page: PageRequest<VersionList>,
    ) -> Result<Page<CollectionVersionView>, Error> {
        let versions = self
            .database
            .with(async |connection| store::list(connection, profile, status, page.after, page.rows()).await)
            .await?;
        Ok(Page::from_overfetched(
            &versions,
            &page,
            |version| CollectionVersionView::from(version.clone()),
            |version| version.id,
        )?)
    }
}
