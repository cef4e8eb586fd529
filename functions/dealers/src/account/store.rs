//! `dealer_accounts`. Whoever changes an account, its bills or its payments holds the lock of its row.

use chrono::{DateTime, Utc};
use domain::dealers::account::{AccountType, ProvisioningEvent, ProvisioningStatus};
use domain::ids::{BillingClientId, BillingContractId, BillingPayerId, CmeClientId, DealerId};
use sqlx::PgConnection;

use crate::Error;
use crate::events::{AccountToProvision, DealerPayload};

/// An account of a dealer.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) dealer_id: DealerId,
    pub(crate) cme_client_id: CmeClientId,
    pub(crate) account_type: AccountType,
    pub(crate) billing_client_id: Option<BillingClientId>,
    pub(crate) billing_payer_id: Option<BillingPayerId>,
    pub(crate) billing_contract_id: Option<BillingContractId>,
    pub(crate) provisioning_status: ProvisioningStatus,
    /// The version of the requisite that Billing has for sure.
    pub(crate) requisite_version: i32,
    /// Until when somebody is asking Billing about it.
    pub(crate) asked_until: Option<DateTime<Utc>>,
}

impl Account {
    pub(crate) fn dealer(&self) -> DealerPayload {
        DealerPayload {
            dealer_id: self.dealer_id,
            cme_client_id: self.cme_client_id.clone(),
        }
    }

    /// Has a parked account tried again; `false` when it isn't parked.
    pub(crate) fn resume(&mut self) -> Result<bool, Error> {
        let event = ProvisioningEvent::Resumed {
            has_client: self.billing_client_id.is_some(),
            has_payer: self.billing_payer_id.is_some(),
            has_contract: self.billing_contract_id.is_some(),
        };
        let before = self.provisioning_status;
        self.provisioning_status = before.after(event).or_current(before)?;
        Ok(self.provisioning_status != before)
    }

    pub(crate) fn to_provision(&self) -> AccountToProvision {
        AccountToProvision {
            dealer_id: self.dealer_id,
            account_type: self.account_type,
        }
    }
}

/// Opens accounts; gives those that weren't open.
pub(crate) async fn open(
    connection: &mut PgConnection,
    dealer: DealerId,
    types: &[AccountType],
    now: DateTime<Utc>,
) -> Result<Vec<AccountType>, Error> {
    let names: Vec<String> = types.iter().map(ToString::to_string).collect();
    let opened = sqlx::query_scalar!(
        r#"INSERT INTO dealer_accounts (dealer_id, account_type, created_at, updated_at)
           SELECT $1, account_type, $3, $3 FROM unnest($2::TEXT[]) AS account_type
           ON CONFLICT DO NOTHING RETURNING account_type AS "account_type: AccountType""#,
        dealer as _,
        &names,
        now,
    );
    Ok(opened.fetch_all(connection).await?)
}

/// Locks an account until the transaction ends.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    dealer: DealerId,
    account_type: AccountType,
) -> Result<Option<Account>, Error> {
    let account = sqlx::query_as!(
        Account,
        r#"SELECT account.dealer_id AS "dealer_id: _", cme_client_id AS "cme_client_id: _",
                  account_type AS "account_type: _", billing_client_id AS "billing_client_id: _",
                  billing_payer_id AS "billing_payer_id: _", billing_contract_id AS "billing_contract_id: _",
                  provisioning_status AS "provisioning_status: _", account.requisite_version, asked_until
           FROM dealer_accounts AS account JOIN dealers AS dealer ON dealer.id = account.dealer_id
           WHERE account.dealer_id = $1 AND account_type = $2 FOR UPDATE OF account"#,
        dealer as _,
        account_type as _,
    );
    Ok(account.fetch_optional(connection).await?)
}

/// Locks all accounts of a dealer until the transaction ends.
pub(crate) async fn lock_all(connection: &mut PgConnection, dealer: DealerId) -> Result<Vec<Account>, Error> {
    let accounts = sqlx::query_as!(
        Account,
        r#"SELECT account.dealer_id AS "dealer_id: _", cme_client_id AS "cme_client_id: _",
                  account_type AS "account_type: _", billing_client_id AS "billing_client_id: _",
                  billing_payer_id AS "billing_payer_id: _", billing_contract_id AS "billing_contract_id: _",
                  provisioning_status AS "provisioning_status: _", account.requisite_version, asked_until
           FROM dealer_accounts AS account JOIN dealers AS dealer ON dealer.id = account.dealer_id
           WHERE account.dealer_id = $1 ORDER BY account_type FOR UPDATE OF account"#,
        dealer as _,
    );
    Ok(accounts.fetch_all(connection).await?)
}

/// The account that a client of Billing is.
pub(crate) async fn find_by_client(
    connection: &mut PgConnection,
    client: &BillingClientId,
) -> Result<Option<AccountToProvision>, Error> {
    let account = sqlx::query_as!(
        AccountToProvision,
        r#"SELECT dealer_id AS "dealer_id: _", account_type AS "account_type: _"
           FROM dealer_accounts WHERE billing_client_id = $1"#,
        client as _,
    );
    Ok(account.fetch_optional(connection).await?)
}

/// Saves what is known of an account in Billing.
pub(crate) async fn save(
    connection: &mut PgConnection,
    account: &Account,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE dealer_accounts SET billing_client_id = $3, billing_payer_id = $4, billing_contract_id = $5,
             provisioning_status = $6, requisite_version = $7, asked_until = $8, updated_at = $9
         WHERE dealer_id = $1 AND account_type = $2",
        account.dealer_id as _,
        account.account_type as _,
        account.billing_client_id.as_ref() as _,
        account.billing_payer_id.as_ref() as _,
        account.billing_contract_id.as_ref() as _,
        account.provisioning_status as _,
        account.requisite_version,
        account.asked_until,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
