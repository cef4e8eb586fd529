//! DriveWealth's JSON, read into our types. Nothing of it leaves this module.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{
    DriveWealthAccountId, DriveWealthAccountNo, DriveWealthFundId, DriveWealthInstrumentId,
    DriveWealthPaymentId, DriveWealthPortfolioId, DriveWealthUserId,
};
use domain::money::{Money, Rounding};
use domain::trading::portfolio::{BrokerFund, BrokerHolding, BrokerPart, BrokerPortfolio};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::status::{account_status, payment_code, payment_status};
use super::{BrokerAccount, BrokerPositions, CashBalance, Freshness, Listed, Payment, PortfolioResponse};
use crate::exact;
use crate::kept::kept;

/// What is stored of a payment: nothing of the bank account, nor whose it is.
const KEPT_OF_PAYMENTS: [&str; 19] = [
    "id",
    "paymentID",
    "type",
    "amount",
    "currency",
    "status",
    "statusMessage",
    "statusComment",
    "failureReason",
    "accountID",
    "accountNo",
    "accountDetails.accountID",
    "accountDetails.accountNo",
    "created",
    "createdWhen",
    "updated",
    "updatedWhen",
    "wlpFinTranTypeID",
    "category",
];
/// What is stored of an account.
const KEPT_OF_ACCOUNTS: [&str; 9] = [
    "id",
    "accountNo",
    "status",
    "accountType",
    "tradingType",
    "restricted",
    "createdWhen",
    "openedWhen",
    "updatedWhen",
];

/// The payload of `deposits.*` and `redemptions.*` events.
#[derive(Debug, Deserialize)]
struct PaymentEvent {
    #[serde(rename = "paymentID")]
    payment_id: DriveWealthPaymentId,
    #[serde(rename = "accountID")]
    account_id: Option<DriveWealthAccountId>,
    #[serde(deserialize_with = "exact::decimal")]
    amount: Decimal,
    currency: Option<CurrencyName>,
    status: Option<i32>,
    #[serde(rename = "statusMessage")]
    status_message: Option<String>,
    #[serde(rename = "statusComment")]
    status_comment: Option<String>,
    #[serde(rename = "failureReason")]
    failure_reason: Option<String>,
}

#[derive(Deserialize)]
struct MoneyObject {
    id: DriveWealthPaymentId,
    #[serde(deserialize_with = "exact::decimal")]
    amount: Decimal,
    currency: Option<CurrencyName>,
    status: StatusObject,
    #[serde(rename = "accountDetails")]
    account: Option<AccountDetails>,
}

#[derive(Deserialize)]
struct StatusObject {
    id: Option<i32>,
    message: Option<String>,
    comment: Option<String>,
    updated: DateTime<Utc>,
}

#[derive(Deserialize)]
struct AccountDetails {
    #[serde(rename = "accountID")]
    account_id: Option<DriveWealthAccountId>,
}

/// `"USD"` or `{"name": "USD"}`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum CurrencyName {
    Code(String),
    Object { name: String },
}

impl CurrencyName {
    fn code(&self) -> &str {
        match self {
            Self::Code(code) | Self::Object { name: code } => code,
        }
    }
}

pub(super) fn payment(body: &[u8]) -> Result<Payment, String> {
    payment_of(&parse::<Box<RawValue>>(body)?)
}

/// A list of payments. One that can't be read doesn't hide the others.
pub(super) fn payments(body: &[u8]) -> Result<Listed, String> {
    let items: Vec<Box<RawValue>> = parse(body)?;
    let mut listed = Listed::default();
    for raw in items {
        match payment_of(&raw) {
            Ok(payment) => listed.payments.push(payment),
            Err(reason) => listed.unreadable.push(reason),
        }
    }
    Ok(listed)
}

fn payment_of(raw: &RawValue) -> Result<Payment, String> {
    let object: MoneyObject = parse(raw.get().as_bytes())?;
    let status_message = object.status.message.unwrap_or_default();
    let status_code = status_code(object.status.id, &status_message)?;
    Ok(Payment {
        id: object.id,
        account_id: object.account.and_then(|account| account.account_id),
        amount: amount(object.amount, object.currency.as_ref())?,
        status: payment_status(status_code),
        status_code,
        status_message,
        status_comment: object.status.comment,
        status_updated_at: object.status.updated,
        freshness: Freshness::Current,
        kept: Arc::from(kept(raw.get(), &KEPT_OF_PAYMENTS)),
    })
}

/// The payment of an event; its status has the event's own time.
///
/// # Errors
/// When the payload isn't a payment; says which part.
pub fn payment_of_event(payload: &RawValue, occurred_at: DateTime<Utc>) -> Result<Payment, String> {
    let event: PaymentEvent = parse(payload.get().as_bytes())?;
    let status_message = event.status_message.unwrap_or_default();
    let status_code = status_code(event.status, &status_message)?;
    Ok(Payment {
        id: event.payment_id,
        account_id: event.account_id,
        amount: amount(event.amount, event.currency.as_ref())?,
        status: payment_status(status_code),
        status_code,
        status_message,
        status_comment: event.failure_reason.or(event.status_comment),
        status_updated_at: occurred_at,
        freshness: Freshness::Snapshot,
        kept: Arc::from(kept(payload.get(), &KEPT_OF_PAYMENTS)),
    })
}

/// The account of an `accounts.*` event.
///
/// # Errors
/// When the payload names none.
pub fn account_of_event(payload: &RawValue) -> Result<DriveWealthAccountId, String> {
    #[derive(Deserialize)]
    struct AccountEvent {
        #[serde(rename = "accountID")]
        account_id: DriveWealthAccountId,
    }
    Ok(parse::<AccountEvent>(payload.get().as_bytes())?.account_id)
}

/// An account; one that doesn't say when it changed counts as of when it was fetched.
pub(super) fn account(body: &[u8], asked_at: DateTime<Utc>) -> Result<BrokerAccount, String> {
    #[derive(Deserialize)]
    struct Wrapped {
        account: Box<RawValue>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Account {
        id: DriveWealthAccountId,
        status: Named,
        account_no: Option<DriveWealthAccountNo>,
        #[serde(rename = "userID")]
        user_id: Option<DriveWealthUserId>,
        ria: Option<Ria>,
        updated_when: Option<DateTime<Utc>>,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    #[derive(Deserialize)]
    struct Ria {
        #[serde(rename = "portfolioID")]
        portfolio_id: Option<DriveWealthPortfolioId>,
    }
    // Alone it comes in a wrapper, in lists and when it is made without one.
    let raw = match parse::<Wrapped>(body) {
        Ok(wrapped) => wrapped.account,
        Err(_) => parse::<Box<RawValue>>(body)?,
    };
    let account: Account = parse(raw.get().as_bytes())?;
    Ok(BrokerAccount {
        id: account.id,
        status: account_status(&account.status.name),
        account_no: account.account_no,
        user_id: account.user_id,
        portfolio_id: account.ria.and_then(|ria| ria.portfolio_id),
        updated_at: account.updated_when.unwrap_or(asked_at),
        raw: Arc::from(kept(raw.get(), &KEPT_OF_ACCOUNTS)),
    })
}

/// A list of accounts; one that can't be read makes the whole list unreadable, since it could be the one that is looked for.
pub(super) fn accounts(body: &[u8], asked_at: DateTime<Utc>) -> Result<Vec<BrokerAccount>, String> {
    let items: Vec<Box<RawValue>> = parse(body)?;
    items
        .iter()
        .map(|item| account(item.get().as_bytes(), asked_at))
        .collect()
}

pub(super) fn cash(body: &[u8]) -> Result<CashBalance, String> {
    #[derive(Deserialize)]
    struct Summary {
        cash: Cash,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Cash {
        #[serde(deserialize_with = "exact::decimal")]
        cash_balance: Decimal,
        #[serde(deserialize_with = "exact::decimal")]
        cash_available_for_trade: Decimal,
        #[serde(deserialize_with = "exact::decimal")]
        cash_available_for_withdrawal: Decimal,
    }
    let Summary { cash } = parse(body)?;
    Ok(CashBalance {
        balance: whole_cents(cash.cash_balance)?,
        available_for_trade: whole_cents(cash.cash_available_for_trade)?,
        available_for_withdrawal: whole_cents(cash.cash_available_for_withdrawal)?,
    })
}

pub(super) fn positions(body: &[u8]) -> Result<BrokerPositions, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Summary {
        #[serde(deserialize_with = "exact::decimal")]
        equity_value: Decimal,
    }
    let summary: Summary = parse(body)?;
    let value = exact::without_noise(summary.equity_value);
    let value = Money::from_decimal(value, Currency::USD, Rounding::HalfEven);
    Ok(BrokerPositions {
        value: value.map_err(|error| error.to_string())?,
    })
}

#[derive(Deserialize)]
struct PortfolioObject {
    id: DriveWealthPortfolioId,
    #[serde(deserialize_with = "exact::decimal_or_zero")]
    equity: Decimal,
    holdings: Vec<HoldingObject>,
}

#[derive(Deserialize)]
struct HoldingObject {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    #[serde(default, deserialize_with = "exact::decimal_or_zero")]
    target: Decimal,
    #[serde(default, deserialize_with = "exact::decimal_or_zero")]
    actual: Decimal,
    #[serde(default, deserialize_with = "exact::decimal_or_zero")]
    value: Decimal,
    holdings: Option<Vec<PartObject>>,
}

#[derive(Deserialize)]
struct PartObject {
    #[serde(rename = "instrumentID")]
    instrument: DriveWealthInstrumentId,
    #[serde(default)]
    symbol: String,
    #[serde(default, deserialize_with = "exact::decimal_or_zero")]
    target: Decimal,
    #[serde(default, deserialize_with = "exact::decimal_or_zero")]
    actual: Decimal,
    #[serde(default, deserialize_with = "exact::decimal_or_zero")]
    value: Decimal,
}

/// The portfolio of a response that was kept.
///
/// # Errors
/// When it isn't one; says which part.
pub fn stored_portfolio(raw: &RawValue) -> Result<BrokerPortfolio, String> {
    Ok(portfolio(raw.get().as_bytes())?.portfolio)
}

pub(super) fn portfolio(body: &[u8]) -> Result<PortfolioResponse, String> {
    let raw = parse_raw(body)?;
    let object: PortfolioObject = parse(body)?;
    let mut portfolio = BrokerPortfolio {
        equity: exact::without_noise(object.equity),
        cash: BrokerHolding::default(),
        funds: Vec::new(),
    };
    for holding in object.holdings {
        let part = rounded(holding.target, holding.actual, holding.value);
        match holding.kind.as_str() {
            "CASH_RESERVE" => portfolio.cash = part,
            "FUND" => portfolio.funds.push(BrokerFund {
                id: DriveWealthFundId::parse(holding.id.as_deref().unwrap_or_default())
                    .map_err(|error| error.to_string())?,
                holding: part,
                parts: holding
                    .holdings
                    .unwrap_or_default()
                    .into_iter()
                    .map(|part| BrokerPart {
                        holding: rounded(part.target, part.actual, part.value),
                        instrument: part.instrument,
                        symbol: part.symbol,
                    })
                    .collect(),
            }),
            other => return Err(format!("a holding of type {other}")),
        }
    }
    Ok(PortfolioResponse {
        id: object.id,
        portfolio,
        raw,
    })
}

/// A holding without the noise that floats left in its numbers.
fn rounded(target: Decimal, actual: Decimal, value: Decimal) -> BrokerHolding {
    BrokerHolding {
        target: exact::without_noise(target),
        actual: exact::without_noise(actual),
        value: exact::without_noise(value),
    }
}

/// Amounts are signed differently in responses and events; ours are above zero in either direction.
fn amount(amount: Decimal, currency: Option<&CurrencyName>) -> Result<Money, String> {
    let currency = currency.map_or(Ok(Currency::USD), |name| Currency::parse(name.code()));
    let currency = currency.map_err(|error| error.to_string())?;
    Money::from_decimal_exact(amount.abs(), currency).map_err(|error| error.to_string())
}

/// Available cash carries accruals below a cent; what isn't a whole cent can't be moved.
fn whole_cents(amount: Decimal) -> Result<Money, String> {
    Money::from_decimal(exact::without_noise(amount), Currency::USD, Rounding::Floor)
        .map_err(|error| error.to_string())
}

fn status_code(code: Option<i32>, message: &str) -> Result<i32, String> {
    code.or_else(|| payment_code(message))
        .ok_or_else(|| "a payment without a status".to_owned())
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    // The message of serde_json names places and types, and quotes no more than one scalar.
    serde_json::from_slice(body)
        .map_err(|error| format!("{:?} at column {}", error.classify(), error.column()))
}

pub(super) fn parse_raw(body: &[u8]) -> Result<Arc<RawValue>, String> {
    Ok(Arc::from(parse::<Box<RawValue>>(body)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::trading::payment::PaymentStatus;

    #[test]
    fn a_money_object_is_read_to_the_cent() {
        let body = br#"{"id":"DWDF000107-1613671790556-D8XDS","paymentID":"DWDF000107-1613671790556-D8XDS","type":"ACH",
            "amount":0.29,"currency":{"name":"USD"},"status":{"id":14,"message":"Approved","comment":"ok",
            "updated":"2021-02-18T18:09:50.556Z"},"accountDetails":{"accountID":"a.1","accountNo":"DWDF000107"}}"#;
        let payment = payment(body).unwrap();
        assert_eq!(payment.amount, Money::new(29, Currency::USD));
        assert_eq!(payment.status, PaymentStatus::Approved);
        assert_eq!(payment.account_id.unwrap().as_str(), "a.1");
    }

    #[test]
    fn an_event_is_flat_and_may_be_negative() {
        let payload = RawValue::from_string(
            r#"{"paymentID":"R-1","category":"REDEMPTION","type":"ACH","amount":-100.0,"status":11,
                "statusMessage":"RIA_Pending","accountID":"a.1","userID":"u"}"#
                .to_owned(),
        )
        .unwrap();
        let payment = payment_of_event(&payload, Utc::now()).unwrap();
        assert_eq!(payment.amount, Money::new(10_000, Currency::USD));
        assert_eq!(payment.status, PaymentStatus::AwaitingApproval);
    }

    #[test]
    fn a_fraction_of_a_cent_is_no_payment() {
        let payload =
            RawValue::from_string(r#"{"paymentID":"D-1","amount":1.005,"status":2}"#.to_owned()).unwrap();
        assert!(payment_of_event(&payload, Utc::now()).is_err());
    }

    #[test]
    fn a_payment_that_can_not_be_read_does_not_hide_the_others() {
        let sound = r#"{"id":"D-1","amount":1,"status":{"id":2,"updated":"2021-02-18T18:09:50.556Z"}}"#;
        let listed = payments(format!(r#"[{{"id":7}},{sound}]"#).as_bytes()).unwrap();
        assert_eq!((listed.payments.len(), listed.unreadable.len()), (1, 1));
        assert!(payments(b"{}").is_err());
    }

    #[test]
    fn an_account_that_does_not_say_when_it_changed_is_as_it_was_when_asked_for() {
        let asked_at = "2026-03-08T06:30:00Z".parse().unwrap();
        let account = |times: &str| {
            let body = format!(r#"{{"account":{{"id":"a.1","status":{{"name":"OPEN"}}{times}}}}}"#);
            account(body.as_bytes(), asked_at).unwrap().updated_at
        };
        assert_eq!(account(r#","createdWhen":"2020-01-01T00:00:00Z""#), asked_at);
        let changed_at = account(r#","updatedWhen":"2026-03-01T00:00:00Z""#);
        assert_eq!(changed_at.to_rfc3339(), "2026-03-01T00:00:00+00:00");
    }

    #[test]
    fn cash_that_floats_have_counted_is_whole_cents() {
        let body = br#"{"cash":{"cashBalance":0.7999999999999999,"cashAvailableForTrade":-2.8E-12,
            "cashAvailableForWithdrawal":10.019}}"#;
        let cash = cash(body).unwrap();
        let cents = [
            cash.balance,
            cash.available_for_trade,
            cash.available_for_withdrawal,
        ];
        assert_eq!(cents.map(|money| money.minor()), [80, 0, 1_001]);
    }

    #[test]
    fn positions_are_worth_whole_cents() {
        let value = |text: &str| {
            let body = format!(r#"{{"accountID":"a.1","equityValue":{text},"equityPositions":[]}}"#);
            positions(body.as_bytes()).map(|reading| reading.value.minor())
        };
        assert_eq!(value("0"), Ok(0));
        assert_eq!(value("1234.5650000000001"), Ok(123_456));
        assert_eq!(value("0.015"), Ok(2));
        assert!(value("null").is_err());
        assert!(positions(b"{}").is_err());
    }

    #[test]
    fn weights_that_floats_have_counted_are_read() {
        let body = br#"{"id":"portfolio_1","equity":100.00,"holdings":[{"id":null,"type":"CASH_RESERVE",
            "target":-5.551115123125783E-17,"actual":5.551115123125783E-17,"value":-2.8E-12}]}"#;
        assert_eq!(portfolio(body).unwrap().portfolio.cash, BrokerHolding::default());
    }

    #[test]
    fn a_portfolio_without_cash_reserve_has_no_cash() {
        let body =
            br#"{"id":"portfolio_1","equity":100.00,"holdings":[{"id":"fund_1","type":"FUND","target":1,
            "actual":1.0,"value":100.00,"holdings":[{"instrumentID":"i-1","symbol":"AAPL","target":1,"actual":1,"value":100}]}]}"#;
        let response = portfolio(body).unwrap();
        assert_eq!(response.portfolio.cash, BrokerHolding::default());
        assert_eq!(response.portfolio.funds.len(), 1);
    }
}
