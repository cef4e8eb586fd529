//! `funded_sagas`: the journal.

use domain::funded::saga::Progress;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::error::PlatformError;

use super::journal::Journal;
use crate::Error;

/// The journal of one saga.
#[derive(Debug)]
pub(crate) struct StoredJournal<'a> {
    pub(crate) database: &'a Database,
    pub(crate) clock: &'a ClockHandle,
    pub(crate) saga: &'static str,
    /// What the saga is about.
    pub(crate) subject: &'a str,
}

impl Journal for StoredJournal<'_> {
    async fn progress(&self) -> Result<Progress, Error> {
        let row = self
            .database
            .with(async |connection| {
                let row = sqlx::query!(
                    "SELECT steps_done, is_undoing FROM funded_sagas WHERE saga = $1 AND subject = $2",
                    self.saga,
                    self.subject,
                );
                Ok::<_, Error>(row.fetch_optional(connection).await?)
            })
            .await?;
        let Some(row) = row else {
            return Ok(Progress::default());
        };
        let done = usize::try_from(row.steps_done).map_err(|_| PlatformError::Stored("steps_done"))?;
        Ok(Progress {
            done,
            is_undoing: row.is_undoing,
        })
    }

    async fn note(&self, progress: Progress) -> Result<(), Error> {
        let done = i64::try_from(progress.done).map_err(|_| PlatformError::Stored("steps_done"))?;
        self.database
            .with(async |connection| {
                sqlx::query!(
                    "INSERT INTO funded_sagas (saga, subject, steps_done, is_undoing, updated_at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (saga, subject) DO UPDATE SET steps_done = $3, is_undoing = $4, updated_at = $5",
                    self.saga,
                    self.subject,
                    done,
                    progress.is_undoing,
                    self.clock.now(),
                )
                .execute(connection)
                .await?;
                Ok(())
            })
            .await
    }

    async fn forget(&self) -> Result<(), Error> {
        self.database
            .with(async |connection| {
                sqlx::query!(
                    "DELETE FROM funded_sagas WHERE saga = $1 AND subject = $2",
                    self.saga,
                    self.subject
                )
                .execute(connection)
                .await?;
                Ok(())
            })
            .await
    }
}
