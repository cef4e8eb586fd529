//! Which exchange rates count: how exact one is, how old it may be, that the way there and back gains nothing, and which
//! change is too large to be believed at once.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use thiserror::Error;

use super::conversion::RATE_SCALE;
use crate::exact;
use crate::rate::Rate;
use crate::stored::named_enum;

/// Units of a rate in one: a unit is its smallest decimal.
const UNITS_IN_ONE: u64 = 1_000_000_000_000;
/// The largest rate has 16 digits before the point and 12 after it.
const MAX_UNITS: u128 = 10_u128.pow(28) - 1;
/// The way there and back may bring a millionth more than was paid, for what rates are rounded by.
const MAX_GAIN: u128 = 1_000_000;

named_enum! {
    /// What has become of a rate that was set.
    pub enum RateStatus {
        /// It converts: it is the newest of its pair, and not too old.
        Counts = "counts",
        /// It is the newest of its pair and too old to convert.
        Expired = "expired",
        /// The pair has a newer one.
        Superseded = "superseded",
        /// It changes too much at once to count before another administrator has accepted it.
        UnderReview = "under_review",
        /// An administrator has refused it.
        Refused = "refused",
    }
}

/// A rate between two currencies as it is stored: at most 16 digits before the point and 12 after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeRate {
    rate: Rate,
    /// The rate times a million million: whole.
    units: u128,
}

/// The rate has too many digits to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("may have at most 16 digits before the point and 12 after it")]
pub struct DoesNotFit;

impl ExchangeRate {
    /// One for one.
    pub const ONE: ExchangeRate = ExchangeRate {
        rate: Rate::ONE,
        units: 1_000_000_000_000,
    };

    /// A rate that can be stored.
    ///
    /// # Errors
    /// When it has too many digits.
    pub fn new(rate: Rate) -> Result<ExchangeRate, DoesNotFit> {
        let number = rate.as_decimal().normalize();
        let missing = RATE_SCALE.checked_sub(number.scale()).ok_or(DoesNotFit)?;
        let units = exact::power_of_ten(missing)
            .and_then(|power| number.mantissa().unsigned_abs().checked_mul(power))
            .filter(|units| *units <= MAX_UNITS)
            .ok_or(DoesNotFit)?;
        Ok(ExchangeRate { rate, units })
    }

    /// The rate between two currencies by way of a third, of which one is so many of each: rounded down, so that no way
    /// round through such rates gains. `None` where it would be nothing or too large.
    pub fn across(base: ExchangeRate, quote: ExchangeRate) -> Option<ExchangeRate> {
        let units = exact::multiply_divide(UNITS_IN_ONE, quote.units, base.units)?.quotient;
        let digits = i128::try_from(units).ok().filter(|_| units <= MAX_UNITS)?;
        let rate = Rate::new(Decimal::try_from_i128_with_scale(digits, RATE_SCALE).ok()?).ok()?;
        Some(ExchangeRate { rate, units })
    }

    /// The rate.
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether money that goes there at this rate and comes back at the other grows by more than a millionth.
    pub fn gains_with(&self, back: ExchangeRate) -> bool {
        let one = u128::from(UNITS_IN_ONE) * u128::from(UNITS_IN_ONE);
        let product = self.units.checked_mul(back.units);
        product.is_none_or(|product| product > one + one / MAX_GAIN)
    }
}

impl fmt::Display for ExchangeRate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rate.fmt(formatter)
    }
}

impl TryFrom<Decimal> for ExchangeRate {
    type Error = DoesNotFit;

    fn try_from(number: Decimal) -> Result<ExchangeRate, DoesNotFit> {
        ExchangeRate::new(Rate::new(number).map_err(|_| DoesNotFit)?)
    }
}

/// How old a rate may be to convert, in whole days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateMaxAge {
    days: u16,
}

/// By how much a rate may change at once, in percent of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateMaxJump {
    percent: u16,
}

/// The text isn't such a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a whole number from 1 to {max} is expected")]
pub struct InvalidLimit {
    max: u16,
}

impl RateMaxAge {
    const MAX_DAYS: u16 = 3_660;

    /// A week.
    pub const WEEK: RateMaxAge = RateMaxAge { days: 7 };

    /// The limit in days.
    pub const fn days(&self) -> u16 {
        self.days
    }

    /// As of when a rate is at least that still converts. The beginning of the calendar is never reached.
    pub fn oldest(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let oldest = now.checked_sub_signed(TimeDelta::days(i64::from(self.days)));
        oldest.unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// Until when a rate as of a time converts, that moment among it. The end of the calendar is never reached.
    pub fn valid_until(&self, as_of: DateTime<Utc>) -> DateTime<Utc> {
        let until = as_of.checked_add_signed(TimeDelta::days(i64::from(self.days)));
        until.unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Whether a rate as of a time still converts.
    pub fn allows(&self, as_of: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        now <= self.valid_until(as_of)
    }
}

impl RateMaxJump {
    const MAX_PERCENT: u16 = 1_000;

    /// The limit in percent.
    pub const fn percent(&self) -> u16 {
        self.percent
    }

    /// Whether a rate changes by more than this, up or down.
    pub fn is_exceeded(&self, before: ExchangeRate, after: ExchangeRate) -> bool {
        // Units have 28 digits and a factor at most 4: it is all within the 38 of the type.
        before.units.abs_diff(after.units) * 100 > before.units * u128::from(self.percent)
    }
}

impl FromStr for RateMaxAge {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<RateMaxAge, InvalidLimit> {
        limit(text, RateMaxAge::MAX_DAYS).map(|days| RateMaxAge { days })
    }
}

impl FromStr for RateMaxJump {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<RateMaxJump, InvalidLimit> {
        limit(text, RateMaxJump::MAX_PERCENT).map(|percent| RateMaxJump { percent })
    }
}

fn limit(text: &str, max: u16) -> Result<u16, InvalidLimit> {
    let number = text.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or(InvalidLimit { max })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> ExchangeRate {
        ExchangeRate::new(Rate::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn a_rate_has_sixteen_digits_and_twelve_decimals() {
        for text in [
            "0.000000000001",
            "9999999999999999.999999999999",
            "1.100000000000000",
        ] {
            let read = Rate::parse(text).unwrap();
            assert_eq!(ExchangeRate::new(read).unwrap().rate(), read, "{text}");
        }
        for text in ["0.0000000000001", "10000000000000000", "1.0000000000001"] {
            assert_eq!(
                ExchangeRate::new(Rate::parse(text).unwrap()),
                Err(DoesNotFit),
                "{text}"
            );
        }
        assert_eq!(ExchangeRate::new(Rate::ONE), Ok(ExchangeRate::ONE));
    }

    #[test]
    fn a_rate_across_is_rounded_down() {
        // 1 / 1.085 = 0.92165898617511…, 163.22 / 1.085 = 150.43317972350230…
        let across = |base: &str, quote: &str| ExchangeRate::across(rate(base), rate(quote)).unwrap();
        assert_eq!(across("1.085", "1"), rate("0.921658986175"));
        assert_eq!(across("1.085", "163.22"), rate("150.433179723502"));
        // 2 / 3 = 0.66666666666666…
        assert_eq!(across("3", "2"), rate("0.666666666666"));
        assert_eq!(ExchangeRate::across(rate("10000000000000"), rate("1")), None);
        assert_eq!(ExchangeRate::across(rate("0.1"), rate("9999999999999999")), None);
    }

    #[test]
    fn there_and_back_may_bring_a_millionth_more() {
        let gains = |there: &str, back: &str| rate(there).gains_with(rate(back));
        assert!(!gains("2", "0.5"));
        assert!(!gains("1.000001", "1"));
        assert!(gains("1.000001000001", "1"));
        assert!(!gains("0.000000000001", "1000000000000"));
        assert!(!gains("0.000000000001", "1000001000000"));
        assert!(gains("0.000000000001", "1000001000000.000000000001"));
        assert!(gains("9999999999999999", "9999999999999999"));
        assert!(!gains("0.000000000001", "0.000000000001"));
    }

    #[test]
    fn a_jump_is_more_than_so_many_percent_up_or_down() {
        let ten: RateMaxJump = "10".parse().unwrap();
        let jumps = |before: &str, after: &str| ten.is_exceeded(rate(before), rate(after));
        assert!(!jumps("1", "1.1") && jumps("1", "1.100000000001"));
        assert!(!jumps("1", "0.9") && jumps("1", "0.899999999999"));
        assert!(!jumps("0.000000000010", "0.000000000011") && jumps("0.000000000010", "0.000000000012"));
        assert!(jumps("0.000000000001", "9999999999999999.999999999999"));
        let largest: RateMaxJump = "1000".parse().unwrap();
        assert!(!largest.is_exceeded(rate("9999999999999999"), rate("1")));
    }

    #[test]
    fn a_rate_converts_for_so_many_days_to_the_microsecond() {
        let week: RateMaxAge = "7".parse().unwrap();
        let as_of = "2026-11-20T13:10:00Z".parse().unwrap();
        let at = |time: &str| week.allows(as_of, time.parse().unwrap());
        assert!(at("2026-11-20T13:10:00Z") && at("2026-11-27T13:10:00Z"));
        assert!(!at("2026-11-27T13:10:00.000001Z"));
        assert_eq!(week.oldest(week.valid_until(as_of)), as_of);
        assert_eq!(week, RateMaxAge::WEEK);
        assert!(week.allows(DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MAX_UTC));
    }

    #[test]
    fn limits_are_whole_numbers_within_reason() {
        assert_eq!("7".parse::<RateMaxAge>().map(|age| age.days()), Ok(7));
        assert_eq!("10".parse::<RateMaxJump>().map(|jump| jump.percent()), Ok(10));
        for text in ["0", "-1", "7.5", "", "3661", "70000", "week"] {
            assert!(text.parse::<RateMaxAge>().is_err(), "{text}");
            assert!(text.parse::<RateMaxJump>().is_err(), "{text}");
        }
        let problem = "0".parse::<RateMaxJump>().unwrap_err().to_string();
        assert_eq!(problem, "a whole number from 1 to 1000 is expected");
    }
}
