//! What the trading engine says of an account at a moment.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::stored::named_enum;

/// Open positions that an account may have.
pub const MAX_POSITIONS: usize = 500;
/// No amount is beyond ten trillion dollars: sums of all positions stay exact.
const MAX_AMOUNT_CENTS: i64 = 1_000_000_000_000_000;
/// Characters of a symbol.
const MAX_SYMBOL_LENGTH: usize = 32;

named_enum! {
    /// Which way a position gains.
    pub enum Side {
        /// When the price rises.
        Long = "long",
        /// When the price falls.
        Short = "short",
    }
}

/// A position that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPosition {
    /// What is held.
    pub symbol: String,
    /// Which way.
    pub side: Side,
    /// How much of it.
    pub quantity: Decimal,
    /// What it is worth, in cents; below zero for what is owed.
    pub market_value_cents: i64,
    /// What is lost at its stop, in cents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_at_stop_cents: Option<i64>,
}

/// The order of snapshots: the engine counts them, and begins anew in another epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// How often the engine has begun anew.
    pub epoch: i64,
    /// The snapshot's number in its epoch.
    pub sequence: i64,
}

/// An account at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Where it stands among the others.
    pub place: Place,
    /// When it was.
    pub at: DateTime<Utc>,
    /// The balance as the engine has it.
    pub balance_cents: i64,
    /// What the engine has taken from the balance for withdrawals.
    pub cumulative_payouts_cents: i64,
    /// The profit and loss of all positions that were closed.
    pub realized_pnl_cents: i64,
    /// The profit and loss of those that are open.
    pub unrealized_pnl_cents: i64,
    /// Those that are open.
    pub positions: Vec<OpenPosition>,
}

/// Why a snapshot is refused; a person looks at it, and the account stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SnapshotRefused {
    /// More positions than an account may have.
    #[error("it has more than {MAX_POSITIONS} positions")]
    TooManyPositions,
    /// A number that can't be below zero is.
    #[error("{0} is below zero")]
    BelowZero(&'static str),
    /// A number is larger than any there can be.
    #[error("{0} is beyond ten trillion dollars")]
    TooLarge(&'static str),
    /// A symbol that is none.
    #[error("a symbol has to have 1 to {MAX_SYMBOL_LENGTH} characters")]
    Symbol,
    /// Another snapshot has this place.
    #[error("another snapshot with other content has the same epoch and sequence")]
    PlaceTaken,
    /// It is older than all that are remembered.
    #[error("it is older than the last 100 snapshots")]
    TooLate,
    /// Its equity is more than ten times the peak there was.
    #[error("its equity is more than ten times the peak")]
    ImplausiblePeak,
}

impl Snapshot {
    /// Passes a snapshot whose every number can be one.
    pub fn check(&self) -> Result<(), SnapshotRefused> {
        if self.positions.len() > MAX_POSITIONS {
            return Err(SnapshotRefused::TooManyPositions);
        }
        let counts = [
            ("epoch", self.place.epoch),
            ("sequence", self.place.sequence),
            ("cumulativePayouts", self.cumulative_payouts_cents),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count < 0) {
            return Err(SnapshotRefused::BelowZero(name));
        }
        for (name, amount) in [
            ("balance", self.balance_cents),
            ("cumulativePayouts", self.cumulative_payouts_cents),
            ("realizedPnl", self.realized_pnl_cents),
            ("unrealizedPnl", self.unrealized_pnl_cents),
        ] {
            check_amount(name, amount)?;
        }
        self.positions.iter().try_for_each(check_position)
    }

    /// The balance without withdrawals: what the engine took for them is added back.
    pub(super) fn neutral_balance_cents(&self) -> i64 {
        self.balance_cents.saturating_add(self.cumulative_payouts_cents)
    }

    /// The neutral balance and what is open.
    pub(super) fn equity_cents(&self) -> i64 {
        self.neutral_balance_cents()
            .saturating_add(self.unrealized_pnl_cents)
    }

    /// The risk of the largest trade: positions of one symbol and side are one trade.
    pub(super) fn risk_cents(&self) -> i64 {
        let mut trades: BTreeMap<(&str, Side), i64> = BTreeMap::new();
        for position in &self.positions {
            let value = position.market_value_cents.saturating_abs();
            let risk = position.risk_at_stop_cents.unwrap_or(value);
            let trade = trades.entry((&position.symbol, position.side)).or_default();
            *trade = trade.saturating_add(risk);
        }
        trades.into_values().max().unwrap_or_default()
    }
}

fn check_position(position: &OpenPosition) -> Result<(), SnapshotRefused> {
    if position.symbol.trim().is_empty() || position.symbol.chars().count() > MAX_SYMBOL_LENGTH {
        return Err(SnapshotRefused::Symbol);
    }
    if position.quantity < Decimal::ZERO {
        return Err(SnapshotRefused::BelowZero("a position's quantity"));
    }
    check_amount("a position's marketValue", position.market_value_cents)?;
    match position.risk_at_stop_cents {
        Some(risk) if risk < 0 => Err(SnapshotRefused::BelowZero("a position's riskAtStop")),
        Some(risk) => check_amount("a position's riskAtStop", risk),
        None => Ok(()),
    }
}

fn check_amount(name: &'static str, amount_cents: i64) -> Result<(), SnapshotRefused> {
    let fits = (-MAX_AMOUNT_CENTS..=MAX_AMOUNT_CENTS).contains(&amount_cents);
    fits.then_some(()).ok_or(SnapshotRefused::TooLarge(name))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A flat account with this balance, by its number; one a minute.
    pub(in crate::funded) fn flat(sequence: i64, balance_cents: i64) -> Snapshot {
        let begin: DateTime<Utc> = "2026-11-02T15:00:00Z".parse().unwrap();
        Snapshot {
            place: Place { epoch: 0, sequence },
            at: begin + chrono::TimeDelta::minutes(sequence),
            balance_cents,
            cumulative_payouts_cents: 0,
            realized_pnl_cents: balance_cents - 10_000_000,
            unrealized_pnl_cents: 0,
            positions: Vec::new(),
        }
    }

    pub(in crate::funded) fn position(
        symbol: &str,
        side: Side,
        value: i64,
        at_stop: Option<i64>,
    ) -> OpenPosition {
        OpenPosition {
            symbol: symbol.to_owned(),
            side,
            quantity: Decimal::ONE,
            market_value_cents: value,
            risk_at_stop_cents: at_stop,
        }
    }

    #[test]
    fn positions_of_one_symbol_and_side_are_one_trade() {
        let snapshot = Snapshot {
            positions: vec![
                position("EURUSD", Side::Long, 300, Some(70)),
                position("EURUSD", Side::Long, 300, Some(50)),
                // The other way, of which less is lost.
                position("EURUSD", Side::Short, -900, Some(100)),
                // Nothing is said of its stop: all of it may be lost.
                position("AAPL", Side::Short, -110, None),
            ],
            ..flat(1, 10_000_000)
        };
        assert_eq!(snapshot.risk_cents(), 120);
        assert_eq!(flat(1, 10_000_000).risk_cents(), 0);
    }

    #[test]
    fn withdrawals_that_the_engine_took_are_added_back() {
        let snapshot = Snapshot {
            cumulative_payouts_cents: 2_000,
            unrealized_pnl_cents: -30,
            ..flat(1, 10_000_000)
        };
        assert_eq!(snapshot.neutral_balance_cents(), 10_002_000);
        assert_eq!(snapshot.equity_cents(), 10_001_970);
    }

    #[test]
    fn numbers_that_can_not_be_are_refused() {
        let with = |change: fn(&mut Snapshot)| {
            let mut snapshot = flat(1, 10_000_000);
            snapshot.positions.push(position("AAPL", Side::Long, 100, None));
            change(&mut snapshot);
            snapshot.check()
        };
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(
            with(|snapshot| snapshot.balance_cents = -1),
            Ok(()),
            "a balance may be"
        );
        type Change = fn(&mut Snapshot);
        let refused: [(Change, SnapshotRefused); 8] = [
            (
                |snapshot| snapshot.place.sequence = -1,
                SnapshotRefused::BelowZero("sequence"),
            ),
            (
                |snapshot| snapshot.place.epoch = -1,
                SnapshotRefused::BelowZero("epoch"),
            ),
            (
                |snapshot| snapshot.balance_cents = i64::MAX,
                SnapshotRefused::TooLarge("balance"),
            ),
            (
                |snapshot| snapshot.positions[0].quantity = -Decimal::ONE,
                SnapshotRefused::BelowZero("a position's quantity"),
            ),
            (
                |snapshot| snapshot.positions[0].risk_at_stop_cents = Some(-1),
                SnapshotRefused::BelowZero("a position's riskAtStop"),
            ),
            (
                |snapshot| snapshot.positions[0].market_value_cents = i64::MIN,
                SnapshotRefused::TooLarge("a position's marketValue"),
            ),
            (
                |snapshot| snapshot.positions[0].symbol = " ".to_owned(),
                SnapshotRefused::Symbol,
            ),
            (
                |snapshot| {
                    snapshot.positions = vec![position("AAPL", Side::Long, 1, None); MAX_POSITIONS + 1]
                },
                SnapshotRefused::TooManyPositions,
            ),
        ];
        for (change, expected) in refused {
            assert_eq!(with(change), Err(expected));
        }
    }
}
