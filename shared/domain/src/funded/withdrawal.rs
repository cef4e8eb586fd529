//! Withdrawals of a trader's share of the profit: what one uses up, when it is allowed, who approves it, and its life.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::share::Share;
use super::withdrawable::withdrawable_cents;
use crate::currency::Currency;
use crate::money::Money;
use crate::stored::{named_enum, stored_as_text};
use crate::transition::{Code, Transition};

/// The smallest withdrawal.
pub const MIN_AMOUNT_CENTS: i64 = 10_000;
/// From here on a person looks at it.
pub const REVIEWED_FROM_CENTS: i64 = 100_000;
/// What is approved without a person within a day, of an account and of a user, stays below this.
pub const MAX_AUTOMATIC_A_DAY_CENTS: i64 = 250_000;
/// A live state that is older says nothing about what is open.
const MAX_LIVE_AGE: TimeDelta = TimeDelta::minutes(5);

named_enum! {
    /// Where a withdrawal stands.
    pub enum WithdrawalStatus {
        /// A person has to look at it.
        Pending = "pending",
        /// It is on its way, or came back from the bank and waits for another one.
        Approved = "approved",
        /// Stripe has taken the payout.
        Completed = "completed",
        /// A person, or the account's closure, has refused it.
        Rejected = "rejected",
        /// It can't be paid, and the money is back with us.
        Failed = "failed",
        /// The trader has called it back.
        Canceled = "canceled",
    }
}

stored_as_text!(WithdrawalStatus);

/// What happens to a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawalEvent {
    /// It is approved.
    Approve,
    /// It is refused.
    Reject,
    /// The trader calls it back.
    Cancel,
    /// The account holds positions again while it waits.
    BackToReview,
    /// Stripe has taken the payout.
    PayoutAccepted,
    /// The bank gave the payout back, or it was called back: the money is with the payee's account.
    PayoutReturned,
    /// The money is back with us, and it isn't tried again.
    GaveUp,
}

/// It isn't in a state in which this can happen to it.
pub const NOT_PENDING: Code = Code::new("withdrawal_not_pending");
/// It has ended.
pub const ENDED: Code = Code::new("withdrawal_ended");
/// Its money has left already.
pub const MONEY_LEFT: Code = Code::new("withdrawal_money_left");

impl WithdrawalStatus {
    /// What an event makes of it. `has_left` says that its money was transferred and isn't back.
    pub fn after(self, event: WithdrawalEvent, has_left: bool) -> Transition<WithdrawalStatus> {
        use WithdrawalEvent as Event;
        use WithdrawalStatus as Status;
        match (self, event) {
            (Status::Pending, Event::Approve) => Transition::Applied(Status::Approved),
            (Status::Pending, Event::Reject) => Transition::Applied(Status::Rejected),
            (Status::Pending, Event::Cancel) => Transition::Applied(Status::Canceled),
            (Status::Approved, Event::Approve)
            | (Status::Rejected, Event::Reject)
            | (Status::Canceled, Event::Cancel)
            | (Status::Pending, Event::BackToReview)
            | (Status::Completed, Event::PayoutAccepted)
            | (Status::Failed, Event::GaveUp | Event::PayoutReturned) => Transition::AlreadyApplied,
            (Status::Approved, Event::Reject | Event::BackToReview | Event::GaveUp) if has_left => {
                Transition::rejected(MONEY_LEFT)
            }
            (Status::Approved, Event::Reject) => Transition::Applied(Status::Rejected),
            (Status::Approved, Event::BackToReview) => Transition::Applied(Status::Pending),
            (Status::Approved, Event::GaveUp) => Transition::Applied(Status::Failed),
            (Status::Approved, Event::PayoutAccepted) => Transition::Applied(Status::Completed),
            // Days later too: the money is with the payee's account, and the profit stays reserved.
            (Status::Approved | Status::Completed, Event::PayoutReturned) => {
                Transition::Applied(Status::Approved)
            }
            (Status::Rejected | Status::Canceled | Status::Failed, _) => Transition::rejected(ENDED),
            _ => Transition::rejected(NOT_PENDING),
        }
    }

    /// Whether its profit counts as used up.
    pub const fn is_used_up(self) -> bool {
        matches!(
            self,
            WithdrawalStatus::Pending | WithdrawalStatus::Approved | WithdrawalStatus::Completed
        )
    }
}

/// The profit that a withdrawal uses up: rounded up to a cent, so that slices never come to more than the whole.
pub fn gross_cents(amount_cents: i64, profit_split: Share) -> Option<i64> {
    let gross = Decimal::from(amount_cents).checked_div(profit_split.as_decimal())?;
    let rounded = gross.ceil().to_i64()?;
    // A quotient that was rounded down by the decimal's last digit may be a cent too low.
    let is_enough =
        Decimal::from(rounded).checked_mul(profit_split.as_decimal())? >= Decimal::from(amount_cents);
    if is_enough {
        Some(rounded)
    } else {
        rounded.checked_add(1)
    }
}

/// Why a withdrawal isn't allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAllowed {
    /// A rule has closed the account.
    AccountClosed,
    /// Positions are open, or may be.
    PositionsOpen,
    /// Nothing was heard of the account for minutes.
    StateTooOld,
    /// It is less than a withdrawal may be.
    BelowMinimum,
    /// It is more than the share of the profit that is left.
    AboveWithdrawable {
        /// What is left.
        withdrawable_cents: i64,
    },
    /// It is more than the tier allows at once.
    AboveCap {
        /// What it allows.
        cap_cents: i64,
    },
    /// It comes before the tier's cycle has passed.
    TooEarly {
        /// When it may come.
        from: DateTime<Utc>,
    },
    /// Too few days have won enough.
    TooFewWinningDays {
        /// Those that did.
        found: u32,
        /// As many as it takes.
        needed: u32,
    },
    /// One day brought too large a part of the profit.
    BestDayTooLarge {
        /// Its part.
        share: Decimal,
    },
    /// Stripe can't pay the trader yet.
    PayeeNotReady,
    /// The trader is paid at another bank account than it was approved for, and nothing was paid there before.
    BankAccountChanged,
}

impl NotAllowed {
    /// Whether it may pass without anybody's deciding: whoever waits needs no person.
    pub const fn passes(self) -> bool {
        matches!(self, NotAllowed::StateTooOld | NotAllowed::PayeeNotReady)
    }
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccountClosed => formatter.write_str("the account is closed, and its profit is not paid"),
            Self::PositionsOpen => formatter.write_str("positions are open, or may be: close them first"),
            Self::StateTooOld => {
                formatter.write_str("nothing was heard of the account for minutes: try again in a moment")
            }
            Self::BelowMinimum => write!(
                formatter,
                "the least that can be withdrawn is {}",
                dollars(MIN_AMOUNT_CENTS)
            ),
            Self::AboveWithdrawable { withdrawable_cents } => {
                write!(
                    formatter,
                    "the most that can be withdrawn now is {}",
                    dollars(*withdrawable_cents)
                )
            }
            Self::AboveCap { cap_cents } => {
                write!(
                    formatter,
                    "the most that the tier allows at once is {}",
                    dollars(*cap_cents)
                )
            }
            Self::TooEarly { from } => {
                write!(
                    formatter,
                    "the tier allows the next withdrawal from {} on",
                    from.format("%Y-%m-%dT%H:%M:%SZ")
                )
            }
            Self::TooFewWinningDays { found, needed } => {
                write!(
                    formatter,
                    "the tier asks for {needed} winning days since the last withdrawal, and there are {found}"
                )
            }
            Self::BestDayTooLarge { share } => write!(
                formatter,
                "the best day brought {} of the profit, more than the tier allows: trade on more days",
                share.round_dp(4).normalize()
            ),
            Self::PayeeNotReady => formatter
                .write_str("the payout account is not ready: GET /payout-account says what is missing"),
            Self::BankAccountChanged => formatter.write_str(
                "the bank account is another one than it was approved for, and nothing was paid to it before",
            ),
        }
    }
}

fn dollars(cents: i64) -> Money {
    Money::new(cents, Currency::USD)
}

/// How the days since the last withdrawal went: the profit of each, from the balance before the first and those at their ends.
pub fn day_profits(before_cents: i64, ends_cents: &[i64]) -> Vec<i64> {
    let begins = std::iter::once(&before_cents).chain(ends_cents);
    begins
        .zip(ends_cents)
        .map(|(begin, end)| end.saturating_sub(*begin))
        .collect()
}

/// How many days won enough.
pub fn winning_days(profits: &[i64], least_cents: i64) -> u32 {
    let winning = profits.iter().filter(|profit| **profit >= least_cents).count();
    u32::try_from(winning).unwrap_or(u32::MAX)
}

/// The best day's part of what the winning days brought; none where no day won.
pub fn best_day_share(profits: &[i64]) -> Option<Decimal> {
    let won: Decimal = profits
        .iter()
        .filter(|profit| **profit > 0)
        .map(|profit| Decimal::from(*profit))
        .sum();
    let best = profits.iter().copied().max().filter(|best| *best > 0)?;
    Decimal::from(best).checked_div(won)
}

/// What a withdrawal is judged by.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Whether the account is traded.
    pub is_active: bool,
    /// How many positions are open; none when that isn't known.
    pub open_positions: Option<usize>,
    /// When the live state was.
    pub live_at: DateTime<Utc>,
    /// The trader's share.
    pub profit_split: Share,
    /// The balance, neutral to withdrawals.
    pub current_balance_cents: i64,
    /// What the account began with.
    pub starting_balance_cents: i64,
    /// The profit that other withdrawals use up, those that wait included.
    pub used_up_cents: i64,
    /// The largest that the tier allows.
    pub cap_cents: Option<i64>,
    /// When the tier's cycle has passed.
    pub earliest: Option<DateTime<Utc>>,
    /// Winning days since the last withdrawal, and those that it takes.
    pub winning_days: Option<(u32, u32)>,
    /// The best day's part of the profit, and the largest that is allowed.
    pub best_day: Option<(Decimal, Share)>,
    /// Whether Stripe can pay the trader.
    pub is_payee_ready: bool,
}

/// Every reason for which a withdrawal isn't allowed; none for one that is.
pub fn reasons_against(amount_cents: i64, facts: &Facts, now: DateTime<Utc>) -> Vec<NotAllowed> {
    let left = withdrawable_cents(
        facts.profit_split,
        facts.current_balance_cents,
        facts.starting_balance_cents,
        facts.used_up_cents,
    );
    let is_too_old = now.signed_duration_since(facts.live_at) > MAX_LIVE_AGE;
    let above_cap = facts.cap_cents.filter(|cap| amount_cents > *cap);
    let too_early = facts.earliest.filter(|from| now < *from);
    let too_few = facts.winning_days.filter(|(found, needed)| found < needed);
    let too_large = facts.best_day.filter(|(share, most)| *share > most.as_decimal());
    let reasons = [
        (!facts.is_active).then_some(NotAllowed::AccountClosed),
        (facts.open_positions != Some(0)).then_some(NotAllowed::PositionsOpen),
        is_too_old.then_some(NotAllowed::StateTooOld),
        (amount_cents < MIN_AMOUNT_CENTS).then_some(NotAllowed::BelowMinimum),
        (amount_cents > left).then_some(NotAllowed::AboveWithdrawable {
            withdrawable_cents: left,
        }),
        above_cap.map(|cap_cents| NotAllowed::AboveCap { cap_cents }),
        too_early.map(|from| NotAllowed::TooEarly { from }),
        too_few.map(|(found, needed)| NotAllowed::TooFewWinningDays { found, needed }),
        too_large.map(|(share, _)| NotAllowed::BestDayTooLarge { share }),
        (!facts.is_payee_ready).then_some(NotAllowed::PayeeNotReady),
    ];
    reasons.into_iter().flatten().collect()
}

named_enum! {
    /// Why a person has to look at a withdrawal.
    pub enum ReviewReason {
        /// It is large.
        Large = "large",
        /// The account's automatic approvals of a day have come to their limit.
        AccountsDay = "accounts-day",
        /// The user's have, over all accounts.
        UsersDay = "users-day",
        /// Nothing was paid to this bank account before.
        NewBankAccount = "new-bank-account",
        /// It was approved, and something has changed before it was sent.
        Changed = "changed",
    }
}

/// Why a person has to look at it; no reason for one that is approved by itself.
pub fn reasons_for_review(
    amount_cents: i64,
    approved_of_account_cents: i64,
    approved_of_user_cents: i64,
    is_bank_account_known: bool,
) -> Vec<ReviewReason> {
    let is_beyond = |before: i64| before.saturating_add(amount_cents) >= MAX_AUTOMATIC_A_DAY_CENTS;
    let reasons = [
        (amount_cents >= REVIEWED_FROM_CENTS).then_some(ReviewReason::Large),
        is_beyond(approved_of_account_cents).then_some(ReviewReason::AccountsDay),
        is_beyond(approved_of_user_cents).then_some(ReviewReason::UsersDay),
        (!is_bank_account_known).then_some(ReviewReason::NewBankAccount),
    ];
    reasons.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts(profit_cents: i64, used_up_cents: i64) -> Facts {
        Facts {
            is_active: true,
            open_positions: Some(0),
            live_at: "2026-11-02T15:00:00Z".parse().unwrap(),
            profit_split: "0.8".parse().unwrap(),
            current_balance_cents: 10_000_000 + profit_cents,
            starting_balance_cents: 10_000_000,
            used_up_cents,
            cap_cents: None,
            earliest: None,
            winning_days: None,
            best_day: None,
            is_payee_ready: true,
        }
    }

    fn now() -> DateTime<Utc> {
        "2026-11-02T15:04:00Z".parse().unwrap()
    }

    #[test]
    fn a_withdrawal_uses_up_the_profit_that_it_is_the_share_of() {
        let split = "0.8".parse().unwrap();
        for (amount, gross) in [(0, 0), (1, 2), (4, 5), (8_000, 10_000), (8_001, 10_002)] {
            assert_eq!(gross_cents(amount, split), Some(gross), "{amount}");
        }
        assert_eq!(gross_cents(1, "0".parse().unwrap()), None);
        assert_eq!(gross_cents(i64::MAX, split), None);
    }

    #[test]
    fn every_reason_is_told_at_once() {
        assert_eq!(reasons_against(10_000, &facts(12_500, 0), now()), []);
        assert_eq!(
            reasons_against(10_001, &facts(12_500, 0), now()),
            [NotAllowed::AboveWithdrawable {
                withdrawable_cents: 10_000
            }]
        );
        let from = now() + TimeDelta::days(1);
        let bad = Facts {
            is_active: false,
            open_positions: None,
            live_at: now() - TimeDelta::minutes(5) - TimeDelta::microseconds(1),
            cap_cents: Some(5_000),
            earliest: Some(from),
            winning_days: Some((4, 5)),
            best_day: Some(("0.31".parse().unwrap(), "0.3".parse().unwrap())),
            is_payee_ready: false,
            ..facts(0, 0)
        };
        assert_eq!(
            reasons_against(9_999, &bad, now()),
            [
                NotAllowed::AccountClosed,
                NotAllowed::PositionsOpen,
                NotAllowed::StateTooOld,
                NotAllowed::BelowMinimum,
                NotAllowed::AboveWithdrawable {
                    withdrawable_cents: 0
                },
                NotAllowed::AboveCap { cap_cents: 5_000 },
                NotAllowed::TooEarly { from },
                NotAllowed::TooFewWinningDays { found: 4, needed: 5 },
                NotAllowed::BestDayTooLarge {
                    share: "0.31".parse().unwrap()
                },
                NotAllowed::PayeeNotReady,
            ]
        );
    }

    #[test]
    fn days_are_counted_from_the_balance_before_them() {
        // +150, −50, +100, 0: 250 were won, 150 of it on the best day.
        let profits = day_profits(1_000, &[1_150, 1_100, 1_200, 1_200]);
        assert_eq!(profits, [150, -50, 100, 0]);
        assert_eq!(winning_days(&profits, 100), 2);
        assert_eq!(best_day_share(&profits), Some("0.6".parse().unwrap()));
        assert_eq!(best_day_share(&day_profits(1_000, &[900])), None);
        assert_eq!(best_day_share(&[]), None);
    }

    #[test]
    fn reasons_are_told_with_their_numbers() {
        let told = |reason: NotAllowed| reason.to_string();
        assert_eq!(
            told(NotAllowed::AboveWithdrawable {
                withdrawable_cents: 123_456
            }),
            "the most that can be withdrawn now is USD 1234.56"
        );
        assert_eq!(
            told(NotAllowed::BelowMinimum),
            "the least that can be withdrawn is USD 100.00"
        );
        assert_eq!(
            told(NotAllowed::BestDayTooLarge {
                share: "0.612345".parse().unwrap()
            }),
            "the best day brought 0.6123 of the profit, more than the tier allows: trade on more days"
        );
        assert!(
            NotAllowed::PayeeNotReady.passes()
                && NotAllowed::StateTooOld.passes()
                && !NotAllowed::PositionsOpen.passes()
        );
    }

    #[test]
    fn a_person_looks_at_large_and_new_ones_and_at_many_small_ones() {
        use ReviewReason::{AccountsDay, Large, NewBankAccount, UsersDay};
        assert_eq!(reasons_for_review(99_999, 0, 0, true), []);
        assert_eq!(reasons_for_review(100_000, 0, 0, true), [Large]);
        assert_eq!(reasons_for_review(50_000, 0, 0, false), [NewBankAccount]);
        assert_eq!(reasons_for_review(50_000, 199_999, 199_999, true), []);
        assert_eq!(reasons_for_review(50_000, 0, 200_000, true), [UsersDay]);
        assert_eq!(
            reasons_for_review(50_000, 200_000, 200_000, true),
            [AccountsDay, UsersDay]
        );
    }

    #[test]
    fn a_withdrawals_life_has_one_winner_and_no_way_back_from_its_end() {
        use WithdrawalEvent::{
            Approve, BackToReview, Cancel, GaveUp, PayoutAccepted, PayoutReturned, Reject,
        };
        use WithdrawalStatus::{Approved, Canceled, Completed, Failed, Pending, Rejected};
        let applied = |status: WithdrawalStatus, event, has_left| status.after(event, has_left).applied();
        assert_eq!(applied(Pending, Approve, false), Some(Approved));
        assert_eq!(Approved.after(Approve, false), Transition::AlreadyApplied);
        assert_eq!(Rejected.after(Approve, false), Transition::rejected(ENDED));
        assert_eq!(applied(Approved, Reject, false), Some(Rejected));
        assert_eq!(Approved.after(Reject, true), Transition::rejected(MONEY_LEFT));
        assert_eq!(Approved.after(Cancel, false), Transition::rejected(NOT_PENDING));
        assert_eq!(applied(Approved, PayoutAccepted, true), Some(Completed));
        assert_eq!(applied(Completed, PayoutReturned, true), Some(Approved));
        assert_eq!(Approved.after(GaveUp, true), Transition::rejected(MONEY_LEFT));
        assert_eq!(applied(Approved, GaveUp, false), Some(Failed));
        assert_eq!(applied(Approved, BackToReview, false), Some(Pending));
        for ended in [Rejected, Failed, Canceled] {
            for event in [
                Approve,
                Reject,
                Cancel,
                BackToReview,
                PayoutAccepted,
                PayoutReturned,
                GaveUp,
            ] {
                assert_eq!(applied(ended, event, false), None, "{ended} {event:?}");
            }
        }
    }

    /// What happens to an account and its withdrawals.
    #[derive(Clone, Debug)]
    enum Step {
        Trade(i64),
        Ask(i64),
        Approve(usize),
        Reject(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (-3_000_000_i64..3_000_000).prop_map(Step::Trade),
            (0_i64..2_000_000).prop_map(Step::Ask),
            any::<usize>().prop_map(Step::Approve),
            any::<usize>().prop_map(Step::Reject),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("MONETA_SOAK").is_some() { 10_000 } else { 500 }))]

        #[test]
        fn slices_never_come_to_more_than_the_whole(
            parts in 1_u16..=10_000, amounts in prop::collection::vec(1_i64..1_000_000, 1..40),
        ) {
            let split = Share::from_ten_thousandths(parts);
            let (mut paid, mut used_up) = (0_i128, 0_i128);
            for amount in amounts {
                paid += i128::from(amount);
                used_up += i128::from(gross_cents(amount, split).unwrap());
                prop_assert!(paid * 10_000 <= used_up * i128::from(parts));
            }
        }

        #[test]
        fn what_is_paid_and_reserved_is_within_the_share_of_the_profit_at_each_approval(
            parts in 1_u16..=10_000, steps in prop::collection::vec(step(), 1..60),
        ) {
            let split = Share::from_ten_thousandths(parts);
            let mut profit = 0_i64;
            let mut withdrawals: Vec<(i64, i64, WithdrawalStatus)> = Vec::new();
            for step in steps {
                let used_up = |all: &[(i64, i64, WithdrawalStatus)], but: Option<usize>| -> i64 {
                    let others = all.iter().enumerate().filter(|(index, _)| Some(*index) != but);
                    others.filter(|(_, one)| one.2.is_used_up()).map(|(_, one)| one.1).sum()
                };
                match step {
                    Step::Trade(change) => profit += change,
                    Step::Ask(amount) => {
                        let facts = Facts { profit_split: split, ..facts(profit, used_up(&withdrawals, None)) };
                        if reasons_against(amount, &facts, now()).is_empty() {
                            let gross = gross_cents(amount, split).unwrap();
                            withdrawals.push((amount, gross, WithdrawalStatus::Pending));
                        }
                    }
                    Step::Approve(index) if !withdrawals.is_empty() => {
                        let index = index % withdrawals.len();
                        let facts = Facts { profit_split: split, ..facts(profit, used_up(&withdrawals, Some(index))) };
                        let allowed = reasons_against(withdrawals[index].0, &facts, now()).is_empty();
                        let next = withdrawals[index].2.after(WithdrawalEvent::Approve, false).applied();
                        if let Some(next) = next.filter(|_| allowed) {
                            withdrawals[index].2 = next;
                            let live = withdrawals.iter().filter(|one| one.2.is_used_up());
                            let sum: i128 = live.map(|one| i128::from(one.0)).sum();
                            prop_assert!(sum * 10_000 <= i128::from(profit) * i128::from(parts), "{withdrawals:?}");
                        }
                    }
                    Step::Reject(index) if !withdrawals.is_empty() => {
                        let index = index % withdrawals.len();
                        if let Some(next) = withdrawals[index].2.after(WithdrawalEvent::Reject, false).applied() {
                            withdrawals[index].2 = next;
                        }
                    }
                    Step::Approve(_) | Step::Reject(_) => {}
                }
            }
        }
    }
}
