//! Portfolios as DriveWealth has them, with the targets that we set.

use chrono::{DateTime, Utc};
use domain::ids::{DriveWealthAccountId, DriveWealthPortfolioId};
use domain::trading::portfolio::{BrokerPortfolio, Portfolio};
use providers::drivewealth::{PortfolioResponse, stored_portfolio};
use rust_decimal::Decimal;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;

/// Decimals of a weight.
const WEIGHT_PLACES: u32 = 4;

/// Saves the account's portfolio with the cash's target, unless a newer one is known. An account has one; the broker may
/// have made it anew under another id.
pub(crate) async fn upsert_newest(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
    response: &PortfolioResponse,
    portfolio: &Portfolio,
    cash_target: Decimal,
    as_of: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO drivewealth_portfolios AS known \
         (ref_id, drivewealth_account_id, cash_target, cash_actual, cash_value_cents, equity_cents, as_of, raw_data) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (drivewealth_account_id) DO UPDATE SET ref_id = EXCLUDED.ref_id, \
         cash_target = EXCLUDED.cash_target, cash_actual = EXCLUDED.cash_actual, \
         cash_value_cents = EXCLUDED.cash_value_cents, equity_cents = EXCLUDED.equity_cents, \
         as_of = EXCLUDED.as_of, raw_data = EXCLUDED.raw_data \
         WHERE known.as_of IS NULL OR known.as_of <= EXCLUDED.as_of",
        &response.id as _,
        account as _,
        cash_target.round_dp(WEIGHT_PLACES),
        response.portfolio.cash.actual.round_dp(WEIGHT_PLACES),
        portfolio.cash_value().minor(),
        portfolio.equity().minor(),
        as_of,
        Json(&*response.raw) as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The account's kept portfolio with its time: newer than `since`, and than the last run that has ended.
pub(crate) async fn load_kept(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
    since: DateTime<Utc>,
) -> Result<Option<(DriveWealthPortfolioId, BrokerPortfolio, DateTime<Utc>)>, Error> {
    let row = sqlx::query!(
        r#"SELECT ref_id AS "ref_id: DriveWealthPortfolioId", raw_data AS "raw_data: Json<Box<RawValue>>",
                  as_of AS "as_of!"
           FROM drivewealth_portfolios
           WHERE drivewealth_account_id = $1 AND as_of > $2
             AND NOT EXISTS (SELECT FROM drivewealth_autopilot_runs AS run
                             WHERE run.drivewealth_account_id = $1
                               AND COALESCE(run.ended_at, run.updated_at) >= drivewealth_portfolios.as_of)"#,
        account as _,
        since,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.and_then(|row| {
        // What can't be read any more is as good as none.
        let portfolio = stored_portfolio(&row.raw_data.0).ok()?;
        Some((row.ref_id, portfolio, row.as_of))
    }))
}
