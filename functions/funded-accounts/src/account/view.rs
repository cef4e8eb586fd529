//! What traders see of an account.

use chrono::{DateTime, Utc};
use domain::funded::FundedAccountStatus;
use domain::funded::live::Breach;
use domain::funded::rules::{Rule, RuleEvaluation, RuleStatus};
use domain::funded::share::Share;
use domain::funded::snapshot::{OpenPosition, Side};
use domain::funded::withdrawable::withdrawable_cents;
use domain::ids::{AssessmentId, FundedAccountId, TierId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::store::Account;
use crate::live::store::LiveAccount;

/// A funded account as it was recorded last, at the most a second after its live state. Amounts are cents of USD.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FundedAccountView {
    /// Id of the account.
    #[schema(value_type = i64, minimum = 1)]
    pub id: FundedAccountId,
    /// The assessment that was passed for it.
    #[schema(value_type = String)]
    pub assessment_id: AssessmentId,
    /// Its tier.
    #[schema(value_type = String)]
    pub tier_id: TierId,
    /// What its tier is called.
    pub tier_name: String,
    /// The trader's share of the profit.
    #[schema(value_type = String)]
    pub profit_split: Share,
    /// Whether it is traded.
    #[schema(schema_with = status_schema)]
    pub status: FundedAccountStatus,
    /// When it began (RFC 3339, UTC).
    pub activated_at: DateTime<Utc>,
    /// When a rule closed it.
    pub closed_at: Option<DateTime<Utc>>,
    /// The rule that closed it.
    #[schema(schema_with = rule_or_null_schema)]
    pub closure_reason: Option<Rule>,
    /// Always USD.
    pub currency: &'static str,
    /// What it began with.
    pub starting_balance_cents: i64,
    /// The starting balance and all realised profit and loss; withdrawals don't change it.
    pub current_balance_cents: i64,
    /// The highest equity there was.
    pub peak_balance_cents: i64,
    /// The balance and the profit and loss of open positions.
    pub equity_cents: i64,
    /// The profit and loss of closed positions.
    pub realized_pnl_cents: i64,
    /// The profit and loss of open positions.
    pub unrealized_pnl_cents: i64,
    /// The profit that withdrawals have used up which the bank has, or is getting.
    #[schema(minimum = 0)]
    pub total_withdrawals_cents: i64,
    /// When this was (RFC 3339, UTC).
    pub updated_at: DateTime<Utc>,
}

/// A funded account with its live state.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LiveFundedAccountView {
    /// The account, with the figures of the live state where that could be read.
    pub account: FundedAccountView,
    /// Where the figures are from: `live`, or `record` while the live state can't be read.
    #[schema(schema_with = source_schema)]
    pub source: &'static str,
    /// What is open; null when that isn't known.
    pub positions: Option<Vec<PositionView>>,
    /// What each rule says.
    pub rules: Vec<RuleView>,
    /// What the trader could withdraw of the profit, in cents, beside the withdrawals that are there.
    #[schema(minimum = 0)]
    pub withdrawable_cents: i64,
    /// Why a rule closed it.
    pub breach: Option<BreachView>,
}

/// A position that is open.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PositionView {
    /// What is held.
    pub symbol: String,
    /// `long` or `short`.
    #[schema(value_type = String)]
    pub side: Side,
    /// How much of it, a decimal.
    pub quantity: String,
    /// What it is worth, in cents.
    pub market_value_cents: i64,
    /// What is lost at its stop, in cents.
    pub risk_at_stop_cents: Option<i64>,
}

/// What a rule says.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RuleView {
    /// The rule.
    #[schema(schema_with = rule_schema)]
    pub rule: Rule,
    /// What is used, a decimal: a share, or cents for `daily_loss` and `balance`.
    pub value: String,
    /// What may be used. Beyond it, not at it, the account is closed.
    pub threshold: String,
    /// Below 80 % of the threshold `safe`, from 80 % on `warning`, from 90 % on `danger`, beyond it `violation`.
    #[schema(schema_with = level_schema)]
    pub status: RuleStatus,
    /// What may still be lost or risked, in cents. Withdrawals don't change it: the same is left after the largest one.
    pub room_cents: i64,
}

/// The evidence of a violation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BreachView {
    /// The rule.
    #[schema(schema_with = rule_schema)]
    pub rule: Rule,
    /// What it said.
    pub value: String,
    /// What it may say.
    pub threshold: String,
    /// The snapshot's epoch.
    pub epoch: i64,
    /// The snapshot's number in its epoch.
    pub sequence: i64,
    /// When that was (RFC 3339, UTC).
    pub at: DateTime<Utc>,
    /// Its balance, in cents.
    pub balance_cents: i64,
    /// Its equity, in cents.
    pub equity_cents: i64,
    /// The highest equity up to it, in cents.
    pub peak_cents: i64,
}

impl From<&Account> for FundedAccountView {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id,
            assessment_id: account.assessment_id.clone(),
            tier_id: account.tier_id.clone(),
            tier_name: account.tier_name.clone(),
            profit_split: account.profit_split,
            status: account.status,
            activated_at: account.activated_at,
            closed_at: account.closed_at,
            closure_reason: account.closure_reason,
            currency: "USD",
            starting_balance_cents: account.starting_balance_cents,
            current_balance_cents: account.current_balance_cents,
            peak_balance_cents: account.peak_balance_cents,
            equity_cents: account
                .current_balance_cents
                .saturating_add(account.unrealized_pnl_cents),
            realized_pnl_cents: account.realized_pnl_cents,
            unrealized_pnl_cents: account.unrealized_pnl_cents,
            total_withdrawals_cents: account.total_withdrawals_cents,
            updated_at: account.updated_at,
        }
    }
}

impl FundedAccountView {
    /// With the figures of the live state.
    fn with(self, known: &LiveAccount) -> Self {
        let state = &known.live.state;
        let breach = known.live.breach.as_ref();
        Self {
            status: known.live.status(),
            closed_at: self.closed_at.or(breach.map(|breach| breach.at)),
            closure_reason: breach.map(|breach| breach.rule),
            current_balance_cents: state.current_balance_cents,
            peak_balance_cents: state.peak_balance_cents,
            equity_cents: state
                .current_balance_cents
                .saturating_add(state.unrealized_pnl_cents),
            realized_pnl_cents: state.realized_pnl_cents,
            unrealized_pnl_cents: state.unrealized_pnl_cents,
            updated_at: state.at,
            ..self
        }
    }
}

impl LiveFundedAccountView {
    pub(crate) fn of(account: &Account, known: Option<&LiveAccount>) -> Self {
        let view = FundedAccountView::from(account);
        let live = known.map(|known| &known.live);
        let evaluations = live.map_or(&account.evaluations.0, |live| &live.evaluations);
        let breach = live.map_or(account.breach.as_ref().map(|breach| &breach.0), |live| {
            live.breach.as_ref()
        });
        let positions = live.and_then(|live| live.state.positions.as_ref());
        let view = match known {
            Some(known) => view.with(known),
            None => view,
        };
        Self {
            source: if live.is_some() { "live" } else { "record" },
            positions: positions.map(|positions| positions.iter().map(PositionView::from).collect()),
            rules: evaluations.iter().map(RuleView::from).collect(),
            withdrawable_cents: withdrawable(account, &view),
            breach: breach.map(BreachView::from),
            account: view,
        }
    }
}

/// The profit of a closed account isn't paid.
fn withdrawable(account: &Account, view: &FundedAccountView) -> i64 {
    match view.status {
        FundedAccountStatus::Closed => 0,
        FundedAccountStatus::Active => withdrawable_cents(
            account.profit_split,
            view.current_balance_cents,
            account.starting_balance_cents,
            account.used_up_cents,
        ),
    }
}

impl From<&OpenPosition> for PositionView {
    fn from(position: &OpenPosition) -> Self {
        Self {
            symbol: position.symbol.clone(),
            side: position.side,
            quantity: position.quantity.normalize().to_string(),
            market_value_cents: position.market_value_cents,
            risk_at_stop_cents: position.risk_at_stop_cents,
        }
    }
}

impl From<&RuleEvaluation> for RuleView {
    fn from(evaluation: &RuleEvaluation) -> Self {
        Self {
            rule: evaluation.rule,
            value: evaluation.value.to_string(),
            threshold: evaluation.threshold.to_string(),
            status: evaluation.status,
            room_cents: evaluation.room_cents,
        }
    }
}

impl From<&Breach> for BreachView {
    fn from(breach: &Breach) -> Self {
        Self {
            rule: breach.rule,
            value: breach.value.to_string(),
            threshold: breach.threshold.to_string(),
            epoch: breach.place.epoch,
            sequence: breach.place.sequence,
            at: breach.at,
            balance_cents: breach.balance_cents,
            equity_cents: breach.equity_cents,
            peak_cents: breach.peak_cents,
        }
    }
}

fn status_schema() -> Object {
    names(
        "Whether it is traded.",
        FundedAccountStatus::ALL.map(|status| status.name()),
    )
}

fn rule_schema() -> Object {
    names("The rule.", Rule::ALL.map(|rule| rule.name()))
}

fn level_schema() -> Object {
    names(
        "Below 80 % of the threshold safe, from 80 % on warning, from 90 % on danger, beyond it violation.",
        RuleStatus::ALL.map(|status| status.name()),
    )
}

fn source_schema() -> Object {
    names("Where the figures are from.", ["live", "record"])
}

fn rule_or_null_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::SchemaType::from_iter([
            Type::String,
            Type::Null,
        ]))
        .description(Some("The rule that closed it."))
        .build()
}

fn names(description: &str, names: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(names))
        .build()
}
