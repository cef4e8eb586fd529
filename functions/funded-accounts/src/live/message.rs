//! A record of the topic `funded-account.positions`. Amounts are whole cents; a quantity is a decimal, as a number or a text.

use chrono::{DateTime, Utc};
use domain::funded::snapshot::{OpenPosition, Place, Side, Snapshot};
use domain::ids::FundedAccountId;
use rust_decimal::Decimal;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An account as the trading engine has it at a moment.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PositionUpdate {
    account_id: FundedAccountId,
    epoch: i64,
    sequence: i64,
    at: DateTime<Utc>,
    balance: i64,
    unrealized_pnl: i64,
    realized_pnl: i64,
    #[serde(default)]
    cumulative_payouts: i64,
    /// Without a default: a snapshot that doesn't say what is open isn't one of a flat account.
    positions: Vec<Position>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Position {
    symbol: String,
    side: Side,
    #[serde(deserialize_with = "decimal")]
    quantity: Decimal,
    market_value: i64,
    #[serde(default)]
    risk_at_stop: Option<i64>,
}

impl PositionUpdate {
    pub(super) fn into_snapshot(self) -> (FundedAccountId, Snapshot) {
        let open = |position: Position| OpenPosition {
            symbol: position.symbol,
            side: position.side,
            quantity: position.quantity,
            market_value_cents: position.market_value,
            risk_at_stop_cents: position.risk_at_stop,
        };
        let snapshot = Snapshot {
            place: Place {
                epoch: self.epoch,
                sequence: self.sequence,
            },
            at: self.at,
            balance_cents: self.balance,
            cumulative_payouts_cents: self.cumulative_payouts,
            realized_pnl_cents: self.realized_pnl,
            unrealized_pnl_cents: self.unrealized_pnl,
            positions: self.positions.into_iter().map(open).collect(),
        };
        (self.account_id, snapshot)
    }
}

/// Reads the digits of the document, never through a float.
fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let digits = raw.get().trim_matches('"');
    let read = Decimal::from_str_exact(digits).or_else(|_| Decimal::from_scientific(digits));
    read.map_err(|_| D::Error::custom("a decimal number is expected"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(change: impl FnOnce(&mut Value)) -> Result<(FundedAccountId, Snapshot), String> {
        let mut update = json!({
            "accountId": 7, "epoch": 0, "sequence": 3, "at": "2026-11-02T15:00:00.250Z", "balance": 10_012_000,
            "unrealizedPnl": -2_000, "realizedPnl": 12_000, "more": {"is": "ignored"},
            "positions": [{"symbol": "EURUSD", "side": "short", "quantity": 0.3, "marketValue": -300_000}],
        });
        change(&mut update);
        let read = serde_json::from_str::<PositionUpdate>(&update.to_string());
        read.map(PositionUpdate::into_snapshot)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_update_is_a_snapshot_in_cents() {
        let (account, snapshot) = read(|_| ()).unwrap();
        assert_eq!((account.get(), snapshot.balance_cents), (7, 10_012_000));
        assert_eq!(snapshot.cumulative_payouts_cents, 0);
        assert_eq!(snapshot.positions[0].quantity.to_string(), "0.3");
        assert_eq!(snapshot.positions[0].risk_at_stop_cents, None);
        let text = read(|update| update["positions"][0]["quantity"] = json!("1e3")).unwrap();
        assert_eq!(text.1.positions[0].quantity, Decimal::from(1_000));
    }

    #[test]
    fn an_update_that_leaves_something_out_is_none() {
        type Change = fn(&mut Value);
        let changes: [(Change, &str); 5] = [
            (
                |update| drop(update.as_object_mut().unwrap().remove("positions")),
                "positions",
            ),
            (|update| update["positions"] = Value::Null, "null"),
            (|update| update["balance"] = json!(12.5), "12.5"),
            (|update| update["accountId"] = json!(0), "above zero"),
            (
                |update| update["positions"][0]["quantity"] = json!("many"),
                "decimal",
            ),
        ];
        for (change, expected) in changes {
            let error = read(change).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
