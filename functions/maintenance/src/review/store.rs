//! `reviews` and `review_history`, as operators read and decide them.

use chrono::{DateTime, Utc};
use domain::ids::ReviewId;
use domain::review::ReviewState;
use platform::review::{Action, Evidence};
use platform::security::identity::Operator;
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::request::{DecisionRequest, ReviewFilter, Word};
use super::view::{Detail, HistoryView, ReviewReport, ReviewView};
use crate::Error;

/// The reviews before the one of id `before`, newest first.
pub(super) async fn page(
    connection: &mut PgConnection,
    filter: &ReviewFilter,
    before: Option<ReviewId>,
    rows: i64,
) -> Result<Vec<ReviewView>, Error> {
    let reviews = sqlx::query_as!(
        ReviewView,
        r#"SELECT id AS "id: _", area, kind, subject, profile_id, client_id, user_id, dealer_id, summary, seen,
                  state AS "state: _", opened_at, last_seen_at, decided_at, decided_by, decision, reason, refusal,
                  closed_at
           FROM reviews
           WHERE ($1::TEXT IS NULL OR area = $1) AND ($2::TEXT IS NULL OR kind = $2)
             AND ($3::TEXT IS NULL OR state = $3) AND id < COALESCE($4::BIGINT, 9223372036854775807)
           ORDER BY id DESC LIMIT $5"#,
        filter.area.as_ref().map(Word::as_str),
        filter.kind.as_ref().map(Word::as_str),
        filter.state as _,
        before as _,
        rows,
    )
    .fetch_all(connection)
    .await?;
    Ok(reviews)
}

/// A review with its details.
pub(super) async fn find(
    connection: &mut PgConnection,
    review: ReviewId,
) -> Result<Option<(ReviewView, Detail)>, Error> {
    select(connection, review, false).await
}

/// A review under its lock.
pub(super) async fn lock(
    connection: &mut PgConnection,
    review: ReviewId,
) -> Result<Option<(ReviewView, Detail)>, Error> {
    select(connection, review, true).await
}

async fn select(
    connection: &mut PgConnection,
    review: ReviewId,
    is_locked: bool,
) -> Result<Option<(ReviewView, Detail)>, Error> {
    if is_locked {
        sqlx::query!("SELECT id FROM reviews WHERE id = $1 FOR UPDATE", review as _)
            .fetch_optional(&mut *connection)
            .await?;
    }
    let row = sqlx::query!(
        r#"SELECT area, kind, subject, profile_id, client_id, user_id, dealer_id, summary, seen,
                  state AS "state: ReviewState", opened_at, last_seen_at, decided_at, decided_by, decision, reason,
                  refusal, closed_at, evidence AS "evidence: Json<Evidence>", actions AS "actions: Json<Vec<Action>>",
                  parameters AS "parameters: Json<Map<String, Value>>"
           FROM reviews WHERE id = $1"#,
        review as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| {
        let detail = Detail {
            evidence: row.evidence.0,
            actions: row.actions.0,
            parameters: row.parameters.map(|parameters| parameters.0),
        };
        let view = ReviewView {
            id: review,
            area: row.area,
            kind: row.kind,
            subject: row.subject,
            profile_id: row.profile_id,
            client_id: row.client_id,
            user_id: row.user_id,
            dealer_id: row.dealer_id,
            summary: row.summary,
            seen: row.seen,
            state: row.state,
            opened_at: row.opened_at,
            last_seen_at: row.last_seen_at,
            decided_at: row.decided_at,
            decided_by: row.decided_by,
            decision: row.decision,
            reason: row.reason,
            refusal: row.refusal,
            closed_at: row.closed_at,
        };
        (view, detail)
    }))
}

/// What has happened to a review, in its order.
pub(super) async fn history(
    connection: &mut PgConnection,
    review: ReviewId,
) -> Result<Vec<HistoryView>, Error> {
    let history = sqlx::query_as!(
        HistoryView,
        "SELECT at, event, actor, action, parameters, reason FROM review_history WHERE review_id = $1 ORDER BY id",
        review as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(history)
}

/// Records a decision on a review that is locked and open; gives its number.
pub(super) async fn decide(
    connection: &mut PgConnection,
    review: ReviewId,
    operator: &Operator,
    request: &DecisionRequest,
    now: DateTime<Utc>,
) -> Result<i32, Error> {
    let number = sqlx::query_scalar!(
        r#"WITH decided AS (
               UPDATE reviews SET state = 'decided', decisions = decisions + 1, decided_at = $2, decided_by = $3,
                   decision = $4, parameters = $5, reason = $6, refusal = NULL
               WHERE id = $1 RETURNING id, decisions
           ), told AS (
               INSERT INTO review_history (review_id, at, event, actor, action, parameters, reason)
               SELECT id, $2, 'decided', $3, $4, $5, $6 FROM decided
           )
           SELECT decisions AS "decisions!" FROM decided"#,
        review as _,
        now,
        operator.as_str(),
        request.action,
        Json(&request.parameters) as _,
        request.reason,
    )
    .fetch_one(connection)
    .await?;
    Ok(number)
}

/// How many reviews are open, and since when the oldest decision waits.
pub(super) async fn waiting(connection: &mut PgConnection) -> Result<ReviewReport, Error> {
    let waiting = sqlx::query_as!(
        ReviewReport,
        r#"SELECT count(*) FILTER (WHERE state = 'open') AS "open!",
                  min(decided_at) FILTER (WHERE state = 'decided') AS oldest_decision_at
           FROM reviews WHERE state IN ('open', 'decided')"#,
    )
    .fetch_one(connection)
    .await?;
    Ok(waiting)
}
