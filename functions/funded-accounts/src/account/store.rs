//! `funded_accounts` with their records, as their traders see them.

use chrono::{DateTime, Utc};
use domain::funded::FundedAccountStatus;
use domain::funded::live::Breach;
use domain::funded::rules::{Rule, RuleEvaluation};
use domain::funded::share::Share;
use domain::ids::{AssessmentId, FundedAccountId, TierId, UserId};
use platform::pagination::PageRequest;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;

/// An account with its record.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: FundedAccountId,
    pub(crate) assessment_id: AssessmentId,
    pub(crate) tier_id: TierId,
    pub(crate) tier_name: String,
    pub(crate) profit_split: Share,
    pub(crate) status: FundedAccountStatus,
    pub(crate) activated_at: DateTime<Utc>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
    pub(crate) closure_reason: Option<Rule>,
    pub(crate) breach: Option<Json<Breach>>,
    pub(crate) starting_balance_cents: i64,
    pub(crate) current_balance_cents: i64,
    pub(crate) peak_balance_cents: i64,
    pub(crate) realized_pnl_cents: i64,
    pub(crate) unrealized_pnl_cents: i64,
    pub(crate) total_withdrawals_cents: i64,
    /// What withdrawals use up, those on their way included.
    pub(crate) used_up_cents: i64,
    pub(crate) evaluations: Json<Vec<RuleEvaluation>>,
    pub(crate) updated_at: DateTime<Utc>,
}

platform::list! {
    /// The funded accounts of a trader, newest first.
    pub AccountList: Listed = "funded-accounts"
}

/// A position in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub(crate) activated_at: DateTime<Utc>,
    pub(crate) id: FundedAccountId,
}

/// A query of accounts that are announced: what stands behind their trader, and the values, of which the trader is the first.
macro_rules! query_accounts {
    ($behind:literal, $($value:expr),+ $(,)?) => {
        sqlx::query_as!(
            Account,
            r#"SELECT account.id AS "id: _", assessment_id AS "assessment_id: _", tier_id AS "tier_id: _",
                tiers.name AS tier_name, account.profit_split AS "profit_split: _",
                account.status AS "status: _", activated_at AS "activated_at!", closed_at,
                closure_reason AS "closure_reason: _", breach AS "breach: _", record.starting_balance_cents,
                current_balance_cents, peak_balance_cents, realized_pnl_cents, unrealized_pnl_cents,
                total_withdrawals_cents, (SELECT COALESCE(SUM(gross_cents), 0)::BIGINT FROM withdrawals
                    WHERE funded_account_id = account.id AND withdrawals.status IN ('pending', 'approved', 'completed'))
                    AS "used_up_cents!", evaluations AS "evaluations: _", record.updated_at
             FROM funded_accounts AS account JOIN funded_virtual_accounts AS record ON funded_account_id = account.id
             JOIN tiers ON tiers.id = tier_id WHERE activated_at IS NOT NULL AND account.user_id = $1 "# + $behind,
            $($value),+
        )
    };
}

/// An account of the trader.
pub(crate) async fn find(
    connection: &mut PgConnection,
    user: UserId,
    id: FundedAccountId,
) -> Result<Option<Account>, Error> {
    let account = query_accounts!("AND account.id = $2", user as _, id as _);
    Ok(account.fetch_optional(connection).await?)
}

/// The trader's accounts of a page, the newest activation first, with the one behind it.
pub(super) async fn list(
    connection: &mut PgConnection,
    user: UserId,
    page: &PageRequest<AccountList>,
) -> Result<Vec<Account>, Error> {
    let accounts = query_accounts!(
        "AND ($2::TIMESTAMPTZ IS NULL OR (activated_at, account.id) < ($2, $3)) \
         ORDER BY activated_at DESC, account.id DESC LIMIT $4",
        user as _,
        page.after.map(|after| after.activated_at),
        page.after.map_or(i64::MAX, |after| after.id.get()),
        page.rows(),
    );
    Ok(accounts.fetch_all(connection).await?)
}
