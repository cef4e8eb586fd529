//! `payees`.

use chrono::{DateTime, Utc};
use domain::funded::payee::Payability;
use domain::ids::{StripeAccountId, UserId};
use providers::stripe::connect::Payee;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;

/// A trader's account as Stripe last said.
#[derive(Debug, Clone)]
pub(crate) struct KnownPayee {
    pub(crate) account: Option<StripeAccountId>,
    pub(crate) transfers_active: bool,
    pub(crate) payouts_enabled: bool,
    pub(crate) is_paid_by_hand: bool,
    pub(crate) currently_due: Json<Vec<String>>,
    pub(crate) disabled_reason: Option<String>,
    pub(crate) bank_last4: Option<String>,
    pub(crate) as_of: Option<DateTime<Utc>>,
}

impl KnownPayee {
    pub(crate) fn payability(&self) -> Payability {
        Payability {
            transfers_active: self.transfers_active,
            payouts_enabled: self.payouts_enabled,
            is_paid_by_hand: self.is_paid_by_hand,
            has_bank_account: self.bank_last4.is_some(),
            disabled_reason: self.disabled_reason.clone(),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.account.is_some() && self.payability().is_ready()
    }
}

/// An account that is there, or is to be made.
#[derive(Debug, Clone)]
pub(super) struct Intended {
    pub(super) number: i64,
    pub(super) country: String,
    pub(super) requested_at: DateTime<Utc>,
    /// Until when none was made at Stripe whose answer was lost.
    pub(super) looked_until: DateTime<Utc>,
    pub(super) account: Option<StripeAccountId>,
    /// Whether it is asked for the first time.
    pub(super) is_new: bool,
}

/// The trader's account.
pub(crate) async fn find(connection: &mut PgConnection, user: UserId) -> Result<Option<KnownPayee>, Error> {
    let payee = sqlx::query_as!(
        KnownPayee,
        r#"SELECT stripe_account_id AS "account: _", transfers_active, payouts_enabled, is_paid_by_hand,
               currently_due AS "currently_due: _", disabled_reason, bank_last4, as_of
           FROM payees WHERE user_id = $1"#,
        user as _,
    );
    Ok(payee.fetch_optional(connection).await?)
}

/// Notes that the trader is to have an account, once; none for a user who isn't a trader.
pub(super) async fn intend(
    connection: &mut PgConnection,
    user: UserId,
    now: DateTime<Utc>,
) -> Result<Option<Intended>, Error> {
    let inserted = sqlx::query!(
        "INSERT INTO payees (user_id, country, requested_at) SELECT user_id, country, $2 FROM traders WHERE user_id = $1 \
         ON CONFLICT (user_id) DO NOTHING",
        user as _,
        now,
    )
    .execute(&mut *connection)
    .await?;
    let intended = sqlx::query_as!(
        Intended,
        r#"SELECT number, country, requested_at, GREATEST(requested_at, looked_until) AS "looked_until!",
               stripe_account_id AS "account: _", $2::BOOLEAN AS "is_new!"
           FROM payees WHERE user_id = $1"#,
        user as _,
        inserted.rows_affected() == 1,
    );
    Ok(intended.fetch_optional(connection).await?)
}

/// Notes until when no account was made at Stripe for the trader.
pub(super) async fn set_looked_until(
    connection: &mut PgConnection,
    user: UserId,
    number: i64,
    until: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE payees SET looked_until = $3 \
         WHERE user_id = $1 AND number = $2 AND stripe_account_id IS NULL AND (looked_until IS NULL OR looked_until < $3)",
        user as _,
        number,
        until,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes which account the trader's is.
pub(super) async fn set_account(
    connection: &mut PgConnection,
    user: UserId,
    number: i64,
    account: &StripeAccountId,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE payees SET stripe_account_id = $3 WHERE user_id = $1 AND number = $2 AND stripe_account_id IS NULL",
        user as _,
        number,
        account as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records what Stripe said of an account when it was asked; what was asked before changes nothing.
pub(super) async fn record(
    connection: &mut PgConnection,
    payee: &Payee,
    asked_at: DateTime<Utc>,
) -> Result<(), Error> {
    let Payability {
        transfers_active,
        payouts_enabled,
        is_paid_by_hand,
        disabled_reason,
        ..
    } = &payee.payability;
    sqlx::query!(
        "UPDATE payees SET transfers_active = $2, payouts_enabled = $3, is_paid_by_hand = $4, currently_due = $5, \
             disabled_reason = $6, bank_account_id = $7, bank_last4 = $8, as_of = $9, \
             bank_since = CASE WHEN $7::TEXT IS NULL THEN NULL WHEN bank_account_id = $7 THEN bank_since ELSE $9 END \
         WHERE stripe_account_id = $1 AND (as_of IS NULL OR as_of <= $9)",
        &payee.id as _,
        transfers_active,
        payouts_enabled,
        is_paid_by_hand,
        Json(&payee.currently_due) as _,
        disabled_reason.as_deref(),
        payee.bank.as_ref().map(|bank| bank.id.as_str()),
        payee.bank.as_ref().map(|bank| bank.last4.as_str()),
        asked_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets an account that isn't connected to ours any more: its trader begins anew, with another one.
pub(super) async fn let_go(
    connection: &mut PgConnection,
    account: &StripeAccountId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE payees SET number = number + 1, requested_at = $2, stripe_account_id = NULL, transfers_active = FALSE, \
             payouts_enabled = FALSE, is_paid_by_hand = FALSE, currently_due = '[]', disabled_reason = NULL, \
             bank_account_id = NULL, bank_last4 = NULL, bank_since = NULL, as_of = NULL \
         WHERE stripe_account_id = $1",
        account as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the account is a trader's.
pub(crate) async fn is_known(
    connection: &mut PgConnection,
    account: &StripeAccountId,
) -> Result<bool, Error> {
    let known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM payees WHERE stripe_account_id = $1) AS "is_known!""#,
        account as _,
    );
    Ok(known.fetch_one(connection).await?)
}
