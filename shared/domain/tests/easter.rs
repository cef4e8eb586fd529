//! Easter, by which Good Friday is found, of six centuries.

use chrono::{Days, NaiveDate};
use domain::market::MarketCalendar;

/// Easter of each year from 1800, a line for a century: how many days after 22 March, as a digit to the base 36. From
/// python-dateutil.
const EASTER: [&str; 6] = [
    "merjanf7qbvn7rj4nf0kbvg8rc4ofskcvg8sc4o9sk5pg1ldwh9tk5ph1ldxh9te5paul6qi9me6paum6qi3meyjauf7qb3nerjb",
    "og8lcwo9sk5pg1ldwh9td5patldqh9te5paul6qi2meyiauf6qi3merjauf7qbvn7rj4nf7kbvn8rj4ofskcvg8sc4o9skcpg8ld",
    "wo9tk5ph1ldxh9te5pauldqi9te6paum6qi3meyjauf7qi3nerjbuf7rbvn8rj4of7kcvn8sj4ogskcwg8sd4o9tkcph8ldxo9tl",
    "6qi3merjauf7qbvn7rj4nf7kbvn8rj4ofskcvg8sc4o9skcpg8ldwo9tk5ph1ldxh9te5pauldqi9te6paum6qi3meyjauf7qi3n",
    "fskcvg8sc4o9sk5pg8ldwo9tk5ph1ldxh9te5pauldqi9me6paum6qi3meyjauf7qb3nerjbuf7rbvn8rj4of0kcvg8sj4ogskcp",
    "h9te5paul6qi9me6pauf6qi3meyjauf7qb3nerj4nf7kbvn8rj4of0kcvg8sc4o9skcpg8sd4o9tk5ph1ldxh9te5ph2ldqi9te6",
];

#[test]
fn good_friday_is_two_days_before_easter_in_every_year() {
    for (year, digit) in (1800..).zip(EASTER.concat().chars()) {
        let earliest = NaiveDate::from_ymd_opt(year, 3, 20).unwrap();
        let friday = earliest + Days::new(digit.to_digit(36).unwrap().into());
        assert!(MarketCalendar::holidays(year).contains(&friday), "{friday}");
    }
}
