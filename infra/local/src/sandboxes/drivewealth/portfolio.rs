//! Portfolios: the status of an account's (which is reality) and the targets (which is what the adviser wants).

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::managed;
use super::state::{Account, Fund, State, dollars, quantity, sums_to_one, time};
use crate::sandboxes::gate::PortfolioDefect;
use crate::sandboxes::numbers::{ONE, weight, weight_in};

/// The status of the account's portfolio: `GET /accounts/{id}/portfolio`.
pub(super) fn status(account: &Account) -> Value {
    let equity = account.equity_cents();
    let mut values = vec![account.cash_cents];
    values.extend(account.funds.iter().map(|fund| fund.value_cents));
    let mut actuals = floored(&values, equity).into_iter();
    let cash_actual = actuals.next().unwrap_or_default();
    let mut drift = (cash_actual - account.cash_target).abs();
    let mut holdings = vec![cash_status(account, cash_actual)];
    for (fund, actual) in account.funds.iter().zip(actuals) {
        drift += (actual - fund.target).abs();
        holdings.push(fund_status(fund, actual));
    }
    json!({
        "id": account.portfolio_id(),
        "equity": dollars(equity),
        "totalDrift": weight(drift),
        "rebalanceRequired": false,
        "nextPortfolioRebalance": Value::Null,
        "lastPortfolioRebalance": Value::Null,
        "updated": time(account.updated),
        "holdings": holdings,
    })
}

fn cash_status(account: &Account, actual: i64) -> Value {
    json!({
        "id": "CASH",
        "type": "CASH_RESERVE",
        "name": Value::Null,
        "target": weight(account.cash_target),
        "actual": weight(actual),
        "value": dollars(account.cash_cents),
        "rebalanceRequired": false,
        "holdings": Value::Null,
    })
}

/// Shares as DriveWealth tells them: floored, so that they may miss their sum.
fn floored(parts: &[i64], whole: i64) -> Vec<i64> {
    let share = |part: &i64| {
        let share = (i128::from(*part) * i128::from(ONE)).checked_div(i128::from(whole));
        share
            .and_then(|share| i64::try_from(share).ok())
            .unwrap_or_default()
    };
    parts.iter().map(share).collect()
}

fn fund_status(fund: &Fund, actual: i64) -> Value {
    let holdings = fund.holdings();
    let values: Vec<i64> = holdings.iter().map(|holding| holding.value_cents).collect();
    let actuals = floored(&values, fund.value_cents);
    let holdings: Vec<Value> = holdings
        .iter()
        .zip(actuals)
        .map(|(holding, actual)| {
            json!({
                "instrumentID": holding.instrument_id,
                "symbol": holding.symbol,
                "target": weight(holding.target),
                "actual": weight(actual),
                "openQty": quantity(holding.value_cents),
                "value": dollars(holding.value_cents),
            })
        })
        .collect();
    json!({
        "id": fund.id,
        "type": "FUND",
        "name": fund.name,
        "target": weight(fund.target),
        "actual": weight(actual),
        "value": dollars(fund.value_cents),
        "rebalanceRequired": false,
        "holdings": holdings,
    })
}

/// The status with a defect, as DriveWealth sometimes gives it.
pub(super) fn defective_status(account: &Account, defect: PortfolioDefect) -> Value {
    let mut status = status(account);
    let cash = status.pointer_mut("/holdings/0").and_then(Value::as_object_mut);
    let Some(cash) = cash else {
        return status;
    };
    match defect {
        PortfolioDefect::Negative => {
            cash.insert("value".to_owned(), dollars(-1 - account.cash_cents.abs()));
        }
        PortfolioDefect::Sum => {
            let actual = cash.get("actual").and_then(Value::as_f64).unwrap_or_default();
            let wrong = if actual > 0.5 { 0 } else { ONE };
            cash.insert("actual".to_owned(), weight(wrong));
        }
        PortfolioDefect::Nulls => {
            for name in ["target", "actual", "value"] {
                cash.insert(name.to_owned(), Value::Null);
            }
        }
    }
    status
}

/// The portfolio itself: `GET /managed/portfolios/{id}`.
pub(super) fn definition(account: &Account) -> Value {
    let mut holdings = vec![json!({ "type": "CASH_RESERVE", "target": weight(account.cash_target) })];
    for fund in &account.funds {
        holdings.push(json!({ "type": "FUND", "id": fund.id, "target": weight(fund.target) }));
    }
    json!({
        "id": account.portfolio_id(),
        "userID": super::RIA_USER_ID,
        "name": format!("Portfolio of {}", account.number),
        "clientPortfolioID": account.number,
        "description": "",
        "holdings": holdings,
        "triggers": [{
            "type": "TOTAL_DRIFT",
            "maxAllowed": 0.1,
            "child": Value::Null,
            "lowerBound": Value::Null,
            "upperBound": Value::Null,
        }],
    })
}

/// The body of `PATCH /managed/portfolios/{id}`.
#[derive(Deserialize)]
pub(super) struct Targets {
    holdings: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    target: Box<RawValue>,
}

/// The funds that the targets name and no portfolio has yet.
pub(super) fn new_funds(state: &State, targets: &Targets) -> Vec<Fund> {
    let named = targets.holdings.iter().filter_map(|target| target.id.as_deref());
    named.filter_map(|id| managed::attach(state, id)).collect()
}

/// Replaces all targets; a fund that isn't named gets none. Says what is wrong if it can't.
pub(super) fn set_targets(account: &mut Account, targets: &Targets, new: &[Fund]) -> Result<(), String> {
    let mut cash_target = 0;
    let mut funds = account.funds.clone();
    funds.extend_from_slice(new);
    for fund in &mut funds {
        fund.target = 0;
    }
    for target in &targets.holdings {
        let weight = weight_in(&target.target)
            .filter(|weight| (0..=ONE).contains(weight))
            .ok_or("a target must be between 0 and 1 with at most 4 decimals")?;
        match (target.kind.as_str(), &target.id) {
            ("CASH_RESERVE", _) => cash_target = weight,
            ("FUND", Some(id)) => {
                let fund = funds
                    .iter_mut()
                    .find(|fund| fund.id == *id)
                    .ok_or(format!("fund {id} not found"))?;
                fund.target = weight;
            }
            (kind, _) => return Err(format!("holding of type {kind} is not valid")),
        }
    }
    if !sums_to_one(funds.iter().map(|fund| fund.target).chain([cash_target])) {
        return Err("the targets must sum to 1".to_owned());
    }
    account.cash_target = cash_target;
    account.funds = funds;
    Ok(())
}
