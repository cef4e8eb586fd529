//! Money flows, and both ends of one. The broker's payments are in [`payment`].

pub(crate) mod payment;

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{
    BankAccountId, DriveWealthAccountId, DriveWealthAccountNo, DriveWealthBankAccountId,
    DriveWealthPaymentId, MoneyFlowId, PlaidAccountId, ProfileId, TradingAccountId,
};
use domain::money::Money;
use domain::trading::money_flow::{Direction, MoneyFlowStatus, ProviderState};
use platform::error::PlatformError;
use sqlx::PgConnection;

use crate::Error;
use crate::bank_account::store::LinkedBankAccount;

/// A flow to be written down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewFlow {
    pub(crate) profile_id: ProfileId,
    pub(crate) trading_account_id: TradingAccountId,
    pub(crate) bank_account_id: BankAccountId,
    pub(crate) direction: Direction,
    pub(crate) amount: Money,
    pub(crate) created_at: DateTime<Utc>,
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
    /// Minor units of `currency`, above zero in either direction.
    pub(crate) amount_cents: i64,
    pub(crate) currency: Currency,
    pub(crate) status: MoneyFlowStatus,
    pub(crate) provider_state: ProviderState,
    pub(crate) failure_code: Option<String>,
    /// Look-ups so far.
    pub(crate) lookups: i32,
    pub(crate) next_lookup_at: Option<DateTime<Utc>>,
    /// Until when the broker is asked by one instance alone. One that has passed is of an instance that died: its
    /// request may have reached the broker.
    pub(crate) lease_until: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) drivewealth_account_id: DriveWealthAccountId,
    pub(crate) account_no: DriveWealthAccountNo,
    /// The bank account at the broker, unless it was removed since.
    pub(crate) drivewealth_bank_account_id: Option<DriveWealthBankAccountId>,
    /// The bank account at the broker whose token was refused for this flow.
    pub(crate) refused_bank_account: Option<DriveWealthBankAccountId>,
    /// The payment at the broker, where it is known.
    pub(crate) payment_id: Option<DriveWealthPaymentId>,
}

impl Flow {
    /// The amount, above zero in either direction.
    pub(crate) fn amount(&self) -> Money {
        Money::new(self.amount_cents, self.currency)
    }
}

/// A statement that gives whole flows: `$head` ends where the columns begin, with the flow's `lease_until` selected before
/// them; `$tail` begins behind them. The table goes by the name `flow`. What the broker calls the ends and the payment is
/// read beside the row, so that the same columns are given by SELECT, by SELECT … FOR UPDATE and by UPDATE … RETURNING.
macro_rules! flow_query {
    ($head:tt, $tail:tt, $($argument:tt)*) => {
        sqlx::query_as!(
            Flow,
            $head
                + r#", flow.id AS "id: _", flow.profile_id AS "profile_id: _",
                     flow.trading_account_id AS "trading_account_id: _", flow.bank_account_id AS "bank_account_id: _",
                     CASE WHEN flow.amount_cents < 0 THEN 'withdrawal' ELSE 'deposit' END AS "direction!: _",
                     abs(flow.amount_cents) AS "amount_cents!", flow.currency AS "currency: _",
                     flow.status AS "status: _", flow.provider_state AS "provider_state: _", flow.failure_code,
                     flow.refused_bank_account AS "refused_bank_account: _", flow.lookups, flow.next_lookup_at, flow.created_at, flow.updated_at,
                     (SELECT ref_id FROM drivewealth_accounts
                      WHERE trading_account_id = flow.trading_account_id) AS "drivewealth_account_id!: _",
                     (SELECT account_no FROM drivewealth_accounts
                      WHERE trading_account_id = flow.trading_account_id) AS "account_no!: _",
                     (SELECT ref_id FROM drivewealth_bank_accounts
                      WHERE bank_account_id = flow.bank_account_id) AS "drivewealth_bank_account_id?: _",
                     COALESCE((SELECT ref_id FROM drivewealth_deposits WHERE money_flow_id = flow.id),
                              (SELECT ref_id FROM drivewealth_redemptions WHERE money_flow_id = flow.id)
                     ) AS "payment_id?: _" "#
                + $tail,
            $($argument)*
        )
    };
}

/// Writes a flow down, before the broker is asked.
pub(crate) async fn insert(connection: &mut PgConnection, flow: &NewFlow) -> Result<MoneyFlowId, Error> {
    let amount = match flow.direction {
        Direction::Deposit => flow.amount,
        Direction::Withdrawal => flow.amount.checked_neg()?,
    };
    let id = sqlx::query_scalar!(
        r#"INSERT INTO trading_money_flow (profile_id, trading_account_id, bank_account_id, amount_cents, currency,
                                           created_at, updated_at, next_lookup_at)
           VALUES ($1, $2, $3, $4, $5, $6, $6, $7) RETURNING id AS "id: MoneyFlowId""#,
        flow.profile_id as _,
        flow.trading_account_id as _,
        flow.bank_account_id as _,
        amount.minor(),
        amount.currency() as _,
        flow.created_at,
        flow.next_lookup_at,
    )
    .fetch_one(connection)
    .await?;
    Ok(id)
}

/// A flow.
pub(crate) async fn load(connection: &mut PgConnection, flow: MoneyFlowId) -> Result<Flow, Error> {
    let found = flow_query!(
        "SELECT flow.asked_until AS lease_until",
        "FROM trading_money_flow AS flow WHERE flow.id = $1",
        flow as _
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.ok_or(PlatformError::Stored("trading_money_flow.id"))?)
}

/// Locks the flow and reads it. Payments are locked before flows.
pub(crate) async fn lock(connection: &mut PgConnection, flow: MoneyFlowId) -> Result<Flow, Error> {
    let found = flow_query!(
        "SELECT flow.asked_until AS lease_until",
        "FROM trading_money_flow AS flow WHERE flow.id = $1 FOR UPDATE",
        flow as _
    )
    .fetch_one(connection)
    .await?;
    Ok(found)
}

/// The profile's flows after the one at which a page ended, newest first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    profile: ProfileId,
    after: Option<MoneyFlowId>,
    limit: i64,
) -> Result<Vec<Flow>, Error> {
    let flows = flow_query!(
        "SELECT flow.asked_until AS lease_until",
        "FROM trading_money_flow AS flow WHERE flow.profile_id = $1 AND flow.id < $2 ORDER BY flow.id DESC LIMIT $3",
        profile as _,
        after.map_or(i64::MAX, |flow| flow.get()),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(flows)
}

/// The right to be the only one who asks the broker to carry a flow out.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    /// The flow as it was before the lease.
    pub(crate) flow: Flow,
    /// Another attempt was made before, and whether it reached the broker isn't known.
    pub(crate) previous_attempt_unknown: bool,
}

/// Takes the lease on a flow until `until`. `None` while another instance has it, when the broker needn't be asked any
/// more, and for a flow that was created at `forgotten_at` or earlier.
pub(crate) async fn try_lease(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    forgotten_at: DateTime<Utc>,
) -> Result<Option<Lease>, Error> {
    let leased = flow_query!(
        "UPDATE trading_money_flow AS flow SET asked_until = $3 \
         FROM (SELECT id, asked_until FROM trading_money_flow WHERE id = $1 FOR UPDATE) AS before \
         WHERE flow.id = before.id AND flow.provider_state IN ('intended', 'unknown') AND flow.created_at > $4 \
           AND (before.asked_until IS NULL OR before.asked_until <= $2) \
         RETURNING before.asked_until AS lease_until",
        "",
        flow as _,
        now,
        until,
        forgotten_at,
    )
    .fetch_optional(connection)
    .await?;
    Ok(leased.map(|flow| Lease {
        previous_attempt_unknown: flow.lease_until.is_some() || flow.provider_state == ProviderState::Unknown,
        flow,
    }))
}

/// Records that the broker has the flow, and when it is looked up; ends the lease. `None` when the call is known to have
/// gone otherwise: declined and parked stay so.
pub(crate) async fn accept(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    next_lookup_at: Option<DateTime<Utc>>,
) -> Result<Option<Flow>, Error> {
    let accepted = flow_query!(
        "UPDATE trading_money_flow AS flow SET provider_state = 'accepted', next_lookup_at = $2, asked_until = NULL \
         WHERE flow.id = $1 AND flow.provider_state IN ('intended', 'unknown', 'accepted') \
         RETURNING flow.asked_until AS lease_until",
        "",
        flow as _,
        next_lookup_at
    )
    .fetch_optional(connection)
    .await?;
    Ok(accepted)
}

/// Records the broker's refusal; `None` when the call is known to have gone otherwise.
pub(crate) async fn decline(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    failure_code: &str,
    failure_reason: &str,
    now: DateTime<Utc>,
) -> Result<Option<Flow>, Error> {
    let declined = flow_query!(
        "UPDATE trading_money_flow AS flow SET provider_state = 'declined', status = 'failed', failure_code = $2, \
         failure_reason = $3, next_lookup_at = NULL, asked_until = NULL, settled_at = $4, updated_at = $4 \
         WHERE flow.id = $1 AND flow.provider_state IN ('intended', 'unknown') \
           AND flow.status IN ('pending', 'approved') \
         RETURNING flow.asked_until AS lease_until",
        "",
        flow as _,
        failure_code,
        failure_reason,
        now
    )
    .fetch_optional(connection)
    .await?;
    Ok(declined)
}

/// Records that the outcome of the call stays open, whether it `may_be_made`, and when it is looked up; ends the lease.
/// `None` when the outcome has become known.
pub(crate) async fn leave_open(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    may_be_made: bool,
    next_lookup_at: DateTime<Utc>,
) -> Result<Option<Flow>, Error> {
    let open = flow_query!(
        "UPDATE trading_money_flow AS flow SET next_lookup_at = $3, asked_until = NULL, \
         provider_state = CASE WHEN $2 THEN 'unknown' ELSE flow.provider_state END \
         WHERE flow.id = $1 AND flow.provider_state IN ('intended', 'unknown') \
         RETURNING flow.asked_until AS lease_until",
        "",
        flow as _,
        may_be_made,
        next_lookup_at
    )
    .fetch_optional(connection)
    .await?;
    Ok(open)
}

/// Records that the broker refuses the token of the flow's bank account: it is tried once more with another one.
pub(crate) async fn set_token_refused(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    refused: &DriveWealthBankAccountId,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE trading_money_flow SET refused_bank_account = $2 \
         WHERE id = $1 AND refused_bank_account IS NULL AND provider_state IN ('intended', 'unknown')",
        flow as _,
        refused as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Sets when a flow that the broker has is looked up; the flow is locked.
pub(crate) async fn set_next_lookup(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE trading_money_flow SET next_lookup_at = $2 WHERE id = $1 AND provider_state = 'accepted'",
        flow as _,
        at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes a flow that waits for a person up again, with a payment of the broker's: it is looked up at a time. `false` when it
/// doesn't wait.
pub(crate) async fn take_up(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    next_lookup_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let taken_up = sqlx::query!(
        "UPDATE trading_money_flow SET provider_state = 'accepted', failure_reason = NULL, next_lookup_at = $2, \
         updated_at = $3 WHERE id = $1 AND provider_state = 'parked'",
        flow as _,
        next_lookup_at,
        now,
    )
    .execute(connection)
    .await?;
    Ok(taken_up.rows_affected() == 1)
}

/// Records that a flow which waits for a person never came about.
pub(crate) async fn rule_out(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    failure_code: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE trading_money_flow SET provider_state = 'declined', status = 'failed', failure_code = $2, \
         next_lookup_at = NULL, settled_at = $3, updated_at = $3 WHERE id = $1 AND provider_state = 'parked'",
        flow as _,
        failure_code,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts the flow into manual review, from whatever state the call is in.
pub(crate) async fn set_needs_review(
    connection: &mut PgConnection,
    flow: MoneyFlowId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE trading_money_flow SET provider_state = 'parked', next_lookup_at = NULL, asked_until = NULL, \
         failure_reason = $2, updated_at = $3 WHERE id = $1",
        flow as _,
        reason,
        now,
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
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE trading_money_flow SET status = $2, failure_code = $3, updated_at = $4, \
         settled_at = CASE WHEN $2 IN ('success', 'failed') THEN $4 ELSE settled_at END WHERE id = $1",
        flow as _,
        status as _,
        failure_code,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Both ends of a money flow, found for one profile.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) drivewealth_account_id: DriveWealthAccountId,
    pub(crate) bank: LinkedBankAccount,
}

/// Finds both ends among the profile's own.
pub(crate) async fn find_ends(
    connection: &mut PgConnection,
    profile: ProfileId,
    account: TradingAccountId,
    bank_account: BankAccountId,
) -> Result<Ends, Error> {
    let row = sqlx::query!(
        r#"SELECT drivewealth_accounts.ref_id AS "drivewealth_account_id?: DriveWealthAccountId",
                  plaid_items.item_id AS "item_id?", plaid_items.access_token_sealed AS "access_token_sealed?",
                  plaid_items.needs_reauth_since AS "needs_reauth_since?",
                  drivewealth_bank_accounts.token_invalid_since AS "token_invalid_since?",
                  plaid_items.ended_at IS NOT NULL OR bank_accounts.status = 'failed' AS "is_link_ended?",
                  bank_accounts.plaid_account_id AS "plaid_account_id?: PlaidAccountId",
                  bank_accounts.balance_cents AS "balance_cents?", bank_accounts.currency AS "currency?: Currency",
                  bank_accounts.balance_as_of AS "balance_as_of?"
           FROM (SELECT $1::BIGINT AS profile_id, $2::BIGINT AS account_id, $3::BIGINT AS bank_account_id) AS request
           LEFT JOIN trading_accounts
             ON trading_accounts.id = request.account_id AND trading_accounts.profile_id = request.profile_id
           LEFT JOIN drivewealth_accounts ON drivewealth_accounts.trading_account_id = trading_accounts.id
           LEFT JOIN bank_accounts
             ON bank_accounts.id = request.bank_account_id AND bank_accounts.profile_id = request.profile_id
            AND bank_accounts.deleted_at IS NULL
           LEFT JOIN drivewealth_bank_accounts ON drivewealth_bank_accounts.bank_account_id = bank_accounts.id
           LEFT JOIN plaid_items
             ON plaid_items.id = bank_accounts.plaid_item_id AND drivewealth_bank_accounts.ref_id IS NOT NULL"#,
        profile as _,
        account as _,
        bank_account as _,
    )
    .fetch_one(connection)
    .await?;
    let drivewealth_account_id = row.drivewealth_account_id.ok_or(Error::TradingAccountNotFound)?;
    let (Some(item_id), Some(access_token_sealed), Some(plaid_account_id)) =
        (row.item_id, row.access_token_sealed, row.plaid_account_id)
    else {
        return Err(Error::BankAccountNotFound);
    };
    Ok(Ends {
        drivewealth_account_id,
        bank: LinkedBankAccount {
            id: bank_account,
            profile,
            known: row
                .balance_cents
                .zip(row.currency)
                .map(|(cents, currency)| Money::new(cents, currency))
                .zip(row.balance_as_of),
            item_id,
            access_token_sealed,
            needs_sign_in: row.needs_reauth_since.is_some(),
            is_link_ended: row.is_link_ended.unwrap_or(false),
            is_token_invalid: row.token_invalid_since.is_some(),
            plaid_account_id,
        },
    })
}

/// The sum of the withdrawals that take from the account's cash: those under way, and those settled since `as_of`, which
/// may be missing from a figure that was fetched after it.
pub(crate) async fn reserved(
    connection: &mut PgConnection,
    account: TradingAccountId,
    as_of: DateTime<Utc>,
    currency: Currency,
) -> Result<Money, Error> {
    let reserved = sqlx::query_scalar!(
        r#"SELECT COALESCE(-SUM(amount_cents), 0)::BIGINT AS "reserved!" FROM trading_money_flow
           WHERE trading_account_id = $1 AND amount_cents < 0
             AND (status IN ('pending', 'approved') OR (status = 'success' AND settled_at >= $2))"#,
        account as _,
        as_of,
    )
    .fetch_one(connection)
    .await?;
    Ok(Money::new(reserved, currency))
}

/// The sum of the deposits that may not have left a bank account's shown balance: those under way, and those that succeeded at
/// `settled_since` or later. Those by an earlier link of the same account count, whatever has become of that link.
pub(crate) async fn promised(
    connection: &mut PgConnection,
    bank_account: BankAccountId,
    settled_since: DateTime<Utc>,
    currency: Currency,
) -> Result<Money, Error> {
    let promised = sqlx::query_scalar!(
        r#"SELECT COALESCE(SUM(amount_cents), 0)::BIGINT AS "promised!" FROM trading_money_flow
           WHERE amount_cents > 0 AND (status IN ('pending', 'approved') OR (status = 'success' AND settled_at >= $2))
             AND bank_account_id IN (
                 SELECT other.id FROM bank_accounts AS asked JOIN plaid_items AS link ON link.id = asked.plaid_item_id
                 JOIN bank_accounts AS other ON other.profile_id = asked.profile_id
                 JOIN plaid_items AS other_link ON other_link.id = other.plaid_item_id
                 WHERE asked.id = $1
                   AND (other.id = asked.id
                        OR (other_link.id = link.id AND other.plaid_account_id = asked.plaid_account_id)
                        OR (other_link.institution_id = link.institution_id
                            AND other.mask IS NOT DISTINCT FROM asked.mask AND other.bank_name = asked.bank_name)))"#,
        bank_account as _,
        settled_since,
    )
    .fetch_one(connection)
    .await?;
    Ok(Money::new(promised, currency))
}
