//! What callers see of the holdings of a collection.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{CollectionId, TradingAccountId};
use domain::money::{Money, Rounding};
use domain::rate::{Weight, normalise};
use domain::trading::portfolio::{BrokerFund, BrokerPart};
use rust_decimal::Decimal;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Error;
use crate::collection_version::store::OrderAccount;

/// A symbol of a collection.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HoldingView {
    /// The symbol.
    #[schema(examples("AAPL"))]
    pub symbol: String,
    /// What its part should be: a decimal with at most four places, as a text. The parts sum to 1.
    #[schema(examples("0.25"))]
    pub target_weight: String,
    /// What its part is, in the same form. The parts sum to 1.
    #[schema(examples("0.2513"))]
    pub actual_weight: String,
    /// Its value in cents.
    pub value_cents: i64,
}

/// What is held of a collection.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HoldingsView {
    /// The collection.
    #[schema(value_type = i64, minimum = 1)]
    pub collection_id: CollectionId,
    /// The trading account.
    #[schema(value_type = i64, minimum = 1)]
    pub trading_account_id: TradingAccountId,
    /// The value of all of it in cents.
    pub amount_cents: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// Its symbols; none when nothing is held.
    pub holdings: Vec<HoldingView>,
    /// When the broker was asked (RFC 3339, UTC).
    pub as_of: DateTime<Utc>,
}

impl HoldingsView {
    pub(super) fn new(
        collection_id: CollectionId,
        account: &OrderAccount,
        held: Option<&BrokerFund>,
        as_of: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let value = held.map_or(Decimal::ZERO, |held| held.holding.value);
        let parts = held.map_or(&[][..], |held| held.parts.as_slice());
        let targets = weights(parts, |part| part.holding.target);
        let actuals = weights(parts, |part| part.holding.value);
        let holdings = parts
            .iter()
            .zip(targets)
            .zip(actuals)
            .map(|((part, target), actual)| {
                Ok(HoldingView {
                    symbol: part.symbol.clone(),
                    target_weight: target.to_string(),
                    actual_weight: actual.to_string(),
                    value_cents: cents(part.holding.value)?,
                })
            });
        Ok(Self {
            collection_id,
            trading_account_id: account.id,
            amount_cents: cents(value)?,
            currency: Currency::USD.code().to_owned(),
            holdings: holdings.collect::<Result<_, Error>>()?,
            as_of,
        })
    }
}

/// The parts' weights, which sum to 1; of nothing, nothing.
fn weights(parts: &[BrokerPart], of: impl Fn(&BrokerPart) -> Decimal) -> Vec<Weight> {
    let numbers: Vec<Decimal> = parts.iter().map(of).collect();
    normalise(&numbers).unwrap_or_else(|_| vec![Weight::ZERO; parts.len()])
}

fn cents(value: Decimal) -> Result<i64, Error> {
    Ok(Money::from_decimal(value, Currency::USD, Rounding::Down)?.minor())
}
