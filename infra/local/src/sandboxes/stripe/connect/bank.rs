//! Stripe's test accounts at banks (<https://docs.stripe.com/connect/testing>), and what becomes of a payout to each.

/// Number, and why a payout to it comes back.
const ACCOUNTS: [(&str, Option<&str>); 12] = [
    ("000123456789", None),
    ("000111111116", Some("no_account")),
    ("000111111113", Some("account_closed")),
    ("000222222227", Some("insufficient_funds")),
    ("000333333335", Some("debit_not_authorized")),
    ("000444444440", Some("invalid_currency")),
    ("DE89370400440532013000", None),
    ("DE62370400440532013001", Some("no_account")),
    ("DE89370400440532013002", Some("account_closed")),
    ("DE89370400440532013003", Some("insufficient_funds")),
    ("DE89370400440532013004", Some("debit_not_authorized")),
    ("DE89370400440532013005", Some("invalid_currency")),
];

/// What becomes of a payout to an account: the reason why it comes back, or none. An error for a number that isn't one of
/// Stripe's test accounts.
pub(super) fn ending(number: &str) -> Result<Option<&'static str>, ()> {
    let account = ACCOUNTS.iter().find(|(known, _)| *known == number);
    account.map(|(_, ending)| *ending).ok_or(())
}
