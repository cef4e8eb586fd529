//! `trading_collection_versions` with their contents, and what an order is checked against.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{
    CollectionId, CollectionVersionId, DriveWealthAccountId, DriveWealthFundId, ProfileId, TradingAccountId,
};
use domain::money::Money;
use domain::trading::account::{AccountStatus, BuyingSuspension};
use domain::trading::collection::order::{Delta, Percent};
use domain::trading::collection::symbol::Symbol;
use domain::trading::collection::version::CollectionVersionStatus;
use domain::trading::collection::weights::TargetWeights;
use platform::error::PlatformError;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::Error;

/// A version as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) id: CollectionVersionId,
    pub(crate) trading_account_id: TradingAccountId,
    pub(crate) collection_id: CollectionId,
    pub(crate) collection_uniq_id: String,
    pub(crate) status: CollectionVersionStatus,
    pub(crate) target_amount_cents: Option<i64>,
    pub(crate) target_percent: Option<i64>,
    pub(crate) planned_amount_cents: Option<i64>,
    pub(crate) actual_amount_cents: Option<i64>,
    pub(crate) failure_code: Option<String>,
    pub(crate) applies_at: DateTime<Utc>,
    pub(crate) settled_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) weights: Vec<Decimal>,
}

/// A statement that gives whole versions; `$tail` begins behind the columns. The table goes by the name `version`.
macro_rules! version_query {
    ($tail:tt, $($argument:tt)*) => {
        sqlx::query_as!(
            Version,
            r#"SELECT version.id AS "id: _", version.trading_account_id AS "trading_account_id: _",
                      version.collection_id AS "collection_id: _", version.collection_uniq_id,
                      version.status AS "status: _", version.target_amount_cents, version.target_percent,
                      version.planned_amount_cents, version.actual_amount_cents, version.failure_code,
                      version.applies_at, version.settled_at, version.created_at,
                      ARRAY (SELECT symbol FROM trading_collection_contents
                             WHERE version_id = version.id ORDER BY position) AS "symbols!: _",
                      ARRAY (SELECT target_weight FROM trading_collection_contents
                             WHERE version_id = version.id ORDER BY position) AS "weights!: _"
               FROM trading_collection_versions AS version "# + $tail,
            $($argument)*
        )
    };
}

/// A version to be written.
#[derive(Debug)]
pub(crate) struct NewVersion {
    pub(crate) profile_id: ProfileId,
    pub(crate) trading_account_id: TradingAccountId,
    pub(crate) collection_id: CollectionId,
    pub(crate) delta: Delta,
    pub(crate) has_weights: bool,
    pub(crate) applies_at: DateTime<Utc>,
}

/// Writes a pending version.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    version: &NewVersion,
    now: DateTime<Utc>,
) -> Result<CollectionVersionId, Error> {
    let (amount, percent) = match version.delta {
        Delta::Amount(amount) => (Some(amount.minor()), None),
        Delta::Relative(percent) => (None, Some(percent.get())),
        Delta::Reweight => (None, None),
    };
    let id = sqlx::query_scalar!(
        r#"INSERT INTO trading_collection_versions
             (profile_id, trading_account_id, collection_id, collection_uniq_id, target_amount_cents, target_percent,
              has_weights, applies_at, created_at, updated_at)
           SELECT $1, $2, id, uniq_id, $4, $5, $6, $7, $8, $8 FROM collections WHERE id = $3
           RETURNING id AS "id: CollectionVersionId""#,
        version.profile_id as _,
        version.trading_account_id as _,
        version.collection_id as _,
        amount,
        percent,
        version.has_weights,
        version.applies_at,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(id)
}

/// Writes the contents of versions, in one statement.
pub(crate) async fn insert_contents(
    connection: &mut PgConnection,
    contents: &[(CollectionVersionId, &TargetWeights)],
) -> Result<(), Error> {
    let (mut ids, mut positions, mut symbols, mut weights) = (vec![], vec![], vec![], vec![]);
    for (id, content) in contents {
        for (position, (symbol, weight)) in (1_i32..).zip(content.iter()) {
            ids.push(id.get());
            positions.push(position);
            symbols.push(symbol.to_string());
            weights.push(weight.as_decimal());
        }
    }
    sqlx::query!(
        "INSERT INTO trading_collection_contents (version_id, position, symbol, target_weight) \
         SELECT version_id, position, symbol, weight \
         FROM unnest($1::BIGINT[], $2::INTEGER[], $3::TEXT[], $4::NUMERIC[]) AS given (version_id, position, symbol, weight) \
         ON CONFLICT DO NOTHING",
        &ids,
        &positions,
        &symbols,
        &weights,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A version of the profile.
pub(crate) async fn load(
    connection: &mut PgConnection,
    profile: ProfileId,
    id: CollectionVersionId,
) -> Result<Option<Version>, Error> {
    let version = version_query!(
        "WHERE version.profile_id = $1 AND version.id = $2",
        profile as _,
        id as _
    )
    .fetch_optional(connection)
    .await?;
    Ok(version)
}

/// A version of the profile, locked.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    profile: ProfileId,
    id: CollectionVersionId,
) -> Result<Option<Version>, Error> {
    let version = version_query!(
        "WHERE version.profile_id = $1 AND version.id = $2 FOR UPDATE",
        profile as _,
        id as _
    )
    .fetch_optional(connection)
    .await?;
    Ok(version)
}

/// Takes a version back that is pending; the version is locked.
pub(crate) async fn cancel(
    connection: &mut PgConnection,
    id: CollectionVersionId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE trading_collection_versions SET status = 'cancelled', settled_at = $2, updated_at = $2 \
         WHERE id = $1 AND status = 'pending'",
        id as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The profile's versions in a status after the one at which a page ended, newest first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    profile: ProfileId,
    status: Option<CollectionVersionStatus>,
    after: Option<CollectionVersionId>,
    limit: i64,
) -> Result<Vec<Version>, Error> {
    let versions = version_query!(
        "WHERE version.profile_id = $1 AND version.id < $2 AND ($3::TEXT IS NULL OR version.status = $3) \
         ORDER BY version.id DESC LIMIT $4",
        profile as _,
        after.map_or(i64::MAX, |id| id.get()),
        status.map(CollectionVersionStatus::name),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(versions)
}

/// The account that an order is for.
#[derive(Debug)]
pub(crate) struct OrderAccount {
    pub(crate) id: TradingAccountId,
    pub(crate) drivewealth_account_id: DriveWealthAccountId,
}

/// The profile's account, or the one that is named if it is the profile's.
pub(crate) async fn find_account(
    connection: &mut PgConnection,
    profile: ProfileId,
    account: Option<TradingAccountId>,
) -> Result<Option<OrderAccount>, Error> {
    let found = sqlx::query_as!(
        OrderAccount,
        r#"SELECT trading_accounts.id AS "id: _", drivewealth_accounts.ref_id AS "drivewealth_account_id: _"
           FROM trading_accounts
           JOIN drivewealth_accounts ON drivewealth_accounts.trading_account_id = trading_accounts.id
           WHERE trading_accounts.profile_id = $1 AND ($2::BIGINT IS NULL OR trading_accounts.id = $2)"#,
        profile as _,
        account.map(|account| account.get()),
    )
    .fetch_optional(connection)
    .await?;
    Ok(found)
}

/// The facts by which an account takes orders, read under its lock.
#[derive(Debug)]
pub(crate) struct LockedAccount {
    pub(crate) status: AccountStatus,
    buying_suspension: Option<BuyingSuspension>,
}

impl LockedAccount {
    /// Refuses to buy where buying is suspended.
    ///
    /// # Errors
    /// A conflict with the reason.
    pub(crate) fn refuse_suspended(&self) -> Result<(), Error> {
        match self.buying_suspension {
            None => Ok(()),
            Some(suspension) => Err(Error::BuyingSuspended {
                reason: suspension.words(),
            }),
        }
    }
}

/// Locks the account: orders of one account are taken one after the other.
pub(crate) async fn lock_account(
    connection: &mut PgConnection,
    account: TradingAccountId,
) -> Result<LockedAccount, Error> {
    let row = sqlx::query!(
        r#"SELECT drivewealth_accounts.status, profiles.deposits_suspended_at IS NOT NULL AS "has_returned_deposit!",
                  EXISTS (SELECT FROM buying_suspensions
                          WHERE buying_suspensions.profile_id = profiles.id) AS "owes_commissions!"
           FROM trading_accounts JOIN profiles ON profiles.id = trading_accounts.profile_id
           JOIN drivewealth_accounts ON drivewealth_accounts.trading_account_id = trading_accounts.id
           WHERE trading_accounts.id = $1 FOR UPDATE OF trading_accounts"#,
        account as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(LockedAccount {
        status: AccountStatus::parse(&row.status),
        buying_suspension: BuyingSuspension::of(row.has_returned_deposit, row.owes_commissions),
    })
}

/// The broker's fund of a profile and collection.
pub(crate) async fn find_fund(
    connection: &mut PgConnection,
    profile: ProfileId,
    collection: CollectionId,
) -> Result<Option<DriveWealthFundId>, Error> {
    let fund = sqlx::query_scalar!(
        r#"SELECT ref_id AS "ref_id: DriveWealthFundId" FROM drivewealth_funds
           WHERE profile_id = $1 AND collection_id = $2"#,
        profile as _,
        collection as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(fund)
}

/// What the account's orders that haven't ended will take, by id: those that are carried out with the amount that they came
/// to, since the broker's figures don't show it before the end.
pub(crate) async fn pending_orders(
    connection: &mut PgConnection,
    account: TradingAccountId,
) -> Result<Vec<(CollectionId, Delta)>, Error> {
    let rows = sqlx::query!(
        r#"SELECT collection_id AS "collection_id: CollectionId", planned_amount_cents, target_amount_cents, target_percent
           FROM trading_collection_versions
           WHERE trading_account_id = $1 AND status IN ('pending', 'executing') ORDER BY id"#,
        account as _,
    )
    .fetch_all(connection)
    .await?;
    let order = |row: (Option<i64>, Option<i64>)| delta(row.0, row.1);
    rows.into_iter()
        .map(|row| {
            let amount = row.planned_amount_cents.or(row.target_amount_cents);
            let percent = row.target_percent.filter(|_| row.planned_amount_cents.is_none());
            Ok((row.collection_id, order((amount, percent))?))
        })
        .collect()
}

/// What was asked for, as it is stored.
pub(crate) fn delta(amount_cents: Option<i64>, percent: Option<i64>) -> Result<Delta, Error> {
    Ok(match (amount_cents, percent) {
        (Some(0), _) | (None, None) => Delta::Reweight,
        (Some(cents), _) => Delta::Amount(Money::new(cents, Currency::USD)),
        (None, Some(percent)) => {
            let percent = Percent::try_from(percent);
            Delta::Relative(
                percent.map_err(|_| PlatformError::Stored("trading_collection_versions.target_percent"))?,
            )
        }
    })
}

/// What the profile owes in commissions, in cents.
pub(crate) async fn open_invoices(connection: &mut PgConnection, profile: ProfileId) -> Result<i64, Error> {
    let owed = sqlx::query_scalar!(
        r#"SELECT COALESCE(SUM(amount_cents), 0)::BIGINT AS "owed!" FROM open_invoices
           WHERE profile_id = $1 AND currency = 'USD'"#,
        profile as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(owed)
}
