//! From pending orders and the account's portfolio to the targets of a run. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::CollectionVersionId;
use domain::rate::{Weight, WeightError, normalise};
use domain::trading::collection::rebalancing::{Fund, Order, Plan, Uncountable, plan};
use domain::trading::collection::symbol::Symbol;
use domain::trading::collection::weights::TargetWeights;
use domain::trading::portfolio::{BrokerFund, BrokerPart};
use rust_decimal::Decimal;

use super::order::{Instruments, PendingOrder};
use super::targets::{KeptFund, KeptHolding, KeptOrder, KeptTargets, KeptTrade};
use crate::portfolio::snapshot::PortfolioSnapshot;

/// What becomes of the orders, and the targets of those that are carried out.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) targets: KeptTargets,
    /// The weights that orders without given ones are carried out with.
    pub(super) contents: Vec<(CollectionVersionId, TargetWeights)>,
}

/// Plans the orders.
///
/// # Errors
/// When figures are out of range.
pub(super) fn plan_orders(
    snapshot: &PortfolioSnapshot,
    orders: &[PendingOrder],
    instruments: &Instruments,
) -> Result<Planned, Uncountable> {
    let tradable: BTreeMap<CollectionVersionId, Option<TargetWeights>> = orders
        .iter()
        .map(|order| {
            let weights = order.weights.as_ref();
            let left =
                weights.and_then(|weights| weights.tradable(|symbol| instruments.contains_key(symbol)));
            (order.id, left)
        })
        .collect();
    let of = |order: &PendingOrder| tradable.get(&order.id).and_then(Option::as_ref);
    let planned = plan(
        &snapshot.portfolio,
        orders.iter().map(|order| as_planned(order, of(order))).collect(),
    )?;
    let carried_out: BTreeSet<CollectionVersionId> = planned
        .orders
        .iter()
        .filter_map(|(id, result)| result.is_ok().then_some(*id))
        .collect();
    let orders: Vec<&PendingOrder> = orders
        .iter()
        .filter(|order| carried_out.contains(&order.id))
        .collect();
    let funds = planned
        .funds
        .iter()
        .map(|(fund, weight)| {
            // The last order of a fund says what it consists of.
            let order = orders
                .iter()
                .filter(|order| fund_of(order) == *fund)
                .max_by_key(|order| order.id);
            let weights = order.and_then(|order| of(order));
            keep_fund(snapshot, fund, *weight, order.copied(), weights, instruments)
        })
        .collect::<Result<_, _>>()?;
    let contents = orders.iter().filter(|order| !order.has_weights);
    Ok(Planned {
        targets: KeptTargets {
            portfolio_id: snapshot.portfolio_id.clone(),
            cash: planned.cash,
            funds,
        },
        contents: contents
            .filter_map(|order| Some((order.id, of(order)?.clone())))
            .collect(),
        plan: planned,
    })
}

fn as_planned(order: &PendingOrder, weights: Option<&TargetWeights>) -> Order {
    Order {
        id: order.id,
        fund: fund_of(order),
        delta: order.delta,
        is_tradable: weights.is_some(),
    }
}

fn fund_of(order: &PendingOrder) -> Fund {
    match &order.fund_id {
        Some(fund) => Fund::Held(fund.clone()),
        None => Fund::New(order.collection_id),
    }
}

/// A fund as it is pushed. One that no order touches, or that an order sells of though nothing in it can be traded any more,
/// is told to consist of what it does: a run brings every fund to its targets, and would trade whatever has drifted.
fn keep_fund(
    snapshot: &PortfolioSnapshot,
    fund: &Fund,
    weight: Weight,
    order: Option<&PendingOrder>,
    weights: Option<&TargetWeights>,
    instruments: &Instruments,
) -> Result<KeptFund, Uncountable> {
    let fund_id = match fund {
        Fund::Held(id) => Some(id.clone()),
        Fund::New(_) => None,
    };
    let held = snapshot
        .portfolio
        .funds()
        .iter()
        .find(|held| Some(&held.id) == fund_id.as_ref());
    let parts = held.map_or(&[][..], |held| held.parts.as_slice());
    let holdings = match weights.filter(|_| order.is_some()) {
        Some(weights) => as_wanted(weights, instruments),
        None => as_they_are(held)?,
    };
    let trades = match order {
        Some(_) => {
            let whole = snapshot.portfolio.equity().to_decimal();
            let whole = whole.checked_mul(weight.as_decimal()).ok_or(Uncountable::Value)?;
            expected_trades(parts, &holdings, whole, instruments)?
        }
        None => Vec::new(),
    };
    Ok(KeptFund {
        fund_id,
        order: order.map(|order| KeptOrder {
            collection_id: order.collection_id,
            collection_name: order.collection_name.clone(),
            version_id: order.id,
        }),
        weight,
        holdings,
        trades,
    })
}

fn as_wanted(weights: &TargetWeights, instruments: &Instruments) -> Vec<KeptHolding> {
    let wanted = weights.iter().filter_map(|(symbol, weight)| {
        Some(KeptHolding {
            instrument: instruments.get(symbol)?.clone(),
            weight,
        })
    });
    wanted.collect()
}

fn as_they_are(held: Option<&BrokerFund>) -> Result<Vec<KeptHolding>, WeightError> {
    let parts = held.map_or(&[][..], |held| held.parts.as_slice());
    let values: Vec<Decimal> = parts.iter().map(|part| part.holding.value).collect();
    if values.iter().all(Decimal::is_zero) {
        return Ok(Vec::new());
    }
    let weights = normalise(&values)?;
    let holdings = parts.iter().zip(weights).filter(|(_, weight)| !weight.is_zero());
    Ok(holdings
        .map(|(part, weight)| KeptHolding {
            instrument: part.instrument.clone(),
            weight,
        })
        .collect())
}

/// What brings the parts of a fund to their wanted parts of its wanted value.
fn expected_trades(
    parts: &[BrokerPart],
    wanted: &[KeptHolding],
    whole: Decimal,
    instruments: &Instruments,
) -> Result<Vec<KeptTrade>, Uncountable> {
    let mut by_symbol: BTreeMap<Symbol, Decimal> = BTreeMap::new();
    for part in parts {
        // A symbol of another form is no collection's, and none of our fills has it.
        let Ok(symbol) = Symbol::parse(&part.symbol) else {
            continue;
        };
        let amount = by_symbol.entry(symbol).or_default();
        *amount = amount.checked_sub(part.holding.value).ok_or(Uncountable::Value)?;
    }
    for holding in wanted {
        let own = |part: &&BrokerPart| part.instrument == holding.instrument;
        let held = parts
            .iter()
            .find(own)
            .and_then(|part| Symbol::parse(&part.symbol).ok());
        let listed = instruments.iter().find(|(_, id)| **id == holding.instrument);
        let Some(symbol) = held.or_else(|| listed.map(|(symbol, _)| symbol.clone())) else {
            continue;
        };
        let value = whole
            .checked_mul(holding.weight.as_decimal())
            .ok_or(Uncountable::Value)?;
        let amount = by_symbol.entry(symbol).or_default();
        *amount = amount.checked_add(value).ok_or(Uncountable::Value)?;
    }
    let trades = by_symbol.into_iter().filter(|(_, amount)| !amount.is_zero());
    Ok(trades
        .map(|(symbol, amount)| KeptTrade { symbol, amount })
        .collect())
}
