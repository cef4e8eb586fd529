//! What callers see of a tier.

use domain::funded::share::{Share, Zone};
use domain::funded::thresholds::DrawdownKind;
use domain::ids::TierId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::store::Tier;

/// What is offered. Shares are decimals from 0 to 1.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TierView {
    /// Id of the tier.
    #[schema(value_type = String)]
    pub id: TierId,
    /// What traders read.
    pub name: String,
    /// What an account begins with, in cents.
    #[schema(minimum = 1)]
    pub starting_balance_cents: i64,
    /// Always USD.
    pub currency: &'static str,
    /// The trader's share of the profit.
    #[schema(value_type = String)]
    pub profit_split: Share,
    /// The largest drawdown of the assessment.
    #[schema(value_type = String)]
    pub max_drawdown: Share,
    /// The largest drawdown of a funded account.
    #[schema(value_type = String)]
    pub funded_max_drawdown: Share,
    /// The largest risk of one trade in the assessment.
    #[schema(value_type = String)]
    pub max_risk_per_trade: Share,
    /// The largest risk of one trade of a funded account.
    #[schema(value_type = String)]
    pub funded_max_risk_per_trade: Share,
    /// Trades that the assessment takes.
    pub min_trades: u32,
    /// What the drawdown is measured from.
    #[schema(schema_with = kind_schema)]
    pub drawdown_kind: DrawdownKind,
    /// The largest loss of a day, in cents.
    pub daily_loss_limit_cents: Option<i64>,
    /// Where days begin at midnight.
    #[schema(value_type = Option<String>)]
    pub daily_reset_zone: Option<Zone>,
    /// Days from one withdrawal to the next.
    pub payout_cycle_days: Option<u32>,
    /// The largest withdrawal, in cents.
    pub payout_cap_cents: Option<i64>,
    /// Winning days that a withdrawal takes.
    pub min_winning_days: Option<u32>,
    /// What a day has to bring to be a winning day, in cents.
    pub winning_day_min_profit_cents: Option<i64>,
    /// The largest part of the profit that may come of one day.
    #[schema(value_type = Option<String>)]
    pub max_best_day_share: Option<Share>,
}

impl From<&Tier> for TierView {
    fn from(tier: &Tier) -> Self {
        let (numbers, funded) = (&tier.assessment, tier.thresholds());
        Self {
            id: tier.id.clone(),
            name: tier.name.clone(),
            starting_balance_cents: numbers.starting_balance_cents,
            currency: "USD",
            profit_split: tier.profit_split,
            max_drawdown: numbers.max_drawdown,
            funded_max_drawdown: funded.max_drawdown,
            max_risk_per_trade: numbers.max_risk_per_trade,
            funded_max_risk_per_trade: funded.max_risk_per_trade,
            min_trades: numbers.min_trades,
            drawdown_kind: numbers.drawdown_kind,
            daily_loss_limit_cents: numbers.daily_loss_limit_cents,
            daily_reset_zone: numbers.daily_reset_zone,
            payout_cycle_days: numbers.payout_cycle_days,
            payout_cap_cents: numbers.payout_cap_cents,
            min_winning_days: numbers.min_winning_days,
            winning_day_min_profit_cents: numbers.winning_day_min_profit_cents,
            max_best_day_share: numbers.max_best_day_share,
        }
    }
}

fn kind_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("What the drawdown is measured from."))
        .enum_values(Some(DrawdownKind::ALL.map(|kind| kind.name())))
        .build()
}
