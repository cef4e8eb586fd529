//! What an adviser manages: instruments, funds that are in no portfolio yet, and the autopilot's runs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Fund, time};
use crate::sandboxes::numbers::number;

/// A run takes so long from one state to the next, unless told otherwise.
const PACE_MS: u64 = 20;

/// Everything of it that outlives a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Managed {
    /// Instruments by id whose state isn't the one that they begin with.
    pub(crate) changed_instruments: BTreeMap<String, Instrument>,
    /// Funds that are in no portfolio yet.
    pub(crate) unattached: BTreeMap<String, Fund>,
    /// The ids of funds by the names that the adviser gave them.
    pub(crate) fund_ids: BTreeMap<String, String>,
    pub(crate) runs: BTreeMap<String, Run>,
    /// What was traded, by account.
    pub(crate) trades: BTreeMap<String, Vec<Trade>>,
    pub(crate) settings: Settings,
}

/// An instrument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Instrument {
    pub(crate) id: String,
    pub(crate) symbol: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) is_fractional: bool,
}

impl Instrument {
    pub(crate) fn json(&self) -> Value {
        let places = if self.is_fractional { 8 } else { 0 };
        json!({
            "id": self.id,
            "instrumentID": self.id,
            "symbol": self.symbol,
            "name": self.name,
            "type": "EQUITY",
            "status": self.status,
            "orderSizeMin": number(1, places),
            "orderSizeStep": number(1, places),
        })
    }
}

/// How runs go.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// From one state to the next; none: by `step` alone.
    pub(crate) pace_ms: Option<u64>,
    /// What runs that are made from now on come to, instead of trading.
    pub(crate) end_with: Option<String>,
    /// Accounts for which nothing is traded, as an error of their own.
    pub(crate) failing_accounts: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pace_ms: Some(PACE_MS),
            end_with: None,
            failing_accounts: Vec::new(),
        }
    }
}

/// A run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) accounts: Vec<String>,
    /// Whether no account was named, which means all of them.
    pub(crate) is_of_all: bool,
    pub(crate) states: Vec<String>,
    pub(crate) position: usize,
    pub(crate) created: DateTime<Utc>,
    pub(crate) updated: DateTime<Utc>,
    pub(crate) orders: usize,
    pub(crate) errors: u64,
}

/// A run, for tests and the control routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunState {
    /// Its id.
    pub id: String,
    /// The accounts that it is for.
    pub accounts: Vec<String>,
    /// Whether no account was named, so that it is for all of them.
    pub is_of_all: bool,
    /// Its state.
    pub status: String,
}

/// What was traded for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// The symbol.
    pub symbol: String,
    /// The cents, above zero where it was bought.
    pub amount_cents: i64,
    /// When.
    pub at: DateTime<Utc>,
}

impl Run {
    pub(crate) fn status(&self) -> &str {
        self.states.get(self.position).map_or("", String::as_str)
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "riaID": super::super::RIA_USER_ID,
            "status": self.status(),
            "created": time(self.created),
            "updated": time(self.updated),
            "reviewOnly": false,
            "orders": { "total": self.orders },
            "subAccounts": { "total": self.accounts.len(), "error": self.errors },
        })
    }

    pub(crate) fn created(&self) -> DateTime<Utc> {
        self.created
    }

    pub(crate) fn state(&self) -> RunState {
        RunState {
            id: self.id.clone(),
            accounts: self.accounts.clone(),
            is_of_all: self.is_of_all,
            status: self.status().to_owned(),
        }
    }
}
