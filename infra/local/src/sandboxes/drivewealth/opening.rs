//! Users, accounts and portfolios as the adviser makes them: `POST /users`, `/documents`, `/accounts`,
//! `/managed/portfolios`. Whoever asks twice without a key gets two.

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::events::envelope;
use super::replies::{BAD_BODY, BAD_PATH, BANK_TOKEN_INVALID, error, list};
use super::state::{
    Account, BankAccount, Follows, ManagedPortfolio, NewUpload, State, User, time, weights_of,
};
use super::{DriveWealthSandbox, Live, RIA_USER_ID};
use crate::sandboxes::call::{Call, Reply};

/// DriveWealth's codes: fields are missing in a user; there is no such account or user.
const USER_INCOMPLETE: &str = "A035";
const NOT_FOUND: &str = "A050";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewAccount {
    #[serde(rename = "userID")]
    user_id: String,
    account_type: String,
    account_management_type: String,
    trading_type: String,
    #[serde(rename = "riaUserID")]
    ria_user_id: String,
    #[serde(rename = "riaProductID")]
    ria_product_id: String,
}

#[derive(Deserialize)]
struct AccountChange {
    ria: RiaChange,
}

#[derive(Deserialize)]
struct RiaChange {
    #[serde(rename = "portfolioID")]
    portfolio_id: String,
}

#[derive(Deserialize)]
struct NewBankAccount {
    #[serde(rename = "plaidProcessorToken")]
    token: String,
    #[serde(rename = "userID")]
    user_id: String,
    #[serde(rename = "bankAccountNickname")]
    nickname: String,
}

#[derive(Deserialize)]
struct NewPortfolio {
    #[serde(rename = "userID")]
    user_id: String,
    name: String,
    #[serde(rename = "clientPortfolioID")]
    client_id: String,
    holdings: Vec<Value>,
    triggers: Vec<Value>,
}

/// What a test or a person looks at and changes.
impl DriveWealthSandbox {
    /// All users that were made by the API.
    pub fn users(&self) -> Vec<User> {
        self.lock().state.users.values().cloned().collect()
    }

    /// A user by its id.
    pub fn user(&self, id: &str) -> Option<User> {
        self.lock().state.users.get(id).cloned()
    }

    /// All portfolios that were made by the API.
    pub fn portfolios(&self) -> Vec<ManagedPortfolio> {
        self.lock().state.portfolios.values().cloned().collect()
    }

    /// The bank accounts of a user that were linked by the API.
    pub fn bank_accounts_of(&self, user_id: &str) -> Vec<BankAccount> {
        let live = self.lock();
        let accounts = live.state.bank_accounts.values();
        accounts
            .filter(|account| account.user_id == user_id)
            .cloned()
            .collect()
    }

    /// The accounts of a user.
    pub fn accounts_of(&self, user_id: &str) -> Vec<String> {
        let live = self.lock();
        let accounts = live
            .state
            .accounts
            .values()
            .filter(|account| account.user_id == user_id);
        accounts.map(|account| account.id.clone()).collect()
    }

    /// Lets the user's check come to its verdict now.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn decide(&self, user_id: &str) -> anyhow::Result<User> {
        let mut live = self.lock();
        let checks = live
            .state
            .users
            .get(user_id)
            .context("there is no such user")?
            .checks;
        self.decide_check(&mut live, user_id, checks);
        live.state.users.get(user_id).cloned().context("the user is gone")
    }

    /// Puts the user's check into any state, with these errors.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn set_kyc(&self, user_id: &str, status: &str, errors: &[&str]) -> anyhow::Result<User> {
        let mut live = self.lock();
        let errors = errors.iter().map(|error| (*error).to_owned()).collect();
        anyhow::ensure!(
            self.set_check(&mut live, user_id, status, errors),
            "there is no such user"
        );
        live.state.users.get(user_id).cloned().context("the user is gone")
    }
}

impl DriveWealthSandbox {
    /// Answers the routes of this file; none for another one.
    pub(super) fn opening(&self, live: &mut Live, call: &Call, now: DateTime<Utc>) -> Option<Reply> {
        let segments = call.segments();
        Some(match (call.method.as_str(), segments.as_slice()) {
            ("POST", ["users"]) => self.create_user(live, call, now),
            ("PATCH", ["users", id]) => self.update_user(live, call, id, now),
            ("GET", ["users", id]) => match live.state.users.get(*id) {
                Some(user) => Reply::ok(&user.json()),
                None => return None,
            },
            ("GET", ["users", id, "kyc-status"]) => match live.state.users.get(*id) {
                Some(user) => Reply::ok(&user.kyc_json()),
                None => return None,
            },
            ("GET", ["users", id, "documents"]) => match live.state.users.get(*id) {
                Some(user) => Reply::ok(&user.uploads_json()),
                None => return None,
            },
            ("GET", ["users", RIA_USER_ID, "managed", "portfolio"]) => {
                list(live.state.portfolios.values().map(portfolio_json))
            }
            ("POST", ["documents"]) => self.upload(live, call, now),
            ("POST", ["accounts"]) => self.create_account(live, call, now),
            ("PATCH", ["accounts", id]) => self.change_account(live, call, id, now),
            ("POST", ["bank-accounts"]) => self.create_bank_account(live, call, now),
            ("DELETE", ["bank-accounts", id]) => self.delete_bank_account(live, id),
            ("GET", ["users", user, "bank-accounts"]) if live.state.users.contains_key(*user) => {
                let accounts = live.state.bank_accounts.values();
                list(
                    accounts
                        .filter(|account| account.user_id == *user)
                        .map(bank_account_json),
                )
            }
            ("POST", ["managed", "portfolios"]) => self.create_portfolio(live, call),
            _ => return None,
        })
    }

    fn create_user(&self, live: &mut Live, call: &Call, now: DateTime<Utc>) -> Reply {
        let made = call.json::<Value>().and_then(|body| User::made_of(&body, now));
        let user = match made {
            Ok(user) => user,
            Err(message) => return error(400, USER_INCOMPLETE, &message),
        };
        let (id, checks, reply) = (user.id.clone(), user.checks, Reply::ok(&user.json()));
        let event = user.event("users.created", now);
        live.state.users.insert(id.clone(), user);
        self.emit(live, event);
        self.decide_later(live, id, checks);
        reply
    }

    fn update_user(&self, live: &mut Live, call: &Call, id: &str, now: DateTime<Utc>) -> Reply {
        let Some(user) = live.state.users.get_mut(id) else {
            return error(404, NOT_FOUND, &format!("user {id} not found"));
        };
        if let Err(message) = call.json::<Value>().and_then(|body| user.merge(&body)) {
            return error(400, USER_INCOMPLETE, &message);
        }
        let previous = user.kyc_status.clone();
        user.begin_check(now);
        let (checks, reply, event) = (
            user.checks,
            Reply::ok(&user.json()),
            user.kyc_event(&previous, now),
        );
        self.emit(live, event);
        self.decide_later(live, id.to_owned(), checks);
        reply
    }

    fn upload(&self, live: &mut Live, call: &Call, now: DateTime<Utc>) -> Reply {
        let new: NewUpload = match call.json() {
            Ok(new) => new,
            Err(message) => return error(400, BAD_BODY, &message),
        };
        let id = new.user_id.clone();
        let Some(user) = live.state.users.get_mut(&id) else {
            return error(404, NOT_FOUND, &format!("user {id} not found"));
        };
        let answer = match user.upload(new) {
            Ok(answer) => answer,
            Err(message) => return error(400, BAD_BODY, &message),
        };
        if user.kyc_status == "KYC_DOC_REQUIRED" {
            user.begin_check(now);
            let (checks, event) = (user.checks, user.kyc_event("KYC_DOC_REQUIRED", now));
            self.emit(live, event);
            self.decide_later(live, id, checks);
        }
        self.changed();
        Reply::ok(&answer)
    }

    /// Goes on with what had begun before a restart.
    pub(super) fn go_on_opening(&self, live: &Live) {
        for user in live
            .state
            .users
            .values()
            .filter(|user| user.kyc_status == "KYC_PROCESSING")
        {
            self.decide_later(live, user.id.clone(), user.checks);
        }
        for account in live
            .state
            .accounts
            .values()
            .filter(|account| account.status == "PENDING")
        {
            self.open_later(live, account.id.clone());
        }
    }

    fn open_later(&self, live: &Live, id: String) {
        self.later(live, move |sandbox| {
            let is_pending = sandbox
                .account(&id)
                .is_some_and(|account| account.status == "PENDING");
            if is_pending && sandbox.lock().auto_advance.is_some() {
                // It can't be gone.
                let _ = sandbox.set_account_status(&id, "OPEN");
            }
        });
    }

    fn decide_later(&self, live: &Live, id: String, checks: u64) {
        self.later(live, move |sandbox| {
            let mut live = sandbox.lock();
            if live.auto_advance.is_some() {
                sandbox.decide_check(&mut live, &id, checks);
            }
        });
    }

    /// The check comes to its verdict, unless it has or another one has begun.
    fn decide_check(&self, live: &mut Live, id: &str, checks: u64) {
        let verdict = live
            .state
            .users
            .get(id)
            .filter(|user| user.checks == checks && user.kyc_status == "KYC_PROCESSING");
        if let Some(verdict) = verdict.and_then(User::verdict) {
            self.set_check(live, id, verdict.status, verdict.errors);
        }
    }

    fn set_check(&self, live: &mut Live, id: &str, status: &str, errors: Vec<String>) -> bool {
        let now = self.time();
        let Some(user) = live.state.users.get_mut(id) else {
            return false;
        };
        let previous = user.kyc_status.clone();
        user.set_check(status, errors, now);
        let events = [user.kyc_event(&previous, now), user.event("users.updated", now)];
        let count = if status == "KYC_APPROVED" { 2 } else { 1 };
        for event in events.into_iter().take(count) {
            self.emit(live, event);
        }
        true
    }

    fn create_account(&self, live: &mut Live, call: &Call, now: DateTime<Utc>) -> Reply {
        let new: NewAccount = match call.json() {
            Ok(new) => new,
            Err(message) => return error(400, BAD_BODY, &message),
        };
        if !live.state.users.contains_key(&new.user_id) {
            return error(404, NOT_FOUND, &format!("user {} not found", new.user_id));
        }
        let asked = [new.account_type, new.account_management_type, new.trading_type];
        if asked != ["LIVE", "RIA_MANAGED", "CASH"]
            || new.ria_user_id != RIA_USER_ID
            || new.ria_product_id.is_empty()
        {
            return error(400, BAD_BODY, "such an account can't be opened");
        }
        live.state.opened += 1;
        let account = new_account(&live.state, &new.user_id, now);
        let (id, reply) = (account.id.clone(), Reply::ok(&account.json()));
        let payload = json!({ "accountID": id, "accountNo": account.number, "userID": account.user_id });
        live.state.accounts.insert(id.clone(), account);
        self.emit(live, envelope("accounts.created", payload, now));
        self.open_later(live, id);
        reply
    }

    fn change_account(&self, live: &mut Live, call: &Call, id: &str, now: DateTime<Utc>) -> Reply {
        let change: AccountChange = match call.json() {
            Ok(change) => change,
            Err(message) => return error(400, BAD_BODY, &message),
        };
        let portfolio = change.ria.portfolio_id;
        if !live.state.portfolios.contains_key(&portfolio) {
            return error(404, BAD_PATH, &format!("portfolio {portfolio} not found"));
        }
        let Some(account) = live.state.accounts.get_mut(id) else {
            return error(404, NOT_FOUND, &format!("account {id} not found"));
        };
        account.follows = Follows::Portfolio(portfolio);
        account.updated = now;
        let reply = Reply::ok(&json!({ "account": account.json() }));
        self.changed();
        reply
    }

    fn create_bank_account(&self, live: &mut Live, call: &Call, now: DateTime<Utc>) -> Reply {
        let new: NewBankAccount = match call.json() {
            Ok(new) => new,
            Err(message) => return error(400, BAD_BODY, &message),
        };
        if !new.token.starts_with("processor-") {
            return error(400, BANK_TOKEN_INVALID, "The processor token is not valid");
        }
        if !live.state.users.contains_key(&new.user_id)
            && live
                .state
                .accounts
                .values()
                .all(|account| account.user_id != new.user_id)
        {
            return error(404, NOT_FOUND, &format!("user {} not found", new.user_id));
        }
        let account = BankAccount {
            id: format!("bank_{}", Uuid::new_v4()),
            user_id: new.user_id,
            nickname: new.nickname,
            created: now,
        };
        for own in live
            .state
            .accounts
            .values_mut()
            .filter(|own| own.user_id == account.user_id)
        {
            own.bank_accounts.insert(account.id.clone());
        }
        let reply = Reply::ok(&bank_account_json(&account));
        live.state.bank_accounts.insert(account.id.clone(), account);
        self.changed();
        reply
    }

    fn delete_bank_account(&self, live: &mut Live, id: &str) -> Reply {
        let mut was_linked = false;
        for own in live.state.accounts.values_mut() {
            was_linked |= own.bank_accounts.remove(id);
        }
        let was_there = live.state.bank_accounts.remove(id).is_some() || was_linked;
        self.changed();
        match was_there {
            true => Reply::ok(&json!({})),
            false => error(404, BAD_PATH, &format!("bank account {id} not found")),
        }
    }

    fn create_portfolio(&self, live: &mut Live, call: &Call) -> Reply {
        let new: NewPortfolio = match call.json() {
            Ok(new) => new,
            Err(message) => return error(400, BAD_BODY, &message),
        };
        if new.user_id != RIA_USER_ID || new.client_id.is_empty() || new.triggers.is_empty() {
            return error(400, BAD_BODY, "userID, clientPortfolioID and triggers are needed");
        }
        if weights_of(&new.holdings) != Some(1) {
            return error(400, BAD_BODY, "the targets must sum to 1");
        }
        let portfolio = ManagedPortfolio {
            id: format!("portfolio_{}", Uuid::new_v4()),
            client_id: new.client_id,
            name: new.name,
        };
        let reply = Reply::ok(&portfolio_json(&portfolio));
        live.state.portfolios.insert(portfolio.id.clone(), portfolio);
        self.changed();
        reply
    }
}

/// A new account: empty, and about to be opened.
fn new_account(state: &State, user_id: &str, now: DateTime<Utc>) -> Account {
    let milliseconds = now.timestamp_millis();
    let number = state.opened;
    Account {
        id: format!(
            "{user_id}.{}",
            milliseconds + i64::try_from(number).unwrap_or_default()
        ),
        number: format!("MNTB{number:06}"),
        user_id: user_id.to_owned(),
        status: "PENDING".to_owned(),
        created: now,
        updated: now,
        bank_accounts: of_user(state, user_id),
        cash_cents: 0,
        withdrawable_cents: 0,
        cash_target: crate::sandboxes::numbers::ONE,
        funds: Vec::new(),
        follows: Follows::Nothing,
    }
}

pub(super) fn bank_account_json(account: &BankAccount) -> Value {
    json!({
        "id": account.id,
        "status": "ACTIVE",
        "bankAccountDetails": {
            "bankAccountNickname": account.nickname, "bankAccountNumber": "****1111", "bankRoutingNumber": "****0021",
            "bankAccountType": "CHECKING",
        },
        "userDetails": { "userID": account.user_id },
        "created": time(account.created),
        "updated": time(account.created),
    })
}

fn of_user(state: &State, user_id: &str) -> std::collections::BTreeSet<String> {
    let accounts = state
        .bank_accounts
        .values()
        .filter(|account| account.user_id == user_id);
    accounts.map(|account| account.id.clone()).collect()
}

fn portfolio_json(portfolio: &ManagedPortfolio) -> Value {
    json!({
        "id": portfolio.id,
        "userID": RIA_USER_ID,
        "name": portfolio.name,
        "clientPortfolioID": portfolio.client_id,
        "description": portfolio.name,
        "holdings": [{ "type": "CASH_RESERVE", "target": 1 }],
    })
}
