//! What traders see of an account's history.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::store::Point;

/// Points of a period, in the order of time.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EquityHistoryView {
    /// The first moment (RFC 3339, UTC).
    pub from: DateTime<Utc>,
    /// The end, which isn't included (RFC 3339, UTC).
    pub to: DateTime<Utc>,
    /// The points: of each part of the period the lowest and the highest equity.
    pub items: Vec<EquityPointView>,
}

/// An account's figures of a minute, in cents.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EquityPointView {
    /// The minute (RFC 3339, UTC).
    pub at: DateTime<Utc>,
    /// The balance.
    pub balance_cents: i64,
    /// The equity.
    pub equity_cents: i64,
    /// The highest equity up to then.
    pub peak_cents: i64,
    /// The largest drawdown of the minute, a decimal.
    pub drawdown: String,
}

impl From<&Point> for EquityPointView {
    fn from(point: &Point) -> Self {
        Self {
            at: point.at,
            balance_cents: point.balance_cents,
            equity_cents: point.equity_cents,
            peak_cents: point.peak_cents,
            drawdown: point.drawdown.normalize().to_string(),
        }
    }
}
