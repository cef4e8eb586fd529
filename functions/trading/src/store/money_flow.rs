//! Money flows.

use chrono::{DateTime, Utc};
use domain::ids::{
    BankAccountId, DriveWealthAccountId, DriveWealthAccountNo, DriveWealthBankAccountId,
    DriveWealthPaymentId, MoneyFlowId, ProfileId, TradingAccountId,
};
use domain::money::Money;
use domain::trading::money_flow::{Direction, MoneyFlowStatus, ProviderState};
use platform::error::PlatformError;
use sqlx::PgConnection;

use super::{id, money};
use crate::Error;

/// A flow to be written down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewFlow {
    pub(crate) profile_id: ProfileId,
    pub(crate) trading_account_id: TradingAccountId,
    pub(crate) bank_account_id: BankAccountId,
    pub(crate) direction: Direction,
    pub(crate) amount: Money,
    pub(crate) next_lookup_at: DateTime<Utc>,
}

/// A flow with everything that is needed to carry it out.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    pub(crate) id: MoneyFlowId,
    pub(crate) profile_id: ProfileId,
    pub(crate) trading_account_id: TradingAccountId,
    pub(crate) bank_account_id: BankAccountId,
    pub(crate) direction: Direction,
    /// Above zero in either direction.
    pub(crate) amount: Money,
    pub(crate) status: MoneyFlowStatus,
    pub(crate) provider_state: ProviderState,
    pub(crate) failure_code: Option<String>,
    pub(crate) lookups: u32,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) drivewealth_account_id: DriveWealthAccountId,
    pub(crate) account_no: DriveWealthAccountNo,
    /// The bank account at the broker, unless it was removed since.
    pub(crate) drivewealth_bank_account_id: Option<DriveWealthBankAccountId>,
    /// The payment at the broker, where it is known.
    pub(crate) payment_id: Option<DriveWealthPaymentId>,
}

struct FlowRow {
    id: i64,
    profile_id: i64,
    trading_account_id: i64,
    bank_account_id: i64,
    amount_cents: i64,
    currency: String,
    status: String,
    provider_state: String,
    failure_code: Option<String>,
    lookups: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    drivewealth_account_id: String,
    account_no: String,
    drivewealth_bank_account_id: Option<String>,
    payment_id: Option<String>,
}

impl TryFrom<FlowRow> for Flow {
    type Error = PlatformError;

    fn try_from(row: FlowRow) -> Result<Self, PlatformError> {
        let outside = |_| PlatformError::Stored("outside id");
        let signed = money(row.amount_cents, &row.currency)?;
        Ok(Self {
            id: id(row.id)?,
            profile_id: id(row.profile_id)?,
            trading_account_id: id(row.trading_account_id)?,
            bank_account_id: id(row.bank_account_id)?,
            direction: Direction::of(row.amount_cents),
            amount: signed
                .checked_abs()
                .map_err(|_| PlatformError::Stored("amount_cents"))?,
            status: MoneyFlowStatus::parse(&row.status).ok_or(PlatformError::Stored("status"))?,
            provider_state: ProviderState::parse(&row.provider_state)
                .ok_or(PlatformError::Stored("provider_state"))?,
            failure_code: row.failure_code,
            lookups: u32::try_from(row.lookups).map_err(|_| PlatformError::Stored("lookups"))?,
            created_at: row.created_at,
            updated_at: row.updated_at,
            drivewealth_account_id: DriveWealthAccountId::parse(&row.drivewealth_account_id)
                .map_err(outside)?,
            account_no: DriveWealthAccountNo::parse(&row.account_no).map_err(outside)?,
            drivewealth_bank_account_id: row
                .drivewealth_bank_account_id
                .as_deref()
                .map(DriveWealthBankAccountId::parse)
                .transpose()
                .map_err(outside)?,
            payment_id: row
                .payment_id
                .as_deref()
                .map(DriveWealthPaymentId::parse)
                .transpose()
                .map_err(outside)?,
        })
    }
}

/// Writes a flow down, before anybody is asked.
pub(crate) async fn insert(connection: &mut PgConnection, flow: &NewFlow) -> Result<MoneyFlowId, Error> {
    let amount = match flow.direction {
        Direction::Deposit => flow.amount,
        Direction::Withdrawal => flow.amount.checked_neg()?,
    };
    let row = sqlx::query_scalar!(
        "INSERT INTO trading_money_flow \
         (profile_id, trading_account_id, bank_account_id, amount_cents, currency, next_lookup_at) \
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        flow.profile_id.get(),
        flow.trading_account_id.get(),
        flow.bank_account_id.get(),
        amount.minor(),
        amount.currency().code(),
        flow.next_lookup_at,
    )
    .fetch_one(connection)
    .await?;
    Ok(id(row)?)
}

/// A flow.
pub(crate) async fn load(connection: &mut PgConnection, flow: MoneyFlowId) -> Result<Flow, Error> {
    let mut found = load_all(connection, &[flow.get()]).await?;
    Ok(found
        .pop()
        .ok_or(PlatformError::Stored("trading_money_flow.id"))?)
}

/// Flows by their ids, newest first.
async fn load_all(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<Flow>, Error> {
    let rows = sqlx::query_as!(
        FlowRow,
        r#"SELECT flow.id, flow.profile_id, flow.trading_account_id, flow.bank_account_id, flow.amount_cents,
                  flow.currency, flow.status, flow.provider_state, flow.failure_code, flow.lookups, flow.created_at,
                  flow.updated_at,
                  account.ref_id AS drivewealth_account_id, account.account_no,
                  bank.ref_id AS "drivewealth_bank_account_id?",
                  COALESCE(deposit.ref_id, redemption.ref_id) AS "payment_id?"
           FROM trading_money_flow AS flow
           JOIN drivewealth_accounts AS account ON account.trading_account_id = flow.trading_account_id
           LEFT JOIN drivewealth_bank_accounts AS bank ON bank.bank_account_id = flow.bank_account_id
           LEFT JOIN drivewealth_deposits AS deposit ON deposit.money_flow_id = flow.id
           LEFT JOIN drivewealth_redemptions AS redemption ON redemption.money_flow_id = flow.id
           WHERE flow.id = ANY($1) ORDER BY flow.id DESC"#,
        ids,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok(Flow::try_from(row)?)).collect()
}

/// Locks the flow and reads it. Payments are locked before flows.
pub(crate) async fn lock(connection: &mut PgConnection, flow: MoneyFlowId) -> Result<Flow, Error> {
    sqlx::query!(
        "SELECT id FROM trading_money_flow WHERE id = $1 FOR UPDATE",
        flow.get()
    )
    .fetch_one(&mut *connection)
    .await?;
    load(connection, flow).await
}

/// What withdrawals of the account take from its cash: those under way, and those settled since `seen_at`, which may
/// be missing from a figure that was asked for after it.
pub(crate) async fn reserved(
    connection: &mut PgConnection,
    account: TradingAccountId,
    seen_at: DateTime<Utc>,
    currency: &str,
) -> Result<Money, Error> {
    let reserved = sqlx::query_scalar!(
        r#"SELECT COALESCE(-SUM(amount_cents), 0)::BIGINT AS "reserved!" FROM trading_money_flow
           WHERE trading_account_id = $1 AND amount_cents < 0
             AND (status IN ('pending', 'approved') OR (status = 'success' AND settled_at >= $2))"#,
        account.get(),
        seen_at,
    )
    .fetch_one(connection)
    .await?;
    Ok(money(reserved, currency)?)
}

/// What deposits take from a bank account that its balance doesn't show yet: those that the broker has not approved.
/// Approved ones are on their way, and the bank may have taken them off already.
pub(crate) async fn not_taken_yet(
    connection: &mut PgConnection,
    bank_account: BankAccountId,
    currency: &str,
) -> Result<Money, Error> {
    let pending = sqlx::query_scalar!(
        r#"SELECT COALESCE(SUM(amount_cents), 0)::BIGINT AS "pending!" FROM trading_money_flow
           WHERE bank_account_id = $1 AND amount_cents > 0 AND status = 'pending'"#,
        bank_account.get(),
    )
    .fetch_one(connection)
    .await?;
    Ok(money(pending, currency)?)
}

/// A turn to ask the broker to carry a flow out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    /// Somebody has asked before, and what came of it isn't known.
    pub(crate) is_doubtful: bool,
}

/// Takes the turn to ask the broker, for `lease_ms` at most. `None` while somebody else has it, or when there is nothing
/// to ask any more.
pub(crate) async fn begin_asking(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    lease_ms: i64,
) -> Result<Option<Turn>, Error> {
    let turn = sqlx::query_as!(
        Turn,
        r#"UPDATE trading_money_flow SET asked_until = clock_timestamp() + $2::BIGINT * interval '1 millisecond'
           FROM (SELECT id, asked_until FROM trading_money_flow WHERE id = $1 FOR UPDATE) AS before
           WHERE trading_money_flow.id = before.id AND provider_state IN ('intended', 'unknown')
             AND (before.asked_until IS NULL OR before.asked_until <= clock_timestamp())
           RETURNING (before.asked_until IS NOT NULL OR provider_state = 'unknown') AS "is_doubtful!""#,
        flow.get(),
        lease_ms,
    )
    .fetch_optional(connection)
    .await?;
    Ok(turn)
}

/// Records what is known of the call to the broker, and when to look again; whoever asked has done so. `false` for a
/// call that is known to have gone otherwise: accepted, declined and parked stay so.
pub(crate) async fn set_provider_state(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    state: ProviderState,
    next_lookup_at: Option<DateTime<Utc>>,
) -> Result<bool, Error> {
    let updated = sqlx::query!(
        "UPDATE trading_money_flow SET provider_state = $2, next_lookup_at = $3, asked_until = NULL \
         WHERE id = $1 AND (provider_state IN ('intended', 'unknown') OR provider_state = $2)",
        flow.get(),
        state.name(),
        next_lookup_at,
    )
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Says when a flow whose outcome isn't known is looked at again. What is known of the call stays as it is; whoever asked
/// has done so.
pub(crate) async fn set_next_lookup(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE trading_money_flow SET next_lookup_at = $2, asked_until = NULL \
         WHERE id = $1 AND provider_state IN ('intended', 'unknown')",
        flow.get(),
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Parks the flow for a person, from whatever state the call is in.
pub(crate) async fn park(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    reason: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE trading_money_flow SET provider_state = 'parked', next_lookup_at = NULL, asked_until = NULL, \
         failure_reason = $2, updated_at = now() WHERE id = $1",
        flow.get(),
        reason,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Sets the status that the transition function gave.
pub(crate) async fn set_status(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    status: MoneyFlowStatus,
    failure_code: Option<&str>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE trading_money_flow SET status = $2, failure_code = $3, updated_at = now(), \
         settled_at = CASE WHEN $2 IN ('success', 'failed') THEN now() ELSE settled_at END WHERE id = $1",
        flow.get(),
        status.name(),
        failure_code,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records the broker's refusal; `false` when the call is known to have gone otherwise.
pub(crate) async fn decline(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    failure_code: &str,
    failure_reason: &str,
) -> Result<bool, Error> {
    let updated = sqlx::query!(
        "UPDATE trading_money_flow SET provider_state = 'declined', status = 'failed', failure_code = $2, \
         failure_reason = $3, next_lookup_at = NULL, asked_until = NULL, settled_at = now(), updated_at = now() \
         WHERE id = $1 AND provider_state IN ('intended', 'unknown') AND status IN ('pending', 'approved')",
        flow.get(),
        failure_code,
        failure_reason,
    )
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Claims the flow whose look-up is due for the longest time: counts the look-up and pushes the next one away, so that
/// two copies of the job don't look at the same. One at a time: what a run doesn't come to is neither counted nor pushed.
pub(crate) async fn claim_due(connection: &mut PgConnection) -> Result<Option<MoneyFlowId>, Error> {
    let claimed = sqlx::query_scalar!(
        "UPDATE trading_money_flow SET lookups = lookups + 1, next_lookup_at = now() + interval '5 minutes' \
         WHERE id = (SELECT id FROM trading_money_flow \
                     WHERE next_lookup_at <= now() AND (asked_until IS NULL OR asked_until <= now()) \
                     ORDER BY next_lookup_at, id LIMIT 1 FOR UPDATE SKIP LOCKED) \
         RETURNING id",
    )
    .fetch_optional(connection)
    .await?;
    Ok(claimed.map(id).transpose()?)
}

/// Whether a redemption waits for an approval that we may give: it belongs to a flow of ours which is under way.
pub(crate) async fn may_be_approved(
    connection: &mut PgConnection,
    redemption: &DriveWealthPaymentId,
) -> Result<bool, Error> {
    let may_be = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT 1 FROM drivewealth_redemptions
               JOIN trading_money_flow ON trading_money_flow.id = drivewealth_redemptions.money_flow_id
               WHERE drivewealth_redemptions.ref_id = $1 AND trading_money_flow.provider_state = 'accepted'
                 AND trading_money_flow.status IN ('pending', 'approved')) AS "may_be!""#,
        redemption.as_str(),
    )
    .fetch_one(connection)
    .await?;
    Ok(may_be)
}

/// The profile's flows before the id `before`, newest first.
pub(crate) async fn history(
    connection: &mut PgConnection,
    profile: ProfileId,
    before: i64,
    limit: i64,
) -> Result<Vec<Flow>, Error> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM trading_money_flow WHERE profile_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        profile.get(),
        before,
        limit,
    )
    .fetch_all(&mut *connection)
    .await?;
    load_all(connection, &ids).await
}
