//! `reviews` and `review_history`, as areas write them.

use chrono::{DateTime, Utc};
use domain::ids::ReviewId;
use domain::review::ReviewState;
use serde_json::Value;
use sqlx::PgConnection;

use super::decision::Decision;
use super::new::NewReview;
use crate::error::PlatformError;

/// A review that was opened just now.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) id: ReviewId,
    pub(super) area: String,
    pub(super) kind: String,
}

/// Opens the reviews, or counts those that wait already, in one statement; gives those that are new.
pub(super) async fn open_all(
    connection: &mut PgConnection,
    reviews: &[NewReview],
    now: DateTime<Utc>,
) -> Result<Vec<Opened>, PlatformError> {
    let texts = |text: fn(&NewReview) -> &str| -> Vec<String> {
        reviews.iter().map(|review| text(review).to_owned()).collect()
    };
    let ids = |id: fn(&NewReview) -> Option<i64>| -> Vec<Option<i64>> { reviews.iter().map(id).collect() };
    let evidence: Vec<Value> = reviews
        .iter()
        .map(|review| serde_json::to_value(&review.evidence))
        .collect::<Result<_, _>>()?;
    let actions: Vec<Value> = reviews
        .iter()
        .map(|review| serde_json::to_value(review.actions))
        .collect::<Result<_, _>>()?;
    let opened = sqlx::query_as!(
        Opened,
        r#"WITH opened AS (
               INSERT INTO reviews (area, kind, subject, profile_id, client_id, user_id, dealer_id, summary, evidence,
                   actions, opened_at, last_seen_at)
               SELECT area, kind, subject, profile_id, client_id, user_id, dealer_id, summary, evidence, actions, $11, $11
               FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[], $7::BIGINT[],
                           $8::TEXT[], $9::JSONB[], $10::JSONB[])
                    AS new (area, kind, subject, profile_id, client_id, user_id, dealer_id, summary, evidence, actions)
               ORDER BY area, kind, subject
               ON CONFLICT (area, kind, subject) WHERE state IN ('open', 'decided') DO UPDATE SET
                   seen = reviews.seen + 1, last_seen_at = greatest(reviews.last_seen_at, excluded.last_seen_at),
                   summary = excluded.summary, evidence = excluded.evidence, actions = excluded.actions
               RETURNING id, area, kind, seen = 1 AS is_new
           ), told AS (
               INSERT INTO review_history (review_id, at, event) SELECT id, $11, 'opened' FROM opened WHERE is_new
           )
           SELECT id AS "id: _", area, kind FROM opened WHERE is_new"#,
        &texts(|review| review.area),
        &texts(|review| review.kind),
        &texts(|review| &review.subject),
        &ids(|review| review.about.profile.map(Into::into)) as _,
        &ids(|review| review.about.client.map(Into::into)) as _,
        &ids(|review| review.about.user.map(Into::into)) as _,
        &ids(|review| review.about.dealer) as _,
        &texts(|review| &review.summary),
        &evidence,
        &actions,
        now,
    )
    .fetch_all(connection)
    .await?;
    Ok(opened)
}

/// Closes the open reviews of these subjects; gives how many there were.
pub(super) async fn settle(
    connection: &mut PgConnection,
    area: &str,
    kind: &str,
    subjects: &[String],
    reason: &str,
    now: DateTime<Utc>,
) -> Result<u64, PlatformError> {
    let settled = sqlx::query!(
        "WITH settled AS ( \
             UPDATE reviews SET state = 'applied', closed_at = $5 \
             WHERE area = $1 AND kind = $2 AND subject = ANY ($3) AND state = 'open' RETURNING id \
         ) \
         INSERT INTO review_history (review_id, at, event, reason) SELECT id, $5, 'settled', $4 FROM settled",
        area,
        kind,
        subjects,
        reason,
        now,
    )
    .execute(connection)
    .await?;
    Ok(settled.rows_affected())
}

/// Whether the decision is the one that counts, and wasn't applied yet.
pub(super) async fn is_to_be_applied(
    connection: &mut PgConnection,
    decision: &Decision,
) -> Result<bool, PlatformError> {
    let waits = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM reviews WHERE id = $1 AND state = 'decided' AND decisions = $2) AS "waits!""#,
        decision.review_id as _,
        decision.number,
    )
    .fetch_one(connection)
    .await?;
    Ok(waits)
}

/// Records what became of the decision; `false` when another function was faster.
pub(super) async fn record_outcome(
    connection: &mut PgConnection,
    decision: &Decision,
    state: ReviewState,
    refusal: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, PlatformError> {
    let event = match state {
        ReviewState::Open => "opened-again",
        other => other.name(),
    };
    let recorded = sqlx::query!(
        "WITH recorded AS ( \
             UPDATE reviews SET state = $3, refusal = $4, closed_at = CASE WHEN $3 = 'open' THEN NULL ELSE $5::TIMESTAMPTZ END \
             WHERE id = $1 AND state = 'decided' AND decisions = $2 RETURNING id \
         ) \
         INSERT INTO review_history (review_id, at, event, action, reason) SELECT id, $5, $6, $7, $4 FROM recorded",
        decision.review_id as _,
        decision.number,
        state as _,
        refusal,
        now,
        event,
        decision.action,
    )
    .execute(connection)
    .await?;
    Ok(recorded.rows_affected() > 0)
}
