//! Opening accounts, and the portfolios that they follow.

use domain::ids::{
    DriveWealthAccountId, DriveWealthBankAccountId, DriveWealthPortfolioId, DriveWealthUserId,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::call::{DriveWealth, Request};
use super::requests::segment;
use super::session::SessionStore;
use super::{Adviser, BrokerAccount, is_missing, wire};
use crate::outcome::Outcome;

/// A portfolio to make: all cash.
#[derive(Debug, Clone)]
pub struct NewPortfolio {
    /// Our name of it, by which it is found again.
    pub client_id: String,
    /// Its name for people.
    pub name: String,
    /// The same for every attempt.
    pub idempotency_key: Uuid,
}

#[derive(Deserialize)]
struct PortfolioObject {
    id: DriveWealthPortfolioId,
    #[serde(rename = "clientPortfolioID")]
    client_id: Option<String>,
}

/// A bank account to link.
#[derive(Debug)]
pub struct NewBankAccount<'a> {
    /// Whose it is.
    pub user: &'a DriveWealthUserId,
    /// Our name of it, by which it is found again.
    pub nickname: &'a str,
    /// Plaid's token for it.
    pub processor_token: &'a SecretString,
    /// The same for every attempt.
    pub idempotency_key: Uuid,
}

/// A bank account that is linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerBankAccount {
    /// DriveWealth's id.
    pub id: DriveWealthBankAccountId,
    /// `ACTIVE`, or what else DriveWealth names.
    pub status: String,
    /// Our name of it.
    pub nickname: Option<String>,
}

#[derive(Deserialize)]
struct BankAccountObject {
    id: DriveWealthBankAccountId,
    status: Option<String>,
    #[serde(rename = "bankAccountDetails")]
    details: Option<BankAccountDetails>,
}

#[derive(Deserialize)]
struct BankAccountDetails {
    // Both spellings occur.
    #[serde(rename = "bankAccountNickname", alias = "bankAccountNickName")]
    nickname: Option<String>,
}

impl From<BankAccountObject> for BrokerBankAccount {
    fn from(object: BankAccountObject) -> Self {
        Self {
            id: object.id,
            status: object.status.unwrap_or_else(|| "ACTIVE".to_owned()),
            nickname: object.details.and_then(|details| details.nickname),
        }
    }
}

impl<S: SessionStore> DriveWealth<S> {
    /// Links a bank account (`POST /bank-accounts`).
    pub async fn create_bank_account(
        &self,
        new: &NewBankAccount<'_>,
        deadline: Instant,
    ) -> Outcome<BrokerBankAccount> {
        let body = json!({
            "plaidProcessorToken": new.processor_token.expose_secret(),
            "userID": new.user,
            "bankAccountNickname": new.nickname,
        });
        let request = Request::create("/bank-accounts", body, new.idempotency_key);
        self.call(request, deadline)
            .await
            .read(|body| Ok(wire::parse::<BankAccountObject>(&body)?.into()))
    }

    /// The bank accounts of a user.
    pub async fn bank_accounts_of(
        &self,
        user: &DriveWealthUserId,
        deadline: Instant,
    ) -> Outcome<Vec<BrokerBankAccount>> {
        let request = Request::get(format!("/users/{}/bank-accounts", segment(user.as_str())));
        self.call(request, deadline).await.read(|body| {
            let accounts: Vec<BankAccountObject> = wire::parse(&body)?;
            Ok(accounts.into_iter().map(BrokerBankAccount::from).collect())
        })
    }

    /// Unlinks a bank account. Twice is the same as once.
    pub async fn delete_bank_account(&self, id: &DriveWealthBankAccountId, deadline: Instant) -> Outcome<()> {
        let request = Request::delete(format!("/bank-accounts/{}", segment(id.as_str())));
        match self.call(request, deadline).await {
            Outcome::Declined(decline) if is_missing(&decline) => Outcome::Done(()),
            outcome => outcome.read(|_| Ok(())),
        }
    }

    /// All accounts of a user.
    pub async fn accounts_of(
        &self,
        user: &DriveWealthUserId,
        deadline: Instant,
    ) -> Outcome<Vec<BrokerAccount>> {
        let request = Request::get(format!("/users/{}/accounts", segment(user.as_str())));
        let asked_at = self.clock.now();
        self.call(request, deadline)
            .await
            .read(|body| wire::accounts(&body, asked_at))
    }

    /// Opens an account that the adviser manages (`POST /accounts`).
    pub async fn create_account(
        &self,
        user: &DriveWealthUserId,
        adviser: &Adviser,
        key: Uuid,
        deadline: Instant,
    ) -> Outcome<BrokerAccount> {
        let body = json!({
            "userID": user,
            "accountType": "LIVE",
            "accountManagementType": "RIA_MANAGED",
            "tradingType": "CASH",
            "riaUserID": adviser.ria_user_id,
            "riaProductID": adviser.ria_product_id,
        });
        let asked_at = self.clock.now();
        let request = Request::create("/accounts", body, key);
        self.call(request, deadline)
            .await
            .read(|body| wire::account(&body, asked_at))
    }

    /// Lets an account follow a portfolio (`PATCH /accounts/{id}`). Twice is the same as once.
    pub async fn assign_portfolio(
        &self,
        account: &DriveWealthAccountId,
        portfolio: &DriveWealthPortfolioId,
        deadline: Instant,
    ) -> Outcome<()> {
        let path = format!("/accounts/{}", segment(account.as_str()));
        let request = Request::change(path, json!({"ria": {"portfolioID": portfolio}}));
        self.call(request, deadline).await.read(|_| Ok(()))
    }

    /// The adviser's portfolio of our name, if there is one.
    pub async fn portfolio_of_client(
        &self,
        adviser: &Adviser,
        client_id: &str,
        deadline: Instant,
    ) -> Outcome<Option<DriveWealthPortfolioId>> {
        let adviser = segment(adviser.ria_user_id.as_str());
        let request = Request::get(format!("/users/{adviser}/managed/portfolio"));
        self.call(request, deadline).await.read(|body| {
            let portfolios: Vec<PortfolioObject> = wire::parse(&body)?;
            let mut found = portfolios
                .into_iter()
                .filter(|portfolio| portfolio.client_id.as_deref() == Some(client_id));
            Ok(found.next().map(|portfolio| portfolio.id))
        })
    }

    /// Makes a portfolio of cash alone (`POST /managed/portfolios`).
    pub async fn create_portfolio(
        &self,
        adviser: &Adviser,
        new: &NewPortfolio,
        deadline: Instant,
    ) -> Outcome<DriveWealthPortfolioId> {
        let body = json!({
            "userID": adviser.ria_user_id,
            "name": new.name,
            "clientPortfolioID": new.client_id,
            "description": new.name,
            "holdings": [{"type": "CASH_RESERVE", "target": "1"}],
            "triggers": [{
                "type": "TOTAL_DRIFT", "maxAllowed": "0.1", "child": Value::Null, "lowerBound": Value::Null,
                "upperBound": Value::Null,
            }],
        });
        let request = Request::create("/managed/portfolios", body, new.idempotency_key);
        self.call(request, deadline)
            .await
            .read(|body| Ok(wire::parse::<PortfolioObject>(&body)?.id))
    }
}
