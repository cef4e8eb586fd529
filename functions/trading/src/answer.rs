//! What callers see of a money flow.

use chrono::{DateTime, Utc};
use domain::ids::{BankAccountId, MoneyFlowId, TradingAccountId};
use domain::trading::money_flow::{Direction, MoneyFlowStatus};
use platform::idempotency::KeptAnswer;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::store::money_flow::Flow;

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
    /// Where it stands, as the broker last told it.
    #[schema(schema_with = status_schema)]
    pub status: MoneyFlowStatus,
    /// Why it failed, as a code; null otherwise.
    pub failure_code: Option<String>,
    /// When it was asked for (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
    /// When its status last changed (RFC 3339, UTC).
    pub updated_at: DateTime<Utc>,
}

/// The directions, for the API's description.
pub(crate) fn direction_schema() -> Object {
    names(
        "Which way the money goes.",
        [Direction::Deposit, Direction::Withdrawal],
    )
}

/// The statuses, for the API's description.
pub(crate) fn status_schema() -> Object {
    names(
        "Where it stands, as the broker last told it.",
        MoneyFlowStatus::EVERY,
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
            amount_cents: flow.amount.minor(),
            currency: flow.amount.currency().code().to_owned(),
            status: flow.status,
            failure_code: flow.failure_code.clone(),
            created_at: flow.created_at,
            updated_at: flow.updated_at,
        }
    }
}

/// What a request for a flow came to.
#[derive(Debug)]
pub enum Answer {
    /// The answer that is kept under the request's key.
    Kept {
        /// Status and body.
        answer: KeptAnswer,
        /// It was kept before this request.
        replayed: bool,
    },
    /// The broker's word is still out; the same request sent again finds out.
    Open(MoneyFlowView),
}
