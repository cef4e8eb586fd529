//! What texts of the form have to look like.

use chrono::{Datelike, NaiveDate};

use super::choices::{self, Choice};
use super::countries::{BARRED, COUNTRIES};
use crate::email::is_address;

/// The youngest age of a customer, in years.
pub const MIN_AGE_YEARS: i32 = 18;
/// The oldest age that is believed, in years.
const MAX_AGE_YEARS: i32 = 120;
/// The longest of other texts, in characters.
pub const MAX_TEXT_LENGTH: usize = 100;
/// The largest amount of money, in whole dollars.
pub const MAX_AMOUNT_DOLLARS: i64 = 1_000_000_000_000;

/// What is wrong with a tax id of a type, if anything is.
pub fn tax_id_problem(kind: Option<&str>, value: &str) -> Option<String> {
    let digits: String = value.chars().filter(|character| *character != '-').collect();
    match kind.unwrap_or("SSN") {
        "SSN" | "US_TIN" | "EIN" => {
            let is_nine = digits.len() == 9 && digits.bytes().all(|digit| digit.is_ascii_digit());
            let is_real = digits.bytes().any(|digit| digit != b'0');
            (!is_nine || !is_real).then(|| "has to have 9 digits, with or without dashes".to_owned())
        }
        _ => {
            let fits =
                (4..=30).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
            (!fits).then(|| "has to have 4 to 30 letters and digits".to_owned())
        }
    }
}

/// A tax id as it is shown: its last four characters.
pub fn masked_tax_id(last_four: &str) -> String {
    format!("*****{last_four}")
}

/// The last four characters of a tax id.
pub fn last_four(value: &str) -> String {
    let mut last: Vec<char> = value
        .chars()
        .rev()
        .filter(|character| *character != '-')
        .take(4)
        .collect();
    last.reverse();
    last.into_iter().collect()
}

/// The type of a tax id as the broker names it; an older name is read too.
pub fn tax_id_type(name: &str) -> &str {
    match name {
        "TIN" => "US_TIN",
        other => other,
    }
}

pub(super) fn control_problem(text: &str) -> Option<String> {
    let is_hidden =
        |character: char| character.is_control() || ('\u{202a}'..='\u{202e}').contains(&character);
    text.chars()
        .any(is_hidden)
        .then(|| "has characters that can't be seen".to_owned())
}

pub(super) fn length_problem(text: &str, longest: usize) -> Option<String> {
    let length = text.chars().count();
    (length > longest).then(|| format!("has {length} characters; at most {longest} are possible"))
}

pub(super) fn dollars_problem(dollars: i64) -> Option<String> {
    let fits = (0..=MAX_AMOUNT_DOLLARS).contains(&dollars);
    (!fits).then(|| format!("has to be whole dollars, from 0 to {MAX_AMOUNT_DOLLARS}"))
}

pub(super) fn choice_problem(text: &str, list: &[Choice], expected: &str) -> Option<String> {
    (!choices::has(list, text)).then(|| format!("has to be {expected}"))
}

/// A short list by its values, a long one by where it is found.
pub(super) fn listed(list: &[Choice]) -> String {
    const MAX_SHOWN: usize = 8;
    if list.len() > MAX_SHOWN {
        return "one of the choices that the form's configuration lists".to_owned();
    }
    let values: Vec<&str> = list.iter().map(|choice| choice.value).collect();
    format!("one of {}", values.join(", "))
}

pub(super) fn country_problem(text: &str) -> Option<String> {
    if BARRED.contains(&text) {
        return Some("is a country whose citizens and residents can't get an account".to_owned());
    }
    choice_problem(text, COUNTRIES, "a country by its three letters, such as USA")
}

pub(super) fn email_problem(text: &str) -> Option<String> {
    let is_short = text.split('@').next().is_some_and(|user| user.len() <= 64);
    let fits = is_short && is_address(text) && text.len() <= MAX_TEXT_LENGTH;
    (!fits).then(|| "has to be a mail address, such as ada@example.com".to_owned())
}

/// What is wrong with a phone number, if anything is.
pub fn phone_problem(text: &str) -> Option<String> {
    let digits = text.strip_prefix("+1").unwrap_or_default();
    let fits = digits.len() == 10
        && digits.bytes().all(|digit| digit.is_ascii_digit())
        && !digits.starts_with(['0', '1']);
    (!fits)
        .then(|| "has to be a phone number of the USA as +1 and ten digits, such as +12025550123".to_owned())
}

pub(super) fn postal_code_problem(text: &str) -> Option<String> {
    let is_digits =
        |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = match text.split_once('-') {
        Some((five, four)) => is_digits(five, 5) && is_digits(four, 4),
        None => is_digits(text, 5),
    };
    (!fits).then(|| "has to have 5 digits, or 9 as 12345-6789".to_owned())
}

/// The broker takes no box at a post office.
pub(super) fn street_problem(text: &str) -> Option<String> {
    let words: Vec<String> = text
        .to_lowercase()
        .replace('.', "")
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let is_box = words.windows(2).any(|pair| matches!(pair, [first, second] if first == "po" && second.starts_with("box")))
        || words.windows(3).any(|three| matches!(three, [p, o, second] if p == "p" && o == "o" && second.starts_with("box")))
        || words
            .windows(3)
            .any(|three| matches!(three, [post, office, third] if post == "post" && office == "office" && third == "box"))
        || words.iter().any(|word| word.starts_with("pobox"));
    is_box.then(|| "has to be a street; a P.O. box isn't taken".to_owned())
}

pub(super) fn birthdate_problem(text: &str, today: NaiveDate) -> Option<String> {
    let date = (text.len() == 10)
        .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .flatten();
    let Some(date) = date else {
        return Some("has to be a date, such as 1990-01-31".to_owned());
    };
    let age = age_years(date, today);
    if age < MIN_AGE_YEARS {
        return Some(format!("has to be at least {MIN_AGE_YEARS} years ago"));
    }
    (age > MAX_AGE_YEARS).then(|| format!("is more than {MAX_AGE_YEARS} years ago"))
}

/// Whole years from a birth to a day; below zero for one that is ahead.
fn age_years(birth: NaiveDate, today: NaiveDate) -> i32 {
    let years = today.year() - birth.year();
    if (today.month(), today.day()) < (birth.month(), birth.day()) {
        years - 1
    } else {
        years
    }
}
