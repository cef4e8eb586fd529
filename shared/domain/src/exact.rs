//! Exact integer arithmetic behind money, rates and weights.
//!
//! `Decimal` rounds by itself when a product or quotient doesn't fit its 96 bits, so that a second rounding
//! on top of it could be wrong by a unit. Here the quotient and the remainder are exact, and the caller
//! rounds once.

use std::cmp::Reverse;

use rust_decimal::Decimal;

/// Divisors stay below this, so that three of them fit in 128 bits.
const DIVISOR_LIMIT: u128 = 1 << 126;

/// The longest decimal there can be: a sign, 29 digits, a point and a zero before it. More is refused unread.
const DECIMAL_TEXT_MAX: usize = 32;

/// The quotient and the remainder of a division.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Division {
    pub(crate) quotient: u128,
    pub(crate) remainder: u128,
}

/// `multiplicand × multiplier ÷ divisor` without losing a bit, or `None` if the quotient or the divisor is
/// too large or the divisor is zero.
pub(crate) fn multiply_divide(multiplicand: u64, multiplier: u128, divisor: u128) -> Option<Division> {
    if divisor >= DIVISOR_LIMIT {
        return None;
    }
    let whole = multiplier.checked_div(divisor)?;
    let part = multiplier.checked_rem(divisor)?;
    // `part` is below `divisor` and so is the remainder, which makes the sum below three divisors at each
    // bit.
    let mut fraction = Division {
        quotient: 0,
        remainder: 0,
    };
    for bit in (0..u64::BITS).rev() {
        let addend = if multiplicand >> bit & 1 == 1 { part } else { 0 };
        let sum = fraction.remainder * 2 + addend;
        fraction.quotient = fraction.quotient * 2 + sum / divisor;
        fraction.remainder = sum % divisor;
    }
    let quotient = whole
        .checked_mul(u128::from(multiplicand))?
        .checked_add(fraction.quotient)?;
    Some(Division {
        quotient,
        remainder: fraction.remainder,
    })
}

/// Ten to the power of `exponent`, or `None` above what 128 bits hold.
pub(crate) fn power_of_ten(exponent: u32) -> Option<u128> {
    10_u128.checked_pow(exponent)
}

/// Distributes `total` in proportion to `shares` by largest remainder, ties to the earlier share. The parts
/// sum to exactly `total`, each is within one of its exact part, and a share of zero gets zero.
///
/// `None` if there is no share, one is negative, all are zero, or they differ so much in size that they don't
/// fit one scale of 37 digits.
pub(crate) fn apportion(total: u64, shares: &[Decimal]) -> Option<Vec<u64>> {
    struct Part {
        amount: u64,
        remainder: u128,
    }

    let shares = to_one_scale(shares)?;
    let sum = shares
        .iter()
        .try_fold(0_u128, |sum, share| sum.checked_add(*share))?;
    let mut parts = Vec::with_capacity(shares.len());
    for share in shares {
        let Division { quotient, remainder } = multiply_divide(total, share, sum)?;
        parts.push(Part {
            amount: u64::try_from(quotient).ok()?,
            remainder,
        });
    }
    let given = parts
        .iter()
        .try_fold(0_u64, |given, part| given.checked_add(part.amount))?;
    let left_over = usize::try_from(total.checked_sub(given)?).ok()?;
    let mut by_remainder: Vec<&mut Part> = parts.iter_mut().collect();
    // The sort is stable: of equal remainders the earlier stays first.
    by_remainder.sort_by_key(|part| Reverse(part.remainder));
    for part in by_remainder.into_iter().take(left_over) {
        part.amount += 1;
    }
    Some(parts.into_iter().map(|part| part.amount).collect())
}

/// The shares as integers of one scale, or `None` if one is negative or doesn't fit.
fn to_one_scale(shares: &[Decimal]) -> Option<Vec<u128>> {
    let shares: Vec<Decimal> = shares.iter().map(Decimal::normalize).collect();
    let scale = shares.iter().map(Decimal::scale).max()?;
    let integer = |share: &Decimal| {
        let digits = u128::try_from(share.mantissa()).ok()?;
        digits.checked_mul(power_of_ten(scale - share.scale())?)
    };
    shares.iter().map(integer).collect()
}

/// Reads a plain decimal: an optional minus, digits, and optionally a point with digits. Nothing else is
/// taken (no plus, exponent, underscore, space), and nothing is rounded: a text with more digits than fit is
/// `None`.
pub(crate) fn parse_decimal(text: &str) -> Option<Decimal> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let plain = match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    };
    if !plain || text.len() > DECIMAL_TEXT_MAX {
        return None;
    }
    Decimal::from_str_exact(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimals(texts: &[&str]) -> Vec<Decimal> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn multiplies_before_it_divides() {
        let division = multiply_divide(u64::MAX, 10_u128.pow(30) + 1, 10_u128.pow(30)).unwrap();
        assert_eq!(
            division,
            Division {
                quotient: u128::from(u64::MAX),
                remainder: u128::from(u64::MAX)
            }
        );
        assert_eq!(
            multiply_divide(7, 2, 3),
            Some(Division {
                quotient: 4,
                remainder: 2
            })
        );
        let widest = DIVISOR_LIMIT - 1;
        let division = multiply_divide(u64::MAX, widest - 1, widest).unwrap();
        assert_eq!(division.quotient, u128::from(u64::MAX - 1));
        assert_eq!(division.remainder, widest - u128::from(u64::MAX));
    }

    #[test]
    fn refuses_what_does_not_fit() {
        assert_eq!(multiply_divide(1, 1, 0), None);
        assert_eq!(multiply_divide(1, 1, DIVISOR_LIMIT), None);
        assert_eq!(multiply_divide(u64::MAX, u128::MAX, 1), None);
    }

    #[test]
    fn apportions_by_largest_remainder_and_ties_to_the_earlier() {
        assert_eq!(apportion(10, &decimals(&["1", "1", "1"])), Some(vec![4, 3, 3]));
        assert_eq!(
            apportion(10, &decimals(&["1", "1", "1.0001"])),
            Some(vec![3, 3, 4])
        );
        assert_eq!(
            apportion(2, &decimals(&["0", "1", "0", "1", "1"])),
            Some(vec![0, 1, 0, 1, 0])
        );
        assert_eq!(apportion(0, &decimals(&["1", "2"])), Some(vec![0, 0]));
        assert_eq!(
            apportion(7, &decimals(&["0.0000000000000000000000000001", "1000000000"])),
            Some(vec![0, 7])
        );
    }

    #[test]
    fn refuses_shares_that_say_nothing() {
        for shares in [
            &[][..],
            &["0", "0.00"],
            &["1", "-0.1"],
            &["79228162514264337593543950335", "0.1", "1e-28"],
        ] {
            let shares: Vec<Decimal> = shares
                .iter()
                .map(|share| {
                    share
                        .parse()
                        .or_else(|_| Decimal::from_scientific(share))
                        .unwrap()
                })
                .collect();
            assert_eq!(apportion(10, &shares), None, "{shares:?}");
        }
    }

    #[test]
    fn reads_plain_decimals_only() {
        for text in [
            "0",
            "-0.5",
            "12.340",
            "79228162514264337593543950335",
            "-0.0000000000000000000000000001",
        ] {
            assert!(parse_decimal(text).is_some(), "{text}");
        }
        for text in [
            "",
            "-",
            "+1",
            ".5",
            "1.",
            "1e3",
            "1_000",
            " 1",
            "1 ",
            "1,5",
            "--1",
            "0x1",
            "NaN",
            "١",
            "79228162514264337593543950336",
            "0.00000000000000000000000000001",
            "000000000000000000000000000000001",
        ] {
            assert!(parse_decimal(text).is_none(), "{text}");
        }
    }
}
