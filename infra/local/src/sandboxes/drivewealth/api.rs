//! The REST interface of the DriveWealth sandbox: sessions, idempotency keys and the routes.

use chrono::{DateTime, Utc};
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::payments::{self, NewPayment, status};
use super::replies::{BAD_BODY, BAD_PATH, BANK_TOKEN_INVALID, error, list};
use super::state::{Account, Decline, Payment, PaymentKind, State, StoredReply, time};
use super::{DriveWealthSandbox, Live, managed, portfolio};
use crate::keys;
use crate::sandboxes::call::{Call, Reply};
use crate::sandboxes::gate::{Party, PortfolioDefect};
use crate::sandboxes::numbers::cents_in;

const MIN_KEY_LENGTH: usize = 16;
const DAILY_LIMIT: &str = "Deposit transaction exceeds maximum daily ACH deposit transaction limit";

/// DriveWealth's codes of errors in the session, the key and the password.
const NOT_SIGNED_IN: &str = "L025";
const BAD_APP_KEY: &str = "L004";
const BAD_PASSWORD: &str = "L001";

impl Party for DriveWealthSandbox {
    fn respond(&self, call: &Call) -> Reply {
        with_request_id(self.admit(call))
    }

    fn error(&self, status: u16, code: &str, message: &str) -> Reply {
        with_request_id(error(status, code, message))
    }

    fn expire_sessions(&self) {
        self.lock().state.sessions.clear();
    }

    fn respond_with_defect(&self, call: &Call, defect: PortfolioDefect) -> Reply {
        let live = self.lock();
        match call.segments().as_slice() {
            ["accounts", id, "portfolio"] => with_request_id(match live.state.accounts.get(*id) {
                Some(account) => Reply::ok(&portfolio::defective_status(account, defect)),
                None => account_not_found(id),
            }),
            _ => {
                drop(live);
                self.respond(call)
            }
        }
    }

    async fn control(&self, call: &Call) -> anyhow::Result<Option<Value>> {
        super::control::route(self, call).await
    }
}

impl DriveWealthSandbox {
    fn admit(&self, call: &Call) -> Reply {
        if let Some(file) = self.file(call) {
            return file;
        }
        if call.header("dw-client-app-key") != Some(keys::DRIVEWEALTH_APP_KEY) {
            return error(401, BAD_APP_KEY, "The application key is not valid");
        }
        let now = self.time();
        let mut live = self.lock();
        if call.method == Method::POST && call.segments() == ["auth"] {
            return sign_in(&mut live, call, now);
        }
        let token = call.header("dw-auth-token").unwrap_or_default();
        if live
            .state
            .sessions
            .get(token)
            .is_none_or(|expires| *expires <= now)
        {
            live.state.sessions.remove(token);
            return error(
                401,
                NOT_SIGNED_IN,
                "The session token is not valid or has expired",
            );
        }
        if managed::proceed(&mut live.state, now) {
            self.changed();
        }
        match (call.method == Method::POST, call.header("idempotency-key")) {
            (true, Some(key)) => self.once(&mut live, call, key, now),
            _ => self.route(&mut live, call, now),
        }
    }

    /// Everything happens under one lock, so that a second call with the key finds the first one's answer even while
    /// that is still on its way.
    fn once(&self, live: &mut Live, call: &Call, key: &str, now: DateTime<Utc>) -> Reply {
        if key.len() < MIN_KEY_LENGTH {
            return error(400, BAD_BODY, "Idempotency-Key must have at least 16 characters");
        }
        let key = format!("{} {} {key}", call.method, call.path);
        let request = String::from_utf8_lossy(&call.body).into_owned();
        if let Some(stored) = live.state.remembered(&key, now).cloned() {
            live.state.counters.replays += 1;
            live.state.counters.replays_of_other_requests += u64::from(stored.request != request);
            return Reply::text(stored.status, stored.body);
        }
        let reply = self.route(live, call, now);
        let stored = StoredReply {
            at: now,
            request,
            status: reply.status,
            body: reply.body.clone(),
        };
        live.state.remember(key, stored);
        self.changed();
        reply
    }

    fn route(&self, live: &mut Live, call: &Call, now: DateTime<Utc>) -> Reply {
        if let Some(reply) = self.opening(live, call, now) {
            return reply;
        }
        if let Some(reply) = self.managed(live, call, now) {
            return reply;
        }
        if let Some(reply) = self.statements(live, call, now) {
            return reply;
        }
        let segments = call.segments();
        match (call.method.as_str(), segments.as_slice()) {
            ("GET", ["accounts", rest @ ..]) => account(&live.state, rest, now),
            ("GET", ["users", user, rest @ ..]) => of_user(&live.state, user, rest),
            ("POST", ["funding", "deposits"]) => self.pay(live, call, PaymentKind::Deposit, now),
            ("POST", ["funding", "redemptions"]) => self.pay(live, call, PaymentKind::Redemption, now),
            ("GET", ["funding", "deposits", id]) => payment(&live.state, PaymentKind::Deposit, id),
            ("GET", ["funding", "redemptions", id]) => payment(&live.state, PaymentKind::Redemption, id),
            ("PATCH", ["funding", "redemptions", id]) => self.approve(live, call, id, now),
            ("GET", ["managed", "portfolios", id]) => match live.state.account_by_portfolio(id) {
                Some(account) => Reply::ok(&portfolio::definition(account)),
                None => error(404, BAD_PATH, &format!("portfolio {id} not found")),
            },
            ("PATCH", ["managed", "portfolios", id]) => self.set_targets(live, call, id, now),
            _ => error(
                404,
                "E001",
                &format!("no route for {} {}", call.method, call.path),
            ),
        }
    }

    fn pay(&self, live: &mut Live, call: &Call, kind: PaymentKind, now: DateTime<Utc>) -> Reply {
        let new = match call
            .json::<PaymentRequest>()
            .and_then(|request| request.check(&live.state, kind))
        {
            Ok(new) => new,
            Err(message) => return error(400, BAD_BODY, &message),
        };
        let bank_account = new.bank_account_id.as_deref();
        if bank_account.and_then(|id| live.state.decline(id)) == Some(Decline::TokenInvalid) {
            return error(400, BANK_TOKEN_INVALID, "The processor token is not valid");
        }
        match payments::create(&mut live.state, new, now) {
            Some((payment, event)) => {
                self.emit(live, event);
                self.follow(live, &payment);
                Reply::ok(&payment.json())
            }
            None => error(400, BAD_BODY, "account not found"),
        }
    }

    fn approve(&self, live: &mut Live, call: &Call, id: &str, now: DateTime<Utc>) -> Reply {
        let found = live
            .state
            .payments
            .get(id)
            .filter(|payment| payment.kind == PaymentKind::Redemption);
        let Some(present) = found.map(|payment| payment.status) else {
            return payment_not_found(id);
        };
        let decision = match call.json::<Decision>() {
            Ok(decision) => decision,
            Err(message) => return error(400, BAD_BODY, &message),
        };
        let next = match decision.status.to_ascii_uppercase().as_str() {
            "RIA_APPROVED" => status::RIA_APPROVED,
            "RIA_REJECTED" => status::RIA_REJECTED,
            other => return error(400, BAD_BODY, &format!("status {other} is not valid")),
        };
        if present != status::RIA_PENDING {
            return error(400, BAD_BODY, &format!("redemption {id} is not RIA_Pending"));
        }
        self.change(live, id, next, &decision.comment.unwrap_or_default(), now);
        payment(&live.state, PaymentKind::Redemption, id)
    }

    fn set_targets(&self, live: &mut Live, call: &Call, id: &str, now: DateTime<Utc>) -> Reply {
        let targets = match call.json() {
            Ok(targets) => targets,
            Err(message) => return error(400, BAD_BODY, &message),
        };
        let new = portfolio::new_funds(&live.state, &targets);
        let Some(account) = live.state.account_by_portfolio(id) else {
            return error(404, BAD_PATH, &format!("portfolio {id} not found"));
        };
        match portfolio::set_targets(account, &targets, &new) {
            Ok(()) => {
                account.updated = now;
                let definition = portfolio::definition(account);
                for fund in &new {
                    managed::attached(&mut live.state, &fund.id);
                }
                self.changed();
                Reply::ok(&definition)
            }
            Err(message) => error(400, BAD_BODY, &message),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignIn {
    username: String,
    password: String,
    #[serde(rename = "appTypeID")]
    _app_type_id: i64,
}

fn sign_in(live: &mut Live, call: &Call, now: DateTime<Utc>) -> Reply {
    let request: SignIn = match call.json() {
        Ok(request) => request,
        Err(message) => return error(400, BAD_BODY, &message),
    };
    if request.username != keys::DRIVEWEALTH_USERNAME || request.password != keys::DRIVEWEALTH_PASSWORD {
        return error(401, BAD_PASSWORD, "The username or the password is wrong");
    }
    let token = format!("{}.{}", Uuid::now_v7(), now.timestamp_millis());
    let expires = now + live.session_lifetime;
    live.state.sessions.retain(|_, expires| *expires > now);
    live.state.sessions.insert(token.clone(), expires);
    Reply::ok(&json!({ "authToken": token, "expiresAt": time(expires), "userID": super::RIA_USER_ID }))
}

#[derive(Deserialize)]
struct PaymentRequest {
    #[serde(rename = "accountNo")]
    account_no: String,
    amount: Box<RawValue>,
    currency: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "bankAccountID")]
    bank_account_id: Option<String>,
}

impl PaymentRequest {
    fn check(self, state: &State, kind: PaymentKind) -> Result<NewPayment, String> {
        let amount_cents = cents_in(&self.amount).ok_or("amount must be a number with at most 2 decimals")?;
        let negative = kind == PaymentKind::Deposit && amount_cents < 0;
        if negative || amount_cents == 0 {
            return Err("amount must be greater than zero".to_owned());
        }
        if self.currency != "USD" {
            return Err(format!("currency {} is not supported", self.currency));
        }
        let account = state.account_by_number(&self.account_no);
        let account = account.ok_or(format!("account {} not found", self.account_no))?;
        if account.status != "OPEN" {
            return Err(format!("sub-account {} is not open", account.id));
        }
        match (self.kind.as_str(), &self.bank_account_id) {
            ("ACH", Some(bank_account)) if account.bank_accounts.contains(bank_account) => {}
            ("ACH", _) => return Err("bankAccountID is not a bank account of the user".to_owned()),
            ("CASH_TRANSFER", _) => {}
            (other, _) => return Err(format!("type {other} is not supported")),
        }
        let decline = self.bank_account_id.as_deref().and_then(|id| state.decline(id));
        if kind == PaymentKind::Deposit && decline == Some(Decline::DailyLimit) {
            return Err(DAILY_LIMIT.to_owned());
        }
        Ok(NewPayment {
            kind,
            amount_cents,
            account_id: account.id.clone(),
            bank_account_id: self.bank_account_id,
            payment_type: self.kind,
        })
    }
}

#[derive(Deserialize)]
struct Decision {
    status: String,
    #[serde(rename = "statusComment")]
    comment: Option<String>,
}

fn account(state: &State, segments: &[&str], now: DateTime<Utc>) -> Reply {
    let [id, rest @ ..] = segments else {
        return error(404, "E001", "no such route");
    };
    let Some(account) = state.accounts.get(*id) else {
        return account_not_found(id);
    };
    let payments_of = |kind| {
        let payments = state.payments_where(|payment| payment.kind == kind && payment.account_id == *id);
        list(payments.into_iter().map(Payment::json))
    };
    match rest {
        [] => Reply::ok(&json!({ "account": account.json() })),
        ["summary", "money"] => Reply::ok(&account.money_json(now, pending_cents(state, id))),
        ["summary", "positions"] => Reply::ok(&account.positions_json(now)),
        ["portfolio"] if account.status == "CLOSED" => {
            error(400, BAD_PATH, &format!("sub-account {id} is not open"))
        }
        ["portfolio"] if account.portfolio_id().is_none() => {
            error(400, BAD_PATH, &format!("sub-account {id} follows no portfolio"))
        }
        ["portfolio"] => Reply::ok(&portfolio::status(account)),
        ["funding", "deposits"] => payments_of(PaymentKind::Deposit),
        ["funding", "redemptions"] => payments_of(PaymentKind::Redemption),
        _ => error(404, "E001", "no such route"),
    }
}

/// The deposits that are on their way to the account.
fn pending_cents(state: &State, account_id: &str) -> i64 {
    state
        .payments
        .values()
        .filter(|payment| payment.account_id == account_id && payment.kind == PaymentKind::Deposit)
        .filter(|payment| matches!(payment.status, status::PENDING | status::APPROVED))
        .map(|payment| payment.amount_cents)
        .sum()
}

fn of_user(state: &State, user: &str, segments: &[&str]) -> Reply {
    let accounts = || state.accounts.values().filter(|account| account.user_id == user);
    if accounts().next().is_none() && !state.users.contains_key(user) {
        return error(404, BAD_PATH, &format!("user {user} not found"));
    }
    let payments_of = |kind| {
        let payments = state.payments_where(|payment| payment.kind == kind && payment.user_id == user);
        list(payments.into_iter().map(Payment::json))
    };
    match segments {
        [] => Reply::ok(&json!({ "id": user, "status": { "name": "APPROVED", "description": "Approved" } })),
        // Users who were seeded with their account are approved, and nobody has seen their check.
        ["kyc-status" | "documents"] => error(404, BAD_PATH, &format!("user {user} has no check")),
        ["accounts"] => list(accounts().map(Account::json)),
        ["bank-accounts"] => list(accounts().flat_map(|account| &account.bank_accounts).map(|id| {
            match state.bank_accounts.get(id) {
                Some(linked) => super::opening::bank_account_json(linked),
                None => bank_account(user, id),
            }
        })),
        ["funding", "deposits"] => payments_of(PaymentKind::Deposit),
        ["funding", "redemptions"] => payments_of(PaymentKind::Redemption),
        _ => error(404, "E001", "no such route"),
    }
}

fn bank_account(user: &str, id: &str) -> Value {
    json!({
        "id": id,
        "status": "ACTIVE",
        "bankAccountDetails": {
            "bankAccountNickname": id,
            "bankAccountNumber": "****1111",
            "bankRoutingNumber": "****0021",
            "bankAccountType": "CHECKING",
        },
        "userDetails": { "userID": user },
    })
}

fn payment(state: &State, kind: PaymentKind, id: &str) -> Reply {
    match state.payments.get(id).filter(|payment| payment.kind == kind) {
        Some(payment) => Reply::ok(&payment.json()),
        None => payment_not_found(id),
    }
}

fn payment_not_found(id: &str) -> Reply {
    error(404, BAD_PATH, &format!("payment {id} not found"))
}

fn account_not_found(id: &str) -> Reply {
    error(404, BAD_PATH, &format!("account {id} not found"))
}

fn with_request_id(reply: Reply) -> Reply {
    reply.with_header("dw-request-id", Uuid::now_v7().to_string())
}
