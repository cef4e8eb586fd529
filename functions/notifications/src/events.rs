//! What other areas tell that is worth a notification.

use domain::currency::Currency;
use domain::ids::ProfileId;
use domain::money::Money;
use domain::trading::money_flow::Direction;
use platform::event::Envelope;
use serde::Deserialize;
use serde_json::Value;

use crate::Error;

/// An event as it comes; its data is read by its type.
pub type DomainEvent = Envelope<Value>;

/// News for a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A deposit or withdrawal has arrived.
    MoneyFlowSucceeded(MoneyFlow),
    /// A deposit or withdrawal did not go through, or came back.
    MoneyFlowFailed(MoneyFlow),
}

/// A deposit or withdrawal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoneyFlow {
    /// Its id.
    pub id: i64,
    /// Which way the money went.
    pub direction: Direction,
    /// How much.
    pub amount: Money,
}

#[derive(Deserialize)]
struct MoneyFlowEnded {
    money_flow_id: i64,
    profile_id: ProfileId,
    direction: Direction,
    amount_cents: i64,
    currency: Currency,
}

/// The news in an event, and whose it is; `None` for an event that nobody is told of.
///
/// # Errors
/// When an event of a known type doesn't have its data.
pub fn news(event: &DomainEvent) -> Result<Option<(ProfileId, News)>, Error> {
    let tell: fn(MoneyFlow) -> News = match event.kind.as_str() {
        "money-flow.succeeded" => News::MoneyFlowSucceeded,
        "money-flow.failed" => News::MoneyFlowFailed,
        _ => return Ok(None),
    };
    let ended: MoneyFlowEnded = serde_json::from_value(event.data.clone()).map_err(|_| Error::Event {
        kind: event.kind.clone(),
    })?;
    let flow = MoneyFlow {
        id: ended.money_flow_id,
        direction: ended.direction,
        amount: Money::new(ended.amount_cents, ended.currency),
    };
    Ok(Some((ended.profile_id, tell(flow))))
}
