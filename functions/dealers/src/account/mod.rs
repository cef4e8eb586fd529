//! Accounts in Billing: `provision_account` makes one there in three steps, client → payer → contract, and sends a changed
//! requisite on.
//!
//! Each step looks for what is there by our external id before it makes it, and what it finds is recorded before the next
//! step, so that a run that died, or whose answer was lost, is gone on with where it stopped.

pub(crate) mod store;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::dealers::account::{AccountType, ProvisioningEvent, ProvisioningStatus};
use domain::dealers::requisite::{Requisite, RequisiteFields};
use domain::ids::{BillingClientId, BillingContractId, BillingPayerId};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::event::Envelope;
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use providers::billing::{Billing, FoundContract, FoundPayer, NewClient, PayerDetails, is_conflict};
use providers::outcome::{Outcome, ProviderError};
use sqlx::PgConnection;

use crate::bill::store as bills;
use crate::billing::{BILLING, BillingHandle, Refusal};
use crate::dealer::sealing::RequisiteSeal;
use crate::dealer::store as dealers;
pub use crate::events::AccountToProvision;
use crate::{Error, events, review};
use store::Account;

/// A message about an account.
pub type ProvisioningMessage = Envelope<AccountToProvision>;

/// Left of the deadline for recording what a call came to.
const RECORDING: Duration = Duration::from_secs(3);
/// A lease outlives the function that has it by so much.
const LEASE_MARGIN: TimeDelta = TimeDelta::seconds(2);
/// No function runs for longer.
const MAX_LEASE: TimeDelta = TimeDelta::minutes(15);
/// Client, payer, contract, a requisite that is newer; more is a sign of a circle.
const MAX_STEPS: u32 = 6;

/// The next step for an account.
enum Step {
    MakeClient,
    MakePayer(BillingClientId),
    MakeContract(BillingClientId, BillingPayerId),
    UpdatePayer(BillingPayerId),
}

/// An account that is being worked on, with the requisite of the moment.
struct Leased {
    account: Account,
    requisite: Requisite,
    version: i32,
}

/// What a step came to.
enum Found {
    Client(BillingClientId),
    /// With the version of the requisite that it has, where that is known.
    Payer(BillingPayerId, Option<i32>),
    Contract(BillingContractId),
    Updated(i32),
}

/// Why a step came to nothing.
enum Failed {
    /// Billing refuses, or has something else in its place.
    Refused(Refusal),
    Error(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Provisions accounts.
#[derive(Debug)]
pub struct Provisioner {
    database: Database,
    billing: BillingHandle,
    seal: RequisiteSeal,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(Provisioner {
    database,
    billing,
    seal,
    relay,
    clock
});

impl Provisioner {
    /// Does what is left to do for an account, however often and in how many copies it runs.
    ///
    /// # Errors
    /// Transient while Billing is out of reach, its answer was lost, or another function works on the account.
    pub async fn provision(&self, account: AccountToProvision, deadline: Deadline) -> Result<(), Error> {
        let lease_until = self.lease_until(deadline);
        for step in 0..MAX_STEPS {
            let Some(leased) = self.lease(account, lease_until, step == 0).await? else {
                tracing::warn!(dealer_id = %account.dealer_id, account_type = %account.account_type, "ignoring a message about an unknown account");
                return Ok(());
            };
            let Some(step) = next_step(&leased) else {
                return self.release(account).await;
            };
            let outcome = self.carry_out(step, &leased, deadline).await;
            match self.record(account, outcome).await {
                Ok(true) => {}
                Ok(false) => return self.release(account).await,
                Err(error) => {
                    self.release(account).await?;
                    return Err(error);
                }
            }
        }
        self.release(account).await?;
        Err(Error::BeingWorkedOn(external_id(account)))
    }

    fn lease_until(&self, deadline: Deadline) -> DateTime<Utc> {
        let left = TimeDelta::from_std(deadline.left()).unwrap_or(MAX_LEASE);
        self.clock.now() + left.min(MAX_LEASE) + LEASE_MARGIN
    }

    /// Takes the account's lease, or goes on under it; nothing when there is no such account.
    async fn lease(
        &self,
        of: AccountToProvision,
        until: DateTime<Utc>,
        is_first: bool,
    ) -> Result<Option<Leased>, Error> {
        let now = self.clock.now();
        let leased = self
            .database
            .transaction(async |connection| {
                let Some(mut account) = store::lock(connection, of.dealer_id, of.account_type).await? else {
                    return Ok(None);
                };
                if is_first && account.asked_until.is_some_and(|other| other > now) {
                    return Err(Error::BeingWorkedOn(external_id(of)));
                }
                account.asked_until = Some(until);
                store::save(connection, &account, now).await?;
                let dealer = dealers::load(connection, &account.cme_client_id).await?;
                Ok(Some((account, dealer)))
            })
            .await?;
        let Some((account, dealer)) = leased else {
            return Ok(None);
        };
        Ok(Some(Leased {
            account,
            requisite: self.seal.open(&dealer).await?,
            version: dealer.requisite_version,
        }))
    }

    async fn release(&self, of: AccountToProvision) -> Result<(), Error> {
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                if let Some(mut account) = store::lock(connection, of.dealer_id, of.account_type).await? {
                    account.asked_until = None;
                    store::save(connection, &account, now).await?;
                }
                Ok(())
            })
            .await
    }

    /// Carries out a step in Billing, with no connection held.
    async fn carry_out(&self, step: Step, leased: &Leased, deadline: Deadline) -> Result<Found, Failed> {
        let billing = self.billing.connect().await?;
        let calls = Calls {
            billing: &billing,
            external_id: external_id(leased.account.to_provision()),
            fields: leased.requisite.fields(),
            version: leased.version,
            deadline: deadline.earlier_by(RECORDING),
        };
        match step {
            Step::MakeClient => calls.client().await,
            Step::MakePayer(client) => calls.payer(&client).await,
            Step::MakeContract(client, payer) => {
                calls.contract(&client, &payer, leased.account.account_type).await
            }
            Step::UpdatePayer(payer) => calls.update(&payer).await,
        }
    }

    /// Records what a step came to, with what follows from it; `false` when a person has to look before the next one.
    async fn record(&self, of: AccountToProvision, outcome: Result<Found, Failed>) -> Result<bool, Error> {
        let now = self.clock.now();
        let found = match outcome {
            Err(Failed::Error(error)) => return Err(error),
            Err(Failed::Refused(refusal)) => Err(refusal),
            Ok(found) => Ok(found),
        };
        let goes_on = found.is_ok();
        let is_ready_now = self
            .database
            .transaction(async |connection| {
                let account = store::lock(connection, of.dealer_id, of.account_type).await?;
                let mut account = account.ok_or(Error::DealerNotFound)?;
                let before = account.provisioning_status;
                match found {
                    Ok(found) => apply(&mut account, found)?,
                    Err(refusal) => {
                        // A ready account goes on with the requisite that Billing has.
                        if before != ProvisioningStatus::Ready {
                            account.provisioning_status =
                                before.after(ProvisioningEvent::Refused).or_current(before)?;
                        }
                        review::account_refused(connection, &account, &refusal, now).await?;
                    }
                }
                store::save(connection, &account, now).await?;
                if !goes_on || account.provisioning_status != ProvisioningStatus::Ready {
                    return Ok(false);
                }
                review::account_settled(connection, &account, "Billing has all of it", now).await?;
                if before != ProvisioningStatus::Ready {
                    self.issue_waiting(connection, of, now).await?;
                }
                Ok::<_, Error>(before != ProvisioningStatus::Ready)
            })
            .await?;
        if is_ready_now {
            self.relay.wake().await;
        }
        Ok(goes_on)
    }

    /// Has the bills issued that were put on the account before Billing knew it.
    async fn issue_waiting(
        &self,
        connection: &mut PgConnection,
        of: AccountToProvision,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let waiting = bills::to_issue_of(connection, of.dealer_id, of.account_type).await?;
        events::issue(connection, now, &waiting).await
    }
}

/// Nothing is left to do when Billing has all of it, or a person has to look first.
fn next_step(leased: &Leased) -> Option<Step> {
    let account = &leased.account;
    let ids = (
        account.billing_client_id.clone(),
        account.billing_payer_id.clone(),
    );
    match (account.provisioning_status, ids) {
        (ProvisioningStatus::Ready, (_, Some(payer))) if account.requisite_version != leased.version => {
            Some(Step::UpdatePayer(payer))
        }
        (ProvisioningStatus::Ready | ProvisioningStatus::Parked, _) => None,
        (ProvisioningStatus::PayerMade, (Some(client), Some(payer))) => {
            Some(Step::MakeContract(client, payer))
        }
        (ProvisioningStatus::ClientMade, (Some(client), _)) => Some(Step::MakePayer(client)),
        _ => Some(Step::MakeClient),
    }
}

/// What is found of an account, through its transitions.
fn apply(account: &mut Account, found: Found) -> Result<(), Error> {
    let event = match found {
        Found::Client(client) => {
            account.billing_client_id.get_or_insert(client);
            ProvisioningEvent::ClientFound
        }
        Found::Payer(payer, version) => {
            account.billing_payer_id.get_or_insert(payer);
            account.requisite_version = version.unwrap_or(account.requisite_version);
            ProvisioningEvent::PayerFound
        }
        Found::Contract(contract) => {
            account.billing_contract_id.get_or_insert(contract);
            ProvisioningEvent::ContractFound
        }
        Found::Updated(version) => {
            account.requisite_version = account.requisite_version.max(version);
            return Ok(());
        }
    };
    let before = account.provisioning_status;
    account.provisioning_status = before.after(event).or_current(before)?;
    Ok(())
}

/// Our id of an account's client, payer and contract in Billing.
pub(crate) fn external_id(account: AccountToProvision) -> String {
    format!("moneta-dealer-{}-{}", account.dealer_id, account.account_type)
}

/// The calls for one account.
struct Calls<'a> {
    billing: &'a Billing,
    external_id: String,
    fields: &'a RequisiteFields,
    version: i32,
    deadline: Deadline,
}

impl Calls<'_> {
    async fn client(&self) -> Result<Found, Failed> {
        let until = self.deadline.instant();
        if let Some(found) = self.settle(self.billing.find_client(&self.external_id, until).await)? {
            return Ok(Found::Client(found.id));
        }
        let new = NewClient {
            external_id: &self.external_id,
            name: &self.fields.name,
            legal_form: self.fields.legal_form,
        };
        let made = self.billing.create_client(&new, until).await;
        Ok(Found::Client(self.settle(made)?.id))
    }

    async fn payer(&self, client: &BillingClientId) -> Result<Found, Failed> {
        let until = self.deadline.instant();
        if let Some(found) = self.settle(self.billing.find_payer(&self.external_id, until).await)? {
            // Which version it was made of isn't said: the newest is sent once more.
            return self.own_payer(found, client, None);
        }
        let made = self
            .billing
            .create_payer(client, &self.external_id, &self.details(), until)
            .await;
        self.own_payer(self.settle(made)?, client, Some(self.version))
    }

    fn own_payer(
        &self,
        payer: FoundPayer,
        client: &BillingClientId,
        version: Option<i32>,
    ) -> Result<Found, Failed> {
        if payer.client != *client {
            return Err(self.foreign("payer", payer.id.as_str()));
        }
        Ok(Found::Payer(payer.id, version))
    }

    async fn contract(
        &self,
        client: &BillingClientId,
        payer: &BillingPayerId,
        kind: AccountType,
    ) -> Result<Found, Failed> {
        let until = self.deadline.instant();
        let found = self.settle(self.billing.find_contract(&self.external_id, until).await)?;
        let contract = match found {
            Some(contract) => contract,
            None => {
                let made = self
                    .billing
                    .create_contract(client, &self.external_id, payer, kind, until)
                    .await;
                self.settle(made)?
            }
        };
        let FoundContract {
            id,
            client: of,
            payer: by,
            kind: is,
        } = contract;
        if of != *client || by != *payer || is != kind {
            return Err(self.foreign("contract", id.as_str()));
        }
        Ok(Found::Contract(id))
    }

    async fn update(&self, payer: &BillingPayerId) -> Result<Found, Failed> {
        let updated = self
            .billing
            .update_payer(payer, &self.details(), self.deadline.instant())
            .await;
        self.settle(updated)?;
        Ok(Found::Updated(self.version))
    }

    fn details(&self) -> PayerDetails<'_> {
        PayerDetails {
            inn: &self.fields.inn,
            kpp: self.fields.kpp.as_deref(),
            ogrn: &self.fields.ogrn,
            bik: &self.fields.bik,
            account: &self.fields.settlement_account,
            correspondent_account: &self.fields.correspondent_account,
            address: &self.fields.legal_address,
        }
    }

    /// What a call gave. A conflict means that another copy of this function was faster with what it read before: the
    /// message comes again, and finds it.
    fn settle<T>(&self, outcome: Outcome<T>) -> Result<T, Failed> {
        match outcome {
            Outcome::Done(found) => Ok(found),
            Outcome::Declined(decline) if is_conflict(&decline) => {
                Err(Error::BeingWorkedOn(self.external_id.clone()).into())
            }
            Outcome::Declined(decline) => {
                let mut refusal = Refusal::from(decline);
                // Billing may repeat what it was sent, and a review isn't sealed.
                refusal.message = self.fields.removed_from(&refusal.message);
                Err(Failed::Refused(refusal))
            }
            Outcome::Retryable(reason) => {
                Err(Error::from(ProviderError::unavailable(BILLING, &reason)).into())
            }
            Outcome::Unknown(reason) => {
                metrics::count_with("UnknownOutcomes", 1, &[("provider", "billing")]);
                tracing::warn!(external_id = self.external_id, %reason, "provisioning an account has an unknown outcome");
                Err(Error::OutcomeUnknown(self.external_id.clone()).into())
            }
        }
    }

    /// Billing has something of our external id that isn't ours.
    fn foreign(&self, what: &str, id: &str) -> Failed {
        let message = format!(
            "the {what} {id} has our external id {} and isn't of this account",
            self.external_id
        );
        Failed::Refused(Refusal::of_difference(&format!("foreign-{what}"), message))
    }
}
