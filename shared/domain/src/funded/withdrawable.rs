//! What of the profit can be withdrawn.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::share::Share;

/// The trader's share of the realised profit that isn't used up yet, in cents: rounded down, and never below zero.
pub fn withdrawable_cents(
    profit_split: Share,
    current_balance_cents: i64,
    starting_balance_cents: i64,
    used_up_cents: i64,
) -> i64 {
    let profit = i128::from(current_balance_cents)
        .saturating_sub(i128::from(starting_balance_cents))
        .saturating_sub(i128::from(used_up_cents))
        .clamp(0, i128::from(i64::MAX));
    let Ok(profit) = i64::try_from(profit) else {
        return 0;
    };
    // 19 digits and 4 more fit a decimal, which is exact then.
    let share = Decimal::from(profit).checked_mul(profit_split.as_decimal());
    share.and_then(|share| share.floor().to_i64()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_trader_withdraws_his_share_of_the_realised_profit() {
        let of = |split: &str, current, used_up| {
            withdrawable_cents(split.parse().unwrap(), current, 10_000_000, used_up)
        };
        // 80 % of 160,000 − 100,000 is 48,000.
        assert_eq!(of("0.8", 16_000_000, 0), 4_800_000);
        assert_eq!(of("0.8", 16_000_000, 5_000_000), 800_000);
        assert_eq!(of("0.8", 16_000_000, 6_000_000), 0);
        // 80 % of 0.01 is 0.008, and of 0.04 is 0.032: cents are rounded down.
        assert_eq!(of("0.8", 10_000_001, 0), 0);
        assert_eq!(of("0.8", 10_000_004, 0), 3);
        // No profit, a loss, and more used up than there is now.
        assert_eq!(of("0.8", 10_000_000, 0), 0);
        assert_eq!(of("0.8", 9_000_000, 0), 0);
        assert_eq!(of("0.8", i64::MIN, i64::MAX), 0);
        assert_eq!(of("1", i64::MAX, 0), i64::MAX - 10_000_000);
    }

    proptest! {
        #[test]
        fn what_can_be_withdrawn_is_never_more_than_the_share(
            parts in 0_u16..=10_000, current in any::<i64>(), start in 1_i64..=i64::MAX, used_up in 0_i64..=i64::MAX,
        ) {
            let split = Share::from_ten_thousandths(parts);
            let amount = withdrawable_cents(split, current, start, used_up);
            prop_assert!(amount >= 0);
            let profit = i128::from(current) - i128::from(start) - i128::from(used_up);
            prop_assert!(i128::from(amount) * 10_000 <= profit.max(0) * i128::from(parts));
            if (0..=i128::from(i64::MAX)).contains(&profit) {
                prop_assert!((i128::from(amount) + 1) * 10_000 > profit * i128::from(parts));
            }
        }
    }
}
