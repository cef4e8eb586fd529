//! Rules of funded accounts at their edges.
#![expect(clippy::unwrap_used, reason = "a test stops at what it has made wrongly")]

use chrono::{DateTime, TimeDelta, Utc};
use domain::funded::snapshot::{MAX_POSITIONS, OpenPosition, Place, Side, Snapshot, SnapshotRefused};
use domain::funded::withdrawal::{
    Facts, NotAllowed, ReviewReason, best_day_share, day_profits, gross_cents, reasons_against,
    reasons_for_review, winning_days,
};
use rust_decimal::Decimal;

/// Ten trillion dollars.
const LARGEST: i64 = 1_000_000_000_000_000;

fn position() -> OpenPosition {
    OpenPosition {
        symbol: "EURUSD".to_owned(),
        side: Side::Long,
        quantity: Decimal::ONE,
        market_value_cents: 100,
        risk_at_stop_cents: Some(10),
    }
}

/// What is said of a snapshot after a change; its one position is open.
fn refused(change: impl Fn(&mut Snapshot)) -> Option<SnapshotRefused> {
    let mut snapshot = Snapshot {
        place: Place {
            epoch: 0,
            sequence: 0,
        },
        at: DateTime::<Utc>::from_timestamp(1_795_000_000, 0).unwrap(),
        balance_cents: 10_000_000,
        cumulative_payouts_cents: 0,
        realized_pnl_cents: 0,
        unrealized_pnl_cents: 0,
        positions: vec![position()],
    };
    change(&mut snapshot);
    snapshot.check().err()
}

#[test]
fn snapshot_has_numbers_that_can_be_up_to_the_largest() {
    type Set = fn(&mut Snapshot, i64);
    let amounts: [(&str, Set, bool); 6] = [
        ("balance", |snapshot, cents| snapshot.balance_cents = cents, true),
        (
            "cumulativePayouts",
            |snapshot, cents| snapshot.cumulative_payouts_cents = cents,
            false,
        ),
        (
            "realizedPnl",
            |snapshot, cents| snapshot.realized_pnl_cents = cents,
            true,
        ),
        (
            "unrealizedPnl",
            |snapshot, cents| snapshot.unrealized_pnl_cents = cents,
            true,
        ),
        (
            "a position's marketValue",
            |snapshot, cents| snapshot.positions[0].market_value_cents = cents,
            true,
        ),
        (
            "a position's riskAtStop",
            |snapshot, cents| snapshot.positions[0].risk_at_stop_cents = Some(cents),
            false,
        ),
    ];
    for (name, set, may_be_below_zero) in amounts {
        let of = |cents: i64| refused(|snapshot| set(snapshot, cents));
        assert_eq!((of(0), of(LARGEST)), (None, None), "{name}");
        assert_eq!(of(LARGEST + 1), Some(SnapshotRefused::TooLarge(name)));
        let below = |beyond| {
            if may_be_below_zero {
                beyond
            } else {
                Some(SnapshotRefused::BelowZero(name))
            }
        };
        assert_eq!((of(-1), of(-LARGEST)), (below(None), below(None)), "{name}");
        assert_eq!(of(-LARGEST - 1), below(Some(SnapshotRefused::TooLarge(name))));
    }
    assert_eq!(
        refused(|snapshot| snapshot.place.epoch = -1),
        Some(SnapshotRefused::BelowZero("epoch"))
    );
    assert_eq!(
        refused(|snapshot| snapshot.place.sequence = -1),
        Some(SnapshotRefused::BelowZero("sequence"))
    );
    assert_eq!(
        refused(|snapshot| snapshot.positions[0].risk_at_stop_cents = None),
        None
    );
    let quantity = |text: &str| refused(|snapshot| snapshot.positions[0].quantity = text.parse().unwrap());
    assert_eq!((quantity("0"), quantity("0.0000001")), (None, None));
    assert_eq!(
        quantity("-0.0000001"),
        Some(SnapshotRefused::BelowZero("a position's quantity"))
    );
}

#[test]
fn snapshot_has_so_many_positions_of_symbols_so_long() {
    let many = |count: usize| refused(|snapshot| snapshot.positions = vec![position(); count]);
    assert_eq!((many(0), many(MAX_POSITIONS)), (None, None));
    assert_eq!(many(MAX_POSITIONS + 1), Some(SnapshotRefused::TooManyPositions));
    let symbol = |text: &str| refused(|snapshot| snapshot.positions[0].symbol = text.to_owned());
    assert_eq!((symbol("é"), symbol(&"é".repeat(32))), (None, None));
    for wrong in ["", " ", &"x".repeat(33)] {
        assert_eq!(symbol(wrong), Some(SnapshotRefused::Symbol), "{wrong:?}");
    }
}

fn now() -> DateTime<Utc> {
    DateTime::<Utc>::from_timestamp(1_795_000_000, 0).unwrap()
}

/// Of a trader who may withdraw up to $1,000.00.
fn facts() -> Facts {
    Facts {
        is_active: true,
        open_positions: Some(0),
        live_at: now(),
        profit_split: "0.8".parse().unwrap(),
        current_balance_cents: 10_125_000,
        starting_balance_cents: 10_000_000,
        used_up_cents: 0,
        cap_cents: None,
        earliest: None,
        winning_days: None,
        best_day: None,
        is_payee_ready: true,
    }
}

#[test]
fn withdrawal_is_allowed_at_the_edge_of_each_rule_and_not_beyond() {
    let against = |amount: i64, change: &dyn Fn(&mut Facts)| {
        let mut facts = facts();
        change(&mut facts);
        reasons_against(amount, &facts, now())
    };
    let share = |text: &str| -> Decimal { text.parse().unwrap() };
    let minutes = |minutes| now() - TimeDelta::minutes(minutes);
    let beyond = TimeDelta::microseconds(1);
    type Case<'a> = (i64, Box<dyn Fn(&mut Facts)>, &'a [NotAllowed]);
    let cases: [Case<'_>; 17] = [
        (10_000, Box::new(|_| ()), &[]),
        (9_999, Box::new(|_| ()), &[NotAllowed::BelowMinimum]),
        (100_000, Box::new(|_| ()), &[]),
        (
            100_001,
            Box::new(|_| ()),
            &[NotAllowed::AboveWithdrawable {
                withdrawable_cents: 100_000,
            }],
        ),
        (20_000, Box::new(|facts| facts.cap_cents = Some(20_000)), &[]),
        (
            20_001,
            Box::new(|facts| facts.cap_cents = Some(20_000)),
            &[NotAllowed::AboveCap { cap_cents: 20_000 }],
        ),
        (10_000, Box::new(|facts| facts.earliest = Some(now())), &[]),
        (
            10_000,
            Box::new(move |facts| facts.earliest = Some(now() + beyond)),
            &[NotAllowed::TooEarly { from: now() + beyond }],
        ),
        (10_000, Box::new(|facts| facts.winning_days = Some((5, 5))), &[]),
        (
            10_000,
            Box::new(|facts| facts.winning_days = Some((4, 5))),
            &[NotAllowed::TooFewWinningDays { found: 4, needed: 5 }],
        ),
        (
            10_000,
            Box::new(move |facts| facts.best_day = Some((share("0.3"), "0.3".parse().unwrap()))),
            &[],
        ),
        (
            10_000,
            Box::new(move |facts| facts.best_day = Some((share("0.3001"), "0.3".parse().unwrap()))),
            &[NotAllowed::BestDayTooLarge {
                share: Decimal::from_parts(3_001, 0, 0, false, 4),
            }],
        ),
        (10_000, Box::new(move |facts| facts.live_at = minutes(5)), &[]),
        (
            10_000,
            Box::new(move |facts| facts.live_at = minutes(5) - beyond),
            &[NotAllowed::StateTooOld],
        ),
        (
            10_000,
            Box::new(|facts| facts.open_positions = Some(1)),
            &[NotAllowed::PositionsOpen],
        ),
        (
            10_000,
            Box::new(|facts| facts.open_positions = None),
            &[NotAllowed::PositionsOpen],
        ),
        (
            10_000,
            Box::new(|facts| facts.is_payee_ready = false),
            &[NotAllowed::PayeeNotReady],
        ),
    ];
    for (number, (amount, change, expected)) in cases.iter().enumerate() {
        assert_eq!(against(*amount, change), *expected, "case {number}");
    }
    assert_eq!(
        against(10_000, &|facts| facts.is_active = false),
        [NotAllowed::AccountClosed]
    );
    assert_eq!(
        against(10_000, &|facts| facts.used_up_cents = 125_000),
        [NotAllowed::AboveWithdrawable {
            withdrawable_cents: 0
        }]
    );
}

#[test]
fn only_what_passes_by_itself_passes() {
    let passes = [NotAllowed::StateTooOld, NotAllowed::PayeeNotReady];
    let stays = [
        NotAllowed::AccountClosed,
        NotAllowed::PositionsOpen,
        NotAllowed::BelowMinimum,
        NotAllowed::AboveWithdrawable {
            withdrawable_cents: 12_345,
        },
        NotAllowed::AboveCap { cap_cents: 12_345 },
        NotAllowed::TooEarly { from: now() },
        NotAllowed::TooFewWinningDays { found: 4, needed: 5 },
        NotAllowed::BestDayTooLarge {
            share: Decimal::from_parts(31_000, 0, 0, false, 5),
        },
        NotAllowed::BankAccountChanged,
    ];
    assert!(passes.iter().all(|reason| reason.passes()) && !stays.iter().any(|reason| reason.passes()));
    let told: Vec<String> = passes.iter().chain(&stays).map(ToString::to_string).collect();
    for (reason, part) in told.iter().zip([
        "nothing was heard",
        "the payout account is not ready",
        "the account is closed",
        "positions are open",
        "USD 100.00",
        "now is USD 123.45",
        "at once is USD 123.45",
        "from 2026-11-18T11:06:40Z on",
        "asks for 5 winning days since the last withdrawal, and there are 4",
        "brought 0.31 of the profit",
        "the bank account is another one",
    ]) {
        assert!(reason.contains(part), "{reason} does not say {part}");
    }
}

#[test]
fn days_are_counted_by_what_they_brought() {
    assert_eq!(day_profits(100, &[150, 150, 90]), [50, 0, -60]);
    assert_eq!(day_profits(100, &[]), [0; 0]);
    assert_eq!(winning_days(&[50, 49, 0, -60, 51], 50), 2);
    assert_eq!(best_day_share(&[30, -50, 0, 10]), Some(Decimal::new(75, 2)));
    assert_eq!(best_day_share(&[40]), Some(Decimal::ONE));
    for none in [&[][..], &[0], &[-1, 0]] {
        assert_eq!(best_day_share(none), None, "{none:?}");
    }
}

#[test]
fn person_looks_from_the_first_cent_on_that_is_too_much() {
    use ReviewReason::{AccountsDay, Large, NewBankAccount, UsersDay};
    let reasons = |amount, account, user| reasons_for_review(amount, account, user, true);
    assert_eq!(reasons(99_999, 0, 0), []);
    assert_eq!(reasons(100_000, 0, 0), [Large]);
    assert_eq!(reasons(10_000, 239_999, 239_999), []);
    assert_eq!(reasons(10_000, 240_000, 0), [AccountsDay]);
    assert_eq!(reasons(10_000, 0, 240_000), [UsersDay]);
    assert_eq!(reasons_for_review(10_000, 0, 0, false), [NewBankAccount]);
}

#[test]
fn profit_that_is_used_up_is_a_whole_cent_that_suffices() {
    for parts in [1_u16, 3, 7_777, 3_333, 9_999, 10_000] {
        let split = domain::funded::share::Share::from_ten_thousandths(parts);
        for amount in [1, 2, 3, 99, 10_000, 12_345_678] {
            let gross = gross_cents(amount, split).unwrap();
            let enough = |gross: i64| i128::from(gross) * i128::from(parts) >= i128::from(amount) * 10_000;
            assert!(
                enough(gross) && !enough(gross - 1),
                "{amount} of {parts}: {gross}"
            );
        }
    }
}
