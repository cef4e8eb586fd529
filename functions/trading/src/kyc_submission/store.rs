//! Submissions of the form to the broker.

use chrono::{DateTime, Utc};
use domain::ids::{DriveWealthUserId, KycStatusId, ProfileId};
use providers::drivewealth::BrokerUser;
use sqlx::PgConnection;

use crate::Error;

/// The last submission, and the user that the broker has made of one.
#[derive(Debug)]
pub(super) struct LastSubmission {
    pub(super) state: String,
    pub(super) submission: i32,
    pub(super) submitted_at: Option<DateTime<Utc>>,
    pub(super) asked_until: Option<DateTime<Utc>>,
    pub(super) user: Option<DriveWealthUserId>,
}

/// The profile's last submission; none before there is a form.
pub(super) async fn last(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<Option<LastSubmission>, Error> {
    let last = sqlx::query_as!(
        LastSubmission,
        r#"SELECT submission_state AS state, submission, submitted_at, asked_until,
                  drivewealth_users.ref_id AS "user?: _"
           FROM kyc_forms LEFT JOIN drivewealth_users ON drivewealth_users.profile_id = kyc_forms.profile_id
           WHERE kyc_forms.profile_id = $1"#,
        profile as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(last)
}

/// A submission about to be made.
#[derive(Debug)]
pub(super) struct NewSubmission {
    pub(super) submission: i32,
    pub(super) submitted_at: DateTime<Utc>,
    pub(super) status_before: Option<KycStatusId>,
    pub(super) asked_until: DateTime<Utc>,
}

/// Writes a submission down before the broker is asked.
pub(super) async fn intend(
    connection: &mut PgConnection,
    profile: ProfileId,
    new: &NewSubmission,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE kyc_forms SET submission_state = 'intended', submission = $2, submitted_at = $3, status_before = $4, \
             asked_until = $5 \
         WHERE profile_id = $1",
        profile as _,
        new.submission,
        new.submitted_at,
        new.status_before as _,
        new.asked_until,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the right to ask the broker about a submission whose outcome is open.
pub(super) async fn take_lease(
    connection: &mut PgConnection,
    profile: ProfileId,
    asked_until: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE kyc_forms SET asked_until = $2 WHERE profile_id = $1",
        profile as _,
        asked_until,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records what a submission came to; a later submission keeps its own state.
pub(super) async fn set_state(
    connection: &mut PgConnection,
    profile: ProfileId,
    submission: i32,
    state: &str,
    asked_until: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE kyc_forms SET submission_state = $3, asked_until = $4 \
         WHERE profile_id = $1 AND submission = $2 AND submission_state = 'intended'",
        profile as _,
        submission,
        state,
        asked_until,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A submission that waits for a person is made anew, under a number of its own, as soon as somebody looks for open ones.
pub(super) async fn intend_parked_anew(
    connection: &mut PgConnection,
    profile: ProfileId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE kyc_forms SET submission_state = 'intended', submission = submission + 1, submitted_at = $2, \
             asked_until = $2 \
         WHERE profile_id = $1 AND submission_state = 'parked'",
        profile as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The broker has the submission that waited for a person.
pub(super) async fn end_parked(connection: &mut PgConnection, profile: ProfileId) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE kyc_forms SET submission_state = 'sent' WHERE profile_id = $1 AND submission_state = 'parked'",
        profile as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whose the broker's user is, as far as we know.
pub(super) async fn owner_of(
    connection: &mut PgConnection,
    user: &DriveWealthUserId,
) -> Result<Option<ProfileId>, Error> {
    let owner = sqlx::query_scalar!(
        r#"SELECT profile_id AS "profile_id: ProfileId" FROM drivewealth_users WHERE ref_id = $1"#,
        user as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(owner)
}

/// Writes down the user that the broker has made, whose way to an account begins now; gives the one that is known, which is
/// another one if the broker has made two.
pub(super) async fn save_user(
    connection: &mut PgConnection,
    profile: ProfileId,
    user: &BrokerUser,
    now: DateTime<Utc>,
) -> Result<DriveWealthUserId, Error> {
    let known = sqlx::query_scalar!(
        r#"INSERT INTO drivewealth_users (ref_id, profile_id, status, next_step_at, created_at)
           VALUES ($1, $2, $3, $4, $4)
           ON CONFLICT (profile_id) DO UPDATE SET next_step_at = EXCLUDED.next_step_at,
               status = CASE WHEN drivewealth_users.ref_id = EXCLUDED.ref_id THEN EXCLUDED.status
                             ELSE drivewealth_users.status END
           RETURNING ref_id AS "ref_id: DriveWealthUserId""#,
        &user.id as _,
        profile as _,
        user.status,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(known)
}

/// The profile whose submission is open for the longest time, with nobody having asked the broker since a time.
pub(super) async fn next_open(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<Option<ProfileId>, Error> {
    let found = sqlx::query_scalar!(
        r#"SELECT profile_id AS "profile_id: ProfileId" FROM kyc_forms
           WHERE submission_state = 'intended' AND asked_until <= $1
           ORDER BY asked_until, profile_id LIMIT 1"#,
        since,
    )
    .fetch_optional(connection)
    .await?;
    Ok(found)
}
