//! Dealers: registered by the auction's services when they accept the offer, with their requisite and their accounts.

mod request;
pub(crate) mod sealing;
pub(crate) mod store;
mod view;

use chrono::TimeDelta;
use domain::dealers::account::AccountType;
use domain::dealers::requisite::Requisite;
use domain::ids::CmeClientId;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::error::PlatformError;
use platform::idempotency::Replayable;
use platform::messaging::relay_waker::RelayWaker;
use sqlx::PgConnection;

use crate::account::store as accounts;
use crate::events::{self, AccountPayload, DealerPayload};
use crate::{Error, review};
pub use request::{RegisterDealerRequest, RequisiteRequest};
use sealing::{FIRST_VERSION, RequisiteSeal};
use store::Dealer;
pub use view::{AccountView, DealerView, MaskedRequisite};

/// Clocks of the auction's systems may be ahead of ours by so much.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// How often a requisite is read anew that somebody else has changed meanwhile.
const MAX_TRIES: u32 = 5;

/// The dealers.
#[derive(Debug)]
pub struct Dealers {
    database: Database,
    seal: RequisiteSeal,
    reader: DealerReader,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(Dealers {
    database,
    seal,
    reader,
    relay,
    clock
});

/// Shows dealers.
#[derive(Debug)]
pub struct DealerReader {
    database: Database,
    seal: RequisiteSeal,
    clock: ClockHandle,
}

platform::from_environment!(DealerReader {
    database,
    seal,
    clock
});

impl DealerReader {
    /// A dealer with his accounts.
    ///
    /// # Errors
    /// Not found for an unknown dealer.
    pub async fn get(&self, name: &CmeClientId) -> Result<DealerView, Error> {
        let now = self.clock.now();
        let (dealer, accounts) = self
            .database
            .with(async |connection| {
                let dealer = store::load(connection, name).await?;
                let accounts = store::figures(connection, dealer.id, now).await?;
                Ok::<_, Error>((dealer, accounts))
            })
            .await?;
        let requisite = self.seal.open(&dealer).await?;
        Ok(DealerView::new(dealer, &requisite, &accounts))
    }
}

impl Dealers {
    /// Registers a dealer with his COMMISSION account. One who is known is given again (`replayed`).
    ///
    /// # Errors
    /// Rejected for a requisite with wrong fields, for a time in the future, and where the dealer is known with another
    /// requisite than the one he was registered with or has now.
    pub async fn register(&self, request: RegisterDealerRequest) -> Result<Replayable<DealerView>, Error> {
        let now = self.clock.now();
        let (name, accepted_at) = (request.cme_client_id, request.offer_accepted_at);
        let requisite = request.requisite.0.check("requisite.")?;
        if accepted_at > now + CLOCK_SKEW {
            return Err(Error::Invalid {
                field: "offer_accepted_at",
                message: "is in the future; give the time at which the dealer accepted the offer".to_owned(),
            });
        }
        let sealed = self.seal.seal(&name, FIRST_VERSION, &requisite).await?;
        let is_new = self
            .database
            .transaction(async |connection| {
                let inserted = store::insert(connection, &name, &sealed, accepted_at, now).await?;
                let Some(dealer_id) = inserted else {
                    return Ok(false);
                };
                let dealer = DealerPayload {
                    dealer_id,
                    cme_client_id: name.clone(),
                };
                events::publish(connection, events::DEALER_REGISTERED, dealer_id, now, &dealer).await?;
                self.open_accounts(connection, &dealer, &[AccountType::Commission])
                    .await?;
                Ok::<_, Error>(true)
            })
            .await?;
        if is_new {
            self.relay.wake().await;
        } else {
            self.check_registered(&name, &requisite).await?;
        }
        Ok(Replayable {
            value: self.reader.get(&name).await?,
            replayed: !is_new,
        })
    }

    /// Passes a repeated registration: with the requisite of then, however late, or with the one of now.
    async fn check_registered(&self, name: &CmeClientId, requisite: &Requisite) -> Result<(), Error> {
        let dealer = self.load(name).await?;
        let is_known = self.seal.open_registered(&dealer).await? == *requisite
            || self.seal.open(&dealer).await? == *requisite;
        is_known.then_some(()).ok_or(Error::AnotherRequisite)
    }

    /// Opens a dealer's DEPOSIT and SETTLEMENT accounts; they may be open already (`replayed`).
    ///
    /// # Errors
    /// Not found for an unknown dealer.
    pub async fn add_fast_buyout(&self, name: &CmeClientId) -> Result<Replayable<DealerView>, Error> {
        let opened = self
            .database
            .transaction(async |connection| {
                let dealer = store::load(connection, name).await?;
                let payload = DealerPayload {
                    dealer_id: dealer.id,
                    cme_client_id: dealer.cme_client_id,
                };
                let types = [AccountType::Deposit, AccountType::Settlement];
                self.open_accounts(connection, &payload, &types).await
            })
            .await?;
        if opened > 0 {
            self.relay.wake().await;
        }
        Ok(Replayable {
            value: self.reader.get(name).await?,
            replayed: opened == 0,
        })
    }

    /// Replaces a dealer's requisite, and has it sent on to Billing for each of his accounts. The same again changes
    /// nothing.
    ///
    /// # Errors
    /// Rejected for wrong fields, and for an unknown dealer.
    pub async fn update_requisite(
        &self,
        name: &CmeClientId,
        request: RequisiteRequest,
    ) -> Result<DealerView, Error> {
        let requisite = request.check("")?;
        for _ in 0..MAX_TRIES {
            let dealer = self.load(name).await?;
            if self.seal.open(&dealer).await? == requisite {
                return self.reader.get(name).await;
            }
            let next = dealer.requisite_version.checked_add(1);
            let next = next.ok_or(PlatformError::Stored("requisite_version"))?;
            let sealed = self.seal.seal(name, next, &requisite).await?;
            let is_replaced = self
                .database
                .transaction(async |connection| self.replace_requisite(connection, name, next, &sealed).await)
                .await?;
            if is_replaced {
                self.relay.wake().await;
                return self.reader.get(name).await;
            }
        }
        Err(Error::BeingWorkedOn(format!("the requisite of {name}")))
    }

    /// Replaces the requisite by the version after it; `false` when somebody else has.
    async fn replace_requisite(
        &self,
        connection: &mut PgConnection,
        name: &CmeClientId,
        version: i32,
        sealed: &[u8],
    ) -> Result<bool, Error> {
        let now = self.clock.now();
        let dealer = store::lock(connection, name).await?;
        if dealer.requisite_version.checked_add(1) != Some(version) {
            return Ok(false);
        }
        store::set_requisite(connection, dealer.id, sealed, version, now).await?;
        let mut to_provision = Vec::new();
        for mut account in accounts::lock_all(connection, dealer.id).await? {
            to_provision.push(account.to_provision());
            if account.resume()? {
                accounts::save(connection, &account, now).await?;
            }
            review::account_settled(connection, &account, "the requisite was changed", now).await?;
        }
        events::provision(connection, now, &to_provision).await?;
        Ok(true)
    }

    async fn load(&self, name: &CmeClientId) -> Result<Dealer, Error> {
        self.database
            .with(async |connection| store::load(connection, name).await)
            .await
    }

    /// Opens the accounts that aren't open, and has them provisioned; gives how many.
    async fn open_accounts(
        &self,
        connection: &mut PgConnection,
        dealer: &DealerPayload,
        types: &[AccountType],
    ) -> Result<usize, Error> {
        let now = self.clock.now();
        let opened = accounts::open(connection, dealer.dealer_id, types, now).await?;
        let told = opened.iter().map(|account_type| {
            let payload = AccountPayload {
                dealer: dealer.clone(),
                account_type: *account_type,
            };
            (events::ACCOUNT_OPENED, payload)
        });
        events::publish_all(connection, dealer.dealer_id, now, told.collect()).await?;
        let to_provision: Vec<_> = opened
            .iter()
            .map(|account_type| events::AccountToProvision {
                dealer_id: dealer.dealer_id,
                account_type: *account_type,
            })
            .collect();
        events::provision(connection, now, &to_provision).await?;
        Ok(opened.len())
    }
}
