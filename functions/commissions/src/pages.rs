//! The app's pages that messages link to.

use domain::ids::InvoiceId;
use platform::config::Environment;

/// Where the app shows what has to do with commissions.
#[derive(Debug, Clone)]
pub(crate) struct BillingPages {
    base: String,
}

impl BillingPages {
    /// Reads `BILLING_PAGE_URL`, an address without a slash at its end.
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            base: environment.required("BILLING_PAGE_URL")?,
        })
    }

    /// Where payment methods are changed.
    pub(crate) fn payment_methods(&self) -> String {
        format!("{}/payment-methods", self.base)
    }

    /// Where an invoice is shown, and a charge of it confirmed.
    pub(crate) fn invoice(&self, invoice: InvoiceId) -> String {
        format!("{}/invoices/{invoice}", self.base)
    }
}
