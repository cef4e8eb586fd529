//! All active accounts, as far as the sweep compares them.

use domain::funded::thresholds::Thresholds;
use domain::ids::FundedAccountId;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;

/// An active account as it is recorded.
#[derive(Debug)]
pub(crate) struct ActiveAccount {
    pub(crate) id: FundedAccountId,
    pub(crate) live_version: i64,
    pub(crate) thresholds: Json<Thresholds>,
}

/// The accounts that are active by their records.
pub(super) async fn active(connection: &mut PgConnection) -> Result<Vec<ActiveAccount>, Error> {
    let accounts = sqlx::query_as!(
        ActiveAccount,
        r#"SELECT account.id AS "id: _", live_version, rules AS "thresholds: _"
           FROM funded_accounts AS account JOIN funded_virtual_accounts ON funded_account_id = account.id
           WHERE status = 'active' AND activated_at IS NOT NULL"#,
    );
    Ok(accounts.fetch_all(connection).await?)
}
