//! A Stripe object that conflicts with our record: recorded for manual review, money state unchanged.

mod store;

use chrono::{DateTime, Utc};
use domain::ids::ChargeId;
use platform::observability::metrics;
use sqlx::PgConnection;

use crate::Error;
use crate::review::{self, ReviewedDiscrepancy};
pub(crate) use store::{Discrepancy, close};

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
            charge: None,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    /// The same, about a charge of ours.
    pub(crate) fn of(self, charge: ChargeId) -> Self {
        Self {
            charge: Some(charge),
            ..self
        }
    }

    /// Records it and raises the alarm; seen again, only the time of that is recorded. `source` is the operation that
    /// found it.
    pub(crate) async fn record(
        &self,
        connection: &mut PgConnection,
        source: &'static str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let is_new = store::save(connection, self, source, now).await?;
        tracing::error!(
            kind = self.kind,
            subject = self.subject,
            source,
            is_new,
            "Stripe conflicts with our record; nothing was changed"
        );
        if is_new {
            metrics::count_with("BillingDiscrepancies", 1, &[("kind", self.kind)]);
        }
        review::discrepancy(
            connection,
            &ReviewedDiscrepancy {
                kind: self.kind,
                subject: &self.subject,
                charge: self.charge,
                expected: &self.expected,
                found: &self.found,
            },
            source,
            now,
        )
        .await
    }
}
