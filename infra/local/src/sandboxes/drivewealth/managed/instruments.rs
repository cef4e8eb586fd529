//! Instruments: some well-known ones, one that isn't traded in fractions, and one that isn't traded any more.

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::replies::{BAD_PATH, error};
use super::super::state::{Instrument, State};
use crate::sandboxes::call::Reply;

/// Symbols with their names, states, and whether fractions are traded.
const INSTRUMENTS: [(&str, &str, &str, bool); 14] = [
    ("AAPL", "Apple Inc.", "ACTIVE", true),
    ("AMZN", "Amazon.com Inc.", "ACTIVE", true),
    ("BRK.B", "Berkshire Hathaway Inc. Class B", "ACTIVE", true),
    ("ENPH", "Enphase Energy Inc.", "ACTIVE", true),
    ("FSLR", "First Solar Inc.", "ACTIVE", true),
    ("GOOGL", "Alphabet Inc. Class A", "ACTIVE", true),
    ("IRBT", "iRobot Corporation", "ACTIVE", true),
    ("ISRG", "Intuitive Surgical Inc.", "ACTIVE", true),
    ("MSFT", "Microsoft Corporation", "ACTIVE", true),
    ("NEE", "NextEra Energy Inc.", "ACTIVE", true),
    ("NVDA", "NVIDIA Corporation", "ACTIVE", true),
    ("TSLA", "Tesla Inc.", "ACTIVE", true),
    ("BRK.A", "Berkshire Hathaway Inc. Class A", "ACTIVE", false),
    ("TWTR", "Twitter Inc.", "INACTIVE", true),
];

/// The id of an instrument, which follows from its symbol.
pub(super) fn id_of(symbol: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("instrument {symbol}").as_bytes()).to_string()
}

/// All instruments.
pub(super) fn all(state: &State) -> Vec<Instrument> {
    let known = INSTRUMENTS.map(|(symbol, name, status, is_fractional)| Instrument {
        id: id_of(symbol),
        symbol: symbol.to_owned(),
        name: name.to_owned(),
        status: status.to_owned(),
        is_fractional,
    });
    let changed = &state.managed.changed_instruments;
    let as_now = |one: Instrument| changed.get(&one.id).cloned().unwrap_or(one);
    let known: Vec<Instrument> = known.into_iter().map(as_now).collect();
    let new = changed
        .values()
        .filter(|one| known.iter().all(|other| other.id != one.id))
        .cloned();
    let new: Vec<Instrument> = new.collect();
    known.into_iter().chain(new).collect()
}

pub(super) fn list(state: &State) -> Value {
    Value::Array(all(state).iter().map(Instrument::json).collect())
}

/// An instrument by its id or its symbol.
pub(super) fn get(state: &State, id: &str) -> Reply {
    let found = all(state)
        .into_iter()
        .find(|one| one.id == id || one.symbol == id);
    match found {
        Some(instrument) => Reply::ok(&instrument.json()),
        None => error(404, BAD_PATH, &format!("instrument {id} not found")),
    }
}

/// Gives a symbol another state; one that isn't there yet is listed from now on. Gives the event about it.
pub(super) fn set_status(state: &mut State, symbol: &str, status: &str) -> (&'static str, Value) {
    let found = all(state).into_iter().find(|one| one.symbol == symbol);
    let (kind, previous) = match &found {
        Some(instrument) => ("instruments.updated", json!({ "status": instrument.status })),
        None => ("instruments.created", Value::Null),
    };
    let instrument = Instrument {
        status: status.to_owned(),
        ..found.unwrap_or_else(|| Instrument {
            id: id_of(symbol),
            symbol: symbol.to_owned(),
            name: format!("{symbol} Inc."),
            status: String::new(),
            is_fractional: true,
        })
    };
    let payload = json!({
        "instrumentID": instrument.id,
        "symbol": instrument.symbol,
        "status": instrument.status,
        "previous": previous,
        "current": { "status": instrument.status },
    });
    state
        .managed
        .changed_instruments
        .insert(instrument.id.clone(), instrument);
    (kind, payload)
}
