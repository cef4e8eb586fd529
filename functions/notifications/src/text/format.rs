//! How amounts and dates read in each language.

use chrono::{DateTime, NaiveDate, Utc};
use domain::currency::Currency;
use domain::market::MarketCalendar;
use domain::money::Money;

use crate::event::Field;

/// A language that templates are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// English.
    English,
    /// German.
    German,
}

impl Language {
    /// The language of an ISO 639-1 code; English for one that nothing is written in.
    pub fn of(code: &str) -> Self {
        match code {
            "de" => Self::German,
            _ => Self::English,
        }
    }

    /// Its ISO 639-1 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// A field's value as it reads in the language.
    pub(crate) fn format(self, field: &Field) -> String {
        match field {
            Field::Text(text) => text.clone(),
            Field::Amount(money) => self.amount(*money),
            Field::Day(day) => self.day(*day),
            Field::Time(time) => self.time(*time),
        }
    }

    /// `$1,250.00` or `1.250,00 $`; other currencies by their code.
    fn amount(self, money: Money) -> String {
        let text = money.to_decimal().to_string();
        let (whole, cents) = text
            .split_once('.')
            .map_or((text.as_str(), None), |(whole, cents)| (whole, Some(cents)));
        let (sign, digits) = whole
            .strip_prefix('-')
            .map_or(("", whole), |digits| ("-", digits));
        let (thousands, point) = match self {
            Self::English => (',', '.'),
            Self::German => ('.', ','),
        };
        let fraction = cents.map(|cents| format!("{point}{cents}")).unwrap_or_default();
        let number = format!("{}{fraction}", grouped(digits, thousands));
        let currency = money.currency();
        match (self, currency == Currency::USD) {
            (Self::English, true) => format!("{sign}${number}"),
            (Self::English, false) => format!("{currency} {sign}{number}"),
            (Self::German, true) => format!("{sign}{number} $"),
            (Self::German, false) => format!("{sign}{number} {currency}"),
        }
    }

    fn day(self, day: NaiveDate) -> String {
        match self {
            Self::English => day.format("%B %-d, %Y"),
            Self::German => day.format("%-d.%-m.%Y"),
        }
        .to_string()
    }

    /// By the market's clock, as every business date is.
    fn time(self, time: DateTime<Utc>) -> String {
        let local = MarketCalendar::local(time);
        let (day, hour) = (self.day(local.date()), local.format("%H:%M"));
        match self {
            Self::English => format!("{day}, {hour} New York time"),
            Self::German => format!("{day}, {hour} Uhr New Yorker Zeit"),
        }
    }
}

fn grouped(digits: &str, separator: char) -> String {
    let length = digits.len();
    digits
        .chars()
        .enumerate()
        .flat_map(|(index, digit)| {
            let separated = index > 0 && (length - index).is_multiple_of(3);
            separated.then_some(separator).into_iter().chain(Some(digit))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        for (cents, currency, english, german) in [
            (125_000, Currency::USD, "$1,250.00", "1.250,00 $"),
            (5, Currency::USD, "$0.05", "0,05 $"),
            (-5, Currency::USD, "-$0.05", "-0,05 $"),
            (
                12_345_678_900,
                Currency::USD,
                "$123,456,789.00",
                "123.456.789,00 $",
            ),
            (1250, Currency::EUR, "EUR 12.50", "12,50 EUR"),
        ] {
            let money = Money::new(cents, currency);
            assert_eq!(Language::English.amount(money), english);
            assert_eq!(Language::German.amount(money), german);
        }
    }

    #[test]
    fn dates_read_as_people_write_them() {
        let time: DateTime<Utc> = "2026-11-04T09:05:00Z".parse().unwrap();
        assert_eq!(
            Language::English.time(time),
            "November 4, 2026, 04:05 New York time"
        );
        assert_eq!(
            Language::German.time(time),
            "4.11.2026, 04:05 Uhr New Yorker Zeit"
        );
        // A UTC day later than in New York.
        let midnight: DateTime<Utc> = "2026-07-01T03:59:00Z".parse().unwrap();
        assert_eq!(
            Language::English.time(midnight),
            "June 30, 2026, 23:59 New York time"
        );
    }
}
