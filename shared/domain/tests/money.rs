//! What holds for every amount, not only for the examples beside the code.

use domain::currency::Currency;
use domain::money::{Money, MoneyError, Rounding};
use domain::rate::{Rate, Weight};
use proptest::prelude::*;
use proptest::sample::select;
use rust_decimal::Decimal;

const ROUNDINGS: [Rounding; 5] = [
    Rounding::HalfEven,
    Rounding::Down,
    Rounding::Up,
    Rounding::Floor,
    Rounding::Ceiling,
];

/// The scale of the shares that are drawn; small, so that the tests can compute with plain integers.
const SHARE_SCALE: u32 = 6;

fn currencies() -> impl Strategy<Value = Currency> {
    select(Currency::KNOWN)
}

/// Amounts of every size, with the edges of `i64` more often than chance has them.
fn minors() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => any::<i64>(),
        4 => -100_000_i64..100_000,
        1 => select(&[i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX][..]),
    ]
}

fn amounts() -> impl Strategy<Value = Money> {
    (minors(), currencies()).prop_map(|(minor, currency)| Money::new(minor, currency))
}

/// Shares as integers of [`SHARE_SCALE`] decimals, at least one of them above zero.
fn shares() -> impl Strategy<Value = Vec<u64>> {
    let share = prop_oneof![1 => Just(0), 2 => 1_u64..5, 4 => 0_u64..1_000_000_000_000];
    prop::collection::vec(share, 1..20)
        .prop_filter("all zero", |shares| shares.iter().any(|share| *share > 0))
}

fn as_decimals(shares: &[u64]) -> Vec<Decimal> {
    shares
        .iter()
        .map(|share| Decimal::from_i128_with_scale(i128::from(*share), SHARE_SCALE))
        .collect()
}

/// What a result should be, from integers alone: `numerator ÷ denominator`, rounded.
fn rounded(numerator: i128, denominator: i128, rounding: Rounding) -> i128 {
    let floor = numerator.div_euclid(denominator);
    let above = numerator.rem_euclid(denominator);
    let ceiling = if above == 0 { floor } else { floor + 1 };
    match rounding {
        Rounding::Floor => floor,
        Rounding::Ceiling => ceiling,
        Rounding::Down => {
            if numerator < 0 {
                ceiling
            } else {
                floor
            }
        }
        Rounding::Up => {
            if numerator < 0 {
                floor
            } else {
                ceiling
            }
        }
        Rounding::HalfEven => match (above * 2).cmp(&denominator) {
            std::cmp::Ordering::Less => floor,
            std::cmp::Ordering::Greater => ceiling,
            std::cmp::Ordering::Equal => {
                if floor % 2 == 0 {
                    floor
                } else {
                    ceiling
                }
            }
        },
    }
}

fn fitting(minor: i128, currency: Currency) -> Result<Money, MoneyError> {
    i64::try_from(minor)
        .map(|minor| Money::new(minor, currency))
        .map_err(|_| MoneyError::Overflow)
}

proptest! {
    #[test]
    fn a_split_sums_exactly_and_each_part_is_within_one_unit(amount in amounts(), shares in shares()) {
        let parts = amount.split(&as_decimals(&shares)).unwrap();
        prop_assert_eq!(parts.len(), shares.len());
        prop_assert_eq!(Money::checked_sum(amount.currency(), parts.iter().copied()), Ok(amount));
        let sum: i128 = shares.iter().map(|share| i128::from(*share)).sum();
        for (part, share) in parts.iter().zip(&shares) {
            let difference = i128::from(part.minor()) * sum - i128::from(amount.minor()) * i128::from(*share);
            prop_assert!(difference.abs() < sum, "{} of {} for {}", part, amount, share);
            prop_assert!(*share > 0 || part.is_zero());
            prop_assert!(part.is_zero() || part.is_negative() == amount.is_negative());
        }
    }

    #[test]
    fn equal_shares_differ_by_one_unit_at_most_and_the_earlier_is_the_larger(
        amount in amounts(),
        count in 1_usize..50,
    ) {
        let parts = amount.split(&vec![Decimal::ONE; count]).unwrap();
        let sizes: Vec<u64> = parts.iter().map(|part| part.minor().unsigned_abs()).collect();
        prop_assert!(sizes.is_sorted_by(|earlier, later| earlier >= later));
        prop_assert!(sizes[0] - sizes[count - 1] <= 1);
    }

    #[test]
    fn splitting_does_not_depend_on_the_scale_of_the_shares(amount in amounts(), shares in shares()) {
        let larger = as_decimals(&shares).into_iter().map(|share| share * Decimal::from(8));
        let larger: Vec<Decimal> = larger.collect();
        prop_assert_eq!(amount.split(&larger), amount.split(&as_decimals(&shares)));
    }

    #[test]
    fn only_shares_that_say_nothing_are_refused(
        amount in amounts(),
        shares in prop::collection::vec((-10_i64.., 0_u32..=18), 0..8),
    ) {
        let shares = shares.into_iter().map(|(digits, scale)| Decimal::new(digits, scale));
        let shares: Vec<Decimal> = shares.collect();
        match amount.split(&shares) {
            Ok(parts) => {
                prop_assert_eq!(Money::checked_sum(amount.currency(), parts), Ok(amount));
            }
            Err(error) => {
                prop_assert_eq!(error, MoneyError::BadShares);
                let sum: Decimal = shares.iter().sum();
                prop_assert!(sum.is_zero() || shares.iter().any(|share| *share < Decimal::ZERO));
            }
        }
    }

    #[test]
    fn weights_split_like_their_decimals(
        amount in amounts(),
        parts in prop::collection::vec(1_u32..=10_000, 1..9),
    ) {
        let weights: Vec<Weight> =
            parts.iter().map(|part| Weight::from_ten_thousandths(*part).unwrap()).collect();
        let decimals: Vec<Decimal> = weights.iter().map(Weight::as_decimal).collect();
        prop_assert_eq!(amount.split_by_weights(&weights), amount.split(&decimals));
    }

    #[test]
    fn sums_are_right_or_refused(left in minors(), right in minors(), currency in currencies()) {
        let (a, b) = (Money::new(left, currency), Money::new(right, currency));
        let (left, right) = (i128::from(left), i128::from(right));
        prop_assert_eq!(a.checked_add(b), fitting(left + right, currency));
        prop_assert_eq!(a.checked_sub(b), fitting(left - right, currency));
        prop_assert_eq!(a.checked_neg(), fitting(-left, currency));
        prop_assert_eq!(a.checked_abs(), fitting(left.abs(), currency));
        prop_assert_eq!(Money::checked_sum(currency, [a, b]), a.checked_add(b));
        prop_assert_eq!(a.cmp_same(&b), Ok(left.cmp(&right)));
    }

    #[test]
    fn products_are_rounded_as_integers_are(
        amount in amounts(),
        digits in -1_000_000_000_000_i64..1_000_000_000_000,
        scale in 0_u32..=12,
        rounding in select(&ROUNDINGS[..]),
    ) {
        let product = i128::from(amount.minor()) * i128::from(digits);
        let expected = fitting(rounded(product, 10_i128.pow(scale), rounding), amount.currency());
        prop_assert_eq!(amount.times(Decimal::new(digits, scale), rounding), expected);
    }

    #[test]
    fn any_product_is_within_one_unit_or_refused(
        amount in amounts(),
        digits in any::<i64>(),
        scale in 0_u32..=28,
        rounding in select(&ROUNDINGS[..]),
    ) {
        let rate = Decimal::new(digits, scale);
        let floor = amount.times(rate, Rounding::Floor);
        let ceiling = amount.times(rate, Rounding::Ceiling);
        if let (Ok(floor), Ok(ceiling)) = (floor, ceiling) {
            prop_assert!(ceiling.minor() - floor.minor() <= 1);
            let result = amount.times(rate, rounding).unwrap();
            prop_assert!(result == floor || result == ceiling);
        }
    }

    #[test]
    fn decimals_there_and_back(amount in amounts()) {
        let decimal = amount.to_decimal();
        prop_assert_eq!(decimal.scale(), amount.currency().exponent());
        prop_assert_eq!(Money::from_decimal_exact(decimal, amount.currency()), Ok(amount));
        for rounding in ROUNDINGS {
            prop_assert_eq!(Money::from_decimal(decimal, amount.currency(), rounding), Ok(amount));
        }
    }

    #[test]
    fn decimals_are_rounded_as_integers_are(
        digits in any::<i64>(),
        scale in 0_u32..=18,
        currency in currencies(),
        rounding in select(&ROUNDINGS[..]),
    ) {
        let numerator = i128::from(digits) * 10_i128.pow(currency.exponent());
        let denominator = 10_i128.pow(scale);
        let expected = fitting(rounded(numerator, denominator, rounding), currency);
        let decimal = Decimal::new(digits, scale);
        prop_assert_eq!(Money::from_decimal(decimal, currency, rounding), expected);
        let fraction = numerator % denominator != 0;
        let expected = if fraction { Err(MoneyError::FractionOfMinorUnit) } else { expected };
        prop_assert_eq!(Money::from_decimal_exact(decimal, currency), expected);
    }

    #[test]
    fn converting_there_and_back_loses_one_unit_at_most(
        minor in -1_000_000_000_000_i64..1_000_000_000_000,
        from in currencies(),
        to in currencies(),
        ten_thousandths in 10_000_i64..100_000_000,
    ) {
        // A rate of one or more minor units for each minor unit: otherwise the target is too coarse to come
        // back from.
        let shift = i64::from(from.exponent()) - i64::from(to.exponent());
        let digits = i128::from(ten_thousandths) * 10_i128.pow(u32::try_from(shift.max(0)).unwrap());
        let scale = 4 + u32::try_from((-shift).max(0)).unwrap();
        let rate = Rate::new(Decimal::from_i128_with_scale(digits, scale)).unwrap();
        let amount = Money::new(minor, from);
        for rounding in ROUNDINGS {
            let there = amount.convert(rate, to, rounding).unwrap();
            let back = there.convert(rate.inverse().unwrap(), from, Rounding::HalfEven).unwrap();
            prop_assert!((back.minor() - minor).abs() <= 1, "{} {} {} {:?}", amount, there, back, rounding);
        }
    }

    #[test]
    fn converting_at_one_changes_nothing(amount in amounts()) {
        for rounding in ROUNDINGS {
            prop_assert_eq!(amount.convert(Rate::ONE, amount.currency(), rounding), Ok(amount));
        }
    }

    #[test]
    fn a_ratio_leads_back_to_the_amount(
        part in -1_000_000_000_i64..1_000_000_000,
        whole in 1_i64..1_000_000_000,
        currency in currencies(),
    ) {
        let whole = Money::new(whole, currency);
        let ratio = Money::new(part, currency).ratio_to(whole).unwrap();
        prop_assert_eq!(whole.times(ratio, Rounding::HalfEven), Ok(Money::new(part, currency)));
    }

    #[test]
    fn text_and_json_there_and_back(amount in amounts()) {
        prop_assert_eq!(amount.to_string().parse(), Ok(amount));
        let json = serde_json::to_string(&amount).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), amount);
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,40}", number in "(USD|JPY) -?[0-9.]{0,40}") {
        for text in [text, number] {
            if let Ok(amount) = Money::parse(&text) {
                prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            }
        }
    }
}
