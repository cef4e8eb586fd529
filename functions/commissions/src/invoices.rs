//! The invoices of a profile.

use chrono::{DateTime, NaiveDate, Utc};
use domain::billing::charge::AttemptStatus;
use domain::billing::decline;
use domain::billing::invoice::InvoiceStatus;
use domain::ids::{InvoiceId, ProfileId, StripePaymentIntentId};
use domain::market::MarketCalendar;
use domain::money::Money;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::PlatformError;
use platform::pagination::{self, Page};
use providers::outcome::Outcome;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::Error;
use crate::document::{self, Calculation, DocumentStatus, InvoiceDocument, Issuer, Recipient};
use crate::processor::Processor;
use crate::store::customers::{self, Contact};
use crate::store::invoices::{self, AttemptRecord, Invoice};

/// An invoice.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InvoiceView {
    /// Its id.
    #[schema(value_type = i64, minimum = 1)]
    pub id: InvoiceId,
    /// What it comes to, in minor units.
    #[schema(minimum = 1)]
    pub amount_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Where it stands: `uncollectible` is still owed, after all retries failed.
    #[schema(schema_with = invoice_status_schema)]
    pub status: InvoiceStatus,
    /// What it is for.
    pub description: String,
    /// First day of the period.
    pub period_start: NaiveDate,
    /// Last day of the period.
    pub period_end: NaiveDate,
    /// From when on it is charged (RFC 3339, UTC).
    pub due_date: DateTime<Utc>,
    /// When a declined charge is tried again by itself (RFC 3339, UTC); null when it isn't.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it was paid (RFC 3339, UTC); null while it isn't.
    pub paid_at: Option<DateTime<Utc>>,
    /// When it was made (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
    /// How the amount came about.
    pub calculation: CalculationView,
    /// Attempts to charge it, in their order.
    pub attempts: Vec<AttemptView>,
    /// With it the app lets the customer confirm a charge that waits for it; null when none does, and in lists.
    pub confirmation: Option<Confirmation>,
}

/// How an invoice's amount came about: average equity × yearly rate, at least the minimum, × days ÷ 365.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CalculationView {
    /// Average of the daily equity, in minor units.
    pub average_equity_cents: Option<i64>,
    /// Days that are charged.
    pub billable_days: Option<u32>,
    /// Days of them whose equity is known; the others have that of the day before.
    pub days_with_balance: Option<u32>,
    /// What a whole year costs, in minor units.
    pub yearly_commission_cents: Option<i64>,
    /// The yearly rate, a decimal.
    #[schema(examples("0.0096"))]
    pub yearly_rate: Option<String>,
}

/// An attempt to charge an invoice.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AttemptView {
    /// Its number, from 1.
    #[schema(minimum = 1)]
    pub attempt: i32,
    /// Where it stands: `unknown`, `processing` and `requires_action` are in flight.
    #[schema(schema_with = attempt_status_schema)]
    pub status: AttemptStatus,
    /// What was charged.
    #[schema(examples("visa •••• 4242, 04/29"))]
    pub payment_method: String,
    /// Why it failed, as a code such as `insufficient_funds`; null when it didn't.
    pub failure_reason: Option<String>,
    /// Until when the customer has to confirm it (RFC 3339, UTC); null when it needs no confirmation.
    pub confirm_until: Option<DateTime<Utc>>,
    /// When it was made (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
    /// When its end became known (RFC 3339, UTC).
    pub finished_at: Option<DateTime<Utc>>,
}

/// What the app needs to let the customer confirm a charge.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Confirmation {
    /// Stripe's secret of the payment, for this customer's device alone.
    pub client_secret: String,
    /// Until when (RFC 3339, UTC).
    pub confirm_until: Option<DateTime<Utc>>,
}

/// A place in the list: the invoice before it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Position(InvoiceId);

/// The invoices, for reading.
#[derive(Debug)]
pub struct InvoiceList {
    database: Database,
}

impl InvoiceList {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            database: Database::read(environment)?,
        })
    }

    /// A page of the profile's invoices after a place in the list, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(
        &self,
        profile: ProfileId,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Page<InvoiceView>, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        let before = after.map_or(i64::MAX, |position| position.0.get());
        let mut found = invoices::page(&mut connection, profile, before, i64::from(limit) + 1).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| has_more).map(|last| Position(last.id));
        Ok(Page {
            items: found.into_iter().map(InvoiceView::from).collect(),
            next_cursor: next
                .map(|position| pagination::encode(&position))
                .transpose()
                .map_err(PlatformError::from)?,
        })
    }
}

/// One invoice, with what its customer needs to confirm a charge.
#[derive(Debug)]
pub struct InvoiceReader {
    database: Database,
    processor: Processor,
    issuer: IssuerConfig,
}

/// Who issues invoices, as `INVOICE_ISSUER` says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerConfig {
    name: String,
    address_lines: Vec<String>,
    email: String,
}

/// An invoice as a file.
#[derive(Debug)]
pub struct InvoiceFile {
    /// Its name.
    pub name: String,
    /// The PDF.
    pub bytes: Vec<u8>,
}

impl InvoiceReader {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let processor = Processor::read(environment);
        let issuer: Option<String> = environment.required("INVOICE_ISSUER");
        let issuer = match serde_json::from_str(&issuer?) {
            Ok(issuer) => issuer,
            Err(error) => {
                environment.problem(format!(
                    "INVOICE_ISSUER has to be JSON with name, address_lines and email: {error}"
                ));
                return None;
            }
        };
        Some(Self {
            database: database?,
            processor: processor?,
            issuer,
        })
    }

    /// One of the profile's invoices as a PDF.
    ///
    /// # Errors
    /// Not found for an invoice that isn't the profile's.
    pub async fn pdf(&self, profile: ProfileId, invoice: InvoiceId) -> Result<InvoiceFile, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        let found = invoices::find(&mut connection, profile, invoice).await?;
        let invoice = found.ok_or(Error::InvoiceNotFound)?;
        let contact = customers::contact(&mut connection, profile).await?;
        drop(connection);
        let document = self.document(invoice, contact);
        let bytes = document::render(&document).map_err(|error| Error::Document(error.to_string()))?;
        Ok(InvoiceFile {
            name: format!("{}.pdf", document.number),
            bytes,
        })
    }

    fn document(&self, invoice: Invoice, contact: Contact) -> InvoiceDocument {
        let status = status_of(&invoice);
        let calculation = &invoice.calculation;
        let money = |minor| Money::new(minor, invoice.amount.currency());
        let calculation = calculation
            .average_equity_cents
            .zip(calculation.billable_days)
            .zip(
                calculation.yearly_commission_cents.zip(
                    calculation
                        .yearly_rate
                        .as_deref()
                        .and_then(|rate| rate.parse().ok()),
                ),
            );
        InvoiceDocument {
            number: format!("INV-{:06}", invoice.id.get()),
            issued_on: MarketCalendar::business_date(invoice.created_at),
            due_on: MarketCalendar::business_date(invoice.due_date),
            status,
            issuer: Issuer {
                name: self.issuer.name.clone(),
                address_lines: self.issuer.address_lines.clone(),
                email: self.issuer.email.clone(),
            },
            recipient: Recipient {
                name: contact.full_name,
                email: contact.email,
            },
            description: invoice.description,
            period_start: invoice.period_start,
            period_end: invoice.period_end,
            calculation: calculation.map(|((average, billable_days), (yearly, yearly_rate))| Calculation {
                average_equity: money(average),
                billable_days,
                yearly_rate,
                yearly_commission: money(yearly),
            }),
            total: invoice.amount,
        }
    }

    /// One of the profile's invoices.
    ///
    /// # Errors
    /// Not found for an invoice that isn't the profile's.
    pub async fn get(
        &self,
        profile: ProfileId,
        invoice: InvoiceId,
        deadline: Deadline,
    ) -> Result<InvoiceView, Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        let found = invoices::find(&mut connection, profile, invoice).await?;
        drop(connection);
        let invoice = found.ok_or(Error::InvoiceNotFound)?;
        let waiting = invoice
            .attempts
            .last()
            .filter(|last| last.status == AttemptStatus::RequiresAction);
        let waiting = waiting.and_then(|last| Some((last.intent.clone()?, last.confirm_until)));
        let mut view = InvoiceView::from(invoice);
        if let Some((intent, confirm_until)) = waiting {
            view.confirmation = self.confirmation(&intent, confirm_until, deadline).await;
        }
        Ok(view)
    }

    /// The secret isn't kept with us: it is asked for when it is needed, and the invoice is shown without it when Stripe
    /// doesn't answer.
    async fn confirmation(
        &self,
        intent: &StripePaymentIntentId,
        confirm_until: Option<DateTime<Utc>>,
        deadline: Deadline,
    ) -> Option<Confirmation> {
        let connected = self.processor.connect().await.ok()?;
        match connected.client.payment_intent(intent, deadline.instant()).await {
            Outcome::Done(reading) => reading.client_secret.map(|client_secret| Confirmation {
                client_secret,
                confirm_until,
            }),
            Outcome::Declined(_) | Outcome::Retryable(_) | Outcome::Unknown(_) => None,
        }
    }
}

fn status_of(invoice: &Invoice) -> DocumentStatus {
    let succeeded = invoice
        .attempts
        .iter()
        .find(|attempt| attempt.status == AttemptStatus::Succeeded);
    match (invoice.status, invoice.paid_at, succeeded) {
        (InvoiceStatus::Paid, Some(paid_at), Some(attempt)) => DocumentStatus::Paid {
            on: MarketCalendar::business_date(paid_at),
            payment_method: attempt.method_name.clone(),
        },
        (InvoiceStatus::Open | InvoiceStatus::Paid, ..) => DocumentStatus::Open,
        (InvoiceStatus::Uncollectible, ..) => DocumentStatus::Uncollectible,
        (InvoiceStatus::Void, ..) => DocumentStatus::Void,
    }
}

impl From<Invoice> for InvoiceView {
    fn from(invoice: Invoice) -> Self {
        let calculation = invoice.calculation;
        Self {
            id: invoice.id,
            amount_cents: invoice.amount.minor(),
            currency: invoice.amount.currency().code().to_owned(),
            status: invoice.status,
            description: invoice.description,
            period_start: invoice.period_start,
            period_end: invoice.period_end,
            due_date: invoice.due_date,
            next_attempt_at: invoice.next_attempt_at,
            paid_at: invoice.paid_at,
            created_at: invoice.created_at,
            calculation: CalculationView {
                average_equity_cents: calculation.average_equity_cents,
                billable_days: calculation.billable_days,
                days_with_balance: calculation.days_with_balance,
                yearly_commission_cents: calculation.yearly_commission_cents,
                yearly_rate: calculation.yearly_rate,
            },
            attempts: invoice.attempts.into_iter().map(AttemptView::from).collect(),
            confirmation: None,
        }
    }
}

impl From<AttemptRecord> for AttemptView {
    fn from(attempt: AttemptRecord) -> Self {
        Self {
            attempt: attempt.number,
            status: attempt.status,
            payment_method: attempt.method_name,
            failure_reason: attempt
                .failure_code
                .map(|code| decline::reason_for_customers(&code).to_owned()),
            confirm_until: attempt.confirm_until,
            created_at: attempt.created_at,
            finished_at: attempt.finished_at,
        }
    }
}

fn invoice_status_schema() -> Object {
    names(InvoiceStatus::ALL.map(InvoiceStatus::name))
}

fn attempt_status_schema() -> Object {
    names(AttemptStatus::ALL.map(AttemptStatus::name))
}

fn names<const N: usize>(names: [&'static str; N]) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names))
        .build()
}
