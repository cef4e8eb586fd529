//! What holds for all rates: none of a file's ways round gains, and the rule of there and back means what it says.

use domain::currency::Currency;
use domain::money::{Money, Rounding};
use domain::rate::Rate;
use domain::wallets::rates::{ExchangeRate, RateMaxJump};
use proptest::prelude::*;
use rust_decimal::Decimal;

/// Rates of every size, among them those of one digit and of many.
fn rates() -> impl Strategy<Value = ExchangeRate> {
    let number = (1_i128..10_i128.pow(13), 0_u32..=12);
    number.prop_filter_map("no rate", |(digits, scale)| {
        let rate = Rate::new(Decimal::try_from_i128_with_scale(digits, scale).ok()?).ok()?;
        ExchangeRate::new(rate).ok()
    })
}

/// Rates as a bank's file has them: so many for one euro.
fn listed_rates() -> impl Strategy<Value = ExchangeRate> {
    let number = (1_000_i128..30_000_000, 0_u32..=5);
    number.prop_filter_map("no rate", |(digits, scale)| {
        let rate = Rate::new(Decimal::try_from_i128_with_scale(digits, scale).ok()?).ok()?;
        ExchangeRate::new(rate).ok()
    })
}

fn converted(amount: i64, from: Currency, rate: ExchangeRate, to: Currency) -> Result<i64, TestCaseError> {
    let converted = Money::new(amount, from).convert(rate.rate(), to, Rounding::Floor);
    converted
        .map(|money| money.minor())
        .map_err(|error| TestCaseError::reject(error.to_string()))
}

proptest! {
    #[test]
    fn no_way_round_through_the_rates_of_a_file_gains(
        listed in proptest::collection::vec(listed_rates(), 2..5), amount in 1_i64..1_000_000_000_000,
    ) {
        // By way of each currency in turn and back to the first.
        let mut held = amount;
        let next = listed.iter().cycle().skip(1);
        for (base, quote) in listed.iter().zip(next) {
            let Some(rate) = ExchangeRate::across(*base, *quote) else {
                return Err(TestCaseError::reject("too small"));
            };
            held = converted(held, Currency::EUR, rate, Currency::USD)?;
        }
        prop_assert!(held <= amount, "{amount} became {held} by {listed:?}");
    }

    #[test]
    fn the_rates_of_two_currencies_in_a_file_pass_the_rule(base in rates(), quote in rates()) {
        let there = ExchangeRate::across(base, quote);
        let back = ExchangeRate::across(quote, base);
        if let (Some(there), Some(back)) = (there, back) {
            prop_assert!(!there.gains_with(back));
        }
    }

    #[test]
    fn rates_that_pass_bring_back_at_most_a_millionth_more(
        there in listed_rates(), more in 0_i64..100, amount in 1_i64..1_000_000_000,
    ) {
        // The way back at about the inverse, and a little above it.
        let inverse = ExchangeRate::across(there, ExchangeRate::ONE);
        let back = inverse.and_then(|inverse| {
            ExchangeRate::try_from(inverse.rate().as_decimal() + Decimal::new(more, 12)).ok()
        });
        let Some(back) = back.filter(|back| !there.gains_with(*back)) else {
            return Err(TestCaseError::reject("it gains"));
        };
        let held = converted(amount, Currency::USD, there, Currency::EUR)?;
        let held = converted(held, Currency::EUR, back, Currency::USD)?;
        prop_assert!(held - amount <= amount / 1_000_000, "{amount} became {held}");
    }

    #[test]
    fn the_order_of_the_two_ways_is_all_the_same(there in rates(), back in rates()) {
        prop_assert_eq!(there.gains_with(back), back.gains_with(there));
    }

    #[test]
    fn a_larger_limit_allows_what_a_smaller_one_does(
        before in rates(), after in rates(), percent in 1_u16..1_000,
    ) {
        let limit = |percent: u16| percent.to_string().parse::<RateMaxJump>();
        if let (Ok(small), Ok(large)) = (limit(percent), limit(percent + 1)) {
            prop_assert!(!large.is_exceeded(before, after) || small.is_exceeded(before, after));
        }
        prop_assert_eq!(limit(percent).map(|small| small.is_exceeded(before, before)), Ok(false));
    }
}
