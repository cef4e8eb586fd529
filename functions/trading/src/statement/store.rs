//! `statements`.

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{DriveWealthAccountId, ProfileId, StatementId};
use providers::drivewealth::Statement;
use sqlx::PgConnection;

use super::kind::{day_of, name};
use super::query::StatementPosition;
use crate::Error;

/// Saves documents of an account, each once; gives how many are new. In one statement, however many they are.
pub(crate) async fn save_all(
    connection: &mut PgConnection,
    account: &DriveWealthAccountId,
    statements: &[Statement],
    told_at: DateTime<Utc>,
) -> Result<u64, Error> {
    let kinds: Vec<String> = statements.iter().map(|one| name(one.kind).to_owned()).collect();
    let files: Vec<String> = statements.iter().map(|one| one.file_key.clone()).collect();
    let names: Vec<String> = statements.iter().map(|one| one.display_name.clone()).collect();
    let days: Vec<NaiveDate> = statements.iter().map(|one| day_of(one, told_at)).collect();
    let saved = sqlx::query!(
        "INSERT INTO statements (drivewealth_account_id, kind, file_key, display_name, day, created_at) \
         SELECT $1, kind, file_key, display_name, day, $6 \
         FROM unnest($2::TEXT[], $3::TEXT[], $4::TEXT[], $5::DATE[]) AS told (kind, file_key, display_name, day) \
         ON CONFLICT DO NOTHING",
        account as _,
        &kinds,
        &files,
        &names,
        &days,
        told_at,
    )
    .execute(connection)
    .await?;
    Ok(saved.rows_affected())
}

/// A document, as it is listed.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) id: StatementId,
    pub(super) kind: String,
    pub(super) display_name: String,
    pub(super) day: NaiveDate,
    pub(super) created_at: DateTime<Utc>,
}

impl Listed {
    pub(super) fn position(&self) -> StatementPosition {
        StatementPosition {
            day: self.day,
            id: self.id,
        }
    }
}

/// The documents of the profile's account after the one at which a page ended, newest first.
pub(super) async fn list(
    connection: &mut PgConnection,
    profile: ProfileId,
    kind: Option<&str>,
    after: Option<&StatementPosition>,
    limit: i64,
) -> Result<Vec<Listed>, Error> {
    let listed = sqlx::query_as!(
        Listed,
        r#"SELECT newest.id AS "id!: _", newest.kind AS "kind!", newest.display_name AS "display_name!",
                  newest.day AS "day!", newest.created_at AS "created_at!"
           FROM trading_accounts
           JOIN drivewealth_accounts ON drivewealth_accounts.trading_account_id = trading_accounts.id
           -- A page of each account by the index, so that no more is read than is shown.
           CROSS JOIN LATERAL (
               SELECT id, kind, display_name, day, created_at FROM statements
               WHERE drivewealth_account_id = drivewealth_accounts.ref_id AND ($2::TEXT IS NULL OR kind = $2)
                 AND ($3::DATE IS NULL OR (day, id) < ($3, $4))
               ORDER BY day DESC, id DESC LIMIT $5
           ) AS newest
           WHERE trading_accounts.profile_id = $1
           ORDER BY newest.day DESC, newest.id DESC LIMIT $5"#,
        profile as _,
        kind,
        after.map(|position| position.day),
        after.map_or(i64::MAX, |position| position.id.get()),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(listed)
}

/// Where the broker has a document.
#[derive(Debug)]
pub(super) struct File {
    pub(super) drivewealth_account_id: DriveWealthAccountId,
    pub(super) file_key: String,
}

/// A document of the profile's account.
pub(super) async fn file(
    connection: &mut PgConnection,
    profile: ProfileId,
    id: StatementId,
) -> Result<Option<File>, Error> {
    let file = sqlx::query_as!(
        File,
        r#"SELECT drivewealth_account_id AS "drivewealth_account_id: _", file_key FROM statements
           JOIN drivewealth_accounts ON drivewealth_accounts.ref_id = drivewealth_account_id
           JOIN trading_accounts ON trading_accounts.id = drivewealth_accounts.trading_account_id
           WHERE statements.id = $1 AND trading_accounts.profile_id = $2"#,
        id as _,
        profile as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(file)
}
