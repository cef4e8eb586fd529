//! Funds: what each consists of, in ten-thousandths of it.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::state::{Fund, Holding, State};
use super::instruments;
use crate::sandboxes::call::Call;
use crate::sandboxes::numbers::{ONE, weight, weight_in};

#[derive(Deserialize)]
struct NewFund {
    #[serde(rename = "clientFundID")]
    client_fund_id: String,
    name: String,
    holdings: Vec<Part>,
}

#[derive(Deserialize)]
struct Change {
    holdings: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "instrumentID")]
    instrument_id: String,
    target: Box<RawValue>,
}

pub(super) fn create(state: &mut State, call: &Call) -> Result<Value, String> {
    let new: NewFund = call.json()?;
    if state.managed.fund_ids.contains_key(&new.client_fund_id) {
        return Err(format!("clientFundID {} exists already", new.client_fund_id));
    }
    let fund = Fund {
        id: format!("fund_{}", Uuid::new_v4()),
        holdings: targets(state, &[], new.holdings)?,
        name: new.name,
        target: 0,
        value_cents: 0,
    };
    let managed = &mut state.managed;
    managed
        .fund_ids
        .insert(new.client_fund_id.clone(), fund.id.clone());
    managed.unattached.insert(fund.id.clone(), fund.clone());
    Ok(definition(&fund, Some(&new.client_fund_id)))
}

/// Replaces what a fund should consist of. What it holds beyond that is kept until a run sells it.
pub(super) fn change(state: &mut State, id: &str, call: &Call) -> Result<Value, String> {
    let change: Change = call.json()?;
    let held = find(state, id)
        .ok_or(format!("fund {id} not found"))?
        .holdings
        .clone();
    let targets = targets(state, &held, change.holdings)?;
    let fund = find(state, id).ok_or(format!("fund {id} not found"))?;
    let left = held.into_iter().filter(|holding| holding.value_cents > 0);
    let left = left.filter(|holding| {
        targets
            .iter()
            .all(|other| other.instrument_id != holding.instrument_id)
    });
    let left: Vec<Holding> = left.map(|holding| Holding { target: 0, ..holding }).collect();
    fund.holdings = targets.iter().cloned().chain(left).collect();
    Ok(definition(fund, None))
}

pub(super) fn list(state: &State) -> Value {
    let attached = state.accounts.values().flat_map(|account| &account.funds);
    let funds = attached.chain(state.managed.unattached.values());
    let named = |id: &str| state.managed.fund_ids.iter().find(|(_, fund)| *fund == id);
    Value::Array(
        funds
            .map(|fund| definition(fund, named(&fund.id).map(|(name, _)| name.as_str())))
            .collect(),
    )
}

/// A fund that no portfolio had so far, for the one that names it now.
pub(in super::super) fn attach(state: &State, id: &str) -> Option<Fund> {
    state.managed.unattached.get(id).cloned()
}

/// The fund is in a portfolio.
pub(in super::super) fn attached(state: &mut State, id: &str) {
    state.managed.unattached.remove(id);
}

fn find<'a>(state: &'a mut State, id: &str) -> Option<&'a mut Fund> {
    let attached = state.accounts.values_mut().flat_map(|account| &mut account.funds);
    let mut funds = attached.chain(state.managed.unattached.values_mut());
    funds.find(|fund| fund.id == id)
}

/// The wanted parts with what is held of them: they sum to one, and of what is added fractions are traded.
fn targets(state: &State, held: &[Holding], parts: Vec<Part>) -> Result<Vec<Holding>, String> {
    let known = instruments::all(state);
    let mut targets: Vec<Holding> = Vec::with_capacity(parts.len());
    for part in parts {
        let id = part.instrument_id;
        let target = weight_in(&part.target)
            .filter(|weight| (1..=ONE).contains(weight))
            .ok_or("a target must be above 0 and at most 1 with at most 4 decimals")?;
        if targets.iter().any(|other| other.instrument_id == id) {
            return Err(format!("instrument {id} is there twice"));
        }
        let own = held.iter().find(|holding| holding.instrument_id == id);
        let instrument = known.iter().find(|one| one.id == id);
        let symbol = match (own, instrument) {
            (Some(own), _) => own.symbol.clone(),
            (None, Some(one)) if one.status == "ACTIVE" && one.is_fractional => one.symbol.clone(),
            _ => return Err(format!("instrument {id} can't be traded")),
        };
        targets.push(Holding {
            instrument_id: id,
            symbol,
            target,
            value_cents: own.map_or(0, |own| own.value_cents),
        });
    }
    if targets.iter().map(|holding| holding.target).sum::<i64>() != ONE {
        return Err("the targets must sum to 1".to_owned());
    }
    Ok(targets)
}

fn definition(fund: &Fund, client_fund_id: Option<&str>) -> Value {
    let holdings = fund.holdings().into_iter().filter(|holding| holding.target > 0);
    let holdings: Vec<Value> = holdings
        .map(|holding| json!({ "instrumentID": holding.instrument_id, "target": weight(holding.target) }))
        .collect();
    json!({
        "id": fund.id,
        "userID": super::super::RIA_USER_ID,
        "name": fund.name,
        "clientFundID": client_fund_id,
        "holdings": holdings,
        "isFundTargetsChanged": false,
    })
}
