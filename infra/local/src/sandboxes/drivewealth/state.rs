//! The DriveWealth sandbox's state: accounts, payments, sessions and the replies it has given.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::managed::{Holding, Managed};
use super::opening::{BankAccount, ManagedPortfolio};
use super::people::User;
use super::statements::Documents;
use crate::sandboxes::numbers::{ONE, number};

/// For how long the answer to an idempotency key is remembered.
const REPLIES_KEPT: Duration = Duration::days(4);
/// The remembered answers are looked through for old ones once in so many.
const REPLIES_PRUNED_EVERY: usize = 1_000;

/// Everything that outlives a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) payments: BTreeMap<String, Payment>,
    /// How many payments were made; orders them.
    pub(super) payment_count: u64,
    /// Session tokens and when they expire.
    pub(super) sessions: BTreeMap<String, DateTime<Utc>>,
    /// The answers by method, path and idempotency key.
    pub(super) replies: BTreeMap<String, StoredReply>,
    /// Users that were made by the API.
    pub(super) users: BTreeMap<String, User>,
    /// Portfolios that were made by the API.
    pub(super) portfolios: BTreeMap<String, ManagedPortfolio>,
    /// Bank accounts that were linked by the API.
    pub(super) bank_accounts: BTreeMap<String, BankAccount>,
    /// How many accounts were opened by the API.
    pub(super) opened: u64,
    /// Bank accounts that decline.
    pub(super) declines: BTreeMap<String, Decline>,
    pub(super) counters: Counters,
    pub(super) managed: Managed,
    pub(super) documents: Documents,
}

/// An account with its cash and its portfolio.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) number: String,
    pub(super) user_id: String,
    pub(super) status: String,
    pub(super) created: DateTime<Utc>,
    pub(super) updated: DateTime<Utc>,
    pub(super) bank_accounts: BTreeSet<String>,
    pub(super) cash_cents: i64,
    /// The part of the cash that may be withdrawn.
    pub(super) withdrawable_cents: i64,
    /// The wanted weight of the cash, in ten-thousandths.
    pub(super) cash_target: i64,
    pub(super) funds: Vec<Fund>,
    /// The portfolio that it follows.
    #[serde(default)]
    pub(super) follows: Follows,
}

/// The portfolio that an account follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Follows {
    /// One of its own, whose id follows from the account's: a seeded account's.
    #[default]
    Own,
    /// None yet.
    Nothing,
    /// One that was made by the API.
    Portfolio(String),
}

/// A fund in an account's portfolio.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Fund {
    pub(super) id: String,
    pub(super) name: String,
    /// The wanted weight, in ten-thousandths.
    pub(super) target: i64,
    pub(super) value_cents: i64,
    /// What it consists of; nothing for one that was given by its value alone.
    #[serde(default)]
    pub(super) holdings: Vec<Holding>,
}

/// Which way a payment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentKind {
    /// From the bank account into the trading account.
    Deposit,
    /// From the trading account to the bank account.
    Redemption,
}

impl PaymentKind {
    /// The name in events and in the money object.
    pub(super) fn category(self) -> &'static str {
        match self {
            Self::Deposit => "DEPOSIT",
            Self::Redemption => "REDEMPTION",
        }
    }

    /// The first part of its events' types.
    pub(super) fn topic(self) -> &'static str {
        match self {
            Self::Deposit => "deposits",
            Self::Redemption => "redemptions",
        }
    }
}

/// A deposit or a redemption.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payment {
    /// DriveWealth's id, `<accountNo>-<epoch ms>-<5 characters>`.
    pub id: String,
    /// Which way the money goes.
    pub kind: PaymentKind,
    /// The amount in cents, as it was asked for.
    pub amount_cents: i64,
    /// The account's id.
    pub account_id: String,
    /// The account's number.
    pub account_no: String,
    /// The user's id.
    pub user_id: String,
    /// The bank account's id; none for a payment inside DriveWealth.
    pub bank_account_id: Option<String>,
    /// `ACH`, or `CASH_TRANSFER` for fees.
    pub payment_type: String,
    /// The status' number.
    pub status: i32,
    /// The comment on the status.
    pub comment: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When the status last changed.
    pub updated: DateTime<Utc>,
    /// Whether the account's cash has moved for it.
    pub settled: bool,
    /// The statuses it has had, with the present one.
    pub path: Vec<i32>,
    /// Counts the payments from 1.
    pub number: u64,
    /// All envelopes made for it, oldest first.
    #[serde(skip)]
    pub events: Vec<Value>,
}

/// The answer given to the first call with an idempotency key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredReply {
    pub(super) at: DateTime<Utc>,
    pub(super) request: String,
    pub(super) status: u16,
    pub(super) body: String,
}

/// How a bank account declines a deposit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Decline {
    /// The deposit is accepted, and becomes Rejected (15) with its next step.
    Rejected {
        /// The comment on the status.
        reason: String,
    },
    /// The deposit is refused at once for the daily limit of the bank transfers.
    DailyLimit,
    /// The bank's token has died: whatever goes through the account is refused (K110).
    TokenInvalid,
}

/// Counters for tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Answers repeated for a known idempotency key.
    pub replays: u64,
    /// Those of them where the request was another one than the first.
    pub replays_of_other_requests: u64,
    /// Redemptions made for more than could be withdrawn.
    pub redemptions_without_cash: u64,
}

impl State {
    /// The account with the number.
    pub(super) fn account_by_number(&self, number: &str) -> Option<&Account> {
        self.accounts.values().find(|account| account.number == number)
    }

    /// The account whose portfolio has the id.
    pub(super) fn account_by_portfolio(&mut self, portfolio_id: &str) -> Option<&mut Account> {
        self.accounts
            .values_mut()
            .find(|account| account.portfolio_id().as_deref() == Some(portfolio_id))
    }

    /// Some payments, oldest first.
    pub(super) fn payments_where(&self, wanted: impl Fn(&Payment) -> bool) -> Vec<&Payment> {
        let mut payments: Vec<&Payment> = self.payments.values().filter(|payment| wanted(payment)).collect();
        payments.sort_by_key(|payment| payment.number);
        payments
    }

    /// Remembers an answer, and forgets old ones now and then.
    pub(super) fn remember(&mut self, key: String, reply: StoredReply) {
        if self.replies.len().is_multiple_of(REPLIES_PRUNED_EVERY) {
            let oldest = reply.at - REPLIES_KEPT;
            self.replies.retain(|_, reply| reply.at > oldest);
        }
        self.replies.insert(key, reply);
    }

    /// The remembered answer, unless it is too old.
    pub(super) fn remembered(&self, key: &str, now: DateTime<Utc>) -> Option<&StoredReply> {
        self.replies
            .get(key)
            .filter(|reply| now - reply.at < REPLIES_KEPT)
    }

    /// How the bank account declines, by a control call or by its id.
    pub(super) fn decline(&self, bank_account_id: &str) -> Option<Decline> {
        if let Some(decline) = self.declines.get(bank_account_id) {
            return Some(decline.clone());
        }
        if bank_account_id.starts_with("bank_declined") {
            return Some(Decline::Rejected {
                reason: "The bank declined the transfer".to_owned(),
            });
        }
        bank_account_id
            .starts_with("bank_limit")
            .then_some(Decline::DailyLimit)
    }
}

impl Fund {
    /// What the fund consists of: of one that was given by its value alone, one instrument that is named like it.
    pub(super) fn holdings(&self) -> Vec<Holding> {
        if !self.holdings.is_empty() {
            return self.holdings.clone();
        }
        let letters = self.name.chars().filter(char::is_ascii_alphabetic).take(4);
        vec![Holding {
            instrument_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, self.name.as_bytes()).to_string(),
            symbol: letters.collect::<String>().to_ascii_uppercase(),
            target: ONE,
            value_cents: self.value_cents,
        }]
    }

    /// Buys or sells of an instrument.
    pub(super) fn change(&mut self, instrument: &str, amount_cents: i64) {
        let mut holdings = self.holdings();
        for holding in holdings
            .iter_mut()
            .filter(|holding| holding.instrument_id == instrument)
        {
            holding.value_cents += amount_cents;
        }
        holdings.retain(|holding| holding.value_cents > 0 || holding.target > 0);
        self.holdings = holdings;
        self.value_cents += amount_cents;
    }

    /// Sets what all of it is worth, in the proportion of its parts.
    pub(super) fn set_value(&mut self, value_cents: i64) {
        let before = self.value_cents;
        let mut rest = value_cents;
        for holding in &mut self.holdings {
            let part = i128::from(holding.value_cents) * i128::from(value_cents);
            let value = part.checked_div(i128::from(before)).unwrap_or_default();
            holding.value_cents = i64::try_from(value).unwrap_or_default();
            rest -= holding.value_cents;
        }
        if let Some(first) = self.holdings.first_mut() {
            first.value_cents += rest;
        }
        self.value_cents = value_cents;
    }
}

impl Account {
    /// The id of the portfolio that the account follows.
    pub(super) fn portfolio_id(&self) -> Option<String> {
        match &self.follows {
            Follows::Own => {
                let own = Uuid::new_v5(&Uuid::NAMESPACE_OID, self.id.as_bytes());
                Some(format!("portfolio_{own}"))
            }
            Follows::Nothing => None,
            Follows::Portfolio(id) => Some(id.clone()),
        }
    }

    /// The id of a fund in this account's portfolio, which follows from its name.
    pub(super) fn fund_id(&self, name: &str) -> String {
        let name = format!("{}/{name}", self.id);
        format!("fund_{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
    }

    /// The value of everything in the account.
    pub(super) fn equity_cents(&self) -> i64 {
        self.cash_cents + self.funds.iter().map(|fund| fund.value_cents).sum::<i64>()
    }

    /// What it holds of each symbol, in whatever funds.
    fn positions(&self) -> Vec<Value> {
        let mut by_symbol: BTreeMap<String, (String, i64)> = BTreeMap::new();
        for holding in self
            .funds
            .iter()
            .flat_map(Fund::holdings)
            .filter(|holding| holding.value_cents > 0)
        {
            let (_, value) = by_symbol
                .entry(holding.symbol)
                .or_insert((holding.instrument_id, 0));
            *value += holding.value_cents;
        }
        let position = |(symbol, (instrument, value)): (String, (String, i64))| {
            json!({
                "symbol": symbol, "instrumentID": instrument, "side": "B",
                "openQty": quantity(value), "marketValue": dollars(value),
            })
        };
        by_symbol.into_iter().map(position).collect()
    }

    fn positions_cents(&self) -> i64 {
        self.equity_cents() - self.cash_cents
    }

    /// The account as REST gives it.
    pub(super) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "accountNo": self.number,
            "accountType": { "name": "LIVE" },
            "accountMgmtType": { "name": "RIA_MANAGED" },
            "status": { "name": self.status, "description": self.status },
            "tradingType": { "name": "CASH" },
            "leverage": 1,
            "nickname": self.number,
            "userID": self.user_id,
            "restricted": false,
            "goodFaithViolations": 0,
            "patternDayTrades": 0,
            "bod": {
                "cashAvailableForWithdrawal": dollars(self.withdrawable_cents),
                "cashAvailableForTrading": dollars(self.cash_cents),
                "cashBalance": dollars(self.cash_cents),
                "equityValue": dollars(self.positions_cents()),
            },
            "ria": { "advisorID": super::RIA_USER_ID, "portfolioID": self.portfolio_id() },
            "createdWhen": time(self.created),
            "openedWhen": time(self.created),
            "updatedWhen": time(self.updated),
        })
    }

    /// The answer about the account's cash.
    pub(super) fn money_json(&self, now: DateTime<Utc>, pending_cents: i64) -> Value {
        json!({
            "accountID": self.id,
            "accountNo": self.number,
            "tradingType": "CASH",
            "updated": time(now),
            "cash": {
                "cashAvailableForTrade": dollars(self.cash_cents),
                "cashAvailableForWithdrawal": dollars(self.withdrawable_cents),
                "cashBalance": dollars(self.cash_cents),
                "noBuyingPowerReason": [],
                "cashSettlement": [{ "utcTime": time(now), "cash": dollars(self.cash_cents) }],
                "pendingPaymentsAmount": dollars(pending_cents),
            },
        })
    }

    /// Its holdings beside the cash as REST gives them.
    pub(super) fn positions_json(&self, now: DateTime<Utc>) -> Value {
        json!({
            "accountID": self.id,
            "accountNo": self.number,
            "tradingType": "CASH",
            "updated": time(now),
            "equityValue": dollars(self.positions_cents()),
            "equityPositions": self.positions(),
        })
    }
}

impl Payment {
    /// The money object of REST.
    pub(super) fn json(&self) -> Value {
        let mut object = json!({
            "id": self.id,
            "paymentID": self.id,
            "type": self.payment_type,
            "category": self.kind.category(),
            "amount": dollars(self.amount_cents),
            "currency": { "name": "USD", "symbol": "$" },
            "status": {
                "id": self.status,
                "message": status_message(self.status),
                "comment": self.comment,
                "updated": time(self.updated),
            },
            "accountDetails": {
                "accountID": self.account_id,
                "accountNo": self.account_no,
                "userID": self.user_id,
            },
            "bankAccountID": self.bank_account_id,
            "wlpFinTranTypeID": Value::Null,
            "created": time(self.created),
            "timestamp": time(self.created),
        });
        if let (PaymentKind::Redemption, Some(object)) = (self.kind, object.as_object_mut()) {
            object.insert("fees".to_owned(), json!([]));
            object.insert("finTranReference".to_owned(), json!(self.transaction_reference()));
        }
        object
    }

    /// The flat object of events, in which a redemption's amount is negative.
    pub(super) fn event_payload(&self) -> Value {
        let amount_cents = match self.kind {
            PaymentKind::Deposit => self.amount_cents,
            PaymentKind::Redemption => -self.amount_cents.abs(),
        };
        json!({
            "paymentID": self.id,
            "category": self.kind.category(),
            "type": self.payment_type,
            "amount": dollars(amount_cents),
            "currency": "USD",
            "status": self.status,
            "statusMessage": status_message(self.status),
            "statusComment": self.comment,
            "userID": self.user_id,
            "accountID": self.account_id,
            "accountNo": self.account_no,
            "finTranRef": self.transaction_reference(),
        })
    }

    /// The transaction that moved the cash; its id follows from the payment's.
    fn transaction_reference(&self) -> Option<String> {
        self.settled
            .then(|| format!("KE.{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, self.id.as_bytes())))
    }
}

/// DriveWealth's name of a status, by its number.
pub(super) fn status_message(status: i32) -> &'static str {
    match status {
        0 => "Started",
        1 => "Pending",
        2 => "Successful",
        3 => "Failed",
        4 => "Other",
        5 => "Returned",
        11 => "RIA_Pending",
        12 => "RIA_Approved",
        13 => "RIA_Rejected",
        14 => "Approved",
        15 => "Rejected",
        16 => "On Hold",
        _ => "Unknown",
    }
}

/// A time as REST writes it.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

pub(super) use crate::sandboxes::numbers::dollars;

/// A fund's shares at the sandbox's constant price of $100 a share.
pub(super) fn quantity(value_cents: i64) -> Value {
    number(value_cents, 4)
}

/// The sum of the holdings' targets, if it is a whole number.
pub(super) fn weights_of(holdings: &[Value]) -> Option<i64> {
    let target = |holding: &Value| {
        let target = holding.get("target")?;
        let text = target.as_str().map_or_else(|| target.to_string(), str::to_owned);
        text.parse::<rust_decimal::Decimal>().ok()
    };
    let sum: Option<rust_decimal::Decimal> = holdings.iter().map(target).sum();
    i64::try_from(sum?).ok()
}

/// Targets must sum to exactly one.
pub(super) fn sums_to_one(weights: impl Iterator<Item = i64>) -> bool {
    weights.sum::<i64>() == ONE
}
