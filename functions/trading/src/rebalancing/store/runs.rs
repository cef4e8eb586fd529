//! `drivewealth_autopilot_runs` and `drivewealth_funds`.

use chrono::{DateTime, Utc};
use domain::ids::{
    AutopilotRunId, CollectionId, CollectionVersionId, DriveWealthAccountId, DriveWealthFundId,
    DriveWealthRunId, ProfileId,
};
use domain::trading::collection::run::RunState;
use providers::drivewealth::Run;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::super::targets::{KeptOrder, KeptTargets};
use crate::Error;
use crate::events::AccountDue;

/// A run that hasn't ended.
#[derive(Debug)]
pub(crate) struct RunRow {
    pub(crate) id: AutopilotRunId,
    /// The broker's id, once it has made the run.
    pub(crate) ref_id: Option<DriveWealthRunId>,
    /// As the broker wrote it last.
    pub(crate) status: String,
    pub(crate) targets: KeptTargets,
    /// When the broker came to be asked for it; its targets were set before.
    pub(crate) creation_asked_at: Option<DateTime<Utc>>,
    /// What a person has found that it came to.
    pub(crate) ruling: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

/// A run to be written.
#[derive(Debug)]
pub(crate) struct NewRun<'a> {
    pub(crate) drivewealth_account_id: &'a DriveWealthAccountId,
    pub(crate) version_id: CollectionVersionId,
    pub(crate) targets: &'a KeptTargets,
}

/// Writes a planned run.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    run: &NewRun<'_>,
    now: DateTime<Utc>,
) -> Result<RunRow, Error> {
    let id = sqlx::query_scalar!(
        r#"INSERT INTO drivewealth_autopilot_runs
             (drivewealth_account_id, trading_collection_version_id, targets, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $4) RETURNING id AS "id: AutopilotRunId""#,
        run.drivewealth_account_id as _,
        run.version_id as _,
        Json(run.targets) as _,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(RunRow {
        id,
        ref_id: None,
        status: String::new(),
        targets: run.targets.clone(),
        creation_asked_at: None,
        ruling: None,
        created_at: now,
    })
}

/// The account's run that hasn't ended; there is at most one.
pub(crate) async fn under_way(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
) -> Result<Option<RunRow>, Error> {
    let row = sqlx::query!(
        r#"SELECT id AS "id: AutopilotRunId", ref_id AS "ref_id: DriveWealthRunId", status,
                  targets AS "targets: Json<KeptTargets>", creation_asked_at, ruling, created_at
           FROM drivewealth_autopilot_runs WHERE drivewealth_account_id = $1 AND ended_at IS NULL"#,
        account as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| RunRow {
        id: row.id,
        ref_id: row.ref_id,
        status: row.status,
        targets: row.targets.0,
        creation_asked_at: row.creation_asked_at,
        ruling: row.ruling,
        created_at: row.created_at,
    }))
}

/// Counts an attempt to push the run, before it is made; gives its number.
pub(crate) async fn begin_attempt(
    connection: &mut PgConnection,
    run: AutopilotRunId,
    now: DateTime<Utc>,
) -> Result<i32, Error> {
    let attempts = sqlx::query_scalar!(
        "UPDATE drivewealth_autopilot_runs SET attempts = attempts + 1, updated_at = $2 WHERE id = $1 RETURNING attempts",
        run as _,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(attempts)
}

/// The run's targets are set, and the broker is about to be asked for it.
pub(crate) async fn set_creation_asked(
    connection: &mut PgConnection,
    run: AutopilotRunId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE drivewealth_autopilot_runs SET creation_asked_at = $2, updated_at = $2 WHERE id = $1",
        run as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The broker has made the run.
pub(crate) async fn open(
    connection: &mut PgConnection,
    run: AutopilotRunId,
    created: &Run,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE drivewealth_autopilot_runs SET state = 'open', ref_id = $2, status = $3, polled_at = $4, updated_at = $4 \
         WHERE id = $1 AND state = 'planned'",
        run as _,
        &created.id as _,
        created.status,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes where the run is.
pub(crate) async fn note(
    connection: &mut PgConnection,
    run: AutopilotRunId,
    status: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE drivewealth_autopilot_runs SET status = $2, updated_at = $3 WHERE id = $1 AND ended_at IS NULL",
        run as _,
        status,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that the run has no end; says whether that is new.
pub(crate) async fn set_overdue(
    connection: &mut PgConnection,
    run: AutopilotRunId,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let set = sqlx::query!(
        "UPDATE drivewealth_autopilot_runs SET overdue_at = $2 \
         WHERE id = $1 AND overdue_at IS NULL AND ended_at IS NULL",
        run as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(set.rows_affected() == 1)
}

/// Notes what a person has found that an overdue run came to; gives its account, or `None` when it isn't overdue any more.
pub(crate) async fn set_ruling(
    connection: &mut PgConnection,
    run: AutopilotRunId,
    ruling: &str,
    now: DateTime<Utc>,
) -> Result<Option<AccountDue>, Error> {
    let due = sqlx::query_as!(
        AccountDue,
        r#"UPDATE drivewealth_autopilot_runs AS run SET ruling = $2, updated_at = $3
           FROM drivewealth_accounts AS account
           JOIN trading_accounts ON trading_accounts.id = account.trading_account_id
           WHERE run.id = $1 AND run.ended_at IS NULL AND run.overdue_at IS NOT NULL
             AND account.ref_id = run.drivewealth_account_id
           RETURNING run.drivewealth_account_id AS "drivewealth_account_id: _",
                     trading_accounts.id AS "trading_account_id: _", trading_accounts.profile_id AS "profile_id: _""#,
        run as _,
        ruling,
        now,
    )
    .fetch_optional(connection)
    .await?;
    Ok(due)
}

/// Ends the run; says whether it hadn't ended before.
pub(crate) async fn end(
    connection: &mut PgConnection,
    run: AutopilotRunId,
    state: RunState,
    status: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let state = match state {
        RunState::Succeeded => "succeeded",
        RunState::NothingToTrade => "nothing_to_trade",
        RunState::Failed | RunState::Open | RunState::Unrecognised => "failed",
    };
    let ended = sqlx::query!(
        "UPDATE drivewealth_autopilot_runs SET state = $2, status = $3, ended_at = $4, updated_at = $4 \
         WHERE id = $1 AND ended_at IS NULL",
        run as _,
        state,
        status,
        now,
    )
    .execute(connection)
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// The accounts whose run hasn't ended and wasn't asked about since `before`; they count as asked about now.
pub(crate) async fn take_to_poll(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<AccountDue>, Error> {
    let due = sqlx::query_as!(
        AccountDue,
        r#"UPDATE drivewealth_autopilot_runs AS run SET polled_at = $2
           FROM drivewealth_accounts AS account
           JOIN trading_accounts ON trading_accounts.id = account.trading_account_id
           WHERE run.ended_at IS NULL AND COALESCE(run.polled_at, run.created_at) <= $1
             AND account.ref_id = run.drivewealth_account_id
           RETURNING run.drivewealth_account_id AS "drivewealth_account_id: _",
                     trading_accounts.id AS "trading_account_id: _", trading_accounts.profile_id AS "profile_id: _""#,
        before,
        now,
    )
    .fetch_all(connection)
    .await?;
    Ok(due)
}

/// The broker's fund of a profile and collection.
pub(crate) async fn find_fund(
    connection: &mut PgConnection,
    profile: ProfileId,
    collection: CollectionId,
) -> Result<Option<DriveWealthFundId>, Error> {
    crate::collection_version::store::find_fund(connection, profile, collection).await
}

/// Writes down a fund that the broker has.
pub(crate) async fn insert_fund(
    connection: &mut PgConnection,
    profile: ProfileId,
    order: &KeptOrder,
    fund: &DriveWealthFundId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO drivewealth_funds (ref_id, profile_id, collection_id, trading_collection_version_id, created_at) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        fund as _,
        profile as _,
        order.collection_id as _,
        order.version_id as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
