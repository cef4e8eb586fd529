//! The handle's part for what an adviser manages, and its control routes.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::DriveWealthSandbox;
use super::super::events::envelope;
use super::super::state::{Holding, Run, RunState, Trade};
use super::{instruments, runs};
use crate::sandboxes::call::Call;
use crate::sandboxes::numbers::ONE;

/// How the autopilot goes on.
#[derive(Deserialize)]
struct Autopilot {
    pace_ms: Option<u64>,
    #[serde(default)]
    end_with: Option<String>,
    #[serde(default)]
    failing_accounts: Vec<String>,
}

#[derive(Deserialize)]
struct Status {
    status: String,
}

#[derive(Deserialize)]
struct HoldingValue {
    fund: String,
    symbol: String,
    value_cents: i64,
}

impl DriveWealthSandbox {
    /// All runs, oldest first.
    pub fn runs(&self) -> Vec<RunState> {
        let mut live = self.lock();
        super::proceed(&mut live.state, self.time());
        let mut runs: Vec<_> = live.state.managed.runs.values().collect();
        runs.sort_by_key(|run| run.created());
        runs.into_iter().map(Run::state).collect()
    }

    /// The runs of an account.
    pub fn runs_of(&self, account_id: &str) -> Vec<RunState> {
        let mut runs = self.runs();
        runs.retain(|run| run.accounts.iter().any(|account| account == account_id));
        runs
    }

    /// How many funds there are by the names that we know them by, which begin with this.
    pub fn funds_named(&self, beginning: &str) -> usize {
        let live = self.lock();
        let names = live.state.managed.fund_ids.keys();
        names.filter(|name| name.starts_with(beginning)).count()
    }

    /// What was traded for an account, oldest first.
    pub fn trades_of(&self, account_id: &str) -> Vec<Trade> {
        let mut live = self.lock();
        super::proceed(&mut live.state, self.time());
        live.state
            .managed
            .trades
            .get(account_id)
            .cloned()
            .unwrap_or_default()
    }

    /// Runs take their next state after this time; `None`: only by [`step_run`](Self::step_run).
    pub fn run_pace(&self, pace: Option<Duration>) {
        let mut live = self.lock();
        super::proceed(&mut live.state, self.time());
        let pace = pace.map(|pace| u64::try_from(pace.as_millis()).unwrap_or(u64::MAX));
        live.state.managed.settings.pace_ms = pace;
        self.changed();
    }

    /// Runs that are made from now on trade nothing and end in this state; `None`: they trade.
    pub fn runs_end_with(&self, status: Option<&str>) {
        self.lock().state.managed.settings.end_with = status.map(str::to_owned);
        self.changed();
    }

    /// Whether runs fail for this account alone.
    pub fn fail_account(&self, account_id: &str, fails: bool) {
        let mut live = self.lock();
        let failing = &mut live.state.managed.settings.failing_accounts;
        failing.retain(|other| other != account_id);
        if fails {
            failing.push(account_id.to_owned());
        }
        self.changed();
    }

    /// Lets a run take its next state.
    pub fn step_run(&self, run_id: &str) -> anyhow::Result<RunState> {
        let mut live = self.lock();
        let now = self.time();
        ensure!(
            runs::step(&mut live.state, run_id, now),
            "there is no run {run_id}, or it has ended"
        );
        self.changed();
        let run = live.state.managed.runs.get(run_id);
        Ok(run.context("the run is gone")?.state())
    }

    /// Gives an instrument a state (`ACTIVE`, `INACTIVE`) and sends the event; one that isn't there is listed from now on.
    pub fn set_instrument_status(&self, symbol: &str, status: &str) {
        let mut live = self.lock();
        let (kind, payload) = instruments::set_status(&mut live.state, symbol, status);
        self.emit(&mut live, envelope(kind, payload, self.time()));
    }

    /// The id of an instrument.
    pub fn instrument_id(&self, symbol: &str) -> String {
        instruments::id_of(symbol)
    }

    /// Lets a fund consist of instruments by their symbols, each with its part in ten-thousandths, in whole of what it is worth.
    pub fn set_fund_holdings(
        &self,
        account_id: &str,
        fund_id: &str,
        parts: &[(&str, i64)],
    ) -> anyhow::Result<()> {
        self.edit(account_id, |account| {
            let fund = account.funds.iter_mut().find(|fund| fund.id == fund_id);
            let fund = fund.with_context(|| format!("there is no fund {fund_id}"))?;
            let holding = |(symbol, target): &(&str, i64)| Holding {
                instrument_id: instruments::id_of(symbol),
                symbol: (*symbol).to_owned(),
                target: *target,
                value_cents: *target,
            };
            fund.holdings = parts.iter().map(holding).collect();
            let value = fund.value_cents;
            fund.value_cents = ONE;
            fund.set_value(value);
            Ok(())
        })
    }

    /// The price of an instrument in a fund moves: this is what the account's part is worth now.
    pub fn set_holding_value(
        &self,
        account_id: &str,
        fund_id: &str,
        symbol: &str,
        value_cents: i64,
    ) -> anyhow::Result<()> {
        self.edit(account_id, |account| {
            let fund = account.funds.iter_mut().find(|fund| fund.id == fund_id);
            let fund = fund.with_context(|| format!("there is no fund {fund_id}"))?;
            let mut holdings = fund.holdings();
            let holding = holdings.iter_mut().find(|holding| holding.symbol == symbol);
            let holding = holding.with_context(|| format!("the fund has no {symbol}"))?;
            fund.value_cents += value_cents - holding.value_cents;
            holding.value_cents = value_cents;
            fund.holdings = holdings;
            Ok(())
        })
    }
}

/// The control routes of it.
pub(in super::super) fn route(sandbox: &DriveWealthSandbox, call: &Call) -> anyhow::Result<Option<Value>> {
    let body = match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", ["runs"]) => json!({ "items": sandbox.runs() }),
        ("POST", ["runs", id, "step"]) => json!(sandbox.step_run(id)?),
        ("POST", ["autopilot"]) => {
            let settings: Autopilot = call.read()?;
            sandbox.run_pace(settings.pace_ms.map(Duration::from_millis));
            sandbox.runs_end_with(settings.end_with.as_deref());
            sandbox.lock().state.managed.settings.failing_accounts = settings.failing_accounts;
            json!({})
        }
        ("POST", ["instruments", symbol, "status"]) => {
            sandbox.set_instrument_status(symbol, &call.read::<Status>()?.status);
            json!({})
        }
        ("POST", ["accounts", id, "holdings"]) => {
            let holding: HoldingValue = call.read()?;
            sandbox.set_holding_value(id, &holding.fund, &holding.symbol, holding.value_cents)?;
            json!(sandbox.account(id))
        }
        _ => return Ok(None),
    };
    Ok(Some(body))
}
