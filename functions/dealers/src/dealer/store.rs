//! `dealers`, and the figures of their accounts.

use chrono::{DateTime, Utc};
use domain::dealers::account::{AccountType, ProvisioningStatus};
use domain::ids::{CmeClientId, DealerId};
use sqlx::PgConnection;

use crate::Error;

/// A dealer. His requisite is sealed for his name and its version.
#[derive(Debug, Clone)]
pub(crate) struct Dealer {
    pub(crate) id: DealerId,
    pub(crate) cme_client_id: CmeClientId,
    pub(crate) requisite: Vec<u8>,
    pub(crate) requisite_version: i32,
    pub(crate) registered_requisite: Vec<u8>,
    pub(crate) offer_accepted_at: DateTime<Utc>,
    pub(crate) created_at: DateTime<Utc>,
}

/// Writes a new dealer; nothing when there is one of this name. Waits for a concurrent registration.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    name: &CmeClientId,
    requisite: &[u8],
    offer_accepted_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<DealerId>, Error> {
    let id = sqlx::query_scalar!(
        r#"INSERT INTO dealers (cme_client_id, requisite, requisite_version, registered_requisite, offer_accepted_at,
               created_at, updated_at)
           VALUES ($1, $2, 1, $2, $3, $4, $4) ON CONFLICT DO NOTHING RETURNING id AS "id: DealerId""#,
        name as _,
        requisite,
        offer_accepted_at,
        now,
    );
    Ok(id.fetch_optional(connection).await?)
}

/// A dealer by his name.
pub(crate) async fn load(connection: &mut PgConnection, name: &CmeClientId) -> Result<Dealer, Error> {
    sqlx::query_as!(
        Dealer,
        r#"SELECT id AS "id: _", cme_client_id AS "cme_client_id: _", requisite, requisite_version, registered_requisite,
                  offer_accepted_at, created_at
           FROM dealers WHERE cme_client_id = $1"#,
        name as _,
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::DealerNotFound)
}

/// A dealer, locked until the transaction ends.
pub(crate) async fn lock(connection: &mut PgConnection, name: &CmeClientId) -> Result<Dealer, Error> {
    sqlx::query_as!(
        Dealer,
        r#"SELECT id AS "id: _", cme_client_id AS "cme_client_id: _", requisite, requisite_version, registered_requisite,
                  offer_accepted_at, created_at
           FROM dealers WHERE cme_client_id = $1 FOR UPDATE"#,
        name as _,
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::DealerNotFound)
}

/// Replaces the requisite by the next version.
pub(crate) async fn set_requisite(
    connection: &mut PgConnection,
    dealer: DealerId,
    requisite: &[u8],
    version: i32,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE dealers SET requisite = $2, requisite_version = $3, updated_at = $4 WHERE id = $1",
        dealer as _,
        requisite,
        version,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What there is to say of an account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountFigures {
    pub(crate) account_type: AccountType,
    pub(crate) provisioning_status: ProvisioningStatus,
    pub(crate) requisite_version: i32,
    pub(crate) current_balance: i64,
    pub(crate) owed: i64,
    pub(crate) overdue: i64,
}

/// The dealer's accounts with what is owed on them, and what of it is overdue at a time.
pub(crate) async fn figures(
    connection: &mut PgConnection,
    dealer: DealerId,
    now: DateTime<Utc>,
) -> Result<Vec<AccountFigures>, Error> {
    let figures = sqlx::query_as!(
        AccountFigures,
        r#"SELECT account.account_type AS "account_type: _", provisioning_status AS "provisioning_status: _",
                  requisite_version, current_balance, owed AS "owed!", overdue AS "overdue!"
           FROM dealer_accounts AS account
           CROSS JOIN LATERAL (
               SELECT COALESCE(sum(common_sum - paid_sum), 0)::BIGINT AS owed,
                      COALESCE(sum(common_sum - paid_sum) FILTER (WHERE due_at <= $2), 0)::BIGINT AS overdue
               FROM bills AS bill
               WHERE bill.dealer_id = account.dealer_id AND bill.account_type = account.account_type
                 AND status IN ('created', 'issued', 'partially_paid')) AS debts
           WHERE account.dealer_id = $1 ORDER BY account.account_type"#,
        dealer as _,
        now,
    );
    Ok(figures.fetch_all(connection).await?)
}
