//! How far users of the broker have come on their way to an open account.

use chrono::{DateTime, Utc};
use domain::ids::{
    DriveWealthAccountId, DriveWealthAccountNo, DriveWealthPortfolioId, DriveWealthUserId, ProfileId,
    TradingAccountId,
};
use domain::trading::kyc::status::KycStatus;
use providers::drivewealth::{BrokerAccount, BrokerDocument, BrokerUser};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;

/// A user, and how far they have come.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) profile_id: ProfileId,
    /// The newest state of the check.
    pub(super) kyc_status: Option<KycStatus>,
    /// Whether something is left to do.
    pub(super) is_under_way: bool,
    pub(super) account_id: Option<DriveWealthAccountId>,
    /// When the account was recorded.
    pub(super) account_since: Option<DateTime<Utc>>,
    pub(super) portfolio_id: Option<DriveWealthPortfolioId>,
    /// Whether the account is known to follow the portfolio.
    pub(super) is_assigned: bool,
}

/// How far a user has come; none for one that isn't ours.
pub(super) async fn progress(
    connection: &mut PgConnection,
    user: &DriveWealthUserId,
) -> Result<Option<Progress>, Error> {
    let progress = sqlx::query_as!(
        Progress,
        r#"SELECT drivewealth_users.profile_id AS "profile_id: _",
                  (SELECT status FROM kyc_statuses WHERE kyc_statuses.profile_id = drivewealth_users.profile_id
                   ORDER BY as_of DESC, id DESC LIMIT 1) AS "kyc_status: _",
                  next_step_at IS NOT NULL AS "is_under_way!",
                  drivewealth_accounts.ref_id AS "account_id?: _",
                  drivewealth_accounts.created_at AS "account_since?",
                  drivewealth_portfolios.ref_id AS "portfolio_id?: _",
                  COALESCE(drivewealth_portfolios.is_assigned, false) AS "is_assigned!"
           FROM drivewealth_users
           LEFT JOIN drivewealth_accounts ON drivewealth_accounts.drivewealth_user_id = drivewealth_users.ref_id
           LEFT JOIN drivewealth_portfolios
             ON drivewealth_portfolios.drivewealth_account_id = drivewealth_accounts.ref_id
           WHERE drivewealth_users.ref_id = $1 ORDER BY drivewealth_accounts.ref_id LIMIT 1"#,
        user as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(progress)
}

/// Saves what the broker says of the user.
pub(super) async fn save_user(connection: &mut PgConnection, user: &BrokerUser) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE drivewealth_users SET status = $2 WHERE ref_id = $1",
        &user.id as _,
        user.status,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Says when the way goes on at the latest; none when nothing is left to do.
pub(super) async fn set_next_step(
    connection: &mut PgConnection,
    user: &DriveWealthUserId,
    at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE drivewealth_users SET next_step_at = $2 WHERE ref_id = $1",
        user as _,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Claims the user whose next step is due for the longest time, and puts the one after it off to `next_at`.
pub(super) async fn claim_due(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    next_at: DateTime<Utc>,
) -> Result<Option<DriveWealthUserId>, Error> {
    let claimed = sqlx::query_scalar!(
        r#"UPDATE drivewealth_users SET next_step_at = $2
           WHERE ref_id = (SELECT ref_id FROM drivewealth_users WHERE next_step_at <= $1
                           ORDER BY next_step_at, ref_id LIMIT 1 FOR UPDATE SKIP LOCKED)
           RETURNING ref_id AS "ref_id: DriveWealthUserId""#,
        now,
        next_at,
    )
    .fetch_optional(connection)
    .await?;
    Ok(claimed)
}

/// Writes down an account of the broker with the trading account over it, unless both are known.
pub(super) async fn insert_account(
    connection: &mut PgConnection,
    profile: ProfileId,
    user: &DriveWealthUserId,
    account: &BrokerAccount,
    account_no: &DriveWealthAccountNo,
    name: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO trading_accounts (profile_id, name, created_at) VALUES ($1, $2, $3) \
         ON CONFLICT (profile_id) DO NOTHING",
        profile as _,
        name,
        now,
    )
    .execute(&mut *connection)
    .await?;
    let trading_account = sqlx::query_scalar!(
        r#"SELECT id AS "id: TradingAccountId" FROM trading_accounts WHERE profile_id = $1"#,
        profile as _,
    )
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO drivewealth_accounts (ref_id, drivewealth_user_id, trading_account_id, account_no, status, \
             status_updated_at, raw_data, created_at) \
         VALUES ($1, $2, $3, $4, $7, $8, $5, $6) ON CONFLICT DO NOTHING",
        &account.id as _,
        user as _,
        trading_account as _,
        account_no as _,
        Json(&*account.raw) as _,
        now,
        account.status.to_string(),
        account.updated_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes down the portfolio of an account, unless it has one; the one that the account is known to follow is its portfolio.
pub(super) async fn insert_portfolio(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
    portfolio: &DriveWealthPortfolioId,
    is_assigned: bool,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO drivewealth_portfolios (ref_id, drivewealth_account_id, is_assigned, created_at) \
         VALUES ($2, $1, $3, $4) ON CONFLICT (drivewealth_account_id) DO UPDATE SET \
             ref_id = CASE WHEN EXCLUDED.is_assigned THEN EXCLUDED.ref_id ELSE drivewealth_portfolios.ref_id END, \
             is_assigned = drivewealth_portfolios.is_assigned OR EXCLUDED.is_assigned",
        account as _,
        portfolio as _,
        is_assigned,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The account follows its portfolio.
pub(super) async fn set_assigned(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE drivewealth_portfolios SET is_assigned = true WHERE drivewealth_account_id = $1",
        account as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Saves the broker's verdicts on documents of ours.
pub(super) async fn save_documents(
    connection: &mut PgConnection,
    documents: &[BrokerDocument],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ids: Vec<String> = documents.iter().map(|document| document.id.clone()).collect();
    let statuses: Vec<String> = documents.iter().map(|document| document.status.clone()).collect();
    sqlx::query!(
        "UPDATE kyc_documents SET status = reported.status, updated_at = $3 \
         FROM UNNEST($1::TEXT[], $2::TEXT[]) AS reported (ref_id, status) \
         WHERE kyc_documents.ref_id = reported.ref_id AND kyc_documents.status <> reported.status",
        &ids,
        &statuses,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the profile has documents at the broker.
pub(super) async fn has_documents(connection: &mut PgConnection, profile: ProfileId) -> Result<bool, Error> {
    let has = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM kyc_documents WHERE profile_id = $1 AND ref_id IS NOT NULL) AS "has!""#,
        profile as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(has)
}
