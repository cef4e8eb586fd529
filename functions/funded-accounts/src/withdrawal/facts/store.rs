//! The account as a withdrawal is judged by it, and what its days brought.

use chrono::{DateTime, Utc};
use domain::funded::FundedAccountStatus;
use domain::funded::share::Share;
use domain::funded::thresholds::Thresholds;
use domain::funded::withdrawal::day_profits;
use domain::ids::{FundedAccountId, StripeAccountId, StripeBankAccountId, WithdrawalId};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;

/// Days end where the tier says, or else in New York.
const ZONE: &str = "America/New_York";

/// An account as its withdrawals are judged by it.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) profit_split: Share,
    pub(super) thresholds: Json<Thresholds>,
    pub(super) status: FundedAccountStatus,
    pub(super) recorded_balance_cents: i64,
    pub(super) used_up_cents: i64,
    pub(super) last_requested_at: Option<DateTime<Utc>>,
    pub(super) activated_at: DateTime<Utc>,
    pub(super) is_payee_ready: bool,
    /// Where the trader is paid now.
    pub(crate) payee: Option<StripeAccountId>,
    pub(crate) bank: Option<StripeBankAccountId>,
    /// Whether something was paid to that bank account, and didn't come back.
    pub(crate) is_bank_known: bool,
    /// The one that the withdrawal was approved for.
    pub(super) judged_bank: Option<StripeBankAccountId>,
}

/// The account's terms, beside one of its withdrawals: the one that is judged.
pub(crate) async fn terms(
    connection: &mut PgConnection,
    account: FundedAccountId,
    beside: Option<WithdrawalId>,
) -> Result<Option<Terms>, Error> {
    let terms = sqlx::query_as!(
        Terms,
        r#"SELECT account.profit_split AS "profit_split!: _", rules AS "thresholds!: _", status AS "status!: _",
               current_balance_cents AS "recorded_balance_cents!", activated_at AS "activated_at!",
               COALESCE(others.used_up_cents, 0)::BIGINT AS "used_up_cents!", others.last_requested_at,
               COALESCE(transfers_active AND payouts_enabled AND is_paid_by_hand AND disabled_reason IS NULL
                   AND stripe_account_id IS NOT NULL AND bank_account_id IS NOT NULL, FALSE) AS "is_payee_ready!",
               stripe_account_id AS "payee: _", bank_account_id AS "bank: _",
               EXISTS (SELECT 1 FROM withdrawals AS paid WHERE paid.user_id = account.user_id
                   AND paid.bank_account_id = payees.bank_account_id AND paid.paid_at IS NOT NULL
                   AND paid.status = 'completed') AS "is_bank_known!",
               (SELECT judged_bank_account_id FROM withdrawals WHERE withdrawals.id = $2) AS "judged_bank: _"
           FROM funded_accounts AS account JOIN funded_virtual_accounts ON funded_account_id = account.id
           LEFT JOIN payees ON payees.user_id = account.user_id
           LEFT JOIN LATERAL (
               SELECT SUM(gross_cents) AS used_up_cents, MAX(requested_at) AS last_requested_at FROM withdrawals
               WHERE funded_account_id = account.id AND status IN ('pending', 'approved', 'completed')
                   AND ($2::BIGINT IS NULL OR withdrawals.id <> $2)
           ) AS others ON TRUE
           WHERE account.id = $1 AND activated_at IS NOT NULL"#,
        account as _,
        beside.map(|id| id.get()),
    );
    Ok(terms.fetch_optional(connection).await?)
}

/// What each day since the last withdrawal brought, where the tier counts days.
pub(super) async fn profits(
    connection: &mut PgConnection,
    account: FundedAccountId,
    terms: &Terms,
    since: DateTime<Utc>,
) -> Result<Vec<i64>, Error> {
    let rules = &terms.thresholds.0;
    if rules.min_winning_days.is_none() && rules.max_best_day_share.is_none() {
        return Ok(Vec::new());
    }
    let zone = rules.daily_reset_zone.as_ref().map(ToString::to_string);
    let before = sqlx::query_scalar!(
        "SELECT balance_cents FROM funded_equity_history WHERE funded_account_id = $1 AND at <= $2 ORDER BY at DESC LIMIT 1",
        account as _,
        since,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let ends = sqlx::query_scalar!(
        r#"SELECT DISTINCT ON ((at AT TIME ZONE $3)::DATE) balance_cents FROM funded_equity_history
           WHERE funded_account_id = $1 AND at > $2 ORDER BY (at AT TIME ZONE $3)::DATE, at DESC"#,
        account as _,
        since,
        zone.as_deref().unwrap_or(ZONE),
    )
    .fetch_all(connection)
    .await?;
    Ok(day_profits(before.unwrap_or(rules.starting_balance_cents), &ends))
}
