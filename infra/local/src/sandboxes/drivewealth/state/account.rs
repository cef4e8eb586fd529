//! Accounts and what they hold.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{dollars, quantity, time};
use crate::sandboxes::numbers::ONE;

/// An account with its cash and its portfolio.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) number: String,
    pub(crate) user_id: String,
    pub(crate) status: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) updated: DateTime<Utc>,
    pub(crate) bank_accounts: BTreeSet<String>,
    pub(crate) cash_cents: i64,
    /// The part of the cash that may be withdrawn.
    pub(crate) withdrawable_cents: i64,
    /// The wanted weight of the cash, in ten-thousandths.
    pub(crate) cash_target: i64,
    pub(crate) funds: Vec<Fund>,
    /// The portfolio that it follows.
    #[serde(default)]
    pub(crate) follows: Follows,
}

/// The portfolio that an account follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Follows {
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
pub(crate) struct Fund {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The wanted weight, in ten-thousandths.
    pub(crate) target: i64,
    pub(crate) value_cents: i64,
    /// What it consists of; nothing for one that was given by its value alone.
    #[serde(default)]
    pub(crate) holdings: Vec<Holding>,
}

/// An instrument in a fund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Holding {
    pub(in super::super) instrument_id: String,
    pub(in super::super) symbol: String,
    /// The wanted part of the fund, in ten-thousandths.
    pub(in super::super) target: i64,
    pub(in super::super) value_cents: i64,
}

impl Fund {
    /// What the fund consists of: of one that was given by its value alone, one instrument that is named like it.
    pub(crate) fn holdings(&self) -> Vec<Holding> {
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
    pub(crate) fn change(&mut self, instrument: &str, amount_cents: i64) {
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
    pub(crate) fn set_value(&mut self, value_cents: i64) {
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
    pub(crate) fn portfolio_id(&self) -> Option<String> {
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
    pub(crate) fn fund_id(&self, name: &str) -> String {
        let name = format!("{}/{name}", self.id);
        format!("fund_{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
    }

    /// The value of everything in the account.
    pub(crate) fn equity_cents(&self) -> i64 {
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
    pub(crate) fn json(&self) -> Value {
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
            "ria": { "advisorID": super::super::RIA_USER_ID, "portfolioID": self.portfolio_id() },
            "createdWhen": time(self.created),
            "openedWhen": time(self.created),
            "updatedWhen": time(self.updated),
        })
    }

    /// The answer about the account's cash.
    pub(crate) fn money_json(&self, now: DateTime<Utc>, pending_cents: i64) -> Value {
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
    pub(crate) fn positions_json(&self, now: DateTime<Utc>) -> Value {
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
