//! What of commissions waits for a person: the reviews that are opened here. What a decision does is in
//! [`review_decision`](crate::review_decision).

use chrono::{DateTime, Utc};
use domain::ids::{ChargeId, InvoiceId, ProfileId};
use domain::money::Money;
use platform::review::{self, Action, Evidence, NewReview, Subject};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::Error;

/// The area, as its queue of decisions names it.
const AREA: &str = "commissions";

/// A charge's outcome stayed unknown after all look-ups.
pub(crate) const CHARGE_OUTCOME_UNKNOWN: &str = "charge-outcome-unknown";
/// All retries of an invoice failed.
pub(crate) const INVOICE_UNCOLLECTIBLE: &str = "invoice-uncollectible";

/// Look a charge up once more.
pub(crate) const LOOK_UP_AGAIN: &str = "look-up-again";
/// Take an invoice back.
pub(crate) const VOID_INVOICE: &str = "void-invoice";
/// Leave it as it is.
pub(crate) const KEEP_OWED: &str = "keep-owed";

const UNKNOWN_OUTCOME_ACTIONS: &[Action] = &[Action::new(
    LOOK_UP_AGAIN,
    "Looks for the payment at Stripe by its key; where Stripe has none, it is charged again under the same key.",
)];
const UNCOLLECTIBLE_ACTIONS: &[Action] = &[
    Action::new(
        VOID_INVOICE,
        "Takes the invoice back: nothing is owed for it, and buying is possible again when nothing else is owed.",
    ),
    Action::new(
        KEEP_OWED,
        "Leaves it owed, and buying suspended, until another payment method pays.",
    ),
];

/// What a review says of a charge.
#[derive(Debug)]
pub(crate) struct ReviewedCharge<'a> {
    pub(crate) id: ChargeId,
    pub(crate) invoice: InvoiceId,
    pub(crate) profile: ProfileId,
    pub(crate) key: &'a str,
    pub(crate) amount: Money,
    pub(crate) created_at: DateTime<Utc>,
}

/// A charge is left to a person.
pub(crate) async fn charge_outcome_unknown(
    connection: &mut PgConnection,
    charge: &ReviewedCharge<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ours = json!({
        "invoice_id": charge.invoice, "key": charge.key, "amount": charge.amount.to_string(),
        "created_at": charge.created_at,
    });
    let review = NewReview {
        area: AREA,
        kind: CHARGE_OUTCOME_UNKNOWN,
        subject: subject_of_charge(charge.id),
        about: Subject::profile(charge.profile),
        summary: format!(
            "Stripe never said what came of the charge {} of {}",
            charge.key, charge.amount
        ),
        evidence: Evidence {
            ours,
            theirs: Value::Null,
        },
        actions: UNKNOWN_OUTCOME_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// The outcome of a charge is known: there is nothing left to decide about it.
pub(crate) async fn charge_outcome_known(
    connection: &mut PgConnection,
    charge: ChargeId,
    status: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (subject, reason) = (subject_of_charge(charge), format!("it is {status}"));
    review::settle(connection, AREA, CHARGE_OUTCOME_UNKNOWN, &subject, &reason, now).await?;
    Ok(())
}

/// An invoice became uncollectible.
pub(crate) async fn invoice_uncollectible(
    connection: &mut PgConnection,
    invoice: InvoiceId,
    profile: ProfileId,
    amount: Money,
    failed_attempts: u32,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = NewReview {
        area: AREA,
        kind: INVOICE_UNCOLLECTIBLE,
        subject: subject_of_invoice(invoice),
        about: Subject::profile(profile),
        summary: format!("Invoice {invoice} of {amount} couldn't be charged; buying is suspended"),
        evidence: Evidence {
            ours: json!({ "invoice_id": invoice, "amount": amount.to_string(), "failed_attempts": failed_attempts }),
            theirs: Value::Null,
        },
        actions: UNCOLLECTIBLE_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// An invoice was paid: there is nothing left to decide about it.
pub(crate) async fn invoice_paid(
    connection: &mut PgConnection,
    invoice: InvoiceId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let subject = subject_of_invoice(invoice);
    review::settle(
        connection,
        AREA,
        INVOICE_UNCOLLECTIBLE,
        &subject,
        "it was paid",
        now,
    )
    .await?;
    Ok(())
}

fn subject_of_charge(charge: ChargeId) -> String {
    format!("charge-{charge}")
}

fn subject_of_invoice(invoice: InvoiceId) -> String {
    format!("invoice-{invoice}")
}
