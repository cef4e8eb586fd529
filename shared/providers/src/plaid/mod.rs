//! Plaid, through which banks are linked: links, balances, and the webhooks about them.

mod link;
pub mod webhook;

use std::sync::Arc;
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};
use domain::clock::Clock;
use domain::currency::Currency;
use domain::ids::PlaidAccountId;
use domain::money::{Money, Rounding};
use reqwest::Client;
use rust_decimal::Decimal;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

pub use link::{LinkTarget, LinkToken, Mending, NewLink, PlaidAccount, PlaidItem, WebhookKey};

use crate::exact;
use crate::http::{self, ATTEMPT_TIMEOUT, Attempts, NoResponse, exchange_within};
use crate::outcome::{Decline, Outcome, Reason};

const SPACING: [Duration; 1] = [Duration::from_millis(300)];
/// Plaid asks the bank itself for a balance, and banks take their time.
const BALANCE_TIMEOUT: Duration = Duration::from_secs(12);
/// A balance may be this old where the bank gives none on the spot; some (Capital One) require that it is stated.
const MAX_BALANCE_AGE: TimeDelta = TimeDelta::days(7);

/// How to sign in. The secret's JSON has these fields.
#[derive(Debug, Clone, Deserialize)]
pub struct Credentials {
    /// Id of our client at Plaid.
    pub client_id: String,
    /// Its secret.
    pub secret: SecretString,
}

/// The client.
#[derive(Debug)]
pub struct Plaid {
    http: Client,
    base: String,
    credentials: Credentials,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
struct BalanceResponse {
    accounts: Vec<AccountObject>,
}

#[derive(Deserialize)]
struct AccountObject {
    account_id: String,
    balances: Balances,
}

#[derive(Deserialize)]
struct Balances {
    available: Option<Amount>,
    current: Option<Amount>,
    iso_currency_code: Option<String>,
}

struct Amount(Decimal);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        exact::decimal(deserializer).map(Self)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody {
    error_code: String,
    error_message: String,
}

impl Plaid {
    /// A client of the API at `base`, without a slash at its end.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        base: String,
        credentials: Credentials,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: http::client()?,
            base,
            credentials,
            clock,
        })
    }

    /// What can be taken from a bank account now: the available balance, since the current one counts money that is already
    /// on its way out; the current one where the bank reports no other. Rounded down to a cent.
    pub async fn balance(&self, token: &str, account: &PlaidAccountId, deadline: Instant) -> Outcome<Money> {
        let oldest = (self.clock.now() - MAX_BALANCE_AGE).to_rfc3339_opts(SecondsFormat::Secs, true);
        let options = json!({"account_ids": [account], "min_last_updated_datetime": oldest});
        let body = json!({"access_token": token, "options": options});
        let path = "/accounts/balance/get";
        let response = self.post_within(path, body, BALANCE_TIMEOUT, deadline).await;
        response.read(|body| balance_of(&body, account))
    }

    /// Reads may be repeated freely, so a request whose response is lost is sent again and its outcome never unknown.
    async fn post(&self, path: &str, body: Value, deadline: Instant) -> Outcome<Vec<u8>> {
        self.post_within(path, body, ATTEMPT_TIMEOUT, deadline).await
    }

    async fn post_within(
        &self,
        path: &str,
        body: Value,
        timeout: Duration,
        deadline: Instant,
    ) -> Outcome<Vec<u8>> {
        let mut attempts = Attempts::new(&SPACING, deadline);
        loop {
            match self.attempt_within(path, &body, timeout, deadline).await {
                Outcome::Retryable(_) | Outcome::Unknown(_) if attempts.later(None).await => {}
                Outcome::Unknown(reason) => return Outcome::Retryable(reason),
                settled => return settled,
            }
        }
    }

    async fn attempt(&self, path: &str, body: &Value, deadline: Instant) -> Outcome<Vec<u8>> {
        self.attempt_within(path, body, ATTEMPT_TIMEOUT, deadline).await
    }

    async fn attempt_within(
        &self,
        path: &str,
        body: &Value,
        timeout: Duration,
        deadline: Instant,
    ) -> Outcome<Vec<u8>> {
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .header("PLAID-CLIENT-ID", &self.credentials.client_id)
            .header("PLAID-SECRET", self.credentials.secret.expose_secret())
            .json(&with_credentials(body, &self.credentials));
        let response = match exchange_within(request, timeout, deadline).await {
            Ok(response) => response,
            Err(NoResponse::NotSent(reason)) => return Outcome::Retryable(Reason(reason)),
            Err(NoResponse::Lost(reason)) => return Outcome::Unknown(Reason(reason)),
        };
        let is_json = serde_json::from_slice::<&RawValue>(&response.body).is_ok();
        tracing::info!(path, status = response.status, "received the response of Plaid");
        match response.status {
            200..=299 if is_json => Outcome::Done(response.body),
            429 => Outcome::Retryable(Reason("too many requests".to_owned())),
            // Without its own code it isn't Plaid that refuses.
            400..=499 if error_code(&response.body).is_empty() => {
                Outcome::Unknown(Reason(format!("status {}", response.status)))
            }
            400..=499 => {
                let ErrorBody {
                    error_code,
                    error_message,
                } = serde_json::from_slice(&response.body).unwrap_or_default();
                match error_code.as_str() {
                    "INSTITUTION_NOT_RESPONDING" | "INSTITUTION_DOWN" => {
                        Outcome::Retryable(Reason(error_code))
                    }
                    _ => Outcome::Declined(Decline::new(error_code, error_message, response.status)),
                }
            }
            status => Outcome::Unknown(Reason(format!("status {status}"))),
        }
    }
}

fn error_code(body: &[u8]) -> String {
    serde_json::from_slice::<ErrorBody>(body)
        .unwrap_or_default()
        .error_code
}

/// Reads a response; the error names the place and quotes nothing.
fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body)
        .map_err(|error| format!("{:?} at column {}", error.classify(), error.column()))
}

/// Whether the refusal means that there is no such link any more, so that only another one helps.
pub fn is_gone(decline: &Decline) -> bool {
    matches!(
        decline.code.as_str(),
        "ITEM_NOT_FOUND" | "INVALID_ACCESS_TOKEN" | "USER_PERMISSION_REVOKED"
    )
}

/// Whether the refusal means that the public token is used up, too old, or none at all.
pub fn is_bad_public_token(decline: &Decline) -> bool {
    decline.code == "INVALID_PUBLIC_TOKEN"
}

/// Whether the refusal means that the account is still to be verified by small deposits.
pub fn is_not_verified(decline: &Decline) -> bool {
    decline.code == "PRODUCT_NOT_READY"
}

/// Whether the refusal means that the customer has to sign in to the bank again.
pub fn needs_sign_in(decline: &Decline) -> bool {
    matches!(
        decline.code.as_str(),
        "ITEM_LOGIN_REQUIRED" | "INVALID_ACCOUNT_ID" | "NO_ACCOUNTS"
    )
}

fn with_credentials(body: &Value, credentials: &Credentials) -> Value {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("client_id".to_owned(), json!(credentials.client_id));
        fields.insert("secret".to_owned(), json!(credentials.secret.expose_secret()));
    }
    body
}

fn balance_of(body: &[u8], account: &PlaidAccountId) -> Result<Money, String> {
    let response: BalanceResponse = serde_json::from_slice(body)
        .map_err(|error| format!("{:?} at column {}", error.classify(), error.column()))?;
    let found = response
        .accounts
        .into_iter()
        .find(|found| found.account_id == account.as_str());
    let balances = found.ok_or("the account is missing")?.balances;
    let amount = balances
        .available
        .or(balances.current)
        .ok_or("there is no balance")?;
    let code = balances
        .iso_currency_code
        .as_deref()
        .ok_or("there is no currency")?;
    let currency = Currency::parse(code).map_err(|error| error.to_string())?;
    Money::from_decimal(exact::without_noise(amount.0), currency, Rounding::Floor)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balance_is_the_available_one_or_else_the_current_one() {
        let account = PlaidAccountId::parse("a").unwrap();
        let balance = |balances: &str| {
            balance_of(
                format!(r#"{{"accounts":[{{"account_id":"a","balances":{balances}}}]}}"#).as_bytes(),
                &account,
            )
        };
        let usd = |minor| Ok(Money::new(minor, Currency::USD));
        assert_eq!(
            balance(r#"{"available":10.5,"current":20,"iso_currency_code":"USD"}"#),
            usd(1050)
        );
        assert_eq!(
            balance(r#"{"available":null,"current":20,"iso_currency_code":"USD"}"#),
            usd(2000)
        );
        assert!(balance(r#"{"available":null,"current":null,"iso_currency_code":"USD"}"#).is_err());
        assert!(balance(r#"{"available":1,"current":1,"iso_currency_code":null}"#).is_err());
    }
}
