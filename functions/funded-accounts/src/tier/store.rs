//! `tiers`.

use chrono::{DateTime, Utc};
use domain::funded::share::{Share, Zone};
use domain::funded::thresholds::{DrawdownKind, Thresholds};
use domain::ids::TierId;
use platform::error::PlatformError;
use platform::pagination::PageRequest;
use sqlx::PgConnection;

use crate::Error;

/// What is offered.
#[derive(Debug, Clone)]
pub(crate) struct Tier {
    pub(crate) id: TierId,
    pub(crate) name: String,
    pub(crate) profit_split: Share,
    /// What its assessment is held to.
    pub(crate) assessment: Thresholds,
}

platform::list! {
    /// The tiers, by id.
    pub TierList: TierId = "tiers"
}

/// A tier as it is stored.
struct Row {
    id: TierId,
    name: String,
    starting_balance_cents: i64,
    profit_split: Share,
    max_drawdown: Share,
    max_risk_per_trade: Share,
    min_trades: i64,
    drawdown_kind: DrawdownKind,
    daily_loss_limit_cents: Option<i64>,
    daily_reset_zone: Option<Zone>,
    payout_cycle_days: Option<i64>,
    payout_cap_cents: Option<i64>,
    min_winning_days: Option<i64>,
    winning_day_min_profit_cents: Option<i64>,
    max_best_day_share: Option<Share>,
}

impl Row {
    fn into_tier(self) -> Result<Tier, PlatformError> {
        let count = |count: i64| u32::try_from(count).map_err(|_| PlatformError::Stored("tiers' counts"));
        Ok(Tier {
            id: self.id,
            name: self.name,
            profit_split: self.profit_split,
            assessment: Thresholds {
                starting_balance_cents: self.starting_balance_cents,
                drawdown_kind: self.drawdown_kind,
                max_drawdown: self.max_drawdown,
                max_risk_per_trade: self.max_risk_per_trade,
                min_trades: count(self.min_trades)?,
                daily_loss_limit_cents: self.daily_loss_limit_cents,
                daily_reset_zone: self.daily_reset_zone,
                payout_cycle_days: self.payout_cycle_days.map(count).transpose()?,
                payout_cap_cents: self.payout_cap_cents,
                min_winning_days: self.min_winning_days.map(count).transpose()?,
                winning_day_min_profit_cents: self.winning_day_min_profit_cents,
                max_best_day_share: self.max_best_day_share,
            },
        })
    }
}

/// A query of tiers: what stands behind the columns, and the values.
macro_rules! query_tiers {
    ($behind:literal, $($value:expr),+ $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: _", name, starting_balance_cents, profit_split AS "profit_split: _",
                max_drawdown AS "max_drawdown: _", max_risk_per_trade AS "max_risk_per_trade: _", min_trades,
                drawdown_kind AS "drawdown_kind: _", daily_loss_limit_cents, daily_reset_zone AS "daily_reset_zone: _",
                payout_cycle_days, payout_cap_cents, min_winning_days, winning_day_min_profit_cents,
                max_best_day_share AS "max_best_day_share: _" FROM tiers "# + $behind,
            $($value),+
        )
    };
}

/// A tier.
pub(crate) async fn find(connection: &mut PgConnection, id: &TierId) -> Result<Option<Tier>, Error> {
    let row = query_tiers!("WHERE id = $1", id as _);
    let row = row.fetch_optional(connection).await?;
    Ok(row.map(Row::into_tier).transpose()?)
}

/// The tiers of a page, by their ids, with the one behind it.
pub(super) async fn list(
    connection: &mut PgConnection,
    page: &PageRequest<TierList>,
) -> Result<Vec<Tier>, Error> {
    let rows = query_tiers!(
        "WHERE id > $1 ORDER BY id LIMIT $2",
        page.after.as_ref().map_or("", TierId::as_str),
        page.rows(),
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows.into_iter().map(Row::into_tier).collect::<Result<_, _>>()?)
}

/// Makes the tier, or gives it other numbers; whether it is new.
pub(super) async fn put(
    connection: &mut PgConnection,
    tier: &Tier,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let numbers = &tier.assessment;
    let is_new = sqlx::query_scalar!(
        r#"INSERT INTO tiers (id, name, starting_balance_cents, profit_split, max_drawdown, max_risk_per_trade, min_trades,
               drawdown_kind, daily_loss_limit_cents, daily_reset_zone, payout_cycle_days, payout_cap_cents, min_winning_days,
               winning_day_min_profit_cents, max_best_day_share, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
           ON CONFLICT (id) DO UPDATE SET name = $2, starting_balance_cents = $3, profit_split = $4, max_drawdown = $5,
               max_risk_per_trade = $6, min_trades = $7, drawdown_kind = $8, daily_loss_limit_cents = $9,
               daily_reset_zone = $10, payout_cycle_days = $11, payout_cap_cents = $12, min_winning_days = $13,
               winning_day_min_profit_cents = $14, max_best_day_share = $15, updated_at = $16
           RETURNING (xmax = 0) AS "is_new!""#,
        &tier.id as _,
        tier.name,
        numbers.starting_balance_cents,
        tier.profit_split as _,
        numbers.max_drawdown as _,
        numbers.max_risk_per_trade as _,
        i64::from(numbers.min_trades),
        numbers.drawdown_kind as _,
        numbers.daily_loss_limit_cents,
        numbers.daily_reset_zone as _,
        numbers.payout_cycle_days.map(i64::from),
        numbers.payout_cap_cents,
        numbers.min_winning_days.map(i64::from),
        numbers.winning_day_min_profit_cents,
        numbers.max_best_day_share as _,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(is_new)
}
