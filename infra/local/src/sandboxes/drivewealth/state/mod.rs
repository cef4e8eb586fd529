//! The DriveWealth sandbox's state: accounts, payments, sessions and the replies it has given.

mod account;
mod documents;
mod managed;
mod opened;
mod payment;
mod people;

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) use account::{Account, Follows, Fund, Holding};
pub use documents::{Document, DocumentKind};
pub(super) use documents::{Documents, Link};
pub(super) use managed::{Instrument, Managed, Run};
pub use managed::{RunState, Trade};
pub use opened::{BankAccount, ManagedPortfolio};
pub use payment::{Decline, Payment, PaymentKind};
pub(super) use people::NewUpload;
pub use people::{Upload, User};

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

/// The answer given to the first call with an idempotency key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredReply {
    pub(super) at: DateTime<Utc>,
    pub(super) request: String,
    pub(super) status: u16,
    pub(super) body: String,
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
