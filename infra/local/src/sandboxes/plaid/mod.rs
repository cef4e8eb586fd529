//! A sandbox of Plaid: items by access token, and the balances of their accounts.
//!
//! # By curl
//!
//! Under `/control/plaid`, with JSON bodies: `GET /` lists the items; `POST items` makes an account, unless it exists
//! (`{"access_token":"…","account_id":"…","available_cents":…,"current_cents":…}`); `POST items/balance` sets its
//! balance (the same body); `POST items/error` (`{"access_token":"…","error_code":"ITEM_LOGIN_REQUIRED"}`) lets every
//! call for the item fail, null heals it; `POST errors` (`{"error_code":"…","times":1}`) lets the next calls fail with
//! Plaid's codes; `POST link` (`{"link_token":"…","accounts":[{"name":"Checking","mask":"0000","balance_cents":100000}]}`) does
//! what somebody does on the page, which is `/plaid/link/{link token}`; `POST webhooks`
//! (`{"item_id":"…","webhook_type":"ITEM","webhook_code":"ERROR","error_code":"ITEM_LOGIN_REQUIRED"}`) sends a signed webhook;
//! `POST keys/rotate` signs with another key from then on; `GET`, `POST`, `DELETE faults`; `GET`, `DELETE calls`.

mod link;
pub(super) mod page;
mod webhooks;

pub use link::{AccountDetails, ChosenAccount, INSTITUTIONS, LinkChoice, LinkVisit, Linked, checking};
pub use webhooks::NewWebhook;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::LocalClock;
use crate::keys;
use crate::sandboxes::call::{Call, Reply};
use crate::sandboxes::gate::{Effect, Fault, Party};
use crate::sandboxes::numbers::dollars;
use crate::sandboxes::sandbox::Sandbox;

/// A handle of the Plaid sandbox.
pub type PlaidSandbox = Sandbox<State>;

/// The items.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// The items by access token.
    items: BTreeMap<String, Item>,
    /// Visits to the page by link token.
    #[serde(default)]
    visits: link::Visits,
    #[serde(default)]
    public_tokens: BTreeMap<String, link::PublicToken>,
    /// The accounts of processor tokens.
    #[serde(default)]
    processor_tokens: BTreeMap<String, String>,
    #[serde(default)]
    keys: webhooks::SigningKeys,
    /// Where webhooks go.
    #[serde(skip)]
    endpoint: Option<String>,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Item {
    accounts: BTreeMap<String, Balance>,
    /// The error that every call for the item ends in.
    error_code: Option<String>,
    #[serde(default)]
    institution_id: Option<String>,
    /// What is known of accounts beside their balance.
    #[serde(default)]
    details: BTreeMap<String, AccountDetails>,
    /// Accounts of which the bank says no balance.
    #[serde(default)]
    silent: BTreeSet<String>,
}

/// The balance of a bank account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The money that can be spent; banks don't always say.
    pub available_cents: Option<i64>,
    /// The money in the account.
    pub current_cents: i64,
}

impl PlaidSandbox {
    pub(super) fn start(file: Option<PathBuf>, clock: LocalClock) -> anyhow::Result<Self> {
        Self::open(file, clock, ())
    }

    /// Makes a bank account of an item, unless it exists; says whether it is new.
    pub fn seed_item(
        &self,
        access_token: &str,
        account_id: &str,
        available_cents: impl Into<Option<i64>>,
        current_cents: i64,
    ) -> bool {
        let mut state = self.lock();
        let item = state.items.entry(access_token.to_owned()).or_default();
        let new = !item.accounts.contains_key(account_id);
        if new {
            let balance = Balance {
                available_cents: available_cents.into(),
                current_cents,
            };
            item.accounts.insert(account_id.to_owned(), balance);
            self.changed();
        }
        new
    }

    /// Sets the balance of a bank account.
    pub fn set_balance(
        &self,
        access_token: &str,
        account_id: &str,
        available_cents: impl Into<Option<i64>>,
        current_cents: i64,
    ) -> anyhow::Result<()> {
        let mut state = self.lock();
        let item = state
            .items
            .get_mut(access_token)
            .context("there is no such item")?;
        let balance = item
            .accounts
            .get_mut(account_id)
            .context("there is no such account")?;
        *balance = Balance {
            available_cents: available_cents.into(),
            current_cents,
        };
        self.changed();
        Ok(())
    }

    /// The balance of a bank account.
    pub fn balance(&self, access_token: &str, account_id: &str) -> Option<Balance> {
        self.lock()
            .items
            .get(access_token)?
            .accounts
            .get(account_id)
            .copied()
    }

    /// Lets every call for the item fail with the code (`ITEM_LOGIN_REQUIRED`), until healed with `None`.
    pub fn set_item_error(&self, access_token: &str, error_code: Option<&str>) -> anyhow::Result<()> {
        let mut state = self.lock();
        let item = state
            .items
            .get_mut(access_token)
            .context("there is no such item")?;
        item.error_code = error_code.map(str::to_owned);
        self.changed();
        Ok(())
    }

    /// Lets the next calls fail with one of Plaid's codes: `INSTITUTION_NOT_RESPONDING`, `RATE_LIMIT`, ….
    pub fn fail_with(&self, error_code: &str, times: u32) {
        let kind = kind_of(error_code);
        let effect = Effect::Refuse {
            status: kind.status,
            error_code: error_code.to_owned(),
            message: kind.message.to_owned(),
        };
        self.fault(Fault::new("POST", "/", effect).times(times));
    }

    fn accounts(&self, request: &BalanceRequest) -> Reply {
        let known = request.client_id.as_deref() == Some(keys::PLAID_CLIENT_ID)
            && request.secret.as_deref() == Some(keys::PLAID_SECRET);
        if !known {
            return error("INVALID_API_KEYS");
        }
        let state = self.lock();
        let Some(item) = state.items.get(&request.access_token) else {
            return error("INVALID_ACCESS_TOKEN");
        };
        if let Some(code) = &item.error_code {
            return error(code);
        }
        let wanted = request
            .options
            .as_ref()
            .and_then(|options| options.account_ids.as_ref());
        if wanted.is_some_and(|wanted| wanted.iter().any(|id| !item.accounts.contains_key(id))) {
            return error("INVALID_ACCOUNT_ID");
        }
        let accounts: Vec<Value> = item
            .accounts
            .iter()
            .filter(|(id, _)| wanted.is_none_or(|wanted| wanted.contains(*id)))
            .map(|(id, balance)| account_json(item, id, *balance))
            .collect();
        Reply::ok(&json!({
            "accounts": accounts,
            "item": { "item_id": item_id(&request.access_token), "institution_id": "ins_local" },
            "request_id": Uuid::now_v7().simple().to_string(),
        }))
    }
}

impl Party for PlaidSandbox {
    fn respond(&self, call: &Call) -> Reply {
        match (call.method.as_str(), call.segments().as_slice()) {
            ("POST", ["accounts", "balance", "get"] | ["accounts", "get"]) => match call.json() {
                Ok(request) => self.accounts(&request),
                Err(message) => self.error(400, "INVALID_BODY", &message),
            },
            ("POST", _) if has_credentials(call) => link::route(self, call)
                .unwrap_or_else(|| self.error(404, "NOT_FOUND", "the requested path does not exist")),
            ("POST", _) => error("INVALID_API_KEYS"),
            _ => self.error(404, "NOT_FOUND", "the requested path does not exist"),
        }
    }

    fn error(&self, status: u16, code: &str, message: &str) -> Reply {
        error_reply(status, code, message)
    }

    /// Plaid has no sessions.
    fn expire_sessions(&self) {}

    async fn control(&self, call: &Call) -> anyhow::Result<Option<Value>> {
        if call.method == http::Method::POST && call.segments() == ["webhooks"] {
            let status = self.fire(&call.read()?).await?;
            return Ok(Some(json!({ "status": status })));
        }
        self.control_route(call)
    }
}

#[derive(Deserialize)]
struct Seed {
    access_token: String,
    account_id: String,
    available_cents: Option<i64>,
    current_cents: i64,
}

#[derive(Deserialize)]
struct ItemError {
    access_token: String,
    error_code: Option<String>,
}

#[derive(Deserialize)]
struct ControlVisit {
    link_token: String,
    #[serde(flatten)]
    choice: LinkChoice,
}

#[derive(Deserialize)]
struct NextErrors {
    error_code: String,
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

impl PlaidSandbox {
    fn control_route(&self, call: &Call) -> anyhow::Result<Option<Value>> {
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", []) => {}
            ("POST", ["items"]) => {
                let seed: Seed = call.read()?;
                self.seed_item(
                    &seed.access_token,
                    &seed.account_id,
                    seed.available_cents,
                    seed.current_cents,
                );
            }
            ("POST", ["items", "balance"]) => {
                let seed: Seed = call.read()?;
                let Seed {
                    access_token,
                    account_id,
                    available_cents,
                    current_cents,
                } = seed;
                self.set_balance(&access_token, &account_id, available_cents, current_cents)?;
            }
            ("POST", ["items", "error"]) => {
                let error: ItemError = call.read()?;
                self.set_item_error(&error.access_token, error.error_code.as_deref())?;
            }
            ("POST", ["link"]) => {
                let visit: ControlVisit = call.read()?;
                return Ok(Some(json!(self.visit_link(&visit.link_token, &visit.choice)?)));
            }
            ("POST", ["keys", "rotate"]) => self.rotate_key()?,
            ("POST", ["errors"]) => {
                let errors: NextErrors = call.read()?;
                self.fail_with(&errors.error_code, errors.times);
            }
            _ => return Ok(None),
        }
        Ok(Some(json!({ "items": self.lock().items })))
    }
}

#[derive(Deserialize)]
struct BalanceRequest {
    client_id: Option<String>,
    secret: Option<String>,
    access_token: String,
    options: Option<BalanceOptions>,
}

#[derive(Deserialize)]
struct BalanceOptions {
    account_ids: Option<Vec<String>>,
}

fn has_credentials(call: &Call) -> bool {
    let body: Value = call.json().unwrap_or_default();
    let is = |name: &str, value: &str| body.get(name).and_then(Value::as_str) == Some(value);
    is("client_id", keys::PLAID_CLIENT_ID) && is("secret", keys::PLAID_SECRET)
}

fn account_json(item: &Item, id: &str, balance: Balance) -> Value {
    let details = item.details.get(id);
    let current = (!item.silent.contains(id)).then(|| dollars(balance.current_cents));
    let is_pending = details.is_some_and(|details| details.is_pending);
    json!({
        "account_id": id,
        "balances": {
            "available": balance.available_cents.map(dollars),
            "current": current,
            "limit": Value::Null,
            "iso_currency_code": "USD",
            "unofficial_currency_code": Value::Null,
        },
        "mask": details.map_or(Some("0000"), |details| details.mask.as_deref()),
        "name": details.map_or("Plaid Checking", |details| details.name.as_str()),
        "verification_status": is_pending.then_some("pending_automatic_verification"),
        "official_name": "Plaid Gold Standard 0% Interest Checking",
        "subtype": "checking",
        "type": "depository",
    })
}

fn item_id(access_token: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, access_token.as_bytes())
        .simple()
        .to_string()
}

/// The rest of an error with a code.
struct ErrorKind {
    error_type: &'static str,
    status: u16,
    message: &'static str,
    display_message: Option<&'static str>,
}

fn kind_of(code: &str) -> ErrorKind {
    let (error_type, status, message, display_message) = match code {
        "ITEM_LOGIN_REQUIRED" => (
            "ITEM_ERROR",
            400,
            "the login details of this item have changed and a user login is required to update this information",
            Some("The login details have changed. Please sign in again."),
        ),
        "NO_ACCOUNTS" => (
            "ITEM_ERROR",
            400,
            "no valid accounts were found for this item",
            None,
        ),
        "INSTITUTION_NOT_RESPONDING" | "INSTITUTION_DOWN" => (
            "INSTITUTION_ERROR",
            400,
            "this institution is not currently responding to this request. please try again soon",
            Some("This financial institution is not currently responding to requests."),
        ),
        "INVALID_ACCOUNT_ID" => (
            "INVALID_INPUT",
            400,
            "failed to find requested account ID for requested item",
            None,
        ),
        "ITEM_NOT_FOUND" => ("ITEM_ERROR", 400, "the item was not found", None),
        "PRODUCT_NOT_READY" => (
            "ITEM_ERROR",
            400,
            "the requested product is not yet ready. please provide a webhook or try the request again later",
            None,
        ),
        "INVALID_PUBLIC_TOKEN" => ("INVALID_INPUT", 400, "could not find matching public token", None),
        "INVALID_WEBHOOK_VERIFICATION_KEY_ID" => ("INVALID_INPUT", 400, "invalid key_id provided", None),
        "INVALID_ACCESS_TOKEN" => ("INVALID_INPUT", 400, "could not find matching access token", None),
        "INVALID_API_KEYS" => ("INVALID_INPUT", 400, "invalid client_id or secret provided", None),
        "RATE_LIMIT" | "BALANCE_LIMIT" => (
            "RATE_LIMIT_EXCEEDED",
            429,
            "rate limit exceeded. please try again later",
            None,
        ),
        "INTERNAL_SERVER_ERROR" | "E999" => ("API_ERROR", 500, "an unexpected error occurred", None),
        _ => ("INVALID_REQUEST", 400, "the request is not valid", None),
    };
    ErrorKind {
        error_type,
        status,
        message,
        display_message,
    }
}

fn error(code: &str) -> Reply {
    let kind = kind_of(code);
    error_reply(kind.status, code, kind.message)
}

fn error_reply(status: u16, code: &str, message: &str) -> Reply {
    let kind = kind_of(code);
    let code = if code == "E999" {
        "INTERNAL_SERVER_ERROR"
    } else {
        code
    };
    Reply::json(
        status,
        &json!({
            "error_type": kind.error_type,
            "error_code": code,
            "error_message": message,
            "display_message": kind.display_message,
            "request_id": Uuid::now_v7().simple().to_string(),
        }),
    )
}
