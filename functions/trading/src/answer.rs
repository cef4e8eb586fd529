//! What callers see of a money flow.

use chrono::{DateTime, Utc};
use domain::ids::{BankAccountId, MoneyFlowId, TradingAccountId};
use domain::trading::money_flow::{Direction, MoneyFlowStatus, ProviderState};
use platform::http::Problem;
use platform::idempotency::{self, KeptAnswer, KeyedRequest};
use providers::drivewealth::{BANK_TOKEN_INVALID, DAILY_LIMIT_MESSAGE, is_not_open};
use providers::outcome::Decline;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::Error;
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
    /// A person of ours has to find out what became of it; asking again tells nothing new until then.
    pub under_review: bool,
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
            amount_cents: flow.amount.minor(),
            currency: flow.amount.currency().code().to_owned(),
            status: flow.status,
            failure_code: flow.failure_code.clone(),
            under_review: flow.provider_state == ProviderState::Parked,
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
    /// The broker's word is still out: the same request sent again finds out, unless the flow is under review.
    Open(MoneyFlowView),
}

/// The broker declined, for no reason of its own code.
pub(crate) const DECLINED: &str = "declined-by-bank-or-broker";
/// The bank took the money back.
pub(crate) const RETURNED: &str = "returned-by-bank";
/// The customer has to sign in to the bank again.
pub(crate) const NEEDS_SIGN_IN: &str = "bank-account-needs-reauth";
const DAILY_LIMIT: &str = "daily-deposit-limit";
const NOT_OPEN: &str = "trading-account-not-open";

/// The code for the broker's refusal.
pub(crate) fn decline_code(decline: &Decline) -> &'static str {
    if decline.message.contains(DAILY_LIMIT_MESSAGE) {
        DAILY_LIMIT
    } else if is_not_open(decline) {
        NOT_OPEN
    } else if decline.code == BANK_TOKEN_INVALID {
        NEEDS_SIGN_IN
    } else {
        DECLINED
    }
}

/// The answer to the request that waits: kept once the broker's word is known, open until then.
pub(crate) async fn keep(
    connection: &mut PgConnection,
    flow: &Flow,
    keyed: Option<&KeyedRequest>,
) -> Result<Answer, Error> {
    let view = MoneyFlowView::from(flow);
    let answer = match flow.provider_state {
        ProviderState::Accepted => KeptAnswer {
            status: 201,
            body: to_json(&view)?,
        },
        ProviderState::Declined => KeptAnswer {
            status: 422,
            body: to_json(&declined_problem(flow))?,
        },
        ProviderState::Intended | ProviderState::Unknown | ProviderState::Parked => {
            return Ok(Answer::Open(view));
        }
    };
    let Some(keyed) = keyed else {
        return Ok(Answer::Kept {
            answer,
            replayed: false,
        });
    };
    let kept = idempotency::keep(connection, keyed, answer).await?;
    Ok(Answer::Kept {
        answer: kept,
        replayed: false,
    })
}

fn declined_problem(flow: &Flow) -> Problem {
    let (field, detail) = match flow.failure_code.as_deref() {
        Some(DAILY_LIMIT) => (
            "amount_cents",
            "The daily limit for deposits is reached. Try again tomorrow, or with a smaller amount.",
        ),
        Some(NOT_OPEN) => (
            "trading_account_id",
            "The trading account is not open at the broker; please contact support.",
        ),
        Some(NEEDS_SIGN_IN) => (
            "bank_account_id",
            "The bank account needs to be linked again before money can be moved.",
        ),
        _ => (
            "bank_account_id",
            "The bank or the broker declined this. Check the account, or use another one.",
        ),
    };
    let code = flow.failure_code.as_deref().unwrap_or(DECLINED);
    Problem::new(422, code, detail).at(field, detail)
}

fn to_json<T: Serialize>(value: &T) -> Result<serde_json::Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::Platform(error.into()))
}
