//! Customers as identity checks and bank linking will leave them: a profile with an approved check, an open trading
//! account, a linked bank account and a phone. The tests, the demonstration and `make up` start with them.

use anyhow::{Context, ensure};
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use chrono::Utc;
use local_cloud::{LocalCloud, backends::sdk_config, keys};
use platform::security::sealed::DataKey;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::Result;

/// The table of notifications and phones.
const TABLE: &str = "notifications";
/// A function that is given the table's name, and the variable that has it.
const READER: &str = "list_notifications";
const TABLE_VARIABLE: &str = "TABLE_NOTIFICATIONS";

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

impl Customer {
    /// Its ids here.
    pub fn ids(&self) -> CustomerIds {
        CustomerIds {
            profile_id: self.profile_id,
            trading_account_id: self.trading_account_id,
            bank_account_id: self.bank_account_id,
        }
    }
}

/// The ids with which a customer asks for a deposit.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct CustomerIds {
    /// The app user.
    pub profile_id: i64,
    /// The trading account.
    pub trading_account_id: i64,
    /// The linked bank account.
    pub bank_account_id: i64,
}

/// What a customer is written into: the database, the sandboxes and the table of phones of a running local cloud.
#[derive(Clone, Debug)]
pub struct Backends {
    database_url: String,
    sandboxes_url: String,
    http: reqwest::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
}

impl Backends {
    /// Those of a local cloud in this process.
    ///
    /// # Errors
    /// When the template has no table of phones.
    pub fn of(cloud: &LocalCloud) -> Result<Self> {
        Ok(Self {
            database_url: cloud.database_url().to_owned(),
            sandboxes_url: cloud.sandboxes_url().to_owned(),
            http: local_cloud::http_client()?,
            dynamodb: cloud.dynamodb().clone(),
            table: cloud.table(TABLE)?,
        })
    }

    /// Those of the local cloud at an address.
    ///
    /// # Errors
    /// When it doesn't answer as a local cloud does.
    pub async fn at(url: &str, database_url: String) -> Result<Self> {
        let http = local_cloud::http_client()?;
        let status = get(&http, &format!("{url}/local/status")).await?;
        let variables = get(&http, &format!("{url}/local/functions/{READER}/environment")).await?;
        let addresses = &status["addresses"];
        let endpoint = text(addresses, "AWS_ENDPOINT_URL_DYNAMODB")?;
        Ok(Self {
            database_url,
            sandboxes_url: text(addresses, "SANDBOXES")?,
            http,
            dynamodb: aws_sdk_dynamodb::Client::new(&sdk_config(&endpoint).await),
            table: text(&variables, TABLE_VARIABLE)?,
        })
    }

    /// Adds a customer.
    ///
    /// # Errors
    /// When one of them refuses it.
    pub async fn add_customer(&self, new: &NewCustomer) -> Result<Customer> {
        let unique = Uuid::now_v7();
        let user = Uuid::new_v4().to_string();
        let email = format!("ada.{}@example.com", unique.simple());
        let mut database = PgConnection::connect(&self.database_url).await?;
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
        self.add_to_sandboxes(&customer, &account_no, new).await?;
        insert(&mut database, &mut customer, &account_no).await?;
        database.close().await?;
        self.add_phone(&customer).await?;
        Ok(customer)
    }

    /// The customer with the lowest profile id, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn first_customer(&self) -> Result<Option<CustomerIds>> {
        let mut database = PgConnection::connect(&self.database_url).await?;
        let found = sqlx::query_as(
            "SELECT profiles.id AS profile_id, trading_accounts.id AS trading_account_id, \
                    bank_accounts.id AS bank_account_id \
             FROM profiles JOIN trading_accounts ON trading_accounts.profile_id = profiles.id \
             JOIN bank_accounts ON bank_accounts.profile_id = profiles.id ORDER BY profiles.id LIMIT 1",
        )
        .fetch_optional(&mut database)
        .await?;
        database.close().await?;
        Ok(found)
    }

    async fn add_to_sandboxes(&self, customer: &Customer, account_no: &str, new: &NewCustomer) -> Result {
        let account = json!({
            "user_id": customer.drivewealth_user_id,
            "account_id": customer.drivewealth_account_id,
            "account_no": account_no,
            "cash_cents": new.cash_cents,
            "bank_account_id": customer.drivewealth_bank_account_id,
            "funds": new.funds,
        });
        self.seed("drivewealth/accounts", &account).await?;
        let item = json!({
            "access_token": customer.plaid_access_token,
            "account_id": customer.plaid_account_id,
            "available_cents": new.bank_balance_cents,
            "current_cents": new.bank_balance_cents,
        });
        self.seed("plaid/items", &item).await
    }

    async fn seed(&self, path: &str, body: &Value) -> Result {
        let url = format!("{}/control/{path}", self.sandboxes_url);
        let response = self.http.post(url).json(body).send().await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "seeding {path}: {status} {text}");
        Ok(())
    }

    /// The phone beside the profile's feed, and whose it is.
    async fn add_phone(&self, customer: &Customer) -> Result {
        let text = |value: String| AttributeValue::S(value);
        let number = |value: i64| AttributeValue::N(value.to_string());
        let device = format!("device#{}", customer.device_token);
        let phone = Put::builder()
            .table_name(&self.table)
            .item("pk", text(format!("profile#{}", customer.profile_id)))
            .item("sk", text(device.clone()))
            .item("platform", text("ios".to_owned()))
            .item("registered_at", number(Utc::now().timestamp_millis()))
            .build()?;
        let owner = Put::builder()
            .table_name(&self.table)
            .item("pk", text(device))
            .item("sk", text("owner".to_owned()))
            .item("profile_id", number(customer.profile_id))
            .build()?;
        let write = |put| TransactWriteItem::builder().put(put).build();
        self.dynamodb
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
async fn insert(database: &mut PgConnection, customer: &mut Customer, account_no: &str) -> Result {
    let item_id = format!("item-{}", customer.plaid_access_token);
    let sealed = DataKey::from_bytes(keys::DATA_KEY)?.seal(
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

async fn get(http: &reqwest::Client, url: &str) -> Result<Value> {
    let response = http.get(url).send().await?;
    Ok(response.error_for_status()?.json().await?)
}

fn text(object: &Value, name: &str) -> Result<String> {
    let found = object[name].as_str();
    Ok(found
        .with_context(|| format!("the local cloud has no {name}"))?
        .to_owned())
}
