//! What Moneta does as an adviser: funds, portfolios, autopilot runs, and the instruments that there are.

use chrono::{DateTime, Utc};
use domain::ids::{
    DriveWealthAccountId, DriveWealthFundId, DriveWealthInstrumentId, DriveWealthPortfolioId,
    DriveWealthRunId, DriveWealthUserId,
};
use domain::rate::Weight;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::call::{DriveWealth, Request};
use super::requests::segment;
use super::session::SessionStore;
use super::wire::parse;
use crate::exact;
use crate::outcome::Outcome;

/// The one state in which an instrument is traded.
const ACTIVE: &str = "ACTIVE";
/// The kinds of an account's transactions that are trades: purchases and sales.
const TRADES: [&str; 2] = ["SPUR", "SSAL"];

/// An instrument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrument {
    /// DriveWealth's id.
    pub id: DriveWealthInstrumentId,
    /// Its symbol, as DriveWealth writes it.
    pub symbol: String,
    /// Its name.
    pub name: String,
    /// Its state, as DriveWealth names it.
    pub status: String,
    /// Whether it is traded.
    pub is_active: bool,
    /// Whether less than a whole share of it can be traded.
    pub is_fractional: bool,
}

/// Instruments, and how many of a list can't be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instruments {
    /// Those that can be read.
    pub instruments: Vec<Instrument>,
    /// How many of the others there are.
    pub unreadable: usize,
}

/// A fund, for one profile and collection.
#[derive(Debug, Clone)]
pub struct NewFund {
    /// The name that we know it by: the same fund has the same, always.
    pub client_fund_id: String,
    /// A name for people.
    pub name: String,
    /// What it consists of.
    pub holdings: Vec<(DriveWealthInstrumentId, Weight)>,
    /// The same for every attempt to make it.
    pub idempotency_key: Uuid,
}

/// What has become of an autopilot run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// DriveWealth's id.
    pub id: DriveWealthRunId,
    /// Its state, as DriveWealth names it.
    pub status: String,
    /// How many accounts had an error of their own.
    pub accounts_with_errors: u64,
}

/// A trade of an account: dollars, above zero where it bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// The symbol, as DriveWealth writes it.
    pub symbol: String,
    /// The dollars.
    pub amount: Decimal,
}

impl<S: SessionStore> DriveWealth<S> {
    /// All instruments. DriveWealth wants to be asked at most twice a day.
    pub async fn instruments(&self, deadline: Instant) -> Outcome<Instruments> {
        let request = Request::get("/instruments".to_owned());
        self.call(request, deadline).await.read(|body| instruments(&body))
    }

    /// An instrument.
    pub async fn instrument(&self, id: &DriveWealthInstrumentId, deadline: Instant) -> Outcome<Instrument> {
        let request = Request::get(format!("/instruments/{}", segment(id.as_str())));
        self.call(request, deadline)
            .await
            .read(|body| parse::<InstrumentObject>(&body)?.read())
    }

    /// Makes a fund (`POST /managed/funds`).
    pub async fn create_fund(
        &self,
        adviser: &DriveWealthUserId,
        fund: &NewFund,
        deadline: Instant,
    ) -> Outcome<DriveWealthFundId> {
        let body = json!({
            "userID": adviser,
            "name": fund.name,
            "clientFundID": fund.client_fund_id,
            "description": fund.name,
            "holdings": fund_holdings(&fund.holdings),
            "triggers": triggers(),
        });
        let request = Request::create("/managed/funds", body, fund.idempotency_key);
        self.call(request, deadline)
            .await
            .read(|body| Ok(parse::<FundObject>(&body)?.id))
    }

    /// The fund that we know by a name, if the adviser has it.
    pub async fn find_fund(
        &self,
        adviser: &DriveWealthUserId,
        client_fund_id: &str,
        deadline: Instant,
    ) -> Outcome<Option<DriveWealthFundId>> {
        let request = Request::get(format!("/users/{}/managed/funds", segment(adviser.as_str())));
        self.call(request, deadline).await.read(|body| {
            let funds: Vec<FundObject> = parse(&body)?;
            let found = funds
                .into_iter()
                .find(|fund| fund.client_fund_id.as_deref() == Some(client_fund_id));
            Ok(found.map(|fund| fund.id))
        })
    }

    /// Sets what a fund consists of. Setting it twice is the same as once.
    pub async fn set_fund(
        &self,
        id: &DriveWealthFundId,
        holdings: &[(DriveWealthInstrumentId, Weight)],
        deadline: Instant,
    ) -> Outcome<()> {
        let body = json!({ "holdings": fund_holdings(holdings), "triggers": triggers() });
        let request = Request::change(format!("/managed/funds/{}", segment(id.as_str())), body);
        self.call(request, deadline).await.read(|_| Ok(()))
    }

    /// Sets what a portfolio consists of: cash and funds. What has no share is left out, which ends it.
    pub async fn set_portfolio(
        &self,
        id: &DriveWealthPortfolioId,
        cash: Weight,
        funds: &[(DriveWealthFundId, Weight)],
        deadline: Instant,
    ) -> Outcome<()> {
        let body = json!({ "holdings": portfolio_holdings(cash, funds), "triggers": triggers() });
        let request = Request::change(format!("/managed/portfolios/{}", segment(id.as_str())), body);
        self.call(request, deadline).await.read(|_| Ok(()))
    }

    /// Lets the autopilot bring one account to its targets (`POST /managed/autopilot`). It is named always: without accounts
    /// a run may be for all of them.
    pub async fn create_run(
        &self,
        adviser: &DriveWealthUserId,
        account: &DriveWealthAccountId,
        idempotency_key: Uuid,
        deadline: Instant,
    ) -> Outcome<Run> {
        let body = json!({ "reviewOnly": false, "forceRebalance": true, "subAccounts": [account] });
        let path = format!("/managed/autopilot/{}", segment(adviser.as_str()));
        // It trades: a refusal counts only when it is beyond doubt.
        let request = Request {
            moves_money: true,
            ..Request::create(&path, body, idempotency_key)
        };
        self.call(request, deadline).await.read(|body| run(&body))
    }

    /// An autopilot run as it is now.
    pub async fn run(&self, id: &DriveWealthRunId, deadline: Instant) -> Outcome<Run> {
        let request = Request::get(format!("/managed/autopilot/{}", segment(id.as_str())));
        self.call(request, deadline).await.read(|body| run(&body))
    }

    /// The trades of an account from one time to another.
    pub async fn trades(
        &self,
        account: &DriveWealthAccountId,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        deadline: Instant,
    ) -> Outcome<Vec<Trade>> {
        let time = |at: DateTime<Utc>| segment(&at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
        let account = segment(account.as_str());
        let request = Request::get(format!(
            "/accounts/{account}/transactions?from={}&to={}",
            time(from),
            time(to)
        ));
        self.call(request, deadline).await.read(|body| trades(&body))
    }
}

/// The drift from which on DriveWealth would trade by itself.
fn triggers() -> Value {
    json!([{
        "type": "TOTAL_DRIFT",
        "maxAllowed": 0.1,
        "child": Value::Null,
        "lowerBound": Value::Null,
        "upperBound": Value::Null,
    }])
}

fn fund_holdings(holdings: &[(DriveWealthInstrumentId, Weight)]) -> Vec<Value> {
    let holdings = holdings.iter().filter(|(_, weight)| !weight.is_zero());
    holdings
        .map(|(id, weight)| json!({ "instrumentID": id, "target": weight.as_decimal().to_string() }))
        .collect()
}

fn portfolio_holdings(cash: Weight, funds: &[(DriveWealthFundId, Weight)]) -> Vec<Value> {
    let cash =
        (!cash.is_zero()).then(|| json!({ "type": "CASH_RESERVE", "target": cash.as_decimal().to_string() }));
    let funds = funds.iter().filter(|(_, weight)| !weight.is_zero());
    let funds = funds
        .map(|(id, weight)| json!({ "type": "FUND", "id": id, "target": weight.as_decimal().to_string() }));
    cash.into_iter().chain(funds).collect()
}

#[derive(Deserialize)]
struct InstrumentObject {
    // One of both names, or both.
    id: Option<DriveWealthInstrumentId>,
    #[serde(rename = "instrumentID")]
    instrument_id: Option<DriveWealthInstrumentId>,
    symbol: String,
    #[serde(default)]
    name: Option<String>,
    status: String,
    #[serde(
        default,
        rename = "orderSizeStep",
        deserialize_with = "exact::decimal_or_zero"
    )]
    order_size_step: Decimal,
}

impl InstrumentObject {
    fn read(self) -> Result<Instrument, String> {
        Ok(Instrument {
            is_active: self.status == ACTIVE,
            is_fractional: self.order_size_step > Decimal::ZERO && self.order_size_step < Decimal::ONE,
            id: self
                .id
                .or(self.instrument_id)
                .ok_or("an instrument without an id")?,
            symbol: self.symbol,
            name: self.name.unwrap_or_default(),
            status: self.status,
        })
    }
}

/// A list of instruments. One that can't be read doesn't hide the others.
fn instruments(body: &[u8]) -> Result<Instruments, String> {
    let items: Vec<Box<RawValue>> = parse(body)?;
    let mut listed = Instruments::default();
    for item in items {
        let read = parse::<InstrumentObject>(item.get().as_bytes()).and_then(InstrumentObject::read);
        match read {
            Ok(instrument) => listed.instruments.push(instrument),
            Err(_) => listed.unreadable += 1,
        }
    }
    Ok(listed)
}

/// The instrument of an `instruments.*` event.
///
/// # Errors
/// When the payload names none.
pub fn instrument_of_event(payload: &RawValue) -> Result<DriveWealthInstrumentId, String> {
    #[derive(Deserialize)]
    struct InstrumentEvent {
        #[serde(rename = "instrumentID")]
        instrument_id: DriveWealthInstrumentId,
    }
    Ok(parse::<InstrumentEvent>(payload.get().as_bytes())?.instrument_id)
}

#[derive(Deserialize)]
struct FundObject {
    id: DriveWealthFundId,
    #[serde(default, rename = "clientFundID")]
    client_fund_id: Option<String>,
}

fn run(body: &[u8]) -> Result<Run, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct RunObject {
        id: DriveWealthRunId,
        status: String,
        sub_accounts: Option<SubAccounts>,
    }
    #[derive(Deserialize)]
    struct SubAccounts {
        error: Option<u64>,
    }
    let run: RunObject = parse(body)?;
    Ok(Run {
        id: run.id,
        status: run.status,
        accounts_with_errors: run.sub_accounts.and_then(|accounts| accounts.error).unwrap_or(0),
    })
}

/// The purchases and sales among an account's transactions: the account pays for what it buys.
fn trades(body: &[u8]) -> Result<Vec<Trade>, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Transaction {
        #[serde(rename = "finTranTypeID")]
        kind: String,
        #[serde(deserialize_with = "exact::decimal")]
        account_amount: Decimal,
        instrument: Option<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        symbol: String,
    }
    let transactions: Vec<Transaction> = parse(body)?;
    let trades = transactions
        .into_iter()
        .filter(|transaction| TRADES.contains(&transaction.kind.as_str()));
    trades
        .map(|trade| {
            let instrument = trade.instrument.ok_or("a trade without an instrument")?;
            Ok(Trade {
                symbol: instrument.symbol,
                amount: -exact::without_noise(trade.account_amount),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instrument_that_can_not_be_read_does_not_hide_the_others() {
        let body = br#"[{"id":"i-1","instrumentID":"i-1","symbol":"AAPL","name":"Apple","status":"ACTIVE","orderSizeStep":1e-8},
            {"instrumentID":"i-2","symbol":"BRK.A","status":"INACTIVE","orderSizeStep":1},{"symbol":7},
            {"symbol":"MSFT","status":"ACTIVE"}]"#;
        let listed = instruments(body).unwrap();
        let states: Vec<_> = listed
            .instruments
            .iter()
            .map(|one| (one.is_active, one.is_fractional))
            .collect();
        assert_eq!(states, [(true, true), (false, false)]);
        assert_eq!(listed.unreadable, 2);
    }

    #[test]
    fn run_tells_its_errors_where_it_has_accounts() {
        let body = br#"{"id":"ria_rebalance_1","status":"SUCCESS","subAccounts":{"total":1,"error":1}}"#;
        assert_eq!(run(body).unwrap().accounts_with_errors, 1);
        let begun =
            run(br#"{"id":"ria_rebalance_1","status":"REBALANCE_NOT_STARTED","created":"x"}"#).unwrap();
        assert_eq!(begun.accounts_with_errors, 0);
    }

    #[test]
    fn trades_are_what_the_account_paid_for_and_got() {
        let body = br#"[{"finTranTypeID":"SPUR","accountAmount":-12.34,"instrument":{"symbol":"AAPL"}},
            {"finTranTypeID":"SSAL","accountAmount":5,"instrument":{"symbol":"MSFT"}},
            {"finTranTypeID":"CSR","accountAmount":100}]"#;
        let trades: Vec<_> = trades(body)
            .unwrap()
            .into_iter()
            .map(|trade| trade.amount.to_string())
            .collect();
        assert_eq!(trades, ["12.34", "-5"]);
    }

    #[test]
    fn what_has_no_share_is_left_out() {
        let fund = |id: &str| DriveWealthFundId::parse(id).unwrap();
        let funds = [(fund("a"), Weight::ONE), (fund("b"), Weight::ZERO)];
        let holdings = portfolio_holdings(Weight::ZERO, &funds);
        assert_eq!(
            json!(holdings),
            json!([{ "type": "FUND", "id": "a", "target": "1" }])
        );
    }
}
