//! Counters of calls by profile, kind and day.

use chrono::NaiveDate;
use domain::ids::ProfileId;
use sqlx::PgConnection;

use crate::Error;

/// Counts one more on this day; `false` when there were `limit` already.
pub(super) async fn count(
    connection: &mut PgConnection,
    profile: ProfileId,
    kind: &str,
    day: NaiveDate,
    limit: i32,
) -> Result<bool, Error> {
    let counted = sqlx::query!(
        "INSERT INTO paid_calls (profile_id, kind, day, calls) VALUES ($1, $2, $3, 1) \
         ON CONFLICT (profile_id, kind) DO UPDATE SET day = EXCLUDED.day, \
             calls = CASE WHEN paid_calls.day = EXCLUDED.day THEN paid_calls.calls + 1 ELSE 1 END \
         WHERE paid_calls.day <> EXCLUDED.day OR paid_calls.calls < $4",
        profile as _,
        kind,
        day,
        limit,
    )
    .execute(connection)
    .await?;
    Ok(counted.rows_affected() == 1)
}
