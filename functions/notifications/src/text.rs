//! The words of notifications. A kind is a stable name for apps; the words may change.

use std::collections::BTreeMap;

use domain::currency::Currency;
use domain::money::Money;
use domain::trading::money_flow::Direction;

use crate::events::{MoneyFlow, News};

/// A notification in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// Stable name of the kind.
    pub kind: &'static str,
    /// Headline.
    pub title: String,
    /// Text.
    pub body: String,
    /// Ids with which the app finds what it is about.
    pub data: BTreeMap<String, String>,
}

/// News in English.
pub fn words(news: &News) -> Words {
    match news {
        News::MoneyFlowSucceeded(flow) => succeeded(flow),
        News::MoneyFlowFailed(flow) => failed(flow),
    }
}

fn succeeded(flow: &MoneyFlow) -> Words {
    let amount = amount(flow.amount);
    let (title, body) = match flow.direction {
        Direction::Deposit => (
            "Deposit received",
            format!("{amount} has arrived in your account."),
        ),
        Direction::Withdrawal => ("Withdrawal sent", format!("{amount} is on its way to your bank.")),
    };
    Words {
        kind: "money-flow.succeeded",
        title: title.to_owned(),
        body,
        data: data(flow),
    }
}

fn failed(flow: &MoneyFlow) -> Words {
    let amount = amount(flow.amount);
    let (title, body) = match flow.direction {
        Direction::Deposit => (
            "Deposit failed",
            format!("Your deposit of {amount} did not go through. Check your bank account and try again."),
        ),
        Direction::Withdrawal => (
            "Withdrawal failed",
            format!("Your withdrawal of {amount} did not go through. The money is still in your account."),
        ),
    };
    Words {
        kind: "money-flow.failed",
        title: title.to_owned(),
        body,
        data: data(flow),
    }
}

fn data(flow: &MoneyFlow) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("money_flow_id".to_owned(), flow.id.to_string()),
        ("direction".to_owned(), flow.direction.to_string()),
    ])
}

/// `$1,250.00`, or `EUR 12.50` for what isn't dollars.
fn amount(money: Money) -> String {
    if money.currency() != Currency::USD {
        return money.to_string();
    }
    let text = format!("{:.2}", money.to_decimal());
    let (whole, cents) = text.split_once('.').unwrap_or((&text, "00"));
    format!("${}.{cents}", with_thousands(whole))
}

fn with_thousands(digits: &str) -> String {
    let length = digits.len();
    digits
        .chars()
        .enumerate()
        .flat_map(|(index, digit)| {
            let separated = index > 0 && (length - index).is_multiple_of(3);
            separated.then_some(',').into_iter().chain(Some(digit))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        assert_eq!(amount(Money::new(125_000, Currency::USD)), "$1,250.00");
        assert_eq!(amount(Money::new(5, Currency::USD)), "$0.05");
        assert_eq!(
            amount(Money::new(12_345_678_900, Currency::USD)),
            "$123,456,789.00"
        );
        assert_eq!(amount(Money::new(1250, Currency::EUR)), "EUR 12.50");
    }
}
