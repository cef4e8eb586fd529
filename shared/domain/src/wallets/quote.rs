//! What a transfer between two currencies pays and brings at a rate: what a quote says. A transfer itself is computed in the
//! database, by `convert_payment`, which a test holds against this.

use super::conversion::{ConversionRefusal, FixedAmount};
use super::rates::ExchangeRate;
use crate::currency::Currency;
use crate::money::{Money, Rounding};

/// Both amounts of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// What the payer pays.
    pub paid: Money,
    /// What the receiver gets.
    pub received: Money,
}

/// The amounts of a transfer at a rate of payer's to receiver's currency. What is received is rounded down. Where that is
/// fixed, the payer pays the least amount that covers it. Either way nobody gains by slicing.
///
/// # Errors
/// See [`ConversionRefusal`].
pub fn amounts(
    fixed: FixedAmount,
    rate: ExchangeRate,
    payer: Currency,
    receiver: Currency,
) -> Result<Amounts, ConversionRefusal> {
    let rate = rate.rate();
    let (paid, received) = match fixed {
        FixedAmount::Payer(amount) => {
            let paid = Money::new(amount, payer);
            (paid, paid.convert(rate, receiver, Rounding::Down))
        }
        FixedAmount::Receiver(amount) => {
            let received = Money::new(amount, receiver);
            let paid = received.convert_back(rate, payer, Rounding::Up);
            (paid.map_err(|_| ConversionRefusal::TooLarge)?, Ok(received))
        }
    };
    let received = received.map_err(|_| ConversionRefusal::TooLarge)?;
    if paid.is_positive() && received.is_positive() {
        Ok(Amounts { paid, received })
    } else {
        Err(ConversionRefusal::ConvertsToNothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Rate;

    use Currency as C;
    use FixedAmount::{Payer, Receiver};

    fn quoted(
        fixed: FixedAmount,
        rate: &str,
        payer: Currency,
        receiver: Currency,
    ) -> Result<(i64, i64), ConversionRefusal> {
        let rate = ExchangeRate::new(Rate::parse(rate).unwrap()).unwrap();
        let amounts = amounts(fixed, rate, payer, receiver)?;
        Ok((amounts.paid.minor(), amounts.received.minor()))
    }

    #[test]
    fn what_is_received_is_rounded_down() {
        for (paid, received) in [(2, 1), (3, 1), (5, 2), (7, 3)] {
            // Half a cent for each cent.
            assert_eq!(quoted(Payer(paid), "0.5", C::USD, C::EUR), Ok((paid, received)));
        }
        assert_eq!(quoted(Payer(5), "0.799999999999", C::USD, C::EUR), Ok((5, 3)));
        // 1 KWD at 3.2564 is 3.2564 USD: 325 cents.
        assert_eq!(quoted(Payer(1_000), "3.2564", C::KWD, C::USD), Ok((1_000, 325)));
        // 10.00 USD at 151.239 is 1512.39 yen, at 151.299 it is 1512.99.
        assert_eq!(
            quoted(Payer(1_000), "151.239", C::USD, C::JPY),
            Ok((1_000, 1_512))
        );
        assert_eq!(
            quoted(Payer(1_000), "151.299", C::USD, C::JPY),
            Ok((1_000, 1_512))
        );
        // 1000 yen at 0.0020365 is 2.0365 KWD, 2036.5 thousandths.
        assert_eq!(
            quoted(Payer(1_000), "0.0020365", C::JPY, C::KWD),
            Ok((1_000, 2_036))
        );
        assert_eq!(
            quoted(Payer(1), "0.999999999999", C::USD, C::EUR),
            Err(ConversionRefusal::ConvertsToNothing)
        );
    }

    #[test]
    fn fixed_amount_of_the_receiver_is_covered_by_the_least_amount() {
        // 151 yen at 150: 1.0066… USD, so 1.01, which would bring 151.5.
        assert_eq!(quoted(Receiver(151), "150", C::USD, C::JPY), Ok((101, 151)));
        assert_eq!(quoted(Receiver(150), "150", C::USD, C::JPY), Ok((100, 150)));
        assert_eq!(quoted(Receiver(1), "10000", C::USD, C::JPY), Ok((1, 1)));
        assert_eq!(
            quoted(Receiver(9_217), "0.9217", C::USD, C::EUR),
            Ok((10_000, 9_217))
        );
    }

    #[test]
    fn amounts_have_their_limits() {
        let too_large = Err(ConversionRefusal::TooLarge);
        assert_eq!(quoted(Payer(i64::MAX), "2", C::USD, C::EUR), too_large);
        assert_eq!(quoted(Receiver(i64::MAX), "0.5", C::USD, C::EUR), too_large);
        assert_eq!(
            quoted(Payer(i64::MAX), "1", C::USD, C::EUR),
            Ok((i64::MAX, i64::MAX))
        );
        assert_eq!(
            quoted(Payer(1), "0.001", C::JPY, C::USD),
            Err(ConversionRefusal::ConvertsToNothing)
        );
        for nothing in [Payer(0), Receiver(0), Payer(-1), Receiver(-1)] {
            assert_eq!(
                quoted(nothing, "1", C::USD, C::EUR),
                Err(ConversionRefusal::ConvertsToNothing)
            );
        }
    }
}
