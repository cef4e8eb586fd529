//! `trading_collection_versions` while they are carried out.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::ids::{AutopilotRunId, CollectionId, CollectionVersionId, DriveWealthFundId, TradingAccountId};
use domain::trading::collection::symbol::Symbol;
use domain::trading::collection::version::CollectionVersionStatus;
use domain::trading::collection::weights::TargetWeights;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::super::order::{Instruments, PendingOrder};
use crate::Error;
use crate::collection_version::store::delta;
use crate::events::{AccountDue, CollectionVersionEnded};
use crate::instrument::store::tradable;

/// Whether pending versions of the account are due.
pub(crate) async fn has_due(
    connection: &mut PgConnection,
    account: TradingAccountId,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let has_due = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM trading_collection_versions
                          WHERE trading_account_id = $1 AND status = 'pending' AND applies_at <= $2) AS "has_due!""#,
        account as _,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(has_due)
}

/// The accounts with pending versions that are due.
pub(crate) async fn accounts_due(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Vec<AccountDue>, Error> {
    let due = sqlx::query_as!(
        AccountDue,
        r#"SELECT account.ref_id AS "drivewealth_account_id: _", version.trading_account_id AS "trading_account_id: _",
                  version.profile_id AS "profile_id: _"
           FROM (SELECT DISTINCT trading_account_id, profile_id FROM trading_collection_versions
                 WHERE status = 'pending' AND applies_at <= $1) AS version
           JOIN drivewealth_accounts AS account ON account.trading_account_id = version.trading_account_id
           ORDER BY version.trading_account_id"#,
        now,
    )
    .fetch_all(connection)
    .await?;
    Ok(due)
}

/// Locks the account's pending versions that are due, with the weights of each and what of them can be traded.
pub(crate) async fn lock_due(
    connection: &mut PgConnection,
    account: TradingAccountId,
    now: DateTime<Utc>,
) -> Result<(Vec<PendingOrder>, Instruments), Error> {
    // The weights that were last given of the collection up to this version, else those of its model.
    let rows = sqlx::query!(
        r#"SELECT version.id AS "id: CollectionVersionId", version.collection_id AS "collection_id: CollectionId",
                  collections.name AS collection_name, version.target_amount_cents, version.target_percent,
                  version.has_weights, drivewealth_funds.ref_id AS "fund_id?: DriveWealthFundId",
                  COALESCE(given.symbols, model.symbols) AS "symbols!: Vec<Symbol>",
                  COALESCE(given.weights, model.weights) AS "weights!: Vec<Decimal>"
           FROM trading_collection_versions AS version
           JOIN collections ON collections.id = version.collection_id
           LEFT JOIN drivewealth_funds ON drivewealth_funds.profile_id = version.profile_id
             AND drivewealth_funds.collection_id = version.collection_id
           LEFT JOIN LATERAL (
               SELECT array_agg(symbol ORDER BY position) AS symbols, array_agg(target_weight ORDER BY position) AS weights
               FROM trading_collection_contents
               WHERE version_id = (
                   SELECT max(earlier.id) FROM trading_collection_versions AS earlier
                   WHERE earlier.profile_id = version.profile_id AND earlier.collection_id = version.collection_id
                     AND earlier.has_weights AND earlier.id <= version.id
                     AND earlier.status NOT IN ('cancelled', 'failed')
               )
           ) AS given ON true
           LEFT JOIN LATERAL (
               SELECT array_agg(symbol ORDER BY position) AS symbols, array_agg(weight ORDER BY position) AS weights
               FROM collection_weights
               WHERE collection_weights.collection_id = collections.id AND collection_weights.model = collections.model
           ) AS model ON true
           WHERE version.trading_account_id = $1 AND version.status = 'pending' AND version.applies_at <= $2
           ORDER BY version.id FOR UPDATE OF version"#,
        account as _,
        now,
    )
    .fetch_all(&mut *connection)
    .await?;
    let symbols: Vec<String> = rows
        .iter()
        .flat_map(|row| &row.symbols)
        .map(Symbol::to_string)
        .collect();
    let listed = tradable(connection, &symbols).await?;
    let instruments: BTreeMap<_, _> = listed.into_iter().map(|one| (one.symbol, one.id)).collect();
    let orders = rows.into_iter().map(|row| {
        let weights: Vec<(Symbol, Decimal)> = row.symbols.into_iter().zip(row.weights).collect();
        Ok(PendingOrder {
            id: row.id,
            collection_id: row.collection_id,
            collection_name: row.collection_name,
            delta: delta(row.target_amount_cents, row.target_percent)?,
            has_weights: row.has_weights,
            weights: TargetWeights::of_model(&weights, |_| true),
            fund_id: row.fund_id,
        })
    });
    Ok((orders.collect::<Result<_, Error>>()?, instruments))
}

/// Fails pending versions, each with a code, in one statement; they are locked.
pub(crate) async fn fail_pending(
    connection: &mut PgConnection,
    failed: &[(CollectionVersionId, String)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ids: Vec<i64> = failed.iter().map(|(id, _)| id.get()).collect();
    let codes: Vec<String> = failed.iter().map(|(_, code)| code.clone()).collect();
    sqlx::query!(
        "UPDATE trading_collection_versions AS version \
         SET status = 'failed', failure_code = given.code, settled_at = $3, updated_at = $3 \
         FROM unnest($1::BIGINT[], $2::TEXT[]) AS given (id, code) \
         WHERE version.id = given.id AND version.status = 'pending'",
        &ids,
        &codes,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Lets a run carry out pending versions, each with the cents that it moves, in one statement; they are locked.
pub(crate) async fn execute(
    connection: &mut PgConnection,
    run: AutopilotRunId,
    versions: &[(CollectionVersionId, i64)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ids: Vec<i64> = versions.iter().map(|(id, _)| id.get()).collect();
    let amounts: Vec<i64> = versions.iter().map(|(_, amount)| *amount).collect();
    sqlx::query!(
        "UPDATE trading_collection_versions AS version \
         SET status = 'executing', run_id = $1, planned_amount_cents = given.amount, updated_at = $4 \
         FROM unnest($2::BIGINT[], $3::BIGINT[]) AS given (id, amount) \
         WHERE version.id = given.id AND version.status = 'pending'",
        run as _,
        &ids,
        &amounts,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A version that a run carries out.
#[derive(Debug)]
pub(crate) struct Executing {
    pub(crate) id: CollectionVersionId,
    pub(crate) collection_id: CollectionId,
    pub(crate) status: CollectionVersionStatus,
    pub(crate) planned_amount_cents: i64,
}

/// The versions of a run.
pub(crate) async fn executing(
    connection: &mut PgConnection,
    run: AutopilotRunId,
) -> Result<Vec<Executing>, Error> {
    let versions = sqlx::query_as!(
        Executing,
        r#"SELECT id AS "id: _", collection_id AS "collection_id: _", status AS "status: _",
                  planned_amount_cents AS "planned_amount_cents!"
           FROM trading_collection_versions WHERE run_id = $1 ORDER BY id"#,
        run as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(versions)
}

/// Ends the versions of a run, in one statement.
pub(crate) async fn end(
    connection: &mut PgConnection,
    run: AutopilotRunId,
    ended: &[CollectionVersionEnded],
    failure_reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ids: Vec<i64> = ended
        .iter()
        .map(|version| version.collection_version_id.get())
        .collect();
    let amounts: Vec<Option<i64>> = ended.iter().map(|version| version.actual_amount_cents).collect();
    let codes: Vec<Option<String>> = ended.iter().map(|version| version.reason.clone()).collect();
    sqlx::query!(
        "UPDATE trading_collection_versions AS version \
         SET status = CASE WHEN given.code IS NULL THEN 'complete' ELSE 'failed' END, \
             actual_amount_cents = given.amount, failure_code = given.code, failure_reason = $5, \
             settled_at = $6, updated_at = $6 \
         FROM unnest($2::BIGINT[], $3::BIGINT[], $4::TEXT[]) AS given (id, amount, code) \
         WHERE version.id = given.id AND version.run_id = $1 AND version.status = 'executing'",
        run as _,
        &ids,
        &amounts as _,
        &codes as _,
        failure_reason,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
