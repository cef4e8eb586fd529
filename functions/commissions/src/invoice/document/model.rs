//! The content of an invoice's document.

use chrono::NaiveDate;
use domain::money::Money;
use rust_decimal::Decimal;

/// The content of an invoice's document: the record, as it is. Nothing is calculated from it.
///
/// There is no `Debug`: it holds personal data, which has no place in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct InvoiceDocument {
    /// The invoice's number as it is shown: `INV-000123`.
    pub number: String,
    /// The day the invoice was made, in New York.
    pub issued_on: NaiveDate,
    /// The day it is to be paid by, in New York.
    pub due_on: NaiveDate,
    /// Whether it is paid, and how.
    pub status: DocumentStatus,
    /// Who sends it.
    pub issuer: Issuer,
    /// Who is to pay it.
    pub recipient: Recipient,
    /// What it is for, in words.
    pub description: String,
    /// The first day of the period.
    pub period_start: NaiveDate,
    /// The last day of the period, included.
    pub period_end: NaiveDate,
    /// How the amount came about; `None` if that isn't on record.
    pub calculation: Option<Calculation>,
    /// The invoice's amount.
    pub total: Money,
}

/// Where an invoice stands.
#[derive(Clone, PartialEq, Eq)]
pub enum DocumentStatus {
    /// To be paid.
    Open,
    /// Paid in full.
    Paid {
        /// The day of the payment, in New York.
        on: NaiveDate,
        /// The payment method as its owner knows it: `visa •••• 4242`.
        payment_method: String,
    },
    /// Still owed, no longer charged.
    Uncollectible,
    /// Taken back: nothing is owed.
    Void,
}

/// The company that sends an invoice.
#[derive(Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Its name.
    pub name: String,
    /// Its postal address; the first six lines are shown.
    pub address_lines: Vec<String>,
    /// Where questions go.
    pub email: String,
}

/// The person who is to pay an invoice.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Their name.
    pub name: String,
    /// Their address for mail.
    pub email: String,
}

/// The figures that an invoice's amount was calculated from.
#[derive(Clone, PartialEq, Eq)]
pub struct Calculation {
    /// The average daily equity over the period.
    pub average_equity: Money,
    /// The days of the period on which the account was open.
    pub billable_days: u32,
    /// The yearly rate as a fraction: 0.0096 is 0.96%.
    pub yearly_rate: Decimal,
    /// The commission of a whole year, of which the invoice is a part.
    pub yearly_commission: Money,
}

/// Why there is no document. Neither depends on what the invoice says.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The font in the binary can't be read.
    #[error("the font of the invoice's PDF can't be read; the package that carries it is broken")]
    Font,
    /// The PDF breaks a rule of the format.
    #[error("the invoice's PDF can't be written: {0}; its layout has to be mended")]
    Write(String),
}
