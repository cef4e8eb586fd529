//! A word of Stripe's that doesn't go with our record: no money state moves on it, a person looks at it.

use domain::ids::InvoicePaymentId;
use platform::observability::metrics;
use sqlx::PgConnection;

use crate::Error;
use crate::store::discrepancies;

/// A disagreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Discrepancy {
    /// What disagrees, for instance `amount`.
    pub(crate) kind: &'static str,
    /// The id at Stripe that it is about.
    pub(crate) subject: String,
    /// Our attempt, where there is one.
    pub(crate) attempt: Option<InvoicePaymentId>,
    /// What our record says.
    pub(crate) expected: String,
    /// What Stripe says.
    pub(crate) found: String,
}

impl Discrepancy {
    pub(crate) fn new(
        kind: &'static str,
        subject: impl ToString,
        expected: impl ToString,
        found: impl ToString,
    ) -> Self {
        Self {
            kind,
            subject: subject.to_string(),
            attempt: None,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    pub(crate) fn of(self, attempt: InvoicePaymentId) -> Self {
        Self {
            attempt: Some(attempt),
            ..self
        }
    }
}

/// Writes it down and raises the alarm; the same one again is only noted.
pub(crate) async fn park(
    connection: &mut PgConnection,
    discrepancy: &Discrepancy,
    source: &'static str,
) -> Result<(), Error> {
    let is_new = discrepancies::keep(connection, discrepancy, source).await?;
    tracing::error!(
        kind = discrepancy.kind,
        subject = discrepancy.subject,
        source,
        is_new,
        "Stripe and our record disagree; nothing was changed"
    );
    if is_new {
        metrics::count_with("BillingDiscrepancies", 1, &[("kind", discrepancy.kind)]);
    }
    Ok(())
}
