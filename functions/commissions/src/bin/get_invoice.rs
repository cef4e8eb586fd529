//! `GET /billing/invoices/{invoice_id}`: one invoice, as JSON or as a PDF.

use commissions::invoice::{InvoiceReader, InvoiceView};
use platform::prelude::*;

struct GetInvoice;

impl HttpOperation for GetInvoice {
    type UseCase = InvoiceReader;
    type Input = Nothing;
    type Output = InvoiceView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get an invoice",
            "One of the caller's invoices. While a charge of it waits for the customer, `confirmation` has what the app needs to \
             let the customer confirm it.",
        )
        .path_id("invoice_id", "The invoice.")
        .response(200, "The invoice.")
        .also_pdf()
        .problem(404, "The invoice is not one of the caller's.")
    }

    async fn handle(invoices: &InvoiceReader, call: Call<Nothing>) -> Result<Reply<InvoiceView>, Problem> {
        let profile = call.identity.profile()?;
        let invoice = call.path("invoice_id")?;
        if call.prefers("application/pdf") {
            let file = invoices.pdf(profile, invoice).await?;
            return Ok(Reply::pdf(&file.name, file.bytes));
        }
        Reply::ok(&invoices.get(profile, invoice, call.deadline).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetInvoice>()
}
