//! What the trading engine says.

use end_to_end::funded::open;
use serde_json::{Value, json};

/// Snapshots that an account remembers.
pub(crate) const WINDOW: i64 = 100;
const SYMBOLS: [&str; 5] = ["EURUSD", "GBPUSD", "USDJPY", "XAUUSD", "US500"];

/// The balance with a snapshot.
pub(crate) fn balance(sequence: i64) -> i64 {
    10_000_000 + sequence
}

/// A snapshot within the rules.
pub(crate) fn good(account: i64, sequence: i64) -> Value {
    let mut snapshot = open(account, sequence, balance(sequence), 2_500);
    let positions = SYMBOLS.map(|symbol| {
        json!({ "symbol": symbol, "side": "long", "quantity": "0.5", "marketValue": 540_000, "riskAtStop": 10_000 })
    });
    snapshot["positions"] = json!(positions);
    snapshot
}

/// One that closes the account.
pub(crate) fn bad(account: i64, sequence: i64) -> Value {
    let mut snapshot = good(account, sequence);
    snapshot["balance"] = json!(8_000_000);
    snapshot
}
