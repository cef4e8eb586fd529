//! Amounts of money: whole minor units of one currency, with arithmetic that never wraps, never mixes
//! currencies and never rounds unasked.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::currency::Currency;
use crate::exact::{self, Division};
use crate::rate::{Rate, Weight};

/// An amount in the minor units of its currency: cents for USD, yen for JPY, thousandths for BHD. It may be
/// negative.
///
/// In JSON it is `{"amount": 1234, "currency": "USD"}`; a fraction or a text as the amount is refused. As
/// text it is `USD 12.34`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    #[serde(rename = "amount")]
    minor: i64,
    currency: Currency,
}

/// What a result between two minor units becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// The nearest; from the middle, the even one (banker's rounding: halves don't add up to a bias).
    HalfEven,
    /// Towards zero.
    Down,
    /// Away from zero.
    Up,
    /// Towards minus infinity.
    Floor,
    /// Towards plus infinity.
    Ceiling,
}

/// Why there is no amount as the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// The result is outside what an amount can be.
    #[error("the amount is too large")]
    Overflow,
    /// The two amounts are of different currencies.
    #[error("{left} and {right} can't be mixed")]
    CurrencyMismatch {
        /// The currency of the amount that was asked.
        left: Currency,
        /// The currency of the other amount.
        right: Currency,
    },
    /// The value has more decimals than the currency.
    #[error("the amount has a fraction of a minor unit")]
    FractionOfMinorUnit,
    /// The shares are empty, all zero, hold a negative one, or need more than 37 digits at one scale.
    #[error("the shares must be non-negative and not all zero")]
    BadShares,
    /// A ratio to an amount of zero.
    #[error("an amount has no ratio to zero")]
    DivisionByZero,
    /// The text isn't a currency and a decimal with one space between.
    #[error("not an amount, such as \"USD 12.34\"")]
    Malformed,
}

impl Money {
    /// So many minor units of a currency.
    pub const fn new(minor: i64, currency: Currency) -> Money {
        Money { minor, currency }
    }

    /// Nothing of a currency.
    pub const fn zero(currency: Currency) -> Money {
        Money { minor: 0, currency }
    }

    /// The amount in minor units.
    pub const fn minor(&self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// Whether it is more than zero.
    pub const fn is_positive(&self) -> bool {
        self.minor > 0
    }

    /// Whether it is less than zero.
    pub const fn is_negative(&self) -> bool {
        self.minor < 0
    }

    /// Whether it is zero.
    pub const fn is_zero(&self) -> bool {
        self.minor == 0
    }

    /// The sum of two amounts of one currency.
    pub fn checked_add(&self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        self.with_minor(self.minor.checked_add(other.minor))
    }

    /// The difference of two amounts of one currency.
    pub fn checked_sub(&self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        self.with_minor(self.minor.checked_sub(other.minor))
    }

    /// The same amount with the other sign.
    pub fn checked_neg(&self) -> Result<Money, MoneyError> {
        self.with_minor(self.minor.checked_neg())
    }

    /// The amount without its sign.
    pub fn checked_abs(&self) -> Result<Money, MoneyError> {
        self.with_minor(self.minor.checked_abs())
    }

    /// The sum of amounts that are all of `currency`; zero if there are none. Only the whole sum has to fit,
    /// in whichever order the amounts come.
    pub fn checked_sum(
        currency: Currency,
        amounts: impl IntoIterator<Item = Money>,
    ) -> Result<Money, MoneyError> {
        let zero = Money::zero(currency);
        let mut sum = 0_i128;
        for amount in amounts {
            zero.same_currency(amount)?;
            sum = sum
                .checked_add(i128::from(amount.minor))
                .ok_or(MoneyError::Overflow)?;
        }
        zero.with_minor(i64::try_from(sum).ok())
    }

    /// Which of two amounts of one currency is larger.
    pub fn cmp_same(&self, other: &Money) -> Result<Ordering, MoneyError> {
        self.same_currency(*other)?;
        Ok(self.minor.cmp(&other.minor))
    }

    /// The amount times a number, rounded once, from the exact product.
    pub fn times(&self, rate: Decimal, rounding: Rounding) -> Result<Money, MoneyError> {
        let divisor = exact::power_of_ten(rate.scale()).ok_or(MoneyError::Overflow)?;
        let division =
            exact::multiply_divide(self.minor.unsigned_abs(), rate.mantissa().unsigned_abs(), divisor)
                .ok_or(MoneyError::Overflow)?;
        let negative = self.is_negative() != (rate.mantissa() < 0);
        self.with_minor(round(negative, division, divisor, rounding))
    }

    /// What part of `other` this amount is: the nearest decimal with at most 28 places.
    pub fn ratio_to(&self, other: Money) -> Result<Decimal, MoneyError> {
        self.same_currency(other)?;
        if other.is_zero() {
            return Err(MoneyError::DivisionByZero);
        }
        Decimal::from(self.minor)
            .checked_div(Decimal::from(other.minor))
            .ok_or(MoneyError::Overflow)
    }

    /// The amount in major units (dollars), exact, with as many decimals as the currency has.
    pub fn to_decimal(&self) -> Decimal {
        Decimal::new(self.minor, self.currency.exponent())
    }

    /// An amount in major units (dollars) that is a whole number of minor units.
    pub fn from_decimal_exact(amount: Decimal, currency: Currency) -> Result<Money, MoneyError> {
        let (division, _) = in_minor_units(amount, currency)?;
        if division.remainder != 0 {
            return Err(MoneyError::FractionOfMinorUnit);
        }
        Money::from_decimal(amount, currency, Rounding::Down)
    }

    /// An amount in major units (dollars), rounded to a whole number of minor units.
    pub fn from_decimal(
        amount: Decimal,
        currency: Currency,
        rounding: Rounding,
    ) -> Result<Money, MoneyError> {
        let (division, divisor) = in_minor_units(amount, currency)?;
        Money::zero(currency).with_minor(round(amount.mantissa() < 0, division, divisor, rounding))
    }

    /// The amount in another currency, at a rate of so many major units of `to` for one major unit of this
    /// currency (150 for USD to JPY); rounded once, from the exact product.
    pub fn convert(&self, rate: Rate, to: Currency, rounding: Rounding) -> Result<Money, MoneyError> {
        let rate = rate.as_decimal();
        let scaled = |digits: u128, exponent: u32| {
            exact::power_of_ten(exponent)
                .and_then(|power| digits.checked_mul(power))
                .ok_or(MoneyError::Overflow)
        };
        let multiplier = scaled(rate.mantissa().unsigned_abs(), to.exponent())?;
        let divisor = scaled(1, rate.scale() + self.currency.exponent())?;
        let division = exact::multiply_divide(self.minor.unsigned_abs(), multiplier, divisor)
            .ok_or(MoneyError::Overflow)?;
        Money::zero(to).with_minor(round(self.is_negative(), division, divisor, rounding))
    }

    /// The amount that gives this one when it is converted at the rate: so many major units of this currency for one
    /// major unit of `from`. Rounded once, from the exact quotient.
    pub fn convert_back(&self, rate: Rate, from: Currency, rounding: Rounding) -> Result<Money, MoneyError> {
        let rate = rate.as_decimal();
        let power = |exponent| exact::power_of_ten(exponent).ok_or(MoneyError::Overflow);
        let multiplier = power(rate.scale() + from.exponent())?;
        let divisor = power(self.currency.exponent())?
            .checked_mul(rate.mantissa().unsigned_abs())
            .ok_or(MoneyError::Overflow)?;
        let division = exact::multiply_divide(self.minor.unsigned_abs(), multiplier, divisor)
            .ok_or(MoneyError::Overflow)?;
        Money::zero(from).with_minor(round(self.is_negative(), division, divisor, rounding))
    }

    /// Distributes the whole amount in proportion to `shares`, which needn't sum to one. What rounding leaves
    /// over goes to the largest remainders, ties to the earlier share: the parts sum to exactly this amount,
    /// each is within one minor unit of its exact part, and a share of zero gets nothing.
    pub fn split(&self, shares: &[Decimal]) -> Result<Vec<Money>, MoneyError> {
        let parts = exact::apportion(self.minor.unsigned_abs(), shares).ok_or(MoneyError::BadShares)?;
        let sign = if self.is_negative() { -1 } else { 1 };
        let signed = |part: u64| self.with_minor(i64::try_from(i128::from(part) * sign).ok());
        parts.into_iter().map(signed).collect()
    }

    /// Distributes the whole amount in proportion to weights, as [`Money::split`] does.
    pub fn split_by_weights(&self, weights: &[Weight]) -> Result<Vec<Money>, MoneyError> {
        let shares: Vec<Decimal> = weights.iter().map(Weight::as_decimal).collect();
        self.split(&shares)
    }

    /// Reads `USD 12.34`. Fewer decimals than the currency has are taken, more only if they are zeros.
    pub fn parse(text: &str) -> Result<Money, MoneyError> {
        let (code, amount) = text.split_once(' ').ok_or(MoneyError::Malformed)?;
        let currency = Currency::parse(code).map_err(|_| MoneyError::Malformed)?;
        let amount = exact::parse_decimal(amount).ok_or(MoneyError::Malformed)?;
        Money::from_decimal_exact(amount, currency)
    }

    fn same_currency(&self, other: Money) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(MoneyError::CurrencyMismatch {
            left: self.currency,
            right: other.currency,
        })
    }

    fn with_minor(&self, minor: Option<i64>) -> Result<Money, MoneyError> {
        minor
            .map(|minor| Money {
                minor,
                currency: self.currency,
            })
            .ok_or(MoneyError::Overflow)
    }
}

/// The size of `amount` in minor units, with the divisor that its remainder is a part of.
fn in_minor_units(amount: Decimal, currency: Currency) -> Result<(Division, u128), MoneyError> {
    let minor_in_major = 10_u64
        .checked_pow(currency.exponent())
        .ok_or(MoneyError::Overflow)?;
    let divisor = exact::power_of_ten(amount.scale()).ok_or(MoneyError::Overflow)?;
    let division = exact::multiply_divide(minor_in_major, amount.mantissa().unsigned_abs(), divisor)
        .ok_or(MoneyError::Overflow)?;
    Ok((division, divisor))
}

/// The signed result of a division, rounded, or `None` if it doesn't fit.
fn round(negative: bool, division: Division, divisor: u128, rounding: Rounding) -> Option<i64> {
    let Division { quotient, remainder } = division;
    let further_from_zero = match rounding {
        Rounding::HalfEven => match remainder.cmp(&(divisor - remainder)) {
            Ordering::Less => false,
            Ordering::Equal => quotient % 2 == 1,
            Ordering::Greater => true,
        },
        Rounding::Down => false,
        Rounding::Up => remainder > 0,
        Rounding::Floor => remainder > 0 && negative,
        Rounding::Ceiling => remainder > 0 && !negative,
    };
    let size = i128::try_from(quotient.checked_add(u128::from(further_from_zero))?).ok()?;
    i64::try_from(if negative { -size } else { size }).ok()
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.currency, self.to_decimal())
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Money({self})")
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Money, MoneyError> {
        Money::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        Money::parse(text).unwrap()
    }

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn adds_and_subtracts_within_one_currency_only() {
        assert_eq!(
            money("USD 1.10").checked_add(money("USD 2.20")),
            Ok(money("USD 3.30"))
        );
        assert_eq!(
            money("USD 1.10").checked_sub(money("USD 2.20")),
            Ok(money("USD -1.10"))
        );
        let mismatch = MoneyError::CurrencyMismatch {
            left: Currency::USD,
            right: Currency::EUR,
        };
        assert_eq!(money("USD 1").checked_add(money("EUR 1")), Err(mismatch));
        assert_eq!(money("USD 1").checked_sub(money("EUR 0")), Err(mismatch));
        assert_eq!(money("USD 1").cmp_same(&money("EUR 1")), Err(mismatch));
        assert_eq!(money("USD 1").ratio_to(money("EUR 1")), Err(mismatch));
        assert_eq!(money("USD 1").cmp_same(&money("USD 1.01")), Ok(Ordering::Less));
        assert_eq!(mismatch.to_string(), "USD and EUR can't be mixed");
    }

    #[test]
    fn never_wraps() {
        let (most, least) = (
            Money::new(i64::MAX, Currency::USD),
            Money::new(i64::MIN, Currency::USD),
        );
        let cent = Money::new(1, Currency::USD);
        assert_eq!(most.checked_add(cent), Err(MoneyError::Overflow));
        assert_eq!(least.checked_sub(cent), Err(MoneyError::Overflow));
        assert_eq!(least.checked_neg(), Err(MoneyError::Overflow));
        assert_eq!(least.checked_abs(), Err(MoneyError::Overflow));
        assert_eq!(
            least.times(decimal("-1"), Rounding::Down),
            Err(MoneyError::Overflow)
        );
        assert_eq!(least.times(decimal("1"), Rounding::Down), Ok(least));
        assert_eq!(
            most.times(Decimal::MAX, Rounding::Down),
            Err(MoneyError::Overflow)
        );
        assert_eq!(least.split(&[Decimal::ONE]), Ok(vec![least]));
    }

    #[test]
    fn a_sum_only_has_to_fit_as_a_whole() {
        let most = Money::new(i64::MAX, Currency::USD);
        let amounts = [most, most, Money::new(-i64::MAX, Currency::USD)];
        assert_eq!(Money::checked_sum(Currency::USD, amounts), Ok(most));
        assert_eq!(
            Money::checked_sum(Currency::USD, [most, most]),
            Err(MoneyError::Overflow)
        );
        assert_eq!(
            Money::checked_sum(Currency::USD, []),
            Ok(Money::zero(Currency::USD))
        );
        assert!(Money::checked_sum(Currency::EUR, [most]).is_err());
    }

    #[test]
    fn exact_decimals_only_where_asked() {
        let exact = |text, currency| Money::from_decimal_exact(decimal(text), currency);
        assert_eq!(
            exact("12.3400", Currency::USD),
            Ok(Money::new(1234, Currency::USD))
        );
        assert_eq!(
            exact("12.341", Currency::USD),
            Err(MoneyError::FractionOfMinorUnit)
        );
        assert_eq!(
            exact("12.341", Currency::BHD),
            Ok(Money::new(12_341, Currency::BHD))
        );
        assert_eq!(exact("0.5", Currency::JPY), Err(MoneyError::FractionOfMinorUnit));
        assert_eq!(
            exact("-92233720368547758.08", Currency::USD),
            Ok(Money::new(i64::MIN, Currency::USD))
        );
        assert_eq!(
            exact("92233720368547758.08", Currency::USD),
            Err(MoneyError::Overflow)
        );
        assert_eq!(
            exact("79228162514264337593543950335", Currency::USD),
            Err(MoneyError::Overflow)
        );
        assert_eq!(exact("-0", Currency::USD), Ok(Money::zero(Currency::USD)));
    }

    #[test]
    fn converts_between_exponents() {
        let rate = |text| Rate::parse(text).unwrap();
        let convert = |text, at, to, rounding| money(text).convert(rate(at), to, rounding).unwrap();
        assert_eq!(
            convert("USD 10.00", "150.25", Currency::JPY, Rounding::HalfEven),
            money("JPY 1502")
        );
        assert_eq!(
            convert("USD 10.00", "150.25", Currency::JPY, Rounding::Up),
            money("JPY 1503")
        );
        assert_eq!(
            convert("JPY 1000", "0.0066", Currency::USD, Rounding::HalfEven),
            money("USD 6.60")
        );
        assert_eq!(
            convert("JPY 1", "0.0024", Currency::BHD, Rounding::HalfEven),
            money("BHD 0.002")
        );
        assert_eq!(
            convert("BHD -1.234", "2.65", Currency::USD, Rounding::Floor),
            money("USD -3.28")
        );
        let most = Money::new(i64::MAX, Currency::USD);
        let overflow = most.convert(rate("150"), Currency::BHD, Rounding::Down);
        assert_eq!(overflow, Err(MoneyError::Overflow));
    }

    #[test]
    fn splits_the_whole_amount() {
        let shares = [decimal("1"), decimal("0"), decimal("1"), decimal("1")];
        let parts = |text| -> Vec<String> {
            money(text)
                .split(&shares)
                .unwrap()
                .iter()
                .map(Money::to_string)
                .collect()
        };
        assert_eq!(
            parts("USD 1.00"),
            ["USD 0.34", "USD 0.00", "USD 0.33", "USD 0.33"]
        );
        assert_eq!(
            parts("USD -1.00"),
            ["USD -0.34", "USD 0.00", "USD -0.33", "USD -0.33"]
        );
        for bad in [&[][..], &[Decimal::ZERO], &[decimal("2"), decimal("-1")]] {
            assert_eq!(money("USD 1").split(bad), Err(MoneyError::BadShares));
        }
        let weights = [
            Weight::from_ten_thousandths(2_500).unwrap(),
            Weight::from_ten_thousandths(7_500).unwrap(),
        ];
        assert_eq!(
            money("USD 0.10").split_by_weights(&weights),
            Ok(vec![money("USD 0.03"), money("USD 0.07")])
        );
    }

    #[test]
    fn ratios() {
        assert_eq!(money("USD 1").ratio_to(money("USD -8")), Ok(decimal("-0.125")));
        assert_eq!(money("USD 0").ratio_to(money("USD 3")), Ok(Decimal::ZERO));
        assert_eq!(
            money("USD 1").ratio_to(money("USD 0")),
            Err(MoneyError::DivisionByZero)
        );
        let third = money("USD 1").ratio_to(money("USD 3")).unwrap();
        assert_eq!(third, decimal("0.3333333333333333333333333333"));
    }

    #[test]
    fn text() {
        for text in [
            "USD 12.34",
            "JPY 1200",
            "BHD 1.234",
            "USD -0.05",
            "USD 0.00",
            "USD -92233720368547758.08",
        ] {
            assert_eq!(money(text).to_string(), text);
        }
        for text in [
            "USD",
            "USD ",
            "USD12.34",
            "12.34 USD",
            "USD  1",
            "usd 1",
            "USD +1",
            "USD 1e2",
            "USD 1 ",
        ] {
            assert_eq!(Money::parse(text), Err(MoneyError::Malformed), "{text}");
        }
        assert_eq!(Money::parse("USD 0.001"), Err(MoneyError::FractionOfMinorUnit));
    }

    #[test]
    fn json() {
        let json = r#"{"amount":-1234,"currency":"USD"}"#;
        assert_eq!(serde_json::to_string(&money("USD -12.34")).unwrap(), json);
        assert_eq!(serde_json::from_str::<Money>(json).unwrap(), money("USD -12.34"));
        for amount in [
            "12.34",
            "12.0",
            "1e3",
            "\"12\"",
            "null",
            "true",
            "9223372036854775808",
            "-9223372036854775809",
        ] {
            let json = format!(r#"{{"amount":{amount},"currency":"USD"}}"#);
            assert!(serde_json::from_str::<Money>(&json).is_err(), "{json}");
        }
        for json in [
            r#"{"amount":1}"#,
            r#"{"currency":"USD"}"#,
            r#"{"amount":1,"currency":"usd"}"#,
            r#"{"amount":1,"currency":"USD","scale":2}"#,
            r#"{"amount":1,"amount":2,"currency":"USD"}"#,
            r#"1"#,
        ] {
            assert!(serde_json::from_str::<Money>(json).is_err(), "{json}");
        }
    }
}
