//! The autopilot's runs: they take their time through DriveWealth's states, and trade on their way.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::replies::{BAD_PATH, error};
use super::super::state::{Account, Fund, Holding, Run, State, Trade, dollars, time};
use crate::sandboxes::call::{Call, Reply};
use crate::sandboxes::numbers::ONE;

/// The states of a run that trades, one after the other.
const WITH_ORDERS: [&str; 14] = [
    "REBALANCE_NOT_STARTED",
    "REBALANCE_50",
    "REBALANCE_COMPLETED",
    "AMOUNTCASH_ORDERS_AGGREGATED",
    "SUBACCOUNT_ORDERS_ADJUSTED",
    "SELL_AMOUNTCASH_ORDERS_SUBMITTED",
    "SELL_AMOUNTCASH_ORDERS_COMPLETED",
    "BUY_AMOUNTCASH_ORDERS_SUBMITTED",
    "BUY_AMOUNTCASH_ORDERS_COMPLETED",
    "ALLOCATION_SUBMITTED",
    "ALLOCATION_50",
    "ALLOCATION_COMPLETED",
    "SUBACCOUNT_HOLDINGS_UPDATED",
    "SUCCESS",
];
/// The states of a run that finds nothing to trade.
const WITHOUT_ORDERS: [&str; 3] = [
    "REBALANCE_NOT_STARTED",
    "REBALANCE_50",
    "REBALANCE_NO_ORDERS_GENERATED",
];
/// In this state the accounts have what was traded for them.
const TRADED: &str = "SUBACCOUNT_HOLDINGS_UPDATED";
/// A difference of less than this part of the account is left alone: half of what a weight can say.
const SMALLEST_PART: i64 = 20_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewRun {
    review_only: bool,
    force_rebalance: bool,
    #[serde(default)]
    sub_accounts: Vec<String>,
}

pub(super) fn create(state: &mut State, call: &Call, now: DateTime<Utc>) -> Result<Value, String> {
    let new: NewRun = call.json()?;
    if let Some(unknown) = new
        .sub_accounts
        .iter()
        .find(|id| !state.accounts.contains_key(*id))
    {
        return Err(format!("sub-account {unknown} not found"));
    }
    let is_of_all = new.sub_accounts.is_empty();
    let accounts = if is_of_all {
        state.accounts.keys().cloned().collect()
    } else {
        new.sub_accounts
    };
    let closed = |id: &&String| {
        state
            .accounts
            .get(*id)
            .is_some_and(|account| account.status != "OPEN")
    };
    if let Some(closed) = accounts.iter().find(closed) {
        return Err(format!("sub-account {closed} is not open"));
    }
    let orders: usize = accounts
        .iter()
        .filter_map(|id| state.accounts.get(id))
        .map(|account| changes(account).len())
        .sum();
    let settings = &state.managed.settings;
    let mut states: Vec<&str> = match orders {
        0 => WITHOUT_ORDERS.to_vec(),
        _ => WITH_ORDERS.to_vec(),
    };
    if new.review_only || !new.force_rebalance {
        states = vec!["REBALANCE_NOT_STARTED", "REBALANCE_REVIEW_COMPLETED"];
    }
    if let Some(end) = &settings.end_with {
        states = vec!["REBALANCE_NOT_STARTED", "REBALANCE_50", end];
    }
    let run = Run {
        id: format!("ria_rebalance_{}", Uuid::new_v4()),
        is_of_all,
        states: states.into_iter().map(str::to_owned).collect(),
        position: 0,
        created: now,
        updated: now,
        orders,
        errors: 0,
        accounts,
    };
    let json = json!({
        "id": run.id, "created": time(now), "status": run.status(), "riaID": super::super::RIA_USER_ID,
    });
    state.managed.runs.insert(run.id.clone(), run);
    Ok(json)
}

pub(super) fn get(state: &State, id: &str) -> Reply {
    match state.managed.runs.get(id) {
        Some(run) => Reply::ok(&run.json()),
        None => error(404, BAD_PATH, &format!("run {id} not found")),
    }
}

pub(super) fn list(state: &State) -> Value {
    Value::Array(state.managed.runs.values().map(Run::json).collect())
}

/// An account's trades from one time to another, as the query has them.
pub(super) fn transactions(state: &State, account: &str, query: &str) -> Value {
    let at = |name: &str| {
        let value = query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|text| {
            text.replace("%3A", ":")
                .replace("%2B", "+")
                .parse::<DateTime<Utc>>()
                .ok()
        })
    };
    let (from, to) = (at("from"), at("to"));
    let trades = state.managed.trades.get(account).into_iter().flatten();
    let trades =
        trades.filter(|trade| from.is_none_or(|from| from <= trade.at) && to.is_none_or(|to| trade.at <= to));
    Value::Array(
        trades
            .map(|trade| {
                json!({
                    "finTranTypeID": if trade.amount_cents > 0 { "SPUR" } else { "SSAL" },
                    "accountAmount": dollars(-trade.amount_cents),
                    "instrument": { "symbol": trade.symbol },
                    "tranWhen": time(trade.at),
                })
            })
            .collect(),
    )
}

/// Lets every run go on by the time that has passed; says whether one did.
pub(super) fn proceed(state: &mut State, now: DateTime<Utc>) -> bool {
    let Some(pace_ms) = state.managed.settings.pace_ms else {
        return false;
    };
    let pace = TimeDelta::from_std(Duration::from_millis(pace_ms)).unwrap_or(TimeDelta::MAX);
    let ids: Vec<String> = state.managed.runs.keys().cloned().collect();
    let mut moved = false;
    for id in ids {
        let due = |state: &State| {
            let run = state.managed.runs.get(&id);
            run.is_some_and(|run| run.position + 1 < run.states.len() && now - run.updated >= pace)
        };
        while due(state) {
            let at = state.managed.runs.get(&id).map_or(now, |run| run.updated + pace);
            moved |= step(state, &id, at);
        }
    }
    moved
}

/// Takes a run's next state.
pub(super) fn step(state: &mut State, id: &str, at: DateTime<Utc>) -> bool {
    let Some(run) = state
        .managed
        .runs
        .get_mut(id)
        .filter(|run| run.position + 1 < run.states.len())
    else {
        return false;
    };
    run.position += 1;
    run.updated = at;
    if run.status() == TRADED {
        let accounts = run.accounts.clone();
        let errors = accounts
            .iter()
            .filter(|account| !trade(state, account, at))
            .count();
        if let Some(run) = state.managed.runs.get_mut(id) {
            run.errors = u64::try_from(errors).unwrap_or(u64::MAX);
        }
    }
    true
}

/// Trades for an account what its targets ask for; says whether it has no error of its own.
fn trade(state: &mut State, id: &str, at: DateTime<Utc>) -> bool {
    if state
        .managed
        .settings
        .failing_accounts
        .iter()
        .any(|failing| failing == id)
    {
        return false;
    }
    let Some(account) = state.accounts.get_mut(id) else {
        return false;
    };
    let mut traded: Vec<Trade> = Vec::new();
    for change in changes(account) {
        let fund = account.funds.iter_mut().find(|fund| fund.id == change.fund);
        let Some(fund) = fund else { continue };
        fund.change(&change.instrument, change.amount_cents);
        account.cash_cents -= change.amount_cents;
        account.withdrawable_cents = account.withdrawable_cents.min(account.cash_cents);
        match traded.iter_mut().find(|trade| trade.symbol == change.symbol) {
            Some(trade) => trade.amount_cents += change.amount_cents,
            None => traded.push(Trade {
                symbol: change.symbol,
                amount_cents: change.amount_cents,
                at,
            }),
        }
    }
    let is_over = |fund: &Fund| fund.value_cents == 0 && fund.target == 0;
    let over: Vec<Fund> = account
        .funds
        .iter()
        .filter(|fund| is_over(fund))
        .cloned()
        .collect();
    account.funds.retain(|fund| !is_over(fund));
    account.updated = at;
    // The fund stays the adviser's, and another portfolio's targets may name it.
    let over = over.into_iter().map(|fund| (fund.id.clone(), fund));
    state.managed.unattached.extend(over);
    let traded = traded.into_iter().filter(|trade| trade.amount_cents != 0);
    state
        .managed
        .trades
        .entry(id.to_owned())
        .or_default()
        .extend(traded);
    true
}

/// What is to be traded in one fund.
struct Change {
    fund: String,
    instrument: String,
    symbol: String,
    amount_cents: i64,
}

/// What brings an account to its targets: sales first.
fn changes(account: &Account) -> Vec<Change> {
    let equity = account.equity_cents();
    let smallest = equity / SMALLEST_PART;
    let mut changes = Vec::new();
    for fund in &account.funds {
        let wanted = part(equity, fund.target);
        for (holding, wanted) in wanted_holdings(fund, wanted) {
            let amount_cents = wanted - holding.value_cents;
            let is_order = if wanted == 0 {
                amount_cents != 0
            } else {
                amount_cents.abs() > smallest
            };
            if is_order {
                changes.push(Change {
                    fund: fund.id.clone(),
                    instrument: holding.instrument_id,
                    symbol: holding.symbol,
                    amount_cents,
                });
            }
        }
    }
    changes.sort_by_key(|change| change.amount_cents > 0);
    changes
}

/// A fund's holdings with the values that they should have; the cents that rounding leaves go to the first.
fn wanted_holdings(fund: &Fund, value_cents: i64) -> Vec<(Holding, i64)> {
    let holdings = fund.holdings();
    let mut wanted: Vec<i64> = holdings
        .iter()
        .map(|holding| part(value_cents, holding.target))
        .collect();
    let rest = value_cents - wanted.iter().sum::<i64>();
    if let Some(first) = wanted.first_mut().filter(|first| **first > 0) {
        *first += rest;
    }
    holdings.into_iter().zip(wanted).collect()
}

fn part(value_cents: i64, weight: i64) -> i64 {
    let exact = i128::from(value_cents) * i128::from(weight);
    i64::try_from(exact.div_euclid(i128::from(ONE))).unwrap_or(i64::MAX)
}
