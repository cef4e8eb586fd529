//! What a transfer between two currencies pays and what it brings, as the database's `convert_payment` computes it within
//! the transfer.

use crate::currency::Currency;
use crate::money::{Money, MoneyError, Rounding};
use crate::rate::Rate;
use crate::wallets::conversion::{ConversionRefusal, FixedAmount};

/// Both amounts of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converted {
    /// What the payer pays.
    pub paid: Money,
    /// What the receiver gets: `paid` times the rate, rounded half-even to the receiver's minor units.
    pub received: Money,
}

/// The amounts of a transfer at a rate: major units of the receiver's currency for one of the payer's.
///
/// A receiver's amount is paid by the payer's amount nearest to it, if that gives exactly this amount; at rates of more
/// than one minor unit for one, some amounts can't be given.
///
/// # Errors
/// See [`ConversionRefusal`].
pub fn convert(
    fixed: FixedAmount,
    rate: Rate,
    payer: Currency,
    receiver: Currency,
) -> Result<Converted, ConversionRefusal> {
    let forward = |paid: Money| paid.convert(rate, receiver, Rounding::HalfEven);
    let converted = match fixed {
        FixedAmount::Payer(amount) => {
            let paid = Money::new(amount, payer);
            Converted {
                paid,
                received: forward(paid)?,
            }
        }
        FixedAmount::Receiver(amount) => {
            let received = Money::new(amount, receiver);
            Converted {
                paid: received.convert_back(rate, payer, Rounding::HalfEven)?,
                received,
            }
        }
    };
    if !converted.paid.is_positive() || !converted.received.is_positive() {
        return Err(ConversionRefusal::ConvertsToNothing);
    }
    if forward(converted.paid) != Ok(converted.received) {
        return Err(ConversionRefusal::NotPayable);
    }
    Ok(converted)
}

impl From<MoneyError> for ConversionRefusal {
    fn from(_: MoneyError) -> ConversionRefusal {
        ConversionRefusal::TooLarge
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(fixed: FixedAmount, rate: &str, payer: Currency, receiver: Currency) -> (i64, i64) {
        let converted = convert(fixed, Rate::parse(rate).unwrap(), payer, receiver).unwrap();
        (converted.paid.minor(), converted.received.minor())
    }

    fn refused(fixed: FixedAmount, rate: &str, payer: Currency, receiver: Currency) -> ConversionRefusal {
        convert(fixed, Rate::parse(rate).unwrap(), payer, receiver).unwrap_err()
    }

    use Currency as C;
    use FixedAmount::{Payer, Receiver};

    #[test]
    fn exponents_of_all_kinds_meet() {
        // 10.00 USD at 151.235 is 1512.35 yen; 1512.35 rounds to 1512.
        assert_eq!(both(Payer(1_000), "151.235", C::USD, C::JPY), (1_000, 1_512));
        // 1 KWD at 3.2564 is 3.2564 USD, 326 cents.
        assert_eq!(both(Payer(1_000), "3.2564", C::KWD, C::USD), (1_000, 326));
        // 1000 yen at 0.0020365 is 2.0365 KWD, 2036.5 thousandths: half, to the even 2036.
        assert_eq!(both(Payer(1_000), "0.0020365", C::JPY, C::KWD), (1_000, 2_036));
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        let halves = [(1, 0), (3, 2), (5, 2), (7, 4), (9, 4)];
        for (paid, received) in halves {
            // Half a cent for each cent.
            let result = convert(Payer(paid), Rate::parse("0.5").unwrap(), C::USD, C::EUR);
            match received {
                0 => assert_eq!(result, Err(ConversionRefusal::ConvertsToNothing)),
                _ => assert_eq!(result.unwrap().received.minor(), received, "{paid}"),
            }
        }
        assert_eq!(both(Payer(5), "0.500000000001", C::USD, C::EUR), (5, 3));
        assert_eq!(both(Payer(5), "0.499999999999", C::USD, C::EUR), (5, 2));
    }

    #[test]
    fn a_receivers_amount_is_paid_exactly_or_not_at_all() {
        // 92.17 EUR: 100.00 USD at 0.9217.
        assert_eq!(both(Receiver(9_217), "0.9217", C::USD, C::EUR), (10_000, 9_217));
        // 1.00 USD is 150 yen and 1.01 USD is 152 (151.5, to the even): nothing is 151.
        assert_eq!(
            refused(Receiver(151), "150", C::USD, C::JPY),
            ConversionRefusal::NotPayable
        );
        assert_eq!(both(Receiver(152), "150", C::USD, C::JPY), (101, 152));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(
            refused(Payer(1), "0.001", C::JPY, C::USD),
            ConversionRefusal::ConvertsToNothing
        );
        assert_eq!(
            refused(Receiver(1), "10000", C::USD, C::JPY),
            ConversionRefusal::ConvertsToNothing
        );
        assert_eq!(
            refused(Payer(i64::MAX), "2", C::USD, C::EUR),
            ConversionRefusal::TooLarge
        );
        assert_eq!(
            refused(Receiver(i64::MAX), "0.5", C::USD, C::EUR),
            ConversionRefusal::TooLarge
        );
        assert_eq!(both(Payer(i64::MAX), "1", C::USD, C::EUR), (i64::MAX, i64::MAX));
    }
}
