//! What an account is held to: the thresholds that it got from its tier when it was activated, and keeps.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::share::{Share, Zone};
use crate::stored::{named_enum, stored_as_text};

/// What a drawdown may be beyond the assessment's: 5 points.
const DRAWDOWN_LENIENCE: u16 = 500;
/// A drawdown threshold is kept within these.
const MIN_DRAWDOWN: u16 = 1_000;
const MAX_DRAWDOWN: u16 = 1_500;
/// The risk of one trade, whatever the assessment allowed.
const MAX_RISK_PER_TRADE: u16 = 500;

named_enum! {
    /// What a drawdown is measured from.
    pub enum DrawdownKind {
        /// From the highest equity there was.
        Trailing = "trailing",
        /// The same, until its floor has risen to the starting balance, where it stays.
        TrailingLocksAtStart = "trailing-locks-at-start",
        /// From the highest balance at the end of a day.
        TrailingEndOfDay = "trailing-end-of-day",
        /// From the starting balance.
        Static = "static",
    }
}

stored_as_text!(DrawdownKind);

/// What an account is held to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// What it began with, in cents.
    pub starting_balance_cents: i64,
    /// What its drawdown is measured from.
    pub drawdown_kind: DrawdownKind,
    /// The largest drawdown, as a share.
    pub max_drawdown: Share,
    /// The largest risk of one trade, as a share of the balance.
    pub max_risk_per_trade: Share,
    /// The trades it takes until something is withdrawn.
    pub min_trades: u32,
    /// The largest loss of a day, in cents.
    pub daily_loss_limit_cents: Option<i64>,
    /// Where days begin at midnight.
    pub daily_reset_zone: Option<Zone>,
    /// Days from one withdrawal to the next.
    pub payout_cycle_days: Option<u32>,
    /// The largest withdrawal, in cents.
    pub payout_cap_cents: Option<i64>,
    /// Winning days that a withdrawal takes.
    pub min_winning_days: Option<u32>,
    /// What a day has to bring to be a winning day, in cents.
    pub winning_day_min_profit_cents: Option<i64>,
    /// The largest part of the profit that may come of one day.
    pub max_best_day_share: Option<Share>,
}

impl Thresholds {
    /// The thresholds of a funded account whose assessment had these: more lenient, since the trader has passed.
    #[must_use]
    pub fn lenient(assessment: Thresholds) -> Thresholds {
        let least = Share::from_ten_thousandths(MIN_DRAWDOWN);
        let most = Share::from_ten_thousandths(MAX_DRAWDOWN);
        let beyond = Share::from_ten_thousandths(DRAWDOWN_LENIENCE).as_decimal();
        let sum = assessment.max_drawdown.as_decimal() + beyond;
        Thresholds {
            max_drawdown: Share::new(sum.min(Decimal::ONE))
                .unwrap_or(most)
                .clamp(least, most),
            max_risk_per_trade: Share::from_ten_thousandths(MAX_RISK_PER_TRADE),
            min_trades: 0,
            ..assessment
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// $100,000 and the usual thresholds of a funded account, without a rule for the day.
    pub(in crate::funded) fn usual(kind: DrawdownKind) -> Thresholds {
        Thresholds {
            starting_balance_cents: 10_000_000,
            drawdown_kind: kind,
            max_drawdown: "0.1".parse().unwrap(),
            max_risk_per_trade: "0.05".parse().unwrap(),
            min_trades: 0,
            daily_loss_limit_cents: None,
            daily_reset_zone: Some("America/New_York".parse().unwrap()),
            payout_cycle_days: None,
            payout_cap_cents: None,
            min_winning_days: None,
            winning_day_min_profit_cents: None,
            max_best_day_share: None,
        }
    }

    #[test]
    fn funded_accounts_may_lose_more_than_assessments_within_limits() {
        for (assessment, funded) in [
            ("0", "0.1"),
            ("0.05", "0.1"),
            ("0.0675", "0.1175"),
            ("0.1", "0.15"),
            ("0.12", "0.15"),
            ("1", "0.15"),
        ] {
            let lenient = Thresholds::lenient(Thresholds {
                max_drawdown: assessment.parse().unwrap(),
                max_risk_per_trade: "0.02".parse().unwrap(),
                min_trades: 10,
                ..usual(DrawdownKind::Trailing)
            });
            assert_eq!(lenient.max_drawdown, funded.parse().unwrap(), "{assessment}");
            assert_eq!(lenient.max_risk_per_trade, "0.05".parse().unwrap());
            assert_eq!(lenient.min_trades, 0);
        }
    }
}
