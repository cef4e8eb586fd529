//! Shares of an amount, and the time zones in which days begin.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::exact::parse_decimal;
use crate::stored::{stored_as, stored_as_text};

/// Decimals of a share: hundredths of a percent.
const MAX_PLACES: u32 = 4;

/// A share of an amount: from 0 to 1, in ten-thousandths. A text in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share(Decimal);

/// That something isn't a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a share must be a decimal from 0 to 1 with at most 4 digits after the point")]
pub struct InvalidShare;

impl Share {
    /// The share of a number, if it is one.
    pub fn new(share: Decimal) -> Result<Share, InvalidShare> {
        let share = share.normalize();
        let fits = share >= Decimal::ZERO && share <= Decimal::ONE && share.scale() <= MAX_PLACES;
        fits.then_some(Share(share)).ok_or(InvalidShare)
    }

    /// So many ten-thousandths; everything for more than ten thousand of them.
    pub fn from_ten_thousandths(ten_thousandths: u16) -> Share {
        let share = Decimal::new(i64::from(ten_thousandths), MAX_PLACES);
        Share(share.min(Decimal::ONE).normalize())
    }

    /// The number.
    pub const fn as_decimal(self) -> Decimal {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Share, InvalidShare> {
        parse_decimal(text).ok_or(InvalidShare).and_then(Share::new)
    }
}

impl TryFrom<String> for Share {
    type Error = InvalidShare;

    fn try_from(text: String) -> Result<Share, InvalidShare> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> String {
        share.to_string()
    }
}

stored_as!(Share, Decimal, |share: &Share| share.0, Share::new);

/// A time zone by its name in the IANA database, such as `America/New_York`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(Tz);

/// That something isn't the name of a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a time zone must be a name of the IANA database, such as America/New_York")]
pub struct UnknownZone;

impl Zone {
    /// The date there at a time.
    pub fn date_of(self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.0).date_naive()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.0.name())
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Zone, UnknownZone> {
        name.parse().map(Zone).map_err(|_| UnknownZone)
    }
}

impl TryFrom<String> for Zone {
    type Error = UnknownZone;

    fn try_from(name: String) -> Result<Zone, UnknownZone> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.to_string()
    }
}

stored_as_text!(Zone);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_plain_decimal_up_to_one() {
        for (text, shown) in [
            ("0", "0"),
            ("0.8", "0.8"),
            ("0.1250", "0.125"),
            ("1", "1"),
            ("1.0", "1"),
        ] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), shown);
        }
        for text in [
            "", "-0.1", "1.0001", "0.00001", "80", "8e-1", "0,8", " 0.8", "NaN",
        ] {
            assert_eq!(text.parse::<Share>(), Err(InvalidShare), "{text:?}");
        }
        assert_eq!(Share::from_ten_thousandths(500), "0.05".parse().unwrap());
        assert_eq!(Share::from_ten_thousandths(u16::MAX).to_string(), "1");
    }

    #[test]
    fn a_zones_day_has_23_to_25_hours() {
        let zone: Zone = "Europe/Prague".parse().unwrap();
        let date = |at: &str| zone.date_of(at.parse().unwrap()).to_string();
        // Clocks go forward on 29 March 2026 and back on 25 October 2026.
        assert_eq!(date("2026-03-28T22:59:59Z"), "2026-03-28");
        assert_eq!(date("2026-03-28T23:00:00Z"), "2026-03-29");
        assert_eq!(date("2026-03-29T21:59:59Z"), "2026-03-29");
        assert_eq!(date("2026-03-29T22:00:00Z"), "2026-03-30");
        assert_eq!(date("2026-10-24T22:00:00Z"), "2026-10-25");
        assert_eq!(date("2026-10-25T22:59:59Z"), "2026-10-25");
        assert_eq!(date("2026-10-25T23:00:00Z"), "2026-10-26");
        assert_eq!("Prague".parse::<Zone>(), Err(UnknownZone));
    }
}
