//! What each rounding makes of fractions, in currencies with 0, 2, 3 and 4 decimals.

use domain::currency::Currency;
use domain::money::{Money, Rounding};
use rust_decimal::Decimal;

#[test]
fn rounds_as_asked() {
    let roundings = [
        Rounding::HalfEven,
        Rounding::Down,
        Rounding::Up,
        Rounding::Floor,
        Rounding::Ceiling,
    ];
    // In thousandths of a minor unit, and what each rounding makes of it.
    let table = [
        (2_000, [2, 2, 2, 2, 2]),
        (2_001, [2, 2, 3, 2, 3]),
        (2_499, [2, 2, 3, 2, 3]),
        (2_500, [2, 2, 3, 2, 3]),
        (2_501, [3, 2, 3, 2, 3]),
        (3_500, [4, 3, 4, 3, 4]),
        (500, [0, 0, 1, 0, 1]),
        (-500, [0, 0, -1, -1, 0]),
        (-1_500, [-2, -1, -2, -2, -1]),
        (-2_500, [-2, -2, -3, -3, -2]),
        (-2_501, [-3, -2, -3, -3, -2]),
        (-2_001, [-2, -2, -3, -3, -2]),
    ];
    for currency in [Currency::JPY, Currency::USD, Currency::BHD, Currency::CLF] {
        for (thousandths, expected) in table {
            let amount = Decimal::new(thousandths, 3 + currency.exponent());
            for (rounding, minor) in roundings.into_iter().zip(expected) {
                let expected = Ok(Money::new(minor, currency));
                assert_eq!(
                    Money::from_decimal(amount, currency, rounding),
                    expected,
                    "{amount} {rounding:?}"
                );
                let tenth = Money::new(thousandths, currency);
                assert_eq!(
                    tenth.times(Decimal::new(1, 3), rounding),
                    expected,
                    "{thousandths} {rounding:?}"
                );
            }
        }
    }
}

#[test]
fn rounds_once() {
    // The product has 47 digits, a hair above the half: rounding it to 28 digits first would make it a tie.
    let amount = Money::new(1_000_000_000_000_000_001, Currency::USD);
    let hair = Decimal::new(5, 19);
    assert_eq!(
        amount.times(hair, Rounding::HalfEven),
        Ok(Money::new(1, Currency::USD))
    );
    let below = Money::new(999_999_999_999_999_999, Currency::USD);
    assert_eq!(
        below.times(hair, Rounding::HalfEven),
        Ok(Money::zero(Currency::USD))
    );
    let tie = Money::new(1_000_000_000_000_000_000, Currency::USD);
    assert_eq!(
        tie.times(hair, Rounding::HalfEven),
        Ok(Money::zero(Currency::USD))
    );
}
