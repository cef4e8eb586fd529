//! The live state of an account, and how a snapshot changes it.
//!
//! Snapshots come late, twice and in any order. The state keeps the last [`WINDOW`] of them and the extremes of those
//! before: a late one is sorted in and everything is computed anew from the window's start, so that the end doesn't
//! depend on the order of arrival. A violation ends it: the account is closed at the snapshot with the lowest place that
//! violates a rule, and what comes behind that place changes nothing any more.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::FundedAccountStatus;
use super::rules::{Figures, Rule, RuleEvaluation, RuleStatus, evaluations};
use super::snapshot::{OpenPosition, Place, Snapshot, SnapshotRefused};
use super::thresholds::Thresholds;

/// Snapshots that are remembered.
pub const WINDOW: usize = 100;
/// A peak that is so many times the one before is taken for a wrong tick.
const MAX_PEAK_GROWTH: i64 = 10;

/// The live state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// What is shown.
    pub state: State,
    /// What each rule says.
    pub evaluations: Vec<RuleEvaluation>,
    /// Why it was closed.
    pub breach: Option<Breach>,
    /// What it was computed from.
    pub history: History,
}

/// The last snapshots, and the extremes of those before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    base: Extremes,
    /// By their places.
    window: Vec<Entry>,
}

/// The figures of the newest snapshot, or of the one that closed the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Its place; none before the first snapshot.
    pub place: Option<Place>,
    /// When it was.
    pub at: DateTime<Utc>,
    /// The starting balance and all realised profit and loss.
    pub current_balance_cents: i64,
    /// The highest equity there was.
    pub peak_balance_cents: i64,
    /// The profit and loss of closed positions.
    pub realized_pnl_cents: i64,
    /// The profit and loss of open ones.
    pub unrealized_pnl_cents: i64,
    /// The open ones; none when they aren't known.
    pub positions: Option<Vec<OpenPosition>>,
}

/// The evidence of a violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breach {
    /// The rule.
    pub rule: Rule,
    /// What it said.
    pub value: Decimal,
    /// What it may say.
    pub threshold: Decimal,
    /// The snapshot.
    pub place: Place,
    /// When that was.
    pub at: DateTime<Utc>,
    /// Its balance.
    pub balance_cents: i64,
    /// Its equity.
    pub equity_cents: i64,
    /// The peak before and with it.
    pub peak_cents: i64,
}

/// That an account would be closed again at once.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("without it the snapshot with epoch {} and sequence {} violates {}", .0.place.epoch, .0.place.sequence, .0.rule)]
pub struct StillViolated(pub Breach);

/// A snapshot as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    place: Place,
    at: DateTime<Utc>,
    balance_cents: i64,
    equity_cents: i64,
    realized_cents: i64,
    risk_cents: i64,
    /// Recognises the same content.
    digest: String,
}

/// What is known of the snapshots before a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Extremes {
    /// The last of them: what stands before it comes too late.
    folded: Option<Place>,
    peak_cents: i64,
    end_of_day_peak_cents: i64,
    /// The equity when the day began.
    reference_cents: i64,
    day: Option<NaiveDate>,
    balance_cents: i64,
    equity_cents: i64,
}

/// What the window comes to.
struct Folded {
    extremes: Extremes,
    /// The newest, or the first that violates a rule.
    last: Entry,
    evaluations: Vec<RuleEvaluation>,
    breach: Option<Breach>,
}

impl Live {
    /// The state of an account that begins.
    pub fn opened(thresholds: &Thresholds, at: DateTime<Utc>) -> Live {
        let start = thresholds.starting_balance_cents;
        let base = Extremes {
            folded: None,
            peak_cents: start,
            end_of_day_peak_cents: start,
            reference_cents: start,
            day: None,
            balance_cents: start,
            equity_cents: start,
        };
        Live {
            state: State {
                place: None,
                at,
                current_balance_cents: start,
                peak_balance_cents: start,
                realized_pnl_cents: 0,
                unrealized_pnl_cents: 0,
                positions: Some(Vec::new()),
            },
            evaluations: evaluations(thresholds, &base.figures(start, start, 0)),
            breach: None,
            history: History {
                base,
                window: Vec::new(),
            },
        }
    }

    /// Whether it is traded.
    pub const fn status(&self) -> FundedAccountStatus {
        match self.breach {
            Some(_) => FundedAccountStatus::Closed,
            None => FundedAccountStatus::Active,
        }
    }

    /// The state after a snapshot, whose content `digest` recognises; `None` when it changes nothing.
    pub fn after(
        &self,
        thresholds: &Thresholds,
        snapshot: &Snapshot,
        digest: &str,
    ) -> Result<Option<Live>, SnapshotRefused> {
        snapshot.check()?;
        let closed_at = self.breach.as_ref().map(|breach| breach.place);
        if closed_at.is_some_and(|place| snapshot.place > place) {
            return Ok(None);
        }
        if self
            .history
            .base
            .folded
            .is_some_and(|folded| snapshot.place <= folded)
        {
            return Err(SnapshotRefused::TooLate);
        }
        let entry = Entry::of(snapshot, digest);
        let found = self
            .history
            .window
            .binary_search_by_key(&entry.place, |entry| entry.place);
        let index = match found {
            Ok(index) => {
                let is_same = self
                    .history
                    .window
                    .get(index)
                    .is_some_and(|known| known.digest == digest);
                return if is_same {
                    Ok(None)
                } else {
                    Err(SnapshotRefused::PlaceTaken)
                };
            }
            Err(index) => index,
        };
        if entry.equity_cents > self.state.peak_balance_cents.saturating_mul(MAX_PEAK_GROWTH) {
            return Err(SnapshotRefused::ImplausiblePeak);
        }
        let mut window = self.history.window.clone();
        window.insert(index, entry);
        let positions = self.positions_after(snapshot);
        Ok(self.computed(thresholds, window, positions))
    }

    /// The same snapshots held to other thresholds.
    #[must_use]
    pub fn held_to(&self, thresholds: &Thresholds) -> Live {
        let positions = self.state.positions.clone();
        let computed = self.computed(thresholds, self.history.window.clone(), positions);
        computed.unwrap_or_else(|| Live {
            evaluations: self.evaluations_of_base(thresholds),
            ..self.clone()
        })
    }

    /// The state as if some snapshots of the breach's epoch had never come, for an account that was closed by a wrong tick.
    /// What comes later counts, and positions aren't known until then.
    pub fn restored(&self, thresholds: &Thresholds, discarded: &[Place]) -> Result<Live, StillViolated> {
        let kept = self
            .history
            .window
            .iter()
            .filter(|entry| !discarded.contains(&entry.place));
        let last = self.history.window.last().map(|entry| entry.place);
        let open = Live {
            breach: None,
            ..self.clone()
        };
        let computed = open.computed(thresholds, kept.cloned().collect(), None);
        let mut restored = computed.unwrap_or_else(|| open.emptied(thresholds));
        if let Some(breach) = restored.breach {
            return Err(StillViolated(breach));
        }
        // A discarded one that is delivered again comes too late.
        let base = restored.folded_extremes(thresholds);
        restored.history = History {
            base: Extremes {
                folded: last.or(base.folded),
                ..base
            },
            window: Vec::new(),
        };
        Ok(restored)
    }

    /// The positions after a snapshot: those of the newest.
    fn positions_after(&self, snapshot: &Snapshot) -> Option<Vec<OpenPosition>> {
        if Some(snapshot.place) > self.state.place {
            Some(snapshot.positions.clone())
        } else {
            self.state.positions.clone()
        }
    }

    /// The state that a window comes to; `None` for an empty one.
    fn computed(
        &self,
        thresholds: &Thresholds,
        mut window: Vec<Entry>,
        positions: Option<Vec<OpenPosition>>,
    ) -> Option<Live> {
        let folded = self.history.base.fold(thresholds, &window)?;
        // An account that is closed stays so, whatever a late snapshot tells of the days before.
        let breach = folded.breach.or_else(|| self.breach.clone());
        let last = folded.last;
        if breach.is_some() {
            window.retain(|entry| entry.place <= last.place);
        }
        let mut base = self.history.base;
        while window.len() > WINDOW {
            base.step(thresholds, &window.remove(0));
        }
        Some(Live {
            state: State {
                place: Some(last.place),
                at: last.at,
                current_balance_cents: last.balance_cents,
                peak_balance_cents: folded.extremes.peak_cents,
                realized_pnl_cents: last.realized_cents,
                unrealized_pnl_cents: last.equity_cents.saturating_sub(last.balance_cents),
                positions: if breach.is_some() { None } else { positions },
            },
            evaluations: folded.evaluations,
            breach,
            history: History { base, window },
        })
    }

    /// Without any snapshot of the window.
    fn emptied(self, thresholds: &Thresholds) -> Live {
        let base = self.history.base;
        Live {
            evaluations: self.evaluations_of_base(thresholds),
            state: State {
                current_balance_cents: base.balance_cents,
                peak_balance_cents: base.peak_cents,
                realized_pnl_cents: base
                    .balance_cents
                    .saturating_sub(thresholds.starting_balance_cents),
                unrealized_pnl_cents: base.equity_cents.saturating_sub(base.balance_cents),
                positions: None,
                ..self.state
            },
            history: History {
                base,
                window: Vec::new(),
            },
            ..self
        }
    }

    fn evaluations_of_base(&self, thresholds: &Thresholds) -> Vec<RuleEvaluation> {
        let base = &self.history.base;
        evaluations(
            thresholds,
            &base.figures(base.balance_cents, base.equity_cents, 0),
        )
    }

    fn folded_extremes(&self, thresholds: &Thresholds) -> Extremes {
        let mut extremes = self.history.base;
        for entry in &self.history.window {
            extremes.step(thresholds, entry);
        }
        extremes
    }
}

impl Entry {
    fn of(snapshot: &Snapshot, digest: &str) -> Entry {
        Entry {
            place: snapshot.place,
            at: snapshot.at,
            balance_cents: snapshot.neutral_balance_cents(),
            equity_cents: snapshot.equity_cents(),
            realized_cents: snapshot.realized_pnl_cents,
            risk_cents: snapshot.risk_cents(),
            digest: digest.to_owned(),
        }
    }
}

impl Extremes {
    /// Goes through the window up to its end, or to the first violation.
    fn fold(mut self, thresholds: &Thresholds, window: &[Entry]) -> Option<Folded> {
        let (newest, earlier) = window.split_last()?;
        for entry in earlier {
            self.step(thresholds, entry);
            let evaluations = self.evaluations(thresholds, entry);
            if let Some(breach) = self.breach(entry, &evaluations) {
                return Some(Folded {
                    extremes: self,
                    last: entry.clone(),
                    evaluations,
                    breach: Some(breach),
                });
            }
        }
        self.step(thresholds, newest);
        let evaluations = self.evaluations(thresholds, newest);
        Some(Folded {
            extremes: self,
            last: newest.clone(),
            breach: self.breach(newest, &evaluations),
            evaluations,
        })
    }

    fn step(&mut self, thresholds: &Thresholds, entry: &Entry) {
        let day = thresholds.daily_reset_zone.map(|zone| zone.date_of(entry.at));
        // The first snapshot is of the day on which the account began. The engine's clock may be set back, but no day
        // comes again.
        if self.day.is_some() && day > self.day {
            self.end_of_day_peak_cents = self.end_of_day_peak_cents.max(self.balance_cents);
            self.reference_cents = self.equity_cents;
        }
        self.day = self.day.max(day);
        self.peak_cents = self.peak_cents.max(entry.equity_cents);
        self.balance_cents = entry.balance_cents;
        self.equity_cents = entry.equity_cents;
        self.folded = Some(entry.place);
    }

    fn evaluations(&self, thresholds: &Thresholds, entry: &Entry) -> Vec<RuleEvaluation> {
        evaluations(
            thresholds,
            &self.figures(entry.balance_cents, entry.equity_cents, entry.risk_cents),
        )
    }

    const fn figures(&self, balance_cents: i64, equity_cents: i64, risk_cents: i64) -> Figures {
        Figures {
            balance_cents,
            equity_cents,
            risk_cents,
            peak_cents: self.peak_cents,
            end_of_day_peak_cents: self.end_of_day_peak_cents,
            reference_cents: self.reference_cents,
        }
    }

    fn breach(&self, entry: &Entry, evaluations: &[RuleEvaluation]) -> Option<Breach> {
        let violated = evaluations
            .iter()
            .find(|evaluation| evaluation.status == RuleStatus::Violation)?;
        Some(Breach {
            rule: violated.rule,
            value: violated.value,
            threshold: violated.threshold,
            place: entry.place,
            at: entry.at,
            balance_cents: entry.balance_cents,
            equity_cents: entry.equity_cents,
            peak_cents: self.peak_cents,
        })
    }
}

#[cfg(test)]
mod tests;
