//! DriveWealth, the broker: accounts with their statements, deposits and redemptions, portfolios with their funds and autopilot
//! runs, instruments.
//!
//! Every POST carries an `Idempotency-Key`; DriveWealth remembers it for 4 days and responds to a repetition
//! with the identical first response, so a POST whose response was lost may be sent again. Paths, fields and statuses:
//! `domain-trading`, section 2.

mod account;
mod call;
mod managed;
mod person;
mod requests;
pub mod session;
mod statements;
mod status;
mod wire;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::ids::{
    DriveWealthAccountId, DriveWealthAccountNo, DriveWealthBankAccountId, DriveWealthPaymentId,
    DriveWealthPortfolioId, DriveWealthUserId,
};
use domain::money::Money;
use domain::trading::account::AccountStatus;
use domain::trading::payment::PaymentStatus;
use domain::trading::portfolio::BrokerPortfolio;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::outcome::Decline;

pub use account::{BrokerBankAccount, NewBankAccount, NewPortfolio};
pub use call::DriveWealth;
pub use managed::{Instrument, Instruments, NewFund, Run, Trade, instrument_of_event};
pub use person::{BrokerDocument, BrokerKyc, BrokerUser, NewDocument, Person, user_of_event};
pub use statements::{Statement, StatementKind, statement_of_event};
pub use status::payment_status;
pub use wire::{account_of_event, payment_of_event, stored_portfolio};

/// How long DriveWealth remembers an idempotency key.
pub const KEY_MEMORY: chrono::TimeDelta = chrono::TimeDelta::days(4);
/// The daily limit of ACH deposits shows in this message alone.
pub const DAILY_LIMIT_MESSAGE: &str = "exceeds maximum daily ACH deposit transaction limit";
/// The request's body is refused, for instance because the payment is not in the needed state any more.
pub const BAD_BODY: &str = "E032";
/// The bank account's Plaid token isn't valid any more.
pub const BANK_TOKEN_INVALID: &str = "K110";
/// That an account isn't open shows in the end of this message alone ("sub-account … is not open").
const NOT_OPEN_MESSAGE: &str = "is not open";

/// Whether the refusal means that the trading account is not open.
pub fn is_not_open(decline: &Decline) -> bool {
    decline.message.contains(NOT_OPEN_MESSAGE)
}

/// Whether the refusal means that there is no such thing.
pub fn is_missing(decline: &Decline) -> bool {
    decline.status == 404
}

/// How to sign in. The secret's JSON has these fields.
#[derive(Debug, Clone, Deserialize)]
pub struct Credentials {
    /// Key of the application, sent with every request.
    pub app_key: SecretString,
    /// The service user.
    pub username: String,
    /// Its password.
    pub password: SecretString,
}

/// What DriveWealth knows the company as: under whom users are made, and who manages their accounts.
#[derive(Debug, Clone)]
pub struct Adviser {
    /// The user of the adviser (RIA).
    pub ria_user_id: DriveWealthUserId,
    /// Its product, which accounts are opened for.
    pub ria_product_id: String,
    /// The white-label partner.
    pub wlp_id: String,
    /// The introducing broker above it.
    pub parent_ibid: String,
}

/// An order to move money between a bank account and a trading account.
#[derive(Debug, Clone)]
pub struct PaymentOrder {
    /// The trading account's number.
    pub account_no: DriveWealthAccountNo,
    /// The bank account.
    pub bank_account: DriveWealthBankAccountId,
    /// How much; above zero in either direction.
    pub amount: Money,
    /// The same for every attempt of one order.
    pub idempotency_key: Uuid,
}

/// A deposit or redemption.
#[derive(Debug, Clone)]
pub struct Payment {
    /// DriveWealth's id.
    pub id: DriveWealthPaymentId,
    /// The account; some responses leave it out.
    pub account_id: Option<DriveWealthAccountId>,
    /// The amount; above zero in either direction.
    pub amount: Money,
    /// What the status means.
    pub status: PaymentStatus,
    /// The status by its number.
    pub status_code: i32,
    /// The status as DriveWealth names it.
    pub status_message: String,
    /// A comment on the status, for instance why it failed.
    pub status_comment: Option<String>,
    /// When the payment came into this status.
    pub status_updated_at: DateTime<Utc>,
    /// How fresh this is.
    pub freshness: Freshness,
    /// What is stored of the response.
    pub kept: Arc<RawValue>,
}

/// How fresh a report of a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// DriveWealth's response to a request: it counts even if an earlier report has the same time.
    Current,
    /// By an event, which may have been on its way for long, or in response to an order, which is the first response again
    /// when the order is repeated.
    Snapshot,
}

/// A user's payments.
#[derive(Debug, Default)]
pub struct Listed {
    /// Those that can be read.
    pub payments: Vec<Payment>,
    /// What is wrong with each of the others.
    pub unreadable: Vec<String>,
}

/// An account.
#[derive(Debug, Clone)]
pub struct BrokerAccount {
    /// DriveWealth's id.
    pub id: DriveWealthAccountId,
    /// Its state.
    pub status: AccountStatus,
    /// Its number, as deposits name it.
    pub account_no: Option<DriveWealthAccountNo>,
    /// Whose it is.
    pub user_id: Option<DriveWealthUserId>,
    /// The portfolio that it follows.
    pub portfolio_id: Option<DriveWealthPortfolioId>,
    /// When it was last changed; when it was fetched, where DriveWealth doesn't say.
    pub updated_at: DateTime<Utc>,
    /// What is stored of the response.
    pub raw: Arc<RawValue>,
}

/// The cash of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CashBalance {
    /// All of it.
    pub balance: Money,
    /// What can be traded with.
    pub available_for_trade: Money,
    /// What can be withdrawn.
    pub available_for_withdrawal: Money,
}

/// What an account holds beside its cash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerPositions {
    /// What all of it is worth, rounded half-even to a cent.
    pub value: Money,
}

/// A portfolio with its id, not checked yet.
#[derive(Debug, Clone)]
pub struct PortfolioResponse {
    /// DriveWealth's id.
    pub id: DriveWealthPortfolioId,
    /// The portfolio, as DriveWealth has it.
    pub portfolio: BrokerPortfolio,
    /// The response as it came.
    pub raw: Arc<RawValue>,
}
