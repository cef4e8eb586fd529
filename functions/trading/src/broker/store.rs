//! The session at DriveWealth that all instances share, sealed at rest.

use chrono::{DateTime, TimeDelta, Utc};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::error::chain;
use platform::security::sealed::DataKey;
use providers::drivewealth::session::{Session, SessionStore};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::Error;

/// The place for which the token is sealed.
const PLACE: &str = "drivewealth_sessions.token";
/// Whoever renews the session has this long for it; then another instance tries.
const RENEWAL_LEASE: TimeDelta = TimeDelta::seconds(10);

/// The session as a row which all instances share.
#[derive(Debug)]
pub(crate) struct SharedSessions {
    database: Database,
    clock: ClockHandle,
    key: DataKey,
    app_key_hash: String,
}

struct SessionRow {
    token_sealed: Option<Vec<u8>>,
    expires_at: Option<DateTime<Utc>>,
    version: i64,
}

impl SharedSessions {
    pub(super) fn new(database: Database, clock: ClockHandle, key: DataKey, app_key: &str) -> Self {
        Self {
            database,
            clock,
            key,
            app_key_hash: hex::encode(Sha256::digest(app_key.as_bytes())),
        }
    }

    async fn try_load(&self) -> Result<(Option<Session>, i64), Error> {
        let row = self
            .database
            .with(async |connection| select(connection, &self.app_key_hash).await)
            .await?;
        let Some(row) = row else { return Ok((None, 0)) };
        Ok((self.opened(&row), row.version))
    }

    /// The session of a row. A token that was sealed with an earlier data key is as good as none.
    fn opened(&self, row: &SessionRow) -> Option<Session> {
        let token = self.key.open(PLACE, row.token_sealed.as_deref()?).ok()?;
        Some(Session {
            token,
            expires_at: row.expires_at?,
            version: row.version,
        })
    }

    async fn try_claim(&self, version: i64) -> Result<bool, Error> {
        let now = self.clock.now();
        self.database
            .with(async |connection| claim_renewal(connection, &self.app_key_hash, version, now).await)
            .await
    }

    async fn try_save(&self, session: &Session) -> Result<(), Error> {
        let sealed = self.key.seal(PLACE, &session.token)?;
        self.database
            .with(async |connection| update(connection, &self.app_key_hash, &sealed, session).await)
            .await
    }
}

impl SessionStore for SharedSessions {
    async fn load(&self) -> Result<(Option<Session>, i64), String> {
        self.try_load().await.map_err(|error| chain(&error))
    }

    async fn claim_renewal(&self, version: i64) -> Result<bool, String> {
        self.try_claim(version).await.map_err(|error| chain(&error))
    }

    async fn save(&self, session: &Session) -> Result<(), String> {
        self.try_save(session).await.map_err(|error| chain(&error))
    }
}

async fn select(connection: &mut PgConnection, app_key_hash: &str) -> Result<Option<SessionRow>, Error> {
    let row = sqlx::query_as!(
        SessionRow,
        "SELECT token_sealed, expires_at, version FROM drivewealth_sessions WHERE app_key_hash = $1",
        app_key_hash,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Tries to become the one who renews the session after `version`.
async fn claim_renewal(
    connection: &mut PgConnection,
    app_key_hash: &str,
    version: i64,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let claimed = sqlx::query!(
        "INSERT INTO drivewealth_sessions AS session (app_key_hash, renewing_until) VALUES ($1, $3) \
         ON CONFLICT (app_key_hash) DO UPDATE SET renewing_until = EXCLUDED.renewing_until \
         WHERE session.version = $2 AND (session.renewing_until IS NULL OR session.renewing_until < $4)",
        app_key_hash,
        version,
        now + RENEWAL_LEASE,
        now,
    )
    .execute(connection)
    .await?;
    Ok(claimed.rows_affected() == 1)
}

/// Stores a renewed session, unless a newer one is stored.
async fn update(
    connection: &mut PgConnection,
    app_key_hash: &str,
    token_sealed: &[u8],
    session: &Session,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE drivewealth_sessions \
         SET token_sealed = $2, expires_at = $3, version = $4, renewing_until = NULL \
         WHERE app_key_hash = $1 AND version < $4",
        app_key_hash,
        token_sealed,
        session.expires_at,
        session.version,
    )
    .execute(connection)
    .await?;
    Ok(())
}
