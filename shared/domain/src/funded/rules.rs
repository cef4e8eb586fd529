//! The rules of a funded account: how much of what may be lost or risked is used.
//!
//! Whether a threshold is passed is decided on the exact amounts; only the shares that are shown are rounded.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::thresholds::{DrawdownKind, Thresholds};
use crate::stored::{named_enum, stored_as_text};

/// Decimals of a share that is shown.
const SHOWN_PLACES: u32 = 6;

named_enum! {
    /// A rule.
    pub enum Rule {
        /// The loss from the peak.
        Drawdown = "drawdown",
        /// The loss of the day, in cents.
        DailyLoss = "daily_loss",
        /// The risk of the largest trade.
        RiskPerTrade = "risk_per_trade",
        /// There has to be a balance.
        Balance = "balance",
    }
}

stored_as_text!(Rule);

named_enum! {
    /// How far a rule is used.
    pub enum RuleStatus {
        /// Below 80 % of the threshold.
        Safe = "safe",
        /// From 80 % on.
        Warning = "warning",
        /// From 90 % on, up to the threshold.
        Danger = "danger",
        /// Beyond the threshold.
        Violation = "violation",
    }
}

stored_as_text!(RuleStatus);

impl RuleStatus {
    fn of(used: Decimal, allowed: Decimal) -> RuleStatus {
        // Amounts have at most 15 digits and shares 4 decimals: tenfold they still are exact.
        let tenfold = used * Decimal::TEN;
        if used > allowed {
            RuleStatus::Violation
        } else if used <= Decimal::ZERO {
            RuleStatus::Safe
        } else if tenfold >= allowed * Decimal::from(9) {
            RuleStatus::Danger
        } else if tenfold >= allowed * Decimal::from(8) {
            RuleStatus::Warning
        } else {
            RuleStatus::Safe
        }
    }
}

/// What a rule says at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleEvaluation {
    /// The rule.
    pub rule: Rule,
    /// What is used: a share, or cents for the daily loss.
    pub value: Decimal,
    /// What may be used, in the same unit.
    pub threshold: Decimal,
    /// What that means.
    pub status: RuleStatus,
    /// What may still be lost or risked, in cents, rounded down; below zero beyond the threshold.
    pub room_cents: i64,
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) balance_cents: i64,
    pub(super) equity_cents: i64,
    pub(super) risk_cents: i64,
    /// The highest equity there was, this one included.
    pub(super) peak_cents: i64,
    /// The highest balance at the end of a day.
    pub(super) end_of_day_peak_cents: i64,
    /// The equity when the day began.
    pub(super) reference_cents: i64,
}

/// The evaluations of every rule that the account has, in their order of naming: of two that are violated at once, the first
/// is named.
pub(super) fn evaluations(thresholds: &Thresholds, figures: &Figures) -> Vec<RuleEvaluation> {
    let evaluations = [
        Some(drawdown(thresholds, figures)),
        thresholds
            .daily_loss_limit_cents
            .map(|limit| daily_loss(limit, figures)),
        Some(risk_per_trade(thresholds, figures)),
        (figures.balance_cents <= 0).then(|| no_balance(figures)),
    ];
    evaluations.into_iter().flatten().collect()
}

fn drawdown(thresholds: &Thresholds, figures: &Figures) -> RuleEvaluation {
    let share = thresholds.max_drawdown.as_decimal();
    let start = Decimal::from(thresholds.starting_balance_cents);
    let peak = Decimal::from(figures.peak_cents);
    let (base, allowed) = match thresholds.drawdown_kind {
        DrawdownKind::Trailing => (peak, share * peak),
        // Its floor rises with the peak and no higher than the start.
        DrawdownKind::TrailingLocksAtStart => (peak, (share * peak).max(peak - start)),
        DrawdownKind::TrailingEndOfDay => {
            let peak = Decimal::from(figures.end_of_day_peak_cents);
            (peak, share * peak)
        }
        DrawdownKind::Static => (start, share * start),
    };
    let used = base - Decimal::from(figures.equity_cents);
    of_share(Rule::Drawdown, used.max(Decimal::ZERO), allowed, base)
}

fn daily_loss(limit_cents: i64, figures: &Figures) -> RuleEvaluation {
    let lost = Decimal::from(figures.reference_cents) - Decimal::from(figures.equity_cents);
    let (used, allowed) = (lost.max(Decimal::ZERO), Decimal::from(limit_cents));
    RuleEvaluation {
        rule: Rule::DailyLoss,
        value: used,
        threshold: allowed,
        status: RuleStatus::of(used, allowed),
        room_cents: room(used, allowed),
    }
}

fn risk_per_trade(thresholds: &Thresholds, figures: &Figures) -> RuleEvaluation {
    let balance = Decimal::from(figures.balance_cents.max(0));
    let allowed = thresholds.max_risk_per_trade.as_decimal() * balance;
    let used = Decimal::from(figures.risk_cents);
    of_share(Rule::RiskPerTrade, used, allowed, balance)
}

/// Nothing can be divided by it, and nothing is left to trade with.
fn no_balance(figures: &Figures) -> RuleEvaluation {
    RuleEvaluation {
        rule: Rule::Balance,
        value: Decimal::from(figures.balance_cents),
        threshold: Decimal::ZERO,
        status: RuleStatus::Violation,
        room_cents: 0,
    }
}

/// An evaluation that is shown as a share of `base`; of an amount of nothing, nothing is a share.
fn of_share(rule: Rule, used: Decimal, allowed: Decimal, base: Decimal) -> RuleEvaluation {
    let share = |amount: Decimal| {
        let share = amount.checked_div(base).unwrap_or_default();
        share
            .round_dp_with_strategy(SHOWN_PLACES, RoundingStrategy::MidpointNearestEven)
            .normalize()
    };
    RuleEvaluation {
        rule,
        value: share(used),
        threshold: share(allowed),
        status: RuleStatus::of(used, allowed),
        room_cents: room(used, allowed),
    }
}

fn room(used: Decimal, allowed: Decimal) -> i64 {
    i64::try_from((allowed - used).floor()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::thresholds::tests::usual;
    use super::*;

    fn flat(balance_cents: i64) -> Figures {
        Figures {
            balance_cents,
            equity_cents: balance_cents,
            risk_cents: 0,
            peak_cents: balance_cents.max(10_000_000),
            end_of_day_peak_cents: 10_000_000,
            reference_cents: 10_000_000,
        }
    }

    fn of(thresholds: &Thresholds, figures: &Figures, rule: Rule) -> Option<(String, RuleStatus, i64)> {
        let evaluation = evaluations(thresholds, figures)
            .into_iter()
            .find(|evaluation| evaluation.rule == rule)?;
        Some((
            evaluation.value.to_string(),
            evaluation.status,
            evaluation.room_cents,
        ))
    }

    #[test]
    fn a_drawdown_is_told_by_its_part_of_the_threshold() {
        use RuleStatus::{Danger, Safe, Violation, Warning};
        let thresholds = usual(DrawdownKind::Trailing);
        // Of a peak of $100,000.00 and 10 %: $10,000.00 may be lost.
        for (equity_cents, value, status, room) in [
            (10_000_000, "0", Safe, 1_000_000),
            (9_500_000, "0.05", Safe, 500_000),
            // $7,999.99 is just below 80 %.
            (9_200_001, "0.08", Safe, 200_001),
            (9_200_000, "0.08", Warning, 200_000),
            (9_100_001, "0.09", Warning, 100_001),
            (9_100_000, "0.09", Danger, 100_000),
            // At the threshold the account is still there; a cent beyond it isn't.
            (9_000_000, "0.1", Danger, 0),
            (8_999_999, "0.1", Violation, -1),
            (-5_000, "1.0005", Violation, -9_005_000),
        ] {
            let figures = Figures {
                equity_cents,
                ..flat(10_000_000)
            };
            let expected = Some((value.to_owned(), status, room));
            assert_eq!(
                of(&thresholds, &figures, Rule::Drawdown),
                expected,
                "{equity_cents}"
            );
        }
    }

    #[test]
    fn each_kind_of_drawdown_has_its_floor() {
        // (kind, peak, peak at the end of a day, the lowest equity that is allowed), with 10 % of $100,000.00.
        for (kind, peak_cents, end_of_day_peak_cents, floor) in [
            // 90 % of the peak.
            (DrawdownKind::Trailing, 10_000_000, 10_000_000, 9_000_000),
            (DrawdownKind::Trailing, 12_000_000, 10_500_000, 10_800_000),
            // 90 % of the peak, up to the start: of 110,000 that would be 99,000, of 112,000 it would be 100,800.
            (
                DrawdownKind::TrailingLocksAtStart,
                11_000_000,
                10_000_000,
                9_900_000,
            ),
            (
                DrawdownKind::TrailingLocksAtStart,
                11_200_000,
                10_000_000,
                10_000_000,
            ),
            (
                DrawdownKind::TrailingLocksAtStart,
                20_000_000,
                10_000_000,
                10_000_000,
            ),
            // 90 % of the highest end of a day, whatever came between.
            (DrawdownKind::TrailingEndOfDay, 12_000_000, 10_500_000, 9_450_000),
            // 100,000 − 10,000.
            (DrawdownKind::Static, 12_000_000, 10_500_000, 9_000_000),
        ] {
            let at = |equity_cents| Figures {
                equity_cents,
                peak_cents,
                end_of_day_peak_cents,
                ..flat(10_000_000)
            };
            let status = |equity| {
                of(&usual(kind), &at(equity), Rule::Drawdown).map(|(_, status, room)| (status, room))
            };
            assert_eq!(
                status(floor),
                Some((RuleStatus::Danger, 0)),
                "{kind} {peak_cents}"
            );
            assert_eq!(
                status(floor - 1),
                Some((RuleStatus::Violation, -1)),
                "{kind} {peak_cents}"
            );
        }
    }

    #[test]
    fn open_profit_is_no_drawdown_and_open_loss_is() {
        let thresholds = usual(DrawdownKind::Trailing);
        let up = Figures {
            equity_cents: 11_000_000,
            peak_cents: 11_000_000,
            ..flat(10_000_000)
        };
        assert_eq!(
            of(&thresholds, &up, Rule::Drawdown).map(|evaluation| evaluation.0),
            Some("0".to_owned())
        );
        let down = Figures {
            equity_cents: 8_000_000,
            ..flat(10_000_000)
        };
        assert_eq!(
            of(&thresholds, &down, Rule::Drawdown).map(|evaluation| evaluation.0),
            Some("0.2".to_owned())
        );
    }

    #[test]
    fn a_days_loss_is_measured_in_money_from_the_days_beginning() {
        let thresholds = Thresholds {
            daily_loss_limit_cents: Some(400_000),
            ..usual(DrawdownKind::Static)
        };
        for (equity_cents, value, status, room) in [
            (10_300_000, "0", RuleStatus::Safe, 400_000),
            (9_680_000, "320000", RuleStatus::Warning, 80_000),
            (9_640_000, "360000", RuleStatus::Danger, 40_000),
            (9_600_000, "400000", RuleStatus::Danger, 0),
            (9_599_999, "400001", RuleStatus::Violation, -1),
        ] {
            let figures = Figures {
                equity_cents,
                ..flat(10_000_000)
            };
            let expected = Some((value.to_owned(), status, room));
            assert_eq!(
                of(&thresholds, &figures, Rule::DailyLoss),
                expected,
                "{equity_cents}"
            );
        }
        assert_eq!(
            of(&usual(DrawdownKind::Static), &flat(10_000_000), Rule::DailyLoss),
            None
        );
    }

    #[test]
    fn a_trades_risk_is_a_share_of_the_balance_and_no_balance_is_a_violation() {
        let thresholds = usual(DrawdownKind::Static);
        // 5 % of $100,000.00.
        for (risk_cents, status) in [
            (399_999, RuleStatus::Safe),
            (400_000, RuleStatus::Warning),
            (450_000, RuleStatus::Danger),
            (500_000, RuleStatus::Danger),
            (500_001, RuleStatus::Violation),
        ] {
            let figures = Figures {
                risk_cents,
                ..flat(10_000_000)
            };
            let found = of(&thresholds, &figures, Rule::RiskPerTrade).map(|(_, status, _)| status);
            assert_eq!(found, Some(status), "{risk_cents}");
        }
        assert_eq!(of(&thresholds, &flat(1), Rule::Balance), None);
        for balance in [0, -1] {
            let violated = of(&thresholds, &flat(balance), Rule::Balance).map(|(_, status, _)| status);
            assert_eq!(violated, Some(RuleStatus::Violation), "{balance}");
        }
    }
}
