//! What of withdrawals waits for a person. What a decision does is in [`review_decision`](crate::review_decision).

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::WithdrawalId;
use domain::money::Money;
use platform::review::{self, Action, Evidence, NewReview, Subject};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::Error;
use crate::withdrawal::row::Withdrawal;

/// The area, as its queue of decisions names it.
const AREA: &str = "funded-accounts";

/// A withdrawal that isn't approved by itself.
pub(crate) const WITHDRAWAL_APPROVAL: &str = "withdrawal-approval";
/// Stripe refuses a withdrawal through a fault of ours.
pub(crate) const WITHDRAWAL_REFUSED: &str = "withdrawal-refused";
/// Stripe conflicts with our record of a withdrawal.
pub(crate) const PAYOUT_DISCREPANCY: &str = "payout-discrepancy";

/// Pay it.
pub(crate) const APPROVE: &str = "approve";
/// Don't pay it.
pub(crate) const REJECT: &str = "reject";
/// Try the step again that was refused.
pub(crate) const TRY_AGAIN: &str = "try-again";
/// Take back what was moved, and end it.
pub(crate) const GIVE_UP: &str = "give-up";
/// It is settled.
pub(crate) const CLOSE: &str = "close";

const APPROVAL_ACTIONS: &[Action] = &[
    Action::new(
        APPROVE,
        "Pays it. It is judged once more before its money leaves, and comes back here when it is not allowed any more.",
    ),
    Action::new(
        REJECT,
        "Refuses it, for good; its profit can be withdrawn again. The trader sees the reason.",
    ),
];
const REFUSED_ACTIONS: &[Action] = &[
    Action::new(
        TRY_AGAIN,
        "The cause is mended: takes the step again that was refused. What was done before is looked for first.",
    ),
    Action::new(
        GIVE_UP,
        "Takes back what was moved to the trader's account at Stripe, and ends the withdrawal as failed; its profit can be \
         withdrawn again.",
    ),
];
const DISCREPANCY_ACTIONS: &[Action] = &[Action::new(
    CLOSE,
    "You have settled it: it is explained, or mended at Stripe. Nothing is changed; when it is found again, it is open again.",
)];

/// What a withdrawal's reviews are about.
pub(crate) fn subject(id: WithdrawalId) -> String {
    format!("withdrawal-{id}")
}

fn shown(withdrawal: &Withdrawal) -> Value {
    json!({
        "withdrawal_id": withdrawal.id, "funded_account_id": withdrawal.funded_account_id, "user_id": withdrawal.user_id,
        "amount": amount(withdrawal).to_string(), "gross_cents": withdrawal.gross_cents,
        "requested_at": withdrawal.requested_at, "review_reasons": withdrawal.review_reasons,
    })
}

fn amount(withdrawal: &Withdrawal) -> Money {
    Money::new(withdrawal.amount_cents, Currency::USD)
}

/// A withdrawal waits for a person's word.
pub(crate) async fn withdrawal_waits(
    connection: &mut PgConnection,
    withdrawal: &Withdrawal,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = NewReview {
        area: AREA,
        kind: WITHDRAWAL_APPROVAL,
        subject: subject(withdrawal.id),
        about: Subject::user(withdrawal.user_id),
        summary: format!(
            "A withdrawal of {} from funded account {} waits ({})",
            amount(withdrawal),
            withdrawal.funded_account_id,
            withdrawal.review_reasons.0.join(", ")
        ),
        evidence: Evidence {
            ours: shown(withdrawal),
            theirs: Value::Null,
        },
        actions: APPROVAL_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// Stripe refuses a withdrawal through a fault of ours.
pub(crate) async fn withdrawal_refused(
    connection: &mut PgConnection,
    withdrawal: &Withdrawal,
    code: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = NewReview {
        area: AREA,
        kind: WITHDRAWAL_REFUSED,
        subject: subject(withdrawal.id),
        about: Subject::user(withdrawal.user_id),
        summary: format!(
            "Stripe refuses the withdrawal {} of {} with {code}",
            withdrawal.id,
            amount(withdrawal)
        ),
        evidence: Evidence {
            ours: shown(withdrawal),
            theirs: json!({ "code": code }),
        },
        actions: REFUSED_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// Something that Stripe and our record say differently.
#[derive(Debug)]
pub(crate) struct Discrepancy {
    /// The withdrawal, or the id at Stripe of what belongs to none.
    pub(crate) subject: String,
    /// What is wrong, for people.
    pub(crate) summary: String,
    pub(crate) ours: Value,
    pub(crate) theirs: Value,
}

/// Stripe conflicts with our records; nothing was changed by it.
pub(crate) async fn discrepancies(
    connection: &mut PgConnection,
    found: Vec<Discrepancy>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let reviews: Vec<NewReview> = found
        .into_iter()
        .map(|discrepancy| NewReview {
            area: AREA,
            kind: PAYOUT_DISCREPANCY,
            subject: discrepancy.subject,
            about: Subject::NOBODY,
            summary: discrepancy.summary,
            evidence: Evidence {
                ours: discrepancy.ours,
                theirs: discrepancy.theirs,
            },
            actions: DISCREPANCY_ACTIONS,
        })
        .collect();
    Ok(review::open_all(connection, &reviews, now).await?)
}

/// A withdrawal was settled without a person.
pub(crate) async fn withdrawal_settled(
    connection: &mut PgConnection,
    withdrawal: &Withdrawal,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    withdrawals_settled(connection, std::slice::from_ref(withdrawal), reason, now).await
}

/// Withdrawals were settled without a person.
pub(crate) async fn withdrawals_settled(
    connection: &mut PgConnection,
    withdrawals: &[Withdrawal],
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let subjects: Vec<String> = withdrawals
        .iter()
        .map(|withdrawal| subject(withdrawal.id))
        .collect();
    for kind in [WITHDRAWAL_APPROVAL, WITHDRAWAL_REFUSED] {
        review::settle_all(connection, AREA, kind, &subjects, reason, now).await?;
    }
    Ok(())
}
