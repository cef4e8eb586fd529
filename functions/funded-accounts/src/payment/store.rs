//! `withdrawals`, as their money moves.

use chrono::{DateTime, TimeDelta, Utc};
use domain::funded::saga::Progress;
use domain::funded::withdrawal::WithdrawalStatus;
use domain::ids::{
    FundedAccountId, StripeAccountId, StripeBankAccountId, StripePayoutId, StripeTransferId,
    StripeTransferReversalId, UserId, WithdrawalId,
};
use providers::stripe::connect::Payout;
use sqlx::PgConnection;

use crate::Error;
use crate::withdrawal::facts::Terms;

/// How long a withdrawal belongs to who works on it: longer than a function runs.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// When a step is tried again that had to wait.
const PAUSE: TimeDelta = TimeDelta::minutes(1);

/// How many steps are done before the payout.
const BEFORE_PAYOUT: usize = 3;

/// A withdrawal whose money moves.
#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) id: WithdrawalId,
    pub(crate) funded_account_id: FundedAccountId,
    pub(crate) user_id: UserId,
    pub(crate) status: WithdrawalStatus,
    pub(crate) amount_cents: i64,
    pub(crate) released_at: Option<DateTime<Utc>>,
    pub(crate) account: Option<StripeAccountId>,
    pub(crate) bank: Option<StripeBankAccountId>,
    pub(crate) transfer_attempt: i64,
    pub(crate) transfer_intended_at: Option<DateTime<Utc>>,
    pub(crate) transfer: Option<StripeTransferId>,
    pub(crate) attempt: i64,
    pub(crate) payout_intended_at: Option<DateTime<Utc>>,
    pub(crate) payout: Option<StripePayoutId>,
    pub(crate) returned_at: Option<DateTime<Utc>>,
    pub(crate) failure_code: Option<String>,
    pub(crate) gives_up: bool,
    /// How often Stripe has refused to take back what was sent.
    pub(crate) undo_refusals: i64,
    /// Where the trader is paid now.
    pub(crate) present_bank: Option<StripeBankAccountId>,
}

impl Payment {
    /// Whether the trader has named another bank account than the one that gave the payout back.
    pub(crate) fn has_another_bank(&self) -> bool {
        self.present_bank.is_some() && self.present_bank != self.bank
    }

    /// How far it has come by its record, where that says less than its journal: a release was taken back with a transfer
    /// that was refused, or a payout came back.
    pub(super) fn resumed(&self, progress: Progress) -> Progress {
        let most = match (self.released_at, &self.payout) {
            (None, _) => 0,
            (Some(_), None) => BEFORE_PAYOUT,
            (Some(_), Some(_)) => progress.done,
        };
        match progress.is_undoing {
            true => progress,
            false => Progress {
                done: progress.done.min(most),
                ..progress
            },
        }
    }
}

/// A withdrawal as its money has moved so far.
pub(crate) async fn load(connection: &mut PgConnection, id: WithdrawalId) -> Result<Payment, Error> {
    let payment = sqlx::query_as!(
        Payment,
        r#"SELECT withdrawals.id AS "id!: _", funded_account_id AS "funded_account_id!: _",
               withdrawals.user_id AS "user_id!: _", status AS "status!: _", amount_cents AS "amount_cents!", released_at,
               withdrawals.stripe_account_id AS "account: _", withdrawals.bank_account_id AS "bank: _",
               transfer_attempt AS "transfer_attempt!",
               transfer_intended_at, stripe_transfer_id AS "transfer: _", attempt AS "attempt!", payout_intended_at,
               stripe_payout_id AS "payout: _", returned_at, failure_code, gives_up AS "gives_up!",
               undo_refusals AS "undo_refusals!",
               CASE WHEN payees.stripe_account_id = withdrawals.stripe_account_id THEN payees.bank_account_id END
                   AS "present_bank: _"
             FROM withdrawals LEFT JOIN payees ON payees.user_id = withdrawals.user_id WHERE withdrawals.id = $1"#,
        id as _,
    );
    payment
        .fetch_optional(connection)
        .await?
        .ok_or(Error::WithdrawalNotFound)
}

/// Takes a withdrawal to work on, if its money is to move and nobody else does.
pub(super) async fn lease(
    connection: &mut PgConnection,
    id: WithdrawalId,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let leased = sqlx::query!(
        "UPDATE withdrawals SET leased_until = $3 WHERE id = $1 AND status = 'approved' AND parked_at IS NULL \
             AND (leased_until IS NULL OR leased_until <= $2)",
        id as _,
        now,
        now + LEASE,
    )
    .execute(connection)
    .await?;
    Ok(leased.rows_affected() == 1)
}

/// Gives it back; what is left of it is due in a moment.
pub(super) async fn give_back(
    connection: &mut PgConnection,
    id: WithdrawalId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE withdrawals SET leased_until = NULL, next_step_at = CASE WHEN status <> 'approved' THEN NULL \
             WHEN returned_at IS NULL THEN $2 ELSE next_step_at END \
         WHERE id = $1",
        id as _,
        now + PAUSE,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// It was judged for the last time: its money may leave, to the account and the bank that were judged.
pub(super) async fn release(
    connection: &mut PgConnection,
    id: WithdrawalId,
    terms: &Terms,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE withdrawals SET released_at = $2, stripe_account_id = $3, bank_account_id = $4 \
         WHERE id = $1 AND status = 'approved'",
        id as _,
        now,
        terms.payee.as_ref() as _,
        terms.bank.as_ref() as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Its money is with us: it may be judged, and refused, again.
pub(super) async fn hold(connection: &mut PgConnection, id: WithdrawalId) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE withdrawals SET released_at = NULL, stripe_account_id = NULL, bank_account_id = NULL \
         WHERE id = $1 AND status = 'approved' AND transfer_intended_at IS NULL",
        id as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that its transfer is asked for; whether it was before.
pub(super) async fn intend_transfer(
    connection: &mut PgConnection,
    id: WithdrawalId,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let intended = sqlx::query!(
        "UPDATE withdrawals SET transfer_intended_at = $2 WHERE id = $1 AND transfer_intended_at IS NULL",
        id as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(intended.rows_affected() == 0)
}

/// Its money was moved.
pub(super) async fn record_transfer(
    connection: &mut PgConnection,
    id: WithdrawalId,
    transfer: &StripeTransferId,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE withdrawals SET stripe_transfer_id = $2 WHERE id = $1 AND stripe_transfer_id IS NULL",
        id as _,
        transfer as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Nothing is moved any more: whoever moves it again counts anew.
pub(super) async fn forget_transfer(
    connection: &mut PgConnection,
    id: WithdrawalId,
    reversal: Option<&StripeTransferReversalId>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE withdrawals SET transfer_intended_at = NULL, stripe_transfer_id = NULL, \
             transfer_attempt = transfer_attempt + 1, stripe_reversal_id = COALESCE($2, stripe_reversal_id) \
         WHERE id = $1 AND transfer_intended_at IS NOT NULL",
        id as _,
        reversal as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Its transfer of this attempt was refused, so nothing was moved: it is judged and released anew before it is asked for
/// again.
pub(super) async fn decline_transfer(
    connection: &mut PgConnection,
    id: WithdrawalId,
    attempt: i64,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE withdrawals SET released_at = NULL, stripe_account_id = NULL, bank_account_id = NULL, \
             transfer_intended_at = NULL, transfer_attempt = transfer_attempt + 1 \
         WHERE id = $1 AND transfer_attempt = $2 AND status = 'approved' AND transfer_intended_at IS NOT NULL \
             AND stripe_transfer_id IS NULL",
        id as _,
        attempt,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Stripe has refused to take back what was sent.
pub(super) async fn count_refusal(connection: &mut PgConnection, payment: &Payment) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE withdrawals SET undo_refusals = undo_refusals + 1 WHERE id = $1 AND undo_refusals = $2",
        payment.id as _,
        payment.undo_refusals,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that its payout is asked for; whether it was before.
pub(super) async fn intend_payout(
    connection: &mut PgConnection,
    id: WithdrawalId,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let intended = sqlx::query!(
        "UPDATE withdrawals SET payout_intended_at = $2 WHERE id = $1 AND payout_intended_at IS NULL",
        id as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(intended.rows_affected() == 0)
}

/// Stripe has taken its payout, the one of this attempt.
pub(crate) async fn record_payout(
    connection: &mut PgConnection,
    id: WithdrawalId,
    attempt: i64,
    payout: &Payout,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE withdrawals SET stripe_payout_id = $3, arrives_at = $4 \
         WHERE id = $1 AND attempt = $2 AND stripe_payout_id IS NULL",
        id as _,
        attempt,
        &payout.id as _,
        payout.arrives_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// No payout is on its way any more: another one counts anew.
pub(super) async fn forget_payout(connection: &mut PgConnection, id: WithdrawalId) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE withdrawals SET payout_intended_at = NULL, stripe_payout_id = NULL, arrives_at = NULL, attempt = attempt + 1 \
         WHERE id = $1 AND status = 'approved' AND payout_intended_at IS NOT NULL",
        id as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// It is completed; `false` where it isn't on its way any more.
pub(super) async fn complete(
    connection: &mut PgConnection,
    id: WithdrawalId,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let completed = sqlx::query!(
        "UPDATE withdrawals SET status = 'completed', completed_at = $2, next_step_at = NULL, failure_code = NULL \
         WHERE id = $1 AND status = 'approved' AND stripe_payout_id IS NOT NULL AND returned_at IS NULL",
        id as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(completed.rows_affected() == 1)
}

/// The bank has it.
pub(crate) async fn set_paid(
    connection: &mut PgConnection,
    id: WithdrawalId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE withdrawals SET paid_at = COALESCE(paid_at, $2) WHERE id = $1",
        id as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The bank gave its payout back: the money is with the trader's account at Stripe.
pub(crate) async fn set_returned(
    connection: &mut PgConnection,
    id: WithdrawalId,
    failure_code: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE withdrawals SET status = 'approved', completed_at = NULL, paid_at = NULL, arrives_at = NULL, \
             stripe_payout_id = NULL, payout_intended_at = NULL, attempt = attempt + 1, failure_code = $2, returned_at = $3, \
             next_step_at = $3 \
         WHERE id = $1 AND status IN ('approved', 'completed')",
        id as _,
        failure_code,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// It goes to the trader's present bank account.
pub(super) async fn to_present_bank(connection: &mut PgConnection, payment: &Payment) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE withdrawals SET bank_account_id = $2, returned_at = NULL WHERE id = $1 AND status = 'approved'",
        payment.id as _,
        payment.present_bank.as_ref() as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// It can't be paid, and its money is with us.
pub(super) async fn fail(
    connection: &mut PgConnection,
    id: WithdrawalId,
    failure_code: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let failed = sqlx::query!(
        "UPDATE withdrawals SET status = 'failed', failed_at = $2, failure_code = $3, next_step_at = NULL \
         WHERE id = $1 AND status = 'approved' AND transfer_intended_at IS NULL",
        id as _,
        now,
        failure_code,
    )
    .execute(connection)
    .await?;
    Ok(failed.rows_affected() == 1)
}

/// It waits for a person again, who sees that something has changed.
pub(super) async fn back_to_review(
    connection: &mut PgConnection,
    id: WithdrawalId,
    reason: &str,
) -> Result<bool, Error> {
    let sent_back = sqlx::query!(
        "UPDATE withdrawals SET status = 'pending', approved_at = NULL, reviewed_by = NULL, next_step_at = NULL, \
             judged_bank_account_id = NULL, review_reasons = to_jsonb(ARRAY[$2]) \
         WHERE id = $1 AND status = 'approved' AND released_at IS NULL",
        id as _,
        reason,
    )
    .execute(connection)
    .await?;
    Ok(sent_back.rows_affected() == 1)
}

/// A person has to look at it before it goes on.
pub(super) async fn park(
    connection: &mut PgConnection,
    id: WithdrawalId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE withdrawals SET parked_at = $2, gives_up = FALSE WHERE id = $1 AND status = 'approved'",
        id as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A person has looked at it: it goes on, to its end or back; `false` where it didn't wait for that.
pub(crate) async fn take_up(
    connection: &mut PgConnection,
    id: WithdrawalId,
    gives_up: bool,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let taken_up = sqlx::query!(
        "UPDATE withdrawals SET parked_at = NULL, gives_up = $2, next_step_at = $3 \
         WHERE id = $1 AND status = 'approved' AND parked_at IS NOT NULL",
        id as _,
        gives_up,
        now,
    )
    .execute(connection)
    .await?;
    Ok(taken_up.rows_affected() == 1)
}

/// Counts what the account's completed withdrawals have used up.
pub(crate) async fn sum_up(connection: &mut PgConnection, account: FundedAccountId) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE funded_virtual_accounts SET total_withdrawals_cents = \
             (SELECT COALESCE(SUM(gross_cents), 0) FROM withdrawals WHERE funded_account_id = $1 AND status = 'completed') \
         WHERE funded_account_id = $1",
        account as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the withdrawals whose next step is due; what waits for another bank account is due when there is one, or after a
/// while.
pub(crate) async fn take_due(
    connection: &mut PgConnection,
    gives_up_before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<WithdrawalId>, Error> {
    let due = sqlx::query_scalar!(
        r#"UPDATE withdrawals SET next_step_at = $3
           FROM (SELECT id FROM withdrawals LEFT JOIN payees USING (user_id)
                 WHERE status = 'approved' AND parked_at IS NULL AND next_step_at <= $1
                     AND (returned_at IS NULL OR returned_at <= $2
                          OR (payees.stripe_account_id = withdrawals.stripe_account_id
                              AND payees.bank_account_id <> withdrawals.bank_account_id))) AS due
           WHERE withdrawals.id = due.id
           RETURNING withdrawals.id AS "id: _""#,
        now,
        gives_up_before,
        now + PAUSE,
    );
    Ok(due.fetch_all(connection).await?)
}

/// How many withdrawals were released before a time and are still on their way, none of them because of the trader's bank.
pub(crate) async fn stuck(
    connection: &mut PgConnection,
    released_before: DateTime<Utc>,
) -> Result<i64, Error> {
    let stuck = sqlx::query_scalar!(
        r#"SELECT COUNT(*) AS "stuck!" FROM withdrawals WHERE status = 'approved' AND returned_at IS NULL AND released_at < $1"#,
        released_before,
    );
    Ok(stuck.fetch_one(connection).await?)
}
