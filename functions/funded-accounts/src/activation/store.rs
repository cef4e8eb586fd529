//! `traders`, `assessments`, and the beginnings of `funded_accounts`.

use chrono::{DateTime, Utc};
use domain::funded::live::Live;
use domain::funded::thresholds::Thresholds;
use domain::ids::{AssessmentId, FundedAccountId, TierId};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::message::{Assessment, AssessmentCompleted};
use crate::Error;
use crate::events::{self, Activated, Owner};
use crate::tier::store::Tier;

/// An account that is being made.
pub(super) struct Account {
    pub(super) id: FundedAccountId,
    pub(super) thresholds: Json<Thresholds>,
    pub(super) is_activated: bool,
    pub(super) opened_at: DateTime<Utc>,
}

/// How an assessment has ended, by what was told of it last.
pub(super) struct Newest {
    pub(super) tier_id: TierId,
    pub(super) is_passed: bool,
}

/// Records who somebody is, unless something newer is known.
pub(super) async fn record_trader(
    connection: &mut PgConnection,
    message: &AssessmentCompleted,
    as_of: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO traders (user_id, profile_id, email, first_name, last_name, country, as_of) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (user_id) DO UPDATE SET profile_id = COALESCE($2, traders.profile_id), email = $3, first_name = $4, \
             last_name = $5, country = $6, as_of = $7 WHERE traders.as_of <= $7",
        message.user_id as _,
        message.profile_id as _,
        message.email,
        message.first_name,
        message.last_name,
        message.country,
        as_of,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records how an assessment ended, unless something newer is known; gives the newest, and none of another trader's.
pub(super) async fn record_assessment(
    connection: &mut PgConnection,
    assessment: &Assessment,
) -> Result<Option<Newest>, Error> {
    sqlx::query!(
        "INSERT INTO assessments (id, user_id, tier_id, status, completed_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (id) DO UPDATE SET status = $4, tier_id = $3, completed_at = $5 \
         WHERE assessments.user_id = $2 AND assessments.completed_at < $5",
        &assessment.id as _,
        assessment.user_id as _,
        &assessment.tier_id as _,
        assessment.status,
        assessment.completed_at,
    )
    .execute(&mut *connection)
    .await?;
    let newest = sqlx::query_as!(
        Newest,
        r#"SELECT tier_id AS "tier_id: _", (status = 'passed') AS "is_passed!" FROM assessments WHERE id = $1 AND user_id = $2"#,
        &assessment.id as _,
        assessment.user_id as _,
    );
    Ok(newest.fetch_optional(connection).await?)
}

/// Whether the assessment has its account.
pub(super) async fn is_activated(connection: &mut PgConnection, id: &AssessmentId) -> Result<bool, Error> {
    let account = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM funded_accounts WHERE assessment_id = $1 AND activated_at IS NOT NULL) AS "is_there!""#,
        id as _,
    );
    Ok(account.fetch_one(connection).await?)
}

/// Writes the account and its record, unless they are there.
pub(super) async fn insert(
    connection: &mut PgConnection,
    assessment: &Assessment,
    tier: &Tier,
    thresholds: &Thresholds,
    live: &Live,
) -> Result<(), Error> {
    sqlx::query!(
        "WITH account AS ( \
             INSERT INTO funded_accounts (user_id, assessment_id, tier_id, profit_split, rules, status) \
             VALUES ($1, $2, $3, $4, $5, 'active') ON CONFLICT (assessment_id) DO NOTHING RETURNING id) \
         INSERT INTO funded_virtual_accounts (funded_account_id, starting_balance_cents, current_balance_cents, \
             peak_balance_cents, realized_pnl_cents, unrealized_pnl_cents, live_version, evaluations, updated_at) \
         SELECT id, $6, $6, $6, 0, 0, 0, $7, $8 FROM account",
        assessment.user_id as _,
        &assessment.id as _,
        &tier.id as _,
        tier.profit_split as _,
        Json(thresholds) as _,
        thresholds.starting_balance_cents,
        Json(&live.evaluations) as _,
        live.state.at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The account of an assessment, announced or not.
pub(super) async fn find(connection: &mut PgConnection, id: &AssessmentId) -> Result<Option<Account>, Error> {
    let account = sqlx::query_as!(
        Account,
        r#"SELECT account.id AS "id: _", rules AS "thresholds: _",
            (activated_at IS NOT NULL) AS "is_activated!", updated_at AS opened_at
         FROM funded_accounts AS account JOIN funded_virtual_accounts ON funded_account_id = account.id
         WHERE assessment_id = $1"#,
        id as _,
    );
    Ok(account.fetch_optional(connection).await?)
}

/// Deletes an account that isn't announced, with its record.
pub(super) async fn delete(connection: &mut PgConnection, id: FundedAccountId) -> Result<(), Error> {
    sqlx::query!(
        "DELETE FROM funded_accounts WHERE id = $1 AND activated_at IS NULL",
        id as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Shows the account and tells of it, once.
pub(super) async fn announce(
    connection: &mut PgConnection,
    assessment: &Assessment,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let activated = sqlx::query!(
        r#"UPDATE funded_accounts SET activated_at = $2 WHERE assessment_id = $1 AND activated_at IS NULL
           RETURNING id AS "id: FundedAccountId", tier_id AS "tier_id: TierId",
               (rules ->> 'starting_balance_cents')::BIGINT AS "starting_balance_cents!""#,
        &assessment.id as _,
        now,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(account) = activated else {
        return Ok(());
    };
    let activated = Activated {
        owner: Owner {
            funded_account_id: account.id,
            user_id: assessment.user_id,
            profile_id: assessment.profile_id,
        },
        assessment_id: assessment.id.clone(),
        tier_id: account.tier_id,
        starting_balance_cents: account.starting_balance_cents,
        currency: "USD",
        activated_at: now,
    };
    events::publish_activation(connection, &activated).await
}
