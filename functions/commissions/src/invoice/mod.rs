//! Invoices: creating them once a month, listing them, and reading one as JSON or as a PDF. See README, Invoices.

mod calculation;
mod creation;
pub mod document;
mod pdf;
mod report;
mod store;
mod view;

use chrono::{DateTime, Utc};
use domain::commissions::charge::ChargeStatus;
use domain::ids::{InvoiceId, ProfileId, StripePaymentIntentId};
use platform::database::Database;
use platform::deadline::Deadline;
use platform::pagination::{Page, PageRequest};
use providers::outcome::Outcome;

use self::pdf::IssuerConfig;
use crate::processor::Processor;
use crate::{Error, customer};
pub use calculation::CalculationView;
pub use creation::InvoiceCreation;
pub use pdf::InvoiceFile;
pub use report::{InvoicingReport, PeriodReport};
pub use view::{AttemptView, ConfirmationView, InvoiceView};

platform::list! {
    /// The invoices of a profile, newest first.
    pub Invoices: InvoiceId = "invoices"
}

/// The invoices of a profile, for reading.
#[derive(Debug)]
pub struct InvoiceList {
    database: Database,
}

platform::from_environment!(InvoiceList { database });

impl InvoiceList {
    /// A page of the profile's invoices, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(
        &self,
        profile: ProfileId,
        page: PageRequest<Invoices>,
    ) -> Result<Page<InvoiceView>, Error> {
        let rows = self
            .database
            .with(async |connection| store::page(connection, profile, page.after, page.rows()).await)
            .await?;
        let view = |invoice: &store::Invoice| InvoiceView::from(invoice.clone());
        Ok(Page::from_overfetched(&rows, &page, view, |invoice| invoice.id)?)
    }
}

/// Reads one invoice, with what its customer needs to confirm a charge.
#[derive(Debug)]
pub struct InvoiceReader {
    database: Database,
    processor: Processor,
    issuer: IssuerConfig,
}

platform::from_environment!(InvoiceReader {
    database,
    processor,
    issuer
});

impl InvoiceReader {
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
        let found = self
            .database
            .with(async |connection| store::find(connection, profile, invoice).await)
            .await?;
        let invoice = found.ok_or(Error::InvoiceNotFound)?;
        let last = invoice.charges.last();
        let waiting = last.filter(|last| last.status == ChargeStatus::RequiresAction);
        let waiting = waiting.and_then(|last| Some((last.payment_intent_id.clone()?, last.confirm_until)));
        let mut view = InvoiceView::from(invoice);
        if let Some((intent, confirm_until)) = waiting {
            view.confirmation = self.confirmation(&intent, confirm_until, deadline).await;
        }
        Ok(view)
    }

    /// One of the profile's invoices as a PDF.
    ///
    /// # Errors
    /// Not found for an invoice that isn't the profile's.
    pub async fn pdf(&self, profile: ProfileId, invoice: InvoiceId) -> Result<InvoiceFile, Error> {
        let (invoice, contact) = self
            .database
            .with(async |connection| {
                let invoice = store::find(connection, profile, invoice).await?;
                let invoice = invoice.ok_or(Error::InvoiceNotFound)?;
                Ok::<_, Error>((invoice, customer::contact(connection, profile).await?))
            })
            .await?;
        pdf::file(&self.issuer, invoice, contact)
    }

    /// The secret isn't stored with us: it is fetched when it is needed, and the invoice is shown without it when Stripe
    /// doesn't respond.
    async fn confirmation(
        &self,
        intent: &StripePaymentIntentId,
        confirm_until: Option<DateTime<Utc>>,
        deadline: Deadline,
    ) -> Option<ConfirmationView> {
        let connected = self.processor.connect().await.ok()?;
        let fetching = connected.client.payment_intent(intent, deadline.instant());
        let Outcome::Done(intent) = fetching.await else {
            return None;
        };
        Some(ConfirmationView {
            client_secret: intent.client_secret?,
            confirm_until,
        })
    }
}
