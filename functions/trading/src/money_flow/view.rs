//! What callers see of a money flow.

use chrono::{DateTime, Utc};
use domain::ids::{BankAccountId, MoneyFlowId, TradingAccountId};
use domain::trading::money_flow::{Direction, MoneyFlowStatus, ProviderState};
use platform::http::{Problem, Reply};
use platform::idempotency::{Replayable, StoredResponse};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::store::Flow;

/// A deposit or withdrawal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MoneyFlowView {
    /// Id of the money flow.
    #[schema(value_type = i64, minimum = 1)]
    pub id: MoneyFlowId,
    /// Which way the money goes.
    #[schema(schema_with = direction_schema)]
    pub direction: Direction,
    /// The trading account.
    #[schema(value_type = i64, minimum = 1)]
    pub trading_account_id: TradingAccountId,
    /// The bank account.
    #[schema(value_type = i64, minimum = 1)]
    pub bank_account_id: BankAccountId,
    /// The amount in cents, above zero in either direction.
    #[schema(minimum = 1)]
    pub amount_cents: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// Its status, as the broker last reported it.
    #[schema(schema_with = status_schema)]
    pub status: MoneyFlowStatus,
    /// Why it failed, as a code; null otherwise.
    pub failure_code: Option<String>,
    /// Its outcome is in manual review; repeating the request brings nothing new until then.
    pub under_review: bool,
    /// When it was requested (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
    /// When its status last changed (RFC 3339, UTC).
    pub updated_at: DateTime<Utc>,
}

/// The directions, for the API's description.
fn direction_schema() -> Object {
    names("Which way the money goes.", Direction::ALL)
}

/// The statuses, for the API's description.
fn status_schema() -> Object {
    names(
        "Its status, as the broker last reported it.",
        MoneyFlowStatus::ALL,
    )
}

fn names(description: &str, names: impl IntoIterator<Item = impl ToString>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(names.into_iter().map(|name| name.to_string())))
        .build()
}

impl From<&Flow> for MoneyFlowView {
    fn from(flow: &Flow) -> Self {
        Self {
            id: flow.id,
            direction: flow.direction,
            trading_account_id: flow.trading_account_id,
            bank_account_id: flow.bank_account_id,
            amount_cents: flow.amount_cents,
            currency: flow.currency.code().to_owned(),
            status: flow.status,
            failure_code: flow.failure_code.clone(),
            under_review: flow.provider_state == ProviderState::Parked,
            created_at: flow.created_at,
            updated_at: flow.updated_at,
        }
    }
}

/// The reply to a request for a flow.
#[derive(Debug)]
pub enum MoneyFlowReply {
    /// The broker has accepted or declined; the response is stored under the request's key.
    Answered(Replayable<StoredResponse>),
    /// The broker's response isn't known yet: the same request sent again finds out, unless the flow is under review.
    Pending(MoneyFlowView),
}

impl MoneyFlowReply {
    /// The reply over HTTP; 202 while the broker's response isn't known.
    ///
    /// # Errors
    /// When the view can't be written as JSON.
    pub fn into_reply(self) -> Result<Reply<MoneyFlowView>, Problem> {
        match self {
            Self::Answered(response) => Ok(Reply::stored(response)),
            Self::Pending(flow) => Reply::with_status(202, &flow),
        }
    }
}
