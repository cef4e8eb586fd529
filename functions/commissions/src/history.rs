//! The commissions a profile has paid.

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{InvoiceId, InvoicePaymentId, ProfileId};
use platform::config::Environment;
use platform::database::Database;
use platform::error::PlatformError;
use platform::pagination;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Error;
use crate::store::history::{self, Paid, YearTotal};

/// A commission that was paid.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PaidCommission {
    /// The invoice.
    #[schema(value_type = i64, minimum = 1)]
    pub invoice_id: InvoiceId,
    /// What was paid, in minor units.
    #[schema(minimum = 1)]
    pub amount_cents: i64,
    /// What was given back of it since, in minor units.
    #[schema(minimum = 0)]
    pub refunded_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// First day of the period.
    pub period_start: NaiveDate,
    /// Last day of the period.
    pub period_end: NaiveDate,
    /// What was charged.
    #[schema(examples("visa •••• 4242, 04/29"))]
    pub payment_method: String,
    /// When it was charged (RFC 3339, UTC).
    pub charged_at: DateTime<Utc>,
}

/// What was paid in a year.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct YearlyTotal {
    /// The calendar year in New York.
    pub year: i32,
    /// What was paid in it, in minor units.
    pub amount_cents: i64,
    /// What was given back of it since, in minor units.
    pub refunded_cents: i64,
    /// ISO 4217.
    pub currency: String,
}

/// A page of the commissions that were paid.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CommissionHistory {
    /// The newest first.
    pub items: Vec<PaidCommission>,
    /// Leads to the next page; null on the last.
    pub next_cursor: Option<String>,
    /// All that was ever paid, by year, the latest first.
    pub totals: Vec<YearlyTotal>,
}

/// A place in the history: the payment before it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Position(InvoicePaymentId);

/// The history.
#[derive(Debug)]
pub struct History {
    database: Database,
}

impl History {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            database: Database::read(environment)?,
        })
    }

    /// A page of the profile's history after a place in it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(
        &self,
        profile: ProfileId,
        after: Option<Position>,
        limit: u32,
    ) -> Result<CommissionHistory, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        let before = after.map_or(i64::MAX, |position| position.0.get());
        let mut paid = history::page(&mut connection, profile, before, i64::from(limit) + 1).await?;
        let totals = history::totals(&mut connection, profile).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = paid.len() > limit;
        paid.truncate(limit);
        let next = paid.last().filter(|_| has_more).map(|last| Position(last.id));
        Ok(CommissionHistory {
            items: paid.into_iter().map(PaidCommission::from).collect(),
            next_cursor: next
                .map(|position| pagination::encode(&position))
                .transpose()
                .map_err(PlatformError::from)?,
            totals: totals.into_iter().map(YearlyTotal::from).collect(),
        })
    }
}

impl From<Paid> for PaidCommission {
    fn from(paid: Paid) -> Self {
        Self {
            invoice_id: paid.invoice_id,
            amount_cents: paid.amount.minor(),
            refunded_cents: paid.refunded_cents,
            currency: paid.amount.currency().code().to_owned(),
            period_start: paid.period_start,
            period_end: paid.period_end,
            payment_method: paid.method_name,
            charged_at: paid.charged_at,
        }
    }
}

impl From<YearTotal> for YearlyTotal {
    fn from(total: YearTotal) -> Self {
        Self {
            year: total.year,
            amount_cents: total.amount_cents,
            refunded_cents: total.refunded_cents,
            currency: total.currency.trim().to_owned(),
        }
    }
}
