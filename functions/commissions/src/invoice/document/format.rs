//! Amounts, rates and dates as an invoice for the United States writes them.

use chrono::NaiveDate;
use domain::currency::Currency;
use domain::money::Money;
use rust_decimal::Decimal;

/// `$1,250.00`; in another currency `EUR 1,250.00`. Made of the minor units' digits: nothing is rounded.
pub(super) fn amount(money: Money) -> String {
    let sign = if money.is_negative() { "-" } else { "" };
    let number = grouped(money.minor().unsigned_abs(), money.currency().exponent());
    match money.currency() {
        Currency::USD => format!("{sign}${number}"),
        currency => format!("{currency} {sign}{number}"),
    }
}

/// Minor units as a decimal in major units, with a comma before every three digits.
fn grouped(minor: u64, exponent: u32) -> String {
    let decimals = usize::try_from(exponent).unwrap_or_default();
    let digits = format!("{minor:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(decimals));
    let mut number = String::new();
    for (position, digit) in whole.chars().enumerate() {
        if position > 0 && (whole.len() - position).is_multiple_of(3) {
            number.push(',');
        }
        number.push(digit);
    }
    if !fraction.is_empty() {
        number.push('.');
        number.push_str(fraction);
    }
    number
}

/// A fraction as a percentage: 0.0096 is `0.96%`.
pub(super) fn percentage(rate: Decimal) -> String {
    match rate.checked_mul(Decimal::ONE_HUNDRED) {
        Some(percent) => format!("{}%", percent.normalize()),
        None => rate.to_string(),
    }
}

/// `June 30, 2026`.
pub(super) fn date(date: NaiveDate) -> String {
    date.format("%B %-d, %Y").to_string()
}

/// `Jun 30, 2026`, for the table.
pub(super) fn short_date(date: NaiveDate) -> String {
    date.format("%b %-d, %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(text: &str) -> String {
        amount(Money::parse(text).unwrap())
    }

    #[test]
    fn amounts() {
        for (money, text) in [
            ("USD 1250.00", "$1,250.00"),
            ("USD 0.00", "$0.00"),
            ("USD 0.05", "$0.05"),
            ("USD 999.99", "$999.99"),
            ("USD 1000000.00", "$1,000,000.00"),
            ("USD -1250.00", "-$1,250.00"),
            ("EUR 12.50", "EUR 12.50"),
            ("EUR -12.50", "EUR -12.50"),
            ("JPY 1234567", "JPY 1,234,567"),
            ("BHD 1234.567", "BHD 1,234.567"),
            ("USD 92233720368547758.07", "$92,233,720,368,547,758.07"),
            ("USD -92233720368547758.08", "-$92,233,720,368,547,758.08"),
        ] {
            assert_eq!(formatted(money), text);
        }
    }

    #[test]
    fn rates() {
        for (rate, text) in [
            ("0.0096", "0.96%"),
            ("0.0100", "1%"),
            ("0", "0%"),
            ("1.5", "150%"),
        ] {
            assert_eq!(percentage(rate.parse().unwrap()), text);
        }
        assert_eq!(percentage(Decimal::MAX), Decimal::MAX.to_string());
    }

    #[test]
    fn dates() {
        let day = NaiveDate::from_ymd_opt(2026, 6, 3).unwrap();
        assert_eq!(date(day), "June 3, 2026");
        assert_eq!(short_date(day), "Jun 3, 2026");
    }
}
