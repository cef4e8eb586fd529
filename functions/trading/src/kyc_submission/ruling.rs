//! What a person has ruled about a submission whose answer stayed missing.

use chrono::{DateTime, Utc};
use domain::ids::{DriveWealthUserId, ProfileId};
use providers::drivewealth::BrokerUser;
use sqlx::PgConnection;

use super::store;
use crate::{Error, profile};

/// What the broker was found to have.
#[derive(Debug)]
pub(crate) enum Ruling {
    /// No user of the person: the form is submitted anew.
    NotMade,
    /// This one.
    IsUser(DriveWealthUserId),
}

/// What a ruling came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruled {
    /// It is applied; the reconciler goes on from there.
    Applied,
    /// The submission doesn't wait for a person any more.
    NotParked,
    /// The user is somebody else's.
    UserOfAnother,
}

/// Applies a ruling. The broker is asked behind it, by the reconciler.
pub(crate) async fn rule(
    connection: &mut PgConnection,
    profile: ProfileId,
    ruling: &Ruling,
    now: DateTime<Utc>,
) -> Result<Ruled, Error> {
    profile::store::lock(connection, profile).await?;
    let last = store::last(connection, profile).await?;
    if last.is_none_or(|last| last.state != "parked") {
        return Ok(Ruled::NotParked);
    }
    match ruling {
        Ruling::NotMade => store::intend_parked_anew(connection, profile, now).await?,
        Ruling::IsUser(id) => {
            let owner = store::owner_of(connection, id).await?;
            if owner.is_some_and(|owner| owner != profile) {
                return Ok(Ruled::UserOfAnother);
            }
            let user = BrokerUser {
                id: id.clone(),
                status: "PENDING".to_owned(),
            };
            store::save_user(connection, profile, &user, now).await?;
            store::end_parked(connection, profile).await?;
        }
    }
    Ok(Ruled::Applied)
}
