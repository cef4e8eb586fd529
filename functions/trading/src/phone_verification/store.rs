//! Codes that were sent to phones.

use chrono::{DateTime, Utc};
use domain::ids::{PhoneVerificationId, ProfileId};
use domain::trading::kyc::phone::SentCode;
use sqlx::PgConnection;

use crate::Error;

/// When codes were sent to a profile.
#[derive(Debug)]
pub(super) struct Recent {
    pub(super) last: Option<DateTime<Utc>>,
    /// The one so many codes ago, where it is within the window.
    pub(super) oldest: Option<DateTime<Utc>>,
}

/// When codes were sent since a time: the last, and the one `count` codes ago.
pub(super) async fn recent(
    connection: &mut PgConnection,
    profile: ProfileId,
    since: DateTime<Utc>,
    count: i64,
) -> Result<Recent, Error> {
    let recent = sqlx::query_as!(
        Recent,
        r#"WITH newest AS (
               SELECT sent_at FROM phone_verifications WHERE profile_id = $1 AND sent_at > $2
               ORDER BY sent_at DESC, id DESC LIMIT $3
           )
           SELECT (SELECT max(sent_at) FROM newest) AS last,
                  CASE WHEN (SELECT count(*) FROM newest) = $3 THEN (SELECT min(sent_at) FROM newest) END AS oldest"#,
        profile as _,
        since,
        count,
    )
    .fetch_one(connection)
    .await?;
    Ok(recent)
}

/// Writes down a code before it is sent.
pub(super) async fn insert(
    connection: &mut PgConnection,
    profile: ProfileId,
    phone_number: &str,
    code_sealed: &[u8],
    now: DateTime<Utc>,
) -> Result<PhoneVerificationId, Error> {
    let id = sqlx::query_scalar!(
        r#"INSERT INTO phone_verifications (profile_id, phone_number, code_sealed, sent_at) VALUES ($1, $2, $3, $4)
           RETURNING id AS "id: PhoneVerificationId""#,
        profile as _,
        phone_number,
        code_sealed,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(id)
}

/// Forgets a code that surely never left.
pub(super) async fn delete(connection: &mut PgConnection, id: PhoneVerificationId) -> Result<(), Error> {
    sqlx::query!("DELETE FROM phone_verifications WHERE id = $1", id as _)
        .execute(connection)
        .await?;
    Ok(())
}

/// The newest code of a number, with its lock.
#[derive(Debug)]
pub(super) struct LockedCode {
    pub(super) id: PhoneVerificationId,
    pub(super) code_sealed: Vec<u8>,
    pub(super) sent: SentCode,
}

/// Locks the newest code that was sent to the profile's number.
pub(super) async fn lock_newest(
    connection: &mut PgConnection,
    profile: ProfileId,
    phone_number: &str,
) -> Result<Option<LockedCode>, Error> {
    let row = sqlx::query!(
        r#"SELECT id AS "id: PhoneVerificationId", code_sealed, tries, sent_at, verified_at FROM phone_verifications
           WHERE profile_id = $1 AND phone_number = $2 ORDER BY sent_at DESC, id DESC LIMIT 1 FOR UPDATE"#,
        profile as _,
        phone_number,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| LockedCode {
        id: row.id,
        code_sealed: row.code_sealed,
        sent: SentCode {
            sent_at: row.sent_at,
            tries: row.tries,
            is_used: row.verified_at.is_some(),
        },
    }))
}

/// Counts a wrong try.
pub(super) async fn count_try(connection: &mut PgConnection, id: PhoneVerificationId) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE phone_verifications SET tries = tries + 1 WHERE id = $1",
        id as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The number is proved.
pub(super) async fn set_verified(
    connection: &mut PgConnection,
    id: PhoneVerificationId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE phone_verifications SET verified_at = $2 WHERE id = $1",
        id as _,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}
