//! Linking bank accounts through Plaid's page, and unlinking them.
//!
//! A public token works once: it is written down by its digest before it is exchanged, so that a repetition, or another
//! account of the same visit, uses the link that it became; a lost answer of the exchange can't be had again. The account is
//! checked against those that are linked before DriveWealth is asked, written down, and linked under a key made from its id,
//! after a look at DriveWealth's list.

mod list;
pub(crate) mod store;
mod unlink;
mod view;

use chrono::TimeDelta;
use domain::ids::{BankAccountId, DriveWealthUserId, PlaidAccountId, ProfileId};
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::idempotency::Replayable;
use providers::drivewealth::{BANK_TOKEN_INVALID, NewBankAccount};
use providers::outcome::{Outcome, ProviderError};
use providers::plaid::{
    LinkTarget, Mending, NewLink, PlaidAccount, is_bad_public_token, is_gone, is_not_verified, needs_sign_in,
};
use secrecy::SecretString;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

pub use self::list::LinkedBankAccounts;
pub use self::unlink::BankUnlinks;
pub use self::view::{BankAccountList, BankAccountView, PlaidLinkTokenView};

use self::store::{BankAccountRow, Exchanged, Item, Linked};
use crate::bank_account::{Bank, PLAID, token_place};
use crate::broker::{Broker, PARTY};
use crate::{Error, onboarding, profile};

/// Plaid bills each link.
const MAX_LINKS_A_DAY: i64 = 20;
const A_DAY: TimeDelta = TimeDelta::days(1);
/// The longest name, in characters.
const MAX_NAME_LENGTH: usize = 100;
/// The longest public token, in characters.
const MAX_TOKEN_LENGTH: usize = 200;

/// What the page is opened for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkTokenRequest {
    /// The bank account whose link is to be mended (see its `needs`); null links another bank.
    #[schema(value_type = Option<i64>, minimum = 1)]
    pub bank_account_id: Option<BankAccountId>,
}

/// What the page has given the app.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkBankAccountRequest {
    /// Plaid's public token. It works once, within half an hour.
    pub public_token: String,
    /// Plaid's id of the chosen account.
    #[schema(value_type = String, min_length = 1, max_length = 128, pattern = r"^[\x21-\x7E]+$")]
    pub account_id: PlaidAccountId,
    /// Its name for the customer; the bank's own where none is given.
    pub name: Option<String>,
}

impl std::fmt::Debug for LinkBankAccountRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LinkBankAccountRequest")
            .field("account_id", &self.account_id)
            .finish_non_exhaustive()
    }
}

/// Makes tokens for Plaid's page.
#[derive(Debug)]
pub struct PlaidLinkTokens {
    database: Database,
    bank: Bank,
    app_name: String,
    webhook_url: String,
    redirect_uri: Option<String>,
}

platform::from_environment!(PlaidLinkTokens {
    database,
    bank,
    app_name: |environment: &mut Environment| environment.required("APP_NAME"),
    webhook_url: |environment: &mut Environment| environment.required("PLAID_WEBHOOK_URL"),
    redirect_uri: |environment: &mut Environment| Some(environment.optional("PLAID_REDIRECT_URI")),
});

impl PlaidLinkTokens {
    /// A token for Plaid's page: for another bank, or to mend a link.
    ///
    /// # Errors
    /// Not found for a bank account that isn't the caller's; rejected when its link has ended.
    pub async fn create(
        &self,
        profile: ProfileId,
        request: &LinkTokenRequest,
        deadline: Deadline,
    ) -> Result<PlaidLinkTokenView, Error> {
        let mended = match request.bank_account_id {
            Some(id) => Some(self.mended(profile, id).await?),
            None => None,
        };
        let access_token = match &mended {
            Some(row) => Some(self.bank.open(&row.item_id, &row.access_token_sealed).await?),
            None => None,
        };
        let target = LinkTarget {
            profile,
            app_name: &self.app_name,
            webhook: &self.webhook_url,
            redirect_uri: self.redirect_uri.as_deref(),
            mends: access_token.as_deref().map(|access_token| Mending {
                access_token,
                selects_accounts: mended.as_ref().is_some_and(|row| row.status == "failed"),
            }),
        };
        let client = self.bank.client().await?;
        let token = match client.create_link_token(&target, deadline.instant()).await {
            Outcome::Declined(decline) if is_gone(&decline) => return Err(Error::BankLinkEnded),
            outcome => outcome.done(PLAID)?,
        };
        Ok(PlaidLinkTokenView {
            link_token: token.link_token,
            expires_at: token.expiration,
        })
    }

    async fn mended(&self, profile: ProfileId, id: BankAccountId) -> Result<BankAccountRow, Error> {
        let rows = self
            .database
            .with(async |connection| store::list(connection, profile, Some(id)).await)
            .await?;
        let row = rows.into_iter().next().ok_or(Error::BankAccountNotFound)?;
        // Signing in mends neither.
        match row.ended_at.is_some() || row.is_token_invalid {
            true => Err(Error::BankLinkEnded),
            false => Ok(row),
        }
    }
}

/// Links bank accounts.
#[derive(Debug)]
pub struct BankLinks {
    database: Database,
    broker: Broker,
    bank: Bank,
    clock: ClockHandle,
}

platform::from_environment!(BankLinks {
    database,
    broker,
    bank,
    clock
});

impl BankLinks {
    /// Links an account of a visit to Plaid's page, once; `replayed` when it was linked before.
    ///
    /// # Errors
    /// Rejected before the identity check was submitted, for a token or an account that is none, and for an account that is
    /// linked already; transient when Plaid or DriveWealth doesn't respond: the same request goes on from there.
    pub async fn link(
        &self,
        profile: ProfileId,
        request: &LinkBankAccountRequest,
        deadline: Deadline,
    ) -> Result<Replayable<BankAccountView>, Error> {
        let name = checked_name(request.name.as_deref())?;
        let user = self
            .database
            .with(async |connection| store::user_of(connection, profile).await)
            .await?
            .ok_or(Error::KycNotSubmitted)?;
        let item = self.item_of(profile, &request.public_token, deadline).await?;
        let token = self.bank.open(&item.item_id, &item.access_token_sealed).await?;
        let known = self
            .database
            .with(async |connection| store::find(connection, item.id, &request.account_id).await)
            .await?;
        let (linked, is_new) = match known {
            Some(known) => (known, false),
            None => {
                let account = self
                    .account_of(&item, &token, &request.account_id, deadline)
                    .await?;
                (
                    self.intend(profile, &item, &token, &account, name, deadline)
                        .await?,
                    true,
                )
            }
        };
        if linked.status != "linked" {
            self.finish(&linked, &user, &request.account_id, &token, deadline)
                .await?;
        }
        let view = self.view(profile, linked.id).await?;
        Ok(match is_new {
            true => Replayable::new(view),
            false => Replayable::replayed(view),
        })
    }

    /// Goes on with an account whose small deposits were verified.
    ///
    /// # Errors
    /// Transient when Plaid or DriveWealth doesn't respond.
    pub(crate) async fn finish_verified(
        &self,
        row: &BankAccountRow,
        profile: ProfileId,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let user = self
            .database
            .with(async |connection| store::user_of(connection, profile).await)
            .await?
            .ok_or(Error::KycNotSubmitted)?;
        let token = self.bank.open(&row.item_id, &row.access_token_sealed).await?;
        let linked = Linked {
            id: row.id,
            status: row.status.clone(),
        };
        self.finish(&linked, &user, &row.plaid_account_id, &token, deadline)
            .await
    }

    /// The link that a public token is, or became.
    async fn item_of(
        &self,
        profile: ProfileId,
        public_token: &str,
        deadline: Deadline,
    ) -> Result<Item, Error> {
        if public_token.is_empty() || public_token.len() > MAX_TOKEN_LENGTH {
            return Err(Error::BadPublicToken);
        }
        let digest = Sha256::digest(public_token.as_bytes()).to_vec();
        let now = self.clock.now();
        let exchanged = self
            .database
            .transaction(async |connection| {
                profile::store::lock(connection, profile).await?;
                let exchanged = store::exchanged(connection, profile, &digest).await?;
                if matches!(exchanged, Exchanged::New) {
                    let links = store::links_since(connection, profile, now - A_DAY).await?;
                    if links >= MAX_LINKS_A_DAY {
                        return Err(Error::TooManyLinks {
                            limit: MAX_LINKS_A_DAY,
                        });
                    }
                    store::insert_token(connection, profile, &digest, now).await?;
                }
                Ok::<_, Error>(exchanged)
            })
            .await?;
        match exchanged {
            Exchanged::Item(item) => Ok(item),
            Exchanged::Lost => Err(Error::LinkAgain),
            Exchanged::Foreign => Err(Error::BadPublicToken),
            Exchanged::New => self.exchange(profile, public_token, &digest, deadline).await,
        }
    }

    async fn exchange(
        &self,
        profile: ProfileId,
        public_token: &str,
        digest: &[u8],
        deadline: Deadline,
    ) -> Result<Item, Error> {
        let client = self.bank.client().await?;
        let outcome = client.exchange(public_token, deadline.instant()).await;
        let failure = match outcome {
            Outcome::Done(new) => return self.save(profile, digest, new).await,
            Outcome::Unknown(reason) => {
                tracing::warn!(profile_id = %profile, %reason, "exchanging a public token had no known outcome");
                return Err(Error::LinkAgain);
            }
            Outcome::Declined(decline) if is_bad_public_token(&decline) => Error::BadPublicToken,
            Outcome::Declined(decline) => ProviderError::refused(PLAID, decline).into(),
            Outcome::Retryable(reason) => ProviderError::unavailable(PLAID, &reason).into(),
        };
        self.database
            .with(async |connection| store::delete_token(connection, digest).await)
            .await?;
        Err(failure)
    }

    async fn save(&self, profile: ProfileId, digest: &[u8], new: NewLink) -> Result<Item, Error> {
        let sealed = self
            .bank
            .seal(&token_place(&new.item_id), &new.access_token)
            .await?;
        let now = self.clock.now();
        let item = self
            .database
            .transaction(async |connection| {
                store::save_item(connection, profile, digest, &new.item_id, &sealed, now).await
            })
            .await?;
        item.ok_or(Error::BadPublicToken)
    }

    /// The account at the bank; whose bank it is, is saved on the way.
    async fn account_of(
        &self,
        item: &Item,
        token: &str,
        id: &PlaidAccountId,
        deadline: Deadline,
    ) -> Result<PlaidAccount, Error> {
        let client = self.bank.client().await?;
        let about = of_link(client.item(token, deadline.instant()).await)?;
        self.database
            .with(async |connection| {
                let (bank, name) = (about.institution_id.as_deref(), about.institution_name.as_deref());
                store::save_institution(connection, item.id, bank, name).await
            })
            .await?;
        let accounts = of_link(client.accounts(token, deadline.instant()).await)?;
        let found = accounts.into_iter().find(|account| account.id == *id);
        found.ok_or(Error::PlaidAccountNotFound)
    }

    /// Writes the account down, unless it is linked by another link: then this one, if nothing else hangs on it, is ended.
    async fn intend(
        &self,
        profile: ProfileId,
        item: &Item,
        token: &str,
        account: &PlaidAccount,
        name: Option<String>,
        deadline: Deadline,
    ) -> Result<Linked, Error> {
        let now = self.clock.now();
        let name = name.unwrap_or_else(|| account.name.clone());
        let linked = self
            .database
            .transaction(async |connection| {
                profile::store::lock(connection, profile).await?;
                if let Some(known) = store::find(connection, item.id, &account.id).await? {
                    return Ok(Some(known));
                }
                let bank = store::institution_of(connection, item.id).await?;
                let mask = account.mask.as_deref();
                if store::has_duplicate(connection, profile, item.id, bank.as_deref(), mask, &account.name)
                    .await?
                {
                    return Ok(None);
                }
                let new = store::NewBankAccount {
                    item: item.id,
                    account: &account.id,
                    name: &name,
                    bank_name: &account.name,
                    mask,
                    balance: account.balance,
                };
                let id = store::insert(connection, profile, &new, now).await?;
                let status = "linking".to_owned();
                Ok::<_, Error>(Some(Linked { id, status }))
            })
            .await?;
        match linked {
            Some(linked) => Ok(linked),
            None => {
                self.end_unused(profile, item, token, deadline).await?;
                Err(Error::BankAccountLinkedAlready)
            }
        }
    }

    async fn end_unused(
        &self,
        profile: ProfileId,
        item: &Item,
        token: &str,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let left = self
            .database
            .with(async |connection| store::count_of_item(connection, profile, item.id).await)
            .await?;
        if left > 0 {
            return Ok(());
        }
        let client = self.bank.client().await?;
        client.remove_item(token, deadline.instant()).await.done(PLAID)?;
        let now = self.clock.now();
        self.database
            .with(async |connection| store::set_ended(connection, item.id, now).await)
            .await
    }

    /// Links the account at DriveWealth, which may have it already.
    async fn finish(
        &self,
        linked: &Linked,
        user: &DriveWealthUserId,
        account: &PlaidAccountId,
        token: &str,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let nickname = format!("bank-account-{}", linked.id);
        let client = self.broker.client().await?;
        let listed = client
            .bank_accounts_of(user, deadline.instant())
            .await
            .done(PARTY)?;
        let found = listed
            .into_iter()
            .find(|listed| listed.nickname.as_deref() == Some(&nickname));
        let broker_account = match found {
            Some(found) => found,
            None => {
                let Some(processor_token) = self.processor_token(linked, account, token, deadline).await?
                else {
                    return Ok(());
                };
                let new = NewBankAccount {
                    user,
                    nickname: &nickname,
                    processor_token: &processor_token,
                    idempotency_key: onboarding::key("bank-account", &linked.id.to_string()),
                };
                match client.create_bank_account(&new, deadline.instant()).await {
                    Outcome::Declined(decline) if decline.code == BANK_TOKEN_INVALID => {
                        self.set_status(linked.id, "failed").await?;
                        return Err(Error::LinkAgain);
                    }
                    outcome => outcome.done(PARTY)?,
                }
            }
        };
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                store::set_linked(connection, linked.id, user, &broker_account, now).await
            })
            .await
    }

    /// A token for DriveWealth; none while the account waits for small deposits.
    async fn processor_token(
        &self,
        linked: &Linked,
        account: &PlaidAccountId,
        token: &str,
        deadline: Deadline,
    ) -> Result<Option<SecretString>, Error> {
        let client = self.bank.client().await?;
        match client.processor_token(token, account, deadline.instant()).await {
            Outcome::Declined(decline) if is_not_verified(&decline) => {
                self.set_status(linked.id, "verifying").await?;
                Ok(None)
            }
            outcome => Ok(Some(SecretString::from(of_link(outcome)?))),
        }
    }

    async fn set_status(&self, id: BankAccountId, status: &str) -> Result<(), Error> {
        self.database
            .with(async |connection| store::set_status(connection, id, status).await)
            .await
    }

    async fn view(&self, profile: ProfileId, id: BankAccountId) -> Result<BankAccountView, Error> {
        let rows = self
            .database
            .with(async |connection| store::list(connection, profile, Some(id)).await)
            .await?;
        let row = rows.into_iter().next().ok_or(Error::BankAccountNotFound)?;
        Ok(row.into())
    }
}

/// What Plaid says of a link, or what its customer has to do first.
fn of_link<T>(outcome: Outcome<T>) -> Result<T, Error> {
    match outcome {
        Outcome::Declined(decline) if needs_sign_in(&decline) => Err(Error::BankNeedsSignIn),
        Outcome::Declined(decline) if is_gone(&decline) => Err(Error::LinkAgain),
        outcome => Ok(outcome.done(PLAID)?),
    }
}

fn checked_name(name: Option<&str>) -> Result<Option<String>, Error> {
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let is_sound = name.chars().count() <= MAX_NAME_LENGTH && !name.chars().any(char::is_control);
    match is_sound {
        true => Ok(Some(name.to_owned())),
        false => Err(Error::InvalidValue {
            field: "name",
            message: format!("has to be a text of at most {MAX_NAME_LENGTH} characters"),
        }),
    }
}
