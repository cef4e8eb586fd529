//! The app's pages that messages link to.

use domain::ids::InvoiceId;
use platform::config::Environment;

/// Where the app shows what has to do with commissions.
#[derive(Debug, Clone)]
pub(crate) struct AppPages {
    base: String,
}

platform::from_environment!(AppPages {
    // An address without a slash at its end.
    base: |environment: &mut Environment| environment.required("BILLING_PAGE_URL"),
});

impl AppPages {
    /// Where payment methods are changed.
    pub(crate) fn payment_methods(&self) -> String {
        format!("{}/payment-methods", self.base)
    }

    /// Where an invoice is shown, and a charge of it confirmed.
    pub(crate) fn invoice(&self, invoice: InvoiceId) -> String {
        format!("{}/invoices/{invoice}", self.base)
    }
}
