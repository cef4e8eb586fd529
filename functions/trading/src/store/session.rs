//! The shared session at DriveWealth, sealed at rest.

use std::sync::Arc;

use platform::database::Database;
use platform::error::chain;
use platform::security::sealed::DataKey;
use providers::drivewealth::session::{Session, SessionStore};
use sha2::{Digest, Sha256};

const PLACE: &str = "drivewealth_sessions.token";

/// The session as a row which all instances share.
#[derive(Debug)]
pub(crate) struct SharedSessions {
    database: Arc<Database>,
    key: DataKey,
    app_key_hash: String,
}

impl SharedSessions {
    pub(crate) fn new(database: Arc<Database>, key: DataKey, app_key: &str) -> Self {
        Self {
            database,
            key,
            app_key_hash: hex::encode(Sha256::digest(app_key.as_bytes())),
        }
    }

    async fn try_load(&self) -> Result<(Option<Session>, i64), crate::Error> {
        let row = sqlx::query!(
            "SELECT token_sealed, expires_at, version FROM drivewealth_sessions WHERE app_key_hash = $1",
            self.app_key_hash,
        )
        .fetch_optional(self.database.pool().await?)
        .await?;
        let Some(row) = row else { return Ok((None, 0)) };
        let session = match (row.token_sealed, row.expires_at) {
            (Some(sealed), Some(expires_at)) => {
                // A token sealed with an earlier data key is as good as none.
                self.key.open(PLACE, &sealed).ok().map(|token| Session {
                    token,
                    expires_at,
                    version: row.version,
                })
            }
            _ => None,
        };
        Ok((session, row.version))
    }

    async fn try_claim(&self, version: i64) -> Result<bool, crate::Error> {
        let claimed = sqlx::query!(
            "INSERT INTO drivewealth_sessions AS session (app_key_hash, renewing_until) \
             VALUES ($1, now() + interval '10 seconds') \
             ON CONFLICT (app_key_hash) DO UPDATE SET renewing_until = EXCLUDED.renewing_until \
             WHERE session.version = $2 AND (session.renewing_until IS NULL OR session.renewing_until < now())",
            self.app_key_hash,
            version,
        )
        .execute(self.database.pool().await?)
        .await?;
        Ok(claimed.rows_affected() == 1)
    }

    async fn try_save(&self, session: &Session) -> Result<(), crate::Error> {
        let sealed = self.key.seal(PLACE, &session.token)?;
        sqlx::query!(
            "UPDATE drivewealth_sessions \
             SET token_sealed = $2, expires_at = $3, version = $4, renewing_until = NULL \
             WHERE app_key_hash = $1 AND version < $4",
            self.app_key_hash,
            sealed,
            session.expires_at,
            session.version,
        )
        .execute(self.database.pool().await?)
        .await?;
        Ok(())
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
