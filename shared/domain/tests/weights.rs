//! What holds for all weights and rates, not only for the examples beside the code.

use domain::rate::{Rate, Weight, normalise};
use proptest::prelude::*;
use rust_decimal::Decimal;

fn sum_of(weights: &[Weight]) -> u32 {
    weights.iter().map(Weight::ten_thousandths).sum()
}

proptest! {
    #[test]
    fn normalised_weights_sum_to_one_and_stay_within_a_ten_thousandth(
        numbers in prop::collection::vec(
            prop_oneof![1 => Just(0_i64), 2 => 1_i64..5, 4 => 0_i64..1_000_000_000_000],
            1..60,
        ),
        scale in 0_u32..=28,
    ) {
        prop_assume!(numbers.iter().any(|number| *number > 0));
        let decimals: Vec<Decimal> = numbers.iter().map(|number| Decimal::new(*number, scale)).collect();
        let weights = normalise(&decimals).unwrap();
        prop_assert_eq!(sum_of(&weights), 10_000);
        let sum: i128 = numbers.iter().map(|number| i128::from(*number)).sum();
        for (weight, number) in weights.iter().zip(&numbers) {
            let difference = i128::from(weight.ten_thousandths()) * sum - i128::from(*number) * 10_000;
            prop_assert!(difference.abs() < sum, "{} for {} of {}", weight, number, sum);
            prop_assert!(*number > 0 || weight.is_zero());
        }
        // The order of sizes is kept: a larger number never gets a smaller weight.
        for (weight, number) in weights.iter().zip(&numbers) {
            for (other_weight, other_number) in weights.iter().zip(&numbers) {
                prop_assert!(number <= other_number || weight >= other_weight);
            }
        }
    }

    #[test]
    fn normalising_again_changes_nothing(numbers in prop::collection::vec(1_i64..1_000_000, 1..60)) {
        let decimals: Vec<Decimal> = numbers.iter().map(|number| Decimal::from(*number)).collect();
        let once = normalise(&decimals).unwrap();
        let decimals: Vec<Decimal> = once.iter().map(Weight::as_decimal).collect();
        prop_assert_eq!(normalise(&decimals), Ok(once));
    }

    #[test]
    fn any_decimals_are_normalised_or_refused(
        numbers in prop::collection::vec((any::<i64>(), 0_u32..=28), 0..8),
    ) {
        let decimals = numbers.into_iter().map(|(digits, scale)| Decimal::new(digits, scale));
        let decimals: Vec<Decimal> = decimals.collect();
        if let Ok(weights) = normalise(&decimals) {
            prop_assert_eq!(sum_of(&weights), 10_000);
        }
    }

    #[test]
    fn weights_there_and_back(ten_thousandths in 0_u32..=10_000) {
        let weight = Weight::from_ten_thousandths(ten_thousandths).unwrap();
        prop_assert_eq!(Weight::from_decimal(weight.as_decimal()), Ok(weight));
        prop_assert_eq!(weight.to_string().parse(), Ok(weight));
        prop_assert_eq!(weight.percent(), weight.as_decimal() * Decimal::ONE_HUNDRED);
        prop_assert_eq!(weight.complement().checked_add(weight), Ok(Weight::ONE));
        let json = serde_json::to_string(&weight).unwrap();
        prop_assert_eq!(serde_json::from_str::<Weight>(&json).unwrap(), weight);
        let number = weight.as_decimal().to_string();
        prop_assert!(serde_json::from_str::<Weight>(&number).is_err());
    }

    #[test]
    fn a_weight_is_refused_unless_it_is_exact(digits in any::<i64>(), scale in 0_u32..=28) {
        let decimal = Decimal::new(digits, scale);
        if let Ok(weight) = Weight::from_decimal(decimal) {
            prop_assert_eq!(weight.as_decimal(), decimal);
        }
    }

    #[test]
    fn rates_there_and_back(digits in 1_i64.., scale in 0_u32..=28) {
        let rate = Rate::new(Decimal::new(digits, scale)).unwrap();
        prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        let json = serde_json::to_string(&rate).unwrap();
        prop_assert_eq!(serde_json::from_str::<Rate>(&json).unwrap(), rate);
        prop_assert!(Rate::new(Decimal::new(-digits, scale)).is_err());
    }
}
