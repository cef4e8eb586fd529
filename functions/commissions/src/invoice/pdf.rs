//! An invoice as a file: its record put into a [`document`].

use domain::commissions::charge::ChargeStatus;
use domain::commissions::invoice::InvoiceStatus;
use domain::market::MarketCalendar;
use domain::money::Money;
use platform::config::{Environment, FromEnvironment};
use platform::observability::metrics;
use serde::Deserialize;

use super::document::{self, Calculation, DocumentStatus, InvoiceDocument, Issuer, Recipient};
use super::store::Invoice;
use crate::Error;
use crate::customer::Contact;

/// An invoice as a file.
#[derive(Debug)]
pub struct InvoiceFile {
    /// Its name.
    pub name: String,
    /// The PDF.
    pub bytes: Vec<u8>,
}

/// Who issues invoices.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerConfig {
    name: String,
    address_lines: Vec<String>,
    email: String,
}

impl FromEnvironment for IssuerConfig {
    /// Reads `INVOICE_ISSUER`, a JSON object.
    fn read(environment: &mut Environment) -> Option<Self> {
        let issuer: String = environment.required("INVOICE_ISSUER")?;
        match serde_json::from_str(&issuer) {
            Ok(issuer) => Some(issuer),
            Err(error) => {
                environment.problem(format!(
                    "INVOICE_ISSUER has to be JSON with name, address_lines and email: {error}"
                ));
                None
            }
        }
    }
}

/// The invoice as a PDF.
///
/// # Errors
/// Fatal when the document can't be made.
pub(super) fn file(issuer: &IssuerConfig, invoice: Invoice, contact: Contact) -> Result<InvoiceFile, Error> {
    if !document::can_write(&contact.full_name) {
        metrics::count("InvoicesWithoutName", 1);
        tracing::warn!(invoice_id = %invoice.id, "no font has the recipient's name: the invoice has the mail address alone");
    }
    let document = document(issuer, invoice, contact);
    let bytes = document::render(&document).map_err(|error| Error::Document(error.to_string()))?;
    Ok(InvoiceFile {
        name: format!("{}.pdf", document.number),
        bytes,
    })
}

fn document(issuer: &IssuerConfig, invoice: Invoice, contact: Contact) -> InvoiceDocument {
    InvoiceDocument {
        number: format!("INV-{:06}", invoice.id.get()),
        issued_on: MarketCalendar::business_date(invoice.created_at),
        due_on: MarketCalendar::business_date(invoice.due_date),
        status: status(&invoice),
        issuer: Issuer {
            name: issuer.name.clone(),
            address_lines: issuer.address_lines.clone(),
            email: issuer.email.clone(),
        },
        recipient: Recipient {
            name: contact.full_name,
            email: contact.email,
        },
        calculation: calculation(&invoice),
        total: invoice.amount(),
        description: invoice.description,
        period_start: invoice.period_start,
        period_end: invoice.period_end,
    }
}

/// How the amount was calculated, where all of that is on record.
fn calculation(invoice: &Invoice) -> Option<Calculation> {
    let recorded = &invoice.calculation;
    let money = |minor| Money::new(minor, invoice.currency);
    Some(Calculation {
        average_equity: money(recorded.average_equity_cents?),
        billable_days: recorded.billable_days?,
        yearly_rate: recorded.yearly_rate.as_deref()?.parse().ok()?,
        yearly_commission: money(recorded.yearly_commission_cents?),
    })
}

fn status(invoice: &Invoice) -> DocumentStatus {
    let mut charges = invoice.charges.iter();
    let succeeded = charges.find(|charge| charge.status == ChargeStatus::Succeeded);
    match (invoice.status, invoice.paid_at, succeeded) {
        (InvoiceStatus::Paid, Some(paid_at), Some(charge)) => DocumentStatus::Paid {
            on: MarketCalendar::business_date(paid_at),
            payment_method: charge.method_name.clone(),
        },
        (InvoiceStatus::Open | InvoiceStatus::Paid, ..) => DocumentStatus::Open,
        (InvoiceStatus::Uncollectible, ..) => DocumentStatus::Uncollectible,
        (InvoiceStatus::Void, ..) => DocumentStatus::Void,
    }
}
