//! Nobody gains by converting: not in slices, not there and back, not in circles, whichever amount is fixed.
#![expect(clippy::indexing_slicing, reason = "a step names two of the five currencies")]

use domain::currency::Currency;
use domain::wallets::conversion::{FixedAmount, RATE_SCALE};
use domain::wallets::quote::amounts as convert;
use domain::wallets::rates::ExchangeRate;
use proptest::prelude::*;
use rust_decimal::Decimal;

/// With 0, 2, 3 and 4 decimals, and two of the usual ones.
const CURRENCIES: [Currency; 5] = [
    Currency::JPY,
    Currency::USD,
    Currency::EUR,
    Currency::KWD,
    Currency::CLF,
];
/// Most decimals of a currency.
const MAX_EXPONENT: u32 = 4;

/// One conversion: from where to where, how much of a hundredth of what there is, and whether as the receiver's amount.
#[derive(Clone, Copy, Debug)]
struct Step {
    from: usize,
    to: usize,
    hundredths: i64,
    by_receiver: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0..CURRENCIES.len(),
        1..CURRENCIES.len(),
        1_i64..=100,
        any::<bool>(),
    );
    let step = step.prop_map(|(from, further, hundredths, by_receiver)| Step {
        from,
        to: (from + further) % CURRENCIES.len(),
        hundredths,
        by_receiver,
    });
    prop::collection::vec(step, 1..60)
}

/// A rate and the one of the opposite direction, which follow from what a major unit of each is worth; at the twelve decimals
/// that a rate has, rounded so that the two don't gain. None where one is worth too little.
fn rate(worths: &[i64], from: usize, to: usize) -> Option<ExchangeRate> {
    let digits = i128::from(worths[from]) * 10_i128.pow(RATE_SCALE) / i128::from(worths[to]);
    ExchangeRate::try_from(Decimal::from_i128_with_scale(digits, RATE_SCALE)).ok()
}

/// What all amounts are worth together, in ten-thousandths.
fn worth(amounts: &[i64], worths: &[i64]) -> i128 {
    amounts
        .iter()
        .zip(worths)
        .zip(CURRENCIES)
        .map(|((amount, worth), currency)| {
            i128::from(*amount) * i128::from(*worth) * 10_i128.pow(MAX_EXPONENT - currency.exponent())
        })
        .sum()
}

proptest! {
    #[test]
    fn no_sequence_of_conversions_gains(
        worths in prop::collection::vec(1_i64..1_000_000_000, CURRENCIES.len()),
        start in prop::collection::vec(0_i64..2_000_000, CURRENCIES.len()),
        steps in steps(),
    ) {
        let mut amounts = start;
        for step in steps {
            let Some(rate) = rate(&worths, step.from, step.to) else { continue };
            let (payer, receiver) = (CURRENCIES[step.from], CURRENCIES[step.to]);
            let part = amounts[step.from] * step.hundredths / 100;
            let Ok(by_payer) = convert(FixedAmount::Payer(part.max(1)), rate, payer, receiver) else { continue };
            let converted = match step.by_receiver {
                true => convert(FixedAmount::Receiver(by_payer.received.minor()), rate, payer, receiver).unwrap(),
                false => by_payer,
            };
            if step.by_receiver {
                prop_assert_eq!(converted.received, by_payer.received);
                prop_assert!(converted.paid.minor() <= by_payer.paid.minor(), "not the least amount that covers it");
            }
            if converted.paid.minor() > amounts[step.from] {
                continue;
            }
            let before = worth(&amounts, &worths);
            amounts[step.from] -= converted.paid.minor();
            amounts[step.to] += converted.received.minor();
            prop_assert!(worth(&amounts, &worths) <= before, "{:?} at {} gains", step, rate);
        }
    }
}
