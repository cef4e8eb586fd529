//! Customers as identity checks and bank linking will leave them: a profile with an approved check, an open trading
//! account, a linked bank account and a phone. The demonstration, `moneta up` and the tests start with them.

use anyhow::Context;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::Utc;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{LocalCloud, keys, sandboxes::drivewealth::SeedAccount};

/// What a customer starts with.
#[derive(Clone, Debug)]
pub struct NewCustomer {
    /// Cash in the trading account.
    pub cash_cents: i64,
    /// What the bank account holds.
    pub bank_balance_cents: i64,
    /// Funds by name with their weights in ten-thousandths; the rest is cash.
    pub funds: Vec<(String, i64)>,
}

impl Default for NewCustomer {
    fn default() -> Self {
        Self {
            cash_cents: 100_000,
            bank_balance_cents: 1_000_000,
            funds: vec![("Clean energy".to_owned(), 6_000), ("Robotics".to_owned(), 2_000)],
        }
    }
}

/// A customer.
#[derive(Clone, Debug)]
pub struct Customer {
    /// The app user.
    pub profile_id: i64,
    /// Where the user gets mail.
    pub email: String,
    /// The trading account.
    pub trading_account_id: i64,
    /// The linked bank account.
    pub bank_account_id: i64,
    /// DriveWealth's id of the user.
    pub drivewealth_user_id: String,
    /// DriveWealth's id of the trading account.
    pub drivewealth_account_id: String,
    /// DriveWealth's id of the bank account.
    pub drivewealth_bank_account_id: String,
    /// Plaid's id of the bank account.
    pub plaid_account_id: String,
    /// Plaid's token for the bank.
    pub plaid_access_token: String,
    /// Firebase's token of the phone.
    pub device_token: String,
}

impl LocalCloud {
    /// Adds a customer to the database, to the sandboxes and to the table of phones.
    pub async fn add_customer(&self, new: &NewCustomer) -> anyhow::Result<Customer> {
        let unique = Uuid::now_v7();
        let user = Uuid::new_v4().to_string();
        let email = format!("ada.{}@example.com", unique.simple());
        let mut database = PgConnection::connect(self.database_url()).await?;
        let profile_id: i64 = sqlx::query_scalar(
            "INSERT INTO profiles (email, first_name, last_name) VALUES ($1, 'Ada', 'Example') RETURNING id",
        )
        .bind(&email)
        .fetch_one(&mut database)
        .await?;
        let mut customer = Customer {
            profile_id,
            email,
            trading_account_id: 0,
            bank_account_id: 0,
            drivewealth_account_id: format!("{user}.{}", Utc::now().timestamp_millis()),
            drivewealth_user_id: user,
            drivewealth_bank_account_id: format!("bank_{unique}"),
            plaid_account_id: format!("plaid-{}", unique.simple()),
            plaid_access_token: format!("access-sandbox-{unique}"),
            device_token: format!("phone-{}", unique.simple()),
        };
        let account_no = format!("MNTA{profile_id:06}");
        self.add_to_sandboxes(&customer, &account_no, new)?;
        insert(&mut database, &mut customer, &account_no).await?;
        database.close().await?;
        self.add_phone(&customer).await?;
        Ok(customer)
    }

    /// The customer with the lowest profile id, if there is one.
    pub async fn first_customer(&self) -> anyhow::Result<Option<(i64, i64, i64)>> {
        let mut database = PgConnection::connect(self.database_url()).await?;
        let found = sqlx::query_as(
            "SELECT profiles.id, trading_accounts.id, bank_accounts.id FROM profiles \
             JOIN trading_accounts ON trading_accounts.profile_id = profiles.id \
             JOIN bank_accounts ON bank_accounts.profile_id = profiles.id ORDER BY profiles.id LIMIT 1",
        )
        .fetch_optional(&mut database)
        .await?;
        database.close().await?;
        Ok(found)
    }

    fn add_to_sandboxes(
        &self,
        customer: &Customer,
        account_no: &str,
        new: &NewCustomer,
    ) -> anyhow::Result<()> {
        self.drivewealth().seed_account(SeedAccount {
            user_id: customer.drivewealth_user_id.clone(),
            account_id: customer.drivewealth_account_id.clone(),
            account_no: account_no.to_owned(),
            cash_cents: new.cash_cents,
            bank_account_id: customer.drivewealth_bank_account_id.clone(),
            funds: new.funds.clone(),
        })?;
        let balance = new.bank_balance_cents;
        self.plaid().seed_item(
            &customer.plaid_access_token,
            &customer.plaid_account_id,
            balance,
            balance,
        );
        Ok(())
    }

    /// The phone beside the profile's feed, and whose it is.
    async fn add_phone(&self, customer: &Customer) -> anyhow::Result<()> {
        let table = self.table("notifications")?;
        let text = |value: String| AttributeValue::S(value);
        let number = |value: i64| AttributeValue::N(value.to_string());
        let device = format!("device#{}", customer.device_token);
        let phone = Put::builder()
            .table_name(&table)
            .item("pk", text(format!("profile#{}", customer.profile_id)))
            .item("sk", text(device.clone()))
            .item("platform", text("ios".to_owned()))
            .item("registered_at", number(Utc::now().timestamp_millis()))
            .build()?;
        let owner = Put::builder()
            .table_name(&table)
            .item("pk", text(device))
            .item("sk", text("owner".to_owned()))
            .item("profile_id", number(customer.profile_id))
            .build()?;
        let write = |put| TransactWriteItem::builder().put(put).build();
        self.dynamodb()
            .transact_write_items()
            .transact_items(write(phone))
            .transact_items(write(owner))
            .send()
            .await
            .context("the phone can't be added")?;
        Ok(())
    }
}

/// Writes the customer's rows, all or none.
async fn insert(
    database: &mut PgConnection,
    customer: &mut Customer,
    account_no: &str,
) -> anyhow::Result<()> {
    let item_id = format!("item-{}", customer.plaid_access_token);
    let sealed = seal(
        &format!("plaid_items.access_token:{item_id}"),
        &customer.plaid_access_token,
    )?;
    let (trading_account_id, bank_account_id): (i64, i64) = sqlx::query_as(
        "WITH identity_check AS (INSERT INTO kyc_statuses (profile_id, status) VALUES ($1, 'approved')), \
              account AS (INSERT INTO trading_accounts (profile_id, name, opened_at) \
                  VALUES ($1, 'Autopilot', now()) RETURNING id), \
              item AS (INSERT INTO plaid_items (profile_id, item_id, access_token_sealed, institution_id) \
                  VALUES ($1, $2, $3, 'ins_local') RETURNING id), \
              bank AS (INSERT INTO bank_accounts (profile_id, plaid_item_id, plaid_account_id, name, mask) \
                  SELECT $1, item.id, $4, 'Checking', '0000' FROM item RETURNING id), \
              broker_user AS (INSERT INTO drivewealth_users (ref_id, profile_id, status) \
                  VALUES ($5, $1, 'APPROVED') RETURNING ref_id), \
              broker_account AS (INSERT INTO drivewealth_accounts \
                  (ref_id, drivewealth_user_id, trading_account_id, account_no, status, status_updated_at) \
                  SELECT $6, broker_user.ref_id, account.id, $7, 'open', now() FROM broker_user, account), \
              broker_bank AS (INSERT INTO drivewealth_bank_accounts \
                  (ref_id, drivewealth_user_id, bank_account_id, status) \
                  SELECT $8, broker_user.ref_id, bank.id, 'ACTIVE' FROM broker_user, bank) \
         SELECT account.id, bank.id FROM account, bank",
    )
    .bind(customer.profile_id)
    .bind(&item_id)
    .bind(sealed)
    .bind(&customer.plaid_account_id)
    .bind(&customer.drivewealth_user_id)
    .bind(&customer.drivewealth_account_id)
    .bind(account_no)
    .bind(&customer.drivewealth_bank_account_id)
    .fetch_one(database)
    .await?;
    customer.trading_account_id = trading_account_id;
    customer.bank_account_id = bank_account_id;
    Ok(())
}

/// Seals a value under the development data key, in the layout that the platform's module `sealed` describes.
fn seal(place: &str, value: &str) -> anyhow::Result<Vec<u8>> {
    let secrets = keys::local_secrets();
    let secret = secrets
        .get("DATA_KEY_SECRET")
        .context("there is no development data key")?;
    let secret: Value = serde_json::from_str(secret)?;
    let bytes = STANDARD.decode(secret.get("key").and_then(Value::as_str).unwrap_or_default())?;
    let unusable = |_| anyhow::anyhow!("the development data key can't be used");
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).map_err(unusable)?);
    let mut nonce = [0_u8; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(unusable)?;
    let mut text = value.as_bytes().to_vec();
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(place.as_bytes()),
        &mut text,
    )
    .map_err(unusable)?;
    Ok([&[1], nonce.as_slice(), &text].concat())
}
