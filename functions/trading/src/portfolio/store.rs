//! Portfolios as DriveWealth has them, with the targets that we set.

use chrono::{DateTime, Utc};
use domain::ids::DriveWealthAccountId;
use domain::trading::portfolio::{Portfolio, Targets};
use providers::drivewealth::PortfolioResponse;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;

/// Saves the account's portfolio with the targets that were set, unless a newer one is known. An account has one; the
/// broker may have made it anew under another id.
pub(crate) async fn upsert_newest(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
    response: &PortfolioResponse,
    portfolio: &Portfolio,
    targets: &Targets,
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
        targets.cash.as_decimal(),
        response.portfolio.cash.actual.round_dp(4),
        portfolio.cash_value().minor(),
        portfolio.equity().minor(),
        as_of,
        Json(&*response.raw) as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}
