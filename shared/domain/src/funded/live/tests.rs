//! Snapshots late, twice and in any order.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::funded::snapshot::Side;
use crate::funded::snapshot::tests::{flat, position};
use crate::funded::thresholds::DrawdownKind;
use crate::funded::thresholds::tests::usual;

fn opened(thresholds: &Thresholds) -> Live {
    Live::opened(thresholds, "2026-11-02T14:00:00Z".parse().unwrap())
}

/// The content of a test's snapshot is recognised by its whole text.
fn digest(snapshot: &Snapshot) -> String {
    format!("{snapshot:?}")
}

/// The state after snapshots in the order in which they come.
fn after(thresholds: &Thresholds, snapshots: &[Snapshot]) -> Live {
    let mut live = opened(thresholds);
    for snapshot in snapshots {
        if let Some(next) = live.after(thresholds, snapshot, &digest(snapshot)).unwrap() {
            live = next;
        }
    }
    live
}

fn open(sequence: i64, balance_cents: i64, unrealized_pnl_cents: i64) -> Snapshot {
    Snapshot {
        unrealized_pnl_cents,
        positions: vec![position("AAPL", Side::Long, 100, Some(10))],
        ..flat(sequence, balance_cents)
    }
}

fn kinds() -> [Thresholds; 4] {
    DrawdownKind::ALL.map(usual)
}

#[test]
fn the_newest_snapshot_is_the_state_and_the_peak_remains() {
    let thresholds = usual(DrawdownKind::Trailing);
    let live = after(
        &thresholds,
        &[
            open(2, 10_100_000, 50_000),
            open(1, 10_000_000, 300_000),
            flat(3, 10_120_000),
        ],
    );
    assert_eq!(
        live.state.place,
        Some(Place {
            epoch: 0,
            sequence: 3
        })
    );
    assert_eq!(live.state.current_balance_cents, 10_120_000);
    assert_eq!(live.state.realized_pnl_cents, 120_000);
    assert_eq!(live.state.unrealized_pnl_cents, 0);
    assert_eq!(live.state.peak_balance_cents, 10_300_000, "of the late one");
    assert_eq!(live.state.positions, Some(Vec::new()));
    assert_eq!(live.status(), FundedAccountStatus::Active);
}

#[test]
fn an_accounts_first_peak_is_its_start() {
    // $95,000 of $100,000 is a drawdown of 5 %.
    let live = after(&usual(DrawdownKind::Trailing), &[flat(1, 9_500_000)]);
    assert_eq!(live.evaluations[0].value.to_string(), "0.05");
}

#[test]
fn a_violation_in_the_middle_closes_the_account_whatever_comes_behind_it() {
    let thresholds = usual(DrawdownKind::Trailing);
    let (bad, worse, better) = (flat(7, 8_900_000), flat(8, 8_000_000), flat(9, 10_500_000));
    let expected = after(&thresholds, std::slice::from_ref(&bad));
    let breach = expected.breach.clone().unwrap();
    assert_eq!((breach.rule, breach.place.sequence), (Rule::Drawdown, 7));
    assert_eq!(
        (breach.value.to_string(), breach.threshold.to_string()),
        ("0.11".to_owned(), "0.1".to_owned())
    );
    assert_eq!(expected.status(), FundedAccountStatus::Closed);
    for order in [
        [&bad, &worse, &better],
        [&better, &bad, &worse],
        [&worse, &better, &bad],
        [&better, &worse, &bad],
    ] {
        let snapshots: Vec<Snapshot> = order.into_iter().cloned().collect();
        assert_eq!(after(&thresholds, &snapshots), expected, "{snapshots:?}");
    }
    // Before midnight and after it.
    let late = Snapshot {
        at: "2026-11-03T04:59:59Z".parse().unwrap(),
        ..bad
    };
    let next_day = Snapshot {
        at: "2026-11-03T05:00:01Z".parse().unwrap(),
        ..better
    };
    assert_eq!(
        after(&thresholds, &[late, next_day]).status(),
        FundedAccountStatus::Closed
    );
}

#[test]
fn a_late_peak_may_close_an_account_at_an_earlier_snapshot() {
    let thresholds = usual(DrawdownKind::Trailing);
    // 9 is 9.5 % below the start, and 13.8 % below the late peak of 8.
    let (peak, low, recovered) = (
        open(8, 10_000_000, 500_000),
        flat(9, 9_050_000),
        flat(10, 10_400_000),
    );
    let live = after(&thresholds, &[recovered.clone(), low.clone(), peak.clone()]);
    assert_eq!(live.breach.as_ref().map(|breach| breach.place.sequence), Some(9));
    assert_eq!(live, after(&thresholds, &[peak, low, recovered]));
}

#[test]
fn a_repeated_snapshot_changes_nothing_and_another_in_its_place_is_refused() {
    let thresholds = usual(DrawdownKind::Trailing);
    let snapshot = open(5, 10_000_000, 100);
    let live = after(&thresholds, std::slice::from_ref(&snapshot));
    assert_eq!(live.after(&thresholds, &snapshot, &digest(&snapshot)), Ok(None));
    let other = Snapshot {
        positions: Vec::new(),
        ..snapshot
    };
    assert_eq!(
        live.after(&thresholds, &other, &digest(&other)),
        Err(SnapshotRefused::PlaceTaken)
    );
}

#[test]
fn an_engine_that_begins_anew_counts_from_the_start_in_a_new_epoch() {
    let thresholds = usual(DrawdownKind::Trailing);
    let anew = Snapshot {
        place: Place {
            epoch: 1,
            sequence: 0,
        },
        ..flat(0, 10_200_000)
    };
    let live = after(&thresholds, &[flat(900, 10_000_000), anew, flat(901, 10_900_000)]);
    assert_eq!(live.state.current_balance_cents, 10_200_000);
    assert_eq!(live.state.peak_balance_cents, 10_900_000);
}

#[test]
fn a_snapshot_before_the_window_is_refused_and_the_peak_of_before_counts() {
    let thresholds = usual(DrawdownKind::Trailing);
    let mut snapshots = vec![flat(0, 10_900_000)];
    snapshots.extend((2..=101).map(|sequence| flat(sequence, 10_000_000)));
    let live = after(&thresholds, &snapshots);
    assert_eq!(live.history.window.len(), WINDOW);
    assert_eq!(live.state.peak_balance_cents, 10_900_000);
    // 0 has left the window: nothing up to it is sorted in, what comes behind it is.
    let old = flat(0, 10_900_000);
    assert_eq!(
        live.after(&thresholds, &old, &digest(&old)),
        Err(SnapshotRefused::TooLate)
    );
    let late = flat(1, 10_950_000);
    let next = live.after(&thresholds, &late, &digest(&late)).unwrap().unwrap();
    assert_eq!(
        (next.state.peak_balance_cents, next.history.window.len()),
        (10_950_000, WINDOW)
    );
    assert_eq!(
        next.after(&thresholds, &late, &digest(&late)),
        Err(SnapshotRefused::TooLate)
    );
}

#[test]
fn a_tick_that_can_not_be_is_refused_and_a_real_crash_closes() {
    let thresholds = usual(DrawdownKind::Static);
    let live = opened(&thresholds);
    let high = flat(1, 100_000_001);
    assert_eq!(
        live.after(&thresholds, &high, &digest(&high)),
        Err(SnapshotRefused::ImplausiblePeak)
    );
    assert_eq!(
        after(&thresholds, &[flat(1, 100_000_000)]).status(),
        FundedAccountStatus::Active
    );
    for balance in [1, 0, -1, -50_000_000] {
        let closed = after(&thresholds, &[flat(1, balance)]);
        assert_eq!(
            closed.breach.map(|breach| breach.rule),
            Some(Rule::Drawdown),
            "{balance}"
        );
    }
    // Open profit holds the equity up, but nothing is left.
    let nothing = after(&thresholds, &[open(1, 0, 10_000_000)]);
    assert_eq!(
        nothing.breach.map(|breach| breach.rule),
        Some(Rule::RiskPerTrade),
        "10 of a balance of 0"
    );
}

#[test]
fn a_day_begins_with_the_equity_of_the_last_one_in_its_zone() {
    let thresholds = Thresholds {
        daily_loss_limit_cents: Some(300_000),
        daily_reset_zone: Some("Europe/Prague".parse().unwrap()),
        ..usual(DrawdownKind::Static)
    };
    let at = |sequence, time: &str, balance| Snapshot {
        at: time.parse().unwrap(),
        ..flat(sequence, balance)
    };
    // 25 October 2026 has 25 hours there: from 22:00 to 23:00 UTC a day later.
    let begin = at(1, "2026-10-24T21:00:00Z", 10_000_000);
    let evening = at(2, "2026-10-24T21:59:59Z", 10_200_000);
    let next_day = at(3, "2026-10-24T22:00:00Z", 9_950_000);
    let same_day = at(4, "2026-10-25T22:59:59Z", 9_900_000);
    let live = after(
        &thresholds,
        &[begin.clone(), evening.clone(), next_day.clone(), same_day.clone()],
    );
    assert_eq!(
        live.evaluations[1].value.to_string(),
        "300000",
        "of the reference 102,000"
    );
    assert_eq!(live.status(), FundedAccountStatus::Active);
    let beyond = at(5, "2026-10-25T22:59:59.5Z", 9_899_999);
    let closed = after(
        &thresholds,
        &[
            begin.clone(),
            evening.clone(),
            next_day.clone(),
            same_day.clone(),
            beyond,
        ],
    );
    assert_eq!(closed.breach.map(|breach| breach.rule), Some(Rule::DailyLoss));
    // A second later another day has begun.
    let midnight = at(5, "2026-10-25T23:00:00Z", 9_899_999);
    let anew = after(&thresholds, &[begin, evening, next_day, same_day, midnight]);
    assert_eq!(
        (anew.status(), anew.evaluations[1].value.to_string()),
        (FundedAccountStatus::Active, "1".to_owned())
    );
}

#[test]
fn a_day_in_spring_has_an_hour_less() {
    let thresholds = Thresholds {
        daily_loss_limit_cents: Some(300_000),
        daily_reset_zone: Some("Europe/Prague".parse().unwrap()),
        ..usual(DrawdownKind::Static)
    };
    let at = |sequence, time: &str, balance| Snapshot {
        at: time.parse().unwrap(),
        ..flat(sequence, balance)
    };
    // 29 March 2026 has 23 hours there: from 23:00 UTC to 22:00 UTC.
    let morning = at(1, "2026-03-28T23:00:00Z", 10_000_000);
    let last = at(2, "2026-03-29T21:59:59Z", 9_750_000);
    let next = at(3, "2026-03-29T22:00:00Z", 9_749_999);
    let lost = |snapshots: &[Snapshot]| after(&thresholds, snapshots).evaluations[1].value.to_string();
    assert_eq!(lost(&[morning.clone(), last.clone()]), "250000");
    assert_eq!(lost(&[morning, last, next]), "1", "another day has begun");
}

#[test]
fn a_breach_outlives_its_day() {
    let thresholds = Thresholds {
        daily_loss_limit_cents: Some(300_000),
        daily_reset_zone: Some("America/New_York".parse().unwrap()),
        ..usual(DrawdownKind::Static)
    };
    let at = |sequence, time: &str, balance| Snapshot {
        at: time.parse().unwrap(),
        ..flat(sequence, balance)
    };
    // Midnight there is 05:00 UTC in November.
    let snapshots = [
        at(1, "2026-11-03T14:00:00Z", 10_000_000),
        at(2, "2026-11-04T04:59:59Z", 9_699_999),
        at(3, "2026-11-04T05:00:01Z", 10_000_000),
    ];
    for order in [[0, 1, 2], [0, 2, 1]] {
        let live = after(&thresholds, &order.map(|index: usize| snapshots[index].clone()));
        assert_eq!(live.status(), FundedAccountStatus::Closed, "{order:?}");
        let breach = live.breach.unwrap();
        assert_eq!(
            (breach.rule, breach.place.sequence),
            (Rule::DailyLoss, 2),
            "{order:?}"
        );
    }
}

#[test]
fn an_account_is_restored_without_the_wrong_tick() {
    let thresholds = usual(DrawdownKind::Trailing);
    let closed = after(&thresholds, &[flat(1, 10_100_000), flat(2, 1_000_000)]);
    let place = closed.breach.as_ref().unwrap().place;
    let restored = closed.restored(&thresholds, &[place]).unwrap();
    assert_eq!(restored.status(), FundedAccountStatus::Active);
    assert_eq!(restored.state.current_balance_cents, 10_100_000);
    assert_eq!(restored.state.positions, None, "not known");
    let again = flat(2, 1_000_000);
    assert_eq!(
        restored.after(&thresholds, &again, &digest(&again)),
        Err(SnapshotRefused::TooLate)
    );
    let next = flat(3, 10_110_000);
    let live = restored
        .after(&thresholds, &next, &digest(&next))
        .unwrap()
        .unwrap();
    assert_eq!(
        (live.state.current_balance_cents, live.state.peak_balance_cents),
        (10_110_000, 10_110_000)
    );
    // A wrong tick upwards makes the next one, which is right, a violation.
    let closed = after(
        &thresholds,
        &[flat(1, 10_100_000), flat(2, 30_000_000), flat(3, 10_100_000)],
    );
    let breach = closed.breach.clone().unwrap();
    assert_eq!(breach.place.sequence, 3);
    let wrong = Place {
        epoch: 0,
        sequence: 2,
    };
    assert_eq!(
        closed
            .restored(&thresholds, &[wrong])
            .unwrap()
            .state
            .peak_balance_cents,
        10_100_000
    );
    let other = Place {
        epoch: 0,
        sequence: 1,
    };
    assert_eq!(closed.restored(&thresholds, &[other]), Err(StillViolated(breach)));
    // One that was closed by its first snapshot begins again.
    let closed = after(&thresholds, &[flat(1, 1_000_000)]);
    let place = closed.breach.as_ref().unwrap().place;
    assert_eq!(
        closed
            .restored(&thresholds, &[place])
            .unwrap()
            .state
            .current_balance_cents,
        10_000_000
    );
}

#[test]
fn other_thresholds_are_measured_on_the_same_snapshots() {
    let usual = usual(DrawdownKind::Trailing);
    let stricter = Thresholds {
        max_drawdown: "0.04".parse().unwrap(),
        ..usual.clone()
    };
    let live = after(&usual, &[flat(1, 9_500_000), flat(2, 9_900_000)]);
    let held = live.held_to(&stricter);
    assert_eq!(held.breach.map(|breach| breach.place.sequence), Some(1));
    assert_eq!(
        opened(&usual).held_to(&stricter).evaluations[0]
            .threshold
            .to_string(),
        "0.04"
    );
}

/// A history of snapshots a few minutes apart, each with what it is worth and what is open.
fn history() -> impl Strategy<Value = Vec<Snapshot>> {
    let snapshot = (-1_300_000_i64..1_300_000, -400_000_i64..400_000, 0_i64..700_000);
    prop::collection::vec(snapshot, 1..WINDOW).prop_map(|all| {
        let numbered = all.into_iter().zip(1_i64..);
        let snapshots = numbered.map(|((profit, unrealized, risk), sequence)| Snapshot {
            at: "2026-11-02T15:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(3 * sequence),
            place: Place {
                epoch: sequence / 40,
                sequence: sequence % 40,
            },
            positions: vec![position("AAPL", Side::Long, 1_000, Some(risk))],
            ..open(sequence, 10_000_000 + profit, unrealized)
        });
        snapshots.collect()
    })
}

fn shuffled() -> impl Strategy<Value = (Vec<Snapshot>, Vec<Snapshot>)> {
    history().prop_flat_map(|history| {
        let twice = [history.clone(), history.clone()].concat();
        (Just(history), Just(twice).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("MONETA_SOAK").is_some() { 10_000 } else { 300 }))]

    #[test]
    fn the_end_does_not_depend_on_the_order_of_arrival((history, shuffled) in shuffled()) {
        for thresholds in kinds() {
            prop_assert_eq!(after(&thresholds, &shuffled), after(&thresholds, &history));
        }
    }

    #[test]
    fn a_withdrawal_changes_no_rule(history in history(), paid in prop::collection::vec(0_i64..500_000, WINDOW)) {
        // The engine takes withdrawals from the balance, more and more, and says so.
        let mut taken = 0;
        let debited: Vec<Snapshot> = history.iter().zip(&paid).map(|(snapshot, paid)| {
            taken += paid;
            Snapshot {
                balance_cents: snapshot.balance_cents - taken,
                cumulative_payouts_cents: taken,
                ..snapshot.clone()
            }
        }).collect();
        for thresholds in kinds() {
            let (with, without) = (after(&thresholds, &debited), after(&thresholds, &history));
            prop_assert_eq!(with.evaluations, without.evaluations);
            prop_assert_eq!(with.state, without.state);
            prop_assert_eq!(with.breach, without.breach);
        }
    }
}

#[test]
fn positions_are_those_of_the_newest_snapshot() {
    let thresholds = usual(DrawdownKind::Trailing);
    let held = |sequence, symbol| Snapshot {
        positions: vec![position(symbol, Side::Long, 100, Some(10))],
        ..flat(sequence, 10_000_000)
    };
    let (first, second) = (held(1, "AAPL"), held(2, "MSFT"));
    let alone = after(&thresholds, std::slice::from_ref(&first));
    assert_eq!(alone.state.positions, Some(first.positions.clone()));
    for order in [[&first, &second], [&second, &first]] {
        let live = after(&thresholds, &order.map(Clone::clone));
        assert_eq!(live.state.positions, Some(second.positions.clone()), "{order:?}");
    }
}

#[test]
fn a_closed_account_takes_nothing_newer_and_its_last_place_is_taken() {
    let thresholds = usual(DrawdownKind::Trailing);
    let closed = after(&thresholds, &[flat(7, 8_900_000)]);
    let sent = |snapshot: &Snapshot| closed.after(&thresholds, snapshot, &digest(snapshot));
    assert_eq!(sent(&flat(8, 10_000_000)), Ok(None));
    assert_eq!(sent(&flat(7, 8_900_000)), Ok(None), "the same again");
    assert_eq!(sent(&flat(7, 8_800_000)), Err(SnapshotRefused::PlaceTaken));
}

#[test]
fn an_account_without_any_of_its_snapshots_is_as_it_began() {
    let thresholds = usual(DrawdownKind::Trailing);
    let began = opened(&thresholds);
    let live = after(&thresholds, &[open(1, 10_100_000, 50_000)]);
    let place = live.state.place.unwrap();
    let restored = live.restored(&thresholds, &[place]).unwrap();
    let state = &restored.state;
    assert_eq!(
        (state.current_balance_cents, state.peak_balance_cents),
        (began.state.current_balance_cents, began.state.peak_balance_cents)
    );
    assert_eq!((state.realized_pnl_cents, state.unrealized_pnl_cents), (0, 0));
    assert_eq!(state.positions, None, "not known");
    assert_eq!(restored.evaluations, began.evaluations);
    let history = History {
        base: Extremes {
            folded: Some(place),
            ..began.history.base
        },
        window: Vec::new(),
    };
    assert_eq!(restored.history, history);
}
