//! Plaid's webhooks: signed, delivered at least once and in no order. What they say of a link counts by the time at which they
//! were signed; an older one changes nothing.

mod keys;
mod store;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::ProfileId;
use domain::storable::storable_body;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::inbox::{self, Arrival};
use platform::messaging::relay_waker::RelayWaker;
use platform::observability::metrics;
use providers::plaid::webhook::{PlaidWebhook, verify};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use self::keys::Keys;
use self::store::LockedItem;
use crate::bank_link::BankLinks;
use crate::events::{self, BankAccountNeedsReauth};
use crate::{Error, bank_link};

/// The sender's name in the inbox.
const SOURCE: &str = "plaid";

/// So long before a link ends Plaid warns of it, by `PENDING_EXPIRATION` and `PENDING_DISCONNECT`.
const WARNED_AHEAD: TimeDelta = TimeDelta::days(7);

/// Takes Plaid's webhooks.
#[derive(Debug)]
pub struct PlaidWebhooks {
    database: Database,
    keys: Keys,
    links: BankLinks,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(PlaidWebhooks {
    database,
    keys,
    links,
    relay,
    clock
});

impl PlaidWebhooks {
    /// Takes a webhook, once.
    ///
    /// # Errors
    /// Rejected for one that isn't signed by Plaid over this very body, within 5 minutes; transient when a provider doesn't
    /// respond: it comes again.
    pub async fn handle(&self, token: Option<&str>, body: &[u8], deadline: Deadline) -> Result<(), Error> {
        let now = self.clock.now();
        let token = token.unwrap_or_default();
        let Some(signed_at) = self.signed_at(token, body, now, deadline).await? else {
            metrics::count("ForgedWebhooks", 1);
            return Err(Error::InvalidSignature);
        };
        let body = &*storable_body(body);
        let webhook: PlaidWebhook = serde_json::from_slice(body).map_err(|_| Error::UnreadableWebhook)?;
        let payload: &RawValue = serde_json::from_slice(body).map_err(|_| Error::UnreadableWebhook)?;
        let kind = format!("{}.{}", webhook.kind, webhook.code);
        let event_id = hex::encode(Sha256::digest(token.as_bytes()));
        let arrival = Arrival {
            source: SOURCE,
            event_id: &event_id,
            kind: &kind,
            occurred_at: signed_at,
            received_at: now,
            payload,
        };
        if kind == "AUTH.AUTOMATICALLY_VERIFIED"
            && !inbox::was_recorded(&self.database, SOURCE, &event_id).await?
        {
            self.finish_verified(&webhook, deadline).await?;
        }
        let is_news = inbox::once(&self.database, &arrival, async |connection| {
            apply(connection, &webhook, signed_at, now).await
        })
        .await?;
        if is_news == Some(true) {
            self.relay.wake().await;
        }
        Ok(())
    }

    async fn signed_at(
        &self,
        token: &str,
        body: &[u8],
        now: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<Option<DateTime<Utc>>, Error> {
        let key = self.keys.of(token, now, deadline).await?;
        Ok(key.and_then(|key| verify(token, &key, body, now)))
    }

    /// Small deposits were verified: the accounts that wait for it are linked at DriveWealth.
    async fn finish_verified(&self, webhook: &PlaidWebhook, deadline: Deadline) -> Result<(), Error> {
        let Some(item_id) = &webhook.item_id else {
            return Ok(());
        };
        let waiting = self
            .database
            .with(async |connection| {
                let item = store::lock(connection, item_id).await?;
                match item {
                    Some(item) => waiting(connection, &item, webhook.account_id.as_deref()).await,
                    None => Ok(Vec::new()),
                }
            })
            .await?;
        for (profile, row) in waiting {
            self.links.finish_verified(&row, profile, deadline).await?;
        }
        Ok(())
    }
}

async fn waiting(
    connection: &mut PgConnection,
    item: &LockedItem,
    account: Option<&str>,
) -> Result<Vec<(ProfileId, bank_link::store::BankAccountRow)>, Error> {
    let rows = bank_link::store::all_of(connection, item.profile_id).await?;
    let fits = rows.into_iter().filter(|row| {
        row.item == item.id
            && row.status == "verifying"
            && row.ended_at.is_none()
            && account.is_none_or(|account| row.plaid_account_id.as_str() == account)
    });
    Ok(fits.map(|row| (item.profile_id, row)).collect())
}

/// The effect of a webhook; says whether somebody has to be told.
async fn apply(
    connection: &mut PgConnection,
    webhook: &PlaidWebhook,
    signed_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let item = match &webhook.item_id {
        Some(item_id) => store::lock(connection, item_id).await?,
        None => None,
    };
    let Some(item) = item else { return Ok(false) };
    let error = webhook.error.as_ref().map(|error| error.error_code.as_str());
    match (webhook.kind.as_str(), webhook.code.as_str(), error) {
        ("ITEM", "ERROR", Some("ITEM_LOGIN_REQUIRED")) => {
            set_sign_in(connection, &item, SignIn::Required, signed_at, now).await
        }
        ("ITEM", "PENDING_EXPIRATION" | "PENDING_DISCONNECT", _) => {
            set_sign_in(connection, &item, SignIn::DueSoon, signed_at, now).await
        }
        ("ITEM", "LOGIN_REPAIRED", _) => set_sign_in(connection, &item, SignIn::Done, signed_at, now).await,
        ("ITEM", "USER_PERMISSION_REVOKED", _) => {
            bank_link::store::set_ended(connection, item.id, signed_at).await?;
            Ok(false)
        }
        ("ITEM", "USER_ACCOUNT_REVOKED", _) => {
            let states = ["linking", "verifying", "linked"].map(str::to_owned);
            store::set_account_failed(connection, item.id, webhook.account_id.as_deref(), &states).await?;
            Ok(false)
        }
        ("ITEM", "NEW_ACCOUNTS_AVAILABLE", _) => {
            store::set_new_accounts(connection, item.id, signed_at).await?;
            Ok(false)
        }
        ("AUTH", "VERIFICATION_EXPIRED", _) => {
            let states = ["verifying".to_owned()];
            store::set_account_failed(connection, item.id, webhook.account_id.as_deref(), &states).await?;
            Ok(false)
        }
        (kind, code, _) => {
            tracing::info!(kind, code, "kept a webhook without an effect");
            Ok(false)
        }
    }
}

/// What a webhook says of the customer's sign-in at the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignIn {
    /// The bank gives nothing before it.
    Required,
    /// The bank gives nothing any more a week from now.
    DueSoon,
    /// There is nothing to do.
    Done,
}

/// Whether the customer has to sign in again, as of a webhook; an older one changes nothing. The first that says so is told.
async fn set_sign_in(
    connection: &mut PgConnection,
    item: &LockedItem,
    sign_in: SignIn,
    signed_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    if item.state_as_of.is_some_and(|as_of| as_of > signed_at) {
        return Ok(false);
    }
    let since = item.needs_reauth_since.unwrap_or(signed_at);
    let (since, warned_until) = match sign_in {
        SignIn::Required => (Some(since), item.warned_until),
        SignIn::DueSoon => (Some(since), Some(signed_at + WARNED_AHEAD)),
        SignIn::Done => (None, None),
    };
    store::save_state(connection, item.id, since, warned_until, signed_at).await?;
    if since.is_none() || item.needs_reauth_since.is_some() {
        return Ok(false);
    }
    for account in store::accounts(connection, item.id).await? {
        let told = BankAccountNeedsReauth {
            profile_id: item.profile_id,
            bank_account_id: account.id,
            name: account.name,
        };
        events::publish_bank_account_needs_reauth(connection, now, told).await?;
    }
    Ok(true)
}
