//! What trading tells others.

use chrono::{DateTime, Utc};
use domain::ids::{DriveWealthAccountId, MoneyFlowId, ProfileId, TradingAccountId};
use domain::money::Money;
use domain::trading::money_flow::Direction;
use platform::messaging::event::Envelope;
use platform::messaging::outbox::{self, Destination};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::Error;

/// A money flow came to its end: `money-flow.succeeded` or `money-flow.failed`.
pub const MONEY_FLOW_SUCCEEDED: &str = "money-flow.succeeded";
/// See [`MONEY_FLOW_SUCCEEDED`].
pub const MONEY_FLOW_FAILED: &str = "money-flow.failed";
/// A trading account is open for the first time.
pub const TRADING_ACCOUNT_OPENED: &str = "trading-account.opened";
/// The cash of an account changed from outside: for `on_cash_changed` alone.
pub const CASH_CHANGED: &str = "portfolio.cash-changed";

/// Everybody who listens to trading.
const ALL_SUBSCRIBERS: [Destination; 2] = [
    Destination::Topic("trading.events"),
    Destination::Queue("domain-events"),
];
/// Changes of a portfolio, one account at a time.
const PORTFOLIO_CHANGES: [Destination; 1] = [Destination::Queue("portfolio-changes")];

/// The end of a money flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MoneyFlowEnded {
    /// The flow.
    pub money_flow_id: MoneyFlowId,
    /// Whose it is.
    pub profile_id: ProfileId,
    /// The account it moves money to or from.
    pub trading_account_id: TradingAccountId,
    /// Deposit or withdrawal.
    pub direction: Direction,
    /// The amount in minor units, above zero in either direction.
    pub amount_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Why it failed, as a code; null when it succeeded.
    pub reason: Option<String>,
}

/// The cash of an account changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CashChanged {
    /// The account at DriveWealth.
    pub drivewealth_account_id: DriveWealthAccountId,
    /// The flow that changed it.
    pub money_flow_id: MoneyFlowId,
    /// Whose it is.
    pub profile_id: ProfileId,
}

/// A trading account was opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TradingAccountOpened {
    /// The account.
    pub trading_account_id: TradingAccountId,
    /// Whose it is.
    pub profile_id: ProfileId,
}

impl MoneyFlowEnded {
    /// The facts of an end.
    pub fn new(
        money_flow_id: MoneyFlowId,
        profile_id: ProfileId,
        trading_account_id: TradingAccountId,
        direction: Direction,
        amount: Money,
        reason: Option<String>,
    ) -> Self {
        Self {
            money_flow_id,
            profile_id,
            trading_account_id,
            direction,
            amount_cents: amount.minor(),
            currency: amount.currency().code().to_owned(),
            reason,
        }
    }
}

/// Tells of a flow's end.
pub(crate) async fn money_flow_ended(
    connection: &mut PgConnection,
    kind: &str,
    at: DateTime<Utc>,
    ended: MoneyFlowEnded,
) -> Result<(), Error> {
    let event = Envelope::new(kind, profile_key(ended.profile_id), at, ended);
    Ok(outbox::publish(connection, &event, &ALL_SUBSCRIBERS).await?)
}

/// Asks for the portfolio's targets to follow the cash.
pub(crate) async fn cash_changed(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    changed: CashChanged,
) -> Result<(), Error> {
    let event = Envelope::new(
        CASH_CHANGED,
        changed.drivewealth_account_id.as_str().to_owned(),
        at,
        changed,
    );
    Ok(outbox::publish(connection, &event, &PORTFOLIO_CHANGES).await?)
}

/// Tells of an opened account.
pub(crate) async fn trading_account_opened(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    opened: TradingAccountOpened,
) -> Result<(), Error> {
    let event = Envelope::new(TRADING_ACCOUNT_OPENED, profile_key(opened.profile_id), at, opened);
    Ok(outbox::publish(connection, &event, &ALL_SUBSCRIBERS).await?)
}

fn profile_key(profile: ProfileId) -> String {
    format!("profile-{profile}")
}
