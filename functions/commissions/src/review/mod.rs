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
/// Stripe refuses a charge through a fault of ours.
pub(crate) const CHARGE_REFUSED: &str = "charge-refused";
/// All retries of an invoice failed.
pub(crate) const INVOICE_UNCOLLECTIBLE: &str = "invoice-uncollectible";

/// Stripe conflicts with our record.
pub(crate) const DISCREPANCY: &str = "billing-discrepancy";

/// It is settled at Stripe or in our record.
pub(crate) const CLOSE: &str = "close";
/// Look a charge up once more.
pub(crate) const LOOK_UP_AGAIN: &str = "look-up-again";
/// Nothing was taken: the charge ends without counting.
pub(crate) const RECORD_NOT_CHARGED: &str = "record-not-charged";
/// Try the same charge again at once.
pub(crate) const TRY_AGAIN: &str = "try-again";
/// End the charge without counting it, and begin another.
pub(crate) const CHARGE_ANEW: &str = "charge-anew";
/// Take an invoice back.
pub(crate) const VOID_INVOICE: &str = "void-invoice";
/// Leave it as it is.
pub(crate) const KEEP_OWED: &str = "keep-owed";

const UNKNOWN_OUTCOME_ACTIONS: &[Action] = &[
    Action::new(
        LOOK_UP_AGAIN,
        "Looks for the payment at Stripe by its key; where Stripe has none, it is charged again under the same key.",
    ),
    Action::new(
        RECORD_NOT_CHARGED,
        "You have looked at Stripe, and nothing was taken nor will be: the charge ends without counting against its \
         customer, and the invoice is charged anew. Money that comes of it all the same is recorded.",
    ),
];
const REFUSED_ACTIONS: &[Action] = &[
    Action::new(
        TRY_AGAIN,
        "Tries the same charge again at once, under the same key, for which Stripe may repeat its refusal for a day.",
    ),
    Action::new(
        CHARGE_ANEW,
        "The cause is mended: the charge ends without counting against its customer, and another one is made at once.",
    ),
];
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

const DISCREPANCY_ACTIONS: &[Action] = &[Action::new(
    CLOSE,
    "You have settled it: a second payment is refunded at Stripe, or the difference is explained. Nothing is changed; when it is \
     found again, it is open again.",
)];

/// What a review says of a discrepancy.
#[derive(Debug)]
pub(crate) struct ReviewedDiscrepancy<'a> {
    pub(crate) kind: &'static str,
    /// The id at Stripe that it is about.
    pub(crate) subject: &'a str,
    pub(crate) charge: Option<ChargeId>,
    pub(crate) expected: &'a str,
    pub(crate) found: &'a str,
}

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

impl ReviewedCharge<'_> {
    fn shown(&self) -> Value {
        json!({
            "invoice_id": self.invoice, "key": self.key, "amount": self.amount.to_string(),
            "created_at": self.created_at,
        })
    }
}

/// A charge is left to a person.
pub(crate) async fn charge_outcome_unknown(
    connection: &mut PgConnection,
    charge: &ReviewedCharge<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
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
            ours: charge.shown(),
            theirs: Value::Null,
        },
        actions: UNKNOWN_OUTCOME_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// Stripe refuses a charge through a fault of ours.
pub(crate) async fn charge_refused(
    connection: &mut PgConnection,
    charge: &ReviewedCharge<'_>,
    code: &str,
    message: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = NewReview {
        area: AREA,
        kind: CHARGE_REFUSED,
        subject: subject_of_charge(charge.id),
        about: Subject::profile(charge.profile),
        summary: format!(
            "Stripe refuses the charge {} with {code}: a fault of ours",
            charge.key
        ),
        evidence: Evidence {
            ours: charge.shown(),
            theirs: json!({ "code": code, "message": message }),
        },
        actions: REFUSED_ACTIONS,
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
    review::settle(connection, AREA, CHARGE_REFUSED, &subject, &reason, now).await?;
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

/// Stripe conflicts with our record; no money state has changed by it.
pub(crate) async fn discrepancy(
    connection: &mut PgConnection,
    discrepancy: &ReviewedDiscrepancy<'_>,
    source: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ReviewedDiscrepancy {
        kind,
        subject,
        charge,
        expected,
        found,
    } = discrepancy;
    let review = NewReview {
        area: AREA,
        kind: DISCREPANCY,
        subject: format!("{kind} {subject}"),
        about: Subject::NOBODY,
        summary: format!("Stripe conflicts with our record about {subject} ({kind})"),
        evidence: Evidence {
            ours: json!({ "charge_id": charge, "expected": expected, "found_by": source }),
            theirs: json!({ "id": subject, "found": found }),
        },
        actions: DISCREPANCY_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

fn subject_of_charge(charge: ChargeId) -> String {
    format!("charge-{charge}")
}

fn subject_of_invoice(invoice: InvoiceId) -> String {
    format!("invoice-{invoice}")
}
